//! Google Artifact Registry and Container Registry: an access token for the run's OIDC token, of
//! the run itself or of a service account. It never asks for a key of a service account.
//!
//! Specifications: <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>,
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>,
//! <https://cloud.google.com/artifact-registry/docs/docker/authentication#token>.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::call::{Call, usable};
use super::error::ExchangeService;
use super::{Endpoints, ExchangeResult};

/// The user name that says the password is an access token.
const USERNAME: &str = "oauth2accesstoken";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What `aud` must hold, unless the provider was made with audiences of its own.
pub(super) fn audience(provider: &str) -> String {
    format!("https://iam.googleapis.com/{provider}")
}

pub(super) async fn login(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    provider: &str,
    service_account: Option<&str>,
    registry: &str,
    token: &SecretString,
) -> ExchangeResult<(String, SecretString)> {
    let federated = exchange(http, endpoints, provider, registry, token).await?;
    let password = match service_account {
        None => federated,
        Some(account) => impersonate(http, endpoints, account, &federated).await?,
    };
    Ok((USERNAME.to_owned(), password))
}

async fn exchange(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    provider: &str,
    registry: &str,
    token: &SecretString,
) -> ExchangeResult<SecretString> {
    #[derive(Deserialize)]
    struct FederationAnswer {
        access_token: SecretString,
    }
    let call = Call {
        service: ExchangeService::GoogleSts,
        url: format!("{}/v1/token", endpoints.google_sts),
        subject: format!("a token of `{provider}` for `{registry}`"),
        secrets: vec![token],
    };
    let body = json!({
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": format!("//iam.googleapis.com/{provider}"),
        "scope": SCOPE,
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectToken": token.expose_secret(),
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
    });
    let answer = call.send(|| http.post(&call.url).json(&body)).await?;
    serde_json::from_slice(&answer)
        .ok()
        .map(|answer: FederationAnswer| answer.access_token)
        .filter(usable)
        .ok_or_else(|| call.unusable(NO_TOKEN))
}

async fn impersonate(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    account: &str,
    federated: &SecretString,
) -> ExchangeResult<SecretString> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ServiceAccountAnswer {
        access_token: SecretString,
    }
    let call = Call {
        service: ExchangeService::GoogleIam,
        url: format!(
            "{}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
            endpoints.iamcredentials
        ),
        subject: format!("a token of service account `{account}`"),
        secrets: vec![federated],
    };
    let body = json!({ "scope": [SCOPE] });
    let answer = call
        .send(|| http.post(&call.url).bearer_auth(federated.expose_secret()).json(&body))
        .await?;
    serde_json::from_slice(&answer)
        .ok()
        .map(|answer: ServiceAccountAnswer| answer.access_token)
        .filter(usable)
        .ok_or_else(|| call.unusable(NO_TOKEN))
}

const NO_TOKEN: &str = "something that holds no access token";

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::stub::{Stub, TOKEN, runner, told};
    use super::super::{ExchangeError, Method};
    use super::*;

    const PROVIDER: &str =
        "projects/12/locations/global/workloadIdentityPools/pool/providers/github";
    const ACCOUNT: &str = "ci@octo.iam.gserviceaccount.com";
    const FEDERATED: &str = r#"{"access_token":"ya29.federated","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3599}"#;
    const IMPERSONATED: &str =
        r#"{"accessToken":"ya29.account","expireTime":"2026-01-02T04:04:05Z"}"#;

    async fn by(
        sts: &Stub,
        iam: &Stub,
        account: Option<&str>,
    ) -> ExchangeResult<(String, SecretString)> {
        let endpoints = Endpoints {
            google_sts: sts.url.clone(),
            iamcredentials: iam.url.clone(),
            ..Endpoints::default()
        };
        let method = Method::Google {
            provider: PROVIDER.to_owned(),
            service_account: account.map(str::to_owned),
        };
        let audiences = Mutex::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let outcome = super::super::login(
            &reqwest::Client::new(),
            &endpoints,
            &method,
            "europe-docker.pkg.dev",
            runner(&audiences),
            now,
        )
        .await;
        assert_eq!(
            audiences.into_inner().unwrap(),
            [format!("https://iam.googleapis.com/{PROVIDER}")]
        );
        outcome
    }

    #[tokio::test]
    async fn the_run_itself_may_log_in() {
        let (sts, iam) = (Stub::serve([(200, FEDERATED)]).await, Stub::serve([]).await);
        let (username, password) = by(&sts, &iam, None).await.unwrap();
        assert_eq!(
            (username.as_str(), password.expose_secret()),
            ("oauth2accesstoken", "ya29.federated")
        );
        let asked = &sts.seen()[0];
        assert_eq!(asked.request, "POST /v1/token");
        assert_eq!(asked.header("content-type"), "application/json");
        assert_eq!(asked.header("authorization"), "", "the reference forbids it");
        assert_eq!(
            asked.json(),
            json!({
                "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
                "audience": "//iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/pool/providers/github",
                "scope": "https://www.googleapis.com/auth/cloud-platform",
                "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
                "subjectToken": TOKEN,
                "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
            })
        );
        assert!(iam.seen().is_empty());
    }

    #[tokio::test]
    async fn a_service_account_is_impersonated_with_the_federated_token() {
        let (sts, iam) = (
            Stub::serve([(500, ""), (200, FEDERATED)]).await,
            Stub::serve([(429, "{}"), (200, IMPERSONATED)]).await,
        );
        let (_, password) = by(&sts, &iam, Some(ACCOUNT)).await.unwrap();
        assert_eq!(password.expose_secret(), "ya29.account");
        assert_eq!((sts.seen().len(), iam.seen().len()), (2, 2));
        let asked = &iam.seen()[1];
        assert_eq!(
            asked.request,
            "POST /v1/projects/-/serviceAccounts/ci@octo.iam.gserviceaccount.com:generateAccessToken"
        );
        assert_eq!(asked.header("authorization"), "Bearer ya29.federated");
        assert_eq!(
            asked.json(),
            json!({ "scope": ["https://www.googleapis.com/auth/cloud-platform"] })
        );
    }

    #[tokio::test]
    async fn each_refusal_has_its_remedy() {
        let expired = format!(
            r#"{{"error":"invalid_grant","error_description":"ID Token {TOKEN} issued at 1 is stale to sign-in."}}"#
        );
        let condition = r#"{"error":"unauthorized_client","error_description":"The given credential is rejected by the attribute condition."}"#;
        for (status, body, says) in [
            (400, expired.as_str(), "ID Token *** issued at 1 is stale"),
            (401, condition, "attribute condition."),
        ] {
            let (sts, iam) = (Stub::serve([(status, body)]).await, Stub::serve([]).await);
            let told = told(by(&sts, &iam, Some(ACCOUNT)).await.unwrap_err(), &[]);
            assert!(
                told.contains(says)
                    && told.contains("| the provider in `gcp-workload-identity-provider`"),
                "{told}"
            );
            assert!(iam.seen().is_empty());
        }
        let denied = r#"{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).","status":"PERMISSION_DENIED"}}"#;
        let (sts, iam) =
            (Stub::serve([(200, FEDERATED)]).await, Stub::serve([(403, denied)]).await);
        let told = told(by(&sts, &iam, Some(ACCOUNT)).await.unwrap_err(), &["ya29.federated"]);
        assert!(
            told.contains("refused a token of service account `ci@octo.iam.gserviceaccount.com`: HTTP 403: PERMISSION_DENIED: Permission"),
            "{told}"
        );
        assert!(told.contains("| grant `roles/iam.workloadIdentityUser`"), "{told}");
    }

    #[tokio::test]
    async fn nonsense_is_not_quoted() {
        for body in [
            "",
            "s3cret",
            "{\"token\":\"s3cret\"}",
            "{\"access_token\":\"\"}",
            "{\"access_token\":[\"s3cret\"]}",
        ] {
            let (sts, iam) = (Stub::serve([(200, body)]).await, Stub::serve([(200, body)]).await);
            let error = by(&sts, &iam, None).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    ExchangeError::Unusable { service: ExchangeService::GoogleSts, .. }
                ),
                "{error}"
            );
            told(error, &["s3cret"]);
            let sts = Stub::serve([(200, FEDERATED)]).await;
            let error = by(&sts, &iam, Some(ACCOUNT)).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    ExchangeError::Unusable { service: ExchangeService::GoogleIam, .. }
                ),
                "{error}"
            );
            told(error, &["s3cret"]);
        }
    }
}
