//! `supply-action scan`: which known vulnerabilities an image has, wherever it is, or what an SBOM
//! lists. It signs nothing and sets no tag, and an unanswered question is never "none".

mod packages;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::private::temporary;
use crate::advisories::place::AdvisoryPlace;
use crate::assess::refused::refusal;
use crate::assess::{Assessed, Assessor, Earlier, ImagePackages, ScanTerms, TermsAuthor};
use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files;
use crate::github::RunContext;
use crate::github::network::Network;
use crate::image::Platform;
use crate::report::Report;
use crate::report::text::visible;
use crate::scan::gate::GateRules;
use crate::scan::report::ImageScan;
use crate::scan::severity::SeverityLevel;
use crate::scan::{sarif, shown};
use crate::text::age::Age;
use crate::verbs::scanning::known_at_all;

/// Arguments of `supply-action scan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_args = of_image)]
pub struct ScanArguments {
    /// The platform, if the image has several; by default this machine's, or the only one
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Advisories at hand: a directory or an archive of OSV records, such as `supply-action
    /// advisories update` makes, or the address of an archive, with its hash after #sha256=; may be
    /// given several times. Then no service is asked, unless --osv-url is given
    #[arg(long, value_name = "PATH|URL", value_parser = given_place)]
    advisories: Vec<GivenPlace>,
    /// The OSV service to ask about packages that --advisories does not cover; it receives names
    /// and versions of packages
    #[arg(long, value_name = "URL")]
    osv_url: Option<String>,
    /// Keep the service's records in this directory, and do not fetch again what did not change
    #[arg(long, value_name = "DIR")]
    advisory_cache: Option<PathBuf>,
    /// Fail if the newest advisory at hand is older: a number of hours (`36h`) or days (`7d`)
    #[arg(long, value_name = "AGE", requires = "advisories")]
    max_advisory_age: Option<Age>,
    /// The lowest severity that fails
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
    /// Whether only vulnerabilities with a fix fail
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    only_fixed: bool,
    /// Fail if nothing is known about a package
    #[arg(long)]
    fail_on_unassessed: bool,
    /// Fail only on findings that this one does not have: the state before, named as IMAGE|SBOM is
    #[arg(long, value_name = "IMAGE|SBOM")]
    new_since: Option<packages::NamedTarget>,
    /// Fail on vulnerabilities that CISA lists as exploited (needs --kev), with or without a fix
    #[arg(long, requires = "kev")]
    fail_on_kev: bool,
    /// Fail on vulnerabilities without a severity
    #[arg(long)]
    fail_on_unknown: bool,
    /// CISA's catalogue of exploited vulnerabilities, in JSON
    #[arg(long, value_name = "FILE|URL", value_parser = given_place)]
    kev: Option<GivenPlace>,
    /// FIRST's EPSS scores, in CSV or compressed by gzip
    #[arg(long, value_name = "FILE|URL", value_parser = given_place)]
    epss: Option<GivenPlace>,
    /// Accepted risks, each with a reason: a YAML file of ours, .trivyignore, .grype.yaml or
    /// osv-scanner.toml; may be given several times
    #[arg(long, alias = "ignore", value_name = "FILE")]
    ignore_file: Vec<PathBuf>,
    /// OpenVEX documents whose authors you trust, each with its hash after #sha256= if it is at an
    /// address; may be given several times
    #[arg(long, value_name = "FILE|URL", value_parser = given_place)]
    vex: Vec<GivenPlace>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = ResultFormat::Table)]
    format: ResultFormat,
    /// The file to write to; by default standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the contents of each layer in this directory, and do not read known layers again
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// An SBOM (SPDX 2 or CycloneDX in JSON), or an image as `supply-action sbom` takes it
    #[arg(value_name = "IMAGE|SBOM")]
    target: Option<packages::NamedTarget>,
    /// Without IMAGE: an input of scan/action.yml as NAME=VALUE; stands for the variable INPUT_NAME
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::input, conflicts_with = "target")]
    inputs: Vec<(String, String)>,
}

const EXAMPLES: &str = "Name IMAGE as for `supply-action sbom`, whose help explains it. No signature is checked:
`supply-action verify` does that.

  supply-action scan ghcr.io/octo/app:v1.2.3
  supply-action advisories update --ecosystem Debian,Go --to advisories
  supply-action scan --advisories advisories --fail-on high app.spdx.json
  supply-action scan --new-since base --fail-on high head
  supply-action scan --format sarif -o scan.sarif --ignore-file risks.yaml oci-layout:out

If a service is asked, names and versions of packages leave this machine; with --advisories alone, nothing does.

Exit codes: 0 nothing fails, 1 something fails, 2 the arguments are wrong, 4 it could not be found out (a source did not answer, or none covers any of the packages)";

/// A place, or why it is none. clap quotes what it cannot read, and an address may hold a login.
type GivenPlace = Result<AdvisoryPlace, String>;

fn given_place(text: &str) -> Result<GivenPlace, Infallible> {
    Ok(text.parse())
}

fn places(option: &str, given: &[GivenPlace]) -> anyhow::Result<Vec<AdvisoryPlace>> {
    let read = |place: &GivenPlace| {
        place.clone().map_err(|why| {
            let message = format!("option `--{option}`: {why}");
            WithExit { code: exit::BAD_INPUT, message }.into()
        })
    };
    given.iter().map(read).collect()
}

/// An option says how an image is scanned that is named here; an action has inputs for it.
fn of_image(option: clap::Arg) -> clap::Arg {
    match option.get_id().as_str() {
        "target" | "inputs" => option,
        _ => option.requires("target"),
    }
}

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
enum ResultFormat {
    /// For people
    Table,
    Json,
    /// SARIF 2.1.0, as GitHub's code scanning takes it
    Sarif,
}

impl FailOn {
    /// `None` where nothing fails.
    fn level(self) -> Option<SeverityLevel> {
        match self {
            Self::Critical => Some(SeverityLevel::Critical),
            Self::High => Some(SeverityLevel::High),
            Self::Medium => Some(SeverityLevel::Medium),
            Self::Low => Some(SeverityLevel::Low),
            Self::None => None,
        }
    }
}

impl ScanArguments {
    /// The inputs of the action, where no image is named here.
    pub fn of_action(&self) -> Option<Vec<(String, String)>> {
        self.target.is_none().then(|| self.inputs.clone())
    }

    fn terms(&self) -> anyhow::Result<ScanTerms> {
        let terms = ScanTerms {
            asker: TermsAuthor::CommandLine,
            rules: GateRules {
                fail_on: self.fail_on.level(),
                only_fixed: self.only_fixed,
                fail_on_unassessed: self.fail_on_unassessed,
                fail_on_kev: self.fail_on_kev,
                fail_on_unknown: self.fail_on_unknown,
            },
            advisories: places("advisories", &self.advisories)?,
            osv_url: self.osv_url.clone(),
            advisory_cache: self.advisory_cache.clone(),
            max_advisory_age: self.max_advisory_age,
            ignore_files: self.ignore_file.clone(),
            vex: places("vex", &self.vex)?,
            kev: places("kev", self.kev.as_slice())?.pop(),
            epss: places("epss", self.epss.as_slice())?.pop(),
        };
        if terms.advisory_cache.is_some() && !terms.asks_service() {
            let message = "option `--advisory-cache` has no effect: with `--advisories` alone no service is asked";
            return Err(WithExit { code: exit::BAD_INPUT, message: message.to_owned() })
                .hint("leave it out, or name the service with `--osv-url`");
        }
        self.check_new_since(&terms.rules)?;
        Ok(terms)
    }

    /// A comparison that could never refuse anything, or that has nothing to spare.
    fn check_new_since(&self, rules: &GateRules) -> anyhow::Result<()> {
        let (Some(earlier), Some(target)) = (&self.new_since, &self.target) else { return Ok(()) };
        let wrong = |message: &str| WithExit { code: exit::BAD_INPUT, message: message.to_owned() };
        if earlier.is(target) {
            return Err(wrong(
                "option `--new-since` names what is scanned: no finding could be new",
            ))
            .hint("name the state before, such as a checkout of the base branch");
        }
        if rules.fail_on.is_none() && !rules.fail_on_unknown && !rules.fail_on_kev {
            return Err(wrong(
                "option `--new-since` has no effect: with `--fail-on none` no finding fails",
            ))
            .hint("leave it out, or choose a level with `--fail-on`");
        }
        Ok(())
    }
}

pub async fn run(
    arguments: &ScanArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let started = Timestamp::now();
    let terms = arguments.terms().context(UNSCANNED)?;
    let (network, folder) = (Network::of(env), temporary(&RunContext::new(env)));
    let assessor = Assessor::open(&terms, &network, started, &folder).await?;
    let listed = listed(arguments, started, env, report).await?;
    let earlier = arguments.new_since.as_ref().map(|earlier| earlier.name.as_str());
    let earlier = earlier.map_or(Earlier::None, Earlier::First);
    let mut assessed = assessor.assess_new(listed, started, &earlier).await?;
    let assessed = assessed.pop().context("the scan was lost on the way")?;
    let remarks = assessor.remarks(&[&assessed], &BTreeSet::new());
    remarks.iter().for_each(|remark| report.notice(remark));
    if let Some((count, since)) = shown::known(&assessed.scan) {
        let count = crate::text::plural(count, "finding");
        report.notice(&format!("{count} known since `{since}`: no reason to fail"));
    }
    write(arguments, &assessed.scan, report)?;
    refuse(arguments, &assessed)?;
    known_at_all(&[&assessed.scan], "`--advisories` or `--osv-url`")
}

/// The packages of the state before, where one is named, and of what is scanned.
async fn listed(
    arguments: &ScanArguments,
    started: Timestamp,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<Vec<ImagePackages>> {
    let target = arguments.target.as_ref().context("no image is named")?;
    let mut listed = Vec::new();
    for target in arguments.new_since.iter().chain([target]) {
        let packages = packages::of(target, arguments, started, env, report).await;
        listed.push(packages.map_err(|error| {
            let is_said = crate::error::message(&error).starts_with("no sbom was written");
            if is_said { error } else { error.context(UNSCANNED) }
        })?);
    }
    Ok(listed)
}

const UNSCANNED: &str = "nothing was scanned";

/// The result, as it was asked for.
fn write(arguments: &ScanArguments, scan: &ImageScan, report: &Report) -> anyhow::Result<()> {
    let is_seen = arguments.output.is_none() && std::io::stdout().is_terminal();
    let width = report.width().filter(|_| is_seen).unwrap_or(usize::MAX);
    let text = match arguments.format {
        ResultFormat::Table => shown::table(&[scan], width, is_seen && report.has_colour()),
        ResultFormat::Json => serde_json::to_string_pretty(&shown::json(&[scan]))?,
        ResultFormat::Sarif => {
            let documents = sarif::documents(std::slice::from_ref(scan), Vec::new(), &[])?;
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
        None if arguments.format == ResultFormat::Table => {
            report.answer(&text.trim_end().lines().map(str::to_owned).collect::<Vec<_>>());
        }
        None => report.json(&text),
    }
    Ok(())
}

/// What must not pass, as one sentence; the result itself is written by then.
fn refuse(arguments: &ScanArguments, assessed: &Assessed) -> anyhow::Result<()> {
    let Some(refusal) = refusal(&[assessed]) else { return Ok(()) };
    let wheres = match &arguments.output {
        None => "the findings are listed above".to_owned(),
        Some(file) => format!("`{}` lists them", file.display()),
    };
    let remedy = match refusal.names_findings {
        true => "update what has a fix, or accept a risk with a reason by `--ignore-file`",
        false => "name a source that covers these packages by `--advisories` or `--osv-url`",
    };
    let image = visible(&assessed.scan.image);
    Err(anyhow::anyhow!("the scan of `{image}` fails: {}", refusal.sentence))
        .hint(format!("{wheres}; {remedy}"))
}
