//! The table of matchers: which files tell about packages, and which function reads each. No
//! matcher opens a file or knows another.

use std::io;

use serde::{Deserialize, Serialize};

use super::licence::Licence;
use super::package::Found;
use super::source::Contents;

pub mod apk;
pub mod binary;
mod bounded;
pub mod cargo;
pub mod composer;
pub mod copyright;
mod deb822;
pub mod dotnet;
pub mod dpkg;
pub mod gem;
pub mod golang;
pub mod java;
pub mod npm;
pub mod os_release;
pub mod owned;
pub mod python;
pub mod rpm;
pub(crate) mod zip;

use os_release::Release;
use owned::Owned;

/// Reads one kind of file.
#[derive(Debug)]
pub struct Matcher {
    pub name: &'static str,
    /// For catalogers of packages, what the document says was looked for.
    pub looks_for: Option<&'static str>,
    pub wants: Wants,
}

/// How a matcher recognises its files, and the function that reads one.
#[derive(Debug)]
pub enum Wants {
    /// By path; read as a whole.
    Path {
        matches: fn(&str) -> bool,
        cap: u64,
        oversize: Oversize,
        read: fn(&str, &[u8]) -> Result<Facts, Malformed>,
    },
    /// By path; read here and there. An error is one of input, not of format.
    Opened { matches: fn(&str) -> bool, read: fn(&str, &mut dyn Contents) -> io::Result<Facts> },
    /// By path; looked through from front to back, whatever its size. Two paths may be alike to it.
    Scanned {
        matches: fn(&str) -> bool,
        scanner: fn(&str) -> Box<dyn Scanner>,
        alike: fn(&str, &str) -> bool,
    },
    /// By the first four bytes; read here and there. An error is one of input, not of format.
    Magic { matches: fn(&[u8]) -> bool, read: fn(&str, &mut dyn Contents) -> io::Result<Facts> },
}

/// Takes a file piece by piece.
pub trait Scanner {
    fn feed(&mut self, piece: &[u8]);
    /// Whether more of the file would change nothing.
    fn is_done(&self) -> bool;
    /// What the file told, at its end.
    fn finish(&mut self) -> Facts;
}

/// What to do with a file beyond its cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// Packages would be missing: stop.
    Refuse,
    /// Only a detail would be missing: say so.
    Warn,
}

/// Why a database is not one.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

/// What one file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub packages: Vec<Found>,
    /// Files that packages of a distribution own, of those that [`binary`] would look at.
    pub owns: Vec<String>,
    pub licence: Option<Licence>,
    pub release: Option<Release>,
    /// Where files are asked for: lists of what packages brought, and the file's own SHA-1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<Owned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// For the journal of a database, the database that cannot be read without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_of: Option<String>,
    /// Sentences about what could not be understood.
    pub warnings: Vec<String>,
}

impl Facts {
    pub fn warning(sentence: String) -> Self {
        Self { warnings: vec![sentence], ..Self::default() }
    }

    /// Remarks on one file are enough when they show what is wrong with it.
    pub fn warn(&mut self, sentence: String) {
        const MOST: usize = 20;
        match self.warnings.len() {
            0..MOST => self.warnings.push(sentence),
            MOST => self.warnings.push("and so on for more of that file".to_owned()),
            _ => {}
        }
    }

    pub fn add(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.owns.extend(other.owns);
        self.licence = self.licence.take().or(other.licence);
        self.release = self.release.take().or(other.release);
        self.owned.extend(other.owned);
        self.sum = self.sum.take().or(other.sum);
        self.journal_of = self.journal_of.take().or(other.journal_of);
        self.warnings.extend(other.warnings);
    }
}

const MIB: u64 = 1 << 20;

/// More packages than any distribution has; a hostile database must not fill the memory.
const MOST_PACKAGES: usize = 200_000;

/// Every matcher. A path is read by the first that wants it, an executable by all that want it.
pub const MATCHERS: &[Matcher] = &[
    Matcher {
        name: "dpkg",
        looks_for: Some("Debian packages in **/lib/dpkg/status and **/lib/dpkg/status.d/*"),
        wants: Wants::Path {
            matches: dpkg::is_database,
            cap: 64 * MIB,
            oversize: Oversize::Refuse,
            read: dpkg::read,
        },
    },
    Matcher {
        name: "apk",
        looks_for: Some("Alpine packages in **/lib/apk/db/installed"),
        wants: Wants::Path {
            matches: apk::is_database,
            cap: 64 * MIB,
            oversize: Oversize::Refuse,
            read: apk::read,
        },
    },
    Matcher {
        name: "rpm",
        looks_for: Some(
            "rpm packages in **/{var/lib,usr/share,usr/lib/sysimage}/rpm/{rpmdb.sqlite,Packages.db,Packages} and **/var/lib/rpmmanifest/container-manifest-2",
        ),
        wants: Wants::Path {
            matches: rpm::is_database,
            cap: 512 * MIB,
            oversize: Oversize::Refuse,
            read: rpm::read,
        },
    },
    Matcher {
        name: "npm",
        looks_for: Some("Node packages in **/package.json with a name and a version"),
        wants: Wants::Path {
            matches: npm::is_manifest,
            cap: 4 * MIB,
            oversize: Oversize::Warn,
            read: npm::read,
        },
    },
    Matcher {
        name: "python",
        looks_for: Some(
            "Python packages in **/*.dist-info/METADATA, **/*.egg-info/PKG-INFO and **/*.egg-info",
        ),
        wants: Wants::Path {
            matches: python::is_metadata,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: python::read,
        },
    },
    Matcher {
        name: "conda",
        looks_for: Some("Conda packages in **/conda-meta/*.json"),
        wants: Wants::Path {
            matches: python::is_conda_record,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: python::read_conda,
        },
    },
    Matcher {
        name: "java",
        looks_for: Some(
            "Java packages in jar, war, ear and similar archives, and in archives inside of them",
        ),
        wants: Wants::Opened { matches: java::is_archive, read: java::read },
    },
    Matcher {
        name: "gem",
        looks_for: Some("Ruby gems in **/specifications/**/*.gemspec"),
        wants: Wants::Path {
            matches: gem::is_specification,
            cap: 4 * MIB,
            oversize: Oversize::Warn,
            read: gem::read,
        },
    },
    Matcher {
        name: "composer",
        looks_for: Some("PHP packages in **/composer/installed.json"),
        wants: Wants::Path {
            matches: composer::is_record,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: composer::read,
        },
    },
    Matcher {
        name: "dotnet",
        looks_for: Some(".NET packages in **/*.deps.json, beside programs and inside them"),
        wants: Wants::Path {
            matches: dotnet::is_manifest,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: dotnet::read,
        },
    },
    Matcher {
        name: "go-buildinfo",
        looks_for: Some("Go modules in the build information of ELF, PE and Mach-O executables"),
        wants: Wants::Magic { matches: golang::is_executable, read: golang::read },
    },
    Matcher {
        name: "cargo-auditable",
        looks_for: Some(
            "Rust crates in the .dep-v0 section of executables built with cargo-auditable",
        ),
        wants: Wants::Magic { matches: golang::is_executable, read: cargo::read },
    },
    Matcher {
        name: "dotnet-bundle",
        looks_for: None,
        wants: Wants::Magic { matches: dotnet::is_executable, read: dotnet::read_bundle },
    },
    Matcher {
        name: "dotnet-assembly",
        looks_for: Some(".NET assemblies that no *.deps.json names, by their version resources"),
        wants: Wants::Magic { matches: dotnet::is_assembly, read: dotnet::read_assembly },
    },
    Matcher {
        name: "binary",
        looks_for: Some(
            "the programs node, python, redis, valkey, memcached, nginx, httpd, haproxy, postgresql, mysql, mariadb, openssl, perl, ruby, php and busybox by the version text inside them, where no distribution package owns the file",
        ),
        wants: Wants::Scanned {
            matches: binary::is_program,
            scanner: binary::scanner,
            alike: binary::are_alike,
        },
    },
    Matcher {
        name: "runtime",
        looks_for: Some("Go toolchains in **/go/VERSION and Java runtimes in **/release"),
        wants: Wants::Path {
            matches: binary::is_text,
            cap: MIB,
            oversize: Oversize::Warn,
            read: binary::read_text,
        },
    },
    Matcher {
        name: "dpkg-files",
        looks_for: None,
        wants: Wants::Path {
            matches: dpkg::is_list,
            cap: 64 * MIB,
            oversize: Oversize::Warn,
            read: dpkg::read_list,
        },
    },
    Matcher {
        name: "os-release",
        looks_for: None,
        wants: Wants::Path {
            matches: os_release::is_release,
            cap: MIB,
            oversize: Oversize::Refuse,
            read: os_release::read,
        },
    },
    Matcher {
        name: "copyright",
        looks_for: None,
        wants: Wants::Path {
            matches: copyright::is_copyright,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: copyright::read,
        },
    },
];

/// Usual places of databases, for images that keep them elsewhere and link there.
pub const DIRECTORIES: &[&str] = &[
    "var/lib/dpkg",
    "var/lib/dpkg/status.d",
    "lib/apk/db",
    "usr/lib/apk/db",
    "var/lib/rpm",
    "usr/lib/sysimage/rpm",
];

/// Whether a database is that of the image itself, and no copy that lies somewhere in it, such as
/// among a program's test data.
pub fn is_own(path: &str) -> bool {
    const OTHERS: [&str; 5] =
        ["usr/lib/dpkg", "lib/dpkg", "usr/share/rpm", "var/lib/rpmmanifest", "etc"];
    let directory = parent(path).trim_end_matches('/');
    DIRECTORIES.iter().chain(&OTHERS).any(|own| *own == directory) || os_release::is_release(path)
}

/// A database with the changes in its journal; an error says why they cannot be put together.
pub fn with_journal(database: Vec<u8>, journal: &[u8]) -> Result<Vec<u8>, Malformed> {
    rpm::with_journal(database, journal)
}

/// Whether `path` is `tail`, or is below some directory as `tail`.
fn ends_with_path(path: &str, tail: &str) -> bool {
    path.strip_suffix(tail).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The directory of `path` as a prefix: empty, or with a `/` at its end.
fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_path_has_its_matcher() {
        let check = |path: &str, expected: Option<&str>| {
            let found = MATCHERS.iter().find(
                |matcher| matches!(&matcher.wants, Wants::Path { matches, .. } if matches(path)),
            );
            assert_eq!(found.map(|matcher| matcher.name), expected, "{path}");
        };
        check("var/lib/dpkg/status", Some("dpkg"));
        check("opt/root/var/lib/dpkg/status", Some("dpkg"));
        check("lib/dpkg/status", Some("dpkg"));
        check("var/lib/dpkg/status-old", None);
        check("var/xlib/dpkg/status", None);
        check("var/lib/dpkg/status.d/libc6", Some("dpkg"));
        check("var/lib/dpkg/status.d/libpython3.11", Some("dpkg"));
        check("var/lib/dpkg/status.d/libc6.md5sums", Some("dpkg-files"));
        check("var/lib/dpkg/status.d/sub/libc6", None);
        check("lib/apk/db/installed", Some("apk"));
        check("usr/lib/apk/db/installed", Some("apk"));
        check("lib/apk/db/scripts.tar", None);
        check("etc/os-release", Some("os-release"));
        check("usr/lib/os-release", Some("os-release"));
        check("opt/usr/lib/os-release", None);
        check("usr/share/doc/libc6/copyright", Some("copyright"));
        check("usr/share/doc/libc6/x/copyright", None);
        check("var/lib/rpm/Packages", Some("rpm"));
        check("app/node_modules/a/package.json", Some("npm"));
        check("opt/venv/lib/python3/site-packages/a.dist-info/METADATA", Some("python"));
        check("opt/conda/conda-meta/a.json", Some("conda"));
        check("gems/specifications/a.gemspec", Some("gem"));
        check("app/vendor/composer/installed.json", Some("composer"));
        check("app/App.deps.json", Some("dotnet"));
        check("opt/java/release", Some("runtime"));
        check("app/package.json.bak", None);
    }

    /// JSON of any shape, with the keys that matchers know.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Value, json};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "(a/1|[a-zé@/.1]{0,5})".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let keys =
                "(name|version|license|licenses|author|authors|packages|libraries|targets|type|dependencies|depends|channel|require|a/1)";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((keys, inner), 0..6).prop_map(|pairs| {
                    pairs.into_iter().fold(json!({}), |mut object, (key, value)| {
                        object[key.as_str()] = value;
                        object
                    })
                }),
            ]
        })
    }

    /// Lines that look like databases, with mistakes.
    fn database() -> impl Strategy<Value = Vec<u8>> {
        let words = prop_oneof![
            Just("Package: a\n".to_owned()),
            Just("Version: 1\n".to_owned()),
            Just("Status: install ok installed\n".to_owned()),
            Just("P:a\nV:1\n".to_owned()),
            Just(
                "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
                    .to_owned()
            ),
            "[A-Za-z-]{0,9}:.{0,20}\n",
            "\\{\"(name|version|license)\":\"[a-z0-9.]{0,6}\",?",
            "(Depends|Provides|Source|License|Maintainer|D|p|m|L|ID): ?.{0,40}\n",
            " .{0,9}\n",
            Just("\n".to_owned()),
            "s\\.(name|version|licenses|authors) = ([\"'\\[%<]{0,3}[a-zé]{0,3}[\"'>]?){0,3}\n",
            "(Name|Version|Author|Requires-Dist): .{0,9}\n",
            ".{0,12}",
        ];
        let text =
            proptest::collection::vec(words, 0..20).prop_map(|lines| lines.concat().into_bytes());
        prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #[test]
        fn no_json_makes_a_matcher_panic(value in json()) {
            let bytes = value.to_string().into_bytes();
            for read in [npm::read, python::read_conda, composer::read, dotnet::read] {
                let _facts = read("some/path", &bytes);
            }
        }

        #[test]
        fn no_database_makes_a_matcher_panic(bytes in database()) {
            for matcher in MATCHERS {
                match matcher.wants {
                    Wants::Path { read, .. } => drop(read("some/lib/path", &bytes)),
                    Wants::Opened { read, .. } | Wants::Magic { read, .. } => drop(read("bin/python3.1", &mut io::Cursor::new(&bytes))),
                    Wants::Scanned { scanner, .. } => {
                        let mut scanner = scanner("bin/python3.1");
                        scanner.feed(&bytes);
                        drop(scanner.finish());
                    }
                }
            }
        }
    }
}
