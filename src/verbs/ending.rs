//! How a run ends that publishes nothing: the job summary of what it did, or of why it failed. It
//! decides nothing.

use anyhow::Context as _;

use super::hand_over::RunEnd;
use crate::build::BuiltImage;
use crate::environment::Environment;
use crate::github::{RunContext, workflow};
use crate::plan::PlanReasons;
use crate::report::{Report, log};
use crate::summary;
use crate::summary::ended::{self, EndedRun};
use crate::verify::VerifiedImage;

/// Says in the job summary what was done.
pub(super) fn done(
    done: &EndedRun<'_>,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let summary = ended::done(done, &report.stages(), report.elapsed());
    RunEnd { summary: Some(summary), ..RunEnd::default() }.tell(context, report)
}

/// Built, and neither pushed nor published.
pub(super) fn built(
    what: String,
    about: &PlanReasons,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let rows = vec![
        ("built", what),
        ("why", about.reason.clone()),
        ("event", about.event.clone()),
        ("ref", about.git_ref.clone()),
    ];
    done(
        &EndedRun {
            title: "🔨 Built, not published",
            said: "Everything built, and nothing was pushed.",
            rows,
        },
        context,
        report,
    )
}

/// Pushed, for another job to publish.
pub(super) fn pushed(
    built: &BuiltImage,
    about: &PlanReasons,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let mut rows: Vec<(&str, String)> =
        built.images().map(|image| ("image", image.to_string())).collect();
    rows.extend(built.platforms().iter().map(|part| ("platform", part.platform.to_string())));
    rows.push(("ref", about.git_ref.clone()));
    let said = "It has no tag, signature or attestation of ours yet: the action `merge` signs, attests, verifies and tags it.";
    done(&EndedRun { title: "📤 Pushed by digest", said, rows }, context, report)
}

/// Nothing was to be merged.
pub(super) fn nothing(
    about: &PlanReasons,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let rows = vec![
        ("why", about.reason.clone()),
        ("event", about.event.clone()),
        ("ref", about.git_ref.clone()),
    ];
    done(
        &EndedRun {
            title: "⏭️ Nothing to merge",
            said: "Nothing was merged, signed or published.",
            rows,
        },
        context,
        report,
    )
}

/// Nothing was to be promoted.
pub(super) fn nothing_promoted(
    about: &PlanReasons,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let rows = vec![
        ("why", about.reason.clone()),
        ("event", about.event.clone()),
        ("ref", about.git_ref.clone()),
    ];
    let said = "Nothing was copied or tagged.";
    done(&EndedRun { title: "⏭️ Nothing to promote", said, rows }, context, report)
}

/// Verified: what was found.
pub(super) fn verified(image: &VerifiedImage, env: &Environment) -> anyhow::Result<()> {
    let Some(file) = RunContext::new(env).summary_file else { return Ok(()) };
    let markdown = summary::markdown::verified(image.image(), image.evidence());
    workflow::append_summary(&file, &markdown)
        .context("it is verified, but the job summary cannot be written")
}

/// Says in the job summary why the run failed, beside the log. That it cannot be written changes
/// nothing any more.
pub fn failed(env: &Environment, report: &Report, error: &anyhow::Error) {
    let Some(file) = RunContext::new(env).summary_file else { return };
    let text =
        ended::failed(error, &report.stages(), report.failed().as_ref(), &|text| log::hidden(text));
    if let Err(error) = workflow::append_summary(&file, &text) {
        report.notice(&format!("the job summary cannot be written: {error}"));
    }
}
