//! A catalog as an SPDX 2.3 document, the same bytes for the same facts. It lists no CPEs, files
//! only where they are asked for, and states nothing that was not read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::catalog::{Catalog, CatalogedPackage, looked_for};
use super::licence::Licence;
use super::package::Supplier;
use super::purl::encoded;
use super::text::Text;

/// Where SPDX wants namespaces of those who host none of their own.
const NAMESPACE: &str = "https://spdx.org/spdxdocs/supply-action";
const IMAGE: &str = "SPDXRef-Image";
pub(super) const UNKNOWN: &str = "NOASSERTION";
/// How the comment on a Go module begins of which the packages are known that programs have; no note
/// begins so.
pub(super) const LINKED: &str = "Linked: `";

/// What the document describes, beyond what is inside.
#[derive(Debug, Clone, Default)]
pub struct DocumentSubject {
    /// The image's name, such as `ghcr.io/owner/app`, or the name of a scan.
    pub name: String,
    /// `sha256:…`, where it is known.
    pub digest: Option<String>,
    /// Who supplies the image: an organization's name.
    pub supplier: Option<String>,
    pub created: jiff::Timestamp,
}

/// The document as JSON text.
pub fn document(catalog: &Catalog, about: &DocumentSubject) -> String {
    let identifiers = identifiers(&catalog.packages);
    let mut document = Text::new(json!({
        "SPDXID": "SPDXRef-DOCUMENT",
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "name": about.name,
        "creationInfo": {
            "created": about.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": creators(),
            "comment": coverage(),
        },
    }));
    let mut licences = BTreeMap::new();
    let packages = catalog.packages.iter().zip(&identifiers).map(|(listed, identifier)| {
        let mut written = package(listed, identifier, &mut licences);
        if !listed.files.is_empty() {
            written["filesAnalyzed"] = Value::Bool(true);
            written["packageVerificationCode"] =
                json!({ "packageVerificationCodeValue": verification_code(catalog, listed) });
        }
        written
    });
    document.set_list("packages", std::iter::once(image(catalog, about)).chain(packages));
    document.set_list("relationships", relationships(catalog, &identifiers));
    if !catalog.files.is_empty() {
        document.set_list("files", catalog.files.iter().map(|(path, sum)| file(path, sum)));
    }
    if !catalog.warnings.is_empty() {
        document.set("comment", format!("Remarks: {}.", remarks(&catalog.warnings).join("; ")));
    }
    if !licences.is_empty() {
        document.set_list("hasExtractedLicensingInfos", licences.into_values());
    }
    document.set("documentNamespace", namespace(&about.name, &document.written()));
    document.written()
}

pub(super) fn creators() -> [&'static str; 2] {
    ["Organization: supply-action", concat!("Tool: supply-action-", env!("CARGO_PKG_VERSION"))]
}

fn image(catalog: &Catalog, about: &DocumentSubject) -> Value {
    let mut image = json!({
        "SPDXID": IMAGE,
        "name": about.name,
        "versionInfo": about.digest.as_deref().unwrap_or(UNKNOWN),
        "supplier": about.supplier.as_deref().and_then(Supplier::organization).map_or(UNKNOWN.to_owned(), |supplier| supplier.to_spdx()),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
    });
    let distribution = catalog
        .release
        .as_ref()
        .map(|release| release.name.clone().unwrap_or_else(|| release.distro()));
    let layers: BTreeSet<&str> =
        catalog.packages.iter().flat_map(|listed| &listed.layers).map(String::as_str).collect();
    let brought = (!layers.is_empty()).then(|| {
        format!("Layers with packages: {}.", layers.into_iter().collect::<Vec<_>>().join(", "))
    });
    let told: Vec<String> = distribution
        .map(|name| format!("The distribution is {name}."))
        .into_iter()
        .chain(brought)
        .collect();
    if !told.is_empty() {
        image["comment"] = Value::from(told.join(" "));
    }
    if let Some(hash) = about.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:")) {
        image["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": hash }]);
        image["externalRefs"] = json!([purl_reference(&oci_purl(&about.name, hash))]);
    }
    image
}

/// An image in a registry, by its digest without the algorithm.
pub fn oci_purl(repository: &str, hash: &str) -> String {
    let name = repository.rsplit('/').next().unwrap_or(repository).to_lowercase();
    format!(
        "pkg:oci/{}@sha256:{hash}?repository_url={}",
        encoded(&name, ""),
        encoded(repository, ":")
    )
}

fn package(
    listed: &CatalogedPackage,
    identifier: &str,
    licences: &mut BTreeMap<String, Value>,
) -> Value {
    let package = &listed.package;
    let mut written = json!({
        "SPDXID": identifier,
        "name": package.name,
        "versionInfo": package.version.as_deref().unwrap_or(UNKNOWN),
        "supplier": package.supplier.as_ref().map_or(UNKNOWN.to_owned(), Supplier::to_spdx),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "sourceInfo": origin(listed),
        "externalRefs": [purl_reference(&listed.purl)],
    });
    // What is left out means the same as `NOASSERTION`, and would be a tenth of the document.
    if let Some(licence) = declared(listed, licences) {
        written["licenseDeclared"] = Value::from(licence);
    }
    let checksums: Vec<Value> =
        package.common_checksums().map(|(algorithm, value)| json!({ "algorithm": algorithm.in_spdx(), "checksumValue": value })).collect();
    if !checksums.is_empty() {
        written["checksums"] = Value::from(checksums);
    }
    let linked = package.linked.as_ref();
    let linked = linked.map(|linked| format!("{LINKED}{}`.", linked.written(&package.name)));
    let told: Vec<&str> = linked.iter().chain(&package.notes).map(String::as_str).collect();
    if !told.is_empty() {
        written["comment"] = Value::from(told.join(" "));
    }
    written
}

fn file(path: &str, sum: &str) -> Value {
    json!({
        "SPDXID": file_identifier(path),
        "fileName": format!("./{path}"),
        "checksums": [{ "algorithm": "SHA1", "checksumValue": sum }],
    })
}

fn file_identifier(path: &str) -> String {
    format!("SPDXRef-File-{}", short_hash(path, 20))
}

/// SHA-1 of the files' own, in order:
/// <https://spdx.github.io/spdx-spec/v2.3/package-information/#79-package-verification-code-field>.
fn verification_code(catalog: &Catalog, listed: &CatalogedPackage) -> String {
    let mut sums: Vec<&str> = listed
        .files
        .iter()
        .filter_map(|path| catalog.files.get(path))
        .map(String::as_str)
        .collect();
    sums.sort_unstable();
    hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, sums.concat().as_bytes()))
}

pub(super) fn purl_reference(purl: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl })
}

/// The licence field; words that are no SPDX expression are quoted in a licence of the document's
/// own.
fn declared(listed: &CatalogedPackage, licences: &mut BTreeMap<String, Value>) -> Option<String> {
    match &listed.package.licence {
        Licence::Unknown => None,
        Licence::Expression(expression) => Some(expression.clone()),
        Licence::Named(words) => {
            let reference = format!("LicenseRef-{}-{}", legal(words, 40), short_hash(words, 8));
            let text = format!("The package database names this licence: {words}");
            licences.insert(
                reference.clone(),
                json!({ "licenseId": reference, "extractedText": text }),
            );
            Some(reference)
        }
    }
}

/// The start of a layer's name: the whole of it for each package would be a tenth of the document,
/// so only the image has that.
fn short(layer: &str) -> &str {
    layer.get(.."sha256:".len() + 12).unwrap_or(layer)
}

/// Which files told of the package, and the layers it came with.
fn origin(listed: &CatalogedPackage) -> String {
    const MOST: usize = 10;
    let what = listed.package.told_by();
    let named: Vec<String> =
        listed.locations.iter().take(MOST).map(|path| format!("/{path}")).collect();
    let more = match listed.locations.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let layers: Vec<&str> = listed.layers.iter().take(MOST).map(|layer| short(layer)).collect();
    let brought = if layers.is_empty() {
        String::new()
    } else {
        format!("; brought by layer {}", layers.join(", "))
    };
    format!("read from {what}: {}{more}{brought}", named.join(", "))
}

/// What was looked for, so that absence can be told from ignorance.
pub(super) fn coverage() -> String {
    let looked_for: Vec<&str> = looked_for().collect();
    format!(
        "Looked for: {}. Nothing else was looked for: this document has no packages of other ecosystems, and no files that no package lists.",
        looked_for.join("; ")
    )
}

/// What is missing or assumed, one sentence each, as many as a document should hold.
pub fn remarks(warnings: &[String]) -> Vec<String> {
    const MOST: usize = 100;
    let mut told: Vec<String> = warnings.iter().take(MOST).cloned().collect();
    if warnings.len() > MOST {
        told.push(format!("and {} more remarks", warnings.len() - MOST));
    }
    told
}

/// Its members come in the order of their names, as everywhere in the document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRelationship<'a> {
    related_spdx_element: Cow<'a, str>,
    relationship_type: &'static str,
    spdx_element_id: &'a str,
}

fn relationships<'a>(
    catalog: &'a Catalog,
    identifiers: &'a [String],
) -> impl Iterator<Item = WrittenRelationship<'a>> {
    let relationship = |from: &'a str, kind: &'static str, to: Cow<'a, str>| WrittenRelationship {
        related_spdx_element: to,
        relationship_type: kind,
        spdx_element_id: from,
    };
    let described = std::iter::once(relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE.into()));
    let contained = identifiers
        .iter()
        .map(move |identifier| relationship(IMAGE, "CONTAINS", identifier.into()));
    let named = catalog
        .dependencies
        .iter()
        .filter_map(|(from, to)| Some((identifiers.get(*from)?, identifiers.get(*to)?)));
    let brought = catalog
        .packages
        .iter()
        .zip(identifiers)
        .flat_map(|(listed, owner)| listed.files.iter().map(move |path| (owner, path)));
    let files = brought
        .map(move |(owner, path)| relationship(owner, "CONTAINS", file_identifier(path).into()));
    let dependencies = named.map(move |(dependent, dependency)| {
        relationship(dependency, "DEPENDENCY_OF", dependent.into())
    });
    described.chain(contained).chain(files).chain(dependencies)
}

/// Legal and stable: each changes only with its purl. They are short, since most of a document's
/// bytes are relationships between them.
fn identifiers(packages: &[CatalogedPackage]) -> Vec<String> {
    const DIGITS: usize = 8;
    let of = |listed: &CatalogedPackage, digits: usize| {
        let package = &listed.package;
        format!(
            "SPDXRef-{}-{}-{}",
            package.ecosystem.as_str(),
            legal(&package.name, 60),
            short_hash(&listed.purl, digits)
        )
    };
    let mut known: BTreeSet<String> = BTreeSet::new();
    let shared: BTreeSet<String> = packages
        .iter()
        .map(|listed| of(listed, DIGITS))
        .filter(|id| !known.insert(id.clone()))
        .collect();
    let whole = |listed: &CatalogedPackage, id: String| {
        if shared.contains(&id) { of(listed, usize::MAX) } else { id }
    };
    packages.iter().map(|listed| whole(listed, of(listed, DIGITS))).collect()
}

/// Letters, digits, `.` and `-` are all that SPDX identifiers may have.
pub(super) fn legal(text: &str, longest: usize) -> String {
    text.chars()
        .take(longest)
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' })
        .collect()
}

pub(super) fn short_hash(text: &str, length: usize) -> String {
    hex::encode(Sha256::digest(text)).chars().take(length).collect()
}

/// Unique by content: two documents that differ have different names.
pub(super) fn namespace(name: &str, content: &str) -> String {
    let family = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE.as_bytes());
    let content = Uuid::new_v5(&family, content.as_bytes());
    format!("{NAMESPACE}/{}-{content}", legal(name, 100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::package::{Ecosystem, Package};

    fn listed(name: &str, licence: Licence) -> CatalogedPackage {
        CatalogedPackage {
            package: Package {
                version: Some("1".into()),
                licence,
                ..Package::named(Ecosystem::Apk, name)
            },
            purl: format!("pkg:apk/alpine/{name}@1"),
            locations: BTreeSet::from(["lib/apk/db/installed".into()]),
            layers: BTreeSet::new(),
            files: BTreeSet::new(),
        }
    }

    fn catalog(packages: Vec<CatalogedPackage>) -> Catalog {
        Catalog {
            release: None,
            packages,
            dependencies: BTreeSet::from([(0, 1)]),
            warnings: vec!["a hint".into()],
            newest: None,
            files: BTreeMap::new(),
        }
    }

    fn written() -> Value {
        let packages = vec![
            listed("libc++_x", Licence::Named("MIT BSD".into())),
            listed("b", Licence::Expression("MIT".into())),
        ];
        let about = DocumentSubject {
            name: "ghcr.io/o/app".into(),
            digest: Some("sha256:00ff".into()),
            supplier: Some("o".into()),
            ..DocumentSubject::default()
        };
        serde_json::from_str(&document(&catalog(packages), &about)).unwrap()
    }

    #[test]
    fn a_document_describes_an_image_that_contains_packages() {
        let document = written();
        assert_eq!(document["creationInfo"]["created"], "1970-01-01T00:00:00Z");
        assert_eq!(document["comment"], "Remarks: a hint.");
        let image = &document["packages"][0];
        assert_eq!(
            image["externalRefs"][0]["referenceLocator"],
            "pkg:oci/app@sha256:00ff?repository_url=ghcr.io%2Fo%2Fapp"
        );
        assert_eq!(
            (&image["versionInfo"], &image["supplier"]),
            (&json!("sha256:00ff"), &json!("Organization: o"))
        );
        let package = &document["packages"][1];
        assert_eq!(package["sourceInfo"], "read from apk database: /lib/apk/db/installed");
        assert_eq!(
            package["licenseDeclared"],
            document["hasExtractedLicensingInfos"][0]["licenseId"]
        );
        let relationships: Vec<String> = document["relationships"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!(
                    "{} {} {}",
                    one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"]
                )
                .replace('"', "")
            })
            .collect();
        let [a, b] = [&document["packages"][1]["SPDXID"], &document["packages"][2]["SPDXID"]]
            .map(|id| id.as_str().unwrap());
        assert!(a.starts_with("SPDXRef-apk-libc---x-"), "{a}");
        assert_eq!(
            relationships,
            [
                "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Image".to_owned(),
                format!("SPDXRef-Image CONTAINS {a}"),
                format!("SPDXRef-Image CONTAINS {b}"),
                format!("{b} DEPENDENCY_OF {a}"),
            ]
        );
    }

    #[test]
    fn the_same_facts_give_the_same_bytes_and_others_another_namespace() {
        assert_eq!(written().to_string(), written().to_string());
        let other: Value =
            serde_json::from_str(&document(&catalog(Vec::new()), &DocumentSubject::default()))
                .unwrap();
        assert_ne!(other["documentNamespace"], written()["documentNamespace"]);
    }

    #[test]
    fn layers_are_named_in_full_once() {
        let mut listed = listed("a", Licence::Unknown);
        listed.layers = ["ab", "cd"].map(|digits| format!("sha256:{}", digits.repeat(32))).into();
        assert!(
            origin(&listed)
                .ends_with("; brought by layer sha256:abababababab, sha256:cdcdcdcdcdcd"),
            "{}",
            origin(&listed)
        );
        let document: Value = serde_json::from_str(&document(
            &catalog(vec![listed.clone(), listed]),
            &DocumentSubject::default(),
        ))
        .unwrap();
        let expected = format!(
            "Layers with packages: sha256:{}, sha256:{}.",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        assert_eq!(document["packages"][0]["comment"], expected);
    }

    #[test]
    fn many_locations_are_counted() {
        let mut listed = listed("a", Licence::Unknown);
        listed.locations = (0..12).map(|number| format!("bin/{number:02}")).collect();
        assert!(origin(&listed).ends_with("/bin/09 and 2 more"), "{}", origin(&listed));
    }
}
