//! A published image and its evidence as an OCI image layout on disk: every manifest and blob fetched and hashed.
//! It never writes a file under a name that is not its hash.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::error::OrRemedy as _;
use crate::image::{Digest, ImageRef};
use crate::oci::Document;
use crate::registry::Registry;
use crate::registry::manifest::{Descriptor, Manifest};

/// Writes the closure of an image: index, platforms, attestations, and all that refers to any of them.
pub async fn write(registry: &Registry, image: &ImageRef, names: &[String], folder: &Path) -> anyhow::Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("`{}` cannot be made", blobs.display()))?;
    let root = registry.expect_manifest(image).await.remedied()?;
    let mut index: Vec<Descriptor> = Vec::new();
    for name in names {
        let mut entry = root.descriptor.clone();
        entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), name.clone());
        index.push(entry);
    }
    let mut seen = BTreeSet::new();
    let mut waiting = vec![root];
    while let Some(manifest) = waiting.pop() {
        if !seen.insert(manifest.descriptor.digest.clone()) {
            continue;
        }
        fs::write(path(&blobs, &manifest.descriptor.digest), &manifest.bytes)?;
        waiting.extend(parts(registry, image, &manifest, &blobs).await?);
        for referrer in registry.referrers(&image.repository, &manifest.descriptor.digest).await.remedied()? {
            // A layout has no referrers list: its index is where they are found.
            let found = registry.expect_manifest(&image.repository.at(&referrer.digest)).await.remedied()?;
            if !index.iter().any(|entry| entry.digest == referrer.digest) {
                index.push(referrer);
            }
            waiting.push(found);
        }
    }
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": crate::registry::manifest::OCI_INDEX, "manifests": index });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}

/// The manifests below this one; its blobs are written on the way.
async fn parts(registry: &Registry, image: &ImageRef, manifest: &Manifest, blobs: &Path) -> anyhow::Result<Vec<Manifest>> {
    let mut below = Vec::new();
    let index = match manifest.document().with_context(|| format!("`{}` cannot be read", manifest.descriptor.digest))? {
        Document::Index(index) => index,
        Document::Image(part) => {
            for blob in std::iter::once(&part.config).chain(&part.layers) {
                write_blob(registry, image, blob, &path(blobs, &blob.digest)).await?;
            }
            return Ok(below);
        }
    };
    for child in index.manifests {
        below.push(registry.expect_manifest(&image.repository.at(&child.digest)).await.remedied()?);
    }
    Ok(below)
}

async fn write_blob(registry: &Registry, image: &ImageRef, blob: &Descriptor, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let part = to.with_extension("part");
    let mut file = File::create(&part).with_context(|| format!("`{}` cannot be written", part.display()))?;
    registry.stream_blob(&image.repository, blob, &mut file).await.remedied()?;
    fs::rename(&part, to)?;
    Ok(())
}

fn path(blobs: &Path, digest: &Digest) -> PathBuf {
    blobs.join(digest.hex())
}
