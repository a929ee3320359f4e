//! PHP packages, from Composer's `installed.json`. It never reads lock files: what they name need
//! not be there.

use serde_json::Value;

use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Algorithm, Ecosystem, FoundPackage, Package, PackageNeed, Supplier};

pub(super) fn is_record(path: &str) -> bool {
    ends_with_path(path, "composer/installed.json")
}

/// Composer 2 wraps the list that Composer 1 wrote bare; other programs have files of this name
/// too.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let record: Value = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Ok(FileFacts::warning(format!("`{path}` is not listed: {error}"))),
    };
    let listed = record.get("packages").unwrap_or(&record).as_array().into_iter().flatten();
    let packages = listed.take(MOST_PACKAGES).filter_map(|listed| package(path, listed)).collect();
    Ok(FileFacts { packages, ..FileFacts::default() })
}

fn package(path: &str, listed: &Value) -> Option<FoundPackage> {
    let text = |key: &str| {
        listed.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    };
    let name = text("name").filter(|name| is_name(name))?;
    let version = text("version")?;
    let licences: Vec<&str> = match listed.get("license") {
        Some(Value::Array(choice)) => choice.iter().filter_map(Value::as_str).collect(),
        licence => licence.and_then(Value::as_str).into_iter().collect(),
    };
    let author = listed.get("authors").and_then(|authors| authors.get(0));
    let of_author = |key: &str| {
        author.and_then(|author| author.get(key)).and_then(Value::as_str).unwrap_or_default()
    };
    let mut package = Package {
        version: Some(version.to_owned()),
        supplier: Supplier::from_maintainer(&format!(
            "{} <{}>",
            of_author("name"),
            of_author("email")
        )),
        licence: Licence::from_field(&licences.join(" OR ")),
        ..Package::named(Ecosystem::Composer, name)
    };
    let checksum = listed.pointer("/dist/shasum").and_then(Value::as_str);
    package.add_checksum(Algorithm::Sha1, checksum);
    let names = |key: &str| {
        listed
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.to_lowercase())
    };
    Some(FoundPackage {
        provides: names("provide").chain(names("replace")).chain([name.to_lowercase()]).collect(),
        // `php` and `ext-…` are not packages and meet nothing.
        requires: names("require").map(|name| vec![PackageNeed::named(name)]).collect(),
        ..FoundPackage::alone(package, parent(path))
    })
}

/// `vendor/project`.
fn is_name(name: &str) -> bool {
    let parts = name.split_once('/');
    parts.is_some_and(|(vendor, project)| {
        !vendor.is_empty() && !project.is_empty() && !project.contains('/')
    }) && !name.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"name":"psr/log","version":"3.0.0","license":["MIT"],"authors":[{"name":"PHP-FIG","homepage":"https://www.php-fig.org/"}],
        "require":{"php":">=8.0.0"}}"#;
    const MONOLOG: &str = r#"{"name":"monolog/monolog","version":"3.5.0","license":["MIT","GPL-2.0-or-later"],"require":{"psr/log":"^3"},
        "authors":[{"name":"Jordi Boggiano","email":"j.boggiano@seld.be"}]}"#;

    #[test]
    fn both_forms_are_read() {
        for text in [
            format!(r#"{{"packages":[{LOG},{MONOLOG}],"dev":true}}"#),
            format!("[{LOG},{MONOLOG}]"),
        ] {
            let facts = read("app/vendor/composer/installed.json", text.as_bytes()).unwrap();
            let [log, monolog] = &facts.packages[..] else { panic!("two packages") };
            assert_eq!(crate::sbom::purl::of(&log.package, None), "pkg:composer/psr/log@3.0.0");
            assert_eq!(
                monolog.package.licence,
                Licence::Expression("MIT OR GPL-2.0-or-later".into())
            );
            assert_eq!(
                monolog.package.supplier.as_ref().unwrap().to_spdx(),
                "Person: Jordi Boggiano (j.boggiano@seld.be)"
            );
            assert_eq!(monolog.requires, [vec![PackageNeed::named("psr/log")]]);
        }
    }

    #[test]
    fn other_files_of_this_name_list_nothing() {
        assert!(
            is_record("app/vendor/composer/installed.json") && !is_record("opt/installed.json")
        );
        assert_eq!(
            read("composer/installed.json", br#"{"packages":{"a":1}}"#),
            Ok(FileFacts::default())
        );
        assert_eq!(
            read(
                "composer/installed.json",
                br#"[{"name":"a","version":"1"},{"name":"a/b"},{"name":"a/","version":"1"},3]"#
            ),
            Ok(FileFacts::default())
        );
        assert_eq!(read("composer/installed.json", b"{").unwrap().warnings.len(), 1);
    }
}
