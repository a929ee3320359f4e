use std::path::Path;

use super::*;
use crate::sbom::package::Ecosystem;

fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

fn records(lines: &[&str]) -> AdvisoryRecords {
    lines.iter().map(|line| AdvisoryRecord::parse(line.as_bytes()).unwrap()).collect()
}

/// A record about one package: its id, other members, ecosystem, name, events and what an entry has
/// beside.
fn about(id: &str, more: &str, package: (&str, &str), events: &str, entry: &str) -> String {
    let (ecosystem, name) = package;
    format!(
        r#"{{"id":"{id}"{more},"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{events}]}}]{entry}}}]}}"#
    )
}

const ALL: &str = r#"{"introduced":"0"}"#;

fn up_to(version: &str) -> String {
    format!(r#"{{"introduced":"0"}},{{"fixed":"{version}"}}"#)
}

fn subject(
    ecosystem: Ecosystem,
    name: &str,
    version: &str,
    release: Option<&OsRelease>,
) -> ScanSubject {
    let package = Package { version: Some(version.into()), ..Package::named(ecosystem, name) };
    let purl = format!("pkg:{}/{name}@{version}", ecosystem.as_str());
    ScanSubject::of(&package, &purl, release, now())
}

fn release(id: &str, version: &str) -> OsRelease {
    OsRelease { id: id.into(), version: Some(version.into()), name: None }
}

fn found(subjects: &[ScanSubject], lines: &[&str]) -> Findings {
    Findings::of(subjects, &records(lines), &Exploited::default(), None)
}

/// Id, package and level of each.
fn rows(findings: &Findings) -> Vec<String> {
    let row = |it: &Finding| format!("{} {} {}", it.id, it.name, it.severity.level);
    findings.findings.iter().map(row).collect()
}

/// Case 14: one finding for each group of aliases and package.
#[test]
fn one_flaw_under_two_names_is_one_finding() {
    let text = ("Go", "golang.org/x/text");
    let go = about(
        "GO-2020-0015",
        r#","aliases":["CVE-2020-14040","GHSA-5rcv-m4m3-hfh7"]"#,
        text,
        &up_to("0.3.3"),
        "",
    );
    let ghsa = about(
        "GHSA-5rcv-m4m3-hfh7",
        r#","aliases":["CVE-2020-14040"],"summary":"Infinite loop","database_specific":{"severity":"HIGH"}"#,
        text,
        &up_to("0.3.4"),
        "",
    );
    let subjects = [subject(Ecosystem::Golang, text.1, "v0.3.2", None)];
    let findings = found(&subjects, &[&go, &ghsa]);
    assert_eq!(rows(&findings), ["CVE-2020-14040 golang.org/x/text high"]);
    let finding = &findings.findings[0];
    assert_eq!(finding.records.len(), 2);
    assert_eq!(finding.fixed.as_deref(), Some("0.3.3"));
    assert_eq!(finding.summary.as_deref(), Some("Infinite loop"));
    assert_eq!(finding.severity.source, "GHSA-5rcv-m4m3-hfh7");
    assert_eq!((findings.assessed, findings.unassessed.len()), (1, 0));
    assert!(findings.ecosystems.contains("Go"));
}

/// Case 15: the order in which records come does not count.
#[test]
fn groups_are_the_same_in_every_order() {
    let of = |id: &str, aliases: &str| {
        about(id, &format!(r#","aliases":[{aliases}]"#), ("npm", "x"), ALL, "")
    };
    let lines = [
        of("A-1", r#""B-1""#),
        of("C-1", r#""D-1""#),
        of("B-1", ""),
        of("D-1", r#""E-1""#),
        of("E-1", r#""B-1""#),
        of("F-1", r#""F-1""#),
    ];
    let subjects = [subject(Ecosystem::Npm, "x", "1.0.0", None)];
    let expected = found(&subjects, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rows(&expected), ["A-1 x unknown", "F-1 x unknown"]);
    assert_eq!(expected.findings[0].ids.len(), 5);
    for turn in 0..lines.len() {
        let turned = lines[turn..].iter().chain(&lines[..turn]).map(String::as_str);
        for lines in [turned.clone().collect::<Vec<_>>(), turned.rev().collect()] {
            assert_eq!(found(&subjects, &lines), expected);
        }
    }
}

#[test]
fn aliases_in_circles_and_in_long_chains_end() {
    let subjects = [subject(Ecosystem::Npm, "x", "1.0.0", None)];
    let lines: Vec<String> = (0..20_000)
        .rev()
        .map(|at| {
            let (alias, upstream) = (at + 1, (at + 7) % 20_000);
            let more = format!(r#","aliases":["A-{alias}"],"upstream":["A-{upstream}"]"#);
            about(&format!("A-{at}"), &more, ("npm", "y"), ALL, "")
        })
        .collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let own = about("B-1", r#","upstream":["B-1","A-5"]"#, ("npm", "x"), ALL, "");
    lines.push(&own);
    assert_eq!(found(&subjects, &lines).findings.len(), 0, "a record about itself says nothing");
}

/// An advisory about several flaws is as many findings, each of which has the advisory.
#[test]
fn a_distributors_advisory_is_about_all_its_flaws() {
    let lines = [
        about(
            "USN-1-1",
            r#","upstream":["CVE-1","CVE-2","UBUNTU-CVE-2"]"#,
            ("Ubuntu:22.04:LTS", "bash"),
            &up_to("5.2"),
            "",
        ),
        about(
            "UBUNTU-CVE-2",
            r#","upstream":["CVE-2"],"severity":[{"type":"Ubuntu","score":"medium"}]"#,
            ("Ubuntu:22.04:LTS", "bash"),
            &up_to("5.3"),
            "",
        ),
        r#"{"id":"CVE-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}]}"#.to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let ubuntu = release("ubuntu", "22.04");
    let findings = found(&[subject(Ecosystem::Deb, "bash", "5.1", Some(&ubuntu))], &lines);
    assert_eq!(rows(&findings), ["CVE-1 bash critical", "CVE-2 bash medium"]);
    let [one, two] = &findings.findings[..] else { panic!("two") };
    assert_eq!(one.severity.source, "CVE-1", "the record itself has none");
    assert_eq!(one.records, BTreeSet::from(["USN-1-1".to_owned()]));
    assert_eq!(two.fixed.as_deref(), Some("5.2"));
    assert!(two.ids.contains("UBUNTU-CVE-2") && two.ids.contains("USN-1-1"));
    let alma = about(
        "ALSA-2025:1",
        r#","summary":"Important: bash security update","related":["CVE-2","ALSA-2024:9","CVE-3"]"#,
        ("AlmaLinux:9", "bash"),
        &up_to("5.2"),
        "",
    );
    let alma_linux = release("almalinux", "9.4");
    let findings = found(&[subject(Ecosystem::Rpm, "bash", "5.1", Some(&alma_linux))], &[&alma]);
    assert_eq!(rows(&findings), ["CVE-2 bash high", "CVE-3 bash high"]);
}

/// Case 9: the GitHub record of the same flaw decides where Go's says everything.
#[test]
fn a_record_of_every_version_yields_to_one_that_names_versions() {
    let go = about("GO-1", r#","aliases":["GHSA-1"]"#, ("Go", "x"), ALL, "");
    let ghsa = about("GHSA-1", "", ("Go", "x"), &up_to("1.2.0"), "");
    let at = |version: &str, lines: &[&str]| {
        rows(&found(&[subject(Ecosystem::Golang, "x", version, None)], lines)).len()
    };
    assert_eq!(at("v1.2.0", &[&go, &ghsa]), 0);
    assert_eq!(at("v1.1.0", &[&go, &ghsa]), 1);
    assert_eq!(at("v1.2.0", &[&go]), 1, "nobody names versions");
}

/// Case 10: what Go's database says of packages holds for the other records of the flaw.
#[test]
fn code_that_is_not_linked_is_told_apart() {
    let imports = r#","ecosystem_specific":{"imports":[{"path":"golang.org/x/crypto/openpgp"}]}"#;
    let go = about(
        "GO-2026-5932",
        r#","aliases":["GHSA-2"]"#,
        ("Go", "golang.org/x/crypto"),
        ALL,
        imports,
    );
    let ghsa = about("GHSA-2", "", ("Go", "golang.org/x/crypto"), ALL, "");
    let mut crypto = subject(Ecosystem::Golang, "golang.org/x/crypto", "v0.54.0", None);
    assert_eq!(found(&[crypto.clone()], &[&go, &ghsa]).findings.len(), 1);
    crypto.linked = Some(["golang.org/x/crypto/ssh"].iter().collect());
    let findings = found(&[crypto], &[&go, &ghsa]);
    assert_eq!(findings.findings, []);
    let [absent] = &findings.absent[..] else { panic!("one") };
    assert_eq!(absent.id, "GHSA-2");
    assert!(absent.ids.contains("GO-2026-5932"));
}

/// Case 18: a package within a distribution's package is judged by whom that distribution's records
/// say enough, and shown once.
#[test]
fn a_language_package_of_a_distribution_is_judged_once() {
    let pysec =
        about("PYSEC-1", r#","aliases":["CVE-1"]"#, ("PyPI", "cryptography"), &up_to("40.0"), "");
    let other = about("PYSEC-2", "", ("PyPI", "cryptography"), &up_to("40.0"), "");
    let with_owner = |kind: Ecosystem, release: &OsRelease| {
        let owner = subject(kind, "python3-cryptography", "3.3.2-1", Some(release));
        let mut inner = subject(Ecosystem::Pypi, "cryptography", "3.3.2", None);
        inner.owner = Some(0);
        [owner, inner]
    };
    let distro = |ecosystem: &str| {
        about(
            "DISTRO-1",
            r#","upstream":["CVE-1"]"#,
            (ecosystem, "python3-cryptography"),
            &up_to("3.4-1"),
            "",
        )
    };
    // Debian lists what is not repaired, too.
    let debian = with_owner(Ecosystem::Deb, &release("debian", "12"));
    let findings = found(&debian, &[&pysec, &other]);
    assert_eq!((rows(&findings).len(), findings.assessed), (0, 2));
    let findings = found(&debian, &[&pysec, &other, &distro("Debian:12")]);
    assert_eq!(rows(&findings), ["CVE-1 python3-cryptography unknown"]);
    // Alpine lists repairs alone: both are asked.
    let alpine = with_owner(Ecosystem::Apk, &release("alpine", "3.22.1"));
    let findings = found(&alpine, &[&pysec, &other, &distro("Alpine:v3.22")]);
    assert_eq!(
        rows(&findings),
        ["PYSEC-2 cryptography unknown", "CVE-1 python3-cryptography unknown"]
    );
    let [inner, outer] = &findings.findings[..] else { panic!("two") };
    assert_eq!(outer.also, BTreeSet::from(["pkg:pypi/cryptography@3.3.2".to_owned()]));
    assert_eq!(inner.owner.as_deref(), Some("pkg:apk/python3-cryptography@3.3.2-1"));
    // Of a distribution that nobody covers, or no longer does, the language's records are asked.
    for nobodys in [release("raspbian", "12"), release("debian", "9")] {
        let subjects = with_owner(Ecosystem::Deb, &nobodys);
        assert_eq!(found(&subjects, &[&pysec, &other]).findings.len(), 2, "{nobodys:?}");
    }
}

/// Cases 19, 24 and 25, and what RustSec calls informational: reported apart.
#[test]
fn what_is_no_vulnerability_here_is_told_apart() {
    let debian = release("debian", "12");
    let deb = |name: &str| subject(Ecosystem::Deb, name, "1.0-1", Some(&debian));
    let urgency = |urgency: &str| {
        let entry = format!(r#","ecosystem_specific":{{"urgency":"{urgency}"}}"#);
        about("DEBIAN-CVE-1", "", ("Debian:12", "x"), ALL, &entry)
    };
    let of = |subject: ScanSubject, line: &str| {
        let findings = found(&[subject], &[line]);
        let [finding] = &findings.findings[..] else { panic!("one: {findings:?}") };
        (finding.kind.clone(), finding.severity.level, finding.can_gate())
    };
    assert_eq!(
        of(deb("x"), &urgency("unimportant")),
        (FindingKind::Unimportant, SeverityLevel::Unknown, false)
    );
    let end_of_life = (FindingKind::Vulnerability, SeverityLevel::Unknown, true);
    assert_eq!(of(deb("x"), &urgency("end-of-life")), end_of_life);
    let kernel = about("DEBIAN-CVE-2", "", ("Debian:12", "linux-libc-dev"), ALL, "");
    assert_eq!(
        of(deb("linux-libc-dev"), &kernel),
        (FindingKind::KernelHeaders, SeverityLevel::Unknown, false)
    );
    let informational = r#","database_specific":{"informational":"unmaintained"}"#;
    let rustsec = about("RUSTSEC-1", "", ("crates.io", "libusb"), ALL, informational);
    let crates = subject(Ecosystem::Cargo, "libusb", "0.3.0", None);
    let unmaintained = FindingKind::Informational("unmaintained".into());
    assert_eq!(of(crates, &rustsec), (unmaintained, SeverityLevel::Unknown, false));
    let alma = about("ALBA-1", r#","summary":"x update""#, ("AlmaLinux:9", "x"), &up_to("2-1"), "");
    let alma_linux = release("almalinux", "9");
    let rpm = subject(Ecosystem::Rpm, "x", "1.0-1", Some(&alma_linux));
    assert_eq!(of(rpm, &alma).0, FindingKind::Informational("bug fix".into()));
    let malware =
        about("MAL-1", r#","database_specific":{"severity":"LOW"}"#, ("npm", "x"), ALL, "");
    let npm = subject(Ecosystem::Npm, "x", "1.0.0", None);
    assert_eq!(of(npm, &malware), (FindingKind::Malicious, SeverityLevel::Critical, true));
}

/// Case 23: what nothing is known of is counted and named, beside what is known all the same.
#[test]
fn packages_that_nobody_covers_are_named() {
    let old = release("alpine", "3.8.5");
    let line = about("ALPINE-CVE-1", "", ("Alpine:v3.8", "musl"), &up_to("1.1.19-r11"), "");
    let bad = about("PYSEC-1", "", ("PyPI", "x"), &up_to("1.0"), "");
    let subjects = [
        subject(Ecosystem::Apk, "musl", "1.1.19-r10", Some(&old)),
        subject(Ecosystem::Conda, "numpy", "1.0", None),
        subject(Ecosystem::Pypi, "x", "today", None),
        ScanSubject::of_purl("pkg:generic/x@1", "x", now()),
        subject(Ecosystem::Pypi, "y", "1.0", None),
    ];
    let findings = found(&subjects, &[&line, &bad]);
    assert_eq!(rows(&findings), ["CVE-1 musl unknown"]);
    assert_eq!(findings.assessed, 1);
    let gaps: Vec<String> =
        findings.unassessed.iter().map(|it| format!("{} {}", it.name, it.gap)).collect();
    assert_eq!(
        gaps,
        [
            "musl `Alpine:v3.8` is no longer maintained since 2020-05-01",
            "numpy no source has advisories for `conda`",
            "x no source has advisories for `generic`",
            "x advisory `PYSEC-1` cannot be compared with it: `today` cannot be ordered among versions",
        ]
    );
}

#[test]
fn documents_of_others_are_scanned_by_their_purls() {
    let at = |purl: &str, line: &str| {
        rows(&found(&[ScanSubject::of_purl(purl, "x", now())], &[line])).len()
    };
    let action =
        about("GHSA-1", "", ("GitHub Actions", "tj-actions/changed-files"), &up_to("46.0.1"), "");
    assert_eq!(at("pkg:githubactions/tj-actions/changed-files@v45.0.7", &action), 1);
    assert_eq!(at("pkg:githubactions/tj-actions/changed-files@v46.0.1", &action), 0);
    let redis = about("BIT-redis-1", "", ("Bitnami", "redis"), &up_to("7.0.1"), "");
    assert_eq!(at("pkg:bitnami/redis@7.0.0-12", &redis), 1);
    assert_eq!(at("pkg:bitnami/redis@7.0.1-3", &redis), 0);
    let deb = about("DSA-1", "", ("Debian:12", "glibc"), &up_to("2.36-10"), "");
    assert_eq!(at("pkg:deb/debian/libc6@2.36-9?distro=debian-12&upstream=glibc", &deb), 1);
    assert_eq!(at("pkg:deb/debian/libc6@2.36-9?distro=debian-11&upstream=glibc", &deb), 0);
}

/// Case 27: the path within an archive is named. Case 29: what others wrote is escaped.
#[test]
fn findings_name_paths_and_print_nothing_raw() {
    let mut jar = subject(Ecosystem::Maven, "g:a", "1.0", None);
    jar.paths = BTreeSet::from(["app.jar!/lib/a.jar".to_owned()]);
    let line = about("GHSA-1", "", ("Maven", "g:a"), &up_to("2.0"), "");
    let findings = found(&[jar], &[&line]);
    assert_eq!(findings.findings[0].paths, BTreeSet::from(["app.jar!/lib/a.jar".to_owned()]));
    let evil = subject(Ecosystem::Maven, "g:a", "1\n::error::x`", None);
    let gap = found(&[evil], &[&line]).unassessed[0].gap.to_string();
    assert!(!gap.contains('\n') && gap.contains("`1\\n::error::x\\u{60}`"), "{gap}");
    let evil = OsRelease { name: Some("X\r\n::set-output".into()), ..release("x", "1") };
    let gap =
        found(&[subject(Ecosystem::Deb, "a", "1", Some(&evil))], &[]).unassessed[0].gap.to_string();
    assert!(!gap.contains(['\n', '\r']), "{gap}");
}

#[test]
fn what_to_do_first_comes_first() {
    let of = |id: &str, fixed: Option<&str>, severity: &str| {
        let events = fixed.map_or(ALL.to_owned(), up_to);
        let more = format!(r#","database_specific":{{"severity":"{severity}"}}"#);
        about(id, &more, ("npm", "x"), &events, "")
    };
    let lines = [
        of("CVE-1", None, "CRITICAL"),
        of("CVE-2", Some("2.0.0"), "LOW"),
        of("CVE-3", Some("2.0.0"), "HIGH"),
        of("CVE-4", Some("2.0.0"), "MODERATE"),
        of("CVE-5", None, "LOW"),
        of("CVE-6", Some("2.0.0"), "HIGH"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut exploited = Exploited::default();
    exploited.add_kev([("CVE-5".to_owned(), Kev::default())]);
    let score = |share| Epss { probability: share, percentile: share };
    exploited.add_epss([("CVE-4".to_owned(), score(0.9)), ("CVE-3".to_owned(), score(0.1))]);
    let subjects = [subject(Ecosystem::Npm, "x", "1.0.0", None)];
    let findings = Findings::of(&subjects, &records(&lines), &exploited, None);
    let ids: Vec<&str> = findings.findings.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["CVE-5", "CVE-4", "CVE-3", "CVE-6", "CVE-2", "CVE-1"]);
}

#[test]
fn of_two_records_with_one_id_the_newer_counts() {
    let at = |modified: &str, fixed: &str| {
        let more = format!(r#","modified":"{modified}""#);
        about("A-1", &more, ("npm", "x"), &up_to(fixed), "")
    };
    let (old, new) = (at("2020-01-01T00:00:00Z", "1.0.0"), at("2021-01-01T00:00:00Z", "2.0.0"));
    let subjects = [subject(Ecosystem::Npm, "x", "1.0.0", None)];
    for lines in [[old.as_str(), &new], [new.as_str(), &old]] {
        let findings = found(&subjects, &lines);
        assert_eq!(findings.findings[0].fixed.as_deref(), Some("2.0.0"));
        assert_eq!(findings.newest, Some("2021-01-01T00:00:00Z".parse().unwrap()));
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "that records are missing should be seen")]
fn the_shared_records_make_findings_with_severities() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/osv/advisories");
    if !folder.is_dir() {
        eprintln!("the shared advisories are not here; only our own are checked");
        return;
    }
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let subjects = [
        subject(Ecosystem::Nuget, "newtonsoft.json", "12.0.3", None),
        subject(Ecosystem::Maven, "org.apache.logging.log4j:log4j-core", "2.14.1", None),
        subject(Ecosystem::Npm, "minimist", "1.2.5", None),
        subject(Ecosystem::Rpm, "openssl", "1:3.5.1-3.el10_0", Some(&release("almalinux", "10.0"))),
    ];
    let findings = found(&subjects, &lines);
    let rows = rows(&findings);
    for row in [
        "CVE-2021-44228 org.apache.logging.log4j:log4j-core critical",
        "CVE-2021-44906 minimist critical",
        "GHSA-5crp-9r3c-p9vr newtonsoft.json low",
    ] {
        assert!(rows.iter().any(|found| found == row), "{row}: {rows:?}");
    }
}
