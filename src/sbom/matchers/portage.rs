//! Gentoo packages, from Portage's database: a directory a package, and a file a fact. It reads no
//! ebuild and no repository.

use std::sync::LazyLock;

use regex::Regex;

use super::owned::{Owned, Owner};
use super::{FileFacts, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::{Licence, from_debian_synopsis};
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

/// The files that are read; each is enough to know that the package is there.
const FILES: [&str; 4] = ["CONTENTS", "LICENSE", "PF", "SLOT"];

/// `**/var/db/pkg/CATEGORY/NAME-VERSION/FILE`.
pub(super) fn is_fact(path: &str) -> bool {
    let (directory, file) = split(path);
    let category = parent(directory).trim_end_matches('/');
    FILES.contains(&file) && ends_with_path(parent(category).trim_end_matches('/'), "var/db/pkg")
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let (directory, file) = split(path);
    let Some((category, name, version)) = named(directory) else {
        return Ok(FileFacts::warning(format!(
            "`{path}` is not listed: its directory has no version"
        )));
    };
    let text = String::from_utf8_lossy(bytes);
    let mut package = Package {
        version: Some(version.to_owned()),
        ..Package::named(Ecosystem::Ebuild, format!("{category}/{name}"))
    };
    match file {
        "LICENSE" => package.licence = licence(text.trim()),
        "SLOT" if is_word(text.trim()) => package.notes.push(format!("In slot {}.", text.trim())),
        _ => {}
    }
    let owns = if file == "CONTENTS" {
        files(&text)
            .filter(|file| super::binary::is_candidate(file))
            .map(|file| format!("{}{file}", root_of(path)))
            .collect()
    } else {
        Vec::new()
    };
    Ok(FileFacts {
        packages: vec![FoundPackage::alone(package, directory)],
        owns,
        ..FileFacts::default()
    })
}

/// Whether a path is that of a package's list of files.
pub(super) fn is_list(path: &str) -> bool {
    split(path).1 == "CONTENTS" && is_fact(path)
}

/// All files of a list, and whose they are.
pub(super) fn owned(path: &str, bytes: &[u8]) -> Vec<Owned> {
    let text = String::from_utf8_lossy(bytes);
    let paths = files(&text).map(|file| format!("{}{file}", root_of(path))).collect();
    vec![Owned { owner: Owner::ToldBy(path.to_owned()), paths }]
}

/// `obj PATH MD5 TIME`; a path may have blanks.
fn files(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line.strip_prefix("obj ")?;
        let (rest, _time) = rest.rsplit_once(' ')?;
        let (file, _sum) = rest.rsplit_once(' ')?;
        Some(file.trim_start_matches('/'))
    })
}

/// Category, name and version of a package's directory, by the grammar of versions:
/// <https://projects.gentoo.org/pms/8/pms.html#x1-250003.2>.
fn named(directory: &str) -> Option<(&str, &str, &str)> {
    static VERSIONED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^([A-Za-z0-9_][A-Za-z0-9+_-]*)-(\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?)$").ok()
    });
    let (rest, versioned) = split(directory);
    let category = split(rest).1;
    let captures = VERSIONED.as_ref()?.captures(versioned)?;
    let (name, version) = (captures.get(1)?.as_str(), captures.get(2)?.as_str());
    (!category.is_empty()).then_some((category, name, version))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 80 && text.chars().all(|letter| letter.is_ascii_graphic())
}

/// Gentoo spells GNU's licences as Debian does, and BSD's by the number of clauses.
fn licence(text: &str) -> Licence {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = words.iter().all(|word| !["||", "(", ")"].contains(word) && !word.ends_with('?'));
    let spelt: Vec<&str> = words
        .iter()
        .map(|word| match *word {
            "BSD" => "BSD-3-Clause",
            "BSD-2" => "BSD-2-Clause",
            "BSD-4" => "BSD-4-Clause",
            "ZLIB" => "Zlib",
            "MIT" => "Expat",
            other => other,
        })
        .collect();
    let expression = plain.then(|| from_debian_synopsis(&spelt.join(" and "))).flatten();
    match expression {
        Some(expression) => Licence::Expression(expression),
        None => Licence::from_field(&words.join(" ")),
    }
}

/// The root of the file system that a database belongs to, as a prefix.
fn root_of(path: &str) -> &str {
    path.rfind("var/db/pkg/").and_then(|at| path.get(..at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purl(path: &str, text: &str) -> Option<String> {
        let found = read(path, text.as_bytes()).unwrap().packages.pop();
        found.map(|found| crate::sbom::purl::of(&found.package, None))
    }

    #[test]
    fn directories_name_packages() {
        let check = |directory: &str, expected: Option<&str>| {
            let path = format!("var/db/pkg/{directory}/CONTENTS");
            assert!(is_fact(&path), "{path}");
            assert_eq!(purl(&path, "").as_deref(), expected, "{directory}");
        };
        check("net-misc/curl-8.6.0", Some("pkg:ebuild/net-misc/curl@8.6.0"));
        check("dev-libs/openssl-3.0.13-r1", Some("pkg:ebuild/dev-libs/openssl@3.0.13-r1"));
        check("x11-libs/gtk+-3.24.41", Some("pkg:ebuild/x11-libs/gtk%2B@3.24.41"));
        check("sys-devel/gcc-13.2.1_p20240210", Some("pkg:ebuild/sys-devel/gcc@13.2.1_p20240210"));
        check(
            "app-editors/vim-core-9.1.0b_rc1-r2",
            Some("pkg:ebuild/app-editors/vim-core@9.1.0b_rc1-r2"),
        );
        check("dev-python/7zip-1-23", Some("pkg:ebuild/dev-python/7zip-1@23"));
        check("acct-group/-MERGING-x", None);
        check("a/curl", None);
        assert!(!is_fact("var/db/pkg/net-misc/curl-8.6.0/SIZE"));
        assert!(!is_fact("var/db/repos/gentoo/net-misc/curl/LICENSE"));
        assert!(!is_fact("var/db/pkg/CONTENTS"));
    }

    #[test]
    fn each_file_tells_something() {
        let of = |file: &str, text: &str| {
            let path = format!("r/var/db/pkg/net-misc/curl-8.6.0/{file}");
            read(&path, text.as_bytes()).unwrap()
        };
        assert_eq!(of("SLOT", "0/4\n").packages[0].package.notes, ["In slot 0/4."]);
        let check = |text: &str, expected: Licence| {
            assert_eq!(of("LICENSE", text).packages[0].package.licence, expected, "{text}");
        };
        let is = |text: &str| Licence::Expression(text.into());
        check("curl\n", is("curl"));
        check("GPL-2+ LGPL-2.1\n", is("GPL-2.0-or-later AND LGPL-2.1-only"));
        check("BSD MIT", is("BSD-3-Clause AND MIT"));
        check("|| ( GPL-2 MIT )", Licence::Named("|| ( GPL-2 MIT )".into()));
        check("", Licence::Unknown);
        let contents =
            "dir /usr/bin\nobj /usr/bin/perl d41d 1\nobj /usr/share/a b d41d 1\nsym /x -> y 1\n";
        assert_eq!(of("CONTENTS", contents).owns, ["r/usr/bin/perl"]);
        let owned = owned("r/var/db/pkg/a/b-1/CONTENTS", contents.as_bytes());
        assert_eq!(owned[0].paths, ["r/usr/bin/perl", "r/usr/share/a b"]);
    }
}
