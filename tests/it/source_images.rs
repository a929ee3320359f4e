//! Images that no job of the run handed on: tags of jobs before, other repositories, other
//! registries. They are moved by digest, proven where they are published, and told.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use supply_action::image::{ImageRef, Repository};
use supply_action::sandbox::{Fault, FaultEffect, Habit, SandboxService};

use crate::pusher::{CONFIG, INDEX, LAYER, MANIFEST, Pusher, index, tar, with};
use crate::support::{Run, World, always};

/// What images without BuildKit's statements need.
const BARE: [(&str, &str); 2] = [("INPUT_SBOM", "registry"), ("INPUT_PROVENANCE", "false")];

async fn merge(world: &World, sources: &str, change: &[(&str, &str)]) -> Run {
    world.run(&["merge"], &[&[("INPUT_SOURCE-IMAGES", sources)], change].concat()).await
}

/// Merges, and checks that it failed with these words, signed nothing and named nothing.
async fn refused(world: &World, sources: &str, change: &[(&str, &str)], words: &[&str]) {
    let run = merge(world, sources, change).await;
    assert_ne!(run.code, Some(0), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
    }
    world.sandbox.faults().clear();
    let signed =
        world.sandbox.requests().iter().any(|request| request.service == SandboxService::Fulcio);
    assert!(!signed && world.tags().await.is_empty(), "{}", run.log);
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
}

/// Puts a name on what a repository holds under this digest.
async fn name(world: &World, path: &str, digest: &str, tag: &str) {
    let registry = world.sandbox.registry();
    let from = format!("http://{registry}/v2/{path}/manifests/{digest}");
    let http = reqwest::Client::new();
    let got = http.get(from).header("accept", format!("{INDEX}, {MANIFEST}")).send().await.unwrap();
    let kind = got.headers()["content-type"].to_str().unwrap().to_owned();
    let put = http.put(format!("http://{registry}/v2/{path}/manifests/{tag}"));
    let put = put.header("content-type", kind).body(got.bytes().await.unwrap()).send().await;
    assert_eq!(put.unwrap().status(), 201);
}

/// A tag for each platform, as jobs before left them in this repository; their digests.
async fn tagged(world: &World, path: &str) -> Vec<String> {
    let image = format!("{}/{path}", world.sandbox.registry());
    let mut digests = Vec::new();
    for arch in ["amd64", "arm64"] {
        let platform = format!("linux/{arch}");
        let own = [
            ("INPUT_IMAGES", image.as_str()),
            ("INPUT_PLATFORMS", platform.as_str()),
            ("INPUT_PUSH-BY-DIGEST", "true"),
        ];
        let run = world.run(&[], &own).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        name(world, path, &run.outputs["digest"], &format!("v1-{arch}")).await;
        digests.push(run.outputs["digest"].clone());
    }
    digests
}

fn both(world: &World, path: &str) -> String {
    let registry = world.sandbox.registry();
    format!("{registry}/{path}:v1-amd64\n{registry}/{path}:v1-arm64")
}

/// An image of `app` in another registry, as nobody of ours built it.
async fn foreign(world: &World, platform: &str, tag: &str) -> String {
    let image = Pusher::new(world).image(platform, tag, &json!({})).await;
    let digest = image["digest"].as_str().unwrap().to_owned();
    name(world, "app", &digest, tag).await;
    digest
}

/// The index that a run published.
async fn made(world: &World, run: &Run) -> Value {
    let image = world.repository().at(&run.outputs["digest"].parse().unwrap());
    let manifest = world.registry().expect_manifest(&image).await.unwrap();
    serde_json::from_slice(&manifest.bytes).unwrap()
}

/// All that a repository holds.
fn held(world: &World, path: &str) -> BTreeSet<String> {
    let folder = world.folder.path().join(format!("sandbox/registry/repositories/{path}"));
    let (mut waiting, mut found) = (vec![folder], BTreeSet::new());
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap().path();
            found.insert(entry.display().to_string());
            waiting.extend(Some(entry).filter(|entry| entry.is_dir()));
        }
    }
    found
}

/// What the workflow's own provenance says it was made of.
async fn dependencies(world: &World, digest: &str) -> Vec<Value> {
    let (registry, repository) = (world.registry(), world.repository());
    for referrer in registry.referrers(&repository, &digest.parse().unwrap()).await.unwrap() {
        let manifest = registry.expect_manifest(&repository.at(&referrer.digest)).await.unwrap();
        let layer = &manifest.image().unwrap().layers[0];
        let bundle = registry.blob(&repository, layer, 1 << 24).await.unwrap();
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap());
        let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
        if statement["predicateType"] == "https://slsa.dev/provenance/v1" {
            let all = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
            return all.as_array().unwrap().clone();
        }
    }
    panic!("{digest} has no provenance of a workflow");
}

#[tokio::test]
async fn tags_of_jobs_before_become_one_image_as_their_digests_would() {
    let world = World::new().await;
    let digests = tagged(&world, "app").await;
    let run = merge(
        &world,
        &both(&world, "app"),
        &[("INPUT_PLATFORMS", "linux/amd64,linux/arm64"), ("INPUT_TAGS", "v1.2.3\nlatest")],
    )
    .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.verify(&run.outputs["digest"]).await.unwrap();
    let whole = world.run(&[], &[("INPUT_TAGS", "whole")]).await;
    let [ours, one] = [made(&world, &run).await, made(&world, &whole).await];
    assert_eq!(ours, one, "what one build would have made");
    let registry = world.sandbox.registry();
    let made_of = dependencies(&world, &run.outputs["digest"]).await;
    for (arch, digest) in ["amd64", "arm64"].iter().zip(&digests) {
        let name = format!("{registry}/app:v1-{arch}");
        let told = format!("`{name}` is `{digest}` for `linux/{arch}`; it is proven here");
        assert!(run.log.contains(&told), "{told} is missing in {}", run.log);
        assert!(run.summary.contains(&format!("| taken from | `{name}` |")), "{}", run.summary);
        let own = made_of.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(own["digest"]["sha256"], digest[7..]);
    }
    // They are of this run's commit, and nothing of that is doubtful.
    assert_eq!(made_of.len(), 3, "{made_of:?}");
    assert!(!run.summary.contains("built from elsewhere"), "{}", run.summary);
    for words in ["Parts:", "v1-arm64, by what it points to when the run begins"] {
        assert!(run.log.contains(words), "`{words}` is missing in {}", run.log);
    }
}

#[tokio::test]
async fn another_repository_of_the_registry_is_moved_by_digest_and_left_as_it_is() {
    let world = World::new().await;
    tagged(&world, "legs").await;
    let (before, asked) = (held(&world, "legs"), world.sandbox.requests().len());
    let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
    let run = merge(&world, &both(&world, "legs"), &[("INPUT_IMAGES", &images)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.verify(&run.outputs["digest"]).await.unwrap();
    assert_eq!(run.outputs["tags"].lines().count(), 6);
    assert_eq!(held(&world, "legs"), before, "nothing is written where they came from");
    let requests = world.sandbox.requests().split_off(asked);
    for tag in ["v1-amd64", "v1-arm64"] {
        let read = requests.iter().filter(|request| request.path.ends_with(tag)).count();
        assert_eq!(read, 1, "a tag is asked for once");
    }
    // The registry mounts, so no bytes of layers pass through here.
    assert!(run.log.contains(", 8 manifests moved") && !run.log.contains(" sent"), "{}", run.log);
    let told = format!(
        "it is moved by digest to `{0}/app` and `{0}/mirror/app` and",
        world.sandbox.registry()
    );
    assert!(run.log.contains(&told), "{}", run.log);
}

#[tokio::test]
async fn another_registry_is_read_with_its_own_login_and_its_bytes_are_sent() {
    let world = World::new().await;
    let other = World::with(|config| {
        config.registry_login = Some(("reader".into(), "hunter2".into()));
    })
    .await;
    // A registry with a login takes no push without one, so it is filled as a file.
    let open = World::new().await;
    let amd = foreign(&open, "linux/amd64", "v1-amd64").await;
    let arm = foreign(&open, "linux/arm64", "v1-arm64").await;
    let place = |world: &World| world.folder.path().join("sandbox/registry");
    let status = std::process::Command::new("cp")
        .arg("-rT")
        .args([place(&open), place(&other)])
        .status()
        .unwrap();
    assert!(status.success());
    let sources = both(&other, "app");
    refused(&world, &sources, &BARE, &["401", other.sandbox.registry(), "`registry-auth`"]).await;
    let login = json!([{ "registry": other.sandbox.registry(), "username": "reader", "password": "hunter2" }]);
    let login = login.to_string();
    let logged_in = [("INPUT_REGISTRY-AUTH", login.as_str())];
    refused(&world, &sources, &logged_in, &["was pushed without", "`sbom: registry` makes SBOMs"])
        .await;
    let run = merge(&world, &sources, &[&BARE[..], &logged_in].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(!run.log.contains("is for none of this run's images"), "{}", run.log);
    assert!(run.log.contains(", 2 manifests moved; ") && run.log.contains(" sent"), "{}", run.log);
    for (image, platform) in [(&amd, "linux/amd64"), (&arm, "linux/arm64")] {
        let here: ImageRef = world.repository().at(&image.parse().unwrap());
        assert!(world.registry().manifest(&here).await.unwrap().is_some(), "{here}");
        let platforms: Value = serde_json::from_str(&run.outputs["platforms"]).unwrap();
        assert_eq!(platforms[platform], image.as_str(), "the image stays as it was");
        let told = format!("image of {platform}, whose build names no source");
        assert!(run.summary.contains(&told), "{}", run.summary);
    }
    let verified = world
        .command()
        .args(["verify", "--repo", "example/hello", "--trusted-root"])
        .arg(world.sandbox.trusted_root())
        .args(["--certificate-oidc-issuer", &world.identity().1])
        .args(["--require", "index=signature,provenance", "--require", "platforms=signature,sbom"])
        .arg(format!("{}@{}", world.repository(), run.outputs["digest"]))
        .output()
        .await
        .unwrap();
    let log = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{log}{}", String::from_utf8_lossy(&verified.stdout));
    let made_of = dependencies(&world, &run.outputs["digest"]).await;
    let uri = made_of[1]["uri"].as_str().unwrap();
    assert!(uri.starts_with("pkg:oci/app@sha256:") && uri.ends_with("&tag=v1-amd64"), "{uri}");
}

#[tokio::test]
async fn a_tag_that_moves_meanwhile_changes_nothing() {
    let world = World::new().await;
    let [amd, _] = <[String; 2]>::try_from(tagged(&world, "legs").await).unwrap();
    let salted = [
        ("INPUT_IMAGES", format!("{}/legs", world.sandbox.registry())),
        ("INPUT_PLATFORMS", "linux/amd64".to_owned()),
        ("INPUT_PUSH-BY-DIGEST", "true".to_owned()),
        ("FAKE_BUILDX_SALT", "evil".to_owned()),
    ];
    let salted: Vec<(&str, &str)> =
        salted.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let evil = world.run(&[], &salted).await.outputs["digest"].clone();
    assert_ne!(amd, evil);
    // What follows the tags waits until one of them has moved.
    let late = always(
        SandboxService::Registry,
        Some("GET"),
        &format!("/legs/manifests/{amd}"),
        FaultEffect::Delay(Duration::from_secs(2)),
    );
    world.sandbox.faults().add(Fault { times: 1, ..late });
    let before = world.sandbox.requests().len();
    let move_it = async {
        let was_read = || {
            let requests = world.sandbox.requests().split_off(before);
            requests.iter().any(|request| request.path.ends_with("/manifests/v1-amd64"))
        };
        while !was_read() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        name(&world, "legs", &evil, "v1-amd64").await;
    };
    let sources = both(&world, "legs");
    let (run, ()) = tokio::join!(merge(&world, &sources, &[]), move_it);
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(world.tags_of("legs").await["v1-amd64"], evil, "it did move");
    let whole = world.run(&[], &[("INPUT_TAGS", "whole")]).await;
    assert_eq!(made(&world, &run).await, made(&world, &whole).await, "{}", run.log);
}

#[tokio::test]
async fn what_is_no_image_of_the_platform_is_refused_before_anything_is_moved() {
    let (world, other) = (World::new().await, World::new().await);
    foreign(&other, "linux/amd64", "amd").await;
    foreign(&other, "linux/amd64", "amd-too").await;
    foreign(&other, "linux/arm64", "arm").await;
    let pusher = Pusher::new(&other);
    let chart = pusher.blob(b"{}", "application/vnd.cncf.helm.config.v1+json").await;
    let layer = pusher.blob(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip").await;
    let text =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": chart, "layers": [layer] });
    let chart = pusher.manifest(&text.to_string(), MANIFEST).await;
    name(&other, "app", chart["digest"].as_str().unwrap(), "chart").await;
    // An index that says of an image what its config does not.
    let image = pusher.image("linux/amd64", "lie", &json!({})).await;
    let lie = with(image, "platform", json!({ "os": "linux", "architecture": "arm64" }));
    let lie = pusher.manifest(&index(&[lie]).to_string(), INDEX).await;
    name(&other, "app", lie["digest"].as_str().unwrap(), "lie").await;
    let app = format!("{}/app", other.sandbox.registry());
    let both = ("INPUT_PLATFORMS", "linux/amd64,linux/arm64");
    let nothing = format!("sha256:{}", "0".repeat(64));
    for (sources, change, words) in [
        (
            vec!["amd"],
            &[both][..],
            &["none of `source-images` is an image of `linux/arm64`", "hint: name it there"][..],
        ),
        (
            vec!["amd", "arm"],
            &[("INPUT_PLATFORMS", "linux/amd64")],
            &["arm` is an image of `linux/arm64`, which `platforms` does not list"],
        ),
        (vec!["amd", "amd-too"], &[], &["there are two images of `linux/amd64`"]),
        (vec!["chart"], &[], &["chart` is not merged"]),
        (vec!["lie"], &[], &["lie` is not merged", "its config says `linux/amd64`"]),
        (
            vec!["nowhere", "gone"],
            &[],
            &["2 problems", ":nowhere`", ":gone`", "hint: check its name"],
        ),
    ] {
        let sources: Vec<String> = sources.iter().map(|tag| format!("{app}:{tag}")).collect();
        refused(&world, &sources.join("\n"), &[&BARE[..], change].concat(), words).await;
    }
    let absent = format!("{app}@{nothing}");
    refused(&world, &absent, &BARE, &["is not in the registry", "check its name and its digest"])
        .await;
    for (wrong, words) in [
        ("v1-amd64", "`v1-amd64` names no repository"),
        ("octo/app", "neither a registry nor a tag"),
        ("ghcr.io/o/a@sha256:00", "is not a digest"),
    ] {
        refused(&world, wrong, &BARE, &["input `source-images`", words]).await;
    }
    let held = held(&world, "app");
    assert!(!held.iter().any(|file| file.contains("_manifests/")), "{held:?}");
}

#[tokio::test]
async fn bytes_that_are_not_the_digests_are_never_committed() {
    let (world, other) = (World::new().await, World::new().await);
    foreign(&other, "linux/amd64", "v1").await;
    let source = format!("{}/app:v1", other.sandbox.registry());
    // The config is read in the preflight; a layer only on its way.
    let layer = supply_action::image::Digest::of(&tar("linux/amd64v1"));
    let path = format!("/blobs/{layer}");
    let pushed = [("INPUT_SBOM", "false"), ("INPUT_PROVENANCE", "false")];
    for effect in [FaultEffect::Corrupt, FaultEffect::Body(b"short".to_vec())] {
        let fault = always(SandboxService::Registry, Some("GET"), &path, effect);
        other.sandbox.faults().add(fault);
        refused(
            &world,
            &source,
            &pushed,
            &["nothing was tagged", "is not moved to", "does not hash to its digest"],
        )
        .await;
        other.sandbox.faults().clear();
        let has = reqwest::Client::new()
            .head(format!("http://{}/v2/app/blobs/{layer}", world.sandbox.registry()))
            .send()
            .await
            .unwrap();
        assert_eq!(has.status(), 404, "no such blob was made");
    }
    let gone = always(SandboxService::Registry, Some("GET"), &path, FaultEffect::Status(404));
    other.sandbox.faults().add(gone);
    refused(&world, &source, &pushed, &["is not moved to", "is not in the registry"]).await;
}

#[tokio::test]
async fn a_copy_that_breaks_begins_again() {
    for (service, method, path, effect) in [
        // What is small goes in one request; `transfer` breaks those that do not.
        (SandboxService::Registry, "PUT", "/blobs/uploads/", FaultEffect::CutBody(100)),
        (SandboxService::Registry, "PUT", "/blobs/uploads/", FaultEffect::LoseAnswer),
        (SandboxService::Registry, "PUT", "/blobs/uploads/", FaultEffect::Status(404)),
        (SandboxService::Registry, "PUT", "/blobs/uploads/", FaultEffect::StatusRetryAfter(503, 0)),
    ] {
        let (world, other) = (World::new().await, World::new().await);
        foreign(&other, "linux/amd64", "v1").await;
        let source = format!("{}/app:v1", other.sandbox.registry());
        let fault = always(service, Some(method), path, effect.clone());
        // The first is the config of all evidence, which is no copy.
        world.sandbox.faults().add(Fault { skip: 1, times: 1, ..fault });
        let run = merge(&world, &source, &BARE).await;
        assert_eq!(run.code, Some(0), "{method} {effect:?}: {}", run.log);
        let broken = world
            .sandbox
            .requests()
            .iter()
            .any(|request| request.method == method && !(200..300).contains(&request.status));
        assert!(broken, "{method} {effect:?}: nothing broke");
    }
}

#[tokio::test]
async fn where_it_was_built_is_believed_of_nobody_who_did_not_say_so() {
    let world = World::new().await;
    let theirs = json!({ "uri": "https://github.com/vendor/tool.git#refs/heads/main", "digest": { "sha1": "f".repeat(40) } });
    let kind = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
    let predicate = json!({ "buildDefinition": { "buildType": kind, "externalParameters": { "configSource": theirs } },
        "runDetails": { "builder": { "id": "https://vendor.example/builder" } } });
    let image = format!("{}/vendor", world.sandbox.registry());
    let mode = format!("provenance:{predicate}");
    let job = world
        .run(
            &[],
            &[
                ("INPUT_IMAGES", image.as_str()),
                ("INPUT_PUSH-BY-DIGEST", "true"),
                ("FAKE_BUILDX", &mode),
            ],
        )
        .await;
    assert_eq!(job.code, Some(0), "{}", job.log);
    let source = format!("{image}@{}", job.outputs["digest"]);
    refused(
        &world,
        &source,
        &[],
        &["is not accepted", "name that source with `build-source`", "vendor/tool.git"],
    )
    .await;
    let other = [("INPUT_BUILD-SOURCE", "https://github.com/vendor/other")];
    refused(&world, &source, &other, &["but `build-source` is"]).await;
    let said = [("INPUT_BUILD-SOURCE", "https://github.com/vendor/tool")];
    let run = merge(&world, &source, &said).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for row in [
        format!("| taken from | `{source}` |"),
        "built from elsewhere | `https://github.com/vendor/tool.git#refs/heads/main`".to_owned(),
    ] {
        assert!(run.summary.contains(&row), "{row} is missing in {}", run.summary);
    }
}

#[tokio::test]
async fn what_jobs_hand_on_and_what_is_named_become_one_image() {
    let (world, other) = (World::new().await, World::new().await);
    let job = world
        .run(&[], &[("INPUT_PLATFORMS", "linux/amd64"), ("INPUT_PUSH-BY-DIGEST", "true")])
        .await;
    foreign(&other, "linux/arm64", "v1").await;
    let source = format!("{}/app:v1", other.sandbox.registry());
    let handed_on = ("INPUT_DIGESTS", job.outputs["digests"].as_str());
    let platforms = ("INPUT_PLATFORMS", "linux/amd64,linux/arm64,linux/s390x");
    let lacking = [&BARE[..], &[handed_on, platforms]].concat();
    refused(
        &world,
        &source,
        &lacking,
        &["no job pushed, and none of `source-images` is, an image of `linux/s390x`"],
    )
    .await;
    let run = merge(&world, &source, &[&BARE[..], &[handed_on]].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let platforms: Value = serde_json::from_str(&run.outputs["platforms"]).unwrap();
    assert_eq!(platforms.as_object().unwrap().len(), 2);
    // Of the job's own image nothing is doubtful.
    assert!(
        run.summary.contains("image of linux/arm64, whose build")
            && !run.summary.contains("image of linux/amd64, whose build"),
        "{}",
        run.summary
    );
    let tag = [("INPUT_DIGESTS", source.as_str())];
    let run = world.run(&["merge"], &tag).await;
    assert!(run.code == Some(2) && run.log.contains("`source-images` takes tags"), "{}", run.log);
}

#[tokio::test]
async fn every_registry_takes_what_is_moved_to_it() {
    let other = World::with(|config| config.habit = Some(Habit::Quay)).await;
    foreign(&other, "linux/amd64", "v1-amd64").await;
    foreign(&other, "linux/arm64", "v1-arm64").await;
    let sources = both(&other, "app");
    for (name, habit) in Habit::ALL {
        let world = World::with(|config| {
            config.habit = Some(habit);
            config.registry_login = Some(("AWS".into(), "password".into()));
        })
        .await;
        let run = merge(&world, &sources, &BARE).await;
        assert_eq!(run.code, Some(0), "{name}: {}", run.log);
        let repository: Repository = world.repository();
        let image = repository.at(&run.outputs["digest"].parse().unwrap());
        assert!(world.registry().manifest(&image).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn layers_of_windows_that_lie_elsewhere_need_not_be_moved() {
    let (world, other) = (World::new().await, World::new().await);
    let pusher = Pusher::new(&other);
    let bytes = tar("windows");
    let config = json!({ "os": "windows", "architecture": "amd64", "os.version": "10.0.1",
        "rootfs": { "type": "layers", "diff_ids": [supply_action::image::Digest::of(b"base"), supply_action::image::Digest::of(&bytes)] } });
    let config = pusher.blob(config.to_string().as_bytes(), CONFIG).await;
    let own = pusher.blob(&bytes, LAYER).await;
    let elsewhere = json!({ "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": supply_action::image::Digest::of(b"base"), "size": 4, "urls": ["https://mcr.microsoft.com/v2/x/blobs/y"] });
    let text = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [elsewhere, own] });
    let image = pusher.manifest(&text.to_string(), MANIFEST).await;
    name(&other, "app", image["digest"].as_str().unwrap(), "v1").await;
    let source = format!("{}/app:v1", other.sandbox.registry());
    let bare = [("INPUT_SBOM", "false"), ("INPUT_PROVENANCE", "false")];
    refused(&world, &source, &bare, &["may be fetched from elsewhere"]).await;
    let allowed = [("INPUT_ALLOW-FOREIGN-LAYERS", "true")];
    let run = merge(&world, &source, &[&bare[..], &allowed].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}
