//! What `prune` found and did → a table for people, a document for machines. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{PruneArguments, PruneOutcome, manifests};
use crate::image::Digest;
use crate::report::Report;
use crate::retention::{ItemClass, KeptBecause, RetainedItem};

impl PruneOutcome {
    pub(super) fn tell(&self, arguments: &PruneArguments, report: &Report) {
        if arguments.json {
            report.json(&self.json(arguments).to_string());
        } else {
            report.answer(&self.lines(arguments));
        }
    }

    /// Bytes of what goes and of the blobs that nothing else names.
    fn freed(&self) -> u64 {
        let blobs = |goes: bool| -> BTreeMap<&Digest, u64> {
            let items = self
                .found
                .items
                .iter()
                .filter(move |(digest, _)| self.decision.kept.contains_key(*digest) != goes);
            items
                .flat_map(|(_, item)| item.blobs.iter().map(|(digest, size)| (digest, *size)))
                .collect()
        };
        let stays = blobs(false);
        let going = blobs(true)
            .into_iter()
            .filter(|(digest, _)| !stays.contains_key(digest))
            .map(|(_, size)| size);
        let own = self
            .decision
            .deleted
            .iter()
            .filter_map(|digest| self.found.items.get(digest))
            .map(|item| item.size);
        going.chain(own).sum()
    }

    fn lines(&self, arguments: &PruneArguments) -> Vec<String> {
        let mut lines = Vec::new();
        let done = |at: usize| self.deleted.is_some_and(|deleted| at < deleted);
        for (at, digest) in self.decision.deleted.iter().enumerate() {
            let Some(item) = self.found.items.get(digest) else { continue };
            let verb = if done(at) {
                "deleted"
            } else if self.deleted.is_some() {
                "left"
            } else {
                "would go"
            };
            let time = item.time.map_or_else(
                || "no time known".to_owned(),
                |time| time.strftime("%Y-%m-%d %H:%M").to_string(),
            );
            lines.push(format!(
                "{verb:<9} {:<9} {time:<16} {digest}{}",
                what(item),
                digest_names(item)
            ));
        }
        let mut counted: BTreeMap<KeptBecause, usize> = BTreeMap::new();
        for (digest, why) in &self.decision.kept {
            if *why != KeptBecause::Part && self.found.items.contains_key(digest) {
                *counted.entry(*why).or_default() += 1;
            }
        }
        for (why, count) in &counted {
            lines.push(format!("kept      {:<9} {}", count, reason(*why, arguments)));
        }
        let (kept, going) = (self.decision.kept.len(), self.decision.deleted.len());
        lines.push(match self.deleted {
            None => {
                format!(
                    "{} would be deleted ({}), {kept} stay; nothing was deleted: add --delete",
                    manifests(going),
                    size(self.freed())
                )
            }
            Some(deleted) => format!(
                "{} deleted ({} with all of {going}), {kept} kept",
                manifests(deleted),
                size(self.freed())
            ),
        });
        if self.found.versions.is_none() {
            lines.push("found is only what tags and digest tags lead to, because this registry lists nothing else".to_owned());
        }
        lines
    }

    fn json(&self, arguments: &PruneArguments) -> serde_json::Value {
        let entry = |digest: &Digest| {
            let item = self.found.items.get(digest);
            json!({
                "digest": digest,
                "what": item.map(what),
                "tags": item.map(|item| &item.names),
                "digestTags": item.map(|item| &item.digest_names),
                "time": item.and_then(|item| item.time).map(|time| time.to_string()),
                "about": item.and_then(|item| item.about.as_ref()),
                "size": item.map(|item| item.size),
            })
        };
        let kept: Vec<serde_json::Value> = self
            .decision
            .kept
            .iter()
            .map(|(digest, why)| {
                let mut entry = entry(digest);
                entry["why"] = word(*why).into();
                entry
            })
            .collect();
        let deleted = self.deleted.unwrap_or_default();
        let (gone, left) = self.decision.deleted.split_at(deleted.min(self.decision.deleted.len()));
        json!({
            "repository": arguments.repository.to_string(),
            "dryRun": self.deleted.is_none(),
            "deleted": gone.iter().map(entry).collect::<Vec<_>>(),
            "toDelete": left.iter().map(entry).collect::<Vec<_>>(),
            "kept": kept,
            "totals": { "deleted": gone.len(), "toDelete": left.len(), "kept": kept.len(), "bytes": self.freed() },
            "everythingListed": self.found.versions.is_some(),
        })
    }
}

fn what(item: &RetainedItem) -> &'static str {
    match item.what {
        ItemClass::Image => "image",
        ItemClass::Scanner(_) => "scanner",
        ItemClass::Other => "artifact",
        ItemClass::List => "list",
        ItemClass::Evidence => "evidence",
    }
}

fn digest_names(item: &RetainedItem) -> String {
    let names: BTreeSet<String> = item
        .digest_names
        .iter()
        .map(|tag| tag.as_str().split_once('.').map_or("list", |(_, suffix)| suffix).to_owned())
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("  ({})", names.into_iter().collect::<Vec<_>>().join(", "))
    }
}

fn word(why: KeptBecause) -> &'static str {
    match why {
        KeptBecause::Named => "tagged",
        KeptBecause::Newest => "newest",
        KeptBecause::Young => "young",
        KeptBecause::TimeUnknown => "time-unknown",
        KeptBecause::Orphan => "orphan",
        KeptBecause::Scanner => "scanner",
        KeptBecause::Part => "part",
    }
}

fn reason(why: KeptBecause, arguments: &PruneArguments) -> String {
    match why {
        KeptBecause::Named => "with a tag".to_owned(),
        KeptBecause::Newest => format!("among the newest {}", arguments.keep),
        KeptBecause::Young => "too young, or with evidence that is".to_owned(),
        KeptBecause::TimeUnknown => "without a known age, because no evidence states it".to_owned(),
        KeptBecause::Orphan => {
            "evidence of images that are not here (--orphans deletes it, if nothing elsewhere \
             needs it)"
                .to_owned()
        }
        KeptBecause::Scanner => "SBOM scanner that a build may be using".to_owned(),
        KeptBecause::Part => "part of what is kept".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
