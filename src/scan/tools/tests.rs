use serde_json::{Value, json};

use super::gate::{ToolRules, ToolsVerdict, judge};
use super::*;
use crate::scan::accepted::AcceptedRisks;

fn run(rules: Value, results: Value) -> Value {
    json!({ "tool": { "driver": { "name": "Semgrep", "rules": rules } }, "results": results })
}

fn file(runs: Value) -> Vec<u8> {
    json!({ "version": "2.1.0", "runs": runs }).to_string().into_bytes()
}

fn of(run: Value) -> Result<ToolRun, String> {
    let runs = read("a.sarif", &file(json!([run]))).map_err(|bad| bad.to_string())?;
    Ok(runs.into_iter().next().unwrap())
}

fn why(run: Value) -> String {
    of(run).unwrap_err()
}

fn only(rules: Value, result: Value) -> ToolResult {
    of(run(rules, json!([result]))).unwrap().results.remove(0)
}

fn judged(runs: &[ToolRun], rules: Option<ToolRules>, risks: &str) -> ToolsVerdict {
    let mut accepted = AcceptedRisks::default();
    if !risks.is_empty() {
        accepted.add_ignores("risks.yaml", risks).unwrap();
    }
    judge(runs, rules.as_ref(), &accepted, "2026-11-30".parse().unwrap())
}

const HIGH: ToolRules = ToolRules { fail_on: Some(SeverityLevel::High), fail_on_unknown: false };

#[test]
fn a_file_is_sarif_to_the_letter_or_nothing() {
    let reason = |bytes: &[u8]| read("a`\n.sarif", bytes).unwrap_err().to_string();
    assert!(reason(b"{").starts_with("`a\\u{60}\\n.sarif` cannot be used: it is no JSON: "));
    for (bytes, why) in [
        (&b""[..], "it is no JSON"),
        (b"\xff\xfe{\x00", "it is no JSON"),
        (b"[]", "it is no object"),
        (b"{}", "it does not say that it is SARIF `2.1.0`"),
        (br#"{"version": 2.1}"#, "it does not say that it is SARIF `2.1.0`"),
        (br#"{"version": "2.0.0", "runs": []}"#, "it is SARIF `2.0.0`, not `2.1.0`"),
        (br#"{"version": "2.1.0"}"#, "it has no list `runs`"),
        (br#"{"version": "2.1.0", "runs": {}}"#, "it has no list `runs`"),
        (br#"{"version": "2.1.0", "runs": []}"#, "its list `runs` is empty"),
        (br#"{"version": "2.1.0", "runs": [3]}"#, "run 1: it is no object"),
        (br#"{"version": "2.1.0", "runs": [{}], "runs": []}"#, "`runs` stands in an object twice"),
        (
            br#"{"version": "2.1.0", "runs": [{"results": [{"level": "error", "level": "note"}]}]}"#,
            "`level` stands in an object twice",
        ),
        (
            br#"{"version": "2.1.0", "runs": [{}], "inlineExternalProperties": [{}]}"#,
            "`inlineExternalProperties`",
        ),
    ] {
        let told = reason(bytes);
        assert!(told.contains(why), "{why}: {told}");
    }
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(reason(deep.as_bytes()).contains("it is no JSON: recursion limit"));
    let large = vec![b' '; usize::try_from(LARGEST).unwrap() + 1];
    assert!(reason(&large).contains("it has more than 33554432 bytes"));
    // Programs of one system begin their files so.
    let marked = [b"\xef\xbb\xbf", &file(json!([run(json!([]), json!([]))]))[..]].concat();
    assert_eq!(read("a", &marked).unwrap().len(), 1);
}

#[test]
fn a_run_whose_findings_cannot_be_known_is_refused() {
    let driver = json!({ "driver": { "name": "x" } });
    for (run, reason) in [
        (json!({}), "run 1: it names no tool"),
        (json!({ "tool": { "driver": { "name": " " } } }), "run 1: it names no tool"),
        (json!({ "tool": driver }), "run 1: it has no list `results`"),
        (json!({ "tool": driver, "results": null }), "run 1: it has no list `results`"),
        (
            json!({ "tool": driver, "results": [], "externalPropertyFileReferences": { "results": [{}] } }),
            "it keeps parts in other files",
        ),
        (
            json!({ "tool": driver, "results": [], "automationDetails": { "id": 3 } }),
            "its `automationDetails.id` is no text",
        ),
        (json!({ "tool": driver, "results": [], "invocations": 3 }), "`invocations` are no list"),
        (json!({ "tool": driver, "results": [3] }), "result 1: it is no object"),
        (json!({ "tool": driver, "results": [{ "ruleId": 3 }] }), "its `ruleId` is no text"),
        (json!({ "tool": driver, "results": [{ "level": "fatal" }] }), "its `level` is `fatal`"),
        (json!({ "tool": driver, "results": [{ "kind": "fine" }] }), "its `kind` is `fine`"),
        (
            json!({ "tool": driver, "results": [{ "suppressions": {} }] }),
            "its `suppressions` are no list",
        ),
        (
            json!({ "tool": driver, "results": [{ "ruleId": "a", "rule": { "id": "b" } }] }),
            "it is of rules `a` and `b`",
        ),
        (json!({ "tool": driver, "results": [{ "ruleIndex": 7 }] }), "its `ruleIndex` is `7`"),
        (json!({ "tool": driver, "results": [{ "ruleIndex": -7 }] }), "its `ruleIndex` is `-7`"),
        (
            json!({ "tool": driver, "results": [{ "ruleId": "a", "rule": { "toolComponent": { "index": 3 } } }] }),
            "a part of the tool that is not there",
        ),
    ] {
        let told = why(run);
        assert!(told.contains(reason), "{reason}: {told}");
    }
    let rules = json!([{ "id": "a" }, { "id": "b" }]);
    let told = why(run(rules, json!([{ "ruleId": "a", "ruleIndex": 1 }])));
    assert!(told.contains("it is of rule `a`, and its `ruleIndex` names rule `b`"), "{told}");
    let told = why(run(json!([{ "id": "a" }, { "id": "a" }]), json!([])));
    assert!(told.contains("rule `a` stands in it twice"), "{told}");
    for score in [json!("high"), json!("11"), json!(-1), json!("NaN"), json!([])] {
        let result = json!({ "ruleId": "a", "properties": { "security-severity": score } });
        let told = why(run(json!([]), json!([result])));
        assert!(told.contains("which is no number from 0 to 10"), "{told}");
    }
}

#[test]
fn the_score_decides_then_the_level_and_no_word_is_never_harmless() {
    let scored = |score: Value| json!({ "security-severity": score });
    let rule = |more: Value| {
        let mut rule = json!({ "id": "r" });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([rule])
    };
    for (rules, result, level, word) in [
        (
            rule(json!({ "properties": scored(json!("9.8")) })),
            json!({}),
            "critical",
            "critical, 9.8",
        ),
        (rule(json!({ "properties": scored(json!(7)) })), json!({}), "high", "high, 7.0"),
        (
            rule(json!({ "properties": scored(json!("9.8")) })),
            json!({ "properties": scored(json!("4.0")), "level": "error" }),
            "medium",
            "medium, 4.0",
        ),
        (rule(json!({ "properties": scored(json!("0.0")) })), json!({}), "unknown", "unknown, 0.0"),
        (
            rule(json!({ "defaultConfiguration": { "level": "error" } })),
            json!({}),
            "critical",
            "error",
        ),
        (
            rule(json!({ "defaultConfiguration": { "level": "error" } })),
            json!({ "level": "note" }),
            "low",
            "note",
        ),
        (json!([]), json!({}), "medium", "warning"),
        (json!([]), json!({ "level": "none" }), "unknown", "none"),
        (json!([]), json!({ "kind": "review", "level": "none" }), "unknown", "review"),
    ] {
        let mut whole = json!({ "ruleId": "r" });
        whole.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
        let read = only(rules, whole);
        assert_eq!((read.rating.level.as_str(), read.rating.word.as_str()), (level, word));
        assert_eq!(read.standing, ResultStanding::Found);
    }
}

#[test]
fn rules_of_extensions_and_parts_of_rules_are_found() {
    let scored = json!({ "security-severity": "9.0" });
    let run = json!({
        "tool": {
            "driver": { "name": "CodeQL", "rules": [{ "id": "own" }] },
            "extensions": [
                { "name": "empty" },
                { "name": "pack", "guid": "g", "rules": [{ "id": "js/xss", "properties": scored }] },
            ],
        },
        "results": [
            { "rule": { "id": "js/xss", "index": 0, "toolComponent": { "index": 1 } } },
            { "ruleId": "js/xss", "rule": { "toolComponent": { "guid": "g" } } },
            { "ruleId": "js/xss", "rule": { "toolComponent": { "name": "pack" } } },
            { "ruleId": "js/xss" },
            { "ruleId": "js/xss/stored" },
            { "rule": { "index": 0, "toolComponent": { "name": "pack" } } },
        ],
    });
    let run = of(run).unwrap();
    for result in &run.results {
        assert_eq!(result.rating.level, SeverityLevel::Critical, "{result:?}");
        assert!(result.rule.starts_with("js/xss"), "{result:?}");
    }
}

#[test]
fn a_result_is_suppressed_where_nobody_disagrees() {
    for (result, standing) in [
        (json!({}), ResultStanding::Found),
        (json!({ "suppressions": [] }), ResultStanding::Found),
        (json!({ "suppressions": [{ "kind": "inSource" }] }), ResultStanding::Suppressed),
        (
            json!({ "suppressions": [{ "kind": "external", "status": "accepted" }] }),
            ResultStanding::Suppressed,
        ),
        (
            json!({ "suppressions": [{ "status": "accepted" }, { "status": "underReview" }] }),
            ResultStanding::Found,
        ),
        (json!({ "suppressions": [{ "status": "rejected" }] }), ResultStanding::Found),
        (json!({ "kind": "pass" }), ResultStanding::Passed),
        (json!({ "kind": "notApplicable" }), ResultStanding::Passed),
        (json!({ "baselineState": "absent" }), ResultStanding::Passed),
        (json!({ "baselineState": "unchanged" }), ResultStanding::Found),
    ] {
        assert_eq!(only(json!([]), result.clone()).standing, standing, "{result}");
    }
}

#[test]
fn a_result_is_known_by_its_rule_and_by_the_flaw_and_by_nothing_wider() {
    let ids = |rule: Value, name: &str| {
        let found = only(json!([rule]), json!({ "ruleId": name }));
        found.ids.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        ids(json!({ "id": "CVE-2026-1234-openssl" }), "CVE-2026-1234-openssl"),
        ["CVE-2026-1234", "CVE-2026-1234-openssl"]
    );
    let tags =
        json!(["security", "external/cwe/cwe-79", "CWE-79", "CVE-2026-9", "GHSA-abcd-1234-wxyz"]);
    let rule = json!({
        "id": "DS-1", "deprecatedIds": ["OLD-1"], "properties": { "tags": tags, "aliases": ["AVD-1"] },
    });
    assert_eq!(ids(rule, "DS-1"), ["AVD-1", "CVE-2026-9", "DS-1", "GHSA-abcd-1234-wxyz", "OLD-1"]);
    assert_eq!(ids(json!({ "id": "x" }), "GHSA-abc"), ["GHSA-abc"]);
    assert_eq!(ids(json!({ "id": "x" }), "CVE-"), ["CVE-"]);
}

fn two_rules() -> ToolRun {
    of(run(
        json!([
            { "id": "xss", "properties": { "security-severity": "8.1" } },
            { "id": "CVE-2026-1-zlib", "properties": { "security-severity": "9.1" } },
        ]),
        json!([
            {
                "ruleId": "xss", "message": { "text": "unsafe" },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": "src/a.js" }, "region": { "startLine": 12 },
                } }],
            },
            { "ruleId": "CVE-2026-1-zlib" },
            { "ruleId": "style", "level": "note" },
            { "ruleId": "odd", "level": "none" },
            { "ruleId": "xss", "suppressions": [{ "kind": "inSource" }] },
        ]),
    ))
    .unwrap()
}

#[test]
fn the_rules_refuse_what_is_bad_enough_and_say_where_it_is() {
    let runs = [two_rules()];
    let verdict = judged(&runs, Some(HIGH), "");
    let refusal = verdict.refusal.unwrap();
    assert_eq!(refusal.sentence, "1 critical finding of `Semgrep`, 1 high finding of `Semgrep`");
    assert_eq!(
        refusal.lines,
        [
            "Semgrep: CVE-2026-1-zlib (critical, 9.1), which has no place, in a.sarif",
            "Semgrep: xss (high, 8.1) in src/a.js:12: unsafe",
        ]
    );
    let tally = &verdict.tallies[0];
    assert_eq!(
        tally.told(),
        "Semgrep: 4 findings (1 critical, 1 high, 1 low, 1 unknown), 1 suppressed"
    );
    assert_eq!((tally.refused, verdict.unrated), (2, 1));
    // Nobody asked, and all is counted.
    let counted = judged(&runs, None, "accepted: [{id: xss, reason: r}]");
    assert_eq!((counted.refusal, counted.tallies[0].open), (None, tally.open));
    assert!(counted.met.is_empty() && counted.unused.is_empty());
    let unknown = ToolRules { fail_on: None, fail_on_unknown: true };
    let refusal = judged(&runs, Some(unknown), "").refusal.unwrap();
    assert_eq!(refusal.sentence, "1 finding of `Semgrep` without a severity");
    let lowest = ToolRules { fail_on: Some(SeverityLevel::Low), ..HIGH };
    assert_eq!(judged(&runs, Some(lowest), "").refusal.unwrap().lines.len(), 3);
}

#[test]
fn what_is_accepted_by_rule_or_flaw_passes_until_it_expires() {
    let runs = [two_rules()];
    let verdict = judged(
        &runs,
        Some(HIGH),
        "accepted: [{id: xss, reason: r}, {id: CVE-2026-1, reason: r, expires: 2026-11-30}]",
    );
    assert_eq!((verdict.refusal, verdict.tallies[0].accepted), (None, 2));
    assert_eq!(verdict.met.len(), 2);
    for (risk, expired, unused) in [
        ("{id: xss, reason: r, expires: 2026-11-29}", 1, 0),
        ("{id: none, reason: r}", 0, 1),
        ("{id: security, reason: r}", 0, 1),
        // Whose package it is the file does not say.
        ("{id: xss, package: 'pkg:npm/a', reason: r}", 0, 1),
    ] {
        let verdict = judged(&runs, Some(HIGH), &format!("accepted: [{risk}]"));
        assert_eq!(verdict.refusal.unwrap().lines.len(), 2, "{risk}");
        assert_eq!((verdict.expired.len(), verdict.unused.len()), (expired, unused), "{risk}");
    }
}

#[test]
fn each_run_keeps_its_category_or_gets_one_and_two_alike_are_refused() {
    let named = |id: Option<&str>, tool: &str| {
        let mut run = run(json!([]), json!([]));
        run["tool"]["driver"]["name"] = json!(tool);
        if let Some(id) = id {
            run["automationDetails"] = json!({ "id": id, "guid": "g" });
        }
        run
    };
    let runs = |runs: Value, file_name: &str| read(file_name, &file(runs)).unwrap();
    let given =
        runs(json!([named(Some("ci/lint/7"), "Semgrep"), named(None, "a b/ü")]), "./x/y.sarif");
    assert_eq!(given[0].category, "ci/lint/7");
    assert_eq!(given[1].category, "a-b--/x/y.sarif/2/");
    let (merged, left_out) = given[0].merged(10);
    assert_eq!(merged["automationDetails"], json!({ "id": "ci/lint/7", "guid": "g" }));
    assert_eq!(left_out, 0);
    assert_eq!(given[1].merged(10).0["automationDetails"]["id"], "a-b--/x/y.sarif/2/");
    told_apart(&given, &[]).unwrap();
    // What follows the last `/` is the number of a run.
    let clash = runs(json!([named(Some("ci/lint/7"), "x"), named(Some("ci/lint/8"), "x")]), "a");
    assert_eq!(
        told_apart(&clash, &[]).unwrap_err().to_string(),
        "`a` cannot be used: run 1 of `a` and run 2 of `a` have one category for one tool, `ci/lint/7` and `ci/lint/8` of `x`"
    );
    let several = runs(json!([named(Some("ci/"), "x"), named(Some("ci/"), "y")]), "a");
    told_apart(&several, &[]).unwrap();
    let ours =
        runs(json!([named(Some("supply-action/r.io/a/linux/amd64/"), "supply-action")]), "a");
    let own = ["supply-action/r.io/a".to_owned()];
    assert!(told_apart(&ours, &own).unwrap_err().to_string().contains("this step's own findings"));
    told_apart(&ours, &["supply-action/r.io/b".to_owned()]).unwrap();
}

#[test]
fn what_github_does_not_take_is_left_out_and_the_worst_stays() {
    let places: Vec<Value> = (0..1_500).map(|at| json!({ "id": at })).collect();
    let steps: Vec<Value> = (0..10_001).map(|at| json!({ "index": at })).collect();
    let tags: Vec<String> = (0..30).map(|at| at.to_string()).collect();
    let results = json!([
        { "ruleId": "a", "level": "note" },
        { "ruleId": "a", "level": "error", "suppressions": [{}] },
        {
            "ruleId": "a", "level": "error", "locations": places,
            "codeFlows": [{ "threadFlows": [{ "locations": steps }] }],
        },
        { "ruleId": "a", "level": "warning" },
    ]);
    let run = of(run(json!([{ "id": "a", "properties": { "tags": tags } }]), results)).unwrap();
    let (merged, left_out) = run.merged(2);
    assert_eq!(left_out, 2);
    let kept = merged["results"].as_array().unwrap();
    assert_eq!(
        kept.iter().map(|it| it["level"].as_str().unwrap()).collect::<Vec<_>>(),
        ["error", "warning"]
    );
    assert_eq!(kept[0]["locations"].as_array().unwrap().len(), 1_000);
    assert!(kept[0].get("codeFlows").is_none());
    let rule = &merged["tool"]["driver"]["rules"][0];
    assert_eq!(rule["properties"]["tags"].as_array().unwrap().len(), 20);
}

#[test]
fn hostile_texts_are_one_line_and_no_value_of_ours() {
    let hostile = "a`\n::error::pwned\u{1b}[2J";
    let mut run = run(
        json!([]),
        json!([{ "ruleId": hostile, "level": "error", "message": { "text": hostile.repeat(99) } }]),
    );
    run["tool"]["driver"]["name"] = json!(hostile);
    let runs = [of(run).unwrap()];
    let refusal = judged(&runs, Some(HIGH), "").refusal.unwrap();
    for line in refusal.lines.iter().chain([&refusal.sentence]) {
        assert!(!line.contains(['\n', '\u{1b}']) && line.len() < 800, "{line}");
    }
    assert!(!refusal.lines[0].contains('`'), "{}", refusal.lines[0]);
    assert!(runs[0].category.bytes().all(|it| it.is_ascii_graphic()), "{}", runs[0].category);
}

proptest::proptest! {
    /// Whatever stands in a document: nothing panics, and the strictest rules let no result pass.
    #[test]
    fn no_document_gets_a_result_past_the_strictest_rules(
        name in "[a-zA-Z]{1,20}|security-severity|results|ruleIndex|suppressions|toolComponent",
        value in proptest::prop_oneof![
            proptest::strategy::Just(json!(null)), proptest::strategy::Just(json!(-1)),
            proptest::strategy::Just(json!([])), proptest::strategy::Just(json!({})),
            proptest::strategy::Just(json!("x")), proptest::strategy::Just(json!(1e300)),
        ],
        at in 0_usize..6,
    ) {
        let mut whole = json!({ "version": "2.1.0", "runs": [two_rules().run] });
        let places = [
            "", "/runs/0", "/runs/0/tool/driver", "/runs/0/tool/driver/rules/0/properties",
            "/runs/0/results/0", "/runs/0/results/0/locations/0",
        ];
        whole.pointer_mut(places[at]).unwrap()[name.as_str()] = value;
        if let Ok(runs) = read("a", whole.to_string().as_bytes()) {
            let rules = ToolRules { fail_on: Some(SeverityLevel::Low), fail_on_unknown: true };
            let verdict = judged(&runs, Some(rules), "");
            let sum = |of: fn(&super::gate::ToolTally) -> u64| -> u64 {
                verdict.tallies.iter().map(of).sum()
            };
            assert_eq!(sum(|it| it.refused), sum(|it| it.open.total()));
            for run in &runs {
                run.merged(1);
            }
        }
    }
}
