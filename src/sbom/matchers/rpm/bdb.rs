//! Berkeley DB's hash file `Packages`, as RHEL 8, Amazon Linux 2 and older have it. It reads pages
//! in order and no page twice as often as there are pages.

use super::{MalformedDatabase, slice, word};

const MAGIC: u32 = 0x0006_1561;
const PAGE_HEADER: usize = 26;
/// Page types.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// The kind of value that lies on pages of its own, as headers do.
const OFF_PAGE: u8 = 3;

/// The file, its byte order and page size.
struct BerkeleyPages<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    size: usize,
    /// How many more pages may be followed; chains that meet themselves end here.
    left: usize,
}

fn is_big_endian(bytes: &[u8]) -> Option<bool> {
    [false, true].into_iter().find(|big_endian| word(bytes, 12, *big_endian) == Some(MAGIC))
}

pub(super) fn is_database(bytes: &[u8]) -> bool {
    is_big_endian(bytes).is_some()
}

pub(super) fn blobs(
    bytes: &[u8],
    visit: &mut dyn FnMut(&[u8]) -> Result<(), MalformedDatabase>,
) -> Result<(), MalformedDatabase> {
    let damaged = || MalformedDatabase("its pages make no sense".into());
    let big_endian = is_big_endian(bytes).ok_or_else(damaged)?;
    let size = word(bytes, 20, big_endian)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(damaged)?;
    if !(512..=65536).contains(&size) || !size.is_power_of_two() {
        return Err(damaged());
    }
    let mut pages = BerkeleyPages { bytes, big_endian, size, left: bytes.len() / size };
    for page in bytes.chunks_exact(size) {
        if !matches!(page.get(25), Some(&(HASH | HASH_UNSORTED))) {
            continue;
        }
        let entries = usize::from(pages.half(page, 20).ok_or_else(damaged)?);
        // Keys and values alternate.
        for at in (1..entries).step_by(2) {
            let place = usize::from(pages.half(page, PAGE_HEADER + 2 * at).ok_or_else(damaged)?);
            let item = page.get(place..).ok_or_else(damaged)?;
            if item.first() == Some(&OFF_PAGE) {
                let first = word(item, 4, big_endian).ok_or_else(damaged)?;
                visit(&pages.chain(first).ok_or_else(damaged)?)?;
            }
        }
    }
    Ok(())
}

impl BerkeleyPages<'_> {
    fn half(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes: [u8; 2] = slice(bytes, at, 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// The value on a chain of overflow pages.
    fn chain(&mut self, first: u32) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut number = first;
        while number != 0 {
            self.left = self.left.checked_sub(1)?;
            let page = slice(
                self.bytes,
                usize::try_from(number).ok()?.checked_mul(self.size)?,
                self.size,
            )?;
            if page.get(25) != Some(&OVERFLOW) {
                return None;
            }
            // Here the field for free space holds the length of what is on the page.
            value.extend_from_slice(slice(page, PAGE_HEADER, usize::from(self.half(page, 22)?))?);
            number = word(page, 16, self.big_endian)?;
        }
        Some(value)
    }
}
