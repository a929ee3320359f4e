use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::scan::question::key;

fn asked(ecosystem: &str, name: &str, version: &str) -> AdvisoryQuestion {
    AdvisoryQuestion { ecosystem: ecosystem.into(), name: name.into(), version: version.into() }
}

/// A record with one entry.
fn record(ecosystem: &str, name: &str, entry: &str) -> AdvisoryRecord {
    let json = format!(
        r#"{{"id":"A-1","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},{entry}}}]}}"#
    );
    AdvisoryRecord::parse(json.as_bytes()).unwrap()
}

fn ranges(kind: &str, events: &str) -> String {
    format!(r#""ranges":[{{"type":"{kind}","events":[{events}]}}]"#)
}

fn judged(record: &AdvisoryRecord, version: &str) -> Judgement {
    let package = record.affected[0].package.as_ref().unwrap();
    record.judge(&asked(&package.ecosystem, &package.name, version), Circumstances::default())
}

fn is_affected(record: &AdvisoryRecord, version: &str) -> bool {
    match judged(record, version) {
        Judgement::Affected(_) => true,
        Judgement::NotAffected => false,
        other => panic!("{version}: {other:?}"),
    }
}

fn fixed(record: &AdvisoryRecord, version: &str) -> Option<String> {
    match judged(record, version) {
        Judgement::Affected(hit) => hit.fixed,
        other => panic!("{version}: {other:?}"),
    }
}

#[test]
fn the_last_event_below_a_version_decides() {
    let check = |events: &str, yes: &[&str], no: &[&str]| {
        let record = record("npm", "x", &ranges("SEMVER", events));
        yes.iter().for_each(|it| assert!(is_affected(&record, it), "{events}: {it}"));
        no.iter().for_each(|it| assert!(!is_affected(&record, it), "{events}: {it}"));
    };
    check(
        r#"{"introduced":"0"},{"fixed":"1.2.0"}"#,
        &["0.0.0-alpha", "1.1.9", "1.2.0-rc.1"],
        &["1.2.0", "2.0.0"],
    );
    // In no order.
    check(
        r#"{"fixed":"2.1.0"},{"introduced":"1.0.0"},{"fixed":"1.5.0"},{"introduced":"2.0.0"}"#,
        &["1.0.0", "1.4.9", "2.0.0", "2.0.9"],
        &["0.9.9", "1.5.0", "1.9.9", "2.1.0", "1.0.0-rc.1"],
    );
    check(
        r#"{"introduced":"1.0.0"},{"last_affected":"1.5.0"}"#,
        &["1.0.0", "1.5.0"],
        &["1.5.1", "0.9.0"],
    );
    // Of one version, what begins comes before what ends.
    check(r#"{"fixed":"1.0.0"},{"introduced":"1.0.0"}"#, &[], &["1.0.0", "1.0.1"]);
    check(r#"{"last_affected":"1.0.0"},{"introduced":"1.0.0"}"#, &["1.0.0"], &["1.0.1"]);
    check(r#"{"introduced":"0"},{"fixed":"0"}"#, &[], &["0.0.0", "1.0.0"]);
    check(r#"{"introduced":"0"},{"limit":"1.0.0"}"#, &["0.9.0"], &["1.0.0", "1.1.0"]);
    check(r#"{"introduced":"0"},{"limit":"1.0.0"},{"limit":"2.0.0"}"#, &["1.9.0"], &["2.0.0"]);
    check(r#"{"introduced":"0"},{"limit":"*"}"#, &["9.0.0"], &[]);
    check(r#"{"fixed":"1.0.0"}"#, &[], &["0.9.0", "1.0.0"]);
    check("", &[], &["1.0.0"]);
}

#[test]
fn any_entry_range_or_version_is_enough() {
    let record = AdvisoryRecord::parse(
        br#"{"id":"A-1","affected":[
            {"package":{"ecosystem":"PyPI","name":"Foo_Bar"},"ranges":[
                {"type":"GIT","events":[{"introduced":"0"},{"fixed":"abc"}]},
                {"type":"ECOSYSTEM","events":[{"introduced":"1.0"},{"fixed":"1.2"}]},
                {"type":"ECOSYSTEM","events":[{"introduced":"1.1"},{"fixed":"1.3"}]}]},
            {"package":{"ecosystem":"PyPI","name":"foo-bar"},"versions":["3.0"]},
            {"package":{"ecosystem":"npm","name":"foo-bar"},"versions":["9.0.0"]}]}"#,
    )
    .unwrap();
    assert!(is_affected(&record, "1.0"));
    assert_eq!(fixed(&record, "1.1").as_deref(), Some("1.2"), "the oldest repair");
    assert_eq!(fixed(&record, "1.2").as_deref(), Some("1.3"));
    assert!(!is_affected(&record, "2.0"));
    assert!(is_affected(&record, "3.0.0"), "the same version as `3.0`");
    assert_eq!(fixed(&record, "3.0"), None);
    assert!(!is_affected(&record, "9.0.0"), "another ecosystem's");
    let other = record.judge(&asked("PyPI", "foo", "1.0"), Circumstances::default());
    assert_eq!(other, Judgement::Unrelated);
    let spelt = record.judge(&asked("PyPI", "foo.bar", "1.0"), Circumstances::default());
    assert!(matches!(spelt, Judgement::Affected(_)));
    let cased = record.judge(&asked("pypi", "foo.bar", "1.0"), Circumstances::default());
    assert_eq!(cased, Judgement::Unrelated);
}

#[test]
fn a_record_that_names_no_versions_matches_none() {
    let git = ranges("GIT", r#"{"introduced":"0"}"#);
    assert!(!is_affected(&record("npm", "x", &git), "1.0.0"));
    assert!(!is_affected(&record("npm", "x", r#""ranges":[]"#), "1.0.0"));
    let mut withdrawn = record("npm", "x", &ranges("SEMVER", r#"{"introduced":"0"}"#));
    assert!(is_affected(&withdrawn, "1.0.0"));
    withdrawn.withdrawn = Some(jiff::Timestamp::UNIX_EPOCH);
    assert!(!is_affected(&withdrawn, "1.0.0"));
}

#[test]
fn what_cannot_be_compared_is_unknown() {
    let range = ranges("ECOSYSTEM", r#"{"introduced":"0"},{"fixed":"1.0"}"#);
    let unknown = |record: &AdvisoryRecord, version: &str| match judged(record, version) {
        Judgement::Unknown(why) => why.to_string(),
        other => panic!("{version}: {other:?}"),
    };
    assert_eq!(
        unknown(&record("PyPI", "x", &range), "today"),
        "`today` cannot be ordered among versions"
    );
    assert_eq!(
        unknown(&record("Tomorrow", "x", &range), "1.0"),
        "the versions of `Tomorrow` have no known order"
    );
    let bad = ranges("ECOSYSTEM", r#"{"introduced":"0"},{"fixed":"later"}"#);
    assert!(unknown(&record("PyPI", "x", &bad), "1.0").starts_with("`later`"));
    let event = ranges("SEMVER", r#"{"introduced":"0"},{"ended":"1"}"#);
    assert_eq!(
        unknown(&record("npm", "x", &event), "1.0.0"),
        "the advisory is written in an unknown way"
    );
    assert!(
        unknown(&record("npm", "x", &ranges("NEW", r#"{"introduced":"0"}"#)), "1.0.0")
            .contains("unknown way")
    );
    // As text, versions are equal all the same.
    let listed = record("PyPI", "x", &format!(r#"{range},"versions":["today"]"#));
    assert!(is_affected(&listed, "today"));
    assert!(unknown(&record("PyPI", "x", r#""versions":["1.0"]"#), "today").contains("today"));
    // A range of semantic versions needs no order of the ecosystem's own.
    let semver = ranges("SEMVER", r#"{"introduced":"0"},{"fixed":"1.0.0"}"#);
    assert!(is_affected(&record("Tomorrow", "x", &semver), "0.9.0"));
}

/// Cases 1, 2 and 3: only the release's own records count, epochs count, and dpkg's order is dpkg's.
#[test]
fn distributions_are_compared_by_release_epoch_and_their_own_order() {
    let debian = |entry: &str| record("Debian:12", "openssl", &ranges("ECOSYSTEM", entry));
    let all = debian(r#"{"introduced":"0"},{"fixed":"3.0.15-1~deb12u1"}"#);
    assert!(!is_affected(&all, "3.0.15-1~deb12u1"));
    assert!(is_affected(&all, "3.0.14-1~deb12u2"));
    let other = |ecosystem: &str| {
        all.judge(&asked(ecosystem, "openssl", "1.0-1"), Circumstances::default())
    };
    assert_eq!(other("Debian:11"), Judgement::Unrelated);
    assert_eq!(other("Debian"), Judgement::Unrelated);
    let alma = ranges("ECOSYSTEM", r#"{"introduced":"0"},{"fixed":"1:3.0.7-6.el9_2"}"#);
    let alma = record("AlmaLinux:9", "openssl", &alma);
    assert!(!is_affected(&alma, "1:3.5.0-1.el9"));
    assert!(is_affected(&alma, "3.5.0-1.el9"), "what was asked without the epoch is older");
    assert!(!is_affected(&debian(r#"{"introduced":"0"},{"fixed":"8.3.2"}"#), "2:9.0.0"));
}

/// Case 22: another release's records are not this one's.
#[test]
fn records_of_another_release_do_not_match() {
    let range = ranges("ECOSYSTEM", r#"{"introduced":"0"},{"fixed":"3.5.8-r0"}"#);
    let alpine = record("Alpine:v3.22", "openssl", &range);
    let check = |ecosystem: &str, is_related: bool| {
        let judged =
            alpine.judge(&asked(ecosystem, "openssl", "3.5.7-r0"), Circumstances::default());
        assert_eq!(judged != Judgement::Unrelated, is_related, "{ecosystem}");
    };
    check("Alpine:v3.22", true);
    check("Alpine:v3.21", false);
    check("Alpine", false);
    check("Alpine:edge", false);
    let ubuntu = record("Ubuntu:Pro:14.04:LTS", "linux", &range);
    let about = |ecosystem: &str| {
        ubuntu.judge(&asked(ecosystem, "linux", "1-1"), Circumstances::default())
            != Judgement::Unrelated
    };
    assert!(about("Ubuntu:14.04") && about("Ubuntu:14.04:LTS") && !about("Ubuntu:16.04"));
}

/// Case 9: `custom_ranges` decide where the ranges say nothing but everything.
#[test]
fn ranges_that_go_does_not_know_decide() {
    let custom = |ranges: &str| {
        record(
            "Go",
            "github.com/rancher/rancher",
            &format!(
                r#"{ranges},"ecosystem_specific":{{"custom_ranges":[{{"type":"ECOSYSTEM","events":[
                {{"introduced":"2.9.0"}},{{"fixed":"2.9.12"}},{{"introduced":"2.10.0"}},{{"fixed":"2.10.10"}}]}}]}}"#
            ),
        )
    };
    let all = custom(&ranges("SEMVER", r#"{"introduced":"0"}"#));
    for version in ["2.9.12", "2.10.10", "2.8.0"] {
        assert!(!is_affected(&all, version), "{version}");
    }
    assert_eq!(fixed(&all, "2.10.9").as_deref(), Some("2.10.10"));
    let commit = judged(&all, "0.0.0-20240208101112-0123456789ab");
    assert_eq!(commit, Judgement::Unknown(Unclear::Commit));
    // Ranges that say more are read as everybody reads them.
    let both = custom(&ranges("SEMVER", r#"{"introduced":"0"},{"fixed":"1.0.0"}"#));
    assert!(is_affected(&both, "0.9.0") && !is_affected(&both, "2.9.1"));
    let plain = record("Go", "x", &ranges("SEMVER", r#"{"introduced":"0"}"#));
    let Judgement::Affected(hit) = judged(&plain, "1.0.0") else { panic!("affected") };
    assert!(hit.is_every_version);
}

/// Case 10: what is not linked is not affected, if the program's own table tells what is.
#[test]
fn a_flaw_in_packages_that_are_not_linked_is_no_finding() {
    let entry = format!(
        r#"{},"ecosystem_specific":{{"imports":[{{"path":"golang.org/x/crypto/openpgp"}},{{"path":"golang.org/x/crypto/openpgp/clearsign","goos":["windows"]}}]}}"#,
        ranges("SEMVER", r#"{"introduced":"0"}"#)
    );
    let record = record("Go", "golang.org/x/crypto", &entry);
    let question = asked("Go", "golang.org/x/crypto", "0.54.0");
    let ssh: LinkedPackages = ["golang.org/x/crypto/ssh"].iter().collect();
    let clearsign: LinkedPackages = ["golang.org/x/crypto/openpgp/clearsign"].iter().collect();
    let judge = |linked: Option<&LinkedPackages>, platform: Option<(&str, &str)>| {
        record.judge(&question, Circumstances { linked, platform, module_stream: None })
    };
    assert_eq!(judge(Some(&ssh), None), Judgement::CodeAbsent);
    assert!(matches!(judge(None, None), Judgement::Affected(_)), "the table cannot be read");
    assert!(matches!(judge(Some(&clearsign), None), Judgement::Affected(_)));
    assert_eq!(judge(Some(&clearsign), Some(("linux", "amd64"))), Judgement::CodeAbsent);
    let whole = super::tests::record(
        "Go",
        "golang.org/x/crypto",
        &ranges("SEMVER", r#"{"introduced":"0"}"#),
    );
    let judged =
        whole.judge(&question, Circumstances { linked: Some(&ssh), ..Circumstances::default() });
    assert!(matches!(judged, Judgement::Affected(_)), "the record names no packages");
}

/// Case 20: builds of two streams are not compared.
#[test]
fn module_streams_are_compared_with_themselves() {
    let record = |summary: &str, fixed: &[&str]| {
        let entries: Vec<String> = fixed
            .iter()
            .map(|fixed| {
                format!(
                    r#"{{"package":{{"ecosystem":"AlmaLinux:8","name":"postgresql"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}"#
                )
            })
            .collect();
        let json = format!(
            r#"{{"id":"ALSA-1","summary":"{summary}","affected":[{}]}}"#,
            entries.join(",")
        );
        AdvisoryRecord::parse(json.as_bytes()).unwrap()
    };
    let judge = |record: &AdvisoryRecord, version: &str, module_stream: Option<&str>| {
        record.judge(
            &asked("AlmaLinux:8", "postgresql", version),
            Circumstances { module_stream, ..Circumstances::default() },
        )
    };
    let of_12 =
        record("Important: postgresql:12 security update", &["12.15-1.module_el8.8.0+3500+1a2b"]);
    let old = "9.6.22-1.module_el8.4.0+2500+3c4d";
    assert_eq!(judge(&of_12, old, Some("postgresql:9.6")), Judgement::NotAffected);
    assert_eq!(judge(&of_12, old, None), Judgement::Unknown(Unclear::ModuleStream));
    let newer = "12.11-1.module_el8.6.0+3000+5e6f";
    assert!(matches!(judge(&of_12, newer, Some("postgresql:12")), Judgement::Affected(_)));
    assert_eq!(judge(&of_12, "12.1-1.el8", None), Judgement::NotAffected, "of no module");
    let silent = record("security update", &["12.15-1.module_el8.8.0+3500+1a2b"]);
    let unknown = Judgement::Unknown(Unclear::ModuleStream);
    assert_eq!(judge(&silent, newer, Some("postgresql:12")), unknown);
    // Of several builds of one stream, the one for the same release of the distribution counts.
    let several = record(
        "postgresql:12 security update",
        &["12.15-1.module_el8.8.0+3500+1a2b", "12.11-2.module_el8.6.0+3001+5e6f"],
    );
    let repaired = "12.11-2.module_el8.6.0+3001+5e6f";
    assert_eq!(judge(&several, repaired, Some("postgresql:12")), Judgement::NotAffected);
    assert!(matches!(judge(&several, newer, Some("postgresql:12")), Judgement::Affected(_)));
}

/// Case 28: a repair of another line of versions is told with doubt.
#[test]
fn a_repair_of_another_line_is_doubtful() {
    let range = ranges("SEMVER", r#"{"introduced":"0"},{"fixed":"1.18.4"}"#);
    let doubtful = |name: &str, version: &str| match judged(&record("Go", name, &range), version) {
        Judgement::Affected(hit) => hit.is_doubtful,
        other => panic!("{other:?}"),
    };
    assert!(doubtful("k8s.io/client-go", "0.28.2"));
    assert!(!doubtful("k8s.io/kubernetes", "1.17.0"));
    assert!(!doubtful("example.com/x", "0.28.2"));
}

/// Case 13: the standard library and the toolchain are packages.
#[test]
fn the_standard_library_is_a_package() {
    let range = ranges("SEMVER", r#"{"introduced":"1.22.0-0"},{"fixed":"1.22.5"}"#);
    assert!(is_affected(&record("Go", "stdlib", &range), "1.22.4"));
    assert!(is_affected(&record("Go", "stdlib", &range), "1.22.0-rc.1"));
    assert!(!is_affected(&record("Go", "stdlib", &range), "1.21.9"));
    assert!(is_affected(&record("Go", "toolchain", &range), "1.22.4"));
}

/// All records of a folder, by what they are about.
fn shared(folder: &Path) -> BTreeMap<(String, String), Vec<AdvisoryRecord>> {
    let mut records: BTreeMap<(String, String), Vec<AdvisoryRecord>> = BTreeMap::new();
    for file in std::fs::read_dir(folder.join("advisories")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let record = AdvisoryRecord::parse(line.as_bytes()).unwrap();
            let packages: BTreeSet<(String, String)> = record
                .affected
                .iter()
                .filter_map(|affected| affected.package.as_ref())
                .map(|package| key(&package.ecosystem, &package.name))
                .collect();
            for package in packages {
                records.entry(package).or_default().push(record.clone());
            }
        }
    }
    records
}

#[derive(Deserialize)]
struct AffectedCase {
    ecosystem: String,
    name: String,
    version: String,
    /// Of the cases that were worked out.
    affected: Option<BTreeSet<String>>,
    /// Of the answers that were recorded.
    ids: Option<BTreeSet<String>>,
}

#[test]
#[expect(clippy::print_stderr, reason = "that cases are missing should be seen")]
fn the_shared_cases_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/osv");
    if !folder.is_dir() {
        eprintln!("the shared advisories are not here; only our own cases are checked");
        return;
    }
    let records = shared(&folder);
    let known: BTreeSet<&str> =
        records.values().flatten().map(|record| record.id.as_str()).collect();
    let (mut cases, mut found_ids, mut wrong) = (0, 0, Vec::new());
    for file in ["cases.jsonl", "api-recorded.jsonl"] {
        for line in std::fs::read_to_string(folder.join(file)).unwrap().lines() {
            let case: AffectedCase = serde_json::from_str(line).unwrap();
            let question = asked(&case.ecosystem, &case.name, &case.version);
            let about = records.get(&question.key()).map(Vec::as_slice).unwrap_or_default();
            let found: BTreeSet<String> = about
                .iter()
                .filter(|record| {
                    let judged = record.judge(&question, Circumstances::default());
                    matches!(judged, Judgement::Affected(_))
                })
                .map(|record| record.id.clone())
                .collect();
            cases += 1;
            match (case.affected, case.ids) {
                (Some(expected), _) if expected != found => {
                    wrong.push(format!("{line}: found {found:?}"));
                }
                (_, Some(ids)) => {
                    let expected = ids.iter().filter(|id| known.contains(id.as_str()));
                    let missing: Vec<_> =
                        expected.clone().filter(|id| !found.contains(*id)).collect();
                    found_ids += expected.count();
                    if !missing.is_empty() {
                        wrong.push(format!("{line}: missing {missing:?}"));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= 2277 && found_ids >= 350, "{cases} cases, {found_ids} recorded ids");
}
