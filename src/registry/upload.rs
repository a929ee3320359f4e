//! Uploading blobs that fit into memory: evidence and the scanner's layer. It never uploads what is already there.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, StatusCode};

use super::manifest::Descriptor;
use super::transport::Access;
use super::{Registry, RegistryError, Result};
use crate::image::Repository;

impl Registry {
    /// Whether the registry holds this blob.
    pub async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool> {
        let answer =
            self.transport.send(Method::HEAD, repository, &format!("blobs/{}", blob.digest), Access::Push, |request| request).await?;
        Ok(answer.status != StatusCode::NOT_FOUND)
    }

    /// Uploads bytes in one piece: POST for a place, PUT with the digest.
    pub async fn put_blob(&self, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        let opened = self
            .transport
            .send(Method::POST, repository, "blobs/uploads/", Access::Push, |request| request.header(CONTENT_LENGTH, "0"))
            .await?
            .success()?;
        let mut place = opened.location()?.ok_or_else(|| RegistryError::Protocol {
            request: format!("POST /v2/{}/blobs/uploads/", repository.path()),
            what: "no `Location`".to_owned(),
        })?;
        place.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        self.transport
            .send_to(Method::PUT, place, repository, Access::Push, |request| {
                request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, bytes.len()).body(bytes.clone())
            })
            .await?
            .success()
            .map(drop)
    }

    /// Uploads bytes unless they are there.
    pub async fn ensure_blob(&self, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        if self.has_blob(repository, blob).await? { Ok(()) } else { self.put_blob(repository, bytes, blob).await }
    }
}
