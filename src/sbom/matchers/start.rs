//! The start of a file, held until what a function tells of it is known. It holds no more of a file
//! than that function needs.

use super::{Facts, Scanner};

/// How much is held, how such files begin, and what tells of them.
pub(super) struct Told {
    pub(super) largest: usize,
    /// A file that begins otherwise is not held.
    pub(super) begins: &'static [u8],
    /// Of the path and the bytes.
    pub(super) told: fn(&str, &[u8]) -> Facts,
}

/// What the start tells is the same under each name.
pub(super) fn are_alike(_: &str, _: &str) -> bool {
    true
}

pub(super) fn scanner(path: &str, how: &'static Told) -> Box<dyn Scanner> {
    Box::new(Start { path: path.to_owned(), bytes: Vec::new(), how })
}

struct Start {
    path: String,
    bytes: Vec<u8>,
    how: &'static Told,
}

impl Scanner for Start {
    fn feed(&mut self, piece: &[u8]) {
        let missing = self.how.largest.saturating_sub(self.bytes.len()).min(piece.len());
        self.bytes.extend_from_slice(piece.get(..missing).unwrap_or_default());
    }

    fn is_done(&self) -> bool {
        let begins = self.how.begins;
        self.bytes.len() >= self.how.largest
            || (self.bytes.len() >= begins.len() && !self.bytes.starts_with(begins))
    }

    fn finish(&mut self) -> Facts {
        (self.how.told)(&self.path, &self.bytes)
    }
}
