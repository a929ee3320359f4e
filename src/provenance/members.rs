//! JSON objects as every reader reads them: no member twice, and none that others take for one that
//! is read here. It keeps each value as text.
//!
//! Go matches names whatever their case, and lets the last one win:
//! <https://pkg.go.dev/encoding/json#Unmarshal>.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::UnreadProvenance;

/// The members of one object, each as it was written.
pub(super) struct ObjectMembers<'a> {
    /// How people know it.
    place: String,
    members: BTreeMap<String, &'a RawValue>,
}

impl<'a> ObjectMembers<'a> {
    /// `known` are the members that are read.
    pub(super) fn read(
        text: &'a str,
        place: &str,
        known: &[&str],
    ) -> Result<Self, UnreadProvenance> {
        let wrong = |_| UnreadProvenance::Wrong { place: place.to_owned(), expected: "an object" };
        let MemberPairs(pairs) = serde_json::from_str(text).map_err(wrong)?;
        let mut members = BTreeMap::new();
        for (name, value) in pairs {
            if let Some(known) =
                known.iter().find(|known| **known != name && folded(&name) == folded(known))
            {
                return Err(UnreadProvenance::Case {
                    place: place.to_owned(),
                    name,
                    known: (*known).to_owned(),
                });
            }
            if members.contains_key(&name) {
                return Err(UnreadProvenance::Twice { place: place.to_owned(), name });
            }
            members.insert(name, value);
        }
        Ok(Self { place: place.to_owned(), members })
    }

    /// Every member's name and text, in the order of the names.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A member's text; `null` is as none.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    pub(super) fn object(
        &self,
        name: &str,
        known: &[&str],
    ) -> Result<Option<Self>, UnreadProvenance> {
        self.get(name).map(|text| Self::read(text, &self.place_of(name), known)).transpose()
    }

    pub(super) fn demanded(&self, name: &str, known: &[&str]) -> Result<Self, UnreadProvenance> {
        self.object(name, known)?.ok_or_else(|| UnreadProvenance::Missing(self.place_of(name)))
    }

    /// Empty is as none.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, UnreadProvenance> {
        let wrong = |_| UnreadProvenance::Wrong { place: self.place_of(name), expected: "a text" };
        let text: Option<String> =
            self.get(name).map(serde_json::from_str).transpose().map_err(wrong)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A map whose names are no members but data.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, UnreadProvenance> {
        let Some(map) = self.object(name, &[])? else { return Ok(BTreeMap::new()) };
        let names: Vec<String> = map.members.keys().cloned().collect();
        names
            .into_iter()
            .map(|name| Ok((name.clone(), map.text(&name)?.unwrap_or_default())))
            .collect()
    }

    /// The entries of a list, each with its place.
    pub(super) fn list(&self, name: &str) -> Result<Vec<(&'a str, String)>, UnreadProvenance> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = |_| UnreadProvenance::Wrong { place: self.place_of(name), expected: "a list" };
        let entries: Vec<&'a RawValue> = serde_json::from_str(text).map_err(wrong)?;
        Ok(entries
            .into_iter()
            .enumerate()
            .map(|(at, entry)| (entry.get(), format!("{}[{at}]", self.place_of(name))))
            .collect())
    }
}

/// As Go compares names with ASCII ones: two letters beyond ASCII fold to letters in it.
fn folded(name: &str) -> String {
    let letter = |letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(letter).collect()
}

struct MemberPairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for MemberPairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersReader;
        impl<'de> Visitor<'de> for MembersReader {
            type Value = MemberPairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut object: A,
            ) -> Result<MemberPairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = object.next_entry::<String, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(MemberPairs(pairs))
            }
        }
        deserializer.deserialize_map(MembersReader)
    }
}

/// The text of an object in which the member at `path` is this text; objects on the way are made
/// where there are none. Nothing else changes.
pub(super) fn with_text(
    object: &str,
    path: &[&str],
    value: &str,
) -> Result<String, UnreadProvenance> {
    let Some((name, deeper)) = path.split_first() else {
        return Ok(serde_json::Value::from(value).to_string());
    };
    let read = ObjectMembers::read(object, "", &[name])?;
    let old = read.members.get(*name).map(|old| old.get());
    let is_kept = old.is_some_and(|old| old != "null" && !deeper.is_empty());
    let new = with_text(old.filter(|_| is_kept).unwrap_or("{}"), deeper, value)?;
    let start = object.find('{').map_or(0, |brace| brace + 1);
    Ok(match old {
        Some(old) => {
            // The old text is a part of the object's.
            let at = old.as_ptr().addr().saturating_sub(object.as_ptr().addr());
            [
                object.get(..at).unwrap_or_default(),
                &new,
                object.get(at + old.len()..).unwrap_or_default(),
            ]
            .concat()
        }
        None => {
            let comma = if read.members.is_empty() { "" } else { "," };
            let member = format!("{}:{new}{comma}", serde_json::Value::from(*name));
            [
                object.get(..start).unwrap_or_default(),
                &member,
                object.get(start..).unwrap_or_default(),
            ]
            .concat()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_put_in_and_the_rest_stays_to_the_byte() {
        let path = ["runDetails", "builder", "id"];
        for (before, after) in [
            (r#"{}"#, r#"{"runDetails":{"builder":{"id":"x\"y"}}}"#),
            (r#" { "a": 1.0 }"#, r#" {"runDetails":{"builder":{"id":"x\"y"}}, "a": 1.0 }"#),
            (
                r#"{"runDetails":{}, "a" : [ ]}"#,
                r#"{"runDetails":{"builder":{"id":"x\"y"}}, "a" : [ ]}"#,
            ),
            (
                r#"{"runDetails":{"builder": {"id" : "" , "v":{}}}}"#,
                r#"{"runDetails":{"builder": {"id" : "x\"y" , "v":{}}}}"#,
            ),
            (
                r#"{"runDetails":{"builder":null,"metadata":{}}}"#,
                r#"{"runDetails":{"builder":{"id":"x\"y"},"metadata":{}}}"#,
            ),
            (
                r#"{"a":"runDetails{","runDetails":null}"#,
                r#"{"a":"runDetails{","runDetails":{"builder":{"id":"x\"y"}}}"#,
            ),
        ] {
            assert_eq!(with_text(before, &path, "x\"y").unwrap(), after);
            serde_json::from_str::<serde_json::Value>(after).unwrap();
        }
    }

    #[test]
    fn names_fold_as_gos_do() {
        for (name, other) in [
            ("Digest", "digest"),
            ("dige\u{17f}t", "digest"),
            ("BUILDER", "builder"),
            ("\u{212a}ey", "key"),
        ] {
            assert_eq!(folded(name), folded(other), "{name}");
        }
        assert_ne!(folded("dígest"), folded("digest"));
    }
}
