//! `supply-action plan`: what `publish` would do, without doing it: nothing is built, pushed or signed.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::github::{Context, Environment, facts};
use crate::inputs::Inputs;
use crate::plan;
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
    let env = asked(arguments, env);
    report.mask(&crate::inputs::secret_texts(&env));
    let now = arguments.now.unwrap_or_else(jiff::Timestamp::now);
    let context = Context::new(&env);
    let inputs = Inputs::read(&env, &context).context("nothing would be built")?;
    let facts = facts::gather(&context, &env, inputs.github_token.as_ref(), inputs.wanted(now, &context.git_ref))
        .await
        .context("nothing would be built")?;
    let plan = plan::plan(&inputs, &context, &env, &facts).context("nothing would be built")?;
    if arguments.json {
        report.json(&plan.json().to_string());
    } else {
        report.answer(&plan.words().all());
        for notice in &plan.about().notices {
            report.notice(notice);
        }
    }
    Ok(())
}

/// The environment with what was asked for in place of what the runner says.
fn asked(arguments: &Arguments, env: &Environment) -> Environment {
    let mut env = env.clone();
    let mut set = |name: &str, value: Option<String>| value.map(|value| env.insert(name.to_owned(), value));
    set("GITHUB_EVENT_PATH", arguments.event.as_ref().map(|file| file.display().to_string()));
    set("GITHUB_EVENT_NAME", arguments.event_name.clone());
    set("GITHUB_REF", arguments.git_ref.clone());
    env
}
