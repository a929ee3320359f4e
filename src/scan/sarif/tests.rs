use super::super::sample::{self, HOSTILE, finding};
use super::*;

fn only(scans: &[ImageScan]) -> Value {
    let mut files = documents(scans, Vec::new(), &[]).unwrap();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

fn results(file: &Value, run: usize) -> &Vec<Value> {
    file["runs"][run]["results"].as_array().unwrap()
}

#[test]
fn everything_found_is_as_recorded() {
    let file = only(&[sample::scan("amd64"), sample::scan("arm64")]);
    let golden = include_str!("../../../tests/fixtures/scan/scan.sarif");
    assert_eq!(sample::recorded(&file), golden);
    assert_eq!(
        file["runs"][1]["automationDetails"]["id"],
        "supply-action/ghcr.io/acme/app/linux/arm64/"
    );
    // The kernel's headers are told in a line.
    assert_eq!(results(&file, 0).len(), sample::scan("amd64").findings.len() - 1);
    let accepted = results(&file, 0).iter().filter(|it| it["suppressions"] != json!([]));
    assert_eq!(accepted.count(), 2);
}

#[test]
fn two_scans_of_one_category_are_refused() {
    let twice = [sample::scan("amd64"), sample::scan("amd64")];
    assert_eq!(
        documents(&twice, Vec::new(), &[]).unwrap_err().to_string(),
        "two scans have the category `supply-action/ghcr.io/acme/app/linux/amd64/`"
    );
}

#[test]
fn nothing_found_is_a_run_without_results_so_that_alerts_close() {
    let mut scan = sample::scan("amd64");
    scan.findings.clear();
    let file = only(&[scan]);
    assert_eq!(results(&file, 0).len(), 0);
    assert_eq!(file["runs"][0]["tool"]["driver"]["rules"], json!([]));
    let told = &file["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    assert!(told["message"]["text"].as_str().unwrap().starts_with("none known in 40 packages"));
    assert_eq!(only(&[])["runs"], json!([]));
}

#[test]
fn a_fingerprint_outlives_versions_and_builds() {
    let print = |version: &str, path: &str, name: &str, id: &str| {
        let mut finding = finding(id, name, "amd64", SeverityLevel::High);
        finding.purl = format!("pkg:npm/%40acme/{name}@{version}?arch=x#sub");
        finding.version = version.to_owned();
        finding.paths = [path.to_owned()].into();
        Fingerprints::default().of(&finding)
    };
    let known = print("1.0.0", "app/x-1.0.0/package.json", "x", "CVE-1");
    assert_eq!(known, print("1.0.1", "app/x-1.0.1/package.json", "x", "CVE-1"));
    assert_ne!(known, print("1.0.0", "lib/x-1.0.0/package.json", "x", "CVE-1"));
    assert_ne!(known, print("1.0.0", "app/x-1.0.0/package.json", "y", "CVE-1"));
    assert_ne!(known, print("1.0.0", "app/x-1.0.0/package.json", "x", "CVE-2"));
    assert!(known.ends_with(":1") && known.len() == 34, "{known}");
    let mut both = Fingerprints::default();
    let twice = finding("CVE-1", "x", "amd64", SeverityLevel::High);
    assert_ne!(both.of(&twice), both.of(&twice));
}

#[test]
fn githubs_limits_keep_the_worst_and_what_is_cut_is_said() {
    let mut scan = sample::scan("amd64");
    scan.findings.clear();
    for number in 0..5_010 {
        let level = if number >= 5_000 { SeverityLevel::Critical } else { SeverityLevel::Low };
        let mut judged =
            JudgedFinding::open(finding(&format!("CVE-{number}"), "x", "amd64", level));
        // Accepted ones go before open ones.
        if number == 5_009 {
            judged.acceptance = sample::scan("amd64").findings[2].acceptance.clone();
        }
        scan.findings.push(judged);
    }
    let file = only(&[scan]);
    let (kept, rules) = (results(&file, 0), &file["runs"][0]["tool"]["driver"]["rules"]);
    assert_eq!((kept.len(), rules.as_array().unwrap().len()), (5_000, 5_000));
    let critical = kept.iter().filter(|it| it["level"] == "error").count();
    assert_eq!(critical, 9);
    let told = &file["runs"][0]["invocations"][0]["toolExecutionNotifications"][1];
    assert_eq!(
        told["message"]["text"],
        "10 results left out, of the least severity: GitHub keeps 5000. The worst of them is CVE-4991 in x."
    );
}

#[test]
fn a_file_has_no_more_runs_and_results_than_github_takes() {
    let sizes = |counts: &[usize]| -> Vec<usize> {
        let runs = counts.iter().map(|count| sized((Value::Null, *count))).collect();
        files(runs).iter().map(Vec::len).collect()
    };
    assert_eq!(sizes(&[0; 25]), [20, 5]);
    assert_eq!(sizes(&[5_000; 7]), [3, 3, 1]);
    assert_eq!(sizes(&[10_000, 5_000, 1]), [2, 1]);
    assert_eq!(sizes(&[20_000, 1]), [1, 1]);
    let large = |bytes| SizedRun { run: Value::Null, results: 1, bytes };
    let runs = [MOST_BYTES_OF_FILE - 1, 1, 1].map(large).into();
    assert_eq!(files(runs).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(sizes(&[]), [0]);
}

#[test]
fn severities_are_numbers_that_github_reads_as_the_same_level() {
    let rated = |level: SeverityLevel| {
        score(&finding("CVE-1", "x", "amd64", level)).map(|score| score.parse::<f64>().unwrap())
    };
    assert!(rated(SeverityLevel::Critical).unwrap() > 9.0);
    assert!((7.0..9.0).contains(&rated(SeverityLevel::High).unwrap()));
    assert!((4.0..7.0).contains(&rated(SeverityLevel::Medium).unwrap()));
    assert!((0.1..4.0).contains(&rated(SeverityLevel::Low).unwrap()));
    assert_eq!(rated(SeverityLevel::Unknown), None);
    // A rule of several packages has the worst.
    let mut scan = sample::scan("amd64");
    scan.findings =
        [("a", SeverityLevel::Low), ("b", SeverityLevel::High), ("c", SeverityLevel::Medium)]
            .map(|(name, level)| JudgedFinding::open(finding("CVE-1", name, "amd64", level)))
            .to_vec();
    let file = only(&[scan]);
    let rules = file["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0]["properties"]["security-severity"], "8.0");
    let levels: Vec<&str> =
        results(&file, 0).iter().map(|it| it["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "warning", "note"]);
}

#[test]
fn hostile_names_are_only_letters() {
    let mut scan = sample::scan("amd64");
    scan.image = format!("../{HOSTILE}");
    let mut judged = JudgedFinding::open(finding(HOSTILE, HOSTILE, "amd64", SeverityLevel::High));
    judged.finding.purl = HOSTILE.to_owned();
    judged.finding.paths = ["/../../etc/../x y:z".to_owned()].into();
    scan.findings.push(judged);
    let file = only(&[scan]);
    let text = serde_json::to_string(&file).unwrap();
    assert!(!text.contains("\\u001b") && !text.contains('\u{202e}'));
    assert!(visible(HOSTILE).contains("\\n::error"));
    for result in results(&file, 0) {
        assert!(!result["message"]["text"].as_str().unwrap().contains("]("));
    }
    let mine =
        results(&file, 0).iter().find(|it| it["properties"]["purl"] == visible(HOSTILE)).unwrap();
    let place = &mine["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "etc/x%20y%3Az");
    let rule =
        &file["runs"][0]["tool"]["driver"]["rules"][mine["ruleIndex"].as_u64().unwrap() as usize];
    assert_eq!(rule["helpUri"], Value::Null);
    let markdown = rule["help"]["markdown"].as_str().unwrap();
    let bare: String = markdown.split('`').step_by(2).collect();
    assert!(!bare.contains("<img") && !bare.contains("](") && !bare.contains('@'), "{bare}");
}

#[test]
fn every_result_names_a_rule_that_is_there() {
    let file = only(&[sample::scan("amd64")]);
    let rules = &file["runs"][0]["tool"]["driver"]["rules"];
    for result in results(&file, 0) {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        for (of, names) in [
            (
                rule,
                &["id", "shortDescription", "fullDescription", "help", "defaultConfiguration"][..],
            ),
            (result, &["message", "locations", "partialFingerprints", "suppressions", "level"]),
        ] {
            assert!(names.iter().all(|name| !of[name].is_null()), "{of}");
        }
    }
}
