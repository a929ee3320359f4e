//! `supply-action scan`: which known vulnerabilities an image has, wherever it is, or what an SBOM
//! lists. It signs nothing and sets no tag, and an unanswered question is never "none".

mod judged;
mod lists;
mod packages;
mod sources;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit, exit_code};
use crate::files;
use crate::image::Platform;
use crate::report::Report;
use crate::report::text::visible;
use crate::scan::accepted::Product;
use crate::scan::findings::Findings;
use crate::scan::gate::{self, Reason, Rules, Verdict};
use crate::scan::report::{AdvisorySource, ImageScan};
use crate::scan::severity::Level;
use crate::scan::{sarif, shown};
use crate::text;

/// What `scan` is asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The platform, where the image is for several; without it this machine's, or the only one
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Advisories at hand: a directory or an archive of OSV records, such as `supply-action
    /// advisories update` makes; may be given several times. Then no service is asked but with
    /// --osv-url
    #[arg(long, value_name = "PATH")]
    advisories: Vec<PathBuf>,
    /// The OSV service to ask about what is not at hand; names and versions of packages go there
    #[arg(long, value_name = "URL")]
    osv_url: Option<String>,
    /// Keep the service's records in this directory, and do not fetch again what did not change
    #[arg(long, value_name = "DIR")]
    advisory_cache: Option<PathBuf>,
    /// Fail where the newest advisory is older: a number of hours (`36h`) or days (`7d`)
    #[arg(long, value_name = "AGE")]
    max_advisory_age: Option<Age>,
    /// The lowest severity that fails
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
    /// Whether only vulnerabilities with a fix fail
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    only_fixed: bool,
    /// Fail where nothing is known about a package
    #[arg(long)]
    fail_on_unassessed: bool,
    /// Fail on what CISA lists as exploited (needs --kev), with a fix or without
    #[arg(long, requires = "kev")]
    fail_on_kev: bool,
    /// Fail on vulnerabilities whose severity nobody rates
    #[arg(long)]
    fail_on_unknown: bool,
    /// CISA's catalogue of exploited vulnerabilities, in JSON
    #[arg(long, value_name = "FILE|URL")]
    kev: Option<String>,
    /// FIRST's EPSS scores, in CSV or compressed by gzip
    #[arg(long, value_name = "FILE|URL")]
    epss: Option<String>,
    /// Accepted risks, each with a reason: a YAML file of ours, .trivyignore, .grype.yaml or
    /// osv-scanner.toml; may be given several times
    #[arg(long, value_name = "FILE")]
    ignore: Vec<PathBuf>,
    /// OpenVEX documents whose authors you trust; may be given several times
    #[arg(long, value_name = "FILE")]
    vex: Vec<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where to; without it, to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep what each layer held in this directory, and do not read again the layers that are known
    /// there
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// An SBOM (SPDX 2 or CycloneDX in JSON), or an image as `supply-action sbom` takes it
    #[arg(value_name = "IMAGE|SBOM")]
    target: packages::Target,
}

const EXAMPLES: &str = "IMAGE is read as by `supply-action sbom`, whose help says how it is named. No signature is checked:
`supply-action verify` does that.

  supply-action scan ghcr.io/octo/app:v1.2.3
  supply-action advisories update --ecosystem Debian,Go --to advisories
  supply-action scan --advisories advisories --fail-on high app.spdx.json
  supply-action scan --format sarif -o scan.sarif --ignore risks.yaml oci-layout:out

Names and versions of packages leave this machine where a service is asked; with --advisories alone, nothing does.

Exit codes: 0 nothing fails, 1 something fails, 2 the arguments are wrong, 4 it could not be found out (a source did not answer, or none covers any of the packages)";

/// The lowest severity that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    None,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    Json,
    /// SARIF 2.1.0, as GitHub's code scanning takes it
    Sarif,
}

/// How old something may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(jiff::SignedDuration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no age; write for example `36h` or `7d`");
        let (number, hours) =
            match text.trim().split_at_checked(text.trim().len().saturating_sub(1)) {
                Some((number, "h")) => (number, 1),
                Some((number, "d")) => (number, 24),
                _ => return Err(wrong()),
            };
        let number: u16 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        Ok(Self(jiff::SignedDuration::from_hours(i64::from(number) * hours)))
    }
}

impl Arguments {
    fn rules(&self) -> Rules {
        Rules {
            fail_on: match self.fail_on {
                FailOn::Critical => Some(Level::Critical),
                FailOn::High => Some(Level::High),
                FailOn::Medium => Some(Level::Medium),
                FailOn::Low => Some(Level::Low),
                FailOn::None => None,
            },
            only_fixed: self.only_fixed,
            fail_on_unassessed: self.fail_on_unassessed,
            fail_on_kev: self.fail_on_kev,
            fail_on_unknown: self.fail_on_unknown,
        }
    }
}

pub async fn run(arguments: &Arguments, env: &Environment, report: &Report) -> anyhow::Result<()> {
    let started = Timestamp::now();
    let lists = lists::read(arguments, env).await?;
    let sources = sources::open(arguments, env).await.map_err(unanswered)?;
    let (about, mut subjects) =
        packages::of(arguments, started, env, report).await.context("nothing was scanned")?;
    let records = sources.records(&mut subjects).await.map_err(unanswered)?;
    let known = Findings::of(&subjects, &records, &lists.exploited(&records)?, about.go_platform());
    let finished = Timestamp::now();
    let sources = sources::named(&sources, &records, finished);
    too_old(arguments, &sources, finished)?;
    let image = Product { purls: about.purls(), names: vec![about.name.clone()] };
    let rules = arguments.rules();
    let verdict = gate::judge(&known, &rules, &lists.accepted, &image, finished);
    let scan = judged::scan(known, &verdict, about, sources, (started, finished));
    for risk in &verdict.expired {
        report.notice(&format!(
            "`{}` has expired: {}",
            visible(&risk.place),
            visible(&risk.reason)
        ));
    }
    for risk in &verdict.unused {
        report.notice(&format!("`{}` accepts nothing that was found", visible(&risk.place)));
    }
    unrated(&scan, &rules, report);
    write(arguments, &scan, report)?;
    refuse(&scan, &verdict)?;
    known_at_all(&scan)
}

/// The result, as it was asked for.
fn write(arguments: &Arguments, scan: &ImageScan, report: &Report) -> anyhow::Result<()> {
    let is_seen = arguments.output.is_none() && std::io::stdout().is_terminal();
    let width = report.width().filter(|_| is_seen).unwrap_or(usize::MAX);
    let text = match arguments.format {
        Format::Table => shown::table(&[scan], width, is_seen && report.has_colour()),
        Format::Json => serde_json::to_string_pretty(&shown::json(&[scan]))?,
        Format::Sarif => {
            let documents = sarif::documents(std::slice::from_ref(scan))?;
            let document = documents.first().context("nothing was written: no scan was made")?;
            serde_json::to_string_pretty(document)?
        }
    };
    match &arguments.output {
        Some(file) => {
            let text = format!("{}\n", text.trim_end());
            files::write_named(file, text.as_bytes())
                .remedied()
                .with_context(|| format!("`{}` was not written", file.display()))?;
            report.say(&shown::sentence(scan));
        }
        None if arguments.format == Format::Table => {
            report.answer(&text.trim_end().lines().map(str::to_owned).collect::<Vec<_>>());
        }
        None => report.json(&text),
    }
    Ok(())
}

/// What must not pass, as one sentence; the result itself is written by then.
fn refuse(scan: &ImageScan, verdict: &Verdict) -> anyhow::Result<()> {
    if verdict.passes() {
        return Ok(());
    }
    let named = |at: usize| scan.findings.get(at).map(|judged| &judged.finding);
    let mut counts: BTreeMap<(Reverse<Level>, &str), usize> = BTreeMap::new();
    let mut unassessed = 0;
    for reason in &verdict.reasons {
        let (at, word) = match reason {
            Reason::Severe { finding } => (*finding, ""),
            Reason::Exploited { finding } => (*finding, " that is exploited"),
            Reason::Unrated { finding } => (*finding, " that nobody rates"),
            Reason::Unassessed { .. } => {
                unassessed += 1;
                continue;
            }
        };
        let level = named(at).map_or(Level::Unknown, |finding| finding.severity.level);
        *counts.entry((Reverse(level), word)).or_default() += 1;
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|((Reverse(level), word), count)| {
            let vulnerabilities = text::plural(*count, "vulnerability");
            let (number, noun) = vulnerabilities.split_once(' ').unwrap_or_default();
            format!("{number} {} {noun}{word}", level.as_str())
        })
        .collect();
    if unassessed > 0 {
        parts.push(format!("{} not assessed", text::plural(unassessed, "package")));
    }
    Err(anyhow::anyhow!("the scan of `{}` fails: {}", visible(&scan.image), parts.join(", ")))
        .hint("the findings are listed above; update what has a fix, or accept a risk with a reason by --ignore")
}

/// Where no package is assessed, nothing was scanned, and that nothing was found says nothing.
fn known_at_all(scan: &ImageScan) -> anyhow::Result<()> {
    if scan.assessed > 0 || scan.unassessed.is_empty() {
        return Ok(());
    }
    let packages = text::plural(scan.unassessed.len(), "package");
    let message = format!(
        "nothing is known about `{}`: none of {packages} is assessed",
        visible(&scan.image)
    );
    Err(anyhow::Error::from(WithExit { code: exit::UNKNOWN, message })).hint(
        "the reasons are listed above; name a source that covers them by --advisories or --osv-url",
    )
}

/// No level is met by what nobody rates, and silence would be taken for "harmless".
fn unrated(scan: &ImageScan, rules: &Rules, report: &Report) {
    let count = scan.summary().tally.counts.unknown;
    if count > 0 && !rules.fail_on_unknown && rules.fail_on.is_some() {
        let count = text::plural(usize::try_from(count).unwrap_or(usize::MAX), "vulnerability");
        report.notice(&format!(
            "{count} without a severity: no source at hand rates them, so `--fail-on` does not meet them; `--fail-on-unknown` does"
        ));
    }
}

/// An argument that is wrong keeps its exit code.
fn unanswered(error: anyhow::Error) -> anyhow::Error {
    if exit_code(&error) == exit::BAD_INPUT {
        return error;
    }
    let message = "nothing is known about the image, because not every question was answered";
    error.context(WithExit { code: exit::UNKNOWN, message: message.to_owned() })
}

fn too_old(
    arguments: &Arguments,
    sources: &[AdvisorySource],
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(Age(most)) = arguments.max_advisory_age else { return Ok(()) };
    match sources.iter().map(|source| source.newest).max() {
        Some(newest) if now.duration_since(newest) <= most => Ok(()),
        newest => {
            let newest = newest.map_or_else(|| "none at all".to_owned(), |it| format!("`{it}`"));
            let message = format!(
                "nothing is known about the image: the newest advisory at hand is {newest}"
            );
            Err(anyhow::Error::from(WithExit { code: exit::UNKNOWN, message }))
                .hint("fetch them again with `supply-action advisories update`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_of_hours_or_days() {
        assert_eq!("36h".parse(), Ok(Age(jiff::SignedDuration::from_hours(36))));
        assert_eq!(" 7d ".parse(), Ok(Age(jiff::SignedDuration::from_hours(168))));
        for wrong in ["", "h", "7", "0d", "-1d", "7w", "1.5d", "99999d", "7é"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
