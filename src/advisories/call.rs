//! One request to a service of advisories: retries, deadlines, and a body of limited size. It reads
//! no large body beside many others, and quotes of an answer only a short message.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::registry::{backoff, cause, is_passing, pause_after};

/// Bodies up to here are read freely.
const SMALL: usize = 256 << 10;
/// Of the others so many are read at once.
const LARGE_AT_ONCE: usize = 3;
/// Of a service's message, this much is quoted.
const QUOTED: usize = 200;
pub(super) const ATTEMPTS: u32 = 4;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// The service or its gateway took too long; a smaller question may be answered.
    TimedOut(String),
    TooLarge(usize),
    /// A status that stays, with the service's message.
    Refused(u16, String),
    /// Anything else, after all attempts.
    Other(String),
}

impl std::fmt::Display for CallFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(how) | Self::Other(how) => formatter.write_str(how),
            Self::TooLarge(limit) => write!(formatter, "an answer is larger than {limit} bytes"),
            Self::Refused(status, said) => write!(formatter, "HTTP {status}{said}"),
        }
    }
}

/// What all requests of a client share.
pub(super) struct Patience {
    /// For one request, from the connection to the last byte.
    pub(super) request: Duration,
    /// When everything must be answered.
    pub(super) until: Instant,
    large: Semaphore,
}

/// How one attempt ended without an answer.
pub(super) struct MissedAttempt {
    pub(super) failure: CallFailure,
    /// How long to wait before the next attempt; `None` when there should be none.
    pub(super) pause: Option<Duration>,
}

impl MissedAttempt {
    fn of(error: &reqwest::Error, attempt: u32) -> Self {
        let how = cause(error);
        let failure =
            if error.is_timeout() { CallFailure::TimedOut(how) } else { CallFailure::Other(how) };
        let stays = error.is_builder() || error.is_redirect();
        Self { failure, pause: again(attempt).filter(|_| !stays) }
    }
}

/// The pause before the next attempt, if there is one.
fn again(attempt: u32) -> Option<Duration> {
    (attempt < ATTEMPTS).then(|| backoff(attempt))
}

impl Patience {
    pub(super) fn new(request: Duration, whole: Duration) -> Self {
        Self { request, until: Instant::now() + whole, large: Semaphore::new(LARGE_AT_ONCE) }
    }

    /// What `read` makes of the body of a success; an answer that it does not take is asked for
    /// again. With `splits` a time-out is told at once, because a smaller question will be asked.
    pub(super) async fn answer<T>(
        &self,
        limit: usize,
        splits: bool,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(Vec<u8>) -> Result<T, String>,
    ) -> Result<T, CallFailure> {
        let outcome = self.tried(splits, async |attempt| {
            let response = self.sent(request(), attempt).await?;
            let Some(body) = self.body(response, limit, attempt).await? else {
                return Err(MissedAttempt { failure: CallFailure::TooLarge(limit), pause: None });
            };
            read(body).map_err(|why| MissedAttempt {
                failure: CallFailure::Other(why),
                pause: again(attempt),
            })
        });
        outcome.await
    }

    /// One attempt after another, until one is not missed or the time is over.
    pub(super) async fn tried<T>(
        &self,
        splits: bool,
        one: impl AsyncFn(u32) -> Result<T, MissedAttempt>,
    ) -> Result<T, CallFailure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome = tokio::time::timeout_at(self.until, one(attempt)).await;
            let missed = match outcome {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(missed)) => missed,
                Err(_) => {
                    let why = "its time was over before it had answered all";
                    return Err(CallFailure::Other(why.to_owned()));
                }
            };
            let is_split = splits && matches!(missed.failure, CallFailure::TimedOut(_));
            let is_in_time = |pause: &Duration| Instant::now() + *pause < self.until;
            let pause = missed.pause.filter(|pause| !is_split && is_in_time(pause));
            let Some(pause) = pause else { return Err(missed.failure) };
            tracing::debug!(%missed.failure, attempt, ?pause, "asking for advisories again");
            tokio::time::sleep(pause).await;
        }
    }

    /// The head of an answer that is a success, or says that nothing changed.
    pub(super) async fn sent(
        &self,
        request: RequestBuilder,
        attempt: u32,
    ) -> Result<Response, MissedAttempt> {
        let broken = |error| MissedAttempt::of(&error, attempt);
        let response = request.timeout(self.request).send().await.map_err(broken)?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let pause = if is_passing(status) { pause_after(&response, attempt) } else { None };
        let said = self.body(response, SMALL, attempt).await.ok().flatten().unwrap_or_default();
        let said = quotable(&said);
        let timed_out = [StatusCode::GATEWAY_TIMEOUT, StatusCode::REQUEST_TIMEOUT];
        let failure = if timed_out.contains(&status) {
            CallFailure::TimedOut(format!("HTTP {}{said}", status.as_u16()))
        } else {
            CallFailure::Refused(status.as_u16(), said)
        };
        Err(MissedAttempt { failure, pause })
    }

    /// A piece of a body.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        attempt: u32,
    ) -> Result<Option<bytes::Bytes>, MissedAttempt> {
        response.chunk().await.map_err(|error| MissedAttempt::of(&error, attempt))
    }

    /// The body; `None` when it is larger than allowed.
    async fn body(
        &self,
        mut response: Response,
        limit: usize,
        attempt: u32,
    ) -> Result<Option<Vec<u8>>, MissedAttempt> {
        let mut body = Vec::new();
        let mut permit: Option<SemaphorePermit<'_>> = None;
        while let Some(chunk) = self.chunk(&mut response, attempt).await? {
            let length = body.len() + chunk.len();
            if length > limit {
                return Ok(None);
            }
            if length > SMALL && permit.is_none() {
                permit = self.large.acquire().await.ok();
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}

/// The message of an answer that is no success, on one line: `: Invalid ecosystem.`
fn quotable(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    // A page for people says nothing here.
    if text.trim().is_empty() || text.trim_start().starts_with('<') {
        return String::new();
    }
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    format!(": {}", words.join(" ").chars().take(QUOTED).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_quoted_on_one_line_and_pages_are_not() {
        for (body, said) in [
            (r#"{"code":3,"message":"Invalid ecosystem."}"#, ": Invalid ecosystem."),
            ("upstream request timeout", ": upstream request timeout"),
            ("a\r\n::error::b\x1b[1m", ": a ::error::b [1m"),
            ("<html>", ""),
            ("", ""),
            ("{\"message\":\"\"}", ""),
        ] {
            assert_eq!(quotable(body.as_bytes()), said, "{body}");
        }
        assert_eq!(quotable("x".repeat(900).as_bytes()).len(), QUOTED + 2);
    }

    #[tokio::test]
    async fn no_answer_is_waited_for_beyond_the_whole_time() {
        let patience = Patience::new(Duration::from_secs(60), Duration::from_millis(200));
        let url = crate::answer::bad::dripping().await;
        let http = reqwest::Client::new();
        let began = std::time::Instant::now();
        let failure =
            patience.answer(1 << 20, false, || http.get(&url), Ok::<_, String>).await.unwrap_err();
        assert!(
            matches!(&failure, CallFailure::Other(why) if why.contains("time was over")),
            "{failure}"
        );
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn a_body_without_end_is_left() {
        let patience = Patience::new(Duration::from_secs(60), Duration::from_secs(60));
        let (url, http) = (crate::answer::bad::endless().await, reqwest::Client::new());
        let failure =
            patience.answer(8 << 20, true, || http.get(&url), Ok::<_, String>).await.unwrap_err();
        assert_eq!(failure, CallFailure::TooLarge(8 << 20));
    }
}
