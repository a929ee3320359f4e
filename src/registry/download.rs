//! Downloading a blob that is larger than memory: piece by piece, continued where the stream broke.
//! It checks no digest: that is for who has all the pieces, and a stream that was continued wrongly
//! fails there.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs>.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::transport::{Access, RegistryAnswer, backoff};
use super::{Registry, RegistryError, RegistryResult};
use crate::image::{Digest, Repository};

/// Broken streams of one blob that are continued.
const BREAKS: u32 = 5;

/// A blob on its way.
pub struct Download {
    registry: Registry,
    repository: Repository,
    digest: Digest,
    size: u64,
    answer: RegistryAnswer,
    received: u64,
    /// Bytes that a registry sends again because it knows no ranges.
    repeated: u64,
    breaks: u32,
}

impl Registry {
    /// Begins to fetch a blob.
    pub async fn download(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> RegistryResult<Download> {
        self.download_from(repository, digest, size, 0).await
    }

    /// Begins to fetch the rest of a blob.
    pub(super) async fn download_from(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        from: u64,
    ) -> RegistryResult<Download> {
        let answer = self.ask_for_rest(repository, digest, from).await?;
        let (registry, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        let repeated = if continues(&answer, from) { 0 } else { from };
        Ok(Download {
            registry,
            repository,
            digest,
            size,
            answer,
            received: from,
            repeated,
            breaks: 0,
        })
    }

    async fn ask_for_rest(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: u64,
    ) -> RegistryResult<RegistryAnswer> {
        let shape = |request: reqwest::RequestBuilder| {
            if from == 0 { request } else { request.header(RANGE, format!("bytes={from}-")) }
        };
        let answer = self
            .transport
            .send(Method::GET, repository, &format!("blobs/{digest}"), Access::Pull, shape)
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(RegistryError::Absent { what: format!("blob `{repository}@{digest}`") });
        }
        answer.success().await
    }
}

/// Whether an answer begins where it was asked to. A registry that knows no ranges sends all.
fn continues(answer: &RegistryAnswer, from: u64) -> bool {
    let expected = format!("bytes {from}-");
    from == 0
        || answer.status == StatusCode::PARTIAL_CONTENT
            && answer
                .header(CONTENT_RANGE.as_str())
                .is_some_and(|range| range.starts_with(&expected))
}

impl Download {
    /// The next piece; nothing once all is there.
    pub async fn next(&mut self) -> RegistryResult<Option<Bytes>> {
        loop {
            let broken = match self.answer.chunk().await {
                Ok(Some(mut piece)) => {
                    let known =
                        usize::try_from(self.repeated).unwrap_or(usize::MAX).min(piece.len());
                    self.repeated -= known as u64;
                    let piece = piece.split_off(known);
                    if piece.is_empty() {
                        continue;
                    }
                    self.received += piece.len() as u64;
                    return Ok(Some(piece));
                }
                // Whether these are the right bytes, their hash tells.
                Ok(None) if self.received >= self.size || self.breaks >= BREAKS => return Ok(None),
                Ok(None) => None,
                Err(error) if self.breaks >= BREAKS => return Err(error),
                Err(error) => Some(error),
            };
            self.breaks += 1;
            tracing::debug!(
                ?broken,
                received = self.received,
                "the download broke and is continued"
            );
            tokio::time::sleep(backoff(self.breaks)).await;
            self.answer =
                self.registry.ask_for_rest(&self.repository, &self.digest, self.received).await?;
            self.repeated = if continues(&self.answer, self.received) { 0 } else { self.received };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Credentials;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const BLOB: &[u8] = b"0123456789";

    /// A registry that sends only so much of each answer; gives what a client makes of it, and the
    /// ranges it asked for.
    async fn fetched(
        knows_ranges: bool,
        cuts: &'static [usize],
    ) -> (RegistryResult<Vec<u8>>, Vec<Option<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let mut asked = Vec::new();
            for cut in cuts {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
                let range = request
                    .split("range: bytes=")
                    .nth(1)
                    .and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
                asked.push(range);
                let from = range.filter(|_| knows_ranges).unwrap_or_default();
                let status = if from > 0 {
                    format!("206 Partial Content\r\nContent-Range: bytes {from}-9/10")
                } else {
                    "200 OK".to_owned()
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    BLOB.len() - from
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&BLOB[from..BLOB.len().min(from + cut)]).await.unwrap();
            }
            asked
        });
        let registry = Registry::new(reqwest::Client::new(), Credentials::default());
        let repository: Repository = format!("{address}/app").parse().unwrap();
        let whole = async {
            let mut download =
                registry.download(&repository, &Digest::of(BLOB), BLOB.len() as u64).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = download.next().await? {
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        let outcome = whole.await;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_broken_download_goes_on_where_it_broke() {
        let (bytes, asked) = fetched(true, &[4, 3, 9]).await;
        assert_eq!((bytes.unwrap().as_slice(), asked), (BLOB, vec![None, Some(4), Some(7)]));
        let (bytes, asked) = fetched(false, &[4, 9, 10]).await;
        assert_eq!(
            (bytes.unwrap().as_slice(), asked),
            (BLOB, vec![None, Some(4), Some(9)]),
            "a registry without ranges sends all of it again"
        );
    }
}
