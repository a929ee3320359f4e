//! Who this run is: the OIDC token from the runner, and what it claims. The claims are unverified until Fulcio has put them into a certificate.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Failure, persistently};
use crate::error::{OrRemedy as _, Remedy as _};
use crate::github::{Context, IdTokenRequest};

/// What Fulcio wants to stand in `aud`.
const AUDIENCE: &str = "sigstore";
const PERMISSION: &str = "add \"permissions: id-token: write\" to the job; pull requests from forks never get it";

/// A token with what it claims.
pub struct OidcToken {
    pub jwt: SecretString,
    pub unverified: UnverifiedClaims,
}

/// Claims read without checking the signature; Fulcio checks it. Good enough to fail early and to know what to expect.
#[derive(Debug, Clone, Deserialize)]
pub struct UnverifiedClaims {
    pub iss: String,
    pub exp: i64,
    #[serde(default)]
    pub repository: String,
    #[serde(default)]
    pub repository_id: String,
    #[serde(default)]
    pub sha: String,
    #[serde(default, rename = "ref")]
    pub git_ref: String,
    #[serde(default)]
    pub event_name: String,
    #[serde(default)]
    pub runner_environment: String,
    /// The workflow that holds the job: the caller's, or a reusable one.
    #[serde(default)]
    pub job_workflow_ref: String,
}

/// Asks the runner for a token: <https://docs.github.com/actions/reference/security/oidc>.
pub async fn token(http: &reqwest::Client, context: &Context) -> anyhow::Result<OidcToken> {
    let jwt = raw_token(http, context, AUDIENCE).await?;
    let token = OidcToken { unverified: claims(jwt.expose_secret())?, jwt };
    check(&token.unverified, context, jiff::Timestamp::now().as_second())?;
    Ok(token)
}

/// A token for whoever `audience` names, unread.
pub async fn raw_token(http: &reqwest::Client, context: &Context, audience: &str) -> anyhow::Result<SecretString> {
    let Some(request) = &context.id_token else {
        return Err(anyhow::anyhow!("this job may not ask for an OIDC token, so nothing can be signed")).hint(PERMISSION);
    };
    persistently("the OIDC token service", shown(&request.url), || ask(http, request, audience)).await.remedied()
}

/// The token itself while it has minutes to live, a new one otherwise: a build may take an hour.
pub async fn refreshed(http: &reqwest::Client, context: &Context, held: OidcToken) -> anyhow::Result<OidcToken> {
    const ENOUGH: i64 = 120;
    if held.unverified.exp - jiff::Timestamp::now().as_second() > ENOUGH { Ok(held) } else { token(http, context).await }
}

fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

async fn ask(http: &reqwest::Client, request: &IdTokenRequest, audience: &str) -> Result<SecretString, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        value: SecretString,
    }
    let answer = http
        .get(&request.url)
        .query(&[("audience", audience)])
        .header("authorization", format!("bearer {}", request.token.expose_secret()))
        .send()
        .await
        .map_err(|error| Failure::Passing(crate::registry::cause(&error)))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Failure::of_status(status.as_u16(), "no token was given".to_owned()));
    }
    // The body is not quoted: it would hold the token.
    answer.json::<Answer>().await.map(|answer| answer.value).map_err(|_| Failure::Nonsense("its answer holds no `value`".to_owned()))
}

/// Reads the middle part of a JWT.
pub fn claims(jwt: &str) -> anyhow::Result<UnverifiedClaims> {
    let payload = jwt.split('.').nth(1).context("the OIDC token is not a JWT")?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok().context("the OIDC token is not a JWT")?;
    serde_json::from_slice(&json).context("the OIDC token lacks the claims of a workflow token")
}

/// Refuses a token that is stale or not about this run, before anything is built.
fn check(claims: &UnverifiedClaims, context: &Context, now: i64) -> anyhow::Result<()> {
    if claims.exp <= now {
        return Err(anyhow::anyhow!("the OIDC token expired {} s ago", now - claims.exp))
            .hint("check the clock of the runner; a token lives for minutes");
    }
    if let Some(repository) = &context.repository
        && !claims.repository.eq_ignore_ascii_case(repository)
    {
        bail!("the OIDC token is about repository `{}`, and this run is of `{repository}`", claims.repository);
    }
    let (theirs, ours) = (&claims.repository_id, &context.repository_id);
    if !ours.is_empty() && !theirs.is_empty() && theirs != ours {
        bail!("the OIDC token is about the repository of id `{theirs}`, and this run is of `{ours}`");
    }
    if !context.sha.is_empty() && !claims.sha.is_empty() && claims.sha != context.sha {
        bail!("the OIDC token is about commit `{}`, and this run is of `{}`", claims.sha, context.sha);
    }
    if claims.job_workflow_ref.is_empty() {
        return Err(anyhow::anyhow!("the OIDC token of issuer `{}` names no workflow (`job_workflow_ref`)", claims.iss))
            .hint("keyless signing here needs a token of GitHub Actions");
    }
    if claims.repository.is_empty() || claims.sha.is_empty() {
        return Err(anyhow::anyhow!("the OIDC token of issuer `{}` names no repository or no commit", claims.iss))
            .hint("keyless signing here needs a token of GitHub Actions");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(exp: i64, repository: &str, sha: &str) -> UnverifiedClaims {
        UnverifiedClaims {
            iss: "https://i".into(),
            exp,
            repository: repository.into(),
            repository_id: "7".into(),
            sha: sha.into(),
            git_ref: "refs/heads/main".into(),
            event_name: "push".into(),
            runner_environment: "github-hosted".into(),
            job_workflow_ref: "o/r/.github/workflows/x.yml@refs/heads/main".into(),
        }
    }

    #[test]
    fn refuses_stale_and_foreign_tokens() {
        let context = Context { repository: Some("o/r".into()), sha: "abc".into(), ..Context::default() };
        check(&given(11, "O/r", "abc"), &context, 10).unwrap();
        for (claims, why) in
            [(given(10, "o/r", "abc"), "expired"), (given(11, "o/other", "abc"), "repository"), (given(11, "o/r", "abd"), "commit")]
        {
            let message = crate::error::message(&check(&claims, &context, 10).unwrap_err());
            assert!(message.contains(why), "{message}");
        }
        let renamed = Context { repository_id: "8".into(), ..context };
        let message = crate::error::message(&check(&given(11, "o/r", "abc"), &renamed, 10).unwrap_err());
        assert!(message.contains("repository of id `7`, and this run is of `8`"), "{message}");
        for (repository, sha) in [("", "abc"), ("o/r", "")] {
            let message = check(&given(11, repository, sha), &Context::default(), 10).unwrap_err().to_string();
            assert!(message.contains("hint"), "{message}");
        }
    }

    #[test]
    fn foreign_bytes_are_no_token() {
        for text in ["", "a", "a.b.c", "a.e30.c", "..", "a.////.b"] {
            claims(text).unwrap_err();
        }
    }
}
