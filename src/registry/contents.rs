//! What an image consists of: its index, the image of each platform, BuildKit's attestation
//! manifest beside it. Every entry is accounted for, and everything comes from fetched and hashed
//! bytes; it never trusts a digest it was only told.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::manifest::{Descriptor, RegistryManifest};
use super::{Registry, RegistryError};
use crate::image::{Digest, ImageRef, Platform};
use crate::oci::entries::{self, Accounted, ImageEntry, Objection};
use crate::oci::{Allowed, ImageIndex, ImageManifest, OciDocument, PlatformTarget};

const CONFIG_LIMIT: usize = 8 << 20;
/// Entries that are looked into at once.
const CONCURRENCY: usize = 8;

/// An image as the registry holds it.
#[derive(Debug, Clone)]
pub struct ImageContents {
    /// What the image's digest names: an index, or the manifest of an image for one platform.
    pub root: RegistryManifest,
    pub platforms: Vec<PlatformImage>,
    /// What it is in place of an image, where that is allowed; it has no platforms then.
    pub artifact: Option<String>,
    /// Of an index.
    entries: Option<Accounted>,
    /// What was allowed and is to be told.
    told: Vec<String>,
    /// Of an image without an index.
    size: u64,
}

/// What the parts of an image turned out to be.
#[derive(Debug, Clone)]
pub struct InspectedParts {
    /// What was allowed and is to be told.
    pub told: Vec<String>,
    /// How large the layers of each image are, as they are fetched.
    pub sizes: Vec<(Digest, u64)>,
}

fn size(image: &ImageManifest) -> u64 {
    image.layers.iter().fold(0, |sum, layer| layer.size.saturating_add(sum))
}

/// The image for one platform.
#[derive(Debug, Clone)]
pub struct PlatformImage {
    pub platform: Platform,
    pub descriptor: Descriptor,
    /// BuildKit's manifest of unsigned attestations about this image.
    pub attestations: Option<Descriptor>,
}

/// A manifest that was fetched and is what it was said to be.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    pub manifest: RegistryManifest,
    pub image: ImageManifest,
}

/// Fetches and reads an image's structure; what an index names is not looked into yet.
pub async fn read(
    registry: &Registry,
    image: &ImageRef,
    allowed: &Allowed,
) -> Result<ImageContents, RegistryError> {
    let root = registry.expect_manifest(image).await?;
    match document(&root, image)? {
        OciDocument::Index(index) => {
            let accounted = account(&index, image, allowed)?;
            let platforms = accounted.images.iter().map(PlatformImage::of).collect();
            Ok(ImageContents {
                root,
                platforms,
                artifact: None,
                entries: Some(accounted),
                told: Vec::new(),
                size: 0,
            })
        }
        OciDocument::Image(manifest) => {
            let fetched = FetchedManifest { image: manifest, manifest: root.clone() };
            if allowed.artifacts
                && let Some(kind) = artifact(registry, image, &fetched).await?
            {
                let told = entries::nothing_elsewhere(&image.digest, &fetched.image, allowed)
                    .map_err(objected(image))?;
                let size = size(&fetched.image);
                return Ok(ImageContents {
                    root,
                    platforms: Vec::new(),
                    artifact: Some(kind),
                    entries: None,
                    told,
                    size,
                });
            }
            let (target, told) = looked_at(registry, image, &fetched, None, allowed).await?;
            let only = PlatformImage {
                platform: target.platform,
                descriptor: root.descriptor.clone(),
                attestations: None,
            };
            Ok(ImageContents {
                root,
                platforms: vec![only],
                artifact: None,
                entries: None,
                told,
                size: size(&fetched.image),
            })
        }
    }
}

/// What a manifest is of, where it is no image's. A config that says so itself is of no size that a
/// reader minds.
async fn artifact(
    registry: &Registry,
    image: &ImageRef,
    fetched: &FetchedManifest,
) -> Result<Option<String>, RegistryError> {
    const LEAST: u64 = 4 << 10;
    let config = &fetched.image.config;
    match entries::artifact(&fetched.image, None) {
        None if config.size <= LEAST && config.urls.is_empty() => {
            let config = registry.blob(&image.repository, config, CONFIG_LIMIT).await?;
            Ok(entries::artifact(&fetched.image, Some(&config)))
        }
        known => Ok(known),
    }
}

impl ImageContents {
    /// Fetches every manifest and config that the index names: each must be what its entry says.
    /// Gives what was allowed and is to be told.
    pub async fn look_into(
        &self,
        registry: &Registry,
        image: &ImageRef,
        allowed: &Allowed,
    ) -> Result<InspectedParts, RegistryError> {
        let Some(Accounted { images, others }) = &self.entries else {
            return Ok(InspectedParts {
                told: self.told.clone(),
                sizes: vec![(self.root.descriptor.digest.clone(), self.size)],
            });
        };
        let of_images = images.iter().map(|entry| async move {
            let (fetched, told, _) = with_attestations(registry, image, entry, allowed).await?;
            Ok((told, (entry.descriptor.digest.clone(), size(&fetched.image))))
        });
        // In order, so that of several faults the same one is told each time.
        let of_images: Vec<(Vec<String>, (Digest, u64))> =
            stream::iter(of_images).buffered(CONCURRENCY).try_collect().await?;
        let of_others = others.iter().map(|entry| other(registry, image, entry));
        let others: Vec<(FetchedManifest, String)> =
            stream::iter(of_others).buffered(CONCURRENCY).try_collect().await?;
        let (told, sizes): (Vec<_>, Vec<_>) = of_images.into_iter().unzip();
        let told =
            told.into_iter().flatten().chain(others.into_iter().map(|(_, told)| told)).collect();
        Ok(InspectedParts { told, sizes })
    }
}

impl PlatformImage {
    pub fn of(entry: &ImageEntry) -> Self {
        let ImageEntry { descriptor, target, attestations } = entry.clone();
        Self { platform: target.platform, descriptor, attestations }
    }
}

/// What a manifest says, if everybody reads it so.
pub fn document(
    manifest: &RegistryManifest,
    image: &ImageRef,
) -> Result<OciDocument, RegistryError> {
    manifest.document().map_err(|why| RegistryError::Content {
        image: image.to_string(),
        what: format!("is not accepted as an image: {why}"),
        remedy: None,
        accepted_by: None,
    })
}

/// Every entry of an index, by what it is.
pub fn account(
    index: &ImageIndex,
    image: &ImageRef,
    allowed: &Allowed,
) -> Result<Accounted, RegistryError> {
    entries::account(index, allowed).map_err(objected(image))
}

/// The image that an entry names, which must be what the entry and its own config say; and what was
/// allowed of it.
pub async fn image(
    registry: &Registry,
    index: &ImageRef,
    entry: &ImageEntry,
    allowed: &Allowed,
) -> Result<(FetchedManifest, Vec<String>), RegistryError> {
    let fetched = fetched(registry, index, &entry.descriptor).await?;
    let (_, told) = looked_at(registry, index, &fetched, Some(&entry.target), allowed).await?;
    Ok((fetched, told))
}

/// The image that an entry names, what was allowed of it, and its attestations. Of two faults the
/// image's is told, whichever answer comes first.
pub async fn with_attestations(
    registry: &Registry,
    index: &ImageRef,
    entry: &ImageEntry,
    allowed: &Allowed,
) -> Result<(FetchedManifest, Vec<String>, Option<FetchedManifest>), RegistryError> {
    let attestations = async {
        match &entry.attestations {
            Some(listed) => attestations(registry, index, listed, entry).await.map(Some),
            None => Ok(None),
        }
    };
    let (image, attestations) =
        futures_util::join!(image(registry, index, entry, allowed), attestations);
    let (fetched, told) = image?;
    Ok((fetched, told, attestations?))
}

/// An image that was fetched: what it is for, and what was allowed of it.
pub async fn looked_at(
    registry: &Registry,
    index: &ImageRef,
    fetched: &FetchedManifest,
    said: Option<&PlatformTarget>,
    allowed: &Allowed,
) -> Result<(PlatformTarget, Vec<String>), RegistryError> {
    let (digest, manifest) = (&fetched.manifest.descriptor.digest, &fetched.image);
    entries::has_image_parts(digest, manifest).map_err(objected(index))?;
    let config = registry.blob(&index.repository, &manifest.config, CONFIG_LIMIT).await?;
    entries::image(digest, manifest, &config, said, allowed).map_err(objected(index))
}

/// The attestations that an entry names: statements alone, about this image.
pub async fn attestations(
    registry: &Registry,
    index: &ImageRef,
    entry: &Descriptor,
    about: &ImageEntry,
) -> Result<FetchedManifest, RegistryError> {
    let fetched = fetched(registry, index, entry).await?;
    let config = match entries::has_no_config(&fetched.image) {
        true => None,
        false => Some(registry.blob(&index.repository, &fetched.image.config, CONFIG_LIMIT).await?),
    };
    entries::attestations(entry, &fetched.image, config.as_deref(), &about.descriptor)
        .map_err(objected(index))?;
    Ok(fetched)
}

/// What stands beside the images and was allowed, and how that is told.
pub async fn other(
    registry: &Registry,
    index: &ImageRef,
    entry: &Descriptor,
) -> Result<(FetchedManifest, String), RegistryError> {
    let fetched = fetched(registry, index, entry).await?;
    entries::other(entry, &fetched.image).map_err(objected(index))?;
    let kind = crate::oci::shown(entry.artifact_type.as_deref().unwrap_or_default());
    Ok((
        fetched,
        format!(
            "it has the entry `{}` of artifact type `{kind}`, which carries no evidence of its own",
            entry.digest
        ),
    ))
}

/// A manifest that an index lists, as it lists it.
async fn fetched(
    registry: &Registry,
    index: &ImageRef,
    entry: &Descriptor,
) -> Result<FetchedManifest, RegistryError> {
    let manifest = registry.expect_manifest(&index.repository.at(&entry.digest)).await?;
    entries::is_as_listed(entry, &manifest.descriptor).map_err(objected(index))?;
    let image = manifest
        .image()
        .map_err(|why| objected(index)(Objection::Part { entry: entry.digest.clone(), why }))?;
    Ok(FetchedManifest { manifest, image })
}

fn objected(image: &ImageRef) -> impl Fn(Objection) -> RegistryError {
    move |objection| RegistryError::Content {
        image: image.to_string(),
        what: objection.to_string(),
        remedy: objection.remedy(),
        accepted_by: objection.accepted_by(),
    }
}
