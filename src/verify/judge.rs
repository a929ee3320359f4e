//! The parts of an image with what they carry + policy → the evidence that counts, or every reason why it is not enough. Pure.

use super::collect::{Collected, Refused};
use super::policy::{Format, Part, Policy};
use super::{Evidence, Statement, Subject, SubjectEvidence};
use crate::error::{self, Remedied as _};
use crate::sigstore::SIGNATURE_PREDICATE;

/// Why an image is refused: of each part what it lacks, and of what it carries why that does not count.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    parts: Vec<String>,
    remedies: Vec<String>,
}

impl Reasons {
    pub(super) fn into_error(self) -> anyhow::Error {
        const AGAIN: &str = "a rerun signs again; if it persists, compare `trusted-root` with the services of `signing-config`";
        let remedies = if self.remedies.is_empty() { vec![AGAIN.to_owned()] } else { self.remedies };
        let error = anyhow::anyhow!(self.parts.join("; "));
        remedies.into_iter().rev().fold(error, error::with_hint)
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

/// Judges all parts, each with what was found of it.
pub(super) fn judge(subjects: &[Subject<'_>], found: Vec<Collected>, policy: &Policy) -> Result<Evidence, Reasons> {
    let mut reasons = Reasons::default();
    let mut judged = Vec::new();
    let mut told: Vec<String> = Vec::new();
    for (subject, found) in subjects.iter().zip(found) {
        let (evidence, refused, remedies) = counted(subject, found.statements, found.refused, policy);
        let formats = &policy.requirements.formats;
        let missing: Vec<String> = formats.iter().flat_map(|format| missing(&evidence, &subject.required, *format)).collect();
        if missing.is_empty() {
            judged.push(evidence);
            continue;
        }
        let (name, digest) = (name(subject), subject.descriptor.digest.short());
        let mut part = format!("{name} (`{digest}`) has no valid {} by {}", missing.join(", "), policy.signer.signer);
        // What speaks against one part speaks against others as well; it is said once.
        for (why, names) in grouped(refused) {
            if !told.contains(&why) {
                part.push_str(&format!("; {} not count: {why}", names));
                told.push(why);
            }
        }
        if !found.unsupported.is_empty() {
            let kinds: Vec<String> = found.unsupported.iter().map(|(kind, count)| format!("{count} of `{kind}`")).collect();
            part.push_str(&format!("; not supported, so neither believed nor refused: {}", kinds.join(", ")));
        }
        reasons.add(part, remedies);
    }
    if reasons.parts.is_empty() { Ok(Evidence::new(policy.signer.signer.clone(), judged)) } else { Err(reasons) }
}

/// The statements of a part by those whom the policy believes, and why others do not count, with what mends it.
fn counted(
    subject: &Subject<'_>,
    statements: Vec<Statement>,
    mut refused: Vec<Refused>,
    policy: &Policy,
) -> (SubjectEvidence, Vec<Refused>, Vec<String>) {
    let mut evidence = SubjectEvidence {
        kind: subject.kind,
        digest: subject.descriptor.digest.clone(),
        platform: subject.platform.cloned(),
        signatures: Vec::new(),
        attestations: Vec::new(),
    };
    let mut remedies = Vec::new();
    for statement in statements {
        if let Err(why) = policy.signer.admits(&statement.signer, statement.source.as_ref()) {
            refused.push(Refused { name: Refused::named(statement.manifest.as_ref(), &statement.bundle), why: why.to_string() });
            remedies.extend(why.remedy());
            continue;
        }
        let is_signature = statement.predicate_type == SIGNATURE_PREDICATE;
        if is_signature { &mut evidence.signatures } else { &mut evidence.attestations }.push(statement);
    }
    // A registry lists referrers in any order; the same evidence reads the same.
    for statements in [&mut evidence.signatures, &mut evidence.attestations] {
        statements.sort_by(|one, other| {
            let key = |it: &Statement| (it.format, it.predicate_type.clone(), it.log_index, it.bundle.clone());
            key(one).cmp(&key(other))
        });
    }
    (evidence, refused, remedies)
}

/// The required statements that are not there in a format.
fn missing(evidence: &SubjectEvidence, required: &[String], format: Format) -> Vec<String> {
    let mut found = evidence.signatures.iter().chain(&evidence.attestations).filter(|found| found.format == format);
    let found: Vec<&str> = found.by_ref().map(|statement| statement.predicate_type.as_str()).collect();
    let older = if format == Format::Legacy { " (older format)" } else { "" };
    required.iter().filter(|kind| !found.contains(&kind.as_str())).map(|kind| format!("`{kind}`{older}")).collect()
}

fn name(subject: &Subject<'_>) -> String {
    match (subject.kind, subject.platform) {
        (Part::Attestations, Some(platform)) => format!("the attestation manifest of `{platform}`"),
        (_, Some(platform)) => format!("`{platform}`"),
        (_, None) => "the index".to_owned(),
    }
}

/// Each reason once, with whom it is about: `referrers `a` and 2 more do`.
fn grouped(refused: Vec<Refused>) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for Refused { name, why } in refused {
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
    use crate::sigstore::source::Source;
    use crate::sigstore::verifier::Signer;
    use crate::verify::policy::Requirements;
    use crate::verify::signer::{SignerPolicy, SourceRule};

    const SHARED: &str = "https://github.com/org/tool/.github/workflows/publish.yml@refs/tags/v1";

    fn signer() -> Signer {
        Signer::Keyless { identity: SHARED.to_owned(), issuer: "https://i".to_owned() }
    }

    fn statement(kind: &str, repository: &str) -> Statement {
        let bundle = Digest::of(format!("{kind} {repository}").as_bytes());
        Statement {
            format: Format::Bundle,
            predicate_type: kind.to_owned(),
            manifest: Some(bundle.clone()),
            log_index: None,
            signed_at: None,
            told: None,
            is_public: false,
            packages: None,
            logged: true,
            commit: None,
            build: None,
            payload: bundle.clone(),
            bundle,
            signer: signer(),
            source: Some(Source { repository: Some(repository.to_owned()), ..Source::default() }),
        }
    }

    fn policy(repository: Option<&str>) -> Policy {
        let requirements = Requirements {
            platforms: Vec::new(),
            index: Vec::new(),
            platform: Vec::new(),
            attestations: Vec::new(),
            formats: vec![Format::Bundle],
            allowed: crate::oci::Allowed::default(),
        };
        let source = SourceRule { repository: repository.map(|text| text.parse().unwrap()), ..SourceRule::default() };
        Policy { signer: SignerPolicy { signer: signer(), source }, requirements }
    }

    fn judged(found: &[&[Statement]], repository: Option<&str>) -> Result<Evidence, String> {
        let descriptors: Vec<Descriptor> = (0..found.len()).map(|at| Descriptor::of(at.to_string().as_bytes(), "m")).collect();
        let platform: Platform = "linux/amd64".parse().unwrap();
        let required = vec![SIGNATURE_PREDICATE.to_owned(), "https://p".to_owned()];
        let subject = |(at, descriptor)| Subject {
            kind: if at == 0 { Part::Index } else { Part::Platform },
            descriptor,
            platform: (at > 0).then_some(&platform),
            required: required.clone(),
        };
        let subjects: Vec<Subject<'_>> = descriptors.iter().enumerate().map(subject).collect();
        let found = found.iter().map(|found| Collected { statements: found.to_vec(), ..Collected::default() });
        judge(&subjects, found.collect(), &policy(repository)).map_err(|reasons| {
            let error = reasons.into_error();
            format!("{} hint: {}", error::message(&error), error::hints(&error).join(" hint: "))
        })
    }

    const VICTIM: &str = "https://github.com/victim/app";
    const MALLORY: &str = "https://github.com/mallory/evil";

    #[test]
    fn another_callers_statements_fill_no_gap() {
        let (signed, proven) = (statement(SIGNATURE_PREDICATE, VICTIM), statement("https://p", VICTIM));
        let evil = statement("https://p", MALLORY);
        let whole = [signed.clone(), proven, evil.clone()];
        let evidence = judged(&[&whole, &whole], Some("victim/app")).unwrap();
        assert_eq!((evidence.sources.len(), evidence.subjects[0].attestations.len()), (1, 1));
        let why = judged(&[&whole, &[signed, evil]], Some("victim/app")).unwrap_err();
        assert!(why.starts_with("`linux/amd64` (") && why.contains("has no valid `https://p` by"), "{why}");
        assert!(why.contains("does not count: its repository is `https://github.com/mallory/evil`"), "{why}");
    }

    #[test]
    fn every_part_is_told_of_and_the_same_reason_once() {
        let evil = [statement(SIGNATURE_PREDICATE, MALLORY), statement("https://p", MALLORY)];
        let why = judged(&[&evil, &evil], None).unwrap_err();
        assert!(why.starts_with("the index (") && why.contains("; `linux/amd64` ("), "{why}");
        assert_eq!(why.matches("and 1 more do not count: ").count(), 1, "{why}");
        assert_eq!(why.matches("hint: ").count(), 1, "{why}");
        assert!(why.contains("--source-repository OWNER/NAME"), "{why}");
    }
}
