//! Publications to registries as they are: each habit of a known one is kept by the sandbox, and
//! what was published there verifies for a stranger.

use std::collections::BTreeMap;
use std::time::Duration;

use supply_action::registry::legacy::{Attached, LegacyLayer};
use supply_action::registry::manifest::{Descriptor, OCI_INDEX, OCI_MANIFEST};
use supply_action::registry::{ReferrerArtifact, Registry};
use supply_action::sandbox::{Fault, FaultEffect, Habit, Request, SandboxService};

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
    assert!(
        tags.len() == 3 && tags.values().all(|named| *named == run.outputs["digest"]),
        "{tags:?}"
    );
    run
}

fn registry_requests(world: &World) -> Vec<Request> {
    world
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.service == SandboxService::Registry)
        .collect()
}

fn refusals(world: &World) -> Vec<Request> {
    registry_requests(world)
        .into_iter()
        .filter(|request| request.status >= 400 && request.status != 404)
        .collect()
}

fn count(requests: &[Request], method: &str, part: &str, status: u16) -> usize {
    let one = |request: &&Request| {
        request.method == method && request.path.contains(part) && request.status == status
    };
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
    assert!(
        count(&requests, "PUT", "/manifests/", 404) > 0,
        "no manifest was refused for a blob that was not known yet"
    );
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
    published(&world).await;
    assert!(has_fallback_tags(&world).await, "`OCI-Subject` was believed");
}

#[tokio::test]
async fn quay_lists_referrers_in_pages_and_sends_elsewhere_for_blobs() {
    let world = world_of(Habit::Quay).await;
    published(&world).await;
    let pages = registry_requests(&world)
        .iter()
        .filter(|request| request.path.contains("/referrers/") && request.query.is_some())
        .count();
    assert!(pages > 0, "no second page was asked for");
    assert!(!has_fallback_tags(&world).await);
    assert!(
        world
            .sandbox
            .requests()
            .iter()
            .any(|request| request.service == SandboxService::Storage && request.status == 200)
    );
}

#[tokio::test]
async fn docker_hub_limits_pulls_and_its_storage_gets_no_login() {
    let world = world_of(Habit::DockerHub).await;
    published(&world).await;
    let limited = refusals(&world);
    assert!(limited.iter().any(|request| request.status == 429), "no pull was limited");
    assert!(
        limited.iter().all(|request| request.status == 429 || request.status == 401),
        "who was told to wait did not: {limited:#?}"
    );
    let stored: Vec<Request> = world
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.service == SandboxService::Storage)
        .collect();
    assert!(
        !stored.is_empty() && stored.iter().all(|request| request.status == 200),
        "{stored:#?}"
    );
}

#[tokio::test]
async fn harbor_names_places_absolutely_and_removes_accessories_with_their_subject() {
    published(&world_of(Habit::Harbor).await).await;
    let world = World::with(|config| config.habit = Some(Habit::Harbor)).await;
    let run = published(&world).await;
    assert!(!has_fallback_tags(&world).await);
    let image = world.repository().at(&run.outputs["digest"].parse().unwrap());
    let accessories = world.registry().referrers(&image.repository, &image.digest).await.unwrap();
    let accessory = image.repository.at(&accessories[0].digest);
    assert!(world.registry().manifest(&accessory).await.unwrap().is_some());
    let url = format!("http://{}/v2/app/manifests/{}", world.sandbox.registry(), image.digest);
    assert_eq!(reqwest::Client::new().delete(url).send().await.unwrap().status(), 202);
    assert!(world.registry().referrers(&image.repository, &image.digest).await.unwrap().is_empty());
    assert!(world.registry().manifest(&accessory).await.unwrap().is_none());
    // What is gone is signed and named again by the next run.
    published(&world).await;
}

#[tokio::test]
async fn artifactory_says_neither_subject_nor_location() {
    let world = world_of(Habit::Artifactory).await;
    published(&world).await;
    assert!(
        has_fallback_tags(&world).await,
        "without `OCI-Subject` the fallback tag is the client's to write"
    );
}

#[tokio::test]
async fn gitlab_answers_a_fallback_tag_with_the_image_itself() {
    let world = world_of(Habit::GitLab).await;
    let run = published(&world).await;
    assert!(has_fallback_tags(&world).await);
    let listed = world
        .registry()
        .referrers(&world.repository(), &run.outputs["digest"].parse().unwrap())
        .await
        .unwrap();
    assert!(
        !listed.is_empty() && listed.iter().all(|entry| entry.artifact_type.is_some()),
        "its own platforms are no evidence: {listed:#?}"
    );
    // What is there is found again.
    let before = world.all_tags().await.len();
    published(&world).await;
    assert_eq!(world.all_tags().await.len(), before);
}

/// Puts a manifest under a tag, as other programs do.
async fn put(world: &World, tag: &str, bytes: &[u8], kind: &str) {
    let url = format!("http://{}/v2/app/manifests/{tag}", world.sandbox.registry());
    let request = reqwest::Client::new().put(url).header("content-type", kind).body(bytes.to_vec());
    assert_eq!(request.send().await.unwrap().status(), 201);
}

fn bundle() -> ReferrerArtifact {
    ReferrerArtifact {
        artifact_type: "application/vnd.test",
        layer: "bundle".into(),
        annotations: BTreeMap::new(),
    }
}

async fn attach(world: &World, subject: &Descriptor) -> Result<(), String> {
    let (registry, repository) =
        (Registry::for_publishing(reqwest::Client::new(), world.credentials()), world.repository());
    let place = registry.open_upload(&repository).await.unwrap();
    registry.stage_artifact(&repository, place, &bundle()).await.unwrap();
    registry.stage_empty_config(&repository).await.unwrap();
    registry
        .attach_artifact(&repository, subject, &bundle())
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// `cosign copy` leaves tags of that form which name the image itself; go-containerregistry
/// overwrites none either.
#[tokio::test]
async fn a_fallback_tag_that_is_no_list_is_no_evidence_and_is_not_overwritten() {
    for habit in [None, Some(Habit::GitLab)] {
        let world =
            World::with(|config| (config.habit, config.referrers_api) = (habit, false)).await;
        let image = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        let subject = Descriptor::of(image, OCI_INDEX);
        let tag = format!("sha256-{}", subject.digest.hex());
        put(&world, &tag, image, OCI_INDEX).await;
        let repository = world.repository();
        assert!(world.registry().referrers(&repository, &subject.digest).await.unwrap().is_empty());
        let refused = attach(&world, &subject).await.unwrap_err();
        assert!(
            refused.contains("points to the image itself, as `cosign copy` leaves it"),
            "{refused}"
        );
        let stands =
            world.registry().tagged(&repository, &tag.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(stands.descriptor.digest, subject.digest);
        // A registry that does not say whether there is such a tag is not taken to have none.
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            "/tags/list",
            FaultEffect::Status(403),
        ));
        assert!(attach(&world, &subject).await.unwrap_err().contains("403"));
        // Another image's name.
        let other = Descriptor::of(b"other", OCI_MANIFEST);
        let tag = format!("sha256-{}", other.digest.hex());
        put(&world, &tag, br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#, OCI_MANIFEST)
            .await;
        assert!(world.registry().referrers(&repository, &other.digest).await.unwrap().is_empty());
        assert!(
            attach(&world, &other)
                .await
                .unwrap_err()
                .contains("points to something that is not a list")
        );
    }
}

/// A registry that never tells the list from the image cannot keep it: that is said, and with it
/// what can be kept there.
#[tokio::test]
async fn a_list_that_reads_back_as_the_image_is_told() {
    let world = World::with(|config| config.referrers_api = false).await;
    let image = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let subject = Descriptor::of(image, OCI_INDEX);
    let path = format!("/manifests/sha256-{}", subject.digest.hex());
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        &path,
        FaultEffect::Body(image.to_vec()),
    ));
    let refused = attach(&world, &subject).await.unwrap_err();
    assert!(refused.contains("answers with the image of that digest"), "{refused}");
}

#[tokio::test]
async fn a_build_whose_push_met_a_late_registry_is_run_again() {
    for verb in [&[][..], &["bake"]] {
        let mut world = World::new().await;
        let late = world.folder.path().join("late");
        world.set("FAKE_BUILDX_LATE", late.to_str().unwrap());
        if verb == ["bake"] {
            let folder = world.folder.path().join("context");
            let target = serde_json::json!({
                "context": ".", "platforms": ["linux/amd64", "linux/arm64"], "tags": [format!("{}/app:v1.2.3", world.sandbox.registry())],
            });
            std::fs::write(
                folder.join("docker-bake.json"),
                serde_json::json!({ "target": { "app": target } }).to_string(),
            )
            .unwrap();
            for one_image in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT"] {
                world.unset(one_image);
            }
            world.set("INPUT_SOURCE", folder.to_str().unwrap()).set("INPUT_TARGETS", "app");
        }
        std::fs::write(&late, "x").unwrap();
        let run = world.run(verb, &[]).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert!(run.log.contains("so the build runs again, from its cache"), "{}", run.log);
        // Not for ever.
        std::fs::write(&late, "xxxxxxxx").unwrap();
        let run = world
            .run(verb, &[("FAKE_BUILDX_SALT", "other"), ("INPUT_ON-TAG-CONFLICT", "overwrite")])
            .await;
        assert_eq!((run.code, std::fs::read(&late).unwrap().len()), (Some(1), 5), "{}", run.log);
        assert!(
            run.log.contains("nothing was tagged") && run.log.contains("is not known"),
            "{}",
            run.log
        );
    }
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_not_lost() {
    let world = World::new().await;
    world.sandbox.faults().add(Fault {
        times: 3,
        ..always(SandboxService::Registry, Some("PUT"), "/blobs/uploads/", FaultEffect::LoseAnswer)
    });
    published(&world).await;
}

#[tokio::test]
async fn a_place_without_a_location_is_where_the_upload_id_says() {
    let world = World::new().await;
    // The first upload is the preflight's.
    let fault = always(
        SandboxService::Registry,
        Some("POST"),
        "/blobs/uploads/",
        FaultEffect::WithoutHeader("location"),
    );
    world.sandbox.faults().add(Fault { times: 1, ..fault });
    published(&world).await;
}

#[tokio::test]
async fn a_registry_that_wants_an_hour_is_not_asked_again() {
    let world = World::new().await;
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("POST"),
        "/blobs/uploads/",
        FaultEffect::StatusRetryAfter(429, 3600),
    ));
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("asks to wait `3600` seconds"), "{}", run.log);
    assert_eq!(count(&registry_requests(&world), "POST", "/blobs/uploads/", 429), 1);
}

#[tokio::test]
async fn a_broken_upload_of_a_large_blob_goes_on_where_it_broke() {
    for arrived in [700_000, 0] {
        let world =
            World::with(|config| config.registry_login = Some(("octo".into(), "hunter2".into())))
                .await;
        let bytes = bytes::Bytes::from(
            (0..3_000_000_u32).map(|number| (number % 251) as u8).collect::<Vec<u8>>(),
        );
        let blob = Descriptor::of(&bytes, "application/vnd.test");
        world.sandbox.faults().add(Fault {
            times: 2,
            ..always(
                SandboxService::Registry,
                Some("PATCH"),
                "/blobs/uploads/",
                FaultEffect::CutBody(arrived),
            )
        });
        let registry = Registry::for_publishing(reqwest::Client::new(), world.credentials());
        registry.ensure_blob(&world.repository(), &bytes, &blob).await.unwrap();
        assert_eq!(registry.blob(&world.repository(), &blob, bytes.len()).await.unwrap(), bytes);
        let requests = registry_requests(&world);
        let asked = count(&requests, "GET", "/blobs/uploads/", 204);
        assert_eq!(
            (asked, count(&requests, "PATCH", "/blobs/uploads/", 202)),
            (2, 1),
            "{requests:#?}"
        );
        assert_eq!(count(&requests, "POST", "/blobs/uploads/", 202), 1, "{requests:#?}");
    }
}

#[tokio::test]
async fn a_broken_upload_of_evidence_is_begun_again() {
    let world = World::new().await;
    let (bytes, repository) = (bytes::Bytes::from_static(b"a bundle"), world.repository());
    let blob = Descriptor::of(&bytes, "application/vnd.test");
    world.sandbox.faults().add(Fault {
        times: 1,
        ..always(SandboxService::Registry, Some("PUT"), "/blobs/uploads/", FaultEffect::CutBody(1))
    });
    let registry = Registry::for_publishing(reqwest::Client::new(), world.credentials());
    registry.ensure_blob(&repository, &bytes, &blob).await.unwrap();
    assert_eq!(registry.blob(&repository, &blob, 100).await.unwrap(), bytes);
}

/// Eight programs that know nothing of each other, and the list each of them adds to.
fn writers(world: &World) -> Vec<Registry> {
    let http = reqwest::Client::new();
    (0..8).map(|_| Registry::for_publishing(http.clone(), world.credentials())).collect()
}

async fn contested(habit: Option<Habit>) -> World {
    World::with(|config| {
        (config.habit, config.referrers_api, config.latency) =
            (habit, false, Duration::from_millis(3));
    })
    .await
}

/// `Ghcr` heeds no condition, so what another writer took away is found missing at the next look,
/// which is before any name is put.
#[tokio::test]
async fn eight_writers_of_one_fallback_tag_lose_nothing() {
    for habit in [None, Some(Habit::Ghcr)] {
        let world = contested(habit).await;
        let (subject, repository) = (Descriptor::of(b"image", OCI_MANIFEST), world.repository());
        let writers = writers(&world);
        let attached = writers.iter().enumerate().map(|(number, registry)| {
            let layer = format!("bundle {number}").into();
            let artifact = ReferrerArtifact {
                artifact_type: "application/vnd.test",
                layer,
                annotations: BTreeMap::new(),
            };
            let (repository, subject) = (&repository, &subject);
            async move {
                let place = registry.open_upload(repository).await.unwrap();
                registry.stage_artifact(repository, place, &artifact).await.unwrap();
                registry.attach_artifact(repository, subject, &artifact).await.unwrap()
            }
        });
        let attached = futures_util::future::join_all(attached).await;
        if habit.is_some() {
            let looks =
                writers.iter().map(|registry| registry.referrers(&repository, &subject.digest));
            futures_util::future::try_join_all(looks).await.unwrap();
        }
        let listed = world.registry().referrers(&repository, &subject.digest).await.unwrap();
        let missing: Vec<_> = attached
            .iter()
            .filter(|digest| !listed.iter().any(|entry| entry.digest == **digest))
            .collect();
        assert!(
            missing.is_empty() && listed.len() == 8,
            "{habit:?}: {} of 8, without {missing:?}",
            listed.len()
        );
    }
}

#[tokio::test]
async fn eight_writers_of_one_signature_tag_lose_nothing() {
    for habit in [None, Some(Habit::Ghcr)] {
        let world = contested(habit).await;
        let (subject, repository) = (Descriptor::of(b"image", OCI_MANIFEST), world.repository());
        let writers = writers(&world);
        let appended = writers.iter().enumerate().map(|(number, registry)| {
            let bytes = bytes::Bytes::from(format!("signature {number}"));
            let layers =
                [LegacyLayer { descriptor: Descriptor::of(&bytes, "application/vnd.test"), bytes }];
            let (repository, subject) = (&repository, &subject.digest);
            async move {
                let opened =
                    registry.open_legacy(repository, subject, Attached::Signatures, 1).await?;
                registry
                    .append_legacy(repository, subject, Attached::Signatures, opened, &layers)
                    .await
            }
        });
        futures_util::future::try_join_all(appended).await.unwrap();
        if habit.is_some() {
            let looks = writers.iter().map(|registry| {
                registry.legacy_layers(&repository, &subject.digest, Attached::Signatures)
            });
            futures_util::future::try_join_all(looks).await.unwrap();
        }
        let layers = world
            .registry()
            .legacy_layers(&repository, &subject.digest, Attached::Signatures)
            .await
            .unwrap();
        assert_eq!(layers.len(), 8, "{habit:?}: {layers:#?}");
    }
}

/// Eleven bundles are in each of two repositories; where the registry mounts, their bytes are uploaded
/// once.
#[tokio::test]
async fn evidence_is_mounted_in_the_other_repositories_of_a_registry() {
    for (habit, mounted) in [(Habit::Harbor, 17), (Habit::Ecr, 0)] {
        let mut world = world_of(habit).await;
        let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
        world.set("INPUT_IMAGES", &images);
        published(&world).await;
        let asked: Vec<Request> = registry_requests(&world);
        let answered = |status: u16| {
            let one = |request: &&Request| {
                request.query.as_deref().is_some_and(|query| query.starts_with("mount="))
                    && request.status == status
            };
            asked.iter().filter(one).count()
        };
        assert_eq!((answered(201), answered(202)), (mounted, 17 - mounted), "{habit:?}");
    }
}
