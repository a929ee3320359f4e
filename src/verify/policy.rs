//! What must be proven about an image: who signed, and which statements each of its parts needs.
//! Pure.

use std::str::FromStr;

use serde::Serialize;

use super::signer::SignerPolicy;
use crate::image::Platform;
use crate::oci::Allowed;
use crate::provenance::{SLSA_1, SLSA_02, Slsa};
use crate::sigstore::SIGNATURE_PREDICATE;

/// The predicate types the pipeline makes; verifiers look for these spellings exactly.
pub const SPDX: &str = "https://spdx.dev/Document";
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
pub const SLSA_PROVENANCE: &str = SLSA_1;

/// A kind of thing that carries evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Index,
    /// The image of one platform.
    Platform,
    /// BuildKit's manifest of attestations about the image of one platform.
    Attestations,
    /// What is no image: a chart, a policy, a module. It needs what index and platforms do.
    Artifact,
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

/// In which formats a statement that is needed must be there.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// In each of these.
    Each(&'a [Format]),
    /// In one of those that were read, whichever.
    Any,
}

/// A kind of statement that a part needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Of this predicate type and no other.
    Type(String),
    /// A list of packages, in whichever format.
    Sbom,
    /// An SLSA provenance, of whichever version.
    Provenance,
}

impl Need {
    pub fn is_met_by(&self, predicate_type: &str) -> bool {
        match self {
            Self::Type(wanted) => wanted == predicate_type,
            Self::Sbom => is_sbom(predicate_type),
            Self::Provenance => [SLSA_1, SLSA_02].contains(&predicate_type),
        }
    }

    fn types(&self) -> Vec<&str> {
        match self {
            Self::Type(wanted) => vec![wanted.as_str()],
            Self::Sbom => vec![SPDX, CYCLONEDX],
            Self::Provenance => vec![SLSA_1, SLSA_02],
        }
    }
}

impl FromStr for Need {
    type Err = String;

    /// A word for what is asked for often, or a predicate type.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "signature" => Ok(Self::Type(SIGNATURE_PREDICATE.to_owned())),
            "sbom" => Ok(Self::Sbom),
            "provenance" => Ok(Self::Provenance),
            url if url.contains("://") => Ok(Self::Type(url.to_owned())),
            other => Err(format!(
                "`{other}` is none of `signature`, `sbom`, `provenance`, nor a predicate type (a URL)"
            )),
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let types: Vec<String> = self.types().iter().map(|kind| format!("`{kind}`")).collect();
        formatter.write_str(&types.join(" or "))
    }
}

impl Serialize for Need {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.types().join(" or "))
    }
}

/// The word by which a statement is asked for; of a kind that has none, its predicate type.
pub fn word(predicate_type: &str) -> &str {
    match predicate_type {
        SIGNATURE_PREDICATE => "signature",
        kind if Need::Sbom.is_met_by(kind) => "sbom",
        kind if Need::Provenance.is_met_by(kind) => "provenance",
        other => other,
    }
}

/// Some writers put the version of the format behind.
fn is_sbom(predicate_type: &str) -> bool {
    let is = |base: &str| {
        predicate_type
            .strip_prefix(base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
    };
    is(SPDX) || is(CYCLONEDX)
}

/// Which statements the parts of an image need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Every platform that must be there.
    pub platforms: Vec<Platform>,
    pub index: Vec<Need>,
    pub platform: Vec<Need>,
    pub attestations: Vec<Need>,
    /// Those that are read.
    pub formats: Vec<Format>,
    /// What an image may hold that is refused otherwise.
    pub allowed: Allowed,
}

impl Requirements {
    pub fn new(
        platforms: &[Platform],
        sboms: &[&str],
        build_provenance: bool,
        signed: &[Part],
        formats: &[Format],
    ) -> Self {
        let need = |kind: &str| Need::Type(kind.to_owned());
        let signature = |part: Part| signed.contains(&part).then(|| need(SIGNATURE_PREDICATE));
        let statements = |part: Part, is_proven: bool| {
            let provenance = is_proven.then_some(SLSA_PROVENANCE);
            let kinds = sboms.iter().copied().chain(provenance).map(need);
            signature(part).into_iter().chain(kinds).collect()
        };
        Self {
            platforms: platforms.to_vec(),
            index: statements(Part::Index, true),
            platform: statements(Part::Platform, build_provenance),
            attestations: signature(Part::Attestations).into_iter().collect(),
            formats: formats.to_vec(),
            allowed: Allowed::default(),
        }
    }

    /// With provenances of these versions of SLSA, wherever one is needed.
    pub fn proving(mut self, versions: &[Slsa]) -> Self {
        let need = |version: &Slsa| Need::Type(version.predicate_type().to_owned());
        for needs in [&mut self.index, &mut self.platform] {
            if needs.contains(&need(&Slsa::V1)) {
                let others = versions.iter().filter(|version| **version != Slsa::V1);
                needs.extend(others.map(need));
            }
        }
        self
    }

    /// The versions of SLSA in which provenances are needed.
    pub fn provenance_versions(&self) -> Vec<Slsa> {
        let is_needed = |version: &Slsa| {
            self.index.iter().any(
                |need| matches!(need, Need::Type(wanted) if wanted == version.predicate_type()),
            )
        };
        [Slsa::V1, Slsa::V02].into_iter().filter(is_needed).collect()
    }

    pub fn allowing(self, allowed: &Allowed) -> Self {
        Self { allowed: allowed.clone(), ..self }
    }

    /// What images have at least that earlier versions of this program published: their indexes
    /// have no SBOM.
    pub fn of_earlier_versions(&self) -> Self {
        let mut requirements = self.clone();
        let is_sbom = |need: &Need| need.types().iter().any(|kind| Need::Sbom.is_met_by(kind));
        requirements.index.retain(|need| !is_sbom(need));
        requirements
    }

    /// Whether a part needs a signature of its own.
    pub fn signs(&self, part: Part) -> bool {
        self.of(part).iter().any(|need| need.is_met_by(SIGNATURE_PREDICATE))
    }

    /// What a part needs.
    pub fn of(&self, part: Part) -> &[Need] {
        match part {
            Part::Index | Part::Artifact => &self.index,
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

impl Policy {
    /// For what stands on a name already, whichever version of this program put it there.
    pub fn of_earlier_versions(&self) -> Self {
        let requirements = self.requirements.of_earlier_versions();
        Self { signer: self.signer.clone(), requirements }
    }
}
