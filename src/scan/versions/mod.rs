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
pub enum Order {
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

impl Order {
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
pub struct Version {
    order: Order,
    parts: Parts,
}

#[derive(Debug, Clone)]
enum Parts {
    Apk(apk::Version),
    Dotted(dotted::Version),
    Dpkg(dpkg::Version),
    Maven(maven::Version),
    Packagist(packagist::Version),
    Pep440(pep440_rs::Version),
    Rpm(rpm::Version),
    RubyGems(rubygems::Version),
    Semver(semver::Version),
}

impl Version {
    pub fn parse(order: Order, text: &str) -> Result<Self, Incomparable> {
        let parts = if text.is_empty() || text.len() > LONGEST {
            None
        } else {
            match order {
                Order::Apk => apk::Version::parse(text).map(Parts::Apk),
                Order::Cran | Order::Hackage => dotted::Version::parse(text).map(Parts::Dotted),
                Order::Dpkg => dpkg::Version::parse(text).map(Parts::Dpkg),
                Order::Maven => maven::Version::parse(text).map(Parts::Maven),
                Order::Packagist => packagist::Version::parse(text).map(Parts::Packagist),
                Order::Pep440 => pep440::parse(text).map(Parts::Pep440),
                Order::Rpm => rpm::Version::parse(text).map(Parts::Rpm),
                Order::RubyGems => rubygems::Version::parse(text).map(Parts::RubyGems),
                Order::Nuget | Order::Pub | Order::Semver => {
                    semver::Version::parse(text, order).map(Parts::Semver)
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
            (Parts::Apk(a), Parts::Apk(b)) => return a.compare(b),
            (Parts::Dotted(a), Parts::Dotted(b)) => a.cmp(b),
            (Parts::Dpkg(a), Parts::Dpkg(b)) => a.compare(b),
            (Parts::Maven(a), Parts::Maven(b)) => a.compare(b),
            (Parts::Packagist(a), Parts::Packagist(b)) => a.compare(b),
            (Parts::Pep440(a), Parts::Pep440(b)) => a.cmp(b),
            (Parts::Rpm(a), Parts::Rpm(b)) => a.compare(b),
            (Parts::RubyGems(a), Parts::RubyGems(b)) => a.compare(b),
            (Parts::Semver(a), Parts::Semver(b)) => a.compare(b),
            _ => return None,
        })
    }
}

/// Which of two versions is the older one.
pub fn compare(order: Order, a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (first, second) = (Version::parse(order, a)?, Version::parse(order, b)?);
    let unequal = || Incomparable { version: b.to_owned(), order: order.name() };
    first.compare(&second).ok_or_else(unequal)
}
