//! AWS Signature Version 4 of a request for `/` without a query, which is all that AWS's JSON
//! protocol needs. It never reads the clock.
//!
//! Specification: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::method::AwsKeys;

/// For which service a signature holds, and where.
pub(super) struct SignatureScope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The value of `x-amz-date`.
pub(super) fn date(now: jiff::Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of `authorization`. `headers` are those to sign, with names in lower case; among them
/// `host` and `x-amz-date`.
pub(super) fn authorization(
    keys: &AwsKeys,
    scope: &SignatureScope<'_>,
    method: &str,
    headers: &BTreeMap<&str, String>,
    body: &[u8],
    now: jiff::Timestamp,
) -> String {
    let names: Vec<&str> = headers.keys().copied().collect();
    let names = names.join(";");
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical =
        format!("{method}\n/\n\n{lines}\n{names}\n{}", hex::encode(Sha256::digest(body)));

    let date = date(now);
    let SignatureScope { region, service } = scope;
    let day = &date[..8];
    let credential_scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{credential_scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let signature = hex::encode(keyed(
        &signing_key(keys.secret_access_key.expose_secret(), day, scope),
        &to_sign,
    ));
    let id = keys.access_key_id.expose_secret();
    format!(
        "AWS4-HMAC-SHA256 Credential={id}/{credential_scope}, SignedHeaders={names}, Signature={signature}"
    )
}

fn signing_key(secret: &str, day: &str, scope: &SignatureScope<'_>) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(first, |key, part| keyed(&key, part))
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SESSION: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn signed(method: &str, more: &[(&'static str, &str)], body: &str) -> String {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned().into(),
            secret_access_key: SECRET.to_owned().into(),
            session_token: None,
        };
        let mut headers: BTreeMap<&str, String> =
            more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.insert("host", "example.amazonaws.com".to_owned());
        headers.insert("x-amz-date", "20150830T123600Z".to_owned());
        let now: jiff::Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        assert_eq!(date(now), "20150830T123600Z");
        authorization(
            &keys,
            &SignatureScope { region: "us-east-1", service: "service" },
            method,
            &headers,
            body.as_bytes(),
            now,
        )
    }

    /// Values of AWS's published test suite (aws-sig-v4-test-suite), by the names of its cases.
    #[test]
    fn agrees_with_the_test_suite_of_aws() {
        let form = "application/x-www-form-urlencoded";
        for (case, method, headers, body, signature) in [
            (
                "get-vanilla",
                "GET",
                vec![],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                vec![],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-header-value-case",
                "POST",
                vec![("my-header1", "VALUE1")],
                "",
                "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                vec![("content-type", form)],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "post-sts-header-before",
                "POST",
                vec![("x-amz-security-token", SESSION)],
                "",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let mut names: Vec<&str> =
                headers.iter().map(|(name, _)| *name).chain(["host", "x-amz-date"]).collect();
            names.sort_unstable();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature={signature}",
                names.join(";")
            );
            assert_eq!(signed(method, &headers, body), expected, "{case}");
        }
    }

    #[test]
    fn derives_the_documented_signing_key() {
        let key = signing_key(
            SECRET,
            "20150830",
            &SignatureScope { region: "us-east-1", service: "iam" },
        );
        assert_eq!(
            hex::encode(key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }
}
