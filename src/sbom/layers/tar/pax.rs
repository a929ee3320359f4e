//! PAX records → what they say of the next entry, read as Go's archive/tar reads them. The last of
//! several with one name counts, and an empty one is as none. It never trusts a list of a sparse
//! file's pieces; who uses it does the sums.

use std::collections::BTreeMap;

use super::{TarError, malformed};

/// The records that matter here.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    pub(super) modified: Option<i64>,
    pub(super) uid: Option<u64>,
    pub(super) sparse: Option<Sparse>,
}

/// A file with holes, in one of GNU's forms.
#[derive(Debug)]
pub(super) struct Sparse {
    /// Its own, in whose place the header and `path` have one that nobody would take for it.
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    /// In the forms 0.0 and 0.1; in 1.0 they stand in front of the contents.
    pub(super) pieces: Option<Vec<(u64, u64)>>,
}

type PaxRecords<'a> = BTreeMap<&'a [u8], Vec<u8>>;

const MAP: &[u8] = b"GNU.sparse.map";

impl Pax {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TarError> {
        let records = records(bytes)?;
        let told = |key: &str| records.get(key.as_bytes()).filter(|value| !value.is_empty());
        told("gid").map(|value| number(value)).transpose()?;
        for key in ["atime", "ctime"] {
            told(key).map(|value| seconds(value)).transpose()?;
        }
        Ok(Self {
            path: told("path").cloned(),
            link: told("linkpath").cloned(),
            size: told("size").map(|value| number(value)).transpose()?,
            modified: told("mtime").map(|value| seconds(value)).transpose()?,
            uid: told("uid")
                .map(|value| number(value))
                .transpose()?
                .and_then(|uid| u64::try_from(uid).ok()),
            sparse: Sparse::of(&records)?,
        })
    }
}

impl Sparse {
    /// A version that nobody knows makes no sparse file, but an ordinary one.
    fn of(records: &PaxRecords<'_>) -> Result<Option<Self>, TarError> {
        let told = |key: &str| {
            records.get(format!("GNU.sparse.{key}").as_bytes()).filter(|value| !value.is_empty())
        };
        let in_contents = match (told("major").map(Vec::as_slice), told("minor").map(Vec::as_slice))
        {
            (Some(b"0"), Some(b"0" | b"1")) => false,
            (Some(b"1"), Some(b"0")) => true,
            (None, None) if told("map").is_some() => false,
            _ => return Ok(None),
        };
        let size = told("size").or(told("realsize")).map(|value| number(value)).transpose()?;
        let pieces = if in_contents {
            None
        } else {
            let count = number(told("numblocks").map(Vec::as_slice).unwrap_or_default())?;
            Some(pieces(count, told("map").map(Vec::as_slice).unwrap_or_default())?)
        };
        Ok(Some(Self { path: told("name").cloned(), size, pieces }))
    }
}

/// Whether they are records, whatever they say.
pub(super) fn check(bytes: &[u8]) -> Result<(), TarError> {
    records(bytes).map(drop)
}

/// All records by their name: `length key=value` and a line feed each.
fn records(mut bytes: &[u8]) -> Result<PaxRecords<'_>, TarError> {
    let (mut records, mut pieces) = (PaxRecords::new(), Vec::new());
    while !bytes.is_empty() {
        let Some((key, value, rest)) = record(bytes) else {
            return malformed("it has PAX records that cannot be read");
        };
        bytes = rest;
        match key {
            // The form 0.0 has a pair of records for each piece.
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                if (key == b"GNU.sparse.offset") != pieces.len().is_multiple_of(2)
                    || value.contains(&b',')
                {
                    return malformed("a sparse file has a list of pieces that cannot be read");
                }
                pieces.push(value);
            }
            _ => drop(records.insert(key, value.to_vec())),
        }
    }
    if !pieces.is_empty() {
        records.insert(MAP, pieces.join(&b','));
    }
    Ok(records)
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const SHORTEST: usize = 5;
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..blank)?)
        .ok()?
        .parse()
        .ok()
        .filter(|length| *length >= SHORTEST)?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
    let is_a_name = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    let ends_in_zero = if is_a_name { value } else { key }.contains(&0);
    (!key.is_empty() && !ends_in_zero).then_some((key, value, bytes.get(length..)?))
}

/// A decimal number, perhaps with a sign.
pub(super) fn number(value: &[u8]) -> Result<i64, TarError> {
    let read = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    read.map_or_else(|| malformed("it has a PAX record whose number cannot be read"), Ok)
}

/// Whole seconds of `1700000000.25`, rounded down; of a second, nine digits count.
fn seconds(value: &[u8]) -> Result<i64, TarError> {
    let read = || {
        let text = std::str::from_utf8(value).ok()?;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        let is_number = part.bytes().all(|digit| digit.is_ascii_digit());
        let is_before = whole.starts_with('-') && part.bytes().take(9).any(|digit| digit != b'0');
        is_number.then(|| if is_before { seconds.saturating_sub(1) } else { seconds })
    };
    read().map_or_else(|| malformed("it has a PAX record whose time cannot be read"), Ok)
}

/// As many pairs of offset and length as were told.
fn pieces(count: i64, map: &[u8]) -> Result<Vec<(u64, u64)>, TarError> {
    let numbers: Vec<u64> = if map.is_empty() {
        Vec::new()
    } else {
        map.split(|byte| *byte == b',').map(piece).collect::<Result<_, _>>()?
    };
    if i64::try_from(numbers.len()).ok() != count.checked_mul(2) {
        return malformed("a sparse file has a list of pieces that cannot be read");
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// An offset or a length.
pub(super) fn piece(text: &[u8]) -> Result<u64, TarError> {
    let read = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<i64>().ok())
        .and_then(|value| u64::try_from(value).ok());
    read.map_or_else(|| malformed("a sparse file has a list of pieces that cannot be read"), Ok)
}
