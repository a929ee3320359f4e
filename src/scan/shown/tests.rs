use super::super::sample::{self, HOSTILE};
use super::*;
use crate::text::seen::is_unseen;

#[test]
fn each_output_is_as_recorded() {
    let (amd64, arm64) = (sample::scan("amd64"), sample::scan("arm64"));
    assert_eq!(
        table(&[&amd64], 110, false),
        include_str!("../../../tests/fixtures/scan/table.txt")
    );
    assert_eq!(
        markdown(&[&amd64, &arm64], 50),
        include_str!("../../../tests/fixtures/scan/summary.md")
    );
    assert_eq!(
        sample::recorded(&json(&[&amd64])),
        include_str!("../../../tests/fixtures/scan/scan.json")
    );
}

#[test]
fn never_says_that_there_are_no_vulnerabilities() {
    let mut scan = sample::scan("amd64");
    assert_eq!(
        sentence(&scan),
        "3 vulnerabilities known (1 critical, 1 high, 1 unknown), 2 with a fix, in 40 packages of 3 ecosystems on 2026-11-28; 2 accepted; 2 packages not assessed"
    );
    scan.findings.clear();
    assert_eq!(
        sentence(&scan),
        "none known in 40 packages of 3 ecosystems on 2026-11-28; 2 packages not assessed"
    );
    scan.unassessed.clear();
    assert_eq!(
        sentence(&scan),
        "none known in 40 packages of 3 ecosystems on 2026-11-28; 0 packages not assessed"
    );
    scan.assessed = 0;
    assert_eq!(sentence(&scan), "nothing was assessed on 2026-11-28; 0 packages not assessed");
}

#[test]
fn a_log_has_the_first_findings_and_says_how_many_more_there_are() {
    let scan = sample::scan("amd64");
    let lines = first_lines(&[&scan], 20, 110);
    assert!(lines[0].starts_with("SEVERITY  VULNERABILITY"), "{lines:?}");
    let accepted = lines.iter().filter(|line| line.starts_with("accepted: ")).count();
    assert_eq!((lines.len(), accepted), (1 + 3 + 2, 2), "{lines:?}");
    assert!(lines.iter().all(|line| !line.chars().any(is_unseen)), "{lines:?}");
    let first = first_lines(&[&scan], 1, 110);
    assert_eq!(first.iter().filter(|line| line.starts_with("and ")).count(), 2, "{first:?}");
    assert!(first.contains(&"and 2 more".to_owned()), "{first:?}");
    let none = scan_without_findings();
    assert_eq!(first_lines(&[&none], 20, 110), Vec::<String>::new());
}

fn scan_without_findings() -> super::super::report::ImageScan {
    let mut scan = sample::scan("amd64");
    scan.findings.clear();
    scan
}

#[test]
fn flaws_in_packages_that_no_program_has_are_counted() {
    let mut scan = sample::scan("amd64");
    scan.absent.truncate(1);
    let mut line = without_code(&[&scan, &scan]).unwrap();
    assert!(
        line.starts_with("1 known vulnerability in Go packages that no program has: "),
        "{line}"
    );
    assert!(table(&[&scan], 110, false).contains(&line));
    for number in 0..9 {
        let id = format!("CVE-{number}");
        scan.absent.push(crate::scan::findings::AbsentCode { id, ..scan.absent[0].clone() });
    }
    line = without_code(&[&scan]).unwrap();
    assert!(line.starts_with("10 known vulnerabilities") && line.ends_with(", …"), "{line}");
    scan.absent.clear();
    assert_eq!(without_code(&[&scan]), None);
}

#[test]
fn a_table_keeps_to_its_width_and_has_colours_where_they_are_asked_for() {
    let scan = sample::scan("amd64");
    for width in [90, 110, 200] {
        let text = table(&[&scan], width, false);
        let rows = text.lines().take_while(|line| !line.is_empty());
        assert!(rows.map(|line| line.chars().count()).all(|count| count <= width), "{text}");
        assert!(text.starts_with("SEVERITY  VULNERABILITY"), "{text}");
    }
    let narrow = table(&[&scan], 10, false);
    assert!(narrow.contains("critical  CVE-2026-"), "{narrow}");
    let coloured = table(&[&scan], 110, true);
    assert!(coloured.contains("\u{1b}[1;31mcritical\u{1b}[0m  CVE-2026-1"), "{coloured}");
    let plain: String = ["1;31", "31", "2", "0"]
        .iter()
        .fold(coloured, |text, colour| text.replace(&format!("\u{1b}[{colour}m"), ""));
    assert_eq!(plain, table(&[&scan], 110, false));
}

#[test]
fn a_finding_of_one_platform_says_which() {
    let (amd64, mut arm64) = (sample::scan("amd64"), sample::scan("arm64"));
    arm64.findings.remove(0);
    let text = table(&[&amd64, &arm64], 300, false);
    let with = |id: &str| text.lines().find(|line| line.contains(id)).unwrap();
    assert!(with("CVE-2026-1 ").ends_with("(linux/amd64)"), "{text}");
    assert!(with("CVE-2026-2").ends_with("base image, var/lib/dpkg/status"), "{text}");
    assert!(text.contains("ghcr.io/acme/app (linux/arm64): 2 vulnerabilities known"), "{text}");
}

#[test]
fn a_summary_has_a_limit_and_says_what_it_leaves_out() {
    let mut scan = sample::scan("amd64");
    for number in 0..10_000 {
        let id = format!("CVE-2025-{number}");
        let finding = sample::finding(&id, &"x".repeat(1_000), "amd64", SeverityLevel::Low);
        scan.findings.push(super::super::report::JudgedFinding::open(finding));
    }
    let text = markdown(&[&scan], 50);
    assert!(text.len() < 40_000, "{}", text.len());
    assert!(text.contains("\n9953 more are not shown here.\n"), "{text}");
}

#[test]
fn no_text_of_others_is_a_command_or_markdown() {
    let scan = sample::scan("amd64");
    let table = table(&[&scan], 400, false);
    let markdown = markdown(&[&scan], 50);
    for text in [&table, &markdown] {
        assert!(!text.chars().any(|letter| letter != '\n' && is_unseen(letter)), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
    assert!(!table.contains("##["), "{table}");
    // Outside of code nothing is left of them.
    let bare: String = markdown.split('`').step_by(2).collect();
    for mark in ["<img", "](", "@octo"] {
        assert!(HOSTILE.contains(mark) && !bare.contains(mark), "{mark}: {bare}");
    }
}
