//! Records by the package that they are about, and which of their ids mean one flaw. What it answers
//! does not depend on the order in which records came.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::question::{AdvisoryQuestion, key};
use super::record::AdvisoryRecord;

/// All records at hand, once each.
#[derive(Debug, Clone, Default)]
pub struct AdvisoryRecords {
    records: Vec<AdvisoryRecord>,
    by_id: HashMap<String, usize>,
    by_package: HashMap<(String, String), Vec<usize>>,
}

impl AdvisoryRecords {
    /// Takes a record; of two with one id, the one that was modified last.
    pub fn add(&mut self, record: AdvisoryRecord) {
        let known = self.by_id.get(&record.id).copied();
        let place = known.unwrap_or(self.records.len());
        if self.records.get(place).is_some_and(|known| known.modified >= record.modified) {
            return;
        }
        let packages = record.affected.iter().filter_map(|affected| affected.package.as_ref());
        let keys: BTreeSet<(String, String)> =
            packages.map(|package| key(&package.ecosystem, &package.name)).collect();
        for key in keys {
            let places = self.by_package.entry(key).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        match self.records.get_mut(place) {
            Some(known) => *known = record,
            None => {
                self.by_id.insert(record.id.clone(), place);
                self.records.push(record);
            }
        }
    }

    pub fn get(&self, id: &str) -> Option<&AdvisoryRecord> {
        self.by_id.get(id).and_then(|at| self.records.get(*at))
    }

    pub fn iter(&self) -> impl Iterator<Item = &AdvisoryRecord> {
        self.records.iter()
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// When the newest of them was modified.
    pub fn newest(&self) -> Option<Timestamp> {
        self.records.iter().filter_map(|record| record.modified).max()
    }

    /// Those that name the package, whatever they say of its version.
    pub(super) fn about(
        &self,
        question: &AdvisoryQuestion,
    ) -> impl Iterator<Item = &AdvisoryRecord> {
        let found = self.by_package.get(&question.key()).map(Vec::as_slice).unwrap_or_default();
        found.iter().filter_map(|at| self.records.get(*at))
    }
}

impl FromIterator<AdvisoryRecord> for AdvisoryRecords {
    fn from_iter<I: IntoIterator<Item = AdvisoryRecord>>(records: I) -> Self {
        let mut all = Self::default();
        all.extend(records);
        all
    }
}

impl Extend<AdvisoryRecord> for AdvisoryRecords {
    fn extend<I: IntoIterator<Item = AdvisoryRecord>>(&mut self, records: I) {
        records.into_iter().for_each(|record| self.add(record));
    }
}

/// Flaws, each with all the ids that mean it.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    places: HashMap<String, usize>,
    /// Of each id, the place of another one that means the same, or its own.
    parents: Vec<usize>,
    members: BTreeMap<usize, BTreeSet<String>>,
}

/// Distributions call what they say of a CVE by its id and their own name.
const OWN_NAMES: [&str; 3] = ["ALPINE-", "DEBIAN-", "UBUNTU-"];

impl Flaws {
    pub(super) fn of(records: &AdvisoryRecords) -> Self {
        let mut flaws = Self::default();
        for record in records.iter().filter(|record| record.withdrawn.is_none()) {
            flaws.place(&record.id);
            for alias in &record.aliases {
                flaws.join(&record.id, alias);
            }
            for id in about(record) {
                flaws.place(id);
            }
        }
        for (id, place) in flaws.places.clone() {
            let root = flaws.shortened(place);
            flaws.members.entry(root).or_default().insert(id);
        }
        flaws
    }

    fn place(&mut self, id: &str) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let place = self.parents.len();
        self.parents.push(place);
        self.places.insert(id.to_owned(), place);
        let plain = OWN_NAMES.iter().find_map(|name| id.strip_prefix(name));
        if let Some(plain) = plain.filter(|plain| plain.starts_with("CVE-")) {
            self.join(id, plain);
        }
        place
    }

    fn parent(&self, place: usize) -> usize {
        self.parents.get(place).copied().unwrap_or(place)
    }

    /// The place that stands for all that mean the same.
    fn root(&self, mut place: usize) -> usize {
        while self.parent(place) != place {
            place = self.parent(place);
        }
        place
    }

    /// The same; the way there is shorter for whoever asks next.
    fn shortened(&mut self, place: usize) -> usize {
        let root = self.root(place);
        let mut place = place;
        while place != root {
            let next = self.parent(place);
            if let Some(parent) = self.parents.get_mut(place) {
                *parent = root;
            }
            place = next;
        }
        root
    }

    fn join(&mut self, one: &str, other: &str) {
        let (one, other) = (self.place(one), self.place(other));
        let (one, other) = (self.shortened(one), self.shortened(other));
        if let Some(parent) = self.parents.get_mut(one.max(other)) {
            *parent = one.min(other);
        }
    }

    /// The flaws that a record is about: its own, or those of what its distributor took it from,
    /// however far away.
    pub(super) fn of_record(
        &self,
        record: &AdvisoryRecord,
        records: &AdvisoryRecords,
    ) -> BTreeSet<usize> {
        let mut flaws = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = vec![&record.id];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let next = records.get(id).map(about).unwrap_or_default();
            let is_named = OWN_NAMES.iter().any(|name| id.starts_with(name));
            if next.is_empty() || is_named {
                flaws.extend(self.places.get(id).map(|place| self.root(*place)));
            } else {
                waiting.extend(next);
            }
        }
        flaws
    }

    /// All ids that mean the flaw.
    pub(super) fn members(&self, flaw: usize) -> impl Iterator<Item = &str> {
        self.members.get(&flaw).into_iter().flatten().map(String::as_str)
    }
}

/// What a distributor's record is about. AlmaLinux says so under `related`.
fn about(record: &AdvisoryRecord) -> Vec<&str> {
    let is_almalinux = ["ALBA-", "ALEA-", "ALSA-"].iter().any(|kind| record.id.starts_with(kind));
    let ids = match record.upstream.is_empty() && is_almalinux {
        true => &record.related,
        false => &record.upstream,
    };
    let ids = ids.iter().map(String::as_str);
    match is_almalinux {
        true => ids.filter(|id| id.starts_with("CVE-")).collect(),
        false => ids.collect(),
    }
}
