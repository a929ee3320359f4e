//! `supply-action merge`: digests that several jobs pushed → one image, published by the stages of `publish`. It builds nothing.

use anyhow::Context as _;

use super::hand_over::{UNWRITTEN, hand_over, hand_over_metadata};
use super::publish::say_plan;
use super::release::{Outside, Run, plural, with_consequence};
use super::trust;
use crate::attest::sboms::{Layers, Sboms};
use crate::build::BuiltImage;
use crate::build::merge::{Parts, Wanted};
use crate::github::{Context, Environment, facts};
use crate::inputs::{Action, Inputs, secret_texts};
use crate::plan::Target;
use crate::plan::merge::{Merge, Plan, plan};
use crate::preflight::Problems;
use crate::publish::Published;
use crate::report::Report;

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    report.mask(&secret_texts(env));
    let context = Context::new(env);
    let mut inputs = Inputs::of(Action::Merge, env, &context).context(UNMERGED)?;
    let wanted = inputs.wanted(jiff::Timestamp::now());
    let facts = facts::gather(&context, env, inputs.github_token.as_ref(), wanted).await.context(UNMERGED)?;
    let plan = plan(&inputs, &context, env, &facts).context(UNMERGED)?;
    say_plan(&plan.lines(), plan.about(), report);
    match plan {
        Plan::Nothing(about) => hand_over_metadata(None, &about.metadata, env, &context, &inputs)
            .context("nothing was to be merged, but the workflow cannot be told"),
        Plan::Merge(plan) => {
            trust::update(&mut inputs, env, &context, report).await.map_err(with_consequence)?;
            let published = publish(env, &context, &inputs, &plan, report).await.map_err(with_consequence)?;
            let metadata = &plan.release.about.metadata;
            hand_over(&published, metadata, &context, &inputs, report)?;
            hand_over_metadata(Some(&published), metadata, env, &context, &inputs).context(UNWRITTEN)
        }
    }
}

const UNMERGED: &str = "nothing was merged";

/// The pipeline.
async fn publish(env: &Environment, context: &Context, inputs: &Inputs, plan: &Merge, report: &Report) -> anyhow::Result<Published> {
    let run = Run { env, context, inputs, release: &plan.release, report };
    let (outside, _) = run.outside().await?;
    let Some(Target { images, requirements, .. }) = plan.release.targets.first() else { anyhow::bail!("the plan names no image") };
    let platforms = &requirements.platforms;
    let wanted = Wanted { platforms, statements: &plan.statements, annotations: &plan.annotations };
    let read = Parts::read(&outside.registry, images, &plan.claims, &wanted);
    let mut problems = Problems::default();
    let sboms = if plan.sboms_of_layers {
        Sboms::Layers(problems.take(Layers::prepare(inputs.sbom_cache.as_deref(), plan.written.clone(), env)).unwrap_or_default())
    } else {
        Sboms::Build
    };
    let (ready, parts) = report.stage("preflight", run.preflight(&outside, problems, read)).await?;
    let built = report.stage("merge", merge(&outside, parts)).await?;
    run.conclude(&outside, ready, built, &sboms).await
}

/// Makes one image of the parts.
async fn merge(outside: &Outside, parts: Parts) -> anyhow::Result<(BuiltImage, String)> {
    let platforms = plural(parts.platforms().len(), "platform");
    let built = parts.merge(&outside.registry).await?;
    let outcome = format!("{} for {platforms}", built.root().digest);
    Ok((built, outcome))
}
