//! Verdicts → why an image is refused: one sentence, and a line for each finding. Pure; it counts a
//! flaw of several platforms once, and leaves none out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Assessed;
use crate::report::text::visible;
use crate::scan::findings::FindingKind;
use crate::scan::gate::Reason;
use crate::scan::report::{FindingOrigin, ImageScan, JudgedFinding};
use crate::scan::severity::SeverityLevel;
use crate::scan::shown;
use crate::text;

/// What refuses the images.
#[derive(Debug, PartialEq, Eq)]
pub struct ScanRefusal {
    /// `2 critical vulnerabilities that have a fix, 1 package not assessed`.
    pub sentence: String,
    /// What to do first comes first.
    pub lines: Vec<String>,
    /// Whether a finding is among the reasons, and not only packages of which nothing is known.
    pub names_findings: bool,
    /// What comes from base images, a sentence each.
    pub of_base: Vec<String>,
}

/// Which sort of reason it is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReasonSort {
    Malicious,
    Severe { level: Reverse<SeverityLevel>, is_fixed: bool },
    Exploited { level: Reverse<SeverityLevel> },
    Unrated,
}

/// A flaw of a package, however many platforms have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RefusedFlaw<'a> {
    sort: ReasonSort,
    id: &'a str,
    name: &'a str,
    version: &'a str,
}

/// `None` where every image passes.
pub fn refusal(assessed: &[&Assessed]) -> Option<ScanRefusal> {
    let mut refused: BTreeMap<RefusedFlaw<'_>, (&JudgedFinding, BTreeSet<String>)> =
        BTreeMap::new();
    let mut unassessed: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    for Assessed { scan, verdict } in assessed {
        for reason in &verdict.reasons {
            let (at, is_exploited, is_unrated) = match reason {
                Reason::Severe { finding } => (*finding, false, false),
                Reason::Exploited { finding } => (*finding, true, false),
                Reason::Unrated { finding } => (*finding, false, true),
                Reason::Unassessed { package } => {
                    let package = scan.unassessed.get(*package);
                    unassessed.extend(package.map(|it| (it.name.as_str(), it.version.as_deref())));
                    continue;
                }
            };
            let Some(judged) = scan.findings.get(at) else { continue };
            let finding = &judged.finding;
            let level = Reverse(finding.severity.level);
            let sort = match () {
                () if finding.kind == FindingKind::Malicious => ReasonSort::Malicious,
                () if is_exploited => ReasonSort::Exploited { level },
                () if is_unrated => ReasonSort::Unrated,
                () => ReasonSort::Severe { level, is_fixed: finding.fixed.is_some() },
            };
            let key = RefusedFlaw {
                sort,
                id: &finding.id,
                name: &finding.name,
                version: &finding.version,
            };
            let (_, platforms) = refused.entry(key).or_insert_with(|| (judged, BTreeSet::new()));
            platforms.extend(scan.platform.as_ref().map(ToString::to_string));
        }
    }
    if refused.is_empty() && unassessed.is_empty() {
        return None;
    }
    let mut counts: BTreeMap<ReasonSort, usize> = BTreeMap::new();
    for key in refused.keys() {
        *counts.entry(key.sort).or_default() += 1;
    }
    let mut parts: Vec<String> = counts.iter().map(|(sort, count)| sort.counted(*count)).collect();
    if !unassessed.is_empty() {
        parts.push(format!("{} not assessed", text::plural(unassessed.len(), "package")));
    }
    let several = assessed.len() > 1;
    let lines = refused.iter().map(|(key, (judged, platforms))| {
        line(key.sort, judged, platforms.iter().filter(|_| several))
    });
    let names_findings = !refused.is_empty();
    let lines = lines.chain(unassessed.iter().map(|(name, version)| {
        format!(
            "not assessed: {} {}",
            visible(name),
            visible(version.unwrap_or("without a version"))
        )
    }));
    let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
    Some(ScanRefusal {
        sentence: parts.join(", "),
        lines: lines.collect(),
        names_findings,
        of_base: shown::of_base(&scans).iter().map(|line| visible(line)).collect(),
    })
}

impl ReasonSort {
    /// `2 critical vulnerabilities that have a fix`.
    fn counted(self, count: usize) -> String {
        let have = if count == 1 { "has" } else { "have" };
        let are = if count == 1 { "is" } else { "are" };
        let of = |level: SeverityLevel| {
            let counted = text::plural(count, "vulnerability");
            let (number, noun) = counted.split_once(' ').unwrap_or_default();
            format!("{number} {} {noun}", level.as_str())
        };
        match self {
            Self::Malicious => text::plural(count, "malicious package"),
            Self::Severe { level: Reverse(level), is_fixed: true } => {
                format!("{} that {have} a fix", of(level))
            }
            Self::Severe { level: Reverse(level), is_fixed: false } => {
                format!("{} without a fix", of(level))
            }
            Self::Exploited { level: Reverse(level) } => {
                format!("{} that {are} exploited", of(level))
            }
            Self::Unrated => {
                format!("{} that no source rates", text::plural(count, "vulnerability"))
            }
        }
    }
}

/// `CVE-2024-1 (critical) in openssl 3.0.11, fixed in 3.0.15 (usr/lib/x, layer sha256:…, base image,
/// Dockerfile:1)`.
fn line<'a>(
    sort: ReasonSort,
    judged: &JudgedFinding,
    platforms: impl Iterator<Item = &'a String>,
) -> String {
    let finding = &judged.finding;
    let exploited = if finding.kev.is_some() { ", exploited" } else { "" };
    let fixed = match (&finding.fixed, sort) {
        (Some(fixed), _) => format!(", fixed in {}", visible(fixed)),
        (None, ReasonSort::Malicious) => ": malicious software, remove it".to_owned(),
        (None, _) => ", no fix yet".to_owned(),
    };
    let mut places: Vec<String> = Vec::new();
    places.extend(finding.paths.first().map(|path| visible(path)));
    if finding.paths.len() > 1 {
        places.push(format!("{} more", finding.paths.len() - 1));
    }
    places.extend(finding.layers.first().map(|layer| format!("layer {}", visible(layer))));
    if let Some(FindingOrigin { is_base, line }) = &judged.origin {
        places.extend(is_base.then(|| "base image".to_owned()));
        places.extend(line.as_ref().map(|it| format!("{}:{}", visible(&it.path), it.line)));
    }
    let platforms: Vec<&str> = platforms.map(String::as_str).collect();
    if !platforms.is_empty() {
        places.push(platforms.join(" and "));
    }
    let places = match places.is_empty() {
        true => String::new(),
        false => format!(" ({})", places.join(", ")),
    };
    format!(
        "{} ({}{exploited}) in {} {}{fixed}{places}",
        visible(&finding.id),
        finding.severity.level,
        visible(&finding.name),
        visible(&finding.version),
    )
}
