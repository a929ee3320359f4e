//! Entries of a tar stream, one after another: ustar, GNU and PAX, sparse files too. It never seeks back, and never holds more of an entry
//! than its names.
//!
//! Format: <https://www.gnu.org/software/tar/manual/html_node/Standard.html>, <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>.

use std::io::{self, BufRead, Read};

use super::sparse::{Map, Pax};

const BLOCK: usize = 512;
/// Of names and PAX records; Go's reader, and so every container runtime, has the same limit.
const MOST_METADATA: u64 = 1 << 20;

/// Why a stream cannot be read on.
#[derive(Debug)]
pub(in crate::sbom) enum Trouble {
    Read(io::Error),
    Malformed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

pub(super) fn malformed<T>(what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Malformed(what.into()))
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
pub(in crate::sbom) enum Kind {
    File,
    HardLink,
    SymbolicLink,
    Directory,
    /// Devices and pipes, which hold nothing.
    Other,
}

/// What a header, and those that extend it, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sbom) struct Entry {
    pub(in crate::sbom) path: Vec<u8>,
    pub(in crate::sbom) kind: Kind,
    pub(in crate::sbom) link: Vec<u8>,
    /// As a program would see it: with the holes of a sparse file.
    pub(in crate::sbom) size: u64,
    pub(in crate::sbom) is_sparse: bool,
    /// Seconds since 1970.
    pub(in crate::sbom) modified: i64,
}

/// A tar stream; reading it gives the current entry's contents.
pub(in crate::sbom) struct Tar<R> {
    reader: R,
    map: Map,
    padding: u64,
    /// Bytes of entries and headers so far.
    at: u64,
}

type Header = [u8; BLOCK];

impl<R: Forward> Tar<R> {
    pub(in crate::sbom) fn new(reader: R) -> Self {
        Self { reader, map: Map::whole(0), padding: 0, at: 0 }
    }

    /// The next entry; what was not read of the last one is passed over.
    pub(in crate::sbom) fn next(&mut self) -> Result<Option<Entry>, Trouble> {
        self.pass_rest()?;
        let mut pax = Pax::default();
        let (mut long_path, mut long_link) = (None, None);
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header[124..136])?;
            match header[156] {
                b'L' => long_path = Some(until_zero(&self.metadata(size)?).to_vec()),
                b'K' => long_link = Some(until_zero(&self.metadata(size)?).to_vec()),
                b'x' => pax = Pax::parse(&self.metadata(size)?)?,
                // Of the whole archive, such as the commit it was made from.
                b'g' => drop(self.metadata(size)?),
                flag => return self.entry(&header, flag, size, pax, long_path, long_link).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        flag: u8,
        size: u64,
        pax: Pax,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, Trouble> {
        let path = pax.path.clone().or(long_path).unwrap_or_else(|| path_of(header));
        let kind = match flag {
            // Before POSIX, a slash at the end made a directory.
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymbolicLink,
            b'5' => Kind::Directory,
            b'3' | b'4' | b'6' => Kind::Other,
            other => return malformed(format!("it has an entry of the unknown type `{}`", char::from(other).escape_default())),
        };
        // Whatever a header says, these have no contents.
        let stored = if kind == Kind::File { pax.size.unwrap_or(size) } else { 0 };
        self.padding = stored.next_multiple_of_block()? - stored;
        self.map = if flag == b'S' {
            self.gnu_map(header, stored)?
        } else if kind == Kind::File && pax.is_sparse() {
            self.pax_map(&pax, stored)?
        } else {
            Map::whole(stored)
        };
        let modified = match pax.modified {
            Some(modified) => modified,
            None => signed(&header[136..148])?,
        };
        let link = pax.link.or(long_link).unwrap_or_else(|| until_zero(&header[157..257]).to_vec());
        Ok(Entry { path, kind, link, size: self.map.size(), is_sparse: self.map.has_holes(), modified })
    }

    /// The old GNU form: four pairs in the header, and more in blocks behind it.
    fn gnu_map(&mut self, header: &Header, stored: u64) -> Result<Map, Trouble> {
        let mut pairs = Vec::new();
        let mut take = |bytes: &[u8]| -> Result<(), Trouble> {
            for pair in bytes.chunks_exact(24).filter(|pair| pair[0] != 0) {
                pairs.push((number(&pair[..12])?, number(&pair[12..])?));
            }
            Ok(())
        };
        take(&header[386..482])?;
        let mut more = header[482] != 0;
        let mut blocks = 0_u64;
        while more {
            blocks += 1;
            if blocks > MOST_METADATA / BLOCK as u64 {
                return malformed("a sparse file has more pieces than any real one");
            }
            let block = self.block()?;
            take(&block[..504])?;
            more = block[504] != 0;
        }
        Map::new(pairs, number(&header[483..495])?, stored)
    }

    /// The PAX forms: 0.0 and 0.1 in the records, 1.0 as text in front of the contents.
    fn pax_map(&mut self, pax: &Pax, stored: u64) -> Result<Map, Trouble> {
        if !pax.has_map_in_contents() {
            return Map::new(pax.pairs.clone(), pax.real_size.unwrap_or(stored), stored);
        }
        let (mut numbers, mut line, mut spent) = (Vec::new(), Vec::new(), 0_u64);
        while numbers.first().is_none_or(|count: &u64| (numbers.len() as u64) < count.saturating_mul(2).saturating_add(1)) {
            spent += BLOCK as u64;
            if spent > stored.min(MOST_METADATA) {
                return malformed("a sparse file has no list of its pieces");
            }
            for byte in self.block()? {
                match byte {
                    b'\n' => {
                        let text = std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok());
                        match text {
                            Some(value) => numbers.push(value),
                            // What follows the last number fills the block.
                            None if line.is_empty() || line[0] == 0 => {}
                            None => return malformed("a sparse file has a list of pieces that cannot be read"),
                        }
                        line.clear();
                    }
                    byte => line.push(byte),
                }
            }
        }
        let wanted = numbers.first().map_or(0, |count| usize::try_from(*count).unwrap_or(usize::MAX));
        let pairs = numbers.get(1..).unwrap_or_default().chunks_exact(2).take(wanted).map(|pair| (pair[0], pair[1])).collect();
        Map::new(pairs, pax.real_size.unwrap_or(stored), stored - spent)
    }

    /// The next header, its checksum checked; nothing at the end.
    fn header(&mut self) -> Result<Option<Header>, Trouble> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let header = self.block()?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let told = number(&header[148..156]).unwrap_or(u64::MAX);
        let told = i64::try_from(told);
        if told != Ok(sum(&header, i32::from)) && told != Ok(sum(&header, |byte| i32::from(byte.cast_signed()))) {
            return malformed("it is no tar archive, or is damaged: a header does not sum up");
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> Result<Header, Trouble> {
        let mut block = [0; BLOCK];
        self.reader.read_exact(&mut block)?;
        self.at += BLOCK as u64;
        Ok(block)
    }

    fn metadata(&mut self, size: u64) -> Result<Vec<u8>, Trouble> {
        if size > MOST_METADATA {
            return malformed("an entry has a longer name than any file system allows");
        }
        let mut bytes = Vec::new();
        let padded = size.next_multiple_of_block()?;
        (&mut self.reader).take(padded).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != padded {
            return Err(Trouble::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        self.at += padded;
        bytes.truncate(usize::try_from(size).unwrap_or_default());
        Ok(bytes)
    }

    fn pass_rest(&mut self) -> Result<(), Trouble> {
        let rest = self.map.rest().saturating_add(self.padding);
        self.reader.skip(rest)?;
        self.at = self.at.saturating_add(rest);
        (self.map, self.padding) = (Map::whole(0), 0);
        Ok(())
    }

    /// Where the current entry's contents begin, if none were read yet.
    pub(in crate::sbom) fn position(&self) -> u64 {
        self.at
    }

    pub(in crate::sbom) fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: Forward> Read for Tar<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (length, is_hole) = self.map.next(bytes.len());
        let Some(bytes) = bytes.get_mut(..length) else { return Ok(0) };
        if is_hole {
            bytes.fill(0);
            self.map.advance(length);
            return Ok(length);
        }
        let read = self.reader.read(bytes)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.map.advance(read);
        self.at += read as u64;
        Ok(read)
    }
}

trait Blocks: Sized {
    fn next_multiple_of_block(self) -> Result<Self, Trouble>;
}

impl Blocks for u64 {
    fn next_multiple_of_block(self) -> Result<Self, Trouble> {
        self.checked_next_multiple_of(BLOCK as Self).map_or_else(|| malformed("an entry has an impossible size"), Ok)
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn path_of(header: &Header) -> Vec<u8> {
    let name = until_zero(&header[..100]);
    // GNU's older magic has times where POSIX has the beginning of the path.
    let prefix = if header[257..].starts_with(b"ustar\0") { until_zero(&header[345..500]) } else { &[] };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// Of all bytes, those of the sum itself taken for spaces.
fn sum(header: &Header, number: impl Fn(u8) -> i32) -> i64 {
    let of = |bytes: &[u8]| bytes.iter().map(|byte| number(*byte)).sum::<i32>();
    i64::from(of(header) - of(&header[148..156]) + of(&[b' '; 8]))
}

/// Octal digits, or base 256 where the first bit is set.
fn number(field: &[u8]) -> Result<u64, Trouble> {
    u64::try_from(signed(field)?).map_or_else(|_| malformed("a header has a negative size"), Ok)
}

fn signed(field: &[u8]) -> Result<i64, Trouble> {
    let impossible = || Trouble::Malformed("a header has a number that cannot be read".to_owned());
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        let negative = first & 0x40 != 0;
        let start = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
        let value = rest.iter().try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(i128::from(*byte)));
        return value.and_then(|value| i64::try_from(value).ok()).ok_or_else(impossible);
    }
    let text = std::str::from_utf8(until_zero(field)).map_err(|_| impossible())?.trim();
    if text.is_empty() {
        return Ok(0);
    }
    i64::from_str_radix(text, 8).map_err(|_| impossible())
}

#[cfg(test)]
pub(super) mod tests;
