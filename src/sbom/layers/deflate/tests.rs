//! Every stream as flate2 has it: the same bytes, the same end, and both refuse or neither. It
//! never asks for the same words of refusal.

use std::io::Write as _;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

use super::*;

/// Gives as many bytes at a time as it is told, over and over.
struct Pieces<'a>(&'a [u8], std::iter::Cycle<std::slice::Iter<'a, usize>>);

impl Read for Pieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(*self.1.next().unwrap());
        self.0.read(&mut bytes[..most])
    }
}

type SeenOutput = (Vec<u8>, Result<(), io::ErrorKind>);

fn ours(compressed: &[u8], start: usize, pieces: &[usize]) -> SeenOutput {
    let (start, rest) = compressed.split_at(start.min(compressed.len()).min(INPUT));
    let mut gzip = Gzip::new(start, Pieces(rest, pieces.iter().cycle()));
    let (mut buffer, mut seen) = (Buffer::default(), Vec::new());
    loop {
        match gzip.fill(&mut buffer) {
            Ok(0) => {
                assert_eq!(gzip.fill(&mut buffer).unwrap(), 0);
                return (seen, Ok(()));
            }
            Ok(length) => seen.extend(&buffer.filled()[..length]),
            Err(error) => {
                assert!(gzip.fill(&mut buffer).is_err(), "goes on behind an error");
                return (seen, Err(error.kind()));
            }
        }
    }
}

fn theirs(compressed: &[u8]) -> SeenOutput {
    let mut seen = Vec::new();
    let outcome = MultiGzDecoder::new(compressed).read_to_end(&mut seen);
    // Damage is damage.
    let kind = |error: io::Error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            error.kind()
        } else {
            io::ErrorKind::InvalidData
        }
    };
    (seen, outcome.map(drop).map_err(kind))
}

/// Both see the same; of what is damaged, either may have seen a little more before it was told.
fn check(compressed: &[u8]) -> Result<(), io::ErrorKind> {
    check_split(compressed, 0, &[usize::MAX])
}

fn check_split(compressed: &[u8], start: usize, pieces: &[usize]) -> Result<(), io::ErrorKind> {
    let (ours, theirs) = (ours(compressed, start, pieces), theirs(compressed));
    assert_eq!(ours.1, theirs.1, "{} and {} bytes", ours.0.len(), theirs.0.len());
    let both = if ours.1.is_ok() { usize::MAX } else { ours.0.len().min(theirs.0.len()) };
    assert!(ours.0.iter().take(both).eq(theirs.0.iter().take(both)), "other bytes");
    if ours.1 == Err(io::ErrorKind::UnexpectedEof) {
        assert!(ours.0.len() <= theirs.0.len(), "bytes of what is not there");
    }
    ours.1
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bits, lowest first.
#[derive(Default)]
struct TestBits(Vec<bool>);

impl TestBits {
    fn put(mut self, number: u32, count: u32) -> Self {
        self.0.extend((0..count).map(|bit| number >> bit & 1 == 1));
        self
    }

    /// As codes are: their first bit is the highest.
    fn code(mut self, number: u32, count: u32) -> Self {
        self.0.extend((0..count).rev().map(|bit| number >> bit & 1 == 1));
        self
    }

    /// A stored block that is not the last.
    fn stored(mut self, bytes: &[u8]) -> Self {
        self = self.put(0, 3);
        let padded = self.0.len().next_multiple_of(8);
        self.0.resize(padded, false);
        let header = self.put(bytes.len() as u32, 16).put(!bytes.len() as u32 & 0xffff, 16);
        bytes.iter().fold(header, |bits, byte| bits.put(u32::from(*byte), 8))
    }

    /// A member of these bits, which is said to inflate to these bytes.
    fn member(self, plain: &[u8]) -> Vec<u8> {
        let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        member.extend(
            self.0
                .chunks(8)
                .map(|bits| bits.iter().rev().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit))),
        );
        member.extend(crc32fast::hash(plain).to_le_bytes());
        member.extend((plain.len() as u32).to_le_bytes());
        member
    }

    /// The start of a last dynamic block: lengths of codes for literals and lengths, then for
    /// distances, each written with five bits.
    fn dynamic(literals: &[u32], distances: &[u32]) -> Self {
        let mut bits = Self::default()
            .put(0b101, 3)
            .put(literals.len() as u32 - 257, 5)
            .put(distances.len() as u32 - 1, 5)
            .put(15, 4);
        // All lengths from 0 to 15 get a code of four bits.
        for symbol in ORDER {
            bits = bits.put(if symbol < 16 { 4 } else { 0 }, 3);
        }
        literals.iter().chain(distances).fold(bits, |bits, length| bits.code(*length, 4))
    }
}

fn lengths<const N: usize>(of: &[(usize, u32)]) -> [u32; N] {
    let mut all = [0; N];
    for (symbol, length) in of {
        all[*symbol] = *length;
    }
    all
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        proptest::collection::vec(b'a'..b'e', 0..3000),
        (any::<u8>(), 0..5000_usize).prop_map(|(byte, length)| vec![byte; length]),
        (proptest::collection::vec(any::<u8>(), 1..40), 1..400_usize)
            .prop_map(|(bytes, times)| bytes.repeat(times)),
    ];
    (proptest::collection::vec(part, 0..8), 1..30_usize)
        .prop_map(|(parts, times)| parts.concat().repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 48 } else { 2000 }, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_compressed_comes_back(
        text in text(), level in 0..=9_u32, start in 0..400_usize, pieces in proptest::collection::vec(1..70_000_usize, 1..5),
    ) {
        let compressed = gzip(&text, level);
        prop_assert_eq!(check_split(&compressed, start, &pieces), Ok(()));
        prop_assert!(ours(&compressed, start, &pieces).0 == text);
    }

    #[test]
    fn what_is_damaged_is_refused_as_others_do(
        text in text(), level in 0..=9_u32, places in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
        end in any::<prop::sample::Index>(), is_cut in any::<bool>(),
    ) {
        let mut compressed = gzip(&text, level);
        for (place, change) in places {
            *place.get_mut(&mut compressed[..]) ^= change;
        }
        if is_cut {
            compressed.truncate(end.index(compressed.len()));
        }
        let _ = check(&compressed);
    }

    #[test]
    fn any_bits_are_read_as_others_read_them(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..4_u32) {
        let bits = bytes.iter().fold(TestBits::default().put(kind << 1, 3), |bits, byte| bits.put(u32::from(*byte), 8));
        let _ = check(&bits.member(b""));
    }

    #[test]
    fn any_lengths_are_a_code_where_they_are_one_for_others(
        literals in proptest::collection::vec(0..16_u32, 257..=288), distances in proptest::collection::vec(0..16_u32, 1..=32), bytes in any::<[u8; 32]>(),
    ) {
        let bits = bytes.iter().fold(TestBits::dynamic(&literals, &distances), |bits, byte| bits.put(u32::from(*byte), 8));
        let _ = check(&bits.member(b""));
    }

    /// Codes that are complete, and as long as they get.
    #[test]
    fn long_codes_are_read_as_others_read_them(
        lengths in complete(286), distances in complete(30), bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let bits = bytes.iter().fold(TestBits::dynamic(&lengths, &distances), |bits, byte| bits.put(u32::from(*byte), 8));
        let _ = check(&bits.member(b""));
    }
}

/// Lengths of a complete code, the symbols in any order, with one for 256 where there is such a
/// symbol.
fn complete(symbols: usize) -> impl Strategy<Value = Vec<u32>> {
    let splits = proptest::collection::vec(any::<prop::sample::Index>(), symbols / 3..symbols - 1);
    (splits, Just((0..symbols).collect::<Vec<_>>()).prop_shuffle()).prop_map(
        move |(splits, order)| {
            let mut codes = vec![1, 1];
            for split in splits {
                let place = split.index(codes.len());
                if codes[place] < 15 {
                    codes[place] += 1;
                    codes.push(codes[place]);
                }
            }
            let mut lengths = vec![0; symbols];
            for (symbol, length) in order.iter().zip(codes) {
                lengths[*symbol] = length;
            }
            if symbols > 256 && lengths[256] == 0 {
                let other = lengths.iter().position(|length| *length > 0).unwrap();
                lengths.swap(256, other);
            }
            lengths
        },
    )
}

#[test]
fn a_small_stream_is_read_however_it_is_split_and_refused_wherever_it_ends() {
    let text =
        b"a text, a text, and one more text: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            .repeat(3);
    for level in [0, 1, 9] {
        let mut whole = gzip(&text, level);
        whole.extend(gzip(b"more", level));
        for at in 0..whole.len() {
            assert_eq!(check_split(&whole, 0, &[at.max(1), usize::MAX]), Ok(()));
            assert_eq!(check_split(&whole, at, &[1]), Ok(()));
            // Between members as well, but there it is whole.
            let is_whole = at == gzip(&text, level).len();
            assert_eq!(
                check(&whole[..at]),
                if is_whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof) },
                "{at}"
            );
        }
    }
}

#[test]
fn repeats_reach_back_as_far_as_there_is_something_and_no_further() {
    let start: Vec<u8> =
        (0..400_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for before in [
        1,
        2,
        15,
        16,
        17,
        32_767,
        32_768,
        32_769,
        FULL - HISTORY - 1,
        FULL - HISTORY,
        FULL - HISTORY + 1,
        300_000,
    ] {
        for (symbol, extra, least, distance) in [
            (0, 0, 1, 1),
            (1, 0, 2, 2),
            (3, 0, 4, 4),
            (7, 2, 13, 15),
            (7, 2, 13, 16),
            (29, 13, 24_577, 24_577),
            (29, 13, 24_577, 32_768),
        ] {
            let mut bits = TestBits::default();
            for part in start[..before].chunks(65_535) {
                bits = bits.stored(part);
            }
            // 258 bytes, with fixed codes.
            let bits = bits
                .put(0b011, 3)
                .code(0b1100_0101, 8)
                .code(symbol, 5)
                .put(distance as u32 - least, extra)
                .put(0, 7);
            let mut plain = start[..before].to_vec();
            for _ in 0..258 {
                plain.extend(plain.len().checked_sub(distance).map(|from| plain[from]));
            }
            let expected = if distance > before { Err(io::ErrorKind::InvalidData) } else { Ok(()) };
            assert_eq!(check(&bits.member(&plain)), expected, "{before} {distance}");
        }
    }
}

#[test]
fn codes_that_leave_bits_without_a_meaning_are_refused_but_for_a_single_one() {
    let end_only = lengths::<257>(&[(256, 1)]);
    let one = lengths::<257>(&[(97, 1), (256, 1)]);
    let refused = Err(io::ErrorKind::InvalidData);
    for (literals, distances, code, plain, expected) in [
        (&end_only, &[0][..], 0, &b""[..], Ok(())),
        (&end_only, &[0], 1, b"", refused),
        (&one, &[0], 0b01, b"a", Ok(())),
        (&one, &[1], 0b01, b"a", Ok(())),
        (&one, &[1, 1], 0b01, b"a", Ok(())),
        (&one, &[1, 1, 1], 0b01, b"a", refused),
        (&one, &[2], 0b01, b"a", refused),
        (&one, &[2, 1], 0b01, b"a", refused),
        (&one, &[0], 0b01, b"b", refused),
        (&lengths(&[(97, 1), (98, 1)]), &[0], 0, b"", refused),
        (&lengths(&[(97, 2), (256, 1)]), &[0], 0, b"", refused),
        (&lengths(&[(97, 1), (98, 1), (256, 1)]), &[0], 0, b"", refused),
    ] {
        let bits = TestBits::dynamic(literals, distances)
            .code(code, if literals == &end_only { 1 } else { 2 });
        assert_eq!(check(&bits.member(plain)), expected, "{distances:?} {code:b}");
    }
}

#[test]
fn headers_are_read_and_refused_as_others_do() {
    let full = || GzBuilder::new().filename("name").comment("more").extra([7; 300]).mtime(5);
    let written = |builder: GzBuilder| {
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(b"text").unwrap();
        encoder.finish().unwrap()
    };
    let whole = written(full());
    assert_eq!(check(&whole), Ok(()));
    for end in 0..whole.len() {
        assert_eq!(check(&whole[..end]), Err(io::ErrorKind::UnexpectedEof));
    }
    for (length, is_read) in [(65_535, true), (65_536, false)] {
        assert_eq!(check(&written(full().filename(vec![b'n'; length]))).is_ok(), is_read);
    }
    for byte in 0..10 {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[byte] ^= 1 << bit;
            let _ = check(&changed);
        }
    }
    // With the checksum of the header, right and wrong.
    let plain = gzip(b"text", 6);
    let mut summed = plain[..10].to_vec();
    summed[3] = 2;
    let sum = crc32fast::hash(&summed).to_le_bytes();
    assert_eq!(check(&[&summed, &sum[..2], &plain[10..]].concat()), Ok(()));
    assert_eq!(
        check(&[&summed, &sum[2..], &plain[10..]].concat()),
        Err(io::ErrorKind::InvalidData)
    );
}

#[test]
fn behind_a_member_only_another_one_may_come() {
    let member = gzip(b"text", 6);
    for (behind, expected) in [
        (&b""[..], Ok(())),
        (&member, Ok(())),
        (&[0], Err(io::ErrorKind::UnexpectedEof)),
        (&[0; 512], Err(io::ErrorKind::InvalidData)),
        (b"garbage, and more of it", Err(io::ErrorKind::InvalidData)),
    ] {
        assert_eq!(check(&[&member, behind].concat()), expected, "{behind:?}");
    }
    // What a member repeats is its own.
    let reaches_back =
        TestBits::default().put(0b011, 3).code(1, 7).code(3, 5).put(0, 7).member(b"tex");
    assert_eq!(check(&[&member[..], &reaches_back].concat()), Err(io::ErrorKind::InvalidData));
    // In another buffer than its start, too.
    let first = gzip(&vec![b'a'; FULL - HISTORY - 10], 6);
    for (extra, repeated, expected) in
        [(3, b"bbb", Ok(())), (4, b"abb", Err(io::ErrorKind::InvalidData))]
    {
        let repeat = TestBits::default()
            .stored(&[b'b'; 20])
            .put(0b011, 3)
            .code(1, 7)
            .code(8, 5)
            .put(extra, 3)
            .put(0, 7);
        assert_eq!(
            check(&[&first[..], &repeat.member(&[&[b'b'; 20][..], repeated].concat())].concat()),
            expected
        );
    }
}
