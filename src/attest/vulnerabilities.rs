//! The SBOMs that are to be signed → what is scanned; and scans → the drafts of their results, for
//! each platform and for the index. It asks nobody about a package and judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;

use super::lean::{envelope_size, refusal};
use super::of_index::predicate;
use super::sboms::{LayerSboms, of_layers};
use super::{Draft, DraftParts, statement};
use crate::assess::{AssessedAbout, ImagePackages};
use crate::evidence::{EvidenceKind, OPENVEX};
use crate::image::Digest;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::manifest::Descriptor;
use crate::scan::attestation::{self, ScanInvocation, ScanStatement};
use crate::scan::openvex;
use crate::scan::report::ImageScan;
use crate::scan::subjects;

/// The packages of each platform, as its SBOMs list them: the very bytes that are signed.
///
/// # Errors
/// When a platform has none, or one that cannot be read.
pub fn listed(
    parts: &DraftParts,
    drafts: &[Draft],
    now: Timestamp,
) -> anyhow::Result<Vec<ImagePackages>> {
    let of_platform = |part: &PlatformImage| {
        let digest = &part.descriptor.digest;
        let sboms = drafts.iter().filter(|draft| {
            draft.subject.digest == *digest && EvidenceKind::Sbom.is(&draft.predicate_type)
        });
        let (mut found, mut seen, mut has_sbom) = (Vec::new(), BTreeSet::new(), false);
        for draft in sboms {
            let document = predicate(&draft.statement)?;
            let subjects = subjects::of_document(document.as_bytes(), now)?.into_iter();
            found.extend(subjects.filter(|it| seen.insert((it.purl.clone(), it.name.clone()))));
            has_sbom = true;
        }
        if !has_sbom {
            anyhow::bail!("there is no SBOM of `{}`", part.platform);
        }
        let about = AssessedAbout {
            name: parts.repository.to_string(),
            digest: Some(digest.clone()),
            platform: Some(part.platform.clone()),
        };
        anyhow::Ok(ImagePackages { about, subjects: found })
    };
    parts
        .platforms
        .iter()
        .map(|part| {
            of_platform(part).with_context(|| format!("`{}` cannot be scanned", part.platform))
        })
        .collect()
}

/// An SBOM that is signed and verified.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedSbom {
    pub predicate_type: String,
    pub document: Arc<Value>,
}

/// The packages of each platform of an image that is published: as its signed SBOMs list them, and
/// for the platforms of `unlisted` as their layers do.
///
/// # Errors
/// When an SBOM or a layer cannot be read.
pub async fn published(
    registry: &Registry,
    parts: &DraftParts,
    sboms: &BTreeMap<Digest, Vec<SignedSbom>>,
    unlisted: &DraftParts,
    layers: &LayerSboms,
    now: Timestamp,
) -> anyhow::Result<Vec<ImagePackages>> {
    let mut drafts = match unlisted.is_empty() {
        true => Vec::new(),
        false => of_layers(registry, unlisted, layers).await?,
    };
    for part in &parts.platforms {
        for sbom in sboms.get(&part.descriptor.digest).into_iter().flatten() {
            let subject = part.descriptor.bare();
            let kind = &sbom.predicate_type;
            let statement =
                statement(&parts.repository, &subject, kind, &sbom.document.to_string())?;
            drafts.push(Draft { subject, predicate_type: kind.clone(), statement });
        }
    }
    tokio::task::block_in_place(|| listed(parts, &drafts, now))
}

/// As what results are signed, and in whose name.
#[derive(Debug, Clone)]
pub struct SignedResult {
    /// Predicate types.
    pub types: Vec<&'static str>,
    pub invocation: ScanInvocation,
    /// Who accepts risks.
    pub author: String,
}

/// The result for each platform, and for the index where there is one; and what was accepted, as an
/// OpenVEX document about each. `scans` has one for each platform, in their order.
///
/// # Errors
/// When a result does not fit into an envelope of `limit` bytes.
pub fn drafts(
    parts: &DraftParts,
    scans: &[&ImageScan],
    signed: &SignedResult,
    limit: usize,
) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    let mut add = |subject: &Descriptor, scans: &[&ImageScan]| -> anyhow::Result<()> {
        for kind in &signed.types {
            let whole = attestation::predicate(kind, scans, &signed.invocation)
                .context("the scan has no result to sign")?;
            drafts.push(fitting(parts, subject, kind, whole, limit)?);
        }
        let now = scans.iter().map(|scan| scan.finished).min().unwrap_or_default();
        if let Some(document) = openvex::document(scans, &signed.author, now) {
            drafts.push(fitting(parts, subject, OPENVEX, document, limit)?);
        }
        Ok(())
    };
    for (part, scan) in parts.platforms.iter().zip(scans) {
        add(&part.descriptor.bare(), &[scan])?;
    }
    if parts.platforms.iter().all(|part| part.descriptor.digest != parts.root.digest) {
        add(&parts.root, scans)?;
    }
    Ok(drafts)
}

/// What a draft says of a scan; `None` where it is no result of one.
pub(super) fn scan(draft: &Draft) -> Option<ScanStatement> {
    let kind = draft.predicate_type.as_str();
    if !EvidenceKind::Vulnerabilities.is(kind) {
        return None;
    }
    let predicate: Value = serde_json::from_str(predicate(&draft.statement).ok()?).ok()?;
    ScanStatement::read(kind, &predicate).ok()
}

/// The statement, whole or without what only people read.
fn fitting(
    parts: &DraftParts,
    subject: &Descriptor,
    kind: &str,
    whole: Value,
    limit: usize,
) -> anyhow::Result<Draft> {
    let draft = |predicate: &Value| {
        let statement = statement(&parts.repository, subject, kind, &predicate.to_string())?;
        anyhow::Ok(Draft { subject: subject.clone(), predicate_type: kind.to_owned(), statement })
    };
    let made = draft(&whole)?;
    if envelope_size(&made.statement) <= limit {
        return Ok(made);
    }
    let lean = draft(&attestation::lean(whole))?;
    match envelope_size(&lean.statement) {
        size if size <= limit => Ok(lean),
        size => Err(refusal(kind, &subject.digest, size, limit)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::{COSIGN_VULNERABILITIES, CYCLONEDX, IN_TOTO_VULNERABILITIES};
    use crate::scan::sample;

    fn parts(platforms: &[&str], has_index: bool) -> DraftParts {
        let platforms: Vec<PlatformImage> = platforms
            .iter()
            .map(|name| PlatformImage {
                platform: name.parse().unwrap(),
                descriptor: Descriptor::of(name.as_bytes(), "m"),
                attestations: None,
            })
            .collect();
        let root = match has_index {
            true => Descriptor::of(b"index", "i"),
            false => platforms[0].descriptor.clone(),
        };
        DraftParts { repository: "r.io/a".parse().unwrap(), root, platforms, taken: Vec::new() }
    }

    fn sbom(parts: &DraftParts, platform: usize, purls: &[&str]) -> Draft {
        let components: Vec<Value> = purls
            .iter()
            .map(|purl| json!({ "type": "library", "name": "x", "purl": purl }))
            .collect();
        let document =
            json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components });
        let subject = parts.platforms[platform].descriptor.bare();
        let statement =
            statement(&parts.repository, &subject, CYCLONEDX, &document.to_string()).unwrap();
        Draft { subject, predicate_type: CYCLONEDX.to_owned(), statement }
    }

    fn signed() -> SignedResult {
        SignedResult {
            types: vec![COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES],
            invocation: sample::invocation(),
            author: "https://github.com/acme/app".to_owned(),
        }
    }

    #[test]
    fn what_is_signed_of_a_platform_is_what_is_scanned_of_it() {
        let two = parts(&["linux/amd64", "linux/arm64"], true);
        let drafts = [
            sbom(&two, 0, &["pkg:npm/a@1.0.0", "pkg:npm/b@1.0.0"]),
            sbom(&two, 0, &["pkg:npm/a@1.0.0"]),
            sbom(&two, 1, &["pkg:npm/c@2.0.0"]),
        ];
        let now = Timestamp::UNIX_EPOCH;
        let images = listed(&two, &drafts, now).unwrap();
        let purls: Vec<Vec<&str>> = images
            .iter()
            .map(|image| image.subjects.iter().map(|it| it.purl.as_str()).collect())
            .collect();
        assert_eq!(purls, [vec!["pkg:npm/a@1.0.0", "pkg:npm/b@1.0.0"], vec!["pkg:npm/c@2.0.0"]]);
        assert_eq!(images[1].about.digest, Some(two.platforms[1].descriptor.digest.clone()));
        let none = listed(&two, &drafts[..2], now).unwrap_err();
        assert!(format!("{none:#}").contains("there is no SBOM of `linux/arm64`"), "{none:#}");
    }

    #[test]
    fn each_platform_has_its_result_and_the_index_that_of_all() {
        let (amd64, arm64) = (sample::scan("amd64"), sample::scan("arm64"));
        let two = parts(&["linux/amd64", "linux/arm64"], true);
        let made = drafts(&two, &[&amd64, &arm64], &signed(), usize::MAX).unwrap();
        let of = |subject: &Descriptor| -> Vec<&str> {
            let of_it = made.iter().filter(|it| it.subject.digest == subject.digest);
            of_it.map(|draft| draft.predicate_type.as_str()).collect()
        };
        let all = [COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES, OPENVEX];
        for subject in [&two.platforms[0].descriptor, &two.platforms[1].descriptor, &two.root] {
            assert_eq!(of(subject), all);
        }
        let alone = parts(&["linux/amd64"], false);
        assert_eq!(drafts(&alone, &[&amd64], &signed(), usize::MAX).unwrap().len(), 3);
    }

    #[test]
    fn a_large_result_loses_what_only_people_read_and_then_is_refused() {
        let scan = sample::scan("amd64");
        let one = parts(&["linux/amd64"], false);
        let whole = drafts(&one, &[&scan], &signed(), usize::MAX).unwrap();
        let size = envelope_size(&whole[0].statement);
        let lean = drafts(&one, &[&scan], &signed(), size - 1).unwrap();
        let read = |draft: &Draft| {
            let predicate: Value =
                serde_json::from_str(predicate(&draft.statement).unwrap()).unwrap();
            ScanStatement::read(&draft.predicate_type, &predicate).unwrap()
        };
        assert_eq!(read(&lean[0]).tally, read(&whole[0]).tally);
        assert!(lean[0].statement.len() < whole[0].statement.len());
        let refused = drafts(&one, &[&scan], &signed(), 100).unwrap_err();
        assert!(format!("{refused:#}").contains("KiB"), "{refused:#}");
    }
}
