//! Evidence under tags that are digests with a suffix (`.sig`, `.att`, `.sbom`), in a repository
//! that may have its own there. What is there stays: signatures and attestations are added to it.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::IF_NONE_MATCH;

use super::super::closure::Closure;
use super::super::legacy::MergedTag;
use super::super::manifest::RegistryManifest;
use super::super::{RegistryError, RegistryResult};
use super::{LackingParts, SMALL_AT_ONCE, TransferEnd, of};
use crate::image::{Digest, Tag};

impl LackingParts {
    /// Puts one of the manifests; where it has a tag that nothing stands on, by that. Gives the tag
    /// that is put then.
    pub(super) async fn put<'a>(
        &'a self,
        closure: &Closure,
        digest: &Digest,
        to: TransferEnd<'_>,
    ) -> RegistryResult<Option<&'a Tag>> {
        let manifest = of(closure, digest)?;
        let tag = self.order.attached.iter().find(|(_, named)| *named == digest);
        if let Some((tag, _)) = tag.filter(|(tag, _)| self.is_free(tag)) {
            let nothing = Some((IF_NONE_MATCH, "*".to_owned()));
            if to.registry.replace(to.repository, tag, manifest, &nothing).await? {
                return Ok(Some(tag));
            }
        }
        to.registry.put_manifest(to.repository, manifest).await?;
        Ok(None)
    }

    fn is_free(&self, tag: &Tag) -> bool {
        self.names.names.as_ref().is_some_and(|names| !names.contains(tag))
    }

    /// Makes sure of every tag that is not put yet; what a person should know of them.
    pub(super) async fn attach(
        &self,
        closure: &Closure,
        to: TransferEnd<'_>,
        put: &BTreeSet<&Tag>,
    ) -> RegistryResult<Vec<String>> {
        let stands = |tag: &Tag| put.contains(tag) || self.present.attached.contains(tag);
        let left = self.order.attached.iter().filter(|(tag, _)| !stands(tag));
        let attach =
            left.map(|(tag, digest)| async move { attached(to, tag, of(closure, digest)?).await });
        let notes: Vec<Option<String>> =
            stream::iter(attach).buffer_unordered(SMALL_AT_ONCE).try_collect().await?;
        Ok(notes.into_iter().flatten().collect())
    }
}

async fn attached(
    to: TransferEnd<'_>,
    tag: &Tag,
    manifest: &RegistryManifest,
) -> RegistryResult<Option<String>> {
    let name = format!("`{}:{tag}`", to.repository);
    match to.registry.merge_attached(to.repository, tag, manifest).await {
        Ok(MergedTag::Stands) => Ok(None),
        Ok(MergedTag::Added) => Ok(Some(format!(
            "{name} already had evidence; the evidence of the source was added to it"
        ))),
        Ok(MergedTag::Kept) => {
            Ok(Some(format!("{name} points to something else, which stays unchanged")))
        }
        Err(RegistryError::Refused { status, .. }) => Ok(Some(format!(
            "{name} points to something else, and the registry does not allow replacing it ({status}), so it stays unchanged"
        ))),
        Err(error) => Err(error),
    }
}
