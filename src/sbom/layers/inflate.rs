//! A compressed layer as the bytes it stands for, both hashed on the way. It never believes a layer whose size, digest or inflated digest
//! is another than promised, and never inflates without end.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::tar::Forward;

const BUFFER: usize = 128 << 10;
/// No layer is larger.
const MOST: u64 = 512 << 30;
/// Small layers may shrink as much as they like; more than this only by the ratio below.
const FREE: u64 = if cfg!(test) { 32 << 20 } else { 16 << 30 };
/// Real files of many gigabytes do not shrink as far as this.
const RATIO: u64 = 500;

/// What reading an endless layer ends with.
#[derive(Debug, thiserror::Error)]
#[error("it inflates to more than `{0}` bytes from `{1}`, which no image does")]
pub(super) struct Endless(u64, u64);

/// What keeps the compressed bytes from being read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unreadable(io::Error);

impl Unreadable {
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

/// Compressed bytes, counted and hashed; at most one more than promised.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    read: u64,
    most: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.most - self.read).unwrap_or(usize::MAX));
        let Some(bytes) = bytes.get_mut(..most) else { return Ok(0) };
        // Told apart from what a decoder finds wrong.
        let read = self.inner.read(bytes).map_err(|error| io::Error::new(error.kind(), Unreadable(error)))?;
        self.hasher.update(bytes.get(..read).unwrap_or_default());
        self.read += read as u64;
        Ok(read)
    }
}

enum Decoder<R: Read> {
    Gzip(Box<MultiGzDecoder<BufReader<Hashed<R>>>>),
    Zstd(zstd::Decoder<'static, BufReader<Hashed<R>>>),
    Plain(BufReader<Hashed<R>>),
}

/// The bytes a layer stands for.
pub(super) struct Inflated<R: Read> {
    decoder: Decoder<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    hasher: Sha256,
    total: u64,
    /// Whether compressed and inflated are the same bytes, which need not be hashed twice.
    is_plain: bool,
}

/// What was read, once it is at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) size: u64,
    pub(super) digest: String,
    pub(super) diff_id: String,
}

impl<R: Read> Inflated<R> {
    /// `size` is what the manifest promises. The compression is told by the first bytes, as media types are not always right.
    pub(super) fn new(layer: R, size: Option<u64>) -> io::Result<Self> {
        let most = size.map_or(MOST, |size| size.saturating_add(1)).min(MOST);
        let mut reader = BufReader::with_capacity(BUFFER, Hashed { inner: layer, hasher: Sha256::new(), read: 0, most });
        let start = reader.fill_buf()?;
        let decoder = match start {
            [0x1f, 0x8b, ..] => Decoder::Gzip(Box::new(MultiGzDecoder::new(reader))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Decoder::Zstd(zstd::Decoder::with_buffer(reader)?),
            _ => Decoder::Plain(reader),
        };
        let is_plain = matches!(decoder, Decoder::Plain(_));
        Ok(Self { decoder, buffer: vec![0; BUFFER], start: 0, end: 0, hasher: Sha256::new(), total: 0, is_plain })
    }

    fn compressed(&self) -> &Hashed<R> {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
            Decoder::Plain(reader) => reader.get_ref(),
        }
    }

    /// Reads what is left of both, and sums up.
    pub(super) fn finish(mut self) -> io::Result<Sums> {
        loop {
            let left = self.fill_buf()?.len();
            if left == 0 {
                break;
            }
            self.consume(left);
        }
        let diff_id = (!self.is_plain).then(|| named(self.hasher.clone()));
        let (size, digest) = self.drained()?;
        Ok(Sums { size, diff_id: diff_id.unwrap_or_else(|| digest.clone()), digest })
    }

    /// Size and digest of the compressed bytes, however little sense they make inside.
    pub(super) fn drained(self) -> io::Result<(u64, String)> {
        let mut reader = match self.decoder {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
            Decoder::Plain(reader) => reader,
        };
        io::copy(&mut reader, &mut io::sink())?;
        let compressed = reader.into_inner();
        Ok((compressed.read, named(compressed.hasher)))
    }
}

fn named(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let length = here.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), here.get(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}

impl<R: Read> BufRead for Inflated<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            let read = match &mut self.decoder {
                Decoder::Gzip(decoder) => decoder.read(&mut self.buffer),
                Decoder::Zstd(decoder) => decoder.read(&mut self.buffer),
                Decoder::Plain(reader) => reader.read(&mut self.buffer),
            }?;
            self.end = read;
            self.total = self.total.saturating_add(read as u64);
            if !self.is_plain {
                self.hasher.update(self.buffer.get(..read).unwrap_or_default());
            }
            let compressed = self.compressed().read;
            if self.total > MOST || (self.total > FREE && self.total / RATIO > compressed) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Endless(self.total, compressed)));
            }
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }
}

impl<R: Read> Forward for Inflated<R> {}
