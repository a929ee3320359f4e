//! A catalog, or another program's SBOM → what is scanned. It reads no file.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::findings::ScanSubject;
use super::owners::name_owners;
use crate::sbom::catalog::{Catalog, CatalogedPackage};
use crate::sbom::foreign::places::Places;
use crate::sbom::foreign::{self, ForeignError};
use crate::sbom::linked::LinkedPackages;

/// The packages of an image, each with the distribution's package that brought its files, where the
/// catalog lists those.
pub fn of_catalog(catalog: &Catalog, now: Timestamp) -> Vec<ScanSubject> {
    let owners: BTreeMap<&str, usize> = catalog
        .packages
        .iter()
        .enumerate()
        .filter(|(_, listed)| listed.package.ecosystem.is_distribution())
        .flat_map(|(at, listed)| listed.files.iter().map(move |file| (file.as_str(), at)))
        .collect();
    let subject = |listed: &CatalogedPackage| {
        let release = catalog.release.as_ref();
        let is_language = !listed.package.ecosystem.is_distribution();
        // Every file that tells of it must be somebody's: a copy beside is its own.
        let mut owned = listed.locations.iter().map(|path| owners.get(path.as_str()).copied());
        let owner = owned.next().flatten().filter(|first| owned.all(|next| next == Some(*first)));
        ScanSubject {
            paths: listed.locations.clone(),
            layers: listed.layers.clone(),
            owner: owner.filter(|_| is_language),
            ..ScanSubject::of(&listed.package, &listed.purl, release, now)
        }
    };
    catalog.packages.iter().map(subject).collect()
}

/// The packages that a document lists, by their purls.
pub fn of_document(bytes: &[u8], now: Timestamp) -> Result<Vec<ScanSubject>, ForeignError> {
    foreign::check(bytes)?;
    let packages = foreign::purls(bytes)?;
    let places = foreign::places::places(bytes);
    let subject = |(name, purl): &(String, Option<String>)| {
        let purl = purl.as_deref().unwrap_or_default();
        let Places { paths, layers, linked } = places.get(purl).cloned().unwrap_or_default();
        let subject = ScanSubject::of_purl(purl, name, now);
        let linked = linked.and_then(|text| LinkedPackages::read(&text, &subject.name));
        ScanSubject { paths, layers, linked, ..subject }
    };
    let mut subjects: Vec<ScanSubject> = packages.iter().map(subject).collect();
    name_owners(&mut subjects);
    Ok(subjects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::package::{Ecosystem, Package};
    use crate::sbom::spdx::DocumentSubject;
    use crate::sbom::{cyclonedx, spdx};

    fn listed(
        ecosystem: Ecosystem,
        name: &str,
        locations: &[&str],
        files: &[&str],
    ) -> CatalogedPackage {
        let mut package = Package::named(ecosystem, name);
        package.version = Some("1.0".into());
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        CatalogedPackage {
            purl: format!("pkg:{}/{name}@1.0", ecosystem.as_str()),
            package,
            locations: set(locations),
            layers: Default::default(),
            files: set(files),
        }
    }

    #[test]
    fn a_language_package_has_the_owner_of_all_its_files() {
        let python = ["usr/lib/a.dist-info/METADATA", "opt/a.dist-info/METADATA"];
        let catalog = |locations: &[&str]| Catalog {
            release: None,
            packages: vec![
                listed(Ecosystem::Deb, "python3-a", &["var/lib/dpkg/status"], &python[..1]),
                listed(Ecosystem::Pypi, "a", locations, &[]),
            ],
            dependencies: Default::default(),
            warnings: Vec::new(),
            newest: None,
            files: Default::default(),
        };
        let owner =
            |locations: &[&str]| of_catalog(&catalog(locations), Timestamp::UNIX_EPOCH)[1].owner;
        assert_eq!(owner(&python[..1]), Some(0));
        assert_eq!(owner(&python), None, "a copy is nobody's");
        assert_eq!(owner(&python[1..]), None);
    }

    #[test]
    fn a_document_is_read_by_its_purls() {
        let document = br#"{"bomFormat":"CycloneDX","specVersion":"1.5","components":[
            {"type":"library","name":"openssl","purl":"pkg:deb/debian/openssl@3.0.15-1~deb12u1?distro=debian-12"},
            {"type":"library","name":"mystery"}]}"#;
        let subjects = of_document(document, "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let named: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!(named, ["mystery", "openssl"]);
        assert!(subjects[0].inquiry.gap.is_some());
        assert_eq!(subjects[1].inquiry.questions[0].ecosystem, "Debian:12");
    }

    #[test]
    fn linked_packages_reach_a_scan_from_a_catalog_and_from_both_documents_of_it() {
        let mut module = listed(Ecosystem::Golang, "golang.org/x/crypto", &["bin/app"], &[]);
        let linked: LinkedPackages =
            ["golang.org/x/crypto/ssh", "golang.org/x/crypto"].iter().collect();
        module.package.linked = Some(linked.clone());
        module.package.notes = vec!["The go.sum hash is h1:`abc`.".to_owned()];
        let unknown = listed(Ecosystem::Golang, "golang.org/x/net", &["bin/app"], &[]);
        let catalog = Catalog {
            release: None,
            packages: vec![module, unknown],
            dependencies: Default::default(),
            warnings: Vec::new(),
            newest: None,
            files: Default::default(),
        };
        let about = DocumentSubject { name: "app".to_owned(), ..DocumentSubject::default() };
        let now = Timestamp::UNIX_EPOCH;
        let documents = [spdx::document(&catalog, &about), cyclonedx::document(&catalog, &about)];
        for document in documents {
            let subjects = of_document(document.as_bytes(), now).unwrap();
            let said: Vec<_> = subjects.iter().map(|it| (&*it.name, it.linked.clone())).collect();
            let expected =
                [("golang.org/x/crypto", Some(linked.clone())), ("golang.org/x/net", None)];
            assert_eq!(said, expected, "{document}");
        }
        assert_eq!(of_catalog(&catalog, now)[0].linked, Some(linked));
    }
}
