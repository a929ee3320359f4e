//! Amazon ECR: a role for the run's OIDC token, and a registry password for the keys of a role or a
//! user. It never stores the keys, and asks for nothing but the one password.
//!
//! Specifications: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>,
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>,
//! <https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::call::{Call, element, usable};
use super::error::ExchangeService;
use super::method::{AwsKeys, Ecr};
use super::{Endpoints, ExchangeResult, sigv4};

/// Stands in the account's CloudTrail beside the role.
const SESSION_NAME: &str = "supply-action";
const JSON: &str = "application/x-amz-json-1.1";

/// What `aud` must hold; China has an identity provider of its own:
/// <https://github.com/aws-actions/configure-aws-credentials#audience>.
pub(super) fn audience(ecr: &Ecr) -> &'static str {
    if ecr.partition() == "aws-cn" { "sts.amazonaws.com.cn" } else { "sts.amazonaws.com" }
}

/// Keys of a role, for one hour.
pub(super) async fn assume(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    role: &str,
    ecr: &Ecr,
    token: &SecretString,
) -> ExchangeResult<AwsKeys> {
    let call = Call {
        service: ExchangeService::AwsSts,
        url: format!("{}/", at(&endpoints.sts_aws, ecr)),
        subject: format!("role `{role}`"),
        secrets: vec![token],
    };
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", SESSION_NAME),
        ("WebIdentityToken", token.expose_secret()),
    ];
    let body = call.send(|| http.post(&call.url).form(&form)).await?;
    let xml = String::from_utf8(body).map_err(|_| call.unusable("bytes that are not text"))?;
    let secret = |name: &str| element(&xml, name).map(SecretString::from).filter(usable);
    match (secret("AccessKeyId"), secret("SecretAccessKey"), secret("SessionToken")) {
        (Some(access_key_id), Some(secret_access_key), session_token @ Some(_)) => {
            Ok(AwsKeys { access_key_id, secret_access_key, session_token })
        }
        _ => Err(call.unusable("something that holds no credentials")),
    }
}

/// The registry's user name and password, good for at most 12 hours.
pub(super) async fn login(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    keys: &AwsKeys,
    ecr: &Ecr,
    registry: &str,
    now: jiff::Timestamp,
) -> ExchangeResult<(String, SecretString)> {
    let (service, name, target, endpoint) = if ecr.public {
        (
            ExchangeService::EcrPublic,
            "ecr-public",
            "SpencerFrontendService.GetAuthorizationToken",
            &endpoints.ecr_public,
        )
    } else {
        (
            ExchangeService::Ecr,
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            &endpoints.ecr,
        )
    };
    let call = Call {
        service,
        url: format!("{}/", at(endpoint, ecr)),
        subject: format!("a login at `{registry}`"),
        secrets: [&keys.access_key_id, &keys.secret_access_key]
            .into_iter()
            .chain(&keys.session_token)
            .collect(),
    };
    let body = "{}";
    let host = Url::parse(&call.url).ok().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    let mut headers: BTreeMap<&str, String> = BTreeMap::from([
        ("content-type", JSON.to_owned()),
        ("host", host.unwrap_or_default()),
        ("x-amz-date", sigv4::date(now)),
        ("x-amz-target", target.to_owned()),
    ]);
    if let Some(token) = &keys.session_token {
        headers.insert("x-amz-security-token", token.expose_secret().to_owned());
    }
    let scope = sigv4::SignatureScope { region: &ecr.region, service: name };
    let authorization = sigv4::authorization(keys, &scope, "POST", &headers, body.as_bytes(), now);
    headers.insert("authorization", authorization);
    let answer = call
        .send(|| {
            headers.iter().fold(http.post(&call.url).body(body), |request, (name, value)| {
                request.header(*name, hidden(value))
            })
        })
        .await?;
    user_and_password(&answer)
        .ok_or_else(|| call.unusable("something that holds no authorization token"))
}

/// A header value that no log of the HTTP library shows. What a header cannot carry is not sent,
/// and so refused.
fn hidden(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn at(endpoint: &str, ecr: &Ecr) -> String {
    endpoint.replace("{region}", &ecr.region).replace("{domain}", ecr.domain)
}

/// Private registries answer with a list, the public one with a single authorization.
fn user_and_password(answer: &[u8]) -> Option<(String, SecretString)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct EcrLoginAnswer {
        authorization_data: OneOrManyAuthorizations,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrManyAuthorizations {
        Many(Vec<Authorization>),
        One(Authorization),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Authorization {
        authorization_token: SecretString,
    }
    let token = match serde_json::from_slice::<EcrLoginAnswer>(answer).ok()?.authorization_data {
        OneOrManyAuthorizations::One(authorization) => authorization.authorization_token,
        OneOrManyAuthorizations::Many(list) => list.into_iter().next()?.authorization_token,
    };
    let plain = String::from_utf8(STANDARD.decode(token.expose_secret()).ok()?).ok()?;
    let (username, password) = plain.split_once(':')?;
    (!username.is_empty() && !password.is_empty())
        .then(|| (username.to_owned(), password.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sha2::{Digest as _, Sha256};

    use super::super::stub::{SeenRequest, Stub, TOKEN, runner, told};
    use super::super::{ExchangeError, Method};
    use super::*;

    const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    const ROLE: &str = "arn:aws:iam::123456789012:role/ci";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SESSION: &str = "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE==";
    /// As the reference shows it, with another secret.
    const ASSUMED: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>repo:octo/app:ref:refs/heads/main</SubjectFromWebIdentityToken>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/ci/supply-action</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:supply-action</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE==</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY</SecretAccessKey>
      <Expiration>2026-01-02T04:04:05Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
    <Provider>arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"#;
    /// `AWS:p4ss:word`
    const PRIVATE: &str = r#"{"authorizationData":[{"authorizationToken":"QVdTOnA0c3M6d29yZA==","expiresAt":1.767e9,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}"#;
    const PUBLIC: &str = r#"{"authorizationData":{"authorizationToken":"QVdTOnA0c3M6d29yZA==","expiresAt":1.767e9}}"#;

    fn ecr() -> Ecr {
        Ecr { public: false, region: "eu-west-1".to_owned(), domain: "amazonaws.com" }
    }

    fn denied(code: &str, message: &str) -> String {
        format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>4f8e</RequestId></ErrorResponse>"#
        )
    }

    async fn by(
        method: &Method,
        sts: &Stub,
        api: &Stub,
    ) -> (ExchangeResult<(String, SecretString)>, Vec<String>) {
        let endpoints = Endpoints {
            sts_aws: sts.url.clone(),
            ecr: api.url.clone(),
            ecr_public: api.url.clone(),
            ..Endpoints::default()
        };
        let audiences = Mutex::default();
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let outcome = super::super::login(
            &reqwest::Client::new(),
            &endpoints,
            method,
            REGISTRY,
            runner(&audiences),
            now,
        )
        .await;
        (outcome, audiences.into_inner().unwrap())
    }

    async fn by_role(sts: &Stub, api: &Stub) -> ExchangeResult<(String, SecretString)> {
        let (outcome, audiences) =
            by(&Method::AwsRole { role: ROLE.to_owned(), ecr: ecr() }, sts, api).await;
        assert_eq!(audiences, ["sts.amazonaws.com"]);
        outcome
    }

    /// HMAC-SHA256 from RFC 2104, so that the signature is judged by other code than made it.
    fn hmac(key: &[u8], text: &str) -> Vec<u8> {
        let padded = |pad: u8| -> Vec<u8> {
            (0..64).map(|place| key.get(place).unwrap_or(&0) ^ pad).collect()
        };
        let inner = Sha256::digest([padded(0x36), text.as_bytes().to_vec()].concat());
        Sha256::digest([padded(0x5c), inner.to_vec()].concat()).to_vec()
    }

    /// The signature, recomputed from what arrived and from nothing else but the secret.
    fn assert_signed(seen: &SeenRequest, secret: &str, scope: &str) {
        let authorization = seen.header("authorization");
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
        let (credential, rest) = rest.split_once(", SignedHeaders=").unwrap();
        let (names, signature) = rest.split_once(", Signature=").unwrap();
        let (_, given) = credential.split_once('/').unwrap();
        assert_eq!(given, scope);
        for must in ["host", "content-type", "x-amz-date", "x-amz-target"] {
            assert!(names.split(';').any(|name| name == must), "{names}");
        }
        assert_eq!(
            names.contains("x-amz-security-token"),
            seen.headers.contains_key("x-amz-security-token")
        );
        let mut canonical = "POST\n/\n\n".to_owned();
        for name in names.split(';') {
            canonical.push_str(&format!("{name}:{}\n", seen.header(name)));
        }
        canonical.push_str(&format!("\n{names}\n{}", hex::encode(Sha256::digest(&seen.body))));
        let hashed = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", seen.header("x-amz-date"));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part);
        }
        assert_eq!(signature, hex::encode(hmac(&key, &to_sign)));
    }

    #[tokio::test]
    async fn a_role_gives_keys_and_keys_give_a_password() {
        let (sts, api) = (Stub::serve([(200, ASSUMED)]).await, Stub::serve([(200, PRIVATE)]).await);
        let (username, password) = by_role(&sts, &api).await.unwrap();
        assert_eq!((username.as_str(), password.expose_secret()), ("AWS", "p4ss:word"));

        let asked = &sts.seen()[0];
        assert_eq!(asked.request, "POST /");
        let expected = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "supply-action"),
            ("Version", "2011-06-15"),
            ("WebIdentityToken", TOKEN),
        ];
        assert_eq!(
            asked.form(),
            expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        );
        assert_eq!(asked.header("authorization"), "", "this call is not signed");

        let asked = &api.seen()[0];
        assert_eq!((asked.request.as_str(), asked.body.as_str()), ("POST /", "{}"));
        assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(
            asked.header("x-amz-target"),
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
        );
        assert_eq!(asked.header("x-amz-security-token"), SESSION);
        assert_eq!(asked.header("x-amz-date"), "20260102T030405Z");
        assert!(asked.header("authorization").contains("Credential=ASgeIAIOSFODNN7EXAMPLE/"));
        assert_signed(asked, SECRET, "20260102/eu-west-1/ecr/aws4_request");
    }

    #[tokio::test]
    async fn keys_of_a_user_need_no_token_and_serve_the_public_registry() {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: SECRET.into(),
            session_token: None,
        };
        let ecr = Ecr { public: true, region: "us-east-1".to_owned(), domain: "amazonaws.com" };
        let (sts, api) = (Stub::serve([]).await, Stub::serve([(200, PUBLIC)]).await);
        let (outcome, audiences) = by(&Method::AwsKeys { keys, ecr }, &sts, &api).await;
        assert_eq!(outcome.unwrap().0, "AWS");
        assert!(audiences.is_empty() && sts.seen().is_empty());
        let asked = &api.seen()[0];
        assert_eq!(asked.header("x-amz-target"), "SpencerFrontendService.GetAuthorizationToken");
        assert!(!asked.headers.contains_key("x-amz-security-token"));
        assert_signed(asked, SECRET, "20260102/us-east-1/ecr-public/aws4_request");
    }

    #[tokio::test]
    async fn a_role_that_may_not_be_assumed_says_what_its_trust_policy_needs() {
        let body =
            denied("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        let (sts, api) = (Stub::serve([(403, body.as_str())]).await, Stub::serve([]).await);
        let told = told(by_role(&sts, &api).await.unwrap_err(), &[]);
        assert!(
            told.contains(
                "refused role `arn:aws:iam::123456789012:role/ci`: HTTP 403: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity | the trust policy of the role must allow"
            ),
            "{told}"
        );
        assert!(sts.seen().len() == 1 && api.seen().is_empty());
    }

    #[tokio::test]
    async fn each_refusal_of_sts_has_its_remedy() {
        for (status, code, message, remedy) in [
            (
                400,
                "ExpiredTokenException",
                format!("Token expired: {TOKEN}"),
                "the OIDC token was too old",
            ),
            (
                400,
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account".to_owned(),
                "add the identity provider",
            ),
            (403, "RegionDisabledException", "STS is not activated".to_owned(), "activate STS"),
            (400, "ValidationError", "1 validation error".to_owned(), "check the ARN"),
        ] {
            let body = denied(code, &message);
            let (sts, api) = (Stub::serve([(status, body.as_str())]).await, Stub::serve([]).await);
            let told = told(by_role(&sts, &api).await.unwrap_err(), &[]);
            assert!(
                told.contains(&format!("HTTP {status}: {code}: ")) && told.contains(remedy),
                "{told}"
            );
        }
    }

    #[tokio::test]
    async fn passing_failures_of_both_services_are_tried_again() {
        let later = denied("IDPCommunicationError", "try again");
        let sts = Stub::serve([(503, ""), (400, later.as_str()), (200, ASSUMED)]).await;
        let api = Stub::serve([
            (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
            (200, PRIVATE),
        ])
        .await;
        by_role(&sts, &api).await.unwrap();
        assert_eq!((sts.seen().len(), api.seen().len()), (3, 2));
        assert_signed(&api.seen()[1], SECRET, "20260102/eu-west-1/ecr/aws4_request");
    }

    #[tokio::test]
    async fn a_policy_without_the_right_is_named() {
        let body = r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:sts::123456789012:assumed-role/ci/supply-action is not authorized to perform: ecr:GetAuthorizationToken on resource: *"}"#;
        let (sts, api) = (Stub::serve([(200, ASSUMED)]).await, Stub::serve([(400, body)]).await);
        let told = told(by_role(&sts, &api).await.unwrap_err(), &[SECRET, SESSION]);
        assert!(
            told.contains("refused a login at `123456789012.dkr.ecr.eu-west-1.amazonaws.com`: HTTP 400: AccessDeniedException"),
            "{told}"
        );
        assert!(told.contains("| allow `ecr:GetAuthorizationToken`"), "{told}");
        let body = r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#;
        let (sts, api) = (Stub::serve([(200, ASSUMED)]).await, Stub::serve([(400, body)]).await);
        let told =
            super::super::stub::told(by_role(&sts, &api).await.unwrap_err(), &[SECRET, SESSION]);
        assert!(told.contains("| check `AWS_ACCESS_KEY_ID`"), "{told}");
    }

    #[tokio::test]
    async fn nonsense_is_not_quoted() {
        for body in [
            "",
            "<html>s3cret</html>",
            "<AccessKeyId>a</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>",
            "{\"s3cret\":1}",
        ] {
            let (sts, api) = (Stub::serve([(200, body)]).await, Stub::serve([]).await);
            let error = by_role(&sts, &api).await.unwrap_err();
            assert!(
                matches!(error, ExchangeError::Unusable { service: ExchangeService::AwsSts, .. }),
                "{error}"
            );
            told(error, &["s3cret"]);
        }
        // No JSON, no data, then: not base64, no colon, no password, an empty list.
        let data = |token: &str| {
            format!(r#"{{"authorizationData":[{{"authorizationToken":"{token}"}}]}}"#)
        };
        for body in [
            "".into(),
            "{}".into(),
            data("s3cret!"),
            data("QVdT"),
            data("QVdTOg=="),
            r#"{"authorizationData":[]}"#.into(),
        ] {
            let (sts, api) =
                (Stub::serve([(200, ASSUMED)]).await, Stub::serve([(200, body.as_str())]).await);
            let error = by_role(&sts, &api).await.unwrap_err();
            assert!(
                matches!(error, ExchangeError::Unusable { service: ExchangeService::Ecr, .. }),
                "{error}"
            );
            told(error, &["s3cret", SECRET, SESSION]);
        }
    }

    #[test]
    fn the_public_endpoints_are_regional_and_of_the_partition() {
        let endpoints = Endpoints::default();
        assert_eq!(at(&endpoints.sts_aws, &ecr()), "https://sts.eu-west-1.amazonaws.com");
        assert_eq!(at(&endpoints.ecr, &ecr()), "https://api.ecr.eu-west-1.amazonaws.com");
        let china =
            Ecr { public: false, region: "cn-north-1".to_owned(), domain: "amazonaws.com.cn" };
        assert_eq!(at(&endpoints.ecr, &china), "https://api.ecr.cn-north-1.amazonaws.com.cn");
        assert_eq!(
            (audience(&ecr()), audience(&china)),
            ("sts.amazonaws.com", "sts.amazonaws.com.cn")
        );
        let public = Ecr { public: true, region: "us-east-1".to_owned(), domain: "amazonaws.com" };
        assert_eq!(
            at(&endpoints.ecr_public, &public),
            "https://api.ecr-public.us-east-1.amazonaws.com"
        );
    }
}
