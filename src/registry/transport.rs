//! One request to a registry: URL, token, retries, limits. It never decides what an answer means
//! beyond "try again" and "refused".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::RegistryResult;
use super::auth::{Credentials, Tokens};
use super::error::RegistryError;
use crate::github::network::Plain;
pub(crate) use crate::github::server::is_loopback;
use crate::image::{Digest, Repository};

/// Requests in flight at once, over all registries.
const CONCURRENCY: usize = 32;
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Who asks for more by `Retry-After` is not asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Of a refusal's body, this much is quoted.
const QUOTED: usize = 300;

/// What a request needs the token for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    Push,
    /// Pushing what lies in this repository of the same registry; without the right to read it
    /// there, a registry wants the bytes again.
    PushFrom(Repository),
    /// Taking a manifest away.
    Delete,
}

/// What registries are reached by: one client, and those among them that speak plain HTTP.
pub struct RegistryLine {
    pub http: reqwest::Client,
    /// For requests whose body holds a secret, which a redirect would carry to another host; made
    /// when there is need, where it is not given.
    pub without_redirects: Option<reqwest::Client>,
    pub plain: Plain,
}

impl From<reqwest::Client> for RegistryLine {
    fn from(http: reqwest::Client) -> Self {
        Self { http, without_redirects: None, plain: Plain::default() }
    }
}

pub(super) struct Transport {
    http: reqwest::Client,
    plain: Plain,
    tokens: Tokens,
    places: Semaphore,
    quiet: QuietHosts,
    publishing: bool,
}

/// Hosts that asked to be left alone, each until when: what one request is told, all heed.
#[derive(Default)]
struct QuietHosts(Mutex<HashMap<String, Instant>>);

impl QuietHosts {
    fn note(&self, url: &Url, pause: Duration) {
        let until = Instant::now() + pause;
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hosts.entry(url.authority().to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    fn left(&self, url: &Url) -> Option<Duration> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = hosts.get(url.authority())?.checked_duration_since(Instant::now());
        if left.is_none() {
            hosts.remove(url.authority());
        }
        left
    }

    /// Who waited asks at another moment than the others who did.
    async fn wait(&self, url: &Url) {
        while let Some(left) = self.left(url) {
            tokio::time::sleep(left + Duration::from_secs_f64(rand::random::<f64>() / 20.0)).await;
        }
    }
}

/// An answer whose body is still to be read.
pub(super) struct RegistryAnswer {
    pub(super) status: StatusCode,
    request: String,
    response: Response,
}

impl Transport {
    pub(super) fn new(line: RegistryLine, credentials: Credentials, publishing: bool) -> Self {
        let RegistryLine { http, without_redirects, plain } = line;
        let tokens = Tokens::new(http.clone(), credentials).over(without_redirects, plain.clone());
        let places = Semaphore::new(CONCURRENCY);
        Self { publishing, tokens, plain, http, places, quiet: QuietHosts::default() }
    }

    pub(super) async fn token_services_elsewhere(&self) -> Vec<(String, String)> {
        self.tokens.elsewhere().await
    }

    /// Sends to `/v2/<repository>/<path>`.
    pub(super) async fn send(
        &self,
        method: Method,
        repository: &Repository,
        path: &str,
        access: Access,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> RegistryResult<RegistryAnswer> {
        let url =
            format!("{}/v2/{}/{path}", base(repository.registry(), &self.plain), repository.path());
        let url = Url::parse(&url).map_err(|error| RegistryError::Protocol {
            request: format!("{method} {url}"),
            what: format!("an illegal URL: {error}"),
        })?;
        self.send_to(method, url, repository, access, shape).await
    }

    /// Sends to a URL the registry named (`Location`). The token travels only to the registry's own
    /// host.
    pub(super) async fn send_to(
        &self,
        method: Method,
        url: Url,
        repository: &Repository,
        access: Access,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> RegistryResult<RegistryAnswer> {
        // A run that publishes asks for one token that may do everything: some registries deny
        // reading a name that does not exist yet.
        let access = if self.publishing && access == Access::Pull { Access::Push } else { access };
        let request = described(&method, &url);
        if !self.plain.is_safe(&url) {
            return Err(RegistryError::Protocol {
                request,
                what: "a location without https, so nothing is sent to it".to_owned(),
            });
        }
        let home = same_host(&url, repository.registry(), &self.plain);
        // A piece that is sent twice is there twice: who sends one asks first how far it came.
        let attempts = if method == Method::PATCH { 1 } else { ATTEMPTS };
        let mut authorised = 0;
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.quiet.wait(&url).await;
            let mut builder = shape(self.http.request(method.clone(), url.clone()));
            let authorization =
                if home { self.tokens.ready(repository, &access).await? } else { None };
            if let Some(authorization) = &authorization {
                builder = builder.header(reqwest::header::AUTHORIZATION, authorization);
            }
            let place = self.places.acquire().await;
            let outcome = builder.send().await;
            drop(place);
            let pause = match outcome {
                Err(error) if attempt < attempts && error_is_passing(&error) => backoff(attempt),
                Err(error) => {
                    return Err(RegistryError::Unreachable {
                        request,
                        attempts: attempt,
                        cause: cause(&error),
                    });
                }
                Ok(response)
                    if response.status() == StatusCode::UNAUTHORIZED
                        && home
                        && authorised < most_authorisations(&response) =>
                {
                    authorised += 1;
                    let challenge = response
                        .headers()
                        .get(WWW_AUTHENTICATE)
                        .and_then(|value| value.to_str().ok())
                        .unwrap_or_default()
                        .to_owned();
                    if !self
                        .tokens
                        .obtain(&challenge, repository, &access, authorization.as_ref())
                        .await?
                    {
                        return RegistryAnswer { status: response.status(), request, response }
                            .checked()
                            .await;
                    }
                    attempt -= 1;
                    continue;
                }
                Ok(response) if is_passing(response.status()) => {
                    let asked = asked_pause(&response, jiff::Timestamp::now());
                    asked
                        .filter(|pause| *pause <= LONGEST_WAIT)
                        .iter()
                        .for_each(|pause| self.quiet.note(&url, *pause));
                    match pause_after(&response, attempt) {
                        Some(pause) if attempt < attempts => pause,
                        _ => return Err(unwell(request, attempt, response).await),
                    }
                }
                Ok(response) => {
                    return RegistryAnswer { status: response.status(), request, response }
                        .checked()
                        .await;
                }
            };
            tracing::debug!(%request, attempt, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// How often a request asks for a token. One that was good may have ended in between, when many
/// requests used it at once; what a new token does not cover, no other one will.
fn most_authorisations(refused: &Response) -> u32 {
    let challenge = refused.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let has_ended = challenge.is_some_and(|challenge| challenge.contains("invalid_token"));
    if has_ended { 4 } else { 1 }
}

/// The refusal of a registry that is not to be asked again, with how long it wants to be left
/// alone.
async fn unwell(request: String, attempts: u32, response: Response) -> RegistryError {
    let (status, wait) = (response.status(), asked_pause(&response, jiff::Timestamp::now()));
    let mut detail =
        RegistryAnswer { status, request: request.clone(), response }.read_detail().await;
    if let Some(wait) = wait {
        detail.push_str(&format!(" (it asks to wait `{}` seconds)", wait.as_secs()));
    }
    RegistryError::Unwell { request, attempts, status, detail }
}

/// Sends until the answer is not "not now", or the attempts are used up; for services that are
/// asked without a registry's token.
pub(super) async fn persistently(
    request: impl Fn() -> RequestBuilder,
) -> reqwest::Result<Response> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let outcome = request().send().await;
        let pause = match &outcome {
            Err(error) if attempt < ATTEMPTS && error_is_passing(error) => Some(backoff(attempt)),
            Ok(response) if is_passing(response.status()) => pause_after(response, attempt),
            _ => None,
        };
        let Some(pause) = pause else { return outcome };
        tokio::time::sleep(pause).await;
    }
}

impl RegistryAnswer {
    /// A success or a true 404; anything else is an error, with the reason from its body.
    async fn checked(self) -> RegistryResult<Self> {
        if self.status.is_success() || self.status == StatusCode::NOT_FOUND {
            return Ok(self);
        }
        Err(self.refusal().await)
    }

    async fn read_detail(self) -> String {
        let body = self.bytes(64 << 10).await.unwrap_or_default();
        let told = serde_json::from_slice::<oci_client::errors::OciEnvelope>(&body).ok().and_then(
            |envelope| {
                let first = envelope.errors.into_iter().next()?;
                Some(if first.message.is_empty() {
                    format!("{:?}", first.code)
                } else {
                    first.message
                })
            },
        );
        let text = told.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
        let quoted: String =
            text.chars().filter(|letter| !letter.is_control()).take(QUOTED).collect();
        if quoted.is_empty() { quoted } else { format!(": {quoted}") }
    }

    pub(super) async fn success(self) -> RegistryResult<Self> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal().await) }
    }

    async fn refusal(self) -> RegistryError {
        let (status, request) = (self.status, self.request.clone());
        let detail = self.read_detail().await;
        RegistryError::Refused { request, status, detail }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// `Location`, made absolute.
    pub(super) fn location(&self) -> RegistryResult<Option<Url>> {
        let Some(location) = self.header(LOCATION.as_str()) else { return Ok(None) };
        let url = self.response.url().join(location);
        url.map(Some).map_err(|error| RegistryError::Protocol {
            request: self.request.clone(),
            what: format!("an illegal `Location`: {error}"),
        })
    }

    /// Where the bytes of an upload go: `Location`, or the place that the reference implementation
    /// gives the upload it names.
    pub(super) fn upload_place(&self) -> RegistryResult<Option<Url>> {
        let named =
            self.header("docker-upload-uuid").and_then(|id| self.response.url().join(id).ok());
        Ok(self.location()?.or(named))
    }

    /// The next page, from `Link: <…>; rel="next"`.
    pub(super) fn next_page(&self) -> Option<Url> {
        let link = self.header("link")?;
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("next").then(|| self.response.url().join(target).ok())?
    }

    /// The body, at most `limit` bytes, in the time that so many take on a slow line: what drips
    /// does not hold a run up for ever.
    pub(super) async fn bytes(self, limit: usize) -> RegistryResult<Vec<u8>> {
        self.bytes_within(limit, patience(limit)).await
    }

    async fn bytes_within(mut self, limit: usize, patience: Duration) -> RegistryResult<Vec<u8>> {
        let request = self.request.clone();
        let whole = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = self.chunk().await? {
                if bytes.len() + chunk.len() > limit {
                    return Err(RegistryError::TooLarge {
                        what: format!("the answer to `{}`", self.request),
                        limit,
                    });
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        match tokio::time::timeout(patience, whole).await {
            Ok(read) => read,
            Err(_) => {
                let cause = format!("the answer did not end within {} s", patience.as_secs());
                Err(RegistryError::Unreachable { request, attempts: 1, cause })
            }
        }
    }

    /// Copies the body and gives its digest.
    pub(super) async fn copy_to(
        mut self,
        sink: &mut (dyn std::io::Write + Send),
    ) -> RegistryResult<Digest> {
        let mut hasher = Sha256::new();
        while let Some(chunk) = self.chunk().await? {
            hasher.update(&chunk);
            sink.write_all(&chunk).map_err(|error| RegistryError::Protocol {
                request: self.request.clone(),
                what: format!("bytes that could not be kept: {error}"),
            })?;
        }
        let text = format!("sha256:{}", hex::encode(hasher.finalize()));
        text.parse().map_err(|_| RegistryError::Protocol {
            request: self.request.clone(),
            what: "bytes that could not be hashed".to_owned(),
        })
    }

    pub(super) async fn chunk(&mut self) -> RegistryResult<Option<bytes::Bytes>> {
        self.response.chunk().await.map_err(|error| RegistryError::Unreachable {
            request: self.request.clone(),
            attempts: 1,
            cause: cause(&error),
        })
    }
}

impl Transport {
    /// Where whoever reads a repository fetches a blob.
    pub(super) fn blob_address(&self, repository: &Repository, digest: &Digest) -> String {
        let base = base(repository.registry(), &self.plain);
        format!("{base}/v2/{}/blobs/{digest}", repository.path())
    }
}

/// A minute, and what `bytes` take at 64 KiB a second.
fn patience(bytes: usize) -> Duration {
    Duration::from_secs(60 + (bytes >> 16) as u64)
}

/// `https://`, but plain HTTP for loopback, where no certificate can be had, and for whom the user
/// named. Docker Hub's API lives on another host than its name.
fn base(registry: &str, plain: &Plain) -> String {
    match registry {
        "docker.io" | "index.docker.io" => "https://registry-1.docker.io".to_owned(),
        host if plain.covers(host) => format!("http://{host}"),
        host => format!("https://{host}"),
    }
}

fn same_host(url: &Url, registry: &str, plain: &Plain) -> bool {
    Url::parse(&base(registry, plain)).is_ok_and(|home| {
        (home.scheme(), home.host_str(), home.port_or_known_default())
            == (url.scheme(), url.host_str(), url.port_or_known_default())
    })
}

/// Method and URL without its query, which can hold upload state and signatures.
fn described(method: &Method, url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    format!("{method} {shown}")
}

/// Answers that say "not now" rather than "no".
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn error_is_passing(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_timeout() || error.is_request()
}

/// How long to wait before the next attempt; `None` when there should be none, because the registry
/// asks for more patience than a run has.
pub(crate) fn pause_after(response: &Response, attempt: u32) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    match asked_pause(response, jiff::Timestamp::now()) {
        Some(asked) => (asked <= LONGEST_WAIT).then_some(asked),
        None => Some(backoff(attempt)),
    }
}

fn asked_pause(response: &Response, now: jiff::Timestamp) -> Option<Duration> {
    retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Seconds, or a date: <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>.
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// Doubling pauses with up to half of jitter, so that a matrix of jobs does not knock in step.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let pause = FIRST_PAUSE * 2_u32.saturating_pow(attempt.saturating_sub(1));
    pause.mul_f64(1.0 + rand::random::<f64>() / 2.0).min(LONGEST_PAUSE)
}

/// The innermost reason of a transport error; the outer layers only repeat the URL.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after("Thu, 01 Jan 2026 00:00:00 GMT", now), Some(Duration::ZERO));
    }

    #[test]
    fn pauses_double_with_jitter_and_end_somewhere() {
        for (attempt, least) in [(1, 250), (2, 500), (3, 1000)] {
            let pause = backoff(attempt).as_millis();
            assert!((least..=least + least / 2).contains(&pause), "{attempt}: {pause}");
        }
        assert_eq!(backoff(30), LONGEST_PAUSE);
    }

    #[tokio::test]
    async fn a_document_that_drips_or_has_no_end_is_left() {
        use crate::answer::bad;
        let answer = async |url: String| {
            let response = reqwest::Client::new().get(url).send().await.unwrap();
            RegistryAnswer { status: response.status(), request: "GET x".to_owned(), response }
        };
        let error = answer(bad::dripping().await)
            .await
            .bytes_within(1 << 20, Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, RegistryError::Unreachable { cause, .. } if cause.contains("did not end within")),
            "{error}"
        );
        let error = answer(bad::endless().await).await.bytes(1 << 20).await.unwrap_err();
        assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
        assert_eq!((patience(64 << 10).as_secs(), patience(16 << 20).as_secs()), (61, 316));
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let url = |text: &str| Url::parse(text).unwrap();
        let same_host = |url: &Url, registry: &str| {
            super::same_host(url, registry, &Plain::of(["r.lan:5000".to_owned()]))
        };
        assert!(
            same_host(&url("http://r.lan:5000/v2/"), "r.lan:5000")
                && !same_host(&url("https://r.lan:5000/v2/"), "r.lan:5000")
        );
        assert!(same_host(&url("https://ghcr.io/v2/x/blobs/uploads/1"), "ghcr.io"));
        assert!(!same_host(&url("https://cdn.example.com/v2/"), "ghcr.io"));
        assert!(!same_host(&url("http://ghcr.io/v2/"), "ghcr.io"));
    }
}
