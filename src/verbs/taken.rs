//! Names of one version → whether they are taken by an image that no run of this commit published. It
//! takes no image for ours that does not verify.

use super::outside::Outside;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::image::ImageRef;
use crate::page::RefusalPage;
use crate::plan::PublishTarget;
use crate::preflight;
use crate::problems::Problems;
use crate::publish::Baseline;
use crate::verify;
use crate::verify::policy::EvidencePolicy;
use crate::verify::signer::SignerPolicy;

/// A full version names one image for ever: refuses when it names one that no run of this commit
/// published.
pub(super) async fn taken_versions(
    outside: &Outside,
    context: &RunContext,
    signer: &SignerPolicy,
    targets: &[PublishTarget],
    baseline: &Baseline,
) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    for target in targets {
        let policy =
            EvidencePolicy { signer: signer.clone(), requirements: target.requirements.clone() };
        for name in target.names.iter().filter(|name| preflight::is_immutable(&name.tag)) {
            let Some(image) = baseline.taken(name) else { continue };
            if !is_of_this_commit(outside, context, &policy, &image).await {
                let taken = anyhow::anyhow!(
                    "`{name}` already exists: it points to `{}`, which no run of this commit published",
                    image.digest
                );
                problems.take(
                    Err::<(), _>(taken)
                        .hint("publish under a new version, or set `on-tag-conflict: overwrite`")
                        .see(RefusalPage::VersionExistsAlready),
                );
            }
        }
    }
    problems.into_result()
}

/// Whether an image carries our evidence, as whichever version of this program left it, with a
/// provenance of this very commit.
pub(super) async fn is_of_this_commit(
    outside: &Outside,
    context: &RunContext,
    policy: &EvidencePolicy,
    image: &ImageRef,
) -> bool {
    let policy = &policy.of_earlier_versions();
    let theirs = verify::verify(&outside.registry, &outside.verifier, image, policy).await;
    theirs.is_ok_and(|theirs| {
        !context.sha.is_empty() && theirs.commits().contains(&context.sha.as_str())
    })
}
