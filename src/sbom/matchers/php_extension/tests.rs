//! Extensions made here, of each width and order of bytes, and hostile ones.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// What the texts of an entry are; an empty one is no pointer.
struct Made {
    wide: bool,
    big: bool,
    /// Whether pointers are in the table of what the loader fills in, and not in place.
    is_table: bool,
    texts: [&'static str; 3],
    interface: u64,
}

const REDIS: Made = Made {
    wide: true,
    big: false,
    is_table: true,
    texts: ["redis", "5.3.7", "API20220829,NTS"],
    interface: 20_220_829,
};

impl Made {
    fn put(&self, file: &mut [u8], at: usize, value: u64, size: usize) {
        let all = value.to_be_bytes();
        let mut bytes = all[8 - size..].to_vec();
        if !self.big {
            bytes.reverse();
        }
        file[at..at + size].copy_from_slice(&bytes);
    }

    /// Headers, texts at 0x400, the table at 0x500, the dynamic section at 0x600, data at 0x700,
    /// which is loaded 0x1000 further.
    fn file(&self) -> Vec<u8> {
        let mut file = vec![0; 0x800];
        let word = if self.wide { 8 } else { 4 };
        let class = if self.wide { 2 } else { 1 };
        file[..7].copy_from_slice(&[
            0x7f,
            b'E',
            b'L',
            b'F',
            class,
            if self.big { 2 } else { 1 },
            1,
        ]);
        self.put(&mut file, 16, 3, 2);
        self.put(&mut file, 20, 1, 4);
        let (table, sizes) = if self.wide { (32, 52) } else { (28, 40) };
        let (header, segment) = if self.wide { (64, 56) } else { (52, 32) };
        self.put(&mut file, table, header, word);
        self.put(&mut file, sizes, header, 2);
        self.put(&mut file, sizes + 2, segment, 2);
        self.put(&mut file, sizes + 4, 3, 2);
        let segments =
            [(1, 4, 0, 0, 0x700), (1, 6, 0x700, 0x1700, 0x100), (2, 4, 0x600, 0x600, 0x80)];
        for (number, (kind, flags, offset, address, size)) in segments.into_iter().enumerate() {
            let at = usize::try_from(header).unwrap() + number * usize::try_from(segment).unwrap();
            self.put(&mut file, at, kind, 4);
            let places = if self.wide { [8, 16, 32, 4] } else { [4, 8, 16, 24] };
            self.put(&mut file, at + places[0], offset, word);
            self.put(&mut file, at + places[1], address, word);
            self.put(&mut file, at + places[2], size, word);
            self.put(&mut file, at + places[3], flags, 4);
        }
        self.put_entry(&mut file, word);
        file
    }

    fn put_entry(&self, file: &mut [u8], word: usize) {
        let shape = if self.wide { WIDE } else { NARROW };
        self.put(file, 0x710, shape.size.into(), 2);
        self.put(file, 0x714, self.interface, 4);
        let places = [shape.name, shape.version, shape.build];
        for (number, (place, text)) in places.into_iter().zip(self.texts).enumerate() {
            let address = 0x400 + number * 0x40;
            file[address..address + text.len()].copy_from_slice(text.as_bytes());
            let pointer = if text.is_empty() { 0 } else { address as u64 };
            if self.is_table {
                let at = 0x500 + number * word * 3;
                self.put(file, at, 0x1710 + place, word);
                self.put(file, at + word, 8, word);
                self.put(file, at + word * 2, pointer, word);
            } else {
                self.put(file, 0x710 + usize::try_from(place).unwrap(), pointer, word);
            }
        }
        let tags = [(7, 0x500), (8, word as u64 * 9), (0, 0)];
        for (number, (tag, value)) in tags.into_iter().enumerate() {
            self.put(file, 0x600 + number * word * 2, tag, word);
            self.put(file, 0x600 + number * word * 2 + word, value, word);
        }
    }
}

fn told(path: &str, file: Vec<u8>) -> Vec<String> {
    let facts = read(path, &mut Cursor::new(file)).unwrap();
    assert_eq!(facts.warnings, [""; 0]);
    facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
}

const PATH: &str = "usr/lib/php/20220829/redis.so";

#[test]
fn an_entry_of_each_kind_of_machine_is_read() {
    for (wide, big, is_table) in [
        (true, false, true),
        (true, false, false),
        (true, true, true),
        (false, false, false),
        (false, false, true),
        (false, true, true),
    ] {
        let made = Made { wide, big, is_table, ..REDIS };
        assert_eq!(told(PATH, made.file()), ["pkg:generic/redis@5.3.7"], "{wide} {big} {is_table}");
    }
}

#[test]
fn an_extension_has_the_name_of_its_file_and_says_its_own() {
    let made = Made { texts: ["Zend OPcache", "8.2.36", "API20220829,NTS"], ..REDIS };
    let path = "usr/local/lib/php/extensions/no-debug-non-zts-20220829/opcache.so";
    let facts = read(path, &mut Cursor::new(made.file())).unwrap();
    let package = &facts.packages[0].package;
    assert_eq!((package.name.as_str(), package.version.as_deref()), ("opcache", Some("8.2.36")));
    let notes = ["A PHP extension, built for API20220829,NTS.", "It calls itself Zend OPcache."];
    assert_eq!(package.notes, notes);
}

#[test]
fn what_an_entry_does_not_say_is_not_guessed() {
    let check = |texts, interface, expected: &[&str]| {
        assert_eq!(told(PATH, Made { texts, interface, ..REDIS }.file()), expected, "{texts:?}");
    };
    let right = 20_220_829;
    check(["mysqlnd", "mysqlnd 8.2.36", "API20220829,TS"], right, &["pkg:generic/redis@8.2.36"]);
    check(["a", "", "API20220829,NTS"], right, &["pkg:generic/redis"]);
    check(["a", "unknown", "API20220829,NTS"], right, &["pkg:generic/redis"]);
    check(["", "1.0", "API20220829,NTS"], right, &[]);
    check(["a\u{1}", "1.0", "API20220829,NTS"], right, &[]);
    check(["a", "1.0", ""], right, &[]);
    check(["a", "1.0", "API20210902,NTS"], right, &[]);
    check(["a", "1.0", "API1,NTS"], 1, &[]);
    let mut other = REDIS.file();
    other[0x710] = 167;
    assert_eq!(told(PATH, other), [""; 0], "of another size");
}

#[test]
fn extensions_lie_in_directories_of_php() {
    let check = |path: &str, expected: bool| assert_eq!(is_extension(path), expected, "{path}");
    check(PATH, true);
    check("usr/lib/php83/modules/bcmath.so", true);
    check("opt/remi/php82/root/usr/lib64/php/modules/redis.so", true);
    check("usr/lib/libphp.so", false);
    check("usr/lib/apache2/modules/mod_php.so", false);
    check("usr/lib/php/20220829/redis.ini", false);
}

#[test]
fn what_only_begins_like_entries_takes_no_time() {
    let mut file = REDIS.file();
    let fake = file[0x710..0x720].to_vec();
    let data = 8 << 20;
    // The data is full of beginnings, and the table of what the loader fills in is made of it too.
    file.truncate(0x700);
    file.extend(fake.iter().copied().cycle().take(data));
    for (at, value) in [(64 + 56 + 32, data as u64), (0x608, 0x1700), (0x618, 3 << 20)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let start = std::time::Instant::now();
    assert!(told(PATH, file).is_empty());
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        changes in proptest::collection::vec((0_usize..0x800, any::<u8>()), 0..12),
        wide in any::<bool>(),
        length in 0_usize..0x900,
    ) {
        let mut file = Made { wide, ..REDIS }.file();
        for (at, byte) in changes {
            file[at] = byte;
        }
        file.truncate(length);
        let facts = read(PATH, &mut Cursor::new(file)).unwrap();
        prop_assert!(facts.packages.len() <= MOST_ENTRIES);
    }
}
