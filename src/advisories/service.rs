//! The client of an OSV service: questions → listings and records. It believes no answer that is
//! short, out of order or about something else, and sends nothing over plain HTTP unasked.
//!
//! Interface: <https://google.github.io/osv.dev/api/>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Url};

pub use super::batch::Listing;
use super::batch::{self, UnansweredPart};
use super::cache::RecordCache;
use super::call::Patience;
use super::records::{self, RecordRequest, RecordsFailure};
use super::{AdvisoryError, AdvisoryQuestion, RecordId, shown};
use crate::github::network::Plain;

/// The public service.
pub const PUBLIC: &str = "https://api.osv.dev";

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub struct WaitTimes {
    /// For one request; the public service gives up after 35 to 60 seconds.
    pub request: Duration,
    /// For all of them.
    pub whole: Duration,
}

impl Default for WaitTimes {
    fn default() -> Self {
        Self { request: Duration::from_secs(60), whole: Duration::from_secs(300) }
    }
}

/// An OSV service, for one run.
pub struct OsvSource {
    pub(super) http: Client,
    base: Url,
    pub(super) cache: Option<RecordCache>,
    pub(super) patience: Patience,
}

impl OsvSource {
    /// The service at this address; its time begins now. Records are kept in the folder `cache`.
    ///
    /// # Errors
    /// When the address is none to ask, or the folder cannot be used.
    pub fn new(
        http: Client,
        address: &str,
        plain: &Plain,
        cache: Option<&Path>,
        times: WaitTimes,
    ) -> Result<Self, AdvisoryError> {
        Ok(Self {
            http,
            base: service_url(address, plain)?,
            cache: cache.map(RecordCache::open).transpose()?,
            patience: Patience::new(times.request, times.whole),
        })
    }

    /// Where it is, for people.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.address())
    }

    /// What is known about each package, in the order of the questions; `keep` gets each record
    /// once, in any order. Questions that are alike are asked once.
    ///
    /// # Errors
    /// When any part went unanswered: then nothing can be said about its packages.
    pub async fn assess(
        &self,
        questions: &[AdvisoryQuestion],
        keep: impl FnMut(&RecordId, Vec<u8>),
    ) -> Result<Vec<Listing>, AdvisoryError> {
        let different: Vec<&AdvisoryQuestion> =
            questions.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let unanswered = |places: &BTreeSet<usize>, cause: String| {
            let concerned: BTreeSet<&AdvisoryQuestion> =
                places.iter().map(|place| different[*place]).collect();
            AdvisoryError::Unanswered {
                service: self.address().to_owned(),
                unanswered: questions.iter().filter(|asked| concerned.contains(asked)).count(),
                asked: questions.len(),
                example: concerned.first().map(|question| shown(question)).unwrap_or_default(),
                cause,
            }
        };
        let listings = batch::list(self, &different).await.map_err(
            |UnansweredPart { questions, cause }| unanswered(&questions, cause.to_string()),
        )?;
        let mut wanted: BTreeMap<RecordId, RecordRequest> = BTreeMap::new();
        for (place, listing) in listings.iter().enumerate() {
            let Listing::Records(listed) = listing else { continue };
            for (id, modified) in listed {
                let request = wanted.entry(id.clone()).or_default();
                request.modified.get_or_insert_with(|| modified.clone());
                request.listed_for.insert(place);
            }
        }
        match records::fetch(self, &different, &wanted, keep).await {
            Ok(_) => {}
            Err(RecordsFailure::Cache(error)) => return Err(error),
            Err(RecordsFailure::Unanswered(failed)) => {
                return Err(unanswered(&failed.questions, failed.cause.to_string()));
            }
        }
        let place: BTreeMap<&AdvisoryQuestion, usize> =
            different.iter().enumerate().map(|(place, question)| (*question, place)).collect();
        Ok(questions.iter().map(|question| listings[place[question]].clone()).collect())
    }

    /// Records by their ids, such as those that a record names as its aliases; `keep` gets each
    /// once, in any order. Returns those that the service does not have.
    ///
    /// # Errors
    /// When any went unanswered.
    pub async fn records(
        &self,
        ids: &BTreeSet<RecordId>,
        keep: impl FnMut(&RecordId, Vec<u8>),
    ) -> Result<Vec<RecordId>, AdvisoryError> {
        let wanted = ids.iter().map(|id| (id.clone(), RecordRequest::default())).collect();
        records::fetch(self, &[], &wanted, keep).await.map_err(|failure| match failure {
            RecordsFailure::Cache(error) => error,
            RecordsFailure::Unanswered(failed) => AdvisoryError::UnansweredRecords {
                service: self.address().to_owned(),
                unanswered: failed.records,
                example: failed.example,
                cause: failed.cause.to_string(),
            },
        })
    }
}

/// The address to put paths behind.
pub(super) fn service_url(given: &str, plain: &Plain) -> Result<Url, AdvisoryError> {
    let wrong = |reason| AdvisoryError::Address { given: given.to_owned(), reason };
    let url = Url::parse(given).map_err(|_| wrong("it is not an address at all"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // Which is not quoted, as it may be a password.
        return Err(AdvisoryError::Address {
            given: url.host_str().unwrap_or_default().to_owned(),
            reason: "it holds a login, which would show in every message",
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing may follow its path"));
    }
    if !plain.is_safe(&url) {
        return Err(wrong(
            "it does not begin with https://, and its host is not among `http-registries`",
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_holds_no_login() {
        let plain = Plain::of(["mirror.lan:8080".to_owned()]);
        for (given, reason) in [
            (PUBLIC, None),
            ("https://mirror.example/osv/", None),
            ("http://127.0.0.1:9", None),
            ("http://mirror.lan:8080", None),
            ("http://mirror.lan", Some("https://")),
            ("ftp://x", Some("https://")),
            ("api.osv.dev", Some("not an address")),
            ("https://a:hunter2@x", Some("a login")),
            ("https://x/?a=b", Some("follow")),
        ] {
            let refused = service_url(given, &plain).err().map(|error| error.to_string());
            match (&refused, reason) {
                (None, None) => {}
                (Some(said), Some(reason)) => {
                    assert!(said.contains(reason) && !said.contains("hunter2"), "{said}");
                }
                _ => panic!("{given}: {refused:?}"),
            }
        }
    }
}
