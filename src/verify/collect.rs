//! What a part of an image carries: every statement that verifies, whoever signed it, and what else
//! is there. Only a registry's failure is an error, as anybody may attach anything to an image.
//! What counts is for a policy to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use sigstore_types::DerPublicKey;

use super::built::{self, Built};
use super::standing::RunStanding;
use super::summary::SummaryStatement;
use super::{CONCURRENCY, VerifiedStatement, legacy};
use crate::error::OrRemedy as _;
use crate::evidence;
use crate::evidence::{EvidenceFormat, EvidenceKind};
use crate::image::{Digest, Repository};
use crate::oci::entries::BUILDKIT_STATEMENTS;
use crate::registry::legacy::Attached;
use crate::registry::manifest::Descriptor;
use crate::registry::{Registry, RegistryError};
use crate::scan::attestation::ScanStatement;
use crate::sigstore::verifier::{
    BundleVerifier, CheckedStatement, claimed_by, claimed_signer, is_ahead, names_only_a_key,
};

/// A bundle holds an SBOM at most; GitHub and Kyverno stop at 16 and 10 MiB.
pub(crate) const BUNDLE_LIMIT: usize = 64 << 20;

/// What a subject carries.
#[derive(Debug, Default)]
pub(super) struct CollectedEvidence {
    /// Those that verify.
    pub(super) statements: Vec<VerifiedStatement>,
    /// Others, which do not.
    pub(super) refused: Vec<RefusedBundle>,
    /// How many there are of each kind that cannot be checked.
    pub(super) unsupported: BTreeMap<String, usize>,
    /// What could not be read, so that nobody knows what is there.
    pub(super) unread: Vec<UnreadFormat>,
}

impl CollectedEvidence {
    /// All of it, or why a part of it could not be read.
    pub(super) fn whole(self) -> anyhow::Result<Self> {
        let Self { mut unread, .. } = self;
        match unread.pop() {
            Some(UnreadFormat { error, .. }) => Err(error),
            None => Ok(Self { unread, ..self }),
        }
    }
}

/// Everything of one format, which could not be read.
#[derive(Debug)]
pub(super) struct UnreadFormat {
    pub(super) format: EvidenceFormat,
    pub(super) error: anyhow::Error,
}

/// What does not count, and why.
#[derive(Debug, Clone)]
pub(super) struct RefusedBundle {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) format: EvidenceFormat,
    /// Identity and issuer that it claims, of which nothing is believed.
    pub(super) claims: Option<(String, String)>,
    /// What the verifier could be given for it to count.
    pub(super) wants: Option<VerifierNeeds>,
}

/// What a verifier lacks to check a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerifierNeeds {
    /// A key signed it.
    Key,
    /// This key signed it, and no log entry says so.
    NoLog,
    /// The log's clock is ahead of ours, so that it may count in a moment.
    Time,
}

impl RefusedBundle {
    pub(super) fn new(format: EvidenceFormat, name: String, why: String) -> Self {
        Self { name, why, format, claims: None, wants: None }
    }

    /// What a statement is called in a message: by its referrer, or as a layer of the older format.
    pub(super) fn named(manifest: Option<&Digest>, bundle: &Digest) -> String {
        match manifest {
            Some(manifest) => format!("referrer `{}`", manifest.short()),
            None => format!("layer `{}`", bundle.short()),
        }
    }
}

/// Reads all that a subject carries in these formats; what names only a key is checked with `key`.
/// What could not be read is told as such.
pub(super) async fn collected(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    digest: &Digest,
    key: Option<&DerPublicKey>,
    formats: &[EvidenceFormat],
) -> CollectedEvidence {
    let bundles = async {
        if !formats.contains(&EvidenceFormat::Bundle) {
            return Ok(Vec::new());
        }
        let referrers = registry.referrers(repository, digest).await.remedied()?;
        let read = referrers
            .iter()
            .map(|referrer| check_referrer(registry, verifier, repository, digest, referrer, key));
        stream::iter(read).buffered(CONCURRENCY).try_collect::<Vec<BundleOutcome>>().await
    };
    let layers = async {
        if formats.contains(&EvidenceFormat::Legacy) {
            check_layers(registry, verifier, repository, digest, key).await
        } else {
            Ok(Vec::new())
        }
    };
    let (bundles, layers) = futures_util::join!(bundles, layers);
    let mut collected = CollectedEvidence::default();
    for (format, read) in [(EvidenceFormat::Bundle, bundles), (EvidenceFormat::Legacy, layers)] {
        match read {
            Ok(outcomes) => outcomes.into_iter().for_each(|outcome| collected.add(outcome)),
            Err(error) => collected.unread.push(UnreadFormat { format, error }),
        }
    }
    collected
}

impl CollectedEvidence {
    fn add(&mut self, outcome: BundleOutcome) {
        match outcome {
            BundleOutcome::Holds(statement) => self.statements.push(*statement),
            BundleOutcome::DoesNotHold(why) => self.refused.push(why),
            BundleOutcome::Unsupported(kind) => *self.unsupported.entry(kind).or_default() += 1,
        }
    }
}

enum BundleOutcome {
    Holds(Box<VerifiedStatement>),
    /// A bundle that fails a check: ours never counts then, a stranger's never does.
    DoesNotHold(RefusedBundle),
    /// Not a Sigstore bundle of a kind that we know: what it is.
    Unsupported(String),
}

/// Fetches and checks one referrer. Only the registry's failures are errors: anybody may attach
/// anything to an image.
async fn check_referrer(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    subject: &Digest,
    referrer: &Descriptor,
    key: Option<&DerPublicKey>,
) -> anyhow::Result<BundleOutcome> {
    let name = RefusedBundle::named(Some(&referrer.digest), &referrer.digest);
    Ok(match fetch(registry, repository, subject, referrer).await? {
        FetchedReferrer::Unsupported(kind) => BundleOutcome::Unsupported(kind),
        FetchedReferrer::Refused(why) => {
            BundleOutcome::DoesNotHold(RefusedBundle::new(EvidenceFormat::Bundle, name, why))
        }
        FetchedReferrer::Bundle { bytes, digest } => match verifier.statement(&bytes, subject, key)
        {
            Ok(checked) => BundleOutcome::Holds(Box::new(statement(
                checked,
                subject,
                EvidenceFormat::Bundle,
                Some(&referrer.digest),
                &digest,
            ))),
            Err(error) => {
                let (claims, wants) = (claimed_signer(&bytes), wants(verifier, &bytes, None, key));
                BundleOutcome::DoesNotHold(RefusedBundle {
                    claims,
                    wants,
                    ..RefusedBundle::new(EvidenceFormat::Bundle, name, error.to_string())
                })
            }
        },
    })
}

/// What would make a refused bundle count, of what a verifier may be given.
fn wants(
    verifier: &BundleVerifier,
    bundle: &[u8],
    payload: Option<&[u8]>,
    key: Option<&DerPublicKey>,
) -> Option<VerifierNeeds> {
    match key {
        _ if is_ahead(bundle, jiff::Timestamp::now()) => Some(VerifierNeeds::Time),
        None => names_only_a_key(bundle).then_some(VerifierNeeds::Key),
        Some(key) => verifier.is_by_key_alone(bundle, payload, key).then_some(VerifierNeeds::NoLog),
    }
}

/// A referrer as it was found.
pub(super) enum FetchedReferrer {
    Bundle {
        bytes: Vec<u8>,
        digest: Digest,
    },
    Refused(String),
    /// Not a Sigstore bundle: what it is.
    Unsupported(String),
}

pub(super) async fn fetch(
    registry: &Registry,
    repository: &Repository,
    subject: &Digest,
    referrer: &Descriptor,
) -> anyhow::Result<FetchedReferrer> {
    let refused = |why: String| Ok(FetchedReferrer::Refused(why));
    // The list's own `artifactType` is only a hint: some registries show the config's there, and no
    // bundle's is this one. Whoever says it of a bundle hides evidence, and so makes no image pass.
    if referrer.artifact_type.as_deref() == Some(BUILDKIT_STATEMENTS) {
        return Ok(FetchedReferrer::Unsupported(BUILDKIT_STATEMENTS.to_owned()));
    }
    let manifest = match registry.manifest(&repository.at(&referrer.digest)).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return refused("it is listed, but the registry does not have it".to_owned()),
        Err(error @ RegistryError::Mismatch { .. }) => return refused(error.to_string()),
        Err(error) => return Err(error).remedied(),
    };
    let Ok(found) = manifest.image() else {
        return Ok(FetchedReferrer::Unsupported("a manifest that cannot be read".to_owned()));
    };
    let is_bundle = |kind: &str| kind.starts_with("application/vnd.dev.sigstore.bundle");
    let kind = found.kind();
    let layer = match found.layers.as_slice() {
        [layer] if is_bundle(kind) || is_bundle(&layer.media_type) => layer,
        _ => return Ok(FetchedReferrer::Unsupported(shown(kind))),
    };
    if found.subject.is_none_or(|named| named.digest != *subject) {
        return refused("it names another subject".to_owned());
    }
    if layer.size > BUNDLE_LIMIT as u64 {
        return refused(format!("its bundle is larger than {BUNDLE_LIMIT} bytes"));
    }
    match registry.blob(repository, layer, BUNDLE_LIMIT).await {
        Ok(bytes) => Ok(FetchedReferrer::Bundle { bytes, digest: layer.digest.clone() }),
        Err(error @ (RegistryError::Absent { .. } | RegistryError::Mismatch { .. })) => {
            refused(error.to_string())
        }
        Err(error) => Err(error).remedied(),
    }
}

/// A media type as somebody wrote it, fit for a message.
fn shown(kind: &str) -> String {
    let kind: String = kind
        .chars()
        .filter(|letter| letter.is_ascii_graphic() && *letter != '`')
        .take(100)
        .collect();
    if kind.is_empty() { "no kind".to_owned() } else { kind }
}

/// Fetches and checks the layers of the older format.
async fn check_layers(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    subject: &Digest,
    key: Option<&DerPublicKey>,
) -> anyhow::Result<Vec<BundleOutcome>> {
    let (signatures, attestations) = futures_util::try_join!(
        registry.legacy_layers(repository, subject, Attached::Signatures),
        registry.legacy_layers(repository, subject, Attached::Attestations),
    )
    .remedied()?;
    let checks = signatures.iter().chain(&attestations).map(|layer| async move {
        let name = RefusedBundle::named(None, &layer.digest);
        let refused = |why: String| {
            BundleOutcome::DoesNotHold(RefusedBundle::new(
                EvidenceFormat::Legacy,
                name.clone(),
                why,
            ))
        };
        if layer.size > BUNDLE_LIMIT as u64 {
            return Ok(refused(format!("it is larger than {BUNDLE_LIMIT} bytes")));
        }
        match registry.blob(repository, layer, BUNDLE_LIMIT).await {
            Ok(bytes) => {
                Ok(check_layer(verifier, layer, &bytes, subject, key).unwrap_or_else(|why| {
                    let claims = legacy::certificate(&layer.annotations)
                        .and_then(|certificate| claimed_by(&certificate));
                    let wants = match key {
                        None if legacy::is_by_key(&layer.annotations) => Some(VerifierNeeds::Key),
                        None => legacy::bundle(&bytes, &layer.annotations, false)
                            .is_ok_and(|bundle| is_ahead(&bundle, jiff::Timestamp::now()))
                            .then_some(VerifierNeeds::Time),
                        Some(_) => {
                            legacy::unlogged(&bytes, &layer.annotations).ok().and_then(|bundle| {
                                wants(verifier, &bundle, payload_of(layer, &bytes), key)
                            })
                        }
                    };
                    BundleOutcome::DoesNotHold(RefusedBundle {
                        claims,
                        wants,
                        ..RefusedBundle::new(EvidenceFormat::Legacy, name, why)
                    })
                }))
            }
            Err(error @ (RegistryError::Absent { .. } | RegistryError::Mismatch { .. })) => {
                Ok(refused(error.to_string()))
            }
            Err(error) => Err(error).remedied(),
        }
    });
    stream::iter(checks).buffered(CONCURRENCY).try_collect().await
}

/// What a layer's signature is of, where it is no envelope.
fn payload_of<'a>(layer: &Descriptor, bytes: &'a [u8]) -> Option<&'a [u8]> {
    (layer.media_type == legacy::SIMPLE_SIGNING).then_some(bytes)
}

fn check_layer(
    verifier: &BundleVerifier,
    layer: &Descriptor,
    bytes: &[u8],
    subject: &Digest,
    key: Option<&DerPublicKey>,
) -> Result<BundleOutcome, String> {
    let kind = layer.media_type.as_str();
    if ![legacy::SIMPLE_SIGNING, legacy::DSSE].contains(&kind) {
        return Ok(BundleOutcome::Unsupported(shown(kind)));
    }
    let bundle = match legacy::bundle(bytes, &layer.annotations, key.is_some()) {
        Err(_) if key.is_some() && verifier.ignores_logs() => {
            legacy::unlogged(bytes, &layer.annotations)?
        }
        bundle => bundle?,
    };
    if kind == legacy::DSSE {
        let checked =
            verifier.statement(&bundle, subject, key).map_err(|error| error.to_string())?;
        return Ok(BundleOutcome::Holds(Box::new(statement(
            checked,
            subject,
            EvidenceFormat::Legacy,
            None,
            &layer.digest,
        ))));
    }
    let signed = verifier.payload(&bundle, bytes, key).map_err(|error| error.to_string())?;
    if !legacy::is_about(bytes, subject) {
        return Err(format!("its payload is not about `{subject}`"));
    }
    let statement = VerifiedStatement {
        format: EvidenceFormat::Legacy,
        predicate_type: evidence::SIGNATURE.to_owned(),
        manifest: None,
        bundle: layer.digest.clone(),
        log_index: signed.log_index,
        signed_at: signed.at,
        logged: signed.logged,
        commit: None,
        build: None,
        told: None,
        is_public: signed.is_public,
        packages: None,
        document: None,
        scan: None,
        summary: None,
        payload: Digest::of(bytes),
        annotations: legacy::annotations(bytes),
        signer: signed.by,
        source: signed.source,
    };
    Ok(BundleOutcome::Holds(Box::new(statement)))
}

/// What the result of a scan says; `None` of other kinds.
fn scan(predicate_type: &str, predicate: &Value) -> Option<Result<ScanStatement, String>> {
    EvidenceKind::Vulnerabilities
        .is(predicate_type)
        .then(|| ScanStatement::read(predicate_type, predicate).map_err(|why| why.to_string()))
}

/// What a verification summary says; `None` of other kinds.
fn summary(
    predicate_type: &str,
    predicate: &Value,
    subject: &Digest,
) -> Option<Result<SummaryStatement, String>> {
    EvidenceKind::VerificationSummary
        .is(predicate_type)
        .then(|| SummaryStatement::read(predicate, subject))
}

fn statement(
    checked: CheckedStatement,
    subject: &Digest,
    format: EvidenceFormat,
    manifest: Option<&Digest>,
    bundle: &Digest,
) -> VerifiedStatement {
    let dependency =
        checked.predicate.pointer("/buildDefinition/resolvedDependencies/0/digest/gitCommit");
    let kind = &checked.predicate_type;
    let is_read_again = EvidenceKind::Sbom.is(kind)
        || EvidenceKind::Vulnerabilities.is(kind)
        || evidence::is_slsa_provenance(kind);
    VerifiedStatement {
        told: RunStanding::read(&checked.predicate),
        commit: dependency.and_then(|commit| commit.as_str()).map(str::to_owned),
        build: Built::of(&checked.predicate_type, &checked.predicate),
        packages: built::packages(&checked.predicate_type, &checked.predicate),
        scan: scan(&checked.predicate_type, &checked.predicate),
        summary: summary(&checked.predicate_type, &checked.predicate, subject),
        is_public: checked.signed.is_public,
        format,
        predicate_type: checked.predicate_type,
        manifest: manifest.cloned(),
        bundle: bundle.clone(),
        log_index: checked.signed.log_index,
        signed_at: checked.signed.at,
        logged: checked.signed.logged,
        document: is_read_again.then(|| Arc::new(checked.predicate)),
        payload: checked.payload,
        annotations: checked.annotations,
        signer: checked.signed.by,
        source: checked.signed.source,
    }
}
