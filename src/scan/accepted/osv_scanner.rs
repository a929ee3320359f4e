//! `osv-scanner.toml`: ignored ids and packages. It refuses a rule that says what it cannot follow,
//! because the rest of the rule would ignore more.
//!
//! Documentation: <https://google.github.io/osv-scanner/configuration/>.

use serde::Deserialize;
use toml::value::Datetime;

use super::{AcceptedRisk, NumberedRule, RuledPackages, date, plain};

/// The rest of the file is about that scanner.
#[derive(Deserialize)]
struct OsvScannerFile {
    #[serde(default, rename = "IgnoredVulns")]
    ignored: Vec<OsvScannerIgnore>,
    #[serde(default, rename = "PackageOverrides")]
    packages: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OsvScannerIgnore {
    id: String,
    #[serde(rename = "ignoreUntil")]
    until: Option<Datetime>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    name: Option<String>,
    version: Option<String>,
    ecosystem: Option<String>,
    group: Option<String>,
    #[serde(default)]
    ignore: bool,
    #[serde(default)]
    vulnerability: IgnoreFlag,
    /// Licences are nobody's vulnerability.
    #[serde(rename = "license")]
    _license: Option<toml::Value>,
    #[serde(rename = "effectiveUntil")]
    until: Option<Datetime>,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreFlag {
    #[serde(default)]
    ignore: bool,
}

pub(super) fn read(text: &str) -> Result<Vec<NumberedRule>, String> {
    let file: OsvScannerFile = toml::from_str(text).map_err(|error| plain(error.message()))?;
    let mut rules = Vec::new();
    let no_reason = || "none is given in `osv-scanner.toml`".to_owned();
    let given = |reason: Option<String>| {
        reason.filter(|reason| !reason.trim().is_empty()).unwrap_or_else(no_reason)
    };
    for (at, entry) in file.ignored.into_iter().enumerate() {
        let at = format!("ignored id {}", at + 1);
        let risk = AcceptedRisk {
            id: Some(entry.id),
            package: None,
            is_fixed: None,
            reason: given(entry.reason),
            expires: day(entry.until).map_err(|reason| format!("{at}: {reason}"))?,
            place: String::new(),
        };
        rules.push((at, risk));
    }
    for (at, entry) in file.packages.into_iter().enumerate() {
        let at = format!("package {}", at + 1);
        if !entry.ignore && !entry.vulnerability.ignore {
            continue;
        }
        if let Some(group) = entry.group {
            return Err(format!("{at}: group `{}` cannot be followed", plain(&group)));
        }
        let kind = entry.ecosystem.as_deref().map(purl_type).transpose();
        let package = RuledPackages {
            name: entry.name,
            version: entry.version,
            kind: kind.map_err(|reason| format!("{at}: {reason}"))?,
            purl: None,
        };
        let risk = AcceptedRisk {
            id: None,
            package: Some(package),
            is_fixed: None,
            reason: given(entry.reason),
            expires: day(entry.until).map_err(|reason| format!("{at}: {reason}"))?,
            place: String::new(),
        };
        rules.push((at, risk));
    }
    Ok(rules)
}

fn day(time: Option<Datetime>) -> Result<Option<jiff::civil::Date>, String> {
    let Some(time) = time else { return Ok(None) };
    let text = time.to_string();
    let day = text.get(..10).unwrap_or(&text);
    date(day).map(Some)
}

fn purl_type(ecosystem: &str) -> Result<String, String> {
    Ok(match ecosystem {
        "Go" => "golang",
        "Maven" => "maven",
        "NuGet" => "nuget",
        "Packagist" => "composer",
        "PyPI" => "pypi",
        "RubyGems" => "gem",
        "crates.io" => "cargo",
        "npm" => "npm",
        "Alpine" | "Chainguard" | "Wolfi" => "apk",
        "Debian" | "Ubuntu" => "deb",
        "AlmaLinux" | "Red Hat" | "Rocky Linux" | "SUSE" | "openSUSE" => "rpm",
        other => return Err(format!("ecosystem `{}` cannot be followed", plain(other))),
    }
    .to_owned())
}
