//! The result of BuildKit's own checks (`call: check`) → weaknesses. It runs no check.
//!
//! Shape: <https://github.com/moby/buildkit/blob/master/frontend/subrequests/lint/lint.go>.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Gravity, WeakPlace, Weakness};
use crate::text::seen::visible;

/// The result is no JSON of that shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result of the build's checks cannot be read at line {line}, column {column}")]
pub struct BadLint {
    pub line: usize,
    pub column: usize,
}

#[derive(Deserialize)]
struct LintResult {
    #[serde(default)]
    warnings: Option<Vec<LintWarning>>,
    #[serde(default)]
    sources: Option<Vec<LintSource>>,
    #[serde(default, rename = "buildError")]
    error: Option<LintError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LintWarning {
    rule_name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    location: LintLocation,
}

#[derive(Deserialize)]
struct LintSource {
    #[serde(default)]
    filename: String,
}

#[derive(Deserialize)]
struct LintError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    location: LintLocation,
}

/// Go leaves out numbers that are zero. Without a source the index is below that.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LintLocation {
    source_index: i64,
    ranges: Option<Vec<LintRange>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LintRange {
    start: LintPosition,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LintPosition {
    line: i64,
}

/// What the checks say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintReport {
    /// In the order of the result.
    pub weaknesses: Vec<Weakness>,
    /// Why the checks ended early, so that nobody knows of the rest.
    pub broken: Option<String>,
}

/// Checks of BuildKit about secrets.
const SEVERE: [&str; 1] = ["SecretsUsedInArgOrEnv"];
const LONGEST_TEXT: usize = 500;
/// More than anybody reads.
const MOST: usize = 1000;

/// Reads one result.
pub fn read_lint(json: &[u8]) -> Result<LintReport, BadLint> {
    let result: LintResult = serde_json::from_slice(json)
        .map_err(|error| BadLint { line: error.line(), column: error.column() })?;
    let sources = result.sources.unwrap_or_default();
    let place = |location: &LintLocation| {
        let source = usize::try_from(location.source_index).ok();
        let file = source.and_then(|at| sources.get(at)).map(|it| it.filename.as_str());
        let file = file.filter(|name| !name.is_empty()).unwrap_or("Dockerfile");
        let first = location.ranges.iter().flatten().next().map(|range| range.start.line);
        let line = first.and_then(|line| u32::try_from(line).ok()).unwrap_or(1).max(1);
        WeakPlace::Line { file: told(file), line }
    };
    let of_warning = |warning: LintWarning| Weakness {
        rule: Cow::Owned(format!("buildkit/{}", told(&warning.rule_name))),
        gravity: match SEVERE.contains(&warning.rule_name.as_str()) {
            true => Gravity::Warning,
            false => Gravity::Note,
        },
        message: told(if warning.detail.is_empty() {
            &warning.description
        } else {
            &warning.detail
        }),
        hint: match warning.url.is_empty() {
            true => told(&warning.description),
            false => format!("{}: {}", told(&warning.description), told(&warning.url)),
        },
        place: place(&warning.location),
    };
    let warnings = result.warnings.unwrap_or_default();
    let left_out = warnings.len().saturating_sub(MOST);
    let broken = match (result.error, left_out) {
        (Some(error), _) => Some(format!("{}: {}", place(&error.location), told(&error.message))),
        (None, 0) => None,
        (None, more) => Some(format!("{more} more of them are not listed")),
    };
    let weaknesses = warnings.into_iter().take(MOST).map(of_warning).collect();
    Ok(LintReport { weaknesses, broken })
}

fn told(text: &str) -> String {
    visible(text).chars().take(LONGEST_TEXT).collect()
}
