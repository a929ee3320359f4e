//! A compressed layer as the bytes it stands for, its own hashed on the way. It never inflates
//! without end.

use std::io::{self, BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::deflate::{Buffer, Gzip, INPUT};

/// No layer is larger.
const MOST: u64 = 512 << 30;
/// Small layers may shrink as much as they like; more than this only by the ratio below.
const FREE: u64 = if cfg!(test) { 32 << 20 } else { 16 << 30 };
/// Real files of many gigabytes do not shrink as far as this.
const RATIO: u64 = 500;

/// Whether more came out of so many compressed bytes than an image gives.
pub(in crate::sbom) fn is_endless(inflated: u64, compressed: u64) -> bool {
    inflated > MOST || (inflated > FREE && inflated / RATIO > compressed)
}

/// What reading an endless layer ends with.
#[derive(Debug, thiserror::Error)]
#[error("it inflates from `{1}` to more than `{0}` bytes, which is not plausible for an image")]
pub(super) struct Endless(u64, u64);

/// What keeps the compressed bytes from being read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct UnreadableLayer(io::Error);

impl UnreadableLayer {
    /// The first error, if an error is one of these.
    pub(super) fn of(error: io::Error) -> Result<io::Error, io::Error> {
        if !error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            return Err(error);
        }
        let kind = error.kind();
        let inner = error.into_inner().and_then(|inner| inner.downcast::<Self>().ok());
        Ok(inner.map_or_else(|| kind.into(), |inner| inner.0))
    }
}

/// Takes compressed bytes as they are read.
pub(super) type Take = Box<dyn FnMut(&[u8]) + Send>;

/// Who hashes the compressed bytes.
enum SumSide {
    Here(Sha256),
    There(Take),
}

/// Compressed bytes, counted and hashed; at most one more than promised.
struct HashedReader<R> {
    inner: R,
    /// The first bytes, while nobody but who tells the compression has seen them.
    start: Vec<u8>,
    sum: SumSide,
    read: u64,
    most: u64,
}

/// As many bytes tell how a layer is compressed.
const TELLING: usize = 4;

impl<R: Read> HashedReader<R> {
    /// The first bytes, which come again when it is read: all of them, however few a source gives
    /// at once.
    fn start(&mut self) -> io::Result<&[u8]> {
        while self.start.len() < TELLING {
            let mut bytes = [0; TELLING];
            let read = self.read_on(bytes.get_mut(self.start.len()..).unwrap_or_default())?;
            if read == 0 {
                break;
            }
            self.start.extend(
                bytes.iter().skip(self.start.len()).take(read).copied().collect::<Vec<_>>(),
            );
        }
        Ok(&self.start)
    }

    fn read_on(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.most - self.read).unwrap_or(usize::MAX));
        let Some(bytes) = bytes.get_mut(..most) else { return Ok(0) };
        let read = loop {
            match self.inner.read(bytes) {
                // Whoever reads ahead ends with the first error.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Told apart from what a decoder finds wrong.
                outcome => {
                    break outcome
                        .map_err(|error| io::Error::new(error.kind(), UnreadableLayer(error)))?;
                }
            }
        };
        let bytes = bytes.get(..read).unwrap_or_default();
        match &mut self.sum {
            SumSide::Here(hasher) => hasher.update(bytes),
            SumSide::There(take) => take(bytes),
        }
        self.read += read as u64;
        Ok(read)
    }
}

impl<R: Read> Read for HashedReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.start.is_empty() {
            return self.read_on(bytes);
        }
        let read = self.start.len().min(bytes.len());
        bytes.iter_mut().zip(self.start.drain(..read)).for_each(|(to, from)| *to = from);
        Ok(read)
    }
}

enum Decoder<R: Read> {
    Gzip(Gzip<HashedReader<R>>),
    Zstd(zstd::Decoder<'static, BufReader<HashedReader<R>>>),
    Plain(BufReader<HashedReader<R>>),
}

/// The bytes a layer stands for.
pub(super) struct Inflated<R: Read> {
    decoder: Decoder<R>,
    total: u64,
}

impl<R: Read> Inflated<R> {
    /// `size` is what the manifest promises. The compression is told by the first bytes, as media
    /// types are not always right.
    pub(super) fn new(layer: R, size: Option<u64>) -> io::Result<Self> {
        let most = size.map_or(MOST, |size| size.saturating_add(1)).min(MOST);
        let mut layer = HashedReader {
            inner: layer,
            start: Vec::new(),
            sum: SumSide::Here(Sha256::new()),
            read: 0,
            most,
        };
        let buffered = |layer| BufReader::with_capacity(INPUT, layer);
        let decoder = match layer.start()? {
            [0x1f, 0x8b, ..] => Decoder::Gzip(Gzip::new(&[], layer)),
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                Decoder::Zstd(zstd::Decoder::with_buffer(buffered(layer))?)
            }
            _ => Decoder::Plain(buffered(layer)),
        };
        Ok(Self { decoder, total: 0 })
    }

    /// Whether compressed and inflated are the same bytes, which need not be hashed twice.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.decoder, Decoder::Plain(_))
    }

    fn compressed(&self) -> &HashedReader<R> {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
            Decoder::Plain(reader) => reader.get_ref(),
        }
    }

    /// Has somebody else hash the compressed bytes from here on, who gets the hash of those before.
    pub(super) fn hashed_by(&mut self, take: Take) -> Sha256 {
        let compressed = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut().get_mut(),
            Decoder::Plain(reader) => reader.get_mut(),
        };
        match std::mem::replace(&mut compressed.sum, SumSide::There(take)) {
            SumSide::Here(hasher) => hasher,
            SumSide::There(_) => Sha256::new(),
        }
    }

    /// Fills the buffer with what comes next, and says how much it is; nothing at the end.
    pub(super) fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.fill(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer.room()),
            Decoder::Plain(reader) => reader.read(buffer.room()),
        }?;
        self.total = self.total.saturating_add(read as u64);
        let compressed = self.compressed().read;
        if is_endless(self.total, compressed) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                Endless(self.total, compressed),
            ));
        }
        Ok(read)
    }

    /// Size and hash of the compressed bytes, however little sense they make inside; no hash if
    /// somebody else makes it.
    pub(super) fn drained(self) -> io::Result<(u64, Option<Sha256>)> {
        // What decoders still hold is hashed already.
        let compressed = match self.decoder {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish().into_inner(),
            Decoder::Plain(reader) => reader.into_inner(),
        };
        let mut reader = BufReader::with_capacity(INPUT, compressed);
        io::copy(&mut reader, &mut io::sink())?;
        let compressed = reader.into_inner();
        let hasher = match compressed.sum {
            SumSide::Here(hasher) => Some(hasher),
            SumSide::There(_) => None,
        };
        Ok((compressed.read, hasher))
    }
}

pub(super) fn named(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Gives one byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let most = bytes.len().min(1);
            self.0.read(&mut bytes[..most])
        }
    }

    fn inflated(layer: impl Read) -> (Vec<u8>, u64, String) {
        let mut inflated = Inflated::new(layer, None).unwrap();
        let (mut buffer, mut all) = (Buffer::default(), Vec::new());
        while let length @ 1.. = inflated.fill(&mut buffer).unwrap() {
            all.extend(&buffer.filled()[..length]);
        }
        let (size, hasher) = inflated.drained().unwrap();
        (all, size, named(hasher.unwrap()))
    }

    #[test]
    fn a_compression_is_told_however_little_a_source_gives_at_once() {
        let text: Vec<u8> = (0..2_000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        let layers = [
            (encoder.finish().unwrap(), &text[..]),
            (zstd::encode_all(&text[..], 1).unwrap(), &text),
            (text.clone(), &text),
        ];
        let short =
            [(Vec::new(), &b""[..]), (b"\x1f".to_vec(), b"\x1f"), (b"abc".to_vec(), b"abc")];
        for (layer, expected) in layers.into_iter().chain(short) {
            let told =
                (expected.to_vec(), layer.len() as u64, named(Sha256::new_with_prefix(&layer)));
            assert_eq!(inflated(&layer[..]), told);
            assert_eq!(inflated(Dribble(&layer)), told);
        }
    }
}
