//! Makes the few GitHub API answers a publishing workflow asks for; it never checks a token's
//! permissions.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::claims::Claims;
use super::faults::held;
use super::history::CommitHistory;

const MAX_REQUEST: usize = 32 << 20;

pub(super) struct GitHub {
    claims: Claims,
    about: Option<(String, String)>,
    kept: Mutex<KeptAttestations>,
    pub(super) history: Mutex<CommitHistory>,
}

#[derive(Default)]
struct KeptAttestations {
    last_id: u64,
    /// By `owner/name` and then by subject digest.
    attestations: HashMap<String, Vec<(String, Value)>>,
    /// By the id of an upload: what is wrong with it, and whether somebody asked already.
    sarif: HashMap<String, (Option<String>, bool)>,
    issues: Vec<Value>,
}

impl KeptAttestations {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl GitHub {
    pub(super) fn new(claims: Claims, about: Option<(String, String)>) -> Self {
        Self { claims, about, kept: Mutex::default(), history: Mutex::default() }
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/repos/{owner}/{name}", get(repository))
            .route("/repos/{owner}/{name}/compare/{range}", get(compare))
            .route("/repos/{owner}/{name}/commits/{*git_ref}", get(commit))
            .route("/repos/{owner}/{name}/git/matching-refs/{*start}", get(matching))
            .route("/repos/{owner}/{name}/attestations", post(attest))
            .route("/repos/{owner}/{name}/attestations/{digest}", get(attestations))
            .route("/repos/{owner}/{name}/code-scanning/sarifs", post(upload_sarif))
            .route("/repos/{owner}/{name}/code-scanning/sarifs/{id}", get(sarif_status))
            .route("/repos/{owner}/{name}/issues", get(issues).post(open_issue))
            .route("/repos/{owner}/{name}/issues/{number}", patch(change_issue))
            .route("/repos/{owner}/{name}/issues/{number}/comments", post(comment))
            .route("/repos/{owner}/{name}/dependency-graph/snapshots", post(submit_dependencies))
            .fallback(absent)
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self)
    }
}

/// The error document of GitHub's API.
fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.as_u16().to_string()});
    (status, Json(body)).into_response()
}

async fn absent() -> Response {
    problem(StatusCode::NOT_FOUND, "Not Found")
}

async fn repository(
    State(github): State<Arc<GitHub>>,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    let claims = &github.claims;
    let full_name = format!("{owner}/{name}");
    if full_name != claims.repository {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    }
    let id: u64 = claims.repository_id.parse().unwrap_or(0);
    let owner_id: u64 = claims.repository_owner_id.parse().unwrap_or(0);
    let page = format!("https://github.com/{full_name}");
    let (description, licence) = github.about.clone().unzip();
    let licence = licence.map(|id| json!({"key": id.to_lowercase(), "name": id, "spdx_id": id}));
    Json(json!({
        "id": id, "node_id": format!("R_{id}"), "name": name, "full_name": full_name,
        "url": format!("https://api.github.com/repos/{full_name}"), "html_url": page,
        "owner": {"id": owner_id, "login": owner},
        "private": claims.repository_visibility != "public", "visibility": claims.repository_visibility,
        "description": description, "default_branch": "main", "fork": false,
        "license": licence,
    }))
    .into_response()
}

async fn commit(
    State(github): State<Arc<GitHub>>,
    Path((.., git_ref)): Path<(String, String, String)>,
) -> Response {
    let head = held(&github.history).head(&git_ref);
    match head {
        Some(head) => Json(head).into_response(),
        None => absent().await,
    }
}

async fn matching(
    State(github): State<Arc<GitHub>>,
    Path((.., start)): Path<(String, String, String)>,
) -> Response {
    let found = held(&github.history).matching(&start);
    match found {
        Some(found) => Json(found).into_response(),
        None => absent().await,
    }
}

/// Where nobody wrote a history, the commit of the run is the head of its default branch.
async fn compare(
    State(github): State<Arc<GitHub>>,
    Path((owner, name, range)): Path<(String, String, String)>,
) -> Response {
    let is_ours = format!("{owner}/{name}") == github.claims.repository;
    let status = match range.split_once("...").filter(|_| is_ours) {
        Some((base, head)) => {
            let told = held(&github.history).compared(base, head);
            told.or_else(|| (base == github.claims.sha && head == "main").then_some("identical"))
        }
        None => None,
    };
    match status {
        Some(status) => Json(json!({ "status": status, "ahead_by": 0, "behind_by": 0, "total_commits": 0, "commits": [] })).into_response(),
        None => absent().await,
    }
}

/// The digests of the statement in a bundle's DSSE envelope.
fn subjects(bundle: &Value) -> Option<Vec<String>> {
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str()?).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let subjects = statement["subject"].as_array()?;
    subjects
        .iter()
        .map(|subject| Some(format!("sha256:{}", subject["digest"]["sha256"].as_str()?)))
        .collect()
}

async fn attest(
    State(github): State<Arc<GitHub>>,
    Path((owner, name)): Path<(String, String)>,
    Json(request): Json<Value>,
) -> Response {
    let bundle = &request["bundle"];
    let Some(digests) = subjects(bundle).filter(|digests| !digests.is_empty()) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Invalid bundle");
    };
    let repository_id: u64 = github.claims.repository_id.parse().unwrap_or(0);
    let mut kept = held(&github.kept);
    let id = kept.next_id();
    let stored = json!({"bundle": bundle, "repository_id": repository_id, "bundle_url": Value::Null, "initiator": "user"});
    let of_repository = kept.attestations.entry(format!("{owner}/{name}")).or_default();
    of_repository.extend(digests.into_iter().map(|digest| (digest, stored.clone())));
    (StatusCode::CREATED, Json(json!({"id": id}))).into_response()
}

async fn attestations(
    State(github): State<Arc<GitHub>>,
    Path((owner, name, digest)): Path<(String, String, String)>,
) -> Json<Value> {
    let kept = held(&github.kept);
    let of_repository =
        kept.attestations.get(&format!("{owner}/{name}")).map(Vec::as_slice).unwrap_or_default();
    let matching: Vec<&Value> = of_repository
        .iter()
        .filter(|(subject, _)| *subject == digest)
        .map(|(_, stored)| stored)
        .collect();
    Json(json!({"attestations": matching}))
}

/// Takes SARIF as GitHub does: at once, and looked into later.
async fn upload_sarif(
    State(github): State<Arc<GitHub>>,
    Path((owner, name)): Path<(String, String)>,
    Json(request): Json<Value>,
) -> Response {
    let complete = ["commit_sha", "ref", "sarif"].iter().all(|field| request[*field].is_string());
    if !complete {
        return problem(StatusCode::BAD_REQUEST, "commit_sha, ref and sarif are required");
    }
    let wrong = request["sarif"].as_str().and_then(|packed| wrong_sarif(packed).err());
    let mut kept = held(&github.kept);
    let id = kept.next_id().to_string();
    kept.sarif.insert(id.clone(), (wrong, false));
    let url = format!("https://api.github.com/repos/{owner}/{name}/code-scanning/sarifs/{id}");
    (StatusCode::ACCEPTED, Json(json!({"id": id, "url": url}))).into_response()
}

/// Why GitHub would not show it.
fn wrong_sarif(packed: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(packed).map_err(|error| error.to_string())?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .take(MAX_REQUEST as u64)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let sarif: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let runs = sarif["runs"].as_array().ok_or("there are no runs")?;
    // What follows the last `/` is the number of a run.
    let of_run = |run: &Value| {
        let tool = run["tool"]["driver"]["name"].as_str().map(str::to_owned);
        let id = run["automationDetails"]["id"].as_str().unwrap_or_default();
        Some((tool?, id.rsplit_once('/').map_or("", |(category, _)| category).to_owned()))
    };
    let mut categories: Vec<(String, String)> = runs.iter().filter_map(of_run).collect();
    categories.sort_unstable();
    categories.dedup();
    match runs.len() {
        0..=20 if categories.len() == runs.len() => Ok(()),
        0..=20 => Err("two runs have one category".to_owned()),
        _ => Err("there are more than 20 runs".to_owned()),
    }
}

/// The first look finds it pending.
async fn sarif_status(
    State(github): State<Arc<GitHub>>,
    Path((owner, name, id)): Path<(String, String, String)>,
) -> Response {
    let mut kept = held(&github.kept);
    let Some((wrong, is_looked_at)) = kept.sarif.get_mut(&id) else {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    };
    let pending = !std::mem::replace(is_looked_at, true);
    let analyses =
        format!("https://api.github.com/repos/{owner}/{name}/code-scanning/analyses?sarif_id={id}");
    let body = match wrong {
        _ if pending => json!({"processing_status": "pending"}),
        Some(why) => json!({"processing_status": "failed", "errors": [why]}),
        None => json!({"processing_status": "complete", "analyses_url": analyses}),
    };
    Json(body).into_response()
}

async fn issues(State(github): State<Arc<GitHub>>) -> Json<Value> {
    let kept = held(&github.kept);
    let open = kept.issues.iter().filter(|issue| issue["state"] == "open");
    Json(open.cloned().collect())
}

async fn open_issue(State(github): State<Arc<GitHub>>, Json(request): Json<Value>) -> Response {
    if !request["title"].is_string() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    }
    let mut kept = held(&github.kept);
    let number = kept.next_id();
    let issue = json!({
        "number": number, "title": request["title"], "body": request["body"], "state": "open",
        "user": { "login": "github-actions[bot]", "type": "Bot" }, "author_association": "NONE",
        "comments": 0,
    });
    kept.issues.push(issue.clone());
    (StatusCode::CREATED, Json(issue)).into_response()
}

async fn change_issue(
    State(github): State<Arc<GitHub>>,
    Path((.., number)): Path<(String, String, u64)>,
    Json(request): Json<Value>,
) -> Response {
    let mut kept = held(&github.kept);
    let Some(issue) = kept.issues.iter_mut().find(|issue| issue["number"] == number) else {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    };
    for field in ["title", "body", "state", "state_reason"] {
        if let Some(value) = request.get(field) {
            issue[field] = value.clone();
        }
    }
    Json(issue.clone()).into_response()
}

async fn comment(
    State(github): State<Arc<GitHub>>,
    Path((.., number)): Path<(String, String, u64)>,
    Json(request): Json<Value>,
) -> Response {
    let mut kept = held(&github.kept);
    let Some(issue) = kept.issues.iter_mut().find(|issue| issue["number"] == number) else {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    };
    issue["comments"] = json!(issue["comments"].as_u64().unwrap_or_default() + 1);
    (StatusCode::CREATED, Json(json!({ "id": 1, "body": request["body"] }))).into_response()
}

async fn submit_dependencies(
    State(github): State<Arc<GitHub>>,
    Json(request): Json<Value>,
) -> Response {
    let complete = ["sha", "ref", "scanned"].iter().all(|field| request[*field].is_string());
    if !complete || !request["job"].is_object() || !request["detector"].is_object() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Invalid snapshot");
    }
    let id = held(&github.kept).next_id();
    let body = json!({
        "id": id, "created_at": Timestamp::now().to_string(), "result": "SUCCESS",
        "message": "Dependency results for the repo have been successfully updated.",
    });
    (StatusCode::CREATED, Json(body)).into_response()
}
