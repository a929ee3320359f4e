//! Uploading blobs that fit into memory: evidence and the scanner's layer. It never uploads what is already there.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};

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

    /// Uploads bytes: small ones with the request that opens the upload, which a registry may take or leave; else POST for a place, PUT with the digest.
    pub async fn put_blob(&self, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        const AT_ONCE: usize = 512 << 10;
        let at_once = bytes.len() <= AT_ONCE;
        let path = if at_once { format!("blobs/uploads/?digest={}", blob.digest) } else { "blobs/uploads/".to_owned() };
        let body = if at_once { bytes.clone() } else { bytes::Bytes::new() };
        let opened =
            self.transport.send(Method::POST, repository, &path, Access::Push, |request| whole(request, &body)).await?.success()?;
        if opened.status == StatusCode::CREATED {
            return Ok(());
        }
        let mut place = opened.location()?.ok_or_else(|| RegistryError::Protocol {
            request: format!("POST /v2/{}/blobs/uploads/", repository.path()),
            what: "no `Location`".to_owned(),
        })?;
        place.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        self.transport.send_to(Method::PUT, place, repository, Access::Push, |request| whole(request, bytes)).await?.success().map(drop)
    }

    /// Uploads bytes unless they are there; asks once a run for each blob.
    pub async fn ensure_blob(&self, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        let turn = self.turns.of(repository, &blob.digest).await;
        let mut ensured = turn.lock().await;
        if !*ensured {
            if !self.has_blob(repository, blob).await? {
                self.put_blob(repository, bytes, blob).await?;
            }
            *ensured = true;
        }
        Ok(())
    }
}

fn whole(request: RequestBuilder, bytes: &bytes::Bytes) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, bytes.len()).body(bytes.clone())
}
