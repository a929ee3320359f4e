//! What a plan depends on beside its inputs: the event's payload, the default branch, where a tag's
//! commit lies, whether the repository is private. Asked of the event first, then of GitHub, then
//! of the local repository; what nobody knows stays unknown.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::api::Api;
use super::git::{self, Checkout};
use super::history::HistoryWitness;
use super::{Environment, RunContext};

#[derive(Debug, Clone, Default)]
pub struct GitHubFacts {
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
    /// Whether there are Git tags of the line that was asked about.
    pub line_has_tags: Option<bool>,
    /// What event and GitHub say of the repository.
    pub visibility: Visibility,
}

/// Who may see a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visibility {
    Public,
    /// Or internal.
    Private,
    /// Nobody said; what it means is decided as for a private one.
    #[default]
    Unknown,
}

impl Visibility {
    /// By GitHub's word for it; one that is not known is no permission.
    pub fn named(name: Option<&str>) -> Self {
        match name {
            None | Some("") => Self::Unknown,
            Some("public") => Self::Public,
            Some(_) => Self::Private,
        }
    }

    /// What a description of the repository says, by `private` and by `visibility`.
    fn described(repository: &Value) -> Self {
        let private = repository["private"]
            .as_bool()
            .map_or(Self::Unknown, |private| if private { Self::Private } else { Self::Public });
        private.and(Self::named(repository["visibility"].as_str()))
    }

    /// What two sources say together: where they differ, the one that says private.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Private, _) | (_, Self::Private) => Self::Private,
            (Self::Public, _) | (_, Self::Public) => Self::Public,
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }
}

impl GitHubFacts {
    /// The event, as it would be if whether the repository is private were always in it: what is
    /// not known to be public counts as private.
    pub fn event_with_visibility(&self) -> Value {
        let mut event = if self.event.is_object() { self.event.clone() } else { json!({}) };
        if !event["repository"].is_object() {
            event["repository"] = json!({});
        }
        event["repository"]["private"] = (self.visibility != Visibility::Public).into();
        event
    }
}

/// What of it costs a question that few runs need.
#[derive(Debug, Clone)]
pub struct WantedFacts {
    pub now: jiff::Timestamp,
    pub commit_date: bool,
    pub checkout: bool,
    /// The line of versions that a branch's name reads as, where that decides about a name.
    pub tags_of: Option<String>,
}

/// Reads the event and asks what it does not say.
pub async fn gather(
    context: &RunContext,
    env: &Environment,
    token: Option<&secrecy::SecretString>,
    wanted: WantedFacts,
) -> anyhow::Result<GitHubFacts> {
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
    let visibility =
        Visibility::described(&event["repository"]).and(Visibility::described(&repository));
    let told = |name: &str| {
        Some(&event["repository"][name])
            .filter(|value| !value.is_null())
            .unwrap_or(&repository[name])
    };
    let default_branch = told("default_branch").as_str().map(str::to_owned);
    let checkout = if wanted.checkout { Some(git::checkout(context).await?) } else { None };
    // What tags are made from.
    let of_checkout = checkout.as_ref().map(|Checkout { git_ref, sha, .. }| RunContext {
        git_ref: git_ref.clone(),
        sha: sha.clone(),
        ..context.clone()
    });
    let named = of_checkout.as_ref().unwrap_or(context);
    let is_tag = named.git_ref.starts_with("refs/tags/");
    let on_default_branch = match (&default_branch, is_tag, &api) {
        (Some(branch), true, Some(api)) => match api.is_on_branch(&named.sha, branch).await {
            None => git::is_ancestor(named, branch).await,
            known => known,
        },
        (Some(branch), true, None) => git::is_ancestor(named, branch).await,
        _ => None,
    };
    let line_has_tags = match &wanted.tags_of {
        // It was asked for the branch of the event.
        Some(line) if named.git_ref == context.git_ref => {
            HistoryWitness { api: api.as_ref(), context }.has_tags_of(line).await
        }
        _ => None,
    };
    let commit_date = match (&checkout, wanted.commit_date) {
        (_, false) => None,
        (Some(checkout), true) => checkout.commit_date,
        (None, true) => match (commit_date_of_event(&event, &context.sha), &api) {
            (None, Some(api)) => api
                .commit(&context.sha)
                .await
                .and_then(|commit| commit["commit"]["committer"]["date"].as_str()?.parse().ok()),
            (known, _) => known,
        },
    };
    Ok(GitHubFacts {
        visibility,
        now: wanted.now,
        repository,
        commit_date,
        checkout,
        event,
        default_branch,
        on_default_branch,
        line_has_tags,
    })
}

/// What the event says of the repository, or at least its name, for where GitHub does not answer.
fn known_repository(event: &Value, context: &RunContext) -> Value {
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
    let bytes = std::fs::read(path)
        .with_context(|| format!("the event file `{}` cannot be read", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("the event file `{}` is not JSON", path.display()))
}

/// When the commit was made, as the event of a push says.
pub fn commit_date_of_event(event: &Value, sha: &str) -> Option<jiff::Timestamp> {
    let commits = event["commits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let commit = commits
        .iter()
        .chain([&event["head_commit"]])
        .find(|commit| commit["id"] == sha && commit["timestamp"].is_string())?;
    commit["timestamp"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_public_only_where_somebody_says_so_and_nobody_else_otherwise() {
        use Visibility::{Private, Public, Unknown};
        let (public, private) =
            (json!({ "private": false }), json!({ "private": true, "visibility": "private" }));
        let internal = json!({ "private": false, "visibility": "internal" });
        for (event, api, claim, expected) in [
            (&public, &public, Some("public"), Public),
            (&public, &Value::Null, None, Public),
            (&Value::Null, &public, None, Public),
            (&Value::Null, &Value::Null, Some("public"), Public),
            (&Value::Null, &Value::Null, None, Unknown),
            (&json!({ "private": "no" }), &Value::Null, None, Unknown),
            (&private, &public, Some("public"), Private),
            (&public, &private, Some("public"), Private),
            (&public, &public, Some("private"), Private),
            (&public, &public, Some("internal"), Private),
            (&internal, &Value::Null, None, Private),
            (&json!({ "visibility": "secret" }), &public, None, Private),
        ] {
            let said = Visibility::described(event)
                .and(Visibility::described(api))
                .and(Visibility::named(claim));
            assert_eq!(said, expected, "{event} {api} {claim:?}");
        }
    }

    #[test]
    fn what_builds_are_told_of_a_repository_that_nobody_knows_is_that_it_is_private() {
        for (visibility, private) in
            [(Visibility::Public, false), (Visibility::Private, true), (Visibility::Unknown, true)]
        {
            for event in [
                Value::Null,
                json!([]),
                json!({ "repository": null, "a": 1 }),
                json!({ "repository": { "private": !private } }),
            ] {
                let facts = GitHubFacts { visibility, event, ..GitHubFacts::default() };
                assert_eq!(
                    facts.event_with_visibility()["repository"]["private"],
                    private,
                    "{:?}",
                    facts.event
                );
            }
        }
    }

    #[test]
    fn the_commits_of_a_push_say_when_they_were_made() {
        let event = json!({
            "commits": [{ "id": "a", "timestamp": "2025-03-09T09:01:02-05:00" }],
            "head_commit": { "id": "b", "timestamp": "2025-03-10T00:00:00Z" },
        });
        for (sha, expected) in
            [("a", Some("2025-03-09T14:01:02Z")), ("b", Some("2025-03-10T00:00:00Z")), ("c", None)]
        {
            assert_eq!(
                commit_date_of_event(&event, sha).map(|date| date.to_string()).as_deref(),
                expected
            );
        }
    }

    #[test]
    fn a_repository_nobody_describes_still_has_its_name() {
        let context = RunContext {
            repository: Some("o/r".into()),
            server_url: "https://github.com".into(),
            ..RunContext::default()
        };
        assert_eq!(
            known_repository(&Value::Null, &context),
            json!({ "name": "r", "html_url": "https://github.com/o/r" })
        );
        let event = json!({ "repository": { "name": "x", "description": "d" } });
        assert_eq!(known_repository(&event, &context), event["repository"]);
    }
}
