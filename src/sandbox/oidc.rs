//! Makes OIDC tokens as GitHub's issuer does for a workflow run; it never gives one to a caller
//! without the request token.

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::extract::{Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SandboxError;
use super::claims::Claims;
use super::faults::Faults;
use super::keys::{self, TokenKey};

const FOREIGN_ISSUER: &str = "https://oidc.elsewhere.example";
/// GitHub's tokens live this long.
const LIFETIME_SECONDS: i64 = 300;

pub(super) struct Issuer {
    url: String,
    key: TokenKey,
    foreign_key: OnceLock<TokenKey>,
    keys_dir: std::path::PathBuf,
    request_token: String,
    claims: RwLock<Claims>,
    faults: Faults,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is not a JWT")]
    Malformed,
    #[error("the token was not signed by issuer `{issuer}`")]
    Signature { issuer: String },
    #[error("the token is for audience `{audience}`")]
    Audience { audience: String },
    #[error("the token expired at `{at}`")]
    Expired { at: i64 },
}

impl Issuer {
    pub(super) fn new(
        url: String,
        keys_dir: &Path,
        claims: Claims,
        faults: Faults,
    ) -> Result<Self, SandboxError> {
        let request_token =
            keys::kept(&keys_dir.join("request-token"), || Ok(keys::random_hex(24)?.into_bytes()))?;
        Ok(Self {
            url,
            key: TokenKey::kept_at(&keys_dir.join("oidc.p8"))?,
            foreign_key: OnceLock::new(),
            keys_dir: keys_dir.to_owned(),
            request_token: String::from_utf8_lossy(&request_token).into_owned(),
            claims: RwLock::new(claims),
            faults,
        })
    }

    /// What tokens say from now on.
    pub(super) fn act_as(&self, claims: Claims) {
        *self.claims.write().unwrap_or_else(PoisonError::into_inner) = claims;
    }

    fn claims(&self) -> Claims {
        self.claims.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn request_url(&self) -> String {
        format!("{}/token?api-version=2.0", self.url)
    }

    pub(super) fn request_token(&self) -> &str {
        &self.request_token
    }

    fn foreign_key(&self) -> Result<&TokenKey, SandboxError> {
        if let Some(key) = self.foreign_key.get() {
            return Ok(key);
        }
        let made = TokenKey::kept_at(&self.keys_dir.join("oidc-foreign.p8"))?;
        Ok(self.foreign_key.get_or_init(|| made))
    }

    fn token(&self, audience: &str) -> Result<String, SandboxError> {
        let foreign = self.faults.tokens_are_foreign();
        let (issuer, key) = if foreign {
            (FOREIGN_ISSUER, self.foreign_key()?)
        } else {
            (self.url.as_str(), &self.key)
        };
        let age = if self.faults.tokens_are_expired() { 3600 } else { 0 };
        let issued = Timestamp::now().as_second() - age;
        let mut claims = self.claims().as_json();
        claims["iss"] = issuer.into();
        claims["aud"] = audience.into();
        claims["jti"] = keys::random_hex(16)?.into();
        claims["iat"] = issued.into();
        // GitHub's tokens are valid from a little before they are issued, against clocks that lag.
        claims["nbf"] = (issued - 600).into();
        claims["exp"] = (issued + LIFETIME_SECONDS).into();
        let header =
            json!({"alg": "RS256", "kid": key.key_id(), "typ": "JWT", "x5t": key.key_id()});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }

    /// The claims of a token this issuer signed for `audience` and that is still valid.
    pub(super) fn verified(&self, token: &str, audience: &str) -> Result<Value, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (_, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Malformed)?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        let signed_by_us =
            self.key.verifies(signed.as_bytes(), &signature) && claims["iss"] == self.url.as_str();
        if !signed_by_us {
            return Err(TokenError::Signature { issuer: self.url.clone() });
        }
        if claims["aud"] != audience {
            return Err(TokenError::Audience { audience: claims["aud"].to_string() });
        }
        let expiry = claims["exp"].as_i64().unwrap_or(0);
        if expiry < Timestamp::now().as_second() {
            return Err(TokenError::Expired { at: expiry });
        }
        Ok(claims)
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/token", get(give_token))
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/.well-known/jwks", get(key_set))
            .with_state(self)
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[derive(Deserialize)]
struct TokenQuery {
    audience: Option<String>,
}

async fn give_token(
    State(issuer): State<Arc<Issuer>>,
    Query(query): Query<TokenQuery>,
    headers: HeaderMap,
) -> Response {
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '));
    let authorized = presented.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && token == issuer.request_token
    });
    if !authorized {
        let body = json!({"message": "Unauthorized", "statusCode": 401});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let audience = query
        .audience
        .unwrap_or_else(|| format!("https://github.com/{}", issuer.claims().repository_owner));
    match issuer.token(&audience) {
        Ok(token) => Json(json!({"value": token})).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"message": error.to_string()})))
                .into_response()
        }
    }
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let own = issuer.claims().as_json();
    let own = own.as_object().into_iter().flat_map(|claims| claims.keys().map(String::as_str));
    let claims: Vec<&str> =
        ["aud", "exp", "iat", "iss", "jti", "nbf"].into_iter().chain(own).collect();
    Json(json!({
        "issuer": issuer.url,
        "jwks_uri": format!("{}/.well-known/jwks", issuer.url),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "claims_supported": claims,
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }))
}

async fn key_set(State(issuer): State<Arc<Issuer>>) -> Response {
    match issuer.key.components() {
        Ok((modulus, exponent)) => Json(json!({"keys": [{
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": issuer.key.key_id(),
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        }]}))
        .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
