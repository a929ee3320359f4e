//! Publications to registries as they are: each habit of a known one is kept by the sandbox, and what was published there
//! verifies for a stranger.

use supply_action::sandbox::{Effect, Fault, Habit, Request, Service};

use crate::support::{Run, World, always};

async fn world_of(habit: Habit) -> World {
    World::with(|config| {
        config.habit = Some(habit);
        config.registry_login = Some(("octo".into(), "hunter2".into()));
    })
    .await
}

/// Publishes, and checks as a stranger what is there.
async fn published(world: &World) -> Run {
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}\n{:#?}", run.log, refusals(world));
    world.verify(&run.outputs["digest"]).await.unwrap();
    let tags = world.tags().await;
    assert!(tags.len() == 3 && tags.values().all(|named| *named == run.outputs["digest"]), "{tags:?}");
    run
}

fn registry_requests(world: &World) -> Vec<Request> {
    world.sandbox.requests().into_iter().filter(|request| request.service == Service::Registry).collect()
}

fn refusals(world: &World) -> Vec<Request> {
    registry_requests(world).into_iter().filter(|request| request.status >= 400 && request.status != 404).collect()
}

fn count(requests: &[Request], method: &str, part: &str, status: u16) -> usize {
    let one = |request: &&Request| request.method == method && request.path.contains(part) && request.status == status;
    requests.iter().filter(one).count()
}

async fn has_fallback_tags(world: &World) -> bool {
    world.all_tags().await.iter().any(|tag| tag.starts_with("sha256-") && !tag.contains('.'))
}

#[tokio::test]
async fn ghcr_has_no_referrers_and_learns_of_blobs_late() {
    let world = world_of(Habit::Ghcr).await;
    published(&world).await;
    let requests = registry_requests(&world);
    assert!(has_fallback_tags(&world).await);
    assert!(count(&requests, "PUT", "/manifests/", 404) > 0, "no manifest was refused for a blob that was not known yet");
    let tokens = count(&requests, "GET", "/token", 200);
    assert!(tokens > 2, "a token that ran out was not renewed: {tokens}");
}

#[tokio::test]
async fn ecr_leaves_a_tag_where_it_is() {
    let mut world = world_of(Habit::Ecr).await;
    published(&world).await;
    assert_eq!(count(&registry_requests(&world), "GET", "/token", 200), 0, "its logins are basic");
    // The same image again: every name is where it belongs, though none may be put.
    published(&world).await;
    // Another image: names that may not move are said, and stay.
    let before = world.tags().await;
    let run = world.set("FAKE_BUILDX_SALT", "other").set("INPUT_TAGS", "latest").publish().await;
    assert!(run.code == Some(1) || run.code == Some(3), "{}", run.log);
    for words in ["immutable", "hint:"] {
        assert!(run.log.contains(words), "`{words}` is missing in {}", run.log);
    }
    assert_eq!(world.tags().await, before);
}

#[tokio::test]
async fn ecr_echoed_a_subject_that_it_did_not_keep() {
    let world = World::with(|config| {
        config.habit = Some(Habit::Ecr);
        config.referrers_api = false;
    })
    .await;
    // Its tags do not move, so two bundles of one subject cannot both be listed: refused, and nothing stands without proof.
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("nothing was tagged") && run.log.contains("immutable"), "{}", run.log);
    assert!(has_fallback_tags(&world).await, "`OCI-Subject` was believed");
    assert_eq!(world.tags().await.len(), 0);
}

#[tokio::test]
async fn quay_lists_referrers_in_pages_and_sends_elsewhere_for_blobs() {
    let world = world_of(Habit::Quay).await;
    published(&world).await;
    let pages = registry_requests(&world).iter().filter(|request| request.path.contains("/referrers/") && request.query.is_some()).count();
    assert!(pages > 0, "no second page was asked for");
    assert!(!has_fallback_tags(&world).await);
    assert!(world.sandbox.requests().iter().any(|request| request.service == Service::Storage && request.status == 200));
}

#[tokio::test]
async fn docker_hub_limits_pulls_and_its_storage_gets_no_login() {
    let world = world_of(Habit::DockerHub).await;
    published(&world).await;
    let limited = refusals(&world);
    assert!(limited.iter().any(|request| request.status == 429), "no pull was limited");
    assert!(limited.iter().all(|request| request.status == 429 || request.status == 401), "who was told to wait did not: {limited:#?}");
    let stored: Vec<Request> = world.sandbox.requests().into_iter().filter(|request| request.service == Service::Storage).collect();
    assert!(!stored.is_empty() && stored.iter().all(|request| request.status == 200), "{stored:#?}");
}

#[tokio::test]
async fn harbor_names_places_absolutely_and_removes_accessories_with_their_subject() {
    let world = world_of(Habit::Harbor).await;
    let run = published(&world).await;
    assert!(!has_fallback_tags(&world).await);
    let accessories = world.registry().referrers(&world.repository(), &run.outputs["digest"].parse().unwrap()).await.unwrap();
    assert!(!accessories.is_empty());
    let kept = world.folder.path().join("sandbox/registry/repositories/app/_manifests").join(accessories[0].digest.hex());
    assert!(kept.exists());
}

#[tokio::test]
async fn artifactory_says_neither_subject_nor_location() {
    let world = world_of(Habit::Artifactory).await;
    published(&world).await;
    assert!(has_fallback_tags(&world).await, "without `OCI-Subject` the fallback tag is the client's to write");
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_not_lost() {
    let world = World::new().await;
    world.sandbox.faults().add(Fault { times: 3, ..always(Service::Registry, Some("PUT"), "/blobs/uploads/", Effect::LoseAnswer) });
    published(&world).await;
}
