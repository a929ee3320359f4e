//! Names that others move, and publications that stop between two names.

use supply_action::sandbox::{Fault, FaultEffect, SandboxService};

use crate::support::World;

/// Publishes once and gives the digest.
async fn published(world: &World) -> String {
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    run.outputs["digest"].clone()
}

/// Puts `tag` on a manifest that is in the registry, as another run would.
pub(crate) async fn move_tag(world: &World, tag: &str, digest: &str) {
    let url = |reference: &str| {
        format!("http://{}/v2/app/manifests/{reference}", world.sandbox.registry())
    };
    let manifest = reqwest::get(url(digest)).await.unwrap();
    let kind = manifest.headers()["content-type"].clone();
    let bytes = manifest.bytes().await.unwrap();
    let answer = reqwest::Client::new()
        .put(url(tag))
        .header("content-type", kind)
        .body(bytes)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
}

/// The image of the first platform, which has no evidence of a workflow.
pub(crate) async fn platform_of(world: &World, index: &str) -> String {
    let bytes =
        reqwest::get(format!("http://{}/v2/app/manifests/{index}", world.sandbox.registry()))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
    let index: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// Starts a publication, lets it plan, moves `latest` while it builds, and lets it end.
async fn raced(world: &mut World, to: &str) -> crate::support::Run {
    // The build's first own request is held up long enough for the race.
    world.sandbox.faults().add(Fault {
        service: SandboxService::Fulcio,
        method: Some("POST"),
        path_contains: String::new(),
        skip: 0,
        times: 1,
        effect: FaultEffect::Delay(std::time::Duration::from_millis(1500)),
    });
    let fulcio_before = certificates(world);
    let child = world.command().stderr(std::process::Stdio::piped()).spawn().unwrap();
    while certificates(world) == fulcio_before && !waiting_for_certificate(world) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    move_tag(world, "latest", to).await;
    let output = child.wait_with_output().await.unwrap();
    world.run_of(output.status.code(), &output.stderr)
}

fn certificates(world: &World) -> usize {
    world
        .sandbox
        .requests()
        .iter()
        .filter(|request| request.service == SandboxService::Fulcio)
        .count()
}

/// A delayed request may be listed only when it is answered; the index pushed by the build is the
/// other sign.
fn waiting_for_certificate(world: &World) -> bool {
    let requests = world.sandbox.requests();
    let planned = requests.iter().rposition(|request| {
        request.method == "GET" && request.path.ends_with("/manifests/latest")
    });
    let built = requests.iter().rposition(|request| {
        request.method == "PUT" && request.path.contains("/manifests/sha256:")
    });
    matches!((planned, built), (Some(planned), Some(built)) if planned < built)
}

#[tokio::test]
async fn a_name_that_somebody_moved_is_reported_and_not_overwritten() {
    let mut world = World::new().await;
    // Another image, by somebody else: it lies in the registry without our evidence.
    world.set("INPUT_TAGS", "v1\nlatest");
    let first = published(&world).await;
    let stranger = platform_of(&world, &first).await;
    world.set("FAKE_BUILDX_SALT", "second");
    let run = raced(&mut world, &stranger).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for word in [
        "nothing was tagged",
        "latest` moved during this run",
        ", from `",
        "on-tag-conflict: overwrite",
    ] {
        assert!(run.log.contains(word), "`{word}` is missing in {}", run.log);
    }
    let tags = world.tags().await;
    assert_eq!((tags["latest"].as_str(), tags["v1"].as_str()), (stranger.as_str(), first.as_str()));
}

#[tokio::test]
async fn overwriting_may_be_asked_for() {
    let mut world = World::new().await;
    published(world.set("INPUT_TAGS", "v1\nlatest")).await;
    let other = published(world.set("FAKE_BUILDX_SALT", "other")).await;
    world.set("FAKE_BUILDX_SALT", "third").set("INPUT_ON-TAG-CONFLICT", "overwrite");
    let run = raced(&mut world, &other).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(world.tags().await["latest"], run.outputs["digest"]);
}

#[tokio::test]
async fn a_run_of_the_same_commit_is_no_conflict() {
    let mut world = World::new().await;
    // Published by a run of this commit, with evidence that says so; then `latest` is moved away
    // and back by "the other attempt".
    world.set("INPUT_TAGS", "v1\nlatest");
    let first = published(&world).await;
    let second = published(world.set("FAKE_BUILDX_SALT", "second attempt")).await;
    assert_ne!(first, second);
    world.set("FAKE_BUILDX_SALT", "third attempt");
    let run = raced(&mut world, &first).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(world.tags().await["latest"], run.outputs["digest"]);
}

#[tokio::test]
async fn a_failure_between_two_names_says_which_and_a_rerun_completes_them() {
    let world = World::new().await;
    world.sandbox.faults().add(Fault {
        service: SandboxService::Registry,
        method: Some("PUT"),
        path_contains: "/manifests/v1".into(),
        skip: 1,
        times: usize::MAX,
        effect: FaultEffect::Status(403),
    });
    let run = world.publish().await;
    assert_eq!(run.code, Some(3), "{}", run.log);
    let image = format!("{}/app", world.sandbox.registry());
    for word in [
        format!(
            "only some tags were set; set: `{image}:v1.2.3`; not set: `{image}:v1`, `{image}:latest`"
        ),
        "403".into(),
        "run the workflow again".into(),
    ] {
        assert!(run.log.contains(&word), "`{word}` is missing in {}", run.log);
    }
    world.sandbox.faults().clear();
    assert_eq!(world.tags().await.keys().collect::<Vec<_>>(), ["v1.2.3"]);
    let rerun = world.publish().await;
    assert_eq!(rerun.code, Some(0), "{}", rerun.log);
    assert_eq!(world.tags().await.len(), 3);
}
