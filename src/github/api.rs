//! The few things a run asks of GitHub: the repository, a commit, whether a tag lies on the default branch; and to keep attestations. A
//! question without an answer is `None` with a reason in the log, never a guess.

use serde_json::Value;

use super::Context;
use secrecy::SecretString;

/// GitHub's REST API for one repository. Reference: <https://docs.github.com/rest>.
#[derive(Clone)]
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

    /// Whether this token may store attestations: a request without a bundle is refused for what it lacks only where the right is there.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn may_store_attestations(&self) -> Result<(), String> {
        match self.store(&serde_json::json!({})).await {
            Ok(_) | Err(Refusal { status: 400 | 422, .. }) => Ok(()),
            Err(refusal) => Err(refusal.said),
        }
    }

    /// Stores a bundle: <https://docs.github.com/rest/repos/attestations>. Returns its id.
    pub async fn store_attestation(&self, bundle: &serde_json::value::RawValue) -> Result<Option<u64>, String> {
        self.store(&serde_json::json!({ "bundle": bundle })).await.map_err(|refusal| refusal.said)
    }

    async fn store(&self, body: &Value) -> Result<Option<u64>, Refusal> {
        let route = format!("/repos/{}/attestations", self.repository);
        match self.client.post::<_, Value>(&route, Some(body)).await {
            Ok(answer) => Ok(answer["id"].as_u64()),
            Err(octocrab::Error::GitHub { source, .. }) => {
                let status = source.status_code.as_u16();
                Err(Refusal { status, said: format!("HTTP {status}: {}", source.message) })
            }
            Err(error) => Err(Refusal { status: 0, said: error.to_string() }),
        }
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

struct Refusal {
    /// 0 where there was no answer.
    status: u16,
    said: String,
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
    async fn the_right_to_store_attestations_is_told_by_what_is_refused() {
        use axum::http::StatusCode;
        for (status, may) in [(StatusCode::UNPROCESSABLE_ENTITY, true), (StatusCode::FORBIDDEN, false), (StatusCode::NOT_FOUND, false)] {
            let answer = move || async move { (status, Json(json!({ "message": "Resource not accessible by integration" }))) };
            let app = Router::new().route("/repos/o/r/attestations", axum::routing::post(answer));
            let told = api(app).await.may_store_attestations().await;
            assert_eq!(told.is_ok(), may, "{status}");
            assert!(told.err().is_none_or(|why| why.contains(status.as_str()) && why.contains("not accessible")));
        }
    }

    #[tokio::test]
    async fn no_answer_is_not_an_answer() {
        let api = api(Router::new()).await;
        assert_eq!((api.repository().await, api.is_on_branch("abc", "main").await), (None, None));
        assert_eq!(encoded("release/1.x é"), "release%2F1.x%20%C3%A9");
    }
}
