//! Standard error, which a runner reads as a log: commands of ours, and text between
//! `::stop-commands::` and its token, where the runner obeys none. It writes no text that was not
//! made inert before.
//!
//! Reference: <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#stopping-and-starting-workflow-commands>.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::text;
use crate::github::workflow;

/// Standard error is one, whoever writes to it.
static LOG: Mutex<RunLog> =
    Mutex::new(RunLog { workflow: false, token: None, group: LogGroup::None, secrets: Vec::new() });

struct RunLog {
    /// Whether a runner reads it.
    workflow: bool,
    /// What ends the block of text that is open.
    token: Option<String>,
    group: LogGroup,
    secrets: Vec<String>,
}

/// What folds lines in a runner's log.
enum LogGroup {
    None,
    /// It opens with its first line: one without is none.
    Named(String),
    Open,
}

fn log() -> MutexGuard<'static, RunLog> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says who reads the log.
pub(super) fn open(workflow: bool) {
    log().workflow = workflow;
}

/// Ends the block of text, so that the runner obeys again.
pub fn close() {
    let mut log = log();
    let mut lines = Vec::new();
    log.resume(&mut lines);
    put(&lines);
}

/// Folds the lines up to the end of the group under this name, if there are any.
pub(super) fn begin_group(name: &str) {
    end_group();
    log().group = LogGroup::Named(name.to_owned());
}

pub(super) fn end_group() {
    let mut log = log();
    let mut lines = Vec::new();
    if matches!(std::mem::replace(&mut log.group, LogGroup::None), LogGroup::Open) {
        log.resume(&mut lines);
        lines.push(workflow::END_GROUP.to_owned());
    }
    put(&lines);
}

/// A line of anybody's text.
pub fn line(text: &str) {
    let mut log = log();
    let mut lines = Vec::new();
    log.enter(&mut lines);
    log.stop(&mut lines);
    lines.push(text::shown(&log.without_secrets(text)));
    put(&lines);
}

/// A line of ours with colours, of which every part is inert.
pub(super) fn painted(line: String) {
    let mut log = log();
    let mut lines = Vec::new();
    log.enter(&mut lines);
    log.stop(&mut lines);
    lines.push(line);
    put(&lines);
}

/// A command for the runner.
pub(super) fn command(command: String) {
    let mut log = log();
    let mut lines = Vec::new();
    log.resume(&mut lines);
    lines.push(command);
    put(&lines);
}

/// A part of a line, inert and without secrets.
pub(super) fn inert(text: &str) -> String {
    text::shown(&log().without_secrets(text))
}

/// A text without secrets, before anything else is done to it: half a secret is not known for one.
pub fn hidden(text: &str) -> String {
    text::without_passwords(&log().without_secrets(text))
}

/// As `inert`, for a text of several lines.
pub fn inert_lines(text: &str) -> Vec<String> {
    text::lines(&log().without_secrets(text))
}

/// Hides secrets in all that follows; gives the texts that a runner has to hide, each once.
pub(super) fn hide(secrets: &[String]) -> Vec<String> {
    let mut log = log();
    let mut new: Vec<String> = Vec::new();
    // A secret of several lines is seen line by line, and a log's line ends at a CR as well.
    let lines = secrets.iter().flat_map(|secret| secret.split(['\n', '\r'])).map(str::trim);
    // Shorter ones would blank out ordinary text.
    for line in lines.filter(|line| line.len() >= 3) {
        if !log.secrets.iter().any(|known| known == line) {
            log.secrets.push(line.to_owned());
            // As it reads when somebody else than we prints it, and as we would.
            for form in
                [line.to_owned(), text::inert(line), text::inert(&format!("x{line}")).split_off(1)]
            {
                if !new.contains(&form) {
                    new.push(form);
                }
            }
        }
    }
    // One that holds another is hidden first.
    log.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    new
}

impl RunLog {
    fn stop(&mut self, lines: &mut Vec<String>) {
        if self.workflow && self.token.is_none() {
            let token = format!("supply-action-{:032x}", rand::random::<u128>());
            lines.push(format!("::stop-commands::{token}"));
            self.token = Some(token);
        }
    }

    /// Opens the group that the next line is the first of.
    fn enter(&mut self, lines: &mut Vec<String>) {
        if let LogGroup::Named(name) = &self.group {
            let opened = workflow::group(name);
            self.group = LogGroup::Open;
            self.resume(lines);
            lines.push(opened);
        }
    }

    fn resume(&mut self, lines: &mut Vec<String>) {
        lines.extend(self.token.take().map(|token| format!("::{token}::")));
    }

    fn without_secrets(&self, text: &str) -> String {
        let hidden = |text: String, secret: &String| {
            if text.contains(secret) { text.replace(secret, text::HIDDEN) } else { text }
        };
        self.secrets.iter().fold(text.to_owned(), hidden)
    }
}

fn put(lines: &[String]) {
    if !lines.is_empty() {
        // A closed log is no reason to stop publishing.
        let _ = io::stderr().lock().write_all(format!("{}\n", lines.join("\n")).as_bytes());
    }
}

/// Takes what is written a line at a time.
#[derive(Debug, Default)]
pub struct LineWriter(Vec<u8>);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.flush()?,
                byte => self.0.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.0.is_empty() {
            line(&String::from_utf8_lossy(&std::mem::take(&mut self.0)));
        }
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
