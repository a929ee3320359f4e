//! Packages → the records about them, from archives at hand and from a service. A package that no
//! source covers is marked as such; a part that went unanswered is an error.

use std::collections::{BTreeSet, HashMap};

use super::archive::Archives;
use super::batch::Listing;
use super::service::OsvSource;
use super::{AdvisoryQuestion, RecordId};
use crate::error::OrRemedy as _;
use crate::scan::exploited::Exploited;
use crate::scan::findings::{Findings, ScanSubject};
use crate::scan::question::Gap;
use crate::scan::record::AdvisoryRecord;
use crate::scan::records::AdvisoryRecords;
use crate::scan::severity::SeverityLevel;

/// Where records come from: what the archives cover, nobody else is asked.
#[derive(Default)]
pub struct Sources {
    pub archives: Vec<Archives>,
    pub service: Option<OsvSource>,
}

impl Sources {
    /// The records that name the packages, with those that rate what they do not rate themselves.
    /// Packages that no source covers get their gap.
    ///
    /// # Errors
    /// When a part went unanswered, or a record cannot be read: then nothing can be said.
    pub async fn records(&self, subjects: &mut [ScanSubject]) -> anyhow::Result<AdvisoryRecords> {
        let asked: BTreeSet<AdvisoryQuestion> =
            subjects.iter().flat_map(|subject| subject.inquiry.questions.iter().cloned()).collect();
        let mut open: Vec<AdvisoryQuestion> = asked.into_iter().collect();
        let mut found = GatheredRecords::default();
        for archives in &self.archives {
            let listings = tokio::task::block_in_place(|| {
                archives.assess(&open, |id, bytes| found.add(id, &bytes))
            })
            .remedied()?;
            open = unassessed(open, &listings);
        }
        if let Some(service) = self.service.as_ref().filter(|_| !open.is_empty()) {
            let listings =
                service.assess(&open, |id, bytes| found.add(id, &bytes)).await.remedied()?;
            open = unassessed(open, &listings);
        }
        let open: HashMap<(&str, &str), ()> =
            open.iter().map(|it| ((it.ecosystem.as_str(), it.name.as_str()), ())).collect();
        for subject in subjects.iter_mut() {
            let mut questions = subject.inquiry.questions.iter();
            let uncovered =
                questions.find(|it| open.contains_key(&(it.ecosystem.as_str(), it.name.as_str())));
            let gap = uncovered.map(|it| Gap::NoSource { of: it.ecosystem.clone() });
            subject.inquiry.gap = subject.inquiry.gap.take().or(gap);
        }
        let records = found.whole()?;
        self.with_ratings(records, subjects).await
    }

    /// Adds what other databases say of findings that nobody rates.
    async fn with_ratings(
        &self,
        records: AdvisoryRecords,
        subjects: &[ScanSubject],
    ) -> anyhow::Result<AdvisoryRecords> {
        let findings = Findings::of(subjects, &records, &Exploited::default(), None);
        let unrated =
            findings.findings.iter().filter(|it| it.severity.level == SeverityLevel::Unknown);
        let mut wanted: BTreeSet<RecordId> = unrated
            .flat_map(|finding| &finding.ids)
            .filter(|id| records.get(id).is_none())
            .filter_map(|id| RecordId::of(id))
            .collect();
        let mut found = GatheredRecords { records, failure: None };
        for archives in &self.archives {
            let absent = tokio::task::block_in_place(|| {
                archives.records(&wanted, |id, bytes| found.add(id, &bytes))
            })
            .remedied()?;
            wanted = absent.into_iter().collect();
        }
        if let Some(service) = self.service.as_ref().filter(|_| !wanted.is_empty()) {
            service.records(&wanted, |id, bytes| found.add(id, &bytes)).await.remedied()?;
        }
        found.whole()
    }
}

/// Records as they come, and the first that cannot be read.
#[derive(Default)]
struct GatheredRecords {
    records: AdvisoryRecords,
    failure: Option<anyhow::Error>,
}

impl GatheredRecords {
    fn add(&mut self, id: &RecordId, bytes: &[u8]) {
        match AdvisoryRecord::parse(bytes) {
            Ok(record) => self.records.add(record),
            Err(error) => {
                let told = anyhow::Error::new(error)
                    .context(format!("nothing is known of the packages that `{id}` names"));
                self.failure.get_or_insert(told);
            }
        }
    }

    fn whole(self) -> anyhow::Result<AdvisoryRecords> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.records),
        }
    }
}

/// The questions to which a source has nothing to say.
fn unassessed(asked: Vec<AdvisoryQuestion>, listings: &[Listing]) -> Vec<AdvisoryQuestion> {
    let is_open = |listing: &Listing| matches!(listing, Listing::NotAssessed(_));
    asked
        .into_iter()
        .zip(listings)
        .filter(|(_, listing)| is_open(listing))
        .map(|(question, _)| question)
        .collect()
}
