//! What the history of a repository says: whether a commit comes after another, what a ref is now,
//! and which Git tags there are. GitHub is asked first, then the repository in the workspace; what
//! nobody knows is `None`, never a guess.

use std::path::PathBuf;

use serde_json::Value;

use super::RunContext;
use super::api::{Api, encoded};
use super::git;

impl Api {
    /// Whether `commit` is `from`, or comes after it.
    async fn descends(&self, from: &str, commit: &str) -> Option<bool> {
        let compared = self.get(&format!("/compare/{from}...{commit}?per_page=1")).await?;
        match compared["status"].as_str()? {
            "identical" | "ahead" => Some(true),
            "behind" | "diverged" => Some(false),
            _ => None,
        }
    }

    /// The commit that a branch or a Git tag is now.
    async fn head(&self, git_ref: &str) -> Option<String> {
        let path: Vec<String> = git_ref.strip_prefix("refs/")?.split('/').map(encoded).collect();
        let commit = self.get(&format!("/commits/{}", path.join("/"))).await?;
        commit["sha"].as_str().map(str::to_owned)
    }

    /// Whether there is a Git tag of this name, or of a version below it: `v1`, `v1.2.3`.
    async fn has_tags_of(&self, line: &str) -> Option<bool> {
        let found = self.get(&format!("/git/matching-refs/tags/{}", encoded(line))).await?;
        let named = |entry: &Value| {
            entry["ref"].as_str()?.strip_prefix("refs/tags/").map(|tag| is_of(tag, line))
        };
        found.as_array()?.iter().map(named).try_fold(false, |any, this| Some(any || this?))
    }
}

fn is_of(tag: &str, line: &str) -> bool {
    tag.strip_prefix(line).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whom to ask.
pub struct HistoryWitness<'a> {
    pub api: Option<&'a Api>,
    pub context: &'a RunContext,
}

impl HistoryWitness<'_> {
    /// Whether `commit` is `from`, or comes after it.
    pub async fn descends(&self, from: &str, commit: &str) -> Option<bool> {
        if !is_commit(from) || !is_commit(commit) {
            return None;
        }
        let told = match self.api {
            Some(api) => api.descends(from, commit).await,
            None => None,
        };
        match told {
            None => git::comes_after(self.folder(), from, commit).await,
            known => known,
        }
    }

    /// Whether `commit` is what a ref is now. A checkout knows only what it was.
    pub async fn is_head(&self, git_ref: &str, commit: &str) -> Option<bool> {
        self.api?.head(git_ref).await.map(|head| head == commit)
    }

    /// Whether there are Git tags of a line, such as `1.2`, with a `v` or without. A checkout has
    /// some tags, and perhaps not all.
    pub async fn has_tags_of(&self, line: &str) -> Option<bool> {
        let lines = [format!("v{line}"), line.to_owned()];
        if git::tags(self.folder())
            .await
            .iter()
            .any(|tag| lines.iter().any(|line| is_of(tag, line)))
        {
            return Some(true);
        }
        let api = self.api?;
        let (with, without) = tokio::join!(api.has_tags_of(&lines[0]), api.has_tags_of(&lines[1]));
        match (with, without) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (with, without) => Some(with? || without?),
        }
    }

    fn folder(&self) -> PathBuf {
        git::folder(self.context)
    }
}

/// Nothing but a whole commit goes into a path, since some of it was told by what stands in a
/// registry.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Json;
    use axum::Router;
    use axum::routing::get;
    use serde_json::json;

    async fn api(answer: Value) -> (Api, RunContext) {
        let app =
            Router::new().route("/repos/o/r/{*rest}", get(move || async move { Json(answer) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}", listener.local_addr().unwrap());
        let nowhere = tempfile::tempdir().unwrap().path().to_owned();
        let context = RunContext {
            repository: Some("o/r".into()),
            api_url,
            workspace: Some(nowhere),
            ..RunContext::default()
        };
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Api::new(&context, None).unwrap().unwrap(), context)
    }

    #[tokio::test]
    async fn an_answer_that_says_something_else_is_none() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        for (answer, descends, is_head, has_tags) in [
            (json!({ "status": "ahead" }), Some(true), None, None),
            (json!({ "status": "identical" }), Some(true), None, None),
            (json!({ "status": "behind" }), Some(false), None, None),
            (json!({ "status": "diverged" }), Some(false), None, None),
            (json!({ "status": "new" }), None, None, None),
            (json!({ "sha": b }), None, Some(true), None),
            (json!({ "sha": a }), None, Some(false), None),
            (json!([]), None, None, Some(false)),
            (json!([{ "ref": "refs/tags/v1.2.3" }]), None, None, Some(true)),
            (json!([{ "ref": "refs/tags/v1" }]), None, None, Some(true)),
            (
                json!([{ "ref": "refs/tags/v10.0.0" }, { "ref": "refs/tags/v1-beta" }]),
                None,
                None,
                Some(false),
            ),
            (json!([{ "name": "v1.2.3" }]), None, None, None),
        ] {
            let (api, context) = api(answer.clone()).await;
            let witness = HistoryWitness { api: Some(&api), context: &context };
            let told = (
                witness.descends(&a, &b).await,
                witness.is_head("refs/heads/a/b", &b).await,
                witness.has_tags_of("1").await,
            );
            assert_eq!(told, (descends, is_head, has_tags), "{answer}");
            assert_eq!(witness.descends("a/../b", &b).await, None);
        }
        let context = RunContext { workspace: Some("/nowhere".into()), ..RunContext::default() };
        let nobody = HistoryWitness { api: None, context: &context };
        let told = (
            nobody.descends(&a, &b).await,
            nobody.is_head("refs/heads/a", &b).await,
            nobody.has_tags_of("1").await,
        );
        assert_eq!(told, (None, None, None));
    }
}
