//! Profiles on documents of this program, on documents that state everything, and on odd ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sbom::catalog::Catalog;
use crate::sbom::collect::CollectedPackages;
use crate::sbom::matchers::npm;
use crate::sbom::{cyclonedx, spdx};

fn missing(document: &Value, profile: Profile) -> Vec<(Element, usize)> {
    let judged = judge(document.to_string().as_bytes(), profile).unwrap();
    judged.missing.iter().map(|it| (it.element, it.count)).collect()
}

fn catalog() -> Catalog {
    let mut collected = CollectedPackages::default();
    let mut add = |path: &str, text: &str| {
        let facts = npm::read(path, text.as_bytes()).unwrap();
        collected.facts.insert(path.to_owned(), facts);
    };
    add(
        "node_modules/a/package.json",
        r#"{"name":"a","version":"1.0.0","license":"MIT","author":"A <a@b.example>","dependencies":{"b":"1"}}"#,
    );
    add("node_modules/b/package.json", r#"{"name":"b","version":"1.0.0"}"#);
    Catalog::from_collected(collected)
}

fn about() -> spdx::DocumentSubject {
    spdx::DocumentSubject {
        name: "ghcr.io/o/app".into(),
        digest: Some(format!("sha256:{}", "00ff".repeat(16))),
        supplier: Some("o".into()),
        ..spdx::DocumentSubject::default()
    }
}

#[test]
fn what_our_own_spdx_lacks_is_counted() {
    let document: Value = serde_json::from_str(&spdx::document(&catalog(), &about())).unwrap();
    assert_eq!(missing(&document, Profile::Ntia), [(Element::Supplier, 1)]);
    let cisa = missing(&document, Profile::Cisa2025Draft);
    let expected =
        [(Element::Context, 1), (Element::Supplier, 1), (Element::Hash, 2), (Element::Licence, 2)];
    assert_eq!(cisa, expected);
    // SPDX 2 is not taken, and has no place for most of it.
    let bsi = judge(document.to_string().as_bytes(), Profile::Bsi21).unwrap();
    assert_eq!((bsi.components, bsi.missing[0].element), (3, Element::Format));
    let contact = bsi.missing.iter().find(|it| it.element == Element::CreatorContact).unwrap();
    assert_eq!(
        (contact.count, &contact.examples[..]),
        (2, ["ghcr.io/o/app", "b"].map(str::to_owned).as_slice())
    );
}

#[test]
fn what_our_own_cyclonedx_lacks_is_counted() {
    let document: Value = serde_json::from_str(&cyclonedx::document(&catalog(), &about())).unwrap();
    let cisa = missing(&document, Profile::Cisa2025Draft);
    let expected = [(Element::Supplier, 1), (Element::Hash, 2), (Element::Licence, 2)];
    assert_eq!(cisa, expected);
    assert_eq!(missing(&document, Profile::Ntia), [(Element::Supplier, 1)]);
}

/// As appendix 8.2 of the guideline maps its fields.
fn whole() -> Value {
    let component = |name: &str| {
        let property = |key: &str, value: &str| json!({ "name": format!("bsi:component:{key}"), "value": value });
        json!({
            "type": "library", "bom-ref": name, "name": name, "version": "1", "purl": format!("pkg:generic/{name}@1"),
            "manufacturer": { "name": "M", "url": ["https://m.example"] },
            "licenses": [{ "expression": "MIT", "acknowledgement": "concluded" }],
            "hashes": [{ "alg": "SHA-256", "content": "00" }],
            "externalReferences": [{ "type": "distribution", "url": "https://m.example/a", "hashes": [{ "alg": "SHA-512", "content": "00" }] }],
            "properties": [property("filename", "a"), property("executable", "non-executable"), property("archive", "no archive"), property("structured", "unstructured")],
        })
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "version": 1,
        "metadata": {
            "timestamp": "2026-01-01T00:00:00Z", "lifecycles": [{ "phase": "build" }],
            "manufacturer": { "name": "M", "contact": [{ "email": "m@m.example" }] },
            "tools": { "components": [{ "type": "application", "name": "t" }] },
            "component": component("app"),
        },
        "components": [component("a"), component("b")],
        "dependencies": [{ "ref": "app", "dependsOn": ["a", "b"] }, { "ref": "a" }, { "ref": "b" }],
        "compositions": [{ "aggregate": "complete", "dependencies": ["app", "a", "b"] }],
    })
}

#[test]
fn a_document_that_states_everything_lacks_nothing() {
    for profile in Profile::ALL {
        let judged = judge(whole().to_string().as_bytes(), profile).unwrap();
        assert_eq!((judged.components, judged.is_empty()), (3, true), "{judged:?}");
    }
}

#[test]
fn each_field_that_is_taken_away_is_missing() {
    let check = |place: &str, value: Value, profile: Profile, element: Element| {
        let mut document = whole();
        *document.pointer_mut(place).unwrap() = value;
        assert_eq!(missing(&document, profile), [(element, 1)], "{place}");
    };
    let bsi = Profile::Bsi21;
    check("/specVersion", json!("1.5"), bsi, Element::Format);
    check("/metadata/timestamp", json!("yesterday"), bsi, Element::Timestamp);
    check("/metadata/manufacturer/contact", json!([]), bsi, Element::AuthorContact);
    check("/components/0/manufacturer/url", json!(["m"]), bsi, Element::CreatorContact);
    check("/components/0/version", json!(""), bsi, Element::Version);
    check(
        "/components/0/licenses/0/acknowledgement",
        json!("declared"),
        bsi,
        Element::DistributionLicence,
    );
    check(
        "/components/0/externalReferences/0/hashes/0/alg",
        json!("SHA-256"),
        bsi,
        Element::DeployableHash,
    );
    let properties =
        [Element::Filename, Element::Executable, Element::Archive, Element::Structured];
    for (number, element) in properties.into_iter().enumerate() {
        check(&format!("/components/0/properties/{number}/value"), json!(""), bsi, element);
    }
    check("/compositions/0/dependencies", json!(["app", "a"]), bsi, Element::Completeness);
    check("/dependencies/1/ref", json!("app"), bsi, Element::Dependencies);
    let cisa = Profile::Cisa2025Draft;
    check("/metadata/lifecycles", json!([]), cisa, Element::Context);
    check("/metadata/tools/components", json!([]), cisa, Element::Tool);
    check("/metadata/manufacturer/name", json!(""), cisa, Element::Author);
    check("/components/1/manufacturer/name", json!(""), cisa, Element::Supplier);
    check("/components/1/hashes", json!([]), cisa, Element::Hash);
    check("/components/1/licenses", json!([]), cisa, Element::Licence);
    check("/components/1/purl", json!(""), cisa, Element::Identifier);
}

#[test]
fn examples_are_few_and_files_are_no_components() {
    let mut document = whole();
    let bare: Vec<Value> =
        (0..50).map(|it| json!({ "type": "library", "bom-ref": format!("x{it}"), "name": format!("x{it}") })).collect();
    document["components"] = Value::from(bare);
    document["metadata"]["component"]["components"] = json!([{ "type": "file", "name": "/f" }]);
    document["dependencies"] = json!([]);
    document["compositions"] = json!([]);
    let judged = judge(document.to_string().as_bytes(), Profile::Ntia).unwrap();
    assert_eq!(judged.components, 51);
    let version = judged.missing.iter().find(|it| it.element == Element::Version).unwrap();
    assert_eq!(
        (version.count, &version.examples[..2]),
        (50, ["x0", "x1"].map(str::to_owned).as_slice())
    );
    assert_eq!(version.examples.len(), 5);
}

#[test]
fn what_is_no_document_is_an_error() {
    for text in ["", "{}", "[]", r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":7}"#]
    {
        assert!(judge(text.as_bytes(), Profile::Ntia).is_err(), "{text}");
    }
    let mut odd = whole();
    odd["components"][0]["version"] = json!(7);
    assert!(judge(odd.to_string().as_bytes(), Profile::Ntia).is_err());
}

#[test]
fn profiles_and_fields_have_names_of_their_own() {
    let names: BTreeSet<&str> = Profile::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(names.len(), Profile::ALL.len());
    for profile in Profile::ALL {
        let all = || profile.of_document().iter().chain(profile.of_component());
        let named: BTreeSet<&str> = all().map(|it| it.name()).collect();
        assert_eq!(named.len(), all().count(), "{profile:?}");
    }
}

proptest! {
    #[test]
    fn no_value_in_a_document_makes_it_panic(place in 0_usize..12, value in "(null|7|\"é\"|\\[\\]|\\{\\}|\\[\\{\"name\":1\\}\\]|\"NOASSERTION\")") {
        let places = [
            "/metadata", "/metadata/tools", "/metadata/manufacturer", "/metadata/lifecycles", "/metadata/component", "/components",
            "/components/0/licenses", "/components/0/manufacturer", "/components/0/properties", "/components/0/hashes", "/dependencies", "/compositions",
        ];
        let mut document = whole();
        *document.pointer_mut(places[place]).unwrap() = serde_json::from_str(&value).unwrap();
        for profile in Profile::ALL {
            let _judged = judge(document.to_string().as_bytes(), profile);
        }
    }
}
