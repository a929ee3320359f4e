//! Who claims to have signed an image, for a person who knows only a part of the name. Nothing is checked here: a claim is
//! where a check begins. It reads no more than the check does.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::collect::{Fetched, fetch};
use super::{CONCURRENCY, legacy};
use crate::error::OrRemedy as _;
use crate::image::ImageRef;
use crate::registry::Registry;
use crate::registry::legacy::Attached;
use crate::sigstore::verifier::{claimed_by, claimed_signer};

/// Identity and issuer of every signer that bundles and layers of the older format name, each once, in order.
pub async fn signers(registry: &Registry, image: &ImageRef) -> anyhow::Result<Vec<(String, String)>> {
    let (repository, subject) = (&image.repository, &image.digest);
    let referrers = registry.referrers(repository, subject).await.remedied()?;
    let bundles = referrers.iter().map(|referrer| async move {
        anyhow::Ok(match fetch(registry, repository, subject, referrer).await? {
            Fetched::Bundle { bytes, .. } => claimed_signer(&bytes),
            Fetched::Refused(_) | Fetched::Unsupported(_) => None,
        })
    });
    let mut signers: Vec<(String, String)> =
        stream::iter(bundles).buffered(CONCURRENCY).try_filter_map(async |signer| Ok(signer)).try_collect().await?;
    let (signatures, attestations) = futures_util::try_join!(
        registry.legacy_layers(repository, subject, Attached::Signatures),
        registry.legacy_layers(repository, subject, Attached::Attestations),
    )
    .remedied()?;
    // The certificate stands beside the layer, which need not be fetched.
    let certificates = signatures.iter().chain(&attestations).filter_map(|layer| legacy::certificate(&layer.annotations));
    signers.extend(certificates.filter_map(|certificate| claimed_by(&certificate)));
    signers.sort_unstable();
    signers.dedup();
    Ok(signers)
}
