//! Logins at registries: which credentials belong to which, and the token exchange. It never sends a credential to a host
//! it was not given for, unless that registry itself named its token service.
//!
//! Specification: <https://distribution.github.io/distribution/spec/auth/token/>.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Result;
use super::error::RegistryError;
use super::transport::{Access, cause, is_loopback};
use crate::image::Repository;

/// User name and password by registry name.
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<String, (String, SecretString)>);

impl Credentials {
    pub fn add(&mut self, registry: &str, username: &str, password: SecretString) {
        self.0.insert(canonical(registry).to_owned(), (username.to_owned(), password));
    }

    pub fn get(&self, registry: &str) -> Option<(&str, &SecretString)> {
        self.0.get(canonical(registry)).map(|(username, password)| (username.as_str(), password))
    }

    /// The same logins as a Docker `config.json`, for buildx and BuildKit.
    pub fn docker_config(&self) -> serde_json::Value {
        let auths: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(registry, (username, password))| {
                let key = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
                (key.to_owned(), serde_json::json!({ "auth": STANDARD.encode(format!("{username}:{}", password.expose_secret())) }))
            })
            .collect();
        serde_json::json!({ "auths": auths })
    }
}

/// Docker Hub has many names.
fn canonical(registry: &str) -> &str {
    let host = registry.trim_start_matches("https://").trim_end_matches('/');
    match host {
        "index.docker.io/v1" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// Authorizations by repository and access, obtained when a registry asks for one.
pub(super) struct Tokens {
    http: reqwest::Client,
    credentials: Credentials,
    known: Mutex<HashMap<(Repository, Access), HeaderValue>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl Tokens {
    pub(super) fn new(http: reqwest::Client, credentials: Credentials) -> Self {
        Self { http, credentials, known: Mutex::default() }
    }

    pub(super) async fn known(&self, repository: &Repository, access: Access) -> Option<HeaderValue> {
        let known = self.known.lock().await;
        // A token for pushing may pull too.
        known.get(&(repository.clone(), access)).or_else(|| known.get(&(repository.clone(), Access::Push))).cloned()
    }

    /// Answers a challenge; `false` when nothing better than what was sent can be had.
    pub(super) async fn obtain(&self, challenge: &str, repository: &Repository, access: Access) -> Result<bool> {
        let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
        let authorization = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => self.exchange(&parameters(rest), repository, access).await?,
            "basic" => match self.credentials.get(repository.registry()) {
                Some((username, password)) => {
                    header(&format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose_secret()))))?
                }
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        self.known.lock().await.insert((repository.clone(), access), authorization);
        Ok(true)
    }

    async fn exchange(&self, challenge: &BTreeMap<String, String>, repository: &Repository, access: Access) -> Result<HeaderValue> {
        let realm = challenge.get("realm").cloned().unwrap_or_default();
        let refused = |cause: String| RegistryError::NoToken { realm: realm.clone(), cause };
        let mut url = Url::parse(&realm).map_err(|error| refused(error.to_string()))?;
        let loopback = url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !loopback {
            return Err(refused("the token service is not reached over https, so no credentials are sent to it".to_owned()));
        }
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        if let Some(service) = challenge.get("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", &format!("repository:{}:{actions}", repository.path()));
        let mut request = self.http.get(url);
        if let Some((username, password)) = self.credentials.get(repository.registry()) {
            request = request.basic_auth(username, Some(password.expose_secret()));
        }
        let answer = request.send().await.map_err(|error| refused(cause(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(format!("it answered {status} for `{}`", repository.registry())));
        }
        let answer: TokenAnswer = answer.json().await.map_err(|error| refused(cause(&error)))?;
        let token = answer.token.or(answer.access_token).ok_or_else(|| refused("its answer holds no `token`".to_owned()))?;
        header(&format!("Bearer {}", token.expose_secret()))
    }
}

fn header(value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value).map_err(|_| RegistryError::NoToken {
        realm: String::new(),
        cause: "the credential has characters a header cannot carry".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// `key="value",key=value` of a challenge; commas may stand inside quotes.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').map_or((after, ""), |(value, _)| (value, &after[value.len()..])),
        };
        found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_with_commas_in_quotes() {
        let read =
            parameters(r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push",error=x"#);
        assert_eq!(read["realm"], "https://auth.docker.io/token");
        assert_eq!(read["scope"], "repository:a:pull,push");
        assert_eq!(read["error"], "x");
    }

    #[test]
    fn docker_hub_is_one_registry_under_all_its_names() {
        let mut credentials = Credentials::default();
        credentials.add("https://index.docker.io/v1/", "u", "p".to_owned().into());
        assert!(credentials.get("docker.io").is_some() && credentials.get("ghcr.io").is_none());
        assert_eq!(credentials.docker_config()["auths"]["https://index.docker.io/v1/"]["auth"], "dTpw");
    }
}
