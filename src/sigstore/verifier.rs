//! The check of one bundle: cryptography by `sigstore-verify`, then issuer and identity, then what the statement says.
//! It gets bytes and a policy and never fetches anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Value;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{Bundle, DerPublicKey, LogKeyId, Sha256Hash, SignatureContent, Statement};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use super::{form, key};
use crate::image::Digest;

/// Who must have signed. Compared exactly.
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

fn named<S: serde::Serializer>(public: &DerPublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([("key", key::name(public))])
}

/// A statement whose signature, certificate, log entry, time, signer and subject have all been checked.
#[derive(Debug, Clone)]
pub struct CheckedStatement {
    pub predicate_type: String,
    pub predicate: Value,
    pub log_index: Option<u64>,
    /// RFC 3339; when the signature is proven to have existed.
    pub signed_at: Option<String>,
    /// Whether the certificate was logged in a CT log, and the entry in a transparency log.
    pub logged: bool,
    /// Of the statement's bytes.
    pub payload: Digest,
}

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
}

impl BundleVerifier {
    pub fn new(root: &TrustedRoot) -> anyhow::Result<Self> {
        let verifier = Verifier::new(root).map_err(|error| anyhow::anyhow!("input `trusted-root`: it cannot be used: {error}"))?;
        Ok(Self {
            verifier,
            has_ct_log: !root.ctlogs.is_empty(),
            has_log: !root.tlogs.is_empty(),
            logs: root.tlogs.iter().map(|log| log.log_id.key_id.clone()).collect(),
        })
    }

    /// Checks that `signer` signed a statement about `subject`.
    ///
    /// A log entry and an SCT are demanded whenever the trusted root knows a log of that kind: an instance
    /// without logs (a private one) says so by leaving them out of its root.
    pub fn check(&self, bundle: &[u8], subject: &Digest, signer: &Signer) -> Result<CheckedStatement, BundleError> {
        let unreadable = |error: &dyn std::fmt::Display| BundleError::Unreadable(error.to_string());
        let bundle = self.read(bundle, signer)?;
        let digest = Sha256Hash::from_hex(subject.hex()).map_err(|error| unreadable(&error))?;
        let verified = self.verifier.verify(digest, &bundle, &*self.policy(signer)).map_err(|error| BundleError::Refused(chain(&error)))?;
        self.expect_every_check(&verified, signer)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(BundleError::Refused("it signs bytes and not a statement".to_owned()));
        };
        let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes()).map_err(|error| unreadable(&error))?;
        if !statement.matches_sha256(&digest) {
            return Err(BundleError::Refused(format!("its statement is not about `{subject}`")));
        }
        let entry = bundle.verification_material.tlog_entries.first();
        Ok(CheckedStatement {
            predicate_type: statement.predicate_type,
            predicate: statement.predicate,
            log_index: entry.map(|entry| entry.log_index.get()),
            signed_at: verified.verified_timestamps().iter().min().map(ToString::to_string),
            logged: verified.tlog_verified(),
            payload: Digest::of(envelope.payload.as_bytes()),
        })
    }
}

/// A signature over bytes of which everything has been checked.
#[derive(Debug, Clone)]
pub struct CheckedPayload {
    pub log_index: Option<u64>,
    pub signed_at: Option<String>,
    pub logged: bool,
}

impl BundleVerifier {
    /// Checks that `signer` signed these bytes.
    pub fn check_payload(&self, bundle: &[u8], payload: &[u8], signer: &Signer) -> Result<CheckedPayload, BundleError> {
        let bundle = self.read(bundle, signer)?;
        let verified =
            self.verifier.verify(payload, &bundle, &*self.policy(signer)).map_err(|error| BundleError::Refused(chain(&error)))?;
        self.expect_every_check(&verified, signer)?;
        if !matches!(bundle.content, SignatureContent::MessageSignature(_)) {
            return Err(BundleError::Refused("it signs a statement and not bytes".to_owned()));
        }
        Ok(CheckedPayload {
            log_index: bundle.verification_material.tlog_entries.first().map(|entry| entry.log_index.get()),
            signed_at: verified.verified_timestamps().iter().min().map(ToString::to_string),
            logged: verified.tlog_verified(),
        })
    }

    /// A bundle of the right form whose log is one to be believed, and whose key is not another.
    fn read(&self, bundle: &[u8], signer: &Signer) -> Result<Bundle, BundleError> {
        let bundle = form::read(bundle).map_err(BundleError::Unreadable)?;
        form::check(&bundle).map_err(BundleError::Refused)?;
        expect_key(&bundle, signer)?;
        match form::foreign_log(&bundle, &self.logs) {
            Some(log) => Err(BundleError::Refused(format!("its log `{log}` is not one of the trusted root"))),
            None => Ok(bundle),
        }
    }

    fn policy(&self, signer: &Signer) -> Box<dyn sigstore_verify::Policy> {
        match signer {
            Signer::Keyless { identity, issuer } => {
                let policy = VerificationPolicy::new(identity.clone(), issuer.clone());
                let policy = if self.has_ct_log { policy } else { policy.skip_sct() };
                Box::new(if self.has_log { policy } else { policy.skip_tlog_unsafe() })
            }
            Signer::Key(public) => {
                let policy = PublicKeyVerificationPolicy::new(public.clone());
                Box::new(if self.has_log { policy } else { policy.skip_tlog_unsafe() })
            }
        }
    }

    /// The library skips what a policy leaves out; says here what must have happened.
    fn expect_every_check(&self, verified: &sigstore_verify::VerificationResult, signer: &Signer) -> Result<(), BundleError> {
        let by_certificate =
            || verified.certificate_verified() && verified.identity_policy_checked() && (verified.sct_verified() || !self.has_ct_log);
        // The signature itself is always checked, and there is nothing else to a key.
        let by_signer = matches!(signer, Signer::Key(_)) || by_certificate();
        let checked = by_signer && (verified.tlog_verified() || !self.has_log);
        if checked { Ok(()) } else { Err(BundleError::Refused("not every check was made".to_owned())) }
    }
}

/// Identity and issuer that a bundle's certificate names. Nothing is checked.
pub fn claimed_signer(bundle: &[u8]) -> Option<(String, String)> {
    let bundle = form::read(bundle).ok()?;
    let certificate = bundle.signing_certificate()?;
    let info = sigstore_crypto::parse_certificate_info(certificate).ok()?;
    Some((info.identity?.to_string(), info.issuer?))
}

/// A bundle says of a key its name alone, in cosign's way. Layers of the older format say nothing.
fn expect_key(bundle: &Bundle, signer: &Signer) -> Result<(), BundleError> {
    let (VerificationMaterialContent::PublicKey(named), Signer::Key(wanted)) = (&bundle.verification_material.content, signer) else {
        return Ok(());
    };
    if named.hint.is_empty() || named.hint == key::hint(wanted) {
        return Ok(());
    }
    let digest = BASE64.decode(&named.hint).ok().filter(|digest| digest.len() == 32);
    let named = digest.map_or_else(|| named.hint.clone(), |digest| format!("sha256:{}", hex::encode(digest)));
    Err(BundleError::Refused(format!("it names key `{named}`, and not `{}`", key::name(wanted))))
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
