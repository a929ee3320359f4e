//! A published image and its evidence as an OCI image layout on disk: every manifest and blob
//! fetched and hashed. It never writes a file under a name that is not its hash.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::error::OrRemedy as _;
use crate::image::{Digest, ImageRef, Tag};
use crate::registry::Registry;
use crate::registry::closure::{self, ClosureKind};
use crate::registry::manifest::{Descriptor, OCI_INDEX};
use crate::registry::names::ATTACHED;

/// Writes the closure of an image: index, platforms, attestations, and all that refers to any of
/// them, in both formats.
pub async fn write(
    registry: &Registry,
    image: &ImageRef,
    names: &[String],
    subjects: &[Digest],
    folder: &Path,
) -> anyhow::Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("`{}` cannot be made", blobs.display()))?;
    let older = subjects.iter().flat_map(|subject| {
        ATTACHED.map(|suffix| format!("sha256-{}.{suffix}", subject.hex()).parse())
    });
    let older: BTreeSet<Tag> = older.collect::<Result<_, _>>()?;
    let closure = closure::walk(registry, &image.repository, [image.digest.clone()], &older)
        .await
        .remedied()?;
    anyhow::ensure!(closure.missing.is_empty(), "the registry lacks a part of `{image}`");
    let mut index: Vec<Descriptor> = Vec::new();
    for part in &closure.parts {
        let mut named = |name: &str| {
            let mut entry = part.descriptor.clone();
            entry
                .annotations
                .insert("org.opencontainers.image.ref.name".to_owned(), name.to_owned());
            index.push(entry);
        };
        match (part.kind, &part.tag) {
            (ClosureKind::Config | ClosureKind::Layer, _) => {
                write_blob(
                    registry,
                    image,
                    &part.descriptor,
                    &path(&blobs, &part.descriptor.digest),
                )
                .await?;
                continue;
            }
            (ClosureKind::Root, _) => names.iter().for_each(|name| named(name)),
            (ClosureKind::Attached, Some(tag)) => named(tag.as_str()),
            // A layout has no list of referrers: its index is where they are found.
            (ClosureKind::Referrer, _)
                if !index.iter().any(|entry| entry.digest == part.descriptor.digest) =>
            {
                index.push(part.descriptor.clone())
            }
            _ => {}
        }
    }
    for (digest, manifest) in &closure.manifests {
        fs::write(path(&blobs, digest), &manifest.bytes)?;
    }
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": index });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}

async fn write_blob(
    registry: &Registry,
    image: &ImageRef,
    blob: &Descriptor,
    to: &Path,
) -> anyhow::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let part = to.with_extension("part");
    let mut file =
        File::create(&part).with_context(|| format!("`{}` cannot be written", part.display()))?;
    registry.stream_blob(&image.repository, blob, &mut file).await.remedied()?;
    fs::rename(&part, to)?;
    Ok(())
}

fn path(blobs: &Path, digest: &Digest) -> PathBuf {
    blobs.join(digest.hex())
}
