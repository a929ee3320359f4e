//! The predicate of an SLSA verification summary → what it says, or why it says nothing; and what
//! must be said for it to stand in place of the evidence. Pure: who may have signed it is the
//! policy's.
//!
//! Specification: <https://slsa.dev/spec/v1.2/verification_summary>.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::VerifiedStatement;
use crate::image::spelling::{NamedImage, ReferenceParts};
use crate::image::{Digest, Repository};
use crate::oci::shown;

/// A clock may be that much behind that of the machine which verified.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// What a verifier says that it verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryStatement {
    /// `verifier.id`: whose tag it is says the signature, not this.
    pub verifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_verified: Option<Timestamp>,
    pub resource_uri: String,
    pub policy_uri: String,
    pub result: SummaryResult,
    pub verified_levels: Vec<String>,
    /// How many statements it says it was made of.
    pub inputs: usize,
    /// What the statement is about.
    #[serde(skip)]
    pub subject: Digest,
    /// Of the predicate but for the time: of two that are equal in it one is enough.
    #[serde(skip)]
    pub said: Digest,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SummaryResult {
    Passed,
    Failed,
}

impl SummaryStatement {
    /// Reads a predicate of a statement about `subject`. What the specification demands and is not
    /// there, or is there in another shape, makes all of it worthless.
    pub fn read(predicate: &Value, subject: &Digest) -> Result<Self, String> {
        let text = |pointer: &str| -> Result<String, String> {
            let found = predicate.pointer(pointer).and_then(Value::as_str);
            let name = pointer.trim_start_matches('/').replace('/', ".");
            found
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| format!("it has no `{name}`"))
        };
        let result = match text("/verificationResult")?.as_str() {
            "PASSED" => SummaryResult::Passed,
            "FAILED" => SummaryResult::Failed,
            other => {
                return Err(format!(
                    "its `verificationResult` is `{}`, neither `PASSED` nor `FAILED`",
                    shown(other)
                ));
            }
        };
        let time_verified = match predicate.get("timeVerified") {
            None | Some(Value::Null) => None,
            Some(time) => {
                let read = time.as_str().and_then(|time| time.parse::<Timestamp>().ok());
                Some(read.ok_or("its `timeVerified` is not a time")?)
            }
        };
        Ok(Self {
            verifier: text("/verifier/id")?,
            time_verified,
            resource_uri: text("/resourceUri")?,
            policy_uri: text("/policy/uri")?,
            result,
            verified_levels: levels(predicate.get("verifiedLevels"), result)?,
            inputs: inputs(predicate.get("inputAttestations"))?,
            subject: subject.clone(),
            said: said(predicate),
        })
    }
}

/// The digest of a predicate without the time at which it was said.
pub fn said(predicate: &Value) -> Digest {
    let mut rest = predicate.clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("timeVerified");
    }
    Digest::of(rest.to_string().as_bytes())
}

fn levels(found: Option<&Value>, result: SummaryResult) -> Result<Vec<String>, String> {
    let found = found.and_then(Value::as_array).ok_or("it has no list `verifiedLevels`")?;
    let levels: Option<Vec<&str>> = found.iter().map(Value::as_str).collect();
    let levels = levels.ok_or("its `verifiedLevels` are not all texts")?;
    if result == SummaryResult::Passed && levels.contains(&"FAILED") {
        return Err("it says `PASSED`, and `FAILED` among its `verifiedLevels`".to_owned());
    }
    let mut tracks: Vec<String> = Vec::new();
    for level in levels.iter().filter_map(|level| level.parse::<SlsaLevel>().ok()) {
        if let SlsaLevel::OfTrack { track, .. } = level {
            if tracks.contains(&track) {
                return Err(format!("it says two levels of track `{}`", shown(&track)));
            }
            tracks.push(track);
        }
    }
    Ok(levels.into_iter().map(str::to_owned).collect())
}

fn inputs(found: Option<&Value>) -> Result<usize, String> {
    let Some(found) = found.filter(|found| !found.is_null()) else { return Ok(0) };
    let found = found.as_array().ok_or("its `inputAttestations` are no list")?;
    let has_digest = |input: &Value| {
        let digests = input.get("digest").and_then(Value::as_object);
        digests.is_some_and(|digests| !digests.is_empty() && digests.values().all(Value::is_string))
    };
    match found.iter().all(has_digest) {
        true => Ok(found.len()),
        false => Err("one of its `inputAttestations` has no digest".to_owned()),
    }
}

/// A level of SLSA, or a word of the verifier's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlsaLevel {
    /// `SLSA_BUILD_LEVEL_2`; without a number where the track was not looked at.
    OfTrack {
        track: String,
        number: Option<u32>,
    },
    Own(String),
}

impl FromStr for SlsaLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a level, such as `SLSA_BUILD_LEVEL_2`, nor a verifier's own word",
                shown(text)
            )
        };
        let Some(of_slsa) = text.strip_prefix("SLSA_") else {
            let is_word =
                !text.is_empty() && text != "FAILED" && !text.contains(char::is_whitespace);
            return if is_word { Ok(Self::Own(text.to_owned())) } else { Err(wrong()) };
        };
        let (track, number) = of_slsa.split_once("_LEVEL_").ok_or_else(wrong)?;
        let number = match number {
            "UNEVALUATED" => None,
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(number.parse().map_err(|_| wrong())?)
            }
            _ => return Err(wrong()),
        };
        match track.is_empty() {
            true => Err(wrong()),
            false => Ok(Self::OfTrack { track: track.to_owned(), number }),
        }
    }
}

impl SlsaLevel {
    /// Whether one of these is as high: each level implies those below it.
    fn is_met_by(&self, found: &[String]) -> bool {
        found.iter().filter_map(|found| found.parse::<Self>().ok()).any(|found| {
            match (self, &found) {
                (Self::OfTrack { track, number }, Self::OfTrack { track: of, number: reached }) => {
                    track == of && reached >= number
                }
                _ => *self == found,
            }
        })
    }
}

impl fmt::Display for SlsaLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfTrack { track, number: Some(number) } => {
                write!(formatter, "SLSA_{track}_LEVEL_{number}")
            }
            Self::OfTrack { track, number: None } => {
                write!(formatter, "SLSA_{track}_LEVEL_UNEVALUATED")
            }
            Self::Own(word) => formatter.write_str(word),
        }
    }
}

/// Which resource a summary must be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SummarizedResource {
    /// Whatever lies there, by the digest that the statement is about.
    In(Repository),
    /// What the verifier told out of band, to the letter.
    Uri(String),
}

impl SummarizedResource {
    fn is(&self, summary: &SummaryStatement) -> bool {
        match self {
            Self::Uri(uri) => summary.resource_uri == *uri,
            Self::In(repository) => names(&summary.resource_uri, repository, &summary.subject),
        }
    }
}

impl fmt::Display for SummarizedResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(repository) => write!(formatter, "{repository}"),
            Self::Uri(uri) => formatter.write_str(uri),
        }
    }
}

/// Whether a URI names this repository, and no other digest in it. What names a tag alone does not:
/// nobody here knows what was asked for by that tag when it was verified.
fn names(uri: &str, repository: &Repository, digest: &Digest) -> bool {
    let of_purl = uri.strip_prefix("pkg:oci/").map(of_purl);
    let (name, tag, named) = match &of_purl {
        Some(Some((name, named))) => (name.as_str(), None, named.as_deref()),
        Some(None) => return false,
        None => {
            let schemes = ["oci://", "docker://"];
            let text = schemes.iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(uri);
            let ReferenceParts { name, tag, digest } = ReferenceParts::of(text);
            (name, tag, digest)
        }
    };
    let lies_there = NamedImage::of(name)
        .zip(NamedImage::of(&repository.to_string()))
        .is_some_and(|(found, wanted)| found.lies_beside(&wanted));
    lies_there
        && match named {
            Some(named) => named == digest.as_str(),
            None => tag.is_none(),
        }
}

/// `NAME@DIGEST?repository_url=HOST/PATH` of a package URL → repository and digest.
fn of_purl(rest: &str) -> Option<(String, Option<String>)> {
    let (name, qualifiers) = rest.split_once('?')?;
    let qualifiers = qualifiers.split('#').next()?;
    let url = qualifiers.split('&').find_map(|pair| pair.strip_prefix("repository_url="))?;
    let digest = name
        .split_once('@')
        .map(|(_, digest)| unescaped(digest))
        .map_or(Some(None), |digest| digest.map(Some))?;
    Some((unescaped(url)?, digest))
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (pair, after) = rest.split_at_checked(2)?;
        pair.iter().all(u8::is_ascii_hexdigit).then_some(())?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// What a summary must say to stand in place of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryTerms {
    /// `verifier.id`, to the letter.
    pub verifier: String,
    pub resource: SummarizedResource,
    pub lowest: Option<SlsaLevel>,
}

/// Why a summary does not stand in place of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SummaryRefusal {
    Unreadable(String),
    OtherVerifier { wanted: String, found: String },
    OtherResource { wanted: SummarizedResource, found: String },
    Failed { verifier: String },
    Ahead { verified: Timestamp },
    Lower { wanted: SlsaLevel, found: Vec<String> },
}

impl SummaryTerms {
    pub(super) fn hold(
        &self,
        statement: &VerifiedStatement,
        now: Timestamp,
    ) -> Result<(), SummaryRefusal> {
        let summary = match &statement.summary {
            Some(Ok(summary)) => summary,
            Some(Err(why)) => return Err(SummaryRefusal::Unreadable(why.clone())),
            None => {
                let why = "it is not a verification summary".to_owned();
                return Err(SummaryRefusal::Unreadable(why));
            }
        };
        if summary.verifier != self.verifier {
            return Err(SummaryRefusal::OtherVerifier {
                wanted: self.verifier.clone(),
                found: summary.verifier.clone(),
            });
        }
        if !self.resource.is(summary) {
            return Err(SummaryRefusal::OtherResource {
                wanted: self.resource.clone(),
                found: summary.resource_uri.clone(),
            });
        }
        if summary.result != SummaryResult::Passed {
            return Err(SummaryRefusal::Failed { verifier: self.verifier.clone() });
        }
        if let Some(verified) = summary.time_verified.filter(|time| *time > now + CLOCKS) {
            return Err(SummaryRefusal::Ahead { verified });
        }
        match &self.lowest {
            Some(wanted) if !wanted.is_met_by(&summary.verified_levels) => {
                Err(SummaryRefusal::Lower {
                    wanted: wanted.clone(),
                    found: summary.verified_levels.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Of several summaries by those who are trusted the one that counts: the newest of this
    /// verifier about this resource, so that one which failed later takes back what passed before.
    /// What cannot be read may be of this verifier, and counts by the time of its signature.
    pub(super) fn newest<'a>(
        &self,
        found: impl Iterator<Item = &'a VerifiedStatement> + Clone,
    ) -> Option<&'a VerifiedStatement> {
        let is_meant = |statement: &&VerifiedStatement| match &statement.summary {
            Some(Ok(summary)) => summary.verifier == self.verifier && self.resource.is(summary),
            _ => true,
        };
        let time = |statement: &&VerifiedStatement| {
            let signed = statement.signed_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
            let said = statement.summary.as_ref().and_then(|summary| summary.as_ref().ok());
            said.and_then(|summary| summary.time_verified).or(signed)
        };
        let meant = found.clone().filter(is_meant).max_by_key(time);
        meant.or_else(|| found.max_by_key(time))
    }
}

impl fmt::Display for SummaryRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => {
                write!(formatter, "its verification summary cannot be used: {why}")
            }
            Self::OtherVerifier { wanted, found } => write!(
                formatter,
                "its verification summary is by verifier `{}`, not `{wanted}`",
                shown(found)
            ),
            Self::OtherResource { wanted, found } => write!(
                formatter,
                "its verification summary is about `{}`, not `{wanted}`",
                shown(found)
            ),
            Self::Failed { verifier } => write!(
                formatter,
                "its newest verification summary says `FAILED`: `{verifier}` refused it"
            ),
            Self::Ahead { verified } => write!(
                formatter,
                "its verification summary has the time `{verified}`, which is in the future"
            ),
            Self::Lower { wanted, found } => {
                let found: Vec<String> =
                    found.iter().map(|level| format!("`{}`", shown(level))).collect();
                let found = if found.is_empty() { "no level".to_owned() } else { found.join(", ") };
                write!(
                    formatter,
                    "its verification summary says {found}, but at least `{wanted}` is required"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
