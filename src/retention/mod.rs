//! What is in a repository → what of it is kept, and why, and what may go, in which order. Pure: it
//! asks nobody and deletes nothing, and keeps whatever it is not sure of.

pub mod items;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use self::items::{ItemClass, RetainedItem};
use crate::image::Digest;

/// Everything that was found, by digest.
pub type Items = BTreeMap<Digest, RetainedItem>;

/// What is to be kept beside everything with a name.
#[derive(Debug, Clone)]
pub struct RetentionRules {
    /// The newest images, whether a name is left on them or not.
    pub keep: usize,
    /// What came later than this before now may belong to a publication that goes on.
    pub younger_than: SignedDuration,
    /// Evidence of what is not in the repository goes as well.
    pub orphans: bool,
    pub now: Timestamp,
}

/// Why something is kept; the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptBecause {
    Named,
    Newest,
    Young,
    TimeUnknown,
    /// Evidence of something that is not here: some keep it apart from images.
    Orphan,
    /// The newest scanner, which a build may be using.
    Scanner,
    /// It belongs to something that is kept.
    Part,
}

/// What becomes of everything.
#[derive(Debug, Default)]
pub struct RetentionDecision {
    pub kept: BTreeMap<Digest, KeptBecause>,
    /// Oldest first; each before its parts, its evidence last: an end half-way leaves no image
    /// without its evidence.
    pub deleted: Vec<Digest>,
}

/// Who names whom, both ways.
struct Graph<'a> {
    items: &'a Items,
    below: BTreeMap<&'a Digest, BTreeSet<&'a Digest>>,
    above: BTreeMap<&'a Digest, BTreeSet<&'a Digest>>,
}

/// Decides. Kept is what has a reason, all that belongs to it, and what it is about.
pub fn decide(items: &Items, rules: &RetentionRules) -> RetentionDecision {
    let graph = Graph::of(items);
    let mut kept: BTreeMap<Digest, KeptBecause> = BTreeMap::new();
    for (digest, why) in graph.reasons(rules) {
        let known = kept.entry(digest.clone()).or_insert(why);
        *known = why.min(*known);
    }
    let mut waiting: Vec<&Digest> =
        items.keys().filter(|digest| kept.contains_key(*digest)).collect();
    while let Some(digest) = waiting.pop() {
        // What evidence is about is kept with it, so that nothing that is kept is listed by
        // something that is not.
        let about = items
            .get(digest)
            .and_then(|item| item.about.as_ref())
            .and_then(|about| items.get_key_value(about))
            .map(|(key, _)| key);
        for next in graph.below.get(digest).into_iter().flatten().copied().chain(about) {
            if !kept.contains_key(next) {
                kept.insert(next.clone(), KeptBecause::Part);
                waiting.push(next);
            }
        }
    }
    let deleted = graph.in_order(&kept);
    RetentionDecision { kept, deleted }
}

impl<'a> Graph<'a> {
    fn of(items: &'a Items) -> Self {
        let mut graph = Self { items, below: BTreeMap::new(), above: BTreeMap::new() };
        for (digest, item) in items {
            // What is about a part of its own comes after it.
            let parts = item
                .parts
                .iter()
                .filter(|part| *part != digest && item.about.as_ref() != Some(*part));
            for below in parts.filter(|part| items.contains_key(*part)) {
                graph.tie(digest, below);
            }
            // Whether it is listed or not: a list may be behind.
            if let Some((about, _)) = item
                .about
                .as_ref()
                .and_then(|about| items.get_key_value(about))
                .filter(|(about, _)| *about != digest)
            {
                graph.tie(about, digest);
            }
        }
        graph
    }

    fn tie(&mut self, above: &'a Digest, below: &'a Digest) {
        self.below.entry(above).or_default().insert(below);
        self.above.entry(below).or_default().insert(above);
    }

    /// This and all that can be reached from it.
    fn reached(
        start: &'a Digest,
        ties: &BTreeMap<&'a Digest, BTreeSet<&'a Digest>>,
    ) -> BTreeSet<&'a Digest> {
        let mut reached = BTreeSet::from([start]);
        let mut waiting = vec![start];
        while let Some(digest) = waiting.pop() {
            waiting.extend(
                ties.get(digest).into_iter().flatten().copied().filter(|next| reached.insert(next)),
            );
        }
        reached
    }

    fn is_root(&self, digest: &Digest) -> bool {
        !self.above.contains_key(digest)
    }

    /// The latest time known of what belongs to this.
    fn time(&self, digest: &'a Digest) -> Option<Timestamp> {
        Self::reached(digest, &self.below)
            .into_iter()
            .filter_map(|part| self.items.get(part)?.time)
            .max()
    }

    fn reasons(&self, rules: &RetentionRules) -> Vec<(&'a Digest, KeptBecause)> {
        let mut reasons = Vec::new();
        let mut images = Vec::new();
        let mut scanners: BTreeMap<&str, (Option<Timestamp>, &Digest)> = BTreeMap::new();
        for (digest, item) in self.items {
            if !item.names.is_empty() {
                reasons.push((digest, KeptBecause::Named));
            }
            let age = item.time.map(|time| rules.now.duration_since(time));
            if age.is_some_and(|age| age < rules.younger_than) {
                reasons.extend(
                    Self::reached(digest, &self.above)
                        .into_iter()
                        .map(|above| (above, KeptBecause::Young)),
                );
            }
            if item.about.as_ref().is_some_and(|about| !self.items.contains_key(about))
                && !rules.orphans
            {
                reasons.push((digest, KeptBecause::Orphan));
            }
            let is_known = || {
                Self::reached(digest, &self.above)
                    .into_iter()
                    .any(|above| self.time(above).is_some())
            };
            if item.time.is_none() && !is_known() {
                reasons.push((digest, KeptBecause::TimeUnknown));
            }
            if !self.is_root(digest) {
                continue;
            }
            let time = self.time(digest);
            match &item.what {
                ItemClass::Scanner(of) => {
                    let newest = scanners.entry(of).or_insert((time, digest));
                    *newest = (*newest).max((time, digest));
                }
                ItemClass::Image | ItemClass::Other => images.push((time, digest)),
                ItemClass::Evidence | ItemClass::List => {}
            }
        }
        images.sort();
        reasons.extend(
            images
                .into_iter()
                .rev()
                .take(rules.keep)
                .map(|(_, digest)| (digest, KeptBecause::Newest)),
        );
        reasons.extend(scanners.into_values().map(|(_, digest)| (digest, KeptBecause::Scanner)));
        reasons
    }

    /// What is not kept: whatever names a manifest before it, images before evidence, one image
    /// after the other.
    fn in_order(&self, kept: &BTreeMap<Digest, KeptBecause>) -> Vec<Digest> {
        let going = |digest: &Digest| !kept.contains_key(digest);
        let mut roots: Vec<(Option<Timestamp>, &Digest)> = self
            .items
            .keys()
            .filter(|digest| {
                going(digest)
                    && !self.above.get(*digest).into_iter().flatten().any(|above| going(above))
            })
            .map(|digest| (self.time(digest), digest))
            .collect();
        roots.sort();
        let mut order: Vec<&Digest> = Vec::new();
        let mut done: BTreeSet<&Digest> = BTreeSet::new();
        let mut ready: Vec<&Digest> = roots.into_iter().rev().map(|(_, digest)| digest).collect();
        while let Some(digest) = ready.pop().or_else(|| self.entangled(kept, &done)) {
            if !done.insert(digest) {
                continue;
            }
            order.push(digest);
            let below = self.below.get(digest).into_iter().flatten().copied();
            let free = |next: &&Digest| {
                going(next)
                    && !self
                        .above
                        .get(*next)
                        .into_iter()
                        .flatten()
                        .any(|above| going(above) && !done.contains(above))
            };
            let mut next: Vec<&Digest> = below.filter(free).collect();
            // The last is taken first: images, and what lists evidence before what is listed.
            next.sort_by_key(|next| {
                std::cmp::Reverse(self.items.get(*next).map(|item| item.what.clone()))
            });
            ready.extend(next);
        }
        order.into_iter().cloned().collect()
    }

    /// Of what is left where things name each other in a circle: one whose subject is gone before
    /// it.
    fn entangled(
        &self,
        kept: &BTreeMap<Digest, KeptBecause>,
        done: &BTreeSet<&Digest>,
    ) -> Option<&'a Digest> {
        let left = |digest: &Digest| {
            self.items.contains_key(digest) && !kept.contains_key(digest) && !done.contains(digest)
        };
        let free = self
            .items
            .iter()
            .filter(|(digest, item)| left(digest) && !item.about.as_ref().is_some_and(left));
        free.min_by_key(|(_, item)| &item.what).map(|(digest, _)| digest)
    }
}
