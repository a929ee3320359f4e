//! Image reference → what the image consists of and what each part carries, whoever signed it: read
//! once, and judged as often as anybody asks. It judges nothing itself.

use anyhow::bail;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sigstore_types::DerPublicKey;

use super::collect::{self, CollectedEvidence, UnreadFormat, VerifierNeeds};
use super::judge::{self, Reasons};
use super::policy::{EvidencePolicy, FormatsAccepted, PolicyRule, Requirements};
use super::{CONCURRENCY, VerifiedEvidence, VerifiedImage, inventory};
use crate::error::{OrRemedy as _, Remedy as _};
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::image::{ImageRef, Platform, half_named};
use crate::oci::OciDocument;
use crate::registry::contents::{self, ImageContents, InspectedParts};
use crate::registry::manifest::Descriptor;
use crate::registry::{Registry, RegistryError};
use crate::sigstore::verifier::{BundleVerifier, Signer};

/// One part of an image and what it needs.
pub(super) struct ImageSubject {
    pub(super) kind: EvidencePart,
    pub(super) descriptor: Descriptor,
    pub(super) platform: Option<Platform>,
    pub(super) required: Vec<PolicyRule>,
}

/// What an image consists of and carries.
pub struct CarriedEvidence {
    image: ImageRef,
    contents: ImageContents,
    subjects: Vec<ImageSubject>,
    /// Of each subject.
    found: Vec<CollectedEvidence>,
    /// What is to be told of the image, or why a part of it is not there.
    told: Result<InspectedParts, RegistryError>,
}

/// How much of what an image carries must be there to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedAmount {
    All,
    /// One format may be out of reach: what is missing then may be in it, and nobody knows.
    WhatCanBeRead,
}

/// Whether SBOMs are kept for a scan, once they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementDocuments {
    Kept,
    Forgotten,
}

/// Who signed, or claims to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignerClaim {
    pub identity: String,
    pub issuer: String,
    /// Whether a statement in this name verifies; else nothing is believed of it.
    pub holds: bool,
}

impl CarriedEvidence {
    /// Reads an image and what is required of it. An image without a platform that is wanted, or
    /// that programs read otherwise, is refused; so is one of which something cannot be read, where
    /// all of it is wanted.
    pub async fn read(
        registry: &Registry,
        verifier: &BundleVerifier,
        image: &ImageRef,
        requirements: &Requirements,
        key: Option<&DerPublicKey>,
        (wanted, documents): (WantedAmount, StatementDocuments),
    ) -> anyhow::Result<Self> {
        let allowed = &requirements.allowed;
        let contents = contents::read(registry, image, allowed).await.remedied()?;
        let subjects = subjects(&contents, requirements)?;
        let reads = subjects.iter().map(|subject| async {
            let digest = &subject.descriptor.digest;
            let found = collect::collected(
                registry,
                verifier,
                &image.repository,
                digest,
                key,
                &requirements.formats,
            )
            .await;
            let mut found = if wanted == WantedAmount::All { found.whole()? } else { found };
            if documents == StatementDocuments::Forgotten {
                found.statements.iter_mut().for_each(|statement| statement.document = None);
            }
            anyhow::Ok(found)
        });
        let read = stream::iter(reads).buffered(CONCURRENCY).try_collect();
        let (told, found) = futures_util::join!(contents.look_into(registry, image, allowed), read);
        // Of what is not what it says nobody needs to hear that it is not signed either.
        if let Err(error @ RegistryError::Content { .. }) = told {
            return Err(error).remedied();
        }
        let found: Vec<CollectedEvidence> = found?;
        Ok(Self { image: image.clone(), contents, subjects, found, told })
    }

    /// What counts for a policy at a time, or why that is not enough.
    pub fn judged(
        &self,
        policy: &EvidencePolicy,
        among: FormatsAccepted<'_>,
        now: jiff::Timestamp,
    ) -> Result<VerifiedEvidence, Reasons> {
        judge::judge(&self.subjects, &self.found, policy, among, now)
    }

    /// The image, with the evidence that it was judged by; every part of it must be there.
    pub fn verified(self, evidence: VerifiedEvidence) -> anyhow::Result<VerifiedImage> {
        let InspectedParts { told, sizes } = self.told.remedied()?;
        let statements = self.found.iter().flat_map(|found| &found.statements);
        let holding = statements.map(|statement| statement.bundle.clone()).collect();
        let (image, manifest) = (self.image, self.contents.root);
        Ok(VerifiedImage { image, manifest, evidence, told, sizes, holding })
    }

    /// What it is, where it is no image.
    pub fn artifact(&self) -> Option<&str> {
        self.contents.artifact.as_deref()
    }

    /// The first format that could not be read, and why.
    pub fn unread(&mut self) -> Option<(EvidenceFormat, anyhow::Error)> {
        let unread = self.found.iter_mut().find_map(|found| found.unread.pop());
        unread.map(|UnreadFormat { format, error }| (format, error))
    }

    /// Why nothing could be read of one format.
    pub fn why_unread(&self, format: EvidenceFormat) -> Option<String> {
        let mut unread = self.found.iter().flat_map(|found| &found.unread);
        unread
            .find(|unread| unread.format == format)
            .map(|unread| crate::error::message(&unread.error))
    }

    /// Everybody whom a certificate names, each once, those first in whose name a statement
    /// verifies.
    pub fn claims(&self) -> Vec<SignerClaim> {
        let statements = self.found.iter().flat_map(|found| &found.statements);
        let holding = statements.filter_map(|statement| match &statement.signer {
            Signer::Keyless { identity, issuer } => Some(SignerClaim {
                identity: identity.clone(),
                issuer: issuer.clone(),
                holds: true,
            }),
            Signer::Key(_) => None,
        });
        let mut claims: Vec<SignerClaim> = holding.collect();
        claims.sort_unstable();
        claims.dedup();
        let refused = self
            .found
            .iter()
            .flat_map(|found| &found.refused)
            .filter_map(|refused| refused.claims.clone());
        let mut refused: Vec<(String, String)> = refused.collect();
        refused.sort_unstable();
        refused.dedup();
        for (identity, issuer) in refused {
            if !claims.iter().any(|known| (&known.identity, &known.issuer) == (&identity, &issuer))
            {
                claims.push(SignerClaim { identity, issuer, holds: false });
            }
        }
        claims
    }

    /// Whether a key signed something, and none was given.
    pub fn wants_key(&self) -> bool {
        self.wants(VerifierNeeds::Key)
    }

    /// Whether the key that was given signed something that no log knows.
    pub fn wants_no_log(&self) -> bool {
        self.wants(VerifierNeeds::NoLog)
    }

    fn wants(&self, wants: VerifierNeeds) -> bool {
        self.found
            .iter()
            .flat_map(|found| &found.refused)
            .any(|refused| refused.wants == Some(wants))
    }

    /// What the image carries, in words, with the predicate types of what BuildKit left unsigned.
    pub fn inventory(&self, unsigned: &[String]) -> String {
        inventory::inventory(&self.subjects, &self.found, unsigned)
    }

    /// What could be asked for in place of what is missing: of each kind of part what all of them
    /// have for this policy's signer.
    pub fn has_for(&self, policy: &EvidencePolicy) -> Vec<(EvidencePart, Vec<String>)> {
        let evidence = judge::evidence(&self.subjects, &self.found, policy);
        let has = [EvidencePart::Index, EvidencePart::Platform, EvidencePart::Artifact]
            .map(|part| (part, inventory::common_kinds(&evidence, part)));
        has.into_iter().filter(|(_, kinds)| !kinds.is_empty()).collect()
    }

    /// The predicate types of BuildKit's statements, which nobody signed. Nothing of them is
    /// believed.
    pub async fn unsigned(&self, registry: &Registry) -> Vec<String> {
        let reads = self
            .contents
            .platforms
            .iter()
            .filter_map(|platform| platform.attestations.as_ref())
            .map(|entry| async move {
                let manifest =
                    registry.manifest(&self.image.repository.at(&entry.digest)).await.ok()??;
                let Ok(OciDocument::Image(manifest)) = manifest.document() else { return None };
                Some(
                    manifest
                        .layers
                        .iter()
                        .filter_map(|layer| {
                            layer.annotations.get("in-toto.io/predicate-type").cloned()
                        })
                        .collect(),
                )
            });
        let read: Vec<Option<Vec<String>>> =
            stream::iter(reads).buffered(CONCURRENCY).collect().await;
        let mut types: Vec<String> = read.into_iter().flatten().flatten().collect();
        types.sort_unstable();
        types.dedup();
        types
    }
}

/// The parts of the image with their requirements; a missing platform is a refusal.
fn subjects(
    contents: &ImageContents,
    requirements: &Requirements,
) -> anyhow::Result<Vec<ImageSubject>> {
    for wanted in &requirements.platforms {
        if let Some(kind) = &contents.artifact {
            bail!("it is an artifact of type `{kind}`, not an image of `{wanted}`");
        }
        if !contents.platforms.iter().any(|built| wanted.is(&built.platform)) {
            let built: Vec<String> =
                contents.platforms.iter().map(|built| format!("`{}`", built.platform)).collect();
            bail!(
                "the image has no `{wanted}`; it has {}",
                if built.is_empty() { "no platform at all".to_owned() } else { built.join(", ") }
            );
        }
    }
    let there: Vec<&Platform> = contents.platforms.iter().map(|built| &built.platform).collect();
    if let Some((named, other)) = half_named(&requirements.platforms, &there) {
        return Err(anyhow::anyhow!(
            "the image has both `{named}` and `{other}`, but only the first is named"
        ))
        .hint("name both, or no platform: a machine can choose the other one");
    }
    let root = &contents.root.descriptor;
    let mut both = requirements.platform.clone();
    both.extend(
        requirements.index.iter().filter(|rule| !requirements.platform.contains(rule)).cloned(),
    );
    let mut subjects = Vec::new();
    if contents.artifact.is_some() {
        subjects.push(ImageSubject {
            kind: EvidencePart::Artifact,
            descriptor: root.clone(),
            platform: None,
            required: both.clone(),
        });
    }
    if contents.root.is_index() {
        subjects.push(ImageSubject {
            kind: EvidencePart::Index,
            descriptor: root.clone(),
            platform: None,
            required: requirements.index.clone(),
        });
    }
    for part in &contents.platforms {
        let is_root = part.descriptor.digest == root.digest;
        let required = if is_root { both.clone() } else { requirements.platform.clone() };
        let platform = Some(part.platform.clone());
        subjects.push(ImageSubject {
            kind: EvidencePart::Platform,
            descriptor: part.descriptor.clone(),
            platform: platform.clone(),
            required,
        });
        let attestations =
            part.attestations.as_ref().filter(|_| !requirements.attestations.is_empty());
        subjects.extend(attestations.map(|descriptor| ImageSubject {
            kind: EvidencePart::Attestations,
            descriptor: descriptor.clone(),
            platform,
            required: requirements.attestations.clone(),
        }));
    }
    Ok(subjects)
}
