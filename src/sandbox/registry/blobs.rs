//! Makes blobs out of streamed uploads and streams them back; it never holds more than a piece of
//! one in memory.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RANGE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::SandboxRegistry;
use super::errors::ServedError;
use super::names::{ServedDigest, ServedName};
use crate::sandbox::faults::held;
use crate::sandbox::habits::BlobHabit;
use crate::sandbox::keys;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const PIECE: usize = 256 << 10;

#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Upload>>>>);

struct Upload {
    name: ServedName,
    path: PathBuf,
    size: u64,
    hash: Context,
}

/// Parameters of the blob endpoints.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) digest: Option<String>,
    pub(super) mount: Option<String>,
    pub(super) from: Option<String>,
}

/// The value of `Range` for an upload: the last byte received, or `0-0`.
pub(super) fn received(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

impl SandboxRegistry {
    pub(super) async fn blob(
        &self,
        method: &Method,
        name: &ServedName,
        digest: &ServedDigest,
        headers: &HeaderMap,
    ) -> Result<Response, ServedError> {
        match *method {
            Method::GET | Method::HEAD => match self.manners.blobs {
                BlobHabit::Elsewhere(status) if self.store.has_blob(name, digest).await => {
                    Ok(self.sent_to_storage(status, name, digest))
                }
                _ => {
                    let mut response = self.read_blob(method, name, digest, headers).await?;
                    if *method == Method::HEAD {
                        self.bare(response.headers_mut());
                    }
                    Ok(response)
                }
            },
            Method::DELETE => {
                self.store.unlink_blob(name, digest).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            _ => Err(ServedError::Unsupported),
        }
    }

    pub(super) async fn read_blob(
        &self,
        method: &Method,
        name: &ServedName,
        digest: &ServedDigest,
        headers: &HeaderMap,
    ) -> Result<Response, ServedError> {
        if !self.store.has_blob(name, digest).await {
            return Err(ServedError::BlobUnknown { digest: digest.as_str().to_owned() });
        }
        let mut file = tokio::fs::File::open(self.store.blob_path(digest)).await?;
        let size = file.metadata().await?.len();
        let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
        let range = asked.map(|text| byte_range(text, size)).transpose()?.flatten();
        let (start, end) = range.unwrap_or((0, size));
        let mut response = Response::new(match *method {
            Method::HEAD => Body::empty(),
            _ => {
                file.seek(SeekFrom::Start(start)).await?;
                Body::from_stream(pieces(file, end - start))
            }
        });
        let answer = response.headers_mut();
        answer.insert(CONTENT_LENGTH, (end - start).into());
        for (header, value) in [
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_DIGEST, digest.as_str().to_owned()),
            (ETAG, format!("\"{}\"", digest.as_str())),
        ] {
            answer.extend(value.parse().map(|value| (header, value)));
        }
        if range.is_some() {
            let content_range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
            answer.extend(content_range.parse().map(|value| (CONTENT_RANGE, value)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }

    pub(super) async fn begin_upload(
        &self,
        name: &ServedName,
        parameters: &Parameters,
        body: Body,
    ) -> Result<Response, ServedError> {
        if let (Some(mount), Some(from)) = (&parameters.mount, &parameters.from) {
            let (digest, from) = (ServedDigest::parse(mount)?, ServedName::parse(from)?);
            if self.manners.mounts && self.store.has_blob(&from, &digest).await {
                self.store.link_blob(name, &digest).await?;
                return Ok(self.created(name, &digest));
            }
        }
        let id = keys::random_hex(16)
            .map_err(|error| ServedError::Storage(std::io::Error::other(error)))?;
        let path = self.store.upload_path(&id);
        tokio::fs::File::create(&path).await?;
        let upload = Upload { name: name.clone(), path, size: 0, hash: Context::new(&SHA256) };
        held(&self.uploads.0).insert(id.clone(), Arc::new(tokio::sync::Mutex::new(upload)));
        match parameters.digest.as_ref().filter(|_| self.manners.upload_in_one_post) {
            Some(digest) => self.finish_upload(name, &id, digest, &HeaderMap::new(), body).await,
            None => Ok(self.in_progress(StatusCode::ACCEPTED, name, &id, 0)),
        }
    }

    pub(super) async fn upload(
        &self,
        method: &Method,
        name: &ServedName,
        id: &str,
        parameters: &Parameters,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, ServedError> {
        match (method.as_str(), &parameters.digest) {
            ("GET", _) => {
                let upload = self.known_upload(name, id).await?;
                let size = upload.lock().await.size;
                Ok(self.in_progress(StatusCode::NO_CONTENT, name, id, size))
            }
            ("PATCH", _) => {
                let upload = self.known_upload(name, id).await?;
                let mut upload = upload.lock().await;
                upload.append(headers, body).await?;
                Ok(self.in_progress(StatusCode::ACCEPTED, name, id, upload.size))
            }
            ("PUT", Some(digest)) => self.finish_upload(name, id, digest, headers, body).await,
            ("PUT", None) => Err(ServedError::DigestInvalid { digest: String::new() }),
            ("DELETE", _) => {
                self.known_upload(name, id).await?;
                self.forget_upload(id).await;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            _ => Err(ServedError::Unsupported),
        }
    }

    async fn finish_upload(
        &self,
        name: &ServedName,
        id: &str,
        digest: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, ServedError> {
        let digest = ServedDigest::parse(digest)?;
        let upload = self.known_upload(name, id).await?;
        let mut upload = upload.lock().await;
        upload.append(headers, body).await?;
        if hex::encode(upload.hash.clone().finish()) != digest.hex() {
            self.forget_upload(id).await;
            return Err(ServedError::DigestInvalid { digest: digest.as_str().to_owned() });
        }
        tokio::fs::rename(&upload.path, self.store.blob_path(&digest)).await?;
        held(&self.uploads.0).remove(id);
        self.store.link_blob(name, &digest).await?;
        Ok(self.created(name, &digest))
    }

    /// `Location` carries a query, as the reference implementation's does: clients must add
    /// `digest` to it, not replace it.
    fn in_progress(&self, status: StatusCode, name: &ServedName, id: &str, size: u64) -> Response {
        let location =
            self.located(format!("/v2/{}/blobs/uploads/{id}?_state={id}", name.as_str()));
        (status, [(LOCATION, location), (RANGE, received(size)), (UPLOAD_ID, id.to_owned())])
            .into_response()
    }

    fn created(&self, name: &ServedName, digest: &ServedDigest) -> Response {
        let location = self.located(format!("/v2/{}/blobs/{}", name.as_str(), digest.as_str()));
        (StatusCode::CREATED, [(LOCATION, location), (CONTENT_DIGEST, digest.as_str().to_owned())])
            .into_response()
    }

    async fn known_upload(
        &self,
        name: &ServedName,
        id: &str,
    ) -> Result<Arc<tokio::sync::Mutex<Upload>>, ServedError> {
        let unknown = || ServedError::UploadUnknown { id: id.to_owned() };
        let upload = held(&self.uploads.0).get(id).cloned().ok_or_else(unknown)?;
        let of_this_repository = upload.lock().await.name == *name;
        of_this_repository.then_some(upload).ok_or_else(unknown)
    }

    async fn forget_upload(&self, id: &str) {
        held(&self.uploads.0).remove(id);
        // Nothing depends on the removal: the next start empties the folder.
        let _ = tokio::fs::remove_file(self.store.upload_path(id)).await;
    }
}

impl Upload {
    /// Adds the body; what arrived of an interrupted one stays, as in the reference implementation.
    async fn append(&mut self, headers: &HeaderMap, body: Body) -> Result<(), ServedError> {
        if let Some(range) = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()) {
            let text = range.trim_start_matches("bytes ");
            let start = text.split_once('-').and_then(|(start, _)| start.parse::<u64>().ok());
            if start != Some(self.size) {
                return Err(ServedError::UploadRange { size: self.size, range: range.to_owned() });
            }
        }
        let mut file = tokio::fs::OpenOptions::new().write(true).open(&self.path).await?;
        file.set_len(self.size).await?;
        file.seek(SeekFrom::Start(self.size)).await?;
        let mut body = body.into_data_stream();
        let mut outcome = Ok(());
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else {
                outcome = Err(ServedError::Body);
                break;
            };
            file.write_all(&piece).await?;
            self.hash.update(&piece);
            self.size += piece.len() as u64;
        }
        file.flush().await?;
        outcome
    }
}

/// First byte and end (exclusive) of a single `bytes` range; several ranges are answered whole, as
/// RFC 9110 allows.
fn byte_range(text: &str, size: u64) -> Result<Option<(u64, u64)>, ServedError> {
    let refused = || ServedError::Range { size, range: text.to_owned() };
    let Some(single) = text.strip_prefix("bytes=").filter(|ranges| !ranges.contains(',')) else {
        return Ok(None);
    };
    let (first, last) = single.split_once('-').ok_or_else(refused)?;
    let (start, end) = match (first, last) {
        ("", last) => (size.saturating_sub(last.parse().map_err(|_| refused())?), size),
        (first, "") => (first.parse().map_err(|_| refused())?, size),
        (first, last) => {
            let last: u64 = last.parse().map_err(|_| refused())?;
            (first.parse().map_err(|_| refused())?, last.saturating_add(1).min(size))
        }
    };
    if start < end { Ok(Some((start, end))) } else { Err(refused()) }
}

fn pieces(
    file: tokio::fs::File,
    length: u64,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut buffer = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(count);
        Ok(Some((Bytes::from(buffer), (file, left - count as u64))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_blob() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            assert_eq!(byte_range(text, 10), Ok(expected), "{text}")
        };
        check("bytes=0-3", Some((0, 4)));
        check("bytes=4-", Some((4, 10)));
        check("bytes=-4", Some((6, 10)));
        check("bytes=8-100", Some((8, 10)));
        check("bytes=0-1,3-4", None);
        for wrong in ["bytes=10-", "bytes=5-4", "bytes=x-", "bytes=3"] {
            assert!(byte_range(wrong, 10).is_err(), "{wrong}");
        }
    }
}
