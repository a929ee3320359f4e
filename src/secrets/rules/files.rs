//! Rows for keys and logins that lie in files of their own. It reads nothing.

use super::{Form, Proof, SecretRule, row, token};
use crate::secrets::{keys, proofs};

/// Its lines in their order, so that no part runs into the next file.
const PUTTY: &str = concat!(
    r"PuTTY-User-Key-File-[123]: [a-z0-9-]{5,40}(?:\\[rn]|\s){1,4}Encryption: none(?:\\[rn]|\s){1,4}",
    r"Comment: [^\r\n\\]{0,200}(?:\\[rn]|\s){1,4}",
    r"Public-Lines: [0-9]{1,4}[0-9A-Za-z+/=\\\s]{1,}Private-Lines: [0-9]{1,4}(?:\\[rn]|\s){1,4}([0-9A-Za-z+/=\\\s]{20,})",
);

pub(super) const ROWS: &[SecretRule] = &[
    row(
        "google-service-account",
        "key of a Google service account",
        &["\"private_key\"", "private_key\\\""],
        Form::Read(keys::of_service_account),
        Proof::Context(proofs::is_service_account),
    )
    .loose(),
    row("private-key", "private key", &["-----BEGIN "], Form::Read(keys::plain), Proof::Form)
        .loose(),
    row(
        "private-key-encrypted",
        "private key behind a passphrase",
        &["-----BEGIN "],
        Form::Read(keys::encrypted),
        Proof::Form,
    )
    .loose()
    .told(),
    row(
        "private-key-base64",
        "private key in base64",
        &["LS0tLS1CRUdJTi"],
        Form::Read(keys::wrapped),
        Proof::Form,
    ),
    token("putty-key", "PuTTY private key", &["PuTTY-User-Key-File-"], PUTTY).loose(),
    token(
        "putty-key-encrypted",
        "PuTTY private key behind a passphrase",
        &["PuTTY-User-Key-File-"],
        r"PuTTY-User-Key-File-[123]: [a-z0-9-]{5,40}(?:\\[rn]|\s){1,4}Encryption: aes256-cbc",
    )
    .proved(Proof::Form)
    .loose()
    .told(),
    token(
        "age-key",
        "age private key",
        &["AGE-SECRET-KEY-1"],
        r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}",
    )
    .proved(Proof::Checksum(proofs::is_bech32)),
    token(
        "wireguard-key",
        "WireGuard private key",
        &["PrivateKey"],
        r"PrivateKey\s{0,4}=\s{0,4}([0-9A-Za-z+/]{43}=)",
    )
    .proved(Proof::Context(proofs::is_wireguard)),
    token(
        "registry-login",
        "login at a registry of images",
        &["\"auth\"", "\\\"auth\\\""],
        r#"\\?"auth\\?"\s{0,8}:\s{0,8}\\?"([0-9A-Za-z+/]{8,}={0,2})"#,
    )
    .proved(Proof::Context(proofs::is_registry_login))
    .guessable()
    .loose(),
    token(
        "pypirc-password",
        "password in .pypirc",
        &["password"],
        r"password\s{0,4}[=:]\s{0,4}(\S{8,400})",
    )
    .proved(Proof::Entropy(2.5))
    .only_in(&[".pypirc"])
    .guessable(),
    token(
        "netrc-password",
        "password in .netrc",
        &["machine "],
        r"machine\s{1,8}\S{1,255}\s{1,8}login\s{1,8}\S{1,255}\s{1,8}password\s{1,8}(\S{8,1000})",
    )
    .proved(Proof::Entropy(2.5))
    .only_in(&["/.netrc", "/_netrc"])
    .guessable(),
    token(
        "git-credentials",
        "password that Git stores",
        &["://"],
        r"://[^\s:@/]{1,100}:([^\s:@/]{8,400})@[0-9A-Za-z.-]{1,}",
    )
    .proved(Proof::Entropy(2.5))
    .only_in(&["/.git-credentials"])
    .guessable()
    .loose(),
    token(
        "jwt",
        "JSON web token",
        &["eyJ"],
        r"eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}",
    )
    .proved(Proof::Structure(proofs::is_jwt))
    .told(),
];
