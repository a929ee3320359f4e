//! What a matcher is: which files tell about packages, and which function reads each. No matcher
//! opens a file or knows another.

use std::io;

use serde::{Deserialize, Serialize};

use super::licence::Licence;
use super::package::FoundPackage;
use super::source::FileContents;

mod alpm;
pub mod apk;
pub mod binary;
mod bounded;
mod brew;
pub mod cargo;
pub mod chisel;
mod classes;
pub mod composer;
mod conan;
pub mod copyright;
mod cran;
mod deb822;
pub mod dotnet;
pub mod dpkg;
mod elf_note;
pub mod gem;
pub mod golang;
mod graalvm;
pub mod java;
mod kernel;
mod lock;
mod lua;
mod model;
pub mod npm;
pub mod opkg;
pub mod os_release;
mod otp;
pub mod owned;
mod pear;
mod php_extension;
mod portage;
pub mod python;
mod python_marker;
pub mod rpm;
mod sdist;
mod snap;
mod start;
pub mod stated;
pub mod store;
mod table;
mod unpacked;
mod upx;
mod wheel;
pub mod wordpress;
mod yarn_cache;
pub(crate) mod zip;

use os_release::OsRelease;
use owned::Owned;
pub use table::MATCHERS;

/// Reads one kind of file.
#[derive(Debug)]
pub struct Matcher {
    pub name: &'static str,
    /// For catalogers of packages, what the document says was looked for.
    pub looks_for: Option<&'static str>,
    pub wants: MatcherWants,
}

/// How a matcher recognises its files, and the function that reads one.
#[derive(Debug)]
pub enum MatcherWants {
    /// By path; read as a whole.
    Path {
        matches: fn(&str) -> bool,
        cap: u64,
        oversize: Oversize,
        read: fn(&str, &[u8]) -> Result<FileFacts, MalformedDatabase>,
    },
    /// By path; read here and there. An error is one of input, not of format.
    Opened {
        matches: fn(&str) -> bool,
        read: fn(&str, &mut dyn FileContents) -> io::Result<FileFacts>,
    },
    /// By path; looked through from front to back, whatever its size. Two paths may be alike to it.
    Scanned {
        matches: fn(&str) -> bool,
        scanner: fn(&str) -> Box<dyn PieceScanner>,
        alike: fn(&str, &str) -> bool,
    },
    /// By the first four bytes; read here and there. An error is one of input, not of format.
    Magic {
        matches: fn(&[u8]) -> bool,
        read: fn(&str, &mut dyn FileContents) -> io::Result<FileFacts>,
    },
}

/// Takes a file piece by piece.
pub trait PieceScanner {
    fn feed(&mut self, piece: &[u8]);
    /// Whether more of the file would change nothing.
    fn is_done(&self) -> bool;
    /// What the file told, at its end.
    fn finish(&mut self) -> FileFacts;
}

/// What to do with a file beyond its cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// Packages would be missing: stop.
    Refuse,
    /// Only a detail would be missing: say so.
    Warn,
}

/// Why a database is not one.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedDatabase(pub String);

/// What one file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub packages: Vec<FoundPackage>,
    /// Files that packages of a distribution own, of those that [`binary`] would look at.
    pub owns: Vec<String>,
    pub licence: Option<Licence>,
    pub release: Option<OsRelease>,
    /// Where files are asked for: lists of what packages brought, and the file's own SHA-1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<Owned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// For the journal of a database, the database that cannot be read without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_of: Option<String>,
    /// Sentences about what could not be understood.
    pub warnings: Vec<String>,
}

impl FileFacts {
    pub fn warning(sentence: String) -> Self {
        Self { warnings: vec![sentence], ..Self::default() }
    }

    /// Remarks on one file are enough when they show what is wrong with it.
    pub fn warn(&mut self, sentence: String) {
        const MOST: usize = 20;
        match self.warnings.len() {
            0..MOST => self.warnings.push(sentence),
            MOST => self.warnings.push("and so on for more of that file".to_owned()),
            _ => {}
        }
    }

    /// Whether the time of the file counts: which file of a store tells of it does not, nor does
    /// what may not be there.
    pub fn dates_documents(&self) -> bool {
        let counts =
            |found: &FoundPackage| !found.package.ecosystem.is_store() && !found.package.is_locked;
        self.packages.iter().any(counts)
    }

    pub fn add(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.owns.extend(other.owns);
        self.licence = self.licence.take().or(other.licence);
        self.release = self.release.take().or(other.release);
        self.owned.extend(other.owned);
        self.sum = self.sum.take().or(other.sum);
        self.journal_of = self.journal_of.take().or(other.journal_of);
        self.warnings.extend(other.warnings);
    }
}

const MIB: u64 = 1 << 20;

/// More packages than any distribution has; a hostile database must not fill the memory.
const MOST_PACKAGES: usize = 200_000;

/// Usual places of databases, for images that keep them elsewhere and link there.
pub const DIRECTORIES: &[&str] = &[
    "var/lib/dpkg",
    "var/lib/dpkg/status.d",
    "lib/apk/db",
    "usr/lib/opkg",
    "usr/lib/apk/db",
    "var/lib/opkg",
    "var/lib/rpm",
    "usr/lib/sysimage/rpm",
];

/// Whether a database is that of the image itself, and no copy that lies somewhere in it, such as
/// among a program's test data.
pub fn is_own(path: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "usr/lib/dpkg",
        "lib/dpkg",
        "usr/share/rpm",
        "var/lib/chisel",
        "var/lib/rpmmanifest",
        "etc",
    ];
    let directory = parent(path).trim_end_matches('/');
    DIRECTORIES.iter().chain(&OTHERS).any(|own| *own == directory) || os_release::is_release(path)
}

/// A database with the changes in its journal; an error says why they cannot be put together.
pub fn with_journal(database: Vec<u8>, journal: &[u8]) -> Result<Vec<u8>, MalformedDatabase> {
    rpm::with_journal(database, journal)
}

/// Whether `path` is `tail`, or is below some directory as `tail`.
fn ends_with_path(path: &str, tail: &str) -> bool {
    path.strip_suffix(tail).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether a text has no more values than a real one, whatever is made of each: a hostile one must
/// not fill the memory.
fn is_plausible(bytes: &[u8]) -> bool {
    const MOST_VALUES: usize = 500_000;
    let begins = |byte: &&u8| matches!(**byte, b'{' | b'[' | b',' | b'\n');
    bytes.iter().filter(begins).take(MOST_VALUES * 4).count() < MOST_VALUES * 4
        && memchr::memchr2_iter(b'{', b'[', bytes).take(MOST_VALUES).count() < MOST_VALUES
}

/// Whether what lies in a directory is likely there for tests.
fn is_sample(directory: &str) -> bool {
    const NAMES: [&str; 8] =
        ["test", "tests", "testdata", "test-data", "fixtures", "example", "examples", "__tests__"];
    directory.split('/').any(|part| NAMES.contains(&part.to_ascii_lowercase().as_str()))
}

/// Whether a name goes on before `suffix`, whatever the suffix's case.
fn has_suffix(path: &str, suffix: &str) -> bool {
    let at = path.len().checked_sub(suffix.len()).filter(|at| *at > 0);
    // Only bytes: a name before the suffix may end in any letter.
    let end = at.and_then(|at| path.as_bytes().get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
}

/// The directory of `path` as a prefix: empty, or with a `/` at its end.
fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

#[cfg(test)]
mod tests;
