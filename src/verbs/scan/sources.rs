//! Options → where advisories come from. It asks nobody anything.

use std::path::Path;

use jiff::Timestamp;

use super::Arguments;
use crate::advisories::archive::Archives;
use crate::advisories::gather::Sources;
use crate::advisories::service::{PUBLIC, Service, Times};
use crate::environment::Environment;
use crate::error::{OrRemedy as _, WithExit, exit};
use crate::github::network::Network;
use crate::scan::records::Records;
use crate::scan::report::AdvisorySource;

/// The archives at hand, and the service where one is named or nothing is at hand.
pub(super) async fn open(arguments: &Arguments, env: &Environment) -> anyhow::Result<Sources> {
    let now = Timestamp::now();
    let mut sources = Sources::default();
    for path in &arguments.advisories {
        sources.archives.push(opened(path, now).await?);
    }
    if arguments.osv_url.is_some() || sources.archives.is_empty() {
        let network = Network::of(env);
        let address = arguments.osv_url.as_deref().unwrap_or(PUBLIC);
        let cache = arguments.advisory_cache.as_deref();
        let http = network.client()?;
        let service = Service::new(http, address, &network.plain, cache, Times::default());
        sources.service = Some(service.remedied().map_err(wrong)?);
    }
    Ok(sources)
}

fn wrong(error: anyhow::Error) -> anyhow::Error {
    let message = "nothing was scanned: the options name no service that can be asked";
    error.context(WithExit { code: exit::BAD_INPUT, message: message.to_owned() })
}

async fn opened(path: &Path, now: Timestamp) -> anyhow::Result<Archives> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Archives::open(&path, now)).await?.remedied()
}

/// Each source with the age of what it knows.
pub(super) fn named(sources: &Sources, records: &Records, now: Timestamp) -> Vec<AdvisorySource> {
    let archives = sources.archives.iter().map(|archives| AdvisorySource {
        uri: "archives of OSV records at hand".to_owned(),
        newest: archives.newest().values().max().copied().unwrap_or_default(),
    });
    let service = sources.service.iter().map(|service| AdvisorySource {
        uri: service.address().to_owned(),
        newest: records.newest().unwrap_or(now),
    });
    archives.chain(service).collect()
}
