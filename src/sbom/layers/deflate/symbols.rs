//! Literals and repeats of a block, one after another: where nearly all the time goes. It never
//! writes behind the buffer, and never repeats what was not there.

use std::io;

use super::codes::{CodeEntry, END, LITERAL, LONGER, SPECIAL, Tables};
use super::source::{BitBuffer, WHOLE as INPUT};
use super::{Damage, FULL, WHOLE};

/// Why it stopped.
pub(super) enum SymbolStop {
    Full,
    Input,
    End,
}

/// Where bytes go.
pub(super) struct SymbolOutput<'a> {
    pub(super) bytes: &'a mut [u8; WHOLE],
    /// Of the first byte that may be repeated.
    pub(super) first: usize,
    pub(super) at: usize,
}

impl SymbolOutput<'_> {
    #[inline(always)]
    fn put(&mut self, entry: CodeEntry) {
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = (entry >> 16) as u8;
        }
        self.at += 1;
    }

    #[inline(always)]
    fn copy(&mut self, from: usize, to: usize) {
        if from <= WHOLE - 16 && to <= WHOLE - 16 {
            self.bytes.copy_within(from..from + 16, to);
        }
    }

    /// Copies more than asked for, so that it need not ask how much; what is too much is written
    /// over.
    #[inline(always)]
    fn repeat(&mut self, mut distance: usize, length: usize) {
        let (mut from, mut to) = (self.at - distance, self.at);
        self.at += length;
        if distance >= 16 {
            self.copy(from, to);
            self.copy(from + 16, to + 16);
            if length > 32 {
                while to + 32 < self.at {
                    (from, to) = (from + 32, to + 32);
                    self.copy(from, to);
                    self.copy(from + 16, to + 16);
                }
            }
            return;
        }
        // What is there twice is a repeat of twice the distance.
        while distance < 16 && to < self.at {
            self.copy(from, to);
            to += distance;
            distance *= 2;
        }
        while to < self.at {
            self.copy(from, to);
            (from, to) = (from + 16, to + 16);
        }
    }
}

/// The least length or distance, and what the extra bits add.
#[inline(always)]
fn value(entry: CodeEntry, bits: u64) -> usize {
    (entry >> 16) as usize
        + ((bits as u32 & !(u32::MAX << (entry & 31))) >> (entry >> 8 & 31)) as usize
}

/// Puts one, and looks at what comes next.
#[inline(always)]
fn literal(
    tables: &Tables,
    entry: CodeEntry,
    bits: &mut BitBuffer,
    out: &mut SymbolOutput<'_>,
) -> CodeEntry {
    bits.skip(entry);
    out.put(entry);
    tables.literal(bits.bits)
}

/// Until the block ends, the output is full or `most` of the input is passed.
///
/// A refill gives 56 bits. Four literals of the first look take 44, and 11 are left for the next
/// look. A repeat takes 48, or 44 if its length needs no second look, so one literal may come
/// before.
#[inline(never)]
pub(super) fn decode(
    tables: &Tables,
    (input, most): (&[u8; INPUT], usize),
    bits: &mut BitBuffer,
    output: &mut SymbolOutput<'_>,
) -> io::Result<SymbolStop> {
    let mut now = *bits;
    let mut out = SymbolOutput { bytes: &mut *output.bytes, ..*output };
    let outcome = symbols(tables, (input, most), &mut now, &mut out);
    output.at = out.at;
    *bits = now;
    outcome
}

#[inline(always)]
fn symbols(
    tables: &Tables,
    (input, most): (&[u8; INPUT], usize),
    bits: &mut BitBuffer,
    out: &mut SymbolOutput<'_>,
) -> io::Result<SymbolStop> {
    bits.refill(input);
    let mut entry = tables.literal(bits.bits);
    loop {
        if out.at >= FULL {
            return Ok(SymbolStop::Full);
        }
        // Written out, so that each has a branch of its own: what one guesses right, another does
        // not.
        if entry & LITERAL != 0 {
            entry = literal(tables, entry, bits, out);
            if entry & LITERAL != 0 {
                entry = literal(tables, entry, bits, out);
                if entry & LITERAL != 0 {
                    entry = literal(tables, entry, bits, out);
                    if entry & LITERAL != 0 {
                        entry = literal(tables, entry, bits, out);
                        bits.refill(input);
                        if bits.at > most {
                            return Ok(SymbolStop::Input);
                        }
                        continue;
                    }
                }
                bits.refill(input);
            }
        }
        if entry & SPECIAL != 0 {
            bits.refill(input);
            if entry & LONGER != 0 {
                entry = tables.longer_literal(entry, bits.bits);
            }
            if entry & (LITERAL | SPECIAL) != 0 {
                if entry & LITERAL == 0 {
                    bits.skip(entry);
                    return if entry & END != 0 {
                        Ok(SymbolStop::End)
                    } else {
                        Err(Damage::Code.into())
                    };
                }
                entry = literal(tables, entry, bits, out);
                bits.refill(input);
                if bits.at > most {
                    return Ok(SymbolStop::Input);
                }
                continue;
            }
        }
        // First what the next look waits for.
        let at_length = bits.bits;
        bits.skip(entry);
        let mut of_distance = tables.distance(bits.bits);
        let length = value(entry, at_length);
        if of_distance & SPECIAL != 0 {
            if of_distance & LONGER != 0 {
                of_distance = tables.longer_distance(of_distance, bits.bits);
            }
            if of_distance & SPECIAL != 0 {
                bits.skip(of_distance);
                return Err(Damage::Code.into());
            }
        }
        let at_distance = bits.bits;
        bits.skip(of_distance);
        bits.refill(input);
        entry = tables.literal(bits.bits);
        let distance = value(of_distance, at_distance);
        if distance > out.at - out.first {
            return Err(Damage::Distance.into());
        }
        out.repeat(distance, length);
        if bits.at > most {
            return Ok(SymbolStop::Input);
        }
    }
}
