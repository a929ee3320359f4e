//! Blobs of one repository in another, of the same registry or of another: mounted where the
//! registry agrees, else streamed from the one to the other, and continued where either side broke.
//! It never holds a whole large blob, and none becomes one that does not hash to its digest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::download::Download;
use super::manifest::Descriptor;
use super::stream::is_about_progress;
use super::transport::{Access, backoff};
use super::upload::place_of;
use super::{Registry, RegistryError, RegistryResult};
use crate::image::Repository;

/// Broken uploads of one blob that are continued.
const BREAKS: u32 = 5;
/// Up to this size a blob passes through memory, in one request less.
const SMALL: u64 = 512 << 10;
/// How far apart the states of the hash are that are kept: no more is fetched twice where an upload
/// is continued.
const CHECKPOINT: u64 = 1 << 20;

/// A blob, and the client that reads it where it lies.
#[derive(Clone)]
pub struct BlobSource<'a> {
    pub registry: &'a Registry,
    pub repository: &'a Repository,
    pub blob: &'a Descriptor,
}

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobArrival {
    /// The registry had it in another repository.
    Mounted,
    Sent,
}

/// Counts bytes while they are sent, for who watches.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Registry {
    /// Makes a blob one of `to` as well; how many bytes had to be sent for that.
    ///
    /// # Errors
    /// Also where the blob is not there, or other bytes are.
    pub async fn copy_blob(&self, from: &BlobSource<'_>, to: &Repository) -> RegistryResult<u64> {
        if self.has_blob(to, from.blob).await? {
            return Ok(0);
        }
        match self.bring_blob(from, to, &Meter::default()).await? {
            BlobArrival::Sent => Ok(from.blob.size),
            BlobArrival::Mounted => Ok(0),
        }
    }

    /// The same for a blob that is not there yet.
    pub async fn bring_blob(
        &self,
        from: &BlobSource<'_>,
        to: &Repository,
        meter: &Meter,
    ) -> RegistryResult<BlobArrival> {
        let mut place = None;
        if from.repository.registry() == to.registry() {
            match self.ask_to_mount(from.repository, to, from.blob).await {
                Ok(answer) if answer.status == StatusCode::CREATED => {
                    return Ok(BlobArrival::Mounted);
                }
                Ok(answer) => place = answer.upload_place()?,
                // Who may not read there by this login may have been let in otherwise.
                Err(RegistryError::Refused { .. } | RegistryError::NoToken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if from.blob.size > SMALL {
            return self.stream_through(from, to, place, meter).await;
        }
        let bytes = from.registry.blob(from.repository, from.blob, SMALL as usize).await?.into();
        match place {
            Some(place) => self.put_blob_at(place, to, &bytes, from.blob).await?,
            None => self.put_blob(to, &bytes, from.blob).await?,
        }
        meter.add(from.blob.size);
        Ok(BlobArrival::Sent)
    }

    /// Sends a blob while it is fetched, from where the registry says that it ended.
    async fn stream_through(
        &self,
        from: &BlobSource<'_>,
        to: &Repository,
        place: Option<Url>,
        meter: &Meter,
    ) -> RegistryResult<BlobArrival> {
        let hashed = HashStates::default();
        let mut place = match place {
            Some(place) => place,
            None => self.open_upload(to).await?,
        };
        let mut sent = 0;
        let mut counted_otherwise = 0;
        for attempt in 1.. {
            let passage = BlobPassage { from, hashed: &hashed, sent, meter };
            let outcome = if sent == from.blob.size {
                Ok(place.clone())
            } else {
                self.send_rest_of(&passage, place.clone(), to).await
            };
            let broken = match outcome {
                Ok(filled) => match self.fill(filled, to, &Bytes::new(), from.blob).await {
                    Ok(()) => return Ok(BlobArrival::Sent),
                    Err(error) => {
                        sent = from.blob.size;
                        error
                    }
                },
                Err(FailedSide::Reading(error)) => return Err(error),
                Err(FailedSide::Writing(error)) => error,
            };
            if attempt > BREAKS || !may_pass(&broken) {
                return Err(broken);
            }
            tracing::debug!(error = %broken, attempt, "the copy of a blob broke and is continued");
            tokio::time::sleep(backoff(attempt)).await;
            // The answer alone may have been lost.
            if sent == from.blob.size && self.has_blob(to, from.blob).await? {
                return Ok(BlobArrival::Sent);
            }
            if sent == from.blob.size && is_about_progress(&broken) {
                counted_otherwise += 1;
                if counted_otherwise > 1 {
                    return Err(broken);
                }
                (place, sent) = (self.open_upload(to).await?, 0);
                continue;
            }
            (place, sent) = match self.arrived(place, to).await {
                Ok(Some((place, arrived))) if arrived <= from.blob.size => (place, arrived),
                // It is gone, or holds something else.
                Ok(_) | Err(RegistryError::Refused { .. }) => (self.open_upload(to).await?, 0),
                Err(error) => return Err(error),
            };
        }
        Ok(BlobArrival::Sent)
    }

    /// Sends what is still to come of a blob; where the upload is finished. Its last bytes are not
    /// sent before all are known to be the right ones.
    async fn send_rest_of(
        &self,
        passage: &BlobPassage<'_>,
        place: Url,
        to: &Repository,
    ) -> std::result::Result<Url, FailedSide> {
        let reading = ReadingEnded::default();
        let (size, sent) = (passage.from.blob.size, passage.sent);
        let shape = |request: reqwest::RequestBuilder| {
            let request = request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, size - sent);
            // The first piece is sent as every registry knows it from `docker push`, which names no
            // range.
            let request = match sent {
                0 => request,
                sent => request.header(CONTENT_RANGE, format!("{sent}-{}", size - 1)),
            };
            request.body(Body::wrap_stream(passage.pieces(reading.clone())))
        };
        let sent = self.transport.send_to(Method::PATCH, place, to, Access::Push, shape).await;
        if let Some(error) = reading.failure() {
            return Err(FailedSide::Reading(error));
        }
        let answer =
            sent.map_err(FailedSide::Writing)?.success().await.map_err(FailedSide::Writing)?;
        place_of(&answer, to).map_err(FailedSide::Writing)
    }
}

/// On which side it failed.
enum FailedSide {
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
struct ReadingEnded(Arc<Mutex<Option<RegistryError>>>);

impl ReadingEnded {
    fn failure(&self) -> Option<RegistryError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, error: RegistryError) -> std::io::Error {
        let told = std::io::Error::other(error.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        told
    }
}

/// States of a blob's hash on the way, each with how many bytes it is of, so that a stream is
/// continued without its beginning.
#[derive(Clone, Default)]
struct HashStates(Arc<Mutex<Vec<(u64, Sha256)>>>);

impl HashStates {
    /// Keeps a state, unless one was kept shortly before.
    fn keep(&self, bytes: u64, state: &Sha256) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes >= kept.last().map_or(0, |(last, _)| *last) + CHECKPOINT {
            kept.push((bytes, state.clone()));
        }
    }

    /// The last state of no more bytes than these. What comes after it is forgotten.
    fn before(&self, bytes: u64) -> (u64, Sha256) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(at, _)| *at <= bytes);
        kept.last().cloned().unwrap_or_default()
    }
}

/// A blob on its way, from where the other side has it.
struct BlobPassage<'a> {
    from: &'a BlobSource<'a>,
    hashed: &'a HashStates,
    /// How much of it is there.
    sent: u64,
    meter: &'a Meter,
}

impl BlobPassage<'_> {
    /// The bytes that are still to be sent; an error in place of the end where the whole is not
    /// what it should be.
    fn pieces(
        &self,
        reading: ReadingEnded,
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        let (received, hasher) = self.hashed.before(self.sent);
        let passing = PassingBytes {
            registry: self.from.registry.clone(),
            repository: self.from.repository.clone(),
            blob: self.from.blob.clone(),
            download: None,
            received,
            hasher,
            known: self.sent - received,
            hashed: self.hashed.clone(),
            meter: self.meter.clone(),
            reading,
        };
        stream::try_unfold(passing, |mut passing| async move {
            match passing.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, passing))),
                Err(error) => Err(passing.reading.failed(error)),
            }
        })
    }
}

/// What is still to be asked for, and what came so far.
struct PassingBytes {
    registry: Registry,
    repository: Repository,
    blob: Descriptor,
    download: Option<Download>,
    received: u64,
    hasher: Sha256,
    /// Bytes that are hashed and not sent again.
    known: u64,
    hashed: HashStates,
    meter: Meter,
    reading: ReadingEnded,
}

impl PassingBytes {
    async fn next(&mut self) -> RegistryResult<Option<Bytes>> {
        loop {
            let download = match &mut self.download {
                Some(download) => download,
                none => {
                    let Descriptor { digest, size, .. } = &self.blob;
                    let begun =
                        self.registry.download_from(&self.repository, digest, *size, self.received);
                    none.insert(begun.await?)
                }
            };
            let Some(mut piece) = download.next().await? else {
                return self.is_whole().map(|()| None);
            };
            self.hasher.update(&piece);
            self.received += piece.len() as u64;
            // Nobody asks for more than was announced, so the last piece is judged with all.
            if self.received >= self.blob.size {
                self.is_whole()?;
            }
            self.hashed.keep(self.received, &self.hasher);
            let known = usize::try_from(self.known).unwrap_or(usize::MAX).min(piece.len());
            self.known -= known as u64;
            let piece = piece.split_off(known);
            if !piece.is_empty() {
                self.meter.add(piece.len() as u64);
                return Ok(Some(piece));
            }
        }
    }

    fn is_whole(&self) -> RegistryResult<()> {
        let computed = format!("sha256:{}", hex::encode(self.hasher.clone().finalize()));
        let what = || format!("blob `{}@{}`", self.repository, self.blob.digest);
        match computed.parse() {
            Ok(computed) if computed == self.blob.digest && self.received == self.blob.size => {
                Ok(())
            }
            Ok(computed) => Err(RegistryError::Mismatch { what: what(), computed }),
            Err(_) => Err(RegistryError::Absent { what: what() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_continued_from_the_state_before_where_it_broke() {
        let hashed_to = |hashed: &HashStates, bytes| {
            let (at, state) = hashed.before(bytes);
            (at / CHECKPOINT, hex::encode(state.finalize()))
        };
        for (at, bytes) in
            [(4, 9 * CHECKPOINT), (2, 3 * CHECKPOINT - 1), (2, 2 * CHECKPOINT), (0, CHECKPOINT - 1)]
        {
            let hashed = HashStates::default();
            let mut whole = Sha256::new();
            for part in 1..=4_u64 {
                whole.update(vec![part as u8; CHECKPOINT as usize]);
                hashed.keep(part * CHECKPOINT, &whole);
                hashed.keep(part * CHECKPOINT + 1, &whole);
            }
            let mut expected = Sha256::new();
            for part in 1..=at {
                expected.update(vec![part as u8; CHECKPOINT as usize]);
            }
            assert_eq!(hashed_to(&hashed, bytes), (at, hex::encode(expected.finalize())));
        }
    }
}
