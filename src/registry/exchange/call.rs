//! One request to a token service: retries, limits, and what may be told of its answer. It never
//! quotes a body, since bodies hold tokens: only the code and the message of the documented error
//! formats, without any secret that was sent.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::ExchangeResult;
use super::error::{ExchangeError, ExchangeService};
use crate::answer::WITHIN;
use crate::registry::{backoff, cause};

const ATTEMPTS: u32 = 4;
/// No answer of a token service is larger.
const LIMIT: usize = 256 << 10;
/// Of a service's message, this much is quoted.
const QUOTED: usize = 300;

pub(super) struct Call<'a> {
    pub(super) service: ExchangeService,
    pub(super) url: String,
    /// What is asked for, as it stands in an error.
    pub(super) subject: String,
    /// What is sent and must not come back in a message.
    pub(super) secrets: Vec<&'a SecretString>,
}

impl Call<'_> {
    /// The body of a success.
    pub(super) async fn send(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> ExchangeResult<Vec<u8>> {
        self.send_within(WITHIN, request).await
    }

    /// As `send`; each attempt may take so long, from the connection to the last byte.
    async fn send_within(
        &self,
        within: Duration,
        request: impl Fn() -> RequestBuilder,
    ) -> ExchangeResult<Vec<u8>> {
        let (service, url) = (self.service, self.url.as_str());
        let mut attempts = 0;
        loop {
            attempts += 1;
            match answered(request().timeout(within)).await {
                Ok((status, body)) if status.is_success() => return Ok(body),
                Ok((status, body)) => {
                    let ErrorAnswer { code, told } = self.told(&body);
                    let (url, subject, status) =
                        (url.to_owned(), self.subject.clone(), status.as_u16());
                    if !is_passing(status, &code) {
                        return Err(ExchangeError::Refused {
                            service,
                            url,
                            subject,
                            status,
                            code,
                            told,
                        });
                    }
                    if attempts == ATTEMPTS {
                        return Err(ExchangeError::Unwell {
                            service,
                            url,
                            subject,
                            attempts,
                            status,
                            told,
                        });
                    }
                }
                Err(error) if attempts == ATTEMPTS || error.is_builder() || error.is_timeout() => {
                    return Err(ExchangeError::Unreachable {
                        service,
                        url: url.to_owned(),
                        attempts,
                        cause: cause(&error),
                    });
                }
                Err(_) => {}
            }
            let pause = backoff(attempts);
            tracing::debug!(%service, url, attempts, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    pub(super) fn unusable(&self, what: &'static str) -> ExchangeError {
        ExchangeError::Unusable {
            service: self.service,
            url: self.url.clone(),
            subject: self.subject.clone(),
            what,
        }
    }

    fn told(&self, body: &[u8]) -> ErrorAnswer {
        let (code, message) = code_and_message(body).unwrap_or_default();
        let code = self.quotable(&code);
        let message = self.quotable(&message);
        let told = [&code, &message]
            .into_iter()
            .filter(|part| !part.is_empty())
            .fold(String::new(), |told, part| told + ": " + part);
        ErrorAnswer { code, told }
    }

    /// One line of limited length, without secrets.
    fn quotable(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        let line: Vec<&str> = text
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        without_tokens(&line.join(" ")).chars().take(QUOTED).collect()
    }
}

struct ErrorAnswer {
    code: String,
    told: String,
}

async fn answered(
    request: RequestBuilder,
) -> std::result::Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let mut response = request.send().await?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        // What is cut off here does not parse, and is reported as unusable.
        body.extend_from_slice(&chunk[..chunk.len().min(LIMIT - body.len())]);
        if body.len() == LIMIT {
            break;
        }
    }
    Ok((status, body))
}

/// AWS says "not now" with 400 too:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>.
fn is_passing(status: u16, code: &str) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
        || matches!(
            code,
            "IDPCommunicationError"
                | "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "ServerException"
        )
}

/// Code and message of an error in one of the documented formats.
fn code_and_message(body: &[u8]) -> Option<(String, String)> {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let xml = std::str::from_utf8(body).ok()?;
        return Some((element(xml, "Code")?, element(xml, "Message").unwrap_or_default()));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(kind) = json["__type"].as_str() {
        // AWS JSON 1.1: `com.amazon.coral.service#AccessDeniedException`, and `message` in either
        // case.
        let message = if json["message"].is_string() { &json["message"] } else { &json["Message"] };
        return Some((kind.rsplit('#').next().unwrap_or(kind).to_owned(), text(message)));
    }
    match (&json["error"], &json["errors"][0]) {
        // OAuth 2.0, RFC 6749, section 5.2.
        (Value::String(code), _) => Some((code.clone(), text(&json["error_description"]))),
        // <https://cloud.google.com/apis/design/errors>
        (error @ Value::Object(_), _) => Some((text(&error["status"]), text(&error["message"]))),
        // The OCI distribution specification.
        (_, error @ Value::Object(_)) => Some((text(&error["code"]), text(&error["message"]))),
        _ => None,
    }
}

/// The text of the first element of this name. Enough for the flat answers of AWS's query API,
/// which has no attributes there.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    (!text.contains('<')).then_some(plain)
}

/// Whether this can be a token at all: not empty, and fit for a header.
pub(super) fn usable(token: &SecretString) -> bool {
    let token = token.expose_secret();
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Anything that begins as JWTs do is left out, whoever made it.
fn without_tokens(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, token) = rest.split_at(start);
        let end = token
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.=+/".contains(letter)))
            .unwrap_or(token.len());
        kept.push_str(before);
        kept.push_str("***");
        rest = &token[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;

    async fn call(stub: &Stub, secret: &str) -> ExchangeResult<Vec<u8>> {
        let secret = SecretString::from(secret.to_owned());
        let http = reqwest::Client::new();
        let call = Call {
            service: ExchangeService::Acr,
            url: stub.url.clone(),
            subject: "a login".into(),
            secrets: vec![&secret],
        };
        call.send(|| http.post(&call.url).body("x")).await
    }

    #[test]
    fn the_documented_error_formats_are_read() {
        for (body, code, message) in [
            (
                r#"{"__type":"com.amazon#AccessDeniedException","Message":"no"}"#,
                "AccessDeniedException",
                "no",
            ),
            (r#"{"__type":"ServerException","message":"no"}"#, "ServerException", "no"),
            (r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid_grant", "no"),
            (
                r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
                "PERMISSION_DENIED",
                "no",
            ),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#, "UNAUTHORIZED", "no"),
            (
                "<ErrorResponse xmlns=\"x\">\n <Error>\n<Type>Sender</Type><Code>AccessDenied</Code><Message>a &lt;b&gt; &amp;lt;</Message></Error></ErrorResponse>",
                "AccessDenied",
                "a <b> &lt;",
            ),
        ] {
            assert_eq!(
                code_and_message(body.as_bytes()),
                Some((code.to_owned(), message.to_owned())),
                "{body}"
            );
        }
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "{\"error\":1}",
            "<html>",
            "<Code>",
            "<Code><a></Code>",
            "{\"errors\":[]}",
        ] {
            assert_eq!(code_and_message(body.as_bytes()), None, "{body}");
        }
        assert_eq!(code_and_message(&[0xff, 0xfe]), None);
    }

    #[tokio::test]
    async fn what_was_sent_and_what_looks_like_a_token_is_not_told() {
        let body = r#"{"error":"invalid_grant","error_description":"bad s3cret\r\nand (eyJhbGciOi.eyJpc3.x-_y) and eyJ"}"#;
        let stub = Stub::serve([(400, body)]).await;
        let error = call(&stub, "s3cret").await.unwrap_err().to_string();
        assert!(
            error.ends_with("refused a login: HTTP 400: invalid_grant: bad *** and (***) and ***"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_passing_failure_is_tried_again_and_a_refusal_is_not() {
        let stub = Stub::serve([(503, "<html>"), (429, ""), (200, "ok")]).await;
        assert_eq!(call(&stub, "").await.unwrap(), b"ok");
        assert_eq!(stub.seen().len(), 3);
        let stub = Stub::serve([(403, "secret words"), (200, "ok")]).await;
        let error = call(&stub, "").await.unwrap_err().to_string();
        assert!(error.ends_with("HTTP 403") && stub.seen().len() == 1, "{error}");
        let stub = Stub::serve([(500, ""), (500, ""), (500, ""), (500, ""), (200, "ok")]).await;
        let error = call(&stub, "").await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unwell { attempts: 4, status: 500, .. }), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let http = reqwest::Client::new();
        let call = Call {
            service: ExchangeService::Entra,
            url,
            subject: "a login".into(),
            secrets: Vec::new(),
        };
        let error = call.send(|| http.post(&call.url)).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unreachable { attempts: 4, .. }), "{error}");
        assert!(crate::error::Remedied::remedy(&error).is_some());
    }

    #[tokio::test]
    async fn a_service_that_drips_is_left() {
        let url = crate::answer::bad::dripping().await;
        let http = reqwest::Client::new();
        let call = Call {
            service: ExchangeService::Entra,
            url,
            subject: "a login".into(),
            secrets: Vec::new(),
        };
        let error = call
            .send_within(Duration::from_millis(100), || http.post(&call.url))
            .await
            .unwrap_err();
        assert!(matches!(error, ExchangeError::Unreachable { attempts: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut() {
        let stub = Stub::serve([(200, "x".repeat(LIMIT * 2).as_str())]).await;
        assert_eq!(call(&stub, "").await.unwrap().len(), LIMIT);
    }
}
