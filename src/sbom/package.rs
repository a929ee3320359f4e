//! The words of a catalog: packages, suppliers, needs. It never reads a file and never decides what
//! is installed.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::licence::Licence;
use super::linked::LinkedPackages;

/// Where a package comes from; the name is the purl type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ecosystem {
    Alpm,
    Apk,
    Bioconductor,
    Bitnami,
    Brew,
    Cargo,
    Cocoapods,
    Composer,
    Conan,
    Conda,
    Cran,
    Deb,
    Ebuild,
    Gem,
    /// Programs that no package manager installed.
    Generic,
    Golang,
    Guix,
    Hex,
    Huggingface,
    Luarocks,
    Maven,
    Nix,
    Npm,
    Nuget,
    Opkg,
    Otp,
    Pear,
    Pub,
    Pypi,
    Rpm,
    Swift,
    Wordpress,
}

/// An installed package, as its database describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub ecosystem: Ecosystem,
    pub name: String,
    /// Whether the name was made of a file's, for want of a better one.
    #[serde(default)]
    pub is_guess: bool,
    /// `None` where the database does not say, as for a Go main module built outside of a release.
    pub version: Option<String>,
    pub arch: Option<String>,
    /// The source package it was built from, where that has another name or version.
    pub upstream: Option<SourcePackage>,
    pub supplier: Option<Supplier>,
    pub licence: Licence,
    /// Of the archive it came in, in hexadecimal digits.
    pub checksums: BTreeSet<(Algorithm, String)>,
    /// Purl qualifiers beyond those that follow from the above.
    #[serde(deserialize_with = "qualifiers")]
    pub qualifiers: Vec<(&'static str, String)>,
    /// Further facts for a human reader, one sentence each.
    pub notes: Vec<String>,
    /// Whether only a lock file names it, so that nobody knows whether it is there.
    #[serde(default)]
    pub is_locked: bool,
    /// For a package of which only an SBOM or a note in the image tells, its purl there.
    #[serde(default)]
    pub stated: Option<String>,
    /// For a Go module, which of its packages are in the programs that have it, where all of them
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<LinkedPackages>,
}

/// The note on a package of which nothing tells the source it was built from.
pub const SOURCE_UNKNOWN: &str = "Nothing tells its source package.";

/// How a checksum was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
}

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePackage {
    pub name: String,
    pub version: Option<String>,
}

/// Who distributes a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Supplier {
    Person { name: String, email: Option<String> },
    Organization { name: String, email: Option<String> },
}

/// What one matcher read about one package: the package and how it connects to others in the same
/// scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPackage {
    pub package: Package,
    /// Needs are met only by packages of the same ecosystem and scope: one database, or one
    /// executable.
    pub scope: String,
    /// Other names it answers to.
    pub provides: Vec<String>,
    /// Each need is a list of alternatives.
    pub requires: Vec<Vec<PackageNeed>>,
    /// A file that may tell its licence.
    pub licence_at: Option<String>,
}

/// A name that another package must answer to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageNeed {
    pub name: String,
    pub arch: Option<String>,
}

/// Names of qualifiers that this program writes; what it did not write, it does not read back.
const QUALIFIERS: [&str; 12] = [
    "arch",
    "build",
    "channel",
    "distro",
    "epoch",
    "kind",
    "output",
    "outputhash",
    "platform",
    "rpmmod",
    "subdir",
    "user",
];

fn qualifiers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(&'static str, String)>, D::Error> {
    let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
    let known =
        |(name, value): (String, String)| match QUALIFIERS.iter().find(|known| **known == name) {
            Some(known) => Ok((*known, value)),
            None => Err(serde::de::Error::custom(format!("`{name}` is not a qualifier"))),
        };
    pairs.into_iter().map(known).collect()
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::Alpm,
        Self::Apk,
        Self::Bioconductor,
        Self::Bitnami,
        Self::Brew,
        Self::Cargo,
        Self::Cocoapods,
        Self::Composer,
        Self::Conan,
        Self::Conda,
        Self::Cran,
        Self::Deb,
        Self::Ebuild,
        Self::Gem,
        Self::Generic,
        Self::Golang,
        Self::Guix,
        Self::Hex,
        Self::Huggingface,
        Self::Luarocks,
        Self::Maven,
        Self::Nix,
        Self::Npm,
        Self::Nuget,
        Self::Opkg,
        Self::Otp,
        Self::Pear,
        Self::Pub,
        Self::Pypi,
        Self::Rpm,
        Self::Swift,
        Self::Wordpress,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpm => "alpm",
            Self::Apk => "apk",
            Self::Bioconductor => "bioconductor",
            Self::Bitnami => "bitnami",
            Self::Brew => "brew",
            Self::Cargo => "cargo",
            Self::Cocoapods => "cocoapods",
            Self::Composer => "composer",
            Self::Conan => "conan",
            Self::Conda => "conda",
            Self::Cran => "cran",
            Self::Deb => "deb",
            Self::Ebuild => "ebuild",
            Self::Gem => "gem",
            Self::Generic => "generic",
            Self::Golang => "golang",
            Self::Guix => "guix",
            Self::Hex => "hex",
            Self::Huggingface => "huggingface",
            Self::Luarocks => "luarocks",
            Self::Maven => "maven",
            Self::Nix => "nix",
            Self::Npm => "npm",
            Self::Nuget => "nuget",
            Self::Opkg => "opkg",
            Self::Otp => "otp",
            Self::Pear => "pear",
            Self::Pub => "pub",
            Self::Pypi => "pypi",
            Self::Rpm => "rpm",
            Self::Swift => "swift",
            Self::Wordpress => "wordpress",
        }
    }

    /// What tells of its packages.
    pub fn told_by(self) -> &'static str {
        match self {
            Self::Alpm => "pacman database",
            Self::Apk => "apk database",
            Self::Bioconductor => "R package's DESCRIPTION",
            Self::Bitnami => "Bitnami's record",
            Self::Brew => "Homebrew's receipt",
            Self::Cargo => "cargo-auditable data",
            Self::Cocoapods => "CocoaPods metadata",
            Self::Composer => "Composer's installed.json",
            Self::Conan => "Conan metadata",
            Self::Conda => "conda-meta",
            Self::Cran => "R package's DESCRIPTION",
            Self::Deb => "dpkg database",
            Self::Ebuild => "Portage database",
            Self::Gem => "gem specification",
            Self::Generic => "the program's own contents",
            Self::Golang => "Go build information",
            Self::Guix => "name in the Guix store",
            Self::Hex => "Hex metadata",
            Self::Huggingface => "the model's own contents",
            Self::Luarocks => "LuaRocks tree",
            Self::Maven => "Java archive",
            Self::Nix => "name in the Nix store",
            Self::Npm => "package.json",
            Self::Nuget => ".NET dependency manifest",
            Self::Opkg => "opkg database",
            Self::Otp => "OTP application resource",
            Self::Pear => "PEAR registry",
            Self::Pub => "Dart metadata",
            Self::Pypi => "Python package metadata",
            Self::Rpm => "rpm database",
            Self::Swift => "Swift metadata",
            Self::Wordpress => "WordPress header",
        }
    }

    /// Whether a package is told by the name of the directory that it lies in.
    pub fn is_store(self) -> bool {
        matches!(self, Self::Nix | Self::Guix)
    }

    /// Whether packages are those of a distribution, and named after it.
    pub fn is_distribution(self) -> bool {
        matches!(self, Self::Alpm | Self::Apk | Self::Deb | Self::Opkg | Self::Rpm)
    }
}

impl Package {
    /// A package of which only the name is known.
    pub fn named(ecosystem: Ecosystem, name: impl Into<String>) -> Self {
        Self {
            ecosystem,
            name: name.into(),
            is_guess: false,
            version: None,
            arch: None,
            upstream: None,
            supplier: None,
            licence: Licence::Unknown,
            checksums: BTreeSet::new(),
            qualifiers: Vec::new(),
            notes: Vec::new(),
            is_locked: false,
            stated: None,
            linked: None,
        }
    }

    /// What tells of it.
    pub fn told_by(&self) -> &'static str {
        match self.stated {
            Some(_) => "what a file in the image states",
            None if self.is_locked => "a lock file",
            None => self.ecosystem.told_by(),
        }
    }

    /// The checksums of which there is one of a kind: copies that differ have none in common.
    pub fn common_checksums(&self) -> impl Iterator<Item = (Algorithm, &str)> {
        let alone = |algorithm: Algorithm| {
            self.checksums.iter().filter(|(other, _)| *other == algorithm).count() == 1
        };
        self.checksums
            .iter()
            .filter(move |(algorithm, _)| alone(*algorithm))
            .map(|(algorithm, value)| (*algorithm, value.as_str()))
    }

    /// Takes a checksum that somebody wrote down, if it is one.
    pub fn add_checksum(&mut self, algorithm: Algorithm, value: Option<&str>) {
        let digits = match algorithm {
            Algorithm::Md5 => 32,
            Algorithm::Sha1 => 40,
            Algorithm::Sha256 => 64,
        };
        let well_formed = |value: &&str| {
            value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        self.checksums
            .extend(value.filter(well_formed).map(|value| (algorithm, value.to_ascii_lowercase())));
    }
}

impl Algorithm {
    /// As SPDX names it.
    pub fn in_spdx(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// As CycloneDX names it.
    pub fn in_cyclonedx(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
        }
    }
}

impl FoundPackage {
    /// A package by itself: it needs nothing that is known.
    pub fn alone(package: Package, scope: impl Into<String>) -> Self {
        Self {
            package,
            scope: scope.into(),
            provides: Vec::new(),
            requires: Vec::new(),
            licence_at: None,
        }
    }
}

impl PackageNeed {
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), arch: None }
    }
}

impl Supplier {
    /// Reads `Name <mail>`, the form of Debian's `Maintainer` and Alpine's `m:`.
    pub fn from_maintainer(text: &str) -> Option<Self> {
        let (name, email) = match text.split_once('<') {
            Some((name, rest)) => {
                (name, rest.split('>').next().map(str::trim).filter(|email| is_plain_email(email)))
            }
            None => (text, None),
        };
        let name = spdx_name(name);
        let email = email.map(str::to_owned);
        match (name.is_empty(), email) {
            (true, None) => None,
            (true, Some(email)) => Some(Self::of(email, None)),
            (false, email) => Some(Self::of(name, email)),
        }
    }

    fn of(name: String, email: Option<String>) -> Self {
        if is_group(&name, email.as_deref().unwrap_or_default()) {
            Self::Organization { name, email }
        } else {
            Self::Person { name, email }
        }
    }

    /// An organization of which only the name is known.
    pub fn organization(name: &str) -> Option<Self> {
        Some(spdx_name(name))
            .filter(|name| !name.is_empty())
            .map(|name| Self::Organization { name, email: None })
    }

    /// SPDX's spelling: `Person: Name (mail)`.
    pub fn to_spdx(&self) -> String {
        let (kind, name, email) = match self {
            Self::Person { name, email } => ("Person", name, email),
            Self::Organization { name, email } => ("Organization", name, email),
        };
        match email {
            Some(email) => format!("{kind}: {name} ({email})"),
            None => format!("{kind}: {name}"),
        }
    }
}

/// SPDX puts the mail address in round brackets, so a name must not contain any. Nor may it contain
/// what JSON writers escape: BuildKit's SPDX library takes a supplier as it stands between the
/// quotes, and would write `\\u0026` for `&`.
fn spdx_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '(' => plain.push('['),
            ')' => plain.push(']'),
            '&' => plain.push_str("and"),
            '"' | '\\' | '<' | '>' => {}
            '\u{2028}' | '\u{2029}' => plain.push(' '),
            control if control.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

fn is_plain_email(email: &str) -> bool {
    let well_formed = |letter: char| letter.is_ascii_graphic() && !"()<>,;:&\\\"".contains(letter);
    email
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
        && email.chars().all(well_formed)
}

/// Distributions sign packages as a team through a list address or a telling name; anybody else is
/// a person.
fn is_group(name: &str, email: &str) -> bool {
    const WORDS: [&str; 22] = [
        "team",
        "teams",
        "group",
        "maintainers",
        "developers",
        "packagers",
        "project",
        "foundation",
        "force",
        "committee",
        "list",
        "packages",
        "packaging",
        "community",
        "inc",
        "inc.",
        "llc",
        "ltd",
        "gmbh",
        "corporation",
        "security",
        "bot",
    ];
    let host = email.rsplit('@').next().unwrap_or_default();
    let listed = host.starts_with("lists.")
        || host.starts_with("alioth-lists.")
        || host.starts_with("packages.");
    let tracked = host == "tracker.debian.org"
        || email.starts_with("team+")
        || email.starts_with("packages@");
    let telling =
        name.split([' ', ',']).any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()));
    listed || tracked || telling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_qualifier_is_read_back() {
        for (name, value) in QUALIFIERS.map(|name| (name, "x".to_owned())) {
            let package = Package {
                qualifiers: vec![(name, value)],
                stated: Some("pkg:npm/a@1".into()),
                is_locked: true,
                ..Package::named(Ecosystem::Nix, "a")
            };
            let text = serde_json::to_string(&package).unwrap();
            assert_eq!(serde_json::from_str::<Package>(&text).unwrap(), package);
        }
    }

    #[test]
    fn each_ecosystem_is_a_type_of_its_own() {
        let types: BTreeSet<&str> = Ecosystem::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(types.len(), Ecosystem::ALL.len());
    }

    #[test]
    fn maintainers_become_suppliers() {
        let check = |maintainer: &str, expected: Option<&str>| {
            assert_eq!(
                Supplier::from_maintainer(maintainer).map(|supplier| supplier.to_spdx()).as_deref(),
                expected,
                "{maintainer}"
            );
        };
        check(
            "Natanael Copa <ncopa@alpinelinux.org>",
            Some("Person: Natanael Copa (ncopa@alpinelinux.org)"),
        );
        check("Matthias Klose <doko@debian.org>", Some("Person: Matthias Klose (doko@debian.org)"));
        check(
            "GNU Libc Maintainers <debian-glibc@lists.debian.org>",
            Some("Organization: GNU Libc Maintainers (debian-glibc@lists.debian.org)"),
        );
        check(
            "dpkg <team+dpkg@tracker.debian.org>",
            Some("Organization: dpkg (team+dpkg@tracker.debian.org)"),
        );
        check("wolfi", Some("Person: wolfi"));
        check("A (the B) <a@b.example>", Some("Person: A [the B] (a@b.example)"));
        check(
            "R&D \\ \"Team\" > x <a@b.example>",
            Some("Organization: RandD  Team  x (a@b.example)"),
        );
        check("A <a&b@b.example>", Some("Person: A"));
        check("A <not a mail (really)>", Some("Person: A"));
        check("<a@b.example>", Some("Person: a@b.example"));
        check("", None);
        check(" <> ", None);
    }
}
