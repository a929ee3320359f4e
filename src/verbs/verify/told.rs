//! What `verify` found, or why it refuses and what the person who verifies can do → text and JSON.
//! It never speaks to who publishes.

use serde_json::{Value, json};

use super::arguments::VerifyArguments;
use super::whose::SignatureAskedFor;
use crate::error::{self, WithExit, exit};
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::page::RefusalPage;
use crate::registry::{self, RegistryError};
use crate::sigstore::verifier::Signer;
use crate::summary::source::said;
use crate::verify::policy::{EvidencePolicy, FormatsAccepted};
use crate::verify::{CarriedEvidence, Reasons, SignerClaim, VerifiedImage};

/// A verified image, and how each format fared.
pub(super) struct VerifiedFormats {
    pub(super) image: VerifiedImage,
    pub(super) formats: Vec<(EvidenceFormat, Option<String>)>,
    pub(super) ignores_log: bool,
    /// What it is in place of an image.
    pub(super) artifact: Option<String>,
    /// Where it lies on disk, if it does.
    pub(super) layout: Option<VerifiedLayout>,
    /// What speaks against the version in the tag that was asked for.
    pub(super) other_version: Option<String>,
}

/// An image on disk.
pub(super) struct VerifiedLayout {
    pub(super) shown: String,
    /// How many were hashed.
    pub(super) blobs: usize,
}

/// Of each format that was read why it is not enough by itself.
pub(super) fn formats(
    arguments: &VerifyArguments,
    carried: &CarriedEvidence,
    policy: &EvidencePolicy,
) -> Vec<(EvidenceFormat, Option<String>)> {
    let of = |format: EvidenceFormat| {
        if !arguments.signature_formats.is_empty() {
            return (format, None);
        }
        let unread = || carried.why_unread(format).map(|why| format!("could not be read: {why}"));
        (
            format,
            unread().or_else(|| {
                carried
                    .judged(policy, FormatsAccepted::Each(&[format]), jiff::Timestamp::now())
                    .err()
                    .map(|reasons| reasons.text())
            }),
        )
    };
    policy.requirements.formats.iter().copied().map(of).collect()
}

pub(super) fn name(format: EvidenceFormat) -> &'static str {
    if format == EvidenceFormat::Bundle { "bundles" } else { "layers of the older format" }
}

impl VerifiedFormats {
    /// Whether no format has everything, so that the image is verified by both together.
    fn is_mixed(&self) -> bool {
        self.formats.iter().all(|(_, why)| why.is_some())
    }

    fn unlogged(&self) -> usize {
        self.image.evidence().statements().filter(|statement| !statement.logged).count()
    }

    /// What was verified: an image in a registry, or one on disk.
    fn shown(&self) -> String {
        self.layout
            .as_ref()
            .map_or_else(|| self.image.image().to_string(), |layout| layout.shown.clone())
    }

    pub(super) fn json(&self) -> Value {
        let formats: serde_json::Map<String, Value> = self
            .formats
            .iter()
            .filter_map(|(format, why)| {
                Some((
                    json!(format).as_str()?.to_owned(),
                    why.as_ref().map_or(json!("verified"), |why| json!(why)),
                ))
            })
            .collect();
        let evidence = self.image.evidence();
        json!({
            "verified": true, "outcome": "verified", "image": self.shown(), "signer": evidence.signer,
            "formats": formats, "together": self.is_mixed(), "sources": evidence.sources, "subjects": evidence.subjects,
            "allowed": self.image.told(), "artifactType": self.artifact, "otherVersion": self.other_version,
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let evidence = self.image.evidence();
        let mut lines =
            vec![format!("verified   {}", self.shown()), format!("signed by  {}", evidence.signer)];
        lines.extend(self.layout.as_ref().map(|layout| {
            format!("layout     every one of its {} blobs hashes to its digest", layout.blobs)
        }));
        lines.extend(self.artifact.as_ref().map(|kind| format!("artifact   {kind}, not an image")));
        if let Signer::Keyless { issuer, .. } = &evidence.signer {
            lines.push(format!("issuer     {issuer}"));
        }
        for source in &evidence.sources {
            lines.extend(
                said(source, evidence)
                    .into_iter()
                    .map(|(name, value)| format!("{name:<10} {value}")),
            );
        }
        lines.extend(self.other_version.as_ref().map(|why| format!("version    {why}")));
        let scans = evidence.statements().filter_map(|it| it.scan.as_ref()?.as_ref().ok());
        // The result of the index is that of all platforms together.
        let newest =
            scans.max_by_key(|scan| (scan.finished, scan.tally.counts.total(), scan.not_assessed));
        lines.extend(newest.map(|scan| format!("scanned    {}", scan.told())));
        for (format, why) in &self.formats {
            let name = if *format == EvidenceFormat::Bundle { "bundles" } else { "legacy" };
            lines.push(format!("{name:<10} {}", why.as_deref().unwrap_or("verified")));
        }
        if self.is_mixed() {
            lines.push("together   verified: what one format lacks, the other has".to_owned());
        }
        if self.ignores_log && self.unlogged() > 0 {
            lines.push(format!(
                "no log     {} without a log entry, as `--insecure-ignore-tlog` allows",
                self.unlogged()
            ));
        }
        lines.extend(self.image.told().iter().map(|told| format!("allowed    {told}")));
        lines.push(String::new());
        lines.extend(evidence.subjects.iter().map(crate::summary::picture::subject_line));
        lines
    }
}

/// An image of which enough was read to refuse it.
pub(super) struct VerifyRefusal<'a> {
    pub(super) whose: &'a SignatureAskedFor,
    pub(super) claims: &'a [SignerClaim],
    pub(super) carried: &'a CarriedEvidence,
    /// By the signer who lacks least, where one could be meant.
    pub(super) refused: Option<(EvidencePolicy, Reasons)>,
    /// What BuildKit left unsigned.
    pub(super) unsigned: &'a [String],
}

impl VerifyRefusal<'_> {
    pub(super) fn error(&self) -> anyhow::Error {
        let inventory = self.carried.inventory(self.unsigned);
        let message = match &self.refused {
            Some((_, reasons)) => format!("{}; {inventory}", reasons.text()),
            None if self.claims.is_empty() => {
                format!("no signature is by {}; {inventory}", self.whose)
            }
            None => {
                let claims: Vec<String> = self
                    .claims
                    .iter()
                    .map(|SignerClaim { identity, issuer, .. }| format!("`{identity}` ({issuer})"))
                    .collect();
                format!(
                    "no signature is by {}; the image claims to be signed by {}",
                    self.whose,
                    claims.join(", ")
                )
            }
        };
        let refused = error::with_see(anyhow::anyhow!(message), RefusalPage::NotVerified);
        self.hints().into_iter().rev().fold(refused, error::with_hint)
    }

    /// What the person who verifies can do, the likeliest first.
    fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for issuer in self.whose.other_issuers(self.claims) {
            hints.push(format!("pass `--certificate-oidc-issuer {issuer}` if you trust that issuer: it vouched for the signer"));
        }
        if let Some((policy, reasons)) = &self.refused {
            hints.extend_from_slice(reasons.remedies());
            let has = self.carried.has_for(policy);
            if !has.is_empty() {
                let asks: Vec<String> = has
                    .iter()
                    .map(|(part, kinds)| {
                        format!("--require {}={}", part_name(*part), kinds.join(","))
                    })
                    .collect();
                hints.push(format!(
                    "require only what the image has, if that is enough for you: {}",
                    asks.join(" ")
                ));
            }
        }
        if self.carried.wants_key() && self.whose.key().is_none() {
            hints.push(
                "pass the public key with `--key cosign.pub`: a key signed a part of the image"
                    .to_owned(),
            );
        }
        if self.carried.wants_no_log() {
            hints.push(
                "pass `--insecure-ignore-tlog` to accept what this key signed without a log entry; anyone who ever had the key may have signed it"
                    .to_owned(),
            );
        }
        let holding = self.claims.iter().any(|claim| claim.holds);
        match (hints.is_empty(), holding, self.claims.is_empty()) {
            (false, ..) => {}
            _ if self.whose.key().is_some() => {
                hints.push("pass the key that signed, or do not use the image: this key signed no part of it".to_owned());
            }
            (true, true, _) => hints.push(
                "pass `--certificate-identity` and `--certificate-oidc-issuer` of one of these signers if you trust it; both must match completely"
                    .to_owned(),
            ),
            (true, false, false) => hints.push(
                "pass the trusted root of the Sigstore instance that signed with `--trusted-root`, or do not use the image: no signature verifies with this root"
                    .to_owned(),
            ),
            (true, false, true) => hints.push("ask the publisher for a signature: nothing of this image can be verified".to_owned()),
        }
        hints
    }
}

fn part_name(part: EvidencePart) -> &'static str {
    match part {
        EvidencePart::Index | EvidencePart::Artifact => "index",
        EvidencePart::Platform => "platforms",
        EvidencePart::Attestations => "attestations",
    }
}

/// A failure that leaves open whether the image is verified.
pub(super) fn unknown(error: anyhow::Error) -> anyhow::Error {
    let hints = error::hints(&error);
    let told =
        anyhow::Error::new(WithExit { code: exit::UNKNOWN, message: error::message(&error) });
    let told = error::with_see(told, RefusalPage::CouldNotBeFoundOut);
    hints.into_iter().fold(told, error::with_hint)
}

/// A failure as somebody is told who only reads. Where the registry gave no answer, nothing was
/// found out.
pub(in crate::verbs) fn for_reader(error: anyhow::Error) -> anyhow::Error {
    let cause = error.chain().find_map(|link| link.downcast_ref::<RegistryError>());
    let is_unknown = cause.is_some_and(RegistryError::is_no_answer);
    let told = registry::for_reader(error);
    if is_unknown { unknown(told.context("it could not be found out")) } else { told }
}

/// A refusal for machines.
pub(super) fn refusal(error: &anyhow::Error) -> Value {
    let outcome = match error::exit_code(error) {
        exit::UNKNOWN => "unknown",
        exit::BAD_INPUT => "wrong-arguments",
        _ => "not-verified",
    };
    json!({ "verified": false, "outcome": outcome, "reason": error::message(error), "hints": error::hints(error) })
}
