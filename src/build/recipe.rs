//! What a build is to make: flags for buildx, platforms, and who makes the SBOMs. It runs nothing.

use super::flags::Flags;
use super::sbom::{Sbom, WrittenSboms};
use crate::image::Platform;
use crate::oci::Allowed;

/// What is built.
#[derive(Debug, Clone)]
pub struct Build {
    pub flags: Flags,
    pub platforms: Vec<Platform>,
    pub sbom: Sbom,
    /// Who SBOMs say supplies the image.
    pub supplier: Option<String>,
    /// Whether SBOMs list the files that packages brought.
    pub files: bool,
    /// What the image may hold, for instance of its base, that is refused otherwise.
    pub allowed: Allowed,
}

impl Build {
    /// What SBOMs say that are made of layers.
    pub fn written(&self) -> WrittenSboms {
        WrittenSboms {
            format: self.sbom.format_of_layers(),
            files: self.files,
            supplier: self.supplier.clone(),
        }
    }

    /// Whether BuildKit writes a provenance, and whether it holds every build argument.
    pub fn provenance(&self) -> Option<&str> {
        self.flags
            .values("--attest")
            .find(|attest| attest.contains("type=provenance"))
            .filter(|attest| !attest.contains("disabled=true"))
    }

    pub fn publishes_build_args(&self) -> bool {
        self.provenance().is_some_and(|attest| attest.contains("mode=max"))
    }
}
