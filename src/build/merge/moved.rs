//! Manifests of one repository in another, with what they consist of. It puts no name, and nothing
//! by another digest than it had.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::MergeRegistries;
use crate::error::OrRemedy as _;
use crate::image::Repository;
use crate::registry::RegistryError;
use crate::registry::copy::BlobSource;
use crate::registry::manifest::{Descriptor, RegistryManifest};

/// Blobs of one image that are under way at once.
const CONCURRENCY: usize = 4;

/// What had to be moved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct MovedImages {
    pub manifests: usize,
    /// Bytes that no registry mounted.
    pub bytes: u64,
}

impl std::ops::AddAssign for MovedImages {
    fn add_assign(&mut self, other: Self) {
        self.manifests += other.manifests;
        self.bytes += other.bytes;
    }
}

/// Makes the image or the attestations of `manifest`, which lie in `home`, those of `to` as well.
pub(super) async fn supply(
    registries: MergeRegistries<'_>,
    home: &Repository,
    to: &Repository,
    manifest: &RegistryManifest,
) -> anyhow::Result<MovedImages> {
    let digest = &manifest.descriptor.digest;
    if registries.published.manifest(&to.at(digest)).await.remedied()?.is_some() {
        return Ok(MovedImages::default());
    }
    let part = manifest.image().context("a manifest that was read before")?;
    let mut seen = BTreeSet::new();
    let blobs: Vec<&Descriptor> = std::iter::once(&part.config)
        .chain(&part.layers)
        .filter(|blob| seen.insert(&blob.digest))
        .collect();
    let copied = blobs.into_iter().map(|blob| async move {
        let from = BlobSource { registry: registries.read, repository: home, blob };
        match registries.published.copy_blob(&from, to).await {
            // Whoever pulls fetches it from elsewhere, which was allowed.
            Err(RegistryError::Absent { .. }) if blob.is_foreign() => Ok(0),
            copied => copied
                .remedied()
                .with_context(|| format!("`{}` is not moved to `{to}`", home.at(digest))),
        }
    });
    let sent: Vec<u64> = stream::iter(copied).buffered(CONCURRENCY).try_collect().await?;
    registries.published.put_manifest(to, manifest).await.remedied()?;
    Ok(MovedImages { manifests: 1, bytes: sent.iter().sum() })
}
