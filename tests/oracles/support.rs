//! One world for all oracle tests: a sandbox with real base images at the port that BuildKit's
//! mirror expects, and real programs. It asserts only that programs succeed when they must.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use supply_action::sandbox::{self, Claims, Sandbox, SandboxConfig};
use tokio::runtime::Runtime;

/// What a set-up variable holds; without it there is no judge, and no verdict.
pub(crate) fn required(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run these tests with `make test`"))
        .into()
}

pub(crate) fn tool(name: &str) -> PathBuf {
    required(&format!("SUPPLY_ACTION_TOOLS_{name}"))
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: PathBuf,
}

/// Keeps the sandbox's servers running between tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The world, made once.
pub(crate) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        // A static is never dropped, so what an earlier run left goes now.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracles");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let images = required("SUPPLY_ACTION_IMAGES");
        let mut config = SandboxConfig::new(folder.join("sandbox"));
        config.registry_port = Some(required("MIRROR_PORT").to_str().unwrap().parse().unwrap());
        config.preload = ["busybox", "debian", "golang"].map(|image| images.join(image)).to_vec();
        config.claims = Claims::of("example/hello", "refs/tags/v1.2.3", "push");
        World { sandbox: RUNTIME.block_on(sandbox::start(config)).unwrap(), folder }
    });
    &WORLD
}

/// A sandbox whose registry demands tokens.
pub(crate) fn another_sandbox(folder: &Path, login: (&str, &str)) -> Sandbox {
    let mut config = SandboxConfig::new(folder.to_owned());
    config.registry_login = Some((login.0.to_owned(), login.1.to_owned()));
    RUNTIME.block_on(sandbox::start(config)).unwrap()
}

/// A sandbox whose OSV service has these records too.
pub(crate) fn sandbox_with_advisories(folder: &Path, advisories: &Path) -> Sandbox {
    let mut config = SandboxConfig::new(folder.to_owned());
    config.advisories = Some(advisories.to_owned());
    RUNTIME.block_on(sandbox::start(config)).unwrap()
}

pub(crate) fn get(url: &str) -> Vec<u8> {
    RUNTIME.block_on(async {
        reqwest::get(url).await.unwrap().error_for_status().unwrap().bytes().await.unwrap().to_vec()
    })
}

pub(crate) fn put(url: &str, media_type: &str, bytes: &[u8]) {
    let request =
        reqwest::Client::new().put(url).header("content-type", media_type).body(bytes.to_vec());
    RUNTIME.block_on(async { request.send().await.unwrap().error_for_status().unwrap() });
}

/// Pushes a blob to a repository, given as `http://HOST/v2/PATH`.
pub(crate) fn put_blob(base: &str, digest: &supply_action::image::Digest, bytes: &[u8]) {
    RUNTIME.block_on(async {
        let client = reqwest::Client::new();
        let opened = client
            .post(format!("{base}/blobs/uploads/"))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        let mut place = opened.url().join(opened.headers()["location"].to_str().unwrap()).unwrap();
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        client
            .put(place)
            .header("content-type", "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    });
}

/// How one run of the program ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
}

impl Run {
    pub(crate) fn json(&self, output: &str) -> Value {
        serde_json::from_str(&self.outputs[output]).unwrap()
    }

    /// Every signed digest with what it is: `index`, `platform`, `attestations`.
    pub(crate) fn subjects(&self) -> Vec<(String, String)> {
        let evidence = self.json("evidence");
        let subjects = evidence["subjects"].as_array().unwrap();
        subjects
            .iter()
            .map(|subject| {
                (
                    subject["kind"].as_str().unwrap().to_owned(),
                    subject["digest"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }
}

/// An example as a job checks it out: files of the repository that the run is of. Whatever this
/// checkout was cloned from is no matter.
pub(crate) fn checkout(example: &str) -> PathBuf {
    static MADE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MADE.lock();
    let folder = world().folder.join("checkouts").join(example);
    if folder.exists() {
        return folder;
    }
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let succeeds =
        |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    succeeds(Command::new("cp").arg("-r").arg(original).arg(&folder));
    for arguments in [
        ["init", "--quiet"].as_slice(),
        &["remote", "add", "origin", "https://github.com/example/hello"],
        &["add", "--all"],
        &[
            "-c",
            "user.name=Example",
            "-c",
            "user.email=hello@example.com",
            "commit",
            "--quiet",
            "--message",
            "all",
        ],
    ] {
        succeeds(Command::new("git").current_dir(&folder).args(arguments));
    }
    folder
}

/// Publishes an example with the real program, the real buildx and the real BuildKit, as a workflow
/// step would.
pub(crate) fn publish(example: &str, image: &str, change: &[(&str, &str)]) -> Run {
    run(&[], example, image, change)
}

/// As `publish`, for another verb.
pub(crate) fn run(arguments: &[&str], example: &str, image: &str, change: &[(&str, &str)]) -> Run {
    let world = world();
    let folder = tempfile::tempdir_in(world.folder.as_path()).unwrap();
    let mut command = Command::new(required("SUPPLY_ACTION_BIN"));
    command.env_clear().envs(world.sandbox.environment());
    command
        .env("PATH", required("PATH"))
        .env("BUILDX", tool("BUILDX"))
        .env("GITHUB_ACTIONS", "true")
        .env("RUNNER_TEMP", folder.path());
    command
        .env("GITHUB_OUTPUT", folder.path().join("output"))
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary"));
    for (input, value) in [
        ("IMAGES", image),
        ("TAGS", "v1.2.3\nv1.2\nlatest"),
        ("PLATFORMS", "linux/amd64,linux/arm64"),
        ("CONTEXT", checkout(example).to_str().unwrap()),
        ("SIGNING-CONFIG", world.sandbox.signing_config().to_str().unwrap()),
        ("TRUSTED-ROOT", world.sandbox.trusted_root().to_str().unwrap()),
        ("BUILDER-ENDPOINT", required("SUPPLY_ACTION_BUILDER").to_str().unwrap()),
    ] {
        command.env(format!("INPUT_{input}"), value);
    }
    for (name, value) in change {
        command.env(name, value);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Run {
        code: output.status.code(),
        log,
        outputs: parse_outputs(&read("output")),
        summary: read("summary"),
    }
}

/// The compiled example, published once for all judges.
pub(crate) fn published() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let run = publish("greeter", &format!("{}/greeter", world().sandbox.registry()), &[]);
        assert_eq!(run.code, Some(0), "{}", run.log);
        run
    })
}

/// Runs a judge; gives its exit and everything it said.
pub(crate) fn judge(program: &Path, arguments: &[&str]) -> (bool, String) {
    let home = world().folder.as_path();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", required("PATH"))
        .env("HOME", home)
        .env("DOCKER_CONFIG", home)
        .env("BUILDX_CONFIG", home.join("buildx"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

/// As `judge`, for one that must succeed.
pub(crate) fn accepts(program: &Path, arguments: &[&str]) -> String {
    let (success, said) = judge(program, arguments);
    assert!(success, "`{} {}` said:\n{said}", program.display(), arguments.join(" "));
    said
}

/// A server that ends with its value.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server and waits until its port answers.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        env: &[(&str, &str)],
        port: u16,
    ) -> Self {
        let log = world().folder.as_path().join(format!("{name}-{port}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let mut server = Self { child: command.spawn().unwrap(), log };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{name} did not start ({ended:?}):\n{}",
                server.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn said(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.log).unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}

/// cosign 3 and 2; the older one must be told to look for bundles.
pub(crate) fn cosigns() -> [(PathBuf, &'static [&'static str]); 2] {
    [(tool("COSIGN3"), &[]), (tool("COSIGN2"), &["--new-bundle-format"])]
}

/// The flags that say whom to believe and who must have signed.
pub(crate) fn trust<'a>(root: &'a str, identity: &'a str, issuer: &'a str) -> Vec<&'a str> {
    vec![
        "--trusted-root",
        root,
        "--certificate-identity",
        identity,
        "--certificate-oidc-issuer",
        issuer,
        "--allow-http-registry",
    ]
}

/// `env` with what cosign 2 takes in place of a trusted root when it reads the older format.
pub(crate) fn older_trust() -> Vec<String> {
    older_files().map(|(name, file)| format!("{name}={}", file.display())).to_vec()
}

/// The sandbox's certificate authority, and the keys of its logs, as files in PEM by cosign's names
/// for them.
pub(crate) fn older_files() -> [(&'static str, PathBuf); 3] {
    use base64::Engine as _;
    let world = world();
    let root: Value =
        serde_json::from_slice(&std::fs::read(world.sandbox.trusted_root()).unwrap()).unwrap();
    let pem = |raw: &Value, kind: &str| {
        let der = base64::engine::general_purpose::STANDARD
            .decode(raw["rawBytes"].as_str().unwrap())
            .unwrap();
        format!(
            "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
            base64::engine::general_purpose::STANDARD.encode(der)
        )
    };
    let authority: String = root["certificateAuthorities"][0]["certChain"]["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| pem(certificate, "CERTIFICATE"))
        .collect();
    [
        ("SIGSTORE_ROOT_FILE", authority),
        ("SIGSTORE_REKOR_PUBLIC_KEY", pem(&root["tlogs"][0]["publicKey"], "PUBLIC KEY")),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", pem(&root["ctlogs"][0]["publicKey"], "PUBLIC KEY")),
    ]
    .map(|(name, text)| {
        let file = world.folder.join(name);
        std::fs::write(&file, text).unwrap();
        (name, file)
    })
}
