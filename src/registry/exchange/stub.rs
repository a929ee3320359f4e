//! A loopback service for tests: gives the answers it was told to give, in order, and keeps what it
//! was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use secrecy::SecretString;

/// A token that looks like one, so that a leak shows.
pub(super) const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOm9jdG8vYXBwIn0.c2lnbmF0dXJl";

pub(super) struct Stub {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
}

#[derive(Clone)]
pub(super) struct SeenRequest {
    pub(super) request: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Stub {
    pub(super) async fn serve<'a>(answers: impl IntoIterator<Item = (u16, &'a str)>) -> Self {
        let answers: VecDeque<(u16, String)> =
            answers.into_iter().map(|(status, body)| (status, body.to_owned())).collect();
        let answers = Arc::new(Mutex::new(answers));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let answer = async move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
            kept.lock().unwrap().push(SeenRequest {
                request: format!("{method} {uri}"),
                headers,
                body,
            });
            let (status, body) = answers
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or((418, "no answer is left".to_owned()));
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap()
        });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }
}

impl SeenRequest {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn form(&self) -> BTreeMap<String, String> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        reqwest::Url::parse(&format!("http://x/?{}", self.body))
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Gives `TOKEN` and keeps the audiences.
pub(super) fn runner(
    audiences: &Mutex<Vec<String>>,
) -> impl AsyncFn(&str) -> anyhow::Result<SecretString> {
    async |audience: &str| {
        audiences.lock().unwrap().push(audience.to_owned());
        Ok(SecretString::from(TOKEN.to_owned()))
    }
}

/// The message and the remedy of an error, after checking that neither, nor its Debug form, holds a
/// secret.
pub(super) fn told(error: super::ExchangeError, secrets: &[&str]) -> String {
    let debug = format!("{error:?}");
    let error = crate::error::remedied(error);
    let told =
        format!("{} | {}", crate::error::message(&error), crate::error::hints(&error).join(" | "));
    for secret in secrets.iter().chain([&TOKEN]) {
        assert!(!told.contains(secret) && !debug.contains(secret), "{told}\n{debug}");
    }
    told
}
