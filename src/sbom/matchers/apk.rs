//! Packages of Alpine, Wolfi and Chainguard, from apk's `installed` database. It keeps no file that
//! it lists but those of well-known programs.

use super::owned::{Owned, Owner};
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path};
use crate::sbom::licence::Licence;
use crate::sbom::package::{
    Ecosystem, FoundPackage, Package, PackageNeed, SourcePackage, Supplier,
};

const INSTALLED: &str = "lib/apk/db/installed";

pub(super) fn is_database(path: &str) -> bool {
    ends_with_path(path, INSTALLED)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    if bytes.contains(&0) {
        return Err(MalformedDatabase("it contains null bytes".into()));
    }
    let text = String::from_utf8_lossy(bytes);
    let scope = path.strip_suffix(INSTALLED).unwrap_or(path);
    let mut facts = FileFacts::default();
    let mut entry = ApkStanza::default();
    let mut directory = "";
    for (index, line) in text.lines().chain([""]).enumerate() {
        if !line.trim_end().is_empty() {
            match line.split_at_checked(2) {
                Some(("F:", path)) => directory = path,
                Some(("R:", file)) if super::binary::is_candidate(file) => {
                    facts.owns.push(format!("{}{directory}/{file}", root_of(scope)))
                }
                _ => {}
            }
            if !entry.accept(index + 1, line) {
                facts.warn(format!("line {} of `{path}` is not a field", index + 1));
            }
            continue;
        }
        let entry = std::mem::take(&mut entry);
        let line = entry.line;
        match (line, entry.found(scope)) {
            (0, _) => {}
            (_, Some(found)) => facts.packages.push(found),
            (line, None) => {
                facts.warn(format!(
                    "the entry at line {line} of `{path}` is not listed: it has no name or version"
                ));
            }
        }
    }
    if facts.packages.len() > MOST_PACKAGES {
        return Err(MalformedDatabase(format!("it lists more than {MOST_PACKAGES} packages")));
    }
    if facts.packages.is_empty() && !facts.warnings.is_empty() {
        return Err(MalformedDatabase("it has no entry for any package".into()));
    }
    Ok(facts)
}

/// The files of each package that has any.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let text = String::from_utf8_lossy(bytes);
    let scope = path.strip_suffix(INSTALLED).unwrap_or(path);
    let (mut lists, mut entry, mut directory, mut paths) =
        (Vec::new(), ApkStanza::default(), "", Vec::new());
    for (index, line) in text.lines().chain([""]).enumerate() {
        match line.split_at_checked(2) {
            Some(("F:", path)) => directory = path,
            Some(("R:", file)) if directory.is_empty() => {
                paths.push(format!("{}{file}", root_of(scope)))
            }
            Some(("R:", file)) => paths.push(format!("{}{directory}/{file}", root_of(scope))),
            _ => {}
        }
        if !line.trim_end().is_empty() {
            entry.accept(index + 1, line);
            continue;
        }
        let (entry, paths) = (std::mem::take(&mut entry), std::mem::take(&mut paths));
        if !paths.is_empty() && !entry.name.is_empty() {
            let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let (name, arch, version) =
                (entry.name.to_owned(), told(entry.arch), told(entry.version));
            lists.push(Owned {
                owner: Owner::Named {
                    ecosystem: Ecosystem::Apk,
                    scope: scope.to_owned(),
                    name,
                    arch,
                    version,
                },
                paths,
            });
        }
    }
    lists
}

/// The root of the file system this database belongs to, as a prefix.
fn root_of(scope: &str) -> &str {
    scope.strip_suffix("usr/").unwrap_or(scope)
}

/// The fields of one package that matter here.
#[derive(Default)]
struct ApkStanza<'a> {
    /// Of its first line; zero if there is none.
    line: usize,
    name: &'a str,
    version: &'a str,
    arch: &'a str,
    licence: &'a str,
    maintainer: &'a str,
    origin: &'a str,
    commit: &'a str,
    depends: &'a str,
    provides: &'a str,
}

impl<'a> ApkStanza<'a> {
    /// Takes a line `X:value`; says whether it is one.
    fn accept(&mut self, number: usize, line: &'a str) -> bool {
        if self.line == 0 {
            self.line = number;
        }
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| key.len() == 1) else {
            return false;
        };
        let value = value.trim();
        match key {
            "P" => self.name = value,
            "V" => self.version = value,
            "A" => self.arch = value,
            "L" => self.licence = value,
            "m" => self.maintainer = value,
            "o" => self.origin = value,
            "c" => self.commit = value,
            "D" => self.depends = value,
            "p" => self.provides = value,
            _ => {}
        }
        true
    }

    fn found(self, scope: &str) -> Option<FoundPackage> {
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        if !is_word(self.name) || !is_word(self.version) {
            return None;
        }
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let package = Package {
            version: given(self.version),
            arch: given(self.arch),
            upstream: given(self.origin)
                .filter(|origin| origin != self.name)
                .map(|name| SourcePackage { name, version: None }),
            supplier: Supplier::from_maintainer(self.maintainer),
            licence: Licence::from_field(self.licence),
            notes: given(self.commit)
                .map(|commit| format!("Built from commit {commit} of the packaging repository."))
                .into_iter()
                .collect(),
            ..Package::named(Ecosystem::Apk, self.name)
        };
        // `!name` is a conflict.
        let needed = self.depends.split_whitespace().filter(|token| !token.starts_with('!'));
        Some(FoundPackage {
            package,
            scope: scope.to_owned(),
            provides: self.provides.split_whitespace().filter_map(bare_name).collect(),
            requires: needed
                .filter_map(bare_name)
                .map(|name| vec![PackageNeed::named(name)])
                .collect(),
            licence_at: None,
        })
    }
}

/// `so:libc.musl-x86_64.so.1=1`, `busybox>1.3` or `edge@testing` without what follows the name.
fn bare_name(token: &str) -> Option<String> {
    let name = token.split(['<', '>', '=', '~', '@']).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:alpine-baselayout\nV:3.4.3-r1\nA:x86_64\nS:8890\nI:331776\nT:Alpine base dir structure\n\
        U:https://git.alpinelinux.org/cgit/aports/tree/main/alpine-baselayout\nL:GPL-2.0-only\no:alpine-baselayout\n\
        m:Natanael Copa <ncopa@alpinelinux.org>\nt:1683642107\nc:65502ca9379dd29d1ac4b0bf0dcf03a3dd1b324a\n\
        D:alpine-baselayout-data=3.4.3-r1 /bin/sh !conflicting so:libc.musl-x86_64.so.1\nq:1000\nF:dev\nF:etc\nR:motd\nZ:Q1x=\nM:0:0:1777\n\n\
        P:busybox-binsh\nV:1.36.1-r5\nA:x86_64\nL:MIT BSD\no:busybox\np:/bin/sh cmd:sh=1.36.1-r5\nF:bin\nR:busybox\n";

    #[test]
    fn entries_become_packages() {
        let facts = read("lib/apk/db/installed", DATABASE.as_bytes()).unwrap();
        assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
        assert_eq!(facts.owns, ["bin/busybox"]);
        let [layout, busybox] = &facts.packages[..] else { panic!("two packages") };
        assert_eq!(
            (layout.package.name.as_str(), layout.package.version.as_deref()),
            ("alpine-baselayout", Some("3.4.3-r1"))
        );
        assert_eq!(layout.package.upstream, None, "the origin has the same name");
        assert_eq!(layout.package.licence, Licence::Expression("GPL-2.0-only".into()));
        assert_eq!(
            layout.package.notes,
            [
                "Built from commit 65502ca9379dd29d1ac4b0bf0dcf03a3dd1b324a of the packaging repository."
            ]
        );
        let needs: Vec<&str> = layout.requires.iter().map(|need| need[0].name.as_str()).collect();
        assert_eq!(needs, ["alpine-baselayout-data", "/bin/sh", "so:libc.musl-x86_64.so.1"]);
        assert_eq!(
            busybox.package.upstream,
            Some(SourcePackage { name: "busybox".into(), version: None })
        );
        assert_eq!(busybox.package.licence, Licence::Named("MIT BSD".into()));
        assert_eq!(busybox.provides, ["/bin/sh", "cmd:sh"]);
    }

    #[test]
    fn a_bad_entry_is_told_and_the_rest_is_listed() {
        let text = format!("P:cut\n\nnonsense\n\n{DATABASE}");
        let facts = read("lib/apk/db/installed", text.as_bytes()).unwrap();
        assert_eq!(facts.packages.len(), 2);
        assert_eq!(
            facts.warnings,
            [
                "the entry at line 1 of `lib/apk/db/installed` is not listed: it has no name or version",
                "line 3 of `lib/apk/db/installed` is not a field",
                "the entry at line 3 of `lib/apk/db/installed` is not listed: it has no name or version",
            ]
        );
    }

    #[test]
    fn what_is_no_database_is_malformed_and_an_empty_one_is_empty() {
        assert_eq!(
            read("p", b"hello\n"),
            Err(MalformedDatabase("it has no entry for any package".into()))
        );
        assert_eq!(read("p", b"P:a\0"), Err(MalformedDatabase("it contains null bytes".into())));
        assert_eq!(read("p", b"\n\n"), Ok(FileFacts::default()));
    }
}
