//! A statement for tests. No test of a signature is made of it.

use super::VerifiedStatement;
use crate::evidence::EvidenceFormat;
use crate::image::Digest;
use crate::sigstore::verifier::Signer;

/// A bundle of this predicate type, of which nothing else is known.
pub(crate) fn statement(predicate_type: &str) -> VerifiedStatement {
    let bundle = Digest::of(predicate_type.as_bytes());
    VerifiedStatement {
        format: EvidenceFormat::Bundle,
        predicate_type: predicate_type.to_owned(),
        manifest: Some(bundle.clone()),
        log_index: None,
        signed_at: None,
        told: None,
        is_public: false,
        packages: None,
        document: None,
        scan: None,
        summary: None,
        logged: true,
        commit: None,
        build: None,
        payload: bundle.clone(),
        annotations: Default::default(),
        bundle,
        signer: Signer::Keyless { identity: "who".to_owned(), issuer: "https://i".to_owned() },
        source: None,
    }
}
