//! One layer → the packages and links in it, and what it replaces and takes away below. It knows no
//! other layer, so that what it finds holds wherever the layer is used again, and it refuses what
//! no container runtime could unpack.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kept::{KeptBytes, KeptReader, Ledger};
use super::paths::{self, Paths, hash};
use super::tar::{Forward, Tar, TarEntry, TarError, TarKind, malformed};
use crate::sbom::SbomError;
use crate::sbom::collect::{
    CollectedPackages, SMALLEST_EXECUTABLE, are_read_alike, is_opened, matching_path, scanner,
};
use crate::sbom::linked::LinkedPackages;
use crate::sbom::matchers::{FileFacts, MATCHERS, MatcherWants, PieceScanner, store};
use crate::sbom::source::rootfs::NOT_FILES;
use crate::sbom::source::{
    FileContents, LARGEST_PAIRED, Links, SourceFile, Visitor as _, printable,
};

const MARK: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

const MOST_ENTRIES: usize = 5_000_000;
const MOST_PACKAGES: usize = 1_000_000;
/// An image replaces a directory within one layer hardly ever.
const MOST_REPLACED: usize = 10_000;
/// Of all names that are kept.
const MOST_NAMES: usize = 128 << 20;
/// Larger archives are told of, not read.
const LARGEST_ARCHIVE: u64 = 512 << 20;
/// Holes take no room, but time.
const LARGEST_SPARSE: u64 = 1 << 30;

/// What one file told, and when it was changed last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatedFacts {
    pub(super) facts: FileFacts,
    pub(super) modified: i64,
}

/// What one layer holds, as far as it matters to a catalog and to the layers around it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    pub(super) facts: BTreeMap<String, DatedFacts>,
    pub(super) links: Links,
    /// Hard links to files that are not in this layer, by their own path.
    pub(super) hard: BTreeMap<String, String>,
    pub(super) whiteouts: BTreeSet<String>,
    /// Directories of which nothing shows that lower layers have in them.
    pub(super) opaque: BTreeSet<String>,
    /// Directories that something lies in, but that are no entry of their own: below, each may be a
    /// link.
    pub(super) implied: BTreeSet<String>,
    /// Everything that is not a directory.
    pub(super) files: Paths,
    pub(super) directories: Paths,
    /// Files told under names that another layer gives them, on request.
    #[serde(skip)]
    pub(super) told: BTreeMap<String, DatedFacts>,
    /// The bytes of files, on request.
    #[serde(skip)]
    pub(super) bytes: BTreeMap<String, Vec<u8>>,
}

/// What other layers have to do with the reading of this one; as a rule nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerContext {
    /// Links below, through which entries of this layer pass.
    pub(super) links: Links,
    /// Further names of files.
    pub(super) told_as: BTreeMap<String, BTreeSet<String>>,
    /// Directories, and the names under which databases in them are looked for.
    pub(super) directories: Vec<(String, String)>,
    /// Files whose bytes are asked for.
    pub(super) whole: BTreeSet<String>,
}

/// Why a layer gives nothing.
#[derive(Debug)]
pub(super) enum LayerFailure {
    Stream(TarError),
    Contents(SbomError),
}

impl<T: Into<TarError>> From<T> for LayerFailure {
    fn from(trouble: T) -> Self {
        Self::Stream(trouble.into())
    }
}

/// Reads a layer to its end. Names that could not be told at once come back too: with them in the
/// context, a second reading is complete.
pub(super) fn scan<R: Forward>(
    tar: &mut Tar<R>,
    context: &LayerContext,
    ledger: &Ledger,
) -> Result<(Layer, LayerContext), LayerFailure> {
    let mut scan = LayerScan::new(context, ledger);
    let mut entries = 0_usize;
    while let Some(entry) = tar.next()? {
        entries += 1;
        if entries > MOST_ENTRIES
            || scan.names > MOST_NAMES
            || scan.packages > MOST_PACKAGES
            || scan.replaced > MOST_REPLACED
        {
            return Ok(malformed("it has more entries, names or packages than any image")?);
        }
        scan.entry(&entry, tar)?;
    }
    Ok(scan.finished())
}

struct LayerScan<'a> {
    context: &'a LayerContext,
    ledger: &'a Ledger,
    layer: Layer,
    /// Links that entries pass through: those below, and those of this layer so far.
    view: Links,
    /// Whether each path is a directory.
    nodes: HashMap<u64, bool>,
    parents: HashMap<u64, String>,
    /// Directories that something lay in before they were an entry of their own.
    passed: BTreeSet<String>,
    again: BTreeMap<String, BTreeSet<String>>,
    /// For hard links of this layer to its own files, the entry that has the contents.
    bases: BTreeMap<String, String>,
    /// The last directory, and where it really is.
    last: Option<(String, String)>,
    /// The directory of the last entry, whose own directories are noted.
    noted: Option<String>,
    names: usize,
    packages: usize,
    /// Paths of stores that something was found in.
    stores: BTreeSet<String>,
    /// Directories that something else took the place of.
    replaced: usize,
}

impl<'a> LayerScan<'a> {
    fn new(context: &'a LayerContext, ledger: &'a Ledger) -> Self {
        Self {
            context,
            ledger,
            layer: Layer::default(),
            view: context.links.clone(),
            nodes: HashMap::new(),
            parents: HashMap::new(),
            passed: BTreeSet::new(),
            again: BTreeMap::new(),
            bases: BTreeMap::new(),
            last: None,
            noted: None,
            names: 0,
            packages: 0,
            stores: BTreeSet::new(),
            replaced: 0,
        }
    }

    fn finished(mut self) -> (Layer, LayerContext) {
        let is_directory = |path: &u64| self.nodes.get(path) == Some(&true);
        self.layer.implied = self
            .parents
            .iter()
            .filter(|(path, _)| !is_directory(path))
            .map(|(_, name)| name.clone())
            .collect();
        self.layer.implied.append(&mut self.passed);
        let (directories, files): (Vec<_>, Vec<_>) =
            self.nodes.into_iter().partition(|(_, is_directory)| *is_directory);
        self.layer.files = files.into_iter().map(|(path, _)| path).collect();
        self.layer.directories = directories.into_iter().map(|(path, _)| path).collect();
        let mut context = self.context.clone();
        for (path, names) in self.again {
            context.told_as.entry(path).or_default().extend(names);
        }
        (self.layer, context)
    }

    fn entry<R: Forward>(
        &mut self,
        entry: &TarEntry,
        tar: &mut Tar<R>,
    ) -> Result<(), LayerFailure> {
        let Some(path) = paths::clean(&entry.path)? else { return Ok(()) };
        let path = self.place(path)?;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        self.note_parents(&path);
        if name == OPAQUE {
            if self.layer.opaque.insert(parent.to_owned()) {
                self.lose_links_below(parent);
            }
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(MARK) {
            // Other such names are notes that AUFS made for itself.
            if !hidden.starts_with(MARK) {
                if hidden.is_empty() || hidden == "." || hidden == ".." {
                    return Ok(malformed(format!("`{path}` removes nothing that could exist"))?);
                }
                self.names += path.len();
                let hidden = paths::join(parent, hidden);
                if self.layer.links.get(&hidden).is_none() {
                    self.view.remove(&hidden);
                }
                if !self.layer.whiteouts.contains(&hidden) {
                    self.lose_links_below(&hidden);
                    self.layer.whiteouts.insert(hidden);
                }
            }
            return Ok(());
        }
        let is_file = is_file(&path) && !self.ledger.exclude.matches(&path);
        match entry.kind {
            TarKind::Directory => self.directory(&path),
            TarKind::File => {
                self.replace(&path);
                return self.file(&path, is_file, entry, tar);
            }
            TarKind::SymbolicLink => {
                self.replace(&path);
                let target = printable(&entry.link);
                if target.len() > paths::LONGEST {
                    return Ok(malformed(format!(
                        "`{path}` is a link to a longer name than any file has"
                    ))?);
                }
                if is_file {
                    self.link(&path, &target);
                }
            }
            TarKind::HardLink => {
                self.hard_link(&path, is_file, entry)?;
                if is_file {
                    self.note_store(&path, entry);
                }
            }
            TarKind::Other => self.replace(&path),
        }
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) {
        self.names += path.len() + target.len();
        self.layer.links.insert(path, target);
        self.view.insert(path, target);
        self.last = None;
    }

    /// Links of lower layers that are taken away: what comes now does not pass through them.
    fn lose_links_below(&mut self, directory: &str) {
        if !self.context.links.is_empty() {
            let own = &self.layer.links;
            self.view.remove_below(directory, |path| own.get(path).is_none());
            self.last = None;
        }
    }

    /// Where an entry really goes: parts of its path may be links.
    fn place(&mut self, path: String) -> Result<String, LayerFailure> {
        if self.view.is_empty() {
            return Ok(path);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some((last, real)) = &self.last
            && last == parent
        {
            return Ok(if real == parent { path } else { paths::join(real, name) });
        }
        let real = if paths::ancestors(&path).any(|ancestor| self.view.get(ancestor).is_some()) {
            self.view.resolve(parent)
        } else {
            Some(parent.to_owned())
        };
        let Some(real) = real else {
            return Ok(malformed(format!("`{path}` passes through links that never end"))?);
        };
        let place = paths::join(&real, name);
        self.last = Some((parent.to_owned(), real));
        Ok(place)
    }

    fn note_parents(&mut self, path: &str) {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        // What lies in a directory changes nothing about those around it.
        if self.noted.as_deref() == Some(directory) {
            return;
        }
        self.noted = Some(directory.to_owned());
        for parent in paths::ancestors(path).collect::<Vec<_>>().into_iter().rev() {
            let key = hash(parent);
            // Something lies in it, so it is a directory, whatever it was.
            if self.nodes.get(&key) == Some(&false) {
                self.forget(parent, Some(false));
                self.nodes.remove(&key);
                self.layer.opaque.insert(parent.to_owned());
            }
            if self.parents.contains_key(&key) {
                break;
            }
            self.names += parent.len();
            self.parents.insert(key, parent.to_owned());
        }
    }

    fn directory(&mut self, path: &str) {
        let key = hash(path);
        let known = self.nodes.insert(key, true);
        if known.is_none() && self.parents.contains_key(&key) {
            self.passed.insert(path.to_owned());
        }
        if known == Some(false) {
            // What is below a file or a link of this layer was gone before the directory came.
            self.layer.opaque.insert(path.to_owned());
        }
        self.forget(path, known);
    }

    /// Makes room for something that is not a directory.
    fn replace(&mut self, path: &str) {
        let key = hash(path);
        let (known, is_parent) =
            (self.nodes.insert(key, false), self.parents.remove(&key).is_some());
        if known == Some(true) || is_parent {
            self.replaced += 1;
            if known.is_none() {
                self.passed.insert(path.to_owned());
            }
            let below =
                |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            self.layer.facts.retain(|other, _| !below(other));
            self.layer.hard.retain(|other, _| !below(other));
            self.layer.links.retain(|other| !below(other));
            self.view.retain(|other| !below(other));
            self.parents.retain(|_, other| !below(other));
            self.last = None;
        }
        self.forget(path, known);
    }

    /// Everything that was told under this path. `known` says whether this layer had something
    /// there, and whether it was a directory.
    fn forget(&mut self, path: &str, known: Option<bool>) {
        if known == Some(false) {
            self.layer.facts.remove(path);
            self.layer.hard.remove(path);
            self.bases.remove(path);
        }
        let could_be_link = known == Some(false) || !self.context.links.is_empty();
        if could_be_link && self.view.get(path).is_some() {
            self.layer.links.remove(path);
            self.view.remove(path);
            self.last = None;
        }
    }

    fn hard_link(
        &mut self,
        path: &str,
        is_file: bool,
        entry: &TarEntry,
    ) -> Result<(), LayerFailure> {
        let target = paths::clean(&entry.link)?.map(|target| self.place(target)).transpose()?;
        let Some(target) = target.filter(|target| target != path) else {
            return Ok(malformed(format!("`{path}` is a hard link to itself or to nothing"))?);
        };
        let (facts, link) = (
            self.layer.facts.get(&target).cloned(),
            self.layer.links.get(&target).map(str::to_owned),
        );
        let lower = self.layer.hard.get(&target).cloned();
        let node = self.nodes.get(&hash(&target)).copied();
        let base = self.bases.get(&target).unwrap_or(&target).clone();
        self.replace(path);
        self.names += path.len() + target.len() + base.len();
        if node == Some(false) && link.is_none() && lower.is_none() {
            let further = self.further_names(path);
            if !further.is_empty() {
                self.again.entry(base.clone()).or_default().extend(further);
            }
            self.bases.insert(path.to_owned(), base.clone());
        }
        match (node, link, lower) {
            (Some(true), ..) => {
                return Ok(malformed(format!(
                    "`{path}` is a hard link to the directory `{target}`"
                ))?);
            }
            (_, _, Some(lower)) => drop(self.layer.hard.insert(path.to_owned(), lower)),
            (None, ..) => drop(self.layer.hard.insert(path.to_owned(), target)),
            (Some(false), Some(link), _) => self.link(path, &link),
            (Some(false), None, None) if !is_file => {}
            // What only has a name where no files are looked for was not read.
            (Some(false), None, None) if are_read_alike(path, &target) && self::is_file(&base) => {
                if let Some(told) = facts {
                    self.layer.facts.insert(path.to_owned(), renamed(&told, &target, path));
                }
            }
            (Some(false), None, None) => match self.layer.told.remove(path) {
                Some(told) => drop(self.layer.facts.insert(path.to_owned(), told)),
                None => drop(self.again.entry(base).or_default().insert(path.to_owned())),
            },
        }
        Ok(())
    }

    /// The first of a store path's files tells that it is there.
    fn note_store(&mut self, path: &str, entry: &TarEntry) {
        if let Some(found) = store::first(path, &mut self.stores) {
            self.packages += 1;
            let fresh = || DatedFacts { modified: entry.modified, ..DatedFacts::default() };
            let told = self.layer.facts.entry(path.to_owned()).or_insert_with(fresh);
            told.facts.packages.push(found);
        }
    }

    /// Names that the context gives to a file.
    fn further_names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.context.told_as.get(path).into_iter().flatten().cloned().collect();
        let (parent, base) = path.rsplit_once('/').unwrap_or(("", path));
        let elsewhere = self
            .context
            .directories
            .iter()
            .filter(|(real, _)| real == parent)
            .map(|(_, alias)| paths::join(alias, base));
        names.extend(
            elsewhere.filter(|name| matching_path(name).is_some() && matching_path(path).is_none()),
        );
        names
    }

    fn file<R: Forward>(
        &mut self,
        path: &str,
        is_file: bool,
        entry: &TarEntry,
        tar: &mut Tar<R>,
    ) -> Result<(), LayerFailure> {
        if self.context.whole.contains(path) {
            let mut bytes = Vec::new();
            Read::take(&mut *tar, LARGEST_PAIRED.min(entry.size)).read_to_end(&mut bytes)?;
            self.layer.bytes.insert(path.to_owned(), bytes);
            return Ok(());
        }
        let mut names: Vec<String> = if is_file { vec![path.to_owned()] } else { Vec::new() };
        names.extend(self.further_names(path));
        if names.is_empty() {
            return Ok(());
        }
        for (name, facts) in read(&names, entry, tar, self.ledger)? {
            if facts == FileFacts::default() {
                continue;
            }
            self.packages += facts.packages.len() + usize::from(facts.sum.is_some());
            let linked = facts.packages.iter().filter_map(|found| found.package.linked.as_ref());
            self.names += linked.map(LinkedPackages::bytes).sum::<usize>();
            let told = DatedFacts { facts, modified: entry.modified };
            if name == path {
                self.layer.facts.insert(name, told)
            } else {
                self.layer.told.insert(name, told)
            };
        }
        if is_file {
            self.note_store(path, entry);
        }
        Ok(())
    }
}

/// Whether a file of this name is one of the image's, and not one of a mounted file system.
fn is_file(path: &str) -> bool {
    !NOT_FILES
        .iter()
        .any(|directory| path.strip_prefix(directory).is_some_and(|below| below.starts_with('/')))
}

/// What one file tells under each of its names.
#[expect(clippy::too_many_lines, reason = "one file, read once, for all of its names")]
fn read<R: Forward>(
    names: &[String],
    entry: &TarEntry,
    tar: &mut Tar<R>,
    ledger: &Ledger,
) -> Result<Vec<(String, FileFacts)>, LayerFailure> {
    let (mut has_path, mut whole) = (false, false);
    for wants in names.iter().filter_map(|name| matching_path(name)) {
        has_path = true;
        whole |= matches!(wants, MatcherWants::Path { cap, .. } if entry.size <= *cap);
    }
    let opened = names.iter().any(|name| is_opened(name));
    let mut scanners: Vec<Option<Box<dyn PieceScanner>>> =
        names.iter().map(|name| scanner(name, ledger.files)).collect();
    let told = |sentence: &dyn Fn(&str) -> String| {
        Ok(names.iter().map(|name| (name.clone(), FileFacts::warning(sentence(name)))).collect())
    };
    let could_be_executable = entry.size >= SMALLEST_EXECUTABLE;
    let is_scanned = scanners.iter().any(Option::is_some);
    if !(has_path || opened || is_scanned || could_be_executable) {
        return Ok(Vec::new());
    }
    if entry.is_sparse && entry.size > LARGEST_SPARSE && !has_path {
        return told(&|name| {
            format!("`{name}` is a sparse file of `{}` bytes and was not read", entry.size)
        });
    }
    if opened && entry.size > LARGEST_ARCHIVE {
        return told(&|name| {
            format!(
                "`{name}` is not listed: it has `{}` bytes, which are too many to hold in memory",
                entry.size
            )
        });
    }
    let feed = |piece: &[u8], scanners: &mut Vec<Option<Box<dyn PieceScanner>>>| {
        scanners.iter_mut().flatten().for_each(|one| one.feed(piece))
    };
    let (kept, _share) = if opened || whole {
        let share = ledger.take(entry.size);
        let kept = KeptBytes::whole(tar, entry.size, ledger)?;
        (kept, share)
    } else if has_path {
        (KeptBytes::nothing(0, ledger), ledger.take(0))
    } else {
        let mut start = [0; 4];
        let length = usize::try_from(entry.size).map_or(start.len(), |size| size.min(start.len()));
        let start = start.get_mut(..length).unwrap_or_default();
        tar.read_exact(start)?;
        let is_executable = MATCHERS
            .iter()
            .any(|matcher| matches!(matcher.wants, MatcherWants::Magic { matches, .. } if matches(start)));
        let mut rest = io::Cursor::new(&*start).chain(tar);
        if is_executable {
            KeptBytes::executable(&mut rest, entry.size, ledger, |piece| {
                feed(piece, &mut scanners)
            })?
        } else if is_scanned {
            let mut piece = ledger.spare().chunk();
            while scanners.iter().flatten().any(|one| !one.is_done()) {
                match rest.read(&mut piece)? {
                    0 => break,
                    read => feed(piece.get(..read).unwrap_or_default(), &mut scanners),
                }
            }
            ledger.spare().give_back(piece);
            (KeptBytes::whole(&mut &*start, length as u64, ledger)?, ledger.take(0))
        } else {
            return Ok(Vec::new());
        }
    };
    let kept = Arc::new(kept);
    let mut found = Vec::with_capacity(names.len());
    for (name, scanner) in names.iter().zip(scanners) {
        // What is held whole can be scanned when its turn comes.
        let scanned =
            if opened || whole { None } else { scanner.map(|mut scanner| scanner.finish()) };
        let mut open = || Ok(Box::new(KeptReader::new(kept.clone())) as Box<dyn FileContents>);
        let mut collected = CollectedPackages {
            files: ledger.files,
            exclude: ledger.exclude.clone(),
            is_part: true,
            ..CollectedPackages::default()
        };
        let file = SourceFile {
            path: name,
            size: entry.size,
            modified: entry.modified,
            open: &mut open,
            scanned,
        };
        collected.file(file).map_err(LayerFailure::Contents)?;
        found.extend(collected.facts);
    }
    Ok(found)
}

/// What a file told, had it this other name; right for files that are read alike.
pub(super) fn renamed(told: &DatedFacts, from: &str, to: &str) -> DatedFacts {
    let mut told = told.clone();
    for found in told.facts.packages.iter_mut().filter(|found| found.scope == from) {
        to.clone_into(&mut found.scope);
    }
    for warning in &mut told.facts.warnings {
        *warning = warning.replace(&format!("`{from}`"), &format!("`{to}`"));
    }
    told
}
