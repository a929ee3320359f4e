//! Makes RFC 3161 timestamps with its own certificate chain; it never sees more of the artifact
//! than its hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::SandboxError;
use super::der::{self, MalformedDer};
use super::keys::{self, LogKey};
use super::x509;

const POLICY: &str = "1.3.6.1.4.1.57264.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE_ATTRIBUTE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";

pub(super) struct TimestampAuthority {
    key: LogKey,
    /// Leaf first, root last.
    pub(super) chain: Vec<Vec<u8>>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    issued: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
enum TimestampError {
    #[error("error parsing the timestamp request: {0}")]
    Request(#[from] MalformedDer),
    #[error("error parsing the timestamp request: unsupported or mismatching hash")]
    Hash,
    #[error(transparent)]
    Internal(#[from] SandboxError),
}

impl IntoResponse for TimestampError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Request(_) | Self::Hash => StatusCode::BAD_REQUEST,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"code": status.as_u16(), "message": self.to_string()})))
            .into_response()
    }
}

/// What a TimeStampReq asks for; the imprint and the nonce go back as they came.
struct TimestampQuery {
    imprint: Vec<u8>,
    policy: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    wants_certificates: bool,
}

impl TimestampQuery {
    fn from_der(request: &[u8]) -> Result<Self, TimestampError> {
        let mut fields = der::only_sequence(request)?;
        if fields.expect(der::INTEGER)?.content != [1] {
            return Err(MalformedDer.into());
        }
        let imprint = fields.expect(der::SEQUENCE)?;
        let mut parts = imprint.reader();
        let algorithm = parts.expect(der::SEQUENCE)?.reader().expect(der::OBJECT_IDENTIFIER)?.whole;
        let hash = parts.expect(der::OCTET_STRING)?.content;
        let known = [(SHA256, 32), (SHA384, 48), (SHA512, 64)]
            .iter()
            .any(|(oid, length)| der::oid(oid) == algorithm && hash.len() == *length);
        if !known {
            return Err(TimestampError::Hash);
        }
        let policy = fields.optional(der::OBJECT_IDENTIFIER)?.map(|policy| policy.whole.to_vec());
        let nonce = fields.optional(der::INTEGER)?.map(|nonce| nonce.whole.to_vec());
        let flag = fields.optional(der::BOOLEAN)?;
        let wants_certificates = flag.is_some_and(|flag| flag.content != [0]);
        Ok(Self { imprint: imprint.whole.to_vec(), policy, nonce, wants_certificates })
    }

    /// The JSON form of the Sigstore timestamp authority.
    fn from_json(request: &Value) -> Result<Self, TimestampError> {
        let hash = request["artifactHash"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let hash = hash.ok_or(TimestampError::Hash)?;
        let (oid, length) = match request["hashAlgorithm"].as_str() {
            Some("sha256") => (SHA256, 32),
            Some("sha384") => (SHA384, 48),
            Some("sha512") => (SHA512, 64),
            _ => return Err(TimestampError::Hash),
        };
        if hash.len() != length {
            return Err(TimestampError::Hash);
        }
        let nonce = request["nonce"].as_u64().map(|nonce| der::unsigned(&nonce.to_be_bytes()));
        Ok(Self {
            imprint: der::sequence(&[&algorithm(oid), &der::octets(&hash)]),
            policy: None,
            nonce,
            wants_certificates: request["certificates"].as_bool().unwrap_or(false),
        })
    }
}

fn algorithm(oid: &str) -> Vec<u8> {
    der::sequence(&[&der::oid(oid)])
}

impl TimestampAuthority {
    pub(super) fn new(key: LogKey, chain: Vec<Vec<u8>>) -> Result<Self, SandboxError> {
        let leaf = chain
            .first()
            .map(|leaf| x509::fields(leaf))
            .ok_or(SandboxError::Crypto { what: "a timestamp chain" })?;
        let leaf = leaf.map_err(|_| SandboxError::Crypto { what: "a timestamp chain" })?;
        // Serial numbers continue to grow over restarts.
        let issued = AtomicU64::new(Timestamp::now().as_microsecond() as u64);
        Ok(Self { key, chain, issuer: leaf.issuer, serial: leaf.serial, issued })
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/api/v1/timestamp", post(timestamp))
            .route("/api/v1/timestamp/certchain", get(certificate_chain))
            .with_state(self)
    }

    fn response(&self, query: &TimestampQuery, now: Timestamp) -> Result<Vec<u8>, SandboxError> {
        let info = self.info(query, now);
        let attributes = self.signed_attributes(&info, now);
        let attribute_set = der::set_of(attributes);
        let signature = self.key.sign(&attribute_set)?;
        // RFC 5652 §5.4: signed as a SET OF, sent under the implicit tag [0].
        let mut sent_attributes = attribute_set;
        if let Some(tag) = sent_attributes.first_mut() {
            *tag = 0xa0;
        }
        let signer = der::sequence(&[
            &der::unsigned(&[1]),
            &der::sequence(&[&self.issuer, &der::unsigned(&self.serial)]),
            &algorithm(SHA256),
            &sent_attributes,
            &x509::signature_algorithm(),
            &der::octets(&signature),
        ]);
        let certificates = match query.wants_certificates {
            true => self.embedded_certificates(),
            false => Vec::new(),
        };
        let signed_data = der::sequence(&[
            &der::unsigned(&[3]),
            &der::set_of(vec![algorithm(SHA256)]),
            &der::sequence(&[&der::oid(TST_INFO), &der::context(0, &[&der::octets(&info)])]),
            &certificates,
            &der::set_of(vec![signer]),
        ]);
        let token = der::sequence(&[&der::oid(SIGNED_DATA), &der::context(0, &[&signed_data])]);
        let granted = der::sequence(&[&der::unsigned(&[0])]);
        Ok(der::sequence(&[&granted, &token]))
    }

    fn info(&self, query: &TimestampQuery, now: Timestamp) -> Vec<u8> {
        let serial = self.issued.fetch_add(1, Ordering::SeqCst);
        let policy = query.policy.clone().unwrap_or_else(|| der::oid(POLICY));
        let one_second = der::sequence(&[&der::unsigned(&[1])]);
        der::sequence(&[
            &der::unsigned(&[1]),
            &policy,
            &query.imprint,
            &der::unsigned(&serial.to_be_bytes()),
            &der::generalized_time(now),
            &one_second,
            query.nonce.as_deref().unwrap_or_default(),
        ])
    }

    fn signed_attributes(&self, info: &[u8], now: Timestamp) -> Vec<Vec<u8>> {
        let attribute =
            |oid: &str, value: Vec<u8>| der::sequence(&[&der::oid(oid), &der::set_of(vec![value])]);
        let leaf_hash = keys::sha256(self.chain.first().map(Vec::as_slice).unwrap_or_default());
        // ESSCertIDv2 without a hash algorithm means SHA-256, its default.
        let identifier = der::sequence(&[&der::octets(&leaf_hash)]);
        vec![
            attribute(CONTENT_TYPE_ATTRIBUTE, der::oid(TST_INFO)),
            attribute(SIGNING_TIME, der::utc_time(now)),
            attribute(MESSAGE_DIGEST, der::octets(&keys::sha256(info))),
            attribute(SIGNING_CERTIFICATE_V2, der::sequence(&[&der::sequence(&[&identifier])])),
        ]
    }

    /// All but the root, as `[0] IMPLICIT` SET OF.
    fn embedded_certificates(&self) -> Vec<u8> {
        let without_root = self.chain.len().saturating_sub(1);
        let mut certificates: Vec<&[u8]> =
            self.chain.iter().take(without_root).map(Vec::as_slice).collect();
        certificates.sort();
        der::context(0, &certificates)
    }
}

async fn timestamp(
    State(authority): State<Arc<TimestampAuthority>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TimestampError> {
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = if content_type.starts_with("application/json") {
        TimestampQuery::from_json(&serde_json::from_slice(&body).map_err(|_| MalformedDer)?)?
    } else {
        TimestampQuery::from_der(&body)?
    };
    let response = authority.response(&query, Timestamp::now())?;
    Ok((StatusCode::CREATED, [(CONTENT_TYPE, "application/timestamp-reply")], response)
        .into_response())
}

async fn certificate_chain(State(authority): State<Arc<TimestampAuthority>>) -> Response {
    let chain: String = authority.chain.iter().map(|der| keys::pem("CERTIFICATE", der)).collect();
    ([(CONTENT_TYPE, "application/pem-certificate-chain")], chain).into_response()
}
