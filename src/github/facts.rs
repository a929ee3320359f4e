//! What a plan depends on beside its inputs: the event's payload, the default branch, where a tag's commit lies, whether the repository
//! is private. Asked of the event first, then of GitHub, then of the local repository; what nobody knows stays unknown.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::api::Api;
use super::git::{self, Checkout};
use super::{Context, Environment};

#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The clock of the whole run.
    pub now: jiff::Timestamp,
    /// GitHub's answer about the repository, or what the event says of it.
    pub repository: Value,
    /// When the commit was made; asked only where somebody wants it.
    pub commit_date: Option<jiff::Timestamp>,
    /// The ref and commit of the repository in the workspace, where tags are to come from it.
    pub checkout: Option<Checkout>,
    /// The content of the file that `GITHUB_EVENT_PATH` names; `null` without one.
    pub event: Value,
    pub default_branch: Option<String>,
    /// Whether the commit of a tag is on the default branch.
    pub on_default_branch: Option<bool>,
    pub private: bool,
}

/// What of it costs a question that few runs need.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub now: jiff::Timestamp,
    pub commit_date: bool,
    pub checkout: bool,
}

/// Reads the event and asks what it does not say.
pub async fn gather(context: &Context, env: &Environment, token: Option<&secrecy::SecretString>, wanted: Wanted) -> anyhow::Result<Facts> {
    let event = match env.get("GITHUB_EVENT_PATH").filter(|path| !path.is_empty()) {
        None => Value::Null,
        Some(path) => read_event(Path::new(path))?,
    };
    let api = Api::new(context, token).context("GitHub's API cannot be used")?;
    let repository = match &api {
        Some(api) => api.repository().await,
        None => None,
    };
    let repository = repository.unwrap_or_else(|| known_repository(&event, context));
    let told = |name: &str| Some(&event["repository"][name]).filter(|value| !value.is_null()).unwrap_or(&repository[name]);
    let default_branch = told("default_branch").as_str().map(str::to_owned);
    let is_tag = context.git_ref.starts_with("refs/tags/");
    let on_default_branch = match (&default_branch, is_tag, &api) {
        (Some(branch), true, Some(api)) => match api.is_on_branch(&context.sha, branch).await {
            None => git::is_ancestor(context, branch).await,
            known => known,
        },
        (Some(branch), true, None) => git::is_ancestor(context, branch).await,
        _ => None,
    };
    let checkout = if wanted.checkout { Some(git::checkout(context).await?) } else { None };
    let commit_date = match (&checkout, wanted.commit_date) {
        (_, false) => None,
        (Some(checkout), true) => checkout.commit_date,
        (None, true) => match (commit_date_of_event(&event, &context.sha), &api) {
            (None, Some(api)) => {
                api.commit(&context.sha).await.and_then(|commit| commit["commit"]["committer"]["date"].as_str()?.parse().ok())
            }
            (known, _) => known,
        },
    };
    Ok(Facts {
        private: told("private").as_bool().unwrap_or(false),
        now: wanted.now,
        repository,
        commit_date,
        checkout,
        event,
        default_branch,
        on_default_branch,
    })
}

/// What the event says of the repository, or at least its name, for where GitHub does not answer.
fn known_repository(event: &Value, context: &Context) -> Value {
    match (&event["repository"], &context.repository) {
        (Value::Object(told), _) if told.contains_key("name") => Value::Object(told.clone()),
        (_, Some(repository)) => json!({
            "name": repository.rsplit('/').next(),
            "html_url": format!("{}/{repository}", context.server_url),
        }),
        _ => Value::Null,
    }
}

fn read_event(path: &Path) -> anyhow::Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("the event file `{}` cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("the event file `{}` is not JSON", path.display()))
}

/// When the commit was made, as the event of a push says.
pub fn commit_date_of_event(event: &Value, sha: &str) -> Option<jiff::Timestamp> {
    let commits = event["commits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let commit = commits.iter().chain([&event["head_commit"]]).find(|commit| commit["id"] == sha && commit["timestamp"].is_string())?;
    commit["timestamp"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commits_of_a_push_say_when_they_were_made() {
        let event = json!({
            "commits": [{ "id": "a", "timestamp": "2025-03-09T09:01:02-05:00" }],
            "head_commit": { "id": "b", "timestamp": "2025-03-10T00:00:00Z" },
        });
        for (sha, expected) in [("a", Some("2025-03-09T14:01:02Z")), ("b", Some("2025-03-10T00:00:00Z")), ("c", None)] {
            assert_eq!(commit_date_of_event(&event, sha).map(|date| date.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn a_repository_nobody_describes_still_has_its_name() {
        let context = Context { repository: Some("o/r".into()), server_url: "https://github.com".into(), ..Context::default() };
        assert_eq!(known_repository(&Value::Null, &context), json!({ "name": "r", "html_url": "https://github.com/o/r" }));
        let event = json!({ "repository": { "name": "x", "description": "d" } });
        assert_eq!(known_repository(&event, &context), event["repository"]);
    }
}
