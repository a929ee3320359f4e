//! .NET assemblies that no manifest names, by the version resource in them. It reads a few tables of
//! the file, and lists no native program: those are launchers as a rule.

use std::io;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{
    ImageNtHeaders, ImageOptionalHeader as _, ResourceDirectoryEntryData, optional_header_magic,
};

use super::super::FileFacts;
use super::super::bounded::{Bounded, bounded, read_at};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, Supplier};
use crate::sbom::source::FileContents;

/// The data directory that only .NET's files have.
const CLR: usize = 14;
const VERSION: u16 = 16;
const LARGEST: u32 = 1 << 20;

/// Judges a file by its first four bytes.
pub(in crate::sbom::matchers) fn is_assembly(start: &[u8]) -> bool {
    start.starts_with(b"MZ")
}

/// What the assembly says it is. Names are those of files, so that they are told as guesses: a
/// manifest that names the file knows better.
pub(in crate::sbom::matchers) fn read(
    path: &str,
    contents: &mut dyn FileContents,
) -> io::Result<FileFacts> {
    let (file, lower) = (path.rsplit('/').next().unwrap_or(path), path.to_ascii_lowercase());
    // Assemblies to compile against are never run.
    let is_reference = lower.contains("/ref/");
    if is_reference || !(lower.ends_with(".dll") || lower.ends_with(".exe")) {
        return Ok(FileFacts::default());
    }
    let Some((offset, size)) = bounded(contents, place)?.flatten() else {
        return Ok(FileFacts::default());
    };
    let mut resource = vec![0; usize::try_from(size).unwrap_or_default()];
    if !read_at(contents, offset, &mut resource)? {
        return Ok(FileFacts::default());
    }
    Ok(FileFacts {
        packages: package(path, file, &resource).into_iter().collect(),
        ..FileFacts::default()
    })
}

/// Where the version resource of an assembly is; an inner nothing if it is no assembly or has none.
fn place(data: &Bounded<'_>) -> Option<Option<(u64, u32)>> {
    match optional_header_magic(data).ok()? {
        pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => place_in::<pe::ImageNtHeaders32>(data),
        _ => place_in::<pe::ImageNtHeaders64>(data),
    }
}

fn place_in<Pe: ImageNtHeaders>(data: &Bounded<'_>) -> Option<Option<(u64, u32)>> {
    let dos = pe::ImageDosHeader::parse(data).ok()?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (headers, directories) = Pe::parse(data, &mut offset).ok()?;
    let sections = headers.sections(data, offset).ok()?;
    if headers.optional_header().number_of_rva_and_sizes() as usize <= CLR {
        return Some(None);
    }
    let clr = directories.get(CLR).filter(|clr| clr.virtual_address.get(LE) != 0);
    let Some(_) = clr else { return Some(None) };
    let resources = directories.resource_directory(data, &sections).ok()??;
    let mut table = resources.root().ok()?;
    for depth in 0..3 {
        let wanted = |entry: &&pe::ImageResourceDirectoryEntry| {
            depth > 0 || entry.name_or_id().id() == Some(VERSION)
        };
        match table.entries.iter().find(wanted)?.data(resources).ok()? {
            ResourceDirectoryEntryData::Table(next) => table = next,
            ResourceDirectoryEntryData::Data(entry) => {
                let size = entry.size.get(LE);
                let address = entry.offset_to_data.get(LE);
                let (start, most) = sections.iter().find_map(|it| it.pe_file_range_at(address))?;
                return Some(Some((start.into(), size.min(most).min(LARGEST))));
            }
        }
    }
    None
}

fn package(path: &str, file: &str, resource: &[u8]) -> Option<FoundPackage> {
    let is_version = |text: &String| {
        text.starts_with(|letter: char| letter.is_ascii_digit()) && !text.starts_with("0.0.0")
    };
    // Behind the version comes the revision that it was built from.
    let plain = |text: String| {
        let version = text.split(['+', '@', ' ', ',']).next().unwrap_or_default();
        version.trim_end_matches('.').to_owned()
    };
    let version = ["ProductVersion", "FileVersion", "Assembly Version"]
        .iter()
        .filter_map(|key| value(resource, key).map(plain))
        .find(is_version)?;
    let own = value(resource, "InternalName").filter(|name| name.contains('.'));
    let own = own.unwrap_or_else(|| file.to_owned());
    let name = ["dll", "exe", "DLL", "EXE"]
        .iter()
        .find_map(|suffix| own.strip_suffix(suffix)?.strip_suffix('.'))
        .unwrap_or_else(|| file.rsplit_once('.').map_or(file, |(name, _)| name));
    let package = Package {
        version: Some(version),
        is_guess: true,
        supplier: value(resource, "CompanyName").and_then(|name| Supplier::organization(&name)),
        notes: vec!["Known by the version resource of its file alone.".to_owned()],
        ..Package::named(Ecosystem::Nuget, name)
    };
    Some(FoundPackage::alone(package, path))
}

/// A string of the resource: its key ends with a null, and its value starts at the next fourth byte.
fn value(resource: &[u8], key: &str) -> Option<String> {
    let wanted: Vec<u8> = format!("{key}\0").encode_utf16().flat_map(u16::to_le_bytes).collect();
    // A key that ends so is another one.
    let at = memchr::memmem::find_iter(resource, &wanted).find(|at| {
        at % 2 == 0
            && at
                .checked_sub(2)
                .and_then(|it| resource.get(it..*at))
                .is_none_or(|it| it == [1, 0] || it == [0, 0])
    })?;
    let start = (at + wanted.len()).next_multiple_of(4);
    let units =
        resource.get(start..)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let text: Vec<u16> = units.take_while(|unit| *unit != 0).take(300).collect();
    Some(String::from_utf16_lossy(&text).trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn resource(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = wide("VS_VERSION_INFO\0");
        for (key, value) in pairs {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend([0, 0, 0, 0, 1, 0]);
            bytes.extend(wide(&format!("{key}\0")));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(wide(&format!("{value}\0")));
        }
        bytes
    }

    /// A library for Windows with one section, which holds the resource.
    pub(super) fn library(is_assembly: bool, pairs: &[(&str, &str)]) -> Vec<u8> {
        let resource = resource(pairs);
        let mut file = b"MZ".to_vec();
        file.resize(0x3c, 0);
        file.extend(0x40_u32.to_le_bytes());
        file.extend(b"PE\0\0\x64\x86\x01\0");
        file.resize(0x40 + 4 + 16, 0);
        file.extend(240_u16.to_le_bytes());
        file.extend([0x22, 0x20]);
        let optional = file.len();
        file.extend([0x0b, 0x02]);
        file.resize(optional + 108, 0);
        file.extend(16_u32.to_le_bytes());
        file.resize(optional + 240, 0);
        let mut directory = |at: usize, address: u32, size: u32| {
            let at = optional + 112 + 8 * at;
            file[at..at + 4].copy_from_slice(&address.to_le_bytes());
            file[at + 4..at + 8].copy_from_slice(&size.to_le_bytes());
        };
        let length = u32::try_from(resource.len()).unwrap();
        directory(2, 0x1000, 88 + length);
        if is_assembly {
            directory(CLR, 0x1000, 72);
        }
        file.extend(b".rsrc\0\0\0");
        for number in [88 + length, 0x1000, 88 + length, 0x400] {
            file.extend(number.to_le_bytes());
        }
        file.resize(0x400, 0);
        for (id, next) in [(16_u32, 0x8000_0018_u32), (1, 0x8000_0030), (0x409, 0x48)] {
            file.extend([0; 12]);
            file.extend([0, 0, 1, 0]);
            file.extend(id.to_le_bytes());
            file.extend(next.to_le_bytes());
        }
        for number in [0x1058, length, 0, 0] {
            file.extend(number.to_le_bytes());
        }
        file.extend(resource);
        file
    }

    fn told(path: &str, file: &[u8]) -> Option<String> {
        let facts = read(path, &mut io::Cursor::new(file)).unwrap();
        facts.packages.first().map(|found| crate::sbom::purl::of(&found.package, None))
    }

    #[test]
    fn assemblies_tell_their_product_version() {
        let check = |path: &str, pairs: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(told(path, &library(true, pairs)).as_deref(), expected, "{path} {pairs:?}");
        };
        let json = [
            ("FileVersion", "13.0.1.25517"),
            ("InternalName", "Newtonsoft.Json.dll"),
            ("ProductVersion", "13.0.1+ae9fe44e1323"),
            ("Assembly Version", "13.0.0.0"),
        ];
        check("app/Newtonsoft.Json.dll", &json, Some("pkg:nuget/Newtonsoft.Json@13.0.1"));
        check("app/renamed.dll", &json, Some("pkg:nuget/Newtonsoft.Json@13.0.1"));
        check("app/My.App.exe", &[("FileVersion", "2.1.0.0")], Some("pkg:nuget/My.App@2.1.0.0"));
        check(
            "app/a.dll",
            &[("ProductVersion", "main"), ("FileVersion", "1.2")],
            Some("pkg:nuget/a@1.2"),
        );
        check("app/a.dll", &[("ProductVersion", "0.0.0.0")], None);
        check("app/a.dll", &[("Comments", "ProductVersion")], None);
        check("packs/X.Ref/8.0.0/ref/net8.0/a.dll", &json, None);
        check("app/a.so", &json, None);
    }

    #[test]
    fn native_programs_are_launchers_and_are_not_listed() {
        assert_eq!(told("app/a.exe", &library(false, &[("ProductVersion", "1.0")])), None);
        assert_eq!(told("app/a.exe", b"MZ"), None);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(changes in proptest::collection::vec((0_usize..1400, any::<u8>()), 0..9), end in 0_usize..1500) {
            let mut file = library(true, &[("ProductVersion", "1.2.3"), ("InternalName", "a.dll")]);
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(end.max(2));
            let _told = told("a.dll", &file);
        }
    }
}
