use super::*;
use proptest::prelude::*;

/// A header with these texts and, for `EPOCH`, this number.
fn header(texts: &[(u32, &[&str])], epoch: Option<u32>) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    let mut entry = |tag: u32, kind: u32, count: usize, bytes: Vec<u8>| {
        for number in [tag, kind, u32::try_from(data.len()).unwrap(), u32::try_from(count).unwrap()]
        {
            index.extend(number.to_be_bytes());
        }
        data.extend(bytes);
    };
    if let Some(epoch) = epoch {
        entry(header::EPOCH, 4, 1, epoch.to_be_bytes().to_vec());
    }
    for (tag, texts) in texts {
        entry(
            *tag,
            if texts.len() == 1 { 6 } else { 8 },
            texts.len(),
            texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect(),
        );
    }
    entry(1116, 4, 2, [0_u32.to_be_bytes(), 1_u32.to_be_bytes()].concat());
    entry(1117, 8, 2, b"redis-server\0x\0".to_vec());
    entry(1118, 8, 2, b"/usr/bin/\0/etc/\0".to_vec());
    let count =
        |bytes: &[u8], size: usize| u32::try_from(bytes.len() / size).unwrap().to_be_bytes();
    [count(&index, 16).to_vec(), count(&data, 1).to_vec(), index, data].concat()
}

fn dbus() -> Vec<u8> {
    let texts: [(u32, &[&str]); 9] = [
        (header::NAME, &["dbus"]),
        (header::VERSION, &["1.12.20"]),
        (header::RELEASE, &["8.el9"]),
        (header::ARCH, &["x86_64"]),
        (header::VENDOR, &["Red Hat, Inc."]),
        (header::LICENCE, &["(GPLv2+ or AFL) and GPLv2+"]),
        (header::SOURCE, &["dbus-1.12.20-8.el9.src.rpm"]),
        (header::PROVIDES, &["dbus", "dbus(x86-64)"]),
        (
            header::REQUIRES,
            &[
                "rpmlib(CompressedFileNames)",
                "(systemd if filesystem)",
                "libc.so.6(GLIBC_2.4)(64bit)",
            ],
        ),
    ];
    header(&texts, Some(1))
}

fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = [b"RpmP".to_vec(), words(&[0, 1, 1, 0, 0, 0, 0])].concat();
    let mut tail = Vec::new();
    for (number, blob) in (1..).zip(blobs) {
        let block = u32::try_from((4096 + tail.len()) / 16).unwrap();
        file.extend([b"Slot".to_vec(), words(&[number, block, 1])].concat());
        tail.extend(
            [b"BlbS".to_vec(), words(&[number, 0, u32::try_from(blob.len()).unwrap()])].concat(),
        );
        tail.extend(blob);
        tail.resize(tail.len().next_multiple_of(16), 0);
    }
    while file.len() < 4096 {
        file.extend([b"Slot".to_vec(), words(&[0, 0, 0])].concat());
    }
    [file, tail].concat()
}

const SQLITE: &[u8] = include_bytes!("../../../../tests/fixtures/sbom/rpmdb.sqlite");

/// Two pages of hash, then each blob on overflow pages.
fn bdb(blobs: &[Vec<u8>], big_endian: bool) -> Vec<u8> {
    const SIZE: usize = 512;
    let word = |number: usize| {
        let bytes = u32::try_from(number).unwrap().to_le_bytes().to_vec();
        if big_endian { bytes.into_iter().rev().collect() } else { bytes }
    };
    let half = |number: usize| {
        if big_endian { word(number)[2..].to_vec() } else { word(number)[..2].to_vec() }
    };
    let put = |page: &mut Vec<u8>, at: usize, bytes: Vec<u8>| {
        page[at..at + bytes.len()].copy_from_slice(&bytes)
    };
    let mut pages = vec![vec![0; SIZE], vec![0; SIZE]];
    put(&mut pages[0], 12, word(0x0006_1561));
    put(&mut pages[0], 20, word(SIZE));
    pages[0][25] = 8;
    pages[1][25] = 13;
    put(&mut pages[1], 20, half(2 * blobs.len()));
    for (number, blob) in blobs.iter().enumerate() {
        let place = SIZE - 16 * (number + 1);
        put(&mut pages[1], 26 + 4 * number + 2, half(place));
        pages[1][place] = 3;
        let first = word(pages.len());
        put(&mut pages[1], place + 4, first);
        let parts: Vec<&[u8]> = blob.chunks(SIZE - 26).collect();
        for (index, part) in parts.iter().enumerate() {
            let mut page = vec![0; SIZE];
            page[25] = 7;
            let next = if index + 1 < parts.len() { pages.len() + 1 } else { 0 };
            put(&mut page, 16, word(next));
            put(&mut page, 22, half(part.len()));
            put(&mut page, 26, part.to_vec());
            pages.push(page);
        }
    }
    pages.concat()
}

fn purls(path: &str, bytes: &[u8]) -> Vec<String> {
    let facts = read(path, bytes).unwrap();
    assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
}

#[test]
fn a_header_becomes_a_package() {
    let key = header(
        &[(header::NAME, &["gpg-pubkey"]), (header::VERSION, &["1"]), (header::RELEASE, &["2"])],
        None,
    );
    let facts = read("usr/lib/sysimage/rpm/Packages.db", &ndb(&[dbus(), key])).unwrap();
    assert_eq!(
        (facts.packages.len(), facts.owns.join(" ")),
        (1, "usr/bin/redis-server".to_owned())
    );
    let found = &facts.packages[0];
    let purl = "pkg:rpm/dbus@1.12.20-8.el9?arch=x86_64&epoch=1&upstream=dbus-1.12.20-8.el9.src.rpm";
    assert_eq!(crate::sbom::purl::of(&found.package, None), purl);
    assert_eq!(found.package.version.as_deref(), Some("1:1.12.20-8.el9"));
    assert_eq!(found.package.supplier.as_ref().unwrap().to_spdx(), "Organization: Red Hat, Inc.");
    assert_eq!(found.provides, ["dbus", "dbus(x86-64)"]);
    assert_eq!(found.requires, [vec![PackageNeed::named("libc.so.6(GLIBC_2.4)(64bit)")]]);
}

#[test]
fn databases_are_known_by_their_place() {
    let check = |path: &str, expected: bool| assert_eq!(is_database(path), expected, "{path}");
    check("var/lib/rpm/Packages", true);
    check("usr/lib/sysimage/rpm/rpmdb.sqlite", true);
    check("opt/root/usr/share/rpm/Packages.db", true);
    check("var/lib/rpmmanifest/container-manifest-2", true);
    check("var/lib/rpm/Index.db", false);
    check("srv/Packages", false);
}

/// Made by SQLite itself, with pages so small that headers and the tree need many.
#[test]
fn an_sqlite_database_is_read_over_all_its_pages() {
    let facts = read("var/lib/rpm/rpmdb.sqlite", SQLITE).unwrap();
    let told: Vec<_> = facts
        .packages
        .iter()
        .map(|found| (found.package.name.clone(), found.provides.len()))
        .collect();
    let expected: Vec<_> = (1..9).map(|number| (format!("pkg{number}"), number * 20 + 1)).collect();
    assert_eq!(told, expected);
    assert_eq!(
        purls("var/lib/rpm/rpmdb.sqlite", SQLITE)[7],
        "pkg:rpm/pkg8@8.0-1.el9?arch=x86_64&upstream=pkg8-8.0-1.el9.src.rpm"
    );
}

#[test]
fn a_berkeley_database_is_read_in_both_byte_orders() {
    for big_endian in [false, true] {
        let found = purls("var/lib/rpm/Packages", &bdb(&[dbus(), dbus()], big_endian));
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn a_manifest_without_database_is_read() {
    let line = "bash\t5.1.8-4.cm2\t1699000000\t1690000000\tMicrosoft Corporation\t(none)\t100\tx86_64\t0\tbash-5.1.8-4.cm2.src.rpm\n";
    assert_eq!(
        purls("var/lib/rpmmanifest/container-manifest-2", line.as_bytes()),
        ["pkg:rpm/bash@5.1.8-4.cm2?arch=x86_64&upstream=bash-5.1.8-4.cm2.src.rpm"]
    );
}

#[test]
fn damage_is_told_or_refused() {
    let path = "var/lib/rpm/Packages.db";
    assert_eq!(
        read(path, b"nonsense"),
        Err(MalformedDatabase("it is none of rpm's databases".into()))
    );
    assert_eq!(read(path, b""), Ok(FileFacts::default()));
    assert_eq!(
        read(path, &ndb(&[vec![0xff; 40]])),
        Err(MalformedDatabase("none of its headers can be read".into()))
    );
    assert_eq!(
        read(path, &ndb(&[dbus()])[..4400]).unwrap_err(),
        MalformedDatabase("it is cut off".into())
    );
    assert_eq!(
        read(path, &ndb(&[dbus(), vec![]])).unwrap().warnings,
        ["entry 2 of `var/lib/rpm/Packages.db` is not listed: its header is damaged"]
    );
    for nothing in [&b"x"[..], b""] {
        assert_eq!(read("var/lib/rpm/rpmdb.sqlite-wal", nothing), Ok(FileFacts::default()));
    }
}

/// SQLite itself wrote the log to the database: `pkg2` was removed and `pkg8` became 9.0.
#[test]
fn a_journal_changes_what_the_database_lists() {
    const JOURNAL: &[u8] = include_bytes!("../../../../tests/fixtures/sbom/rpmdb.sqlite-wal");
    let journal = read("var/lib/rpm/rpmdb.sqlite-wal", JOURNAL).unwrap();
    assert_eq!(journal.journal_of.as_deref(), Some("var/lib/rpm/rpmdb.sqlite"));
    let joined = with_journal(SQLITE.to_vec(), JOURNAL).unwrap();
    let before = purls("var/lib/rpm/rpmdb.sqlite", SQLITE);
    let after = purls("var/lib/rpm/rpmdb.sqlite", &joined);
    let gone: Vec<&String> = before.iter().filter(|purl| !after.contains(purl)).collect();
    let come: Vec<&String> = after.iter().filter(|purl| !before.contains(purl)).collect();
    assert!(
        matches!(&gone[..], [a, b] if a.contains("/pkg2@2.0") && b.contains("/pkg8@8.0")),
        "{gone:?}"
    );
    assert!(matches!(&come[..], [a] if a.contains("/pkg8@9.0")), "{come:?}");
}

/// The file with some bytes changed and its end cut off.
fn spoiled(
    file: &[u8],
    changes: &[(prop::sample::Index, u8)],
    end: prop::sample::Index,
) -> Vec<u8> {
    let mut file = file.to_vec();
    for (place, value) in changes {
        let place = place.index(file.len());
        file[place] = *value;
    }
    file.truncate(end.index(4 * file.len()).max(16));
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_database_makes_it_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40), end in any::<prop::sample::Index>()) {
        for file in [SQLITE, &bdb(&[dbus(), dbus()], true), &ndb(&[dbus(), dbus()])] {
            let _facts = read("var/lib/rpm/Packages", &spoiled(file, &changes, end));
        }
        let mut blob = dbus();
        for (place, value) in &changes {
            let place = place.index(blob.len());
            blob[place] = *value;
        }
        let _facts = read("var/lib/rpm/Packages.db", &ndb(&[blob]));
    }
}

/// Made by Berkeley DB's own `db5.3_load`, and by the layout of rpm's NDB, of the first headers
/// that rpm wrote to SQLite. The first byte is for the fuzz target.
#[test]
fn what_other_programs_wrote_holds_the_same_headers_as_rpms_own() {
    let seeds: [(&str, &[u8]); 3] = [
        ("var/lib/rpm/Packages", include_bytes!("../../../../fuzz/seeds/sbom/bdb")),
        ("var/lib/rpm/Packages", include_bytes!("../../../../fuzz/seeds/sbom/bdb-big-endian")),
        ("usr/lib/sysimage/rpm/Packages.db", include_bytes!("../../../../fuzz/seeds/sbom/ndb")),
    ];
    let expected: Vec<String> =
        purls("var/lib/rpm/rpmdb.sqlite", SQLITE).into_iter().take(3).collect();
    for (path, seed) in seeds {
        let mut found = purls(path, &seed[1..]);
        found.sort();
        assert_eq!(found, expected, "{path}");
    }
}
