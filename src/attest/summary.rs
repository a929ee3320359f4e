//! A verified image → SLSA verification summaries of its parts: who verified what, where it lies, by
//! which policy and from which statements. Pure. It claims no level that no verified provenance
//! shows, and nothing of source or dependencies.
//!
//! Specification: <https://slsa.dev/spec/v1.2/verification_summary>.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::Draft;
use crate::evidence::{EvidenceFormat, EvidenceKind, EvidencePart, VERIFICATION_SUMMARY};
use crate::image::{Digest, ImageRef, Repository};
use crate::registry::manifest::Descriptor;
use crate::sigstore::verifier::Signer;
use crate::verify::policy::{PolicyRule, Requirements};
use crate::verify::{SubjectEvidence, VerifiedEvidence, VerifiedStatement};

const SLSA_VERSION: &str = "1.2";
/// A field of our own, by a name that is a URI as the specification wants it.
const PROMOTED_FROM: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/promoted-from");

/// A workflow whose builds are isolated from who calls it, by its name in certificates; after a `*`
/// that ends it anything may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedBuilder(String);

impl FromStr for TrustedBuilder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let path =
            stem.strip_prefix("https://").and_then(|rest| rest.split_once("/.github/workflows/"));
        let is_one = path.is_some_and(|(owner, file)| {
            owner.split('/').count() >= 3
                && file.split_once('@').is_some_and(|(file, _)| !file.is_empty())
        });
        match is_one && !stem.contains(['*', ' ']) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "`{text}` is not a workflow at a ref, such as `https://github.com/OWNER/REPO/.github/workflows/build.yml@refs/tags/v*`"
            )),
        }
    }
}

impl TrustedBuilder {
    fn is(&self, identity: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(stem) => identity.starts_with(stem),
            None => self.0 == identity,
        }
    }
}

/// The policy by which an image was verified.
#[derive(Debug, Clone)]
pub struct SummarizedPolicy {
    /// Which one: the workflow that holds it.
    pub uri: String,
    /// Its words after defaults, as canonical JSON (RFC 8785).
    pub bytes: Vec<u8>,
}

impl SummarizedPolicy {
    /// As a resource: whoever reads it has the words as well as their digest.
    fn resource(&self) -> Value {
        json!({
            "uri": self.uri,
            "digest": { "sha256": Digest::of(&self.bytes).hex() },
            "mediaType": "application/json",
            "content": BASE64.encode(&self.bytes),
        })
    }
}

/// What all summaries of a promotion have in common.
#[derive(Debug)]
pub struct SummaryTexts<'a> {
    /// `verifier.id`.
    pub verifier: &'a str,
    /// Where it was verified first, if that has a name.
    pub from: Option<&'a ImageRef>,
    pub policy: &'a SummarizedPolicy,
    pub builders: &'a [TrustedBuilder],
    pub now: jiff::Timestamp,
}

/// A summary that is to be signed, and the formats in which the part has its evidence: a bundle
/// beside signatures of the older format alone would hide these from who reads either.
#[derive(Debug)]
pub struct SummaryDraft {
    pub draft: Draft,
    pub formats: Vec<EvidenceFormat>,
    /// What it says but for the time.
    pub said: Digest,
}

impl SummaryTexts<'_> {
    /// One summary for each part of which the policy asks for something. `blob` tells where bytes of
    /// the repository are fetched from, `part` what a digest is.
    pub fn drafts<'d>(
        &self,
        evidence: &VerifiedEvidence,
        requirements: &Requirements,
        to: &Repository,
        blob: impl Fn(&Digest) -> String,
        part: impl Fn(&Digest) -> Option<&'d Descriptor>,
    ) -> anyhow::Result<Vec<SummaryDraft>> {
        let subjects = evidence.subjects.iter().filter(|subject| {
            subject.kind != EvidencePart::Attestations
                && !of_part(requirements, evidence, subject).is_empty()
        });
        let drafts = subjects.map(|subject| {
            let descriptor = part(&subject.digest)
                .ok_or_else(|| anyhow::anyhow!("`{}` was lost on the way", subject.digest))?;
            let predicate = self.predicate(evidence, requirements, subject, to, &blob);
            let said = crate::verify::summary::said(&predicate);
            let statement =
                super::statement(to, descriptor, VERIFICATION_SUMMARY, &predicate.to_string())?;
            let draft = Draft {
                subject: descriptor.clone(),
                predicate_type: VERIFICATION_SUMMARY.to_owned(),
                statement,
            };
            Ok(SummaryDraft { draft, formats: formats(subject), said })
        });
        drafts.collect()
    }

    fn predicate(
        &self,
        evidence: &VerifiedEvidence,
        requirements: &Requirements,
        subject: &SubjectEvidence,
        to: &Repository,
        blob: &impl Fn(&Digest) -> String,
    ) -> Value {
        // An index is verified with all its parts.
        let is_whole = subject.kind == EvidencePart::Index;
        let parts =
            evidence.subjects.iter().filter(|part| is_whole || part.digest == subject.digest);
        let mut inputs: Vec<&Digest> = parts
            .flat_map(|part| used(part, of_part(requirements, evidence, part)))
            .map(|statement| &statement.bundle)
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        let inputs: Vec<Value> = inputs
            .into_iter()
            .map(|digest| json!({ "uri": blob(digest), "digest": { "sha256": digest.hex() } }))
            .collect();
        let mut predicate = json!({
            "verifier": { "id": self.verifier, "version": { "supply-action": env!("CARGO_PKG_VERSION") } },
            "timeVerified": self.now.round(jiff::Unit::Second).unwrap_or(self.now).to_string(),
            "resourceUri": format!("oci://{}", to.at(&subject.digest)),
            "policy": self.policy.resource(),
            "inputAttestations": inputs,
            "verificationResult": "PASSED",
            "verifiedLevels": [self.build_level(subject)],
            "slsaVersion": SLSA_VERSION,
        });
        if let Some(from) = self.from {
            predicate[PROMOTED_FROM] =
                format!("oci://{}", from.repository.at(&subject.digest)).into();
        }
        predicate
    }

    /// The level that a verified provenance of this very part shows, by what its certificate says.
    fn build_level(&self, subject: &SubjectEvidence) -> &'static str {
        let levels = provenances(subject).map(|statement| {
            let runner = statement.source.as_ref().and_then(|source| source.runner.as_deref());
            match &statement.signer {
                Signer::Keyless { identity, .. } if runner == Some("github-hosted") => {
                    let is_isolated = self.builders.iter().any(|builder| builder.is(identity));
                    if is_isolated { "SLSA_BUILD_LEVEL_3" } else { "SLSA_BUILD_LEVEL_2" }
                }
                // Whoever holds a key, or runs the machine, may have written what it says.
                Signer::Keyless { .. } | Signer::Key(_) => "SLSA_BUILD_LEVEL_1",
            }
        });
        levels.max().unwrap_or("SLSA_BUILD_LEVEL_UNEVALUATED")
    }
}

/// The rules of a part. A platform that is the whole image needs what an index does as well.
fn of_part<'a>(
    requirements: &'a Requirements,
    evidence: &VerifiedEvidence,
    subject: &SubjectEvidence,
) -> Vec<&'a PolicyRule> {
    let has_index = evidence.subjects.iter().any(|part| part.kind == EvidencePart::Index);
    let whole = (subject.kind == EvidencePart::Artifact || !has_index).then(|| {
        requirements.of(EvidencePart::Platform).iter().chain(requirements.of(EvidencePart::Index))
    });
    match whole {
        Some(both) if subject.kind != EvidencePart::Attestations => both.collect(),
        _ => requirements.of(subject.kind).iter().collect(),
    }
}

fn statements(subject: &SubjectEvidence) -> impl Iterator<Item = &VerifiedStatement> {
    subject.signatures.iter().chain(&subject.attestations)
}

fn provenances(subject: &SubjectEvidence) -> impl Iterator<Item = &VerifiedStatement> {
    let is_one = |found: &&VerifiedStatement| EvidenceKind::Provenance.is(&found.predicate_type);
    statements(subject).filter(is_one)
}

/// What was used of a part: what a rule needs, and what a level is seen in.
fn used<'e>(
    subject: &'e SubjectEvidence,
    rules: Vec<&'e PolicyRule>,
) -> impl Iterator<Item = &'e VerifiedStatement> {
    statements(subject).filter(move |statement| {
        let kind = &statement.predicate_type;
        EvidenceKind::Provenance.is(kind) || rules.iter().any(|rule| rule.need.is_met_by(kind))
    })
}

/// The formats in which a part has evidence that counts.
fn formats(subject: &SubjectEvidence) -> Vec<EvidenceFormat> {
    let has = |format: &EvidenceFormat| statements(subject).any(|found| found.format == *format);
    let found: Vec<EvidenceFormat> =
        [EvidenceFormat::Bundle, EvidenceFormat::Legacy].into_iter().filter(has).collect();
    if found.is_empty() { vec![EvidenceFormat::Bundle] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{SIGNATURE, SLSA_1, SPDX};
    use crate::sigstore::source::CertificateSource;
    use crate::verify::policy::EvidenceNeed;
    use crate::verify::sample;

    const BUILDER: &str = "https://github.com/o/r/.github/workflows/build.yml@refs/tags/v1";

    fn signed(kind: &str, runner: Option<&str>) -> VerifiedStatement {
        let source = CertificateSource { runner: runner.map(str::to_owned), ..Default::default() };
        let signer =
            Signer::Keyless { identity: BUILDER.to_owned(), issuer: "https://i".to_owned() };
        VerifiedStatement { signer, source: Some(source), ..sample::statement(kind) }
    }

    fn level(statements: Vec<VerifiedStatement>, builders: &[&str]) -> &'static str {
        let builders: Vec<TrustedBuilder> =
            builders.iter().map(|builder| builder.parse().unwrap()).collect();
        let policy = SummarizedPolicy { uri: String::new(), bytes: Vec::new() };
        let from = "ghcr.io/o/a".parse::<Repository>().unwrap().at(&Digest::of(b"x"));
        let texts = SummaryTexts {
            verifier: "https://v",
            from: Some(&from),
            policy: &policy,
            builders: &builders,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let subject = SubjectEvidence {
            kind: EvidencePart::Index,
            digest: Digest::of(b"x"),
            platform: None,
            signatures: Vec::new(),
            attestations: statements,
        };
        texts.build_level(&subject)
    }

    #[test]
    fn no_level_is_claimed_that_no_certificate_shows() {
        let hosted = || vec![signed(SLSA_1, Some("github-hosted"))];
        let key = VerifiedStatement { source: None, ..sample::statement(SLSA_1) };
        for (statements, builders, said) in [
            (hosted(), &[][..], "SLSA_BUILD_LEVEL_2"),
            (hosted(), &[BUILDER], "SLSA_BUILD_LEVEL_3"),
            (
                hosted(),
                &["https://github.com/o/r/.github/workflows/build.yml@refs/tags/*"],
                "SLSA_BUILD_LEVEL_3",
            ),
            (
                hosted(),
                &["https://github.com/o/r/.github/workflows/build.yml@refs/tags/v"],
                "SLSA_BUILD_LEVEL_2",
            ),
            (
                hosted(),
                &["https://github.com/o/r/.github/workflows/build.yml@refs/heads/*"],
                "SLSA_BUILD_LEVEL_2",
            ),
            (vec![signed(SLSA_1, Some("self-hosted"))], &[BUILDER], "SLSA_BUILD_LEVEL_1"),
            (vec![signed(SLSA_1, None)], &[BUILDER], "SLSA_BUILD_LEVEL_1"),
            (vec![key], &[BUILDER], "SLSA_BUILD_LEVEL_1"),
            (vec![signed(SPDX, Some("github-hosted"))], &[BUILDER], "SLSA_BUILD_LEVEL_UNEVALUATED"),
            (Vec::new(), &[BUILDER], "SLSA_BUILD_LEVEL_UNEVALUATED"),
        ] {
            assert_eq!(level(statements, builders), said, "{builders:?}");
        }
    }

    #[test]
    fn a_builder_is_a_workflow_at_a_ref() {
        for wrong in [
            "*",
            "https://*",
            "https://github.com/o/r",
            "https://github.com/o/r/.github/workflows/b.yml",
            "https://github.com/o/r/.github/workflows/@*",
            "https://github.com/o/*/.github/workflows/b.yml@*",
            "https://github.com/.github/workflows/b.yml@*",
            "o/r/.github/workflows/b.yml@refs/tags/v1",
        ] {
            assert!(wrong.parse::<TrustedBuilder>().is_err(), "{wrong}");
        }
        assert!(format!("{BUILDER}*").parse::<TrustedBuilder>().is_ok());
    }

    #[test]
    fn what_is_used_of_a_part_is_what_a_rule_needs_and_what_a_level_is_seen_in() {
        let subject = SubjectEvidence {
            kind: EvidencePart::Platform,
            digest: Digest::of(b"x"),
            platform: None,
            signatures: vec![sample::statement(SIGNATURE)],
            attestations: [SLSA_1, SPDX, VERIFICATION_SUMMARY].map(sample::statement).to_vec(),
        };
        let rule = PolicyRule::from("signature".parse::<EvidenceNeed>().unwrap());
        let kinds: Vec<&str> =
            used(&subject, vec![&rule]).map(|found| found.predicate_type.as_str()).collect();
        assert_eq!(
            kinds,
            [SIGNATURE, SLSA_1],
            "neither what nobody asked for, nor an older summary"
        );
    }
}
