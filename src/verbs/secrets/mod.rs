//! `supply-action secrets`: private keys and tokens in an image, or in the files of a directory such
//! as a checkout. It changes no file, asks no service, and tells no secret's value.

mod image;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use self::image::WantedSearch;
use crate::assess::search::refused::{SearchRules, SearchVerdict, gaps, judge};
use crate::assess::search::summary::SearchSummary;
use crate::assess::search::{PlatformSearch, waivers};
use crate::assess::{TermsAuthor, accepted};
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit, exit_code};
use crate::image::Platform;
use crate::report::Report;
use crate::report::text::visible;
use crate::sbom::SbomError;
use crate::sbom::exclude::Exclude;
use crate::sbom::source::rootfs::Rootfs;
use crate::sbom::source::{FileSource as _, SourceFile, Visitor};
use crate::secrets::leak::Leak;
use crate::secrets::verdict::{SecretsTerms, Waiver};
use crate::secrets::weakness::Gravity;
use crate::secrets::{detector, excuses, shown};
use crate::text::plural;
use crate::verbs::sbom::SbomSubject;
use crate::verbs::verify::WantedReference;

/// Arguments of `supply-action secrets`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SecretsArguments {
    /// What fails
    #[arg(long, value_enum, default_value_t = FailOnSecrets::Verifiable)]
    fail_on: FailOnSecrets,
    /// Secrets that may stay, each with a reason: a YAML file as `scan` takes it, with the id of a
    /// rule or the `sha256:` of one secret; may be given several times
    #[arg(long, value_name = "FILE")]
    ignore_file: Vec<PathBuf>,
    /// The lowest severity of misconfiguration that fails; for images only
    #[arg(long, value_enum, default_value_t = FailOnMisconfig::None)]
    fail_on_misconfig: FailOnMisconfig,
    /// The platform, if the image has several; by default this machine's, or the only one
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Leave files out: a path from the root, in which `*` stands for anything but `/`, `**` for
    /// anything; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = SecretsFormat::Table)]
    format: SecretsFormat,
    /// A directory, in which no link is followed, or an image as `supply-action sbom` takes it
    #[arg(value_name = "DIR|IMAGE")]
    target: SbomSubject,
}

const EXAMPLES: &str = "No value is shown in full: only its beginning and a fingerprint. Keys and tokens in tests and samples of packages are shown and do not fail.

  supply-action secrets .
  supply-action secrets --exclude 'docs/**' --format json .
  supply-action secrets ghcr.io/octo/app:v1.2.3
  supply-action secrets --fail-on-misconfig medium oci-layout:out

For an image, the config and all layers are read, also files that later layers delete; each layer is checked against its digest.

Exit codes: 0 nothing fails, 1 something fails, 2 the arguments are wrong, 4 a file or a layer could not be read";

/// What is a reason to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOnSecrets {
    /// Private keys, and tokens whose format says that they are real
    Verifiable,
    /// Whatever looks like a secret
    Any,
    None,
}

/// The least severity that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOnMisconfig {
    High,
    Medium,
    Low,
    None,
}

/// How the secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SecretsFormat {
    /// For people
    Table,
    Json,
}

/// What was found in all files.
struct Leaks<'a> {
    exclude: &'a Exclude,
    leaks: Vec<Leak>,
    files: usize,
    left_out: u64,
}

impl Visitor for Leaks<'_> {
    fn wants(&self, path: &str) -> bool {
        !self.exclude.matches(path)
    }

    fn directories(&self) -> &'static [&'static str] {
        &[]
    }

    fn link(&mut self, _path: &str, _target: &str) {}

    fn file(&mut self, file: SourceFile<'_>) -> Result<(), SbomError> {
        if !self.wants(file.path) {
            return Ok(());
        }
        let unreadable = |source| SbomError::Unreadable { path: file.path.to_owned(), source };
        let contents = (file.open)().map_err(unreadable)?;
        let found = detector::read(file.path, contents).map_err(unreadable)?;
        let excuse = excuses::excuse(file.path, None);
        self.leaks.extend(found.leaks.into_iter().map(|leak| leak.excused(excuse.clone())));
        self.left_out += found.left_out;
        self.files += 1;
        Ok(())
    }
}

pub async fn run(
    arguments: &SecretsArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let exclude = Exclude::new(&arguments.exclude).map_err(|error| bad(error.to_string()))?;
    let rules = SearchRules {
        terms: match arguments.fail_on {
            FailOnSecrets::Verifiable => SecretsTerms::Verifiable,
            FailOnSecrets::Any => SecretsTerms::Any,
            FailOnSecrets::None => SecretsTerms::Never,
        },
        misconfig: match arguments.fail_on_misconfig {
            FailOnMisconfig::High => Some(Gravity::Error),
            FailOnMisconfig::Medium => Some(Gravity::Warning),
            FailOnMisconfig::Low => Some(Gravity::Note),
            FailOnMisconfig::None => None,
        },
        waivers: accepted_by(&arguments.ignore_file, report)?,
    };
    let found = match &arguments.target {
        SbomSubject::Directory(directory) => of_directory(directory, &exclude, arguments)?,
        subject => {
            let wanted = WantedSearch { platform: arguments.platform.clone(), exclude };
            let searched = image::searched(subject, wanted, env).await.map_err(unknown)?;
            SearchedTarget { search: searched.unwrap_or_default(), files: None }
        }
    };
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let verdict = judge(&[&found.search], &rules, today);
    write(arguments.format, &found, &verdict, report);
    verdict.remarks(&rules).iter().for_each(|remark| report.notice(remark));
    gaps(&[&found.search]).iter().for_each(|gap| report.notice(gap));
    refuse(&shown_target(&arguments.target), &verdict)
}

const NOTHING: &str = "no secret was looked for";

/// What was found, and in how many files of a directory.
struct SearchedTarget {
    search: PlatformSearch,
    files: Option<usize>,
}

fn of_directory(
    directory: &Path,
    exclude: &Exclude,
    arguments: &SecretsArguments,
) -> anyhow::Result<SearchedTarget> {
    let of_images = [
        ("--fail-on-misconfig", arguments.fail_on_misconfig != FailOnMisconfig::None),
        ("--platform", arguments.platform.is_some()),
    ];
    if let Some((option, _)) = of_images.iter().find(|(_, is_set)| *is_set) {
        return Err(bad(format!("option `{option}` is for images, but this is a directory")).into());
    }
    let is_directory = std::fs::metadata(directory)
        .map_err(|error| bad(format!("`{}` cannot be read: {error}", directory.display())))?
        .is_dir();
    if !is_directory {
        return Err(bad(format!("`{}` is not a directory", directory.display())).into());
    }
    let mut found = Leaks { exclude, leaks: Vec::new(), files: 0, left_out: 0 };
    Rootfs::new(directory).visit(&mut found).map_err(|error| {
        let why = match &error {
            SbomError::Unreadable { path, source } => {
                format!("`{}` cannot be read: {source}", visible(path))
            }
            other => other.to_string(),
        };
        let message = format!("the content of `{}` is not known: {why}", directory.display());
        WithExit { code: exit::UNKNOWN, message }
    })?;
    let Leaks { leaks, files, left_out, .. } = found;
    let search = PlatformSearch { leaks, left_out, ..PlatformSearch::default() };
    Ok(SearchedTarget { search, files: Some(files) })
}

/// An argument that is wrong keeps its exit code.
fn unknown(error: anyhow::Error) -> anyhow::Error {
    if exit_code(&error) == exit::BAD_INPUT {
        return error;
    }
    let message = "what the image holds is not known".to_owned();
    error.context(WithExit { code: exit::UNKNOWN, message })
}

fn shown_target(target: &SbomSubject) -> String {
    match target {
        SbomSubject::Registry(WantedReference::Digest(image)) => image.to_string(),
        SbomSubject::Registry(WantedReference::Tag(repository, tag)) => {
            format!("{repository}:{tag}")
        }
        SbomSubject::Layout(path, name) | SbomSubject::Archive(path, name) => {
            let name = name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            format!("{}{name}", path.display())
        }
        SbomSubject::Directory(path) => path.display().to_string(),
    }
}

fn bad(message: String) -> WithExit {
    WithExit { code: exit::BAD_INPUT, message: format!("no secret was looked for: {message}") }
}

/// What may stay. Whatever is no rule's id and no fingerprint is named, as it may be misspelt.
fn accepted_by(files: &[PathBuf], report: &Report) -> anyhow::Result<Vec<Waiver>> {
    let accepted = accepted(files, TermsAuthor::CommandLine).context("no secret was looked for")?;
    for risk in accepted.risks().iter().filter(|risk| !waivers::is_about_secrets(risk)) {
        let (id, place) = (risk.id.as_deref().unwrap_or("a package"), visible(&risk.place));
        report.notice(&format!(
            "`{}` ({place}) accepts no secret: it is neither the id of a rule nor a fingerprint",
            visible(id)
        ));
    }
    Ok(waivers::of(&accepted))
}

fn write(format: SecretsFormat, found: &SearchedTarget, verdict: &SearchVerdict, report: &Report) {
    let SearchedTarget { search, files } = found;
    let summary = SearchSummary::of(std::slice::from_ref(search), verdict);
    match format {
        SecretsFormat::Table => {
            let tables =
                [shown::leaks_table(&search.leaks), shown::weaknesses_table(&search.weaknesses)];
            let lines = tables.iter().flat_map(|table| table.lines()).map(str::to_owned);
            report.answer(&lines.collect::<Vec<_>>());
            let place = match files {
                Some(files) => format!(" in {}", plural(*files, "file")),
                None => format!("; {}", summary.sentence),
            };
            report.say(&format!(
                "secrets: {}{place}, {} a reason to fail",
                plural(search.leaks.len(), "secret"),
                verdict.secrets.reasons.len()
            ));
        }
        SecretsFormat::Json => {
            let mut json = json!({
                "left_out": search.left_out,
                "passes": verdict.refusal().is_none(),
                "secrets": search.leaks,
            });
            match files {
                Some(files) => json["files"] = json!(files),
                None => {
                    json["own_layers"] = json!(search.own);
                    json["misconfigurations"] = json!(search.weaknesses);
                    json["gaps"] = json!(summary.gaps);
                }
            }
            report.json(&json.to_string());
        }
    }
}

/// What must not stay, each secret once, with what it takes to accept it.
fn refuse(target: &str, verdict: &SearchVerdict) -> anyhow::Result<()> {
    if verdict.refusal().is_none() {
        return Ok(());
    }
    let secrets = verdict.secrets.reasons.iter().map(|reason| {
        let first = reason.leaks.first().and_then(|at| verdict.leaks.get(*at));
        let place = first.map(|leak| leak.found.place.to_string()).unwrap_or_default();
        let more = match reason.leaks.len() {
            0 | 1 => String::new(),
            several => format!(" and {}", plural(several - 1, "other place")),
        };
        format!("  {} in {}{more} ({})", reason.rule, place, reason.fingerprint)
    });
    let weak = verdict.refused.iter().filter_map(|at| verdict.weaknesses.get(*at));
    let weak = weak.map(|it| format!("  {} in {}", visible(&it.found.rule), it.found.place));
    let lines: Vec<String> = secrets.chain(weak).collect();
    let counts =
        [(verdict.secrets.reasons.len(), "secret"), (verdict.refused.len(), "misconfiguration")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| plural(*count, word)).collect();
    let told = anyhow::anyhow!("`{target}` holds {}\n{}", counts.join(" and "), lines.join("\n"));
    Err(told).hint(
        "revoke secrets and remove them; list what may stay in a file of `--ignore-file`, with a reason",
    )
}
