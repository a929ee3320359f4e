//! Packages that dpkg has unpacked, from `status` and from distroless images' `status.d`. It never
//! lists what was removed.

use super::deb822::{Stanza, stanzas};
use super::owned::{Owned, Owner};
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, parent};
use crate::sbom::package::{
    Ecosystem, FoundPackage, Package, PackageNeed, SourcePackage, Supplier,
};

const STATUS: &str = "lib/dpkg/status";

pub(super) fn is_database(path: &str) -> bool {
    ends_with_path(path, STATUS) || is_fragment(path)
}

/// One file per package; checksums and maintainer scripts lie beside them.
fn is_fragment(path: &str) -> bool {
    const OTHERS: [&str; 12] = [
        ".md5sums",
        ".sha256sums",
        ".list",
        ".conffiles",
        ".config",
        ".templates",
        ".triggers",
        ".shlibs",
        ".preinst",
        ".postinst",
        ".prerm",
        ".postrm",
    ];
    parent(path)
        .strip_suffix('/')
        .is_some_and(|directory| ends_with_path(directory, "lib/dpkg/status.d"))
        && !OTHERS.iter().any(|suffix| path.ends_with(suffix))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    match (entries(path, bytes), is_fragment(path)) {
        // Whatever else lies in `status.d` does not make the rest of it worthless.
        (Err(MalformedDatabase(reason)), true) => {
            Ok(FileFacts::warning(format!("`{path}` is not listed: {reason}")))
        }
        (facts, _) => facts,
    }
}

fn entries(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    if bytes.contains(&0) {
        return Err(MalformedDatabase("it contains null bytes".into()));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut facts = FileFacts::default();
    let mut understood = 0_usize;
    for stanza in stanzas(&text) {
        if let Some(line) = stanza.bad_line {
            facts.warn(format!("line {line} of `{path}` is not a field"));
        }
        match entry(path, &stanza) {
            DpkgStanza::Installed(found) => {
                understood += 1;
                facts.packages.push(*found);
                if facts.packages.len() > MOST_PACKAGES {
                    return Err(MalformedDatabase(format!(
                        "it lists more than {MOST_PACKAGES} packages"
                    )));
                }
            }
            DpkgStanza::Absent => understood += 1,
            DpkgStanza::Bad(what) => facts.warn(format!(
                "the entry at line {} of `{path}` is not listed: {what}",
                stanza.line
            )),
        }
    }
    if understood == 0 && !facts.warnings.is_empty() {
        return Err(MalformedDatabase("it has no entry for any package".into()));
    }
    Ok(facts)
}

/// Which files a package has: `info/x.list`, or `status.d/x.md5sums` in distroless images.
pub(super) fn is_list(path: &str) -> bool {
    let directory = parent(path).trim_end_matches('/');
    (path.ends_with(".list") && ends_with_path(directory, "lib/dpkg/info"))
        || (path.ends_with(".md5sums") && ends_with_path(directory, "lib/dpkg/status.d"))
}

/// The same, whole, and whose they are.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let text = String::from_utf8_lossy(bytes);
    let owner = match path.strip_suffix(".md5sums") {
        Some(entry) => Owner::ToldBy(entry.to_owned()),
        None => {
            let file = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".list");
            let (name, arch) = file
                .split_once(':')
                .map_or((file, None), |(name, arch)| (name, Some(arch.to_owned())));
            Owner::Named {
                ecosystem: Ecosystem::Deb,
                scope: root_of(path).to_owned(),
                name: name.to_owned(),
                arch,
                version: None,
            }
        }
    };
    vec![Owned {
        owner,
        paths: files(&text).map(|file| format!("{}{file}", root_of(path))).collect(),
    }]
}

/// In checksum files the name follows after two blanks.
fn files(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split_once("  ").map_or(line, |(_, file)| file).trim_start_matches('/'))
}

pub(super) fn read_list(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let owns = files(&text)
        .filter(|file| super::binary::is_candidate(file))
        .map(|file| format!("{}{file}", root_of(path)))
        .collect();
    Ok(FileFacts { owns, ..FileFacts::default() })
}

enum DpkgStanza {
    Installed(Box<FoundPackage>),
    Absent,
    Bad(&'static str),
}

fn entry(path: &str, stanza: &Stanza<'_>) -> DpkgStanza {
    let field = |name| stanza.get(name).filter(|value| !value.is_empty());
    let Some(name) = field("Package") else { return DpkgStanza::Bad("it has no `Package`") };
    if !is_unpacked(field("Status")) {
        return DpkgStanza::Absent;
    }
    let Some(version) = field("Version") else { return DpkgStanza::Bad("it has no `Version`") };
    if name.contains(char::is_whitespace) || version.contains(char::is_whitespace) {
        return DpkgStanza::Bad("its name or version contains blanks");
    }
    let package = Package {
        version: Some(version.to_owned()),
        arch: field("Architecture").map(str::to_owned),
        upstream: field("Source").map(upstream),
        supplier: field("Maintainer").and_then(Supplier::from_maintainer),
        ..Package::named(Ecosystem::Deb, name)
    };
    let requires =
        ["Pre-Depends", "Depends"].iter().filter_map(|name| field(name)).flat_map(needs).collect();
    let root = root_of(path);
    DpkgStanza::Installed(Box::new(FoundPackage {
        scope: root.to_owned(),
        provides: field("Provides")
            .map(|provides| needs(provides).into_iter().flatten().map(|need| need.name).collect())
            .unwrap_or_default(),
        requires,
        licence_at: Some(format!("{root}usr/share/doc/{name}/copyright")),
        package,
    }))
}

/// `Status: want flag state`. Without one, as in `status.d`, the entry is there because the package
/// is. Unpacked but unconfigured packages have all their files in the image, so they count.
pub(super) fn is_unpacked(status: Option<&str>) -> bool {
    let state = status.map(|status| status.split_whitespace().nth(2).unwrap_or_default());
    !matches!(state, Some("not-installed" | "config-files" | "half-installed" | ""))
}

/// The root of the file system this database belongs to, as a prefix.
fn root_of(path: &str) -> &str {
    let before = path.rfind("lib/dpkg/").map_or("", |start| &path[..start]);
    ["var/", "usr/"].iter().find_map(|directory| before.strip_suffix(directory)).unwrap_or(before)
}

/// `glibc` or `glibc (2.36-9)`.
fn upstream(source: &str) -> SourcePackage {
    match source.split_once('(') {
        Some((name, version)) => SourcePackage {
            name: name.trim().to_owned(),
            version: Some(version.trim_end_matches(')').trim().to_owned())
                .filter(|version| !version.is_empty()),
        },
        None => SourcePackage { name: source.trim().to_owned(), version: None },
    }
}

/// `a (>= 1) | b:any, c:amd64` as alternatives of names; versions hold already, or dpkg would not
/// have installed it.
pub(super) fn needs(field: &str) -> Vec<Vec<PackageNeed>> {
    let alternatives = |clause: &str| clause.split('|').filter_map(need).collect::<Vec<_>>();
    field.split(',').map(alternatives).filter(|alternatives| !alternatives.is_empty()).collect()
}

fn need(alternative: &str) -> Option<PackageNeed> {
    let name = alternative
        .split(|letter: char| letter.is_whitespace() || "([<".contains(letter))
        .find(|word| !word.is_empty())?;
    let (name, arch) = name.split_once(':').map_or((name, None), |(name, arch)| (name, Some(arch)));
    let arch = arch.filter(|arch| !matches!(*arch, "any" | "native")).map(str::to_owned);
    (!name.is_empty()).then(|| PackageNeed { name: name.to_owned(), arch })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBC: &str = "Package: libc6\nStatus: install ok installed\nMaintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>\n\
        Architecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u10\nReplaces: libc6-amd64\nProvides: libc-abi (= 1),\n virtual\n\
        Pre-Depends: init-system-helpers (>= 1.54~)\nDepends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~) | foo:any,\n bar:arm64 [amd64]\nDescription: x\n y\n";

    fn names(facts: &FileFacts) -> Vec<&str> {
        facts.packages.iter().map(|found| found.package.name.as_str()).collect()
    }

    #[test]
    fn a_stanza_becomes_a_package() {
        let facts = read("var/lib/dpkg/status", LIBC.as_bytes()).unwrap();
        let found = &facts.packages[0];
        assert_eq!(found.package.version.as_deref(), Some("2.36-9+deb12u10"));
        assert_eq!(found.package.arch.as_deref(), Some("amd64"));
        assert_eq!(
            found.package.upstream,
            Some(SourcePackage { name: "glibc".into(), version: Some("2.36-9".into()) })
        );
        assert_eq!(found.provides, ["libc-abi", "virtual"]);
        let requires: Vec<Vec<&str>> = found
            .requires
            .iter()
            .map(|need| need.iter().map(|alternative| alternative.name.as_str()).collect())
            .collect();
        assert_eq!(
            requires,
            [vec!["init-system-helpers"], vec!["libgcc-s1"], vec!["libcrypt1", "foo"], vec!["bar"]]
        );
        assert_eq!(found.requires[3][0].arch.as_deref(), Some("arm64"));
        assert_eq!(found.licence_at.as_deref(), Some("usr/share/doc/libc6/copyright"));
        assert!(facts.warnings.is_empty());
    }

    #[test]
    fn lists_tell_who_owns_programs() {
        assert!(
            is_list("var/lib/dpkg/info/perl-base.list")
                && !is_list("var/lib/dpkg/info/perl-base.md5sums")
        );
        let owns = |path: &str, text: &str| read_list(path, text.as_bytes()).unwrap().owns;
        assert_eq!(
            owns("var/lib/dpkg/info/perl-base.list", "/.\n/usr\n/usr/bin/perl\n/usr/bin/other\n"),
            ["usr/bin/perl"]
        );
        assert_eq!(
            owns("r/var/lib/dpkg/status.d/openssl.md5sums", "0123  usr/bin/openssl\n"),
            ["r/usr/bin/openssl"]
        );
    }

    #[test]
    fn only_unpacked_packages_count() {
        let check = |status: &str, expected: bool| {
            let text = format!("Package: a\n{status}Version: 1\n");
            assert_eq!(
                !read("var/lib/dpkg/status", text.as_bytes()).unwrap().packages.is_empty(),
                expected,
                "{status}"
            );
        };
        check("Status: install ok installed\n", true);
        check("Status: hold ok installed\n", true);
        check("Status: install ok unpacked\n", true);
        check("Status: install ok triggers-pending\n", true);
        check("", true);
        check("Status: deinstall ok config-files\n", false);
        check("Status: purge ok not-installed\n", false);
        check("Status: install reinstreq half-installed\n", false);
    }

    #[test]
    fn a_bad_stanza_is_told_and_the_rest_is_listed() {
        let facts = read(
            "var/lib/dpkg/status",
            format!("Package: broken\n\nnonsense\n\n{LIBC}").as_bytes(),
        )
        .unwrap();
        assert_eq!(names(&facts), ["libc6"]);
        assert_eq!(
            facts.warnings,
            [
                "the entry at line 1 of `var/lib/dpkg/status` is not listed: it has no `Version`",
                "line 3 of `var/lib/dpkg/status` is not a field",
                "the entry at line 3 of `var/lib/dpkg/status` is not listed: it has no `Package`",
            ]
        );
    }

    #[test]
    fn what_is_no_database_is_malformed_and_an_empty_one_is_empty() {
        assert_eq!(
            read("p", b"Package: a\0\n"),
            Err(MalformedDatabase("it contains null bytes".into()))
        );
        assert_eq!(
            read("p", b"hello\nworld\n"),
            Err(MalformedDatabase("it has no entry for any package".into()))
        );
        assert_eq!(read("p", b"\n \n"), Ok(FileFacts::default()));
        let beside = read("var/lib/dpkg/status.d/README", b"hello\n").unwrap();
        assert_eq!(
            beside.warnings,
            ["`var/lib/dpkg/status.d/README` is not listed: it has no entry for any package"]
        );
    }

    #[test]
    fn a_hostile_database_is_refused_before_it_fills_the_memory() {
        let many = "Package:a\nVersion:1\n\n".repeat(MOST_PACKAGES + 1);
        assert_eq!(
            read("p", many.as_bytes()),
            Err(MalformedDatabase("it lists more than 200000 packages".into()))
        );
        let bad = read("p", format!("{LIBC}\n{}", "x\n\n".repeat(1000)).as_bytes()).unwrap();
        assert_eq!((bad.packages.len(), bad.warnings.len()), (1, 21));
    }

    #[test]
    fn a_database_knows_its_root() {
        let check = |path: &str, expected: &str| assert_eq!(root_of(path), expected, "{path}");
        check("var/lib/dpkg/status", "");
        check("var/lib/dpkg/status.d/a", "");
        check("usr/lib/dpkg/status", "");
        check("opt/root/var/lib/dpkg/status", "opt/root/");
        check("lib/dpkg/status", "");
    }

    #[test]
    fn bytes_that_are_not_text_do_not_hide_a_package() {
        let facts = read(
            "var/lib/dpkg/status",
            b"Package: a\nVersion: 1\nMaintainer: J\xf6rg <j@x.example>\n",
        )
        .unwrap();
        assert_eq!(names(&facts), ["a"]);
    }
}
