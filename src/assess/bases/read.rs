//! The images of a release, or of what is published, and the images that they were built from → each
//! with the layers of its base. Base images are asked for in their registries for a moment alone; one
//! that does not answer makes every layer the image's own.

use std::time::Duration;

use futures_util::future::join_all;

use super::{BasedImage, NamedBase, PlatformMaterials, base_of, may_ask, named};
use crate::assess::search::image_error;
use crate::image::{Platform, Repository};
use crate::provenance::BuildLines;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::layers::reading_for;
use crate::sbom::SbomError;
use crate::sbom::image::CatalogedImage;

/// Nobody waits longer for what only spares reading.
const PATIENCE: Duration = Duration::from_secs(10);
const UNREAD: &str = "its layers are not known";

/// The images of all platforms, in their order.
///
/// # Errors
/// When an image itself cannot be read.
pub async fn based(
    registry: &Registry,
    repository: &Repository,
    parts: &[PlatformImage],
    materials: &[PlatformMaterials],
) -> anyhow::Result<Vec<BasedImage>> {
    let of_part = |part: &PlatformImage| {
        let found = materials.iter().find(|it| it.platform == part.platform);
        found.map(|it| (it.materials.as_slice(), it.lines.clone())).unwrap_or_default()
    };
    let bases = parts.iter().map(|part| {
        let named = named(of_part(part).0, &part.platform);
        candidates(registry, repository, named, &part.platform)
    });
    let bases: Vec<Candidates> = join_all(bases).await;
    let parts: Vec<(PlatformImage, BuildLines)> =
        parts.iter().map(|part| (part.clone(), of_part(part).1)).collect();
    reading_for(registry, repository, UNREAD, move |source| {
        let image = |((part, lines), bases): ((PlatformImage, BuildLines), &Candidates)| {
            let image =
                source.image(&part.descriptor.digest, Some(&part.platform)).map_err(image_error)?;
            let base = base_of(&image, &bases.read, &bases.unread);
            Ok(BasedImage { platform: part.platform.to_string(), image, base, lines })
        };
        parts.into_iter().zip(&bases).map(image).collect()
    })
    .await
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
        let name = base.name.clone();
        if !may_ask(home, &base.image.repository) {
            return Err(format!(
                "`{name}` is not asked for, as this image is on this machine alone"
            ));
        }
        let (digest, platform) = (base.image.digest.clone(), platform.clone());
        let read = reading_for(registry, &base.image.repository, UNREAD, move |source| {
            match source.image(&digest, Some(&platform)) {
                Ok(image) => Ok(Some(image)),
                // It is of another platform, and so it is no base of this one.
                Err(SbomError::BadImage(_)) => Ok(None),
                Err(error) => Err(image_error(error)),
            }
        });
        match tokio::time::timeout(PATIENCE, read).await {
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
