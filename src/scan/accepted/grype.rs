//! The rules `ignore` of `.grype.yaml`. It refuses a rule that says what it cannot follow, because
//! the rest of the rule would ignore more.
//!
//! Documentation: <https://oss.anchore.com/docs/guides/vulnerability/filter-results/>.

use serde::Deserialize;

use super::ignore::first_line;
use super::{AcceptedRisk, NumberedRule, RuledPackages, plain};

/// The rest of the file is about that scanner.
#[derive(Deserialize)]
struct GrypeFile {
    #[serde(default)]
    ignore: Option<Vec<GrypeIgnore>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrypeIgnore {
    vulnerability: Option<String>,
    /// Ours are by alias always.
    #[serde(rename = "include-aliases")]
    _include_aliases: Option<bool>,
    reason: Option<String>,
    fix_state: Option<String>,
    package: Option<GrypePackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrypePackage {
    name: Option<String>,
    version: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<NumberedRule>, String> {
    let file: GrypeFile = serde_saphyr::from_str(text).map_err(|error| first_line(&error))?;
    let mut rules = Vec::new();
    for (at, entry) in file.ignore.unwrap_or_default().into_iter().enumerate() {
        let at = format!("rule {}", at + 1);
        let risk = risk(entry).map_err(|reason| format!("{at}: {reason}"))?;
        rules.push((at, risk));
    }
    Ok(rules)
}

fn risk(entry: GrypeIgnore) -> Result<AcceptedRisk, String> {
    let is_fixed = match entry.fix_state.as_deref() {
        None => None,
        Some("fixed") => Some(true),
        Some("not-fixed") => Some(false),
        Some(other) => return Err(format!("fix state `{}` cannot be followed", plain(other))),
    };
    let package = match entry.package {
        None => None,
        Some(package) => Some(RuledPackages {
            name: package.name.map(exact).transpose()?,
            version: package.version,
            kind: package.kind.as_deref().map(purl_type).transpose()?,
            purl: None,
        }),
    };
    let none = || "none is given in `.grype.yaml`".to_owned();
    Ok(AcceptedRisk {
        id: entry.vulnerability,
        package,
        is_fixed,
        reason: entry.reason.filter(|reason| !reason.trim().is_empty()).unwrap_or_else(none),
        expires: None,
        place: String::new(),
    })
}

/// Names are patterns there, and names here.
fn exact(name: String) -> Result<String, String> {
    match name.contains(['*', '[', ']', '(', ')', '{', '}', '|', '^', '$', '\\', '?']) {
        true => Err(format!("pattern `{}` cannot be followed", plain(&name))),
        false => Ok(name),
    }
}

fn purl_type(kind: &str) -> Result<String, String> {
    Ok(match kind {
        "apk" | "conda" | "deb" | "gem" | "npm" | "rpm" => kind,
        "dotnet" => "nuget",
        "go-module" => "golang",
        "java-archive" => "maven",
        "php-composer" => "composer",
        "python" => "pypi",
        "rust-crate" => "cargo",
        other => return Err(format!("type `{}` cannot be followed", plain(other))),
    }
    .to_owned())
}
