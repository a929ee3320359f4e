//! Indexes, manifests and configs that programs read otherwise than others, and entries that nobody
//! looks at: no verb takes one for an image.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::pusher::{
    CONFIG, DOCKER_LIST, DOCKER_MANIFEST, EMPTY, IN_TOTO, INDEX, LAYER, MANIFEST, Pusher, SCHEMA_1,
    SOCI, also, described, index, with, without,
};
use crate::support::{Run, World};

/// What a hostile job pushed, as text and media type, and why it is refused.
#[derive(Clone)]
struct Shape {
    name: &'static str,
    text: String,
    kind: &'static str,
    why: &'static str,
}

/// What shapes are made of: an honest image with its statements, and one that is to be smuggled in.
struct Pieces {
    good: Value,
    good_text: String,
    proof: Value,
    evil: Value,
    evil_text: String,
}

impl Pieces {
    async fn pushed(pusher: &Pusher) -> Self {
        let (good_text, evil_text) = (
            pusher.image_text("linux/amd64", "", &json!({})).await,
            pusher.image_text("linux/amd64", "evil", &json!({})).await,
        );
        let (good, evil) = (
            pusher.image_of("linux/amd64", &good_text).await,
            pusher.image_of("linux/amd64", &evil_text).await,
        );
        let proof = pusher.attestations(&good, json!({}), &[]).await;
        Self { good, good_text, proof, evil, evil_text }
    }

    fn honest(&self) -> String {
        index(&[self.good.clone(), self.proof.clone()]).to_string()
    }
}

/// Indexes that two programs read as two things.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn documents(pieces: &Pieces) -> Vec<Shape> {
    let Pieces { good, good_text, proof, evil, .. } = pieces;
    let (honest, entries) = (pieces.honest(), [good.clone(), proof.clone()]);
    let image: Value = serde_json::from_str(good_text).unwrap();
    let mut shapes = Vec::new();
    let mut add = |name, text: String, why| shapes.push(Shape { name, text, kind: INDEX, why });
    add(
        "Manifests beside manifests",
        also(&honest, &format!(r#""Manifests":[{evil}]"#)),
        "`Manifests` is read as `manifests`",
    );
    add(
        "Manifests before",
        honest.replacen('{', &format!(r#"{{"Manifests":[{evil}],"#), 1),
        "`Manifests` is read as `manifests`",
    );
    add(
        "manifests twice",
        also(&honest, &format!(r#""manifests":[{evil}]"#)),
        "`manifests` stands in it twice",
    );
    add("a long s", also(&honest, &format!(r#""manifestſ":[{evil}]"#)), "is read as `manifests`");
    add(
        "escaped",
        also(&honest, &format!(r#""manifest\u017F":[{evil}]"#)),
        "is read as `manifests`",
    );
    add(
        "MediaType",
        also(&honest, &format!(r#""MediaType":"{MANIFEST}""#)),
        "`MediaType` is read as `mediaType`",
    );
    add(
        "both kinds",
        also(&honest, &format!(r#""config":{},"layers":{}"#, image["config"], image["layers"])),
        "`config` belongs to a document",
    );
    add(
        "both kinds in capitals",
        also(&honest, &format!(r#""LAYERS":{}"#, image["layers"])),
        "`LAYERS` belongs to a document of another",
    );
    add(
        "schema 1's members",
        also(&honest, r#""fsLayers":[{"blobSum":"x"}]"#),
        "`fsLayers` belongs to a document of another kind",
    );
    add(
        "Digest in an entry",
        honest.replacen(r#""digest""#, &format!(r#""Digest":{},"digest""#, evil["digest"]), 1),
        "`manifests[0].Digest`",
    );
    add(
        "digest twice",
        honest.replacen(r#""digest""#, &format!(r#""digest":{},"digest""#, evil["digest"]), 1),
        "`manifests[0].digest` stands",
    );
    add(
        "Platform in an entry",
        honest.replacen(
            r#""platform""#,
            r#""Platform":{"os":"x","architecture":"y"},"platform""#,
            1,
        ),
        "`manifests[0].Platform`",
    );
    add(
        "OS in a platform",
        honest.replacen(r#""os":"linux""#, r#""os":"linux","OS":"windows""#, 1),
        "platform.OS` is read as `os`",
    );
    add(
        "no schema",
        without(index(&entries), "schemaVersion").to_string(),
        "it has no `schemaVersion`",
    );
    add(
        "schema 1",
        with(index(&entries), "schemaVersion", json!(1)).to_string(),
        "`schemaVersion` is `1`",
    );
    add("null", honest.replacen("[{", "[null,{", 1), "`manifests[0]` is null");
    add(
        "a size with a point",
        honest.replacen(
            &format!(r#""size":{}"#, good["size"]),
            &format!(r#""size":{}.0"#, good["size"]),
            1,
        ),
        "].size` is a number",
    );
    add(
        "another media type inside",
        with(index(&entries), "mediaType", json!(DOCKER_LIST)).to_string(),
        "and says itself that it is",
    );
    add("a mark before", format!("\u{feff}{honest}"), "no JSON that every program reads alike");
    add("more behind", format!("{honest}{honest}"), "no JSON that every program reads alike");
    add(
        "data of another",
        index(&[with(good.clone(), "data", json!("e30=")), proof.clone()]).to_string(),
        "`manifests[0].data` is not the bytes",
    );
    add(
        "urls of an entry",
        index(&[with(good.clone(), "urls", json!(["http://127.0.0.1:9/x"])), proof.clone()])
            .to_string(),
        "stored elsewhere",
    );
    let as_image = without(index(&entries), "mediaType").to_string();
    let said = |number: u8| also(good_text, &format!(r#""annotations":{{"a":"{number}"}}"#));
    let served = [
        (
            "an index that is served as an image",
            as_image,
            MANIFEST,
            "`manifests` belongs to a document of another kind",
        ),
        (
            "an image that is served as an index",
            good_text.replace(MANIFEST, INDEX),
            INDEX,
            "another kind",
        ),
        ("schema 1 by its header", said(1), SCHEMA_1, "neither that of an index nor"),
        ("an image with another header", said(2), DOCKER_MANIFEST, "and says itself that it is"),
    ];
    shapes.extend(served.map(|(name, text, kind, why)| Shape { name, text, kind, why }));
    shapes
}

/// Collects indexes whose entries are not what they should be.
#[derive(Default)]
struct Entries(Vec<Shape>);

impl Entries {
    fn add(&mut self, name: &'static str, entries: &[&Value], why: &'static str) {
        let entries: Vec<Value> = entries.iter().map(|entry| (*entry).clone()).collect();
        self.0.push(Shape { name, text: index(&entries).to_string(), kind: INDEX, why });
    }
}

fn on(entry: &Value, os: &str, architecture: &str) -> Value {
    with(entry.clone(), "platform", json!({ "os": os, "architecture": architecture }))
}

fn amd64_with(entry: &Value, member: &str, value: Value) -> Value {
    let platform = with(json!({ "os": "linux", "architecture": "amd64" }), member, value);
    with(entry.clone(), "platform", platform)
}

fn about(entry: &Value, digest: &Value) -> Value {
    let marks = json!({ "vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest" });
    with(entry.clone(), "annotations", marks)
}

/// Entries that are marked as attestations, and that programs run or that are about nothing.
fn marked_entries(pieces: &Pieces) -> Vec<Shape> {
    let Pieces { good, proof, evil, .. } = pieces;
    let smuggled =
        with(with(proof.clone(), "digest", evil["digest"].clone()), "size", evil["size"].clone());
    let mut shapes = Entries::default();
    let mut add = |name, entries: &[&Value], why| shapes.add(name, entries, why);
    add(
        "for an unlisted platform",
        &[good, &on(proof, "linux", "arm64")],
        "not of platform `unknown/unknown`, but `linux/arm64`",
    );
    add(
        "first, for the platform",
        &[&on(proof, "linux", "amd64"), good],
        "not of platform `unknown/unknown`, but `linux/amd64`",
    );
    add(
        "for half a platform",
        &[&on(proof, "linux", "unknown"), good],
        "not of platform `unknown/unknown`",
    );
    add(
        "without a platform",
        &[&without(proof.clone(), "platform"), good],
        "not of platform `unknown/unknown`, but `none`",
    );
    add("an image that is marked", &[good, &smuggled], "not only statements");
    add(
        "about nothing",
        &[good, &about(proof, &Value::Null)],
        "`manifests[1].annotations.vnd.docker.reference.digest` is null",
    );
    add(
        "about what is not a digest",
        &[good, &about(proof, &json!("x"))],
        "about `x`, which is not one of its images",
    );
    add(
        "about an image elsewhere",
        &[good, &about(proof, &evil["digest"])],
        "which is not one of its images",
    );
    add(
        "about themselves",
        &[good, &about(proof, &proof["digest"])],
        "which is not one of its images",
    );
    add("twice", &[good, proof, proof], "several manifests of attestations");
    add(
        "with another mark",
        &[good, &with(proof.clone(), "annotations", json!({}))],
        "neither an image nor attestations",
    );
    add("alone", &[proof], "which is not one of its images");
    shapes.0
}

/// Attestations that are more than statements about one image.
async fn marked_contents(pusher: &Pusher, pieces: &Pieces) -> Vec<Shape> {
    let good = &pieces.good;
    let runnable: Value = serde_json::from_str(&pieces.evil_text).unwrap();
    let elsewhere = with(described(b"x", IN_TOTO), "urls", json!(["http://127.0.0.1:9/x"]));
    let other_config = pusher.blob(b"x", "a/b").await;
    let of_subject = json!({ "subject": described(b"elsewhere", MANIFEST) });
    let (first, again) = (&pieces.proof, json!({ "annotations": { "a": "b" } }));
    let mut shapes = Entries::default();
    for (name, more, layers, why) in [
        (
            "an image among the statements",
            json!({}),
            vec![runnable["layers"][0].clone()],
            "not only statements",
        ),
        (
            "a runnable config",
            json!({ "config": runnable["config"] }),
            vec![],
            "an image of `linux/amd64` by their config",
        ),
        (
            "a config of another kind",
            json!({ "config": other_config }),
            vec![],
            "with a config of media type `a/b`",
        ),
        ("a subject elsewhere", of_subject, vec![], "by their subject"),
        (
            "an artifact type of their own",
            json!({ "artifactType": "a/b" }),
            vec![],
            "of artifact type `a/b`",
        ),
        ("statements with addresses", json!({}), vec![elsewhere], "not only statements"),
        ("no statement", json!({ "layers": [] }), vec![], "without any statement"),
    ] {
        let proof = pusher.attestations(good, more, &layers).await;
        shapes.add(name, &[good, &proof], why);
    }
    let second = pusher.attestations(good, again, &[]).await;
    shapes.add("two of one image", &[good, first, &second], "several manifests of attestations");
    shapes.0
}

/// Entries that are images, and not of what they say.
fn image_entries(pieces: &Pieces) -> Vec<Shape> {
    let Pieces { good, proof, evil, .. } = pieces;
    let mut shapes = Entries::default();
    let mut add = |name, entry: &Value, why| shapes.add(name, &[good, entry, proof], why);
    add("one image twice", good, "two images of `linux/amd64`");
    add("one image for two platforms", &on(good, "linux", "arm64"), "two entries of");
    add("two images of a platform", evil, "two images of `linux/amd64`");
    add(
        "two by the variant that is none",
        &amd64_with(evil, "variant", json!("v1")),
        "two images of `linux/amd64`",
    );
    add(
        "two by a version that no config has",
        &amd64_with(evil, "os.version", json!("10")),
        "its config says `linux/amd64`",
    );
    add(
        "two by features that no config has",
        &amd64_with(evil, "os.features", json!(["x"])),
        "its config says `linux/amd64`",
    );
    add(
        "another platform's image",
        &on(evil, "linux", "arm64"),
        "is of `linux/arm64`, but its config says `linux/amd64`",
    );
    add(
        "an unknown platform",
        &on(evil, "unknown", "unknown"),
        "neither an image nor attestations",
    );
    add(
        "half an unknown platform",
        &on(evil, "linux", "unknown"),
        "neither an image nor attestations",
    );
    add("another spelling", &on(evil, "Linux", "amd64"), "whose platform is not known");
    add("another name", &on(evil, "linux", "x86_64"), "whose platform is not known");
    add(
        "odd characters",
        &on(evil, "linux", "arm64|x|\n::error::x \u{202e}"),
        "whose platform is not known",
    );
    add("no platform", &without(evil.clone(), "platform"), "an entry without a platform");
    add(
        "an artifact",
        &with(evil.clone(), "artifactType", json!(SOCI)),
        "of artifact type `application/vnd.amazon.soci",
    );
    add("an index within", &with(evil.clone(), "mediaType", json!(INDEX)), "another index");
    let mut only = |name, entry: &Value, why| shapes.add(name, &[entry, proof], why);
    only(
        "schema 1 by its entry",
        &with(good.clone(), "mediaType", json!(SCHEMA_1)),
        "v1+prettyjws`, which is neither",
    );
    only(
        "another media type than the header's",
        &with(good.clone(), "mediaType", json!(DOCKER_MANIFEST)),
        "but the registry says",
    );
    only("another size", &with(good.clone(), "size", json!(7)), "has 7 bytes");
    shapes.0
}

/// Images whose manifests and configs are not what every program runs alike.
async fn image_contents(pusher: &Pusher, pieces: &Pieces) -> Vec<Shape> {
    let evil = &pieces.evil_text;
    let manifest: Value = serde_json::from_str(evil).unwrap();
    let config = br#"{"os":"linux","architecture":"amd64","Architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = pusher.blob(config, CONFIG).await;
    let of_config =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] })
            .to_string();
    let short = with(manifest.clone(), "layers", json!([])).to_string();
    let variant = pusher.image_text("linux/amd64", "v3", &json!({ "variant": "v3" })).await;
    let mut shapes = Entries::default();
    for (name, text, why) in [
        ("in-toto layers that run", evil.replace(LAYER, IN_TOTO), "which is not a file system"),
        (
            "layers of no kind",
            evil.replace(LAYER, "application/octet-stream"),
            "which is not a file system",
        ),
        ("Layers in a manifest", also(evil, r#""Layers":[]"#), "`Layers` is read as `layers`"),
        ("Config in a manifest", also(evil, r#""Config":{}"#), "`Config` is read as `config`"),
        (
            "manifests in a manifest",
            also(evil, r#""manifests":[]"#),
            "`manifests` belongs to a document of another kind",
        ),
        ("a config of nothing", evil.replace(CONFIG, EMPTY), "which is not that of an image"),
        ("Architecture in a config", of_config, "`Architecture` is read as `architecture`"),
        ("fewer layers than the config has", short, "manifest lists 0 layers, and its config 1"),
        (
            "a variant that the entry hides",
            variant,
            "is of `linux/amd64`, but its config says `linux/amd64/v3`",
        ),
    ] {
        let entry = pusher.image_of("linux/amd64", &text).await;
        shapes.add(name, &[&entry], why);
    }
    shapes.0
}

/// What one run said, and how it ended.
async fn said(world: &World, arguments: &[&str], change: &[(&str, &str)]) -> (Option<i32>, String) {
    let output =
        world.command().args(arguments).envs(change.iter().copied()).output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_ambiguous_or_unknown_documents_in_merge_and_verify() {
    let world = World::new().await;
    let pusher = Pusher::new(&world);
    let pieces = Pieces::pushed(&pusher).await;
    let honest = pusher.index(&[pieces.good.clone(), pieces.proof.clone()]).await;
    let pushed =
        [marked_contents(&pusher, &pieces).await, image_contents(&pusher, &pieces).await].concat();
    let shapes =
        [documents(&pieces), marked_entries(&pieces), image_entries(&pieces), pushed].concat();
    assert!(shapes.len() > 65, "{}", shapes.len());
    let (root, identity) = (world.sandbox.trusted_root().display().to_string(), world.identity());
    let (world, pusher) = (&world, &pusher);
    let wrong: Vec<String> = futures_util::stream::iter(shapes)
        .map(|Shape { name, text, kind, why }| {
            let (root, identity) = (&root, &identity);
            async move {
                let digest = pusher.keep(&text, kind);
                let image = format!("{}/app@{digest}", world.sandbox.registry());
                let job =
                    json!({ "build": { "result": "success", "outputs": { "digests": json!({ "linux/amd64": digest }).to_string() } } });
                let (merged, told) =
                    said(world, &["merge"], &[("INPUT_DIGESTS", &job.to_string()), ("INPUT_PLATFORMS", "linux/amd64")]).await;
                let of_merge = merged == Some(1) && told.contains("nothing was tagged") && told.contains(why) && told.contains(&image);
                let verify = [
                    "verify",
                    "--trusted-root",
                    root,
                    "--certificate-identity",
                    &identity.0,
                    "--certificate-oidc-issuer",
                    &identity.1,
                    &image,
                ];
                let (verified, found) = said(world, &verify, &[]).await;
                let of_verify = verified == Some(1) && found.contains(why);
                (!of_merge || !of_verify).then(|| format!("{name} ({why}): {merged:?} {told}\n{verified:?} {found}"))
            }
        })
        .buffer_unordered(4)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
    assert_eq!(world.tags().await.len(), 0);
    assert!(
        !world
            .sandbox
            .requests()
            .iter()
            .any(|request| request.service == supply_action::sandbox::SandboxService::Fulcio),
        "nothing was signed"
    );
    let run = merged(world, &[honest], "linux/amd64", &[]).await;
    assert_eq!(run.code, Some(0), "the honest one: {}", run.log);
}

async fn merged(
    world: &World,
    digests: &[String],
    platforms: &str,
    change: &[(&str, &str)],
) -> Run {
    let digests = json!(digests).to_string();
    let own = [
        ("INPUT_DIGESTS", digests.as_str()),
        ("INPUT_PLATFORMS", platforms),
        ("INPUT_ON-TAG-CONFLICT", "overwrite"),
    ];
    world.run(&["merge"], &[&own, change].concat()).await
}

/// What `verify` prints of the image that a run published.
async fn verified(world: &World, run: &Run, more: &[&str]) -> (Option<i32>, String) {
    let (root, identity) = (world.sandbox.trusted_root().display().to_string(), world.identity());
    let who = [
        "verify",
        "--trusted-root",
        &root,
        "--certificate-identity",
        &identity.0,
        "--certificate-oidc-issuer",
        &identity.1,
    ];
    let output = world
        .command()
        .args([&who, more, &[&run.outputs["image-ref"]]].concat())
        .output()
        .await
        .unwrap();
    (
        output.status.code(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    )
}

#[tokio::test]
async fn what_builders_write_is_merged_and_verified_as_before() {
    let world = World::new().await;
    let pusher = Pusher::new(&world);
    // Windows has several images of one platform.
    let mut windows = Vec::new();
    for version in ["10.0.20348.1", "10.0.26100.1"] {
        let image = pusher.image("windows/amd64", version, &json!({ "os.version": version })).await;
        windows.push(with(
            image,
            "platform",
            json!({ "os": "windows", "architecture": "amd64", "os.version": version }),
        ));
    }
    let proofs = [
        pusher.attestations(&windows[0], json!({}), &[]).await,
        pusher.older_attestations(&windows[1]).await,
    ];
    let digest = pusher.index(&[&windows[..], &proofs].concat()).await;
    let run = merged(&world, &[digest], "windows/amd64", &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (code, said) = verified(
        &world,
        &run,
        &["--platform", "windows/amd64", "--require", "attestations=signature"],
    )
    .await;
    assert!(code == Some(0), "{said}");
    // Each by a job of its own.
    let apart = [
        pusher.index(&[windows[0].clone(), proofs[0].clone()]).await,
        pusher.index(&[windows[1].clone(), proofs[1].clone()]).await,
    ];
    let run = merged(&world, &apart, "windows/amd64", &[]).await;
    assert!(run.code == Some(0) && verified(&world, &run, &[]).await.0 == Some(0), "{}", run.log);
    // Docker's own types, mixed with those of OCI; no attestations, so SBOMs are made here.
    let text = pusher.image_text("linux/arm64", "docker", &json!({ "variant": "v8" })).await;
    let text = text
        .replace(MANIFEST, DOCKER_MANIFEST)
        .replace(CONFIG, "application/vnd.docker.container.image.v1+json");
    let image = pusher.manifest(&text, DOCKER_MANIFEST).await;
    let image =
        with(image, "platform", json!({ "os": "linux", "architecture": "arm64", "variant": "v8" }));
    let list =
        json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [image] }).to_string();
    let list = pusher.manifest(&list, DOCKER_LIST).await["digest"].as_str().unwrap().to_owned();
    let made_here = [("INPUT_SBOM", "registry"), ("INPUT_PROVENANCE", "false")];
    let run = merged(&world, &[list], "linux/arm64", &made_here).await;
    assert!(run.code == Some(0) && verified(&world, &run, &[]).await.0 == Some(0), "{}", run.log);
    // An image without an index.
    let single = image["digest"].as_str().unwrap().to_owned();
    let run = merged(&world, &[single], "linux/arm64", &made_here).await;
    assert!(
        run.code == Some(0)
            && verified(&world, &run, &["--platform", "linux/arm64/v8"]).await.0 == Some(0),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn a_platform_and_its_variant_are_named_both_or_neither() {
    let world = World::new().await;
    let pusher = Pusher::new(&world);
    let plain = pusher.image("linux/amd64", "", &json!({})).await;
    let v3 = pusher.image("linux/amd64", "v3", &json!({ "variant": "v3" })).await;
    let v3 =
        with(v3, "platform", json!({ "os": "linux", "architecture": "amd64", "variant": "v3" }));
    let proofs = [
        pusher.attestations(&plain, json!({}), &[]).await,
        pusher.attestations(&v3, json!({}), &[]).await,
    ];
    let digest = pusher.index(&[plain, v3, proofs[0].clone(), proofs[1].clone()]).await;
    let claimed = |claims: &Value| [("INPUT_DIGESTS", claims.to_string())];
    let both = "linux/amd64,linux/amd64/v3";
    for (claims, platforms, why) in [
        (
            json!({ "linux/amd64": digest }),
            "linux/amd64",
            "holds `linux/amd64`, `linux/amd64/v3`, which is more than its job declares",
        ),
        (json!({ "linux/amd64": digest }), both, "which is more than its job declares"),
        (json!({ "linux/amd64/v3": digest }), "", "which is more than its job declares"),
        (
            json!([digest]),
            "linux/amd64",
            "pushed an image of `linux/amd64/v3`, which `platforms` does not list",
        ),
        (
            json!([digest]),
            "linux/amd64/v3",
            "pushed an image of `linux/amd64`, which `platforms` does not list",
        ),
    ] {
        let [(name, claims)] = claimed(&claims);
        let (code, said) =
            said(&world, &["merge"], &[(name, &claims), ("INPUT_PLATFORMS", platforms)]).await;
        assert!(
            code == Some(1) && said.contains("nothing was tagged") && said.contains(why),
            "{claims} {platforms}: {said}"
        );
    }
    assert_eq!(world.tags().await.len(), 0);
    for (claims, platforms) in [
        (json!({ "linux/amd64": digest, "linux/amd64/v3": digest }), both),
        (json!([digest]), both),
        (json!([digest]), ""),
    ] {
        let [(name, claims)] = claimed(&claims);
        let change = [
            (name, claims.as_str()),
            ("INPUT_PLATFORMS", platforms),
            ("INPUT_ON-TAG-CONFLICT", "overwrite"),
        ];
        let run = world.run(&["merge"], &change).await;
        assert_eq!(run.code, Some(0), "{claims} {platforms}: {}", run.log);
        for (named, good) in [
            (&["linux/amd64"][..], false),
            (&["linux/amd64/v3"], false),
            (&[], true),
            (&["linux/amd64", "linux/amd64/v3"], true),
        ] {
            let flags: Vec<&str> =
                named.iter().flat_map(|platform| ["--platform", platform]).collect();
            let (code, said) = verified(&world, &run, &flags).await;
            assert_eq!(code == Some(0), good, "{named:?}: {said}");
            assert!(good || said.contains("but only the first is named"), "{said}");
        }
    }
}

#[tokio::test]
async fn accepts_unusual_entries_by_name_and_reports_them() {
    let world = World::new().await;
    let pusher = Pusher::new(&world);
    let mut text: Value =
        serde_json::from_str(&pusher.image_text("linux/amd64", "", &json!({})).await).unwrap();
    text["layers"][0]["urls"] = json!(["https://elsewhere.example/layer"]);
    let foreign = pusher.image_of("linux/amd64", &text.to_string()).await;
    let proof = pusher.attestations(&foreign, json!({}), &[]).await;
    let elsewhere = pusher.index(&[foreign, proof]).await;
    let good = pusher.image("linux/amd64", "soci", &json!({})).await;
    let proof = pusher.attestations(&good, json!({}), &[]).await;
    let config = pusher.blob(b"{}", EMPTY).await;
    let soci = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SOCI, "config": config, "layers": [pusher.blob(b"ztoc", "application/octet-stream").await] });
    let soci =
        with(pusher.manifest(&soci.to_string(), MANIFEST).await, "artifactType", json!(SOCI));
    let first = pusher.index(&[soci.clone(), good.clone(), proof.clone()]).await;
    let soci = on(&soci, "linux", "amd64");
    let beside = pusher.index(&[good, soci, proof]).await;
    let run = merged(&world, &[first], "linux/amd64", &[("INPUT_ALLOW-INDEX-ENTRIES", SOCI)]).await;
    assert!(
        run.code == Some(1) && run.log.contains("some programs use as the image of `linux/amd64`"),
        "{}",
        run.log
    );
    for (digest, input, value, flag, refused, told) in [
        (
            elsewhere,
            "INPUT_ALLOW-FOREIGN-LAYERS",
            "true",
            vec!["--allow-foreign-layers"],
            "may be fetched from elsewhere: `https://elsewhere.example/layer`",
            "`https://elsewhere.example/layer`",
        ),
        (
            beside,
            "INPUT_ALLOW-INDEX-ENTRIES",
            SOCI,
            vec!["--allow-index-entries", SOCI],
            "an entry of artifact type `application/vnd.amazon.soci",
            "of artifact type `application/vnd.amazon.soci.index.v2+json`",
        ),
    ] {
        let run = merged(&world, std::slice::from_ref(&digest), "linux/amd64", &[]).await;
        let hint = input.trim_start_matches("INPUT_").to_lowercase();
        assert!(
            run.code == Some(1) && run.log.contains(refused) && run.log.contains(&hint),
            "{}",
            run.log
        );
        let run = merged(&world, &[digest], "linux/amd64", &[(input, value)]).await;
        assert!(
            run.code == Some(0)
                && run.log.lines().any(|line| line.contains("notice") && line.contains(told)),
            "{}",
            run.log
        );
        let (code, said) = verified(&world, &run, &[]).await;
        assert!(code == Some(1) && said.contains(refused) && said.contains(flag[0]), "{said}");
        let (code, said) = verified(&world, &run, &flag).await;
        assert!(
            code == Some(0)
                && said.lines().any(|line| line.starts_with("allowed ") && line.contains(told)),
            "{said}"
        );
        let (_, said) = verified(&world, &run, &[&flag[..], &["--json"]].concat()).await;
        let told_machines: BTreeMap<String, Value> =
            serde_json::from_str(said.lines().next().unwrap()).unwrap();
        assert!(told_machines["allowed"][0].as_str().unwrap().contains(told), "{said}");
    }
    let honest = pusher.image("linux/amd64", "honest", &json!({})).await;
    let proof = pusher.attestations(&honest, json!({}), &[]).await;
    let honest = pusher.index(&[honest, proof]).await;
    let run =
        merged(&world, &[honest], "linux/amd64", &[("INPUT_ALLOW-FOREIGN-LAYERS", "true")]).await;
    assert!(run.code == Some(0) && run.log.contains("had no effect"), "{}", run.log);
}

#[tokio::test]
async fn what_a_hostile_builder_pushes_gets_no_name() {
    let world = World::new().await;
    for (mode, why) in [
        (r#"index-also:"Manifests":[]"#, "`Manifests` is read as `manifests`"),
        (r#"index-also:"layers":[]"#, "`layers` belongs to a document of another kind"),
        ("attestations-for:linux/s390x", "not of platform `unknown/unknown`, but `linux/s390x`"),
    ] {
        let run = world.run(&[], &[("FAKE_BUILDX", mode)]).await;
        assert!(
            run.code == Some(1) && run.log.contains("nothing was tagged") && run.log.contains(why),
            "{mode}: {}",
            run.log
        );
    }
    assert_eq!(world.tags().await.len(), 0);
    assert!(
        !world.sandbox.requests().iter().any(|request| request.path.contains("/referrers/")),
        "nothing was signed"
    );
}

#[tokio::test]
async fn every_platform_that_lacks_something_is_told_in_one_order() {
    let world = World::new().await;
    let pusher = Pusher::new(&world);
    let mut bare = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        bare.push(pusher.image(platform, "", &json!({})).await);
    }
    let digest = pusher.index(&bare).await;
    for round in 0..6 {
        let run = merged(&world, std::slice::from_ref(&digest), "linux/amd64,linux/arm64", &[]);
        let Run { code, log, .. } = run.await;
        let of = |platform: &str| log.find(&format!("the image of `{platform}`")).unwrap();
        assert_eq!(code, Some(1), "{log}");
        assert!(of("linux/amd64") < of("linux/arm64"), "round {round}: {log}");
    }
    assert_eq!(world.tags().await.len(), 0);
}
