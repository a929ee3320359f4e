//! Package URLs, in canonical form. It never invents a component: without a value there is no
//! qualifier.

use super::matchers::os_release::OsRelease;
use super::package::{Ecosystem, Package};

/// The package's purl on this distribution, or the one that an SBOM in the image states.
pub fn of(package: &Package, release: Option<&OsRelease>) -> String {
    if let Some(stated) = &package.stated {
        return stated.clone();
    }
    let mut purl = format!("pkg:{}/", package.ecosystem.as_str());
    if let Some(namespace) = namespace(package.ecosystem, release) {
        purl.push_str(&format!("{}/", encoded(&namespace, "")));
    }
    purl.push_str(&path(package));
    if let Some(version) = version(package) {
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

/// The distribution, for packages that are part of one.
fn namespace(ecosystem: Ecosystem, release: Option<&OsRelease>) -> Option<String> {
    let namespace = ecosystem
        .is_distribution()
        .then(|| release.map_or(default_namespace(ecosystem), |release| release.id.as_str()))?;
    // Too many distributions use rpm to assume one.
    (!namespace.is_empty()).then(|| match (ecosystem, namespace) {
        // What advisories and other tools call it: the vendor, where os-release names a product.
        (Ecosystem::Rpm, "rhel") => "redhat".to_owned(),
        (
            Ecosystem::Rpm,
            "sles" | "sled" | "sle_micro" | "sle-micro" | "sle_hpc" | "sles_sap" | "sl-micro",
        ) => "suse".to_owned(),
        (Ecosystem::Rpm, id) if id.starts_with("opensuse") => "opensuse".to_owned(),
        (_, namespace) => namespace.to_lowercase(),
    })
}

/// What the specification's definition of each type says of case: whether the namespace is lower
/// case, and whether the name is. See
/// <https://github.com/package-url/purl-spec/tree/main/types>.
fn is_lower_case(ecosystem: Ecosystem) -> (bool, bool) {
    match ecosystem {
        Ecosystem::Alpm
        | Ecosystem::Apk
        | Ecosystem::Bitnami
        | Ecosystem::Brew
        | Ecosystem::Composer
        | Ecosystem::Deb
        | Ecosystem::Hex
        | Ecosystem::Luarocks
        | Ecosystem::Otp
        | Ecosystem::Pub
        | Ecosystem::Pypi => (true, true),
        Ecosystem::Opkg | Ecosystem::Rpm => (true, false),
        // The specification wants the namespace of a Go module and the name of an npm package in
        // lower case. But both are case-sensitive, old npm packages have capitals, and advisories
        // are found by the true spelling only; syft keeps it too.
        Ecosystem::Golang | Ecosystem::Npm => (false, false),
        Ecosystem::Bioconductor
        | Ecosystem::Cargo
        | Ecosystem::Cocoapods
        | Ecosystem::Conan
        | Ecosystem::Conda
        | Ecosystem::Cran
        | Ecosystem::Ebuild
        | Ecosystem::Gem
        | Ecosystem::Generic
        | Ecosystem::Guix
        | Ecosystem::Huggingface
        | Ecosystem::Maven
        | Ecosystem::Nix
        | Ecosystem::Nuget
        | Ecosystem::Pear
        | Ecosystem::Swift
        | Ecosystem::Wordpress => (false, false),
    }
}

/// Namespace and name as this ecosystem spells them; the name alone of what a distribution names.
fn path(package: &Package) -> String {
    let (lower_namespace, lower_name) = is_lower_case(package.ecosystem);
    let cased = |text: &str, lower: bool| {
        if lower { text.to_lowercase() } else { text.to_owned() }
    };
    let parts = |name: &str, at: char| {
        let (namespace, name) = name.rsplit_once(at).unwrap_or(("", name));
        let namespace = namespace.split(at).filter(|part| !part.is_empty());
        let namespace = namespace.map(|part| encoded(&cased(part, lower_namespace), ""));
        namespace.chain([encoded(&cased(name, lower_name), "")]).collect::<Vec<_>>().join("/")
    };
    match package.ecosystem {
        Ecosystem::Brew
        | Ecosystem::Composer
        | Ecosystem::Ebuild
        | Ecosystem::Generic
        | Ecosystem::Golang
        | Ecosystem::Hex
        | Ecosystem::Huggingface
        | Ecosystem::Luarocks
        | Ecosystem::Npm
        | Ecosystem::Pear
        | Ecosystem::Swift => parts(&package.name, '/'),
        Ecosystem::Maven => parts(&package.name, ':'),
        // As PEP 503 compares names; the specification leaves dots, but then one package has two
        // purls.
        Ecosystem::Pypi => package
            .name
            .split(['-', '_', '.'])
            .filter(|word| !word.is_empty())
            .map(|word| encoded(&cased(word, lower_name), ""))
            .collect::<Vec<_>>()
            .join("-"),
        _ => encoded(&cased(&package.name, lower_name), ""),
    }
}

/// An rpm's epoch is not part of its purl's version.
fn version(package: &Package) -> Option<&str> {
    let version = package.version.as_deref()?;
    match package.ecosystem {
        Ecosystem::Rpm => Some(version.split_once(':').map_or(version, |(_, version)| version)),
        _ => Some(version),
    }
}

/// The namespace when no `os-release` names the distribution.
pub fn default_namespace(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Alpm => "arch",
        Ecosystem::Apk => "alpine",
        Ecosystem::Deb => "debian",
        _ => "",
    }
}

/// In alphabetic order, as the specification wants them.
fn qualifiers(package: &Package, release: Option<&OsRelease>) -> Vec<String> {
    let mut all = package.qualifiers.clone();
    if package.ecosystem.is_distribution() {
        let upstream = package.upstream.as_ref().map(|upstream| match &upstream.version {
            Some(version) => format!("{}@{version}", upstream.name),
            None => upstream.name.clone(),
        });
        let distribution = [
            ("arch", package.arch.clone()),
            ("distro", release.map(OsRelease::distro)),
            ("upstream", upstream),
        ];
        all.extend(distribution.into_iter().filter_map(|(key, value)| Some((key, value?))));
    }
    all.retain(|(_, value)| !value.is_empty());
    all.sort();
    all.into_iter().map(|(key, value)| format!("{key}={}", encoded(&value, ":"))).collect()
}

pub(super) fn encoded(text: &str, also_plain: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || ".-_~".contains(letter) || also_plain.contains(letter)
        {
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
    use crate::sbom::package::SourcePackage;
    use std::str::FromStr as _;

    fn debian() -> OsRelease {
        OsRelease { id: "debian".into(), version: Some("12".into()), name: None }
    }

    fn package(
        ecosystem: Ecosystem,
        name: &str,
        version: &str,
        upstream: Option<(&str, Option<&str>)>,
    ) -> Package {
        Package {
            version: Some(version.into()),
            arch: (ecosystem != Ecosystem::Golang).then(|| "amd64".into()),
            upstream: upstream.map(|(name, version)| SourcePackage {
                name: name.into(),
                version: version.map(Into::into),
            }),
            ..Package::named(ecosystem, name)
        }
    }

    #[test]
    fn purls_are_canonical() {
        let check = |package: Package, expected: &str| {
            let purl = of(&package, Some(&debian()));
            assert_eq!(purl, expected);
            let parsed = packageurl::PackageUrl::from_str(&purl).unwrap();
            assert_eq!(parsed.version(), version(&package));
            if !matches!(package.ecosystem, Ecosystem::Golang) {
                assert_eq!(parsed.to_string(), expected, "another implementation writes the same");
            }
        };
        check(
            package(Ecosystem::Deb, "libattr1", "1:2.5.1-4", Some(("attr", None))),
            "pkg:deb/debian/libattr1@1:2.5.1-4?arch=amd64&distro=debian-12&upstream=attr",
        );
        check(
            package(
                Ecosystem::Deb,
                "libstdc++6",
                "12.2.0-14+deb12u1~x",
                Some(("gcc-12", Some("12.2.0-14"))),
            ),
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1~x?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14",
        );
        check(
            package(Ecosystem::Golang, "github.com/BurntSushi/toml", "v1.2.1+incompatible", None),
            "pkg:golang/github.com/BurntSushi/toml@v1.2.1%2Bincompatible",
        );
        check(package(Ecosystem::Npm, "@babel/core", "7.1.0", None), "pkg:npm/%40babel/core@7.1.0");
        check(
            package(Ecosystem::Pypi, "Zope.Interface_x", "1.0+local", None),
            "pkg:pypi/zope-interface-x@1.0%2Blocal",
        );
        check(
            package(Ecosystem::Maven, "org.slf4j:slf4j-api", "2.0.1", None),
            "pkg:maven/org.slf4j/slf4j-api@2.0.1",
        );
        check(package(Ecosystem::Composer, "Psr/Log", "3.0.0", None), "pkg:composer/psr/log@3.0.0");
        check(package(Ecosystem::Gem, "rake", "13.0.6", None), "pkg:gem/rake@13.0.6");
        let rpm = Package {
            qualifiers: vec![("epoch", "1".into())],
            ..package(Ecosystem::Rpm, "dbus", "1:1.12-8.el9", None)
        };
        check(rpm, "pkg:rpm/debian/dbus@1.12-8.el9?arch=amd64&distro=debian-12&epoch=1");
    }

    #[test]
    fn case_is_a_property_of_the_type() {
        // From the type definitions of purl-spec, with capitals wherever a package can have them.
        let check = |ecosystem: Ecosystem, name: &str, id: &str, expected: &str| {
            let release = OsRelease { id: id.into(), version: None, name: None };
            let purl = of(&Package::named(ecosystem, name), Some(&release));
            assert_eq!(purl.split('?').next(), Some(expected), "{name}");
        };
        check(Ecosystem::Rpm, "libX11", "Fedora", "pkg:rpm/fedora/libX11");
        check(Ecosystem::Rpm, "ImageMagick", "rhel", "pkg:rpm/redhat/ImageMagick");
        check(Ecosystem::Rpm, "perl-Exporter", "opensuse-leap", "pkg:rpm/opensuse/perl-Exporter");
        check(Ecosystem::Rpm, "SDL2", "opensuse-tumbleweed", "pkg:rpm/opensuse/SDL2");
        check(Ecosystem::Rpm, "SDL2", "sles", "pkg:rpm/suse/SDL2");
        check(Ecosystem::Rpm, "GeoIP", "amzn", "pkg:rpm/amzn/GeoIP");
        check(Ecosystem::Deb, "LibX", "Debian", "pkg:deb/debian/libx");
        check(Ecosystem::Apk, "LibX", "Wolfi", "pkg:apk/wolfi/libx");
        check(Ecosystem::Composer, "Psr/Log", "x", "pkg:composer/psr/log");
        check(Ecosystem::Pypi, "Django_X", "x", "pkg:pypi/django-x");
        check(Ecosystem::Npm, "@Angular/Animation", "x", "pkg:npm/%40Angular/Animation");
        check(
            Ecosystem::Golang,
            "github.com/Masterminds/semver/v3",
            "x",
            "pkg:golang/github.com/Masterminds/semver/v3",
        );
        check(Ecosystem::Nuget, "Newtonsoft.Json", "x", "pkg:nuget/Newtonsoft.Json");
        check(Ecosystem::Gem, "RedCloth", "x", "pkg:gem/RedCloth");
        check(Ecosystem::Cargo, "Inflector", "x", "pkg:cargo/Inflector");
        check(Ecosystem::Maven, "com.zaxxer:HikariCP", "x", "pkg:maven/com.zaxxer/HikariCP");
        check(Ecosystem::Conda, "R-Base", "x", "pkg:conda/R-Base");
        // From the examples of the specification, and its list of types that are to come.
        check(Ecosystem::Alpm, "Pacman", "Arch", "pkg:alpm/arch/pacman");
        check(Ecosystem::Bitnami, "WordPress", "x", "pkg:bitnami/wordpress");
        check(Ecosystem::Cocoapods, "AFNetworking", "x", "pkg:cocoapods/AFNetworking");
        check(Ecosystem::Cran, "rJava", "x", "pkg:cran/rJava");
        check(Ecosystem::Ebuild, "x11-libs/gtk+", "x", "pkg:ebuild/x11-libs/gtk%2B");
        check(Ecosystem::Hex, "Acme/Foo", "x", "pkg:hex/acme/foo");
        check(
            Ecosystem::Huggingface,
            "microsoft/deberta-v3-base",
            "x",
            "pkg:huggingface/microsoft/deberta-v3-base",
        );
        check(Ecosystem::Luarocks, "LuaSocket", "x", "pkg:luarocks/luasocket");
        check(Ecosystem::Nix, "ImageMagick", "x", "pkg:nix/ImageMagick");
        check(Ecosystem::Opkg, "libOpenSSL", "OpenWrt", "pkg:opkg/openwrt/libOpenSSL");
        check(Ecosystem::Otp, "Stdlib", "x", "pkg:otp/stdlib");
        check(
            Ecosystem::Pear,
            "pear.php.net/Archive_Tar",
            "x",
            "pkg:pear/pear.php.net/Archive_Tar",
        );
        check(Ecosystem::Pub, "Characters", "x", "pkg:pub/characters");
        check(
            Ecosystem::Swift,
            "github.com/Alamofire/Alamofire",
            "x",
            "pkg:swift/github.com/Alamofire/Alamofire",
        );
    }

    #[test]
    fn without_a_distribution_there_is_no_distro() {
        let purl = of(&package(Ecosystem::Apk, "musl", "1.2.5-r0", None), None);
        assert_eq!(purl, "pkg:apk/alpine/musl@1.2.5-r0?arch=amd64");
    }
}
