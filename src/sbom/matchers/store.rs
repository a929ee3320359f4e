//! Packages of Nix and Guix, from the names of what lies in their stores. It reads no file and no
//! database: the name of a store path has all that is known.

use std::collections::BTreeSet;

use crate::sbom::package::{Ecosystem, FoundPackage, Package};

const STORES: [(&str, Ecosystem); 2] =
    [("nix/store/", Ecosystem::Nix), ("gnu/store/", Ecosystem::Guix)];
/// More paths than any store in an image has.
pub const MOST: usize = 100_000;
/// Of the digits in front of the name.
const HASH: usize = 32;

/// Outputs that packages are split into, by the convention of nixpkgs; `out` has no suffix.
const OUTPUTS: [&str; 26] = [
    "bin", "cross", "data", "debug", "dev", "devdoc", "devman", "dist", "doc", "dvi", "env",
    "getent", "info", "jre", "lib", "libgcc", "man", "nss", "out", "passthru", "py", "sdk",
    "static", "terminfo", "tools", "xsession",
];

/// Of a file or link in a store: the store path it lies in, or is.
pub fn path_in_store(path: &str) -> Option<&str> {
    let (start, _) = store(path)?;
    let rest = path.get(start..)?;
    let length = rest.find('/').unwrap_or(rest.len());
    path.get(..start + length)
}

/// The package of a file's store path, for the first file in each of its directories: a higher layer
/// may take away one of those. `known` has what was told of.
pub fn first(path: &str, known: &mut BTreeSet<String>) -> Option<FoundPackage> {
    let whole = path_in_store(path)?;
    let inside = path.get(whole.len()..)?.trim_start_matches('/');
    let directory = inside.split_once('/').map_or("", |(directory, _)| directory);
    let part = format!("{whole}/{directory}");
    if known.len() >= MOST || known.contains(&part) {
        return None;
    }
    known.insert(part);
    package_at(path)
}

/// The package that a file or link in a store is part of.
pub fn package_at(path: &str) -> Option<FoundPackage> {
    let (start, ecosystem) = store(path)?;
    let whole = path_in_store(path)?;
    let (hash, name) = whole.get(start..)?.split_at_checked(HASH)?;
    let is_directory = whole.len() < path.len();
    let name = name.strip_prefix('-').filter(|name| is_directory || !is_single_file(name))?;
    if !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (name, version, output) = parts(name)?;
    let output = output.map(|output| ("output", output.to_owned()));
    let package = Package {
        version: Some(version.to_owned()),
        qualifiers: output.into_iter().chain([("outputhash", hash.to_owned())]).collect(),
        ..Package::named(ecosystem, name)
    };
    Some(FoundPackage::alone(package, whole))
}

/// Where the name of a store path begins.
fn store(path: &str) -> Option<(usize, Ecosystem)> {
    STORES.iter().find_map(|(store, ecosystem)| {
        let at = path.find(store)?;
        let is_whole = at == 0 || path.as_bytes().get(at - 1) == Some(&b'/');
        is_whole.then_some((at + store.len(), *ecosystem))
    })
}

/// Sources, recipes and scripts are files by themselves.
fn is_single_file(name: &str) -> bool {
    const SUFFIXES: [&str; 15] = [
        ".drv", ".lock", ".patch", ".diff", ".sh", ".gz", ".xz", ".bz2", ".zst", ".tgz", ".zip",
        ".json", ".conf", ".crate", ".gem",
    ];
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Name, version and output: the version begins at the first dash that no letter follows, as Nix
/// itself parses names.
fn parts(name: &str) -> Option<(&str, &str, Option<&str>)> {
    let dash = name.char_indices().find(|(at, letter)| {
        let next = name.get(at + 1..).and_then(|rest| rest.chars().next());
        *letter == '-' && next.is_some_and(|next| next.is_ascii_digit())
    });
    let (at, _) = dash?;
    // A snapshot of a branch: the word is part of its version.
    let start = name.get(..at)?.strip_suffix("-unstable").map_or(at, str::len);
    let (own, version) = (name.get(..start)?, name.get(start + 1..)?);
    let output = version.rsplit_once('-').filter(|(_, last)| OUTPUTS.contains(last));
    let is_source = version.ends_with("-source");
    (!own.is_empty() && !is_source).then_some(match output {
        Some((version, output)) => (own, version, Some(output).filter(|it| *it != "out")),
        None => (own, version, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASHED: &str = "ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q";

    fn purl(path: &str) -> Option<String> {
        package_at(path).map(|found| crate::sbom::purl::of(&found.package, None))
    }

    #[test]
    fn names_in_a_store_tell_packages() {
        let check = |name: &str, expected: Option<&str>| {
            let expected = expected.map(|it| it.replace('#', HASHED));
            assert_eq!(purl(&format!("nix/store/{HASHED}-{name}/bin/x")), expected, "{name}");
        };
        check("openssl-3.0.13", Some("pkg:nix/openssl@3.0.13?outputhash=#"));
        check("glibc-2.38-44", Some("pkg:nix/glibc@2.38-44?outputhash=#"));
        check("openssl-3.0.13-bin", Some("pkg:nix/openssl@3.0.13?output=bin&outputhash=#"));
        check("openssl-3.0.13-out", Some("pkg:nix/openssl@3.0.13?outputhash=#"));
        check("glibc-2.38-44-dev", Some("pkg:nix/glibc@2.38-44?output=dev&outputhash=#"));
        check(
            "python3.11-requests-2.31.0",
            Some("pkg:nix/python3.11-requests@2.31.0?outputhash=#"),
        );
        check("gcc-13.2.0-lib", Some("pkg:nix/gcc@13.2.0?output=lib&outputhash=#"));
        check("foo-unstable-2023-01-02", Some("pkg:nix/foo@unstable-2023-01-02?outputhash=#"));
        check("foo-0-unstable-2023-01-02", Some("pkg:nix/foo@0-unstable-2023-01-02?outputhash=#"));
        check("ImageMagick-7.1.1-29", Some("pkg:nix/ImageMagick@7.1.1-29?outputhash=#"));
        check("user-environment", None);
        check("linux-6.1.1-source", None);
        check("-1.0", None);
    }

    #[test]
    fn only_stores_are_looked_at() {
        let file = format!("nix/store/{HASHED}-openssl-3.0.13");
        assert_eq!(purl(&format!("{file}.tar.gz")), None);
        assert!(purl(&file).is_some() && purl(&format!("mnt/{file}/x")).is_some());
        assert_eq!(
            purl(&format!("gnu/store/{HASHED}-bash-5.1.16/bin/sh")).unwrap(),
            format!("pkg:guix/bash@5.1.16?outputhash={HASHED}")
        );
        assert_eq!(purl(&format!("x{file}")), None);
        assert_eq!(purl("nix/store/short-openssl-3.0.13/x"), None);
        assert_eq!(purl("nix/store/.links/abc"), None);
        assert_eq!(purl(&format!("nix/var/{HASHED}-a-1/x")), None);
        assert_eq!(path_in_store(&format!("{file}/lib/x")), Some(file.as_str()));
    }

    #[test]
    fn each_directory_of_a_store_path_tells_of_it_once() {
        let mut known = BTreeSet::new();
        let mut tells = |file: &str| {
            first(&format!("nix/store/{HASHED}-openssl-3.0.13/{file}"), &mut known).is_some()
        };
        let told = ["bin/a", "bin/b", "lib/x/y", "lib/z", "c", "d"].map(&mut tells);
        assert_eq!(told, [true, false, true, false, true, false]);
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name in "(nix/store/)?[a-z0-9é]{0,40}-?[a-zé0-9.-]{0,20}/?[a-z]?") {
            let _found = package_at(&name);
        }
    }
}
