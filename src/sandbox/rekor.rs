//! Makes a Rekor v1 log: entries with promise, proof and checkpoint; it never logs a signature that
//! does not verify.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SandboxError;
use super::faults::held;
use super::keys::{self, LogKey};
use super::merkle::{self, MerkleTree};
use super::proposed::{self, RefusedLogEntry};

/// Entries of earlier shards: the global index differs from the index in the tree, as in the public
/// log.
const EARLIER_ENTRIES: usize = 4_163_431;
const MAX_REQUEST: usize = 64 << 20;

pub(super) struct SandboxLog {
    key: LogKey,
    host: String,
    path: PathBuf,
    kept: Mutex<KeptLog>,
}

#[derive(Default)]
struct KeptLog {
    tree: MerkleTree,
    entries: Vec<StoredLogEntry>,
    by_leaf: HashMap<String, usize>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredLogEntry {
    body: String,
    integrated_time: i64,
    /// `sha256:<hex>` of what the index endpoint finds this entry by.
    hashes: Vec<String>,
}

impl StoredLogEntry {
    fn leaf(&self) -> Vec<u8> {
        merkle::leaf_hash(&STANDARD.decode(&self.body).unwrap_or_default())
    }
}

#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error("error processing entry: {0}")]
    Refused(#[from] RefusedLogEntry),
    #[error("an equivalent entry already exists in the transparency log with UUID {uuid}")]
    Exists { uuid: String },
    #[error("no entry `{wanted}`")]
    Absent { wanted: String },
    #[error(transparent)]
    Internal(#[from] SandboxError),
}

impl IntoResponse for LogError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::Exists { .. } => StatusCode::CONFLICT,
            Self::Absent { .. } => StatusCode::NOT_FOUND,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body = Json(json!({"code": status.as_u16(), "message": self.to_string()}));
        match self {
            Self::Exists { uuid } => {
                (status, [(LOCATION, entry_path(&uuid))], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

fn entry_path(uuid: &str) -> String {
    format!("/api/v1/log/entries/{uuid}")
}

impl SandboxLog {
    pub(super) fn kept_in(dir: &Path, key: LogKey, host: String) -> Result<Self, SandboxError> {
        let path = dir.join("entries.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(SandboxError::File { path, source }),
        };
        let log = Self { key, host, path, kept: Mutex::default() };
        for line in text.lines() {
            let entry: StoredLogEntry = serde_json::from_str(line)
                .map_err(|source| SandboxError::Json { path: log.path.clone(), source })?;
            let leaf = entry.leaf();
            held(&log.kept).append(entry, leaf);
        }
        Ok(log)
    }

    pub(super) fn public_der(&self) -> &[u8] {
        self.key.public_der()
    }

    pub(super) fn log_id(&self) -> Vec<u8> {
        self.key.log_id()
    }

    /// A positive 63-bit number that stays with the key.
    fn tree_id(&self) -> u64 {
        self.log_id().iter().take(8).fold(0u64, |id, byte| (id << 8) | u64::from(*byte)) >> 1
    }

    fn uuid(&self, leaf: &[u8]) -> String {
        format!("{:016x}{}", self.tree_id(), hex::encode(leaf))
    }

    fn add(&self, request: &Value) -> Result<(String, Value), LogError> {
        let accepted = proposed::accepted(request)?;
        let leaf = merkle::leaf_hash(&accepted.body);
        let uuid = self.uuid(&leaf);
        let mut kept = held(&self.kept);
        if kept.by_leaf.contains_key(&hex::encode(&leaf)) {
            return Err(LogError::Exists { uuid });
        }
        let entry = StoredLogEntry {
            body: STANDARD.encode(&accepted.body),
            integrated_time: Timestamp::now().as_second(),
            hashes: accepted.hashes,
        };
        self.write(&entry)?;
        let index = kept.append(entry, leaf);
        Ok((uuid, self.presented(&kept, index)?))
    }

    fn write(&self, entry: &StoredLogEntry) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::File { path: self.path.clone(), source };
        let line = serde_json::to_string(entry)
            .map_err(|source| SandboxError::Json { path: self.path.clone(), source })?;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(failed)?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(failed)
    }

    fn checkpoint(&self, kept: &KeptLog) -> Result<String, SandboxError> {
        let root = STANDARD.encode(kept.tree.root());
        let note = format!("{} - {}\n{}\n{root}\n", self.host, self.tree_id(), kept.tree.len());
        let signature = [&self.log_id()[..4], &self.key.sign(note.as_bytes())?].concat();
        Ok(format!("{note}\n\u{2014} {} {}\n", self.host, STANDARD.encode(signature)))
    }

    fn presented(&self, kept: &KeptLog, index: usize) -> Result<Value, SandboxError> {
        let entry = &kept.entries[index];
        let mut presented = json!({
            "body": entry.body,
            "integratedTime": entry.integrated_time,
            "logID": hex::encode(self.log_id()),
            "logIndex": EARLIER_ENTRIES + index,
        });
        let promise = self.key.sign(&keys::canonical_json(&presented)?)?;
        presented["verification"] = json!({
            "signedEntryTimestamp": STANDARD.encode(promise),
            "inclusionProof": {
                "checkpoint": self.checkpoint(kept)?,
                "hashes": kept.tree.inclusion_proof(index).iter().map(hex::encode).collect::<Vec<_>>(),
                "logIndex": index,
                "rootHash": hex::encode(kept.tree.root()),
                "treeSize": kept.tree.len(),
            },
        });
        Ok(presented)
    }

    /// `{uuid: entry}` for a leaf hash, a full entry id or a global index.
    fn found(&self, wanted: &WantedEntries) -> Result<Value, LogError> {
        let kept = held(&self.kept);
        let index = match wanted {
            WantedEntries::Id(id) => id
                .get(id.len().saturating_sub(64)..)
                .and_then(|leaf| kept.by_leaf.get(leaf))
                .copied(),
            WantedEntries::Index(index) => {
                index.checked_sub(EARLIER_ENTRIES).filter(|index| *index < kept.entries.len())
            }
        };
        let index = index.ok_or_else(|| LogError::Absent { wanted: format!("{wanted:?}") })?;
        let uuid = self.uuid(&kept.entries[index].leaf());
        Ok(json!({uuid: self.presented(&kept, index)?}))
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/api/v1/log", get(log_info))
            .route("/api/v1/log/publicKey", get(public_key))
            .route("/api/v1/log/entries", post(create).get(by_index))
            .route("/api/v1/log/entries/retrieve", post(retrieve))
            .route("/api/v1/log/entries/{id}", get(by_id))
            .route("/api/v1/index/retrieve", post(search))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self)
    }
}

#[derive(Debug)]
enum WantedEntries {
    Id(String),
    Index(usize),
}

impl KeptLog {
    fn append(&mut self, entry: StoredLogEntry, leaf: Vec<u8>) -> usize {
        let index = self.entries.len();
        self.by_leaf.insert(hex::encode(&leaf), index);
        self.entries.push(entry);
        self.tree.push(leaf);
        index
    }
}

/// The JSON of a request, whatever content type it was sent with.
fn document(body: &[u8]) -> Result<Value, LogError> {
    serde_json::from_slice(body).map_err(|_| RefusedLogEntry::Field { field: "body" }.into())
}

async fn create(State(log): State<Arc<SandboxLog>>, body: Bytes) -> Result<Response, LogError> {
    let (uuid, entry) = log.add(&document(&body)?)?;
    let headers = [(ETAG, uuid.clone()), (LOCATION, entry_path(&uuid))];
    Ok((StatusCode::CREATED, headers, Json(json!({uuid: entry}))).into_response())
}

async fn by_id(
    State(log): State<Arc<SandboxLog>>,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Value>, LogError> {
    log.found(&WantedEntries::Id(id)).map(Json)
}

#[derive(Deserialize)]
struct IndexQuery {
    #[serde(rename = "logIndex")]
    log_index: usize,
}

async fn by_index(
    State(log): State<Arc<SandboxLog>>,
    Query(query): Query<IndexQuery>,
) -> Result<Json<Value>, LogError> {
    log.found(&WantedEntries::Index(query.log_index)).map(Json)
}

/// Entries by proposed content, by id and by index; go-openapi clients send `null` for a list they
/// do not use.
async fn retrieve(
    State(log): State<Arc<SandboxLog>>,
    body: Bytes,
) -> Result<Json<Value>, LogError> {
    let request = document(&body)?;
    let list = |field: &str| request[field].as_array().cloned().unwrap_or_default();
    let mut wanted = Vec::new();
    for entry in list("entries") {
        let leaf = merkle::leaf_hash(&proposed::accepted(&entry)?.body);
        wanted.push(WantedEntries::Id(hex::encode(leaf)));
    }
    let ids = list("entryUUIDs").into_iter().filter_map(|id| id.as_str().map(str::to_owned));
    wanted.extend(ids.map(WantedEntries::Id));
    let indexes = list("logIndexes").into_iter().filter_map(|index| index.as_u64());
    wanted
        .extend(indexes.filter_map(|index| usize::try_from(index).ok()).map(WantedEntries::Index));
    let found: Vec<Value> = wanted.iter().filter_map(|wanted| log.found(wanted).ok()).collect();
    Ok(Json(found.into()))
}

async fn search(State(log): State<Arc<SandboxLog>>, body: Bytes) -> Result<Json<Value>, LogError> {
    let request = document(&body)?;
    let hash = request["hash"].as_str().unwrap_or_default();
    let hash = if hash.contains(':') { hash.to_owned() } else { format!("sha256:{hash}") };
    let kept = held(&log.kept);
    let matching = kept.entries.iter().filter(|entry| entry.hashes.contains(&hash));
    let uuids: Vec<String> = matching.map(|entry| log.uuid(&entry.leaf())).collect();
    Ok(Json(json!(uuids)))
}

async fn log_info(State(log): State<Arc<SandboxLog>>) -> Result<Json<Value>, LogError> {
    let kept = held(&log.kept);
    Ok(Json(json!({
        "inactiveShards": [],
        "rootHash": hex::encode(kept.tree.root()),
        "signedTreeHead": log.checkpoint(&kept)?,
        "treeID": log.tree_id().to_string(),
        "treeSize": kept.tree.len(),
    })))
}

async fn public_key(State(log): State<Arc<SandboxLog>>) -> Response {
    ([(CONTENT_TYPE, "application/x-pem-file")], keys::pem("PUBLIC KEY", log.public_der()))
        .into_response()
}
