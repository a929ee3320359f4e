//! Running another program: its output passed on live, its end explained. It never puts a secret on a command line, and
//! never hands the child our inputs, the key that signs, or the right to ask for tokens.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::error::Remedy as _;
use crate::github::Environment;

/// Of a failed program's output, this many lines are repeated in the error.
const TAIL: usize = 12;

/// A program and the arguments that always come first (`docker buildx`).
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    leading: Vec<OsString>,
    environment: Environment,
    folder: Option<PathBuf>,
}

/// Whether the child may draw on our terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// It writes to our standard error itself.
    Inherited,
    /// Its standard error is passed on line by line, and its end is quoted when it fails.
    Relayed,
    /// Only shown when it fails.
    Kept,
}

impl Program {
    /// `env` less what a child must not see: our inputs hold passwords, the request token mints identities, and the key signs.
    pub fn new(path: PathBuf, leading: &[&str], env: &Environment) -> Self {
        let environment = env
            .iter()
            .filter(|(name, _)| !name.starts_with("INPUT_") && !name.starts_with("ACTIONS_ID_TOKEN_REQUEST_"))
            .filter(|(name, _)| !["COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"].contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self { path, leading: leading.iter().map(OsString::from).collect(), environment, folder: None }
    }

    pub fn with_env(mut self, name: &str, value: &Path) -> Self {
        self.environment.insert(name.to_owned(), value.to_string_lossy().into_owned());
        self
    }

    /// Runs it in another folder than ours.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs to the end and gives what it wrote to standard output; an error quotes the last lines of its standard error.
    pub async fn capture(&self, arguments: &[String]) -> anyhow::Result<String> {
        let mut child = self.start(arguments, Output::Kept, Stdio::piped())?;
        let mut text = String::new();
        let read = async {
            match child.stdout.take() {
                Some(mut stdout) => stdout.read_to_string(&mut text).await.map(drop),
                None => Ok(()),
            }
        };
        let (tail, read) = tokio::join!(follow(child.stderr.take(), Output::Kept), read);
        read.context("reading the output of a program")?;
        self.end(&mut child, tail?, Output::Kept).await?;
        Ok(text)
    }

    /// Runs to the end; an error quotes the last lines it wrote. Dropping the future kills the program.
    pub async fn run(&self, arguments: &[String], output: Output) -> anyhow::Result<()> {
        let mut child = self.start(arguments, output, Stdio::null())?;
        let tail = follow(child.stderr.take(), output).await?;
        self.end(&mut child, tail, output).await
    }

    /// Runs to the end without a runtime, for clean-up while everything is being dropped. Its output is not shown.
    pub fn run_blocking(&self, arguments: &[String]) {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = std::process::Command::new(&self.path);
        command.args(&self.leading).args(arguments).env_clear().envs(&self.environment);
        // Nobody is left to tell.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    fn start(&self, arguments: &[String], output: Output, stdout: Stdio) -> anyhow::Result<Child> {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(&self.path);
        command
            .args(&self.leading)
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(stdout)
            .kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stderr(if output == Output::Inherited { Stdio::inherit() } else { Stdio::piped() });
        command
            .spawn()
            .with_context(|| format!("`{}` could not be started", self.path.display()))
            .hint("install buildx, or name it with the environment variable BUILDX")
    }

    async fn end(&self, child: &mut Child, tail: VecDeque<String>, output: Output) -> anyhow::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let status = child.wait().await.with_context(|| format!("waiting for `{name}`"))?;
        if status.success() {
            return Ok(());
        }
        let said: Vec<&str> = tail.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        match said.iter().rev().find(|line| line.starts_with("ERROR")).or(said.last()) {
            Some(_) if output == Output::Kept => bail!("`{name}` ended with {status}: {}", said.join("\n")),
            Some(reason) => bail!("`{name}` ended with {status}: {reason}"),
            None => bail!("`{name}` ended with {status}"),
        }
    }
}

/// Reads a child's standard error to its end, and gives the last lines.
async fn follow(stderr: Option<ChildStderr>, output: Output) -> anyhow::Result<VecDeque<String>> {
    let mut tail = VecDeque::new();
    let Some(stderr) = stderr else { return Ok(tail) };
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Some(line) = lines.next_segment().await.context("reading the output of a program")? {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if output == Output::Relayed {
            relay(&line);
        }
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
    Ok(tail)
}

fn relay(line: &str) {
    use std::io::Write as _;
    // A line that looks like a workflow command must stay text: build output is not ours to trust.
    let safe = if line.trim_start().starts_with("::") { format!(" |{line}") } else { line.to_owned() };
    let _ = writeln!(std::io::stderr().lock(), "{safe}");
}

/// Looks a program up in `PATH`.
pub fn find(name: &str, env: &Environment) -> Option<PathBuf> {
    let path = env.get("PATH")?;
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
