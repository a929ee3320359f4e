//! `new-since-release`: what the published image has as well refuses nothing, if its signed result says
//! so; where nobody knows, every finding counts.

use serde_json::{Value, json};

use crate::bake;
use crate::gate::{LOG4J, REPAIRED, alike};
use crate::support::{Run, World, cyclonedx};

/// With one more critical flaw that has a fix.
const MINIMIST: &str = "pkg:npm/minimist@1.2.5";
const UNKNOWN: &str = "every finding counts, although `new-since-release` is set";

fn write_sboms(world: &World, amd64: &[&str], arm64: &[&str]) {
    for (architecture, purls) in [("amd64", amd64), ("arm64", arm64)] {
        let file = world.folder.path().join(format!("sbom.{architecture}.json"));
        std::fs::write(file, cyclonedx(purls).to_string()).unwrap();
    }
}

/// A release with one flaw, published, and the next one of another commit.
async fn released(first: &[(&str, &str)]) -> (World, Run) {
    let mut world = alike(&[LOG4J]).await;
    world.at("refs/tags/v1.2.3", &"a".repeat(40));
    let run = world.run(&[], &[&[("INPUT_FAIL-ON", "none")], first].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.set("INPUT_TAGS", "v1.2.4\nlatest\nv1").set("FAKE_BUILDX_SALT", "2");
    world.at("refs/tags/v1.2.4", &"b".repeat(40));
    world.set("INPUT_NEW-SINCE-RELEASE", "true");
    (world, run)
}

#[tokio::test]
async fn what_the_published_image_has_as_well_refuses_nothing_and_is_said() {
    let (mut world, first) = released(&[]).await;
    let workspace = world.folder.path().join("context").display().to_string();
    world.set("GITHUB_WORKSPACE", &workspace).set("INPUT_SARIF-FILE", "all.sarif");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let since = &first.outputs["digest"];
    assert!(run.log.contains(&format!("1 finding known since `{since}`")), "{}", run.log);
    assert!(!run.log.contains(UNKNOWN), "{}", run.log);
    assert!(run.summary.contains(&format!("known since {}", &since[..19])), "{}", run.summary);
    assert_eq!(world.tags().await["latest"], run.outputs["digest"]);
    // It is open in the document, and in what is signed.
    let text = std::fs::read_to_string(world.folder.path().join("context/all.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["suppressions"], json!([]), "{result}");
    assert_eq!(result["properties"]["knownSince"], since.as_str(), "{result}");
    let (identity, issuer) = world.identity();
    let root = world.sandbox.trusted_root().display().to_string();
    let image = format!("{}@{}", world.repository(), run.outputs["digest"]);
    let who = ["verify", "--certificate-identity", &identity, "--certificate-oidc-issuer", &issuer];
    let rules = ["--trusted-root", &root, "--fail-on", "critical", &image];
    let verified = world.run(&[&who[..], &rules[..]].concat(), &[]).await;
    assert_eq!(verified.code, Some(1), "who pulls it decides anew: {}", verified.log);
    // A rerun keeps what is published.
    let again = world.publish().await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    assert_eq!(again.outputs["digest"], run.outputs["digest"]);
}

#[tokio::test]
async fn what_is_new_refuses_on_its_platform() {
    let (world, _) = released(&[]).await;
    write_sboms(&world, &[LOG4J], &[LOG4J, MINIMIST]);
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(
        run.log.contains("nothing was tagged: 1 critical vulnerability that has a fix"),
        "{}",
        run.log
    );
    assert!(run.log.contains("minimist") && run.log.contains("linux/arm64"), "{}", run.log);
    assert!(!run.log.contains("  CVE-2021-44228 (critical)"), "{}", run.log);
    assert!(!world.tags().await.contains_key("v1.2.4"));
}

#[tokio::test]
async fn a_flaw_of_another_platform_is_new() {
    let mut world = alike(&[REPAIRED]).await;
    write_sboms(&world, &[LOG4J], &[REPAIRED]);
    world.at("refs/tags/v1.2.3", &"a".repeat(40));
    let run = world.run(&[], &[("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    write_sboms(&world, &[LOG4J], &[LOG4J]);
    world.set("INPUT_TAGS", "v1.2.4\nlatest").set("INPUT_NEW-SINCE-RELEASE", "true");
    world.set("FAKE_BUILDX_SALT", "2").at("refs/tags/v1.2.4", &"b".repeat(40));
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("(linux/arm64)"), "{}", run.log);
}

#[tokio::test]
async fn where_nobody_knows_every_finding_counts() {
    // There is no image yet.
    let mut world = alike(&[LOG4J]).await;
    world.set("INPUT_NEW-SINCE-RELEASE", "true");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in [UNKNOWN, "no tag of this run points to an image yet"] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
    // It was published without a scan, or what it has was accepted.
    let (world, _) = released(&[("INPUT_SCAN", "false")]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in [UNKNOWN, "it has no signed result of a scan"] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
    let risks = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        risks.path(),
        "accepted:\n  - id: CVE-2021-44228\n    reason: a test\n    expires: 2999-01-01\n",
    )
    .unwrap();
    let (world, _) = released(&[("INPUT_IGNORE-FILE", risks.path().to_str().unwrap())]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(!run.log.contains(UNKNOWN), "{}", run.log);
}

/// Whoever may push an image with a flaw may not say as well that it is known.
#[tokio::test]
async fn a_result_of_another_workflow_does_not_count() {
    let (mut world, _) = released(&[]).await;
    let claims = supply_action::sandbox::Claims {
        job_workflow_ref: "example/hello/.github/workflows/other.yml@refs/tags/v1.2.4".to_owned(),
        ..supply_action::sandbox::Claims::of("example/hello", "refs/tags/v1.2.4", "push")
    };
    world.act_as(claims);
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in [UNKNOWN, "its results are not by a run of this workflow"] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
}

#[tokio::test]
async fn each_target_of_a_bake_file_has_its_own_published_image() {
    let mut world = bake::world().await;
    world.set("FAKE_BUILDX", "flawed:web");
    let run = world.run(&["bake"], &[("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.set("INPUT_NEW-SINCE-RELEASE", "true").set("INPUT_ON-TAG-CONFLICT", "overwrite");
    world.set("FAKE_BUILDX_SALT", "2");
    let run = world.run(&["bake"], &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("known since"), "{}", run.log);
    let run =
        world.run(&["bake"], &[("FAKE_BUILDX", "flawed:api"), ("FAKE_BUILDX_SALT", "3")]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
}

#[tokio::test]
async fn it_is_told_where_it_changes_nothing() {
    let mut world = alike(&[REPAIRED]).await;
    world.set("INPUT_NEW-SINCE-RELEASE", "true");
    let run = world.run(&[], &[("INPUT_SCAN", "false")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("input `new-since-release` has no effect"), "{}", run.log);
    let run = world.run(&[], &[("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(
        run.log.contains("input `new-since-release`: `true` beside `fail-on: none`"),
        "{}",
        run.log
    );
}
