//! Packages that rpm has installed, from any of its three databases and from Azure Linux's
//! manifest. It never runs rpm and checks no signature.

use super::owned::{Owned, Owner};
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{
    Ecosystem, FoundPackage, Package, PackageNeed, SourcePackage, Supplier,
};
use header::RpmHeader;

mod bdb;
mod header;
mod ndb;
mod sqlite;
mod wal;

pub(super) use wal::with_journal;

const DIRECTORIES: [&str; 3] = ["var/lib/rpm", "usr/share/rpm", "usr/lib/sysimage/rpm"];
const MANIFEST: &str = "var/lib/rpmmanifest/container-manifest-2";
/// Thousands of packages have fewer.
const MOST_RELATIONS: usize = 2_000_000;
const JOURNAL: &str = "rpmdb.sqlite-wal";

pub(super) fn is_database(path: &str) -> bool {
    let (directory, name) =
        (parent(path).trim_end_matches('/'), path.rsplit('/').next().unwrap_or_default());
    let known = ["Packages", "Packages.db", "rpmdb.sqlite", JOURNAL].contains(&name);
    (known && DIRECTORIES.iter().any(|tail| ends_with_path(directory, tail)))
        || ends_with_path(path, MANIFEST)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    if let Some(database) = path.strip_suffix("-wal").filter(|_| path.ends_with(JOURNAL)) {
        // An rpm that ended properly has moved it all into the database.
        let journal_of = wal::has_changes(bytes).then(|| database.to_owned());
        return Ok(FileFacts { journal_of, ..FileFacts::default() });
    }
    let mut facts = FileFacts::default();
    if ends_with_path(path, MANIFEST) {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match from_manifest(line) {
                Some(package) => facts.packages.push(FoundPackage::alone(package, path)),
                None => facts.warn(format!("a line of `{path}` is not understood")),
            }
        }
        return Ok(facts);
    }
    if bytes.is_empty() {
        return Ok(facts);
    }
    let (mut told, mut visited, mut related) = (0, 0, 0);
    let mut visit = |blob: &[u8]| -> Result<(), MalformedDatabase> {
        (told, visited) = (told + 1, visited + blob.len());
        // Each header is somewhere in the file once, so all together are no longer than it.
        if told > MOST_PACKAGES || visited > bytes.len() {
            return Err(MalformedDatabase("it lists more packages than it can hold".into()));
        }
        match RpmHeader::parse(blob).and_then(|header| Some((entry(path, &header)?, header))) {
            Some((Some(mut found), header)) => {
                related += found.provides.len() + found.requires.len();
                if related > MOST_RELATIONS {
                    (found.provides, found.requires) = (Vec::new(), Vec::new());
                    facts.warn(format!(
                        "`{path}` has too many dependencies, so some are not listed"
                    ));
                }
                facts.owns.extend(header.files().filter(|file| super::binary::is_candidate(file)));
                facts.packages.push(found);
            }
            Some((None, _)) => {}
            None => {
                facts.warn(format!("entry {told} of `{path}` is not listed: its header is damaged"))
            }
        }
        Ok(())
    };
    blobs(bytes, &mut visit)?;
    if told > 0 && facts.packages.is_empty() && !facts.warnings.is_empty() {
        return Err(MalformedDatabase("none of its headers can be read".into()));
    }
    Ok(facts)
}

fn blobs(
    bytes: &[u8],
    visit: &mut dyn FnMut(&[u8]) -> Result<(), MalformedDatabase>,
) -> Result<(), MalformedDatabase> {
    match () {
        () if sqlite::is_database(bytes) => sqlite::blobs(bytes, visit),
        () if ndb::is_database(bytes) => ndb::blobs(bytes, visit),
        () if bdb::is_database(bytes) => bdb::blobs(bytes, visit),
        () => Err(MalformedDatabase("it is none of rpm's databases".into())),
    }
}

/// The files of each package, of a database that was read before.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let (mut lists, mut visited) = (Vec::new(), 0);
    let mut visit = |blob: &[u8]| -> Result<(), MalformedDatabase> {
        visited += blob.len();
        if visited > bytes.len() {
            return Err(MalformedDatabase(String::new()));
        }
        if let Some((Some(found), header)) =
            RpmHeader::parse(blob).and_then(|header| Some((entry(path, &header)?, header)))
        {
            let Package { ecosystem, name, arch, version, .. } = found.package;
            lists.push(Owned {
                owner: Owner::Named { ecosystem, scope: path.to_owned(), name, arch, version },
                paths: header.files().collect(),
            });
        }
        Ok(())
    };
    // What is wrong with it was told when its packages were read.
    let _ = blobs(bytes, &mut visit);
    lists
}

/// Nothing where the header makes no sense; an inner nothing for keys, which rpm keeps like
/// packages.
fn entry(path: &str, header: &RpmHeader<'_>) -> Option<Option<FoundPackage>> {
    let name = header.text(header::NAME)?;
    let (version, release) = (header.text(header::VERSION)?, header.text(header::RELEASE)?);
    if name == "gpg-pubkey" {
        return Some(None);
    }
    let epoch = header.number(header::EPOCH);
    let label = header
        .text(header::MODULE)
        .map(|label| ("rpmmod", label.split(':').take(2).collect::<Vec<_>>().join(":")));
    let package = Package {
        version: Some(match epoch {
            Some(epoch) => format!("{epoch}:{version}-{release}"),
            None => format!("{version}-{release}"),
        }),
        arch: header.text(header::ARCH),
        upstream: header.text(header::SOURCE).map(|name| SourcePackage { name, version: None }),
        supplier: header.text(header::VENDOR).and_then(|vendor| Supplier::organization(&vendor)),
        licence: header
            .text(header::LICENCE)
            .map_or(Licence::Unknown, |licence| Licence::from_field(&licence)),
        qualifiers: epoch
            .map(|epoch| ("epoch", epoch.to_string()))
            .into_iter()
            .chain(label)
            .collect(),
        ..Package::named(Ecosystem::Rpm, name)
    };
    // `rpmlib(…)` is rpm itself, and conditions in brackets say more than a name.
    let needed = header
        .texts(header::REQUIRES)
        .filter(|need| !need.starts_with("rpmlib(") && !need.starts_with('('));
    let mut requires: Vec<String> = needed.collect();
    requires.sort();
    requires.dedup();
    Some(Some(FoundPackage {
        provides: header.texts(header::PROVIDES).collect(),
        requires: requires.into_iter().map(|name| vec![PackageNeed { name, arch: None }]).collect(),
        ..FoundPackage::alone(package, path)
    }))
}

/// Name, version and release, times, vendor, epoch, size, architecture, epoch number, source;
/// separated by tabs.
fn from_manifest(line: &str) -> Option<Package> {
    let fields: Vec<&str> = line.split('\t').collect();
    let field =
        |at: usize| fields.get(at).copied().filter(|text| !text.is_empty() && *text != "(none)");
    let (name, version) = (field(0)?, field(1)?);
    let epoch = field(8).or(field(5)).filter(|epoch| *epoch != "0");
    Some(Package {
        version: Some(epoch.map_or(version.to_owned(), |epoch| format!("{epoch}:{version}"))),
        arch: field(7).map(str::to_owned),
        upstream: field(9).map(|name| SourcePackage { name: name.to_owned(), version: None }),
        supplier: field(4).and_then(Supplier::organization),
        qualifiers: epoch.map(|epoch| ("epoch", epoch.to_owned())).into_iter().collect(),
        ..Package::named(Ecosystem::Rpm, name)
    })
}

/// A number of four bytes, or nothing beyond the end.
fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
}

/// As many bytes as are there.
fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

#[cfg(test)]
mod tests;
