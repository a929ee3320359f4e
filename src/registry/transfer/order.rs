//! A closure → what is written where it is copied to, and in which order: nothing before what it
//! consists of, no referrer before its subject. What a list names and is not about its subject is
//! not part of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::super::closure::{Closure, ClosureKind, ClosurePart, is_manifest};
use super::super::manifest::Descriptor;
use super::super::names::{DigestName, digest_name};
use crate::image::{Digest, Tag};

/// What is written, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TransferOrder {
    /// Manifests: each group after the one before it.
    pub groups: Vec<Vec<Digest>>,
    /// The blobs that each manifest consists of.
    pub blobs: BTreeMap<Digest, Vec<Descriptor>>,
    /// By the manifests that are their subjects.
    pub referrers: BTreeMap<Digest, Vec<Digest>>,
    /// Tags that are digests with a suffix.
    pub attached: BTreeMap<Tag, Digest>,
}

impl TransferOrder {
    /// The order of a closure, or the digest of a part that is not there.
    pub fn of(closure: &Closure) -> Result<Self, Digest> {
        let children = Children::of(closure);
        let mut order = Self::default();
        let mut seen = BTreeSet::new();
        let roots = closure.parts.iter().filter(|part| part.kind == ClosureKind::Root);
        let mut wave: Vec<Digest> = roots.map(|part| part.descriptor.digest.clone()).collect();
        while !wave.is_empty() {
            let mut heights: BTreeMap<Digest, usize> = BTreeMap::new();
            let mut next = Vec::new();
            for root in &wave {
                children.height(root, &mut heights, closure)?;
            }
            let fresh: Vec<(&Digest, &usize)> =
                heights.iter().filter(|(digest, _)| !seen.contains(*digest)).collect();
            let highest = fresh.iter().map(|(_, height)| **height).max();
            for height in 0..=highest.unwrap_or_default() {
                let group = fresh.iter().filter(|(_, of)| **of == height);
                let group: Vec<Digest> = group.map(|(digest, _)| (*digest).clone()).collect();
                if !group.is_empty() {
                    order.groups.push(group);
                }
            }
            let fresh: Vec<Digest> = fresh.into_iter().map(|(digest, _)| digest.clone()).collect();
            for digest in fresh {
                for part in children.parts(&digest) {
                    order.take(&digest, part, &mut next);
                }
                seen.insert(digest);
            }
            wave = next.into_iter().filter(|digest| !seen.contains(digest)).collect();
        }
        Ok(order)
    }

    fn take(&mut self, parent: &Digest, part: &ClosurePart, next: &mut Vec<Digest>) {
        let Descriptor { digest, .. } = &part.descriptor;
        match part.kind {
            ClosureKind::Config | ClosureKind::Layer => self.add_blob(parent, &part.descriptor),
            ClosureKind::Entry if !is_manifest(part) => self.add_blob(parent, &part.descriptor),
            ClosureKind::Referrer => {
                self.referrers.entry(parent.clone()).or_default().push(digest.clone());
                next.push(digest.clone());
            }
            ClosureKind::Attached => {
                // The name without a suffix is that of a list, whatever stands there.
                if let Some(tag) = &part.tag
                    && matches!(digest_name(tag), Some((_, DigestName::Attached(_))))
                {
                    self.attached.insert(tag.clone(), digest.clone());
                    next.push(digest.clone());
                }
            }
            ClosureKind::Root | ClosureKind::Entry | ClosureKind::ReferrerList => {}
        }
    }

    fn add_blob(&mut self, parent: &Digest, blob: &Descriptor) {
        let blobs = self.blobs.entry(parent.clone()).or_default();
        if !blobs.iter().any(|known| known.digest == blob.digest) {
            blobs.push(blob.clone());
        }
    }
}

/// What each manifest names.
struct Children<'a>(BTreeMap<&'a Digest, Vec<&'a ClosurePart>>);

impl<'a> Children<'a> {
    fn of(closure: &'a Closure) -> Self {
        let mut children: BTreeMap<&Digest, Vec<&ClosurePart>> = BTreeMap::new();
        let lists: BTreeSet<&Digest> = closure
            .parts
            .iter()
            .filter(|part| part.kind == ClosureKind::ReferrerList)
            .map(|part| &part.descriptor.digest)
            .collect();
        for part in &closure.parts {
            if let Some(parent) = part.parent.as_ref().filter(|parent| !lists.contains(parent)) {
                children.entry(parent).or_default().push(part);
            }
        }
        Self(children)
    }

    fn parts(&self, digest: &Digest) -> &[&'a ClosurePart] {
        self.0.get(digest).map_or(&[], Vec::as_slice)
    }

    /// How many floors of indexes are under a manifest; noted for all that is under it.
    fn height(
        &self,
        digest: &Digest,
        known: &mut BTreeMap<Digest, usize>,
        closure: &Closure,
    ) -> Result<usize, Digest> {
        if let Some(height) = known.get(digest) {
            return Ok(*height);
        }
        if !closure.manifests.contains_key(digest) {
            return Err(digest.clone());
        }
        let mut height = 0;
        for part in self.parts(digest) {
            if part.kind == ClosureKind::Entry && is_manifest(part) {
                height = height.max(self.height(&part.descriptor.digest, known, closure)? + 1);
            }
        }
        known.insert(digest.clone(), height);
        Ok(height)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::manifest::{OCI_INDEX, OCI_MANIFEST, RegistryManifest};
    use super::*;

    fn part(kind: ClosureKind, of: &str, parent: Option<&str>, tag: Option<String>) -> ClosurePart {
        let kind_of = if kind == ClosureKind::Layer { "layer" } else { OCI_MANIFEST };
        ClosurePart {
            kind,
            descriptor: Descriptor::of(of.as_bytes(), kind_of),
            parent: parent.map(|parent| Digest::of(parent.as_bytes())),
            tag: tag.map(|tag| tag.parse().unwrap()),
        }
    }

    fn closure(parts: Vec<ClosurePart>, manifests: &[&str]) -> Closure {
        let manifests = manifests.iter().map(|text| {
            let manifest = RegistryManifest::new(text.as_bytes().to_vec(), OCI_INDEX);
            (manifest.descriptor.digest.clone(), manifest)
        });
        Closure { parts, manifests: manifests.collect(), ..Closure::default() }
    }

    #[test]
    fn parts_come_before_the_whole_and_referrers_after_their_subject() {
        let sig = format!("sha256-{}.sig", Digest::of(b"image").hex());
        let list = format!("sha256-{}", Digest::of(b"index").hex());
        let parts = vec![
            part(ClosureKind::Root, "index", None, None),
            part(ClosureKind::Entry, "image", Some("index"), None),
            part(ClosureKind::Layer, "layer", Some("image"), None),
            part(ClosureKind::Layer, "layer", Some("image"), None),
            part(ClosureKind::ReferrerList, "list", Some("index"), Some(list)),
            part(ClosureKind::Entry, "stranger", Some("list"), None),
            part(ClosureKind::Entry, "gone", Some("list"), None),
            part(ClosureKind::Referrer, "sbom", Some("index"), None),
            part(ClosureKind::Attached, "signature", Some("image"), Some(sig.clone())),
            part(ClosureKind::Referrer, "of sbom", Some("sbom"), None),
        ];
        let there = ["index", "image", "list", "stranger", "sbom", "signature", "of sbom"];
        let order = TransferOrder::of(&closure(parts, &there)).unwrap();
        let digest = |text: &str| Digest::of(text.as_bytes());
        let sorted = |texts: &[&str]| {
            let mut digests: Vec<Digest> = texts.iter().map(|text| digest(text)).collect();
            digests.sort();
            digests
        };
        assert_eq!(
            order.groups,
            [
                sorted(&["image"]),
                sorted(&["index"]),
                sorted(&["sbom", "signature"]),
                sorted(&["of sbom"])
            ],
            "neither the list, nor what only it names"
        );
        assert_eq!(order.blobs[&digest("image")].len(), 1);
        assert_eq!(order.attached[&sig.parse::<Tag>().unwrap()], digest("signature"));
        assert_eq!(order.referrers[&digest("sbom")], [digest("of sbom")]);
    }

    #[test]
    fn an_entry_that_is_not_there_is_told() {
        let parts = vec![
            part(ClosureKind::Root, "index", None, None),
            part(ClosureKind::Entry, "image", Some("index"), None),
        ];
        assert_eq!(TransferOrder::of(&closure(parts, &["index"])), Err(Digest::of(b"image")));
    }
}
