//! `SignedImage` → `AttestedImage`: SBOM and build provenance on the image of each platform, provenance of the workflow on the index.
//! Drafts are collected and signed while the signatures go up; they are attached only to a `SignedImage`.

pub mod buildkit;
pub mod lean;
pub mod provenance;

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::oneshot;

use crate::build::BuiltImage;
use crate::error::OrRemedy as _;
use crate::image::{Digest, Repository};
use crate::registry::Registry;
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

/// Layers by the subject under whose tag they belong.
type Layers = BTreeMap<Digest, Vec<LegacyLayer>>;

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

/// Collects what is to be attested: BuildKit's statements, fetched and checked, and the workflow's provenance.
pub async fn draft(registry: &Registry, built: &BuiltImage, workflow: &provenance::Workflow) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = buildkit::drafts(registry, built).await?;
    let (of, root) = (&built.repositories()[0], built.root());
    let statement = statement(of, root, crate::verify::policy::SLSA_PROVENANCE, &provenance::predicate(workflow).to_string())?;
    drafts.push(Draft { subject: root.clone(), predicate_type: crate::verify::policy::SLSA_PROVENANCE.to_owned(), statement });
    Ok(drafts)
}

/// The drafts that lack a statement somewhere; the others are there, to the byte, by the same signer.
pub fn lacking(drafts: Vec<Draft>, repositories: &[Repository], formats: &[Format], existing: &Existing) -> Vec<Draft> {
    let is_there = |draft: &Draft, format: &Format| existing.has_everywhere(repositories, &draft.subject.digest, *format, &draft.statement);
    drafts.into_iter().filter(|draft| !formats.iter().all(|format| is_there(draft, format))).collect()
}

/// Signs every draft, and attaches the bundles once `signing` has signed the image: a verifier that finds any bundle takes it for the
/// signature. Everything else goes on beside `signing`: uploads, and the older format, which knows no such order.
pub async fn attest(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    drafts: Vec<Draft>,
    formats: &[Format],
    now: jiff::Timestamp,
    signing: impl Future<Output = anyhow::Result<SignedImage>>,
) -> anyhow::Result<AttestedImage> {
    let (envelopes, layers) = oneshot::channel();
    let older = append(registry, repositories, if formats.contains(&Format::Legacy) { counted(&drafts) } else { BTreeMap::new() }, layers);
    let bundles = async {
        let sealing = async {
            let sealed = seal(registry, session, repositories, drafts, now).await?;
            if formats.contains(&Format::Legacy) {
                let _ = envelopes.send(legacy_layers(&sealed)?); // whoever waits for them is gone only when something failed
            }
            anyhow::Ok(sealed)
        };
        let (signed, sealed) = futures_util::try_join!(signing, sealing)?;
        if formats.contains(&Format::Bundle) {
            let attached = sealed.iter().map(|(draft, sealed)| attach_everywhere(registry, repositories, &draft.subject, &sealed.artifact));
            stream::iter(attached).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        Ok((signed, sealed))
    };
    let ((signed, sealed), ()) = futures_util::try_join!(bundles, older)?;
    let bundles = sealed.into_iter().map(|(_, sealed)| sealed.artifact.layer).collect();
    Ok(AttestedImage { built: signed.into_built(), bundles })
}

/// Signs every draft and uploads the bundles' blobs; nothing refers to them yet.
async fn seal(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    drafts: Vec<Draft>,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<(Draft, SealedStatement)>> {
    let sealed = drafts.into_iter().map(|draft| async move {
        let sealed = sealed(registry, session, repositories, &draft.statement, &draft.predicate_type, now).await?;
        anyhow::Ok((draft, sealed))
    });
    stream::iter(sealed).buffered(CONCURRENCY).try_collect().await
}

/// Looks at the tags `.att` and opens uploads while the drafts are signed, then adds what is handed over.
async fn append(
    registry: &Registry,
    repositories: &[Repository],
    expected: BTreeMap<Digest, usize>,
    layers: oneshot::Receiver<Layers>,
) -> anyhow::Result<()> {
    let places = expected.iter().flat_map(|(subject, count)| repositories.iter().map(move |repository| (repository, subject, *count)));
    let opened = places.map(|(repository, subject, count)| async move {
        let opened = registry.open_legacy(repository, subject, Attached::Attestations, count).await.remedied()?;
        anyhow::Ok((repository, subject, opened))
    });
    let opened: Vec<_> = stream::iter(opened).buffer_unordered(CONCURRENCY).try_collect().await?;
    // Without them sealing failed, and says so itself.
    let Ok(layers) = layers.await else { return Ok(()) };
    let appended = opened.into_iter().map(|(repository, subject, opened)| {
        let added = layers.get(subject).map(Vec::as_slice).unwrap_or_default();
        registry.append_legacy(repository, subject, Attached::Attestations, opened, added)
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
fn legacy_layers(sealed: &[(Draft, SealedStatement)]) -> anyhow::Result<Layers> {
    let mut layers = Layers::new();
    for (draft, sealed) in sealed {
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
