//! Indexes, manifests and configs of images as every program reads them: one strict reader for
//! whoever looks at one. What two programs could read as two things is refused here, with its
//! reason; nothing here talks to a registry.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/spec.md>.

mod config;
mod document;
pub mod entries;
mod json;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

pub use self::config::{ImageConfig, SavedImage, created, names_no_platform};
pub use self::document::{ImageIndex, ImageManifest, OciDocument, listed};
pub use self::json::Json;
use self::json::StrictObject;
use crate::image::{Digest, Platform};

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";

/// Why a document is not read: each is something that two programs could take for two things, or
/// that one of them could not take at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDocument {
    #[error("it is no JSON that every program reads alike: {0}")]
    NotJson(String),
    #[error(
        "member `{name}` stands in it twice, and which of them counts differs from program to program"
    )]
    Twice { name: String },
    #[error("member `{name}` is read as `{read_as}` by many programs, and by others not at all")]
    Cased { name: String, read_as: String },
    #[error("member `{name}` belongs to a document of another kind")]
    Foreign { name: String },
    #[error("`{name}` is {found} where {expected} is expected")]
    Type { name: String, expected: &'static str, found: &'static str },
    #[error("it has no `{name}`")]
    Missing { name: String },
    #[error("`{name}` is `{value}`, which is not {expected}")]
    Value { name: String, value: String, expected: &'static str },
    #[error("media type `{0}` is neither that of an index nor of an image's manifest")]
    UnknownKind(String),
    #[error("it is said to be `{said}`, and says itself that it is `{says}`")]
    MediaType { said: String, says: String },
    #[error("it is {found}, and {wanted} is expected")]
    Kind { found: &'static str, wanted: &'static str },
    #[error("`{name}` is not the bytes of `{digest}`")]
    Data { name: String, digest: Digest },
}

/// A text of somebody else's, fit for a message.
pub fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let cut: String = letters
        .by_ref()
        .take(120)
        .flat_map(char::escape_debug)
        .collect::<String>()
        .replace('`', "\\u{60}");
    if letters.next().is_some() { format!("{cut}…") } else { cut }
}

/// Content of an image that other programs fetch from elsewhere or read in ways of their own;
/// refused unless it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whether layers may name addresses outside of the registry (`urls`).
    pub foreign_layers: bool,
    /// Artifact types of entries of an index that are neither images nor BuildKit's attestations.
    pub index_entries: Vec<String>,
    /// Whether what stands there may be an artifact (a chart, a policy, a module) in place of an
    /// image. Never where images are published.
    pub artifacts: bool,
}

/// What points at a blob or a manifest. Only the reader here makes one of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Where else the bytes are said to be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescribedPlatform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

const DESCRIPTOR: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

impl Descriptor {
    pub fn of(bytes: &[u8], media_type: &str) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Media type, digest and size alone, as a `subject` is written.
    pub fn bare(&self) -> Self {
        Self {
            artifact_type: None,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Whether the bytes may come from outside of the registry, by addresses or by the media type.
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains(".rootfs.foreign.")
            || self.media_type.contains(".layer.nondistributable.")
    }

    /// Whether the bytes are nothing without a key:
    /// <https://github.com/containers/ocicrypt/blob/main/spec/spec.go>.
    pub fn is_encrypted(&self) -> bool {
        self.media_type.ends_with("+encrypted")
    }

    fn read(json: &Json, at: &str) -> Result<Self, UnreadableDocument> {
        let object = StrictObject::open(json, at, &DESCRIPTOR, &[])?;
        let digest = object.expect_text("digest")?;
        let digest: Digest = digest.parse().map_err(|_| UnreadableDocument::Value {
            name: object.place("digest"),
            value: shown(&digest),
            expected: "`sha256:` and 64 lower-case hexadecimal digits",
        })?;
        let size = object
            .whole("size")?
            .ok_or_else(|| UnreadableDocument::Missing { name: object.place("size") })?;
        if let Some(data) = object.text("data")? {
            let is_it = BASE64
                .decode(data)
                .is_ok_and(|bytes| Digest::of(&bytes) == digest && bytes.len() as u64 == size);
            if !is_it {
                return Err(UnreadableDocument::Data { name: object.place("data"), digest });
            }
        }
        let platform = object
            .get("platform")
            .map(|platform| DescribedPlatform::read(platform, &object.place("platform")))
            .transpose()?;
        Ok(Self {
            media_type: object.expect_text("mediaType")?,
            digest,
            size,
            artifact_type: object.text("artifactType")?,
            urls: object.texts("urls")?,
            platform,
            annotations: object.map("annotations")?,
        })
    }
}

/// A platform as it is described, beside a digest or in a config.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DescribedPlatform {
    pub architecture: String,
    pub os: String,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Names that some programs take for another: <https://github.com/containerd/platforms>.
const ALIASES: [&str; 3] = ["i386", "armhf", "armel"];
const PLATFORM: [&str; 6] =
    ["architecture", "os", "os.version", "os.features", "variant", "features"];

impl DescribedPlatform {
    fn read(json: &Json, at: &str) -> Result<Self, UnreadableDocument> {
        let object = StrictObject::open(json, at, &PLATFORM, &[])?;
        object.texts("features")?;
        Self::of(&object)
    }

    fn of(object: &StrictObject<'_>) -> Result<Self, UnreadableDocument> {
        // Go writes no empty text, and takes one for none.
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            architecture: object.expect_text("architecture")?,
            os: object.expect_text("os")?,
            os_version: filled(object.text("os.version")?),
            os_features: object.texts("os.features")?,
            variant: filled(object.text("variant")?),
        })
    }

    /// The platform as everybody spells it, or why it is none.
    pub fn target(&self) -> Result<PlatformTarget, String> {
        let written = Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        };
        let wrong = || {
            format!(
                "`{}` is not a platform as everybody spells it, such as `linux/arm64`",
                shown(&written.to_string())
            )
        };
        let parsed: Platform = written.to_string().parse().map_err(|_| wrong())?;
        let is_word = |text: &&String| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
        };
        let is_lower = written.variant.iter().all(|variant| *variant == variant.to_lowercase());
        if parsed != written
            || !is_lower
            || ALIASES.contains(&self.architecture.as_str())
            || self.os == "macos"
        {
            return Err(wrong());
        }
        if let Some(text) =
            self.os_version.iter().chain(&self.os_features).find(|text| !is_word(text))
        {
            return Err(format!(
                "`{}` is no version or feature of an operating system",
                shown(text)
            ));
        }
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Ok(PlatformTarget {
            platform: parsed.normalised(),
            os_version: self.os_version.clone(),
            os_features,
        })
    }
}

/// What tells two images of an index apart: the platform, normalised, and what Windows adds to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformTarget {
    pub platform: Platform,
    pub os_version: Option<String>,
    pub os_features: Vec<String>,
}

impl std::fmt::Display for PlatformTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.platform)?;
        let more: Vec<&str> =
            self.os_version.iter().chain(&self.os_features).map(String::as_str).collect();
        if more.is_empty() { Ok(()) } else { write!(formatter, " ({})", more.join(", ")) }
    }
}
