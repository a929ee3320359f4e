//! Scans → SARIF 2.1.0 within GitHub's limits: a run for each image and platform, a rule for each
//! flaw. It leaves out no finding in silence, and no text of others is a link.
//!
//! Formats: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>,
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::findings::{Finding, FindingKind};
use super::report::{EarlierState, ImageScan, JudgedFinding, SCANNER, SCANNER_VERSION};
use super::severity::SeverityLevel;
use super::shown;
use super::tools::ToolRun;
use crate::image::Digest;
use crate::text::markdown::code;
use crate::text::plural;
use crate::text::seen::visible;

/// GitHub keeps no more of a run.
const MOST_RESULTS: usize = 5_000;
/// Of a file.
const MOST_RUNS: usize = 20;
/// So that a file stays under ten megabytes when it is compressed.
const MOST_RESULTS_OF_FILE: usize = 3 * MOST_RESULTS;
const MOST_BYTES_OF_FILE: usize = 48 << 20;
/// What our own runs are by.
const NAME: &str = "supply-action";
/// Of a result; the rest is in its message.
const MOST_PLACES: usize = 10;

/// Two scans whose alerts would close each other's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two scans have the category `{0}`")]
pub struct SameCategory(pub String);

/// What GitHub tells scans of one repository apart by.
pub fn category(scan: &ImageScan) -> String {
    let platform = scan.platform.as_ref().map(|platform| format!("{platform}/"));
    let image = visible(&scan.image);
    format!("supply-action/{}/{}", image.trim_matches('/'), platform.unwrap_or_default())
}

/// A run that is about something else than packages.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherRun {
    pub category: String,
    pub rules: Vec<Value>,
    pub results: Vec<Value>,
    /// What people should know beside the results, a sentence each.
    pub notes: Vec<String>,
    pub image: String,
}

/// Files that GitHub takes, one after the other; more than one only of many images or tools.
pub fn documents(
    scans: &[ImageScan],
    others: Vec<OtherRun>,
    tools: &[ToolRun],
) -> Result<Vec<Value>, SameCategory> {
    let mut categories = BTreeSet::new();
    let mut runs = Vec::new();
    for scan in scans {
        let category = category(scan);
        runs.push(sized(run(scan, &category)));
        if !categories.insert(category.clone()) {
            return Err(SameCategory(category));
        }
    }
    for other in others {
        if !categories.insert(other.category.clone()) {
            return Err(SameCategory(other.category));
        }
        runs.push(sized(other_run(other)));
    }
    for tool in tools {
        if tool.tool == NAME && !categories.insert(tool.category.clone()) {
            return Err(SameCategory(tool.category.clone()));
        }
        let (mut run, left_out) = tool.merged(MOST_RESULTS);
        if left_out > 0 && run["properties"].is_object() {
            run["properties"]["resultsLeftOut"] = Value::from(left_out);
        } else if left_out > 0 {
            run["properties"] = json!({ "resultsLeftOut": left_out });
        }
        runs.push(sized((run, tool.results.len() - left_out)));
    }
    let file = |runs: Vec<Value>| {
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": runs,
        })
    };
    Ok(files(runs).into_iter().map(file).collect())
}

/// A run, and what counts towards the limits of a file.
struct SizedRun {
    run: Value,
    results: usize,
    bytes: usize,
}

fn sized((run, results): (Value, usize)) -> SizedRun {
    let bytes = run.to_string().len();
    SizedRun { run, results, bytes }
}

/// Runs by the file that they go into.
fn files(runs: Vec<SizedRun>) -> Vec<Vec<Value>> {
    let mut files: Vec<Vec<Value>> = vec![Vec::new()];
    let (mut results, mut bytes) = (0, 0);
    for run in runs {
        results += run.results;
        bytes += run.bytes;
        match files.last_mut() {
            Some(file)
                if file.is_empty()
                    || (file.len() < MOST_RUNS
                        && results <= MOST_RESULTS_OF_FILE
                        && bytes <= MOST_BYTES_OF_FILE) =>
            {
                file.push(run.run);
            }
            _ => {
                (results, bytes) = (run.results, run.bytes);
                files.push(vec![run.run]);
            }
        }
    }
    files
}

/// A run, and how many results it has.
fn run(scan: &ImageScan, category: &str) -> (Value, usize) {
    let is_told = |judged: &&JudgedFinding| judged.finding.kind != FindingKind::KernelHeaders;
    let mut told: Vec<&JudgedFinding> = scan.findings.iter().filter(is_told).collect();
    let headers = scan.findings.len() - told.len();
    told.sort_by_cached_key(|judged| worst_first(judged));
    let left_out = told.split_off(told.len().min(MOST_RESULTS));
    let mut by_rule: BTreeMap<&str, Vec<&JudgedFinding>> = BTreeMap::new();
    for judged in &told {
        by_rule.entry(&judged.finding.id).or_default().push(judged);
    }
    let places: HashMap<&str, usize> =
        by_rule.keys().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut fingerprints = Fingerprints::default();
    let results: Vec<Value> = told
        .iter()
        .map(|judged| {
            let rule = places.get(judged.finding.id.as_str()).copied().unwrap_or_default();
            result(scan, judged, rule, fingerprints.of(&judged.finding))
        })
        .collect();
    let rules: Vec<Value> = by_rule.iter().map(|(id, findings)| rule(id, findings)).collect();
    let count = results.len();
    let run = json!({
        "tool": { "driver": {
            "name": NAME,
            "version": SCANNER_VERSION,
            "semanticVersion": SCANNER_VERSION,
            "informationUri": SCANNER,
            "rules": rules,
        }},
        "automationDetails": { "id": category },
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": true,
            "startTimeUtc": scan.started.to_string(),
            "endTimeUtc": scan.finished.to_string(),
            "toolExecutionNotifications": notifications(scan, &left_out, headers),
        }],
        "results": results,
        "properties": { "image": visible(&scan.image), "digest": scan.digest },
    });
    (run, count)
}

fn other_run(other: OtherRun) -> (Value, usize) {
    let OtherRun { category, rules, mut results, mut notes, image } = other;
    let left_out = results.len().saturating_sub(MOST_RESULTS);
    if left_out > 0 {
        results.truncate(MOST_RESULTS);
        notes
            .push(format!("{} left out: GitHub keeps {MOST_RESULTS}.", plural(left_out, "result")));
    }
    let note = |text: String| json!({ "level": "note", "message": { "text": unlinked(&text) } });
    let count = results.len();
    let run = json!({
        "tool": { "driver": {
            "name": NAME,
            "version": SCANNER_VERSION,
            "semanticVersion": SCANNER_VERSION,
            "informationUri": SCANNER,
            "rules": rules,
        }},
        "automationDetails": { "id": category },
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": true,
            "toolExecutionNotifications": notes.into_iter().map(note).collect::<Vec<_>>(),
        }],
        "results": results,
        "properties": { "image": visible(&image) },
    });
    (run, count)
}

/// Open ones before accepted ones, the worst first.
fn worst_first(judged: &JudgedFinding) -> impl Ord + use<> {
    let severity = &judged.finding.severity;
    // Scores have one digit after the point.
    let tenths = Reverse(severity.score.map(|score| (score * 10.0).round().to_bits()));
    (
        Reverse(judged.is_open()),
        Reverse(severity.level),
        Reverse(judged.finding.kev.is_some()),
        tenths,
    )
}

fn notifications(scan: &ImageScan, left_out: &[&JudgedFinding], headers: usize) -> Vec<Value> {
    let note = |level: &str, text: String| json!({ "level": level, "message": { "text": unlinked(&text) } });
    let mut notes = vec![note("note", shown::sentence(scan))];
    if let Some(worst) = left_out.first() {
        notes.push(note(
            "warning",
            format!(
                "{} left out, of the least severity: GitHub keeps {MOST_RESULTS}. The worst of them is {} in {}.",
                plural(left_out.len(), "result"),
                worst.finding.id,
                worst.finding.name
            ),
        ));
    }
    if headers > 0 {
        notes.push(note(
            "note",
            format!(
                "{} of the kernel listed for its headers, which hold none of its code.",
                plural(headers, "flaw")
            ),
        ));
    }
    let packages = |names: &[&super::findings::Unassessed]| {
        let mut named: Vec<&str> =
            names.iter().take(MOST_PLACES).map(|it| it.name.as_str()).collect();
        if names.len() > MOST_PLACES {
            named.push("…");
        }
        named.join(", ")
    };
    notes.extend(super::report::gaps(scan).iter().map(|(gap, names)| {
        let count = plural(names.len(), "package");
        note("warning", format!("{count} not assessed: {gap}: {}", packages(names)))
    }));
    notes
}

fn rule(id: &str, findings: &[&JudgedFinding]) -> Value {
    let worst = findings.iter().copied().min_by_key(|judged| worst_first(judged));
    let summary = findings.iter().find_map(|judged| judged.finding.summary.as_deref());
    let short = visible(summary.unwrap_or(id));
    let aliases: BTreeSet<&str> =
        findings.iter().flat_map(|it| &it.finding.ids).map(String::as_str).collect();
    let mut properties = json!({ "tags": tags(findings), "precision": "high" });
    if let Some(score) = worst.and_then(|judged| score(&judged.finding)) {
        properties["security-severity"] = Value::from(score);
    }
    let mut rule = json!({
        "id": visible(id),
        "shortDescription": { "text": clipped(&format!("{}: {short}", visible(id)), 1_000) },
        "fullDescription": { "text": clipped(&short, 1_000) },
        "help": { "text": help(id, &aliases, findings, &|text| visible(text)),
                  "markdown": help(id, &aliases, findings, &|text| code(&text)) },
        "defaultConfiguration": { "level": worst.map_or("none", |judged| level(judged)) },
        "properties": properties,
    });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if id.bytes().all(is_plain) {
        rule["helpUri"] = Value::from(format!("https://osv.dev/vulnerability/{id}"));
    }
    rule
}

fn tags(findings: &[&JudgedFinding]) -> Vec<&'static str> {
    let mut tags = BTreeSet::from(["security"]);
    tags.extend(findings.iter().map(|judged| judged.kind()));
    if findings.iter().any(|judged| judged.finding.kev.is_some()) {
        tags.insert("known-exploited");
    }
    tags.into_iter().collect()
}

fn help(
    id: &str,
    aliases: &BTreeSet<&str>,
    findings: &[&JudgedFinding],
    written: &dyn Fn(&str) -> String,
) -> String {
    let others: Vec<String> =
        aliases.iter().filter(|alias| **alias != id).map(|alias| written(alias)).collect();
    let mut lines = vec![match others.as_slice() {
        [] => written(id),
        others => format!("{}, also known as {}", written(id), others.join(", ")),
    }];
    let repairs: BTreeSet<String> = findings
        .iter()
        .map(|judged| {
            let finding = &judged.finding;
            match &finding.fixed {
                Some(fixed) => {
                    format!("Update {} to {}.", written(&finding.name), written(fixed))
                }
                None => format!("No version of {} repairs it yet.", written(&finding.name)),
            }
        })
        .collect();
    lines.extend(repairs.into_iter().take(MOST_PLACES));
    let due = findings.iter().filter_map(|judged| judged.finding.kev);
    if let Some(kev) = due.max_by_key(|kev| Reverse(kev.due)) {
        let due = kev.due.map(|due| format!(", to be repaired by {due}")).unwrap_or_default();
        lines.push(format!("It is exploited, says the catalog of CISA{due}."));
    }
    clipped(&lines.join("\n\n"), 8_000)
}

fn result(scan: &ImageScan, judged: &JudgedFinding, rule: usize, fingerprint: String) -> Value {
    let finding = &judged.finding;
    let suppressions: Vec<Value> = judged
        .acceptance
        .iter()
        .map(|acceptance| {
            json!({
                "kind": "external",
                "status": "accepted",
                "justification": visible(&acceptance.told()),
            })
        })
        .collect();
    let mut result = json!({
        "ruleId": visible(&finding.id),
        "ruleIndex": rule,
        "kind": "fail",
        "level": level(judged),
        "message": { "text": unlinked(&message(judged)) },
        "locations": [location(scan, judged)],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint },
        "suppressions": suppressions,
        "properties": {
            "purl": visible(&finding.purl),
            "severity": finding.severity.level.as_str(),
            "severitySource": visible(&finding.severity.source),
            "kind": judged.kind(),
            "fixedVersion": finding.fixed.as_deref().map(visible),
            "fromBase": judged.origin.as_ref().map(|origin| origin.is_base),
        },
    });
    if let Some(since) = &judged.known_since {
        result["properties"]["knownSince"] = Value::from(since.to_string());
    }
    result
}

fn message(judged: &JudgedFinding) -> String {
    let finding = &judged.finding;
    let of = match judged.origin.as_ref().map(|origin| origin.is_base) {
        Some(true) => " of the base image",
        _ => "",
    };
    let told = finding.summary.as_deref().map(|summary| format!(": {summary}")).unwrap_or_default();
    let fixed = match &finding.fixed {
        Some(fixed) => format!("fixed in {fixed}"),
        None => "no version repairs it yet".to_owned(),
    };
    let places: Vec<&str> = finding.paths.iter().take(MOST_PLACES).map(String::as_str).collect();
    let within = match places.as_slice() {
        [] => String::new(),
        places => format!(" It is in {}.", places.join(", ")),
    };
    let what = match &finding.kind {
        FindingKind::Informational(word) => format!("no vulnerability, but {word}"),
        _ => format!("{} severity, {fixed}", finding.severity.level),
    };
    let since = match &judged.known_since {
        None => String::new(),
        Some(EarlierState::Image(digest)) => {
            format!(" The image {digest} has it as well, which a tag pointed to before.")
        }
        Some(named @ EarlierState::Named(_)) => {
            format!(" {named} has it as well, which this was compared with.")
        }
    };
    format!(
        "{} {}{of} has {} ({what}){told}.{within}{since}",
        finding.name, finding.version, finding.id
    )
}

/// A line of the repository where one is known, and the place in the image.
fn location(scan: &ImageScan, judged: &JudgedFinding) -> Value {
    let finding = &judged.finding;
    let line = judged.origin.as_ref().and_then(|origin| origin.line.as_ref());
    let (path, line) = match (line, finding.paths.first()) {
        (Some(line), _) => (line.path.as_str(), line.line.max(1)),
        (None, Some(path)) => (path.as_str(), 1),
        (None, None) => (scan.image.as_str(), 1),
    };
    let mut logical = vec![json!({
        "kind": "package",
        "name": visible(&finding.name),
        "fullyQualifiedName": visible(&finding.purl),
    })];
    let named =
        |kind: &str, name: &str| json!({ "kind": kind, "fullyQualifiedName": visible(name) });
    logical.extend(finding.paths.iter().take(MOST_PLACES).map(|path| named("file", path)));
    logical.extend(finding.layers.iter().take(MOST_PLACES).map(|layer| named("layer", layer)));
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": relative(path) },
            "region": { "startLine": line },
        },
        "logicalLocations": logical,
    })
}

/// A path as a relative reference, which nothing in it leads elsewhere.
fn relative(path: &str) -> String {
    let steps = path.split('/').filter(|step| !matches!(*step, "" | "." | ".."));
    let encoded: Vec<String> = steps.map(encoded).collect();
    if encoded.is_empty() { "image".to_owned() } else { encoded.join("/") }
}

fn encoded(step: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!+@".contains(&byte);
    let mut written = String::with_capacity(step.len());
    for byte in step.bytes() {
        match is_plain(byte) {
            true => written.push(char::from(byte)),
            false => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

fn level(judged: &JudgedFinding) -> &'static str {
    match (judged.finding.can_gate(), judged.finding.severity.level) {
        (false, _) | (true, SeverityLevel::Low) => "note",
        (true, SeverityLevel::Medium | SeverityLevel::Unknown) => "warning",
        (true, SeverityLevel::High | SeverityLevel::Critical) => "error",
    }
}

/// What GitHub sorts by: the score where it is known, else the middle of its level, and nothing of
/// what nobody rates.
fn score(finding: &Finding) -> Option<String> {
    if !finding.can_gate() {
        return None;
    }
    let middle = match finding.severity.level {
        SeverityLevel::Critical => 9.5,
        SeverityLevel::High => 8.0,
        SeverityLevel::Medium => 5.5,
        SeverityLevel::Low => 2.0,
        SeverityLevel::Unknown => return None,
    };
    Some(format!("{:.1}", finding.severity.score.unwrap_or(middle)))
}

/// Stays the same over versions and builds, so that an alert lives as long as its flaw.
#[derive(Default)]
struct Fingerprints {
    seen: HashMap<String, usize>,
}

impl Fingerprints {
    fn of(&mut self, finding: &Finding) -> String {
        let purl = finding.purl.split(['?', '#']).next().unwrap_or_default();
        let purl = purl.rsplit_once('@').map_or(purl, |(name, _)| name);
        let path = finding.paths.first().map(String::as_str).unwrap_or_default();
        let path = match finding.version.as_str() {
            "" => path.to_owned(),
            version => path.replace(version, "*"),
        };
        let whole = Digest::of(format!("{}\0{purl}\0{path}", finding.id).as_bytes());
        let hash: String = whole.hex().chars().take(32).collect();
        let number = self.seen.entry(hash.clone()).or_default();
        *number += 1;
        format!("{hash}:{number}")
    }
}

/// Text in which SARIF sees no link.
fn unlinked(text: &str) -> String {
    clipped(&visible(text).replace("](", "] ("), 4_000)
}

fn clipped(text: &str, most: usize) -> String {
    let mut letters = text.chars();
    let kept: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests;
