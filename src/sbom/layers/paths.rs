//! Paths inside an image: cleaned, taken apart, and told apart by hashes where there are too many
//! to keep. It never lets one leave the image.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::tar::{TarError, malformed};
use crate::sbom::source::printable;

/// Linux takes no longer one.
pub(super) const LONGEST: usize = 4096;

/// Relative to the root, without `.` and `..`; nothing for the root itself.
pub(super) fn clean(path: &[u8]) -> Result<Option<String>, TarError> {
    let shown = || printable(path).chars().take(200).collect::<String>();
    if path.len() > LONGEST {
        return malformed(format!("`{}…` is a longer name than any file has", shown()));
    }
    // As nearly all are.
    let start = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")).unwrap_or(path);
    let trimmed = start.strip_suffix(b"/").unwrap_or(start);
    if trimmed.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")) {
        return Ok(Some(printable(trimmed)));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() => {
                return malformed(format!("`{}` lies outside of the image", shown()));
            }
            b".." => {}
            part => parts.push(part),
        }
    }
    Ok(Some(printable(&parts.join(&b'/'))).filter(|path| !path.is_empty()))
}

/// The directories that a path lies in, outermost first.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(slash, _)| path.get(..slash))
}

pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { [directory, "/", name].concat() }
}

/// Tells paths apart; equal on every machine.
pub(super) fn hash(path: &str) -> u64 {
    let digest = Sha256::digest(path);
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The hashes of everything a path lies in and then of itself.
pub(super) fn hashes(path: &str) -> Vec<u64> {
    ancestors(path).chain([path]).map(hash).collect()
}

/// The same for many paths, of which neighbours lie in one directory.
#[derive(Default)]
pub(super) struct Hashes {
    directory: String,
    above: Vec<u64>,
}

impl Hashes {
    pub(super) fn of(&mut self, path: &str) -> Vec<u64> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if directory != self.directory {
            directory.clone_into(&mut self.directory);
            self.above = if directory.is_empty() { Vec::new() } else { hashes(directory) };
        }
        let mut all = Vec::with_capacity(self.above.len() + 1);
        all.extend_from_slice(&self.above);
        all.push(hash(path));
        all
    }
}

/// A set of paths of which only the hashes are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Paths(Vec<u64>);

impl Paths {
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }
}

impl FromIterator<u64> for Paths {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let mut hashes: Vec<u64> = hashes.into_iter().collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(bytes
            .chunks_exact(8)
            .map(|chunk| chunk.iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_image() {
        let check = |path: &[u8], expected: Option<&str>| {
            assert_eq!(clean(path).unwrap().as_deref(), expected, "{path:?}")
        };
        check(b"./usr//bin/.", Some("usr/bin"));
        check(b"/etc/passwd", Some("etc/passwd"));
        check(b"a/../b", Some("b"));
        check(b"./", None);
        check(b"bad\xff", Some("bad\\xff"));
        assert!(
            matches!(clean(b"a/../../b"), Err(TarError::Malformed(reason)) if reason == "`a/../../b` lies outside of the image")
        );
        assert!(clean(&[b'a'; LONGEST + 1]).is_err());
    }

    #[test]
    fn many_paths_have_the_hashes_that_each_has() {
        let mut many = Hashes::default();
        for path in ["a", "a/b", "a/c", "b", "a/b/c/d", "a/b/c/e", "c"] {
            assert_eq!(many.of(path), hashes(path), "{path}");
        }
    }

    #[test]
    fn a_set_of_paths_survives_being_written() {
        let paths: Paths = ["a", "a/b", "c"].into_iter().map(hash).collect();
        let read: Paths = serde_json::from_str(&serde_json::to_string(&paths).unwrap()).unwrap();
        assert_eq!(read, paths);
        assert!(read.contains(hash("a/b")) && !read.contains(hash("b")));
    }
}
