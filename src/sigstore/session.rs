//! One signing session: one ephemeral key, one Fulcio certificate, any number of signed statements. The key never leaves memory.

use secrecy::ExposeSecret as _;
use sigstore_bundle::BundleV03;
use sigstore_crypto::{KeyPair, sha256};
use sigstore_fulcio::FulcioClient;
use sigstore_oidc::IdentityToken;
use sigstore_rekor::{DsseEntry, HashedRekordV2, RekorClient, RekorV2Client, RekorV2KeyDetails};
use sigstore_tsa::TimestampClient;
use sigstore_types::bundle::KindVersion;
use sigstore_types::{DerCertificate, DsseEnvelope, DsseSignature, KeyId, PayloadBytes, TimestampToken, TransparencyLogEntry};

use super::identity::OidcToken;
use super::{Failure, IN_TOTO, Rekor, Services, SigstoreError, persistently};

/// The right to sign for some minutes.
pub struct Session {
    http: reqwest::Client,
    services: Services,
    key: KeyPair,
    certificate: DerCertificate,
}

/// A signed statement with its proofs, as bundle JSON.
#[derive(Debug, Clone)]
pub struct SignedStatement {
    pub bundle: Vec<u8>,
}

impl Session {
    /// Makes the key and asks Fulcio for the one certificate of this run.
    pub async fn open(http: &reqwest::Client, services: &Services, token: &OidcToken) -> Result<Self, SigstoreError> {
        let url = services.fulcio.clone();
        let unusable = |detail: String| SigstoreError::Unusable { service: "Fulcio", url: url.clone(), detail };
        let key = KeyPair::generate_ecdsa_p256().map_err(|error| unusable(error.to_string()))?;
        let identity =
            IdentityToken::from_jwt(token.jwt.expose_secret()).map_err(|_| unusable("the OIDC token cannot be read".to_owned()))?;
        let client = FulcioClient::builder(&url).with_http_client(http.clone()).build().map_err(|error| unusable(error.to_string()))?;
        let granted =
            persistently("Fulcio", &url, async || client.create_signing_certificate(&identity, &key).await.map_err(fulcio_failure)).await?;
        let certificate = granted.leaf_certificate().clone();
        Ok(Self { http: http.clone(), services: services.clone(), key, certificate })
    }

    /// Signs an in-toto statement: DSSE, then log entry and timestamp side by side.
    pub async fn sign(&self, statement: &[u8]) -> Result<SignedStatement, SigstoreError> {
        let internal = |detail: String| SigstoreError::Unusable { service: "the signing key", url: String::new(), detail };
        let payload = PayloadBytes::from_bytes(statement);
        let pae = sigstore_types::dsse::pae(IN_TOTO, statement);
        let signature = self.key.sign(&pae).map_err(|error| internal(error.to_string()))?;
        let envelope = DsseEnvelope::new(IN_TOTO.to_owned(), payload, DsseSignature::new(signature.clone(), KeyId::default()));
        let (entry, timestamp) = futures_util::try_join!(self.log(&envelope, &pae), self.timestamp(&signature))?;
        let mut bundle = BundleV03::with_certificate_and_dsse(self.certificate.clone(), envelope);
        if let Some(entry) = entry {
            bundle = bundle.with_tlog_entry(entry);
        }
        if let Some(timestamp) = timestamp {
            bundle = bundle.with_rfc3161_timestamp(timestamp);
        }
        let json = bundle.into_bundle().to_json().map_err(|error| internal(error.to_string()))?;
        Ok(SignedStatement { bundle: json.into_bytes() })
    }

    async fn log(&self, envelope: &DsseEnvelope, pae: &[u8]) -> Result<Option<TransparencyLogEntry>, SigstoreError> {
        let Some(Rekor { url, version }) = &self.services.rekor else { return Ok(None) };
        let unusable = |detail: String| SigstoreError::Unusable { service: "Rekor", url: url.clone(), detail };
        let entry = if *version == 1 {
            let client =
                RekorClient::builder(url).with_http_client(self.http.clone()).build().map_err(|error| unusable(error.to_string()))?;
            let request = DsseEntry::new(envelope, &self.certificate).map_err(|error| unusable(error.to_string()))?;
            let entry = persistently("Rekor", url, async || client.create_dsse_entry(request.clone()).await.map_err(rekor_failure)).await?;
            entry.to_bundle_entry(KindVersion::DsseV001).map_err(|error| unusable(error.to_string()))?
        } else {
            let client =
                RekorV2Client::builder(url).with_http_client(self.http.clone()).build().map_err(|error| unusable(error.to_string()))?;
            let request = HashedRekordV2::new_with_certificate(
                &sha256(pae),
                &envelope.signature.sig,
                &self.certificate,
                RekorV2KeyDetails::PkixEcdsaP256Sha256,
            );
            persistently("Rekor", url, async || client.create_entry(request.clone()).await.map_err(rekor_failure)).await?
        };
        Ok(Some(entry))
    }

    async fn timestamp(&self, signature: &sigstore_types::SignatureBytes) -> Result<Option<TimestampToken>, SigstoreError> {
        let Some(url) = &self.services.timestamp else { return Ok(None) };
        let client = TimestampClient::builder(url)
            .with_http_client(self.http.clone())
            .build()
            .map_err(|error| SigstoreError::Unusable { service: "the timestamp authority", url: url.clone(), detail: error.to_string() })?;
        persistently("the timestamp authority", url, async || client.timestamp_signature(signature).await.map_err(timestamp_failure))
            .await
            .map(Some)
    }
}

/// Signatures of bytes that are no statement.
impl Session {
    /// Signs the bytes that have this digest, as `cosign sign-blob` does: a `hashedrekord` entry in either version of the log.
    pub async fn sign_blob(&self, digest: &sigstore_types::Sha256Hash) -> Result<SignedStatement, SigstoreError> {
        let internal = |detail: String| SigstoreError::Unusable { service: "the signing key", url: String::new(), detail };
        let signature = self.key.sign_digest(digest).map_err(|error| internal(error.to_string()))?;
        let (entry, timestamp) = futures_util::try_join!(self.log_blob(digest, &signature), self.timestamp(&signature))?;
        let mut bundle = BundleV03::with_certificate_and_signature(self.certificate.clone(), signature, *digest);
        if let Some(entry) = entry {
            bundle = bundle.with_tlog_entry(entry);
        }
        if let Some(timestamp) = timestamp {
            bundle = bundle.with_rfc3161_timestamp(timestamp);
        }
        let json = bundle.into_bundle().to_json().map_err(|error| internal(error.to_string()))?;
        Ok(SignedStatement { bundle: json.into_bytes() })
    }

    async fn log_blob(
        &self,
        digest: &sigstore_types::Sha256Hash,
        signature: &sigstore_types::SignatureBytes,
    ) -> Result<Option<TransparencyLogEntry>, SigstoreError> {
        let Some(Rekor { url, version }) = &self.services.rekor else { return Ok(None) };
        let unusable = |detail: String| SigstoreError::Unusable { service: "Rekor", url: url.clone(), detail };
        let entry = if *version == 1 {
            let client =
                RekorClient::builder(url).with_http_client(self.http.clone()).build().map_err(|error| unusable(error.to_string()))?;
            let request = sigstore_rekor::HashedRekord::new(digest, signature, &self.certificate);
            let entry = persistently("Rekor", url, async || client.create_entry(request.clone()).await.map_err(rekor_failure)).await?;
            entry.to_bundle_entry(KindVersion::HashedRekordV001).map_err(|error| unusable(error.to_string()))?
        } else {
            let client =
                RekorV2Client::builder(url).with_http_client(self.http.clone()).build().map_err(|error| unusable(error.to_string()))?;
            let details = RekorV2KeyDetails::PkixEcdsaP256Sha256;
            let request = HashedRekordV2::new_with_certificate(digest, signature, &self.certificate, details);
            persistently("Rekor", url, async || client.create_entry(request.clone()).await.map_err(rekor_failure)).await?
        };
        Ok(Some(entry))
    }
}

fn fulcio_failure(error: sigstore_fulcio::Error) -> Failure {
    match error {
        sigstore_fulcio::Error::Status { status, message } => Failure::of_status(status, message),
        sigstore_fulcio::Error::Http(message) => Failure::Passing(message),
        other => Failure::Nonsense(other.to_string()),
    }
}

fn rekor_failure(error: sigstore_rekor::Error) -> Failure {
    match error {
        sigstore_rekor::Error::Status { status, message } => Failure::of_status(status, message),
        sigstore_rekor::Error::Http(message) => Failure::Passing(message),
        other => Failure::Nonsense(other.to_string()),
    }
}

/// The crate gives a refusal's status only as text, so every HTTP failure is tried again: at worst three needless requests.
fn timestamp_failure(error: sigstore_tsa::Error) -> Failure {
    match error {
        sigstore_tsa::Error::Http(message) => Failure::Passing(message),
        other => Failure::Nonsense(other.to_string()),
    }
}
