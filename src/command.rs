//! Running another program: its output passed on live, its end explained. It never puts a secret on a command line, and
//! never hands the child our inputs or the right to ask for tokens.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

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
    /// `env` less what a child must not see: our inputs hold passwords, and the request token mints identities.
    pub fn new(path: PathBuf, leading: &[&str], env: &Environment) -> Self {
        let environment = env
            .iter()
            .filter(|(name, _)| !name.starts_with("INPUT_") && !name.starts_with("ACTIONS_ID_TOKEN_REQUEST_"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self { path, leading: leading.iter().map(OsString::from).collect(), environment }
    }

    pub fn with_env(mut self, name: &str, value: &Path) -> Self {
        self.environment.insert(name.to_owned(), value.to_string_lossy().into_owned());
        self
    }

    /// Runs to the end; an error quotes the last lines it wrote. Dropping the future kills the program.
    pub async fn run(&self, arguments: &[String], output: Output) -> anyhow::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(&self.path);
        command.args(&self.leading).args(arguments).env_clear().envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(Stdio::null());
        command.stderr(if output == Output::Inherited { Stdio::inherit() } else { Stdio::piped() });
        let mut child = command
            .spawn()
            .with_context(|| format!("`{}` could not be started", self.path.display()))
            .hint("install buildx, or name it with the environment variable BUILDX")?;
        let mut tail = VecDeque::new();
        if let Some(stderr) = child.stderr.take() {
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
        }
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
