//! Python source archives, by the `PKG-INFO` in them. It inflates no more than their start, and says
//! that they are not installed.

use std::io::Read as _;

use super::start::{self, StartRule};
use super::{FileFacts, PieceScanner, has_suffix, is_sample, parent, python};

/// What is held of an archive; most are smaller.
const LARGEST: usize = 8 << 20;
/// Of all that is inflated.
const MOST_INFLATED: u64 = 64 << 20;
const LARGEST_TEXT: u64 = 1 << 20;
const MOST_MEMBERS: usize = 20_000;

/// `NAME-VERSION.tar.gz`; whether it is one for Python, its contents tell.
pub(super) fn is_archive(path: &str) -> bool {
    has_suffix(path, ".tar.gz")
        && !is_sample(parent(path))
        && path.rsplit('/').next().and_then(|file| file.rsplit_once('-')).is_some_and(
            |(name, version)| {
                !name.is_empty() && version.starts_with(|it: char| it.is_ascii_digit())
            },
        )
}

pub(super) fn scanner(path: &str) -> Box<dyn PieceScanner> {
    const START: StartRule = StartRule { largest: LARGEST, begins: b"\x1f\x8b", told: of_start };
    start::scanner(path, &START)
}

fn of_start(path: &str, bytes: &[u8]) -> FileFacts {
    let Some(text) = information(bytes) else { return FileFacts::default() };
    let name = format!("{path}!/PKG-INFO");
    // Members may be called so in archives of something else.
    let mut facts = python::read(&name, &text).unwrap_or_default();
    facts.warnings.clear();
    for found in &mut facts.packages {
        path.clone_into(&mut found.scope);
        found.package.notes.push("In a source archive that is not installed.".to_owned());
    }
    facts
}

/// Of the directory that everything in a source archive lies in. What is cut off tells nothing.
fn information(bytes: &[u8]) -> Option<Vec<u8>> {
    let inflated = flate2::read::GzDecoder::new(bytes).take(MOST_INFLATED);
    let mut archive = tar::Archive::new(inflated);
    for entry in archive.entries().ok()?.take(MOST_MEMBERS) {
        let entry = entry.ok()?;
        let path = entry.path_bytes().into_owned();
        let is_own = path
            .strip_suffix(b"/PKG-INFO")
            .is_some_and(|directory| !directory.is_empty() && !directory.contains(&b'/'));
        if is_own {
            let mut text = Vec::new();
            entry.take(LARGEST_TEXT).read_to_end(&mut text).ok()?;
            return text.starts_with(b"Metadata-Version:").then_some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, *bytes).unwrap();
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&tar.into_inner().unwrap()).unwrap();
        encoder.finish().unwrap()
    }

    fn purls(bytes: &[u8]) -> Vec<String> {
        let mut scanner = scanner("w/a-1.tar.gz");
        bytes.chunks(1000).for_each(|piece| scanner.feed(piece));
        let facts = scanner.finish();
        assert!(facts.warnings.is_empty());
        facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
    }

    const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: Urllib3\nVersion: 1.24.1\n";

    #[test]
    fn archives_tell_what_they_are_made_of() {
        assert!(is_archive("w/urllib3-1.24.1.tar.gz") && is_archive("a-1.TAR.GZ"));
        assert!(
            !is_archive("w/layer.tar.gz") && !is_archive("-1.tar.gz") && !is_archive("a-b.tar.gz")
        );
        let of = |members: &[(&str, &[u8])]| purls(&archive(members));
        let nested: (&str, &[u8]) = ("a-1/vendor/PKG-INFO", METADATA);
        assert_eq!(of(&[nested, ("a-1/PKG-INFO", METADATA)]), ["pkg:pypi/urllib3@1.24.1"]);
        assert!(of(&[nested]).is_empty());
        assert!(of(&[("a-1/PKG-INFO", b"other")]).is_empty());
        let whole = archive(&[("a-1/x", &[7; 4000]), ("a-1/PKG-INFO", METADATA)]);
        assert!(purls(&whole[..whole.len() / 2]).is_empty());
        assert!(purls(b"no archive").is_empty());
    }

    proptest! {
        #[test]
        fn no_archive_makes_it_panic(changes in proptest::collection::vec((0_usize..200, any::<u8>()), 0..5)) {
            let mut file = archive(&[("a-1/PKG-INFO", METADATA)]);
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            drop(information(&file));
        }
    }
}
