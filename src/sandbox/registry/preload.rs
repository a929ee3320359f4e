//! Makes registry content out of OCI layouts on disk; it never changes a layout, and reads no file
//! beyond it that a stranger's layout links to.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::SandboxRegistry;
use super::names::{ServedDigest, ServedName, ServedReference};
use super::store::StoredManifest;
use crate::files::{FileError, OpenFolder};
use crate::sandbox::SandboxError;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An index in an index is usual, and no more.
const DEEPEST: usize = 8;
/// Of a document, in bytes: registries take four MiB.
const LARGEST: u64 = 8 << 20;

struct PreloadedLayout<'a> {
    path: &'a Path,
    root: OpenFolder,
    blobs: OpenFolder,
    /// What was put: a layout that names one manifest often costs no more than what it holds.
    put: BTreeSet<ServedDigest>,
}

fn refused(path: &Path, reason: impl ToString) -> SandboxError {
    SandboxError::Layout { path: path.to_owned(), reason: reason.to_string() }
}

impl<'a> PreloadedLayout<'a> {
    fn open(path: &'a Path) -> Result<Self, SandboxError> {
        let told = |error: FileError| refused(path, error);
        let root = OpenFolder::open(path, path).map_err(told)?;
        let blobs = root
            .below(Path::new("blobs"), false)
            .and_then(|blobs| blobs.below(Path::new("sha256"), false))
            .map_err(told)?;
        Ok(Self { path, root, blobs, put: BTreeSet::new() })
    }

    fn refused(&self, reason: impl ToString) -> SandboxError {
        refused(self.path, reason)
    }

    fn blob_path(&self, digest: &ServedDigest) -> PathBuf {
        self.path.join("blobs").join("sha256").join(digest.hex())
    }

    fn index(&self) -> Result<Value, SandboxError> {
        let bytes = self.document(&self.root, Path::new("index.json"))?;
        serde_json::from_slice(&bytes).map_err(|error| self.refused(error))
    }

    fn document(&self, folder: &OpenFolder, name: &Path) -> Result<Vec<u8>, SandboxError> {
        let file = folder.file(name).map_err(|error| self.refused(error))?;
        let file =
            file.ok_or_else(|| self.refused(format!("`{}` is not there", name.display())))?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| self.refused(error))?;
        if bytes.len() as u64 > LARGEST {
            return Err(
                self.refused(format!("`{}` is larger than {LARGEST} bytes", name.display()))
            );
        }
        Ok(bytes)
    }
}

impl SandboxRegistry {
    /// Puts every named entry of a layout's index under its name.
    pub(crate) async fn preload(&self, path: &Path) -> Result<(), SandboxError> {
        let mut layout = PreloadedLayout::open(path)?;
        let index = layout.index()?;
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let Some(full_name) = descriptor["annotations"][REF_NAME].as_str() else {
                continue;
            };
            let (name, tag) = full_name.rsplit_once(':').unwrap_or((full_name, "latest"));
            let name = ServedName::parse(name).map_err(|error| layout.refused(error))?;
            let digest = self.preload_manifest(&mut layout, &name, descriptor, 0).await?;
            match ServedReference::parse(tag).map_err(|error| layout.refused(error))? {
                ServedReference::Tag(tag) => self
                    .store
                    .put_tag(&name, &tag, &digest)
                    .await
                    .map_err(|error| layout.refused(error))?,
                ServedReference::Digest(_) => {
                    return Err(layout.refused(format!("`{full_name}` has no tag")));
                }
            }
        }
        Ok(())
    }

    /// Puts every entry of a layout's index into one repository, under the tag that its name ends
    /// with, if it has one.
    pub(crate) async fn preload_whole(&self, path: &Path, name: &str) -> Result<(), SandboxError> {
        let mut layout = PreloadedLayout::open(path)?;
        let name = ServedName::parse(name).map_err(|error| layout.refused(error))?;
        let index = layout.index()?;
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let digest = self.preload_manifest(&mut layout, &name, descriptor, 0).await?;
            let named = descriptor["annotations"][REF_NAME]
                .as_str()
                .map(|name| name.rsplit([':', '/']).next().unwrap_or(name));
            if let Some(Ok(ServedReference::Tag(tag))) = named.map(ServedReference::parse) {
                self.store
                    .put_tag(&name, &tag, &digest)
                    .await
                    .map_err(|error| layout.refused(error))?;
            }
        }
        Ok(())
    }

    /// The manifest after its children and blobs, so that it never lacks a part.
    async fn preload_manifest(
        &self,
        layout: &mut PreloadedLayout<'_>,
        name: &ServedName,
        descriptor: &Value,
        depth: usize,
    ) -> Result<ServedDigest, SandboxError> {
        if depth > DEEPEST {
            return Err(layout.refused("its indexes nest too deeply"));
        }
        let text = descriptor["digest"].as_str().unwrap_or_default();
        let digest = ServedDigest::parse(text).map_err(|error| layout.refused(error))?;
        if layout.put.contains(&digest) {
            return Ok(digest);
        }
        let bytes = layout.document(&layout.blobs, Path::new(digest.hex()))?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|error| layout.refused(error))?;
        if ServedDigest::of(&bytes) != digest {
            return Err(layout.refused(format!("blob `{text}` has another digest")));
        }
        let list = |field: &str| document[field].as_array().cloned().unwrap_or_default();
        for child in list("manifests") {
            Box::pin(self.preload_manifest(layout, name, &child, depth + 1)).await?;
        }
        for blob in document.get("config").cloned().into_iter().chain(list("layers")) {
            self.preload_blob(layout, name, &blob).await?;
        }
        let own_type = document["mediaType"].as_str().or(descriptor["mediaType"].as_str());
        let media_type = own_type.unwrap_or_default().to_owned();
        let subject =
            super::manifests::subject(&document).map_err(|error| layout.refused(error))?;
        self.store_manifest(
            name,
            &digest,
            &StoredManifest { bytes, media_type },
            &document,
            subject.as_ref(),
        )
        .await
        .map_err(|error| layout.refused(error))?;
        layout.put.insert(digest.clone());
        Ok(digest)
    }

    /// Linked where the file system allows it: base images are large and never change.
    async fn preload_blob(
        &self,
        layout: &PreloadedLayout<'_>,
        name: &ServedName,
        descriptor: &Value,
    ) -> Result<(), SandboxError> {
        let text = descriptor["digest"].as_str().unwrap_or_default();
        let digest = ServedDigest::parse(text).map_err(|error| layout.refused(error))?;
        let (from, to) = (layout.blob_path(&digest), self.store.blob_path(&digest));
        let known = super::store::exists(&to).await;
        let there =
            layout.blobs.file(Path::new(digest.hex())).map_err(|error| layout.refused(error))?;
        if there.is_none() && !known {
            return Err(layout.refused(format!("blob `{text}` is not there")));
        }
        if !known && tokio::fs::hard_link(&from, &to).await.is_err() {
            tokio::fs::copy(&from, &to)
                .await
                .map_err(|error| layout.refused(format!("blob `{text}`: {error}")))?;
        }
        self.store.link_blob(name, &digest).await.map_err(|error| layout.refused(error))
    }
}
