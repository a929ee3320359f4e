//! Azure Container Registry: an access token of Microsoft Entra for the run's OIDC token, and a
//! refresh token of the registry for that. It never asks for a token that could manage Azure, only
//! for one that registries take.
//!
//! Specifications:
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow> (third
//! case),
//! <https://learn.microsoft.com/azure/container-registry/container-registry-disable-authentication-as-arm>
//! (the scope), <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::call::{Call, usable};
use super::error::ExchangeService;
use super::{Endpoints, ExchangeResult};

/// What `aud` must hold.
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";
/// Every registry takes it; that of Azure's management is refused where `authentication-as-arm` is
/// off.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// The user name that says the password is a refresh token.
const USERNAME: &str = "00000000-0000-0000-0000-000000000000";

pub(super) async fn login(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    client_id: &str,
    tenant_id: &str,
    registry: &str,
    token: &SecretString,
) -> ExchangeResult<(String, SecretString)> {
    let access = access_token(http, endpoints, client_id, tenant_id, token).await?;
    let refresh = refresh_token(http, endpoints, tenant_id, registry, &access).await?;
    Ok((USERNAME.to_owned(), refresh))
}

async fn access_token(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    client_id: &str,
    tenant_id: &str,
    token: &SecretString,
) -> ExchangeResult<SecretString> {
    #[derive(Deserialize)]
    struct EntraTokenAnswer {
        access_token: SecretString,
    }
    let call = Call {
        service: ExchangeService::Entra,
        url: format!("{}/{tenant_id}/oauth2/v2.0/token", endpoints.microsoft),
        subject: format!("a token of application `{client_id}`"),
        secrets: vec![token],
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", SCOPE),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", token.expose_secret()),
    ];
    let answer = call.send(|| http.post(&call.url).form(&form)).await?;
    serde_json::from_slice(&answer)
        .ok()
        .map(|answer: EntraTokenAnswer| answer.access_token)
        .filter(usable)
        .ok_or_else(|| call.unusable("something that holds no access token"))
}

async fn refresh_token(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    tenant_id: &str,
    registry: &str,
    access: &SecretString,
) -> ExchangeResult<SecretString> {
    #[derive(Deserialize)]
    struct AcrTokenAnswer {
        refresh_token: SecretString,
    }
    let call = Call {
        service: ExchangeService::Acr,
        url: format!("{}/oauth2/exchange", endpoints.acr.replace("{registry}", registry)),
        subject: format!("a login at `{registry}`"),
        secrets: vec![access],
    };
    let form = [
        ("grant_type", "access_token"),
        ("service", registry),
        ("tenant", tenant_id),
        ("access_token", access.expose_secret()),
    ];
    let answer = call.send(|| http.post(&call.url).form(&form)).await?;
    serde_json::from_slice(&answer)
        .ok()
        .map(|answer: AcrTokenAnswer| answer.refresh_token)
        .filter(usable)
        .ok_or_else(|| call.unusable("something that holds no refresh token"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::stub::{Stub, TOKEN, runner, told};
    use super::super::{ExchangeError, Method};
    use super::*;

    const CLIENT: &str = "0a1b2c3d-0000-4000-8000-00000000000f";
    const TENANT: &str = "409520d4-8100-4d1d-ad47-72432ddcc120";
    const ACCESS: &str = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"entra.access"}"#;
    const REFRESH: &str = r#"{"refresh_token":"acr.refresh"}"#;

    async fn by(entra: &Stub, acr: &Stub) -> ExchangeResult<(String, SecretString)> {
        let endpoints = Endpoints {
            microsoft: entra.url.clone(),
            acr: acr.url.clone(),
            ..Endpoints::default()
        };
        let method = Method::Azure { client_id: CLIENT.to_owned(), tenant_id: TENANT.to_owned() };
        let audiences = Mutex::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let outcome = super::super::login(
            &reqwest::Client::new(),
            &endpoints,
            &method,
            "octo.azurecr.io",
            runner(&audiences),
            now,
        )
        .await;
        assert_eq!(audiences.into_inner().unwrap(), ["api://AzureADTokenExchange"]);
        outcome
    }

    fn form(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn an_application_gives_a_refresh_token_of_the_registry() {
        let (entra, acr) = (
            Stub::serve([(503, ""), (200, ACCESS)]).await,
            Stub::serve([(502, ""), (200, REFRESH)]).await,
        );
        let (username, password) = by(&entra, &acr).await.unwrap();
        assert_eq!(
            (username.as_str(), password.expose_secret()),
            ("00000000-0000-0000-0000-000000000000", "acr.refresh")
        );
        assert_eq!((entra.seen().len(), acr.seen().len()), (2, 2));
        let asked = &entra.seen()[1];
        assert_eq!(asked.request, format!("POST /{TENANT}/oauth2/v2.0/token"));
        let expected = form(&[
            ("client_assertion", TOKEN),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_id", CLIENT),
            ("grant_type", "client_credentials"),
            ("scope", "https://containerregistry.azure.net/.default"),
        ]);
        assert_eq!(asked.form(), expected);
        let asked = &acr.seen()[1];
        assert_eq!(asked.request, "POST /oauth2/exchange");
        let expected = form(&[
            ("access_token", "entra.access"),
            ("grant_type", "access_token"),
            ("service", "octo.azurecr.io"),
            ("tenant", TENANT),
        ]);
        assert_eq!(asked.form(), expected);
    }

    #[tokio::test]
    async fn each_refusal_of_entra_has_its_remedy() {
        let unknown = r#"{"error":"invalid_client","error_description":"AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:octo/app:ref:refs/heads/main'.\r\nTrace ID: 0","error_codes":[700213]}"#;
        let expired = format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS700024: Client assertion {TOKEN} is not within its valid time range."}}"#
        );
        let tenant = r#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application not found in the directory."}"#;
        for (status, body, says, remedy) in [
            (
                401,
                unknown,
                "subject 'repo:octo/app:ref:refs/heads/main'. Trace ID: 0",
                "needs a federated credential",
            ),
            (
                401,
                expired.as_str(),
                "Client assertion *** is not within",
                "needs a federated credential",
            ),
            (400, tenant, "AADSTS700016", "check `azure-client-id`"),
        ] {
            let (entra, acr) = (Stub::serve([(status, body)]).await, Stub::serve([]).await);
            let told = told(by(&entra, &acr).await.unwrap_err(), &[]);
            assert!(told.contains(says) && told.contains(remedy), "{told}");
            assert!(entra.seen().len() == 1 && acr.seen().is_empty());
        }
    }

    #[tokio::test]
    async fn an_application_without_a_role_on_the_registry_is_told_so() {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for entra.access"}]}"#;
        let (entra, acr) = (Stub::serve([(200, ACCESS)]).await, Stub::serve([(401, body)]).await);
        let told = told(by(&entra, &acr).await.unwrap_err(), &["entra.access"]);
        assert!(told.contains("refused a login at `octo.azurecr.io`: HTTP 401: UNAUTHORIZED: authentication required"), "{told}");
        assert!(told.contains("| give the application the role `AcrPush`"), "{told}");
    }

    #[tokio::test]
    async fn nonsense_is_not_quoted() {
        for body in [
            "",
            "s3cret",
            "{\"token\":\"s3cret\"}",
            "{\"access_token\":\"\"}",
            "{\"access_token\":{\"s3cret\":1}}",
        ] {
            let (entra, acr) = (Stub::serve([(200, body)]).await, Stub::serve([(200, body)]).await);
            let error = by(&entra, &acr).await.unwrap_err();
            assert!(
                matches!(error, ExchangeError::Unusable { service: ExchangeService::Entra, .. }),
                "{error}"
            );
            told(error, &["s3cret"]);
            let entra = Stub::serve([(200, ACCESS)]).await;
            let error = by(&entra, &acr).await.unwrap_err();
            assert!(
                matches!(error, ExchangeError::Unusable { service: ExchangeService::Acr, .. }),
                "{error}"
            );
            told(error, &["s3cret", "entra.access"]);
        }
    }
}
