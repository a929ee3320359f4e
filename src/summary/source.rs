//! A verified signature's source → what people are told of it: whose run it was, and what speaks
//! against believing it. Pure.

use crate::sigstore::source::CertificateSource;
use crate::verify::VerifiedEvidence;

const PULL_REQUEST: &str = "a pull request's run: its commit may be anybody's";
const SELF_HOSTED: &str = "its owner could change what it builds";

/// What a certificate says of the run, by name, and when the run signed. What it does not say is
/// left out.
pub fn said(
    source: &CertificateSource,
    evidence: &VerifiedEvidence,
) -> Vec<(&'static str, String)> {
    let with = |value: &Option<String>, remark: Option<&str>| match (value, remark) {
        (Some(value), Some(remark)) => Some(format!("{value} ({remark})")),
        (value, _) => value.clone(),
    };
    let id = source.repository_id.as_ref().map(|id| format!("id {id}"));
    let of_pull_request = source.is_of_pull_request().then_some(PULL_REQUEST);
    [
        ("source", with(&source.repository, id.as_deref())),
        ("ref", source.git_ref.clone()),
        ("commit", source.commit.clone()),
        ("trigger", with(&source.trigger, of_pull_request)),
        ("runner", with(&source.runner, source.is_self_hosted().then_some(SELF_HOSTED))),
        ("run", source.run.clone()),
        ("signed at", signed_at(source, evidence)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// When the first and the last of a run's statements were signed.
fn signed_at(source: &CertificateSource, evidence: &VerifiedEvidence) -> Option<String> {
    let statements =
        evidence.statements().filter(|statement| statement.source.as_ref() == Some(source));
    let mut times: Vec<jiff::Timestamp> =
        statements.filter_map(|statement| statement.signed_at.as_ref()?.parse().ok()).collect();
    times.sort_unstable();
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if first != last => Some(format!("{first} to {last}")),
        (first, _) => first.map(ToString::to_string),
    }
}
