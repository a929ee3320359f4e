//! `supply-action advisories update`: the advisories of ecosystems → a folder that a cache keeps,
//! so that a scan needs no service. What cannot be renewed stays as it was, and fails the run.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::advisories::archive::Differences;
use crate::advisories::download::{self, AdvisoryMirror, ArchiveChange, Update};
use crate::environment::Environment;
use crate::error::{OrRemedy as _, SeveralFailures};
use crate::files::OpenFolder;
use crate::github::network::Network;
use crate::report::Report;
use crate::text::plural;

/// Arguments of `supply-action advisories`.
#[derive(Debug, Args)]
pub struct AdvisoriesArguments {
    #[command(subcommand)]
    verb: AdvisoriesVerb,
}

#[derive(Debug, Subcommand)]
enum AdvisoriesVerb {
    /// Fetch the advisories of ecosystems into a directory, each as ECOSYSTEM/all.zip; unchanged
    /// archives are not fetched again
    #[command(after_help = EXAMPLES)]
    Update(UpdateArguments),
}

const EXAMPLES: &str = "Ecosystems are written as OSV does: npm, PyPI, Go, crates.io, Maven, RubyGems, NuGet, Packagist, Debian, Ubuntu, Alpine, AlmaLinux,
Rocky Linux, Red Hat … A release (Debian:12) is left out: the archive has them all.

Each archive is read before it replaces the one before: it must hold only OSV records, and must not be older than the one at
hand. osv-scanner reads the same archives below a directory called osv-scalibr.

  supply-action advisories update --ecosystem Debian --ecosystem Go --to advisories
  supply-action advisories update --ecosystem npm,PyPI --to advisories --from https://mirror.example.com/osv

Exit codes: 0 all are at hand and new, 1 one or more are not, 2 the arguments are wrong";

#[derive(Debug, Args)]
struct UpdateArguments {
    /// An ecosystem; may be given several times, or as a list with commas
    #[arg(long = "ecosystem", value_name = "NAME", required = true, value_delimiter = ',', value_parser = download::ecosystem)]
    ecosystems: Vec<String>,
    /// The directory; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Where ECOSYSTEM/all.zip is
    #[arg(long, value_name = "URL", default_value = download::PUBLIC)]
    from: String,
}

pub async fn run(
    arguments: &AdvisoriesArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let AdvisoriesVerb::Update(arguments) = &arguments.verb;
    update(arguments, env, report).await.context("not all advisories are up to date")
}

async fn update(
    arguments: &UpdateArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let network = Network::of(env);
    let http = network.client()?;
    let mirror = AdvisoryMirror::new(&http, &arguments.from, &network.plain).remedied()?;
    let here = std::env::current_dir().unwrap_or_default();
    let folder = OpenFolder::make(&arguments.to, &here).remedied()?;
    let (now, mut failures) = (Timestamp::now(), Vec::new());
    let mut ecosystems = arguments.ecosystems.clone();
    ecosystems.sort();
    ecosystems.dedup();
    for ecosystem in &ecosystems {
        match mirror.renew(ecosystem, &folder, &arguments.to, now).await.remedied() {
            Ok(update) => report.say(&told(ecosystem, &update)),
            Err(error) => failures.push(error.context(format!("advisories of `{ecosystem}`"))),
        }
    }
    match failures.len() {
        0 => Ok(()),
        1 => failures.pop().map_or(Ok(()), Err),
        _ => Err(SeveralFailures::of(failures).into()),
    }
}

/// `npm: 3 advisories, newest 2026-11-28T10:00:00Z, 1 new, 1 changed, sha256:…`
fn told(ecosystem: &str, update: &Update) -> String {
    let Update { records, newest, sha256, change } = update;
    let newest = newest.map(|newest| format!(", newest {newest}")).unwrap_or_default();
    let change = match change {
        ArchiveChange::New => ", fetched".to_owned(),
        ArchiveChange::Same => ", unchanged".to_owned(),
        ArchiveChange::Different(Differences { added, changed, gone }) => {
            let parts = [(added, "new"), (changed, "changed"), (gone, "gone")];
            let is_any =
                |(count, word): (&usize, &str)| (*count > 0).then(|| format!(", {count} {word}"));
            parts.into_iter().filter_map(is_any).collect()
        }
    };
    let records = plural(*records, "advisory");
    format!("{ecosystem}: {records}{newest}{change}, sha256:{sha256}")
}
