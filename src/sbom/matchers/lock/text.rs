//! Lock files that are no JSON, line by line. It understands what the tools themselves write, and
//! nothing that people may write instead.

use std::collections::BTreeMap;

use super::Locked;
use crate::sbom::package::Ecosystem;

/// `[[package]]` or `[[packages]]`, then `name = "…"` and `version = "…"`.
pub(super) fn toml_packages(text: &str, ecosystem: Ecosystem) -> Vec<Locked> {
    let mut found = Vec::new();
    let (mut name, mut version) = (None, None);
    let mut inside = false;
    // A section at the end finishes the last package.
    for line in text.lines().map(str::trim).chain(["[end]"]) {
        if line.starts_with('[') {
            if let (Some(name), Some(version)) = (name.take(), version.take()) {
                found.push(Locked::new(ecosystem, name, version));
            }
            inside = ["[[package]]", "[[packages]]"].contains(&line);
            continue;
        }
        let value = |key: &str| {
            let rest = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start();
            let quote = rest.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
            rest.get(1..)?.split(quote).next()
        };
        if inside {
            name = name.or_else(|| value("name"));
            version = version.or_else(|| value("version"));
        }
    }
    found
}

/// `    name (version-platform)` below `specs:` of `GEM`; four blanks, since needs have six.
pub(super) fn gems(text: &str) -> Vec<Locked> {
    let mut is_gem = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if !line.starts_with(' ') {
            is_gem = line.trim_end() == "GEM";
        }
        let spec = line.strip_prefix("    ").filter(|spec| is_gem && !spec.starts_with(' '));
        if let Some((name, rest)) = spec.and_then(|spec| spec.split_once(" (")) {
            let version =
                rest.trim_end().trim_end_matches(')').split('-').next().unwrap_or_default();
            found.push(Locked::new(Ecosystem::Gem, name, version));
        }
    }
    found
}

/// `name` and `version` of `@scope/name@version`.
pub(super) fn at_version(text: &str) -> Option<(&str, &str)> {
    let at = text.rfind('@').filter(|at| *at > 0)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// An entry begins at the margin; its version is inside.
pub(super) fn yarn(text: &str) -> Vec<Locked> {
    let mut found = Vec::new();
    let mut name: Option<&str> = None;
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && line.ends_with(':') {
            name = yarn_name(line);
            continue;
        }
        let inner = line.strip_prefix("  ").filter(|inner| !inner.starts_with(' '));
        // A rewritten one may have all of its words in quotes.
        let version = inner.and_then(|inner| {
            let (word, value) = inner.split_once(' ')?;
            (word.trim_matches([':', '"']) == "version").then_some(value)
        });
        if let (Some(version), Some(own)) = (version, name) {
            let version = version.trim().trim_matches('"');
            found.push(Locked::new(Ecosystem::Npm, own, version));
            name = None;
        }
    }
    found
}

/// Of `"name@npm:^1, name@^2":`; an alias is what it stands for, and the project itself is none.
fn yarn_name(line: &str) -> Option<&str> {
    let first = line.trim_end_matches(':').split(',').next()?.trim().trim_matches('"');
    let at = first.get(1..)?.find('@')? + 1;
    let (name, range) = (first.get(..at)?, first.get(at + 1..)?);
    if ["workspace:", "link:", "portal:", "file:"].iter().any(|it| range.starts_with(it)) {
        return None;
    }
    let aliased = range.strip_prefix("npm:").and_then(at_version);
    Some(aliased.map_or(name, |(name, _)| name))
}

/// Keys of `packages:`: `/name/1.0`, `/name@1.0(peer)` or `name@1.0`, by the lock's version.
pub(super) fn pnpm(text: &str) -> Vec<Locked> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if !line.starts_with(' ') && !line.trim().is_empty() {
            inside = line.trim_end() == "packages:";
        }
        let key = line.strip_prefix("  ").filter(|key| inside && !key.starts_with(' '));
        let key = key.and_then(|key| {
            key.trim_end().strip_suffix(':').or(key.trim_end().strip_suffix(": {}"))
        });
        let Some(key) = key.map(|key| key.trim_matches(['\'', '"']).trim_start_matches('/')) else {
            continue;
        };
        let key = key.split('(').next().unwrap_or_default();
        // Before version 6: the version is a part of its own, and peers follow it.
        let old = key.rsplit_once('/').and_then(|(name, rest)| {
            let version = rest.split('_').next()?;
            let is_version = version.starts_with(|it: char| it.is_ascii_digit());
            (is_version && !version.contains('@')).then_some((name, version))
        });
        let named = old.or_else(|| at_version(key)).filter(|(_, it)| !it.contains(':'));
        found.extend(named.map(|(name, version)| Locked::new(Ecosystem::Npm, name, version)));
    }
    found
}

/// `"place": ["name@version", …` in `packages`.
pub(super) fn bun(text: &str) -> Vec<Locked> {
    let named = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(": [\"")?;
        at_version(rest.split('"').next()?)
    });
    named
        .filter(|(_, version)| version.starts_with(|it: char| it.is_ascii_digit()))
        .map(|(name, version)| Locked::new(Ecosystem::Npm, name, version))
        .collect()
}

/// `require` with what `replace` puts in its place; a directory in place of a module has no
/// version.
pub(super) fn go(text: &str) -> Vec<Locked> {
    let mut block = "";
    let mut found: Vec<Locked> = Vec::new();
    let mut replaced: BTreeMap<String, Option<(String, String)>> = BTreeMap::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = match words[..] {
            [word, "("] => {
                block = word;
                continue;
            }
            [")"] => {
                block = "";
                continue;
            }
            _ if !block.is_empty() => [&[block], &words[..]].concat(),
            _ => words,
        };
        match rest[..] {
            ["require", module, version] => {
                found.push(Locked::new(Ecosystem::Golang, module.trim_matches('"'), version));
            }
            ["replace", module, .., "=>", other, version] => {
                replaced.insert(module.to_owned(), Some((other.to_owned(), version.to_owned())));
            }
            ["replace", module, .., "=>", _] => {
                replaced.insert(module.to_owned(), None);
            }
            _ => {}
        }
    }
    found.retain_mut(|locked| match replaced.get(&locked.name) {
        None => true,
        Some(None) => false,
        Some(Some((name, version))) => {
            (locked.name, locked.version) = (name.clone(), version.clone());
            true
        }
    });
    found
}

/// `group:artifact:version=configurations`.
pub(super) fn gradle(text: &str) -> Vec<Locked> {
    let named = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, version) = line.split('=').next()?.trim().rsplit_once(':')?;
        name.contains(':').then(|| Locked::new(Ecosystem::Maven, name, version))
    });
    named.collect()
}

/// `"name": {:hex, :package, "version", …`.
pub(super) fn mix(text: &str) -> Vec<Locked> {
    let named = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("{:hex, :")?;
        let (name, rest) = rest.split_once(',')?;
        let version = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        Some(Locked::new(Ecosystem::Hex, name.trim_matches('"'), version))
    });
    named.collect()
}

/// `  name:` below `packages:`, then `    source: hosted` and `    version: "…"`.
pub(super) fn dart(text: &str) -> Vec<Locked> {
    let mut found = Vec::new();
    let (mut inside, mut hosted, mut name) = (false, false, "");
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        match (depth, trimmed.split_once(':')) {
            (0, Some((key, _))) => inside = key == "packages",
            (2, Some((key, _))) if inside => (name, hosted) = (key.trim_matches('"'), false),
            (4, Some(("source", source))) if inside => hosted = source.trim() == "hosted",
            (4, Some(("version", version))) if inside && hosted => {
                found.push(Locked::new(Ecosystem::Pub, name, version.trim().trim_matches('"')));
            }
            _ => {}
        }
    }
    found
}

/// Only what is pinned: `name[extra]==1.2 ; marker --hash=…`.
pub(super) fn requirements(text: &str) -> Vec<Locked> {
    let named = text.lines().filter_map(|line| {
        let line = line.split(" #").next()?.split([';', '\\']).next()?.trim();
        let (name, version) = line.split_once("==")?;
        let name = name.split('[').next()?.trim();
        let version = version.trim_start_matches('=').split_whitespace().next()?;
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
        let is_name = !name.is_empty() && name.chars().all(is_plain);
        (is_name && !version.contains(['*', ',']))
            .then(|| Locked::new(Ecosystem::Pypi, name, version))
    });
    named.collect()
}
