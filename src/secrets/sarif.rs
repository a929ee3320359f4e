//! Leaks → rules and results of SARIF, for the run that has an image's findings. It writes no
//! document of its own, and no text of others is a link.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::leak::{Confidence, Fingerprint, Leak, LeakPlace, LeakSpot};
use super::verdict::{SecretsVerdict, Waiver};
use super::weakness::{Gravity, WeakPlace, Weakness};
use crate::text::seen::visible;

const HELP: &str = "Whoever can pull the image has it. Revoke it, then build without it: a secret \
    of the build (`RUN --mount=type=secret`) leaves nothing behind.";

/// Rules in the order that results count them by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SarifRows {
    pub rules: Vec<Value>,
    pub results: Vec<Value>,
}

/// `offset` is how many rules the run has before these. Numbers of the verdict are those of
/// `leaks` and `waivers`.
pub fn rows(
    leaks: &[Leak],
    verdict: &SecretsVerdict,
    waivers: &[Waiver],
    offset: usize,
) -> SarifRows {
    let mut by_id: BTreeMap<&str, &Leak> = BTreeMap::new();
    for leak in leaks {
        by_id.entry(leak.rule.id).or_insert(leak);
    }
    let places: BTreeMap<&str, usize> =
        by_id.keys().enumerate().map(|(at, id)| (*id, at + offset)).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results = leaks.iter().enumerate().map(|(at, leak)| {
        let waiver = verdict.accepted.iter().find(|(leak, _)| *leak == at);
        let waiver = waiver.and_then(|(_, number)| waivers.get(*number));
        let index = places.get(leak.rule.id).copied().unwrap_or_default();
        let number = seen.entry(identity(leak)).or_default();
        *number += 1;
        result(leak, index, waiver, *number)
    });
    let results = results.collect();
    SarifRows { rules: by_id.into_values().map(rule).collect(), results }
}

/// The same of what is set in an unwise way; `accepted` are places in the list, each with the
/// waiver that it stays by.
pub fn weak_rows(
    weaknesses: &[Weakness],
    accepted: &[(usize, usize)],
    waivers: &[Waiver],
    offset: usize,
) -> SarifRows {
    let mut by_id: BTreeMap<&str, &Weakness> = BTreeMap::new();
    for weak in weaknesses {
        by_id.entry(&weak.rule).or_insert(weak);
    }
    let places: BTreeMap<&str, usize> =
        by_id.keys().enumerate().map(|(at, id)| (*id, at + offset)).collect();
    let results = weaknesses.iter().enumerate().map(|(at, weak)| {
        let waiver = accepted.iter().find(|(place, _)| *place == at);
        let waiver = waiver.and_then(|(_, number)| waivers.get(*number));
        let (path, line) = match &weak.place {
            WeakPlace::Entry(path) => (path.as_str(), 1),
            WeakPlace::Line { file, line } => (file.as_str(), u64::from(*line)),
            _ => ("image", 1),
        };
        json!({
            "ruleId": visible(&weak.rule),
            "ruleIndex": places.get(weak.rule.as_ref()),
            "kind": "fail",
            "level": weak.gravity.as_str(),
            "message": { "text": unlinked(&format!("{} in {}. {}", weak.message, weak.place, weak.hint)) },
            "locations": [place(path, line, &weak.place.to_string())],
            "partialFingerprints": {
                "primaryLocationLineHash": shortened(&weak.rule, &weak.place.to_string()),
            },
            "suppressions": suppressions(waiver),
        })
    });
    let results = results.collect();
    let rule = |weak: &Weakness| {
        json!({
            "id": visible(&weak.rule),
            "shortDescription": { "text": unlinked(&weak.message) },
            "help": { "text": unlinked(&weak.hint) },
            "defaultConfiguration": { "level": weak.gravity.as_str() },
            "properties": {
                "tags": ["security", "misconfiguration"],
                "precision": "high",
                "security-severity": match weak.gravity {
                    Gravity::Note => "2.0",
                    Gravity::Warning => "5.0",
                    Gravity::Error => "8.0",
                },
            },
        })
    };
    SarifRows { rules: by_id.into_values().map(rule).collect(), results }
}

fn unlinked(text: &str) -> String {
    visible(text).replace("](", "] (")
}

fn suppressions(waiver: Option<&Waiver>) -> Vec<Value> {
    let written = waiver.iter().map(|it| {
        json!({ "kind": "external", "status": "accepted", "justification": visible(&it.reason) })
    });
    written.collect()
}

fn rule(leak: &Leak) -> Value {
    let is_sure = leak.rule.confidence == Confidence::Verifiable;
    json!({
        "id": leak.rule.id,
        "shortDescription": { "text": format!("A secret in the image: {}", leak.rule.what) },
        "help": { "text": HELP },
        "defaultConfiguration": { "level": if is_sure { "error" } else { "note" } },
        "properties": {
            "tags": ["security", "secret"],
            "precision": if is_sure { "very-high" } else { "medium" },
            "security-severity": if is_sure { "9.0" } else { "3.0" },
        },
    })
}

fn result(leak: &Leak, index: usize, waiver: Option<&Waiver>, number: usize) -> Value {
    let excuse = leak
        .excuse
        .as_ref()
        .map(|it| format!(" It does not fail the check: {it}."))
        .unwrap_or_default();
    let times = if leak.times > 1 { format!(", {} times", leak.times) } else { String::new() };
    let text = format!("{} {} in {}{times}.{excuse}", leak.rule.what, leak.shown, leak.place);
    json!({
        "ruleId": leak.rule.id,
        "ruleIndex": index,
        "kind": "fail",
        "level": if leak.confidence == Confidence::Verifiable { "error" } else { "note" },
        "message": { "text": unlinked(&text) },
        "locations": [location(leak)],
        "partialFingerprints": { "primaryLocationLineHash": format!("{}:{number}", identity(leak)) },
        "suppressions": suppressions(waiver),
        "properties": { "fingerprint": leak.fingerprint, "layer": leak.layer.as_deref().map(visible) },
    })
}

fn location(leak: &Leak) -> Value {
    let (path, line) = match &leak.place {
        LeakPlace::File { path, spot: LeakSpot::Line(line) } => (path.as_str(), *line),
        LeakPlace::File { path, .. } => (path.as_str(), 1),
        _ => ("image", 1),
    };
    place(path, line, &leak.place.to_string())
}

fn place(path: &str, line: u64, logical: &str) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": relative(path) },
            "region": { "startLine": line.max(1) },
        },
        "logicalLocations": [{ "kind": "object", "fullyQualifiedName": logical }],
    })
}

/// The same for the same secret in the same file, whatever its line.
fn identity(leak: &Leak) -> String {
    let place = match &leak.place {
        LeakPlace::File { path, .. } => path.clone(),
        other => other.to_string(),
    };
    shortened(leak.rule.id, &format!("{}{place}", leak.fingerprint))
}

fn shortened(rule: &str, place: &str) -> String {
    let place = Fingerprint::of_place(rule, place);
    place.to_string().chars().skip("sha256:".len()).take(32).collect()
}

/// A path as a relative reference, which nothing in it leads elsewhere.
fn relative(path: &str) -> String {
    let steps = path.split('/').filter(|step| !matches!(*step, "" | "." | ".."));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!+@".contains(&byte);
    let letter = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let steps: Vec<String> = steps.map(|step| step.bytes().map(letter).collect()).collect();
    if steps.is_empty() { "image".to_owned() } else { steps.join("/") }
}
