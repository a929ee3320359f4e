//! DER → whether it is a private key, and if behind a passphrase. It reads frames, and uses no key.

use super::Guard;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// PKCS #1, SEC 1, DSA as OpenSSL writes it, and PKCS #8 open or encrypted. All bytes must be its.
pub(super) fn guard(bytes: &[u8]) -> Option<Guard> {
    let (SEQUENCE, inside, []) = next(bytes)? else { return None };
    match next(inside)? {
        (INTEGER, version, rest) => (version.len() == 1 && is_open(rest)).then_some(Guard::Open),
        (SEQUENCE, algorithm, rest) => {
            let (OBJECT_ID, _, _) = next(algorithm)? else { return None };
            let (OCTETS, sealed, []) = next(rest)? else { return None };
            (sealed.len() >= 16).then_some(Guard::Passphrase)
        }
        _ => None,
    }
}

/// What follows the version.
fn is_open(rest: &[u8]) -> bool {
    match next(rest) {
        Some((SEQUENCE, algorithm, rest)) => {
            let is_named = matches!(next(algorithm), Some((OBJECT_ID, _, _)));
            is_named && matches!(next(rest), Some((OCTETS, key, _)) if key.len() >= 16)
        }
        Some((OCTETS, key, _)) => key.len() >= 20,
        Some((INTEGER, first, rest)) => first.len() >= 32 && integers(rest) >= 4,
        _ => false,
    }
}

fn integers(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some((INTEGER, _, after)) = next(rest) {
        (count, rest) = (count + 1, after);
    }
    if rest.is_empty() { count } else { 0 }
}

/// Tag, contents, and what follows.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long & 0x7f)?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}
