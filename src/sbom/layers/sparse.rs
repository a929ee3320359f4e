//! What extends a tar header: PAX records, and the map of a sparse file. It never trusts a map whose pieces overlap or do not sum up.

use super::tar::{Trouble, malformed};

/// More pieces than any file has that somebody packed.
const MOST_PIECES: usize = 100_000;

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
    pub(super) fn new(pairs: Vec<(u64, u64)>, size: u64, stored: u64) -> Result<Self, Trouble> {
        if pairs.len() > MOST_PIECES {
            return malformed("a sparse file has more pieces than any real one");
        }
        let (mut pieces, mut end, mut sum) = (Vec::with_capacity(pairs.len()), 0, 0_u64);
        for (start, length) in pairs {
            let stop = start.checked_add(length).filter(|stop| start >= end && *stop <= size);
            let Some(stop) = stop else { return malformed("a sparse file has pieces that overlap or lie outside of it") };
            pieces.push((start, stop));
            (end, sum) = (stop, sum.saturating_add(length));
        }
        if sum != stored {
            return malformed("a sparse file has pieces that are not all there");
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

/// The records that matter here.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<i64>,
    pub(super) real_size: Option<u64>,
    pub(super) pairs: Vec<(u64, u64)>,
    /// GNU's version of sparse files, by its major number.
    major: Option<u64>,
    has_pairs: bool,
}

impl Pax {
    /// Records are `length key=value` and a line feed each.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, Trouble> {
        let mut pax = Self::default();
        let (mut sparse_name, mut offset) = (None, None);
        while !bytes.is_empty() {
            let Some((key, value, rest)) = record(bytes) else { return malformed("it has PAX records that cannot be read") };
            bytes = rest;
            let number = || {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                number.ok_or_else(|| Trouble::Malformed("it has a PAX record whose number cannot be read".to_owned()))
            };
            match key {
                // As everywhere, an empty value takes a record back.
                b"path" => pax.path = Some(value.to_vec()).filter(|value| !value.is_empty()),
                b"linkpath" => pax.link = Some(value.to_vec()).filter(|value| !value.is_empty()),
                b"size" if !value.is_empty() => pax.size = Some(number()?),
                b"mtime" if !value.is_empty() => pax.modified = Some(seconds(value)?),
                b"GNU.sparse.major" => pax.major = Some(number()?),
                b"GNU.sparse.name" => sparse_name = Some(value.to_vec()),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => pax.real_size = Some(number()?),
                b"GNU.sparse.offset" => offset = Some(number()?),
                b"GNU.sparse.numbytes" => {
                    pax.pairs.push((offset.take().unwrap_or_default(), number()?));
                    pax.has_pairs = true;
                }
                b"GNU.sparse.map" => {
                    pax.pairs = pairs(value)?;
                    pax.has_pairs = true;
                }
                _ => {}
            }
        }
        pax.path = sparse_name.or(pax.path);
        Ok(pax)
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.has_pairs || self.has_map_in_contents() || (self.real_size.is_some() && self.major.is_some())
    }

    pub(super) fn has_map_in_contents(&self) -> bool {
        self.major == Some(1)
    }
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..blank)?).ok()?.parse().ok()?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((record.get(..equals)?, record.get(equals + 1..)?, bytes.get(length..)?))
}

/// Whole seconds of `1700000000.25`, rounded down.
fn seconds(value: &[u8]) -> Result<i64, Trouble> {
    let read = || {
        let text = std::str::from_utf8(value).ok()?;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        let is_before = whole.starts_with('-') && part.bytes().any(|digit| digit != b'0');
        Some(if is_before { seconds.saturating_sub(1) } else { seconds })
    };
    read().map_or_else(|| malformed("it has a PAX record whose time cannot be read"), Ok)
}

fn pairs(value: &[u8]) -> Result<Vec<(u64, u64)>, Trouble> {
    let text = String::from_utf8_lossy(value);
    let numbers: Option<Vec<u64>> = text.split(',').filter(|part| !part.is_empty()).map(|part| part.trim().parse().ok()).collect();
    match numbers {
        Some(numbers) if numbers.len().is_multiple_of(2) => Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()),
        _ => malformed("a sparse file has a list of pieces that cannot be read"),
    }
}
