//! What an image consists of: its index, the image of each platform, BuildKit's attestation manifest beside it.
//! Everything comes from fetched and hashed bytes; it never trusts a digest it was only told.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::manifest::{Descriptor, Fields, Manifest};
use super::{Registry, RegistryError};
use crate::image::{ImageRef, Platform};

/// Set by BuildKit: <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const CONFIG_LIMIT: usize = 8 << 20;

/// An image as the registry holds it.
#[derive(Debug, Clone)]
pub struct Contents {
    /// What the image's digest names: an index, or the manifest of an image for one platform.
    pub root: Manifest,
    pub platforms: Vec<PlatformImage>,
}

/// The image for one platform.
#[derive(Debug, Clone)]
pub struct PlatformImage {
    pub platform: Platform,
    pub descriptor: Descriptor,
    /// BuildKit's manifest of unsigned attestations about this image.
    pub attestations: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Fetches and reads an image's structure.
pub async fn read(registry: &Registry, image: &ImageRef) -> Result<Contents, RegistryError> {
    let root = registry.expect_manifest(image).await?;
    let fields = fields_of(&root, image)?;
    if root.is_index() {
        return Ok(Contents { platforms: platforms_of(fields.manifests.unwrap_or_default(), image)?, root });
    }
    let platform = configured(registry, image, &fields).await?;
    let only = PlatformImage { platform, descriptor: root.descriptor.clone(), attestations: None };
    Ok(Contents { platforms: vec![only], root })
}

/// The platform that an image's own config names.
pub async fn configured(registry: &Registry, image: &ImageRef, fields: &Fields) -> Result<Platform, RegistryError> {
    let config = fields.config.as_ref().ok_or_else(|| unreadable(image, "a manifest without a config"))?;
    let bytes = registry.blob(&image.repository, config, CONFIG_LIMIT).await?;
    let config: Config =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(image, &format!("a config that cannot be read: {error}")))?;
    Ok(Platform { os: config.os, architecture: config.architecture, variant: config.variant })
}

/// Whether an index's entry is BuildKit's manifest of attestations.
pub fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
}

pub fn fields_of(manifest: &Manifest, image: &ImageRef) -> Result<Fields, RegistryError> {
    manifest.fields().map_err(|error| unreadable(image, &format!("a manifest that cannot be read: {error}")))
}

fn unreadable(image: &ImageRef, what: &str) -> RegistryError {
    RegistryError::Protocol { request: format!("GET {image}"), what: what.to_owned() }
}

fn platforms_of(entries: Vec<Descriptor>, image: &ImageRef) -> Result<Vec<PlatformImage>, RegistryError> {
    let (attestations, images): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_attestation);
    let mut by_image: BTreeMap<String, Descriptor> = BTreeMap::new();
    for attestation in attestations {
        if let Some(digest) = attestation.annotations.get(REFERENCE_DIGEST) {
            by_image.insert(digest.clone(), attestation.clone());
        }
    }
    images
        .into_iter()
        .map(|descriptor| {
            let described = descriptor.platform.clone().ok_or_else(|| unreadable(image, "an index entry without a platform"))?;
            Ok(PlatformImage {
                platform: Platform { os: described.os, architecture: described.architecture, variant: described.variant },
                attestations: by_image.get(descriptor.digest.as_str()).cloned(),
                descriptor,
            })
        })
        .collect()
}
