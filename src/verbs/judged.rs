//! Scans and searches of a release → the document of findings, and whether the images may be
//! tagged. It hides no refusal behind another one.

use super::release::ReleaseRun;
use super::scanning::{self, Scanning};
use super::searching::Searching;
use super::tools;
use crate::assess::search::Searched;
use crate::assess::search::summary::SearchSummary;
use crate::assess::tools::ToolFindings;
use crate::assess::{Assessed, Scanned};
use crate::attest::AttestedImage;
use crate::github::RunContext;
use crate::inputs::RunSettings;
use crate::problems::Problems;
use crate::report::Report;
use crate::scan::report::ImageScan;
use crate::scan::tools::gate::ToolTally;

/// Who judges, and for whom.
pub(super) struct JudgedRun<'a> {
    pub(super) scanning: &'a Scanning,
    pub(super) searching: &'a Searching,
    pub(super) tools: &'a ToolFindings,
    pub(super) settings: &'a RunSettings,
    pub(super) context: &'a RunContext,
    pub(super) report: &'a Report,
}

/// What people are told of a release that passes.
pub(super) struct JudgedRelease {
    /// Of each image.
    pub(super) searched: Vec<Option<SearchSummary>>,
    /// Of other tools.
    pub(super) tallies: Vec<ToolTally>,
}

impl JudgedRun<'_> {
    /// What the search of each image came to. The findings are written to the file that the user
    /// named, whatever is refused.
    pub(super) fn judged(
        &self,
        attested: &[AttestedImage],
        scanned: &[Scanned],
        searched: &[Searched],
    ) -> anyhow::Result<JudgedRelease> {
        let first = |attested: &AttestedImage| attested.built().images().next();
        let images: Vec<_> = attested.iter().filter_map(first).zip(scanned).collect();
        let assessed: Vec<&Assessed> =
            images.iter().flat_map(|(_, scanned)| scanned.assessed()).collect();
        let scans = matches!(self.scanning, Scanning::Scan(_));
        let of_tools = tools::judged(self.tools, scans, &assessed, self.report);
        let by_scan = self.scanning.judged(&images, &of_tools.met, self.report);
        let searched: Vec<_> = attested.iter().filter_map(first).zip(searched).collect();
        let (outcome, by_search) = self.searching.judged(&searched, self.report);
        if let Some(file) = self.settings.sarif_file.as_deref() {
            let not_scanned = images.iter().all(|(_, it)| matches!(it, Scanned::Not(_)));
            let runs = self.tools.runs();
            if !outcome.runs.is_empty() || !not_scanned || !runs.is_empty() {
                let scans: Vec<ImageScan> =
                    assessed.iter().map(|assessed| assessed.scan.clone()).collect();
                scanning::write_sarif(&scans, outcome.runs, runs, file, self.context)?;
            }
        }
        let mut problems = Problems::default();
        problems.take(by_scan);
        problems.take(by_search);
        problems.take(of_tools.refusal.map_or(Ok(()), |it| Err(tools::refused(&it))));
        problems.into_result()?;
        Ok(JudgedRelease { searched: outcome.summaries, tallies: of_tools.tallies })
    }
}

impl ReleaseRun<'_> {
    /// The same where an earlier run has published: what other tools found is judged anew.
    pub(super) fn judged_again(&self, tools: &ToolFindings) -> anyhow::Result<Vec<ToolTally>> {
        let outcome = tools::judged(tools, false, &[], self.report);
        if let Some(file) = self.settings.sarif_file.as_deref().filter(|_| !tools.runs().is_empty())
        {
            scanning::write_sarif(&[], Vec::new(), tools.runs(), file, self.context)?;
        }
        match outcome.refusal {
            None => Ok(outcome.tallies),
            Some(refusal) => Err(tools::refused(&refusal)),
        }
    }
}
