//! A published image and its evidence as an OCI image layout on disk: every manifest and blob
//! fetched and hashed, the same image always as the same files. It never writes a file under a name
//! that is not its hash.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::OrRemedy as _;
use crate::image::{Digest, ImageRef, Repository, Tag};
use crate::registry::closure::{self, Closure};
use crate::registry::manifest::{Descriptor, OCI_INDEX, RegistryManifest};
use crate::registry::names::ATTACHED;
use crate::registry::transfer::{TransferOrder, entry_of};
use crate::registry::{Registry, RegistryError};

/// Blobs that are fetched at once.
const AT_ONCE: usize = 4;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenFiles {
    pub(super) manifests: usize,
    pub(super) blobs: usize,
    pub(super) bytes: u64,
}

/// Writes the closure of an image: index, platforms, attestations, and all that refers to any of
/// them, in both formats.
pub async fn write(
    registry: &Registry,
    image: &ImageRef,
    names: &[String],
    subjects: &[Digest],
    folder: &Path,
) -> anyhow::Result<()> {
    let older = subjects.iter().flat_map(|subject| {
        ATTACHED.map(|suffix| format!("sha256-{}.{suffix}", subject.hex()).parse())
    });
    let older: BTreeSet<Tag> = older.collect::<Result<_, _>>()?;
    let closure = closure::walk(registry, &image.repository, [image.digest.clone()], &older)
        .await
        .remedied()?;
    write_closure(registry, image, &closure, names, folder).await.map(drop)
}

/// Writes what was found of an image, under these names, or under none.
pub(super) async fn write_closure(
    registry: &Registry,
    image: &ImageRef,
    closure: &Closure,
    names: &[String],
    folder: &Path,
) -> anyhow::Result<WrittenFiles> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("`{}` cannot be made", blobs.display()))?;
    let order = TransferOrder::of(closure)
        .map_err(|lost| anyhow::anyhow!("the registry lacks `{lost}`, a part of `{image}`"))?;
    let mut seen = BTreeSet::new();
    let wanted = order.blobs.values().flatten().filter(|blob| seen.insert(&blob.digest));
    let fetched = wanted.map(|blob| fetch(registry, &image.repository, blob, &blobs));
    let fetched: Vec<Option<u64>> =
        stream::iter(fetched).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut written = WrittenFiles {
        manifests: 0,
        blobs: fetched.iter().flatten().count(),
        bytes: fetched.iter().flatten().sum(),
    };
    for digest in order.groups.iter().flatten() {
        let manifest = closure.manifests.get(digest).context("a manifest was lost on the way")?;
        fs::write(path(&blobs, digest), &manifest.bytes)?;
        written.manifests += 1;
    }
    let mut entries = entries(image, closure, &order, names);
    for (subject, referrers) in &order.referrers {
        let list = list_of(closure, referrers);
        fs::write(path(&blobs, &list.descriptor.digest), &list.bytes)?;
        entries.push(named(&list.descriptor, &format!("sha256-{}", subject.hex())));
    }
    fs::write(folder.join("index.json"), index_of(&entries))?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(written)
}

fn index_of(entries: &[Descriptor]) -> String {
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    index.to_string()
}

/// What refers to a subject as some programs look for it in a layout: a list under the fallback tag
/// of registries without one.
fn list_of(closure: &Closure, referrers: &[Digest]) -> RegistryManifest {
    let referrers: BTreeSet<&Digest> = referrers.iter().collect();
    let manifests = referrers.into_iter().filter_map(|digest| closure.manifests.get(digest));
    let entries: Vec<Descriptor> = manifests.map(entry_of).collect();
    RegistryManifest::new(index_of(&entries).into_bytes(), OCI_INDEX)
}

fn named(descriptor: &Descriptor, name: &str) -> Descriptor {
    let mut entry = descriptor.clone();
    entry.annotations.insert(REF_NAME.to_owned(), name.to_owned());
    entry
}

/// The image under its names, then evidence: under its tags, and what refers to something, which
/// most programs find in the layout's index itself.
fn entries(
    image: &ImageRef,
    closure: &Closure,
    order: &TransferOrder,
    names: &[String],
) -> Vec<Descriptor> {
    let manifest = |digest: &Digest| closure.manifests.get(digest);
    let named = |digest: &Digest, name: &str| Some(named(&manifest(digest)?.descriptor, name));
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut entries: Vec<Descriptor> =
        names.iter().filter_map(|name| named(&image.digest, name)).collect();
    if entries.is_empty() {
        entries.extend(manifest(&image.digest).map(|root| root.descriptor.clone()));
    }
    entries.extend(order.attached.iter().filter_map(|(tag, digest)| named(digest, tag.as_str())));
    let referrers: BTreeSet<&Digest> = order.referrers.values().flatten().collect();
    entries.extend(referrers.into_iter().filter_map(manifest).map(entry_of));
    entries
}

/// How many bytes were fetched; `None` of what is there already, or is fetched from elsewhere by
/// whoever pulls it.
async fn fetch(
    registry: &Registry,
    repository: &Repository,
    blob: &Descriptor,
    blobs: &Path,
) -> anyhow::Result<Option<u64>> {
    let to = path(blobs, &blob.digest);
    if to.exists() {
        return Ok(None);
    }
    let part = to.with_extension("part");
    let mut file =
        File::create(&part).with_context(|| format!("`{}` cannot be written", part.display()))?;
    match registry.stream_blob(repository, blob, &mut file).await {
        Err(RegistryError::Absent { .. }) if blob.is_foreign() => {
            fs::remove_file(&part)?;
            return Ok(None);
        }
        fetched => fetched.remedied()?,
    }
    fs::rename(&part, to)?;
    Ok(Some(blob.size))
}

fn path(blobs: &Path, digest: &Digest) -> PathBuf {
    blobs.join(digest.hex())
}
