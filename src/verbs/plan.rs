//! `supply-action plan`: what `publish` would do, without doing it: nothing is built, pushed or
//! signed.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::environment::Environment;
use crate::github::git::{self, Origin};
use crate::github::{Context, facts};
use crate::inputs::Inputs;
use crate::plan::{self, Plan};
use crate::report::Report;

/// What `plan` may be asked.
#[derive(Debug, Args)]
pub struct Arguments {
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

pub async fn run(arguments: &Arguments, env: &Environment, report: &Report) -> anyhow::Result<()> {
    let mut env = env.clone();
    let clone = at_home(&mut env).await;
    let env = asked(arguments, env);
    report.mask(&crate::inputs::secret_texts(&env));
    let now = arguments.now.unwrap_or_else(jiff::Timestamp::now);
    let context = Context::new(&env);
    let inputs = Inputs::read(&env, &context).context("nothing would be built")?;
    let mut facts = facts::gather(
        &context,
        &env,
        inputs.github_token.as_ref(),
        inputs.wanted(now, &context.git_ref),
    )
    .await
    .context("nothing would be built")?;
    if let Some(clone) = &clone {
        facts.default_branch = facts.default_branch.or_else(|| clone.default_branch.clone());
    }
    let plan = plan::plan(&inputs, &context, &env, &facts).context("nothing would be built")?;
    let build = match &plan {
        Plan::BuildOnly(plan) => &plan.build,
        Plan::Push(plan) => &plan.build,
        Plan::Publish(plan) => &plan.build,
    };
    let mut notices = plan.about().notices.clone();
    if let Some(clone) = &clone {
        // In a workflow the files may come later, by actions/checkout.
        super::publish::build_problems(build, &env)
            .into_result()
            .context("nothing would be built")?;
        let event = &context.event_name;
        notices.push(format!(
            "no workflow runs here: planned for `{event}` of `{}` in `{}`, the clone's origin",
            context.git_ref, clone.repository
        ));
    }
    if arguments.json {
        report.json(&plan.json().to_string());
    } else {
        report.answer(&plan.words().all());
        for notice in &notices {
            report.notice(notice);
        }
    }
    Ok(())
}

/// Where no workflow runs, what a run of this commit would be told, by the clone in this folder.
async fn at_home(env: &mut Environment) -> Option<Origin> {
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
fn asked(arguments: &Arguments, mut env: Environment) -> Environment {
    let mut set =
        |name: &str, value: Option<String>| value.map(|value| env.insert(name.to_owned(), value));
    set("GITHUB_EVENT_PATH", arguments.event.as_ref().map(|file| file.display().to_string()));
    set("GITHUB_EVENT_NAME", arguments.event_name.clone());
    set("GITHUB_REF", arguments.git_ref.clone());
    env
}
