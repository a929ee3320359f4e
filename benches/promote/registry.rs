//! A registry on loopback for measuring those who copy from and to it: in memory, with a time for
//! each request, counts, and faults on demand. It hashes no blob, and keeps none that is large.
//!
//! It answers as <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use supply_action::image::Digest;

/// Larger blobs are counted and thrown away.
const KEPT: u64 = 1 << 20;
/// What a blob is sent in.
const PIECE: usize = 256 << 10;
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Bytes that need little memory: layers differ in their beginning alone.
#[derive(Clone)]
pub(crate) enum StoredBlob {
    Whole(Bytes),
    Made {
        head: Bytes,
        rest: Bytes,
    },
    /// It was thrown away.
    Gone(u64),
}

impl StoredBlob {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Made { head, rest } => (head.len() + rest.len()) as u64,
            Self::Gone(size) => *size,
        }
    }

    /// From a byte on, in pieces.
    fn pieces(&self, from: usize) -> Vec<Bytes> {
        let (head, rest) = match self {
            Self::Whole(bytes) => (Bytes::new(), bytes.clone()),
            Self::Made { head, rest } => (head.clone(), rest.clone()),
            Self::Gone(_) => (Bytes::new(), Bytes::new()),
        };
        let (of_head, of_rest) = (from.min(head.len()), from.saturating_sub(head.len()));
        let rest = rest.slice(of_rest.min(rest.len())..);
        let cut = (0..rest.len()).step_by(PIECE);
        let pieces = cut.map(|at| rest.slice(at..rest.len().min(at + PIECE)));
        std::iter::once(head.slice(of_head..))
            .chain(pieces)
            .filter(|piece| !piece.is_empty())
            .collect()
    }
}

#[derive(Clone)]
pub(crate) struct StoredManifest {
    pub(crate) bytes: Bytes,
    media_type: String,
}

/// One repository.
#[derive(Clone, Default)]
pub(crate) struct StoredRepository {
    pub(crate) manifests: HashMap<String, StoredManifest>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) blobs: HashMap<String, StoredBlob>,
    /// By subject.
    pub(crate) referrers: BTreeMap<String, Vec<Value>>,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// Every so many requests one is told to wait a second.
    TooMany(usize),
    /// So many large blobs that are fetched end after so many bytes.
    Breaks {
        times: usize,
        after: usize,
    },
    /// The first byte of large blobs is another one.
    Changes,
}

#[derive(Default)]
struct Upload {
    kept: Vec<u8>,
    size: u64,
}

struct Shelves {
    repositories: HashMap<String, StoredRepository>,
    uploads: HashMap<String, Upload>,
    requests: usize,
    /// Bytes of blobs that were received, and sent.
    received: u64,
    sent: u64,
    latency: Duration,
    trouble: Trouble,
    lists_referrers: bool,
    next: usize,
}

#[derive(Clone)]
pub(crate) struct BenchRegistry {
    shelves: Arc<Mutex<Shelves>>,
    pub(crate) host: String,
}

/// What a registry counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) requests: usize,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl BenchRegistry {
    pub(crate) async fn start(lists_referrers: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shelves = Shelves {
            repositories: HashMap::new(),
            uploads: HashMap::new(),
            requests: 0,
            received: 0,
            sent: 0,
            latency: Duration::ZERO,
            trouble: Trouble::None,
            lists_referrers,
            next: 0,
        };
        let registry = Self { shelves: Arc::new(Mutex::new(shelves)), host };
        let router = Router::new().fallback(answer).with_state(registry.clone());
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap()
    }

    /// From now on, and counted from nothing.
    pub(crate) fn behave(&self, latency: Duration, trouble: Trouble) {
        let mut shelves = self.shelves();
        (shelves.latency, shelves.trouble) = (latency, trouble);
        (shelves.requests, shelves.received, shelves.sent) = (0, 0, 0);
        shelves.uploads.clear();
    }

    pub(crate) fn counted(&self) -> Counted {
        let shelves = self.shelves();
        Counted { requests: shelves.requests, received: shelves.received, sent: shelves.sent }
    }

    pub(crate) fn put_blob(&self, repository: &str, digest: &Digest, blob: StoredBlob) {
        let mut shelves = self.shelves();
        let repository = shelves.repositories.entry(repository.to_owned()).or_default();
        repository.blobs.insert(digest.to_string(), blob);
    }

    pub(crate) fn repository(&self, name: &str) -> StoredRepository {
        self.shelves().repositories.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn forget(&self, name: &str) {
        self.shelves().repositories.remove(name);
    }
}

type Answer = Result<Response, StatusCode>;

async fn answer(State(registry): State<BenchRegistry>, request: Request) -> Response {
    let (latency, refused) = {
        let mut shelves = registry.shelves();
        shelves.requests += 1;
        let number = shelves.requests;
        let refused = matches!(shelves.trouble, Trouble::TooMany(each) if number % each == 0);
        (shelves.latency, refused)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if refused {
        let mut body = request.into_body().into_data_stream();
        while body.next().await.is_some() {}
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")], "{}").into_response();
    }
    registry.dispatch(request).await.unwrap_or_else(|status| {
        let code = if status == StatusCode::NOT_FOUND { "MANIFEST_UNKNOWN" } else { "UNSUPPORTED" };
        let errors = json!({ "errors": [{ "code": code, "message": "no" }] });
        (status, axum::Json(errors)).into_response()
    })
}

/// `name=value` of a query, the value decoded as far as digests need it.
fn parameter(query: Option<&str>, wanted: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value.replace("%3A", ":")).next()
}

impl BenchRegistry {
    async fn dispatch(&self, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().replace("%3A", ":");
        let query = parts.uri.query();
        let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
            return Ok("{}".into_response());
        };
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return self.tags(name, query);
        }
        if let Some(name) = rest.trim_end_matches('/').strip_suffix("/blobs/uploads") {
            return self.begin(name, query, body).await;
        }
        if let Some((name, id)) = rest.split_once("/blobs/uploads/") {
            return self.upload(&parts.method, name, id, query, body).await;
        }
        let (before, last) = rest.rsplit_once('/').ok_or(StatusCode::NOT_FOUND)?;
        let (name, kind) = before.rsplit_once('/').ok_or(StatusCode::NOT_FOUND)?;
        match (kind, &parts.method) {
            ("manifests", &Method::PUT) => {
                self.put_manifest(name, last, &parts.headers, body).await
            }
            ("manifests", &Method::GET | &Method::HEAD) => self.manifest(name, last),
            ("blobs", method @ (&Method::GET | &Method::HEAD)) => {
                self.blob(name, last, method, &parts.headers)
            }
            ("referrers", &Method::GET) => self.referrers(name, last),
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn tags(&self, name: &str, query: Option<&str>) -> Answer {
        let shelves = self.shelves();
        let repository = shelves.repositories.get(name).ok_or(StatusCode::NOT_FOUND)?;
        let last = parameter(query, "last").unwrap_or_default();
        let tags = repository.tags.keys().filter(|tag| tag.as_str() > last.as_str());
        let tags: Vec<&String> = tags.collect();
        Ok(axum::Json(json!({ "name": name, "tags": tags })).into_response())
    }

    fn manifest(&self, name: &str, reference: &str) -> Answer {
        let shelves = self.shelves();
        let repository = shelves.repositories.get(name).ok_or(StatusCode::NOT_FOUND)?;
        let digest = repository.tags.get(reference).map_or(reference, String::as_str);
        let found = repository.manifests.get(digest).ok_or(StatusCode::NOT_FOUND)?;
        let headers = [(CONTENT_TYPE, found.media_type.clone()), (DIGEST, digest.to_owned())];
        Ok((headers, found.bytes.clone()).into_response())
    }

    async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Answer {
        let bytes = axum::body::to_bytes(body, 4 << 20).await;
        let bytes = bytes.map_err(|_| StatusCode::BAD_REQUEST)?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|_| StatusCode::BAD_REQUEST)?;
        let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let digest = Digest::of(&bytes).to_string();
        let mut shelves = self.shelves();
        let lists_referrers = shelves.lists_referrers;
        let repository = shelves.repositories.entry(name.to_owned()).or_default();
        if !reference.contains(':') {
            repository.tags.insert(reference.to_owned(), digest.clone());
        }
        let subject = json.pointer("/subject/digest").and_then(Value::as_str);
        if let Some(subject) = subject.filter(|_| lists_referrers) {
            let kind = json.get("artifactType").or_else(|| json.pointer("/config/mediaType"));
            let mut entry = json!({
                "mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": kind,
            });
            if let Some(annotations) = json.get("annotations") {
                entry["annotations"] = annotations.clone();
            }
            let listed = repository.referrers.entry(subject.to_owned()).or_default();
            if !listed.iter().any(|known| known["digest"] == digest.as_str()) {
                listed.push(entry);
            }
        }
        let mut answer = (
            StatusCode::CREATED,
            [(DIGEST, digest.clone()), (LOCATION, format!("/v2/{name}/manifests/{digest}"))],
        )
            .into_response();
        if let Some(subject) = subject.filter(|_| lists_referrers)
            && let Ok(value) = HeaderValue::from_str(subject)
        {
            answer.headers_mut().insert(HeaderName::from_static("oci-subject"), value);
        }
        repository.manifests.insert(digest, StoredManifest { bytes, media_type });
        Ok(answer)
    }

    fn referrers(&self, name: &str, subject: &str) -> Answer {
        let shelves = self.shelves();
        if !shelves.lists_referrers {
            return Err(StatusCode::NOT_FOUND);
        }
        let listed = shelves.repositories.get(name).and_then(|it| it.referrers.get(subject));
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": listed.cloned().unwrap_or_default(),
        });
        let kind = [(CONTENT_TYPE, "application/vnd.oci.image.index.v1+json")];
        Ok((kind, index.to_string()).into_response())
    }

    fn blob(&self, name: &str, digest: &str, method: &Method, headers: &HeaderMap) -> Answer {
        let mut shelves = self.shelves();
        let repository = shelves.repositories.get(name).ok_or(StatusCode::NOT_FOUND)?;
        let blob = repository.blobs.get(digest).cloned().ok_or(StatusCode::NOT_FOUND)?;
        let (size, is_large) = (blob.size(), blob.size() > KEPT);
        let about =
            [(DIGEST, digest.to_owned()), (CONTENT_TYPE, "application/octet-stream".to_owned())];
        if method == Method::HEAD {
            return Ok((about, [(CONTENT_LENGTH, size)], Body::empty()).into_response());
        }
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.split('-').next());
        let from = from.and_then(|from| from.parse::<u64>().ok()).unwrap_or_default().min(size);
        let breaks = match &mut shelves.trouble {
            Trouble::Breaks { times, after } if is_large && *times > 0 => {
                *times -= 1;
                Some(*after)
            }
            _ => None,
        };
        let is_changed = shelves.trouble == Trouble::Changes && is_large && from == 0;
        drop(shelves);
        let left = size - from;
        let (mut told, registry) = (0, self.clone());
        let pieces = stream::iter(blob.pieces(from as usize)).map(move |piece| {
            if breaks.is_some_and(|after| told >= after) {
                return Err(std::io::Error::other("it breaks off"));
            }
            let piece = match told == 0 && is_changed {
                true => changed(&piece),
                false => piece,
            };
            told += piece.len();
            registry.shelves().sent += piece.len() as u64;
            Ok(piece)
        });
        let status = if from == 0 { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
        let mut answer =
            (status, about, [(CONTENT_LENGTH, left)], Body::from_stream(pieces)).into_response();
        if from > 0 {
            let range = format!("bytes {from}-{}/{size}", size - 1);
            answer.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_str(&range).unwrap());
        }
        Ok(answer)
    }

    async fn begin(&self, name: &str, query: Option<&str>, body: Body) -> Answer {
        let id = {
            let mut shelves = self.shelves();
            shelves.next += 1;
            let id = format!("upload-{}", shelves.next);
            shelves.uploads.insert(id.clone(), Upload::default());
            id
        };
        if let Some(from) = parameter(query, "from")
            && let Some(digest) = parameter(query, "mount")
        {
            let mut shelves = self.shelves();
            let from = from.replace("%2F", "/");
            let known =
                shelves.repositories.get(&from).and_then(|it| it.blobs.get(&digest)).cloned();
            if let Some(blob) = known {
                let repository = shelves.repositories.entry(name.to_owned()).or_default();
                repository.blobs.insert(digest.clone(), blob);
                return Ok(created(name, &digest));
            }
        }
        match parameter(query, "digest") {
            Some(_) => self.upload(&Method::PUT, name, &id, query, body).await,
            None => Ok(placed(StatusCode::ACCEPTED, name, &id, 0)),
        }
    }

    async fn upload(
        &self,
        method: &Method,
        name: &str,
        id: &str,
        query: Option<&str>,
        body: Body,
    ) -> Answer {
        let mut upload = self.shelves().uploads.remove(id).ok_or(StatusCode::NOT_FOUND)?;
        let mut body = body.into_data_stream();
        let mut is_whole = true;
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else {
                is_whole = false;
                break;
            };
            upload.size += piece.len() as u64;
            if upload.size <= KEPT {
                upload.kept.extend_from_slice(&piece);
            }
            self.shelves().received += piece.len() as u64;
        }
        let size = upload.size;
        let Some(digest) = parameter(query, "digest").filter(|_| method == Method::PUT) else {
            self.shelves().uploads.insert(id.to_owned(), upload);
            let status =
                if method == Method::GET { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED };
            return if is_whole {
                Ok(placed(status, name, id, size))
            } else {
                Err(StatusCode::BAD_REQUEST)
            };
        };
        let blob = match size > KEPT {
            true => StoredBlob::Gone(size),
            false => StoredBlob::Whole(upload.kept.into()),
        };
        let mut shelves = self.shelves();
        let repository = shelves.repositories.entry(name.to_owned()).or_default();
        repository.blobs.insert(digest.clone(), blob);
        Ok(created(name, &digest))
    }
}

fn changed(piece: &[u8]) -> Bytes {
    let mut bytes = piece.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    bytes.into()
}

fn created(name: &str, digest: &str) -> Response {
    let headers = [(LOCATION, format!("/v2/{name}/blobs/{digest}")), (DIGEST, digest.to_owned())];
    (StatusCode::CREATED, headers).into_response()
}

fn placed(status: StatusCode, name: &str, id: &str, size: u64) -> Response {
    let uuid = HeaderName::from_static("docker-upload-uuid");
    let headers = [
        (LOCATION, format!("/v2/{name}/blobs/uploads/{id}")),
        (uuid, id.to_owned()),
        (RANGE, format!("0-{}", size.saturating_sub(1))),
    ];
    (status, headers).into_response()
}

/// The digests that a repository lists with a subject: by itself, or under the fallback tag.
pub(crate) fn listed(repository: &StoredRepository, subject: &str) -> BTreeSet<String> {
    let own = repository.referrers.get(subject).cloned().unwrap_or_default();
    let tag = subject.replace(':', "-");
    let list = repository.tags.get(&tag).and_then(|digest| repository.manifests.get(digest));
    let list: Value =
        list.and_then(|it| serde_json::from_slice(&it.bytes).ok()).unwrap_or_default();
    let of_tag = list["manifests"].as_array().cloned().unwrap_or_default();
    let all = own.iter().chain(&of_tag).filter_map(|entry| entry["digest"].as_str());
    all.filter(|digest| repository.manifests.contains_key(*digest)).map(str::to_owned).collect()
}
