//! The orders of versions, one an ecosystem: which of two is the older one. It never guesses: a
//! version that its ecosystem does not allow has no place in the order.

mod apk;
mod dotted;
mod dpkg;
mod maven;
mod numbers;
mod packagist;
mod pep440;
mod rpm;
mod rubygems;
mod semver;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

/// How versions of an ecosystem are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionOrder {
    Apk,
    Cran,
    Dpkg,
    Hackage,
    Maven,
    Nuget,
    Packagist,
    Pep440,
    Pub,
    Rpm,
    RubyGems,
    Semver,
}

/// A version that has no place in the order of its ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{version}` is no version as {order} has them")]
pub struct Incomparable {
    pub version: String,
    order: &'static str,
}

/// Longer than any version; some orders look at a version several times.
const LONGEST: usize = 400;

impl VersionOrder {
    /// Of an ecosystem as OSV names it, with or without a release: `Debian:12`, `PyPI`.
    pub fn of(ecosystem: &str) -> Option<Self> {
        Some(match ecosystem.split(':').next().unwrap_or_default() {
            "Alpine"
            | "Alpaquita"
            | "BellSoft Hardened Containers"
            | "Chainguard"
            | "MinimOS"
            | "Wolfi" => Self::Apk,
            "CRAN" => Self::Cran,
            "Debian" | "Echo" | "Ubuntu" => Self::Dpkg,
            "Hackage" => Self::Hackage,
            "Maven" => Self::Maven,
            "NuGet" => Self::Nuget,
            "Packagist" => Self::Packagist,
            "PyPI" => Self::Pep440,
            "Pub" => Self::Pub,
            "AlmaLinux" | "Azure Linux" | "Mageia" | "Photon OS" | "Red Hat" | "Rocky Linux"
            | "SUSE" | "openEuler" | "openSUSE" => Self::Rpm,
            "RubyGems" => Self::RubyGems,
            "Bitnami" | "GitHub Actions" | "Go" | "Hex" | "SwiftURL" | "crates.io" | "npm" => {
                Self::Semver
            }
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Cran => "CRAN",
            Self::Dpkg => "dpkg",
            Self::Hackage => "Hackage",
            Self::Maven => "Maven",
            Self::Nuget => "NuGet",
            Self::Packagist => "Composer",
            Self::Pep440 => "PEP 440",
            Self::Pub => "Pub",
            Self::Rpm => "rpm",
            Self::RubyGems => "RubyGems",
            Self::Semver => "semantic versioning",
        }
    }
}

/// A version, taken apart once for many comparisons.
#[derive(Debug, Clone)]
pub struct ComparedVersion {
    order: VersionOrder,
    parts: VersionParts,
}

#[derive(Debug, Clone)]
enum VersionParts {
    Apk(apk::ApkVersion),
    Dotted(dotted::DottedVersion),
    Dpkg(dpkg::DpkgVersion),
    Maven(maven::MavenVersion),
    Packagist(packagist::PackagistVersion),
    Pep440(pep440_rs::Version),
    Rpm(rpm::RpmVersion),
    RubyGems(rubygems::GemVersion),
    Semver(semver::SemverVersion),
}

impl ComparedVersion {
    pub fn parse(order: VersionOrder, text: &str) -> Result<Self, Incomparable> {
        let parts = if text.is_empty() || text.len() > LONGEST {
            None
        } else {
            match order {
                VersionOrder::Apk => apk::ApkVersion::parse(text).map(VersionParts::Apk),
                VersionOrder::Cran | VersionOrder::Hackage => {
                    dotted::DottedVersion::parse(text).map(VersionParts::Dotted)
                }
                VersionOrder::Dpkg => dpkg::DpkgVersion::parse(text).map(VersionParts::Dpkg),
                VersionOrder::Maven => maven::MavenVersion::parse(text).map(VersionParts::Maven),
                VersionOrder::Packagist => {
                    packagist::PackagistVersion::parse(text).map(VersionParts::Packagist)
                }
                VersionOrder::Pep440 => pep440::parse(text).map(VersionParts::Pep440),
                VersionOrder::Rpm => rpm::RpmVersion::parse(text).map(VersionParts::Rpm),
                VersionOrder::RubyGems => {
                    rubygems::GemVersion::parse(text).map(VersionParts::RubyGems)
                }
                VersionOrder::Nuget | VersionOrder::Pub | VersionOrder::Semver => {
                    semver::SemverVersion::parse(text, order).map(VersionParts::Semver)
                }
            }
        };
        parts.map(|parts| Self { order, parts }).ok_or_else(|| Incomparable {
            version: text.chars().take(LONGEST).collect(),
            order: order.name(),
        })
    }

    /// `None` where their order does not say, or they have two.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.order != other.order {
            return None;
        }
        Some(match (&self.parts, &other.parts) {
            (VersionParts::Apk(a), VersionParts::Apk(b)) => return a.compare(b),
            (VersionParts::Dotted(a), VersionParts::Dotted(b)) => a.cmp(b),
            (VersionParts::Dpkg(a), VersionParts::Dpkg(b)) => a.compare(b),
            (VersionParts::Maven(a), VersionParts::Maven(b)) => a.compare(b),
            (VersionParts::Packagist(a), VersionParts::Packagist(b)) => a.compare(b),
            (VersionParts::Pep440(a), VersionParts::Pep440(b)) => a.cmp(b),
            (VersionParts::Rpm(a), VersionParts::Rpm(b)) => a.compare(b),
            (VersionParts::RubyGems(a), VersionParts::RubyGems(b)) => a.compare(b),
            (VersionParts::Semver(a), VersionParts::Semver(b)) => a.compare(b),
            _ => return None,
        })
    }
}

/// Which of two versions is the older one.
pub fn compare(order: VersionOrder, a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (first, second) = (ComparedVersion::parse(order, a)?, ComparedVersion::parse(order, b)?);
    let unequal = || Incomparable { version: b.to_owned(), order: order.name() };
    first.compare(&second).ok_or_else(unequal)
}
