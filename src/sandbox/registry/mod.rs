//! Makes an OCI registry (distribution specification 1.1) over a folder; it never answers for a
//! path it did not parse whole.

mod auth;
mod blobs;
mod errors;
mod manifests;
mod names;
mod packages;
mod preload;
mod referrers;
mod storage;
mod store;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::habits::{HabitsInEffect, PullVerdict};
use super::{SandboxConfig, SandboxError};
use auth::SandboxAuth;
use blobs::{Parameters, Uploads};
use errors::ServedError;
use names::{ServedDigest, ServedName, ServedReference};
use store::SandboxStore;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

pub(super) struct SandboxRegistry {
    store: SandboxStore,
    uploads: Uploads,
    manners: HabitsInEffect,
    /// Host and port of this registry, and of the storage behind it.
    host: String,
    storage: String,
    owner_is_user: bool,
    auth: Option<SandboxAuth>,
    /// Checks of `If-Match` and the write that follows are one step.
    manifest_writes: tokio::sync::Mutex<()>,
}

impl SandboxRegistry {
    pub(super) async fn open(
        config: &SandboxConfig,
        host: String,
        storage: String,
    ) -> Result<Arc<Self>, SandboxError> {
        let root = config.dir.join("registry");
        let store = SandboxStore::open(root.clone())
            .await
            .map_err(|source| SandboxError::File { path: root, source })?;
        let manners = HabitsInEffect::new(config.habit, config.referrers_api);
        Ok(Arc::new(Self {
            store,
            uploads: Uploads::default(),
            auth: config
                .registry_login
                .clone()
                .map(|login| SandboxAuth::new(login, host.clone(), &manners)),
            manners,
            host,
            storage,
            owner_is_user: config.owner_is_user,
            manifest_writes: tokio::sync::Mutex::new(()),
        }))
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/token", get(auth::give_token).post(auth::exchange_password))
            .fallback(answer)
            .with_state(self)
    }

    async fn dispatch(&self, request: Request) -> Result<Response, ServedError> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().replace("%3A", ":").replace("%3a", ":");
        let target = PathTarget::parse(&parts.method, &path)?;
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map(|Query(pairs)| pairs)
            .unwrap_or_default();
        let parameter = |wanted: &str| {
            query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let parameters = Parameters {
            digest: parameter("digest"),
            mount: parameter("mount"),
            from: parameter("from"),
        };
        let parameters = self.authorized(&parts.method, &target, &parts.headers, parameters)?;
        let (method, headers) = (&parts.method, &parts.headers);
        self.within_limits(method, &target, &path)?;
        match &target {
            PathTarget::Ping => Ok(axum::Json(serde_json::json!({})).into_response()),
            PathTarget::Tags(name) => {
                let limit = parameter("n").and_then(|text| text.parse().ok());
                self.tags(name, limit, parameter("last").as_deref()).await
            }
            PathTarget::Manifest(name, reference) => {
                self.manifest(method, name, reference, headers, body).await
            }
            PathTarget::Blob(name, digest) => self.blob(method, name, digest, headers).await,
            PathTarget::NewUpload(name) => self.begin_upload(name, &parameters, body).await,
            PathTarget::Upload(name, id) => {
                self.upload(method, name, id, &parameters, headers, body).await
            }
            PathTarget::Referrers(name, digest) => {
                let asked = referrers::ReferrersQuery {
                    artifact_type: parameter("artifactType"),
                    last: parameter("last"),
                };
                self.referrers(method, name, digest, &asked).await
            }
        }
    }

    /// Counts the pulls where they are limited.
    fn within_limits(
        &self,
        method: &Method,
        target: &PathTarget,
        path: &str,
    ) -> Result<(), ServedError> {
        let (Some(limit), PathTarget::Manifest(..), &Method::GET) =
            (&self.manners.limit, target, method)
        else {
            return Ok(());
        };
        match limit.judge(path, std::time::Instant::now()) {
            PullVerdict::Served => Ok(()),
            PullVerdict::TooMany { wait } => Err(ServedError::TooMany { wait }),
            PullVerdict::Impatient => Err(ServedError::Impatient),
        }
    }

    /// Refuses a request its token does not cover. A mount also reads its source; without that
    /// right it is a plain upload.
    fn authorized(
        &self,
        method: &Method,
        target: &PathTarget,
        headers: &HeaderMap,
        parameters: Parameters,
    ) -> Result<Parameters, ServedError> {
        let Some(auth) = &self.auth else {
            return Ok(parameters);
        };
        let needed: Vec<String> =
            target.name().map(|name| auth::scope(method, name)).into_iter().collect();
        auth.check(headers, &needed)?;
        let source = parameters.from.as_deref().and_then(|from| ServedName::parse(from).ok());
        let readable = source
            .is_none_or(|from| auth.check(headers, &[auth::scope(&Method::GET, &from)]).is_ok());
        let mount = parameters.mount.filter(|_| readable);
        Ok(Parameters { mount, ..parameters })
    }
}

async fn answer(State(registry): State<Arc<SandboxRegistry>>, request: Request) -> Response {
    let mut response = registry.dispatch(request).await.unwrap_or_else(IntoResponse::into_response);
    if response.status() == StatusCode::OK || response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    }
    response
}

/// What a path under `/v2/` means.
enum PathTarget {
    Ping,
    Tags(ServedName),
    Manifest(ServedName, ServedReference),
    Blob(ServedName, ServedDigest),
    NewUpload(ServedName),
    Upload(ServedName, String),
    Referrers(ServedName, ServedDigest),
}

impl PathTarget {
    /// Reads from the right, because a name may have any number of components.
    fn parse(method: &Method, path: &str) -> Result<Self, ServedError> {
        let unknown = || ServedError::NameUnknown { name: path.to_owned() };
        let rest = match path {
            "/v2" | "/v2/" => return Ok(Self::Ping),
            _ => path.strip_prefix("/v2/").ok_or_else(unknown)?,
        };
        if let Some(name) =
            rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
            && method == Method::POST
        {
            return ServedName::parse(name).map(Self::NewUpload);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return ServedName::parse(name).map(Self::Tags);
        }
        let (before, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
        let (name, kind) = before.rsplit_once('/').ok_or_else(unknown)?;
        match kind {
            "manifests" => {
                Ok(Self::Manifest(ServedName::parse(name)?, ServedReference::parse(last)?))
            }
            "blobs" => Ok(Self::Blob(ServedName::parse(name)?, ServedDigest::parse(last)?)),
            "referrers" => {
                Ok(Self::Referrers(ServedName::parse(name)?, ServedDigest::parse(last)?))
            }
            "uploads" => {
                let name = name.strip_suffix("/blobs").ok_or_else(unknown)?;
                Ok(Self::Upload(ServedName::parse(name)?, last.to_owned()))
            }
            _ => Err(unknown()),
        }
    }

    fn name(&self) -> Option<&ServedName> {
        match self {
            Self::Ping => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::NewUpload(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}
