//! Scans → the OpenVEX document of what was accepted, and of flaws in code that a program was built
//! without. It calls no image unaffected without saying why.
//!
//! Format: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>, version 0.2.0.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::report::{
    AcceptedStatus, FindingAcceptance, ImageScan, Justification, SCANNER, SCANNER_VERSION,
};
use crate::evidence::OPENVEX;
use crate::sbom::spdx::oci_purl;
use crate::text::seen::visible;

/// What one statement is about: a flaw, its other ids and what was decided.
type VexDecision = (String, BTreeSet<String>, FindingAcceptance);

/// `None` where nothing is to be said, or no scan is of an image.
pub fn document(scans: &[&ImageScan], author: &str, now: Timestamp) -> Option<Value> {
    let statements: Vec<Value> =
        decisions(scans).iter().map(|(decision, products)| statement(decision, products)).collect();
    if statements.is_empty() {
        return None;
    }
    let mut document = json!({
        "@context": format!("{OPENVEX}/v0.2.0"),
        "author": visible(author),
        "timestamp": now.to_string(),
        "version": 1,
        "statements": statements,
    });
    document["@id"] = Value::from(identifier(&document));
    document["tooling"] = Value::from(format!("{SCANNER} {SCANNER_VERSION}"));
    Some(document)
}

/// The same for the same document.
fn identifier(content: &Value) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, content.to_string().as_bytes()).urn().to_string()
}

/// Each decision with the images that it is about, and the packages within each.
fn decisions(scans: &[&ImageScan]) -> BTreeMap<VexDecision, BTreeMap<String, BTreeSet<String>>> {
    let mut all: BTreeMap<VexDecision, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for scan in scans {
        let Some(digest) = &scan.digest else { continue };
        let product = oci_purl(&scan.image, digest.hex());
        let accepted = scan.findings.iter().filter_map(|judged| {
            let finding = &judged.finding;
            let acceptance = judged.acceptance.clone()?;
            Some((&finding.id, &finding.ids, acceptance, &finding.purl))
        });
        let absent = scan.absent.iter().map(|absent| {
            let acceptance = FindingAcceptance {
                status: AcceptedStatus::NotAffected(Justification::CodeNotPresent),
                reason: "the program was built without the packages that have the flaw".to_owned(),
                by: "supply-action".to_owned(),
                since: None,
                until: None,
            };
            (&absent.id, &absent.ids, acceptance, &absent.purl)
        });
        for (id, ids, acceptance, package) in accepted.chain(absent) {
            let others = ids.iter().filter(|other| *other != id).cloned().collect();
            let products = all.entry((id.clone(), others, acceptance)).or_default();
            products.entry(product.clone()).or_default().insert(package.clone());
        }
    }
    all
}

fn statement(
    (id, aliases, acceptance): &VexDecision,
    products: &BTreeMap<String, BTreeSet<String>>,
) -> Value {
    let products: Vec<Value> = products
        .iter()
        .map(|(product, packages)| {
            let packages: Vec<Value> =
                packages.iter().map(|package| json!({ "@id": visible(package) })).collect();
            json!({ "@id": product, "subcomponents": packages })
        })
        .collect();
    let aliases: Vec<String> = aliases.iter().map(|alias| visible(alias)).collect();
    let mut statement = json!({
        "vulnerability": { "name": visible(id), "aliases": aliases },
        "products": products,
    });
    let since = acceptance.since.and_then(midnight);
    if let Some(since) = &since {
        statement["timestamp"] = Value::from(since.as_str());
    }
    statement["status_notes"] = Value::from(visible(&format!("decided by {}", acceptance.by)));
    match acceptance.status {
        AcceptedStatus::Affected => {
            let until = acceptance.until.map(|until| format!(" (accepted until {until})"));
            let action = format!("{}{}", acceptance.reason, until.unwrap_or_default());
            statement["status"] = Value::from("affected");
            statement["action_statement"] = Value::from(visible(&action));
            if let Some(since) = since {
                statement["action_statement_timestamp"] = Value::from(since);
            }
        }
        AcceptedStatus::Fixed => {
            statement["status"] = Value::from("fixed");
            let notes = format!("{}, decided by {}", acceptance.reason, acceptance.by);
            statement["status_notes"] = Value::from(visible(&notes));
        }
        AcceptedStatus::NotAffected(justification) => {
            statement["status"] = Value::from("not_affected");
            statement["justification"] = Value::from(justification.as_str());
            statement["impact_statement"] = Value::from(visible(&acceptance.reason));
        }
    }
    statement
}

fn midnight(date: Date) -> Option<String> {
    date.to_zoned(TimeZone::UTC).ok().map(|start| start.timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const AUTHOR: &str = "https://github.com/acme/app/.github/workflows/release.yml";

    fn now() -> Timestamp {
        "2026-11-28T10:00:03Z".parse().unwrap()
    }

    #[test]
    fn what_was_accepted_is_as_recorded_and_has_the_same_id_each_time() {
        let (amd64, arm64) = (sample::scan("amd64"), sample::scan("arm64"));
        let made = document(&[&amd64, &arm64], AUTHOR, now()).unwrap();
        assert_eq!(sample::recorded(&made), include_str!("../../tests/fixtures/scan/openvex.json"));
        assert_eq!(document(&[&arm64, &amd64], AUTHOR, now()), Some(made.clone()));
        let other = document(&[&amd64], AUTHOR, now()).unwrap();
        assert_ne!(other["@id"], made["@id"]);
    }

    #[test]
    fn says_nothing_of_open_findings_and_of_folders() {
        let mut scan = sample::scan("amd64");
        scan.absent.clear();
        scan.findings.retain(|judged| judged.acceptance.is_none());
        assert_eq!(document(&[&scan], AUTHOR, now()), None);
        let mut folder = sample::scan("amd64");
        folder.digest = None;
        assert_eq!(document(&[&folder], AUTHOR, now()), None);
        assert_eq!(document(&[], AUTHOR, now()), None);
    }

    #[test]
    fn each_status_has_what_the_format_asks_of_it() {
        let made = document(&[&sample::scan("amd64")], AUTHOR, now()).unwrap();
        for statement in made["statements"].as_array().unwrap() {
            let has = |name: &str| statement[name].as_str().is_some_and(|text| !text.is_empty());
            match statement["status"].as_str().unwrap() {
                "affected" => assert!(has("action_statement") && !has("justification")),
                "not_affected" => assert!(has("justification") && !has("action_statement")),
                other => panic!("{other}"),
            }
            assert!(!statement["products"].as_array().unwrap().is_empty());
        }
    }
}
