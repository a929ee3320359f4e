//! SARIF files of other tools: they go into one document with ours, and refuse an image only where
//! that is asked.

use serde_json::{Value, json};
use supply_action::sandbox::SandboxService;

use crate::gate::{LOG4J, REPAIRED, alike};
use crate::rescan::{published, scanned};
use crate::support::{Run, World};

/// Two findings: one by its score, one by its level.
fn semgrep() -> Value {
    json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": "Semgrep", "rules": [
            { "id": "js.xss", "properties": {
                "security-severity": "8.1", "tags": ["security", "CVE-2026-77"],
            } },
        ] } },
        "results": [
            {
                "ruleId": "js.xss", "ruleIndex": 0, "message": { "text": "unsafe\n::error::pwned" },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": "src/a.js" }, "region": { "startLine": 12 },
                } }],
            },
            { "ruleId": "style", "level": "note", "message": { "text": "long" } },
            { "ruleId": "odd", "level": "none", "message": { "text": "odd" } },
        ],
    }] })
}

fn write(world: &World, name: &str, text: &str) {
    let path = world.folder.path().join("context").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn world(purls: &[&str]) -> World {
    let mut world = alike(purls).await;
    let workspace = world.folder.path().join("context").display().to_string();
    world.set("GITHUB_WORKSPACE", &workspace);
    write(&world, "reports/semgrep.sarif", &semgrep().to_string());
    world.set("INPUT_SARIF-FILES", "reports/semgrep.sarif");
    world
}

fn document(world: &World) -> Value {
    let text = std::fs::read_to_string(world.folder.path().join("context/all.sarif")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn runs_by_tool(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let runs = document["runs"].as_array().unwrap().iter();
    runs.map(|run| (text(&run["tool"]["driver"]["name"]), text(&run["automationDetails"]["id"])))
        .collect()
}

fn says(run: &Run, texts: &[&str]) {
    for text in texts {
        assert!(run.log.contains(text), "{text}: {}", run.log);
    }
}

fn built(world: &World) -> bool {
    world.sandbox.requests().into_iter().any(|request| {
        request.service == SandboxService::Registry
            && request.path.contains("/manifests/sha256")
            && request.method == "PUT"
    })
}

#[tokio::test]
async fn their_runs_go_into_the_document_with_ours_and_refuse_nothing_unasked() {
    let mut world = world(&[REPAIRED]).await;
    world.set("INPUT_SARIF-FILE", "all.sarif").set("INPUT_FAIL-ON", "low");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let runs = runs_by_tool(&document(&world));
    assert_eq!(runs.len(), 4, "{runs:?}");
    let theirs = ("Semgrep".to_owned(), "Semgrep/reports/semgrep.sarif/".to_owned());
    assert_eq!(runs.iter().filter(|run| **run == theirs).count(), 1, "{runs:?}");
    says(
        &run,
        &["sarif: Semgrep: 3 findings (1 high, 1 low, 1 unknown) in `reports/semgrep.sarif`"],
    );
    assert!(run.summary.contains("#### Findings of other tools"), "{}", run.summary);
    assert!(
        run.summary.contains("| `Semgrep` | `reports/semgrep.sarif` | 0 | 1 | 0 | 1 | 1 | 0 | 0 |"),
        "{}",
        run.summary
    );
}

#[tokio::test]
async fn a_result_that_is_bad_enough_tags_nothing_where_that_is_asked() {
    let mut world = world(&[LOG4J]).await;
    world.set("INPUT_FAIL-ON-SARIF", "true").set("INPUT_FAIL-ON", "high");
    world.set("INPUT_SARIF-FILE", "all.sarif");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    // No refusal hides another one.
    says(
        &run,
        &[
            "CVE-2021-44228 (critical)",
            "1 high finding of `Semgrep`",
            "Semgrep: js.xss (high, 8.1) in src/a.js:12: unsafe\\n::error::pwned",
            "hint: mend what is named, or accept it by its rule or CVE",
            "#finding-of-another-tool",
            "1 finding of other tools without a severity, so `fail-on` does not meet them",
        ],
    );
    assert!(!run.log.lines().any(|line| line.trim_start().starts_with("::error::pwned")));
    assert!(world.tags().await.is_empty());
    assert_eq!(runs_by_tool(&document(&world)).len(), 4);

    // Without a scan they are judged as well.
    world.set("INPUT_SCAN", "false").set("INPUT_FAIL-ON-UNKNOWN", "true");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(
        &run,
        &[
            "nothing was tagged: 1 high finding of `Semgrep`, 1 finding of `Semgrep` without a severity",
            "Semgrep: odd (none), which has no place, in reports/semgrep.sarif",
        ],
    );
    assert!(!run.log.contains("input `fail-on` has no effect"), "{}", run.log);
    assert!(!run.log.contains("CVE-2021-44228"), "{}", run.log);
}

#[tokio::test]
async fn what_is_accepted_by_its_rule_or_its_cve_passes_until_it_expires() {
    let mut world = world(&[REPAIRED]).await;
    world.set("INPUT_FAIL-ON-SARIF", "true").set("INPUT_FAIL-ON", "high");
    let file = world.folder.path().join("risks.yaml");
    let path = file.display().to_string();
    world.set("INPUT_IGNORE-FILE", &path);
    let risks = |id: &str, expires: &str| {
        let text = format!("accepted:\n  - id: {id}\n    reason: a test\n    expires: {expires}\n");
        std::fs::write(&file, text).unwrap();
    };
    for (id, expires, why) in [
        ("js.xss", "2020-01-01", "has expired: a test"),
        ("security", "2999-01-01", "accepts nothing that was found"),
    ] {
        risks(id, expires);
        let run = world.publish().await;
        assert_eq!(run.code, Some(1), "{id}: {}", run.log);
        assert_eq!(run.log.matches(why).count(), 1, "{id}: {}", run.log);
        assert!(world.tags().await.is_empty());
    }
    risks("CVE-2026-77", "2999-01-01");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(!run.log.contains("accepts nothing"), "{}", run.log);
    says(&run, &["2 findings (1 low, 1 unknown), 1 accepted in"]);
    // What is published stays, and a later run at the same commit is judged anew.
    std::fs::write(&file, "accepted: []\n").unwrap();
    let again = world.publish().await;
    assert_eq!(again.code, Some(1), "{}", again.log);
    says(&again, &["nothing was tagged: 1 high finding of `Semgrep`"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_judged_ends_the_run_before_anything_is_built() {
    let mut world = world(&[REPAIRED]).await;
    world.set("INPUT_SARIF-FILE", "all.sarif");
    let mut failed = semgrep();
    failed["runs"][0]["invocations"] = json!([{ "executionSuccessful": false }]);
    let mut older = semgrep();
    older["version"] = json!("2.0.0");
    let mut ours = semgrep();
    ours["runs"][0]["tool"]["driver"]["name"] = json!("supply-action");
    let category = format!("supply-action/{}/linux/amd64/", world.repository());
    ours["runs"][0]["automationDetails"] = json!({ "id": category });
    for (name, text) in [
        ("empty", String::new()),
        ("twice", r#"{"version": "2.1.0", "version": "2.1.0", "runs": []}"#.to_owned()),
        ("older", older.to_string()),
        ("large", " ".repeat((32 << 20) + 1)),
        ("failed", failed.to_string()),
        ("ours", ours.to_string()),
        ("good", semgrep().to_string()),
    ] {
        write(&world, name, &text);
    }
    std::os::unix::fs::symlink("good", world.folder.path().join("context/link")).unwrap();
    let gate = ("INPUT_FAIL-ON-SARIF", "true");
    for (files, more, why) in [
        ("none", None, "input `sarif-files`: `none` is not there"),
        ("../sbom.amd64.json", None, "does not lie in the workspace"),
        ("/etc/passwd", None, "does not lie in the workspace"),
        ("empty", None, "`empty` cannot be used: it is no JSON"),
        ("twice", None, "`version` stands in an object twice"),
        ("older", None, "it is SARIF `2.0.0`, not `2.1.0`"),
        ("large", None, "it has more than 33554432 bytes"),
        ("link", None, "is a symbolic link"),
        ("ours", None, "which is that of this step's own findings"),
        ("good\ngood", None, "have one category for one tool"),
        ("failed", Some(gate), "`Semgrep` says that it failed"),
        ("good", Some(("INPUT_IGNORE-FILE", "/nowhere")), "`/nowhere` cannot be read"),
    ] {
        let mut change = vec![("INPUT_SARIF-FILES", files)];
        change.extend(more);
        let run = world.run(&[], &change).await;
        assert_eq!(run.code, Some(2), "{files:?}: {}", run.log);
        assert_eq!(run.log.matches(why).count(), 1, "{files:?}: {why}: {}", run.log);
        assert!(!built(&world), "{files:?}: something was pushed");
    }
    // Who only lists what the tool found is told that it may not be all.
    let run = world.run(&[], &[("INPUT_SARIF-FILES", "failed")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["`failed` may not be complete: `Semgrep` says that it failed"]);
}

#[tokio::test]
async fn files_that_change_nothing_are_told() {
    let mut world = world(&[REPAIRED]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["input `sarif-files` has no effect"]);
    assert!(!run.summary.contains("other tools"), "{}", run.summary);
    let plan = world.run(&["plan", "--json"], &[("INPUT_SARIF-FILE", "all.sarif")]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.log);
    world.set("INPUT_SARIF-FILES", "").set("INPUT_FAIL-ON-SARIF", "true");
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["input `fail-on-sarif`: there is no file to judge; name it with `sarif-files`"]);
}

#[tokio::test]
async fn the_action_scan_uploads_and_judges_them_as_well() {
    let mut world = published(&[REPAIRED]).await;
    let workspace = world.folder.path().join("context").display().to_string();
    world.set("GITHUB_WORKSPACE", &workspace).set("INPUT_SARIF-FILES", "a.sarif");
    write(&world, "a.sarif", &semgrep().to_string());
    let run = scanned(&world, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["input `sarif-files` has no effect"]);
    let upload = [
        ("INPUT_UPLOAD-SARIF", "true"),
        ("INPUT_GITHUB-TOKEN", "ghs_token"),
        ("INPUT_FAIL-ON", "high"),
    ];
    let run = scanned(&world, &upload).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["1 file in code scanning", "sarif: Semgrep: 3 findings"]);
    assert!(run.summary.contains("#### Findings of other tools"), "{}", run.summary);
    let run = scanned(&world, &[&upload[..], &[("INPUT_FAIL-ON-SARIF", "true")]].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["the scan fails: 1 high finding of `Semgrep`", "1 file in code scanning"]);
    assert_eq!(run.outputs["passed"], "false");
    let run =
        scanned(&world, &[("INPUT_FAIL-ON-SARIF", "true"), ("INPUT_SARIF-FILES", "none")]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["nothing was scanned: input `sarif-files`: `none` is not there"]);
}
