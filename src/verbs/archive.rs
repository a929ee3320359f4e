//! An OCI layout in a folder ⇄ the same as one tar archive: equal layouts are equal bytes, and what
//! is unpacked is a layout's files alone, each blob under the name that is its hash. It follows no
//! link, and writes nothing outside of the folder.
//!
//! Layout: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::error::Remedy as _;

/// Where the blobs lie.
const BLOBS: &str = "blobs/sha256/";
/// What a layout has beside its blobs.
const HEADS: [&str; 2] = ["index.json", "oci-layout"];
/// Of either, in bytes; registries take no larger manifests.
const LARGEST_HEAD: u64 = 4 << 20;
/// No image has as many parts.
const MOST_ENTRIES: usize = 100_000;

/// Writes a layout as a tar archive. Its files come in the order of their names, without times,
/// owners or rights of their own.
pub(super) fn pack(folder: &Path, to: &mut File) -> anyhow::Result<()> {
    let mut names: Vec<String> = HEADS.map(str::to_owned).to_vec();
    for entry in fs::read_dir(folder.join(BLOBS))? {
        let name = entry?.file_name();
        let name = name.to_str().context("a blob has a name that is not a text")?.to_owned();
        names.push(format!("{BLOBS}{name}"));
    }
    names.sort_unstable();
    let mut tar = tar::Builder::new(to);
    for name in names {
        let mut file = File::open(folder.join(&name))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, &name, &mut file)?;
    }
    tar.into_inner()?.sync_all()?;
    Ok(())
}

/// Unpacks an archive into an empty folder, or refuses it.
pub(super) fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    let shown = archive.display();
    let file = File::open(archive).with_context(|| format!("`{shown}` cannot be read"))?;
    let mut file = BufReader::new(file);
    if is_compressed(&mut file)? {
        return Err(anyhow::anyhow!("`{shown}` is compressed")).hint("decompress it first");
    }
    unpacked(file, folder).with_context(|| format!("`{shown}` is not an archive of an OCI layout"))
}

fn is_compressed(file: &mut BufReader<File>) -> io::Result<bool> {
    let start = io::BufRead::fill_buf(file)?;
    Ok([&[0x1f, 0x8b][..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"]
        .iter()
        .any(|magic| start.starts_with(magic)))
}

fn unpacked(file: impl Read, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join(BLOBS))?;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries()? {
        let mut entry = entry.context("it is damaged")?;
        let name = name_of(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            match ["", "blobs", "blobs/sha256"].contains(&name.trim_end_matches('/')) {
                true => continue,
                false => bail!("it holds the folder {}", quoted(&name)),
            }
        }
        if !matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
            bail!("{} is not a file, but a link or a device", quoted(&name));
        }
        if !seen.insert(name.clone()) {
            bail!("{} is there twice", quoted(&name));
        }
        if seen.len() > MOST_ENTRIES {
            bail!("it holds more than {MOST_ENTRIES} files");
        }
        let size = entry.size();
        match name.strip_prefix(BLOBS) {
            Some(hex) if is_hex(hex) => write_blob(&mut entry, size, hex, &folder.join(&name))?,
            None if HEADS.contains(&name.as_str()) && size <= LARGEST_HEAD => {
                let mut to = File::create_new(folder.join(&name))?;
                whole(io::copy(&mut entry, &mut to)?, size, &name)?;
            }
            None if HEADS.contains(&name.as_str()) => {
                bail!("{} has {size} bytes", quoted(&name));
            }
            _ => bail!("{} is no part of a layout", quoted(&name)),
        }
    }
    match HEADS.iter().find(|head| !seen.contains(**head)) {
        Some(missing) => bail!("it holds no `{missing}`"),
        None => Ok(()),
    }
}

fn write_blob(from: &mut impl Read, size: u64, hex: &str, to: &Path) -> anyhow::Result<()> {
    let (mut file, mut hash) = (File::create_new(to)?, Sha256::new());
    let (mut buffer, mut written) = (vec![0; 1 << 16], 0);
    loop {
        let count = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        hash.update(piece);
        file.write_all(piece)?;
        written += count as u64;
    }
    whole(written, size, hex)?;
    let found = hex::encode(hash.finalize());
    if found != hex {
        bail!("blob `{hex}` hashes to `{found}`");
    }
    Ok(())
}

fn whole(written: u64, size: u64, name: &str) -> anyhow::Result<()> {
    if written != size {
        bail!("it ends within {}", quoted(name));
    }
    Ok(())
}

/// A name as it stands in the archive, where one `./` before it says nothing.
fn name_of(bytes: &[u8]) -> anyhow::Result<String> {
    let name = std::str::from_utf8(bytes).context("a name in it is not a text")?;
    Ok(name.strip_prefix("./").unwrap_or(name).to_owned())
}

fn is_hex(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn quoted(name: &str) -> String {
    format!("`{}`", crate::oci::shown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(blobs: &[&[u8]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(BLOBS)).unwrap();
        fs::write(folder.path().join("index.json"), "{}").unwrap();
        fs::write(folder.path().join("oci-layout"), "{}").unwrap();
        for blob in blobs {
            let name = hex::encode(Sha256::digest(blob));
            fs::write(folder.path().join(BLOBS).join(name), blob).unwrap();
        }
        folder
    }

    fn packed(folder: &Path) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        pack(folder, &mut file.reopen().unwrap()).unwrap();
        fs::read(file.path()).unwrap()
    }

    fn refused(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("into");
        let error = unpacked(bytes, &into).unwrap_err();
        let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(beside.len(), 1, "nothing is written outside");
        format!("{error:#}")
    }

    /// An archive of these entries: name, type, bytes.
    fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn a_layout_comes_back_as_it_was_and_is_packed_the_same_again() {
        let folder = layout(&[b"one", b"two", &[7; 200_000]]);
        let bytes = packed(folder.path());
        let back = tempfile::tempdir().unwrap();
        unpacked(bytes.as_slice(), back.path()).unwrap();
        for name in HEADS {
            assert!(back.path().join(name).is_file());
        }
        assert_eq!(fs::read_dir(back.path().join(BLOBS)).unwrap().count(), 3);
        assert_eq!(packed(back.path()), bytes);
    }

    #[test]
    fn a_hostile_archive_is_refused() {
        use tar::EntryType::{Block, Directory, Link, Regular, Symlink};
        let one = hex::encode(Sha256::digest(b"one"));
        let blob = format!("{BLOBS}{one}");
        let heads = [("oci-layout", Regular, &b"{}"[..]), ("index.json", Regular, &b"{}"[..])];
        let with = |name: &str, kind: tar::EntryType, bytes: &[u8]| {
            refused(&archive(&[&heads[..], &[(name, kind, bytes)]].concat()))
        };
        for (name, kind, bytes, why) in [
            ("../escaped", Regular, &b"x"[..], "no part of a layout"),
            ("/tmp/escaped", Regular, b"x", "no part of a layout"),
            ("blobs/sha256/../../../escaped", Regular, b"x", "no part of a layout"),
            ("blobs/sha256/../index.json", Regular, b"x", "no part of a layout"),
            ("././../escaped", Regular, b"x", "no part of a layout"),
            ("manifest.json", Regular, b"x", "no part of a layout"),
            ("blobs/sha512/00", Regular, b"x", "no part of a layout"),
            ("elsewhere", Directory, b"", "holds the folder"),
            ("../blobs", Directory, b"", "holds the folder"),
            (blob.as_str(), Symlink, b"", "a link or a device"),
            (blob.as_str(), Link, b"", "a link or a device"),
            ("blobs", Symlink, b"", "a link or a device"),
            (blob.as_str(), Block, b"", "a link or a device"),
            ("index.json", Regular, b"{}", "is there twice"),
            ("./index.json", Regular, b"{}", "is there twice"),
            (blob.as_str(), Regular, b"two", "hashes to"),
        ] {
            let said = with(name, kind, bytes);
            assert!(said.contains(why), "{name}: {said}");
        }
        let twice = [(blob.as_str(), Regular, &b"one"[..]); 2];
        assert!(refused(&archive(&[&heads[..], &twice].concat())).contains("is there twice"));
        assert!(refused(&archive(&heads[..1])).contains("holds no `index.json`"));
        let huge = vec![b' '; LARGEST_HEAD as usize + 1];
        assert!(refused(&archive(&[("index.json", Regular, &huge)])).contains("bytes"));
        let good = archive(&[&heads[..], &[(blob.as_str(), Regular, b"one")]].concat());
        for cut in [100, 600, good.len() - 1024 - 512 - 1] {
            refused(&good[..cut]);
        }
        assert!(refused(b"no archive at all, and not one that is long enough").len() > 3);
    }

    #[test]
    fn a_compressed_archive_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.tar");
        for magic in [&b"\x1f\x8b\x08\0"[..], b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\0"] {
            fs::write(&file, magic).unwrap();
            let error = unpack(&file, &folder.path().join("into")).unwrap_err();
            assert!(format!("{error:#}").contains("is compressed"));
        }
    }
}
