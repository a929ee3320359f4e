//! Whose signatures a session makes, in the forms that bundles and logs want it: a certificate, or
//! a key alone. It never signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use sigstore_bundle::VerificationMaterialV03;
use sigstore_rekor::{DsseEntry, HashedRekord, HashedRekordV2, RekorV2KeyDetails};
use sigstore_types::{DerCertificate, DerPublicKey, DsseEnvelope, Sha256Hash, SignatureBytes};

use super::key;

pub(super) enum Voucher {
    /// Fulcio's, with the certificates above it in PEM.
    Certificate {
        leaf: DerCertificate,
        chain: String,
    },
    Key(DerPublicKey),
}

impl Voucher {
    /// What a bundle says of the signer: of a key its name alone, as cosign does.
    pub(super) fn material(&self) -> VerificationMaterialV03 {
        match self {
            Self::Certificate { leaf, .. } => VerificationMaterialV03::Certificate(leaf.clone()),
            Self::Key(key) => VerificationMaterialV03::PublicKey { hint: key::hint(key) },
        }
    }

    /// What cosign's older scheme keeps beside a signature, in PEM: the certificate, and those
    /// above it. Nothing of a key.
    pub(super) fn certificates(&self) -> Option<(String, String)> {
        match self {
            Self::Certificate { leaf, chain } => Some((leaf.to_pem(), chain.clone())),
            Self::Key(_) => None,
        }
    }

    pub(super) fn dsse_entry(&self, envelope: &DsseEnvelope) -> anyhow::Result<DsseEntry> {
        match self {
            Self::Certificate { leaf, .. } => Ok(DsseEntry::new(envelope, leaf)?),
            // The library makes entries of version 1 for certificates alone.
            Self::Key(key) => Ok(serde_json::from_value(json!({
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": { "proposedContent": {
                    "envelope": serde_json::to_string(envelope)?,
                    "verifiers": [BASE64.encode(key::public_pem(key))],
                } },
            }))?),
        }
    }

    pub(super) fn hashed_entry(
        &self,
        digest: &Sha256Hash,
        signature: &SignatureBytes,
    ) -> anyhow::Result<HashedRekord> {
        match self {
            Self::Certificate { leaf, .. } => Ok(HashedRekord::new(digest, signature, leaf)),
            Self::Key(key) => Ok(serde_json::from_value(json!({
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": { "hash": { "algorithm": "sha256", "value": digest.to_hex() } },
                    "signature": { "content": signature, "publicKey": { "content": BASE64.encode(key::public_pem(key)) } },
                },
            }))?),
        }
    }

    /// For logs of version 2.
    pub(super) fn hashed_entry_of_2(
        &self,
        digest: &Sha256Hash,
        signature: &SignatureBytes,
    ) -> HashedRekordV2 {
        const DETAILS: RekorV2KeyDetails = RekorV2KeyDetails::PkixEcdsaP256Sha256;
        match self {
            Self::Certificate { leaf, .. } => {
                HashedRekordV2::new_with_certificate(digest, signature, leaf, DETAILS)
            }
            Self::Key(key) => HashedRekordV2::new_with_public_key(digest, signature, key, DETAILS),
        }
    }
}
