//! Publications that a key signs: without any right to OIDC tokens, checked with the public half,
//! and refused with clear words.

use serde_json::Value;
use sigstore_types::DerPublicKey;
use supply_action::sandbox::SandboxService;
use supply_action::sigstore::verifier::Signer;

use crate::support::{Run, World};

/// Of tests/fixtures/keys: worth nothing outside these tests.
pub(crate) const KEY: &str = include_str!("../fixtures/keys/test.key");
pub(crate) const PASSWORD: &str = "a test password";
pub(crate) const PUBLIC: &str = include_str!("../fixtures/keys/test.pub");
const OTHER_KEY: &str = include_str!("../fixtures/keys/other.key");
const OTHER_PUBLIC: &str = include_str!("../fixtures/keys/other.pub");

pub(crate) fn by(public: &str) -> Signer {
    Signer::Key(DerPublicKey::from_pem(public).unwrap())
}

fn name(public: &str) -> String {
    supply_action::image::Digest::of(DerPublicKey::from_pem(public).unwrap().as_bytes()).to_string()
}

/// A world whose runs may ask for no token and have a key.
pub(crate) async fn keyed() -> World {
    let mut world = World::new().await;
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL").unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    world.set("COSIGN_PRIVATE_KEY", KEY).set("COSIGN_PASSWORD", PASSWORD);
    world
}

/// Everything a run said where others can read it; what it tells the runner to hide is not among
/// it.
fn shown(run: &Run) -> String {
    let said = run.log.lines().filter(|line| !line.starts_with("::add-mask::"));
    said.chain(run.summary.lines())
        .chain(run.outputs.values().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

fn tells_nothing_secret(run: &Run) {
    let shown = shown(run);
    for secret in [
        PASSWORD,
        "ENCRYPTED SIGSTORE",
        KEY.lines().nth(1).unwrap(),
        OTHER_KEY.lines().nth(1).unwrap(),
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn a_key_signs_without_the_right_to_ask_for_tokens() {
    let world = keyed().await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    tells_nothing_secret(&run);
    let asked = |service: SandboxService| {
        world.sandbox.requests().iter().filter(|request| request.service == service).count()
    };
    assert_eq!((asked(SandboxService::Fulcio), asked(SandboxService::Oidc)), (0, 0));
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    assert_eq!(evidence["signer"], serde_json::json!({ "key": name(PUBLIC) }));
    for subject in evidence["subjects"].as_array().unwrap() {
        let formats: Vec<&Value> = subject["signatures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|signature| &signature["format"])
            .collect();
        assert_eq!(formats, ["bundle", "legacy"], "{subject}");
        assert!(
            subject["signatures"][0]["logIndex"].is_number()
                && subject["signatures"][0]["logged"] == true,
            "{subject}"
        );
    }
    for part in [
        PUBLIC,
        "cosign verify --key cosign.pub ",
        "verify-attestation --type spdxjson --key cosign.pub ",
    ] {
        assert!(run.summary.contains(part), "{part} is missing in {}", run.summary);
    }
    for part in [
        format!("with a key ({})", name(PUBLIC)),
        format!("signs with key {}", name(PUBLIC)),
        "one key".into(),
    ] {
        assert!(run.log.contains(&part), "{part} is missing in {}", run.log);
    }
    world.verify_by(&run.outputs["digest"], by(PUBLIC)).await.unwrap();
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn bundle_and_older_format_name_the_key_and_hold_no_certificate() {
    use base64::Engine as _;
    let world = keyed().await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let base64 = base64::engine::general_purpose::STANDARD;
    let signature = |at: usize| {
        evidence["subjects"][0]["signatures"][at]["bundle"].as_str().unwrap().to_owned()
    };
    let url = |what: &str| format!("http://{}/v2/app/{what}", world.sandbox.registry());
    let bundle: Value =
        reqwest::get(url(&format!("blobs/{}", signature(0)))).await.unwrap().json().await.unwrap();
    let hint = base64
        .decode(bundle["verificationMaterial"]["publicKey"]["hint"].as_str().unwrap())
        .unwrap();
    assert_eq!(format!("sha256:{}", hex::encode(hint)), name(PUBLIC));
    assert!(bundle["verificationMaterial"].get("certificate").is_none(), "{bundle}");
    let entry = base64
        .decode(
            bundle["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"].as_str().unwrap(),
        )
        .unwrap();
    let entry: Value = serde_json::from_slice(&entry).unwrap();
    let verifier =
        base64.decode(entry["spec"]["signatures"][0]["verifier"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(verifier).unwrap(), PUBLIC);
    assert!(
        bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
            .is_object(),
        "{bundle}"
    );
    for kind in ["sig", "att"] {
        let tag = format!("manifests/{}.{kind}", run.outputs["digest"].replace(':', "-"));
        let layers: Value = reqwest::get(url(&tag)).await.unwrap().json().await.unwrap();
        for layer in layers["layers"].as_array().unwrap() {
            let names: Vec<&String> = layer["annotations"].as_object().unwrap().keys().collect();
            assert!(
                !names
                    .iter()
                    .any(|name| name.ends_with("/certificate") || name.ends_with("/chain")),
                "{names:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_the_key_that_signed_verifies() {
    let world = keyed().await;
    let digest = world.publish().await.outputs["digest"].clone();
    let refused = |error: anyhow::Error| supply_action::error::message(&error);
    let told = refused(world.verify_by(&digest, by(OTHER_PUBLIC)).await.unwrap_err());
    for part in [
        format!("by key `{}`", name(OTHER_PUBLIC)),
        format!("it names key `{}`, not `{}`", name(PUBLIC), name(OTHER_PUBLIC)),
    ] {
        assert!(told.contains(&part), "{part} is missing in {told}");
    }
    let told = refused(world.verify(&digest).await.unwrap_err());
    assert!(told.contains("bundle has no signing certificate"), "{told}");
    let keyless = World::new().await;
    let digest = keyless.publish().await.outputs["digest"].clone();
    let told = refused(keyless.verify_by(&digest, by(PUBLIC)).await.unwrap_err());
    assert!(
        told.contains("bundle contains a certificate but public-key verification was requested"),
        "{told}"
    );
}

#[tokio::test]
async fn the_key_may_be_in_a_file_and_its_password_empty() {
    let mut world = keyed().await;
    let file = world.folder.path().join("cosign.key");
    std::fs::write(&file, OTHER_KEY).unwrap();
    let run = world
        .set("COSIGN_PRIVATE_KEY", file.to_str().unwrap())
        .set("COSIGN_PASSWORD", "")
        .publish()
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    tells_nothing_secret(&run);
    world.verify_by(&run.outputs["digest"], by(OTHER_PUBLIC)).await.unwrap();
}

#[tokio::test]
async fn a_rerun_with_the_key_reuses_what_is_there_and_another_key_signs_anew() {
    let mut world = keyed().await;
    let first = world.publish().await;
    let kept = world.publish().await;
    assert!(kept.log.contains("nothing is built"), "{}", kept.log);
    let second = world.run(&[], &[("INPUT_TAGS", "latest")]).await;
    assert!(second.log.contains("those that were there are reused"), "{}", second.log);
    assert_eq!(
        [&kept.outputs["evidence"], &second.outputs["evidence"]],
        [&first.outputs["evidence"]; 2]
    );
    // What another signed proves nothing, so its version is taken.
    let third =
        world.set("COSIGN_PRIVATE_KEY", OTHER_KEY).set("COSIGN_PASSWORD", "").publish().await;
    assert_eq!(third.code, Some(1), "{}", third.log);
    assert!(third.log.contains("already exists"), "{}", third.log);
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_key_stop_the_run_before_anything_is_asked() {
    for (key, password, parts) in [
        (
            KEY,
            "not-the-password",
            ["the password in `COSIGN_PASSWORD` does not decrypt it", "set `COSIGN_PASSWORD`"],
        ),
        (
            KEY,
            "",
            ["the password in `COSIGN_PASSWORD` does not decrypt it", "set `COSIGN_PASSWORD`"],
        ),
        (
            "garbage-that-may-be-a-key",
            PASSWORD,
            ["neither an encrypted key in PEM nor the name of a file", "COSIGN_PRIVATE_KEY"],
        ),
        (&KEY[..300], PASSWORD, ["it is damaged", "cosign generate-key-pair"]),
        (PUBLIC, PASSWORD, ["it is a `PUBLIC KEY`", "cosign import-key-pair"]),
    ] {
        let mut world = keyed().await;
        let run =
            world.set("COSIGN_PRIVATE_KEY", key).set("COSIGN_PASSWORD", password).publish().await;
        assert_eq!(run.code, Some(2), "{}", run.log);
        for part in
            ["nothing was built", "environment variable `COSIGN_PRIVATE_KEY`"].iter().chain(&parts)
        {
            assert!(run.log.contains(part), "{part} is missing in {}", run.log);
        }
        tells_nothing_secret(&run);
        assert!(
            !shown(&run).contains("garbage-that") && !shown(&run).contains("not-the-password"),
            "{}",
            run.log
        );
        assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
    }
}

#[tokio::test]
async fn the_build_sees_neither_key_nor_password() {
    let mut world = keyed().await;
    let names = world.folder.path().join("environment");
    world.set("FAKE_BUILDX_ENVIRONMENT", names.to_str().unwrap()).publish().await;
    let names = std::fs::read_to_string(names).unwrap();
    assert!(
        names.lines().any(|name| name.starts_with("GITHUB_SHA=")) && !names.contains("COSIGN_"),
        "{names}"
    );
}

#[tokio::test]
async fn the_plan_asks_for_no_token_and_says_who_signs() {
    let world = keyed().await;
    let plan = |json: bool| {
        let mut command = world.command();
        command.arg("plan").args(json.then_some("--json"));
        async move { String::from_utf8(command.output().await.unwrap().stdout).unwrap() }
    };
    let json: Value = serde_json::from_str(&plan(true).await).unwrap();
    assert_eq!(json["permissions"], serde_json::json!(["contents: read", "packages: write"]));
    let lines = plan(false).await;
    assert!(lines.contains(&format!("with a key ({})", name(PUBLIC))), "{lines}");
}

#[tokio::test]
async fn what_a_key_cannot_do_is_said_before_anything_is_built() {
    let mut world = keyed().await;
    let run = world.unset("GITHUB_WORKFLOW_REF").publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("this run names no workflow"), "{}", run.log);
    let mut world = keyed().await;
    let run = world.set("INPUT_GITHUB-ATTESTATIONS", "true").publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("GitHub verifies no attestation that a key signed"), "{}", run.log);
}

#[tokio::test]
async fn neither_fulcio_nor_a_certificate_log_is_needed() {
    let mut world = keyed().await;
    let config = without(&world, world.sandbox.signing_config(), &["caUrls"]);
    let root = without(&world, world.sandbox.trusted_root(), &["certificateAuthorities", "ctlogs"]);
    let run =
        world.set("INPUT_SIGNING-CONFIG", &config).set("INPUT_TRUSTED-ROOT", &root).publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    // Whoever asks for a certificate needs the authority all the same.
    let run = world.unset("COSIGN_PRIVATE_KEY").publish().await;
    assert!(
        run.code == Some(1) && run.log.contains("names no certificate authority"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn a_private_instance_may_have_no_log_and_no_authority_at_all() {
    let mut world = keyed().await;
    let config = without(&world, world.sandbox.signing_config(), &["caUrls", "rekorTlogUrls"]);
    let root = without(
        &world,
        world.sandbox.trusted_root(),
        &["certificateAuthorities", "ctlogs", "tlogs"],
    );
    let run =
        world.set("INPUT_SIGNING-CONFIG", &config).set("INPUT_TRUSTED-ROOT", &root).publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let signature = &evidence["subjects"][0]["signatures"][0];
    assert!(signature["logged"] == false && signature["signedAt"].is_string(), "{signature}");
    // A root that knows a log asks for an entry.
    let told = supply_action::error::message(
        &world.verify_by(&run.outputs["digest"], by(PUBLIC)).await.unwrap_err(),
    );
    assert!(told.contains("inclusion proof"), "{told}");
}

/// A file of Sigstore's with some of its lists empty.
fn without(world: &World, file: &std::path::Path, lists: &[&str]) -> String {
    let mut config: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for list in lists {
        config[*list] = serde_json::json!([]);
    }
    let made = world.folder.path().join(file.file_name().unwrap());
    std::fs::write(&made, config.to_string()).unwrap();
    made.display().to_string()
}
