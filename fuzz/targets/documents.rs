//! SBOMs that somebody wrote, SPDX 2 and CycloneDX: whether they may be signed, and how two differ;
//! SARIF of other tools. It repairs none.
#![no_main]

use jiff::civil::Date;
use libfuzzer_sys::fuzz_target;
use supply_action::sbom::diff::diff;
use supply_action::sbom::foreign;
use supply_action::scan::accepted::AcceptedRisks;
use supply_action::scan::severity::SeverityLevel;
use supply_action::scan::tools::gate::{ToolRules, judge};
use supply_action::scan::tools;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(runs) = tools::read("a.sarif", bytes) {
        let rules = ToolRules { fail_on: Some(SeverityLevel::Low), fail_on_unknown: true };
        let verdict = judge(&runs, Some(&rules), &AcceptedRisks::default(), Date::ZERO);
        let refused: u64 = verdict.tallies.iter().map(|tally| tally.refused).sum();
        let open: u64 = verdict.tallies.iter().map(|tally| tally.open.total()).sum();
        assert_eq!(refused, open, "the strictest rules let a result pass");
    }
    let checked = foreign::check(bytes);
    let listed = foreign::packages(bytes);
    assert!(checked.is_err() || listed.is_ok(), "what may be signed can be compared");
    let Ok(listed) = listed else { return };
    assert!(diff(&listed, &listed).is_empty(), "a document differs from itself");
    let half = &listed[..listed.len() / 2];
    let (there, back) = (diff(half, &listed), diff(&listed, half));
    assert_eq!((there.added.len(), there.changed.len()), (back.removed.len(), back.changed.len()));
    assert!(!there.table().contains('\u{1b}'), "a name steers the terminal");
});
