//! An image as its index, manifest and config describe it → its layers for one platform. It believes no manifest whose bytes do not hash to the
//! digest it was asked for by.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/spec.md>.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::SbomError;
use super::layers::{Blob, Blobs};
use super::spdx::About;

mod files;
mod local;
#[cfg(test)]
mod tests;

pub use local::{Local, archive, layout};

/// Manifests and configs are not larger anywhere.
pub const MOST: usize = 8 << 20;
/// Who distributes the image: <https://github.com/opencontainers/image-spec/blob/main/annotations.md>.
pub const VENDOR: &str = "org.opencontainers.image.vendor";
/// An index in an index is usual in layouts.
const DEEPEST: usize = 4;

/// What points at a manifest, a config or a layer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pointer {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// An operating system and an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

impl Platform {
    /// What containers on this machine run as.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    fn is_met_by(&self, other: &Self) -> bool {
        let variant = self.variant.is_none() || self.variant == other.variant || other.variant.is_none();
        self.os == other.os && self.architecture == other.architecture && variant
    }
}

/// Where manifests, configs and layers are.
pub trait Store: Blobs {
    /// A manifest or a config, of at most [`MOST`] bytes; it is checked by who asks.
    fn small(&self, pointer: &Pointer, is_manifest: bool) -> Result<Vec<u8>, SbomError>;
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Of its manifest, where it has one.
    pub digest: Option<String>,
    pub platform: Platform,
    pub created: Option<jiff::Timestamp>,
    /// Who says in its labels that they supply it.
    pub vendor: Option<String>,
    /// Lowest first.
    pub layers: Vec<Blob>,
}

impl Image {
    /// What a document says of it.
    pub fn about(&self, name: String) -> About {
        About { name, digest: self.digest.clone(), supplier: self.vendor.clone(), created: self.created.unwrap_or_default() }
    }
}

#[derive(Deserialize)]
struct Manifest {
    manifests: Option<Vec<Pointer>>,
    config: Option<Pointer>,
    layers: Option<Vec<Pointer>>,
}

#[derive(Deserialize)]
struct Config {
    os: String,
    architecture: String,
    variant: Option<String>,
    created: Option<String>,
    #[serde(default)]
    rootfs: Rootfs,
    /// Of the containers; of it only one label matters.
    #[serde(default)]
    config: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

fn bad<T>(what: impl Into<String>) -> Result<T, SbomError> {
    Err(SbomError::BadImage(what.into()))
}

/// Follows a pointer to the image for the wanted platform.
pub fn find(store: &dyn Store, start: Pointer, wanted: Option<&Platform>) -> Result<Image, SbomError> {
    let mut pointer = start;
    for _ in 0..DEEPEST {
        let bytes = checked(store, &pointer, true)?;
        let manifest: Manifest = parsed(&bytes, &pointer)?;
        match (manifest.manifests, manifest.config, manifest.layers) {
            (Some(entries), ..) => pointer = choose(&entries, wanted)?.clone(),
            (None, Some(config), Some(layers)) => return image(store, &pointer, &config, &layers, wanted),
            _ => return bad(format!("`{}` is neither an index nor an image's manifest that is understood here", pointer.digest)),
        }
    }
    bad("its index names an index, and so on")
}

fn image(
    store: &dyn Store,
    pointer: &Pointer,
    config: &Pointer,
    layers: &[Pointer],
    wanted: Option<&Platform>,
) -> Result<Image, SbomError> {
    let bytes = checked(store, config, false)?;
    let found: Config = parsed(&bytes, config)?;
    let blobs = found.rootfs.diff_ids.iter().zip(layers).map(|(diff_id, layer)| Blob {
        digest: Some(layer.digest.clone()),
        size: Some(layer.size),
        diff_id: diff_id.clone(),
    });
    let layers_told = layers.len();
    let image = from_config(&found, blobs.collect(), layers_told, wanted)?;
    Ok(Image { digest: Some(pointer.digest.clone()), ..image })
}

/// `count` is how many layers the manifest lists.
fn from_config(config: &Config, layers: Vec<Blob>, count: usize, wanted: Option<&Platform>) -> Result<Image, SbomError> {
    let platform = Platform { os: config.os.clone(), architecture: config.architecture.clone(), variant: config.variant.clone() };
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_met_by(&platform)) {
        return bad(format!("the image is for `{platform}`, not for `{wanted}`"));
    }
    if config.rootfs.diff_ids.len() != count {
        return bad(format!("the manifest lists `{count}` layers, the config `{}`", config.rootfs.diff_ids.len()));
    }
    let digests = layers.iter().flat_map(|layer| layer.digest.iter().chain([&layer.diff_id]));
    for digest in digests {
        hex_of(digest)?;
    }
    // An image without a date that can be read is as one without.
    let created = config.created.as_deref().and_then(|created| created.parse().ok());
    let vendor = config.config["Labels"][VENDOR].as_str().map(str::trim).filter(|vendor| !vendor.is_empty());
    Ok(Image { digest: None, platform, created, vendor: vendor.map(str::to_owned), layers })
}

/// The entry for the wanted platform; without a wish the only one, or else this machine's.
fn choose<'a>(entries: &'a [Pointer], wanted: Option<&Platform>) -> Result<&'a Pointer, SbomError> {
    // BuildKit's attestations are entries for no platform.
    let is_image = |entry: &&Pointer| entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown");
    let images: Vec<&Pointer> = entries.iter().filter(is_image).collect();
    let host = Platform::host();
    let meets =
        |wanted: &Platform| images.iter().copied().find(|entry| entry.platform.as_ref().is_some_and(|found| wanted.is_met_by(found)));
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
    let mut told: Vec<String> = images.iter().filter_map(|entry| entry.platform.as_ref()).map(|platform| format!("`{platform}`")).collect();
    told.dedup();
    let told = if told.is_empty() { "none that is named".to_owned() } else { told.join(", ") };
    match wanted {
        Some(wanted) => bad(format!("there is no image for `{wanted}`; there are {told}")),
        None => bad(format!("there is no image for this machine's platform, `{host}`; there are {told}: choose one with `--platform`")),
    }
}

fn checked(store: &dyn Store, pointer: &Pointer, is_manifest: bool) -> Result<Vec<u8>, SbomError> {
    let wanted = hex_of(&pointer.digest)?;
    if pointer.size > MOST as u64 {
        return bad(format!("`{}` has `{}` bytes, more than any manifest or config", pointer.digest, pointer.size));
    }
    let bytes = store.small(pointer, is_manifest)?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == wanted {
        Ok(bytes)
    } else {
        bad(format!("`{}` does not hash to its digest: the bytes read are `sha256:{found}`", pointer.digest))
    }
}

fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8], pointer: &Pointer) -> Result<T, SbomError> {
    serde_json::from_slice(bytes).or_else(|error| bad(format!("`{}` cannot be understood: {error}", pointer.digest)))
}

/// The digits of a SHA-256 digest, which are safe as a file's name.
fn hex_of(digest: &str) -> Result<&str, SbomError> {
    let digits = digest.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
    let lower = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    digits.filter(lower).map_or_else(|| bad(format!("`{digest}` is no SHA-256 digest, and others are not understood here")), Ok)
}

/// How many threads there are for layers.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
