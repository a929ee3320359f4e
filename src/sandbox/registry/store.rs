//! Makes and finds the registry's files: shared blobs, and per repository its links, manifests,
//! tags and referrers; it never shows a half-written one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::errors::ServedError;
use super::names::{ServedDigest, ServedName};
use crate::sandbox::keys;

/// Folders of a repository start with an underscore, which no name component does.
const BLOB_LINKS: &str = "_blobs";
const MANIFESTS: &str = "_manifests";
const TAGS: &str = "_tags";
const REFERRERS: &str = "_referrers";

pub(super) struct SandboxStore {
    root: PathBuf,
}

pub(super) struct StoredManifest {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: String,
}

impl SandboxStore {
    pub(super) async fn open(root: PathBuf) -> Result<Self, std::io::Error> {
        for folder in ["blobs", "repositories"] {
            tokio::fs::create_dir_all(root.join(folder)).await?;
        }
        // Uploads do not survive a restart: their hash states were in memory.
        match tokio::fs::remove_dir_all(root.join("uploads")).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => tokio::fs::create_dir_all(root.join("uploads")).await?,
        }
        Ok(Self { root })
    }

    pub(super) fn upload_path(&self, id: &str) -> PathBuf {
        self.root.join("uploads").join(id)
    }

    pub(super) fn blob_path(&self, digest: &ServedDigest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    fn in_repository(&self, name: &ServedName, folder: &str) -> PathBuf {
        self.root.join("repositories").join(name.as_str()).join(folder)
    }

    pub(super) async fn knows_repository(&self, name: &ServedName) -> bool {
        let manifests = self.in_repository(name, MANIFESTS);
        exists(&manifests).await || exists(&self.in_repository(name, BLOB_LINKS)).await
    }

    pub(super) async fn has_blob(&self, name: &ServedName, digest: &ServedDigest) -> bool {
        exists(&self.in_repository(name, BLOB_LINKS).join(digest.hex())).await
    }

    /// Makes a stored blob visible in a repository.
    pub(super) async fn link_blob(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
    ) -> Result<(), ServedError> {
        self.write(&self.in_repository(name, BLOB_LINKS).join(digest.hex()), b"").await
    }

    pub(super) async fn unlink_blob(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
    ) -> Result<(), ServedError> {
        let link = self.in_repository(name, BLOB_LINKS).join(digest.hex());
        let unknown = || ServedError::BlobUnknown { digest: digest.as_str().to_owned() };
        remove(&link).await?.then_some(()).ok_or_else(unknown)
    }

    pub(super) async fn manifest(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
    ) -> Result<Option<StoredManifest>, ServedError> {
        let path = self.in_repository(name, MANIFESTS).join(digest.hex());
        let Some(bytes) = read(&path).await? else {
            return Ok(None);
        };
        let media_type = read(&path.with_extension("type")).await?.unwrap_or_default();
        Ok(Some(StoredManifest {
            bytes,
            media_type: String::from_utf8_lossy(&media_type).into_owned(),
        }))
    }

    pub(super) async fn put_manifest(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
        manifest: &StoredManifest,
    ) -> Result<(), ServedError> {
        let path = self.in_repository(name, MANIFESTS).join(digest.hex());
        // The type first: a manifest that is visible has one.
        self.write(&path.with_extension("type"), manifest.media_type.as_bytes()).await?;
        self.write(&path, &manifest.bytes).await
    }

    pub(super) async fn remove_manifest(
        &self,
        name: &ServedName,
        digest: &ServedDigest,
    ) -> Result<bool, ServedError> {
        let path = self.in_repository(name, MANIFESTS).join(digest.hex());
        let removed = remove(&path).await?;
        remove(&path.with_extension("type")).await?;
        for tag in self.tags(name).await? {
            if self.tag(name, &tag).await?.as_ref() == Some(digest) {
                self.remove_tag(name, &tag).await?;
            }
        }
        Ok(removed)
    }

    pub(super) async fn tag(
        &self,
        name: &ServedName,
        tag: &str,
    ) -> Result<Option<ServedDigest>, ServedError> {
        let text = read(&self.in_repository(name, TAGS).join(tag)).await?;
        text.map(|text| ServedDigest::parse(&String::from_utf8_lossy(&text))).transpose()
    }

    pub(super) async fn put_tag(
        &self,
        name: &ServedName,
        tag: &str,
        digest: &ServedDigest,
    ) -> Result<(), ServedError> {
        self.write(&self.in_repository(name, TAGS).join(tag), digest.as_str().as_bytes()).await
    }

    pub(super) async fn remove_tag(
        &self,
        name: &ServedName,
        tag: &str,
    ) -> Result<bool, ServedError> {
        remove(&self.in_repository(name, TAGS).join(tag)).await
    }

    /// In ASCII order, as the specification wants them listed.
    pub(super) async fn tags(&self, name: &ServedName) -> Result<Vec<String>, ServedError> {
        file_names(&self.in_repository(name, TAGS)).await
    }

    pub(super) async fn put_referrer(
        &self,
        name: &ServedName,
        subject: &ServedDigest,
        referrer: &ServedDigest,
        descriptor: &[u8],
    ) -> Result<(), ServedError> {
        let path = self.in_repository(name, REFERRERS).join(subject.hex()).join(referrer.hex());
        self.write(&path, descriptor).await
    }

    pub(super) async fn remove_referrer(
        &self,
        name: &ServedName,
        subject: &ServedDigest,
        referrer: &ServedDigest,
    ) -> Result<bool, ServedError> {
        remove(&self.in_repository(name, REFERRERS).join(subject.hex()).join(referrer.hex())).await
    }

    /// The descriptors of what refers to `subject`, in the order of their digests.
    pub(super) async fn referrers(
        &self,
        name: &ServedName,
        subject: &ServedDigest,
    ) -> Result<Vec<Vec<u8>>, ServedError> {
        let folder = self.in_repository(name, REFERRERS).join(subject.hex());
        let mut descriptors = Vec::new();
        for file in file_names(&folder).await? {
            descriptors.extend(read(&folder.join(file)).await?);
        }
        Ok(descriptors)
    }

    pub(super) async fn referrer_digests(
        &self,
        name: &ServedName,
        subject: &ServedDigest,
    ) -> Result<Vec<ServedDigest>, ServedError> {
        let folder = self.in_repository(name, REFERRERS).join(subject.hex());
        file_names(&folder)
            .await?
            .iter()
            .map(|hex| ServedDigest::parse(&format!("sha256:{hex}")))
            .collect()
    }

    /// Every manifest of a repository and when it was put, the newest first.
    pub(super) async fn manifests(
        &self,
        name: &ServedName,
    ) -> Result<Vec<(ServedDigest, std::time::SystemTime)>, ServedError> {
        let folder = self.in_repository(name, MANIFESTS);
        let mut found = Vec::new();
        for file in file_names(&folder).await? {
            let Ok(digest) = ServedDigest::parse(&format!("sha256:{file}")) else { continue };
            found.push((digest, tokio::fs::metadata(folder.join(&file)).await?.modified()?));
        }
        found.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        Ok(found)
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ServedError> {
        let id = keys::random_hex(16)
            .map_err(|error| ServedError::Storage(std::io::Error::other(error)))?;
        let temporary = self.upload_path(&id);
        tokio::fs::write(&temporary, bytes).await?;
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        Ok(tokio::fs::rename(&temporary, path).await?)
    }
}

pub(super) async fn exists(path: &Path) -> bool {
    tokio::fs::try_exists(path).await.unwrap_or(false)
}

async fn read(path: &Path) -> Result<Option<Vec<u8>>, ServedError> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn remove(path: &Path) -> Result<bool, ServedError> {
    match tokio::fs::remove_file(path).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn file_names(folder: &Path) -> Result<Vec<String>, ServedError> {
    let mut names = Vec::new();
    match tokio::fs::read_dir(folder).await {
        Ok(mut entries) => {
            while let Some(entry) = entries.next_entry().await? {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    names.sort();
    Ok(names)
}
