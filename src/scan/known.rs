//! The scan of an earlier state → which findings it has, so that only what is new refuses the next
//! one: the signed result of a published image, or a scan of this run. It takes no part of a result
//! for the whole, and nothing for what may be.

use std::collections::BTreeSet;

use serde_json::Value;

use super::attestation::rows_of;
use super::findings::{Finding, ecosystem};
use super::report::{EarlierState, ImageScan};
use super::rows::is_open;
use crate::image::{Digest, Platform};

/// What the state before has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFindings {
    pub since: EarlierState,
    rows: Vec<KnownRow>,
}

/// An open finding of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownRow {
    ecosystem: String,
    name: String,
    ids: BTreeSet<String>,
    /// `None` where both states are of one platform, or of none.
    platforms: Option<BTreeSet<String>>,
    is_exploited: bool,
}

impl KnownFindings {
    /// Reads a predicate that counts as the result of a scan.
    ///
    /// # Errors
    /// When its rows do not tell packages, ids and platforms.
    pub fn read(since: &Digest, predicate_type: &str, predicate: &Value) -> Result<Self, String> {
        let rows = rows_of(predicate_type, predicate).ok_or("it has no rows")?;
        let open = rows.iter().filter(|row| is_open(row));
        let read = open.map(|row| {
            read(row).ok_or("its rows are too short: what people read of them was left out")
        });
        let since = EarlierState::Image(since.clone());
        Ok(Self { since, rows: read.collect::<Result<_, _>>()? })
    }

    /// What is open in a scan of what is `named` so, by the same rules.
    pub fn of_scan(scan: &ImageScan, named: &str) -> Self {
        let open = scan.findings.iter().filter(|judged| judged.is_open());
        let rows = open.map(|judged| KnownRow {
            ecosystem: ecosystem(&judged.finding.purl).to_owned(),
            name: judged.finding.name.clone(),
            ids: judged.finding.ids.iter().cloned().chain([judged.finding.id.clone()]).collect(),
            platforms: None,
            is_exploited: judged.finding.kev.is_some(),
        });
        Self { since: EarlierState::Named(named.to_owned()), rows: rows.collect() }
    }

    /// Whether the state before has it as well, on the same platform. What is exploited by now and
    /// was not then is new.
    pub fn has(&self, finding: &Finding, platform: Option<&Platform>) -> bool {
        let platform = platform.map(ToString::to_string);
        let is_there = |platforms: &BTreeSet<String>| {
            platform.as_ref().is_some_and(|platform| platforms.contains(platform))
        };
        self.rows.iter().any(|row| {
            row.ecosystem == ecosystem(&finding.purl)
                && row.name == finding.name
                && row.platforms.as_ref().is_none_or(is_there)
                && row.ids.iter().any(|id| finding.ids.contains(id))
                && (finding.kev.is_none() || row.is_exploited)
        })
    }
}

fn read(row: &Value) -> Option<KnownRow> {
    let facts = row.get("annotations")?.get(0)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |name: &str| -> Option<BTreeSet<String>> {
        facts.get(name)?.as_array()?.iter().map(text).collect()
    };
    let mut ids = texts("aliases")?;
    ids.insert(row.get("id").and_then(text)?);
    Some(KnownRow {
        ecosystem: ecosystem(&facts.get("package").and_then(text)?).to_owned(),
        name: facts.get("name").and_then(text).filter(|name| !name.is_empty())?,
        ids,
        platforms: Some(texts("platforms")?),
        is_exploited: facts.get("kev")?.as_bool()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::attestation::{lean, predicate};
    use super::super::sample;
    use super::*;
    use crate::evidence::{COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES};

    fn digest() -> Digest {
        Digest::of(b"released")
    }

    #[test]
    fn what_is_open_in_either_form_is_known_and_what_was_accepted_is_not() {
        let scan = sample::scan("amd64");
        let platform = scan.platform.as_ref();
        for kind in [COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES] {
            let made = predicate(kind, &[&scan], &sample::invocation()).unwrap();
            let known = KnownFindings::read(&digest(), kind, &made).unwrap();
            let mut count = 0;
            for judged in &scan.findings {
                let is_known = known.has(&judged.finding, platform);
                assert_eq!(is_known, judged.is_open(), "{:?}", judged.finding);
                count += usize::from(is_known);
                assert!(!known.has(&judged.finding, None));
                assert!(!known.has(&judged.finding, Some(&"linux/arm64".parse().unwrap())));
            }
            assert!(count > 0);
            let why = KnownFindings::read(&digest(), kind, &lean(made)).unwrap_err();
            assert!(why.contains("too short"), "{why}");
        }
        assert!(KnownFindings::read(&digest(), "https://x.example", &Value::Null).is_err());
    }

    #[test]
    fn of_a_scan_of_this_run_what_is_open_is_known_on_any_platform() {
        let scan = sample::scan("amd64");
        let known = KnownFindings::of_scan(&scan, "base");
        assert_eq!(known.since.to_string(), "base");
        let arm: Platform = "linux/arm64".parse().unwrap();
        for judged in &scan.findings {
            for platform in [None, scan.platform.as_ref(), Some(&arm)] {
                let is_known = known.has(&judged.finding, platform);
                assert_eq!(is_known, judged.is_open(), "{:?}", judged.finding);
            }
        }
        let Some(open) = scan.findings.iter().find(|judged| judged.is_open()) else { panic!() };
        let other = Finding { name: "another".to_owned(), ..open.finding.clone() };
        assert!(!known.has(&other, None));
        // A crate is not the distribution's package of the same name, whatever flaw they share.
        let purl = "pkg:other/x@1".to_owned();
        assert!(!known.has(&Finding { purl, ..open.finding.clone() }, None));
    }

    #[test]
    fn any_shared_id_of_the_same_package_is_the_same_finding() {
        let mut scan = sample::scan("amd64");
        let platform = scan.platform.clone();
        scan.findings.retain(|judged| judged.is_open() && judged.finding.kev.is_none());
        scan.findings.truncate(1);
        let mut finding = scan.findings[0].finding.clone();
        let made = predicate(COSIGN_VULNERABILITIES, &[&scan], &sample::invocation()).unwrap();
        let known = KnownFindings::read(&digest(), COSIGN_VULNERABILITIES, &made).unwrap();
        let has = |finding: &Finding| known.has(finding, platform.as_ref());
        let shared = finding.id.clone();
        finding.id = "GHSA-other".to_owned();
        finding.ids = ["GHSA-other".to_owned(), shared].into();
        finding.version = "99".to_owned();
        assert!(has(&finding));
        let purl = "pkg:other/x@1".to_owned();
        assert!(!has(&Finding { purl, ..finding.clone() }));
        let other = Finding { name: "another".to_owned(), ..finding.clone() };
        assert!(!has(&other));
        let exploited = Finding { kev: Some(Default::default()), ..finding.clone() };
        assert!(!has(&exploited), "nobody knew that");
        finding.ids = ["GHSA-other".to_owned()].into();
        assert!(!has(&finding));
    }
}
