//! Makes the storage that some registries send their clients to for blobs: another host, a signed
//! URL. It never serves a request that carries a login as well, which S3 refuses, and which would
//! mean that credentials travelled to a host they were not given for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::SandboxRegistry;
use super::blobs::CONTENT_DIGEST;
use super::errors::ServedError;
use super::names::{ServedDigest, ServedName};

impl SandboxRegistry {
    pub(in crate::sandbox) fn storage_router(self: Arc<Self>) -> Router {
        Router::new().fallback(serve).with_state(self)
    }

    pub(super) fn sent_to_storage(
        &self,
        status: u16,
        name: &ServedName,
        digest: &ServedDigest,
    ) -> Response {
        let location =
            format!("http://{}/{}/{}?signature=0f1e", self.storage, name.as_str(), digest.as_str());
        (
            StatusCode::from_u16(status).unwrap_or(StatusCode::TEMPORARY_REDIRECT),
            [(LOCATION, location)],
        )
            .into_response()
    }

    /// A `Location` as this registry writes it.
    pub(super) fn located(&self, path: String) -> String {
        if self.manners.absolute_locations { format!("http://{}{path}", self.host) } else { path }
    }

    /// Takes from a head what this registry leaves out.
    pub(super) fn bare(&self, headers: &mut HeaderMap) {
        if self.manners.bare_heads {
            headers.remove(CONTENT_LENGTH);
            headers.remove(CONTENT_DIGEST);
        }
    }
}

async fn serve(State(registry): State<Arc<SandboxRegistry>>, request: Request) -> Response {
    if request.headers().contains_key(AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    let (parts, _) = request.into_parts();
    found(&registry, &parts).await.unwrap_or_else(IntoResponse::into_response)
}

async fn found(registry: &SandboxRegistry, request: &Parts) -> Result<Response, ServedError> {
    let path = request.uri.path().trim_start_matches('/');
    let unknown = || ServedError::NameUnknown { name: path.to_owned() };
    let (name, digest) = path.rsplit_once('/').ok_or_else(unknown)?;
    registry
        .read_blob(
            &request.method,
            &ServedName::parse(name)?,
            &ServedDigest::parse(digest)?,
            &request.headers,
        )
        .await
}
