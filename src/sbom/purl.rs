//! Package URLs, in canonical form. It never invents a component: without a value there is no qualifier.

use super::matchers::os_release::Release;
use super::package::{Ecosystem, Package};

/// The package's purl on this distribution.
pub fn of(package: &Package, release: Option<&Release>) -> String {
    let mut purl = format!("pkg:{}/", package.ecosystem.as_str());
    match package.ecosystem {
        // The specification wants a lower-case namespace, but Go modules are case-sensitive, and advisories are
        // found by the true spelling only; syft keeps it too.
        Ecosystem::Golang => purl.push_str(&package.name.split('/').map(|part| encoded(part, "")).collect::<Vec<_>>().join("/")),
        Ecosystem::Apk | Ecosystem::Deb => {
            let namespace = release.map_or(default_namespace(package.ecosystem), |release| release.id.as_str());
            purl.push_str(&encoded(&namespace.to_lowercase(), ""));
            purl.push('/');
            purl.push_str(&encoded(&package.name.to_lowercase(), ""));
        }
    }
    if let Some(version) = &package.version {
        purl.push('@');
        purl.push_str(&encoded(version, ":"));
    }
    let qualifiers = qualifiers(package, release);
    if !qualifiers.is_empty() {
        purl.push('?');
        purl.push_str(&qualifiers.join("&"));
    }
    purl
}

/// The namespace when no `os-release` names the distribution.
pub fn default_namespace(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Apk => "alpine",
        Ecosystem::Deb => "debian",
        Ecosystem::Golang => "",
    }
}

/// In alphabetic order, as the specification wants them.
fn qualifiers(package: &Package, release: Option<&Release>) -> Vec<String> {
    if package.ecosystem == Ecosystem::Golang {
        return Vec::new();
    }
    let upstream = package.upstream.as_ref().map(|upstream| match &upstream.version {
        Some(version) => format!("{}@{version}", upstream.name),
        None => upstream.name.clone(),
    });
    [("arch", package.arch.clone()), ("distro", release.map(Release::distro)), ("upstream", upstream)]
        .into_iter()
        .filter_map(|(key, value)| value.filter(|value| !value.is_empty()).map(|value| format!("{key}={}", encoded(&value, ":"))))
        .collect()
}

fn encoded(text: &str, also_plain: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || ".-_~".contains(letter) || also_plain.contains(letter) {
            encoded.push(letter);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::package::Upstream;
    use std::str::FromStr as _;

    fn debian() -> Release {
        Release { id: "debian".into(), version: Some("12".into()), name: None }
    }

    fn package(ecosystem: Ecosystem, name: &str, version: &str, upstream: Option<(&str, Option<&str>)>) -> Package {
        Package {
            version: Some(version.into()),
            arch: (ecosystem != Ecosystem::Golang).then(|| "amd64".into()),
            upstream: upstream.map(|(name, version)| Upstream { name: name.into(), version: version.map(Into::into) }),
            ..Package::named(ecosystem, name)
        }
    }

    #[test]
    fn purls_are_canonical() {
        let check = |package: Package, expected: &str| {
            let purl = of(&package, Some(&debian()));
            assert_eq!(purl, expected);
            let parsed = packageurl::PackageUrl::from_str(&purl).unwrap();
            assert_eq!(parsed.version(), package.version.as_deref());
            if package.ecosystem != Ecosystem::Golang {
                assert_eq!(parsed.to_string(), expected, "another implementation writes the same");
            }
        };
        check(
            package(Ecosystem::Deb, "libattr1", "1:2.5.1-4", Some(("attr", None))),
            "pkg:deb/debian/libattr1@1:2.5.1-4?arch=amd64&distro=debian-12&upstream=attr",
        );
        check(
            package(Ecosystem::Deb, "libstdc++6", "12.2.0-14+deb12u1~x", Some(("gcc-12", Some("12.2.0-14")))),
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1~x?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14",
        );
        check(
            package(Ecosystem::Golang, "github.com/BurntSushi/toml", "v1.2.1+incompatible", None),
            "pkg:golang/github.com/BurntSushi/toml@v1.2.1%2Bincompatible",
        );
    }

    #[test]
    fn without_a_distribution_there_is_no_distro() {
        let purl = of(&package(Ecosystem::Apk, "musl", "1.2.5-r0", None), None);
        assert_eq!(purl, "pkg:apk/alpine/musl@1.2.5-r0?arch=amd64");
    }
}
