//! The one table that matters of an SQLite file `rpmdb.sqlite`. It executes nothing, and reads no
//! page more often than there are pages.
//!
//! See <https://www.sqlite.org/fileformat2.html>.

use super::{MalformedDatabase, slice, word};

const MAGIC: &[u8] = b"SQLite format 3\0";
const FILE_HEADER: usize = 100;
const LEAF: u8 = 0x0d;
const INTERIOR: u8 = 0x05;
const DEEPEST: usize = 20;

type Visit<'v> = &'v mut dyn FnMut(&[u8]) -> Result<(), MalformedDatabase>;

struct SqlitePages<'a> {
    bytes: &'a [u8],
    size: usize,
    /// What of a page can be used; some files reserve its end.
    usable: usize,
    left: usize,
}

pub(super) fn is_database(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The column `blob` of the table `Packages`.
pub(super) fn blobs(bytes: &[u8], visit: Visit<'_>) -> Result<(), MalformedDatabase> {
    let damaged = || MalformedDatabase("its pages make no sense".into());
    let half = |at| Some(usize::from(u16::from_be_bytes(slice(bytes, at, 2)?.try_into().ok()?)));
    let size = match half(16).ok_or_else(damaged)? {
        1 => 65536,
        size => size,
    };
    let reserved = usize::from(*bytes.get(20).ok_or_else(damaged)?);
    if !(512..=65536).contains(&size) || !size.is_power_of_two() || size - reserved < 480 {
        return Err(damaged());
    }
    let mut pages =
        SqlitePages { bytes, size, usable: size - reserved, left: 2 * (bytes.len() / size) + 1 };
    let mut root = None;
    pages.table(1, 0, &mut |record| {
        let columns = columns(record).unwrap_or_default();
        if columns.first() == Some(&b"table".as_slice())
            && columns.get(1) == Some(&b"Packages".as_slice())
            && let Some(number) = columns.get(3)
        {
            root = Some(number.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)));
        }
        Ok(())
    })?;
    let root = root
        .and_then(|root| usize::try_from(root).ok())
        .ok_or_else(|| MalformedDatabase("it has no table `Packages`".into()))?;
    pages.table(root, 0, &mut |record| match columns(record).as_deref() {
        Some([_, blob, ..]) => visit(blob),
        _ => visit(&[]),
    })
}

impl<'a> SqlitePages<'a> {
    /// Visits every record of a table's tree.
    fn table(
        &mut self,
        number: usize,
        depth: usize,
        visit: Visit<'_>,
    ) -> Result<(), MalformedDatabase> {
        let damaged = || MalformedDatabase("its pages make no sense".into());
        let page = self.page(number).filter(|_| depth < DEEPEST).ok_or_else(damaged)?;
        let start = if number == 1 { FILE_HEADER } else { 0 };
        let half =
            |at: usize| Some(usize::from(u16::from_be_bytes(slice(page, at, 2)?.try_into().ok()?)));
        let kind = *page.get(start).ok_or_else(damaged)?;
        let cells = half(start + 3).ok_or_else(damaged)?;
        let pointers = start + if kind == INTERIOR { 12 } else { 8 };
        for cell in 0..cells {
            let place = half(pointers + 2 * cell).ok_or_else(damaged)?;
            match kind {
                LEAF => {
                    let record =
                        self.record(page.get(place..).ok_or_else(damaged)?).ok_or_else(damaged)?;
                    visit(&record)?;
                }
                INTERIOR => {
                    self.table(child(page, place).ok_or_else(damaged)?, depth + 1, visit)?
                }
                _ => return Err(damaged()),
            }
        }
        match kind {
            INTERIOR => self.table(child(page, start + 8).ok_or_else(damaged)?, depth + 1, visit),
            LEAF => Ok(()),
            _ => Err(damaged()),
        }
    }

    /// Pages count from one.
    fn page(&mut self, number: usize) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        slice(self.bytes, number.checked_sub(1)?.checked_mul(self.size)?, self.size)
    }

    /// A leaf's cell: length, row, the start of the record, and where the rest is.
    fn record(&mut self, cell: &[u8]) -> Option<Vec<u8>> {
        let (length, used) = varint(cell)?;
        let (_, row) = varint(cell.get(used..)?)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes.len())?;
        let here = self.local(length);
        let mut record = slice(cell, used + row, here)?.to_vec();
        let mut next = if here < length { child(cell, used + row + here)? } else { 0 };
        while record.len() < length {
            let page = self.page(next)?;
            let part = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(slice(page, 4, part)?);
            next = child(page, 0)?;
        }
        Some(record)
    }

    /// How much of a record is on the leaf itself.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        let least = (self.usable - 12) * 32 / 255 - 23;
        if length <= most {
            return length;
        }
        let fitting = least + (length - least) % (self.usable - 4);
        if fitting <= most { fitting } else { least }
    }
}

fn child(page: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(page, at, true)?).ok()
}

/// Seven bits a byte, the ninth byte whole; and how many bytes it took.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// The values of a record, as bytes.
fn columns(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (length, mut at) = varint(record)?;
    let mut data = usize::try_from(length).ok()?;
    let kinds = record.get(..data)?;
    let mut columns = Vec::new();
    while at < kinds.len() {
        let (kind, used) = varint(kinds.get(at..)?)?;
        at += used;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            // Blobs have even kinds, texts odd ones.
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            10 | 11 => return None,
        };
        columns.push(slice(record, data, size)?);
        data += size;
    }
    Some(columns)
}
