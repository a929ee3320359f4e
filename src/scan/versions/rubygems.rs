//! Versions of RubyGems: a version with a letter in it comes before the release. It refuses what
//! does not begin with a number.
//!
//! Documentation: <https://docs.ruby-lang.org/en/master/Gem/Version.html>.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct GemVersion(Vec<String>);

impl GemVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (release, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let words = |text: &str, more: &[u8]| {
            text.split('.').all(|word| {
                !word.is_empty()
                    && word.bytes().all(|it| it.is_ascii_alphanumeric() || more.contains(&it))
            })
        };
        let is_one = release.starts_with(|letter: char| letter.is_ascii_digit())
            && words(release, b"")
            && pre.is_none_or(|pre| words(pre, b"-"));
        is_one.then(|| Self(canonical(segments(&text.replace('-', ".pre.")))))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        const ZERO: &str = "0";
        let get = |of: &Self, at: usize| of.0.get(at).map_or(ZERO.to_owned(), Clone::clone);
        (0..self.0.len().max(other.0.len()))
            .map(|at| {
                let (a, b) = (get(self, at), get(other, at));
                match (numbers::is_number(&a), numbers::is_number(&b)) {
                    (true, true) => numbers::compare(&a, &b),
                    (false, true) => Ordering::Less,
                    (true, false) => Ordering::Greater,
                    (false, false) => a.cmp(&b),
                }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Numbers and words, wherever one ends.
fn segments(text: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    let mut before: Option<bool> = None;
    for letter in text.chars() {
        let kind = letter.is_ascii_alphanumeric().then(|| letter.is_ascii_digit());
        match (kind, before, segments.last_mut()) {
            (Some(kind), Some(before), Some(last)) if kind == before => last.push(letter),
            (Some(_), ..) => segments.push(letter.to_string()),
            (None, ..) => {}
        }
        before = kind;
    }
    segments
}

/// Without zeros at the end, and without those before the first word.
fn canonical(mut segments: Vec<String>) -> Vec<String> {
    let is_zero = |text: &String| numbers::is_number(text) && numbers::is_zero(text);
    let word = segments.iter().position(|segment| !numbers::is_number(segment));
    let mut rest = segments.split_off(word.unwrap_or(segments.len()));
    for part in [&mut segments, &mut rest] {
        while part.last().is_some_and(is_zero) {
            part.pop();
        }
    }
    segments.append(&mut rest);
    segments
}
