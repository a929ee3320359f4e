//! What a native image of GraalVM states: the SBOM that its builder put into it. It reads ELF files,
//! and nothing of an image that was built without one.

use std::io::{self, Read as _};

use object::read::ReadRef as _;
use object::read::elf::{FileHeader, SectionHeader as _, SectionTable, Sym as _};
use object::{Endianness, elf};

use super::bounded::{Bounded, bounded, read_at};
use super::{FileFacts, stated};
use crate::sbom::source::{FileContents, NotKept};

/// The section that every native image has its heap in.
const HEAP: &[u8] = b".svm_heap";
const DATA: &[u8] = b".data";
/// See <https://www.graalvm.org/latest/security-guide/native-image/sbom/>.
const SBOM: &[u8] = b"sbom";
const LENGTH: &[u8] = b"sbom_length";
const MOST_SYMBOLS: usize = 50_000;
/// Compressed, and then as text.
const LARGEST: u64 = 16 << 20;

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let held = |outcome: io::Result<Option<Vec<u8>>>| match outcome {
        // Of a large program some parts are not held, and then nothing is known of them.
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<NotKept>()) => Ok(None),
        other => other,
    };
    let Some(compressed) = held(embedded(contents))? else { return Ok(FileFacts::default()) };
    let mut text = Vec::new();
    let decoder = flate2::read::GzDecoder::new(compressed.as_slice());
    let is_whole = decoder.take(LARGEST + 1).read_to_end(&mut text).is_ok();
    if !is_whole || text.len() as u64 > LARGEST {
        return Ok(FileFacts::warning(format!(
            "the SBOM in `{path}` is not listed: it is damaged"
        )));
    }
    Ok(stated::read(path, &text).unwrap_or_default())
}

fn embedded(contents: &mut dyn FileContents) -> io::Result<Option<Vec<u8>>> {
    let Some((start, length)) = bounded(contents, places)? else { return Ok(None) };
    let mut number = [0; 8];
    if !read_at(contents, length, &mut number)? {
        return Ok(None);
    }
    let size = u64::from_le_bytes(number);
    if size == 0 || size > LARGEST {
        return Ok(None);
    }
    let mut compressed = vec![0; usize::try_from(size).unwrap_or_default()];
    Ok(read_at(contents, start, &mut compressed)?.then_some(compressed))
}

/// Where in the file the SBOM begins, and where its length is.
fn places(data: &Bounded<'_>) -> Option<(u64, u64)> {
    match *data.read_bytes_at(4, 1).ok()?.first()? {
        1 => None,
        _ => in_sections::<elf::FileHeader64<Endianness>>(data),
    }
}

fn in_sections<Elf: FileHeader<Endian = Endianness>>(data: &Bounded<'_>) -> Option<(u64, u64)> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let named = |wanted: &[u8]| {
        sections.iter().find(|section| {
            sections.section_name(endian, *section).is_ok_and(|name| name == wanted)
        })
    };
    named(HEAP)?;
    let own = named(DATA)?;
    let address: u64 = own.sh_addr(endian).into();
    let (offset, size) = own.file_range(endian)?;
    let tables = [elf::SHT_SYMTAB, elf::SHT_DYNSYM];
    let (start, length) =
        tables.iter().find_map(|kind| symbols::<Elf>(data, endian, &sections, *kind))?;
    let at = |value: u64| value.checked_sub(address).filter(|it| *it < size)?.checked_add(offset);
    Some((at(start)?, at(length)?))
}

/// The addresses of both symbols.
fn symbols<'data, 'contents, Elf: FileHeader<Endian = Endianness>>(
    data: &'data Bounded<'contents>,
    endian: Endianness,
    sections: &SectionTable<'data, Elf, &'data Bounded<'contents>>,
    kind: elf::SectionType,
) -> Option<(u64, u64)> {
    let table = sections.symbols(endian, data, kind).ok()?;
    let mut found = (None, None);
    for symbol in table.iter().take(MOST_SYMBOLS) {
        match symbol.name(endian, table.strings()) {
            Ok(SBOM) => found.0 = Some(symbol.st_value(endian).into()),
            Ok(LENGTH) => found.1 = Some(symbol.st_value(endian).into()),
            _ => {}
        }
    }
    Some((found.0?, found.1?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write as _};

    /// A 64-bit little-endian ELF file with these sections, the last of which has their names: name,
    /// kind, address, contents and the section it is linked to.
    fn file(mut sections: Vec<(&str, u32, u64, Vec<u8>, u32)>) -> Vec<u8> {
        let mut names = vec![0_u8];
        sections.push((".shstrtab", 3, 0, Vec::new(), 0));
        let starts: Vec<u32> = sections
            .iter()
            .map(|(name, ..)| {
                let start = names.len() as u32;
                names.extend(name.bytes().chain([0]));
                start
            })
            .collect();
        sections.last_mut().unwrap().3 = names;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
        let mut headers = vec![0; 64];
        for ((_, kind, address, contents, link), name) in sections.iter().zip(starts) {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[16..24].copy_from_slice(&address.to_le_bytes());
            header[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(contents.len() as u64).to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            header[56] = 24;
            headers.extend(header);
            bytes.extend(contents);
        }
        let table = bytes.len() as u64;
        bytes[40..48].copy_from_slice(&table.to_le_bytes());
        bytes[52] = 64;
        bytes[58] = 64;
        bytes[60] = sections.len() as u8 + 1;
        bytes[62] = sections.len() as u8;
        bytes.extend(headers);
        bytes
    }

    fn native(text: &[u8], heap: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        let compressed = encoder.finish().unwrap();
        let mut data = vec![7; 16];
        data.extend((compressed.len() as u64).to_le_bytes());
        data.extend(&compressed);
        let symbol = |name: u32, value: u64| {
            let mut bytes = vec![0; 24];
            bytes[..4].copy_from_slice(&name.to_le_bytes());
            bytes[8..16].copy_from_slice(&value.to_le_bytes());
            bytes
        };
        let symbols = [vec![0; 24], symbol(1, 0x1000 + 24), symbol(6, 0x1000 + 16)].concat();
        file(vec![
            (heap, 1, 0, vec![1], 0),
            (".data", 1, 0x1000, data, 0),
            (".symtab", 2, 0, symbols, 4),
            (".strtab", 3, 0, b"\0sbom\0sbom_length\0".to_vec(), 0),
        ])
    }

    const TEXT: &[u8] = br#"{"bomFormat":"CycloneDX","components":[{"type":"library","name":"a","purl":"pkg:maven/org.x/a@1"}]}"#;

    fn facts(bytes: &[u8]) -> FileFacts {
        read("app/native", &mut Cursor::new(bytes.to_vec())).unwrap()
    }

    #[test]
    fn the_sbom_of_a_native_image_is_read() {
        let found = facts(&native(TEXT, ".svm_heap"));
        assert_eq!(found.packages[0].package.stated.as_deref(), Some("pkg:maven/org.x/a@1"));
        assert_eq!(facts(&native(TEXT, ".other")), FileFacts::default());
        assert_eq!(facts(&native(b"no SBOM", ".svm_heap")).warnings.len(), 1);
        assert_eq!(facts(b"\x7fELF\x02\x01\x01"), FileFacts::default());
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(changes in proptest::collection::vec((0_usize..900, any::<u8>()), 0..6)) {
            let mut bytes = native(TEXT, ".svm_heap");
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            drop(facts(&bytes));
        }
    }
}
