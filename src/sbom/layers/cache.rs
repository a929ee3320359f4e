//! What layers held, kept in a directory for later runs: an image on the same base reads only what is new. It believes no entry that is not whole,
//! and a run without it gives the same bytes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::scan::Layer;
use crate::sbom::matchers::MATCHERS;

/// Raised when a matcher, or what is kept of a layer, changes without a new version of the program.
const REVISION: u32 = 3;

/// A directory of results.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    cataloger: String,
}

#[derive(Serialize, Deserialize)]
struct Kept<L> {
    cataloger: String,
    diff_id: String,
    layer: L,
}

impl Cache {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let table: String =
            MATCHERS.iter().map(|matcher| format!("{}\n{}\n", matcher.name, matcher.looks_for.unwrap_or_default())).collect();
        let table = hex::encode(Sha256::digest(table));
        let cataloger = format!("{}-{REVISION}-{}", env!("CARGO_PKG_VERSION"), table.get(..16).unwrap_or_default());
        Self { folder: folder.into(), cataloger }
    }

    /// Of layers whose files have checksums, where that is asked for: they are kept beside those without.
    pub fn with_files(mut self, files: bool) -> Self {
        if files {
            self.cataloger.push_str("-files");
        }
        self
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, diff_id: &str) -> PathBuf {
        self.folder.join(format!("{}.json", hex::encode(Sha256::digest(format!("{}\n{diff_id}", self.cataloger)))))
    }

    /// What is kept of a layer. An entry that is damaged, or of another program, is as none.
    pub(super) fn get(&self, diff_id: &str) -> Option<Layer> {
        let path = self.path(diff_id);
        // A link of a checkout's could lead anywhere.
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (sum, body) = text.split_once('\n')?;
        if sum != hex::encode(Sha256::digest(body)) {
            return None;
        }
        let kept: Kept<Layer> = serde_json::from_str(body).ok()?;
        (kept.cataloger == self.cataloger && kept.diff_id == diff_id).then_some(kept.layer)
    }

    /// Keeps a layer. Whoever reads meanwhile sees the old entry or the new one.
    pub(super) fn put(&self, diff_id: &str, layer: &Layer) -> std::io::Result<()> {
        let body = serde_json::to_string(&Kept { cataloger: self.cataloger.clone(), diff_id: diff_id.to_owned(), layer })?;
        debug_assert!(serde_json::from_str::<Kept<Layer>>(&body).is_ok_and(|read| read.layer == *layer), "what is kept must be readable");
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(format!("{}\n{body}", hex::encode(Sha256::digest(&body))).as_bytes())?;
        file.persist(self.path(diff_id)).map_err(|error| error.error)?;
        Ok(())
    }
}
