//! Makes X.509 certificates for the sandbox's authorities and reads two fields of others'; it never
//! decides whether a chain is valid.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::SandboxError;
use super::der::{self, MalformedDer};
use super::keys::{self, LogKey};

pub(super) const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";
pub(super) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(super) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3650);

/// Bits of KeyUsage as they stand in its BIT STRING (unused-bit count, bits).
const CERT_AND_CRL_SIGN: [u8; 2] = [1, 0x06];
const DIGITAL_SIGNATURE: [u8; 2] = [7, 0x80];

pub(super) struct CertificateContents<'a> {
    pub(super) serial: Vec<u8>,
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) public_der: &'a [u8],
    pub(super) extensions: Vec<Vec<u8>>,
}

impl CertificateContents<'_> {
    pub(super) fn to_be_signed(&self) -> Vec<u8> {
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        der::sequence(&[
            &der::context(0, &[&der::unsigned(&[2])]),
            &der::unsigned(&self.serial),
            &signature_algorithm(),
            self.issuer,
            &der::sequence(&[
                &der::validity_time(self.not_before),
                &der::validity_time(self.not_after),
            ]),
            self.subject,
            self.public_der,
            &der::context(3, &[&der::sequence(&extensions)]),
        ])
    }

    pub(super) fn signed_by(&self, key: &LogKey) -> Result<Vec<u8>, SandboxError> {
        let to_be_signed = self.to_be_signed();
        let signature = key.sign(&to_be_signed)?;
        Ok(der::sequence(&[&to_be_signed, &signature_algorithm(), &der::bits(&signature)]))
    }
}

/// A kept chain of three, all keys P-256: self-signed root, intermediate, and (for the timestamp
/// service) a leaf.
pub(super) struct SandboxAuthority {
    pub(super) key: LogKey,
    pub(super) subject: Vec<u8>,
    /// Issuing certificate first, root last.
    pub(super) chain: Vec<Vec<u8>>,
}

impl SandboxAuthority {
    /// A root and an intermediate that issues for `purpose`.
    pub(super) fn kept_in(dir: &Path, label: &str, purpose: &str) -> Result<Self, SandboxError> {
        let root_key = LogKey::kept_at(&dir.join(format!("{label}-root.p8")))?;
        let root_subject = name("sandbox.local", &format!("{label} root"));
        let root = keys::kept(&dir.join(format!("{label}-root.der")), || {
            authority_contents(
                &root_subject,
                &root_subject,
                root_key.public_der(),
                &root_key,
                None,
                1,
            )?
            .signed_by(&root_key)
        })?;
        let key = LogKey::kept_at(&dir.join(format!("{label}-intermediate.p8")))?;
        let subject = name("sandbox.local", &format!("{label} intermediate"));
        let certificate = keys::kept(&dir.join(format!("{label}-intermediate.der")), || {
            authority_contents(
                &root_subject,
                &subject,
                key.public_der(),
                &root_key,
                Some(purpose),
                0,
            )?
            .signed_by(&root_key)
        })?;
        Ok(Self { key, subject, chain: vec![certificate, root] })
    }

    /// The kept timestamping leaf under this authority: its key and certificate.
    pub(super) fn timestamp_leaf(
        &self,
        dir: &Path,
        label: &str,
    ) -> Result<(LogKey, Vec<u8>), SandboxError> {
        let key = LogKey::kept_at(&dir.join(format!("{label}-leaf.p8")))?;
        let certificate = keys::kept(&dir.join(format!("{label}-leaf.der")), || {
            let now = Timestamp::now();
            CertificateContents {
                serial: serial()?,
                issuer: &self.subject,
                subject: &name("sandbox.local", &format!("{label} leaf")),
                not_before: now - HOUR,
                not_after: now + TEN_YEARS,
                public_der: key.public_der(),
                extensions: vec![
                    key_usage(DIGITAL_SIGNATURE),
                    extended_key_usage(TIME_STAMPING, true),
                    subject_key_identifier(key.public_der()),
                    authority_key_identifier(self.key.public_der()),
                ],
            }
            .signed_by(&self.key)
        })?;
        Ok((key, certificate))
    }
}

fn authority_contents<'a>(
    issuer: &'a [u8],
    subject: &'a [u8],
    public_der: &'a [u8],
    issuer_key: &LogKey,
    purpose: Option<&str>,
    path_length: u8,
) -> Result<CertificateContents<'a>, SandboxError> {
    let now = Timestamp::now();
    let constraints = der::sequence(&[&der::truth(), &der::unsigned(&[path_length])]);
    let mut extensions = vec![
        key_usage(CERT_AND_CRL_SIGN),
        extension("2.5.29.19", true, &constraints),
        subject_key_identifier(public_der),
        authority_key_identifier(issuer_key.public_der()),
    ];
    extensions.extend(purpose.map(|purpose| extended_key_usage(purpose, false)));
    Ok(CertificateContents {
        serial: serial()?,
        issuer,
        subject,
        not_before: now - HOUR,
        not_after: now + TEN_YEARS,
        public_der,
        extensions,
    })
}

pub(super) fn signature_algorithm() -> Vec<u8> {
    der::sequence(&[&der::oid(ECDSA_WITH_SHA256)])
}

pub(super) fn serial() -> Result<Vec<u8>, SandboxError> {
    let mut bytes = [0u8; 20];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| SandboxError::Crypto { what: "a serial number" })?;
    // RFC 5280 §4.1.2.2: positive and at most 20 octets, so the top bit is clear.
    bytes[0] = (bytes[0] & 0x7f) | 0x01;
    Ok(bytes.to_vec())
}

pub(super) fn name(organization: &str, common_name: &str) -> Vec<u8> {
    let attribute = |oid: &str, value: &str| {
        der::set_of(vec![der::sequence(&[&der::oid(oid), &der::utf8(value)])])
    };
    der::sequence(&[&attribute("2.5.4.10", organization), &attribute("2.5.4.3", common_name)])
}

pub(super) fn extension(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { der::truth() } else { Vec::new() };
    der::sequence(&[&der::oid(oid), &flag, &der::octets(value)])
}

fn key_usage(bits: [u8; 2]) -> Vec<u8> {
    extension("2.5.29.15", true, &der::element(der::BIT_STRING, &[&bits]))
}

pub(super) fn digital_signature() -> Vec<u8> {
    key_usage(DIGITAL_SIGNATURE)
}

pub(super) fn extended_key_usage(purpose: &str, critical: bool) -> Vec<u8> {
    extension("2.5.29.37", critical, &der::sequence(&[&der::oid(purpose)]))
}

pub(super) fn subject_key_identifier(public_der: &[u8]) -> Vec<u8> {
    extension("2.5.29.14", false, &der::octets(&keys::sha256(public_der)[..20]))
}

pub(super) fn authority_key_identifier(public_der: &[u8]) -> Vec<u8> {
    let identifier = der::implicit(0, &keys::sha256(public_der)[..20]);
    extension("2.5.29.35", false, &der::sequence(&[&identifier]))
}

/// What the sandbox reads of a certificate.
pub(super) struct Fields {
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) not_before: Timestamp,
    pub(super) public_der: Vec<u8>,
}

pub(super) fn fields(certificate: &[u8]) -> Result<Fields, MalformedDer> {
    let mut contents = der::only_sequence(certificate)?.expect(der::SEQUENCE)?.reader();
    contents.optional(0xa0)?;
    let serial = contents.expect(der::INTEGER)?.content.to_vec();
    contents.expect(der::SEQUENCE)?;
    let issuer = contents.expect(der::SEQUENCE)?.whole.to_vec();
    let not_before = contents.expect(der::SEQUENCE)?.reader().any()?.time()?;
    contents.expect(der::SEQUENCE)?;
    let public_der = contents.expect(der::SEQUENCE)?.whole.to_vec();
    Ok(Fields { serial, issuer, not_before, public_der })
}

/// The key a PEM certificate or a PEM public key holds, and the block again in canonical form.
pub(super) fn verifier(text: &str) -> Option<(Vec<u8>, String)> {
    let (label, bytes) = keys::first_pem_block(text)?;
    let public_der = match label.as_str() {
        "CERTIFICATE" => fields(&bytes).ok()?.public_der,
        "PUBLIC KEY" => bytes.clone(),
        _ => return None,
    };
    Some((public_der, keys::pem(&label, &bytes)))
}
