//! What an image already carries: statements that verify, by the same signer of the same source, so
//! that a rerun signs nothing twice. It never takes a failure to read for "nothing is there".

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::CONCURRENCY;
use super::collect::collected;
use super::signer::SignerPolicy;
use crate::evidence::Format;
use crate::image::{Digest, Repository};
use crate::registry::Registry;
use crate::sigstore::verifier::BundleVerifier;

/// Statements that are there, by where they are and what they say to the byte.
#[derive(Debug, Default)]
pub struct Existing(HashSet<(Repository, Digest, Format, Digest)>);

impl Existing {
    /// Reads what these subjects carry in every repository.
    pub async fn read(
        registry: &Registry,
        verifier: &BundleVerifier,
        repositories: &[Repository],
        subjects: &[&Digest],
        signer: &SignerPolicy,
        formats: &[Format],
    ) -> anyhow::Result<Self> {
        let places = repositories
            .iter()
            .flat_map(|repository| subjects.iter().map(move |subject| (repository, *subject)));
        let read = places.map(|(repository, subject)| async move {
            let key = signer.signer.key();
            let found =
                collected(registry, verifier, repository, subject, key, formats).await.whole()?;
            anyhow::Ok(
                found
                    .statements
                    .into_iter()
                    .filter(|statement| {
                        signer.admits(&statement.signer, statement.source.as_ref()).is_ok()
                    })
                    .map(|statement| {
                        (repository.clone(), subject.clone(), statement.format, statement.payload)
                    })
                    .collect::<Vec<_>>(),
            )
        });
        let found: Vec<Vec<_>> = stream::iter(read).buffered(CONCURRENCY).try_collect().await?;
        Ok(Self(found.into_iter().flatten().collect()))
    }

    /// Whether a statement is there, in this format, in a repository.
    pub fn has(
        &self,
        repository: &Repository,
        subject: &Digest,
        format: Format,
        payload: &[u8],
    ) -> bool {
        !self.0.is_empty()
            && self.0.contains(&(repository.clone(), subject.clone(), format, Digest::of(payload)))
    }

    /// Whether it is there in every repository.
    pub fn has_everywhere(
        &self,
        repositories: &[Repository],
        subject: &Digest,
        format: Format,
        payload: &[u8],
    ) -> bool {
        repositories.iter().all(|repository| self.has(repository, subject, format, payload))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
