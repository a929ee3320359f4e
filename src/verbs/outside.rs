//! Network, trust and credentials → what every stage of a release talks to. It asks nobody yet.

use crate::github::network::Network;
use crate::inputs::{SigningInputs, TrustInputs};
use crate::registry::{Credentials, Registry, RegistryLine};
use crate::sigstore::verifier::BundleVerifier;
use crate::sigstore::{self, Services};

/// What every stage of a release talks to.
pub struct Outside {
    pub(super) http: reqwest::Client,
    pub(super) registry: Registry,
    pub(super) services: Services,
    pub(super) verifier: BundleVerifier,
    /// What signatures say beside their subject.
    pub(super) annotations: crate::sign::Annotations,
}

impl Outside {
    pub fn new(
        network: &Network,
        trust: &TrustInputs,
        signing: &SigningInputs,
        credentials: &Credentials,
    ) -> anyhow::Result<Self> {
        let line = line(network)?;
        let http = line.http.clone();
        let root = sigstore::load_trusted_root(trust.trusted_root.as_deref())?;
        Ok(Self {
            registry: Registry::for_publishing(line, credentials.clone()),
            services: match &signing.signing_key {
                None => Services::load(trust.signing_config.as_deref())?,
                Some(_) => Services::load_for_key(trust.signing_config.as_deref())?,
            },
            verifier: BundleVerifier::new(&root)?,
            annotations: signing.signature_annotations.clone(),
            http,
        })
    }
}

/// What registries are reached by.
pub(super) fn line(network: &Network) -> anyhow::Result<RegistryLine> {
    Ok(RegistryLine {
        http: network.client()?,
        without_redirects: Some(network.client_without_redirects()?),
        plain: network.plain.clone(),
    })
}
