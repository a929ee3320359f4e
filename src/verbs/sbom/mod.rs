//! `supply-action sbom IMAGE`: what an image contains, from wherever it is. It unpacks nothing to
//! disk, and writes no document unless every layer was what its digest says.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use super::release::say_elsewhere;
use super::verify::WantedReference;
use crate::attest::progress::{self, ReadingProgress};
use crate::attest::sboms;
use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files;
use crate::github::RunContext;
use crate::image::{ImageRef, Platform, Repository};
use crate::login::{self, LoginsAsked};
use crate::registry::{self, Registry};
use crate::report::Report;
use crate::sbom::catalog::Catalog;
use crate::sbom::exclude::Exclude;
use crate::sbom::image::{self, LocalImage};
use crate::sbom::layers::{self, Blob, Cache};
use crate::sbom::source::rootfs::Rootfs;
use crate::sbom::spdx::{self, DocumentSubject};
use crate::sbom::{cyclonedx, table};

mod diff;
pub(super) use diff::is_json;

/// Arguments of `supply-action sbom`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SbomArguments {
    #[command(subcommand)]
    verb: Option<SbomVerb>,
    /// The platform, if the image has several; by default this machine's, or the only one
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,
    /// How the packages are written
    #[arg(long, value_enum, default_value_t = CatalogFormat::SpdxJson)]
    pub format: CatalogFormat,
    /// The file to write to; by default standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep the contents of each layer in this directory, and do not read known layers again
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// The image's name in the document; by default its name in the registry, the layout or
    /// the archive
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Which files are listed beside the packages, each with its SHA-1
    #[arg(long, value_enum, default_value_t = ListedFiles::None)]
    pub files: ListedFiles,
    /// Leave out the files that match: `*` stands for anything but `/`, `**` for anything; may be
    /// given several times
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Who supplies the image, for the document; by default the vendor in the image's labels
    #[arg(long, value_name = "NAME")]
    pub supplier: Option<String>,
    /// Layers to read at once; by default as many as there are processors
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// A path, if there is such a file or directory, or else a name in a registry: name:tag,
    /// name@sha256:…, name for name:latest
    #[arg(value_name = "IMAGE", required = true)]
    pub image: Option<SbomSubject>,
}

#[derive(Debug, Subcommand)]
enum SbomVerb {
    /// Show which packages were added, removed or changed between two SBOMs of any generator
    Diff(Box<diff::DiffArguments>),
}

const EXAMPLES: &str = "The kind of IMAGE is detected; a word and a colon in front of it set the kind:
  registry:NAME        an image in a registry; logins come from Docker's configuration (DOCKER_CONFIG or ~/.docker/config.json)
  oci-layout:DIR       a directory with index.json and blobs/
  oci-archive:FILE     a tar archive of such a directory
  docker-archive:FILE  what `docker save` wrote
  dir:DIR              a root file system, mounted or unpacked
After the path of a layout or an archive that holds several images, a colon and a name choose one.

Layers are streamed, several at a time, each checked against its digest. Nothing is unpacked to
disk, except an archive that is compressed as a whole: it is inflated to a temporary file.

  supply-action sbom ghcr.io/octo/app:v1.2.3 -o app.spdx.json
  supply-action sbom --platform linux/arm64 --format table debian:12
  docker save app | cat > app.tar && supply-action sbom app.tar
  supply-action sbom --cache ~/.cache/sbom oci-layout:out:v1.2.3

SOURCE_DATE_EPOCH sets the document's date; by default it is the date of the image.

Exit codes: 0 written, 1 not written, 2 the arguments are wrong";

/// Which files a document lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListedFiles {
    None,
    /// Those that packages brought, by the lists of dpkg, apk, rpm and Python packages
    Owned,
}

/// How a catalog is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CatalogFormat {
    /// SPDX 2.3
    SpdxJson,
    /// CycloneDX 1.6
    CyclonedxJson,
    /// Name, version and type of each, for people
    Table,
}

impl CatalogFormat {
    fn written(self, catalog: &Catalog, about: &DocumentSubject, width: usize) -> String {
        match self {
            Self::SpdxJson => spdx::document(catalog, about),
            Self::CyclonedxJson => cyclonedx::document(catalog, about),
            Self::Table => table::table(catalog, width).trim_end().to_owned(),
        }
    }
}

/// What is to be looked into.
#[derive(Debug, Clone)]
pub enum SbomSubject {
    Registry(WantedReference),
    Layout(PathBuf, Option<String>),
    Archive(PathBuf, Option<String>),
    Directory(PathBuf),
}

impl FromStr for SbomSubject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forced = [
            ("registry", '/'),
            ("docker", '/'),
            ("oci-layout", 'l'),
            ("oci-dir", 'l'),
            ("oci-archive", 'a'),
            ("docker-archive", 'a'),
            ("dir", 'd'),
        ];
        for (word, kind) in forced {
            let Some(rest) = text.strip_prefix(word).and_then(|rest| rest.strip_prefix(':')) else {
                continue;
            };
            return match kind {
                // `docker://name` is how skopeo calls it; `docker:27` is an image.
                '/' if word == "docker" && !rest.starts_with("//") => break,
                '/' => rest.trim_start_matches("//").parse().map(Self::Registry),
                'l' => Ok(split(rest)).map(|(path, name)| Self::Layout(path, name)),
                'a' => Ok(split(rest)).map(|(path, name)| Self::Archive(path, name)),
                _ => Ok(Self::Directory(rest.into())),
            };
        }
        let (path, name) = split(text);
        match (is_layout(&path), path.is_dir(), path.is_file(), &name) {
            (true, ..) => Ok(Self::Layout(path, name)),
            (_, _, true, _) => Ok(Self::Archive(path, name)),
            (_, true, _, None) => Ok(Self::Directory(path)),
            _ if text.starts_with(['.', '/', '~']) => Err(format!("`{text}` is not there")),
            _ => text.parse().map(Self::Registry),
        }
    }
}

fn is_layout(path: &Path) -> bool {
    path.join("index.json").is_file() && path.join("blobs").is_dir()
}

/// A path that exists, and a name after a colon. Both may have colons of their own.
fn split(text: &str) -> (PathBuf, Option<String>) {
    let colons = text.match_indices(':').map(|(at, _)| at);
    let parts = colons.filter_map(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
    match parts.into_iter().find(|(path, name)| {
        !Path::new(text).exists() && !name.is_empty() && Path::new(path).exists()
    }) {
        Some((path, name)) => (path.into(), Some(name.to_owned())),
        None => (text.into(), None),
    }
}

pub async fn run(
    arguments: &SbomArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let subject = match (&arguments.verb, &arguments.image) {
        (Some(SbomVerb::Diff(arguments)), _) => return diff::run(arguments, env, report).await,
        (None, Some(subject)) => subject,
        (None, None) => anyhow::bail!("no sbom was written: no image was named"),
    };
    let epoch = sboms::epoch(env)?;
    let exclude = Exclude::new(&arguments.exclude).map_err(|error| WithExit {
        code: exit::BAD_INPUT,
        message: format!("no sbom was written: {error}"),
    })?;
    let kept = |folder| {
        Cache::new(folder).with_files(arguments.files == ListedFiles::Owned).without(&exclude)
    };
    let how = ImageReading {
        platform: arguments.platform.clone(),
        cache: arguments.cache.clone().map(kept),
        exclude: exclude.clone(),
        files: arguments.files == ListedFiles::Owned,
        threads: arguments.threads.map_or_else(image::threads, usize::from),
    };
    let (catalog, mut about) = of(subject, &how, env, report).await?;
    if let Some(name) = &arguments.name {
        about.name.clone_from(name);
    }
    about.supplier = arguments.supplier.clone().or(about.supplier);
    about.created = epoch.unwrap_or(about.created);
    // Nothing is cut where no person looks.
    let seen = arguments.output.is_none() && std::io::stdout().is_terminal();
    let width = report.width().filter(|_| seen).unwrap_or(usize::MAX);
    let text = arguments.format.written(&catalog, &about, width);
    let packages = catalog.packages.len();
    let remarks = spdx::remarks(&catalog.warnings);
    remarks.iter().for_each(|remark| report.notice(remark));
    // The program ends soon, and to take it apart would take longer than to write the document.
    std::mem::forget(catalog);
    match &arguments.output {
        Some(file) => {
            files::write_named(file, format!("{text}\n").as_bytes()).remedied().with_context(
                || format!("no sbom was written: `{}` cannot be written", file.display()),
            )?;
            let told = match remarks.len() {
                0 => String::new(),
                count => format!(", {}", crate::text::plural(count, "remark")),
            };
            report.say(&format!(
                "{} in {}: {} bytes{told}",
                crate::text::plural(packages, "package"),
                file.display(),
                text.len() + 1
            ));
        }
        None if arguments.format == CatalogFormat::Table => {
            report.answer(&text.lines().map(str::to_owned).collect::<Vec<_>>())
        }
        None => report.json(&text),
    }
    Ok(())
}

/// How an image is read.
#[derive(Debug, Clone)]
pub struct ImageReading {
    pub platform: Option<Platform>,
    pub cache: Option<Cache>,
    pub threads: usize,
    /// Whether files that packages brought are listed.
    pub files: bool,
    /// Files that are not looked at.
    pub exclude: Exclude,
}

impl ImageReading {
    fn wanted(&self) -> Option<image::LayoutPlatform> {
        self.platform.as_ref().map(registry::layers::platform)
    }

    /// The catalog of these layers; called where threads may wait.
    fn catalog(
        &self,
        layers: Vec<Blob>,
        blobs: &dyn layers::LayerBlobs,
        progress: &ReadingProgress,
    ) -> anyhow::Result<Catalog> {
        progress.expect(&layers);
        let reading = layers::LayerReading {
            blobs,
            threads: self.threads,
            cache: self.cache.as_ref(),
            watcher: progress,
            watch: None,
            files: self.files,
            exclude: self.exclude.clone(),
            diff_ids: false,
        };
        let collected = layers::collect(&[layers], &reading)?;
        Ok(Catalog::from_collected(collected.into_iter().next().unwrap_or_default()))
    }
}

/// What an image holds, wherever it is, and what is known about it.
pub(super) async fn of(
    subject: &SbomSubject,
    how: &ImageReading,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<(Catalog, DocumentSubject)> {
    match subject {
        SbomSubject::Registry(wanted) => {
            let (registry, image) =
                found(wanted, "no sbom was written", env).await.map_err(registry::for_reader)?;
            let read = of_image(&registry, &image, how, report).await;
            say_elsewhere(&registry, report).await;
            read.map_err(registry::for_reader)
        }
        local => of_local(local.clone(), how, report).await,
    }
}

/// The catalog of an image in a registry, for one platform, and what is known about it.
async fn of_image(
    registry: &Registry,
    image: &ImageRef,
    how: &ImageReading,
    report: &Report,
) -> anyhow::Result<(Catalog, DocumentSubject)> {
    let (how, name, digest) = (how.clone(), image.repository.to_string(), image.digest.clone());
    let progress = Arc::new(ReadingProgress::default());
    let watched = progress.clone();
    progress::shown(
        report,
        &progress,
        registry::layers::reading(registry, &image.repository, move |source| {
            let image = source.image(&digest, how.platform.as_ref())?;
            let catalog = how.catalog(image.layers.clone(), source, &watched)?;
            Ok((catalog, image.about(name)))
        }),
    )
    .await
}

/// The digest that a name stands for now, and a client for its registry.
pub(super) async fn found(
    wanted: &WantedReference,
    consequence: &'static str,
    env: &Environment,
) -> anyhow::Result<(Registry, ImageRef)> {
    let repository: &Repository = match wanted {
        WantedReference::Digest(image) => &image.repository,
        WantedReference::Tag(repository, _) => repository,
    };
    let context = RunContext::new(env);
    let asked = LoginsAsked {
        logins: &[],
        images: std::slice::from_ref(repository),
        env,
        context: &context,
        token: None,
    };
    let registry = Registry::new(
        crate::verbs::outside::line(&context.network)?,
        login::stored_credentials(&asked).context(consequence)?,
    );
    let image = match wanted {
        WantedReference::Digest(image) => image.clone(),
        WantedReference::Tag(repository, tag) => {
            let named = registry.tagged(repository, tag).await.remedied().context(consequence)?;
            let named =
                named.with_context(|| format!("{consequence}: there is no `{repository}:{tag}`"));
            let named = named.hint("a path on this machine is looked at only if it exists; see `supply-action sbom --help`")?;
            repository.at(&named.descriptor.digest)
        }
    };
    Ok((registry, image))
}

async fn of_local(
    subject: SbomSubject,
    how: &ImageReading,
    report: &Report,
) -> anyhow::Result<(Catalog, DocumentSubject)> {
    let how = how.clone();
    let progress = Arc::new(ReadingProgress::default());
    let watched = progress.clone();
    progress::shown(report, &progress, async move {
        let reading = tokio::task::spawn_blocking(move || read_local(&subject, &how, &watched));
        reading.await.context("no sbom was written: the reading stopped")?
    })
    .await
}

fn read_local(
    subject: &SbomSubject,
    how: &ImageReading,
    progress: &ReadingProgress,
) -> anyhow::Result<(Catalog, DocumentSubject)> {
    match subject {
        SbomSubject::Layout(path, name) => {
            saved(image::layout(path, name.as_deref(), how.wanted().as_ref())?, path, how, progress)
        }
        SbomSubject::Archive(path, name) => saved(
            image::archive(path, name.as_deref(), how.wanted().as_ref())?,
            path,
            how,
            progress,
        ),
        SbomSubject::Directory(path) => {
            let catalog = Catalog::with(&Rootfs::new(path), how.files, how.exclude.clone())?;
            let newest =
                catalog.newest.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            let about = DocumentSubject {
                name: stem(path),
                created: newest.unwrap_or_default(),
                ..DocumentSubject::default()
            };
            Ok((catalog, about))
        }
        SbomSubject::Registry(_) => {
            anyhow::bail!("no sbom was written: a registry is not on this machine")
        }
    }
}

fn saved(
    local: LocalImage,
    path: &Path,
    how: &ImageReading,
    progress: &ReadingProgress,
) -> anyhow::Result<(Catalog, DocumentSubject)> {
    let catalog = how.catalog(local.image.layers.clone(), &local, progress)?;
    // A name alone, such as `latest`, tells less than the file does.
    let name = local
        .name
        .filter(|name| name.contains(['/', ':']))
        .map(|name| repository_of(&name).to_owned());
    Ok((catalog, local.image.about(name.unwrap_or_else(|| stem(path)))))
}

/// The name without its tag.
fn repository_of(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

fn stem(path: &Path) -> String {
    let real = path.canonicalize();
    let name = real.as_deref().unwrap_or(path).file_stem();
    name.map_or_else(|| "image".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_for_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        std::fs::create_dir_all(at("layout/blobs")).unwrap();
        std::fs::create_dir_all(at("root")).unwrap();
        std::fs::write(at("layout/index.json"), "{}").unwrap();
        std::fs::write(at("saved.tar"), "").unwrap();
        let kind = |text: &str| match text.parse() {
            Ok(SbomSubject::Registry(_)) => "registry".to_owned(),
            Ok(SbomSubject::Layout(_, name)) => format!("layout {}", name.unwrap_or_default()),
            Ok(SbomSubject::Archive(_, name)) => format!("archive {}", name.unwrap_or_default()),
            Ok(SbomSubject::Directory(_)) => "directory".to_owned(),
            Err(error) => error,
        };
        let check = |text: &str, expected: &str| assert_eq!(kind(text), expected, "{text}");
        check(&at("layout"), "layout ");
        check(&at("layout:v1"), "layout v1");
        check(&at("saved.tar:ghcr.io/o/app:v1"), "archive ghcr.io/o/app:v1");
        check(&at("root"), "directory");
        check(&format!("dir:{}", at("layout")), "directory");
        check(&format!("oci-layout:{}", at("root")), "layout ");
        check(&format!("docker-archive:{}", at("none.tar")), "archive ");
        check("debian:12", "registry");
        check("docker:27", "registry");
        check("docker://ghcr.io/o/app", "registry");
        check(
            "registry:localhost:5000/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "registry",
        );
        check("./none", "`./none` is not there");
    }

    #[test]
    fn a_name_loses_its_tag() {
        for (name, expected) in [
            ("ghcr.io/o/app:v1", "ghcr.io/o/app"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("a/b@sha256:00", "a/b"),
        ] {
            assert_eq!(repository_of(name), expected);
        }
    }
}
