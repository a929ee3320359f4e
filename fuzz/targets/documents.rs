//! SBOMs that somebody wrote, SPDX 2 and CycloneDX: whether they may be signed, and how two differ.
//! It repairs none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supply_action::sbom::diff::diff;
use supply_action::sbom::foreign;

fuzz_target!(|bytes: &[u8]| {
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
