//! Manifests of a repository → what each is, what it names, what it is about and when it came. It
//! takes no time from an image's own config, which says what the build was told to say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Items;
use crate::build::scanner;
use crate::image::{Digest, Tag};
use crate::oci::{Descriptor, ImageManifest, OciDocument};
use crate::registry::closure::{Closure, ClosureKind};
use crate::registry::manifest::RegistryManifest;
use crate::registry::names::digest_name;
use crate::sigstore::BUNDLE;
use crate::verify::legacy;

const CREATED: &str = "org.opencontainers.image.created";

/// What something is, in the order in which things go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemClass {
    /// An image of one platform, or an index of several.
    Image,
    /// The image that BuildKit ran to make SBOMs, and for which processor.
    Scanner(String),
    /// A manifest of something else.
    Other,
    /// A list of referrers.
    List,
    /// A signature, an attestation, or whatever is about something else.
    Evidence,
}

/// One manifest.
#[derive(Debug, Clone)]
pub struct RetainedItem {
    pub what: ItemClass,
    /// Names that people pull.
    pub names: BTreeSet<Tag>,
    /// Names that are digests.
    pub digest_names: BTreeSet<Tag>,
    pub size: u64,
    /// When the registry got it, or when it was signed.
    pub time: Option<Timestamp>,
    /// Manifests that it names, or that belong to it.
    pub parts: BTreeSet<Digest>,
    /// Its subject, or the digest that it has for a name.
    pub about: Option<Digest>,
    pub blobs: BTreeMap<Digest, u64>,
}

/// Everything in a closure. `names` are all names and what they name; `times` is what the
/// registry's owner knows, where anybody does.
pub fn of(
    closure: &Closure,
    names: &BTreeMap<Tag, Digest>,
    times: &BTreeMap<Digest, Timestamp>,
) -> Items {
    let mut items: Items = closure
        .manifests
        .iter()
        .map(|(digest, manifest)| (digest.clone(), read(manifest)))
        .collect();
    for part in &closure.parts {
        let Some(item) = part.parent.as_ref().and_then(|parent| items.get_mut(parent)) else {
            continue;
        };
        let digest = part.descriptor.digest.clone();
        match part.kind {
            ClosureKind::Root => {}
            ClosureKind::Config | ClosureKind::Layer => {
                item.blobs.insert(digest, part.descriptor.size);
            }
            ClosureKind::Entry
            | ClosureKind::Referrer
            | ClosureKind::ReferrerList
            | ClosureKind::Attached => {
                item.parts.insert(digest);
            }
        }
    }
    for (tag, digest) in names {
        let about = digest_name(tag).map(|(about, _)| about);
        let Some(item) = items.get_mut(digest) else { continue };
        match about {
            None => drop(item.names.insert(tag.clone())),
            // Some name each digest after itself, or answer so.
            Some(about) if about == *digest => drop(item.digest_names.insert(tag.clone())),
            Some(about) => {
                item.digest_names.insert(tag.clone());
                item.about.get_or_insert(about);
            }
        }
    }
    for (digest, item) in &mut items {
        item.time = times.get(digest).copied().or(item.time);
    }
    name_lists(&mut items);
    items
}

/// An index that lists nothing but what is about something is a list of referrers, also where its
/// name has moved on.
fn name_lists(items: &mut Items) {
    let about: BTreeSet<Digest> = items
        .iter()
        .filter(|(_, item)| item.about.is_some())
        .map(|(digest, _)| digest.clone())
        .collect();
    for item in items.values_mut() {
        let lists = item.blobs.is_empty()
            && !item.parts.is_empty()
            && item.parts.iter().all(|part| about.contains(part));
        let is_named = item.digest_names.iter().any(|tag| !tag.as_str().contains('.'));
        if item.what == ItemClass::Image
            && item.names.is_empty()
            && item.blobs.is_empty()
            && (lists || (is_named && item.about.is_some()))
        {
            item.what = ItemClass::List;
        }
    }
}

fn read(manifest: &RegistryManifest) -> RetainedItem {
    let mut item = RetainedItem {
        what: ItemClass::Other,
        names: BTreeSet::new(),
        digest_names: BTreeSet::new(),
        size: manifest.bytes.len() as u64,
        time: None,
        parts: BTreeSet::new(),
        about: None,
        blobs: BTreeMap::new(),
    };
    match manifest.document() {
        // Lists of others are read leniently where they are met.
        Err(_) => item.what = ItemClass::List,
        Ok(OciDocument::Index(index)) => {
            item.what =
                if index.subject.is_some() { ItemClass::Evidence } else { ItemClass::Image };
            item.about = index.subject.map(|subject| subject.digest);
        }
        Ok(OciDocument::Image(image)) => {
            item.what = what(&image);
            item.time = if item.what == ItemClass::Evidence { signed(&image) } else { None };
            item.about = image.subject.map(|subject| subject.digest);
        }
    }
    item
}

fn what(image: &ImageManifest) -> ItemClass {
    let is_older = |layer: &Descriptor| {
        [legacy::SIMPLE_SIGNING, legacy::DSSE].contains(&layer.media_type.as_str())
    };
    if image.subject.is_some()
        || image.kind() == BUNDLE
        || (!image.layers.is_empty() && image.layers.iter().all(is_older))
    {
        return ItemClass::Evidence;
    }
    if let Some(architecture) = image.annotations.get(scanner::ANNOTATION) {
        return ItemClass::Scanner(architecture.clone());
    }
    let is_config =
        |kind: &str| [crate::oci::OCI_CONFIG, crate::oci::DOCKER_CONFIG].contains(&kind);
    if is_config(&image.config.media_type) { ItemClass::Image } else { ItemClass::Other }
}

/// When evidence says that it was made: by its annotation, or by the log's entry of the older
/// format. The latest counts.
fn signed(image: &ImageManifest) -> Option<Timestamp> {
    let written = image.annotations.get(CREATED).and_then(|text| text.parse().ok());
    let logged = image.layers.iter().filter_map(|layer| {
        let log: Value = serde_json::from_str(layer.annotations.get(legacy::LOG)?).ok()?;
        Timestamp::from_second(log["Payload"]["integratedTime"].as_i64()?).ok()
    });
    logged.chain(written).max()
}
