//! Conan packages that lie in an image, from the `conaninfo.txt` of each and the place where it
//! lies. It guesses no name where the place does not tell it.

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};

pub(super) fn is_record(path: &str) -> bool {
    path.ends_with("/conaninfo.txt")
}

/// `name/version@user/channel#revision:package%time`, of which all but the first two may be absent.
/// See <https://docs.conan.io/2/reference/conanfile/attributes.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConanReference<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    user: &'a str,
    channel: &'a str,
}

impl<'a> ConanReference<'a> {
    /// A range of versions is no reference.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let bare = text.split(['#', '%', ':']).next()?.trim();
        let (package, from) = bare.split_once('@').unwrap_or((bare, ""));
        let (name, version) = package.split_once('/')?;
        let (user, channel) = from.split_once('/').unwrap_or((from, ""));
        let reference = Self { name, version, user, channel };
        [name, version].iter().all(|it| is_word(it)).then_some(reference)
    }

    pub(super) fn qualifiers(&self) -> Vec<(&'static str, String)> {
        let given = |(key, value): (&'static str, &str)| {
            (is_word(value) && value != "_").then(|| (key, value.to_owned()))
        };
        [("channel", self.channel), ("user", self.user)].into_iter().filter_map(given).collect()
    }
}

/// Letters that Conan allows in a name or a version; old versions may have capitals.
fn is_word(text: &str) -> bool {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_.+-".contains(it);
    !text.is_empty() && text.len() <= 101 && text.chars().all(plain)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let Some((scope, reference)) = place(path) else {
        // Where Conan 2 builds and keeps packages, only its own database knows their names.
        let is_kept = path.ends_with("/p/conaninfo.txt");
        let untold =
            || format!("`{path}` is not listed: its path does not contain the package's name");
        return Ok(if is_kept { FileFacts::warning(untold()) } else { FileFacts::default() });
    };
    let text = String::from_utf8_lossy(bytes);
    let package = Package {
        version: Some(reference.version.to_owned()),
        qualifiers: reference.qualifiers(),
        ..Package::named(Ecosystem::Conan, reference.name)
    };
    let found = FoundPackage {
        provides: vec![format!("{}/{}", reference.name, reference.version)],
        requires: needs(&text),
        ..FoundPackage::alone(package, scope)
    };
    Ok(FileFacts { packages: vec![found], ..FileFacts::default() })
}

/// Conan 1 keeps `name/version/user/channel/package/ID/conaninfo.txt`; what Conan 2 copies out lies
/// in `full_deploy/host/name/version`, and below by its settings.
fn place(path: &str) -> Option<(&str, ConanReference<'_>)> {
    let is_id = |it: &str| it.len() == 40 && it.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = parent(path).trim_end_matches('/').split('/').collect();
    let reference = |name, version, user, channel| {
        let reference = ConanReference { name, version, user, channel };
        [name, version].iter().all(|it| is_word(it)).then_some(reference)
    };
    // What was there before the name, as it is in the path.
    let before = |count: usize| {
        let length: usize = parts.iter().take(count).map(|part| part.len() + 1).sum();
        path.get(..length)
    };
    if let [above @ .., name, version, user, channel, "package", id] = &parts[..]
        && is_id(id)
    {
        return Some((before(above.len())?, reference(name, version, user, channel)?));
    }
    let at = parts.iter().position(|part| *part == "full_deploy")?;
    match parts.get(at + 1..)? {
        ["host" | "build", name, version, ..] => {
            Some((before(at + 2)?, reference(name, version, "_", "_")?))
        }
        _ => None,
    }
}

/// Conan 1 says in `full_requires` which versions it took; Conan 2 in `requires` only which names.
fn needs(text: &str) -> Vec<Vec<PackageNeed>> {
    const MOST: usize = 10_000;
    let of = |wanted: &str, need: fn(ConanReference<'_>) -> String| {
        let mut section = "";
        let mut needs = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section == wanted && needs.len() < MOST {
                needs.extend(
                    ConanReference::read(line).map(|it| vec![PackageNeed::named(need(it))]),
                );
            }
        }
        needs
    };
    let exact = of("[full_requires]", |it| format!("{}/{}", it.name, it.version));
    if exact.is_empty() { of("[requires]", |it| it.name.to_owned()) } else { exact }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::catalog::Catalog;
    use crate::sbom::collect::CollectedPackages;
    use proptest::prelude::*;

    fn catalog(files: &[(&str, &str)]) -> Catalog {
        let mut collected = CollectedPackages::default();
        for (path, text) in files {
            assert!(is_record(path));
            collected.facts.insert((*path).to_owned(), read(path, text.as_bytes()).unwrap());
        }
        Catalog::from_collected(collected)
    }

    fn told(catalog: &Catalog) -> (Vec<&str>, Vec<(usize, usize)>) {
        let purls = catalog.packages.iter().map(|listed| listed.purl.as_str()).collect();
        (purls, catalog.dependencies.iter().copied().collect())
    }

    const ID: &str = "9d1f076b471417647c2022a78d5e2c1f834289ac";

    #[test]
    fn the_store_of_conan_1_tells_names_and_what_they_need() {
        let mfast = format!("root/.conan/data/mfast/1.2.2/me/stable/package/{ID}/conaninfo.txt");
        let boost = format!("root/.conan/data/boost/1.75.0/_/_/package/{ID}/conaninfo.txt");
        let older = format!("root/.conan/data/boost/1.70.0/_/_/package/{ID}/conaninfo.txt");
        let needs = "[settings]\n    os=Linux\n\n[requires]\n    boost/1.Y.Z\n\n[full_requires]\n    \
            boost/1.75.0:dc8aedd23a0f0a773a5fcdcfe1ae3e89c4205978\n    gone/1.0:0\n\n[full_options]\n    boost:zlib=True\n";
        let catalog = catalog(&[(&mfast, needs), (&boost, ""), (&older, "")]);
        let purls = [
            "pkg:conan/boost@1.70.0",
            "pkg:conan/boost@1.75.0",
            "pkg:conan/mfast@1.2.2?channel=stable&user=me",
        ];
        assert_eq!(told(&catalog), (purls.to_vec(), vec![(2, 1)]));
    }

    // Made by `conan install --deployer=full_deploy` of Conan 2.34.
    #[test]
    fn what_conan_2_copied_out_tells_names_and_what_they_need() {
        let settings = "[settings]\narch=x86_64\nbuild_type=Release\nos=Linux\n";
        let needs = format!("{settings}[requires]\naaa/1.Y.Z\n\n");
        let catalog = catalog(&[
            ("app/full_deploy/host/bbb/3.4/Release/x86_64/conaninfo.txt", &needs),
            ("app/full_deploy/host/aaa/1.2/Release/x86_64/conaninfo.txt", settings),
        ]);
        let purls = ["pkg:conan/aaa@1.2", "pkg:conan/bbb@3.4"];
        assert_eq!(told(&catalog), (purls.to_vec(), vec![(1, 0)]));
    }

    #[test]
    fn a_place_without_a_name_is_told() {
        let of = |path: &str| read(path, b"[settings]\n").unwrap();
        let kept = of("root/.conan2/p/b/bbb6e19dfec17a3e/p/conaninfo.txt");
        assert_eq!((kept.packages.len(), kept.warnings.len()), (0, 1));
        assert_eq!(of("root/.conan2/p/b/bbb6e19dfec17a3e/b/conaninfo.txt"), FileFacts::default());
        assert_eq!(of("full_deploy/host/a/conaninfo.txt"), FileFacts::default());
        assert_eq!(of(&format!("a b/1/_/_/package/{ID}/conaninfo.txt")), FileFacts::default());
    }

    #[test]
    fn references_have_many_parts() {
        let check = |text: &str, expected: Option<(&str, &str, usize)>| {
            let read = ConanReference::read(text);
            let told = read.as_ref().map(|it| (it.name, it.version, it.qualifiers().len()));
            assert_eq!(told, expected, "{text}");
        };
        check("zlib/1.2.13", Some(("zlib", "1.2.13", 0)));
        check("zlib/1.2.13@me/stable#98d8%1796018342.9", Some(("zlib", "1.2.13", 2)));
        check("zlib/1.2.13@#98d8", Some(("zlib", "1.2.13", 0)));
        check("zlib/1.2.13@_/_", Some(("zlib", "1.2.13", 0)));
        check("fmt/[>=8 <9]", None);
        check("zlib", None);
        check("/1", None);
    }

    proptest! {
        #[test]
        fn no_place_makes_it_panic(path in "((full_deploy|host|package|é|[0-9a-f]{40}|a)/){0,9}(p/)?conaninfo.txt", text in "(\\[(requires|full_requires)\\]\n|.{0,9}\n){0,9}") {
            let facts = read(&path, text.as_bytes()).unwrap();
            for found in facts.packages {
                prop_assert!(path.starts_with(&found.scope));
            }
        }
    }
}
