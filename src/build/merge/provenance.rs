//! The provenances that came with the image of a platform → whether they say what the run may
//! publish, while nothing is merged or signed yet. It reads no SBOM.

use anyhow::Context as _;
use futures_util::future::join_all;

use super::PREDICATE_TYPE;
use crate::error::OrRemedy as _;
use crate::evidence::is_slsa_provenance;
use crate::image::Repository;
use crate::oci::entries::ImageEntry;
use crate::provenance::{BuildAsked, BuildStatement, Provenance, ProvenanceTerms, SourceOrigin};
use crate::registry::Registry;
use crate::registry::manifest::Descriptor;
use crate::sigstore::IN_TOTO;

/// BuildKit itself makes none that is larger.
const LIMIT: usize = 40 << 20;

/// Checks the provenances in a manifest of attestations; whether all name the commit of this run.
pub(super) async fn check(
    registry: &Registry,
    repository: &Repository,
    layers: &[Descriptor],
    of: &ImageEntry,
    terms: &ProvenanceTerms,
) -> anyhow::Result<bool> {
    let told = |layer: &&Descriptor| {
        layer.annotations.get(PREDICATE_TYPE).is_some_and(|kind| is_slsa_provenance(kind))
    };
    let layers = layers.iter().filter(|layer| layer.media_type == IN_TOTO).filter(told);
    let read = layers.map(async |layer| {
        let bytes = registry.blob(repository, layer, LIMIT).await.remedied()?;
        let (target, image) = (&of.target, of.descriptor.digest.short());
        of_run(&bytes, terms).with_context(|| {
            format!("the provenance that came with `{target}` (`{image}`) is not accepted")
        })
    });
    // The first in their order, whichever answer comes first.
    let read = join_all(read).await.into_iter().collect::<anyhow::Result<Vec<bool>>>()?;
    Ok(!read.is_empty() && read.into_iter().all(|is_of_run| is_of_run))
}

fn of_run(bytes: &[u8], terms: &ProvenanceTerms) -> anyhow::Result<bool> {
    let statement = BuildStatement::read(bytes)?;
    let provenance = Provenance::read(&statement.predicate_type, statement.predicate)?;
    terms.check(&provenance)?;
    let strictest = ProvenanceTerms { asked: BuildAsked::OfThisRun, run: terms.run.clone() };
    Ok(strictest.check(&provenance).is_ok_and(|verdict| verdict.origin == SourceOrigin::Run))
}
