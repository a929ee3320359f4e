//! `IMAGE` → what is in its layers and its config, read as `supply-action sbom` reads it. Whose
//! layers a base image's are nobody says here, so that all are the image's own.

use std::path::Path;

use anyhow::Context as _;

use super::NOTHING;
use crate::assess::bases::{BaseLayers, BasedImage};
use crate::assess::search::{LayerSearch, PlatformSearch, SearchedLayers, image_error, search};
use crate::environment::Environment;
use crate::image::Platform;
use crate::provenance::BuildLines;
use crate::registry;
use crate::sbom::exclude::Exclude;
use crate::sbom::image::{self, CatalogedImage, LocalImage};
use crate::sbom::layers::{LayerBlobs, Unwatched};
use crate::verbs::sbom::{SbomSubject, found};

/// Which image, and what is left out of it.
pub(super) struct WantedSearch {
    pub(super) platform: Option<Platform>,
    pub(super) exclude: Exclude,
}

/// `None` of a directory, which is no image.
pub(super) async fn searched(
    subject: &SbomSubject,
    wanted: WantedSearch,
    env: &Environment,
) -> anyhow::Result<Option<PlatformSearch>> {
    let found = match subject {
        SbomSubject::Directory(_) => return Ok(None),
        SbomSubject::Registry(reference) => {
            let (registry, image) =
                found(reference, NOTHING, env).await.map_err(registry::for_reader)?;
            let digest = image.digest.clone();
            registry::layers::reading_for(&registry, &image.repository, NOTHING, move |source| {
                let image = source.image(&digest, wanted.platform.as_ref()).map_err(image_error)?;
                of(image, source, &wanted.exclude)
            })
            .await
            .map_err(registry::for_reader)?
        }
        SbomSubject::Layout(path, name) => {
            local(path, name.as_deref(), wanted, image::layout).await?
        }
        SbomSubject::Archive(path, name) => {
            local(path, name.as_deref(), wanted, image::archive).await?
        }
    };
    Ok(Some(found))
}

type OpenImage = fn(
    &Path,
    Option<&str>,
    Option<&image::LayoutPlatform>,
) -> Result<LocalImage, crate::sbom::SbomError>;

async fn local(
    path: &Path,
    name: Option<&str>,
    wanted: WantedSearch,
    open: OpenImage,
) -> anyhow::Result<PlatformSearch> {
    let (path, name) = (path.to_owned(), name.map(str::to_owned));
    let reading = tokio::task::spawn_blocking(move || {
        let platform = wanted.platform.as_ref().map(registry::layers::platform);
        let local = open(&path, name.as_deref(), platform.as_ref()).map_err(image_error)?;
        of(local.image.clone(), &local, &wanted.exclude)
    });
    reading.await.context("the reading stopped")?
}

fn of(
    image: CatalogedImage,
    blobs: &dyn LayerBlobs,
    exclude: &Exclude,
) -> anyhow::Result<PlatformSearch> {
    let layers = SearchedLayers::default();
    let how = LayerSearch {
        blobs,
        threads: image::threads(),
        watcher: &Unwatched,
        layers: &layers,
        exclude,
    };
    let image = BasedImage {
        platform: String::new(),
        image,
        base: BaseLayers::default(),
        lines: BuildLines::default(),
    };
    search(&[image], &how)?.pop().context("the image was lost on the way")
}
