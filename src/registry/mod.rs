//! The OCI distribution protocol: bytes in, bytes out, every digest recomputed. It never
//! re-serialises a manifest and never reads a refusal, a time-out or a server's error as "absent".
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>.

mod auth;
mod buffers;
pub mod closure;
pub mod contents;
pub mod copy;
mod download;
mod error;
pub mod exchange;
pub mod layers;
pub mod legacy;
pub mod manifest;
mod memory;
pub mod names;
mod once;
mod referrers;
mod stream;
pub mod transfer;
mod transport;
mod upload;

use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};

pub use self::auth::{Credentials, LoginSecret};
pub use self::download::Download;
pub use self::error::{RegistryError, for_reader};
use self::manifest::{Descriptor, RegistryManifest};
pub use self::referrers::ReferrerArtifact;
pub use self::transport::RegistryLine;
use self::transport::{Access, Transport};
pub(crate) use self::transport::{backoff, cause, is_loopback, is_passing, pause_after};
pub use self::upload::by_registry;
use crate::image::{Digest, ImageRef, Repository, Tag};

/// No manifest is larger: registries agree on this limit.
const MANIFEST_LIMIT: usize = 4 << 20;

/// How often a manifest is put again when the registry does not know one of its parts.
const LATE: u32 = 3;

/// A header that lets a registry refuse with 412 what was written without knowing what is there;
/// those that know none ignore it.
type WriteCondition = Option<(HeaderName, String)>;

/// What a name stood on when it was looked at.
#[derive(Debug, Clone)]
pub struct SeenTag {
    pub digest: Option<Digest>,
    condition: WriteCondition,
}

/// A client for every registry of a run; cheap to clone, shares connections, tokens and the
/// concurrency limit.
#[derive(Clone)]
pub struct Registry {
    transport: Arc<Transport>,
    memory: Arc<memory::RegistryMemory>,
    /// What was read already, where that is not read again.
    once: Option<Arc<once::AnswersOnce>>,
}

type RegistryResult<T> = std::result::Result<T, RegistryError>;

/// Some registries learn late of a blob that was just pushed:
/// <https://github.com/clemensv/real-time-sources/pull/351>.
fn is_late(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Refused { status: StatusCode::NOT_FOUND, .. })
}

impl Registry {
    /// For reading.
    pub fn new(line: impl Into<RegistryLine>, credentials: Credentials) -> Self {
        Self {
            transport: Arc::new(Transport::new(line.into(), credentials, false)),
            memory: Arc::default(),
            once: None,
        }
    }

    /// For a run that pushes: its tokens are asked for with the right to.
    pub fn for_publishing(line: impl Into<RegistryLine>, credentials: Credentials) -> Self {
        Self {
            transport: Arc::new(Transport::new(line.into(), credentials, true)),
            memory: Arc::default(),
            once: None,
        }
    }

    /// Where whoever reads a repository fetches a blob.
    pub fn blob_address(&self, repository: &Repository, digest: &Digest) -> String {
        self.transport.blob_address(repository, digest)
    }

    /// Registries that had credentials sent to another host, which they named as their token
    /// service; each with that host.
    pub async fn token_services_elsewhere(&self) -> Vec<(String, String)> {
        self.transport.token_services_elsewhere().await
    }

    /// The manifest of this digest, its bytes hashed; `None` only when the registry says 404.
    pub async fn manifest(&self, image: &ImageRef) -> RegistryResult<Option<RegistryManifest>> {
        let Some(manifest) = self.read(&image.repository, image.digest.as_str()).await? else {
            return Ok(None);
        };
        if manifest.descriptor.digest != image.digest {
            return Err(RegistryError::Mismatch {
                what: format!("manifest `{image}`"),
                computed: manifest.descriptor.digest,
            });
        }
        Ok(Some(manifest))
    }

    /// Whether the registry has a manifest, without its bytes.
    pub async fn has_manifest(&self, image: &ImageRef) -> RegistryResult<bool> {
        let answer = self
            .transport
            .send(
                Method::HEAD,
                &image.repository,
                &format!("manifests/{}", image.digest),
                Access::Pull,
                |request| request.header(ACCEPT, manifest::ACCEPTED),
            )
            .await?;
        Ok(answer.status != StatusCode::NOT_FOUND)
    }

    /// As `manifest`, for one that must be there.
    pub async fn expect_manifest(&self, image: &ImageRef) -> RegistryResult<RegistryManifest> {
        self.manifest(image)
            .await?
            .ok_or_else(|| RegistryError::Absent { what: format!("manifest `{image}`") })
    }

    /// What a tag names now.
    pub async fn tagged(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> RegistryResult<Option<RegistryManifest>> {
        self.read(repository, tag.as_str()).await
    }

    /// What a digest or tag names; whether the bytes are the digest's is for the caller to see.
    async fn read(
        &self,
        repository: &Repository,
        reference: &str,
    ) -> RegistryResult<Option<RegistryManifest>> {
        let read = async {
            let fetched = self.fetch_manifest(repository, reference).await?;
            Ok(fetched.map(|(manifest, _)| manifest))
        };
        match &self.once {
            Some(once) => {
                once.manifests.get((repository.clone(), reference.to_owned()), read).await
            }
            None => read.await,
        }
    }

    /// What a tag names now, so that it can be put on condition that it still does.
    pub async fn look(&self, repository: &Repository, tag: &Tag) -> RegistryResult<SeenTag> {
        let (manifest, condition) = self.to_be_replaced(repository, tag).await?;
        Ok(SeenTag { digest: manifest.map(|manifest| manifest.descriptor.digest), condition })
    }

    /// What a tag names now, and the condition under which it still does when it is put again.
    async fn to_be_replaced(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> RegistryResult<(Option<RegistryManifest>, WriteCondition)> {
        match self.fetch_manifest(repository, tag.as_str()).await? {
            None => Ok((None, Some((IF_NONE_MATCH, "*".to_owned())))),
            Some((manifest, mark)) => Ok((Some(manifest), mark.map(|mark| (IF_MATCH, mark)))),
        }
    }

    async fn fetch_manifest(
        &self,
        repository: &Repository,
        reference: &str,
    ) -> RegistryResult<Option<(RegistryManifest, Option<String>)>> {
        let answer = self
            .transport
            .send(
                Method::GET,
                repository,
                &format!("manifests/{reference}"),
                Access::Pull,
                |request| request.header(ACCEPT, manifest::ACCEPTED),
            )
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.success().await?;
        let media_type = answer.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
        // A weak one does not say that the bytes are the same.
        let mark =
            answer.header(ETAG.as_str()).filter(|mark| mark.starts_with('"')).map(str::to_owned);
        let bytes = answer.bytes(MANIFEST_LIMIT).await?;
        Ok(Some((RegistryManifest::new(bytes, &media_type), mark)))
    }

    /// Puts a manifest under its own digest, which no one pulls by chance. Says whether the
    /// registry keeps referrers itself (`OCI-Subject`).
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &RegistryManifest,
    ) -> RegistryResult<bool> {
        self.put(repository, manifest.descriptor.digest.as_str(), manifest).await
    }

    /// Puts a name that people pull, on condition, where the registry heeds one, that it is as it
    /// was `seen`. The one caller is `publish`, which holds a `VerifiedImage`; clippy refuses any
    /// other.
    pub async fn put_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        manifest: &RegistryManifest,
        seen: Option<&SeenTag>,
    ) -> RegistryResult<()> {
        let condition = seen.and_then(|seen| seen.condition.clone());
        for attempt in 1..=LATE {
            match self.put_once(repository, tag.as_str(), manifest, &condition).await {
                Err(error) if is_late(&error) => tokio::time::sleep(backoff(attempt)).await,
                outcome => return outcome.map(drop),
            }
            // Who has waited looks again, as not every registry heeds the condition.
            if let Some(seen) = seen
                && self.look(repository, tag).await?.digest != seen.digest
            {
                let request = format!("PUT /v2/{}/manifests/{tag}", repository.path());
                let detail = ": it was moved meanwhile".to_owned();
                return Err(RegistryError::Refused {
                    request,
                    status: StatusCode::PRECONDITION_FAILED,
                    detail,
                });
            }
        }
        self.put_once(repository, tag.as_str(), manifest, &condition).await.map(drop)
    }

    async fn put(
        &self,
        repository: &Repository,
        reference: &str,
        manifest: &RegistryManifest,
    ) -> RegistryResult<bool> {
        for attempt in 1..=LATE {
            match self.put_once(repository, reference, manifest, &None).await {
                Err(error) if is_late(&error) => tokio::time::sleep(backoff(attempt)).await,
                outcome => return outcome,
            }
        }
        self.put_once(repository, reference, manifest, &None).await
    }

    async fn put_once(
        &self,
        repository: &Repository,
        reference: &str,
        manifest: &RegistryManifest,
        condition: &WriteCondition,
    ) -> RegistryResult<bool> {
        let answer = self
            .transport
            .send(
                Method::PUT,
                repository,
                &format!("manifests/{reference}"),
                Access::Push,
                |request| {
                    let request = request
                        .header(CONTENT_TYPE, manifest.descriptor.media_type.as_str())
                        .body(manifest.bytes.clone());
                    condition
                        .iter()
                        .fold(request, |request, (name, value)| request.header(name, value))
                },
            )
            .await?
            .success()
            .await?;
        match answer.header("docker-content-digest").map(str::parse::<Digest>) {
            Some(Ok(stored)) if stored != manifest.descriptor.digest => {
                Err(RegistryError::Mismatch {
                    what: format!("manifest put to `{repository}`"),
                    computed: stored,
                })
            }
            _ => Ok(answer.header("oci-subject").is_some()),
        }
    }

    /// A blob of at most `limit` bytes, its length and hash checked.
    pub async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        limit: usize,
    ) -> RegistryResult<Vec<u8>> {
        let what = || format!("blob `{repository}@{}`", blob.digest);
        if blob.size > limit as u64 {
            return Err(RegistryError::TooLarge { what: what(), limit });
        }
        self.blob_of(repository, &blob.digest, limit).await
    }

    /// As `blob`, where nothing but the digest is known.
    pub async fn blob_of(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> RegistryResult<Vec<u8>> {
        let what = || format!("blob `{repository}@{digest}`");
        if let Some(kept) = self.once.as_ref().and_then(|once| once.blob(repository, digest)) {
            return match kept.len() <= limit {
                true => Ok(kept),
                false => Err(RegistryError::TooLarge { what: what(), limit }),
            };
        }
        let answer = self
            .transport
            .send(Method::GET, repository, &format!("blobs/{digest}"), Access::Pull, |request| {
                request
            })
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(RegistryError::Absent { what: what() });
        }
        let bytes = answer.success().await?.bytes(limit).await?;
        let computed = Digest::of(&bytes);
        if computed != *digest {
            return Err(RegistryError::Mismatch { what: what(), computed });
        }
        self.once.iter().for_each(|once| once.keep_blob(repository, digest, &bytes));
        Ok(bytes)
    }

    /// Streams a blob into `sink`, hashing on the way; for layers, which may be larger than memory.
    pub async fn stream_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        sink: &mut (dyn std::io::Write + Send),
    ) -> RegistryResult<()> {
        let answer = self
            .transport
            .send(
                Method::GET,
                repository,
                &format!("blobs/{}", blob.digest),
                Access::Pull,
                |request| request,
            )
            .await?;
        let computed = answer.success().await?.copy_to(sink).await?;
        if computed != blob.digest {
            return Err(RegistryError::Mismatch {
                what: format!("blob `{repository}@{}`", blob.digest),
                computed,
            });
        }
        Ok(())
    }
}
