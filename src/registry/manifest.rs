//! Manifests and descriptors: the exact bytes, and what the program reads of them. It never writes a manifest back from parsed fields.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/manifest.md>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::image::Digest;

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
pub const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";

/// What points at a blob or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescribedPlatform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub fn of(bytes: &[u8], media_type: &str) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Media type, digest and size alone, as a `subject` is written.
    pub fn bare(&self) -> Self {
        Self { artifact_type: None, platform: None, annotations: BTreeMap::new(), ..self.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedPlatform {
    pub architecture: String,
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A manifest as it was fetched or will be put.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

/// The fields the program reads; of an index `manifests`, of an image `config` and `layers`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fields {
    pub media_type: Option<String>,
    pub artifact_type: Option<String>,
    pub manifests: Option<Vec<Descriptor>>,
    pub config: Option<Descriptor>,
    pub layers: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Takes bytes from outside; the header's media type counts only where the manifest names none.
    pub fn new(bytes: Vec<u8>, header: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Typed {
            media_type: Option<String>,
        }
        let named = serde_json::from_slice::<Typed>(&bytes).ok().and_then(|typed| typed.media_type);
        let header = header.split(';').next().unwrap_or_default().trim();
        let descriptor = Descriptor::of(&bytes, named.as_deref().unwrap_or(header));
        Self { descriptor, bytes }
    }

    pub fn fields(&self) -> serde_json::Result<Fields> {
        serde_json::from_slice(&self.bytes)
    }

    pub fn is_index(&self) -> bool {
        matches!(self.descriptor.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }
}
