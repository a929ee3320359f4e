//! The few questions a run asks GitHub: the repository, a commit, whether a tag lies on the default branch. It only reads, and
//! a question without an answer is `None` with a reason in the log, never a guess.

use serde_json::Value;

use super::Context;
use secrecy::SecretString;

/// GitHub's REST API for one repository. Reference: <https://docs.github.com/rest>.
pub struct Api {
    client: octocrab::Octocrab,
    repository: String,
}

impl Api {
    /// `None` outside a workflow, where there is no repository to ask about.
    pub fn new(context: &Context, token: Option<&SecretString>) -> anyhow::Result<Option<Self>> {
        let Some(repository) = context.repository.clone() else { return Ok(None) };
        let mut builder = octocrab::Octocrab::builder()
            .base_uri(&context.api_url)?
            .set_connect_timeout(Some(std::time::Duration::from_secs(10)))
            .set_read_timeout(Some(std::time::Duration::from_secs(20)));
        if let Some(token) = token {
            builder = builder.personal_token(token.clone());
        }
        Ok(Some(Self { client: builder.build()?, repository }))
    }

    pub async fn repository(&self) -> Option<Value> {
        self.get("").await
    }

    pub async fn commit(&self, sha: &str) -> Option<Value> {
        self.get(&format!("/commits/{sha}")).await
    }

    /// Whether `sha` is an ancestor of `branch`, or its head.
    pub async fn is_on_branch(&self, sha: &str, branch: &str) -> Option<bool> {
        let compared = self.get(&format!("/compare/{sha}...{}?per_page=1", encoded(branch))).await?;
        // Seen from the commit, the branch is ahead of it or the same.
        compared["status"].as_str().map(|status| matches!(status, "identical" | "ahead"))
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let route = format!("/repos/{}{path}", self.repository);
        match self.client.get::<Value, _, ()>(&route, None).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(%route, %error, "GitHub did not answer");
                None
            }
        }
    }
}

/// A branch name in a path: slashes and the like are data.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::json;

    async fn api(app: Router) -> Api {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let context =
            Context { repository: Some("o/r".into()), api_url: format!("http://{}", listener.local_addr().unwrap()), ..Context::default() };
        tokio::spawn(async move { axum::serve(listener, app).await });
        Api::new(&context, Some(&"t".to_owned().into())).unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_tag_is_on_the_default_branch_when_the_branch_is_ahead_of_it() {
        for (status, expected) in [("ahead", Some(true)), ("identical", Some(true)), ("diverged", Some(false)), ("behind", Some(false))] {
            let app = Router::new().route("/repos/o/r/compare/{range}", get(move || async move { Json(json!({ "status": status })) }));
            assert_eq!(api(app).await.is_on_branch("abc", "release/main").await, expected, "{status}");
        }
    }

    #[tokio::test]
    async fn no_answer_is_not_an_answer() {
        let api = api(Router::new()).await;
        assert_eq!((api.repository().await, api.is_on_branch("abc", "main").await), (None, None));
        assert_eq!(encoded("release/1.x é"), "release%2F1.x%20%C3%A9");
    }
}
