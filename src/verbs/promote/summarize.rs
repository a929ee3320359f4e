//! Images that were verified where they arrived → a signed verification summary of each part, read
//! back as a stranger reads it, before the first tag. It signs no image, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Promote;
use crate::attest::summary::{SummarizedPolicy, SummaryDraft, SummaryTexts};
use crate::attest::{self, Draft};
use crate::error::Remedy as _;
use crate::evidence::EvidenceFormat;
use crate::image::{Digest, ImageRef, Repository};
use crate::inputs::PromotionSource;
use crate::plan::promote::PlannedSummary;
use crate::registry::closure::Closure;
use crate::summary::promoted::PlacedSummary;
use crate::text::plural;
use crate::verbs::outside::Outside;
use crate::verbs::release::{ReleaseRun, SigningAuthority};
use crate::verbs::verify::EvidenceJudge;
use crate::verify::check::Check;
use crate::verify::policy::Requirements;
use crate::verify::signer::SignerPolicy;
use crate::verify::summary::{SummarizedResource, SummaryTerms};
use crate::verify::{self, VerifiedImage, VerifiedStatement};

/// Seconds that the clock of a log may be ahead of this machine's.
const CLOCKS: u32 = 10;
/// Images that are read at once.
const AT_ONCE: usize = 8;

/// Who signs the summaries of this run, and by which policy the image was verified.
pub(super) struct SummaryMaker<'a> {
    plan: &'a PlannedSummary,
    authority: SigningAuthority,
    reader: SummaryReader,
    policy: SummarizedPolicy,
    requirements: Requirements,
    /// Whether the source has a name that others know.
    is_in_registry: bool,
}

/// A summary that must be somewhere in one format.
struct SummarySpot {
    image: ImageRef,
    format: EvidenceFormat,
    said: Digest,
}

impl<'a> SummaryMaker<'a> {
    /// All that is needed to sign later, or why this run may not: known before the first byte moves.
    /// `None` where no summary is wanted.
    pub(super) async fn of(
        run: &Promote<'a>,
        stages: &ReleaseRun<'_>,
        outside: &Outside,
        judge: &EvidenceJudge<'_>,
        image: &ImageRef,
    ) -> anyhow::Result<Option<Self>> {
        let Promote { context, settings, plan, .. } = run;
        let Some(planned) = &plan.summary else { return Ok(None) };
        let Outside { http, services, .. } = outside;
        let key = settings.signing_key.as_ref();
        let authority = SigningAuthority::of_run(http, context, key, services).await;
        let authority = authority
            .context("`verification-summary: true` needs a signature, and this run cannot sign")
            .hint("or leave `verification-summary` out: the image is verified in any case")?;
        stages.public_log(services, Some(&authority))?;
        let server = context.server_url.trim_end_matches('/');
        let workflow = authority.workflow_ref();
        let file = workflow.split('@').next().unwrap_or(workflow);
        let reader = SummaryReader {
            signer: authority.reusable(&authority.signer(context)?),
            verifier: format!("{server}/{file}"),
        };
        let policy = SummarizedPolicy {
            uri: format!("{server}/{}", context.workflow_ref),
            bytes: judge.policy()?,
        };
        let requirements = judge.requirements(&image.repository);
        let is_in_registry = matches!(plan.source, PromotionSource::Registry(_));
        Ok(Some(Self { is_in_registry, plan: planned, authority, reader, policy, requirements }))
    }

    /// Who signs, for people.
    pub(super) fn shown(&self) -> String {
        self.authority.shown()
    }

    pub(super) fn verifier(&self) -> &str {
        &self.reader.verifier
    }

    /// What is to be said of an image where it is, or is to be.
    pub(super) fn drafts(
        &self,
        outside: &Outside,
        from: &ImageRef,
        (image, to): (&VerifiedImage, &Repository),
        closure: &Closure,
    ) -> anyhow::Result<Vec<SummaryDraft>> {
        let texts = SummaryTexts {
            verifier: &self.reader.verifier,
            from: self.is_in_registry.then_some(from),
            policy: &self.policy,
            builders: &self.plan.builders,
            now: jiff::Timestamp::now(),
        };
        let blob = |digest: &Digest| outside.registry.blob_address(to, digest);
        let part = |digest: &Digest| closure.manifests.get(digest).map(|found| &found.descriptor);
        let mut drafts = texts.drafts(image.evidence(), &self.requirements, to, blob, part)?;
        let makes_legacy = outside.services.rekor.as_ref().is_some_and(|rekor| rekor.version == 1);
        for SummaryDraft { draft, formats, .. } in &mut drafts {
            formats.retain(|format| makes_legacy || *format == EvidenceFormat::Bundle);
            if formats.is_empty() {
                return Err(anyhow::anyhow!(
                    "`{}` is signed in the older format alone, and the signing config names no transparency log of version 1, which a summary in that format needs",
                    draft.subject.digest
                ))
                .hint("leave `verification-summary` out, or give a `signing-config` with such a log");
            }
        }
        Ok(drafts)
    }

    /// Signs what is not there yet, at each place, and reads all of it back.
    pub(super) async fn summarize(
        self,
        run: &Promote<'_>,
        outside: &Outside,
        from: &ImageRef,
        verified: &[VerifiedImage],
        closure: &Closure,
    ) -> anyhow::Result<(Vec<PlacedSummary>, String)> {
        let (mut drafts, mut spots) = (Vec::new(), Vec::new());
        for image in verified {
            let to = &image.image().repository;
            for draft in self.drafts(outside, from, (image, to), closure)? {
                spots.extend(draft.formats.iter().map(|format| SummarySpot {
                    image: to.at(&draft.draft.subject.digest),
                    format: *format,
                    said: draft.said.clone(),
                }));
                drafts.push((to.clone(), draft));
            }
        }
        let before = self.reader.found(outside, &spots).await?;
        let reused: Vec<bool> = before.iter().map(Option::is_some).collect();
        let lacking = lacking(drafts, &spots, &reused);
        let Self { authority, reader, .. } = self;
        if !lacking.is_empty() {
            let session = authority.session(&outside.http, run.context, &outside.services).await?;
            let now = jiff::Timestamp::now();
            for ((repository, formats), drafts) in lacking {
                attest::add(&outside.registry, &session, &repository, &formats, now, drafts)
                    .await?;
            }
        }
        let found = reader.read_back(outside, &spots).await?;
        let placed = spots.into_iter().zip(found).zip(&reused).map(|((spot, found), reused)| {
            let levels = match found.summary {
                Some(Ok(summary)) => summary.verified_levels,
                _ => Vec::new(),
            };
            PlacedSummary {
                image: spot.image.to_string(),
                verifier: reader.verifier.clone(),
                levels,
                format: spot.format,
                bundle: found.bundle,
                reused: *reused,
            }
        });
        let placed: Vec<PlacedSummary> = placed.collect();
        let old = reused.iter().filter(|reused| **reused).count();
        let outcome = format!("{} signed, {old} reused", plural(placed.len() - old, "summary"));
        Ok((placed, outcome))
    }
}

/// Drafts that are signed together.
type DraftsByPlace = BTreeMap<(Repository, Vec<EvidenceFormat>), Vec<Draft>>;

/// The drafts that some format lacks, with the formats that do.
fn lacking(
    drafts: Vec<(Repository, SummaryDraft)>,
    spots: &[SummarySpot],
    reused: &[bool],
) -> DraftsByPlace {
    let mut by_place = DraftsByPlace::new();
    for (repository, SummaryDraft { draft, .. }) in drafts {
        let image = repository.at(&draft.subject.digest);
        let of_draft = spots.iter().zip(reused).filter(|(spot, _)| spot.image == image);
        let formats: Vec<EvidenceFormat> =
            of_draft.filter(|(_, reused)| !**reused).map(|(spot, _)| spot.format).collect();
        if !formats.is_empty() {
            by_place.entry((repository, formats)).or_default().push(draft);
        }
    }
    by_place
}

/// Whose summaries are this run's: those that it signs, and those of runs that are as good.
struct SummaryReader {
    signer: SignerPolicy,
    verifier: String,
}

impl SummaryReader {
    /// What stands in each spot already, in their order.
    async fn found(
        &self,
        outside: &Outside,
        spots: &[SummarySpot],
    ) -> anyhow::Result<Vec<Option<VerifiedStatement>>> {
        let Outside { registry, verifier, .. } = outside;
        let formats = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
        let images: BTreeSet<&ImageRef> = spots.iter().map(|spot| &spot.image).collect();
        let reads = images.into_iter().map(|image| async move {
            let key = self.signer.signer.key();
            let found = verify::statements(registry, verifier, image, key, &formats).await?;
            anyhow::Ok((image, found))
        });
        let found: BTreeMap<&ImageRef, Vec<VerifiedStatement>> =
            stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let of_spot = |spot: &SummarySpot| {
            let found = found.get(&spot.image)?;
            found.iter().find(|statement| self.is_there(spot, statement)).cloned()
        };
        Ok(spots.iter().map(of_spot).collect())
    }

    fn is_there(&self, spot: &SummarySpot, found: &VerifiedStatement) -> bool {
        let terms = SummaryTerms {
            verifier: self.verifier.clone(),
            resource: SummarizedResource::In(spot.image.repository.clone()),
            lowest: None,
        };
        let says_it = matches!(&found.summary, Some(Ok(summary)) if summary.said == spot.said);
        says_it
            && found.format == spot.format
            && self.signer.admits(&found.signer, found.source.as_ref()).is_ok()
            && Check::Summarized(terms).holds(found, jiff::Timestamp::now()).is_ok()
    }

    /// What a stranger finds in each spot: all of it, or no tag is set.
    async fn read_back(
        &self,
        outside: &Outside,
        spots: &[SummarySpot],
    ) -> anyhow::Result<Vec<VerifiedStatement>> {
        let mut patience = CLOCKS;
        loop {
            let found = self.found(outside, spots).await?;
            let lost = spots.iter().zip(&found).find(|(_, found)| found.is_none());
            let Some((lost, _)) = lost else { return Ok(found.into_iter().flatten().collect()) };
            // A log whose clock is ahead of ours has signed in our future; that passes.
            if patience == 0 {
                return Err(anyhow::anyhow!(
                    "the verification summary of `{}` was attached, but does not verify there",
                    lost.image
                ))
                .hint("run it again, which signs again; if that fails too, compare `trusted-root` with the services in `signing-config`");
            }
            patience -= 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
