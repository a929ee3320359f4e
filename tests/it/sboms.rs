//! Where the SBOMs come from: this action's scanner, BuildKit's generator, or the user's own files. None is signed that does not hold together.

use serde_json::Value;

use crate::support::{Run, World};

const SPDX: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","name":"mine","documentNamespace":"https://x.example/1",
    "creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"}]}"#;
const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a"}]}"#;

/// The arguments buildx was started with.
fn arguments(world: &World) -> Vec<String> {
    serde_json::from_slice(&std::fs::read(world.folder.path().join("arguments")).unwrap()).unwrap()
}

fn kinds_of_platforms(run: &Run) -> Vec<Vec<String>> {
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let platforms = evidence["subjects"].as_array().unwrap().iter().filter(|subject| subject["kind"] == "platform");
    let kinds = |subject: &Value| {
        let attested = subject["attestations"].as_array().unwrap().iter().filter(|found| found["format"] == "bundle");
        attested.map(|found| found["predicateType"].as_str().unwrap().to_owned()).collect()
    };
    platforms.map(kinds).collect()
}

async fn world() -> World {
    let mut world = World::new().await;
    let file = world.folder.path().join("arguments").display().to_string();
    world.set("FAKE_BUILDX_ARGUMENTS", &file);
    world
}

#[tokio::test]
async fn a_file_of_ones_own_is_attested_to_every_platform_and_buildkit_makes_none() {
    let mut world = world().await;
    let file = world.folder.path().join("own.cdx.json");
    std::fs::write(&file, CYCLONEDX).unwrap();
    world.set("INPUT_SBOM", file.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(arguments(&world).contains(&"type=sbom,disabled=true".to_owned()), "{:?}", arguments(&world));
    let kinds = kinds_of_platforms(&run);
    assert_eq!(kinds.len(), 2);
    for kinds in kinds {
        assert!(kinds.contains(&"https://cyclonedx.org/bom".to_owned()) && !kinds.iter().any(|kind| kind.contains("spdx")), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_file_for_each_platform_is_attested_to_its_own() {
    let mut world = world().await;
    let folder = world.folder.path().to_owned();
    for platform in ["linux-amd64", "linux-arm64"] {
        std::fs::write(folder.join(format!("{platform}.json")), SPDX.replace("mine", platform)).unwrap();
    }
    world.set("INPUT_SBOM", folder.join("{platform}.json").to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    for subject in evidence["subjects"].as_array().unwrap().iter().filter(|subject| subject["kind"] == "platform") {
        let attested = subject["attestations"].as_array().unwrap();
        let sbom =
            attested.iter().find(|found| found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document").unwrap();
        let digest = sbom["bundle"].as_str().unwrap();
        let url = format!("http://{}/v2/app/blobs/{digest}", world.sandbox.registry());
        let bundle: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let payload =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle["dsseEnvelope"]["payload"].as_str().unwrap());
        let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
        assert_eq!(statement["predicate"]["name"], subject["platform"].as_str().unwrap().replace('/', "-"), "{subject}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_hold_together_stops_the_run_before_it_starts() {
    let mut world = world().await;
    let file = world.folder.path().join("own.json");
    std::fs::write(&file, SPDX.replace(r#""name":"a","#, "")).unwrap();
    world.set("INPUT_SBOM", file.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("nothing was built") && run.log.contains("its `packages.name` is missing"), "{}", run.log);
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
}

#[tokio::test]
async fn buildkits_generator_is_imported_and_checked_before_it_is_signed() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "buildkit");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(arguments(&world).contains(&"type=sbom,disabled=false".to_owned()), "{:?}", arguments(&world));
    assert!(kinds_of_platforms(&run).iter().all(|kinds| kinds.contains(&"https://spdx.dev/Document".to_owned())));
    world.set("FAKE_BUILDX", "broken-sbom").set("INPUT_TAGS", "v2.0.0");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for words in ["nothing was tagged", "is not signed", "names `SPDXRef-Nothing`, which is not in it"] {
        assert!(run.log.contains(words), "{words} is missing in:\n{}", run.log);
    }
    assert!(!world.tags().await.contains_key("v2.0.0"));
}

#[tokio::test]
async fn where_the_builder_cannot_run_our_scanner_buildkits_stands_in_unless_ours_is_insisted_on() {
    let mut world = world().await;
    world.unset("SUPPLY_ACTION_SCANNER").set("FAKE_BUILDX", "foreign-builder").set("INPUT_PLATFORMS", "linux/s390x");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(arguments(&world).contains(&"type=sbom".to_owned()), "{:?}", arguments(&world));
    assert!(run.log.contains("so BuildKit's generator makes the SBOMs"), "{}", run.log);
    world.set("INPUT_SBOM", "scanner").set("INPUT_TAGS", "v2.0.0");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("nothing was tagged") && run.log.contains("which this action's scanner is made for"), "{}", run.log);
}
