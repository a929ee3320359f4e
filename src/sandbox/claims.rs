//! Makes what a workflow run says about itself, for its tokens and for its environment; it never
//! invents a repository's content.

use serde_json::{Value, json};

const SERVER: &str = "https://github.com";

/// What the OIDC tokens say, named as GitHub's claims.
#[derive(Clone, Debug)]
pub struct Claims {
    pub repository: String,
    pub repository_id: String,
    pub repository_owner: String,
    pub repository_owner_id: String,
    pub repository_visibility: String,
    pub git_ref: String,
    pub sha: String,
    pub event_name: String,
    pub workflow: String,
    pub workflow_ref: String,
    pub workflow_sha: String,
    /// The workflow that holds the job: another repository's when a reusable workflow is called.
    pub job_workflow_ref: String,
    pub job_workflow_sha: String,
    pub run_id: String,
    pub run_number: String,
    pub run_attempt: String,
    pub actor: String,
    pub actor_id: String,
    pub runner_environment: String,
    pub head_ref: String,
    pub base_ref: String,
    pub environment: Option<String>,
}

impl Default for Claims {
    fn default() -> Self {
        Self::of("example/hello", "refs/heads/main", "push")
    }
}

impl Claims {
    /// A run of `.github/workflows/release.yml` in `repository` on `git_ref`.
    pub fn of(repository: &str, git_ref: &str, event_name: &str) -> Self {
        let owner = repository.split('/').next().unwrap_or(repository);
        let workflow_ref = format!("{repository}/.github/workflows/release.yml@{git_ref}");
        let sha = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";
        Self {
            repository: repository.to_owned(),
            repository_id: "700100200".to_owned(),
            repository_owner: owner.to_owned(),
            repository_owner_id: "4200100".to_owned(),
            repository_visibility: "public".to_owned(),
            git_ref: git_ref.to_owned(),
            sha: sha.to_owned(),
            event_name: event_name.to_owned(),
            workflow: "release".to_owned(),
            workflow_ref: workflow_ref.clone(),
            workflow_sha: sha.to_owned(),
            job_workflow_ref: workflow_ref,
            job_workflow_sha: sha.to_owned(),
            run_id: "9000100200".to_owned(),
            run_number: "17".to_owned(),
            run_attempt: "1".to_owned(),
            actor: "octo-releaser".to_owned(),
            actor_id: "5100200".to_owned(),
            runner_environment: "github-hosted".to_owned(),
            head_ref: String::new(),
            base_ref: String::new(),
            environment: None,
        }
    }

    /// GitHub's subject: the deployment environment wins, then a pull request, then the ref.
    pub fn subject(&self) -> String {
        match (&self.environment, self.event_name.as_str()) {
            (Some(environment), _) => format!("repo:{}:environment:{environment}", self.repository),
            (None, "pull_request") => format!("repo:{}:pull_request", self.repository),
            (None, _) => format!("repo:{}:ref:{}", self.repository, self.git_ref),
        }
    }

    /// The certificate's subject alternative name.
    pub fn identity(&self) -> String {
        format!("{SERVER}/{}", self.job_workflow_ref)
    }

    fn ref_type(&self) -> &'static str {
        if self.git_ref.starts_with("refs/tags/") { "tag" } else { "branch" }
    }

    fn ref_name(&self) -> &str {
        ["refs/heads/", "refs/tags/", "refs/pull/"]
            .iter()
            .find_map(|prefix| self.git_ref.strip_prefix(prefix))
            .unwrap_or(&self.git_ref)
    }

    pub(super) fn as_json(&self) -> Value {
        let mut claims = json!({
            "sub": self.subject(),
            "actor": self.actor, "actor_id": self.actor_id,
            "base_ref": self.base_ref, "head_ref": self.head_ref,
            "enterprise": "", "enterprise_id": "",
            "event_name": self.event_name,
            "job_workflow_ref": self.job_workflow_ref, "job_workflow_sha": self.job_workflow_sha,
            "ref": self.git_ref, "ref_protected": "false", "ref_type": self.ref_type(),
            "repository": self.repository, "repository_id": self.repository_id,
            "repository_owner": self.repository_owner, "repository_owner_id": self.repository_owner_id,
            "repository_visibility": self.repository_visibility,
            "run_attempt": self.run_attempt, "run_id": self.run_id, "run_number": self.run_number,
            "runner_environment": self.runner_environment,
            "sha": self.sha,
            "workflow": self.workflow, "workflow_ref": self.workflow_ref, "workflow_sha": self.workflow_sha,
        });
        if let Some(environment) = &self.environment {
            claims["environment"] = environment.as_str().into();
        }
        claims
    }

    /// The same facts as the runner exports them.
    pub(super) fn environment_variables(&self) -> Vec<(String, String)> {
        [
            ("GITHUB_SERVER_URL", SERVER),
            ("GITHUB_REPOSITORY", &self.repository),
            ("GITHUB_REPOSITORY_ID", &self.repository_id),
            ("GITHUB_REPOSITORY_OWNER", &self.repository_owner),
            ("GITHUB_REPOSITORY_OWNER_ID", &self.repository_owner_id),
            ("GITHUB_REF", &self.git_ref),
            ("GITHUB_REF_NAME", self.ref_name()),
            ("GITHUB_REF_TYPE", self.ref_type()),
            ("GITHUB_REF_PROTECTED", "false"),
            ("GITHUB_HEAD_REF", &self.head_ref),
            ("GITHUB_BASE_REF", &self.base_ref),
            ("GITHUB_SHA", &self.sha),
            ("GITHUB_EVENT_NAME", &self.event_name),
            ("GITHUB_WORKFLOW", &self.workflow),
            ("GITHUB_WORKFLOW_REF", &self.workflow_ref),
            ("GITHUB_WORKFLOW_SHA", &self.workflow_sha),
            ("GITHUB_RUN_ID", &self.run_id),
            ("GITHUB_RUN_ATTEMPT", &self.run_attempt),
            ("GITHUB_RUN_NUMBER", &self.run_number),
            ("GITHUB_ACTOR", &self.actor),
            ("GITHUB_ACTOR_ID", &self.actor_id),
            ("RUNNER_ENVIRONMENT", &self.runner_environment),
            ("CERTIFICATE_IDENTITY", &self.identity()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}
