//! Images on disk, good and bad.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::sbom::layers::{LayerReading, collect};

fn sum(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn put(root: &Path, bytes: &[u8], kind: &str) -> Value {
    let digest = sum(bytes);
    let path = root.join("blobs/sha256").join(&digest[7..]);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
}

fn layer(name: &str) -> Vec<u8> {
    let text = format!(r#"{{"name":"{name}","version":"1.0.0"}}"#);
    let mut tar = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, "app/package.json", text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

fn config(architecture: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| sum(layer)).collect();
    json!({ "os": "linux", "architecture": architecture, "created": "2026-01-02T03:04:05Z", "rootfs": { "diff_ids": ids } })
        .to_string()
        .into_bytes()
}

/// The manifest of an image with one layer; gives its pointer.
fn manifest(root: &Path, architecture: &str, name: &str) -> Value {
    let layers = [layer(name)];
    let config = put(root, &config(architecture, &layers), CONFIG);
    let layers: Vec<Value> = layers.iter().map(|layer| put(root, layer, LAYER)).collect();
    put(
        root,
        json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().as_bytes(),
        MANIFEST,
    )
}

fn with(mut pointer: Value, key: &str, value: Value) -> Value {
    pointer[key] = value;
    pointer
}

fn for_platform(root: &Path, architecture: &str) -> Value {
    with(
        manifest(root, architecture, architecture),
        "platform",
        json!({ "os": "linux", "architecture": architecture }),
    )
}

fn index(root: &Path, manifests: &[Value]) {
    fs::write(
        root.join("index.json"),
        json!({ "schemaVersion": 2, "manifests": manifests }).to_string(),
    )
    .unwrap();
}

fn platform(architecture: &str) -> LayoutPlatform {
    LayoutPlatform { os: "linux".into(), architecture: architecture.into(), variant: None }
}

fn packages(local: &LocalImage) -> Vec<String> {
    let reading = LayerReading { diff_ids: false, ..LayerReading::of(local, 1) };
    let collected =
        collect(std::slice::from_ref(&local.image.layers), &reading).unwrap().pop().unwrap();
    crate::sbom::catalog::Catalog::from_collected(collected)
        .packages
        .into_iter()
        .map(|listed| listed.package.name)
        .collect()
}

fn refused(outcome: Result<LocalImage, SbomError>, expected: &str) {
    let told = outcome.err().unwrap().to_string();
    assert!(told.contains(expected), "{told}");
}

#[test]
fn the_platform_is_chosen_and_attestations_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let attestation = with(
        manifest(root, "unknown", "x"),
        "platform",
        json!({ "os": "unknown", "architecture": "unknown" }),
    );
    let inner = json!({ "schemaVersion": 2, "manifests": [for_platform(root, "arm64"), for_platform(root, "s390x"), attestation] });
    let inner = put(root, inner.to_string().as_bytes(), INDEX);
    index(
        root,
        &[with(inner, "annotations", json!({ "io.containerd.image.name": "ghcr.io/o/app:v1" }))],
    );
    let local = layout(root, None, Some(&platform("s390x"))).unwrap();
    assert_eq!(
        (packages(&local), local.name.as_deref()),
        (vec!["s390x".to_owned()], Some("ghcr.io/o/app:v1"))
    );
    assert_eq!(local.image.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
    refused(
        layout(root, None, Some(&platform("mips"))),
        "there is no image for `linux/mips`; there are `linux/arm64`, `linux/s390x`",
    );
    assert!(layout(root, Some("ghcr.io/o/app:v1"), Some(&platform("arm64"))).is_ok());
    refused(
        layout(root, Some("other"), None),
        "no image named `other` in the layout; there are `ghcr.io/o/app:v1`",
    );
    index(root, &[for_platform(root, "s390x"), for_platform(root, "mips")]);
    refused(layout(root, None, None), "choose one with `--platform`");
    index(root, &[for_platform(root, "s390x")]);
    assert_eq!(
        packages(&layout(root, None, None).unwrap()),
        ["s390x"],
        "the only one needs no wish"
    );
}

#[test]
fn what_does_not_hash_or_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let good = manifest(root, "amd64", "a");
    index(root, std::slice::from_ref(&good));
    let path = root.join("blobs/sha256").join(&good["digest"].as_str().unwrap()[7..]);
    fs::write(&path, "{}").unwrap();
    refused(layout(root, None, None), "does not hash to its digest");
    fs::remove_file(path).unwrap();
    refused(layout(root, None, None), "there is no `blobs/sha256/");
    index(
        root,
        &[json!({ "mediaType": MANIFEST, "digest": "sha256:../../../../etc/passwd", "size": 1 })],
    );
    refused(
        layout(root, None, None),
        "is `sha256:../../../../etc/passwd`, which is not `sha256:` and 64",
    );
    let two = [layer("a"), layer("b")];
    let short = json!({ "schemaVersion": 2, "config": put(root, &config("amd64", &two), CONFIG), "layers": [put(root, &two[0], LAYER)] });
    let pointer = put(root, short.to_string().as_bytes(), MANIFEST);
    index(root, &[pointer]);
    refused(layout(root, None, None), "lists `1` layers, the config `2`");
    index(root, &[manifest(root, "amd64", "a"), manifest(root, "amd64", "b")]);
    refused(layout(root, None, None), "the layout holds several images");
    // Evidence beside an image is none, whichever way it is kept; an image without a name is one.
    let image = manifest(root, "amd64", "a");
    let empty = put(root, b"{}", "application/vnd.oci.empty.v1+json");
    let bundle = json!({ "schemaVersion": 2, "config": empty, "layers": [empty], "subject": image, "artifactType": "b/b" });
    let bundle = put(root, bundle.to_string().as_bytes(), MANIFEST);
    let named = |name: String| {
        let mut older = manifest(root, "amd64", "b");
        older["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        older
    };
    let about = |ending: &str| named(format!("sha256-{}{ending}", "a".repeat(64)));
    index(root, &[image.clone(), bundle.clone(), about(".sig")]);
    layout(root, None, None).unwrap();
    index(root, &[image.clone(), bundle, about(".other")]);
    refused(layout(root, None, None), "the layout holds several images");
    index(root, &[image, named("v1".to_owned())]);
    refused(layout(root, None, None), "the layout holds several images");
    refused(layout(&root.join("none"), None, None), "is not an OCI layout");
}

/// As `docker save` wrote before it knew layouts: layers in folders, one of them a link to another.
fn saved(path: &Path) {
    let layers = [layer("a"), layer("b"), layer("b")];
    let mut tar = ::tar::Builder::new(fs::File::create(path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("1/layer.tar", &layers[0]);
    add("2/layer.tar", &layers[1]);
    add("c.json", &config("amd64", &layers));
    let names = ["1/layer.tar", "2/layer.tar", "3/layer.tar"];
    add(
        "manifest.json",
        json!([{ "Config": "c.json", "RepoTags": ["ghcr.io/o/app:v1"], "Layers": names }])
            .to_string()
            .as_bytes(),
    );
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "3/layer.tar", "../2/layer.tar").unwrap();
    tar.into_inner().unwrap();
}

#[test]
fn saved_archives_are_read_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.tar");
    saved(&path);
    let local = archive(&path, None, None).unwrap();
    assert_eq!(
        (packages(&local), local.name.as_deref(), &local.image.digest),
        (vec!["b".to_owned()], Some("ghcr.io/o/app:v1"), &None)
    );
    refused(archive(&path, Some("ghcr.io/o/app:v2"), None), "no image named `ghcr.io/o/app:v2`");
    refused(
        archive(&path, None, Some(&platform("arm64"))),
        "is for `linux/amd64`, not for `linux/arm64`",
    );

    let root = folder.path().join("layout");
    fs::create_dir(&root).unwrap();
    index(&root, &[manifest(&root, "amd64", "c")]);
    let path = folder.path().join("new.tar");
    let mut tar = ::tar::Builder::new(fs::File::create(&path).unwrap());
    tar.append_dir_all(".", &root).unwrap();
    tar.into_inner().unwrap();
    assert_eq!(packages(&archive(&path, None, None).unwrap()), ["c"]);
}

#[test]
fn an_archive_that_is_compressed_as_a_whole_is_read_like_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    saved(&path);
    let plain = fs::read(&path).unwrap();
    let expected = packages(&archive(&path, None, None).unwrap());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    for bytes in [gzip.finish().unwrap(), zstd::encode_all(&plain[..], 1).unwrap()] {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(packages(&archive(&path, None, None).unwrap()), expected);
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(archive(&path, None, None).is_err());
    }
}

#[test]
fn an_archive_that_inflates_without_end_fills_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar.zst");
    let zeros = vec![0; 64 << 20];
    fs::write(&path, zstd::encode_all(zeros.as_slice(), 19).unwrap()).unwrap();
    refused(archive(&path, None, None), "which is not plausible for an image");
}

#[test]
fn archives_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    write(b"\x1f\x8b\x08\0");
    refused(archive(&path, None, None), "ends too early");
    write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff");
    refused(archive(&path, None, None), "it is damaged");
    write(&[b'x'; 2000]);
    refused(archive(&path, None, None), "it is not a tar archive");
    write(&layer("a"));
    refused(archive(&path, None, None), "is not a saved image");
    let mut bytes = Vec::new();
    saved(&path);
    fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    write(&bytes[..1000]);
    refused(archive(&path, None, None), "ends too early");
}

#[test]
fn what_others_read_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (good, evil) = (manifest(root, "amd64", "good"), manifest(root, "amd64", "evil"));
    let texts = [
        (
            format!(r#"{{"schemaVersion":2,"manifests":[{good}],"Manifests":[{evil}]}}"#),
            "`Manifests` is read as `manifests`",
        ),
        (
            format!(r#"{{"schemaVersion":2,"manifests":[{good}],"manifests":[{evil}]}}"#),
            "`manifests` stands in it twice",
        ),
        (
            format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","manifests":[{good}]}}"#),
            "says itself that it is",
        ),
        (
            format!(r#"{{"schemaVersion":2,"manifests":[{good}]}} {{}}"#),
            "no JSON that every program reads alike",
        ),
    ];
    for (text, why) in texts {
        fs::write(root.join("index.json"), text).unwrap();
        refused(layout(root, None, None), why);
    }
    let inner = |text: String, kind: &str| put(root, text.as_bytes(), kind);
    let layers = [layer("good")];
    let (made, listed) =
        (put(root, &config("amd64", &layers), CONFIG), put(root, &layers[0], LAYER));
    let odd = String::from_utf8(config("amd64", &layers))
        .unwrap()
        .replace(r#""os""#, r#""OS":"windows","os""#);
    let odd = put(root, odd.as_bytes(), CONFIG);
    for (pointer, why) in [
        (
            inner(
                format!(r#"{{"schemaVersion":2,"config":{made},"layers":[{listed}],"Layers":[]}}"#),
                MANIFEST,
            ),
            "`Layers` is read as `layers`",
        ),
        (
            inner(
                format!(
                    r#"{{"schemaVersion":2,"config":{made},"layers":[{listed}],"manifests":[]}}"#
                ),
                MANIFEST,
            ),
            "a document of another kind",
        ),
        (
            inner(format!(r#"{{"schemaVersion":2,"config":{odd},"layers":[{listed}]}}"#), MANIFEST),
            "`OS` is read as `os`",
        ),
        (with(good.clone(), "mediaType", json!(INDEX)), "a document of another kind"),
        (with(good.clone(), "size", json!(7)), "has 7 bytes"),
    ] {
        index(root, &[pointer]);
        refused(layout(root, None, None), why);
    }
}
