//! An image that a name stands on → what the runs of this repository that signed it say of it:
//! commit, ref and versions. It believes no label, and takes no failure to read for "nobody signed
//! it".

use std::collections::BTreeMap;

use serde_json::Value;

use super::{VerifiedStatement, statements};
use crate::evidence::EvidenceFormat;
use crate::image::ImageRef;
use crate::metadata::line::LineVersion;
use crate::registry::Registry;
use crate::sigstore::verifier::{BundleVerifier, Signer};

/// What one run says of an image, signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunStanding {
    /// `https://github.com/OWNER/NAME`.
    pub repository: Option<String>,
    pub commit: Option<String>,
    pub git_ref: Option<String>,
    /// By the names that the run gave.
    pub versions: BTreeMap<String, LineVersion>,
}

impl RunStanding {
    /// What the provenance of a workflow says; `None` of any other.
    pub(super) fn read(predicate: &Value) -> Option<Self> {
        let text = |pointer: &str| predicate.pointer(pointer)?.as_str().map(str::to_owned);
        let repository = text("/buildDefinition/externalParameters/workflow/repository")?;
        let versions = predicate.pointer("/buildDefinition/internalParameters/versions").cloned();
        Some(Self {
            repository: Some(repository),
            commit: text("/buildDefinition/resolvedDependencies/0/digest/gitCommit"),
            git_ref: text("/buildDefinition/externalParameters/workflow/ref"),
            versions: versions
                .and_then(|versions| serde_json::from_value(versions).ok())
                .unwrap_or_default(),
        })
    }
}

/// Whose evidence is compared with.
#[derive(Debug, Clone)]
pub struct OwnStatements {
    /// Who signs in this run. A workflow signs under another name for each ref.
    pub signer: Signer,
    /// `https://github.com/OWNER/NAME`.
    pub repository: String,
    /// The number that the repository keeps when it is renamed; empty where nobody tells it.
    pub repository_id: String,
}

impl OwnStatements {
    /// What each run of this repository says of an image; empty where none signed it.
    pub async fn told(
        &self,
        registry: &Registry,
        verifier: &BundleVerifier,
        image: &ImageRef,
    ) -> anyhow::Result<Vec<RunStanding>> {
        let formats = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
        let found = statements(registry, verifier, image, self.signer.key(), &formats).await?;
        let mut told: Vec<RunStanding> = Vec::new();
        for one in found.iter().filter_map(|statement| self.of(statement)) {
            // A run signs several statements, and one of them tells the versions.
            match told
                .iter_mut()
                .find(|known| known.commit == one.commit && known.git_ref == one.git_ref)
            {
                Some(known) => known.versions.extend(one.versions),
                None => told.push(one),
            }
        }
        Ok(told)
    }

    /// What a statement tells, where it is of this repository: by its certificate, or, where a key
    /// signed, by its provenance.
    fn of(&self, statement: &VerifiedStatement) -> Option<RunStanding> {
        let read = statement.told.clone().unwrap_or_default();
        match (&self.signer, &statement.signer, &statement.source) {
            (Signer::Key(ours), Signer::Key(theirs), _) if ours == theirs => statement
                .told
                .clone()
                .filter(|told| told.repository.as_deref() == Some(self.repository.as_str())),
            (
                Signer::Keyless { issuer: ours, .. },
                Signer::Keyless { issuer: theirs, .. },
                Some(source),
            ) if ours == theirs => {
                let has_id = !self.repository_id.is_empty() && source.repository_id.is_some();
                let is_ours = if has_id {
                    source.repository_id.as_deref() == Some(self.repository_id.as_str())
                } else {
                    source.repository.as_deref() == Some(self.repository.as_str())
                };
                let told = RunStanding {
                    repository: source.repository.clone(),
                    commit: source.commit.clone(),
                    git_ref: source.git_ref.clone(),
                    versions: read.versions,
                };
                is_ours.then_some(told)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provenance_that_is_no_workflows_tells_nothing() {
        assert_eq!(
            RunStanding::read(&serde_json::json!({ "buildDefinition": { "buildType": "x" } })),
            None
        );
        let told = RunStanding::read(&serde_json::json!({ "buildDefinition": {
            "externalParameters": { "workflow": { "ref": "refs/tags/v1", "repository": "r" } },
            "internalParameters": { "versions": { "v1": { "version": "1.2.3" } } },
        } }));
        let told = told.unwrap();
        assert_eq!(
            (told.git_ref.as_deref(), told.versions["v1"].text()),
            (Some("refs/tags/v1"), "1.2.3")
        );
    }
}
