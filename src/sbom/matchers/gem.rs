//! Ruby gems, from the specifications that RubyGems writes. It runs no Ruby: only plain values are
//! understood.

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed, Supplier};

pub(super) fn is_specification(path: &str) -> bool {
    path.ends_with(".gemspec")
        && path.split('/').rev().skip(1).any(|directory| directory == "specifications")
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    Ok(match gem(path, &text) {
        Some(found) => FileFacts { packages: vec![found], ..FileFacts::default() },
        None => FileFacts::warning(format!("`{path}` is not listed: it states no name or version")),
    })
}

fn gem(path: &str, text: &str) -> Option<FoundPackage> {
    let values = |field: &str| assigned(text, field).map(strings).unwrap_or_default();
    let one = |field: &str| {
        values(field)
            .into_iter()
            .next()
            .filter(|value| !value.is_empty() && !value.contains(char::is_whitespace))
    };
    let (name, version) = (one("name")?, one("version")?);
    // RubyGems' own spelling; `ruby` is for gems that run everywhere.
    let platform = one("platform")
        .filter(|platform| platform != "ruby")
        .or_else(|| platform_in_stub(text, &name, &version));
    let mut licences = values("licenses");
    licences.extend(values("license"));
    let authors = values("authors");
    let package = Package {
        version: Some(version),
        supplier: authors.first().and_then(|author| Supplier::from_maintainer(author)),
        licence: Licence::from_field(&licences.join(" OR ")),
        qualifiers: platform.map(|platform| ("platform", platform)).into_iter().collect(),
        ..Package::named(Ecosystem::Gem, name)
    };
    let needed = text.lines().filter(|line| {
        ["add_runtime_dependency(", "add_dependency("].iter().any(|call| line.contains(call))
    });
    let names = needed.filter_map(|line| strings(line).into_iter().next());
    Some(FoundPackage {
        requires: names.map(|name| vec![PackageNeed::named(name)]).collect(),
        ..FoundPackage::alone(package, scope(path))
    })
}

/// Default gems are one directory below the others, and meet their needs.
fn scope(path: &str) -> &str {
    let directory = parent(path);
    directory.strip_suffix("default/").unwrap_or(directory)
}

/// What follows `s.field =`, on that line.
fn assigned<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (object, rest) = line.trim_start().split_once('.')?;
        let value = rest.strip_prefix(field)?.trim_start().strip_prefix('=')?;
        object
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            .then_some(value)
    })
}

/// The string literals of a line: `"a".freeze, 'b', %q<c>`.
fn strings(line: &str) -> Vec<String> {
    const MOST: usize = 100;
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'', '%']) {
        let quoted = rest.get(at..at + 3).and_then(|start| start.strip_prefix("%q"));
        let (opened, close) = match quoted {
            Some("<") => (at + 3, '>'),
            Some("{") => (at + 3, '}'),
            Some("(") => (at + 3, ')'),
            Some("[") => (at + 3, ']'),
            _ if rest[at..].starts_with('%') => {
                rest = &rest[at + 1..];
                continue;
            }
            _ => (at + 1, if rest[at..].starts_with('"') { '"' } else { '\'' }),
        };
        let Some(length) = rest[opened..].find(close) else { break };
        found.push(rest[opened..opened + length].to_owned());
        rest = &rest[opened + length + 1..];
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// `# stub: nokogiri 1.15.4 x86_64-linux lib`, which the file starts with.
fn platform_in_stub(text: &str, name: &str, version: &str) -> Option<String> {
    let stub = text.lines().take(5).find_map(|line| line.strip_prefix("# stub: "))?;
    match stub.split_whitespace().collect::<Vec<_>>()[..] {
        [stub_name, stub_version, platform, ..]
            if stub_name == name && stub_version == version && platform != "ruby" =>
        {
            Some(platform.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOKOGIRI: &str = "# -*- encoding: utf-8 -*-\n# stub: nokogiri 1.15.4 x86_64-linux lib\n\nGem::Specification.new do |s|\n  \
        s.name = \"nokogiri\".freeze\n  s.version = \"1.15.4\"\n  s.platform = \"x86_64-linux\".freeze\n\n  \
        s.required_rubygems_version = Gem::Requirement.new(\">= 0\".freeze) if s.respond_to? :required_rubygems_version=\n  \
        s.authors = [\"Mike Dalessio\".freeze, \"Aaron Patterson\".freeze]\n  s.licenses = [\"MIT\".freeze]\n  \
        s.add_runtime_dependency(%q<racc>.freeze, [\"~> 1.4\"])\n  s.add_development_dependency(%q<rake>.freeze, [\"> 0\"])\nend\n";

    #[test]
    fn a_specification_becomes_a_package() {
        let path = "usr/lib/ruby/gems/3.2.0/specifications/nokogiri-1.15.4-x86_64-linux.gemspec";
        assert!(
            is_specification(path)
                && !is_specification(
                    "usr/lib/ruby/gems/3.2.0/gems/nokogiri-1.15.4/nokogiri.gemspec"
                )
        );
        let facts = read(path, NOKOGIRI.as_bytes()).unwrap();
        let found = &facts.packages[0];
        assert_eq!(
            crate::sbom::purl::of(&found.package, None),
            "pkg:gem/nokogiri@1.15.4?platform=x86_64-linux"
        );
        assert_eq!(found.package.licence, Licence::Expression("MIT".into()));
        assert_eq!(found.package.supplier.as_ref().unwrap().to_spdx(), "Person: Mike Dalessio");
        assert_eq!(found.requires, [vec![PackageNeed::named("racc")]]);
    }

    #[test]
    fn what_is_computed_is_not_guessed() {
        let check = |text: &str, expected: Option<&str>| {
            let facts = read("specifications/a.gemspec", text.as_bytes()).unwrap();
            let told =
                facts.packages.first().map(|found| crate::sbom::purl::of(&found.package, None));
            assert_eq!(
                (told.as_deref(), facts.warnings.len()),
                (expected, usize::from(expected.is_none())),
                "{text}"
            );
        };
        check("spec.name = 'a'\nspec.version = '1'\n", Some("pkg:gem/a@1"));
        check("s.name = 'a'\ns.version = A::VERSION\n", None);
        check("s.name = \"a\ns.version = '1'\n", None);
        check(
            "# stub: a 1 java lib\ns.name = %q<a>\ns.version = '1'\n",
            Some("pkg:gem/a@1?platform=java"),
        );
        for name in ["%q{a}", "%q(a)", "%q[a]"] {
            check(&format!("s.name = {name}\ns.version = '1'\n"), Some("pkg:gem/a@1"));
        }
        check("", None);
    }
}
