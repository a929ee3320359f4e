//! A published image → what it consists of, and the packages of each platform: as its signed SBOM
//! lists them, or else as its layers do. It signs nothing.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::assess::ImagePackages;
use crate::assess::bases::{BasedImage, PlatformMaterials, based};
use crate::attest::DraftParts;
use crate::attest::sboms::LayerSboms;
use crate::attest::vulnerabilities::{self, SignedSbom};
use crate::error::OrRemedy as _;
use crate::evidence::{EvidenceFormat, EvidenceKind, EvidencePart};
use crate::image::{Digest, ImageRef};
use crate::oci::{Allowed, OciDocument};
use crate::provenance::{BuildLines, Provenance};
use crate::registry::Registry;
use crate::registry::contents::{self, PlatformImage};
use crate::registry::manifest::Descriptor;
use crate::report::Report;
use crate::sigstore::verifier::Signer;
use crate::verify::{VerifiedEvidence, VerifiedImage};

/// An image as it is in the registry.
pub(in crate::verbs) struct PublishedImage {
    pub(in crate::verbs) image: ImageRef,
    /// As the user named it.
    pub(in crate::verbs) name: String,
    pub(in crate::verbs) parts: DraftParts,
    /// What was verified; `None` where nothing was.
    evidence: Option<VerifiedEvidence>,
}

impl PublishedImage {
    pub(in crate::verbs) fn verified(
        verified: &VerifiedImage,
        allowed: &Allowed,
    ) -> anyhow::Result<Self> {
        let (image, evidence) = (verified.image().clone(), verified.evidence().clone());
        let root = verified.manifest();
        let platforms = match contents::document(root, &image).remedied()? {
            OciDocument::Index(index) => {
                let accounted = contents::account(&index, &image, allowed).remedied()?;
                accounted.images.iter().map(PlatformImage::of).collect()
            }
            OciDocument::Image(_) => {
                let platform = evidence.subjects.iter().find_map(|it| it.platform.clone());
                vec![PlatformImage {
                    platform: platform.context("its config names no platform")?,
                    descriptor: root.descriptor.clone(),
                    attestations: None,
                }]
            }
        };
        let parts =
            DraftParts::of_published(image.repository.clone(), root.descriptor.clone(), platforms);
        Ok(Self { name: image.to_string(), image, parts, evidence: Some(evidence) })
    }

    /// Of whom nothing is known.
    pub(in crate::verbs) async fn unverified(
        registry: &Registry,
        image: ImageRef,
        allowed: &Allowed,
    ) -> anyhow::Result<Self> {
        let found = contents::read(registry, &image, allowed).await.remedied()?;
        let root: Descriptor = found.root.descriptor.clone();
        let parts = DraftParts::of_published(image.repository.clone(), root, found.platforms);
        Ok(Self { name: image.to_string(), image, parts, evidence: None })
    }

    pub(in crate::verbs) fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    pub(in crate::verbs) fn signer(&self) -> Option<&Signer> {
        self.evidence.as_ref().map(|evidence| &evidence.signer)
    }

    /// Whether any of its evidence is kept so.
    pub(in crate::verbs) fn has(&self, format: EvidenceFormat) -> bool {
        let mut statements = self.evidence.iter().flat_map(VerifiedEvidence::statements);
        statements.any(|statement| statement.format == format)
    }

    /// The SBOMs that are signed, by the digest of their platform.
    fn sboms(&self) -> BTreeMap<Digest, Vec<SignedSbom>> {
        let mut sboms: BTreeMap<Digest, Vec<SignedSbom>> = BTreeMap::new();
        let subjects = self.evidence.iter().flat_map(|evidence| &evidence.subjects);
        for subject in subjects.filter(|subject| subject.kind != EvidencePart::Attestations) {
            for statement in &subject.attestations {
                let Some(document) = &statement.document else { continue };
                if !EvidenceKind::Sbom.is(&statement.predicate_type) {
                    continue;
                }
                let signed = SignedSbom {
                    predicate_type: statement.predicate_type.clone(),
                    document: document.clone(),
                };
                let known = sboms.entry(subject.digest.clone()).or_default();
                // Each format of evidence has the same.
                if !known.contains(&signed) {
                    known.push(signed);
                }
            }
        }
        sboms
    }
}

/// Which layers of each platform are its own, as its verified provenance says.
pub(super) async fn based_image(
    registry: &Registry,
    image: &PublishedImage,
) -> anyhow::Result<Vec<BasedImage>> {
    let subjects = || image.evidence.iter().flat_map(|evidence| &evidence.subjects);
    let of_part = |part: &PlatformImage| {
        let (mut materials, mut lines) = (Vec::new(), BuildLines::default());
        for subject in subjects().filter(|it| it.digest == part.descriptor.digest) {
            for statement in &subject.attestations {
                let Some(document) = &statement.document else { continue };
                let text = document.to_string();
                if let Ok(read) = Provenance::read(&statement.predicate_type, &text) {
                    materials.extend(read.materials);
                    lines.add(BuildLines::read(&text));
                }
            }
        }
        PlatformMaterials { platform: part.platform.clone(), materials, lines }
    };
    let platforms = image.parts.platforms();
    let materials: Vec<PlatformMaterials> = platforms.iter().map(of_part).collect();
    based(registry, &image.image.repository, platforms, &materials).await
}

/// The packages of each platform, in their order.
pub(in crate::verbs) async fn listed(
    registry: &Registry,
    image: &PublishedImage,
    now: Timestamp,
    report: &Report,
) -> anyhow::Result<Vec<ImagePackages>> {
    let sboms = image.sboms();
    let unlisted = image.parts.without(|digest| sboms.contains_key(digest));
    if !unlisted.is_empty() {
        let what = if image.evidence.is_some() { "has no signed SBOM" } else { "is not verified" };
        report.say(&format!("{} {what}: its layers are read", image.image));
    }
    let layers = LayerSboms::default();
    vulnerabilities::published(registry, &image.parts, &sboms, &unlisted, &layers, now).await
}
