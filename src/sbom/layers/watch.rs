//! Who sees all that a layer holds while it is read, whatever it is read for. It never changes what
//! others learn of the layer, and what it saw counts only of a layer that is what its digest says.

use super::scan::LayerFailure;
use super::tar::{Forward, Tar, TarKind};
use super::{Blob, LayerReader, LayerReading, SbomError, SpareThreads, each, read_by};

/// Is asked for each layer whether it is to be seen.
pub trait LayerWatch: Send + Sync {
    /// Nothing where the layer is known, or nobody wants to know.
    fn begin(&self, blob: &Blob) -> Option<Box<dyn EntryWatch>>;
}

/// Sees one layer, front to back: each entry, and then its bytes.
pub trait EntryWatch: Send {
    fn entry(&mut self, entry: &WatchedEntry<'_>);
    /// The next of the last entry. A hole of a sparse file is one zero.
    fn bytes(&mut self, piece: &[u8]);
    /// The layer has ended, and is what its digest says.
    fn done(self: Box<Self>);
}

/// What a header says that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedEntry<'a> {
    /// From the root, without `.` and `..`, and with the marks of what is taken away.
    pub path: &'a str,
    pub kind: WatchedKind,
    /// With the bits for setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedKind {
    File,
    Directory,
    /// Links and devices, which hold nothing.
    Other,
}

impl From<TarKind> for WatchedKind {
    fn from(kind: TarKind) -> Self {
        match kind {
            TarKind::File => Self::File,
            TarKind::Directory => Self::Directory,
            TarKind::HardLink | TarKind::SymbolicLink | TarKind::Other => Self::Other,
        }
    }
}

struct WatchedAlone;

impl LayerReader for WatchedAlone {
    type Found = ();

    fn read<R: Forward>(&self, tar: &mut Tar<R>) -> Result<(), LayerFailure> {
        while tar.next()?.is_some() {}
        Ok(())
    }
}

/// Reads layers for who watches alone, each once, to its end. No cache is asked.
pub fn watched(layers: &[Blob], reading: &LayerReading<'_>) -> Result<(), SbomError> {
    let threads = SpareThreads::new(reading.threads.max(1));
    let read = |blob: &Blob| {
        read_by(blob, reading, &threads, &WatchedAlone)?;
        reading.watcher.done(blob, false);
        Ok(())
    };
    each(layers, &threads, &read).map(drop)
}
