//! Findings, rules and what is accepted → a verdict with every reason as data. It hides no finding:
//! what to report is not its question.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::accepted::{AcceptedRisk, AcceptedRisks, Product, Status};
use super::findings::{Finding, FindingKind, Findings};
use super::known::KnownFindings;
use super::report::EarlierState;
use super::severity::SeverityLevel;
use crate::image::Platform;

/// What is a reason to refuse an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateRules {
    /// The lowest level that is; `None` for none.
    pub fail_on: Option<SeverityLevel>,
    /// Whether only what can be repaired counts.
    pub only_fixed: bool,
    /// Packages of which nothing is known.
    pub fail_on_unassessed: bool,
    /// What is exploited, whatever its level, and whether or not it can be repaired.
    pub fail_on_kev: bool,
    /// What nobody rates.
    pub fail_on_unknown: bool,
}

impl Default for GateRules {
    fn default() -> Self {
        Self {
            fail_on: Some(SeverityLevel::Critical),
            only_fixed: true,
            fail_on_unassessed: false,
            fail_on_kev: false,
            fail_on_unknown: false,
        }
    }
}

/// What the rules say. Numbers are places in the lists of the findings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GateVerdict {
    /// In the order of the findings; without one the image passes.
    pub reasons: Vec<Reason>,
    /// Findings that the state before has as well, and that state: no reasons.
    pub known: BTreeMap<usize, EarlierState>,
    /// In the order of the findings.
    pub accepted: Vec<Acceptance>,
    /// Rules of findings at hand that no longer hold.
    pub expired: Vec<AcceptedRisk>,
    /// Rules that meet no finding.
    pub unused: Vec<AcceptedRisk>,
}

/// Why an image is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// As bad as the rules say, or worse.
    Severe {
        finding: usize,
    },
    /// On CISA's list.
    Exploited {
        finding: usize,
    },
    /// Nobody says how bad it is.
    Unrated {
        finding: usize,
    },
    Unassessed {
        package: usize,
    },
}

/// A finding that somebody accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    pub finding: usize,
    pub how: AcceptanceKind,
    /// The file that says so, and where.
    pub place: String,
}

/// In what way a finding is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptanceKind {
    /// It is there, and somebody lives with it until a day or for good.
    Risk {
        reason: String,
        expires: Option<Date>,
    },
    /// By a statement of that author.
    NotAffected {
        author: String,
        justification: Option<String>,
        impact: Option<String>,
    },
    Fixed {
        author: String,
    },
}

impl GateVerdict {
    pub fn passes(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Takes what is known of the state before for no reason any more; `findings` are those that
    /// were judged.
    pub fn spare(
        &mut self,
        findings: &Findings,
        known: &KnownFindings,
        platform: Option<&Platform>,
    ) {
        let accepted: BTreeSet<usize> = self.accepted.iter().map(|it| it.finding).collect();
        for (at, finding) in findings.findings.iter().enumerate() {
            let is_open = finding.can_gate() && !accepted.contains(&at);
            if is_open && known.has(finding, platform) {
                self.known.insert(at, known.since.clone());
            }
        }
        let Self { reasons, known, .. } = self;
        reasons.retain(|reason| match reason {
            Reason::Severe { finding }
            | Reason::Exploited { finding }
            | Reason::Unrated { finding } => !known.contains_key(finding),
            Reason::Unassessed { .. } => true,
        });
    }
}

/// `image` is what statements call the image.
pub fn judge(
    findings: &Findings,
    rules: &GateRules,
    accepted: &AcceptedRisks,
    image: &Product,
    now: Timestamp,
) -> GateVerdict {
    let today = now.to_zoned(TimeZone::UTC).date();
    let holds = |risk: &AcceptedRisk| risk.expires.is_none_or(|last| today <= last);
    let mut verdict = GateVerdict::default();
    let mut is_used = vec![false; accepted.risks().len()];
    for (at, finding) in findings.findings.iter().enumerate() {
        let mut by_rule = None;
        for (risk, used) in accepted.risks().iter().zip(&mut is_used) {
            if risk.is_about(finding) {
                *used = true;
                by_rule = by_rule.or(Some(risk).filter(|risk| holds(risk)));
            }
        }
        let acceptance = by_statement(at, finding, accepted, image)
            .or_else(|| by_rule.map(|risk| of_risk(at, risk)));
        match acceptance {
            Some(acceptance) => verdict.accepted.push(acceptance),
            None => verdict.reasons.extend(reason(at, finding, rules)),
        }
    }
    for (risk, used) in accepted.risks().iter().zip(is_used) {
        let is_of_absent_code = findings.absent.iter().any(|absent| risk.names(absent.ids.iter()));
        match (used, holds(risk)) {
            (true, false) => verdict.expired.push(risk.clone()),
            (false, _) if !is_of_absent_code => verdict.unused.push(risk.clone()),
            _ => {}
        }
    }
    if rules.fail_on_unassessed {
        let packages = 0..findings.unassessed.len();
        verdict.reasons.extend(packages.map(|package| Reason::Unassessed { package }));
    }
    verdict
}

/// The newest statement decides, and only two of its words accept.
fn by_statement(
    at: usize,
    finding: &Finding,
    accepted: &AcceptedRisks,
    image: &Product,
) -> Option<Acceptance> {
    let statement = accepted.statement(finding, image)?;
    let author = statement.author.clone();
    let how = match &statement.status {
        Status::NotAffected { justification, impact } => AcceptanceKind::NotAffected {
            author,
            justification: justification.clone(),
            impact: impact.clone(),
        },
        Status::Fixed => AcceptanceKind::Fixed { author },
        Status::Affected | Status::UnderInvestigation => return None,
    };
    Some(Acceptance { finding: at, how, place: statement.place.clone() })
}

fn of_risk(at: usize, risk: &AcceptedRisk) -> Acceptance {
    let how = AcceptanceKind::Risk { reason: risk.reason.clone(), expires: risk.expires };
    Acceptance { finding: at, how, place: risk.place.clone() }
}

fn reason(at: usize, finding: &Finding, rules: &GateRules) -> Option<Reason> {
    let level = finding.severity.level;
    // Nobody repairs what is made to do harm: it has to go.
    let counts =
        !rules.only_fixed || finding.fixed.is_some() || finding.kind == FindingKind::Malicious;
    let is_severe =
        rules.fail_on.is_some_and(|lowest| level >= lowest && level != SeverityLevel::Unknown);
    match finding.can_gate() {
        false => None,
        true if counts && is_severe => Some(Reason::Severe { finding: at }),
        true if rules.fail_on_kev && finding.kev.is_some() => {
            Some(Reason::Exploited { finding: at })
        }
        true if counts && rules.fail_on_unknown && level == SeverityLevel::Unknown => {
            Some(Reason::Unrated { finding: at })
        }
        true => None,
    }
}

#[cfg(test)]
mod tests;
