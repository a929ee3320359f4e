//! What an SPDX 2 document states of what profiles demand. Of fields that SPDX 2 does not have it
//! finds none, whatever a comment says.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use super::{Element, Elements, ForeignError, Stated, is_contact, is_said, is_time, unreadable};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document<'a> {
    #[serde(borrow)]
    creation_info: Creation<'a>,
    packages: Vec<ProfiledPackage<'a>>,
    relationships: Vec<ProfiledRelationship<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Creation<'a> {
    #[serde(borrow)]
    created: Cow<'a, str>,
    creators: Vec<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledPackage<'a> {
    #[serde(rename = "SPDXID", borrow)]
    identifier: Cow<'a, str>,
    name: Cow<'a, str>,
    version_info: Cow<'a, str>,
    supplier: Cow<'a, str>,
    originator: Cow<'a, str>,
    package_file_name: Cow<'a, str>,
    license_declared: Cow<'a, str>,
    license_concluded: Cow<'a, str>,
    checksums: Vec<ProfiledChecksum<'a>>,
    external_refs: Vec<ProfiledReference<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledChecksum<'a> {
    #[serde(borrow)]
    checksum_value: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledReference<'a> {
    #[serde(borrow)]
    reference_type: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProfiledRelationship<'a> {
    #[serde(borrow)]
    spdx_element_id: Cow<'a, str>,
    related_spdx_element: Cow<'a, str>,
    relationship_type: Cow<'a, str>,
}

pub(super) fn stated(bytes: &[u8]) -> Result<Stated, ForeignError> {
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    let related: HashSet<&str> = document
        .relationships
        .iter()
        .flat_map(|it| [it.spdx_element_id.as_ref(), it.related_spdx_element.as_ref()])
        .collect();
    let depending: HashSet<&str> = document.relationships.iter().filter_map(depending).collect();
    let components = document.packages.iter().map(|package| {
        let mut elements = of_package(package);
        let mentioned = [(Element::Relationship, &related), (Element::Dependencies, &depending)];
        let mentioned =
            mentioned.iter().filter(|(_, ids)| ids.contains(package.identifier.as_ref()));
        elements.extend(mentioned.map(|(element, _)| *element));
        (package.name.clone().into_owned(), elements)
    });
    Ok(Stated { document: of_creation(&document.creation_info), components: components.collect() })
}

/// Whose dependencies a relationship tells.
fn depending<'a>(relationship: &'a ProfiledRelationship<'_>) -> Option<&'a str> {
    match relationship.relationship_type.as_ref() {
        "DEPENDS_ON" | "CONTAINS" => Some(relationship.spdx_element_id.as_ref()),
        "DEPENDENCY_OF" | "CONTAINED_BY" => Some(relationship.related_spdx_element.as_ref()),
        _ => None,
    }
}

fn of_creation(creation: &Creation<'_>) -> Elements {
    let named = |kind: &str| {
        let names = creation.creators.iter().filter_map(|it| it.strip_prefix(kind));
        names.map(str::trim).filter(|name| is_said(name)).collect::<Vec<_>>()
    };
    let authors = [named("Person:"), named("Organization:")].concat();
    let checks = [
        (Element::Author, !authors.is_empty()),
        (Element::AuthorContact, authors.iter().any(|it| has_mail(it))),
        (Element::Tool, !named("Tool:").is_empty()),
        (Element::Timestamp, is_time(&creation.created)),
    ];
    checks.into_iter().filter(|(_, is_there)| *is_there).map(|(element, _)| element).collect()
}

fn of_package(package: &ProfiledPackage<'_>) -> Elements {
    let origin = [&package.supplier, &package.originator];
    let licences = [&package.license_declared, &package.license_concluded];
    let is_identifier = |it: &ProfiledReference<'_>| {
        ["purl", "cpe22Type", "cpe23Type", "swid", "swh", "gitoid"]
            .contains(&it.reference_type.as_ref())
    };
    // `NONE` says that there is no licence, and that is something.
    let is_licence = |it: &str| is_said(it) || it.trim() == "NONE";
    let checks = [
        (Element::Name, is_said(&package.name)),
        (Element::Version, is_said(&package.version_info)),
        (Element::Supplier, origin.iter().any(|it| is_said(it))),
        (Element::CreatorContact, origin.iter().any(|it| has_mail(it))),
        (Element::Identifier, package.external_refs.iter().any(is_identifier)),
        (Element::Licence, licences.iter().any(|it| is_licence(it))),
        (Element::DistributionLicence, is_licence(&package.license_concluded)),
        (Element::Hash, package.checksums.iter().any(|it| is_said(&it.checksum_value))),
        (Element::Filename, is_said(&package.package_file_name)),
    ];
    checks.into_iter().filter(|(_, is_there)| *is_there).map(|(element, _)| element).collect()
}

/// `Name (mail)`.
fn has_mail(creator: &str) -> bool {
    let inside = creator.rsplit_once('(').and_then(|(_, rest)| rest.trim().strip_suffix(')'));
    inside.is_some_and(is_contact)
}
