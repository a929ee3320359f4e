//! What of an image and its evidence is at the destination, counted in what its registry holds. A
//! manifest that nobody finds by its subject or tag is not there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::peers::TAG;
use crate::registry::{StoredManifest, StoredRepository, listed};

/// Columns of the table, in their order.
pub(crate) const KINDS: [&str; 7] =
    ["tag, image", "attestations", ".sig", ".att", "of index", "of platforms", "of others"];

/// The parts of each kind, each by who names it and what.
pub(crate) struct ImageParts([BTreeSet<(String, String)>; 7]);

fn json(manifest: &StoredManifest) -> Value {
    serde_json::from_slice(&manifest.bytes).unwrap()
}

impl ImageParts {
    /// What stands in a repository, from an image on.
    pub(crate) fn of(repository: &StoredRepository, root: &str) -> Self {
        let mut parts: [BTreeSet<(String, String)>; 7] = Default::default();
        let Some(index) = repository.manifests.get(root) else { return Self(parts) };
        parts[0].insert((String::new(), root.to_owned()));
        let mut waiting = vec![(root.to_owned(), 4)];
        for entry in json(index)["manifests"].as_array().into_iter().flatten() {
            let digest = entry["digest"].as_str().unwrap_or_default().to_owned();
            let is_attestation = entry["platform"]["os"] == "unknown";
            if repository.manifests.contains_key(&digest) {
                parts[usize::from(is_attestation)].insert((root.to_owned(), digest.clone()));
                waiting.push((digest, if is_attestation { 6 } else { 5 }));
            }
        }
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some((subject, kind)) = waiting.pop() {
            if !seen.insert(subject.clone()) {
                continue;
            }
            for (suffix, kind) in [("sig", 2), ("att", 3)] {
                let tag = format!("{}.{suffix}", subject.replace(':', "-"));
                let named = repository.tags.get(&tag);
                parts[kind].extend(named.map(|digest| (subject.clone(), digest.clone())));
            }
            for referrer in listed(repository, &subject) {
                waiting.push((referrer.clone(), 6));
                // BuildKit's attestations say what they are about, and are entries of the index.
                if !parts[1].iter().any(|(_, known)| *known == referrer) {
                    parts[kind].insert((subject.clone(), referrer));
                }
            }
        }
        Self(parts)
    }

    /// For each kind how many of these are there, of how many. The tag counts as one.
    pub(crate) fn kept(&self, there: &StoredRepository, root: &str) -> [(usize, usize); 7] {
        let found = Self::of(there, root);
        let mut counts = std::array::from_fn(|kind| {
            (self.0[kind].intersection(&found.0[kind]).count(), self.0[kind].len())
        });
        let is_tagged = there.tags.get(TAG).is_some_and(|digest| digest == root);
        counts[0] = (counts[0].0 + usize::from(is_tagged), counts[0].1 + 1);
        counts
    }
}
