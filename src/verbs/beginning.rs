//! How every action begins: secrets are masked, inputs read, facts of the run gathered, trust is
//! settled, and the plan is said. It decides nothing, and asks GitHub and a TUF repository alone.

use std::fmt::Display;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::environment::Environment;
use crate::error;
use crate::github::facts::GitHubFacts;
use crate::github::{RunContext, facts};
use crate::inputs::{Action, Inputs, secret_texts};
use crate::plan::shown::Words;
use crate::report::Report;
use crate::sigstore::settled::SettledTrust;
use crate::trigger;

use super::trust;

/// What a plan is made of.
pub(super) struct Beginning {
    pub(super) context: RunContext,
    pub(super) inputs: Inputs,
    pub(super) facts: GitHubFacts,
    pub(super) trust: BegunTrust,
}

/// Whom the run believes, as far as it will ask. That nobody could say so matters to a plan that
/// publishes alone.
pub(super) struct BegunTrust(Option<anyhow::Result<SettledTrust>>);

impl BegunTrust {
    /// Settles it where this run may publish.
    pub(super) async fn of(
        action: Action,
        inputs: &Inputs,
        env: &Environment,
        context: &RunContext,
        report: &Report,
    ) -> Self {
        // What is published already is verified at whatever event.
        let only_builds =
            action != Action::Scan && trigger::only_builds(inputs.push.push, &context.event_name);
        if only_builds || inputs.push.by_digest {
            return Self(None);
        }
        let by_key = inputs.signing.signing_key.is_some();
        Self(Some(trust::settle(&inputs.trust, by_key, env, context, report).await))
    }

    /// What a plan may know of it.
    pub(super) fn known(&self) -> Option<&SettledTrust> {
        self.0.as_ref()?.as_ref().ok()
    }

    /// Why a plan that publishes would end here.
    pub(super) fn refusal(&self) -> Option<String> {
        self.0.as_ref()?.as_ref().err().map(error::message)
    }

    /// For a plan that publishes.
    pub(super) fn needed(self) -> anyhow::Result<SettledTrust> {
        self.0.context("the plan publishes, but has no trusted root")?
    }
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
    let facts = facts::gather(&context, env, inputs.logins.github_token.as_ref(), wanted)
        .await
        .context(otherwise)?;
    let trust = BegunTrust::of(action, &inputs, env, &context, report).await;
    Ok(Beginning { context, inputs, facts, trust })
}

/// What will be done opens every run's log: what a person looks for first, and all of it folded.
pub(super) fn say_plan(words: &Words, notices: &[String], report: &Report) {
    for line in &words.short {
        report.say(line);
    }
    report.details("the rest of the plan", &words.rest);
    for notice in notices {
        report.notice(notice);
    }
}
