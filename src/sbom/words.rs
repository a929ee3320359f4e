//! Several words about one package: which of them counts. It reads no file, and takes nothing away
//! that is told only once.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::PackagePlace;
use super::collect::CollectedPackages;
use super::matchers::{java, opkg, python, stated, store, wordpress};
use super::package::{Ecosystem, FoundPackage, Package, SOURCE_UNKNOWN};

/// Marks and descriptions that lie beside packages: what they tell is told of those, and they are no
/// packages themselves.
pub(super) fn take_from_beside(found: &mut Vec<(PackagePlace, FoundPackage)>) {
    let is_mark = |place: &PackagePlace, found: &FoundPackage| match found.package.ecosystem {
        Ecosystem::Pypi => python::is_request(&place.path),
        Ecosystem::Maven => java::module::is_module(&place.path),
        _ => false,
    };
    let marks: Vec<(PackagePlace, FoundPackage)> =
        found.extract_if(.., |(place, found)| is_mark(place, found)).collect();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut archives: BTreeMap<String, &Package> = BTreeMap::new();
    for (place, mark) in &marks {
        let names = mark.provides.iter().map(|name| format!("{}{name}", mark.scope));
        archives.extend(names.map(|archive| (archive, &mark.package)));
        asked.insert(place.path.replace("/REQUESTED", "/METADATA"));
    }
    for (place, FoundPackage { package, .. }) in found.iter_mut() {
        match package.ecosystem {
            Ecosystem::Pypi if asked.contains(&place.path) => {
                package.notes.push("Installed by name, not as a dependency.".to_owned());
            }
            Ecosystem::Maven if package.is_guess => {
                if let Some(stated) = archives.get(&place.path) {
                    package.name.clone_from(&stated.name);
                    package.version.clone_from(&stated.version);
                    package.is_guess = false;
                }
            }
            _ => {}
        }
    }
}

/// What the image's own databases and files say wins over what an SBOM in it states, and what is
/// installed over what came along.
pub(super) fn drop_weaker(found: &mut Vec<(PackagePlace, FoundPackage)>) {
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
            None if package.ecosystem == Ecosystem::Deb => {
                told.contains(&(package.ecosystem, spelt(package), package.version.clone()))
            }
            None => scoped.contains(&(package.ecosystem, found.scope.clone(), spelt(package))),
        };
        !is_told
    });
}

fn is_weak(place: &PackagePlace, found: &FoundPackage) -> bool {
    match found.package.ecosystem {
        _ if found.package.stated.is_some() => true,
        Ecosystem::Deb => found.package.notes.iter().any(|note| note == SOURCE_UNKNOWN),
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
pub(super) fn drop_locked(found: &mut Vec<(PackagePlace, FoundPackage)>, is_image: bool) {
    let is_system = |(_, found): &(PackagePlace, FoundPackage)| {
        let ecosystem = found.package.ecosystem;
        let installs =
            ecosystem.is_distribution() || ecosystem.is_store() || ecosystem == Ecosystem::Ebuild;
        installs && found.package.stated.is_none()
    };
    if is_image || found.iter().any(is_system) {
        found.retain(|(_, found)| !found.package.is_locked);
    }
}

/// What lies in a store is one package, wherever in it something was found.
pub(super) fn name_stores(
    found: &mut Vec<(PackagePlace, FoundPackage)>,
    collected: &CollectedPackages,
) {
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
    let mut linked: BTreeMap<String, FoundPackage> = BTreeMap::new();
    for path in links.filter(|path| !collected.exclude.matches(path)).take(store::MOST) {
        if let Some(own) = store::package_at(path).filter(|own| !known.contains(&own.scope)) {
            linked.insert(own.scope.clone(), own);
        }
    }
    found.extend(linked.into_iter().map(|(path, own)| (PackagePlace { path, layer: None }, own)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::catalog::Catalog;
    use crate::sbom::matchers::FileFacts;
    use crate::sbom::source::rootfs::Rootfs;

    /// Files, each with its packages.
    fn catalog(files: &[(&str, &[Package])], links: &[(&str, &str)]) -> Catalog {
        let mut collected = CollectedPackages::default();
        for (path, packages) in files {
            let scope = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let packages =
                packages.iter().map(|it| FoundPackage::alone(it.clone(), scope)).collect();
            collected
                .facts
                .insert((*path).to_owned(), FileFacts { packages, ..FileFacts::default() });
        }
        for (path, target) in links {
            collected.links.insert(path, target);
        }
        Catalog::from_collected(collected)
    }

    fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
        Package { version: Some(version.into()), ..Package::named(ecosystem, name) }
    }

    fn stated(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
        let package = package(ecosystem, name, version);
        let purl = format!("pkg:{}/stated/{name}@{version}", ecosystem.as_str());
        Package { stated: Some(purl), ..package }
    }

    fn purls(catalog: &Catalog) -> Vec<&str> {
        catalog.packages.iter().map(|listed| listed.purl.as_str()).collect()
    }

    #[test]
    fn what_the_images_own_databases_say_wins() {
        let rpm = Package {
            upstream: Some(crate::sbom::package::SourcePackage {
                name: "gcc-8.5.0-22.src.rpm".into(),
                version: None,
            }),
            ..package(Ecosystem::Rpm, "libgfortran", "8.5.0-22")
        };
        let found = catalog(
            &[
                ("var/lib/rpm/rpmdb.sqlite", &[rpm]),
                ("s/numpy.dist-info/METADATA", &[package(Ecosystem::Pypi, "Num_py", "2.0")]),
                (
                    "s/numpy.dist-info/sboms/a.cdx.json",
                    &[
                        stated(Ecosystem::Rpm, "libgfortran", "8.5.0-22"),
                        stated(Ecosystem::Rpm, "libgfortran", "8.5.0-1"),
                        stated(Ecosystem::Pypi, "num-py", "2.0"),
                    ],
                ),
                ("usr/bin/x", &[stated(Ecosystem::Rpm, "gcc", "8.5.0-22")]),
            ],
            &[],
        );
        assert_eq!(
            purls(&found),
            [
                "pkg:pypi/num-py@2.0",
                "pkg:rpm/stated/libgfortran@8.5.0-1",
                "pkg:rpm/libgfortran@8.5.0-22?upstream=gcc-8.5.0-22.src.rpm",
            ],
            "a wheel may bring another version than the distribution"
        );
    }

    #[test]
    fn a_document_of_a_distributions_package_is_not_newer_than_the_database() {
        let own = package(Ecosystem::Apk, "openssl", "3.3.1-r0");
        let old = stated(Ecosystem::Apk, "openssl", "3.3.0-r0");
        let document = "var/lib/db/sbom/openssl.spdx.json";
        let both = catalog(
            &[
                ("lib/apk/db/installed", std::slice::from_ref(&own)),
                (document, std::slice::from_ref(&old)),
            ],
            &[],
        );
        assert_eq!(purls(&both), ["pkg:apk/alpine/openssl@3.3.1-r0"]);
        assert_eq!(
            purls(&catalog(&[(document, &[old])], &[])),
            ["pkg:apk/stated/openssl@3.3.0-r0"]
        );
    }

    #[test]
    fn what_came_along_gives_way_to_what_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join("usr/lib/opkg/info");
        std::fs::create_dir_all(&info).unwrap();
        std::fs::write(info.join("a.control"), "Package: a\nVersion: 1\n").unwrap();
        let listed = || Catalog::of(&Rootfs::new(root.path())).unwrap();
        assert_eq!(purls(&listed()), ["pkg:opkg/a@1"]);
        let installed = "Package: a\nVersion: 2\nStatus: install ok installed\n";
        std::fs::write(root.path().join("usr/lib/opkg/status"), installed).unwrap();
        assert_eq!(purls(&listed()), ["pkg:opkg/a@2"]);
        let sliced =
            Package { notes: vec![SOURCE_UNKNOWN.into()], ..package(Ecosystem::Deb, "a", "1") };
        let whole = Package { notes: Vec::new(), ..sliced.clone() };
        let slices = ("var/lib/chisel/manifest.wall", std::slice::from_ref(&sliced));
        let both = catalog(&[("var/lib/dpkg/status", &[whole]), slices], &[]);
        assert_eq!((both.packages.len(), both.packages[0].package.notes.len()), (1, 0));
        assert_eq!(catalog(&[slices], &[]).packages.len(), 1);
        let plugin = |version| [package(Ecosystem::Wordpress, "a", version)];
        let (php, readme) = (plugin("2"), plugin("1"));
        let files: [(&str, &[Package]); 2] =
            [("wp-content/plugins/a/a.php", &php), ("wp-content/plugins/a/readme.txt", &readme)];
        assert_eq!(purls(&catalog(&files, &[])), ["pkg:wordpress/a@2"]);
        assert_eq!(purls(&catalog(&files[1..], &[])), ["pkg:wordpress/a@1"]);
    }

    #[test]
    fn lock_files_count_only_without_an_operating_system() {
        let locked = [Package { is_locked: true, ..package(Ecosystem::Npm, "a", "1") }];
        let deb = [package(Ecosystem::Deb, "b", "1")];
        let files: [(&str, &[Package]); 2] =
            [("yarn.lock", &locked), ("var/lib/dpkg/status", &deb)];
        assert_eq!(purls(&catalog(&files[..1], &[])), ["pkg:npm/a@1"]);
        assert_eq!(purls(&catalog(&files, &[])), ["pkg:deb/debian/b@1"]);
        let mut collected = CollectedPackages { is_image: true, ..CollectedPackages::default() };
        let found = locked.iter().map(|it| FoundPackage::alone(it.clone(), "")).collect();
        collected
            .facts
            .insert("yarn.lock".into(), FileFacts { packages: found, ..FileFacts::default() });
        assert!(Catalog::from_collected(collected).packages.is_empty());
    }

    #[test]
    fn marks_tell_of_what_lies_beside_them() {
        let requested = catalog(
            &[
                ("s/a-1.dist-info/METADATA", &[package(Ecosystem::Pypi, "a", "1")]),
                ("s/a-1.dist-info/REQUESTED", &[package(Ecosystem::Pypi, "a", "1")]),
                ("s/gone-1.dist-info/REQUESTED", &[package(Ecosystem::Pypi, "gone", "1")]),
            ],
            &[],
        );
        assert_eq!(purls(&requested), ["pkg:pypi/a@1"]);
        assert_eq!(
            requested.packages[0].package.notes,
            ["Installed by name, not as a dependency."]
        );
        let guess = Package { is_guess: true, ..package(Ecosystem::Maven, "okio", "3") };
        let mut collected = CollectedPackages::default();
        let module = FoundPackage {
            provides: vec!["okio-3.jar".into()],
            ..FoundPackage::alone(
                package(Ecosystem::Maven, "com.squareup.okio:okio", "3.9.0"),
                "lib/",
            )
        };
        for (path, found) in [
            ("lib/okio-3.jar", FoundPackage::alone(guess, "lib/okio-3.jar")),
            ("lib/okio-3.module", module),
        ] {
            collected
                .facts
                .insert(path.into(), FileFacts { packages: vec![found], ..FileFacts::default() });
        }
        let named = Catalog::from_collected(collected);
        assert_eq!(purls(&named), ["pkg:maven/com.squareup.okio/okio@3.9.0"]);
    }

    #[test]
    fn a_store_path_is_one_package_even_of_links() {
        const FIRST: &str = "nix/store/ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q-openssl-3.0.13";
        const SECOND: &str = "nix/store/0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r-env-1.0";
        let other = store::package_at(&format!("{SECOND}/x")).unwrap().package;
        let files = [format!("{FIRST}/bin/a"), format!("{FIRST}/lib/b")];
        let found = catalog(
            &[(&files[0], std::slice::from_ref(&other)), (&files[1], std::slice::from_ref(&other))],
            &[(&format!("{SECOND}/bin/a"), "/x"), (&format!("{FIRST}/c"), "d")],
        );
        assert_eq!(
            purls(&found),
            [
                "pkg:nix/env@1.0?outputhash=0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r",
                "pkg:nix/openssl@3.0.13?outputhash=ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q",
            ]
        );
        assert_eq!(found.packages[1].locations.iter().collect::<Vec<_>>(), [FIRST]);
    }
}
