//! Python packages in archives: wheels and zipped eggs. It unpacks only their metadata, and says
//! that they are not installed.

use std::io;

use super::zip::{Problem, bytes, members};
use super::{FileFacts, has_suffix, is_sample, parent, python, stated};
use crate::sbom::package::{Ecosystem, FoundPackage, Package};
use crate::sbom::source::FileContents;

const NOTE: &str = "In an archive that is not installed.";
/// Of one member as it is unpacked.
const LARGEST: u64 = 16 << 20;
const MOST_MEMBERS: usize = 100;

pub(super) fn is_archive(path: &str) -> bool {
    (has_suffix(path, ".whl") || has_suffix(path, ".egg")) && !is_sample(parent(path))
}

/// `NAME-VERSION.dist-info/METADATA`, or what an egg has; not those of packages that are inside.
fn is_metadata(member: &str) -> bool {
    let directory = parent(member).trim_end_matches('/').to_ascii_lowercase();
    let is_own = directory.ends_with(".dist-info") && !directory.contains('/');
    (is_own && member.ends_with("/METADATA"))
        || (directory == "egg-info" && member.ends_with("/PKG-INFO"))
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let untold = |problem: &Problem| format!("`{path}` is not listed: {}", problem.as_str());
    let wanted = |member: &str| is_metadata(member) || stated::is_of_wheel(member);
    let found = match members(contents, MOST_MEMBERS, &wanted)? {
        Ok(found) => found,
        Err(problem) => return Ok(FileFacts::warning(untold(&problem))),
    };
    let mut facts = FileFacts::default();
    for member in found {
        let name = format!("{path}!/{}", member.name);
        let bytes = match bytes(contents, &member, LARGEST)? {
            Ok(bytes) => bytes,
            Err(problem) => {
                facts.warn(untold(&problem));
                continue;
            }
        };
        let read = if is_metadata(&member.name) { python::read } else { stated::read };
        let mut told = read(&name, &bytes).unwrap_or_default();
        for found in told.packages.iter_mut() {
            path.clone_into(&mut found.scope);
            found.package.notes.push(NOTE.to_owned());
        }
        facts.add(told);
    }
    if facts == FileFacts::default() {
        facts.packages.extend(named(path).map(|package| FoundPackage::alone(package, path)));
    }
    Ok(facts)
}

/// What an archive is called says what it is: `NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl`, or
/// `NAME-VERSION-PYTHON(-PLATFORM).egg`.
fn named(path: &str) -> Option<Package> {
    let file = path.rsplit('/').next()?;
    let stem = file.get(..file.len().checked_sub(".whl".len())?)?;
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version) = match (has_suffix(file, ".whl"), &parts[..]) {
        (true, [name, version, _, _, _] | [name, version, _, _, _, _]) => (*name, *version),
        (false, [name, version, python, ..]) if python.starts_with("py") => (*name, *version),
        _ => return None,
    };
    let is_version = version.starts_with(|it: char| it.is_ascii_digit());
    (is_version && !name.is_empty()).then(|| Package {
        version: Some(version.to_owned()),
        notes: vec![NOTE.to_owned()],
        ..Package::named(Ecosystem::Pypi, name)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::sbom::matchers::zip::tests::archive;
    use proptest::prelude::*;

    fn purls(path: &str, members: &[(&str, &[u8])]) -> Vec<String> {
        let facts = read(path, &mut Cursor::new(archive(members))).unwrap();
        facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
    }

    const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: Urllib3\nVersion: 1.24.1\n\ntext\n";

    #[test]
    fn archives_tell_what_they_would_install() {
        let wheel = "wheels/urllib3-1.24.1-py2.py3-none-any.whl";
        assert!(!is_archive("python3.12/test/wheeldata/a-1-py3-none-any.whl"));
        assert!(is_archive(wheel) && is_archive("a/X.EGG") && !is_archive(".whl"));
        let sbom = br#"{"bomFormat":"CycloneDX","components":[{"type":"library","name":"z","purl":"pkg:generic/z@1"}]}"#;
        assert_eq!(
            purls(
                wheel,
                &[
                    ("urllib3/_vendor/six-1.dist-info/METADATA", b"Name: six\nVersion: 1\n"),
                    ("urllib3-1.24.1.dist-info/METADATA", METADATA),
                    ("urllib3-1.24.1.dist-info/sboms/a.cdx.json", sbom),
                ]
            ),
            ["pkg:pypi/urllib3@1.24.1", "pkg:generic/z@1"]
        );
        assert_eq!(
            purls("a-1.egg", &[("EGG-INFO/PKG-INFO", METADATA)]),
            ["pkg:pypi/urllib3@1.24.1"]
        );
        assert!(purls("a.whl", &[("a.py", b"x")]).is_empty());
        let bare = "w/Foo_bar-1.0-1-py3-none-any.whl";
        assert_eq!(purls(bare, &[("a.py", b"x")]), ["pkg:pypi/foo-bar@1.0"]);
        assert_eq!(purls("w/a-1.6-py3.10.egg", &[("a.py", b"x")]), ["pkg:pypi/a@1.6"]);
        assert!(purls("w/a-1.6.egg", &[("a.py", b"x")]).is_empty());
        assert!(purls("w/Foo_bar-x-py3-none-any.whl", &[("a.py", b"x")]).is_empty());
    }

    #[test]
    fn a_damaged_archive_is_told() {
        let mut file = archive(&[("a-1.dist-info/METADATA", METADATA)]);
        let facts = read("a.whl", &mut Cursor::new(b"no archive".to_vec())).unwrap();
        assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1));
        file[60] ^= 0xff;
        drop(read("a.whl", &mut Cursor::new(file)).unwrap());
    }

    proptest! {
        #[test]
        fn no_archive_makes_it_panic(changes in proptest::collection::vec((0_usize..250, any::<u8>()), 0..5)) {
            let mut file = archive(&[("a-1.dist-info/METADATA", METADATA)]);
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            drop(read("a.whl", &mut Cursor::new(file)).unwrap());
        }
    }
}
