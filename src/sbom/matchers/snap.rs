//! Snaps that were unpacked into an image, and the Ubuntu packages that a snap says it was made of.
//! It reads the plain lines that snapcraft writes, and nothing that YAML could hide elsewhere.

use super::os_release::OsRelease;
use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, SOURCE_UNKNOWN};
use crate::sbom::purl;

/// See <https://snapcraft.io/docs/snap-format> and <https://snapcraft.io/docs/snap-manifest>.
const SNAP: &str = "meta/snap.yaml";
const MANIFEST: &str = "snap/manifest.yaml";

pub(super) fn is_record(path: &str) -> bool {
    ends_with_path(path, SNAP) || ends_with_path(path, MANIFEST)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    if ends_with_path(path, MANIFEST) {
        return Ok(FileFacts { packages: staged(path, &text), ..FileFacts::default() });
    }
    let (Some(name), Some(version)) = (word(&text, "name"), word(&text, "version")) else {
        return Ok(FileFacts::warning(format!(
            "`{path}` is not listed: it has no name or version"
        )));
    };
    let kind = word(&text, "type").unwrap_or("app");
    let arch = match list(&text, "architectures")[..] {
        [one] if one != "all" => Some(("arch", one.to_owned())),
        _ => None,
    };
    let package = Package {
        version: Some(version.to_owned()),
        licence: scalar(&text, "license").map_or(Licence::Unknown, Licence::from_field),
        qualifiers: arch.into_iter().collect(),
        notes: vec![format!("A snap of the kind {kind}.")],
        ..Package::named(Ecosystem::Generic, format!("snap/{name}"))
    };
    let found = FoundPackage::alone(package, parent(path));
    Ok(FileFacts { packages: vec![found], ..FileFacts::default() })
}

/// The packages of a distribution that went into the snap, of the distribution that it names.
fn staged(path: &str, text: &str) -> Vec<FoundPackage> {
    let Some(id) = word(text, "snapcraft-os-release-id") else { return Vec::new() };
    let release = OsRelease {
        id: id.to_ascii_lowercase(),
        version: word(text, "snapcraft-os-release-version-id").map(str::to_owned),
        name: None,
    };
    let packages = list(text, "primed-stage-packages").into_iter().filter_map(|entry| {
        let (name, version) = entry.split_once('=')?;
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch)),
            None => (name, None),
        };
        [name, version].iter().all(|it| is_word(it)).then_some(())?;
        let package = Package {
            version: Some(version.to_owned()),
            arch: arch.filter(|arch| is_word(arch)).map(str::to_owned),
            notes: vec![SOURCE_UNKNOWN.to_owned()],
            ..Package::named(Ecosystem::Deb, name)
        };
        let stated = purl::of(&package, Some(&release));
        Some(FoundPackage::alone(Package { stated: Some(stated), ..package }, parent(path)))
    });
    packages.take(MOST_PACKAGES).collect()
}

fn is_word(text: &str) -> bool {
    let plain = |it: char| !it.is_whitespace() && !it.is_control();
    !text.is_empty() && text.len() <= 400 && text.chars().all(plain)
}

fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    scalar(text, key).filter(|value| is_word(value))
}

/// `key: value` at the margin.
fn scalar<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix(": ")?;
        Some(unquoted(value.split(" #").next()?))
    })
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// `key: [a, b]`, or one `- a` a line below `key:`.
fn list<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let mut lines = text.lines();
    let after = |line: &'a str| line.strip_prefix(key)?.strip_prefix(':');
    let Some(rest) = lines.by_ref().find_map(after) else { return Vec::new() };
    if let Some(inside) = rest.trim().strip_prefix('[') {
        let inside = inside.trim_end_matches(']').split(',').map(unquoted);
        return inside.filter(|it| !it.is_empty()).collect();
    }
    lines.map_while(|line| line.trim_start().strip_prefix("- ")).map(unquoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purls(path: &str, text: &str) -> Vec<String> {
        assert!(is_record(path), "{path}");
        let facts = read(path, text.as_bytes()).unwrap();
        facts.packages.iter().map(|found| purl::of(&found.package, None)).collect()
    }

    const HELLO: &str = "name: hello\nversion: '2.10'\nsummary: GNU Hello\ndescription: |\n  name: other\narchitectures:\n- amd64\n\
        base: core22\napps:\n  hello:\n    command: bin/hello\nconfinement: strict\nlicense: GPL-3.0-or-later\ngrade: stable\n";

    #[test]
    fn a_snap_is_a_package() {
        let path = "snap/hello/42/meta/snap.yaml";
        assert_eq!(purls(path, HELLO), ["pkg:generic/snap/hello@2.10?arch=amd64"]);
        let facts = read(path, HELLO.as_bytes()).unwrap();
        let package = &facts.packages[0].package;
        assert_eq!(package.licence, Licence::Expression("GPL-3.0-or-later".into()));
        assert_eq!(package.notes, ["A snap of the kind app."]);
        let base = "name: core22\nversion: \"20240111\" # date\ntype: base\narchitectures: [amd64, arm64]\n";
        assert_eq!(purls(path, base), ["pkg:generic/snap/core22@20240111"]);
    }

    #[test]
    fn odd_records_are_told_or_empty() {
        for text in
            ["", "name: a\n", "name:\nversion: 1\n", "name: a b\nversion: 1\n", "- name: a\n"]
        {
            let facts = read("meta/snap.yaml", text.as_bytes()).unwrap();
            assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1), "{text}");
        }
        assert!(!is_record("usr/share/metameta/snap.yaml") && !is_record("meta/snap.yml"));
    }

    #[test]
    fn what_a_snap_was_made_of_is_of_the_distribution_that_it_names() {
        let path = "snap/hello/42/snap/manifest.yaml";
        let text = "snapcraft-version: '7.5.4'\nsnapcraft-os-release-id: ubuntu\nsnapcraft-os-release-version-id: '22.04'\n\
            name: hello\nversion: '2.10'\nprimed-stage-packages:\n- libc6:amd64=2.35-0ubuntu3\n- tzdata=2024a\n- odd\n- a b=1\nparts:\n- x=1\n";
        let expected = [
            "pkg:deb/ubuntu/libc6@2.35-0ubuntu3?arch=amd64&distro=ubuntu-22.04",
            "pkg:deb/ubuntu/tzdata@2024a?distro=ubuntu-22.04",
        ];
        assert_eq!(purls(path, text), expected);
        assert!(purls(path, "primed-stage-packages:\n- a=1\n").is_empty(), "of no distribution");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((name|version|license|architectures|primed-stage-packages|snapcraft-os-release-id):|- | \\[|[a-zé'\"=:#,\\]]{0,4}|\n){0,30}") {
            for path in [SNAP, MANIFEST] {
                let _facts = read(path, text.as_bytes()).unwrap();
            }
        }
    }
}
