//! What must be proven about an image: who signed, and which statements each of its parts needs. Pure.

use crate::image::Platform;
use crate::sigstore::SIGNATURE_PREDICATE;
use crate::sigstore::verifier::Signer;

/// The predicate types the pipeline makes; verifiers look for these spellings exactly.
pub const SPDX: &str = "https://spdx.dev/Document";
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// Which statements the parts of an image need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Every platform that must be there.
    pub platforms: Vec<Platform>,
    /// On the index.
    pub index: Vec<&'static str>,
    /// On the image of each platform.
    pub platform: Vec<&'static str>,
}

impl Requirements {
    pub fn new(platforms: &[Platform], sbom: bool, build_provenance: bool) -> Self {
        let mut platform = vec![SIGNATURE_PREDICATE];
        if sbom {
            platform.push(SPDX);
        }
        if build_provenance {
            platform.push(SLSA_PROVENANCE);
        }
        Self { platforms: platforms.to_vec(), index: vec![SIGNATURE_PREDICATE, SLSA_PROVENANCE], platform }
    }
}

/// The gate: nothing is tagged that does not pass it.
#[derive(Debug, Clone)]
pub struct Policy {
    pub signer: Signer,
    pub requirements: Requirements,
}
