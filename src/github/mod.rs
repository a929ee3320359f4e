//! What the runner says about this run: `GITHUB_*` and `ACTIONS_*` as one value. It never calls
//! GitHub.

pub mod api;
pub mod code_scanning;
pub mod expression;
pub mod facts;
pub mod git;
pub mod history;
pub mod issues;
pub mod network;
pub mod packages;
pub mod runners;
pub mod server;
pub mod workflow;

use std::path::PathBuf;

use crate::environment::Environment;

/// One run of a workflow, as its runner describes it.
/// Reference: <https://docs.github.com/actions/reference/workflows-and-actions/variables>.
#[derive(Debug, Clone, Default)]
pub struct RunContext {
    /// Whether a workflow runner started us.
    pub in_actions: bool,
    pub server_url: String,
    pub api_url: String,
    pub repository: Option<String>,
    pub repository_id: String,
    pub repository_owner_id: String,
    pub event_name: String,
    pub git_ref: String,
    pub sha: String,
    /// `owner/repo/.github/workflows/x.yml@refs/heads/main`.
    pub workflow_ref: String,
    pub run_id: String,
    pub run_attempt: String,
    pub runner_environment: String,
    pub workspace: Option<PathBuf>,
    /// Where secrets may be written for the time of a step.
    pub temp: Option<PathBuf>,
    pub output_file: Option<PathBuf>,
    pub summary_file: Option<PathBuf>,
    /// Where a step names what it made, for steps that attest it.
    pub artifacts_file: Option<PathBuf>,
    /// Where variables for later steps are written.
    pub environment_file: Option<PathBuf>,
    pub id_token: Option<IdTokenRequest>,
    /// How everything is reached.
    pub network: network::Network,
}

/// How to ask the runner for an OIDC token; present only with `permissions: id-token: write`.
#[derive(Clone)]
pub struct IdTokenRequest {
    pub url: String,
    pub token: secrecy::SecretString,
}

impl std::fmt::Debug for IdTokenRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IdTokenRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

impl RunContext {
    pub fn new(env: &Environment) -> Self {
        let get = |name: &str| env.get(name).filter(|value| !value.trim().is_empty()).cloned();
        let text = |name: &str| get(name).unwrap_or_default();
        let id_token = get("ACTIONS_ID_TOKEN_REQUEST_URL")
            .zip(get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
            .map(|(url, token)| IdTokenRequest { url, token: token.into() });
        Self {
            in_actions: get("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            server_url: get("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned()),
            api_url: get("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned()),
            repository: get("GITHUB_REPOSITORY"),
            repository_id: text("GITHUB_REPOSITORY_ID"),
            repository_owner_id: text("GITHUB_REPOSITORY_OWNER_ID"),
            event_name: text("GITHUB_EVENT_NAME"),
            git_ref: text("GITHUB_REF"),
            sha: text("GITHUB_SHA"),
            workflow_ref: text("GITHUB_WORKFLOW_REF"),
            run_id: text("GITHUB_RUN_ID"),
            run_attempt: text("GITHUB_RUN_ATTEMPT"),
            runner_environment: text("RUNNER_ENVIRONMENT"),
            workspace: get("GITHUB_WORKSPACE").map(PathBuf::from),
            temp: get("RUNNER_TEMP").map(PathBuf::from),
            output_file: get("GITHUB_OUTPUT").map(PathBuf::from),
            summary_file: get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            artifacts_file: get("GITHUB_ARTIFACTS").map(PathBuf::from),
            environment_file: get("GITHUB_ENV").map(PathBuf::from),
            id_token,
            network: network::Network::of(env),
        }
    }
}
