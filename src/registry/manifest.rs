//! Manifests as they were fetched or will be put: the exact bytes, and what they are said to be. It
//! never writes a manifest back from parsed fields.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/manifest.md>.

use crate::oci::{DOCKER_LIST, ImageManifest, OciDocument, UnreadableDocument};
pub use crate::oci::{DescribedPlatform, Descriptor, EMPTY_JSON, OCI_INDEX, OCI_MANIFEST};

pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A manifest as it was fetched or will be put.
#[derive(Debug, Clone)]
pub struct RegistryManifest {
    /// The media type is the header's, which is what clients go by.
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

impl RegistryManifest {
    pub fn new(bytes: Vec<u8>, header: &str) -> Self {
        let descriptor =
            Descriptor::of(&bytes, header.split(';').next().unwrap_or_default().trim());
        Self { descriptor, bytes }
    }

    /// What it says, if everybody reads it so, and if it is of the kind that it was served as.
    pub fn document(&self) -> Result<OciDocument, UnreadableDocument> {
        OciDocument::read(&self.bytes, &self.descriptor.media_type)
    }

    /// The same, where it must be no index.
    pub fn image(&self) -> Result<ImageManifest, UnreadableDocument> {
        self.document()?.image()
    }

    pub fn is_index(&self) -> bool {
        matches!(self.descriptor.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }
}
