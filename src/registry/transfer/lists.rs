//! Manifests that are in a repository → those that are listed with their subject, by the registry or
//! under the fallback tag. It takes nothing out of a list.

use std::collections::BTreeMap;

use super::super::closure::digest_tag;
use super::super::manifest::{Descriptor, RegistryManifest};
use super::super::{Registry, RegistryError, RegistryResult, backoff};
use crate::image::{Digest, Repository};
use crate::oci::OciDocument;

/// How often a registry is asked for a list that lacks what it was given.
const LISTED_LATE: u32 = 4;

/// How a manifest is listed, by what it says itself: lists that others wrote may say otherwise
/// (<https://github.com/docker/buildx/issues/4010>).
pub fn entry_of(manifest: &RegistryManifest) -> Descriptor {
    let (artifact_type, annotations) = match manifest.document() {
        Ok(OciDocument::Index(index)) => (index.artifact_type, index.annotations),
        Ok(OciDocument::Image(image)) => (Some(image.kind().to_owned()), image.annotations),
        Err(_) => (None, BTreeMap::new()),
    };
    Descriptor { artifact_type, annotations, ..manifest.descriptor.clone() }
}

impl Registry {
    /// Makes sure that manifests which are here, and say that they are about this subject, are
    /// listed with it: by the registry, or where it has no such list, under the fallback tag.
    pub(super) async fn ensure_listed(
        &self,
        repository: &Repository,
        subject: &Digest,
        manifests: &[&RegistryManifest],
    ) -> RegistryResult<()> {
        for attempt in 1..=LISTED_LATE {
            let Some(found) = self.referrers_by_api(repository, subject).await? else {
                let entries: Vec<Descriptor> =
                    manifests.iter().map(|manifest| entry_of(manifest)).collect();
                self.add_to_fallback_tag(repository, subject, &entries).await?;
                self.memory.entries.note(repository, &digest_tag(subject, "")?, &entries).await;
                return Ok(());
            };
            let is_listed = |manifest: &RegistryManifest| {
                found.iter().any(|entry| entry.digest == manifest.descriptor.digest)
            };
            let lost: Vec<&&RegistryManifest> =
                manifests.iter().filter(|manifest| !is_listed(manifest)).collect();
            if lost.is_empty() {
                return Ok(());
            }
            // What came before its subject, or was copied without being looked at.
            for manifest in lost {
                self.put_manifest(repository, manifest).await?;
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(RegistryError::Content {
            image: repository.at(subject).to_string(),
            what: "received referrers that the registry does not list".to_owned(),
            remedy: Some(
                "ask who runs this registry, because it drops evidence; or keep the evidence under \
                 cosign's tags, with `signature-formats: legacy`"
                    .to_owned(),
            ),
            accepted_by: None,
        })
    }
}
