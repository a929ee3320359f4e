//! Makes the index of what refers to a manifest; it never lists what was not pushed with that
//! subject.

use axum::http::header::{CONTENT_TYPE, HeaderName, LINK};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::SandboxRegistry;
use super::errors::ServedError;
use super::names::{ServedDigest, ServedName};
use super::store::StoredManifest;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Parameters of the referrers endpoint.
pub(super) struct ReferrersQuery {
    pub(super) artifact_type: Option<String>,
    /// The digest at which the page before ended.
    pub(super) last: Option<String>,
}

/// The descriptor the referrers endpoint lists for a manifest with a subject.
pub(super) fn descriptor(
    digest: &ServedDigest,
    manifest: &StoredManifest,
    document: &Value,
) -> Value {
    let mut descriptor = json!({
        "mediaType": manifest.media_type, "digest": digest.as_str(), "size": manifest.bytes.len(),
    });
    let own_type = document["artifactType"].as_str().filter(|text| !text.is_empty());
    if let Some(artifact_type) = own_type.or(document["config"]["mediaType"].as_str()) {
        descriptor["artifactType"] = artifact_type.into();
    }
    if document["annotations"].is_object() {
        descriptor["annotations"] = document["annotations"].clone();
    }
    descriptor
}

impl SandboxRegistry {
    pub(super) async fn referrers(
        &self,
        method: &Method,
        name: &ServedName,
        digest: &ServedDigest,
        asked: &ReferrersQuery,
    ) -> Result<Response, ServedError> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(ServedError::Unsupported);
        }
        if !self.manners.referrers_api {
            return Err(ServedError::ManifestUnknown { reference: "referrers".to_owned() });
        }
        let stored = self.store.referrers(name, digest).await?;
        let all = stored.iter().filter_map(|bytes| serde_json::from_slice::<Value>(bytes).ok());
        let filter = asked.artifact_type.as_deref().filter(|_| self.manners.filters);
        let wanted =
            |descriptor: &Value| filter.is_none_or(|wanted| descriptor["artifactType"] == wanted);
        let after = |descriptor: &Value| {
            asked.last.as_deref().is_none_or(|last| descriptor["digest"].as_str() > Some(last))
        };
        let mut manifests: Vec<Value> = all.filter(wanted).filter(after).collect();
        let more = manifests.len() > self.manners.page;
        manifests.truncate(self.manners.page);
        let last = manifests
            .last()
            .and_then(|end| end["digest"].as_str())
            .filter(|_| more)
            .map(str::to_owned);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let mut response = ([(CONTENT_TYPE, INDEX)], index.to_string()).into_response();
        if let Some(last) = last {
            let next = format!(
                "</v2/{}/referrers/{}?last={last}>; rel=\"next\"",
                name.as_str(),
                digest.as_str()
            );
            response.headers_mut().extend(next.parse::<HeaderValue>().map(|value| (LINK, value)));
        }
        if filter.is_some() {
            response
                .headers_mut()
                .insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        Ok(response)
    }
}
