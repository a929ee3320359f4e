//! `BuiltImage` → `SignedImage`: a signature on each part that is to be signed, in every format and
//! repository. It never attaches an attestation: a verifier that finds any bundle takes it for the
//! signature.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::build::BuiltImage;
use crate::error::OrRemedy as _;
use crate::evidence;
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::image::Repository;
use crate::registry::legacy::{Attached, LegacyLayer};
use crate::registry::manifest::Descriptor;
use crate::registry::{ReferrerArtifact, Registry, by_registry};
use crate::sigstore::BUNDLE;
use crate::sigstore::session::{Promise, Session};
use crate::verify::existing::ExistingStatements;
use crate::verify::legacy;
use crate::verify::policy::Requirements;

/// Statements under way at once: enough that a log which answers once a second is waited for once.
/// The registry has its own limit.
pub(crate) const CONCURRENCY: usize = 64;

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

/// What a signature says beside its subject, as `cosign sign -a` writes it and `cosign verify -a`
/// asks for it.
pub type Annotations = BTreeMap<String, String>;

/// Signs every part of which the requirements want a signature, in every format, with the one
/// certificate.
pub async fn sign(
    registry: &Registry,
    session: &Session,
    built: BuiltImage,
    wanted: &Requirements,
    annotations: &Annotations,
    existing: &ExistingStatements,
    now: jiff::Timestamp,
) -> anyhow::Result<SignedImage> {
    let repositories = built.repositories();
    let has = |format| wanted.formats.contains(&format);
    let statement = |subject: &Descriptor| statement(repositories, subject, annotations);
    let is_there = |subject: &Descriptor| {
        existing.has_everywhere(
            repositories,
            &subject.digest,
            EvidenceFormat::Bundle,
            &statement(subject),
        )
    };
    let signatures = signed_parts(&built, wanted).into_iter().map(|subject| async move {
        let bundle = async {
            if has(EvidenceFormat::Bundle) && !is_there(subject) {
                let sealed = sealed(
                    registry,
                    session,
                    repositories,
                    &statement(subject),
                    evidence::SIGNATURE,
                    now,
                )
                .await?;
                staged(registry, &sealed).await?;
                attach_everywhere(registry, repositories, subject, &sealed.artifact).await?;
            }
            anyhow::Ok(())
        };
        let legacy = async {
            if has(EvidenceFormat::Legacy) {
                let payloads = repositories.iter().map(|repository| {
                    let payload =
                        legacy::payload(&repository.to_string(), &subject.digest, annotations);
                    (repository, payload)
                });
                let lacking = payloads.filter(|(repository, payload)| {
                    !existing.has(repository, &subject.digest, EvidenceFormat::Legacy, payload)
                });
                let each = lacking.map(|(repository, payload)| {
                    sign_legacy(registry, session, repository, subject, payload)
                });
                futures_util::future::try_join_all(each).await?;
            }
            anyhow::Ok(())
        };
        futures_util::try_join!(bundle, legacy).map(drop)
    });
    stream::iter(signatures).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    Ok(SignedImage { built })
}

/// The parts that need a signature.
pub fn signed_parts<'a>(built: &'a BuiltImage, wanted: &Requirements) -> Vec<&'a Descriptor> {
    let needs = |parts: &[EvidencePart]| parts.iter().any(|part| wanted.signs(*part));
    built
        .subjects()
        .into_iter()
        .filter(|(parts, _)| needs(parts))
        .map(|(_, subject)| subject)
        .collect()
}

/// A signature over cosign's older payload, under the tag `.sig`. The payload names the repository,
/// so each has its own.
async fn sign_legacy(
    registry: &Registry,
    session: &Session,
    repository: &Repository,
    subject: &Descriptor,
    payload: Vec<u8>,
) -> anyhow::Result<()> {
    let payload = bytes::Bytes::from(payload);
    let (signed, opened) = futures_util::try_join!(
        async { session.sign_payload(&payload).await.remedied() },
        async {
            registry
                .open_legacy(repository, &subject.digest, Attached::Signatures, 1)
                .await
                .remedied()
        }
    )?;
    let Some(signed) = signed else {
        anyhow::bail!("the older signature format needs a transparency log of version 1");
    };
    let layer =
        legacy_layer(payload, legacy::SIMPLE_SIGNING, signed.signature, None, signed.promise);
    registry
        .append_legacy(repository, &subject.digest, Attached::Signatures, opened, &[layer])
        .await
        .remedied()
}

/// A layer with the annotations that cosign 1 and 2 write. An attestation's signature stands in its
/// envelope, and its annotation is empty.
pub(crate) fn legacy_layer(
    bytes: bytes::Bytes,
    media_type: &str,
    signature: String,
    predicate_type: Option<&str>,
    promise: Promise,
) -> LegacyLayer {
    let mut annotations = BTreeMap::from([
        (legacy::SIGNATURE.to_owned(), signature),
        (legacy::LOG.to_owned(), promise.log),
    ]);
    if let Some((certificate, chain)) = promise.certificates {
        annotations.extend([
            (legacy::CERTIFICATE.to_owned(), certificate),
            (legacy::CHAIN.to_owned(), chain),
        ]);
    }
    annotations.extend(predicate_type.map(|kind| ("predicateType".to_owned(), kind.to_owned())));
    LegacyLayer {
        descriptor: Descriptor { annotations, ..Descriptor::of(&bytes, media_type) },
        bytes,
    }
}

/// What cosign states when it signs: an empty predicate. The subject's name is optional, and cosign
/// leaves it out; sigstore-python refuses a statement without one, so it is there.
fn statement(
    repositories: &[Repository],
    subject: &Descriptor,
    annotations: &Annotations,
) -> Vec<u8> {
    let name = repositories.first().map(ToString::to_string).unwrap_or_default();
    let mut about =
        serde_json::json!({ "name": name, "digest": { "sha256": subject.digest.hex() } });
    if !annotations.is_empty() {
        about["annotations"] = serde_json::json!(annotations);
    }
    serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [about],
        "predicateType": evidence::SIGNATURE,
        "predicate": {},
    })
    .to_string()
    .into_bytes()
}

/// A bundle as an artifact with the annotations cosign and actions/attest write.
fn artifact(bundle: Vec<u8>, predicate_type: &str, now: jiff::Timestamp) -> ReferrerArtifact {
    let created = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    let annotations = BTreeMap::from([
        ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType".to_owned(), predicate_type.to_owned()),
        ("org.opencontainers.image.created".to_owned(), created),
    ]);
    ReferrerArtifact { artifact_type: BUNDLE, layer: bundle.into(), annotations }
}

/// A signed statement: its bundle, what the older format needs of it, and places for the bundle's
/// upload.
pub(crate) struct SealedStatement<'a> {
    pub(crate) artifact: ReferrerArtifact,
    pub(crate) envelope: Vec<u8>,
    pub(crate) promise: Option<Promise>,
    homes: Vec<(&'a Repository, Vec<&'a Repository>)>,
    places: Vec<reqwest::Url>,
}

/// Signs a statement; uploads of its bundle are opened while log and timestamp authority answer.
pub(crate) async fn sealed<'a>(
    registry: &Registry,
    session: &Session,
    repositories: &'a [Repository],
    statement: &[u8],
    predicate_type: &str,
    now: jiff::Timestamp,
) -> anyhow::Result<SealedStatement<'a>> {
    let homes = by_registry(repositories);
    let places = futures_util::future::try_join_all(
        homes.iter().map(|(home, _)| registry.open_upload(home)),
    );
    let (signed, places) =
        futures_util::try_join!(async { session.sign(statement).await.remedied() }, async {
            places.await.remedied()
        })?;
    let artifact = artifact(signed.bundle, predicate_type, now);
    Ok(SealedStatement {
        artifact,
        envelope: signed.envelope,
        promise: signed.promise,
        homes,
        places,
    })
}

/// Uploads the bundle everywhere; nothing refers to it yet.
pub(crate) async fn staged(
    registry: &Registry,
    sealed: &SealedStatement<'_>,
) -> anyhow::Result<()> {
    let artifact = &sealed.artifact;
    let staged = sealed.homes.iter().zip(&sealed.places).map(async |((home, others), place)| {
        registry.stage_artifact(home, place.clone(), artifact).await?;
        futures_util::future::try_join_all(
            others.iter().map(|other| registry.mount_artifact(home, other, artifact)),
        )
        .await
    });
    futures_util::future::try_join_all(staged).await.remedied()?;
    Ok(())
}

/// Attaches; where the registry keeps no referrers, `Registry::list_all_attached` lists it, with
/// what else there is about the subject.
pub(crate) async fn attach_everywhere(
    registry: &Registry,
    repositories: &[Repository],
    subject: &Descriptor,
    artifact: &ReferrerArtifact,
) -> anyhow::Result<()> {
    futures_util::future::try_join_all(
        repositories
            .iter()
            .map(|repository| registry.attach_unlisted(repository, subject, artifact)),
    )
    .await
    .remedied()?;
    Ok(())
}
