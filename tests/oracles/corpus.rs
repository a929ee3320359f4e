//! Small images with every kind of package in several layers, and syft: what it finds we find, or
//! `syft-differences.tsv` says why not. Packages that a higher layer takes away are found by
//! neither.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use supply_action::image::Digest;

use crate::sbom::cataloged;
use crate::support::{accepts, tool, world};

const IMAGES: [&str; 3] = ["debian", "alpine", "rocky"];
const OCI: &str = "application/vnd.oci.image";
/// What the layers above take away, or replace.
const GONE: [&str; 4] = ["taken-away@", "hidden@", "left-pad@", "/app@1.0.0"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sbom")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Paths and contents of a layer. What cannot be kept as text is made here: a folder `x.jar` is an
/// archive, `x.auditable` a program.
fn files(folder: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for path in sorted(folder) {
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() && name.ends_with(".jar") {
            found.push((name, zip(&files(&path, ""))));
        } else if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else if let Some(name) = name.strip_suffix(".auditable") {
            found.push((name.to_owned(), program(&std::fs::read(&path).unwrap())));
        } else {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// A zip archive, nothing compressed.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, contents) in files {
        let offset = u32::try_from(archive.len()).unwrap();
        let (mut sum, size) = (flate2::Crc::new(), u32::try_from(contents.len()).unwrap());
        sum.update(contents);
        let mut shared = [10_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
        shared.extend([sum.sum(), size, size].map(u32::to_le_bytes).concat());
        shared.extend([u16::try_from(name.len()).unwrap(), 0].map(u16::to_le_bytes).concat());
        archive.extend([b"PK\x03\x04".as_slice(), &shared, name.as_bytes(), contents].concat());
        directory.extend(
            [
                b"PK\x01\x02\x0a\0".as_slice(),
                &shared,
                &[0; 10],
                &offset.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (count, at) = (u16::try_from(files.len()).unwrap(), u32::try_from(archive.len()).unwrap());
    let size = u32::try_from(directory.len()).unwrap();
    let end = [
        [0, 0, count, count].map(u16::to_le_bytes).concat(),
        [size, at].map(u32::to_le_bytes).concat(),
        vec![0, 0],
    ]
    .concat();
    [archive, directory, b"PK\x05\x06".to_vec(), end].concat()
}

/// An ELF program with nothing but the list of crates that cargo-auditable leaves in one.
fn program(audit: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.dep-v0\0.shstrtab\0";
    let mut section = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    section.write_all(audit).unwrap();
    let section = section.finish().unwrap();
    let (names, list) = (64_u64, 64 + NAMES.len() as u64);
    let table = list + section.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0, 0, table].map(u64::to_le_bytes).concat());
    file.extend(
        [
            [0, 0].map(u16::to_le_bytes).concat(),
            [64_u16, 56, 0, 64, 3, 2].map(u16::to_le_bytes).concat(),
        ]
        .concat(),
    );
    file.extend([NAMES, &section].concat());
    for (name, kind, offset, size) in [
        (0_u32, 0_u32, 0, 0),
        (1, 1, list, section.len() as u64),
        (9, 3, names, NAMES.len() as u64),
    ] {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        file.extend([0, 0, offset, size, 0, 0, 0].map(u64::to_le_bytes).concat());
    }
    file.resize(file.len().max(2000), 0);
    file
}

fn put(layout: &Path, bytes: &[u8], kind: &str) -> Value {
    let digest = Digest::of(bytes);
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    std::fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({ "mediaType": format!("{OCI}.{kind}"), "digest": digest.as_str(), "size": bytes.len() })
}

/// One of the images as an OCI layout, a gzip layer for each folder.
fn layout(image: &str) -> PathBuf {
    let layout = world().folder.join(format!("corpus-{image}"));
    let (mut layers, mut ids) = (Vec::new(), Vec::new());
    for folder in sorted(&fixtures().join("corpus").join(image)) {
        let mut files = files(&folder, "");
        if image == "rocky" && folder.ends_with("1") {
            files.push((
                "var/lib/rpm/rpmdb.sqlite".into(),
                std::fs::read(fixtures().join("rpmdb.sqlite")).unwrap(),
            ));
        }
        if image == "debian" && folder.ends_with("3") {
            files.push(("usr/local/bin/crane".into(), std::fs::read(tool("CRANE")).unwrap()));
        }
        let mut tar = tar::Builder::new(Vec::new());
        for (path, contents) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, path, contents.as_slice()).unwrap();
        }
        let plain = tar.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        layers.push(put(&layout, &gzip.finish().unwrap(), "layer.v1.tar+gzip"));
        ids.push(Digest::of(&plain).to_string());
    }
    let config = json!({ "os": "linux", "architecture": "amd64", "config": {}, "rootfs": { "type": "layers", "diff_ids": ids } });
    let config = put(&layout, config.to_string().as_bytes(), "config.v1+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"), "config": config, "layers": layers });
    let manifest = put(&layout, manifest.to_string().as_bytes(), "manifest.v1+json");
    std::fs::write(
        layout.join("index.json"),
        json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string(),
    )
    .unwrap();
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    layout
}

/// Type, name and version: qualifiers say where a package is from, and each program has its own.
fn bare(purl: &str) -> String {
    purl.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .replace("%2B", "+")
        .replace("%40", "@")
        .replace("%3A", ":")
        .replace("%2F", "/")
}

#[test]
fn what_syft_finds_in_small_images_of_every_kind_we_find_or_explain() {
    let table = std::fs::read_to_string(fixtures().join("syft-differences.tsv")).unwrap();
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let explained: Vec<(regex::Regex, &str)> = lines
        .map(|line| {
            let (pattern, reason) = line
                .split_once('\t')
                .unwrap_or_else(|| panic!("`{line}` is not a pattern, a tab and a reason"));
            (regex::Regex::new(&format!("^(?:{pattern})$")).unwrap(), reason)
        })
        .collect();
    let (mut used, mut unexplained, mut kinds) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for image in IMAGES {
        let layout = layout(image);
        let out = world().folder.join(format!("corpus-{image}.syft.json"));
        // Of images, syft leaves out .NET unless it is told.
        accepts(
            &tool("SYFT"),
            &[
                "scan",
                "--select-catalogers",
                "+dotnet-deps-cataloger",
                &format!("oci-dir:{}", layout.display()),
                "-o",
                &format!("syft-json={}", out.display()),
            ],
        );
        let theirs: Value = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        let theirs: BTreeSet<String> = theirs["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|artifact| artifact["purl"].as_str())
            .map(bare)
            .collect();
        let ours: BTreeSet<String> =
            cataloged(&[&format!("oci-layout:{}", layout.display())])["packages"]
                .as_array()
                .unwrap()[1..]
                .iter()
                .map(|package| {
                    bare(package["externalRefs"][0]["referenceLocator"].as_str().unwrap())
                })
                .collect();
        for gone in GONE {
            assert!(!ours.iter().chain(&theirs).any(|purl| purl.contains(gone)), "{image}: {gone}");
        }
        kinds.extend(
            ours.intersection(&theirs).filter_map(|purl| purl.split('/').next()).map(str::to_owned),
        );
        for missed in theirs.difference(&ours) {
            match explained.iter().position(|(pattern, _)| pattern.is_match(missed)) {
                Some(at) => drop(used.insert(at)),
                None => unexplained.push(format!("{image}: {missed}")),
            }
        }
        #[expect(clippy::print_stderr, reason = "who reads the log sees how both differ")]
        {
            eprintln!(
                "{image}: syft {}, ours {}, ours alone {:?}",
                theirs.len(),
                ours.len(),
                ours.difference(&theirs).collect::<Vec<_>>()
            );
        }
    }
    assert!(unexplained.is_empty(), "syft alone found:\n{}", unexplained.join("\n"));
    let unused: Vec<&str> = explained
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at))
        .map(|(_, (_, reason))| *reason)
        .collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
    let expected = [
        "apk", "cargo", "composer", "deb", "gem", "generic", "golang", "maven", "npm", "nuget",
        "pypi", "rpm",
    ];
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        expected.map(|kind| format!("pkg:{kind}")),
        "both find every kind"
    );
}
