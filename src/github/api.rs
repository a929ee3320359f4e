//! The few things a run asks of GitHub: the repository, a commit, whether a tag lies on the default
//! branch; and to keep attestations. A question without an answer is `None` with a reason in the
//! log, never a guess.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::RunContext;
use super::network::certificate_remedy;
use super::server::{Server, authority, is_loopback};
use crate::answer;

/// No answer that is read here is larger: a comparison names files with their changes.
const LIMIT: usize = 16 << 20;
/// Of a list of jobs.
const PAGES: usize = 10;
/// With all attempts and the whole answer.
const WITHIN: Duration = Duration::from_secs(45);

/// GitHub's REST API for one repository. Reference: <https://docs.github.com/rest>.
#[derive(Clone)]
pub struct Api {
    client: octocrab::Octocrab,
    repository: String,
    within: Duration,
}

impl Api {
    /// `None` outside a workflow, where there is no repository to ask about.
    pub fn new(context: &RunContext, token: Option<&SecretString>) -> anyhow::Result<Option<Self>> {
        let Some(repository) = context.repository.clone() else { return Ok(None) };
        let host = reqwest::Url::parse(&context.api_url)
            .ok()
            .as_ref()
            .and_then(authority)
            .unwrap_or_default();
        let server = Server::of(&context.server_url);
        anyhow::ensure!(
            token.is_none() || server.owns(&host) || is_loopback(&host),
            "`GITHUB_API_URL` is `{}`, but the workflow's own token is sent to hosts of `{server}` only",
            context.api_url
        );
        let api_url = context.api_url.trim_end_matches('/');
        let mut builder = octocrab::Octocrab::builder()
            .base_uri(api_url)
            .with_context(|| format!("`GITHUB_API_URL` is `{api_url}`"))?;
        if let Some(token) = token {
            builder = builder.personal_token(token.clone());
        }
        // Proxies, certificates and time limits are those of every other request.
        Ok(Some(Self {
            client: builder.build_with_reqwest(context.network.client()?)?,
            repository,
            within: WITHIN,
        }))
    }

    pub async fn repository(&self) -> Option<Value> {
        self.get("").await
    }

    pub async fn commit(&self, sha: &str) -> Option<Value> {
        self.get(&format!("/commits/{sha}")).await
    }

    /// Whether `sha` is an ancestor of `branch`, or its head.
    pub async fn is_on_branch(&self, sha: &str, branch: &str) -> Option<bool> {
        let compared =
            self.get(&format!("/compare/{sha}...{}?per_page=1", encoded(branch))).await?;
        // Seen from the commit, the branch is ahead of it or the same.
        compared["status"].as_str().map(|status| matches!(status, "identical" | "ahead"))
    }

    /// Every job of one attempt of a run: <https://docs.github.com/rest/actions/workflow-jobs>.
    ///
    /// # Errors
    /// Why they are not known, or not all.
    pub async fn jobs(&self, run: &str, attempt: &str) -> Result<Vec<Value>, String> {
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(run) || !is_number(attempt) {
            return Err(
                "this run has no run number and attempt, so GitHub cannot be asked".to_owned()
            );
        }
        let mut jobs = Vec::new();
        for page in 1..=PAGES {
            let path =
                format!("/actions/runs/{run}/attempts/{attempt}/jobs?per_page=100&page={page}");
            let answer = self.asked(&path).await.map_err(|refusal| {
                format!("GitHub did not list the jobs of this attempt: {}", refusal.said)
            })?;
            let (Some(total), Some(listed)) =
                (answer["total_count"].as_u64(), answer["jobs"].as_array())
            else {
                return Err("GitHub's answer is not a list of jobs".to_owned());
            };
            jobs.extend_from_slice(listed);
            if jobs.len() as u64 >= total {
                return Ok(jobs);
            }
        }
        Err("the attempt has more jobs than are read here".to_owned())
    }

    /// Whether this token may store attestations: a request without a bundle is refused for what it
    /// lacks only where the right is there.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn may_store_attestations(&self) -> Result<(), String> {
        match self.store(&serde_json::json!({})).await {
            Ok(_) | Err(ApiRefusal { status: 400 | 422, .. }) => Ok(()),
            Err(refusal) => Err(refusal.said),
        }
    }

    /// Stores a bundle: <https://docs.github.com/rest/repos/attestations>. Returns its id.
    pub async fn store_attestation(
        &self,
        bundle: &serde_json::value::RawValue,
    ) -> Result<Option<u64>, String> {
        self.store(&serde_json::json!({ "bundle": bundle })).await.map_err(|refusal| refusal.said)
    }

    async fn store(&self, body: &Value) -> Result<Option<u64>, ApiRefusal> {
        Ok(self.answered(Method::POST, &self.of_repository("/attestations"), Some(body)).await?["id"].as_u64())
    }

    pub(super) async fn get(&self, path: &str) -> Option<Value> {
        self.asked(path)
            .await
            .inspect_err(
                |refusal| tracing::debug!(%path, error = %refusal.said, "GitHub did not answer"),
            )
            .ok()
    }

    /// The answer to a question about something else than the repository.
    pub(super) async fn ask(&self, route: &str) -> Result<Value, String> {
        self.answered(Method::GET, route, None).await.map_err(|refusal| refusal.said)
    }

    /// Takes something away; `false` when GitHub says that it is not there.
    pub(super) async fn delete(&self, route: &str) -> Result<bool, String> {
        match self.answered(Method::DELETE, route, None).await {
            Ok(_) => Ok(true),
            Err(ApiRefusal { status: 404, .. }) => Ok(false),
            Err(refusal) => Err(refusal.said),
        }
    }

    /// A path below the repository's.
    pub(super) fn of_repository(&self, path: &str) -> String {
        format!("/repos/{}{path}", self.repository)
    }

    async fn asked(&self, path: &str) -> Result<Value, ApiRefusal> {
        self.answered(Method::GET, &self.of_repository(path), None).await
    }

    /// One request; octocrab tries again while the server is unwell.
    async fn sent(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> octocrab::Result<reqwest::Response> {
        let request = axum::http::Request::builder().method(method).uri(route);
        let request = request
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        let answer = self.client.execute(self.client.build_request(request, body)?).await?;
        Ok(answer.map(reqwest::Body::wrap).into())
    }

    /// The JSON of a success, read no further than there is need, and waited for no longer.
    pub(super) async fn answered(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiRefusal> {
        let whole = async {
            let silent = |said: String| ApiRefusal { status: 0, said };
            let answer = self.sent(method, route, body).await.map_err(|error| {
                let cause = cause(&error);
                let remedy = certificate_remedy(&cause)
                    .map(|remedy| format!(" ({remedy})"))
                    .unwrap_or_default();
                silent(format!("{cause}{remedy}"))
            })?;
            let status = answer.status();
            let body =
                answer::read(answer, LIMIT).await.map_err(|unread| silent(unread.to_string()))?;
            let json = serde_json::from_slice::<Value>(&body);
            if status == reqwest::StatusCode::NO_CONTENT {
                return Ok(Value::Null);
            }
            if status.is_success() {
                return json.map_err(|_| silent("its answer is not JSON".to_owned()));
            }
            let told = json.unwrap_or_default();
            let message = told["message"].as_str().unwrap_or_default();
            Err(ApiRefusal {
                status: status.as_u16(),
                said: format!("HTTP {}: {message}", status.as_u16()),
            })
        };
        let late = || ApiRefusal {
            status: 0,
            said: format!("its answer did not end within {} s", self.within.as_secs()),
        };
        tokio::time::timeout(self.within, whole).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The innermost reason; the outer layers only repeat the URL.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// Why a question has no answer.
pub(super) struct ApiRefusal {
    /// 0 where there was no answer.
    pub(super) status: u16,
    pub(super) said: String,
}

/// A branch name in a path: slashes and the like are data.
pub(super) fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
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
        let context = RunContext {
            repository: Some("o/r".into()),
            api_url: format!("http://{}", listener.local_addr().unwrap()),
            ..RunContext::default()
        };
        tokio::spawn(async move { axum::serve(listener, app).await });
        Api::new(&context, Some(&"t".to_owned().into())).unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_tag_is_on_the_default_branch_when_the_branch_is_ahead_of_it() {
        for (status, expected) in [
            ("ahead", Some(true)),
            ("identical", Some(true)),
            ("diverged", Some(false)),
            ("behind", Some(false)),
        ] {
            let app = Router::new().route(
                "/repos/o/r/compare/{range}",
                get(move || async move { Json(json!({ "status": status })) }),
            );
            assert_eq!(
                api(app).await.is_on_branch("abc", "release/main").await,
                expected,
                "{status}"
            );
        }
    }

    async fn at(url: String) -> Api {
        let context =
            RunContext { repository: Some("o/r".into()), api_url: url, ..RunContext::default() };
        Api::new(&context, Some(&"t".to_owned().into())).unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_answer_that_drips_or_never_ends_is_none() {
        use crate::answer::bad;
        let mut dripping = at(bad::dripping().await).await;
        dripping.within = Duration::from_millis(300);
        assert!(dripping.repository().await.is_none());
        assert!(dripping.may_store_attestations().await.unwrap_err().contains("did not end"));
        let refused = at(bad::endless().await).await.may_store_attestations().await.unwrap_err();
        assert!(refused.contains("larger than"), "{refused}");
    }

    #[test]
    fn the_token_goes_to_the_api_of_its_own_server_alone() {
        for (server, api, fine) in [
            ("https://github.com", "https://api.github.com", true),
            ("https://github.com", "http://127.0.0.1:1", true),
            ("https://github.com", "https://api.github.com.evil.example", false),
            ("https://github.com", "http://api.github.com", false),
            ("https://git.example.com", "https://git.example.com/api/v3", true),
            ("https://git.example.com", "https://api.github.com", false),
            ("https://octo.ghe.com", "https://api.octo.ghe.com", true),
        ] {
            let context = RunContext {
                repository: Some("o/r".into()),
                server_url: server.into(),
                api_url: api.into(),
                ..RunContext::default()
            };
            // The client is made in a runtime.
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let _entered = runtime.enter();
            assert_eq!(
                Api::new(&context, Some(&"t".to_owned().into())).is_ok(),
                fine,
                "{server} {api}"
            );
            assert!(!fine || Api::new(&context, None).is_ok());
        }
    }

    #[tokio::test]
    async fn the_jobs_of_an_attempt_are_all_or_none() {
        use axum::extract::Query;
        use std::collections::BTreeMap;
        let pages = |total: u64| {
            Router::new().route(
                "/repos/o/r/actions/runs/7/attempts/2/jobs",
                get(move |Query(query): Query<BTreeMap<String, String>>| async move {
                    let jobs: Vec<Value> = if query["page"] == "3" {
                        vec![]
                    } else {
                        (0..100).map(|_| json!({ "name": query["page"] })).collect()
                    };
                    Json(json!({ "total_count": total, "jobs": jobs }))
                }),
            )
        };
        let all = api(pages(200)).await.jobs("7", "2").await.unwrap();
        assert_eq!(
            (all.len(), &all[0]["name"], &all[199]["name"]),
            (200, &json!("1"), &json!("2"))
        );
        assert!(api(pages(5000)).await.jobs("7", "2").await.unwrap_err().contains("more jobs"));
        assert!(api(pages(1)).await.jobs("7", "3").await.unwrap_err().contains("HTTP 404"));
        for (run, attempt) in [("", "1"), ("7", ""), ("7/../8", "1"), ("7", "1?x")] {
            assert!(api(pages(1)).await.jobs(run, attempt).await.is_err());
        }
        let odd = Router::new().fallback(|| async { Json(json!({ "jobs": {} })) });
        assert!(api(odd).await.jobs("7", "2").await.unwrap_err().contains("not a list"));
    }

    #[tokio::test]
    async fn the_right_to_store_attestations_is_told_by_what_is_refused() {
        use axum::http::StatusCode;
        for (status, may) in [
            (StatusCode::UNPROCESSABLE_ENTITY, true),
            (StatusCode::FORBIDDEN, false),
            (StatusCode::NOT_FOUND, false),
        ] {
            let answer = move || async move {
                (status, Json(json!({ "message": "Resource not accessible by integration" })))
            };
            let app = Router::new().route("/repos/o/r/attestations", axum::routing::post(answer));
            let told = api(app).await.may_store_attestations().await;
            assert_eq!(told.is_ok(), may, "{status}");
            assert!(
                told.err().is_none_or(
                    |why| why.contains(status.as_str()) && why.contains("not accessible")
                )
            );
        }
    }

    #[tokio::test]
    async fn no_answer_is_not_an_answer() {
        let api = api(Router::new()).await;
        assert_eq!((api.repository().await, api.is_on_branch("abc", "main").await), (None, None));
        assert_eq!(encoded("release/1.x é"), "release%2F1.x%20%C3%A9");
    }
}
