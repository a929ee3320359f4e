//! What a plan depends on beside its inputs: the event's payload, the default branch, where a tag's commit lies, whether the repository
//! is private. Asked of the event first, then of GitHub, then of the local repository; what nobody knows stays unknown.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::api::Api;
use super::{Context, Environment};
use crate::command::{Program, find};

#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The content of the file that `GITHUB_EVENT_PATH` names; `null` without one.
    pub event: Value,
    pub default_branch: Option<String>,
    /// Whether the commit of a tag is on the default branch.
    pub on_default_branch: Option<bool>,
    pub private: bool,
}

/// Reads the event and asks what it does not say.
pub async fn gather(context: &Context, env: &Environment, token: Option<&secrecy::SecretString>) -> anyhow::Result<Facts> {
    let event = match env.get("GITHUB_EVENT_PATH").filter(|path| !path.is_empty()) {
        None => Value::Null,
        Some(path) => read_event(Path::new(path))?,
    };
    let api = Api::new(context, token).context("GitHub's API cannot be used")?;
    let told = event["repository"]["default_branch"].as_str().map(str::to_owned);
    let told_private = event["repository"]["private"].as_bool();
    let is_tag = context.git_ref.starts_with("refs/tags/");
    let mut repository = Value::Null;
    if let Some(api) = &api
        && (told_private.is_none() || (is_tag && told.is_none()))
    {
        repository = api.repository().await.unwrap_or_default();
    }
    let default_branch = told.or_else(|| repository["default_branch"].as_str().map(str::to_owned));
    let on_default_branch = match (&default_branch, is_tag, &api) {
        (Some(branch), true, Some(api)) => match api.is_on_branch(&context.sha, branch).await {
            None => is_ancestor(context, env, branch).await,
            known => known,
        },
        (Some(branch), true, None) => is_ancestor(context, env, branch).await,
        _ => None,
    };
    Ok(Facts {
        private: told_private.or_else(|| repository["private"].as_bool()).unwrap_or(false),
        event,
        default_branch,
        on_default_branch,
    })
}

fn read_event(path: &Path) -> anyhow::Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("the event file `{}` cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("the event file `{}` is not JSON", path.display()))
}

/// Asks the checked-out repository, where there is one with its history, and Git.
async fn is_ancestor(context: &Context, env: &Environment, branch: &str) -> Option<bool> {
    let git = Program::new(find("git", env)?, &[], env);
    let folder = context.workspace.clone().unwrap_or_else(|| ".".into()).display().to_string();
    let run = async |arguments: &[&str]| {
        let arguments: Vec<String> = ["-C", folder.as_str()].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        git.capture(&arguments).await
    };
    let remote = format!("refs/remotes/origin/{branch}");
    let head = match run(&["rev-parse", "--verify", "--quiet", &remote]).await {
        Ok(head) => head,
        Err(_) => run(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).await.ok()?,
    };
    // Without the whole history, "not an ancestor" may only mean "not fetched".
    let shallow = run(&["rev-parse", "--is-shallow-repository"]).await.ok()?;
    run(&["cat-file", "-e", &context.sha]).await.ok()?;
    match run(&["merge-base", "--is-ancestor", &context.sha, head.trim()]).await {
        Ok(_) => Some(true),
        Err(_) if shallow.trim() == "false" => Some(false),
        Err(_) => None,
    }
}

/// When the commit was made, as the event of a push says.
pub fn commit_date_of_event(event: &Value, sha: &str) -> Option<jiff::Timestamp> {
    let commits = event["commits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let commit = commits.iter().chain([&event["head_commit"]]).find(|commit| commit["id"] == sha && commit["timestamp"].is_string())?;
    commit["timestamp"].as_str()?.parse().ok()
}
