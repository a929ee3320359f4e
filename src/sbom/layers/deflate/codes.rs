//! Huffman codes of a block as tables, one look into which says what comes next and how many bits
//! it takes. It never accepts a code that gives bits two meanings, or leaves some without one where
//! zlib does not.

/// What a look into a table finds:
///
/// | bits   | of a symbol                          | of a longer code           |
/// |--------|--------------------------------------|----------------------------|
/// | 0..6   | bits it takes, its extra bits too    |                            |
/// | 8..12  | bits in front of its extra bits      | bits that choose           |
/// | 12..16 | [`SPECIAL`] and which                | [`SPECIAL`] and [`LONGER`] |
/// | 16..31 | literal, or least length or distance | where to look next         |
/// | 31     | [`LITERAL`]                          |                            |
pub(super) type CodeEntry = u32;
pub(super) const LITERAL: CodeEntry = 1 << 31;
pub(super) const SPECIAL: CodeEntry = 1 << 15;
pub(super) const LONGER: CodeEntry = 1 << 14;
/// The end of the block.
pub(super) const END: CodeEntry = 1 << 13;
/// Bits without a meaning.
pub(super) const UNUSED: CodeEntry = SPECIAL | 1;

/// Bits of the first look. With fewer, more codes need a second one; with more, the tables leave
/// the first cache.
pub(super) const LITERAL_BITS: u32 = 11;
pub(super) const DISTANCE_BITS: u32 = 9;
pub(super) const LENGTH_BITS: u32 = 7;
const LITERALS: usize = 1 << LITERAL_BITS;
const DISTANCES: usize = 1 << DISTANCE_BITS;
const LONGEST: usize = 15;
/// Two codes at least begin with the same bits where they are longer than the first look, and all
/// of them may need as many bits as the longest.
const LONGER_LITERALS: usize = (288 / 2) << (LONGEST as u32 - LITERAL_BITS);
const LONGER_DISTANCES: usize = (32 / 2) << (LONGEST as u32 - DISTANCE_BITS);

pub(super) struct Tables {
    literals: [CodeEntry; LITERALS + LONGER_LITERALS],
    distances: [CodeEntry; DISTANCES + LONGER_DISTANCES],
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            literals: [UNUSED; LITERALS + LONGER_LITERALS],
            distances: [UNUSED; DISTANCES + LONGER_DISTANCES],
        }
    }

    #[inline(always)]
    pub(super) fn literal(&self, bits: u64) -> CodeEntry {
        self.literals[bits as usize & (LITERALS - 1)]
    }

    #[inline(always)]
    pub(super) fn distance(&self, bits: u64) -> CodeEntry {
        self.distances[bits as usize & (DISTANCES - 1)]
    }

    #[inline(always)]
    pub(super) fn longer_literal(&self, entry: CodeEntry, bits: u64) -> CodeEntry {
        self.literals.get(place(entry, bits >> LITERAL_BITS)).copied().unwrap_or(UNUSED)
    }

    #[inline(always)]
    pub(super) fn longer_distance(&self, entry: CodeEntry, bits: u64) -> CodeEntry {
        self.distances.get(place(entry, bits >> DISTANCE_BITS)).copied().unwrap_or(UNUSED)
    }

    /// From the length of each symbol's code; whether they are a code.
    pub(super) fn set_literals(&mut self, lengths: &[u8]) -> bool {
        set(&mut self.literals, LITERAL_BITS, &OF_LITERALS, lengths, true)
    }

    pub(super) fn set_distances(&mut self, lengths: &[u8]) -> bool {
        set(&mut self.distances, DISTANCE_BITS, &OF_DISTANCES, lengths, true)
    }
}

/// Of the code that lengths of codes are in, none of which is longer than the look.
pub(super) fn of_lengths(lengths: &[u8; 19]) -> Option<[CodeEntry; 1 << LENGTH_BITS]> {
    if lengths.iter().all(|length| *length == 0) {
        // As zlib has it: each bit is a length of none. No block comes of it, but the end may come
        // first.
        return Some([1; 1 << LENGTH_BITS]);
    }
    let mut table = [UNUSED; 1 << LENGTH_BITS];
    set(&mut table, LENGTH_BITS, &OF_LENGTHS, lengths, false).then_some(table)
}

fn place(entry: CodeEntry, bits: u64) -> usize {
    (entry >> 16) as usize + (bits as usize & !(usize::MAX << (entry >> 8 & 15)))
}

/// What symbols mean, without the bits of their codes.
static OF_LITERALS: [CodeEntry; 288] = {
    let mut all = [SPECIAL; 288];
    let mut symbol = 0;
    while symbol < 256 {
        all[symbol] = LITERAL | (symbol as CodeEntry) << 16;
        symbol += 1;
    }
    all[256] = SPECIAL | END;
    let mut least = 3;
    while symbol < 284 {
        symbol += 1;
        let extra = if symbol < 265 { 0 } else { (symbol as CodeEntry - 261) / 4 };
        all[symbol] = extra | least << 16;
        least += 1 << extra;
    }
    all[285] = 258 << 16;
    all
};
static OF_DISTANCES: [CodeEntry; 32] = {
    let mut all = [SPECIAL; 32];
    let (mut symbol, mut least) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { (symbol as CodeEntry - 2) / 2 };
        all[symbol] = extra | least << 16;
        least += 1 << extra;
        symbol += 1;
    }
    all
};
static OF_LENGTHS: [CodeEntry; 19] = {
    let mut all = [0; 19];
    let mut symbol = 0;
    while symbol < 19 {
        all[symbol] = (symbol as CodeEntry) << 16;
        symbol += 1;
    }
    all
};

/// Symbols in the order of their codes, how many codes have each length, and how many codes of the
/// longest are left over.
struct SortedCodes {
    symbols: [u16; 320],
    counts: [u16; LONGEST + 1],
    longest: usize,
    is_complete: bool,
}

impl SortedCodes {
    /// Nothing if there are more codes than bits can tell apart.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u16; LONGEST + 1];
        for length in lengths {
            counts[usize::from(length & 15)] += 1;
        }
        let unused = std::mem::take(&mut counts[0]);
        let mut next = [0_u16; LONGEST + 1];
        let (mut left, mut longest, mut before) = (1_i32, 0, 0);
        for (length, (count, next)) in counts.iter().zip(&mut next).enumerate().skip(1) {
            left = 2 * left - i32::from(*count);
            if left < 0 {
                return None;
            }
            if *count > 0 {
                longest = length;
            }
            *next = before;
            before += count;
        }
        // Those without a code come last, which costs less than to ask.
        next[0] = before;
        debug_assert_eq!(usize::from(before + unused), lengths.len());
        let mut symbols = [0; 320];
        for (symbol, length) in (0_u16..).zip(lengths) {
            let next = &mut next[usize::from(length & 15)];
            if let Some(place) = symbols.get_mut(usize::from(*next)) {
                *place = symbol;
            }
            *next += 1;
        }
        Some(Self { symbols, counts, longest, is_complete: left == 0 })
    }
}

/// Codes are read from their first bit on, which is the lowest of the bits that are looked at: so
/// they are counted up from the other end.
fn set(
    table: &mut [CodeEntry],
    root: u32,
    meanings: &[CodeEntry],
    lengths: &[u8],
    may_be_one: bool,
) -> bool {
    let Some(sorted) = SortedCodes::new(lengths) else { return false };
    if !sorted.is_complete && (sorted.longest > 1 || !may_be_one) {
        return false;
    }
    let mut symbols = sorted.symbols.iter().copied();
    let mut entry = |length: usize| {
        let meaning = symbols.next().and_then(|symbol| meanings.get(usize::from(symbol)).copied());
        meaning.unwrap_or(SPECIAL) + (length | length << 8) as CodeEntry
    };
    let size = 1_usize << root;
    if !sorted.is_complete {
        // None, or one of one bit.
        let only = if sorted.longest == 1 { entry(1) } else { UNUSED };
        for (place, bits) in table.iter_mut().take(size).zip(0..) {
            *place = if bits & 1 == 0 { only } else { UNUSED };
        }
        return true;
    }
    let mut code = 0;
    for (length, count) in sorted.counts.iter().enumerate().take(root as usize + 1).skip(1) {
        // What is there so far says the same whatever the bit behind is.
        table.copy_within(..1 << (length - 1), 1 << (length - 1));
        for _ in 0..*count {
            if let Some(place) = table.get_mut(code) {
                *place = entry(length);
            }
            code = after(code, length);
        }
    }
    let chosen_by = sorted.longest.saturating_sub(root as usize);
    let (mut first, mut part, mut end) = (size, 0, size);
    for (length, count) in sorted.counts.iter().enumerate().skip(root as usize + 1) {
        for _ in 0..*count {
            if code & (size - 1) != first {
                (first, part, end) = (code & (size - 1), end, end + (1 << chosen_by));
                if let Some(place) = table.get_mut(first) {
                    *place = SPECIAL | LONGER | (chosen_by << 8 | part << 16) as CodeEntry;
                }
            }
            let entry = entry(length);
            let places = table.get_mut(part..end).unwrap_or_default();
            for place in places.iter_mut().skip(code >> root).step_by(1 << (length - root as usize))
            {
                *place = entry;
            }
            code = after(code, length);
        }
    }
    true
}

/// The next code of as many bits, with its first bit lowest.
fn after(code: usize, length: usize) -> usize {
    let zeros = !code & ((1 << length) - 1);
    // Behind the last one nothing is asked for but longer ones, of which there are none.
    let highest = 1 << zeros.checked_ilog2().unwrap_or(0);
    (code & (highest - 1)) | highest
}
