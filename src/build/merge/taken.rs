//! Images that are named rather than handed on → their digests, each asked for once, and what is
//! told of them. A tag that moves later changes nothing.

use anyhow::anyhow;
use futures_util::future::join_all;

use crate::build::merge::claims::SourceImage;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, Platform, Repository};
use crate::problems::Problems;
use crate::registry::Registry;

/// An image that no job of this run handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenImage {
    pub source: SourceImage,
    /// What its tag named when the run began.
    pub digest: Digest,
    /// Those that it is for.
    pub platforms: Vec<Platform>,
}

impl TakenImage {
    /// What a person calls it: by its tag, where it has one.
    pub fn name(&self) -> String {
        match &self.source.tag {
            Some(tag) => format!("{}:{tag}", self.source.repository),
            None => self.source.at(&self.digest).to_string(),
        }
    }

    /// What becomes of it, for people.
    pub fn shown(&self, to: &[Repository]) -> String {
        let platforms: Vec<String> =
            self.platforms.iter().map(|platform| format!("`{platform}`")).collect();
        let moved: Vec<String> = to
            .iter()
            .filter(|repository| **repository != self.source.repository)
            .map(|repository| format!("`{repository}`"))
            .collect();
        let moved = match moved.as_slice() {
            [] => String::new(),
            moved => format!("moved by digest to {} and ", moved.join(" and ")),
        };
        format!(
            "`{}` is `{}` for {}; it is {moved}proven here; its signatures elsewhere are not copied",
            self.name(),
            self.digest,
            platforms.join(", ")
        )
    }
}

/// Each image with its digest; everything that is not there is told at once.
pub(super) async fn pinned<'a>(
    registry: &Registry,
    sources: &'a [SourceImage],
) -> anyhow::Result<Vec<(&'a SourceImage, Digest)>> {
    let mut problems = Problems::default();
    let asked = join_all(sources.iter().map(|source| pin(registry, source))).await;
    let found = asked.into_iter().filter_map(|found| problems.take(found)).collect();
    problems.into_result()?;
    Ok(found)
}

async fn pin<'a>(
    registry: &Registry,
    source: &'a SourceImage,
) -> anyhow::Result<(&'a SourceImage, Digest)> {
    let (digest, tag) = match (&source.digest, &source.tag) {
        (Some(digest), _) => return Ok((source, digest.clone())),
        (None, Some(tag)) => (registry.tagged(&source.repository, tag).await.remedied()?, tag),
        (None, None) => anyhow::bail!("`{source}` names no image"),
    };
    match digest {
        Some(manifest) => Ok((source, manifest.descriptor.digest)),
        None => Err(anyhow!("input `source-images`: there is no `{}:{tag}`", source.repository))
            .hint("check its name; a job of this run that pushes it must be in `needs`"),
    }
}
