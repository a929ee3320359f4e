//! One run of a workflow by act, in a repository of its own, against a sandbox of its own; and what
//! the run left. It judges nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use supply_action::sandbox::{Claims, Fault, Sandbox, SandboxConfig};

use crate::legs::written_out;
use crate::world::{
    copy, docker, git, output, planned, required, root, run, start, tool, turn, world,
};

const REPOSITORY: &str = "example/hello";
/// In what a run is told in place of GitHub's: who vouches for its workflow here.
const ISSUER: &str = "https://issuer.example";
/// What GitHub's runner sets and act does not, and where our services are. The right to ask for an
/// OIDC token comes with the permission alone.
const TOLD: [&str; 9] = [
    "GITHUB_API_URL",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA",
    "RUNNER_ENVIRONMENT",
    "SUPPLY_ACTION_OSV_URL",
    "SUPPLY_ACTION_SIGNING_CONFIG",
    "SUPPLY_ACTION_TRUSTED_ROOT",
];

/// What starts a run, and how the world is then.
pub(crate) struct Workflow {
    file: PathBuf,
    event: &'static str,
    git_ref: &'static str,
    payload: Value,
    variables: Vec<(String, String)>,
    options: Vec<String>,
    names_builder: bool,
    called: Option<&'static str>,
    prepare: Option<fn(&Path)>,
    fill: Option<fn(&Sandbox)>,
    replaced: Vec<(&'static str, &'static str)>,
    faults: Vec<Fault>,
}

impl Workflow {
    /// An example of ours, as a release leaves it, started by `event` on `git_ref`.
    pub(crate) fn example(name: &str, event: &'static str, git_ref: &'static str) -> Self {
        Self::of_file(
            world().release.join(format!("examples/workflows/{name}.yml")),
            event,
            git_ref,
        )
    }

    pub(crate) fn of_file(file: PathBuf, event: &'static str, git_ref: &'static str) -> Self {
        let payload =
            json!({ "ref": git_ref, "repository": { "default_branch": "main", "private": false } });
        Self {
            file,
            event,
            git_ref,
            payload,
            variables: Vec::new(),
            options: Vec::new(),
            names_builder: true,
            called: None,
            prepare: None,
            fill: None,
            replaced: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn payload(mut self, name: &str, value: Value) -> Self {
        self.payload[name] = value;
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable of the repository (`vars`).
    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.options.push(format!("--var={name}={value}"));
        self
    }

    /// Leaves the step to make its own builder.
    pub(crate) fn without_builder(mut self) -> Self {
        self.names_builder = false;
        self
    }

    /// The job that signs is in a workflow of ours that this one calls.
    pub(crate) fn called(mut self, workflow: &'static str) -> Self {
        self.called = Some(workflow);
        self
    }

    /// Puts more into the repository before its one commit.
    pub(crate) fn with(mut self, prepare: fn(&Path)) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// Puts something into the registry before the run.
    pub(crate) fn after(mut self, fill: fn(&Sandbox)) -> Self {
        self.fill = Some(fill);
        self
    }

    /// Tells the run what the registry's name would tell it at GitHub.
    pub(crate) fn replacing(mut self, text: &'static str, by: &'static str) -> Self {
        self.replaced.push((text, by));
        self
    }

    pub(crate) fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        let _turn = turn();
        let folder = tempfile::tempdir_in(&world().folder).unwrap();
        let checkout = folder.path().join("checkout");
        let name = self.file.file_name().unwrap().to_str().unwrap();
        let sha = self.repository(&checkout);
        let mut config = SandboxConfig::new(folder.path().join("sandbox"));
        let text = std::fs::read_to_string(&self.file).unwrap();
        config.claims = claims(name, &self, &sha, &text);
        let identity = config.claims.identity();
        let sandbox = start(config);
        self.faults.iter().for_each(|fault| sandbox.faults().add(fault.clone()));
        if let Some(fill) = self.fill {
            fill(&sandbox);
        }
        // What is published at ghcr.io goes to the sandbox; nothing else changes of an example, or
        // of what started it.
        let file = checkout.join(".github/workflows").join(name);
        let issuer = sandbox.environment().into_iter().find(|(name, _)| name == "SIGSTORE_ISSUER");
        let issuer = issuer.map(|(_, issuer)| issuer).unwrap_or_default();
        let here = |text: &str| {
            let text = text.replace("ghcr.io/", &format!("{}/", sandbox.registry()));
            text.replace(ISSUER, &issuer)
        };
        let told = self.replaced.iter().fold(text.clone(), |text, (from, to)| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replace(from, to)
        });
        std::fs::write(&file, written_out(&here(&told), &planned())).unwrap();
        std::fs::write(folder.path().join("event.json"), here(&self.payload.to_string())).unwrap();
        let may_sign = text.contains("id-token: write");
        let (success, log) = run(&mut self.act(folder.path(), &file, &sandbox, may_sign));
        let (summary, left) = remains(folder.path());
        copy(&mirror().join(format!("{REPOSITORY}.git")), &folder.path().join("pushed.git"));
        // A step may have pushed as root, which this process need not be.
        let volume = format!("{}:/github", mirror().display());
        docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &volume,
            &world().runner,
            "rm",
            "-rf",
            "/github/example",
        ]);
        Ended { success, log, summary, left, sandbox, identity, folder }
    }

    /// A repository on a ref, and its counterpart from which builds fetch it; gives the commit.
    fn repository(&self, checkout: &Path) -> String {
        copy(&root().join("examples/hello"), checkout);
        for service in ["api", "web"] {
            copy(&root().join("examples/hello"), &checkout.join("services").join(service));
        }
        if let Some(prepare) = self.prepare {
            prepare(checkout);
        }
        copy(&self.file, &checkout.join(".github/workflows").join(self.file.file_name().unwrap()));
        git(checkout, &["init", "--quiet", "-b", "main"]);
        git(checkout, &["add", "."]);
        git(checkout, &["commit", "--quiet", "-m", "hello"]);
        git(
            checkout,
            &["remote", "add", "origin", &format!("https://github.com/{REPOSITORY}.git")],
        );
        if self.git_ref != "refs/heads/main" {
            git(checkout, &["update-ref", self.git_ref, "HEAD"]);
        }
        let there = mirror().join(format!("{REPOSITORY}.git"));
        git(checkout, &["clone", "--quiet", "--mirror", ".", there.to_str().unwrap()]);
        git(checkout, &["rev-parse", "HEAD"])
    }

    /// act, told what it does not know by itself: what GitHub's runner would say, where our
    /// services are, and where actions are to be had.
    fn act(&self, folder: &Path, file: &Path, sandbox: &Sandbox, may_sign: bool) -> Command {
        let mut command = Command::new(tool("ACT"));
        command
            .current_dir(folder.join("checkout"))
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("XDG_CACHE_HOME", folder);
        command.args([
            self.event,
            "--bind",
            "--pull=false",
            "--reuse",
            "--no-cache-server",
            "--container-daemon-socket",
        ]);
        command
            .arg(std::env::var("DOCKER_HOST").unwrap())
            .arg("--eventpath")
            .arg(folder.join("event.json"))
            .arg("--workflows")
            .arg(file);
        for label in ["ubuntu-24.04", "ubuntu-24.04-arm"] {
            command.args(["--platform", &format!("{label}={}", world().runner)]);
        }
        command.args(["--secret", "GITHUB_TOKEN=t0ken"]);
        let called = self.called.map(|called| {
            git(&world().release, &["show", &format!("HEAD:.github/workflows/{called}")])
        });
        let named = [std::fs::read_to_string(&self.file).unwrap(), called.unwrap_or_default()];
        for pin in named.iter().flat_map(|text| pins(text)) {
            command
                .arg("--local-repository")
                .arg(format!("org/supply-action@{pin}={}", world().release.display()));
        }
        let builder = required("SUPPLY_ACTION_BUILDER").to_str().unwrap().to_owned();
        let socket = builder.trim_start_matches("unix://");
        let outside = sandbox.trusted_root().parent().unwrap().display();
        let github = mirror().display().to_string();
        command.args([
            "--container-options",
            &format!("-v {outside}:{outside}:ro -v {socket}:{socket} -v {github}:{github}"),
        ]);
        let told =
            |name: &str| TOLD.contains(&name) || (may_sign && name.starts_with("ACTIONS_ID_TOKEN"));
        let mut variables: Vec<(String, String)> =
            sandbox.environment().into_iter().filter(|(name, _)| told(name)).collect();
        variables.extend(self.names_builder.then(|| ("SUPPLY_ACTION_BUILDER".to_owned(), builder)));
        // What a step fetches or pushes goes where builds fetch it.
        for (name, value) in [
            ("COUNT", "1"),
            ("KEY_0", &format!("url.file://{github}/.insteadOf")),
            ("VALUE_0", "https://github.com/"),
        ] {
            variables.push((format!("GIT_CONFIG_{name}"), value.to_owned()));
        }
        for (name, value) in variables.iter().chain(&self.variables) {
            command.args(["--env", &format!("{name}={value}")]);
        }
        command.args(&self.options);
        command
    }
}

/// Where https://github.com/ is, for builds and steps.
fn mirror() -> PathBuf {
    required("GITHUB_MIRROR")
}

/// The commits and tags by which a workflow names our actions.
fn pins(text: &str) -> Vec<String> {
    let after =
        text.split("uses: org/supply-action").skip(1).filter_map(|rest| rest.split('@').nth(1));
    let mut pins: Vec<String> =
        after.map(|rest| rest.split_whitespace().next().unwrap().to_owned()).collect();
    pins.sort();
    pins.dedup();
    pins
}

/// What GitHub's tokens say of such a run. A workflow that is called is named with the commit that
/// the caller wrote.
fn claims(workflow: &str, run: &Workflow, sha: &str, text: &str) -> Claims {
    let mut claims = Claims::of(REPOSITORY, run.git_ref, run.event);
    claims.workflow = workflow.trim_end_matches(".yml").to_owned();
    claims.workflow_ref = format!("{REPOSITORY}/.github/workflows/{workflow}@{}", run.git_ref);
    (claims.sha, claims.workflow_sha) = (sha.to_owned(), sha.to_owned());
    let pin = pins(text).into_iter().next().unwrap_or_default();
    (claims.job_workflow_ref, claims.job_workflow_sha) = match run.called {
        Some(called) => (format!("org/supply-action/.github/workflows/{called}@{pin}"), pin),
        None => (claims.workflow_ref.clone(), sha.to_owned()),
    };
    claims
}

/// The job summaries that the run wrote, and the containers that are not act's. All were kept for
/// that, and go now.
fn remains(folder: &Path) -> (String, Vec<String>) {
    let containers = docker(&["ps", "--all", "--format", "{{.Names}}"]);
    let left =
        containers.lines().filter(|name| !name.starts_with("act-")).map(str::to_owned).collect();
    let mut text = String::new();
    for container in containers.lines() {
        let file = folder.join(container);
        if run(Command::new("docker")
            .args(["cp", &format!("{container}:/var/run/act/workflow/SUMMARY.md")])
            .arg(&file))
        .0
        {
            text.push_str(&std::fs::read_to_string(file).unwrap());
        }
    }
    for container in containers.lines() {
        docker(&["rm", "--force", "--volumes", container]);
    }
    let volumes = docker(&["volume", "ls", "--quiet"]);
    if !volumes.is_empty() {
        output(Command::new("docker").args(["volume", "rm", "--force"]).args(volumes.lines()));
    }
    (text, left)
}

/// How a run ended, and the world after it.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) log: String,
    pub(crate) summary: String,
    /// Containers that outlived the run, beside those of the jobs.
    pub(crate) left: Vec<String>,
    pub(crate) sandbox: Sandbox,
    identity: String,
    folder: tempfile::TempDir,
}

impl Ended {
    /// The names that people pull, of the repository or of one below it.
    pub(crate) fn tags(&self, below: &str) -> Vec<String> {
        let (found, said) =
            run(Command::new(tool("CRANE")).args(["ls", "--insecure", &self.image(below)]));
        let mut tags: Vec<String> = said
            .lines()
            .filter(|line| found && !line.starts_with("sha256-"))
            .map(|tag| tag.replace(&self.sha(), "COMMIT"))
            .collect();
        tags.sort();
        tags
    }

    /// What the repository at GitHub holds under a name after the run.
    pub(crate) fn pushed(&self, name: &str) -> String {
        git(&self.folder.path().join("pushed.git"), &["show", name])
    }

    /// The commit that was built.
    pub(crate) fn sha(&self) -> String {
        let variables = self.sandbox.environment();
        variables.into_iter().find(|(name, _)| name == "GITHUB_SHA").unwrap().1
    }

    pub(crate) fn image(&self, below: &str) -> String {
        format!("{}/{REPOSITORY}{below}", self.sandbox.registry())
    }

    pub(crate) fn digest(&self, reference: &str) -> String {
        output(Command::new(tool("CRANE")).args(["digest", "--insecure", reference]))
            .trim()
            .to_owned()
    }

    fn manifest(&self, reference: &str) -> Value {
        serde_json::from_str(&output(Command::new(tool("CRANE")).args([
            "manifest",
            "--insecure",
            reference,
        ])))
        .unwrap()
    }

    /// What BuildKit itself stated of the images of an index, by type.
    pub(crate) fn stated_by_buildkit(&self, repository: &str, digest: &str) -> BTreeSet<String> {
        let index = self.manifest(&format!("{repository}@{digest}"));
        let attestations = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["platform"]["os"] == "unknown");
        let manifests = attestations.map(|entry| {
            self.manifest(&format!("{repository}@{}", entry["digest"].as_str().unwrap()))
        });
        let stated = |manifest: Value| {
            let layers = manifest["layers"].as_array().unwrap().clone();
            layers.into_iter().map(|layer| {
                layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap().to_owned()
            })
        };
        manifests.flat_map(stated).collect()
    }

    /// cosign finds the signature of the index, its SBOM and provenance, and those of each of its
    /// images, all by this workflow.
    pub(crate) fn verified_by_cosign(&self, repository: &str, digest: &str, platforms: &[&str]) {
        let reference = &format!("{repository}@{digest}");
        self.cosign("verify", &[], reference);
        self.cosign("verify-attestation", &["--type", "https://slsa.dev/provenance/v1"], reference);
        self.cosign("verify-attestation", &["--type", "spdxjson"], reference);
        let index = self.manifest(reference);
        let mut found = Vec::new();
        for manifest in index["manifests"].as_array().unwrap() {
            let image = format!("{repository}@{}", manifest["digest"].as_str().unwrap());
            self.cosign("verify", &[], &image);
            let platform = &manifest["platform"];
            if platform["os"] != "unknown" {
                found.push(format!(
                    "{}/{}",
                    platform["os"].as_str().unwrap(),
                    platform["architecture"].as_str().unwrap()
                ));
                self.cosign("verify-attestation", &["--type", "spdxjson"], &image);
                self.cosign("verify-attestation", &["--type", "slsaprovenance1"], &image);
            }
        }
        found.sort();
        assert_eq!(found, platforms);
    }

    /// cosign finds the caller in the certificate: its ref, commit and repository.
    pub(crate) fn verified_by_cosign_for_caller(&self, image: &str, caller: &[&str]) {
        let flags = ["ref", "sha", "repository"]
            .map(|name| format!("--certificate-github-workflow-{name}"));
        let options: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .zip(caller.iter().copied())
            .flat_map(|(flag, value)| [flag, value])
            .collect();
        self.cosign("verify", &options, image);
    }

    fn cosign(&self, verb: &str, options: &[&str], image: &str) {
        let variables = self.sandbox.environment();
        let issuer = &variables.iter().find(|(name, _)| name == "SIGSTORE_ISSUER").unwrap().1;
        let mut command = Command::new(tool("COSIGN3"));
        command
            .arg(verb)
            .args(options)
            .arg("--trusted-root")
            .arg(self.sandbox.trusted_root())
            .env("HOME", &world().folder);
        command.args([
            "--certificate-identity",
            &self.identity,
            "--certificate-oidc-issuer",
            issuer,
            "--allow-http-registry",
            image,
        ]);
        output(&mut command);
    }
}
