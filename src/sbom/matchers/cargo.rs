//! Rust crates, from what cargo-auditable has the linker put into an executable. It never guesses
//! crates from strings.

use std::io::{self, Read as _};

use object::read::ReadRef as _;
use object::read::elf::{FileHeader, SectionHeader as _};
use object::read::macho::{MachHeader, Section as _, Segment as _};
use object::read::pe::{ImageNtHeaders, optional_header_magic};
use object::{Endianness, elf, macho, pe};
use serde::Deserialize;

use super::FileFacts;
use super::bounded::{Bounded, bounded, read_at};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};
use crate::sbom::source::FileContents;

/// See <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.
const SECTION: &[u8] = b".dep-v0";

/// More than the largest lists compress to.
const MOST_COMPRESSED: u64 = 16 << 20;
const MOST: u64 = 64 << 20;

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    /// `build` for build scripts and macros, which are not in the executable.
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    dependencies: Vec<usize>,
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let mut start = [0; 4];
    if !read_at(contents, 0, &mut start)? {
        return Ok(FileFacts::default());
    }
    let Some((offset, size)) = bounded(contents, |data| section(data, start))? else {
        return Ok(FileFacts::default());
    };
    let untold = |reason: &str| {
        FileFacts::warning(format!("the crates of `{path}` are not listed: {reason}"))
    };
    if size > MOST_COMPRESSED {
        return Ok(untold("its `.dep-v0` section is too large"));
    }
    let mut compressed = vec![0; usize::try_from(size).unwrap_or_default()];
    if !read_at(contents, offset, &mut compressed)? {
        return Ok(untold("its `.dep-v0` section is cut off"));
    }
    let mut json = Vec::new();
    // One byte more than allowed tells that there is more.
    match flate2::read::ZlibDecoder::new(compressed.as_slice())
        .take(MOST + 1)
        .read_to_end(&mut json)
    {
        Ok(_) if json.len() as u64 <= MOST => {}
        Ok(_) => return Ok(untold("its `.dep-v0` section is too large")),
        Err(_) => return Ok(untold("its `.dep-v0` section is damaged")),
    }
    Ok(match serde_json::from_slice::<Audit>(&json) {
        Ok(audit) => FileFacts { packages: packages(path, &audit), ..FileFacts::default() },
        Err(error) => untold(&error.to_string()),
    })
}

fn packages(path: &str, audit: &Audit) -> Vec<FoundPackage> {
    let linked = audit
        .packages
        .iter()
        .enumerate()
        .filter(|(_, linked)| linked.kind.as_deref() != Some("build"));
    linked
        .map(|(index, linked)| FoundPackage {
            // Two versions of a crate may be in one executable, so needs are met by position.
            provides: vec![position(index)],
            requires: linked
                .dependencies
                .iter()
                .map(|needed| vec![PackageNeed::named(position(*needed))])
                .collect(),
            ..FoundPackage::alone(package(linked), path)
        })
        .collect()
}

fn position(index: usize) -> String {
    format!("#{index}")
}

fn package(linked: &Crate) -> Package {
    let notes = match linked.source.as_str() {
        "" | "crates.io" => Vec::new(),
        "local" => vec!["Built from a local source, not from crates.io.".to_owned()],
        other => vec![format!("Its source is of the kind {other}, not crates.io.")],
    };
    Package {
        version: Some(linked.version.clone()),
        notes,
        ..Package::named(Ecosystem::Cargo, linked.name.as_str())
    }
}

/// Offset and size of the section.
fn section(data: &Bounded<'_>, start: [u8; 4]) -> Option<(u64, u64)> {
    let class = *data.read_bytes_at(4, 1).ok()?.first()?;
    match (start, class) {
        ([0x7f, b'E', b'L', b'F'], 1) => elf_section::<elf::FileHeader32<Endianness>>(data),
        ([0x7f, b'E', b'L', b'F'], _) => elf_section::<elf::FileHeader64<Endianness>>(data),
        ([b'M', b'Z', ..], _) => match optional_header_magic(data).ok()? {
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => pe_section::<pe::ImageNtHeaders32>(data),
            _ => pe_section::<pe::ImageNtHeaders64>(data),
        },
        ([0xfe, 0xed, 0xfa, 0xce] | [0xce, 0xfa, 0xed, 0xfe], _) => {
            macho_section::<macho::MachHeader32<Endianness>>(data)
        }
        _ => macho_section::<macho::MachHeader64<Endianness>>(data),
    }
}

fn elf_section<Elf: FileHeader<Endian = Endianness>>(data: &Bounded<'_>) -> Option<(u64, u64)> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let named = sections
        .iter()
        .find(|section| sections.section_name(endian, section).is_ok_and(|name| name == SECTION));
    named?.file_range(endian)
}

fn pe_section<Pe: ImageNtHeaders>(data: &Bounded<'_>) -> Option<(u64, u64)> {
    let dos = pe::ImageDosHeader::parse(data).ok()?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (headers, _) = Pe::parse(data, &mut offset).ok()?;
    let sections = headers.sections(data, offset).ok()?;
    let named = sections.iter().find(|section| section.raw_name() == SECTION)?;
    let (offset, size) = named.pe_file_range();
    Some((offset.into(), size.into()))
}

fn macho_section<Mach: MachHeader<Endian = Endianness>>(data: &Bounded<'_>) -> Option<(u64, u64)> {
    let header = Mach::parse(data, 0).ok()?;
    let endian = header.endian().ok()?;
    let mut commands = header.load_commands(endian, data, 0).ok()?;
    while let Some(command) = commands.next().ok()? {
        let Ok(Some((segment, section_data))) = Mach::Segment::from_command(command) else {
            continue;
        };
        if let Some(named) = segment
            .sections(endian, section_data)
            .ok()?
            .iter()
            .find(|section| section.name() == SECTION)
        {
            return Some((named.offset(endian).into(), named.size(endian).into()));
        }
    }
    None
}

#[cfg(test)]
pub(in crate::sbom) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write as _};

    const AUDIT: &str = r#"{"packages":[
        {"name":"app","version":"0.1.0","source":"local","dependencies":[1,2,3],"root":true},
        {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
        {"name":"rand","version":"0.7.3","source":"crates.io"},
        {"name":"rand","version":"0.8.5","source":"git","dependencies":[2]}]}"#;

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// A 64-bit little-endian ELF file with nothing but section names and the section.
    fn elf(section: &[u8]) -> Vec<u8> {
        const NAMES: &[u8] = b"\0.dep-v0\0.shstrtab\0";
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.resize(40, 0);
        let table = 64 + NAMES.len() + section.len();
        file.extend((table as u64).to_le_bytes());
        file.resize(64, 0);
        file[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        file[52] = 64;
        file[58] = 64;
        file[60] = 3;
        file[62] = 2;
        file.extend(NAMES);
        file.extend(section);
        let mut header = |name: u32, kind: u32, offset: usize, size: usize| {
            let mut bytes = vec![0; 64];
            bytes[..4].copy_from_slice(&name.to_le_bytes());
            bytes[4..8].copy_from_slice(&kind.to_le_bytes());
            bytes[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            bytes[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend(bytes);
        };
        header(0, 0, 0, 0);
        header(1, 1, 64 + NAMES.len(), section.len());
        header(9, 3, 64, NAMES.len());
        file
    }

    /// An executable with three crates.
    pub(in crate::sbom) fn auditable() -> Vec<u8> {
        let mut file = elf(&compressed(AUDIT.as_bytes()));
        file.resize(2000, 0);
        file
    }

    fn facts(section: &[u8]) -> FileFacts {
        read("bin/app", &mut Cursor::new(elf(section))).unwrap()
    }

    #[test]
    fn linked_crates_become_packages_and_need_each_other_by_position() {
        let mut collected = crate::sbom::collect::CollectedPackages::default();
        collected.facts.insert("bin/app".into(), facts(&compressed(AUDIT.as_bytes())));
        let catalog = crate::sbom::catalog::Catalog::from_collected(collected);
        let purls: Vec<&str> = catalog.packages.iter().map(|listed| listed.purl.as_str()).collect();
        assert_eq!(purls, ["pkg:cargo/app@0.1.0", "pkg:cargo/rand@0.7.3", "pkg:cargo/rand@0.8.5"]);
        assert_eq!(
            catalog.dependencies.iter().copied().collect::<Vec<_>>(),
            [(0, 1), (0, 2), (2, 1)]
        );
        assert_eq!(
            catalog.packages[2].package.notes,
            ["Its source is of the kind git, not crates.io."]
        );
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        let check = |section: &[u8], expected: &str| {
            let told = facts(section).warnings;
            assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
        };
        check(b"nonsense", "is damaged");
        check(&compressed(b"{}"), "missing field");
        let bomb = compressed(&vec![b' '; usize::try_from(MOST).unwrap() + 1]);
        check(&bomb, "is too large");
        assert_eq!(read("x", &mut Cursor::new(b"\x7fELF\x02\x01")).unwrap(), FileFacts::default());
    }

    proptest! {
        #[test]
        fn no_executable_makes_it_panic(place in 0_usize..600, value in any::<u8>(), end in 0_usize..900) {
            let mut file = elf(&compressed(AUDIT.as_bytes()));
            if let Some(byte) = file.get_mut(place) {
                *byte = value;
            }
            file.truncate(end.max(4));
            for magic in [b"\x7fELF", b"MZ\0\0", b"\xcf\xfa\xed\xfe"] {
                file[..4].copy_from_slice(magic);
                let _facts = read("x", &mut Cursor::new(&file)).unwrap();
            }
        }
    }
}
