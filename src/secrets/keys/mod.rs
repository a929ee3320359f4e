//! Private keys in texts → their bytes in one spelling, plain ones and those behind a passphrase
//! told apart. It takes no key that does not decode.

mod armour;
mod der;
mod pgp;

use self::armour::Armour;
use super::proofs::decoded;
use super::rules::{Around, Capture};

/// What a key's bytes show of its protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Open,
    Passphrase,
}

/// The shortest keys of elliptic curves are longer.
const SHORTEST: usize = 32;

pub(super) fn plain(around: &Around<'_>) -> Option<Capture> {
    guarded(around.ahead(), Guard::Open)
}

pub(super) fn encrypted(around: &Around<'_>) -> Option<Capture> {
    guarded(around.ahead(), Guard::Passphrase)
}

/// A key's armour in base64 once more, as Kubernetes writes it.
pub(super) fn wrapped(around: &Around<'_>) -> Option<Capture> {
    let ahead = around.ahead();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let length = ahead.iter().position(|byte| !is_letter(byte)).unwrap_or(ahead.len());
    let letters = ahead.get(..length - length % 4).unwrap_or_default();
    let text = decoded(letters)?;
    Some(Capture { length, ..guarded(&text, Guard::Open)? })
}

/// The member of a JSON file, from its name on.
pub(super) fn of_service_account(around: &Around<'_>) -> Option<Capture> {
    let ahead = around.ahead();
    let at = memchr::memmem::find(ahead.get(..64)?, armour::BEGIN)?;
    let taken = guarded(ahead.get(at..)?, Guard::Open)?;
    Some(Capture { length: at + taken.length, ..taken })
}

fn guarded(text: &[u8], wanted: Guard) -> Option<Capture> {
    let armour = Armour::read(text)?;
    if armour.body.len() < SHORTEST || guard(&armour)? != wanted {
        return None;
    }
    Some(Capture { length: armour.length, value: armour.body })
}

fn guard(armour: &Armour) -> Option<Guard> {
    let body = armour.body.as_slice();
    match armour.label.as_slice() {
        b"PGP PRIVATE KEY BLOCK" => pgp::guard(body),
        b"OPENSSH PRIVATE KEY" => openssh(body),
        b"SSH2 ENCRYPTED PRIVATE KEY" => {
            body.starts_with(&[0x3f, 0x6f, 0xf9, 0xeb]).then_some(Guard::Passphrase)
        }
        _ if armour.is_encrypted => Some(Guard::Passphrase),
        _ => der::guard(body),
    }
}

/// <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key>.
fn openssh(body: &[u8]) -> Option<Guard> {
    let rest = body.strip_prefix(b"openssh-key-v1\0")?;
    let (length, rest) = rest.split_first_chunk()?;
    let cipher = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some(if cipher == b"none" { Guard::Open } else { Guard::Passphrase })
}
