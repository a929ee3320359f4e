//! `-----BEGIN … KEY-----` in whatever a text does to line ends → the bytes between. It reads as far
//! as letters of base64 go, and no further.

use crate::secrets::proofs::decoded;
use crate::secrets::rules::MOST_SPAN;

pub(super) const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const LONGEST_LABEL: usize = 40;
const LONGEST_HEADER: usize = 200;
const MOST_HEADERS: usize = 10;

pub(super) struct Armour {
    pub(super) label: Vec<u8>,
    /// By its headers.
    pub(super) is_encrypted: bool,
    pub(super) body: Vec<u8>,
    /// In the text.
    pub(super) length: usize,
}

impl Armour {
    /// From the first dash on.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let after = text.strip_prefix(BEGIN)?;
        let is_label =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
        let length = after.iter().take(LONGEST_LABEL).take_while(|byte| is_label(byte)).count();
        let (label, after) = after.split_at_checked(length)?;
        if !(label.ends_with(b"PRIVATE KEY") || label == b"PGP PRIVATE KEY BLOCK") {
            return None;
        }
        let mut rest = after.strip_prefix(DASHES)?;
        let mut is_encrypted = false;
        for _ in 0..MOST_HEADERS {
            rest = without_breaks(rest);
            let Some(header) = header(rest) else { break };
            is_encrypted |= header.starts_with(b"Proc-Type") && header.ends_with(b"ENCRYPTED");
            rest = rest.get(header.len()..).unwrap_or_default();
        }
        let (letters, rest) = letters(rest);
        // The end must be there, but of keys that are longer than what is held at once.
        let is_closed = rest.starts_with(END);
        if !is_closed && text.len() < MOST_SPAN {
            return None;
        }
        let whole = letters.len() - if is_closed { 0 } else { letters.len() % 4 };
        let body = decoded(letters.get(..whole).unwrap_or_default())?;
        let closing = if is_closed { END.len() + label.len() + DASHES.len() } else { 0 };
        let length = (text.len() - rest.len() + closing).min(text.len());
        Some(Self { label: label.to_vec(), is_encrypted, body, length })
    }
}

/// `Name: value`, without its end.
fn header(text: &[u8]) -> Option<&[u8]> {
    let name = text
        .iter()
        .take(30)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
        .count();
    if name < 4 || !text.get(name..)?.starts_with(b": ") {
        return None;
    }
    let end = text.iter().take(LONGEST_HEADER).position(|byte| b"\r\n\\".contains(byte))?;
    text.get(..end)
}

/// The letters of base64, and what follows them and all breaks.
fn letters(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut letters = Vec::with_capacity(text.len().min(2_048));
    let mut rest = text;
    loop {
        rest = without_breaks(rest);
        let run = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
            .count();
        if run == 0 {
            break;
        }
        letters.extend_from_slice(rest.get(..run).unwrap_or_default());
        rest = rest.get(run..).unwrap_or_default();
    }
    // Padding, and OpenPGP's checksum.
    loop {
        let is_last = rest.first() == Some(&b'=');
        let sum = rest.get(1..5).filter(|sum| {
            is_last && sum.iter().all(|it| it.is_ascii_alphanumeric() || b"+/".contains(it))
        });
        let taken = if sum.is_some() { 5 } else { usize::from(is_last) };
        if taken == 0 {
            break;
        }
        rest = without_breaks(rest.get(taken..).unwrap_or_default());
    }
    (letters, rest)
}

/// Line ends as they are, as a text writes them, and where a program joins two texts.
fn without_breaks(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\r' | b'\n', after @ ..] => after,
            [b'\\', b'n' | b'r' | b't' | b'\n' | b'\r', after @ ..] => after,
            [b'\\', b'\\', b'n' | b'r', after @ ..] => after,
            [b'"' | b'\'', after @ ..] => match joined(after) {
                Some(after) => after,
                None => return rest,
            },
            _ => return rest,
        };
    }
}

/// What follows the next quote, if nothing but signs that join stand before it.
fn joined(text: &[u8]) -> Option<&[u8]> {
    let is_joint = |byte: &u8| b" \t\r\n+.,\\&".contains(byte);
    let signs = text.iter().take(200).take_while(|byte| is_joint(byte)).count();
    match text.get(signs..)? {
        [b'"' | b'\'', after @ ..] => Some(after),
        _ => None,
    }
}
