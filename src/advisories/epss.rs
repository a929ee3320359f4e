//! How likely the exploitation of each CVE is, by EPSS → the scores of those that are asked for. It
//! reads all of the list, and keeps no more of it than that.
//!
//! Format: <https://www.first.org/epss/data_stats>.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read};

use jiff::civil::Date;
use serde::Deserialize;

use super::feed::{FeedError, cve};
use crate::scan::exploited::Epss;

/// No list is larger as it is sent; in 2026 it has 2 MB compressed and 11 MB else.
pub const LARGEST: usize = 64 << 20;
const LARGEST_INFLATED: u64 = 512 << 20;
const LONGEST_COMMENT: u64 = 1 << 10;

/// The scores of one day.
#[derive(Debug, Clone)]
pub struct Scores {
    pub model: String,
    pub day: Date,
    /// Of those that were asked for.
    pub by_cve: BTreeMap<String, Epss>,
    /// Of the whole list.
    pub rows: usize,
}

#[derive(Deserialize)]
struct EpssRow<'a> {
    cve: &'a str,
    epss: f64,
    percentile: f64,
}

impl Scores {
    /// The scores of these CVEs, from a list as it is or compressed by gzip.
    ///
    /// # Errors
    /// When the bytes are no list, or not all of one.
    pub fn of(bytes: &[u8], wanted: &BTreeSet<String>) -> Result<Self, FeedError> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            Self::read(flate2::read::MultiGzDecoder::new(bytes), wanted)
        } else {
            Self::read(bytes, wanted)
        }
    }

    fn read(list: impl Read, wanted: &BTreeSet<String>) -> Result<Self, FeedError> {
        let unreadable = |error: std::io::Error| FeedError::new(error.to_string());
        let mut list = BufReader::new(list.take(LARGEST_INFLATED));
        let mut comment = String::new();
        (&mut list).take(LONGEST_COMMENT).read_line(&mut comment).map_err(unreadable)?;
        let (model, day) = version(&comment)
            .ok_or_else(|| FeedError::new("its first line names no model and no day"))?;
        let mut scores = Self { model, day, by_cve: BTreeMap::new(), rows: 0 };
        let mut rows = csv::Reader::from_reader(list);
        let wrong = |error: csv::Error| FeedError::new(error.to_string());
        let header = rows.headers().map_err(wrong)?.clone();
        if !header.iter().eq(["cve", "epss", "percentile"]) {
            return Err(FeedError::new("its columns are not `cve,epss,percentile`"));
        }
        let mut record = csv::StringRecord::new();
        while rows.read_record(&mut record).map_err(wrong)? {
            let row: EpssRow<'_> = record.deserialize(Some(&header)).map_err(wrong)?;
            let (name, is_share) = (cve(row.cve)?, |number: f64| (0.0..=1.0).contains(&number));
            if !is_share(row.epss) || !is_share(row.percentile) {
                return Err(FeedError::new(format!("a score of `{name}` is not between 0 and 1")));
            }
            scores.rows += 1;
            if wanted.contains(name) {
                let epss = Epss { probability: row.epss, percentile: row.percentile };
                if scores.by_cve.insert(name.to_owned(), epss).is_some() {
                    return Err(FeedError::new(format!("`{name}` is there twice")));
                }
            }
        }
        if rows.get_ref().get_ref().limit() == 0 {
            return Err(FeedError::new("it is too large"));
        }
        if scores.rows == 0 {
            return Err(FeedError::new("it has no scores"));
        }
        Ok(scores)
    }
}

/// `#model_version:v2025.03.14,score_date:2026-11-28T12:55:00Z`
fn version(comment: &str) -> Option<(String, Date)> {
    let (model, day) = comment.trim_end().strip_prefix("#model_version:")?.split_once(',')?;
    let day = day.strip_prefix("score_date:")?.get(..10)?.parse().ok()?;
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    (!model.is_empty() && model.chars().all(is_known)).then(|| (model.to_owned(), day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const LIST: &str = "#model_version:v2025.03.14,score_date:2026-11-28T12:55:00Z\ncve,epss,percentile\nCVE-1999-0001,0.01141,0.77593\nCVE-2021-44228,0.94358,0.99958\n";

    fn scores(list: &[u8]) -> Result<Scores, FeedError> {
        Scores::of(list, &BTreeSet::from(["CVE-2021-44228".to_owned()]))
    }

    #[test]
    fn scores_are_read_plain_and_compressed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(LIST.as_bytes()).unwrap();
        for list in [LIST.as_bytes(), &gzip.finish().unwrap()] {
            let scores = scores(list).unwrap();
            let epss = Epss { probability: 0.94358, percentile: 0.99958 };
            let asked_for = BTreeMap::from([("CVE-2021-44228".to_owned(), epss)]);
            assert_eq!((&scores.by_cve, scores.rows), (&asked_for, 2));
            assert_eq!(scores.model, "v2025.03.14");
            assert_eq!(scores.day, jiff::civil::date(2026, 11, 28));
        }
    }

    #[test]
    fn a_list_that_is_wrong_anywhere_is_none() {
        let rows = |rows: &str| {
            format!(
                "#model_version:v1,score_date:2026-11-28T00:00:00+0000\ncve,epss,percentile\n{rows}"
            )
        };
        for (list, why) in [
            (String::new(), "first line"),
            (LIST.lines().skip(1).collect(), "first line"),
            (LIST.replace("score_date:2026-11-28", "score_date:2026-13-28"), "first line"),
            (LIST.replace("cve,epss,percentile", "cve,percentile,epss"), "columns"),
            (rows(""), "no scores"),
            (rows("CVE-2021-44228,1.5,0.1\n"), "between 0 and 1"),
            (rows("CVE-2021-44228,NaN,0.1\n"), "between 0 and 1"),
            (rows("CVE-2021-44228,x,0.1\n"), "float"),
            (rows("CVE-2021-44228,0.1\n"), "fields"),
            (rows("<b>,0.1,0.1\n"), "no CVE"),
            (rows("CVE-2021-44228,0.1,0.1\nCVE-2021-44228,0.2,0.1\n"), "twice"),
        ] {
            let error = scores(list.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{list}: {error}");
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(LIST.as_bytes()).unwrap();
        let whole = gzip.finish().unwrap();
        assert!(scores(&whole[..whole.len() - 9]).is_err(), "cut off");
    }
}
