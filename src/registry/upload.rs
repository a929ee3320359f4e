//! Uploading blobs that fit into memory: evidence and the scanner's layer. It never uploads what is
//! already there.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode, Url};

use super::manifest::Descriptor;
use super::stream::is_about_progress;
use super::transport::{Access, RegistryAnswer};
use super::{ReferrerArtifact, Registry, RegistryError, RegistryResult};
use crate::image::Repository;

/// From this size on, an upload that broke is continued rather than begun again: the scanner's
/// layer, never evidence.
const LARGE: usize = 1 << 20;

impl Registry {
    /// Whether the registry holds this blob.
    pub async fn has_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> RegistryResult<bool> {
        let answer = self
            .transport
            .send(
                Method::HEAD,
                repository,
                &format!("blobs/{}", blob.digest),
                Access::Push,
                |request| request,
            )
            .await?;
        Ok(answer.status != StatusCode::NOT_FOUND)
    }

    /// Uploads bytes in one piece: POST for a place, PUT with the digest.
    pub async fn put_blob(
        &self,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        let place = self.open_upload(repository).await?;
        self.put_blob_at(place, repository, bytes, blob).await
    }

    /// Makes a blob of `from`, which this run put there, one of `repository` in the same registry:
    /// without its bytes where the registry agrees (201), else with them, at the place it names
    /// (202).
    async fn mount_blob(
        &self,
        from: &Repository,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        let answer = self.ask_to_mount(from, repository, blob).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(());
        }
        self.put_blob_at(place_of(&answer, repository)?, repository, bytes, blob).await
    }

    /// Asks for a blob of another repository of the registry without its bytes. 201: it is there;
    /// 202: they are wanted.
    pub(super) async fn ask_to_mount(
        &self,
        from: &Repository,
        repository: &Repository,
        blob: &Descriptor,
    ) -> RegistryResult<RegistryAnswer> {
        let none = bytes::Bytes::new();
        let path = format!("blobs/uploads/?mount={}&from={}", blob.digest, from.path());
        let access = Access::PushFrom(from.clone());
        let mounting = self
            .transport
            .send(Method::POST, repository, &path, access, |request| whole(request, &none));
        mounting.await?.success().await
    }

    /// Uploads an artifact's blobs. They have no name and refer to nothing, so this may run before
    /// the artifact may be seen.
    pub async fn stage_artifact(
        &self,
        repository: &Repository,
        place: Url,
        artifact: &ReferrerArtifact,
    ) -> RegistryResult<()> {
        let layer = Descriptor::of(&artifact.layer, artifact.artifact_type);
        futures_util::try_join!(
            self.stage_empty_config(repository),
            self.put_blob_at(place, repository, &artifact.layer, &layer)
        )?;
        Ok(())
    }

    /// As `stage_artifact`, where it is already staged in another repository of the registry.
    pub async fn mount_artifact(
        &self,
        from: &Repository,
        repository: &Repository,
        artifact: &ReferrerArtifact,
    ) -> RegistryResult<()> {
        let layer = Descriptor::of(&artifact.layer, artifact.artifact_type);
        futures_util::try_join!(
            self.stage_empty_config(repository),
            self.mount_blob(from, repository, &artifact.layer, &layer)
        )?;
        Ok(())
    }

    /// A place for a blob whose bytes are still to come.
    pub async fn open_upload(&self, repository: &Repository) -> RegistryResult<Url> {
        let none = bytes::Bytes::new();
        let opened = self
            .transport
            .send(Method::POST, repository, "blobs/uploads/", Access::Push, |request| {
                whole(request, &none)
            })
            .await?
            .success()
            .await?;
        place_of(&opened, repository)
    }

    /// Uploads bytes to a place that `open_upload` gave.
    pub async fn put_blob_at(
        &self,
        place: Url,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        match self.fill(place, repository, bytes, blob).await {
            // A connection that broke left a place that is gone, or one with some of the bytes in
            // it.
            Err(error) if is_about_progress(&error) => {
                if self.has_blob(repository, blob).await? {
                    return Ok(());
                }
                let place = self.open_upload(repository).await?;
                self.fill(place, repository, bytes, blob).await
            }
            outcome => outcome,
        }
    }

    pub(super) async fn fill(
        &self,
        mut place: Url,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        place.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let answer = self
            .transport
            .send_to(Method::PUT, place, repository, Access::Push, |request| whole(request, bytes))
            .await?;
        answer.success().await.map(drop)
    }

    /// Uploads bytes unless they are there; asks once a run for each blob.
    pub async fn ensure_blob(
        &self,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        let turn = self.memory.turn(repository, &blob.digest).await;
        let mut ensured = turn.lock().await;
        if !*ensured {
            if !self.has_blob(repository, blob).await? {
                match bytes.len() {
                    LARGE.. => self.put_large_blob(repository, bytes, blob).await?,
                    _ => self.put_blob(repository, bytes, blob).await?,
                }
            }
            *ensured = true;
        }
        Ok(())
    }
}

/// Repositories by registry: the first of each, where bytes are uploaded, and the others, which get
/// them from there.
pub fn by_registry(repositories: &[Repository]) -> Vec<(&Repository, Vec<&Repository>)> {
    let mut grouped: Vec<(&Repository, Vec<&Repository>)> = Vec::new();
    for repository in repositories {
        match grouped.iter_mut().find(|(home, _)| home.registry() == repository.registry()) {
            Some((_, others)) => others.push(repository),
            None => grouped.push((repository, Vec::new())),
        }
    }
    grouped
}

pub(super) fn place_of(opened: &RegistryAnswer, repository: &Repository) -> RegistryResult<Url> {
    opened.upload_place()?.ok_or_else(|| RegistryError::Protocol {
        request: format!("POST /v2/{}/blobs/uploads/", repository.path()),
        what: "neither `Location` nor `Docker-Upload-UUID`".to_owned(),
    })
}

pub(super) fn whole(request: RequestBuilder, bytes: &bytes::Bytes) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, bytes.len())
        .body(bytes.clone())
}
