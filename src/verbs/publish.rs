//! `supply-action publish`: the pipeline as a table of contents, and how an image is built for it,
//! or for `merge`.

use anyhow::Context as _;

use super::beginning::{Beginning, begin, say_plan};
use super::ending;
use super::hand_over::{
    BUILT, UNWRITTEN, digest_folder, hand_over, hand_over_metadata, hand_over_pushed,
};
use super::outside::line;
use super::private::private_folder;
use super::release::{ReleaseRun, say_elsewhere, sboms, with_consequence};
use crate::build::arguments::Generator;
use crate::build::buildx::{BuildFolder, Buildx};
use crate::build::checks::DockerfileChecks;
use crate::build::recipe::Build;
use crate::build::sbom::{Otherwise, Sbom};
use crate::build::scanner::{self, ScannerImage};
use crate::build::{self, BuiltImage};
use crate::environment::Environment;
use crate::error::Consequence::NothingBuilt;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::github::RunContext;
use crate::image::Repository;
use crate::inputs::{Action, RunSettings};
use crate::login::{self, LoginsAsked};
use crate::plan::{self, PublishPlan};
use crate::preflight;
use crate::problems::Problems;
use crate::publish::Published;
use crate::registry::Registry;
use crate::registry::exchange::Endpoints;
use crate::report::Report;
use crate::sigstore::settled::SettledTrust;
use crate::text::plural;

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    let Beginning { context, inputs, facts, trust } =
        begin(Action::Publish, env, jiff::Timestamp::now(), NothingBuilt, report).await?;
    let plan = plan::plan(&inputs, &context, env, &facts, trust.known()).context(NothingBuilt)?;
    let settings = inputs.into_settings();
    say_plan(&plan.words(), &plan.about().notices, report);
    match plan {
        PublishPlan::BuildOnly(plan) => build_only(env, &context, &settings, &plan, report).await,
        PublishPlan::Push(plan) => {
            let built = push(env, &context, &settings, &plan, report)
                .await
                .context("nothing is there to merge")?;
            hand_over_pushed(&built, plan.digest_files.as_deref(), &context, report)
                .context(UNTOLD)?;
            ending::pushed(&built, &plan.about, &context, report).context(UNTOLD)?;
            hand_over_metadata(None, &plan.about.metadata, env, &context, &settings).context(UNTOLD)
        }
        PublishPlan::Publish(plan) => {
            let trust = trust.needed().map_err(with_consequence)?;
            let published = publish(env, &context, &settings, &trust, &plan, report)
                .await
                .map_err(with_consequence)?;
            let metadata = &plan.release.about.metadata;
            hand_over(&published, metadata, &context, &settings, &trust, report)?;
            hand_over_metadata(Some(&published), metadata, env, &context, &settings)
                .context(UNWRITTEN)
        }
    }
}

const UNTOLD: &str = "the image is pushed by digest, but the outputs for the workflow cannot be \
    written";

pub(super) async fn build_only(
    env: &Environment,
    context: &RunContext,
    settings: &RunSettings,
    plan: &plan::BuildOnly,
    report: &Report,
) -> anyhow::Result<()> {
    let build = &plan.build;
    build::sources::check(&build.flags, env).context(NothingBuilt)?;
    let private = private_folder(context)?;
    let named = variables(settings, build);
    let place = BuildFolder {
        env,
        named: &named,
        private: private.path(),
        network: &context.network,
        terminal: report.is_terminal(),
    };
    let notice = |text: &str| report.notice(text);
    let asked = LoginsAsked {
        logins: &settings.logins.registry_auth,
        images: &plan.images,
        env,
        context,
        token: settings.logins.github_token.as_ref(),
    };
    let credentials = login::stored_credentials(&asked).context(NothingBuilt)?;
    let buildx =
        Buildx::set_up(&place, &credentials, &settings.builder.builder, &build.platforms, &notice)
            .await
            .context(NothingBuilt)?;
    let built = report
        .stage("build", async {
            buildx.check(build).await?;
            Ok(((), format!("{} built, nothing pushed", plural(build.platforms.len(), "platform"))))
        })
        .await;
    buildx.close().await;
    built?;
    ending::built(
        build.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        &plan.about,
        context,
        report,
    )
    .context(BUILT)?;
    hand_over_metadata(None, &plan.about.metadata, env, context, settings).context(BUILT)
}

/// Builds for `merge`: pushed by digest, without a name, and without evidence of ours.
pub(super) async fn push(
    env: &Environment,
    context: &RunContext,
    settings: &RunSettings,
    plan: &plan::DigestPush,
    report: &Report,
) -> anyhow::Result<BuiltImage> {
    let asked = LoginsAsked {
        logins: &settings.logins.registry_auth,
        images: &plan.images,
        env,
        context,
        token: settings.logins.github_token.as_ref(),
    };
    let credentials =
        login::credentials(&asked, &Endpoints::default(), report).await.context("no login")?;
    let registry = Registry::for_publishing(line(&context.network)?, credentials.clone());
    // Declared before what uses it, so that it is removed after.
    let private = private_folder(context)?;
    let named = variables(settings, &plan.build);
    let place = BuildFolder {
        env,
        named: &named,
        private: private.path(),
        network: &context.network,
        terminal: report.is_terminal(),
    };
    let notice = |text: &str| report.notice(text);
    let preflight = async {
        let mut problems = build_problems(&plan.build, env);
        if let Some(folder) = &plan.digest_files {
            problems
                .take(digest_folder(folder, context).remedied().context("input `digest-files`"));
        }
        let (probes, buildx) = tokio::join!(
            futures_util::future::join_all(
                plan.images.iter().map(|repository| registry.probe_push(repository))
            ),
            Buildx::set_up(
                &place,
                &credentials,
                &settings.builder.builder,
                &plan.build.platforms,
                &notice
            ),
        );
        let buildx = problems.take(buildx);
        for probe in probes {
            problems.take(probe.remedied());
        }
        say_elsewhere(&registry, report).await;
        problems.into_result()?;
        let outcome = format!("may push to {}", plural(plan.images.len(), "repository"));
        Ok((buildx.context("the preflight lost a result")?, outcome))
    };
    let buildx = report.stage("preflight", preflight).await?;
    report
        .stage("build", build(env, &plan.build, (&plan.images, false), &registry, buildx, &notice))
        .await
        .map(|(built, _)| built)
}

/// The pipeline.
pub async fn publish(
    env: &Environment,
    context: &RunContext,
    settings: &RunSettings,
    trust: &SettledTrust,
    plan: &plan::Publish,
    report: &Report,
) -> anyhow::Result<Published> {
    let run = ReleaseRun { env, context, settings, trust, release: &plan.release, report };
    let (outside, credentials) = run.outside().await?;
    // Declared before what uses it, so that it is removed after.
    let private = private_folder(context)?;
    let named = variables(settings, &plan.build);
    let place = BuildFolder {
        env,
        named: &named,
        private: private.path(),
        network: &context.network,
        terminal: report.is_terminal(),
    };
    let notice = |text: &str| report.notice(text);
    let set_up = Buildx::set_up(
        &place,
        &credentials,
        &settings.builder.builder,
        &plan.build.platforms,
        &notice,
    );
    let mut problems = build_problems(&plan.build, env);
    let layers = run.layers(&plan.build, &mut problems);
    let (ready, buildx) =
        report.stage("preflight", run.preflight(&outside, problems, set_up)).await?;
    if ready.is_published() {
        buildx.close().await;
        return run.complete(&outside, ready).await?.pop().context("the image was lost on the way");
    }
    let images = plan.release.images();
    let is_checked = plan.release.search.is_wanted();
    let building =
        build(env, &plan.build, (&images, is_checked), &outside.registry, buildx, &notice);
    let (built, generator) = report.stage("build", building).await?;
    run.conclude(&outside, ready, built, &sboms(&plan.build.sbom, generator, layers)).await
}

/// The job's variables that the build gets beside those of every program: what its flags need, and
/// what the user names.
fn variables(settings: &RunSettings, build: &Build) -> Vec<String> {
    settings
        .builder
        .build_env
        .iter()
        .cloned()
        .chain(build::variables::of_flags(&build.flags))
        .collect()
}

/// What is wrong with the build itself: secrets among its arguments, a missing context or
/// Dockerfile.
pub(super) fn build_problems(build: &Build, env: &Environment) -> Problems {
    let mut problems = Problems::default();
    if build.publishes_build_args() {
        let given: Vec<String> = build.flags.values("--build-arg").map(str::to_owned).collect();
        problems.take(preflight::secret_build_args("input `build-args`", &given));
    }
    problems.take(build::sources::check(&build.flags, env));
    problems
}

/// Builds with what the preflight set up, and lets the Dockerfile be checked meanwhile where that
/// is wanted; says what made the SBOMs, where the plan left that open.
pub async fn build(
    env: &Environment,
    build: &Build,
    (to, is_checked): (&[Repository], bool),
    registry: &Registry,
    buildx: Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<((BuiltImage, Generator), String)> {
    let built = async {
        let building = async {
            let generator = generator(env, build, &to[0], registry, &buildx, notice).await?;
            anyhow::Ok((buildx.build(registry, build, to, &generator, notice).await?, generator))
        };
        let checking = async {
            anyhow::Ok(match is_checked {
                true => buildx.checks(build).await,
                false => DockerfileChecks::NotAsked,
            })
        };
        let ((built, generator), checks) = futures_util::try_join!(building, checking)?;
        anyhow::Ok((built.checked(checks), generator))
    }
    .await;
    buildx.close().await;
    let (built, generator) = built?;
    let outcome =
        format!("{} for {}", built.root().digest, plural(built.platforms().len(), "platform"));
    Ok(((built, generator), outcome))
}

/// Our scanner image beside the image to be, or the one that `SUPPLY_ACTION_SCANNER` names: for
/// builders of another architecture. What stands in for it where the builder cannot run it, the
/// plan says.
pub(super) async fn generator(
    env: &Environment,
    build: &Build,
    beside: &Repository,
    registry: &Registry,
    buildx: &Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<Generator> {
    let Sbom::Ours(otherwise) = build.sbom else { return Ok(Generator::Nothing) };
    if let Some(named) = env.get("SUPPLY_ACTION_SCANNER") {
        return Ok(Generator::Scanner(
            named.parse().context("environment variable `SUPPLY_ACTION_SCANNER`")?,
        ));
    }
    let ours = scanner::platform()?;
    if buildx.runs_everywhere(&ours) {
        return ScannerImage::of_this_program()?
            .ensure(registry, beside)
            .await
            .map(Generator::Scanner);
    }
    let lacks = format!(
        "a node of the builder does not run `{ours}`, which this action's scanner is made for"
    );
    match otherwise {
        Otherwise::Registry => {
            notice(&format!("{lacks}, so the SBOMs are made of the layers in the registry"));
            Ok(Generator::Nothing)
        }
        Otherwise::Generator => {
            notice(&format!("{lacks}, so BuildKit's generator makes the SBOMs; they are checked before they are signed"));
            Ok(Generator::BuildKits)
        }
        Otherwise::Refused => Err(anyhow::anyhow!(lacks))
            .hint("set `sbom: registry`, which looks at what was pushed, or name a scanner for the builder with `SUPPLY_ACTION_SCANNER`"),
    }
}
