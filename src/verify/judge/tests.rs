//! What passes the gate and what does not, statement by statement; it fetches nothing.

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
    let subjects: Vec<ImageSubject> = descriptors.into_iter().enumerate().map(subject).collect();
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
    let (signed, proven) = (statement(evidence::SIGNATURE, VICTIM), statement("https://p", VICTIM));
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
    let told = judged_among(&[&[evil, mixed[1].clone()]], Some("victim/app"), FormatsAccepted::Any)
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
            required: vec![EvidenceNeed::Type(evidence::SIGNATURE.to_owned()).into(), rule.clone()],
        };
        let found =
            CollectedEvidence { statements: statements.to_vec(), ..CollectedEvidence::default() };
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
        let found = CollectedEvidence { refused: vec![refused], ..CollectedEvidence::default() };
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
