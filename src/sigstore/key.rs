//! A private key as cosign keeps it, encrypted under a password → a key that signs. It never tells
//! key or password, in an error neither.
//!
//! Format: <https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go>, <https://github.com/secure-systems-lab/go-securesystemslib>.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Deserialize;
use sigstore_crypto::KeyPair;
use sigstore_types::DerPublicKey;

use crate::image::Digest;

/// What cosign calls its keys in PEM, now and before version 2.
const LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
/// Others that a user may have taken for one.
const FOREIGN: [&str; 7] = [
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "EC PRIVATE KEY",
    "RSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "PUBLIC KEY",
    "CERTIFICATE",
];
/// cosign's own costs are 15 and 16; more than this takes a gigabyte.
const COSTS: std::ops::RangeInclusive<u8> = 10..=20;

/// A key of one's own, which signs in place of one that Fulcio certifies.
#[derive(Debug, Clone)]
pub struct SigningKey {
    pub(super) pair: Arc<KeyPair>,
    public: DerPublicKey,
}

/// Why a text is no key. No variant holds a part of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("it is not an encrypted key in PEM")]
    NotPem,
    #[error("it is a `{0}`, not a key that cosign encrypted")]
    Foreign(&'static str),
    #[error("it is damaged: the text between its first and last line is not what cosign writes")]
    Damaged,
    #[error("it is encrypted in a way that is not known here: {0} is not `{1}`")]
    Unknown(&'static str, &'static str),
    #[error("the password in `COSIGN_PASSWORD` does not decrypt it, or it is damaged")]
    Password,
    #[error(
        "it can be decrypted, but it is not an ECDSA P-256 key such as `cosign generate-key-pair` makes"
    )]
    Kind,
}

impl KeyError {
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotPem | Self::Damaged | Self::Unknown(..) | Self::Kind => {
                "make a key with `cosign generate-key-pair`, and give the whole text of `cosign.key`"
            }
            Self::Foreign(_) => {
                "encrypt it with `cosign import-key-pair --key FILE`, and give the text of `import-cosign.key`"
            }
            Self::Password => {
                "set `COSIGN_PASSWORD` to the password of this key; leave it out if the password is empty"
            }
        }
    }
}

/// What stands in the PEM text.
#[derive(Deserialize)]
struct Sealed {
    kdf: Derivation,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Derivation {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl SigningKey {
    /// Opens the text of a `cosign.key`.
    pub fn open(pem: &str, password: &str) -> Result<Self, KeyError> {
        let sealed: Sealed =
            serde_json::from_slice(&content(pem)?).map_err(|_| KeyError::Damaged)?;
        let pkcs8 = sealed.open(password)?;
        let pair = KeyPair::from_pkcs8_der(pkcs8.expose_secret()).map_err(|_| KeyError::Kind)?;
        let public = pair.public_key_der().map_err(|_| KeyError::Kind)?;
        Ok(Self { pair: Arc::new(pair), public })
    }

    pub fn public(&self) -> &DerPublicKey {
        &self.public
    }

    /// What the key is called: the SHA-256 of its public half, DER.
    pub fn name(&self) -> Digest {
        name(&self.public)
    }
}

/// What a public key is called.
pub fn name(public: &DerPublicKey) -> Digest {
    Digest::of(public.as_bytes())
}

/// The same name as bundles spell it.
pub(super) fn hint(public: &DerPublicKey) -> String {
    BASE64.encode(sigstore_crypto::sha256(public.as_bytes()).as_bytes())
}

/// PEM with the line ends of this system, as cosign and OpenSSL write it.
pub fn public_pem(public: &DerPublicKey) -> String {
    public.to_pem().replace("\r\n", "\n")
}

/// What a PEM text holds, if its label is cosign's.
fn content(pem: &str) -> Result<Vec<u8>, KeyError> {
    let body = |label: &str| {
        let after = pem.split_once(&format!("-----BEGIN {label}-----"))?.1;
        Some(
            after
                .split_once(&format!("-----END {label}-----"))
                .map(|(body, _)| body.split_whitespace().collect::<String>()),
        )
    };
    match LABELS.into_iter().find_map(body) {
        Some(Some(text)) => BASE64.decode(text).map_err(|_| KeyError::Damaged),
        Some(None) => Err(KeyError::Damaged),
        None => Err(FOREIGN
            .into_iter()
            .find(|label| body(label).is_some())
            .map_or(KeyError::NotPem, KeyError::Foreign)),
    }
}

impl Sealed {
    fn open(&self, password: &str) -> Result<SecretSlice<u8>, KeyError> {
        let bytes = |text: &str| BASE64.decode(text).map_err(|_| KeyError::Damaged);
        if self.kdf.name != "scrypt" {
            return Err(KeyError::Unknown("`kdf`", "scrypt"));
        }
        if self.cipher.name != "nacl/secretbox" {
            return Err(KeyError::Unknown("`cipher`", "nacl/secretbox"));
        }
        let Params { n, r, p } = self.kdf.params;
        let cost = u8::try_from(n.trailing_zeros()).map_err(|_| KeyError::Damaged)?;
        if !n.is_power_of_two() || !COSTS.contains(&cost) || r != 8 || p != 1 {
            return Err(KeyError::Unknown("its cost", "what cosign sets"));
        }
        let params = scrypt::Params::new(cost, r, p, 32).map_err(|_| KeyError::Damaged)?;
        let mut key = crypto_secretbox::Key::default();
        scrypt::scrypt(password.as_bytes(), &bytes(&self.kdf.salt)?, &params, &mut key)
            .map_err(|_| KeyError::Damaged)?;
        let nonce: [u8; 24] =
            bytes(&self.cipher.nonce)?.try_into().map_err(|_| KeyError::Damaged)?;
        let opened =
            XSalsa20Poly1305::new(&key).decrypt(&nonce.into(), bytes(&self.ciphertext)?.as_slice());
        opened.map(SecretSlice::from).map_err(|_| KeyError::Password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../tests/fixtures/keys/test.key");
    const PUBLIC: &str = include_str!("../../tests/fixtures/keys/test.pub");

    #[test]
    fn a_key_that_cosign_made_opens_and_is_the_one_of_its_public_half() {
        let key = SigningKey::open(KEY, "a test password").unwrap();
        assert_eq!(public_pem(key.public()), PUBLIC);
        SigningKey::open(include_str!("../../tests/fixtures/keys/other.key"), "").unwrap();
        let older = KEY.replace("SIGSTORE", "COSIGN").replace('\n', "\r\n");
        assert_eq!(SigningKey::open(&older, "a test password").unwrap().public(), key.public());
    }

    #[test]
    fn what_is_no_key_is_said_without_telling_it() {
        let changed = |from: &str, to: &str| {
            let json = String::from_utf8(content(KEY).unwrap()).unwrap();
            assert!(json.contains(from), "{json}");
            format!(
                "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n",
                LABELS[0],
                BASE64.encode(json.replace(from, to))
            )
        };
        for (text, why) in [
            (KEY.to_owned(), "`COSIGN_PASSWORD` does not decrypt it"),
            (String::new(), "not an encrypted key in PEM"),
            ("s3cr3t".to_owned(), "not an encrypted key in PEM"),
            (PUBLIC.to_owned(), "it is a `PUBLIC KEY`"),
            (KEY.replace("ENCRYPTED SIGSTORE ", ""), "it is a `PRIVATE KEY`"),
            (KEY[..KEY.len() / 2].to_owned(), "damaged"),
            (KEY.replace("eyJ", "e!J"), "damaged"),
            (changed("\"scrypt\"", "\"argon2\""), "`kdf` is not `scrypt`"),
            (changed("nacl/secretbox", "aes"), "`cipher` is not"),
            (changed("65536", "1073741824"), "its cost is not"),
            (changed("65536", "0"), "its cost is not"),
            (changed("65536", "65537"), "its cost is not"),
            (changed("\"nonce\":\"A", "\"nonce\":\""), "damaged"),
        ] {
            let error = SigningKey::open(&text, "s3cr3t").unwrap_err();
            let told = format!("{error} {error:?} {}", error.remedy());
            assert!(told.contains(why), "{why}: {told}");
            assert!(!told.contains("s3cr3t") && !told.contains("eyJ"), "{told}");
        }
    }
}
