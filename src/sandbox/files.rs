//! Makes the files a client is pointed at (trusted root, signing config, environment); it never
//! leaves one half written.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::SandboxError;
use super::keys;
use super::x509;

/// The addresses of the services, without trailing slash.
pub(super) struct Addresses {
    pub(super) oidc: String,
    pub(super) fulcio: String,
    pub(super) rekor: String,
    pub(super) timestamp: String,
}

/// What clients must trust: public keys (SubjectPublicKeyInfo) and chains (root last).
pub(super) struct Anchors<'a> {
    pub(super) rekor: &'a [u8],
    pub(super) ct_log: &'a [u8],
    pub(super) fulcio_chain: &'a [Vec<u8>],
    pub(super) timestamp_chain: &'a [Vec<u8>],
}

pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::File { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Keys kept from an earlier start were valid then already, so the oldest certificate decides.
fn valid_since(anchors: &Anchors<'_>) -> Timestamp {
    let certificates = anchors.fulcio_chain.iter().chain(anchors.timestamp_chain);
    let starts = certificates
        .filter_map(|certificate| x509::fields(certificate).ok())
        .map(|fields| fields.not_before);
    starts.min().unwrap_or(Timestamp::now() - SignedDuration::from_hours(1))
}

fn log_entry(base_url: &str, public_der: &[u8], valid_for: &Value) -> Value {
    json!({
        "baseUrl": base_url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(public_der),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": valid_for,
        },
        "logId": {"keyId": STANDARD.encode(keys::sha256(public_der))},
    })
}

fn authority_entry(uri: &str, common_name: &str, chain: &[Vec<u8>], valid_for: &Value) -> Value {
    let certificates: Vec<Value> =
        chain.iter().map(|der| json!({"rawBytes": STANDARD.encode(der)})).collect();
    json!({
        "subject": {"organization": "sandbox.local", "commonName": common_name},
        "uri": uri,
        "certChain": {"certificates": certificates},
        "validFor": valid_for,
    })
}

pub(super) fn trusted_root(addresses: &Addresses, anchors: &Anchors<'_>) -> Value {
    let valid_for =
        json!({"start": valid_since(anchors).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log_entry(&addresses.rekor, anchors.rekor, &valid_for)],
        "certificateAuthorities": [authority_entry(&addresses.fulcio, "fulcio root", anchors.fulcio_chain, &valid_for)],
        "ctlogs": [log_entry(&format!("{}/ct", addresses.fulcio), anchors.ct_log, &valid_for)],
        "timestampAuthorities": [authority_entry(&addresses.timestamp, "timestamp root", anchors.timestamp_chain, &valid_for)],
    })
}

pub(super) fn signing_config(addresses: &Addresses, anchors: &Anchors<'_>) -> Value {
    let valid_for =
        json!({"start": valid_since(anchors).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    let service = |url: &str| json!([{"url": url, "majorApiVersion": 1, "validFor": valid_for, "operator": "sandbox.local"}]);
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service(&addresses.fulcio),
        "oidcUrls": service(&addresses.oidc),
        "rekorTlogUrls": service(&addresses.rekor),
        "tsaUrls": service(&format!("{}/api/v1/timestamp", addresses.timestamp)),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    })
}

/// `export KEY='value'` lines for a POSIX shell.
pub(super) fn shell_exports(environment: &[(String, String)]) -> String {
    environment
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_values_for_a_shell() {
        let lines = shell_exports(&[("NAME".to_owned(), "it's $HOME".to_owned())]);
        assert_eq!(lines, "export NAME='it'\\''s $HOME'\n");
    }
}
