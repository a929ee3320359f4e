//! An image as its index, manifest and config describe it → its layers for one platform. It
//! believes no manifest whose bytes do not hash to the digest it was asked for by.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/spec.md>.

use std::fmt;
use std::num::NonZeroUsize;

use sha2::{Digest as _, Sha256};

use super::SbomError;
use super::layers::{Blob, LayerBlobs};
use super::spdx::DocumentSubject;
use crate::oci::{self, DescribedPlatform, Descriptor, ImageConfig, ImageManifest, OciDocument};

mod files;
mod local;
#[cfg(test)]
mod tests;

pub use local::{LayoutImage, LocalImage, archive, images_of, layout};

/// Manifests and configs are not larger anywhere.
pub const MOST: usize = 8 << 20;
/// Who distributes the image:
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>.
pub const VENDOR: &str = "org.opencontainers.image.vendor";
/// An index in an index is usual in layouts.
const DEEPEST: usize = 4;

/// An operating system and an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPlatform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl fmt::Display for LayoutPlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

impl LayoutPlatform {
    /// What containers on this machine run as.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    fn of(described: &DescribedPlatform) -> Self {
        let DescribedPlatform { os, architecture, variant, .. } = described.clone();
        Self { os, architecture, variant }
    }

    fn is_met_by(&self, other: &Self) -> bool {
        let variant =
            self.variant.is_none() || self.variant == other.variant || other.variant.is_none();
        self.os == other.os && self.architecture == other.architecture && variant
    }
}

/// Where manifests, configs and layers are.
pub trait ImageStore: LayerBlobs {
    /// A manifest of at most [`MOST`] bytes, and what it was served as, where it was served; it is
    /// checked by who asks.
    fn manifest(&self, digest: &str) -> Result<(Vec<u8>, Option<String>), SbomError>;

    /// A config, of at most [`MOST`] bytes; it is checked by who asks.
    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SbomError>;
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogedImage {
    /// Of its manifest, where it has one.
    pub digest: Option<String>,
    pub platform: LayoutPlatform,
    pub created: Option<jiff::Timestamp>,
    /// Who says in its labels that they supply it.
    pub vendor: Option<String>,
    /// Lowest first.
    pub layers: Vec<Blob>,
    /// As it is.
    pub config: Vec<u8>,
}

impl CatalogedImage {
    /// What a document says of it.
    pub fn about(&self, name: String) -> DocumentSubject {
        DocumentSubject {
            name,
            digest: self.digest.clone(),
            supplier: self.vendor.clone(),
            created: self.created.unwrap_or_default(),
        }
    }
}

fn bad<T>(what: impl Into<String>) -> Result<T, SbomError> {
    Err(SbomError::BadImage(what.into()))
}

/// Where a search begins.
pub enum SearchStart<'a> {
    /// A digest that somebody names; what kind of thing it is, whoever serves it tells.
    Digest(&'a str),
    /// An entry of an index.
    Entry(&'a Descriptor),
}

/// Follows a digest to the image for the wanted platform.
pub fn find(
    store: &dyn ImageStore,
    start: &SearchStart<'_>,
    wanted: Option<&LayoutPlatform>,
) -> Result<CatalogedImage, SbomError> {
    let (mut digest, mut entry) = match start {
        SearchStart::Digest(digest) => ((*digest).to_owned(), None),
        SearchStart::Entry(entry) => (entry.digest.to_string(), Some((*entry).clone())),
    };
    for _ in 0..DEEPEST {
        match manifest(store, &digest, entry.as_ref())? {
            OciDocument::Index(index) => {
                let chosen = choose(&index.manifests, wanted)?;
                (digest, entry) = (chosen.digest.to_string(), Some(chosen.clone()));
            }
            OciDocument::Image(manifest) => return image(store, &digest, &manifest, wanted),
        }
    }
    bad("its index names an index, and so on")
}

/// A manifest that is what its digest, who serves it and the entry that names it say.
fn manifest(
    store: &dyn ImageStore,
    digest: &str,
    entry: Option<&Descriptor>,
) -> Result<OciDocument, SbomError> {
    let hex = hex_of(digest)?;
    if let Some(entry) = entry.filter(|entry| entry.size > MOST as u64) {
        return bad(format!(
            "`{digest}` has `{}` bytes, more than any manifest or config",
            entry.size
        ));
    }
    let (bytes, served) = store.manifest(digest)?;
    hashes(&bytes, digest, hex)?;
    let said = match (served, entry) {
        (Some(served), Some(entry)) if served != entry.media_type => {
            let (served, said) = (oci::shown(&served), oci::shown(&entry.media_type));
            return bad(format!(
                "`{digest}` is served as `{served}`, and the index says that it is `{said}`"
            ));
        }
        (_, Some(entry)) if entry.size != bytes.len() as u64 => {
            return bad(format!(
                "the index says that `{digest}` has {} bytes; it has {}",
                entry.size,
                bytes.len()
            ));
        }
        (_, Some(entry)) => entry.media_type.clone(),
        (Some(served), None) => served,
        (None, None) => return bad(format!("nobody says what `{digest}` is")),
    };
    OciDocument::read(&bytes, &said)
        .or_else(|why| bad(format!("`{digest}` cannot be understood: {why}")))
}

fn image(
    store: &dyn ImageStore,
    digest: &str,
    manifest: &ImageManifest,
    wanted: Option<&LayoutPlatform>,
) -> Result<CatalogedImage, SbomError> {
    let pointer = &manifest.config;
    if pointer.size > MOST as u64 {
        return bad(format!(
            "`{}` has `{}` bytes, more than any manifest or config",
            pointer.digest, pointer.size
        ));
    }
    let bytes = store.config(pointer)?;
    hashes(&bytes, pointer.digest.as_str(), hex_of(pointer.digest.as_str())?)?;
    let found = config(&bytes, pointer.digest.as_str())?;
    let blobs = found.diff_ids.iter().zip(&manifest.layers).map(|(diff_id, layer)| Blob {
        digest: Some(layer.digest.to_string()),
        size: Some(layer.size),
        diff_id: diff_id.to_string(),
        is_foreign: layer.is_foreign(),
        is_encrypted: layer.is_encrypted(),
    });
    let image = from_config(&found, blobs.collect(), manifest.layers.len(), wanted)?;
    Ok(CatalogedImage { digest: Some(digest.to_owned()), config: bytes, ..image })
}

fn config(bytes: &[u8], name: &str) -> Result<ImageConfig, SbomError> {
    ImageConfig::read(bytes).or_else(|why| bad(format!("`{name}` cannot be understood: {why}")))
}

/// `count` is how many layers the manifest lists.
fn from_config(
    config: &ImageConfig,
    layers: Vec<Blob>,
    count: usize,
    wanted: Option<&LayoutPlatform>,
) -> Result<CatalogedImage, SbomError> {
    let platform = LayoutPlatform::of(&config.platform);
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_met_by(&platform)) {
        return bad(format!("the image is for `{platform}`, not for `{wanted}`"));
    }
    if config.diff_ids.len() != count {
        return bad(format!(
            "the manifest lists `{count}` layers, the config `{}`",
            config.diff_ids.len()
        ));
    }
    let created = config.created.as_deref().and_then(oci::created);
    let vendor =
        config.labels.get(VENDOR).map(|vendor| vendor.trim()).filter(|vendor| !vendor.is_empty());
    Ok(CatalogedImage {
        digest: None,
        platform,
        created,
        vendor: vendor.map(str::to_owned),
        layers,
        config: Vec::new(),
    })
}

/// The entry for the wanted platform; without a wish the only one, or else this machine's.
fn choose<'a>(
    entries: &'a [Descriptor],
    wanted: Option<&LayoutPlatform>,
) -> Result<&'a Descriptor, SbomError> {
    // BuildKit's attestations are entries for no platform.
    let is_image = |entry: &&Descriptor| {
        entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
    };
    let images: Vec<&Descriptor> = entries.iter().filter(is_image).collect();
    let host = LayoutPlatform::host();
    let platform = |entry: &Descriptor| entry.platform.as_ref().map(LayoutPlatform::of);
    // Of a platform and its variant, the one that is spelled as the wish.
    let meets = |wanted: &LayoutPlatform| {
        let found = |is: &dyn Fn(&LayoutPlatform) -> bool| {
            images.iter().copied().find(|entry| platform(entry).is_some_and(|found| is(&found)))
        };
        found(&|found| found == wanted).or_else(|| found(&|found| wanted.is_met_by(found)))
    };
    let found = match (wanted, images.as_slice()) {
        // Which platform it is for, its config tells.
        (_, [only]) if only.platform.is_none() => Some(*only),
        (Some(wanted), _) => meets(wanted),
        (None, [only]) => Some(*only),
        (None, _) => meets(&host),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let mut told: Vec<String> = images
        .iter()
        .filter_map(|entry| platform(entry))
        .map(|platform| format!("`{platform}`"))
        .collect();
    told.dedup();
    let told = if told.is_empty() { "none that is named".to_owned() } else { told.join(", ") };
    match wanted {
        Some(wanted) => bad(format!("there is no image for `{wanted}`; there are {told}")),
        None => bad(format!(
            "there is no image for this machine's platform, `{host}`; there are {told}: choose one with `--platform`"
        )),
    }
}

/// The hash is computed here, apart from the code that fetches.
fn hashes(bytes: &[u8], digest: &str, wanted: &str) -> Result<(), SbomError> {
    let found = hex::encode(Sha256::digest(bytes));
    if found == wanted {
        Ok(())
    } else {
        bad(format!("`{digest}` does not hash to its digest: the bytes read are `sha256:{found}`"))
    }
}

/// The digits of a SHA-256 digest, which are safe as a file's name.
fn hex_of(digest: &str) -> Result<&str, SbomError> {
    let digits = digest.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
    let lower = |digits: &&str| {
        digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    digits.filter(lower).map_or_else(
        || bad(format!("`{digest}` is no SHA-256 digest, and others are not understood here")),
        Ok,
    )
}

/// How many threads there are for layers.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
