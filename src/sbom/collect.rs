//! Reads the files that matchers want, at most as much of them as can be needed. It joins nothing:
//! facts stay under the path they came from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, SeekFrom};
use std::sync::Arc;

use super::SbomError;
use super::exclude::Exclude;
use super::matchers::{
    self, FileFacts, MATCHERS, MatcherWants, Oversize, PieceScanner, owned, store,
};
use super::source::{FileContents, Links, NotKept, Pair, SourceFile, Visitor};

/// No executable that carries package data is smaller.
pub(super) const SMALLEST_EXECUTABLE: u64 = 1 << 10;

/// What was found in one tree of files.
///
/// It depends on nothing outside that tree, so that one layer's can be kept and stacked under
/// another's.
#[derive(Debug, Default)]
pub struct CollectedPackages {
    pub facts: BTreeMap<String, FileFacts>,
    pub links: Links,
    /// The newest modification time among files that held packages, in seconds since 1970.
    pub newest: Option<i64>,
    /// Where layers are known: for the packages of a path, in their order, the layer that brought
    /// each.
    pub layers: BTreeMap<String, Vec<Arc<str>>>,
    /// Whether the files of packages are asked for, so that each file's checksum is made.
    pub files: bool,
    /// Whether it is known to be an image, and not any directory.
    pub is_image: bool,
    /// Files that are not looked at.
    pub exclude: Exclude,
    /// Whether this is one file of a layer, which tells of stores by itself.
    pub is_part: bool,
    /// Paths of stores that something was found in.
    pub stores: BTreeSet<String>,
}

impl Visitor for CollectedPackages {
    fn wants(&self, path: &str) -> bool {
        !self.exclude.matches(path) && matching_path(path).is_some()
    }

    fn directories(&self) -> &'static [&'static str] {
        matchers::DIRECTORIES
    }

    fn link(&mut self, path: &str, target: &str) {
        self.links.insert(path, target);
    }

    fn file(&mut self, mut file: SourceFile<'_>) -> Result<(), SbomError> {
        if self.exclude.matches(file.path) {
            return Ok(());
        }
        let mut facts = match matching_path(file.path) {
            Some(wants) => read_whole(&mut file, wants, self.files)?,
            None => read_here_and_there(&mut file, self.files)?,
        };
        if facts.dates_documents() {
            self.newest = self.newest.max(Some(file.modified));
        }
        if !self.is_part {
            facts.packages.extend(store::first(file.path, &mut self.stores));
        }
        if facts != FileFacts::default() {
            self.facts.insert(file.path.to_owned(), facts);
        }
        Ok(())
    }

    fn journals(&self) -> Vec<(String, String)> {
        let journals = self.facts.iter();
        journals
            .filter_map(|(path, facts)| Some((path.clone(), facts.journal_of.clone()?)))
            .collect()
    }

    fn database(&mut self, path: &str, pair: Pair) -> Result<(), SbomError> {
        let is_its = |facts: &&mut FileFacts| facts.journal_of.as_deref() == Some(path);
        self.facts.values_mut().filter(is_its).for_each(|facts| facts.journal_of = None);
        self.facts.retain(|_, facts| *facts != FileFacts::default());
        let (Some(database), Some(journal)) = (pair.database, pair.journal) else {
            let facts = self.facts.entry(path.to_owned()).or_default();
            facts.warn(format!("`{path}` has a journal of changes that could not be read with it"));
            return Ok(());
        };
        let read = matchers::with_journal(database, &journal).and_then(|bytes| {
            let Some(MatcherWants::Path { read, .. }) = matching_path(path) else {
                return Ok(FileFacts::default());
            };
            let mut facts = read(path, &bytes)?;
            if self.files {
                let sum = self.facts.get_mut(path).and_then(|facts| facts.sum.take());
                owned::add(path, &bytes, &mut facts);
                // That of the file as it is, without the journal.
                facts.sum = sum;
            }
            Ok(facts)
        });
        let facts = read.or_else(|malformed| refused_or_told(path, malformed.0))?;
        self.facts.insert(path.to_owned(), facts);
        Ok(())
    }
}

/// What is wrong with a database of the image itself stops the scan; a broken one elsewhere, such
/// as a program's test data, is told of.
fn refused_or_told(path: &str, reason: String) -> Result<FileFacts, SbomError> {
    if matchers::is_own(path) {
        return Err(SbomError::Malformed { path: path.to_owned(), reason });
    }
    Ok(FileFacts::warning(format!("`{path}` is not listed: {reason}")))
}

/// The matcher that reads this path as a whole, if any.
pub(super) fn matching_path(path: &str) -> Option<&'static MatcherWants> {
    MATCHERS.iter().map(|matcher| &matcher.wants).find(|wants| match wants {
        MatcherWants::Path { matches, .. } => matches(path),
        MatcherWants::Opened { .. } | MatcherWants::Scanned { .. } | MatcherWants::Magic { .. } => {
            false
        }
    })
}

fn read_whole(
    file: &mut SourceFile<'_>,
    wants: &MatcherWants,
    files: bool,
) -> Result<FileFacts, SbomError> {
    let MatcherWants::Path { cap, oversize, read, .. } = wants else {
        return Ok(FileFacts::default());
    };
    let mut bytes = Vec::with_capacity(usize::try_from(file.size.min(*cap)).unwrap_or_default());
    if file.size <= *cap {
        let contents = (file.open)().map_err(|source| unreadable(file.path, source))?;
        // The size may have been wrong, so it is the read that is limited.
        contents
            .take(cap + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| unreadable(file.path, source))?;
    }
    if file.size > *cap || bytes.len() as u64 > *cap {
        return match oversize {
            Oversize::Refuse if matchers::is_own(file.path) => {
                Err(SbomError::TooLarge { path: file.path.to_owned(), cap: *cap })
            }
            Oversize::Refuse | Oversize::Warn => Ok(FileFacts::warning(format!(
                "`{}` has more than `{cap}` bytes and was not read",
                file.path
            ))),
        };
    }
    let facts =
        read(file.path, &bytes).or_else(|malformed| refused_or_told(file.path, malformed.0));
    facts.map(|mut facts| {
        if files {
            owned::add(file.path, &bytes, &mut facts);
        }
        facts
    })
}

fn read_here_and_there(file: &mut SourceFile<'_>, files: bool) -> Result<FileFacts, SbomError> {
    let path = file.path;
    let opened = || {
        MATCHERS.iter().filter(
            |matcher| matches!(matcher.wants, MatcherWants::Opened { matches, .. } if matches(path)),
        )
    };
    let mut scanner = scanner(path, files);
    if file.size < SMALLEST_EXECUTABLE && scanner.is_none() && opened().next().is_none() {
        return Ok(FileFacts::default());
    }
    let mut contents = (file.open)().map_err(|source| unreadable(path, source))?;
    let start = first_bytes(&mut *contents).map_err(|source| unreadable(path, source))?;
    let mut facts = FileFacts::default();
    match (file.scanned.take(), scanner.as_mut()) {
        (Some(found), _) => facts.add(found),
        (None, Some(scanner)) => facts
            .add(scan(&mut *contents, &mut **scanner).map_err(|source| unreadable(path, source))?),
        (None, None) => {}
    }
    let by_magic = MATCHERS.iter().filter(
        |matcher| matches!(matcher.wants, MatcherWants::Magic { matches, .. } if matches(&start)),
    );
    for matcher in opened().chain(by_magic) {
        let (MatcherWants::Opened { read, .. } | MatcherWants::Magic { read, .. }) = matcher.wants
        else {
            continue;
        };
        contents.seek(SeekFrom::Start(0)).map_err(|source| unreadable(path, source))?;
        match read(path, &mut *contents) {
            Ok(found) => facts.add(found),
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<NotKept>()) => {
                facts.warn(format!(
                    "`{path}` was not read by the {} matcher: it is too large to be held in memory",
                    matcher.name
                ));
            }
            Err(source) => return Err(unreadable(path, source)),
        }
    }
    Ok(facts)
}

/// Whether something reads this file here and there because of its path.
pub(super) fn is_opened(path: &str) -> bool {
    MATCHERS.iter().any(
        |matcher| matches!(matcher.wants, MatcherWants::Opened { matches, .. } if matches(path)),
    )
}

/// What looks through this file from front to back, if anything does; where files are asked for,
/// something always does.
pub(super) fn scanner(path: &str, files: bool) -> Option<Box<dyn PieceScanner>> {
    let by_path = MATCHERS.iter().find_map(|matcher| match matcher.wants {
        MatcherWants::Scanned { matches, scanner, .. } if matches(path) => Some(scanner(path)),
        _ => None,
    });
    if files { Some(owned::scanner(path, by_path)) } else { by_path }
}

fn scan(contents: &mut dyn FileContents, scanner: &mut dyn PieceScanner) -> io::Result<FileFacts> {
    let mut piece = vec![0; 256 << 10];
    while !scanner.is_done() {
        match contents.read(&mut piece)? {
            0 => break,
            read => scanner.feed(piece.get(..read).unwrap_or_default()),
        }
    }
    Ok(scanner.finish())
}

/// Whether nothing is read because of either path alone, but what is read of both in the same way:
/// then one file under both names tells the same, but for its name.
pub(super) fn are_read_alike(one: &str, other: &str) -> bool {
    MATCHERS.iter().all(|matcher| match matcher.wants {
        MatcherWants::Path { matches, .. } | MatcherWants::Opened { matches, .. } => {
            !matches(one) && !matches(other)
        }
        MatcherWants::Scanned { matches, alike, .. } => {
            matches(one) == matches(other) && (!matches(one) || alike(one, other))
        }
        MatcherWants::Magic { .. } => true,
    })
}

fn first_bytes(mut contents: &mut dyn FileContents) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    (&mut contents).take(4).read_to_end(&mut start)?;
    contents.seek(SeekFrom::Start(0))?;
    Ok(start)
}

fn unreadable(path: &str, source: io::Error) -> SbomError {
    SbomError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn collect(path: &str, size: u64, text: &'static [u8]) -> Result<CollectedPackages, SbomError> {
        let mut collected = CollectedPackages::default();
        let mut open = || Ok(Box::new(Cursor::new(text)) as Box<dyn FileContents>);
        collected.file(SourceFile { path, size, modified: 7, open: &mut open, scanned: None })?;
        Ok(collected)
    }

    const STATUS: &[u8] = b"Package: a\nStatus: install ok installed\nVersion: 1\n";

    #[test]
    fn only_files_with_packages_date_a_document() {
        assert_eq!(
            collect("var/lib/dpkg/status", STATUS.len() as u64, STATUS).unwrap().newest,
            Some(7)
        );
        let release = collect("etc/os-release", 12, b"ID=debian\n").unwrap();
        assert_eq!((release.newest, release.facts.len()), (None, 1));
        assert!(collect("etc/passwd", 5000, b"root").unwrap().facts.is_empty());
    }

    #[test]
    fn an_oversized_database_is_refused_unopened_and_an_oversized_licence_is_told() {
        let error = collect("var/lib/dpkg/status", 1 << 40, STATUS).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no sbom was written: `var/lib/dpkg/status` has more than `67108864` bytes, which is more than such a file can need"
        );
        let collected = collect("usr/share/doc/a/copyright", 1 << 40, b"").unwrap();
        let facts = &collected.facts["usr/share/doc/a/copyright"];
        assert_eq!(
            facts.warnings,
            ["`usr/share/doc/a/copyright` has more than `16777216` bytes and was not read"]
        );
    }

    #[test]
    fn a_malformed_database_is_an_error_that_names_it() {
        let error = collect("lib/apk/db/installed", 4, b"\0\0\0\0").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no sbom was written: `lib/apk/db/installed` is malformed: "),
            "{error}"
        );
    }
}
