//! A world for one test: a sandbox, an environment as a runner gives it, and the program. It
//! asserts nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use supply_action::environment::Environment;
use supply_action::evidence::{
    COSIGN_VULNERABILITIES, EvidenceFormat, EvidencePart, IN_TOTO_VULNERABILITIES, SPDX,
};
use supply_action::image::{ImageRef, Repository};
use supply_action::registry::{Credentials, LoginSecret, Registry};
use supply_action::sandbox::{
    self, Claims, Fault, FaultEffect, Request, Sandbox, SandboxConfig, SandboxService,
};
use supply_action::sigstore::verifier::{BundleVerifier, Signer};
use supply_action::verify::policy::{EvidencePolicy, Requirements};
use supply_action::verify::{self, VerifiedImage};
use tempfile::TempDir;

/// Made by the first sandbox: an RSA key takes longer than most of a run, and none of the tests is
/// about having its own.
static ISSUER_KEY: OnceLock<Vec<u8>> = OnceLock::new();

/// A misbehaviour that does not end.
pub(crate) fn always(
    service: SandboxService,
    method: Option<&'static str>,
    path: &str,
    effect: FaultEffect,
) -> Fault {
    Fault { service, method, path_contains: path.to_owned(), skip: 0, times: usize::MAX, effect }
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: TempDir,
    login: Option<(String, String)>,
    pub(crate) env: Environment,
}

/// How a run ended, and what it left for later steps.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
}

impl World {
    /// What was asked of registry and Sigstore, or changed anywhere: all but questions to GitHub.
    pub(crate) fn beyond_questions(&self) -> Vec<Request> {
        self.sandbox
            .requests()
            .into_iter()
            .filter(|request| request.service != SandboxService::GitHub || request.method != "GET")
            .collect()
    }

    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SandboxConfig::new(folder.path().join("sandbox"));
        change(&mut config);
        let login = config.registry_login.clone();
        let key = config.dir.join("keys/oidc.p8");
        if let Some(made) = ISSUER_KEY.get() {
            std::fs::create_dir_all(key.parent().unwrap()).unwrap();
            std::fs::write(&key, made).unwrap();
        }
        let sandbox = sandbox::start(config).await.unwrap();
        ISSUER_KEY.get_or_init(|| std::fs::read(&key).unwrap());
        std::fs::create_dir(folder.path().join("context")).unwrap();
        std::fs::create_dir(folder.path().join("temp")).unwrap();
        let mut env: Environment = sandbox.environment().into_iter().collect();
        let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
        let event = folder.path().join("event.json");
        std::fs::write(&event, r#"{"repository":{"default_branch":"main","private":false}}"#)
            .unwrap();
        set("GITHUB_EVENT_PATH", event.display().to_string());
        set("GITHUB_ACTIONS", "true".into());
        set("RUNNER_TEMP", folder.path().join("temp").display().to_string());
        set("BUILDX", fake_buildx().display().to_string());
        // The test binary is linked dynamically; the fake never runs the scanner.
        set(
            "SUPPLY_ACTION_SCANNER",
            format!("{}/scanner@sha256:{}", sandbox.registry(), "0".repeat(64)),
        );
        set("INPUT_IMAGES", format!("{}/app", sandbox.registry()));
        set("INPUT_TAGS", "v1.2.3\nlatest\nv1".into());
        set("INPUT_CONTEXT", folder.path().join("context").display().to_string());
        set("INPUT_SIGNING-CONFIG", sandbox.signing_config().display().to_string());
        set("INPUT_TRUSTED-ROOT", sandbox.trusted_root().display().to_string());
        set("INPUT_BUILDER-ENDPOINT", "unix:///nowhere".into());
        if let Some((user, password)) = &login {
            set("INPUT_USERNAME", user.clone());
            set("INPUT_PASSWORD", password.clone());
        }
        Self { sandbox, folder, login, env }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Another run from now on, as its tokens and its runner say.
    pub(crate) fn act_as(&mut self, claims: Claims) -> &mut Self {
        self.env.extend(self.sandbox.act_as(claims));
        self
    }

    pub(crate) fn unset(&mut self, name: &str) -> &mut Self {
        self.env.remove(name);
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.env.keys().map(String::as_str)
    }

    /// From now on a run of this commit on this ref.
    pub(crate) fn at(&mut self, git_ref: &str, sha: &str) -> &mut Self {
        let claims = Claims {
            sha: sha.to_owned(),
            workflow_sha: sha.to_owned(),
            job_workflow_sha: sha.to_owned(),
            ..Claims::of("example/hello", git_ref, "push")
        };
        self.act_as(claims)
    }

    pub(crate) fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_supply-action"));
        command.env_clear().envs(&self.env).stdin(Stdio::null()).kill_on_drop(true);
        command
            .env("GITHUB_OUTPUT", self.output_file())
            .env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary"));
        command
    }

    fn output_file(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// Runs `supply-action` with no arguments, as the action's container does.
    pub(crate) async fn publish(&self) -> Run {
        self.run(&[], &[]).await
    }

    /// Runs `supply-action` with arguments, and with these variables in place of this world's.
    pub(crate) async fn run(&self, arguments: &[&str], change: &[(&str, &str)]) -> Run {
        for file in ["output", "summary"] {
            let _ = std::fs::remove_file(self.folder.path().join(file));
        }
        let Output { status, stderr, .. } =
            self.command().args(arguments).envs(change.iter().copied()).output().await.unwrap();
        self.run_of(status.code(), &stderr)
    }

    pub(crate) fn run_of(&self, code: Option<i32>, stderr: &[u8]) -> Run {
        let read =
            |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        Run {
            code,
            log: String::from_utf8_lossy(stderr).into_owned(),
            outputs: parse_outputs(&read("output")),
            summary: read("summary"),
        }
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::new(reqwest::Client::new(), self.credentials())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        let mut credentials = Credentials::default();
        if let Some((user, password)) = &self.login {
            credentials.add(
                self.sandbox.registry(),
                user,
                LoginSecret::Password(password.clone().into()),
            );
        }
        credentials
    }

    pub(crate) fn repository(&self) -> Repository {
        format!("{}/app", self.sandbox.registry()).parse().unwrap()
    }

    /// What each of these tags names.
    pub(crate) async fn tags(&self) -> BTreeMap<String, String> {
        self.tags_of("app").await
    }

    /// The same in another repository than the usual one.
    pub(crate) async fn tags_of(&self, path: &str) -> BTreeMap<String, String> {
        let repository: Repository = format!("{}/{path}", self.sandbox.registry()).parse().unwrap();
        let mut found = BTreeMap::new();
        for tag in self.all_tags_of(path).iter().filter(|tag| !tag.starts_with("sha256-")) {
            let manifest =
                self.registry().tagged(&repository, &tag.parse().unwrap()).await.unwrap().unwrap();
            found.insert(tag.clone(), manifest.descriptor.digest.to_string());
        }
        found
    }

    /// Every tag, those that are digests' names too.
    pub(crate) async fn all_tags(&self) -> Vec<String> {
        self.all_tags_of("app")
    }

    fn all_tags_of(&self, path: &str) -> Vec<String> {
        let root = self.folder.path().join(format!("sandbox/registry/repositories/{path}/_tags"));
        std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Verifies as a stranger would, with a policy of this test's own.
    pub(crate) async fn verify(&self, digest: &str) -> anyhow::Result<VerifiedImage> {
        self.verify_by(digest, self.signer()).await
    }

    pub(crate) async fn verify_by(
        &self,
        digest: &str,
        signer: Signer,
    ) -> anyhow::Result<VerifiedImage> {
        self.verify_image(
            &self.repository().at(&digest.parse().unwrap()),
            &["linux/amd64", "linux/arm64"],
            signer,
        )
        .await
    }

    pub(crate) async fn verify_image(
        &self,
        image: &ImageRef,
        platforms: &[&str],
        signer: Signer,
    ) -> anyhow::Result<VerifiedImage> {
        let platforms: Vec<_> =
            platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let policy = EvidencePolicy {
            signer: signer.into(),
            requirements: Requirements::new(
                &platforms,
                &[SPDX],
                true,
                &[EvidencePart::Index, EvidencePart::Platform, EvidencePart::Attestations],
                &[EvidenceFormat::Bundle, EvidenceFormat::Legacy],
            )
            .scanned(&[COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES], &[]),
        };
        verify::verify(&self.registry(), &self.verifier(), image, &policy).await
    }

    pub(crate) fn verifier(&self) -> BundleVerifier {
        BundleVerifier::new(
            &supply_action::sigstore::load_trusted_root(Some(self.sandbox.trusted_root())).unwrap(),
        )
        .unwrap()
    }

    pub(crate) fn signer(&self) -> Signer {
        let (identity, issuer) = self.identity();
        Signer::Keyless { identity, issuer }
    }

    /// Whom certificates name, and who vouches.
    pub(crate) fn identity(&self) -> (String, String) {
        (self.env["CERTIFICATE_IDENTITY"].clone(), self.env["SIGSTORE_ISSUER"].clone())
    }

    /// Files under the runner's temporary folder, which must be gone after a run.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("temp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

/// Cargo puts examples beside the test binaries' folder.
fn fake_buildx() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().unwrap().parent().unwrap().join("examples/fake-buildx")
}

/// `name<<delimiter`, lines, `delimiter`.
pub(crate) fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}

/// The least CycloneDX document that lists these packages.
pub(crate) fn cyclonedx(purls: &[&str]) -> Value {
    let component = |purl: &&str| {
        let name = purl.rsplit('/').next().unwrap().split('@').next().unwrap();
        json!({ "type": "library", "name": name, "purl": purl })
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "components": purls.iter().map(component).collect::<Vec<_>>(),
    })
}
