//! Several words about one package: which of them counts. It reads no file, and takes nothing away
//! that is told only once.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Place;
use super::collect::Collected;
use super::matchers::{opkg, stated, store, wordpress};
use super::package::{Ecosystem, Found, Package};

/// What the image's own databases and files say wins over what an SBOM in it states, and what is
/// installed over what came along.
pub(super) fn drop_weaker(found: &mut Vec<(Place, Found)>) {
    if !found.iter().any(|(place, found)| is_weak(place, found)) {
        return;
    }
    let mut told: BTreeSet<(Ecosystem, String, Option<String>)> = BTreeSet::new();
    let mut scoped: BTreeSet<(Ecosystem, String, String)> = BTreeSet::new();
    for (_, found) in found.iter().filter(|(place, found)| !is_weak(place, found)) {
        let package = &found.package;
        let name = spelt(package);
        told.insert((package.ecosystem, name.clone(), package.version.clone()));
        told.insert((package.ecosystem, name, None));
        scoped.insert((package.ecosystem, found.scope.clone(), spelt(package)));
        // Notes in programs name the source.
        told.extend(source(package).map(|(name, version)| (package.ecosystem, name, version)));
    }
    found.retain(|(place, found)| {
        let package = &found.package;
        let is_told = match package.stated {
            _ if !is_weak(place, found) => false,
            // Documents of packages are about those of the distribution, whatever their version.
            Some(_) if stated::is_system(&place.path) && package.ecosystem.is_distribution() => {
                told.contains(&(package.ecosystem, spelt(package), None))
            }
            Some(_) => told.contains(&(package.ecosystem, spelt(package), package.version.clone())),
            None => scoped.contains(&(package.ecosystem, found.scope.clone(), spelt(package))),
        };
        !is_told
    });
}

fn is_weak(place: &Place, found: &Found) -> bool {
    match found.package.ecosystem {
        _ if found.package.stated.is_some() => true,
        Ecosystem::Opkg => opkg::is_control(&place.path),
        Ecosystem::Wordpress => wordpress::is_readme(&place.path),
        _ => false,
    }
}

/// Name and version of the source package, where it is another.
fn source(package: &Package) -> Option<(String, Option<String>)> {
    let upstream = package.upstream.as_ref()?;
    let whole = upstream.name.to_lowercase();
    match whole.strip_suffix(".src.rpm") {
        Some(file) => {
            let (rest, release) = file.rsplit_once('-')?;
            let (name, version) = rest.rsplit_once('-')?;
            Some((name.to_owned(), Some(format!("{version}-{release}"))))
        }
        None => {
            let version = upstream.version.clone().or_else(|| package.version.clone());
            Some((whole, version))
        }
    }
}

/// As names are compared: PyPI minds neither case nor kinds of dashes.
fn spelt(package: &Package) -> String {
    let lower = package.name.to_lowercase();
    match package.ecosystem {
        Ecosystem::Pypi => lower.replace(['_', '.'], "-"),
        _ => lower,
    }
}

/// What lock files name is no part of an image, and in a directory of sources it counts only where
/// no operating system is.
pub(super) fn drop_locked(found: &mut Vec<(Place, Found)>, is_image: bool) {
    let is_system = |(_, found): &(Place, Found)| {
        found.package.stated.is_none() && found.package.ecosystem.is_distribution()
    };
    if is_image || found.iter().any(is_system) {
        found.retain(|(_, found)| !found.package.is_locked);
    }
}

/// What lies in a store is one package, wherever in it something was found.
pub(super) fn name_stores(found: &mut Vec<(Place, Found)>, collected: &Collected) {
    let mut known = BTreeSet::new();
    found.retain_mut(|(place, found)| {
        if !found.package.ecosystem.is_store() || found.package.stated.is_some() {
            return true;
        }
        // A hard link may have brought another path's.
        let Some(own) = store::package_at(&place.path) else { return false };
        place.path = own.scope.clone();
        *found = own;
        known.insert(place.path.clone())
    });
    // Some have nothing in them but links.
    let links = collected.links.iter().map(|(path, _)| path);
    let mut linked: BTreeMap<String, Found> = BTreeMap::new();
    for path in links.filter(|path| !collected.exclude.matches(path)).take(store::MOST) {
        if let Some(own) = store::package_at(path).filter(|own| !known.contains(&own.scope)) {
            linked.insert(own.scope.clone(), own);
        }
    }
    found.extend(linked.into_iter().map(|(path, own)| (Place { path, layer: None }, own)));
}
