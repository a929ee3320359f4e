//! A folder or an archive → the index over its records. It reads each record once, and stops at
//! the first part that is not what it should be.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{
    ARCHIVE, ArchiveError, ArchiveResult, Archives, RecordPlace, RecordReader, name_key, release,
};
use crate::advisories::RecordId;
use crate::advisories::outline::{RecordOutline, base};
use crate::files::{FileError, OpenFolder};
use crate::sbom::matchers::zip;

const NESTED: &str = "osv-scalibr";
/// Records without a package: osv-scanner wants the folder, and nothing here asks for it.
const REPOSITORIES: &str = "GIT";

/// No known source comes near.
const LIMITS: Limits = Limits { records: 3_000_000, inflated: 32 << 30 };
/// There are not as many ecosystems.
const MOST_COPIES: usize = 64;
const LONGEST_NAME: usize = 255;
/// Clocks of others may be ahead by so much; a later change counts for nothing.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// How much a source may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    /// Bytes of all records.
    pub(super) inflated: u64,
}

/// One archive or folder, which is complete for an ecosystem.
struct EcosystemPart {
    path: PathBuf,
    /// As the folder is called. Without it, whatever all records name.
    ecosystem: Option<String>,
    /// Ecosystems without release that every record so far names.
    common: Option<BTreeSet<String>>,
    releases: BTreeSet<String>,
    newest: Option<Timestamp>,
}

pub(super) struct Building {
    archives: Archives,
    /// The part of each record.
    part_of: Vec<usize>,
    parts: Vec<EcosystemPart>,
    inflated: u64,
    pub(super) limits: Limits,
    latest: Timestamp,
    reader: RecordReader,
}

impl EcosystemPart {
    fn new(path: &Path, ecosystem: Option<&str>) -> Self {
        Self {
            path: path.to_owned(),
            ecosystem: ecosystem.map(str::to_owned),
            common: None,
            releases: BTreeSet::new(),
            newest: None,
        }
    }

    fn refused(&self, reason: impl Into<String>) -> ArchiveError {
        ArchiveError::Refused { path: self.path.clone(), reason: reason.into() }
    }

    fn note(&mut self, outline: &RecordOutline, latest: Timestamp) {
        let named = || outline.affected.iter().map(|package| package.ecosystem.as_str());
        for ecosystem in named() {
            if !self.releases.contains(ecosystem) {
                self.releases.insert(release(ecosystem));
            }
        }
        match &mut self.common {
            None => self.common = Some(named().map(|of| base(of).to_owned()).collect()),
            Some(common) => common.retain(|known| named().any(|of| base(of) == known)),
        }
        if outline.modified <= latest {
            self.newest = self.newest.max(Some(outline.modified));
        }
    }

    /// The ecosystems without release that it is complete for.
    fn ecosystems(&self) -> ArchiveResult<BTreeSet<String>> {
        match &self.ecosystem {
            None => Ok(self.common.clone().unwrap_or_default()),
            // A folder's name is believed when its records say the same.
            Some(of) if self.common.is_none() || self.releases.iter().any(|it| base(it) == of) => {
                Ok(BTreeSet::from([of.clone()]))
            }
            Some(of) => Err(self.refused(format!("no record in it is about `{of}`"))),
        }
    }
}

impl Building {
    pub(super) fn new(now: Timestamp, hash: RandomState) -> Self {
        Self {
            archives: Archives { hash, ..Archives::default() },
            part_of: Vec::new(),
            parts: Vec::new(),
            inflated: 0,
            limits: LIMITS,
            latest: now.checked_add(AHEAD).unwrap_or(now),
            reader: RecordReader::default(),
        }
    }

    pub(super) fn of(mut self, path: &Path) -> ArchiveResult<Archives> {
        let here = std::env::current_dir().unwrap_or_default();
        let absolute = here.join(path);
        let found = std::fs::metadata(path)
            .map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        if found.is_dir() {
            self.folder(OpenFolder::open(path, &here)?, path, None)?;
        } else if let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) {
            // `Go/all.zip` is all of Go; of another name only its records tell.
            let ecosystem = parent.file_name().filter(|_| name == ARCHIVE);
            let file = OpenFolder::open(parent, &here)?.file(Path::new(name))?;
            let file = file.ok_or_else(|| FileError::Kind(path.to_owned()))?;
            self.archive(file, path, ecosystem.and_then(|of| of.to_str()))?;
        }
        self.done(path)
    }

    /// As `of`, for an archive that lies under another name.
    pub(super) fn of_archive(
        mut self,
        file: File,
        path: &Path,
        of: Option<&str>,
    ) -> ArchiveResult<Archives> {
        self.archive(file, path, of)?;
        self.done(path)
    }

    /// Records and archives that lie in a folder, and in those below it.
    fn folder(
        &mut self,
        folder: OpenFolder,
        path: &Path,
        ecosystem: Option<&str>,
    ) -> ArchiveResult<()> {
        let mut loose = Vec::new();
        for name in folder.names()? {
            let below = path.join(&name);
            if folder.is_folder(&name)? {
                let of = name.to_str().filter(|of| !of.starts_with('.') && *of != REPOSITORIES);
                if let Some(of) = of.filter(|_| ecosystem.is_none()) {
                    let inner = folder.below(&name, false)?;
                    self.folder(inner, &below, Some(of).filter(|of| *of != NESTED))?;
                }
            } else if name.as_os_str() == ARCHIVE {
                let file = folder.file(&name)?.ok_or_else(|| FileError::Kind(below.clone()))?;
                self.archive(file, &below, ecosystem)?;
            } else if name.extension().is_some_and(|kind| kind == "json") {
                loose.push(name);
            }
        }
        if loose.is_empty() {
            return Ok(());
        }
        let mut part = EcosystemPart::new(path, ecosystem);
        let names: Vec<String> = loose.iter().map(|name| name.display().to_string()).collect();
        self.archives.files.folders.push((folder, path.to_owned(), loose));
        let folder = self.archives.files.folders.len() - 1;
        for (name, called) in names.iter().enumerate() {
            self.take_in(&mut part, RecordPlace::File { folder, name }, called)?;
        }
        self.parts.push(part);
        Ok(())
    }

    fn archive(
        &mut self,
        mut file: File,
        path: &Path,
        ecosystem: Option<&str>,
    ) -> ArchiveResult<()> {
        let mut part = EcosystemPart::new(path, ecosystem);
        let members = zip::members(&mut file, self.limits.records, &|name| !name.ends_with('/'))
            .map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?
            .map_err(|problem| part.refused(problem.as_str()))?;
        let mut extents: Vec<(u64, u64)> =
            members.iter().map(|member| member.place.extent()).collect();
        extents.sort_unstable();
        if extents.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(part.refused("its members lie in each other"));
        }
        self.archives.files.archives.push((file, path.to_owned()));
        let archive = self.archives.files.archives.len() - 1;
        for zip::ZipMember { name, place } in &members {
            if !is_plain(name) {
                return Err(
                    part.refused(format!("the name of its member `{name}` leads elsewhere"))
                );
            }
            if name.ends_with(".json") {
                self.take_in(&mut part, RecordPlace::Member { archive, place: *place }, name)?;
            }
        }
        self.parts.push(part);
        Ok(())
    }

    /// Reads a record for the index.
    fn take_in(
        &mut self,
        part: &mut EcosystemPart,
        place: RecordPlace,
        called: &str,
    ) -> ArchiveResult<()> {
        let (outline, bytes) =
            self.reader.read(&self.archives.files, place).map_err(|error| match error {
                ArchiveError::Refused { reason, .. } => {
                    part.refused(format!("its member `{called}`: {reason}"))
                }
                other => other,
            })?;
        self.inflated += bytes.len() as u64;
        if self.inflated > self.limits.inflated || self.part_of.len() == self.limits.records {
            return Err(part.refused("it is too large"));
        }
        if RecordId::of(&outline.id).is_none() {
            return Err(part.refused(format!("its member `{called}`: it has an id that none has")));
        }
        let record = self.part_of.len() as u32;
        let archives = &mut self.archives;
        archives.by_id.push((archives.hash.hash_one(outline.id.as_str()), record));
        let packages = outline.affected.iter();
        let mut keys: Vec<u64> = packages
            .map(|package| name_key(&archives.hash, &package.ecosystem, &package.name))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        archives.by_name.extend(keys.into_iter().map(|key| (key, record)));
        archives.records.push(place);
        archives.changed.push(outline.modified);
        self.part_of.push(self.parts.len());
        part.note(&outline, self.latest);
        Ok(())
    }

    /// The index, each record in it once.
    fn done(mut self, path: &Path) -> ArchiveResult<Archives> {
        if self.part_of.is_empty() {
            return Err(ArchiveError::Empty(path.to_owned()));
        }
        self.archives.by_id.sort_unstable();
        let copies = self.copies()?;
        let Self { mut archives, parts, .. } = self;
        archives.by_id.retain(|(_, record)| !copies.contains(record));
        archives.by_name.retain(|(_, record)| !copies.contains(record));
        archives.by_name.sort_unstable();
        for part in parts {
            let ecosystems = part.ecosystems()?;
            let is_covered = |release: &String| ecosystems.contains(base(release));
            archives.covered.extend(part.releases.iter().filter(|of| is_covered(of)).cloned());
            if let Some(newest) = part.newest {
                for ecosystem in ecosystems {
                    let known = archives.newest.entry(ecosystem).or_insert(newest);
                    *known = newest.max(*known);
                }
            }
        }
        Ok(archives)
    }

    /// Records that another copy stands for: what is about packages of several ecosystems lies in
    /// the archive of each, and the newest counts. Two of one archive, or of one time, are the same
    /// or refused.
    fn copies(&mut self) -> ArchiveResult<BTreeSet<u32>> {
        let mut copies = BTreeSet::new();
        for same_key in self.archives.by_id.chunk_by(|one, other| one.0 == other.0) {
            if same_key.len() == 1 {
                continue;
            }
            if same_key.len() > MOST_COPIES {
                return Err(self.parts[0].refused("a record is there again and again"));
            }
            let mut of_id: BTreeMap<String, Vec<(u32, serde_json::Value)>> = BTreeMap::new();
            for (_, record) in same_key {
                let place = self.archives.records[*record as usize];
                let (outline, bytes) = self.reader.read(&self.archives.files, place)?;
                let value = serde_json::from_slice(&bytes).unwrap_or_default();
                of_id.entry(outline.id).or_default().push((*record, value));
            }
            for (id, mut records) in of_id {
                let change = |record: u32| {
                    let place = record as usize;
                    (self.part_of[place], self.archives.changed[place])
                };
                records.sort_by_key(|(record, _)| change(*record).1);
                while let Some((newer, value)) = records.pop() {
                    for (record, other) in &records {
                        let (one, two) = (change(newer), change(*record));
                        if (one.0 == two.0 || one.1 == two.1) && value != *other {
                            let part = &self.parts[one.0];
                            return Err(part.refused(format!("there are two different `{id}`")));
                        }
                        copies.insert(*record);
                    }
                }
            }
        }
        Ok(copies)
    }
}

/// Whether a member's name is one below the archive's own folder.
fn is_plain(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && !name.starts_with('/')
        && !name.contains(|letter: char| letter == '\\' || letter.is_control())
        && name.split('/').all(|part| !["", ".", ".."].contains(&part))
}
