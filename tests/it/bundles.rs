//! `verify-bundle` and `sign-bundle`: other people's bundles with the reason of every refusal, and
//! our own with bytes changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use supply_action::evidence;
use supply_action::sigstore::artifact::{CheckedBundle, Identity, SignedArtifact, Trusted};
use supply_action::sigstore::load_trusted_root;
use supply_action::sigstore::verifier::BundleVerifier;

use crate::support::World;

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");

/// Of each case that must fail: words of the true reason.
const REASONS: [(&str, &str); 23] = [
    ("bundle-empty-certificate-chain_fail", "certificate chain is empty"),
    (
        "bundle-malformed-json_fail",
        "it is not a bundle that can be read: EOF while parsing a string",
    ),
    ("bundle-with-root-cert_fail", "brings its own root certificate `CN=sigstore,O=sigstore.dev`"),
    ("checkpoint-bad-keyhint_fail", "invalid checkpoint: it has no signature of log"),
    ("checkpoint-wrong-roothash_fail", "root hash does not match checkpoint root hash"),
    (
        "inclusion-proof-corrupted-hash_fail",
        "inclusion proof verification failed: root hash mismatch",
    ),
    ("incorrect-public-key_fail", "SET verification failed"),
    ("intoto-log-entry-mismatch_fail", "log entry does not match the bundle: its signature is"),
    ("invalid-checkpoint-signature_fail", "No valid Rekor signature found on checkpoint"),
    ("managed-key-no-key_fail", "names only a key"),
    ("managed-key-wrong-key_fail", "key.pub` is not a public key in PEM"),
    (
        "message-digest-mismatch_fail",
        "message digest in bundle does not match artifact hash; it is about `sha256:a1cf",
    ),
    ("rekor2-checkpoint-missing-log-signature_fail", "checkpoint format: no signatures found"),
    ("rekor2-checkpoint-missing-origin_fail", "invalid checkpoint: missing origin"),
    ("rekor2-checkpoint-missing-root-hash_fail", "checkpoint format: missing root hash"),
    (
        "rekor2-dsse-mismatch-envelope_fail",
        "log entry does not match the bundle: its digest of the envelope is",
    ),
    (
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail",
        "outside the validity period of the authority that signed it",
    ),
    (
        "rekor2-timestamp-outside-tsa-cert-validity_fail",
        "TSA certificate chain validation failed: CertExpired",
    ),
    ("rekor2-timestamp-payload-mismatch_fail", "Timestamp message hash mismatch"),
    (
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail",
        "does not match any trusted TSA certificate",
    ),
    (
        "rekor2-timestamp-with-incorrect-time_fail",
        "certificate chain validation failed: CertExpired",
    ),
    (
        "wrong-hashedrekord-cert-and-sig_fail",
        "certificate in bundle does not match certificate in Rekor entry",
    ),
    (
        "wrong-material_fail",
        "message digest in bundle does not match artifact hash; it is about `sha256:a0cf",
    ),
];

/// Not bundles: cosign's formats of before.
const LEGACY: [&str; 2] = ["oci-legacy-sig", "oci-legacy-att"];
const ROOTS: [&str; 4] = [
    "../sigstore/trusted_root_public_good.json",
    "trusted_root_github.json",
    "trusted_root_private.json",
    "trusted_root_staging.json",
];

/// A case of `sigstore/cases.json` or an entry of `real/index.json`.
#[derive(Deserialize, Clone)]
struct Case {
    name: String,
    expect: String,
    #[serde(default)]
    bundle: String,
    artifact: Option<String>,
    #[serde(alias = "subject_digest")]
    digest: String,
    identity: Option<String>,
    #[serde(default)]
    issuer: String,
    key: Option<String>,
    trusted_root: String,
    referrer: Option<String>,
    layout: Option<String>,
}

impl Case {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--bundle".into(),
            self.bundle.clone(),
            "--trusted-root".into(),
            self.trusted_root.clone(),
        ];
        match (&self.key, &self.identity) {
            (Some(key), _) => arguments.extend(["--key".into(), key.clone()]),
            (None, identity) => {
                arguments.extend(["--certificate-identity".into(), identity.clone().unwrap()]);
                arguments.extend(["--certificate-oidc-issuer".into(), self.issuer.clone()]);
            }
        }
        arguments
    }

    fn run(&self, folder: &Path, subject: &str) -> (Option<i32>, String) {
        told(&verify(folder, self.arguments().into_iter().chain([subject.to_owned()])))
    }
}

fn verify(folder: &Path, arguments: impl IntoIterator<Item = String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supply-action"));
    command.env_clear().current_dir(folder).arg("verify-bundle").args(arguments).output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code(), text)
}

/// The folder and its cases; `None` where the shared data is not at hand.
fn cases(folder: &str, list: &str) -> Option<(PathBuf, Vec<Case>)> {
    let folder = Path::new(SHARED).join(folder);
    let text = std::fs::read_to_string(folder.join(list)).ok()?;
    let mut values: Vec<Value> = serde_json::from_str(&text).unwrap();
    // JSON's null is our "".
    for value in &mut values {
        value.as_object_mut().unwrap().retain(|_, field| !field.is_null());
    }
    Some((folder, values.into_iter().map(|value| serde_json::from_value(value).unwrap()).collect()))
}

#[test]
fn every_case_of_the_conformance_suite_ends_as_it_must_and_for_the_reason_it_must() {
    let Some((folder, cases)) = cases("sigstore", "cases.json") else { return };
    assert_eq!(cases.len(), 34);
    let failing: BTreeSet<&str> =
        cases.iter().filter(|case| case.expect == "fail").map(|case| case.name.as_str()).collect();
    assert_eq!(failing, REASONS.iter().map(|(name, _)| *name).collect());
    for case in &cases {
        for subject in [case.artifact.as_deref().unwrap(), &case.digest] {
            let (code, text) = case.run(&folder, subject);
            match REASONS.iter().find(|(name, _)| *name == case.name) {
                None => assert!(
                    code == Some(0) && text.starts_with("verified: "),
                    "{} {subject}: {text}",
                    case.name
                ),
                Some((_, reason)) => {
                    assert!(
                        code == Some(1) && text.starts_with("error: ") && text.contains(reason),
                        "{} {subject}: {text}",
                        case.name
                    );
                }
            }
        }
    }
}

#[test]
fn real_evidence_holds() {
    let Some((folder, entries)) = cases("real", "index.json") else { return };
    assert_eq!(entries.len(), 17);
    let without: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.bundle.is_empty())
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(without, LEGACY);
    for entry in entries.iter().filter(|entry| !entry.bundle.is_empty()) {
        let mut subjects = vec![entry.digest.clone()];
        subjects.extend(entry.artifact.clone());
        for subject in subjects {
            let (code, text) = entry.run(&folder, &subject);
            assert!(code == Some(0), "{} {subject}: {text}", entry.name);
        }
        if let (Some(layout), Some(referrer)) = (&entry.layout, &entry.referrer) {
            assert_eq!(bundle_layer(&folder, layout, referrer), entry.bundle, "{}", entry.name);
        }
    }
}

/// The one layer of a referrer's manifest, as a path in its layout.
fn bundle_layer(folder: &Path, layout: &str, referrer: &str) -> String {
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(folder.join(referrer)).unwrap()).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    format!(
        "{layout}/blobs/{}",
        manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/")
    )
}

#[test]
fn real_evidence_is_refused_when_anything_else_is_asked() {
    let Some((folder, entries)) = cases("real", "index.json") else { return };
    let entries: Vec<Case> = entries.into_iter().filter(|entry| !entry.bundle.is_empty()).collect();
    for entry in &entries {
        let refused = |asked: &Case, reasons: &[&str]| {
            let (code, text) = asked.run(&folder, &asked.digest);
            assert!(
                code == Some(1) && reasons.iter().any(|reason| text.contains(reason)),
                "{}: {code:?} {text}",
                entry.name
            );
        };
        let last = if entry.digest.ends_with('0') { "1" } else { "0" };
        let digest = format!("{}{last}", &entry.digest[..entry.digest.len() - 1]);
        refused(
            &Case { digest, ..entry.clone() },
            &["does not match any subject", "does not match artifact hash"],
        );

        let other = entries
            .iter()
            .find(|other| other.identity.is_some() && other.identity != entry.identity)
            .unwrap();
        let identity = Case { identity: other.identity.clone(), key: None, ..entry.clone() };
        let by_key = entry.key.is_some();
        refused(&identity, &[if by_key { "names only a key" } else { "signed it, not" }]);
        let issuer = format!("{}/x", entry.issuer);
        let issued = Case {
            issuer,
            identity: entry.identity.clone().or_else(|| other.identity.clone()),
            key: None,
            ..entry.clone()
        };
        refused(
            &issued,
            &[if by_key { "names only a key" } else { "vouched for the signer, not" }],
        );

        let key = entries
            .iter()
            .find(|other| other.key.is_some() && other.key != entry.key)
            .unwrap()
            .key
            .clone();
        refused(
            &Case { key, ..entry.clone() },
            &[if by_key { "signature" } else { "contains a certificate" }],
        );
        for root in ROOTS.into_iter().filter(|root| *root != entry.trusted_root) {
            let reasons = [
                "is not in the trusted root",
                "UnknownIssuer",
                "no trusted certificate authority",
                "timestamp",
                "inclusion proof",
            ];
            refused(&Case { trusted_root: root.into(), ..entry.clone() }, &reasons);
        }
    }
}

#[test]
fn of_several_bundles_in_one_file_one_must_hold() {
    let Some((folder, entries)) = cases("real", "index.json") else { return };
    let [mine, other] = ["github-internal-provenance", "github-internal-image-provenance"]
        .map(|name| entries.iter().find(|entry| entry.name == name).unwrap().clone());
    let line = |case: &Case| {
        serde_json::from_slice::<Value>(&std::fs::read(folder.join(&case.bundle)).unwrap())
            .unwrap()
            .to_string()
    };
    let scratch = tempfile::tempdir().unwrap();
    let bundle = scratch.path().join("both.jsonl").display().to_string();
    for lines in [[line(&mine), line(&other)], [line(&other), line(&mine)]] {
        std::fs::write(&bundle, lines.join("\n") + "\n\n").unwrap();
        let asked = Case { bundle: bundle.clone(), ..mine.clone() };
        assert_eq!(asked.run(&folder, &mine.digest).0, Some(0));
        let (code, text) = Case { issuer: "https://i".into(), ..asked }.run(&folder, &mine.digest);
        assert!(
            code == Some(1) && text.contains("vouched for the signer, not issuer `https://i`"),
            "{text}"
        );
    }
    let twice = scratch.path().join("two.json").display().to_string();
    std::fs::write(&twice, line(&mine) + &line(&mine)).unwrap();
    let (code, text) = Case { bundle: twice, ..mine.clone() }.run(&folder, &mine.digest);
    assert!(code == Some(1) && text.contains("trailing characters"), "{text}");
}

/// A file signed in a sandbox, and a statement about it.
struct Signed {
    world: World,
    token: String,
}

impl Signed {
    async fn new() -> Self {
        let world = World::new().await;
        let env: std::collections::BTreeMap<String, String> =
            world.sandbox.environment().into_iter().collect();
        let answer = reqwest::Client::new()
            .get(format!("{}&audience=sigstore", env["ACTIONS_ID_TOKEN_REQUEST_URL"]))
            .bearer_auth(&env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
            .send()
            .await
            .unwrap();
        let token = answer.json::<Value>().await.unwrap()["value"].as_str().unwrap().to_owned();
        let signed = Self { world, token };
        std::fs::write(signed.path("file"), "what is signed").unwrap();
        let statement = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": evidence::SIGNATURE, "predicate": {},
            "subject": [{"name": "file", "digest": {"sha256": supply_action::image::Digest::of(b"what is signed").hex()}}],
        });
        std::fs::write(signed.path("statement"), statement.to_string()).unwrap();
        signed
    }

    fn path(&self, name: &str) -> String {
        self.world.folder.path().join(name).display().to_string()
    }

    /// `sign-bundle` with these arguments more, and this as the variable.
    async fn sign(&self, more: &[&str], token: &str) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_supply-action"));
        command
            .env_clear()
            .env("SIGSTORE_ID_TOKEN", token)
            .arg("sign-bundle")
            .args(["--bundle", &self.path("bundle")]);
        command
            .args(["--signing-config", &self.world.sandbox.signing_config().display().to_string()])
            .args(more);
        let (code, text) = told(&command.output().await.unwrap());
        assert!(token.is_empty() || !text.contains(token), "{text}");
        (code, text)
    }

    fn root(&self) -> String {
        self.world.sandbox.trusted_root().display().to_string()
    }

    fn verify(&self, more: &[&str]) -> (Option<i32>, String) {
        let (identity, issuer) = self.world.identity();
        let mut arguments = vec![
            "--bundle".to_owned(),
            self.path("bundle"),
            "--trusted-root".to_owned(),
            self.root(),
        ];
        arguments.extend([
            "--certificate-identity".into(),
            identity,
            "--certificate-oidc-issuer".into(),
            issuer,
        ]);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        told(&verify(self.world.folder.path(), arguments))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_verified_and_nothing_else_is() {
    let signed = Signed::new().await;
    let digest = supply_action::image::Digest::of(b"what is signed").to_string();
    for (arguments, content) in
        [(vec!["file"], "message-signature"), (vec!["--in-toto", "statement"], "dsse")]
    {
        let file = signed.path(arguments[arguments.len() - 1]);
        let root = signed.root();
        let mut all = vec!["--trusted-root", root.as_str()];
        all.extend(&arguments[..arguments.len() - 1]);
        all.push(&file);
        let (code, text) = signed.sign(&all, &signed.token).await;
        assert!(code == Some(0) && text.contains("checked: certificate, sct, log, time"), "{text}");
        for subject in [signed.path("file"), digest.clone()] {
            let (code, text) = signed.verify(&["--json", &subject]);
            let json: Value =
                serde_json::from_str(&text).unwrap_or_else(|_| panic!("{code:?} {text}"));
            assert_eq!(
                (code, json["verified"].as_bool(), json["content"].as_str()),
                (Some(0), Some(true), Some(content))
            );
            assert_eq!(
                json["checked"],
                serde_json::json!(["identity", "certificate", "sct", "log", "time"])
            );
        }
        // The file with a byte more, and the bundle with a byte changed in its signature.
        std::fs::write(signed.path("other"), "what is signed!").unwrap();
        assert_eq!(signed.verify(&[&signed.path("other")]).0, Some(1));
        let bundle = std::fs::read_to_string(signed.path("bundle")).unwrap();
        let at =
            bundle.find(if content == "dsse" { "\"sig\":\"" } else { "\"signature\":\"" }).unwrap()
                + 40;
        let mut changed = bundle.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(signed.path("bundle"), &changed).unwrap();
        assert_eq!(signed.verify(&[&digest]).0, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_without_a_good_token_nor_written_that_does_not_hold() {
    let signed = Signed::new().await;
    let file = signed.path("file");
    let (code, text) = signed.sign(&[&file], "").await;
    assert!(
        code == Some(2)
            && text.contains("there is no OIDC token")
            && text.contains("SIGSTORE_ID_TOKEN"),
        "{text}"
    );
    let expired = "e30.eyJpc3MiOiJodHRwczovL2kiLCJleHAiOjF9.x";
    let (code, text) = signed.sign(&[&file], expired).await;
    assert!(
        code == Some(1) && text.contains("the OIDC token of issuer `https://i` expired"),
        "{text}"
    );
    assert_eq!(signed.sign(&[&file], "no token").await.0, Some(1));
    let (code, text) = signed.sign(&["--in-toto", &file], &signed.token).await;
    assert!(
        code == Some(1)
            && text.contains("is not an in-toto statement")
            && text.contains("hint: leave out --in-toto"),
        "{text}"
    );
    let other = signed.path("other.json");
    std::fs::write(&other, r#"{"_type":"https://x","predicateType":"p","subject":[]}"#).unwrap();
    let (code, text) = signed.sign(&["--in-toto", &other], &signed.token).await;
    assert!(code == Some(1) && text.contains("its `_type` is `https://x`"), "{text}");
    // Another instance's root: the services are not to be believed.
    let foreign = signed.path("foreign.json");
    std::fs::write(&foreign, sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
    let (code, text) = signed.sign(&["--trusted-root", &foreign, &file], &signed.token).await;
    assert!(code == Some(1) && text.contains("the new bundle does not verify"), "{text}");
    assert!(!Path::new(&signed.path("bundle")).exists());
    let (code, text) = signed.sign(&["--identity-token", &signed.token, &file], "").await;
    assert!(
        code == Some(0) && text.contains("not checked") && !text.contains(&signed.token),
        "{text}"
    );
    assert_eq!(signed.verify(&[&file]).0, Some(0));
}

#[test]
fn the_command_line_says_who_must_have_signed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        told(&verify(folder.path(), arguments.iter().map(|text| (*text).to_owned())))
    };
    let bundle = ["--bundle", "b"];
    for wrong in [
        &["x"][..],
        &["--certificate-identity", "i", "x"],
        &["--certificate-oidc-issuer", "i", "x"],
        &[
            "--certificate-identity",
            "i",
            "--certificate-identity-regexp",
            "i",
            "--certificate-oidc-issuer",
            "i",
            "x",
        ],
        &["--certificate-identity", "i", "--certificate-oidc-issuer", "i", "--key", "k", "x"],
        &["--key", "k", "--certificate-oidc-issuer", "i", "x"],
        &["--key", "k", "--staging", "--trusted-root", "r", "x"],
        &["--certificate-identity", "i", "--certificate-oidc-issuer", "i"],
        &["--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "i", "x"],
        &["--certificate-identity-regexp", "a)|(?:b", "--certificate-oidc-issuer", "i", "x"],
    ] {
        let (code, text) = run(&[&bundle, wrong].concat());
        assert_eq!(code, Some(2), "{wrong:?}: {text}");
    }
    for fine in [
        &["--certificate-identity", "i", "--certificate-oidc-issuer", "i", "x"][..],
        &["--certificate-identity-regexp", "i|j", "--certificate-oidc-issuer", "", "x"],
        &["--key", "k", "x"],
    ] {
        let (code, text) = run(&[&bundle, fine].concat());
        assert!(code == Some(1) && text.contains("cannot be read"), "{fine:?}: {text}");
    }
}

#[test]
fn a_pattern_is_for_the_whole_identity() {
    let matches = |pattern: &str, identity: &str| match Identity::pattern(pattern).unwrap() {
        Identity::Pattern(pattern) => pattern.is_match(identity),
        Identity::Exact(_) => false,
    };
    assert!(
        matches("a|b", "b") && matches("https://github.com/octo/.*", "https://github.com/octo/app")
    );
    for (pattern, identity) in
        [("a", "ab"), ("a", "ba"), ("a|b", "ab"), ("a", "a\n"), ("a", "x\na"), ("(?m)a", "a\nb")]
    {
        assert!(!matches(pattern, identity), "{pattern} {identity:?}");
    }
}

/// What must not change when a bundle with a changed byte still holds. A byte in a field's name or
/// in a hint may take evidence away (a second timestamp, a promise beside a proof), and the media
/// type is nobody's to sign; nothing else may come of it.
fn same(changed: &CheckedBundle, whole: &CheckedBundle) -> bool {
    let facts = |bundle: &CheckedBundle| {
        let entries: Vec<_> = bundle
            .log_entries
            .iter()
            .map(|entry| (entry.kind.clone(), entry.log.clone(), entry.index))
            .collect();
        let CheckedBundle { content, predicate_type, identity, issuer, key, checked, .. } =
            bundle.clone();
        (content, predicate_type, identity, issuer, key, checked, entries)
    };
    facts(changed) == facts(whole)
        && changed.signed_at.iter().all(|time| whole.signed_at.contains(time))
}

/// A good bundle with all it takes to check it, in this process.
struct Whole {
    text: Vec<u8>,
    verifier: BundleVerifier,
    artifact: SignedArtifact,
    trusted: Trusted,
    checked: CheckedBundle,
}

impl Whole {
    fn new(text: Vec<u8>, root: &Path, digest: &str, trusted: Trusted) -> Self {
        let verifier = BundleVerifier::new(&load_trusted_root(Some(root)).unwrap()).unwrap();
        let artifact: SignedArtifact = digest.parse().unwrap();
        let checked = verifier.check_artifact(&text, &artifact, &trusted).unwrap();
        Self { text, verifier, artifact, trusted, checked }
    }

    fn stands(&self, changed: &[u8]) -> bool {
        self.verifier
            .check_artifact(changed, &self.artifact, &self.trusted)
            .is_ok_and(|checked| !same(&checked, &self.checked))
    }

    /// Every third byte, another bit each.
    fn flip(&self, name: &str) {
        for at in (0..self.text.len()).step_by(3) {
            let mut changed = self.text.clone();
            changed[at] ^= 1 << (at / 3 % 8);
            assert!(
                !self.stands(&changed),
                "{name}: byte {at} changed, and it holds as something else"
            );
        }
    }
}

async fn signed_here(arguments: &[&str]) -> Whole {
    let signed = Signed::new().await;
    let files: Vec<String> = arguments
        .iter()
        .map(|name| if name.starts_with('-') { (*name).into() } else { signed.path(name) })
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(signed.sign(&files, &signed.token).await.0, Some(0));
    let (identity, issuer) = signed.world.identity();
    let trusted = Trusted::Signer { identity: Identity::Exact(identity), issuer };
    let digest = supply_action::image::Digest::of(b"what is signed").to_string();
    Whole::new(
        std::fs::read(signed.path("bundle")).unwrap(),
        signed.world.sandbox.trusted_root(),
        &digest,
        trusted,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_never_makes_another_truth() {
    signed_here(&["file"]).await.flip("a file");
    signed_here(&["--in-toto", "statement"]).await.flip("a statement");
    for (folder, list, name) in [
        ("sigstore", "cases.json", "rekor2-happy-path"),
        ("sigstore", "cases.json", "happy-path-v0.2"),
        ("sigstore", "cases.json", "rekor2-dsse-happy-path"),
        ("real", "index.json", "github-internal-provenance"),
        ("real", "index.json", "npm-provenance-v0.1"),
        ("real", "index.json", "cosign3-image-key-cyclonedx"),
    ] {
        let Some((folder, cases)) = cases(folder, list) else { return };
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let trusted = match &case.key {
            Some(key) => {
                let pem = std::fs::read_to_string(folder.join(key)).unwrap();
                Trusted::Key(sigstore_types::DerPublicKey::from_pem(&pem).unwrap())
            }
            None => Trusted::Signer {
                identity: Identity::Exact(case.identity.clone().unwrap()),
                issuer: case.issuer.clone(),
            },
        };
        let text = std::fs::read(folder.join(&case.bundle)).unwrap();
        Whole::new(text, &folder.join(&case.trusted_root), &case.digest, trusted).flip(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_patch_of_a_bundle_makes_another_truth_or_a_panic() {
    let whole = signed_here(&["--in-toto", "statement"]).await;
    let patch = (0..whole.text.len(), 0..40_usize, prop::collection::vec(any::<u8>(), 0..20));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    runner
        .run(&patch, |(at, length, bytes)| {
            let mut changed = whole.text.clone();
            changed.splice(at..(at + length).min(whole.text.len()), bytes);
            prop_assert!(!whole.stands(&changed));
            Ok(())
        })
        .unwrap();
}
