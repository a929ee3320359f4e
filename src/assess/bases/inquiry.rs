//! Images that findings refuse → the layers that brought each package, and what the base image is by
//! now. It reads layers, which takes time, so it is for images that are refused; a registry that does
//! not answer leaves open what it would have said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{BasedImage, NamedBase};
use crate::assess::origin::{self, with_layers};
use crate::assess::search::image_error;
use crate::assess::{Assessed, AssessedAbout, Assessor, ImagePackages};
use crate::image::{Digest, Platform, Repository};
use crate::registry::Registry;
use crate::registry::layers::{LayerRepository, reading_for};
use crate::sbom::catalog::Catalog;
use crate::sbom::image::{CatalogedImage, threads};
use crate::sbom::layers::{Blob, LayerReading, collect};
use crate::scan::findings::{Finding, ScanSubject};
use crate::scan::report::{JudgedFinding, NewerBase};
use crate::scan::subjects;

/// Nobody waits longer for what changes no verdict.
const PATIENCE: Duration = Duration::from_secs(120);
/// Compressed bytes of an image that is read for this alone.
const MOST_BYTES: u64 = 1 << 30;
const UNREAD: &str = "who brought a package is not known";

/// Asks where the findings of a refused image come from.
pub struct BaseInquiry<'a> {
    pub registry: &'a Registry,
    /// Where the image lies.
    pub repository: &'a Repository,
    pub assessor: &'a Assessor,
}

impl BaseInquiry<'_> {
    /// Names who brought each package. What cannot be found out is told as a sentence.
    pub async fn tell(
        &self,
        assessed: &mut [Assessed],
        images: &Arc<Vec<BasedImage>>,
    ) -> Vec<String> {
        for (assessed, image) in assessed.iter_mut().zip(images.iter()) {
            origin::tell(&mut assessed.scan, image);
        }
        if !assessed.iter().any(refuses) {
            return Vec::new();
        }
        match tokio::time::timeout(PATIENCE, self.of_refused(assessed, images)).await {
            Ok(Ok(())) => Vec::new(),
            Ok(Err(error)) => vec![crate::error::message(&error)],
            Err(_) => {
                vec![format!("{UNREAD}: its layers were not read in {} s", PATIENCE.as_secs())]
            }
        }
    }

    async fn of_refused(
        &self,
        assessed: &mut [Assessed],
        images: &Arc<Vec<BasedImage>>,
    ) -> anyhow::Result<()> {
        let lacks = |judged: &JudgedFinding| judged.refuses && judged.finding.layers.is_empty();
        if assessed.iter().any(|it| it.scan.findings.iter().any(lacks)) {
            let own: Vec<CatalogedImage> = images.iter().map(|it| it.image.clone()).collect();
            let read = move |source: &LayerRepository| packages(source, &own);
            let of_images = reading_for(self.registry, self.repository, UNREAD, read).await?;
            let subjects = images.iter().zip(&of_images);
            for (assessed, (image, subjects)) in assessed.iter_mut().zip(subjects) {
                with_layers(&mut assessed.scan, subjects);
                origin::tell(&mut assessed.scan, image);
            }
        }
        for (assessed, image) in assessed.iter_mut().zip(images.iter()) {
            let Some(named) = &image.base.named else { continue };
            let newer = self.newer(named, image, assessed).await?;
            if let Some(base) = &mut assessed.scan.base {
                base.newer = newer;
            }
        }
        Ok(())
    }

    /// What the base's tag points to by now, where that is another image for this platform.
    async fn newer(
        &self,
        named: &NamedBase,
        image: &BasedImage,
        assessed: &Assessed,
    ) -> anyhow::Result<Option<NewerBase>> {
        let of_base: Vec<&Finding> = assessed.scan.findings.iter().filter_map(of_base).collect();
        let (Some(tag), Some(platform)) = (&named.tag, &assessed.scan.platform) else {
            return Ok(None);
        };
        if of_base.is_empty() {
            return Ok(None);
        }
        let repository = &named.image.repository;
        let seen = self.registry.look(repository, tag).await.map_err(crate::error::remedied)?;
        let Some(digest) = seen.digest.filter(|digest| *digest != named.image.digest) else {
            return Ok(None);
        };
        let old: Vec<String> =
            image.image.layers.iter().take(image.base.count).map(|it| it.diff_id.clone()).collect();
        let Some(subjects) = self.other(repository, &digest, platform, old).await? else {
            return Ok(None);
        };
        let names: BTreeSet<&str> = of_base.iter().map(|finding| finding.name.as_str()).collect();
        let subjects: Vec<ScanSubject> =
            subjects.into_iter().filter(|it| names.contains(it.name.as_str())).collect();
        let about = AssessedAbout {
            name: named.name.clone(),
            digest: Some(digest.clone()),
            platform: Some(platform.clone()),
        };
        let asked = vec![ImagePackages { about, subjects }];
        let known = self.assessor.assess(asked, jiff::Timestamp::now()).await?;
        let still: Vec<&Finding> =
            known.iter().flat_map(|it| &it.scan.findings).map(|judged| &judged.finding).collect();
        let is_there = |finding: &&&Finding| {
            still.iter().any(|it| it.name == finding.name && !it.ids.is_disjoint(&finding.ids))
        };
        let repairs = of_base.len() - of_base.iter().filter(is_there).count();
        Ok(Some(NewerBase { digest, repairs, of: of_base.len() }))
    }

    /// The packages of another image, unless it has these layers too.
    async fn other(
        &self,
        repository: &Repository,
        digest: &Digest,
        platform: &Platform,
        old: Vec<String>,
    ) -> anyhow::Result<Option<Vec<ScanSubject>>> {
        let (digest, platform) = (digest.clone(), platform.clone());
        let read = move |source: &LayerRepository| {
            let image = source.image(&digest, Some(&platform)).map_err(image_error)?;
            if image.layers.iter().map(|layer| &layer.diff_id).eq(&old) {
                return Ok(None);
            }
            Ok(packages(source, &[image])?.pop())
        };
        reading_for(self.registry, repository, UNREAD, read).await
    }
}

fn refuses(assessed: &Assessed) -> bool {
    assessed.scan.findings.iter().any(|judged| judged.refuses)
}

/// An open finding that the base image has.
fn of_base(judged: &JudgedFinding) -> Option<&Finding> {
    let is_base = judged.origin.as_ref().is_some_and(|origin| origin.is_base);
    (is_base && judged.is_open()).then_some(&judged.finding)
}

/// What the layers of each image hold.
fn packages(
    source: &LayerRepository,
    images: &[CatalogedImage],
) -> anyhow::Result<Vec<Vec<ScanSubject>>> {
    let layers: Vec<Vec<Blob>> = images.iter().map(|image| image.layers.clone()).collect();
    let unique: BTreeSet<&Blob> = layers.iter().flatten().collect();
    let bytes: u64 = unique.iter().filter_map(|layer| layer.size).sum();
    if bytes > MOST_BYTES {
        anyhow::bail!(
            "{UNREAD}: its layers are {bytes} bytes, and at most {MOST_BYTES} are read for that"
        );
    }
    let reading = LayerReading { diff_ids: false, ..LayerReading::of(source, threads()) };
    let now = jiff::Timestamp::now();
    let collected = collect(&layers, &reading).map_err(image_error)?;
    let subjects = |collected| subjects::of_catalog(&Catalog::from_collected(collected), now);
    Ok(collected.into_iter().map(subjects).collect())
}
