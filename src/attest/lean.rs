//! Statements too large for a log → lean ones that fit, or a refusal. Pure; what BuildKit stored
//! beside the image stays whole.
//!
//! SPDX: <https://spdx.github.io/spdx-spec/v2.3/>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Draft;
use crate::error::{with_hint, with_see};
use crate::evidence::{CYCLONEDX, SPDX};
use crate::image::Digest;
use crate::page::RefusalPage;

/// A log of version 1 is sent whole envelopes, of which it keeps hashes, and the public one drops
/// connections somewhere above this many bytes: <https://github.com/sigstore/rekor/issues/2915>.
/// Later versions are sent a digest.
pub const ENVELOPE_LIMIT: usize = 2 << 20;

/// The size of the envelope a statement will be in: base64 and a little around it.
pub(super) fn envelope_size(statement: &[u8]) -> usize {
    statement.len().div_ceil(3) * 4 + 256
}

/// Makes every draft fit; says what was left out.
///
/// # Errors
/// When a statement does not fit and cannot be made to.
pub fn fitting(drafts: Vec<Draft>, limit: usize) -> anyhow::Result<(Vec<Draft>, Vec<String>)> {
    let mut notices = Vec::new();
    let mut fitted = Vec::new();
    for mut draft in drafts {
        let whole = envelope_size(&draft.statement);
        if whole > limit {
            let lean = match draft.predicate_type.as_str() {
                SPDX => without_files(&draft.statement),
                CYCLONEDX => without_file_components(&draft.statement),
                _ => None,
            };
            match lean.filter(|lean| envelope_size(lean) <= limit) {
                Some(lean) => {
                    notices.push(format!(
                        "the SBOM of `{}` is too large for the log ({} KiB): its signed copy has no files and no CPEs; one that BuildKit made, beside the image, has them",
                        draft.subject.digest.short(),
                        whole >> 10
                    ));
                    draft.statement = lean;
                }
                None => {
                    let (kind, subject) = (&draft.predicate_type, &draft.subject.digest);
                    return Err(refusal(kind, subject, whole, limit));
                }
            }
        }
        fitted.push(draft);
    }
    Ok((fitted, notices))
}

pub(super) fn refusal(kind: &str, subject: &Digest, size: usize, limit: usize) -> anyhow::Error {
    let refused = anyhow::anyhow!(
        "the statement `{kind}` about `{subject}` is {} KiB, but a log of version 1 accepts {} KiB",
        size >> 10,
        limit >> 10
    );
    let refused = with_hint(
        refused,
        "give `provenance: mode=min`, a leaner SBOM generator, or a `signing-config` with a log of version 2 or none",
    );
    with_see(refused, RefusalPage::StatementTooLarge)
}

/// An SPDX document about packages alone.
fn without_files(statement: &[u8]) -> Option<Vec<u8>> {
    let mut statement: Value = serde_json::from_slice(statement).ok()?;
    let document = statement.get_mut("predicate")?.as_object_mut()?;
    document.remove("files");
    document.remove("snippets");
    let mut kept: BTreeSet<String> = BTreeSet::from(["SPDXRef-DOCUMENT".to_owned()]);
    for package in document.get_mut("packages")?.as_array_mut()? {
        let package = package.as_object_mut()?;
        for field in ["hasFiles", "packageVerificationCode", "licenseInfoFromFiles"] {
            package.remove(field);
        }
        package.insert("filesAnalyzed".to_owned(), Value::Bool(false));
        if let Some(references) = package.get_mut("externalRefs").and_then(Value::as_array_mut) {
            references.retain(|reference| {
                !reference["referenceType"].as_str().is_some_and(|kind| kind.starts_with("cpe"))
            });
        }
        kept.extend(package.get("SPDXID").and_then(Value::as_str).map(str::to_owned));
    }
    if let Some(relationships) = document.get_mut("relationships").and_then(Value::as_array_mut) {
        // An element of another document, or none, is not a file of this one.
        let is_kept = |end: &Value| {
            end.as_str().is_some_and(|end| {
                kept.contains(end) || end.contains(':') || end == "NONE" || end == "NOASSERTION"
            })
        };
        relationships.retain(|relationship| {
            is_kept(&relationship["spdxElementId"]) && is_kept(&relationship["relatedSpdxElement"])
        });
    }
    serde_json::to_vec(&statement).ok()
}

/// A CycloneDX document whose components hold no files.
fn without_file_components(statement: &[u8]) -> Option<Vec<u8>> {
    let mut statement: Value = serde_json::from_slice(statement).ok()?;
    for component in statement.get_mut("predicate")?.get_mut("components")?.as_array_mut()? {
        if let Some(parts) = component.get_mut("components").and_then(Value::as_array_mut) {
            parts.retain(|part| part["type"] != "file");
        }
    }
    serde_json::to_vec(&statement).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::manifest::Descriptor;
    use serde_json::json;

    fn draft(kind: &str, predicate: &Value) -> Draft {
        let statement =
            json!({ "predicateType": kind, "predicate": predicate }).to_string().into_bytes();
        Draft { subject: Descriptor::of(b"x", "m"), predicate_type: kind.to_owned(), statement }
    }

    fn spdx(files: usize) -> Value {
        let files: Vec<Value> = (0..files)
            .map(|at| json!({ "SPDXID": format!("SPDXRef-File-{at}"), "fileName": "x".repeat(90) }))
            .collect();
        json!({
            "spdxVersion": "SPDX-2.3",
            "packages": [{ "SPDXID": "SPDXRef-P", "filesAnalyzed": true, "hasFiles": ["SPDXRef-File-0"], "packageVerificationCode": {},
                "externalRefs": [{ "referenceType": "cpe23Type" }, { "referenceType": "purl" }] }],
            "relationships": [
                { "spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": "SPDXRef-P" },
                { "spdxElementId": "SPDXRef-P", "relatedSpdxElement": "SPDXRef-File-0" },
            ],
            "files": files,
        })
    }

    #[test]
    fn cyclonedx_that_is_too_large_loses_its_files_and_keeps_its_packages() {
        let files: Vec<Value> = (0..200)
            .map(|number| json!({ "type": "file", "name": format!("/bin/{number}") }))
            .collect();
        let package = json!({ "type": "library", "name": "a", "components": files });
        let (after, notices) =
            fitting(vec![draft(CYCLONEDX, &json!({ "components": [package] }))], 2000).unwrap();
        let statement: Value = serde_json::from_slice(&after[0].statement).unwrap();
        assert_eq!(
            statement["predicate"]["components"],
            json!([{ "type": "library", "name": "a", "components": [] }])
        );
        assert!(notices.len() == 1 && notices[0].contains("too large for the log"), "{notices:?}");
    }

    #[test]
    fn what_fits_stays_to_the_byte() {
        let before = draft(SPDX, &spdx(3));
        let statement = before.statement.clone();
        let (after, notices) = fitting(vec![before], ENVELOPE_LIMIT).unwrap();
        assert!(after[0].statement == statement && notices.is_empty());
    }

    #[test]
    fn an_sbom_that_is_too_large_loses_its_files_and_says_so() {
        let (after, notices) = fitting(vec![draft(SPDX, &spdx(500))], 4000).unwrap();
        let lean: Value = serde_json::from_slice(&after[0].statement).unwrap();
        let (document, package) = (&lean["predicate"], &lean["predicate"]["packages"][0]);
        assert!(
            document.get("files").is_none()
                && package.get("hasFiles").is_none()
                && package["filesAnalyzed"] == false
        );
        assert_eq!(
            (
                package["externalRefs"].as_array().unwrap().len(),
                document["relationships"].as_array().unwrap().len()
            ),
            (1, 1)
        );
        assert!(notices[0].contains("its signed copy has no files"), "{notices:?}");
    }

    #[test]
    fn what_cannot_be_made_to_fit_is_refused_with_its_size() {
        for too_large in [
            draft("https://slsa.dev/provenance/v1", &json!("x".repeat(9000))),
            draft(SPDX, &json!({ "packages": ["x".repeat(9000)] })),
        ] {
            let error = fitting(vec![too_large], 4000).unwrap_err();
            let message = crate::error::message(&error);
            assert!(message.contains("KiB, but a log of version 1 accepts 3 KiB"), "{message}");
        }
    }
}
