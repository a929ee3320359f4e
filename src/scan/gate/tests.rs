use super::*;
use crate::scan::exploited::{Exploited, Kev};
use crate::scan::findings::ScanSubject;
use crate::scan::record::AdvisoryRecord;
use crate::scan::records::AdvisoryRecords;

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

/// Id, word of severity and repair of flaws in `pkg:npm/x@1.0.0`.
fn findings(flaws: &[(&str, &str, Option<&str>)], kev: Option<&str>) -> Findings {
    let records: AdvisoryRecords = flaws
        .iter()
        .map(|(id, word, fixed)| {
            let fixed = fixed.map(|it| format!(r#",{{"fixed":"{it}"}}"#)).unwrap_or_default();
            let json = format!(
                r#"{{"id":"{id}","aliases":["ALIAS-{id}"],"affected":[{{"package":{{"ecosystem":"npm","name":"x"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}}{fixed}]}}]}}],"database_specific":{{"severity":"{word}"}}}}"#
            );
            AdvisoryRecord::parse(json.as_bytes()).unwrap()
        })
        .collect();
    let subjects = [
        ScanSubject::of_purl("pkg:npm/x@1.0.0", "x", now()),
        ScanSubject::of_purl("pkg:generic/y@1", "y", now()),
    ];
    let mut exploited = Exploited::default();
    if let Some(cve) = kev {
        exploited.add_kev([(cve.to_owned(), Kev::default())]);
    }
    Findings::of(&subjects, &records, &exploited, None)
}

fn image() -> Product {
    Product {
        purls: vec!["pkg:oci/app@sha256%3Aabc?repository_url=ghcr.io%2Forg%2Fapp".to_owned()],
        names: vec!["ghcr.io/org/app".to_owned()],
    }
}

fn judged(findings: &Findings, rules: GateRules, accepted: &AcceptedRisks) -> GateVerdict {
    judge(findings, &rules, accepted, &image(), now())
}

/// The ids of the findings that are reasons.
fn refused(findings: &Findings, rules: GateRules, accepted: &AcceptedRisks) -> Vec<String> {
    let reasons = judged(findings, rules, accepted).reasons;
    let id = |reason: &Reason| match reason {
        Reason::Severe { finding } => findings.findings[*finding].id.clone(),
        Reason::Exploited { finding } => format!("KEV {}", findings.findings[*finding].id),
        Reason::Unrated { finding } => format!("? {}", findings.findings[*finding].id),
        Reason::Unassessed { package } => findings.unassessed[*package].name.clone(),
    };
    reasons.iter().map(id).collect()
}

/// Case 26: the report has everything, and unknown severities gate only when that is asked.
#[test]
fn only_what_the_rules_name_is_a_reason() {
    let findings = findings(
        &[
            ("CVE-1", "CRITICAL", Some("2.0.0")),
            ("CVE-2", "CRITICAL", None),
            ("CVE-3", "HIGH", Some("2.0.0")),
            ("CVE-4", "", Some("2.0.0")),
            ("CVE-5", "LOW", None),
            ("MAL-1", "", None),
        ],
        Some("CVE-5"),
    );
    let with = |change: fn(&mut GateRules)| {
        let mut rules = GateRules::default();
        change(&mut rules);
        let mut ids = refused(&findings, rules, &AcceptedRisks::default());
        ids.sort();
        ids
    };
    assert_eq!(findings.findings.len(), 6);
    assert_eq!(with(|_| {}), ["CVE-1", "MAL-1"]);
    assert_eq!(with(|it| it.only_fixed = false), ["CVE-1", "CVE-2", "MAL-1"]);
    assert_eq!(with(|it| it.fail_on = Some(SeverityLevel::High)), ["CVE-1", "CVE-3", "MAL-1"]);
    assert_eq!(with(|it| it.fail_on = Some(SeverityLevel::Low)), ["CVE-1", "CVE-3", "MAL-1"]);
    assert_eq!(with(|it| it.fail_on = None), Vec::<String>::new());
    assert_eq!(with(|it| it.fail_on_unknown = true), ["? CVE-4", "CVE-1", "MAL-1"]);
    assert_eq!(with(|it| it.fail_on_kev = true), ["CVE-1", "KEV CVE-5", "MAL-1"]);
    assert_eq!(with(|it| it.fail_on_unassessed = true), ["CVE-1", "MAL-1", "y"]);
    let silent = |it: &mut GateRules| {
        it.fail_on = None;
        it.fail_on_kev = true;
        it.only_fixed = true;
    };
    assert_eq!(with(silent), ["KEV CVE-5"]);
}

/// Case 16: any member of the group. Case 17: used is what met any member of any group.
#[test]
fn an_ignored_id_is_any_id_of_the_flaw() {
    let findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], None);
    let mut accepted = AcceptedRisks::default();
    accepted
        .add_ignores(
            "accepted.yaml",
            "accepted:\n- id: ALIAS-CVE-1\n  reason: not reachable\n  expires: 2026-11-28\n- {id: CVE-1, reason: the same}\n- {id: CVE-9, reason: gone}\n- {id: CVE-1, package: y, reason: another's}\n",
        )
        .unwrap();
    let verdict = judged(&findings, GateRules::default(), &accepted);
    assert!(verdict.passes());
    let [acceptance] = &verdict.accepted[..] else { panic!("one") };
    assert_eq!((acceptance.finding, acceptance.place.as_str()), (0, "accepted.yaml:rule 1"));
    let AcceptanceKind::Risk { reason, expires } = &acceptance.how else { panic!("a risk") };
    assert_eq!(
        (reason.as_str(), expires.unwrap().to_string()),
        ("not reachable", "2026-11-28".into())
    );
    let unused: Vec<&str> = verdict.unused.iter().map(|risk| risk.place.as_str()).collect();
    assert_eq!(unused, ["accepted.yaml:rule 3", "accepted.yaml:rule 4"]);
    assert_eq!(verdict.expired, []);
}

#[test]
fn an_expired_rule_bites_and_is_named() {
    let findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], None);
    let mut accepted = AcceptedRisks::default();
    accepted
        .add_ignores("a", "accepted: [{id: CVE-1, reason: later, expires: 2026-11-27}]")
        .unwrap();
    let verdict = judged(&findings, GateRules::default(), &accepted);
    assert_eq!(verdict.reasons, [Reason::Severe { finding: 0 }]);
    assert_eq!(verdict.expired.len(), 1);
    assert_eq!(verdict.unused, []);
}

#[test]
fn rules_can_be_about_one_package() {
    let findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], None);
    let check = |package: &str, expected: bool| {
        let mut accepted = AcceptedRisks::default();
        let yaml = format!("accepted: [{{id: CVE-1, package: '{package}', reason: r}}]");
        accepted.add_ignores("a", &yaml).unwrap();
        assert_eq!(
            judged(&findings, GateRules::default(), &accepted).passes(),
            expected,
            "{package}"
        );
    };
    check("x", true);
    check("X", false);
    check("pkg:npm/x", true);
    check("pkg:npm/x@1.0.0", true);
    check("pkg:npm/x@1.0.1", false);
    check("pkg:npm/x?arch=amd64", false);
    check("pkg:npm/%40a/x", false);
    check("pkg:pypi/x", false);
}

/// Code that is not there is a flaw that somebody may have accepted before.
#[test]
fn an_ignored_flaw_of_absent_code_is_not_unused() {
    let mut findings = Findings::default();
    findings.absent.push(crate::scan::findings::AbsentCode {
        purl: "pkg:golang/x".into(),
        id: "GO-1".into(),
        ids: ["GO-1".to_owned(), "CVE-1".to_owned()].into(),
    });
    let mut accepted = AcceptedRisks::default();
    accepted.add_ignores("a", "accepted: [{id: CVE-1, reason: r}]").unwrap();
    assert_eq!(judged(&findings, GateRules::default(), &accepted), GateVerdict::default());
}

fn vex(statements: &str) -> AcceptedRisks {
    let mut accepted = AcceptedRisks::default();
    let json = format!(
        r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"Ann","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[{statements}]}}"#
    );
    accepted.add_openvex("vex.json", json.as_bytes()).unwrap();
    accepted
}

fn statement(status: &str, product: &str, more: &str) -> String {
    format!(
        r#"{{"vulnerability":{{"name":"ALIAS-CVE-1"}},"products":[{product}],"status":"{status}"{more}}}"#
    )
}

const JUSTIFIED: &str = r#","justification":"vulnerable_code_not_present""#;

#[test]
fn the_newest_statement_about_image_and_package_decides() {
    let findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], None);
    let passes = |statements: &[String]| {
        judged(&findings, GateRules::default(), &vex(&statements.join(","))).passes()
    };
    let package = r#"{"@id":"pkg:npm/x@1.0.0"}"#;
    let not = |product: &str| statement("not_affected", product, JUSTIFIED);
    assert!(passes(&[not(package)]));
    assert!(passes(&[not(r#"{"@id":"x","identifiers":{"purl":"pkg:npm/x"}}"#)]));
    assert!(passes(&[not(r#"{"@id":"ghcr.io/org/app"}"#)]));
    assert!(passes(&[not(r#""pkg:npm/x""#)]), "as the oldest documents have it");
    let within = |image: &str, inner: &str| {
        not(&format!(r#"{{"@id":"{image}","subcomponents":[{{"@id":"{inner}"}}]}}"#))
    };
    assert!(passes(&[within("pkg:oci/app@sha256%3Aabc", "pkg:npm/x")]));
    assert!(!passes(&[within("pkg:oci/app@sha256%3Aabc", "pkg:npm/y")]));
    assert!(!passes(&[within("pkg:oci/app@sha256%3Adef", "pkg:npm/x")]), "another image");
    assert!(!passes(&[within("pkg:oci/other", "pkg:npm/x")]));
    assert!(!passes(&[not(r#"{"@id":"pkg:npm/x@0.9.0"}"#)]));
    assert!(passes(&[statement("fixed", package, "")]));
    assert!(!passes(&[statement("affected", package, r#","action_statement":"we know""#)]));
    assert!(!passes(&[statement("under_investigation", package, "")]));
    let newer = statement("affected", package, r#","timestamp":"2026-02-01T00:00:00Z""#);
    assert!(!passes(&[newer.clone(), not(package)]));
    assert!(!passes(&[not(package), newer.clone()]));
    let newest = statement(
        "not_affected",
        package,
        r#","impact_statement":"we looked","timestamp":"2026-03-01T00:00:00+01:00""#,
    );
    assert!(passes(&[newest, newer, not(package)]));
}

#[test]
fn a_statement_is_told_with_its_author_and_reason() {
    let findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], None);
    let accepted = vex(&statement("not_affected", r#"{"@id":"pkg:npm/x"}"#, JUSTIFIED));
    let verdict = judged(&findings, GateRules::default(), &accepted);
    assert_eq!(
        verdict.accepted,
        [Acceptance {
            finding: 0,
            how: AcceptanceKind::NotAffected {
                author: "Ann".into(),
                justification: Some("vulnerable_code_not_present".into()),
                impact: None
            },
            place: "vex.json:statement 1".into(),
        }]
    );
}

/// Cases 19, 24 and 28: what is reported apart is no reason.
#[test]
fn what_is_told_apart_never_gates() {
    let mut findings = findings(&[("CVE-1", "CRITICAL", Some("2.0.0"))], Some("CVE-1"));
    let rules = GateRules {
        fail_on: Some(SeverityLevel::Low),
        only_fixed: false,
        fail_on_unassessed: false,
        fail_on_kev: true,
        fail_on_unknown: true,
    };
    assert_eq!(refused(&findings, rules, &AcceptedRisks::default()), ["CVE-1"]);
    for kind in [
        FindingKind::Informational("unsound".into()),
        FindingKind::Unimportant,
        FindingKind::KernelHeaders,
    ] {
        findings.findings[0].kind = kind;
        assert!(judged(&findings, rules, &AcceptedRisks::default()).passes());
    }
    findings.findings[0].kind = FindingKind::Vulnerability;
    findings.findings[0].is_doubtful = true;
    assert!(judged(&findings, rules, &AcceptedRisks::default()).passes());
}
