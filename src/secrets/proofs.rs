//! Values of tokens → whether they are what they say: checksums, and formats that decode. It asks no
//! service, and a shape alone proves nothing here.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::placeholder::{entropy, is_placeholder};
use super::rules::{Around, NEAR};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What documents print for everybody, by its SHA-256: the keys of the emulators of Azure Storage
/// and Cosmos DB.
const PUBLISHED: [&str; 2] = [
    "0011cc25eb4320717494d2703e8cba85743e71b500283c21c8b88147992f9059",
    "aa6547439583c3a275d4542a0df6c1ad6a863971be9f2a2220f027cc02aef615",
];

/// Of the same letters as the value: sixty-two digits, then capitals, then small ones.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Either alphabet of base64, padded or not.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// `abc_`, thirty letters, and their CRC-32 in six:
/// <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>.
pub(super) fn crc32_in_base62(value: &[u8]) -> bool {
    let Some((_, rest)) = value.split_at_checked(4) else { return false };
    let Some((random, sum)) = rest.split_at_checked(30) else { return false };
    sum == base62(crc32fast::hash(random)) && !is_placeholder(random)
}

pub(super) fn base62(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((number % 62) as usize).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

/// The checksum of BIP 173 over a text in capitals.
pub(super) fn is_bech32(value: &[u8]) -> bool {
    let Some(at) = memchr::memrchr(b'1', value) else { return false };
    let (prefix, data) =
        (value.get(..at).unwrap_or_default(), value.get(at + 1..).unwrap_or_default());
    let lower: Vec<u8> = prefix.to_ascii_lowercase();
    let letters: Option<Vec<u8>> = data.iter().map(|letter| bech32_digit(*letter)).collect();
    let Some(letters) = letters else { return false };
    let high = lower.iter().map(|letter| letter >> 5);
    let low = lower.iter().map(|letter| letter & 31);
    bech32_sum(high.chain([0]).chain(low).chain(letters)) == 1
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

pub(super) fn bech32_digit(letter: u8) -> Option<u8> {
    let at = memchr::memchr(letter.to_ascii_lowercase(), BECH32)?;
    u8::try_from(at).ok()
}

pub(super) fn bech32_sum(digits: impl Iterator<Item = u8>) -> u32 {
    const STEPS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    digits.fold(1, |sum, digit| {
        let top = sum >> 25;
        let moved = ((sum & 0x1ff_ffff) << 5) ^ u32::from(digit);
        STEPS.iter().enumerate().fold(
            moved,
            |sum, (bit, step)| {
                if (top >> bit) & 1 == 1 { sum ^ step } else { sum }
            },
        )
    })
}

/// A macaroon of version 2 in base64: a location, an identifier, caveats, a signature.
pub(super) fn is_macaroon(value: &[u8]) -> bool {
    let Some(bytes) = decoded(value) else { return false };
    let Some((2, rest)) = bytes.split_first().map(|(version, rest)| (*version, rest)) else {
        return false;
    };
    let Some((1, location, rest)) = field(rest) else { return false };
    let Some((2, identifier, rest)) = field(rest) else { return false };
    location.iter().all(u8::is_ascii_graphic) && !identifier.is_empty() && rest.len() >= 32
}

/// Type, length and value, each number in seven bits a byte.
fn field(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (low, rest) = rest.split_first()?;
    let (length, rest) = match low {
        0..=127 => (usize::from(*low), rest),
        _ => {
            let (high, rest) = rest.split_first()?;
            (usize::from(low & 127) | (usize::from(high & 127) << 7), rest)
        }
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*kind, value, rest))
}

pub(super) fn is_json_object(value: &[u8]) -> bool {
    let Some(bytes) = decoded(value) else { return false };
    // A signature may end it in the middle of a letter of base64.
    let end = memchr::memrchr(b'}', &bytes).map_or(0, |at| at + 1);
    let json = bytes.get(..end).unwrap_or_default();
    serde_json::from_slice::<std::collections::BTreeMap<String, IgnoredAny>>(json)
        .is_ok_and(|members| members.len() >= 2)
}

#[derive(Deserialize)]
struct JwtHead {
    alg: String,
}

/// Two objects of JSON, of which the first one names how it is signed.
pub(super) fn is_jwt(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(head), Some(claims)) = (parts.next(), parts.next()) else { return false };
    let head = decoded(head).and_then(|head| serde_json::from_slice::<JwtHead>(&head).ok());
    let claims = decoded(claims).map(|claims| {
        serde_json::from_slice::<std::collections::BTreeMap<String, IgnoredAny>>(&claims).is_ok()
    });
    head.is_some_and(|head| !head.alg.eq_ignore_ascii_case("none")) && claims == Some(true)
}

pub(super) fn is_64_bytes(value: &[u8]) -> bool {
    is_random(value, 64)
}

pub(super) fn is_32_bytes(value: &[u8]) -> bool {
    is_random(value, 32)
}

fn is_random(value: &[u8], length: usize) -> bool {
    decoded(value).is_some_and(|bytes| bytes.len() == length && entropy(&bytes) > 4.2)
        && !is_placeholder(value)
        && !is_published(value)
}

fn is_published(value: &[u8]) -> bool {
    let hash = hex::encode(Sha256::digest(value));
    PUBLISHED.contains(&hash.as_str())
}

pub(super) fn is_shared_signature(around: &Around<'_>, value: &[u8]) -> bool {
    let plain = unescaped(value);
    let near = around.near(600);
    is_random(&plain, 32)
        && memmem::find(near, b"sv=20").is_some()
        && memmem::find(near, b"se=").is_some()
}

/// `%2B` and the like as their bytes.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%');
        let byte = pair.and_then(|pair| hex::decode(pair).ok()?.first().copied());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    plain
}

/// Forty letters that nobody writes by hand: small and large ones, digits, and no path.
pub(super) fn is_aws_secret(value: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| value.iter().filter(|letter| is(letter)).count() >= 3;
    value.len() == 40
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && entropy(value) > 4.2
        && !is_placeholder(value)
}

/// Whether the secret of a key's id stands beside it.
pub(super) fn has_aws_secret(around: &Around<'_>, value: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let mut runs = around.near(300).split(|byte| !is_letter(byte));
    !is_placeholder(value) && entropy(value) >= 3.0 && runs.any(is_aws_secret)
}

/// A bot's number in base64 begins its token.
pub(super) fn begins_with_a_snowflake(value: &[u8]) -> bool {
    let first = value.split(|byte| *byte == b'.').next().unwrap_or_default();
    let is_number =
        |bytes: Vec<u8>| (17..=20).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit);
    decoded(first).is_some_and(is_number) && !is_placeholder(value) && entropy(value) > 4.0
}

pub(super) fn is_service_account(around: &Around<'_>, _: &[u8]) -> bool {
    let near = around.near(NEAR);
    memmem::find(near, b"service_account").is_some()
        && memmem::find(near, b"client_email").is_some()
}

/// Clamped as Curve25519 wants it, in a file of that program.
pub(super) fn is_wireguard(around: &Around<'_>, value: &[u8]) -> bool {
    let is_clamped = |key: Vec<u8>| {
        let (first, last) = (key.first().copied(), key.last().copied());
        first.is_some_and(|it| it & 7 == 0) && last.is_some_and(|it| it & 0xc0 == 0x40)
    };
    is_random(value, 32)
        && decoded(value).is_some_and(is_clamped)
        && memmem::find(around.near(NEAR), b"[Interface]").is_some()
}

/// A name and a password in base64, in a list of logins.
pub(super) fn is_registry_login(around: &Around<'_>, value: &[u8]) -> bool {
    let is_login = |bytes: Vec<u8>| {
        let Some(at) = memchr::memchr(b':', &bytes) else { return false };
        let (name, password) = bytes.split_at(at);
        let password = password.get(1..).unwrap_or_default();
        let is_printed = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        is_printed
            && !name.is_empty()
            && password.len() >= 8
            && entropy(password) > 2.5
            && !is_placeholder(password)
            && name != password
    };
    memmem::find(around.before(NEAR), b"auths").is_some() && decoded(value).is_some_and(is_login)
}
