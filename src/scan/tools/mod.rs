//! SARIF files of other tools → their runs, checked to the letter: which tool, which results, how
//! bad each is. It judges none, and takes no result that it cannot read for none.
//!
//! Format: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>; severities as
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>
//! reads them.

mod document;
pub mod gate;
mod results;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::document::document;
use self::results::RulesOfRun;
use super::severity::SeverityLevel;
use super::text::plain;

/// More than any tool writes of one repository.
pub const LARGEST: u64 = 32 << 20;
/// GitHub refuses a file with more.
const MOST_RULES: usize = 25_000;
/// More than GitHub takes in five files.
const MOST_RUNS: usize = 100;

/// A file whose findings cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be used: {reason}", plain(file))]
pub struct BadSarif {
    pub file: String,
    pub reason: String,
}

/// What one run of a tool found.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolRun {
    /// As the user named it.
    pub file: String,
    /// Which one of the file, from 1.
    pub number: usize,
    pub tool: String,
    /// `automationDetails.id`: its own, or one that is made of tool and file.
    pub category: String,
    /// Whether it says itself that the tool failed.
    pub has_failed: bool,
    pub results: Vec<ToolResult>,
    /// As it is in the file.
    run: Value,
}

/// One result of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Empty where it names none.
    pub rule: String,
    /// By any of these somebody accepts it.
    pub ids: BTreeSet<String>,
    pub rating: ToolRating,
    /// `src/a.js:12`.
    pub place: Option<String>,
    pub message: String,
    pub standing: ResultStanding,
}

/// How bad a result is, and in which words its tool says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRating {
    pub level: SeverityLevel,
    /// `high, 8.1` or `error`.
    pub word: String,
}

/// Whether a result is a finding at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultStanding {
    Found,
    /// Somebody decided in the file that it does not count.
    Suppressed,
    /// What the tool looked for is not there.
    Passed,
}

/// The runs of a file.
///
/// # Errors
/// Why what its tools found is not known.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<ToolRun>, BadSarif> {
    let bad = |reason: String| BadSarif { file: file.to_owned(), reason };
    if bytes.len() as u64 > LARGEST {
        return Err(bad(format!("it has more than {LARGEST} bytes")));
    }
    let whole = document(bytes).map_err(|why| bad(format!("it is no JSON: {why}")))?;
    read_document(file, whole).map_err(bad)
}

fn read_document(file: &str, mut whole: Value) -> Result<Vec<ToolRun>, String> {
    if !whole.is_object() {
        return Err("it is no object".to_owned());
    }
    match whole.get("version").map(Value::as_str) {
        Some(Some("2.1.0")) => {}
        Some(Some(other)) => return Err(format!("it is SARIF `{}`, not `2.1.0`", plain(other))),
        Some(None) | None => return Err("it does not say that it is SARIF `2.1.0`".to_owned()),
    }
    if whole.get("inlineExternalProperties").is_some_and(|parts| *parts != json!([])) {
        return Err("it has `inlineExternalProperties`, which are not read".to_owned());
    }
    let Some(Value::Array(runs)) = whole.get_mut("runs").map(Value::take) else {
        return Err("it has no list `runs`".to_owned());
    };
    if runs.is_empty() {
        return Err("its list `runs` is empty, so no tool found anything".to_owned());
    }
    if runs.len() > MOST_RUNS {
        return Err(format!("it has more than {MOST_RUNS} runs"));
    }
    let numbered = runs.into_iter().enumerate();
    numbered
        .map(|(at, run)| {
            read_run(file, at + 1, run).map_err(|why| format!("run {}: {why}", at + 1))
        })
        .collect()
}

fn read_run(file: &str, number: usize, run: Value) -> Result<ToolRun, String> {
    if !run.is_object() {
        return Err("it is no object".to_owned());
    }
    let parts = run.get("externalPropertyFileReferences");
    if parts.is_some_and(|parts| !parts.is_null() && *parts != json!({})) {
        return Err("it keeps parts in other files, which are not read".to_owned());
    }
    let tool = run.pointer("/tool/driver/name").and_then(Value::as_str).unwrap_or_default();
    if tool.trim().is_empty() {
        return Err("it names no tool".to_owned());
    }
    let tool = tool.to_owned();
    let rules = RulesOfRun::read(&run)?;
    if rules.count() > MOST_RULES {
        return Err(format!("it has more than {MOST_RULES} rules, which GitHub takes no more of"));
    }
    let Some(Value::Array(listed)) = run.get("results") else {
        return Err("it has no list `results`, so what its tool found is not known".to_owned());
    };
    let results = listed.iter().enumerate().map(|(at, result)| {
        results::read(result, &rules, &run).map_err(|why| format!("result {}: {why}", at + 1))
    });
    let results = results.collect::<Result<Vec<ToolResult>, String>>()?;
    let category = match run.pointer("/automationDetails/id") {
        None | Some(Value::Null) => made_category(&tool, file, number),
        Some(Value::String(id)) if !id.trim().is_empty() => id.clone(),
        Some(_) => return Err("its `automationDetails.id` is no text".to_owned()),
    };
    let has_failed = has_failed(&run)?;
    Ok(ToolRun { file: file.to_owned(), number, tool, category, has_failed, results, run })
}

/// Of a run that names none: the same for the same file of the next commit.
fn made_category(tool: &str, file: &str, number: usize) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/".contains(letter);
    let word = |text: &str| -> String {
        text.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect()
    };
    let file = word(file.trim_start_matches("./"));
    let number = if number > 1 { format!("{number}/") } else { String::new() };
    format!("{}/{}/{number}", word(tool).replace('/', "-"), file.trim_matches('/'))
}

fn has_failed(run: &Value) -> Result<bool, String> {
    let invocations = match run.get("invocations") {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Array(invocations)) => invocations,
        Some(_) => return Err("its `invocations` are no list".to_owned()),
    };
    Ok(invocations.iter().any(|it| it.get("executionSuccessful") == Some(&Value::Bool(false))))
}

impl ToolRun {
    /// What GitHub tells runs of one tool apart by.
    fn key(&self) -> (&str, &str) {
        let category = self.category.rsplit_once('/').map_or("", |(category, _)| category);
        (&self.tool, category)
    }

    /// `run 2 of `a.sarif``.
    fn named(&self) -> String {
        format!("run {} of `{}`", self.number, plain(&self.file))
    }

    /// As it goes into a file of all, with no more than GitHub takes: the worst `most` results.
    /// Also how many are left out.
    pub(super) fn merged(&self, most: usize) -> (Value, usize) {
        let mut run = self.run.clone();
        if !run["automationDetails"].is_object() {
            run["automationDetails"] = json!({});
        }
        run["automationDetails"]["id"] = Value::from(self.category.clone());
        let left_out = self.results.len().saturating_sub(most);
        if left_out > 0 {
            let mut kept: Vec<usize> = (0..self.results.len()).collect();
            let rank = |at: &usize| self.results.get(*at).map(ToolResult::worst_first);
            kept.sort_by_key(rank);
            kept.truncate(most);
            kept.sort_unstable();
            if let Some(Value::Array(results)) = run.get_mut("results") {
                let all = std::mem::take(results).into_iter().enumerate();
                let some = all.filter(|(at, _)| kept.binary_search(at).is_ok());
                *results = some.map(|(_, result)| result).collect();
            }
        }
        results::limited(&mut run);
        (run, left_out)
    }
}

/// Whether GitHub can tell all runs apart, and from ours: those of `own` begin so.
///
/// # Errors
/// Which two it would take for one.
pub fn told_apart(runs: &[ToolRun], own: &[String]) -> Result<(), BadSarif> {
    for (at, run) in runs.iter().enumerate() {
        let bad = |reason: String| BadSarif { file: run.file.clone(), reason };
        if run.tool == "supply-action" && own.iter().any(|own| run.category.starts_with(own)) {
            return Err(bad(format!(
                "{} has the category `{}`, which is that of this step's own findings",
                run.named(),
                plain(&run.category)
            )));
        }
        if let Some(other) = runs.iter().take(at).find(|other| other.key() == run.key()) {
            return Err(bad(format!(
                "{} and {} have one category for one tool, `{}` and `{}` of `{}`",
                other.named(),
                run.named(),
                plain(&other.category),
                plain(&run.category),
                plain(&run.tool)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
