//! Makes manifests and tags out of the exact bytes that were put; it never stores one whose parts
//! are missing.

use axum::Json;
use axum::body::Body;
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::SandboxRegistry;
use super::blobs::CONTENT_DIGEST;
use super::errors::ServedError;
use super::names::{ServedDigest, ServedName, ServedReference};
use super::store::StoredManifest;
use crate::sandbox::habits::OnceInSoMany;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The size every registry must accept, and the largest this one does.
const LIMIT: usize = 4 << 20;
const DEFAULT_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What a registry takes that knows images alone.
const IMAGES: [&str; 4] = [
    DEFAULT_TYPE,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

impl SandboxRegistry {
    pub(super) async fn manifest(
        &self,
        method: &Method,
        name: &ServedName,
        reference: &ServedReference,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, ServedError> {
        match *method {
            Method::GET | Method::HEAD => self.read_manifest(method, name, reference).await,
            Method::PUT => {
                let bytes = axum::body::to_bytes(body, LIMIT)
                    .await
                    .map_err(|_| ServedError::TooLarge { limit: LIMIT })?;
                self.put_manifest(name, reference, headers, bytes.to_vec()).await
            }
            Method::DELETE if !self.manners.deletes => Err(ServedError::Unsupported),
            Method::DELETE => self.delete_manifest(name, reference).await,
            _ => Err(ServedError::Unsupported),
        }
    }

    async fn resolved(
        &self,
        name: &ServedName,
        reference: &ServedReference,
    ) -> Result<ServedDigest, ServedError> {
        match reference {
            ServedReference::Digest(digest) => Ok(digest.clone()),
            ServedReference::Tag(tag) => {
                let digest = self.store.tag(name, tag).await?;
                let aliased = || {
                    tag.strip_prefix("sha256-")
                        .and_then(|hex| ServedDigest::parse(&format!("sha256:{hex}")).ok())
                };
                let digest = digest.or_else(|| aliased().filter(|_| self.manners.dash_is_digest));
                digest.ok_or_else(|| ServedError::ManifestUnknown { reference: tag.clone() })
            }
        }
    }

    async fn read_manifest(
        &self,
        method: &Method,
        name: &ServedName,
        reference: &ServedReference,
    ) -> Result<Response, ServedError> {
        let digest = self.resolved(name, reference).await?;
        let unknown = || ServedError::ManifestUnknown { reference: digest.as_str().to_owned() };
        let manifest = self.store.manifest(name, &digest).await?.ok_or_else(unknown)?;
        let headers = [
            (CONTENT_TYPE, manifest.media_type),
            (CONTENT_LENGTH, manifest.bytes.len().to_string()),
            (CONTENT_DIGEST, digest.as_str().to_owned()),
            (ETAG, etag(&digest)),
        ];
        if *method != Method::HEAD {
            return Ok((headers, manifest.bytes).into_response());
        }
        let mut response = (headers, Body::empty()).into_response();
        self.bare(response.headers_mut());
        Ok(response)
    }

    async fn put_manifest(
        &self,
        name: &ServedName,
        reference: &ServedReference,
        headers: &HeaderMap,
        bytes: Vec<u8>,
    ) -> Result<Response, ServedError> {
        let digest = ServedDigest::of(&bytes);
        if let ServedReference::Digest(expected) = reference
            && *expected != digest
        {
            return Err(ServedError::DigestInvalid { digest: expected.as_str().to_owned() });
        }
        let document: Value = serde_json::from_slice(&bytes)
            .map_err(|error| ServedError::ManifestInvalid { reason: error.to_string() })?;
        let media_type = media_type(headers, &document)?;
        self.require_parts(name, &document).await?;
        if self.manners.only_image_manifests && !IMAGES.contains(&media_type.as_str()) {
            return Err(ServedError::Unsupported);
        }
        if self.manners.lag.as_ref().is_some_and(OnceInSoMany::due) {
            return Err(ServedError::BlobUnknown { digest: digest.as_str().to_owned() });
        }
        let subject = subject(&document)?;
        let _one_writer = self.manifest_writes.lock().await;
        if let ServedReference::Tag(tag) = reference {
            if self.manners.immutable_tags && self.store.tag(name, tag).await?.is_some() {
                return Err(ServedError::Immutable { tag: tag.clone() });
            }
            self.require_match(name, tag, headers).await?;
        }
        self.store_manifest(
            name,
            &digest,
            &StoredManifest { bytes, media_type },
            &document,
            subject.as_ref(),
        )
        .await?;
        if let ServedReference::Tag(tag) = reference {
            self.store.put_tag(name, tag, &digest).await?;
        }
        let location = self.located(format!("/v2/{}/manifests/{}", name.as_str(), digest.as_str()));
        let mut response =
            (StatusCode::CREATED, [(LOCATION, location), (ETAG, etag(&digest))]).into_response();
        if !self.manners.manifest_locations {
            response.headers_mut().remove(LOCATION);
        }
        response
            .headers_mut()
            .extend(digest.as_str().parse::<HeaderValue>().map(|value| (CONTENT_DIGEST, value)));
        if let Some(subject) = subject.filter(|_| self.manners.says_subject) {
            response
                .headers_mut()
                .extend(subject.as_str().parse::<HeaderValue>().map(|value| (OCI_SUBJECT, value)));
        }
        Ok(response)
    }

    pub(super) async fn store_manifest(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
        manifest: &StoredManifest,
        document: &Value,
        subject: Option<&ServedDigest>,
    ) -> Result<(), ServedError> {
        self.store.put_manifest(name, digest, manifest).await?;
        match subject {
            Some(subject) => {
                let descriptor =
                    super::referrers::descriptor(digest, manifest, document).to_string();
                self.store.put_referrer(name, subject, digest, descriptor.as_bytes()).await
            }
            None => Ok(()),
        }
    }

    /// Config, layers and children must be in the repository. A child may be a blob: BuildKit's
    /// cache index lists layers.
    async fn require_parts(&self, name: &ServedName, document: &Value) -> Result<(), ServedError> {
        let list = |field: &str| document[field].as_array().cloned().unwrap_or_default();
        let config = document.get("config").cloned();
        let blobs = config.into_iter().chain(list("layers")).chain(list("blobs"));
        for descriptor in blobs.filter(|descriptor| !is_foreign(descriptor)) {
            let digest = descriptor_digest(&descriptor)?;
            if !self.store.has_blob(name, &digest).await {
                return Err(ServedError::ManifestBlobUnknown {
                    digest: digest.as_str().to_owned(),
                });
            }
        }
        for descriptor in list("manifests") {
            let digest = descriptor_digest(&descriptor)?;
            let known = self.store.manifest(name, &digest).await?.is_some()
                || self.store.has_blob(name, &digest).await;
            if !known {
                return Err(ServedError::ManifestBlobUnknown {
                    digest: digest.as_str().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// `If-Match` on a tag: the writer says which digest it read, so that no update is lost;
    /// `If-None-Match`: that it read none.
    async fn require_match(
        &self,
        name: &ServedName,
        tag: &str,
        headers: &HeaderMap,
    ) -> Result<(), ServedError> {
        if !self.manners.conditions {
            return Ok(());
        }
        let current = self.store.tag(name, tag).await?;
        if headers.contains_key(IF_NONE_MATCH) && current.is_some() {
            return Err(ServedError::Precondition { expected: "nothing".to_owned() });
        }
        let Some(expected) = headers.get(IF_MATCH).and_then(|value| value.to_str().ok()) else {
            return Ok(());
        };
        let matches = current.is_some_and(|digest| {
            expected == "*" || expected == etag(&digest) || expected == digest.as_str()
        });
        if matches {
            Ok(())
        } else {
            Err(ServedError::Precondition { expected: expected.to_owned() })
        }
    }

    pub(super) async fn delete_manifest(
        &self,
        name: &ServedName,
        reference: &ServedReference,
    ) -> Result<Response, ServedError> {
        let _one_writer = self.manifest_writes.lock().await;
        let removed = match reference {
            ServedReference::Tag(tag) => self.store.remove_tag(name, tag).await?,
            ServedReference::Digest(digest) => {
                let manifest = self.store.manifest(name, digest).await?;
                let document = manifest
                    .and_then(|manifest| serde_json::from_slice::<Value>(&manifest.bytes).ok());
                if let Some(subject) = document.as_ref().map(subject).transpose()?.flatten() {
                    self.store.remove_referrer(name, &subject, digest).await?;
                }
                if self.manners.accessories_go_with_subject {
                    for accessory in self.store.referrer_digests(name, digest).await? {
                        self.store.remove_manifest(name, &accessory).await?;
                        self.store.remove_referrer(name, digest, &accessory).await?;
                    }
                }
                self.store.remove_manifest(name, digest).await?
            }
        };
        match removed {
            true => Ok(StatusCode::ACCEPTED.into_response()),
            false => Err(ServedError::ManifestUnknown { reference: format!("{reference:?}") }),
        }
    }

    pub(super) async fn tags(
        &self,
        name: &ServedName,
        limit: Option<usize>,
        last: Option<&str>,
    ) -> Result<Response, ServedError> {
        if !self.store.knows_repository(name).await {
            return Err(ServedError::NameUnknown { name: name.as_str().to_owned() });
        }
        let all = self.store.tags(name).await?;
        let after: Vec<&String> =
            all.iter().filter(|tag| last.is_none_or(|last| tag.as_str() > last)).collect();
        let page = &after[..limit.unwrap_or(after.len()).min(after.len())];
        let mut response = Json(json!({"name": name.as_str(), "tags": page})).into_response();
        if let (Some(limit), Some(end), true) = (limit, page.last(), page.len() < after.len()) {
            let next =
                format!("</v2/{}/tags/list?last={end}&n={limit}>; rel=\"next\"", name.as_str());
            response.headers_mut().extend(next.parse::<HeaderValue>().map(|value| (LINK, value)));
        }
        Ok(response)
    }
}

fn etag(digest: &ServedDigest) -> String {
    format!("\"{}\"", digest.as_str())
}

/// The type the client declared, which must be the one the document declares if it does.
fn media_type(headers: &HeaderMap, document: &Value) -> Result<String, ServedError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match (declared, document["mediaType"].as_str()) {
        _ if !document.is_object() => {
            Err(ServedError::ManifestInvalid { reason: "not a JSON object".to_owned() })
        }
        (Some(declared), Some(own)) if declared != own => {
            let reason = format!("content type `{declared}` but media type `{own}`");
            Err(ServedError::ManifestInvalid { reason })
        }
        (Some(declared), _) => Ok(declared.to_owned()),
        (None, own) => Ok(own.unwrap_or(DEFAULT_TYPE).to_owned()),
    }
}

fn descriptor_digest(descriptor: &Value) -> Result<ServedDigest, ServedError> {
    let text = descriptor["digest"].as_str();
    let text = text.ok_or_else(|| ServedError::ManifestInvalid {
        reason: "a descriptor has no digest".to_owned(),
    })?;
    ServedDigest::parse(text)
}

pub(super) fn subject(document: &Value) -> Result<Option<ServedDigest>, ServedError> {
    document.get("subject").filter(|subject| !subject.is_null()).map(descriptor_digest).transpose()
}

/// Layers that live elsewhere and are never pushed.
fn is_foreign(descriptor: &Value) -> bool {
    let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
    media_type.contains("nondistributable") || media_type.contains("foreign")
}
