//! Running another program: its output passed on live, its end explained. It never puts a secret on
//! a command line, and never hands the child a variable of the job that nobody named; our inputs,
//! the key that signs, and the right to ask for tokens not even then.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::report::{log, text};

/// Of a program's output, this many lines are at hand when it fails, and so many are repeated as
/// they are.
const KEPT: usize = 400;
const TAIL: usize = 12;

/// A program and the arguments that always come first (`docker buildx`).
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    leading: Vec<OsString>,
    variables: Variables,
    folder: Option<PathBuf>,
}

/// What a child program is told of the job's variables.
#[derive(Debug, Clone)]
pub struct Variables(Environment);

/// What programs need to run, to find Docker and BuildKit, and to reach the network.
const PASSED: [&str; 45] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "LANG",
    "LANGUAGE",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_HOST",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "BAKE_ALLOW_REMOTE_FS_ACCESS",
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "CI",
    "ImageOS",
    "ImageVersion",
    "RUNNER_ARCH",
    "RUNNER_OS",
];
const PASSED_PREFIXES: [&str; 3] = ["BUILDX_", "BUILDKIT_", "LC_"];
/// How a runner describes the run; all of it stands in every log. buildx writes it beside the
/// builds that it keeps, and bake files read it.
const OF_RUN: [&str; 33] = [
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_ACTOR_ID",
    "GITHUB_API_URL",
    "GITHUB_BASE_REF",
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_GRAPHQL_URL",
    "GITHUB_HEAD_REF",
    "GITHUB_JOB",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_RETENTION_DAYS",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_TRIGGERING_ACTOR",
    "GITHUB_WORKFLOW",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA",
    "GITHUB_WORKSPACE",
    "RUNNER_DEBUG",
    "RUNNER_ENVIRONMENT",
    "RUNNER_NAME",
    "RUNNER_TRACKING_ID",
];
/// How the stand-ins for buildx in tests are told what to do; they are named by `BUILDX`, and the
/// program of the action never is.
const OF_STAND_INS: [&str; 2] = ["FAKE_BUILDX", "LAB_"];

/// Whether no program may have a variable, whoever names it: inputs hold passwords, the request
/// token mints identities, and the key signs.
pub fn is_ours(name: &str) -> bool {
    ["INPUT_", "ACTIONS_ID_TOKEN_REQUEST_"].iter().any(|start| name.starts_with(start))
        || ["COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"].contains(&name)
}

impl Variables {
    /// Those that every program gets.
    pub fn of(env: &Environment) -> Self {
        let stands_in = env.get("BUILDX").is_some_and(|path| !path.is_empty());
        let is_passed = |name: &str| {
            PASSED.contains(&name)
                || OF_RUN.contains(&name)
                || PASSED_PREFIXES.iter().any(|start| name.starts_with(start))
                || (stands_in && OF_STAND_INS.iter().any(|start| name.starts_with(start)))
        };
        // One that is empty tells nothing, and is not the same as none.
        let is_empty = |name: &str, value: &str| value.is_empty() && !is_ours(name);
        Self(
            env.iter()
                .filter(|(name, value)| is_passed(name) || is_empty(name, value))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// With those of these names; one that ends in `*` stands for all that begin so.
    pub fn and<N: AsRef<str>>(mut self, env: &Environment, names: &[N]) -> Self {
        let is_named = |name: &str| {
            names.iter().map(AsRef::as_ref).any(|named| {
                named.strip_suffix('*').map_or(named == name, |start| name.starts_with(start))
            })
        };
        self.0.extend(
            env.iter()
                .filter(|(name, _)| is_named(name) && !is_ours(name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        self
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// A program that ended badly, with the last lines it wrote.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FailedCommand {
    message: String,
    pub said: Vec<String>,
}

#[cfg(test)]
impl FailedCommand {
    pub(crate) fn of(said: Vec<String>) -> Self {
        Self { message: "`buildx` ended with exit status: 1".to_owned(), said }
    }
}

/// Whether the child may draw on our terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildOutput {
    /// It writes to our standard error itself.
    Inherited,
    /// Its standard error is passed on line by line, and its end is quoted when it fails.
    Relayed,
    /// Only shown when it fails.
    Kept,
}

impl Program {
    pub fn new(path: PathBuf, leading: &[&str], variables: Variables) -> Self {
        Self {
            path,
            leading: leading.iter().map(OsString::from).collect(),
            variables,
            folder: None,
        }
    }

    pub fn with_env(mut self, name: &str, value: &Path) -> Self {
        self.variables.0.insert(name.to_owned(), value.to_string_lossy().into_owned());
        self
    }

    /// With more of the job's variables.
    pub fn with_variables<N: AsRef<str>>(mut self, env: &Environment, names: &[N]) -> Self {
        self.variables = self.variables.and(env, names);
        self
    }

    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Runs it in another folder than ours.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs to the end and gives what it wrote to standard output; an error quotes the last lines
    /// of its standard error.
    pub async fn capture(&self, arguments: &[String]) -> anyhow::Result<String> {
        let mut child = self.start(arguments, ChildOutput::Kept, Stdio::piped())?;
        let mut text = String::new();
        let read = async {
            match child.stdout.take() {
                Some(mut stdout) => stdout.read_to_string(&mut text).await.map(drop),
                None => Ok(()),
            }
        };
        let unseen: &mut (dyn FnMut(&str) + Send) = &mut |_| ();
        let (tail, read) =
            tokio::join!(follow(child.stderr.take(), ChildOutput::Kept, unseen), read);
        read.context("reading the output of a program")?;
        self.end(&mut child, tail?, ChildOutput::Kept).await?;
        Ok(text)
    }

    /// Runs to the end; an error quotes the last lines it wrote. Dropping the future kills the
    /// program.
    pub async fn run(&self, arguments: &[String], output: ChildOutput) -> anyhow::Result<()> {
        self.run_seen(arguments, output, &mut |_| ()).await
    }

    /// As `run`; `seen` gets each line that is passed on.
    pub async fn run_seen(
        &self,
        arguments: &[String],
        output: ChildOutput,
        seen: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<()> {
        let mut child = self.start(arguments, output, Stdio::null())?;
        let tail = follow(child.stderr.take(), output, seen).await?;
        self.end(&mut child, tail, output).await
    }

    /// Runs to the end without a runtime, for clean-up while everything is being dropped. Its
    /// output is not shown.
    pub fn run_blocking(&self, arguments: &[String]) {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = std::process::Command::new(&self.path);
        command.args(&self.leading).args(arguments).env_clear().envs(&self.variables.0);
        // Nobody is left to tell.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    fn start(
        &self,
        arguments: &[String],
        output: ChildOutput,
        stdout: Stdio,
    ) -> anyhow::Result<Child> {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(&self.path);
        command
            .args(&self.leading)
            .args(arguments)
            .env_clear()
            .envs(&self.variables.0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stderr(if output == ChildOutput::Inherited {
            Stdio::inherit()
        } else {
            Stdio::piped()
        });
        command
            .spawn()
            .with_context(|| format!("`{}` could not be started", self.path.display()))
            .hint("install buildx, or name it with the environment variable BUILDX")
    }

    async fn end(
        &self,
        child: &mut Child,
        tail: VecDeque<String>,
        output: ChildOutput,
    ) -> anyhow::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let status = child.wait().await.with_context(|| format!("waiting for `{name}`"))?;
        if status.success() {
            return Ok(());
        }
        let said: Vec<String> = tail.into_iter().filter(|line| !line.is_empty()).collect();
        let message = match said.iter().rev().find(|line| line.starts_with("ERROR")).or(said.last())
        {
            Some(_) if output == ChildOutput::Kept => {
                format!(
                    "`{name}` ended with {status}: {}",
                    said[said.len().saturating_sub(TAIL)..].join("\n  ")
                )
            }
            Some(reason) => format!("`{name}` ended with {status}: {reason}"),
            None => format!("`{name}` ended with {status}"),
        };
        Err(FailedCommand { message, said }.into())
    }
}

/// Reads a child's standard error to its end, and gives the last lines.
async fn follow(
    stderr: Option<ChildStderr>,
    output: ChildOutput,
    seen: &mut (dyn FnMut(&str) + Send),
) -> anyhow::Result<VecDeque<String>> {
    let mut tail = VecDeque::new();
    let Some(stderr) = stderr else { return Ok(tail) };
    let mut stderr = BufReader::new(stderr);
    let mut lines = OutputLines::default();
    loop {
        let read = stderr.fill_buf().await.context("reading the output of a program")?;
        let (count, ended) = (read.len(), read.is_empty());
        let found = if ended { lines.last() } else { lines.split(read) };
        stderr.consume(count);
        for line in found {
            seen(&line);
            if output == ChildOutput::Relayed {
                log::line(&line);
            }
            if tail.len() == KEPT {
                tail.pop_front();
            }
            tail.push_back(shortened(log::hidden(&line)));
        }
        if ended {
            return Ok(tail);
        }
    }
}

/// A program's output, taken apart where a log's reader sees lines end: at CR as well as at LF.
#[derive(Default)]
struct OutputLines {
    begun: Vec<u8>,
    after_return: bool,
}

/// What is kept of a line.
fn shortened(mut line: String) -> String {
    const MOST: usize = 4096;
    line.truncate(line.floor_char_boundary(MOST));
    line
}

/// A longer line is several.
const LONGEST: usize = 1 << 20;

impl OutputLines {
    fn split(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for byte in bytes {
            match byte {
                // The second half of a line end.
                b'\n' if std::mem::take(&mut self.after_return) => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    found.push(self.line());
                }
                byte => {
                    self.after_return = false;
                    self.begun.push(*byte);
                    if self.begun.len() == LONGEST {
                        found.push(self.line());
                    }
                }
            }
        }
        found
    }

    /// What was begun when the output ended.
    fn last(&mut self) -> Vec<String> {
        if self.begun.is_empty() { Vec::new() } else { vec![self.line()] }
    }

    fn line(&mut self) -> String {
        text::uncoloured(String::from_utf8_lossy(&std::mem::take(&mut self.begun)).trim_end())
    }
}

/// Looks a program up in `PATH`.
pub fn find(name: &str, env: &Environment) -> Option<PathBuf> {
    let path = env.get("PATH")?;
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_taken_apart_at_every_line_end() {
        let mut lines = OutputLines::default();
        let mut found = lines.split(b"one\r");
        found.extend(lines.split(b"\ntwo  \n\n\r\r\nthr\x1b[32mee\r::set-output::x\nla"));
        found.extend(lines.split(b"st"));
        found.extend(lines.last());
        assert_eq!(found, ["one", "two", "", "", "", "three", "::set-output::x", "last"]);
        let long = vec![b'x'; LONGEST + 1];
        let mut found = lines.split(&long);
        found.extend(lines.last());
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, 1]);
    }

    #[test]
    fn a_program_gets_what_every_program_needs_and_what_is_named() {
        let names = [
            "PATH",
            "https_proxy",
            "BUILDX_CONFIG",
            "BUILDKIT_HOST",
            "DOCKER_HOST",
            "GITHUB_SHA",
            "GITHUB_TOKEN",
            "GITHUB_ENV",
            "DOCKER_PASSWORD",
            "DOCKER_AUTH_CONFIG",
            "ACTIONS_RUNTIME_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_AUTH_SOCK",
            "KUBECONFIG",
            "LD_PRELOAD",
            "MINE",
            "LAB_MODE",
            "FAKE_BUILDX_SALT",
            "INPUT_PASSWORD",
            "COSIGN_PASSWORD",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        ];
        let mut env: Environment =
            names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        let passed = |variables: Variables| variables.0.into_keys().collect::<Vec<_>>();
        let always =
            ["BUILDKIT_HOST", "BUILDX_CONFIG", "DOCKER_HOST", "GITHUB_SHA", "PATH", "https_proxy"];
        assert_eq!(passed(Variables::of(&env)), always);
        let named = ["MINE", "AWS_*", "INPUT_PASSWORD", "COSIGN_PASSWORD", "ACTIONS_*", "NOWHERE"];
        let more = passed(Variables::of(&env).and(&env, &named));
        assert_eq!(
            more.iter().filter(|name| !always.contains(&name.as_str())).collect::<Vec<_>>(),
            ["ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY", "MINE"]
        );
        env.insert("BUILDX".to_owned(), "/stand/in".to_owned());
        assert!(
            ["LAB_MODE", "FAKE_BUILDX_SALT"].iter().all(|name| Variables::of(&env).has(name))
                && !Variables::of(&env).has("MINE")
        );
    }
}
