//! One file of a stream, held in memory as far as matchers need it. It holds no machine code and no
//! debug data of large executables, never more than is agreed for all threads together, and says so
//! when a byte is asked for that it does not hold.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, elf};

use crate::sbom::exclude::Exclude;
use crate::sbom::source::NotKept;

const CHUNK: usize = 256 << 10;
/// Executables up to this size are held whole.
const SMALL: u64 = 8 << 20;
/// Of a larger one, as much as this is held, besides data and its end.
const MOST: u64 = 40 << 20;
/// Of its writable data, in which Go's build information is.
const MOST_DATA: u64 = 24 << 20;
/// Around the section headers, and behind what gets loaded, are the names of sections.
const MARGIN: u64 = 1 << 20;

/// Memory that threads share for files; who wants more than there is waits, and holds nothing
/// meanwhile.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    taken: Mutex<u64>,
    returned: Condvar,
    spare: Arc<SpareChunks>,
    /// Whether each file's checksum is made.
    pub(super) files: bool,
    /// Files that are not looked at.
    pub(super) exclude: Exclude,
}

/// Chunks that were used before: the kernel takes longer to give a new one than it takes to be
/// filled.
#[derive(Debug, Default)]
pub(super) struct SpareChunks(Mutex<Vec<Vec<u8>>>);

/// More than this is given back.
const MOST_SPARE: usize = 256;

impl SpareChunks {
    pub(super) fn chunk(&self) -> Vec<u8> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| vec![0; CHUNK])
    }

    pub(super) fn give_back(&self, chunk: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(chunk);
        }
    }
}

/// All files together; a larger one is read when no other is held.
const SHARED: u64 = 96 << 20;
/// Files below this are not worth counting.
const COUNTED: u64 = 1 << 20;

impl Ledger {
    pub(super) fn new(files: bool, exclude: Exclude) -> Self {
        Self { files, exclude, ..Self::default() }
    }

    pub(super) fn take(&self, bytes: u64) -> MemoryShare<'_> {
        if bytes < COUNTED {
            return MemoryShare { ledger: self, bytes: 0 };
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > SHARED {
            taken = self.returned.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(bytes);
        MemoryShare { ledger: self, bytes }
    }

    pub(super) fn spare(&self) -> &SpareChunks {
        &self.spare
    }
}

/// Memory that goes back when the value is dropped.
pub(super) struct MemoryShare<'a> {
    ledger: &'a Ledger,
    bytes: u64,
}

impl Drop for MemoryShare<'_> {
    fn drop(&mut self) {
        let mut taken = self.ledger.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
        self.ledger.returned.notify_all();
    }
}

/// A file's bytes, with gaps.
#[derive(Debug)]
pub(super) struct KeptBytes {
    /// Ascending, at most a chunk each.
    pieces: Vec<KeptPiece>,
    size: u64,
    spare: Arc<SpareChunks>,
}

#[derive(Debug)]
struct KeptPiece {
    at: u64,
    /// A whole chunk, of which `length` bytes are the file's.
    chunk: Vec<u8>,
    length: usize,
}

impl KeptPiece {
    fn bytes(&self) -> &[u8] {
        self.chunk.get(..self.length).unwrap_or_default()
    }
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        self.pieces.drain(..).for_each(|piece| self.spare.give_back(piece.chunk));
    }
}

impl KeptBytes {
    /// Holds nothing of a file that has this size.
    pub(super) fn nothing(size: u64, ledger: &Ledger) -> Self {
        Self { pieces: Vec::new(), size, spare: ledger.spare.clone() }
    }

    /// Holds everything; the caller has made sure that it is not too much.
    pub(super) fn whole(reader: &mut dyn Read, size: u64, ledger: &Ledger) -> io::Result<Self> {
        let mut kept = Self::nothing(size, ledger);
        let mut at = 0;
        while at < size {
            let piece = kept.read(reader, at)?;
            at += piece.length as u64;
            kept.pieces.push(piece);
        }
        Ok(kept)
    }

    fn read(&self, reader: &mut dyn Read, at: u64) -> io::Result<KeptPiece> {
        let length = usize::try_from(self.size - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        let mut piece = KeptPiece { at, chunk: self.spare.chunk(), length };
        reader.read_exact(piece.chunk.get_mut(..length).unwrap_or_default())?;
        Ok(piece)
    }

    /// Holds of an executable what may tell of packages, and shows every byte to `each` on the way.
    pub(super) fn executable<'a>(
        reader: &mut dyn Read,
        size: u64,
        ledger: &'a Ledger,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<(Self, MemoryShare<'a>)> {
        let mut kept = Self::nothing(size, ledger);
        let (mut at, mut held, mut held_data) = (0, 0, 0);
        let (mut gaps, mut share) = (Gaps::default(), None);
        while at < size {
            let piece = kept.read(reader, at)?;
            each(piece.bytes());
            if share.is_none() {
                gaps = if size > SMALL { Gaps::of(piece.bytes(), size) } else { Gaps::default() };
                share = Some(ledger.take(size.saturating_sub(gaps.total()).min(MOST + MOST_DATA)));
            }
            let end = at + piece.length as u64;
            let is_last = end > gaps.tail.unwrap_or(size.saturating_sub(MARGIN));
            let (spent, most) =
                if gaps.is_data(at, end) { (&mut held_data, MOST_DATA) } else { (&mut held, MOST) };
            if !gaps.cover(at, end) && (*spent < most || is_last) {
                *spent += piece.length as u64;
                kept.pieces.push(piece);
            } else {
                kept.spare.give_back(piece.chunk);
            }
            at = end;
        }
        Ok((kept, share.unwrap_or_else(|| ledger.take(0))))
    }
}

/// Where nothing is that matchers look at.
#[derive(Debug, Default)]
struct Gaps {
    gaps: Vec<(u64, u64)>,
    /// What programs write to.
    data: Vec<(u64, u64)>,
    /// From here to the end everything is held.
    tail: Option<u64>,
}

impl Gaps {
    fn of(start: &[u8], size: u64) -> Self {
        let found = match start.get(4) {
            Some(1) => Self::of_elf::<elf::FileHeader32<Endianness>>(start, size),
            _ => Self::of_elf::<elf::FileHeader64<Endianness>>(start, size),
        };
        found.unwrap_or_default()
    }

    fn of_elf<Elf: FileHeader<Endian = Endianness>>(start: &[u8], size: u64) -> Option<Self> {
        let header = Elf::parse(start).ok()?;
        let endian = header.endian().ok()?;
        let loaded: Vec<_> = header
            .program_headers(endian, start)
            .ok()?
            .iter()
            .filter(|one| one.p_type(endian) == elf::PT_LOAD)
            .collect();
        let range = |one: &Elf::ProgramHeader| {
            let (offset, length) = one.file_range(endian);
            (offset, offset.saturating_add(length).min(size))
        };
        let flags = |one: &Elf::ProgramHeader| {
            one.p_flags(endian).0 & (elf::PF_R.0 | elf::PF_W.0 | elf::PF_X.0)
        };
        // A linker that makes a segment of constants puts none between the machine code.
        let separates = loaded.iter().any(|one| flags(one) == elf::PF_R.0);
        let code = loaded
            .iter()
            .filter(|one| separates && flags(one) & elf::PF_X.0 != 0)
            .map(|one| range(one));
        let data = loaded
            .iter()
            .filter(|one| flags(one) == elf::PF_R.0 | elf::PF_W.0)
            .map(|one| range(one))
            .collect();
        // The first page has the headers.
        let mut gaps: Vec<(u64, u64)> =
            code.map(|(from, to)| (from.max(CHUNK as u64), to)).collect();
        let end = loaded.iter().map(|one| range(one).1).max()?.saturating_add(MARGIN);
        // Most linkers put the section headers last; Go's puts them first, and their names last.
        let headers: u64 = header.e_shoff(endian).into();
        let last = size.saturating_sub(MARGIN);
        let tail = if headers >= end { headers.saturating_sub(MARGIN).min(last) } else { last };
        let (names, behind) = names_of::<Elf>(header, endian, start).unwrap_or((tail, tail));
        gaps.push((end, names.min(tail)));
        gaps.push((behind.max(end), tail));
        Some(Self { gaps, data, tail: Some(tail) })
    }

    fn cover(&self, from: u64, to: u64) -> bool {
        self.gaps.iter().any(|(start, end)| *start <= from && to <= *end)
    }

    fn is_data(&self, from: u64, to: u64) -> bool {
        self.data.iter().any(|(start, end)| *start < to && from < *end)
    }

    fn total(&self) -> u64 {
        self.gaps.iter().map(|(start, end)| end.saturating_sub(*start)).sum()
    }
}

/// Where the names of sections are, if the headers of sections are at the start.
fn names_of<Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    start: &[u8],
) -> Option<(u64, u64)> {
    let headers = header.section_headers(endian, start).ok()?;
    let names = headers.get(usize::try_from(header.shstrndx(endian, start).ok()?).ok()?)?;
    let (offset, size) = (names.sh_offset(endian).into(), names.sh_size(endian).into());
    Some((offset, u64::checked_add(offset, size)?))
}

/// Reads what is kept, from anywhere.
pub(super) struct KeptReader {
    kept: Arc<KeptBytes>,
    at: u64,
}

impl KeptReader {
    pub(super) fn new(kept: Arc<KeptBytes>) -> Self {
        Self { kept, at: 0 }
    }
}

impl Read for KeptReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() || self.at >= self.kept.size {
            return Ok(0);
        }
        let after = self.kept.pieces.partition_point(|piece| piece.at <= self.at);
        let here = after.checked_sub(1).and_then(|index| self.kept.pieces.get(index));
        let rest = here
            .and_then(|piece| piece.bytes().get(usize::try_from(self.at - piece.at).ok()?..))
            .filter(|rest| !rest.is_empty());
        let Some(rest) = rest else { return Err(io::Error::other(NotKept)) };
        let length = rest.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for KeptReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(distance) => self.kept.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.at.checked_add_signed(distance),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(bytes: &[u8]) -> KeptBytes {
        let ledger = Ledger::default();
        let mut seen = 0;
        let (kept, _share) =
            KeptBytes::executable(&mut &bytes[..], bytes.len() as u64, &ledger, |chunk| {
                seen += chunk.len()
            })
            .unwrap();
        assert_eq!(seen, bytes.len(), "every byte is shown");
        kept
    }

    /// A 64-bit ELF of constants, code, data and debug data, 20 MiB each, whose section headers are
    /// at the end.
    fn large() -> Vec<u8> {
        const PART: u64 = 20 << 20;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[32] = 64;
        file[40..48].copy_from_slice(&(4 * PART).to_le_bytes());
        (file[54], file[56]) = (56, 3);
        for (index, flags) in [(0_u64, 4_u32), (1, 5), (2, 6)] {
            file.extend([1_u32.to_le_bytes(), flags.to_le_bytes()].concat());
            file.extend([index * PART, 0, 0, PART, PART, 0].map(u64::to_le_bytes).concat());
        }
        for part in 0..4 {
            file.resize(usize::try_from(part * PART).unwrap().max(file.len()), 0);
            file.resize(
                usize::try_from((part + 1) * PART).unwrap(),
                u8::try_from(part + 1).unwrap(),
            );
        }
        file.extend([9; 100]);
        file
    }

    #[test]
    fn code_and_debug_data_of_large_executables_are_not_held_and_the_rest_is() {
        let kept = Arc::new(keep(&large()));
        let held: usize = kept.pieces.iter().map(|piece| piece.length).sum();
        assert!(held < 43 << 20, "{held}");
        let byte = |at: u64| {
            let mut reader = KeptReader::new(kept.clone());
            reader.seek(SeekFrom::Start(at)).unwrap();
            let mut byte = [0];
            reader.read_exact(&mut byte).map(|()| byte[0])
        };
        const MIB: u64 = 1 << 20;
        for (at, expected) in
            [(3 * MIB, 1), (50 * MIB, 3), (60 * MIB + 1, 4), (80 * MIB - 1, 4), (80 * MIB + 50, 9)]
        {
            assert_eq!(byte(at).unwrap(), expected, "{at}");
        }
        for at in [30 * MIB, 70 * MIB] {
            assert!(byte(at).unwrap_err().get_ref().unwrap().is::<NotKept>(), "{at}");
        }
        assert_eq!(byte(80 * MIB + 100).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn small_ones_are_held_whole_and_shapeless_ones_up_to_the_limit() {
        assert_eq!(
            keep(&large()[..1 << 20]).pieces.iter().map(|piece| piece.length).sum::<usize>(),
            1 << 20
        );
        let shapeless = [b"MZ".to_vec(), vec![7; 90 << 20]].concat();
        let held = keep(&shapeless).pieces.iter().map(|piece| piece.length as u64).sum::<u64>();
        assert!((MOST..=MOST + 2 * MARGIN).contains(&held), "{held}");
    }

    #[test]
    fn a_file_waits_until_there_is_memory_and_the_largest_still_gets_its_turn() {
        let ledger = Ledger::default();
        let first = ledger.take(SHARED - 1);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(ledger.take(SHARED * 4)));
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap();
        });
    }
}
