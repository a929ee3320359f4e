//! Layers of an image, as a registry or an archive has them, to the facts a root file system would
//! give: each is read once, front to back, several at a time. Nothing is unpacked to disk, and a
//! layer that is not what its digest says gives no SBOM.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::SbomError;
use super::collect::CollectedPackages;
use super::exclude::Exclude;
use ahead::{SpareThreads, Supply};
pub use cache::Cache;
use cache::KnownLayer;
pub(in crate::sbom) use inflate::is_endless;
use inflate::{Inflated, UnreadableLayer};
use kept::Ledger;
use scan::{Layer, LayerContext, LayerFailure};
use stream::Stream;
use tar::{Forward, Tar, TarError};
pub use watch::{EntryWatch, LayerWatch, WatchedEntry, WatchedKind, watched};

mod ahead;
mod cache;
mod deflate;
mod inflate;
mod kept;
mod merge;
mod paths;
mod scan;
mod sparse;
mod stream;
pub(super) mod tar;
#[cfg(test)]
mod tests;
mod watch;

/// A layer as an image names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// Of the compressed bytes, where the image names it; archives of Docker may not.
    pub digest: Option<String>,
    pub size: Option<u64>,
    /// Of the bytes it inflates to.
    pub diff_id: String,
    /// Whether its bytes may lie elsewhere than with the image.
    pub is_foreign: bool,
    /// Whether nobody can read it without a key.
    pub is_encrypted: bool,
}

impl Blob {
    /// How people know it.
    pub fn name(&self) -> &str {
        self.digest.as_deref().unwrap_or(&self.diff_id)
    }
}

/// Where layers are. It is asked from several threads.
pub trait LayerBlobs: Sync {
    /// The compressed bytes from their beginning; they are checked by who reads them.
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>>;
}

/// Is told how it goes on.
pub trait Watcher: Sync {
    /// Compressed bytes that were read.
    fn read(&self, _bytes: u64) {}
    /// A layer is done, or was known.
    fn done(&self, _blob: &Blob, _was_known: bool) {}
    /// What a cache holds of a layer does not count.
    fn distrusted(&self, _blob: &Blob) {}
}

/// Nobody.
pub struct Unwatched;

impl Watcher for Unwatched {}

/// How layers are read.
pub struct LayerReading<'a> {
    pub blobs: &'a dyn LayerBlobs,
    pub threads: usize,
    pub cache: Option<&'a Cache>,
    pub watcher: &'a dyn Watcher,
    /// Who sees the bytes of all layers that are read; what a cache knows is not read.
    pub watch: Option<&'a dyn LayerWatch>,
    /// Whether the files of packages are asked for; then the cache must be one of
    /// [`Cache::with_files`].
    pub files: bool,
    /// Files that are not looked at; then the cache must be one of [`Cache::without`] them.
    pub exclude: Exclude,
    /// Whether every layer must inflate to its diffID. Without this only what the cache keeps must,
    /// and a layer that has no other digest: the digest of the compressed bytes binds the inflated
    /// ones already, and container runtimes check diffIDs once more when they unpack.
    pub diff_ids: bool,
}

impl<'a> LayerReading<'a> {
    /// For the packages of layers alone: nothing is kept, and nobody watches.
    pub fn of(blobs: &'a dyn LayerBlobs, threads: usize) -> Self {
        Self {
            blobs,
            threads,
            cache: None,
            watcher: &Unwatched,
            watch: None,
            files: false,
            exclude: Exclude::default(),
            diff_ids: true,
        }
    }
}

impl LayerReading<'_> {
    fn needs_diff_id(&self, blob: &Blob) -> bool {
        self.diff_ids || self.cache.is_some() || blob.digest.is_none()
    }
}

/// What readers of layers share.
struct SharedReaders {
    ledger: Ledger,
    threads: SpareThreads,
}

/// The facts of each image, whose layers come lowest first; a layer of several images is read once.
pub fn collect(
    images: &[Vec<Blob>],
    reading: &LayerReading<'_>,
) -> Result<Vec<CollectedPackages>, SbomError> {
    let shared = SharedReaders {
        ledger: Ledger::new(reading.files, reading.exclude.clone()),
        threads: SpareThreads::new(reading.threads.max(1)),
    };
    let known = |blob: &Blob| known_or_read(blob, reading, &shared).map(Arc::new);
    let unique: BTreeSet<Blob> = images.iter().flatten().cloned().collect();
    let unique: Vec<Blob> = unique.into_iter().collect();
    let mut layers = each(&unique, &shared.threads, &known)?;
    let mut uses: BTreeMap<&Blob, usize> = BTreeMap::new();
    images.iter().flatten().for_each(|blob| *uses.entry(blob).or_default() += 1);
    // Whoever is the last to use a layer has it alone.
    let mut take = |blob| {
        let left = uses.get_mut(blob)?;
        *left -= 1;
        if *left == 0 { layers.remove(blob) } else { layers.get(blob).cloned() }
    };
    images
        .iter()
        .map(|image| stacked(image, image.iter().filter_map(&mut take).collect(), reading, &shared))
        .collect()
}

fn stacked(
    image: &[Blob],
    stack: Vec<Arc<Layer>>,
    reading: &LayerReading<'_>,
    shared: &SharedReaders,
) -> Result<CollectedPackages, SbomError> {
    let names: Vec<Arc<str>> = image.iter().map(|blob| Arc::from(blob.diff_id.as_str())).collect();
    let mut again = |place: usize, context: &LayerContext| match image.get(place) {
        Some(blob) => read(blob, context, reading, shared),
        None => Ok(Layer::default()),
    };
    let mut collected = merge::merge(stack, &names, reading.files, &mut again)?;
    collected.exclude = reading.exclude.clone();
    Ok(collected)
}

/// What is made of each layer, several at once. The first in the list that fails tells why there is
/// nothing of any.
fn each<'a, T: Send>(
    layers: &'a [Blob],
    threads: &SpareThreads,
    read: &(dyn Fn(&Blob) -> Result<T, SbomError> + Sync),
) -> Result<BTreeMap<&'a Blob, T>, SbomError> {
    let mut waiting: Vec<&Blob> = layers.iter().collect();
    // The largest first, or its thread is the last to end.
    waiting.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let outcomes: Mutex<BTreeMap<usize, Result<T, SbomError>>> = Mutex::default();
    let work = || {
        while let place = next.fetch_add(1, Ordering::Relaxed)
            && let Some(blob) = waiting.get(place)
            && !failed.load(Ordering::Relaxed)
        {
            let outcome = read(blob);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(place, outcome);
        }
        threads.give_back();
    };
    // All at once, so that no layer gets a second thread before each has its first.
    let workers = threads.take(waiting.len());
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    threads.take(1);
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes
        .into_iter()
        .filter_map(|(place, outcome)| Some((*waiting.get(place)?, outcome)))
        .map(|(blob, outcome)| Ok((blob, outcome?)))
        .collect()
}

fn known_or_read(
    blob: &Blob,
    reading: &LayerReading<'_>,
    shared: &SharedReaders,
) -> Result<Layer, SbomError> {
    match reading.cache.map(|cache| cache.get(blob)) {
        Some(KnownLayer::Layer(known)) => {
            reading.watcher.done(blob, true);
            return Ok(*known);
        }
        Some(KnownLayer::Distrusted) => reading.watcher.distrusted(blob),
        Some(KnownLayer::Nothing) | None => {}
    }
    let layer = read(blob, &LayerContext::default(), reading, shared)?;
    if let Some(cache) = reading.cache {
        cache.put(blob, &layer).map_err(|source| SbomError::Cache {
            path: cache.folder().display().to_string(),
            source,
        })?;
    }
    reading.watcher.done(blob, false);
    Ok(layer)
}

/// Reads a layer, and once more where it has names of files before it is known which files they are
/// of.
fn read(
    blob: &Blob,
    context: &LayerContext,
    reading: &LayerReading<'_>,
    shared: &SharedReaders,
) -> Result<Layer, SbomError> {
    let (layer, complete) = read_once(blob, context, reading, shared)?;
    if complete.told_as == context.told_as {
        return Ok(layer);
    }
    read_once(blob, &complete, reading, shared).map(|(layer, _)| layer)
}

fn read_once(
    blob: &Blob,
    context: &LayerContext,
    reading: &LayerReading<'_>,
    shared: &SharedReaders,
) -> Result<(Layer, LayerContext), SbomError> {
    read_by(blob, reading, &shared.threads, &PackageReader { context, ledger: &shared.ledger })
}

/// What is made of a layer's entries.
trait LayerReader {
    type Found;
    fn read<R: Forward>(&self, tar: &mut Tar<R>) -> Result<Self::Found, LayerFailure>;
}

struct PackageReader<'a> {
    context: &'a LayerContext,
    ledger: &'a Ledger,
}

impl LayerReader for PackageReader<'_> {
    type Found = (Layer, LayerContext);

    fn read<R: Forward>(&self, tar: &mut Tar<R>) -> Result<Self::Found, LayerFailure> {
        scan::scan(tar, self.context, self.ledger)
    }
}

/// Opens a layer, has it read, and believes nothing of it that is not what its digest says.
fn read_by<T: LayerReader>(
    blob: &Blob,
    reading: &LayerReading<'_>,
    threads: &SpareThreads,
    reader: &T,
) -> Result<T::Found, SbomError> {
    let name = || blob.name().to_owned();
    let unreadable = |source| SbomError::UnreadableLayer { layer: name(), source };
    let bad = |reason: String| SbomError::BadLayer { layer: name(), reason };
    let opened = reading.blobs.open(blob).map_err(|error| match blob.is_foreign {
        true => bad(format!(
            "is a foreign layer, whose bytes lie where its manifest says and not with the image: {error}"
        )),
        false => unreadable(error),
    })?;
    let inflated =
        Inflated::new(WatchedReader { inner: opened, watcher: reading.watcher }, blob.size)
            .map_err(|error| trouble(TarError::Read(error), &bad, &unreadable))?;
    std::thread::scope(|scope| {
        let supply = Supply::new(inflated, scope, threads);
        let watch = reading.watch.and_then(|watch| watch.begin(blob));
        let mut tar = Tar::watched(Stream::new(supply, reading.needs_diff_id(blob)), watch);
        let outcome = reader.read(&mut tar);
        let (stream, watch) = tar.into_parts();
        match outcome {
            Ok(found) => {
                let sums = stream
                    .finish()
                    .map_err(|error| trouble(TarError::Read(error), &bad, &unreadable))?;
                if let Some(reason) = mismatch(blob, sums.size, &sums.digest) {
                    return Err(bad(reason));
                }
                if let Some(diff_id) = sums.diff_id.filter(|diff_id| *diff_id != blob.diff_id) {
                    return Err(bad(format!(
                        "inflates to other bytes than the image says: `{diff_id}` instead of `{}`",
                        blob.diff_id
                    )));
                }
                if let Some(watch) = watch {
                    watch.done();
                }
                Ok(found)
            }
            Err(failure) => {
                let error = match failure {
                    LayerFailure::Contents(error) => error,
                    LayerFailure::Stream(found) => trouble(found, &bad, &unreadable),
                };
                if matches!(error, SbomError::UnreadableLayer { .. }) {
                    return Err(error);
                }
                // Whatever is wrong inside, that the bytes are others than promised says more.
                let reason =
                    stream.drained().ok().and_then(|(size, digest)| mismatch(blob, size, &digest));
                Err(reason.map_or(error, bad))
            }
        }
    })
}

fn mismatch(blob: &Blob, size: u64, digest: &str) -> Option<String> {
    match (&blob.digest, blob.size) {
        (_, Some(promised)) if promised != size => {
            let told = if size > promised { "more".to_owned() } else { format!("only `{size}`") };
            Some(format!("does not have the `{promised}` bytes that the image says, but {told}"))
        }
        (Some(promised), _) if promised != digest => {
            Some(format!("does not hash to its digest: the bytes read are `{digest}`"))
        }
        _ => None,
    }
}

fn trouble(
    found: TarError,
    bad: &dyn Fn(String) -> SbomError,
    unreadable: &dyn Fn(io::Error) -> SbomError,
) -> SbomError {
    match found {
        TarError::Malformed(reason) => bad(format!("cannot be used: {reason}")),
        TarError::Read(error) => match UnreadableLayer::of(error) {
            Ok(error) => unreadable(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                bad("ends too early".to_owned())
            }
            Err(error) => bad(format!("is damaged: {error}")),
        },
    }
}

struct WatchedReader<'a> {
    inner: Box<dyn Read + Send>,
    watcher: &'a dyn Watcher,
}

impl Read for WatchedReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.watcher.read(read as u64);
        Ok(read)
    }
}
