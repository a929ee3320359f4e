//! What is said of one scan: findings, which of them are accepted and why, which refuse the image.
//! All outputs are made of it; it judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::findings::{AbsentCode, Finding, FindingKind, Findings, Unassessed};
use super::severity::SeverityLevel;
use crate::image::{Digest, Platform};
use crate::text::seen::visible;

/// Whose statements these are.
pub const SCANNER: &str = env!("CARGO_PKG_REPOSITORY");
pub const SCANNER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The scan of one image, or of what is none, such as a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageScan {
    /// As people name it: `ghcr.io/acme/app`.
    pub image: String,
    /// Of the image; a folder has none.
    pub digest: Option<Digest>,
    pub platform: Option<Platform>,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// At least one.
    pub sources: Vec<AdvisorySource>,
    /// What to do first comes first.
    pub findings: Vec<JudgedFinding>,
    pub unassessed: Vec<Unassessed>,
    pub absent: Vec<AbsentCode>,
    pub assessed: usize,
    pub ecosystems: BTreeSet<String>,
    /// Where that is known.
    pub base: Option<ScannedBase>,
}

/// The image that the scanned one was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedBase {
    /// As the build names it.
    pub name: String,
    /// What its tag points to by now, where that is another image and somebody asked.
    pub newer: Option<NewerBase>,
}

/// A later image under the tag of a base image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerBase {
    pub digest: Digest,
    /// Open findings of the base that this one does not have.
    pub repairs: usize,
    /// Open findings of the base.
    pub of: usize,
}

impl ImageScan {
    /// Whether anything is: where a source covers none of the packages, that nothing was found says
    /// nothing.
    pub fn is_known(&self) -> bool {
        self.assessed > 0 || self.unassessed.is_empty()
    }
}

/// Where advisories came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisorySource {
    pub uri: String,
    /// When the newest record was modified. Of a service that had no record to answer with, when it
    /// answered.
    pub newest: Timestamp,
}

/// A finding and what was decided about it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedFinding {
    pub finding: Finding,
    pub acceptance: Option<FindingAcceptance>,
    /// Whether it is a reason to refuse the image.
    pub refuses: bool,
    pub origin: Option<FindingOrigin>,
    /// The state before, where it has it as well and only what is new refuses.
    pub known_since: Option<EarlierState>,
}

/// The state that a scan is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EarlierState {
    /// The image that a tag pointed to before.
    Image(Digest),
    /// What the command line names, by the name there.
    Named(String),
}

impl fmt::Display for EarlierState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(digest) => digest.fmt(f),
            Self::Named(name) => visible(name).fmt(f),
        }
    }
}

/// Who says that a finding is no reason to refuse an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingAcceptance {
    pub status: AcceptedStatus,
    pub reason: String,
    /// The file, or the author of the document.
    pub by: String,
    /// When it was written down.
    pub since: Option<Date>,
    pub until: Option<Date>,
}

/// The words of OpenVEX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcceptedStatus {
    /// The flaw is there, and the risk is taken.
    Affected,
    NotAffected(Justification),
    /// Repaired, whatever its version says.
    Fixed,
}

/// Why a flaw does no harm, in the words of OpenVEX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Justification {
    ComponentNotPresent,
    CodeNotPresent,
    CodeNotInExecutePath,
    CodeNotControllable,
    InlineMitigations,
}

/// Who brought the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingOrigin {
    /// Whether the base image has it.
    pub is_base: bool,
    /// The instruction that brought it, or the last `FROM`.
    pub line: Option<SourceLine>,
}

/// A line of a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    pub path: String,
    pub line: u32,
}

impl Justification {
    pub const ALL: [Self; 5] = [
        Self::ComponentNotPresent,
        Self::CodeNotPresent,
        Self::CodeNotInExecutePath,
        Self::CodeNotControllable,
        Self::InlineMitigations,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::CodeNotPresent => "vulnerable_code_not_present",
            Self::CodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::CodeNotControllable => "vulnerable_code_cannot_be_controlled_by_adversary",
            Self::InlineMitigations => "inline_mitigations_already_exist",
        }
    }
}

impl JudgedFinding {
    /// A finding of which nothing was decided.
    pub fn open(finding: Finding) -> Self {
        Self { finding, acceptance: None, refuses: false, origin: None, known_since: None }
    }

    /// The word for people and policies.
    pub(super) fn kind(&self) -> &'static str {
        match &self.finding.kind {
            FindingKind::Malicious => MALICIOUS,
            FindingKind::Informational(_) => "informational",
            FindingKind::Unimportant => "unimportant",
            FindingKind::KernelHeaders => "kernel-headers",
            FindingKind::Vulnerability if self.finding.is_doubtful => "doubtful",
            FindingKind::Vulnerability => VULNERABILITY,
        }
    }

    /// Whether it counts by its level.
    pub(crate) fn is_open(&self) -> bool {
        self.finding.can_gate() && self.acceptance.is_none()
    }
}

pub(super) const VULNERABILITY: &str = "vulnerability";
pub(super) const MALICIOUS: &str = "malicious";

impl FindingAcceptance {
    /// `the reason (until 2026-12-31, says .supply-action.yaml)`.
    pub(super) fn told(&self) -> String {
        let until = self.until.map(|until| format!("until {until}, ")).unwrap_or_default();
        format!("{} ({until}says {})", self.reason, self.by)
    }
}

impl ImageScan {
    /// When the newest advisory of all sources was modified.
    pub fn newest(&self) -> Option<Timestamp> {
        self.sources.iter().map(|source| source.newest).max()
    }

    /// Takes what is known of the packages; `judge` is the gate.
    pub fn add(&mut self, known: Findings, judge: impl FnMut(Finding) -> JudgedFinding) {
        self.findings.extend(known.findings.into_iter().map(judge));
        self.unassessed.extend(known.unassessed);
        self.absent.extend(known.absent);
        self.assessed += known.assessed;
        self.ecosystems.extend(known.ecosystems);
    }

    /// `ghcr.io/acme/app (linux/amd64)`.
    pub(super) fn label(&self) -> String {
        match &self.platform {
            Some(platform) => format!("{} ({platform})", self.image),
            None => self.image.clone(),
        }
    }
}

/// What a scan comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanSummary {
    #[serde(rename = "vulnerabilities")]
    pub tally: FindingTally,
    /// Assessed or not, on each platform.
    pub packages: u64,
    pub not_assessed: u64,
    pub ecosystems: BTreeSet<String>,
}

/// How many findings there are of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingTally {
    /// Open ones.
    pub counts: LevelCounts,
    /// Those of the open ones that a newer version repairs.
    pub fixable: LevelCounts,
    /// Those of the open ones that CISA lists.
    pub exploited: u64,
    pub accepted: u64,
    /// What is no vulnerability here, and told all the same.
    pub informational: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelCounts {
    pub critical: u64,
    pub high: u64,
    pub medium: u64,
    pub low: u64,
    pub unknown: u64,
}

/// What is counted of one finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCount {
    pub(super) level: SeverityLevel,
    pub(super) is_fixable: bool,
    pub(super) is_exploited: bool,
    pub(super) can_gate: bool,
    pub(super) is_accepted: bool,
}

impl FindingTally {
    pub(super) fn add(&mut self, row: RowCount) {
        match row {
            RowCount { is_accepted: true, .. } => self.accepted += 1,
            RowCount { can_gate: false, .. } => self.informational += 1,
            RowCount { level, is_fixable, is_exploited, .. } => {
                *self.counts.of_mut(level) += 1;
                *self.fixable.of_mut(level) += u64::from(is_fixable);
                self.exploited += u64::from(is_exploited);
            }
        }
    }
}

impl LevelCounts {
    pub fn of(&self, level: SeverityLevel) -> u64 {
        let mut counts = *self;
        *counts.of_mut(level)
    }

    pub(super) fn add(&mut self, level: SeverityLevel) {
        *self.of_mut(level) += 1;
    }

    fn of_mut(&mut self, level: SeverityLevel) -> &mut u64 {
        match level {
            SeverityLevel::Critical => &mut self.critical,
            SeverityLevel::High => &mut self.high,
            SeverityLevel::Medium => &mut self.medium,
            SeverityLevel::Low => &mut self.low,
            SeverityLevel::Unknown => &mut self.unknown,
        }
    }

    pub fn total(&self) -> u64 {
        LEVELS.iter().map(|level| self.of(*level)).sum()
    }

    /// `1 critical, 2 high`, the worst first; empty of none.
    pub(super) fn told(&self) -> String {
        let told = LEVELS.iter().map(|level| (level, self.of(*level)));
        let told = told.filter(|(_, count)| *count > 0);
        told.map(|(level, count)| format!("{count} {level}")).collect::<Vec<_>>().join(", ")
    }
}

/// The worst first.
pub(super) const LEVELS: [SeverityLevel; 5] = [
    SeverityLevel::Critical,
    SeverityLevel::High,
    SeverityLevel::Medium,
    SeverityLevel::Low,
    SeverityLevel::Unknown,
];

pub(super) fn as_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Packages that are not assessed, by the reason.
pub(super) fn gaps(scan: &ImageScan) -> BTreeMap<String, Vec<&Unassessed>> {
    let mut gaps: BTreeMap<String, Vec<&Unassessed>> = BTreeMap::new();
    for package in &scan.unassessed {
        gaps.entry(package.gap.to_string()).or_default().push(package);
    }
    gaps
}
