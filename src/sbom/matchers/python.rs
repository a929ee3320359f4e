//! Python packages, from the metadata that installers leave, and Conda's own records. It never
//! reads requirement or lock files.

use serde_json::Value;

use super::deb822::{Stanza, stanzas};
use super::{FileFacts, MalformedDatabase, parent, python_marker};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Algorithm, Ecosystem, FoundPackage, Package, PackageNeed, Supplier};

/// `x.dist-info/METADATA`, `x.egg-info/PKG-INFO`, `EGG-INFO/PKG-INFO` in an unpacked egg, or a file
/// `x.egg-info`.
pub(super) fn is_metadata(path: &str) -> bool {
    let (directory, name) = (
        parent(path).trim_end_matches('/').to_ascii_lowercase(),
        path.rsplit('/').next().unwrap_or_default(),
    );
    match name {
        "METADATA" => directory.ends_with(".dist-info"),
        "PKG-INFO" => directory.ends_with(".egg-info") || directory.ends_with(".egg/egg-info"),
        _ => name.len() > ".egg-info".len() && name.to_ascii_lowercase().ends_with(".egg-info"),
    }
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    // The description that follows may be as long as a book and hold anything.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(head(bytes));
    let Some(head) = stanzas(&text).next() else { return Ok(untold(path)) };
    let field = |name| head.get(name).map(str::trim).filter(|value| is_given(value));
    let (Some(name), Some(version)) = (field("Name"), field("Version")) else {
        return Ok(untold(path));
    };
    if normal(name).is_empty()
        || name.contains(char::is_whitespace)
        || version.contains(char::is_whitespace)
    {
        return Ok(untold(path));
    }
    let package = Package {
        version: Some(version.to_owned()),
        supplier: supplier(&head),
        licence: licence(&head),
        ..Package::named(Ecosystem::Pypi, name)
    };
    let found = FoundPackage {
        provides: vec![normal(name)],
        requires: head
            .all("Requires-Dist")
            .filter_map(|it| need(it, site(path)))
            .map(|need| vec![need])
            .collect(),
        ..FoundPackage::alone(package, site(path))
    };
    Ok(FileFacts { packages: vec![found], ..FileFacts::default() })
}

/// The mark that an installer leaves beside what somebody asked for.
pub fn is_request(path: &str) -> bool {
    path.strip_suffix("/REQUESTED")
        .is_some_and(|directory| directory.to_ascii_lowercase().ends_with(".dist-info"))
}

/// It is empty: only the name of its directory tells something.
pub(super) fn read_request(path: &str, _: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let directory = parent(path).trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = directory.get(..directory.len().saturating_sub(".dist-info".len()));
    let named = stem.and_then(|stem| stem.rsplit_once('-'));
    let found = named.map(|(name, version)| {
        let package =
            Package { version: Some(version.to_owned()), ..Package::named(Ecosystem::Pypi, name) };
        FoundPackage::alone(package, site(path))
    });
    Ok(FileFacts { packages: found.into_iter().collect(), ..FileFacts::default() })
}

fn untold(path: &str) -> FileFacts {
    FileFacts::warning(format!("`{path}` is not listed: it has no name or version"))
}

/// Everything before the first empty line.
fn head(bytes: &[u8]) -> &[u8] {
    let ends = [b"\n\n".as_slice(), b"\n\r\n"]
        .map(|end| bytes.windows(end.len()).position(|window| window == end));
    let end = ends.into_iter().flatten().min().unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or(bytes)
}

/// Old setuptools wrote `UNKNOWN` where nothing was given.
fn is_given(value: &str) -> bool {
    !value.is_empty() && value != "UNKNOWN"
}

/// The directory that Python imports from: packages in it can meet each other's needs.
fn site(path: &str) -> &str {
    let directory = parent(path);
    match path.ends_with(".egg-info") {
        true => directory,
        false => parent(directory.trim_end_matches('/')),
    }
}

/// The author's mail may be `Name <mail>, Name <mail>`, with or without a name in its own field.
fn supplier(head: &Stanza<'_>) -> Option<Supplier> {
    let field = |name| head.get(name).map(str::trim).filter(|value| is_given(value));
    [("Author", "Author-email"), ("Maintainer", "Maintainer-email")].into_iter().find_map(
        |(name, mail)| {
            let first = |value: &str| {
                let mut quoted = false;
                let ends = |letter: char| {
                    quoted ^= letter == '"';
                    letter == ',' && !quoted
                };
                value.split(ends).next().unwrap_or_default().trim().to_owned()
            };
            let text = match (field(name), field(mail).map(first)) {
                (None, None) => return None,
                (Some(name), None) => name.to_owned(),
                (_, Some(mail)) if mail.contains('<') => mail,
                (name, Some(mail)) => format!("{} <{mail}>", name.unwrap_or_default()),
            };
            Supplier::from_maintainer(&text)
        },
    )
}

/// `License-Expression` is one; `License` may be a name or the whole text, and classifiers are
/// names of families.
fn licence(head: &Stanza<'_>) -> Licence {
    const LONGEST_NAME: usize = 120;
    let field = |name| head.get(name).map(str::trim).filter(|value| is_given(value));
    if let Some(expression) = field("License-Expression") {
        return Licence::from_field(expression);
    }
    if let Some(name) =
        field("License").filter(|name| name.len() <= LONGEST_NAME && !name.contains('\n'))
    {
        return Licence::from_field(name);
    }
    let classified: Vec<&str> = head
        .all("Classifier")
        .filter_map(|classifier| classifier.trim().strip_prefix("License :: "))
        .collect();
    match &classified[..] {
        [one] => from_classifier(one),
        _ => Licence::Unknown,
    }
}

/// Most classifiers leave the version open; these do not.
fn from_classifier(classifier: &str) -> Licence {
    let expression = match classifier.trim_start_matches("OSI Approved :: ") {
        "MIT License" => "MIT",
        "ISC License (ISCL)" => "ISC",
        "Mozilla Public License 2.0 (MPL 2.0)" => "MPL-2.0",
        "The Unlicense (Unlicense)" => "Unlicense",
        "zlib/libpng License" => "Zlib",
        _ => return Licence::Named(classifier.to_owned()),
    };
    Licence::Expression(expression.to_owned())
}

/// `name[extra] (>=1)`; with a marker after `;` it is needed only where that is known to hold.
fn need(requirement: &str, site: &str) -> Option<PackageNeed> {
    let (wanted, marker) = requirement.split_once(';').unwrap_or((requirement, ""));
    if !marker.trim().is_empty() && python_marker::holds(marker, site) != Some(true) {
        return None;
    }
    let name = wanted
        .trim()
        .split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter))
        .next()?;
    (!name.is_empty()).then(|| PackageNeed::named(normal(name)))
}

/// The spelling by which packages are compared: PEP 503.
fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

pub(super) fn is_conda_record(path: &str) -> bool {
    let directory = parent(path).trim_end_matches('/');
    path.ends_with(".json") && (directory == "conda-meta" || directory.ends_with("/conda-meta"))
}

pub(super) fn read_conda(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let record: Value = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Ok(FileFacts::warning(format!("`{path}` is not listed: {error}"))),
    };
    let text = |key: &str| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(name), Some(version)) = (text("name"), text("version")) else {
        return Ok(FileFacts::default());
    };
    let channel = text("channel").map(|channel| {
        let parts: Vec<&str> = channel.trim_end_matches('/').rsplit('/').collect();
        // The last part of a channel's address may be the platform.
        let named = parts.iter().find(|part| Some(**part) != text("subdir")).copied();
        named.unwrap_or_default().to_owned()
    });
    let given = |key: &str| text(key).unwrap_or_default().to_owned();
    let mut package = Package {
        version: Some(version.to_owned()),
        licence: text("license").map_or(Licence::Unknown, Licence::from_field),
        qualifiers: vec![
            ("build", given("build")),
            ("channel", channel.unwrap_or_default()),
            ("subdir", given("subdir")),
        ],
        ..Package::named(Ecosystem::Conda, name)
    };
    package.add_checksum(Algorithm::Md5, text("md5"));
    package.add_checksum(Algorithm::Sha256, text("sha256"));
    let depends = record
        .get("depends")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let needs = depends
        .filter_map(|depend| depend.split_whitespace().next())
        .map(|name| vec![PackageNeed::named(name)]);
    Ok(FileFacts {
        packages: vec![FoundPackage {
            requires: needs.collect(),
            ..FoundPackage::alone(package, parent(path))
        }],
        ..FileFacts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::collect::CollectedPackages;

    const REQUESTS: &str = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nSummary: Python HTTP for Humans.\nAuthor: Kenneth Reitz\n\
        Author-email: me@kennethreitz.org\nLicense: Apache 2.0\nClassifier: License :: OSI Approved :: Apache Software License\n\
        Requires-Dist: charset-normalizer (<4,>=2)\nRequires-Dist: Zope_Interface[x]>=1\nRequires-Dist: PySocks (!=1.5.7) ; extra == 'socks'\n\n\
        # Requests\n\nName: not-this\n";

    #[test]
    fn what_was_asked_for_is_told() {
        let path = "s/Zope_x-1.0.dist-info/REQUESTED";
        assert!(is_request(path) && !is_request("s/REQUESTED"));
        let found = read_request(path, b"").unwrap().packages.remove(0);
        assert_eq!((found.package.name.as_str(), found.scope.as_str()), ("Zope_x", "s/"));
        assert_eq!(read_request("s/x.dist-info/REQUESTED", b""), Ok(FileFacts::default()));
    }

    #[test]
    fn a_byte_order_mark_hides_no_name() {
        let bytes = b"\xef\xbb\xbfMetadata-Version: 2.1\nName: a\nVersion: 1\n";
        let path = "site-packages/a-1.dist-info/METADATA";
        assert_eq!(read(path, bytes).unwrap().packages.len(), 1);
        let first = b"\xef\xbb\xbfName: a\nVersion: 1\n";
        assert_eq!(read(path, first).unwrap().packages.len(), 1);
    }

    #[test]
    fn metadata_becomes_a_package() {
        let facts = read(
            "usr/lib/python3/site-packages/requests-2.31.0.dist-info/METADATA",
            REQUESTS.as_bytes(),
        )
        .unwrap();
        let found = &facts.packages[0];
        assert_eq!(
            (found.package.name.as_str(), found.package.version.as_deref()),
            ("requests", Some("2.31.0"))
        );
        assert_eq!(found.package.licence, Licence::Named("Apache 2.0".into()));
        assert_eq!(
            found.package.supplier.as_ref().unwrap().to_spdx(),
            "Person: Kenneth Reitz (me@kennethreitz.org)"
        );
        assert_eq!(found.scope, "usr/lib/python3/site-packages/");
        let needs: Vec<&str> = found.requires.iter().map(|need| need[0].name.as_str()).collect();
        assert_eq!(needs, ["charset-normalizer", "zope-interface"]);
    }

    #[test]
    fn metadata_is_found_in_all_its_places() {
        let check = |path: &str, expected: bool| assert_eq!(is_metadata(path), expected, "{path}");
        check("s/a-1.dist-info/METADATA", true);
        check("s/a-1.egg-info/PKG-INFO", true);
        check("s/a-1.egg/EGG-INFO/PKG-INFO", true);
        check("s/a-1.egg-info", true);
        check("s/.egg-info", false);
        check("s/a-1.dist-info/RECORD", false);
        check("s/METADATA", false);
        assert_eq!(site("s/a-1.egg-info"), "s/");
        assert_eq!(site("s/a.egg-info/PKG-INFO"), "s/");
    }

    #[test]
    fn the_licence_is_the_most_certain_one() {
        let check = |fields: &str, expected: Licence| {
            let text = format!("Name: a\nVersion: 1\n{fields}");
            let facts = read("a.egg-info", text.as_bytes()).unwrap();
            assert_eq!(facts.packages[0].package.licence, expected, "{fields}");
        };
        check(
            "License: x\nLicense-Expression: MIT OR Apache-2.0\n",
            Licence::Expression("MIT OR Apache-2.0".into()),
        );
        check("License: MIT\n", Licence::Expression("MIT".into()));
        check(
            "License: UNKNOWN\nClassifier: License :: Public Domain\n",
            Licence::Named("Public Domain".into()),
        );
        check(
            "Classifier: License :: OSI Approved :: MIT License\n",
            Licence::Expression("MIT".into()),
        );
        check("License: Permission is\n granted\n", Licence::Unknown);
        check("Classifier: License :: A\nClassifier: License :: B\n", Licence::Unknown);
    }

    #[test]
    fn the_author_may_be_in_the_mail() {
        let check = |fields: &str, expected: Option<&str>| {
            let text = format!("Name: a\nVersion: 1\n{fields}");
            let supplier =
                read("a.egg-info", text.as_bytes()).unwrap().packages.remove(0).package.supplier;
            assert_eq!(
                supplier.map(|supplier| supplier.to_spdx()).as_deref(),
                expected,
                "{fields}"
            );
        };
        check(
            "Author-email: A B <a@b.example>, C <c@b.example>\n",
            Some("Person: A B (a@b.example)"),
        );
        check(
            "Author: A\nAuthor-email: A Long <a@b.example>\n",
            Some("Person: A Long (a@b.example)"),
        );
        check(
            "Author-email: \"A, B\" <a@b.example>, C <c@b.example>\n",
            Some("Person: A, B (a@b.example)"),
        );
        check("Author: UNKNOWN\nMaintainer: The x team\n", Some("Organization: The x team"));
        check("", None);
    }

    #[test]
    fn without_a_name_it_is_told() {
        for text in [
            "",
            "Name: a\n",
            "Name: a b\nVersion: 1\n",
            "Name: -_\nVersion: 1\n",
            "\n\nName: a\nVersion: 1\n",
            "Name: a\nVersion: UNKNOWN\n",
        ] {
            let facts = read("a.egg-info", text.as_bytes()).unwrap();
            assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1), "{text:?}");
        }
    }

    #[test]
    fn needs_are_met_in_one_directory() {
        let mut collected = CollectedPackages::default();
        for (path, text) in [
            ("s/a.dist-info/METADATA", "Name: a\nVersion: 1\nRequires-Dist: B.c\n"),
            ("s/b.egg-info", "Name: b_C\nVersion: 2\n"),
        ] {
            collected.facts.insert(path.into(), read(path, text.as_bytes()).unwrap());
        }
        let catalog = crate::sbom::catalog::Catalog::from_collected(collected);
        assert_eq!(catalog.dependencies.iter().collect::<Vec<_>>(), [&(0, 1)]);
        assert_eq!(catalog.packages[1].purl, "pkg:pypi/b-c@2");
    }

    #[test]
    fn conda_records_become_packages() {
        let text = r#"{"name":"openssl","version":"3.1.0","build":"hd590300_1","subdir":"linux-64","license":"Apache-2.0","md5":"too short",
            "sha256":"F2CA1BB6C7E907D06DAFE4687E579FCE76B37E4E93B7605022DA52E6CCC26FD2","channel":"https://conda.anaconda.org/conda-forge/linux-64","depends":["ca-certificates","libgcc-ng >=12"]}"#;
        assert!(
            is_conda_record("opt/conda/conda-meta/openssl-3.1.0.json")
                && !is_conda_record("opt/meta/x.json")
        );
        let facts =
            read_conda("opt/conda/conda-meta/openssl-3.1.0-hd590300_1.json", text.as_bytes())
                .unwrap();
        let found = &facts.packages[0];
        let purl = "pkg:conda/openssl@3.1.0?build=hd590300_1&channel=conda-forge&subdir=linux-64";
        assert_eq!(crate::sbom::purl::of(&found.package, None), purl);
        assert_eq!(found.requires.len(), 2);
        let checksum = "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2";
        assert_eq!(
            found.package.common_checksums().collect::<Vec<_>>(),
            [(Algorithm::Sha256, checksum)]
        );
        assert_eq!(read_conda("conda-meta/x.json", b"{").unwrap().warnings.len(), 1);
        assert_eq!(read_conda("conda-meta/x.json", b"[]"), Ok(FileFacts::default()));
    }
}
