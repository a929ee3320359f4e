//! The few habits of JavaScript that users of docker/metadata-action meet: trimming, numbers,
//! regular expressions, the order of words. Pure.

use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;
use regress::{Flags, Regex};

/// As `String.prototype.trim`: the byte order mark is a space too.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| {
        letter.is_whitespace() && letter != '\u{85}' || letter == '\u{feff}'
    })
}

/// As `Number(text)`: `""` is 0, `0x10` is 16, and what is not a number is NaN.
pub(super) fn number(text: &str) -> f64 {
    let text = trim(text);
    let radix = |digits: &str, radix| {
        let digits: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(radix)).collect();
        digits.filter(|digits| !digits.is_empty()).map(|digits| {
            digits.iter().fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(*digit))
        })
    };
    let prefix = text.get(..2).map(str::to_ascii_lowercase);
    match prefix.as_deref() {
        _ if text.is_empty() => 0.0,
        Some("0x") => radix(&text[2..], 16).unwrap_or(f64::NAN),
        Some("0o") => radix(&text[2..], 8).unwrap_or(f64::NAN),
        Some("0b") => radix(&text[2..], 2).unwrap_or(f64::NAN),
        _ => match text.strip_prefix(['+', '-']).unwrap_or(text) {
            "Infinity" if text.starts_with('-') => f64::NEG_INFINITY,
            "Infinity" => f64::INFINITY,
            // Rust also reads `inf` and `nan`.
            digits if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
                text.parse().unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        },
    }
}

/// As `text.match(pattern)`: the match and its groups; with flag `g` all matches. `None` where a
/// group took no part.
pub(super) fn matches(
    pattern: &str,
    flags: &str,
    text: &str,
) -> Result<Option<Vec<Option<String>>>, String> {
    let unique = flags
        .chars()
        .enumerate()
        .all(|(at, flag)| "dgimsuvy".contains(flag) && !flags[..at].contains(flag));
    if !unique || (flags.contains('u') && flags.contains('v')) {
        return Err(format!("`{flags}` are not flags of a regular expression"));
    }
    let has = |flag| flags.contains(flag);
    let options = Flags {
        icase: has('i'),
        multiline: has('m'),
        dot_all: has('s'),
        unicode: has('u'),
        unicode_sets: has('v'),
        ..Flags::default()
    };
    let regex = Regex::with_flags(pattern, options).map_err(|error| error.to_string())?;
    if has('g') {
        let mut at = 0;
        // A sticky expression ends its list at the first gap.
        let all: Vec<_> = regex
            .find_iter(text)
            .take_while(|found| {
                let adjacent = !has('y') || found.start() == at;
                at = found.end();
                adjacent
            })
            .map(|found| Some(text[found.range()].to_owned()))
            .collect();
        return Ok(Some(all).filter(|all| !all.is_empty()));
    }
    let found = regex.find(text).filter(|found| !has('y') || found.start() == 0);
    Ok(found.map(|found| {
        found.groups().map(|group| group.map(|range| text[range].to_owned())).collect()
    }))
}

/// As `a.localeCompare(b)` in the root locale.
pub(super) fn order() -> Result<CollatorBorrowed<'static>, String> {
    icu_collator::Collator::try_new(
        icu_collator::CollatorPreferences::default(),
        CollatorOptions::default(),
    )
    .map_err(|error| error.to_string())
}
