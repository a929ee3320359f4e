//! Inflates a layer some buffers ahead of who reads it, in a thread of its own as soon as one is
//! free. It never takes more threads than there are, and gives the same bytes and the same errors
//! as without one.
//!
//! To inflate takes longer than all else, so the other thread hashes for both.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use sha2::{Digest as _, Sha256};

use super::deflate::{Buffer, Damage};
use super::inflate::{Inflated, named};

/// Buffers that go round between both threads; enough that none waits while the other is at a large
/// file.
const BUFFERS: usize = 32;

/// How many threads may still start. A layer takes one to be read, and a second one where no other
/// layer waits for it.
#[derive(Debug)]
pub(super) struct SpareThreads(AtomicUsize);

impl SpareThreads {
    pub(super) fn new(free: usize) -> Self {
        Self(AtomicUsize::new(free))
    }

    /// As many as are free, up to `most`.
    pub(super) fn take(&self, most: usize) -> usize {
        let taken = |free: usize| Some(free.saturating_sub(most));
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .map_or(0, |free| free.min(most))
    }

    pub(super) fn give_back(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where inflated bytes come from: here at first, and from another thread once there is one.
pub(super) struct Supply<'scope, 'env, R: Read> {
    scope: &'scope Scope<'scope, 'env>,
    threads: &'env SpareThreads,
    side: AheadSide<'scope, R>,
    is_plain: bool,
    was_asked: bool,
}

enum AheadSide<'scope, R: Read> {
    Here(Inflated<R>),
    Ahead(Ahead<'scope>),
    /// Only on the way from one to the other.
    Between,
}

struct Ahead<'scope> {
    pieces: Receiver<AheadPiece>,
    empty: Sender<Buffer>,
    /// Of the compressed bytes.
    hasher: Sha256,
    hashed: Sender<Vec<u8>>,
    has_failed: bool,
    /// Ends with the size of the compressed bytes.
    worker: ScopedJoinHandle<'scope, io::Result<u64>>,
}

/// What the other thread has for this one, in the order in which it was read.
enum AheadPiece {
    Compressed(Vec<u8>),
    Inflated(io::Result<(Buffer, usize)>),
}

impl<'scope, 'env, R: Read + Send + 'scope> Supply<'scope, 'env, R> {
    pub(super) fn new(
        inflated: Inflated<R>,
        scope: &'scope Scope<'scope, 'env>,
        threads: &'env SpareThreads,
    ) -> Self {
        Self {
            scope,
            threads,
            is_plain: inflated.is_plain(),
            side: AheadSide::Here(inflated),
            was_asked: false,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Fills the buffer with what comes next, or puts another one in its place; nothing at the end.
    pub(super) fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        // A layer of one buffer is not worth a thread.
        if matches!(self.side, AheadSide::Here(_)) && self.was_asked && self.threads.take(1) == 1 {
            self.side = match std::mem::replace(&mut self.side, AheadSide::Between) {
                AheadSide::Here(inflated) => {
                    AheadSide::Ahead(Ahead::start(inflated, self.scope, self.threads))
                }
                other => other,
            };
        }
        self.was_asked = true;
        match &mut self.side {
            AheadSide::Here(inflated) => inflated.fill(buffer),
            AheadSide::Ahead(ahead) => ahead.fill(buffer),
            AheadSide::Between => Ok(0),
        }
    }

    /// Size and digest of the compressed bytes, however little sense they make inside.
    pub(super) fn drained(self) -> io::Result<(u64, String)> {
        match self.side {
            AheadSide::Here(inflated) => {
                inflated.drained().map(|(size, hasher)| (size, named(hasher.unwrap_or_default())))
            }
            AheadSide::Ahead(ahead) => ahead.drained(),
            AheadSide::Between => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<'scope> Ahead<'scope> {
    fn start<'env, R: Read + Send + 'scope>(
        mut inflated: Inflated<R>,
        scope: &'scope Scope<'scope, 'env>,
        threads: &'env SpareThreads,
    ) -> Self {
        let (empty, to_fill) = channel::<Buffer>();
        let (hashed, to_copy) = channel::<Vec<u8>>();
        // One for both, so that neither waits for what the other cannot send. Its bound holds back
        // compressed bytes; the others are bounded by their number.
        let (filled, pieces) = sync_channel(2 * BUFFERS);
        for _ in 1..BUFFERS {
            let _ = empty.send(Buffer::default());
        }
        let compressed = filled.clone();
        let hasher = inflated.hashed_by(Box::new(move |bytes| {
            let mut copy = to_copy.try_recv().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(bytes);
            // Nobody is there once nobody wants to know.
            let _ = compressed.send(AheadPiece::Compressed(copy));
        }));
        let worker = scope.spawn(move || {
            let size = inflate(inflated, &to_fill, &filled);
            threads.give_back();
            size
        });
        Self { pieces, empty, hasher, hashed, has_failed: false, worker }
    }

    fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        // Fails only when the other side is at its end, and then there is nothing to fill.
        let _ = self.empty.send(std::mem::take(buffer));
        loop {
            match self.pieces.recv() {
                Ok(AheadPiece::Compressed(bytes)) => {
                    self.hasher.update(&bytes);
                    let _ = self.hashed.send(bytes);
                }
                Ok(AheadPiece::Inflated(outcome)) => {
                    self.has_failed = outcome.is_err();
                    let (next, length) = outcome?;
                    *buffer = next;
                    return Ok(length);
                }
                // An error is no end, however often one asks.
                Err(_) => return if self.has_failed { Err(Damage::Before.into()) } else { Ok(0) },
            }
        }
    }

    fn drained(self) -> io::Result<(u64, String)> {
        let Self { pieces, empty, mut hasher, hashed, worker, .. } = self;
        drop(empty);
        for piece in pieces {
            if let AheadPiece::Compressed(bytes) = piece {
                hasher.update(&bytes);
                let _ = hashed.send(bytes);
            }
        }
        let size = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((size, named(hasher)))
    }
}

/// Until the end, the first error, or nobody reads on; then to the end of the compressed bytes.
fn inflate<R: Read>(
    mut inflated: Inflated<R>,
    to_fill: &Receiver<Buffer>,
    filled: &SyncSender<AheadPiece>,
) -> io::Result<u64> {
    while let Ok(mut buffer) = to_fill.recv() {
        let outcome = inflated.fill(&mut buffer);
        let goes_on = matches!(outcome, Ok(1..));
        let sent = filled.send(AheadPiece::Inflated(outcome.map(|length| (buffer, length))));
        if sent.is_err() || !goes_on {
            break;
        }
    }
    inflated.drained().map(|(size, _)| size)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::sbom::layers::stream::Stream;

    /// Everything a reader sees of a layer: how far it came, how it ended, and what the bytes were.
    fn seen(
        layer: impl Read + Send,
        threads: usize,
        most: u64,
    ) -> (u64, Result<(), String>, (u64, String)) {
        let threads = SpareThreads::new(threads);
        std::thread::scope(|scope| {
            let mut stream = Stream::new(
                Supply::new(Inflated::new(layer, None).unwrap(), scope, &threads),
                true,
            );
            let mut bytes = Vec::new();
            let outcome = (&mut stream)
                .take(most)
                .read_to_end(&mut bytes)
                .map(drop)
                .map_err(|error| error.to_string());
            assert!(outcome.is_ok() || stream.fill_buf().is_err(), "an error is no end");
            (bytes.len() as u64, outcome, stream.drained().unwrap())
        })
    }

    /// Is interrupted before every read.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(bytes) }
        }
    }

    #[test]
    fn a_thread_of_its_own_changes_neither_bytes_nor_errors_and_is_given_back() {
        let text: Vec<u8> = (0..3_000_000_u32)
            .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 20).to_le_bytes())
            .collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        let whole = encoder.finish().unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2..whole.len() / 2 + 64].fill(0xff);
        for (layer, most, is_read) in [
            (&whole[..], u64::MAX, true),
            (&whole[..], 1 << 20, true),
            (&whole[..whole.len() - 9], u64::MAX, false),
            (&damaged[..], u64::MAX, false),
        ] {
            let alone = seen(layer, 0, most);
            assert_eq!(alone.1.is_ok(), is_read, "{:?}", alone.1);
            assert_eq!(alone.2.0, layer.len() as u64);
            assert_eq!(seen(layer, 1, most), alone);
            assert_eq!(
                [0, 1].map(|threads| seen(Interrupted(layer, false), threads, most)),
                [alone.clone(), alone]
            );
        }
        let threads = SpareThreads::new(2);
        let sums = std::thread::scope(|scope| {
            let stream = Stream::new(
                Supply::new(Inflated::new(&whole[..], None).unwrap(), scope, &threads),
                true,
            );
            stream.finish().unwrap()
        });
        assert_eq!(sums.size, whole.len() as u64);
        assert_eq!(threads.take(3), 2);
    }
}
