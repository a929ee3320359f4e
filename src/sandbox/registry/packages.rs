//! Makes GitHub's API for container packages out of what the registry holds; it never lists a
//! version that was not pushed.
//!
//! Reference: <https://docs.github.com/rest/packages/packages>.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::SandboxRegistry;
use super::errors::ServedError;
use super::names::{ServedDigest, ServedName, ServedReference};

type PackagePairs = Vec<(String, String)>;

impl SandboxRegistry {
    pub(in crate::sandbox) fn packages_router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/users/{owner}", get(owner))
            .route("/{kind}/{owner}/packages/container/{package}/versions", get(versions))
            .route("/{kind}/{owner}/packages/container/{package}/versions/{id}", delete(remove))
            .with_state(self)
    }

    fn kind(&self) -> &'static str {
        if self.owner_is_user { "users" } else { "orgs" }
    }

    /// The repository of a package, if it is asked for under the right kind of owner.
    fn packaged(&self, kind: &str, owner: &str, package: &str) -> Option<ServedName> {
        (kind == self.kind()).then(|| ServedName::parse(&format!("{owner}/{package}")).ok())?
    }

    async fn listed(
        &self,
        name: &ServedName,
    ) -> Result<Vec<(u64, ServedDigest, Value)>, ServedError> {
        let mut tagged = Vec::new();
        for tag in self.store.tags(name).await? {
            tagged.extend(self.store.tag(name, &tag).await?.map(|digest| (tag, digest)));
        }
        let manifests = self.store.manifests(name).await?;
        let version = |(digest, time): (ServedDigest, std::time::SystemTime)| {
            let id = u64::from_str_radix(digest.hex().get(..12)?, 16).ok()?;
            let time = Timestamp::try_from(time).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let tags: Vec<&String> =
                tagged.iter().filter(|(_, named)| *named == digest).map(|(tag, _)| tag).collect();
            let version = json!({
                "id": id, "name": digest.as_str(), "created_at": time, "updated_at": time,
                "metadata": { "package_type": "container", "container": { "tags": tags } },
            });
            Some((id, digest, version))
        };
        Ok(manifests.into_iter().filter_map(version).collect())
    }
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.as_str() })))
        .into_response()
}

async fn owner(
    State(registry): State<Arc<SandboxRegistry>>,
    Path(owner): Path<String>,
) -> Json<Value> {
    Json(
        json!({ "login": owner, "type": if registry.owner_is_user { "User" } else { "Organization" } }),
    )
}

async fn versions(
    State(registry): State<Arc<SandboxRegistry>>,
    Path((kind, owner, package)): Path<(String, String, String)>,
    Query(query): Query<PackagePairs>,
) -> Response {
    let number = |wanted: &str, otherwise: usize| {
        query
            .iter()
            .find(|(name, _)| name == wanted)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(otherwise)
    };
    let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let Some(name) = registry.packaged(&kind, &owner, &package) else {
        return problem(StatusCode::NOT_FOUND, "Package not found.");
    };
    match registry.listed(&name).await {
        Ok(all) if all.is_empty() && page == 1 => {
            problem(StatusCode::NOT_FOUND, "Package not found.")
        }
        Ok(all) => Json(
            all.into_iter()
                .map(|(.., version)| version)
                .skip((page - 1) * size)
                .take(size)
                .collect::<Value>(),
        )
        .into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn remove(
    State(registry): State<Arc<SandboxRegistry>>,
    Path((kind, owner, package, id)): Path<(String, String, String, u64)>,
) -> Response {
    let Some(name) = registry.packaged(&kind, &owner, &package) else {
        return problem(StatusCode::NOT_FOUND, "Package not found.");
    };
    let all = match registry.listed(&name).await {
        Ok(all) => all,
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let Some((_, digest, version)) = all.iter().find(|(known, ..)| *known == id) else {
        return problem(StatusCode::NOT_FOUND, "Package not found.");
    };
    let has_name = |version: &Value| {
        version["metadata"]["container"]["tags"].as_array().is_some_and(|tags| !tags.is_empty())
    };
    if has_name(version) && all.iter().filter(|(.., version)| has_name(version)).count() == 1 {
        return problem(
            StatusCode::BAD_REQUEST,
            "You cannot delete the last tagged version of a package. You must delete the package instead.",
        );
    }
    match registry.delete_manifest(&name, &ServedReference::Digest(digest.clone())).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
