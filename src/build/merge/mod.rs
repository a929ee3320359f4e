//! Digests that several jobs pushed → `BuiltImage`: one index over all their images and attestations, as one build would have made it. It
//! believes no job: every manifest is fetched and hashed, every platform read from the image's own config. It never changes an entry.

mod index;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::index::{described, written};
use super::BuiltImage;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::inputs::digests::Claim;
use crate::preflight::Problems;
use crate::registry::manifest::{Descriptor, Fields, Manifest};
use crate::registry::{Registry, contents};

/// What a layer of an attestation manifest states.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// What the merged image must be.
pub struct Wanted<'a> {
    pub platforms: &'a [Platform],
    /// What each platform must come with: predicate types of BuildKit's statements.
    pub statements: &'a [&'static str],
    /// What the index itself says, beside what it keeps.
    pub annotations: &'a BTreeMap<String, String>,
}

/// Images that lie in the registry and are what they are said to be.
#[derive(Debug)]
pub struct Parts {
    repositories: Vec<Repository>,
    /// What gets the names: an index over all images, or what one job pushed whole.
    index: Manifest,
    images: Vec<Image>,
    wanted: Vec<Platform>,
}

/// The image of one platform, as a job pushed it.
#[derive(Debug)]
struct Image {
    platform: Platform,
    entry: Box<RawValue>,
    manifest: Manifest,
    attestations: Option<(Box<RawValue>, Manifest)>,
    by: String,
}

/// What one digest names.
struct Root {
    manifest: Manifest,
    images: Vec<Image>,
    annotations: BTreeMap<String, String>,
}

/// An index with its entries to the byte.
#[derive(Deserialize)]
struct Entries<'a> {
    #[serde(borrow, default)]
    manifests: Vec<&'a RawValue>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Parts {
    /// Fetches and checks what the claims are about. Everything that is wrong is told at once.
    pub async fn read(registry: &Registry, to: &[Repository], claims: &[Claim], wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let Some(home) = to.first() else { bail!("there is no repository to read the images from") };
        let mut digests: Vec<&Digest> = claims.iter().map(|claim| &claim.digest).collect();
        digests.sort();
        digests.dedup();
        let read = digests.into_iter().map(async |digest| {
            let claims: Vec<&Claim> = claims.iter().filter(|claim| claim.digest == *digest).collect();
            root(registry, &home.at(digest), &claims, wanted).await
        });
        let mut problems = Problems::default();
        let roots: Vec<Root> = futures_util::future::join_all(read).await.into_iter().filter_map(|root| problems.take(root)).collect();
        problems.into_result()?;
        let annotations = annotations(&roots, wanted.annotations)?;
        let only = match roots.as_slice() {
            // What one job pushed whole stays as it is.
            [only] if only.annotations == annotations => Some(only.manifest.clone()),
            _ => None,
        };
        let images = in_order(roots.into_iter().flat_map(|root| root.images).collect(), wanted.platforms)?;
        let index = match only {
            Some(whole) => whole,
            None => {
                let of_images = images.iter().map(|image| &*image.entry);
                let of_attestations = images.iter().filter_map(|image| Some(&*image.attestations.as_ref()?.0));
                written(&of_images.chain(of_attestations).collect::<Vec<_>>(), &annotations)?
            }
        };
        let platforms = images.iter().map(|image| image.platform.clone()).collect();
        Ok(Self { repositories: to.to_vec(), index, images, wanted: platforms })
    }

    pub fn platforms(&self) -> &[Platform] {
        &self.wanted
    }

    /// Puts the index under its digest into every repository, and reads it back.
    pub async fn merge(self, registry: &Registry) -> anyhow::Result<BuiltImage> {
        try_join_all(self.repositories.iter().map(|repository| self.put(registry, repository))).await?;
        BuiltImage::confirm(registry, &self.repositories, &self.index.descriptor.digest, &self.wanted)
            .await
            .context("what was merged cannot be confirmed")
    }

    async fn put(&self, registry: &Registry, repository: &Repository) -> anyhow::Result<()> {
        if self.repositories.first() != Some(repository) {
            let manifests = self
                .images
                .iter()
                .flat_map(|image| std::iter::once(&image.manifest).chain(image.attestations.as_ref().map(|(_, manifest)| manifest)));
            // An attestation manifest refers to its image, which must be there before.
            for manifest in manifests {
                self.supply(registry, repository, manifest).await?;
            }
        }
        registry.put_manifest(repository, &self.index).await.remedied().map(drop)
    }

    /// A manifest of the first repository in another, its blobs mounted.
    async fn supply(&self, registry: &Registry, repository: &Repository, manifest: &Manifest) -> anyhow::Result<()> {
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
        let fields = manifest.fields().context("a manifest that was read before")?;
        let blobs: Vec<&Descriptor> = fields.config.iter().chain(&fields.layers).collect();
        let mounted = try_join_all(blobs.into_iter().map(|blob| registry.mount(home, repository, blob))).await.remedied()?;
        if mounted.contains(&false) {
            return missing();
        }
        registry.put_manifest(repository, manifest).await.remedied().map(drop)
    }
}

/// Reads one digest and holds every claim about it against what is there.
async fn root(registry: &Registry, image: &ImageRef, claims: &[&Claim], wanted: &Wanted<'_>) -> anyhow::Result<Root> {
    let by = claims.iter().map(|claim| claim.by.as_str()).next().unwrap_or_default();
    let Some(manifest) = registry.manifest(image).await.remedied()? else {
        return Err(anyhow::anyhow!("`{image}` ({by}) is not in the registry"))
            .hint("give merge and the jobs that build the same `images`, and hand on the digests of this very run");
    };
    let (images, annotations) = if manifest.is_index() {
        of_index(registry, image, &manifest, by, wanted).await?
    } else {
        (vec![of_manifest(registry, image, &manifest, by, wanted).await?], BTreeMap::new())
    };
    let there = || images.iter().map(|image| format!("`{}`", image.platform)).collect::<Vec<_>>().join(", ");
    for claim in claims {
        if let Some(platform) = claim.platform.as_ref().filter(|claimed| !images.iter().any(|image| claimed.is_met_by(&image.platform))) {
            bail!("`{image}` is the image of {}, and {} says that it is of `{platform}`", there(), claim.by);
        }
    }
    let unnamed =
        |image: &Image| claims.iter().all(|claim| claim.platform.as_ref().is_some_and(|claimed| !claimed.is_met_by(&image.platform)));
    if images.iter().any(unnamed) {
        bail!("`{image}` ({by}) holds {}, which is more than was said of it", there());
    }
    Ok(Root { manifest, images, annotations })
}

/// The image of a job that pushed neither attestations nor a second platform.
async fn of_manifest(registry: &Registry, image: &ImageRef, manifest: &Manifest, by: &str, wanted: &Wanted<'_>) -> anyhow::Result<Image> {
    let fields = contents::fields_of(manifest, image).remedied()?;
    let platform = contents::configured(registry, image, &fields).await.remedied()?.normalised();
    let made = Image {
        entry: described(&manifest.descriptor, &platform)?,
        platform,
        manifest: manifest.clone(),
        attestations: None,
        by: by.to_owned(),
    };
    has_statements(&made, &[], wanted)?;
    Ok(made)
}

async fn of_index(
    registry: &Registry,
    image: &ImageRef,
    manifest: &Manifest,
    by: &str,
    wanted: &Wanted<'_>,
) -> anyhow::Result<(Vec<Image>, BTreeMap<String, String>)> {
    let index: Entries<'_> = serde_json::from_slice(&manifest.bytes).with_context(|| format!("the index `{image}` cannot be read"))?;
    let mut entries: Vec<(&RawValue, Descriptor)> = Vec::new();
    for raw in index.manifests {
        entries.push((raw, serde_json::from_str(raw.get()).with_context(|| format!("an entry of the index `{image}` cannot be read"))?));
    }
    let (attestations, of_platforms): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, entry)| contents::is_attestation(entry));
    if let Some((_, entry)) =
        of_platforms.iter().find(|(_, entry)| entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown"))
    {
        bail!("`{image}` ({by}) has an entry that is neither an image nor attestations: `{}`", entry.digest);
    }
    let about = |entry: &Descriptor| entry.annotations.get(contents::REFERENCE_DIGEST).cloned().unwrap_or_default();
    for (_, entry) in &attestations {
        let about = about(entry);
        if of_platforms.iter().filter(|(_, part)| part.digest.as_str() == about).count() != 1 {
            bail!("`{image}` ({by}) has attestations `{}` about `{about}`, which is not one of its images", entry.digest);
        }
    }
    let read = of_platforms.into_iter().map(|(raw, entry)| {
        let its: Vec<&(&RawValue, Descriptor)> = attestations.iter().filter(|(_, of)| about(of) == entry.digest.as_str()).collect();
        async move {
            let (attestations, statements) = match its.as_slice() {
                [] => (None, Vec::new()),
                [(raw, entry)] => {
                    let (manifest, fields) = fetched(registry, image, entry).await?;
                    let kinds = fields.layers.iter().filter_map(|layer| layer.annotations.get(PREDICATE_TYPE).cloned()).collect();
                    (Some(((*raw).to_owned(), manifest)), kinds)
                }
                [..] => bail!("`{image}` has several manifests of attestations about `{}`", entry.digest),
            };
            let (manifest, platform) = of_entry(registry, image, &entry).await?;
            let made = Image { platform, entry: raw.to_owned(), manifest, attestations, by: by.to_owned() };
            has_statements(&made, &statements, wanted)?;
            Ok(made)
        }
    });
    let images = try_join_all(read).await?;
    if images.is_empty() {
        bail!("the index `{image}` ({by}) holds no image");
    }
    Ok((images, index.annotations.unwrap_or_default()))
}

/// An image of an index, which must be what the index and its own config say.
async fn of_entry(registry: &Registry, index: &ImageRef, entry: &Descriptor) -> anyhow::Result<(Manifest, Platform)> {
    let Some(described) = &entry.platform else { bail!("`{}` has an entry without a platform: `{}`", index, entry.digest) };
    let described = Platform { os: described.os.clone(), architecture: described.architecture.clone(), variant: described.variant.clone() };
    let (manifest, fields) = fetched(registry, index, entry).await?;
    if manifest.is_index() {
        bail!("`{index}` holds another index, `{}`", entry.digest);
    }
    let configured = contents::configured(registry, &index.repository.at(&entry.digest), &fields).await.remedied()?;
    if !described.is_met_by(&configured) {
        bail!("the index `{index}` says that `{}` is of `{described}`, and its config says `{configured}`", entry.digest);
    }
    Ok((manifest, described.normalised()))
}

/// A manifest that an index lists, with the size that it lists.
async fn fetched(registry: &Registry, index: &ImageRef, entry: &Descriptor) -> anyhow::Result<(Manifest, Fields)> {
    let image = index.repository.at(&entry.digest);
    let manifest = registry.expect_manifest(&image).await.remedied().with_context(|| format!("`{index}` is not whole"))?;
    if manifest.descriptor.size != entry.size {
        bail!("`{index}` says that `{}` has {} bytes; it has {}", entry.digest, entry.size, manifest.descriptor.size);
    }
    let fields = contents::fields_of(&manifest, &image).remedied()?;
    Ok((manifest, fields))
}

/// What the gate will ask for must be there, before anything is put or signed.
fn has_statements(image: &Image, found: &[String], wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let missing: Vec<String> =
        wanted.statements.iter().filter(|kind| !found.iter().any(|found| found == *kind)).map(|kind| format!("`{kind}`")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("the image of `{}` ({}) was pushed without {}", image.platform, image.by, missing.join(" and ")))
        .hint("let the jobs make SBOM and provenance, as this action does by itself, and hand on the output `digests`; or set `sbom: false`, `provenance: false`")
}

/// What the jobs wrote on their indexes is kept; what is given here wins.
fn annotations(roots: &[Root], given: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, String>> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in roots.iter().flat_map(|root| &root.annotations).filter(|(key, _)| !given.contains_key(*key)) {
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

/// Each platform once, none missing and none too many; in the order that was asked for, as a build has it, or by name.
fn in_order(mut images: Vec<Image>, wanted: &[Platform]) -> anyhow::Result<Vec<Image>> {
    images.sort_by(|one, other| one.platform.cmp(&other.platform));
    let mut problems = Problems::default();
    for pair in images.windows(2) {
        if let [one, other] = pair
            && one.platform == other.platform
        {
            let (first, second) = (&one.manifest.descriptor.digest, &other.manifest.descriptor.digest);
            problems.add(anyhow::anyhow!(
                "there are two images of `{}`: `{first}` ({}) and `{second}` ({})",
                one.platform,
                one.by,
                other.by
            ));
        }
    }
    let place = |image: &Image| wanted.iter().position(|wanted| wanted.is_met_by(&image.platform));
    for wanted in wanted.iter().filter(|wanted| !images.iter().any(|image| wanted.is_met_by(&image.platform))) {
        let missing = Err::<(), _>(anyhow::anyhow!("no job pushed an image of `{wanted}`, which `platforms` lists"));
        problems.take(missing.hint("the legs of a matrix overwrite one another's outputs: give each its own, such as `digests-arm64`"));
    }
    for image in images.iter().filter(|image| !wanted.is_empty() && place(image).is_none()) {
        problems.add(anyhow::anyhow!("{} pushed an image of `{}`, which `platforms` does not list", image.by, image.platform));
    }
    problems.into_result()?;
    images.sort_by_key(place);
    Ok(images)
}
