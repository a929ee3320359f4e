//! One signing session: one ephemeral key with one Fulcio certificate, or a key of one's own; any
//! number of signed statements. The key never leaves memory.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::ExposeSecret as _;
use sigstore_bundle::BundleV03;
use sigstore_crypto::{KeyPair, sha256};
use sigstore_fulcio::FulcioClient;
use sigstore_oidc::IdentityToken;
use sigstore_rekor::{LogEntry, RekorClient, RekorV2Client};
use sigstore_tsa::TimestampClient;
use sigstore_types::bundle::{KindVersion, MessageDigest, MessageSignature};
use sigstore_types::{
    DerCertificate, DsseEnvelope, DsseSignature, EntryUuid, HashAlgorithm, KeyId, PayloadBytes,
    SignatureContent, TimestampToken, TransparencyLogEntry,
};

use super::identity::OidcToken;
use super::key::SigningKey;
use super::voucher::Voucher;
use super::{IN_TOTO, Rekor, RequestFailure, Services, SigstoreError, persistently};

/// The right to sign for some minutes.
pub struct Session {
    http: reqwest::Client,
    services: Services,
    key: Arc<KeyPair>,
    voucher: Voucher,
}

/// A signed statement with its proofs.
#[derive(Debug, Clone)]
pub struct SignedStatement {
    /// The bundle, JSON.
    pub bundle: Vec<u8>,
    /// The envelope to the byte as it was logged.
    pub envelope: Vec<u8>,
    /// What older verifiers want beside the envelope; only a log of version 1 gives it.
    pub promise: Option<Promise>,
}

/// A signature over bytes, for older verifiers.
#[derive(Debug, Clone)]
pub struct SignedPayload {
    /// DER, in base64.
    pub signature: String,
    pub promise: Promise,
}

/// A certificate and a log's promise to keep the entry, as cosign's older scheme writes them.
#[derive(Debug, Clone)]
pub struct Promise {
    /// PEM: the certificate, and those above it; `None` of a key.
    pub certificates: Option<(String, String)>,
    /// The entry and the log's signature over it, JSON.
    pub log: String,
}

impl Session {
    /// Makes the key and asks Fulcio for the one certificate of this run.
    pub async fn open(
        http: &reqwest::Client,
        services: &Services,
        token: &OidcToken,
    ) -> Result<Self, SigstoreError> {
        let Some(url) = services.fulcio.clone() else {
            let detail = "the signing config names none".to_owned();
            return Err(SigstoreError::Unusable { service: "Fulcio", url: String::new(), detail });
        };
        let unusable = |detail: String| SigstoreError::Unusable {
            service: "Fulcio",
            url: url.clone(),
            detail,
        };
        let key = KeyPair::generate_ecdsa_p256().map_err(|error| unusable(error.to_string()))?;
        let identity = IdentityToken::from_jwt(token.jwt.expose_secret())
            .map_err(|_| unusable("the OIDC token cannot be read".to_owned()))?;
        let client = FulcioClient::builder(&url)
            .with_http_client(http.clone())
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let granted = persistently("Fulcio", &url, async || {
            client.create_signing_certificate(&identity, &key).await.map_err(fulcio_failure)
        })
        .await?;
        let leaf = granted.leaf_certificate().clone();
        let chain =
            granted.certificate_chain().iter().skip(1).map(DerCertificate::to_pem).collect();
        let voucher = Voucher::Certificate { leaf, chain };
        Ok(Self { http: http.clone(), services: services.clone(), key: Arc::new(key), voucher })
    }

    /// Signs with a key of one's own: nobody is asked.
    pub fn with_key(http: &reqwest::Client, services: &Services, key: &SigningKey) -> Self {
        let voucher = Voucher::Key(key.public().clone());
        Self { http: http.clone(), services: services.clone(), key: Arc::clone(&key.pair), voucher }
    }

    /// Signs an in-toto statement: DSSE, then log entry and timestamp side by side.
    pub async fn sign(&self, statement: &[u8]) -> Result<SignedStatement, SigstoreError> {
        let internal = |detail: String| SigstoreError::Unusable {
            service: "the signing key",
            url: String::new(),
            detail,
        };
        let payload = PayloadBytes::from_bytes(statement);
        let pae = sigstore_types::dsse::pae(IN_TOTO, statement);
        let signature = self.key.sign(&pae).map_err(|error| internal(error.to_string()))?;
        let envelope = DsseEnvelope::new(
            IN_TOTO.to_owned(),
            payload,
            DsseSignature::new(signature.clone(), KeyId::default()),
        );
        let bytes = serde_json::to_vec(&envelope).map_err(|error| internal(error.to_string()))?;
        let (entry, timestamp) =
            futures_util::try_join!(self.log(&envelope, &pae), self.timestamp(&signature))?;
        let promise = entry.as_ref().and_then(|entry| self.promise(entry));
        let mut bundle =
            BundleV03::new(self.voucher.material(), SignatureContent::DsseEnvelope(envelope));
        if let Some(entry) = entry {
            bundle = bundle.with_tlog_entry(entry);
        }
        if let Some(timestamp) = timestamp {
            bundle = bundle.with_rfc3161_timestamp(timestamp);
        }
        let json = bundle.into_bundle().to_json().map_err(|error| internal(error.to_string()))?;
        Ok(SignedStatement { bundle: json.into_bytes(), envelope: bytes, promise })
    }

    /// Signs bytes and logs the signature with a log of version 1; `None` where there is none,
    /// because nothing else gives a promise.
    pub async fn sign_payload(
        &self,
        payload: &[u8],
    ) -> Result<Option<SignedPayload>, SigstoreError> {
        let Some(Rekor { url, version: 1 }) = &self.services.rekor else { return Ok(None) };
        let unusable =
            |detail: String| SigstoreError::Unusable { service: "Rekor", url: url.clone(), detail };
        let signature = self.key.sign(payload).map_err(|error| unusable(error.to_string()))?;
        let Some(entry) = self.log_digest(&sha256(payload), &signature).await? else {
            return Ok(None);
        };
        let promise = self
            .promise(&entry)
            .ok_or_else(|| unusable("it gave no signed entry timestamp".to_owned()))?;
        Ok(Some(SignedPayload { signature: BASE64.encode(signature.as_bytes()), promise }))
    }

    fn promise(&self, entry: &TransparencyLogEntry) -> Option<Promise> {
        let log_id =
            BASE64.decode(serde_json::to_value(&entry.log_id).ok()?["keyId"].as_str()?).ok()?;
        let promise = serde_json::to_value(entry.inclusion_promise.as_ref()?).ok()?;
        let log = serde_json::json!({
            "SignedEntryTimestamp": promise["signedEntryTimestamp"],
            "Payload": {
                "body": BASE64.encode(entry.canonicalized_body.as_bytes()),
                "integratedTime": entry.integrated_time?.as_second(),
                "logIndex": entry.log_index.get(),
                "logID": hex::encode(log_id),
            },
        });
        Some(Promise { certificates: self.voucher.certificates(), log: log.to_string() })
    }

    async fn log(
        &self,
        envelope: &DsseEnvelope,
        pae: &[u8],
    ) -> Result<Option<TransparencyLogEntry>, SigstoreError> {
        let Some(Rekor { url, version }) = &self.services.rekor else { return Ok(None) };
        let unusable =
            |detail: String| SigstoreError::Unusable { service: "Rekor", url: url.clone(), detail };
        if *version > 1 {
            // Later versions are sent no envelopes, but what was signed of them.
            return self.log_digest(&sha256(pae), &envelope.signature.sig).await;
        }
        let client = RekorClient::builder(url)
            .with_http_client(self.http.clone())
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let request =
            self.voucher.dsse_entry(envelope).map_err(|error| unusable(error.to_string()))?;
        let entry = persistently("Rekor", url, async || {
            kept(&client, client.create_dsse_entry(request.clone()).await)
                .await
                .map_err(rekor_failure)
        })
        .await?;
        let entry = entry
            .to_bundle_entry(KindVersion::DsseV001)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Some(entry))
    }

    async fn timestamp(
        &self,
        signature: &sigstore_types::SignatureBytes,
    ) -> Result<Option<TimestampToken>, SigstoreError> {
        let Some(url) = &self.services.timestamp else { return Ok(None) };
        let client = TimestampClient::builder(url)
            .with_http_client(self.http.clone())
            .build()
            .map_err(|error| SigstoreError::Unusable {
                service: "the timestamp authority",
                url: url.clone(),
                detail: error.to_string(),
            })?;
        persistently("the timestamp authority", url, async || {
            client.timestamp_signature(signature).await.map_err(timestamp_failure)
        })
        .await
        .map(Some)
    }
}

/// Signatures of bytes that are no statement.
impl Session {
    /// Signs the bytes that have this digest, as `cosign sign-blob` does: a `hashedrekord` entry in
    /// either version of the log.
    pub async fn sign_blob(
        &self,
        digest: &sigstore_types::Sha256Hash,
    ) -> Result<Vec<u8>, SigstoreError> {
        let internal = |detail: String| SigstoreError::Unusable {
            service: "the signing key",
            url: String::new(),
            detail,
        };
        let signature =
            self.key.sign_digest(digest).map_err(|error| internal(error.to_string()))?;
        let (entry, timestamp) = futures_util::try_join!(
            self.log_digest(digest, &signature),
            self.timestamp(&signature)
        )?;
        let mut bundle = BundleV03::new(
            self.voucher.material(),
            SignatureContent::MessageSignature(
                MessageSignature::new(signature).with_message_digest(MessageDigest::new(
                    HashAlgorithm::Sha2256,
                    (*digest).into(),
                )),
            ),
        );
        if let Some(entry) = entry {
            bundle = bundle.with_tlog_entry(entry);
        }
        if let Some(timestamp) = timestamp {
            bundle = bundle.with_rfc3161_timestamp(timestamp);
        }
        let json = bundle.into_bundle().to_json().map_err(|error| internal(error.to_string()))?;
        Ok(json.into_bytes())
    }

    /// Logs a signature of the bytes that have this digest.
    async fn log_digest(
        &self,
        digest: &sigstore_types::Sha256Hash,
        signature: &sigstore_types::SignatureBytes,
    ) -> Result<Option<TransparencyLogEntry>, SigstoreError> {
        let Some(Rekor { url, version }) = &self.services.rekor else { return Ok(None) };
        let unusable =
            |detail: String| SigstoreError::Unusable { service: "Rekor", url: url.clone(), detail };
        let entry = if *version == 1 {
            let client = RekorClient::builder(url)
                .with_http_client(self.http.clone())
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            let request = self
                .voucher
                .hashed_entry(digest, signature)
                .map_err(|error| unusable(error.to_string()))?;
            let entry = persistently("Rekor", url, async || {
                kept(&client, client.create_entry(request.clone()).await)
                    .await
                    .map_err(rekor_failure)
            })
            .await?;
            entry
                .to_bundle_entry(KindVersion::HashedRekordV001)
                .map_err(|error| unusable(error.to_string()))?
        } else {
            let client = RekorV2Client::builder(url)
                .with_http_client(self.http.clone())
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            let request = self.voucher.hashed_entry_of_2(digest, signature);
            persistently("Rekor", url, async || {
                client.create_entry(request.clone()).await.map_err(rekor_failure)
            })
            .await?
        };
        Ok(Some(entry))
    }
}

fn fulcio_failure(error: sigstore_fulcio::Error) -> RequestFailure {
    match error {
        sigstore_fulcio::Error::Status { status, message } => {
            RequestFailure::of_status(status, message)
        }
        sigstore_fulcio::Error::Http(message) => RequestFailure::Passing(message),
        other => RequestFailure::Nonsense(other.to_string()),
    }
}

/// An entry the log already has, because the answer to an earlier request was lost, is fetched: its
/// refusal names it.
async fn kept(
    client: &RekorClient,
    answer: sigstore_rekor::Result<LogEntry>,
) -> sigstore_rekor::Result<LogEntry> {
    match &answer {
        Err(sigstore_rekor::Error::Status { status: 409, message }) => {
            let is_uuid =
                |word: &&str| word.len() >= 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            match message.split(|letter: char| !letter.is_ascii_alphanumeric()).find(is_uuid) {
                Some(uuid) => client.get_entry_by_uuid(&EntryUuid::new(uuid)).await,
                None => answer,
            }
        }
        _ => answer,
    }
}

fn rekor_failure(error: sigstore_rekor::Error) -> RequestFailure {
    match error {
        sigstore_rekor::Error::Status { status, message } => {
            RequestFailure::of_status(status, message)
        }
        sigstore_rekor::Error::Http(message) => RequestFailure::Passing(message),
        other => RequestFailure::Nonsense(other.to_string()),
    }
}

/// The crate gives a refusal's status only as text, so every HTTP failure is tried again: at worst
/// three needless requests.
fn timestamp_failure(error: sigstore_tsa::Error) -> RequestFailure {
    match error {
        sigstore_tsa::Error::Http(message) => RequestFailure::Passing(message),
        other => RequestFailure::Nonsense(other.to_string()),
    }
}
