//! What all runs share, made once: a registry with base images, our image built from our
//! Dockerfile, and the release that runs it. It runs nothing of a workflow itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use supply_action::sandbox::{self, Sandbox, SandboxConfig};
use tokio::runtime::Runtime;

use crate::legs::written_out;

/// What a set-up variable holds; without it there is nothing to run with, and no verdict.
pub(crate) fn required(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run these tests with `make e2e`"))
        .into()
}

pub(crate) fn tool(name: &str) -> PathBuf {
    required(&format!("SUPPLY_ACTION_TOOLS_{name}"))
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Keeps the sandboxes' servers running between tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) fn start(config: SandboxConfig) -> Sandbox {
    RUNTIME.block_on(sandbox::start(config)).unwrap()
}

/// Runs a program; gives its exit and everything it said.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

/// As `run`, for what must succeed; gives what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// One at a time uses the Docker engine: containers are called after workflow and job, and all that
/// are left are looked at.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    output(Command::new("docker").args(arguments))
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for (name, value) in [("NAME", "octo-releaser"), ("EMAIL", "octo@example.com")] {
        command
            .env(format!("GIT_AUTHOR_{name}"), value)
            .env(format!("GIT_COMMITTER_{name}"), value);
    }
    output(command.args(arguments)).trim().to_owned()
}

/// Copies a file or a folder; where a folder is already, a folder goes into that, and its content
/// (`from/.`) beside what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    output(Command::new("cp").arg("-r").arg(from).arg(to));
}

pub(crate) struct World {
    /// Serves the base images of builds, the runner's image, and ours.
    pub(crate) mirror: Sandbox,
    pub(crate) folder: PathBuf,
    /// Our image, with its digest.
    pub(crate) image: String,
    /// A clone of this repository at the commit of a release that runs `image`.
    pub(crate) release: PathBuf,
    /// The machine that jobs run on, as an image.
    pub(crate) runner: String,
}

/// The world, made once.
pub(crate) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        // A static is never dropped, so what an earlier run left goes now.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let images = required("SUPPLY_ACTION_IMAGES");
        let mut config = SandboxConfig::new(folder.join("mirror"));
        config.registry_port = Some(required("MIRROR_PORT").to_str().unwrap().parse().unwrap());
        config.preload = ["busybox", "debian", "runner"].map(|image| images.join(image)).to_vec();
        let mirror = start(config);
        let runner = format!("{}/library/runner:latest", mirror.registry());
        docker(&["pull", "--quiet", &runner]);
        let image = our_image(&folder, mirror.registry());
        docker(&["pull", "--quiet", &image]);
        let release = release(&folder, &image);
        World { mirror, folder, image, release, runner }
    });
    &WORLD
}

/// Builds `context` and pushes it to the mirror; gives the image with its digest.
pub(crate) fn build(folder: &Path, name: &str, arguments: &[&str]) -> String {
    let (buildx, builder) = (tool("BUILDX"), required("SUPPLY_ACTION_BUILDER"));
    let home = folder.join("buildx");
    let (success, said) =
        run(Command::new(&buildx).env("BUILDX_CONFIG", &home).args(["inspect", "e2e"]));
    if !success {
        assert!(!said.is_empty());
        output(
            Command::new(&buildx)
                .env("BUILDX_CONFIG", &home)
                .args(["create", "--name", "e2e", "--driver", "remote"])
                .arg(builder),
        );
    }
    let metadata = folder.join("metadata.json");
    let mut command = Command::new(&buildx);
    command
        .env("BUILDX_CONFIG", &home)
        .args(["build", "--builder", "e2e", "--provenance=false", "--metadata-file"])
        .arg(&metadata);
    output(
        command.arg("--output").arg(format!("type=image,name={name},push=true")).args(arguments),
    );
    let metadata: Value = serde_json::from_slice(&std::fs::read(&metadata).unwrap()).unwrap();
    format!("{name}@{}", metadata["containerimage.digest"].as_str().unwrap())
}

/// The image of our Dockerfile. What its first stages would compile is here already; where Docker
/// Hub is out of reach, base images are ours.
fn our_image(folder: &Path, registry: &str) -> String {
    let (program, base) = (folder.join("program"), folder.join("base"));
    std::fs::create_dir_all(&program).unwrap();
    std::fs::create_dir_all(base.join("root-fs/tmp")).unwrap();
    output(Command::new("chmod").arg("1777").arg(base.join("root-fs/tmp")));
    for (from, to) in [(required("SUPPLY_ACTION_BIN"), "supply-action"), (tool("BUILDX"), "buildx")]
    {
        copy(&from, &program.join(to));
    }
    copy(
        "/etc/ssl/certs/ca-certificates.crt".as_ref(),
        &base.join("root-fs/etc/ssl/certs/ca-certificates.crt"),
    );
    let context = |name: &str, path: &Path| format!("{name}={}", path.display());
    let (program, base) = (context("program", &program), context("base", &base));
    #[rustfmt::skip]
    let arguments = [
        "--build-arg", "RUST_IMAGE=busybox:1.35", "--build-arg", "GO_IMAGE=busybox:1.35", "--build-context", &program, "--build-context", &base,
        root().to_str().unwrap(),
    ];
    build(folder, &format!("{registry}/org/supply-action"), &arguments)
}

/// What a release leaves behind, made by the tool that a release uses: this repository, with
/// actions that run `image`.
fn release(folder: &Path, image: &str) -> PathBuf {
    let clone = folder.join("release");
    for name in [
        "Cargo.toml",
        "action.yml",
        "merge",
        "bake",
        "promote",
        "scan",
        ".github",
        "examples/workflows",
        "tools/release-commit",
    ] {
        if root().join(name).exists() {
            copy(&root().join(name), &clone.join(name));
        }
    }
    git(&clone, &["init", "--quiet", "-b", "main"]);
    git(&clone, &["add", "."]);
    git(&clone, &["commit", "--quiet", "-m", "what is released"]);
    let commit = output(
        Command::new(clone.join("tools/release-commit"))
            .current_dir(&clone)
            .args(["v1.0.0", image]),
    );
    git(&clone, &["checkout", "--quiet", commit.trim()]);
    for called in
        ["publish.yml", "publish-custom.yml"].map(|name| clone.join(".github/workflows").join(name))
    {
        std::fs::write(
            &called,
            written_out(&std::fs::read_to_string(&called).unwrap(), &planned()),
        )
        .unwrap();
    }
    clone
}

/// The legs that the reusable workflow plans by itself; that it does is read in its log.
pub(crate) fn planned() -> Value {
    json!([
        { "number": 0, "platform": "linux/amd64", "runner": "ubuntu-24.04" },
        { "number": 1, "platform": "linux/arm64", "runner": "ubuntu-24.04-arm" },
    ])
}
