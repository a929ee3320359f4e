//! All packages of an image, once each and in order, with what depends on what. It reads no file:
//! it joins what was collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SbomError;
use super::collect::CollectedPackages;
use super::exclude::Exclude;
use super::files::FileLists;
use super::licence::Licence;
use super::matchers::os_release::{OsRelease, PLACES};
use super::matchers::{self, FileFacts, MATCHERS, chisel};
use super::maven::MavenRepository;
use super::node_modules;
use super::package::{Ecosystem, FoundPackage, Package, PackageNeed};
use super::purl;
use super::source::FileSource;
use super::words::{drop_locked, drop_weaker, name_stores, take_from_beside};

/// What an image contains, as far as was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub release: Option<OsRelease>,
    /// By ecosystem, name, version and purl.
    pub packages: Vec<CatalogedPackage>,
    /// Pairs of indices into `packages`: the first depends on the second.
    pub dependencies: BTreeSet<(usize, usize)>,
    /// Sentences about what is missing or assumed.
    pub warnings: Vec<String>,
    /// The newest modification time of a file that held packages, in seconds since 1970.
    pub newest: Option<i64>,
    /// Where they were asked for, the files that packages own, each with its SHA-1.
    pub files: BTreeMap<String, String>,
}

/// A package in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogedPackage {
    pub package: Package,
    /// No other package in the catalog has the same.
    pub purl: String,
    /// The files that told of it.
    pub locations: BTreeSet<String>,
    /// The diffIDs of the layers that brought it, where layers are known.
    pub layers: BTreeSet<String>,
    /// Of the catalog's files, those that the package brought.
    pub files: BTreeSet<String>,
}

/// Where a package was found.
pub(super) struct PackagePlace {
    pub(super) path: String,
    pub(super) layer: Option<Arc<str>>,
}

/// More than any document could hold; hostile names can make everything depend on everything.
const MOST_DEPENDENCIES: usize = 500_000;

/// What is looked for in every image, one phrase each.
pub fn looked_for() -> impl Iterator<Item = &'static str> {
    MATCHERS.iter().filter_map(|matcher| matcher.looks_for)
}

impl Catalog {
    /// Visits every file of the source.
    pub fn of(source: &dyn FileSource) -> Result<Self, SbomError> {
        Self::with(source, false, Exclude::default())
    }

    /// The same, with the files of packages where they are asked for, and without what is excluded.
    pub fn with(source: &dyn FileSource, files: bool, exclude: Exclude) -> Result<Self, SbomError> {
        let mut collected = CollectedPackages { files, exclude, ..CollectedPackages::default() };
        source.visit(&mut collected)?;
        Ok(Self::from_collected(collected))
    }

    /// The same of a tree that is known to be an image: lock files in it are somebody's sources.
    pub fn of_image(source: &dyn FileSource, files: bool) -> Result<Self, SbomError> {
        let mut collected =
            CollectedPackages { files, is_image: true, ..CollectedPackages::default() };
        source.visit(&mut collected)?;
        Ok(Self::from_collected(collected))
    }

    /// Joins the facts of one tree.
    pub fn from_collected(mut collected: CollectedPackages) -> Self {
        let release = release(&collected);
        let licences = licences(&collected);
        let owned = owned(&collected);
        let lists = FileLists::of(&mut collected);
        let is_image = release.is_some() || collected.is_image;
        let excluded = collected.exclude.patterns().iter();
        let mut warnings: Vec<String> = excluded
            .map(|pattern| {
                format!(
                    "files that match `{pattern}` were left out, as `--exclude` \
                asks"
                )
            })
            .collect();
        let mut found: Vec<(PackagePlace, FoundPackage)> = Vec::new();
        for (path, facts) in std::mem::take(&mut collected.facts) {
            warnings.extend(facts.warnings);
            let layers = collected.layers.remove(&path).unwrap_or_default();
            let mut layers = layers.into_iter();
            found.extend(facts.packages.into_iter().map(|package| {
                (PackagePlace { path: path.clone(), layer: layers.next() }, package)
            }));
        }
        let repository = MavenRepository::of(&collected.links);
        for (place, found) in &mut found {
            repository.name(&place.path, &mut found.package);
        }
        name_stores(&mut found, &collected);
        take_from_beside(&mut found);
        warnings.extend(nameless(&mut found));
        drop_weaker(&mut found);
        drop_locked(&mut found, is_image);
        for (_, found) in &mut found {
            let told = found
                .licence_at
                .as_deref()
                .and_then(|path| collected.links.resolve(path))
                .and_then(|path| licences.get(&path));
            if let (Licence::Unknown, Some(licence)) = (&found.package.licence, told) {
                found.package.licence = licence.clone();
            }
        }
        // What a package brought is listed as that package.
        found.retain(|(place, found)| {
            let is_told_by_itself = match found.package.ecosystem {
                Ecosystem::Generic => true,
                Ecosystem::Nuget => found.package.is_guess,
                _ => false,
            };
            !is_told_by_itself || !owned.contains(&place.path)
        });
        if release.is_none() {
            warnings.extend(assumed_distributions(&found));
        }
        let owned = lists.owned(&found, &collected.links);
        let mut dependencies = dependencies(&found);
        let room = MOST_DEPENDENCIES.saturating_sub(dependencies.len());
        let loaded = node_modules::dependencies(&found, &collected.links, room);
        dependencies.extend(loaded.pairs);
        if dependencies.len() > MOST_DEPENDENCIES || loaded.is_cut {
            warnings.push(
                "there are more dependencies than a document can hold, so some are not listed"
                    .to_owned(),
            );
        }
        let (mut packages, places) = once_each(found, release.as_ref());
        let mut files = BTreeMap::new();
        for (index, owned) in owned {
            if let Some(listed) = places.get(index).and_then(|place| packages.get_mut(*place)) {
                listed.files.extend(owned.keys().cloned());
                files.extend(owned);
            }
        }
        let dependencies = dependencies
            .into_iter()
            .filter_map(|(from, to)| Some((*places.get(from)?, *places.get(to)?)));
        let dependencies = dependencies.filter(|(from, to)| from != to).collect();
        Self { release, packages, dependencies, warnings, newest: collected.newest, files }
    }
}

/// Takes out packages without a name, which no document may list; says where they were.
fn nameless(found: &mut Vec<(PackagePlace, FoundPackage)>) -> Vec<String> {
    let mut places = BTreeSet::new();
    found.retain(|(place, found)| {
        let named = !found.package.name.trim().is_empty();
        if !named {
            places.insert(place.path.clone());
        }
        named
    });
    places
        .into_iter()
        .map(|path| format!("`{path}` has a package without a name, which is not listed"))
        .collect()
}

fn release(collected: &CollectedPackages) -> Option<OsRelease> {
    let places = PLACES.iter().filter_map(|place| collected.links.resolve(place));
    let stated = places.filter_map(|place| collected.facts.get(&place)?.release.clone()).next();
    // Chisel cuts the packages of Ubuntu alone.
    let is_cut = |(path, facts): (&String, &FileFacts)| {
        chisel::is_manifest(path) && matchers::is_own(path) && !facts.packages.is_empty()
    };
    stated.or_else(|| {
        let release = OsRelease { id: "ubuntu".to_owned(), version: None, name: None };
        collected.facts.iter().any(is_cut).then_some(release)
    })
}

fn licences(collected: &CollectedPackages) -> BTreeMap<String, Licence> {
    let told = collected
        .facts
        .iter()
        .filter_map(|(path, facts)| Some((path.clone(), facts.licence.clone()?)));
    told.collect()
}

fn owned(collected: &CollectedPackages) -> BTreeSet<String> {
    let named = collected.facts.values().flat_map(|facts| &facts.owns);
    named.filter_map(|path| collected.links.resolve(path)).collect()
}

fn assumed_distributions(found: &[(PackagePlace, FoundPackage)]) -> Vec<String> {
    let read = found.iter().filter(|(_, found)| found.package.stated.is_none());
    let ecosystems: BTreeSet<Ecosystem> = read.map(|(_, found)| found.package.ecosystem).collect();
    let assumed =
        ecosystems.into_iter().filter(|ecosystem| !purl::default_namespace(*ecosystem).is_empty());
    assumed
        .map(|ecosystem| {
            format!(
                "there is no os-release, so {} packages are assumed to be of {}",
                ecosystem.as_str(),
                purl::default_namespace(ecosystem)
            )
        })
        .collect()
}

/// Merges packages with the same purl; also tells where each of `found` went.
fn once_each(
    found: Vec<(PackagePlace, FoundPackage)>,
    release: Option<&OsRelease>,
) -> (Vec<CatalogedPackage>, Vec<usize>) {
    type Key = (Ecosystem, String, Option<String>, String);
    let mut listed: BTreeMap<Key, CatalogedPackage> = BTreeMap::new();
    let mut by_purl: BTreeMap<String, Key> = BTreeMap::new();
    let mut keys: Vec<Key> = Vec::with_capacity(found.len());
    for (place, found) in found {
        let package = found.package;
        let purl = purl::of(&package, release);
        // One spelt in two ways, such as `Zope_x` and `zope.x`, has one purl and is one package.
        let fresh =
            || (package.ecosystem, package.name.clone(), package.version.clone(), purl.clone());
        let key = by_purl.entry(purl.clone()).or_insert_with(fresh).clone();
        match listed.get_mut(&key) {
            Some(known) => {
                known.locations.insert(place.path);
                known.layers.extend(place.layer.map(|layer| layer.to_string()));
                merge(&mut known.package, package);
            }
            None => {
                let layers = place.layer.iter().map(ToString::to_string).collect();
                listed.insert(
                    key.clone(),
                    CatalogedPackage {
                        package,
                        purl,
                        locations: BTreeSet::from([place.path]),
                        layers,
                        files: BTreeSet::new(),
                    },
                );
            }
        }
        keys.push(key);
    }
    let order: BTreeMap<&Key, usize> =
        listed.keys().enumerate().map(|(index, key)| (key, index)).collect();
    let places = keys.iter().filter_map(|key| order.get(key).copied()).collect();
    (listed.into_values().collect(), places)
}

/// The first to tell is right; others fill gaps.
fn merge(known: &mut Package, other: Package) {
    known.supplier = known.supplier.take().or(other.supplier);
    if known.licence == Licence::Unknown {
        known.licence = other.licence;
    }
    known.checksums.extend(other.checksums);
    known.linked = known.linked.take().zip(other.linked).map(|(one, other)| one.or(other));
    for note in other.notes {
        if !known.notes.contains(&note) {
            known.notes.push(note);
        }
    }
}

/// Packages of one scope, by what they answer to.
#[derive(Default)]
struct PackageScope<'a> {
    names: BTreeMap<&'a str, Vec<usize>>,
    provided: BTreeMap<&'a str, Vec<usize>>,
}

/// Pairs of indices into `found`: the first depends on the second.
fn dependencies(found: &[(PackagePlace, FoundPackage)]) -> BTreeSet<(usize, usize)> {
    let mut scopes: BTreeMap<(Ecosystem, &str), PackageScope<'_>> = BTreeMap::new();
    for (index, (_, found)) in found.iter().enumerate() {
        let scope = scopes.entry((found.package.ecosystem, &found.scope)).or_default();
        scope.names.entry(&found.package.name).or_default().push(index);
        for name in &found.provides {
            scope.provided.entry(name).or_default().push(index);
        }
    }
    let mut pairs = BTreeSet::new();
    for (index, (_, needing)) in found.iter().enumerate() {
        let Some(scope) = scopes.get(&(needing.package.ecosystem, needing.scope.as_str())) else {
            continue;
        };
        // Every installed alternative counts: nothing tells which one is used.
        for need in needing.requires.iter().flatten().collect::<BTreeSet<_>>() {
            if pairs.len() > MOST_DEPENDENCIES {
                return pairs;
            }
            pairs.extend(
                candidates(scope, need, needing, found)
                    .into_iter()
                    .map(|candidate| (index, candidate)),
            );
        }
    }
    pairs
}

/// Packages of that name, or else those that provide it; of the wanted or the same architecture if
/// there are any.
fn candidates(
    scope: &PackageScope<'_>,
    need: &PackageNeed,
    needing: &FoundPackage,
    found: &[(PackagePlace, FoundPackage)],
) -> Vec<usize> {
    let name = need.name.as_str();
    let Some(candidates) = scope.names.get(name).or_else(|| scope.provided.get(name)) else {
        return Vec::new();
    };
    let wanted = need.arch.as_deref().or(needing.package.arch.as_deref());
    let fits = |index: &&usize| {
        let arch = found.get(**index).and_then(|(_, found)| found.package.arch.as_deref());
        arch == wanted || arch == Some("all")
    };
    let fitting: Vec<usize> = candidates.iter().filter(fits).copied().collect();
    if fitting.is_empty() { candidates.clone() } else { fitting }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, arch: &str, provides: &[&str], requires: &[&[&str]]) -> FoundPackage {
        FoundPackage {
            package: Package {
                version: Some("1".into()),
                arch: Some(arch.into()),
                ..Package::named(Ecosystem::Deb, name)
            },
            scope: String::new(),
            provides: provides.iter().map(ToString::to_string).collect(),
            requires: requires
                .iter()
                .map(|need| need.iter().map(|name| PackageNeed::named(*name)).collect())
                .collect(),
            licence_at: Some(format!("usr/share/doc/{name}/copyright")),
        }
    }

    fn catalog(facts: &[(&str, FileFacts)], links: &[(&str, &str)]) -> Catalog {
        let mut collected = CollectedPackages::default();
        collected
            .facts
            .extend(facts.iter().map(|(path, facts)| ((*path).to_owned(), facts.clone())));
        for (path, target) in links {
            collected.links.insert(path, target);
        }
        Catalog::from_collected(collected)
    }

    fn packages(packages: &[FoundPackage]) -> FileFacts {
        FileFacts { packages: packages.to_vec(), ..FileFacts::default() }
    }

    #[test]
    fn needs_are_met_by_name_then_by_provision_in_the_same_architecture() {
        let check = |installed: &[FoundPackage], expected: &[(&str, &str)]| {
            let catalog = catalog(&[("status", packages(installed))], &[]);
            let label = |index: usize| {
                format!(
                    "{}:{}",
                    catalog.packages[index].package.name,
                    catalog.packages[index].package.arch.as_deref().unwrap()
                )
            };
            let pairs: Vec<(String, String)> =
                catalog.dependencies.iter().map(|(from, to)| (label(*from), label(*to))).collect();
            let expected: Vec<(String, String)> =
                expected.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
            assert_eq!(pairs, expected);
        };
        let needs_b = found("a", "amd64", &[], &[&["b"]]);
        check(&[needs_b.clone(), found("b", "amd64", &[], &[])], &[("a:amd64", "b:amd64")]);
        check(
            &[needs_b.clone(), found("b", "amd64", &[], &[]), found("c", "amd64", &["b"], &[])],
            &[("a:amd64", "b:amd64")],
        );
        check(&[needs_b.clone(), found("c", "all", &["b"], &[])], &[("a:amd64", "c:all")]);
        check(
            &[needs_b.clone(), found("b", "amd64", &[], &[]), found("b", "i386", &[], &[])],
            &[("a:amd64", "b:amd64")],
        );
        check(&[needs_b.clone(), found("b", "i386", &[], &[])], &[("a:amd64", "b:i386")]);
        check(&[needs_b], &[]);
        let either = found("a", "amd64", &[], &[&["b", "c"]]);
        let both = [either, found("b", "all", &[], &[]), found("c", "all", &[], &[])];
        check(&both, &[("a:amd64", "b:all"), ("a:amd64", "c:all")]);
        check(&[found("a", "all", &["self"], &[&["self"]])], &[]);
    }

    #[test]
    fn a_package_without_a_name_is_told_and_not_listed() {
        let all = packages(&[
            found(" ", "amd64", &[], &[]),
            found("a", "amd64", &[], &[&["b"]]),
            found("b", "amd64", &[], &[]),
        ]);
        let catalog = catalog(&[("etc/os-release", FileFacts::default()), ("status", all)], &[]);
        let names: Vec<&str> =
            catalog.packages.iter().map(|listed| listed.package.name.as_str()).collect();
        assert_eq!((names, catalog.dependencies), (vec!["a", "b"], BTreeSet::from([(0, 1)])));
        assert_eq!(
            catalog.warnings[0],
            "`status` has a package without a name, which is not listed"
        );
    }

    #[test]
    fn one_package_spelt_in_two_ways_is_listed_once() {
        let python = |name: &str| {
            let package =
                Package { version: Some("1".into()), ..Package::named(Ecosystem::Pypi, name) };
            packages(&[FoundPackage::alone(package, "")])
        };
        let catalog = catalog(&[("a", python("Zope_x")), ("b", python("zope.x"))], &[]);
        assert_eq!(catalog.packages.len(), 1);
        assert_eq!(
            (catalog.packages[0].package.name.as_str(), catalog.packages[0].locations.len()),
            ("Zope_x", 2)
        );
    }

    #[test]
    fn one_package_in_two_files_is_listed_once() {
        let one = packages(&[found("a", "all", &[], &[])]);
        let catalog = catalog(&[("x", one.clone()), ("y", one)], &[]);
        assert_eq!(catalog.packages.len(), 1);
        assert_eq!(catalog.packages[0].locations.iter().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn of_two_programs_the_linked_packages_of_a_module_are_those_of_both_if_both_tell() {
        let module = |linked: Option<&str>| {
            let mut module = Package::named(Ecosystem::Golang, "x.y/z");
            module.linked = linked.map(|path| [path].iter().collect());
            packages(&[FoundPackage::alone(module, "")])
        };
        let linked = |one: Option<&str>, other: Option<&str>| {
            let catalog = catalog(&[("a", module(one)), ("b", module(other))], &[]);
            assert_eq!(catalog.packages.len(), 1);
            catalog.packages[0].package.linked.clone().map(|linked| linked.written("x.y/z"))
        };
        let both = linked(Some("x.y/z/a"), Some("x.y/z/b"));
        assert_eq!(both.as_deref(), Some("a,b"));
        assert_eq!((linked(Some("x.y/z/a"), None), linked(None, Some("x.y/z/a"))), (None, None));
    }

    #[test]
    fn licences_and_the_release_are_found_through_links() {
        let licence =
            FileFacts { licence: Some(Licence::Expression("MIT".into())), ..FileFacts::default() };
        let release = FileFacts {
            release: Some(OsRelease { id: "debian".into(), version: None, name: None }),
            ..FileFacts::default()
        };
        let catalog = catalog(
            &[
                ("status", packages(&[found("a", "all", &[], &[])])),
                ("usr/share/doc/b/copyright", licence),
                ("usr/lib/os-release", release),
            ],
            &[("usr/share/doc/a", "b"), ("etc/os-release", "/usr/lib/os-release")],
        );
        assert_eq!(catalog.packages[0].package.licence, Licence::Expression("MIT".into()));
        assert_eq!(catalog.packages[0].purl, "pkg:deb/debian/a@1?arch=all&distro=debian");
        assert!(catalog.warnings.is_empty());
    }

    #[test]
    fn programs_that_a_package_owns_are_not_listed_again() {
        let program = |name: &str| {
            packages(&[FoundPackage::alone(Package::named(Ecosystem::Generic, name), "")])
        };
        let owner = FileFacts { owns: vec!["bin/perl".into()], ..FileFacts::default() };
        let catalog = catalog(
            &[
                ("usr/bin/perl", program("perl")),
                ("opt/perl", program("own")),
                ("info/a.list", owner),
            ],
            &[("bin", "usr/bin")],
        );
        let names: Vec<&str> =
            catalog.packages.iter().map(|listed| listed.package.name.as_str()).collect();
        assert_eq!(names, ["own"]);
    }

    #[test]
    fn what_chisel_cut_is_of_ubuntu() {
        let cut = packages(&[found("a", "all", &[], &[])]);
        let of = |path: &str| catalog(&[(path, cut.clone())], &[]).packages[0].purl.clone();
        assert_eq!(of("var/lib/chisel/manifest.wall"), "pkg:deb/ubuntu/a@1?arch=all&distro=ubuntu");
        assert_eq!(of("opt/x/manifest.wall"), "pkg:deb/debian/a@1?arch=all");
    }

    #[test]
    fn an_assumed_distribution_is_told() {
        let catalog = catalog(&[("status", packages(&[found("a", "all", &[], &[])]))], &[]);
        assert_eq!(
            catalog.warnings,
            ["there is no os-release, so deb packages are assumed to be of debian"]
        );
    }
}
