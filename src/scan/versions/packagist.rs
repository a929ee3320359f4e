//! Versions of Packagist, in the order of PHP's `version_compare`, which the OSV service uses. It
//! never takes a missing number for zero.
//!
//! Documentation: <https://www.php.net/manual/en/function.version-compare.php>.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct PackagistVersion(Vec<String>);

/// What stands for any number among the words.
const NUMBER: &str = "#";

impl PackagistVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let mut parts: Vec<String> = Vec::new();
        let mut before: Option<bool> = None;
        for letter in text.chars() {
            if letter.is_whitespace() || letter.is_control() {
                return None;
            }
            let kind = (!".-_+".contains(letter)).then(|| letter.is_ascii_digit());
            match (kind, before, parts.last_mut()) {
                (Some(kind), Some(before), Some(last)) if kind == before => last.push(letter),
                (Some(_), ..) => parts.push(letter.to_string()),
                (None, ..) => {}
            }
            before = kind;
        }
        (!parts.is_empty()).then_some(Self(parts))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).map(|(a, b)| {
            match (numbers::is_number(a), numbers::is_number(b)) {
                (true, true) => numbers::compare(a, b),
                (true, false) => rank(NUMBER).cmp(&rank(b)),
                (false, true) => rank(a).cmp(&rank(NUMBER)),
                (false, false) => rank(a).cmp(&rank(b)),
            }
        });
        if let Some(order) = pairs.into_iter().find(|order| order.is_ne()) {
            return order;
        }
        let longer = |rest: &[String]| {
            let orders = rest.iter().map(|part| match numbers::is_number(part) {
                true => Ordering::Greater,
                false => rank(part).cmp(&rank(NUMBER)),
            });
            orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let rest = |of: &Self, from: usize| longer(of.0.get(from..).unwrap_or_default());
        rest(self, other.0.len()).then_with(|| rest(other, self.0.len()).reverse())
    }
}

/// Words are known by how they begin; an unknown one comes before all others.
fn rank(word: &str) -> u8 {
    const WORDS: [(&str, u8); 10] = [
        ("dev", 1),
        ("alpha", 2),
        ("a", 2),
        ("beta", 3),
        ("b", 3),
        ("RC", 4),
        ("rc", 4),
        (NUMBER, 5),
        ("pl", 6),
        ("p", 6),
    ];
    WORDS.iter().find(|(known, _)| word.starts_with(known)).map_or(0, |(_, rank)| *rank)
}
