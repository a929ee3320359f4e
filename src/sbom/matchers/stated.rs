//! SBOMs that lie in an image: what somebody states is in it. It takes no image, operating system,
//! source or build tool for a package, and reads only JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use packageurl::PackageUrl;
use serde::{Deserialize, Deserializer};

use super::{
    FileFacts, MOST_PACKAGES, MalformedDatabase, ends_with_path, has_suffix, is_plausible,
    is_sample, parent,
};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, Supplier};

/// Whoever reads the catalog is told so.
const NOTE: &str = "Stated by an SBOM in the image, and not seen by itself.";

/// Longer purls name no package.
const LONGEST: usize = 2048;

/// Where builders keep them: Bitnami, melange and apko, wheels (PEP 770), buildpacks; elsewhere by
/// the suffixes that the formats ask for.
pub(super) fn is_document(path: &str) -> bool {
    let name = file_name(path);
    // Said at once for nearly all.
    if !has_suffix(name, ".json") {
        return has_suffix(name, ".spdx") && name.to_ascii_lowercase().starts_with(".spdx-");
    }
    let directory = parent(path).trim_end_matches('/');
    let is_of_format = [".spdx.json", ".cdx.json"].iter().any(|it| has_suffix(name, it));
    let is_bom = name.eq_ignore_ascii_case("bom.json")
        && ["sbom", "META-INF/sbom"].iter().any(|it| ends_with_path(directory, it));
    is_bom || is_system(path) || is_of_wheel(path) || (is_of_format && !is_sample(directory))
}

/// Documents about packages of the distribution, each brought by the package that it is about.
pub fn is_system(path: &str) -> bool {
    ends_with_path(parent(path).trim_end_matches('/'), "var/lib/db/sbom")
}

/// Any depth below `x.dist-info/sboms/`.
pub(super) fn is_of_wheel(path: &str) -> bool {
    if !path.contains("/sboms/") {
        return false;
    }
    let mut parts = path.split('/');
    let is_metadata = |part: &str| part.to_ascii_lowercase().ends_with(".dist-info");
    let mut below = false;
    while let Some(part) = parts.next() {
        if is_metadata(part) {
            below = parts.next() == Some("sboms") && parts.next().is_some();
        }
    }
    below
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Some writers put `null` where there is nothing.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatedDocument {
    spdx_version: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    packages: Vec<StatedSpdxPackage>,
    #[serde(deserialize_with = "or_nothing")]
    relationships: Vec<StatedRelationship>,
    bom_format: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    components: Vec<StatedComponent>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatedSpdxPackage {
    #[serde(rename = "SPDXID", deserialize_with = "or_nothing")]
    id: String,
    #[serde(deserialize_with = "or_nothing")]
    name: String,
    version_info: Option<String>,
    supplier: Option<String>,
    license_declared: Option<String>,
    license_concluded: Option<String>,
    primary_package_purpose: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    external_refs: Vec<StatedReference>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatedReference {
    #[serde(deserialize_with = "or_nothing")]
    reference_type: String,
    #[serde(deserialize_with = "or_nothing")]
    reference_locator: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatedRelationship {
    #[serde(deserialize_with = "or_nothing")]
    spdx_element_id: String,
    #[serde(deserialize_with = "or_nothing")]
    relationship_type: String,
    #[serde(deserialize_with = "or_nothing")]
    related_spdx_element: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StatedComponent {
    #[serde(rename = "type", deserialize_with = "or_nothing")]
    kind: String,
    #[serde(deserialize_with = "or_nothing")]
    name: String,
    version: Option<String>,
    purl: Option<String>,
    scope: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    licenses: Vec<Choice>,
    supplier: Option<StatedEntity>,
    #[serde(deserialize_with = "or_nothing")]
    components: Vec<Self>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    expression: Option<String>,
    license: Option<StatedName>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StatedName {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StatedEntity {
    name: Option<String>,
}

/// One package in the words of a document.
struct StatedPackage {
    name: String,
    purl: Option<String>,
    version: Option<String>,
    licence: Licence,
    supplier: Option<Supplier>,
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let untold = |why: &str| Ok(FileFacts::warning(format!("`{path}` is not listed: {why}")));
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if !is_plausible(bytes) {
        return untold("it has more values than any");
    }
    let document: StatedDocument = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => return untold(&format!("it is no SBOM in JSON: {error}")),
    };
    let stated = if document.bom_format.as_deref() == Some("CycloneDX") {
        let mut stated = Vec::new();
        of_cyclonedx(document.components, &mut stated);
        stated
    } else if document.spdx_version.is_some_and(|version| version.starts_with("SPDX-2")) {
        let is_port = file_name(path) == "vcpkg.spdx.json";
        let packages = document.packages.into_iter();
        let is_bitnami = file_name(path).starts_with(".spdx-");
        let named = packages.map(|package| match (is_port, is_bitnami) {
            (true, _) => with_port(package),
            (_, true) => with_component(package),
            _ => package,
        });
        of_spdx(named.collect(), document.relationships)
    } else {
        return untold("it is neither SPDX 2 nor CycloneDX in JSON");
    };
    let mut facts = FileFacts::default();
    let mut nameless = 0_usize;
    for stated in stated {
        let has_purl = stated.purl.is_some();
        match package(stated) {
            _ if facts.packages.len() >= MOST_PACKAGES => break,
            Some(package) => facts.packages.push(FoundPackage::alone(package, path)),
            None => nameless += usize::from(!has_purl),
        }
    }
    if nameless > 0 {
        facts.warn(format!(
            "`{path}` states {nameless} packages without a purl, which are not listed"
        ));
    }
    Ok(facts)
}

/// What is part of the image: no source that a package was made from, and nothing that made it.
fn of_spdx(
    packages: Vec<StatedSpdxPackage>,
    relationships: Vec<StatedRelationship>,
) -> Vec<StatedPackage> {
    let mut outside = BTreeSet::new();
    for StatedRelationship { spdx_element_id: from, relationship_type, related_spdx_element: to } in
        relationships
    {
        match relationship_type.as_str() {
            "GENERATED_FROM" => drop(outside.insert(to)),
            "GENERATES"
            | "BUILD_TOOL_OF"
            | "DEV_TOOL_OF"
            | "TEST_TOOL_OF"
            | "BUILD_DEPENDENCY_OF"
            | "DEV_DEPENDENCY_OF"
            | "TEST_DEPENDENCY_OF"
            | "TEST_CASE_OF"
            | "EXAMPLE_OF" => drop(outside.insert(from)),
            _ => {}
        }
    }
    let is_inside = |package: &StatedSpdxPackage| {
        let purpose = package.primary_package_purpose.as_deref().unwrap_or_default();
        !outside.contains(&package.id)
            && !["CONTAINER", "OPERATING_SYSTEM", "OPERATING-SYSTEM", "SOURCE"].contains(&purpose)
    };
    let inside = packages.into_iter().filter(is_inside);
    inside
        .map(|package| {
            let purl = package.external_refs.into_iter().find(|it| it.reference_type == "purl");
            let said = |text: &Option<String>| text.as_deref().map_or(Licence::Unknown, licence);
            StatedPackage {
                name: package.name,
                purl: purl.map(|purl| purl.reference_locator),
                version: package.version_info,
                licence: Some(said(&package.license_declared))
                    .filter(|declared| *declared != Licence::Unknown)
                    .unwrap_or_else(|| said(&package.license_concluded)),
                supplier: package.supplier.as_deref().and_then(supplier),
            }
        })
        .collect()
}

/// vcpkg writes no purls: the port has its name and version, with the number of the recipe behind a
/// `#`.
fn with_port(mut package: StatedSpdxPackage) -> StatedSpdxPackage {
    let version = package.version_info.clone().unwrap_or_default();
    let (version, port) = version.split_once('#').unwrap_or((&version, ""));
    let qualifier = if port.is_empty() { String::new() } else { format!("?port_version={port}") };
    let is_name = package.name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
    if package.id == "SPDXRef-port" && is_name && !version.is_empty() {
        package.external_refs.push(StatedReference {
            reference_type: "purl".to_owned(),
            reference_locator: format!("pkg:vcpkg/{}@{version}{qualifier}", package.name),
        });
    }
    // The others are what the port was made from, and the archive of what it became.
    if package.external_refs.is_empty() {
        package.primary_package_purpose = Some("SOURCE".to_owned());
    }
    package
}

/// Bitnami's documents are about its own components, even where an old one has no purls.
fn with_component(mut package: StatedSpdxPackage) -> StatedSpdxPackage {
    let has_purl = package.external_refs.iter().any(|it| it.reference_type == "purl");
    let is_name = !package.name.is_empty()
        && package.name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
    if !has_purl && is_name && package.version_info.is_some() {
        package.external_refs.push(StatedReference {
            reference_type: "purl".to_owned(),
            reference_locator: format!("pkg:bitnami/{}", package.name.to_lowercase()),
        });
    }
    package
}

/// A reference leads to a text in that document, and says nothing elsewhere.
fn licence(text: &str) -> Licence {
    match text.trim() {
        "NONE" => Licence::Unknown,
        text if text.contains("LicenseRef-") => Licence::Unknown,
        text => Licence::from_field(text),
    }
}

fn supplier(text: &str) -> Option<Supplier> {
    let (kind, name) = text.split_once(':')?;
    let name = name.replace('(', "<").replace(')', ">");
    match kind.trim() {
        "Organization" => Supplier::organization(name.split('<').next().unwrap_or_default()),
        "Person" => Supplier::from_maintainer(&name),
        _ => None,
    }
}

/// Components lie in components; serde_json reads no deeper than 128, so this ends.
fn of_cyclonedx(components: Vec<StatedComponent>, stated: &mut Vec<StatedPackage>) {
    for component in components {
        let kind = component.kind.to_ascii_lowercase();
        let is_package =
            !["file", "operating-system", "container", "data", "platform"].contains(&kind.as_str());
        if is_package && component.scope.as_deref() != Some("excluded") {
            let named = component.licenses.into_iter().filter_map(|choice| {
                choice.expression.or_else(|| choice.license.and_then(|it| it.id.or(it.name)))
            });
            let named: Vec<String> = named.collect();
            stated.push(StatedPackage {
                name: component.name,
                purl: component.purl,
                version: component.version,
                licence: match &named[..] {
                    [one] => licence(one),
                    [] => Licence::Unknown,
                    several => Licence::Named(several.join(", ")),
                },
                supplier: component
                    .supplier
                    .and_then(|it| it.name)
                    .as_deref()
                    .and_then(Supplier::organization),
            });
        }
        of_cyclonedx(component.components, stated);
    }
}

fn package(stated: StatedPackage) -> Option<Package> {
    let purl = stated.purl.filter(|purl| purl.len() <= LONGEST)?;
    let mut purl = PackageUrl::from_str(purl.trim()).ok()?;
    let kind = purl.ty().to_ascii_lowercase();
    if ["oci", "docker"].contains(&kind.as_str()) || purl.name().trim().is_empty() {
        return None;
    }
    let given = stated.version.filter(|version| {
        !["", "NOASSERTION", "NONE", "UNKNOWN"].contains(&version.trim()) && version.len() < LONGEST
    });
    if let (None, Some(given)) = (purl.version(), &given) {
        purl.with_version(given.clone()).ok()?;
    }
    let mut known = Ecosystem::ALL.into_iter();
    let ecosystem = known.find(|it| it.as_str() == kind).unwrap_or(Ecosystem::Generic);
    let qualifiers: BTreeMap<&str, &str> =
        purl.qualifiers().iter().map(|(key, value)| (&**key, &**value)).collect();
    let epoch = qualifiers.get("epoch").filter(|_| ecosystem == Ecosystem::Rpm);
    let version = purl.version().map(|version| match epoch {
        Some(epoch) => format!("{epoch}:{version}"),
        None => version.to_owned(),
    });
    let name = match (ecosystem, purl.namespace()) {
        (Ecosystem::Maven, Some(group)) => format!("{group}:{}", purl.name()),
        (ecosystem, Some(namespace)) if !ecosystem.is_distribution() => {
            format!("{namespace}/{}", purl.name())
        }
        _ => purl.name().to_owned(),
    };
    let name = if name.trim().is_empty() { stated.name } else { name };
    Some(Package {
        version,
        arch: qualifiers.get("arch").map(|arch| (*arch).to_owned()),
        supplier: stated.supplier,
        licence: stated.licence,
        notes: vec![NOTE.to_owned()],
        stated: Some(purl.to_string()),
        ..Package::named(ecosystem, name)
    })
}

pub(super) fn is_components(path: &str) -> bool {
    ends_with_path(path, "bitnami/.bitnami_components.json")
}

#[derive(Deserialize)]
struct StatedModule {
    #[serde(default)]
    arch: Option<String>,
    #[serde(default)]
    distro: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

/// Bitnami's list of what it unpacked: name → version, architecture and distribution.
pub(super) fn read_components(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let modules: BTreeMap<String, StatedModule> = match serde_json::from_slice(bytes) {
        Ok(modules) => modules,
        Err(error) => return Ok(FileFacts::warning(format!("`{path}` is not listed: {error}"))),
    };
    let named = modules.into_iter().filter_map(|(name, module)| {
        let version = module.version.filter(|version| !version.is_empty())?;
        let qualifiers = [("arch", module.arch), ("distro", module.distro)];
        Some(Package {
            version: Some(version),
            qualifiers: qualifiers
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect(),
            ..Package::named(Ecosystem::Bitnami, name)
        })
    });
    let packages =
        named.take(MOST_PACKAGES).map(|package| FoundPackage::alone(package, path)).collect();
    Ok(FileFacts { packages, ..FileFacts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purls(facts: &FileFacts) -> Vec<String> {
        facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
    }

    #[test]
    fn documents_are_known_by_their_places() {
        let check = |path: &str, expected: bool| assert_eq!(is_document(path), expected, "{path}");
        check("opt/bitnami/postgresql/.spdx-postgresql.spdx", true);
        check("opt/bitnami/common/.spdx-yq.spdx", true);
        check("opt/bitnami/postgresql/postgresql.spdx", false);
        check("var/lib/db/sbom/openssl-3.3.0-r0.spdx.json", true);
        check("var/lib/db/sbom/openssl.json", true);
        check("s/numpy-2.2.0.dist-info/sboms/auditwheel.cdx.json", true);
        check("s/Numpy-2.2.0.DIST-INFO/sboms/deep/own.json", true);
        check("s/numpy-2.2.0.dist-info/sboms", false);
        check("s/numpy-2.2.0.dist-info/direct_url.json", false);
        check("layers/sbom/launch/paketo-buildpacks_node/node/sbom.cdx.json", true);
        check("layers/sbom/launch/x/sbom.syft.json", false);
        check("app/META-INF/sbom/application.cdx.json", true);
        check("app/META-INF/sbom/bom.json", true);
        check("app/bom.json", false);
        check("opt/tool/testdata/x.spdx.json", false);
        check("opt/x.cdx.json", true);
        check("opt/.cdx.json", false);
    }

    #[test]
    fn what_is_part_of_the_image_is_listed_as_somebodys_word() {
        let text = r#"{"spdxVersion":"SPDX-2.3","packages":[
            {"SPDXID":"a","name":"openssl","versionInfo":"3.3.0-r0","licenseDeclared":"Apache-2.0","supplier":"Organization: Wolfi",
             "externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:apk/wolfi/openssl@3.3.0-r0?arch=x86_64"}]},
            {"SPDXID":"b","name":"source","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:github/openssl/openssl@openssl-3.3.0"}]},
            {"SPDXID":"c","name":"image","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:oci/x@sha256:0"}]},
            {"SPDXID":"d","name":"wolfi","primaryPackagePurpose":"OPERATING_SYSTEM"},
            {"SPDXID":"e","name":"unnamed","versionInfo":"1"},
            {"SPDXID":"f","name":"lib","versionInfo":"2","licenseDeclared":"NOASSERTION","licenseConcluded":"MIT",
             "externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:generic/lib"}]}],
            "relationships":[{"spdxElementId":"a","relationshipType":"GENERATED_FROM","relatedSpdxElement":"b"}]}"#;
        let facts = read("var/lib/db/sbom/openssl.spdx.json", text.as_bytes()).unwrap();
        assert_eq!(
            purls(&facts),
            ["pkg:apk/wolfi/openssl@3.3.0-r0?arch=x86_64", "pkg:generic/lib@2"]
        );
        let package = &facts.packages[0].package;
        assert_eq!(
            (package.told_by(), package.notes[0].as_str()),
            ("what a file in the image states", NOTE)
        );
        assert_eq!(package.supplier.as_ref().unwrap().to_spdx(), "Organization: Wolfi");
        assert_eq!(facts.packages[1].package.licence, Licence::Expression("MIT".into()));
        assert_eq!(facts.warnings.len(), 1, "{:?}", facts.warnings);
    }

    #[test]
    fn components_in_components_are_listed() {
        let text = br#"{"bomFormat":"CycloneDX","specVersion":"1.4","components":[
            {"type":"library","name":"a","purl":"pkg:maven/org.x/a@1?type=jar","licenses":[{"license":{"id":"MIT"}}],
             "components":[{"type":"library","name":"b","version":"2","purl":"pkg:npm/%40s/b"}]},
            {"type":"file","name":"f","purl":"pkg:generic/f@1"},
            {"type":"library","name":"x","scope":"excluded","purl":"pkg:npm/x@1"}]}"#;
        let facts = read("x.cdx.json", text).unwrap();
        assert_eq!(purls(&facts), ["pkg:maven/org.x/a@1?type=jar", "pkg:npm/%40s/b@2"]);
        let names: Vec<&str> =
            facts.packages.iter().map(|found| found.package.name.as_str()).collect();
        assert_eq!(names, ["org.x:a", "@s/b"]);
        assert_eq!(facts.packages[0].package.licence, Licence::Expression("MIT".into()));
    }

    #[test]
    fn components_of_bitnami_are_named_without_purls() {
        let text = br#"{"spdxVersion":"SPDX-2.2","packages":[{"SPDXID":"a","name":"Redis","versionInfo":"7.2.4-1"},{"SPDXID":"b","name":"x y","versionInfo":"1"}]}"#;
        let facts = read("opt/bitnami/redis/.spdx-redis.spdx", text).unwrap();
        assert_eq!(
            (purls(&facts), facts.warnings.len()),
            (vec!["pkg:bitnami/redis@7.2.4-1".to_owned()], 1)
        );
    }

    #[test]
    fn ports_of_vcpkg_are_named() {
        let text = br#"{"spdxVersion":"SPDX-2.2","packages":[{"SPDXID":"SPDXRef-port","name":"zlib","versionInfo":"1.2.11#13","licenseConcluded":"Zlib"},
            {"SPDXID":"SPDXRef-binary","name":"zlib:x64-linux","versionInfo":"abc"},{"SPDXID":"SPDXRef-resource-0","name":"madler/zlib","versionInfo":"1"}]}"#;
        let facts = read("vcpkg/installed/x64-linux/share/zlib/vcpkg.spdx.json", text).unwrap();
        assert_eq!(purls(&facts), ["pkg:vcpkg/zlib@1.2.11?port_version=13"]);
        assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    }

    #[test]
    fn nothing_may_be_written_as_null() {
        let text = br#"{"spdxVersion":"SPDX-2.3","relationships":null,"packages":[{"SPDXID":null,"name":"a","versionInfo":null,"licenseDeclared":null,
            "externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]},{"name":"b","externalRefs":null}]}"#;
        assert_eq!(purls(&read("x.spdx.json", text).unwrap()), ["pkg:npm/a@1"]);
        let text = br#"{"bomFormat":"CycloneDX","components":[{"type":null,"name":"a","purl":"pkg:npm/a@1","licenses":null,"components":null}]}"#;
        assert_eq!(purls(&read("x.cdx.json", text).unwrap()), ["pkg:npm/a@1"]);
    }

    #[test]
    fn what_is_no_document_is_told() {
        for text in [
            "",
            "{",
            "[]",
            "{}",
            "SPDXVersion: SPDX-2.3\n",
            r#"{"spdxVersion":"SPDX-3.0"}"#,
            r#"{"bomFormat":"x"}"#,
        ] {
            let facts = read("x.spdx.json", text.as_bytes()).unwrap();
            assert_eq!((facts.packages.len(), facts.warnings.len()), (0, 1), "{text}");
        }
        let text = br#"{"bomFormat":"CycloneDX","components":[{"name":"a","purl":"no purl"},{"name":"b","purl":""}]}"#;
        assert_eq!(read("x.cdx.json", text), Ok(FileFacts::default()));
        let many =
            format!(r#"{{"bomFormat":"CycloneDX","components":[{}{{}}]}}"#, "{},".repeat(500_000));
        let facts = read("x.cdx.json", many.as_bytes()).unwrap();
        assert_eq!(
            (facts.packages.len(), facts.warnings.len()),
            (0, 1),
            "it would fill the memory"
        );
    }

    #[test]
    fn bitnamis_own_list_is_read() {
        assert!(is_components("opt/bitnami/.bitnami_components.json"));
        let text = br#"{"redis":{"arch":"arm64","distro":"debian-12","type":"NAMI","version":"7.2.4-1"},"x":{}}"#;
        let facts = read_components("opt/bitnami/.bitnami_components.json", text).unwrap();
        assert_eq!(purls(&facts), ["pkg:bitnami/redis@7.2.4-1?arch=arm64&distro=debian-12"]);
        assert_eq!(read_components("x", b"[").unwrap().warnings.len(), 1);
    }

    proptest! {
        #[test]
        fn no_purl_makes_it_panic(purl in "(pkg:)?(npm|rpm|maven|oci|x)?/?[a-z@%:/?=&#é]{0,20}", version in "[0-9.:é]{0,5}") {
            let text = serde_json::json!({"bomFormat":"CycloneDX","components":[{"name":"a","version":version,"purl":purl}]});
            let facts = read("x.cdx.json", text.to_string().as_bytes()).unwrap();
            prop_assert!(facts.packages.len() <= 1);
        }
    }
}
