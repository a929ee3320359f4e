//! Images for tests.

use super::NamedBase;
use crate::sbom::image::{CatalogedImage, LayoutPlatform};
use crate::sbom::layers::Blob;

pub(crate) fn debian() -> NamedBase {
    let image = format!("docker.io/library/debian@sha256:{}", "0".repeat(64));
    NamedBase { image: image.parse().unwrap(), name: "debian:12".to_owned(), tag: None }
}

pub(crate) fn layer(name: &str) -> Blob {
    Blob {
        digest: Some(format!("sha256:{name}")),
        size: Some(1),
        diff_id: format!("sha256:{name}-inflated"),
        is_foreign: false,
        is_encrypted: false,
    }
}

/// An image of layers with these names, the lowest first.
pub(crate) fn image(layers: &[&str]) -> CatalogedImage {
    CatalogedImage {
        digest: None,
        platform: LayoutPlatform::host(),
        created: None,
        vendor: None,
        layers: layers.iter().map(|name| layer(name)).collect(),
        config: b"{}".to_vec(),
    }
}
