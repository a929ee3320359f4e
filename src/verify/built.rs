//! A signed provenance → what it says of where an image is from. Pure; whose word it is, the
//! signature tells.

use serde::Serialize;
use serde_json::Value;

use crate::evidence::is_slsa_provenance;
use crate::evidence::{CYCLONEDX, SPDX};
use crate::oci::shown;
use crate::provenance::{OF_IMAGE, Provenance, Resource};

/// What the provenance of a build says, or that of a workflow of builds which were not its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Resource>,
    /// All that was fetched: base images, repositories, downloads.
    #[serde(skip)]
    pub materials: Vec<Resource>,
    /// What a workflow names as built from another source than its own commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// The images that it took as they were, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<String>,
}

impl Built {
    /// `None` where the predicate says nothing of the kind.
    pub(super) fn of(predicate_type: &str, predicate: &Value) -> Option<Self> {
        if !is_slsa_provenance(predicate_type) {
            return None;
        }
        let built = match Provenance::read(predicate_type, &predicate.to_string()) {
            Ok(Provenance { builder, source, materials, .. }) => {
                Self { builder, source, materials, ..Self::default() }
            }
            // That of a workflow has its own commit first.
            Err(_) => {
                let (taken, foreign) = others(predicate);
                Self { taken, foreign, ..Self::default() }
            }
        };
        (built != Self::default()).then_some(built)
    }
}

/// How many packages an SBOM lists beside what it is about; `None` where the predicate is no SBOM.
pub(super) fn packages(predicate_type: &str, predicate: &Value) -> Option<usize> {
    let entries = |name: &str| predicate[name].as_array();
    match predicate_type {
        SPDX => {
            let related = entries("relationships")
                .into_iter()
                .flatten()
                .filter(|it| it["relationshipType"] == "DESCRIBES");
            let described = related
                .map(|it| &it["relatedSpdxElement"])
                .chain(entries("documentDescribes").into_iter().flatten());
            let described: Vec<&str> = described.filter_map(Value::as_str).collect();
            let is_own = |package: &&Value| {
                package["SPDXID"].as_str().is_none_or(|id| !described.contains(&id))
            };
            Some(entries("packages")?.iter().filter(is_own).count())
        }
        CYCLONEDX => Some(entries("components")?.len()),
        _ => None,
    }
}

/// Images that were taken, and all else.
fn others(predicate: &Value) -> (Vec<String>, Vec<String>) {
    let dependencies =
        predicate.pointer("/buildDefinition/resolvedDependencies").and_then(Value::as_array);
    let others = dependencies.into_iter().flatten().skip(1);
    let is_image =
        |other: &&Value| other["uri"].as_str().is_some_and(|uri| uri.starts_with(OF_IMAGE));
    let (images, others): (Vec<&Value>, Vec<&Value>) = others.partition(is_image);
    // Whoever built it chose the words, and they come to stand in a table.
    let told = |name: &str| shown(name).replace('|', "%7C");
    (
        images.into_iter().filter_map(|image| image["name"].as_str()).map(told).collect(),
        others
            .into_iter()
            .filter_map(|other| other["uri"].as_str().or(other["name"].as_str()))
            .map(told)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_are_counted_without_what_the_sbom_is_about() {
        let packages = json!([{ "SPDXID": "SPDXRef-Image" }, { "SPDXID": "SPDXRef-a" }, { "SPDXID": "SPDXRef-b" }]);
        let related = json!([{ "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image" }]);
        for (kind, document, expected) in [
            (SPDX, json!({ "packages": packages, "relationships": related }), Some(2)),
            (
                SPDX,
                json!({ "packages": packages, "documentDescribes": ["SPDXRef-Image"] }),
                Some(2),
            ),
            (SPDX, json!({ "packages": packages }), Some(3)),
            (SPDX, json!({ "files": [] }), None),
            (CYCLONEDX, json!({ "components": [{}, {}] }), Some(2)),
            ("https://slsa.dev/provenance/v1", json!({ "packages": packages }), None),
        ] {
            assert_eq!(super::packages(kind, &document), expected, "{document}");
        }
    }
}
