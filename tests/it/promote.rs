//! Promotions: from one registry to others, whole and proven, or not at all; bad days, and what a
//! second run makes of what a first one left.

use std::collections::{BTreeMap, BTreeSet};

use supply_action::image::{Digest, ImageRef, Repository};
use supply_action::inputs::Action;
use supply_action::registry::Registry;
use supply_action::registry::closure::{self, ClosureKind};
use supply_action::registry::manifest::{Descriptor, OCI_MANIFEST, RegistryManifest};
use supply_action::sandbox::{
    Claims, Fault, FaultEffect, Habit, Request, SandboxConfig, SandboxService,
};
use supply_action::summary::declared;

use crate::support::{Run, World, always};

pub(crate) const SHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An image of commit `SHA` that a run of `main` published, and a run of a release's tag that
/// promotes it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) digest: String,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let claims = Claims {
            sha: SHA.to_owned(),
            ..Claims::of("example/hello", "refs/heads/main", "push")
        };
        Self::of(World::with(change).await, claims).await
    }

    /// The same, published by a run of which its tokens say this.
    pub(crate) async fn published_by(claims: Claims) -> Self {
        Self::of(World::new().await, claims).await
    }

    async fn of(mut world: World, claims: Claims) -> Self {
        world.sandbox.history(|history| {
            let older = "b".repeat(40);
            let elsewhere = "c".repeat(40);
            history.commit(&older, &[]);
            history.commit(SHA, &[&older]);
            history.commit(&elsewhere, &[&older]);
            history.point("refs/heads/main", SHA);
        });
        world.unset("INPUT_TAGS");
        world.act_as(claims);
        let run = world.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let digest = run.outputs["digest"].clone();
        let of_builds =
            ["INPUT_IMAGES", "INPUT_CONTEXT", "INPUT_SIGNING-CONFIG", "INPUT_BUILDER-ENDPOINT"];
        for name in of_builds {
            world.unset(name);
        }
        let source = format!("{}:sha-{SHA}", world.repository());
        world.set("INPUT_SOURCE", &source);
        let issuer = world.identity().1;
        world.set("INPUT_CERTIFICATE-OIDC-ISSUER", &issuer);
        world.at("refs/tags/v1.2.3", SHA);
        Self { world, digest }
    }

    fn image(&self) -> ImageRef {
        self.world.repository().at(&self.digest.parse().unwrap())
    }

    pub(crate) async fn promoted(&self, to: &[&World]) -> Run {
        self.promoted_with(to, &[]).await
    }

    pub(crate) async fn promoted_with(&self, to: &[&World], change: &[(&str, &str)]) -> Run {
        let places: Vec<String> = to.iter().map(|to| there(to).to_string()).collect();
        let destinations = places.join("\n");
        let change = [&[("INPUT_DESTINATIONS", destinations.as_str())], change].concat();
        self.world.run(&["promote"], &change).await
    }

    /// That all four names stand on the image, and that it verifies for somebody who knows nothing
    /// but its name.
    pub(crate) async fn arrived(&self, to: &World) {
        let tags = to.tags_of("mirror/app").await;
        let names: Vec<&str> = tags.keys().map(String::as_str).collect();
        assert_eq!(names, ["latest", "v1", "v1.2", "v1.2.3"]);
        assert!(tags.values().all(|named| *named == self.digest), "{tags:?}");
        let root = self.world.sandbox.trusted_root().display().to_string();
        let (_, issuer) = self.world.identity();
        let image = format!("{}:v1.2.3", there(to));
        let arguments = ["verify", "--repo", "example/hello", "--certificate-oidc-issuer", &issuer];
        let required = ["--require", "platforms=signature,sbom,provenance", "--trusted-root"];
        let formats = ["--signature-formats", "bundle,legacy"];
        let all = [&arguments[..], &required[..], &[&root], &formats[..], &[&image]].concat();
        let run = self.world.run(&all, &[]).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
    }
}

pub(crate) fn there(world: &World) -> Repository {
    format!("{}/mirror/app", world.sandbox.registry()).parse().unwrap()
}

pub(crate) fn requests(world: &World) -> Vec<Request> {
    let all = world.sandbox.requests().into_iter();
    all.filter(|request| request.service == SandboxService::Registry).collect()
}

pub(crate) fn count(requests: &[Request], method: &str, part: &str) -> usize {
    let one = |request: &&Request| request.method == method && request.path.contains(part);
    requests.iter().filter(one).count()
}

pub(crate) fn says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in {}", run.log);
    }
}

pub(crate) async fn has_no_name(world: &World) {
    assert_eq!(world.tags_of("mirror/app").await, BTreeMap::new());
}

#[tokio::test]
async fn a_release_goes_to_two_registries_with_all_its_evidence() {
    let stage = Stage::new().await;
    let (one, two) = (World::new().await, World::with(|config| config.referrers_api = false).await);
    let run = stage.promoted(&[&one, &two]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for to in [&one, &two] {
        stage.arrived(to).await;
    }
    let first = there(&one);
    let declared: BTreeSet<&str> =
        declared::outputs(Action::Promote).map(|output| output.name).collect();
    assert_eq!(run.outputs.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared);
    assert_eq!(run.outputs["digest"], stage.digest);
    assert_eq!(run.outputs["image-ref"], format!("{first}@{}", stage.digest));
    assert_eq!(run.outputs["dest_image_full"], format!("{first}:v1.2.3@{}", stage.digest));
    assert_eq!(run.outputs["tags"].lines().count(), 8, "{}", run.outputs["tags"]);
    let copied: serde_json::Value = serde_json::from_str(&run.outputs["copied"]).unwrap();
    let to_first = &copied[first.to_string()];
    assert!(to_first["bytes"].as_u64().unwrap() > 1000 && to_first["skipped"] == 0, "{copied}");
    let evidence: serde_json::Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    assert_eq!(evidence["subjects"].as_array().unwrap().len(), 3);
    assert!(run.summary.contains("## 🚚 ") && run.summary.contains("| destination |"));
    // A second run finds everything where it belongs, and sends nothing.
    let again = stage.promoted(&[&one, &two]).await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    let copied: serde_json::Value = serde_json::from_str(&again.outputs["copied"]).unwrap();
    assert_eq!(copied[first.to_string()]["bytes"], 0, "{copied}");
    says(&again, &["everything is there in 2 repositories"]);
}

#[tokio::test]
async fn a_release_gets_its_names_in_the_repository_where_it_lies() {
    let stage = Stage::new().await;
    let before = requests(&stage.world).len();
    let app = stage.world.repository().to_string();
    let run = stage.world.run(&["promote"], &[("INPUT_DESTINATIONS", app.as_str())]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let tags = stage.world.tags().await;
    assert!(["v1.2.3", "v1.2", "v1"].iter().all(|tag| tags[*tag] == stage.digest), "{tags:?}");
    let asked = requests(&stage.world).split_off(before);
    assert_eq!(count(&asked, "PATCH", ""), 0);
    assert_eq!(run.outputs["copied"], "{}");
}

/// Everything that stands in the way is one message, and is said before the first byte.
#[tokio::test]
async fn what_stands_in_the_way_is_said_at_once() {
    let stage = Stage::new().await;
    let (to, other) = (World::new().await, World::new().await);
    let registry = Registry::for_publishing(reqwest::Client::new(), to.credentials());
    let manifest = unsigned(&registry, &there(&to)).await;
    put_name(&to, "v1.2.3", &manifest).await;
    let denied =
        always(SandboxService::Registry, Some("POST"), "/blobs/uploads/", FaultEffect::Status(403));
    other.sandbox.faults().add(denied);
    let identity = [(
        "INPUT_CERTIFICATE-IDENTITY",
        "https://github.com/evil/x/.github/workflows/x.yml@refs/heads/main",
    )];
    let run = stage.promoted_with(&[&to, &other], &identity).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(
        &run,
        &["nothing was tagged", "3 problems", "v1.2.3` already exists", "403", "is not verified"],
    );
    assert_eq!(count(&requests(&to), "PUT", "/manifests/sha256:"), 1, "the one that was there");
    let tags = to.tags_of("mirror/app").await;
    assert_eq!(tags.len(), 1, "{tags:?}");
    has_no_name(&other).await;
}

async fn unsigned(registry: &Registry, repository: &Repository) -> RegistryManifest {
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let blob = Descriptor::of(config, "application/vnd.oci.image.config.v1+json");
    registry.put_blob(repository, &config[..].into(), &blob).await.unwrap();
    let json = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": blob, "layers": [],
    });
    let manifest = RegistryManifest::new(json.to_string().into_bytes(), OCI_MANIFEST);
    registry.put_manifest(repository, &manifest).await.unwrap();
    manifest
}

async fn put_name(world: &World, tag: &str, manifest: &RegistryManifest) {
    let url = format!("http://{}/v2/mirror/app/manifests/{tag}", world.sandbox.registry());
    let put = reqwest::Client::new()
        .put(url)
        .header("content-type", &manifest.descriptor.media_type)
        .body(manifest.bytes.clone());
    assert!(put.send().await.unwrap().status().is_success());
}

/// No evidence, another signer's, and that of another image: none of it makes a promotion.
#[tokio::test]
async fn what_is_not_proven_is_not_promoted() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let registry = Registry::for_publishing(reqwest::Client::new(), stage.world.credentials());
    let repository = stage.world.repository();
    let bare = unsigned(&registry, &repository).await;
    let bare = format!("{repository}@{}", bare.descriptor.digest);
    let run = stage.promoted_with(&[&to], &[("INPUT_SOURCE", &bare)]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged", "is not verified"]);
    // The signature of the good image under the tag of the bare one.
    let hex = |digest: &str| digest.rsplit(':').next().unwrap().to_owned();
    let tag = format!("sha256-{}.sig", hex(&stage.digest)).parse().unwrap();
    let signature = registry.tagged(&repository, &tag).await.unwrap().unwrap();
    let url = format!(
        "http://{}/v2/app/manifests/sha256-{}.sig",
        stage.world.sandbox.registry(),
        hex(&bare)
    );
    let put =
        reqwest::Client::new().put(url).header("content-type", OCI_MANIFEST).body(signature.bytes);
    assert!(put.send().await.unwrap().status().is_success());
    let required = [("INPUT_SOURCE", bare.as_str()), ("INPUT_REQUIRE", "index=signature")];
    let run = stage.promoted_with(&[&to], &required).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["is not verified"]);
    for (input, value) in [
        (
            "INPUT_CERTIFICATE-IDENTITY",
            "https://github.com/evil/x/.github/workflows/x.yml@refs/heads/main",
        ),
        ("INPUT_REPO", "example/other"),
        ("INPUT_SOURCE-REF", "refs/heads/other"),
        ("INPUT_RUNNER", "self-hosted"),
        ("INPUT_REQUIRE", "index=https://example.com/review/v1"),
        ("INPUT_PLATFORMS", "linux/s390x"),
    ] {
        let run = stage.promoted_with(&[&to], &[(input, value)]).await;
        assert_eq!(run.code, Some(1), "{input}: {}", run.log);
        says(&run, &["nothing was tagged", "is not verified"]);
    }
    assert_eq!(count(&requests(&to), "PUT", "/manifests/"), 0, "not a manifest was copied");
    assert_eq!(count(&requests(&to), "PATCH", ""), 0);
    has_no_name(&to).await;
}

#[tokio::test]
async fn what_could_not_be_found_out_has_an_exit_code_of_its_own() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let path = format!("/referrers/{}", stage.digest);
    for status in [401, 403, 500] {
        let fault = always(SandboxService::Registry, None, &path, FaultEffect::Status(status));
        stage.world.sandbox.faults().add(fault);
        // Only what is a bundle counts, so that the other format does not answer.
        let formats = [("INPUT_SIGNATURE-FORMATS", "bundle")];
        let run = stage.promoted_with(&[&to], &formats).await;
        assert_eq!(run.code, Some(4), "{status}: {}", run.log);
        says(&run, &["nothing was tagged", "it could not be found out"]);
        stage.world.sandbox.faults().clear();
    }
    has_no_name(&to).await;
}

#[tokio::test]
async fn words_that_are_wrong_are_told_before_anything_is_asked() {
    let (stage, to) = (Stage::new().await, World::new().await);
    for (name, value, said) in [
        ("INPUT_RUNNER", "mine", "neither `github-hosted` nor `self-hosted`"),
        ("INPUT_REQUIRE", "index", "is not PART=KINDS"),
        ("INPUT_WAIT-FOR-SOURCE", "soon", "is not a time"),
        ("INPUT_SOURCE", "app", "names no repository"),
        ("INPUT_SOURCE", "r.io/o/a:1 r.io/o/a:2", "input `source`"),
        ("INPUT_DRY-RUN", "perhaps", "neither `true` nor `false`"),
        ("INPUT_KEY", "/none", "/none"),
    ] {
        let before = requests(&stage.world).len();
        let run = stage.promoted_with(&[&to], &[(name, value)]).await;
        assert!(matches!(run.code, Some(1 | 2)), "{name}: {}", run.log);
        says(&run, &["nothing was ", said]);
        assert_eq!(requests(&stage.world).len(), before, "{name}");
    }
    let run = stage.promoted_with(&[], &[("INPUT_DESTINATIONS", "Not A Name!")]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["input `destinations`"]);
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_done_and_leaves_nothing() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted_with(&[&to], &[("INPUT_DRY-RUN", "true")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["verified ", "at most ", "would tag ", "which is new there"]);
    assert!(run.summary.contains("rehearsed"), "{}", run.summary);
    assert!(
        !requests(&to).iter().any(|request| ["PUT", "PATCH"].contains(&request.method.as_str()))
    );
}

/// The digest says which image, and the tag must name it.
#[tokio::test]
async fn a_tag_beside_a_digest_must_agree() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let app = stage.world.repository();
    let right = format!("{app}:sha-{SHA}@{}", stage.digest);
    let wrong = format!("{app}:sha-{SHA}@{}", Digest::of(b"another"));
    let run = stage.promoted_with(&[&to], &[("INPUT_SOURCE", &wrong)]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["the tag points to"]);
    has_no_name(&to).await;
    let run = stage.promoted_with(&[&to], &[("INPUT_SOURCE", &right)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&to).await;
}

#[tokio::test]
async fn a_source_that_is_still_on_its_way_is_waited_for() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let path = format!("/manifests/sha-{SHA}");
    let missing = always(SandboxService::Registry, Some("GET"), &path, FaultEffect::Status(404));
    stage.world.sandbox.faults().add(Fault { times: 2, ..missing.clone() });
    let run = stage.promoted_with(&[&to], &[("INPUT_WAIT-FOR-SOURCE", "60s")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["this run waits for it"]);
    stage.world.sandbox.faults().add(missing);
    for wait in ["0s", "2s"] {
        let run = stage.promoted_with(&[&to], &[("INPUT_WAIT-FOR-SOURCE", wait)]).await;
        assert_eq!(run.code, Some(1), "{}", run.log);
        says(&run, &["there is no `", "wait-for-source: 30m"]);
    }
}

#[tokio::test]
async fn a_tag_outside_of_the_default_branch_is_no_release() {
    let (mut stage, to) = (Stage::new().await, World::new().await);
    stage.world.at("refs/tags/v9.0.0", &"c".repeat(40));
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["is not on `main`", "allow-any-branch"]);
    has_no_name(&to).await;
    let run = stage.promoted_with(&[&to], &[("INPUT_ALLOW-ANY-BRANCH", "true")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let tags = to.tags_of("mirror/app").await;
    assert!(tags.contains_key("v9.0.0") && !tags.contains_key("latest"), "{tags:?}");
}

/// A name that floats does not go back to an image of an older commit.
#[tokio::test]
async fn names_that_float_go_forward_alone() {
    let (mut stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    // An older commit is published and promoted later.
    let older = "b".repeat(40);
    let app = stage.world.repository().to_string();
    stage.world.at("refs/heads/main", &older);
    let context = stage.world.folder.path().join("context").display().to_string();
    let config = stage.world.sandbox.signing_config().display().to_string();
    let build = [
        ("INPUT_IMAGES", app.as_str()),
        ("INPUT_CONTEXT", &context),
        ("INPUT_SIGNING-CONFIG", &config),
        ("INPUT_BUILDER-ENDPOINT", "unix:///nowhere"),
        ("INPUT_SOURCE", ""),
        ("INPUT_CERTIFICATE-OIDC-ISSUER", ""),
        ("FAKE_BUILDX_SALT", "older"),
    ];
    let run = stage.world.run(&[], &build).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let digest = run.outputs["digest"].clone();
    assert_ne!(digest, stage.digest);
    stage.world.at("refs/tags/v1.2.2", &older);
    let source = format!("{app}:sha-{older}");
    let run = stage.promoted_with(&[&to], &[("INPUT_SOURCE", &source)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["stays where it is"]);
    let tags = to.tags_of("mirror/app").await;
    assert_eq!(
        (&tags["v1.2.2"], &tags["v1"], &tags["latest"]),
        (&digest, &stage.digest, &stage.digest)
    );
    assert!(run.outputs["kept-tags"].contains(":v1"), "{:?}", run.outputs);
}

#[tokio::test]
async fn a_name_that_cannot_be_put_leaves_the_others_and_is_told() {
    let stage = Stage::new().await;
    let (one, two) = (World::new().await, World::new().await);
    let refused = always(
        SandboxService::Registry,
        Some("PUT"),
        "/manifests/v1.2.3",
        FaultEffect::Status(400),
    );
    two.sandbox.faults().add(refused);
    let run = stage.promoted(&[&one, &two]).await;
    assert_eq!(run.code, Some(3), "{}", run.log);
    says(&run, &["only some tags were set", "not set: ", "run the workflow again"]);
    two.sandbox.faults().clear();
    let run = stage.promoted(&[&one, &two]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&one).await;
    stage.arrived(&two).await;
}

/// The first layer of the image.
async fn layer(stage: &Stage) -> Descriptor {
    let closure = closure::of_image(&stage.world.registry(), &stage.image()).await.unwrap();
    let manifests: Vec<&Digest> = closure
        .parts
        .iter()
        .filter(|part| part.kind == ClosureKind::Entry)
        .map(|part| &part.descriptor.digest)
        .collect();
    let layers = closure.parts.iter().filter(|part| part.kind == ClosureKind::Layer);
    let mut layers = layers.filter(|part| {
        part.parent.as_ref().is_some_and(|parent| manifests.contains(&parent))
            && part.descriptor.media_type.contains("layer")
    });
    layers.next().unwrap().descriptor.clone()
}

/// What arrives otherwise than it is at the source, or not at all, is never named.
#[tokio::test]
async fn bytes_that_are_not_the_images_get_no_name() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let path = format!("/blobs/{}", layer(&stage).await.digest);
    for effect in [
        FaultEffect::Corrupt,
        FaultEffect::Body(b"short".to_vec()),
        FaultEffect::Endless,
        FaultEffect::Status(403),
        FaultEffect::Status(404),
    ] {
        let told = format!("{effect:?}");
        let fault = always(SandboxService::Registry, Some("GET"), &path, effect);
        stage.world.sandbox.faults().add(fault);
        let run = stage.promoted(&[&to]).await;
        if run.code != Some(0) {
            assert_eq!(run.code, Some(1), "{told}: {}", run.log);
            says(&run, &["nothing was tagged"]);
            has_no_name(&to).await;
        } else {
            // What comes after the last byte is not read.
            assert_eq!(told, "Endless");
            stage.arrived(&to).await;
            break;
        }
        stage.world.sandbox.faults().clear();
    }
    stage.world.sandbox.faults().clear();
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&to).await;
}

/// A registry that fails from one request on: wherever that is, no name is put before all is there,
/// and a second run completes it.
#[tokio::test]
async fn whichever_request_fails_nothing_is_named_too_early() {
    let stage = Stage::new().await;
    let to = World::new().await;
    for (skip, effect) in [
        (0, FaultEffect::Drop),
        (1, FaultEffect::Status(500)),
        (7, FaultEffect::Status(403)),
        (25, FaultEffect::Drop),
        (60, FaultEffect::Status(401)),
        (90, FaultEffect::Status(503)),
    ] {
        let world = World::new().await;
        let fault = always(SandboxService::Registry, None, "/v2/", effect);
        world.sandbox.faults().add(Fault { skip, ..fault });
        let run = stage.promoted(&[&world]).await;
        assert!(matches!(run.code, Some(1 | 4)), "{skip}: {}", run.log);
        says(&run, &["nothing was tagged"]);
        has_no_name(&world).await;
        world.sandbox.faults().clear();
        let run = stage.promoted(&[&world]).await;
        assert_eq!(run.code, Some(0), "{skip}: {}", run.log);
        stage.arrived(&world).await;
    }
    for skip in [3, 40] {
        let fault =
            always(SandboxService::Registry, None, "/v2/", FaultEffect::StatusRetryAfter(429, 1));
        to.sandbox.faults().add(Fault { skip, times: 1, ..fault });
    }
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&to).await;
}

#[tokio::test]
async fn a_promotion_that_is_killed_leaves_no_name_and_is_completed() {
    let stage = Stage::new().await;
    for requests_before in [1, 20, 45, 80] {
        let to = World::with(|config| {
            config.latency = std::time::Duration::from_millis(5);
        })
        .await;
        let mut command = stage.world.command();
        command.arg("promote").env("INPUT_DESTINATIONS", there(&to).to_string());
        command.stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        while requests(&to).len() < requests_before {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        child.kill().await.unwrap();
        has_no_name(&to).await;
        let run = stage.promoted(&[&to]).await;
        assert_eq!(run.code, Some(0), "{requests_before}: {}", run.log);
        stage.arrived(&to).await;
    }
}

#[tokio::test]
async fn registries_with_habits_get_the_whole_of_it() {
    for (from, to) in [(None, Habit::Ghcr), (None, Habit::Ecr), (Some(Habit::Ghcr), Habit::Quay)] {
        let login = |habit: Option<Habit>| {
            move |config: &mut SandboxConfig| {
                config.habit = habit;
                config.registry_login = Some(("octo".into(), "hunter2".into()));
            }
        };
        let stage = Stage::with(login(from)).await;
        let world = World::with(login(Some(to))).await;
        let login = |registry: &str| serde_json::json!({ "registry": registry, "username": "octo", "password": "hunter2" });
        let logins = serde_json::json!([
            login(stage.world.sandbox.registry()),
            login(world.sandbox.registry()),
        ])
        .to_string();
        let change = [
            ("INPUT_REGISTRY-AUTH", logins.as_str()),
            ("INPUT_USERNAME", ""),
            ("INPUT_PASSWORD", ""),
        ];
        let run = stage.promoted_with(&[&world], &change).await;
        assert_eq!(run.code, Some(0), "{to:?}: {}", run.log);
        let tags = world.tags_of("mirror/app").await;
        assert_eq!(tags.len(), 4, "{to:?}: {tags:?}");
    }
}

/// Some registries say of a repository without names that there is none.
#[tokio::test]
async fn a_registry_that_lists_no_names_gets_all_of_it_and_is_asked_for_it() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let none =
        always(SandboxService::Registry, Some("GET"), "/tags/list", FaultEffect::Status(404));
    to.sandbox.faults().add(none);
    for _ in 0..2 {
        let run = stage.promoted(&[&to]).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        stage.arrived(&to).await;
    }
    // What it does not have afterwards is noticed, though it took it.
    let lost = World::new().await;
    let gone = always(
        SandboxService::Registry,
        Some("GET"),
        "/manifests/sha256:",
        FaultEffect::Status(404),
    );
    lost.sandbox.faults().add(gone);
    let run = stage.promoted(&[&lost]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged", "accepted everything, but now lacks"]);
    has_no_name(&lost).await;
}

#[tokio::test]
async fn two_promotions_at_once_do_not_harm_each_other() {
    let stage = Stage::new().await;
    let to = World::with(|config| config.referrers_api = false).await;
    let places = [&to];
    let (one, two) = tokio::join!(stage.promoted(&places), stage.promoted(&places));
    for run in [one, two] {
        assert_eq!(run.code, Some(0), "{}", run.log);
    }
    stage.arrived(&to).await;
}

/// What became known since the image was published counts, where that is asked for.
#[tokio::test]
async fn an_image_with_a_flaw_that_is_known_today_is_not_promoted() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "flawed").set("INPUT_FAIL-ON", "none");
    let claims =
        Claims { sha: SHA.to_owned(), ..Claims::of("example/hello", "refs/heads/main", "push") };
    let mut stage = Stage::of(world, claims).await;
    stage.world.unset("INPUT_FAIL-ON");
    let to = World::new().await;
    let rescan = ("INPUT_RESCAN", "true");
    let refused = stage.promoted_with(&[&to], &[rescan]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    says(&refused, &["nothing was tagged: ", "1 critical vulnerability that has a fix"]);
    has_no_name(&to).await;
    assert_eq!(count(&requests(&to), "PUT", "/manifests/"), 0);
    let unanswered = stage
        .promoted_with(&[&to], &[rescan, ("SUPPLY_ACTION_OSV_URL", "http://127.0.0.1:1")])
        .await;
    assert_eq!(unanswered.code, Some(4), "{}", unanswered.log);
    has_no_name(&to).await;
    let alone = stage.promoted_with(&[&to], &[("INPUT_ADVISORIES", "osv")]).await;
    assert_eq!(alone.code, Some(2), "{}", alone.log);
    says(&alone, &["input `advisories`: it has no effect without `rescan: true`"]);
    let passes = stage.promoted_with(&[&to], &[rescan, ("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(passes.code, Some(0), "{}", passes.log);
    stage.arrived(&to).await;
}
