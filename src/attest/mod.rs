//! `SignedImage` → `AttestedImage`: SBOM and build provenance on the image of each platform, provenance of the workflow on the index.
//! Drafts are collected and signed while the signatures go up; they are attached only to a `SignedImage`.

pub mod buildkit;
pub mod provenance;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::build::BuiltImage;
use crate::image::Repository;
use crate::registry::manifest::Descriptor;
use crate::registry::{Artifact, Registry};
use crate::sign::{SignedImage, attach_everywhere, sealed};
use crate::sigstore::session::Session;

const CONCURRENCY: usize = 8;

/// A statement that is to be signed, and what it is about.
#[derive(Debug)]
pub struct Draft {
    pub(crate) subject: Descriptor,
    pub(crate) predicate_type: String,
    pub(crate) statement: Vec<u8>,
}

/// Signed statements whose blobs are uploaded, and which nothing refers to yet.
pub struct Sealed(Vec<(Descriptor, Artifact)>);

/// An image with all its evidence attached, none of it checked. Only this module can make one.
#[derive(Debug)]
#[must_use = "an attested image is still to be verified"]
pub struct AttestedImage {
    built: BuiltImage,
}

impl AttestedImage {
    pub fn built(&self) -> &BuiltImage {
        &self.built
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

/// Signs every draft and uploads the bundles' blobs.
pub async fn seal(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    drafts: Vec<Draft>,
    now: jiff::Timestamp,
) -> anyhow::Result<Sealed> {
    let sealed = drafts.into_iter().map(|draft| async move {
        let artifact = sealed(registry, session, repositories, &draft.statement, &draft.predicate_type, now).await?;
        anyhow::Ok((draft.subject, artifact))
    });
    stream::iter(sealed).buffered(CONCURRENCY).try_collect().await.map(Sealed)
}

/// Attaches the sealed attestations to an image that is signed.
pub async fn attest(registry: &Registry, signed: SignedImage, sealed: Sealed) -> anyhow::Result<AttestedImage> {
    let repositories = signed.built().repositories();
    let attached = sealed.0.iter().map(|(subject, artifact)| attach_everywhere(registry, repositories, subject, artifact));
    stream::iter(attached).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    Ok(AttestedImage { built: signed.into_built() })
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
