//! Makes registry content out of OCI layouts on disk; it never changes a layout.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Registry;
use super::names::{Digest, Name, Reference};
use super::store::Manifest;
use crate::sandbox::SandboxError;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An index in an index is usual, and no more.
const DEEPEST: usize = 8;

struct Layout<'a> {
    path: &'a Path,
}

impl Layout<'_> {
    fn refused(&self, reason: impl ToString) -> SandboxError {
        SandboxError::Layout { path: self.path.to_owned(), reason: reason.to_string() }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join("sha256").join(digest.hex())
    }

    async fn json(&self, path: &Path) -> Result<(Vec<u8>, Value), SandboxError> {
        let bytes = tokio::fs::read(path).await.map_err(|error| self.refused(format!("`{}`: {error}", path.display())))?;
        let document = serde_json::from_slice(&bytes).map_err(|error| self.refused(error))?;
        Ok((bytes, document))
    }
}

impl Registry {
    /// Puts every named entry of a layout's index under its name.
    pub(crate) async fn preload(&self, path: &Path) -> Result<(), SandboxError> {
        let layout = Layout { path };
        let (_, index) = layout.json(&path.join("index.json")).await?;
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let Some(full_name) = descriptor["annotations"][REF_NAME].as_str() else {
                continue;
            };
            let (name, tag) = full_name.rsplit_once(':').unwrap_or((full_name, "latest"));
            let name = Name::parse(name).map_err(|error| layout.refused(error))?;
            let digest = self.preload_manifest(&layout, &name, descriptor, 0).await?;
            match Reference::parse(tag).map_err(|error| layout.refused(error))? {
                Reference::Tag(tag) => self.store.put_tag(&name, &tag, &digest).await.map_err(|error| layout.refused(error))?,
                Reference::Digest(_) => {
                    return Err(layout.refused(format!("`{full_name}` has no tag")));
                }
            }
        }
        Ok(())
    }

    /// Puts every entry of a layout's index into one repository, under the tag that its name ends with, if it has one.
    pub(crate) async fn preload_whole(&self, path: &Path, name: &str) -> Result<(), SandboxError> {
        let layout = Layout { path };
        let name = Name::parse(name).map_err(|error| layout.refused(error))?;
        let (_, index) = layout.json(&path.join("index.json")).await?;
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let digest = self.preload_manifest(&layout, &name, descriptor, 0).await?;
            let named = descriptor["annotations"][REF_NAME].as_str().map(|name| name.rsplit([':', '/']).next().unwrap_or(name));
            if let Some(Ok(Reference::Tag(tag))) = named.map(Reference::parse) {
                self.store.put_tag(&name, &tag, &digest).await.map_err(|error| layout.refused(error))?;
            }
        }
        Ok(())
    }

    /// The manifest after its children and blobs, so that it never lacks a part.
    async fn preload_manifest(&self, layout: &Layout<'_>, name: &Name, descriptor: &Value, depth: usize) -> Result<Digest, SandboxError> {
        if depth > DEEPEST {
            return Err(layout.refused("its indexes nest too deeply"));
        }
        let text = descriptor["digest"].as_str().unwrap_or_default();
        let digest = Digest::parse(text).map_err(|error| layout.refused(error))?;
        let (bytes, document) = layout.json(&layout.blob_path(&digest)).await?;
        if Digest::of(&bytes) != digest {
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
        let subject = super::manifests::subject(&document).map_err(|error| layout.refused(error))?;
        self.store_manifest(name, &digest, &Manifest { bytes, media_type }, &document, subject.as_ref())
            .await
            .map_err(|error| layout.refused(error))?;
        Ok(digest)
    }

    /// Linked where the file system allows it: base images are large and never change.
    async fn preload_blob(&self, layout: &Layout<'_>, name: &Name, descriptor: &Value) -> Result<(), SandboxError> {
        let text = descriptor["digest"].as_str().unwrap_or_default();
        let digest = Digest::parse(text).map_err(|error| layout.refused(error))?;
        let (from, to) = (layout.blob_path(&digest), self.store.blob_path(&digest));
        let known = super::store::exists(&to).await;
        if !known && tokio::fs::hard_link(&from, &to).await.is_err() {
            tokio::fs::copy(&from, &to).await.map_err(|error| layout.refused(format!("blob `{text}`: {error}")))?;
        }
        self.store.link_blob(name, &digest).await.map_err(|error| layout.refused(error))
    }
}
