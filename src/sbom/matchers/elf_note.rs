//! Packages that programs say they are part of, from the note that builders put into ELF files. It
//! believes no note about what a package manager's database lists.

use std::io;

use object::read::ReadRef as _;
use object::read::elf::{FileHeader, ProgramHeader as _};
use object::{Endianness, elf};
use serde::Deserialize;

use super::FileFacts;
use super::bounded::{Bounded, bounded};
use super::os_release::OsRelease;
use crate::sbom::package::{Ecosystem, FoundPackage, Package};
use crate::sbom::purl;
use crate::sbom::source::{FileContents, NotKept};

/// See <https://systemd.io/PACKAGE_METADATA_FOR_EXECUTABLE_FILES/>.
const KIND: u32 = 0xcafe_1a7e;
const OWNER: &[u8] = b"FDO";
const NOTE: &str = "Stated by a note in the program, which names the source package.";
/// Of all notes of one file.
const LARGEST: u64 = 64 << 10;
const MOST_NOTES: usize = 100;

pub(super) fn is_executable(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Note {
    #[serde(rename = "type")]
    kind: String,
    os: String,
    os_version: Option<String>,
    name: String,
    version: Option<String>,
    architecture: Option<String>,
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let note = match bounded(contents, note) {
        Ok(note) => note,
        // Of a large program the notes may not be held; then nothing is known of them.
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<NotKept>()) => None,
        Err(error) => return Err(error),
    };
    let packages = note.and_then(package).map(|package| FoundPackage::alone(package, path));
    Ok(FileFacts { packages: packages.into_iter().collect(), ..FileFacts::default() })
}

fn package(note: Note) -> Option<Package> {
    let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let version = note.version.filter(|version| is_word(version))?;
    let ecosystem = match note.kind.as_str() {
        "rpm" => Ecosystem::Rpm,
        "deb" => Ecosystem::Deb,
        "apk" => Ecosystem::Apk,
        "alpm" | "pacman" | "arch" => Ecosystem::Alpm,
        _ => Ecosystem::Generic,
    };
    let release = is_word(&note.os).then(|| OsRelease {
        id: note.os.to_ascii_lowercase(),
        version: note.os_version.filter(|version| is_word(version)),
        name: None,
    });
    if ecosystem.is_distribution() && release.is_none() {
        return None;
    }
    let package = Package {
        version: Some(version),
        arch: note.architecture.filter(|arch| is_word(arch)),
        notes: vec![NOTE.to_owned()],
        ..Package::named(ecosystem, note.name)
    };
    let stated = purl::of(&package, release.as_ref());
    is_word(&package.name).then_some(Package { stated: Some(stated), ..package })
}

fn note(data: &Bounded<'_>) -> Option<Note> {
    match *data.read_bytes_at(4, 1).ok()?.first()? {
        1 => in_segments::<elf::FileHeader32<Endianness>>(data),
        _ => in_segments::<elf::FileHeader64<Endianness>>(data),
    }
}

fn in_segments<Elf: FileHeader<Endian = Endianness>>(data: &Bounded<'_>) -> Option<Note> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let notes = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_NOTE);
    notes.take(MOST_NOTES).find_map(|segment| {
        let (offset, size): (u64, u64) =
            (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        let bytes = data.read_bytes_at(offset, Some(size).filter(|size| *size <= LARGEST)?).ok()?;
        in_notes(bytes, matches!(endian, Endianness::Big))
    })
}

/// Each has the lengths of its owner and contents, its kind, and then both on bounds of four bytes.
fn in_notes(mut bytes: &[u8], is_big: bool) -> Option<Note> {
    let number = |bytes: &[u8]| {
        let four = *bytes.first_chunk::<4>()?;
        Some(if is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    let padded = |length: u32| usize::try_from(length).ok()?.checked_next_multiple_of(4);
    for _ in 0..MOST_NOTES {
        let (owner, contents) = (number(bytes)?, number(bytes.get(4..)?)?);
        let kind = number(bytes.get(8..)?)?;
        let rest = bytes.get(12..)?;
        let name = rest.get(..usize::try_from(owner).ok()?)?;
        let rest = rest.get(padded(owner)?..)?;
        let value = rest.get(..usize::try_from(contents).ok()?)?;
        if kind == KIND && name.trim_ascii_end().strip_suffix(b"\0").unwrap_or(name) == OWNER {
            let end = memchr::memchr(0, value).unwrap_or(value.len());
            return serde_json::from_slice(value.get(..end)?).ok();
        }
        bytes = rest.get(padded(contents)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn one(kind: u32, owner: &[u8], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((owner.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        for part in [owner, value] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// A 64-bit little-endian ELF file with nothing but one segment of notes.
    fn program(json: &str) -> Vec<u8> {
        let notes = [one(3, b"GNU\0", b"12345"), one(KIND, b"FDO\0", json.as_bytes())].concat();
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
        file[32] = 64;
        file[52] = 64;
        file[54] = 56;
        file[56] = 1;
        let mut segment = vec![0; 56];
        segment[0] = 4;
        segment[8..16].copy_from_slice(&120_u64.to_le_bytes());
        segment[32..40].copy_from_slice(&(notes.len() as u64).to_le_bytes());
        file.extend(segment);
        file.extend(notes);
        file
    }

    fn purl(json: &str) -> Option<String> {
        let found = read("bin/x", &mut Cursor::new(program(json))).unwrap().packages.pop()?;
        Some(purl::of(&found.package, None))
    }

    #[test]
    fn a_note_names_its_package() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(purl(json).as_deref(), expected, "{json}");
        };
        check(
            r#"{"type":"rpm","os":"fedora","osVersion":"39","name":"bash","version":"5.2.15-5.fc39","architecture":"x86_64"}"#,
            Some("pkg:rpm/fedora/bash@5.2.15-5.fc39?arch=x86_64&distro=fedora-39"),
        );
        check(
            "{\"type\":\"deb\",\"os\":\"debian\",\"name\":\"coreutils\",\"version\":\"9.1-1\"}\u{0}",
            Some("pkg:deb/debian/coreutils@9.1-1?distro=debian"),
        );
        check(r#"{"type":"own","name":"app","version":"1.2"}"#, Some("pkg:generic/app@1.2"));
        check(r#"{"type":"rpm","name":"app","version":"1.2"}"#, None);
        check(r#"{"type":"own","name":"app"}"#, None);
        check(r#"{"type":"own","name":"a b","version":"1"}"#, None);
        check("{", None);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(changes in proptest::collection::vec((0_usize..220, any::<u8>()), 0..6), end in 0_usize..260) {
            let mut file = program(r#"{"type":"own","name":"app","version":"1.2"}"#);
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(end);
            drop(read("bin/x", &mut Cursor::new(file)).unwrap());
        }
    }
}
