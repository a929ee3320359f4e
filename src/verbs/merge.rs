//! `supply-action merge`: digests that several jobs pushed, and images that are named → one image,
//! published by the stages of `publish`. It builds nothing.

use anyhow::Context as _;

use super::beginning::{Beginning, begin, say_plan};
use super::ending;
use super::hand_over::{UNWRITTEN, hand_over, hand_over_metadata};
use super::outside::line;
use super::release::{ReleaseRun, say_elsewhere, with_consequence};
use crate::attest::sboms::{LayerSboms, Sboms};
use crate::build::BuiltImage;
use crate::build::merge::{MergeRegistries, NamedMerge, PlatformParts, WantedImage};
use crate::environment::Environment;
use crate::error::Consequence::NothingMerged;
use crate::error::Remedy as _;
use crate::github::api::Api;
use crate::github::runners::{self, RunnersVerdict};
use crate::github::{RunContext, workflow};
use crate::image::{Platform, Repository};
use crate::inputs::{Action, RunSettings};
use crate::page::RefusalPage;
use crate::plan::PublishTarget;
use crate::plan::merge::{Merge, MergePlan, plan};
use crate::problems::Problems;
use crate::provenance::{self, ProvenanceTerms};
use crate::publish::Published;
use crate::registry::Registry;
use crate::report::Report;
use crate::sigstore::identity::UnverifiedClaims;
use crate::sigstore::settled::SettledTrust;
use crate::summary::{self, level::Signing, markdown};
use crate::text::plural;

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    let Beginning { context, inputs, facts, trust } =
        begin(Action::Merge, env, jiff::Timestamp::now(), NothingMerged, report).await?;
    let plan = plan(&inputs, &context, env, &facts, trust.known()).context(NothingMerged)?;
    let settings = inputs.into_settings();
    say_plan(&plan.words(), &plan.about().notices, report);
    match plan {
        MergePlan::Nothing(about) => ending::nothing(&about, &context, report)
            .and_then(|()| hand_over_metadata(None, &about.metadata, env, &context, &settings))
            .context(
                "nothing was to be merged, but the outputs for the workflow cannot be written",
            ),
        MergePlan::Merge(plan) => {
            let trust = trust.needed().map_err(with_consequence)?;
            let (published, level) = publish(env, &context, &settings, &trust, &plan, report)
                .await
                .map_err(with_consequence)?;
            let metadata = &plan.release.about.metadata;
            hand_over(&published, metadata, &context, &settings, &trust, report)?;
            if let Some(level) = level {
                tell(&level, &context, report)?;
            }
            hand_over_metadata(Some(&published), metadata, env, &context, &settings)
                .context(UNWRITTEN)
        }
    }
}

/// The build level, or why none is claimed.
pub(super) type BuildLevel = Result<String, String>;

/// The pipeline.
pub(super) async fn publish(
    env: &Environment,
    context: &RunContext,
    settings: &RunSettings,
    trust: &SettledTrust,
    plan: &Merge,
    report: &Report,
) -> anyhow::Result<(Published, Option<BuildLevel>)> {
    let run = ReleaseRun { env, context, settings, trust, release: &plan.release, report };
    let of_sources: Vec<Repository> =
        plan.sources.iter().map(|source| source.repository.clone()).collect();
    let (outside, credentials) = run.outside_with(&of_sources).await?;
    // Of what is only read, a login may have no right but to read.
    let reader = Registry::new(line(&settings.network)?, credentials);
    let registries = MergeRegistries { published: &outside.registry, read: &reader };
    let Some(PublishTarget { images, requirements, asked, .. }) = plan.release.targets.first()
    else {
        anyhow::bail!("the plan names no image")
    };
    let platforms = &requirements.platforms;
    let terms =
        ProvenanceTerms { asked: asked.clone(), run: provenance::ProvenanceRun::of(context) };
    let wanted = WantedImage {
        platforms,
        statements: &plan.statements,
        annotations: &plan.annotations,
        allowed: &plan.release.allowed,
        terms: &terms,
    };
    let named = NamedMerge { claims: &plan.claims, sources: &plan.sources };
    let read = PlatformParts::read(registries, images, &named, &wanted);
    let mut problems = Problems::default();
    let verdict = match plan.check_runners {
        true => problems.take(hosted(context, settings, platforms).await),
        false => None,
    };
    let sboms = if plan.sboms_of_layers {
        let (cache, key) = (settings.sbom_cache.as_deref(), settings.sbom_cache_key.as_ref());
        Sboms::Layers(
            problems
                .take(LayerSboms::prepare(cache, key, plan.written.clone(), env))
                .unwrap_or_default()
                .with_search(plan.release.search.is_wanted()),
        )
    } else {
        Sboms::Build
    };
    let found = report.stage("preflight", run.preflight(&outside, problems, read)).await;
    say_elsewhere(&reader, report).await;
    let (ready, parts) = found?;
    let level = verdict.map(|verdict| level(&verdict, ready.claims(), context)).transpose()?;
    if ready.is_published() {
        let published =
            run.complete(&outside, ready).await?.pop().context("the image was lost on the way")?;
        return Ok((
            published,
            level.map(|_| Err("the image is that of an earlier run".to_owned())),
        ));
    }
    if plan.names_build_source && parts.are_of_this_run() {
        report.notice(
            "input `build-source` has no effect: every image was built from the commit of this run",
        );
    }
    for taken in parts.taken() {
        report.notice(&taken.shown(images));
    }
    let built = report.stage("merge", merge(registries, parts)).await?;
    let published = run.conclude(&outside, ready, built, &sboms).await?;
    Ok((published, level))
}

/// On whose machines the jobs ran that hand on what is merged here.
async fn hosted(
    context: &RunContext,
    settings: &RunSettings,
    platforms: &[Platform],
) -> anyhow::Result<RunnersVerdict> {
    let jobs = match Api::new(context, settings.logins.github_token.as_ref())
        .context("GitHub's API cannot be used")?
    {
        Some(api) => api.jobs(&context.run_id, &context.run_attempt).await,
        None => Err("there is no `GITHUB_REPOSITORY` to ask GitHub about".to_owned()),
    };
    let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    match jobs.map_or_else(RunnersVerdict::Unknown, |jobs| runners::verdict(&jobs, &platforms)) {
        RunnersVerdict::SelfHosted(jobs) => {
            let jobs: Vec<String> = jobs.iter().map(|job| format!("`{job}`")).collect();
            Err(anyhow::anyhow!(
                "input `check-runners`: {} did not run on a GitHub-hosted runner, whatever its \
                 label",
                jobs.join(", ")
            ))
            .hint("use `publish-custom.yml`, which accepts any runner and claims no build level")
            .see(RefusalPage::RunnerOfSomebodysOwn)
        }
        verdict => Ok(verdict),
    }
}

fn level(
    verdict: &RunnersVerdict,
    claims: Option<&UnverifiedClaims>,
    context: &RunContext,
) -> anyhow::Result<BuildLevel> {
    if claims.is_some_and(|claims| claims.runner_environment == "self-hosted") {
        return Err(anyhow::anyhow!("input `check-runners`: the job that signs does not run on a GitHub-hosted runner, whatever its label"))
            .hint("use `publish-custom.yml`, which accepts any runner and claims no build level")
            .see(RefusalPage::RunnerOfSomebodysOwn);
    }
    let signing = claims.map(|claims| Signing {
        server_url: &context.server_url,
        job_workflow_ref: &claims.job_workflow_ref,
        runner_environment: Some(&claims.runner_environment),
    });
    Ok(summary::level::level(verdict, signing.as_ref()))
}

fn tell(level: &BuildLevel, context: &RunContext, report: &Report) -> anyhow::Result<()> {
    match level {
        Ok(level) => report.say(level),
        Err(why) => report.notice(&format!("no build level is claimed: {why}")),
    }
    match &context.summary_file {
        Some(file) => workflow::append_summary(file, &summary::level::markdown(level))
            .context("the job summary")
            .context(UNWRITTEN),
        None => Ok(()),
    }
}

/// Makes one image of the parts.
async fn merge(
    registries: MergeRegistries<'_>,
    parts: PlatformParts,
) -> anyhow::Result<(BuiltImage, String)> {
    let platforms = plural(parts.platforms().len(), "platform");
    let (built, moved) = parts.merge(registries).await?;
    let mut outcome = format!("{} for {platforms}", built.root().digest);
    if moved.manifests > 0 {
        outcome.push_str(&format!(", {} moved", plural(moved.manifests, "manifest")));
    }
    if moved.bytes > 0 {
        outcome.push_str(&format!("; {} sent", markdown::bytes(moved.bytes)));
    }
    Ok((built, outcome))
}
