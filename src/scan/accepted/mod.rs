//! Findings that somebody accepts, and why: our own file, OpenVEX, and the files of three scanners
//! that people come from. It takes no rule for a broader one: what it cannot follow is refused.

mod grype;
mod ignore;
mod osv_scanner;
mod trivy;
mod vex;

use std::collections::BTreeSet;
use std::str::FromStr as _;

use jiff::civil::Date;
use packageurl::PackageUrl;

use super::findings::Finding;
use super::text::plain;
pub use vex::{Product, Status, VexStatement};

/// All that is accepted, from all files.
#[derive(Debug, Clone, Default)]
pub struct AcceptedRisks {
    risks: Vec<AcceptedRisk>,
    statements: Vec<VexStatement>,
}

/// A rule by which findings are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedRisk {
    /// Any of the ids of a flaw; `None` for all flaws of a package.
    pub id: Option<String>,
    pub package: Option<RuledPackages>,
    /// Whether only flaws with a repair are meant, or only those without.
    pub is_fixed: Option<bool>,
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// The file that has it, and where.
    pub place: String,
}

/// Which packages a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuledPackages {
    pub name: Option<String>,
    pub version: Option<String>,
    /// The type of the purl.
    pub kind: Option<String>,
    /// With or without version and qualifiers; what it has, a package must have.
    pub purl: Option<String>,
}

/// A file that cannot be used. Nothing that it says counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` accepts nothing: {reason}", plain(file))]
pub struct BadFile {
    pub file: String,
    pub reason: String,
}

/// More than anybody writes by hand.
const MOST_BYTES: usize = 1 << 20;
const MOST_RULES: usize = 10_000;

type ReadRules = fn(&str) -> Result<Vec<NumberedRule>, String>;

/// A rule and which one of its file it is: a line, or a number.
type NumberedRule = (String, AcceptedRisk);

impl AcceptedRisks {
    /// Our own file: a list `accepted` of ids with a reason each.
    pub fn add_ignores(&mut self, file: &str, yaml: &str) -> Result<(), BadFile> {
        self.add(file, yaml, ignore::read)
    }

    /// `.trivyignore`.
    pub fn add_trivyignore(&mut self, file: &str, text: &str) -> Result<(), BadFile> {
        self.add(file, text, trivy::read)
    }

    /// The rules `ignore` of `.grype.yaml`.
    pub fn add_grype(&mut self, file: &str, yaml: &str) -> Result<(), BadFile> {
        self.add(file, yaml, grype::read)
    }

    /// `osv-scanner.toml`.
    pub fn add_osv_scanner(&mut self, file: &str, toml: &str) -> Result<(), BadFile> {
        self.add(file, toml, osv_scanner::read)
    }

    /// An OpenVEX document of an author whom the caller trusts.
    pub fn add_openvex(&mut self, file: &str, json: &[u8]) -> Result<(), BadFile> {
        let bad = |reason| BadFile { file: file.to_owned(), reason };
        self.statements.extend(vex::read(file, json).map_err(bad)?);
        Ok(())
    }

    fn add(&mut self, file: &str, text: &str, read: ReadRules) -> Result<(), BadFile> {
        let bad = |reason| BadFile { file: file.to_owned(), reason };
        if text.len() > MOST_BYTES {
            return Err(bad(format!("it has more than {MOST_BYTES} bytes")));
        }
        let rules = read(text).map_err(bad)?;
        if rules.len() > MOST_RULES {
            return Err(bad(format!("it has more than {MOST_RULES} rules")));
        }
        for (at, risk) in rules {
            let place = format!("{file}:{at}");
            check(&risk).map_err(|reason| bad(format!("{at}: {reason}")))?;
            self.risks.push(AcceptedRisk { place, ..risk });
        }
        Ok(())
    }

    pub fn risks(&self) -> &[AcceptedRisk] {
        &self.risks
    }

    /// The newest statement about a finding of the image.
    pub(super) fn statement(&self, finding: &Finding, image: &Product) -> Option<&VexStatement> {
        let about = self.statements.iter().filter(|it| it.is_about(finding, image));
        about.max_by_key(|statement| statement.time)
    }
}

fn check(risk: &AcceptedRisk) -> Result<(), String> {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic());
    if let Some(id) = risk.id.as_deref().filter(|id| !is_word(id)) {
        return Err(format!("`{}` is not an id", plain(id)));
    }
    let packages = risk.package.as_ref();
    if risk.id.is_none() && packages.is_none_or(|it| it.name.is_none() && it.purl.is_none()) {
        return Err("it names neither a vulnerability nor a package".to_owned());
    }
    if let Some(purl) = packages.and_then(|it| it.purl.as_deref())
        && PackageUrl::from_str(purl).is_err()
    {
        return Err(format!("`{}` is not a purl", plain(purl)));
    }
    match risk.reason.trim().is_empty() {
        true => Err("it gives no reason".to_owned()),
        false => Ok(()),
    }
}

impl AcceptedRisk {
    pub(super) fn is_about(&self, finding: &Finding) -> bool {
        self.id.as_ref().is_none_or(|id| finding.ids.contains(id))
            && self.is_fixed.is_none_or(|fixed| fixed == finding.fixed.is_some())
            && self.package.as_ref().is_none_or(|package| package.have(finding))
    }

    /// Whether a result of another tool is meant, by one of its ids. What the rule says of packages
    /// and repairs such a result does not tell.
    pub(super) fn is_about_result(&self, ids: &BTreeSet<String>) -> bool {
        self.package.is_none()
            && self.is_fixed.is_none()
            && self.id.as_ref().is_some_and(|id| ids.contains(id))
    }

    /// Whether one of the ids is meant, whatever the package.
    pub(super) fn names(&self, mut ids: impl Iterator<Item = impl AsRef<str>>) -> bool {
        self.id.as_deref().is_some_and(|own| ids.any(|id| id.as_ref() == own))
    }
}

impl RuledPackages {
    fn have(&self, finding: &Finding) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|it| it == own);
        let kind = finding.purl.strip_prefix("pkg:").and_then(|rest| rest.split('/').next());
        is(&self.name, &finding.name)
            && is(&self.version, &finding.version)
            && is(&self.kind, kind.unwrap_or_default())
            && self.purl.as_deref().is_none_or(|purl| matches(purl, &finding.purl))
    }
}

/// Whether a package's purl has all that the other one has.
fn matches(wanted: &str, purl: &str) -> bool {
    let (Ok(wanted), Ok(purl)) = (PackageUrl::from_str(wanted), PackageUrl::from_str(purl)) else {
        return false;
    };
    // Only the names of distributions are the same without their distribution.
    let any_namespace =
        wanted.namespace().is_none() && matches!(wanted.ty(), "apk" | "deb" | "rpm");
    wanted.ty() == purl.ty()
        && wanted.name() == purl.name()
        && (any_namespace || wanted.namespace() == purl.namespace())
        && wanted.version().is_none_or(|version| purl.version() == Some(version))
        && wanted.qualifiers().iter().all(|(key, value)| purl.qualifiers().get(key) == Some(value))
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("`{}` is not a date such as `2030-12-31`", plain(text)))
}

#[cfg(test)]
mod tests;
