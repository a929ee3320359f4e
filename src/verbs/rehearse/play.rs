//! A rehearsal's run: the inputs of a step, or of the command line, given to the action that they
//! are for. It pushes to the sandbox alone.

use anyhow::Context as _;
use serde_json::json;

use super::step::{ActionStep, WorkflowFile};
use super::{ActionWord, Rehearse, name_of, offline};
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::{RunContext, facts};
use crate::image::Repository;
use crate::inputs::{Action, Inputs, RunSettings, signing_key};
use crate::plan::{self, PublishPlan};
use crate::publish::Published;
use crate::report::Report;
use crate::sandbox::Sandbox;
use crate::verbs;
use crate::verbs::beginning::BegunTrust;

/// What is built where nobody says.
const PLATFORMS: &str = "linux/amd64,linux/arm64";
const NOTHING: &str = "nothing was rehearsed";

/// What came of it.
pub(super) enum Played {
    Nothing,
    One(Box<Published>),
    /// Of each target of bake files.
    Several(Vec<(String, Published)>),
}

/// What a step is told, by the workflow and by the command line.
struct GivenInputs<'a> {
    arguments: &'a Rehearse,
    world: &'a Sandbox,
    action: Action,
    /// The run's own variables, without inputs.
    env: Environment,
    /// Of the workflow's step first, so that the command line wins.
    inputs: Vec<(String, String)>,
    /// Of the step that builds for `merge`.
    of_legs: Vec<(String, String)>,
}

pub(super) async fn play(
    arguments: &Rehearse,
    env: &Environment,
    world: &Sandbox,
    report: &Report,
) -> anyhow::Result<Played> {
    let (given, notices) = given(arguments, env, world).context(NOTHING)?;
    notices.iter().for_each(|notice| report.notice(notice));
    match given.action {
        Action::Publish => publish(&given, report).await,
        Action::Merge => merge(&given, report).await,
        Action::Bake => bake(&given, report).await,
        Action::Promote | Action::Scan => Err(anyhow::anyhow!(
            "`{}` needs an image that is already published",
            given.action.verb()
        ))
        .hint("run `supply-action promote` with `dry-run=true`, which says what it would do"),
    }
}

fn given<'a>(
    arguments: &'a Rehearse,
    env: &Environment,
    world: &'a Sandbox,
) -> anyhow::Result<(GivenInputs<'a>, Vec<String>)> {
    // A key's real signatures are not for rehearsals.
    let mut made = offline::without_the_world(env, signing_key::KEY);
    made.extend(world.environment());
    if let Some(event) = &arguments.event {
        made.insert("GITHUB_EVENT_PATH".to_owned(), event.display().to_string());
    }
    let mut notices = Vec::new();
    let mut take = |step: ActionStep, file: &std::path::Path| {
        notices.push(format!("step `{}` of `{}` is rehearsed", step.name, file.display()));
        notices.extend(step.notices);
        step.inputs
    };
    let (mut inputs, mut of_legs, mut action) =
        (Vec::new(), Vec::new(), action_of(arguments.action));
    if let Some(file) = &arguments.workflow {
        let workflow = WorkflowFile::open(file)?;
        let step = workflow.step(arguments.step.as_deref(), &made)?;
        action = step.action;
        inputs = take(step, file);
        if action == Action::Merge {
            of_legs = workflow.legs(&made).map(|step| take(step, file)).unwrap_or_default();
        }
    }
    inputs.extend(arguments.inputs.iter().cloned());
    let mut kept = |inputs: Vec<(String, String)>| {
        let is_kept = |(name, _): &(String, String)| match offline::left_out(name) {
            Some(notice) => {
                if !notices.contains(&notice) {
                    notices.push(notice);
                }
                false
            }
            None => true,
        };
        inputs.into_iter().filter(is_kept).collect::<Vec<_>>()
    };
    let (inputs, of_legs) = (kept(inputs), kept(of_legs));
    // "None known" by six records would be taken for more than it is.
    let is_given = |name: &str| inputs.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if !is_given("advisories") && !is_given("scan") {
        notices.push(
            "the scan uses the few records of the sandbox; `--input advisories=DIR` uses real ones"
                .to_owned(),
        );
    }
    Ok((GivenInputs { arguments, world, action, env: made, inputs, of_legs }, notices))
}

fn action_of(which: ActionWord) -> Action {
    match which {
        ActionWord::Publish => Action::Publish,
        ActionWord::Merge => Action::Merge,
        ActionWord::Bake => Action::Bake,
    }
}

impl GivenInputs<'_> {
    /// The variables of a step with these inputs, and the sandbox's services in place of
    /// Sigstore's.
    fn step(&self, inputs: impl IntoIterator<Item = (String, String)>) -> Environment {
        let mut env = self.env.clone();
        let mut set = |name: &str, value: String| {
            drop(env.insert(format!("INPUT_{}", name.to_uppercase()), value))
        };
        let mut driver = String::new();
        for (name, value) in inputs {
            if name.eq_ignore_ascii_case("driver-opts") {
                driver.clone_from(&value);
            }
            set(&name, value);
        }
        set("SIGNING-CONFIG", self.world.signing_config().display().to_string());
        set("TRUSTED-ROOT", self.world.trusted_root().display().to_string());
        set("OSV-URL", self.world.osv().to_owned());
        if self.action != Action::Merge {
            let (name, value) = self.builder(&driver);
            set(name, value);
        }
        env
    }

    /// Of a step with these `driver-opts`.
    fn builder(&self, driver: &str) -> (&'static str, String) {
        match &self.arguments.builder_endpoint {
            Some(endpoint) => ("builder-endpoint", endpoint.clone()),
            // A builder in Docker sees this machine's loopback, where the registry is, only on the
            // host's network.
            None => ("driver-opts", format!("{driver}\nnetwork=host").trim_start().to_owned()),
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.inputs.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }

    /// What the image is called where neither the workflow nor an input says it.
    fn named(&self) -> Option<(String, String)> {
        // Whole references in `tags` name the image as well.
        let unnamed =
            self.arguments.workflow.is_none() && !self.is_given("images") && !self.is_given("tags");
        unnamed.then(|| {
            (
                "images".to_owned(),
                format!("{}/{}", self.world.registry(), name_of(&self.arguments.context)),
            )
        })
    }

    fn tags(&self) -> Option<(String, String)> {
        let tags = self.arguments.tags.replace(',', "\n");
        (!tags.is_empty() || self.arguments.workflow.is_none()).then(|| ("tags".to_owned(), tags))
    }

    /// What is built, by the options of the command line.
    fn built(&self) -> Vec<(String, String)> {
        let (arguments, with_workflow) = (self.arguments, self.arguments.workflow.is_some());
        let args =
            Some(arguments.build_args.join("\n")).filter(|args| !with_workflow || !args.is_empty());
        [
            ("context", Some(arguments.context.display().to_string())),
            ("build-args", args),
            ("file", arguments.file.as_ref().map(|file| file.display().to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }

    fn platforms(&self) -> Option<(String, String)> {
        let usual = || (self.arguments.workflow.is_none()).then(|| PLATFORMS.to_owned());
        self.arguments
            .platforms
            .clone()
            .or_else(usual)
            .map(|platforms| ("platforms".to_owned(), platforms))
    }

    /// A step's own context is a folder beside this one; of a repository elsewhere, the folder of
    /// the command line plays the part.
    fn here(&self, inputs: &[(String, String)], report: &Report) -> Vec<(String, String)> {
        let stays = |(name, value): &&(String, String)| {
            let is_remote = name.eq_ignore_ascii_case("context") && is_remote(value);
            if is_remote {
                report.notice(&format!(
                    "`{}` plays the context `{value}`",
                    self.arguments.context.display()
                ));
            }
            !is_remote
        };
        inputs.iter().filter(stays).cloned().collect()
    }

    /// A rehearsal pushes to the sandbox alone, whatever the inputs say.
    fn stays_here(&self, images: &[Repository]) -> anyhow::Result<()> {
        let elsewhere = images.iter().find(|image| image.registry() != self.world.registry());
        elsewhere.map_or(Ok(()), |image| {
            Err(anyhow::anyhow!("{NOTHING}: `{image}` is not in a registry of the rehearsal"))
        })
    }
}

fn is_remote(context: &str) -> bool {
    context.contains("://")
        || context.starts_with("git@")
        || context.starts_with("github.com/")
        || context.contains("{{defaultContext}}")
}

async fn planned(
    given: &GivenInputs<'_>,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<Begun> {
    let context = RunContext::new(env);
    let mut inputs = Inputs::read(env, &context).context(NOTHING)?;
    for notice in offline::moved(&mut inputs, given.world.registry()).context(NOTHING)? {
        report.notice(&notice);
    }
    let facts =
        facts::gather(&context, env, None, inputs.wanted(jiff::Timestamp::now(), &context.git_ref))
            .await
            .context(NOTHING)?;
    let trust = BegunTrust::of(Action::Publish, &inputs, env, &context, report).await;
    let plan = plan::plan(&inputs, &context, env, &facts, trust.known()).context(NOTHING)?;
    verbs::beginning::say_plan(&plan.words(), &plan.about().notices, report);
    Ok(Begun { context, settings: inputs.into_settings(), trust, plan })
}

/// A step's plan, and what it is done with.
struct Begun {
    context: RunContext,
    settings: RunSettings,
    trust: BegunTrust,
    plan: PublishPlan,
}

async fn publish(given: &GivenInputs<'_>, report: &Report) -> anyhow::Result<Played> {
    let told =
        given.named().into_iter().chain(given.tags()).chain(given.platforms()).chain(given.built());
    let env = given.step(told.chain(given.here(&given.inputs, report)));
    let Begun { context, settings, trust, plan } = planned(given, &env, report).await?;
    match plan {
        PublishPlan::Publish(plan) => {
            given.stays_here(&plan.release.images())?;
            let trust = trust.needed().context(NOTHING)?;
            let run = verbs::publish::publish(&env, &context, &settings, &trust, &plan, report);
            let published = run.await;
            published
                .map(|published| Played::One(Box::new(published)))
                .context("the release would fail: nothing was tagged")
        }
        PublishPlan::BuildOnly(plan) => {
            verbs::publish::build_only(&env, &context, &settings, &plan, report).await?;
            report.say(&format!("the run would publish nothing: {}", plan.about.reason));
            Ok(Played::Nothing)
        }
        PublishPlan::Push(plan) => {
            given.stays_here(&plan.images)?;
            let built = verbs::publish::push(&env, &context, &settings, &plan, report)
                .await
                .context("the job would fail")?;
            report.say(&format!(
                "the job would hand on `{}` for the action `merge` to publish",
                built.root().digest
            ));
            Ok(Played::Nothing)
        }
    }
}

/// Each platform is built as by a job of its own; then what they hand on is merged.
async fn merge(given: &GivenInputs<'_>, report: &Report) -> anyhow::Result<Played> {
    const HANDED_ON: [&str; 2] = ["digests", "digest-files"];
    let of_merge: Vec<(String, String)> = given
        .inputs
        .iter()
        .filter(|(name, _)| !HANDED_ON.contains(&name.to_lowercase().as_str()))
        .cloned()
        .collect();
    let said = of_merge
        .iter()
        .rfind(|(name, _)| name.eq_ignore_ascii_case("platforms"))
        .map(|(_, platforms)| platforms.clone());
    let platforms =
        given.arguments.platforms.clone().or(said).unwrap_or_else(|| PLATFORMS.to_owned());
    let mut digests = serde_json::Map::new();
    let of_all =
        |name: &str| ["images", "registry"].iter().any(|shared| name.eq_ignore_ascii_case(shared));
    let shared: Vec<(String, String)> =
        of_merge.iter().filter(|(name, _)| of_all(name)).cloned().collect();
    for platform in
        platforms.split([',', '\n']).map(str::trim).filter(|platform| !platform.is_empty())
    {
        let own = [("platforms", platform), ("push-by-digest", "true"), ("outputs", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let told = given
            .named()
            .into_iter()
            .chain(given.built())
            .chain(given.here(&given.of_legs, report))
            .chain(shared.clone());
        let mut env = given.step(told.chain(own));
        let of_legs =
            given.of_legs.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("driver-opts"));
        let (name, value) = given.builder(of_legs.map_or("", |(_, value)| value));
        env.insert(format!("INPUT_{}", name.to_uppercase()), value);
        let Begun { context, settings, plan, .. } = planned(given, &env, report).await?;
        let PublishPlan::Push(plan) = plan else {
            anyhow::bail!("{NOTHING}: {}", plan.about().reason)
        };
        given.stays_here(&plan.images)?;
        let built = verbs::publish::push(&env, &context, &settings, &plan, report)
            .await
            .context("a job would fail")?;
        digests.insert(platform.to_owned(), built.root().digest.to_string().into());
    }
    let handed_on = ("digests".to_owned(), json!(digests).to_string());
    let told = given.named().into_iter().chain(given.tags()).chain(of_merge).chain([handed_on]);
    let env = given.step(told.filter(|(_, value)| !value.is_empty()));
    let context = RunContext::new(&env);
    let mut inputs = Inputs::of(Action::Merge, &env, &context).context(NOTHING)?;
    offline::moved(&mut inputs, given.world.registry()).context(NOTHING)?;
    let facts = facts::gather(
        &context,
        &env,
        None,
        inputs.wanted(jiff::Timestamp::now(), &context.git_ref),
    )
    .await
    .context(NOTHING)?;
    let trust = BegunTrust::of(Action::Publish, &inputs, &env, &context, report).await;
    let plan =
        plan::merge::plan(&inputs, &context, &env, &facts, trust.known()).context(NOTHING)?;
    let settings = inputs.into_settings();
    verbs::beginning::say_plan(&plan.words(), &plan.about().notices, report);
    match plan {
        plan::merge::MergePlan::Nothing(about) => {
            report.say(&format!("the run would publish nothing: {}", about.reason));
            Ok(Played::Nothing)
        }
        plan::merge::MergePlan::Merge(plan) => {
            given.stays_here(&plan.release.images())?;
            let trust = trust.needed().context(NOTHING)?;
            let run = verbs::merge::publish(&env, &context, &settings, &trust, &plan, report);
            let merged = run.await;
            merged
                .map(|(published, _)| Played::One(Box::new(published)))
                .context("the release would fail: nothing was tagged")
        }
    }
}

async fn bake(given: &GivenInputs<'_>, report: &Report) -> anyhow::Result<Played> {
    let Rehearse { tags, platforms, file, build_args, .. } = given.arguments;
    if !tags.is_empty() || platforms.is_some() || file.is_some() || !build_args.is_empty() {
        return Err(anyhow::anyhow!(
            "{NOTHING}: `--tags`, `--platforms`, `--file` and `--build-arg` are for one image, but a bake file has targets"
        ))
        .hint("write these into the bake file, or give `--input set=TARGET.KEY=VALUE` or `--input vars=NAME=VALUE`");
    }
    let source = ("source".to_owned(), given.arguments.context.display().to_string());
    let of_folder = |(name, value): &&(String, String)| {
        let is_source = name.eq_ignore_ascii_case("source");
        if is_source {
            report.notice(&format!(
                "`{}` plays the source `{value}`",
                given.arguments.context.display()
            ));
        }
        !is_source
    };
    let env = given.step(given.inputs.iter().filter(of_folder).cloned().chain([source]));
    let registry = given.world.registry();
    let mut moved = |definition: &mut crate::build::bake::Definition| {
        offline::moved_definition(definition, registry)
    };
    let only = verbs::bake::OneRegistry { registry, moved: &mut moved };
    let published =
        verbs::bake::release(&env, report, Some(only)).await.context("the release would fail")?;
    Ok(if published.is_empty() { Played::Nothing } else { Played::Several(published) })
}
