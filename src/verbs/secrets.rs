//! `supply-action secrets`: private keys and tokens in the files of a directory, such as a checkout
//! or an unpacked image. It changes no file, asks no service, and tells no secret's value.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::assess::accepted;
use crate::assess::search::waivers;
use crate::error::{Remedy as _, WithExit, exit};
use crate::report::Report;
use crate::report::text::visible;
use crate::sbom::SbomError;
use crate::sbom::exclude::Exclude;
use crate::sbom::source::rootfs::Rootfs;
use crate::sbom::source::{FileSource as _, SourceFile, Visitor};
use crate::secrets::leak::Leak;
use crate::secrets::verdict::{SecretsTerms, SecretsVerdict, Waiver, judge_leaks};
use crate::secrets::{detector, excuses, shown};
use crate::text::plural;

/// What `secrets` is asked.
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
    /// Leave files out: a path from the directory, in which `*` stands for anything but `/`, `**`
    /// for anything; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = SecretsFormat::Table)]
    format: SecretsFormat,
    /// A directory; links in it are not followed
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const EXAMPLES: &str = "No value is shown whole: only how it begins, and a fingerprint. Keys and tokens in tests and samples that packages bring are shown and do not fail.

  supply-action secrets .
  supply-action secrets --exclude 'docs/**' --format json .

Exit codes: 0 nothing fails, 1 something fails, 2 the arguments are wrong, 4 a file could not be read";

/// What is a reason to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOnSecrets {
    /// Private keys, and tokens whose format says that they are real
    Verifiable,
    /// Whatever looks like a secret
    Any,
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

pub fn run(arguments: &SecretsArguments, report: &Report) -> anyhow::Result<()> {
    let waivers = accepted_by(&arguments.ignore_file, report)?;
    let exclude = Exclude::new(&arguments.exclude).map_err(|error| bad(error.to_string()))?;
    let directory = &arguments.directory;
    let is_directory = std::fs::metadata(directory)
        .map_err(|error| bad(format!("`{}` cannot be read: {error}", directory.display())))?
        .is_dir();
    if !is_directory {
        return Err(bad(format!("`{}` is no directory", directory.display())).into());
    }
    let mut found = Leaks { exclude: &exclude, leaks: Vec::new(), files: 0, left_out: 0 };
    Rootfs::new(directory).visit(&mut found).map_err(|error| {
        let why = match &error {
            SbomError::Unreadable { path, source } => {
                format!("`{}` cannot be read: {source}", visible(path))
            }
            other => other.to_string(),
        };
        let message = format!("what `{}` holds is not known: {why}", directory.display());
        WithExit { code: exit::UNKNOWN, message }
    })?;
    let terms = match arguments.fail_on {
        FailOnSecrets::Verifiable => SecretsTerms::Verifiable,
        FailOnSecrets::Any => SecretsTerms::Any,
        FailOnSecrets::None => SecretsTerms::Never,
    };
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let verdict = judge_leaks(&found.leaks, terms, &waivers, today);
    write(arguments.format, &found, &verdict, report);
    remarks(&found, &verdict, &waivers).iter().for_each(|remark| report.notice(remark));
    refuse(directory, &found.leaks, &verdict)
}

fn bad(message: String) -> WithExit {
    WithExit { code: exit::BAD_INPUT, message: format!("no secret was looked for: {message}") }
}

/// What may stay. Whatever is no rule's id and no fingerprint is named, as it may be misspelt.
fn accepted_by(files: &[PathBuf], report: &Report) -> anyhow::Result<Vec<Waiver>> {
    let accepted = accepted(files).context("no secret was looked for")?;
    for risk in accepted.risks().iter().filter(|risk| !waivers::is_about_secrets(risk)) {
        let (id, place) = (risk.id.as_deref().unwrap_or("a package"), visible(&risk.place));
        report.notice(&format!(
            "`{}` ({place}) accepts no secret: it is no rule's id and no fingerprint",
            visible(id)
        ));
    }
    Ok(waivers::of(&accepted))
}

fn write(format: SecretsFormat, found: &Leaks<'_>, verdict: &SecretsVerdict, report: &Report) {
    match format {
        SecretsFormat::Table => {
            report.answer(
                &shown::leaks_table(&found.leaks).lines().map(str::to_owned).collect::<Vec<_>>(),
            );
            report.say(&format!(
                "secrets: {} in {}, {} a reason to fail",
                plural(found.leaks.len(), "secret"),
                plural(found.files, "file"),
                verdict.reasons.len()
            ));
        }
        SecretsFormat::Json => report.json(
            &json!({
                "files": found.files,
                "left_out": found.left_out,
                "passes": verdict.passes(),
                "secrets": found.leaks,
            })
            .to_string(),
        ),
    }
}

/// What people should know beside the secrets.
fn remarks(found: &Leaks<'_>, verdict: &SecretsVerdict, waivers: &[Waiver]) -> Vec<String> {
    let at = |places: &[usize], what: &str| {
        let of = places.iter().filter_map(|place| waivers.get(*place));
        of.map(|waiver| format!("`{}` ({}) {what}", visible(&waiver.id), visible(&waiver.place)))
            .collect::<Vec<_>>()
    };
    let left_out = (found.left_out > 0)
        .then(|| format!("{} more are not listed: their files hold too many", found.left_out));
    let mut remarks = at(&verdict.expired, "accepts nothing: it has expired");
    remarks.extend(at(&verdict.unused, "accepts nothing: no secret is like it"));
    remarks.extend(left_out);
    remarks
}

/// What must not stay, each secret once, with what it takes to accept it.
fn refuse(directory: &Path, leaks: &[Leak], verdict: &SecretsVerdict) -> anyhow::Result<()> {
    if verdict.passes() {
        return Ok(());
    }
    let lines = verdict.reasons.iter().map(|reason| {
        let first = reason.leaks.first().and_then(|at| leaks.get(*at));
        let place = first.map(|leak| leak.place.to_string()).unwrap_or_default();
        let more = match reason.leaks.len() {
            0 | 1 => String::new(),
            several => format!(" and {}", plural(several - 1, "other place")),
        };
        format!("  {} in {}{more} ({})", reason.rule, place, reason.fingerprint)
    });
    let lines: Vec<String> = lines.collect();
    let count = plural(lines.len(), "secret");
    Err(anyhow::anyhow!("`{}` holds {count}\n{}", directory.display(), lines.join("\n"))).hint(
        "revoke it and take it out; what may stay goes into a file of `--ignore-file` with a reason",
    )
}
