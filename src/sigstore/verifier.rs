//! The check of one bundle: cryptography by `sigstore-verify`, then issuer and identity, then what
//! the statement says. It gets bytes and a policy and never fetches anything.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Value;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{
    Bundle, DerCertificate, DerPublicKey, LogKeyId, Sha256Hash, SignatureContent, Statement,
};
use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier,
};

use super::remembered::{CheckedBefore, SignatureQuestion, SignedThing};
use super::source::CertificateSource;
use super::{form, key};
use crate::image::Digest;

/// Who signed, or must have. Compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Signer {
    /// Whom the certificate names.
    Keyless {
        /// The URI of the workflow: `https://github.com/<owner>/<repo>/<path>@<ref>`.
        identity: String,
        issuer: String,
    },
    /// Whoever holds this key; shown as its SHA-256.
    Key(#[serde(serialize_with = "named")] DerPublicKey),
}

impl std::fmt::Display for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keyless { identity, .. } => write!(formatter, "`{identity}`"),
            Self::Key(public) => write!(formatter, "key `{}`", key::name(public)),
        }
    }
}

impl Signer {
    /// Refuses another signer than this one, and says which of its names differs.
    pub fn expect(&self, actual: &Self) -> Result<(), BundleError> {
        let differs = |what: &str, expected: &str, actual: &str| {
            let actual = if actual.is_empty() { "none" } else { actual };
            Err(BundleError::Refused(format!("{what} mismatch: expected {expected}, got {actual}")))
        };
        match (self, actual) {
            (
                Self::Keyless { identity, issuer },
                Self::Keyless { identity: named, issuer: voucher },
            ) => match (identity == named, issuer == voucher) {
                (true, true) => Ok(()),
                (false, _) => differs("identity", identity, named),
                (true, false) => differs("issuer", issuer, voucher),
            },
            (Self::Key(expected), Self::Key(actual)) if expected == actual => Ok(()),
            (expected, actual) => {
                Err(BundleError::Refused(format!("{actual} signed it, not {expected}")))
            }
        }
    }

    /// The key, where it is one.
    pub fn key(&self) -> Option<&DerPublicKey> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }
}

fn named<S: serde::Serializer>(public: &DerPublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([("key", key::name(public))])
}

/// A statement whose signature, certificate, log entry, time and subject have all been checked.
/// Whether its signer is one to be believed is for a policy to say.
#[derive(Debug, Clone)]
pub struct CheckedStatement {
    pub predicate_type: String,
    pub predicate: Value,
    /// What the statement says of its subject.
    pub annotations: BTreeMap<String, String>,
    /// Of the statement's bytes.
    pub payload: Digest,
    pub signed: CheckedSignature,
}

/// What is known of a signature of which everything has been checked but whether its signer is one
/// to be believed.
#[derive(Debug, Clone)]
pub struct CheckedSignature {
    pub by: Signer,
    /// What the certificate says of the run; a key says nothing.
    pub source: Option<CertificateSource>,
    pub log_index: Option<u64>,
    /// RFC 3339; when the signature is proven to have existed.
    pub at: Option<String>,
    /// Whether the certificate was logged in a CT log, and the entry in a transparency log.
    pub logged: bool,
    /// Whether that log is the public one that people search.
    pub is_public: bool,
}

/// The key of Sigstore's public log of version 1, by which its entries name it:
/// <https://rekor.sigstore.dev/api/v1/log/publicKey>.
const PUBLIC_LOG: &str = "wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=";

/// Why a bundle does not count.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("it is not a bundle that can be read: {0}")]
    Unreadable(String),
    #[error("it does not verify: {0}")]
    Refused(String),
}

/// Checks bundles against one trusted root.
pub struct BundleVerifier {
    pub(super) verifier: Verifier,
    pub(super) has_ct_log: bool,
    pub(super) has_log: bool,
    pub(super) logs: Vec<LogKeyId>,
    ignores_logs: bool,
    before: CheckedBefore,
}

impl BundleVerifier {
    pub fn new(root: &TrustedRoot) -> anyhow::Result<Self> {
        let verifier = Verifier::new(root)
            .map_err(|error| anyhow::anyhow!("input `trusted-root`: it cannot be used: {error}"))?;
        Ok(Self {
            verifier,
            has_ct_log: !root.ctlogs.is_empty(),
            has_log: !root.tlogs.is_empty(),
            logs: root.tlogs.iter().map(|log| log.log_id.key_id.clone()).collect(),
            ignores_logs: false,
            before: CheckedBefore::default(),
        })
    }

    /// What a key signed holds without a log entry and without a time, too: whoever holds the key
    /// answers for it. Of what a certificate is for nothing changes, as that is good for minutes.
    #[must_use]
    pub fn ignoring_logs(self) -> Self {
        Self { ignores_logs: true, ..self }
    }

    pub fn ignores_logs(&self) -> bool {
        self.ignores_logs
    }

    /// Checks that `signer` signed a statement about `subject`. Where its run is of is not asked.
    pub fn check(
        &self,
        bundle: &[u8],
        subject: &Digest,
        signer: &Signer,
    ) -> Result<CheckedStatement, BundleError> {
        let checked = self.statement(bundle, subject, signer.key())?;
        signer.expect(&checked.signed.by)?;
        Ok(checked)
    }

    /// Checks that somebody signed these bytes, as `statement` does.
    pub fn check_payload(
        &self,
        bundle: &[u8],
        payload: &[u8],
        signer: &Signer,
    ) -> Result<CheckedSignature, BundleError> {
        let signed = self.payload(bundle, payload, signer.key())?;
        signer.expect(&signed.by)?;
        Ok(signed)
    }

    /// Checks all of a statement about `subject` but whether its signer is one to be believed: whom
    /// a certificate names, or who holds `key`.
    ///
    /// A log entry and an SCT are demanded whenever the trusted root knows a log of that kind: an
    /// instance without logs (a private one) says so by leaving them out of its root.
    pub fn statement(
        &self,
        bundle: &[u8],
        subject: &Digest,
        key: Option<&DerPublicKey>,
    ) -> Result<CheckedStatement, BundleError> {
        let unreadable = |error: &dyn std::fmt::Display| BundleError::Unreadable(error.to_string());
        let digest = Sha256Hash::from_hex(subject.hex()).map_err(|error| unreadable(&error))?;
        let question = SignatureQuestion { bundle, about: SignedThing::Subject(subject), key };
        let (bundle, signed) = self.checked(&question, digest, None)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(BundleError::Refused("it signs bytes, not a statement".to_owned()));
        };
        let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
            .map_err(|error| unreadable(&error))?;
        if !statement.matches_sha256(&digest) {
            return Err(BundleError::Refused(format!("its statement is not about `{subject}`")));
        }
        Ok(CheckedStatement {
            predicate_type: statement.predicate_type,
            predicate: statement.predicate,
            annotations: annotations(envelope.payload.as_bytes(), subject),
            payload: Digest::of(envelope.payload.as_bytes()),
            signed,
        })
    }

    /// Checks all of a signature of these bytes but whether its signer is one to be believed.
    pub fn payload(
        &self,
        bundle: &[u8],
        payload: &[u8],
        key: Option<&DerPublicKey>,
    ) -> Result<CheckedSignature, BundleError> {
        let question = SignatureQuestion { bundle, about: SignedThing::Bytes(payload), key };
        let (bundle, signed) = self.checked(&question, payload, Some(payload))?;
        if !matches!(bundle.content, SignatureContent::MessageSignature(_)) {
            return Err(BundleError::Refused("it signs a statement, not bytes".to_owned()));
        }
        Ok(signed)
    }

    /// A bundle that holds with every check, or, where logs are ignored, by its key alone.
    /// `payload`: what it signs, where it is no envelope.
    fn checked<'a>(
        &self,
        question: &SignatureQuestion<'_>,
        artifact: impl Into<sigstore_types::Artifact<'a>>,
        payload: Option<&[u8]>,
    ) -> Result<(Bundle, CheckedSignature), BundleError> {
        let whole = self.read(question.bundle, question.key).and_then(|bundle| {
            let check = || self.signed(artifact, &bundle, question.key);
            self.before.or_check(question, check).map(|signed| (bundle, signed))
        });
        match (whole, question.key) {
            (Err(_), Some(key)) if self.ignores_logs => by_key_alone(question.bundle, payload, key),
            (whole, _) => whole,
        }
    }

    /// Whether this key signed it, whatever else is wrong with it.
    pub fn is_by_key_alone(
        &self,
        bundle: &[u8],
        payload: Option<&[u8]>,
        key: &DerPublicKey,
    ) -> bool {
        !self.ignores_logs && by_key_alone(bundle, payload, key).is_ok()
    }

    /// A bundle of the right form whose log is one to be believed, and whose key is not another.
    fn read(&self, bundle: &[u8], key: Option<&DerPublicKey>) -> Result<Bundle, BundleError> {
        let bundle = form::read(bundle).map_err(BundleError::Unreadable)?;
        form::check(&bundle).map_err(BundleError::Refused)?;
        expect_key(&bundle, key)?;
        match form::foreign_log(&bundle, &self.logs) {
            Some(log) => {
                Err(BundleError::Refused(format!("its log `{log}` is not in the trusted root")))
            }
            None => Ok(bundle),
        }
    }

    fn signed<'a>(
        &self,
        artifact: impl Into<sigstore_types::Artifact<'a>>,
        bundle: &Bundle,
        key: Option<&DerPublicKey>,
    ) -> Result<CheckedSignature, BundleError> {
        let verified = self
            .verifier
            .verify(artifact, bundle, &*self.policy(key))
            .map_err(|error| BundleError::Refused(chain(&error)))?;
        self.expect_every_check(&verified, key)?;
        let (by, source) = match key {
            Some(key) => (Signer::Key(key.clone()), None),
            None => {
                let (signer, source) = named_by_certificate(bundle, &verified)?;
                (signer, Some(source))
            }
        };
        Ok(CheckedSignature {
            by,
            source,
            log_index: bundle
                .verification_material
                .tlog_entries
                .first()
                .map(|entry| entry.log_index.get()),
            at: verified.verified_timestamps().iter().min().map(ToString::to_string),
            logged: verified.tlog_verified(),
            is_public: bundle
                .verification_material
                .tlog_entries
                .first()
                .is_some_and(|entry| entry.log_id.key_id.to_base64() == PUBLIC_LOG),
        })
    }

    fn policy(&self, key: Option<&DerPublicKey>) -> Box<dyn sigstore_verify::Policy> {
        match key {
            None => {
                let policy = VerificationPolicy::any_identity();
                let policy = if self.has_ct_log { policy } else { policy.skip_sct() };
                Box::new(if self.has_log { policy } else { policy.skip_tlog_unsafe() })
            }
            Some(public) => {
                let policy = PublicKeyVerificationPolicy::new(public.clone());
                Box::new(if self.has_log { policy } else { policy.skip_tlog_unsafe() })
            }
        }
    }

    /// The library skips what a policy leaves out; says here what must have happened.
    fn expect_every_check(
        &self,
        verified: &VerificationResult,
        key: Option<&DerPublicKey>,
    ) -> Result<(), BundleError> {
        let by_certificate =
            || verified.certificate_verified() && (verified.sct_verified() || !self.has_ct_log);
        // The signature itself is always checked, and there is nothing else to a key.
        let by_signer = key.is_some() || by_certificate();
        let checked = by_signer && (verified.tlog_verified() || !self.has_log);
        if checked {
            Ok(())
        } else {
            Err(BundleError::Refused("not every check was made".to_owned()))
        }
    }
}

/// A signature by a key and nothing else: no log is asked, and no time is known.
fn by_key_alone(
    bundle: &[u8],
    payload: Option<&[u8]>,
    key: &DerPublicKey,
) -> Result<(Bundle, CheckedSignature), BundleError> {
    let refused = |error: &dyn std::fmt::Display| BundleError::Refused(error.to_string());
    let bundle = form::read(bundle).map_err(BundleError::Unreadable)?;
    if !matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)) {
        return Err(refused(&"it has a certificate, not a key"));
    }
    expect_key(&bundle, Some(key))?;
    let scheme = sigstore_crypto::KeyAlgorithm::from_spki(key)
        .map_err(|error| refused(&error))?
        .default_signing_scheme();
    let (bytes, signature) = match (&bundle.content, payload) {
        (SignatureContent::DsseEnvelope(envelope), _) => (envelope.pae(), &envelope.signature.sig),
        (SignatureContent::MessageSignature(message), Some(payload)) => {
            (payload.to_vec(), &message.signature)
        }
        _ => return Err(refused(&"it signs bytes, not a statement")),
    };
    sigstore_crypto::verify_signature(key, &bytes, signature, scheme)
        .map_err(|error| refused(&error))?;
    let signed = CheckedSignature {
        by: Signer::Key(key.clone()),
        source: None,
        log_index: None,
        at: None,
        logged: false,
        is_public: false,
    };
    Ok((bundle, signed))
}

/// Whom the certificate that was checked names, and of where.
fn named_by_certificate(
    bundle: &Bundle,
    verified: &VerificationResult,
) -> Result<(Signer, CertificateSource), BundleError> {
    let refused = |why: &str| BundleError::Refused(why.to_owned());
    let certificate =
        bundle.signing_certificate().ok_or_else(|| refused("it has no certificate"))?;
    let identity = verified
        .identity()
        .ok_or_else(|| refused("identity mismatch: its certificate names nobody"))?;
    let source = CertificateSource::of(certificate.as_bytes(), identity.as_str())
        .map_err(BundleError::Refused)?;
    let issuer = verified.issuer().unwrap_or_default().to_owned();
    Ok((Signer::Keyless { identity: identity.as_str().to_owned(), issuer }, source))
}

/// The texts that a statement adds to this subject.
fn annotations(statement: &[u8], subject: &Digest) -> BTreeMap<String, String> {
    let statement: Value = serde_json::from_slice(statement).unwrap_or_default();
    let subjects = statement["subject"].as_array().into_iter().flatten();
    let about = subjects.filter(|about| about["digest"]["sha256"] == subject.hex());
    let annotations = about.filter_map(|about| about["annotations"].as_object()).flatten();
    annotations.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Identity and issuer that a bundle's certificate names. Nothing is checked.
pub fn claimed_signer(bundle: &[u8]) -> Option<(String, String)> {
    let bundle = form::read(bundle).ok()?;
    claimed_by(bundle.signing_certificate()?.as_bytes())
}

/// The same of a certificate in DER.
pub fn claimed_by(certificate: &[u8]) -> Option<(String, String)> {
    let info =
        sigstore_crypto::parse_certificate_info(&DerCertificate::from_bytes(certificate)).ok()?;
    Some((info.identity?.to_string(), info.issuer?))
}

/// Whether a log says that it took a bundle after `now`: its clock is ahead of ours, or it lies.
/// Such a bundle is refused, and one of a log that is a little ahead holds soon.
pub fn is_ahead(bundle: &[u8], now: jiff::Timestamp) -> bool {
    form::read(bundle).is_ok_and(|bundle| {
        let entries = &bundle.verification_material.tlog_entries;
        entries.iter().any(|entry| {
            entry.integrated_time.is_some_and(|time| time.as_second() > now.as_second())
        })
    })
}

/// Whether a bundle can be read and names a key, which it does not hold.
pub fn names_only_a_key(bundle: &[u8]) -> bool {
    form::read(bundle).is_ok_and(|bundle| {
        matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_))
    })
}

/// A bundle says of a key its name alone, in cosign's way. Layers of the older format say nothing.
fn expect_key(bundle: &Bundle, key: Option<&DerPublicKey>) -> Result<(), BundleError> {
    let (VerificationMaterialContent::PublicKey(named), Some(wanted)) =
        (&bundle.verification_material.content, key)
    else {
        return Ok(());
    };
    if named.hint.is_empty() || named.hint == key::hint(wanted) {
        return Ok(());
    }
    let digest = BASE64.decode(&named.hint).ok().filter(|digest| digest.len() == 32);
    let named = digest
        .map_or_else(|| named.hint.clone(), |digest| format!("sha256:{}", hex::encode(digest)));
    Err(BundleError::Refused(format!("it names key `{named}`, not `{}`", key::name(wanted))))
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(cause) = link {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        link = cause.source();
    }
    text
}
