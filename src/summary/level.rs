//! On whose machines the jobs ran, and which workflow signs → the build level that a run may claim,
//! in words for log and summary. Pure; the claim is for one workflow alone, and where anything is
//! not known it is not made.

use crate::github::runners::RunnersVerdict;

/// The workflow whose jobs take nothing of the caller's that could reach what they build, and that
/// makes the claim.
const STRICT: &str = "/.github/workflows/publish.yml@";

/// Who signs, as the server's issuer says of it.
pub struct Signing<'a> {
    pub server_url: &'a str,
    /// `owner/repo/path@ref` of the workflow that holds the job.
    pub job_workflow_ref: &'a str,
    /// `github-hosted` or `self-hosted`.
    pub runner_environment: Option<&'a str>,
}

/// The level, or why none is claimed. `signing` is `None` where a key signs.
pub fn level(verdict: &RunnersVerdict, signing: Option<&Signing<'_>>) -> Result<String, String> {
    match verdict {
        RunnersVerdict::Hosted => {}
        RunnersVerdict::Unknown(why) => return Err(plain(why)),
        RunnersVerdict::SelfHosted(_) => {
            return Err("some of its jobs ran on runners that are not GitHub's".to_owned());
        }
    }
    let signing = signing.ok_or("a key signed, which names no workflow")?;
    if signing.runner_environment != Some("github-hosted") {
        return Err(
            "the OIDC token does not say that the job that signs runs on a runner of GitHub's"
                .to_owned(),
        );
    }
    let ours = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/").unwrap_or_default();
    let is_ours =
        signing.job_workflow_ref.strip_prefix(ours).is_some_and(|rest| rest.starts_with(STRICT));
    if signing.server_url != "https://github.com" || !is_ours {
        return Err(format!(
            "the certificate is not for `{ours}{STRICT}…`, and what other workflows let their callers choose is not known here"
        ));
    }
    Ok("SLSA Build L3: GitHub's API says that every job of this attempt that built, merged and signed ran on a GitHub-hosted runner"
        .to_owned())
}

/// The same as a paragraph of the job summary.
pub fn markdown(level: &Result<String, String>) -> String {
    match level {
        Ok(level) => format!("**{level}.**\n\n"),
        Err(why) => format!("No build level is claimed: {why}.\n\n"),
    }
}

/// What others wrote, as words that mean nothing in Markdown.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric() || " .,:'/-".contains(*letter))
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_is_made_by_the_strict_workflow_alone_and_only_where_all_is_known() {
        let ours = "org/supply-action/.github/workflows/publish.yml@0f1e";
        let (github, hosted) = ("https://github.com", Some("github-hosted"));
        for (server_url, job_workflow_ref, runner_environment, claimed) in [
            (github, ours, hosted, true),
            (github, ours, Some("self-hosted"), false),
            (github, ours, None, false),
            (github, "org/supply-action/.github/workflows/publish-custom.yml@0f1e", hosted, false),
            (github, "octo/app/.github/workflows/publish.yml@refs/heads/main", hosted, false),
            (github, "evil/org/supply-action/.github/workflows/publish.yml@0f1e", hosted, false),
            ("https://git.example.com", ours, hosted, false),
        ] {
            let signing = Signing { server_url, job_workflow_ref, runner_environment };
            assert_eq!(
                level(&RunnersVerdict::Hosted, Some(&signing)).is_ok(),
                claimed,
                "{server_url} {job_workflow_ref} {runner_environment:?}"
            );
            for other in [
                RunnersVerdict::Unknown("HTTP 403".into()),
                RunnersVerdict::SelfHosted(vec!["x".into()]),
            ] {
                assert!(level(&other, Some(&signing)).is_err());
            }
        }
        assert!(level(&RunnersVerdict::Hosted, None).is_err(), "a key");
    }

    #[test]
    fn the_summary_says_what_is_claimed_or_why_nothing_is() {
        assert_eq!(markdown(&Ok("SLSA Build L3: x".into())), "**SLSA Build L3: x.**\n\n");
        let why =
            level(&RunnersVerdict::Unknown("HTTP 403: <img src=x> [a](b)\n# no `x`|".into()), None);
        assert_eq!(markdown(&why), "No build level is claimed: HTTP 403: img srcx ab no x.\n\n");
    }
}
