//! Digests that several jobs pushed, and images that are named → `BuiltImage`: one index over all
//! their images and attestations, as one build would have made it. It believes no job: every
//! manifest is fetched and hashed, every platform read from the image's own config. It never changes
//! an entry.

pub mod claims;
mod index;
mod moved;
mod provenance;
mod taken;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use futures_util::future::{join_all, try_join_all};
use serde_json::value::RawValue;

use self::index::{Entries, described, written};
pub use self::moved::MovedImages;
pub use self::taken::TakenImage;
use super::{BuiltImage, Expected};
use crate::build::merge::claims::JobClaim;
use crate::build::merge::claims::SourceImage;
use crate::error::{OrRemedy as _, Remedy as _, with_hint, with_see};
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::oci::entries::ImageEntry;
use crate::oci::{Allowed, ImageIndex, OciDocument, PlatformTarget};
use crate::page::RefusalPage;
use crate::problems::Problems;
use crate::provenance::ProvenanceTerms;
use crate::registry::Registry;
use crate::registry::contents::{self, FetchedManifest};
use crate::registry::manifest::{Descriptor, RegistryManifest};

/// What a layer of an attestation manifest states.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// What is to be merged.
pub struct NamedMerge<'a> {
    /// Who says that which digest is the image of which platform.
    pub claims: &'a [JobClaim],
    pub sources: &'a [SourceImage],
}

/// Who is asked: for what is published to, and for what is only read, where the login may be none
/// that pushes.
#[derive(Clone, Copy)]
pub struct MergeRegistries<'a> {
    pub published: &'a Registry,
    pub read: &'a Registry,
}

/// What the merged image must be.
pub struct WantedImage<'a> {
    pub platforms: &'a [Platform],
    /// What each platform must come with: predicate types of BuildKit's statements.
    pub statements: &'a [&'static str],
    /// What the index itself says, beside what it keeps.
    pub annotations: &'a BTreeMap<String, String>,
    /// What an image may hold that is refused otherwise.
    pub allowed: &'a Allowed,
    /// What the provenances of the builds must bear out.
    pub terms: &'a ProvenanceTerms,
}

/// Images that lie in the registry and are what they are said to be.
#[derive(Debug)]
pub struct PlatformParts {
    repositories: Vec<Repository>,
    /// What gets the names: an index over all images, or what one job pushed whole.
    index: RegistryManifest,
    images: Vec<PushedImage>,
    others: Vec<OtherEntry>,
    taken: Vec<TakenImage>,
    wanted: Vec<Platform>,
    allowed: Allowed,
}

/// The image of one platform, as a job pushed it.
#[derive(Debug)]
struct PushedImage {
    target: PlatformTarget,
    entry: Box<RawValue>,
    manifest: RegistryManifest,
    attestations: Option<(Box<RawValue>, RegistryManifest)>,
    home: Repository,
    by: GivenBy,
    /// Whether its provenance names the commit of this run.
    is_of_this_run: bool,
}

impl PushedImage {
    fn platform(&self) -> &Platform {
        &self.target.platform
    }

    /// What no other image may be for. Nothing but Windows is chosen by the version of an operating
    /// system.
    fn place(&self) -> (&Platform, Option<&PlatformTarget>) {
        (self.platform(), Some(&self.target).filter(|target| target.platform.os == "windows"))
    }
}

/// Who gave an image.
#[derive(Debug, Clone)]
struct GivenBy {
    /// A job, or the image itself, for people.
    name: String,
    is_job: bool,
}

/// What one digest names.
struct Root {
    manifest: RegistryManifest,
    images: Vec<PushedImage>,
    /// What was allowed beside them.
    others: Vec<OtherEntry>,
    annotations: BTreeMap<String, String>,
}

/// An entry of a kind of its own.
#[derive(Debug)]
struct OtherEntry {
    entry: Box<RawValue>,
    manifest: RegistryManifest,
    home: Repository,
}

impl PlatformParts {
    /// Fetches and checks what the claims are about, and the images that are named. Everything that
    /// is wrong is told at once.
    pub async fn read(
        registries: MergeRegistries<'_>,
        to: &[Repository],
        named: &NamedMerge<'_>,
        wanted: &WantedImage<'_>,
    ) -> anyhow::Result<Self> {
        let Some(home) = to.first() else {
            bail!("there is no repository to read the images from")
        };
        let sources = taken::pinned(registries.read, named.sources).await?;
        let mut given = of_jobs(registries.published, home, named.claims);
        for (source, digest) in &sources {
            if !given.iter().any(|given| given.image.digest == *digest) {
                given.push(GivenDigest::of_source(registries.read, source, digest));
            }
        }
        let read = given.iter().map(|given| root(given, wanted));
        let roots = whole(join_all(read).await)?;
        let taken = sources
            .into_iter()
            .map(|(source, digest)| TakenImage {
                source: source.clone(),
                platforms: platforms_of(&roots, &digest),
                digest,
            })
            .collect();
        let annotations = annotations(&roots, wanted.annotations)?;
        let only = match roots.as_slice() {
            // What one job pushed whole stays as it is.
            [only] if only.annotations == annotations => Some(only.manifest.clone()),
            _ => None,
        };
        let (mut images, mut others): (Vec<PushedImage>, Vec<OtherEntry>) =
            (Vec::new(), Vec::new());
        for root in roots {
            images.extend(root.images);
            others.extend(root.others);
        }
        let images = in_order(images, wanted.platforms, named)?;
        // Two jobs may have put the same beside their images.
        let mut seen = BTreeSet::new();
        others.retain(|other| seen.insert(other.manifest.descriptor.digest.clone()));
        let index = match only {
            Some(whole) => whole,
            None => {
                let of_images = images.iter().map(|image| &*image.entry);
                let of_attestations =
                    images.iter().filter_map(|image| Some(&*image.attestations.as_ref()?.0));
                let beside = others.iter().map(|other| &*other.entry);
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
            taken,
            wanted: platforms,
            allowed: wanted.allowed.clone(),
        })
    }

    pub fn platforms(&self) -> &[Platform] {
        &self.wanted
    }

    /// The images that no job of this run handed on.
    pub fn taken(&self) -> &[TakenImage] {
        &self.taken
    }

    /// Whether every image names the commit of this run as its source.
    pub fn are_of_this_run(&self) -> bool {
        self.images.iter().all(|image| image.is_of_this_run)
    }

    /// Moves what lies elsewhere, puts the index under its digest into every repository, and reads
    /// it back.
    pub async fn merge(
        self,
        registries: MergeRegistries<'_>,
    ) -> anyhow::Result<(BuiltImage, MovedImages)> {
        let put = self.repositories.iter().map(|repository| self.put(registries, repository));
        let mut moved = MovedImages::default();
        try_join_all(put).await?.into_iter().for_each(|one| moved += one);
        let expected = Expected { platforms: &self.wanted, allowed: &self.allowed };
        let digest = &self.index.descriptor.digest;
        let built =
            BuiltImage::confirm(registries.published, &self.repositories, digest, &expected)
                .await
                .context("what was merged cannot be confirmed")?;
        Ok((built.made_of(self.taken), moved))
    }

    async fn put(
        &self,
        registries: MergeRegistries<'_>,
        repository: &Repository,
    ) -> anyhow::Result<MovedImages> {
        // An attestation manifest refers to its image, which must be there before.
        let manifests = self.images.iter().flat_map(|image| {
            std::iter::once(&image.manifest)
                .chain(image.attestations.as_ref().map(|(_, manifest)| manifest))
                .map(|manifest| (&image.home, manifest))
        });
        let others = self.others.iter().map(|other| (&other.home, &other.manifest));
        let mut moved = MovedImages::default();
        for (home, manifest) in manifests.chain(others) {
            if home != repository {
                moved += moved::supply(registries, home, repository, manifest).await?;
            }
        }
        registries.published.put_manifest(repository, &self.index).await.remedied()?;
        Ok(moved)
    }
}

fn platforms_of(roots: &[Root], digest: &Digest) -> Vec<Platform> {
    let root = roots.iter().find(|root| root.manifest.descriptor.digest == *digest);
    root.into_iter()
        .flat_map(|root| root.images.iter().map(|image| image.platform().clone()))
        .collect()
}

/// One digest that is to be read.
struct GivenDigest<'a> {
    registry: &'a Registry,
    image: ImageRef,
    by: GivenBy,
    /// What is said of it; nothing of an image that is named.
    claims: Vec<&'a JobClaim>,
}

/// What jobs handed on, each digest once.
fn of_jobs<'a>(
    registry: &'a Registry,
    home: &Repository,
    claims: &'a [JobClaim],
) -> Vec<GivenDigest<'a>> {
    let mut digests: Vec<&Digest> = claims.iter().map(|claim| &claim.digest).collect();
    digests.sort();
    digests.dedup();
    let given = digests.into_iter().map(|digest| {
        let claims: Vec<&JobClaim> =
            claims.iter().filter(|claim| claim.digest == *digest).collect();
        let name = claims.first().map(|claim| claim.by.clone()).unwrap_or_default();
        GivenDigest { registry, image: home.at(digest), by: GivenBy { name, is_job: true }, claims }
    });
    given.collect()
}

impl<'a> GivenDigest<'a> {
    fn of_source(registry: &'a Registry, source: &SourceImage, digest: &Digest) -> Self {
        let by = GivenBy { name: format!("`{source}`"), is_job: false };
        Self { registry, image: source.at(digest), by, claims: Vec::new() }
    }

    fn absent(&self) -> anyhow::Error {
        let Self { image, by, .. } = self;
        let absent = match by.is_job {
            true => with_hint(
                anyhow::anyhow!("`{image}` ({}) is not in the registry", by.name),
                "give merge and the jobs that build the same `images`, and pass on the digests of this run",
            ),
            false => with_hint(
                anyhow::anyhow!("input `source-images`: `{image}` is not in the registry"),
                "check its name and its digest",
            ),
        };
        with_see(absent, RefusalPage::DigestNotInTheRegistry)
    }
}

/// Reads one digest and holds every claim about it against what is there.
async fn root(given: &GivenDigest<'_>, wanted: &WantedImage<'_>) -> anyhow::Result<Root> {
    let GivenDigest { registry, image, by, claims } = given;
    let Some(manifest) = registry.manifest(image).await.remedied()? else {
        return Err(given.absent());
    };
    let pushed = Pushed { registry, image, by, wanted };
    let root =
        match contents::document(&manifest, image).remedied().with_context(|| pushed.refused())? {
            OciDocument::Index(index) => pushed.of_index(manifest, &index).await?,
            OciDocument::Image(part) => {
                pushed.of_manifest(FetchedManifest { manifest, image: part }).await?
            }
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
                "`{image}` is the image of {}, but {} says that it is of `{platform}`",
                there(),
                claim.by
            );
        }
    }
    let unnamed = |image: &PushedImage| {
        claims.iter().all(|claim| {
            claim.platform.as_ref().is_some_and(|claimed| !claimed.is(image.platform()))
        })
    };
    if !claims.is_empty() && images.iter().any(unnamed) {
        bail!("`{image}` ({}) holds {}, which is more than its job declares", by.name, there());
    }
    Ok(root)
}

/// What a job pushed under one digest.
struct Pushed<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    by: &'a GivenBy,
    wanted: &'a WantedImage<'a>,
}

impl Pushed<'_> {
    fn refused(&self) -> String {
        match self.by.is_job {
            true => format!("what {} passed on is not merged", self.by.name),
            false => format!("{} is not merged", self.by.name),
        }
    }

    /// The image of a job that pushed neither attestations nor a second platform.
    async fn of_manifest(&self, fetched: FetchedManifest) -> anyhow::Result<Root> {
        let looked_at =
            contents::looked_at(self.registry, self.image, &fetched, None, self.wanted.allowed);
        let (target, _) = looked_at.await.remedied().with_context(|| self.refused())?;
        let manifest = fetched.manifest;
        let entry = described(&manifest.descriptor, &target)?;
        let made = PushedImage {
            entry,
            target,
            manifest: manifest.clone(),
            attestations: None,
            home: self.image.repository.clone(),
            by: self.by.clone(),
            is_of_this_run: false,
        };
        has_statements(&made, &[], self.wanted)?;
        Ok(Root { manifest, images: vec![made], others: Vec::new(), annotations: BTreeMap::new() })
    }

    async fn of_index(
        &self,
        manifest: RegistryManifest,
        index: &ImageIndex,
    ) -> anyhow::Result<Root> {
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
            let home = image.repository.clone();
            anyhow::Ok(OtherEntry { entry: raw(entry)?, manifest: fetched.manifest, home })
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
    ) -> anyhow::Result<PushedImage> {
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
        let made = PushedImage {
            target,
            entry,
            manifest: fetched.manifest,
            attestations,
            home: image.repository.clone(),
            by: self.by.clone(),
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
fn has_statements(
    image: &PushedImage,
    found: &[String],
    wanted: &WantedImage<'_>,
) -> anyhow::Result<()> {
    let missing: Vec<String> = wanted
        .statements
        .iter()
        .filter(|kind| !found.iter().any(|found| found == *kind))
        .map(|kind| format!("`{kind}`"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lacks = anyhow::anyhow!(
        "the image of `{}` ({}) was pushed without {}",
        image.target,
        image.by.name,
        missing.join(" and ")
    );
    let lacks = match image.by.is_job {
        true => with_hint(
            lacks,
            "let the jobs make SBOM and provenance, as this action does by default, and pass on \
             the output `digests`; or set `sbom: registry`, which makes SBOMs here, or `sbom: \
             false`, and `provenance: false`",
        ),
        false => with_hint(
            lacks,
            "`sbom: registry` makes SBOMs here, of its layers; `provenance: false` takes it without one, and `build-source` says where it is from",
        ),
    };
    Err(with_see(lacks, RefusalPage::ImageWithoutSbomOrProvenance))
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
fn in_order(
    mut images: Vec<PushedImage>,
    wanted: &[Platform],
    named: &NamedMerge<'_>,
) -> anyhow::Result<Vec<PushedImage>> {
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
                one.by.name,
                other.by.name
            ));
        }
    }
    let place = |image: &PushedImage| wanted.iter().position(|wanted| wanted.is(image.platform()));
    for wanted in
        wanted.iter().filter(|wanted| !images.iter().any(|image| wanted.is(image.platform())))
    {
        problems.add(missing(wanted, named));
    }
    for image in images.iter().filter(|image| !wanted.is_empty() && place(image).is_none()) {
        let gave = if image.by.is_job { "pushed" } else { "is" };
        problems.add(anyhow::anyhow!(
            "{} {gave} an image of `{}`, which `platforms` does not list",
            image.by.name,
            image.target
        ));
    }
    problems.into_result()?;
    images.sort_by_key(place);
    Ok(images)
}

fn missing(wanted: &Platform, named: &NamedMerge<'_>) -> anyhow::Error {
    let of_jobs = "no job pushed an image of";
    let of_sources = "none of `source-images` is an image of";
    let (who, remedy) = match (named.claims.is_empty(), named.sources.is_empty()) {
        (true, _) => (of_sources, "name it there, by a tag or a digest"),
        (_, true) => (
            of_jobs,
            "the legs of a matrix overwrite one another's outputs: give each its own, such as `digests-arm64`",
        ),
        _ => (
            "no job pushed, and none of `source-images` is, an image of",
            "name it in `source-images`, or let a job hand it on",
        ),
    };
    let missing = anyhow::anyhow!("{who} `{wanted}`, which `platforms` lists");
    with_see(with_hint(missing, remedy), RefusalPage::PlatformMissing)
}
