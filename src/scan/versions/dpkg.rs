//! Versions of Debian and Ubuntu: `epoch:upstream-revision`. It refuses what dpkg refuses.
//!
//! Specification: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct DpkgVersion {
    epoch: String,
    upstream: String,
    revision: String,
}

impl DpkgVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let allowed = |text: &str, more: &[u8]| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let is_one = numbers::is_number(epoch)
            && !upstream.is_empty()
            && allowed(upstream, b".+~-:")
            && allowed(revision, b".+~");
        is_one.then(|| Self {
            epoch: epoch.to_owned(),
            upstream: upstream.to_owned(),
            revision: revision.to_owned(),
        })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        numbers::compare(&self.epoch, &other.epoch)
            .then_with(|| parts(&self.upstream, &other.upstream))
            .then_with(|| parts(&self.revision, &other.revision))
    }
}

/// Words and numbers by turns.
fn parts(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (words, numbers);
        (words, a) = a.split_at(a.find(|it: char| it.is_ascii_digit()).unwrap_or(a.len()));
        (numbers, b) = b.split_at(b.find(|it: char| it.is_ascii_digit()).unwrap_or(b.len()));
        let order = letters(words, numbers);
        if order.is_ne() {
            return order;
        }
        let (left, right);
        (left, a) = numbers::split(a);
        (right, b) = numbers::split(b);
        let order = numbers::compare(left, right);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// `~` before the end, the end before letters, letters before everything else.
fn letters(a: &str, b: &str) -> Ordering {
    let rank = |letter: Option<u8>| match letter {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(letter),
        Some(other) => i32::from(other) + 256,
    };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    (0..a.len().max(b.len()))
        .map(|at| rank(a.get(at).copied()).cmp(&rank(b.get(at).copied())))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
