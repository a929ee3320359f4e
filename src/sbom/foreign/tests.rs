use super::*;
use serde_json::{Value, json};

fn spdx() -> Value {
    json!({
        "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "x", "documentNamespace": "https://x.example/1",
        "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"] },
        "packages": [
            { "SPDXID": "SPDXRef-Image", "name": "image", "downloadLocation": "NONE", "primaryPackagePurpose": "CONTAINER" },
            { "SPDXID": "SPDXRef-a", "name": "a", "versionInfo": "1", "downloadLocation": "NONE",
                "externalRefs": [{ "referenceType": "cpe23Type", "referenceLocator": "x" }, { "referenceType": "purl", "referenceLocator": "pkg:rpm/rhel/a@1?epoch=2" }] },
            { "SPDXID": "SPDXRef-b", "name": "b", "versionInfo": "NOASSERTION", "downloadLocation": "NONE" },
        ],
        "relationships": [
            { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image" },
            { "spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-a" },
            { "spdxElementId": "DocumentRef-y:SPDXRef-z", "relationshipType": "OTHER", "relatedSpdxElement": "NOASSERTION" },
        ],
    })
}

fn cyclonedx() -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": { "component": { "type": "container", "name": "image", "bom-ref": "image" } },
        "components": [
            { "type": "operating-system", "name": "debian" },
            { "type": "library", "group": "org.x", "name": "y", "version": "1", "bom-ref": "y", "components": [{ "type": "library", "name": "n", "purl": "pkg:pypi/Zope_X@2" }] },
        ],
        "services": [{ "name": "s", "bom-ref": "s" }],
        "dependencies": [{ "ref": "image", "dependsOn": ["y", "s"] }],
    })
}

fn told(entries: &[ForeignPackage]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| {
            format!("{} {} {}", entry.kind, entry.name, entry.version.as_deref().unwrap_or("-"))
        })
        .collect()
}

#[test]
fn packages_are_named_by_their_purl_and_without_one_by_what_is_written() {
    assert_eq!(told(&packages(spdx().to_string().as_bytes()).unwrap()), [" b -", "rpm a 2:1"]);
    assert_eq!(
        told(&packages(cyclonedx().to_string().as_bytes()).unwrap()),
        [" org.x/y 1", "pypi zope-x 2"]
    );
    let marked = [b"\xef\xbb\xbf", cyclonedx().to_string().as_bytes()].concat();
    assert_eq!(check(&marked), Ok(ForeignFormat::CycloneDx));
}

#[test]
fn whole_documents_are_taken_and_each_fault_is_named() {
    assert_eq!(check(spdx().to_string().as_bytes()), Ok(ForeignFormat::Spdx));
    let changed = |mut document: Value, at: &str, value: Value| {
        *document.pointer_mut(at).unwrap() = value;
        check(document.to_string().as_bytes()).unwrap_err().to_string()
    };
    let says = |at: &str, value: Value, expected: &str| {
        assert_eq!(changed(spdx(), at, value), expected, "{at}")
    };
    says(
        "/spdxVersion",
        json!("SPDX-3.0"),
        "its `spdxVersion` is `SPDX-3.0`, and only `SPDX-2.1` to `SPDX-2.3` can be read",
    );
    says(
        "/SPDXID",
        json!("SPDXRef-x"),
        "its `SPDXID` is `SPDXRef-x`, which is not `SPDXRef-DOCUMENT`",
    );
    says("/name", json!(""), "its `name` is missing or empty");
    says("/dataLicense", json!("MIT"), "its `dataLicense` is `MIT`, which is not `CC0-1.0`");
    says(
        "/documentNamespace",
        json!("https://x#y"),
        "its `documentNamespace` is `https://x#y`, which is not a URI without `#`",
    );
    says(
        "/creationInfo/created",
        json!("today"),
        "its `created` is `today`, which is not a time such as `2026-01-31T12:00:00Z`",
    );
    says("/creationInfo/creators", json!([]), "its `creators` is missing or empty");
    says(
        "/packages/1/SPDXID",
        json!("a"),
        "its `SPDXID` is `a`, which is not `SPDXRef-` and a name",
    );
    says("/packages/2/SPDXID", json!("SPDXRef-a"), "it has `SPDXRef-a` twice");
    says("/packages/1/name", json!(""), "its `packages.name` is missing or empty");
    says(
        "/packages/1/downloadLocation",
        json!(""),
        "its `packages.downloadLocation` is missing or empty",
    );
    says(
        "/relationships/1/relatedSpdxElement",
        json!("SPDXRef-c"),
        "it names `SPDXRef-c`, which is not in it",
    );
    says("/relationships/0/relationshipType", json!("CONTAINS"), "it describes nothing");
    assert!(changed(spdx(), "/packages", json!(7)).starts_with("it is not JSON of that format: "));
    let says = |at: &str, value: Value, expected: &str| {
        assert_eq!(changed(cyclonedx(), at, value), expected, "{at}")
    };
    says(
        "/specVersion",
        json!("2.0"),
        "its `specVersion` is `2.0`, and only `1.2` to `1.7` can be read",
    );
    says("/bomFormat", json!("x"), "it is neither SPDX 2 nor CycloneDX in JSON");
    says("/components/1/components/0/name", json!(""), "its `components.name` is missing or empty");
    says("/components/1/bom-ref", json!("image"), "it has `image` twice");
    says("/dependencies/0/dependsOn/0", json!("z"), "it names `z`, which is not in it");
}

#[test]
fn what_is_no_such_document_is_told_apart() {
    assert_eq!(check(b"{}"), Err(ForeignError::Unknown));
    assert!(
        check(br#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}"#)
            .unwrap_err()
            .to_string()
            .contains("only SPDX 2")
    );
    assert!(matches!(check(b"<xml/>"), Err(ForeignError::Unreadable(_))));
    assert_eq!(check(&vec![b' '; LARGEST + 1]), Err(ForeignError::TooLarge { size: LARGEST + 1 }));
    assert_eq!(
        check(br#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#),
        Err(ForeignError::Empty)
    );
}

#[test]
fn the_image_itself_is_no_package_in_it() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = spdx();
        change(&mut document);
        listed(document.to_string().as_bytes()).unwrap()
    };
    let count =
        |document: &mut Value, count| document["packages"].as_array_mut().unwrap().truncate(count);
    assert_eq!(with(&|_| {}), ListedAmount::Packages);
    assert_eq!(with(&|document| count(document, 2)), ListedAmount::Packages);
    assert_eq!(with(&|document| count(document, 1)), ListedAmount::Image);
    assert_eq!(with(&|document| count(document, 0)), ListedAmount::Nothing);
    assert_eq!(
        with(&|document| drop(document.as_object_mut().unwrap().remove("packages"))),
        ListedAmount::Nothing
    );
    let mut other = cyclonedx();
    assert_eq!(listed(other.to_string().as_bytes()), Ok(ListedAmount::Packages));
    other["components"].as_array_mut().unwrap().truncate(1);
    assert_eq!(
        listed(other.to_string().as_bytes()),
        Ok(ListedAmount::Nothing),
        "an operating system is no package"
    );
    assert!(
        ListedAmount::Nothing < ListedAmount::Image && ListedAmount::Image < ListedAmount::Packages,
        "the emptiest counts"
    );
}

#[test]
fn our_own_documents_are_whole() {
    use crate::sbom::{catalog::Catalog, cyclonedx, spdx};
    let catalog = Catalog {
        release: None,
        packages: vec![],
        dependencies: Default::default(),
        warnings: vec![],
        newest: None,
        files: Default::default(),
    };
    let about = spdx::DocumentSubject { name: "x".into(), ..spdx::DocumentSubject::default() };
    assert_eq!(check(spdx::document(&catalog, &about).as_bytes()), Ok(ForeignFormat::Spdx));
    assert_eq!(
        check(cyclonedx::document(&catalog, &about).as_bytes()),
        Ok(ForeignFormat::CycloneDx)
    );
}
