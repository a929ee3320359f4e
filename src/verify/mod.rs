//! Image reference + policy → `VerifiedImage`, read from the registry as a stranger would. It never sees what signing
//! returned, and nothing else in the program can make a `VerifiedImage`.

pub mod claims;
pub mod existing;
pub mod legacy;
pub mod policy;

use std::collections::BTreeMap;

use anyhow::bail;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use self::policy::{Format, Part, Policy};
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::registry::contents::{self, Contents};
use crate::registry::legacy::Attached;
use crate::registry::manifest::{Descriptor, Manifest};
use crate::registry::{Registry, RegistryError};
use crate::sigstore::SIGNATURE_PREDICATE;
use crate::sigstore::verifier::{BundleVerifier, CheckedStatement, Signer};

/// A bundle holds an SBOM at most; GitHub and Kyverno stop at 16 and 10 MiB.
const BUNDLE_LIMIT: usize = 64 << 20;
/// What BuildKit's manifests of unsigned statements are.
const BUILDKIT_STATEMENTS: &str = "application/vnd.docker.attestation.manifest.v1+json";
/// Referrers of one subject that are read; more is a flood and not evidence.
const REFERRERS_LIMIT: usize = 1000;
const CONCURRENCY: usize = 8;

/// An image all of whose parts carry the evidence its policy asks for.
#[derive(Debug, Clone)]
pub struct VerifiedImage {
    image: ImageRef,
    manifest: Manifest,
    evidence: Evidence,
}

impl VerifiedImage {
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The verified bytes, which is what a tag is put on.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn evidence(&self) -> &Evidence {
        &self.evidence
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
pub struct Evidence {
    pub signer: Signer,
    pub subjects: Vec<SubjectEvidence>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SubjectEvidence {
    pub kind: Part,
    pub digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    pub signatures: Vec<Statement>,
    pub attestations: Vec<Statement>,
}

/// One checked statement and where it is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    pub format: Format,
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
    /// Of the bytes that were signed.
    #[serde(skip)]
    pub payload: Digest,
}

/// One part of an image and what it needs.
struct Subject<'a> {
    kind: Part,
    descriptor: &'a Descriptor,
    is_root: bool,
    platform: Option<&'a Platform>,
    required: Vec<String>,
}

/// Checks an image against a policy. Refuses with every reason it found.
pub async fn verify(registry: &Registry, verifier: &BundleVerifier, image: &ImageRef, policy: &Policy) -> anyhow::Result<VerifiedImage> {
    let contents = contents::read(registry, image).await.remedied()?;
    let subjects = subjects(&contents, policy)?;
    let checks = subjects.iter().map(|subject| check_subject(registry, verifier, &image.repository, subject, policy));
    let found: Vec<SubjectEvidence> = stream::iter(checks).buffered(CONCURRENCY).try_collect().await?;
    Ok(VerifiedImage {
        image: image.clone(),
        manifest: contents.root.clone(),
        evidence: Evidence { signer: policy.signer.clone(), subjects: found },
    })
}

/// The parts of the image with their requirements; a missing platform is a refusal.
fn subjects<'a>(contents: &'a Contents, policy: &Policy) -> anyhow::Result<Vec<Subject<'a>>> {
    let requirements = &policy.requirements;
    for wanted in &requirements.platforms {
        if !contents.platforms.iter().any(|built| wanted.is_met_by(&built.platform)) {
            let built: Vec<String> = contents.platforms.iter().map(|built| format!("`{}`", built.platform)).collect();
            bail!(
                "the image has no `{wanted}`; it has {}",
                if built.is_empty() { "no platform at all".to_owned() } else { built.join(", ") }
            );
        }
    }
    let root = &contents.root.descriptor;
    let mut subjects = Vec::new();
    if contents.root.is_index() {
        subjects.push(Subject { kind: Part::Index, descriptor: root, is_root: true, platform: None, required: requirements.index.clone() });
    }
    for part in &contents.platforms {
        let mut required = requirements.platform.clone();
        let is_root = part.descriptor.digest == root.digest;
        if is_root {
            required.extend(requirements.index.iter().filter(|kind| !requirements.platform.contains(kind)).cloned());
        }
        subjects.push(Subject { kind: Part::Platform, descriptor: &part.descriptor, is_root, platform: Some(&part.platform), required });
        let attestations = part.attestations.as_ref().filter(|_| !requirements.attestations.is_empty());
        subjects.extend(attestations.map(|descriptor| Subject {
            kind: Part::Attestations,
            descriptor,
            is_root: false,
            platform: Some(&part.platform),
            required: requirements.attestations.clone(),
        }));
    }
    Ok(subjects)
}

async fn check_subject(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    subject: &Subject<'_>,
    policy: &Policy,
) -> anyhow::Result<SubjectEvidence> {
    let (signer, formats) = (&policy.signer, &policy.requirements.formats);
    let digest = &subject.descriptor.digest;
    // The root was fetched before; an index may list what the registry does not hold.
    let image = repository.at(digest);
    let present = async { if subject.is_root { Ok(()) } else { registry.expect_manifest(&image).await.map(drop) } };
    let (_, Collected { statements, refused, unsupported }) =
        futures_util::try_join!(async { present.await.remedied() }, collected(registry, verifier, repository, digest, signer, formats))?;
    let mut evidence = SubjectEvidence {
        kind: subject.kind,
        digest: digest.clone(),
        platform: subject.platform.cloned(),
        signatures: Vec::new(),
        attestations: Vec::new(),
    };
    for statement in statements {
        let is_signature = statement.predicate_type == SIGNATURE_PREDICATE;
        if is_signature { &mut evidence.signatures } else { &mut evidence.attestations }.push(statement);
    }
    // A registry lists referrers in any order; the same evidence reads the same.
    for statements in [&mut evidence.signatures, &mut evidence.attestations] {
        statements.sort_by(|one, other| {
            let key =
                |statement: &Statement| (statement.format, statement.predicate_type.clone(), statement.log_index, statement.bundle.clone());
            key(one).cmp(&key(other))
        });
    }
    let missing: Vec<String> = formats.iter().flat_map(|format| missing(&evidence, &subject.required, *format)).collect();
    if missing.is_empty() {
        return Ok(evidence);
    }
    let name = match (subject.kind, subject.platform) {
        (Part::Attestations, Some(platform)) => format!("the attestation manifest of `{platform}`"),
        (_, Some(platform)) => format!("`{platform}`"),
        (_, None) => "the index".to_owned(),
    };
    let mut message = format!("{name} (`{}`) has no valid {} by {signer}", digest.short(), missing.join(", "));
    for why in refused {
        message.push_str(&format!("; {why}"));
    }
    if !unsupported.is_empty() {
        let kinds: Vec<String> = unsupported.iter().map(|(kind, count)| format!("{count} of `{kind}`")).collect();
        message.push_str(&format!("; not supported, so neither believed nor refused: {}", kinds.join(", ")));
    }
    Err(anyhow::anyhow!(message)).hint("a rerun signs again; if it persists, compare `trusted-root` with the services of `signing-config`")
}

/// What a subject carries.
#[derive(Debug, Default)]
struct Collected {
    statements: Vec<Statement>,
    /// Why others do not count.
    refused: Vec<String>,
    /// How many there are of each kind that cannot be checked.
    unsupported: BTreeMap<String, usize>,
}

/// Every statement of a subject that counts, and what else is there.
async fn collected(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    digest: &Digest,
    signer: &Signer,
    formats: &[Format],
) -> anyhow::Result<Collected> {
    let bundles = async {
        if !formats.contains(&Format::Bundle) {
            return Ok(Vec::new());
        }
        let referrers = registry.referrers(repository, digest).await.remedied()?;
        if referrers.len() > REFERRERS_LIMIT {
            bail!("`{repository}@{digest}` has {} referrers, more than {REFERRERS_LIMIT}: this is a flood, not evidence", referrers.len());
        }
        let read = referrers.iter().map(|referrer| check_referrer(registry, verifier, repository, digest, referrer, signer));
        stream::iter(read).buffered(CONCURRENCY).try_collect::<Vec<Outcome>>().await
    };
    let layers = async {
        if formats.contains(&Format::Legacy) { check_layers(registry, verifier, repository, digest, signer).await } else { Ok(Vec::new()) }
    };
    let (bundles, layers) = futures_util::try_join!(bundles, layers)?;
    let mut collected = Collected::default();
    for outcome in bundles.into_iter().chain(layers) {
        match outcome {
            Outcome::Counts(statement) => collected.statements.push(statement),
            Outcome::DoesNotCount(why) => collected.refused.push(why),
            Outcome::Unsupported(kind) => *collected.unsupported.entry(kind).or_default() += 1,
        }
    }
    Ok(collected)
}

/// The required statements that are not there in a format.
fn missing(evidence: &SubjectEvidence, required: &[String], format: Format) -> Vec<String> {
    let found: Vec<&Statement> = evidence.signatures.iter().chain(&evidence.attestations).filter(|found| found.format == format).collect();
    let absent = required.iter().filter(|kind| !found.iter().any(|statement| statement.predicate_type == **kind));
    let older = if format == Format::Legacy { " (older format)" } else { "" };
    absent.map(|kind| format!("`{kind}`{older}")).collect()
}

enum Outcome {
    Counts(Statement),
    /// A bundle that fails a check: ours never counts then, a stranger's never does.
    DoesNotCount(String),
    /// Not a Sigstore bundle of a kind that we know: what it is.
    Unsupported(String),
}

/// Fetches and checks one referrer. Only the registry's failures are errors: anybody may attach anything to an image.
async fn check_referrer(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    subject: &Digest,
    referrer: &Descriptor,
    signer: &Signer,
) -> anyhow::Result<Outcome> {
    let refused = |why: String| Ok(Outcome::DoesNotCount(format!("referrer `{}` does not count: {why}", referrer.digest.short())));
    match fetch(registry, repository, subject, referrer).await? {
        Fetched::Unsupported(kind) => Ok(Outcome::Unsupported(kind)),
        Fetched::Refused(why) => refused(why),
        Fetched::Bundle { bytes, digest } => match verifier.check(&bytes, subject, signer) {
            Ok(checked) => Ok(Outcome::Counts(statement(checked, Format::Bundle, Some(&referrer.digest), &digest))),
            Err(error) => refused(error.to_string()),
        },
    }
}

/// A referrer as it was found.
enum Fetched {
    Bundle {
        bytes: Vec<u8>,
        digest: Digest,
    },
    Refused(String),
    /// Not a Sigstore bundle: what it is.
    Unsupported(String),
}

async fn fetch(registry: &Registry, repository: &Repository, subject: &Digest, referrer: &Descriptor) -> anyhow::Result<Fetched> {
    let refused = |why: String| Ok(Fetched::Refused(why));
    // The list's own `artifactType` is only a hint: some registries show the config's there, and no bundle's is this one. Whoever says it of
    // a bundle hides evidence, and so makes no image pass.
    if referrer.artifact_type.as_deref() == Some(BUILDKIT_STATEMENTS) {
        return Ok(Fetched::Unsupported(BUILDKIT_STATEMENTS.to_owned()));
    }
    let manifest = match registry.manifest(&repository.at(&referrer.digest)).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return refused("it is listed and not there".to_owned()),
        Err(error @ RegistryError::Mismatch { .. }) => return refused(error.to_string()),
        Err(error) => return Err(error).remedied(),
    };
    let Ok(fields) = manifest.fields() else { return Ok(Fetched::Unsupported("a manifest that cannot be read".to_owned())) };
    let is_bundle = |kind: &str| kind.starts_with("application/vnd.dev.sigstore.bundle");
    let kind = fields.artifact_type.as_deref().or(fields.config.as_ref().map(|config| config.media_type.as_str())).unwrap_or_default();
    let layer = match fields.layers.as_slice() {
        [layer] if is_bundle(kind) || is_bundle(&layer.media_type) => layer,
        _ => return Ok(Fetched::Unsupported(shown(kind))),
    };
    if fields.subject.is_none_or(|named| named.digest != *subject) {
        return refused("it names another subject".to_owned());
    }
    if layer.size > BUNDLE_LIMIT as u64 {
        return refused(format!("its bundle is larger than {BUNDLE_LIMIT} bytes"));
    }
    match registry.blob(repository, layer, BUNDLE_LIMIT).await {
        Ok(bytes) => Ok(Fetched::Bundle { bytes, digest: layer.digest.clone() }),
        Err(error @ (RegistryError::Absent { .. } | RegistryError::Mismatch { .. })) => refused(error.to_string()),
        Err(error) => Err(error).remedied(),
    }
}

/// A media type as somebody wrote it, fit for a message.
fn shown(kind: &str) -> String {
    let kind: String = kind.chars().filter(|letter| letter.is_ascii_graphic() && *letter != '`').take(100).collect();
    if kind.is_empty() { "no kind".to_owned() } else { kind }
}

/// Fetches and checks the layers of the older format.
async fn check_layers(
    registry: &Registry,
    verifier: &BundleVerifier,
    repository: &Repository,
    subject: &Digest,
    signer: &Signer,
) -> anyhow::Result<Vec<Outcome>> {
    let (signatures, attestations) = futures_util::try_join!(
        registry.legacy_layers(repository, subject, Attached::Signatures),
        registry.legacy_layers(repository, subject, Attached::Attestations),
    )
    .remedied()?;
    let checks = signatures.iter().chain(&attestations).map(|layer| async move {
        if layer.size > BUNDLE_LIMIT as u64 {
            return Ok(Outcome::DoesNotCount(format!(
                "layer `{}` does not count: it is larger than {BUNDLE_LIMIT} bytes",
                layer.digest.short()
            )));
        }
        let refused = |why: String| Outcome::DoesNotCount(format!("layer `{}` does not count: {why}", layer.digest.short()));
        match registry.blob(repository, layer, BUNDLE_LIMIT).await {
            Ok(bytes) => Ok(check_layer(verifier, layer, &bytes, subject, signer).unwrap_or_else(refused)),
            Err(error @ (RegistryError::Absent { .. } | RegistryError::Mismatch { .. })) => Ok(refused(error.to_string())),
            Err(error) => Err(error).remedied(),
        }
    });
    stream::iter(checks).buffered(CONCURRENCY).try_collect().await
}

fn check_layer(verifier: &BundleVerifier, layer: &Descriptor, bytes: &[u8], subject: &Digest, signer: &Signer) -> Result<Outcome, String> {
    let kind = layer.media_type.as_str();
    if ![legacy::SIMPLE_SIGNING, legacy::DSSE].contains(&kind) {
        return Ok(Outcome::Unsupported(shown(kind)));
    }
    let bundle = legacy::bundle(bytes, &layer.annotations, matches!(signer, Signer::Key(_)))?;
    if kind == legacy::DSSE {
        let checked = verifier.check(&bundle, subject, signer).map_err(|error| error.to_string())?;
        return Ok(Outcome::Counts(statement(checked, Format::Legacy, None, &layer.digest)));
    }
    let checked = verifier.check_payload(&bundle, bytes, signer).map_err(|error| error.to_string())?;
    if !legacy::is_about(bytes, subject) {
        return Err(format!("its payload is not about `{subject}`"));
    }
    Ok(Outcome::Counts(Statement {
        format: Format::Legacy,
        predicate_type: SIGNATURE_PREDICATE.to_owned(),
        manifest: None,
        bundle: layer.digest.clone(),
        log_index: checked.log_index,
        signed_at: checked.signed_at,
        logged: checked.logged,
        commit: None,
        payload: Digest::of(bytes),
    }))
}

fn statement(checked: CheckedStatement, format: Format, manifest: Option<&Digest>, bundle: &Digest) -> Statement {
    let dependency = checked.predicate.pointer("/buildDefinition/resolvedDependencies/0/digest/gitCommit");
    Statement {
        commit: dependency.and_then(|commit| commit.as_str()).map(str::to_owned),
        format,
        predicate_type: checked.predicate_type,
        manifest: manifest.cloned(),
        bundle: bundle.clone(),
        log_index: checked.log_index,
        signed_at: checked.signed_at,
        logged: checked.logged,
        payload: checked.payload,
    }
}
