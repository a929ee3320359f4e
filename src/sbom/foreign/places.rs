//! A document → where it says that each of its packages lies, and what of it is there: files, layers
//! and linked code by purl. It judges no document: what says nothing that can be read says nothing.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::{ForeignFormat, format, parsed};
use crate::sbom::{cyclonedx, spdx};

/// Where a package lies, by the document's word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Without the slash in front.
    pub paths: BTreeSet<String>,
    /// As the document writes them, in full or the first letters of their hashes.
    pub layers: BTreeSet<String>,
    /// The packages of a Go module that programs have, as [`LinkedPackages`] are written, where the
    /// document says the same wherever it lists the module.
    ///
    /// [`LinkedPackages`]: crate::sbom::linked::LinkedPackages
    pub linked: Option<String>,
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
    comment: Option<String>,
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
                let linked = package.comment.as_deref().and_then(of_comment);
                let is_purl = |one: &&SpdxReference| one.reference_type == "purl";
                if let Some(purl) = package.external_refs.iter().find(is_purl) {
                    add(&mut found, &purl.reference_locator, Places { linked, ..said });
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

fn add(found: &mut HashMap<String, Places>, purl: &str, said: Places) {
    match found.get_mut(purl) {
        Some(known) => {
            known.paths.extend(said.paths);
            known.layers.extend(said.layers);
            known.linked = known.linked.take().filter(|known| Some(known) == said.linked.as_ref());
        }
        None => drop(found.insert(purl.to_owned(), said)),
    }
}

/// As this program writes it: ``Linked: `ssh/{,agent}`. Further remarks.``
fn of_comment(text: &str) -> Option<String> {
    let (linked, _) = text.strip_prefix(spdx::LINKED)?.split_once('`')?;
    Some(linked.to_owned())
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
    Places { paths: words(paths, ", /"), layers: words(layers, ", "), linked: None }
}

fn of_components(components: Vec<PlacedComponent>, found: &mut HashMap<String, Places>) {
    for component in components {
        let paths = component.evidence.occurrences.into_iter().map(|it| it.location);
        let linked = component.properties.iter().find_map(linked_property);
        let layers = component.properties.into_iter().filter(|it| it.name.ends_with(":layer"));
        let said = Places {
            linked,
            paths: paths
                .map(|path| path.trim_start_matches('/').to_owned())
                .filter(|path| !path.is_empty())
                .collect(),
            layers: layers.map(|layer| layer.value).collect(),
        };
        if let Some(purl) = component.purl {
            add(found, &purl, said);
        }
        // serde_json reads no deeper than 128, so this ends.
        of_components(component.components, found);
    }
}

/// As this program writes it: `Go build information; linked: ssh/{,agent}`.
fn linked_property(property: &Property) -> Option<String> {
    let is_ours = property.name.strip_prefix("supply-action:") == Some(cyclonedx::READ_FROM);
    let said = is_ours.then(|| property.value.split_once(cyclonedx::LINKED)).flatten();
    said.map(|(_, linked)| linked.to_owned())
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
        let linked = |property: &str, comment: &str| {
            let cyclonedx = format!(
                r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{{"name":"a","purl":"pkg:golang/a@1","properties":[{{"name":"supply-action:read-from","value":"{property}"}}]}}]}}"#
            );
            let package = format!(
                r#"{{"name":"a","comment":"{comment}","externalRefs":[{{"referenceType":"purl","referenceLocator":"pkg:golang/a@1"}}]}}"#
            );
            let spdx = |packages: String| {
                format!(r#"{{"spdxVersion":"SPDX-2.3","packages":[{packages}]}}"#)
            };
            let other = package.replace("Linked", "Known");
            let texts = [cyclonedx, spdx(package.clone()), spdx(format!("{package},{other}"))];
            texts.map(|text| places(text.as_bytes())["pkg:golang/a@1"].linked.clone())
        };
        let some = Some("ssh/{,agent}".to_owned());
        let said =
            linked("Go build information; linked: ssh/{,agent}", "Linked: `ssh/{,agent}`. More.");
        assert_eq!(said, [some.clone(), some, None], "where one does not say it, nobody knows");
        assert_eq!(linked("Go build information", "It is linked."), [None, None, None]);
        let odd = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:npm/a@1","evidence":7}]}"#;
        assert!(places(odd).is_empty() && places(b"{").is_empty());
    }
}
