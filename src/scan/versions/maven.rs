//! Versions of Maven, in the order of Maven 3's `ComparableVersion`. It refuses nothing but what is
//! not written in printable letters: Maven orders every text.
//!
//! Specification: <https://maven.apache.org/pom.html#version-order-specification>.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct MavenVersion(MavenItem);

#[derive(Debug, Clone)]
enum MavenItem {
    Number(String),
    Word(String),
    List(Vec<Self>),
}

/// In order; the empty one is the release.
const WORDS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
const RELEASE: usize = 5;

impl MavenVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain = |letter: char| letter.is_ascii_graphic() || letter.is_alphanumeric();
        if !text.chars().all(is_plain) {
            return None;
        }
        // Lists within lists; the last one is the one that grows.
        let mut open: Vec<Vec<MavenItem>> = vec![Vec::new()];
        let mut token = String::new();
        for letter in text.to_lowercase().chars() {
            match letter {
                '.' | '-' => {
                    let item = match token.is_empty() {
                        true => MavenItem::Number("0".to_owned()),
                        false => item(&std::mem::take(&mut token), false),
                    };
                    open.last_mut()?.push(item);
                    if letter == '-' {
                        open.push(Vec::new());
                    }
                }
                letter => {
                    let is_digit = letter.is_ascii_digit();
                    let was_digit = token.chars().next_back().map(|it| it.is_ascii_digit());
                    if was_digit.is_some_and(|was| was != is_digit) {
                        open.last_mut()?.push(item(&std::mem::take(&mut token), is_digit));
                        open.push(Vec::new());
                    }
                    token.push(letter);
                }
            }
        }
        if !token.is_empty() {
            open.last_mut()?.push(item(&token, false));
        }
        while open.len() > 1 {
            let list = normal(open.pop()?);
            open.last_mut()?.push(MavenItem::List(list));
        }
        Some(Self(MavenItem::List(normal(open.pop()?))))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.0.compare(Some(&other.0))
    }
}

fn item(token: &str, before_a_digit: bool) -> MavenItem {
    if numbers::is_number(token) {
        return MavenItem::Number(token.to_owned());
    }
    let word = match (token, before_a_digit) {
        ("a", true) => "alpha",
        ("b", true) => "beta",
        ("m", true) => "milestone",
        ("ga" | "final" | "release", _) => "",
        ("cr", _) => "rc",
        (other, _) => other,
    };
    MavenItem::Word(word.to_owned())
}

/// Without what says nothing at its end, and before each list at its end.
fn normal(mut items: Vec<MavenItem>) -> Vec<MavenItem> {
    for at in (0..items.len()).rev() {
        match items.get(at) {
            Some(item) if item.says_nothing() => drop(items.remove(at)),
            Some(MavenItem::List(_)) => {}
            _ => break,
        }
    }
    items
}

impl MavenItem {
    fn says_nothing(&self) -> bool {
        match self {
            Self::Number(digits) => numbers::is_zero(digits),
            Self::Word(word) => word.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }

    /// With `None` for what another version does not have.
    fn compare(&self, other: Option<&Self>) -> Ordering {
        match (self, other) {
            (Self::Number(a), Some(Self::Number(b))) => numbers::compare(a, b),
            (Self::Number(digits), None) if numbers::is_zero(digits) => Ordering::Equal,
            (Self::Number(_), _) => Ordering::Greater,
            (Self::Word(a), Some(Self::Word(b))) => rank(a).cmp(&rank(b)),
            (Self::Word(word), None) => rank(word).cmp(&(RELEASE, "")),
            (Self::Word(_), Some(_)) => Ordering::Less,
            (Self::List(_), Some(Self::Number(_))) => Ordering::Less,
            (Self::List(_), Some(Self::Word(_))) => Ordering::Greater,
            (Self::List(a), Some(Self::List(b))) => lists(a, b),
            (Self::List(a), None) => a.first().map_or(Ordering::Equal, |first| first.compare(None)),
        }
    }
}

fn lists(a: &[MavenItem], b: &[MavenItem]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|at| match (a.get(at), b.get(at)) {
            (Some(left), right) => left.compare(right),
            (None, Some(right)) => right.compare(None).reverse(),
            (None, None) => Ordering::Equal,
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Words that nobody knows come after those that Maven knows, in the order of the alphabet.
fn rank(word: &str) -> (usize, &str) {
    match WORDS.iter().position(|known| *known == word) {
        Some(place) => (place, ""),
        None => (WORDS.len(), word),
    }
}
