//! Scans and searches of a release → the document of findings, and whether the images may be
//! tagged. It hides no refusal behind another one.

use super::scanning::{self, Scanning};
use super::searching::Searching;
use crate::assess::Scanned;
use crate::assess::search::Searched;
use crate::assess::search::summary::SearchSummary;
use crate::attest::AttestedImage;
use crate::github::RunContext;
use crate::inputs::RunSettings;
use crate::problems::Problems;
use crate::report::Report;

/// Who judges, and for whom.
pub(super) struct JudgedRun<'a> {
    pub(super) scanning: &'a Scanning,
    pub(super) searching: &'a Searching,
    pub(super) settings: &'a RunSettings,
    pub(super) context: &'a RunContext,
    pub(super) report: &'a Report,
}

impl JudgedRun<'_> {
    /// What the search of each image came to. The findings are written to the file that the user
    /// named, whatever is refused.
    pub(super) fn judged(
        &self,
        attested: &[AttestedImage],
        scanned: &[Scanned],
        searched: &[Searched],
    ) -> anyhow::Result<Vec<Option<SearchSummary>>> {
        let first = |attested: &AttestedImage| attested.built().images().next();
        let images: Vec<_> = attested.iter().filter_map(first).zip(scanned).collect();
        let by_scan = self.scanning.judged(&images, self.report);
        let searched: Vec<_> = attested.iter().filter_map(first).zip(searched).collect();
        let (outcome, by_search) = self.searching.judged(&searched, self.report);
        if let Some(file) = self.settings.sarif_file.as_deref() {
            scanning::write_sarif(&images, outcome.runs, file, self.context)?;
        }
        let mut problems = Problems::default();
        problems.take(by_scan);
        problems.take(by_search);
        problems.into_result()?;
        Ok(outcome.summaries)
    }
}
