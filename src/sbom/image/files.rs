//! Files in a folder or in a tar archive on disk, by name. It unpacks nothing but an archive that is
//! compressed as a whole, and reaches nothing outside of either.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::MOST;
use crate::sbom::SbomError;
use crate::sbom::layers::is_endless;
use crate::sbom::layers::tar::{Forward, Tar, TarError, TarKind};
use crate::sbom::source::Links;

/// Files by name; names come from manifests, so they are checked.
pub(super) trait ImageFiles: Send + Sync {
    /// Nothing where there is no such file.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// A file of moderate size.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SbomError> {
        let unreadable = |source| SbomError::Unreadable { path: name.to_owned(), source };
        let Some(file) = self.open(name).map_err(unreadable)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > MOST {
            return Err(SbomError::TooLarge { path: name.to_owned(), cap: MOST as u64 });
        }
        Ok(Some(bytes))
    }
}

/// A folder. Only plain names are looked up in it.
pub(super) struct LayoutFolder(pub(super) PathBuf);

impl ImageFiles for LayoutFolder {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let is_plain = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        match is_plain.then(|| File::open(self.0.join(name))) {
            Some(Ok(file)) => Ok(Some(Box::new(file))),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }
}

/// A tar archive of which only the places of files are known.
pub(super) struct Archive {
    path: PathBuf,
    /// Start and size.
    places: BTreeMap<String, (u64, u64)>,
    links: Links,
    /// What a compressed archive was inflated to; it is removed with this.
    _inflated: Option<NamedTempFile>,
}

/// How much is inflated at once, in bytes.
const PIECE: u64 = 8 << 20;

/// A compressed archive as a file that can be read at any place, as layers are, several at once.
fn inflated(mut file: File, start: &[u8]) -> io::Result<Option<NamedTempFile>> {
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut stream: Box<dyn Read> = match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file)?),
        _ => return Ok(None),
    };
    let (mut inflated, mut total) = (NamedTempFile::new()?, 0);
    // Piece by piece, so that a disk is not filled by what a few bytes stand for.
    loop {
        let written = io::copy(&mut stream.by_ref().take(PIECE), &mut inflated)?;
        total += written;
        if is_endless(total, size) {
            let why = format!(
                "it inflates from `{size}` to more than `{total}` bytes, which is not plausible \
                 for an image"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if written == 0 {
            break;
        }
    }
    Ok(Some(inflated))
}

/// No image has as many parts.
const MOST_ENTRIES: usize = 100_000;

/// Passes over what is not wanted without reading it.
struct SkippingReader(BufReader<File>);

impl Read for SkippingReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl io::BufRead for SkippingReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }
    fn consume(&mut self, bytes: usize) {
        self.0.consume(bytes);
    }
}

impl Forward for SkippingReader {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.0.seek_relative(i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidData)?)
    }
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, SbomError> {
        let shown = || path.display().to_string();
        let unreadable = |source| SbomError::Unreadable { path: shown(), source };
        let malformed = |reason: String| SbomError::Malformed { path: shown(), reason };
        let mut file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut start = Vec::new();
        file.by_ref().take(4).read_to_end(&mut start).map_err(unreadable)?;
        let again = file.try_clone().map_err(unreadable)?;
        let inflated = inflated(again, &start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed("it ends too early".to_owned()),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                malformed(format!("it is damaged: {error}"))
            }
            _ => unreadable(error),
        })?;
        let (mut path, mut size) = (path.to_owned(), size);
        if let Some(inflated) = &inflated {
            path = inflated.path().to_owned();
            file = File::open(&path).map_err(unreadable)?;
            size = file.metadata().map_err(unreadable)?.len();
        } else {
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        }
        let mut archive =
            Self { path, places: BTreeMap::new(), links: Links::default(), _inflated: inflated };
        let mut tar = Tar::new(SkippingReader(BufReader::new(file)));
        loop {
            let entry = match tar.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(TarError::Malformed(reason)) => return Err(malformed(reason)),
                Err(TarError::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(malformed("it ends too early".to_owned()));
                }
                Err(TarError::Read(error)) => return Err(unreadable(error)),
            };
            let name = String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned();
            let start = tar.position();
            match entry.kind {
                TarKind::File if entry.is_sparse || start.saturating_add(entry.size) > size => {
                    return Err(malformed("it ends too early".to_owned()));
                }
                TarKind::File => drop(archive.places.insert(name, (start, entry.size))),
                // Docker saves a layer that is there twice as a link to the first.
                TarKind::SymbolicLink => {
                    archive.links.insert(&name, &String::from_utf8_lossy(&entry.link))
                }
                TarKind::HardLink => archive
                    .links
                    .insert(&name, &format!("/{}", String::from_utf8_lossy(&entry.link))),
                TarKind::Directory | TarKind::Other => {}
            }
            if archive.places.len() > MOST_ENTRIES {
                return Err(malformed("it has more files than any saved image".to_owned()));
            }
        }
        Ok(archive)
    }
}

impl ImageFiles for Archive {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let place = self.links.resolve(name).and_then(|real| self.places.get(&real));
        let Some((start, size)) = place else { return Ok(None) };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(*start))?;
        Ok(Some(Box::new(file.take(*size))))
    }
}
