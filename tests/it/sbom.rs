//! `supply-action sbom` as a person calls it: the same image from a registry, a layout, an archive
//! and a directory; and a registry that fails.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use supply_action::image::Digest;
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::support::{World, always};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn put(root: &Path, bytes: &[u8], media_type: &str) -> Value {
    let digest = Digest::of(bytes);
    let folder = root.join("blobs/sha256");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(digest.hex()), bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Two layers; the upper one takes a package away. Gives the digests of both.
fn layout(root: &Path) -> Vec<String> {
    let status = "Package: a\nVersion: 1\nArchitecture: all\n";
    let base = tar(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("var/lib/dpkg/status", status),
        ("var/lib/dpkg/info/a.list", "/.\n/usr\n/usr/bin/a\n/usr/bin/gone\n"),
        ("usr/bin/a", "abc"),
        ("usr/bin/gone", "abc"),
        ("app/package.json", r#"{"name":"gone","version":"1.0.0"}"#),
    ]);
    let upper = tar(&[
        ("app/.wh.package.json", ""),
        ("usr/bin/.wh.gone", ""),
        ("srv/package.json", r#"{"name":"here","version":"2.0.0"}"#),
    ]);
    let layers = [base, upper];
    let compressed = layers.each_ref().map(|layer| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(layer).unwrap();
        put(root, &gzip.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
    });
    let ids = layers.each_ref().map(|layer| Digest::of(layer).to_string());
    let config = json!({ "os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z", "rootfs": { "type": "layers", "diff_ids": ids } });
    let config =
        put(root, config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": compressed });
    let mut manifest = put(root, manifest.to_string().as_bytes(), OCI_MANIFEST);
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "demo:v1" });
    std::fs::write(
        root.join("index.json"),
        json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string(),
    )
    .unwrap();
    std::fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    compressed.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
}

struct Told {
    code: Option<i32>,
    document: String,
    log: String,
}

async fn sbom(world: &World, arguments: &[&str]) -> Told {
    let output = world.command().arg("sbom").args(arguments).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { code: output.status.code(), document: text(&output.stdout), log: text(&output.stderr) }
}

async fn world() -> (World, tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let layers = layout(folder.path());
    let path = folder.path().to_owned();
    (World::with(|config| config.preload = vec![path]).await, folder, layers)
}

fn blobs(world: &World, layers: &[String]) -> usize {
    let requests = world.sandbox.requests();
    requests
        .iter()
        .filter(|request| {
            layers.iter().any(|layer| format!("{request:?}").contains(layer.as_str()))
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_has_the_same_sbom_wherever_it_is() {
    let (world, folder, _) = world().await;
    let name = format!("{}/demo", world.sandbox.registry());
    let remote = sbom(&world, &[&format!("{name}:v1"), "--name", "demo"]).await;
    assert_eq!(remote.code, Some(0), "{}", remote.log);
    assert!(remote.log.contains("layer 2 of 2 read: sha256:"), "{}", remote.log);
    let document: Value = serde_json::from_str(&remote.document).unwrap();
    let purls: Vec<&str> = document["packages"].as_array().unwrap()[1..]
        .iter()
        .map(|one| one["externalRefs"][0]["referenceLocator"].as_str().unwrap())
        .collect();
    assert_eq!(purls, ["pkg:deb/debian/a@1?arch=all&distro=debian-12", "pkg:npm/here@2.0.0"]);
    assert_eq!(document["creationInfo"]["created"], "2026-01-02T03:04:05Z");
    assert!(
        document["packages"][1]["sourceInfo"]
            .as_str()
            .unwrap()
            .contains("; brought by layer sha256:")
    );
    let path = folder.path().display().to_string();
    let local = sbom(&world, &[&path, "--name", "demo", "--threads", "1"]).await;
    assert_eq!(local.document, remote.document, "{}", local.log);
    let archive = world.folder.path().join("image.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", folder.path()).unwrap();
    tar.into_inner().unwrap();
    let out = world.folder.path().join("out.json");
    let archived = sbom(
        &world,
        &[
            archive.to_str().unwrap(),
            "--name",
            "demo",
            "-o",
            out.to_str().unwrap(),
            "--threads",
            "8",
        ],
    )
    .await;
    assert_eq!((archived.code, archived.document.as_str()), (Some(0), ""), "{}", archived.log);
    assert_eq!(std::fs::read_to_string(out).unwrap(), remote.document);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_packages_brought_are_listed_on_request_and_the_same_with_a_cache() {
    let (world, folder, layers) = world().await;
    let (image, cache) =
        (format!("{}/demo:v1", world.sandbox.registry()), world.folder.path().join("cache"));
    let cache = ["--cache", cache.to_str().unwrap()];
    let plain =
        sbom(&world, &[&[image.as_str(), "--name", "demo"], cache.as_slice()].concat()).await;
    let files = ["--name", "demo", "--files", "owned"];
    let local =
        sbom(&world, &[&[folder.path().to_str().unwrap()], files.as_slice()].concat()).await;
    let document: Value = serde_json::from_str(&local.document).unwrap();
    let expected = json!([{ "algorithm": "SHA1", "checksumValue": "a9993e364706816aba3e25717850c26c9cd0d89d" }]);
    assert_eq!(document["files"].as_array().map(Vec::len), Some(1), "{}", local.log);
    assert_eq!(
        (&document["files"][0]["fileName"], &document["files"][0]["checksums"]),
        (&json!("./usr/bin/a"), &expected)
    );
    let package = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "a")
        .unwrap();
    let of_file = document["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["relatedSpdxElement"] == document["files"][0]["SPDXID"]);
    assert_eq!(
        (&of_file.unwrap()["spdxElementId"], &of_file.unwrap()["relationshipType"]),
        (&package["SPDXID"], &json!("CONTAINS"))
    );
    let before = blobs(&world, &layers);
    for fetched in [2, 2] {
        let remote =
            sbom(&world, &[&[image.as_str()], files.as_slice(), cache.as_slice()].concat()).await;
        assert_eq!(
            (&remote.document, blobs(&world, &layers) - before),
            (&local.document, fetched),
            "{}",
            remote.log
        );
    }
    let again =
        sbom(&world, &[&[image.as_str(), "--name", "demo"], cache.as_slice()].concat()).await;
    assert_eq!((&again.document, again.document.contains("\"files\"")), (&plain.document, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_known_are_not_fetched_and_the_document_is_the_same() {
    let (world, _folder, layers) = world().await;
    let cache = world.folder.path().join("cache");
    let image = format!("{}/demo:v1", world.sandbox.registry());
    let plain = sbom(&world, &[&image]).await;
    let cold = sbom(&world, &[&image, "--cache", cache.to_str().unwrap()]).await;
    assert_eq!(blobs(&world, &layers), 4);
    let warm = sbom(&world, &[&image, "--cache", cache.to_str().unwrap()]).await;
    assert_eq!(blobs(&world, &layers), 4, "nothing was fetched");
    assert!(warm.log.contains("known from the cache"), "{}", warm.log);
    assert_eq!((&cold.document, &warm.document), (&plain.document, &plain.document));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_whole_or_not_right_gives_no_document() {
    let (world, _folder, layers) = world().await;
    let image = format!("{}/demo:v1", world.sandbox.registry());
    for (effect, words) in [
        (FaultEffect::Corrupt, "does not hash to its digest"),
        (FaultEffect::Body(b"short".to_vec()), "does not have the"),
        (FaultEffect::Status(404), "is not in the registry"),
        (FaultEffect::Status(403), "was refused: 403"),
        (FaultEffect::Status(403), "hint: use a login that has permission to read here"),
    ] {
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            &format!("blobs/{}", layers[0]),
            effect,
        ));
        let told = sbom(&world, &[&image]).await;
        assert_eq!((told.code, told.document.as_str()), (Some(1), ""), "{words}: {}", told.log);
        assert!(
            told.log.contains("no sbom was written") && told.log.contains(words),
            "{words}: {}",
            told.log
        );
        world.sandbox.faults().clear();
    }
    let told = sbom(&world, &[&image, "--platform", "linux/arm64"]).await;
    assert!(
        told.code == Some(1) && told.log.contains("is for `linux/amd64`, not for `linux/arm64`"),
        "{}",
        told.log
    );
    let told = sbom(&world, &["./nothing"]).await;
    assert!(told.code == Some(2) && told.log.contains("`./nothing` is not there"), "{}", told.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_are_compared_wherever_they_are_and_with_documents() {
    let (world, folder, layers) = world().await;
    let image = format!("{}/demo:v1", world.sandbox.registry());
    let (layout, document) = (
        folder.path().display().to_string(),
        world.folder.path().join("demo.spdx.json").display().to_string(),
    );
    assert_eq!(sbom(&world, &[&image, "-o", &document]).await.code, Some(0));
    let archive = world.folder.path().join("image.tar").display().to_string();
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", folder.path()).unwrap();
    tar.into_inner().unwrap();
    for (before, after) in [(&image, &layout), (&layout, &document), (&document, &archive)] {
        let told = sbom(&world, &["diff", before, after, "--exit-code"]).await;
        assert_eq!(told.code, Some(0), "{before} {after}: {}{}", told.document, told.log);
    }
    // A root file system that lacks one package and has another.
    let root = world.folder.path().join("root");
    std::fs::create_dir_all(root.join("srv")).unwrap();
    std::fs::write(root.join("srv/package.json"), r#"{"name":"here","version":"3.0.0"}"#).unwrap();
    let root = root.display().to_string();
    let cache = world.folder.path().join("cache").display().to_string();
    for fetched in [6, 6] {
        let told =
            sbom(&world, &["diff", &image, &root, "--json", "--exit-code", "--cache", &cache])
                .await;
        assert_eq!(told.code, Some(1), "{}", told.log);
        let found: Value = serde_json::from_str(&told.document).unwrap();
        assert_eq!((&found["before"], &found["after"]), (&json!(image), &json!(root)));
        let count = |what: &str| found[what].as_array().unwrap().len();
        assert_eq!((count("added"), count("removed"), count("changed")), (0, 1, 1), "{found}");
        assert_eq!(blobs(&world, &layers), fetched, "the cache knows them");
    }
    let other = sbom(&world, &["diff", &image, &layout, "--platform", "linux/arm64"]).await;
    assert!(
        other.code == Some(1) && other.log.contains("is for `linux/amd64`, not for `linux/arm64`"),
        "{}",
        other.log
    );
    let none = sbom(&world, &["diff", "none.json", &document]).await;
    assert!(
        none.code == Some(2)
            && none.log.contains("nothing was compared: `none.json`: it cannot be read"),
        "{}",
        none.log
    );
}
