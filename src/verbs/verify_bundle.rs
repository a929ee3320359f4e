//! `supply-action verify-bundle`: whether a Sigstore bundle stands for an artifact, by the client
//! protocol of sigstore-conformance. It works offline and never believes what the bundle says of
//! itself.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::json;
use sigstore_types::DerPublicKey;

use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::report::Report;
use crate::sigstore::artifact::{ArtifactError, CheckedBundle, Identity, SignedArtifact, Trusted};
use crate::sigstore::verifier::BundleVerifier;
use crate::sigstore::{load_trusted_root, staging_trusted_root};

/// Arguments of `supply-action verify-bundle`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("signer").required(true), after_help = EXAMPLES)]
pub struct VerifyBundleArguments {
    /// The bundle, version 0.1 to 0.3; in a .jsonl file of several, one must hold
    #[arg(long, value_name = "FILE")]
    pub bundle: PathBuf,
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// The exact identity that must have signed: an e-mail address, or a workflow as
    /// https://github.com/OWNER/REPO/PATH@REF
    #[arg(long, value_name = "ID", group = "signer", requires = "issuer")]
    pub certificate_identity: Option<String>,
    /// As --certificate-identity, but a regular expression for the whole identity (it becomes
    /// ^(?:…)$)
    #[arg(long, value_name = "REGEX", group = "signer", requires = "issuer")]
    pub certificate_identity_regexp: Option<String>,
    /// The exact OIDC issuer that must have vouched for the signer; empty for a certificate that
    /// names no issuer
    #[arg(
        long = "certificate-oidc-issuer",
        id = "issuer",
        value_name = "URL",
        conflicts_with = "key"
    )]
    pub certificate_oidc_issuer: Option<String>,
    /// The signer's public key in PEM, for a bundle without a certificate
    #[arg(long, value_name = "PEM_FILE", group = "signer")]
    pub key: Option<PathBuf>,
    /// Sigstore trusted root (JSON); by default the public-good root that is built into this
    /// program
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// Trust Sigstore's staging instance, with the root that is built into this program
    #[arg(long, conflicts_with = "trusted_root")]
    pub staging: bool,
    /// Print what was checked as JSON, for machines
    #[arg(long)]
    pub json: bool,
    /// What must have been signed: a file, or a digest such as sha256:… (an image's, a statement's
    /// subject)
    #[arg(value_name = "FILE_OR_DIGEST")]
    pub artifact: String,
}

const EXAMPLES: &str =
    "It checks the signature, the certificate and its log (SCT), the entry in the transparency log, the time, the signer, and that the
bundle is about this artifact. Log entries are required if the trusted root lists a log.

A release of this repository:
  supply-action verify-bundle --bundle app.sigstore.json --certificate-identity \\
    https://github.com/octo/app/.github/workflows/release.yml@refs/tags/v1.2.3 \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com app.tar.gz

Exit codes: 0 it holds, 1 it does not, 2 the arguments are wrong";

pub fn run(arguments: &VerifyBundleArguments, report: &Report) -> anyhow::Result<()> {
    let trusted = trusted(arguments)?;
    let artifact: SignedArtifact = arguments.artifact.parse()?;
    let checked = check(arguments, &artifact, &trusted)
        .with_context(|| format!("`{artifact}` is not verified"))?;
    if arguments.json {
        let mut told = serde_json::to_value(&checked)?;
        told["verified"] = json!(true);
        told["artifact"] = json!(artifact.to_string());
        report.json(&told.to_string());
    } else {
        report.answer(&[line(&artifact, &checked)]);
    }
    Ok(())
}

fn check(
    arguments: &VerifyBundleArguments,
    artifact: &SignedArtifact,
    trusted: &Trusted,
) -> anyhow::Result<CheckedBundle> {
    let root = if arguments.staging {
        staging_trusted_root()
    } else {
        load_trusted_root(arguments.trusted_root.as_deref())
    }?;
    let verifier = BundleVerifier::new(&root)?;
    let shown = arguments.bundle.display();
    let text = std::fs::read(&arguments.bundle)
        .with_context(|| format!("bundle `{shown}` cannot be read"))?;
    let mut refused = None;
    for bundle in bundles(&text, &arguments.bundle) {
        match verifier.check_artifact(bundle, artifact, trusted) {
            Ok(checked) => return Ok(checked),
            // Of a file of several, the refusal of a bundle that is about this artifact says more
            // than that another is not.
            Err(error) => {
                if matches!(refused, None | Some(ArtifactError::Artifact { .. })) {
                    refused = Some(error);
                }
            }
        }
    }
    Err(refused.unwrap_or_else(|| ArtifactError::Unreadable("the file is empty".to_owned())))
        .remedied()
        .with_context(|| format!("bundle `{shown}`"))
}

/// A `.jsonl` file holds a bundle a line, as `gh attestation download` writes them; any other file
/// is one bundle.
fn bundles<'a>(text: &'a [u8], path: &Path) -> Vec<&'a [u8]> {
    if path.extension().is_some_and(|kind| kind == "jsonl") {
        text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect()
    } else {
        vec![text]
    }
}

fn trusted(arguments: &VerifyBundleArguments) -> anyhow::Result<Trusted> {
    if let Some(file) = &arguments.key {
        return public_key(file).map(Trusted::Key);
    }
    let identity = match (&arguments.certificate_identity, &arguments.certificate_identity_regexp) {
        (Some(exact), _) => Identity::Exact(exact.clone()),
        (None, pattern) => {
            let pattern = pattern.as_deref().unwrap_or_default();
            Identity::pattern(pattern).map_err(|error| WithExit {
                code: exit::BAD_INPUT,
                message: format!("nothing was verified: --certificate-identity-regexp `{pattern}` is not a pattern: {error}"),
            })?
        }
    };
    Ok(Trusted::Signer {
        identity,
        issuer: arguments.certificate_oidc_issuer.clone().unwrap_or_default(),
    })
}

/// Reads a public key in PEM.
pub(super) fn public_key(file: &Path) -> anyhow::Result<DerPublicKey> {
    let shown = file.display();
    let pem = std::fs::read_to_string(file)
        .with_context(|| format!("nothing was verified: key `{shown}` cannot be read"))?;
    DerPublicKey::from_pem(&pem)
        .with_context(|| format!("nothing was verified: `{shown}` is not a public key in PEM"))
        .hint("a public key file begins with -----BEGIN PUBLIC KEY-----; `cosign public-key` and `openssl pkey -pubout` write one")
}

fn line(artifact: &SignedArtifact, checked: &CheckedBundle) -> String {
    let signer = match (&checked.key, &checked.identity, &checked.issuer) {
        (Some(key), ..) => format!("key {key}"),
        (None, Some(identity), Some(issuer)) => format!("{identity} ({issuer})"),
        (None, identity, _) => identity.clone().unwrap_or_default(),
    };
    let said = checked
        .predicate_type
        .as_ref()
        .map(|kind| format!(", statement {kind}"))
        .unwrap_or_default();
    let time = checked.signed_at.first().map(|time| format!(", at {time}")).unwrap_or_default();
    format!(
        "verified: {artifact}, signed by {signer}{time}{said}; checked: signature, artifact, {}",
        checked.checked.join(", ")
    )
}
