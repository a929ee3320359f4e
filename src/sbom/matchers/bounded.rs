//! Reading foreign executables within limits. It never forgets that the disk failed, and never
//! holds the whole file.

use std::cell::Cell;
use std::io::{self, SeekFrom};
use std::ops::Range;

use object::read::{ReadCache, ReadCacheOps, ReadRef};

use crate::sbom::source::FileContents;

/// What `parse` makes of the file; errors are those of reading.
pub(super) fn bounded<T>(
    contents: &mut dyn FileContents,
    parse: impl FnOnce(&Bounded<'_>) -> Option<T>,
) -> io::Result<Option<T>> {
    let bounded = Bounded {
        cache: ReadCache::new(WatchedDisk { contents, error: None }),
        spent: Cell::new(0),
        names: Cell::default(),
    };
    let parsed = parse(&bounded);
    match bounded.cache.into_inner().error {
        Some(error) => Err(error),
        None => Ok(parsed),
    }
}

/// Whether the file has so many bytes at `at`.
pub(super) fn read_at(
    contents: &mut dyn FileContents,
    at: u64,
    bytes: &mut [u8],
) -> io::Result<bool> {
    contents.seek(SeekFrom::Start(at))?;
    match contents.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What `object` may read of a foreign file: tables of plausible size, and few of them.
pub(super) struct Bounded<'contents> {
    cache: ReadCache<WatchedDisk<'contents>>,
    spent: Cell<u64>,
    /// From where to where names of sections were read.
    names: Cell<(u64, u64)>,
}

/// Larger tables of names are read name by name.
const LARGEST_NAMES: u64 = 64 << 10;

impl Bounded<'_> {
    /// The rest of a table of names, which are asked for one after another: it is read once, or the
    /// cache has an entry for each.
    fn names(&self, range: &Range<u64>) -> Option<&[u8]> {
        let (mut start, end) = self.names.get();
        if end != range.end || start > range.start {
            start = range.start;
        }
        let size = range.end.checked_sub(start).filter(|size| *size <= LARGEST_NAMES)?;
        let names = (&self.cache).read_bytes_at(start, size).ok()?;
        self.names.set((start, range.end));
        names.get(usize::try_from(range.start - start).ok()?..)
    }
}

impl<'data> ReadRef<'data> for &'data Bounded<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        const MOST: u64 = 32 << 20;
        self.spent.set(self.spent.get().saturating_add(size));
        if self.spent.get() > MOST {
            return Err(());
        }
        (&self.cache).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        match self.names(&range) {
            Some(names) => {
                memchr::memchr(delimiter, names).and_then(|length| names.get(..length)).ok_or(())
            }
            None => (&self.cache).read_bytes_at_until(range, delimiter),
        }
    }
}

/// Keeps the error that `object` forgets: a bad disk must not look like a bad format.
struct WatchedDisk<'contents> {
    contents: &'contents mut dyn FileContents,
    error: Option<io::Error>,
}

impl WatchedDisk<'_> {
    fn watch<T>(&mut self, outcome: io::Result<T>) -> Result<T, ()> {
        outcome.map_err(|error| {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                self.error.get_or_insert(error);
            }
        })
    }
}

impl ReadCacheOps for WatchedDisk<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        let length = self.contents.seek(SeekFrom::End(0));
        self.watch(length)
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        let position = self.contents.seek(SeekFrom::Start(position));
        self.watch(position)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ()> {
        let read = self.contents.read(bytes);
        self.watch(read)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), ()> {
        let read = self.contents.read_exact(bytes);
        self.watch(read)
    }
}
