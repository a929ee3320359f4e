//! Semantic versions, read generously, with what NuGet and Pub do otherwise. It refuses what has no
//! number at its beginning.
//!
//! Specifications: <https://semver.org/spec/v2.0.0.html>,
//! <https://learn.microsoft.com/nuget/concepts/package-versioning>,
//! <https://dart.dev/tools/pub/versioning>.

use std::cmp::Ordering;

use super::{VersionOrder, numbers};

#[derive(Debug, Clone)]
pub(super) struct SemverVersion {
    /// As many as there are; what is missing is zero.
    numbers: Vec<String>,
    /// Empty for a release.
    pre: Vec<String>,
    /// Counts for Pub alone.
    build: Vec<String>,
}

impl SemverVersion {
    /// `1.2` and `01.2.3` are versions here, because people write them; `v1.2.3` is, because Git
    /// tags are.
    pub(super) fn parse(text: &str, order: VersionOrder) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').unwrap_or((text, ""));
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let (numbers, rest) = text.split_at(end.unwrap_or(text.len()));
        // Without a hyphen, as npm reads `1.2.3beta`.
        let pre = match rest.strip_prefix('-') {
            Some(pre) => pre,
            None if rest.is_empty() || rest.starts_with(|it: char| it.is_ascii_alphabetic()) => {
                rest
            }
            None => return None,
        };
        let numbers: Vec<String> = numbers.split('.').map(str::to_owned).collect();
        let allowed = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        if !numbers.iter().all(|number| numbers::is_number(number)) || !allowed(pre) {
            return None;
        }
        let identifiers = |text: &str| match text {
            "" => Vec::new(),
            text => text.split('.').map(str::to_owned).collect(),
        };
        let pre =
            if order == VersionOrder::Nuget { pre.to_ascii_lowercase() } else { pre.to_owned() };
        let build = if order == VersionOrder::Pub { identifiers(build) } else { Vec::new() };
        Some(Self { numbers, pre: identifiers(&pre), build })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let number = |of: &Self, at: usize| of.numbers.get(at).map_or(String::new(), Clone::clone);
        let most = self.numbers.len().max(other.numbers.len());
        let numbers = (0..most)
            .map(|at| numbers::compare(&number(self, at), &number(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal);
        numbers
            .then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => identifiers(&self.pre, &other.pre),
            })
            .then_with(|| identifiers(&self.build, &other.build))
    }
}

/// Numbers before words, and the longer list after its own beginning.
fn identifiers(a: &[String], b: &[String]) -> Ordering {
    let pairs =
        a.iter().zip(b).map(|(a, b)| match (numbers::is_number(a), numbers::is_number(b)) {
            (true, true) => numbers::compare(a, b),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.cmp(b),
        });
    pairs.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}
