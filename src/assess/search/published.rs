//! An image that a release has pushed → what is in its layers and its config. Base images are asked
//! for in their registries for a moment alone; one that does not answer makes every layer the
//! image's own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;

use super::bases::{NamedBase, base_of, may_ask, named};
use super::{LayerSearch, PlatformSearch, SearchedImage, SearchedLayers, image_error, search};
use crate::image::{Platform, Repository};
use crate::provenance::Resource;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::layers::reading_for;
use crate::sbom::SbomError;
use crate::sbom::exclude::Exclude;
use crate::sbom::image::{CatalogedImage, threads};
use crate::sbom::layers::Unwatched;

/// What the build of one platform was made from, as its provenance says.
pub type PlatformMaterials = (Platform, Vec<Resource>);

/// Nobody waits longer for what only spares reading.
const PATIENCE: Duration = Duration::from_secs(10);
const UNSEARCHED: &str = "secrets were not looked for";

/// Searches the images of all platforms.
pub async fn of_release(
    registry: &Registry,
    repository: &Repository,
    parts: &[PlatformImage],
    materials: &[PlatformMaterials],
    layers: &Arc<SearchedLayers>,
) -> anyhow::Result<Vec<PlatformSearch>> {
    let _turn = layers.turn.lock().await;
    let bases = parts.iter().map(|part| {
        let materials = materials.iter().find(|(platform, _)| *platform == part.platform);
        let materials = materials.map(|(_, materials)| materials.as_slice()).unwrap_or_default();
        candidates(registry, repository, named(materials, &part.platform), &part.platform)
    });
    let bases: Vec<Candidates> = join_all(bases).await;
    let (parts, layers) = (parts.to_vec(), layers.clone());
    reading_for(registry, repository, UNSEARCHED, move |source| {
        let image = |(part, bases): (&PlatformImage, &Candidates)| {
            let image =
                source.image(&part.descriptor.digest, Some(&part.platform)).map_err(image_error)?;
            let base = base_of(&image, &bases.read, &bases.unread);
            Ok(SearchedImage { platform: part.platform.to_string(), image, base })
        };
        let images: Vec<SearchedImage> =
            parts.iter().zip(&bases).map(image).collect::<anyhow::Result<_>>()?;
        let exclude = Exclude::default();
        let how = LayerSearch {
            blobs: source,
            threads: threads(),
            watcher: &Unwatched,
            layers: &layers,
            exclude: &exclude,
        };
        search(&images, &how)
    })
    .await
    .context(UNSEARCHED)
}

/// Images that may be the base, and why others could not be read.
#[derive(Default)]
struct Candidates {
    read: Vec<(NamedBase, CatalogedImage)>,
    unread: Vec<String>,
}

async fn candidates(
    registry: &Registry,
    home: &Repository,
    named: Vec<NamedBase>,
    platform: &Platform,
) -> Candidates {
    let reads = named.into_iter().map(|base| async move {
        if !may_ask(home, &base.image.repository) {
            return Err(format!(
                "`{}` is not asked for, as this image is on this machine alone",
                base.name
            ));
        }
        let (digest, platform) = (base.image.digest.clone(), platform.clone());
        let read = reading_for(registry, &base.image.repository, UNSEARCHED, move |source| {
            match source.image(&digest, Some(&platform)) {
                Ok(image) => Ok(Some(image)),
                // It is of another platform, and so it is no base of this one.
                Err(SbomError::BadImage(_)) => Ok(None),
                Err(error) => Err(image_error(error)),
            }
        });
        let outcome = tokio::time::timeout(PATIENCE, read).await;
        let name = base.name.clone();
        match outcome {
            Ok(Ok(image)) => Ok(image.map(|image| (base, image))),
            Ok(Err(error)) => {
                Err(format!("`{name}` cannot be read: {}", crate::error::message(&error)))
            }
            Err(_) => Err(format!("`{name}` does not answer within {} s", PATIENCE.as_secs())),
        }
    });
    let mut candidates = Candidates::default();
    for outcome in join_all(reads).await {
        match outcome {
            Ok(read) => candidates.read.extend(read),
            Err(why) => candidates.unread.push(why),
        }
    }
    candidates
}
