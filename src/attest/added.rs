//! Statements about an image that others signed → signed and attached beside theirs. It signs no
//! image, and takes nothing away.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Draft, append, counted, legacy_layers, open, seal};
use crate::error::OrRemedy as _;
use crate::evidence::EvidenceFormat;
use crate::image::Repository;
use crate::registry::Registry;
use crate::sign::{CONCURRENCY, attach_everywhere, staged};
use crate::sigstore::session::Session;

/// Signs every draft, and attaches it in these formats to its subject, which is there and signed.
pub async fn add(
    registry: &Registry,
    session: &Session,
    repository: &Repository,
    formats: &[EvidenceFormat],
    now: jiff::Timestamp,
    drafts: Vec<Draft>,
) -> anyhow::Result<()> {
    let repositories = std::slice::from_ref(repository);
    registry.stage_empty_config(repository).await.remedied()?;
    let expected = counted(&drafts);
    let sealed = seal(registry, session, repositories, drafts, now).await?;
    if formats.contains(&EvidenceFormat::Bundle) {
        let attached = sealed.iter().map(|(draft, sealed)| async move {
            staged(registry, sealed).await?;
            attach_everywhere(registry, repositories, &draft.subject, &sealed.artifact).await
        });
        let attached: anyhow::Result<Vec<()>> =
            stream::iter(attached).buffer_unordered(CONCURRENCY).try_collect().await;
        // Also after a failure, so that a rerun finds what is there.
        let listed = registry.list_all_attached().await.remedied();
        attached?;
        listed?;
    }
    if formats.contains(&EvidenceFormat::Legacy) {
        let opened = open(registry, repositories, expected).await?;
        append(registry, opened, &legacy_layers(&sealed)?).await?;
    }
    Ok(())
}
