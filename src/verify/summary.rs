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
    /// `verifier.id`: whose name it is says the signature, not this.
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
                Some(read.ok_or("its `timeVerified` is no time")?)
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
                "`{}` is no level, such as `SLSA_BUILD_LEVEL_2`, nor a verifier's own word",
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
                let why = "it is no verification summary".to_owned();
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
                write!(formatter, "its verification summary says nothing: {why}")
            }
            Self::OtherVerifier { wanted, found } => write!(
                formatter,
                "its verification summary is by verifier `{}`, and not `{wanted}`",
                shown(found)
            ),
            Self::OtherResource { wanted, found } => write!(
                formatter,
                "its verification summary is about `{}`, and not `{wanted}`",
                shown(found)
            ),
            Self::Failed { verifier } => write!(
                formatter,
                "its newest verification summary says `FAILED`: `{verifier}` refused it"
            ),
            Self::Ahead { verified } => write!(
                formatter,
                "its verification summary says that it was verified at `{verified}`, which is to come"
            ),
            Self::Lower { wanted, found } => {
                let found: Vec<String> =
                    found.iter().map(|level| format!("`{}`", shown(level))).collect();
                let found = if found.is_empty() { "no level".to_owned() } else { found.join(", ") };
                write!(
                    formatter,
                    "its verification summary says {found}, and `{wanted}` is the least that is asked for"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::VERIFICATION_SUMMARY;
    use crate::verify::sample;

    const WHO: &str = "https://v.example/promote";

    fn subject() -> Digest {
        Digest::of(b"image")
    }

    fn predicate() -> Value {
        json!({
            "verifier": { "id": WHO },
            "timeVerified": "2026-11-29T12:00:00Z",
            "resourceUri": format!("oci://quay.io/octo/app@{}", subject()),
            "policy": { "uri": "https://v.example/policy" },
            "inputAttestations": [{ "digest": { "sha256": "00" } }],
            "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_2", "OCTO_REVIEWED"],
            "slsaVersion": "1.2",
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut predicate = predicate();
        predicate[field] = value;
        predicate
    }

    fn statement(predicate: &Value) -> VerifiedStatement {
        let summary = Some(SummaryStatement::read(predicate, &subject()));
        VerifiedStatement { summary, ..sample::statement(VERIFICATION_SUMMARY) }
    }

    fn terms() -> SummaryTerms {
        SummaryTerms {
            verifier: WHO.to_owned(),
            resource: SummarizedResource::In("quay.io/octo/app".parse().unwrap()),
            lowest: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    fn told(terms: &SummaryTerms, predicate: &Value) -> Result<(), String> {
        terms.hold(&statement(predicate), now()).map_err(|why| why.to_string())
    }

    #[test]
    fn what_says_all_that_is_asked_passes() {
        assert_eq!(told(&terms(), &predicate()), Ok(()));
        let unknown = with("https://octo.example/field", json!({ "x": 1 }));
        assert_eq!(told(&terms(), &unknown), Ok(()), "unknown fields are ignored");
        for absent in ["timeVerified", "inputAttestations", "dependencyLevels", "slsaVersion"] {
            let mut predicate = predicate();
            predicate.as_object_mut().unwrap().remove(absent);
            assert_eq!(told(&terms(), &predicate), Ok(()), "{absent} is optional");
        }
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for (field, value, why) in [
            ("verificationResult", json!("passed"), "neither `PASSED` nor `FAILED`"),
            ("verificationResult", json!(true), "no `verificationResult`"),
            ("verifier", json!("x"), "no `verifier.id`"),
            ("verifier", json!({ "id": "" }), "no `verifier.id`"),
            ("resourceUri", Value::Null, "no `resourceUri`"),
            ("policy", json!({ "digest": { "sha256": "00" } }), "no `policy.uri`"),
            ("timeVerified", json!("yesterday"), "is no time"),
            ("timeVerified", json!(1), "is no time"),
            ("verifiedLevels", Value::Null, "no list `verifiedLevels`"),
            ("verifiedLevels", json!("SLSA_BUILD_LEVEL_3"), "no list `verifiedLevels`"),
            ("verifiedLevels", json!([3]), "not all texts"),
            ("verifiedLevels", json!(["FAILED"]), "`FAILED` among"),
            (
                "verifiedLevels",
                json!(["SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_3"]),
                "two levels of track `BUILD`",
            ),
            ("inputAttestations", json!({}), "are no list"),
            ("inputAttestations", json!([{ "uri": "x" }]), "has no digest"),
            ("inputAttestations", json!([{ "digest": { "sha256": 1 } }]), "has no digest"),
        ] {
            let said = told(&terms(), &with(field, value.clone())).unwrap_err();
            assert!(said.contains("says nothing") && said.contains(why), "{field} {value}: {said}");
        }
        assert!(SummaryStatement::read(&json!([]), &subject()).is_err());
    }

    #[test]
    fn another_verifier_resource_result_or_time_does_not_pass() {
        let other = Digest::of(b"other");
        for (field, value, why) in [
            ("verifier", json!({ "id": "https://v.example/promote/" }), "is by verifier"),
            ("verifier", json!({ "id": "https://V.example/promote" }), "is by verifier"),
            ("verificationResult", json!("FAILED"), "says `FAILED`"),
            ("timeVerified", json!("2026-11-29T12:05:01Z"), "which is to come"),
            ("resourceUri", json!("oci://quay.io/octo/apps"), "is about"),
            ("resourceUri", json!(format!("oci://quay.io/octo/app@{other}")), "is about"),
            ("resourceUri", json!("oci://quay.io/octo/app:v1"), "is about"),
            ("resourceUri", json!("oci://ghcr.io/octo/app"), "is about"),
            ("resourceUri", json!("https://quay.io.evil.example/octo/app"), "is about"),
            ("resourceUri", json!("pkg:oci/app?repository_url=ghcr.io/octo/app"), "is about"),
            ("resourceUri", json!("pkg:oci/app"), "is about"),
            ("resourceUri", json!("pkg:oci/app?repository_url=%zz"), "is about"),
        ] {
            let said = told(&terms(), &with(field, value.clone())).unwrap_err();
            assert!(said.contains(why), "{field} {value}: {said}");
        }
        assert_eq!(told(&terms(), &with("timeVerified", json!("2026-11-29T12:05:00Z"))), Ok(()));
    }

    #[test]
    fn one_resource_has_several_spellings() {
        let digest = subject();
        for uri in [
            format!("quay.io/octo/app@{digest}"),
            format!("quay.io/octo/app:v1@{digest}"),
            format!("docker://quay.io/octo/app@{digest}"),
            "oci://quay.io/octo/app".to_owned(),
            format!("pkg:oci/app@sha256%3A{}?repository_url=quay.io%2Focto%2Fapp", digest.hex()),
            format!("pkg:oci/app@{digest}?arch=amd64&repository_url=quay.io/octo/app"),
        ] {
            assert_eq!(told(&terms(), &with("resourceUri", json!(uri))), Ok(()), "{uri}");
        }
        let hub = SummaryTerms {
            resource: SummarizedResource::In("docker.io/library/app".parse().unwrap()),
            ..terms()
        };
        assert_eq!(told(&hub, &with("resourceUri", json!(format!("app@{digest}")))), Ok(()));
        let by_uri = SummaryTerms {
            resource: SummarizedResource::Uri("https://x.example/prod".to_owned()),
            ..terms()
        };
        assert_eq!(told(&by_uri, &with("resourceUri", json!("https://x.example/prod"))), Ok(()));
        assert!(told(&by_uri, &predicate()).is_err());
    }

    #[test]
    fn a_level_implies_those_below_it_on_its_track_alone() {
        let told = |wanted: &str, levels: Value| {
            let terms = SummaryTerms { lowest: Some(wanted.parse().unwrap()), ..terms() };
            told(&terms, &with("verifiedLevels", levels)).is_ok()
        };
        for (wanted, levels, passes) in [
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_2"]), true),
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_3"]), true),
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_10"]), true),
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_1"]), false),
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_SOURCE_LEVEL_3"]), false),
            ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_UNEVALUATED"]), false),
            ("SLSA_BUILD_LEVEL_0", json!(["SLSA_BUILD_LEVEL_UNEVALUATED"]), false),
            ("SLSA_BUILD_LEVEL_UNEVALUATED", json!(["SLSA_BUILD_LEVEL_1"]), true),
            ("SLSA_BUILD_LEVEL_2", json!([]), false),
            ("SLSA_BUILD_LEVEL_2", json!(["slsa_build_level_2", "SLSA_BUILD_LEVEL_+2"]), false),
            ("OCTO_REVIEWED", json!(["OCTO_REVIEWED"]), true),
            ("OCTO_REVIEWED", json!(["OCTO_REVIEWED_2"]), false),
        ] {
            assert_eq!(told(wanted, levels.clone()), passes, "{wanted} {levels}");
        }
        for wrong in ["", "FAILED", "SLSA_BUILD", "SLSA__LEVEL_1", "SLSA_BUILD_LEVEL_x", "a b"] {
            assert!(wrong.parse::<SlsaLevel>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_newest_of_the_verifier_counts() {
        let at = |time: &str, result: &str| {
            let mut said = with("timeVerified", json!(time));
            said["verificationResult"] = json!(result);
            statement(&said)
        };
        let passed = at("2026-11-28T00:00:00Z", "PASSED");
        let failed = at("2026-11-29T00:00:00Z", "FAILED");
        let elsewhere = statement(&with("resourceUri", json!("oci://ghcr.io/octo/app")));
        let counts = |found: &[&VerifiedStatement]| {
            let newest = terms().newest(found.iter().copied()).unwrap().clone();
            terms().hold(&newest, now()).is_ok()
        };
        assert!(!counts(&[&passed, &failed]) && !counts(&[&failed, &passed]));
        assert!(counts(&[&at("2026-11-29T01:00:00Z", "PASSED"), &failed]));
        assert!(counts(&[&passed, &elsewhere]), "another's is not asked");
        assert!(!counts(&[&elsewhere]));
        let unreadable = |at: &str| VerifiedStatement {
            signed_at: Some(at.to_owned()),
            ..statement(&with("verificationResult", json!("MAYBE")))
        };
        assert!(counts(&[&passed, &unreadable("2026-11-27T00:00:00Z")]));
        assert!(!counts(&[&passed, &unreadable("2026-11-29T00:00:00Z")]));
    }

    #[test]
    fn two_that_differ_in_time_alone_say_the_same() {
        let later = with("timeVerified", json!("2026-12-01T00:00:00Z"));
        assert_eq!(said(&predicate()), said(&later));
        assert_ne!(said(&predicate()), said(&with("verifiedLevels", json!([]))));
    }
}
