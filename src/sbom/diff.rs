//! Two lists of packages → what came, what went, what changed its version. It compares names and
//! versions, and never says which is newer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::foreign::ForeignPackage;
use super::table::printable;

/// How a second document differs from a first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub added: Vec<PackageChange>,
    pub removed: Vec<PackageChange>,
    pub changed: Vec<PackageChange>,
    /// Packages that are in both, in the same versions.
    pub same: usize,
}

/// One package; an unknown version is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// The type of its purl; empty without one.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    /// The versions that only the first has.
    pub from: Vec<Option<String>>,
    /// The versions that only the second has.
    pub to: Vec<Option<String>>,
    /// The versions that both have.
    pub beside: Vec<Option<String>>,
}

type Versions = BTreeSet<Option<String>>;

/// Compares the packages of two documents, whatever their order.
pub fn diff(before: &[ForeignPackage], after: &[ForeignPackage]) -> Diff {
    let mut packages: BTreeMap<(&str, &str), (Versions, Versions)> = BTreeMap::new();
    for entry in before {
        packages.entry((&entry.kind, &entry.name)).or_default().0.insert(entry.version.clone());
    }
    for entry in after {
        packages.entry((&entry.kind, &entry.name)).or_default().1.insert(entry.version.clone());
    }
    let mut diff = Diff::default();
    for ((kind, name), (before, after)) in packages {
        let only =
            |one: &Versions, other: &Versions| one.difference(other).cloned().collect::<Vec<_>>();
        let (from, to) = (only(&before, &after), only(&after, &before));
        let kept = before.intersection(&after).cloned().collect();
        let list = match (from.is_empty(), to.is_empty()) {
            (true, true) => {
                diff.same += 1;
                continue;
            }
            (true, false) => &mut diff.added,
            (false, true) => &mut diff.removed,
            (false, false) => &mut diff.changed,
        };
        list.push(PackageChange {
            kind: kind.to_owned(),
            name: name.to_owned(),
            from,
            to,
            beside: kept,
        });
    }
    diff
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Lines for people: one a package, then how many there were.
    pub fn table(&self) -> String {
        let lists =
            [("changed", &self.changed), ("added", &self.added), ("removed", &self.removed)];
        let rows: Vec<[String; 4]> = lists
            .iter()
            .flat_map(|(what, changes)| {
                changes.iter().map(move |change| {
                    let kind = if change.kind.is_empty() { "-" } else { &change.kind };
                    [
                        (*what).to_owned(),
                        printable(kind),
                        printable(&change.name),
                        printable(&change.versions()),
                    ]
                })
            })
            .collect();
        let widest = |column: usize| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let (whats, kinds, names) = (widest(0), widest(1), widest(2));
        let mut text: String = rows
            .iter()
            .map(|[what, kind, name, versions]| {
                format!("{what:whats$}  {kind:kinds$}  {name:names$}  {versions}\n")
            })
            .collect();
        let [changed, added, removed] = lists.map(|(_, changes)| changes.len());
        text.push_str(&format!(
            "{changed} changed, {added} added, {removed} removed, {} the same\n",
            self.same
        ));
        text
    }
}

impl PackageChange {
    fn versions(&self) -> String {
        let shown = |versions: &[Option<String>]| {
            versions
                .iter()
                .map(|version| version.as_deref().unwrap_or("(no version)"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = match (self.from.is_empty(), self.to.is_empty()) {
            (false, false) => format!("{} → {}", shown(&self.from), shown(&self.to)),
            (true, _) => shown(&self.to),
            (_, true) => shown(&self.from),
        };
        if self.beside.is_empty() {
            text
        } else {
            format!("{text} (beside {})", shown(&self.beside))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(listed: &[(&str, &str, &str)]) -> Vec<ForeignPackage> {
        let entry = |(kind, name, version): &(&str, &str, &str)| ForeignPackage {
            kind: (*kind).into(),
            name: (*name).into(),
            version: (!version.is_empty()).then(|| (*version).into()),
        };
        listed.iter().map(entry).collect()
    }

    #[test]
    fn packages_are_matched_by_type_and_name_and_keep_several_versions_apart() {
        let before = entries(&[
            ("deb", "libc6", "2.36"),
            ("deb", "same", "1"),
            ("npm", "lodash", "3.0.0"),
            ("npm", "lodash", "4.0.0"),
            ("npm", "ms", "1"),
            ("npm", "gone", "1"),
            ("golang", "app", ""),
        ]);
        let after = entries(&[
            ("npm", "lodash", "5.0.0"),
            ("npm", "lodash", "4.0.0"),
            ("npm", "ms", "2"),
            ("npm", "ms", "1"),
            ("deb", "same", "1"),
            ("deb", "libc6", "2.41"),
            ("gem", "gone", "1"),
            ("golang", "app", "v1"),
        ]);
        let found = diff(&before, &after);
        let expected = "changed  deb     libc6   2.36 → 2.41\n\
                        changed  golang  app     (no version) → v1\n\
                        changed  npm     lodash  3.0.0 → 5.0.0 (beside 4.0.0)\n\
                        added    gem     gone    1\n\
                        added    npm     ms      2 (beside 1)\n\
                        removed  npm     gone    1\n\
                        3 changed, 2 added, 1 removed, 1 the same\n";
        assert_eq!(found.table(), expected);
        assert!(diff(&before, &before).is_empty() && !found.is_empty());
        assert_eq!(
            serde_json::to_value(&found).unwrap()["changed"][1]["from"],
            serde_json::json!([null])
        );
    }
}
