//! Compressed bytes as bits, lowest first. It never reads on before what it has is used up, and
//! never takes bits that are not there for data: behind the end come zeros, and that they were used
//! is told.

use std::io::{self, Read};

use super::INPUT;
use super::codes::CodeEntry;

/// Bytes that are there for one look, unless fewer are left.
const AHEAD: usize = 64;
/// Bytes that bits may be of which are not used yet.
const KEPT: usize = 8;
pub(super) const WHOLE: usize = INPUT + AHEAD;

/// Bits that were taken out of the bytes. Those above `count` are the next ones as well, as far as
/// there are any.
#[derive(Clone, Copy)]
pub(super) struct BitBuffer {
    pub(super) bits: u64,
    /// Only the lowest six bits count.
    count: u64,
    /// The byte that comes behind `count` bits.
    pub(super) at: usize,
}

impl BitBuffer {
    /// At least 56 bits afterwards, without a branch: whole bytes that were there already are read
    /// again.
    #[inline(always)]
    pub(super) fn refill(&mut self, bytes: &[u8; WHOLE]) {
        let word = match bytes.get(self.at..) {
            Some(bytes) => bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)),
            None => 0,
        };
        self.bits |= word << (self.count & 63);
        self.at += (!self.count >> 3) as usize & 7;
        self.count |= 56;
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, entry: CodeEntry) {
        self.bits >>= entry & 63;
        self.count = self.count.wrapping_sub(u64::from(entry));
    }

    fn whole_bytes(self) -> usize {
        (self.count as usize & 63) / 8
    }
}

pub(super) struct BitSource<R> {
    reader: R,
    bytes: Box<[u8; WHOLE]>,
    pub(super) taken: BitBuffer,
    end: usize,
    is_at_end: bool,
}

impl<R: Read> BitSource<R> {
    /// `start` was read already; what does not fit is never left out, so it must be [`INPUT`] bytes
    /// at most.
    pub(super) fn new(start: &[u8], reader: R) -> Self {
        let mut bytes = Box::new([0; WHOLE]);
        for (to, from) in bytes.iter_mut().zip(start) {
            *to = *from;
        }
        Self {
            reader,
            bytes,
            taken: BitBuffer { bits: 0, count: 0, at: 0 },
            end: start.len().min(WHOLE),
            is_at_end: false,
        }
    }

    pub(super) fn reader(&self) -> &R {
        &self.reader
    }

    pub(super) fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// Enough to look at, unless it is the last.
    pub(super) fn look_ahead(&mut self) -> io::Result<()> {
        if self.is_at_end || self.taken.at + AHEAD <= self.end {
            return Ok(());
        }
        let from = self.taken.at.saturating_sub(KEPT);
        self.bytes.copy_within(from..self.end, 0);
        self.taken.at -= from;
        self.end -= from;
        while self.taken.at + AHEAD > self.end {
            let read = self.reader.read(self.bytes.get_mut(self.end..INPUT).unwrap_or_default())?;
            if read == 0 {
                self.is_at_end = true;
                self.bytes.get_mut(self.end..).unwrap_or_default().fill(0);
                break;
            }
            self.end += read;
        }
        Ok(())
    }

    /// What bits are of, and how far one may go on to take them without a look ahead; of the last,
    /// one at a time.
    pub(super) fn window(&self) -> (&[u8; WHOLE], usize) {
        let most = self.end.saturating_sub(AHEAD / 4);
        (&self.bytes, if self.is_at_end { most.max(self.taken.at) } else { most })
    }

    /// Whether more was used than there was.
    pub(super) fn is_overrun(&self) -> bool {
        self.taken.at > self.end + self.taken.whole_bytes()
    }

    /// Whether nothing is left; only between bytes.
    pub(super) fn is_empty(&mut self) -> io::Result<bool> {
        self.look_ahead()?;
        Ok(self.is_at_end && self.taken.at >= self.end)
    }

    /// As a number; 32 at most.
    pub(super) fn take(&mut self, bits: u32) -> io::Result<u32> {
        self.look_ahead()?;
        self.taken.refill(&self.bytes);
        let number = self.taken.bits & !(u64::MAX << bits);
        self.taken.skip(bits);
        if self.is_overrun() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(number as u32) }
    }

    /// The next 56 bits, of which none are taken.
    pub(super) fn look(&mut self) -> io::Result<u64> {
        self.look_ahead()?;
        self.taken.refill(&self.bytes);
        Ok(self.taken.bits)
    }

    /// Leaves out the bits up to the next byte.
    pub(super) fn align(&mut self) {
        self.taken = BitBuffer {
            bits: 0,
            count: 0,
            at: self.taken.at.saturating_sub(self.taken.whole_bytes()),
        };
    }

    /// Whole bytes, as many as there are and fit; only between bytes.
    pub(super) fn copy(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.look_ahead()?;
        let here = self.bytes.get(self.taken.at..self.end).unwrap_or_default();
        let length = here.len().min(to.len());
        for (to, from) in to.iter_mut().zip(here) {
            *to = *from;
        }
        self.taken.at += length;
        Ok(length)
    }
}
