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
use super::transport::{Access, cause, is_loopback, persistently};
use crate::image::Repository;

/// What is proven with at a registry.
#[derive(Debug, Clone)]
pub enum Secret {
    Password(SecretString),
    /// For the token service's refresh-token grant: <https://distribution.github.io/distribution/spec/auth/oauth/>.
    IdentityToken(SecretString),
}

/// User name and secret by registry name.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: BTreeMap<String, (String, Secret)>,
    /// The caller's `config.json`: logins at other registries, and settings, for buildx.
    docker_config: serde_json::Map<String, serde_json::Value>,
}

impl Credentials {
    pub fn add(&mut self, registry: &str, username: &str, secret: Secret) {
        self.logins.insert(canonical(registry).to_owned(), (username.to_owned(), secret));
    }

    /// Lets buildx see a caller's `config.json`, with our logins in it.
    pub fn keep_docker_config(&mut self, text: &str) {
        self.docker_config = serde_json::from_str(text).unwrap_or_default();
    }

    pub fn get(&self, registry: &str) -> Option<(&str, &Secret)> {
        self.logins.get(canonical(registry)).map(|(username, secret)| (username.as_str(), secret))
    }

    /// Whether there is nothing that buildx would not know by itself.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// The same logins as a Docker `config.json`, for buildx and BuildKit.
    pub fn docker_config(&self) -> serde_json::Value {
        let mut config = self.docker_config.clone();
        let mut auths = config.get("auths").and_then(|auths| auths.as_object()).cloned().unwrap_or_default();
        for (registry, (username, secret)) in &self.logins {
            let key = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
            let entry = match secret {
                Secret::Password(password) => serde_json::json!({ "auth": basic(username, password) }),
                Secret::IdentityToken(token) => {
                    serde_json::json!({ "auth": STANDARD.encode("<token>:"), "identitytoken": token.expose_secret() })
                }
            };
            auths.insert(key.to_owned(), entry);
        }
        config.insert("auths".to_owned(), auths.into());
        config.into()
    }
}

/// `username:password` in base64.
fn basic(username: &str, password: &SecretString) -> String {
    STANDARD.encode(format!("{username}:{}", password.expose_secret()))
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
    /// How each registry asked, so that it need not ask again for the next repository.
    challenges: Mutex<HashMap<String, String>>,
    /// Held while a token is asked for: of many requests that are refused at once, one asks.
    asking: Mutex<()>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl Tokens {
    pub(super) fn new(http: reqwest::Client, credentials: Credentials) -> Self {
        Self { http, credentials, known: Mutex::default(), challenges: Mutex::default(), asking: Mutex::default() }
    }

    /// What a request goes out with: what is known, or, for pushing to a registry that is known to ask, what it gives for that.
    pub(super) async fn ready(&self, repository: &Repository, access: &Access) -> Result<Option<HeaderValue>> {
        let known = self.known(repository, access).await;
        if known.is_some() || *access == Access::Pull {
            return Ok(known);
        }
        let challenge = self.challenges.lock().await.get(repository.registry()).cloned();
        let Some(challenge) = challenge else { return Ok(None) };
        self.obtain(&challenge, repository, access, None).await?;
        Ok(self.known(repository, access).await)
    }

    async fn known(&self, repository: &Repository, access: &Access) -> Option<HeaderValue> {
        let known = self.known.lock().await;
        let own = known.get(&(repository.clone(), access.clone()));
        // A token for pushing may pull too.
        own.or_else(|| known.get(&(repository.clone(), Access::Push)).filter(|_| *access == Access::Pull)).cloned()
    }

    /// Answers a challenge to a request that was sent with `used`; `false` when nothing better can be had.
    pub(super) async fn obtain(
        &self,
        challenge: &str,
        repository: &Repository,
        access: &Access,
        used: Option<&HeaderValue>,
    ) -> Result<bool> {
        let _asking = self.asking.lock().await;
        if self.known(repository, access).await.as_ref().is_some_and(|known| Some(known) != used) {
            return Ok(true); // another request was quicker
        }
        let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
        let authorization = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => self.exchange(&parameters(rest), repository, access).await?,
            "basic" => match self.credentials.get(repository.registry()) {
                Some((username, Secret::Password(password))) => header(&format!("Basic {}", basic(username, password)))?,
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        self.challenges.lock().await.insert(repository.registry().to_owned(), challenge.to_owned());
        self.known.lock().await.insert((repository.clone(), access.clone()), authorization);
        Ok(true)
    }

    async fn exchange(&self, challenge: &BTreeMap<String, String>, repository: &Repository, access: &Access) -> Result<HeaderValue> {
        let realm = challenge.get("realm").cloned().unwrap_or_default();
        let refused = |cause: String| RegistryError::NoToken { realm: realm.clone(), cause };
        let mut url = Url::parse(&realm).map_err(|error| refused(error.to_string()))?;
        let loopback = url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !loopback {
            return Err(refused("the token service is not reached over https, so no credentials are sent to it".to_owned()));
        }
        let path = repository.path();
        let scope = match access {
            Access::Pull => format!("repository:{path}:pull"),
            Access::Push => format!("repository:{path}:pull,push"),
            Access::PushFrom(from) => format!("repository:{path}:pull,push repository:{}:pull", from.path()),
        };
        let service = challenge.get("service").map(String::as_str).unwrap_or_default();
        let answer = match self.credentials.get(repository.registry()) {
            Some((_, Secret::IdentityToken(token))) => {
                // Its secret is in the body, which a redirect would carry to another host.
                let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
                let http = http.map_err(|error| refused(cause(&error)))?;
                let form = [
                    ("grant_type", "refresh_token"),
                    ("service", service),
                    ("scope", &scope),
                    ("client_id", "supply-action"),
                    ("refresh_token", token.expose_secret()),
                ];
                persistently(|| http.post(url.clone()).form(&form)).await
            }
            login => {
                if !service.is_empty() {
                    url.query_pairs_mut().append_pair("service", service);
                }
                for scope in scope.split(' ') {
                    url.query_pairs_mut().append_pair("scope", scope);
                }
                let ask = || match login {
                    Some((username, Secret::Password(password))) => {
                        self.http.get(url.clone()).basic_auth(username, Some(password.expose_secret()))
                    }
                    _ => self.http.get(url.clone()),
                };
                persistently(ask).await
            }
        };
        let answer = answer.map_err(|error| refused(cause(&error)))?;
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
        credentials.add("https://index.docker.io/v1/", "u", Secret::Password("p".to_owned().into()));
        assert!(credentials.get("docker.io").is_some() && credentials.get("ghcr.io").is_none());
        assert_eq!(credentials.docker_config()["auths"]["https://index.docker.io/v1/"]["auth"], "dTpw");
    }

    #[test]
    fn a_callers_config_is_kept_with_our_logins_in_it() {
        let mut credentials = Credentials::default();
        credentials.keep_docker_config(r#"{"auths":{"other.io":{"auth":"eA=="},"r.io":{"auth":"b2xk"}},"HttpHeaders":{"a":"b"}}"#);
        credentials.add("r.io", "u", Secret::Password("p".to_owned().into()));
        let config = credentials.docker_config();
        assert_eq!((config["auths"]["other.io"]["auth"].as_str(), config["auths"]["r.io"]["auth"].as_str()), (Some("eA=="), Some("dTpw")));
        assert_eq!(config["HttpHeaders"]["a"], "b");
    }

    #[tokio::test]
    async fn an_identity_token_follows_no_redirect() {
        let serve = async |app: axum::Router| {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let host = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move { axum::serve(listener, app).await });
            host
        };
        let stolen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = stolen.clone();
        let thief = serve(axum::Router::new().fallback(move || async move { seen.store(true, std::sync::atomic::Ordering::SeqCst) })).await;
        let away = axum::response::Redirect::temporary(&format!("http://{thief}/token"));
        let host = serve(axum::Router::new().fallback(move || async move { away })).await;
        let mut credentials = Credentials::default();
        credentials.add(&host, "<token>", Secret::IdentityToken("idt".to_owned().into()));
        let tokens = Tokens::new(reqwest::Client::new(), credentials);
        let repository: Repository = format!("{host}/app").parse().unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        let error = tokens.obtain(&challenge, &repository, &Access::Push, None).await.unwrap_err();
        assert!(error.to_string().contains("307"), "{error}");
        assert!(!stolen.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[tokio::test]
    async fn an_identity_token_is_sent_as_a_refresh_token_and_never_as_a_password() {
        use axum::extract::Form;
        let app = axum::Router::new().route(
            "/token",
            axum::routing::post(|Form(form): Form<BTreeMap<String, String>>| async move {
                assert_eq!(
                    (form["grant_type"].as_str(), form["refresh_token"].as_str(), form["scope"].as_str()),
                    ("refresh_token", "idt", "repository:app:pull,push")
                );
                axum::Json(serde_json::json!({ "access_token": "granted" }))
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut credentials = Credentials::default();
        credentials.add(&host, "<token>", Secret::IdentityToken("idt".to_owned().into()));
        let tokens = Tokens::new(reqwest::Client::new(), credentials);
        let repository: Repository = format!("{host}/app").parse().unwrap();
        assert!(
            tokens.obtain(&format!("Bearer realm=\"http://{host}/token\",service=\"r\""), &repository, &Access::Push, None).await.unwrap()
        );
        assert_eq!(tokens.known(&repository, &Access::Push).await.unwrap().to_str().unwrap(), "Bearer granted");
    }
}
