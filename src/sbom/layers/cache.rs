//! What layers held, kept in a directory for later runs: an image on the same base reads only what
//! is new. It believes no entry that is not whole, nor, where it has a key, one that was written
//! without it; and a run without it gives the same bytes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Blob;
use super::scan::Layer;
use crate::sbom::exclude::Exclude;
use crate::sbom::matchers::MATCHERS;

/// Raised when a matcher, or what is kept of a layer, changes without a new version of the program.
const REVISION: u32 = 6;
/// A layer with the files of an operating system comes to a few megabytes.
const LARGEST: u64 = 512 << 20;

/// A directory of results.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    cataloger: String,
    /// What entries are authenticated with; without it they only have a sum against damage.
    key: Option<Arc<hmac::Key>>,
}

/// What the directory holds of a layer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KnownLayer {
    Layer(Box<Layer>),
    /// Nothing, or what another program left.
    Nothing,
    /// Something that was not written with the key, was changed, or is about another layer.
    Distrusted,
}

/// A layer is another one when its compressed bytes are others: that those inflate to the diffID
/// was seen of these alone.
#[derive(Serialize, Deserialize)]
struct CachedLayer<L> {
    cataloger: String,
    digest: Option<String>,
    size: Option<u64>,
    diff_id: String,
    layer: L,
}

impl<L> CachedLayer<L> {
    fn is_of(&self, cataloger: &str, blob: &Blob) -> bool {
        self.cataloger == cataloger
            && self.digest == blob.digest
            && self.size == blob.size
            && self.diff_id == blob.diff_id
    }
}

impl Cache {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let table: String = MATCHERS
            .iter()
            .map(|matcher| format!("{}\n{}\n", matcher.name, matcher.looks_for.unwrap_or_default()))
            .collect();
        let table = hex::encode(Sha256::digest(table));
        let cataloger = format!(
            "{}-{REVISION}-{}",
            env!("CARGO_PKG_VERSION"),
            table.get(..16).unwrap_or_default()
        );
        Self { folder: folder.into(), cataloger, key: None }
    }

    /// Of layers whose files have checksums, where that is asked for: they are kept beside those
    /// without.
    pub fn with_files(mut self, files: bool) -> Self {
        if files {
            self.cataloger.push_str("-files");
        }
        self
    }

    /// Of layers of which some files are not looked at.
    pub fn without(mut self, exclude: &Exclude) -> Self {
        if !exclude.patterns().is_empty() {
            let patterns = hex::encode(Sha256::digest(exclude.patterns().join("\0")));
            self.cataloger.push_str(&format!("-{}", patterns.get(..16).unwrap_or_default()));
        }
        self
    }

    /// Whose entries count only if they were written with this key.
    pub fn with_key(mut self, secret: &[u8]) -> Self {
        self.key = Some(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)));
        self
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an entry is about, on lines, none of which can hold another.
    fn subject(&self, blob: &Blob) -> String {
        let size = blob.size.map(|size| size.to_string()).unwrap_or_default();
        format!(
            "sbom-cache\n{}\n{}\n{size}\n{}\n",
            self.cataloger,
            blob.digest.as_deref().unwrap_or_default(),
            blob.diff_id
        )
    }

    fn path(&self, blob: &Blob) -> PathBuf {
        self.folder.join(format!("{}.json", hex::encode(Sha256::digest(self.subject(blob)))))
    }

    /// What stands in front of an entry: of its subject and its text.
    fn seal(&self, blob: &Blob, body: &str) -> String {
        let text = self.subject(blob) + body;
        match &self.key {
            Some(key) => format!("hmac-sha256:{}", hex::encode(hmac::sign(key, text.as_bytes()))),
            None => format!("sha256:{}", hex::encode(Sha256::digest(text))),
        }
    }

    /// With a key, in a time that tells nothing of how much of the seal was right.
    fn is_sealed(&self, blob: &Blob, body: &str, seal: &str) -> bool {
        let Some(key) = &self.key else { return seal == self.seal(blob, body) };
        let tag = seal.strip_prefix("hmac-sha256:").and_then(|tag| hex::decode(tag).ok());
        tag.is_some_and(|tag| {
            hmac::verify(key, (self.subject(blob) + body).as_bytes(), &tag).is_ok()
        })
    }

    /// What is kept of a layer. It follows no link out of the directory.
    pub(super) fn get(&self, blob: &Blob) -> KnownLayer {
        let path = self.path(blob);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return KnownLayer::Nothing;
            }
            Ok(found) if found.is_file() && found.len() <= LARGEST => {}
            _ => return KnownLayer::Distrusted,
        }
        let mut text = String::new();
        let read =
            fs::File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        let Some((seal, body)) = text.split_once('\n').filter(|_| read.is_ok()) else {
            return KnownLayer::Distrusted;
        };
        if !self.is_sealed(blob, body, seal) {
            return KnownLayer::Distrusted;
        }
        match serde_json::from_str::<CachedLayer<Layer>>(body) {
            Ok(kept) if kept.is_of(&self.cataloger, blob) => {
                KnownLayer::Layer(Box::new(kept.layer))
            }
            _ => KnownLayer::Distrusted,
        }
    }

    /// Keeps a layer. Whoever reads meanwhile sees the old entry or the new one.
    pub(super) fn put(&self, blob: &Blob, layer: &Layer) -> std::io::Result<()> {
        let Blob { digest, size, diff_id, .. } = blob.clone();
        let body = serde_json::to_string(&CachedLayer {
            cataloger: self.cataloger.clone(),
            digest,
            size,
            diff_id,
            layer,
        })?;
        debug_assert!(
            serde_json::from_str::<CachedLayer<Layer>>(&body)
                .is_ok_and(|read| read.layer == *layer),
            "what is kept must be readable"
        );
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(format!("{}\n{body}", self.seal(blob, &body)).as_bytes())?;
        file.persist(self.path(blob)).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(digest: &str, diff_id: &str) -> Blob {
        Blob {
            digest: Some(format!("sha256:{digest}")),
            size: Some(7),
            diff_id: format!("sha256:{diff_id}"),
            is_foreign: false,
            is_encrypted: false,
        }
    }

    fn layer(name: &str) -> Layer {
        Layer { whiteouts: [name.to_owned()].into(), ..Layer::default() }
    }

    fn known(name: &str) -> KnownLayer {
        KnownLayer::Layer(Box::new(layer(name)))
    }

    #[test]
    fn an_entry_counts_only_with_the_key_and_for_the_layer_it_was_written_of() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path()).with_key(b"0123456789abcdef");
        let (one, two) = (blob("1", "a"), blob("2", "b"));
        cache.put(&one, &layer("one")).unwrap();
        cache.put(&two, &layer("two")).unwrap();
        assert_eq!((cache.get(&one), cache.get(&two)), (known("one"), known("two")));
        // Of the same diffID, but of other bytes or another size: nobody saw those inflate to it.
        assert_eq!(cache.get(&blob("9", "a")), KnownLayer::Nothing);
        assert_eq!(cache.get(&Blob { size: Some(8), ..one.clone() }), KnownLayer::Nothing);
        let whole = fs::read_to_string(cache.path(&one)).unwrap();
        let plain = Cache::new(folder.path());
        let others = Cache::new(folder.path()).with_key(b"another secret of someone");
        let older = Cache { cataloger: "0.0.1-1-0".to_owned(), ..cache.clone() };
        let (seal, body) = whole.split_once('\n').unwrap();
        for changed in [
            fs::read_to_string(cache.path(&two)).unwrap(),
            whole.replace("one", "0ne"),
            whole[..whole.len() - 1].to_owned(),
            format!("{whole} "),
            format!("{}\n{body}", plain.seal(&one, body)),
            format!("{}\n{body}", others.seal(&one, body)),
            format!("{}\n{body}", older.seal(&one, body)),
            format!("{}\n{body}", cache.seal(&two, body)),
            format!(
                "{}\n{body}",
                seal.to_uppercase().replace("HMAC-SHA256", "hmac-sha256").replace('0', "1")
            ),
            format!("hmac-sha256:\n{body}"),
            format!("\n{body}"),
            body.to_owned(),
            String::new(),
        ] {
            fs::write(cache.path(&one), &changed).unwrap();
            assert_eq!(cache.get(&one), KnownLayer::Distrusted, "{changed}");
        }
        fs::write(cache.path(&one), &whole).unwrap();
        assert_eq!(cache.get(&one), known("one"));
        // What was sealed truly, but says that it is of another layer.
        let lies = body.replace("sha256:a", "sha256:b");
        fs::write(cache.path(&one), format!("{}\n{lies}", cache.seal(&one, &lies))).unwrap();
        assert_eq!(cache.get(&one), KnownLayer::Distrusted);
        // A link is not followed, and what is written takes its place.
        fs::remove_file(cache.path(&one)).unwrap();
        fs::write(folder.path().join("elsewhere"), &whole).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), cache.path(&one)).unwrap();
        assert_eq!(cache.get(&one), KnownLayer::Distrusted);
        cache.put(&one, &layer("new")).unwrap();
        assert_eq!(
            (cache.get(&one), fs::read_to_string(folder.path().join("elsewhere")).unwrap()),
            (known("new"), whole)
        );
    }
}
