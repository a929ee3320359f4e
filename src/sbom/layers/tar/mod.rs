//! Entries of a tar stream, one after another: ustar, GNU and PAX, sparse files too. Where dialects
//! meet in one entry it takes what Go's archive/tar takes, with which containerd, Docker and Podman
//! unpack layers. It never seeks back, and never holds more of an entry than its names.
//!
//! Format: <https://www.gnu.org/software/tar/manual/html_node/Standard.html>, <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>.

use std::io::{self, BufRead, Read};

use self::header::{BLOCK, Block, TarHeader, number, until_zero};
use self::pax::{Pax, piece};
use super::paths;
use super::sparse::Map;
use super::watch::{EntryWatch, WatchedEntry, WatchedKind};

mod header;
mod pax;

/// Of names and PAX records; Go's reader, and so every container runtime, has the same limit.
const MOST_METADATA: u64 = 1 << 20;

/// Why a stream cannot be read on.
#[derive(Debug)]
pub(in crate::sbom) enum TarError {
    Read(io::Error),
    Malformed(String),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

pub(super) fn malformed<T>(what: impl Into<String>) -> Result<T, TarError> {
    Err(TarError::Malformed(what.into()))
}

/// A stream that may know a quicker way forward than reading.
pub(in crate::sbom) trait Forward: BufRead {
    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let here = self.fill_buf()?.len();
            if here == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = here.min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.consume(step);
            bytes -= step as u64;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sbom) enum TarKind {
    File,
    HardLink,
    SymbolicLink,
    Directory,
    /// Devices and pipes, which hold nothing.
    Other,
}

/// What a header, and those that extend it, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sbom) struct TarEntry {
    pub(in crate::sbom) path: Vec<u8>,
    pub(in crate::sbom) kind: TarKind,
    pub(in crate::sbom) link: Vec<u8>,
    /// As a program would see it: with the holes of a sparse file.
    pub(in crate::sbom) size: u64,
    pub(in crate::sbom) is_sparse: bool,
    /// Seconds since 1970.
    pub(in crate::sbom) modified: i64,
    pub(in crate::sbom) mode: u32,
    pub(in crate::sbom) uid: u64,
}

/// A tar stream; reading it gives the current entry's contents.
pub(in crate::sbom) struct Tar<R> {
    reader: R,
    map: Map,
    padding: u64,
    /// Bytes of entries and headers so far.
    at: u64,
    /// Who sees every entry, and all bytes of files, also those that nobody reads.
    watch: Option<Box<dyn EntryWatch>>,
}

/// Names that stand in front of a header, of GNU's kind; they win over PAX's.
#[derive(Default)]
struct LongNames {
    path: Vec<u8>,
    link: Vec<u8>,
}

impl<R: Forward> Tar<R> {
    pub(in crate::sbom) fn new(reader: R) -> Self {
        Self::watched(reader, None)
    }

    pub(in crate::sbom) fn watched(reader: R, watch: Option<Box<dyn EntryWatch>>) -> Self {
        Self { reader, map: Map::whole(0), padding: 0, at: 0, watch }
    }

    /// The next entry; what was not read of the last one is passed over.
    pub(in crate::sbom) fn next(&mut self) -> Result<Option<TarEntry>, TarError> {
        let next = self.next_entry()?;
        if let (Some(entry), Some(watch)) = (&next, &mut self.watch)
            && let Some(path) = paths::clean(&entry.path)?
        {
            let (kind, mode, uid) = (WatchedKind::from(entry.kind), entry.mode, entry.uid);
            watch.entry(&WatchedEntry { path: &path, kind, mode, uid });
        }
        Ok(next)
    }

    fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let (mut records, mut long) = (Vec::new(), LongNames::default());
        loop {
            let Some(block) = self.next_block()? else { return Ok(None) };
            let header = TarHeader::parse(&block)?;
            match header.flag {
                b'L' => long.path = until_zero(&self.metadata(header.size)?).to_vec(),
                b'K' => long.link = until_zero(&self.metadata(header.size)?).to_vec(),
                // What they say matters only of the last of several.
                b'x' => {
                    records = self.metadata(header.size)?;
                    pax::check(&records)?;
                }
                // Of the whole archive, such as the commit it was made from. To runtimes it is an
                // entry, which ends what went before it, and of which they make nothing but room
                // where it would lie.
                b'g' => {
                    let path =
                        Pax::parse(&self.metadata(header.size)?)?.path.unwrap_or(header.path);
                    let modified = header.modified;
                    return Ok(Some(TarEntry {
                        path,
                        kind: TarKind::Other,
                        link: Vec::new(),
                        size: 0,
                        is_sparse: false,
                        modified,
                        mode: header.mode,
                        uid: header.uid,
                    }));
                }
                _ => return self.entry(&block, header, Pax::parse(&records)?, long).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        block: &Block,
        header: TarHeader,
        pax: Pax,
        long: LongNames,
    ) -> Result<TarEntry, TarError> {
        let either = |long: Vec<u8>, pax: Option<Vec<u8>>, own: &[u8]| {
            if long.is_empty() { pax.unwrap_or_else(|| own.to_vec()) } else { long }
        };
        let (mut path, link) =
            (either(long.path, pax.path, &header.path), either(long.link, pax.link, &header.link));
        let kind = match header.flag {
            // Before POSIX, a slash at the end made a directory.
            0 if path.ends_with(b"/") => TarKind::Directory,
            0 | b'0' | b'7' | b'S' => TarKind::File,
            b'1' => TarKind::HardLink,
            b'2' => TarKind::SymbolicLink,
            b'5' => TarKind::Directory,
            b'3' | b'4' | b'6' => TarKind::Other,
            other => {
                return malformed(format!(
                    "it has an entry of the unknown type `{}`",
                    char::from(other).escape_default()
                ));
            }
        };
        // Without the records, too, a size must be possible where there may be contents.
        if kind == TarKind::File || header.flag == 0 {
            size_of(header.size)?;
        }
        // Whatever a header says, all others have no contents.
        let stored =
            if kind == TarKind::File { size_of(pax.size.unwrap_or(header.size))? } else { 0 };
        self.padding = padding(stored);
        self.map = match (header.flag, pax.sparse) {
            (b'S', _) => self.gnu_map(block, &header, stored)?,
            (_, None) => Map::whole(stored),
            (_, Some(_)) if kind != TarKind::File => {
                return malformed("it has a sparse file that is none");
            }
            (_, Some(sparse)) => {
                path = sparse.path.unwrap_or(path);
                let size = sparse.size.map_or(Ok(stored), size_of)?;
                match sparse.pieces {
                    Some(pieces) => Map::new(pieces, size, stored)?,
                    None => self.map_in_contents(size, stored)?,
                }
            }
        };
        let modified = pax.modified.unwrap_or(header.modified);
        Ok(TarEntry {
            path,
            kind,
            link,
            size: self.map.size(),
            is_sparse: self.map.has_holes(),
            modified,
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
        })
    }

    /// The old GNU form: four pairs in the header, and more in blocks behind it.
    fn gnu_map(&mut self, block: &Block, header: &TarHeader, stored: u64) -> Result<Map, TarError> {
        if !header.is_gnu() {
            return malformed("it has a sparse file of a kind that no container runtime unpacks");
        }
        let mut pairs = Vec::new();
        let mut take = |bytes: &[u8]| -> Result<(), TarError> {
            for pair in bytes.chunks_exact(24).take_while(|pair| pair[0] != 0) {
                pairs.push((size_of(number(&pair[..12])?)?, size_of(number(&pair[12..])?)?));
            }
            Ok(())
        };
        let size = size_of(number(&block[483..495])?)?;
        take(&block[386..482])?;
        let mut more = block[482] != 0;
        let mut blocks = 0_u64;
        while more {
            blocks += 1;
            if blocks >= MOST_METADATA / BLOCK as u64 {
                return malformed("a sparse file has more pieces than any real one");
            }
            let block = self.block()?;
            take(&block[..504])?;
            more = block[504] != 0;
        }
        Map::new(pairs, size, stored)
    }

    /// The PAX form 1.0: numbers on lines of their own, as many as the first one says pairs, in
    /// blocks in front of the contents.
    fn map_in_contents(&mut self, size: u64, stored: u64) -> Result<Map, TarError> {
        let (mut text, mut lines) = (Vec::new(), 0);
        self.read_lines(&mut text, &mut lines, 1, stored)?;
        let first = until_line_feed(&text);
        let numbers = piece(first)?.checked_mul(2).and_then(|numbers| numbers.checked_add(1));
        let Some(wanted) = numbers else {
            return malformed("a sparse file has more pieces than any real one");
        };
        self.read_lines(&mut text, &mut lines, wanted, stored)?;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let numbers: Vec<u64> = text
            .split(|byte| *byte == b'\n')
            .take(wanted)
            .skip(1)
            .map(piece)
            .collect::<Result<_, _>>()?;
        let pairs = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        Map::new(pairs, size, stored - text.len() as u64)
    }

    /// Blocks of the contents, until there are so many lines.
    fn read_lines(
        &mut self,
        text: &mut Vec<u8>,
        lines: &mut u64,
        wanted: u64,
        stored: u64,
    ) -> Result<(), TarError> {
        while *lines < wanted {
            if text.len() as u64 + BLOCK as u64 > stored.min(MOST_METADATA) {
                return malformed("a sparse file has no list of its pieces");
            }
            let block = self.block()?;
            *lines += block.iter().filter(|byte| **byte == b'\n').count() as u64;
            text.extend(block);
        }
        Ok(())
    }

    /// The block behind the current entry; nothing at the end, which is two empty blocks, or no
    /// byte more. One may break off in the padding.
    fn next_block(&mut self) -> Result<Option<Block>, TarError> {
        if !self.pass_rest()? || self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let block = self.block()?;
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        if self.reader.fill_buf()?.is_empty() || self.block()?.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        malformed("it continues after an empty block, where some readers stop")
    }

    fn block(&mut self) -> Result<Block, TarError> {
        let mut block = [0; BLOCK];
        self.reader.read_exact(&mut block)?;
        self.at += BLOCK as u64;
        Ok(block)
    }

    fn metadata(&mut self, size: i64) -> Result<Vec<u8>, TarError> {
        let size = size_of(size)?;
        if size > MOST_METADATA {
            return malformed("an entry has a longer name than any file system allows");
        }
        let mut bytes = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(TarError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        self.at += size;
        self.padding = padding(size);
        Ok(bytes)
    }

    /// Whether there was all of it, down to the padding.
    fn pass_rest(&mut self) -> Result<bool, TarError> {
        let rest = self.map.rest();
        match self.watch.take() {
            Some(mut watch) => {
                let shown = self.show_rest(&mut *watch);
                self.watch = Some(watch);
                shown?;
            }
            None => self.reader.skip(rest)?,
        }
        self.at = self.at.saturating_add(rest).saturating_add(self.padding);
        let mut padding = usize::try_from(self.padding).unwrap_or_default();
        (self.map, self.padding) = (Map::whole(0), 0);
        while padding > 0 {
            let here = self.reader.fill_buf()?.len().min(padding);
            if here == 0 {
                return Ok(false);
            }
            self.reader.consume(here);
            padding -= here;
        }
        Ok(true)
    }

    /// What was not read of the current entry.
    fn show_rest(&mut self, watch: &mut dyn EntryWatch) -> io::Result<()> {
        while self.map.rest() > 0 {
            let (length, is_hole) = self.map.next(usize::MAX);
            if is_hole {
                watch.bytes(&[0]);
                self.map.advance(length);
                continue;
            }
            let here = self.reader.fill_buf()?;
            let piece = here.get(..length.min(here.len())).unwrap_or_default();
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            watch.bytes(piece);
            let length = piece.len();
            self.reader.consume(length);
            self.map.advance(length);
        }
        Ok(())
    }

    /// Where the current entry's contents begin, if none were read yet.
    pub(in crate::sbom) fn position(&self) -> u64 {
        self.at
    }

    pub(in crate::sbom) fn into_parts(self) -> (R, Option<Box<dyn EntryWatch>>) {
        (self.reader, self.watch)
    }
}

impl<R: Forward> Read for Tar<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (length, is_hole) = self.map.next(bytes.len());
        let Some(bytes) = bytes.get_mut(..length) else { return Ok(0) };
        if is_hole {
            if let Some(watch) = self.watch.as_mut().filter(|_| length > 0) {
                watch.bytes(&[0]);
            }
            bytes.fill(0);
            self.map.advance(length);
            return Ok(length);
        }
        let read = self.reader.read(bytes)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let (Some(watch), Some(read)) = (&mut self.watch, bytes.get(..read)) {
            watch.bytes(read);
        }
        self.map.advance(read);
        self.at += read as u64;
        Ok(read)
    }
}

fn size_of(number: i64) -> Result<u64, TarError> {
    u64::try_from(number).map_or_else(|_| malformed("a header has a negative size"), Ok)
}

/// What fills the last block.
fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_line_feed(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

#[cfg(test)]
mod go;
#[cfg(test)]
pub(super) mod tests;
