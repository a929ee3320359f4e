//! Network, trust and credentials → what every stage of a release talks to. It asks nobody yet.

use crate::github::network::Network;
use crate::registry::{Credentials, Registry, RegistryLine};
use crate::sigstore::Services;
use crate::sigstore::settled::SettledTrust;
use crate::sigstore::verifier::BundleVerifier;

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
        trust: &SettledTrust,
        annotations: &crate::sign::Annotations,
        credentials: &Credentials,
    ) -> anyhow::Result<Self> {
        let line = line(network)?;
        let http = line.http.clone();
        Ok(Self {
            registry: Registry::for_publishing(line, credentials.clone()),
            services: trust.services.clone(),
            verifier: trust.verifier()?,
            annotations: annotations.clone(),
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
