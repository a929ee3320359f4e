//! The start of a file, held until what a function tells of it is known. It holds no more of a file
//! than that function needs.

use super::{FileFacts, PieceScanner};

/// How much is held, how such files begin, and what tells of them.
pub(super) struct StartRule {
    pub(super) largest: usize,
    /// A file that begins otherwise is not held.
    pub(super) begins: &'static [u8],
    /// Of the path and the bytes.
    pub(super) told: fn(&str, &[u8]) -> FileFacts,
}

/// What the start tells is the same under each name.
pub(super) fn are_alike(_: &str, _: &str) -> bool {
    true
}

pub(super) fn scanner(path: &str, how: &'static StartRule) -> Box<dyn PieceScanner> {
    Box::new(FileStart { path: path.to_owned(), bytes: Vec::new(), how })
}

struct FileStart {
    path: String,
    bytes: Vec<u8>,
    how: &'static StartRule,
}

impl PieceScanner for FileStart {
    fn feed(&mut self, piece: &[u8]) {
        let missing = self.how.largest.saturating_sub(self.bytes.len()).min(piece.len());
        self.bytes.extend_from_slice(piece.get(..missing).unwrap_or_default());
    }

    fn is_done(&self) -> bool {
        let begins = self.how.begins;
        self.bytes.len() >= self.how.largest
            || (self.bytes.len() >= begins.len() && !self.bytes.starts_with(begins))
    }

    fn finish(&mut self) -> FileFacts {
        (self.how.told)(&self.path, &self.bytes)
    }
}
