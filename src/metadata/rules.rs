//! The inputs `images`, `tags` and `flavor` as docker/metadata-action writes them → typed rules.
//! Pure; it expands no expression.
//!
//! Reference: <https://github.com/docker/metadata-action#images-input>, `#tags-input`,
//! `#flavor-input`.

use std::collections::BTreeMap;

use super::MetadataError;
use super::javascript;
use crate::text::csv::{self, CsvDialect};

/// One line of `tags`.
#[derive(Debug, Clone)]
pub(super) struct TagRule {
    pub kind: RuleKind,
    /// Which entry of the list it is, from 0.
    pub entry: usize,
    /// A template that must give `true` or `false`.
    pub enable: String,
    priority: f64,
    /// `None` leaves it to the flavor.
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum RuleKind {
    Schedule { pattern: String },
    Semver(VersionRule),
    Pep440(VersionRule),
    Match { pattern: String, group: String, value: String },
    Edge { branch: String },
    Branch,
    Tag,
    PullRequest,
    Raw { value: String },
    Sha { long: bool },
}

/// `type=semver` and `type=pep440`. An empty `value` is the Git tag, an empty `part` all of it.
#[derive(Debug, Clone)]
pub(super) struct VersionRule {
    pub pattern: String,
    pub value: String,
    /// The attribute `match`: a regular expression whose first group is the version.
    pub part: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageRule {
    pub name: String,
    pub enable: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flavor {
    /// `None` is `auto`.
    pub latest: Option<bool>,
    pub prefix: String,
    pub prefix_latest: bool,
    pub suffix: String,
    pub suffix_latest: bool,
}

/// The entries of a list input: a line each, quotes removed, comments and blank lines dropped.
pub fn entries(input: &'static str, text: &str) -> Result<Vec<String>, MetadataError> {
    let records =
        csv::read(javascript::trim(text), CsvDialect { loose_quotes: true, comments: true })
            .map_err(|error| MetadataError::List { input, error })?;
    let entries = records.into_iter().map(|fields| javascript::trim(&fields.join(",")).to_owned());
    Ok(entries.filter(|entry| !entry.is_empty()).collect())
}

/// The fields of one entry. It is read as CSV once more, and now a quote must stand at a field's
/// beginning.
pub(super) fn fields(input: &'static str, entry: &str) -> Result<Vec<String>, MetadataError> {
    let wrong = |error| MetadataError::Entry { input, entry: entry.to_owned(), error };
    Ok(csv::read(entry, CsvDialect::default())
        .map_err(wrong)?
        .into_iter()
        .next()
        .unwrap_or_default())
}

/// A field as `key=value`, or as a value alone.
pub(super) fn key_value(field: &str) -> (Option<String>, String) {
    match field.find('=') {
        Some(at) if at > 0 => (
            Some(javascript::trim(&field[..at]).to_lowercase()),
            javascript::trim(&field[at + 1..]).to_owned(),
        ),
        _ => (None, javascript::trim(field).to_owned()),
    }
}

/// As `key_value`, for lists in which a value ends at the next `=`.
fn short_key_value(field: &str) -> (Option<String>, String) {
    let mut parts = field.split('=').map(javascript::trim);
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(value) => (Some(first.to_lowercase()), value.to_owned()),
        None => (None, first.to_owned()),
    }
}

/// Reads `images`. One line of names only may list several.
pub(super) fn images(text: &str) -> Result<Vec<ImageRule>, MetadataError> {
    let entries = entries("images", text)?;
    if let [only] = entries.as_slice() {
        let fields = fields("images", only)?;
        if fields.iter().all(|field| !field.contains('=')) {
            let names =
                fields.iter().map(|name| javascript::trim(name)).filter(|name| !name.is_empty());
            let images: Vec<ImageRule> =
                names.map(|name| ImageRule { name: name.to_owned(), enable: true }).collect();
            return if images.is_empty() {
                Err(MetadataError::ImageName(only.clone()))
            } else {
                Ok(images)
            };
        }
    }
    entries.iter().map(|entry| image(entry)).collect()
}

fn image(entry: &str) -> Result<ImageRule, MetadataError> {
    let mut image = ImageRule { name: String::new(), enable: true };
    for field in fields("images", entry)? {
        match short_key_value(&field) {
            (None, name) => image.name = name,
            (Some(key), value) => match (key.as_str(), value.as_str()) {
                ("name", _) => image.name = value,
                ("enable", "true") => image.enable = true,
                ("enable", "false") => image.enable = false,
                ("enable", _) => return Err(MetadataError::ImageEnable(entry.to_owned())),
                _ => return Err(MetadataError::ImageAttribute { entry: entry.to_owned(), key }),
            },
        }
    }
    if image.name.is_empty() { Err(MetadataError::ImageName(entry.to_owned())) } else { Ok(image) }
}

/// Reads `flavor`.
pub(super) fn flavor(text: &str) -> Result<Flavor, MetadataError> {
    enum Affix {
        Prefix,
        Suffix,
    }
    let mut flavor = Flavor::default();
    for entry in entries("flavor", text)? {
        let mut affix = None;
        for field in fields("flavor", &entry)? {
            let (Some(key), value) = short_key_value(&field) else {
                return Err(MetadataError::FlavorEntry(entry));
            };
            match (key.as_str(), value.as_str()) {
                ("latest", "auto") => flavor.latest = None,
                ("latest", "true") => flavor.latest = Some(true),
                ("latest", "false") => flavor.latest = Some(false),
                ("latest", _) => return Err(MetadataError::FlavorLatest(entry)),
                ("prefix", _) => {
                    flavor.prefix = value;
                    affix = Some(Affix::Prefix);
                }
                ("suffix", _) => {
                    flavor.suffix = value;
                    affix = Some(Affix::Suffix);
                }
                ("onlatest", "true" | "false") => match affix {
                    Some(Affix::Prefix) => flavor.prefix_latest = value == "true",
                    Some(Affix::Suffix) => flavor.suffix_latest = value == "true",
                    None => {}
                },
                ("onlatest", _) => return Err(MetadataError::FlavorOnLatest(value)),
                _ => return Err(MetadataError::FlavorAttribute(entry)),
            }
        }
    }
    Ok(flavor)
}

/// What docker/metadata-action does without `tags`.
const DEFAULT: &str = "type=schedule\ntype=ref,event=branch\ntype=ref,event=tag\ntype=ref,event=pr";

/// Reads `tags`, the most important rule first.
pub(super) fn rules(text: &str) -> Result<Vec<TagRule>, MetadataError> {
    let mut entries = entries("tags", text)?;
    if entries.is_empty() {
        entries = DEFAULT.lines().map(str::to_owned).collect();
    }
    let mut sorted: Vec<TagRule> = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let rule = TagRule { entry: at, ..rule(&entry)? };
        // A priority that is not a number is neither more nor less than another, so `sort_by` would
        // not do.
        let at =
            sorted.iter().position(|other| other.priority < rule.priority).unwrap_or(sorted.len());
        sorted.insert(at, rule);
    }
    Ok(sorted)
}

/// Reads one rule.
fn rule(entry: &str) -> Result<TagRule, MetadataError> {
    let mut kind = None;
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    for field in fields("tags", entry)? {
        match key_value(&field) {
            (Some(key), value) if key == "type" => kind = Some(known_type(value, entry)?),
            (Some(key), value) => drop(attributes.insert(key, value)),
            (None, value) => drop(attributes.insert("value".to_owned(), value)),
        }
    }
    let kind = kind.unwrap_or("raw");
    let mut attribute = |name: &str| attributes.remove(name);
    let missing = |attribute| MetadataError::Missing { attribute, entry: entry.to_owned() };
    let (mut prefix, suffix) = (attribute("prefix"), attribute("suffix"));
    let (enable, priority) =
        (attribute("enable").unwrap_or_else(|| "true".to_owned()), attribute("priority"));
    let (default_priority, kind) = match kind {
        "schedule" => {
            let pattern = attribute("pattern").unwrap_or_else(|| "nightly".to_owned());
            (1000.0, RuleKind::Schedule { pattern })
        }
        "semver" | "pep440" => {
            let rule = VersionRule {
                pattern: attribute("pattern").ok_or_else(|| missing("pattern"))?,
                value: attribute("value").unwrap_or_default(),
                part: attribute("match").unwrap_or_default(),
            };
            (900.0, if kind == "semver" { RuleKind::Semver(rule) } else { RuleKind::Pep440(rule) })
        }
        "match" => {
            let pattern = attribute("pattern").ok_or_else(|| missing("pattern"))?;
            let group = attribute("group").unwrap_or_else(|| "0".to_owned());
            if javascript::number(&group).is_nan() {
                return Err(MetadataError::Group { group, entry: entry.to_owned() });
            }
            (
                800.0,
                RuleKind::Match { pattern, group, value: attribute("value").unwrap_or_default() },
            )
        }
        "edge" => (700.0, RuleKind::Edge { branch: attribute("branch").unwrap_or_default() }),
        "ref" => {
            let event = attribute("event").ok_or_else(|| missing("event"))?;
            let kind = match event.as_str() {
                "branch" => RuleKind::Branch,
                "tag" => RuleKind::Tag,
                "pr" => {
                    prefix.get_or_insert_with(|| "pr-".to_owned());
                    RuleKind::PullRequest
                }
                _ => return Err(MetadataError::RefEvent { event, entry: entry.to_owned() }),
            };
            (600.0, kind)
        }
        "raw" => {
            (200.0, RuleKind::Raw { value: attribute("value").ok_or_else(|| missing("value"))? })
        }
        _ => {
            prefix.get_or_insert_with(|| "sha-".to_owned());
            let long = match attribute("format").as_deref() {
                None | Some("short") => false,
                Some("long") => true,
                Some(format) => {
                    return Err(MetadataError::ShaFormat {
                        format: format.to_owned(),
                        entry: entry.to_owned(),
                    });
                }
            };
            (100.0, RuleKind::Sha { long })
        }
    };
    Ok(TagRule {
        kind,
        entry: 0,
        enable,
        prefix,
        suffix,
        priority: priority.map_or(default_priority, |text| javascript::number(&text)),
    })
}

const TYPES: [&str; 8] = ["schedule", "semver", "pep440", "match", "edge", "ref", "raw", "sha"];

fn known_type(name: String, entry: &str) -> Result<&'static str, MetadataError> {
    TYPES
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| MetadataError::Type { name, entry: entry.to_owned() })
}
