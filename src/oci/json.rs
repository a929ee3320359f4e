//! JSON → a tree that keeps every member in its order, those that stand twice too, and one look at
//! an object's members. It never picks one of two that others might read.
//!
//! Go's decoder, which most registries' clients use, takes a member's name without regard to case
//! and lets the last one win: <https://pkg.go.dev/encoding/json#Unmarshal>. Others take the exact
//! name, the first, or none.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::UnreadableDocument;

/// A value with its members as they stand.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// A number that is written without sign, point and exponent, and fits.
    Whole(u64),
    /// Any other: what it is read as depends on who reads.
    Number,
    Text(String),
    List(Vec<Self>),
    Members(Vec<(String, Self)>),
}

impl Json {
    /// Nothing may follow; bytes that are no UTF-8, a byte order mark and half a surrogate are read
    /// otherwise by others, and refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, UnreadableDocument> {
        serde_json::from_slice(bytes)
            .map_err(|error| UnreadableDocument::NotJson(error.to_string()))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Whole(_) | Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Members(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonTree;
        impl<'de> Visitor<'de> for JsonTree {
            type Value = Json;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Whole(value))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
                Ok(Json::Number)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Number)
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_string<E>(self, value: String) -> Result<Json, E> {
                Ok(Json::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Json::List(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() >= MOST_MEMBERS {
                        return Err(A::Error::custom(
                            "an object has more members than is plausible for an image",
                        ));
                    }
                    members.push(member);
                }
                Ok(Json::Members(members))
            }
        }
        deserializer.deserialize_any(JsonTree)
    }
}

/// Labels are members too; nobody has as many.
const MOST_MEMBERS: usize = 100_000;

/// A member's name as Go compares it: case does not count, `ſ` is an `s` and the Kelvin sign a `k`.
fn folded(name: &str) -> String {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

/// An object whose every member is either known by its very name or resembles none that is.
pub(super) struct StrictObject<'a> {
    members: &'a [(String, Json)],
    /// Where it stands, for people: empty for the whole document.
    at: String,
}

impl<'a> StrictObject<'a> {
    /// `known` are the members that any program reads here, and `foreign` those of documents of
    /// another kind.
    pub(super) fn open(
        json: &'a Json,
        at: &str,
        known: &[&str],
        foreign: &[&str],
    ) -> Result<Self, UnreadableDocument> {
        let Json::Members(members) = json else { return Err(wrong(at, "an object", json)) };
        let object = Self { members, at: at.to_owned() };
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, _) in members {
            let fold = folded(name);
            if let Some(known) = known.iter().find(|known| folded(known) == fold && *known != name)
            {
                return Err(UnreadableDocument::Cased {
                    name: object.place(name),
                    read_as: (*known).to_owned(),
                });
            }
            if foreign.iter().any(|foreign| folded(foreign) == fold) {
                return Err(UnreadableDocument::Foreign { name: object.place(name) });
            }
            match seen.insert(fold, name) {
                Some(before) if before == name => {
                    return Err(UnreadableDocument::Twice { name: object.place(name) });
                }
                Some(before) => {
                    return Err(UnreadableDocument::Cased {
                        name: object.place(name),
                        read_as: before.to_owned(),
                    });
                }
                None => {}
            }
        }
        Ok(object)
    }

    pub(super) fn place(&self, name: &str) -> String {
        let name: String = name.chars().take(60).flat_map(char::escape_debug).collect();
        if self.at.is_empty() { name } else { format!("{}.{name}", self.at) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Json> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn missing(&self, name: &str) -> UnreadableDocument {
        UnreadableDocument::Missing { name: self.place(name) }
    }

    pub(super) fn expect(&self, name: &str) -> Result<&'a Json, UnreadableDocument> {
        self.get(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, UnreadableDocument> {
        self.get(name).map(|value| text(value, &self.place(name))).transpose()
    }

    pub(super) fn expect_text(&self, name: &str) -> Result<String, UnreadableDocument> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number that every program reads as the same whole one.
    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>, UnreadableDocument> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Whole(number)) if i64::try_from(*number).is_ok() => Ok(Some(*number)),
            Some(other) => Err(wrong(&self.place(name), "a whole number", other)),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Json]>, UnreadableDocument> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::List(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(&self.place(name), "a list", other)),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, UnreadableDocument> {
        let values = self.list(name)?.unwrap_or_default();
        values
            .iter()
            .enumerate()
            .map(|(at, value)| text(value, &format!("{}[{at}]", self.place(name))))
            .collect()
    }

    /// A map whose keys are data: they may differ by case alone, and none stands twice.
    pub(super) fn map(&self, name: &str) -> Result<BTreeMap<String, String>, UnreadableDocument> {
        let Some(json) = self.get(name) else { return Ok(BTreeMap::new()) };
        let at = self.place(name);
        let mut map = BTreeMap::new();
        for (key, value) in keys(json, &at)? {
            map.insert(key.clone(), text(value, &format!("{at}.{}", key.escape_debug()))?);
        }
        Ok(map)
    }
}

/// The entries of a map whose keys are data.
pub(super) fn keys<'a>(
    json: &'a Json,
    at: &str,
) -> Result<&'a [(String, Json)], UnreadableDocument> {
    let Json::Members(members) = json else { return Err(wrong(at, "an object", json)) };
    let mut seen = std::collections::BTreeSet::new();
    match members.iter().find(|(key, _)| !seen.insert(key)) {
        Some((key, _)) => {
            let key: String = key.chars().take(60).flat_map(char::escape_debug).collect();
            Err(UnreadableDocument::Twice { name: format!("{at}.{key}") })
        }
        None => Ok(members),
    }
}

pub(super) fn text(value: &Json, at: &str) -> Result<String, UnreadableDocument> {
    match value {
        Json::Text(text) => Ok(text.clone()),
        other => Err(wrong(at, "a text", other)),
    }
}

pub(super) fn wrong(at: &str, expected: &'static str, found: &Json) -> UnreadableDocument {
    let name = if at.is_empty() { "the document".to_owned() } else { at.to_owned() };
    UnreadableDocument::Type { name, expected, found: found.kind() }
}
