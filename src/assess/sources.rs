//! Terms → where advisories come from: archives at hand, those that it fetches, and a service. It
//! asks nobody about a package.

use std::path::Path;

use jiff::Timestamp;

use super::lists::unread;
use super::{ScanTerms, TermsAuthor};
use crate::advisories::archive::Archives;
use crate::advisories::fetched::{FetchedError, fetched};
use crate::advisories::gather::Sources;
use crate::advisories::place::AdvisoryPlace;
use crate::advisories::service::{OsvSource, PUBLIC, WaitTimes};
use crate::error::{OrRemedy as _, WithExit, exit, remedied};
use crate::github::network::Network;
use crate::scan::records::AdvisoryRecords;
use crate::scan::report::AdvisorySource;

/// The archives at hand, and the service where one is named or nothing is at hand. `folder` is where
/// large files may lie.
pub(super) async fn open(
    terms: &ScanTerms,
    network: &Network,
    folder: &Path,
) -> anyhow::Result<Sources> {
    let now = Timestamp::now();
    let mut sources = Sources::default();
    for place in &terms.advisories {
        let archives = match place {
            AdvisoryPlace::Path(path) => opened(path, terms.asker, now).await?,
            AdvisoryPlace::Address(address) => {
                let http = network.client()?;
                let fetched = fetched(address, &http, &network.plain, folder, now).await;
                fetched.map_err(|error| match error {
                    error @ FetchedError::Address(_) => wrong(remedied(error)),
                    error => remedied(error),
                })?
            }
        };
        sources.archives.push(archives);
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
pub(super) fn at_hand(sources: &Sources, places: &[AdvisoryPlace]) -> Vec<AdvisorySource> {
    let archives = sources.archives.iter().zip(places);
    archives
        .map(|(archives, place)| AdvisorySource {
            uri: place.to_string(),
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
