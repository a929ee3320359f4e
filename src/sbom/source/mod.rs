//! Where files come from, and symbolic links among them. It never looks into a file: that is for
//! matchers.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Seek};

use super::SbomError;
use super::matchers::FileFacts;

pub mod rootfs;

/// Files and links of one image, told in any order.
///
/// A source pushes, so that one which can be read only once, front to back, fits as well as a
/// directory.
pub trait FileSource {
    fn visit(&self, visitor: &mut dyn Visitor) -> Result<(), SbomError>;
}

/// Takes what a source tells. Paths are relative to the root, with `/` and without `.` or `..`.
pub trait Visitor {
    /// Whether a file would be read because of its path alone.
    fn wants(&self, path: &str) -> bool;
    /// Directories that must be looked into even where they are reached only through a link.
    fn directories(&self) -> &'static [&'static str];
    fn link(&mut self, path: &str, target: &str);
    fn file(&mut self, file: SourceFile<'_>) -> Result<(), SbomError>;
    /// Of the files that were told, the journals without which a database cannot be read: the path
    /// of each, and that of its database.
    fn journals(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// A database and its journal.
    fn database(&mut self, _path: &str, _pair: Pair) -> Result<(), SbomError> {
        Ok(())
    }
}

/// The bytes of a database, if there is one, and of its journal.
#[derive(Debug, Default)]
pub struct Pair {
    pub database: Option<Vec<u8>>,
    pub journal: Option<Vec<u8>>,
}

/// No database that is read with a journal is larger.
pub const LARGEST_PAIRED: u64 = 512 << 20;

/// A regular file that has not been opened.
pub struct SourceFile<'a> {
    pub path: &'a str,
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    pub open: &'a mut dyn FnMut() -> io::Result<Box<dyn FileContents>>,
    /// What the matchers of [`MatcherWants::Scanned`] found, where the source had to read it before
    /// it is told.
    ///
    /// [`MatcherWants::Scanned`]: super::matchers::MatcherWants::Scanned
    pub scanned: Option<FileFacts>,
}

/// Asked for a byte that a source did not keep, because the file is so large and the byte tells
/// nothing as a rule.
#[derive(Debug, thiserror::Error)]
#[error("this part of a large file was not kept in memory")]
pub struct NotKept;

/// An opened file.
pub trait FileContents: Read + Seek {}

impl<T: Read + Seek> FileContents for T {}

/// The name as text; bytes that are not UTF-8 are written `\xff`, so that different names stay
/// different.
pub(super) fn printable(name: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(name) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Symbolic links by path; targets as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Links(BTreeMap<String, String>);

impl Links {
    pub fn insert(&mut self, path: &str, target: &str) {
        self.0.insert(path.to_owned(), target.to_owned());
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// Those of a directory for which this is so.
    pub fn remove_below(&mut self, directory: &str, is_so: impl Fn(&str) -> bool) {
        let first = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let below = self
            .0
            .range(first.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&first));
        for path in below.filter(|path| is_so(path)).cloned().collect::<Vec<_>>() {
            self.0.remove(&path);
        }
    }

    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|path, _| keep(path));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, target)| (path.as_str(), target.as_str()))
    }

    /// The path that a program inside the image would reach: absolute targets start at the root and
    /// `..` stops there. Nothing for links that never end.
    pub fn resolve(&self, path: &str) -> Option<String> {
        // Linux gives up after as many.
        const HOPS: usize = 40;
        let mut hops = 0;
        let mut ahead: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut reached: Vec<String> = Vec::new();
        while let Some(part) = ahead.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    reached.pop();
                    continue;
                }
                _ => reached.push(part),
            }
            if let Some(target) = self.0.get(&reached.join("/")) {
                hops += 1;
                if hops > HOPS {
                    return None;
                }
                if target.starts_with('/') {
                    reached.clear();
                } else {
                    reached.pop();
                }
                for part in target.split('/').rev() {
                    ahead.push_front(part.to_owned());
                }
            }
        }
        Some(reached.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_root_and_end() {
        let mut links = Links::default();
        for (path, target) in [
            ("etc/os-release", "../usr/lib/os-release"),
            ("lib", "usr/lib"),
            ("up", "../../../../etc/passwd"),
            ("absolute", "/usr/lib/x"),
            ("a", "b"),
            ("b", "a"),
            ("deep", "deep/deep"),
            ("usr/share/doc/one", "two"),
        ] {
            links.insert(path, target);
        }
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(links.resolve(path).as_deref(), expected, "{path}")
        };
        check("etc/os-release", Some("usr/lib/os-release"));
        check("lib/apk/db/installed", Some("usr/lib/apk/db/installed"));
        check("up", Some("etc/passwd"));
        check("absolute", Some("usr/lib/x"));
        check("usr/share/doc/one/copyright", Some("usr/share/doc/two/copyright"));
        check("plain/file", Some("plain/file"));
        check("a", None);
        check("deep/x", None);
        check("", Some(""));
    }
}
