//! Digests that several jobs pushed → `BuiltImage`: one index over all their images and
//! attestations, as one build would have made it. It believes no job: every manifest is fetched and
//! hashed, every platform read from the image's own config. It never changes an entry.

mod index;
mod provenance;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use futures_util::future::{join_all, try_join_all};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::index::{described, written};
use super::{BuiltImage, Expected};
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::inputs::digests::Claim;
use crate::oci::entries::ImageEntry;
use crate::oci::{Allowed, Document, Index, Target};
use crate::preflight::Problems;
use crate::provenance::Terms;
use crate::registry::Registry;
use crate::registry::contents::{self, Fetched};
use crate::registry::manifest::{Descriptor, Manifest};

/// What a layer of an attestation manifest states.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// What the merged image must be.
pub struct Wanted<'a> {
    pub platforms: &'a [Platform],
    /// What each platform must come with: predicate types of BuildKit's statements.
    pub statements: &'a [&'static str],
    /// What the index itself says, beside what it keeps.
    pub annotations: &'a BTreeMap<String, String>,
    /// What an image may hold that is refused otherwise.
    pub allowed: &'a Allowed,
    /// What the provenances of the builds must bear out.
    pub terms: &'a Terms,
}

/// Images that lie in the registry and are what they are said to be.
#[derive(Debug)]
pub struct Parts {
    repositories: Vec<Repository>,
    /// What gets the names: an index over all images, or what one job pushed whole.
    index: Manifest,
    images: Vec<Image>,
    others: Vec<Other>,
    wanted: Vec<Platform>,
    allowed: Allowed,
}

/// The image of one platform, as a job pushed it.
#[derive(Debug)]
struct Image {
    target: Target,
    entry: Box<RawValue>,
    manifest: Manifest,
    attestations: Option<(Box<RawValue>, Manifest)>,
    by: String,
    /// Whether its provenance names the commit of this run.
    is_of_this_run: bool,
}

impl Image {
    fn platform(&self) -> &Platform {
        &self.target.platform
    }

    /// What no other image may be for. Nothing but Windows is chosen by the version of an operating
    /// system.
    fn place(&self) -> (&Platform, Option<&Target>) {
        (self.platform(), Some(&self.target).filter(|target| target.platform.os == "windows"))
    }
}

/// What one digest names.
struct Root {
    manifest: Manifest,
    images: Vec<Image>,
    /// What was allowed beside them.
    others: Vec<Other>,
    annotations: BTreeMap<String, String>,
}

/// An entry of a kind of its own.
type Other = (Box<RawValue>, Manifest);

/// An index with its entries to the byte.
#[derive(Deserialize)]
struct Entries<'a> {
    #[serde(borrow, default)]
    manifests: Vec<&'a RawValue>,
}

impl Parts {
    /// Fetches and checks what the claims are about. Everything that is wrong is told at once.
    pub async fn read(
        registry: &Registry,
        to: &[Repository],
        claims: &[Claim],
        wanted: &Wanted<'_>,
    ) -> anyhow::Result<Self> {
        let Some(home) = to.first() else {
            bail!("there is no repository to read the images from")
        };
        let mut digests: Vec<&Digest> = claims.iter().map(|claim| &claim.digest).collect();
        digests.sort();
        digests.dedup();
        let read = digests.into_iter().map(async |digest| {
            let claims: Vec<&Claim> =
                claims.iter().filter(|claim| claim.digest == *digest).collect();
            root(registry, &home.at(digest), &claims, wanted).await
        });
        let roots = whole(join_all(read).await)?;
        let annotations = annotations(&roots, wanted.annotations)?;
        let only = match roots.as_slice() {
            // What one job pushed whole stays as it is.
            [only] if only.annotations == annotations => Some(only.manifest.clone()),
            _ => None,
        };
        let (mut images, mut others): (Vec<Image>, Vec<Other>) = (Vec::new(), Vec::new());
        for root in roots {
            images.extend(root.images);
            others.extend(root.others);
        }
        let images = in_order(images, wanted.platforms)?;
        // Two jobs may have put the same beside their images.
        let mut seen = BTreeSet::new();
        others.retain(|(_, manifest)| seen.insert(manifest.descriptor.digest.clone()));
        let index = match only {
            Some(whole) => whole,
            None => {
                let of_images = images.iter().map(|image| &*image.entry);
                let of_attestations =
                    images.iter().filter_map(|image| Some(&*image.attestations.as_ref()?.0));
                let beside = others.iter().map(|(entry, _)| &**entry);
                written(
                    &of_images.chain(of_attestations).chain(beside).collect::<Vec<_>>(),
                    &annotations,
                )?
            }
        };
        let platforms = images.iter().map(|image| image.platform().clone()).collect();
        Ok(Self {
            repositories: to.to_vec(),
            index,
            images,
            others,
            wanted: platforms,
            allowed: wanted.allowed.clone(),
        })
    }

    pub fn platforms(&self) -> &[Platform] {
        &self.wanted
    }

    /// Whether every image names the commit of this run as its source.
    pub fn are_of_this_run(&self) -> bool {
        self.images.iter().all(|image| image.is_of_this_run)
    }

    /// Puts the index under its digest into every repository, and reads it back.
    pub async fn merge(self, registry: &Registry) -> anyhow::Result<BuiltImage> {
        try_join_all(self.repositories.iter().map(|repository| self.put(registry, repository)))
            .await?;
        let expected = Expected { platforms: &self.wanted, allowed: &self.allowed };
        BuiltImage::confirm(registry, &self.repositories, &self.index.descriptor.digest, &expected)
            .await
            .context("what was merged cannot be confirmed")
    }

    async fn put(&self, registry: &Registry, repository: &Repository) -> anyhow::Result<()> {
        if self.repositories.first() != Some(repository) {
            let manifests = self.images.iter().flat_map(|image| {
                std::iter::once(&image.manifest)
                    .chain(image.attestations.as_ref().map(|(_, manifest)| manifest))
            });
            // An attestation manifest refers to its image, which must be there before.
            for manifest in manifests.chain(self.others.iter().map(|(_, manifest)| manifest)) {
                self.supply(registry, repository, manifest).await?;
            }
        }
        registry.put_manifest(repository, &self.index).await.remedied().map(drop)
    }

    /// A manifest of the first repository in another, its blobs mounted.
    async fn supply(
        &self,
        registry: &Registry,
        repository: &Repository,
        manifest: &Manifest,
    ) -> anyhow::Result<()> {
        let image = repository.at(&manifest.descriptor.digest);
        if registry.manifest(&image).await.remedied()?.is_some() {
            return Ok(());
        }
        let home = &self.repositories[0];
        let missing = || {
            Err(anyhow::anyhow!("`{image}` is not there, and `{}` does not mount it from `{home}`", repository.registry()))
                .hint("let every job that builds push to every image: give it the `images` that merge has")
        };
        if home.registry() != repository.registry() {
            return missing();
        }
        let part = manifest.image().context("a manifest that was read before")?;
        let blobs: Vec<&Descriptor> = std::iter::once(&part.config).chain(&part.layers).collect();
        let mounted =
            try_join_all(blobs.into_iter().map(|blob| registry.mount(home, repository, blob)))
                .await
                .remedied()?;
        if mounted.contains(&false) {
            return missing();
        }
        registry.put_manifest(repository, manifest).await.remedied().map(drop)
    }
}

/// Reads one digest and holds every claim about it against what is there.
async fn root(
    registry: &Registry,
    image: &ImageRef,
    claims: &[&Claim],
    wanted: &Wanted<'_>,
) -> anyhow::Result<Root> {
    let by = claims.iter().map(|claim| claim.by.as_str()).next().unwrap_or_default();
    let Some(manifest) = registry.manifest(image).await.remedied()? else {
        return Err(anyhow::anyhow!("`{image}` ({by}) is not in the registry"))
            .hint("give merge and the jobs that build the same `images`, and hand on the digests of this very run");
    };
    let pushed = Pushed { registry, image, by, wanted };
    let root =
        match contents::document(&manifest, image).remedied().with_context(|| pushed.refused())? {
            Document::Index(index) => pushed.of_index(manifest, &index).await?,
            Document::Image(part) => pushed.of_manifest(Fetched { manifest, image: part }).await?,
        };
    let images = &root.images;
    let there =
        || images.iter().map(|image| format!("`{}`", image.target)).collect::<Vec<_>>().join(", ");
    for claim in claims {
        if let Some(platform) = claim
            .platform
            .as_ref()
            .filter(|claimed| !images.iter().any(|image| claimed.is(image.platform())))
        {
            bail!(
                "`{image}` is the image of {}, and {} says that it is of `{platform}`",
                there(),
                claim.by
            );
        }
    }
    let unnamed = |image: &Image| {
        claims.iter().all(|claim| {
            claim.platform.as_ref().is_some_and(|claimed| !claimed.is(image.platform()))
        })
    };
    if images.iter().any(unnamed) {
        bail!("`{image}` ({by}) holds {}, which is more than was said of it", there());
    }
    Ok(root)
}

/// What a job pushed under one digest.
struct Pushed<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    by: &'a str,
    wanted: &'a Wanted<'a>,
}

impl Pushed<'_> {
    fn refused(&self) -> String {
        format!("what {} handed on is not merged", self.by)
    }

    /// The image of a job that pushed neither attestations nor a second platform.
    async fn of_manifest(&self, fetched: Fetched) -> anyhow::Result<Root> {
        let looked_at =
            contents::looked_at(self.registry, self.image, &fetched, None, self.wanted.allowed);
        let (target, _) = looked_at.await.remedied().with_context(|| self.refused())?;
        let manifest = fetched.manifest;
        let entry = described(&manifest.descriptor, &target)?;
        let made = Image {
            entry,
            target,
            manifest: manifest.clone(),
            attestations: None,
            by: self.by.to_owned(),
            is_of_this_run: false,
        };
        has_statements(&made, &[], self.wanted)?;
        Ok(Root { manifest, images: vec![made], others: Vec::new(), annotations: BTreeMap::new() })
    }

    async fn of_index(&self, manifest: Manifest, index: &Index) -> anyhow::Result<Root> {
        let Self { registry, image, .. } = self;
        let written: Entries<'_> = serde_json::from_slice(&manifest.bytes)
            .with_context(|| format!("the index `{image}` cannot be read"))?;
        // The strict reader saw the very entries, none of them twice.
        let raw = |entry: &Descriptor| {
            let raw = index
                .manifests
                .iter()
                .zip(&written.manifests)
                .find(|(known, _)| known.digest == entry.digest);
            raw.map(|(_, raw)| (*raw).to_owned()).context("an entry of the index was lost")
        };
        let accounted = contents::account(index, image, self.wanted.allowed)
            .remedied()
            .with_context(|| self.refused())?;
        let images = accounted.images.iter().map(|entry| self.of_entry(entry, &raw));
        let images = whole(join_all(images).await)?;
        let others = accounted.others.iter().map(async |entry| {
            let (fetched, _) = contents::other(registry, image, entry)
                .await
                .remedied()
                .with_context(|| self.refused())?;
            anyhow::Ok((raw(entry)?, fetched.manifest))
        });
        let others = whole(join_all(others).await)?;
        Ok(Root { images, others, annotations: index.annotations.clone(), manifest })
    }

    /// An image of an index with its attestations, which must be what the index, the manifests and
    /// the configs say.
    async fn of_entry(
        &self,
        entry: &ImageEntry,
        raw: &impl Fn(&Descriptor) -> anyhow::Result<Box<RawValue>>,
    ) -> anyhow::Result<Image> {
        let Self { registry, image, wanted, .. } = self;
        let looked_at = contents::with_attestations(registry, image, entry, wanted.allowed);
        let (fetched, _, attestations) =
            looked_at.await.remedied().with_context(|| self.refused())?;
        let (mut statements, mut is_of_this_run) = (Vec::new(), false);
        if let Some(found) = &attestations {
            statements.extend(
                found
                    .image
                    .layers
                    .iter()
                    .filter_map(|layer| layer.annotations.get(PREDICATE_TYPE).cloned()),
            );
            let checked = provenance::check(
                registry,
                &image.repository,
                &found.image.layers,
                entry,
                wanted.terms,
            );
            is_of_this_run = checked.await.with_context(|| self.refused())?;
        }
        let attestations = entry
            .attestations
            .iter()
            .zip(attestations)
            .map(|(listed, found)| anyhow::Ok((raw(listed)?, found.manifest)))
            .next()
            .transpose()?;
        let (entry, target) = (raw(&entry.descriptor)?, entry.target.clone());
        let made = Image {
            target,
            entry,
            manifest: fetched.manifest,
            attestations,
            by: self.by.to_owned(),
            is_of_this_run,
        };
        has_statements(&made, &statements, wanted)?;
        Ok(made)
    }
}

/// All of them, or everything that is wrong with any, in their order.
fn whole<T>(results: Vec<anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let mut problems = Problems::default();
    let good = results.into_iter().filter_map(|result| problems.take(result)).collect();
    problems.into_result().map(|()| good)
}

/// What the gate will ask for must be there, before anything is put or signed.
fn has_statements(image: &Image, found: &[String], wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let missing: Vec<String> = wanted
        .statements
        .iter()
        .filter(|kind| !found.iter().any(|found| found == *kind))
        .map(|kind| format!("`{kind}`"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("the image of `{}` ({}) was pushed without {}", image.target, image.by, missing.join(" and ")))
        .hint("let the jobs make SBOM and provenance, as this action does by itself, and hand on the output `digests`; or set `sbom: false`, `provenance: false`")
}

/// What the jobs wrote on their indexes is kept; what is given here wins.
fn annotations(
    roots: &[Root],
    given: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in
        roots.iter().flat_map(|root| &root.annotations).filter(|(key, _)| !given.contains_key(*key))
    {
        match kept.insert(key.clone(), value.clone()) {
            Some(other) if other != *value => {
                return Err(anyhow::anyhow!("the indexes to merge disagree: annotation `{key}` is `{other}` and `{value}`")).hint(
                    "say which it is with `annotations`, or set `DOCKER_METADATA_ANNOTATIONS_LEVELS` here as in the jobs that build",
                );
            }
            _ => {}
        }
    }
    kept.extend(given.clone());
    Ok(kept)
}

/// Each platform once, none missing and none too many; in the order that was asked for, as a build
/// has it, or by name.
fn in_order(mut images: Vec<Image>, wanted: &[Platform]) -> anyhow::Result<Vec<Image>> {
    images.sort_by(|one, other| one.target.cmp(&other.target));
    let mut problems = Problems::default();
    for pair in images.windows(2) {
        if let [one, other] = pair
            && one.place() == other.place()
        {
            let (first, second) =
                (&one.manifest.descriptor.digest, &other.manifest.descriptor.digest);
            problems.add(anyhow::anyhow!(
                "there are two images of `{}`: `{first}` ({}) and `{second}` ({})",
                one.target,
                one.by,
                other.by
            ));
        }
    }
    let place = |image: &Image| wanted.iter().position(|wanted| wanted.is(image.platform()));
    for wanted in
        wanted.iter().filter(|wanted| !images.iter().any(|image| wanted.is(image.platform())))
    {
        let missing = Err::<(), _>(anyhow::anyhow!(
            "no job pushed an image of `{wanted}`, which `platforms` lists"
        ));
        problems.take(missing.hint("the legs of a matrix overwrite one another's outputs: give each its own, such as `digests-arm64`"));
    }
    for image in images.iter().filter(|image| !wanted.is_empty() && place(image).is_none()) {
        problems.add(anyhow::anyhow!(
            "{} pushed an image of `{}`, which `platforms` does not list",
            image.by,
            image.target
        ));
    }
    problems.into_result()?;
    images.sort_by_key(place);
    Ok(images)
}
