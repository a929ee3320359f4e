//! What the parts of an image carry → words for a person who asked for something else. Pure, and it
//! makes nothing count.

use super::SubjectEvidence;
use super::carried::ImageSubject;
use super::collect::CollectedEvidence;
use crate::evidence;
use crate::evidence::{EvidenceKind, EvidencePart, word};
use crate::oci::shown;
use crate::sigstore::verifier::Signer;

/// A kind of statement, in words, and the parts that have one.
type InventoryKind<'a> = (String, Vec<&'a ImageSubject>);

/// What is there, by whom and where. `unsigned` are the predicate types of what BuildKit left
/// beside the image.
pub(super) fn inventory(
    subjects: &[ImageSubject],
    found: &[CollectedEvidence],
    unsigned: &[String],
) -> String {
    let mut groups: Vec<(&Signer, Vec<InventoryKind<'_>>)> = Vec::new();
    for (subject, found) in subjects.iter().zip(found) {
        for statement in &found.statements {
            let at = groups
                .iter()
                .position(|(signer, _)| **signer == statement.signer)
                .unwrap_or_else(|| {
                    groups.push((&statement.signer, Vec::new()));
                    groups.len() - 1
                });
            let (kinds, what) = (&mut groups[at].1, with_article(&statement.predicate_type));
            match kinds.iter_mut().find(|(known, _)| *known == what) {
                Some((_, places))
                    if places
                        .iter()
                        .any(|known| known.descriptor.digest == subject.descriptor.digest) => {}
                Some((_, places)) => places.push(subject),
                None => kinds.push((what, vec![subject])),
            }
        }
    }
    let by = |(signer, kinds): &(&Signer, Vec<InventoryKind<'_>>)| {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(what, places)| format!("{what}{}", place(places, subjects)))
            .collect();
        format!("{} by {signer}", listed(&kinds))
    };
    let mut has: Vec<String> = groups.iter().map(by).collect();
    has.extend(unsigned.iter().map(|kind| format!("BuildKit's unsigned {}", noun(kind))));
    let has_signature = found
        .iter()
        .flat_map(|found| &found.statements)
        .any(|found| found.predicate_type == evidence::SIGNATURE);
    let refused = found.iter().any(|found| !found.refused.is_empty());
    let lead = match (has_signature, refused) {
        (true, _) => "",
        (false, true) => "it has no signature that verifies; ",
        (false, false) => "it has no signature at all; ",
    };
    if has.is_empty() {
        lead.trim_end_matches("; ").to_owned()
    } else {
        format!("{lead}it has {}", listed(&has))
    }
}

/// `a, b and c`.
fn listed(texts: &[String]) -> String {
    match texts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn noun(kind: &str) -> String {
    match word(kind) {
        "signature" => "signature".to_owned(),
        "sbom" => "SBOM".to_owned(),
        "provenance" => "provenance".to_owned(),
        "vuln" => "vulnerability scan".to_owned(),
        "verification-summary" => "verification summary".to_owned(),
        other => format!("`{}`", shown(other)),
    }
}

fn with_article(kind: &str) -> String {
    let noun = noun(kind);
    match noun.as_str() {
        "SBOM" => "an SBOM".to_owned(),
        "signature" | "provenance" | "vulnerability scan" | "verification summary" => {
            format!("a {noun}")
        }
        _ => noun,
    }
}

/// Where something is, of an image of several parts.
fn place(at: &[&ImageSubject], all: &[ImageSubject]) -> String {
    if all.len() < 2 || at.len() == all.len() {
        return String::new();
    }
    let platforms = |kind: EvidencePart| all.iter().filter(|subject| subject.kind == kind).count();
    let mut places = Vec::new();
    if at.iter().any(|subject| subject.kind == EvidencePart::Index) {
        places.push("the index".to_owned());
    }
    for (kind, whole) in [
        (EvidencePart::Platform, "every platform"),
        (EvidencePart::Attestations, "all of BuildKit's attestations"),
    ] {
        let of: Vec<&&ImageSubject> = at.iter().filter(|subject| subject.kind == kind).collect();
        match of.as_slice() {
            [] => {}
            of if of.len() == platforms(kind) => places.push(whole.to_owned()),
            of => places.extend(
                of.iter()
                    .filter_map(|subject| subject.platform.as_ref())
                    .map(|platform| format!("`{platform}`")),
            ),
        }
    }
    format!(" (of {})", places.join(", "))
}

/// The kinds of statement that every part of a kind has, in the words by which they are asked for.
pub fn common_kinds(subjects: &[SubjectEvidence], part: EvidencePart) -> Vec<String> {
    let parts: Vec<&SubjectEvidence> =
        subjects.iter().filter(|subject| subject.kind == part).collect();
    let words = |subject: &SubjectEvidence| -> Vec<String> {
        subject
            .signatures
            .iter()
            .chain(&subject.attestations)
            .map(|found| word(&found.predicate_type).to_owned())
            .collect()
    };
    let Some(first) = parts.first() else { return Vec::new() };
    let mut kinds = words(first);
    kinds.sort_unstable();
    kinds.dedup();
    // A verification summary is asked for with its verifier, which is nobody's to guess.
    kinds.retain(|kind| kind != EvidenceKind::VerificationSummary.word());
    kinds.retain(|kind| parts.iter().all(|part| words(part).contains(kind)));
    // As people say them: who signed it, then what is said of it.
    kinds.sort_by_key(|kind| kind != "signature");
    kinds
}
