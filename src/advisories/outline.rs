//! The bytes of an OSV record → its id, when it changed, and the packages it names. It reads
//! nothing else of it, and says when there is none of these.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// What is read of every record before anybody matches it.
#[derive(Debug, Deserialize)]
pub(super) struct RecordOutline {
    pub(super) id: String,
    pub(super) modified: jiff::Timestamp,
    #[serde(default, deserialize_with = "packages")]
    pub(super) affected: Vec<NamedPackage>,
}

/// A package that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct NamedPackage {
    pub(super) ecosystem: String,
    pub(super) name: String,
}

impl RecordOutline {
    /// `None` when the bytes are no record.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether a package of this name is named at all, in any release. Services compare names in
    /// ways of their own, so letters' case and separators do not count.
    pub(super) fn names(&self, ecosystem: &str, name: &str) -> bool {
        self.affected.iter().any(|package| {
            base(&package.ecosystem) == base(ecosystem) && is_same_name(&package.name, name)
        })
    }
}

/// An ecosystem without its release.
pub(super) fn base(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or(ecosystem, |(base, _)| base)
}

fn is_same_name(one: &str, other: &str) -> bool {
    one == other || folded(one).eq(folded(other))
}

/// A name as the loosest ecosystem compares it: <https://peps.python.org/pep-0503/#normalized-names>.
pub(super) fn folded(name: &str) -> impl Iterator<Item = u8> + '_ {
    let mut after_separator = false;
    name.bytes().filter_map(move |byte| {
        let is_separator = b"-_.".contains(&byte);
        let is_repeated = is_separator && std::mem::replace(&mut after_separator, is_separator);
        after_separator = is_separator;
        (!is_repeated).then(|| if is_separator { b'-' } else { byte.to_ascii_lowercase() })
    })
}

/// The packages of entries; an entry without one is about a repository. Neighbours that are alike
/// are one: records name a package once for each range.
fn packages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NamedPackage>, D::Error> {
    #[derive(Deserialize)]
    struct OfEntry {
        #[serde(default)]
        package: Option<NamedPackage>,
    }
    struct OutlinePackages;
    impl<'de> Visitor<'de> for OutlinePackages {
        type Value = Vec<NamedPackage>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of affected packages, or null")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut packages: Vec<NamedPackage> = Vec::new();
            while let Some(OfEntry { package }) = entries.next_element()? {
                packages.extend(package.filter(|package| packages.last() != Some(package)));
            }
            Ok(packages)
        }
    }
    deserializer.deserialize_any(OutlinePackages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_has_the_packages_and_passes_over_the_rest() {
        let record = br#"{"id":"X-1","modified":"2026-01-02T03:04:05.678Z","new":{"field":[1]},"affected":[
            {"package":{"ecosystem":"PyPI","name":"Zope.Interface","purl":"x"},"ranges":7},{"ranges":[]},
            {"package":null},{"package":{"ecosystem":"PyPI","name":"Zope.Interface"}},{"package":{"ecosystem":"Debian:12","name":"z"}}]}"#;
        let outline = RecordOutline::of(record).unwrap();
        assert_eq!((outline.id.as_str(), outline.affected.len()), ("X-1", 2));
        for (ecosystem, name, is_named) in [
            ("PyPI", "zope-interface", true),
            ("PyPI", "zope_-.interface", true),
            ("PyPI", "zopeinterface", false),
            ("Debian:13", "z", true),
            ("Debian", "z", true),
            ("npm", "z", false),
        ] {
            assert_eq!(outline.names(ecosystem, name), is_named, "{ecosystem} {name}");
        }
        assert!(RecordOutline::of(br#"{"id":"X","modified":"0001-01-01T00:00:00Z"}"#).is_some());
        for wrong in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"id":"X"}"#,
            r#"{"id":"X","modified":"yesterday"}"#,
            r#"{"id":"X","id":"Y","modified":"2026-01-01T00:00:00Z"}"#,
            r#"{"id":"X","modified":"2026-01-01T00:00:00Z","affected":{}}"#,
        ] {
            assert!(RecordOutline::of(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
