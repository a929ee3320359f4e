//! The Go build information inside an ELF, PE or Mach-O file. It reads the few places that matter,
//! never the whole file.

use std::io::{self, Read as _, SeekFrom};

use memchr::memmem;

use super::layout::ExecutableLayout;
use crate::sbom::matchers::bounded::read_at;
use crate::sbom::source::FileContents;

/// See Go's debug/buildinfo: the magic, pointer size, flags, then either two pointers or, from byte
/// 32 on, two strings.
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const HEADER: usize = 32;

/// What the linker wrote: the compiler's version, and lines about modules and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildInfo {
    pub(super) version: String,
    pub(super) modules: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BuildInfoSearch {
    Absent,
    /// It is a Go executable, but what it says makes no sense.
    Broken(&'static str),
    Present(BuildInfo),
}

/// Errors are those of reading; a malformed executable is one without build information.
pub(super) fn build_info(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
) -> io::Result<BuildInfoSearch> {
    for marked in &layout.marked {
        if let Some(info) = decode(contents, layout, marked.start)? {
            return Ok(BuildInfoSearch::Present(info));
        }
    }
    if !layout.marked.is_empty() {
        return Ok(BuildInfoSearch::Broken(
            "the section for build information has none that can be read",
        ));
    }
    scan(contents, layout)
}

/// Looks for the magic in the data, window by window.
fn scan(contents: &mut dyn FileContents, layout: &ExecutableLayout) -> io::Result<BuildInfoSearch> {
    // Data that is stored, not zeroed at start, is small; a hostile file can claim any size.
    const MOST: u64 = 256 << 20;
    const WINDOW: usize = 64 << 10;
    // Most programs have less.
    let largest = layout
        .data
        .iter()
        .map(|data| data.end.saturating_sub(data.start))
        .max()
        .unwrap_or_default();
    let mut window = vec![0; WINDOW.min(usize::try_from(largest).unwrap_or(WINDOW)) + MAGIC.len()];
    let mut spent = 0_u64;
    for data in &layout.data {
        let mut at = data.start;
        while at < data.end {
            let length = window.len().min(usize::try_from(data.end - at).unwrap_or(usize::MAX));
            let Some(bytes) = window.get_mut(..length) else { break };
            if !read_at(contents, at, bytes)? {
                break;
            }
            for found in memmem::find_iter(bytes, MAGIC) {
                if let Some(info) = decode(contents, layout, at + found as u64)? {
                    return Ok(BuildInfoSearch::Present(info));
                }
            }
            // Windows overlap, so that the magic is never cut.
            at += WINDOW as u64;
            spent += WINDOW as u64;
            if spent > MOST {
                return Ok(BuildInfoSearch::Broken("it has more data than any Go executable"));
            }
        }
    }
    Ok(BuildInfoSearch::Absent)
}

/// Reads the build information at an offset of the file, in either form.
fn decode(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
    at: u64,
) -> io::Result<Option<BuildInfo>> {
    const INLINE: u8 = 2;
    let mut header = [0; HEADER];
    if !read_at(contents, at, &mut header)? || !header.starts_with(MAGIC) {
        return Ok(None);
    }
    let strings = if header[15] & INLINE != 0 {
        inline_strings(contents, at.saturating_add(HEADER as u64))?
    } else {
        pointed_strings(contents, layout, &header)?
    };
    let Some((version, modules)) = strings else { return Ok(None) };
    let version = String::from_utf8_lossy(&version).into_owned();
    if !version.starts_with("go") && !version.starts_with("devel") {
        return Ok(None);
    }
    Ok(Some(BuildInfo { version, modules: without_sentinels(&modules) }))
}

/// Go 1.18 and later: each string after its length.
fn inline_strings(
    contents: &mut dyn FileContents,
    at: u64,
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some((version, at)) = inline_string(contents, at)? else { return Ok(None) };
    Ok(inline_string(contents, at)?.map(|(modules, _)| (version, modules)))
}

fn inline_string(
    contents: &mut dyn FileContents,
    mut at: u64,
) -> io::Result<Option<(Vec<u8>, u64)>> {
    let mut length = 0_u64;
    let mut shift = 0;
    loop {
        let mut byte = [0];
        // No length that is accepted below needs more than five groups of seven bits.
        if shift > 28 || !read_at(contents, at, &mut byte)? {
            return Ok(None);
        }
        at = at.saturating_add(1);
        length |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    Ok(string(contents, at, length)?.map(|text| (text, at.saturating_add(length))))
}

/// Go 1.17 and earlier: pointers to string headers, which are a pointer and a length.
fn pointed_strings(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
    header: &[u8; HEADER],
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let size = usize::from(header[14]);
    if size != 4 && size != 8 {
        return Ok(None);
    }
    let big_endian = header[15] & 1 != 0;
    let Some(version) = pointed_string(
        contents,
        layout,
        word(&header[16..16 + size], big_endian),
        size,
        big_endian,
    )?
    else {
        return Ok(None);
    };
    // Without modules, as before Go 1.13 or outside of one, the second pointer leads nowhere.
    let modules = pointed_string(
        contents,
        layout,
        word(&header[16 + size..16 + 2 * size], big_endian),
        size,
        big_endian,
    )?;
    Ok(Some((version, modules.unwrap_or_default())))
}

fn pointed_string(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
    address: u64,
    size: usize,
    big_endian: bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut words = [0; 16];
    let words = &mut words[..2 * size];
    let Some(at) = layout.offset(address, 2 * size as u64) else { return Ok(None) };
    if !read_at(contents, at, words)? {
        return Ok(None);
    }
    let (pointer, length) = (word(&words[..size], big_endian), word(&words[size..], big_endian));
    match layout.offset(pointer, length) {
        Some(at) => string(contents, at, length),
        None => Ok(None),
    }
}

pub(super) fn word(bytes: &[u8], big_endian: bool) -> u64 {
    let push = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
}

fn string(contents: &mut dyn FileContents, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    const LONGEST: u64 = 16 << 20;
    if length > LONGEST {
        return Ok(None);
    }
    let mut text = Vec::new();
    contents.seek(SeekFrom::Start(at))?;
    contents.take(length).read_to_end(&mut text)?;
    Ok(Some(text).filter(|text| text.len() as u64 == length))
}

/// The module lines stand between two marks of 16 bytes each.
fn without_sentinels(modules: &[u8]) -> String {
    let inner = modules
        .len()
        .checked_sub(16)
        .and_then(|end| modules.get(16..end))
        .filter(|inner| inner.last() == Some(&b'\n'));
    String::from_utf8_lossy(inner.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::layout::{is_executable, layout};
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const MODULES: &str = "path\tp\nmod\texample.com/m\tv1.0.0\t\n";
    const BASE: u64 = 0x40_0000;
    const DATA: usize = 0x200;

    /// How a made-up executable is made.
    #[derive(Debug, Clone, Copy)]
    struct ExecutableShape {
        wide: bool,
        big_endian: bool,
        inline: bool,
        sections: bool,
    }

    impl ExecutableShape {
        fn bytes(self, value: u64, length: usize) -> Vec<u8> {
            let little = value.to_le_bytes()[..length].to_vec();
            if self.big_endian { little.into_iter().rev().collect() } else { little }
        }

        fn word(self, value: u64) -> Vec<u8> {
            self.bytes(value, if self.wide { 8 } else { 4 })
        }

        /// Build information for address `at`, with its strings.
        fn build_info(self, at: u64) -> Vec<u8> {
            let size = self.word(0).len();
            let modules = [&[b'<'; 16], MODULES.as_bytes(), &[b'>'; 16]].concat();
            let mut info = MAGIC.to_vec();
            if self.inline {
                info.extend([size as u8, 2]);
                info.resize(HEADER, 0);
                info.extend([6]);
                info.extend(b"go1.20");
                info.extend([(modules.len() & 0x7f) as u8 | 0x80, (modules.len() >> 7) as u8]);
            } else {
                info.extend([size as u8, u8::from(self.big_endian)]);
                let strings = at + HEADER as u64;
                let text = strings + 4 * size as u64;
                for word in [strings, strings + 2 * size as u64] {
                    info.extend(self.word(word));
                }
                info.resize(HEADER, 0);
                for word in [text, 6, text + 6, modules.len() as u64] {
                    info.extend(self.word(word));
                }
                info.extend(b"go1.17");
            }
            info.extend(modules);
            info
        }

        fn elf(self) -> Vec<u8> {
            let info = self.build_info(BASE + DATA as u64 + 32);
            let data = [vec![0xff; 32], info.clone()].concat();
            let names = b"\0.go.buildinfo\0.names\0";
            let names_at = DATA + data.len();
            let sections_at = names_at + names.len();
            let half = |value: usize| self.bytes(value as u64, 2);
            let int = |value: usize| self.bytes(value as u64, 4);
            let word = |value: usize| self.word(value as u64);
            let (header, program_header, section_header) =
                if self.wide { (64, 56, 64) } else { (52, 32, 40) };
            let (class, order) =
                (if self.wide { 2 } else { 1 }, if self.big_endian { 2 } else { 1 });
            let mut file = vec![0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            file.extend([half(2), half(0), int(1), word(0), word(header)].concat());
            file.extend(word(if self.sections { sections_at } else { 0 }));
            file.extend(
                [int(0), half(header), half(program_header), half(1), half(section_header)]
                    .concat(),
            );
            file.extend(
                if self.sections { [half(3), half(2)] } else { [half(0), half(0)] }.concat(),
            );
            let (address, size) = (word(BASE as usize + DATA), word(data.len()));
            if self.wide {
                file.extend(
                    [
                        int(1),
                        int(6),
                        word(DATA),
                        address.clone(),
                        address,
                        size.clone(),
                        size,
                        word(1),
                    ]
                    .concat(),
                );
            } else {
                file.extend(
                    [
                        int(1),
                        word(DATA),
                        address.clone(),
                        address,
                        size.clone(),
                        size,
                        int(6),
                        word(1),
                    ]
                    .concat(),
                );
            }
            file.resize(DATA, 0);
            file.extend(data);
            file.extend(names);
            file.extend(vec![0; section_header]);
            for (name, at, size) in [(1, DATA + 32, info.len()), (15, names_at, names.len())] {
                file.extend(
                    [
                        int(name),
                        int(1),
                        word(0),
                        word(0),
                        word(at),
                        word(size),
                        int(0),
                        int(0),
                        word(1),
                        word(0),
                    ]
                    .concat(),
                );
            }
            file
        }
    }

    fn shapes() -> Vec<ExecutableShape> {
        let flag = |number: u8, bit: u8| number & bit != 0;
        let shape = |n| ExecutableShape {
            wide: flag(n, 1),
            big_endian: flag(n, 2),
            inline: flag(n, 4),
            sections: flag(n, 8),
        };
        (0..16).map(shape).collect()
    }

    fn searched(file: &mut dyn FileContents) -> io::Result<BuildInfoSearch> {
        match layout(file)? {
            Some(layout) => build_info(file, &layout),
            None => Ok(BuildInfoSearch::Absent),
        }
    }

    fn search(file: &[u8]) -> BuildInfoSearch {
        searched(&mut Cursor::new(file)).unwrap()
    }

    #[test]
    fn every_shape_of_elf_is_read() {
        for shape in shapes() {
            let version = if shape.inline { "go1.20" } else { "go1.17" };
            let expected = BuildInfo { version: version.into(), modules: MODULES.into() };
            assert_eq!(search(&shape.elf()), BuildInfoSearch::Present(expected), "{shape:?}");
        }
    }

    #[test]
    fn a_marked_section_that_makes_no_sense_is_told() {
        let mut file =
            ExecutableShape { wide: true, big_endian: false, inline: true, sections: true }.elf();
        file[DATA + 32 + HEADER] = 0xff;
        assert_eq!(
            search(&file),
            BuildInfoSearch::Broken("the section for build information has none that can be read")
        );
    }

    #[test]
    fn other_files_have_none() {
        let check = |file: &[u8]| assert_eq!(search(file), BuildInfoSearch::Absent, "{file:?}");
        check(b"");
        check(b"\x7fELF");
        check(&[b"\x7fELF\x02\x01".to_vec(), vec![0xff; 100]].concat());
        check(&[b"MZ".to_vec(), vec![0; 100]].concat());
        check(&[b"\xcf\xfa\xed\xfe".to_vec(), vec![0xff; 100]].concat());
        assert!(!is_executable(b"#!/b") && !is_executable(b""));
    }

    #[test]
    fn a_bad_disk_is_not_a_bad_format() {
        struct FailingDisk(Cursor<Vec<u8>>);
        impl io::Read for FailingDisk {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                if self.0.position() >= 64 {
                    Err(io::Error::other("bad sector"))
                } else {
                    io::Read::read(&mut self.0, bytes)
                }
            }
        }
        impl io::Seek for FailingDisk {
            fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
                io::Seek::seek(&mut self.0, position)
            }
        }
        for shape in shapes() {
            let error = searched(&mut FailingDisk(Cursor::new(shape.elf()))).unwrap_err();
            assert_eq!(error.to_string(), "bad sector");
        }
    }

    proptest! {
        #[test]
        fn no_executable_makes_it_panic(number in 0_usize..16, changes in proptest::collection::vec((0_usize..900, any::<u8>()), 0..12), length in 0_usize..900) {
            let mut file = shapes()[number].elf();
            for (at, byte) in changes {
                if let Some(place) = file.get_mut(at) {
                    *place = byte;
                }
            }
            file.truncate(length);
            let _found = search(&file);
        }

        #[test]
        fn no_bytes_make_it_panic(magic in 0_usize..4, rest in proptest::collection::vec(any::<u8>(), 0..600)) {
            let magic: &[u8] = [b"\x7fELF".as_slice(), b"MZ", b"\xfe\xed\xfa\xce", b"\xcf\xfa\xed\xfe"][magic];
            let _found = search(&[magic, &rest].concat());
        }
    }
}
