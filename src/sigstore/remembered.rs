//! Signatures that one verifier has found good: the same bytes are not put through the same
//! cryptography again, as where an image is verified at both ends of a promotion. It remembers no
//! refusal, and what differs in one byte is another question.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use sigstore_types::DerPublicKey;

use super::verifier::CheckedSignature;
use crate::image::Digest;

/// More than any image has; a hostile registry must not fill the memory.
const MOST: usize = 10_000;

/// All that the answer depends on, beside the trusted root of the verifier.
pub(super) struct SignatureQuestion<'a> {
    pub(super) bundle: &'a [u8],
    pub(super) about: SignedThing<'a>,
    pub(super) key: Option<&'a DerPublicKey>,
}

/// What was signed.
#[derive(Clone, Copy)]
pub(super) enum SignedThing<'a> {
    /// A statement about it.
    Subject(&'a Digest),
    Bytes(&'a [u8]),
}

impl SignatureQuestion<'_> {
    /// Each part behind its length, so that no two questions are written alike.
    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (subject, bytes) = match self.about {
            SignedThing::Subject(subject) => (Some(subject.hex().as_bytes()), None),
            SignedThing::Bytes(bytes) => (None, Some(bytes)),
        };
        let key = self.key.map(DerPublicKey::as_bytes);
        for part in [Some(self.bundle), subject, bytes, key] {
            hash.update([u8::from(part.is_some())]);
            hash.update((part.unwrap_or_default().len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        hash.finalize().into()
    }
}

/// By the hash of the question.
#[derive(Default)]
pub(super) struct CheckedBefore(Mutex<HashMap<[u8; 32], CheckedSignature>>);

impl CheckedBefore {
    /// The answer of before, or that of `check`.
    pub(super) fn or_check<E>(
        &self,
        question: &SignatureQuestion<'_>,
        check: impl FnOnce() -> Result<CheckedSignature, E>,
    ) -> Result<CheckedSignature, E> {
        let hash = question.hash();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let signed = check()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST {
            known.insert(hash, signed.clone());
        }
        Ok(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::verifier::Signer;
    use super::*;

    fn signature(identity: &str) -> CheckedSignature {
        let by = Signer::Keyless { identity: identity.to_owned(), issuer: String::new() };
        CheckedSignature {
            by,
            source: None,
            log_index: None,
            at: None,
            logged: true,
            is_public: false,
        }
    }

    #[test]
    fn a_good_signature_is_checked_once_and_a_refused_one_each_time() {
        let before = CheckedBefore::default();
        let key = DerPublicKey::from_bytes(b"key");
        let (subject, other) = (Digest::of(b"image"), Digest::of(b"other"));
        let about = SignedThing::Subject(&subject);
        let question = SignatureQuestion { bundle: b"bundle", about, key: None };
        let refuse = || Err("refused");
        assert_eq!(before.or_check(&question, refuse).unwrap_err(), "refused");
        before.or_check(&question, || Ok::<_, &str>(signature("a"))).unwrap();
        let known = before.or_check(&question, refuse).unwrap();
        assert_eq!(known.by, signature("a").by);
        for (bundle, about, key) in [
            (&b"Bundle"[..], about, None),
            (b"bundle", SignedThing::Subject(&other), None),
            (b"bundle", SignedThing::Bytes(subject.hex().as_bytes()), None),
            (b"bundle", SignedThing::Bytes(b""), None),
            (b"bundle", about, Some(&key)),
        ] {
            let other = SignatureQuestion { bundle, about, key };
            assert_eq!(before.or_check(&other, refuse).unwrap_err(), "refused");
        }
    }
}
