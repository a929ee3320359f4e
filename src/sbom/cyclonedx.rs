//! A catalog as a CycloneDX 1.6 document, the same bytes for the same facts. It states nothing that
//! was not read, and calls nothing complete.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::catalog::{Catalog, CatalogedPackage};
use super::licence::Licence;
use super::package::{Ecosystem, Package, Supplier};
use super::spdx::{DocumentSubject, coverage, oci_purl, remarks};
use super::text::Text;

/// Of documents of this kind; a serial number is made from it and the content.
const FAMILY: &str = "https://cyclonedx.org/supply-action";
const LONGEST_VERSION: usize = 1024;
const IMAGE: &str = "image";
const DISTRIBUTION: &str = "distribution";
/// The property that tells what tells of a package.
pub(super) const READ_FROM: &str = "read-from";
/// Behind that, which packages of a Go module programs have.
pub(super) const LINKED: &str = "; linked: ";

/// The document as JSON text.
pub fn document(catalog: &Catalog, about: &DocumentSubject) -> String {
    let components = catalog.packages.iter().map(|listed| {
        let mut written = component(listed);
        let files: Vec<Value> = listed
            .files
            .iter()
            .filter_map(|path| Some(file(path, catalog.files.get(path)?)))
            .collect();
        if !files.is_empty() {
            written["components"] = Value::from(files);
        }
        written
    });
    let mut metadata = json!({
        "timestamp": about.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "lifecycles": [{ "phase": "post-build" }],
        "manufacturer": maker(),
        "tools": tools(),
        "component": image(about),
        "properties": [property("coverage", &coverage())],
    });
    if let Some(properties) = metadata["properties"].as_array_mut() {
        properties
            .extend(remarks(&catalog.warnings).iter().map(|remark| property("remark", remark)));
    }
    let mut document = Text::new(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        // Only what `coverage` names was looked for.
        "compositions": [{ "aggregate": "incomplete", "assemblies": [IMAGE] }, { "aggregate": "incomplete", "dependencies": [IMAGE] }],
    }));
    document.set_list("components", distribution(catalog).into_iter().chain(components));
    document.set_list("dependencies", dependencies(catalog));
    document.set("serialNumber", serial_number(&document.written()));
    document.written()
}

pub(super) fn tools() -> Value {
    json!({ "components": [{ "type": "application", "name": "supply-action", "version": env!("CARGO_PKG_VERSION") }] })
}

/// Who made the document: <https://cyclonedx.org/docs/1.6/json/#metadata_manufacturer>.
pub(super) fn maker() -> Value {
    json!({ "name": "supply-action", "url": [env!("CARGO_PKG_REPOSITORY")] })
}

/// Unique by content.
pub(super) fn serial_number(content: &str) -> String {
    let family = Uuid::new_v5(&Uuid::NAMESPACE_URL, FAMILY.as_bytes());
    format!("urn:uuid:{}", Uuid::new_v5(&family, content.as_bytes()))
}

fn image(about: &DocumentSubject) -> Value {
    let mut image = json!({ "type": "container", "bom-ref": IMAGE, "name": about.name });
    if let Some(supplier) = about.supplier.as_deref().and_then(Supplier::organization) {
        image["supplier"] = entity(&supplier);
    }
    if let Some(digest) = &about.digest {
        image["version"] = Value::from(digest.as_str());
        if let Some(hash) = digest.strip_prefix("sha256:") {
            image["purl"] = Value::from(oci_purl(&about.name, hash));
            image["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
        }
    }
    image
}

fn distribution(catalog: &Catalog) -> Option<Value> {
    let release = catalog.release.as_ref()?;
    let mut written =
        json!({ "type": "operating-system", "bom-ref": DISTRIBUTION, "name": release.id });
    if let Some(version) = &release.version {
        written["version"] = Value::from(version.as_str());
    }
    if let Some(name) = &release.name {
        written["description"] = Value::from(name.as_str());
    }
    Some(written)
}

fn component(listed: &CatalogedPackage) -> Value {
    let package = &listed.package;
    let (group, name) = group(package);
    let kind = if package.ecosystem == Ecosystem::Generic { "application" } else { "library" };
    // A purl is on one package only, so it is a good name for it in the document.
    let mut written =
        json!({ "type": kind, "bom-ref": listed.purl, "name": name, "purl": listed.purl });
    if let Some(group) = group {
        written["group"] = Value::from(group);
    }
    // The format has no longer ones; the purl has it whole.
    let version = package.version.as_deref();
    if let Some(version) = version.filter(|it| it.chars().count() <= LONGEST_VERSION) {
        written["version"] = Value::from(version);
    }
    if let Some(supplier) = &package.supplier {
        written["supplier"] = entity(supplier);
    }
    match &package.licence {
        Licence::Unknown => {}
        // An expression is valid whatever version of SPDX's list a reader has.
        Licence::Expression(expression) => {
            written["licenses"] =
                json!([{ "expression": expression, "acknowledgement": "declared" }]);
        }
        Licence::Named(words) => {
            written["licenses"] =
                json!([{ "license": { "name": words, "acknowledgement": "declared" } }])
        }
    }
    let hashes: Vec<Value> = package
        .common_checksums()
        .map(|(algorithm, value)| json!({ "alg": algorithm.in_cyclonedx(), "content": value }))
        .collect();
    if !hashes.is_empty() {
        written["hashes"] = Value::from(hashes);
    }
    let occurrences: Vec<Value> =
        listed.locations.iter().map(|path| json!({ "location": format!("/{path}") })).collect();
    written["evidence"] = json!({ "occurrences": occurrences });
    // A property of its own for each module would be a tenth of the document.
    let linked = package.linked.as_ref();
    let read_from = match linked.map(|linked| linked.written(&package.name)) {
        Some(linked) => format!("{}{LINKED}{linked}", package.told_by()),
        None => package.told_by().to_owned(),
    };
    let mut properties = vec![property(READ_FROM, &read_from)];
    properties.extend(package.notes.iter().map(|note| property("note", note)));
    properties.extend(listed.layers.iter().map(|layer| property("layer", layer)));
    written["properties"] = Value::from(properties);
    written
}

fn file(path: &str, sum: &str) -> Value {
    json!({ "type": "file", "name": format!("/{path}"), "hashes": [{ "alg": "SHA-1", "content": sum }] })
}

/// Where an ecosystem has groups, and CycloneDX's other writers split them off.
fn group(package: &Package) -> (Option<&str>, &str) {
    let name = package.name.as_str();
    let split = match package.ecosystem {
        Ecosystem::Maven => name.split_once(':'),
        Ecosystem::Npm if name.starts_with('@') => name.split_once('/'),
        Ecosystem::Composer => name.split_once('/'),
        _ => None,
    };
    match split {
        Some((group, name)) if !group.is_empty() && !name.is_empty() => (Some(group), name),
        _ => (None, name),
    }
}

/// A person is an entity with one contact, an organization one with a mail address.
fn entity(supplier: &Supplier) -> Value {
    match supplier {
        Supplier::Organization { name, email: None } => json!({ "name": name }),
        Supplier::Organization { name, email: Some(email) } => {
            json!({ "name": name, "contact": [{ "email": email }] })
        }
        Supplier::Person { name, email: None } => {
            json!({ "name": name, "contact": [{ "name": name }] })
        }
        Supplier::Person { name, email: Some(email) } => {
            json!({ "name": name, "contact": [{ "name": name, "email": email }] })
        }
    }
}

pub(super) fn property(name: &str, value: &str) -> Value {
    json!({ "name": format!("supply-action:{name}"), "value": value })
}

/// Enough packages to reach all the others from: those that no other needs, and one of each ring.
fn tops(catalog: &Catalog) -> Vec<usize> {
    let needed: BTreeSet<usize> = catalog.dependencies.iter().map(|(_, to)| *to).collect();
    let (free, rest): (Vec<usize>, Vec<usize>) =
        (0..catalog.packages.len()).partition(|index| !needed.contains(index));
    let mut reached = BTreeSet::new();
    let mut tops = Vec::new();
    for top in free.into_iter().chain(rest) {
        if reached.contains(&top) {
            continue;
        }
        tops.push(top);
        let mut ahead = vec![top];
        while let Some(package) = ahead.pop() {
            if reached.insert(package) {
                ahead.extend(
                    catalog
                        .dependencies
                        .range((package, 0)..=(package, usize::MAX))
                        .map(|(_, to)| *to),
                );
            }
        }
    }
    tops
}

/// Only those that are known: CycloneDX takes a component with an empty entry for one that depends
/// on nothing.
fn dependencies(catalog: &Catalog) -> Vec<Value> {
    let purl = |index: usize| catalog.packages.get(index).map(|listed| listed.purl.as_str());
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in
        catalog.dependencies.iter().filter_map(|(from, to)| Some((purl(*from)?, purl(*to)?)))
    {
        known.entry(from).or_default().push(to);
    }
    let tops: Vec<&str> = tops(catalog).into_iter().filter_map(purl).collect();
    known.insert(IMAGE, tops);
    known
        .into_iter()
        .map(|(from, mut to)| {
            to.sort_unstable();
            json!({ "ref": from, "dependsOn": to })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sbom::matchers::os_release::OsRelease;
    use crate::sbom::package::Algorithm;

    fn listed(ecosystem: Ecosystem, name: &str, purl: &str) -> CatalogedPackage {
        let package = Package { version: Some("1".into()), ..Package::named(ecosystem, name) };
        CatalogedPackage {
            package,
            purl: purl.into(),
            locations: BTreeSet::from(["lib/x".into()]),
            layers: BTreeSet::new(),
            files: BTreeSet::new(),
        }
    }

    fn written() -> Value {
        let mut jar = listed(Ecosystem::Maven, "org.x:y", "pkg:maven/org.x/y@1");
        jar.package.licence = Licence::Expression("MIT OR Apache-2.0".into());
        jar.package.supplier = Supplier::from_maintainer("A <a@b.example>");
        jar.package.add_checksum(Algorithm::Sha1, Some(&"AB".repeat(20)));
        let mut scoped = listed(Ecosystem::Npm, "@a/b", "pkg:npm/%40a/b@1");
        scoped.package.licence = Licence::Named("See LICENSE".into());
        scoped.package.notes.push("A note.".into());
        let packages = vec![jar, scoped, listed(Ecosystem::Generic, "node", "pkg:generic/node@1")];
        let catalog = Catalog {
            release: Some(OsRelease {
                id: "debian".into(),
                version: Some("12".into()),
                name: None,
            }),
            packages,
            dependencies: BTreeSet::from([(1, 2), (1, 0)]),
            warnings: vec!["a hint".into()],
            newest: None,
            files: Default::default(),
        };
        let about = DocumentSubject {
            name: "ghcr.io/o/App".into(),
            digest: Some("sha256:00ff".into()),
            supplier: Some("o".into()),
            ..DocumentSubject::default()
        };
        serde_json::from_str(&document(&catalog, &about)).unwrap()
    }

    #[test]
    fn a_version_that_the_format_does_not_have_is_in_the_purl_alone() {
        let version = |length: usize| {
            let mut listed = listed(Ecosystem::Npm, "a", "pkg:npm/a@1");
            listed.package.version = Some("1".repeat(length));
            component(&listed)["version"].as_str().map(str::len)
        };
        assert_eq!((version(1024), version(1025)), (Some(1024), None));
    }

    #[test]
    fn the_image_is_the_component_and_the_packages_are_its_components() {
        let document = written();
        let image = &document["metadata"]["component"];
        assert_eq!(
            (&image["type"], &image["version"]),
            (&json!("container"), &json!("sha256:00ff"))
        );
        assert_eq!(image["purl"], "pkg:oci/app@sha256:00ff?repository_url=ghcr.io%2Fo%2FApp");
        let components = document["components"].as_array().unwrap();
        assert_eq!(
            components[0],
            json!({ "type": "operating-system", "bom-ref": "distribution", "name": "debian", "version": "12" })
        );
        assert_eq!(
            components[1],
            json!({
                "type": "library", "bom-ref": "pkg:maven/org.x/y@1", "group": "org.x", "name": "y", "version": "1", "purl": "pkg:maven/org.x/y@1",
                "supplier": { "name": "A", "contact": [{ "name": "A", "email": "a@b.example" }] },
                "licenses": [{ "expression": "MIT OR Apache-2.0", "acknowledgement": "declared" }],
                "hashes": [{ "alg": "SHA-1", "content": "ab".repeat(20) }],
                "evidence": { "occurrences": [{ "location": "/lib/x" }] },
                "properties": [{ "name": "supply-action:read-from", "value": "Java archive" }],
            })
        );
        assert_eq!((&components[2]["group"], &components[2]["name"]), (&json!("@a"), &json!("b")));
        assert_eq!(components[2]["licenses"][0]["license"]["name"], "See LICENSE");
        assert_eq!(components[3]["type"], "application");
    }

    #[test]
    fn what_is_unknown_is_not_called_complete() {
        let document = written();
        assert_eq!(
            document["dependencies"],
            json!([
                { "ref": "image", "dependsOn": ["pkg:npm/%40a/b@1"] },
                { "ref": "pkg:npm/%40a/b@1", "dependsOn": ["pkg:generic/node@1", "pkg:maven/org.x/y@1"] },
            ])
        );
        assert!(
            document["compositions"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["aggregate"] == "incomplete")
        );
        let told = &document["metadata"]["properties"];
        assert!(told[0]["value"].as_str().unwrap().contains("Nothing else was looked for"));
        assert_eq!(told[1], json!({ "name": "supply-action:remark", "value": "a hint" }));
    }

    #[test]
    fn every_package_is_reached_from_the_image_rings_too() {
        let packages = ["a", "b", "c", "d"].map(|name| listed(Ecosystem::Apk, name, name)).to_vec();
        let dependencies = BTreeSet::from([(1, 2), (2, 1), (2, 3)]);
        assert_eq!(
            tops(&Catalog {
                release: None,
                packages,
                dependencies,
                warnings: vec![],
                newest: None,
                files: Default::default()
            }),
            [0, 1]
        );
    }

    #[test]
    fn the_same_facts_give_the_same_bytes_and_others_another_serial_number() {
        assert_eq!(written().to_string(), written().to_string());
        let none = Catalog {
            release: None,
            packages: vec![],
            dependencies: BTreeSet::new(),
            warnings: vec![],
            newest: None,
            files: Default::default(),
        };
        let other: Value =
            serde_json::from_str(&document(&none, &DocumentSubject::default())).unwrap();
        assert_ne!(other["serialNumber"], written()["serialNumber"]);
    }

    #[test]
    fn copies_that_differ_have_no_checksum() {
        let mut package = Package::named(Ecosystem::Maven, "a");
        for value in ["aa".repeat(20), "bb".repeat(20), "too short".to_owned()] {
            package.add_checksum(Algorithm::Sha1, Some(&value));
        }
        package.add_checksum(Algorithm::Sha256, Some(&"cc".repeat(32)));
        assert_eq!(
            package.common_checksums().collect::<Vec<_>>(),
            [(Algorithm::Sha256, "cc".repeat(32).as_str())]
        );
    }
}
