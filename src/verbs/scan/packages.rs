//! `IMAGE|SBOM` → the packages to be scanned. It reads an image as `supply-action sbom` does.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use jiff::Timestamp;

use super::ScanArguments;
use crate::assess::{AssessedAbout, ImagePackages};
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::report::Report;
use crate::sbom::exclude::Exclude;
use crate::sbom::image;
use crate::sbom::layers::Cache;
use crate::sbom::spdx::remarks;
use crate::scan::subjects;
use crate::verbs::sbom::{self, is_json};

/// No document is larger.
const LARGEST: u64 = 512 << 20;

/// What is scanned, as it is written on the command line.
#[derive(Debug, Clone)]
pub(super) struct NamedTarget {
    pub(super) name: String,
    target: ScanTarget,
}

/// A document or an image.
#[derive(Debug, Clone)]
enum ScanTarget {
    Document(PathBuf),
    Image(sbom::SbomSubject),
}

impl FromStr for NamedTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let target = match path.is_file() && is_json(path) {
            true => ScanTarget::Document(path.to_owned()),
            false => text.parse().map(ScanTarget::Image)?,
        };
        Ok(Self { name: text.to_owned(), target })
    }
}

impl NamedTarget {
    /// Whether both are the same file, directory or reference.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name || self.place().is_some_and(|own| other.place() == Some(own))
    }

    /// Where it is on this machine, and what is named in it.
    fn place(&self) -> Option<(PathBuf, Option<&str>)> {
        let (path, reference) = match &self.target {
            ScanTarget::Document(path) => (path, &None),
            ScanTarget::Image(sbom::SbomSubject::Directory(path)) => (path, &None),
            ScanTarget::Image(sbom::SbomSubject::Layout(path, reference))
            | ScanTarget::Image(sbom::SbomSubject::Archive(path, reference)) => (path, reference),
            ScanTarget::Image(sbom::SbomSubject::Registry(_)) => return None,
        };
        Some((path.canonicalize().ok()?, reference.as_deref()))
    }
}

pub(super) async fn of(
    target: &NamedTarget,
    arguments: &ScanArguments,
    now: Timestamp,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<ImagePackages> {
    let subject = match &target.target {
        ScanTarget::Document(path) => return of_document(path, arguments, now),
        ScanTarget::Image(subject) => subject,
    };
    let how = sbom::ImageReading {
        platform: arguments.platform.clone(),
        cache: arguments.cache.clone().map(|folder| Cache::new(folder).with_files(true)),
        exclude: Exclude::default(),
        // Whose files a language's package is made of decides who judges it.
        files: true,
        threads: image::threads(),
    };
    let (catalog, about) = sbom::of(subject, &how, env, report).await?;
    remarks(&catalog.warnings).iter().for_each(|remark| report.notice(remark));
    let digest = about.digest.as_deref().and_then(|digest| digest.parse().ok());
    let about = AssessedAbout { name: about.name, digest, platform: arguments.platform.clone() };
    Ok(ImagePackages { about, subjects: subjects::of_catalog(&catalog, now) })
}

fn of_document(
    path: &Path,
    arguments: &ScanArguments,
    now: Timestamp,
) -> anyhow::Result<ImagePackages> {
    use std::io::Read as _;
    let wrong = |why: String| {
        let message = format!("`{}` cannot be scanned: {why}", path.display());
        anyhow::Error::from(WithExit { code: exit::BAD_INPUT, message })
    };
    if arguments.cache.is_some() {
        let message = "option `--cache` has no effect: a document has no layers to keep".to_owned();
        return Err(WithExit { code: exit::BAD_INPUT, message }.into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(format!("it is larger than {LARGEST} bytes")));
    }
    let subjects = subjects::of_document(&bytes, now)
        .map_err(|error| wrong(error.to_string()))
        .hint("give an SBOM in SPDX 2 or CycloneDX, in JSON; `supply-action sbom` writes one")?;
    let name = path.file_name().context("a document without a name")?.to_string_lossy();
    let about = AssessedAbout {
        name: name.into_owned(),
        digest: None,
        platform: arguments.platform.clone(),
    };
    Ok(ImagePackages { about, subjects })
}
