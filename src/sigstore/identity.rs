//! Who this run is: the OIDC token from the runner, and what it claims. The claims are unverified
//! until Fulcio has put them into a certificate.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{RequestFailure, persistently};
use crate::answer;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::github::facts::Visibility;
use crate::github::server::{Server, authority, is_loopback};
use crate::github::{IdTokenRequest, RunContext};
use crate::page::RefusalPage;

/// What Fulcio wants to stand in `aud`.
const AUDIENCE: &str = "sigstore";
const PERMISSION: &str =
    "add \"permissions: id-token: write\" to the job; pull requests from forks never get it";

/// A token with what it claims.
pub struct OidcToken {
    pub jwt: SecretString,
    pub unverified: UnverifiedClaims,
}

/// Claims read without checking the signature; Fulcio checks it. Good enough to fail early and to
/// know what to expect.
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
    /// `github-hosted` or `self-hosted`.
    #[serde(default)]
    pub runner_environment: String,
    /// The workflow that holds the job: the caller's, or a reusable one.
    #[serde(default)]
    pub job_workflow_ref: String,
    #[serde(default)]
    pub repository_visibility: Option<String>,
}

impl UnverifiedClaims {
    /// What the server's own issuer says of the repository.
    pub fn visibility(&self) -> Visibility {
        Visibility::named(self.repository_visibility.as_deref())
    }
}

/// Asks the runner for a token: <https://docs.github.com/actions/reference/security/oidc>.
/// `issuers` may have issued it beside the workflow's server.
pub async fn token(
    http: &reqwest::Client,
    context: &RunContext,
    issuers: &[String],
) -> anyhow::Result<OidcToken> {
    let jwt = raw_token(http, context, AUDIENCE).await?;
    let token = OidcToken { unverified: claims(jwt.expose_secret())?, jwt };
    check(&token.unverified, context, jiff::Timestamp::now().as_second())?;
    from_a_known_issuer(&token.unverified.iss, context, issuers)?;
    Ok(token)
}

/// A token for whoever `audience` names, unread.
pub async fn raw_token(
    http: &reqwest::Client,
    context: &RunContext,
    audience: &str,
) -> anyhow::Result<SecretString> {
    let Some(request) = &context.id_token else {
        return Err(anyhow::anyhow!(
            "this job has no permission to ask for an OIDC token, so nothing can be signed"
        ))
        .hint(PERMISSION)
        .see(RefusalPage::NoOidcToken);
    };
    if reqwest::Url::parse(&request.url).ok().as_ref().and_then(authority).is_none() {
        anyhow::bail!(
            "the OIDC token service `{}` does not use https, so the run sends no request to it",
            shown(&request.url)
        );
    }
    persistently("the OIDC token service", shown(&request.url), || {
        ask(http, request, audience, answer::WITHIN)
    })
    .await
    .remedied()
}

/// The token itself while it has minutes to live, a new one otherwise: a build may take an hour.
pub async fn refreshed(
    http: &reqwest::Client,
    context: &RunContext,
    issuers: &[String],
    held: OidcToken,
) -> anyhow::Result<OidcToken> {
    const ENOUGH: i64 = 120;
    if held.unverified.exp - jiff::Timestamp::now().as_second() > ENOUGH {
        Ok(held)
    } else {
        token(http, context, issuers).await
    }
}

fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

async fn ask(
    http: &reqwest::Client,
    request: &IdTokenRequest,
    audience: &str,
    within: Duration,
) -> Result<SecretString, RequestFailure> {
    #[derive(Deserialize)]
    struct IdTokenAnswer {
        value: SecretString,
    }
    let answer = http
        .get(&request.url)
        .timeout(within)
        .query(&[("audience", audience)])
        .header("authorization", format!("bearer {}", request.token.expose_secret()))
        .send()
        .await
        .map_err(|error| RequestFailure::Passing(crate::registry::cause(&error)))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(RequestFailure::of_status(status.as_u16(), "no token was given".to_owned()));
    }
    let body = answer::read(answer, answer::LIMIT).await.map_err(|unread| match unread {
        answer::UnreadBody::Broken(ref cause) if !cause.is_timeout() => {
            RequestFailure::Passing(unread.to_string())
        }
        // What drips would do so again.
        _ => RequestFailure::Nonsense(unread.to_string()),
    })?;
    // The body is not quoted: it would hold the token.
    let answer = serde_json::from_slice::<IdTokenAnswer>(&body);
    answer
        .map(|answer| answer.value)
        .map_err(|_| RequestFailure::Nonsense("its answer holds no `value`".to_owned()))
}

/// Reads the middle part of a JWT.
pub fn claims(jwt: &str) -> anyhow::Result<UnverifiedClaims> {
    let payload = jwt.split('.').nth(1).context("the OIDC token is not a JWT")?;
    let json = URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()
        .context("the OIDC token is not a JWT")?;
    serde_json::from_slice(&json).context("the OIDC token lacks the claims of a workflow token")
}

/// Refuses a token that is stale or not about this run, before anything is built.
fn check(claims: &UnverifiedClaims, context: &RunContext, now: i64) -> anyhow::Result<()> {
    if claims.exp <= now {
        return Err(anyhow::anyhow!("the OIDC token expired {} s ago", now - claims.exp))
            .hint("check the clock of the runner: a token is valid for minutes only");
    }
    if let Some(repository) = &context.repository
        && !claims.repository.eq_ignore_ascii_case(repository)
    {
        bail!(
            "the OIDC token is about repository `{}`, and this run is of `{repository}`",
            claims.repository
        );
    }
    let (theirs, ours) = (&claims.repository_id, &context.repository_id);
    if !ours.is_empty() && !theirs.is_empty() && theirs != ours {
        bail!(
            "the OIDC token is about the repository of id `{theirs}`, and this run is of `{ours}`"
        );
    }
    if !context.sha.is_empty() && !claims.sha.is_empty() && claims.sha != context.sha {
        bail!(
            "the OIDC token is about commit `{}`, and this run is of `{}`",
            claims.sha,
            context.sha
        );
    }
    if claims.job_workflow_ref.is_empty() {
        return Err(anyhow::anyhow!(
            "the OIDC token of issuer `{}` names no workflow (`job_workflow_ref`)",
            claims.iss
        ))
        .hint("keyless signing here needs a token of GitHub Actions");
    }
    if claims.repository.is_empty() || claims.sha.is_empty() {
        return Err(anyhow::anyhow!(
            "the OIDC token of issuer `{}` names no repository or no commit",
            claims.iss
        ))
        .hint("keyless signing here needs a token of GitHub Actions");
    }
    Ok(())
}

/// Whoever else issued a token would speak for a run of another server. One on this machine can: no
/// certificate authority elsewhere believes it.
fn from_a_known_issuer(
    issuer: &str,
    context: &RunContext,
    issuers: &[String],
) -> anyhow::Result<()> {
    let server = Server::of(&context.server_url);
    let url = reqwest::Url::parse(issuer).ok();
    let is_here = url.as_ref().and_then(authority).is_some_and(|host| is_loopback(&host));
    if server.issues(issuer)
        || is_here
        || issuers.iter().any(|known| known == issuer.trim_end_matches('/'))
    {
        return Ok(());
    }
    Err(anyhow::anyhow!("the OIDC token is of issuer `{issuer}`, not of the issuer of `{server}`"))
        .hint("list this issuer in the signing config (`oidcUrls`) of a private Sigstore instance; see `signing-config`")
}

/// Refuses a token that the certificate authority is known not to take, before anything is built:
/// Sigstore's public ones take those of github.com's workflows, with or without the enterprise that
/// an issuer names.
///
/// # Errors
/// When it will be refused there.
pub fn taken_by(fulcio: Option<&str>, issuer: &str) -> anyhow::Result<()> {
    const PUBLIC: [&str; 2] = ["fulcio.sigstore.dev", "fulcio.sigstage.dev"];
    let host = fulcio
        .and_then(|url| reqwest::Url::parse(url).ok())
        .and_then(|url| url.host_str().map(str::to_owned));
    let Some(host) = host.filter(|host| PUBLIC.contains(&host.as_str())) else { return Ok(()) };
    if Server::of("https://github.com").issues(issuer) {
        return Ok(());
    }
    Err(anyhow::anyhow!("the public certificate authority `{host}` accepts no tokens of issuer `{issuer}`, so nothing can be signed")).hint(
        "name the services of a Sigstore instance that knows this issuer with `signing-config` and `trusted-root`, or sign with a key \
         (`COSIGN_PRIVATE_KEY`)",
    )
    .see(RefusalPage::OidcIssuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::bad;

    #[test]
    fn public_authorities_take_tokens_of_github_com_alone() {
        let fulcio = "https://fulcio.sigstore.dev";
        for (fulcio, issuer, taken) in [
            (Some(fulcio), "https://token.actions.githubusercontent.com", true),
            (Some(fulcio), "https://token.actions.githubusercontent.com/octo-inc", true),
            (Some(fulcio), "https://token.actions.githubusercontent.com.evil.example", false),
            (Some(fulcio), "https://git.example.com/_services/token", false),
            (Some(fulcio), "https://token.actions.octo.ghe.com", false),
            (Some(fulcio), "http://127.0.0.1:1", false),
            (
                Some("https://fulcio.sigstage.dev/"),
                "https://git.example.com/_services/token",
                false,
            ),
            (Some("https://fulcio.example.com"), "https://git.example.com/_services/token", true),
            (None, "https://git.example.com/_services/token", true),
        ] {
            assert_eq!(taken_by(fulcio, issuer).is_ok(), taken, "{fulcio:?} {issuer}");
        }
    }

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
            repository_visibility: None,
        }
    }

    #[test]
    fn refuses_stale_and_foreign_tokens() {
        let context = RunContext {
            repository: Some("o/r".into()),
            sha: "abc".into(),
            ..RunContext::default()
        };
        check(&given(11, "O/r", "abc"), &context, 10).unwrap();
        for (claims, why) in [
            (given(10, "o/r", "abc"), "expired"),
            (given(11, "o/other", "abc"), "repository"),
            (given(11, "o/r", "abd"), "commit"),
        ] {
            let message = crate::error::message(&check(&claims, &context, 10).unwrap_err());
            assert!(message.contains(why), "{message}");
        }
        let renamed = RunContext { repository_id: "8".into(), ..context };
        let message =
            crate::error::message(&check(&given(11, "o/r", "abc"), &renamed, 10).unwrap_err());
        assert!(message.contains("repository of id `7`, and this run is of `8`"), "{message}");
        for (repository, sha) in [("", "abc"), ("o/r", "")] {
            let message = check(&given(11, repository, sha), &RunContext::default(), 10)
                .unwrap_err()
                .to_string();
            assert!(message.contains("hint"), "{message}");
        }
    }

    #[test]
    fn a_token_is_of_the_issuer_that_belongs_to_the_server() {
        let own = ["https://oidc.own.example".to_owned()];
        for (server, issuer, fine) in [
            ("https://github.com", "https://token.actions.githubusercontent.com", true),
            ("https://github.com", "https://token.actions.githubusercontent.com/octo-inc", true),
            ("https://github.com", "https://oidc.own.example", true),
            ("https://github.com", "http://127.0.0.1:1", true),
            ("https://github.com", "https://git.example.com/_services/token", false),
            ("https://github.com", "http://token.actions.githubusercontent.com", false),
            ("https://github.com", "http://127.0.0.1.evil.example", false),
            ("https://github.com", "", false),
            ("https://git.example.com", "https://git.example.com/_services/token", true),
            ("https://git.example.com", "https://token.actions.githubusercontent.com", false),
            ("https://octo.ghe.com", "https://token.actions.octo.ghe.com", true),
            ("https://octo.ghe.com", "https://token.actions.other.ghe.com", false),
        ] {
            let context = RunContext { server_url: server.into(), ..RunContext::default() };
            assert_eq!(
                from_a_known_issuer(issuer, &context, &own).is_ok(),
                fine,
                "{server}: {issuer}"
            );
        }
    }

    #[test]
    fn the_token_says_whether_the_repository_is_private() {
        for (claim, said) in [
            (Some("public"), Visibility::Public),
            (Some("private"), Visibility::Private),
            (Some("internal"), Visibility::Private),
            (Some("Public"), Visibility::Private),
            (None, Visibility::Unknown),
        ] {
            let claims = UnverifiedClaims {
                repository_visibility: claim.map(str::to_owned),
                ..given(11, "o/r", "abc")
            };
            assert_eq!(claims.visibility(), said, "{claim:?}");
        }
    }

    #[tokio::test]
    async fn a_token_service_that_drips_never_ends_or_is_not_safe_is_left() {
        let ask = async |url: String| {
            let request = IdTokenRequest { url, token: "t".to_owned().into() };
            ask(&reqwest::Client::new(), &request, "sigstore", Duration::from_millis(300))
                .await
                .unwrap_err()
        };
        assert!(
            matches!(ask(bad::dripping().await).await, RequestFailure::Nonsense(cause) if cause.contains("broke off"))
        );
        let url = bad::endless().await;
        let request = IdTokenRequest { url, token: "t".to_owned().into() };
        let refused = super::ask(&reqwest::Client::new(), &request, "sigstore", answer::WITHIN)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, RequestFailure::Nonsense(cause) if cause.contains("larger than"))
        );
        let request = IdTokenRequest {
            url: "http://oidc.example/token?x=y".into(),
            token: "t".to_owned().into(),
        };
        let context = RunContext { id_token: Some(request), ..RunContext::default() };
        let error = raw_token(&reqwest::Client::new(), &context, "sigstore").await.unwrap_err();
        assert!(
            error.to_string().contains("`http://oidc.example/token` does not use https"),
            "{error}"
        );
    }

    #[test]
    fn foreign_bytes_are_no_token() {
        for text in ["", "a", "a.b.c", "a.e30.c", "..", "a.////.b"] {
            claims(text).unwrap_err();
        }
    }
}
