//! Scans → the predicates that are signed, and back: what a predicate says, or why it says nothing.
//! It has no clock: how old a scan may be is for the policy.
//!
//! Formats: <https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md>,
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::report::{FindingTally, ImageScan, SCANNER, SCANNER_VERSION, ScanSummary};
use super::rows::{counted, rows, summary};
use super::text::plain;
use crate::evidence::{COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES};
use crate::image::Digest;
use crate::text::plural;

/// The run of a workflow that scans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanInvocation {
    /// Its page.
    pub uri: String,
    pub event_id: String,
    pub builder: String,
    /// What decided, such as `fail-on`.
    pub parameters: BTreeMap<String, String>,
}

/// A predicate of the type, of one platform's scan or of all of an index; `None` of no scan, of one
/// without a source, and of other types.
pub fn predicate(
    predicate_type: &str,
    scans: &[&ImageScan],
    invocation: &ScanInvocation,
) -> Option<Value> {
    let started = scans.iter().map(|scan| scan.started).min()?;
    // The oldest parts count, so that none is older than the whole says.
    let finished = scans.iter().map(|scan| scan.finished).min()?;
    let newest = scans.iter().map(|scan| scan.newest()).min()??;
    let source = scans.iter().find_map(|scan| scan.sources.first())?;
    let rows = rows(scans);
    let results: Vec<Value> = rows.iter().map(|row| row.json()).collect();
    let metadata = json!({
        "scanStartedOn": started.to_string(),
        "scanFinishedOn": finished.to_string(),
    });
    let mut db = json!({ "uri": source.uri, "version": newest.to_string() });
    match predicate_type {
        // cosign's policies see the fields of its own struct alone, and `result` is one.
        COSIGN_VULNERABILITIES => Some(json!({
            "invocation": {
                "parameters": invocation.parameters,
                "uri": invocation.uri,
                "event_id": invocation.event_id,
                "builder.id": invocation.builder,
            },
            "scanner": {
                "uri": SCANNER,
                "version": SCANNER_VERSION,
                "db": db,
                "result": {
                    "summary": summary(scans),
                    "platforms": platforms(scans),
                    "sources": sources(scans),
                    "results": results,
                },
            },
            "metadata": metadata,
        })),
        IN_TOTO_VULNERABILITIES => {
            db["lastUpdate"] = Value::from(newest.to_string());
            Some(json!({
                "scanner": {
                    "uri": SCANNER,
                    "version": SCANNER_VERSION,
                    "db": db,
                    "result": results,
                },
                "metadata": metadata,
            }))
        }
        _ => None,
    }
}

/// The same without what is for people alone: places, summaries and vectors. It counts as the whole
/// does.
pub fn lean(mut predicate: Value) -> Value {
    let result = match predicate.pointer_mut("/scanner/result") {
        Some(Value::Object(result)) => result.get_mut("results"),
        other => other,
    };
    for row in result.and_then(Value::as_array_mut).into_iter().flatten() {
        row["severity"] = Value::Array(
            row["severity"].as_array().into_iter().flatten().take(1).cloned().collect(),
        );
        let facts = row.get_mut("annotations").and_then(|facts| facts.get_mut(0));
        if let Some(facts) = facts.and_then(Value::as_object_mut) {
            let kept = [
                "package",
                "level",
                "kind",
                "kev",
                "status",
                "fixed",
                "reason",
                "until",
                "knownSince",
            ];
            facts.retain(|name, _| kept.contains(&name.as_str()));
        }
    }
    predicate
}

fn platforms(scans: &[&ImageScan]) -> BTreeMap<String, ScanSummary> {
    let named = scans.iter().filter_map(|scan| Some((scan.platform.as_ref()?, scan)));
    named.map(|(platform, scan)| (platform.to_string(), summary(&[*scan]))).collect()
}

fn sources(scans: &[&ImageScan]) -> BTreeMap<String, String> {
    let mut oldest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for source in scans.iter().flat_map(|scan| &scan.sources) {
        let known = oldest.entry(&source.uri).or_insert(source.newest);
        *known = source.newest.min(*known);
    }
    oldest.into_iter().map(|(uri, newest)| (uri.to_owned(), newest.to_string())).collect()
}

/// The rows of a predicate; `None` of other types.
pub(super) fn rows_of<'a>(predicate_type: &str, predicate: &'a Value) -> Option<&'a Vec<Value>> {
    let result = predicate.pointer("/scanner/result")?;
    match predicate_type {
        COSIGN_VULNERABILITIES => result.get("results")?.as_array(),
        IN_TOTO_VULNERABILITIES => result.as_array(),
        _ => None,
    }
}

/// What a predicate says of an image. The rows were counted anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanStatement {
    pub scanner: String,
    pub version: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// When the newest advisory was modified.
    pub newest: Timestamp,
    #[serde(rename = "vulnerabilities")]
    pub tally: FindingTally,
    /// Of those that no image had which was published before.
    #[serde(skip)]
    pub new: FindingTally,
    /// The in-toto predicate has no place for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_assessed: Option<u64>,
    /// Of all rows as they are.
    #[serde(skip)]
    pub results: Digest,
}

impl ScanStatement {
    /// `2026-11-28T10:00:02Z: 1 critical, 2 with a fix; 1 accepted; 3 packages not assessed`.
    pub fn told(&self) -> String {
        let FindingTally { counts, fixable, accepted, .. } = &self.tally;
        let known = match counts.total() {
            0 => "none known".to_owned(),
            _ => format!("{} open, {} with a fix", counts.told(), fixable.total()),
        };
        let accepted = match accepted {
            0 => String::new(),
            accepted => format!("; {accepted} accepted"),
        };
        let not_assessed = match self.not_assessed {
            None | Some(0) => String::new(),
            Some(count) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                format!("; {} not assessed", plural(count, "package"))
            }
        };
        format!("{}: {known}{accepted}{not_assessed}", self.finished)
    }
}

/// Why a predicate is no result of a scan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScanStatement {
    #[error("`{}` is no type of scan results that can be read", plain(.0))]
    OtherType(String),
    #[error("it names no scanner")]
    NoScanner,
    #[error("it was made by `{}`, whose results cannot be counted", plain(.0))]
    UnknownScanner(String),
    #[error("it does not name the version of its scanner")]
    NoVersion,
    #[error("it does not say when the scan {0}")]
    NoTime(&'static str),
    #[error("its scan finished at {finished}, before it started at {started}")]
    FinishedBeforeStart { started: Timestamp, finished: Timestamp },
    #[error("it does not say how old its advisories are")]
    NoAdvisories,
    #[error("it has no result")]
    NoResult,
    #[error("its result has no summary that can be read")]
    NoSummary,
    #[error("row {number} of its result cannot be counted: {why}")]
    Row { number: usize, why: String },
    #[error("its summary does not count what its rows say")]
    OtherCounts,
}

impl ScanStatement {
    pub fn read(predicate_type: &str, predicate: &Value) -> Result<Self, BadScanStatement> {
        let scanner = predicate.get("scanner").unwrap_or(&Value::Null);
        let text = |value: &Value, name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let is_cosign = match predicate_type {
            COSIGN_VULNERABILITIES => true,
            IN_TOTO_VULNERABILITIES => false,
            other => return Err(BadScanStatement::OtherType(other.to_owned())),
        };
        let uri = text(scanner, "uri").ok_or(BadScanStatement::NoScanner)?;
        if uri != SCANNER {
            return Err(BadScanStatement::UnknownScanner(uri));
        }
        let version = text(scanner, "version").ok_or(BadScanStatement::NoVersion)?;
        let metadata = predicate.get("metadata").unwrap_or(&Value::Null);
        let time = |name: &str| text(metadata, name).and_then(|text| moment(&text));
        let started = time("scanStartedOn").ok_or(BadScanStatement::NoTime("started"))?;
        let finished = time("scanFinishedOn").ok_or(BadScanStatement::NoTime("finished"))?;
        if finished < started {
            return Err(BadScanStatement::FinishedBeforeStart { started, finished });
        }
        let db = scanner.get("db").unwrap_or(&Value::Null);
        let newest = text(db, if is_cosign { "version" } else { "lastUpdate" });
        let newest = newest.and_then(|newest| moment(&newest));
        let newest = newest.ok_or(BadScanStatement::NoAdvisories)?;
        let result = scanner.get("result").ok_or(BadScanStatement::NoResult)?;
        let list = if is_cosign { result.get("results") } else { Some(result) };
        let list = list.and_then(Value::as_array).ok_or(BadScanStatement::NoResult)?;
        let (tally, new) =
            counted(list).map_err(|(at, why)| BadScanStatement::Row { number: at + 1, why })?;
        let mut not_assessed = None;
        if is_cosign {
            let told = result.get("summary").cloned().unwrap_or(Value::Null);
            let told: ScanSummary =
                serde_json::from_value(told).map_err(|_| BadScanStatement::NoSummary)?;
            if told.tally != tally {
                return Err(BadScanStatement::OtherCounts);
            }
            not_assessed = Some(told.not_assessed);
        }
        let results = Digest::of(Value::from(list.clone()).to_string().as_bytes());
        Ok(Self {
            scanner: uri,
            version,
            started,
            finished,
            newest,
            tally,
            new,
            not_assessed,
            results,
        })
    }

    /// Whether it says the same of the image, whenever that was found out.
    pub fn says_as(&self, other: &Self) -> bool {
        // A service that had nothing to answer with is as new as its answer.
        let newest = |it: &Self| Some(it.newest).filter(|newest| *newest < it.started);
        let said = |it: &Self| (newest(it), it.tally, it.not_assessed);
        (&self.scanner, &self.version, &self.results)
            == (&other.scanner, &other.version, &other.results)
            && said(self) == said(other)
    }
}

/// Go writes the first year for a time that nobody set.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::super::report::LevelCounts;
    use super::super::sample;
    use super::*;

    fn read(kind: &str, predicate: &Value) -> Result<ScanStatement, String> {
        ScanStatement::read(kind, predicate).map_err(|why| why.to_string())
    }

    #[test]
    fn each_form_is_as_recorded_and_reads_back() {
        let (amd64, invocation) = (sample::scan("amd64"), sample::invocation());
        for (kind, golden) in [
            (COSIGN_VULNERABILITIES, include_str!("../../tests/fixtures/scan/cosign-vuln.json")),
            (IN_TOTO_VULNERABILITIES, include_str!("../../tests/fixtures/scan/in-toto-vulns.json")),
        ] {
            let made = predicate(kind, &[&amd64], &invocation).unwrap();
            assert_eq!(sample::recorded(&made), golden);
            let read = ScanStatement::read(kind, &made).unwrap();
            assert_eq!(read.tally, summary(&[&amd64]).tally);
            assert_eq!((read.started, read.finished), (amd64.started, amd64.finished));
            assert_eq!(read.newest, amd64.newest().unwrap());
            assert_eq!(read.version, SCANNER_VERSION);
            assert_eq!(read.not_assessed, (kind == COSIGN_VULNERABILITIES).then_some(2));
        }
        assert_eq!(predicate("https://x.example", &[&amd64], &invocation), None);
        assert_eq!(predicate(COSIGN_VULNERABILITIES, &[], &invocation), None);
        let mut nowhere = amd64.clone();
        nowhere.sources.clear();
        assert_eq!(predicate(COSIGN_VULNERABILITIES, &[&amd64, &nowhere], &invocation), None);
    }

    #[test]
    fn an_index_counts_a_flaw_of_two_platforms_once() {
        let (amd64, mut arm64) = (sample::scan("amd64"), sample::scan("arm64"));
        arm64.finished = "2026-11-28T10:09:00Z".parse().unwrap();
        arm64.sources[0].newest = "2026-11-01T00:00:00Z".parse().unwrap();
        // One flaw is on one platform alone.
        let alone = arm64.findings.remove(0);
        let made =
            predicate(COSIGN_VULNERABILITIES, &[&amd64, &arm64], &sample::invocation()).unwrap();
        let read = ScanStatement::read(COSIGN_VULNERABILITIES, &made).unwrap();
        assert_eq!(read.tally, summary(&[&amd64]).tally);
        assert_eq!(read.finished, amd64.finished);
        assert_eq!(read.newest, arm64.newest().unwrap());
        let result = &made["scanner"]["result"];
        assert_eq!(result["summary"]["packages"], 2 * summary(&[&amd64]).packages);
        assert_eq!(result["platforms"]["linux/arm64"]["vulnerabilities"]["counts"]["critical"], 0);
        let rows = result["results"].as_array().unwrap();
        let of = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(of(&alone.finding.id)["annotations"][0]["platforms"], json!(["linux/amd64"]));
        assert_eq!(
            of("CVE-2026-2")["annotations"][0]["platforms"],
            json!(["linux/amd64", "linux/arm64"])
        );
        // What is accepted on one platform alone stays open on the other.
        let mut differs = sample::scan("arm64");
        for judged in &mut differs.findings {
            judged.acceptance = None;
        }
        let made =
            predicate(IN_TOTO_VULNERABILITIES, &[&amd64, &differs], &sample::invocation()).unwrap();
        let tally = ScanStatement::read(IN_TOTO_VULNERABILITIES, &made).unwrap().tally;
        assert_eq!((tally.accepted, tally.counts.medium, tally.counts.high), (2, 1, 2));
    }

    #[test]
    fn nothing_found_is_a_result_and_nothing_at_all_is_none() {
        let mut scan = sample::scan("amd64");
        scan.findings.clear();
        for kind in [COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES] {
            let made = predicate(kind, &[&scan], &sample::invocation()).unwrap();
            let read = ScanStatement::read(kind, &made).unwrap();
            assert_eq!(read.tally.counts, LevelCounts::default());
            for none in [Value::Null, json!({}), json!("")] {
                let mut empty = made.clone();
                empty["scanner"]["result"] = none;
                assert_eq!(ScanStatement::read(kind, &empty), Err(BadScanStatement::NoResult));
            }
        }
    }

    /// What cosign 3.1.3 signs when it is given SARIF, or `scanners` in place of `scanner`.
    #[test]
    fn refuses_what_cosign_makes_of_a_sarif_file() {
        let empty = json!({
            "invocation": { "builder.id": "", "event_id": "", "parameters": null, "uri": "" },
            "metadata": {
                "scanFinishedOn": "0001-01-01T00:00:00Z",
                "scanStartedOn": "0001-01-01T00:00:00Z"
            },
            "scanner": { "db": { "uri": "", "version": "" }, "result": null, "uri": "", "version": "" }
        });
        assert_eq!(read(COSIGN_VULNERABILITIES, &empty).unwrap_err(), "it names no scanner");
        for other in [json!({}), json!([]), json!(null), json!({ "scanner": "x", "metadata": 1 })] {
            assert_eq!(read(COSIGN_VULNERABILITIES, &other).unwrap_err(), "it names no scanner");
        }
    }

    type Change = fn(&mut Value);

    const CHANGES: [(Change, &str); 16] = [
        (
            |it| it["scanner"]["uri"] = "https://x.example/`\n".into(),
            "it was made by `https://x.example/\\u{60}\\n`, whose results cannot be counted",
        ),
        (|it| it["scanner"]["version"] = "".into(), "it does not name the version of its scanner"),
        (
            |it| it["metadata"]["scanStartedOn"] = "0001-01-01T00:00:00Z".into(),
            "it does not say when the scan started",
        ),
        (
            |it| it["metadata"]["scanFinishedOn"] = "0001-01-01T00:00:00Z".into(),
            "it does not say when the scan finished",
        ),
        (
            |it| it["metadata"]["scanFinishedOn"] = "1970-01-01T00:00:00Z".into(),
            "it does not say when the scan finished",
        ),
        (
            |it| it["metadata"]["scanFinishedOn"] = "yesterday".into(),
            "it does not say when the scan finished",
        ),
        (
            |it| it["metadata"]["scanFinishedOn"] = "2026-11-28T09:59:59Z".into(),
            "its scan finished at 2026-11-28T09:59:59Z, before it started at 2026-11-28T10:00:00Z",
        ),
        (
            |it| it["scanner"]["db"]["version"] = "".into(),
            "it does not say how old its advisories are",
        ),
        (
            |it| it["scanner"]["result"]["summary"] = Value::Null,
            "its result has no summary that can be read",
        ),
        (
            |it| {
                it["scanner"]["result"]["summary"]["vulnerabilities"]["counts"]["critical"] =
                    0.into()
            },
            "its summary does not count what its rows say",
        ),
        (
            |it| it["scanner"]["result"]["summary"]["vulnerabilities"]["accepted"] = (-1).into(),
            "its result has no summary that can be read",
        ),
        (
            |it| it["scanner"]["result"]["results"][0]["annotations"] = json!([]),
            "row 1 of its result cannot be counted: it has not exactly one of `annotations`",
        ),
        (
            |it| it["scanner"]["result"]["results"][1]["annotations"][0]["level"] = "none".into(),
            "row 2 of its result cannot be counted: its `level` is not known",
        ),
        (
            |it| it["scanner"]["result"]["results"][1]["annotations"][0]["status"] = "fine".into(),
            "row 2 of its result cannot be counted: its `status` is not known",
        ),
        (
            |it| it["scanner"]["result"]["results"][1]["annotations"][0]["kind"] = "x".into(),
            "row 2 of its result cannot be counted: its `kind` is not known",
        ),
        (
            |it| it["scanner"]["result"]["results"][1]["id"] = Value::Null,
            "row 2 of its result cannot be counted: it has no `id`",
        ),
    ];

    #[test]
    fn refuses_what_lacks_a_part_and_says_which() {
        let whole =
            predicate(COSIGN_VULNERABILITIES, &[&sample::scan("amd64")], &sample::invocation())
                .unwrap();
        for (change, why) in CHANGES {
            let mut changed = whole.clone();
            change(&mut changed);
            assert_eq!(read(COSIGN_VULNERABILITIES, &changed).unwrap_err(), why);
        }
        let other = read("https://in-toto.io/attestation/vulns/v0.1", &whole).unwrap_err();
        assert!(other.contains("is no type of scan results"), "{other}");
        // cosign's form under the other's type.
        assert_eq!(
            read(IN_TOTO_VULNERABILITIES, &whole).unwrap_err(),
            "it does not say how old its advisories are"
        );
    }
}
