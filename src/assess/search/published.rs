//! An image that a release has pushed → what is in its layers and its config. It reads no layer of a
//! base image.

use std::sync::Arc;

use anyhow::Context as _;

use super::{LayerSearch, PlatformSearch, SearchedLayers, search};
use crate::assess::bases::BasedImage;
use crate::image::Repository;
use crate::registry::Registry;
use crate::registry::layers::reading_for;
use crate::sbom::exclude::Exclude;
use crate::sbom::image::threads;
use crate::sbom::layers::Unwatched;

pub const UNSEARCHED: &str = "secrets were not looked for";

/// Searches the images of all platforms.
pub async fn of_release(
    registry: &Registry,
    repository: &Repository,
    images: &Arc<Vec<BasedImage>>,
    layers: &Arc<SearchedLayers>,
) -> anyhow::Result<Vec<PlatformSearch>> {
    let _turn = layers.turn.lock().await;
    let (images, layers) = (images.clone(), layers.clone());
    reading_for(registry, repository, UNSEARCHED, move |source| {
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
