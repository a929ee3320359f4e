//! The first packet of OpenPGP → whether it is a secret key, and if behind a passphrase. It uses no
//! key: <https://www.rfc-editor.org/rfc/rfc9580#name-secret-key-packet-formats>.

use super::Guard;

const SECRET_KEY: u8 = 5;

pub(super) fn guard(bytes: &[u8]) -> Option<Guard> {
    let (kind, body) = packet(bytes)?;
    let (version, rest) = body.split_first()?;
    if kind != SECRET_KEY || !(3..=6).contains(version) {
        return None;
    }
    // The time; version 3 has days besides, version 6 the length of what follows.
    let rest = rest.get(if *version == 3 { 6 } else { 4 }..)?;
    let (algorithm, rest) = rest.split_first()?;
    let rest = if *version == 6 { rest.get(4..)? } else { rest };
    let usage = public_part(*algorithm, rest)?.first()?;
    Some(if *usage == 0 { Guard::Open } else { Guard::Passphrase })
}

/// What follows the public key.
fn public_part(algorithm: u8, rest: &[u8]) -> Option<&[u8]> {
    let numbers = |count: usize, from| (0..count).try_fold(from, |rest, _| number(rest));
    match algorithm {
        1..=3 => numbers(2, rest),
        16 | 20 => numbers(3, rest),
        17 => numbers(4, rest),
        19 | 22 => numbers(1, counted(rest)?),
        18 => counted(numbers(1, counted(rest)?)?),
        25 | 27 => rest.get(32..),
        26 => rest.get(56..),
        28 => rest.get(57..),
        _ => None,
    }
}

/// Without the first number, whose length in bits stands before it.
fn number(bytes: &[u8]) -> Option<&[u8]> {
    let (bits, rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*bits)).div_ceil(8)..)
}

/// Without the first text, whose length stands before it.
fn counted(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    rest.get(usize::from(*length)..)
}

/// The kind of the first packet, and what is there of it.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    if first & 0x40 == 0 {
        let digits = 1_usize << (first & 3);
        return Some(((first >> 2) & 15, rest.get(if digits == 8 { 0 } else { digits }..)?));
    }
    let digits = match rest.first()? {
        0..=191 | 224..=254 => 1,
        192..=223 => 2,
        255 => 5,
    };
    Some((first & 63, rest.get(digits..)?))
}
