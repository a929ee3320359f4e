//! Our own file of accepted risks: YAML → rules. Each has a reason, or the file is refused.

use serde::Deserialize;

use super::{AcceptedRisk, NumberedRule, RuledPackages, date};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreFile {
    accepted: Vec<IgnoreRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreRule {
    id: String,
    /// A purl, or a name.
    package: Option<String>,
    reason: Option<String>,
    expires: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<NumberedRule>, String> {
    let file: IgnoreFile = serde_saphyr::from_str(text).map_err(|error| first_line(&error))?;
    let mut rules = Vec::new();
    for (at, entry) in file.accepted.into_iter().enumerate() {
        let at = format!("rule {}", at + 1);
        let expires = entry.expires.as_deref().map(date).transpose();
        let package = entry.package.map(|package| match package.starts_with("pkg:") {
            true => RuledPackages { purl: Some(package), ..RuledPackages::default() },
            false => RuledPackages { name: Some(package), ..RuledPackages::default() },
        });
        let risk = AcceptedRisk {
            id: Some(entry.id),
            package,
            is_fixed: None,
            reason: entry.reason.unwrap_or_default(),
            expires: expires.map_err(|reason| format!("{at}: {reason}"))?,
            place: String::new(),
        };
        rules.push((at, risk));
    }
    Ok(rules)
}

/// Readers of YAML draw the place below.
pub(super) fn first_line(error: &serde_saphyr::Error) -> String {
    super::plain(error.to_string().lines().next().unwrap_or_default())
}
