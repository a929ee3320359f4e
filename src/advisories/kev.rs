//! The catalogue of vulnerabilities that are known to be exploited → what it says of each CVE. It
//! reads all of it or nothing.
//!
//! Format: <https://www.cisa.gov/known-exploited-vulnerabilities-catalog>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::feed::{FeedError, cve};

/// No catalogue is larger; in 2026 it has 2 MB.
pub const LARGEST: usize = 32 << 20;

/// What the catalogue says of one CVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exploitation {
    pub added: Date,
    /// By when agencies have to act.
    pub due: Option<Date>,
    /// Used by ransomware; whatever is not plainly unknown counts as known.
    pub by_ransomware: bool,
}

/// CISA's catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub version: String,
    pub released: Timestamp,
    by_cve: BTreeMap<String, Exploitation>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "catalogVersion")]
    version: String,
    #[serde(rename = "dateReleased")]
    released: Timestamp,
    count: usize,
    vulnerabilities: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "cveID")]
    cve: String,
    date_added: Date,
    #[serde(default)]
    due_date: Option<Date>,
    #[serde(default)]
    known_ransomware_campaign_use: Option<String>,
}

impl Catalogue {
    /// # Errors
    /// When the bytes are no catalogue, or not all of one.
    pub fn of(bytes: &[u8]) -> Result<Self, FeedError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| FeedError::new(error.to_string()))?;
        let Document { version, released, count, vulnerabilities } = document;
        if vulnerabilities.len() != count {
            let found = vulnerabilities.len();
            return Err(FeedError::new(format!("it has {found} entries and says {count}")));
        }
        let mut by_cve = BTreeMap::new();
        for row in vulnerabilities {
            let exploitation = Exploitation {
                added: row.date_added,
                due: row.due_date,
                by_ransomware: row.known_ransomware_campaign_use.as_deref() != Some("Unknown"),
            };
            if by_cve.insert(cve(&row.cve)?.to_owned(), exploitation).is_some() {
                return Err(FeedError::new(format!("`{}` is there twice", row.cve)));
            }
        }
        Ok(Self { version, released, by_cve })
    }

    pub fn get(&self, cve: &str) -> Option<&Exploitation> {
        self.by_cve.get(cve)
    }

    /// How many CVEs it has.
    pub fn entries(&self) -> usize {
        self.by_cve.len()
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
        let found = catalogue.get("CVE-2021-44228").unwrap();
        assert_eq!(found.due, Some(jiff::civil::date(2021, 12, 24)));
        assert!(found.by_ransomware && !catalogue.get("CVE-2021-44229").unwrap().by_ransomware);
        assert!(catalogue.get("CVE-2021-1").is_none() && catalogue.entries() == 2);
    }

    #[test]
    fn half_a_catalogue_is_none() {
        for (count, rows, why) in [
            (2, vec![ROW], "has 1 entries and says 2"),
            (2, vec![ROW, ROW], "is there twice"),
            (1, vec![r#"{"cveID":"x\n::error::","dateAdded":"2021-12-10"}"#], "no CVE"),
            (1, vec![r#"{"cveID":"CVE-2021-1234","dateAdded":"soon"}"#], "year"),
        ] {
            let error = catalogue(count, &rows).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        for text in ["", "{}", "[]", "<html>"] {
            assert!(Catalogue::of(text.as_bytes()).is_err(), "{text}");
        }
    }
}
