//! Makes a rough order of versions: enough to leave out what is plainly fixed, never enough to
//! leave out what is not plain.

use std::cmp::Ordering;

use serde_json::Value;

/// Whether a version may be affected by an entry of a record.
pub(super) fn may_be_affected(entry: &Value, version: &str) -> bool {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let versions = list(&entry["versions"]);
    if version.is_empty() || versions.iter().any(|known| known.as_str() == Some(version)) {
        return true;
    }
    list(&entry["ranges"])
        .iter()
        .filter(|range| range["type"] != "GIT")
        .any(|range| is_within(&list(&range["events"]), version))
}

fn is_within(events: &[Value], version: &str) -> bool {
    let plainly = |event: &Value, kind: &str, wanted: Ordering| {
        let border = event[kind].as_str();
        border.is_some_and(|border| border != "0" && compared(version, border) == Some(wanted))
    };
    let is_before_all = events.iter().any(|event| event["introduced"].is_string())
        && events
            .iter()
            .filter(|event| event["introduced"].is_string())
            .all(|event| plainly(event, "introduced", Ordering::Less));
    let last = |kind: &str| events.iter().rev().find(|event| event[kind].is_string());
    let is_reopened = events.last().is_some_and(|event| event["introduced"].is_string());
    let is_after_all = !is_reopened
        && (last("fixed").is_some_and(|event| {
            plainly(event, "fixed", Ordering::Greater) || event["fixed"] == version
        }) || last("last_affected")
            .is_some_and(|event| plainly(event, "last_affected", Ordering::Greater)));
    !is_before_all && !is_after_all
}

/// The order of two versions where their leading numbers tell it.
fn compared(one: &str, other: &str) -> Option<Ordering> {
    let numbers = |text: &str| -> Vec<u64> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        text[..end].split('.').map_while(|part| part.parse().ok()).collect()
    };
    // An epoch changes the meaning of all that follows.
    if one.contains(':') != other.contains(':') {
        return None;
    }
    let (one, other) = (numbers(one), numbers(other));
    let differing = one.iter().zip(&other).find(|(one, other)| one != other)?;
    Some(differing.0.cmp(differing.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_plainly_outside_is_left_out() {
        let entry = json!({
            "versions": ["0.1-odd"],
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "1.2.0"}, {"fixed": "1.4.0"}, {"introduced": "2.0"}, {"fixed": "2.1.3-1"}]},
            ],
        });
        for (version, may) in [
            ("1.1.9", false),
            ("0.1-odd", true),
            ("1.2.0", true),
            ("1.3", true),
            ("1.4.0", true),
            ("2.1.3-1", false),
            ("2.1.3-0~x", true),
            ("v2.2", false),
            ("1:2.2", true),
            ("", true),
            ("unknown", true),
        ] {
            assert_eq!(may_be_affected(&entry, version), may, "{version}");
        }
        assert!(!may_be_affected(&json!({}), "1"));
    }
}
