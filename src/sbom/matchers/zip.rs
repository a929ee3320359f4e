//! The members of a zip archive that are asked for. It never holds the whole directory, and never
//! inflates beyond a limit.

use std::io::{self, Read as _, SeekFrom};

use super::bounded::read_at;
use crate::sbom::source::FileContents;

/// A member as the directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZipMember {
    pub(crate) name: String,
    pub(crate) place: MemberPlace,
}

/// Where a member's bytes are, and what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberPlace {
    method: u16,
    checksum: u32,
    compressed: u64,
    size: u64,
    header: u64,
}

impl MemberPlace {
    /// Where its header begins, and a place that its bytes reach at least.
    pub(crate) fn extent(&self) -> (u64, u64) {
        (self.header, self.header.saturating_add(HEADER as u64).saturating_add(self.compressed))
    }
}

/// Why an archive cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    NoArchive,
    Damaged,
    TooLarge,
    Unknown,
}

impl Problem {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::NoArchive => "it is not a zip archive",
            Self::Damaged => "it is damaged",
            Self::TooLarge => "it is too large",
            Self::Unknown => "it is compressed in a way that is not known here",
        }
    }
}

pub(crate) type ZipOutcome<T> = io::Result<Result<T, Problem>>;

/// No archive of programs has a larger directory.
const MOST_DIRECTORY: u64 = 256 << 20;
const END: u64 = 22;
const ENTRY: usize = 46;
const HEADER: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Where the directory is, and what must be added to every offset because something precedes the
/// archive.
struct Directory {
    start: u64,
    size: u64,
    shift: u64,
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes
        .get(at..at + length)
        .unwrap_or_default()
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The members whose names are wanted, in the directory's order, at most `most` of them.
pub(crate) fn members(
    contents: &mut dyn FileContents,
    most: usize,
    wanted: &dyn Fn(&str) -> bool,
) -> ZipOutcome<Vec<ZipMember>> {
    let Some(directory) = directory(contents)? else { return Ok(Err(Problem::NoArchive)) };
    if directory.size > MOST_DIRECTORY {
        return Ok(Err(Problem::TooLarge));
    }
    contents.seek(SeekFrom::Start(directory.start))?;
    let mut entries = io::BufReader::new(contents.take(directory.size));
    let mut found = Vec::new();
    loop {
        let mut entry = [0; ENTRY];
        match entries.read_exact(&mut entry) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            outcome => outcome?,
        }
        if !entry.starts_with(b"PK\x01\x02") {
            break;
        }
        let lengths =
            [28, 30, 32].map(|at| usize::try_from(number(&entry, at, 2)).unwrap_or_default());
        let mut rest = vec![0; lengths.iter().sum()];
        match entries.read_exact(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Err(Problem::Damaged));
            }
            outcome => outcome?,
        }
        let (name, rest) = rest.split_at(lengths[0]);
        let name = String::from_utf8_lossy(name).into_owned();
        if wanted(&name) {
            if found.len() == most {
                return Ok(Err(Problem::TooLarge));
            }
            let (size, compressed, header) =
                places(&entry, rest.get(..lengths[1]).unwrap_or_default());
            let place = MemberPlace {
                method: number(&entry, 10, 2) as u16,
                checksum: number(&entry, 16, 4) as u32,
                compressed,
                size,
                header: header.saturating_add(directory.shift),
            };
            found.push(ZipMember { name, place });
        }
    }
    Ok(Ok(found))
}

/// Size, compressed size and offset of the header; what does not fit in 32 bits is in a zip64 field.
fn places(entry: &[u8], mut extra: &[u8]) -> (u64, u64, u64) {
    const FULL: u64 = 0xffff_ffff;
    let (mut size, mut compressed, mut header) =
        (number(entry, 24, 4), number(entry, 20, 4), number(entry, 42, 4));
    while extra.len() >= 4 {
        let (kind, length) =
            (number(extra, 0, 2), usize::try_from(number(extra, 2, 2)).unwrap_or_default());
        if kind == 1 {
            let mut at = 4;
            for value in [&mut size, &mut compressed, &mut header] {
                if *value == FULL {
                    *value = number(extra, at, 8);
                    at += 8;
                }
            }
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    (size, compressed, header)
}

fn directory(contents: &mut dyn FileContents) -> io::Result<Option<Directory>> {
    const LONGEST_COMMENT: u64 = 0xffff;
    let length = contents.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(END + LONGEST_COMMENT);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
    if !read_at(contents, start, &mut tail)? {
        return Ok(None);
    }
    let last = tail.len().checked_sub(END as usize);
    let Some(at) =
        last.and_then(|last| (0..=last).rev().find(|at| tail[*at..].starts_with(b"PK\x05\x06")))
    else {
        return Ok(None);
    };
    let (end, mut place) = (&tail[at..], start + at as u64);
    let (mut size, mut offset) = (number(end, 12, 4), number(end, 16, 4));
    let mut locator = [0; 20];
    let mut wide = [0; 56];
    if place >= 20
        && read_at(contents, place - 20, &mut locator)?
        && locator.starts_with(b"PK\x06\x07")
        && read_at(contents, number(&locator, 8, 8), &mut wide)?
        && wide.starts_with(b"PK\x06\x06")
    {
        (size, offset, place) =
            (number(&wide, 40, 8), number(&wide, 48, 8), number(&locator, 8, 8));
    }
    // The directory ends where the end record starts, so a shell script in front of the archive
    // shows as a distance.
    let Some(start) = place.checked_sub(size) else { return Ok(None) };
    Ok(start.checked_sub(offset).map(|shift| Directory { start, size, shift }))
}

/// Where a member's own bytes begin.
fn data(contents: &mut dyn FileContents, place: &MemberPlace) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !read_at(contents, place.header, &mut header)? || !header.starts_with(b"PK\x03\x04") {
        return Ok(None);
    }
    let names = number(&header, 26, 2) + number(&header, 28, 2);
    Ok(Some(place.header.saturating_add(HEADER as u64 + names)))
}

/// A member's bytes, if there are no more than `most`.
pub(super) fn bytes(
    contents: &mut dyn FileContents,
    member: &ZipMember,
    most: u64,
) -> ZipOutcome<Vec<u8>> {
    let Some(data) = data(contents, &member.place)? else { return Ok(Err(Problem::Damaged)) };
    contents.seek(SeekFrom::Start(data))?;
    let compressed = contents.take(member.place.compressed);
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there is more.
    let outcome = match member.place.method {
        STORED => {
            io::BufReader::new(compressed).take(most.saturating_add(1)).read_to_end(&mut bytes)
        }
        DEFLATED => flate2::read::DeflateDecoder::new(compressed)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes),
        _ => return Ok(Err(Problem::Unknown)),
    };
    match outcome {
        Ok(_) if bytes.len() as u64 > most => Ok(Err(Problem::TooLarge)),
        Ok(_) => Ok(Ok(bytes)),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Ok(Err(Problem::Damaged)),
            _ => Err(error),
        },
    }
}

/// Reads many small members whole, each held against its checksum.
#[derive(Default)]
pub(crate) struct Unpacker {
    compressed: Vec<u8>,
    state: Option<flate2::Decompress>,
}

impl Unpacker {
    /// A member's bytes, which must be as many as the directory says, and at most `most`.
    pub(crate) fn unpack(
        &mut self,
        contents: &mut dyn FileContents,
        place: &MemberPlace,
        most: u64,
    ) -> ZipOutcome<Vec<u8>> {
        if place.size > most || place.compressed > most {
            return Ok(Err(Problem::TooLarge));
        }
        let Some(data) = data(contents, place)? else { return Ok(Err(Problem::Damaged)) };
        let length = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        self.compressed.resize(length(place.compressed), 0);
        if !read_at(contents, data, &mut self.compressed)? {
            return Ok(Err(Problem::Damaged));
        }
        let bytes = match place.method {
            STORED => std::mem::take(&mut self.compressed),
            DEFLATED => {
                let state = self.state.get_or_insert_with(|| flate2::Decompress::new(false));
                state.reset(false);
                let mut bytes = Vec::with_capacity(length(place.size));
                // The whole room is there, so one call reaches the end or there is none.
                let finish = flate2::FlushDecompress::Finish;
                let outcome = state.decompress_vec(&self.compressed, &mut bytes, finish);
                // Of an empty member nothing is written, and there may be no room to say so.
                if !matches!(outcome, Ok(flate2::Status::StreamEnd)) && place.size > 0 {
                    return Ok(Err(Problem::Damaged));
                }
                bytes
            }
            _ => return Ok(Err(Problem::Unknown)),
        };
        let is_whole =
            bytes.len() as u64 == place.size && crc32fast::hash(&bytes) == place.checksum;
        Ok(if is_whole { Ok(bytes) } else { Err(Problem::Damaged) })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write as _};

    /// An archive of these members, deflated except for those that are archives.
    pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut directory = Vec::new();
        for (name, bytes) in members {
            let stored = name.ends_with(".jar");
            let data = if stored { bytes.to_vec() } else { deflated(bytes) };
            let mut common = vec![20, 0, 0, 0, if stored { 0 } else { 8 }, 0];
            common.extend([0; 4]);
            common.extend(crc32fast::hash(bytes).to_le_bytes());
            common.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            common.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 12]);
            directory.splice(directory.len().., u32::try_from(file.len()).unwrap().to_le_bytes());
            directory.extend(name.as_bytes());
            file.extend(b"PK\x03\x04");
            file.extend(&common);
            file.extend([0; 2]);
            file.extend(name.as_bytes());
            file.extend(data);
        }
        let start = u32::try_from(file.len()).unwrap();
        file.extend(&directory);
        file.extend(b"PK\x05\x06");
        file.extend([0; 8]);
        file.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0; 2]);
        file
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn wanted_members_are_read_even_behind_a_script() {
        let mut file = b"#!/bin/sh\nexec java -jar $0\n".to_vec();
        file.extend(archive(&[("a", b"alpha"), ("b", b"beta"), ("c.jar", b"inner")]));
        let mut file = Cursor::new(file);
        let found = members(&mut file, 9, &|name| name != "a").unwrap().unwrap();
        assert_eq!(
            found.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(),
            ["b", "c.jar"]
        );
        assert_eq!(bytes(&mut file, &found[0], 9).unwrap(), Ok(b"beta".to_vec()));
        assert_eq!(bytes(&mut file, &found[1], 9).unwrap(), Ok(b"inner".to_vec()));
        assert_eq!(bytes(&mut file, &found[0], 3).unwrap(), Err(Problem::TooLarge));
        assert_eq!(members(&mut file, 1, &|_| true).unwrap(), Err(Problem::TooLarge));
    }

    #[test]
    fn a_member_is_unpacked_whole_or_not_at_all() {
        let file = archive(&[("a", &b"alpha".repeat(99)), ("b.jar", b"stored"), ("c", b"")]);
        let mut unpacker = Unpacker::default();
        let mut all = |bytes: &[u8], most| {
            let mut file = Cursor::new(bytes);
            let found = members(&mut file, 9, &|_| true).unwrap().unwrap();
            let each = found.iter().map(|member| {
                unpacker.unpack(&mut file, &member.place, most).unwrap().map(|bytes| bytes.len())
            });
            each.collect::<Vec<_>>()
        };
        assert_eq!(all(&file, 495), [Ok(495), Ok(6), Ok(0)]);
        assert_eq!(all(&file, 494), [Err(Problem::TooLarge), Ok(6), Ok(0)]);
        // A byte of the first member, one of the second, and a directory that says other sizes.
        let of_stored = file.windows(6).position(|bytes| bytes == b"stored").unwrap();
        for (place, damaged) in [(33, 0), (of_stored, 1)] {
            let mut file = file.clone();
            file[place] ^= 0x55;
            assert_eq!(all(&file, 999)[damaged], Err(Problem::Damaged), "{place}");
        }
        let entry = file.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        for size in [494_u32, 496] {
            let mut file = file.clone();
            file[entry + 24..entry + 28].copy_from_slice(&size.to_le_bytes());
            assert_eq!(all(&file, 999)[0], Err(Problem::Damaged), "{size}");
        }
    }

    #[test]
    fn what_is_no_archive_is_told() {
        for text in [b"".as_slice(), b"PK", b"PK\x05\x06", &[0; 70_000]] {
            assert_eq!(
                members(&mut Cursor::new(text), 9, &|_| true).unwrap(),
                Err(Problem::NoArchive)
            );
        }
    }

    proptest! {
        #[test]
        fn no_archive_makes_it_panic(changes in proptest::collection::vec((0_usize..260, any::<u8>()), 0..4), end in 0_usize..300) {
            let mut file = archive(&[("a", b"alpha"), ("META-INF/MANIFEST.MF", b"beta"), ("c.jar", b"inner")]);
            for (place, value) in changes {
                if let Some(byte) = file.get_mut(place) {
                    *byte = value;
                }
            }
            file.truncate(end.max(100));
            let mut file = Cursor::new(file);
            for member in members(&mut file, 9, &|_| true).unwrap().unwrap_or_default() {
                let _bytes = bytes(&mut file, &member, 100).unwrap();
                let _bytes = Unpacker::default().unpack(&mut file, &member.place, 100).unwrap();
            }
        }
    }
}
