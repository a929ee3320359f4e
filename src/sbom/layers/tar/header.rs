//! One block of a tar stream → what the header in it says, read as Go's archive/tar reads it, and
//! so as container runtimes do. It never takes a number for another one that a runtime would read
//! or refuse.
//!
//! Reference: <https://cs.opensource.google/go/go/+/refs/tags/go1.26.0:src/archive/tar/reader.go>.

use std::ops::Range;

use super::{TarError, malformed};

pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

/// Which program's additions the block has behind the fields that all share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TarDialect {
    V7,
    Posix,
    /// Schily's, with a shorter beginning of the path and two times behind it.
    Star,
    Gnu,
}

/// What a header says by itself.
#[derive(Debug)]
pub(super) struct TarHeader {
    pub(super) flag: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: i64,
    pub(super) modified: i64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    dialect: TarDialect,
}

impl TarHeader {
    /// Every number must be readable, whether it matters here or not: a runtime unpacks nothing
    /// where one is not.
    pub(super) fn parse(block: &Block) -> Result<Self, TarError> {
        if !sums_up(block) {
            return malformed(
                "it is not a tar archive, or it is damaged: the checksum of a header \
                is wrong",
            );
        }
        let dialect = TarDialect::of(block);
        let (mode, uid) = (number(&block[100..108])?, number(&block[108..116])?);
        number(&block[116..124])?; // group
        let (size, modified) = (number(&block[124..136])?, number(&block[136..148])?);
        let prefix = dialect.prefix(block)?;
        let name = until_zero(&block[..100]);
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        Ok(Self {
            flag: block[156],
            path,
            link: until_zero(&block[157..257]).to_vec(),
            size,
            modified,
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            uid: u64::try_from(uid).unwrap_or_default(),
            dialect,
        })
    }

    /// Whether old GNU's list of a sparse file's pieces can be in the block.
    pub(super) fn is_gnu(&self) -> bool {
        self.dialect == TarDialect::Gnu
    }
}

impl TarDialect {
    fn of(block: &Block) -> Self {
        match (&block[257..263], &block[263..265], &block[508..]) {
            (b"ustar\0", _, b"tar\0") => Self::Star,
            (b"ustar\0", ..) => Self::Posix,
            (b"ustar ", b" \0", _) => Self::Gnu,
            _ => Self::V7,
        }
    }

    /// The beginning of the path.
    fn prefix(self, block: &Block) -> Result<&[u8], TarError> {
        const POSIX: Range<usize> = 345..500;
        if self == Self::V7 {
            return Ok(&[]);
        }
        for device in [329..337, 337..345] {
            number(&block[device])?;
        }
        match self {
            Self::V7 => Ok(&[]),
            Self::Posix => Ok(until_zero(&block[POSIX])),
            Self::Star => {
                for time in [476..488, 488..500] {
                    number(&block[time])?;
                }
                Ok(until_zero(&block[345..476]))
            }
            // GNU has times there. Where those are none, an old Go wrote the block, and a path.
            Self::Gnu => {
                let are_times = [345..357, 357..369]
                    .into_iter()
                    .all(|time| block[time.start] == 0 || number(&block[time]).is_ok());
                let prefix = until_zero(&block[POSIX]);
                Ok(if !are_times && prefix.is_ascii() { prefix } else { &[] })
            }
        }
    }
}

pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Whether the block's sum is the one that it names; some programs took bytes for signed.
fn sums_up(block: &Block) -> bool {
    let sum = |of: fn(u8) -> i64| {
        let bytes = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
        bytes.map(of).sum::<i64>()
    };
    let told = octal(&block[148..156]);
    told.is_ok_and(|told| told == sum(i64::from) || told == sum(|byte| byte.cast_signed().into()))
}

/// Octal digits, or base 256 where the first bit is set.
pub(super) fn number(field: &[u8]) -> Result<i64, TarError> {
    let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) else {
        return octal(field);
    };
    let negative = first & 0x40 != 0;
    let start = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
    let value = rest
        .iter()
        .try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(i128::from(*byte)));
    value.and_then(|value| i64::try_from(value).ok()).map_or_else(unreadable, Ok)
}

/// Digits among blanks and zeros, on either side; nothing is 0.
fn octal(field: &[u8]) -> Result<i64, TarError> {
    let is_filling = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_filling(byte)) else { return Ok(0) };
    let end = field.iter().rposition(|byte| !is_filling(byte)).map_or(start, |last| last + 1);
    let digits = until_zero(field.get(start..end).unwrap_or_default());
    digits
        .iter()
        .try_fold(0_i64, |value, digit| match digit {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add((digit - b'0').into()),
            _ => None,
        })
        .map_or_else(unreadable, Ok)
}

fn unreadable<T>() -> Result<T, TarError> {
    malformed("a header has a number that cannot be read")
}
