//! `supply-action bake`: the targets of bake files, built in one call and published together by the
//! stages of `publish`. It resolves no bake file itself; buildx does.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::beginning::{Beginning, begin, say_plan};
use super::ending;
use super::hand_over::{BUILT, hand_over_baked, hand_over_built};
use super::outside::Outside;
use super::private::private_folder;
use super::publish::generator;
use super::release::{ReleaseRun, sboms, with_consequence};
use crate::build::BuiltImage;
use crate::build::arguments::Generator;
use crate::build::bake::Definition;
use crate::build::builder::RunBuilder;
use crate::build::buildx::{BuildFolder, Buildx, print_bake};
use crate::build::checks::DockerfileChecks;
use crate::build::recipe::Build;
use crate::build::source::ContextSource;
use crate::build::{flags, inherited};
use crate::environment::Environment;
use crate::error::Consequence::NothingBuilt;
use crate::github::RunContext;
use crate::github::facts::Visibility;
use crate::image::Platform;
use crate::inputs::{Action, Inputs, RunSettings};
use crate::login::{self, LoginsAsked};
use crate::plan::bake::{Bake, BakeBuildOnly, BakePlan, plan};
use crate::preflight;
use crate::problems::Problems;
use crate::publish::Published;
use crate::registry::Credentials;
use crate::report::Report;
use crate::sigstore::settled::SettledTrust;
use crate::summary::baked::BakedTarget;
use crate::text::plural;

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    release(env, report, None).await.map(drop)
}

/// A registry that plays all others.
pub(super) struct OneRegistry<'a> {
    pub(super) registry: &'a str,
    /// Moves what the bake files name there, and says so.
    pub(super) moved: &'a mut dyn FnMut(&mut Definition) -> Vec<String>,
}

/// The same, which also gives what was published of each target.
pub(super) async fn release(
    env: &Environment,
    report: &Report,
    only: Option<OneRegistry<'_>>,
) -> anyhow::Result<Vec<(String, Published)>> {
    let Beginning { context, inputs, facts, trust } =
        begin(Action::Bake, env, jiff::Timestamp::now(), NothingBuilt, report).await?;
    // Declared before what uses it, so that it is removed after.
    let private = private_folder(&context)?;
    let named = inputs.builder.build_env.clone();
    let place = BuildFolder {
        env,
        named: &named,
        private: private.path(),
        network: &context.network,
        terminal: report.is_terminal(),
    };
    let told = flags::FlagFacts {
        env,
        event: &facts.event,
        file_exists: &|_| false,
        private: facts.visibility != Visibility::Public,
    };
    let source = ContextSource::of(&inputs.bake.source, &told, inputs.logins.github_token.as_ref())
        .context(NothingBuilt)?;
    let (mut definition, buildx) =
        resolve(&place, &context, &inputs, &source, &|text| report.notice(text))
            .await
            .context(NothingBuilt)?;
    report.mask(&definition.passwords());
    for lost in inherited::lost(&definition, &at_hand(&source, &inputs.bake.asked)) {
        report.notice(&lost);
    }
    let registry = only.map(|OneRegistry { registry, moved }| {
        moved(&mut definition).iter().for_each(|notice| report.notice(notice));
        registry
    });
    let variables = definition.variables(env, &place.variables()).context(NothingBuilt);
    let plan =
        plan(&inputs, &context, env, &facts, trust.known(), definition).context(NothingBuilt)?;
    let settings = inputs.into_settings();
    say_plan(&plan.words(), &plan.about().notices, report);
    let bench = Bench { place, variables: variables?, folder: source.folder(), buildx };
    match plan {
        BakePlan::BuildOnly(plan) => {
            build_only(bench, &context, &settings, &plan, report).await?;
            let targets = plan.definition.targets().join(", ");
            ending::built(targets, &plan.about, &context, report).context(BUILT)?;
            hand_over_built(plan.definition.targets(), &context, report)?;
            Ok(Vec::new())
        }
        BakePlan::Publish(plan) => {
            let images = plan.release.images();
            if let Some(image) = images
                .iter()
                .find(|image| registry.is_some_and(|registry| image.registry() != registry))
            {
                return Err(anyhow::anyhow!("`{image}` is not in a registry of the rehearsal"))
                    .context(NothingBuilt);
            }
            let trust = trust.needed().map_err(with_consequence)?;
            let published = publish(bench, &context, &settings, &trust, &plan, report)
                .await
                .map_err(with_consequence)?;
            let baked: Vec<BakedTarget<'_>> =
                plan.goods.iter().map(|goods| goods.target.as_str()).zip(&published).collect();
            hand_over_baked(&baked, &context, &trust, report)?;
            Ok(plan.goods.iter().map(|goods| goods.target.clone()).zip(published).collect())
        }
    }
}

/// The bake files on this machine, with their texts; those of a repository are the builder's alone.
fn at_hand(source: &ContextSource, asked: &[String]) -> Vec<(String, String)> {
    const USUAL: [&str; 4] = [
        "docker-bake.json",
        "docker-bake.override.json",
        "docker-bake.hcl",
        "docker-bake.override.hcl",
    ];
    const LARGEST: u64 = 4 << 20;
    let named: Vec<&str> =
        asked.windows(2).filter(|pair| pair[0] == "--file").map(|pair| pair[1].as_str()).collect();
    let files = if named.is_empty() { USUAL.to_vec() } else { named };
    let read = |name: &str| {
        let here = name.strip_prefix("cwd://");
        let path = source.folder().join(here.unwrap_or(name));
        let is_here = here.is_some() || matches!(source, ContextSource::Folder(_));
        let size = std::fs::metadata(&path).ok().filter(|found| is_here && found.is_file())?.len();
        (size <= LARGEST).then(|| std::fs::read_to_string(&path).ok()).flatten()
    };
    files.into_iter().filter_map(|name| Some((name.to_owned(), read(name)?))).collect()
}

/// Where a run builds.
struct Bench<'a> {
    place: BuildFolder<'a>,
    /// What paths on this machine are relative to.
    folder: &'a Path,
    /// What the targets need of the job's variables.
    variables: Vec<String>,
    /// With the builder that fetched the bake files.
    buildx: Option<Buildx>,
}

impl Bench<'_> {
    /// The builder, started and able to build `platforms`.
    async fn set_up(
        &mut self,
        credentials: &Credentials,
        builder: &RunBuilder,
        platforms: &[Platform],
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<Buildx> {
        let buildx = match self.buildx.take() {
            Some(buildx) => buildx.ready(self.place.env, credentials, platforms, notice).await,
            None => Buildx::set_up(&self.place, credentials, builder, platforms, notice).await,
        };
        Ok(buildx?.with_variables(self.place.env, &self.variables))
    }
}

/// What the bake files say; those of a repository are fetched by the builder, which then stays.
async fn resolve(
    place: &BuildFolder<'_>,
    context: &RunContext,
    inputs: &Inputs,
    source: &ContextSource,
    notice: &dyn Fn(&str),
) -> anyhow::Result<(Definition, Option<Buildx>)> {
    let remote = match source {
        ContextSource::Folder(folder) => {
            return Ok((print_bake(place, folder, &inputs.bake.asked).await?, None));
        }
        ContextSource::Remote(remote) => remote,
    };
    let asked = LoginsAsked {
        logins: &inputs.logins.registry_auth,
        images: &[],
        env: place.env,
        context,
        token: inputs.logins.github_token.as_ref(),
    };
    // Which platforms it must build is known only then.
    let mut buildx = Buildx::set_up(
        place,
        &login::stored_credentials(&asked)?,
        &inputs.builder.builder,
        &[],
        notice,
    )
    .await?;
    match buildx.print_bake(remote, &inputs.bake.asked, place.env).await {
        Ok(definition) => Ok((definition, Some(buildx))),
        Err(error) => {
            buildx.close().await;
            Err(error)
        }
    }
}

async fn build_only(
    mut bench: Bench<'_>,
    context: &RunContext,
    settings: &RunSettings,
    plan: &BakeBuildOnly,
    report: &Report,
) -> anyhow::Result<()> {
    let env = bench.place.env;
    let notice = |text: &str| report.notice(text);
    let asked = LoginsAsked {
        logins: &settings.logins.registry_auth,
        images: &plan.images,
        env,
        context,
        token: settings.logins.github_token.as_ref(),
    };
    let credentials = login::stored_credentials(&asked).context(NothingBuilt)?;
    let buildx = bench
        .set_up(&credentials, &settings.builder.builder, &plan.build.platforms, &notice)
        .await
        .context(NothingBuilt)?;
    let file = plan.definition.for_checking(env);
    let built = report
        .stage("build", async {
            buildx.bake_check(bench.folder, &file, &allowed(&plan.build)).await?;
            Ok((
                (),
                format!(
                    "{} built, nothing pushed",
                    plural(plan.definition.targets().len(), "target")
                ),
            ))
        })
        .await;
    buildx.close().await;
    built
}

/// The pipeline.
async fn publish(
    mut bench: Bench<'_>,
    context: &RunContext,
    settings: &RunSettings,
    trust: &SettledTrust,
    plan: &Bake,
    report: &Report,
) -> anyhow::Result<Vec<Published>> {
    let (env, folder) = (bench.place.env, bench.folder);
    let run = ReleaseRun { env, context, settings, trust, release: &plan.release, report };
    let (outside, credentials) = run.outside().await?;
    let notice = |text: &str| report.notice(text);
    let set_up =
        bench.set_up(&credentials, &settings.builder.builder, &plan.build.platforms, &notice);
    let mut problems = problems(plan);
    let layers = run.layers(&plan.build, &mut problems);
    let (ready, buildx) =
        report.stage("preflight", run.preflight(&outside, problems, set_up)).await?;
    if ready.is_published() {
        buildx.close().await;
        return run.complete(&outside, ready).await;
    }
    let (built, generator) =
        report.stage("build", build(env, folder, plan, &outside, buildx, &notice)).await?;
    run.conclude_all(&outside, ready, built, &sboms(&plan.build.sbom, generator, layers)).await
}

/// What is wrong with the definition itself: secrets among the arguments of a target, a cache under
/// a published name.
fn problems(plan: &Bake) -> Problems {
    let mut problems = Problems::default();
    if plan.build.publishes_build_args() {
        for (target, args) in plan.definition.build_args() {
            problems
                .take(preflight::secret_build_args(&format!("`args` of target `{target}`"), &args));
        }
    }
    let names: Vec<String> = plan.release.names().iter().map(ToString::to_string).collect();
    problems.take(preflight::cache_under_a_name(
        &plan.definition.caches(),
        &plan.release.images(),
        &names,
    ));
    problems
}

async fn build(
    env: &Environment,
    folder: &Path,
    plan: &Bake,
    outside: &Outside,
    buildx: Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<((Vec<BuiltImage>, Generator), String)> {
    let Some(beside) = plan.goods.first().and_then(|goods| goods.images.first()) else {
        anyhow::bail!("the plan names no image")
    };
    let built = async {
        let generator =
            generator(env, &plan.build, beside, &outside.registry, &buildx, notice).await?;
        let file: Value =
            Definition::for_publishing(&plan.definition, &plan.goods, &plan.build, &generator, env);
        let (allow, allowed) = (allowed(&plan.build), &plan.build.allowed);
        let building =
            buildx.bake(&outside.registry, (folder, &file), &allow, &plan.goods, allowed, notice);
        let targets = plan.goods.iter().map(|goods| goods.target.as_str());
        let checking = async {
            anyhow::Ok(match plan.release.search.is_wanted() {
                true => buildx.bake_checks((folder, &file), &allow, targets).await,
                false => Vec::new(),
            })
        };
        let (built, checks) = futures_util::try_join!(building, checking)?;
        let checks = checks.into_iter().chain(std::iter::repeat(DockerfileChecks::NotAsked));
        let built = built.into_iter().zip(checks).map(|(built, checks)| built.checked(checks));
        anyhow::Ok((built.collect::<Vec<_>>(), generator))
    }
    .await;
    buildx.close().await;
    let (built, generator) = built?;
    let platforms = built.iter().map(|built| built.platforms().len()).sum();
    let outcome =
        format!("{} for {}", plural(built.len(), "target"), plural(platforms, "platform"));
    Ok(((built, generator), outcome))
}

fn allowed(build: &Build) -> Vec<String> {
    build.flags.values("--allow").map(str::to_owned).collect()
}
