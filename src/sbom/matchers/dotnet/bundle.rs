//! .NET applications of a single file, by the manifest that is bundled in them. It unpacks nothing
//! else.
//!
//! See <https://github.com/dotnet/designs/blob/main/accepted/2020/single-file/design.md>.

use std::io;
use std::ops::Range;

use memchr::memmem;
use object::read::ReadRef as _;
use object::read::elf::{FileHeader, ProgramHeader as _};
use object::read::pe::{ImageNtHeaders, optional_header_magic};
use object::{Endianness, elf, pe};

use super::super::FileFacts;
use super::super::bounded::{Bounded, bounded, read_at};
use crate::sbom::source::FileContents;

/// The place of the bundle's header stands before this, in the host's writable data.
const MARK: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
    0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];
const LARGEST: u64 = 16 << 20;
/// The host's data is far smaller.
const MOST_DATA: u64 = 16 << 20;

/// Judges a file by its first four bytes.
pub(in crate::sbom::matchers) fn is_executable(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF") || start.starts_with(b"MZ")
}

pub(in crate::sbom::matchers) fn read(
    path: &str,
    contents: &mut dyn FileContents,
) -> io::Result<FileFacts> {
    let mut start = [0; 4];
    if !read_at(contents, 0, &mut start)? {
        return Ok(FileFacts::default());
    }
    // Nothing is behind the sections of other programs.
    let Some(host) = bounded(contents, |data| host(data, start))?.filter(|host| host.is_followed)
    else {
        return Ok(FileFacts::default());
    };
    let Some(header) = header(contents, &host.data)? else { return Ok(FileFacts::default()) };
    let Some((offset, size)) = manifest(contents, header)? else {
        let why = format!(
            "the .NET packages bundled in `{path}` are not listed: its header makes no sense"
        );
        return Ok(FileFacts::warning(why));
    };
    let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
    if !read_at(contents, offset, &mut text)? {
        let why = format!("the .NET packages bundled in `{path}` are not listed: it is cut off");
        return Ok(FileFacts::warning(why));
    }
    let mut facts = super::read(path, &text).unwrap_or_default();
    // Its files are inside.
    facts.owns.clear();
    Ok(facts)
}

/// The program that starts the application.
struct Host {
    data: Vec<Range<u64>>,
    is_followed: bool,
}

fn host(data: &Bounded<'_>, start: [u8; 4]) -> Option<Host> {
    let class = *data.read_bytes_at(4, 1).ok()?.first()?;
    match (start, class) {
        ([0x7f, b'E', b'L', b'F'], 1) => elf_host::<elf::FileHeader32<Endianness>>(data),
        ([0x7f, b'E', b'L', b'F'], _) => elf_host::<elf::FileHeader64<Endianness>>(data),
        _ => match optional_header_magic(data).ok()? {
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => pe_host::<pe::ImageNtHeaders32>(data),
            _ => pe_host::<pe::ImageNtHeaders64>(data),
        },
    }
}

fn elf_host<Elf: FileHeader<Endian = Endianness>>(data: &Bounded<'_>) -> Option<Host> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let table = u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian));
    let mut end = header.e_shoff(endian).into().checked_add(table)?;
    let mut host = Host { data: Vec::new(), is_followed: false };
    for segment in header.program_headers(endian, data).ok()? {
        let (offset, size) = segment.file_range(endian);
        let last = offset.checked_add(size)?;
        end = end.max(last);
        if segment.p_type(endian) == elf::PT_LOAD
            && segment.p_flags(endian).0 & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0
        {
            host.data.push(offset..last);
        }
    }
    host.is_followed = data.len().ok()? > end;
    Some(host)
}

fn pe_host<Pe: ImageNtHeaders>(data: &Bounded<'_>) -> Option<Host> {
    const WRITABLE_DATA: u32 = 0xc000_0040;
    let dos = pe::ImageDosHeader::parse(data).ok()?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (headers, _) = Pe::parse(data, &mut offset).ok()?;
    let mut end = 0;
    let mut host = Host { data: Vec::new(), is_followed: false };
    for section in headers.sections(data, offset).ok()?.iter() {
        let (start, size) = section.pe_file_range();
        let (start, last) = (u64::from(start), u64::from(start) + u64::from(size));
        end = end.max(last);
        let flags = section.characteristics.get(object::LittleEndian).0;
        if flags & WRITABLE_DATA == WRITABLE_DATA {
            host.data.push(start..last);
        }
    }
    host.is_followed = data.len().ok()? > end;
    Some(host)
}

/// Where the bundle's header is.
fn header(contents: &mut dyn FileContents, data: &[Range<u64>]) -> io::Result<Option<u64>> {
    const WINDOW: u64 = 64 << 10;
    const OVERLAP: u64 = 64;
    let mut spent = 0;
    for range in data {
        let mut at = range.start;
        while at < range.end && spent < MOST_DATA {
            let length = (range.end - at).min(WINDOW + OVERLAP);
            let mut window = vec![0; usize::try_from(length).unwrap_or_default()];
            if !read_at(contents, at, &mut window)? {
                break;
            }
            if let Some(place) = memmem::find(&window, &MARK).and_then(|it| it.checked_sub(8)) {
                let bytes = window.get(place..place + 8).unwrap_or_default();
                let offset = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                // Nothing is bundled with a host as it is shipped.
                return Ok(Some(offset).filter(|offset| *offset != 0));
            }
            (at, spent) = (at + WINDOW, spent + WINDOW);
        }
    }
    Ok(None)
}

/// Offset and size of the `deps.json`: the header has them behind its version, the number of files
/// and an identifier.
fn manifest(contents: &mut dyn FileContents, at: u64) -> io::Result<Option<(u64, u64)>> {
    let mut header = [0; 12];
    if !read_at(contents, at, &mut header)? {
        return Ok(None);
    }
    let major = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let mut length = [0];
    // The identifier is short, so that one byte holds its length.
    if !(2..=20).contains(&major) || !read_at(contents, at.saturating_add(12), &mut length)? {
        return Ok(None);
    }
    let mut place = [0; 16];
    let after = at.saturating_add(13 + u64::from(length[0]));
    if length[0] > 127 || !read_at(contents, after, &mut place)? {
        return Ok(None);
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (offset, size) = (number(&place[..8]), number(&place[8..]));
    Ok((offset != 0 && size <= LARGEST).then_some((offset, size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEPS: &str = r#"{"targets":{"t":{"A/1.0.0":{"runtime":{"A.dll":{}}},"Own/1.0.0":{"runtime":{"Own.dll":{}}}}},"libraries":{"A/1.0.0":{"type":"package"},"Own/1.0.0":{"type":"project"}}}"#;

    /// A 64-bit ELF host with one writable segment, and a bundle behind it.
    fn application(major: u32, deps: &str) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.resize(32, 0);
        file.extend(64_u64.to_le_bytes());
        file.resize(54, 0);
        file.extend([56, 0, 1, 0]);
        file.resize(64, 0);
        file.extend([1, 0, 0, 0, 6, 0, 0, 0]);
        for number in [120_u64, 120, 120, 80, 80, 8] {
            file.extend(number.to_le_bytes());
        }
        file.extend([0; 40]);
        file[152..160].fill(0);
        let mark = 120 + 8;
        file.resize(mark, 0);
        file.extend(MARK);
        file.resize(200, 0);
        file.extend(b"assembly");
        let at = file.len() as u64;
        file.extend(deps.as_bytes());
        let header = file.len() as u64;
        file.extend(major.to_le_bytes());
        file.extend([0, 0, 0, 0, 2, 0, 0, 0, 3]);
        file.extend(b"abc");
        file.extend(at.to_le_bytes());
        file.extend((deps.len() as u64).to_le_bytes());
        file[mark - 8..mark].copy_from_slice(&header.to_le_bytes());
        file
    }

    fn facts(file: &[u8]) -> FileFacts {
        read("bin/app", &mut io::Cursor::new(file)).unwrap()
    }

    #[test]
    fn the_manifest_in_an_application_tells_its_packages() {
        let told = facts(&application(6, DEPS));
        let names: Vec<&str> =
            told.packages.iter().map(|found| found.package.name.as_str()).collect();
        assert_eq!((names, told.owns.len()), (vec!["A"], 0));
    }

    #[test]
    fn what_is_no_bundle_tells_nothing_and_a_broken_one_is_told_of() {
        let mut plain = application(6, DEPS);
        plain[120..128].fill(0);
        assert_eq!(facts(&plain), FileFacts::default());
        let mut other = application(6, DEPS);
        other[130] ^= 1;
        assert_eq!(facts(&other), FileFacts::default());
        assert_eq!(facts(&application(99, DEPS)).warnings.len(), 1);
        assert_eq!(facts(&application(6, "{")).warnings.len(), 1);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(changes in proptest::collection::vec((0_usize..500, any::<u8>()), 0..9), end in 0_usize..600) {
            let mut file = application(6, DEPS);
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(end.max(4));
            let _facts = facts(&file);
        }
    }
}
