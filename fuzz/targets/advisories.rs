//! Advisories as anybody could serve them, alone and as an archive, and what is read beside them:
//! the first letter says what the rest is. It never looks at what is found, only that it is found
//! twice, that versions have one order, and that nothing that is shown steers a terminal.
#![no_main]

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::Write as _;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use supply_action::advisories::RecordId;
use supply_action::advisories::archive::Archives;
use supply_action::advisories::{epss, kev};
use supply_action::sbom::linked::LinkedPackages;
use supply_action::scan::accepted::AcceptedRisks;
use supply_action::scan::affected::{Circumstances, Judgement};
use supply_action::scan::exploited::Exploited;
use supply_action::scan::findings::{Findings, ScanSubject};
use supply_action::scan::question::{AdvisoryQuestion, Inquiry};
use supply_action::scan::record::{AdvisoryRecord, RangeEvent};
use supply_action::scan::records::AdvisoryRecords;
use supply_action::scan::subjects;
use supply_action::scan::versions::{ComparedVersion, VersionOrder};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    match choice {
        b'Z' => archive(bytes),
        b'V' => versions(bytes),
        b'A' => accepted(bytes),
        b'D' => document(bytes),
        b'K' => drop(kev::Catalogue::of(bytes)),
        b'E' => drop(epss::Scores::of(bytes, &BTreeSet::from(["CVE-2021-44228".to_owned()]))),
        _ => record(bytes),
    }
});

/// Versions that a record itself names, of each package that it names.
fn questions(record: &AdvisoryRecord) -> Vec<AdvisoryQuestion> {
    const MOST: usize = 6;
    let mut asked = Vec::new();
    for entry in record.affected.iter().take(MOST) {
        let Some(package) = &entry.package else { continue };
        let events = entry.ranges.iter().flat_map(|range| &range.events);
        let events = events.filter_map(|event| match event {
            RangeEvent::Introduced(text)
            | RangeEvent::Fixed(text)
            | RangeEvent::LastAffected(text)
            | RangeEvent::Limit(text) => Some(text),
            RangeEvent::Unknown => None,
        });
        asked.extend(entry.versions.iter().chain(events).take(MOST).map(|version| {
            AdvisoryQuestion {
                ecosystem: package.ecosystem.clone(),
                name: package.name.clone(),
                version: version.clone(),
            }
        }));
    }
    asked
}

fn subject(question: &AdvisoryQuestion, linked: Option<LinkedPackages>) -> ScanSubject {
    ScanSubject {
        purl: format!("pkg:generic/{}", question.name),
        name: question.name.clone(),
        version: Some(question.version.clone()),
        inquiry: Inquiry { questions: vec![question.clone()], ..Inquiry::default() },
        linked,
        ..ScanSubject::default()
    }
}

fn record(bytes: &[u8]) {
    let Ok(record) = AdvisoryRecord::parse(bytes) else { return };
    let asked = questions(&record);
    for question in &asked {
        let judged = record.judge(question, Circumstances::default());
        let is_affected = matches!(judged, Judgement::Affected(_));
        assert!(!(is_affected && record.withdrawn.is_some()), "a withdrawn record finds something");
        // What is known of a program can only take a finding away.
        let none = LinkedPackages::default();
        let linked = Circumstances { linked: Some(&none), ..Circumstances::default() };
        let beside = record.judge(question, linked);
        assert!(is_affected || !matches!(beside, Judgement::Affected(_)));
    }
    let mut records = AdvisoryRecords::default();
    records.add(record);
    let subjects: Vec<ScanSubject> = asked.iter().map(|it| subject(it, None)).collect();
    let found =
        || Findings::of(&subjects, &records, &Exploited::default(), Some(("linux", "amd64")));
    assert_eq!(found(), found());
}

fn archive(bytes: &[u8]) {
    let mut file = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let Ok(archives) = Archives::open(file.path(), Timestamp::MAX) else { return };
    let asked = AdvisoryQuestion {
        ecosystem: "Go".to_owned(),
        name: "example.com/a".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let mut kept = BTreeSet::new();
    let listings = archives.assess(&[asked], |id, bytes| {
        assert!(kept.insert(id.clone()), "a record comes twice");
        record(&bytes);
    });
    assert_eq!(listings.unwrap().len(), 1);
    let ids: BTreeSet<RecordId> = kept.into_iter().collect();
    assert!(archives.records(&ids, |_, _| {}).unwrap().is_empty(), "a record is lost");
}

/// Two versions, with a zero between.
fn versions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (one, other) = text.split_once('\0').unwrap_or((text, text));
    for ecosystem in [
        "Debian:12",
        "Alpine:v3.20",
        "AlmaLinux:9",
        "Go",
        "npm",
        "PyPI",
        "Maven",
        "RubyGems",
        "NuGet",
        "Packagist",
        "crates.io",
    ] {
        let order = VersionOrder::of(ecosystem).unwrap();
        let (Ok(one), Ok(other)) =
            (ComparedVersion::parse(order, one), ComparedVersion::parse(order, other))
        else {
            continue;
        };
        assert_eq!(one.compare(&one), Some(Ordering::Equal), "{ecosystem}");
        let back = other.compare(&one).map(Ordering::reverse);
        assert_eq!(one.compare(&other), back, "{ecosystem}");
    }
}

fn accepted(bytes: &[u8]) {
    let mut risks = AcceptedRisks::default();
    let _ = risks.add_openvex("vex.json", bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (
        risks.add_ignores("risks.yaml", text),
        risks.add_trivyignore(".trivyignore", text),
        risks.add_grype(".grype.yaml", text),
        risks.add_osv_scanner("osv-scanner.toml", text),
    );
    for risk in risks.risks() {
        assert!(!risk.reason.trim().is_empty() || risk.id.is_some() || risk.package.is_some());
    }
}

fn document(bytes: &[u8]) {
    let Ok(subjects) = subjects::of_document(bytes, Timestamp::UNIX_EPOCH) else { return };
    for subject in &subjects {
        // What a document says of linked packages is written as it was read.
        if let Some(linked) = &subject.linked {
            let written = linked.written(&subject.name);
            assert_eq!(LinkedPackages::read(&written, &subject.name).as_ref(), Some(linked));
        }
    }
}
