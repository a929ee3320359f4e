//! Documents that somebody wrote, in SPDX 2 or CycloneDX JSON: whether they hold together, and
//! which packages they list. It repairs nothing: a document is taken as it is or refused with the
//! reason.

pub mod places;

use crate::evidence;
use std::collections::{BTreeMap, HashSet};
use std::str::FromStr as _;

use packageurl::PackageUrl;
use serde::Deserialize;

/// BuildKit makes none that is larger, and no log or registry would take it as a statement.
pub const LARGEST: usize = 40 << 20;

/// The two formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForeignFormat {
    #[default]
    Spdx,
    CycloneDx,
}

impl ForeignFormat {
    /// The type of an in-toto statement whose predicate is such a document.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::Spdx => evidence::SPDX,
            Self::CycloneDx => evidence::CYCLONEDX,
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spdx => "SPDX",
            Self::CycloneDx => "CycloneDX",
        }
    }
}

/// A package as a document lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignPackage {
    /// The type of its purl; empty without one.
    pub kind: String,
    /// With its namespace, spelt so that two generators that mean the same package agree.
    pub name: String,
    pub version: Option<String>,
}

/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    #[error("it has {size} bytes, and more than {LARGEST} are not read")]
    TooLarge { size: usize },
    #[error("it is not JSON of that format: {0}")]
    Unreadable(String),
    #[error("it is neither SPDX 2 nor CycloneDX in JSON")]
    Unknown,
    #[error("its `{field}` is `{value}`, and only {expected} can be read")]
    Version { field: &'static str, value: String, expected: &'static str },
    #[error("its `{0}` is missing or empty")]
    Missing(&'static str),
    #[error("its `{field}` is `{value}`, which is not {expected}")]
    Wrong { field: &'static str, value: String, expected: &'static str },
    #[error("it has `{0}` twice")]
    Twice(String),
    #[error("it names `{0}`, which is not in it")]
    Dangling(String),
    #[error("it describes nothing")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct TypedDocument {
    spdx_version: Option<String>,
    bom_format: Option<String>,
    spec_version: Option<String>,
    #[serde(rename = "@context")]
    context: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ForeignSpdx {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    data_license: String,
    document_namespace: String,
    creation_info: ForeignCreation,
    document_describes: Vec<String>,
    packages: Vec<ForeignSpdxPackage>,
    files: Vec<SpdxElement>,
    snippets: Vec<SpdxElement>,
    relationships: Vec<ForeignRelationship>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ForeignCreation {
    created: String,
    creators: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ForeignSpdxPackage {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: Option<String>,
    download_location: String,
    primary_package_purpose: Option<String>,
    external_refs: Vec<ForeignReference>,
    has_files: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ForeignReference {
    reference_type: String,
    reference_locator: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SpdxElement {
    #[serde(rename = "SPDXID")]
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ForeignRelationship {
    spdx_element_id: String,
    relationship_type: String,
    related_spdx_element: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ForeignCycloneDx {
    metadata: ForeignMetadata,
    components: Vec<ForeignComponent>,
    services: Vec<ForeignService>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ForeignMetadata {
    component: Option<ForeignComponent>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ForeignComponent {
    #[serde(rename = "bom-ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    group: Option<String>,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    components: Vec<Self>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ForeignService {
    #[serde(rename = "bom-ref")]
    reference: Option<String>,
    services: Vec<Self>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

/// The format a document says it has.
pub fn format(bytes: &[u8]) -> Result<ForeignFormat, ForeignError> {
    if bytes.len() > LARGEST {
        return Err(ForeignError::TooLarge { size: bytes.len() });
    }
    let typed: TypedDocument = parsed(bytes)?;
    match (typed.spdx_version.as_deref(), typed.bom_format.as_deref()) {
        (Some("SPDX-2.1" | "SPDX-2.2" | "SPDX-2.3"), None) => Ok(ForeignFormat::Spdx),
        (Some(other), None) => Err(ForeignError::Version {
            field: "spdxVersion",
            value: other.to_owned(),
            expected: "`SPDX-2.1` to `SPDX-2.3`",
        }),
        (None, Some("CycloneDX")) => match typed.spec_version.unwrap_or_default() {
            version if ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"].contains(&version.as_str()) => {
                Ok(ForeignFormat::CycloneDx)
            }
            value => Err(ForeignError::Version {
                field: "specVersion",
                value,
                expected: "`1.2` to `1.7`",
            }),
        },
        (None, None) if typed.context.is_some() => Err(ForeignError::Version {
            field: "@context",
            value: "SPDX 3".to_owned(),
            expected: "SPDX 2",
        }),
        _ => Err(ForeignError::Unknown),
    }
}

/// Whether a document is whole: what its format requires is there, it describes something, and
/// every name in it leads somewhere.
pub fn check(bytes: &[u8]) -> Result<ForeignFormat, ForeignError> {
    let format = format(bytes)?;
    match format {
        ForeignFormat::Spdx => check_spdx(&parsed(bytes)?)?,
        ForeignFormat::CycloneDx => check_cyclonedx(&parsed(bytes)?)?,
    }
    Ok(format)
}

/// How much a document lists; the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListedAmount {
    /// No package at all.
    Nothing,
    /// The image itself, and no package in it.
    Image,
    Packages,
}

/// How many packages a document lists.
pub fn listed(bytes: &[u8]) -> Result<ListedAmount, ForeignError> {
    let packages = packages(bytes)?.len();
    Ok(match format(bytes)? {
        ForeignFormat::CycloneDx => {
            if packages == 0 {
                ListedAmount::Nothing
            } else {
                ListedAmount::Packages
            }
        }
        ForeignFormat::Spdx => match (parsed::<ForeignSpdx>(bytes)?.packages.len(), packages) {
            (0, _) => ListedAmount::Nothing,
            // What a document of one package describes is that one.
            (1, _) | (_, 0) => ListedAmount::Image,
            _ => ListedAmount::Packages,
        },
    })
}

/// The packages that a document lists, sorted, without the image itself.
pub fn packages(bytes: &[u8]) -> Result<Vec<ForeignPackage>, ForeignError> {
    let mut entries = match format(bytes)? {
        ForeignFormat::Spdx => spdx_entries(parsed(bytes)?),
        ForeignFormat::CycloneDx => {
            let mut entries = Vec::new();
            cyclonedx_entries(parsed::<ForeignCycloneDx>(bytes)?.components, &mut entries);
            entries
        }
    };
    entries.sort();
    entries.dedup();
    Ok(entries)
}

/// Name and purl of each package that a document lists, without the image itself; a package may
/// have no purl.
pub fn purls(bytes: &[u8]) -> Result<Vec<(String, Option<String>)>, ForeignError> {
    let mut packages = match format(bytes)? {
        ForeignFormat::Spdx => {
            let packages = spdx_packages(parsed(bytes)?);
            packages.map(|(purl, name, _)| (name, purl)).collect()
        }
        ForeignFormat::CycloneDx => {
            let mut packages = Vec::new();
            cyclonedx_packages(
                parsed::<ForeignCycloneDx>(bytes)?.components,
                &mut |purl, name, _| {
                    packages.push((name, purl));
                },
            );
            packages
        }
    };
    let is_image = |purl: &Option<String>| {
        let mut images = ["pkg:oci/", "pkg:docker/"].iter();
        purl.as_deref().is_some_and(|purl| images.any(|it| purl.starts_with(it)))
    };
    packages.retain(|(_, purl)| !is_image(purl));
    packages.sort();
    packages.dedup();
    Ok(packages)
}

pub(super) fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ForeignError> {
    // Some editors put a byte order mark before JSON.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| ForeignError::Unreadable(error.to_string()))
}

/// <https://spdx.github.io/spdx-spec/v2.3/document-creation-information/>
fn check_spdx(document: &ForeignSpdx) -> Result<(), ForeignError> {
    const DOCUMENT: &str = "SPDXRef-DOCUMENT";
    for (field, value) in
        [("name", &document.name), ("documentNamespace", &document.document_namespace)]
    {
        if value.trim().is_empty() {
            return Err(ForeignError::Missing(field));
        }
    }
    let wrong = |field, value: &str, expected| {
        Err(ForeignError::Wrong { field, value: value.to_owned(), expected })
    };
    if document.id != DOCUMENT {
        return wrong("SPDXID", &document.id, "`SPDXRef-DOCUMENT`");
    }
    if document.data_license != "CC0-1.0" {
        return wrong("dataLicense", &document.data_license, "`CC0-1.0`");
    }
    if !document.document_namespace.contains(':')
        || document.document_namespace.contains(['#', ' '])
    {
        return wrong("documentNamespace", &document.document_namespace, "a URI without `#`");
    }
    if jiff::Timestamp::from_str(&document.creation_info.created).is_err() {
        return wrong(
            "created",
            &document.creation_info.created,
            "a time such as `2026-01-31T12:00:00Z`",
        );
    }
    if document.creation_info.creators.is_empty() {
        return Err(ForeignError::Missing("creators"));
    }
    let mut known: HashSet<&str> = HashSet::from([DOCUMENT]);
    let packages = document.packages.iter().map(|package| package.id.as_str());
    let others = document.files.iter().chain(&document.snippets).map(|element| element.id.as_str());
    for id in packages.chain(others) {
        if !id.starts_with("SPDXRef-") {
            return wrong("SPDXID", id, "`SPDXRef-` and a name");
        }
        if !known.insert(id) {
            return Err(ForeignError::Twice(id.to_owned()));
        }
    }
    for package in &document.packages {
        for (field, value) in [
            ("packages.name", &package.name),
            ("packages.downloadLocation", &package.download_location),
        ] {
            if value.trim().is_empty() {
                return Err(ForeignError::Missing(field));
            }
        }
    }
    let elsewhere =
        |id: &str| id == "NONE" || id == "NOASSERTION" || id.starts_with("DocumentRef-");
    let ends = document
        .relationships
        .iter()
        .flat_map(|one| [&one.spdx_element_id, &one.related_spdx_element]);
    let named = ends
        .chain(&document.document_describes)
        .chain(document.packages.iter().flat_map(|package| &package.has_files));
    for id in named {
        if !known.contains(id.as_str()) && !elsewhere(id) {
            return Err(ForeignError::Dangling(id.clone()));
        }
    }
    let describes = |one: &&ForeignRelationship| match one.relationship_type.as_str() {
        "DESCRIBES" => one.spdx_element_id == DOCUMENT && !elsewhere(&one.related_spdx_element),
        "DESCRIBED_BY" => one.related_spdx_element == DOCUMENT && !elsewhere(&one.spdx_element_id),
        _ => false,
    };
    // A document of one package need not say that it describes that one.
    let alone = document.packages.len() + document.files.len() == 1;
    let described = alone
        || document.relationships.iter().find(describes).is_some()
        || !document.document_describes.is_empty();
    if described { Ok(()) } else { Err(ForeignError::Empty) }
}

/// <https://cyclonedx.org/docs/1.6/json/>
fn check_cyclonedx(document: &ForeignCycloneDx) -> Result<(), ForeignError> {
    if document.components.is_empty() && document.metadata.component.is_none() {
        return Err(ForeignError::Empty);
    }
    let mut known = HashSet::new();
    let mut components: Vec<&ForeignComponent> =
        document.metadata.component.iter().chain(&document.components).collect();
    while let Some(component) = components.pop() {
        for (field, value) in
            [("components.name", &component.name), ("components.type", &component.kind)]
        {
            if value.trim().is_empty() {
                return Err(ForeignError::Missing(field));
            }
        }
        if let Some(reference) =
            component.reference.as_deref().filter(|reference| !known.insert(*reference))
        {
            return Err(ForeignError::Twice(reference.to_owned()));
        }
        components.extend(&component.components);
    }
    let mut services: Vec<&ForeignService> = document.services.iter().collect();
    while let Some(service) = services.pop() {
        known.extend(service.reference.as_deref());
        services.extend(&service.services);
    }
    let named =
        document.dependencies.iter().flat_map(|one| one.depends_on.iter().chain([&one.reference]));
    match named.into_iter().find(|reference| !known.contains(reference.as_str())) {
        Some(reference) => Err(ForeignError::Dangling(reference.clone())),
        None => Ok(()),
    }
}

fn spdx_entries(document: ForeignSpdx) -> Vec<ForeignPackage> {
    let packages = spdx_packages(document);
    packages.filter_map(|(purl, name, version)| entry(purl.as_deref(), name, version)).collect()
}

/// Purl, name and version of each package that is no whole.
fn spdx_packages(
    document: ForeignSpdx,
) -> impl Iterator<Item = (Option<String>, String, Option<String>)> {
    let described: HashSet<String> = document
        .relationships
        .into_iter()
        .filter(|one| one.relationship_type == "DESCRIBES")
        .map(|one| one.related_spdx_element)
        .chain(document.document_describes)
        .collect();
    document.packages.into_iter().filter_map(move |package| {
        let purl =
            package.external_refs.into_iter().find(|reference| reference.reference_type == "purl");
        let locator = purl.as_ref().map(|purl| purl.reference_locator.as_str());
        let purpose = package.primary_package_purpose.as_deref();
        let is_whole = is_whole(purpose, described.contains(&package.id), locator);
        let version = package
            .version_info
            .filter(|version| !["", "NOASSERTION", "NONE", "UNKNOWN"].contains(&version.as_str()));
        let purl = purl.map(|purl| purl.reference_locator);
        (!is_whole).then_some((purl, package.name, version))
    })
}

/// Whether a package of an SPDX document is no package in what it is about: an image, an operating
/// system, or a directory without a purl.
pub(super) fn is_whole(purpose: Option<&str>, is_described: bool, purl: Option<&str>) -> bool {
    let wholes = ["CONTAINER", "OPERATING_SYSTEM", "OPERATING-SYSTEM"];
    let is_image = |purl: &str| ["pkg:oci/", "pkg:docker/"].iter().any(|it| purl.starts_with(it));
    purpose.is_some_and(|purpose| wholes.contains(&purpose)) || purl.map_or(is_described, is_image)
}

fn cyclonedx_entries(components: Vec<ForeignComponent>, entries: &mut Vec<ForeignPackage>) {
    cyclonedx_packages(components, &mut |purl, name, version| {
        entries.extend(entry(purl.as_deref(), name, version));
    });
}

/// The same of CycloneDX, components within components among them.
fn cyclonedx_packages(
    components: Vec<ForeignComponent>,
    keep: &mut dyn FnMut(Option<String>, String, Option<String>),
) {
    for component in components {
        if !["file", "operating-system", "container"].contains(&component.kind.as_str()) {
            let name = match component.group.filter(|group| !group.is_empty()) {
                Some(group) => format!("{group}/{}", component.name),
                None => component.name,
            };
            keep(component.purl, name, component.version.filter(|version| !version.is_empty()));
        }
        // serde_json reads no deeper than 128, so this ends.
        cyclonedx_packages(component.components, keep);
    }
}

/// By its purl where there is one: names and versions are spelt in too many ways. Images are no
/// packages.
fn entry(purl: Option<&str>, name: String, version: Option<String>) -> Option<ForeignPackage> {
    let Some(purl) = purl.and_then(|purl| PackageUrl::from_str(purl).ok()) else {
        return Some(ForeignPackage { kind: String::new(), name, version });
    };
    let kind = purl.ty().to_lowercase();
    let name = match (purl.namespace(), purl.name()) {
        (Some(namespace), name) => format!("{namespace}/{name}"),
        (None, name) => name.to_owned(),
    };
    let name = match kind.as_str() {
        "oci" | "docker" => return None,
        "pypi" => name.to_lowercase().replace(['_', '.'], "-"),
        // Tools differ in what they call the namespace of a distribution, as in `rhel` and
        // `redhat`.
        "deb" | "rpm" | "apk" => purl.name().to_owned(),
        _ => name,
    };
    let qualifiers: BTreeMap<&str, &str> =
        purl.qualifiers().iter().map(|(key, value)| (&**key, &**value)).collect();
    let epoch = qualifiers.get("epoch").filter(|epoch| **epoch != "0" && kind == "rpm");
    let of_purl = purl.version().map(|version| {
        epoch.map_or_else(|| version.to_owned(), |epoch| format!("{epoch}:{version}"))
    });
    Some(ForeignPackage { kind, name, version: of_purl.or(version) })
}

#[cfg(test)]
mod tests;
