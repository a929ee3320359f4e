//! The catalogue of vulnerabilities that are known to be exploited → what it says of each CVE. It
//! reads all of it or nothing.
//!
//! Format: <https://www.cisa.gov/known-exploited-vulnerabilities-catalog>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::feed::{FeedError, cve};
use crate::scan::exploited::Kev;

/// No catalogue is larger; in 2026 it has 2 MB.
pub const LARGEST: usize = 32 << 20;

/// CISA's catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub version: String,
    pub released: Timestamp,
    pub by_cve: BTreeMap<String, Kev>,
}

#[derive(Deserialize)]
struct KevCatalog {
    #[serde(rename = "catalogVersion")]
    version: String,
    #[serde(rename = "dateReleased")]
    released: Timestamp,
    count: usize,
    vulnerabilities: Vec<KevRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KevRow {
    #[serde(rename = "cveID")]
    cve: String,
    #[serde(default)]
    due_date: Option<Date>,
    #[serde(default)]
    known_ransomware_campaign_use: Option<String>,
}

impl Catalogue {
    /// # Errors
    /// When the bytes are no catalogue, or not all of one.
    pub fn of(bytes: &[u8]) -> Result<Self, FeedError> {
        let document: KevCatalog =
            serde_json::from_slice(bytes).map_err(|error| FeedError::new(error.to_string()))?;
        let KevCatalog { version, released, count, vulnerabilities } = document;
        if vulnerabilities.len() != count {
            let found = vulnerabilities.len();
            return Err(FeedError::new(format!("it has {found} entries and says {count}")));
        }
        let mut by_cve = BTreeMap::new();
        for row in vulnerabilities {
            // Whatever is not plainly unknown counts.
            let ransom = row.known_ransomware_campaign_use.as_deref();
            let kev = Kev { due: row.due_date, is_used_for_ransom: ransom != Some("Unknown") };
            if by_cve.insert(cve(&row.cve)?.to_owned(), kev).is_some() {
                return Err(FeedError::new(format!("`{}` is there twice", row.cve)));
            }
        }
        Ok(Self { version, released, by_cve })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"cveID":"CVE-2021-44228","vendorProject":"Apache","dateAdded":"2021-12-10","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known","cwes":[]}"#;

    fn catalogue(count: usize, rows: &[&str]) -> Result<Catalogue, FeedError> {
        let rows = rows.join(",");
        let text = format!(
            r#"{{"title":"x","catalogVersion":"2026.11.28","dateReleased":"2026-11-28T17:00:34.6889Z","count":{count},"vulnerabilities":[{rows}]}}"#
        );
        Catalogue::of(text.as_bytes())
    }

    #[test]
    fn an_entry_has_its_dates_and_its_use() {
        let unknown = ROW.replace("44228", "44229").replace(r#":"Known""#, r#":"Unknown""#);
        let catalogue = catalogue(2, &[ROW, &unknown]).unwrap();
        let kev = |is_used_for_ransom| {
            Some(Kev { due: Some(jiff::civil::date(2021, 12, 24)), is_used_for_ransom })
        };
        let found = |cve: &str| catalogue.by_cve.get(cve).copied();
        assert_eq!((found("CVE-2021-44228"), found("CVE-2021-44229")), (kev(true), kev(false)));
        assert_eq!(catalogue.by_cve.len(), 2);
    }

    #[test]
    fn half_a_catalogue_is_none() {
        for (count, rows, why) in [
            (2, vec![ROW], "has 1 entries and says 2"),
            (2, vec![ROW, ROW], "is there twice"),
            (1, vec![r#"{"cveID":"x\n::error::","dueDate":"2021-12-10"}"#], "no CVE"),
            (1, vec![r#"{"cveID":"CVE-2021-1234","dueDate":"soon"}"#], "year"),
        ] {
            let error = catalogue(count, &rows).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        for text in ["", "{}", "[]", "<html>"] {
            assert!(Catalogue::of(text.as_bytes()).is_err(), "{text}");
        }
    }
}
