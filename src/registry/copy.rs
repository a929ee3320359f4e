//! Blobs of one repository in another, of the same registry or of another: mounted where the
//! registry agrees, else streamed from the one to the other. It never holds a whole blob, and none
//! becomes one that does not hash to its digest.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::download::Download;
use super::manifest::Descriptor;
use super::stream::is_about_progress;
use super::transport::{Access, backoff};
use super::upload::place_of;
use super::{Registry, RegistryError, Result};
use crate::image::Repository;

/// How often a blob is sent from its beginning.
const ATTEMPTS: u32 = 3;

/// A blob, and the client that reads it where it lies.
#[derive(Clone)]
pub struct Lying<'a> {
    pub registry: &'a Registry,
    pub repository: &'a Repository,
    pub blob: &'a Descriptor,
}

impl Registry {
    /// Makes a blob one of `to` as well; how many bytes had to be sent for that.
    ///
    /// # Errors
    /// Also where the blob is not there, or other bytes are.
    pub async fn copy_blob(&self, from: &Lying<'_>, to: &Repository) -> Result<u64> {
        if self.has_blob(to, from.blob).await? {
            return Ok(0);
        }
        let mut place = None;
        if from.repository.registry() == to.registry() {
            match self.ask_to_mount(from.repository, to, from.blob).await {
                Ok(answer) if answer.status == StatusCode::CREATED => return Ok(0),
                Ok(answer) => place = answer.upload_place()?,
                // Who may not read there by this login may have been let in otherwise.
                Err(RegistryError::Refused { .. } | RegistryError::NoToken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for attempt in 1.. {
            let here = match place.take() {
                Some(place) => place,
                None => self.open_upload(to).await?,
            };
            match self.send(from, here, to).await {
                Ok(()) => break,
                Err(Failed::Reading(error)) => return Err(error),
                Err(Failed::Writing(error)) if attempt == ATTEMPTS || !may_pass(&error) => {
                    return Err(error);
                }
                Err(Failed::Writing(error)) => {
                    tracing::debug!(%error, attempt, "the copy of a blob begins again");
                    tokio::time::sleep(backoff(attempt)).await;
                    // The answer alone may have been lost.
                    if self.has_blob(to, from.blob).await? {
                        break;
                    }
                }
            }
        }
        Ok(from.blob.size)
    }

    /// Sends all of a blob, and has the registry take it once its bytes are known to be the right
    /// ones.
    async fn send(
        &self,
        from: &Lying<'_>,
        place: Url,
        to: &Repository,
    ) -> std::result::Result<(), Failed> {
        let reading = Reading::default();
        let shape = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, from.blob.size)
                .body(Body::wrap_stream(pieces(from, reading.clone())))
        };
        let sent = self.transport.send_to(Method::PATCH, place, to, Access::Push, shape).await;
        if let Some(error) = reading.failure() {
            return Err(Failed::Reading(error));
        }
        let answer = sent.map_err(Failed::Writing)?.success().await.map_err(Failed::Writing)?;
        let place = place_of(&answer, to).map_err(Failed::Writing)?;
        self.fill(place, to, &Bytes::new(), from.blob).await.map_err(Failed::Writing)
    }
}

/// On which side it failed.
enum Failed {
    Reading(RegistryError),
    Writing(RegistryError),
}

/// Whether another attempt may do better. A download goes on by itself where it broke.
fn may_pass(error: &RegistryError) -> bool {
    is_about_progress(error)
        || matches!(error, RegistryError::Unreachable { .. } | RegistryError::Unwell { .. })
}

/// Why the bytes ended early: what the HTTP client says of it is not worth repeating.
#[derive(Clone, Default)]
struct Reading(Arc<Mutex<Option<RegistryError>>>);

impl Reading {
    fn failure(&self) -> Option<RegistryError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, error: RegistryError) -> std::io::Error {
        let told = std::io::Error::other(error.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        told
    }
}

/// A blob on its way through: what is still to be asked for, and what came so far.
struct Passing {
    registry: Registry,
    repository: Repository,
    blob: Descriptor,
    download: Option<Download>,
    received: u64,
    hasher: Sha256,
    reading: Reading,
}

impl Passing {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let download = match &mut self.download {
            Some(download) => download,
            none => {
                let Descriptor { digest, size, .. } = &self.blob;
                none.insert(self.registry.download(&self.repository, digest, *size).await?)
            }
        };
        match download.next().await? {
            Some(piece) => {
                self.hasher.update(&piece);
                self.received += piece.len() as u64;
                // Nobody asks for more than was announced, so the last piece is judged with all.
                if self.received >= self.blob.size {
                    self.is_whole()?;
                }
                Ok(Some(piece))
            }
            None => self.is_whole().map(|()| None),
        }
    }

    fn is_whole(&self) -> Result<()> {
        let computed = format!("sha256:{}", hex::encode(self.hasher.clone().finalize()));
        let what = || format!("blob `{}@{}`", self.repository, self.blob.digest);
        match computed.parse() {
            Ok(computed) if computed == self.blob.digest => Ok(()),
            Ok(computed) => Err(RegistryError::Mismatch { what: what(), computed }),
            Err(_) => Err(RegistryError::Absent { what: what() }),
        }
    }
}

/// The bytes of a blob; an error in place of the end where they are not its own.
fn pieces(
    from: &Lying<'_>,
    reading: Reading,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let passing = Passing {
        registry: from.registry.clone(),
        repository: from.repository.clone(),
        blob: from.blob.clone(),
        download: None,
        received: 0,
        hasher: Sha256::new(),
        reading,
    };
    stream::try_unfold(passing, |mut passing| async move {
        match passing.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, passing))),
            Err(error) => Err(passing.reading.failed(error)),
        }
    })
}
