//! Go modules, from the build information that the Go linker leaves in executables, and which of
//! their packages are there. It takes the version of a main module from what its builder stated, and
//! guesses none.

use std::collections::BTreeSet;
use std::io;

use super::{FileFacts, upx};
use crate::sbom::linked::STANDARD;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};
use crate::sbom::source::FileContents;
use attribution::{ImportedModule, attributed};
use executable::{BuildInfo, BuildInfoSearch};

mod attribution;
mod executable;
mod functions;
mod layout;

pub(super) use layout::is_executable;

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let unlisted = |reason| {
        FileFacts::warning(format!(
            "the Go modules of `{path}`, if it has any, are not listed: {reason}"
        ))
    };
    let Some(layout) = layout::layout(contents)? else { return Ok(FileFacts::default()) };
    let info = match executable::build_info(contents, &layout)? {
        BuildInfoSearch::Absent if upx::is_packed(contents)? => {
            let sentence = format!("`{path}` is packed by UPX, so its content was not read");
            return Ok(FileFacts::warning(sentence));
        }
        BuildInfoSearch::Absent => return Ok(FileFacts::default()),
        BuildInfoSearch::Broken(reason) => return Ok(unlisted(reason)),
        BuildInfoSearch::Present(info) if info.modules.lines().count() > MOST_LINES => {
            return Ok(unlisted("they are more than any program has"));
        }
        BuildInfoSearch::Present(info) => info,
    };
    let mut facts = FileFacts::default();
    let linked = match functions::linked(contents, &layout) {
        Ok(linked) => linked,
        Err(error) if functions::is_not_kept(&error) => {
            facts.warn(format!(
                "which packages of its Go modules `{path}` has is not listed: it is too large to be held in memory"
            ));
            None
        }
        Err(error) => return Err(error),
    };
    facts.packages = modules(path, &info, linked.as_ref());
    Ok(facts)
}

/// One `mod`, `dep` or `=>` line: path, version, checksum.
#[derive(Default)]
struct GoModuleLine<'a> {
    path: &'a str,
    version: &'a str,
    sum: &'a str,
}

impl<'a> GoModuleLine<'a> {
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
fn modules(path: &str, info: &BuildInfo, linked: Option<&BTreeSet<String>>) -> Vec<FoundPackage> {
    let mut main: Option<Package> = None;
    let mut packages: Vec<Package> = Vec::new();
    // As each of them is imported, whatever replaces it.
    let (mut main_imported, mut imported) = (String::new(), Vec::new());
    for line in info.modules.lines().take(MOST_LINES) {
        let mut fields = line.split('\t');
        let key = fields.next().unwrap_or_default();
        let module = GoModuleLine::from_fields(fields);
        if module.path.is_empty() {
            continue;
        }
        match key {
            "mod" => {
                module.path.clone_into(&mut main_imported);
                main = Some(module.package());
            }
            "dep" => {
                imported.push(module.path.to_owned());
                packages.push(module.package());
            }
            "=>" => {
                if let Some(replaced) = packages.last_mut().or(main.as_mut()) {
                    replace(replaced, &module);
                }
            }
            _ => {}
        }
    }
    let mut standard = standard_library(&info.version);
    if let Some(linked) = linked {
        imported.push(main_imported);
        let all = packages.iter().chain(&main);
        let modules = all
            .zip(imported)
            .map(|(package, imported)| ImportedModule { imported, listed: package.name.clone() });
        let program = program(&info.modules);
        let found = attributed(linked, program, &modules.collect::<Vec<_>>());
        standard.linked = found.standard;
        for (package, linked) in packages.iter_mut().chain(&mut main).zip(found.modules) {
            package.linked = linked;
        }
        // The program itself is a package of it, and nobody knows which.
        if let Some(main) = main.as_mut().filter(|_| program.is_none()) {
            main.linked = None;
        }
    }
    packages.push(standard);
    let requires: Vec<Vec<PackageNeed>> =
        packages.iter().map(|package| vec![PackageNeed::named(package.name.as_str())]).collect();
    let mut found: Vec<FoundPackage> =
        packages.into_iter().map(|package| found(path, package)).collect();
    if let Some(mut main) = main {
        if main.version.is_none() {
            let (version, notes) = stated_version(&main.name, &info.modules);
            main.version = version;
            main.notes.extend(notes);
        }
        found.push(FoundPackage { requires, ..self::found(path, main) });
    }
    found
}

/// The import path of the program, where it was built by its name.
fn program(modules: &str) -> Option<&str> {
    let path = modules.lines().find_map(|line| line.strip_prefix("path\t"))?.trim();
    Some(path).filter(|path| !matches!(*path, "" | "command-line-arguments"))
}

/// What is compiled in is the replacement; of a local one nothing is known but that it is not the
/// original.
fn replace(replaced: &mut Package, by: &GoModuleLine<'_>) {
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
    Package { version, notes, ..Package::named(Ecosystem::Golang, STANDARD) }
}

/// The version of a main module that was not built as a release: what the linker was told, or else
/// the pseudo-version of the revision, as Go writes it where no tag is known.
fn stated_version(module: &str, modules: &str) -> (Option<String>, Vec<String>) {
    let setting = |key: &str| {
        modules
            .lines()
            .find_map(|line| line.strip_prefix("build\t")?.strip_prefix(key)?.strip_prefix('='))
    };
    let is_modified = setting("vcs.modified") == Some("true");
    let revision = setting("vcs.revision");
    let note = revision.map(|revision| {
        let modified = if is_modified { ", with changes" } else { "" };
        format!("Built from revision {revision}{modified}.")
    });
    // Go quotes a setting that has quotes itself.
    let unquoted = |flags: &str| match flags.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => flags.to_owned(),
    };
    let linked = setting("-ldflags").and_then(|flags| linked_version(module, &unquoted(flags)));
    if let Some(version) = linked {
        let told = "The version is what the linker was told.".to_owned();
        return (Some(version), note.into_iter().chain([told]).collect());
    }
    let pseudo = revision.zip(setting("vcs.time")).and_then(|(revision, time)| {
        let time: jiff::Timestamp = time.parse().ok()?;
        let short = revision.get(..12).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
        let major = module.rsplit_once("/v").map(|(_, major)| major);
        let major = major.filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
        let dirty = if is_modified { "+dirty" } else { "" };
        let time = time.strftime("%Y%m%d%H%M%S");
        Some(format!("v{}.0.0-{time}-{short}{dirty}", major.unwrap_or("0")))
    });
    (pseudo, note.into_iter().collect())
}

/// The version in `-X package.Variable=v1.2.3`: of package `main`, of the module itself, or of a
/// package that is named for versions, in this order.
fn linked_version(module: &str, flags: &str) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    for assigned in assignments(flags) {
        let Some((variable, value)) = assigned.split_once('=') else { continue };
        let Some((package, name)) = variable.rsplit_once('.') else { continue };
        let name = name.to_ascii_lowercase();
        let rank = match package {
            "main" => 0,
            _ if package == module
                || package.strip_prefix(module).is_some_and(|rest| rest.starts_with('/')) =>
            {
                2
            }
            _ if package.ends_with("/version") => 4,
            _ => continue,
        };
        let rank = match name.as_str() {
            "version" => rank,
            "buildversion" | "gitversion" | "appversion" | "releaseversion" | "semver" => rank + 1,
            _ => continue,
        };
        if let Some(version) =
            semantic(value).filter(|_| best.as_ref().is_none_or(|(known, _)| rank < *known))
        {
            best = Some((rank, version));
        }
    }
    best.map(|(_, version)| version)
}

/// What is given to each `-X`, without quotes.
fn assignments(flags: &str) -> Vec<String> {
    const MOST: usize = 1000;
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for letter in flags.chars().chain([' ']) {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.push(letter),
            ('"' | '\'', None) => quote = Some(letter),
            _ if letter.is_whitespace() => {
                if !word.is_empty() && words.len() < MOST {
                    words.push(std::mem::take(&mut word));
                }
                word.clear();
            }
            _ => word.push(letter),
        }
    }
    let is_flag = |word: &str| word == "-X" || word == "--X";
    let after = words.windows(2).filter(|pair| is_flag(&pair[0])).map(|pair| pair[1].clone());
    let joined = words.iter().filter_map(|word| word.strip_prefix("-X=")).map(str::to_owned);
    after.chain(joined).collect()
}

/// A semantic version with the `v` that Go's have.
fn semantic(value: &str) -> Option<String> {
    let bare = value.strip_prefix('v').unwrap_or(value);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at_checked(end)?;
    let parts: Vec<&str> = numbers.split('.').collect();
    let are_numbers =
        parts.iter().all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-+".contains(letter);
    ((2..=4).contains(&parts.len()) && are_numbers && rest.chars().all(plain) && bare.len() < 100)
        .then(|| format!("v{bare}"))
}

fn found(path: &str, package: Package) -> FoundPackage {
    FoundPackage {
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
        build\t-compiler=gc\nbuild\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=2024-02-08T10:11:12Z\nbuild\tvcs.modified=true\n";

    fn found_in(version: &str, text: &str) -> Vec<FoundPackage> {
        modules("usr/bin/app", &BuildInfo { version: version.into(), modules: text.into() }, None)
    }

    #[test]
    fn each_module_has_its_packages_and_a_program_without_a_name_none() {
        let linked = [
            "runtime",
            "main",
            "example.com/app/own",
            "github.com/BurntSushi/toml",
            "example.com/old/x",
            "example.com/local/y",
        ];
        let linked = linked.map(str::to_owned).into();
        let written = |text: &str| -> Vec<Option<String>> {
            let info = BuildInfo { version: "go1.26.8".into(), modules: text.into() };
            let found = modules("usr/bin/app", &info, Some(&linked)).into_iter();
            let written = |package: Package| Some(package.linked?.written(&package.name));
            found.map(|found| written(found.package)).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            written(MODULES),
            [some("."), some("x"), some("y"), some("runtime"), some("cmd/app,own")]
        );
        let nameless = MODULES.replace("example.com/app/cmd/app", "command-line-arguments");
        assert_eq!(written(&nameless)[4], None);
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
                ("example.com/app", Some("v0.0.0-20240208101112-0123456789ab+dirty")),
            ]
        );
        assert_eq!(found[0].package.notes, ["The go.sum hash is h1:abc=."]);
        assert_eq!(
            found[1].package.notes,
            ["The go.sum hash is h1:def=.", "Replaces example.com/old."]
        );
        assert_eq!(found[2].package.notes, ["Replaced by the local directory `./local`."]);
        assert_eq!(found[4].package.notes, ["Built from revision 0123456789abcdef, with changes."]);
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
    fn a_main_module_has_the_version_that_its_builder_stated() {
        let check = |module: &str, settings: &str, expected: Option<&str>| {
            let text = format!("mod\t{module}\t(devel)\n{settings}");
            let found = found_in("go1.22", &text);
            assert_eq!(found.last().unwrap().package.version.as_deref(), expected, "{settings}");
        };
        let flags = |flags: &str| format!("build\t-ldflags={flags}\n");
        let app = "example.com/app";
        check(app, &flags("-s -w -X main.version=1.2.3"), Some("v1.2.3"));
        check(
            app,
            &flags("\"-X 'main.Version=v1.2.3-rc.1' -X main.commit=abc\""),
            Some("v1.2.3-rc.1"),
        );
        check(app, &flags("-X=main.version=v2.0"), Some("v2.0"));
        check(app, &flags("-X example.com/app/internal/build.Version=v3.1.0"), Some("v3.1.0"));
        check(
            app,
            &flags(
                "-X github.com/prometheus/common/version.Version=2.45.0 -X main.buildVersion=9.9.9",
            ),
            Some("v9.9.9"),
        );
        check(
            app,
            &flags("-X github.com/prometheus/common/version.Version=2.45.0"),
            Some("v2.45.0"),
        );
        check(app, &flags("-X k8s.io/component-base/version.gitVersion=v1.29.3"), Some("v1.29.3"));
        check(
            app,
            &flags(
                "-X example.com/dependency.Version=1.0.0 -X example.com/application.Version=1.0.0",
            ),
            None,
        );
        check(app, &flags("-X main.version=dev -X main.goVersion=1.22.1"), None);
        let stamps = "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=2024-02-08T10:11:12Z\n";
        check(app, stamps, Some("v0.0.0-20240208101112-0123456789ab"));
        check("example.com/app/v3", stamps, Some("v3.0.0-20240208101112-0123456789ab"));
        check(app, &format!("{stamps}{}", flags("-X main.version=v1.0.0")), Some("v1.0.0"));
        check(app, "build\tvcs.revision=0123\nbuild\tvcs.time=soon\n", None);
        check(app, "", None);
    }

    #[test]
    fn malformed_lines_add_nothing() {
        let found = found_in("go1.20", "=>\tx\tv1\ndep\nmod\n\t\nnonsense\ndep\t\tv1\n");
        assert_eq!(found.len(), 1, "only the standard library");
    }
}
