//! SARIF files of other tools in a run: read before anything is made, judged before a tag is set. It
//! tells what they found, and hides none of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::assess::Assessed;
use crate::assess::tools::{ToolFindings, ToolTerms, ToolsOutcome};
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::image::Repository;
use crate::page::RefusalPage;
use crate::problems::Problems;
use crate::report::Report;
use crate::report::text::visible;
use crate::scan::tools::gate::ToolRefusal;
use crate::text::with_lines;

/// Reads the files; what is wrong with them is one of the problems. `is_told`: whether somebody
/// else says what is wrong with the files of accepted risks.
pub(super) fn open(
    terms: Option<&ToolTerms>,
    images: &[Repository],
    context: &RunContext,
    is_told: bool,
    problems: &mut Problems,
) -> Option<ToolFindings> {
    let Some(terms) = terms else { return Some(ToolFindings::default()) };
    let workspace = match &context.workspace {
        Some(workspace) => workspace.clone(),
        None => problems.take(std::env::current_dir().map_err(anyhow::Error::from))?,
    };
    let own = images.iter().flat_map(|image| {
        let image = visible(&image.to_string());
        [format!("supply-action/{image}"), format!("supply-action/secrets/{image}")]
    });
    let own: Vec<String> = own.collect();
    let findings = problems.take(ToolFindings::open(terms, &workspace, &own))?;
    match findings.accepting(terms) {
        Err(_) if is_told => None,
        accepting => problems.take(accepting),
    }
}

/// Says what was found, and what people should know of it. `scans`: whether packages are scanned as
/// well, and what that found.
pub(super) fn judged(
    findings: &ToolFindings,
    scans: bool,
    assessed: &[&Assessed],
    report: &Report,
) -> ToolsOutcome {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let outcome = findings.judged(today, scans);
    for tally in &outcome.tallies {
        report.say(&format!("sarif: {} in `{}`", tally.told(), visible(&tally.file)));
    }
    // The scan says of the same rule that it has expired.
    let told: BTreeSet<&String> =
        assessed.iter().flat_map(|it| &it.verdict.expired).map(|risk| &risk.place).collect();
    for (place, remark) in &outcome.remarks {
        if place.as_ref().is_none_or(|place| !told.contains(place)) {
            report.notice(remark);
        }
    }
    outcome
}

/// Why no image passes, result by result.
pub(super) fn refused(refusal: &ToolRefusal) -> anyhow::Error {
    let text = with_lines(&refusal.sentence, &refusal.lines);
    let refused: anyhow::Result<()> = Err(anyhow::anyhow!(text));
    let refused = refused
        .hint("mend what is named, or accept it by its rule or CVE with a reason in a file of `ignore-file`")
        .see(RefusalPage::FindingOfAnotherTool);
    refused.err().unwrap_or_else(|| anyhow::anyhow!("another tool refuses the image"))
}
