//! A folder or an archive of OSV records, in the layout that osv-scanner keeps → an index by
//! ecosystem and name. It holds no record, unpacks nothing to disk, and refuses the whole source
//! where a part of it is hostile.
//!
//! `DIR/ECOSYSTEM/all.zip`, `DIR/osv-scalibr/ECOSYSTEM/all.zip`, `DIR/ECOSYSTEM/ID.json`,
//! `DIR/ID.json`, or one such archive alone.

mod building;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::outline::{RecordOutline, base, folded};
use super::service::Listing;
use super::{AdvisoryQuestion, RecordId};
use crate::error::Remedied;
use crate::files::{FileError, OpenFolder};
use crate::sbom::matchers::zip::{MemberPlace, Unpacker};

/// The name that the archive of an ecosystem has.
pub const ARCHIVE: &str = "all.zip";
const LARGEST_RECORD: u64 = 16 << 20;

/// Why a folder or an archive of advisories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the advisories cannot be read")]
    File(#[from] FileError),
    #[error("the advisories in `{}` cannot be read", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the advisories in `{}` are refused: {reason}", path.display())]
    Refused { path: PathBuf, reason: String },
    #[error("`{}` holds no advisories", .0.display())]
    Empty(PathBuf),
}

impl Remedied for ArchiveError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::File(error) => error.remedy(),
            Self::Io { .. } => None,
            Self::Refused { .. } | Self::Empty(_) => Some(
                "fetch them with `supply-action advisories update`, which makes a folder with `ECOSYSTEM/all.zip`"
                    .to_owned(),
            ),
        }
    }
}

type ArchiveResult<T> = std::result::Result<T, ArchiveError>;

/// Where a record lies.
#[derive(Debug, Clone, Copy)]
enum RecordPlace {
    Member { archive: usize, place: MemberPlace },
    File { folder: usize, name: usize },
}

/// What the records lie in.
#[derive(Default)]
struct RecordFiles {
    archives: Vec<(File, PathBuf)>,
    folders: Vec<(OpenFolder, PathBuf, Vec<PathBuf>)>,
}

/// How many records are not as they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Differences {
    pub added: usize,
    pub changed: usize,
    pub gone: usize,
}

/// An index over records that lie elsewhere. Keys are hashes, so what they lead to is looked at.
#[derive(Default)]
pub struct Archives {
    files: RecordFiles,
    records: Vec<RecordPlace>,
    changed: Vec<Timestamp>,
    by_id: Vec<(u64, u32)>,
    by_name: Vec<(u64, u32)>,
    hash: RandomState,
    /// Ecosystems with their releases about which all is at hand.
    covered: BTreeSet<String>,
    newest: BTreeMap<String, Timestamp>,
}

impl Archives {
    /// Reads a folder or an archive once, whole.
    ///
    /// # Errors
    /// When it cannot be read, or any part of it is not what it should be.
    pub fn open(path: &Path, now: Timestamp) -> ArchiveResult<Self> {
        building::Building::new(now, RandomState::new()).of(path)
    }

    /// Reads an archive that lies under no name of its own; `path` stands for it in messages.
    ///
    /// # Errors
    /// When any part of it is not what it should be.
    pub(super) fn of_file(
        file: File,
        path: &Path,
        ecosystem: Option<&str>,
        now: Timestamp,
    ) -> ArchiveResult<Self> {
        building::Building::new(now, RandomState::new()).of_archive(file, path, ecosystem)
    }

    /// Reads the archive of one ecosystem, such as one that was just fetched, and says what is
    /// different from an earlier one.
    pub(super) fn renewed(
        file: File,
        path: &Path,
        ecosystem: &str,
        now: Timestamp,
        earlier: Option<&Self>,
    ) -> ArchiveResult<(Self, Option<Differences>)> {
        let hash = earlier.map(|earlier| earlier.hash.clone()).unwrap_or_default();
        let archives =
            building::Building::new(now, hash).of_archive(file, path, Some(ecosystem))?;
        let differences = earlier.map(|earlier| archives.since(earlier));
        Ok((archives, differences))
    }

    /// How many different records there are.
    pub fn records_at_hand(&self) -> usize {
        self.by_id.len()
    }

    /// When the newest record of each ecosystem (without release) that is covered changed last.
    pub fn newest(&self) -> &BTreeMap<String, Timestamp> {
        &self.newest
    }

    /// Whether all advisories of this ecosystem and release are at hand, so that none means
    /// something.
    pub fn covers(&self, ecosystem: &str) -> bool {
        self.covered.contains(&release(ecosystem))
    }

    /// The records that name each package, whatever their versions, in the order of the questions;
    /// `keep` gets each record once.
    ///
    /// # Errors
    /// When a record cannot be read any more.
    pub fn assess(
        &self,
        questions: &[AdvisoryQuestion],
        mut keep: impl FnMut(&RecordId, Vec<u8>),
    ) -> ArchiveResult<Vec<Listing>> {
        let listing = |question: &AdvisoryQuestion| match self.covers(&question.ecosystem) {
            true => Listing::Records(BTreeMap::new()),
            false => Listing::NotAssessed(format!(
                "no advisories of `{}` are at hand",
                question.ecosystem
            )),
        };
        let mut listings: Vec<Listing> = questions.iter().map(listing).collect();
        // Each record is read once, in the order in which they lie there.
        let mut candidates: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, AdvisoryQuestion { ecosystem, name, .. }) in questions.iter().enumerate() {
            if self.covers(ecosystem) {
                for record in numbers(&self.by_name, name_key(&self.hash, ecosystem, name)) {
                    candidates.entry(record).or_default().push(place);
                }
            }
        }
        let mut reader = RecordReader::default();
        for (record, places) in candidates {
            let (outline, bytes) = self.record(&mut reader, record)?;
            let Some(id) = RecordId::of(&outline.id) else { continue };
            let mut is_named = false;
            for place in places {
                let AdvisoryQuestion { ecosystem, name, .. } = &questions[place];
                if let Listing::Records(listed) = &mut listings[place]
                    && outline.names(ecosystem, name)
                {
                    listed.insert(id.clone(), outline.modified.to_string());
                    is_named = true;
                }
            }
            if is_named {
                keep(&id, bytes);
            }
        }
        Ok(listings)
    }

    /// Records by their ids; `keep` gets each once. Returns those that are not there.
    ///
    /// # Errors
    /// When a record cannot be read any more.
    pub fn records(
        &self,
        ids: &BTreeSet<RecordId>,
        mut keep: impl FnMut(&RecordId, Vec<u8>),
    ) -> ArchiveResult<Vec<RecordId>> {
        let mut reader = RecordReader::default();
        let mut absent = Vec::new();
        for id in ids {
            let mut is_there = false;
            for record in numbers(&self.by_id, self.hash.hash_one(id.as_str())) {
                let (outline, bytes) = self.record(&mut reader, record)?;
                if outline.id == id.as_str() {
                    keep(id, bytes);
                    is_there = true;
                }
            }
            if !is_there {
                absent.push(id.clone());
            }
        }
        Ok(absent)
    }

    /// What is different from another index that was made with the same hashes.
    fn since(&self, earlier: &Self) -> Differences {
        let changes = |archives: &Self| -> BTreeMap<u64, Timestamp> {
            let change = |(key, record): &(u64, u32)| (*key, archives.changed[*record as usize]);
            archives.by_id.iter().map(change).collect()
        };
        let (now, before) = (changes(self), changes(earlier));
        let mut differences = Differences::default();
        for (key, changed) in &now {
            match before.get(key) {
                None => differences.added += 1,
                Some(before) if before != changed => differences.changed += 1,
                Some(_) => {}
            }
        }
        differences.gone = before.keys().filter(|key| !now.contains_key(key)).count();
        differences
    }

    fn record(
        &self,
        reader: &mut RecordReader,
        record: u32,
    ) -> ArchiveResult<(RecordOutline, Vec<u8>)> {
        reader.read(&self.files, self.records[record as usize])
    }
}

/// Reads one record after another.
#[derive(Default)]
struct RecordReader(Unpacker);

impl RecordReader {
    fn read(
        &mut self,
        files: &RecordFiles,
        place: RecordPlace,
    ) -> ArchiveResult<(RecordOutline, Vec<u8>)> {
        let (path, bytes) = match place {
            RecordPlace::Member { archive, place } => {
                let (file, path) = &files.archives[archive];
                let bytes = self
                    .0
                    .unpack(&mut &*file, &place, LARGEST_RECORD)
                    .map_err(|source| ArchiveError::Io { path: path.clone(), source })?
                    .map_err(|problem| problem.as_str());
                (path.clone(), bytes)
            }
            RecordPlace::File { folder, name } => {
                let (folder, path, names) = &files.folders[folder];
                let path = path.join(&names[name]);
                let file = folder.file(&names[name])?;
                let mut bytes = Vec::new();
                file.ok_or_else(|| FileError::Kind(path.clone()))?
                    .take(LARGEST_RECORD + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|source| ArchiveError::Io { path: path.clone(), source })?;
                let is_small = bytes.len() as u64 <= LARGEST_RECORD;
                (path, if is_small { Ok(bytes) } else { Err("it is too large") })
            }
        };
        let refused = |reason: &str| ArchiveError::Refused { path, reason: reason.to_owned() };
        match bytes.map(|bytes| (RecordOutline::of(&bytes), bytes)) {
            Ok((Some(outline), bytes)) => Ok((outline, bytes)),
            Ok((None, _)) => Err(refused("it is no OSV record")),
            Err(reason) => Err(refused(reason)),
        }
    }
}

/// The records that a key leads to.
fn numbers(index: &[(u64, u32)], key: u64) -> impl Iterator<Item = u32> + '_ {
    let start = index.partition_point(|(other, _)| *other < key);
    index[start..].iter().take_while(move |(other, _)| *other == key).map(|(_, record)| *record)
}

fn name_key(hash: &RandomState, ecosystem: &str, name: &str) -> u64 {
    hash.hash_one((base(ecosystem), folded(name).collect::<Vec<u8>>()))
}

/// An ecosystem with its release: Ubuntu's records say besides how long it is maintained.
fn release(ecosystem: &str) -> String {
    let parts = ecosystem.split(':').filter(|part| !["Pro", "LTS"].contains(part));
    parts.collect::<Vec<_>>().join(":")
}
