//! An image and all its evidence from one registry to another, each with habits of its own: what
//! arrives, what is asked for it, and what becomes of it where either side breaks.

use std::collections::{BTreeMap, BTreeSet};

use supply_action::evidence::{EvidenceFormat, SPDX};
use supply_action::image::{Digest, ImageRef, Repository};
use supply_action::registry::closure::{self, Closure, ClosureKind, ClosurePart};
use supply_action::registry::copy::Meter;
use supply_action::registry::legacy::{Attached, LegacyLayer};
use supply_action::registry::manifest::{Descriptor, OCI_MANIFEST, RegistryManifest};
use supply_action::registry::transfer::{Copied, LackingParts, TransferEnd};
use supply_action::registry::{ReferrerArtifact, Registry, RegistryError};
use supply_action::sandbox::{Fault, FaultEffect, Habit, Request, SandboxConfig, SandboxService};
use supply_action::verify;
use supply_action::verify::policy::{EvidencePolicy, Requirements};

use crate::support::{World, always};

/// An image with evidence in both formats, and a referrer of a referrer.
struct Source {
    world: World,
    image: ImageRef,
}

impl Source {
    async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let world = World::with(change).await;
        let run = world.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let digest: Digest = run.outputs["digest"].parse().unwrap();
        let (registry, repository) = (writer(&world), world.repository());
        let root = registry.expect_manifest(&repository.at(&digest)).await.unwrap();
        let on = attach(&registry, &repository, &root.descriptor, "an SBOM").await;
        attach(&registry, &repository, &on, "a signature of it").await;
        Self { image: repository.at(&digest), world }
    }

    async fn closure(&self) -> Closure {
        closure::of_image(&self.world.registry(), &self.image).await.unwrap()
    }
}

fn writer(world: &World) -> Registry {
    Registry::for_publishing(reqwest::Client::new(), world.credentials())
}

async fn attach(
    registry: &Registry,
    repository: &Repository,
    subject: &Descriptor,
    text: &'static str,
) -> Descriptor {
    let artifact = ReferrerArtifact {
        artifact_type: "application/vnd.test",
        layer: text.into(),
        annotations: BTreeMap::from([("a".to_owned(), text.to_owned())]),
    };
    let place = registry.open_upload(repository).await.unwrap();
    registry.stage_artifact(repository, place, &artifact).await.unwrap();
    let digest = registry.attach_artifact(repository, subject, &artifact).await.unwrap();
    registry.expect_manifest(&repository.at(&digest)).await.unwrap().descriptor
}

fn there(world: &World) -> Repository {
    format!("{}/mirror/app", world.sandbox.registry()).parse().unwrap()
}

async fn copied(source: &Source, to: &World) -> Result<Copied, RegistryError> {
    copied_to(source, &writer(to), &there(to)).await
}

async fn copied_to(
    source: &Source,
    registry: &Registry,
    repository: &Repository,
) -> Result<Copied, RegistryError> {
    let reader = source.world.registry();
    let closure = closure::of_image(&reader, &source.image).await?;
    let to = TransferEnd { registry, repository };
    let lacking = LackingParts::of(&closure, to).await?;
    let from = TransferEnd { registry: &reader, repository: &source.image.repository };
    lacking.bring(&closure, from, to, &Meter::default()).await
}

/// All parts but the lists, which differ where the registry keeps them itself, and what only they
/// name. BuildKit's attestations say what they are about, and are listed where a registry does so
/// by itself; they are entries of the index all the same.
fn parts(closure: &Closure) -> BTreeSet<String> {
    let lists: Vec<_> =
        closure.parts.iter().filter(|part| part.kind == ClosureKind::ReferrerList).collect();
    let is_list = |digest: &Digest| lists.iter().any(|list| list.descriptor.digest == *digest);
    let mut reached = BTreeSet::from([closure.parts[0].descriptor.digest.clone()]);
    let mut parts = BTreeSet::new();
    loop {
        let before = parts.len();
        for part in closure.parts.iter().filter(|part| part.kind != ClosureKind::ReferrerList) {
            let parent = part.parent.as_ref().filter(|parent| !is_list(parent));
            let is_entry = |other: &&ClosurePart| {
                other.kind == ClosureKind::Entry
                    && other.descriptor.digest == part.descriptor.digest
                    && !other.parent.as_ref().is_some_and(&is_list)
            };
            if part.kind == ClosureKind::Referrer
                && closure.parts.iter().any(|other| is_entry(&other))
            {
                continue;
            }
            if let Some(parent) = parent.filter(|parent| reached.contains(*parent)) {
                parts.insert(format!("{:?} {} of {parent}", part.kind, part.descriptor.digest));
                reached.insert(part.descriptor.digest.clone());
            }
        }
        if parts.len() == before {
            return parts;
        }
    }
}

/// That all is there which is at the source, that it verifies, and that nobody can pull it by a
/// name.
async fn is_whole(source: &Source, to: &World) {
    let image = there(to).at(&source.image.digest);
    let arrived = closure::of_image(&to.registry(), &image).await.unwrap();
    let sent = source.closure().await;
    let (here, there) = (parts(&sent), parts(&arrived));
    let differ: Vec<&String> = here.symmetric_difference(&there).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(sent.parts.iter().filter(|part| part.kind == ClosureKind::Referrer).count() > 10);
    assert_eq!(sent.parts.iter().filter(|part| part.kind == ClosureKind::Attached).count(), 8);
    for (digest, manifest) in &arrived.manifests {
        let same = sent.manifests.get(digest).is_none_or(|sent| sent.bytes == manifest.bytes);
        assert!(same, "{digest}");
    }
    assert_eq!(to.tags_of("mirror/app").await, BTreeMap::new());
    let signer = source.world.signer();
    let platforms = ["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
    let formats = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
    let requirements = Requirements::new(&platforms, &[SPDX], true, &[], &formats);
    let policy = EvidencePolicy { signer: signer.into(), requirements };
    verify::verify(&to.registry(), &source.world.verifier(), &image, &policy).await.unwrap();
}

fn requests(world: &World) -> Vec<Request> {
    let all = world.sandbox.requests().into_iter();
    all.filter(|request| request.service == SandboxService::Registry).collect()
}

fn count(requests: &[Request], method: &str, part: &str) -> usize {
    let one = |request: &&Request| request.method == method && request.path.contains(part);
    requests.iter().filter(one).count()
}

#[tokio::test]
async fn all_arrives_once_and_a_second_time_nothing_is_sent() {
    let (source, to) = (Source::with(|_| {}).await, World::new().await);
    let closure = source.closure().await;
    let first = copied(&source, &to).await.unwrap();
    is_whole(&source, &to).await;
    let blobs: BTreeMap<&Digest, u64> = closure
        .parts
        .iter()
        .filter(|part| matches!(part.kind, ClosureKind::Config | ClosureKind::Layer))
        .map(|part| (&part.descriptor.digest, part.descriptor.size))
        .collect();
    let whole = Copied {
        manifests: closure.manifests.len(),
        blobs: blobs.len(),
        bytes: blobs.values().sum(),
        ..Copied::default()
    };
    assert_eq!(first, whole);
    let before = requests(&to).len();
    let asked_for = requests(&to);
    assert_eq!(count(&asked_for, "HEAD", ""), 0, "nothing is asked of a new repository");
    let again = copied(&source, &to).await.unwrap();
    let skipped = closure.manifests.len() + blobs.len();
    assert_eq!(again, Copied { skipped, ..Copied::default() });
    let again: Vec<Request> = requests(&to).split_off(before);
    for method in ["PUT", "POST", "PATCH"] {
        assert_eq!(count(&again, method, ""), 0, "{again:#?}");
    }
    assert_eq!(count(&again, "HEAD", "/blobs/"), 0, "a manifest vouches for its blobs");
}

#[tokio::test]
async fn evidence_is_found_whether_or_not_either_registry_lists_it() {
    for (source_lists, lists) in [(true, false), (false, true), (false, false)] {
        let source = Source::with(|config| config.referrers_api = source_lists).await;
        let to = World::with(|config| config.referrers_api = lists).await;
        copied(&source, &to).await.unwrap();
        is_whole(&source, &to).await;
        let again = copied(&source, &to).await.unwrap();
        assert_eq!((again.manifests, again.blobs), (0, 0));
        let is_list = |request: &Request| {
            request.method == "PUT" && {
                let name = request.path.rsplit('/').next().unwrap();
                name.starts_with("sha256-") && !name.contains('.')
            }
        };
        let lists_written = requests(&to).iter().filter(|request| is_list(request)).count();
        assert_eq!(lists_written > 0, !lists, "{source_lists} {lists}");
    }
}

/// A list says of each entry what its manifest says.
#[tokio::test]
async fn a_list_that_is_made_says_what_the_manifests_say() {
    let source = Source::with(|_| {}).await;
    let to = World::with(|config| config.referrers_api = false).await;
    copied(&source, &to).await.unwrap();
    let listed = to.registry().referrers(&there(&to), &source.image.digest).await.unwrap();
    let test =
        listed.iter().find(|entry| entry.artifact_type.as_deref() == Some("application/vnd.test"));
    assert_eq!(test.unwrap().annotations["a"], "an SBOM");
    let mut sent = source
        .world
        .registry()
        .referrers(&source.image.repository, &source.image.digest)
        .await
        .unwrap();
    let mut listed = listed;
    for list in [&mut sent, &mut listed] {
        list.sort_by_key(|entry| entry.digest.clone());
    }
    assert_eq!(listed, sent);
}

#[tokio::test]
async fn every_habit_of_a_registry_is_met_on_either_side() {
    for (_, habit) in Habit::ALL {
        let login = |config: &mut SandboxConfig| {
            config.habit = Some(habit);
            config.registry_login = Some(("octo".into(), "hunter2".into()));
        };
        let (source, to) = (Source::with(login).await, World::with(login).await);
        copied(&source, &to).await.unwrap_or_else(|error| panic!("{habit:?}: {error}"));
        is_whole(&source, &to).await;
        if habit == Habit::Ghcr {
            let tokens = count(&requests(&to), "GET", "/token");
            assert!(tokens > 1, "a token that ran out in the middle was renewed: {tokens}");
        }
    }
}

#[tokio::test]
async fn inside_a_registry_no_byte_of_a_blob_is_sent() {
    let source = Source::with(|_| {}).await;
    let before = requests(&source.world).len();
    let to = there(&source.world);
    let copied = copied_to(&source, &writer(&source.world), &to).await.unwrap();
    assert!(copied.blobs > 10 && copied.mounted == copied.blobs && copied.bytes == 0, "{copied:?}");
    let asked: Vec<Request> = requests(&source.world).split_off(before);
    assert_eq!((count(&asked, "PATCH", ""), count(&asked, "PUT", "/blobs/")), (0, 0));
}

/// What another run put at the destination stays, and what the source has is added.
#[tokio::test]
async fn what_others_listed_and_signed_there_stays() {
    let source = Source::with(|_| {}).await;
    let to = World::with(|config| config.referrers_api = false).await;
    copied(&source, &to).await.unwrap();
    let (registry, repository) = (writer(&to), there(&to));
    let root = registry.expect_manifest(&repository.at(&source.image.digest)).await.unwrap();
    let theirs = attach(&registry, &repository, &root.descriptor, "their own").await;
    let bytes = bytes::Bytes::from_static(b"their signature");
    let layer = LegacyLayer { descriptor: Descriptor::of(&bytes, "application/vnd.test"), bytes };
    let signatures = Attached::Signatures;
    let digest = &source.image.digest;
    let opened = registry.open_legacy(&repository, digest, signatures, 1).await.unwrap();
    registry
        .append_legacy(&repository, digest, signatures, opened, std::slice::from_ref(&layer))
        .await
        .unwrap();
    // And more at the source, so that neither has what the other has.
    let (ours, from) = (writer(&source.world), &source.image.repository);
    let more = attach(&ours, from, &root.descriptor, "more of ours").await;
    let again = copied(&source, &to).await.unwrap();
    assert_eq!((again.manifests, again.notes.len()), (1, 0), "{again:?}");
    let listed = to.registry().referrers(&repository, digest).await.unwrap();
    for wanted in [&theirs.digest, &more.digest] {
        assert!(listed.iter().any(|entry| entry.digest == *wanted), "{wanted}");
    }
    let layers = to.registry().legacy_layers(&repository, digest, signatures).await.unwrap();
    assert!(layers.contains(&layer.descriptor) && layers.len() == 2, "{layers:#?}");
}

#[tokio::test]
async fn signatures_of_both_sides_are_kept_under_one_tag() {
    let source = Source::with(|_| {}).await;
    let to = World::new().await;
    let (registry, repository) = (writer(&to), there(&to));
    let bytes = bytes::Bytes::from_static(b"their signature");
    let layer = LegacyLayer { descriptor: Descriptor::of(&bytes, "application/vnd.test"), bytes };
    let signatures = Attached::Signatures;
    let digest = &source.image.digest;
    let opened = registry.open_legacy(&repository, digest, signatures, 1).await.unwrap();
    registry
        .append_legacy(&repository, digest, signatures, opened, std::slice::from_ref(&layer))
        .await
        .unwrap();
    let done = copied(&source, &to).await.unwrap();
    assert!(done.notes.len() == 1 && done.notes[0].contains("was added"), "{done:?}");
    let layers = to.registry().legacy_layers(&repository, digest, signatures).await.unwrap();
    assert!(layers.contains(&layer.descriptor) && layers.len() == 2, "{layers:#?}");
    let again = copied(&source, &to).await.unwrap();
    assert_eq!((again.manifests, again.notes), (0, Vec::new()), "nothing is added twice");
}

/// An image of one layer that is too large to pass through memory.
async fn large() -> (Source, Vec<u8>) {
    let world = World::with(|config| {
        config.registry_login = Some(("octo".into(), "hunter2".into()));
    })
    .await;
    let (registry, repository) = (writer(&world), world.repository());
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|number| (number / 7 % 251) as u8).collect();
    let layer = Descriptor::of(&bytes, "application/vnd.oci.image.layer.v1.tar");
    let config = Descriptor::of(b"{}", "application/vnd.oci.image.config.v1+json");
    for (bytes, blob) in [(bytes.clone(), &layer), (b"{}".to_vec(), &config)] {
        registry.put_blob(&repository, &bytes.into(), blob).await.unwrap();
    }
    let json = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer],
    });
    let manifest = RegistryManifest::new(json.to_string().into_bytes(), OCI_MANIFEST);
    registry.put_manifest(&repository, &manifest).await.unwrap();
    (Source { image: repository.at(&manifest.descriptor.digest), world }, bytes)
}

async fn has(world: &World, bytes: &[u8]) -> bool {
    let blob = Descriptor::of(bytes, "application/vnd.oci.image.layer.v1.tar");
    world.registry().blob(&there(world), &blob, bytes.len()).await.is_ok_and(|found| found == bytes)
}

#[tokio::test]
async fn a_transfer_goes_on_where_either_side_broke() {
    let (source, bytes) = large().await;
    let registry = SandboxService::Registry;
    for (at_source, fault) in [
        (false, always(registry, Some("PATCH"), "/uploads/", FaultEffect::CutBody(1_500_000))),
        (false, always(registry, Some("PATCH"), "/uploads/", FaultEffect::CutBody(0))),
        (false, always(registry, Some("PATCH"), "/uploads/", FaultEffect::LoseAnswer)),
        (false, always(registry, Some("PATCH"), "/uploads/", FaultEffect::Status(503))),
        (
            false,
            always(registry, Some("PATCH"), "/uploads/", FaultEffect::StatusRetryAfter(429, 0)),
        ),
        (false, always(registry, Some("PUT"), "/uploads/", FaultEffect::LoseAnswer)),
        (true, always(registry, Some("GET"), "/blobs/", FaultEffect::CutAnswer(1_500_000))),
    ] {
        let to = World::with(|config| {
            config.registry_login = Some(("octo".into(), "hunter2".into()));
        })
        .await;
        let world = if at_source { &source.world } else { &to };
        let effect = format!("{:?}", fault.effect);
        world.sandbox.faults().add(Fault { times: 2, ..fault });
        copied(&source, &to).await.unwrap_or_else(|error| panic!("{effect}: {error}"));
        assert!(has(&to, &bytes).await, "{effect}");
        let asked = requests(&to);
        assert_eq!(count(&asked, "POST", "/blobs/uploads/"), 2, "{effect}: one for each blob");
        source.world.sandbox.faults().clear();
    }
}

#[tokio::test]
async fn an_upload_whose_session_is_gone_begins_again() {
    let ((source, bytes), to) = (large().await, World::new().await);
    let (faults, registry) = (to.sandbox.faults(), SandboxService::Registry);
    let cut = always(registry, Some("PATCH"), "/uploads/", FaultEffect::CutBody(1_500_000));
    faults.add(Fault { times: 1, ..cut });
    faults.add(always(registry, Some("GET"), "/uploads/", FaultEffect::Status(404)));
    copied(&source, &to).await.unwrap();
    assert!(has(&to, &bytes).await);
    assert_eq!(count(&requests(&to), "POST", "/blobs/uploads/"), 3);
}

/// No more of a blob is read than its digest is of.
#[tokio::test]
async fn an_end_is_put_to_what_has_none() {
    let ((source, bytes), to) = (large().await, World::new().await);
    let layer = format!("/blobs/{}", Digest::of(&bytes));
    let faults = source.world.sandbox.faults();
    faults.add(always(SandboxService::Registry, Some("GET"), &layer, FaultEffect::Endless));
    copied(&source, &to).await.unwrap();
    assert!(has(&to, &bytes).await);
}

/// Nothing that is wrong at the source becomes a blob at the destination.
#[tokio::test]
async fn what_is_not_the_blob_is_not_copied() {
    let (source, bytes) = large().await;
    for effect in [
        FaultEffect::Corrupt,
        FaultEffect::Body(bytes[..1_000_000].to_vec()),
        FaultEffect::Status(403),
        FaultEffect::Status(404),
    ] {
        let to = World::new().await;
        let told = format!("{effect:?}").chars().take(40).collect::<String>();
        let layer = format!("/blobs/{}", Digest::of(&bytes));
        source.world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            &layer,
            effect,
        ));
        let error = copied(&source, &to).await.expect_err(&told).to_string();
        assert!(error.contains(&Digest::of(&bytes).to_string()), "{told}: {error}");
        source.world.sandbox.faults().clear();
        assert!(!has(&to, &bytes).await, "{told}");
        assert_eq!(count(&requests(&to), "PUT", "/manifests/"), 0, "{told}");
        copied(&source, &to).await.unwrap();
        assert!(has(&to, &bytes).await, "{told}: a second run completes it");
    }
}

/// Whoever is told to wait tells all others that ask the same host.
#[tokio::test]
async fn a_registry_that_limits_requests_is_heeded_by_all() {
    let (source, to) = (Source::with(|_| {}).await, World::new().await);
    for _ in 0..2 {
        let fault =
            always(SandboxService::Registry, None, "/v2/", FaultEffect::StatusRetryAfter(429, 1));
        to.sandbox.faults().add(Fault { skip: 10, times: 1, ..fault });
    }
    copied(&source, &to).await.unwrap();
    is_whole(&source, &to).await;
    let refused = requests(&to).iter().filter(|request| request.status == 429).count();
    assert_eq!(refused, 2);
}

/// What a list names and is not about its subject is another's.
#[tokio::test]
async fn what_is_listed_and_about_something_else_stays_behind() {
    let source = Source::with(|config| config.referrers_api = false).await;
    let (registry, repository) = (writer(&source.world), &source.image.repository);
    let stranger = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": { "of": "another" },
        "config": Descriptor::of(b"{}", "application/vnd.oci.empty.v1+json"), "layers": [],
    });
    let stranger = RegistryManifest::new(stranger.to_string().into_bytes(), OCI_MANIFEST);
    registry.put_manifest(repository, &stranger).await.unwrap();
    let tag = format!("sha256-{}", source.image.digest.hex()).parse().unwrap();
    let list = registry.tagged(repository, &tag).await.unwrap().unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&list.bytes).unwrap();
    json["manifests"].as_array_mut().unwrap().push(serde_json::json!(stranger.descriptor));
    let list = json.to_string();
    let kind = "application/vnd.oci.image.index.v1+json";
    let url = format!("http://{}/v2/app/manifests/{tag}", source.world.sandbox.registry());
    let put = reqwest::Client::new().put(url).header("content-type", kind).body(list);
    assert!(put.send().await.unwrap().status().is_success());
    let to = World::new().await;
    copied(&source, &to).await.unwrap();
    let image = there(&to).at(&stranger.descriptor.digest);
    assert!(to.registry().manifest(&image).await.unwrap().is_none());
    is_whole(&source, &to).await;
}
