//! The layers and the config of an image → the secrets in them, and what is set in an unwise way. It
//! reads a layer once, takes none for clean that it could not read, and judges nothing itself.

mod layers;
mod owners;
mod published;
pub mod refused;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod waivers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::layers::LayerLeaks;
pub use self::layers::SearchedLayers;
pub use self::published::{UNSEARCHED, of_release};
use super::bases::{BaseLayers, BasedImage};
use crate::sbom::SbomError;
use crate::sbom::exclude::Exclude;
use crate::sbom::image::CatalogedImage;
use crate::sbom::layers::{Blob, LayerBlobs, LayerReading, Watcher, watched};
use crate::secrets::config::RunConfig;
use crate::secrets::leak::{Excuse, Leak};
use crate::secrets::weakness::{self, WeakPlace, Weakness};

/// Where layers are, and how they are read.
pub struct LayerSearch<'a> {
    pub blobs: &'a dyn LayerBlobs,
    pub threads: usize,
    pub watcher: &'a dyn Watcher,
    pub layers: &'a SearchedLayers,
    pub exclude: &'a Exclude,
}

/// What was found in the image of one platform.
#[derive(Debug, Default)]
pub struct PlatformSearch {
    pub platform: String,
    pub leaks: Vec<Leak>,
    pub weaknesses: Vec<Weakness>,
    /// Layers of the image's own that were searched.
    pub own: usize,
    /// Those of the base image that were searched, as they were read anyway.
    pub of_base: usize,
    /// Those of the base image that nobody read.
    pub passed: usize,
    /// What could not be read, one sentence each.
    pub unread: Vec<String>,
    /// What is known of the base image.
    pub base: BaseLayers,
    /// Secrets that are not listed, as there are too many.
    pub left_out: u64,
    /// Why BuildKit's checks of the Dockerfile are not known, or not all of them.
    pub unchecked: Option<String>,
}

/// What became of the search of one image of a release.
#[derive(Debug)]
pub enum Searched {
    /// Nothing was searched, and why; nobody was asked where it is empty.
    Not(String),
    /// Of each platform.
    Done(Vec<PlatformSearch>),
}

impl Searched {
    pub fn platforms(&self) -> &[PlatformSearch] {
        match self {
            Self::Not(_) => &[],
            Self::Done(platforms) => platforms,
        }
    }

    /// Adds what is said of the Dockerfile that all platforms are built from, and why not all of it
    /// is known.
    pub fn add_checks(&mut self, said: &[Weakness], unchecked: Option<&str>) {
        let Self::Done(platforms) = self else { return };
        for platform in platforms {
            platform.weaknesses.extend(said.iter().cloned());
            platform.unchecked = unchecked.map(str::to_owned);
        }
    }
}

/// Searches the layers that nobody has searched: each once, and none of a base image.
///
/// # Errors
/// When a layer is not what its digest says, or cannot be fetched.
pub fn search(images: &[BasedImage], how: &LayerSearch<'_>) -> anyhow::Result<Vec<PlatformSearch>> {
    let is_readable = |layer: &&Blob| !layer.is_foreign && !layer.is_encrypted;
    let own = images.iter().flat_map(|it| it.image.layers.iter().skip(it.base.count));
    let wanted: BTreeSet<&Blob> =
        own.filter(is_readable).filter(|layer| how.layers.of(layer).is_none()).collect();
    let wanted: Vec<Blob> = wanted.into_iter().cloned().collect();
    watched(&wanted, &reading(how)).map_err(image_error)?;
    let mut owners = BTreeMap::new();
    images.iter().map(|image| of_image(image, how, &mut owners)).collect()
}

fn reading<'a>(how: &LayerSearch<'a>) -> LayerReading<'a> {
    LayerReading {
        watcher: how.watcher,
        watch: Some(how.layers),
        diff_ids: false,
        ..LayerReading::of(how.blobs, how.threads)
    }
}

/// What keeps an image from being read, in words that are not about an SBOM.
pub fn image_error(error: SbomError) -> anyhow::Error {
    let text = error.to_string();
    let message = text.strip_prefix("no sbom was written: ").unwrap_or(&text).to_owned();
    match error {
        SbomError::Unreadable { source, .. } | SbomError::UnreadableLayer { source, .. } => {
            anyhow::Error::new(source).context(message)
        }
        _ => anyhow::anyhow!(message),
    }
}

/// Of one file of one layer, the package that brings it.
type LayerOwners = BTreeMap<String, BTreeMap<String, String>>;

fn of_image(
    searched: &BasedImage,
    how: &LayerSearch<'_>,
    owners: &mut LayerOwners,
) -> anyhow::Result<PlatformSearch> {
    let BasedImage { platform, image, base, .. } = searched;
    let mut found = PlatformSearch {
        platform: platform.clone(),
        base: base.clone(),
        ..PlatformSearch::default()
    };
    let mut stack: Vec<Arc<LayerLeaks>> = Vec::new();
    for (at, layer) in image.layers.iter().enumerate() {
        let is_base = at < base.count;
        let Some(known) = how.layers.of(layer) else {
            match unread(layer) {
                Some(why) => found.unread.push(why),
                None => found.passed += 1,
            }
            stack.push(Arc::default());
            continue;
        };
        *(if is_base { &mut found.of_base } else { &mut found.own }) += 1;
        found.left_out += known.left_out;
        let mut leaks: Vec<Leak> = known
            .leaks
            .iter()
            .filter(|leak| !leak.path().is_some_and(|path| how.exclude.matches(path)))
            .map(|leak| leak.clone().in_layer(layer.name(), is_base))
            .collect();
        owners::excuse(&mut leaks, layer, how, owners).map_err(image_error)?;
        found.leaks.extend(leaks);
        stack.push(known);
    }
    for (at, layer) in stack.iter().enumerate().skip(base.count) {
        let above = stack.get(at + 1..).unwrap_or_default();
        let seen = layer.weaknesses.iter().filter(|weakness| match &weakness.place {
            WeakPlace::Entry(path) => !above.iter().any(|above| above.hides(path)),
            _ => true,
        });
        found.weaknesses.extend(seen.cloned());
    }
    of_config(image, base, &mut found)?;
    Ok(found)
}

/// Why nobody can read a layer, where that is known of it.
fn unread(layer: &Blob) -> Option<String> {
    let what = match (layer.is_foreign, layer.is_encrypted) {
        (true, _) => "is a foreign layer, whose bytes do not lie with the image",
        (_, true) => "is encrypted",
        (false, false) => return None,
    };
    Some(format!("layer `{}` {what}", layer.name()))
}

/// What the config says beyond that of the base image.
fn of_config(
    image: &CatalogedImage,
    base: &BaseLayers,
    found: &mut PlatformSearch,
) -> anyhow::Result<()> {
    let config = RunConfig::read(&image.config)?;
    let of_base = match &base.config {
        Some(bytes) => RunConfig::read(bytes).map(|config| config.leaks()).unwrap_or_default(),
        None => Vec::new(),
    };
    found.leaks.extend(config.leaks().into_iter().map(|leak| {
        let is_its = of_base
            .iter()
            .any(|its| (its.rule.id, its.fingerprint) == (leak.rule.id, leak.fingerprint));
        leak.excused(is_its.then_some(Excuse::BaseLayer))
    }));
    found.weaknesses.extend(weakness::of_config(&config, base.name()));
    Ok(())
}
