//! `SignedImage` → `AttestedImage`: SBOM and build provenance on the image of each platform, an SBOM
//! of these and provenance of the workflow on the index. Drafts are collected and signed while the signatures go
//! up; they are attached only to a `SignedImage`.

pub mod buildkit;
pub mod lean;
pub mod of_index;
pub mod progress;
pub mod provenance;
pub mod sboms;
pub mod summary;
pub mod vulnerabilities;

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::oneshot;

use self::buildkit::StatedByBuild;
use self::provenance::Foreign;
use self::sboms::Sboms;
use crate::assess::bases::PlatformMaterials;
use crate::build::BuiltImage;
use crate::build::merge::TakenImage;
use crate::error::OrRemedy as _;
use crate::evidence::{EvidenceFormat, EvidenceKind, SPDX};
use crate::image::{Digest, Repository};
use crate::provenance::{BuildTimes, ProvenanceTerms, Slsa};
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::legacy::{Attached, LegacyLayer, OpenedTag};
use crate::registry::manifest::Descriptor;
use crate::sign::{
    CONCURRENCY, SealedStatement, SignedImage, attach_everywhere, legacy_layer, sealed, staged,
};
use crate::sigstore::session::Session;
use crate::verify::existing::ExistingStatements;
use crate::verify::legacy;

/// A statement that is to be signed, and what it is about.
#[derive(Debug)]
pub struct Draft {
    pub(crate) subject: Descriptor,
    pub(crate) predicate_type: String,
    pub(crate) statement: Vec<u8>,
}

/// Layers by the subject under whose tag they belong.
type LegacyLayers = BTreeMap<Digest, Vec<LegacyLayer>>;

impl Draft {
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }
}

/// An image with all its evidence attached, none of it checked. Only this module can make one.
#[derive(Debug)]
#[must_use = "an attested image is still to be verified"]
pub struct AttestedImage {
    built: BuiltImage,
    /// Of the attestations that were made in this run, for those who keep copies.
    bundles: Vec<bytes::Bytes>,
}

impl AttestedImage {
    pub fn built(&self) -> &BuiltImage {
        &self.built
    }

    pub fn bundles(&self) -> &[bytes::Bytes] {
        &self.bundles
    }
}

/// What others say of an image, read and accepted before anything of it is signed.
#[derive(Debug)]
pub struct AcceptedEvidence {
    drafts: Vec<Draft>,
    foreign: Vec<Foreign>,
    /// When the builds ran.
    times: BuildTimes,
    materials: Vec<PlatformMaterials>,
}

impl AcceptedEvidence {
    /// What each platform was built from, as its provenance says.
    pub fn materials(&self) -> &[PlatformMaterials] {
        &self.materials
    }

    /// What was built from something else than this run's commit.
    pub fn foreign(&self) -> &[Foreign] {
        &self.foreign
    }
}

/// Reads what the build stated, and the user's own SBOMs. Whatever does not hold is refused here.
pub async fn accept(
    registry: &Registry,
    parts: &DraftParts,
    terms: &ProvenanceTerms,
    sboms: &Sboms<'_>,
    versions: &[Slsa],
) -> anyhow::Result<AcceptedEvidence> {
    let stated = buildkit::stated(registry, parts, terms, versions).await?;
    let times = stated.iter().fold(BuildTimes::default(), |times, stated| times.with(stated.times));
    let foreign = parts
        .platforms
        .iter()
        .zip(&stated)
        .flat_map(|(part, stated)| match stated.origins.as_slice() {
            [] if parts.is_taken(part) => vec![Foreign::unknown(part)],
            origins => Foreign::of(part, origins),
        })
        .collect();
    let listed = stated.iter().map(|stated| stated.listed).collect();
    let of_part = |(part, stated): (&PlatformImage, &StatedByBuild)| PlatformMaterials {
        platform: part.platform.clone(),
        materials: stated.materials.clone(),
        lines: stated.lines.clone(),
    };
    let materials = parts.platforms.iter().zip(&stated).map(of_part).collect();
    let mut drafts: Vec<Draft> = stated.into_iter().flat_map(|stated| stated.drafts).collect();
    match sboms {
        Sboms::Build => sboms::not_empty(registry, parts, listed).await?,
        Sboms::Files(own) => drafts.extend(sboms::of_files(registry, parts, own).await?),
        // A job may have made some before its image was merged; each platform gets one.
        Sboms::Layers(_) => drafts.retain(|draft| draft.predicate_type != SPDX),
    }
    Ok(AcceptedEvidence { drafts, foreign, times, materials })
}

/// Collects what is to be attested: what was accepted, SBOMs of layers, and the workflow's
/// provenance.
pub async fn draft(
    registry: &Registry,
    parts: &DraftParts,
    workflow: &provenance::WorkflowOfRun,
    sboms: &Sboms<'_>,
    accepted: impl Future<Output = anyhow::Result<AcceptedEvidence>>,
) -> anyhow::Result<Vec<Draft>> {
    let of_layers = async {
        match sboms {
            Sboms::Layers(how) => sboms::of_layers(registry, parts, how).await,
            Sboms::Build | Sboms::Files(_) => Ok(Vec::new()),
        }
    };
    let (AcceptedEvidence { mut drafts, foreign, times, .. }, of_layers) =
        futures_util::try_join!(accepted, of_layers)?;
    drafts.extend(of_layers);
    let predicate = provenance::predicate(workflow, &parts.taken, &foreign);
    for version in &workflow.provenance_versions {
        let kind = version.predicate_type();
        let predicate = match version {
            Slsa::V1 => predicate.to_string(),
            Slsa::V02 => provenance::older(&predicate, times).to_string(),
        };
        let statement = statement(&parts.repository, &parts.root, kind, &predicate)?;
        let subject = parts.root.clone();
        drafts.push(Draft { subject, predicate_type: kind.to_owned(), statement });
    }
    Ok(drafts)
}

/// What drafts are about: a copy, because the image itself is signed meanwhile.
#[derive(Debug, Clone)]
pub struct DraftParts {
    repository: Repository,
    root: Descriptor,
    platforms: Vec<PlatformImage>,
    taken: Vec<TakenImage>,
}

impl DraftParts {
    pub fn of(built: &BuiltImage) -> Self {
        Self {
            repository: built.repositories()[0].clone(),
            root: built.root().clone(),
            platforms: built.platforms().to_vec(),
            taken: built.taken().to_vec(),
        }
    }

    /// Of an image that is published already.
    pub fn of_published(
        repository: Repository,
        root: Descriptor,
        platforms: Vec<PlatformImage>,
    ) -> Self {
        Self { repository, root, platforms, taken: Vec::new() }
    }

    /// The image itself and that of each platform, each once.
    pub fn subjects(&self) -> Vec<&Digest> {
        let platforms = self.platforms.iter().map(|part| &part.descriptor.digest);
        let mut subjects = vec![&self.root.digest];
        subjects.extend(platforms.filter(|digest| **digest != self.root.digest));
        subjects
    }

    /// Those platforms alone whose digest is not known to the caller.
    pub fn without(&self, known: impl Fn(&Digest) -> bool) -> Self {
        let mut parts = self.clone();
        parts.platforms.retain(|part| !known(&part.descriptor.digest));
        parts
    }

    pub fn platforms(&self) -> &[PlatformImage] {
        &self.platforms
    }

    /// Whether it has no platform.
    pub fn is_empty(&self) -> bool {
        self.platforms.is_empty()
    }

    /// Whether no job of this run handed it on.
    fn is_taken(&self, part: &PlatformImage) -> bool {
        self.taken
            .iter()
            .flat_map(|taken| &taken.platforms)
            .any(|platform| platform.is(&part.platform))
    }
}

/// The drafts that lack a statement somewhere; the others are there, to the byte or as the result of
/// a scan that found the same, by the same signer.
pub fn lacking(
    drafts: Vec<Draft>,
    repositories: &[Repository],
    formats: &[EvidenceFormat],
    existing: &ExistingStatements,
) -> Vec<Draft> {
    let is_there = |draft: &Draft, format: &EvidenceFormat| {
        existing.has_everywhere(repositories, &draft.subject.digest, *format, &draft.statement)
            || vulnerabilities::scan(draft).is_some_and(|scan| {
                let kind = (*format, draft.predicate_type.as_str());
                existing.has_scan_everywhere(repositories, &draft.subject.digest, kind, &scan)
            })
    };
    let mut lacking: Vec<Draft> = Vec::new();
    for draft in drafts {
        let subject = &draft.subject.digest;
        // What was decided about findings is in the result of the scan as well, which comes first.
        let is_decided = EvidenceKind::Vex.is(&draft.predicate_type)
            && !lacking.iter().any(|other| {
                other.subject.digest == *subject
                    && EvidenceKind::Vulnerabilities.is(&other.predicate_type)
            })
            && formats.iter().all(|format| {
                let kind = (*format, draft.predicate_type.as_str());
                existing.has_type_everywhere(repositories, subject, kind)
            });
        if !is_decided && !formats.iter().all(|format| is_there(&draft, format)) {
            lacking.push(draft);
        }
    }
    lacking
}

/// Signs every draft, and attaches the bundles once `signing` has signed the image: a verifier that
/// finds any bundle takes it for the signature. Everything else goes on beside `signing`:
/// collecting the drafts, uploads, and the older format, which knows no such order.
pub async fn attest(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    formats: &[EvidenceFormat],
    now: jiff::Timestamp,
    drafts: impl Future<Output = anyhow::Result<Vec<Draft>>>,
    signing: impl Future<Output = anyhow::Result<SignedImage>>,
) -> anyhow::Result<AttestedImage> {
    let (signed, bundles) =
        attach_after(registry, session, repositories, formats, now, drafts, signing).await?;
    Ok(AttestedImage { built: signed.into_built(), bundles })
}

/// Signs and attaches drafts about images that are signed already, maybe by others.
pub async fn add(
    registry: &Registry,
    session: &Session,
    repository: &Repository,
    formats: &[EvidenceFormat],
    now: jiff::Timestamp,
    drafts: Vec<Draft>,
) -> anyhow::Result<()> {
    registry.stage_empty_config(repository).await.remedied()?;
    let repositories = std::slice::from_ref(repository);
    let drafts = async { Ok(drafts) };
    let is_signed = async { Ok(()) };
    attach_after(registry, session, repositories, formats, now, drafts, is_signed).await.map(drop)
}

/// Signs drafts, and attaches them once `before` is done: its outcome, and the bundles.
async fn attach_after<T>(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    formats: &[EvidenceFormat],
    now: jiff::Timestamp,
    drafts: impl Future<Output = anyhow::Result<Vec<Draft>>>,
    before: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Vec<bytes::Bytes>)> {
    let legacy = formats.contains(&EvidenceFormat::Legacy);
    let (hand_over, handed_over) = oneshot::channel();
    let sealing = async {
        let drafts = drafts.await?;
        let opening =
            open(registry, repositories, if legacy { counted(&drafts) } else { BTreeMap::new() });
        let (opened, sealed) =
            futures_util::try_join!(opening, seal(registry, session, repositories, drafts, now))?;
        let layers = if legacy { legacy_layers(&sealed)? } else { LegacyLayers::new() };
        let _ = hand_over.send((opened, layers)); // whoever waits for it is gone only when something failed
        stream::iter(sealed.iter().map(|(_, sealed)| staged(registry, sealed)))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        anyhow::Ok(sealed)
    };
    let older = async {
        match handed_over.await {
            Ok((opened, layers)) => append(registry, opened, &layers).await,
            Err(_) => Ok(()), // sealing failed, and says so itself
        }
    };
    let bundles = async {
        let (done, sealed) = futures_util::try_join!(before, sealing)?;
        if formats.contains(&EvidenceFormat::Bundle) {
            let attached = sealed.iter().map(|(draft, sealed)| {
                attach_everywhere(registry, repositories, &draft.subject, &sealed.artifact)
            });
            stream::iter(attached).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        Ok((done, sealed))
    };
    let outcome = futures_util::try_join!(bundles, older);
    // Once for each subject, signature and attestations together; also after a failure, so that a
    // rerun finds what is there.
    let listed = registry.list_all_attached().await.remedied();
    let ((done, sealed), ()) = outcome?;
    listed?;
    let bundles = sealed.into_iter().map(|(_, sealed)| sealed.artifact.layer).collect();
    Ok((done, bundles))
}

/// Signs every draft.
async fn seal<'a>(
    registry: &Registry,
    session: &Session,
    repositories: &'a [Repository],
    drafts: Vec<Draft>,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<(Draft, SealedStatement<'a>)>> {
    let sealed = drafts.into_iter().map(|draft| async move {
        let sealed =
            sealed(registry, session, repositories, &draft.statement, &draft.predicate_type, now)
                .await?;
        anyhow::Ok((draft, sealed))
    });
    stream::iter(sealed).buffered(CONCURRENCY).try_collect().await
}

/// A tag `.att` that was looked at: where it is, whose it is, and the uploads that were opened for
/// it.
type AttestationTag<'a> = (&'a Repository, Digest, OpenedTag);

/// Looks at the tags `.att` of these subjects, and opens as many uploads as there will be layers.
async fn open<'a>(
    registry: &Registry,
    repositories: &'a [Repository],
    expected: BTreeMap<Digest, usize>,
) -> anyhow::Result<Vec<AttestationTag<'a>>> {
    let places = expected.into_iter().flat_map(|(subject, count)| {
        repositories.iter().map(move |repository| (repository, subject.clone(), count))
    });
    let opened = places.map(|(repository, subject, count)| async move {
        let opened = registry
            .open_legacy(repository, &subject, Attached::Attestations, count)
            .await
            .remedied()?;
        anyhow::Ok((repository, subject, opened))
    });
    stream::iter(opened).buffer_unordered(CONCURRENCY).try_collect().await
}

async fn append(
    registry: &Registry,
    places: Vec<AttestationTag<'_>>,
    layers: &LegacyLayers,
) -> anyhow::Result<()> {
    let appended = places.into_iter().map(|(repository, subject, opened)| async move {
        let added = layers.get(&subject).map(Vec::as_slice).unwrap_or_default();
        registry.append_legacy(repository, &subject, Attached::Attestations, opened, added).await
    });
    stream::iter(appended).buffer_unordered(CONCURRENCY).try_collect::<()>().await.remedied()
}

/// How many statements there are about each subject.
fn counted(drafts: &[Draft]) -> BTreeMap<Digest, usize> {
    let mut counted = BTreeMap::new();
    for draft in drafts {
        *counted.entry(draft.subject.digest.clone()).or_default() += 1;
    }
    counted
}

/// The envelopes of each subject, to be added under its tag `.att` in one go.
fn legacy_layers(sealed: &[(Draft, SealedStatement<'_>)]) -> anyhow::Result<LegacyLayers> {
    let mut layers = LegacyLayers::new();
    for (draft, sealed) in sealed {
        let Some(promise) = sealed.promise.clone() else {
            anyhow::bail!("the older attestation format needs a transparency log of version 1");
        };
        let layer = legacy_layer(
            sealed.envelope.clone().into(),
            legacy::DSSE,
            String::new(),
            Some(&draft.predicate_type),
            promise,
        );
        layers.entry(draft.subject.digest.clone()).or_default().push(layer);
    }
    Ok(layers)
}

/// An in-toto statement about one subject. The predicate's text is kept to the byte, once it is
/// clear that whoever verifies it can read it: JSON knows numbers that no program can hold.
/// Specification: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.
fn statement(
    repository: &Repository,
    subject: &Descriptor,
    predicate_type: &str,
    predicate: &str,
) -> anyhow::Result<Vec<u8>> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct DraftStatement<'a> {
        #[serde(rename = "_type")]
        kind: &'static str,
        subject: [serde_json::Value; 1],
        predicate_type: &'a str,
        predicate: &'a serde_json::value::RawValue,
    }
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(predicate).with_context(
        || {
            format!(
                "the predicate `{predicate_type}` about `{}` cannot be read as a JSON object",
                subject.digest
            )
        },
    )?;
    let statement = DraftStatement {
        kind: "https://in-toto.io/Statement/v1",
        subject: [
            serde_json::json!({ "name": repository.to_string(), "digest": { "sha256": subject.digest.hex() } }),
        ],
        predicate_type,
        predicate: serde_json::from_str(predicate)?,
    };
    Ok(serde_json::to_vec(&statement)?)
}
