//! Rows for clouds and what runs programs. It reads nothing.

use super::{Proof, Reach, SecretRule, token};
use crate::secrets::proofs;

pub(super) const ROWS: &[SecretRule] = &[
    token(
        "aws-key-pair",
        "AWS access key with its secret",
        &["AKIA", "ASIA"],
        r"A[KS]IA[A-Z2-7]{16}",
    )
    .proved(Proof::Context(proofs::has_aws_secret)),
    token("aws-key-id", "AWS access key without its secret", &["AKIA"], r"AKIA[A-Z2-7]{16}")
        .proved(Proof::Entropy(3.0))
        .told(),
    token(
        "aws-secret-key",
        "AWS secret access key",
        &[
            "aws_secret_access_key",
            "AWS_SECRET_ACCESS_KEY",
            "awsSecretAccessKey",
            "SecretAccessKey",
            "secretAccessKey",
            "aws_secret_key",
            "AWS_SECRET_KEY",
        ],
        r#"[A-Za-z_]{13,22}(?:\\?["'])?\s{0,4}(?:=>|=|:)\s{0,4}(?:\\?["'])?([0-9A-Za-z/+]{40})"#,
    )
    .proved(Proof::Structure(proofs::is_aws_secret))
    .loose(),
    token("google-api-key", "Google API key", &["AIza"], r"AIza[0-9A-Za-z_-]{35}").told(),
    token("google-client-secret", "Google OAuth client secret", &["GOCSPX-"], r"GOCSPX-[0-9A-Za-z_-]{28}")
        .told(),
    token(
        "azure-storage-key",
        "key of an Azure storage account",
        &["AccountKey=", "accountKey="],
        r"[Aa]ccountKey=([0-9A-Za-z+/]{86}==)",
    )
    .proved(Proof::Structure(proofs::is_64_bytes))
    .loose(),
    token(
        "azure-shared-key",
        "Azure shared access key",
        &["SharedAccessKey="],
        r"SharedAccessKey=([0-9A-Za-z+/]{43}=)",
    )
    .proved(Proof::Structure(proofs::is_32_bytes))
    .loose(),
    token(
        "azure-shared-signature",
        "signed address of Azure storage",
        &["sig="],
        r"sig=([0-9A-Za-z%/+]{43,90}(?:%3[Dd]|=))",
    )
    .proved(Proof::Context(proofs::is_shared_signature))
    .loose()
    .told(),
    token(
        "azure-client-secret",
        "client secret of Microsoft Entra",
        &["7Q~", "8Q~"],
        r"[0-9A-Za-z_~.]{3}[78]Q~[0-9A-Za-z_~.-]{31,34}",
    )
    .reaching(Reach::Back(3)),
    token(
        "digitalocean-token",
        "DigitalOcean token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"do[opr]_v1_[0-9a-f]{64}",
    )
    .proved(Proof::Entropy(3.0)),
    token("alibaba-key-id", "Alibaba Cloud access key id", &["LTAI"], r"LTAI[0-9A-Za-z]{17,24}").told(),
    token(
        "cloudflare-token",
        "Cloudflare token",
        &["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"],
        r#"[A-Z_]{12,20}(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?([0-9A-Za-z_-]{40})"#,
    )
    .proved(Proof::Entropy(4.0))
    .loose(),
    token(
        "cloudflare-origin-key",
        "Cloudflare origin CA key",
        &["v1.0-"],
        r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
    )
    .proved(Proof::Entropy(3.0)),
    token(
        "heroku-key",
        "Heroku key",
        &["HRKU-"],
        r"HRKU-(?:AA[0-9A-Za-z_-]{58}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    )
    .proved(Proof::Entropy(3.0)),
    token(
        "heroku-named-key",
        "Heroku key",
        &["HEROKU_API_KEY"],
        r#"HEROKU_API_KEY(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"#,
    )
    .proved(Proof::Entropy(3.0))
    .loose(),
    token(
        "fly-token",
        "Fly.io token",
        &["fo1_", "fm1a_", "fm1r_", "fm2_"],
        r"fo1_[0-9A-Za-z_-]{43}|fm(?:1[ar]|2)_[0-9A-Za-z+/]{100,}={0,3}",
    ),
    token(
        "supabase-token",
        "Supabase token",
        &["sbp_", "sb_secret_"],
        r"sbp_(?:v0_|oauth_)?[0-9a-f]{40}|sb_secret_[0-9A-Za-z_-]{31}",
    )
    .proved(Proof::Entropy(3.0)),
    token("netlify-token", "Netlify token", &["nfp_"], r"nfp_[0-9A-Za-z]{36}"),
    token("databricks-token", "Databricks token", &["dapi"], r"dapi[0-9a-f]{32}(?:-[0-9])?")
        .proved(Proof::Entropy(3.0)),
    token(
        "planetscale-token",
        "PlanetScale token",
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        r"pscale_(?:tkn|pw|oauth)_[0-9A-Za-z_.=-]{32,64}",
    ),
    token(
        "vault-token",
        "Vault token",
        &["hvs.", "hvb.", "hvr."],
        r"hv[bsr]\.[0-9A-Za-z_-]{24,300}",
    ),
    token(
        "doppler-token",
        "Doppler token",
        &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."],
        r"dp\.(?:pt|ct|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.[0-9A-Za-z]{40,44}",
    ),
    token(
        "tailscale-key",
        "Tailscale key",
        &["tskey-"],
        r"tskey-(?:auth|api|client|scim|webhook)-[0-9A-Za-z]{8,20}-[0-9A-Za-z]{20,40}",
    ),
    token(
        "onepassword-token",
        "1Password service account",
        &["ops_eyJ"],
        r"ops_(eyJ[0-9A-Za-z_-]{250,})",
    )
    .proved(Proof::Structure(proofs::is_json_object)),
];
