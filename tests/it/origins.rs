//! Where a finding comes from: the base image or a line of the Dockerfile, told by refusals,
//! summaries, SARIF and the action `scan`; what nobody knows is not told.

use serde_json::{Value, json};
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::support::{Run, World, always, cyclonedx};

const PURLS: [&str; 2] = ["pkg:npm/minimist@1.2.5", "pkg:pypi/requests@2.31.0"];

fn minimist(version: &str) -> Value {
    let manifest = json!({ "name": "minimist", "version": version });
    json!(["usr/lib/node_modules/minimist/package.json", manifest.to_string()])
}

/// A world whose image has a flaw from its base image, and one of its own.
async fn world() -> World {
    let mut world = World::new().await;
    plant(&world, "1.2.5");
    let file = world.folder.path().join("planted.json").display().to_string();
    world.set("FAKE_BUILDX_PLANTED", &file);
    world.set("INPUT_PLATFORMS", "linux/amd64");
    world
}

fn plant(world: &World, of_base: &str) {
    let metadata = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n";
    let requests = json!(["app/lib/requests-2.31.0.dist-info/METADATA", metadata]);
    let planted = json!({ "base": [[minimist(of_base)]], "layers": [[requests]] });
    std::fs::write(world.folder.path().join("planted.json"), planted.to_string()).unwrap();
}

/// An SBOM that says nothing of layers.
fn sbom(world: &World) -> String {
    let file = world.folder.path().join("sbom.json");
    std::fs::write(&file, cyclonedx(&PURLS).to_string()).unwrap();
    file.display().to_string()
}

/// The line of the log that is about a flaw.
fn line<'a>(run: &'a Run, id: &str) -> &'a str {
    // An annotation is one line of the log.
    let mut lines = run.log.lines().flat_map(|line| line.split("%0A"));
    lines
        .find(|line| line.contains(id) && line.contains(" in "))
        .unwrap_or_else(|| panic!("{id}: {}", run.log))
}

async fn refused(world: &World, inputs: &[(&str, &str)]) -> Run {
    let run = world.run(&[], &[&[("INPUT_FAIL-ON", "medium")], inputs].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(world.tags().await.is_empty(), "{}", run.log);
    run
}

#[tokio::test]
async fn a_refusal_names_the_base_image_and_the_line() {
    let mut world = world().await;
    let workspace = world.folder.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    world.set("GITHUB_WORKSPACE", &workspace.display().to_string());
    world.set("INPUT_SARIF-FILE", "found.sarif");
    let sbom = sbom(&world);
    // The same whether the SBOM names layers or they are read for it.
    for from in ["registry", &sbom] {
        let run = refused(&world, &[("INPUT_SBOM", from)]).await;
        let of_base = line(&run, "CVE-2021-44906");
        assert!(of_base.contains("layer "), "{of_base}");
        assert!(of_base.ends_with("base image, docker/Dockerfile:2)"), "{of_base}");
        let own = line(&run, "CVE-2024-35195");
        assert!(own.ends_with(", docker/Dockerfile:4)") && !own.contains("base image"), "{own}");
        for told in ["the base image ", "/base:12 brings 1 of 2 open findings"] {
            assert!(run.log.contains(told), "{told}: {}", run.log);
        }
        assert!(!run.log.contains("the newer image"), "there is none: {}", run.log);
        let sarif = std::fs::read_to_string(workspace.join("found.sarif")).unwrap();
        let sarif: Value = serde_json::from_str(&sarif).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        for (id, line) in [("CVE-2021-44906", 2), ("CVE-2024-35195", 4)] {
            let result = results.iter().find(|it| it["ruleId"] == id).unwrap();
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "docker/Dockerfile", "{result}");
            assert_eq!(place["region"]["startLine"], line, "{result}");
        }
    }
}

/// What is published is told apart where its SBOM says what layers brought, and read for nothing.
#[tokio::test]
async fn what_passes_is_told_apart_without_reading_a_layer() {
    let mut world = world().await;
    world.set("INPUT_FAIL-ON", "none").set("INPUT_SBOM", "registry");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.summary.contains("brings 1 of 2 open findings"), "{}", run.summary);
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite").set("FAKE_BUILDX_SALT", "2");
    let sbom = sbom(&world);
    let run = world.run(&[], &[("INPUT_SBOM", &sbom), ("INPUT_FAIL-ON-SECRETS", "skip")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(!run.summary.contains("brings"), "{}", run.summary);
}

#[tokio::test]
async fn a_scan_later_says_what_a_newer_base_image_repairs() {
    let mut world = world().await;
    let sbom = sbom(&world);
    let published = world.run(&[], &[("INPUT_SBOM", &sbom), ("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(published.code, Some(0), "{}", published.log);
    plant(&world, "1.2.8");
    // Another build finds another image behind the same tag.
    let newer = [("INPUT_TAGS", "v9"), ("INPUT_SCAN", "false"), ("FAKE_BUILDX_SALT", "2")];
    let other = world.run(&[], &newer).await;
    assert_eq!(other.code, Some(0), "{}", other.log);
    for name in ["INPUT_IMAGES", "INPUT_CONTEXT", "INPUT_TAGS", "INPUT_PLATFORMS"] {
        world.unset(name);
    }
    world.unset("INPUT_BUILDER-ENDPOINT");
    let image = format!("{}@{}", world.repository(), published.outputs["digest"]);
    let issuer = world.identity().1;
    world.set("INPUT_IMAGE", &image).set("INPUT_CERTIFICATE-OIDC-ISSUER", &issuer);
    let run = world.run(&["scan"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let told =
        "/base:12 brings 1 of 2 open findings; the newer image behind that name repairs 1 of them";
    assert!(run.log.contains(told), "{}", run.log);
    assert!(
        run.summary.contains("the newer image behind that name repairs 1 of them"),
        "{}",
        run.summary
    );
    let of_base = line(&run, "CVE-2021-44906");
    assert!(of_base.contains("base image, docker/Dockerfile:2"), "{of_base}");
    let result: Value = serde_json::from_str(&run.outputs["result"]).unwrap();
    let base = &result[0]["result"]["images"][0]["base"];
    assert_eq!(base["newer"]["repairs"], 1, "{result}");
    // A registry that does not answer leaves it open, and the verdict is the same.
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/v2/base/manifests/12",
        FaultEffect::Status(403),
    ));
    let run = world.run(&["scan"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(!run.log.contains("the newer image"), "{}", run.log);
    assert!(run.log.contains("/v2/base/manifests/12"), "{}", run.log);
}
