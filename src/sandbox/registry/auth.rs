//! Makes and checks the registry's bearer tokens; it never gives one without the right user and
//! password.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

use super::SandboxRegistry;
use super::errors::ServedError;
use super::names::ServedName;
use crate::sandbox::faults::held;
use crate::sandbox::habits::HabitsInEffect;
use crate::sandbox::keys;

const LIFETIME: Duration = Duration::from_secs(300);

pub(super) struct SandboxAuth {
    login: (String, String),
    host: String,
    basic: bool,
    uses: usize,
    granted: Mutex<HashMap<String, Grant>>,
}

struct Grant {
    /// As asked for: `repository:example/hello:pull,push`.
    scopes: Vec<String>,
    expires: Instant,
    /// How many requests it is still good for.
    uses: usize,
}

impl SandboxAuth {
    pub(super) fn new(login: (String, String), host: String, manners: &HabitsInEffect) -> Self {
        Self {
            login,
            host,
            basic: manners.basic_login,
            uses: manners.token_uses,
            granted: Mutex::default(),
        }
    }

    fn challenge(&self, scopes: &[String], failure: Option<&str>) -> ServedError {
        if self.basic {
            return ServedError::Unauthorized {
                challenge: format!("Basic realm=\"http://{}/\",service=\"sandbox\"", self.host),
            };
        }
        let scope = if scopes.is_empty() {
            String::new()
        } else {
            format!(",scope=\"{}\"", scopes.join(" "))
        };
        let failure = failure.map(|failure| format!(",error=\"{failure}\"")).unwrap_or_default();
        let challenge =
            format!("Bearer realm=\"http://{0}/token\",service=\"{0}\"{scope}{failure}", self.host);
        ServedError::Unauthorized { challenge }
    }

    /// Passes a request whose bearer token covers every one of `needed`.
    pub(super) fn check(&self, headers: &HeaderMap, needed: &[String]) -> Result<(), ServedError> {
        if self.basic {
            return if self.is_logged_in(headers) {
                Ok(())
            } else {
                Err(self.challenge(needed, None))
            };
        }
        let bearer = credentials(headers).filter(|(scheme, _)| scheme == "bearer");
        let (_, token) = bearer.ok_or_else(|| self.challenge(needed, None))?;
        let mut granted = held(&self.granted);
        granted.retain(|_, grant| grant.expires > Instant::now());
        let grant = granted
            .get_mut(&token)
            .filter(|grant| grant.uses > 0)
            .ok_or_else(|| self.challenge(needed, Some("invalid_token")))?;
        grant.uses -= 1;
        match needed.iter().all(|needed| grant.covers(needed)) {
            true => Ok(()),
            false => Err(self.challenge(needed, Some("insufficient_scope"))),
        }
    }

    fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        let basic = credentials(headers).filter(|(scheme, _)| scheme == "basic");
        let decoded = basic.and_then(|(_, encoded)| STANDARD.decode(encoded).ok());
        let login = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        login
            .as_deref()
            .and_then(|login| login.split_once(':'))
            .is_some_and(|(user, password)| self.logs_in(user, password))
    }

    fn logs_in(&self, user: &str, password: &str) -> bool {
        self.login.0 == user && self.login.1 == password
    }

    fn token_for(&self, scopes: Vec<String>) -> Response {
        let Ok(token) = keys::random_hex(24) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let grant = Grant { scopes, expires: Instant::now() + LIFETIME, uses: self.uses };
        held(&self.granted).insert(token.clone(), grant);
        Json(json!({
            "token": token, "access_token": token, "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(), "issued_at": Timestamp::now().to_string(),
        }))
        .into_response()
    }
}

impl Grant {
    fn covers(&self, needed: &str) -> bool {
        let Some((resource, actions)) = needed.rsplit_once(':') else {
            return false;
        };
        actions.split(',').all(|action| {
            self.scopes.iter().filter_map(|scope| scope.rsplit_once(':')).any(
                |(granted, granted_actions)| {
                    granted == resource
                        && granted_actions
                            .split(',')
                            .any(|granted| granted == action || granted == "*")
                },
            )
        })
    }
}

/// Lower-case scheme and the rest of the `Authorization` header.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme.to_ascii_lowercase(), rest.trim().to_owned()))
}

/// What a request needs of its token.
pub(super) fn scope(method: &Method, name: &ServedName) -> String {
    let actions = match *method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "pull,push",
    };
    format!("repository:{}:{actions}", name.as_str())
}

type AuthPairs = Vec<(String, String)>;

fn scopes(parameters: &AuthPairs) -> Vec<String> {
    let asked = parameters.iter().filter(|(name, _)| name == "scope");
    asked.flat_map(|(_, value)| value.split(' ')).map(str::to_owned).collect()
}

fn refused() -> Response {
    let body = Json(
        json!({"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password", "detail": {}}]}),
    );
    (StatusCode::UNAUTHORIZED, body).into_response()
}

/// `GET /token` with Basic credentials.
pub(super) async fn give_token(
    State(registry): State<Arc<SandboxRegistry>>,
    Query(parameters): Query<AuthPairs>,
    headers: HeaderMap,
) -> Response {
    let Some(auth) = &registry.auth else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if auth.is_logged_in(&headers) { auth.token_for(scopes(&parameters)) } else { refused() }
}

/// `POST /token` as OAuth2 with the password grant, which containerd and BuildKit try first.
pub(super) async fn exchange_password(
    State(registry): State<Arc<SandboxRegistry>>,
    body: Bytes,
) -> Response {
    let Some(auth) = &registry.auth else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let form = format!("/?{}", String::from_utf8_lossy(&body).trim());
    let parameters = form.parse().ok().and_then(|uri| Query::<AuthPairs>::try_from_uri(&uri).ok());
    let Some(Query(parameters)) = parameters else {
        return refused();
    };
    let value = |wanted: &str| {
        parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    match (value("grant_type"), value("username"), value("password")) {
        (Some("password"), Some(user), Some(password)) if auth.logs_in(user, password) => {
            auth.token_for(scopes(&parameters))
        }
        _ => refused(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_only_its_repository_and_actions() {
        let grant = Grant {
            scopes: vec!["repository:a/b:pull".to_owned()],
            expires: Instant::now(),
            uses: 1,
        };
        assert!(grant.covers("repository:a/b:pull"));
        assert!(!grant.covers("repository:a/b:pull,push"));
        assert!(!grant.covers("repository:a:pull"));
    }
}
