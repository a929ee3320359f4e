//! What an image already carries: statements that verify, by the same signer of the same source, so
//! that a rerun signs nothing twice. It never takes a failure to read for "nothing is there".

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;

use super::CONCURRENCY;
use super::collect::collected;
use super::signer::SignerPolicy;
use crate::evidence::{EvidenceFormat, EvidenceKind};
use crate::image::{Digest, Repository};
use crate::registry::Registry;
use crate::scan::attestation::ScanStatement;
use crate::sigstore::verifier::BundleVerifier;

/// Statements that are there.
#[derive(Debug, Default)]
pub struct ExistingStatements {
    /// By where they are and what they say to the byte.
    said: HashSet<(Repository, Digest, EvidenceFormat, Digest)>,
    /// What cannot be the same to the byte, as it says when it was made: results of scans, and what
    /// was decided about them.
    scans: Vec<(StatementSpot, Option<ScanStatement>)>,
    /// A result that says the same is made again after this time all the same.
    fresh: Option<SignedDuration>,
}

/// Where a statement of a predicate type is, and about what.
type StatementSpot = (Repository, Digest, EvidenceFormat, String);

/// Where nobody says how old a result may be.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

impl ExistingStatements {
    /// Reads what these subjects carry in every repository.
    pub async fn read(
        registry: &Registry,
        verifier: &BundleVerifier,
        repositories: &[Repository],
        subjects: &[&Digest],
        signer: &SignerPolicy,
        formats: &[EvidenceFormat],
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
                    .map(|statement| (repository.clone(), subject.clone(), statement))
                    .collect::<Vec<_>>(),
            )
        });
        let found: Vec<Vec<_>> = stream::iter(read).buffered(CONCURRENCY).try_collect().await?;
        let mut existing = Self::default();
        for (repository, subject, statement) in found.into_iter().flatten() {
            let kind = statement.predicate_type;
            if [Some(EvidenceKind::Vulnerabilities), Some(EvidenceKind::Vex)]
                .contains(&EvidenceKind::of(&kind))
            {
                let spot = (repository.clone(), subject.clone(), statement.format, kind);
                existing.scans.push((spot, statement.scan.and_then(Result::ok)));
            }
            existing.said.insert((repository, subject, statement.format, statement.payload));
        }
        Ok(existing)
    }

    /// The same, where a result of a scan serves for so long.
    pub fn with_fresh(self, fresh: SignedDuration) -> Self {
        Self { fresh: Some(fresh), ..self }
    }

    /// Whether every repository has the result of a scan that found the same a short time ago.
    pub fn has_scan_everywhere(
        &self,
        repositories: &[Repository],
        subject: &Digest,
        (format, predicate_type): (EvidenceFormat, &str),
        scan: &ScanStatement,
    ) -> bool {
        repositories.iter().all(|repository| {
            let is_at = |spot: &StatementSpot| {
                (&spot.0, &spot.1, spot.2, spot.3.as_str())
                    == (repository, subject, format, predicate_type)
            };
            // Another result since then speaks against this one.
            let at = self.scans.iter().filter(|(spot, _)| is_at(spot));
            let newest = at.filter_map(|(_, found)| found.as_ref()).max_by_key(|it| it.finished);
            newest.is_some_and(|found| {
                let age = scan.finished.duration_since(found.finished);
                found.says_as(scan) && age < self.fresh.unwrap_or(FRESH)
            })
        })
    }

    /// Whether every repository has a statement of this predicate type about it.
    pub fn has_type_everywhere(
        &self,
        repositories: &[Repository],
        subject: &Digest,
        (format, predicate_type): (EvidenceFormat, &str),
    ) -> bool {
        repositories.iter().all(|repository| {
            self.scans.iter().any(|(spot, _)| {
                (&spot.0, &spot.1, spot.2, spot.3.as_str())
                    == (repository, subject, format, predicate_type)
            })
        })
    }

    /// Whether a statement is there, in this format, in a repository.
    pub fn has(
        &self,
        repository: &Repository,
        subject: &Digest,
        format: EvidenceFormat,
        payload: &[u8],
    ) -> bool {
        let said = || (repository.clone(), subject.clone(), format, Digest::of(payload));
        !self.said.is_empty() && self.said.contains(&said())
    }

    /// Whether it is there in every repository.
    pub fn has_everywhere(
        &self,
        repositories: &[Repository],
        subject: &Digest,
        format: EvidenceFormat,
        payload: &[u8],
    ) -> bool {
        repositories.iter().all(|repository| self.has(repository, subject, format, payload))
    }

    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}
