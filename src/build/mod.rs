//! `Plan` → `BuiltImage`: pushed by digest, confirmed by fetching and hashing, not named by any tag.

pub mod arguments;
pub mod builder;
pub mod buildx;
pub mod caches;
pub mod emulation;
pub mod flags;
pub mod scanner;

use anyhow::bail;

use crate::error::OrRemedy as _;
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::registry::Registry;
use crate::registry::contents::{self, PlatformImage};
use crate::registry::manifest::Descriptor;

/// An image that lies in its repositories under its digest alone. Only this module's makers can make one.
#[derive(Debug)]
#[must_use = "a built image without evidence is not published"]
pub struct BuiltImage {
    repositories: Vec<Repository>,
    root: Descriptor,
    platforms: Vec<PlatformImage>,
}

impl BuiltImage {
    /// Reads back what a builder says it pushed; nothing of what it said is believed but the digest to look for.
    async fn confirm(registry: &Registry, repositories: &[Repository], digest: &Digest, wanted: &[Platform]) -> anyhow::Result<Self> {
        let Some(first) = repositories.first() else { bail!("there is no repository to read the image from") };
        let contents = contents::read(registry, &first.at(digest)).await.remedied()?;
        for platform in wanted {
            if !contents.platforms.iter().any(|built| platform.is_met_by(&built.platform)) {
                bail!("`{}` was built without `{platform}`", first.at(digest));
            }
        }
        Ok(Self { repositories: repositories.to_vec(), root: contents.root.descriptor, platforms: contents.platforms })
    }

    pub fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    /// The index, or the one manifest of an image for one platform without attestations.
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    pub fn platforms(&self) -> &[PlatformImage] {
        &self.platforms
    }

    /// Everything that is signed: the index and the image of each platform, each digest once.
    pub fn subjects(&self) -> Vec<&Descriptor> {
        let mut subjects = vec![&self.root];
        subjects.extend(self.platforms.iter().map(|part| &part.descriptor).filter(|descriptor| descriptor.digest != self.root.digest));
        subjects
    }

    /// The image in each of its repositories.
    pub fn images(&self) -> impl Iterator<Item = ImageRef> {
        self.repositories.iter().map(|repository| repository.at(&self.root.digest))
    }
}
