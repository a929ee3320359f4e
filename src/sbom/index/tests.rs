//! Documents of platforms as generators write them, and what becomes of them on an index.

use serde_json::{Value, json};

use super::*;
use crate::sbom::foreign::{check, packages};

const DIGEST: &str = "sha256:00aa";

fn index(format: ForeignFormat, platforms: &[(&str, Vec<String>)]) -> DocumentedIndex {
    let parts: Vec<IndexPart<'_>> = platforms
        .iter()
        .map(|(platform, documents)| IndexPart {
            platform: (*platform).to_owned(),
            digest: format!("sha256:{}", short_hash(platform, 8)),
            documents: documents.iter().map(String::as_str).collect(),
        })
        .collect();
    DocumentedIndex::read(format, "ghcr.io/o/app", DIGEST, &parts).unwrap()
}

fn written(index: &DocumentedIndex, detail: IndexDetail) -> Value {
    let text = index.document(detail);
    assert_eq!(text, index.document(detail), "the same bytes for the same facts");
    check(text.as_bytes()).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn package(name: &str, arch: &str) -> Value {
    json!({
        "SPDXID": format!("SPDXRef-{name}"), "name": name, "versionInfo": "1", "downloadLocation": "NOASSERTION",
        "supplier": "Person: A", "licenseDeclared": "MIT", "sourceInfo": "read from somewhere",
        "checksums": [{ "algorithm": "SHA1", "checksumValue": "00" }],
        "externalRefs": [
            { "referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe" },
            { "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": format!("pkg:deb/debian/{name}@1{arch}") },
        ],
    })
}

fn spdx(name: &str, namespace: &str, packages: &[Value]) -> Value {
    let image = json!({ "SPDXID": "SPDXRef-Image", "name": "app", "downloadLocation": "NOASSERTION", "supplier": "Organization: o",
        "externalRefs": [{ "referenceType": "purl", "referenceLocator": "pkg:oci/app@sha256:1" }] });
    let packages = [&[image], packages].concat();
    json!({
        "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": name, "documentNamespace": namespace,
        "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"] },
        "packages": packages,
        "files": [{ "SPDXID": "SPDXRef-File", "fileName": "./x" }],
        "relationships": [
            { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image" },
            { "spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-File" },
        ],
    })
}

/// `A CONTAINS B`, with the names of packages in place of their identifiers.
fn related(document: &Value) -> Vec<String> {
    let name = |id: &Value| {
        let id = id.as_str().unwrap();
        let is_named = |package: &&Value| package["SPDXID"] == id && !id.contains("-I");
        let named = document["packages"].as_array().unwrap().iter().find(is_named);
        named.map_or(id.to_owned(), |package| package["name"].as_str().unwrap().to_owned())
    };
    let one = |it: &Value| {
        let kind = it["relationshipType"].as_str().unwrap();
        format!("{} {kind} {}", name(&it["spdxElementId"]), name(&it["relatedSpdxElement"]))
    };
    document["relationships"].as_array().unwrap().iter().map(one).collect()
}

fn two_platforms() -> DocumentedIndex {
    let mut later = spdx("sbom", "https://x.example/2", &[package("libc", "?a"), package("b", "")]);
    later["creationInfo"]["created"] = "2026-02-01T00:00:00Z".into();
    let first = spdx("sbom", "https://x.example/1", &[package("libc", "?b"), package("b", "")]);
    index(
        ForeignFormat::Spdx,
        &[("linux/amd64", vec![first.to_string()]), ("linux/arm/v7", vec![later.to_string()])],
    )
}

#[test]
fn an_index_contains_the_images_and_these_their_packages_each_once() {
    let index = two_platforms();
    let document = written(&index, IndexDetail::Whole);
    let [amd64, arm] = ["SPDXRef-Image-linux-amd64", "SPDXRef-Image-linux-arm-v7"];
    let mut found = related(&document);
    found.sort();
    let mut expected = vec![
        "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Index".to_owned(),
        format!("SPDXRef-Index CONTAINS {amd64}"),
        format!("SPDXRef-Index CONTAINS {arm}"),
        format!("{amd64} DESCRIBED_BY DocumentRef-linux-amd64:SPDXRef-DOCUMENT"),
        format!("{arm} DESCRIBED_BY DocumentRef-linux-arm-v7:SPDXRef-DOCUMENT"),
    ];
    for image in [amd64, arm] {
        expected.extend(["b", "libc"].map(|package| format!("{image} CONTAINS {package}")));
    }
    expected.sort();
    assert_eq!(found, expected);
    let listed = document["packages"].as_array().unwrap();
    let count = |name: &str| listed.iter().filter(|package| package["name"] == name).count();
    assert_eq!((listed.len(), count("b"), count("libc")), (6, 1, 2));
    assert_eq!(packages(document.to_string().as_bytes()).unwrap().len(), 2, "no image is one");
    let of_index = &listed[0];
    assert_eq!(
        (&of_index["versionInfo"], &of_index["supplier"], &of_index["primaryPackagePurpose"]),
        (&json!(DIGEST), &json!("Organization: o"), &json!("CONTAINER"))
    );
    assert_eq!(
        of_index["externalRefs"][0]["referenceLocator"],
        "pkg:oci/app@sha256:00aa?repository_url=ghcr.io%2Fo%2Fapp"
    );
    assert_eq!(document["creationInfo"]["created"], "2026-02-01T00:00:00Z");
    let told = listed.iter().find(|package| package["name"] == "b").unwrap();
    assert_eq!((&told["licenseDeclared"], &told["supplier"]), (&json!("MIT"), &json!("Person: A")));
    assert!(!document.to_string().contains("cpe") && told.get("sourceInfo").is_none(), "{told}");
}

#[test]
fn less_is_said_in_less_room_and_the_documents_are_named_always() {
    let index = two_platforms();
    let [whole, names, references] = IndexDetail::ALL.map(|detail| index.document(detail));
    assert!(whole.len() > names.len() && names.len() > references.len());
    let namespaces: Vec<Value> = [&whole, &names, &references]
        .map(|text| serde_json::from_str::<Value>(text).unwrap())
        .map(|document| document["documentNamespace"].clone())
        .into();
    assert!(namespaces[0] != namespaces[1] && namespaces[1] != namespaces[2]);
    let names = written(&index, IndexDetail::Names);
    assert_eq!(packages(names.to_string().as_bytes()).unwrap().len(), 2);
    assert!(!names.to_string().contains("Person: A") && !names.to_string().contains("MIT"));
    let references = written(&index, IndexDetail::References);
    assert_eq!(references["packages"].as_array().unwrap().len(), 3);
    let first = &references["externalDocumentRefs"][0];
    assert_eq!(
        (&first["externalDocumentId"], &first["spdxDocument"]),
        (&json!("DocumentRef-linux-amd64"), &json!("https://x.example/1"))
    );
    let sum = first["checksum"]["checksumValue"].as_str().unwrap();
    assert!(first["checksum"]["algorithm"] == "SHA1" && sum.len() == 40, "{first}");
}

#[test]
fn platforms_that_share_a_document_share_its_name_and_packages() {
    let shared = spdx("mine", "https://x.example/1", &[package("b", "")]).to_string();
    let index = index(
        ForeignFormat::Spdx,
        &[
            ("linux/amd64", vec![shared.clone()]),
            ("linux/arm64", vec![shared]),
            ("linux/s390x", vec![]),
        ],
    );
    let document = written(&index, IndexDetail::Whole);
    assert_eq!(document["externalDocumentRefs"].as_array().unwrap().len(), 1);
    let related = related(&document);
    for expected in [
        "SPDXRef-Image-linux-arm64 DESCRIBED_BY DocumentRef-linux-amd64:SPDXRef-DOCUMENT",
        "SPDXRef-Image-linux-arm64 CONTAINS b",
    ] {
        assert!(related.iter().any(|found| found == expected), "{related:?}");
    }
    // Nothing is claimed of the image that no document is about, and so of the index neither.
    assert_eq!(document["packages"][0]["supplier"], "NOASSERTION");
    assert_eq!(
        document["packages"][3]["comment"],
        "The image of linux/s390x; no document says what it contains."
    );
}

#[test]
fn stages_that_buildkit_scanned_besides_are_no_part_of_the_image() {
    let stage = spdx("sbom-build", "https://x.example/2", &[package("gcc", "")]).to_string();
    let image = spdx("sbom", "https://x.example/1", &[package("b", "")]).to_string();
    let contained = |documents: Vec<String>| {
        let document =
            written(&index(ForeignFormat::Spdx, &[("linux/amd64", documents)]), IndexDetail::Whole);
        let names = packages(document.to_string().as_bytes()).unwrap();
        let names: Vec<String> = names.into_iter().map(|entry| entry.name).collect();
        (names, document["externalDocumentRefs"].as_array().unwrap().len())
    };
    let (names, documents) = contained(vec![stage.clone(), image.clone()]);
    assert_eq!((names, documents), (vec!["b".to_owned()], 2));
    // Where nothing tells them apart, all count.
    let other = image.replace("\"sbom\"", "\"scan\"");
    assert_eq!(contained(vec![stage, other]).0, ["b", "gcc"]);
}

#[test]
fn licences_that_documents_define_come_along_unless_they_differ() {
    let with = |namespace: &str, text: &str| {
        let mut packages = [package("a", ""), package("b", "")];
        packages[0]["licenseDeclared"] = "MIT AND (LicenseRef-x OR LicenseRef-y)".into();
        packages[1]["licenseDeclared"] = "LicenseRef-y".into();
        let mut document = spdx("sbom", namespace, &packages);
        document["hasExtractedLicensingInfos"] = json!([
            { "licenseId": "LicenseRef-x", "extractedText": text },
            { "licenseId": "LicenseRef-y", "extractedText": "y" },
        ]);
        document.to_string()
    };
    let licences = |texts: [&str; 2]| {
        let documents =
            [with("https://x.example/1", texts[0]), with("https://x.example/2", texts[1])];
        let [one, other] = documents.map(|document| vec![document]);
        let index = index(ForeignFormat::Spdx, &[("linux/amd64", one), ("linux/arm64", other)]);
        let document = written(&index, IndexDetail::Whole);
        let infos = document["hasExtractedLicensingInfos"].as_array().unwrap().clone();
        let declared = |name: &str| {
            let packages = document["packages"].as_array().unwrap();
            let found = packages.iter().find(|package| package["name"] == name).unwrap();
            found.get("licenseDeclared").and_then(Value::as_str).map(str::to_owned)
        };
        (infos.len(), declared("a").is_some(), declared("b").is_some())
    };
    assert_eq!(licences(["x", "x"]), (2, true, true));
    assert_eq!(licences(["x", "not x"]), (1, false, true));
}

fn cyclonedx(serial: Option<&str>, components: &Value) -> String {
    let mut document = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.7", "version": 3, "components": components,
        "metadata": { "timestamp": "2026-01-01T00:00:00Z", "component": { "type": "container", "bom-ref": "image", "name": "app", "supplier": { "name": "o", "bom-ref": "o" } } },
    });
    if let Some(serial) = serial {
        document["serialNumber"] = serial.into();
    }
    document.to_string()
}

#[test]
fn cyclonedx_lists_the_images_and_their_packages_as_what_they_depend_on() {
    let nested = json!([
        { "type": "operating-system", "bom-ref": "os", "name": "debian", "version": "12" },
        { "type": "library", "bom-ref": "a", "name": "a", "version": "1", "purl": "pkg:deb/debian/a@1", "evidence": {},
          "licenses": [{ "license": { "id": "MIT" } }], "supplier": { "name": "s", "url": ["x"], "contact": [{ "email": "a@b.example", "phone": "1" }] },
          "components": [{ "type": "file", "name": "/a" }, { "type": "library", "bom-ref": "in", "name": "inner", "licenses": null }] },
    ]);
    let serial = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79";
    let index = index(
        ForeignFormat::CycloneDx,
        &[
            ("linux/amd64", vec![cyclonedx(Some(serial), &nested)]),
            ("linux/arm64", vec![cyclonedx(None, &json!([{ "type": "library", "name": "b" }]))]),
        ],
    );
    let document = written(&index, IndexDetail::Whole);
    let components = document["components"].as_array().unwrap();
    let find = |name: &str| components.iter().find(|found| found["name"] == name).unwrap();
    assert_eq!(components.len(), 6);
    let a = find("a");
    assert_eq!(
        (&a["licenses"], &a["supplier"]),
        (
            &json!([{ "expression": "MIT" }]),
            &json!({ "name": "s", "contact": [{ "email": "a@b.example" }] })
        )
    );
    assert!(a.get("evidence").is_none() && a.get("components").is_none(), "{a}");
    let reference = |name: &str| find(name)["bom-ref"].clone();
    let mut of_amd64 = [reference("a"), reference("inner"), reference("debian")];
    of_amd64.sort_by_key(ToString::to_string);
    assert_eq!(
        document["dependencies"],
        json!([
            { "ref": "index", "dependsOn": ["image-linux-amd64", "image-linux-arm64"] },
            { "ref": "image-linux-amd64", "dependsOn": of_amd64 },
            { "ref": "image-linux-arm64", "dependsOn": [reference("b")] },
        ])
    );
    let (amd64, arm64) = (&components[0], &components[1]);
    assert_eq!(
        amd64["externalReferences"][0]["url"],
        "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/3"
    );
    assert!(arm64.get("externalReferences").is_none(), "what has no name cannot be linked");
    assert_eq!(document["metadata"]["component"]["supplier"], json!({ "name": "o" }));
    assert_eq!(document["metadata"]["timestamp"], "2026-01-01T00:00:00Z");
    let references = written(&index, IndexDetail::References);
    assert_eq!(references["components"].as_array().unwrap().len(), 2);
    assert_eq!(references["dependencies"][1]["dependsOn"], json!([]));
}
