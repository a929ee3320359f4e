//! What a misspelt input was meant to be, and what one of other actions is called here. Pure.

use super::{Action, InputProblems};
use crate::environment::Environment;
use crate::page::RefusalPage;

/// Inputs of the actions that this one replaces: what they are called here, or why they are not
/// needed. The table in `docs/migration.md` is checked against it.
const FORMER: [(&str, FormerInput); 27] = [
    ("dockerfile", FormerInput::Meant("file")),
    ("docker-file", FormerInput::Meant("file")),
    ("containerfile", FormerInput::Meant("file")),
    ("endpoint", FormerInput::Renamed("builder-endpoint")),
    ("config", FormerInput::Renamed("buildkitd-config")),
    ("config-inline", FormerInput::Renamed("buildkitd-config-inline")),
    ("name", FormerInput::Renamed("builder")),
    ("workdir", FormerInput::Renamed("source")),
    ("severity", FormerInput::Renamed("fail-on")),
    ("severity-cutoff", FormerInput::Renamed("fail-on")),
    ("only-severities", FormerInput::Renamed("fail-on")),
    ("ignore-unfixed", FormerInput::Renamed("only-fixed")),
    ("trivyignores", FormerInput::Renamed("ignore-file")),
    ("exit-code", FormerInput::Needless("what `fail-on` names fails by itself")),
    ("fail-build", FormerInput::Needless("what `fail-on` names fails by itself")),
    ("use", FormerInput::Needless("the builder of this action is used by nothing else")),
    ("install", FormerInput::Needless("the builder of this action is used by nothing else")),
    ("version", FormerInput::Needless("buildx is part of this action")),
    ("cache-binary", FormerInput::Needless("buildx is part of this action")),
    ("reset", FormerInput::Needless("emulators are installed when a platform needs one")),
    ("cache-image", FormerInput::Needless("emulators are installed when a platform needs one")),
    (
        "logout",
        FormerInput::Needless(
            "logins live in memory and in a private file that is gone at the end",
        ),
    ),
    ("ecr", FormerInput::Needless("Amazon ECR is recognised by its name")),
    ("push-to-registry", FormerInput::Needless("attestations are always in the registry")),
    ("subject-name", FormerInput::Needless("what is built is what is attested")),
    ("subject-digest", FormerInput::Needless("what is built is what is attested")),
    (
        "format",
        FormerInput::Needless("SBOMs are SPDX 2.3 in JSON, or CycloneDX with `sbom-format`"),
    ),
];

#[derive(Clone, Copy)]
enum FormerInput {
    /// What people guess.
    Meant(&'static str),
    Renamed(&'static str),
    Needless(&'static str),
}

/// Inputs of `publish` that a bake file says of each target.
const OF_DEFINITION: [&str; 14] = [
    "annotations",
    "build-args",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "dockerfile",
    "images",
    "labels",
    "load",
    "outputs",
    "platforms",
    "secrets",
    "tags",
];

/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.84;

/// Says which given inputs do not exist: a slip of one that does is a problem, because it would be
/// ignored; any other is only told.
pub(super) fn unknown(
    action: Action,
    env: &Environment,
    problems: &mut InputProblems,
) -> Vec<String> {
    let given = env
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .filter_map(|(name, _)| name.strip_prefix("INPUT_"));
    let mut notices = Vec::new();
    // A runner makes an input's name upper-case and its spaces underscores, and leaves dashes
    // alone.
    for name in
        given.map(|name| name.to_lowercase().replace('_', "-")).filter(|name| !action.has(name))
    {
        match FORMER.iter().find(|(former, _)| *former == name).map(|(_, former)| *former) {
            Some(FormerInput::Renamed(now)) if action.has(now) => {
                problems.say(&name, format_args!("it is called `{now}` here"));
                continue;
            }
            Some(FormerInput::Meant(now)) if action.has(now) => {
                problems.say(&name, format_args!("there is no such input; did you mean `{now}`?"));
                continue;
            }
            Some(FormerInput::Needless(why)) => {
                notices.push(format!("input `{name}` is not needed and is ignored: {why}"));
                continue;
            }
            _ => {}
        }
        if action == Action::Merge && Action::Publish.has(&name) {
            notices.push(format!(
                "input `{name}` belongs to the jobs that build, and is ignored here"
            ));
            continue;
        }
        let nearest = action
            .inputs()
            .map(|known| (strsim::jaro_winkler(&name, known.name), known.name))
            .max_by(|one, other| one.0.total_cmp(&other.0));
        match nearest {
            _ if action == Action::Bake && OF_DEFINITION.contains(&name.as_str()) => {
                problems.say(
                    &name,
                    "a bake file sets this for each target; write it there, or with `set`",
                );
            }
            Some((alike, known)) if alike >= ALIKE => {
                problems
                    .say(&name, format_args!("there is no such input; did you mean `{known}`?"));
                problems.see(RefusalPage::UnknownInput);
            }
            _ => notices.push(format!("input `{name}` is not one of this action's and is ignored")),
        }
    }
    notices
}
