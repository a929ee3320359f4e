//! The config of an image → secrets in what it sets, is labelled with and was built by. It knows no
//! layer, and names give hints only.
//!
//! `oci::Config` has judged that every program reads the document alike; this reads it for its
//! members.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::detector::read_bytes;
use super::leak::{Fingerprint, Leak, LeakPlace};
use super::placeholder::{entropy, is_placeholder};
use super::rules::{self, SecretRule};

/// What a config says that matters here.
#[derive(Clone, Default, Deserialize)]
pub struct RunConfig {
    #[serde(default)]
    pub(super) config: Option<Wishes>,
    #[serde(default)]
    pub(super) history: Option<Vec<HistoryStep>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Wishes {
    pub(super) user: Option<String>,
    pub(super) env: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) exposed_ports: Option<BTreeMap<String, Value>>,
    pub(super) healthcheck: Option<Value>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct HistoryStep {
    #[serde(default)]
    pub(super) created_by: Option<String>,
}

/// The config is no JSON of that shape. What it says is not told: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the config of the image cannot be read at line {line}, column {column}")]
pub struct BadConfig {
    pub line: usize,
    pub column: usize,
}

/// A text of the config and where it stands.
pub(super) struct ConfigText<'a> {
    pub(super) place: LeakPlace,
    pub(super) text: &'a str,
}

/// More steps or variables than any image has.
const MOST_TEXTS: usize = 100_000;
/// Shorter values are words.
const SHORTEST_SECRET: usize = 8;
const LEAST_BITS: f64 = 2.8;
/// Ends of names, in capitals, that say what the value is.
const NAMES: [&str; 14] = [
    "PASSWORD",
    "PASSWD",
    "_PASS",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "SECRET_KEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH_KEY",
];

impl RunConfig {
    pub fn read(bytes: &[u8]) -> Result<Self, BadConfig> {
        serde_json::from_slice(bytes)
            .map_err(|error| BadConfig { line: error.line(), column: error.column() })
    }

    /// In the order of the config, by every rule of files, then by names and addresses.
    pub fn leaks(&self) -> Vec<Leak> {
        let said = self.said();
        let mut whole = String::new();
        let mut starts = Vec::new();
        for said in &said {
            starts.push(whole.len() as u64);
            whole.push_str(said.text);
            // So that nothing is made of the end of one and the start of the next.
            whole.push('\n');
        }
        let place = |offset: u64| {
            let at = starts.partition_point(|start| *start <= offset).checked_sub(1)?;
            said.get(at)
        };
        let mut leaks: Vec<Leak> = Vec::new();
        for leak in read_bytes("", whole.as_bytes()).leaks {
            if let Some(said) = place(leak.offset) {
                leaks.push(Leak { place: said.place.clone(), ..leak });
            }
        }
        let known: Vec<LeakPlace> = leaks.iter().map(|leak| leak.place.clone()).collect();
        let hints = said.iter().filter(|said| !known.contains(&said.place)).flat_map(hints);
        leaks.extend(hints);
        leaks
    }

    pub(super) fn said(&self) -> Vec<ConfigText<'_>> {
        let config = self.config.as_ref();
        let mut said = Vec::new();
        for text in config.and_then(|it| it.env.as_ref()).into_iter().flatten() {
            let name = text.split('=').next().unwrap_or_default().to_owned();
            said.push(ConfigText { place: LeakPlace::Environment { name }, text });
        }
        for (name, text) in config.and_then(|it| it.labels.as_ref()).into_iter().flatten() {
            said.push(ConfigText { place: LeakPlace::Label { name: name.clone() }, text });
        }
        for text in config.and_then(|it| it.entrypoint.as_ref()).into_iter().flatten() {
            said.push(ConfigText { place: LeakPlace::Entrypoint, text });
        }
        for text in config.and_then(|it| it.cmd.as_ref()).into_iter().flatten() {
            said.push(ConfigText { place: LeakPlace::Command, text });
        }
        for (step, text) in self.steps() {
            said.push(ConfigText { place: LeakPlace::History { step }, text });
        }
        said.truncate(MOST_TEXTS);
        said
    }

    /// With their numbers, from one.
    pub(super) fn steps(&self) -> impl Iterator<Item = (usize, &str)> {
        let steps = self.history.iter().flatten().enumerate();
        steps.filter_map(|(at, step)| Some((at + 1, step.created_by.as_deref()?)))
    }
}

/// Words `NAME=value` whose names tell, and addresses with a password.
fn hints(said: &ConfigText<'_>) -> Vec<Leak> {
    let pairs = match &said.place {
        LeakPlace::Environment { .. } | LeakPlace::Label { .. } => whole_pair(said),
        _ => assignments(said.text),
    };
    let named = pairs.into_iter().filter(|(name, value)| is_named(name) && is_secret(value));
    let mut hints: Vec<Leak> = named.map(|(name, _)| hint(said, &rules::NAMED, name)).collect();
    if has_login(said.text) {
        hints.push(hint(said, &rules::ADDRESS, ""));
    }
    hints
}

fn hint(said: &ConfigText<'_>, rule: &'static SecretRule, name: &str) -> Leak {
    Leak {
        rule,
        place: said.place.clone(),
        offset: 0,
        times: 1,
        layer: None,
        shown: if name.is_empty() { "…".to_owned() } else { format!("{name}=…") },
        fingerprint: Fingerprint::of_place(rule.id, &format!("{} {name}", said.place)),
        confidence: rule.confidence,
        excuse: None,
    }
}

fn whole_pair<'a>(said: &'a ConfigText<'_>) -> Vec<(&'a str, &'a str)> {
    match &said.place {
        LeakPlace::Label { name } => vec![(name, said.text)],
        _ => said.text.split_once('=').into_iter().collect(),
    }
}

/// As shells, `ENV`, `ARG` and `|1 NAME=value` have them.
pub(super) fn assignments(text: &str) -> Vec<(&str, &str)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    let words = text.split_whitespace().map(|word| word.trim_start_matches('-'));
    words
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name, value.trim_matches(|it| it == '"' || it == '\'')))
        .filter(|(name, _)| is_name(name))
        .collect()
}

pub(super) fn is_named(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    NAMES.iter().any(|end| name.ends_with(end))
}

/// No path, no address, no word, no reference.
pub(super) fn is_secret(value: &str) -> bool {
    let is_random = |bytes: &[u8]| entropy(bytes) >= LEAST_BITS && !is_placeholder(bytes);
    let is_elsewhere = value.starts_with('/') || value.starts_with("./") || value.contains("://");
    let is_reference = value.contains("${") || value.contains("$(") || value.contains(' ');
    let has_digit = value.bytes().any(|it| it.is_ascii_digit() || it.is_ascii_punctuation());
    value.len() >= SHORTEST_SECRET
        && has_digit
        && !is_elsewhere
        && !is_reference
        && is_random(value.as_bytes())
}

/// `scheme://name:password@host`.
fn has_login(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let end = rest.find(|it: char| it.is_whitespace() || "/\"'<>".contains(it));
        let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| {
            let is_reference = password.contains('$') || password.contains('{');
            password.len() >= 6 && !is_reference && !is_placeholder(password.as_bytes())
        })
    })
}
