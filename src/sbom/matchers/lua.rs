//! Lua rocks, from the trees that LuaRocks keeps: a directory for each name and version. It runs no
//! Lua: of a specification only plain values are understood.

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

const MANIFEST: &str = "rock_manifest";
const LONGEST: usize = 1000;

/// `ROCKS/NAME/VERSION/NAME-VERSION.rockspec`, and the `rock_manifest` beside it.
pub(super) fn is_record(path: &str) -> bool {
    installed(path).is_some()
}

/// Name and version, where the place is one of something installed.
fn installed(path: &str) -> Option<(&str, &str)> {
    if !path.ends_with(".rockspec") && !path.ends_with(MANIFEST) {
        return None;
    }
    let (before, file) = path.rsplit_once('/')?;
    let (before, version) = before.rsplit_once('/')?;
    let (tree, name) = before.rsplit_once('/').unwrap_or(("", before));
    let own = file.strip_suffix(".rockspec").and_then(|stem| stem.split_at_checked(name.len()));
    let is_own = own.is_some_and(|(stem, rest)| {
        stem.eq_ignore_ascii_case(name) && rest.strip_prefix('-') == Some(version)
    });
    let is_tree = tree.rsplit('/').next().is_some_and(|tree| tree.starts_with("rocks"));
    let is_version = version.contains('-') && !name.is_empty();
    (is_version && (is_own || (is_tree && file == MANIFEST))).then_some((name, version))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let Some((name, version)) = installed(path) else { return Ok(FileFacts::default()) };
    let text = String::from_utf8_lossy(bytes);
    let stated = assigned(&text, "package").filter(|stated| stated.eq_ignore_ascii_case(name));
    let package = Package {
        version: Some(version.to_owned()),
        licence: assigned(&text, "license").map_or(Licence::Unknown, licence),
        ..Package::named(Ecosystem::Luarocks, stated.unwrap_or(name))
    };
    let scope = parent(parent(parent(path).trim_end_matches('/')).trim_end_matches('/'));
    Ok(FileFacts { packages: vec![FoundPackage::alone(package, scope)], ..FileFacts::default() })
}

/// The text that is given to a field, wherever it stands at the start of a statement.
fn assigned<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.match_indices(field).find_map(|(at, _)| {
        let before = text.get(..at)?.trim_end_matches([' ', '\t']);
        let starts = before.is_empty() || before.ends_with(['\n', '{', ',', ';', '\r']);
        let value = text.get(at + field.len()..)?.trim_start().strip_prefix('=')?.trim_start();
        let value = [("\"", "\""), ("'", "'"), ("[[", "]]")].iter().find_map(|(open, close)| {
            let rest = value.strip_prefix(open)?;
            // No name or licence is longer, and every look for an end takes time.
            let near = rest.get(..rest.floor_char_boundary(LONGEST))?;
            near.get(..near.find(close)?)
        })?;
        starts.then_some(value)
    })
}

/// Rocks spell the licence of Lua itself in several ways.
fn licence(text: &str) -> Licence {
    match text {
        "MIT/X11" | "MIT/X" | "MIT <http://opensource.org/licenses/MIT>" => {
            Licence::Expression("MIT".into())
        }
        other => Licence::from_field(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_tell_what_is_installed() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let found = read(path, text.as_bytes()).unwrap().packages.pop();
            let purl = found.map(|found| crate::sbom::purl::of(&found.package, None));
            assert_eq!(purl.as_deref(), expected, "{path}");
            assert_eq!(is_record(path), expected.is_some(), "{path}");
        };
        let tree = "usr/local/lib/luarocks/rocks-5.1";
        check(
            &format!("{tree}/luasocket/3.0.0-1/luasocket-3.0.0-1.rockspec"),
            "package = \"LuaSocket\"\nversion = \"3.0.0-1\"\n",
            Some("pkg:luarocks/luasocket@3.0.0-1"),
        );
        check(
            &format!("{tree}/lpeg/1.1.0-1/rock_manifest"),
            "rock_manifest = {}",
            Some("pkg:luarocks/lpeg@1.1.0-1"),
        );
        check(
            "opt/kong/tree/kong/3.4.0-0/kong-3.4.0-0.rockspec",
            "local v = \"3.4.0-0\"\nversion = v\n",
            Some("pkg:luarocks/kong@3.4.0-0"),
        );
        check(
            &format!("{tree}/luasocket/3.0.0-1/LuaSocket-3.0.0-1.rockspec"),
            "",
            Some("pkg:luarocks/luasocket@3.0.0-1"),
        );
        check("x/a/scm-1/a-scm-1.rockspec", "", Some("pkg:luarocks/a@scm-1"));
        check("src/a/a-1.0-1.rockspec", "package = 'a'", None);
        check(&format!("{tree}/a/1.0-1/doc/a-1.0-1.rockspec"), "", None);
        check("a/b/rock_manifest", "", None);
    }

    #[test]
    fn plain_values_are_understood() {
        let path = "t/a/1-1/a-1-1.rockspec";
        let check = |text: &str, name: &str, expected: Licence| {
            let package = read(path, text.as_bytes()).unwrap().packages.remove(0).package;
            assert_eq!((package.name.as_str(), package.licence), (name, expected), "{text}");
        };
        let mit = Licence::Expression("MIT".into());
        check(
            "package = 'A'\ndescription = { summary = 'x', license = \"MIT/X11\" }",
            "A",
            mit.clone(),
        );
        check("package=[[a]]\r\ndescription={\n  license='MIT',\n}", "a", mit);
        check("package = other\n", "a", Licence::Unknown);
        check("package = 'b'\n-- license = x", "a", Licence::Unknown);
        check("license", "a", Licence::Unknown);
    }
}
