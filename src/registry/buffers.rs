//! Bytes on their way from a task that fetches them to a thread that waits for them, in a few
//! buffers that go round. It never holds more than these, and never lets the reader wait for a full
//! one.
//!
//! What the network gives is copied at once, and large: a piece that is kept until it is read costs
//! fresh memory for the next one, which takes longer than the copy, and each piece that changes
//! hands may wake a thread.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

/// How many buffers there are.
const BUFFERS: usize = 4;
/// What one holds at most.
const BUFFER: usize = 1 << 20;
const SMALLEST: usize = 64 << 10;
/// More than the HTTP client gives at once; with less room than this a buffer is full.
const LARGEST_PIECE: usize = 512 << 10;

/// The side of the task.
pub(super) struct Filling {
    filled: Sender<io::Result<Vec<u8>>>,
    empty: UnboundedReceiver<Vec<u8>>,
    /// Buffers that were made so far.
    made: usize,
    /// What a buffer holds, and from how much on it is full.
    size: usize,
    full: usize,
    buffer: Vec<u8>,
}

/// The side of the thread.
pub(super) struct FilledBuffers {
    filled: Receiver<io::Result<Vec<u8>>>,
    empty: UnboundedSender<Vec<u8>>,
    buffer: Vec<u8>,
    /// Bytes of it that were read.
    start: usize,
}

/// Both sides, for this many bytes; more or fewer may come.
pub(super) fn buffers(expected: u64) -> (Filling, FilledBuffers) {
    // With a place for an error at the end, so that nothing ever waits to be sent: buffers are
    // waited for instead.
    let (send_filled, filled) = mpsc::channel(BUFFERS + 1);
    let (send_empty, empty) = mpsc::unbounded_channel();
    let size = usize::try_from(expected).unwrap_or(BUFFER).clamp(SMALLEST, BUFFER);
    let full = if size < BUFFER { size } else { BUFFER - LARGEST_PIECE };
    let filling = Filling { filled: send_filled, empty, made: 0, size, full, buffer: Vec::new() };
    (filling, FilledBuffers { filled, empty: send_empty, buffer: Vec::new(), start: 0 })
}

impl Filling {
    /// Takes the next bytes; false once nobody reads on.
    pub(super) async fn put(&mut self, mut bytes: Bytes) -> bool {
        loop {
            if !self.has_buffer().await {
                return false;
            }
            let now = bytes.split_to(bytes.len().min(self.size.saturating_sub(self.buffer.len())));
            self.buffer.extend_from_slice(&now);
            let is_full = self.buffer.len() >= self.full;
            // Where nothing lies to be read, better little than late.
            let is_awaited = self.filled.capacity() == self.filled.max_capacity();
            if (is_full || is_awaited) && !self.hand_over() {
                return false;
            }
            if bytes.is_empty() {
                break;
            }
        }
        // Nothing that was fetched is held while there is no room for more, as its memory is what
        // the next piece comes in.
        drop(bytes);
        self.has_buffer().await
    }

    /// Hands over what is left, and the error that it ends with, if any.
    pub(super) fn end(mut self, error: Option<io::Error>) {
        if self.hand_over()
            && let Some(error) = error
        {
            let _ = self.filled.try_send(Err(error));
        }
    }

    fn hand_over(&mut self) -> bool {
        self.buffer.is_empty() || self.filled.try_send(Ok(std::mem::take(&mut self.buffer))).is_ok()
    }

    /// Gets one that was read, a new one while there are few, or else the next that will have been
    /// read.
    async fn has_buffer(&mut self) -> bool {
        if self.buffer.capacity() > 0 {
            return true;
        }
        let next = match self.empty.try_recv() {
            Ok(buffer) => Some(buffer),
            Err(_) if self.made < BUFFERS => {
                self.made += 1;
                Some(Vec::with_capacity(self.size))
            }
            Err(_) => self.empty.recv().await,
        };
        next.map(|buffer| self.buffer = buffer).is_some()
    }
}

impl Read for FilledBuffers {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        while self.start >= self.buffer.len() {
            // Only where one was handed over; and nobody wants it once all is fetched.
            if self.buffer.capacity() > 0 {
                self.buffer.clear();
                let _ = self.empty.send(std::mem::take(&mut self.buffer));
            }
            self.start = 0;
            match self.filled.blocking_recv() {
                Some(buffer) => self.buffer = buffer?,
                None => return Ok(0),
            }
        }
        let left = self.buffer.get(self.start..).unwrap_or_default();
        let length = bytes.len().min(left.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), left.get(..length)) {
            to.copy_from_slice(from);
        }
        self.start += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length as u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .take(length)
            .collect()
    }

    /// What a reader sees of these pieces, and how it ends.
    async fn read(
        expected: u64,
        pieces: Vec<Bytes>,
        error: Option<io::Error>,
    ) -> (Vec<u8>, Option<String>) {
        let (mut filling, mut filled) = buffers(expected);
        let reading = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            let error = filled.read_to_end(&mut seen).err();
            (seen, error.map(|error| error.to_string()))
        });
        for piece in pieces {
            assert!(filling.put(piece).await);
        }
        filling.end(error);
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order_however_it_is_cut_and_whatever_was_expected() {
        let whole = Bytes::from(bytes(7 * BUFFER + 12_345));
        for most in [16 << 10, 417_792, LARGEST_PIECE + 1, 3 * BUFFER, whole.len()] {
            let pieces: Vec<Bytes> = (0..whole.len())
                .step_by(most)
                .map(|at| whole.slice(at..whole.len().min(at + most)))
                .collect();
            for expected in [0, 1, 1_000_000, whole.len() as u64, u64::MAX] {
                let (seen, error) = read(expected, pieces.clone(), None).await;
                assert!(
                    seen == whole && error.is_none(),
                    "pieces of {most}, {expected} expected: {} came, {error:?}",
                    seen.len()
                );
            }
        }
        assert_eq!(read(0, Vec::new(), None).await, (Vec::new(), None));
    }

    #[tokio::test]
    async fn an_error_comes_after_all_that_came_before_it() {
        let pieces = vec![Bytes::from(bytes(BUFFER)); 6];
        let (seen, error) = read(u64::MAX, pieces.clone(), Some(io::Error::other("broke"))).await;
        assert_eq!((seen, error.as_deref()), (pieces.concat(), Some("broke")));
        assert_eq!(
            read(9, Vec::new(), Some(io::Error::other("refused"))).await,
            (Vec::new(), Some("refused".to_owned()))
        );
    }

    #[tokio::test]
    async fn a_reader_that_waits_gets_what_little_came() {
        let (mut filling, mut filled) = buffers(u64::MAX);
        let reading = tokio::task::spawn_blocking(move || {
            let mut first = [0; 100];
            (filled.read(&mut first).unwrap(), first[0], filled)
        });
        assert!(filling.put(Bytes::from_static(b"x")).await);
        let (read, byte, _filled) =
            tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
        assert_eq!((read, byte), (1, b'x'));
    }

    #[tokio::test]
    async fn no_more_is_taken_than_the_buffers_hold_and_none_once_nobody_reads() {
        let (mut filling, filled) = buffers(u64::MAX);
        let filler = tokio::spawn(async move {
            let mut taken = 0;
            while filling.put(Bytes::from(vec![0; LARGEST_PIECE / 2])).await {
                taken += LARGEST_PIECE / 2;
            }
            taken
        });
        // The test has one thread: when the filler waits, it waits for a buffer.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(!filler.is_finished(), "nobody reads, and yet more was taken");
        drop(filled);
        let taken = tokio::time::timeout(Duration::from_secs(20), filler).await.unwrap().unwrap();
        assert!((BUFFER..=BUFFERS * BUFFER).contains(&taken), "{taken}");
    }
}
