//! Makes canonical Rekor bodies out of proposed `dsse` and `hashedrekord` entries; it never accepts
//! one whose signatures do not verify.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SandboxError;
use super::keys::{self, SignedData};
use super::x509;

/// The canonical body, and the hashes it can be searched by.
#[derive(Debug)]
pub(super) struct AcceptedLogEntry {
    pub(super) body: Vec<u8>,
    pub(super) hashes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RefusedLogEntry {
    #[error("entry kind `{kind}` version `{version}` is not supported")]
    Kind { kind: String, version: String },
    #[error("the entry lacks or garbles `{field}`")]
    Field { field: &'static str },
    #[error(transparent)]
    Internal(#[from] SandboxError),
    #[error("signature `{number}` is not verified by any of the given verifiers")]
    Signature { number: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProposedEnvelope {
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

pub(super) fn accepted(request: &Value) -> Result<AcceptedLogEntry, RefusedLogEntry> {
    let kind = request["kind"].as_str().unwrap_or_default();
    let version = request["apiVersion"].as_str().unwrap_or_default();
    match (kind, version) {
        ("dsse", "0.0.1") => dsse(&request["spec"]),
        ("hashedrekord", "0.0.1") => hashedrekord(&request["spec"]),
        _ => Err(RefusedLogEntry::Kind { kind: kind.to_owned(), version: version.to_owned() }),
    }
}

fn decoded(text: Option<&str>, field: &'static str) -> Result<Vec<u8>, RefusedLogEntry> {
    text.and_then(|text| STANDARD.decode(text).ok()).ok_or(RefusedLogEntry::Field { field })
}

/// Public key and canonical PEM of a base64 PEM verifier.
fn verifier(
    encoded: Option<&str>,
    field: &'static str,
) -> Result<(Vec<u8>, String), RefusedLogEntry> {
    let text = String::from_utf8(decoded(encoded, field)?)
        .map_err(|_| RefusedLogEntry::Field { field })?;
    x509::verifier(&text).ok_or(RefusedLogEntry::Field { field })
}

fn sha256_entry(hash: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": hex::encode(hash)})
}

fn dsse(spec: &Value) -> Result<AcceptedLogEntry, RefusedLogEntry> {
    let proposed = &spec["proposedContent"];
    let text = proposed["envelope"].as_str().ok_or(RefusedLogEntry::Field { field: "envelope" })?;
    let envelope: ProposedEnvelope =
        serde_json::from_str(text).map_err(|_| RefusedLogEntry::Field { field: "envelope" })?;
    let payload = decoded(Some(&envelope.payload), "payload")?;
    let verifiers = proposed["verifiers"].as_array().filter(|all| !all.is_empty());
    let verifiers = verifiers.ok_or(RefusedLogEntry::Field { field: "verifiers" })?;
    let verifiers: Vec<(Vec<u8>, String)> = verifiers
        .iter()
        .map(|one| verifier(one.as_str(), "verifiers"))
        .collect::<Result<_, _>>()?;
    if envelope.signatures.is_empty() {
        return Err(RefusedLogEntry::Field { field: "signatures" });
    }
    let encoding = pre_authentication_encoding(&envelope.payload_type, &payload);
    let mut signatures = Vec::new();
    for (number, signature) in envelope.signatures.iter().enumerate() {
        let bytes = decoded(Some(&signature.sig), "sig")?;
        let by = verifiers
            .iter()
            .find(|(key, _)| keys::verifies(key, SignedData::Message(&encoding), &bytes));
        let (_, pem) = by.ok_or(RefusedLogEntry::Signature { number })?;
        signatures
            .push(json!({"signature": STANDARD.encode(&bytes), "verifier": STANDARD.encode(pem)}));
    }
    let envelope_hash = keys::sha256(text.as_bytes());
    let payload_hash = keys::sha256(&payload);
    let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": sha256_entry(&envelope_hash),
        "payloadHash": sha256_entry(&payload_hash),
        "signatures": signatures,
    }});
    let mut hashes =
        vec![found_by(&hex::encode(envelope_hash)), found_by(&hex::encode(payload_hash))];
    hashes.extend(subjects(&payload).iter().map(|subject| found_by(subject)));
    Ok(AcceptedLogEntry { body: keys::canonical_json(&body)?, hashes })
}

fn hashedrekord(spec: &Value) -> Result<AcceptedLogEntry, RefusedLogEntry> {
    let hash = &spec["data"]["hash"];
    let value =
        hash["value"].as_str().ok_or(RefusedLogEntry::Field { field: "data.hash.value" })?;
    let digest =
        hex::decode(value).map_err(|_| RefusedLogEntry::Field { field: "data.hash.value" })?;
    if hash["algorithm"] != "sha256" || digest.len() != 32 {
        return Err(RefusedLogEntry::Field { field: "data.hash" });
    }
    let signature = &spec["signature"];
    let bytes = decoded(signature["content"].as_str(), "signature.content")?;
    let (key, pem) =
        verifier(signature["publicKey"]["content"].as_str(), "signature.publicKey.content")?;
    if !keys::verifies(&key, SignedData::Sha256(&digest), &bytes) {
        return Err(RefusedLogEntry::Signature { number: 0 });
    }
    let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": sha256_entry(&digest)},
        "signature": {"content": STANDARD.encode(&bytes), "publicKey": {"content": STANDARD.encode(pem)}},
    }});
    Ok(AcceptedLogEntry {
        body: keys::canonical_json(&body)?,
        hashes: vec![found_by(&hex::encode(digest))],
    })
}

/// <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>
pub(super) fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn found_by(hash: &str) -> String {
    format!("sha256:{hash}")
}

fn subjects(payload: &[u8]) -> Vec<String> {
    let statement: Value = serde_json::from_slice(payload).unwrap_or_default();
    let subjects = statement["subject"].as_array().cloned().unwrap_or_default();
    subjects
        .iter()
        .filter_map(|subject| subject["digest"]["sha256"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::keys::LogKey;

    fn proposed_dsse(signed_payload: &[u8], sent_payload: &[u8]) -> Value {
        let dir = tempfile::tempdir().unwrap();
        let key = LogKey::kept_at(&dir.path().join("key.p8")).unwrap();
        let signature =
            key.sign(&pre_authentication_encoding("text/plain", signed_payload)).unwrap();
        let envelope = json!({
            "payload": STANDARD.encode(sent_payload), "payloadType": "text/plain",
            "signatures": [{"sig": STANDARD.encode(signature)}],
        });
        let verifier = STANDARD.encode(keys::pem("PUBLIC KEY", key.public_der()));
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
            "envelope": envelope.to_string(), "verifiers": [verifier],
        }}})
    }

    #[test]
    fn encodes_as_the_dsse_example() {
        let encoding = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoding, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn accepts_a_verified_envelope_in_canonical_form() {
        let body = accepted(&proposed_dsse(b"x", b"x")).unwrap().body;
        let text = String::from_utf8(body).unwrap();
        assert!(text.starts_with(r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":""#));
    }

    #[test]
    fn refuses_an_envelope_whose_signature_is_for_another_payload() {
        assert!(matches!(
            accepted(&proposed_dsse(b"x", b"y")),
            Err(RefusedLogEntry::Signature { number: 0 })
        ));
    }

    #[test]
    fn refuses_kinds_it_does_not_know() {
        let request = json!({"kind": "intoto", "apiVersion": "0.0.2"});
        assert!(matches!(accepted(&request), Err(RefusedLogEntry::Kind { .. })));
    }
}
