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
#[serde(rename_all = "camelCase")]
struct LintSource {
    #[serde(default)]
    file_name: String,
}

#[derive(Deserialize)]
struct LintError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    location: LintLocation,
}

/// Go leaves out numbers that are zero.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LintLocation {
    source_index: usize,
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
    line: u32,
}

/// Checks of BuildKit about secrets.
const SEVERE: [&str; 1] = ["SecretsUsedInArgOrEnv"];
const LONGEST_TEXT: usize = 500;

/// In the order of the result; a build that cannot run at all is one of them.
pub fn read_lint(json: &[u8]) -> Result<Vec<Weakness>, BadLint> {
    let result: LintResult = serde_json::from_slice(json)
        .map_err(|error| BadLint { line: error.line(), column: error.column() })?;
    let sources = result.sources.unwrap_or_default();
    let place = |location: &LintLocation| {
        let file = sources.get(location.source_index).map(|it| it.file_name.as_str());
        let file = file.filter(|name| !name.is_empty()).unwrap_or("Dockerfile");
        let first = location.ranges.iter().flatten().next();
        WeakPlace::Line { file: told(file), line: first.map_or(1, |range| range.start.line.max(1)) }
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
    let mut found: Vec<Weakness> =
        result.warnings.unwrap_or_default().into_iter().map(of_warning).collect();
    found.extend(result.error.map(|error| Weakness {
        rule: Cow::Borrowed("buildkit/error"),
        gravity: Gravity::Error,
        message: told(&error.message),
        hint: "The Dockerfile cannot be built as it is.".to_owned(),
        place: place(&error.location),
    }));
    Ok(found)
}

fn told(text: &str) -> String {
    visible(text).chars().take(LONGEST_TEXT).collect()
}
