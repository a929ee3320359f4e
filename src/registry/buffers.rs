//! Bytes on their way from a task that fetches them to a thread that waits for them, in a few buffers that go round. It never holds more than
//! these, and never lets the reader wait for a full one.
//!
//! What the network gives is copied at once, and large: a piece that is kept until it is read costs fresh memory for the next one, which takes
//! longer than the copy, and each piece that changes hands may wake a thread.

use std::io::{self, Read};

use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

/// How many buffers there are.
const BUFFERS: usize = 4;
/// What one holds at most.
const BUFFER: usize = 1 << 20;

/// The side of the task.
pub(super) struct Filling {
    filled: Sender<io::Result<Vec<u8>>>,
    empty: UnboundedReceiver<Vec<u8>>,
    /// Buffers that were made so far.
    made: usize,
    size: usize,
    buffer: Vec<u8>,
}

/// The side of the thread.
pub(super) struct Filled {
    filled: Receiver<io::Result<Vec<u8>>>,
    empty: UnboundedSender<Vec<u8>>,
    buffer: Vec<u8>,
    /// Bytes of it that were read.
    start: usize,
}

/// Both sides, for this many bytes; more or fewer may come.
pub(super) fn buffers(expected: u64) -> (Filling, Filled) {
    // With a place for an error at the end, so that nothing ever waits to be sent: buffers are waited for instead.
    let (send_filled, filled) = mpsc::channel(BUFFERS + 1);
    let (send_empty, empty) = mpsc::unbounded_channel();
    let size = usize::try_from(expected).unwrap_or(BUFFER).clamp(1, BUFFER);
    let filling = Filling { filled: send_filled, empty, made: 0, size, buffer: Vec::new() };
    (filling, Filled { filled, empty: send_empty, buffer: Vec::new(), start: 0 })
}

impl Filling {
    /// Takes the next bytes; false once nobody reads on.
    pub(super) async fn put(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.buffer.capacity() == 0 {
                match self.next_buffer().await {
                    Some(buffer) => self.buffer = buffer,
                    None => return false,
                }
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.size.saturating_sub(self.buffer.len())));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= self.size && !self.hand_over() {
                return false;
            }
        }
        // Nothing lies there to be read: better little than late.
        self.filled.capacity() < self.filled.max_capacity() || self.hand_over()
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

    /// One that was read, a new one while there are few, or else the next that will have been read.
    async fn next_buffer(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.empty.try_recv() {
            return Some(buffer);
        }
        if self.made < BUFFERS {
            self.made += 1;
            return Some(Vec::with_capacity(self.size));
        }
        self.empty.recv().await
    }
}

impl Read for Filled {
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
