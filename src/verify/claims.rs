//! Who claims to have signed an image, for a person who knows only a part of the name. Nothing is checked here: a claim is where a check begins.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{BUNDLE_LIMIT, CONCURRENCY, Fetched, fetch, legacy};
use crate::error::OrRemedy as _;
use crate::image::ImageRef;
use crate::registry::Registry;
use crate::registry::legacy::Attached;
use crate::sigstore::verifier::claimed_signer;

/// Identity and issuer of every signer that bundles and older signatures of an image name, each once, in order.
pub async fn signers(registry: &Registry, image: &ImageRef) -> anyhow::Result<Vec<(String, String)>> {
    let (repository, subject) = (&image.repository, &image.digest);
    let referrers = registry.referrers(repository, subject).await.remedied()?;
    let bundles = referrers.iter().map(|referrer| async move {
        Ok(match fetch(registry, repository, subject, referrer).await? {
            Fetched::Bundle { bytes, .. } => claimed_signer(&bytes),
            Fetched::Refused(_) | Fetched::Unsupported(_) => None,
        })
    });
    let mut signers: Vec<Option<(String, String)>> =
        stream::iter(bundles).buffered(CONCURRENCY).try_collect::<Vec<_>>().await.map_err(|error: anyhow::Error| error)?;
    for layer in registry.legacy_layers(repository, subject, Attached::Signatures).await.remedied()? {
        if layer.size <= BUNDLE_LIMIT as u64
            && let Ok(bytes) = registry.blob(repository, &layer, BUNDLE_LIMIT).await
            && let Ok(bundle) = legacy::bundle(&bytes, &layer.annotations, false)
        {
            signers.push(claimed_signer(&bundle));
        }
    }
    let mut signers: Vec<(String, String)> = signers.into_iter().flatten().collect();
    signers.sort_unstable();
    signers.dedup();
    Ok(signers)
}
