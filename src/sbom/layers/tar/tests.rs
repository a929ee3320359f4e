//! Tar streams as real programs and hostile ones write them.

use std::io::{self, Read as _};

use proptest::prelude::*;

use super::*;

impl Forward for io::Cursor<Vec<u8>> {}

/// A header with its checksum, and the contents.
pub(in crate::sbom::layers) fn entry(
    flag: u8,
    name: &[u8],
    size: &[u8],
    contents: &[u8],
) -> Vec<u8> {
    with_header(flag, name, size, contents, |_| {})
}

fn with_header(
    flag: u8,
    name: &[u8],
    size: &[u8],
    contents: &[u8],
    change: impl Fn(&mut [u8]),
) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[136..147].copy_from_slice(b"00000000007");
    block[156] = flag;
    block[257..263].copy_from_slice(b"ustar\0");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(contents);
    block.resize(block.len().next_multiple_of(BLOCK), 0);
    block
}

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}").into_bytes()
}

fn whole(flag: u8, name: &[u8], contents: &[u8]) -> Vec<u8> {
    entry(flag, name, &octal(contents.len()), contents)
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length =
        (1..).find(|length: &usize| length.to_string().len() + rest.len() == *length).unwrap();
    format!("{length}{rest}")
}

/// Path, kind, size and the first bytes of an entry.
type SeenEntry = (String, TarKind, u64, Vec<u8>);

/// Each entry, or why there are none.
fn read(bytes: Vec<u8>) -> Result<Vec<SeenEntry>, String> {
    let told = |trouble| match trouble {
        TarError::Malformed(reason) => reason,
        TarError::Read(error) => format!("{:?}", error.kind()),
    };
    let mut tar = Tar::new(io::Cursor::new(bytes));
    let mut found = Vec::new();
    while let Some(entry) = tar.next().map_err(told)? {
        let mut contents = Vec::new();
        (&mut tar).take(40).read_to_end(&mut contents).map_err(|error| told(error.into()))?;
        found.push((
            String::from_utf8_lossy(&entry.path).into_owned(),
            entry.kind,
            entry.size,
            contents,
        ));
    }
    Ok(found)
}

#[test]
fn names_and_sizes_of_every_dialect_are_read() {
    let check = |bytes: Vec<u8>, path: &str, contents: &[u8]| {
        let found = read([bytes, whole(b'0', b"last", b"z")].concat()).unwrap();
        assert_eq!((found[0].0.as_str(), found[0].3.as_slice()), (path, contents));
        assert_eq!(found[1].0, "last", "{path}");
    };
    check(whole(b'0', b"a", b"x"), "a", b"x");
    check(whole(0, b"a", b""), "a", b"");
    check(
        with_header(b'0', b"b", &octal(1), b"x", |block| block[345..348].copy_from_slice(b"dir")),
        "dir/b",
        b"x",
    );
    let long = "n".repeat(300);
    check(
        [whole(b'L', b"././@LongLink", format!("{long}\0").as_bytes()), whole(b'0', b"cut", b"x")]
            .concat(),
        &long,
        b"x",
    );
    check(
        [whole(b'x', b"pax", record("path", &long).as_bytes()), whole(b'0', b"cut", b"x")].concat(),
        &long,
        b"x",
    );
    check(
        [whole(b'x', b"pax", record("size", "3").as_bytes()), entry(b'0', b"a", b"0", b"xyz")]
            .concat(),
        "a",
        b"xyz",
    );
    let global = read(
        [whole(b'g', b"pax", record("comment", "x").as_bytes()), whole(b'0', b"a", b"x")].concat(),
    )
    .unwrap();
    assert_eq!(
        (global[0].1, global[1].0.as_str()),
        (TarKind::Other, "a"),
        "runtimes make nothing of it"
    );
    check(entry(b'0', b"a", &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], b"xy"), "a", b"xy");
    check(entry(b'2', b"link", &octal(9), b""), "link", b"");
    assert_eq!(read(whole(0, b"dir/", b"")).unwrap()[0].1, TarKind::Directory);
}

#[test]
fn sparse_files_have_their_holes() {
    let expected = [b"ab".as_slice(), &[0; 8], b"cd"].concat();
    let check = |bytes: Vec<u8>| {
        let found = read([bytes, whole(b'0', b"last", b"z")].concat()).unwrap();
        assert_eq!((found[0].2, &found[0].3), (12, &expected));
        assert_eq!(found[1].3, b"z");
    };
    check(with_header(b'S', b"s", &octal(4), b"abcd", |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        for (index, number) in [0, 2, 10, 2].into_iter().enumerate() {
            block[386 + index * 12..397 + index * 12].copy_from_slice(&octal(number));
        }
        block[483..494].copy_from_slice(&octal(12));
    }));
    let pax = |records: &[(&str, &str)]| {
        whole(
            b'x',
            b"p",
            records.iter().map(|(key, value)| record(key, value)).collect::<String>().as_bytes(),
        )
    };
    check(
        [
            pax(&[
                ("GNU.sparse.size", "12"),
                ("GNU.sparse.numblocks", "2"),
                ("GNU.sparse.map", "0,2,10,2"),
            ]),
            whole(b'0', b"s", b"abcd"),
        ]
        .concat(),
    );
    let pairs = [
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "2"),
        ("GNU.sparse.offset", "10"),
        ("GNU.sparse.numbytes", "2"),
    ];
    check(
        [
            pax(&[[("GNU.sparse.size", "12"), ("GNU.sparse.numblocks", "2")].as_slice(), &pairs]
                .concat()),
            whole(b'0', b"s", b"abcd"),
        ]
        .concat(),
    );
    let mut stored = b"2\n0\n2\n10\n2\n".to_vec();
    stored.resize(BLOCK, 0);
    stored.extend(b"abcd");
    check(
        [
            pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "12"),
            ]),
            whole(b'0', b"s", &stored),
        ]
        .concat(),
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |bytes: Vec<u8>, expected: &str| assert_eq!(read(bytes).unwrap_err(), expected);
    check(
        vec![b'x'; 1024],
        "it is not a tar archive, or it is damaged: the checksum of a header \
        is wrong",
    );
    let mut damaged = whole(b'0', b"a", b"");
    damaged[0] = b'b';
    check(damaged, "it is not a tar archive, or it is damaged: the checksum of a header is wrong");
    check(entry(b'0', b"a", b"00000002000", b"short"), "UnexpectedEof");
    check(
        entry(b'L', b"a", b"00077777777", b""),
        "an entry has a longer name than any file system allows",
    );
    check(entry(b'?', b"a", b"", b""), "it has an entry of the unknown type `?`");
    check(entry(b'0', b"a", &[0xff; 12], b""), "a header has a negative size");
    check(
        entry(b'0', b"a", &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], b""),
        "a header has a number that cannot be read",
    );
    check(
        entry(b'0', b"a", &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], b""),
        "UnexpectedEof",
    );
    check(
        [whole(b'x', b"p", b"99 path=a\n"), whole(b'0', b"a", b"")].concat(),
        "it has PAX records that cannot be read",
    );
    let map = |text: &str| {
        let count = (text.matches(',').count() / 2 + 1).to_string();
        let records = [
            record("GNU.sparse.size", "12"),
            record("GNU.sparse.numblocks", &count),
            record("GNU.sparse.map", text),
        ];
        [whole(b'x', b"p", records.concat().as_bytes()), whole(b'0', b"s", b"abcd")].concat()
    };
    check(map("0,2,1,2"), "a sparse file has pieces that overlap or lie outside of it");
    check(map("0,2,11,2"), "a sparse file has pieces that overlap or lie outside of it");
    check(map("0,2"), "a sparse file has missing pieces");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(changes in proptest::collection::vec((0_usize..2048, any::<u8>()), 0..6), end in 0_usize..3000) {
        let mut bytes = [
            whole(b'x', b"p", [record("path", "a"), record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "12")].concat().as_bytes()),
            whole(b'0', b"s", b"1\n0\n2\nxx"), whole(b'L', b"l", b"name"), whole(b'1', b"h", b""),
        ].concat();
        for (place, value) in changes {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.truncate(end);
        let _found = read(bytes);
    }
}
