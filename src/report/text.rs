//! Text of anybody → text that a terminal, a runner's log and a JSON reader take for nothing but
//! text. Pure; it never decides what is said.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

pub use crate::text::seen::{inert, is_unseen, visible};

/// A line of a log: what is unseen becomes visible, an address loses its password, and no runner
/// finds a command in it.
pub fn shown(text: &str) -> String {
    inert(&without_passwords(text))
}

/// The lines of a text of ours, in which values of others may stand: what goes on below is indented
/// there, and nothing else begins a line.
pub fn lines(text: &str) -> Vec<String> {
    const GOES_ON: &str = "\n  ";
    let mut lines = text.split(GOES_ON);
    let first = lines.next().unwrap_or_default();
    std::iter::once(shown(first)).chain(lines.map(|line| format!("  {}", shown(line)))).collect()
}

/// A JSON document with the same meaning, in which nothing is unseen and no runner finds a command.
pub fn json(document: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) || b"\n\r\t".contains(&byte);
    if document.bytes().all(is_plain) && !document.contains("##[") {
        return Cow::Borrowed(document);
    }
    let mut seen = String::with_capacity(document.len());
    for letter in document.chars() {
        if is_unseen(letter) && !"\n\r\t".contains(letter) {
            // Outside of texts there are none, and inside of them this is the same letter.
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(seen, "\\u{unit:04x}");
            }
        } else {
            seen.push(letter);
        }
    }
    Cow::Owned(seen.replace("##[", "#\\u0023["))
}

/// A program's line without its colours.
pub fn uncoloured(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        let parameters =
            escape[2..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        rest = match escape[2 + parameters..].strip_prefix('m') {
            Some(after) => after,
            None => {
                plain.push_str(&escape[..2]);
                &escape[2..]
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// Stands for what is not shown; a runner writes the same.
pub const HIDDEN: &str = "***";

/// The text with `***` for the password of each address.
pub fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for secret in secret_ranges(text) {
        shown.push_str(&text[from..secret.start]);
        shown.push_str(HIDDEN);
        from = secret.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// The passwords of the addresses in a text, also as they read when they are decoded.
pub fn passwords(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for secret in
        secret_ranges(text).into_iter().map(|range| &text[range]).filter(|secret| *secret != HIDDEN)
    {
        for form in [secret.to_owned(), decoded(secret)] {
            if !found.contains(&form) {
                found.push(form);
            }
        }
    }
    found
}

/// Schemes after which an `@` or a `:` belongs to a name: `docker-image://busybox:1@sha256:…`.
const OF_NAMES: [&str; 9] = [
    "cwd",
    "docker",
    "docker-container",
    "docker-image",
    "file",
    "oci",
    "oci-layout",
    "target",
    "unix",
];

/// Where the secret part of each address lies: what follows `user:`, or all before the `@` where
/// that is a token.
fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices("://") {
        let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let scheme = &text[at - text[..at].bytes().rev().take_while(is_scheme).count()..at];
        let from = at + 3;
        if scheme.is_empty()
            || OF_NAMES.contains(&scheme.to_lowercase().as_str())
            || found.last().is_some_and(|last| last.end > from)
        {
            continue;
        }
        let rest = &text[from..];
        let until = |ends: &[char]| {
            rest.find(|letter: char| letter.is_whitespace() || ends.contains(&letter))
                .unwrap_or(rest.len())
        };
        let authority = &rest[..until(&['/', '?', '#', '"', '<', '>', '`', '\\'])];
        let user = match authority.rfind('@') {
            Some(end) => &authority[..end],
            // Somebody forgot to encode a password: what follows the colon is no port.
            None => match authority.split_once(':').filter(|_| !authority.starts_with('[')) {
                Some((_, port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
                    match rest[..until(&['"', '<', '>', '`'])].rfind('@') {
                        Some(end) => &rest[..end],
                        None => continue,
                    }
                }
                _ => continue,
            },
        };
        let secret = match user.split_once(':') {
            Some((_, "")) => continue,
            Some((name, _)) => name.len() + 1..user.len(),
            None if scheme.to_lowercase().contains("http") && !user.is_empty() && user != "git" => {
                0..user.len()
            }
            None => continue,
        };
        found.push(from + secret.start..from + secret.end);
    }
    found
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let coded = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(coded.unwrap_or(*byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the runner reads a line:
    /// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>; a
    /// comparison by culture skips what has no width.
    fn obeyed(log: &str) -> bool {
        log.split(['\n', '\r']).any(|line| {
            let line: String = line
                .chars()
                .filter(|letter| !is_unseen(*letter) || letter.is_whitespace())
                .collect();
            line.contains("##[") || line.trim_start().starts_with("::")
        })
    }

    const HOSTILE: [&str; 16] = [
        "::error::x",
        "  ::error::x",
        "\u{a0}\u{3000}::error::x",
        "\u{b}::error::x",
        "\u{85}::error::x",
        "\u{2028}::error::x",
        "\u{200d}::error::x",
        ":\u{200b}:error::x",
        "a\n::set-output name=digest::x",
        "a\r::set-output name=digest::x",
        "a ##[set-output name=a]b",
        "###[add-mask]b",
        "##\u{ad}[add-mask]b",
        "#\u{fe0f}#[stop-commands]x",
        "#\0#[stop-commands]x",
        "a\n##[error]\r\n::stop-commands::x",
    ];

    #[test]
    fn no_runner_obeys_what_is_shown() {
        for text in HOSTILE {
            assert!(obeyed(text), "{text:?} is no attack");
            assert!(!obeyed(&shown(text)), "{:?}", shown(text));
            assert!(!obeyed(&lines(text).join("\n")), "{:?}", lines(text));
            let document = serde_json::json!({ "a": [text] }).to_string();
            let document = json(&document);
            assert!(!obeyed(&document), "{document:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap()["a"][0], text);
        }
        assert_eq!(shown("  ::error::x"), "  \\u{3a}:error::x");
        assert_eq!(shown("#7 ##[add-mask]x"), "#7 ##\\u{5b}add-mask]x");
    }

    #[test]
    fn nothing_unseen_is_left_and_what_is_seen_stays() {
        for (text, expected) in [
            ("naïve 世界 ✅ a::b #[x]\t.", "naïve 世界 ✅ a::b #[x]\t."),
            ("\u{1b}[2J\u{1b}]0;t\u{7}", "\\u{1b}[2J\\u{1b}]0;t\\u{7}"),
            ("a\u{202e}b\u{2066}c\u{200e}\u{61c}", "a\\u{202e}b\\u{2066}c\\u{200e}\\u{61c}"),
            ("\u{9b}31m \u{7f} \u{feff}", "\\u{9b}31m \\u{7f} \\u{feff}"),
            ("a\nb\r", "a\\nb\\r"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(
            json("{\n \"\u{9b}\u{202e}\u{e0041}\"}"),
            "{\n \"\\u009b\\u202e\\udb40\\udc41\"}"
        );
        assert_eq!(
            lines("2 inputs are wrong:\n  a\n  b\nc"),
            ["2 inputs are wrong:", "  a", "  b\\nc"]
        );
    }

    #[test]
    fn colours_are_taken_away_and_what_else_steers_a_terminal_stays_to_be_seen() {
        assert_eq!(
            uncoloured("\u{1b}[1;32mgreen\u{1b}[0m \u{1b}[m \u{1b}[2J \u{1b}["),
            "green  \u{1b}[2J \u{1b}["
        );
        assert_eq!(shown(&uncoloured("##\u{1b}[0m[add-mask]x")), "##\\u{5b}add-mask]x");
    }

    #[test]
    fn the_password_of_an_address_is_found_wherever_it_stands() {
        for (text, expected, secrets) in [
            (
                "lib=https://user:hunter2@git.example/a.git",
                "lib=https://user:***@git.example/a.git",
                vec!["hunter2"],
            ),
            (
                "HTTPS://ghp_abcdefgh@github.com/o/r",
                "HTTPS://***@github.com/o/r",
                vec!["ghp_abcdefgh"],
            ),
            (
                "a git+https://u:p%40ss@h and http://v:w%2@h",
                "a git+https://u:***@h and http://v:***@h",
                vec!["p%40ss", "p@ss", "w%2"],
            ),
            ("https://u:a@b@h/x", "https://u:***@h/x", vec!["a@b"]),
            ("https://u:pa/ss@h/x", "https://u:***@h/x", vec!["pa/ss"]),
            (
                "postgres://u:secret@db:5432/x?y=a@b",
                "postgres://u:***@db:5432/x?y=a@b",
                vec!["secret"],
            ),
            ("(`https://u:secret@h`)", "(`https://u:***@h`)", vec!["secret"]),
            (
                "https://h:8443/a@b https://git@h/x ssh://git@h/x https://u:@h",
                "https://h:8443/a@b https://git@h/x ssh://git@h/x https://u:@h",
                vec![],
            ),
            (
                "docker-image://busybox:1.35@sha256:abc",
                "docker-image://busybox:1.35@sha256:abc",
                vec![],
            ),
            ("http://[::1]:80/x@y", "http://[::1]:80/x@y", vec![]),
            ("://u:p@h", "://u:p@h", vec![]),
            ("https://u:***@h", "https://u:***@h", vec![]),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(passwords(text), secrets, "{text}");
        }
    }
}
