//! The texts that builds put into Java archives: manifests, `pom.properties`, `pom.xml`. It
//! understands as much of each format as is needed for names, and resolves no property.

use std::collections::BTreeMap;

/// Group, artifact and version.
pub(super) type Coordinates = (String, String, String);

/// The attributes of a manifest that apply to the whole archive, by their names in lower case: Java
/// compares them so.
#[derive(Debug, Default)]
pub(super) struct JarManifest(BTreeMap<String, String>);

impl JarManifest {
    /// Those before the first empty line; a line that starts with a blank continues the one before.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut attributes: Vec<(String, String)> = Vec::new();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            match (line.strip_prefix(' '), attributes.last_mut()) {
                (Some(more), Some((_, value))) => value.push_str(more),
                (Some(_), None) => {}
                (None, _) => attributes.extend(
                    line.split_once(':')
                        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())),
                ),
            }
        }
        Self(attributes.into_iter().collect())
    }

    /// The whole value of an attribute, whose name is given in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value without OSGi's directives, if it is one word.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?.split(';').next().unwrap_or_default().trim();
        Some(value).filter(|value| is_word(value))
    }

    /// The versions that it states of the archive, the best first. What follows a blank is about
    /// the build.
    pub(super) fn versions(&self) -> Vec<&str> {
        const NAMES: [&str; 4] =
            ["implementation-version", "plugin-version", "bundle-version", "version"];
        let stated = NAMES.iter().filter_map(|name| self.get(name)?.split_whitespace().next());
        let stated = stated.map(|version| {
            // Kotlin's builds have numbers, its releases do not.
            version.split_once("-release-").map_or(version, |(release, _)| release)
        });
        let is_version = |version: &&str| {
            version.starts_with(|letter: char| letter.is_ascii_digit()) && is_word(version)
        };
        stated.filter(is_version).collect()
    }
}

pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && !text.contains(|letter: char| letter.is_whitespace() || "${}:/".contains(letter))
}

/// As a word, but with blanks inside: some versions have them.
fn is_version(text: &str) -> bool {
    is_word(&text.replace(' ', "."))
}

pub(super) fn from_properties(text: &[u8]) -> Option<Coordinates> {
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once(['=', ':']));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    let word = |key: &str| value(key).filter(|value| is_word(value));
    Some((
        word("groupId")?,
        word("artifactId")?,
        value("version").filter(|value| is_version(value))?,
    ))
}

/// What a `pom.xml` states of its project, or else of the project's parent.
pub(super) fn from_project(text: &[u8]) -> Option<Coordinates> {
    let text = String::from_utf8_lossy(text);
    let mut stated: BTreeMap<String, String> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once('<') {
        if open.len() <= 3 && !before.trim().is_empty() {
            stated.entry(open.join("/")).or_insert_with(|| before.trim().to_owned());
        }
        let end = if after.starts_with("!--") { "-->" } else { ">" };
        let Some((tag, behind)) = after.split_once(end) else { break };
        rest = behind;
        if tag.starts_with(['!', '?']) || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            open.pop();
        } else if open.len() < 64 {
            open.push(tag.split_whitespace().next().unwrap_or_default());
        } else {
            return None;
        }
    }
    let value = |key: &str| {
        let of = |place: &str| stated.get(place).filter(|value| is_version(value)).cloned();
        of(&format!("project/{key}")).or_else(|| of(&format!("project/parent/{key}")))
    };
    let artifact = stated.get("project/artifactId").filter(|artifact| is_word(artifact))?;
    Some((value("groupId")?, artifact.clone(), value("version")?))
}

/// The project's `<organization><name>` in its `pom.xml`; that of a developer is plain text, and of
/// another kind.
pub(super) fn organization(pom: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(pom);
    let name = text.split("<organization>").skip(1).find_map(|rest| {
        let inside = rest.split("</organization>").next()?;
        let (before, name) = inside.split_once("<name>")?;
        // Nothing but other elements may precede it.
        (!before.contains("<!--")).then(|| name.split("</name>").next()).flatten()
    })?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let name =
        plain.iter().fold(name.to_owned(), |name, (written, meant)| name.replace(written, meant));
    let words: Vec<&str> = name.split_whitespace().collect();
    Some(words.join(" "))
        .filter(|name| !name.is_empty() && name.len() <= 200 && !name.contains(['$', '<', '>']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_any_case_and_go_on_in_the_next_line() {
        let manifest = JarManifest::parse(
            b"Manifest-Version: 1.0\r\nIMPLEMENTATION-version: 9.10.0 695c0ac8 - 2024\r\nBundle-SymbolicName: a.b\n .c;singleton:=true\r\n\r\nBundle-Version: 7\r\n",
        );
        assert_eq!(manifest.word("bundle-symbolicname"), Some("a.b.c"));
        assert_eq!(manifest.versions(), ["9.10.0"]);
        let kotlin =
            JarManifest::parse(b"Implementation-Version: 1.9.23-release-779\nVersion: x\n");
        assert_eq!(kotlin.versions(), ["1.9.23"]);
    }

    #[test]
    fn projects_state_coordinates_or_take_those_of_their_parent() {
        let check = |pom: &str, expected: Option<(&str, &str, &str)>| {
            let found = from_project(pom.as_bytes());
            let found = found.as_ref().map(|(g, a, v)| (g.as_str(), a.as_str(), v.as_str()));
            assert_eq!(found, expected, "{pom}");
        };
        check(
            "<?xml version='1.0'?><!-- <project> --><project x='y'><parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version></parent>\n<artifactId>a</artifactId><dependencies><dependency><groupId>h</groupId></dependency></dependencies></project>",
            Some(("g", "a", "1")),
        );
        check(
            "<project><groupId>g</groupId><artifactId>a</artifactId><version>${v}</version></project>",
            None,
        );
        check("<project><artifactId>a</artifactId></project>", None);
        check(&"<a>".repeat(100), None);
        check("<", None);
    }

    #[test]
    fn a_version_may_have_blanks_and_a_name_may_not() {
        let of = |text: &str| from_properties(text.as_bytes());
        assert_eq!(of("groupId=g\nartifactId=a\nversion=1.0 beta\n").unwrap().2, "1.0 beta");
        assert_eq!(of("groupId=g g\nartifactId=a\nversion=1\n"), None);
        assert_eq!(of("groupId=g\nartifactId=a\nversion=${x}\n"), None);
    }
}
