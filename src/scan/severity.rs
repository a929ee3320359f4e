//! How bad a flaw is, and who says so. It never makes a number of a word, and no level of nothing.
//!
//! Levels of scores: <https://www.first.org/cvss/v4.0/specification-document#Qualitative-Severity-Rating-Scale>.

use cvss::Cvss;

use super::record::{AdvisoryRecord, SeverityText};

/// In order; what nobody rates is below all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SeverityLevel {
    #[default]
    Unknown,
    Low,
    Medium,
    High,
    Critical,
}

impl std::str::FromStr for SeverityLevel {
    type Err = String;

    /// A level that somebody gave: nobody asks for what is unknown.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::RATED.into_iter().find(|level| level.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is none of `critical`, `high`, `medium`, `low`"))
    }
}

/// A level, what it follows from and which record has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Severity {
    pub level: SeverityLevel,
    /// Of the vector.
    pub score: Option<f64>,
    /// As the record has it, such as `CVSS:3.1/AV:N/…`.
    pub vector: Option<String>,
    /// The vendor's or the database's own, where that decides.
    pub word: Option<String>,
    /// The id of the record that says so; empty if none does.
    pub source: String,
}

impl SeverityLevel {
    /// Those that somebody gave, the worst first.
    pub const RATED: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Of a score that is no more than one digit after the point.
    pub(super) fn of_score(score: f64) -> Self {
        match score {
            score if score >= 9.0 => Self::Critical,
            score if score >= 7.0 => Self::High,
            score if score >= 4.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Words of Red Hat, Ubuntu, GitHub and Bitnami.
    fn of_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "important" | "high" => Self::High,
            "moderate" | "medium" => Self::Medium,
            "low" | "negligible" => Self::Low,
            _ => return None,
        })
    }
}

impl std::fmt::Display for SeverityLevel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Severity {
    /// What nobody has to rate: software that is made to do harm.
    pub(super) fn of_malware(source: &str) -> Self {
        Self { level: SeverityLevel::Critical, source: source.to_owned(), ..Self::default() }
    }

    /// The first of the records that rates the flaw. Each comes with the entry that is about the
    /// package, if it has one.
    pub(super) fn first<'a>(
        records: impl Iterator<Item = (&'a AdvisoryRecord, Option<usize>)>,
    ) -> Self {
        records.into_iter().find_map(|(record, entry)| Self::of(record, entry)).unwrap_or_default()
    }

    /// The vendor's word, then a vector, then the database's word.
    fn of(record: &AdvisoryRecord, entry: Option<usize>) -> Option<Self> {
        let entry = entry.and_then(|entry| record.affected.get(entry));
        let texts = entry.map(|entry| entry.severity.as_slice()).unwrap_or_default();
        let texts = || texts.iter().chain(&record.severity);
        let word = |word: &str| {
            let word = word.trim();
            let level = SeverityLevel::of_word(word)?;
            let (word, source) = (Some(word.to_owned()), record.id.clone());
            Some(Self { level, word, source, ..Self::default() })
        };
        let of_vendor = texts().find(|text| text.kind == "Ubuntu").map(|text| text.score.as_str());
        of_vendor
            .or_else(|| in_summary(record))
            .and_then(word)
            .or_else(|| best(texts(), &record.id))
            .or_else(|| record.severity_word.as_deref().and_then(word))
    }
}

/// `Important: openssl security update`, as Red Hat and who builds from its sources write.
fn in_summary(record: &AdvisoryRecord) -> Option<&str> {
    const VENDORS: [&str; 7] = ["ALBA-", "ALEA-", "ALSA-", "RHBA-", "RHEA-", "RHSA-", "RLSA-"];
    let is_one = VENDORS.iter().any(|vendor| record.id.starts_with(vendor));
    let mut parts = record.summary.as_deref().filter(|_| is_one)?.split(':').map(str::trim);
    parts.find(|part| SeverityLevel::of_word(part).is_some())
}

/// The newest version of CVSS that has a score.
fn best<'a>(texts: impl Iterator<Item = &'a SeverityText>, source: &str) -> Option<Severity> {
    let mut best: Option<(u8, Severity)> = None;
    for text in texts {
        let Some((version, score)) = score(&text.score) else { continue };
        if best.as_ref().is_none_or(|(known, _)| version > *known) {
            let severity = Severity {
                level: SeverityLevel::of_score(score),
                score: Some(score),
                vector: Some(text.score.clone()),
                word: None,
                source: source.to_owned(),
            };
            best = Some((version, severity));
        }
    }
    best.map(|(_, severity)| severity)
}

/// Version and score of a vector that has all its base metrics.
fn score(vector: &str) -> Option<(u8, f64)> {
    const V2: [&str; 6] = ["AV", "AC", "Au", "C", "I", "A"];
    const V3: [&str; 8] = ["AV", "AC", "PR", "UI", "S", "C", "I", "A"];
    const V4: [&str; 11] = ["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];
    let parsed: Cvss = vector.parse().ok()?;
    let (version, metrics): (u8, &[&str]) = match parsed {
        Cvss::CvssV20(_) => (20, &V2),
        Cvss::CvssV30(_) => (30, &V3),
        Cvss::CvssV31(_) => (31, &V3),
        Cvss::CvssV40(_) => (40, &V4),
        _ => return None,
    };
    let has = |metric: &&str| vector.split('/').any(|part| part.split(':').next() == Some(metric));
    metrics.iter().all(has).then(|| (version, parsed.score()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(json: &str) -> Severity {
        let record = AdvisoryRecord::parse(json.as_bytes()).unwrap();
        Severity::first(std::iter::once((&record, Some(0))))
    }

    #[test]
    fn each_source_rates_in_its_own_way() {
        let check = |json: &str, level: SeverityLevel, score: Option<f64>| {
            let severity = rated(json);
            assert_eq!((severity.level, severity.score), (level, score), "{json}");
        };
        check(
            r#"{"id":"GHSA-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],"database_specific":{"severity":"LOW"}}"#,
            SeverityLevel::Critical,
            Some(10.0),
        );
        // The newer version of CVSS, wherever it stands.
        let v3 = r#"{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}"#;
        let v4 = r#"{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:H/AT:P/PR:H/UI:P/VC:N/VI:L/VA:L/SC:N/SI:N/SA:N"}"#;
        for both in [format!("{v3},{v4}"), format!("{v4},{v3}")] {
            let severity = rated(&format!(r#"{{"id":"A-1","severity":[{both}]}}"#));
            assert!(severity.vector.unwrap().starts_with("CVSS:4.0"));
            assert_eq!(severity.level, SeverityLevel::Low);
        }
        check(
            r#"{"id":"BIT-1","affected":[{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"}]}],"database_specific":{"severity":"Critical"}}"#,
            SeverityLevel::Medium,
            Some(6.1),
        );
        check(
            r#"{"id":"CVE-1","severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}"#,
            SeverityLevel::High,
            Some(7.5),
        );
        check(
            r#"{"id":"GHSA-1","severity":[],"database_specific":{"severity":"MODERATE"}}"#,
            SeverityLevel::Medium,
            None,
        );
        check(
            r#"{"id":"UBUNTU-CVE-1","severity":[{"type":"Ubuntu","score":"negligible"},{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}]}"#,
            SeverityLevel::Low,
            None,
        );
        check(
            r#"{"id":"ALSA-1","summary":"Important: openssl security update"}"#,
            SeverityLevel::High,
            None,
        );
        check(
            r#"{"id":"RHSA-1","summary":"Red Hat Security Advisory: Critical: x update"}"#,
            SeverityLevel::Critical,
            None,
        );
        check(r#"{"id":"GHSA-1","summary":"Important: read this"}"#, SeverityLevel::Unknown, None);
        check(r#"{"id":"GO-1"}"#, SeverityLevel::Unknown, None);
    }

    #[test]
    fn a_vector_without_a_score_rates_nothing() {
        let check = |score: &str| {
            let json =
                format!(r#"{{"id":"A-1","severity":[{{"type":"CVSS_V3","score":"{score}"}}]}}"#);
            assert_eq!(rated(&json), Severity::default(), "{score}");
        };
        check("9.8");
        check("");
        check("CVSS:3.1/AV:N/AC:L");
        check("CVSS:5.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H");
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:X");
    }

    #[test]
    fn levels_begin_where_cvss_says() {
        for (score, level) in [
            (0.0, SeverityLevel::Low),
            (3.9, SeverityLevel::Low),
            (4.0, SeverityLevel::Medium),
            (6.9, SeverityLevel::Medium),
            (7.0, SeverityLevel::High),
            (8.9, SeverityLevel::High),
            (9.0, SeverityLevel::Critical),
            (10.0, SeverityLevel::Critical),
        ] {
            assert_eq!(SeverityLevel::of_score(score), level, "{score}");
        }
    }
}
