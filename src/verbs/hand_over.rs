//! What a release tells the workflow: outputs, variables, files for bake, the job summary, and on a
//! terminal the picture of the run. It decides nothing.

use std::path::Path;

use anyhow::Context as _;

use crate::build::BuiltImage;
use crate::environment::Environment;
use crate::error::OrRemedy as _;
use crate::files::{self, FileError, OpenFolder};
use crate::github::{RunContext, workflow};
use crate::inputs::Inputs;
use crate::metadata::ImageMetadata;
use crate::publish::Published;
use crate::report::Report;
use crate::summary;
use crate::summary::baked::BakedTarget;
use crate::text::lists;

/// Outputs for later steps, the job summary, and on a terminal the picture of the run.
pub(super) fn hand_over(
    published: &Published,
    metadata: &ImageMetadata,
    context: &RunContext,
    inputs: &Inputs,
    report: &Report,
) -> anyhow::Result<()> {
    let commands = summary::commands::commands(published, inputs.trust.trusted_root.as_deref());
    if let Some(file) = &context.output_file {
        for (name, value) in summary::outputs(published, metadata, &inputs.names.separators) {
            workflow::write_output(file, name, &value)
                .with_context(|| format!("output `{name}`"))
                .context(UNWRITTEN)?;
        }
    }
    if let (Some(file), Some(image)) = (&context.artifacts_file, published.images.first()) {
        workflow::append_artifact(file, &image.to_string())
            .context("the list of artifacts")
            .context(UNWRITTEN)?;
    }
    if let Some(file) = &context.summary_file {
        let markdown = summary::markdown::summary(
            published,
            &commands,
            &of(context),
            &report.stages(),
            report.elapsed(),
        );
        workflow::append_summary(file, &markdown).context("the job summary").context(UNWRITTEN)?;
    }
    for line in
        summary::picture::picture(published, &report.stages(), report.elapsed(), report.width())
    {
        report.say(&line);
    }
    if let Some(first) = commands.first() {
        report.say(&format!("check it:  {}", first.text));
    }
    Ok(())
}

pub(super) fn of(context: &RunContext) -> summary::markdown::SummaryRun<'_> {
    summary::markdown::SummaryRun {
        server: &context.server_url,
        repository: context.repository.as_deref().unwrap_or_default(),
    }
}

/// The same for all targets of a bake file.
pub(super) fn hand_over_baked(
    baked: &[BakedTarget<'_>],
    context: &RunContext,
    inputs: &Inputs,
    report: &Report,
) -> anyhow::Result<()> {
    let told: Vec<_> = baked
        .iter()
        .map(|(target, published)| {
            (
                *target,
                *published,
                summary::commands::commands(published, inputs.trust.trusted_root.as_deref()),
            )
        })
        .collect();
    if let Some(file) = &context.output_file {
        for (name, value) in summary::baked::outputs(baked) {
            workflow::write_output(file, name, &value)
                .with_context(|| format!("output `{name}`"))
                .context(UNWRITTEN)?;
        }
    }
    if let Some(file) = &context.artifacts_file {
        for image in baked.iter().filter_map(|(_, published)| published.images.first()) {
            workflow::append_artifact(file, &image.to_string())
                .context("the list of artifacts")
                .context(UNWRITTEN)?;
        }
    }
    if let Some(file) = &context.summary_file {
        let markdown =
            summary::markdown::of_targets(&told, &of(context), &report.stages(), report.elapsed());
        workflow::append_summary(file, &markdown).context("the job summary").context(UNWRITTEN)?;
    }
    for line in summary::picture::times(&report.stages(), report.elapsed(), report.width()) {
        report.say(&line);
    }
    for (target, published, commands) in &told {
        report.say(&format!("  {target}"));
        for line in summary::picture::image(published) {
            report.say(&line);
        }
        if let Some(first) = commands.first() {
            report.say(&format!("check it:  {}", first.text));
        }
    }
    Ok(())
}

/// What later steps read where the targets were only built, so that they need not ask which it was.
pub(super) fn hand_over_built(targets: &[String], context: &RunContext) -> anyhow::Result<()> {
    if let Some(file) = &context.output_file {
        for (name, value) in summary::baked::outputs_of_built(targets) {
            workflow::write_output(file, name, &value)
                .with_context(|| format!("output `{name}`"))
                .context(BUILT)?;
        }
    }
    Ok(())
}

pub(super) const BUILT: &str = "everything built, but the workflow cannot be told";

pub(super) const UNWRITTEN: &str =
    "the image is published and its names are put, but the workflow cannot be told";

/// Metadata as outputs, as variables for later steps unless that is switched off, and as files for
/// bake where they are asked for.
pub(super) fn hand_over_metadata(
    published: Option<&Published>,
    metadata: &ImageMetadata,
    env: &Environment,
    context: &RunContext,
    inputs: &Inputs,
) -> anyhow::Result<()> {
    let mut outputs = summary::metadata_outputs(metadata, &inputs.names.separators);
    if let Some(target) = &inputs.names.bake_target {
        let folder = context.workspace.clone().unwrap_or_default();
        for (output, content) in metadata.bake_files(target) {
            // Relative to the workspace, because a container's paths mean nothing to later steps.
            let name = format!("supply-action-{output}.json");
            let content = serde_json::to_string_pretty(&content)?;
            files::write(&folder.join(&name), &folder, content.as_bytes())
                .remedied()
                .with_context(|| format!("file `{name}`"))?;
            outputs.push((output, name));
        }
    }
    if let Some(file) = &context.output_file {
        for (name, value) in &outputs {
            workflow::write_output(file, name, value)
                .with_context(|| format!("output `{name}`"))?;
        }
    }
    let switched_off =
        env.get("DOCKER_METADATA_SET_OUTPUT_ENV").and_then(|text| lists::boolean(text))
            == Some(false);
    if let Some(file) = context.environment_file.as_ref().filter(|_| !switched_off) {
        outputs.extend(published.map(|published| {
            ("tags", summary::put(published, metadata).join(&inputs.names.separators.tags))
        }));
        for (name, value) in &outputs {
            let name = format!("DOCKER_METADATA_OUTPUT_{}", name.replace('-', "_").to_uppercase());
            workflow::write_output(file, &name, value)
                .with_context(|| format!("variable `{name}`"))?;
        }
    }
    Ok(())
}

/// The folder of the input `digest-files`, made where it is not there.
pub(super) fn digest_folder(folder: &Path, context: &RunContext) -> Result<OpenFolder, FileError> {
    OpenFolder::make(folder, context.workspace.as_deref().unwrap_or(Path::new("")))
}

/// What `merge` needs of an image that was pushed by digest: the digest of what this job pushed, by
/// platform and as a file's name.
pub(super) fn hand_over_pushed(
    built: &BuiltImage,
    folder: Option<&Path>,
    context: &RunContext,
) -> anyhow::Result<()> {
    if let Some(file) = &context.output_file {
        for (name, value) in summary::pushed_outputs(built) {
            workflow::write_output(file, name, &value)
                .with_context(|| format!("output `{name}`"))?;
        }
    }
    if let Some(folder) = folder {
        let name = built.root().digest.hex();
        let written =
            digest_folder(folder, context).and_then(|open| open.write(Path::new(name), b""));
        written.remedied().with_context(|| format!("file `{}`", folder.join(name).display()))?;
    }
    Ok(())
}
