//! Node packages, from the `package.json` that each one has. It never reads lock files: what they
//! name need not be there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed, Supplier};

pub(super) fn is_manifest(path: &str) -> bool {
    path == "package.json" || path.ends_with("/package.json")
}

/// Most that have no name and version only set options for a directory; others belong to a
/// package's own tests.
pub(in crate::sbom) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    if is_test_data(path) {
        return Ok(FileFacts::default());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // An old author's name may be in another encoding, and npm reads it all the same.
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    match (serde_json::from_slice::<Value>(bytes), is_installed(path)) {
        (Ok(manifest), _) => Ok(FileFacts {
            packages: package(path, &manifest).into_iter().collect(),
            ..FileFacts::default()
        }),
        (Err(error), true) => Ok(FileFacts::warning(format!("`{path}` is not listed: {error}"))),
        (Err(_), false) => Ok(FileFacts::default()),
    }
}

/// `node_modules/name` and `node_modules/@scope/name` are where packages get installed.
fn is_installed(path: &str) -> bool {
    let mut above = parent(path).trim_end_matches('/').rsplit('/').skip(1);
    match above.next() {
        Some("node_modules") => true,
        Some(scope) if scope.starts_with('@') => above.next() == Some("node_modules"),
        _ => false,
    }
}

/// A manifest that an installed package carries for its own tests; nothing runs it.
fn is_test_data(path: &str) -> bool {
    const DIRECTORIES: [&str; 6] =
        ["test", "tests", "__tests__", "fixtures", "__fixtures__", "testdata"];
    let Some((_, inside)) = parent(path).rsplit_once("node_modules/") else { return false };
    let depth = if inside.starts_with('@') { 2 } else { 1 };
    inside.split('/').skip(depth).any(|directory| DIRECTORIES.contains(&directory))
}

fn package(path: &str, manifest: &Value) -> Option<FoundPackage> {
    let name = manifest.get("name")?.as_str().filter(|name| is_name(name))?;
    let version =
        manifest.get("version")?.as_str().map(str::trim).filter(|version| is_version(version))?;
    let package = Package {
        version: Some(version.to_owned()),
        supplier: supplier(manifest),
        licence: licence(manifest),
        ..Package::named(Ecosystem::Npm, name)
    };
    Some(FoundPackage { requires: needs(manifest), ..FoundPackage::alone(package, parent(path)) })
}

/// What is loaded when the package runs; which of it is there, and where, the catalog finds out.
fn needs(manifest: &Value) -> Vec<Vec<PackageNeed>> {
    /// No real package has more; a hostile one must not fill the memory.
    const MOST: usize = 500;
    let members = |key: &str| manifest.get(key).and_then(Value::as_object).into_iter().flatten();
    let is_optional = |name: &str| {
        let meta = manifest.get("peerDependenciesMeta").and_then(|meta| meta.get(name));
        meta.and_then(|meta| meta.get("optional")) == Some(&Value::Bool(true))
    };
    let own = members("dependencies").chain(members("optionalDependencies"));
    let peers = members("peerDependencies").filter(|(name, _)| !is_optional(name));
    let names: BTreeSet<&str> = own.chain(peers).map(|(name, _)| name.as_str()).collect();
    let plain = names.into_iter().filter(|name| is_name(name)).take(MOST);
    plain.map(|name| vec![PackageNeed::named(name)]).collect()
}

/// What npm lets install; old names may have capitals.
fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-._~!'()*".contains(letter))
    };
    let bare = match name.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
        None => name,
        Some(Some((scope, bare))) if plain(scope) => bare,
        Some(_) => return false,
    };
    plain(bare) && name.len() <= 214
}

fn is_version(version: &str) -> bool {
    let bare = version.trim_start_matches(['v', '=']);
    bare.starts_with(|letter: char| letter.is_ascii_digit())
        && version.len() <= 256
        && !version.contains(char::is_whitespace)
}

/// Whom the manifest names as its author or publisher; those who only contributed supply nothing.
fn supplier(manifest: &Value) -> Option<Supplier> {
    let named = ["author", "publisher", "authors", "maintainers"]
        .iter()
        .filter_map(|key| manifest.get(key));
    named.filter_map(|named| author(named.get(0).unwrap_or(named))).next()
}

/// `Name <mail> (url)` or the same as an object.
fn author(author: &Value) -> Option<Supplier> {
    let text = |key| author.get(key).and_then(Value::as_str).unwrap_or_default();
    match author.as_str() {
        Some(author) => Supplier::from_maintainer(author.split('(').next().unwrap_or_default()),
        None => Supplier::from_maintainer(&format!("{} <{}>", text("name"), text("email"))),
    }
}

/// An expression; in old manifests an object, or several of which one may choose.
fn licence(manifest: &Value) -> Licence {
    let one =
        |value: &Value| value.as_str().or_else(|| value.get("type")?.as_str()).map(str::to_owned);
    match (manifest.get("license"), manifest.get("licenses")) {
        (Some(Value::Array(choice)), _) | (None, Some(Value::Array(choice))) => {
            let names: Vec<String> = choice.iter().filter_map(one).collect();
            Licence::from_field(&names.join(" OR "))
        }
        (Some(licence), _) | (None, Some(licence)) => {
            one(licence).map_or(Licence::Unknown, |licence| Licence::from_field(&licence))
        }
        (None, None) => Licence::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Option<(String, String)> {
        let facts = read(path, text.as_bytes()).unwrap();
        facts
            .packages
            .into_iter()
            .next()
            .map(|found| (found.package.name, found.package.version.unwrap()))
    }

    #[test]
    fn bytes_of_another_encoding_do_not_hide_a_package() {
        let facts = read(
            "node_modules/a/package.json",
            b"{\"name\":\"a\",\"version\":\"1.0.0\",\"author\":\"J\xf6rg\"}",
        )
        .unwrap();
        assert_eq!((facts.packages.len(), facts.warnings.len()), (1, 0));
    }

    #[test]
    fn the_supplier_is_an_author_a_publisher_or_a_maintainer_and_no_contributor() {
        let check = |named: &str, expected: Option<&str>| {
            let text = format!(r#"{{"name":"a","version":"1",{named}}}"#);
            let package = read("node_modules/a/package.json", text.as_bytes())
                .unwrap()
                .packages
                .remove(0)
                .package;
            assert_eq!(
                package.supplier.map(|supplier| supplier.to_spdx()).as_deref(),
                expected,
                "{named}"
            );
        };
        check(r#""author":"A <a@b.example>","publisher":"P""#, Some("Person: A (a@b.example)"));
        check(r#""author":"","publisher":{"name":"The P Team"}"#, Some("Organization: The P Team"));
        check(
            r#""authors":["B (https://b.example)","C"],"maintainers":[{"name":"M"}]"#,
            Some("Person: B"),
        );
        check(
            r#""author":[],"maintainers":[{"name":"M","email":"m@b.example","web":"x"}]"#,
            Some("Person: M (m@b.example)"),
        );
        check(r#""contributors":[{"name":"C"}],"maintainers":{}"#, None);
        check(r#""author":7,"maintainers":[[]]"#, None);
    }

    #[test]
    fn a_manifest_becomes_a_package() {
        let text = r#"{"name":"@babel/core","version":"7.23.2","author":"The Babel Team (https://babel.dev/team)","license":"MIT",
            "dependencies":{"debug":"^4.1.0"}}"#;
        let facts = read("app/node_modules/@babel/core/package.json", text.as_bytes()).unwrap();
        let package = &facts.packages[0].package;
        assert_eq!(
            (package.name.as_str(), package.version.as_deref()),
            ("@babel/core", Some("7.23.2"))
        );
        assert_eq!(package.supplier.as_ref().unwrap().to_spdx(), "Organization: The Babel Team");
        assert_eq!(package.licence, Licence::Expression("MIT".into()));
    }

    #[test]
    fn only_real_packages_count() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            assert_eq!(
                found(path, text).map(|(name, version)| format!("{name}@{version}")).as_deref(),
                expected,
                "{path} {text}"
            );
        };
        let a = r#"{"name":"a","version":"1.0.0"}"#;
        check("app/package.json", a, Some("a@1.0.0"));
        check("n/node_modules/a/package.json", &format!("\u{feff}{a}"), Some("a@1.0.0"));
        check("n/node_modules/x/dist/compiled/a/package.json", a, Some("a@1.0.0"));
        check("n/node_modules/x/test/a/package.json", a, None);
        check("n/node_modules/@s/x/fixtures/a/package.json", a, None);
        check("n/node_modules/test/package.json", a, Some("a@1.0.0"));
        check("n/node_modules/@s/test/package.json", a, Some("a@1.0.0"));
        check("n/node_modules/a/esm/package.json", r#"{"type":"module"}"#, None);
        check("p/package.json", r#"{"name":"a"}"#, None);
        check("p/package.json", r#"{"name":"a","version":""}"#, None);
        check("p/package.json", r#"{"name":"a","version":"{{version}}"}"#, None);
        check("p/package.json", r#"{"name":"{{name}}","version":"1.0.0"}"#, None);
        check("p/package.json", r#"{"name":["a"],"version":1}"#, None);
        check("p/package.json", "{}{}", None);
        check("p/package.json", "[]", None);
    }

    #[test]
    fn a_broken_manifest_is_told_where_a_package_must_be() {
        assert_eq!(read("n/node_modules/a/package.json", b"{").unwrap().warnings.len(), 1);
        assert_eq!(read("n/node_modules/@s/a/package.json", b"\xff").unwrap().warnings.len(), 1);
        assert_eq!(read("n/node_modules/a/lib/package.json", b"{").unwrap(), FileFacts::default());
    }

    #[test]
    fn old_spellings_of_licences_and_authors_are_understood() {
        let check = |fields: &str, licence: Licence, supplier: Option<&str>| {
            let text = format!(r#"{{"name":"a","version":"1.0.0",{fields}}}"#);
            let package = read("package.json", text.as_bytes()).unwrap().packages.remove(0).package;
            assert_eq!(
                (package.licence, package.supplier.map(|supplier| supplier.to_spdx()).as_deref()),
                (licence, supplier),
                "{fields}"
            );
        };
        check(r#""license":{"type":"MIT","url":"u"}"#, Licence::Expression("MIT".into()), None);
        check(
            r#""licenses":[{"type":"MIT"},{"type":"ISC"}]"#,
            Licence::Expression("MIT OR ISC".into()),
            None,
        );
        check(r#""license":"SEE LICENSE IN x""#, Licence::Named("SEE LICENSE IN x".into()), None);
        check(
            r#""author":{"name":"A B","email":"a@b.example"}"#,
            Licence::Unknown,
            Some("Person: A B (a@b.example)"),
        );
        check(
            r#""author":"A <a@b.example> (http://a)""#,
            Licence::Unknown,
            Some("Person: A (a@b.example)"),
        );
        check(r#""author":7,"license":7"#, Licence::Unknown, None);
    }
}
