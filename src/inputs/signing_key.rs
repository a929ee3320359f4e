//! `COSIGN_PRIVATE_KEY` and `COSIGN_PASSWORD` → the key that signs, as cosign reads them. It never
//! tells either, nor the name of a file.

use secrecy::{ExposeSecret as _, SecretString};

use super::InputProblems;
use crate::environment::Environment;
use crate::sigstore::key::SigningKey;

/// The text of a key, or the name of a file that holds it.
pub const KEY: &str = "COSIGN_PRIVATE_KEY";
/// May be empty.
pub const PASSWORD: &str = "COSIGN_PASSWORD";

/// The key, if one is given. An empty variable is none: a workflow sets a secret that does not
/// exist to "".
pub(super) fn signing_key(env: &Environment, problems: &mut InputProblems) -> Option<SigningKey> {
    let given = env.get(KEY).map(|text| text.trim()).filter(|text| !text.is_empty())?;
    let pem = if given.contains("-----BEGIN ") {
        SecretString::from(given)
    } else {
        // The name is not told: it may be a key that lost its first line.
        match std::fs::read_to_string(given) {
            Ok(text) => SecretString::from(text),
            Err(_) => {
                problems.variable(
                    KEY,
                    "it is neither an encrypted key in PEM nor the name of a file that can be read",
                );
                return None;
            }
        }
    };
    let password = env.get(PASSWORD).map(String::as_str).unwrap_or_default();
    SigningKey::open(pem.expose_secret(), password)
        .map_err(|error| problems.variable(KEY, format_args!("{error}; {}", error.remedy())))
        .ok()
}
