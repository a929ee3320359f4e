//! SPDX documents of platforms → one of their index, in SPDX 2.3. It defines no licence otherwise
//! than they do, and copies no identifier of theirs.
//!
//! Specification: <https://spdx.github.io/spdx-spec/v2.3/>.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Contained, DocumentPackage, DocumentedIndex, DocumentedPlatform, IndexDetail, SaidByDocument,
    only,
};
use crate::sbom::foreign::{ForeignError, is_whole, parsed};
use crate::sbom::spdx::{UNKNOWN, creators, namespace, oci_purl, purl_reference};
use crate::sbom::text::Text;

const INDEX: &str = "SPDXRef-Index";
const PURL: &str = "purl";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PlatformSpdx {
    name: String,
    document_namespace: String,
    creation_info: IndexedCreation,
    document_describes: Vec<String>,
    packages: Vec<Map<String, Value>>,
    relationships: Vec<IndexedRelationship>,
    has_extracted_licensing_infos: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct IndexedCreation {
    created: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct IndexedRelationship {
    relationship_type: String,
    related_spdx_element: String,
}

/// What is taken over of a document.
pub(super) fn read(text: &str) -> Result<SaidByDocument, ForeignError> {
    let document: PlatformSpdx = parsed(text.as_bytes())?;
    let described: HashSet<String> = document
        .relationships
        .into_iter()
        .filter(|one| one.relationship_type == "DESCRIBES")
        .map(|one| one.related_spdx_element)
        .chain(document.document_describes)
        .collect();
    let mut said = SaidByDocument {
        name: Some(document.name),
        address: Some(document.document_namespace),
        created: jiff::Timestamp::from_str(&document.creation_info.created).ok(),
        ..SaidByDocument::default()
    };
    for package in document.packages {
        let purl = purl(&package);
        let is_described = member(&package, "SPDXID").is_some_and(|id| described.contains(id));
        if is_whole(member(&package, "primaryPackagePurpose"), is_described, purl.as_deref()) {
            let supplier = package.get("supplier").filter(|supplier| supplier.is_string());
            said.supplier = said.supplier.or(supplier.filter(|_| is_described).cloned());
        } else {
            said.packages.push(taken(&package, purl));
        }
    }
    let licences = document.has_extracted_licensing_infos.unwrap_or_default();
    said.licences = licences
        .into_iter()
        .filter_map(|licence| Some((licence["licenseId"].as_str()?.to_owned(), licence)))
        .collect();
    Ok(said)
}

fn member<'a>(package: &'a DocumentPackage, name: &str) -> Option<&'a str> {
    package.get(name).and_then(Value::as_str)
}

fn purl(package: &DocumentPackage) -> Option<String> {
    let references = package.get("externalRefs").and_then(Value::as_array).into_iter().flatten();
    let mut purls = references.filter(|reference| reference["referenceType"] == PURL);
    purls.find_map(|reference| reference["referenceLocator"].as_str().map(str::to_owned))
}

/// What identifies a package, who supplies it and under which licence.
fn taken(package: &DocumentPackage, purl: Option<String>) -> DocumentPackage {
    const TEXTS: [&str; 5] =
        ["name", "versionInfo", "supplier", "licenseDeclared", "downloadLocation"];
    let mut taken = only(package, &TEXTS);
    taken.retain(|_, value| value.is_string());
    taken.insert("filesAnalyzed".to_owned(), Value::Bool(false));
    taken.extend(purl.map(|purl| ("externalRefs".to_owned(), json!([purl_reference(&purl)]))));
    taken
}

/// The packages of each platform, as they are written.
fn written(
    index: &DocumentedIndex,
    detail: IndexDetail,
    licences: &mut BTreeSet<String>,
) -> Vec<Vec<DocumentPackage>> {
    const NAMES: [&str; 5] =
        ["name", "versionInfo", "downloadLocation", "filesAnalyzed", "externalRefs"];
    let mut whole = |package: &DocumentPackage| {
        let mut package = package.clone();
        let named = member(&package, "licenseDeclared").map(references).unwrap_or_default();
        let is_defined = |name: &String| matches!(index.licences.get(name), Some(Some(_)));
        if named.iter().all(is_defined) {
            licences.extend(named);
        } else {
            package.remove("licenseDeclared");
        }
        package
    };
    let platforms = index.platforms.iter();
    match detail {
        IndexDetail::Whole => {
            platforms.map(|platform| platform.packages.iter().map(&mut whole).collect()).collect()
        }
        IndexDetail::Names => platforms
            .map(|platform| platform.packages.iter().map(|it| only(it, &NAMES)).collect())
            .collect(),
        IndexDetail::References => platforms.map(|_| Vec::new()).collect(),
    }
}

/// The names in an expression of licences that a document must define.
fn references(expression: &str) -> Vec<String> {
    let words = expression.split(|letter: char| letter.is_whitespace() || "()".contains(letter));
    words.filter(|word| word.contains("LicenseRef-")).map(str::to_owned).collect()
}

/// The document as JSON text.
pub(super) fn document(index: &DocumentedIndex, detail: IndexDetail) -> String {
    let mut licences = BTreeSet::new();
    let written = written(index, detail, &mut licences);
    let contained = index.contained(&written);
    let created = index.created.unwrap_or_default();
    let mut document = Text::new(json!({
        "SPDXID": "SPDXRef-DOCUMENT",
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "name": index.name,
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": creators(),
            "comment": index.remark(detail),
        },
    }));
    let images = index.platforms.iter().map(|platform| image(index, platform));
    let packages = contained.packages.iter().map(|(id, package)| {
        let mut package = (*package).clone();
        package.insert("SPDXID".to_owned(), Value::from(format!("SPDXRef-{id}")));
        Value::Object(package)
    });
    let root = described(INDEX, &index.name, &index.digest, index.supplier());
    document.set_list("packages", std::iter::once(root).chain(images).chain(packages));
    document.set_list("relationships", relationships(index, &contained));
    let documents = documents(index);
    if !documents.is_empty() {
        document.set_list("externalDocumentRefs", documents.into_values());
    }
    if !licences.is_empty() {
        let texts = licences.iter().filter_map(|name| index.licences.get(name)?.as_ref());
        document.set_list("hasExtractedLicensingInfos", texts);
    }
    document.set("documentNamespace", namespace(&index.name, &document.written()));
    document.written()
}

/// An index, or the image of a platform.
fn described(id: &str, name: &str, digest: &str, supplier: Option<&Value>) -> Value {
    let mut described = json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": digest,
        "supplier": supplier.unwrap_or(&Value::from(UNKNOWN)),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
    });
    if let Some(hash) = digest.strip_prefix("sha256:") {
        described["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": hash }]);
        described["externalRefs"] = json!([purl_reference(&oci_purl(name, hash))]);
    }
    described
}

fn image(index: &DocumentedIndex, platform: &DocumentedPlatform) -> Value {
    let (id, supplier) = (image_id(platform), platform.supplier.as_ref());
    let mut image = described(&id, &index.name, &platform.digest, supplier);
    image["comment"] = Value::from(if platform.documents.is_empty() {
        format!("The image of {}; no document says what it contains.", platform.name)
    } else {
        format!("The image of {}.", platform.name)
    });
    image
}

fn image_id(platform: &DocumentedPlatform) -> String {
    format!("SPDXRef-Image-{}", platform.id)
}

/// The documents of the platforms, by the names that they have here.
fn documents(index: &DocumentedIndex) -> BTreeMap<String, Value> {
    let documents = index.platforms.iter().flat_map(|platform| &platform.documents);
    let reference = |document: &super::PlatformDocument| {
        let id = document_id(document)?;
        let reference = json!({
            "externalDocumentId": id,
            "spdxDocument": document.address,
            "checksum": { "algorithm": "SHA1", "checksumValue": document.sha1 },
        });
        Some((id, reference))
    };
    documents.filter_map(reference).collect()
}

fn document_id(document: &super::PlatformDocument) -> Option<String> {
    document.address.as_ref().map(|_| format!("DocumentRef-{}", document.id))
}

fn relationships(index: &DocumentedIndex, contained: &Contained<'_>) -> Vec<Value> {
    let one = |from: &str, kind: &str, to: &str| json!({ "relatedSpdxElement": to, "relationshipType": kind, "spdxElementId": from });
    let mut all = vec![one("SPDXRef-DOCUMENT", "DESCRIBES", INDEX)];
    for (platform, packages) in index.platforms.iter().zip(&contained.of) {
        let image = image_id(platform);
        all.push(one(INDEX, "CONTAINS", &image));
        for document in platform.documents.iter().filter_map(document_id) {
            all.push(one(&image, "DESCRIBED_BY", &format!("{document}:SPDXRef-DOCUMENT")));
        }
        for package in packages {
            all.push(one(&image, "CONTAINS", &format!("SPDXRef-{package}")));
        }
    }
    all
}
