//! What a CycloneDX document states of what profiles demand. Files that a component lists are parts
//! of it and no components of their own.
//!
//! BSI's properties: <https://github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy>.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use super::{Element, Elements, ForeignError, Stated, is_contact, is_said, is_time, unreadable};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bom<'a> {
    #[serde(borrow)]
    spec_version: Cow<'a, str>,
    metadata: ProfiledMetadata<'a>,
    components: Vec<ProfiledComponent<'a>>,
    dependencies: Vec<ProfiledDependency<'a>>,
    compositions: Vec<ProfiledComposition<'a>>,
}

/// Who and what made it comes in many forms, and is small.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledMetadata<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    authors: Value,
    manufacturer: Value,
    manufacture: Value,
    supplier: Value,
    tools: Value,
    lifecycles: Value,
    component: Option<ProfiledComponent<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledComponent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "bom-ref")]
    reference: Cow<'a, str>,
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    publisher: Cow<'a, str>,
    author: Cow<'a, str>,
    purl: Cow<'a, str>,
    cpe: Cow<'a, str>,
    authors: Value,
    supplier: Value,
    manufacturer: Value,
    swid: Value,
    swhid: Value,
    omnibor_id: Value,
    licenses: Value,
    hashes: Value,
    external_references: Value,
    properties: Vec<ProfiledProperty<'a>>,
    components: Vec<Self>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProfiledProperty<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledDependency<'a> {
    #[serde(rename = "ref", borrow)]
    reference: Cow<'a, str>,
    depends_on: Vec<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProfiledComposition<'a> {
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    dependencies: Vec<Cow<'a, str>>,
}

/// What is told of components elsewhere in the document.
struct DependencyGraph<'a> {
    related: HashSet<&'a str>,
    depending: HashSet<&'a str>,
    judged: HashSet<&'a str>,
}

pub(super) fn stated(bytes: &[u8]) -> Result<Stated, ForeignError> {
    let bom: Bom<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    let needed = bom.dependencies.iter().flat_map(|it| &it.depends_on);
    let depending = || bom.dependencies.iter().map(|it| it.reference.as_ref());
    let judged = bom.compositions.iter().filter(|it| is_said(&it.aggregate));
    let graph = DependencyGraph {
        related: needed.map(AsRef::as_ref).chain(depending()).collect(),
        depending: depending().collect(),
        judged: judged.flat_map(|it| &it.dependencies).map(AsRef::as_ref).collect(),
    };
    let mut stated = Stated { document: of_document(&bom), components: Vec::new() };
    // Of the outermost first; serde_json reads no deeper than 128.
    let mut ahead: Vec<&ProfiledComponent<'_>> = bom.components.iter().rev().collect();
    ahead.extend(&bom.metadata.component);
    while let Some(component) = ahead.pop() {
        ahead.extend(component.components.iter().rev());
        if component.kind != "file" {
            let elements = of_component(component, &graph);
            stated.components.push((component.name.clone().into_owned(), elements));
        }
    }
    Ok(stated)
}

fn of_document(bom: &Bom<'_>) -> Elements {
    let metadata = &bom.metadata;
    let makers = [&metadata.authors, &metadata.manufacturer, &metadata.manufacture];
    let makers = || makers.iter().copied().chain([&metadata.supplier]);
    let version: Vec<u32> =
        bom.spec_version.split('.').map_while(|number| number.parse().ok()).collect();
    let tools = [metadata.tools.get("components"), metadata.tools.get("services")];
    let has_tool =
        tools.into_iter().flatten().chain([&metadata.tools]).any(|it| {
            it.as_array().is_some_and(|tools| tools.iter().any(|tool| says(tool, "name")))
        });
    let phases = metadata.lifecycles.as_array().into_iter().flatten();
    let checks = [
        (Element::Format, version >= vec![1, 6]),
        (Element::Author, makers().any(has_name)),
        (Element::AuthorContact, makers().any(has_contact)),
        (Element::Timestamp, is_time(&metadata.timestamp)),
        (Element::Tool, has_tool),
        (Element::Context, phases.into_iter().any(|it| says(it, "phase") || says(it, "name"))),
    ];
    checks.into_iter().filter(|(_, is_there)| *is_there).map(|(element, _)| element).collect()
}

fn of_component(component: &ProfiledComponent<'_>, graph: &DependencyGraph<'_>) -> Elements {
    let entities = [&component.supplier, &component.manufacturer, &component.authors];
    let identifiers = [&component.swid, &component.swhid, &component.omnibor_id];
    let has_identifier = is_said(&component.purl)
        || is_said(&component.cpe)
        || identifiers.iter().any(|it| is_given(it));
    let has_supplier = is_said(&component.publisher)
        || is_said(&component.author)
        || entities.iter().any(|it| has_name(it));
    let property =
        |name: &str| component.properties.iter().any(|it| it.name == name && is_said(&it.value));
    let reference = component.reference.as_ref();
    let checks = [
        (Element::Name, is_said(&component.name)),
        (Element::Version, is_said(&component.version)),
        (Element::Supplier, has_supplier),
        (Element::CreatorContact, entities.iter().any(|it| has_contact(it))),
        (Element::Identifier, has_identifier),
        (Element::Relationship, graph.related.contains(reference)),
        (Element::Dependencies, graph.depending.contains(reference)),
        (Element::Completeness, graph.judged.contains(reference)),
        (Element::Licence, items(&component.licenses).any(|it| licence(it).is_some())),
        (Element::DistributionLicence, items(&component.licenses).any(is_concluded)),
        (Element::Hash, items(&component.hashes).any(|it| says(it, "content"))),
        (Element::DeployableHash, items(&component.external_references).any(is_deployable)),
        (Element::Filename, property("bsi:component:filename")),
        (Element::Executable, property("bsi:component:executable")),
        (Element::Archive, property("bsi:component:archive")),
        (Element::Structured, property("bsi:component:structured")),
    ];
    checks.into_iter().filter(|(_, is_there)| *is_there).map(|(element, _)| element).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// One, or each of several.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let one = Some(value).filter(|it| it.is_object());
    one.into_iter().chain(items(value))
}

fn says(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_str).is_some_and(is_said)
}

fn is_given(value: &Value) -> bool {
    items(value).next().is_some() || value.as_object().is_some_and(|it| !it.is_empty())
}

fn has_name(entity: &Value) -> bool {
    each(entity).any(|it| says(it, "name"))
}

/// In a list of authors the address is their own, in an organization that of a contact or a page.
fn has_contact(entity: &Value) -> bool {
    let is_contact = |value: &Value| value.as_str().is_some_and(is_contact);
    each(entity).any(|it| {
        let pages = it.get("url").into_iter().flat_map(|url| items(url).chain([url]));
        let contacts = it.get("contact").into_iter().flat_map(items);
        let mails = contacts.chain([it]).filter_map(|contact| contact.get("email"));
        pages.chain(mails).any(is_contact)
    })
}

fn licence(entry: &Value) -> Option<&Value> {
    let inner = entry.get("license").unwrap_or(entry);
    ["expression", "id", "name"].iter().any(|key| says(inner, key)).then_some(inner)
}

fn is_concluded(entry: &Value) -> bool {
    let acknowledged = |it: &Value| it.get("acknowledgement")?.as_str().map(str::to_owned);
    licence(entry).and_then(acknowledged).is_some_and(|it| it == "concluded")
}

fn is_deployable(reference: &Value) -> bool {
    let is_distribution = reference.get("type").and_then(Value::as_str) == Some("distribution");
    let hashes = reference.get("hashes").into_iter().flat_map(items);
    let sha512 = |it: &Value| it.get("alg").and_then(Value::as_str) == Some("SHA-512");
    is_distribution && hashes.into_iter().any(|it| sha512(it) && says(it, "content"))
}
