//! Arch Linux packages, from the database that pacman keeps: a directory a package. It never lists
//! what only the lists of repositories name.

use super::owned::{Owned, Owner};
use super::{FileFacts, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{
    Ecosystem, FoundPackage, Package, PackageNeed, SourcePackage, Supplier,
};

/// `**/lib/pacman/local/NAME-VERSION-RELEASE/desc`.
pub(super) fn is_description(path: &str) -> bool {
    is_in_database(path, "desc")
}

/// What lies beside it.
pub(super) fn is_list(path: &str) -> bool {
    is_in_database(path, "files")
}

fn is_in_database(path: &str, name: &str) -> bool {
    let package = path.strip_suffix(name).and_then(|before| before.strip_suffix('/'));
    let database = package.map(|package| parent(package).trim_end_matches('/'));
    database.is_some_and(|database| ends_with_path(database, "lib/pacman/local"))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let one = |name: &str| {
        values(&text, name).next().filter(|value| !value.contains(char::is_whitespace))
    };
    let (Some(name), Some(version)) = (one("NAME"), one("VERSION")) else {
        return Ok(FileFacts::warning(format!(
            "`{path}` is not listed: it has no name or version"
        )));
    };
    let base = one("BASE").filter(|base| *base != name);
    let package = Package {
        version: Some(version.to_owned()),
        arch: one("ARCH").map(str::to_owned),
        upstream: base.map(|base| SourcePackage { name: base.to_owned(), version: None }),
        supplier: values(&text, "PACKAGER")
            .next()
            .filter(|packager| *packager != "Unknown Packager")
            .and_then(Supplier::from_maintainer),
        licence: licence(&values(&text, "LICENSE").collect::<Vec<_>>()),
        ..Package::named(Ecosystem::Alpm, name)
    };
    let found = FoundPackage {
        provides: values(&text, "PROVIDES").map(|it| bare(it).to_owned()).collect(),
        requires: values(&text, "DEPENDS").map(|it| vec![PackageNeed::named(bare(it))]).collect(),
        ..FoundPackage::alone(package, root_of(path))
    };
    Ok(FileFacts { packages: vec![found], ..FileFacts::default() })
}

pub(super) fn read_list(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let named = values(&text, "FILES").filter(|file| super::binary::is_candidate(file));
    let owns = named.map(|file| format!("{}{file}", root_of(path))).collect();
    Ok(FileFacts { owns, ..FileFacts::default() })
}

/// The same, whole, and whose they are.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let text = String::from_utf8_lossy(bytes);
    let files = values(&text, "FILES").filter(|file| !file.ends_with('/'));
    let paths = files.map(|file| format!("{}{file}", root_of(path))).collect();
    vec![Owned { owner: Owner::ToldBy(format!("{}desc", parent(path))), paths }]
}

/// The lines between `%NAME%` and the next empty one.
fn values<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let is_title =
        |line: &str| line.strip_prefix('%').and_then(|line| line.strip_suffix('%')) == Some(name);
    let mut lines = text.lines().map(str::trim_end);
    let found = lines.by_ref().any(is_title);
    lines.take_while(move |line| found && !line.is_empty())
}

/// `name` of `name>=1.2` and of `name=1.2-3`.
fn bare(relation: &str) -> &str {
    relation.split(['<', '>', '=', ':']).next().unwrap_or_default().trim()
}

/// All of them hold.
fn licence(names: &[&str]) -> Licence {
    match names {
        [] => Licence::Unknown,
        [one] => Licence::from_field(one),
        several => match Licence::from_field(&several.join(" AND ")) {
            Licence::Named(_) => Licence::Named(several.join(", ")),
            joined => joined,
        },
    }
}

/// The root of the file system that a database belongs to, as a prefix.
fn root_of(path: &str) -> &str {
    let before = path.rfind("lib/pacman/local/").and_then(|at| path.get(..at)).unwrap_or_default();
    ["var/", "usr/"].iter().find_map(|directory| before.strip_suffix(directory)).unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::matchers::os_release::OsRelease;

    const DESC: &str = "%NAME%\npacman-contrib\n\n%VERSION%\n1:6.0.1-1\n\n%BASE%\npacman\n\n%DESC%\nA %NAME% that is none\n\n%ARCH%\nx86_64\n\n\
        %LICENSE%\nGPL-2.0-or-later\nMIT\n\n%PACKAGER%\nA B <a@archlinux.org>\n\n%DEPENDS%\nglibc>=2.1\nlibarchive\n\n%PROVIDES%\nlibalpm.so=13-64\n";

    #[test]
    fn a_description_becomes_a_package() {
        let path = "r/var/lib/pacman/local/pacman-contrib-6.0.1-1/desc";
        assert!(is_description(path) && !is_description("var/lib/pacman/sync/core/a/desc"));
        let facts = read(path, DESC.as_bytes()).unwrap();
        let found = &facts.packages[0];
        let release = OsRelease { id: "manjaro".into(), version: None, name: None };
        assert_eq!(
            crate::sbom::purl::of(&found.package, Some(&release)),
            "pkg:alpm/manjaro/pacman-contrib@1:6.0.1-1?arch=x86_64&distro=manjaro&upstream=pacman"
        );
        assert_eq!(found.package.licence, Licence::Expression("GPL-2.0-or-later AND MIT".into()));
        assert_eq!(
            (found.scope.as_str(), &found.provides[..]),
            ("r/", &["libalpm.so".to_owned()][..])
        );
        assert_eq!(found.requires[0], [PackageNeed::named("glibc")]);
        for text in ["", "%NAME%\na\n", "%NAME%\n\n%VERSION%\n1\n", "NAME\na\nVERSION\n1\n"] {
            let facts = read(path, text.as_bytes()).unwrap();
            assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1), "{text}");
        }
    }

    #[test]
    fn its_files_are_its_own() {
        let path = "var/lib/pacman/local/redis-7.2.4-1/files";
        let text =
            b"%FILES%\nusr/\nusr/bin/redis-server\nusr/share/x\n\n%BACKUP%\netc/redis.conf\n";
        assert!(is_list(path));
        assert_eq!(read_list(path, text).unwrap().owns, ["usr/bin/redis-server"]);
        assert_eq!(owned(path, text)[0].paths, ["usr/bin/redis-server", "usr/share/x"]);
    }
}
