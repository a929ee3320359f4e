//! What lock files name, for a directory of sources. Whether any of it is there nobody knows, so a
//! catalog of an image leaves it out.

use serde_json::Value;

use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, is_plausible, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

mod native;
mod text;

/// One package that a lock file names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Locked {
    ecosystem: Ecosystem,
    name: String,
    version: String,
    is_development: bool,
    qualifiers: Vec<(&'static str, String)>,
}

impl Locked {
    fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Self {
        Self {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            is_development: false,
            qualifiers: Vec::new(),
        }
    }

    fn for_development(self, is_development: bool) -> Self {
        Self { is_development, ..self }
    }
}

type ReadLock = fn(&str) -> Option<Vec<Locked>>;

/// Lock files by their names.
const FILES: [(&str, ReadLock); 26] = [
    ("Cargo.lock", |text| Some(text::toml_packages(text, Ecosystem::Cargo))),
    ("Gemfile.lock", |text| Some(text::gems(text))),
    ("Package.resolved", |text| json(text).map(|it| native::swift(&it))),
    ("Pipfile.lock", |text| json(text).map(|it| pipfile(&it))),
    ("Podfile.lock", |text| Some(native::pods(text))),
    ("bun.lock", |text| Some(text::bun(text))),
    ("composer.lock", |text| json(text).map(|it| composer(&it))),
    ("conan.lock", |text| json(text).map(|it| native::conan_lock(&it))),
    ("conanfile.txt", |text| Some(native::conanfile(text))),
    ("deno.lock", |text| json(text).map(|it| deno(&it))),
    ("gems.locked", |text| Some(text::gems(text))),
    ("go.mod", |text| Some(text::go(text))),
    ("gradle.lockfile", |text| Some(text::gradle(text))),
    ("mix.lock", |text| Some(text::mix(text))),
    ("npm-shrinkwrap.json", |text| json(text).map(|it| npm(&it))),
    ("package-lock.json", |text| json(text).map(|it| npm(&it))),
    ("packages.lock.json", |text| json(text).map(|it| nuget(&it))),
    ("pdm.lock", |text| Some(text::toml_packages(text, Ecosystem::Pypi))),
    ("pnpm-lock.yaml", |text| Some(text::pnpm(text))),
    ("poetry.lock", |text| Some(text::toml_packages(text, Ecosystem::Pypi))),
    ("pubspec.lock", |text| Some(text::dart(text))),
    ("pylock.toml", |text| Some(text::toml_packages(text, Ecosystem::Pypi))),
    ("renv.lock", |text| json(text).map(|it| renv(&it))),
    ("requirements.txt", |text| Some(text::requirements(text))),
    ("uv.lock", |text| Some(text::toml_packages(text, Ecosystem::Pypi))),
    ("yarn.lock", |text| Some(text::yarn(text))),
];

pub(super) fn is_lock(path: &str) -> bool {
    reader(path).is_some() && !path.contains("node_modules/")
}

fn reader(path: &str) -> Option<ReadLock> {
    let name = path.rsplit('/').next()?;
    FILES.iter().find(|(file, _)| *file == name).map(|(_, read)| *read)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let Some(reader) = reader(path) else { return Ok(FileFacts::default()) };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let Some(locked) = is_plausible(bytes).then(|| reader(&text)).flatten() else {
        return Ok(FileFacts::warning(format!("`{path}` is not listed: it is not a lock file")));
    };
    let named = locked.into_iter().filter(|it| is_word(&it.name) && is_word(&it.version));
    let packages = named.take(MOST_PACKAGES).map(|locked| {
        let note = if locked.is_development { " For development only." } else { "" };
        let package = Package {
            version: Some(locked.version),
            is_locked: true,
            qualifiers: locked.qualifiers,
            notes: vec![format!("A lock file names it.{note}")],
            ..Package::named(locked.ecosystem, locked.name)
        };
        FoundPackage::alone(package, parent(path))
    });
    Ok(FileFacts { packages: packages.collect(), ..FileFacts::default() })
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 400
        && text.chars().all(|it| !it.is_whitespace() && !it.is_control())
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Since npm 7 by place, before by name and in each other.
fn npm(lock: &Value) -> Vec<Locked> {
    let mut found = Vec::new();
    for (place, package) in members(lock.get("packages")) {
        // The rest are the project itself and its workspaces.
        let Some((_, named)) = place.rsplit_once("node_modules/") else { continue };
        let name = word(package, "name").unwrap_or(named);
        let is_dev = package.get("dev") == Some(&Value::Bool(true));
        found.extend(
            word(package, "version")
                .map(|version| Locked::new(Ecosystem::Npm, name, version).for_development(is_dev)),
        );
    }
    if lock.get("packages").is_none() {
        npm_nested(lock, &mut found);
    }
    found
}

/// serde_json reads no deeper than 128, so this ends.
fn npm_nested(value: &Value, found: &mut Vec<Locked>) {
    for (name, package) in members(value.get("dependencies")) {
        let is_dev = package.get("dev") == Some(&Value::Bool(true));
        // `npm:other@1.0` is an alias; `file:` and the like are no versions.
        let stated = word(package, "version").unwrap_or_default();
        let aliased = stated.strip_prefix("npm:").and_then(|it| it.rsplit_once('@'));
        let (name, version) = aliased.unwrap_or((name, stated));
        if !version.contains(':') {
            found.push(Locked::new(Ecosystem::Npm, name, version).for_development(is_dev));
        }
        npm_nested(package, found);
    }
}

fn composer(lock: &Value) -> Vec<Locked> {
    let of = |key: &str, is_dev: bool| {
        let named = items(lock.get(key)).filter_map(move |package| {
            let locked =
                Locked::new(Ecosystem::Composer, word(package, "name")?, word(package, "version")?);
            Some(locked.for_development(is_dev))
        });
        named.collect::<Vec<_>>()
    };
    [of("packages", false), of("packages-dev", true)].concat()
}

fn pipfile(lock: &Value) -> Vec<Locked> {
    let of = |key: &str, is_dev: bool| {
        let named = members(lock.get(key)).filter_map(move |(name, package)| {
            let version = word(package, "version")?.trim_start_matches('=');
            Some(Locked::new(Ecosystem::Pypi, name, version).for_development(is_dev))
        });
        named.collect::<Vec<_>>()
    };
    [of("default", false), of("develop", true)].concat()
}

/// By target framework; other projects of the solution are no packages.
fn nuget(lock: &Value) -> Vec<Locked> {
    let frameworks = members(lock.get("dependencies"));
    let all = frameworks.flat_map(|(_, packages)| members(Some(packages)));
    let named = all.filter(|(_, package)| word(package, "type") != Some("Project"));
    named
        .filter_map(|(name, package)| {
            Some(Locked::new(Ecosystem::Nuget, name, word(package, "resolved")?))
        })
        .collect()
}

/// Packages of R; other sources than repositories have no versions that others know.
fn renv(lock: &Value) -> Vec<Locked> {
    let named = members(lock.get("Packages")).filter_map(|(_, package)| {
        let (name, version) = (word(package, "Package")?, word(package, "Version")?);
        let ecosystem = match word(package, "Source") {
            Some("Repository") | None => Ecosystem::Cran,
            Some("Bioconductor") => Ecosystem::Bioconductor,
            Some(_) => return None,
        };
        Some(Locked::new(ecosystem, name, version))
    });
    named.collect()
}

fn deno(lock: &Value) -> Vec<Locked> {
    let packages = members(lock.get("npm")).chain(members(lock.pointer("/packages/npm")));
    let named = packages.filter_map(|(key, _)| text::at_version(key.split('_').next()?));
    named.map(|(name, version)| Locked::new(Ecosystem::Npm, name, version)).collect()
}

#[cfg(test)]
mod tests;
