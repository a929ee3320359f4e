//! Secrets of a layer → which of them a package brought there, by the list of its files in the same
//! layer. It reads a layer again only where a secret would refuse the image, and takes no word of
//! a list in another layer: a file that was put there later is nobody's.

use std::collections::BTreeMap;

use super::{LayerOwners, LayerSearch};
use crate::sbom::SbomError;
use crate::sbom::catalog::Catalog;
use crate::sbom::layers::{Blob, LayerReading, collect};
use crate::secrets::excuses;
use crate::secrets::leak::{Confidence, Leak};

/// What packages of the layer bring is told alone.
pub(super) fn excuse(
    leaks: &mut [Leak],
    layer: &Blob,
    how: &LayerSearch<'_>,
    known: &mut LayerOwners,
) -> Result<(), SbomError> {
    let refuses = |leak: &&Leak| leak.confidence == Confidence::Verifiable && leak.path().is_some();
    if !leaks.iter().any(|leak| refuses(&leak)) {
        return Ok(());
    }
    if !known.contains_key(layer.name()) {
        known.insert(layer.name().to_owned(), of_layer(layer, how)?);
    }
    let Some(owners) = known.get(layer.name()) else { return Ok(()) };
    for leak in leaks.iter_mut() {
        let owner = leak.path().and_then(|path| owners.get(path));
        let excuse = owner.and_then(|owner| excuses::excuse(leak.path()?, Some(owner)));
        *leak = leak.clone().excused(excuse);
    }
    Ok(())
}

/// Of each file that a package brought, its name. A layer whose packages cannot be understood has
/// none.
fn of_layer(layer: &Blob, how: &LayerSearch<'_>) -> Result<BTreeMap<String, String>, SbomError> {
    let reading =
        LayerReading { files: true, diff_ids: false, ..LayerReading::of(how.blobs, how.threads) };
    let collected = match collect(&[vec![layer.clone()]], &reading) {
        Err(error @ (SbomError::UnreadableLayer { .. } | SbomError::BadLayer { .. })) => {
            return Err(error);
        }
        Err(_) => return Ok(BTreeMap::new()),
        Ok(collected) => collected,
    };
    let packages =
        collected.into_iter().flat_map(|collected| Catalog::from_collected(collected).packages);
    // Packages of languages may be the user's own, such as what `pip install .` makes.
    let installed = packages.filter(|listed| listed.package.ecosystem.is_distribution());
    Ok(installed
        .flat_map(|listed| {
            let name = listed.package.name;
            listed.files.into_iter().map(move |file| (file, name.clone()))
        })
        .collect())
}
