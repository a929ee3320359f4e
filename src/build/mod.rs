//! Plan → `BuiltImage`: pushed by digest, confirmed by fetching and hashing, not named by any
//! tag.

pub mod arguments;
pub mod bake;
pub mod builder;
pub mod buildx;
pub mod caches;
pub mod checks;
pub mod emulation;
pub mod failure;
pub mod flags;
pub mod inherited;
mod late;
pub mod merge;
pub mod outputs;
pub mod progress;
pub mod recipe;
pub mod sbom;
pub mod scanner;
pub mod source;
pub mod sources;
pub mod variables;
mod withheld;

use anyhow::bail;

use self::checks::DockerfileChecks;
use self::merge::TakenImage;
use self::progress::PlatformWork;
use crate::error::OrRemedy as _;
use crate::evidence::EvidencePart;
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::oci::Allowed;
use crate::registry::Registry;
use crate::registry::contents::{self, PlatformImage};
use crate::registry::manifest::Descriptor;

/// An image that lies in its repositories under its digest alone. Only this module's makers can
/// make one.
#[derive(Debug)]
#[must_use = "a built image without evidence is not published"]
pub struct BuiltImage {
    repositories: Vec<Repository>,
    root: Descriptor,
    platforms: Vec<PlatformImage>,
    /// How it was built, as far as the builder showed it.
    work: Vec<PlatformWork>,
    /// What it was made of that no job of this run built.
    taken: Vec<TakenImage>,
    /// What BuildKit says of its Dockerfile.
    checks: DockerfileChecks,
}

/// What an image must be for.
struct Expected<'a> {
    platforms: &'a [Platform],
    allowed: &'a Allowed,
}

impl BuiltImage {
    /// Reads back what a builder says it pushed; nothing of what it said is believed but the digest
    /// to look for.
    async fn confirm(
        registry: &Registry,
        repositories: &[Repository],
        digest: &Digest,
        wanted: &Expected<'_>,
    ) -> anyhow::Result<Self> {
        let Some(first) = repositories.first() else {
            bail!("there is no repository to read the image from")
        };
        let image = first.at(digest);
        let contents = contents::read(registry, &image, wanted.allowed).await.remedied()?;
        for platform in wanted.platforms {
            if !contents.platforms.iter().any(|built| platform.is(&built.platform)) {
                bail!("`{image}` was built without `{platform}`");
            }
        }
        // The gate will tell what was allowed; nothing is signed that it would refuse.
        contents.look_into(registry, &image, wanted.allowed).await.remedied()?;
        Ok(Self {
            repositories: repositories.to_vec(),
            root: contents.root.descriptor,
            platforms: contents.platforms,
            work: Vec::new(),
            taken: Vec::new(),
            checks: DockerfileChecks::NotAsked,
        })
    }

    fn made_by(mut self, work: Vec<PlatformWork>) -> Self {
        self.work = work;
        self
    }

    fn made_of(mut self, taken: Vec<TakenImage>) -> Self {
        self.taken = taken;
        self
    }

    /// With what BuildKit says of its Dockerfile.
    pub fn checked(mut self, checks: DockerfileChecks) -> Self {
        self.checks = checks;
        self
    }

    pub fn checks(&self) -> &DockerfileChecks {
        &self.checks
    }

    pub fn taken(&self) -> &[TakenImage] {
        &self.taken
    }

    pub fn work(&self) -> &[PlatformWork] {
        &self.work
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

    /// Everything that may be signed, each digest once: the index, the image of each platform,
    /// BuildKit's attestations of each. An image without an index is both index and platform.
    pub fn subjects(&self) -> Vec<(Vec<EvidencePart>, &Descriptor)> {
        let is_root = |descriptor: &Descriptor| descriptor.digest == self.root.digest;
        let root_is_platform = self.platforms.iter().any(|part| is_root(&part.descriptor));
        let mut subjects = vec![(
            if root_is_platform {
                vec![EvidencePart::Index, EvidencePart::Platform]
            } else {
                vec![EvidencePart::Index]
            },
            &self.root,
        )];
        for part in &self.platforms {
            subjects.extend(
                Some(&part.descriptor)
                    .filter(|descriptor| !is_root(descriptor))
                    .map(|of| (vec![EvidencePart::Platform], of)),
            );
            subjects.extend(
                part.attestations.as_ref().map(|of| (vec![EvidencePart::Attestations], of)),
            );
        }
        subjects
    }

    /// The image in each of its repositories.
    pub fn images(&self) -> impl Iterator<Item = ImageRef> {
        self.repositories.iter().map(|repository| repository.at(&self.root.digest))
    }
}
