//! Makes an OSV service of records: answers to batches in pages, single records, and an archive for
//! each ecosystem; it never leaves out a record because it could not order its versions.
//!
//! Shapes: <https://google.github.io/osv.dev/api/>.

mod ordering;
mod records;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as PathPart, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::SandboxError;
use super::faults::held;
use super::keys;
use records::{ServedRecords, base};

const MAX_QUERIES: usize = 1000;
const MAX_REQUEST: usize = 32 << 20;
/// Records of one query in one answer.
const PAGE: usize = 1000;

/// What the service does wrong, beside what a fault does to any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OsvHabit {
    /// Larger batches end at the gateway:
    /// <https://github.com/google/osv-scanner/issues/856>.
    TimesOutAbove(usize),
    /// The second half of a batch has no results.
    HalfAnswered,
    /// Each result stands where the one before it belongs.
    OutOfOrder,
    /// An answer to a batch does not end.
    Endless,
    /// Every page leads to itself.
    SameToken,
    /// Each query has so many records a page.
    Pages(usize),
    /// A record is answered with another one.
    OtherRecord,
}

pub(super) struct OsvService {
    records: ServedRecords,
    pub(super) habit: Mutex<Option<OsvHabit>>,
    archives: Mutex<BTreeMap<String, Bytes>>,
}

impl OsvService {
    /// The embedded records, and those of a folder.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, SandboxError> {
        Ok(Self {
            records: ServedRecords::open(folder)?,
            habit: Mutex::default(),
            archives: Mutex::default(),
        })
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/querybatch", post(query_batch))
            .route("/v1/vulns/{id}", get(record))
            .route("/{ecosystem}/all.zip", get(archive))
            .fallback(|| async { problem(StatusCode::NOT_FOUND, 5, "Not Found") })
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self)
    }

    fn habit(&self) -> Option<OsvHabit> {
        *held(&self.habit)
    }

    fn page_size(&self) -> usize {
        match self.habit() {
            Some(OsvHabit::Pages(size)) => size,
            Some(OsvHabit::SameToken) => 1,
            _ => PAGE,
        }
    }

    /// One result of a batch, or why the whole batch is refused.
    fn result(&self, query: &Value) -> Result<Value, &'static str> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let package = &query["package"];
        let (Some(ecosystem), Some(name)) = (text(&package["ecosystem"]), text(&package["name"]))
        else {
            return Err("Invalid query.");
        };
        let version = text(&query["version"]).unwrap_or_default();
        if !records::ECOSYSTEMS.contains(&base(&ecosystem)) {
            return Err("Invalid ecosystem.");
        }
        let key =
            hex::encode(&keys::sha256(format!("{ecosystem}\0{name}\0{version}").as_bytes())[..8]);
        let start = match query["page_token"].as_str().filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => token
                .split_once('.')
                .filter(|(of, _)| *of == key)
                .and_then(|(_, start)| start.parse().ok())
                .ok_or("Invalid page token.")?,
        };
        let found = self.records.about(&ecosystem, &name, &version);
        let end = found.len().min(start + self.page_size());
        let listed: Vec<Value> = found
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .map(|record| json!({"id": record.id, "modified": record.modified}))
            .collect();
        let mut result = json!({});
        if !listed.is_empty() {
            result["vulns"] = Value::Array(listed);
        }
        if end < found.len() {
            let next = if self.habit() == Some(OsvHabit::SameToken) { start } else { end };
            result["next_page_token"] = format!("{key}.{next}").into();
        }
        Ok(result)
    }
}

/// The error document of the service.
fn problem(status: StatusCode, code: u8, message: &str) -> Response {
    (status, axum::Json(json!({"code": code, "message": message}))).into_response()
}

async fn query_batch(State(service): State<Arc<OsvService>>, body: Bytes) -> Response {
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return problem(StatusCode::BAD_REQUEST, 3, "the body is not JSON");
    };
    let queries = asked["queries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if queries.len() > MAX_QUERIES {
        return problem(StatusCode::BAD_REQUEST, 3, "Too many queries.");
    }
    let habit = service.habit();
    if matches!(habit, Some(OsvHabit::TimesOutAbove(most)) if queries.len() > most) {
        return (StatusCode::GATEWAY_TIMEOUT, "upstream request timeout").into_response();
    }
    let results: Result<Vec<Value>, _> =
        queries.iter().map(|query| service.result(query)).collect();
    let mut results = match results {
        Ok(results) => results,
        Err(message) => return problem(StatusCode::BAD_REQUEST, 3, message),
    };
    match habit {
        Some(OsvHabit::HalfAnswered) => results.truncate(results.len() / 2),
        Some(OsvHabit::OutOfOrder) if !results.is_empty() => results.rotate_left(1),
        Some(OsvHabit::Endless) => return endless(),
        _ => {}
    }
    axum::Json(json!({ "results": results })).into_response()
}

/// JSON that goes on until nobody listens.
fn endless() -> Response {
    let start = Bytes::from_static(b"{\"results\":[{}");
    let more = Bytes::from(b",{}".repeat(1 << 14));
    let pieces = futures_util::stream::unfold(start, move |piece| {
        let more = more.clone();
        async move { Some((Ok::<_, std::io::Error>(piece), more)) }
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

async fn record(
    State(service): State<Arc<OsvService>>,
    PathPart(id): PathPart<String>,
) -> Response {
    let found = match service.habit() {
        Some(OsvHabit::OtherRecord) => service.records.other_than(&id),
        _ => service.records.by_id(&id),
    };
    match found {
        Some(record) => ([(CONTENT_TYPE, "application/json")], record.text.clone()).into_response(),
        None => problem(StatusCode::NOT_FOUND, 5, "Bug not found."),
    }
}

/// As the bucket of the public service has it, with an `ETag`.
async fn archive(
    State(service): State<Arc<OsvService>>,
    PathPart(ecosystem): PathPart<String>,
    headers: HeaderMap,
) -> Response {
    let members = service.records.of(&ecosystem);
    if members.is_empty() {
        return (StatusCode::NOT_FOUND, "NoSuchKey").into_response();
    }
    let bytes = held(&service.archives)
        .entry(ecosystem)
        .or_insert_with(|| Bytes::from(zip::archive(&members)))
        .clone();
    let tag = format!("\"{}\"", hex::encode(keys::sha256(&bytes)));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(CONTENT_TYPE, "application/zip".to_owned()), (ETAG, tag)], bytes).into_response()
}
