//! Our image started as GitHub's own runner starts a container action, without act: its mounts, its
//! variables, its inputs, and nothing else. Two things differ, because Docker Hub and the internet
//! are out of reach: the network is the machine's, and BuildKit's socket is mounted.
//!
//! Reference: `ContainerActionHandler.cs` of actions/runner v2.336.0.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use supply_action::sandbox::{Claims, Sandbox, SandboxConfig};

use crate::world::{copy, git, output, required, root, run, start, turn, world};

#[derive(Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
}

#[derive(Deserialize)]
struct Input {
    default: Option<String>,
}

/// The folders of a runner, and the services of a run.
struct Runner {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
}

/// The user that a runner's own processes have; the container's is root.
const RUNNER_USER: &str = "1001:1001";
const FILES: [(&str, &str); 6] = [
    ("GITHUB_OUTPUT", "set_output_7d5f"),
    ("GITHUB_STEP_SUMMARY", "step_summary_7d5f"),
    ("GITHUB_ENV", "set_env_7d5f"),
    ("GITHUB_PATH", "add_path_7d5f"),
    ("GITHUB_STATE", "save_state_7d5f"),
    ("GITHUB_ARTIFACTS", "artifacts_7d5f"),
];

impl Runner {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(&world().folder).unwrap();
        let workspace = folder.path().join("_work/hello/hello");
        copy(&root().join("examples/hello"), &workspace);
        git(&workspace, &["init", "--quiet", "-b", "main"]);
        git(&workspace, &["add", "."]);
        git(&workspace, &["commit", "--quiet", "-m", "hello"]);
        let mut config = SandboxConfig::new(folder.path().join("sandbox"));
        config.claims = Claims::of("example/hello", "refs/heads/main", "push");
        config.claims.sha = git(&workspace, &["rev-parse", "HEAD"]);
        let runner = Self { sandbox: start(config), folder };
        // Files that a user would keep in the repository.
        for file in [runner.sandbox.trusted_root(), runner.sandbox.signing_config()] {
            copy(file, &workspace.join("sigstore").join(file.file_name().unwrap()));
        }
        for name in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            std::fs::create_dir_all(runner.temp(name)).unwrap();
        }
        for (_, file) in FILES {
            std::fs::write(runner.temp("_runner_file_commands").join(file), "").unwrap();
        }
        let event =
            r#"{"ref":"refs/heads/main","repository":{"default_branch":"main","private":false}}"#;
        std::fs::write(runner.temp("_github_workflow/event.json"), event).unwrap();
        if output(Command::new("id").arg("-u")).trim() == "0" {
            output(Command::new("chown").args(["-R", RUNNER_USER]).arg(runner.work()));
        }
        runner
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("_work")
    }

    fn workspace(&self) -> PathBuf {
        self.work().join("hello/hello")
    }

    fn temp(&self, name: &str) -> PathBuf {
        self.work().join("_temp").join(name)
    }

    /// What the runner gives to a container action: everything it declares as an input is set, if
    /// only to nothing.
    fn variables(&self, with: &[(&str, &str)]) -> BTreeMap<String, String> {
        let action: Action = serde_saphyr::from_str(
            &std::fs::read_to_string(world().release.join("action.yml")).unwrap(),
        )
        .unwrap();
        let mut inputs: BTreeMap<String, String> = action
            .inputs
            .into_iter()
            .map(|(name, input)| {
                (name, input.default.unwrap_or_default().replace("${{ github.token }}", "t0ken"))
            })
            .collect();
        inputs.extend(with.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut variables: BTreeMap<String, String> = inputs
            .into_iter()
            .map(|(name, value)| {
                (format!("INPUT_{}", name.replace(' ', "_").to_uppercase()), value)
            })
            .collect();
        let of_a_run = |name: &str| {
            ["GITHUB_", "ACTIONS_", "RUNNER_"].iter().any(|start| name.starts_with(start))
        };
        variables.extend(self.sandbox.environment().into_iter().filter(|(name, _)| of_a_run(name)));
        for (name, value) in [
            ("HOME", "/github/home"),
            ("GITHUB_ACTIONS", "true"),
            ("CI", "true"),
            ("GITHUB_WORKSPACE", "/github/workspace"),
            ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
            ("RUNNER_TEMP", "/github/runner_temp"),
            ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("ACTIONS_RUNTIME_URL", "https://pipelines.example/"),
            ("ACTIONS_RUNTIME_TOKEN", "runtime-t0ken"),
            ("ACTIONS_RESULTS_URL", "https://results.example/"),
            ("ACTIONS_CACHE_URL", "https://cache.example/"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        variables.extend(
            FILES.map(|(name, file)| (name.to_owned(), format!("/github/file_commands/{file}"))),
        );
        variables
    }

    /// One step; gives its exit and its log.
    fn step(&self, with: &[(&str, &str)], arguments: &[&str], mounts: &[&str]) -> (bool, String) {
        let socket = std::env::var("DOCKER_HOST").unwrap().replace("unix://", "");
        let mut command = Command::new("docker");
        command.args([
            "run",
            "--rm",
            "--label",
            "e2e",
            "--workdir",
            "/github/workspace",
            "--network",
            "host",
        ]);
        for (name, value) in self.variables(with) {
            command.args(["-e", &format!("{name}={value}")]);
        }
        let own = [
            (PathBuf::from(socket), "/var/run/docker.sock"),
            (self.work().join("_temp"), "/github/runner_temp"),
            (self.temp("_github_home"), "/github/home"),
            (self.temp("_github_workflow"), "/github/workflow"),
            (self.temp("_runner_file_commands"), "/github/file_commands"),
            (self.workspace(), "/github/workspace"),
        ];
        for (from, to) in own {
            command.args(["-v", &format!("{}:{to}", from.display())]);
        }
        for mount in mounts {
            command.args(["-v", &format!("{mount}:{mount}")]);
        }
        let _turn = turn();
        run(command.arg(&world().image).args(arguments))
    }

    fn written(&self, variable: &str) -> String {
        let file = FILES.iter().find(|(name, _)| *name == variable).unwrap().1;
        std::fs::read_to_string(self.temp("_runner_file_commands").join(file)).unwrap()
    }
}

/// Every file below, with its content's owner and time.
fn listing(folder: &Path) -> String {
    output(Command::new("find").arg(folder).args(["-printf", "%P %y %U %s %T@\n"]))
}

/// What a step in the workspace is told.
const WITH: [(&str, &str); 5] = [
    ("context", "."),
    ("signing-config", "sigstore/signing_config.json"),
    ("trusted-root", "sigstore/trusted_root.json"),
    ("metadata-context", "git"),
    ("platforms", "linux/amd64,linux/arm64"),
];

#[test]
fn a_step_on_githubs_runner_publishes_and_leaves_nothing_behind() {
    let runner = Runner::new();
    let image = format!("{}/example/hello", runner.sandbox.registry());
    let builder = required("SUPPLY_ACTION_BUILDER").to_str().unwrap().to_owned();
    let mut with = WITH.to_vec();
    with.extend([
        ("images", image.as_str()),
        ("builder-endpoint", &builder),
        ("tags", "type=ref,event=branch"),
        ("osv-url", runner.sandbox.osv()),
    ]);
    let before = (
        listing(&runner.workspace()),
        listing(&runner.temp("_github_home")),
        listing(&runner.temp("_github_workflow")),
    );
    let (success, log) = runner.step(&with, &[], &[builder.trim_start_matches("unix://")]);
    assert!(success, "{log}");
    // The repository in the workspace belongs to another user, and was read all the same.
    let tags = output(Command::new(crate::world::tool("CRANE")).args(["ls", "--insecure", &image]));
    assert_eq!(
        tags.lines().filter(|tag| !tag.starts_with("sha256-")).collect::<Vec<_>>(),
        ["main"],
        "{log}"
    );
    let digest = output(Command::new(crate::world::tool("CRANE")).args([
        "digest",
        "--insecure",
        &format!("{image}:main"),
    ]));
    let digest = digest.trim();
    for (variable, part) in [
        ("GITHUB_OUTPUT", "image-ref<<".to_owned()),
        ("GITHUB_OUTPUT", format!("\n{image}@{digest}\n")),
        ("GITHUB_STEP_SUMMARY", format!("| digest | `{digest}` |")),
        ("GITHUB_ENV", "DOCKER_METADATA_OUTPUT_VERSION<<".to_owned()),
        ("GITHUB_ARTIFACTS", format!("oci://{image}@{digest}\n")),
    ] {
        assert!(
            runner.written(variable).contains(&part),
            "{part} is not in {variable}: {}",
            runner.written(variable)
        );
    }
    assert_eq!(
        (runner.written("GITHUB_PATH"), runner.written("GITHUB_STATE")),
        (String::new(), String::new())
    );
    let after = (
        listing(&runner.workspace()),
        listing(&runner.temp("_github_home")),
        listing(&runner.temp("_github_workflow")),
    );
    assert_eq!(before, after);
    let mut left: Vec<_> = std::fs::read_dir(runner.temp(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["_github_home", "_github_workflow", "_runner_file_commands"]);
    assert_eq!(
        std::fs::read_dir(runner.temp("_runner_file_commands")).unwrap().count(),
        FILES.len()
    );
}

#[test]
fn a_gha_cache_gets_the_address_that_only_a_container_action_is_told() {
    let runner = Runner::new();
    let with = [
        ("images", "ghcr.io/example/hello"),
        ("context", "."),
        ("cache-from", "type=gha"),
        ("cache-to", "type=gha,mode=max"),
    ];
    let (success, said) = runner.step(&with, &["plan", "--json"], &[]);
    assert!(success, "{said}");
    let plan: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let arguments: Vec<&str> =
        plan["buildx"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    for (flag, value) in [
        ("--cache-from", "type=gha,version=2,url_v2=https://results.example/"),
        ("--cache-to", "type=gha,mode=max,version=2,url_v2=https://results.example/"),
    ] {
        assert!(arguments.windows(2).any(|pair| pair == [flag, value]), "{arguments:?}");
    }
}

#[test]
fn without_a_builder_and_without_buildkits_image_the_step_says_what_to_do() {
    let runner = Runner::new();
    let image = format!("{}/example/hello", runner.sandbox.registry());
    let mut with = WITH.to_vec();
    with.push(("images", image.as_str()));
    // No state of docker/setup-buildx-action is to be seen, so a builder is made; this engine
    // cannot reach Docker Hub.
    let (success, log) = runner.step(&with, &[], &[]);
    assert!(
        !success && log.contains("nothing was tagged") && log.contains("does not start"),
        "{log}"
    );
    assert!(log.contains("`builder-endpoint`"), "{log}");
}
