//! The form of a bundle: what its specification asks over and above what `sigstore-verify` looks at. It reads bytes and never checks a signature.
//!
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{Bundle, TransparencyLogEntry};
use x509_cert::der::Decode as _;

/// A bundle of which every reader makes the same: one signature, one certificate or key, no name twice.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let names: Names<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    // A message without its media type would be read as version 0.1, which asks for less.
    names.one_of("bundle", &["mediaType"])?;
    names.one_of("bundle", &["messageSignature", "dsseEnvelope"])?;
    let material = names.of("verificationMaterial").ok_or("it has no `verificationMaterial`")?;
    let material: Names<'_> = serde_json::from_str(material).map_err(|error| format!("verificationMaterial: {error}"))?;
    material.one_of("verificationMaterial", &["certificate", "x509CertificateChain", "publicKey"])?;
    Bundle::from_json(text).map_err(|error| error.to_string())
}

/// What a well-formed bundle must not hold: an authority of its own, and proofs that are another log's.
pub(super) fn check(bundle: &Bundle) -> Result<(), String> {
    if let VerificationMaterialContent::X509CertificateChain { certificates } = &bundle.verification_material.content {
        if certificates.is_empty() {
            return Err("its certificate chain is empty".to_owned());
        }
        for certificate in certificates {
            let read = x509_cert::Certificate::from_der(certificate.raw_bytes.as_bytes())
                .map_err(|error| format!("a certificate of its chain cannot be read: {error}"))?;
            if read.tbs_certificate.subject == read.tbs_certificate.issuer {
                return Err(format!(
                    "it brings its own root certificate `{}`; only the trusted root may name one",
                    read.tbs_certificate.subject
                ));
            }
        }
    }
    bundle.verification_material.tlog_entries.iter().try_for_each(signed_by_its_log)
}

/// The checkpoint must carry a signature of the log that the entry names: the library takes any log's that is trusted.
fn signed_by_its_log(entry: &TransparencyLogEntry) -> Result<(), String> {
    let Some(checkpoint) = entry.inclusion_proof.as_ref().and_then(|proof| proof.checkpoint.checkpoint()) else { return Ok(()) };
    if checkpoint.signatures().iter().any(|signature| entry.log_id.key_id.as_bytes().starts_with(signature.key_id.as_bytes())) {
        return Ok(());
    }
    Err(format!("invalid checkpoint: it has no signature of log `{}`, which the entry names", entry.log_id.key_id))
}

/// The names of a JSON object, each once, with their values as text.
struct Names<'a>(Vec<(String, &'a str)>);

impl<'a> Names<'a> {
    fn of(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, value)| found == name && *value != "null").map(|(_, value)| *value)
    }

    fn one_of(&self, whose: &str, names: &[&str]) -> Result<(), String> {
        let found: Vec<&&str> = names.iter().filter(|name| self.of(name).is_some()).collect();
        match found.len() {
            1 => Ok(()),
            0 => Err(format!("its {whose} has no `{}`", names.join("` or `"))),
            _ => Err(format!("its {whose} has both `{}` and `{}`, and only one may be", found[0], found[1])),
        }
    }
}

impl<'a> Deserialize<'a> for Names<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'a> Visitor<'a> for Reader {
            type Value = Names<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Names<'a>, A::Error> {
                let mut names: Vec<(String, &'a str)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'a RawValue>()? {
                    if names.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("`{name}` stands there twice")));
                    }
                    names.push((name, value.get()));
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_can_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            ("", "EOF"),
            ("[]", "a JSON object"),
            (r#"{"verificationMaterial":{}}"#, "no `mediaType`"),
            (r#"{"mediaType":null}"#, "no `mediaType`"),
            (r#"{"mediaType":"x","mediaType":"y"}"#, "twice"),
            (r#"{"mediaType":"x"}"#, "no `messageSignature` or `dsseEnvelope`"),
            (r#"{"mediaType":"x","messageSignature":{},"dsseEnvelope":{}}"#, "both"),
            (r#"{"mediaType":"x","messageSignature":{}}"#, "no `verificationMaterial`"),
            (r#"{"mediaType":"x","messageSignature":{},"verificationMaterial":{}}"#, "no `certificate`"),
            (r#"{"mediaType":"x","messageSignature":{},"verificationMaterial":{"certificate":{},"publicKey":{}}}"#, "both"),
            (r#"{"mediaType":"x","messageSignature":{},"verificationMaterial":{"certificate":{},"certificate":{}}}"#, "twice"),
        ] {
            let told = read(text.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        read(b"\xff").unwrap_err();
    }
}
