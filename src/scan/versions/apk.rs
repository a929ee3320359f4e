//! Versions of Alpine and of those who use apk: `1.2.3a_rc1~0123abc-r4`. It says
//! nothing of what is written otherwise, unless the beginnings of two versions decide.
//!
//! Specification: <https://gitlab.alpinelinux.org/alpine/apk-tools/-/blob/master/doc/apk-package.5.scd>.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct ApkVersion(Vec<ApkPart>);

/// In the order in which they may follow each other. Of two versions that are equal up to here, the
/// one whose next part comes earlier in this list is the newer one: `1.2.1` after `1.2_p1`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ApkPart {
    First(String),
    Number(String),
    Letter(u8),
    Suffix(i8),
    SuffixNumber(String),
    Hash(String),
    Revision(String),
    /// What is not written as apk has it.
    Unknown,
}

/// Below zero what comes before a release.
const SUFFIXES: [(&str, i8); 9] = [
    ("alpha", -4),
    ("beta", -3),
    ("pre", -2),
    ("rc", -1),
    ("cvs", 1),
    ("svn", 2),
    ("git", 3),
    ("hg", 4),
    ("p", 5),
];

impl ApkPart {
    fn place(&self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Number(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Hash(_) => 5,
            Self::Revision(_) => 6,
            Self::Unknown => 7,
        }
    }

    fn is_before_a_release(&self) -> bool {
        matches!(self, Self::Suffix(rank) if *rank < 0)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => return None,
            // As of a decimal fraction: `1.02` is older than `1.1`.
            (Self::Number(a), Self::Number(b)) if a.starts_with('0') || b.starts_with('0') => {
                a.cmp(b)
            }
            (Self::First(a), Self::First(b))
            | (Self::Number(a), Self::Number(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => numbers::compare(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(b),
            (Self::Suffix(a), Self::Suffix(b)) => a.cmp(b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            (a, _) if a.is_before_a_release() => Ordering::Less,
            (_, b) if b.is_before_a_release() => Ordering::Greater,
            (a, b) => b.place().cmp(&a.place()),
        })
    }
}

impl ApkVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, rest) = numbers::split(text);
        if first.is_empty() {
            return None;
        }
        let mut parts = vec![ApkPart::First(first.to_owned())];
        if !read(rest, &mut parts) {
            parts.push(ApkPart::Unknown);
        }
        Some(Self(parts))
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        for (a, b) in self.0.iter().zip(&other.0) {
            let order = a.compare(b)?;
            if order.is_ne() {
                return Some(order);
            }
        }
        let longer = |more: Option<&ApkPart>| match more {
            Some(ApkPart::Unknown) => None,
            Some(part) if part.is_before_a_release() => Some(Ordering::Less),
            Some(_) => Some(Ordering::Greater),
            None => Some(Ordering::Equal),
        };
        match self.0.len().cmp(&other.0.len()) {
            Ordering::Less => longer(other.0.get(self.0.len())).map(Ordering::reverse),
            _ => longer(self.0.get(other.0.len())),
        }
    }
}

/// Reads what follows the first number; says whether all of it is as it should be.
fn read(mut rest: &str, parts: &mut Vec<ApkPart>) -> bool {
    while let Some(next) = rest.strip_prefix('.') {
        let (number, after) = numbers::split(next);
        if number.is_empty() {
            return false;
        }
        parts.push(ApkPart::Number(number.to_owned()));
        rest = after;
    }
    if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
        parts.push(ApkPart::Letter(letter));
        rest = rest.get(1..).unwrap_or_default();
        let (number, after) = numbers::split(rest);
        if !number.is_empty() {
            parts.push(ApkPart::Number(number.to_owned()));
        }
        rest = after;
    }
    while let Some(next) = rest.strip_prefix('_') {
        let end = next.find(|it: char| !it.is_ascii_lowercase()).unwrap_or(next.len());
        let (word, after) = next.split_at(end);
        let Some((_, rank)) = SUFFIXES.iter().find(|(known, _)| *known == word) else {
            return false;
        };
        parts.push(ApkPart::Suffix(*rank));
        let (number, after) = numbers::split(after);
        if !number.is_empty() {
            parts.push(ApkPart::SuffixNumber(number.to_owned()));
        }
        rest = after;
    }
    if let Some(next) = rest.strip_prefix('~') {
        let end = next.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(next.len());
        let (hash, after) = next.split_at(end);
        parts.push(ApkPart::Hash(hash.to_owned()));
        rest = after;
    }
    if let Some(revision) = rest.strip_prefix("-r").filter(|it| numbers::is_number(it)) {
        parts.push(ApkPart::Revision(revision.to_owned()));
        rest = "";
    }
    rest.is_empty()
}
