//! The inputs of a build → the flags and evidence of it, with what this action adds. Pure, but that a
//! user's own SBOM is read and checked.

use super::{attributes, texts, told};
use crate::build::caches;
use crate::build::flags;
use crate::build::recipe::Build;
use crate::build::sbom::Sbom;
use crate::environment::Environment;
use crate::error::{WithExit, exit};
use crate::github::RunContext;
use crate::github::facts::{GitHubFacts, Visibility};
use crate::inputs::Inputs;
use crate::metadata::ImageMetadata;

/// The vendor that the image's own labels name; without one, the owner of the repository whose
/// workflow publishes it.
pub(super) fn supplier<'a>(
    labels: impl IntoIterator<Item = &'a (String, String)>,
    context: &RunContext,
) -> Option<String> {
    let vendor = labels
        .into_iter()
        .find(|(key, _)| key == crate::sbom::image::VENDOR)
        .map(|(_, value)| value.trim());
    let owner = context
        .repository
        .as_deref()
        .and_then(|repository| repository.split('/').next())
        .unwrap_or_default();
    Some(vendor.filter(|vendor| !vendor.is_empty()).unwrap_or(owner).to_owned())
        .filter(|supplier| !supplier.is_empty())
}

/// The user's flags, with what this action adds: caches that work, our SBOM, where the source is
/// from.
pub(super) fn build(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    metadata: &ImageMetadata,
) -> anyhow::Result<(Build, Vec<String>)> {
    let mut texts = texts::completed(inputs, metadata, context);
    let sbom = Sbom::of(
        &texts.sbom,
        inputs.sboms.sbom_format,
        &texts.attests,
        &inputs.build.platforms,
        inputs.push.by_digest,
    )?;
    texts.sbom = sbom.flag(&texts.sbom);
    let file_exists = |path: &str| std::path::Path::new(path).is_file();
    let event = facts.event_with_visibility();
    let facts = flags::FlagFacts {
        env,
        event: &event,
        file_exists: &file_exists,
        private: facts.visibility != Visibility::Public,
    };
    let mut flags = flags::flags(&texts, &facts)
        .map_err(|error| WithExit { code: exit::BAD_INPUT, message: error.to_string() })?;
    told::provenance_version(inputs, &flags)?;
    let strange = attributes::told(inputs, &flags)?;
    caches::complete(&mut flags, env);
    let mut notices = std::mem::take(&mut flags.notices);
    notices.extend(strange);
    notices.extend(flags.told_passwords());
    notices.extend(texts::expressions(metadata));
    if inputs.sboms.sbom_files && !matches!(sbom, Sbom::Ours(_) | Sbom::Registry(_)) {
        notices.push(
            "input `sbom-files` is not used: the SBOMs are not made by this action".to_owned(),
        );
    }
    if inputs.sboms.sbom_format.is_some() && inputs.push.by_digest {
        notices
            .push("input `sbom-format` says what `merge` writes; give it there as well".to_owned());
    }
    if inputs.sboms.sbom_cache.is_some() && (inputs.push.by_digest || !sbom.may_be_of_layers()) {
        notices.push(
            "input `sbom-cache` is not used: SBOMs are made of layers only with `sbom: registry`, where the image is published".to_owned(),
        );
    }
    let supplier = supplier(&metadata.labels, context);
    Ok((
        Build {
            flags,
            platforms: inputs.build.platforms.clone(),
            sbom,
            supplier,
            files: inputs.sboms.sbom_files,
            allowed: inputs.build.allowed.clone(),
        },
        notices,
    ))
}
