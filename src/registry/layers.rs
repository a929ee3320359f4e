//! An image in a registry as a source of layers: each is fetched while it is read, through a few
//! buffers, so that no more of it is in memory than was just received. It never fetches a layer
//! that is known already.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::buffers::buffers;
use super::manifest::Descriptor;
use super::{Registry, RegistryError};
use crate::error::remedied;
use crate::image::{Digest, Platform, Repository};
use crate::sbom::SbomError;
use crate::sbom::image::{self, CatalogedImage, ImageStore, MOST, SearchStart};
use crate::sbom::layers::{Blob, LayerBlobs};

/// Reads images of a repository for an SBOM.
pub async fn reading<T: Send + 'static>(
    registry: &Registry,
    repository: &Repository,
    work: impl FnOnce(&LayerRepository) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    reading_for(registry, repository, "no sbom was written", work).await
}

/// Reads images of a repository on a thread that may wait. Where a request failed, the registry's
/// own words tell, with their remedy, and what did not happen.
pub async fn reading_for<T: Send + 'static>(
    registry: &Registry,
    repository: &Repository,
    consequence: &'static str,
    work: impl FnOnce(&LayerRepository) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let source = LayerRepository {
        registry: registry.clone(),
        repository: repository.clone(),
        handle: Handle::current(),
        failure: Arc::default(),
    };
    let reading = tokio::task::spawn_blocking(move || {
        let outcome = work(&source);
        let failure = source.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, failure) {
            (Err(_), Some(failure)) => Err(remedied(failure)).context(consequence),
            (outcome, _) => outcome,
        }
    });
    reading.await.with_context(|| format!("{consequence}: the reading stopped"))?
}

/// A platform as the cataloger calls it.
pub fn platform(platform: &Platform) -> image::LayoutPlatform {
    let Platform { os, architecture, variant } = platform.clone();
    image::LayoutPlatform { os, architecture, variant }
}

/// A repository whose images are read.
pub struct LayerRepository {
    registry: Registry,
    repository: Repository,
    handle: Handle,
    /// The first failure.
    failure: LayersFailure,
}

impl LayerRepository {
    /// The layers of an image, or of the image for one platform if it is for several.
    pub fn image(
        &self,
        digest: &Digest,
        wanted: Option<&Platform>,
    ) -> Result<CatalogedImage, SbomError> {
        image::find(self, &SearchStart::Digest(digest.as_str()), wanted.map(platform).as_ref())
    }
}

impl LayerRepository {
    fn unreadable(&self, path: &str, error: RegistryError) -> SbomError {
        SbomError::Unreadable { path: path.to_owned(), source: noted(&self.failure, error) }
    }
}

type LayersFailure = Arc<Mutex<Option<RegistryError>>>;

fn noted(failure: &LayersFailure, error: RegistryError) -> io::Error {
    let told = io::Error::other(error.to_string());
    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    told
}

fn digest(text: &str) -> io::Result<Digest> {
    text.parse().map_err(|error: crate::image::ImageError| {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    })
}

impl ImageStore for LayerRepository {
    fn manifest(&self, named: &str) -> Result<(Vec<u8>, Option<String>), SbomError> {
        let digest = digest(named)
            .map_err(|source| SbomError::Unreadable { path: named.to_owned(), source })?;
        let fetched =
            self.handle.block_on(self.registry.expect_manifest(&self.repository.at(&digest)));
        let manifest = fetched.map_err(|error| self.unreadable(named, error))?;
        Ok((manifest.bytes, Some(manifest.descriptor.media_type)))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SbomError> {
        let fetched = self.handle.block_on(self.registry.blob(&self.repository, descriptor, MOST));
        fetched.map_err(|error| self.unreadable(descriptor.digest.as_str(), error))
    }
}

impl LayerBlobs for LayerRepository {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        let (digest, size) =
            (digest(blob.digest.as_deref().unwrap_or_default())?, blob.size.unwrap_or_default());
        let (registry, repository, failure) =
            (self.registry.clone(), self.repository.clone(), self.failure.clone());
        let (mut filling, filled) = buffers(size);
        self.handle.spawn(async move {
            let fetched = async {
                let mut download = registry.download(&repository, &digest, size).await?;
                while let Some(piece) = download.next().await? {
                    // Nobody reads on.
                    if !filling.put(piece).await {
                        break;
                    }
                }
                Ok(())
            };
            let error = fetched.await.err().map(|error| noted(&failure, error));
            filling.end(error);
        });
        Ok(Box::new(filled))
    }
}
