//! Where advisories come from: questions about packages in, bytes of OSV records out. It judges no
//! version, and takes no part that went unanswered for "nothing is known".
//!
//! Format: <https://ossf.github.io/osv-schema/>.

pub mod archive;
mod batch;
mod cache;
mod call;
pub mod download;
pub mod epss;
pub mod feed;
pub mod fetched;
pub mod gather;
pub mod kev;
mod outline;
pub mod place;
mod records;
pub mod service;

use std::fmt;

use crate::error::Remedied;
use crate::github::network::{certificate_remedy, unreachable_page};
use crate::page::RefusalPage;
pub use crate::scan::question::AdvisoryQuestion;

/// A question as it stands in a message.
fn shown(question: &AdvisoryQuestion) -> String {
    let AdvisoryQuestion { ecosystem, name, version } = question;
    format!("`{name}` `{version}` of `{ecosystem}`")
}

/// The id of a record, fit for a path and for a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(String);

impl RecordId {
    const LONGEST: usize = 128;

    /// `None` for what no database uses, such as a path.
    pub fn of(text: &str) -> Option<Self> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        (starts_well
            && text.len() <= Self::LONGEST
            && text.bytes().all(is_known)
            && !text.contains(".."))
        .then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why advisories are not at hand.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    #[error("`{given}` is not a valid address: {reason}")]
    Address { given: String, reason: &'static str },
    #[error(
        "{unanswered} of {asked} packages are not assessed, {example} among them: {service} gave no usable answer: {cause}"
    )]
    Unanswered {
        service: String,
        /// How many packages the unanswered part concerns.
        unanswered: usize,
        asked: usize,
        /// One of them.
        example: String,
        cause: String,
    },
    #[error(
        "`{service}` gave no usable answer about {unanswered} records, `{example}` among them: {cause}"
    )]
    UnansweredRecords { service: String, unanswered: usize, example: RecordId, cause: String },
    #[error("the cache of advisories cannot be used")]
    Cache(#[source] crate::files::FileError),
}

impl Remedied for AdvisoryError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some(
                "give an address such as `https://osv.example.com`, without the query of a request"
                    .to_owned(),
            ),
            Self::Unanswered { cause, .. } | Self::UnansweredRecords { cause, .. } => Some(
                certificate_remedy(cause)
                    .unwrap_or("run again later, or give another source of advisories")
                    .to_owned(),
            ),
            Self::Cache(error) => error.remedy(),
        }
    }

    fn see(&self) -> Option<RefusalPage> {
        match self {
            Self::Address { .. } => None,
            Self::Unanswered { cause, .. } | Self::UnansweredRecords { cause, .. } => {
                Some(unreachable_page(cause))
            }
            Self::Cache(error) => error.see(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_database_are_taken_and_paths_are_not() {
        for id in ["GO-2020-0004", "ALSA-2022:1234", "openSUSE-SU-2024:1-1", "PHSA-2017-0002.json"]
        {
            assert_eq!(RecordId::of(id).map(|id| id.to_string()).as_deref(), Some(id));
        }
        let long = "A".repeat(129);
        for text in
            ["", ".", "..", "-a", "a/b", "a..b", "a?b", "a#b", "a b", "a%2f", "ä", "a\n", &long]
        {
            assert_eq!(RecordId::of(text), None, "{text}");
        }
    }
}
