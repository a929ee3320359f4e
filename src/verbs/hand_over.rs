//! What a release tells the workflow: outputs, variables, files for bake, the job summary, and on a
//! terminal the picture of the run. It decides nothing.

use std::path::Path;

use anyhow::Context as _;

use crate::build::BuiltImage;
use crate::environment::Environment;
use crate::error::OrRemedy as _;
use crate::files::{self, FileError, OpenFolder};
use crate::github::{RunContext, workflow};
use crate::inputs::RunSettings;
use crate::metadata::ImageMetadata;
use crate::publish::Published;
use crate::report::Report;
use crate::sigstore::settled::SettledTrust;
use crate::summary;
use crate::summary::baked::BakedTarget;
use crate::summary::commands::{Command, commands};
use crate::text::lists;

/// What a run tells when it ends: later steps, people who read the job's page, and the log.
#[derive(Debug, Default)]
pub(super) struct RunEnd {
    pub(super) outputs: Vec<(&'static str, String)>,
    /// Images for the runner's list of artifacts.
    pub(super) artifacts: Vec<String>,
    /// Markdown for the job summary.
    pub(super) summary: Option<String>,
    pub(super) said: Vec<String>,
}

impl RunEnd {
    /// Tells it; each part has a place only where the runner gives one.
    pub(super) fn tell(self, context: &RunContext, report: &Report) -> anyhow::Result<()> {
        if let Some(file) = &context.output_file {
            for (name, value) in &self.outputs {
                workflow::write_output(file, name, value)
                    .with_context(|| format!("output `{name}`"))?;
            }
        }
        if let Some(file) = &context.artifacts_file {
            for image in &self.artifacts {
                workflow::append_artifact(file, image).context("the list of artifacts")?;
            }
        }
        if let (Some(file), Some(markdown)) = (&context.summary_file, &self.summary) {
            workflow::append_summary(file, markdown).context("the job summary")?;
        }
        self.said.iter().for_each(|line| report.say(line));
        Ok(())
    }
}

/// How to check an image oneself, as a line of the log.
fn check_it(commands: &[Command]) -> Option<String> {
    commands.first().map(|first| format!("check it:  {}", first.text))
}

/// What was published: outputs, the job summary, and on a terminal the picture of the run.
pub(super) fn hand_over(
    published: &Published,
    metadata: &ImageMetadata,
    context: &RunContext,
    settings: &RunSettings,
    trust: &SettledTrust,
    report: &Report,
) -> anyhow::Result<()> {
    let commands = commands(published, trust.trusted_root.path.as_deref());
    let (stages, elapsed) = (report.stages(), report.elapsed());
    let picture = summary::picture::picture(published, &stages, elapsed, report.width());
    let run = of(context);
    RunEnd {
        outputs: summary::outputs(published, metadata, &settings.separators),
        artifacts: published.images.iter().take(1).map(ToString::to_string).collect(),
        summary: Some(summary::markdown::summary(published, &commands, &run, &stages, elapsed)),
        said: picture.into_iter().chain(check_it(&commands)).collect(),
    }
    .tell(context, report)
    .context(UNWRITTEN)
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
    trust: &SettledTrust,
    report: &Report,
) -> anyhow::Result<()> {
    let root = trust.trusted_root.path.as_deref();
    let targets: Vec<_> = baked
        .iter()
        .map(|(target, published)| (*target, *published, commands(published, root)))
        .collect();
    let (stages, elapsed) = (report.stages(), report.elapsed());
    let mut said = summary::picture::times(&stages, elapsed, report.width());
    for (target, published, commands) in &targets {
        said.push(format!("  {target}"));
        said.extend(summary::picture::image(published));
        said.extend(check_it(commands));
    }
    let images = baked.iter().filter_map(|(_, published)| published.images.first());
    RunEnd {
        outputs: summary::baked::outputs(baked),
        artifacts: images.map(ToString::to_string).collect(),
        summary: Some(summary::markdown::of_targets(&targets, &of(context), &stages, elapsed)),
        said,
    }
    .tell(context, report)
    .context(UNWRITTEN)
}

/// What later steps read where the targets were only built, so that they need not ask which it was.
pub(super) fn hand_over_built(
    targets: &[String],
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let outputs = summary::baked::outputs_of_built(targets);
    RunEnd { outputs, ..RunEnd::default() }.tell(context, report).context(BUILT)
}

pub(super) const BUILT: &str = "everything built, but the outputs for the workflow cannot be \
    written";

pub(super) const UNWRITTEN: &str = "the image is published and its tags are set, but the outputs for the workflow cannot be \
     written";

/// Metadata as outputs, as variables for later steps unless that is switched off, and as files for
/// bake where they are asked for.
pub(super) fn hand_over_metadata(
    published: Option<&Published>,
    metadata: &ImageMetadata,
    env: &Environment,
    context: &RunContext,
    settings: &RunSettings,
) -> anyhow::Result<()> {
    let mut outputs = summary::metadata_outputs(metadata, &settings.separators);
    if let Some(target) = &settings.bake_target {
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
            ("tags", summary::put(published, metadata).join(&settings.separators.tags))
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
    report: &Report,
) -> anyhow::Result<()> {
    let outputs = summary::pushed_outputs(built);
    RunEnd { outputs, ..RunEnd::default() }.tell(context, report)?;
    if let Some(folder) = folder {
        let name = built.root().digest.hex();
        let written =
            digest_folder(folder, context).and_then(|open| open.write(Path::new(name), b""));
        written.remedied().with_context(|| format!("file `{}`", folder.join(name).display()))?;
    }
    Ok(())
}
