//! Files and the packages that brought them: what lists name is looked up among the files that are
//! there. It lists no file that no package owns, and none that is gone.

use std::collections::BTreeMap;

use super::catalog::PackagePlace;
use super::collect::CollectedPackages;
use super::matchers::owned::{Owned, Owner, beside};
use super::package::{Ecosystem, FoundPackage};
use super::source::Links;

/// The lists of an image with the paths of the files they are from, and the checksum of every file.
pub(super) struct FileLists {
    lists: Vec<(String, Owned)>,
    sums: BTreeMap<String, String>,
}

/// Packages by ecosystem, scope and name, and by the file that tells of them.
struct PackagesByFile<'a> {
    found: &'a [(PackagePlace, FoundPackage)],
    named: BTreeMap<(Ecosystem, &'a str, &'a str), Vec<usize>>,
    told: BTreeMap<&'a str, Vec<usize>>,
}

impl FileLists {
    /// Takes them out of what was collected.
    pub(super) fn of(collected: &mut CollectedPackages) -> Self {
        let (mut lists, mut sums) = (Vec::new(), BTreeMap::new());
        for (path, facts) in &mut collected.facts {
            sums.extend(facts.sum.take().map(|sum| (path.clone(), sum)));
            lists.extend(
                std::mem::take(&mut facts.owned).into_iter().map(|owned| (path.clone(), owned)),
            );
        }
        Self { lists, sums }
    }

    /// By their place in `found`, the packages that own files, and those with their checksums.
    pub(super) fn owned(
        &self,
        found: &[(PackagePlace, FoundPackage)],
        links: &Links,
    ) -> Vec<(usize, BTreeMap<String, String>)> {
        let packages = PackagesByFile::of(found);
        let mut owned = Vec::new();
        for (path, list) in &self.lists {
            let base = if list.owner == Owner::Beside { beside(path).1 } else { "" };
            let files: BTreeMap<String, String> = list
                .paths
                .iter()
                .filter_map(|file| real(&format!("{base}{file}"), links))
                .filter_map(|file| self.sums.get(&file).cloned().map(|sum| (file, sum)))
                .collect();
            owned.extend(
                packages.owners(path, &list.owner).into_iter().map(|index| (index, files.clone())),
            );
        }
        owned
    }
}

/// Where a file really is. Of its own name nothing is followed: a link has no contents.
fn real(path: &str, links: &Links) -> Option<String> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = links.resolve(parent)?;
    Some(if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") })
}

impl<'a> PackagesByFile<'a> {
    fn of(found: &'a [(PackagePlace, FoundPackage)]) -> Self {
        let (mut named, mut told) =
            (BTreeMap::<_, Vec<usize>>::new(), BTreeMap::<_, Vec<usize>>::new());
        for (index, (place, found)) in found.iter().enumerate() {
            named
                .entry((found.package.ecosystem, found.scope.as_str(), found.package.name.as_str()))
                .or_default()
                .push(index);
            told.entry(place.path.as_str()).or_default().push(index);
        }
        Self { found, named, told }
    }

    fn owners(&self, list: &str, owner: &Owner) -> Vec<usize> {
        match owner {
            Owner::Beside => self.told.get(beside(list).0.as_str()).cloned().unwrap_or_default(),
            Owner::ToldBy(path) => self.told.get(path.as_str()).cloned().unwrap_or_default(),
            Owner::Named { ecosystem, scope, name, arch, version } => {
                let fits = |index: &&usize| {
                    let Some((_, found)) = self.found.get(**index) else { return false };
                    let package = &found.package;
                    (arch.is_none() || *arch == package.arch)
                        && (version.is_none() || *version == package.version)
                };
                let named = self.named.get(&(*ecosystem, scope.as_str(), name.as_str()));
                named.into_iter().flatten().filter(fits).copied().collect()
            }
        }
    }
}
