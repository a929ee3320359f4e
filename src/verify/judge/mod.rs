//! The parts of an image with what they carry + policy → the evidence that counts, or every reason
//! why it is not enough. Pure.

use super::carried::ImageSubject;
use super::check;
use super::collect::{CollectedEvidence, RefusedBundle, VerifierNeeds};
use super::policy::{EvidenceNeed, EvidencePolicy, FormatsAccepted, PolicyRule};
use super::signer::SignerPolicy;
use super::{SubjectEvidence, VerifiedEvidence, VerifiedStatement};
use crate::error::{self, Remedied as _};
use crate::evidence;
use crate::evidence::{EvidenceFormat, EvidenceKind, EvidencePart};
use crate::sigstore::verifier::Signer;

/// Why an image is refused: of each part what it lacks, and of what it carries why that does not
/// count.
#[derive(Debug, Default)]
pub struct Reasons {
    parts: Vec<String>,
    /// How many statements are not there at all.
    missing: usize,
    remedies: Vec<String>,
    /// Whether something counts as soon as a log's clock is no more ahead of ours.
    passes: bool,
}

/// An image that is refused.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unproven {
    why: String,
    /// Whether the same may hold in a moment: a log's clock is ahead of this machine's.
    pub passes: bool,
}

impl Reasons {
    /// For who publishes it.
    pub(super) fn for_publisher(self) -> anyhow::Error {
        const AGAIN: &str = "run the workflow again, which signs again; if that fails too, compare `trusted-root` with the services in `signing-config`";
        let remedies =
            if self.remedies.is_empty() { vec![AGAIN.to_owned()] } else { self.remedies };
        let error = Unproven { why: self.parts.join("; "), passes: self.passes }.into();
        remedies.into_iter().rev().fold(error, error::with_hint)
    }

    /// All of them, as one text.
    pub fn text(&self) -> String {
        self.parts.join("; ")
    }

    /// How far it is from enough: parts that lack something, and statements that are not there.
    pub fn extent(&self) -> (usize, usize) {
        (self.parts.len(), self.missing)
    }

    /// What mends one or another, for who signs as for who verifies.
    pub fn remedies(&self) -> &[String] {
        &self.remedies
    }

    fn add(&mut self, part: String, remedies: Vec<String>) {
        self.parts.push(part);
        for remedy in remedies {
            if !self.remedies.contains(&remedy) {
                self.remedies.push(remedy);
            }
        }
    }
}

/// Judges all parts, each with what was found of it, at a time.
pub(super) fn judge(
    subjects: &[ImageSubject],
    found: &[CollectedEvidence],
    policy: &EvidencePolicy,
    among: FormatsAccepted<'_>,
    now: jiff::Timestamp,
) -> Result<VerifiedEvidence, Reasons> {
    let mut reasons = Reasons::default();
    let mut told: Vec<String> = Vec::new();
    let counted: Vec<(SubjectEvidence, Vec<RefusedBundle>, Vec<String>)> = subjects
        .iter()
        .zip(found)
        .map(|(subject, found)| counted(subject, found, policy))
        .collect();
    let judged: Vec<SubjectEvidence> =
        counted.iter().map(|(evidence, ..)| evidence.clone()).collect();
    for ((subject, found), (evidence, refused, remedies)) in subjects.iter().zip(found).zip(counted)
    {
        let required = RequiredOfPart { rules: &subject.required, policy };
        let missing = missing(&evidence, &required, among);
        let (name, digest) = (name(subject), subject.descriptor.digest.short());
        let failed = failed(&evidence, &required, among, now);
        if !failed.is_empty() {
            reasons.add(format!("{name} (`{digest}`): {}", failed.join("; ")), Vec::new());
        }
        if missing.is_empty() {
            continue;
        }
        reasons.missing += missing.len();
        let mut part = format!("{name} (`{digest}`) has no valid {}", by_signer(&missing, policy));
        let missing: Vec<(&EvidenceNeed, String)> =
            missing.into_iter().map(|(rule, name)| (&rule.need, name)).collect();
        part.push_str(&elsewhere(subject, &missing, &judged));
        // What speaks against one part speaks against others as well; it is said once.
        let asked = |refused: &RefusedBundle| {
            matches!(among, FormatsAccepted::Any)
                || matches!(among, FormatsAccepted::Each(formats) if formats.contains(&refused.format))
        };
        let refused: Vec<RefusedBundle> = refused.into_iter().filter(asked).collect();
        reasons.passes |= refused.iter().any(|refused| refused.wants == Some(VerifierNeeds::Time));
        for (why, names) in grouped(refused) {
            if !told.contains(&why) {
                part.push_str(&format!("; {} not count: {why}", names));
                told.push(why);
            }
        }
        if !found.unsupported.is_empty() {
            let kinds: Vec<String> = found
                .unsupported
                .iter()
                .map(|(kind, count)| format!("{count} of `{kind}`"))
                .collect();
            part.push_str(&format!(
                "; ignored, as this program does not support it: {}",
                kinds.join(", ")
            ));
        }
        reasons.add(part, remedies);
    }
    if reasons.parts.is_empty() {
        Ok(VerifiedEvidence::new(policy.signer.signer.clone(), judged))
    } else {
        Err(reasons)
    }
}

/// What counts of each part, be it enough or not.
pub(super) fn evidence(
    subjects: &[ImageSubject],
    found: &[CollectedEvidence],
    policy: &EvidencePolicy,
) -> Vec<SubjectEvidence> {
    subjects.iter().zip(found).map(|(subject, found)| counted(subject, found, policy).0).collect()
}

/// The statements of a part by those whom the policy believes, and why others do not count, with
/// what mends it.
fn counted(
    subject: &ImageSubject,
    found: &CollectedEvidence,
    policy: &EvidencePolicy,
) -> (SubjectEvidence, Vec<RefusedBundle>, Vec<String>) {
    let mut evidence = SubjectEvidence {
        kind: subject.kind,
        digest: subject.descriptor.digest.clone(),
        platform: subject.platform.clone(),
        signatures: Vec::new(),
        attestations: Vec::new(),
    };
    let (mut refused, mut remedies) = (found.refused.clone(), Vec::new());
    for statement in &found.statements {
        let by_another = subject.required.iter().any(|rule| {
            rule.need.is_met_by(&statement.predicate_type)
                && rule.by.as_ref().is_some_and(|by| is_by(statement, by))
        });
        let admitted = policy.signer.admits(&statement.signer, statement.source.as_ref());
        if let Err(why) = admitted.or_else(|why| if by_another { Ok(()) } else { Err(why) }) {
            let name = RefusedBundle::named(statement.manifest.as_ref(), &statement.bundle);
            refused.push(RefusedBundle::new(statement.format, name, why.to_string()));
            remedies.extend(why.remedy());
            continue;
        }
        let is_signature = statement.predicate_type == evidence::SIGNATURE;
        if is_signature { &mut evidence.signatures } else { &mut evidence.attestations }
            .push(statement.clone());
    }
    // A registry lists referrers in any order; the same evidence reads the same.
    for statements in [&mut evidence.signatures, &mut evidence.attestations] {
        statements.sort_by(|one, other| {
            let key = |it: &VerifiedStatement| {
                (it.format, it.predicate_type.clone(), it.log_index, it.bundle.clone())
            };
            key(one).cmp(&key(other))
        });
    }
    (evidence, refused, remedies)
}

/// What a part needs, and by whom where a rule does not say.
struct RequiredOfPart<'a> {
    rules: &'a [PolicyRule],
    policy: &'a EvidencePolicy,
}

impl RequiredOfPart<'_> {
    /// What counts of a part for a rule, in one format or in any.
    fn meeting<'e>(
        &self,
        evidence: &'e SubjectEvidence,
        (need, by): (&EvidenceNeed, Option<&SignerPolicy>),
        format: Option<EvidenceFormat>,
    ) -> Vec<&'e VerifiedStatement> {
        let by = by.unwrap_or(&self.policy.signer);
        let found = evidence.signatures.iter().chain(&evidence.attestations);
        found
            .filter(|found| {
                format.is_none_or(|format| found.format == format)
                    && need.is_met_by(&found.predicate_type)
                    && is_by(found, by)
            })
            .collect()
    }
}

fn is_by(statement: &VerifiedStatement, by: &SignerPolicy) -> bool {
    by.admits(&statement.signer, statement.source.as_ref()).is_ok()
}

/// What is needed and is not there, and what that is called.
fn missing<'a>(
    evidence: &SubjectEvidence,
    required: &RequiredOfPart<'a>,
    among: FormatsAccepted<'_>,
) -> Vec<(&'a PolicyRule, String)> {
    let lacks = |rule: &PolicyRule, format: Option<EvidenceFormat>| {
        required.meeting(evidence, (&rule.need, rule.by.as_ref()), format).is_empty()
    };
    let in_format = |format: EvidenceFormat| {
        let older = if format == EvidenceFormat::Legacy { " (older format)" } else { "" };
        let lacking = required.rules.iter().filter(move |rule| lacks(rule, Some(format)));
        lacking.map(move |rule| (rule, format!("{}{older}", rule.need)))
    };
    match among {
        FormatsAccepted::Each(formats) => {
            formats.iter().flat_map(|format| in_format(*format)).collect()
        }
        FormatsAccepted::Any => {
            let lacking = required.rules.iter().filter(|rule| lacks(rule, None));
            lacking.map(|rule| (rule, rule.need.to_string())).collect()
        }
    }
}

/// `A, B by one, and no valid C by another`.
fn by_signer(missing: &[(&PolicyRule, String)], policy: &EvidencePolicy) -> String {
    let mut groups: Vec<(&Signer, Vec<&str>)> = Vec::new();
    for (rule, name) in missing {
        let signer = &rule.by.as_ref().unwrap_or(&policy.signer).signer;
        match groups.iter_mut().find(|(known, _)| *known == signer) {
            Some((_, names)) => names.push(name),
            None => groups.push((signer, vec![name])),
        }
    }
    let told = groups.iter().map(|(signer, names)| format!("{} by {signer}", names.join(", ")));
    told.collect::<Vec<_>>().join(", and no valid ")
}

/// What statements that are there do not say, each reason once.
fn failed(
    evidence: &SubjectEvidence,
    required: &RequiredOfPart<'_>,
    among: FormatsAccepted<'_>,
    now: jiff::Timestamp,
) -> Vec<String> {
    let formats: Vec<Option<EvidenceFormat>> = match among {
        FormatsAccepted::Each(formats) => formats.iter().copied().map(Some).collect(),
        FormatsAccepted::Any => vec![None],
    };
    let mut failed: Vec<String> = Vec::new();
    for rule in required.rules.iter().filter(|rule| !rule.checks.is_empty()) {
        let is_scan = rule.need.kind() == Some(EvidenceKind::Vulnerabilities);
        // The newest scan counts, in whichever of its predicate types it was signed.
        let need = if is_scan {
            EvidenceNeed::Kind(EvidenceKind::Vulnerabilities)
        } else {
            rule.need.clone()
        };
        for format in &formats {
            let found = required.meeting(evidence, (&need, rule.by.as_ref()), *format);
            let counting = check::counting(found, &rule.checks, is_scan);
            let whys = |statement: &VerifiedStatement| -> Vec<String> {
                let whys = rule.checks.iter().filter_map(|check| check.holds(statement, now).err());
                whys.map(|why| why.to_string()).collect()
            };
            let told: Vec<Vec<String>> = counting.iter().map(|statement| whys(statement)).collect();
            // Of several provenances it is enough that one says what is asked.
            if told.iter().any(Vec::is_empty) {
                continue;
            }
            for why in told.into_iter().flatten() {
                if !failed.contains(&why) {
                    failed.push(why);
                }
            }
        }
    }
    failed
}

/// Of what one kind of part lacks, what the other has: evidence of the index says nothing of its
/// platforms, nor theirs of it.
fn elsewhere(
    subject: &ImageSubject,
    missing: &[(&EvidenceNeed, String)],
    judged: &[SubjectEvidence],
) -> String {
    let (other, who) = match subject.kind {
        EvidencePart::Index => (EvidencePart::Platform, "every platform has"),
        EvidencePart::Platform => (EvidencePart::Index, "the index has"),
        EvidencePart::Attestations | EvidencePart::Artifact => return String::new(),
    };
    let others: Vec<&SubjectEvidence> =
        judged.iter().filter(|evidence| evidence.kind == other).collect();
    let has = |need: &EvidenceNeed| {
        let met = |evidence: &&SubjectEvidence| {
            evidence
                .signatures
                .iter()
                .chain(&evidence.attestations)
                .any(|found| need.is_met_by(&found.predicate_type))
        };
        !others.is_empty() && others.iter().all(met)
    };
    let mut there: Vec<&EvidenceNeed> = Vec::new();
    for (need, _) in missing {
        if has(need) && !there.contains(need) {
            there.push(need);
        }
    }
    match there.as_slice() {
        [] => String::new(),
        [_] if missing.len() == 1 => format!(", though {who} one"),
        there => format!(
            ", though {who} {}",
            there.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        ),
    }
}

fn name(subject: &ImageSubject) -> String {
    match (subject.kind, &subject.platform) {
        (EvidencePart::Attestations, Some(platform)) => {
            format!("the attestation manifest of `{platform}`")
        }
        (_, Some(platform)) => format!("`{platform}`"),
        (EvidencePart::Artifact, None) => "the artifact".to_owned(),
        (_, None) => "the index".to_owned(),
    }
}

/// Each reason once, with whom it is about: `referrers `a` and 2 more do`.
fn grouped(refused: Vec<RefusedBundle>) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for RefusedBundle { name, why, .. } in refused {
        match groups.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => groups.push((why, vec![name])),
        }
    }
    let subject = |names: Vec<String>| match names.as_slice() {
        [name] => format!("{name} does"),
        [name, more @ ..] => format!("{name} and {} more do", more.len()),
        [] => String::new(),
    };
    groups.into_iter().map(|(why, names)| (why, subject(names))).collect()
}

#[cfg(test)]
mod tests;
