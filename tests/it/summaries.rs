//! Verification summaries: what a promotion says, signed, of what it verified; when it says nothing;
//! and who takes its word.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use supply_action::inputs::Action;
use supply_action::registry::closure::{self, Closure};
use supply_action::sandbox::{Claims, FaultEffect, SandboxService};
use supply_action::summary::declared;

use crate::keys::{KEY, PASSWORD};
use crate::promote::{SHA, Stage, count, has_no_name, requests, says, there};
use crate::support::{Run, World, always};

const VSA: &str = "https://slsa.dev/verification_summary/v1";
const VERIFIER: &str = "https://github.com/example/hello/.github/workflows/release.yml";
const WANTED: (&str, &str) = ("INPUT_VERIFICATION-SUMMARY", "true");

async fn closure_at(world: &World, digest: &str) -> Closure {
    let image = there(world).at(&digest.parse().unwrap());
    closure::of_image(&world.registry(), &image).await.unwrap()
}

/// The statements of bundles in a closure that are verification summaries, with their subject.
async fn summaries(world: &World, digest: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for manifest in closure_at(world, digest).await.manifests.values() {
        let Ok(image) = manifest.image() else { continue };
        let is_summary =
            |(name, value): (&String, &String)| name.ends_with("predicateType") && value == VSA;
        if !image.annotations.iter().any(is_summary) {
            continue;
        }
        let bundle = world.registry().blob(&there(world), &image.layers[0], 1 << 20).await.unwrap();
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        found.push(serde_json::from_slice(&decoded(payload)).unwrap());
    }
    found
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Somebody who trusts the workflow that promoted, and asks for nothing else.
async fn delegated(stage: &Stage, to: &World, words: &[&str]) -> Run {
    let root = stage.world.sandbox.trusted_root().display().to_string();
    let (_, issuer) = stage.world.identity();
    let image = format!("{}:v1.2.3", there(to));
    let fixed = ["verify", "--certificate-oidc-issuer", &issuer, "--trusted-root", &root];
    stage.world.run(&[&fixed[..], words, &[&image]].concat(), &[]).await
}

const TRUSTING: [&str; 4] = ["--repo", "example/hello", "--verifier-id", VERIFIER];

#[tokio::test]
async fn signs_one_summary_of_what_was_verified_before_the_tags() {
    let stage = Stage::new().await;
    let (one, two) = (World::new().await, World::with(|config| config.referrers_api = false).await);
    let run = stage.promoted_with(&[&one, &two], &[WANTED]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for to in [&one, &two] {
        stage.arrived(to).await;
        let said = summaries(to, &stage.digest).await;
        assert_eq!(said.len(), 3, "the index and two platforms");
        said.iter().for_each(|statement| is_to_the_letter(&stage, to, statement));
        let put = requests(to);
        let of_tag = |path: &str| {
            ["latest", "v1", "v1.2", "v1.2.3"]
                .iter()
                .any(|tag| path.ends_with(&format!("/manifests/{tag}")))
        };
        let first_tag =
            put.iter().position(|one| one.method == "PUT" && of_tag(&one.path)).unwrap();
        let last_other =
            put.iter().rposition(|one| one.method == "PUT" && !of_tag(&one.path)).unwrap();
        assert!(last_other < first_tag, "evidence before name");
        for (words, code) in [
            (&[][..], 0),
            (&["--min-level", "SLSA_BUILD_LEVEL_1"], 0),
            (&["--min-level", "SLSA_BUILD_LEVEL_2"], 0),
            (&["--min-level", "SLSA_BUILD_LEVEL_2", "--require", "platforms=vsa"], 0),
            (&["--min-level", "SLSA_BUILD_LEVEL_3"], 1),
            (&["--min-level", "SLSA_SOURCE_LEVEL_1"], 1),
            (&["--resource-uri", "oci://quay.io/other/app"], 1),
            (
                &[
                    "--require",
                    "index=verification-summary,provenance",
                    "--require",
                    "platforms=signature",
                ],
                1, // one of them signed this, and the other that
            ),
            (&["--require", "index=signature"], 2),
            (&["--signature-formats", "bundle,legacy"], 0),
        ] {
            let run = delegated(&stage, to, &[&TRUSTING[..], words].concat()).await;
            assert_eq!(run.code, Some(code), "{words:?}: {}", run.log);
        }
    }
    let declared: Vec<&str> =
        declared::outputs(Action::Promote).map(|output| output.name).collect();
    assert!(run.outputs.keys().all(|name| declared.contains(&name.as_str())));
    let told: Value = serde_json::from_str(&run.outputs["verification-summaries"]).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 12, "three parts, two formats, two places");
    assert!(told.as_array().unwrap().iter().all(|one| one["reused"] == false), "{told}");
    assert!(run.summary.contains("12 verification summaries of verifier"), "{}", run.summary);
    // A second run finds them, and says nothing twice.
    let again = stage.promoted_with(&[&one, &two], &[WANTED]).await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    says(&again, &["0 summaries signed, 12 reused"]);
    assert_eq!(summaries(&one, &stage.digest).await.len(), 3);
    let told: Value = serde_json::from_str(&again.outputs["verification-summaries"]).unwrap();
    assert!(told.as_array().unwrap().iter().all(|one| one["reused"] == true), "{told}");
    // Another policy is another summary.
    let other = [WANTED, ("INPUT_REQUIRE", "index=signature,provenance")];
    let run = stage.promoted_with(&[&one], &other).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(summaries(&one, &stage.digest).await.len(), 4, "of the index alone");
}

/// Every field as the specification has it, and no claim beyond what was seen.
fn is_to_the_letter(stage: &Stage, to: &World, statement: &Value) {
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], VSA);
    let digest = statement["subject"][0]["digest"]["sha256"].as_str().unwrap();
    let predicate = statement["predicate"].as_object().unwrap();
    let from = format!("{}/promoted-from", env!("CARGO_PKG_REPOSITORY"));
    let mut fields: Vec<&str> = predicate.keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = vec![
        &from,
        "inputAttestations",
        "policy",
        "resourceUri",
        "slsaVersion",
        "timeVerified",
        "verificationResult",
        "verifiedLevels",
        "verifier",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(
        predicate["verifier"],
        json!({ "id": VERIFIER, "version": { "supply-action": env!("CARGO_PKG_VERSION") } })
    );
    assert_eq!(predicate["resourceUri"], format!("oci://{}@sha256:{digest}", there(to)));
    assert_eq!(predicate[&from], format!("oci://{}@sha256:{digest}", stage.world.repository()));
    assert_eq!(predicate["verificationResult"], "PASSED");
    let is_index = stage.digest.ends_with(digest);
    assert_eq!(predicate["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_2"]));
    assert!(predicate["timeVerified"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let policy = &predicate["policy"];
    let bytes = decoded(policy["content"].as_str().unwrap());
    assert_eq!(policy["digest"]["sha256"], hex::encode(Sha256::digest(&bytes)));
    assert_eq!(
        policy["uri"],
        "https://github.com/example/hello/.github/workflows/release.yml@refs/tags/v1.2.3"
    );
    let words: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(words["repo"], "https://github.com/example/hello");
    assert!(words["require"]["index"].is_array() && words["trusted-root"].is_string(), "{words}");
    let inputs = predicate["inputAttestations"].as_array().unwrap();
    // Signature and provenance of each part, in two formats; those of an index are of all its parts.
    assert_eq!(inputs.len(), if is_index { 12 } else { 4 }, "{inputs:?}");
    for input in inputs {
        let digest = input["digest"]["sha256"].as_str().unwrap();
        let place = format!("http://{}/v2/mirror/app/blobs/sha256:{digest}", to.sandbox.registry());
        assert_eq!(input["uri"], place);
    }
}

/// Inputs can be fetched where the summary says, and hash to what it says.
#[tokio::test]
async fn what_a_summary_was_made_of_is_where_it_says() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted_with(&[&to], &[WANTED]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let mut seen = 0;
    for statement in summaries(&to, &stage.digest).await {
        for input in statement["predicate"]["inputAttestations"].as_array().unwrap() {
            let bytes = reqwest::get(input["uri"].as_str().unwrap()).await.unwrap();
            assert!(bytes.status().is_success());
            let digest = hex::encode(Sha256::digest(bytes.bytes().await.unwrap()));
            assert_eq!(input["digest"]["sha256"], digest);
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}

#[tokio::test]
async fn a_run_that_cannot_sign_tags_nothing() {
    let mut stage = Stage::new().await;
    for service in [SandboxService::Fulcio, SandboxService::Rekor] {
        let to = World::new().await;
        let down = always(service, None, "/", FaultEffect::Status(400));
        stage.world.sandbox.faults().add(down);
        let run = stage.promoted_with(&[&to], &[WANTED]).await;
        assert_eq!(run.code, Some(1), "{service:?}: {}", run.log);
        says(&run, &["nothing was tagged", "400"]);
        has_no_name(&to).await;
        stage.world.sandbox.faults().clear();
        let run = stage.promoted_with(&[&to], &[WANTED]).await;
        assert_eq!(run.code, Some(0), "a second run completes it: {}", run.log);
        stage.arrived(&to).await;
    }
    // Without the right to ask for a token it is told before the first byte.
    let to = World::new().await;
    stage.world.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN").unset("ACTIONS_ID_TOKEN_REQUEST_URL");
    for dry in ["false", "true"] {
        let run = stage.promoted_with(&[&to], &[WANTED, ("INPUT_DRY-RUN", dry)]).await;
        assert_eq!(run.code, Some(1), "{}", run.log);
        says(
            &run,
            &["nothing was tagged", "id-token: write", "or leave `verification-summary` out"],
        );
        assert_eq!(count(&requests(&to), "PUT", "/manifests/"), 0);
    }
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "no summary, no token: {}", run.log);
    assert_eq!(run.outputs["verification-summaries"], "[]");
}

/// What a registry took and does not have, or has otherwise, stands for nothing.
#[tokio::test]
async fn a_summary_that_does_not_read_back_is_none() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted_with(&[&to], &[("INPUT_TAGS", "base")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    // Whoever signs in a log that nobody trusts here has signed nothing.
    let other = World::new().await;
    let elsewhere = other.sandbox.signing_config().display().to_string();
    let by_key = [
        WANTED,
        ("COSIGN_PRIVATE_KEY", KEY),
        ("COSIGN_PASSWORD", PASSWORD),
        ("INPUT_SIGNING-CONFIG", elsewhere.as_str()),
    ];
    let run = stage.promoted_with(&[&to], &by_key).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged"]);
    let tags = to.tags_of("mirror/app").await;
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["base"]);
    // By the same key in a log that is trusted it is as good as by a certificate.
    let run = stage.promoted_with(&[&to], &by_key[..3]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let run = stage.promoted_with(&[&to], &[WANTED]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let told: Value = serde_json::from_str(&run.outputs["verification-summaries"]).unwrap();
    let of_index = told.as_array().unwrap().iter().filter(|one| {
        one["image"].as_str().unwrap().ends_with(&stage.digest) && one["format"] == "bundle"
    });
    let bundle = of_index.map(|one| one["bundle"].as_str().unwrap()).next().unwrap().to_owned();
    let bundles = ["--signature-formats", "bundle"];
    let run = delegated(&stage, &to, &[&TRUSTING[..], &bundles].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let changed = always(
        SandboxService::Registry,
        Some("GET"),
        &format!("/blobs/{bundle}"),
        FaultEffect::Corrupt,
    );
    to.sandbox.faults().add(changed);
    let run = delegated(&stage, &to, &[&TRUSTING[..], &bundles].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
}

#[tokio::test]
async fn refuses_a_summary_by_another_signer_for_the_verifier() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted_with(&[&to], &[WANTED]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let identity = format!("{VERIFIER}@refs/tags/v1.2.3");
    for (words, code, told) in [
        (vec!["--certificate-identity", &identity, "--verifier-id", VERIFIER], 0, ""),
        (vec!["--repo", "example/other", "--verifier-id", VERIFIER], 1, "is not verified"),
        (
            vec!["--repo", "example/hello", "--verifier-id", "https://v.example"],
            1,
            "is by verifier",
        ),
        (vec!["--repo", "example/hello", "--require", "index=vsa"], 2, "--verifier-id"),
        (vec!["--repo", "example/hello", "--require", &format!("index={VSA}")], 2, "--verifier-id"),
        // The image's own signer signed no summary: it published on a branch.
        (
            vec![
                "--certificate-identity",
                &format!("{VERIFIER}@refs/heads/main"),
                "--verifier-id",
                VERIFIER,
            ],
            1,
            "no valid `https://slsa.dev/verification_summary/v1`",
        ),
        (
            vec![
                "--certificate-identity",
                &format!("{VERIFIER}@refs/heads/main"),
                "--verifier-id",
                VERIFIER,
                "--verifier-identity",
                &identity,
                "--require",
                "index=signature,provenance,vsa",
            ],
            0,
            "",
        ),
    ] {
        let run = delegated(&stage, &to, &words).await;
        assert_eq!(run.code, Some(code), "{words:?}: {}", run.log);
        says(&run, &[told]);
    }
}

#[tokio::test]
async fn claims_a_level_only_from_certificates() {
    for (runner, builders, level) in [
        ("self-hosted", None, "SLSA_BUILD_LEVEL_1"),
        (
            "github-hosted",
            Some("https://github.com/other/b/.github/workflows/release.yml@*"),
            "SLSA_BUILD_LEVEL_2",
        ),
        (
            "github-hosted",
            Some("https://github.com/example/hello/.github/workflows/release.yml@refs/heads/*"),
            "SLSA_BUILD_LEVEL_3",
        ),
    ] {
        let claims = Claims {
            runner_environment: runner.to_owned(),
            sha: SHA.to_owned(),
            ..Claims::of("example/hello", "refs/heads/main", "push")
        };
        let stage = Stage::published_by(claims).await;
        let to = World::new().await;
        let builders = builders.map(|builders| ("INPUT_TRUSTED-BUILDERS", builders));
        let change: Vec<(&str, &str)> = [Some(WANTED), builders].into_iter().flatten().collect();
        let run = stage.promoted_with(&[&to], &change).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let said = summaries(&to, &stage.digest).await;
        let of_index = |one: &&Value| {
            stage.digest.ends_with(one["subject"][0]["digest"]["sha256"].as_str().unwrap())
        };
        let index = said.iter().find(of_index).unwrap();
        assert_eq!(index["predicate"]["verifiedLevels"], json!([level]), "{runner}");
    }
}

/// From one registry to the next by the word of who brought it to the first.
#[tokio::test]
async fn a_summary_is_enough_to_promote_further() {
    let (stage, one, two) = (Stage::new().await, World::new().await, World::new().await);
    let run = stage.promoted_with(&[&one], &[WANTED]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let source = format!("{}:v1.2.3", there(&one));
    let asked = [
        ("INPUT_SOURCE", source.as_str()),
        ("INPUT_VERIFIER-ID", VERIFIER),
        ("INPUT_MIN-LEVEL", "SLSA_BUILD_LEVEL_2"),
    ];
    let run = stage.promoted_with(&[&two], &asked).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&two).await;
    // It was said of the first place, and is no word about the second.
    let run = delegated(&stage, &two, &TRUSTING).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["is about"]);
    let lower = [("INPUT_MIN-LEVEL", "SLSA_BUILD_LEVEL_3")];
    let third = World::new().await;
    let run = stage.promoted_with(&[&third], &[&asked[..2], &lower].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    has_no_name(&third).await;
}

#[tokio::test]
async fn plan_and_rehearsal_say_what_would_be_signed() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted_with(&[&to], &[WANTED, ("INPUT_DRY-RUN", "true")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["would sign a verification summary of each part", VERIFIER]);
    assert_eq!(count(&requests(&to), "PUT", ""), 0);
    let destinations = there(&to).to_string();
    for (wanted, needs) in [("true", true), ("false", false)] {
        let mut command = stage.world.command();
        command.args(["plan", "--action", "promote", "--json"]);
        command.env("INPUT_DESTINATIONS", &destinations).env("INPUT_VERIFICATION-SUMMARY", wanted);
        let plan: Value = serde_json::from_slice(&command.output().await.unwrap().stdout).unwrap();
        assert_eq!(plan["verificationSummary"], needs, "{plan}");
        let permissions = plan["permissions"].as_array().unwrap();
        assert_eq!(permissions.contains(&json!("id-token: write")), needs, "{plan}");
    }
    for name in ["INPUT_TRUSTED-BUILDERS", "INPUT_ALLOW-PUBLIC-LOG"] {
        let value = if name.ends_with("LOG") {
            "true"
        } else {
            "https://github.com/o/r/.github/workflows/b.yml@*"
        };
        let run = stage.promoted_with(&[&to], &[(name, value)]).await;
        assert_eq!(run.code, Some(2), "{}", run.log);
        says(&run, &["it has no effect without `verification-summary: true`"]);
    }
    let run = stage.promoted_with(&[&to], &[WANTED, ("INPUT_TRUSTED-BUILDERS", "octo/app")]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["is not a workflow at a ref"]);
}
