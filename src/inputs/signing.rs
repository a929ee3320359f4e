//! The inputs about signatures, and the key of the environment → `SigningInputs`. Pure; it signs
//! nothing.

use std::collections::BTreeMap;

use super::texts::InputTexts;
use super::words::{unique, wish};
use super::{Action, AutoSwitch, InputProblems, signing_key};
use crate::environment::Environment;
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::sigstore::key::SigningKey;
use crate::text::lists;

/// What is signed, by whom, and how signatures are kept.
#[derive(Debug)]
pub struct SigningInputs {
    pub sign: bool,
    /// The key that signs in place of one that Fulcio certifies; from the environment, as cosign's.
    pub signing_key: Option<SigningKey>,
    pub sign_subjects: Vec<EvidencePart>,
    /// `None`: every format that the services allow.
    pub signature_formats: Option<Vec<EvidenceFormat>>,
    /// What signatures say beside their subject.
    pub signature_annotations: BTreeMap<String, String>,
    pub github_attestations: AutoSwitch,
    pub allow_public_log: bool,
}

impl SigningInputs {
    pub(super) fn read(
        action: Action,
        given: &InputTexts,
        env: &Environment,
        problems: &mut InputProblems,
    ) -> Self {
        // What `promote` copies was signed by others, and `scan` signs its result alone: they have no
        // such inputs.
        let is_promote = [Action::Promote, Action::Scan].contains(&action);
        Self {
            sign: is_promote || given.switch("sign", problems),
            signing_key: signing_key::signing_key(env, problems),
            sign_subjects: match given.get("sign-subjects") {
                None if is_promote => Vec::new(),
                list => problems.some("sign-subjects", list.unwrap_or_default()),
            },
            signature_formats: given
                .get("signature-formats")
                .map(|list| unique(problems.some("signature-formats", list))),
            signature_annotations: annotations(given, problems),
            github_attestations: wish("github-attestations", given, problems),
            allow_public_log: given.switch("allow-public-log", problems),
        }
    }
}

/// `KEY=VALUE`, one a line, as `cosign sign -a` takes them one a flag.
fn annotations(given: &InputTexts, problems: &mut InputProblems) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    for line in lists::lines(given.get("signature-annotations").unwrap_or_default()) {
        match lists::key_value(&line) {
            Some((key, _)) if annotations.contains_key(key) => {
                problems.say("signature-annotations", format_args!("`{key}` is there twice"))
            }
            Some((key, value)) => drop(annotations.insert(key.to_owned(), value.trim().to_owned())),
            None => {
                problems.say("signature-annotations", format_args!("`{line}` is not KEY=VALUE"))
            }
        }
    }
    annotations
}
