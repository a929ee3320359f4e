//! Which files belong to which package, by the package managers' own lists, and the checksum of
//! every file. It is used only where files are asked for, and takes no list's word for a checksum:
//! each is made of the bytes that are there.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::{Deserialize, Serialize};

use super::{FileFacts, PieceScanner, alpm, apk, chisel, dpkg, opkg, parent, portage, rpm};
use crate::sbom::package::Ecosystem;

/// A list of what one package brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    pub owner: Owner,
    /// From the root, or from the directory of a [`Owner::Beside`]; directories and links may be
    /// among them.
    pub paths: Vec<String>,
}

/// Whose a list is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// The package of that name in a database, of that architecture and version where they are
    /// told.
    Named {
        ecosystem: Ecosystem,
        scope: String,
        name: String,
        arch: Option<String>,
        version: Option<String>,
    },
    /// The package that this file tells of.
    ToldBy(String),
    /// The Python package whose metadata lies beside the list.
    Beside,
}

/// No real list of one package is longer; a longer one is told of, not used.
const LARGEST_RECORD: usize = 32 << 20;

/// For a file that is read whole: its checksum, and what it lists.
pub fn add(path: &str, bytes: &[u8], facts: &mut FileFacts) {
    facts.sum = Some(hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes)));
    facts.owned = if dpkg::is_list(path) {
        dpkg::owned(path, bytes)
    } else if apk::is_database(path) {
        apk::owned(path, bytes)
    } else if rpm::is_database(path) {
        rpm::owned(path, bytes)
    } else if alpm::is_list(path) {
        alpm::owned(path, bytes)
    } else if opkg::is_list(path) {
        opkg::owned(path, bytes)
    } else if portage::is_list(path) {
        portage::owned(path, bytes)
    } else if chisel::is_manifest(path) {
        chisel::owned(path, bytes)
    } else {
        Vec::new()
    };
}

/// What looks through every other file, and lets `inner` see it too.
pub fn scanner(path: &str, inner: Option<Box<dyn PieceScanner>>) -> Box<dyn PieceScanner> {
    let record = is_record(path).then(|| OwnedRecord {
        path: path.to_owned(),
        bytes: Vec::new(),
        length: 0,
    });
    Box::new(OwnedSum { context: Context::new(&SHA1_FOR_LEGACY_USE_ONLY), record, inner })
}

/// A list as far as it is held.
struct OwnedRecord {
    path: String,
    bytes: Vec<u8>,
    length: usize,
}

struct OwnedSum {
    context: Context,
    record: Option<OwnedRecord>,
    inner: Option<Box<dyn PieceScanner>>,
}

impl PieceScanner for OwnedSum {
    fn feed(&mut self, piece: &[u8]) {
        self.context.update(piece);
        if let Some(record) = self.record.as_mut() {
            record.length = record.length.saturating_add(piece.len());
            if record.length <= LARGEST_RECORD {
                record.bytes.extend(piece);
            }
        }
        if let Some(inner) = self.inner.as_mut().filter(|inner| !inner.is_done()) {
            inner.feed(piece);
        }
    }

    fn is_done(&self) -> bool {
        false
    }

    fn finish(&mut self) -> FileFacts {
        let mut facts = self.inner.as_mut().map(|inner| inner.finish()).unwrap_or_default();
        facts.sum = Some(hex::encode(self.context.clone().finish()));
        if let Some(OwnedRecord { path, bytes, length }) = self.record.take() {
            if length > LARGEST_RECORD {
                facts.warn(format!("`{path}` has more than `{LARGEST_RECORD}` bytes: the files of its package are not listed"));
                return facts;
            }
            let text = String::from_utf8_lossy(&bytes);
            facts.owned.push(Owned {
                owner: Owner::Beside,
                paths: text.lines().filter_map(first_field).collect(),
            });
        }
        facts
    }
}

/// `x.dist-info/RECORD`: <https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>.
fn is_record(path: &str) -> bool {
    path.ends_with("/RECORD")
        && parent(path).trim_end_matches('/').to_ascii_lowercase().ends_with(".dist-info")
}

/// Of a line of CSV; a quote inside quotes is doubled.
fn first_field(line: &str) -> Option<String> {
    let field = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.replace("\"\"", "\0\0").find('"')?;
            quoted.get(..end)?.replace("\"\"", "\"")
        }
        None => line.split(',').next()?.to_owned(),
    };
    Some(field).filter(|field| !field.is_empty())
}

/// For a list that lies beside its package's metadata: that file, and the directory from which its
/// paths go.
pub fn beside(path: &str) -> (String, &str) {
    let directory = parent(path);
    (format!("{directory}METADATA"), parent(directory.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(path: &str, bytes: &[u8]) -> FileFacts {
        let mut scanner = scanner(path, None);
        bytes.chunks(3).for_each(|piece| scanner.feed(piece));
        scanner.finish()
    }

    #[test]
    fn a_list_that_is_too_long_is_told_of_and_not_used_in_part() {
        let path = "site/a-1.dist-info/RECORD";
        let mut scanner = scanner(path, None);
        for piece in [&b"a.py,,\n"[..], &vec![b'a'; LARGEST_RECORD], b"\nb.py,,\n"] {
            scanner.feed(piece);
        }
        let facts = scanner.finish();
        assert_eq!((facts.owned.len(), facts.warnings.len()), (0, 1));
        assert!(facts.warnings[0].contains(path) && facts.sum.is_some(), "{facts:?}");
    }

    #[test]
    fn every_file_has_the_checksum_of_its_bytes() {
        // From `sha1sum`.
        assert_eq!(
            scanned("a", b"abc").sum.as_deref(),
            Some("a9993e364706816aba3e25717850c26c9cd0d89d")
        );
        assert_eq!(
            scanned("a", b"").sum.as_deref(),
            Some("da39a3ee5e6b4b0d3255bfef95601890afd80709")
        );
        let mut facts = FileFacts::default();
        add("a", b"abc", &mut facts);
        assert_eq!((facts.sum, facts.owned), (scanned("a", b"abc").sum, Vec::new()));
    }

    #[test]
    fn pythons_records_are_lists_beside_their_metadata() {
        let path = "opt/site-packages/a-1.dist-info/RECORD";
        let facts = scanned(path, b"a/__init__.py,sha256=x,3\n../../bin/a,,\n\"a/b,\"\"c\"\".py\",,\na-1.dist-info/RECORD,,\n,,\n");
        assert_eq!(
            facts.owned[0].paths,
            ["a/__init__.py", "../../bin/a", "a/b,\"c\".py", "a-1.dist-info/RECORD"]
        );
        assert_eq!(facts.owned[0].owner, Owner::Beside);
        assert_eq!(
            beside(path),
            ("opt/site-packages/a-1.dist-info/METADATA".to_owned(), "opt/site-packages/")
        );
        assert!(scanned("opt/RECORD", b"a,,\n").owned.is_empty());
    }

    #[test]
    fn each_database_lists_files_of_its_packages() {
        let of = |path: &str, bytes: &[u8]| {
            let mut facts = FileFacts::default();
            add(path, bytes, &mut facts);
            facts.owned
        };
        let named =
            |ecosystem, scope: &str, name: &str, arch: Option<&str>, paths: &[&str]| Owned {
                owner: Owner::Named {
                    ecosystem,
                    scope: scope.into(),
                    name: name.into(),
                    arch: arch.map(str::to_owned),
                    version: None,
                },
                paths: paths.iter().map(ToString::to_string).collect(),
            };
        let list = b"/.\n/usr\n/usr/bin/x\n".as_slice();
        assert_eq!(
            of("r/var/lib/dpkg/info/libc6:amd64.list", list),
            [named(Ecosystem::Deb, "r/", "libc6", Some("amd64"), &["r/.", "r/usr", "r/usr/bin/x"])]
        );
        let sums = of("var/lib/dpkg/status.d/tzdata.md5sums", b"0123  usr/share/zoneinfo/UTC\n");
        let expected = Owned {
            owner: Owner::ToldBy("var/lib/dpkg/status.d/tzdata".into()),
            paths: vec!["usr/share/zoneinfo/UTC".into()],
        };
        assert_eq!(sums, [expected]);
        let installed = b"P:a\nV:1\nA:x86_64\nF:\nR:root\nF:usr/bin\nR:a\nZ:Q1x\n\nP:b\nV:2\n\n";
        let mut of_a = named(Ecosystem::Apk, "", "a", Some("x86_64"), &["root", "usr/bin/a"]);
        if let Owner::Named { version, .. } = &mut of_a.owner {
            *version = Some("1".into());
        }
        assert_eq!(of("lib/apk/db/installed", installed), [of_a]);
    }
}
