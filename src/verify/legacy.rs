//! Layers of cosign's older scheme → bundles that the verifier can check. It never believes an
//! annotation that the check does not cover.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::image::Digest;

pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
pub const LOG: &str = "dev.sigstore.cosign/bundle";

/// What cosign writes beside a signature: the log's promise and the entry it is about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Logged {
    signed_entry_timestamp: String,
    payload: LoggedPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// A layer and its annotations as a bundle of version 0.1, which may hold a promise instead of a
/// proof. `by_key`: the verifier has the key, and wants no certificate.
pub fn bundle(
    layer: &[u8],
    annotations: &BTreeMap<String, String>,
    by_key: bool,
) -> Result<Vec<u8>, String> {
    let annotation = |name: &str| {
        annotations
            .get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("it has no `{name}`"))
    };
    let (kind, material) = if by_key {
        ("publicKey", json!({ "hint": "" }))
    } else {
        (
            "x509CertificateChain",
            json!({ "certificates": [{ "rawBytes": der(annotation(CERTIFICATE)?)? }] }),
        )
    };
    let logged: Logged = serde_json::from_str(annotation(LOG)?)
        .map_err(|error| format!("its `{LOG}` cannot be read: {error}"))?;
    let log_id = hex::decode(&logged.payload.log_id)
        .map_err(|error| format!("its log cannot be read: {error}"))?;
    let body = BASE64
        .decode(&logged.payload.body)
        .map_err(|error| format!("its log entry cannot be read: {error}"))?;
    let entry: Value = serde_json::from_slice(&body)
        .map_err(|error| format!("its log entry cannot be read: {error}"))?;
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            kind: material,
            "tlogEntries": [{
                "logIndex": logged.payload.log_index.to_string(),
                "logId": { "keyId": BASE64.encode(log_id) },
                "kindVersion": { "kind": entry["kind"], "version": entry["apiVersion"] },
                "integratedTime": logged.payload.integrated_time.to_string(),
                "inclusionPromise": { "signedEntryTimestamp": logged.signed_entry_timestamp },
                "canonicalizedBody": logged.payload.body,
            }],
        },
    });
    // The entry is about these very bytes, which a bundle does not keep.
    let hashed = entry.pointer("/spec/envelopeHash/value").and_then(Value::as_str);
    if is_envelope(annotations) && hashed != Some(Digest::of(layer).hex()) {
        return Err("its log entry is about another envelope".to_owned());
    }
    sign(&mut bundle, layer, annotations)?;
    Ok(bundle.to_string().into_bytes())
}

/// The same of what a key signed, without any word of a log.
pub fn unlogged(layer: &[u8], annotations: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": { "publicKey": { "hint": "" } },
    });
    sign(&mut bundle, layer, annotations)?;
    Ok(bundle.to_string().into_bytes())
}

/// Whether a layer is signed and names nobody.
pub fn is_by_key(annotations: &BTreeMap<String, String>) -> bool {
    annotations.contains_key(SIGNATURE) && annotations.get(CERTIFICATE).is_none_or(String::is_empty)
}

fn is_envelope(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(SIGNATURE).is_none_or(String::is_empty)
}

/// What is signed, and the signature: of an envelope both are the layer's.
fn sign(
    bundle: &mut Value,
    layer: &[u8],
    annotations: &BTreeMap<String, String>,
) -> Result<(), String> {
    if is_envelope(annotations) {
        bundle["dsseEnvelope"] = serde_json::from_slice(layer)
            .map_err(|error| format!("its envelope cannot be read: {error}"))?;
        return Ok(());
    }
    let digest = hex::decode(Digest::of(layer).hex()).map_err(|error| error.to_string())?;
    bundle["messageSignature"] = json!({ "messageDigest": { "algorithm": "SHA2_256", "digest": BASE64.encode(digest) }, "signature": annotations.get(SIGNATURE) });
    Ok(())
}

/// The certificate that stands beside a layer, in DER.
pub fn certificate(annotations: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    BASE64.decode(der(annotations.get(CERTIFICATE)?).ok()?).ok()
}

fn der(pem: &str) -> Result<String, String> {
    let lines =
        pem.lines().skip_while(|line| !line.starts_with("-----BEGIN CERTIFICATE-----")).skip(1);
    let text: String =
        lines.take_while(|line| !line.starts_with("-----END")).map(str::trim).collect();
    if text.is_empty() { Err("its certificate cannot be read".to_owned()) } else { Ok(text) }
}

/// Whether a payload of simple signing is about this digest. Its other fields are hints.
pub fn is_about(payload: &[u8], subject: &Digest) -> bool {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    payload.pointer("/critical/image/docker-manifest-digest").and_then(Value::as_str)
        == Some(subject.as_str())
        && payload.pointer("/critical/type").and_then(Value::as_str)
            == Some("cosign container image signature")
}

/// What a payload says of the image beside that.
pub fn annotations(payload: &[u8]) -> BTreeMap<String, String> {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    let said = payload["optional"].as_object().into_iter().flatten();
    said.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The payload cosign signs, in its order of fields. Docker Hub's name is spelt as cosign and
/// containers/image spell it.
pub fn payload(
    repository: &str,
    subject: &Digest,
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    let optional = if annotations.is_empty() { Value::Null } else { json!(annotations) };
    let name = repository
        .strip_prefix("docker.io/")
        .map_or_else(|| repository.to_owned(), |path| format!("index.docker.io/{path}"));
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":{}}},"image":{{"docker-manifest-digest":"{subject}"}},"type":"cosign container image signature"}},"optional":{optional}}}"#,
        Value::String(name)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_cosigns() {
        let digest = Digest::of(b"x");
        let annotated = payload(
            "r.io/a",
            &digest,
            &BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "\"".to_owned())]),
        );
        assert!(
            String::from_utf8_lossy(&annotated).ends_with(r#""optional":{"a":"\"","b":"2"}}"#)
                && is_about(&annotated, &digest)
        );
        let payload = payload("docker.io/library/alpine", &digest, &BTreeMap::new());
        assert!(payload.ends_with(br#""optional":null}"#));
        assert!(String::from_utf8_lossy(&payload).starts_with(
            r#"{"critical":{"identity":{"docker-reference":"index.docker.io/library/alpine"}"#
        ));
        assert!(
            is_about(&payload, &digest)
                && !is_about(&payload, &Digest::of(b"y"))
                && !is_about(b"{", &digest)
        );
    }

    #[test]
    fn what_is_missing_or_unreadable_is_named() {
        let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for (annotations, why) in [
            (BTreeMap::new(), "it has no `dev.sigstore.cosign/certificate`"),
            (with(CERTIFICATE, "x"), "its certificate cannot be read"),
            (
                with(CERTIFICATE, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"),
                "it has no `dev.sigstore.cosign/bundle`",
            ),
        ] {
            assert_eq!(bundle(b"{}", &annotations, false).unwrap_err(), why);
        }
    }
}
