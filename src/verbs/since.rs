//! What the images have that the tags of a run point to now, so that only new findings refuse. Where
//! nobody knows that, every finding counts, and it says why.

use super::outside::Outside;
use super::release::ReleaseRun;
use crate::error;
use crate::image::ImageRef;
use crate::plan::PublishTarget;
use crate::plan::scanning::ScanPlan;
use crate::publish::{Baseline, KeptName};
use crate::scan::known::KnownFindings;
use crate::verify::known::known;
use crate::verify::signer::SignerPolicy;

impl ReleaseRun<'_> {
    /// Of each target; nothing where nobody asks, or nobody knows.
    pub(super) async fn known(
        &self,
        outside: &Outside,
        ours: &SignerPolicy,
        baseline: &Baseline,
        kept: &[Vec<KeptName>],
    ) -> Vec<Option<KnownFindings>> {
        let targets = &self.release.targets;
        match &self.release.scan {
            ScanPlan::Scan(inputs) if inputs.new_since_release => {}
            ScanPlan::Scan(_) | ScanPlan::Not(_) => return targets.iter().map(|_| None).collect(),
        }
        let mut all = Vec::new();
        for (target, kept) in targets.iter().zip(kept) {
            all.push(self.known_of(outside, ours, moved(target, baseline, kept)).await);
        }
        all
    }

    async fn known_of(
        &self,
        outside: &Outside,
        ours: &SignerPolicy,
        image: Option<ImageRef>,
    ) -> Option<KnownFindings> {
        let Some(image) = image else {
            self.report.notice("every finding counts, although `new-since-release` is set: no tag of this run points to an image yet, or none moves");
            return None;
        };
        match known(&outside.registry, &outside.verifier, &image, ours).await {
            Ok(known) => {
                self.report.say(&format!("scan: what `{image}` has as well refuses nothing"));
                Some(known)
            }
            Err(error) => {
                let why = error::message(&error);
                self.report.notice(&format!("every finding counts, although `new-since-release` is set: what `{image}` has is not known: {why}"));
                None
            }
        }
    }
}

/// The image that the highest of the tags points to which move: `latest` before `v1` before `v1.2`.
fn moved(target: &PublishTarget, baseline: &Baseline, kept: &[KeptName]) -> Option<ImageRef> {
    let moves = target.names.iter().filter(|name| kept.iter().all(|kept| kept.name != **name));
    let mut there: Vec<(u8, ImageRef)> =
        moves.filter_map(|name| Some((name.tag.floats(), baseline.taken(name)?))).collect();
    // Of equals the first is kept.
    there.sort_by_key(|(floats, _)| std::cmp::Reverse(*floats));
    there.into_iter().next().map(|(_, image)| image)
}
