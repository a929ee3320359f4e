//! Inputs and what is attested → whether a release is scanned, and what must be proven of the
//! result. Pure; it says of every input about the scan that changes nothing so.

use serde_json::{Value, json};

use super::told::Goal;
use super::{PlannedRelease, refuse, tools};
use crate::advisories::service::PUBLIC;
use crate::error::Remedy as _;
use crate::evidence::EvidenceKind;
use crate::inputs::{AutoSwitch, Inputs, ScanInputs};
use crate::scan::severity::SeverityLevel;
use crate::verify::check::Check;

/// Whether what is published is scanned.
#[derive(Debug, Clone)]
pub enum ScanPlan {
    Scan(Box<ScanInputs>),
    /// Why it is not.
    Not(String),
}

impl ScanPlan {
    /// For machines.
    pub fn json(&self) -> Value {
        match self {
            Self::Not(why) => json!({ "scan": false, "why": why }),
            Self::Scan(inputs) => {
                let terms = &inputs.terms;
                json!({
                    "scan": true,
                    "failOn": terms.rules.fail_on.map_or("none", |level| level.as_str()),
                    "onlyFixed": terms.rules.only_fixed,
                    "newSinceRelease": inputs.new_since_release,
                    "sources": self.sources(),
                    "predicateTypes": inputs.vuln_attestation,
                })
            }
        }
    }

    fn sources(&self) -> Vec<String> {
        let Self::Scan(inputs) = self else { return Vec::new() };
        let terms = &inputs.terms;
        let mut sources: Vec<String> = terms.advisories.iter().map(ToString::to_string).collect();
        if terms.asks_service() {
            sources.push(terms.osv_url.as_deref().unwrap_or(PUBLIC).to_owned());
        }
        sources
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Not(why) => format!("nothing: {why}"),
            Self::Scan(inputs) => {
                let terms = &inputs.terms;
                let refuses = match terms.rules.fail_on {
                    None => "no severity refuses".to_owned(),
                    Some(lowest) => format!(
                        "{lowest}{} refuses{}",
                        if lowest == SeverityLevel::Critical { "" } else { " or worse" },
                        if terms.rules.only_fixed { " if a fix exists" } else { "" }
                    ),
                };
                let new = match inputs.new_since_release {
                    true => ", if the image of the moved tag does not have it",
                    false => "",
                };
                format!("the signed SBOMs, with {}; {refuses}{new}", self.sources().join(" and "))
            }
        }
    }
}

impl PlannedRelease {
    /// Decides whether it is scanned, and asks for the result where it is.
    pub(super) fn scanned(mut self, inputs: &Inputs) -> anyhow::Result<Self> {
        let scan = &inputs.scan;
        let (tools, notices) = tools::of(scan, scan.sarif_file.is_some());
        self.tools = tools;
        self.about.notices.extend(notices);
        let has_sbom = self.targets.iter().all(|target| {
            target
                .requirements
                .platform
                .iter()
                .any(|rule| rule.need.kind() == Some(EvidenceKind::Sbom))
        });
        let why = match scan.scan {
            AutoSwitch::Never => "`scan: false`",
            AutoSwitch::Always if !has_sbom => {
                return refuse("input `scan`: `true` scans SBOMs, and the image has none")
                    .hint("leave `sbom` out, or leave `scan` out");
            }
            AutoSwitch::Auto if !has_sbom => "there is no SBOM",
            AutoSwitch::Always | AutoSwitch::Auto => {
                let checks = scan.terms.rules.fail_on.map(|lowest| Check::NoFinding {
                    lowest,
                    only_fixed: scan.terms.rules.only_fixed,
                    only_new: scan.new_since_release,
                });
                let checks: Vec<Check> = checks.into_iter().collect();
                for target in &mut self.targets {
                    let requirements = target.requirements.clone();
                    target.requirements = requirements.scanned(&scan.vuln_attestation, &checks);
                }
                self.scan = ScanPlan::Scan(Box::new(scan.clone()));
                return Ok(self);
            }
        };
        self.scan = ScanPlan::Not(why.to_owned());
        self.about.notices.push(format!(
            "no known vulnerability is looked up, so none can refuse the image: {why}"
        ));
        let given: Vec<&str> = scan.given.iter().copied().filter(|it| !self.shares(it)).collect();
        self.about.notices.extend(unused(&given, &format!("nothing is scanned ({why})")));
        Ok(self)
    }
}

impl PlannedRelease {
    /// Whether an input changes something without a scan: in the search for secrets, or where files
    /// of other tools are judged and merged.
    fn shares(&self, input: &str) -> bool {
        let of_tools = self.tools.as_ref().is_some_and(|terms| match input {
            "fail-on" | "fail-on-unknown" | "ignore-file" => terms.gate.is_some(),
            _ => input == "sarif-file",
        });
        let of_search = self.search.is_wanted() && ["ignore-file", "sarif-file"].contains(&input);
        // What becomes of these is said where it is decided.
        of_tools || of_search || ["sarif-files", "fail-on-sarif"].contains(&input)
    }
}

/// Of a run that publishes nothing.
pub(super) fn unused_scan(inputs: &Inputs, goal: Goal) -> Option<String> {
    match goal {
        Goal::Publish => None,
        Goal::Check => {
            let why = "this run publishes nothing";
            match inputs.scan.scan {
                AutoSwitch::Always => Some(format!(
                    "input `scan`: `true`, and nothing is scanned: {why}; `supply-action scan` scans a checkout or an archive"
                )),
                _ => unused(&inputs.scan.given, why),
            }
        }
        Goal::PushByDigest => {
            unused(&inputs.scan.given, "`merge`, which publishes, scans; give them there")
        }
    }
}

/// What a workflow sets for all of its runs is no mistake, nor is what is about secrets.
const OF_ALL_RUNS: [&str; 4] = ["scan", "osv-url", "fail-on-secrets", "fail-on-misconfig"];

pub(super) fn unused(given: &[&str], why: &str) -> Option<String> {
    let given: Vec<String> = given
        .iter()
        .filter(|name| !OF_ALL_RUNS.contains(name))
        .map(|name| format!("`{name}`"))
        .collect();
    match given.as_slice() {
        [] => None,
        [one] => Some(format!("input {one} has no effect: {why}")),
        several => Some(format!("inputs {} have no effect: {why}", several.join(", "))),
    }
}
