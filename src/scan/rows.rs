//! The findings of one scan or of several platforms as rows: one for each flaw and package, however
//! many platforms have it. Rows are written and counted here; none is left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::report::{
    AcceptedStatus, EarlierState, FindingAcceptance, FindingTally, ImageScan, JudgedFinding,
    LEVELS, MALICIOUS, RowCount, ScanSummary, VULNERABILITY, as_count,
};
use super::severity::SeverityLevel;
use crate::image::Digest;

/// One flaw of one package.
#[derive(Debug, Clone)]
pub(super) struct FindingRow<'a> {
    /// As the first platform has it.
    pub(super) judged: &'a JudgedFinding,
    pub(super) platforms: BTreeSet<String>,
    pub(super) paths: BTreeSet<&'a str>,
    pub(super) layers: BTreeSet<&'a str>,
    pub(super) refuses: bool,
    /// Its place among the findings of the platform that has it first.
    place: usize,
}

/// What makes two findings of two platforms one row.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RowKey<'a> {
    id: &'a str,
    package: &'a str,
    fixed: Option<&'a str>,
    level: SeverityLevel,
    kind: &'static str,
    acceptance: Option<&'a FindingAcceptance>,
    since: Option<&'a EarlierState>,
}

/// What to do first comes first.
pub(super) fn rows<'a>(scans: &[&'a ImageScan]) -> Vec<FindingRow<'a>> {
    let mut rows: BTreeMap<RowKey<'a>, FindingRow<'a>> = BTreeMap::new();
    for scan in scans {
        for (place, judged) in scan.findings.iter().enumerate() {
            let finding = &judged.finding;
            let key = RowKey {
                id: &finding.id,
                // Platforms differ in qualifiers alone.
                package: finding.purl.split(['?', '#']).next().unwrap_or_default(),
                fixed: finding.fixed.as_deref(),
                level: finding.severity.level,
                kind: judged.kind(),
                acceptance: judged.acceptance.as_ref(),
                since: judged.known_since.as_ref(),
            };
            let row = rows.entry(key).or_insert_with(|| FindingRow {
                judged,
                platforms: BTreeSet::new(),
                paths: BTreeSet::new(),
                layers: BTreeSet::new(),
                refuses: false,
                place,
            });
            row.platforms.extend(scan.platform.as_ref().map(ToString::to_string));
            row.paths.extend(finding.paths.iter().map(String::as_str));
            row.layers.extend(finding.layers.iter().map(String::as_str));
            row.refuses |= judged.refuses;
            row.place = row.place.min(place);
        }
    }
    let mut rows: Vec<FindingRow<'a>> = rows.into_values().collect();
    rows.sort_by_key(|row| row.place);
    rows
}

/// Of all platforms: findings once, packages of each.
pub fn summary(scans: &[&ImageScan]) -> ScanSummary {
    let mut all = ScanSummary::default();
    for row in rows(scans) {
        all.tally.add(row.count());
    }
    for scan in scans {
        all.packages += as_count(scan.assessed + scan.unassessed.len());
        all.not_assessed += as_count(scan.unassessed.len());
        all.ecosystems.extend(scan.ecosystems.iter().cloned());
    }
    all
}

/// More say nothing more about a package.
const MOST_PLACES: usize = 20;

impl FindingRow<'_> {
    fn count(&self) -> RowCount {
        let finding = &self.judged.finding;
        RowCount {
            level: finding.severity.level,
            is_fixable: finding.fixed.is_some(),
            is_exploited: finding.kev.is_some(),
            can_gate: finding.can_gate(),
            is_accepted: self.judged.acceptance.is_some(),
        }
    }

    /// As <https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md> has results.
    pub(super) fn json(&self) -> Value {
        let severity = &self.judged.finding.severity;
        let mut methods = vec![json!({ "method": "level", "score": severity.level.as_str() })];
        if let (Some(score), Some(vector)) = (severity.score, &severity.vector) {
            methods.push(json!({ "method": method(vector), "score": format!("{score:.1}") }));
        }
        json!({
            "id": self.judged.finding.id,
            "severity": methods,
            "annotations": [self.facts()],
        })
    }

    fn facts(&self) -> Value {
        let finding = &self.judged.finding;
        let aliases: Vec<&String> = finding.ids.iter().filter(|id| **id != finding.id).collect();
        let mut facts = json!({
            "package": finding.purl,
            "name": finding.name,
            "version": finding.version,
            "level": finding.severity.level.as_str(),
            "kind": self.judged.kind(),
            "kev": finding.kev.is_some(),
            "aliases": aliases,
            "status": self.status(),
            "paths": self.paths.iter().take(MOST_PLACES).collect::<Vec<_>>(),
            "layers": self.layers.iter().take(MOST_PLACES).collect::<Vec<_>>(),
        });
        let severity = &finding.severity;
        let source = Some(&severity.source).filter(|source| !source.is_empty());
        let acceptance = self.judged.acceptance.as_ref();
        let word = match &finding.kind {
            super::findings::FindingKind::Informational(word) => Some(word),
            _ => None,
        };
        let due = finding.kev.and_then(|kev| kev.due);
        let justification = acceptance.and_then(|acceptance| match acceptance.status {
            AcceptedStatus::NotAffected(justification) => Some(justification.as_str()),
            AcceptedStatus::Affected | AcceptedStatus::Fixed => None,
        });
        let since = self.judged.known_since.as_ref();
        let optional: [(&str, Option<Value>); 16] = [
            ("fixed", finding.fixed.as_deref().map(Value::from)),
            ("source", source.map(|source| Value::from(source.as_str()))),
            ("vector", severity.vector.as_deref().map(Value::from)),
            ("word", word.map(|word| Value::from(word.as_str()))),
            ("summary", finding.summary.as_deref().map(Value::from)),
            ("epss", finding.epss.map(|epss| Value::from(epss.probability))),
            ("kevDue", due.map(|due| Value::from(due.to_string()))),
            ("owner", finding.owner.as_deref().map(Value::from)),
            ("reason", acceptance.map(|it| Value::from(it.reason.as_str()))),
            ("acceptedBy", acceptance.map(|it| Value::from(it.by.as_str()))),
            ("since", acceptance.and_then(|it| it.since).map(|date| date.to_string().into())),
            ("until", acceptance.and_then(|it| it.until).map(|date| date.to_string().into())),
            ("justification", justification.map(Value::from)),
            ("fromBase", self.judged.origin.as_ref().map(|origin| Value::from(origin.is_base))),
            ("knownSince", since.map(|since| Value::from(since.to_string()))),
            ("platforms", (!self.platforms.is_empty()).then(|| json!(self.platforms))),
        ];
        if let Some(facts) = facts.as_object_mut() {
            let there = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
            facts.extend(there.map(|(name, value)| (name.to_owned(), value)));
        }
        facts
    }

    pub(super) fn status(&self) -> &'static str {
        match self.judged.acceptance.as_ref().map(|acceptance| acceptance.status) {
            None => OPEN,
            Some(AcceptedStatus::Affected) => ACCEPTED,
            Some(AcceptedStatus::NotAffected(_)) => NOT_AFFECTED,
            Some(AcceptedStatus::Fixed) => FIXED,
        }
    }
}

const OPEN: &str = "open";
const ACCEPTED: &str = "accepted";
const NOT_AFFECTED: &str = "not_affected";
const FIXED: &str = "fixed";

/// `CVSS:3.1` of `CVSS:3.1/AV:N/…`; vectors of version 2 do not say so.
fn method(vector: &str) -> &str {
    let first = vector.split('/').next().unwrap_or_default();
    if first.starts_with("CVSS:") { first } else { "CVSS:2.0" }
}

/// Counts the rows of a statement, all and those that are new, or says which one cannot be counted
/// and why.
pub(super) fn counted(results: &[Value]) -> Result<(FindingTally, FindingTally), (usize, String)> {
    let (mut all, mut new) = (FindingTally::default(), FindingTally::default());
    for (at, row) in results.iter().enumerate() {
        let (count, is_known) = read(row).map_err(|why| (at, why))?;
        all.add(count);
        if !is_known {
            new.add(count);
        }
    }
    Ok((all, new))
}

/// Whether a row that was counted is of a finding that nobody accepts.
pub(super) fn is_open(row: &Value) -> bool {
    read(row).is_ok_and(|(count, _)| count.can_gate && !count.is_accepted)
}

/// What counts of a row, and whether an image that was published before has it as well.
fn read(row: &Value) -> Result<(RowCount, bool), String> {
    let word = |value: &Value, name: &str| {
        let word = value.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
        word.map(str::to_owned).ok_or_else(|| format!("it has no `{name}`"))
    };
    word(row, "id")?;
    let facts = match row.get("annotations").and_then(Value::as_array).map(Vec::as_slice) {
        Some([facts]) => facts,
        _ => return Err("it has not exactly one of `annotations`".to_owned()),
    };
    word(facts, "package")?;
    let level = word(facts, "level")?;
    let level = LEVELS.into_iter().find(|known| known.as_str() == level);
    let kind = word(facts, "kind")?;
    let status = word(facts, "status")?;
    if ![OPEN, ACCEPTED, NOT_AFFECTED, FIXED].contains(&status.as_str()) {
        return Err("its `status` is not known".to_owned());
    }
    let known = ["informational", "unimportant", "kernel-headers", "doubtful"];
    let can_gate = [VULNERABILITY, MALICIOUS].contains(&kind.as_str());
    if !can_gate && !known.contains(&kind.as_str()) {
        return Err("its `kind` is not known".to_owned());
    }
    let is_exploited = facts.get("kev").and_then(Value::as_bool);
    let is_fixable = match facts.get("fixed") {
        None => false,
        Some(Value::String(fixed)) => !fixed.is_empty(),
        Some(_) => return Err("its `fixed` is not a text".to_owned()),
    };
    let is_known = match facts.get("knownSince") {
        None => false,
        Some(Value::String(since)) if since.parse::<Digest>().is_ok() => true,
        Some(_) => return Err("its `knownSince` is no digest".to_owned()),
    };
    let count = RowCount {
        level: level.ok_or("its `level` is not known")?,
        is_fixable,
        is_exploited: is_exploited.ok_or("it has no `kev`")?,
        can_gate,
        is_accepted: status != OPEN,
    };
    Ok((count, is_known))
}
