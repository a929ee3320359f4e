//! Packages of Dart and Elixir where their tools unpack them, by the metadata that each has. It
//! reads no source.

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

/// `NAME/hex_metadata.config`, which only what came from Hex has.
pub(super) fn is_of_hex(path: &str) -> bool {
    path.ends_with("/hex_metadata.config")
}

/// `{<<"name">>,<<"plug">>}.`, one term a line or more.
pub(super) fn read_hex(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let value = |key: &str| {
        let (_, rest) = text.split_once(&format!("{{<<\"{key}\">>,"))?;
        let rest = rest.trim_start().trim_start_matches('[').trim_start().strip_prefix("<<\"")?;
        rest.split('"').next().filter(|value| is_word(value))
    };
    let (Some(name), Some(version)) = (value("name"), value("version")) else {
        return Ok(untold(path));
    };
    let package = Package {
        version: Some(version.to_owned()),
        licence: value("licenses").map_or(Licence::Unknown, Licence::from_field),
        ..Package::named(Ecosystem::Hex, name)
    };
    Ok(one(path, package))
}

/// `hosted/HOST/NAME-VERSION/pubspec.yaml` of Dart's cache.
pub(super) fn is_of_pub(path: &str) -> bool {
    let Some(directory) = path.strip_suffix("/pubspec.yaml") else { return false };
    let above = parent(parent(directory).trim_end_matches('/')).trim_end_matches('/');
    above == "hosted" || above.ends_with("/hosted")
}

/// `name: x` and `version: 1.0.0` at the margin.
pub(super) fn read_pub(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let value = values.next()?.split(" #").next()?.trim().trim_matches(['"', '\'']);
        Some(value).filter(|value| is_word(value))
    };
    let (Some(name), Some(version)) = (value("name"), value("version")) else {
        return Ok(untold(path));
    };
    let package =
        Package { version: Some(version.to_owned()), ..Package::named(Ecosystem::Pub, name) };
    Ok(one(path, package))
}

fn one(path: &str, package: Package) -> FileFacts {
    FileFacts { packages: vec![FoundPackage::alone(package, parent(path))], ..FileFacts::default() }
}

fn untold(path: &str) -> FileFacts {
    FileFacts::warning(format!("`{path}` is not listed: it has no name or version"))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && text.chars().all(|it| it.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&str, &[u8]) -> Result<FileFacts, MalformedDatabase>;

    #[test]
    fn metadata_names_packages() {
        let check = |read: Read, path: &str, text: &str, expected: Option<&str>| {
            let facts = read(path, text.as_bytes()).unwrap();
            let of = |found: &FoundPackage| crate::sbom::purl::of(&found.package, None);
            assert_eq!(facts.packages.first().map(of).as_deref(), expected, "{text}");
            assert_eq!(facts.warnings.len(), usize::from(expected.is_none()), "{text}");
        };
        let hex = "app/deps/plug/hex_metadata.config";
        assert!(is_of_hex(hex) && !is_of_hex("hex_metadata.config.bak"));
        let text = "{<<\"app\">>,<<\"plug\">>}.\n{<<\"licenses\">>,[<<\"Apache-2.0\">>]}.\n{<<\"name\">>,<<\"Plug\">>}.\n{<<\"version\">>,<<\"1.15.2\">>}.\n";
        check(read_hex, hex, text, Some("pkg:hex/plug@1.15.2"));
        let licence = read_hex(hex, text.as_bytes()).unwrap().packages.remove(0).package.licence;
        assert_eq!(licence, Licence::Expression("Apache-2.0".into()));
        check(read_hex, hex, "{<<\"name\">>,<<\"plug\">>}.", None);
        check(read_hex, hex, "", None);
        let dart = "root/.pub-cache/hosted/pub.dev/async-2.11.0/pubspec.yaml";
        assert!(is_of_pub(dart) && !is_of_pub("app/pubspec.yaml"));
        let text = "name: async\nversion: 2.11.0 # x\ndependencies:\n  name: y\n";
        check(read_pub, dart, text, Some("pkg:pub/async@2.11.0"));
        check(read_pub, dart, "  name: a\n  version: 1\n", None);
    }
}
