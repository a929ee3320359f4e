//! One package's header as rpm stores it: an index of tags, then their data. It trusts no offset
//! and no count.

use super::{slice, word};

pub(super) const NAME: u32 = 1000;
pub(super) const VERSION: u32 = 1001;
pub(super) const RELEASE: u32 = 1002;
pub(super) const EPOCH: u32 = 1003;
pub(super) const VENDOR: u32 = 1011;
pub(super) const LICENCE: u32 = 1014;
pub(super) const ARCH: u32 = 1022;
pub(super) const SOURCE: u32 = 1044;
pub(super) const PROVIDES: u32 = 1047;
pub(super) const REQUIRES: u32 = 1049;
const DIRECTORY_INDICES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
pub(super) const MODULE: u32 = 5096;

const INT32: u32 = 4;
/// String, array of strings, translated strings: each ends with a null byte.
const STRINGS: [u32; 3] = [6, 8, 9];
const ENTRY: usize = 16;

pub(super) struct RpmHeader<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> RpmHeader<'a> {
    pub(super) fn parse(blob: &'a [u8]) -> Option<Self> {
        let entries = usize::try_from(word(blob, 0, true)?).ok()?.checked_mul(ENTRY)?;
        let size = usize::try_from(word(blob, 4, true)?).ok()?;
        let index = slice(blob, 8, entries)?;
        Some(Self { index, data: slice(blob, 8 + entries, size)? })
    }

    /// Kind, number of values and the data from the first of them on.
    fn find(&self, tag: u32) -> Option<(u32, usize, &'a [u8])> {
        let entry =
            self.index.chunks_exact(ENTRY).find(|entry| word(entry, 0, true) == Some(tag))?;
        let offset = usize::try_from(word(entry, 8, true)?).ok()?;
        Some((
            word(entry, 4, true)?,
            usize::try_from(word(entry, 12, true)?).ok()?,
            self.data.get(offset..)?,
        ))
    }

    pub(super) fn texts(&self, tag: u32) -> impl Iterator<Item = String> + use<'a> {
        let (count, data) = match self.find(tag) {
            Some((kind, count, data)) if STRINGS.contains(&kind) => (count, data),
            _ => (0, [].as_slice()),
        };
        // `count` may be anything, but the data ends.
        let ended =
            data.split_inclusive(|byte| *byte == 0).filter_map(|text| text.strip_suffix(b"\0"));
        ended.take(count).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    pub(super) fn text(&self, tag: u32) -> Option<String> {
        self.texts(tag).next().filter(|text| !text.is_empty() && text != "(none)")
    }

    fn numbers(&self, tag: u32) -> impl Iterator<Item = u32> + use<'a> {
        let (count, data) = match self.find(tag) {
            Some((INT32, count, data)) => (count, data),
            _ => (0, [].as_slice()),
        };
        data.chunks_exact(4).take(count).filter_map(|bytes| word(bytes, 0, true))
    }

    pub(super) fn number(&self, tag: u32) -> Option<u32> {
        self.numbers(tag).next()
    }

    /// The files of the package, without the first `/`.
    pub(super) fn files(&self) -> impl Iterator<Item = String> + use<'a> {
        let directories: Vec<String> = self.texts(DIRECTORY_NAMES).collect();
        self.texts(BASE_NAMES).zip(self.numbers(DIRECTORY_INDICES)).filter_map(
            move |(base, index)| {
                let directory = directories.get(usize::try_from(index).ok()?)?;
                Some(format!("{}{base}", directory.trim_start_matches('/')))
            },
        )
    }
}
