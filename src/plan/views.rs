//! What is asked of a plan: its names, its images, what its parts must have. It decides nothing.

use serde_json::{Value, json};

use super::{PlanReasons, PlannedRelease, PublishPlan, PublishTarget};
use crate::build::recipe::Build;
use crate::evidence::EvidencePart;
use crate::image::Repository;
use crate::image::name::ImageName;

impl PublishPlan {
    pub fn about(&self) -> &PlanReasons {
        match self {
            Self::BuildOnly(plan) => &plan.about,
            Self::Push(plan) => &plan.about,
            Self::Publish(plan) => &plan.release.about,
        }
    }

    pub fn build(&self) -> &Build {
        match self {
            Self::BuildOnly(plan) => &plan.build,
            Self::Push(plan) => &plan.build,
            Self::Publish(plan) => &plan.build,
        }
    }
}

impl PlannedRelease {
    /// Every name of every image.
    pub fn names(&self) -> Vec<ImageName> {
        self.targets.iter().flat_map(|target| target.names.iter().cloned()).collect()
    }

    /// Every repository, each once.
    pub fn images(&self) -> Vec<Repository> {
        let mut images: Vec<Repository> = Vec::new();
        for image in self.targets.iter().flat_map(|target| &target.images) {
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
        images
    }
}

impl PublishTarget {
    pub(super) fn subjects(&self) -> Vec<Value> {
        let platforms = &self.requirements.platforms;
        let index = json!({ "subject": "index", "predicateTypes": self.requirements.index });
        let of_platforms = platforms.iter().map(
            |platform| json!({ "subject": platform, "predicateTypes": self.requirements.platform }),
        );
        let attestations = self.attestation_manifests().then(|| {
            let of =
                |platform| json!({ "subject": format!("attestations of {platform}"), "predicateTypes": self.requirements.attestations });
            platforms.iter().map(of)
        });
        std::iter::once(index)
            .chain(of_platforms)
            .chain(attestations.into_iter().flatten())
            .collect()
    }

    /// Whether each platform must have a statement of this type.
    pub(super) fn attests(&self, kind: &str) -> bool {
        self.requirements.platform.iter().any(|rule| rule.need.is_met_by(kind))
    }

    /// Whether BuildKit makes manifests of attestations, and they are to be signed.
    pub(super) fn attestation_manifests(&self) -> bool {
        !self.requirements.of(EvidencePart::Attestations).is_empty() && self.made_in_build
    }
}
