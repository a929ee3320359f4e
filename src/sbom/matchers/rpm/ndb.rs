//! rpm's own database `Packages.db`, as SUSE uses it: slots, then blobs. It never follows a slot
//! out of the file.

use super::{MalformedDatabase, slice, word};

const HEADER: usize = 32;
const SLOT: usize = 16;
const PAGE: usize = 4096;

pub(super) fn is_database(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RpmP")
}

/// See <https://github.com/rpm-software-management/rpm/blob/rpm-4.17.0-release/lib/backend/ndb/rpmpkg.c>.
pub(super) fn blobs(
    bytes: &[u8],
    visit: &mut dyn FnMut(&[u8]) -> Result<(), MalformedDatabase>,
) -> Result<(), MalformedDatabase> {
    let cut = || MalformedDatabase("it is cut off".into());
    let field = |at| word(bytes, at, false).ok_or_else(cut);
    if field(4)? != 0 {
        return Err(MalformedDatabase("it is of a version that is not known here".into()));
    }
    let pages = usize::try_from(field(12)?).unwrap_or(usize::MAX);
    let end = pages.checked_mul(PAGE).ok_or_else(cut)?;
    let slots = bytes.get(HEADER..end).ok_or_else(cut)?;
    for slot in slots.chunks_exact(SLOT) {
        if !slot.starts_with(b"Slot") {
            return Err(MalformedDatabase("it has a slot that is none".into()));
        }
        let (Some(package @ 1..), Some(block)) = (word(slot, 4, false), word(slot, 8, false))
        else {
            continue;
        };
        let at = usize::try_from(block).unwrap_or(usize::MAX).checked_mul(SLOT).ok_or_else(cut)?;
        let head = slice(bytes, at, SLOT).ok_or_else(cut)?;
        if !head.starts_with(b"BlbS") || word(head, 4, false) != Some(package) {
            return Err(MalformedDatabase("a slot leads to no package".into()));
        }
        let length = usize::try_from(word(head, 12, false).ok_or_else(cut)?).unwrap_or(usize::MAX);
        visit(slice(bytes, at + SLOT, length).ok_or_else(cut)?)?;
    }
    Ok(())
}
