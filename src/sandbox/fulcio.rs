//! Makes ten-minute certificates for proven keys of verified tokens, with an embedded SCT; it never
//! certifies a key its holder did not prove.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::SandboxError;
use super::der;
use super::keys::{self, LogKey, SignedData};
use super::oidc::{Issuer, TokenError};
use super::x509::{self, CertificateContents, SandboxAuthority};

const PEM_CHAIN: (HeaderName, &str) = (CONTENT_TYPE, "application/pem-certificate-chain");
const UNIFORM_RESOURCE_IDENTIFIER: u8 = 6;
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
const AUDIENCE: &str = "sigstore";
const EXTENSION_ARC: &str = "1.3.6.1.4.1.57264.1";
const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";

pub(super) struct Fulcio {
    pub(super) authority: SandboxAuthority,
    pub(super) ct_key: LogKey,
    pub(super) issuer: Arc<Issuer>,
}

/// The situations of the real service, with its texts and gRPC codes.
#[derive(Debug, thiserror::Error)]
enum FulcioError {
    #[error("There was an error processing the identity token")]
    Token(#[from] TokenError),
    #[error("proto: syntax error")]
    Syntax,
    #[error("The public key supplied in the request could not be parsed")]
    PublicKey,
    #[error("The certificate signing request could not be parsed")]
    SigningRequest,
    #[error("The signature supplied in the request could not be verified")]
    Possession,
    #[error("error creating certificate")]
    Internal(#[from] SandboxError),
}

impl IntoResponse for FulcioError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, 13),
            // Observed of fulcio 1.8: a missing or bad token is an invalid argument too.
            _ => (StatusCode::BAD_REQUEST, 3),
        };
        (status, Json(json!({"code": code, "message": self.to_string(), "details": []})))
            .into_response()
    }
}

impl Fulcio {
    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/api/v2/signingCert", post(signing_certificate))
            .route("/api/v1/signingCert", post(legacy_signing_certificate))
            .route("/api/v2/trustBundle", get(trust_bundle))
            .route("/api/v1/rootCert", get(root_certificates))
            .route("/api/v2/configuration", get(configuration))
            .with_state(self)
    }

    /// Leaf first, root last, as PEM. The token is judged before the key, as in the real service.
    fn chain_for(
        &self,
        headers: &HeaderMap,
        body: &Value,
        key_in: fn(&Value) -> Result<ProvenKey, FulcioError>,
    ) -> Result<Vec<String>, FulcioError> {
        let claims = self.issuer.verified(&token(headers, body)?, AUDIENCE)?;
        let public_der = key_in(body)?.verified(&claims)?;
        let leaf = self.leaf(&public_der, &claims)?;
        Ok(std::iter::once(leaf)
            .chain(self.authority.chain.iter().cloned())
            .map(|der| pem(&der))
            .collect())
    }

    fn authority_chain(&self) -> Vec<String> {
        self.authority.chain.iter().map(|der| pem(der)).collect()
    }

    fn leaf(&self, public_der: &[u8], claims: &Value) -> Result<Vec<u8>, SandboxError> {
        let now = Timestamp::now();
        let mut contents = CertificateContents {
            serial: x509::serial()?,
            issuer: &self.authority.subject,
            subject: &der::sequence(&[]),
            not_before: now,
            not_after: now + LIFETIME,
            public_der,
            extensions: vec![
                x509::digital_signature(),
                x509::extended_key_usage(x509::CODE_SIGNING, false),
                x509::subject_key_identifier(public_der),
                x509::authority_key_identifier(self.authority.key.public_der()),
                alternative_name(claims),
            ],
        };
        contents.extensions.extend(claim_extensions(claims));
        let list = self.sct_list(&contents.to_be_signed(), now)?;
        contents.extensions.push(x509::extension(SCT_LIST, false, &der::octets(&list)));
        contents.signed_by(&self.authority.key)
    }

    /// RFC 6962 §3.2 and §3.3: the log signs the certificate as it is without this very list.
    fn sct_list(&self, to_be_signed: &[u8], now: Timestamp) -> Result<Vec<u8>, SandboxError> {
        let milliseconds = (now.as_millisecond() as u64).to_be_bytes();
        let length = (to_be_signed.len() as u32).to_be_bytes();
        let issuer_key_hash = keys::sha256(self.authority.key.public_der());
        let signed = [
            &[0, 0][..],
            &milliseconds,
            &[0, 1],
            &issuer_key_hash,
            &length[1..],
            to_be_signed,
            &[0, 0],
        ]
        .concat();
        let signature = self.ct_key.sign(&signed)?;
        let sha256_with_ecdsa = [4, 3];
        let sct = [
            &[0][..],
            &self.ct_key.log_id(),
            &milliseconds,
            &[0, 0],
            &sha256_with_ecdsa,
            &prefixed(&signature),
        ]
        .concat();
        Ok(prefixed(&prefixed(&sct)))
    }
}

/// Without a line end after the last line, as the real service writes it.
fn pem(certificate: &[u8]) -> String {
    keys::pem("CERTIFICATE", certificate).trim_end().to_owned()
}

/// TLS presentation language: a 16-bit length before the bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn alternative_name(claims: &Value) -> Vec<u8> {
    let uri = format!("https://github.com/{}", text(claims, "job_workflow_ref"));
    let names = der::sequence(&[&der::implicit(UNIFORM_RESOURCE_IDENTIFIER, uri.as_bytes())]);
    // RFC 5280 §4.1.2.6: critical because the subject is empty.
    x509::extension("2.5.29.17", true, &names)
}

fn text<'a>(claims: &'a Value, name: &str) -> &'a str {
    claims[name].as_str().unwrap_or_default()
}

/// <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>: .1 to .6 raw, .8 to .24 as
/// UTF8String; what a token leaves empty gets none, as in `pkg/certificate/extensions.go`.
fn claim_extensions(claims: &Value) -> Vec<Vec<u8>> {
    let claim = |name: &str| text(claims, name).to_owned();
    let at_server = |path: String| format!("https://github.com/{path}");
    let run = format!(
        "{}/actions/runs/{}/attempts/{}",
        claim("repository"),
        claim("run_id"),
        claim("run_attempt")
    );
    let raw = [
        (1, claim("iss")),
        (2, claim("event_name")),
        (3, claim("sha")),
        (4, claim("workflow")),
        (5, claim("repository")),
        (6, claim("ref")),
    ];
    let encoded = [
        (8, claim("iss")),
        (9, at_server(claim("job_workflow_ref"))),
        (10, claim("job_workflow_sha")),
        (11, claim("runner_environment")),
        (12, at_server(claim("repository"))),
        (13, claim("sha")),
        (14, claim("ref")),
        (15, claim("repository_id")),
        (16, at_server(claim("repository_owner"))),
        (17, claim("repository_owner_id")),
        (18, at_server(claim("workflow_ref"))),
        (19, claim("workflow_sha")),
        (20, claim("event_name")),
        (21, at_server(run)),
        (22, claim("repository_visibility")),
        (23, claim("environment")),
        (24, claim("sub")),
    ];
    let is_said = |(_, value): &(i32, String)| !value.is_empty();
    let raw = raw.into_iter().filter(is_said).map(|(arc, value)| (arc, value.into_bytes()));
    let encoded = encoded.into_iter().filter(is_said).map(|(arc, value)| (arc, der::utf8(&value)));
    raw.chain(encoded)
        .map(|(arc, value)| x509::extension(&format!("{EXTENSION_ARC}.{arc}"), false, &value))
        .collect()
}

/// A public key and how its holder proves to have the private one.
enum ProvenKey {
    /// A signature over the token's subject.
    Challenge { public_der: Vec<u8>, signature: Vec<u8> },
    /// A PKCS #10 request, which signs itself.
    Request { der: Vec<u8> },
}

impl ProvenKey {
    fn from_v2(body: &Value) -> Result<Self, FulcioError> {
        if let Some(encoded) = body["certificateSigningRequest"].as_str() {
            let pem = STANDARD.decode(encoded).map_err(|_| FulcioError::SigningRequest)?;
            let block = keys::first_pem_block(&String::from_utf8_lossy(&pem));
            let (_, der) = block.ok_or(FulcioError::SigningRequest)?;
            return Ok(Self::Request { der });
        }
        let request = &body["publicKeyRequest"];
        let content = request["publicKey"]["content"].as_str().ok_or(FulcioError::PublicKey)?;
        let (label, public_der) = keys::first_pem_block(content).ok_or(FulcioError::PublicKey)?;
        if label != "PUBLIC KEY" {
            return Err(FulcioError::PublicKey);
        }
        let signature =
            request["proofOfPossession"].as_str().and_then(|text| STANDARD.decode(text).ok());
        Ok(Self::Challenge { public_der, signature: signature.ok_or(FulcioError::Possession)? })
    }

    /// The v1 request: the key is base64 of PEM or of DER.
    fn from_v1(body: &Value) -> Result<Self, FulcioError> {
        if body["certificateSigningRequest"].is_string() {
            return Self::from_v2(body);
        }
        let content =
            body["publicKey"]["content"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let content = content.ok_or(FulcioError::PublicKey)?;
        let block = std::str::from_utf8(&content).ok().and_then(keys::first_pem_block);
        let public_der = block.map_or(content, |(_, der)| der);
        let signature =
            body["signedEmailAddress"].as_str().and_then(|text| STANDARD.decode(text).ok());
        Ok(Self::Challenge { public_der, signature: signature.ok_or(FulcioError::Possession)? })
    }

    /// The key, if its holder signed what was to be signed.
    fn verified(&self, claims: &Value) -> Result<Vec<u8>, FulcioError> {
        let possession = match self {
            Self::Challenge { public_der, signature } => {
                Possession { public_der, signed: text(claims, "sub").as_bytes(), signature }
            }
            Self::Request { der } => {
                Possession::in_request(der).map_err(|_| FulcioError::SigningRequest)?
            }
        };
        let Possession { public_der, signed, signature } = possession;
        if keys::verifies(public_der, SignedData::Message(signed), signature) {
            Ok(public_der.to_vec())
        } else {
            Err(FulcioError::Possession)
        }
    }
}

struct Possession<'a> {
    public_der: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Possession<'a> {
    /// RFC 2986: a certification request is signed with the key it holds.
    fn in_request(request: &'a [u8]) -> Result<Self, der::MalformedDer> {
        let mut request = der::only_sequence(request)?;
        let information = request.expect(der::SEQUENCE)?;
        request.expect(der::SEQUENCE)?;
        let signature = request.expect(der::BIT_STRING)?.bits()?;
        let mut fields = information.reader();
        fields.expect(der::INTEGER)?;
        fields.expect(der::SEQUENCE)?;
        let public_der = fields.expect(der::SEQUENCE)?.whole;
        Ok(Self { public_der, signed: information.whole, signature })
    }
}

/// The token in the body wins over the one in the header, as in the real service.
fn token(headers: &HeaderMap, body: &Value) -> Result<String, FulcioError> {
    if let Some(token) = body["credentials"]["oidcIdentityToken"].as_str() {
        return Ok(token.to_owned());
    }
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.to_owned()),
        _ => Err(TokenError::Malformed.into()),
    }
}

/// The JSON of a request, whatever content type it was sent with.
fn document(body: &[u8]) -> Result<Value, FulcioError> {
    serde_json::from_slice(body).map_err(|_| FulcioError::Syntax)
}

async fn signing_certificate(
    State(fulcio): State<Arc<Fulcio>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, FulcioError> {
    let chain = fulcio.chain_for(&headers, &document(&body)?, ProvenKey::from_v2)?;
    Ok(Json(json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})))
}

async fn legacy_signing_certificate(
    State(fulcio): State<Arc<Fulcio>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, FulcioError> {
    let chain = fulcio.chain_for(&headers, &document(&body)?, ProvenKey::from_v1)?;
    Ok((StatusCode::CREATED, [PEM_CHAIN], chain.join("\n")).into_response())
}

async fn trust_bundle(State(fulcio): State<Arc<Fulcio>>) -> Json<Value> {
    Json(json!({"chains": [{"certificates": fulcio.authority_chain()}]}))
}

async fn root_certificates(State(fulcio): State<Arc<Fulcio>>) -> Response {
    ([PEM_CHAIN], fulcio.authority_chain().join("\n")).into_response()
}

async fn configuration(State(fulcio): State<Arc<Fulcio>>) -> Json<Value> {
    Json(json!({"issuers": [{
        "issuerUrl": fulcio.issuer.url(), "audience": AUDIENCE, "challengeClaim": "sub",
        "spiffeTrustDomain": "", "issuerType": "ci-provider", "subjectDomain": "",
    }]}))
}
