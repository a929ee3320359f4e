//! Packages of OpenWrt, Yocto and others that opkg installed, from its `status` and control files.
//! It never lists what was removed.

use super::deb822::{Stanza, stanzas};
use super::dpkg::{is_unpacked, needs};
use super::owned::{Owned, Owner};
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, SourcePackage, Supplier};

const DATABASES: [&str; 2] = ["lib/opkg", "lib/ipkg"];

pub(super) fn is_database(path: &str) -> bool {
    let is_status = |it: &&str| {
        path.strip_suffix("/status").is_some_and(|directory| ends_with_path(directory, it))
    };
    DATABASES.iter().any(is_status) || is_control(path)
}

/// What a package brought along says less than the status does: it stays after a downgrade.
pub fn is_control(path: &str) -> bool {
    is_info(path, ".control")
}

/// Which files a package has.
pub(super) fn is_list(path: &str) -> bool {
    is_info(path, ".list")
}

fn is_info(path: &str, suffix: &str) -> bool {
    let directory = parent(path).strip_suffix("/info/").unwrap_or_default();
    path.ends_with(suffix) && DATABASES.iter().any(|it| ends_with_path(directory, it))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let mut facts = FileFacts::default();
    for stanza in stanzas(&text) {
        if facts.packages.len() >= MOST_PACKAGES {
            facts.warn(format!("`{path}` lists more than {MOST_PACKAGES} packages"));
            break;
        }
        if !is_unpacked(stanza.get("Status")) {
            continue;
        }
        match package(&stanza) {
            Some(package) => {
                let depends =
                    ["Pre-Depends", "Depends"].into_iter().filter_map(|it| stanza.get(it));
                let provides = stanza.get("Provides").map(needs).unwrap_or_default();
                facts.packages.push(FoundPackage {
                    requires: depends.flat_map(needs).collect(),
                    provides: provides.into_iter().flatten().map(|need| need.name).collect(),
                    ..FoundPackage::alone(package, root_of(path))
                });
            }
            None => facts.warn(format!(
                "the entry at line {} of `{path}` is not listed: it has no name or version",
                stanza.line
            )),
        }
    }
    Ok(facts)
}

fn package(stanza: &Stanza<'_>) -> Option<Package> {
    let field = |name| stanza.get(name).map(str::trim).filter(|value| !value.is_empty());
    let word = |name| field(name).filter(|value| !value.contains(char::is_whitespace));
    let (name, version) = (word("Package")?, word("Version")?);
    let upstream = word("SourceName").or_else(|| field("Source").and_then(source));
    Some(Package {
        version: Some(version.to_owned()),
        arch: word("Architecture").map(str::to_owned),
        upstream: upstream
            .filter(|upstream| *upstream != name)
            .map(|upstream| SourcePackage { name: upstream.to_owned(), version: None }),
        supplier: field("Maintainer").and_then(Supplier::from_maintainer),
        licence: field("License").map_or(Licence::Unknown, Licence::from_field),
        ..Package::named(Ecosystem::Opkg, name)
    })
}

/// `glibc` of Yocto's recipe `glibc_2.38.bb`, and of OpenWrt's `feeds/packages/libs/glibc`.
fn source(source: &str) -> Option<&str> {
    let last = source.rsplit('/').next()?;
    let name = match last.strip_suffix(".bb") {
        Some(recipe) => recipe.split('_').next()?,
        None => last,
    };
    (!name.is_empty() && !name.contains([' ', ':'])).then_some(name)
}

pub(super) fn read_list(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let named = files(&text).filter(|file| super::binary::is_candidate(file));
    let owns = named.map(|file| format!("{}{file}", root_of(path))).collect();
    Ok(FileFacts { owns, ..FileFacts::default() })
}

/// The same, whole, and whose they are.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let text = String::from_utf8_lossy(bytes);
    let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".list");
    let owner = Owner::Named {
        ecosystem: Ecosystem::Opkg,
        scope: root_of(path).to_owned(),
        name: name.to_owned(),
        arch: None,
        version: None,
    };
    vec![Owned {
        owner,
        paths: files(&text).map(|file| format!("{}{file}", root_of(path))).collect(),
    }]
}

/// Some lists have the mode of each file behind a tab.
fn files(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('\t').next().unwrap_or_default().trim_start_matches('/'))
}

/// The root of the file system that a database belongs to, as a prefix.
fn root_of(path: &str) -> &str {
    let starts = DATABASES.iter().filter_map(|it| path.rfind(&format!("{it}/")));
    let before = starts.max().and_then(|at| path.get(..at)).unwrap_or_default();
    ["var/", "usr/"].iter().find_map(|directory| before.strip_suffix(directory)).unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::matchers::os_release::OsRelease;
    use crate::sbom::package::PackageNeed;

    #[test]
    fn databases_are_found_in_all_their_places() {
        let check = |path: &str, expected: bool| assert_eq!(is_database(path), expected, "{path}");
        check("usr/lib/opkg/status", true);
        check("var/lib/opkg/status", true);
        check("r/var/lib/opkg/info/a.control", true);
        check("usr/lib/ipkg/status", true);
        check("var/lib/opkg/info/a.list", false);
        check("var/lib/opkg/lists/base", false);
        check("xlib/opkg/status", false);
        assert!(is_list("usr/lib/opkg/info/a.list"));
    }

    #[test]
    fn what_is_installed_is_listed() {
        let text = "Package: libOpenSSL3\nVersion: 3.0.13-1\nDepends: libc, libatomic1 (>= 1)\nProvides: libopenssl\n\
            Status: install user installed\nSection: libs\nArchitecture: x86_64\nSource: package/libs/openssl\nLicense: Apache-2.0\n\n\
            Package: gone\nVersion: 1\nStatus: deinstall user not-installed\n\n\
            Package: glibc-bin\nVersion: 2.38-r0\nStatus: install ok installed\nSource: glibc_2.38.bb\n\n\
            Package: nameless\nStatus: install ok installed\n";
        let path = "r/usr/lib/opkg/status";
        let facts = read(path, text.as_bytes()).unwrap();
        let release =
            OsRelease { id: "openwrt".into(), version: Some("23.05.3".into()), name: None };
        let purls: Vec<String> = facts
            .packages
            .iter()
            .map(|found| crate::sbom::purl::of(&found.package, Some(&release)))
            .collect();
        assert_eq!(
            purls,
            [
                "pkg:opkg/openwrt/libOpenSSL3@3.0.13-1?arch=x86_64&distro=openwrt-23.05.3&upstream=openssl",
                "pkg:opkg/openwrt/glibc-bin@2.38-r0?distro=openwrt-23.05.3&upstream=glibc",
            ]
        );
        assert_eq!(facts.packages[0].package.licence, Licence::Expression("Apache-2.0".into()));
        assert_eq!(
            facts.packages[0].requires,
            [vec![PackageNeed::named("libc")], vec![PackageNeed::named("libatomic1")]]
        );
        assert_eq!((facts.packages[0].scope.as_str(), facts.warnings.len()), ("r/", 1));
    }

    #[test]
    fn lists_name_files() {
        let text = b"/usr/sbin/nginx\t0755\n/etc/nginx/nginx.conf\n";
        let path = "usr/lib/opkg/info/nginx.list";
        assert_eq!(read_list(path, text).unwrap().owns, ["usr/sbin/nginx"]);
        assert_eq!(owned(path, text)[0].paths, ["usr/sbin/nginx", "etc/nginx/nginx.conf"]);
    }
}
