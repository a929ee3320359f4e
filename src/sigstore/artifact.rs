//! The check of any bundle about any artifact, a file or a digest, by signer or by key. It reads
//! the artifact once and never fetches anything.

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;

use regex::Regex;
use serde::Serialize;
use sigstore_types::{
    ArtifactDigest, Bundle, DerPublicKey, DigestBytes, HashAlgorithm, SignatureContent, Statement,
};
use sigstore_verify::{
    CertificateError, Error, Policy, PublicKeyVerificationPolicy, TransparencyLogError,
    VerificationPolicy, VerificationResult,
};

use super::form;
use super::verifier::{BundleVerifier, chain};

/// What must have been signed.
#[derive(Debug, Clone)]
pub enum SignedArtifact {
    File(PathBuf),
    Digest(ArtifactDigest),
}

impl FromStr for SignedArtifact {
    type Err = std::convert::Infallible;

    /// `sha256:` (or `sha384:`, `sha512:`) with as many digits as it has, unless a file has that
    /// name; anything else is a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.split_once(':').and_then(|(algorithm, hex)| {
            let algorithm = match algorithm {
                "sha256" => HashAlgorithm::Sha2256,
                "sha384" => HashAlgorithm::Sha2384,
                "sha512" => HashAlgorithm::Sha2512,
                _ => return None,
            };
            ArtifactDigest::new(algorithm, DigestBytes::from_hex(hex).ok()?).ok()
        });
        let path = PathBuf::from(text);
        Ok(match digest {
            Some(digest) if !path.exists() => Self::Digest(digest),
            _ => Self::File(path),
        })
    }
}

impl std::fmt::Display for SignedArtifact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Digest(digest) => write!(
                formatter,
                "{}:{}",
                digest.algorithm().as_rekor_str(),
                digest.value().to_hex()
            ),
        }
    }
}

/// Whose signature counts.
#[derive(Debug, Clone)]
pub enum Trusted {
    /// Whom a certificate must name, and who must have vouched for it. An empty issuer: the
    /// certificate must name none.
    Signer { identity: Identity, issuer: String },
    /// Whoever holds this key.
    Key(DerPublicKey),
    /// Whoever the certificate names: all is checked but who signed. Only for what this run signed
    /// itself.
    AnyoneUnsafe,
}

#[derive(Debug, Clone)]
pub enum Identity {
    Exact(String),
    /// Matches the whole identity.
    Pattern(Regex),
}

impl Identity {
    /// A pattern for the whole of an identity, so that `a` does not let `attacker` in.
    pub fn pattern(text: &str) -> Result<Self, regex::Error> {
        // First alone: `a)|(?:b` must not become a pattern by what is put around it.
        Regex::new(text)?;
        Regex::new(&format!("^(?:{text})$")).map(Self::Pattern)
    }

    pub fn matches(&self, identity: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == identity,
            Self::Pattern(pattern) => pattern.is_match(identity),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => formatter.write_str(text),
            Self::Pattern(pattern) => formatter.write_str(pattern.as_str()),
        }
    }
}

/// What was found in a bundle that holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedBundle {
    pub media_type: &'static str,
    /// `dsse` or `message-signature`.
    pub content: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// SHA-256 of the key, where a key was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The signature and the artifact always are.
    pub checked: Vec<&'static str>,
    /// Those that were proven, so none where the trusted root knows no log.
    pub log_entries: Vec<LogEntry>,
    /// RFC 3339; when the signature is proven to have existed.
    pub signed_at: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    pub kind: String,
    pub log: String,
    pub index: u64,
}

/// Why a bundle does not stand for an artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("it is not a bundle that can be read: {0}")]
    Unreadable(String),
    #[error("it is not a bundle that may be trusted: {0}")]
    Form(String),
    #[error("its log `{0}` is not in the trusted root")]
    ForeignLog(String),
    #[error("`{}` signed it, not `{expected}`", actual.as_deref().unwrap_or("nobody it names"))]
    Identity { expected: String, actual: Option<String> },
    #[error("{} vouched for the signer, not {expected}", quoted(actual.as_deref().unwrap_or_default()), expected = quoted(expected))]
    Issuer { expected: String, actual: Option<String> },
    #[error("{detail}; it is about {about}")]
    Artifact { detail: String, about: String },
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("it names only a key, and does not say who owns it")]
    KeyWanted,
    #[error("it does not verify: {}", chain(.0))]
    Refused(Error),
    #[error("it does not verify: not every check was made")]
    Incomplete,
}

fn quoted(issuer: &str) -> String {
    if issuer.is_empty() { "no issuer".to_owned() } else { format!("issuer `{issuer}`") }
}

const FOREIGN: &str = "pass the --trusted-root of the Sigstore instance that signed; the default is the public-good instance";

impl crate::error::Remedied for ArtifactError {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(_) => {
                "a bundle is a JSON file of media type application/vnd.dev.sigstore.bundle, as cosign and GitHub write them".to_owned()
            }
            Self::Form(_) | Self::Incomplete => {
                "get it again from its origin: it was changed, or it never was a valid Sigstore bundle".to_owned()
            }
            Self::ForeignLog(_) => FOREIGN.to_owned(),
            Self::Identity { actual: Some(actual), .. } => {
                format!("pass --certificate-identity `{actual}` if you trust that signer")
            }
            Self::Issuer { actual, .. } => {
                format!("pass --certificate-oidc-issuer `{}` if you trust that issuer", actual.as_deref().unwrap_or_default())
            }
            Self::Artifact { .. } => "check that the bundle belongs to this artifact".to_owned(),
            Self::KeyWanted => "pass the signer's public key with --key".to_owned(),
            Self::Refused(error) => return remedy_of(error),
            Self::Identity { .. } | Self::File { .. } => return None,
        })
    }
}

fn remedy_of(error: &Error) -> Option<String> {
    const EXPIRED: &str = "sign again: a signature counts only if it is proven to be made while the signer's certificate was valid";
    const CHANGED: &str = "get it again from its origin: it was changed, or it never was valid";
    Some(match error {
        Error::Certificate(
            CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
        ) => EXPIRED.to_owned(),
        Error::Certificate(CertificateError::ChainInvalid(detail))
            if detail.contains("CertExpired") =>
        {
            EXPIRED.to_owned()
        }
        Error::Certificate(
            CertificateError::ChainInvalid(_)
            | CertificateError::NoValidAuthority { .. }
            | CertificateError::Sct(_),
        )
        | Error::TransparencyLog(TransparencyLogError::UnknownLog { .. })
        | Error::Timestamp(_) => FOREIGN.to_owned(),
        Error::TransparencyLog(
            TransparencyLogError::Checkpoint(_) | TransparencyLogError::InclusionPromise(_),
        ) => {
            format!("{CHANGED}; {FOREIGN}")
        }
        Error::SignatureInvalid(_) | Error::TransparencyLog(_) | Error::Bundle(_) => {
            CHANGED.to_owned()
        }
        Error::UnsupportedArtifact(_) => "pass the file itself, or its SHA-256".to_owned(),
        _ => return None,
    })
}

impl BundleVerifier {
    /// Checks that whom `trusted` names signed `artifact`. Logs are demanded as in `check`.
    pub fn check_artifact(
        &self,
        bundle: &[u8],
        artifact: &SignedArtifact,
        trusted: &Trusted,
    ) -> Result<CheckedBundle, ArtifactError> {
        let bundle = form::read(bundle).map_err(ArtifactError::Unreadable)?;
        form::check(&bundle).map_err(ArtifactError::Form)?;
        if let Some(log) = form::foreign_log(&bundle, &self.logs) {
            return Err(ArtifactError::ForeignLog(log.to_string()));
        }
        let result = match trusted {
            Trusted::Signer { identity, issuer } => {
                let result = self.by_certificate(&bundle, artifact)?;
                named(&result, identity, issuer)?;
                result
            }
            Trusted::AnyoneUnsafe => self.by_certificate(&bundle, artifact)?,
            Trusted::Key(key) => self.by_key(&bundle, artifact, key)?,
        };
        Ok(found(&bundle, &result, trusted))
    }

    fn by_certificate(
        &self,
        bundle: &Bundle,
        artifact: &SignedArtifact,
    ) -> Result<VerificationResult, ArtifactError> {
        if bundle.signing_certificate().is_none() {
            return Err(ArtifactError::KeyWanted);
        }
        let mut policy = VerificationPolicy::any_identity();
        if !self.has_ct_log {
            policy = policy.skip_sct();
        }
        if !self.has_log {
            policy = policy.skip_tlog_unsafe();
        }
        let result = self.verified(bundle, artifact, &policy)?;
        // The library skips what a policy leaves out; say here what must have happened.
        let complete = result.certificate_verified()
            && !result.verified_timestamps().is_empty()
            && (result.sct_verified() || !self.has_ct_log)
            && (result.tlog_verified() || !self.has_log);
        if complete { Ok(result) } else { Err(ArtifactError::Incomplete) }
    }

    fn by_key(
        &self,
        bundle: &Bundle,
        artifact: &SignedArtifact,
        key: &DerPublicKey,
    ) -> Result<VerificationResult, ArtifactError> {
        let mut policy = PublicKeyVerificationPolicy::new(key.clone());
        if !self.has_log {
            policy = policy.skip_tlog_unsafe();
        }
        let result = self.verified(bundle, artifact, &policy)?;
        if result.tlog_verified() || !self.has_log {
            Ok(result)
        } else {
            Err(ArtifactError::Incomplete)
        }
    }

    fn verified(
        &self,
        bundle: &Bundle,
        artifact: &SignedArtifact,
        policy: &dyn Policy,
    ) -> Result<VerificationResult, ArtifactError> {
        let verified = match artifact {
            SignedArtifact::Digest(digest) => self.verifier.verify(
                sigstore_types::Artifact::from_digest(digest.clone()),
                bundle,
                policy,
            ),
            SignedArtifact::File(path) => {
                let failed = |source| ArtifactError::File { path: path.clone(), source };
                match self.verifier.verify_reader(File::open(path).map_err(failed)?, bundle, policy)
                {
                    // Such as Ed25519, which signs the whole and not its digest.
                    Err(Error::UnsupportedArtifact(_)) => {
                        let bytes = std::fs::read(path).map_err(failed)?;
                        self.verifier.verify(&bytes, bundle, policy)
                    }
                    Err(Error::ArtifactRead(source)) => return Err(failed(source)),
                    other => other,
                }
            }
        };
        verified.map_err(|error| match error {
            Error::ArtifactMismatch(detail) => {
                ArtifactError::Artifact { detail, about: about(bundle) }
            }
            other => ArtifactError::Refused(other),
        })
    }
}

/// Compares who signed with who should have; the library knows neither patterns nor "no issuer".
fn named(
    result: &VerificationResult,
    identity: &Identity,
    issuer: &str,
) -> Result<(), ArtifactError> {
    let actual = result.identity().map(|name| name.as_str().to_owned());
    if !actual.as_deref().is_some_and(|actual| identity.matches(actual)) {
        return Err(ArtifactError::Identity { expected: identity.to_string(), actual });
    }
    if result.issuer().unwrap_or_default() != issuer {
        return Err(ArtifactError::Issuer {
            expected: issuer.to_owned(),
            actual: result.issuer().map(str::to_owned),
        });
    }
    Ok(())
}

fn found(bundle: &Bundle, result: &VerificationResult, trusted: &Trusted) -> CheckedBundle {
    let checks = [
        ("identity", matches!(trusted, Trusted::Signer { .. })),
        ("certificate", result.certificate_verified()),
        ("sct", result.sct_verified()),
        ("log", result.tlog_verified()),
        ("time", !result.verified_timestamps().is_empty()),
    ];
    let statement = statement(bundle);
    let mut signed_at = result.verified_timestamps().to_vec();
    signed_at.sort();
    CheckedBundle {
        media_type: bundle.media_type.as_str(),
        content: if statement.is_some() { "dsse" } else { "message-signature" },
        predicate_type: statement.map(|statement| statement.predicate_type),
        identity: result.identity().map(|identity| identity.as_str().to_owned()),
        issuer: result.issuer().map(str::to_owned),
        key: match trusted {
            Trusted::Key(key) => Some(crate::image::Digest::of(key.as_bytes()).to_string()),
            Trusted::Signer { .. } | Trusted::AnyoneUnsafe => None,
        },
        checked: checks.into_iter().filter(|(_, made)| *made).map(|(name, _)| name).collect(),
        log_entries: bundle
            .verification_material
            .tlog_entries
            .iter()
            .filter(|_| result.tlog_verified())
            .map(|entry| LogEntry {
                kind: format!("{} {}", entry.kind_version.kind(), entry.kind_version.version()),
                log: entry.log_id.key_id.to_string(),
                index: entry.log_index.get(),
            })
            .collect(),
        signed_at: signed_at.iter().map(ToString::to_string).collect(),
    }
}

fn statement(bundle: &Bundle) -> Option<Statement> {
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            serde_json::from_slice(envelope.payload.as_bytes()).ok()
        }
        _ => None,
    }
}

/// The digests that a bundle says it is about, for the message to who holds another artifact.
fn about(bundle: &Bundle) -> String {
    const SHOWN: usize = 3;
    let mut digests: Vec<String> = match &bundle.content {
        SignatureContent::MessageSignature(signature) => signature
            .message_digest
            .iter()
            .map(|digest| {
                format!("`{}:{}`", digest.algorithm.as_rekor_str(), digest.digest.to_hex())
            })
            .collect(),
        _ => statement(bundle)
            .into_iter()
            .flat_map(|statement| statement.subject)
            .filter_map(|subject| {
                let sha256 =
                    subject.digest.sha256.map(|hash| format!("`sha256:{}`", hash.to_hex()));
                sha256.or_else(|| {
                    subject.digest.sha512.map(|hash| format!("`sha512:{}`", hash.to_hex()))
                })
            })
            .collect(),
    };
    let more = digests.len().saturating_sub(SHOWN);
    digests.truncate(SHOWN);
    match (digests.is_empty(), more) {
        (true, _) => "something that it does not name".to_owned(),
        (false, 0) => digests.join(", "),
        (false, more) => format!("{} and {more} more", digests.join(", ")),
    }
}
