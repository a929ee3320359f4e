//! Inputs and run → `Plan`: every decision before anything is done. Pure; stages contain no "if push".

use crate::error::{Remedy as _, WithExit, exit};
use crate::image::{Platform, Repository, Tag};
use crate::inputs::{Inputs, OnTagConflict, Provenance};
use crate::verify::policy::Requirements;

/// What this run will do.
#[derive(Debug)]
pub enum Plan {
    /// Build every platform and push nothing.
    BuildOnly(Build),
    Publish(Publish),
}

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub context: String,
    pub file: Option<String>,
    pub target: Option<String>,
    pub platforms: Vec<Platform>,
    pub build_args: Vec<String>,
    pub labels: Vec<String>,
    pub annotations: Vec<String>,
    pub provenance: Provenance,
    pub sbom: bool,
}

/// What is published, and what must be proven before.
#[derive(Debug)]
pub struct Publish {
    pub build: Build,
    pub images: Vec<Repository>,
    /// Names of one version first, floating ones last.
    pub tags: Vec<Tag>,
    pub requirements: Requirements,
    pub on_tag_conflict: OnTagConflict,
}

/// Decides.
pub fn plan(inputs: &Inputs) -> anyhow::Result<Plan> {
    let build = Build {
        context: inputs.context.clone(),
        file: inputs.file.clone(),
        target: inputs.target.clone(),
        platforms: inputs.platforms.clone(),
        build_args: inputs.build_args.clone(),
        labels: inputs.labels.clone(),
        annotations: inputs.annotations.clone(),
        provenance: inputs.provenance,
        sbom: inputs.sbom,
    };
    if !inputs.push {
        // There is no image in a registry that evidence could be attached to.
        return Ok(Plan::BuildOnly(Build { provenance: Provenance::Off, sbom: false, ..build }));
    }
    let refuse = |message: &str| Err(WithExit { code: exit::BAD_INPUT, message: message.to_owned() });
    if !inputs.sign {
        return refuse("input `sign`: `false` beside `push: true` would put a name on an image without proof")
            .hint("set `push: false` to build without publishing, or leave `sign` out");
    }
    if inputs.tags.is_empty() {
        return refuse("input `tags`: not set, so the image would have no name").hint("write for example `tags: v1.2.3, latest`");
    }
    let mut tags = inputs.tags.clone();
    tags.sort_by_key(Tag::floats);
    Ok(Plan::Publish(Publish {
        requirements: Requirements::new(&build.platforms, inputs.sbom, inputs.provenance != Provenance::Off),
        images: inputs.images.clone(),
        tags,
        on_tag_conflict: inputs.on_tag_conflict,
        build,
    }))
}
