//! The files of trust → which services a run uses and whom it believes, read once before the plan is
//! said. It fetches nothing.

use std::path::PathBuf;

use sigstore_trust_root::TrustedRoot;

use super::verifier::BundleVerifier;
use super::{Services, load_trusted_root};

/// A file that says whom to believe, or where to sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustFile {
    /// `None`: the public-good instance's, which is part of this program.
    pub path: Option<PathBuf>,
    /// The TUF repository that it was fetched from; `None` where the user gave it.
    pub mirror: Option<String>,
}

impl TrustFile {
    /// Where it is from, for people and machines.
    pub fn origin(&self) -> String {
        match (&self.path, &self.mirror) {
            (None, _) => "Sigstore's public-good instance, built in".to_owned(),
            (Some(_), Some(mirror)) => format!("fetched from {mirror}"),
            (Some(path), None) => path.display().to_string(),
        }
    }
}

/// Whom a run believes, and where it signs.
#[derive(Debug)]
pub struct SettledTrust {
    pub trusted_root: TrustFile,
    pub signing_config: TrustFile,
    pub services: Services,
    root: TrustedRoot,
}

impl SettledTrust {
    /// Reads the files. `by_key`: a key of one's own signs, so no certificate is needed.
    pub fn read(
        trusted_root: TrustFile,
        signing_config: TrustFile,
        by_key: bool,
    ) -> anyhow::Result<Self> {
        let root = load_trusted_root(trusted_root.path.as_deref())?;
        let services = match by_key {
            false => Services::load(signing_config.path.as_deref())?,
            true => Services::load_for_key(signing_config.path.as_deref())?,
        };
        Ok(Self { trusted_root, signing_config, services, root })
    }

    pub fn verifier(&self) -> anyhow::Result<BundleVerifier> {
        BundleVerifier::new(&self.root)
    }

    /// Whether a log is named that the older format can be kept with: it has no place for a
    /// timestamp, nor for an entry of a later log.
    pub fn makes_legacy(&self) -> bool {
        self.services.rekor.as_ref().is_some_and(|rekor| rekor.version == 1)
    }
}
