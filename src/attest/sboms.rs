//! The SBOM of each platform's image, as the user wrote it or as its layers in the registry tell →
//! drafts. It reads no layer twice, and makes none where a layer is not what its digest says.

use crate::build::sbom::WrittenSboms;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

use super::progress::{self, ReadingProgress};
use super::{Draft, DraftParts, statement};
use crate::assess::search::SearchedLayers;
use crate::build::sbom::UserSbom;
use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files::OpenFolder;
use crate::image::Repository;
use crate::page::RefusalPage;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::layers::{self, LayerRepository};
use crate::report::Report;
use crate::sbom::catalog::Catalog;
use crate::sbom::exclude::Exclude;
use crate::sbom::foreign::{self, ForeignFormat, ListedAmount};
use crate::sbom::image::{CatalogedImage, threads};
use crate::sbom::layers::{Cache, LayerReading, LayerWatch, collect};
use crate::sbom::{cyclonedx, spdx};

/// Where the SBOMs come from.
#[derive(Debug)]
pub enum Sboms<'a> {
    /// The build, or nowhere: what it attached is signed.
    Build,
    /// The user, one for each platform.
    Files(&'a [UserSbom]),
    /// The layers of each platform's image, as they lie in the registry.
    Layers(LayerSboms),
}

impl Sboms<'_> {
    /// Does the work in which they are made, and shows how far it is where that takes long.
    pub async fn shown<T>(
        &self,
        report: &Report,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match self {
            Self::Layers(how) => {
                let done = progress::shown(report, &how.progress, work).await?;
                let remarks = how.remarks.lock().unwrap_or_else(PoisonError::into_inner);
                remarks.iter().for_each(|remark| report.notice(remark));
                Ok(done)
            }
            Self::Build | Self::Files(_) => work.await,
        }
    }

    /// What is found in layers while they are read for SBOMs, if they are.
    pub fn searched_layers(&self) -> Arc<SearchedLayers> {
        match self {
            Self::Layers(how) => how.search.clone().unwrap_or_default(),
            Self::Build | Self::Files(_) => Arc::default(),
        }
    }
}

/// How SBOMs are made of layers.
#[derive(Debug, Clone, Default)]
pub struct LayerSboms {
    cache: Option<Cache>,
    written: WrittenSboms,
    /// The documents' date, in place of their images'.
    created: Option<jiff::Timestamp>,
    progress: Arc<ReadingProgress>,
    /// What is missing or assumed, one sentence each; told when the work is done.
    remarks: Arc<Mutex<Vec<String>>>,
    /// Who looks for secrets in what is read.
    search: Option<Arc<SearchedLayers>>,
}

impl LayerSboms {
    /// Looks for secrets in the layers that are read, where that is planned.
    pub fn with_search(self, wanted: bool) -> Self {
        Self { search: wanted.then(Arc::default), ..self }
    }

    /// Tells beforehand what would keep a finished build from its SBOMs.
    ///
    /// A cache that is not authenticated is not used: what other jobs wrote there would be signed.
    pub fn prepare(
        cache: Option<&Path>,
        key: Option<&SecretString>,
        written: WrittenSboms,
        env: &Environment,
    ) -> anyhow::Result<Self> {
        let cache = cache.zip(key);
        if let Some((folder, _)) = cache {
            OpenFolder::make(folder, Path::new(""))
                .remedied()
                .and_then(|_| Ok(tempfile::tempfile_in(folder).map(drop)?))
                .with_context(|| {
                    format!("input `sbom-cache`: nothing can be written to `{}`", folder.display())
                })
                .hint("name a folder in the workspace or in the runner's temporary folder")?;
        }
        let cache = cache.map(|(folder, key)| {
            Cache::new(folder)
                .with_files(written.files)
                .with_key(key.expose_secret().trim().as_bytes())
        });
        Ok(Self { cache, written, created: epoch(env)?, ..Self::default() })
    }

    /// One document for each platform, in their order.
    fn documents(
        &self,
        source: &LayerRepository,
        name: &str,
        platforms: &[PlatformImage],
    ) -> anyhow::Result<Vec<String>> {
        let images: Vec<CatalogedImage> = platforms
            .iter()
            .map(|part| source.image(&part.descriptor.digest, Some(&part.platform)))
            .collect::<Result<_, _>>()?;
        let layers: Vec<_> = images.iter().map(|image| image.layers.clone()).collect();
        let reading = LayerReading {
            blobs: source,
            threads: threads(),
            cache: self.cache.as_ref(),
            watcher: &*self.progress,
            watch: self.search.as_deref().map(|search| search as &dyn LayerWatch),
            files: self.written.files,
            exclude: Exclude::default(),
            diff_ids: true,
        };
        self.progress.expect(layers.iter().flatten());
        let document = |(image, collected): (&CatalogedImage, _)| {
            let mut about = image.about(name.to_owned());
            about.created = self.created.unwrap_or(about.created);
            about.supplier = self.written.supplier.clone().or(about.supplier);
            let catalog = Catalog::from_collected(collected);
            self.remark(&image.platform.to_string(), &catalog);
            match self.written.format {
                ForeignFormat::Spdx => spdx::document(&catalog, &about),
                ForeignFormat::CycloneDx => cyclonedx::document(&catalog, &about),
            }
        };
        Ok(images.iter().zip(collect(&layers, &reading)?).map(document).collect())
    }

    /// Keeps in mind what the document remarks, for the run's summary.
    fn remark(&self, platform: &str, catalog: &Catalog) {
        let remarks = spdx::remarks(&catalog.warnings).into_iter();
        let remarks = remarks.map(|remark| format!("the SBOM of `{platform}`: {remark}"));
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).extend(remarks);
    }
}

/// `SOURCE_DATE_EPOCH`, in whose place an image's own date stands.
pub fn epoch(env: &Environment) -> anyhow::Result<Option<jiff::Timestamp>> {
    let Some(value) = env.get("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let seconds = value.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let message = || {
        format!("no sbom was written: `SOURCE_DATE_EPOCH` is `{value}`, not a number of seconds")
    };
    seconds.map(Some).ok_or_else(|| WithExit { code: exit::BAD_INPUT, message: message() }.into())
}

/// The packages that an image holds, where its SBOM lists none or one.
struct HeldPackages {
    all: usize,
    /// Those that the databases of its operating system list.
    installed: usize,
    /// One of them.
    example: String,
}

/// Refuses an SBOM that lists nothing where there is something. An image is read only for an SBOM
/// that is so short; `listed` has one for each platform.
pub(super) async fn not_empty(
    registry: &Registry,
    parts: &DraftParts,
    listed: Vec<Option<ListedAmount>>,
) -> anyhow::Result<()> {
    for (part, listed) in parts.platforms.iter().zip(listed) {
        let Some(listed) = listed else { continue };
        enough(registry, parts, part, listed)
            .await
            .with_context(|| format!("the SBOM that came with `{}` is not signed", part.platform))
            .hint("set `sbom: registry`, which lists what the layers hold, or give a generator that looks at this image")
            .see(RefusalPage::SbomRefused)?;
    }
    Ok(())
}

async fn enough(
    registry: &Registry,
    parts: &DraftParts,
    part: &PlatformImage,
    listed: ListedAmount,
) -> anyhow::Result<()> {
    if listed == ListedAmount::Packages {
        return Ok(());
    }
    let held = held(registry, &parts.repository, part)
        .await
        .context("it lists almost nothing, and the image cannot be read to compare")?;
    let packages =
        |count| if count == 1 { "1 package".to_owned() } else { format!("{count} packages") };
    match listed {
        ListedAmount::Nothing if held.all > 0 => {
            bail!(
                "it lists 0 packages, and the image holds {}, such as `{}`",
                packages(held.all),
                held.example
            )
        }
        ListedAmount::Image if held.installed > 0 => bail!(
            "it lists the image alone, and the databases of the image's operating system list {}, such as `{}`",
            packages(held.installed),
            held.example
        ),
        _ => Ok(()),
    }
}

async fn held(
    registry: &Registry,
    repository: &Repository,
    part: &PlatformImage,
) -> anyhow::Result<HeldPackages> {
    let (digest, platform) = (part.descriptor.digest.clone(), part.platform.clone());
    let work = move |source: &LayerRepository| {
        let image = source.image(&digest, Some(&platform))?;
        let reading = LayerReading::of(source, threads());
        let collected = collect(&[image.layers], &reading)?;
        let packages: Vec<_> = collected
            .into_iter()
            .flat_map(|collected| Catalog::from_collected(collected).packages)
            .collect();
        let installed: Vec<_> = packages
            .iter()
            .filter(|listed| {
                listed.package.ecosystem.is_distribution() && listed.package.stated.is_none()
            })
            .collect();
        let example = installed
            .first()
            .copied()
            .or(packages.first())
            .map(|listed| listed.package.name.clone());
        Ok(HeldPackages {
            all: packages.len(),
            installed: installed.len(),
            example: example.unwrap_or_default(),
        })
    };
    layers::reading(registry, repository, work).await
}

/// The user's SBOM of each platform, as the plan checked it.
pub(super) async fn of_files(
    registry: &Registry,
    parts: &DraftParts,
    own: &[UserSbom],
) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for document in own {
        let of_platform = |part: &&PlatformImage| document.platform.is(&part.platform);
        let Some(part) = parts.platforms.iter().find(of_platform) else {
            bail!("`{}` is about `{}`, which was not built", document.path, document.platform);
        };
        let about = || format!("`{}` is not attested to `{}`", document.path, document.platform);
        let listed = foreign::listed(document.text.as_bytes()).with_context(about)?;
        enough(registry, parts, part, listed)
            .await
            .with_context(about)
            .hint("give the SBOM of this image, or set `sbom: registry`, which lists what the layers hold")
            .see(RefusalPage::SbomRefused)?;
        drafts.push(draft(parts, part, document.format.predicate_type(), &document.text)?);
    }
    Ok(drafts)
}

/// SBOMs of what the layers hold; one that several platforms share is fetched once.
pub(super) async fn of_layers(
    registry: &Registry,
    parts: &DraftParts,
    how: &LayerSboms,
) -> anyhow::Result<Vec<Draft>> {
    let (how, name, platforms) =
        (how.clone(), parts.repository.to_string(), parts.platforms.clone());
    let kind = how.written.format.predicate_type();
    let documents = layers::reading(registry, &parts.repository, move |source| {
        how.documents(source, &name, &platforms)
    })
    .await?;
    parts
        .platforms
        .iter()
        .zip(documents)
        .map(|(part, document)| draft(parts, part, kind, &document))
        .collect()
}

fn draft(
    parts: &DraftParts,
    part: &PlatformImage,
    kind: &str,
    document: &str,
) -> anyhow::Result<Draft> {
    let subject = part.descriptor.bare();
    let statement = statement(&parts.repository, &subject, kind, document)?;
    Ok(Draft { subject, predicate_type: kind.to_owned(), statement })
}
