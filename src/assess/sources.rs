//! Terms → where advisories come from. It asks nobody anything.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::lists::unread;
use super::{ScanTerms, TermsAuthor};
use crate::advisories::archive::Archives;
use crate::advisories::gather::Sources;
use crate::advisories::service::{OsvSource, PUBLIC, WaitTimes};
use crate::error::{OrRemedy as _, WithExit, exit};
use crate::github::network::Network;
use crate::scan::records::AdvisoryRecords;
use crate::scan::report::AdvisorySource;

/// The archives at hand, and the service where one is named or nothing is at hand.
pub(super) async fn open(terms: &ScanTerms, network: &Network) -> anyhow::Result<Sources> {
    let now = Timestamp::now();
    let mut sources = Sources::default();
    for path in &terms.advisories {
        sources.archives.push(opened(path, terms.asker, now).await?);
    }
    if terms.asks_service() {
        let address = terms.osv_url.as_deref().unwrap_or(PUBLIC);
        let cache = terms.advisory_cache.as_deref();
        let http = network.client()?;
        let service = OsvSource::new(http, address, &network.plain, cache, WaitTimes::default());
        sources.service = Some(service.remedied().map_err(wrong)?);
    }
    Ok(sources)
}

fn wrong(error: anyhow::Error) -> anyhow::Error {
    let message = "the service for advisories cannot be used";
    error.context(WithExit { code: exit::BAD_INPUT, message: message.to_owned() })
}

async fn opened(path: &Path, asker: TermsAuthor, now: Timestamp) -> anyhow::Result<Archives> {
    let folder = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Archives::open(&folder, now)).await?;
    opened.remedied().map_err(|error| unread(error, path, asker))
}

/// The archives at hand, each with the age of what it knows.
pub(super) fn at_hand(sources: &Sources, paths: &[PathBuf]) -> Vec<AdvisorySource> {
    let archives = sources.archives.iter().zip(paths);
    archives
        .map(|(archives, path)| AdvisorySource {
            uri: path.display().to_string(),
            newest: archives.newest().values().max().copied().unwrap_or_default(),
        })
        .collect()
}

/// Those and the service; of a service that had no record to answer with, `now` is when it answered.
pub(super) fn named(
    sources: &Sources,
    at_hand: &[AdvisorySource],
    records: &AdvisoryRecords,
    now: Timestamp,
) -> Vec<AdvisorySource> {
    let service = sources.service.iter().map(|service| AdvisorySource {
        uri: service.address().to_owned(),
        newest: records.newest().unwrap_or(now),
    });
    at_hand.iter().cloned().chain(service).collect()
}
