//! Where an ELF, PE or Mach-O file has what the Go linker leaves. It reads headers alone, and
//! judges nothing that they point to.

use std::io;
use std::ops::Range;

use object::read::ReadRef as _;
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::read::macho::{MachHeader, Section as _, Segment as _};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader as _, optional_header_magic};
use object::{Endianness, elf, macho, pe};

use crate::sbom::matchers::bounded::{Bounded, bounded, read_at};
use crate::sbom::source::FileContents;

/// Judges a file by its first four bytes.
pub(in crate::sbom::matchers) fn is_executable(start: &[u8]) -> bool {
    const MACHO: [&[u8]; 4] =
        [b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"];
    start.starts_with(b"\x7fELF") || start.starts_with(b"MZ") || MACHO.contains(&start)
}

/// Where things are in the file.
#[derive(Debug, Default)]
pub(super) struct ExecutableLayout {
    /// Sections named for build information.
    pub(super) marked: Vec<Range<u64>>,
    /// Sections named for the table of functions.
    pub(super) functions: Vec<Range<u64>>,
    /// Initialised, writable data: where build information is if nothing is marked.
    pub(super) data: Vec<Range<u64>>,
    /// Address and file range of what gets loaded.
    loaded: Vec<(u64, Range<u64>)>,
    /// Of what gets loaded, the machine code.
    code: Vec<Range<u64>>,
}

impl ExecutableLayout {
    /// The file offset of `size` bytes at an address.
    pub(super) fn offset(&self, address: u64, size: u64) -> Option<u64> {
        self.loaded.iter().find_map(|(start, file)| {
            let distance = address.checked_sub(*start)?;
            let end = distance.checked_add(size)?;
            (end <= file.end - file.start).then(|| file.start + distance)
        })
    }

    /// Adds what gets loaded, at its address.
    pub(super) fn add_loaded(&mut self, address: u64, file: Range<u64>, is_code: bool) {
        if is_code {
            self.code.push(file.clone());
        }
        self.loaded.push((address, file));
    }

    /// What gets loaded, and what is no machine code first.
    pub(super) fn by_likelihood(&self) -> impl Iterator<Item = &Range<u64>> {
        let others = self.loaded.iter().map(|(_, file)| file);
        others.filter(|file| !self.code.contains(file)).chain(&self.code)
    }
}

fn range(offset: u64, size: u64) -> Option<Range<u64>> {
    Some(offset..offset.checked_add(size)?).filter(|range| !range.is_empty())
}

pub(super) fn layout(contents: &mut dyn FileContents) -> io::Result<Option<ExecutableLayout>> {
    let mut start = [0; 4];
    if !read_at(contents, 0, &mut start)? {
        return Ok(None);
    }
    bounded(contents, |data| parse(data, start))
}

fn parse(data: &Bounded<'_>, start: [u8; 4]) -> Option<ExecutableLayout> {
    let class = *data.read_bytes_at(4, 1).ok()?.first()?;
    match (start, class) {
        ([0x7f, b'E', b'L', b'F'], 1) => elf_layout::<elf::FileHeader32<Endianness>>(data),
        ([0x7f, b'E', b'L', b'F'], _) => elf_layout::<elf::FileHeader64<Endianness>>(data),
        ([b'M', b'Z', ..], _) => match optional_header_magic(data).ok()? {
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => pe_layout::<pe::ImageNtHeaders32>(data),
            _ => pe_layout::<pe::ImageNtHeaders64>(data),
        },
        ([0xfe, 0xed, 0xfa, 0xce] | [0xce, 0xfa, 0xed, 0xfe], _) => {
            macho_layout::<macho::MachHeader32<Endianness>>(data)
        }
        _ => macho_layout::<macho::MachHeader64<Endianness>>(data),
    }
}

fn elf_layout<Elf: FileHeader<Endian = Endianness>>(
    data: &Bounded<'_>,
) -> Option<ExecutableLayout> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let mut layout = ExecutableLayout::default();
    for segment in header.program_headers(endian, data).ok()? {
        let (offset, size) = segment.file_range(endian);
        if let Some(file) = range(offset, size).filter(|_| segment.p_type(endian) == elf::PT_LOAD) {
            let flags = segment.p_flags(endian).0;
            if flags & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0 {
                layout.data.push(file.clone());
            }
            layout.add_loaded(segment.p_vaddr(endian).into(), file, flags & elf::PF_X.0 != 0);
        }
    }
    // Without section headers, as after `sstrip`, the data is searched.
    if let Ok(sections) = header.sections(endian, data) {
        for section in sections.iter() {
            let marked = match sections.section_name(endian, section) {
                Ok(b".go.buildinfo") => &mut layout.marked,
                // The second one is that of a program that can lie anywhere in memory.
                Ok(b".gopclntab" | b".data.rel.ro.gopclntab") => &mut layout.functions,
                _ => continue,
            };
            if let Some((offset, size)) = section.file_range(endian) {
                marked.extend(range(offset, size));
            }
        }
    }
    Some(layout)
}

fn pe_layout<Pe: ImageNtHeaders>(data: &Bounded<'_>) -> Option<ExecutableLayout> {
    const WRITABLE_DATA: u32 = 0xc000_0040;
    const CODE: u32 = 0x2000_0000;
    let dos = pe::ImageDosHeader::parse(data).ok()?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (headers, _) = Pe::parse(data, &mut offset).ok()?;
    let base = headers.optional_header().image_base();
    let mut layout = ExecutableLayout::default();
    for section in headers.sections(data, offset).ok()?.iter() {
        let (offset, size) = section.pe_file_range();
        let Some(file) = range(offset.into(), size.into()) else { continue };
        // Go marks nothing by name in PE.
        let characteristics = section.characteristics.get(object::LittleEndian).0;
        if characteristics & WRITABLE_DATA == WRITABLE_DATA {
            layout.data.push(file.clone());
        }
        let address = section.virtual_address.get(object::LittleEndian).into();
        layout.add_loaded(base.saturating_add(address), file, characteristics & CODE != 0);
    }
    Some(layout)
}

fn macho_layout<Mach: MachHeader<Endian = Endianness>>(
    data: &Bounded<'_>,
) -> Option<ExecutableLayout> {
    let header = Mach::parse(data, 0).ok()?;
    let endian = header.endian().ok()?;
    let mut layout = ExecutableLayout::default();
    let mut commands = header.load_commands(endian, data, 0).ok()?;
    while let Some(command) = commands.next().ok()? {
        let Ok(Some((segment, section_data))) = Mach::Segment::from_command(command) else {
            continue;
        };
        let (offset, size) = segment.file_range(endian);
        let Some(file) = range(offset, size) else { continue };
        if segment.name() == b"__DATA" {
            layout.data.push(file.clone());
        }
        layout.add_loaded(segment.vmaddr(endian).into(), file, false);
        for section in segment.sections(endian, section_data).ok()? {
            let marked = match section.name() {
                b"__go_buildinfo" => &mut layout.marked,
                b"__gopclntab" => &mut layout.functions,
                _ => continue,
            };
            marked.extend(range(section.offset(endian).into(), section.size(endian).into()));
        }
    }
    Some(layout)
}
