//! What was found in each layer, by whoever read it. It keeps no bytes, and nothing of a layer that
//! is not what its digest says.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sbom::layers::{Blob, EntryWatch, LayerWatch, WatchedEntry, WatchedKind};
use crate::secrets::detector::Detector;
use crate::secrets::excuses;
use crate::secrets::leak::{Confidence, Leak};
use crate::secrets::weakness::{LayerEntry, LayerEntryKind, Weakness, of_entry};

/// Kept of one layer, of each confidence; the others are counted.
const MOST_LEAKS: usize = 5_000;
const MOST_WEAKNESSES: usize = 5_000;
const MARK: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What one layer holds, whatever lies above and below.
#[derive(Debug, Default)]
pub(super) struct LayerLeaks {
    pub(super) leaks: Vec<Leak>,
    pub(super) left_out: u64,
    pub(super) weaknesses: Vec<Weakness>,
    /// Hashes of the paths of its entries, ascending.
    entries: Vec<u64>,
    /// Likewise of what it takes away.
    removed: Vec<u64>,
    /// Likewise of directories of which it shows nothing from below.
    opaque: Vec<u64>,
}

impl LayerLeaks {
    /// Whether a file of a lower layer is not what a container sees.
    pub(super) fn hides(&self, path: &str) -> bool {
        let has = |list: &[u64], path: &str| list.binary_search(&hash(path)).is_ok();
        let above = || path.match_indices('/').filter_map(|(slash, _)| path.get(..slash));
        has(&self.entries, path)
            || has(&self.removed, path)
            || above().any(|folder| has(&self.removed, folder) || has(&self.opaque, folder))
    }
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

type KnownLayers = Arc<Mutex<BTreeMap<String, Arc<LayerLeaks>>>>;

/// The layers of a run that were searched, by their names.
#[derive(Debug, Default)]
pub struct SearchedLayers {
    known: KnownLayers,
    /// Images that share layers are searched one after another.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl SearchedLayers {
    pub(super) fn of(&self, layer: &Blob) -> Option<Arc<LayerLeaks>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(layer.name()).cloned()
    }
}

impl LayerWatch for SearchedLayers {
    fn begin(&self, layer: &Blob) -> Option<Box<dyn EntryWatch>> {
        self.of(layer).is_none().then(|| {
            Box::new(LayerSeeker {
                layer: layer.name().to_owned(),
                known: self.known.clone(),
                found: LayerLeaks::default(),
                counts: [0; 2],
                file: None,
            }) as Box<dyn EntryWatch>
        })
    }
}

/// Looks for secrets in one layer.
struct LayerSeeker {
    layer: String,
    known: KnownLayers,
    found: LayerLeaks,
    counts: [usize; 2],
    /// The file that is being read, by its path.
    file: Option<(String, Detector)>,
}

impl LayerSeeker {
    fn end_file(&mut self) {
        let Some((path, detector)) = self.file.take() else { return };
        let found = detector.finish();
        self.found.left_out += found.left_out;
        if found.leaks.is_empty() {
            return;
        }
        let excuse = excuses::excuse(&path, None);
        for leak in found.leaks {
            let leak = leak.excused(excuse.clone());
            // So that those which are only told never take the place of those which refuse.
            let kind = usize::from(leak.confidence == Confidence::Verifiable);
            match self.counts.get_mut(kind) {
                Some(count) if *count < MOST_LEAKS => {
                    *count += 1;
                    self.found.leaks.push(leak);
                }
                _ => self.found.left_out += 1,
            }
        }
    }
}

impl EntryWatch for LayerSeeker {
    fn entry(&mut self, entry: &WatchedEntry<'_>) {
        self.end_file();
        let (parent, name) = entry.path.rsplit_once('/').unwrap_or(("", entry.path));
        if name == OPAQUE {
            return self.found.opaque.push(hash(parent));
        }
        if let Some(hidden) = name.strip_prefix(MARK) {
            let slash = if parent.is_empty() { "" } else { "/" };
            return self.found.removed.push(hash(&format!("{parent}{slash}{hidden}")));
        }
        // What is here for itself hides what lies below; of a directory it hides the mode.
        self.found.entries.push(hash(entry.path));
        let kind = match entry.kind {
            WatchedKind::File => LayerEntryKind::File,
            WatchedKind::Directory => LayerEntryKind::Directory,
            WatchedKind::Other => LayerEntryKind::Other,
        };
        let weak = LayerEntry { path: entry.path, mode: entry.mode, uid: entry.uid, kind };
        if self.found.weaknesses.len() < MOST_WEAKNESSES {
            self.found.weaknesses.extend(of_entry(&weak));
        }
        if entry.kind == WatchedKind::File {
            self.file = Some((entry.path.to_owned(), Detector::new(entry.path)));
        }
    }

    fn bytes(&mut self, piece: &[u8]) {
        if let Some((_, detector)) = &mut self.file {
            detector.feed(piece);
        }
    }

    fn done(mut self: Box<Self>) {
        self.end_file();
        let Self { layer, known, mut found, .. } = *self;
        for hashes in [&mut found.entries, &mut found.removed, &mut found.opaque] {
            hashes.sort_unstable();
        }
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, Arc::new(found));
    }
}
