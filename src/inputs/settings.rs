//! Inputs → what stages are given as the user gave it, once a plan is made. It holds nothing that a
//! plan decides by.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{AutoSwitch, BuilderInputs, Inputs, LoginInputs, Separators};
use crate::github::network::Network;
use crate::sign::Annotations;
use crate::sigstore::key::SigningKey;

/// With what a run does its plan: no decision is left in it.
#[derive(Debug)]
pub struct RunSettings {
    pub builder: BuilderInputs,
    pub logins: LoginInputs,
    pub network: Network,
    /// The key that signs in place of one that Fulcio certifies.
    pub signing_key: Option<SigningKey>,
    /// What signatures say beside their subject.
    pub signature_annotations: Annotations,
    pub github_attestations: AutoSwitch,
    pub sbom_cache: Option<PathBuf>,
    pub sbom_cache_key: Option<SecretString>,
    /// A folder for files of what was published: evidence, bundles, SBOMs, provenances.
    pub evidence_dir: Option<PathBuf>,
    /// A file for the findings of a scan.
    pub sarif_file: Option<PathBuf>,
    pub separators: Separators,
    /// The target whose files for bake are written.
    pub bake_target: Option<String>,
}

impl Inputs {
    /// Ends the time of inputs: behind a plan nobody reads one.
    pub fn into_settings(self) -> RunSettings {
        RunSettings {
            builder: self.builder,
            logins: self.logins,
            network: self.network,
            signing_key: self.signing.signing_key,
            signature_annotations: self.signing.signature_annotations,
            github_attestations: self.signing.github_attestations,
            sbom_cache: self.sboms.sbom_cache,
            sbom_cache_key: self.sboms.sbom_cache_key,
            evidence_dir: self.evidence_dir,
            sarif_file: self.scan.sarif_file,
            separators: self.names.separators,
            bake_target: self.names.bake_target,
        }
    }
}
