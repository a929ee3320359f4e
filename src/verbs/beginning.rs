//! How every action begins: secrets are masked, inputs read, facts of the run gathered, and the plan
//! is said. It decides nothing, and asks GitHub alone.

use std::fmt::Display;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::environment::Environment;
use crate::github::facts::GitHubFacts;
use crate::github::{RunContext, facts};
use crate::inputs::{Action, Inputs, secret_texts};
use crate::plan::PlanReasons;
use crate::plan::shown::Words;
use crate::report::Report;

/// What a plan is made of.
pub(super) struct Beginning {
    pub(super) context: RunContext,
    pub(super) inputs: Inputs,
    pub(super) facts: GitHubFacts,
}

/// `otherwise`: what it comes to where an input is wrong, or a question goes unanswered.
pub(super) async fn begin<C: Display + Copy + Send + Sync + 'static>(
    action: Action,
    env: &Environment,
    now: Timestamp,
    otherwise: C,
    report: &Report,
) -> anyhow::Result<Beginning> {
    report.mask(&secret_texts(env));
    let context = RunContext::new(env);
    let inputs = Inputs::of(action, env, &context).context(otherwise)?;
    let wanted = inputs.wanted(now, &context.git_ref);
    let facts = facts::gather(&context, env, inputs.github_token.as_ref(), wanted)
        .await
        .context(otherwise)?;
    Ok(Beginning { context, inputs, facts })
}

/// What will be done opens every run's log: what a person looks for first, and all of it folded.
pub(super) fn say_plan(words: &Words, about: &PlanReasons, report: &Report) {
    for line in &words.short {
        report.say(line);
    }
    report.details("the rest of the plan", &words.rest);
    for notice in &about.notices {
        report.notice(notice);
    }
}
