//! Debian packages of which Chisel cut slices, from the manifest that it leaves. It lists what was
//! cut, and never says which source a package was built from: the manifest does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde::Deserialize;

use super::owned::{Owned, Owner};
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase};
use crate::sbom::package::{Algorithm, Ecosystem, FoundPackage, Package, SOURCE_UNKNOWN};

const NAME: &str = "manifest.wall";
/// Of the manifest as text; one of everything that Ubuntu has is smaller.
const LARGEST: u64 = 32 << 20;
/// More than all packages of Ubuntu have.
const MOST_SLICES: usize = 200_000;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub fn is_manifest(path: &str) -> bool {
    path == NAME || path.strip_suffix(NAME).is_some_and(|before| before.ends_with('/'))
}

/// One line of it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ChiselLine {
    jsonwall: Option<String>,
    kind: String,
    name: String,
    version: String,
    arch: Option<String>,
    sha256: Option<String>,
    path: String,
    slices: Vec<String>,
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let mut facts = FileFacts::default();
    let root = root_of(path);
    let mut slices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut left = MOST_SLICES;
    let each = |line: ChiselLine| match line.kind.as_str() {
        "package" if line.name.is_empty() || line.version.is_empty() => {
            facts.warn(format!("`{path}` has a package without a name or version"));
        }
        "package" if facts.packages.len() < MOST_PACKAGES => {
            facts.packages.push(FoundPackage::alone(package(&line), root));
        }
        "slice" if left > 0 => {
            left -= 1;
            let (package, _) = line.name.split_once('_').unwrap_or((&line.name, ""));
            slices.entry(package.to_owned()).or_default().insert(line.name.clone());
        }
        "path" => {
            let file = line.path.trim_start_matches('/');
            let is_told = super::binary::is_candidate(file);
            facts.owns.extend(is_told.then(|| format!("{root}{file}")));
        }
        _ => {}
    };
    if let Err(why) = for_each_line(bytes, each) {
        return Ok(FileFacts::warning(format!("`{path}` is not listed: {why}")));
    }
    for found in &mut facts.packages {
        if let Some(slices) = slices.get(&found.package.name) {
            let named: Vec<&str> = slices.iter().map(String::as_str).collect();
            found.package.notes.push(format!("Slices: {}.", named.join(", ")));
        }
    }
    Ok(facts)
}

fn package(line: &ChiselLine) -> Package {
    let mut package = Package {
        version: Some(line.version.clone()),
        arch: line.arch.clone().filter(|arch| !arch.is_empty()),
        notes: vec![SOURCE_UNKNOWN.to_owned()],
        ..Package::named(Ecosystem::Deb, line.name.as_str())
    };
    package.add_checksum(Algorithm::Sha256, line.sha256.as_deref());
    package
}

/// Which files each package brought, whole.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let root = root_of(path);
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let each = |line: ChiselLine| {
        let packages: BTreeSet<&str> =
            line.slices.iter().filter_map(|slice| Some(slice.split_once('_')?.0)).collect();
        for package in packages.into_iter().filter(|_| line.kind == "path") {
            let file = format!("{root}{}", line.path.trim_start_matches('/'));
            files.entry(package.to_owned()).or_default().push(file);
        }
    };
    // What is wrong with it was said when it was read.
    let _told = for_each_line(bytes, each);
    let owner = |name: String| Owner::Named {
        ecosystem: Ecosystem::Deb,
        scope: root.to_owned(),
        name,
        arch: None,
        version: None,
    };
    files.into_iter().map(|(name, paths)| Owned { owner: owner(name), paths }).collect()
}

/// A header and then a value a line; compressed as Chisel writes it, or not.
fn for_each_line(bytes: &[u8], mut each: impl FnMut(ChiselLine)) -> Result<(), String> {
    let mut inflated = Vec::new();
    let text = if bytes.starts_with(&MAGIC) {
        let mut decoder = zstd::Decoder::new(bytes).map_err(|error| error.to_string())?;
        // More than this would be held by a reader of one byte.
        decoder.window_log_max(26).map_err(|error| error.to_string())?;
        decoder.take(LARGEST + 1).read_to_end(&mut inflated).map_err(|error| error.to_string())?;
        inflated.as_slice()
    } else {
        bytes
    };
    if text.len() as u64 > LARGEST {
        return Err(format!("it has more than `{LARGEST}` bytes"));
    }
    let mut is_manifest = false;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let line: ChiselLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        is_manifest |= line.jsonwall.is_some();
        if !is_manifest {
            return Err("it is not a manifest of Chisel".to_owned());
        }
        each(line);
    }
    if is_manifest { Ok(()) } else { Err("it is empty".to_owned()) }
}

/// The root of the file system that it is about, as a prefix.
fn root_of(path: &str) -> &str {
    let before = path.rfind("var/lib/chisel/").unwrap_or_default();
    path.get(..before).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = concat!(
        r#"{"jsonwall":"1.0","schema":"1.0","count":5}"#,
        "\n",
        r#"{"kind":"content","slice":"libc6_libs","path":"/usr/lib/libc.so.6"}"#,
        "\n",
        r#"{"kind":"package","name":"libc6","version":"2.39-0ubuntu8","sha256":"f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2","arch":"amd64"}"#,
        "\n",
        r#"{"kind":"package","name":"openssl","version":"3.0.13-0ubuntu3","arch":"amd64"}"#,
        "\n",
        r#"{"kind":"path","path":"/usr/bin/openssl","mode":"0755","slices":["openssl_bins"]}"#,
        "\n",
        r#"{"kind":"slice","name":"libc6_libs"}"#,
        "\n",
        r#"{"kind":"slice","name":"libc6_config"}"#,
        "\n",
    );

    #[test]
    fn both_forms_list_packages_with_their_slices() {
        for bytes in [TEXT.as_bytes().to_vec(), zstd::encode_all(TEXT.as_bytes(), 3).unwrap()] {
            let path = "r/var/lib/chisel/manifest.wall";
            assert!(is_manifest(path));
            let facts = read(path, &bytes).unwrap();
            let [libc, openssl] = &facts.packages[..] else { panic!("{facts:?}") };
            assert_eq!(
                crate::sbom::purl::of(&libc.package, None),
                "pkg:deb/debian/libc6@2.39-0ubuntu8?arch=amd64"
            );
            assert_eq!(libc.package.notes, [SOURCE_UNKNOWN, "Slices: libc6_config, libc6_libs."]);
            assert_eq!(libc.package.checksums.len(), 1);
            assert_eq!(openssl.scope, "r/");
            assert_eq!(facts.owns, ["r/usr/bin/openssl"]);
            let owned = owned(path, &bytes);
            assert_eq!(
                (owned.len(), &owned[0].paths[..]),
                (1, &["r/usr/bin/openssl".to_owned()][..])
            );
        }
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        let bomb = zstd::encode_all(vec![b' '; 33 << 20].as_slice(), 1).unwrap();
        let packed = zstd::encode_all(TEXT.as_bytes(), 3).unwrap();
        for bytes in [b"".as_slice(), b"{}", b"x", &packed[..packed.len() - 3], &bomb] {
            let facts = read("var/lib/chisel/manifest.wall", bytes).unwrap();
            assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1));
        }
        let nameless = "{\"jsonwall\":\"1.0\"}\n{\"kind\":\"package\",\"name\":\"a\"}\n";
        assert_eq!(read("manifest.wall", nameless.as_bytes()).unwrap().warnings.len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(changes in proptest::collection::vec((0_usize..400, any::<u8>()), 0..5)) {
            let mut bytes = zstd::encode_all(TEXT.as_bytes(), 3).unwrap();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            drop((read("manifest.wall", &bytes).unwrap(), owned("manifest.wall", &bytes)));
        }
    }
}
