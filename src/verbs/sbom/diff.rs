//! `supply-action sbom diff`: which packages came, went or changed their version between two
//! images, or SBOMs of anybody's. It reads only.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use super::{ImageReading, SbomSubject, of};
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::image::Platform;
use crate::report::Report;
use crate::sbom::diff::{Diff, diff};
use crate::sbom::exclude::Exclude;
use crate::sbom::foreign::{self, ForeignPackage};
use crate::sbom::image::threads;
use crate::sbom::layers::Cache;
use crate::sbom::spdx;

/// What is compared.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArguments {
    /// An SBOM (SPDX 2 or CycloneDX in JSON), or an image as `sbom` takes it
    #[arg(value_name = "BEFORE")]
    before: DiffSide,
    /// The same, afterwards
    #[arg(value_name = "AFTER")]
    after: DiffSide,
    /// The platform, for images that have several; by default this machine's, or the only one
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Keep the contents of each layer of an image in this directory, and do not read known layers
    /// again
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Print what differs as JSON, for machines
    #[arg(long)]
    json: bool,
    /// Exit with 1 if they differ, as `git diff --exit-code` does
    #[arg(long)]
    exit_code: bool,
}

/// One of the two, and how it was called.
#[derive(Debug, Clone)]
struct DiffSide {
    name: String,
    what: DiffPart,
}

#[derive(Debug, Clone)]
enum DiffPart {
    Document(PathBuf),
    Image(SbomSubject),
}

impl FromStr for DiffSide {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let is_document = if path.is_file() {
            is_json(path)
        } else {
            path.extension().is_some_and(|extension| extension == "json")
        };
        let what = if is_document {
            DiffPart::Document(path.to_owned())
        } else {
            DiffPart::Image(text.parse()?)
        };
        Ok(Self { name: text.to_owned(), what })
    }
}

/// Whether a file begins as a JSON object does. One that cannot be read is told of when it is read.
pub(in crate::verbs) fn is_json(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(1024).read_to_end(&mut start));
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    read.is_err() || text.starts_with(b"{")
}

const EXAMPLES: &str =
    "Packages are matched by type and name of their package URL, so documents of different generators can be compared. Several
versions of one package are kept apart. The image itself, files and qualifiers such as the architecture do not count.

Name an image as for `supply-action sbom`, whose help explains it.

  supply-action sbom diff before.spdx.json after.cdx.json
  supply-action sbom diff ghcr.io/octo/app:v1 ghcr.io/octo/app:v2
  supply-action sbom diff --platform linux/arm64 released.spdx.json oci-layout:out

Exit codes: 0 done, 1 they differ (with --exit-code), 1 an image cannot be read, 2 a document cannot";

pub(super) async fn run(
    arguments: &DiffArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let how = ImageReading {
        platform: arguments.platform.clone(),
        cache: arguments.cache.clone().map(Cache::new),
        threads: threads(),
        files: false,
        exclude: Exclude::default(),
    };
    let before = packages(&arguments.before, &how, env, report).await?;
    let found = diff(&before, &packages(&arguments.after, &how, env, report).await?);
    if arguments.json {
        let mut told = serde_json::to_value(&found)?;
        told["before"] = json!(arguments.before.name);
        told["after"] = json!(arguments.after.name);
        report.json(&told.to_string());
    } else {
        report.answer(&found.table().lines().map(str::to_owned).collect::<Vec<_>>());
    }
    if arguments.exit_code && !found.is_empty() {
        return Err(WithExit { code: exit::FAILED, message: differ(&found, arguments) }.into());
    }
    Ok(())
}

fn differ(found: &Diff, arguments: &DiffArguments) -> String {
    let packages = found.added.len() + found.removed.len() + found.changed.len();
    format!(
        "`{}` and `{}` differ in {packages} packages",
        arguments.before.name, arguments.after.name
    )
}

async fn packages(
    side: &DiffSide,
    how: &ImageReading,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<Vec<ForeignPackage>> {
    let refused = |why: String| WithExit {
        code: exit::BAD_INPUT,
        message: format!("nothing was compared: `{}`: {why}", side.name),
    };
    let bytes = match &side.what {
        DiffPart::Document(file) => {
            std::fs::read(file).map_err(|error| refused(format!("it cannot be read: {error}")))?
        }
        DiffPart::Image(subject) => {
            let (catalog, about) = of(subject, how, env, report).await?;
            spdx::document(&catalog, &about).into_bytes()
        }
    };
    foreign::packages(&bytes)
        .map_err(|error| refused(error.to_string()))
        .hint("give an SBOM as `spdx-json` or `cyclonedx-json`, without the statement or bundle around it")
}
