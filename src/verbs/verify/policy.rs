//! The policy of a plan, of `promote` or `scan` → what `verify` is asked. The words are its own, so
//! that one policy means one thing. It reads no image.

use clap::Parser;

use super::arguments::VerifyArguments;
use crate::error::{Remedy as _, WithExit, exit};
use crate::github::RunContext;
use crate::inputs::PolicyTexts;
use crate::oci::Allowed;
use crate::sigstore::settled::SettledTrust;

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
pub(super) struct AskedPolicy {
    #[command(flatten)]
    pub(super) arguments: VerifyArguments,
}

/// What must be proven of an image. Where no signer is named, one of the workflows of the run's own
/// repository must have signed.
pub(in crate::verbs) fn named_signer(
    policy: &PolicyTexts,
    allowed: &Allowed,
    image: &str,
    trust: &SettledTrust,
    context: &RunContext,
) -> anyhow::Result<VerifyArguments> {
    let mut words = policy.options.clone();
    if !policy.names_signer {
        let Some(own) = &context.repository else {
            let message = "no signer is named, and this run has no repository whose workflows could be the \
                 signers";
            return Err(WithExit { code: exit::BAD_INPUT, message: message.to_owned() }).hint(
                "name the repository with `repo`, or the signer with `certificate-identity`",
            );
        };
        words.push(format!("--repo={}/{own}", context.server_url.trim_end_matches('/')));
    }
    if allowed.foreign_layers {
        words.push("--allow-foreign-layers".to_owned());
    }
    if let Some(root) = &trust.trusted_root.path {
        words.push(format!("--trusted-root={}", root.display()));
    }
    words.push(image.to_owned());
    let parsed = AskedPolicy::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = format!("the policy: {}", first.trim_start_matches("error: "));
        WithExit { code: exit::BAD_INPUT, message }
    })?;
    Ok(parsed.arguments)
}
