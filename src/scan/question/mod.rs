//! What to ask the sources of advisories about a package, or why nothing can be asked. It never asks
//! without a release where advisories are kept by release, because the answers would be others'.
//!
//! Ecosystems and names: <https://ossf.github.io/osv-schema/#defined-ecosystems>.

use std::cmp::Ordering;
use std::str::FromStr as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use packageurl::PackageUrl;

use super::affected::{Unclear, is_commit};
use super::text::plain;
use super::versions::{self, VersionOrder};
use crate::sbom::matchers::os_release::OsRelease;
use crate::sbom::package::{Ecosystem, Package, SOURCE_UNKNOWN, SourcePackage};

/// The three fields that advisories are found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryQuestion {
    /// As OSV spells it, with the release: `Debian:12`.
    pub ecosystem: String,
    pub name: String,
    pub version: String,
}

/// What is asked about one package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// Several where advisories of one package are kept under several names.
    pub questions: Vec<AdvisoryQuestion>,
    /// Why no answer says enough. Even then there may be questions, whose answers count.
    pub gap: Option<Gap>,
    /// A kernel's headers hold none of its code.
    pub is_kernel_headers: bool,
}

/// Why a package is not assessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Gap {
    #[error("its version is not known")]
    NoVersion,
    #[error("its name comes from the name of a file")]
    GuessedName,
    #[error("its version is a branch, which has no order")]
    Branch,
    #[error("it is a main module, and its version comes from a commit, not from a tag")]
    MainModule,
    #[error("its distribution is not known")]
    NoDistribution,
    #[error("its source package is not known, and advisories are about source packages")]
    NoSourcePackage,
    #[error("no source has advisories for `{}`", plain(of))]
    NoSource { of: String },
    #[error("no source has advisories for a release of `{}` without a number", plain(distribution))]
    UnknownRelease { distribution: String },
    #[error("`{}` is no longer maintained since {since}", plain(release))]
    EndOfLife { release: String, since: Date },
    #[error("the SBOM has no purl for it")]
    NoPurl,
    #[error("its purl cannot be read")]
    BadPurl,
    #[error("advisory `{advisory}` cannot be compared with it: {why}")]
    Unclear { advisory: String, why: Unclear },
}

impl AdvisoryQuestion {
    /// Whether an entry of a record with this ecosystem and name is about the package.
    pub fn is_about(&self, ecosystem: &str, name: &str) -> bool {
        let (own, other) = (release(&self.ecosystem), release(ecosystem));
        own == other && canonical(&own, &self.name) == canonical(&own, name)
    }

    /// Equal for all that are about the same: what an index of records is kept by.
    pub fn key(&self) -> (String, String) {
        key(&self.ecosystem, &self.name)
    }
}

/// As [`AdvisoryQuestion::key`], of an entry of a record.
pub fn key(ecosystem: &str, name: &str) -> (String, String) {
    let ecosystem = release(ecosystem);
    let name = canonical(&ecosystem, name);
    (ecosystem, name)
}

/// Records of Ubuntu are about a release whether or not it is maintained for long or for money.
fn release(ecosystem: &str) -> String {
    match ecosystem.strip_prefix("Ubuntu:") {
        Some(rest) => {
            let words = rest.split(':').filter(|word| !matches!(*word, "LTS" | "Pro"));
            words.fold("Ubuntu".to_owned(), |whole, word| format!("{whole}:{word}"))
        }
        None => ecosystem.to_owned(),
    }
}

/// A name as its ecosystem compares them.
fn canonical(ecosystem: &str, name: &str) -> String {
    match ecosystem {
        "PyPI" => name
            .to_lowercase()
            .split(['-', '_', '.'])
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("-"),
        "GitHub Actions" | "NuGet" | "Packagist" => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// What to ask about a package of an image of that release.
pub fn inquire(package: &Package, release: Option<&OsRelease>, now: Timestamp) -> Inquiry {
    let gap = |gap: Gap| Inquiry { gap: Some(gap), ..Inquiry::default() };
    if let Some(purl) = &package.stated {
        return of_stated(purl, now);
    }
    if package.is_guess {
        return gap(Gap::GuessedName);
    }
    let Some(version) = package.version.as_deref().filter(|version| !version.is_empty()) else {
        return gap(Gap::NoVersion);
    };
    if package.ecosystem == Ecosystem::Otp {
        return of_application(package, version);
    }
    if !package.ecosystem.is_distribution() {
        return match of_language(package, version) {
            Ok(question) => Inquiry { questions: vec![question], ..Inquiry::default() },
            Err(why) => gap(why),
        };
    }
    let Some(release) = release else { return gap(Gap::NoDistribution) };
    let ecosystems = match ecosystems(package.ecosystem, release) {
        Ok(ecosystems) => ecosystems,
        Err(why) => return gap(why),
    };
    let names = of_distribution(package, version, &ecosystems);
    let questions = ecosystems.iter().flat_map(|ecosystem| {
        names.iter().map(|(name, version)| AdvisoryQuestion {
            ecosystem: ecosystem.clone(),
            name: name.clone(),
            version: version.clone(),
        })
    });
    // Advisories are kept for the source: what is asked by another name has no answer.
    let is_sourceless = package.notes.iter().any(|note| note == SOURCE_UNKNOWN);
    let over = || ecosystems.first().and_then(|ecosystem| end_of_life(ecosystem, now));
    Inquiry {
        questions: questions.collect(),
        gap: is_sourceless.then_some(Gap::NoSourcePackage).or_else(over),
        is_kernel_headers: is_kernel_headers(&package.name),
    }
}

/// What an SBOM in the image names is of the release that its purl says, and not of the image's.
fn of_stated(purl: &str, now: Timestamp) -> Inquiry {
    if let Some(question) = of_other_kind(purl) {
        return Inquiry { questions: vec![question], ..Inquiry::default() };
    }
    match from_purl(purl) {
        Ok((package, release)) => inquire(&package, release.as_ref(), now),
        Err(gap) => Inquiry { gap: Some(gap), ..Inquiry::default() },
    }
}

/// They come with every compiler, and every flaw of a kernel is listed for them.
fn is_kernel_headers(name: &str) -> bool {
    matches!(name, "linux-libc-dev" | "kernel-headers") || name.starts_with("linux-headers")
}

/// Most applications of Erlang are packages of Hex under the same name, but nothing says which: what
/// is found counts, and finding nothing does not.
fn of_application(package: &Package, version: &str) -> Inquiry {
    let question = AdvisoryQuestion {
        ecosystem: "Hex".to_owned(),
        name: package.name.to_lowercase(),
        version: version.to_owned(),
    };
    let gap = Gap::NoSource { of: package.ecosystem.as_str().to_owned() };
    Inquiry { questions: vec![question], gap: Some(gap), ..Inquiry::default() }
}

fn of_language(package: &Package, version: &str) -> Result<AdvisoryQuestion, Gap> {
    let no_source = |of: &str| Gap::NoSource { of: of.to_owned() };
    let (ecosystem, name, version) = match package.ecosystem {
        Ecosystem::Cargo => ("crates.io", package.name.clone(), version),
        Ecosystem::Composer if is_branch(version) => return Err(Gap::Branch),
        Ecosystem::Composer => ("Packagist", canonical("Packagist", &package.name), version),
        Ecosystem::Gem => ("RubyGems", package.name.clone(), version),
        Ecosystem::Golang => return of_go(package, version),
        Ecosystem::Maven if !package.name.contains(':') => return Err(Gap::GuessedName),
        Ecosystem::Maven => ("Maven", package.name.clone(), version),
        Ecosystem::Npm => ("npm", package.name.clone(), version),
        Ecosystem::Nuget => ("NuGet", package.name.clone(), version),
        Ecosystem::Pypi => ("PyPI", canonical("PyPI", &package.name), version),
        Ecosystem::Bitnami => ("Bitnami", package.name.to_lowercase(), without_build(version)),
        Ecosystem::Cran => ("CRAN", package.name.clone(), version),
        Ecosystem::Hex => ("Hex", package.name.to_lowercase(), version),
        Ecosystem::Pub => ("Pub", package.name.clone(), version),
        Ecosystem::Swift => ("SwiftURL", package.name.clone(), version),
        Ecosystem::Generic => return Err(no_source("programs that no package manager installed")),
        // Those of distributions are asked elsewhere; for the others nobody keeps advisories by
        // such names.
        other @ (Ecosystem::Alpm
        | Ecosystem::Apk
        | Ecosystem::Bioconductor
        | Ecosystem::Brew
        | Ecosystem::Cocoapods
        | Ecosystem::Conan
        | Ecosystem::Conda
        | Ecosystem::Deb
        | Ecosystem::Ebuild
        | Ecosystem::Guix
        | Ecosystem::Huggingface
        | Ecosystem::Luarocks
        | Ecosystem::Nix
        | Ecosystem::Opkg
        | Ecosystem::Otp
        | Ecosystem::Pear
        | Ecosystem::Rpm
        | Ecosystem::Wordpress) => return Err(no_source(other.as_str())),
    };
    Ok(AdvisoryQuestion { ecosystem: ecosystem.to_owned(), name, version: version.to_owned() })
}

/// `dev-main` and `2.x-dev` are, and `2.0.0-dev` is a version like others.
fn is_branch(version: &str) -> bool {
    let numbers = version.strip_suffix("-dev").map(|it| it.strip_prefix('v').unwrap_or(it));
    let is_number = |text: &str| text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    version.starts_with("dev-") || numbers.is_some_and(|numbers| !is_number(numbers))
}

fn of_go(package: &Package, version: &str) -> Result<AdvisoryQuestion, Gap> {
    // Only a main module is told with the revision that it was built from.
    let is_main = package.notes.iter().any(|note| note.starts_with("Built from revision"));
    if is_main && is_commit(version) {
        return Err(Gap::MainModule);
    }
    let bare = version.strip_prefix('v').unwrap_or(version);
    let version = match package.name.as_str() {
        "stdlib" | "toolchain" => toolchain(version),
        _ => bare.to_owned(),
    };
    Ok(AdvisoryQuestion { ecosystem: "Go".to_owned(), name: package.name.clone(), version })
}

/// `go1.21rc2` is `1.21.0-rc.2` as advisories write it.
fn toolchain(version: &str) -> String {
    let version = version.strip_prefix("go").or(version.strip_prefix('v')).unwrap_or(version);
    let word = version.find(|letter: char| letter.is_ascii_lowercase());
    let Some((numbers, pre)) = word.and_then(|at| version.split_at_checked(at)) else {
        return version.to_owned();
    };
    let pre_end = pre.find(|letter: char| letter.is_ascii_digit()).unwrap_or(pre.len());
    let (word, number) = pre.split_at(pre_end);
    if numbers.contains(['-', '+']) || number.is_empty() {
        return version.to_owned();
    }
    let zeros = ".0".repeat(2_usize.saturating_sub(numbers.matches('.').count()));
    format!("{numbers}{zeros}-{word}.{number}")
}

/// The names and versions under which a distribution keeps what it knows of a package.
fn of_distribution(
    package: &Package,
    version: &str,
    ecosystems: &[String],
) -> Vec<(String, String)> {
    let ecosystem = ecosystems.first().map(String::as_str).unwrap_or_default();
    let family = ecosystem.split(':').next().unwrap_or_default();
    let own = (package.name.clone(), version.to_owned());
    let upstream = package.upstream.as_ref();
    match (package.ecosystem, family) {
        (Ecosystem::Deb, _) => vec![debian_source(package, version)],
        (Ecosystem::Apk, "Alpine") => {
            let origin = upstream.map_or(&package.name, |upstream| &upstream.name);
            vec![(origin.clone(), version.to_owned())]
        }
        (Ecosystem::Apk, _) => {
            let origin = upstream.map(|upstream| (upstream.name.clone(), version.to_owned()));
            origin.into_iter().filter(|origin| *origin != own).chain([own.clone()]).collect()
        }
        (_, "SUSE" | "openSUSE" | "openEuler" | "Azure Linux" | "Mageia") => {
            let source = upstream.and_then(|upstream| source_rpm(&upstream.name));
            let name = source.map_or(own.0, |(name, _)| name.to_owned());
            vec![(name, epoch_if_any(version))]
        }
        _ => vec![(own.0, epoch_if_any(version))],
    }
}

/// Advisories are kept for the source, by its version.
fn debian_source(package: &Package, version: &str) -> (String, String) {
    let (name, version) = match &package.upstream {
        Some(SourcePackage { name, version: Some(version) }) => (name.as_str(), version.clone()),
        Some(SourcePackage { name, version: None }) => (name.as_str(), without_rebuild(version)),
        None => (package.name.as_str(), without_rebuild(version)),
    };
    // What is signed is built of another source: its `6.1.119+1` is the kernel's `6.1.119-1`.
    let signed = ["linux-signed-", "linux-signed"];
    match signed.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(_) => {
            let kernel =
                version.rsplit_once('+').map(|(before, after)| format!("{before}-{after}"));
            ("linux".to_owned(), kernel.unwrap_or(version))
        }
        None => (name.to_owned(), version),
    }
}

/// `1.2-3+b1` is a second build of `1.2-3`.
fn without_rebuild(version: &str) -> String {
    match version.rsplit_once("+b") {
        Some((before, number)) if is_number(number) => before.to_owned(),
        _ => version.to_owned(),
    }
}

/// Name and version of `openssl-3.0.7-1.el9.src.rpm`.
fn source_rpm(file: &str) -> Option<(&str, &str)> {
    let bare = file.strip_suffix(".rpm").unwrap_or(file);
    let bare = bare.strip_suffix(".src").or(bare.strip_suffix(".nosrc")).unwrap_or(bare);
    let (rest, _release) = bare.rsplit_once('-')?;
    rest.rsplit_once('-')
}

fn epoch_if_any(version: &str) -> String {
    version.strip_prefix("0:").unwrap_or(version).to_owned()
}

/// The ecosystems whose records are about packages of the release.
fn ecosystems(kind: Ecosystem, release: &OsRelease) -> Result<Vec<String>, Gap> {
    let distribution = || release.name.clone().unwrap_or_else(|| release.id.clone());
    let unknown = || Gap::UnknownRelease { distribution: distribution() };
    let version = release.version.as_deref();
    let major = || {
        let major = version.and_then(|version| version.split('.').next());
        major.filter(|it| is_number(it)).ok_or_else(unknown)
    };
    let minor = |width: Option<usize>| {
        let mut parts = version.unwrap_or_default().split('.');
        let mut number = || parts.next().filter(|it| is_number(it));
        let (major, minor) = (number(), number());
        let fits = |text: &&str| width.is_none_or(|width| text.len() == width);
        match (major, minor.filter(fits)) {
            (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
            _ => Err(unknown()),
        }
    };
    let named = |prefix: &str| {
        let rest = release.name.as_deref().and_then(|name| name.strip_prefix(prefix));
        rest.map(str::trim).filter(|rest| !rest.is_empty()).ok_or_else(unknown)
    };
    let one = |ecosystem: String| Ok(vec![ecosystem]);
    match (kind, release.id.as_str()) {
        (Ecosystem::Deb, "debian") => one(format!("Debian:{}", major()?)),
        (Ecosystem::Deb, "ubuntu") => one(format!("Ubuntu:{}", minor(Some(2))?)),
        // Of what is not released yet, `3.23.0_alpha20250612` or the name tells.
        (Ecosystem::Apk, "alpine")
            if version.is_some_and(|version| version.contains("_alpha"))
                || release.name.as_deref().is_some_and(|name| name.ends_with(" edge")) =>
        {
            one("Alpine:edge".to_owned())
        }
        (Ecosystem::Apk, "alpine") => one(format!("Alpine:v{}", minor(None)?)),
        (Ecosystem::Apk, "wolfi") => one("Wolfi".to_owned()),
        (Ecosystem::Apk, "chainguard") => one("Chainguard".to_owned()),
        (Ecosystem::Apk, "minimos") => one("MinimOS".to_owned()),
        (Ecosystem::Rpm, "almalinux") => one(format!("AlmaLinux:{}", major()?)),
        (Ecosystem::Rpm, "rocky") => one(format!("Rocky Linux:{}", major()?)),
        // Images are built of these two repositories; a fix in Satellite's is none for them.
        (Ecosystem::Rpm, "rhel" | "redhat") => {
            let major = major()?;
            let of = |part: &str| format!("Red Hat:enterprise_linux:{major}::{part}");
            Ok(vec![of("baseos"), of("appstream")])
        }
        (Ecosystem::Rpm, id) if id.starts_with("sle") || id == "suse" => {
            one(format!("SUSE:{}", named("SUSE ")?))
        }
        (Ecosystem::Rpm, "opensuse-tumbleweed") => one("openSUSE:Tumbleweed".to_owned()),
        (Ecosystem::Rpm, id) if id.starts_with("opensuse") => {
            one(format!("openSUSE:Leap {}", minor(None)?))
        }
        (Ecosystem::Rpm, "openeuler") => {
            let name = named("openEuler ")?.replace([' ', '(', ')'], "-");
            one(format!("openEuler:{}", name.trim_end_matches('-').replace("--", "-")))
        }
        (Ecosystem::Rpm, "azurelinux" | "mariner") => one(format!("Azure Linux:{}", major()?)),
        (Ecosystem::Rpm, "mageia") => one(format!("Mageia:{}", major()?)),
        _ => Err(Gap::NoSource { of: distribution() }),
    }
}

/// Releases that were maintained once, and until when: those before the oldest of a distribution
/// are no longer, and those after its newest still are.
fn end_of_life(ecosystem: &str, now: Timestamp) -> Option<Gap> {
    let today = now.to_zoned(TimeZone::UTC).date();
    // The repositories of Red Hat end together.
    let shown = match ecosystem.strip_prefix("Red Hat:enterprise_linux:") {
        Some(rest) => format!("Red Hat:{}", rest.split(':').next().unwrap_or_default()),
        None => ecosystem.to_owned(),
    };
    let (family, release) = shown.split_once(':')?;
    let order = |a: &str, b: &str| {
        let number =
            |text: &str| text.trim_start_matches(|it: char| !it.is_ascii_digit()).to_owned();
        versions::compare(VersionOrder::Semver, &number(a), &number(b)).ok()
    };
    let mut oldest: Option<(&str, Date)> = None;
    let lines = include_str!("releases.tsv").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (name, end) = line.split_once('\t')?;
        let Some(known) = name.strip_prefix(family).and_then(|rest| rest.strip_prefix(':')) else {
            continue;
        };
        let end: Date = end.parse().ok()?;
        if known == release {
            let is_over = end < today;
            return is_over.then(|| Gap::EndOfLife { release: shown.clone(), since: end });
        }
        if oldest.is_none_or(|(before, _)| order(known, before) == Some(Ordering::Less)) {
            oldest = Some((known, end));
        }
    }
    let (known, since) = oldest?;
    (order(release, known) == Some(Ordering::Less))
        .then(|| Gap::EndOfLife { release: shown.clone(), since })
}

/// A package as a document of somebody else lists it, and the release that its purl names.
pub fn from_purl(purl: &str) -> Result<(Package, Option<OsRelease>), Gap> {
    if purl.is_empty() {
        return Err(Gap::NoPurl);
    }
    let parsed = PackageUrl::from_str(purl).map_err(|_| Gap::BadPurl)?;
    let ty = parsed.ty().to_owned();
    let parsed = match ty.as_str() {
        "golang" | "npm" => as_spelled(purl, parsed),
        _ => parsed,
    };
    let namespace = parsed.namespace().unwrap_or_default();
    let qualifier = |name: &str| {
        let mut all = parsed.qualifiers().iter();
        all.find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.to_string())
    };
    let joined = |separator: char| match namespace {
        "" => parsed.name().to_owned(),
        namespace => format!("{namespace}{separator}{}", parsed.name()),
    };
    let (ecosystem, name) = match ty.as_str() {
        "apk" => (Ecosystem::Apk, parsed.name().to_owned()),
        "cargo" => (Ecosystem::Cargo, parsed.name().to_owned()),
        "composer" => (Ecosystem::Composer, joined('/')),
        "conda" => (Ecosystem::Conda, parsed.name().to_owned()),
        "deb" => (Ecosystem::Deb, parsed.name().to_owned()),
        "gem" => (Ecosystem::Gem, parsed.name().to_owned()),
        "golang" => (Ecosystem::Golang, joined('/')),
        "maven" => (Ecosystem::Maven, joined(':')),
        "npm" => (Ecosystem::Npm, joined('/')),
        "nuget" => (Ecosystem::Nuget, parsed.name().to_owned()),
        "pypi" => (Ecosystem::Pypi, parsed.name().to_owned()),
        "rpm" => (Ecosystem::Rpm, parsed.name().to_owned()),
        other => return Err(Gap::NoSource { of: other.to_owned() }),
    };
    let mut package = Package::named(ecosystem, name);
    package.version = parsed.version().map(|version| match qualifier("epoch") {
        Some(epoch) if ecosystem == Ecosystem::Rpm => format!("{epoch}:{version}"),
        _ => version.to_owned(),
    });
    package.upstream = qualifier("upstream").map(|upstream| match upstream.split_once('@') {
        Some((name, version)) => {
            SourcePackage { name: name.to_owned(), version: Some(version.to_owned()) }
        }
        None => SourcePackage { name: upstream, version: None },
    });
    package.qualifiers = qualifier("rpmmod").map(|stream| ("rpmmod", stream)).into_iter().collect();
    let release = ecosystem.is_distribution().then(|| release_of(namespace, qualifier("distro")));
    Ok((package, release.flatten()))
}

/// The specification wants parts of some names in small letters, but advisories are found by the
/// true spelling alone. A type that nobody defined has no such rules.
fn as_spelled(purl: &str, parsed: PackageUrl<'static>) -> PackageUrl<'static> {
    let rest = purl.split_once(':').map(|(_, rest)| rest.trim_start_matches('/'));
    let Some((_, rest)) = rest.and_then(|rest| rest.split_once('/')) else { return parsed };
    let Ok(spelled) = PackageUrl::from_str(&format!("pkg:generic/{rest}")) else { return parsed };
    let lower = |purl: &PackageUrl<'_>| {
        (purl.namespace().map(str::to_lowercase), purl.name().to_lowercase())
    };
    if lower(&spelled) == lower(&parsed) { spelled } else { parsed }
}

/// What to ask about a package of a kind that is not read as one of the cataloger's.
pub fn of_other_kind(purl: &str) -> Option<AdvisoryQuestion> {
    const KINDS: [(&str, &str); 7] = [
        ("bitnami", "Bitnami"),
        ("cran", "CRAN"),
        ("githubactions", "GitHub Actions"),
        ("hackage", "Hackage"),
        ("hex", "Hex"),
        ("pub", "Pub"),
        ("swift", "SwiftURL"),
    ];
    let parsed = PackageUrl::from_str(purl).ok()?;
    let (_, ecosystem) = KINDS.iter().find(|(kind, _)| *kind == parsed.ty())?;
    let name = match parsed.namespace() {
        Some(namespace) => format!("{namespace}/{}", parsed.name()),
        None => parsed.name().to_owned(),
    };
    let version = parsed.version()?;
    let version = if *ecosystem == "Bitnami" { without_build(version) } else { version };
    Some(AdvisoryQuestion { ecosystem: (*ecosystem).to_owned(), name, version: version.to_owned() })
}

/// Bitnami numbers its builds: `1.2.3-4`.
fn without_build(version: &str) -> &str {
    match version.rsplit_once('-') {
        Some((before, build)) if is_number(build) => before,
        _ => version,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `distro` is `debian-12`, `opensuse-leap-15.6`, or the number alone.
fn release_of(namespace: &str, distro: Option<String>) -> Option<OsRelease> {
    let id = match namespace {
        "" => None,
        "redhat" => Some("rhel"),
        other => Some(other),
    };
    let distro = distro.unwrap_or_default();
    let begins = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    let (named, version) = match distro.rsplit_once('-') {
        Some((named, version)) if begins(version) => (named, version),
        _ if begins(&distro) => ("", distro.as_str()),
        _ => (distro.as_str(), ""),
    };
    // The purl's namespace is the vendor, where `distro` may name the product.
    let is_product = named.starts_with("opensuse") || named.starts_with("sle");
    let id = if is_product { named } else { id.or(Some(named).filter(|it| !it.is_empty()))? };
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let name = match (id, version.split_once('.')) {
        ("sles", Some((major, pack))) => {
            Some(format!("SUSE Linux Enterprise Server {major} SP{pack}"))
        }
        ("sles", None) => given(version).map(|it| format!("SUSE Linux Enterprise Server {it}")),
        ("alpine", _) if distro.ends_with("edge") => given("Alpine Linux edge"),
        _ => None,
    };
    Some(OsRelease { id: id.to_ascii_lowercase(), version: given(version), name })
}

#[cfg(test)]
mod tests;
