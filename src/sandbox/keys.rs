//! Makes, keeps and checks the sandbox's keys and signatures; it never hands out a private key.

use std::path::Path;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ED25519, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::SandboxError;
use super::der;

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub(super) fn random_hex(bytes: usize) -> Result<String, SandboxError> {
    let mut buffer = vec![0u8; bytes];
    aws_lc_rs::rand::fill(&mut buffer)
        .map_err(|_| SandboxError::Crypto { what: "random bytes" })?;
    Ok(hex::encode(buffer))
}

/// RFC 8785, whatever order serde_json's map keeps.
pub(super) fn canonical_json(value: &serde_json::Value) -> Result<Vec<u8>, SandboxError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|_| SandboxError::Crypto { what: "canonical JSON" })
}

/// Returns what `path` holds, or makes it and keeps it there for the next start.
pub(super) fn kept(
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, SandboxError>,
) -> Result<Vec<u8>, SandboxError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let bytes = make()?;
            super::files::write_atomically(path, &bytes)?;
            Ok(bytes)
        }
        Err(source) => Err(SandboxError::File { path: path.to_owned(), source }),
    }
}

/// An ECDSA P-256 key of a log or an authority.
pub(super) struct LogKey {
    pair: EcdsaKeyPair,
    public_der: Vec<u8>,
}

impl LogKey {
    pub(super) fn kept_at(path: &Path) -> Result<Self, SandboxError> {
        let unusable = |_| SandboxError::Key { path: path.to_owned() };
        let pkcs8 = kept(path, || {
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec())
                .map_err(|_| SandboxError::Crypto { what: "an ECDSA key" })
        })?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8)
            .map_err(|_| SandboxError::Key { path: path.to_owned() })?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(unusable)?;
        let public_der = public.as_ref().to_vec();
        Ok(Self { pair, public_der })
    }

    pub(super) fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// RFC 6962 log id: SHA-256 of the SubjectPublicKeyInfo.
    pub(super) fn log_id(&self) -> Vec<u8> {
        sha256(&self.public_der)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SandboxError> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SandboxError::Crypto { what: "an ECDSA signature" })
    }
}

/// The RSA key of an OIDC issuer.
pub(super) struct TokenKey {
    pair: RsaKeyPair,
}

impl TokenKey {
    pub(super) fn kept_at(path: &Path) -> Result<Self, SandboxError> {
        let pkcs8 = kept(path, || {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048);
            let document = pair.and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair));
            document
                .map(|document| document.as_ref().to_vec())
                .map_err(|_| SandboxError::Crypto { what: "an RSA key" })
        })?;
        RsaKeyPair::from_pkcs8(&pkcs8)
            .map(|pair| Self { pair })
            .map_err(|_| SandboxError::Key { path: path.to_owned() })
    }

    /// Modulus and exponent, big-endian, as a JWK wants them.
    pub(super) fn components(&self) -> Result<(Vec<u8>, Vec<u8>), der::MalformedDer> {
        let mut fields = der::only_sequence(self.pair.public_key().as_ref())?;
        let modulus = fields.expect(der::INTEGER)?.content;
        let exponent = fields.expect(der::INTEGER)?.content;
        Ok((modulus.strip_prefix(&[0]).unwrap_or(modulus).to_vec(), exponent.to_vec()))
    }

    pub(super) fn key_id(&self) -> String {
        hex::encode(&sha256(self.pair.public_key().as_ref())[..20])
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SandboxError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map(|()| signature)
            .map_err(|_| SandboxError::Crypto { what: "an RSA signature" })
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(message, signature)
            .is_ok()
    }
}

/// What a signature was made over.
#[derive(Clone, Copy)]
pub(super) enum SignedData<'a> {
    Message(&'a [u8]),
    Sha256(&'a [u8]),
}

/// Whether `public_der` (SubjectPublicKeyInfo) made `signature`, under the algorithms Fulcio
/// accepts.
pub(super) fn verifies(public_der: &[u8], signed: SignedData<'_>, signature: &[u8]) -> bool {
    let ecdsa_and_rsa: [&'static dyn VerificationAlgorithm; 4] = [
        &ECDSA_P256_SHA256_ASN1,
        &ECDSA_P384_SHA384_ASN1,
        &ECDSA_P384_SHA256_ASN1,
        &RSA_PKCS1_2048_8192_SHA256,
    ];
    match signed {
        SignedData::Message(message) => ecdsa_and_rsa
            .into_iter()
            .chain([&ED25519 as &'static dyn VerificationAlgorithm])
            .any(|algorithm| {
                UnparsedPublicKey::new(algorithm, public_der).verify(message, signature).is_ok()
            }),
        SignedData::Sha256(hash) => match Digest::import_less_safe(hash, &digest::SHA256) {
            Ok(digest) => ecdsa_and_rsa.into_iter().any(|algorithm| {
                UnparsedPublicKey::new(algorithm, public_der)
                    .verify_digest(&digest, signature)
                    .is_ok()
            }),
            Err(_) => false,
        },
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The label and the bytes of the first PEM block in `text`.
pub(super) fn first_pem_block(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, after_begin) = text.split_once("-----BEGIN ")?;
    let (label, after_label) = after_begin.split_once("-----")?;
    let (body, _) = after_label.split_once(&format!("-----END {label}-----"))?;
    let compact: String =
        body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(compact).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_the_same_key_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.p8");
        let first = LogKey::kept_at(&path).unwrap();
        let second = LogKey::kept_at(&path).unwrap();
        assert_eq!(first.public_der(), second.public_der());
        let signature = second.sign(b"message").unwrap();
        assert!(verifies(first.public_der(), SignedData::Message(b"message"), &signature));
        assert!(verifies(first.public_der(), SignedData::Sha256(&sha256(b"message")), &signature));
        assert!(!verifies(first.public_der(), SignedData::Message(b"another"), &signature));
    }

    #[test]
    fn pem_survives_carriage_returns() {
        let text = pem("CERTIFICATE", &[9; 100]).replace('\n', "\r\n");
        assert_eq!(first_pem_block(&text), Some(("CERTIFICATE".to_owned(), vec![9; 100])));
        assert_eq!(first_pem_block("nothing"), None);
    }
}
