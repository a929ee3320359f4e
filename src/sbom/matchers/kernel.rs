//! Linux kernels that no distribution's package brought, by the version in their header, and modules
//! that are not the kernel's own. It unpacks no kernel.

use std::io::{self, Read as _};

use super::start::{self, StartRule};
use super::{FileFacts, PieceScanner};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package};
use crate::sbom::source::FileContents;

/// The text lies in the part that starts the machine, which is small.
const LARGEST: usize = 64 << 10;
/// See <https://docs.kernel.org/arch/x86/boot.html#the-real-mode-kernel-header>.
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
const POINTER: usize = 0x20e;

pub(super) fn is_kernel(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["vmlinuz", "bzImage", "vmlinux"].iter().any(|it| {
        name.strip_prefix(it).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    })
}

pub(super) fn scanner(path: &str) -> Box<dyn PieceScanner> {
    const START: StartRule = StartRule { largest: LARGEST, begins: b"", told: of_start };
    start::scanner(path, &START)
}

fn of_start(path: &str, bytes: &[u8]) -> FileFacts {
    let package = version(bytes).map(|version| Package {
        version: Some(version),
        ..Package::named(Ecosystem::Generic, "linux-kernel")
    });
    let packages = package.map(|package| FoundPackage::alone(package, path));
    FileFacts { packages: packages.into_iter().collect(), ..FileFacts::default() }
}

/// `6.1.0-28-amd64` of `6.1.0-28-amd64 (builder) #1 SMP …`.
fn version(bytes: &[u8]) -> Option<String> {
    let (at, magic) = MAGIC;
    bytes.get(at..)?.starts_with(magic).then_some(())?;
    let pointer = bytes.get(POINTER..)?.first_chunk::<2>()?;
    let text = bytes.get(usize::from(u16::from_le_bytes(*pointer)) + 0x200..)?;
    let text = text.get(..text.len().min(256))?;
    let word = text.split(|byte| [b' ', 0].contains(byte)).next()?;
    let version = std::str::from_utf8(word).ok()?;
    let is_version = version.starts_with(|it: char| it.is_ascii_digit())
        && version.contains('.')
        && version.chars().all(|it| it.is_ascii_alphanumeric() || ".-+_~".contains(it));
    is_version.then(|| version.to_owned())
}

/// No module that is kept in a file of its own is larger.
const LARGEST_MODULE: u64 = 32 << 20;

pub(super) fn is_module(path: &str) -> bool {
    path.ends_with(".ko") && path.contains("lib/modules/")
}

/// A module that is not part of the kernel's own source; those that are come with the kernel.
pub(super) fn read_module(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let mut bytes = Vec::new();
    contents.take(LARGEST_MODULE).read_to_end(&mut bytes)?;
    let value = |key: &[u8]| {
        let at = memchr::memmem::find(&bytes, key)?;
        let rest = bytes.get(at + key.len()..)?;
        let text = rest.get(..rest.len().min(256))?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty())
    };
    let (Some(name), Some(version)) = (value(b"\0name="), value(b"\0version=")) else {
        return Ok(FileFacts::default());
    };
    let is_word = |text: &str| !text.contains(char::is_whitespace);
    if value(b"\0intree=").is_some() || !is_word(&name) || !is_word(&version) {
        return Ok(FileFacts::default());
    }
    let package = Package {
        version: Some(version),
        licence: value(b"\0license=").map_or(Licence::Unknown, |text| Licence::from_field(&text)),
        notes: vec!["A module of the Linux kernel.".to_owned()],
        ..Package::named(Ecosystem::Generic, name)
    };
    Ok(FileFacts { packages: vec![FoundPackage::alone(package, path)], ..FileFacts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_others_tell_their_version() {
        let path = "usr/lib/modules/6.1.0/updates/nvidia.ko";
        let of = |text: &[u8]| {
            let mut file = io::Cursor::new(text.to_vec());
            let found = read_module(path, &mut file).unwrap().packages.pop()?;
            Some(crate::sbom::purl::of(&found.package, None))
        };
        assert!(is_module(path) && !is_module("opt/x.ko") && !is_module("lib/modules/a.ko.xz"));
        let module = b"\x7fELF\0license=NVIDIA\0version=550.54\0name=nvidia\0vermagic=6.1\0";
        assert_eq!(of(module).unwrap(), "pkg:generic/nvidia@550.54");
        assert_eq!(of(b"\0version=1\0intree=Y\0name=a\0"), None);
        assert_eq!(of(b"\0name=a\0vermagic=6.1\0"), None);
        assert_eq!(of(b""), None);
        assert_eq!(of(b"\0name=a\0version="), None);
    }

    fn purl(bytes: &[u8]) -> Option<String> {
        let mut scanner = scanner("boot/vmlinuz");
        scanner.feed(bytes);
        let found = scanner.finish().packages.pop()?;
        Some(crate::sbom::purl::of(&found.package, None))
    }

    fn kernel(text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x600_u16.to_le_bytes());
        bytes[0x800..0x800 + text.len()].copy_from_slice(text);
        bytes
    }

    #[test]
    fn a_kernels_header_tells_its_version() {
        let debian = kernel(b"6.1.0-28-amd64 (debian-kernel@lists.debian.org) #1 SMP\0");
        assert_eq!(purl(&debian).unwrap(), "pkg:generic/linux-kernel@6.1.0-28-amd64");
        assert_eq!(purl(&kernel(b"none")), None);
        assert_eq!(purl(&kernel(b"")), None);
        let mut far = kernel(b"6.1.0");
        far[0x20e..0x210].copy_from_slice(&0xffff_u16.to_le_bytes());
        assert_eq!(purl(&far), None);
        for length in [0, 0x202, 0x206, 0x20f, 0x800] {
            assert_eq!(purl(&debian[..length]), None, "{length}");
        }
    }

    #[test]
    fn kernels_have_few_names() {
        let check = |path: &str, expected: bool| assert_eq!(is_kernel(path), expected, "{path}");
        check("boot/vmlinuz-6.1.0-28-amd64", true);
        check("lib/modules/6.6.1/vmlinuz", true);
        check("boot/bzImage", true);
        check("boot/vmlinuzx", false);
    }
}
