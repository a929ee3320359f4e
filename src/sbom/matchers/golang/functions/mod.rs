//! The packages whose functions are in a Go program, by the table that its runtime finds functions
//! in. It reads the names in that table alone, and a table that it does not know tells nothing.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, SeekFrom};
use std::ops::Range;

use memchr::memmem;

use super::executable::word;
use super::layout::ExecutableLayout;
use crate::sbom::linked::{MOST_BYTES, MOST_PACKAGES};
use crate::sbom::matchers::bounded::read_at;
use crate::sbom::source::{FileContents, NotKept};

/// How a table begins, and which of the words behind its header tells where the names are: Go 1.16,
/// 1.18 and 1.20, by Go's internal/abi/symtab.go and debug/gosym. Before, the names of inlined
/// functions lie between other bytes, and a package of which all is inlined would be missed.
const MAGICS: [(u32, usize); 3] = [(0xffff_fffa, 2), (0xffff_fff0, 3), (0xffff_fff1, 3)];
/// The magic, two zeros, the size of instructions and that of words; up to eight words.
const HEADER: usize = 8;
const MOST_WORDS: usize = 8;
const WIDEST: usize = 8;
/// More than any program has; a hostile one must not take the time.
const MOST_NAMES: u64 = 64 << 20;
/// Of bytes that are looked at in one program.
const MOST_SPENT: u64 = 256 << 20;
const WINDOW: usize = 64 << 10;
const LONGEST_NAME: u64 = 1 << 20;

/// Import paths, among them `main`, or nothing where that cannot be told. Functions of which the
/// compiler left no copy but within others are among them, too.
pub(super) fn linked(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
) -> io::Result<Option<BTreeSet<String>>> {
    let mut spent = 0;
    for marked in &layout.functions {
        if let Some(found) = packages_at(contents, marked.start, &mut spent)? {
            return Ok(Some(found));
        }
    }
    match layout.functions.is_empty() {
        true => search(contents, layout, &mut spent),
        false => Ok(None),
    }
}

/// Looks for the table where nothing is marked. It finds those of machines that write the lowest
/// byte first, as all do whose linker marks nothing.
fn search(
    contents: &mut dyn FileContents,
    layout: &ExecutableLayout,
    spent: &mut u64,
) -> io::Result<Option<BTreeSet<String>>> {
    let mut missing = None;
    for range in layout.by_likelihood() {
        match search_range(contents, range, spent) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) if is_not_kept(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    missing.map_or(Ok(None), Err)
}

/// Window by window.
fn search_range(
    contents: &mut dyn FileContents,
    range: &Range<u64>,
    spent: &mut u64,
) -> io::Result<Option<BTreeSet<String>>> {
    // Of each magic, all but its first byte, and what follows it.
    const PATTERN: &[u8] = b"\xff\xff\xff\0\0";
    let mut window = vec![0; WINDOW + HEADER];
    let mut at = range.start;
    while at < range.end && *spent <= MOST_SPENT {
        let rest = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let Some(bytes) = window.get_mut(..rest.min(WINDOW + HEADER)) else { break };
        if !read_at(contents, at, bytes)? {
            break;
        }
        for found in memmem::find_iter(bytes, PATTERN) {
            let Some(begins) = (at + found as u64).checked_sub(1) else { continue };
            if let Some(found) = packages_at(contents, begins, spent)? {
                return Ok(Some(found));
            }
        }
        // Windows overlap, so that what is looked for is never cut.
        at += WINDOW as u64;
        *spent += WINDOW as u64;
    }
    Ok(None)
}

pub(super) fn is_not_kept(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NotKept>())
}

/// Of the table that begins at an offset of the file, if one does.
fn packages_at(
    contents: &mut dyn FileContents,
    at: u64,
    spent: &mut u64,
) -> io::Result<Option<BTreeSet<String>>> {
    let mut header = [0; HEADER + MOST_WORDS * WIDEST];
    if *spent > MOST_SPENT || !read_at(contents, at, &mut header)? {
        return Ok(None);
    }
    *spent += header.len() as u64;
    let Some(names) = names_of(&header) else { return Ok(None) };
    *spent += names.end - names.start;
    match (at.checked_add(names.start), at.checked_add(names.end)) {
        (Some(start), Some(end)) => packages_in(contents, start..end),
        _ => Ok(None),
    }
}

/// Where the names are, from the beginning of the table on.
fn names_of(header: &[u8; HEADER + MOST_WORDS * WIDEST]) -> Option<Range<u64>> {
    let magic = header.get(..4)?;
    let known = |big_endian: bool| {
        let magic = word(magic, big_endian);
        let mut known = MAGICS.iter();
        known.find(|(known, _)| u64::from(*known) == magic).map(|(_, place)| (*place, big_endian))
    };
    let (place, big_endian) = known(false).or_else(|| known(true))?;
    let size = usize::from(header[7]);
    let is_plausible =
        header.get(4..6)? == [0, 0] && matches!(header[6], 1 | 2 | 4) && matches!(size, 4 | WIDEST);
    if !is_plausible {
        return None;
    }
    let at = |index: usize| {
        let from = HEADER + index * size;
        header.get(from..from + size).map(|bytes| word(bytes, big_endian))
    };
    let (functions, start, end) = (at(0)?, at(place)?, at(place + 1)?);
    let behind_header = (HEADER + (place + 5) * size) as u64;
    (functions > 0 && start >= behind_header && start < end && end - start <= MOST_NAMES)
        .then_some(start..end)
}

/// Of names that end with a zero each.
fn packages_in(
    contents: &mut dyn FileContents,
    names: Range<u64>,
) -> io::Result<Option<BTreeSet<String>>> {
    contents.seek(SeekFrom::Start(names.start))?;
    let mut reader = BufReader::with_capacity(WINDOW, contents.take(names.end - names.start));
    let (mut found, mut bytes) = (BTreeSet::new(), 0);
    let mut name = Vec::new();
    loop {
        name.clear();
        if (&mut reader).take(LONGEST_NAME).read_until(0, &mut name)? == 0 {
            break;
        }
        if name.pop() != Some(0) {
            return Ok(None);
        }
        // No import path has other letters.
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        for path in paths(name) {
            if !found.contains(path) {
                bytes += path.len();
                found.insert(path.to_owned());
            }
        }
        if found.len() > MOST_PACKAGES || bytes > MOST_BYTES {
            return Ok(None);
        }
    }
    // Without it the code is elsewhere, in a library that programs share, or its names are made up.
    if !found.contains("runtime") {
        return Ok(None);
    }
    Ok(Some(found.into_iter().map(|path| unescaped(&path)).collect()))
}

/// The packages that the function of this name can be of: as a rule one. A method that a type has
/// from another package's has that package's path in its name, `a.b/c.T.d.e/f.method`.
fn paths(name: &str) -> impl Iterator<Item = &str> {
    // What the compiler makes for types belongs to no package.
    let is_made = ["go:", "type:", "type.."].iter().any(|made| name.starts_with(made));
    let end = if is_made { 0 } else { name.find(['[', '(']).unwrap_or(name.len()) };
    let name = name.get(..end).unwrap_or_default();
    // In what is left, the first element of a path may be a host, whose dots end nothing.
    let has_host = name.contains('/');
    let mut from = 0;
    name.split('/').filter_map(move |element| {
        let start = from;
        from += element.len() + 1;
        let dot = element.find('.').filter(|_| start > 0 || !has_host)?;
        name.get(..start + dot).filter(|path| !path.is_empty())
    })
}

/// As Go's linker writes paths: <https://pkg.go.dev/cmd/internal/objabi#PathToPrefix>.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..2).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(part.get(2..).unwrap_or_default());
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
