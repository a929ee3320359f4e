//! Go modules, from the build information that the Go linker leaves in executables. It never
//! guesses the version of a main module.

use std::io;

use super::Facts;
use crate::sbom::package::{Ecosystem, Found, Need, Package};
use crate::sbom::source::Contents;
use executable::{BuildInfo, Search};

mod executable;

pub(super) use executable::is_executable;

pub(super) fn read(path: &str, contents: &mut dyn Contents) -> io::Result<Facts> {
    // More than any program has; a hostile one must not fill the memory.
    const MOST_LINES: usize = 100_000;
    let unlisted = |reason| {
        Facts::warning(format!(
            "the Go modules of `{path}`, if it has any, are not listed: {reason}"
        ))
    };
    Ok(match executable::build_info(contents)? {
        Search::Absent => Facts::default(),
        Search::Broken(reason) => unlisted(reason),
        Search::Present(info) if info.modules.lines().count() > MOST_LINES => {
            unlisted("they are more than any program has")
        }
        Search::Present(info) => Facts { packages: modules(path, &info), ..Facts::default() },
    })
}

/// One `mod`, `dep` or `=>` line: path, version, checksum.
#[derive(Default)]
struct Module<'a> {
    path: &'a str,
    version: &'a str,
    sum: &'a str,
}

impl<'a> Module<'a> {
    fn from_fields(mut fields: impl Iterator<Item = &'a str>) -> Self {
        let mut next = || fields.next().unwrap_or_default().trim();
        Self { path: next(), version: next(), sum: next() }
    }

    /// `None` for `(devel)` and for nothing at all.
    fn known_version(&self) -> Option<String> {
        Some(self.version)
            .filter(|version| !version.is_empty() && *version != "(devel)")
            .map(str::to_owned)
    }

    /// A replacement by a directory of the builder's machine.
    fn is_local(&self) -> bool {
        self.path.starts_with("./")
            || self.path.starts_with("../")
            || self.path.starts_with('/')
            || matches!(self.path, "." | "..")
    }

    fn package(&self) -> Package {
        let sum = (!self.sum.is_empty()).then(|| format!("The go.sum hash is {}.", self.sum));
        Package {
            version: self.known_version(),
            notes: sum.into_iter().collect(),
            ..Package::named(Ecosystem::Golang, self.path)
        }
    }
}

/// More lines than any program has; a hostile one must not fill the memory.
const MOST_LINES: usize = 100_000;

/// The main module, its dependencies as they were compiled in, and the standard library.
fn modules(path: &str, info: &BuildInfo) -> Vec<Found> {
    let mut main: Option<Package> = None;
    let mut packages: Vec<Package> = Vec::new();
    for line in info.modules.lines().take(MOST_LINES) {
        let mut fields = line.split('\t');
        let key = fields.next().unwrap_or_default();
        let module = Module::from_fields(fields);
        if module.path.is_empty() {
            continue;
        }
        match key {
            "mod" => main = Some(module.package()),
            "dep" => packages.push(module.package()),
            "=>" => {
                if let Some(replaced) = packages.last_mut().or(main.as_mut()) {
                    replace(replaced, &module);
                }
            }
            _ => {}
        }
    }
    packages.push(standard_library(&info.version));
    let requires: Vec<Vec<Need>> =
        packages.iter().map(|package| vec![Need::named(package.name.as_str())]).collect();
    let mut found: Vec<Found> = packages.into_iter().map(|package| found(path, package)).collect();
    if let Some(mut main) = main {
        if main.version.is_none() {
            main.notes.extend(revision(&info.modules));
        }
        found.push(Found { requires, ..self::found(path, main) });
    }
    found
}

/// What is compiled in is the replacement; of a local one nothing is known but that it is not the
/// original.
fn replace(replaced: &mut Package, by: &Module<'_>) {
    if by.is_local() {
        replaced.version = None;
        replaced.notes = vec![format!("Replaced by the local directory `{}`.", by.path)];
    } else {
        let note = format!("Replaces {}.", replaced.name);
        *replaced = by.package();
        replaced.notes.push(note);
    }
}

/// `go1.26.8 X:experiment` is the standard library 1.26.8; a development build has no version.
fn standard_library(go_version: &str) -> Package {
    let number = go_version.strip_prefix("go").unwrap_or_default();
    let length = number
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.')
        .unwrap_or(number.len());
    let number = &number[..length];
    let version =
        number.starts_with(|letter: char| letter.is_ascii_digit()).then(|| number.to_owned());
    let notes = vec![format!("Compiled by {}.", go_version.trim())];
    Package { version, notes, ..Package::named(Ecosystem::Golang, "stdlib") }
}

/// A pseudo-version would need to know the tag before the revision, so the revision stays a remark.
fn revision(modules: &str) -> Option<String> {
    let setting = |key: &str| {
        modules
            .lines()
            .find_map(|line| line.strip_prefix("build\t")?.strip_prefix(key)?.strip_prefix('='))
    };
    let revision = setting("vcs.revision")?;
    let modified = if setting("vcs.modified") == Some("true") { ", with changes" } else { "" };
    Some(format!("Built from revision {revision}{modified}."))
}

fn found(path: &str, package: Package) -> Found {
    Found {
        package,
        scope: path.to_owned(),
        provides: Vec::new(),
        requires: Vec::new(),
        licence_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "path\texample.com/app/cmd/app\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/BurntSushi/toml\tv1.2.1\th1:abc=\n\
        dep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv1.1.0\th1:def=\ndep\texample.com/local\tv1.0.0\n=>\t./local\t(devel)\t\n\
        build\t-compiler=gc\nbuild\tvcs.revision=0123abcd\nbuild\tvcs.modified=true\n";

    fn found_in(version: &str, text: &str) -> Vec<Found> {
        modules("usr/bin/app", &BuildInfo { version: version.into(), modules: text.into() })
    }

    #[test]
    fn modules_are_listed_as_they_were_compiled() {
        let found = found_in("go1.26.8 X:rangefunc", MODULES);
        let listed: Vec<(&str, Option<&str>)> = found
            .iter()
            .map(|found| (found.package.name.as_str(), found.package.version.as_deref()))
            .collect();
        assert_eq!(
            listed,
            [
                ("github.com/BurntSushi/toml", Some("v1.2.1")),
                ("example.com/new", Some("v1.1.0")),
                ("example.com/local", None),
                ("stdlib", Some("1.26.8")),
                ("example.com/app", None),
            ]
        );
        assert_eq!(found[0].package.notes, ["The go.sum hash is h1:abc=."]);
        assert_eq!(
            found[1].package.notes,
            ["The go.sum hash is h1:def=.", "Replaces example.com/old."]
        );
        assert_eq!(found[2].package.notes, ["Replaced by the local directory `./local`."]);
        assert_eq!(found[4].package.notes, ["Built from revision 0123abcd, with changes."]);
        assert_eq!(found[4].requires.len(), 4, "the main module needs all others");
    }

    #[test]
    fn the_standard_library_has_the_version_of_the_compiler() {
        let check = |go: &str, expected: Option<&str>| {
            assert_eq!(found_in(go, "")[0].package.version.as_deref(), expected, "{go}");
        };
        check("go1.26.8", Some("1.26.8"));
        check("go1.21rc2", Some("1.21rc2"));
        check("go1.22.5 (Red Hat 1.22.5-1.el9)", Some("1.22.5"));
        check("go1.22.5-fips", Some("1.22.5"));
        check("devel go1.27-abcdef", None);
        check("go", None);
        check("", None);
    }

    #[test]
    fn malformed_lines_add_nothing() {
        let found = found_in("go1.20", "=>\tx\tv1\ndep\nmod\n\t\nnonsense\ndep\t\tv1\n");
        assert_eq!(found.len(), 1, "only the standard library");
    }
}
