//! A database of SQLite with the changes that its write-ahead log holds. It takes only what was
//! committed, and believes no frame whose checksum is wrong.
//!
//! See <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::collections::BTreeMap;

use super::{MalformedDatabase, slice, word};

const MAGIC: u32 = 0x377f_0682;
const HEADER: usize = 32;
const FRAME: usize = 24;
/// A database of rpm is smaller.
const MOST: usize = 512 << 20;

/// The pages that a log changes, and how many pages the database has then.
struct Changes<'a> {
    page_size: usize,
    pages: BTreeMap<u32, &'a [u8]>,
    count: u32,
}

/// Whether a log changes anything. What is no log does not.
pub(super) fn has_changes(journal: &[u8]) -> bool {
    changes(journal).is_some_and(|changes| changes.count > 0)
}

/// The database as SQLite would read it.
pub(in crate::sbom::matchers) fn with_journal(
    mut database: Vec<u8>,
    journal: &[u8],
) -> Result<Vec<u8>, MalformedDatabase> {
    let Some(changes) = changes(journal).filter(|changes| changes.count > 0) else {
        return Ok(database);
    };
    let own_size = match database.get(16..18) {
        Some([0, 1]) => Some(65536),
        Some(&[high, low]) => Some(usize::from(high) << 8 | usize::from(low)),
        _ => None,
    };
    let size = usize::try_from(changes.count)
        .ok()
        .and_then(|count| count.checked_mul(changes.page_size))
        .filter(|size| *size <= MOST && own_size.is_none_or(|own| own == changes.page_size));
    let Some(size) = size else {
        return Err(MalformedDatabase("its journal is of another database".into()));
    };
    // A page that neither has is empty.
    database.resize(size, 0);
    for (number, page) in changes.pages {
        let start = usize::try_from(number).unwrap_or_default().saturating_sub(1);
        let start = start.saturating_mul(changes.page_size);
        // Pages that a later change cut off.
        if let Some(place) = database.get_mut(start..start.saturating_add(changes.page_size)) {
            place.copy_from_slice(page);
        }
    }
    Ok(database)
}

fn changes(journal: &[u8]) -> Option<Changes<'_>> {
    let magic = word(journal, 0, true)?;
    if magic & !1 != MAGIC {
        return None;
    }
    // The numbers that are summed have the order of the machine that wrote them.
    let big_endian = magic & 1 == 1;
    let page_size = usize::try_from(word(journal, 8, true)?).ok()?;
    if !(512..=65536).contains(&page_size) || !page_size.is_power_of_two() {
        return None;
    }
    let salts = slice(journal, 16, 8)?;
    let mut sum = summed((0, 0), slice(journal, 0, 24)?, big_endian);
    if Some(sum) != sum_at(journal, 24) {
        return None;
    }
    let mut changes = Changes { page_size, pages: BTreeMap::new(), count: 0 };
    let mut uncommitted = BTreeMap::new();
    for frame in journal.get(HEADER..)?.chunks_exact(FRAME + page_size) {
        let (header, page) = frame.split_at(FRAME);
        sum = summed(summed(sum, header.get(..8)?, big_endian), page, big_endian);
        // The rest is left from before the log was begun anew.
        if slice(header, 8, 8) != Some(salts) || Some(sum) != sum_at(header, 16) {
            break;
        }
        uncommitted.insert(word(header, 0, true)?, page);
        let count = word(header, 4, true)?;
        if count > 0 {
            changes.count = count;
            changes.pages.append(&mut uncommitted);
        }
    }
    Some(changes)
}

fn sum_at(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    Some((word(bytes, at, true)?, word(bytes, at + 4, true)?))
}

fn summed((mut first, mut second): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let number = |at| word(pair, at, big_endian).unwrap_or_default();
        first = first.wrapping_add(number(0)).wrapping_add(second);
        second = second.wrapping_add(number(4)).wrapping_add(first);
    }
    (first, second)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A log of these pages; with a number, a page is the last of a transaction.
    pub(in crate::sbom::matchers::rpm) fn log(pages: &[(u32, &[u8], u32)]) -> Vec<u8> {
        let size = pages.first().map_or(512, |(_, page, _)| page.len());
        let mut log = MAGIC.to_be_bytes().to_vec();
        for number in [3_007_000, u32::try_from(size).unwrap(), 0, 7, 9] {
            log.extend(number.to_be_bytes());
        }
        let mut sum = summed((0, 0), &log, false);
        log.extend(sum.0.to_be_bytes());
        log.extend(sum.1.to_be_bytes());
        for (number, page, count) in pages {
            let mut header = number.to_be_bytes().to_vec();
            header.extend(count.to_be_bytes());
            sum = summed(summed(sum, &header, false), page, false);
            header.extend([0, 0, 0, 7, 0, 0, 0, 9]);
            header.extend(sum.0.to_be_bytes());
            header.extend(sum.1.to_be_bytes());
            log.extend(header);
            log.extend(*page);
        }
        log
    }

    fn database(pages: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = pages.iter().flat_map(|fill| [*fill; 512]).collect();
        bytes[16..18].copy_from_slice(&[2, 0]);
        bytes
    }

    #[test]
    fn committed_pages_replace_those_of_the_database() {
        let (one, two, three) = ([1; 512], [2; 512], [3; 512]);
        let journal = log(&[(2, &one, 0), (3, &two, 3), (2, &three, 0)]);
        let joined = with_journal(database(&[9, 9]), &journal).unwrap();
        assert_eq!(
            (joined.len(), joined[512], joined[1024]),
            (1536, 1, 2),
            "the last is not committed"
        );
        assert!(has_changes(&journal) && !has_changes(&log(&[(2, &one, 0)])));
    }

    #[test]
    fn what_is_damaged_or_of_another_log_does_not_count() {
        let (one, two) = ([1; 512], [2; 512]);
        let whole = log(&[(2, &one, 2), (2, &two, 2)]);
        let read = |journal: &[u8]| with_journal(database(&[9, 9]), journal).unwrap()[512];
        assert_eq!(read(&whole), 2);
        let second = HEADER + FRAME + 512;
        for at in [second, second + 9, second + FRAME] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged), 1, "{at}");
        }
        assert_eq!(read(&whole[..whole.len() - 1]), 1);
        let mut header = whole.clone();
        header[13] ^= 1;
        assert_eq!(read(&header), 9);
        for end in [0, 3, 20, 31, 32] {
            assert!(!has_changes(&whole[..end]), "{end}");
        }
        let other =
            with_journal([database(&[9]), vec![0; 3]].concat(), &log(&[(1, &[0; 1024], 1)]));
        assert_eq!(other, Err(MalformedDatabase("its journal is of another database".into())));
        let huge = with_journal(database(&[9]), &log(&[(1, &one, u32::MAX)]));
        assert!(huge.is_err());
    }
}
