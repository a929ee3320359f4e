//! The images that a build was made from → those of its layers that are the base image's. Pure but
//! for its parts that ask registries; an image whose layers are not the lowest of this one is no
//! base.

mod inquiry;
mod read;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use crate::github::server::is_loopback;
use crate::image::{Digest, ImageRef, Platform, Repository, Tag};
use crate::provenance::{BuildLines, Resource, ResourceKind};
use crate::sbom::image::CatalogedImage;

pub use self::inquiry::BaseInquiry;
pub use self::read::based;

/// No build has more images.
const MOST: usize = 64;

/// What the build of one platform was made from and by, as its provenance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformMaterials {
    pub platform: Platform,
    pub materials: Vec<Resource>,
    pub lines: BuildLines,
}

/// An image for one platform, and which of its layers are its base image's.
#[derive(Debug)]
pub struct BasedImage {
    /// For people; empty where there is one alone.
    pub platform: String,
    pub image: CatalogedImage,
    pub base: BaseLayers,
    pub lines: BuildLines,
}

/// Which layers, the lowest first, are those of a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseLayers {
    pub count: usize,
    pub named: Option<NamedBase>,
    /// Of the base image.
    pub config: Option<Vec<u8>>,
    /// Why it is not known which they are, where that may matter.
    pub unknown: Option<String>,
}

impl BaseLayers {
    /// As the build named it.
    pub fn name(&self) -> Option<&str> {
        self.named.as_ref().map(|named| named.name.as_str())
    }
}

/// An image that a build was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedBase {
    pub image: ImageRef,
    /// With its tag, and with its digest where it was named by that.
    pub name: String,
    /// The tag by which alone it was named: another build may get another image.
    pub tag: Option<Tag>,
}

/// Those of one platform, each once.
pub(in crate::assess) fn named(materials: &[Resource], platform: &Platform) -> Vec<NamedBase> {
    let images = materials.iter().filter(|it| it.kind() == ResourceKind::Image);
    let mut named: Vec<NamedBase> =
        images.filter_map(|material| base(material, platform)).take(MOST).collect();
    named.sort();
    named.dedup();
    named
}

/// `pkg:docker/ghcr.io/octo/base@1.2?platform=linux%2Famd64`, as BuildKit writes it.
fn base(material: &Resource, platform: &Platform) -> Option<NamedBase> {
    let purl: packageurl::PackageUrl<'_> = material.uri.parse().ok()?;
    let qualifier = |name: &str| purl.qualifiers().get(name).map(|value| value.to_string());
    if let Some(of) = qualifier("platform")
        && of.parse::<Platform>().is_ok_and(|of| !of.is(platform))
    {
        return None;
    }
    let digest: Digest = format!("sha256:{}", material.digest.get("sha256")?).parse().ok()?;
    let name = match (qualifier("repository_url"), purl.namespace()) {
        (Some(address), _) => address,
        (None, Some(namespace)) => format!("{namespace}/{}", purl.name()),
        (None, None) => purl.name().to_owned(),
    };
    let repository: Repository = name.parse().ok()?;
    let tag = purl.version().filter(|version| !version.contains(':'));
    let by_digest = qualifier("digest").map(|digest| format!("@{digest}")).unwrap_or_default();
    let alone = tag.filter(|_| by_digest.is_empty()).and_then(|tag| tag.parse().ok());
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let name = format!("{name}{tag}{by_digest}");
    Some(NamedBase { image: repository.at(&digest), name, tag: alone })
}

/// Whether the registry of a base is asked for it: an image on this machine alone asks nobody else,
/// so that a rehearsal stays here.
pub(in crate::assess) fn may_ask(home: &Repository, base: &Repository) -> bool {
    !is_loopback(home.registry()) || is_loopback(base.registry())
}

/// The one of these whose layers are the lowest of the image, the most of them. `unread` are those
/// that nobody could read, and why.
pub(in crate::assess) fn base_of(
    image: &CatalogedImage,
    candidates: &[(NamedBase, CatalogedImage)],
    unread: &[String],
) -> BaseLayers {
    let is_below = |base: &CatalogedImage| {
        let mut pairs = base.layers.iter().zip(&image.layers);
        base.layers.len() <= image.layers.len()
            && pairs.all(|(its, own)| its.diff_id == own.diff_id)
    };
    let base = candidates.iter().filter(|(_, base)| is_below(base));
    let base = base.max_by_key(|(_, base)| base.layers.len());
    match base.filter(|(_, base)| !base.layers.is_empty()) {
        Some((named, base)) => BaseLayers {
            count: base.layers.len(),
            named: Some(named.clone()),
            config: Some(base.config.clone()),
            unknown: None,
        },
        None => BaseLayers { unknown: unread.first().cloned(), ..BaseLayers::default() },
    }
}
