//! Logins at registries: which credentials belong to which, and the token exchange. It never sends
//! a credential to a host it was not given for, unless that registry itself named its token
//! service, which is told; and the workflow's own token not even then.
//!
//! Specification: <https://distribution.github.io/distribution/spec/auth/token/>.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::RegistryResult;
use super::error::RegistryError;
use super::transport::{Access, cause, is_loopback, persistently};
use crate::answer;
use crate::github::network::Plain;
use crate::github::server::{Server, authority};
use crate::image::Repository;

/// What is proven with at a registry.
#[derive(Debug, Clone)]
pub enum LoginSecret {
    Password(SecretString),
    /// For the token service's refresh-token grant:
    /// <https://distribution.github.io/distribution/spec/auth/oauth/>.
    IdentityToken(SecretString),
}

/// User name and secret by registry name.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: BTreeMap<String, (String, LoginSecret)>,
    /// The caller's `config.json`: logins at other registries, and settings, for buildx.
    docker_config: serde_json::Map<String, serde_json::Value>,
    /// A token, and the server that alone may see it.
    bound: Option<(SecretString, Server)>,
}

impl Credentials {
    pub fn add(&mut self, registry: &str, username: &str, secret: LoginSecret) {
        self.logins.insert(canonical(registry).to_owned(), (username.to_owned(), secret));
    }

    /// From here on this token, as whosever password it is given, goes to hosts of `server` alone.
    pub fn bind(&mut self, token: SecretString, server: Server) {
        self.bound = Some((token, server));
    }

    /// A registry that would get the bound token and is not of its server, which is given with it.
    /// This machine may have every token.
    pub fn misplaced(&self) -> Option<(&str, &Server)> {
        self.logins.iter().find_map(|(registry, (_, secret))| {
            Some((registry.as_str(), self.bound_to(secret)?))
                .filter(|(registry, server)| !server.owns(registry) && !is_loopback(registry))
        })
    }

    /// The server that alone may see this secret.
    fn bound_to(&self, secret: &LoginSecret) -> Option<&Server> {
        let (LoginSecret::Password(secret) | LoginSecret::IdentityToken(secret)) = secret;
        let (token, server) = self.bound.as_ref()?;
        (token.expose_secret() == secret.expose_secret()).then_some(server)
    }

    /// Lets buildx see a caller's `config.json`, with our logins in it.
    pub fn keep_docker_config(&mut self, text: &str) {
        self.docker_config = serde_json::from_str(text).unwrap_or_default();
    }

    pub fn get(&self, registry: &str) -> Option<(&str, &LoginSecret)> {
        self.logins.get(canonical(registry)).map(|(username, secret)| (username.as_str(), secret))
    }

    /// Whether there is nothing that buildx would not know by itself.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// The same logins as a Docker `config.json`, for buildx and BuildKit.
    pub fn docker_config(&self) -> serde_json::Value {
        let mut config = self.docker_config.clone();
        let mut auths =
            config.get("auths").and_then(|auths| auths.as_object()).cloned().unwrap_or_default();
        for (registry, (username, secret)) in &self.logins {
            let key =
                if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
            let entry = match secret {
                LoginSecret::Password(password) => {
                    serde_json::json!({ "auth": basic(username, password) })
                }
                LoginSecret::IdentityToken(token) => {
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
    /// Registries whose credentials went to another host, which they named.
    elsewhere: Mutex<BTreeSet<(String, String)>>,
    /// Token services that gave no whole answer in this run, and why: of many requests, one waits
    /// for such a thing.
    given_up: Mutex<HashMap<String, String>>,
    within: Duration,
    without_redirects: Option<reqwest::Client>,
    plain: Plain,
}

/// Token services of others than the registry that nobody is surprised by.
const WELL_KNOWN: [(&str, &str); 2] =
    [("docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl Tokens {
    pub(super) fn new(http: reqwest::Client, credentials: Credentials) -> Self {
        Self {
            http,
            credentials,
            known: Mutex::default(),
            challenges: Mutex::default(),
            asking: Mutex::default(),
            elsewhere: Mutex::default(),
            given_up: Mutex::default(),
            within: answer::WITHIN,
            without_redirects: None,
            plain: Plain::default(),
        }
    }

    pub(super) fn over(self, without_redirects: Option<reqwest::Client>, plain: Plain) -> Self {
        Self { without_redirects, plain, ..self }
    }

    /// Registries whose credentials went to another host, each with that host.
    pub(super) async fn elsewhere(&self) -> Vec<(String, String)> {
        self.elsewhere.lock().await.iter().cloned().collect()
    }

    /// What a request goes out with: what is known, or, for pushing to a registry that is known to
    /// ask, what it gives for that.
    pub(super) async fn ready(
        &self,
        repository: &Repository,
        access: &Access,
    ) -> RegistryResult<Option<HeaderValue>> {
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
        own.or_else(|| {
            known.get(&(repository.clone(), Access::Push)).filter(|_| *access == Access::Pull)
        })
        .cloned()
    }

    /// Answers a challenge to a request that was sent with `used`; `false` when nothing better can
    /// be had.
    pub(super) async fn obtain(
        &self,
        challenge: &str,
        repository: &Repository,
        access: &Access,
        used: Option<&HeaderValue>,
    ) -> RegistryResult<bool> {
        let _asking = self.asking.lock().await;
        if self.known(repository, access).await.as_ref().is_some_and(|known| Some(known) != used) {
            return Ok(true); // another request was quicker
        }
        let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
        let authorization = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => self.exchange(&parameters(rest), repository, access).await?,
            "basic" => match self.credentials.get(repository.registry()) {
                Some((username, LoginSecret::Password(password))) => {
                    header(&format!("Basic {}", basic(username, password)))?
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        self.challenges.lock().await.insert(repository.registry().to_owned(), challenge.to_owned());
        self.known.lock().await.insert((repository.clone(), access.clone()), authorization);
        Ok(true)
    }

    async fn give_up(&self, realm: &str, why: String) -> String {
        self.given_up.lock().await.insert(realm.to_owned(), why.clone());
        why
    }

    #[expect(clippy::too_many_lines, reason = "one exchange, whose steps share what was refused")]
    async fn exchange(
        &self,
        challenge: &BTreeMap<String, String>,
        repository: &Repository,
        access: &Access,
    ) -> RegistryResult<HeaderValue> {
        let realm = challenge.get("realm").cloned().unwrap_or_default();
        let refused = |cause: String| RegistryError::NoToken { realm: realm.clone(), cause };
        if let Some(why) = self.given_up.lock().await.get(&realm) {
            return Err(refused(why.clone()));
        }
        let registry = repository.registry();
        let mut url = Url::parse(&realm).map_err(|error| refused(error.to_string()))?;
        let host =
            service_host(&url, registry, &self.plain).map_err(|why| refused(why.to_owned()))?;
        if let Some((_, secret)) = self.credentials.get(registry) {
            let own = canonical(registry);
            if let Some(server) = self
                .credentials
                .bound_to(secret)
                .filter(|server| host != own && !server.owns(&host))
            {
                let cause = format!(
                    "`{registry}` names it as its token service, but the workflow's own token is sent to hosts of `{server}` only"
                );
                return Err(refused(cause));
            }
            if host != own && !WELL_KNOWN.contains(&(own, host.as_str())) {
                self.elsewhere.lock().await.insert((own.to_owned(), host));
            }
        }
        let scope = scope(repository, access);
        let service = challenge.get("service").map(String::as_str).unwrap_or_default();
        let answer = match self.credentials.get(repository.registry()) {
            Some((_, LoginSecret::IdentityToken(token))) => {
                // Its secret is in the body, which a redirect would carry to another host.
                let made = || {
                    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()
                };
                let http = self
                    .without_redirects
                    .clone()
                    .map_or_else(made, Ok)
                    .map_err(|error| refused(cause(&error)))?;
                let form = [
                    ("grant_type", "refresh_token"),
                    ("service", service),
                    ("scope", &scope),
                    ("client_id", "supply-action"),
                    ("refresh_token", token.expose_secret()),
                ];
                persistently(|| http.post(url.clone()).timeout(self.within).form(&form)).await
            }
            login => {
                if !service.is_empty() {
                    url.query_pairs_mut().append_pair("service", service);
                }
                for scope in scope.split(' ') {
                    url.query_pairs_mut().append_pair("scope", scope);
                }
                let ask = || match login {
                    Some((username, LoginSecret::Password(password))) => self
                        .http
                        .get(url.clone())
                        .timeout(self.within)
                        .basic_auth(username, Some(password.expose_secret())),
                    _ => self.http.get(url.clone()).timeout(self.within),
                };
                persistently(ask).await
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(refused(self.give_up(&realm, cause(&error)).await)),
        };
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(format!("it answered {status} for `{}`", repository.registry())));
        }
        let body = match answer::read(answer, answer::LIMIT).await {
            Ok(body) => body,
            Err(unread) => return Err(refused(self.give_up(&realm, unread.to_string()).await)),
        };
        // What the parser would say could quote the token.
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| refused("its answer is not JSON with a `token`".to_owned()))?;
        let token = answer
            .token
            .or(answer.access_token)
            .ok_or_else(|| refused("its answer holds no `token`".to_owned()))?;
        header(&format!("Bearer {}", token.expose_secret()))
    }
}

/// What a token is asked for.
fn scope(repository: &Repository, access: &Access) -> String {
    let path = repository.path();
    match access {
        Access::Pull => format!("repository:{path}:pull"),
        Access::Push => format!("repository:{path}:pull,push"),
        Access::Delete => format!("repository:{path}:pull,push,delete"),
        Access::PushFrom(from) => {
            format!("repository:{path}:pull,push repository:{}:pull", from.path())
        }
    }
}

/// The host that a registry names as its token service, where credentials may be sent to it.
fn service_host(
    url: &Url,
    registry: &str,
    plain: &Plain,
) -> std::result::Result<String, &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the address holds a user name or a password, so no credentials are sent to it",
        );
    }
    // Plain HTTP is for a registry on this machine, or one that was named for it, and never below
    // one that is reached over https.
    let named = || {
        url.host_str()
            .map(|host| url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    };
    match authority(url).or_else(|| named().filter(|_| plain.is_safe(url))) {
        Some(host) if url.scheme() == "https" || plain.covers(registry) => Ok(host),
        _ => Err("the token service is not reached over https, so no credentials are sent to it"),
    }
}

fn header(value: &str) -> RegistryResult<HeaderValue> {
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
            None => after
                .split_once(',')
                .map_or((after, ""), |(value, _)| (value, &after[value.len()..])),
        };
        found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests;
