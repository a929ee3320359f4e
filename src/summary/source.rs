//! A verified signature's source → what people are told of it: whose run it was, and what speaks
//! against believing it. Pure.

use crate::image::Tag;
use crate::preflight::is_immutable;
use crate::sigstore::source::CertificateSource;
use crate::text::seen::visible;
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

/// What speaks against a tag that names a version: none of the runs that signed was of a Git tag of
/// that version. Whoever may push can move a tag, so a policy that must know pins the ref.
pub fn other_version(tag: &Tag, sources: &[CertificateSource]) -> Option<String> {
    let version = tag.as_str().strip_prefix('v').unwrap_or(tag.as_str());
    let refs: Vec<&str> = sources.iter().filter_map(|source| source.git_ref.as_deref()).collect();
    let is_of_it = |git_ref: &&str| {
        let before = git_ref.strip_prefix("refs/tags/").and_then(|name| name.strip_suffix(version));
        // `api-v1.2.3` and `api/1.2.3` are of 1.2.3; `11.2.3` is not.
        before.is_some_and(|before| !before.ends_with(|letter: char| letter.is_ascii_digit()))
    };
    if !is_immutable(tag) || refs.iter().any(is_of_it) {
        return None;
    }
    let signed = refs.first()?;
    Some(format!(
        "tag `{tag}` names a version, and the run that signed is of `{}`; `--source-ref` accepts one ref alone",
        visible(signed)
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_of_a_git_tag_of_that_version() {
        let of = |tag: &str, git_ref: &str| {
            let source =
                CertificateSource { git_ref: Some(git_ref.to_owned()), ..Default::default() };
            other_version(&tag.parse().unwrap(), &[source])
        };
        for (tag, git_ref) in [
            ("v1.2.3", "refs/tags/v1.2.3"),
            ("1.2.3", "refs/tags/v1.2.3"),
            ("v1.2.3", "refs/tags/1.2.3"),
            ("1.2.3", "refs/tags/api/v1.2.3"),
            ("1.2.3", "refs/tags/api-1.2.3"),
            ("latest", "refs/heads/main"),
            ("v1", "refs/tags/v1.2.3"),
        ] {
            assert_eq!(of(tag, git_ref), None, "{tag} {git_ref}");
        }
        for (tag, git_ref) in [
            ("v9.9.9", "refs/tags/v1.2.3"),
            ("1.2.3", "refs/tags/v11.2.3"),
            ("v1.2.3", "refs/heads/main"),
            ("v1.2.3", "refs/tags/v1.2.3-rc.1"),
        ] {
            let told = of(tag, git_ref).unwrap();
            assert!(told.contains(&format!("`{tag}`")) && told.contains(git_ref), "{told}");
        }
        assert_eq!(other_version(&"v1.2.3".parse().unwrap(), &[]), None, "a key says of no run");
    }
}
