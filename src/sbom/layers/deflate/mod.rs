//! What gzip compressed, member after member, checked against its CRC-32 and its size: into buffers
//! that hold what may be repeated in front. It never panics, and never gives bytes that the format
//! does not say.
//!
//! Layers are mostly programs, whose literals take eight bits and more: so one look decodes one
//! symbol, and what is spared are branches. It takes an eighth less time than zlib-rs through
//! flate2, a third of that for the checksum, and inflating is most of what an SBOM costs.
//!
//! Specification: <https://www.rfc-editor.org/rfc/rfc1951>, <https://www.rfc-editor.org/rfc/rfc1952>.

use std::io::{self, Read};

use codes::Tables;
use source::BitSource;
use symbols::{SymbolOutput, SymbolStop};

mod codes;
mod source;
mod symbols;
#[cfg(test)]
mod tests;

/// How far back repeats reach.
pub(super) const HISTORY: usize = 32 << 10;
/// Read at a time.
pub(super) const INPUT: usize = 128 << 10;
/// From here on a buffer is full.
const FULL: usize = HISTORY + (224 << 10);
/// The longest repeat is of 258 bytes; what is copied in passing, and literals before it, are fewer
/// than as many again.
const WHOLE: usize = FULL + 512;
/// No name or comment in a header is longer.
const LONGEST_NAME: u32 = 65535;
/// Where a dynamic block has the lengths of the codes that lengths are in.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is wrong with compressed bytes, if it is not that they end too early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("invalid gzip header")]
    Header,
    #[error("a name in a gzip header is too long")]
    Name,
    #[error("a gzip header does not have its checksum")]
    HeaderSum,
    #[error("a block is of no known type")]
    Block,
    #[error("a stored block has two lengths")]
    Stored,
    #[error("a block starts with lengths that make no code")]
    Lengths,
    #[error("a code means nothing")]
    Code,
    #[error("a repeat reaches back behind the start")]
    Distance,
    #[error("the inflated bytes do not have the checksum or the size that the gzip trailer says")]
    Sum,
    #[error("it was damaged before")]
    Before,
}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> Self {
        Self::new(io::ErrorKind::InvalidData, damage)
    }
}

/// Room for bytes of a layer, behind those before them.
#[derive(Default)]
pub(super) struct Buffer(Option<Box<[u8; WHOLE]>>);

impl Buffer {
    fn whole(&mut self) -> &mut [u8; WHOLE] {
        self.0.get_or_insert_with(|| Box::new([0; WHOLE]))
    }

    /// Where to put bytes that no history is needed for.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.whole().get_mut(HISTORY..FULL).unwrap_or_default()
    }

    /// The bytes that were filled in, without the history.
    pub(super) fn filled(&self) -> &[u8] {
        self.0.as_ref().and_then(|bytes| bytes.get(HISTORY..)).unwrap_or_default()
    }
}

enum State {
    /// Between members.
    Member,
    Block,
    Stored(usize),
    Symbols,
    Trailer,
    End,
    Broken(io::Error),
}

pub(super) struct Gzip<R> {
    source: BitSource<R>,
    state: State,
    tables: Box<Tables>,
    /// Whether the tables are those of fixed codes.
    is_fixed: bool,
    is_last: bool,
    is_first_member: bool,
    history: Box<[u8; HISTORY]>,
    /// How much of it is of this member.
    known: usize,
    crc: crc32fast::Hasher,
    size: u32,
}

impl<R: Read> Gzip<R> {
    /// `start` was read already: [`INPUT`] bytes at most.
    pub(super) fn new(start: &[u8], reader: R) -> Self {
        Self {
            source: BitSource::new(start, reader),
            state: State::Member,
            tables: Box::new(Tables::new()),
            is_fixed: false,
            is_last: false,
            is_first_member: true,
            history: Box::new([0; HISTORY]),
            known: 0,
            crc: crc32fast::Hasher::new(),
            size: 0,
        }
    }

    pub(super) fn get_ref(&self) -> &R {
        self.source.reader()
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        self.source.reader_mut()
    }

    pub(super) fn into_inner(self) -> R {
        self.source.into_reader()
    }

    /// Puts what comes next into the buffer, and says how much it is; nothing at the end. Of
    /// damaged bytes, those before the damage come first.
    pub(super) fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        if let State::Broken(error) = &mut self.state {
            return Err(std::mem::replace(error, Damage::Before.into()));
        }
        let bytes = buffer.whole();
        if let Some(front) = bytes.first_chunk_mut() {
            *front = *self.history;
        }
        let mut output = SymbolOutput { bytes, first: HISTORY - self.known, at: HISTORY };
        let outcome = self.decode(&mut output);
        let SymbolOutput { bytes, first, at } = output;
        self.known = (at - first).min(HISTORY);
        if let Some(back) = bytes.get(at - HISTORY..at).and_then(<[u8]>::first_chunk) {
            *self.history = *back;
        }
        if let Err(error) = outcome {
            self.state = State::Broken(error);
            if at == HISTORY {
                return self.fill(buffer);
            }
        }
        Ok(at - HISTORY)
    }

    fn decode(&mut self, output: &mut SymbolOutput<'_>) -> io::Result<()> {
        let mut summed = HISTORY;
        while output.at < FULL {
            match self.state {
                State::Member => self.member(output)?,
                State::Block => self.state = self.block()?,
                State::Stored(left) => self.stored(left, output)?,
                State::Symbols => self.symbols(output)?,
                State::Trailer => {
                    self.sum(output, &mut summed);
                    self.trailer()?;
                }
                State::End | State::Broken(_) => return Ok(()),
            }
        }
        self.sum(output, &mut summed);
        Ok(())
    }

    fn sum(&mut self, output: &SymbolOutput<'_>, summed: &mut usize) {
        let bytes = output.bytes.get(*summed..output.at).unwrap_or_default();
        self.crc.update(bytes);
        self.size = self.size.wrapping_add(bytes.len() as u32);
        *summed = output.at;
    }

    /// The header of the next member, if there is one.
    fn member(&mut self, output: &mut SymbolOutput<'_>) -> io::Result<()> {
        if !self.is_first_member && self.source.is_empty()? {
            self.state = State::End;
            return Ok(());
        }
        self.is_first_member = false;
        let mut sum = crc32fast::Hasher::new();
        let mut bytes = [0; 10];
        for byte in &mut bytes {
            *byte = self.byte(&mut sum)?;
        }
        let [0x1f, 0x8b, 8, flags @ ..=0x1f, ..] = bytes else { return Err(Damage::Header.into()) };
        if flags & 4 != 0 {
            let length = [self.byte(&mut sum)?, self.byte(&mut sum)?];
            for _ in 0..u16::from_le_bytes(length) {
                self.byte(&mut sum)?;
            }
        }
        for flag in [8, 16] {
            let mut left = LONGEST_NAME;
            while flags & flag != 0 && self.byte(&mut sum)? != 0 {
                left = left.checked_sub(1).ok_or(Damage::Name)?;
            }
        }
        if flags & 2 != 0 && self.source.take(16)? != sum.finalize() & 0xffff {
            return Err(Damage::HeaderSum.into());
        }
        (self.crc, self.size) = (crc32fast::Hasher::new(), 0);
        output.first = output.at;
        self.state = State::Block;
        Ok(())
    }

    fn byte(&mut self, sum: &mut crc32fast::Hasher) -> io::Result<u8> {
        let byte = self.source.take(8)? as u8;
        sum.update(&[byte]);
        Ok(byte)
    }

    fn trailer(&mut self) -> io::Result<()> {
        self.source.align();
        let (sum, size) = (self.source.take(32)?, self.source.take(32)?);
        if sum != std::mem::take(&mut self.crc).finalize() || size != self.size {
            return Err(Damage::Sum.into());
        }
        self.source.align();
        self.state = State::Member;
        Ok(())
    }

    fn block(&mut self) -> io::Result<State> {
        let header = self.source.take(3)?;
        self.is_last = header & 1 != 0;
        match header >> 1 {
            0 => {
                self.source.align();
                let (length, inverse) = (self.source.take(16)?, self.source.take(16)?);
                if length != !inverse & 0xffff {
                    return Err(Damage::Stored.into());
                }
                self.source.align();
                Ok(State::Stored(length as usize))
            }
            1 => {
                self.set_fixed();
                Ok(State::Symbols)
            }
            2 => {
                self.is_fixed = false;
                self.set_dynamic()?;
                Ok(State::Symbols)
            }
            _ => Err(Damage::Block.into()),
        }
    }

    fn after_block(&self) -> State {
        if self.is_last { State::Trailer } else { State::Block }
    }

    fn stored(&mut self, left: usize, output: &mut SymbolOutput<'_>) -> io::Result<()> {
        let end = FULL.min(output.at + left);
        let copied = self.source.copy(output.bytes.get_mut(output.at..end).unwrap_or_default())?;
        if copied == 0 && left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        output.at += copied;
        self.state = if copied < left { State::Stored(left - copied) } else { self.after_block() };
        Ok(())
    }

    fn symbols(&mut self, output: &mut SymbolOutput<'_>) -> io::Result<()> {
        self.source.look_ahead()?;
        let (before, mut bits) = (output.at, self.source.taken);
        let outcome = symbols::decode(&self.tables, self.source.window(), &mut bits, output);
        self.source.taken = bits;
        if self.source.is_overrun() {
            // At the end, each step is one of its own.
            output.at = before;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if matches!(outcome?, SymbolStop::End) {
            self.state = self.after_block();
        }
        Ok(())
    }

    fn set_fixed(&mut self) {
        if self.is_fixed {
            return;
        }
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.is_fixed = self.tables.set_literals(&lengths) && self.tables.set_distances(&[5; 32]);
    }

    fn set_dynamic(&mut self) -> io::Result<()> {
        let counts = self.source.take(14)? as usize;
        let (literals, distances, codes) =
            ((counts & 31) + 257, (counts >> 5 & 31) + 1, (counts >> 10) + 4);
        if literals > 286 || distances > 30 {
            return Err(Damage::Lengths.into());
        }
        let mut of_lengths = [0; 19];
        for place in ORDER.iter().take(codes) {
            of_lengths[*place] = self.source.take(3)? as u8;
        }
        let table = codes::of_lengths(&of_lengths).ok_or(Damage::Lengths)?;
        let mut lengths = [0_u8; 320];
        let (mut at, mut last) = (0, None);
        while at < literals + distances {
            let entry = table[self.source.look()? as usize & (table.len() - 1)];
            self.source.taken.skip(entry & 63);
            let (length, least, extra) = match entry >> 16 {
                16 => (last, 3, 2),
                17 => (Some(0), 3, 3),
                18 => (Some(0), 11, 7),
                length => (Some(length as u8), 1, 0),
            };
            let repeated = least + (self.source.taken.bits & !(u64::MAX << extra)) as usize;
            self.source.taken.skip(extra);
            if self.source.is_overrun() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length =
                length.filter(|_| at + repeated <= literals + distances).ok_or(Damage::Lengths)?;
            lengths.get_mut(at..at + repeated).unwrap_or_default().fill(length);
            (at, last) = (at + repeated, Some(length));
        }
        let (of_literals, of_distances) =
            lengths.get(..literals + distances).unwrap_or_default().split_at(literals);
        let has_end = lengths[256] != 0;
        if !has_end
            || !self.tables.set_literals(of_literals)
            || !self.tables.set_distances(of_distances)
        {
            return Err(Damage::Lengths.into());
        }
        Ok(())
    }
}
