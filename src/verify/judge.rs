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
        const AGAIN: &str = "a rerun signs again; if it persists, compare `trusted-root` with the services of `signing-config`";
        let remedies =
            if self.remedies.is_empty() { vec![AGAIN.to_owned()] } else { self.remedies };
        let error = Unproven { why: self.parts.join("; "), passes: self.passes }.into();
        remedies.into_iter().rev().fold(error, error::with_hint)
    }

    /// All of them, as one text.
    pub fn text(&self) -> String {
        self.parts.join("; ")
    }

    /// How many parts lack something.
    pub fn parts(&self) -> usize {
        self.parts.len()
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
                "; not supported, so neither believed nor refused: {}",
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
            let counting: Vec<&VerifiedStatement> = match is_scan {
                true => check::newest(found.into_iter()).into_iter().collect(),
                false => found,
            };
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
mod tests {
    use super::*;
    use crate::image::{Digest, Platform};
    use crate::registry::manifest::Descriptor;
    use crate::sigstore::source::CertificateSource;
    use crate::verify::policy::Requirements;
    use crate::verify::sample;
    use crate::verify::signer::SourceRule;

    const SHARED: &str = "https://github.com/org/tool/.github/workflows/publish.yml@refs/tags/v1";

    fn signer() -> Signer {
        Signer::Keyless { identity: SHARED.to_owned(), issuer: "https://i".to_owned() }
    }

    fn statement(kind: &str, repository: &str) -> VerifiedStatement {
        let bundle = Digest::of(format!("{kind} {repository}").as_bytes());
        VerifiedStatement {
            manifest: Some(bundle.clone()),
            payload: bundle.clone(),
            bundle,
            signer: signer(),
            source: Some(CertificateSource {
                repository: Some(repository.to_owned()),
                ..CertificateSource::default()
            }),
            ..sample::statement(kind)
        }
    }

    fn policy(repository: Option<&str>) -> EvidencePolicy {
        let requirements = Requirements {
            platforms: Vec::new(),
            index: Vec::new(),
            platform: Vec::new(),
            attestations: Vec::new(),
            formats: vec![EvidenceFormat::Bundle],
            allowed: crate::oci::Allowed::default(),
        };
        let source = SourceRule {
            repository: repository.map(|text| text.parse().unwrap()),
            ..SourceRule::default()
        };
        EvidencePolicy { signer: SignerPolicy { signer: signer(), source }, requirements }
    }

    fn judged(
        found: &[&[VerifiedStatement]],
        repository: Option<&str>,
    ) -> Result<VerifiedEvidence, String> {
        judged_among(found, repository, FormatsAccepted::Each(&[EvidenceFormat::Bundle]))
    }

    fn judged_among(
        found: &[&[VerifiedStatement]],
        repository: Option<&str>,
        among: FormatsAccepted<'_>,
    ) -> Result<VerifiedEvidence, String> {
        let descriptors: Vec<Descriptor> =
            (0..found.len()).map(|at| Descriptor::of(at.to_string().as_bytes(), "m")).collect();
        let platform: Platform = "linux/amd64".parse().unwrap();
        let required = [evidence::SIGNATURE, "https://p"]
            .map(|kind| PolicyRule::from(EvidenceNeed::Type(kind.to_owned())));
        let subject = |(at, descriptor)| ImageSubject {
            kind: if at == 0 { EvidencePart::Index } else { EvidencePart::Platform },
            descriptor,
            platform: (at > 0).then(|| platform.clone()),
            required: required.to_vec(),
        };
        let subjects: Vec<ImageSubject> =
            descriptors.into_iter().enumerate().map(subject).collect();
        let found = found.iter().map(|found| CollectedEvidence {
            statements: found.to_vec(),
            ..CollectedEvidence::default()
        });
        let found: Vec<CollectedEvidence> = found.collect();
        let now = jiff::Timestamp::now();
        judge(&subjects, &found, &policy(repository), among, now).map_err(|reasons| {
            let error = reasons.for_publisher();
            format!("{} hint: {}", error::message(&error), error::hints(&error).join(" hint: "))
        })
    }

    const VICTIM: &str = "https://github.com/victim/app";
    const MALLORY: &str = "https://github.com/mallory/evil";

    #[test]
    fn another_callers_statements_fill_no_gap() {
        let (signed, proven) =
            (statement(evidence::SIGNATURE, VICTIM), statement("https://p", VICTIM));
        let evil = statement("https://p", MALLORY);
        let whole = [signed.clone(), proven, evil.clone()];
        let evidence = judged(&[&whole, &whole], Some("victim/app")).unwrap();
        assert_eq!((evidence.sources.len(), evidence.subjects[0].attestations.len()), (1, 1));
        let why = judged(&[&whole, &[signed, evil]], Some("victim/app")).unwrap_err();
        assert!(
            why.starts_with("`linux/amd64` (") && why.contains("has no valid `https://p` by"),
            "{why}"
        );
        assert!(
            why.contains("does not count: its repository is `https://github.com/mallory/evil`"),
            "{why}"
        );
    }

    #[test]
    fn every_part_is_told_of_and_the_same_reason_once() {
        let evil = [statement(evidence::SIGNATURE, MALLORY), statement("https://p", MALLORY)];
        let why = judged(&[&evil, &evil], None).unwrap_err();
        assert!(why.starts_with("the index (") && why.contains("; `linux/amd64` ("), "{why}");
        assert_eq!(why.matches("and 1 more do not count: ").count(), 1, "{why}");
        assert_eq!(why.matches("hint: ").count(), 1, "{why}");
        assert!(why.contains("--source-repository OWNER/NAME"), "{why}");
    }

    #[test]
    fn kinds_count_together_where_no_format_is_asked_for() {
        let signed = VerifiedStatement {
            format: EvidenceFormat::Legacy,
            ..statement(evidence::SIGNATURE, VICTIM)
        };
        let mixed = [signed, statement("https://p", VICTIM)];
        let among = |among| judged_among(&[&mixed], Some("victim/app"), among);
        assert_eq!(among(FormatsAccepted::Any).unwrap().subjects[0].signatures.len(), 1);
        let both = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
        for (formats, why) in [
            (&both[..1], "has no valid `https://sigstore.dev/cosign/sign/v1` by"),
            (&both[1..], "has no valid `https://p` (older format) by"),
            (
                &both[..],
                "has no valid `https://sigstore.dev/cosign/sign/v1`, `https://p` (older format) by",
            ),
        ] {
            let told = among(FormatsAccepted::Each(formats)).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        // Another caller's statement of the missing kind fills no gap, in whichever format.
        let evil = VerifiedStatement {
            format: EvidenceFormat::Legacy,
            ..statement(evidence::SIGNATURE, MALLORY)
        };
        let told =
            judged_among(&[&[evil, mixed[1].clone()]], Some("victim/app"), FormatsAccepted::Any)
                .unwrap_err();
        assert!(told.contains("does not count: its repository is"), "{told}");
    }

    /// A scan of another workflow counts where the rule names it, and nowhere else.
    #[test]
    fn a_rule_may_have_a_signer_of_its_own() {
        let scan = "https://cosign.sigstore.dev/attestation/vuln/v1";
        let rescanner =
            Signer::Keyless { identity: "rescan".to_owned(), issuer: "https://i".to_owned() };
        let by = SignerPolicy {
            signer: rescanner.clone(),
            source: SourceRule {
                repository: Some("victim/app".parse().unwrap()),
                ..SourceRule::default()
            },
        };
        let theirs = VerifiedStatement { signer: rescanner, ..statement(scan, VICTIM) };
        let judged = |rule: &PolicyRule, statements: &[VerifiedStatement]| {
            let subject = ImageSubject {
                kind: EvidencePart::Platform,
                descriptor: Descriptor::of(b"0", "m"),
                platform: None,
                required: vec![
                    EvidenceNeed::Type(evidence::SIGNATURE.to_owned()).into(),
                    rule.clone(),
                ],
            };
            let found = CollectedEvidence {
                statements: statements.to_vec(),
                ..CollectedEvidence::default()
            };
            let now = jiff::Timestamp::now();
            let among = FormatsAccepted::Each(&[EvidenceFormat::Bundle]);
            judge(&[subject], &[found], &policy(Some("victim/app")), among, now)
                .map_err(|reasons| reasons.text())
        };
        let signed = statement(evidence::SIGNATURE, VICTIM);
        let rule = PolicyRule {
            by: Some(by),
            ..PolicyRule::from(EvidenceNeed::Kind(EvidenceKind::Vulnerabilities))
        };
        let both = [signed.clone(), theirs.clone()];
        assert_eq!(judged(&rule, &both).unwrap().subjects[0].attestations.len(), 1);
        // The image's own signer does not stand in for it, nor it for the image's signer.
        let own = [signed.clone(), statement(scan, VICTIM)];
        let why = judged(&rule, &own).unwrap_err();
        assert!(why.contains("vuln/v1") && why.contains("by `rescan`"), "{why}");
        let plain = PolicyRule::from(EvidenceNeed::Kind(EvidenceKind::Vulnerabilities));
        assert!(judged(&plain, &both).is_err() && judged(&plain, &own).is_ok());
        // Nor does that of another repository's run.
        let elsewhere =
            [signed, VerifiedStatement { source: statement(scan, MALLORY).source, ..theirs }];
        assert!(judged(&rule, &elsewhere).is_err());
    }

    #[test]
    fn what_a_log_dates_in_our_future_may_hold_in_a_moment() {
        let subject = ImageSubject {
            kind: EvidencePart::Platform,
            descriptor: Descriptor::of(b"0", "m"),
            platform: None,
            required: vec![EvidenceNeed::Type(evidence::SIGNATURE.to_owned()).into()],
        };
        let unproven = |format: EvidenceFormat, wants: Option<VerifierNeeds>| {
            let refused =
                RefusedBundle { wants, ..RefusedBundle::new(format, "it".into(), "no".into()) };
            let found =
                CollectedEvidence { refused: vec![refused], ..CollectedEvidence::default() };
            let among = FormatsAccepted::Each(&[EvidenceFormat::Bundle]);
            let (subject, now) = (std::slice::from_ref(&subject), jiff::Timestamp::now());
            let refused = judge(subject, &[found], &policy(None), among, now);
            refused.unwrap_err().for_publisher().downcast::<Unproven>().unwrap()
        };
        assert!(unproven(EvidenceFormat::Bundle, Some(VerifierNeeds::Time)).passes);
        assert!(!unproven(EvidenceFormat::Bundle, Some(VerifierNeeds::Key)).passes);
        assert!(!unproven(EvidenceFormat::Bundle, None).passes);
        assert!(
            !unproven(EvidenceFormat::Legacy, Some(VerifierNeeds::Time)).passes,
            "nobody asked for that one"
        );
    }

    #[test]
    fn what_the_other_kind_of_part_has_is_said() {
        let whole = [statement(evidence::SIGNATURE, VICTIM), statement("https://p", VICTIM)];
        let signed = &whole[..1];
        let told = |found: &[&[VerifiedStatement]]| judged(found, Some("victim/app")).unwrap_err();
        let lacks = told(&[signed, &whole, &whole]);
        assert!(
            lacks.starts_with("the index (") && lacks.contains(", though every platform has one"),
            "{lacks}"
        );
        assert!(!told(&[signed, &whole, signed]).contains("though every"));
        let lacks = told(&[&whole, signed]);
        assert!(
            lacks.starts_with("`linux/amd64` (") && lacks.contains(", though the index has one"),
            "{lacks}"
        );
        let lacks = told(&[&[], &whole]);
        assert!(
            lacks.contains(
                ", though every platform has `https://sigstore.dev/cosign/sign/v1` and `https://p`"
            ),
            "{lacks}"
        );
        // Another's are not what it lacks.
        let evil = [statement(evidence::SIGNATURE, MALLORY), statement("https://p", MALLORY)];
        assert!(!told(&[&[], &evil]).contains("though"));
    }
}
