//! `supply-action bake`: the targets of bake files, built in one call and published together by the stages of `publish`. It resolves no bake
//! file itself; buildx does.

use anyhow::Context as _;
use serde_json::Value;

use super::hand_over::hand_over_baked;
use super::publish::{generator, say_plan};
use super::release::{Outside, Run, plural, private_folder, with_consequence};
use super::trust;
use crate::attest::sboms::{Layers, Sboms};
use crate::build::BuiltImage;
use crate::build::arguments::Generator;
use crate::build::bake::Definition;
use crate::build::buildx::{Buildx, Place, print_bake};
use crate::github::{Context, Environment, facts};
use crate::inputs::{Action, Inputs, secret_texts};
use crate::login::{self, Asked};
use crate::plan::Build;
use crate::plan::bake::{Bake, BuildOnly, Plan, plan};
use crate::plan::sbom::Sbom;
use crate::preflight::{self, Problems};
use crate::publish::Published;
use crate::report::Report;
use crate::summary::baked::Baked;

const UNBUILT: &str = "nothing was built";

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    report.mask(&secret_texts(env));
    let context = Context::new(env);
    let mut inputs = Inputs::of(Action::Bake, env, &context).context(UNBUILT)?;
    let definition = print_bake(env, &inputs.bake.folder, &inputs.bake.asked).await.context(UNBUILT)?;
    let wanted = inputs.wanted(jiff::Timestamp::now());
    let facts = facts::gather(&context, env, inputs.github_token.as_ref(), wanted).await.context(UNBUILT)?;
    let plan = plan(&inputs, &context, env, &facts, definition).context(UNBUILT)?;
    say_plan(&plan.lines(), plan.about(), report);
    match plan {
        Plan::BuildOnly(plan) => build_only(env, &context, &inputs, &plan, report).await,
        Plan::Publish(plan) => {
            trust::update(&mut inputs, env, &context, report).await.map_err(with_consequence)?;
            let published = publish(env, &context, &inputs, &plan, report).await.map_err(with_consequence)?;
            let baked: Vec<Baked<'_>> = plan.goods.iter().map(|goods| goods.target.as_str()).zip(&published).collect();
            hand_over_baked(&baked, &context, &inputs, report)
        }
    }
}

async fn build_only(env: &Environment, context: &Context, inputs: &Inputs, plan: &BuildOnly, report: &Report) -> anyhow::Result<()> {
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let notice = |text: &str| report.notice(text);
    let asked = Asked { logins: &inputs.registry_auth, images: &plan.images, env, context };
    let credentials = login::stored_credentials(&asked).context(UNBUILT)?;
    let platforms = &plan.build.platforms;
    let buildx = Buildx::set_up(&place, &credentials, &inputs.builder, platforms, &notice).await.context(UNBUILT)?;
    let file = plan.definition.for_checking(env);
    let built = report
        .stage("build", async {
            buildx.bake_check(&inputs.bake.folder, &file, &allowed(&plan.build)).await?;
            Ok(((), format!("{} built, nothing pushed", plural(plan.definition.targets().len(), "target"))))
        })
        .await;
    buildx.close().await;
    built
}

/// The pipeline.
async fn publish(env: &Environment, context: &Context, inputs: &Inputs, plan: &Bake, report: &Report) -> anyhow::Result<Vec<Published>> {
    let run = Run { env, context, inputs, release: &plan.release, report };
    let (outside, credentials) = run.outside().await?;
    // Declared before what uses it, so that it is removed after.
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let notice = |text: &str| report.notice(text);
    let set_up = Buildx::set_up(&place, &credentials, &inputs.builder, &plan.build.platforms, &notice);
    let mut problems = problems(plan);
    let layers = plan
        .build
        .sbom
        .may_be_of_layers()
        .then(|| problems.take(Layers::prepare(inputs.sbom_cache.as_deref(), plan.build.written(), env)))
        .flatten();
    let (ready, buildx) = report.stage("preflight", run.preflight(&outside, problems, set_up)).await?;
    let (built, generator) = report.stage("build", build(env, inputs, plan, &outside, buildx, &notice)).await?;
    let sboms = match (&plan.build.sbom, generator) {
        (Sbom::Registry(_), _) | (Sbom::Ours(_), Generator::Nothing) => Sboms::Layers(layers.unwrap_or_default()),
        _ => Sboms::Build,
    };
    run.conclude_all(&outside, ready, built, &sboms).await
}

/// What is wrong with the definition itself: secrets among the arguments of a target, a cache under a published name.
fn problems(plan: &Bake) -> Problems {
    let mut problems = Problems::default();
    if plan.build.publishes_build_args() {
        for (target, args) in plan.definition.build_args() {
            problems.take(preflight::secret_build_args(&format!("`args` of target `{target}`"), &args));
        }
    }
    let names: Vec<String> = plan.release.names().iter().map(ToString::to_string).collect();
    problems.take(preflight::cache_under_a_name(&plan.definition.caches(), &names));
    problems
}

async fn build(
    env: &Environment,
    inputs: &Inputs,
    plan: &Bake,
    outside: &Outside,
    buildx: Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<((Vec<BuiltImage>, Generator), String)> {
    let Some(beside) = plan.goods.first().and_then(|goods| goods.images.first()) else { anyhow::bail!("the plan names no image") };
    let built = async {
        let generator = generator(env, &plan.build, beside, &outside.registry, &buildx, notice).await?;
        let file: Value = Definition::for_publishing(&plan.definition, &plan.goods, &plan.build, &generator, env);
        let built = buildx.bake(&outside.registry, &inputs.bake.folder, &file, &allowed(&plan.build), &plan.goods).await?;
        anyhow::Ok((built, generator))
    }
    .await;
    buildx.close().await;
    let (built, generator) = built?;
    let platforms = built.iter().map(|built| built.platforms().len()).sum();
    let outcome = format!("{} for {}", plural(built.len(), "target"), plural(platforms, "platform"));
    Ok(((built, generator), outcome))
}

fn allowed(build: &Build) -> Vec<String> {
    build.flags.values("--allow").map(str::to_owned).collect()
}
