//! CycloneDX documents of platforms → one of their index, in CycloneDX 1.6. What a component says
//! is written anew, since a document of another version may say it in words that this one lacks.
//!
//! Specification: <https://cyclonedx.org/docs/1.6/json/>.

use std::str::FromStr as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Contained, DocumentPackage, DocumentedIndex, DocumentedPlatform, IndexDetail, SaidByDocument,
    only,
};
use crate::sbom::cyclonedx::{maker, property, serial_number, tools};
use crate::sbom::foreign::{ForeignError, parsed};
use crate::sbom::spdx::oci_purl;
use crate::sbom::text::Text;

const INDEX: &str = "index";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PlatformCycloneDx {
    serial_number: Option<Value>,
    version: Option<Value>,
    metadata: PlatformMetadata,
    components: Vec<PlatformComponent>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlatformMetadata {
    timestamp: Option<Value>,
    component: Option<PlatformComponent>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlatformComponent {
    #[serde(rename = "type")]
    kind: String,
    group: Option<String>,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    supplier: Option<Value>,
    licenses: Option<Value>,
    components: Vec<Self>,
}

/// What is taken over of a document.
pub(super) fn read(text: &str) -> Result<SaidByDocument, ForeignError> {
    let document: PlatformCycloneDx = parsed(text.as_bytes())?;
    let time = document.metadata.timestamp;
    let mut said = SaidByDocument {
        address: link(document.serial_number.as_ref(), document.version.as_ref()),
        created: time.and_then(|time| jiff::Timestamp::from_str(time.as_str()?).ok()),
        supplier: document.metadata.component.and_then(|image| entity(&image.supplier?)),
        ..SaidByDocument::default()
    };
    let mut components = document.components;
    while let Some(mut component) = components.pop() {
        components.append(&mut component.components);
        // What a component is made of counts as well; files and the image itself are no packages.
        if !["file", "container"].contains(&component.kind.as_str()) {
            said.packages.push(taken(component));
        }
    }
    Ok(said)
}

/// <https://cyclonedx.org/capabilities/bomlink/>
fn link(serial: Option<&Value>, version: Option<&Value>) -> Option<String> {
    let serial = serial?.as_str()?.strip_prefix("urn:uuid:")?;
    Some(format!("urn:cdx:{serial}/{}", version.and_then(Value::as_u64).unwrap_or(1)))
}

/// What identifies a component, who supplies it and under which licence.
fn taken(component: PlatformComponent) -> DocumentPackage {
    let supplier = component.supplier.as_ref().and_then(entity);
    let licences = component.licenses.as_ref().and_then(licences);
    let members = [
        ("type", Some(component.kind)),
        ("group", component.group),
        ("name", Some(component.name)),
        ("version", component.version),
        ("purl", component.purl),
    ];
    let text = |(name, value): (&str, Option<String>)| {
        Some((name.to_owned(), Value::from(value.filter(|value| !value.is_empty())?)))
    };
    let mut taken: DocumentPackage = members.into_iter().filter_map(text).collect();
    taken.extend(supplier.map(|supplier| ("supplier".to_owned(), supplier)));
    taken.extend(licences.map(|licences| ("licenses".to_owned(), licences)));
    taken
}

/// The members of these names that are texts.
fn texts(of: &Value, members: &[&str]) -> Map<String, Value> {
    let member = |name: &&str| Some(((*name).to_owned(), of.get(*name)?.clone()));
    members.iter().filter_map(member).filter(|(_, value)| value.is_string()).collect()
}

/// The name of a supplier and how to reach them.
fn entity(entity: &Value) -> Option<Value> {
    let mut written = texts(entity, &["name"]);
    let contacts = entity.get("contact").and_then(Value::as_array).into_iter().flatten();
    let contacts: Vec<Value> = contacts
        .map(|contact| texts(contact, &["name", "email"]))
        .filter(|contact| !contact.is_empty())
        .map(Value::Object)
        .collect();
    if !contacts.is_empty() {
        written.insert("contact".to_owned(), Value::from(contacts));
    }
    (!written.is_empty()).then_some(Value::Object(written))
}

/// One expression, or names: an identifier is only valid with the list of licences that its
/// document was written by.
fn licences(licences: &Value) -> Option<Value> {
    let licences = licences.as_array()?;
    let text = |of: &Value, name: &str| Some(of.get(name)?.as_str()?.to_owned());
    let named = || licences.iter().filter_map(|licence| licence.get("license"));
    let id = named().next().filter(|_| licences.len() == 1).and_then(|only| text(only, "id"));
    if let Some(expression) = licences.iter().find_map(|it| text(it, "expression")).or(id) {
        return Some(json!([{ "expression": expression }]));
    }
    let names = named().filter_map(|licence| text(licence, "id").or(text(licence, "name")));
    let names: Vec<Value> = names.map(|name| json!({ "license": { "name": name } })).collect();
    (!names.is_empty()).then(|| Value::from(names))
}

/// The document as JSON text.
pub(super) fn document(index: &DocumentedIndex, detail: IndexDetail) -> String {
    const NAMES: [&str; 5] = ["type", "group", "name", "version", "purl"];
    let platforms = index.platforms.iter();
    let written: Vec<Vec<DocumentPackage>> = match detail {
        IndexDetail::Whole => platforms.map(|platform| platform.packages.clone()).collect(),
        IndexDetail::Names => platforms
            .map(|platform| platform.packages.iter().map(|it| only(it, &NAMES)).collect())
            .collect(),
        IndexDetail::References => platforms.map(|_| Vec::new()).collect(),
    };
    let contained = index.contained(&written);
    let mut metadata = json!({
        "lifecycles": [{ "phase": "post-build" }],
        "manufacturer": maker(),
        "tools": tools(),
        "component": described(INDEX, &index.name, &index.digest, index.supplier()),
        "properties": [property("coverage", &index.remark(detail))],
    });
    if let Some(created) = index.created {
        metadata["timestamp"] = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    }
    let mut document = Text::new(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        // Packages are listed as the documents of the platforms do, and their dependencies are not.
        "compositions": [{ "aggregate": "incomplete", "assemblies": [INDEX] }, { "aggregate": "incomplete", "dependencies": [INDEX] }],
    }));
    let images = index.platforms.iter().map(|platform| image(index, platform));
    let packages = contained.packages.iter().map(|(id, package)| {
        let mut package = (*package).clone();
        package.insert("bom-ref".to_owned(), Value::from(id.as_str()));
        Value::Object(package)
    });
    document.set_list("components", images.chain(packages));
    document.set_list("dependencies", dependencies(index, &contained));
    document.set("serialNumber", serial_number(&document.written()));
    document.written()
}

/// An index, or the image of a platform.
fn described(id: &str, name: &str, digest: &str, supplier: Option<&Value>) -> Value {
    let mut described =
        json!({ "type": "container", "bom-ref": id, "name": name, "version": digest });
    if let Some(supplier) = supplier {
        described["supplier"] = supplier.clone();
    }
    if let Some(hash) = digest.strip_prefix("sha256:") {
        described["purl"] = Value::from(oci_purl(name, hash));
        described["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
    }
    described
}

fn image(index: &DocumentedIndex, platform: &DocumentedPlatform) -> Value {
    let (id, supplier) = (image_id(platform), platform.supplier.as_ref());
    let mut image = described(&id, &index.name, &platform.digest, supplier);
    image["properties"] = json!([property("platform", &platform.name)]);
    let documents: Vec<Value> = platform
        .documents
        .iter()
        .filter_map(|document| {
            let hashes = json!([{ "alg": "SHA-256", "content": document.sha256 }]);
            Some(json!({ "type": "bom", "url": document.address.as_ref()?, "hashes": hashes }))
        })
        .collect();
    if !documents.is_empty() {
        image["externalReferences"] = Value::from(documents);
    }
    image
}

fn image_id(platform: &DocumentedPlatform) -> String {
    format!("image-{}", platform.id)
}

/// The index needs the images of its platforms, and each of these its packages.
fn dependencies(index: &DocumentedIndex, contained: &Contained<'_>) -> Vec<Value> {
    let images: Vec<String> = index.platforms.iter().map(image_id).collect();
    let of_images = images
        .iter()
        .zip(&contained.of)
        .map(|(image, packages)| json!({ "ref": image, "dependsOn": packages }));
    std::iter::once(json!({ "ref": INDEX, "dependsOn": images })).chain(of_images).collect()
}
