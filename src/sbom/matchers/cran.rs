//! R packages, from the `DESCRIPTION` that each has. It lists what is installed, and no source tree.

use super::deb822::stanzas;
use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed, Supplier};

pub(super) fn is_description(path: &str) -> bool {
    path.strip_suffix("DESCRIPTION").is_some_and(|before| before.ends_with('/'))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let Some(head) = stanzas(&text).next() else { return Ok(FileFacts::default()) };
    let field = |name| head.get(name).map(str::trim).filter(|value| !value.is_empty());
    // Installing adds `Built`; other programs have files of this name too.
    let library = parent(parent(path).trim_end_matches('/')).trim_end_matches('/');
    let is_library = library.rsplit('/').next().is_some_and(|it| it.ends_with("library"));
    if field("Built").is_none() && !is_library {
        return Ok(FileFacts::default());
    }
    let word = |name| field(name).filter(|value| !value.contains(char::is_whitespace));
    let (Some(name), Some(version)) = (word("Package"), word("Version")) else {
        return Ok(FileFacts::warning(format!(
            "`{path}` is not listed: it has no name or version"
        )));
    };
    // Every package of Bioconductor states its subjects, and only those need to.
    let ecosystem = match field("biocViews")
        .or_else(|| field("git_url").filter(|url| url.contains("bioconductor")))
    {
        Some(_) => Ecosystem::Bioconductor,
        None => Ecosystem::Cran,
    };
    let package = Package {
        version: Some(version.to_owned()),
        supplier: field("Maintainer").and_then(Supplier::from_maintainer),
        licence: field("License").map_or(Licence::Unknown, licence),
        ..Package::named(ecosystem, name)
    };
    let needs = ["Depends", "Imports", "LinkingTo"].into_iter().filter_map(field);
    let needs = needs.flat_map(|list| list.split(',')).filter_map(need);
    Ok(FileFacts {
        packages: vec![FoundPackage {
            requires: needs.map(|need| vec![need]).collect(),
            ..FoundPackage::alone(package, parent(parent(path).trim_end_matches('/')))
        }],
        ..FileFacts::default()
    })
}

/// `name (>= 1.2)`; `R` is the interpreter.
fn need(text: &str) -> Option<PackageNeed> {
    let name = text.trim().split(|letter: char| letter == '(' || letter.is_whitespace()).next()?;
    (!name.is_empty() && name != "R").then(|| PackageNeed::named(name))
}

/// R's own grammar: alternatives with `|`, versions in brackets, and a file of exceptions or names:
/// <https://cran.r-project.org/doc/manuals/R-exts.html#Licensing>.
fn licence(field: &str) -> Licence {
    let choices: Option<Vec<String>> = field.split('|').map(choice).collect();
    match choices {
        Some(choices) if !choices.is_empty() => Licence::from_field(&choices.join(" OR ")),
        _ => Licence::from_field(field),
    }
}

fn choice(text: &str) -> Option<String> {
    let bare = text.split('+').next().unwrap_or_default().trim();
    let rest = text.trim().strip_prefix(bare).unwrap_or_default().trim();
    if !["", "+ file LICENSE", "+ file LICENCE"].contains(&rest) {
        return None;
    }
    let (name, version) = match bare.split_once('(') {
        Some((name, version)) => (name.trim(), Some(version.trim_end_matches(')').trim())),
        None => (bare, None),
    };
    let or_later = version.and_then(|version| version.strip_prefix(">=")).map(str::trim);
    let (family, number, is_later) = match (or_later, name.rsplit_once('-')) {
        (Some(number), _) => (name, number, true),
        (None, Some((family, number))) if version.is_none() => (family, number, false),
        _ => return simple(name).filter(|_| version.is_none()),
    };
    let number = if number.contains('.') { number.to_owned() } else { format!("{number}.0") };
    match (family, is_later) {
        ("GPL" | "LGPL" | "AGPL", true) => Some(format!("{family}-{number}-or-later")),
        ("GPL" | "LGPL" | "AGPL", false) => Some(format!("{family}-{number}-only")),
        ("Apache License" | "Apache", _) => Some(format!("Apache-{number}")),
        ("Artistic", _) => Some(format!("Artistic-{number}")),
        ("MPL", _) => Some(format!("MPL-{number}")),
        _ if version.is_none() => simple(name),
        _ => None,
    }
}

fn simple(name: &str) -> Option<String> {
    Some(match name {
        "BSD_2_clause" => "BSD-2-Clause".to_owned(),
        "BSD_3_clause" => "BSD-3-Clause".to_owned(),
        "CC0" => "CC0-1.0".to_owned(),
        "" => return None,
        other => other.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Option<Package> {
        read(path, text.as_bytes()).unwrap().packages.pop().map(|found| found.package)
    }

    #[test]
    fn what_is_installed_is_listed() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let purl = found(path, text).map(|package| crate::sbom::purl::of(&package, None));
            assert_eq!(purl.as_deref(), expected, "{path} {text}");
        };
        let text = "Package: rJava\nVersion: 1.0-4\nBuilt: R 4.3.1; ; 2023; unix\n";
        check("usr/lib/R/library/rJava/DESCRIPTION", text, Some("pkg:cran/rJava@1.0-4"));
        check("opt/renv/x/rJava/DESCRIPTION", text, Some("pkg:cran/rJava@1.0-4"));
        let source = "Package: a\nVersion: 1\n";
        check("src/a/DESCRIPTION", source, None);
        check("usr/lib/R/site-library/a/DESCRIPTION", source, Some("pkg:cran/a@1"));
        let bioc = "Package: limma\nVersion: 3.58.1\nbiocViews: ExonArray,\n  GeneExpression\nBuilt: R 4\n";
        check(
            "usr/local/lib/R/site-library/limma/DESCRIPTION",
            bioc,
            Some("pkg:bioconductor/limma@3.58.1"),
        );
        check("R/library/a/DESCRIPTION", "\u{feff}Package: a\nVersion: 1\n", Some("pkg:cran/a@1"));
        check("usr/share/doc/x/DESCRIPTION", "Some words: here\n", None);
        assert!(is_description("a/DESCRIPTION") && !is_description("a/XDESCRIPTION"));
        assert_eq!(read("R/library/a/DESCRIPTION", b"Package: a\n").unwrap().warnings.len(), 1);
    }

    #[test]
    fn licences_are_read_by_rs_own_grammar() {
        let check = |field: &str, expected: Licence| {
            let text = format!("Package: a\nVersion: 1\nBuilt: R\nLicense: {field}\n");
            assert_eq!(found("a/DESCRIPTION", &text).unwrap().licence, expected, "{field}");
        };
        let is = |text: &str| Licence::Expression(text.into());
        check("MIT + file LICENSE", is("MIT"));
        check("GPL (>= 2)", is("GPL-2.0-or-later"));
        check("GPL-2 | GPL-3", is("GPL-2.0-only OR GPL-3.0-only"));
        check("LGPL (>= 2.1)", is("LGPL-2.1-or-later"));
        check("Apache License (>= 2)", is("Apache-2.0"));
        check("Apache License 2.0", Licence::Named("Apache License 2.0".into()));
        check("BSD_3_clause + file LICENSE", is("BSD-3-Clause"));
        check("GPL-3 + file LICENSE.note", Licence::Named("GPL-3 + file LICENSE.note".into()));
        check("file LICENSE", Licence::Named("file LICENSE".into()));
        check("Part of R 4.3.1", Licence::Named("Part of R 4.3.1".into()));
        check("AGPL-3", is("AGPL-3.0-only"));
    }

    #[test]
    fn needs_are_names() {
        let text = "Package: a\nVersion: 1\nBuilt: R\nDepends: R (>= 3.5), methods\nImports: cli (>= 3.4),\n    glue\n";
        let facts = read("l/library/a/DESCRIPTION", text.as_bytes()).unwrap();
        let names: Vec<&str> =
            facts.packages[0].requires.iter().map(|need| need[0].name.as_str()).collect();
        assert_eq!(
            (names, facts.packages[0].scope.as_str()),
            (vec!["methods", "cli", "glue"], "l/library/")
        );
    }
}
