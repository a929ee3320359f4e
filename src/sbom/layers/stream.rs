//! The bytes a layer stands for as a reader, hashed on the way if that is asked for. It never
//! believes a layer; it tells what the bytes were.

use std::io::{self, BufRead, Read};

use sha2::{Digest as _, Sha256};

use super::ahead::Supply;
use super::deflate::Buffer;
use super::inflate::named;
use super::tar::Forward;

pub(super) struct Stream<'scope, 'env, R: Read> {
    supply: Supply<'scope, 'env, R>,
    buffer: Buffer,
    start: usize,
    end: usize,
    /// Of the inflated bytes, where their hash is wanted and is not that of the compressed ones.
    hasher: Option<Sha256>,
}

/// What was read, once it is at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) size: u64,
    pub(super) digest: String,
    pub(super) diff_id: Option<String>,
}

impl<'scope, 'env, R: Read + Send + 'scope> Stream<'scope, 'env, R> {
    pub(super) fn new(supply: Supply<'scope, 'env, R>, is_hashed: bool) -> Self {
        let hasher = (is_hashed && !supply.is_plain()).then(Sha256::new);
        Self { supply, buffer: Buffer::default(), start: 0, end: 0, hasher }
    }

    /// Reads what is left of both, and sums up.
    pub(super) fn finish(mut self) -> io::Result<Sums> {
        loop {
            let left = self.fill_buf()?.len();
            if left == 0 {
                break;
            }
            self.consume(left);
        }
        let is_plain = self.supply.is_plain();
        let (size, digest) = self.supply.drained()?;
        let diff_id = if is_plain { Some(digest.clone()) } else { self.hasher.map(named) };
        Ok(Sums { size, diff_id, digest })
    }

    /// Size and digest of the compressed bytes, however little sense they make inside.
    pub(super) fn drained(self) -> io::Result<(u64, String)> {
        self.supply.drained()
    }
}

impl<'scope, R: Read + Send + 'scope> Read for Stream<'scope, '_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let length = here.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), here.get(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}

impl<'scope, R: Read + Send + 'scope> BufRead for Stream<'scope, '_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.end = self.supply.fill(&mut self.buffer)?;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(self.buffer.filled().get(..self.end).unwrap_or_default());
            }
        }
        Ok(self.buffer.filled().get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }
}

impl<'scope, R: Read + Send + 'scope> Forward for Stream<'scope, '_, R> {}
