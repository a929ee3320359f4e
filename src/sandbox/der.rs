//! Makes and reads the few DER shapes the sandbox's certificates and timestamps need; it never
//! guesses at BER or indefinite lengths.

use jiff::Timestamp;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;

#[derive(Debug, thiserror::Error)]
#[error("the bytes are not the DER structure expected here")]
pub(super) struct MalformedDer;

/// One element with its header (`whole`) and without (`content`).
#[derive(Clone, Copy)]
pub(super) struct DerElement<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> DerElement<'a> {
    pub(super) fn reader(&self) -> DerReader<'a> {
        DerReader::new(self.content)
    }

    /// The bytes of a BIT STRING without unused bits.
    pub(super) fn bits(&self) -> Result<&'a [u8], MalformedDer> {
        match (self.tag, self.content.split_first()) {
            (BIT_STRING, Some((0, bits))) => Ok(bits),
            _ => Err(MalformedDer),
        }
    }

    /// A UTCTime or GeneralizedTime to the second.
    pub(super) fn time(&self) -> Result<Timestamp, MalformedDer> {
        let text = std::str::from_utf8(self.content).map_err(|_| MalformedDer)?;
        let full = match self.tag {
            UTC_TIME => format!("20{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return Err(MalformedDer),
        };
        jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &full)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
            .map_err(|_| MalformedDer)
    }
}

#[derive(Clone)]
pub(super) struct DerReader<'a> {
    rest: &'a [u8],
}

impl<'a> DerReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn any(&mut self) -> Result<DerElement<'a>, MalformedDer> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(MalformedDer)?;
        let (&first, after_first) = after_tag.split_first().ok_or(MalformedDer)?;
        let (length, body) = match first {
            0..=0x7f => (usize::from(first), after_first),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let (octets, body) = after_first.split_at_checked(count).ok_or(MalformedDer)?;
                let length =
                    octets.iter().fold(0usize, |sum, octet| (sum << 8) | usize::from(*octet));
                (length, body)
            }
            _ => return Err(MalformedDer),
        };
        let (content, rest) = body.split_at_checked(length).ok_or(MalformedDer)?;
        let whole = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(DerElement { tag, content, whole })
    }

    pub(super) fn expect(&mut self, tag: u8) -> Result<DerElement<'a>, MalformedDer> {
        let element = self.any()?;
        if element.tag == tag { Ok(element) } else { Err(MalformedDer) }
    }

    /// The next element if it has this tag; otherwise nothing is consumed.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<DerElement<'a>>, MalformedDer> {
        match self.rest.first() {
            Some(next) if *next == tag => self.any().map(Some),
            _ => Ok(None),
        }
    }
}

/// The only element of `bytes`, which must be a SEQUENCE.
pub(super) fn only_sequence(bytes: &[u8]) -> Result<DerReader<'_>, MalformedDer> {
    let mut reader = DerReader::new(bytes);
    let sequence = reader.expect(SEQUENCE)?;
    if reader.is_empty() { Ok(sequence.reader()) } else { Err(MalformedDer) }
}

pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let significant = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
        out.push(0x80 | (octets.len() - significant) as u8);
        out.extend_from_slice(&octets[significant..]);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A SET OF: DER orders the encodings, and CMS signatures depend on it.
pub(super) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    element(SET, &borrowed)
}

/// `[number]`, constructed: explicit tags and implicit tags of constructed types.
pub(super) fn context(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(0xa0 | number, parts)
}

/// `[number]`, primitive: implicit tags of primitive types.
pub(super) fn implicit(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, &[content])
}

/// A non-negative INTEGER from big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let significant = &bytes[start..];
    match significant.first() {
        Some(first) if *first < 0x80 => element(INTEGER, &[significant]),
        _ => element(INTEGER, &[&[0], significant]),
    }
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, &[content])
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], content])
}

pub(super) fn utf8(text: &str) -> Vec<u8> {
    element(UTF8_STRING, &[text.as_bytes()])
}

pub(super) fn truth() -> Vec<u8> {
    element(BOOLEAN, &[&[0xff]])
}

/// RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime after.
pub(super) fn validity_time(time: Timestamp) -> Vec<u8> {
    let year = time.to_zoned(jiff::tz::TimeZone::UTC).year();
    if year < 2050 {
        element(UTC_TIME, &[time.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
    } else {
        generalized_time(time)
    }
}

pub(super) fn utc_time(time: Timestamp) -> Vec<u8> {
    element(UTC_TIME, &[time.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
}

pub(super) fn generalized_time(time: Timestamp) -> Vec<u8> {
    element(GENERALIZED_TIME, &[time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
}

/// An OBJECT IDENTIFIER from its dotted form, which must be one of this program's constants.
pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').filter_map(|arc| arc.parse::<u64>().ok());
    let first = arcs.next().unwrap_or(0) * 40 + arcs.next().unwrap_or(0);
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        for group in (0..groups).rev() {
            let more = if group == 0 { 0 } else { 0x80 };
            content.push(((arc >> (7 * group)) & 0x7f) as u8 | more);
        }
    }
    element(OBJECT_IDENTIFIER, &[&content])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_object_identifiers_as_x690_says() {
        assert_eq!(oid("1.2.840.113549"), [0x06, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(oid("2.5.29.17"), [0x06, 3, 0x55, 0x1d, 0x11]);
    }

    #[test]
    fn writes_integers_without_surplus_zeros_and_never_negative() {
        assert_eq!(unsigned(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[]), [2, 1, 0]);
    }

    #[test]
    fn reads_back_long_lengths() {
        let long = octets(&[7; 300]);
        let mut reader = DerReader::new(&long);
        assert_eq!(reader.expect(OCTET_STRING).unwrap().content, &[7; 300]);
        assert!(reader.is_empty());
    }

    #[test]
    fn refuses_truncated_and_indefinite_input() {
        assert!(DerReader::new(&[0x30, 5, 1]).any().is_err());
        assert!(DerReader::new(&[0x30, 0x80, 0, 0]).any().is_err());
        assert!(DerReader::new(&[]).any().is_err());
    }

    #[test]
    fn reads_the_times_it_writes() {
        let time = Timestamp::from_second(1_790_000_000).unwrap();
        for encoded in [utc_time(time), generalized_time(time)] {
            assert_eq!(DerReader::new(&encoded).any().unwrap().time().unwrap(), time);
        }
    }
}
