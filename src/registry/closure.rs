//! Everything that belongs to an image: its manifests, their configs and layers, and what refers to
//! each of them, in either way, to the end. It fetches no layers, copies and removes nothing, and
//! gives no closure that is not whole.
//!
//! Referrers: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, try_join};

use super::manifest::{Descriptor, RegistryManifest};
use super::names::ATTACHED;
use super::{Registry, RegistryError, RegistryResult};
use crate::image::{Digest, ImageRef, Repository, Tag};
use crate::oci::{self, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, OciDocument};

/// Manifests of one walk, and their bytes together.
const MANIFESTS: usize = 50_000;
const BYTES: usize = 256 << 20;
/// Manifests that are looked at together.
const CONCURRENCY: usize = 16;
/// Of the names of a repository so many pages are read: more is more work than to ask for those
/// that are wanted.
const PAGES_OF_NAMES: usize = 10;

/// What a part is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClosureKind {
    /// What was asked for; it has no parent.
    Root,
    /// A manifest that an index lists.
    Entry,
    Config,
    /// A layer, or any other blob that an index lists.
    Layer,
    /// A manifest whose `subject` is the parent.
    Referrer,
    /// The list of referrers under the parent's fallback tag.
    ReferrerList,
    /// What the parent's tag `.sig`, `.att` or `.sbom` names.
    Attached,
}

/// One part, as its parent names it. A part that several name is there once for each.
#[derive(Debug, Clone)]
pub struct ClosurePart {
    pub kind: ClosureKind,
    pub descriptor: Descriptor,
    pub parent: Option<Digest>,
    /// Of lists and of what is attached: the name that is a digest.
    pub tag: Option<Tag>,
}

/// What was found from all roots.
#[derive(Debug, Default)]
pub struct Closure {
    /// Parents before what they name.
    pub parts: Vec<ClosurePart>,
    /// Every manifest among the parts, to the byte.
    pub manifests: BTreeMap<Digest, RegistryManifest>,
    /// Manifests that are named and not there.
    pub missing: BTreeSet<Digest>,
    /// Entries of lists of referrers whose manifest is about something else, each with the list's
    /// subject.
    pub left_out: Vec<(Digest, Digest)>,
}

/// A manifest and all that it leads to directly.
#[derive(Default)]
struct VisitedManifest {
    manifest: Option<RegistryManifest>,
    parts: Vec<ClosurePart>,
    left_out: Vec<(Digest, Digest)>,
    /// Fetched on the way.
    met: Vec<RegistryManifest>,
}

/// A digest to be looked at, what was fetched of it before, and whether it is a list that anybody
/// may add to.
type WaitingDigest = (Digest, Option<RegistryManifest>, bool);

/// What is known of the names of a repository.
#[derive(Clone, Copy)]
enum Names<'a> {
    All(&'a BTreeSet<Tag>),
    /// Each is asked for.
    Unknown,
}

impl Names<'_> {
    fn may_have(self, tag: &Tag) -> bool {
        match self {
            Self::All(names) => names.contains(tag),
            Self::Unknown => true,
        }
    }
}

/// Walks from an image, of whose repository nothing is known.
///
/// # Errors
/// As `walk`.
pub async fn of_image(registry: &Registry, image: &ImageRef) -> RegistryResult<Closure> {
    let repository = &image.repository;
    let names = match registry.names_within(repository, PAGES_OF_NAMES).await {
        Ok(names) => names,
        // Too many to be read, or nobody may list them: they may be there all the same.
        Err(RegistryError::TooLarge { .. } | RegistryError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    let names = match names {
        Some(names) if lists_attached(registry, image, &names).await? => Some(names),
        _ => None,
    };
    let known = names.as_ref().map_or(Names::Unknown, Names::All);
    walk_with(registry, repository, [image.digest.clone()], known).await
}

/// Whether no tag of the image that is a digest is missing in the list of names: a registry may
/// hide them there. One that lists any of them hides none.
async fn lists_attached(
    registry: &Registry,
    image: &ImageRef,
    names: &BTreeSet<Tag>,
) -> RegistryResult<bool> {
    let tags = ATTACHED.map(|suffix| digest_tag(&image.digest, &format!(".{suffix}")));
    let tags: Vec<Tag> = tags.into_iter().collect::<RegistryResult<_>>()?;
    if tags.iter().any(|tag| names.contains(tag)) {
        return Ok(true);
    }
    let asked = tags.iter().map(|tag| registry.tagged(&image.repository, tag));
    Ok(try_join_all(asked).await?.iter().all(Option::is_none))
}

/// Walks from these digests. `names` are all names of the repository, so that nobody is asked for
/// tags that are not there.
///
/// # Errors
/// On anything but an answer: what cannot be read, and what is more than an image can be, is no
/// closure.
pub async fn walk(
    registry: &Registry,
    repository: &Repository,
    roots: impl IntoIterator<Item = Digest>,
    names: &BTreeSet<Tag>,
) -> RegistryResult<Closure> {
    walk_with(registry, repository, roots, Names::All(names)).await
}

async fn walk_with(
    registry: &Registry,
    repository: &Repository,
    roots: impl IntoIterator<Item = Digest>,
    names: Names<'_>,
) -> RegistryResult<Closure> {
    let mut closure = Closure::default();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    let mut bytes = 0;
    let mut waiting: Vec<WaitingDigest> = roots
        .into_iter()
        .filter(|root| seen.insert(root.clone()))
        .map(|root| (root, None, false))
        .collect();
    let first = seen.clone();
    while !waiting.is_empty() {
        let visits = waiting.into_iter().map(|waiting| visit(registry, repository, waiting, names));
        let visited: Vec<(Digest, VisitedManifest)> =
            stream::iter(visits).buffered(CONCURRENCY).try_collect().await?;
        waiting = Vec::new();
        for (digest, VisitedManifest { manifest, parts, left_out, met }) in visited {
            let Some(manifest) = manifest else {
                closure.missing.insert(digest);
                continue;
            };
            bytes += manifest.bytes.len();
            if first.contains(&digest) {
                closure.parts.push(ClosurePart {
                    kind: ClosureKind::Root,
                    descriptor: manifest.descriptor.clone(),
                    parent: None,
                    tag: None,
                });
            }
            let mut met: HashMap<Digest, RegistryManifest> =
                met.into_iter().map(|met| (met.descriptor.digest.clone(), met)).collect();
            for part in &parts {
                let next = &part.descriptor.digest;
                if is_manifest(part) && seen.insert(next.clone()) {
                    waiting.push((
                        next.clone(),
                        met.remove(next),
                        part.kind == ClosureKind::ReferrerList,
                    ));
                }
            }
            closure.manifests.insert(digest, manifest);
            closure.parts.extend(parts);
            closure.left_out.extend(left_out);
            if seen.len() > MANIFESTS || bytes > BYTES {
                return Err(RegistryError::TooLarge {
                    what: format!("what belongs together in `{repository}`"),
                    limit: BYTES,
                });
            }
        }
    }
    Ok(closure)
}

/// BuildKit's cache lists layers in an index.
pub(super) fn is_manifest(part: &ClosurePart) -> bool {
    let said = part.descriptor.media_type.as_str();
    match part.kind {
        ClosureKind::Config | ClosureKind::Layer => false,
        ClosureKind::Entry => {
            [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].contains(&said)
        }
        ClosureKind::Root
        | ClosureKind::Referrer
        | ClosureKind::ReferrerList
        | ClosureKind::Attached => true,
    }
}

async fn visit(
    registry: &Registry,
    repository: &Repository,
    (digest, known, is_list): WaitingDigest,
    names: Names<'_>,
) -> RegistryResult<(Digest, VisitedManifest)> {
    let manifest = async {
        match known {
            Some(manifest) => Ok(Some(manifest)),
            None => registry.manifest(&repository.at(&digest)).await,
        }
    };
    let under = |suffix: String| {
        let tag = digest_tag(&digest, &suffix);
        async move {
            let Some(tag) = Some(tag?).filter(|tag| names.may_have(tag)) else { return Ok(None) };
            let named = registry.tagged(repository, &tag).await?;
            Ok::<_, RegistryError>(named.map(|named| (tag, named)))
        }
    };
    let attached = try_join_all(ATTACHED.map(|suffix| under(format!(".{suffix}"))));
    let (manifest, listed, list, attached) = try_join!(
        manifest,
        registry.referrers_by_api(repository, &digest),
        under(String::new()),
        attached
    )?;
    let Some(manifest) = manifest else { return Ok((digest, VisitedManifest::default())) };
    let mut visited = VisitedManifest {
        parts: named_by(&manifest, repository, is_list)?,
        ..VisitedManifest::default()
    };
    let mut listed = listed.unwrap_or_default();
    let list = list.filter(|(_, list)| list.descriptor.digest != digest);
    if let Some((_, list)) = list.as_ref().filter(|(_, list)| list.is_index()) {
        let entries = oci::listed(&list.bytes, "manifests")
            .map_err(|why| unreadable(repository, &list.descriptor.digest, &why))?;
        listed.extend(entries.into_iter().flatten());
    }
    let kind = |list: &RegistryManifest| match list.is_index() {
        true => ClosureKind::ReferrerList,
        false => ClosureKind::Attached,
    };
    let list = list.into_iter().map(|(tag, list)| (kind(&list), tag, list));
    let attached = attached.into_iter().flatten();
    let attached = attached.map(|(tag, named)| (ClosureKind::Attached, tag, named));
    for (kind, tag, named) in list.chain(attached) {
        visited.parts.push(ClosurePart {
            kind,
            descriptor: named.descriptor.clone(),
            parent: Some(digest.clone()),
            tag: Some(tag),
        });
        visited.met.push(named);
    }
    about(registry, repository, &digest, listed, &mut visited).await?;
    visited.manifest = Some(manifest);
    Ok((digest, visited))
}

/// The tag that is a digest, with what stands behind it.
pub(super) fn digest_tag(digest: &Digest, suffix: &str) -> RegistryResult<Tag> {
    let text = format!("sha256-{}{suffix}", digest.hex());
    text.parse()
        .map_err(|error| RegistryError::Protocol { request: text, what: format!("{error}") })
}

/// Of what is listed, what says itself that it is about this subject: some registries list what is
/// not, or no manifest at all (<https://github.com/oras-project/oras/issues/2148>,
/// <https://github.com/oras-project/oras/issues/1907>).
async fn about(
    registry: &Registry,
    repository: &Repository,
    subject: &Digest,
    listed: Vec<Descriptor>,
    visited: &mut VisitedManifest,
) -> RegistryResult<()> {
    let mut known = BTreeSet::new();
    let entries = listed.into_iter().filter(|entry| known.insert(entry.digest.clone()));
    let entries: Vec<Descriptor> = entries.collect();
    let reads = entries.iter().map(|entry| repository.at(&entry.digest));
    let reads = reads.map(|entry| async move { registry.manifest(&entry).await });
    let read: Vec<Option<RegistryManifest>> =
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
    for (entry, manifest) in entries.into_iter().zip(read) {
        match manifest.filter(|manifest| subject_of(manifest).as_ref() == Some(subject)) {
            Some(manifest) => {
                let part = ClosurePart {
                    kind: ClosureKind::Referrer,
                    descriptor: entry,
                    parent: Some(subject.clone()),
                    tag: None,
                };
                visited.parts.push(part);
                visited.met.push(manifest);
            }
            None => visited.left_out.push((entry.digest, subject.clone())),
        }
    }
    Ok(())
}

/// What a manifest says that it is about.
pub fn subject_of(manifest: &RegistryManifest) -> Option<Digest> {
    match manifest.document().ok()? {
        OciDocument::Index(index) => index.subject.map(|subject| subject.digest),
        OciDocument::Image(image) => image.subject.map(|subject| subject.digest),
    }
}

fn named_by(
    manifest: &RegistryManifest,
    repository: &Repository,
    is_list: bool,
) -> RegistryResult<Vec<ClosurePart>> {
    let digest = &manifest.descriptor.digest;
    let part = |kind, descriptor| ClosurePart {
        kind,
        descriptor,
        parent: Some(digest.clone()),
        tag: None,
    };
    if is_list {
        let entries = oci::listed(&manifest.bytes, "manifests")
            .map_err(|why| unreadable(repository, digest, &why))?;
        return Ok(entries
            .into_iter()
            .flatten()
            .map(|entry| part(ClosureKind::Entry, entry))
            .collect());
    }
    match manifest.document().map_err(|why| unreadable(repository, digest, &why))? {
        OciDocument::Index(index) => {
            Ok(index.manifests.into_iter().map(|entry| part(ClosureKind::Entry, entry)).collect())
        }
        OciDocument::Image(image) => {
            let layers = image.layers.into_iter().map(|layer| part(ClosureKind::Layer, layer));
            Ok(std::iter::once(part(ClosureKind::Config, image.config)).chain(layers).collect())
        }
    }
}

fn unreadable(
    repository: &Repository,
    digest: &Digest,
    why: &oci::UnreadableDocument,
) -> RegistryError {
    RegistryError::Content {
        image: repository.at(digest).to_string(),
        what: format!("cannot be read: {why}"),
        remedy: None,
        accepted_by: None,
    }
}
