//! What a name stands for, as far as names are compared: a version of a line, a branch or a Git
//! tag, or nothing that has an order. Pure; it never looks at what stands in a registry.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ReleaseLine {
    /// Nothing that has an order: a name of one commit, of a time, of a pull request, or one that
    /// the user wrote.
    #[default]
    Free,
    /// A pattern of versions, such as `v1` or `1.2-alpine`, or, where it is `whole`, the version
    /// itself.
    Version { version: LineVersion, whole: bool },
    /// The name of a branch or a Git tag: `refs/heads/main`.
    Ref(String),
    /// `latest`, of versions where the run has one, else of a branch.
    Latest(Option<LineVersion>),
}

impl ReleaseLine {
    /// The version by which the name is compared.
    pub fn version(&self) -> Option<&LineVersion> {
        match self {
            Self::Version { version, .. } => Some(version),
            Self::Latest(version) => version.as_ref(),
            Self::Free | Self::Ref(_) => None,
        }
    }

    /// Whether the name is that of one whole version, by the rule that gave it.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Version { whole, .. } => *whole,
            Self::Ref(git_ref) => {
                let tag = git_ref
                    .strip_prefix("refs/tags/")
                    .and_then(|tag| LineVersion::read(tag, Scheme::Any));
                tag.is_some_and(|version| {
                    version.numbers().is_some_and(|(numbers, _)| numbers.len() >= 3)
                })
            }
            Self::Free | Self::Latest(_) => false,
        }
    }
}

/// How versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// <https://semver.org>, and number by number where one of both is none.
    #[default]
    Any,
    /// <https://peps.python.org/pep-0440/>.
    Pep440,
}

/// A version, and of what it is one: a repository may hold several things that have versions of
/// their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineVersion {
    /// `web` of the Git tag `web/v2.1.0`; mostly empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    component: String,
    #[serde(rename = "version")]
    text: String,
    #[serde(default, skip_serializing_if = "is_any")]
    scheme: Scheme,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_any(scheme: &Scheme) -> bool {
    *scheme == Scheme::Any
}

impl std::fmt::Display for LineVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Others wrote it.
        let shown = |text: &str| -> String {
            let legal = |letter: char| letter.is_ascii_alphanumeric() || "._+-/@!".contains(letter);
            text.chars().take(128).map(|letter| if legal(letter) { letter } else { '?' }).collect()
        };
        match self.component.as_str() {
            "" => formatter.write_str(&shown(&self.text)),
            component => write!(formatter, "{} of {}", shown(&self.text), shown(component)),
        }
    }
}

impl LineVersion {
    /// The version that a rule took out of a text, such as a Git tag.
    pub fn within(text: &str, part: &str, scheme: Scheme) -> Self {
        let before = text.find(part).map_or("", |at| &text[..at]);
        Self::new(before, part.trim().trim_start_matches(['v', 'V']), scheme)
    }

    /// The version that a text holds for a reader: the first run of numbers with points between
    /// them, else the first number.
    pub fn read(text: &str, scheme: Scheme) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_word = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric)
        };
        let begins = |at: usize| {
            let before = at.checked_sub(1);
            let is_v = before.is_some_and(|before| matches!(bytes[before], b'v' | b'V'));
            bytes[at].is_ascii_digit()
                && if is_v { !is_word(at.checked_sub(2)) } else { !is_word(before) }
        };
        let starts = || (0..bytes.len()).filter(|at| begins(*at) && !in_numbers(bytes, *at));
        let pointed =
            |at: &usize| numbers_of(&text[*at..]).is_some_and(|(numbers, _)| numbers.len() > 1);
        let start = starts().find(pointed).or_else(|| starts().next())?;
        numbers_of(&text[start..])?;
        Some(Self::new(&text[..start], &text[start..], scheme))
    }

    fn new(before: &str, text: &str, scheme: Scheme) -> Self {
        let component =
            before.trim_end_matches(['v', 'V']).trim_end_matches(['/', '-', '_', '.', '@']);
        // A `v` is the end of a word, too.
        let component = match before.strip_suffix(['v', 'V']) {
            Some(rest) if rest.ends_with(|letter: char| letter.is_ascii_alphanumeric()) => before,
            _ => component,
        };
        Self { component: component.to_owned(), text: text.to_owned(), scheme }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether both are versions of one thing.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.component == other.component
    }

    /// Which is the higher one; `None` where they are not of one thing, or cannot be told.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if !self.is_beside(other) {
            return None;
        }
        if self.scheme == Scheme::Pep440 || other.scheme == Scheme::Pep440 {
            return Some(self.pep440()?.cmp(&other.pep440()?));
        }
        if let (Some(one), Some(other)) = (self.semver(), other.semver()) {
            return Some(one.cmp_precedence(&other));
        }
        let ((one, rest), (other, others)) = (self.numbers()?, other.numbers()?);
        let longest = one.len().max(other.len());
        let padded = |numbers: &[u128]| -> Vec<u128> {
            (0..longest).map(|at| numbers.get(at).copied().unwrap_or(0)).collect()
        };
        match padded(&one).cmp(&padded(&other)) {
            Ordering::Equal => after(rest, others),
            differs => Some(differs),
        }
    }

    /// Whether it is no prerelease.
    pub fn is_stable(&self) -> bool {
        if self.scheme == Scheme::Pep440 {
            return self.pep440().is_some_and(|version| !version.any_prerelease());
        }
        match self.semver() {
            Some(version) => version.pre.is_empty(),
            None => {
                self.numbers().is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('+'))
            }
        }
    }

    fn semver(&self) -> Option<semver::Version> {
        semver::Version::parse(&self.text).ok()
    }

    fn pep440(&self) -> Option<pep440_rs::Version> {
        self.text.parse().ok()
    }

    fn numbers(&self) -> Option<(Vec<u128>, &str)> {
        numbers_of(&self.text)
    }
}

/// Whether a digit goes on with numbers that began before.
fn in_numbers(bytes: &[u8], at: usize) -> bool {
    at >= 2 && bytes[at - 1] == b'.' && bytes[at - 2].is_ascii_digit()
}

/// The numbers with points between them that a text begins with, and what follows.
fn numbers_of(text: &str) -> Option<(Vec<u128>, &str)> {
    let (mut numbers, mut rest) = (Vec::new(), text);
    loop {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        // A number of more than 38 digits is none.
        numbers.push(rest[..end].parse().ok()?);
        rest = &rest[end..];
        match rest.strip_prefix('.') {
            Some(next) if next.starts_with(|letter: char| letter.is_ascii_digit()) => rest = next,
            _ => return Some((numbers, rest)),
        }
    }
}

/// The order of what follows equal numbers: nothing comes after any prerelease. What is no
/// prerelease has no order.
fn after(one: &str, other: &str) -> Option<Ordering> {
    let prerelease =
        |rest: &str| semver::Prerelease::new(rest.split('+').next()?.trim_start_matches('-')).ok();
    match (one == other, prerelease(one)?, prerelease(other)?) {
        (true, ..) => Some(Ordering::Equal),
        (_, one, other) if one.is_empty() || other.is_empty() => {
            Some(one.is_empty().cmp(&other.is_empty()))
        }
        (_, one, other) => Some(one.cmp(&other)),
    }
}

/// What a branch's name could be taken for among names of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchReading {
    Latest,
    /// `v9.9.9`, `2024.01.15`.
    WholeVersion,
    /// `v1`, `2024.1`, `6.x`: the numbers, with points between them.
    Line(String),
}

/// What a name reads as, beside a name of its own.
pub fn reading(name: &str) -> Option<BranchReading> {
    if name == "latest" {
        return Some(BranchReading::Latest);
    }
    let text = name.strip_prefix(['v', 'V']).unwrap_or(name);
    let (numbers, rest) = numbers_of(text)?;
    // `1.x` and `1.2.x` are lines, too.
    let open = rest.strip_prefix(".x").or_else(|| rest.strip_prefix(".X"));
    let rest = open.unwrap_or(rest);
    if !(rest.is_empty() || rest.starts_with(['-', '+', '_'])) {
        return None;
    }
    let shown = &text[..text.len() - rest.len() - open.map_or(0, |_| 2)];
    Some(if numbers.len() >= 3 && open.is_none() {
        BranchReading::WholeVersion
    } else {
        BranchReading::Line(shown.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LineVersion {
        LineVersion::read(text, Scheme::Any).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn versions_are_read_from_git_tags() {
        for (text, component, version) in [
            ("v1.2.3", "", "1.2.3"),
            ("1.2.3", "", "1.2.3"),
            ("web/v2.1.0", "web", "2.1.0"),
            ("web-2.1.0", "web", "2.1.0"),
            ("pkg@1.0.0-rc.1", "pkg", "1.0.0-rc.1"),
            ("k8s-v1.29.0", "k8s", "1.29.0"),
            ("release-2024-v1.2.3", "release-2024", "1.2.3"),
            ("2024.01.15", "", "2024.01.15"),
            ("20240115", "", "20240115"),
            ("v1", "", "1"),
            ("dev1.2.3", "", "3"),
        ] {
            let found = LineVersion::read(text, Scheme::Any);
            if text == "dev1.2.3" {
                assert_eq!(found, None, "a number inside a word is none");
                continue;
            }
            let found = found.unwrap();
            assert_eq!(
                (found.component.as_str(), found.text.as_str()),
                (component, version),
                "{text}"
            );
        }
        for text in ["nightly", "", "v", "a1b2"] {
            assert_eq!(LineVersion::read(text, Scheme::Any), None, "{text}");
        }
        assert_eq!(LineVersion::within("web/v2.1.0", "2.1.0", Scheme::Any), read("web-v2.1.0"));
        assert_eq!(LineVersion::within("v1.2.3", "v1.2.3", Scheme::Any), read("1.2.3"));
        assert_eq!(LineVersion::within("dev/v1.2.3", "v1.2.3", Scheme::Any).component, "dev");
    }

    #[test]
    fn versions_are_ordered_as_their_scheme_says() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, order) in [
            ("v1.2.4", "v1.3.0", Some(Less)),
            ("v1.10.0", "v1.9.0", Some(Greater)),
            ("1.2.3", "v1.2.3", Some(Equal)),
            ("1.2.3+b1", "1.2.3+b2", Some(Equal)),
            ("1.2.3-rc.1", "1.2.3", Some(Less)),
            ("1.2.3-rc.10", "1.2.3-rc.9", Some(Greater)),
            ("2024.1", "2023.12", Some(Greater)),
            ("2024.01.15", "2024.1.16", Some(Less)),
            ("20240115", "20231231", Some(Greater)),
            ("1.2", "1.2.0", Some(Equal)),
            ("1.2.3.4", "1.2.3.10", Some(Less)),
            ("1.2-beta", "1.2", Some(Less)),
            ("1.2_a", "1.2_b", None),
            ("web/v2.0.0", "api/v1.0.0", None),
            ("web/v2.0.0", "v1.0.0", None),
            ("web/v2.0.0", "web-1.0.0", Some(Greater)),
        ] {
            assert_eq!(read(one).compare(&read(other)), order, "{one} {other}");
            assert_eq!(
                read(other).compare(&read(one)),
                order.map(Ordering::reverse),
                "{other} {one}"
            );
        }
        let python = |text: &str| LineVersion::read(text, Scheme::Pep440).unwrap();
        for (one, other, order) in [
            ("1.2.3.post1", "1.2.3", Some(Greater)),
            ("1.2.3-1", "1.2.3", Some(Greater)),
            ("1.2a1", "1.2", Some(Less)),
            ("1.2.dev1", "1.2a1", Some(Less)),
            ("1.2", "1.2.0", Some(Equal)),
        ] {
            assert_eq!(python(one).compare(&read(other)), order, "{one} {other}");
        }
        for (text, stable) in [
            ("1.2.3", true),
            ("1.2.3-rc.1", false),
            ("2024.1", true),
            ("1.2-beta", false),
            ("1.2.3+b", true),
        ] {
            assert_eq!(read(text).is_stable(), stable, "{text}");
        }
        assert!(python("1.2.post1").is_stable() && !python("1.2rc1").is_stable());
    }

    #[test]
    fn branches_may_read_as_names_of_releases() {
        let line = |text: &str| Some(BranchReading::Line(text.to_owned()));
        for (name, expected) in [
            ("latest", Some(BranchReading::Latest)),
            ("feature-latest", None),
            ("v9.9.9", Some(BranchReading::WholeVersion)),
            ("9.9.9-rc.1", Some(BranchReading::WholeVersion)),
            ("2024.01.15", Some(BranchReading::WholeVersion)),
            ("V1.2.3", Some(BranchReading::WholeVersion)),
            ("v1", line("1")),
            ("1.2", line("1.2")),
            ("2024.1", line("2024.1")),
            ("6.x", line("6")),
            ("v1.2.x", line("1.2")),
            ("1.2-alpine", line("1.2")),
            ("release-1.2.3", None),
            ("1st", None),
            ("v1beta", None),
            ("main", None),
            ("v", None),
        ] {
            assert_eq!(reading(name), expected, "{name}");
        }
    }
}
