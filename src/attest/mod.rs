//! `SignedImage` → `AttestedImage`: SBOM and build provenance on the image of each platform, provenance of the workflow on the index.
//! Drafts are collected and signed while the signatures go up; they are attached only to a `SignedImage`.

pub mod buildkit;
pub mod lean;
pub mod provenance;

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::build::BuiltImage;
use crate::error::OrRemedy as _;
use crate::image::{Digest, Repository};
use crate::plan::sbom::Document;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::legacy::{Attached, LegacyLayer};
use crate::registry::manifest::Descriptor;
use crate::sign::{CONCURRENCY, SealedStatement, SignedImage, attach_everywhere, legacy_layer, sealed};
use crate::sigstore::session::Session;
use crate::verify::existing::Existing;
use crate::verify::legacy;
use crate::verify::policy::Format;

/// A statement that is to be signed, and what it is about.
#[derive(Debug)]
pub struct Draft {
    pub(crate) subject: Descriptor,
    pub(crate) predicate_type: String,
    pub(crate) statement: Vec<u8>,
}

impl Draft {
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }
}

/// Signed statements whose blobs are uploaded, and which nothing refers to yet.
pub struct Sealed(Vec<(Draft, SealedStatement)>);

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

/// Collects what is to be attested: BuildKit's statements, fetched and checked, the user's own SBOMs, and the workflow's provenance.
pub async fn draft(
    registry: &Registry,
    built: &BuiltImage,
    workflow: &provenance::Workflow,
    own: &[Document],
) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = buildkit::drafts(registry, built).await?;
    drafts.extend(own_sboms(built, own)?);
    let (of, root) = (&built.repositories()[0], built.root());
    let statement = statement(of, root, crate::verify::policy::SLSA_PROVENANCE, &provenance::predicate(workflow).to_string())?;
    drafts.push(Draft { subject: root.clone(), predicate_type: crate::verify::policy::SLSA_PROVENANCE.to_owned(), statement });
    Ok(drafts)
}

/// The user's SBOM of each platform, as the plan checked it.
fn own_sboms(built: &BuiltImage, own: &[Document]) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for document in own {
        let of_platform = |part: &&PlatformImage| document.platform.is_met_by(&part.platform);
        let Some(part) = built.platforms().iter().find(of_platform) else {
            anyhow::bail!("`{}` is about `{}`, which was not built", document.path, document.platform);
        };
        let (kind, subject) = (document.format.predicate_type(), part.descriptor.bare());
        let statement = statement(&built.repositories()[0], &subject, kind, &document.text)?;
        drafts.push(Draft { subject, predicate_type: kind.to_owned(), statement });
    }
    Ok(drafts)
}

/// The drafts that lack a statement somewhere; the others are there, to the byte, by the same signer.
pub fn lacking(drafts: Vec<Draft>, repositories: &[Repository], formats: &[Format], existing: &Existing) -> Vec<Draft> {
    let is_there = |draft: &Draft, format: &Format| existing.has_everywhere(repositories, &draft.subject.digest, *format, &draft.statement);
    drafts.into_iter().filter(|draft| !formats.iter().all(|format| is_there(draft, format))).collect()
}

/// Signs every draft and uploads the bundles' blobs. The older format knows no order of signature and attestation, so its layers are added at
/// once.
pub async fn seal(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    drafts: Vec<Draft>,
    formats: &[Format],
    now: jiff::Timestamp,
) -> anyhow::Result<Sealed> {
    let sealed = drafts.into_iter().map(|draft| async move {
        let sealed = sealed(registry, session, repositories, &draft.statement, &draft.predicate_type, now).await?;
        anyhow::Ok((draft, sealed))
    });
    let sealed: Sealed = stream::iter(sealed).buffered(CONCURRENCY).try_collect().await.map(Sealed)?;
    if formats.contains(&Format::Legacy) {
        let layers = legacy_layers(&sealed)?;
        let appended = layers.iter().flat_map(|(subject, layers)| {
            repositories.iter().map(move |repository| registry.append_legacy(repository, subject, Attached::Attestations, layers))
        });
        stream::iter(appended).buffer_unordered(CONCURRENCY).try_collect::<()>().await.remedied()?;
    }
    Ok(sealed)
}

/// Attaches the sealed attestations' bundles to an image that is signed.
pub async fn attest(registry: &Registry, signed: SignedImage, sealed: Sealed, formats: &[Format]) -> anyhow::Result<AttestedImage> {
    let repositories = signed.built().repositories();
    if formats.contains(&Format::Bundle) {
        let attached = sealed.0.iter().map(|(draft, sealed)| attach_everywhere(registry, repositories, &draft.subject, &sealed.artifact));
        stream::iter(attached).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    }
    let bundles = sealed.0.into_iter().map(|(_, sealed)| sealed.artifact.layer).collect();
    Ok(AttestedImage { built: signed.into_built(), bundles })
}

/// The envelopes of each subject, to be added under its tag `.att` in one go.
fn legacy_layers(sealed: &Sealed) -> anyhow::Result<BTreeMap<Digest, Vec<LegacyLayer>>> {
    let mut layers: BTreeMap<Digest, Vec<LegacyLayer>> = BTreeMap::new();
    for (draft, sealed) in &sealed.0 {
        let Some(promise) = sealed.promise.clone() else {
            anyhow::bail!("the older attestation format needs a transparency log of version 1");
        };
        let layer = legacy_layer(sealed.envelope.clone().into(), legacy::DSSE, String::new(), Some(&draft.predicate_type), promise);
        layers.entry(draft.subject.digest.clone()).or_default().push(layer);
    }
    Ok(layers)
}

/// An in-toto statement about one subject. The predicate's text is kept to the byte.
/// Specification: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.
fn statement(repository: &Repository, subject: &Descriptor, predicate_type: &str, predicate: &str) -> anyhow::Result<Vec<u8>> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Statement<'a> {
        #[serde(rename = "_type")]
        kind: &'static str,
        subject: [serde_json::Value; 1],
        predicate_type: &'a str,
        predicate: &'a serde_json::value::RawValue,
    }
    let statement = Statement {
        kind: "https://in-toto.io/Statement/v1",
        subject: [serde_json::json!({ "name": repository.to_string(), "digest": { "sha256": subject.digest.hex() } })],
        predicate_type,
        predicate: serde_json::from_str(predicate)?,
    };
    Ok(serde_json::to_vec(&statement)?)
}
