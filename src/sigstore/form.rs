//! The form of a bundle: what its specification asks over and above what `sigstore-verify` looks
//! at. It reads bytes and never checks a signature.
//!
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_types::bundle::{KindVersion, VerificationMaterialContent};
use sigstore_types::{Bundle, DsseEnvelope, LogKeyId, SignatureContent, TransparencyLogEntry};
use x509_cert::der::Decode as _;

use super::strict;

/// The fields of a bundle that are `bytes` in its schema.
const BYTES: [&str; 10] = [
    "rawBytes",
    "keyId",
    "signedEntryTimestamp",
    "rootHash",
    "canonicalizedBody",
    "signedTimestamp",
    "digest",
    "signature",
    "payload",
    "sig",
];

/// The versions of the format, as they are written:
/// <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>.
const KINDS: [&str; 4] = [
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
];

/// A bundle of which every reader makes the same: one signature, one certificate or key, no name
/// twice.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut value = strict::value(text)?;
    // A message without its media type would be read as version 0.1, which asks for less.
    one_of(&value, "the bundle", &["mediaType"])?;
    let kind = value["mediaType"].as_str().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(format!("bundles of media type `{}` are not supported", kind.escape_debug()));
    }
    one_of(&value, "the bundle", &["messageSignature", "dsseEnvelope"])?;
    one_of(
        &value["verificationMaterial"],
        "`verificationMaterial`",
        &["certificate", "x509CertificateChain", "publicKey"],
    )?;
    for entry in value["verificationMaterial"]["tlogEntries"].as_array().into_iter().flatten() {
        has_origin(entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap_or_default())?;
    }
    plain_base64(&mut value);
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A `oneof` of the schema: a reader that takes the first and one that takes the last would see
/// different bundles.
fn one_of(object: &Value, whose: &str, names: &[&str]) -> Result<(), String> {
    let found: Vec<&&str> = names.iter().filter(|name| !object[**name].is_null()).collect();
    match found.len() {
        1 => Ok(()),
        0 => Err(format!("{whose} has no `{}`", names.join("` or `"))),
        _ => {
            Err(format!("{whose} has both `{}` and `{}`, and only one may be", found[0], found[1]))
        }
    }
}

/// Says of a checkpoint without its first line what it lacks, where the library stumbles over the
/// second.
fn has_origin(checkpoint: &str) -> Result<(), String> {
    let number = |line: Option<&str>| line.is_some_and(|line| line.parse::<u64>().is_ok());
    let mut lines = checkpoint.lines();
    if number(lines.next()) && !number(lines.next()) {
        Err("invalid checkpoint: missing origin".to_owned())
    } else {
        Ok(())
    }
}

/// `bytes` in the standard alphabet, padded, on one line. Protobuf's JSON allows the URL-safe
/// alphabet and no padding, and the readers of Go and Python pass over line ends; the library knows
/// one spelling alone.
fn plain_base64(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(plain_base64),
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if BYTES.contains(&name.as_str()) => *text = plain(text),
                    Value::Array(list) if name == "hashes" => {
                        for text in list {
                            if let Value::String(text) = text {
                                *text = plain(text);
                            }
                        }
                    }
                    _ => plain_base64(value),
                }
            }
        }
        _ => {}
    }
}

fn plain(text: &str) -> String {
    let mut plain: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    plain = plain.replace('-', "+").replace('_', "/");
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    plain
}

/// What a well-formed bundle must not hold: an authority of its own, and proofs that are another
/// log's or of another signature.
pub(super) fn check(bundle: &Bundle) -> Result<(), String> {
    if let VerificationMaterialContent::X509CertificateChain { certificates } =
        &bundle.verification_material.content
    {
        if certificates.is_empty() {
            return Err("its certificate chain is empty".to_owned());
        }
        for certificate in certificates {
            brings_no_root(certificate.raw_bytes.as_bytes())?;
        }
    }
    for entry in &bundle.verification_material.tlog_entries {
        signed_by_its_log(entry)?;
        if let SignatureContent::DsseEnvelope(envelope) = &bundle.content {
            logs_this_envelope(entry, envelope)?;
        }
    }
    Ok(())
}

/// A log entry that `known` does not name. The library looks at the names of Rekor 1's logs alone,
/// and with a key and a root without logs would pass over the entry.
pub(super) fn foreign_log<'a>(bundle: &'a Bundle, known: &[LogKeyId]) -> Option<&'a LogKeyId> {
    bundle
        .verification_material
        .tlog_entries
        .iter()
        .map(|entry| &entry.log_id.key_id)
        .find(|log| !known.contains(log))
}

fn brings_no_root(certificate: &[u8]) -> Result<(), String> {
    let read = x509_cert::Certificate::from_der(certificate)
        .map_err(|error| format!("its certificate chain cannot be read: {error}"))?;
    let subject = &read.tbs_certificate.subject;
    if *subject == read.tbs_certificate.issuer {
        return Err(format!(
            "it brings its own root certificate `{subject}`; only the trusted root may name one"
        ));
    }
    Ok(())
}

/// The checkpoint must carry a signature of the log that the entry names: the library takes that of
/// any log that is trusted.
fn signed_by_its_log(entry: &TransparencyLogEntry) -> Result<(), String> {
    let Some(checkpoint) =
        entry.inclusion_proof.as_ref().and_then(|proof| proof.checkpoint.checkpoint())
    else {
        return Ok(());
    };
    let log = &entry.log_id.key_id;
    if checkpoint
        .signatures()
        .iter()
        .any(|signature| log.as_bytes().starts_with(signature.key_id.as_bytes()))
    {
        return Ok(());
    }
    Err(format!("invalid checkpoint: it has no signature of log `{log}`, which the entry names"))
}

/// The library finds these mismatches too, and tells them as a broken encoding or another artifact.
fn logs_this_envelope(entry: &TransparencyLogEntry, envelope: &DsseEnvelope) -> Result<(), String> {
    let body: Value =
        serde_json::from_slice(entry.canonicalized_body.as_bytes()).unwrap_or_default();
    let (what, logged, held) = match entry.kind_version {
        // Rekor keeps the text of the signature, so its field is base64 of base64.
        KindVersion::IntotoV002 => (
            "signature",
            &body["spec"]["content"]["envelope"]["signatures"][0]["sig"],
            STANDARD.encode(STANDARD.encode(envelope.signature.sig.as_bytes())),
        ),
        KindVersion::HashedRekordV002 => (
            "digest of the envelope",
            &body["spec"]["hashedRekordV002"]["data"]["digest"],
            STANDARD.encode(sigstore_crypto::sha256(&envelope.pae()).as_bytes()),
        ),
        _ => return Ok(()),
    };
    match logged.as_str() {
        Some(logged) if plain(logged) != held => Err(format!(
            "log entry does not match the bundle: its {what} is `{logged}`, and that of the bundle `{held}`"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_can_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            ("", "EOF"),
            ("[]", "no `mediaType`"),
            (r#"{"verificationMaterial":{}}"#, "no `mediaType`"),
            (r#"{"mediaType":null}"#, "no `mediaType`"),
            (r#"{"mediaType":"x","mediaType":"y"}"#, "twice"),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.4+json"}"#,
                "v0.4+json` are not supported",
            ),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#,
                "no `messageSignature` or `dsseEnvelope`",
            ),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{},"dsseEnvelope":{}}"#,
                "both",
            ),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{}}"#,
                "no `certificate`",
            ),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{},"verificationMaterial":{"certificate":{},"publicKey":{}}}"#,
                "both",
            ),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{},"verificationMaterial":{"certificate":{},"certificate":{}}}"#,
                "twice",
            ),
        ] {
            let told = read(text.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        read(b"\xff").unwrap_err();
    }

    #[test]
    fn bytes_may_be_spelt_as_protobuf_allows() {
        let mut value = serde_json::json!({"payload": "-_8", "hashes": ["AA\r\nAA"], "envelope": "a-b", "deep": [{"sig": "AA"}]});
        plain_base64(&mut value);
        assert_eq!(
            value,
            serde_json::json!({"payload": "+/8=", "hashes": ["AAAA"], "envelope": "a-b", "deep": [{"sig": "AA=="}]})
        );
    }

    #[test]
    fn a_checkpoint_begins_with_its_origin() {
        has_origin("5\nroot\n\n— x y\n").unwrap_err();
        for fine in ["", "log\n5\nroot\n", "7\n5\nroot\n"] {
            has_origin(fine).unwrap();
        }
    }
}
