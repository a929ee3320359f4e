//! Image reference + policy → `VerifiedImage`, read from the registry as a stranger would. It never
//! sees what signing returned, and nothing else in the program can make a `VerifiedImage`.

pub mod built;
mod carried;
pub mod check;
mod collect;
pub mod existing;
mod inventory;
mod judge;
pub mod known;
pub mod legacy;
pub mod policy;
#[cfg(test)]
pub(crate) mod sample;
pub mod signer;
pub mod standing;
pub mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use sigstore_types::DerPublicKey;

use self::built::Built;
pub use self::carried::{CarriedEvidence, SignerClaim, StatementDocuments, WantedAmount};
pub(crate) use self::collect::BUNDLE_LIMIT;
pub use self::inventory::common_kinds;
pub use self::judge::{Reasons, Unproven};
use self::policy::{EvidencePolicy, FormatsAccepted};
use self::standing::RunStanding;
use self::summary::SummaryStatement;
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::image::{Digest, ImageRef, Platform};
use crate::registry::Registry;
use crate::registry::manifest::RegistryManifest;
use crate::scan::attestation::ScanStatement;
use crate::sigstore::source::CertificateSource;
use crate::sigstore::verifier::{BundleVerifier, Signer};

const CONCURRENCY: usize = 8;

/// An image all of whose parts carry the evidence its policy asks for.
#[derive(Debug, Clone)]
pub struct VerifiedImage {
    image: ImageRef,
    manifest: RegistryManifest,
    evidence: VerifiedEvidence,
    told: Vec<String>,
    sizes: Vec<(Digest, u64)>,
    holding: BTreeSet<Digest>,
}

impl VerifiedImage {
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The verified bytes, which is what a tag is set on.
    pub fn manifest(&self) -> &RegistryManifest {
        &self.manifest
    }

    pub fn evidence(&self) -> &VerifiedEvidence {
        &self.evidence
    }

    /// What the image holds that is refused where nobody allows it.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// How large the layers of each image are, as they are fetched.
    pub fn sizes(&self) -> &[(Digest, u64)] {
        &self.sizes
    }

    /// Every statement about it that verifies, whoever signed it and whether or not it was asked for:
    /// by its bytes.
    pub fn holding(&self) -> &BTreeSet<Digest> {
        &self.holding
    }

    /// Whether each of its parts has a signature that says this of it and no more.
    pub fn is_signed_with(&self, annotations: &BTreeMap<String, String>) -> bool {
        self.evidence.subjects.iter().all(|subject| {
            subject.signatures.is_empty()
                || subject.signatures.iter().any(|statement| statement.annotations == *annotations)
        })
    }

    /// The commits that the verified provenances name.
    pub fn commits(&self) -> Vec<&str> {
        self.evidence
            .subjects
            .iter()
            .flat_map(|subject| &subject.attestations)
            .filter_map(|statement| statement.commit.as_deref())
            .collect()
    }
}

/// What was found and checked.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedEvidence {
    pub signer: Signer,
    /// The runs that signed, each once: several where a part was signed again, none where a key
    /// signed.
    pub sources: Vec<CertificateSource>,
    pub subjects: Vec<SubjectEvidence>,
}

impl VerifiedEvidence {
    fn new(signer: Signer, subjects: Vec<SubjectEvidence>) -> Self {
        let mut evidence = Self { signer, sources: Vec::new(), subjects };
        let mut sources: Vec<CertificateSource> = Vec::new();
        for source in evidence.statements().filter_map(|statement| statement.source.as_ref()) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        evidence.sources = sources;
        evidence
    }

    /// All that was found, part after part.
    pub fn statements(&self) -> impl Iterator<Item = &VerifiedStatement> {
        self.subjects
            .iter()
            .flat_map(|subject| subject.signatures.iter().chain(&subject.attestations))
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct SubjectEvidence {
    pub kind: EvidencePart,
    pub digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    pub signatures: Vec<VerifiedStatement>,
    pub attestations: Vec<VerifiedStatement>,
}

/// One checked statement and where it is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedStatement {
    pub format: EvidenceFormat,
    pub predicate_type: String,
    /// The referrer's manifest; the older format has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The blob: a bundle, or a layer of the older format.
    pub bundle: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// Whether a transparency log's inclusion proof was checked.
    pub logged: bool,
    /// The commit an SLSA provenance of a workflow names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Where a provenance says that the image is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Built>,
    /// Of the bytes that were signed.
    #[serde(skip)]
    pub payload: Digest,
    /// What it says of its subject, as `cosign sign -a` does.
    #[serde(skip)]
    pub annotations: BTreeMap<String, String>,
    /// Whom the certificate names, or the key.
    #[serde(skip)]
    pub signer: Signer,
    /// What the certificate says of the run; a key says nothing. Told once for all statements of an
    /// image.
    #[serde(rename = "run", serialize_with = "run_alone", skip_serializing_if = "names_no_run")]
    pub source: Option<CertificateSource>,
    /// What a workflow's provenance says of its run.
    #[serde(skip)]
    pub told: Option<RunStanding>,
    /// Whether the log is the public one that people search.
    #[serde(skip)]
    pub is_public: bool,
    /// How many packages an SBOM lists beside the image itself.
    #[serde(skip)]
    pub packages: Option<usize>,
    /// What an SBOM, a provenance or a result of a scan says, where somebody reads on in it; else
    /// nothing is kept of it.
    #[serde(skip)]
    pub document: Option<Arc<serde_json::Value>>,
    /// What the result of a scan says, or why it says nothing.
    #[serde(serialize_with = "what_it_says", skip_serializing_if = "says_nothing")]
    pub scan: Option<Result<ScanStatement, String>>,
    /// What a verification summary says, or why it says nothing.
    #[serde(serialize_with = "what_it_says", skip_serializing_if = "says_nothing")]
    pub summary: Option<Result<SummaryStatement, String>>,
}

fn what_it_says<T: Serialize, S: serde::Serializer>(
    read: &Option<Result<T, String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    read.as_ref().and_then(|read| read.as_ref().ok()).serialize(serializer)
}

fn says_nothing<T>(read: &Option<Result<T, String>>) -> bool {
    !matches!(read, Some(Ok(_)))
}

fn run_alone<S: serde::Serializer>(
    source: &Option<CertificateSource>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    source.as_ref().and_then(|source| source.run.as_ref()).serialize(serializer)
}

fn names_no_run(source: &Option<CertificateSource>) -> bool {
    source.as_ref().is_none_or(|source| source.run.is_none())
}

/// Every statement about a digest that verifies, whoever signed it: by certificate, or with `key`.
/// For who asks what stands there; a policy says what counts.
pub async fn statements(
    registry: &Registry,
    verifier: &BundleVerifier,
    image: &ImageRef,
    key: Option<&DerPublicKey>,
    formats: &[EvidenceFormat],
) -> anyhow::Result<Vec<VerifiedStatement>> {
    let found =
        collect::collected(registry, verifier, &image.repository, &image.digest, key, formats)
            .await
            .whole()?;
    Ok(found.statements)
}

/// The gate: checks an image against a policy, of which every statement is needed in each format.
/// Refuses with every reason it found.
pub async fn verify(
    registry: &Registry,
    verifier: &BundleVerifier,
    image: &ImageRef,
    policy: &EvidencePolicy,
) -> anyhow::Result<VerifiedImage> {
    let key = policy.signer.signer.key();
    let carried = CarriedEvidence::read(
        registry,
        verifier,
        image,
        &policy.requirements,
        key,
        (WantedAmount::All, StatementDocuments::Forgotten),
    )
    .await?;
    let evidence = carried
        .judged(policy, FormatsAccepted::Each(&policy.requirements.formats), jiff::Timestamp::now())
        .map_err(Reasons::for_publisher)?;
    carried.verified(evidence)
}
