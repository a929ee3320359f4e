//! `Published` → the picture a terminal shows at the end: what was published, and how the time
//! went. Pure.

use crate::evidence;
use std::time::Duration;

use crate::publish::Published;
use crate::report::{Stage, cut, seconds};
use crate::scan::report::ImageScan;
use crate::scan::shown;
use crate::verify::SubjectEvidence;

/// Columns of the bar of a stage.
const BAR: f64 = 30.0;
/// Narrower terminals get no bars.
const ROOM_FOR_BARS: usize = 100;

/// `width` is a terminal's; lines of stages are cut to it, names never.
pub fn picture(
    published: &Published,
    stages: &[Stage],
    elapsed: Duration,
    width: Option<usize>,
) -> Vec<String> {
    let mut lines = times(stages, elapsed, width);
    lines.extend(image(published));
    lines
}

/// How the time went.
pub fn times(stages: &[Stage], elapsed: Duration, width: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for stage in stages {
        let share = stage.took.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
        // At least one block, so that a quick stage is seen.
        let blocks = ((share * BAR).round() as usize).clamp(1, BAR as usize);
        let bar = match width {
            Some(width) if width < ROOM_FOR_BARS => String::new(),
            _ => format!("  {:<30}", "█".repeat(blocks)),
        };
        let line =
            format!("  {:<12} {:>12}{bar}  {}", stage.name, seconds(stage.took), stage.outcome);
        lines.push(width.map_or(line.clone(), |width| cut(&line, width)));
    }
    lines.push(format!("  {:<12} {:>12}", "in all", seconds(elapsed)));
    lines.push(String::new());
    lines
}

/// What was published.
pub fn image(published: &Published) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(published.evidence.subjects.iter().map(subject_line));
    let scans: Vec<&ImageScan> =
        published.scanned.assessed().iter().map(|assessed| &assessed.scan).collect();
    if !scans.is_empty() {
        lines.push(format!("  {:<26} {}", "scan", shown::told(&scans)));
    }
    lines.push(String::new());
    lines.extend(published.names.iter().map(|name| format!("  → {name}")));
    lines.extend(published.images.iter().map(|image| format!("  = {image}")));
    lines.push(String::new());
    lines
}

/// One part of an image and what it carries.
pub fn subject_line(subject: &SubjectEvidence) -> String {
    let mut kinds: Vec<String> = subject
        .attestations
        .iter()
        .map(|statement| evidence::label(&statement.predicate_type))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let signed = if subject.signatures.is_empty() { "unsigned" } else { "signed" };
    let (part, comma) = (super::part_name(subject), if kinds.is_empty() { "" } else { ", " });
    format!("  {part:<26} {}  {signed}{comma}{}", subject.digest.short(), kinds.join(", "))
}
