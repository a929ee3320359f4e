//! PHP extensions, by the entry that each hands to PHP when it is loaded: its own name and version.
//! It takes no text for a version that the entry does not point at, and loads nothing.

use std::io;

use object::read::ReadRef as _;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, elf};

use super::FileFacts;
use super::bounded::{Bounded, bounded};
use crate::sbom::package::{Ecosystem, FoundPackage, Package};
use crate::sbom::source::{FileContents, NotKept};

/// No extension has more initialised data.
const LARGEST: u64 = 12 << 20;
/// Nor more places that the loader fills in.
const LARGEST_TABLE: u64 = 4 << 20;
/// What begins like an entry and is none: by chance a few, and more is an attack.
const MOST_TRIES: usize = 64;
/// Built into one file, extensions are few.
const MOST_ENTRIES: usize = 32;
const MOST_SEGMENTS: usize = 64;
const LONGEST_TEXT: u64 = 120;

/// Where directories are PHP's own: `php83/modules`, `php/20220829`, `php/extensions/…`.
pub(super) fn is_extension(path: &str) -> bool {
    path.ends_with(".so")
        && super::parent(path).split('/').any(|directory| directory.starts_with("php"))
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let entries = match bounded(contents, entries) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<NotKept>()) => {
            return Ok(FileFacts::warning(format!(
                "the PHP extension `{path}` is too large to be read"
            )));
        }
        Err(error) => return Err(error),
    };
    let file = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".so");
    let alone = entries.len() == 1;
    let packages = entries.into_iter().map(|entry| {
        // PHP's own configuration names a file, as `zend_extension=opcache`, and so do advisories.
        let name = if alone && !file.is_empty() { file } else { &entry.name };
        let mut notes = vec![format!("A PHP extension, built for {}.", entry.built_for)];
        if !entry.name.eq_ignore_ascii_case(name) {
            notes.push(format!("It calls itself {}.", entry.name));
        }
        let package = Package {
            version: entry.version.clone(),
            notes,
            ..Package::named(Ecosystem::Generic, name)
        };
        FoundPackage::alone(package, path)
    });
    Ok(FileFacts { packages: packages.collect(), ..FileFacts::default() })
}

/// What a `zend_module_entry` says.
#[derive(Debug, PartialEq, Eq)]
struct ModuleEntry {
    name: String,
    version: Option<String>,
    /// `API20220829,NTS`: the interface, and whether threads may share it.
    built_for: String,
}

/// Where an entry has what, by the size of pointers. See
/// <https://github.com/php/php-src/blob/master/Zend/zend_modules.h>.
struct Shape {
    size: u16,
    step: usize,
    name: u64,
    version: u64,
    build: u64,
}

const WIDE: Shape = Shape { size: 168, step: 8, name: 32, version: 88, build: 160 };
const NARROW: Shape = Shape { size: 92, step: 4, name: 20, version: 48, build: 88 };

/// A part of the file that is loaded at an address.
struct LoadedSegment {
    address: u64,
    offset: u64,
    size: u64,
    is_writable: bool,
}

/// A shared object as far as its entries need it.
struct Object<'data, 'file> {
    data: &'data Bounded<'file>,
    is_big: bool,
    shape: &'static Shape,
    loaded: Vec<LoadedSegment>,
    /// Places that the loader fills in, with what goes there; empty where the file has it in place.
    filled: &'data [u8],
}

fn entries(data: &Bounded<'_>) -> Option<Vec<ModuleEntry>> {
    if data.read_bytes_at(0, 4).ok()? != b"\x7fELF" {
        return None;
    }
    let object = match *data.read_bytes_at(4, 1).ok()?.first()? {
        1 => object::<elf::FileHeader32<Endianness>>(data, &NARROW)?,
        _ => object::<elf::FileHeader64<Endianness>>(data, &WIDE)?,
    };
    object.entries()
}

fn object<'data, 'file, Elf: FileHeader<Endian = Endianness>>(
    data: &'data Bounded<'file>,
    shape: &'static Shape,
) -> Option<Object<'data, 'file>> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let of_kind = |kind| {
        let all = segments.iter().take(MOST_SEGMENTS);
        all.filter(move |segment| segment.p_type(endian) == kind)
    };
    let loaded: Vec<LoadedSegment> = of_kind(elf::PT_LOAD)
        .map(|segment| LoadedSegment {
            address: segment.p_vaddr(endian).into(),
            offset: segment.p_offset(endian).into(),
            size: segment.p_filesz(endian).into(),
            is_writable: segment.p_flags(endian).0 & elf::PF_W.0 != 0,
        })
        .collect();
    let mut object =
        Object { data, is_big: matches!(endian, Endianness::Big), shape, loaded, filled: &[] };
    let dynamic = of_kind(elf::PT_DYNAMIC).find_map(|segment| {
        let size: u64 = segment.p_filesz(endian).into();
        segment.dynamic(endian, data).ok().flatten().filter(|_| size <= LARGEST)
    });
    let value = |wanted| {
        let named = dynamic?.iter().find(|entry| entry.tag(endian) == wanted)?;
        Some(named.val(endian))
    };
    if let (Some(address), Some(size)) = (value(elf::DT_RELA), value(elf::DT_RELASZ)) {
        object.filled = object.at(address, size.min(LARGEST_TABLE)).unwrap_or_default();
    }
    Some(object)
}

impl<'data> Object<'data, '_> {
    fn entries(&self) -> Option<Vec<ModuleEntry>> {
        let mut found = Vec::new();
        let mut tries = 0;
        let writable = self.loaded.iter().filter(|it| it.is_writable && it.size <= LARGEST);
        for segment in writable {
            let bytes = self.data.read_bytes_at(segment.offset, segment.size).ok()?;
            for at in (0..bytes.len()).step_by(self.shape.step) {
                let Some(start) = bytes.get(at..at + 12) else { break };
                let Some(interface) = self.interface(start) else { continue };
                let address = segment.address.checked_add(at as u64)?;
                found.extend(self.entry(address, interface));
                tries += 1;
                if found.len() == MOST_ENTRIES || tries == MOST_TRIES {
                    return Some(found);
                }
            }
        }
        Some(found)
    }

    /// The number of PHP's interface, a date, if an entry may start so.
    fn interface(&self, start: &[u8]) -> Option<u32> {
        let size = *start.first_chunk::<2>()?;
        let size = if self.is_big { u16::from_be_bytes(size) } else { u16::from_le_bytes(size) };
        let interface = self.number(start.get(4..8)?)?;
        let flags = start.get(8..10)?;
        let plausible = size == self.shape.size
            && (20_000_000..30_000_000).contains(&interface)
            && flags.iter().all(|flag| *flag <= 1);
        plausible.then(|| u32::try_from(interface).ok()).flatten()
    }

    /// Believed only where the interface that it was built for is the one that it names.
    fn entry(&self, address: u64, interface: u32) -> Option<ModuleEntry> {
        let text = |offset: u64| self.text(self.pointer(address.checked_add(offset)?)?);
        let built_for = text(self.shape.build)?;
        if !built_for.starts_with(&format!("API{interface}")) {
            return None;
        }
        let name = text(self.shape.name)?;
        // Some write their name before it: `mysqlnd 8.2.36`.
        let version = text(self.shape.version);
        let version = version.as_deref().and_then(|text| text.split_whitespace().last());
        let version = version.filter(|it| it.bytes().any(|byte| byte.is_ascii_digit()));
        Some(ModuleEntry { name, version: version.map(str::to_owned), built_for })
    }

    /// What the loader puts there, or else what is there.
    fn pointer(&self, address: u64) -> Option<u64> {
        let width = self.shape.step;
        let mut filled = self.filled.chunks_exact(width * 3);
        let fills =
            filled.find(|it| it.get(..width).and_then(|it| self.number(it)) == Some(address));
        let told = fills.and_then(|it| self.number(it.get(width * 2..)?)).filter(|it| *it != 0);
        told.or_else(|| self.number(self.at(address, width as u64)?)).filter(|it| *it != 0)
    }

    fn text(&self, address: u64) -> Option<String> {
        let bytes = (1..=LONGEST_TEXT).rev().step_by(24).find_map(|size| self.at(address, size))?;
        let text = bytes.get(..memchr::memchr(0, bytes)?)?;
        let text = std::str::from_utf8(text).ok()?;
        let plain = |it: char| it.is_ascii_graphic() || it == ' ';
        (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
    }

    fn at(&self, address: u64, size: u64) -> Option<&'data [u8]> {
        let offset = self.loaded.iter().find_map(|loaded| {
            let distance = address.checked_sub(loaded.address)?;
            let end = distance.checked_add(size)?;
            (end <= loaded.size).then(|| loaded.offset.checked_add(distance))?
        });
        self.data.read_bytes_at(offset?, size).ok()
    }

    /// Of four or eight bytes.
    fn number(&self, bytes: &[u8]) -> Option<u64> {
        if let Some(eight) = bytes.first_chunk::<8>() {
            return Some(if self.is_big {
                u64::from_be_bytes(*eight)
            } else {
                u64::from_le_bytes(*eight)
            });
        }
        let four = *bytes.first_chunk::<4>()?;
        Some(u64::from(if self.is_big {
            u32::from_be_bytes(four)
        } else {
            u32::from_le_bytes(four)
        }))
    }
}

#[cfg(test)]
mod tests;
