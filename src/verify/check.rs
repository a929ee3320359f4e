//! What a statement must say, beside being there: pure decisions about what was read of it. It knows
//! no clock and no signer: who must have signed is the policy's.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::VerifiedStatement;
use super::summary::{SummaryRefusal, SummaryTerms};
use crate::oci::shown;
use crate::provenance::Git;
use crate::scan::attestation::ScanStatement;
use crate::scan::severity::SeverityLevel;
use crate::text::age::Age;

/// What one statement must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The scan ended at most this long ago.
    ScannedWithin(Age),
    /// The scan left none open that is as bad as this or worse; where `only_fixed`, of those that a
    /// newer version repairs, and where `only_new`, of those that no image had which was published
    /// before.
    NoFinding { lowest: SeverityLevel, only_fixed: bool, only_new: bool },
    /// The provenance names this builder, to the letter.
    BuiltBy(String),
    /// The provenance names this repository as what was built; compared as addresses of Git are.
    BuiltFrom(String),
    /// The verification summary says that the image passed, and these terms hold of it.
    Summarized(SummaryTerms),
}

/// Why a statement does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedCheck {
    /// It cannot be read, and why.
    Unreadable(String),
    Older {
        finished: Timestamp,
        most: Age,
    },
    /// It was signed by a clock that is ahead of this one.
    Ahead {
        finished: Timestamp,
    },
    Findings {
        finished: Timestamp,
        count: u64,
        lowest: SeverityLevel,
        only_fixed: bool,
    },
    OtherBuilder {
        wanted: String,
        found: Option<String>,
    },
    OtherSource {
        wanted: String,
        found: Option<String>,
    },
    Summary(SummaryRefusal),
}

/// A clock may be that much behind that of the machine which scanned.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

impl Check {
    /// Whether a statement passes.
    pub fn holds(&self, statement: &VerifiedStatement, now: Timestamp) -> Result<(), FailedCheck> {
        match self {
            Self::Summarized(terms) => terms.hold(statement, now).map_err(FailedCheck::Summary),
            Self::BuiltBy(wanted) => {
                let found = statement.build.as_ref().and_then(|build| build.builder.clone());
                match found.as_ref() == Some(wanted) {
                    true => Ok(()),
                    false => Err(FailedCheck::OtherBuilder { wanted: wanted.clone(), found }),
                }
            }
            Self::BuiltFrom(wanted) => {
                let source = statement.build.as_ref().and_then(|build| build.source.as_ref());
                match source.is_some_and(|source| is_same_repository(&source.uri, wanted)) {
                    true => Ok(()),
                    false => Err(FailedCheck::OtherSource {
                        wanted: wanted.clone(),
                        found: source.map(|source| source.uri.clone()),
                    }),
                }
            }
            Self::ScannedWithin(most) => {
                let scan = scan(statement)?;
                let age = now.duration_since(scan.finished);
                match () {
                    () if age > most.duration() => {
                        Err(FailedCheck::Older { finished: scan.finished, most: *most })
                    }
                    () if age < -CLOCKS => Err(FailedCheck::Ahead { finished: scan.finished }),
                    () => Ok(()),
                }
            }
            Self::NoFinding { lowest, only_fixed, only_new } => {
                let scan = scan(statement)?;
                let tally = if *only_new { &scan.new } else { &scan.tally };
                let counts = if *only_fixed { &tally.fixable } else { &tally.counts };
                let worse = SeverityLevel::RATED.into_iter().filter(|level| level >= lowest);
                match worse.map(|level| counts.of(level)).sum() {
                    0 => Ok(()),
                    count => Err(FailedCheck::Findings {
                        finished: scan.finished,
                        count,
                        lowest: *lowest,
                        only_fixed: *only_fixed,
                    }),
                }
            }
        }
    }
}

fn is_same_repository(found: &str, wanted: &str) -> bool {
    let (found, wanted) = (Git::of(found), Git::of(wanted));
    found.zip(wanted).is_some_and(|(found, wanted)| found.is_same_repository(&wanted, "github.com"))
}

fn scan(statement: &VerifiedStatement) -> Result<&ScanStatement, FailedCheck> {
    match &statement.scan {
        Some(Ok(scan)) => Ok(scan),
        Some(Err(why)) => Err(FailedCheck::Unreadable(why.clone())),
        None => Err(FailedCheck::Unreadable("it is not a scan result".to_owned())),
    }
}

/// Of statements that a rule with these checks needs, those that count: of scans and verification
/// summaries the newest alone.
pub(super) fn counting<'a>(
    found: Vec<&'a VerifiedStatement>,
    checks: &[Check],
    is_scan: bool,
) -> Vec<&'a VerifiedStatement> {
    let terms = checks.iter().find_map(|check| match check {
        Check::Summarized(terms) => Some(terms),
        _ => None,
    });
    match terms {
        Some(terms) => terms.newest(found.into_iter()).into_iter().collect(),
        None if is_scan => newest(found.into_iter()).into_iter().collect(),
        None => found,
    }
}

/// Of several results of scans the newest. What cannot be read counts only where nothing else is
/// there.
fn newest<'a>(
    statements: impl Iterator<Item = &'a VerifiedStatement>,
) -> Option<&'a VerifiedStatement> {
    let finished = |statement: &&VerifiedStatement| match &statement.scan {
        Some(Ok(scan)) => Some(scan.finished),
        _ => None,
    };
    statements.max_by_key(finished)
}

/// A provenance's own words, fit for a message.
fn named(found: Option<&String>) -> String {
    found.map_or_else(|| "none".to_owned(), |found| format!("`{}`", shown(found)))
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Summary(why) => why.fmt(formatter),
            Self::Unreadable(why) => write!(formatter, "its scan result cannot be read: {why}"),
            Self::Older { finished, most } => {
                write!(formatter, "its newest scan ended at `{finished}`, more than {most} ago")
            }
            Self::Ahead { finished } => {
                write!(formatter, "its newest scan ended at `{finished}`, a time in the future")
            }
            Self::OtherBuilder { wanted, found } => write!(
                formatter,
                "its provenance names {} as builder, not `{wanted}`",
                named(found.as_ref())
            ),
            Self::OtherSource { wanted, found } => write!(
                formatter,
                "its provenance names {} as source, not `{wanted}`",
                named(found.as_ref())
            ),
            Self::Findings { finished, count, lowest, only_fixed } => {
                let noun = if *count == 1 { "vulnerability" } else { "vulnerabilities" };
                let worse = if *lowest == SeverityLevel::Critical { "" } else { " or worse" };
                let fix = if *only_fixed { " that have a fix" } else { "" };
                write!(
                    formatter,
                    "its scan of `{finished}` found {count} {noun} of severity {lowest}{worse}{fix}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::COSIGN_VULNERABILITIES;
    use crate::provenance::Resource;
    use crate::scan::report::{FindingTally, LevelCounts};
    use crate::verify::built::Built;
    use crate::verify::sample::statement;

    fn scanned(finished: &str, tally: FindingTally) -> VerifiedStatement {
        let finished: Timestamp = finished.parse().unwrap();
        let scan = ScanStatement {
            scanner: "s".to_owned(),
            version: "1".to_owned(),
            started: finished,
            finished,
            newest: finished,
            tally,
            new: FindingTally::default(),
            not_assessed: None,
            results: crate::image::Digest::of(b""),
        };
        VerifiedStatement { scan: Some(Ok(scan)), ..statement(COSIGN_VULNERABILITIES) }
    }

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_scan_is_fresh_or_not() {
        let check = Check::ScannedWithin("1d".parse().unwrap());
        let told = |finished: &str| {
            check
                .holds(&scanned(finished, FindingTally::default()), now())
                .map_err(|failed| failed.to_string())
        };
        assert_eq!(told("2026-11-28T12:00:00Z"), Ok(()));
        assert_eq!(told("2026-11-29T12:05:00Z"), Ok(()));
        assert_eq!(
            told("2026-11-28T11:59:59Z").unwrap_err(),
            "its newest scan ended at `2026-11-28T11:59:59Z`, more than 1d ago"
        );
        assert!(told("2026-11-29T12:05:01Z").unwrap_err().ends_with("a time in the future"));
    }

    #[test]
    fn what_is_open_counts_by_its_level() {
        let counts = LevelCounts { critical: 1, high: 2, unknown: 9, ..LevelCounts::default() };
        let fixable = LevelCounts { high: 1, ..LevelCounts::default() };
        let tally = FindingTally { counts, fixable, accepted: 7, ..FindingTally::default() };
        let statement = scanned("2026-11-29T00:00:00Z", tally);
        let told = |lowest, only_fixed| {
            Check::NoFinding { lowest, only_fixed, only_new: false }
                .holds(&statement, now())
                .map_err(|failed| failed.to_string())
        };
        assert_eq!(told(SeverityLevel::Critical, true), Ok(()));
        let only_new =
            Check::NoFinding { lowest: SeverityLevel::Low, only_fixed: false, only_new: true };
        assert_eq!(only_new.holds(&statement, now()), Ok(()));
        let of = "its scan of `2026-11-29T00:00:00Z` found";
        for (lowest, only_fixed, why) in [
            (SeverityLevel::Critical, false, "1 vulnerability of severity critical"),
            (SeverityLevel::High, false, "3 vulnerabilities of severity high or worse"),
            (
                SeverityLevel::High,
                true,
                "1 vulnerability of severity high or worse that have a fix",
            ),
            (SeverityLevel::Low, false, "3 vulnerabilities of severity low or worse"),
        ] {
            assert_eq!(told(lowest, only_fixed).unwrap_err(), format!("{of} {why}"));
        }
    }

    #[test]
    fn a_provenance_names_its_builder_and_its_source() {
        let build = |builder: &str, source: &str| {
            let source = Resource { uri: source.to_owned(), digest: Default::default() };
            let build = Built {
                builder: Some(builder.to_owned()),
                source: Some(source),
                ..Built::default()
            };
            VerifiedStatement { build: Some(build), ..statement("https://slsa.dev/provenance/v1") }
        };
        let good = build("https://b.example/1", "git+https://github.com/Octo/app@refs/heads/main");
        let by = |id: &str| Check::BuiltBy(id.to_owned()).holds(&good, now());
        assert_eq!(by("https://b.example/1"), Ok(()));
        assert_eq!(
            by("https://b.example/2").unwrap_err().to_string(),
            "its provenance names `https://b.example/1` as builder, not `https://b.example/2`"
        );
        let from = |uri: &str| Check::BuiltFrom(uri.to_owned()).holds(&good, now());
        assert_eq!(from("https://github.com/octo/app"), Ok(()));
        assert_eq!(from("https://github.com/octo/app.git"), Ok(()));
        for other in ["https://github.com/octo/apps", "https://gitlab.com/octo/app", "octo/app"] {
            assert!(from(other).is_err(), "{other}");
        }
        let nothing = statement("https://slsa.dev/provenance/v1");
        let check = Check::BuiltBy("x".to_owned());
        assert_eq!(
            check.holds(&nothing, now()).unwrap_err().to_string(),
            "its provenance names none as builder, not `x`"
        );
    }

    #[test]
    fn the_newest_that_can_be_read_counts() {
        let unreadable = VerifiedStatement {
            scan: Some(Err("it names no scanner".to_owned())),
            ..statement(COSIGN_VULNERABILITIES)
        };
        let old = scanned("2026-11-01T00:00:00Z", FindingTally::default());
        let new = scanned("2026-11-28T00:00:00Z", FindingTally::default());
        let all = [&new, &unreadable, &old];
        assert_eq!(newest(all.into_iter()).map(|it| &it.scan), Some(&new.scan));
        let alone = newest([&unreadable].into_iter()).unwrap();
        let lowest = SeverityLevel::Critical;
        let check = Check::NoFinding { lowest, only_fixed: false, only_new: false };
        assert_eq!(
            check.holds(alone, now()).unwrap_err().to_string(),
            "its scan result cannot be read: it names no scanner"
        );
        let sbom = statement("https://spdx.dev/Document");
        assert!(check.holds(&sbom, now()).is_err());
    }
}
