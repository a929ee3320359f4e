//! Uploading a blob that is large: in one stream, as `docker push` does, continued where it broke.
//! It never sends again what the registry says it has, and never believes that the whole is there
//! before the registry took its digest.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks>.

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::manifest::Descriptor;
use super::transport::{Access, backoff};
use super::upload::{place_of, whole};
use super::{Registry, RegistryError, RegistryResult};
use crate::image::Repository;

/// Broken streams of one blob that are continued.
const BREAKS: u32 = 5;

impl Registry {
    pub(super) async fn put_large_blob(
        &self,
        repository: &Repository,
        bytes: &bytes::Bytes,
        blob: &Descriptor,
    ) -> RegistryResult<()> {
        let (mut place, mut sent) = (self.open_upload(repository).await?, 0);
        let mut breaks = 0;
        while sent < bytes.len() {
            match self.send_rest(&place, repository, bytes, sent).await {
                Ok(next) => (place, sent) = (next, bytes.len()),
                Err(error @ RegistryError::Refused { .. }) if !is_about_progress(&error) => {
                    return Err(error);
                }
                Err(error) if breaks >= BREAKS => return Err(error),
                Err(error) => {
                    breaks += 1;
                    tracing::debug!(%error, sent, "the upload broke and is continued");
                    tokio::time::sleep(backoff(breaks)).await;
                    (place, sent) = self.progress(place, repository).await?;
                }
            }
        }
        match self.fill(place, repository, &bytes::Bytes::new(), blob).await {
            // The answer to an earlier attempt was lost, or the registry counted otherwise than we
            // did.
            Err(error) if is_about_progress(&error) => match self.has_blob(repository, blob).await?
            {
                true => Ok(()),
                false => self.put_blob(repository, bytes, blob).await,
            },
            outcome => outcome,
        }
    }

    async fn send_rest(
        &self,
        place: &Url,
        repository: &Repository,
        bytes: &bytes::Bytes,
        from: usize,
    ) -> RegistryResult<Url> {
        let rest = bytes.slice(from..);
        let range = format!("{from}-{}", bytes.len().saturating_sub(1));
        let shape = |request| {
            let request = whole(request, &rest);
            // The first piece is sent as every registry knows it from `docker push`, which names no
            // range.
            if from == 0 { request } else { request.header(CONTENT_RANGE, &range) }
        };
        let answer = self
            .transport
            .send_to(Method::PATCH, place.clone(), repository, Access::Push, shape)
            .await?
            .success()
            .await?;
        place_of(&answer, repository)
    }

    /// Where the upload goes on, and how many bytes are there; a new one where the old is gone.
    async fn progress(&self, place: Url, repository: &Repository) -> RegistryResult<(Url, usize)> {
        match self.arrived(place, repository).await? {
            Some((place, arrived)) => Ok((place, usize::try_from(arrived).unwrap_or(usize::MAX))),
            None => Ok((self.open_upload(repository).await?, 0)),
        }
    }

    /// Where an upload goes on, and how many bytes are there; nothing where there is none such.
    pub(super) async fn arrived(
        &self,
        place: Url,
        repository: &Repository,
    ) -> RegistryResult<Option<(Url, u64)>> {
        let answer = self
            .transport
            .send_to(Method::GET, place, repository, Access::Push, |request| request)
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let last = answer
            .header(RANGE.as_str())
            .and_then(|range| range.rsplit('-').next()?.parse::<u64>().ok())
            .unwrap_or_default();
        // `0-0` is said of no bytes as well as of one.
        let arrived = if last == 0 { 0 } else { last + 1 };
        Ok(Some((place_of(&answer, repository)?, arrived)))
    }
}

/// Whether the registry holds another part of the blob than was thought.
pub(super) fn is_about_progress(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Refused { status, .. } if matches!(status.as_u16(), 400 | 404 | 416))
}
