//! Secrets that code makes from parts, planted and found. No whole secret lies in this repository.

mod attacks;
mod judged;
mod planted;
mod weak;

use super::leak::{Confidence, Leak};
use super::proofs::{base62, bech32_digit, bech32_sum};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The same numbers in each run.
struct Numbers(u64);

const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ANY: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn letters(&mut self, alphabet: &str, count: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..count).map(|_| letters[self.next() as usize % letters.len()] as char).collect()
    }

    fn any(&mut self, count: usize) -> String {
        self.letters(ANY, count)
    }

    fn hex(&mut self, count: usize) -> String {
        self.letters(HEX, count)
    }

    fn base64(&mut self, count: usize) -> String {
        STANDARD.encode(self.bytes(count))
    }

    fn with_sum(&mut self, prefix: &str) -> String {
        let random = self.any(30);
        let sum = base62(crc32fast::hash(random.as_bytes()));
        format!("{prefix}_{random}{}", String::from_utf8(sum.to_vec()).unwrap())
    }

    fn age(&mut self) -> String {
        const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let data: Vec<u8> = (0..52).map(|_| self.next() as u8 & 31).collect();
        let prefix = b"age-secret-key-";
        let digits =
            prefix.iter().map(|it| it >> 5).chain([0]).chain(prefix.iter().map(|it| it & 31));
        let sum = bech32_sum(digits.chain(data.iter().copied()).chain([0; 6])) ^ 1;
        let check = (0..6).map(|at| (sum >> (5 * (5 - at))) as u8 & 31);
        let all: String =
            data.iter().copied().chain(check).map(|it| LETTERS[usize::from(it)] as char).collect();
        assert_eq!(bech32_digit(b'Q'), Some(0));
        format!("AGE-SECRET-{}-1{}", "KEY", all.to_uppercase())
    }

    /// Frames of DER around random numbers.
    fn rsa(&mut self) -> Vec<u8> {
        let mut inside = vec![2, 1, 0];
        for size in [256, 3, 256, 128, 128, 128, 128, 128] {
            let mut number = self.bytes(size);
            number[0] = 0x5a;
            inside.extend(tlv(2, &number));
        }
        tlv(0x30, &inside)
    }

    fn pkcs8(&mut self) -> Vec<u8> {
        let algorithm = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]));
        let key = tlv(4, &self.rsa());
        tlv(0x30, &[vec![2, 1, 0], algorithm, key].concat())
    }

    fn sealed(&mut self) -> Vec<u8> {
        let algorithm = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13]));
        tlv(0x30, &[algorithm, tlv(4, &self.bytes(1_200))].concat())
    }

    fn elliptic(&mut self) -> Vec<u8> {
        let key = tlv(4, &self.bytes(32));
        tlv(
            0x30,
            &[vec![2, 1, 1], key, vec![0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]
                .concat(),
        )
    }

    fn dsa(&mut self) -> Vec<u8> {
        let sizes = [128, 20, 128, 128, 20];
        let numbers = sizes.map(|size| tlv(2, &[vec![0x5a], self.bytes(size - 1)].concat()));
        tlv(0x30, &[vec![2, 1, 0], numbers.concat()].concat())
    }

    fn openssh(&mut self, cipher: &str) -> Vec<u8> {
        let named = [&(cipher.len() as u32).to_be_bytes(), cipher.as_bytes()].concat();
        [b"openssh-key-v1\0".to_vec(), named, self.bytes(300)].concat()
    }

    fn pgp(&mut self, usage: u8) -> Vec<u8> {
        let number = [vec![8, 0], self.bytes(256)].concat();
        let body =
            [vec![4, 1, 2, 3, 4, 1], number, vec![0, 17, 1, 0, 1], vec![usage], self.bytes(600)];
        let body = body.concat();
        [vec![0x95], (body.len() as u16).to_be_bytes().to_vec(), body].concat()
    }
}

fn tlv(tag: u8, inside: &[u8]) -> Vec<u8> {
    let length = (inside.len() as u16).to_be_bytes();
    let head = match inside.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, inside.to_vec()].concat()
}

fn pem(label: &str, headers: &str, body: &[u8]) -> String {
    let letters = STANDARD.encode(body);
    let lines: Vec<&str> =
        letters.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let dashes = "-".repeat(5);
    format!(
        "{dashes}BEGIN {label}{dashes}\n{headers}{}\n{dashes}END {label}{dashes}\n",
        lines.join("\n")
    )
}

/// A rule, and a text that has one of its secrets; the part that must never be told.
struct Plant {
    rule: &'static str,
    text: String,
    path: &'static str,
    secret: String,
}

fn plant(rule: &'static str, text: &str) -> Plant {
    let secret = text.rsplit(['=', ' ', '"']).find(|it| it.len() >= 8).unwrap().to_owned();
    Plant { rule, text: text.to_owned(), path: "app/settings", secret }
}

fn at(path: &'static str, plant: Plant) -> Plant {
    Plant { path, ..plant }
}

fn key(rule: &'static str, text: String) -> Plant {
    let secret = text.lines().find(|it| it.len() >= 40 && !it.contains(' ')).unwrap().to_owned();
    Plant { rule, text, path: "app/key", secret }
}

fn keys(random: &mut Numbers) -> Vec<Plant> {
    let private = |kind: &str| format!("{kind}PRIVATE KEY");
    let sealed =
        "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n";
    let block = format!("PGP {} BLOCK", private(""));
    let account = pem(&private(""), "", &random.pkcs8()).replace('\n', "\\n");
    let account_secret = account[60..100].to_owned();
    let wrapped = STANDARD.encode(pem(&private("EC "), "", &random.elliptic()));
    let wireguard = {
        let mut bytes = random.bytes(32);
        (bytes[0], bytes[31]) = (bytes[0] & 248, bytes[31] & 127 | 64);
        STANDARD.encode(bytes)
    };
    let putty = |random: &mut Numbers, how: &str| {
        let lines: Vec<String> = (0..8).map(|_| random.base64(48)).collect();
        let lines = lines.join("\n");
        format!(
            "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: {how}\nComment: k\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 8\n{lines}\nPrivate-MAC: 00\n"
        )
    };
    let login = STANDARD.encode(format!("deploy:{}", random.any(20)));
    vec![
        key("private-key", pem(&private("RSA "), "", &random.rsa())),
        key("private-key", pem(&private(""), "", &random.pkcs8())),
        key("private-key", pem(&private("EC "), "", &random.elliptic())),
        key("private-key", pem(&private("DSA "), "", &random.dsa())),
        key("private-key", pem(&private("OPENSSH "), "", &random.openssh("none"))),
        key("private-key", pem(&block, "Version: GnuPG v2\n\n", &random.pgp(0))),
        key("private-key-encrypted", pem(&private("RSA "), sealed, &random.bytes(1_200))),
        key("private-key-encrypted", pem(&private("ENCRYPTED "), "", &random.sealed())),
        key("private-key-encrypted", pem(&private("OPENSSH "), "", &random.openssh("aes256-ctr"))),
        key("private-key-encrypted", pem(&block, "", &random.pgp(254))),
        Plant {
            rule: "google-service-account",
            text: format!(
                "{{\"type\": \"service_account\", \"private_key\": \"{account}\", \"client_email\": \"a@b\"}}"
            ),
            path: "app/account",
            secret: account_secret,
        },
        plant("private-key-base64", &format!("client-key-data: {wrapped}")),
        plant("wireguard-key", &format!("[Interface] PrivateKey = {wireguard}")),
        key("putty-key", putty(random, "none")),
        key("putty-key-encrypted", putty(random, "aes256-cbc")),
        plant("age-key", &random.age()),
        plant("registry-login", &format!("{{\"auths\": {{\"h\": {{\"auth\": \"{login}\"}}}}}}")),
        at("root/.pypirc", plant("pypirc-password", &format!("password = {}", random.any(16)))),
        at(
            "root/.netrc",
            plant("netrc-password", &format!("machine h login n password {}", random.any(16))),
        ),
        at("root/.git-credentials", {
            let password = random.any(16);
            Plant {
                secret: password.clone(),
                ..plant("git-credentials", &format!("https://me:{password}@host"))
            }
        }),
    ]
}

fn clouds(random: &mut Numbers) -> Vec<Plant> {
    let azure = |random: &mut Numbers| format!("{}7Q~{}", random.any(3), random.any(34));
    let uuid = |random: &mut Numbers| [8, 4, 4, 4, 12].map(|count| random.hex(count)).join("-");
    let json = |random: &mut Numbers, count| {
        URL_SAFE_NO_PAD.encode(format!("{{\"o\":\"1\",\"k\":\"{}\"}}", random.any(count)))
    };
    let secret = |random: &mut Numbers| format!("aZ9{}bY8", random.any(34));
    vec![
        plant(
            "aws-key-pair",
            &format!("id=AKIA{} key={}", random.letters(BASE32, 16), secret(random)),
        ),
        plant("aws-key-id", &format!("id=AKIA{}", random.letters(BASE32, 16))),
        plant("aws-secret-key", &format!("AWS_SECRET_ACCESS_KEY={}", secret(random))),
        plant("google-api-key", &format!("k=AIza{}", random.any(35))),
        plant("google-client-secret", &format!("k=GOCSPX-{}", random.any(28))),
        Plant {
            secret: "AccountKey".to_owned(),
            ..plant(
                "azure-storage-key",
                &format!("AccountName=a;AccountKey={};", random.base64(64)),
            )
        },
        plant("azure-shared-key", &format!("SharedAccessKey={}", random.base64(32))),
        plant(
            "azure-shared-signature",
            &format!("?sv=2022-11-02&se=2030-01-01&sig={}", random.base64(32).replace('=', "%3D")),
        ),
        plant("azure-client-secret", &format!("s={}", azure(random))),
        plant("digitalocean-token", &format!("t=dop_v1_{}", random.hex(64))),
        plant("alibaba-key-id", &format!("t=LTAI{}", random.any(20))),
        plant("cloudflare-token", &format!("CLOUDFLARE_API_TOKEN={}", random.any(40))),
        plant("cloudflare-origin-key", &format!("k=v1.0-{}-{}", random.hex(24), random.hex(146))),
        plant("heroku-key", &format!("k=HRKU-AA{}", random.any(58))),
        plant("heroku-named-key", &format!("HEROKU_API_KEY={}", uuid(random))),
        plant("fly-token", &format!("k=fo1_{}", random.any(43))),
        plant("supabase-token", &format!("k=sbp_{}", random.hex(40))),
        plant("netlify-token", &format!("k=nfp_{}", random.any(36))),
        plant("databricks-token", &format!("k=dapi{}", random.hex(32))),
        plant("planetscale-token", &format!("k=pscale_tkn_{}", random.any(43))),
        plant("vault-token", &format!("k=hvs.{}", random.any(90))),
        plant("doppler-token", &format!("k=dp.pt.{}", random.any(43))),
        plant("tailscale-key", &format!("k=tskey-auth-{}CNTRL-{}", random.any(11), random.any(32))),
        plant("onepassword-token", &format!("k=ops_{}", json(random, 300))),
        plant("grafana-cloud-token", &format!("k=glc_{}", json(random, 60))),
        plant("mapbox-key", &format!("k=sk.{}.{}", json(random, 50), random.any(22))),
    ]
}

fn forges(random: &mut Numbers) -> Vec<Plant> {
    let github = ["ghp", "gho", "ghu", "ghs", "ghr"]
        .map(|prefix| plant("github-token", &format!("t={}", random.with_sum(prefix))));
    let location = ["pypi", "org"].join(".");
    let identifier = random.bytes(36);
    let macaroon = [
        vec![2, 1, location.len() as u8],
        location.into_bytes(),
        vec![2, 36],
        identifier,
        vec![0, 0, 6, 32],
        random.bytes(32),
    ]
    .concat();
    let mut plants = vec![
        plant(
            "github-fine-grained-token",
            &format!("t=github_pat_{}_{}", random.any(22), random.any(59)),
        ),
        plant("gitlab-token", &format!("t=glpat-{}", random.any(20))),
        plant(
            "gitlab-token",
            &format!("t=glpat-{}.01.{}", random.any(40), random.letters(LOWER, 9)),
        ),
        plant("npm-token", &format!("t={}", random.with_sum("npm"))),
        plant("npmrc-token", &format!("//h/:_authToken={}", random.any(40))),
        at(
            "root/.npmrc",
            plant(
                "npmrc-password",
                &format!("//h/:_password={}", random.base64(24).replace('=', "")),
            ),
        ),
        plant("pypi-token", &format!("t=pypi-{}", URL_SAFE_NO_PAD.encode(macaroon))),
        plant("cratesio-token", &format!("t=cio{}", random.any(32))),
        plant("rubygems-token", &format!("t=rubygems_{}", random.hex(48))),
        plant("nuget-key", &format!("t=oy2{}", random.letters(LOWER, 43))),
        plant("docker-hub-token", &format!("t=dckr_pat_{}", random.any(27))),
        plant("jfrog-key", &format!("t=AKCp{}", random.any(69))),
        plant("jfrog-reference", &format!("t=cmVmdGtu{}", random.any(56))),
        plant(
            "bitbucket-password",
            &format!("t=ATBB{}{}", random.any(24), random.letters("0123456789ABCDEF", 8)),
        ),
        plant("azure-devops-token", &format!("t={}AZDO{}", random.any(76), random.any(4))),
        plant("circleci-token", &format!("t=CCIPAT_{}_{}", random.any(22), random.hex(40))),
        plant("buildkite-token", &format!("t=bkua_{}", random.hex(40))),
        plant("sourcegraph-token", &format!("t=sgp_{}", random.hex(40))),
        plant("terraform-token", &format!("t={}.atlasv1.{}", random.any(14), random.any(67))),
        plant("pulumi-token", &format!("t=pul-{}", random.hex(40))),
        plant("postman-key", &format!("t=PMAK-{}-{}", random.hex(24), random.hex(34))),
        plant("linear-key", &format!("t=lin_api_{}", random.any(40))),
        plant("figma-token", &format!("t=figd_{}", random.any(40))),
        plant("notion-token", &format!("t=ntn_{}{}", random.letters(DIGITS, 11), random.any(35))),
    ];
    let atlassian = format!("ATATT3{}", random.any(180));
    let sum = random.letters("0123456789ABCDEF", 8);
    plants.push(Plant {
        secret: atlassian.clone(),
        ..plant("atlassian-token", &format!("t={atlassian}={sum}"))
    });
    plants.extend(github);
    plants
}

fn services(random: &mut Numbers) -> Vec<Plant> {
    let slack = format!(
        "{}-{}-{}",
        random.letters("123456789", 12),
        random.letters("123456789", 12),
        random.any(24)
    );
    let jwt = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"),
        URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{}\"}}", random.any(10))),
        random.any(43)
    );
    let bot = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(random.letters("123456789", 18)),
        random.any(6),
        random.any(38)
    );
    let hook =
        format!("T{}/B{}/{}", random.letters(UPPER, 9), random.letters(UPPER, 9), random.any(24));
    vec![
        plant("slack-token", &format!("t=xoxb-{slack}")),
        plant("slack-webhook", &format!("u=https://hooks.slack.com/services/{hook}")),
        plant(
            "discord-webhook",
            &format!(
                "u=https://discord.com/api/webhooks/{}/{}",
                random.letters("123456789", 18),
                random.any(68)
            ),
        ),
        plant("discord-token", &format!("DISCORD_TOKEN={bot}")),
        plant(
            "telegram-token",
            &format!("t={}:AA{}", random.letters("123456789", 10), random.any(33)),
        ),
        plant("stripe-key", &format!("t=sk_{}_{}", "live", random.any(24))),
        plant("twilio-token", &format!("TWILIO_AUTH_TOKEN={}", random.hex(32))),
        plant("sendgrid-key", &format!("t=SG.{}.{}", random.any(22), random.any(43))),
        plant("mailgun-key", &format!("MAILGUN_API_KEY=key-{}", random.hex(32))),
        plant("mailchimp-key", &format!("t={}-us12", random.hex(32))),
        plant("brevo-key", &format!("t=xkeysib-{}-{}", random.hex(64), random.any(16))),
        plant("square-token", &format!("t=sq0atp-{}", random.any(22))),
        plant("shopify-token", &format!("t=shpat_{}", random.hex(32))),
        plant("datadog-key", &format!("DD_API_KEY={}", random.hex(32))),
        plant("newrelic-key", &format!("t=NRAK-{}", random.letters(UPPER, 27))),
        plant("newrelic-licence", &format!("t={}NRAL", random.hex(36))),
        plant("grafana-token", &format!("t=glsa_{}_{}", random.any(32), random.hex(8))),
        plant(
            "dynatrace-token",
            &format!("t=dt0c01.{}.{}", random.letters(BASE32, 24), random.letters(BASE32, 64)),
        ),
        plant("sentry-token", &format!("t=sntryu_{}", random.hex(64))),
        plant("huggingface-token", &format!("t=hf_{}", random.any(34))),
        plant("anthropic-key", &format!("t=sk-ant-api03-{}AA", random.any(93))),
        plant("openai-key", &format!("t=sk-proj-{}T3BlbkFJ{}", random.any(40), random.any(40))),
        plant("openai-older-key", &format!("t=sk-{}T3BlbkFJ{}", random.any(20), random.any(20))),
        plant("openrouter-key", &format!("t=sk-or-v1-{}", random.hex(64))),
        plant("groq-key", &format!("t=gsk_{}", random.any(52))),
        plant("xai-key", &format!("t=xai-{}", random.any(80))),
        plant("perplexity-key", &format!("t=pplx-{}", random.any(48))),
        plant("replicate-token", &format!("t=r8_{}", random.any(37))),
        plant("jwt", &format!("t={jwt}")),
    ]
}

fn plants() -> Vec<Plant> {
    let mut random = Numbers(0x5eed_5eed_5eed_5eed);
    [keys(&mut random), clouds(&mut random), forges(&mut random), services(&mut random)]
        .into_iter()
        .flatten()
        .collect()
}

/// A secret that gates, for tests of what is made of it.
fn token() -> String {
    Numbers(0x1234_5678_9abc_def1).with_sum("ghp")
}

fn ids(leaks: &[Leak]) -> Vec<&'static str> {
    leaks.iter().map(|leak| leak.rule.id).collect()
}

fn sure(leaks: &[Leak]) -> usize {
    leaks.iter().filter(|leak| leak.confidence == Confidence::Verifiable).count()
}
