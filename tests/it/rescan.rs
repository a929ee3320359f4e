//! The action `scan`: what is published is verified, looked up again, and the new result signed; what
//! is not verified gets no statement of ours.

use std::collections::BTreeSet;

use serde_json::Value;
use supply_action::inputs::Action;
use supply_action::sandbox::{FaultEffect, OsvHabit, SandboxService};
use supply_action::summary::declared;

use crate::support::{Run, World, always, cyclonedx};

const LOG4J: &str = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1";
const TOKEN: (&str, &str) = ("INPUT_GITHUB-TOKEN", "ghs_token");
const REQUESTS: &str = "pkg:pypi/requests@2.31.0";

/// A published image with these packages, of which no scan says anything yet, and a workflow that
/// scans it.
pub(crate) async fn published(purls: &[&str]) -> World {
    published_with(purls, &[("INPUT_SCAN", "false")]).await
}

async fn published_with(purls: &[&str], inputs: &[(&str, &str)]) -> World {
    let mut world = World::new().await;
    let file = sbom(&world, purls);
    let run = world.run(&[], &[&[("INPUT_SBOM", file.as_str())], inputs].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for name in ["INPUT_IMAGES", "INPUT_CONTEXT", "INPUT_TAGS", "INPUT_PLATFORMS"] {
        world.unset(name);
    }
    world.unset("INPUT_BUILDER-ENDPOINT");
    let image = format!("{}@{}", world.repository(), run.outputs["digest"]);
    let issuer = world.identity().1;
    world.set("INPUT_IMAGE", &image).set("INPUT_CERTIFICATE-OIDC-ISSUER", &issuer);
    world
}

/// An SBOM that lists these packages.
fn sbom(world: &World, purls: &[&str]) -> String {
    let file = world.folder.path().join("sbom.json");
    std::fs::write(&file, cyclonedx(purls).to_string()).unwrap();
    file.display().to_string()
}

pub(crate) async fn scanned(world: &World, inputs: &[(&str, &str)]) -> Run {
    world.run(&["scan"], inputs).await
}

/// What a stranger is told of the image, with more rules.
async fn verified(world: &World, rules: &[&str]) -> Run {
    let (identity, issuer) = world.identity();
    let root = world.sandbox.trusted_root().display().to_string();
    let image = world.env["INPUT_IMAGE"].clone();
    let who = ["verify", "--certificate-identity", &identity];
    let trust = ["--certificate-oidc-issuer", &issuer, "--trusted-root", &root];
    world.run(&[&who[..], &trust[..], rules, &[image.as_str()]].concat(), &[]).await
}

/// Manifests that were put since.
fn pushed(world: &World, before: usize) -> usize {
    let requests = world.sandbox.requests();
    let since = requests.iter().skip(before);
    since.filter(|it| it.method == "PUT" && it.path.contains("/manifests/")).count()
}

#[tokio::test]
async fn a_new_result_is_signed_once_and_verify_goes_by_it() {
    let world = published(&[REQUESTS]).await;
    let before = verified(&world, &["--max-scan-age", "1h"]).await;
    assert_eq!(before.code, Some(1), "{}", before.log);
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let outputs: BTreeSet<&str> = run.outputs.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> =
        declared::outputs(Action::Scan).map(|output| output.name).collect();
    assert_eq!(outputs, listed);
    for (output, value) in [
        ("passed", "true"),
        ("attestation-attached", "true"),
        ("trivy_image_scan_passed", "true"),
        ("vuln_attestation_attached", "true"),
        ("critical", "0"),
        ("medium", "1"),
    ] {
        assert_eq!(run.outputs[output], value, "{output}");
    }
    let result: Value = serde_json::from_str(&run.outputs["result"]).unwrap();
    assert_eq!(result[0]["passed"], true, "{result}");
    assert!(run.log.contains("CVE-2024-35195"), "{}", run.log);
    assert!(run.summary.contains("CVE-2024-35195"), "{}", run.summary);
    assert!(run.summary.contains("The new result is signed and attached"), "{}", run.summary);
    let after = verified(&world, &["--max-scan-age", "1h", "--fail-on", "critical"]).await;
    assert_eq!(after.code, Some(0), "{}", after.log);
    let refused =
        verified(&world, &["--fail-on", "medium", "--signature-formats", "bundle,legacy"]).await;
    assert_eq!(refused.code, Some(1), "both formats have it: {}", refused.log);

    // The same, a moment later: nothing is signed, and nobody is asked for a certificate.
    let requests = world.sandbox.requests().len();
    let again = scanned(&world, &[]).await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    assert_eq!(again.outputs["attestation-attached"], "false");
    assert!(again.summary.contains("says the same, and is recent"), "{}", again.summary);
    let since = world.sandbox.requests().into_iter().skip(requests);
    assert!(!since.into_iter().any(|it| it.service == SandboxService::Fulcio));
    assert_eq!(pushed(&world, requests), 0);
    // Nor after a push: the image is the same.
    let other = "c".repeat(40);
    let mut later = world;
    later.at("refs/heads/main", &other);
    let again = scanned(&later, &[]).await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    assert_eq!(again.outputs["attestation-attached"], "false", "{}", again.log);
}

#[tokio::test]
async fn a_refused_image_fails_the_step_and_its_result_is_signed() {
    let world = published(&[LOG4J]).await;
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in [
        "the scan of `",
        "1 critical vulnerability that has a fix",
        "fixed in 2.15.0",
        "hint: the result is signed and attached to `",
    ] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
    assert!(!run.log.contains("nothing was tagged"), "{}", run.log);
    assert_eq!(run.outputs["passed"], "false");
    assert_eq!(run.outputs["attestation-attached"], "true");
    assert!(run.summary.contains("CVE-2021-44228"), "{}", run.summary);
    let refused = verified(&world, &["--fail-on", "critical"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    let passes = scanned(&world, &[("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(passes.code, Some(0), "{}", passes.log);
}

#[tokio::test]
async fn what_is_not_verified_is_not_scanned() {
    let world = published(&[REQUESTS]).await;
    let before = world.sandbox.requests().len();
    let other = "https://github.com/somebody/else/.github/workflows/x.yml@refs/heads/main";
    let run = scanned(&world, &[("INPUT_CERTIFICATE-IDENTITY", other)]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("nothing was scanned: "), "{}", run.log);
    assert_eq!(pushed(&world, before), 0);
    let requests = world.sandbox.requests();
    assert!(!requests.iter().skip(before).any(|it| it.service == SandboxService::Osv));
    assert!(!run.outputs.contains_key("passed"), "{:?}", run.outputs);
}

#[tokio::test]
async fn an_image_of_others_is_scanned_by_its_layers_and_gets_no_statement() {
    let world = published(&[REQUESTS]).await;
    let before = world.sandbox.requests().len();
    let run =
        scanned(&world, &[("INPUT_VERIFY", "false"), ("INPUT_CERTIFICATE-OIDC-ISSUER", "")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("is not verified: its layers are read"), "{}", run.log);
    assert_eq!(run.outputs["attestation-attached"], "false");
    assert_eq!(pushed(&world, before), 0);
    assert!(run.summary.contains("Not verified"), "{}", run.summary);
}

#[tokio::test]
async fn a_question_without_an_answer_is_no_result() {
    let world = published(&[REQUESTS]).await;
    let before = world.sandbox.requests().len();
    world.sandbox.osv_behaves(Some(OsvHabit::HalfAnswered));
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert_eq!(pushed(&world, before), 0);
    world.sandbox.osv_behaves(None);
    world.sandbox.faults().add(always(SandboxService::Osv, None, "", FaultEffect::Status(503)));
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert_eq!(pushed(&world, before), 0);
}

#[tokio::test]
async fn who_may_not_sign_scans_and_says_so() {
    let mut world = published(&[REQUESTS]).await;
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL");
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        run.log.contains("not signed: this job has no permission to ask for an OIDC token"),
        "{}",
        run.log
    );
    let run = scanned(&world, &[("INPUT_ATTEST", "true")]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("id-token: write"), "{}", run.log);
    for (inputs, why) in [
        ([("INPUT_VERIFY", "false"), ("INPUT_ATTEST", "true")], "input `attest`: `true` beside"),
        ([("INPUT_VERIFY", "false"), ("INPUT_REPO", "octo/app")], "input `verify`: `false` beside"),
        ([("INPUT_IMAGE", "app"), ("INPUT_ATTEST", "auto")], "input `image`"),
        ([("INPUT_MAX-SCAN-AGE", "soon"), ("INPUT_ATTEST", "auto")], "input `max-scan-age`"),
    ] {
        let issuer = [("INPUT_CERTIFICATE-OIDC-ISSUER", "")];
        let run = scanned(&world, &[&inputs[..], &issuer[..]].concat()).await;
        assert_eq!(run.code, Some(2), "{inputs:?}: {}", run.log);
        assert!(run.log.contains(why), "{inputs:?}: {}", run.log);
    }
}

#[tokio::test]
async fn findings_go_to_code_scanning_where_that_is_on() {
    let world = published(&[REQUESTS]).await;
    let uploads = || {
        let requests = world.sandbox.requests().into_iter();
        requests.filter(|it| it.path.contains("/code-scanning/sarifs")).count()
    };
    assert_eq!(scanned(&world, &[]).await.code, Some(0));
    assert_eq!(uploads(), 0, "nobody asked for it");
    let run = scanned(&world, &[("INPUT_UPLOAD-SARIF", "true"), TOKEN]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("1 file in code scanning"), "{}", run.log);
    assert!(uploads() >= 3, "uploaded, pending, complete");
    world.sandbox.faults().add(always(
        SandboxService::GitHub,
        None,
        "/code-scanning/",
        FaultEffect::Status(403),
    ));
    let run = scanned(&world, &[("INPUT_UPLOAD-SARIF", "auto"), TOKEN]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("the findings are not in code scanning"), "{}", run.log);
    let run = scanned(&world, &[("INPUT_UPLOAD-SARIF", "true"), TOKEN]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("security-events: write"), "{}", run.log);
}

/// A result that says something else is signed, however young the last one is.
#[tokio::test]
async fn a_result_that_says_more_is_signed_at_once() {
    let world = published_with(&[LOG4J], &[("INPUT_FAIL-ON", "none")]).await;
    let same = scanned(&world, &[("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(same.outputs["attestation-attached"], "false", "{}", same.log);
    let file = world.folder.path().join("risks.yaml");
    std::fs::write(&file, "accepted:\n  - id: CVE-2021-44228\n    reason: the lookup is off\n")
        .unwrap();
    let accepted = scanned(&world, &[("INPUT_IGNORE-FILE", file.to_str().unwrap())]).await;
    assert_eq!(accepted.code, Some(0), "{}", accepted.log);
    assert_eq!(accepted.outputs["attestation-attached"], "true", "{}", accepted.log);
    let verified = verified(&world, &["--fail-on", "critical"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.log);
}

/// Each has alerts of its own; two tags of one image are scanned once.
#[tokio::test]
async fn several_images_are_scanned_in_one_step() {
    let mut world = World::new().await;
    let file = sbom(&world, &[REQUESTS]);
    world.unset("INPUT_TAGS").set("INPUT_SCAN", "false").set("INPUT_SBOM", &file);
    let mut digests = Vec::new();
    for (salt, tags) in [("1", "v1\nv1.0"), ("2", "v2")] {
        let run = world.run(&[], &[("FAKE_BUILDX_SALT", salt), ("INPUT_TAGS", tags)]).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        digests.push(run.outputs["digest"].clone());
    }
    assert_ne!(digests[0], digests[1]);
    let repository = world.repository();
    let images = format!("{repository}:v1\n{repository}:v1.0, {repository}:v2");
    let (_, issuer) = world.identity();
    let inputs = [
        ("INPUT_IMAGE", images.as_str()),
        ("INPUT_CERTIFICATE-OIDC-ISSUER", &issuer),
        ("INPUT_UPLOAD-SARIF", "true"),
        TOKEN,
    ];
    for name in ["INPUT_IMAGES", "INPUT_CONTEXT", "INPUT_PLATFORMS", "INPUT_SCAN", "INPUT_SBOM"] {
        world.unset(name);
    }
    let run = scanned(&world, &inputs).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let result: Value = serde_json::from_str(&run.outputs["result"]).unwrap();
    let told: Vec<String> = result
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["image"].as_str().unwrap().split('@').next_back().unwrap().to_owned())
        .collect();
    assert_eq!(told, digests);
    let plan = world.run(&["plan", "--action", "scan", "--json"], &inputs).await;
    assert_eq!(plan.code, Some(0), "{}", plan.log);
}

/// Nothing is said twice, and who repairs everything finds the issue closed.
#[tokio::test]
async fn one_issue_follows_what_is_refused() {
    let world = published(&[LOG4J]).await;
    let wanted = [("INPUT_OPEN-ISSUE", "true"), TOKEN];
    let asked = async || {
        let (api, path) = (&world.env["GITHUB_API_URL"], "/repos/example/hello/issues");
        reqwest::get(format!("{api}{path}")).await.unwrap().json::<Vec<Value>>().await.unwrap()
    };
    let run = scanned(&world, &wanted).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let open = asked().await;
    assert_eq!(open.len(), 1, "{open:?}");
    let body = open[0]["body"].as_str().unwrap();
    assert!(body.contains("CVE-2021-44228") && body.contains("log4j-core"), "{body}");
    let again = scanned(&world, &wanted).await;
    assert!(again.log.contains("nothing is new"), "{}", again.log);
    assert_eq!(asked().await, open);
    let passes = scanned(&world, &[&wanted[..], &[("INPUT_FAIL-ON", "none")]].concat()).await;
    assert_eq!(passes.code, Some(0), "{}", passes.log);
    assert!(passes.log.contains("is closed"), "{}", passes.log);
    assert!(asked().await.is_empty());
    // Who has no right to is told, and the scan's own verdict was written before.
    let effect = FaultEffect::Status(403);
    world.sandbox.faults().add(always(SandboxService::GitHub, None, "/issues", effect));
    let run = scanned(&world, &[&wanted[..], &[("INPUT_FAIL-ON", "none")]].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("issues: write"), "{}", run.log);
    assert_eq!(run.outputs["passed"], "true");
}

/// That nothing was found says nothing where no source covers any package.
#[tokio::test]
async fn an_image_of_which_nothing_is_known_does_not_pass() {
    let world = published(&["pkg:conda/numpy@1.0"]).await;
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert!(run.log.contains("nothing is known about `"), "{}", run.log);
    assert!(run.log.contains("by `advisories` or `osv-url`"), "{}", run.log);
    assert_eq!(run.outputs["passed"], "false");
    assert!(run.summary.contains("❌"), "{}", run.summary);
}

#[tokio::test]
async fn what_changes_nothing_is_said() {
    let world = published(&[REQUESTS]).await;
    let inputs = [("INPUT_ATTEST", "false"), ("INPUT_VULN-ATTESTATION", "cosign")];
    let run = scanned(&world, &inputs).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let told = "input `vuln-attestation` has no effect: the result is not signed";
    assert!(run.log.contains(told), "{}", run.log);
}
