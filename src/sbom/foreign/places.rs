//! A document → where it says that each of its packages lies, for people: files and layers by purl.
//! It judges no document: what says nothing that can be read says nothing.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::{ForeignFormat, format, parsed};

/// Where a package lies, by the document's word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Without the slash in front.
    pub paths: BTreeSet<String>,
    /// As the document writes them, in full or the first letters of their hashes.
    pub layers: BTreeSet<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlacedSpdx {
    packages: Vec<PlacedSpdxPackage>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PlacedSpdxPackage {
    source_info: Option<String>,
    external_refs: Vec<SpdxReference>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SpdxReference {
    reference_type: String,
    reference_locator: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlacedCycloneDx {
    components: Vec<PlacedComponent>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlacedComponent {
    purl: Option<String>,
    evidence: PlaceEvidence,
    properties: Vec<Property>,
    components: Vec<Self>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlaceEvidence {
    occurrences: Vec<Occurrence>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Occurrence {
    location: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Property {
    name: String,
    value: String,
}

/// By purl, as the document writes it.
pub fn places(bytes: &[u8]) -> HashMap<String, Places> {
    let mut found: HashMap<String, Places> = HashMap::new();
    match format(bytes) {
        Ok(ForeignFormat::Spdx) => {
            for package in parsed::<PlacedSpdx>(bytes).unwrap_or_default().packages {
                let said = package.source_info.as_deref().map(of_source_info).unwrap_or_default();
                let is_purl = |one: &&SpdxReference| one.reference_type == "purl";
                let purl = package.external_refs.iter().find(is_purl);
                if let Some(purl) = purl.filter(|_| said != Places::default()) {
                    found.entry(purl.reference_locator.clone()).or_default().add(said);
                }
            }
        }
        Ok(ForeignFormat::CycloneDx) => {
            of_components(
                parsed::<PlacedCycloneDx>(bytes).unwrap_or_default().components,
                &mut found,
            );
        }
        Err(_) => {}
    }
    found
}

impl Places {
    fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.layers.extend(other.layers);
    }
}

/// As this program writes it: `read from WHAT: /a, /b and 3 more; brought by layer 0f1e, 2d3c`.
fn of_source_info(text: &str) -> Places {
    let Some((_, said)) = text.strip_prefix("read from ").and_then(|rest| rest.split_once(": /"))
    else {
        return Places::default();
    };
    let (paths, layers) = said.split_once("; brought by layer ").unwrap_or((said, ""));
    let paths = match paths.rsplit_once(" and ") {
        Some((paths, more)) if more.ends_with(" more") => paths,
        _ => paths,
    };
    let words = |text: &str, separator: &str| -> BTreeSet<String> {
        text.split(separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    Places { paths: words(paths, ", /"), layers: words(layers, ", ") }
}

fn of_components(components: Vec<PlacedComponent>, found: &mut HashMap<String, Places>) {
    for component in components {
        let paths = component.evidence.occurrences.into_iter().map(|it| it.location);
        let layers = component.properties.into_iter().filter(|it| it.name.ends_with(":layer"));
        let said = Places {
            paths: paths
                .map(|path| path.trim_start_matches('/').to_owned())
                .filter(|path| !path.is_empty())
                .collect(),
            layers: layers.map(|layer| layer.value).collect(),
        };
        if let Some(purl) = component.purl.filter(|_| said != Places::default()) {
            found.entry(purl).or_default().add(said);
        }
        // serde_json reads no deeper than 128, so this ends.
        of_components(component.components, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_sentence_of_ours_names_files_and_layers() {
        for (text, paths, layers) in [
            (
                "read from apk database: /lib/apk/db/installed",
                &["lib/apk/db/installed"][..],
                &[][..],
            ),
            (
                "read from the program's own contents: /a, /b and c and 3 more; brought by layer 0f1e, 2d3c",
                &["a", "b and c"],
                &["0f1e", "2d3c"],
            ),
            ("acquired package info from /lib/apk", &[], &[]),
            ("read from nowhere", &[], &[]),
            ("", &[], &[]),
        ] {
            let said = of_source_info(text);
            assert_eq!((said.paths, said.layers), (set(paths), set(layers)), "{text}");
        }
    }

    #[test]
    fn both_formats_say_where_and_a_broken_one_says_nothing() {
        let spdx = br#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[
            {"name":"a","sourceInfo":"read from x: /p","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]},
            {"name":"b","sourceInfo":"read from x: /q"}]}"#;
        let said = places(spdx);
        assert_eq!((said.len(), &said["pkg:npm/a@1"].paths), (1, &set(&["p"])));
        let cyclonedx = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
            {"type":"library","name":"o","components":[{"type":"library","name":"a","purl":"pkg:npm/a@1",
             "evidence":{"occurrences":[{"location":"/p"},{"location":""}]},"properties":[{"name":"x:layer","value":"sha256:0"}]}]}]}"#;
        let said = places(cyclonedx);
        let both = (&said["pkg:npm/a@1"].paths, &said["pkg:npm/a@1"].layers);
        assert_eq!(both, (&set(&["p"]), &set(&["sha256:0"])));
        let odd = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:npm/a@1","evidence":7}]}"#;
        assert!(places(odd).is_empty() && places(b"{").is_empty());
    }
}
