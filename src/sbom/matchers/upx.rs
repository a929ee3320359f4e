//! Whether UPX packed a program, by the marks that it leaves, so that what is inside is not silently
//! missing. It unpacks nothing.

use std::io::{self, Read as _, SeekFrom};

use memchr::memmem;

use crate::sbom::source::FileContents;

/// In the headers of all, and again at the end of ELF files. See
/// <https://github.com/upx/upx/blob/devel/src/stub/src/include/header.S>.
const MARK: &[u8] = b"UPX!";
/// Headers and what UPX puts behind them.
const START: u64 = 4096;
const END: u64 = 512;
/// Of Mach-O files of 64 and 32 bits.
const MACHO: [&[u8]; 2] = [b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"];

pub(super) fn is_packed(contents: &mut dyn FileContents) -> io::Result<bool> {
    let mut start = Vec::new();
    contents.seek(SeekFrom::Start(0))?;
    contents.take(START).read_to_end(&mut start)?;
    // A program that only names it, as UPX itself does, has it elsewhere.
    if memmem::find(&start, MARK).is_none() {
        return Ok(false);
    }
    if start.starts_with(b"MZ") {
        let is_there = |section: &[u8]| memmem::find(&start, section).is_some();
        return Ok(is_there(b"UPX0\0\0\0\0") && is_there(b"UPX1\0\0\0\0"));
    }
    if MACHO.iter().any(|magic| start.starts_with(magic)) {
        return Ok(memmem::find_iter(&start, MARK).any(|at| names_macho(&start, at)));
    }
    let end = contents.seek(SeekFrom::End(0))?;
    let mut tail = Vec::new();
    contents.seek(SeekFrom::Start(end.saturating_sub(END)))?;
    contents.take(END).read_to_end(&mut tail)?;
    Ok(memmem::find(&tail, MARK).is_some())
}

/// Behind the mark: the size of what unpacks, the version of UPX's format, and the kind of file.
fn names_macho(start: &[u8], at: usize) -> bool {
    const VERSIONS: std::ops::Range<u8> = 9..32;
    const KINDS: std::ops::Range<u8> = 29..64;
    let versions = start.get(at + MARK.len() + 2..).and_then(|rest| rest.first_chunk::<2>());
    versions.is_some_and(|[version, kind]| VERSIONS.contains(version) && KINDS.contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(parts: &[&[u8]]) -> bool {
        is_packed(&mut io::Cursor::new(parts.concat())).unwrap()
    }

    const FILL: &[u8] = &[7; 9000];

    // The marks are where UPX 4.2.3 puts them into programs of Go, Rust and C for each system.
    #[test]
    fn what_upx_packed_is_told_by_its_marks() {
        assert!(packed(&[
            b"\x7fELF",
            &[0; 232],
            b"UPX!\x70\x0a\x0e\x16",
            FILL,
            b"UPX!\x0e\x16",
            &[0; 30]
        ]));
        assert!(!packed(&[b"\x7fELFUPX!", FILL]), "a program that only names it");
        assert!(!packed(&[b"\x7fELF", FILL, b"UPX!"]));
        assert!(!packed(&[b"\x7fELF", FILL]));
    }

    #[test]
    fn programs_of_windows_have_its_sections() {
        let sections: [&[u8]; 3] = [b"UPX0\0\0\0\0", b"UPX1\0\0\0\0", b"UPX2\0\0\0\0"];
        let [data, code, rest] = sections;
        let version = b"4.23\0UPX!\x0e\x24";
        assert!(packed(&[b"MZ", &[0; 340], data, &[0; 32], code, &[0; 32], rest, version, FILL]));
        assert!(!packed(&[b"MZ", &[0; 340], b".text\0\0\0", version, FILL]));
        assert!(!packed(&[b"MZ", data, code, FILL]));
    }

    #[test]
    fn programs_of_macos_have_the_mark_with_their_kind() {
        let of = |header: &[u8]| packed(&[b"\xcf\xfa\xed\xfe", &[0; 940], header, FILL]);
        assert!(of(b"UPX!\xaa\x0a\x0d\x22"));
        assert!(!of(b"UPX!text") && !of(b"UPX!") && !of(b"text"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(magic in 0_usize..4, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let magic: &[u8] = [b"\x7fELF".as_slice(), b"MZ", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"][magic];
            let _packed = packed(&[magic, &rest]);
            let _packed = packed(&[magic, &rest, MARK]);
        }
    }
}
