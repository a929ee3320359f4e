//! What must be proven about an image: who signed, and which statements each of its parts needs. Pure.

use std::str::FromStr;

use serde::Serialize;

use super::signer::SignerPolicy;
use crate::image::Platform;
use crate::oci::Allowed;
use crate::sigstore::SIGNATURE_PREDICATE;

/// The predicate types the pipeline makes; verifiers look for these spellings exactly.
pub const SPDX: &str = "https://spdx.dev/Document";
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A kind of thing that carries evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Index,
    /// The image of one platform.
    Platform,
    /// BuildKit's manifest of attestations about the image of one platform.
    Attestations,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "index" => Ok(Self::Index),
            "platforms" => Ok(Self::Platform),
            "attestations" => Ok(Self::Attestations),
            other => Err(format!("`{other}` is none of `index`, `platforms`, `attestations`")),
        }
    }
}

/// How a signed statement is kept in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A Sigstore bundle, as a referrer.
    Bundle,
    /// cosign's older scheme: layers under the tags `.sig` and `.att`.
    Legacy,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bundle" => Ok(Self::Bundle),
            "legacy" => Ok(Self::Legacy),
            other => Err(format!("`{other}` is neither `bundle` nor `legacy`")),
        }
    }
}

/// Which statements the parts of an image need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Every platform that must be there.
    pub platforms: Vec<Platform>,
    pub index: Vec<String>,
    pub platform: Vec<String>,
    pub attestations: Vec<String>,
    /// Every statement is needed in each of them.
    pub formats: Vec<Format>,
    /// What an image may hold that is refused otherwise.
    pub allowed: Allowed,
}

impl Requirements {
    pub fn new(platforms: &[Platform], sboms: &[&str], build_provenance: bool, signed: &[Part], formats: &[Format]) -> Self {
        let signature = |part: Part| signed.contains(&part).then(|| SIGNATURE_PREDICATE.to_owned());
        let made = sboms.iter().copied().chain(build_provenance.then_some(SLSA_PROVENANCE)).map(str::to_owned);
        Self {
            platforms: platforms.to_vec(),
            index: signature(Part::Index).into_iter().chain([SLSA_PROVENANCE.to_owned()]).collect(),
            platform: signature(Part::Platform).into_iter().chain(made).collect(),
            attestations: signature(Part::Attestations).into_iter().collect(),
            formats: formats.to_vec(),
            allowed: Allowed::default(),
        }
    }

    pub fn allowing(self, allowed: &Allowed) -> Self {
        Self { allowed: allowed.clone(), ..self }
    }

    /// Whether a part needs a signature of its own.
    pub fn signs(&self, part: Part) -> bool {
        self.of(part).iter().any(|kind| kind == SIGNATURE_PREDICATE)
    }

    /// What a part needs.
    pub fn of(&self, part: Part) -> &[String] {
        match part {
            Part::Index => &self.index,
            Part::Platform => &self.platform,
            Part::Attestations => &self.attestations,
        }
    }
}

/// The gate: nothing is tagged that does not pass it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whose statements count.
    pub signer: SignerPolicy,
    pub requirements: Requirements,
}
