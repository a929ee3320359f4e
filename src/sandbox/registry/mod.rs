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

use super::habits::{Manners, Verdict};
use super::{Config, SandboxError};
use auth::Auth;
use blobs::{Parameters, Uploads};
use errors::RegistryError;
use names::{Digest, Name, Reference};
use store::Store;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

pub(super) struct Registry {
    store: Store,
    uploads: Uploads,
    manners: Manners,
    /// Host and port of this registry, and of the storage behind it.
    host: String,
    storage: String,
    owner_is_user: bool,
    auth: Option<Auth>,
    /// Checks of `If-Match` and the write that follows are one step.
    manifest_writes: tokio::sync::Mutex<()>,
}

impl Registry {
    pub(super) async fn open(
        config: &Config,
        host: String,
        storage: String,
    ) -> Result<Arc<Self>, SandboxError> {
        let root = config.dir.join("registry");
        let store = Store::open(root.clone())
            .await
            .map_err(|source| SandboxError::File { path: root, source })?;
        let manners = Manners::new(config.habit, config.referrers_api);
        Ok(Arc::new(Self {
            store,
            uploads: Uploads::default(),
            auth: config
                .registry_login
                .clone()
                .map(|login| Auth::new(login, host.clone(), &manners)),
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

    async fn dispatch(&self, request: Request) -> Result<Response, RegistryError> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().replace("%3A", ":").replace("%3a", ":");
        let target = Target::parse(&parts.method, &path)?;
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
            Target::Ping => Ok(axum::Json(serde_json::json!({})).into_response()),
            Target::Tags(name) => {
                let limit = parameter("n").and_then(|text| text.parse().ok());
                self.tags(name, limit, parameter("last").as_deref()).await
            }
            Target::Manifest(name, reference) => {
                self.manifest(method, name, reference, headers, body).await
            }
            Target::Blob(name, digest) => self.blob(method, name, digest, headers).await,
            Target::NewUpload(name) => self.begin_upload(name, &parameters, body).await,
            Target::Upload(name, id) => {
                self.upload(method, name, id, &parameters, headers, body).await
            }
            Target::Referrers(name, digest) => {
                let asked = referrers::Asked {
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
        target: &Target,
        path: &str,
    ) -> Result<(), RegistryError> {
        let (Some(limit), Target::Manifest(..), &Method::GET) =
            (&self.manners.limit, target, method)
        else {
            return Ok(());
        };
        match limit.judge(path, std::time::Instant::now()) {
            Verdict::Served => Ok(()),
            Verdict::TooMany { wait } => Err(RegistryError::TooMany { wait }),
            Verdict::Impatient => Err(RegistryError::Impatient),
        }
    }

    /// Refuses a request its token does not cover. A mount also reads its source; without that
    /// right it is a plain upload.
    fn authorized(
        &self,
        method: &Method,
        target: &Target,
        headers: &HeaderMap,
        parameters: Parameters,
    ) -> Result<Parameters, RegistryError> {
        let Some(auth) = &self.auth else {
            return Ok(parameters);
        };
        let needed: Vec<String> =
            target.name().map(|name| auth::scope(method, name)).into_iter().collect();
        auth.check(headers, &needed)?;
        let source = parameters.from.as_deref().and_then(|from| Name::parse(from).ok());
        let readable = source
            .is_none_or(|from| auth.check(headers, &[auth::scope(&Method::GET, &from)]).is_ok());
        let mount = parameters.mount.filter(|_| readable);
        Ok(Parameters { mount, ..parameters })
    }
}

async fn answer(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let mut response = registry.dispatch(request).await.unwrap_or_else(IntoResponse::into_response);
    if response.status() == StatusCode::OK || response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    }
    response
}

/// What a path under `/v2/` means.
enum Target {
    Ping,
    Tags(Name),
    Manifest(Name, Reference),
    Blob(Name, Digest),
    NewUpload(Name),
    Upload(Name, String),
    Referrers(Name, Digest),
}

impl Target {
    /// Reads from the right, because a name may have any number of components.
    fn parse(method: &Method, path: &str) -> Result<Self, RegistryError> {
        let unknown = || RegistryError::NameUnknown { name: path.to_owned() };
        let rest = match path {
            "/v2" | "/v2/" => return Ok(Self::Ping),
            _ => path.strip_prefix("/v2/").ok_or_else(unknown)?,
        };
        if let Some(name) =
            rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
            && method == Method::POST
        {
            return Name::parse(name).map(Self::NewUpload);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Name::parse(name).map(Self::Tags);
        }
        let (before, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
        let (name, kind) = before.rsplit_once('/').ok_or_else(unknown)?;
        match kind {
            "manifests" => Ok(Self::Manifest(Name::parse(name)?, Reference::parse(last)?)),
            "blobs" => Ok(Self::Blob(Name::parse(name)?, Digest::parse(last)?)),
            "referrers" => Ok(Self::Referrers(Name::parse(name)?, Digest::parse(last)?)),
            "uploads" => {
                let name = name.strip_suffix("/blobs").ok_or_else(unknown)?;
                Ok(Self::Upload(Name::parse(name)?, last.to_owned()))
            }
            _ => Err(unknown()),
        }
    }

    fn name(&self) -> Option<&Name> {
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
