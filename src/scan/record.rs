//! Bytes → a record of the OSV schema, or why not. It takes no field for another, and fails on no
//! field and no ecosystem that it does not know.
//!
//! Specification: <https://ossf.github.io/osv-schema/>, version 1.7.5.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is known about one flaw, or what one distributor says of some.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AdvisoryRecord {
    pub id: String,
    /// Absent where a source leaves it out; then nothing tells how old the record is.
    #[serde(default, deserialize_with = "timestamp")]
    pub modified: Option<Timestamp>,
    /// Whoever withdraws a record says that it never was one.
    #[serde(default, deserialize_with = "timestamp")]
    pub withdrawn: Option<Timestamp>,
    /// Ids of the same flaw.
    #[serde(default, deserialize_with = "limited::<_, _, MOST_IDS>")]
    pub aliases: Vec<String>,
    /// Ids of what a distributor's record is about.
    #[serde(default, deserialize_with = "limited::<_, _, MOST_IDS>")]
    pub upstream: Vec<String>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_IDS>")]
    pub related: Vec<String>,
    #[serde(default)]
    pub summary: Option<String>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_SEVERITIES>")]
    pub severity: Vec<SeverityText>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_AFFECTED>")]
    pub affected: Vec<Affected>,
    /// The severity as a word, where a database states one.
    #[serde(default, rename = "database_specific", deserialize_with = "severity_word")]
    pub severity_word: Option<String>,
}

/// A package and which of its versions have the flaw.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Affected {
    /// Absent where only commits are named.
    #[serde(default)]
    pub package: Option<PackageName>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_SEVERITIES>")]
    pub severity: Vec<SeverityText>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_RANGES>")]
    pub ranges: Vec<Range>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_VERSIONS>")]
    pub versions: Vec<String>,
    #[serde(default, rename = "ecosystem_specific", deserialize_with = "loose")]
    pub specific: EcosystemSpecific,
    /// RustSec's word for what is no vulnerability: `unmaintained`, `unsound`, `notice`.
    #[serde(default, rename = "database_specific", deserialize_with = "informational_word")]
    pub informational: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageName {
    /// With a release where the ecosystem has some: `Debian:12`.
    pub ecosystem: String,
    pub name: String,
}

/// A score by CVSS as its vector, or a vendor's word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeverityText {
    #[serde(rename = "type")]
    pub kind: String,
    pub score: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Range {
    #[serde(rename = "type")]
    pub kind: RangeKind,
    #[serde(deserialize_with = "limited::<_, _, MOST_EVENTS>")]
    pub events: Vec<RangeEvent>,
}

/// What the events of a range name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RangeKind {
    #[serde(rename = "SEMVER")]
    Semver,
    #[serde(rename = "ECOSYSTEM")]
    Ecosystem,
    #[serde(rename = "GIT")]
    Git,
    #[serde(other)]
    Unknown,
}

/// Where a flaw begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeEvent {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
    /// Of a later version of the schema.
    Unknown,
}

/// What single databases add, as far as it decides whether a package is affected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct EcosystemSpecific {
    /// Debian's word: `unimportant`, `end-of-life`, `low` …
    #[serde(default, deserialize_with = "word")]
    pub urgency: Option<String>,
    /// The packages of a Go module that have the flaw.
    #[serde(default, deserialize_with = "limited::<_, _, MOST_RANGES>")]
    pub imports: Vec<GoImport>,
    /// The ranges of a Go module whose versions Go does not know.
    #[serde(default, deserialize_with = "limited::<_, _, MOST_RANGES>")]
    pub custom_ranges: Vec<Range>,
}

/// A package of a Go module, and where it is built.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GoImport {
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_SEVERITIES>")]
    pub goos: Vec<String>,
    #[serde(default, deserialize_with = "limited::<_, _, MOST_SEVERITIES>")]
    pub goarch: Vec<String>,
}

/// A record that cannot be used. What it would have said is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("advisory `{id}` cannot be read: {reason}")]
pub struct BadRecord {
    /// As far as it names itself.
    pub id: String,
    pub reason: String,
}

/// Several times what the largest real records have.
const MOST_BYTES: usize = 32 << 20;
const MOST_IDS: usize = 20_000;
const MOST_SEVERITIES: usize = 1_000;
const MOST_AFFECTED: usize = 50_000;
const MOST_RANGES: usize = 10_000;
const MOST_EVENTS: usize = 50_000;
const MOST_VERSIONS: usize = 200_000;

impl AdvisoryRecord {
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRecord> {
        let refused = |reason: String| BadRecord { id: id_of(bytes), reason };
        if bytes.len() > MOST_BYTES {
            return Err(refused(format!("it has more than {MOST_BYTES} bytes")));
        }
        // A struct may be written as a list, too, as far as serde is concerned.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(refused("it is not a JSON object".to_owned()));
        }
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        if !is_id(&record.id) {
            return Err(refused("its `id` is not an id".to_owned()));
        }
        Ok(record)
    }
}

/// Ids are printed, asked for and written to files.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id of a record that cannot be read as a whole.
fn id_of(bytes: &[u8]) -> String {
    /// The beginning of an id, wherever it stands; a hostile record may have several.
    const MARK: &[u8] = b"\"id\"";
    let start = bytes.windows(MARK.len()).take(100_000).position(|window| window == MARK);
    let rest = start.and_then(|start| bytes.get(start + MARK.len()..)).unwrap_or_default();
    let text = String::from_utf8_lossy(rest.get(..rest.len().min(300)).unwrap_or_default());
    let quoted = text.trim_start().strip_prefix(':').map(str::trim_start);
    let id = quoted.and_then(|text| text.strip_prefix('"')?.split('"').next()).unwrap_or_default();
    if is_id(id) && !id.contains(['`', '\\']) { id.to_owned() } else { "?".to_owned() }
}

/// A list of at most so many; null is an empty one.
fn limited<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Limited<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Limited<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }
        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }
        fn visit_none<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = list.next_element()? {
                if values.len() >= MOST {
                    return Err(A::Error::custom(format!("a list has more than {MOST} entries")));
                }
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_any(Limited::<T, MOST>(PhantomData))
}

/// What single databases add has no schema: what has another form says nothing.
fn loose<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'any> Deserialize<'any> + Default,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| D::Error::custom("a time is not written as RFC 3339 has it"))
}

/// A text, or nothing in place of anything else.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    loose(deserializer)
}

fn severity_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Default, Deserialize)]
    struct AffectedSpecific {
        #[serde(default, deserialize_with = "word")]
        severity: Option<String>,
    }
    loose::<D, AffectedSpecific>(deserializer).map(|specific| specific.severity)
}

fn informational_word<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Default, Deserialize)]
    struct RecordSpecific {
        #[serde(default, deserialize_with = "word")]
        informational: Option<String>,
    }
    loose::<D, RecordSpecific>(deserializer).map(|specific| specific.informational)
}

impl<'de> Deserialize<'de> for RangeEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneSpecific;
        impl<'de> Visitor<'de> for OneSpecific {
            type Value = RangeEvent;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RangeEvent, A::Error> {
                let mut event = None;
                while let Some(name) = map.next_key::<String>()? {
                    let make = match name.as_str() {
                        "introduced" => RangeEvent::Introduced,
                        "fixed" => RangeEvent::Fixed,
                        "last_affected" => RangeEvent::LastAffected,
                        "limit" => RangeEvent::Limit,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if event.replace(make(map.next_value()?)).is_some() {
                        return Err(A::Error::custom("an event says two things"));
                    }
                }
                Ok(event.unwrap_or(RangeEvent::Unknown))
            }
        }
        deserializer.deserialize_map(OneSpecific)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(json: &str) -> String {
        AdvisoryRecord::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_record_is_read_with_what_nobody_knows_yet() {
        let record = AdvisoryRecord::parse(
            br#"{"id":"GO-2020-0015","modified":"2020-01-01T00:00:00.5Z","new":{"a":[1]},"aliases":["CVE-2020-14040"],"related":null,
            "affected":[{"package":{"ecosystem":"Tomorrow:1","name":"x","more":1},"ranges":[
                {"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.3.3"},{"limit":"*"},{"last_affected":"1"},{"ended":"2","by":{}}]},
                {"type":"HG","events":[]}],
              "ecosystem_specific":{"imports":[{"path":"x/y","symbols":["A"],"goos":["windows"]}],"urgency":3,
                "custom_ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1"}]}]},
              "database_specific":{"informational":"unsound","cvss":null}}],
            "database_specific":{"severity":"MODERATE","cwe_ids":[]}}"#,
        )
        .unwrap();
        assert_eq!(record.aliases, ["CVE-2020-14040"]);
        assert_eq!(record.severity_word.as_deref(), Some("MODERATE"));
        let [affected] = &record.affected[..] else { panic!("one entry") };
        let [range, unknown] = &affected.ranges[..] else { panic!("two ranges") };
        assert_eq!(
            range.events,
            [
                RangeEvent::Introduced("0".into()),
                RangeEvent::Fixed("0.3.3".into()),
                RangeEvent::Limit("*".into()),
                RangeEvent::LastAffected("1".into()),
                RangeEvent::Unknown,
            ]
        );
        assert_eq!(unknown.kind, RangeKind::Unknown);
        assert_eq!(affected.informational.as_deref(), Some("unsound"));
        assert_eq!(affected.specific.urgency, None, "it was a number");
        assert_eq!(affected.specific.imports[0].path.as_deref(), Some("x/y"));
        assert_eq!(affected.specific.custom_ranges.len(), 1);
    }

    #[test]
    fn what_has_another_form_is_refused_with_its_id() {
        assert!(reason("").starts_with("advisory `?` cannot be read: it is not a JSON object"));
        assert!(reason("[\"A-1\"]").contains("not a JSON object"));
        assert!(reason(r#"{"id":"A-1""#).starts_with("advisory `A-1` cannot be read: EOF"));
        assert!(reason(r#"{"modified":"2020-01-01T00:00:00Z"}"#).contains("missing field `id`"));
        assert!(reason(r#"{"id":"A 1"}"#).contains("its `id` is not an id"));
        assert!(reason(r#"{"id":"A-1","id":"A-2"}"#).contains("duplicate field `id`"));
        assert!(reason(r#"{"id":"A-1","aliases":"CVE-1"}"#).contains("expected a list"));
        assert!(reason(r#"{"id":"A-1","aliases":[1]}"#).contains("expected a string"));
        assert!(reason(r#"{"id":"A-1","modified":"soon"}"#).starts_with("advisory `A-1`"));
        assert!(reason(r#"{"id":"A-1","withdrawn":true}"#).starts_with("advisory `A-1`"));
        let event = |event: &str| {
            reason(&format!(
                r#"{{"id":"A-1","affected":[{{"ranges":[{{"type":"SEMVER","events":[{event}]}}]}}]}}"#
            ))
        };
        assert!(event(r#"{"introduced":"0","fixed":"1"}"#).contains("an event says two things"));
        assert!(event(r#"{"introduced":"0","introduced":"1"}"#).contains("says two things"));
        assert!(event(r#"{"introduced":0}"#).contains("expected a string"));
        assert!(event(r#""introduced""#).contains("expected an event"));
    }

    #[test]
    fn a_million_events_are_refused() {
        let events = vec![r#"{"introduced":"0"}"#; 1_000_000].join(",");
        let json = format!(
            r#"{{"id":"EVIL-1","affected":[{{"ranges":[{{"type":"SEMVER","events":[{events}]}}]}}]}}"#
        );
        assert!(
            reason(&json).starts_with(
                "advisory `EVIL-1` cannot be read: a list has more than 50000 entries"
            )
        );
        let ids = vec![r#""CVE-1""#; MOST_IDS + 1].join(",");
        assert!(reason(&format!(r#"{{"id":"EVIL-2","aliases":[{ids}]}}"#)).contains("more than"));
        let large = format!(r#"{{"id":"EVIL-3","details":"{}"}}"#, "x".repeat(MOST_BYTES));
        assert!(reason(&large).contains("more than 33554432 bytes"));
        let deep = format!(r#"{{"id":"EVIL-4","x":{}"#, "[".repeat(1_000_000));
        assert!(reason(&deep).starts_with("advisory `EVIL-4`"));
    }
}
