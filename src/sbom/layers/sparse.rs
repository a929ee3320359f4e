//! The map of a sparse file: which of its bytes are stored. It never trusts one whose pieces
//! overlap or do not sum up.

use super::tar::{TarError, malformed};

/// Go's reader takes no more.
const MOST_PIECES: usize = 1 << 20;

/// Which parts of a file are stored; between them are zeros.
#[derive(Debug)]
pub(super) struct Map {
    /// Start and end, ascending.
    pieces: Vec<(u64, u64)>,
    piece: usize,
    at: u64,
    size: u64,
    /// Bytes of the pieces that were not passed yet.
    left: u64,
    has_holes: bool,
}

impl Map {
    pub(super) fn whole(size: u64) -> Self {
        Self { pieces: vec![(0, size)], piece: 0, at: 0, size, left: size, has_holes: false }
    }

    /// From pairs of offset and length; `stored` is what they must sum up to.
    pub(super) fn new(pairs: Vec<(u64, u64)>, size: u64, stored: u64) -> Result<Self, TarError> {
        if pairs.len() > MOST_PIECES {
            return malformed("a sparse file has more pieces than any real one");
        }
        let (mut pieces, mut end, mut sum) = (Vec::with_capacity(pairs.len()), 0, 0_u64);
        for (start, length) in pairs {
            let stop = start.checked_add(length).filter(|stop| start >= end && *stop <= size);
            let Some(stop) = stop else {
                return malformed("a sparse file has pieces that overlap or lie outside of it");
            };
            pieces.push((start, stop));
            (end, sum) = (stop, sum.saturating_add(length));
        }
        if sum != stored {
            return malformed("a sparse file has missing pieces");
        }
        Ok(Self { has_holes: sum != size, pieces, piece: 0, at: 0, size, left: stored })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn has_holes(&self) -> bool {
        self.has_holes
    }

    /// Stored bytes that are still ahead in the stream.
    pub(super) fn rest(&self) -> u64 {
        self.left
    }

    /// How many of the next `most` bytes are alike, and whether they are a hole.
    pub(super) fn next(&mut self, most: usize) -> (usize, bool) {
        while self.pieces.get(self.piece).is_some_and(|(_, end)| *end <= self.at) {
            self.piece += 1;
        }
        let (until, is_hole) = match self.pieces.get(self.piece) {
            Some((start, end)) if *start <= self.at => (*end, false),
            Some((start, _)) => (*start, true),
            None => (self.size, true),
        };
        (most.min(usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX)), is_hole)
    }

    /// Passes bytes that `next` told of.
    pub(super) fn advance(&mut self, bytes: usize) {
        let is_hole = self.next(bytes).1;
        self.at = self.at.saturating_add(bytes as u64);
        if !is_hole {
            self.left = self.left.saturating_sub(bytes as u64);
        }
    }
}
