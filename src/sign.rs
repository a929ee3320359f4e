//! `BuiltImage` → `SignedImage`: one signature bundle on the index and on the image of each platform, in every repository.
//! It never attaches an attestation: a verifier that finds any bundle takes it for the signature.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::build::BuiltImage;
use crate::error::OrRemedy as _;
use crate::image::Repository;
use crate::registry::manifest::Descriptor;
use crate::registry::{Artifact, Registry};
use crate::sigstore::session::{Session, SignedStatement};
use crate::sigstore::{BUNDLE, SIGNATURE_PREDICATE};

/// Signatures, log entries and pushes under way at once.
const CONCURRENCY: usize = 8;

/// An image whose every part carries our signature. Only this module can make one.
#[derive(Debug)]
#[must_use = "a signed image still lacks its attestations"]
pub struct SignedImage {
    built: BuiltImage,
}

impl SignedImage {
    pub fn built(&self) -> &BuiltImage {
        &self.built
    }

    pub fn into_built(self) -> BuiltImage {
        self.built
    }
}

/// Signs every subject with the one certificate and attaches the bundles.
pub async fn sign(registry: &Registry, session: &Session, built: BuiltImage, now: jiff::Timestamp) -> anyhow::Result<SignedImage> {
    let repositories = built.repositories();
    let signatures = built.subjects().into_iter().map(|subject| async move {
        let artifact = sealed(registry, session, repositories, &statement(subject), SIGNATURE_PREDICATE, now).await?;
        attach_everywhere(registry, repositories, subject, &artifact).await
    });
    stream::iter(signatures).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    Ok(SignedImage { built })
}

/// What cosign states when it signs: a subject without a name, an empty predicate.
fn statement(subject: &Descriptor) -> Vec<u8> {
    serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": subject.digest.hex() } }],
        "predicateType": SIGNATURE_PREDICATE,
        "predicate": {},
    })
    .to_string()
    .into_bytes()
}

/// A bundle as an artifact with the annotations cosign and actions/attest write.
fn artifact(signed: SignedStatement, predicate_type: &str, now: jiff::Timestamp) -> Artifact {
    let created = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    let annotations = BTreeMap::from([
        ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType".to_owned(), predicate_type.to_owned()),
        ("org.opencontainers.image.created".to_owned(), created),
    ]);
    Artifact { artifact_type: BUNDLE, layer: signed.bundle.into(), annotations }
}

/// Signs a statement and uploads its bundle everywhere; the uploads are opened while log and timestamp authority answer.
pub(crate) async fn sealed(
    registry: &Registry,
    session: &Session,
    repositories: &[Repository],
    statement: &[u8],
    predicate_type: &str,
    now: jiff::Timestamp,
) -> anyhow::Result<Artifact> {
    let places = futures_util::future::try_join_all(repositories.iter().map(|repository| registry.open_upload(repository)));
    let (signed, places) = futures_util::try_join!(async { session.sign(statement).await.remedied() }, async { places.await.remedied() })?;
    let artifact = artifact(signed, predicate_type, now);
    let staged = repositories.iter().zip(places).map(|(repository, place)| registry.stage_artifact(repository, place, &artifact));
    futures_util::future::try_join_all(staged).await.remedied()?;
    Ok(artifact)
}

pub(crate) async fn attach_everywhere(
    registry: &Registry,
    repositories: &[Repository],
    subject: &Descriptor,
    artifact: &Artifact,
) -> anyhow::Result<()> {
    futures_util::future::try_join_all(repositories.iter().map(|repository| registry.attach_artifact(repository, subject, artifact)))
        .await
        .remedied()?;
    Ok(())
}
