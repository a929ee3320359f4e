//! `supply-action sbom diff`: which packages came, went or changed their version between two SBOMs, ours or anybody's. It reads files only.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::error::{Remedy as _, WithExit, exit};
use crate::report::Report;
use crate::sbom::diff::{Diff, diff};
use crate::sbom::foreign::{self, Entry};

/// What is compared.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The SBOM before, SPDX 2 or CycloneDX in JSON
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The SBOM after, in either format
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Print what differs as JSON, for machines
    #[arg(long)]
    json: bool,
    /// Exit with 1 if they differ, as `git diff --exit-code` does
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str =
    "Packages are matched by type and name of their package URL, so that documents of different generators can be compared; several
versions of one package side by side are kept apart. The image itself, files and qualifiers such as the architecture do not count.

  supply-action sbom diff before.spdx.json after.cdx.json

Exit codes: 0 done, 1 they differ (with --exit-code), 2 a document cannot be read";

pub(super) fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let found = diff(&packages(&arguments.before)?, &packages(&arguments.after)?);
    if arguments.json {
        let mut told = serde_json::to_value(&found)?;
        told["before"] = json!(arguments.before);
        told["after"] = json!(arguments.after);
        report.data(&told.to_string());
    } else {
        report.data(found.table().trim_end());
    }
    if arguments.exit_code && !found.is_empty() {
        return Err(WithExit { code: exit::FAILED, message: differ(&found, arguments) }.into());
    }
    Ok(())
}

fn differ(found: &Diff, arguments: &Arguments) -> String {
    let packages = found.added.len() + found.removed.len() + found.changed.len();
    format!("`{}` and `{}` differ in {packages} packages", arguments.before.display(), arguments.after.display())
}

fn packages(file: &Path) -> anyhow::Result<Vec<Entry>> {
    let refused = |why: String| WithExit { code: exit::BAD_INPUT, message: format!("nothing was compared: `{}`: {why}", file.display()) };
    let bytes = std::fs::read(file).map_err(|error| refused(format!("it cannot be read: {error}")))?;
    foreign::packages(&bytes)
        .map_err(|error| refused(error.to_string()))
        .hint("give an SBOM as `spdx-json` or `cyclonedx-json`, without the statement or bundle around it")
}
