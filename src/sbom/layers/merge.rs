//! Layers in their order → what a program inside the image sees. It reads nothing itself: where a
//! layer must be read once more because of another one, it asks for that.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::paths::{self, Hashes, hash, hashes};
use super::scan::{DatedFacts, Layer, LayerContext, renamed};
use crate::sbom::SbomError;
use crate::sbom::collect::{CollectedPackages, are_read_alike, matching_path};
use crate::sbom::matchers::DIRECTORIES;
use crate::sbom::package::Package;
use crate::sbom::source::rootfs::NOT_FILES;
use crate::sbom::source::{Links, Pair, Visitor as _};

/// Reads a layer of the stack, by its place, once more.
pub(super) type ReadLayerAgain<'a> =
    dyn FnMut(usize, &LayerContext) -> Result<Layer, SbomError> + 'a;

/// What a file told, and which layers brought its packages.
struct HeldFacts {
    told: DatedFacts,
    origins: Vec<usize>,
    hashes: Vec<u64>,
}

/// The layers so far.
#[derive(Default)]
struct Stack {
    facts: BTreeMap<String, HeldFacts>,
    links: Links,
    link_hashes: BTreeMap<String, Vec<u64>>,
    layers: Vec<Arc<Layer>>,
    /// For each layer, the links below that some of its entries pass through.
    passed: Vec<Links>,
    /// For each layer, where the bytes are that its hard links to files below lead to.
    lent: Vec<BTreeMap<String, FileSpot>>,
}

/// A file's bytes: the layer that has them, and under which name.
type FileSpot = (usize, String);

/// What hard links of a layer are, and where the bytes of each are.
type FoundHardLinks = (Vec<(String, HardLinkTarget)>, BTreeMap<String, FileSpot>);

/// Stacks the layers. `names` are their diffIDs.
pub(super) fn merge(
    layers: Vec<Arc<Layer>>,
    names: &[Arc<str>],
    files: bool,
    again: &mut ReadLayerAgain<'_>,
) -> Result<CollectedPackages, SbomError> {
    let mut stack = Stack::default();
    for (place, layer) in layers.into_iter().enumerate() {
        stack.add(place, layer, names, again)?;
    }
    stack.add_aliases(again)?;
    stack.add_journals(files, again)?;
    let mut collected = CollectedPackages {
        links: stack.links,
        files,
        is_image: true,
        ..CollectedPackages::default()
    };
    for (path, held) in stack.facts {
        if held.told.facts.dates_documents() {
            collected.newest = collected.newest.max(Some(held.told.modified));
        }
        if !held.told.facts.packages.is_empty() {
            let layers =
                held.origins.iter().filter_map(|place| names.get(*place).cloned()).collect();
            collected.layers.insert(path.clone(), layers);
        }
        collected.facts.insert(path, held.told.facts);
    }
    Ok(collected)
}

/// What a layer takes away from those below.
struct Cover<'a> {
    layer: &'a Layer,
    whiteouts: HashSet<u64>,
    opaque: HashSet<u64>,
    implied: HashSet<u64>,
    everything: bool,
}

impl<'a> Cover<'a> {
    fn of(layer: &'a Layer) -> Self {
        let all = |paths: &BTreeSet<String>| paths.iter().map(|path| hash(path)).collect();
        Self {
            whiteouts: all(&layer.whiteouts),
            opaque: all(&layer.opaque),
            implied: all(&layer.implied),
            everything: layer.opaque.contains(""),
            layer,
        }
    }

    /// Whether what is below at this path does not show. `hashes` are those of everything it lies
    /// in and then its own.
    fn hides(&self, hashes: &[u64], is_link: bool) -> bool {
        let Some((own, above)) = hashes.split_last() else { return false };
        self.takes_away(hashes)
            || self.layer.files.contains(*own)
            || self.layer.directories.contains(*own)
            // A link is passed through; a file cannot have anything in it.
            || (!is_link && self.implied.contains(own))
            || above.iter().any(|part| self.layer.files.contains(*part))
    }

    /// As `hides`, but only what the layer takes away before it adds anything.
    fn takes_away(&self, hashes: &[u64]) -> bool {
        let above = hashes.split_last().map(|(_, above)| above).unwrap_or_default();
        self.everything
            || hashes.iter().any(|part| self.whiteouts.contains(part))
            || above.iter().any(|part| self.opaque.contains(part))
    }
}

impl Stack {
    fn add(
        &mut self,
        place: usize,
        mut layer: Arc<Layer>,
        names: &[Arc<str>],
        again: &mut ReadLayerAgain<'_>,
    ) -> Result<(), SbomError> {
        let ahead = self.links_under(&layer, |cover, hashes| cover.takes_away(hashes));
        let passes = |path: &str| ahead.resolve(path).as_deref() != Some(path);
        let is_through_links = |target: &String| {
            target.rsplit_once('/').is_some_and(|(directory, _)| passes(directory))
        };
        if !ahead.is_empty()
            && (layer.implied.iter().any(|path| passes(path))
                || layer.hard.values().any(is_through_links))
        {
            // Some of its entries lie elsewhere than they say.
            layer = Arc::new(again(
                place,
                &LayerContext { links: ahead.clone(), ..LayerContext::default() },
            )?);
            self.passed.push(ahead);
        } else {
            self.passed.push(Links::default());
        }
        let links = self.links_under(&layer, |cover, hashes| cover.hides(hashes, true));
        let (linked, lent) = self.hard_links(&layer, names.get(place), again)?;
        let cover = Cover::of(&layer);
        let before: BTreeMap<String, HeldFacts> =
            self.facts.extract_if(.., |_, held| cover.hides(&held.hashes, false)).collect();
        self.links = links;
        for (path, target) in layer.links.iter() {
            self.links.insert(path, target);
        }
        for (path, file) in linked {
            match file {
                HardLinkTarget::Link(target) => self.links.insert(&path, &target),
                HardLinkTarget::File(told, origins) => drop(self.facts.insert(
                    path.clone(),
                    HeldFacts { told: *told, origins, hashes: hashes(&path) },
                )),
            }
        }
        let mut known = Hashes::default();
        self.link_hashes = self
            .links
            .iter()
            .map(|(path, _)| {
                (path.to_owned(), self.link_hashes.remove(path).unwrap_or_else(|| known.of(path)))
            })
            .collect();
        // No other image has the layer as a rule; then nothing is copied.
        let facts = match Arc::get_mut(&mut layer) {
            Some(layer) => std::mem::take(&mut layer.facts),
            None => layer.facts.clone(),
        };
        let mut hashes = Hashes::default();
        for (path, told) in facts {
            // A hard link tells what its file does, and which store path it lies in.
            if layer.hard.contains_key(&path)
                && let Some(held) = self.facts.get_mut(&path)
            {
                held.origins.extend(told.facts.packages.iter().map(|_| place));
                held.told.facts.add(told.facts);
                continue;
            }
            let origins = origins(&told, place, before.get(&path));
            let hashes = hashes.of(&path);
            self.facts.insert(path, HeldFacts { told, origins, hashes });
        }
        self.layers.push(layer);
        self.lent.push(lent);
        Ok(())
    }

    /// The links below a layer without those that it hides.
    fn links_under(&self, layer: &Layer, hides: impl Fn(&Cover<'_>, &[u64]) -> bool) -> Links {
        let cover = Cover::of(layer);
        let mut links = self.links.clone();
        links.retain(|path| self.link_hashes.get(path).is_none_or(|hashes| !hides(&cover, hashes)));
        links
    }

    /// What a layer's hard links to files below are, as those are before the layer is added; and
    /// where the bytes of each are.
    fn hard_links(
        &self,
        layer: &Layer,
        name: Option<&Arc<str>>,
        again: &mut ReadLayerAgain<'_>,
    ) -> Result<FoundHardLinks, SbomError> {
        let (mut found, mut lent) = (Vec::new(), BTreeMap::new());
        let mut asked: BTreeMap<usize, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (path, target) in &layer.hard {
            let (parent, base) = target.rsplit_once('/').unwrap_or(("", target));
            let target = self
                .links
                .resolve(parent)
                .map_or_else(|| target.clone(), |parent| paths::join(&parent, base));
            if let Some(link) = self.links.get(&target) {
                found.push((path.clone(), HardLinkTarget::Link(link.to_owned())));
                continue;
            }
            let Some(owner) = self.owner(&target) else {
                let layer = name.map(ToString::to_string).unwrap_or_default();
                return Err(SbomError::BadLayer {
                    layer,
                    reason: format!("`{path}` is a hard link to `{target}`, which is not there"),
                });
            };
            let (owner, base) = self.bytes_of((owner, target.clone()));
            lent.insert(path.clone(), (owner, base.clone()));
            // What lies where other file systems are mounted is none of the image's, and was not
            // read.
            if is_mounted(path) {
                continue;
            }
            if !are_read_alike(path, &target) || is_mounted(&target) {
                asked.entry(owner).or_default().entry(base).or_default().insert(path.clone());
            } else if let Some(held) = self.facts.get(&target) {
                found.push((
                    path.clone(),
                    HardLinkTarget::File(
                        Box::new(renamed(&held.told, &target, path)),
                        held.origins.clone(),
                    ),
                ));
            }
        }
        for (owner, told_as) in asked {
            let layer = again(owner, &LayerContext { told_as, ..self.context_of(owner) })?;
            for (path, told) in layer.told {
                let origins = vec![owner; told.facts.packages.len()];
                found.push((path, HardLinkTarget::File(Box::new(told), origins)));
            }
        }
        Ok((found, lent))
    }

    /// Where the bytes of a file are that a layer has: a hard link to a file below has none.
    fn bytes_of(&self, mut spot: FileSpot) -> FileSpot {
        // Each step leads to a layer below.
        while let Some(below) = self.lent.get(spot.0).and_then(|lent| lent.get(&spot.1)) {
            spot.clone_from(below);
        }
        spot
    }

    /// For another reading of a layer that is in the stack, with the names it has there.
    fn context_of(&self, place: usize) -> LayerContext {
        LayerContext {
            links: self.passed.get(place).cloned().unwrap_or_default(),
            ..LayerContext::default()
        }
    }

    /// The layer whose file shows at a path.
    fn owner(&self, path: &str) -> Option<usize> {
        let hashes = hashes(path);
        let own = *hashes.last()?;
        for (place, layer) in self.layers.iter().enumerate().rev() {
            if layer.files.contains(own) {
                return Some(place);
            }
            if Cover::of(layer).hides(&hashes, false) {
                return None;
            }
        }
        None
    }

    /// Databases that are looked for under a name through which only a link leads to them.
    fn add_aliases(&mut self, again: &mut ReadLayerAgain<'_>) -> Result<(), SbomError> {
        let mut directly: BTreeMap<usize, LayerContext> = BTreeMap::new();
        let mut ask = |stack: &Self, spot: FileSpot, alias: String| {
            let (owner, base) = stack.bytes_of(spot);
            let context = directly.entry(owner).or_insert_with(|| stack.context_of(owner));
            context.told_as.entry(base).or_default().insert(alias);
        };
        for (path, _) in self.links.iter().filter(|(path, _)| matching_path(path).is_some()) {
            let Some(real) = self.links.resolve(path).filter(|real| matching_path(real).is_none())
            else {
                continue;
            };
            if let Some(owner) = self.owner(&real) {
                ask(self, (owner, real), path.to_owned());
            }
        }
        let unusual = self.unusual_directories();
        for (directory, real) in &unusual {
            let inside = [real, "/"].concat();
            for (place, lent) in self.lent.iter().enumerate() {
                // A hard link has no bytes in the layer that is read again for its directory.
                for path in lent.keys().filter(|path| self.owner(path) == Some(place)) {
                    let name = path.strip_prefix(&inside);
                    let alias = name.map(|name| paths::join(directory, name));
                    if let Some(alias) = alias.filter(|alias| matching_path(alias).is_some()) {
                        ask(self, (place, path.clone()), alias);
                    }
                }
            }
        }
        for (place, context) in directly {
            for (alias, told) in again(place, &context)?.told {
                self.tell(alias, told, place);
            }
        }
        let mut asked: BTreeMap<usize, LayerContext> = BTreeMap::new();
        for (directory, real) in unusual {
            let inside = hash(&real);
            for (place, layer) in self.layers.iter().enumerate() {
                if layer.directories.contains(inside) || layer.implied.contains(&real) {
                    asked
                        .entry(place)
                        .or_insert_with(|| self.context_of(place))
                        .directories
                        .push((real.clone(), directory.to_owned()));
                }
            }
        }
        for (place, context) in asked {
            for (alias, told) in again(place, &context)?.told {
                // Only what shows: the same file in a lower layer may be hidden.
                let real = self.links.resolve(&alias);
                if real.is_some_and(|real| self.owner(&real) == Some(place)) {
                    self.tell(alias, told, place);
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, path: String, told: DatedFacts, place: usize) {
        let origins = vec![place; told.facts.packages.len()];
        let hashes = hashes(&path);
        self.facts.insert(path, HeldFacts { told, origins, hashes });
    }

    /// Directories of databases that links lead to from elsewhere, and where they really are.
    fn unusual_directories(&self) -> Vec<(&'static str, String)> {
        let real = |directory: &'static str| {
            let real = self.links.resolve(directory)?;
            (real != directory && is_unusual(directory, &real)).then_some((directory, real))
        };
        DIRECTORIES.iter().copied().filter_map(real).collect()
    }
}

impl Stack {
    /// Databases that cannot be read without their journals; the layers with either are read again.
    fn add_journals(
        &mut self,
        files: bool,
        again: &mut ReadLayerAgain<'_>,
    ) -> Result<(), SbomError> {
        let of = |(path, held): (&String, &HeldFacts)| {
            Some((path.clone(), held.told.facts.journal_of.clone()?))
        };
        let journals: Vec<(String, String)> = self.facts.iter().filter_map(of).collect();
        for (journal, database) in journals {
            let modified = self.facts.get(&journal).map_or(0, |held| held.told.modified);
            let (bytes, place) = self.bytes(&journal, again)?;
            let pair = Pair { database: self.bytes(&database, again)?.0, journal: bytes };
            let mut collected = CollectedPackages { files, ..CollectedPackages::default() };
            for path in [&journal, &database] {
                let told = self.facts.get(path).map(|held| held.told.facts.clone());
                collected.facts.extend(told.map(|facts| (path.clone(), facts)));
            }
            collected.database(&database, pair)?;
            let before = self.facts.remove(&database);
            self.facts.remove(&journal);
            for (path, facts) in collected.facts {
                let told = DatedFacts { facts, modified };
                let before = before.as_ref().filter(|_| path == database);
                let origins = origins(&told, place, before);
                let hashes = hashes(&path);
                self.facts.insert(path, HeldFacts { told, origins, hashes });
            }
        }
        Ok(())
    }

    /// A file's bytes, and the layer that has it.
    fn bytes(
        &self,
        path: &str,
        again: &mut ReadLayerAgain<'_>,
    ) -> Result<(Option<Vec<u8>>, usize), SbomError> {
        let real = self.links.resolve(path).unwrap_or_default();
        let Some(shows) = self.owner(&real) else { return Ok((None, 0)) };
        let (owner, real) = self.bytes_of((shows, real));
        let context =
            LayerContext { whole: BTreeSet::from([real.clone()]), ..self.context_of(owner) };
        let mut layer = again(owner, &context)?;
        Ok((layer.bytes.remove(&real), shows))
    }
}

/// Whether a path lies below a mount point.
fn is_mounted(path: &str) -> bool {
    NOT_FILES
        .iter()
        .any(|directory| path.strip_prefix(directory).is_some_and(|below| below.starts_with('/')))
}

/// What a hard link leads to.
enum HardLinkTarget {
    Link(String),
    File(Box<DatedFacts>, Vec<usize>),
}

/// Whether files that are looked for in `directory` would be missed in `real`.
fn is_unusual(directory: &str, real: &str) -> bool {
    const NAMES: [&str; 8] = [
        "status",
        "installed",
        "Packages",
        "Packages.db",
        "rpmdb.sqlite",
        "rpmdb.sqlite-wal",
        "any",
        "any.md5sums",
    ];
    NAMES.iter().any(|name| {
        matching_path(&paths::join(directory, name)).is_some()
            && matching_path(&paths::join(real, name)).is_none()
    })
}

/// Which layer brought each package: where the file was already below with that package in it, the
/// one that brought it there.
fn origins(told: &DatedFacts, place: usize, before: Option<&HeldFacts>) -> Vec<usize> {
    type Key<'a> = (&'a str, Option<&'a str>, Option<&'a str>);
    fn key(package: &Package) -> Key<'_> {
        (&package.name, package.version.as_deref(), package.arch.as_deref())
    }
    let known: BTreeMap<Key<'_>, usize> = before
        .into_iter()
        .flat_map(|held| held.told.facts.packages.iter().zip(&held.origins))
        .map(|(found, origin)| (key(&found.package), *origin))
        .collect();
    told.facts
        .packages
        .iter()
        .map(|found| known.get(&key(&found.package)).copied().unwrap_or(place))
        .collect()
}
