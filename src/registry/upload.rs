//! Uploading blobs that fit into memory: evidence and the scanner's layer. It never uploads what is already there.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode, Url};

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
        let place = self.open_upload(repository).await?;
        self.put_blob_at(place, repository, bytes, blob).await
    }

    /// A place for a blob whose bytes are still to come.
    pub async fn open_upload(&self, repository: &Repository) -> Result<Url> {
        let none = bytes::Bytes::new();
        let opened = self
            .transport
            .send(Method::POST, repository, "blobs/uploads/", Access::Push, |request| whole(request, &none))
            .await?
            .success()
            .await?;
        opened.upload_place()?.ok_or_else(|| RegistryError::Protocol {
            request: format!("POST /v2/{}/blobs/uploads/", repository.path()),
            what: "neither `Location` nor `Docker-Upload-UUID`".to_owned(),
        })
    }

    /// Uploads bytes to a place that `open_upload` gave.
    pub async fn put_blob_at(&self, place: Url, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        match self.fill(place, repository, bytes, blob).await {
            // A connection that broke left a place that is gone, or one with some of the bytes in it.
            Err(RegistryError::Refused { status, .. }) if matches!(status.as_u16(), 400 | 404 | 416) => {
                if self.has_blob(repository, blob).await? {
                    return Ok(());
                }
                let place = self.open_upload(repository).await?;
                self.fill(place, repository, bytes, blob).await
            }
            outcome => outcome,
        }
    }

    async fn fill(&self, mut place: Url, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        place.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let answer = self.transport.send_to(Method::PUT, place, repository, Access::Push, |request| whole(request, bytes)).await?;
        answer.success().await.map(drop)
    }

    /// Uploads bytes unless they are there; asks once a run for each blob.
    pub async fn ensure_blob(&self, repository: &Repository, bytes: &bytes::Bytes, blob: &Descriptor) -> Result<()> {
        let turn = self.memory.turn(repository, &blob.digest).await;
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
