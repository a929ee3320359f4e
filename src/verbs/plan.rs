//! `supply-action plan`: what an action would do, without doing it: nothing is built, pushed or
//! signed, and no builder is started.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use serde_json::Value;

use super::beginning::{Beginning, begin};
use super::private::private_folder;
use crate::build::buildx::{BuildFolder, print_bake};
use crate::build::flags;
use crate::build::source::ContextSource;
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::facts::Visibility;
use crate::github::git::{self, CloneOrigin};
use crate::inputs::Action;
use crate::plan::shown::Words;
use crate::plan::{self, PlanReasons, PublishPlan};
use crate::report::Report;

/// Arguments of `supply-action plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The action to plan for: publish, merge, bake, promote or scan
    #[arg(long, value_name = "ACTION", default_value = "publish")]
    pub action: Action,
    /// Print JSON, for machines
    #[arg(long)]
    pub json: bool,
    /// An event payload to plan for, instead of the file that GITHUB_EVENT_PATH names
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// The event's name, instead of GITHUB_EVENT_NAME
    #[arg(long, value_name = "NAME")]
    pub event_name: Option<String>,
    /// The ref to plan for, such as refs/tags/v2.0.0-rc.1, instead of GITHUB_REF
    #[arg(long = "ref", value_name = "REF")]
    pub git_ref: Option<String>,
    /// The time to plan for, RFC 3339, such as 2026-01-31T04:00:00Z, instead of now
    #[arg(long, value_name = "TIME")]
    pub now: Option<jiff::Timestamp>,
}

pub async fn run(
    arguments: &PlanArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let mut env = env.clone();
    let clone = at_home(&mut env).await;
    let env = asked(arguments, env);
    let now = arguments.now.unwrap_or_else(jiff::Timestamp::now);
    let mut begun = begin(arguments.action, &env, now, undone(arguments.action), report).await?;
    if let Some(clone) = &clone {
        let branch = &mut begun.facts.default_branch;
        *branch = branch.take().or_else(|| clone.default_branch.clone());
        if begun.facts.repository["default_branch"].is_null() {
            begun.facts.repository["default_branch"] = clone.default_branch.clone().into();
        }
    }
    let SaidPlan { words, json, mut notices } = match arguments.action {
        Action::Scan => {
            let Beginning { context, inputs, facts, trust } = &begun;
            let plan = plan::rescan::plan(inputs, context, facts, trust.known());
            plan.map(|plan| SaidPlan {
                words: plan.words(),
                json: plan.json(),
                notices: plan.notices,
            })
        }
        Action::Publish => published(&begun, &env, clone.is_some()),
        Action::Merge => {
            let Beginning { context, inputs, facts, trust } = &begun;
            let plan = plan::merge::plan(inputs, context, &env, facts, trust.known());
            plan.map(|plan| SaidPlan::of(plan.words(), plan.json(), plan.about()))
        }
        Action::Promote => {
            let Beginning { context, inputs, facts, trust } = &begun;
            let plan = plan::promote::plan(inputs, context, &env, facts, trust.known());
            plan.map(|plan| SaidPlan::of(plan.words(), plan.json(), plan.about()))
        }
        Action::Bake => baked(&begun, &env, report, clone.is_some()).await,
    }
    .context(undone(arguments.action))?;
    let refused = begun.trust.refusal();
    notices.extend(refused.map(|why| format!("to publish this would be refused: {why}")));
    if let Some(clone) = &clone {
        let context = &begun.context;
        notices.push(format!(
            "no workflow runs here: planned for `{}` of `{}` in `{}`, the clone's origin",
            context.event_name, context.git_ref, clone.repository
        ));
    }
    if arguments.json {
        report.json(&json.to_string());
    } else {
        report.answer(&words.all());
        notices.iter().for_each(|notice| report.notice(notice));
    }
    Ok(())
}

/// What it comes to where the plan is refused.
fn undone(action: Action) -> &'static str {
    match action {
        Action::Publish | Action::Bake => "nothing would be built",
        Action::Merge => "nothing would be merged",
        Action::Promote => "nothing would be tagged",
        Action::Scan => "nothing would be scanned",
    }
}

/// A plan as it is said.
struct SaidPlan {
    words: Words,
    json: Value,
    notices: Vec<String>,
}

impl SaidPlan {
    fn of(words: Words, json: Value, about: &PlanReasons) -> Self {
        Self { words, json, notices: about.notices.clone() }
    }
}

fn published(
    Beginning { context, inputs, facts, trust }: &Beginning,
    env: &Environment,
    is_clone: bool,
) -> anyhow::Result<SaidPlan> {
    let plan = plan::plan(inputs, context, env, facts, trust.known())?;
    let build = match &plan {
        PublishPlan::BuildOnly(plan) => &plan.build,
        PublishPlan::Push(plan) => &plan.build,
        PublishPlan::Publish(plan) => &plan.build,
    };
    // In a workflow the files may come later, by actions/checkout.
    if is_clone {
        super::publish::build_problems(build, env).into_result()?;
    }
    Ok(SaidPlan::of(plan.words(), plan.json(), plan.about()))
}

/// Reads the bake files of a folder: those of a repository are read by a builder alone, which a
/// plan does not start.
async fn baked(
    Beginning { context, inputs, facts, trust }: &Beginning,
    env: &Environment,
    report: &Report,
    is_clone: bool,
) -> anyhow::Result<SaidPlan> {
    let private = private_folder(context)?;
    let place = BuildFolder {
        env,
        named: &inputs.builder.build_env,
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
    let is_here = is_clone && inputs.bake.source.is_empty();
    let source = if is_here { "." } else { &inputs.bake.source };
    let folder = match ContextSource::of(source, &told, None)? {
        ContextSource::Folder(folder) => folder,
        ContextSource::Remote(remote) => {
            return Err(anyhow::anyhow!(
                "the bake files lie in `{}`, which only a started builder reads",
                crate::report::text::without_passwords(&remote.url)
            ))
            .hint("name a checkout with `source`, such as `source=.`");
        }
    };
    let definition = print_bake(&place, &folder, &inputs.bake.asked).await?;
    report.mask(&definition.passwords());
    let plan = plan::bake::plan(inputs, context, env, facts, trust.known(), definition)?;
    let mut said = SaidPlan::of(plan.words(), plan.json(), plan.about());
    if is_here {
        let here = "the bake files of this folder are read; a run reads those of its commit";
        said.notices.push(here.to_owned());
    }
    Ok(said)
}

/// Where no workflow runs, what a run of this commit would be told, by the clone in this folder.
async fn at_home(env: &mut Environment) -> Option<CloneOrigin> {
    let is_set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
    if ["GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_SHA"].into_iter().any(is_set) {
        return None;
    }
    let server = env.get("GITHUB_SERVER_URL").map_or("https://github.com", String::as_str);
    let clone = git::origin(".".into(), server).await?;
    for (name, value) in [
        ("GITHUB_REPOSITORY", clone.repository.as_str()),
        ("GITHUB_SHA", &clone.sha),
        ("GITHUB_REF", &clone.git_ref),
        ("GITHUB_EVENT_NAME", "push"),
    ] {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    Some(clone)
}

/// The environment with what was asked for in place of what the runner says.
fn asked(arguments: &PlanArguments, mut env: Environment) -> Environment {
    let mut set =
        |name: &str, value: Option<String>| value.map(|value| env.insert(name.to_owned(), value));
    set("GITHUB_EVENT_PATH", arguments.event.as_ref().map(|file| file.display().to_string()));
    set("GITHUB_EVENT_NAME", arguments.event_name.clone());
    set("GITHUB_REF", arguments.git_ref.clone());
    env
}
