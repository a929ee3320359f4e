//! The exact commands with which anybody checks what was published. Pure; the oracle tests run them as they stand.

use std::path::Path;

use crate::image::ImageRef;
use crate::publish::Published;
use crate::sigstore::verifier::Signer;
use crate::verify::policy::{CYCLONEDX, SLSA_PROVENANCE, SPDX};

/// One command and what it checks.
#[derive(Debug, Clone)]
pub struct Command {
    pub checks: String,
    pub text: String,
}

/// cosign's names for our predicate types.
fn cosign_type(predicate_type: &str) -> &str {
    match predicate_type {
        SPDX => "spdxjson",
        CYCLONEDX => "cyclonedx",
        SLSA_PROVENANCE => "slsaprovenance1",
        other => other,
    }
}

/// `cosign verify` and `verify-attestation` for each part of the first image. `trusted_root` is named where it is not the public one.
pub fn commands(published: &Published, trusted_root: Option<&Path>) -> Vec<Command> {
    let Some(image) = published.images.first() else { return Vec::new() };
    let signer = &published.evidence.signer;
    let mut commands = Vec::new();
    for subject in &published.evidence.subjects {
        let part = if subject.platform.is_none() { "the index".to_owned() } else { super::part_name(subject) };
        let target = image.repository.at(&subject.digest);
        commands.push(Command { checks: format!("signature of {part}"), text: cosign("verify", "", &target, signer, trusted_root) });
        let mut kinds: Vec<&str> = subject.attestations.iter().map(|statement| statement.predicate_type.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let kind = cosign_type(kind);
            let text = cosign("verify-attestation", &format!(" --type {}", quoted(kind)), &target, signer, trusted_root);
            commands.push(Command { checks: format!("{kind} of {part}"), text });
        }
    }
    commands
}

fn cosign(verb: &str, kind: &str, image: &ImageRef, signer: &Signer, trusted_root: Option<&Path>) -> String {
    let root = trusted_root.map(|path| format!(" --trusted-root {}", quoted(&path.display().to_string()))).unwrap_or_default();
    let http = if crate::registry::is_loopback(image.repository.registry()) { " --allow-http-registry" } else { "" };
    format!("cosign {verb}{kind} {}{root}{http} {image}", who(signer))
}

/// Who must have signed, as cosign's flags; a key is read from `KEY_FILE`.
pub(crate) fn who(signer: &Signer) -> String {
    match signer {
        Signer::Keyless { identity, issuer } => {
            format!("--certificate-identity {} --certificate-oidc-issuer {}", quoted(identity), quoted(issuer))
        }
        Signer::Key(_) => format!("--key {KEY_FILE}"),
    }
}

/// Where the commands look for the signer's public key.
pub(crate) const KEY_FILE: &str = "cosign.pub";

/// A word of a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@=+,%".contains(&byte));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("https://github.com/o/r@refs/heads/main"), "https://github.com/o/r@refs/heads/main");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
