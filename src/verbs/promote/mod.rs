//! `supply-action promote`: an image that was published, with all its evidence, in other
//! repositories: verified, copied byte for byte, verified again where it arrived, and only then
//! tagged. It builds and signs nothing.

mod carry;
mod layouts;
mod rescanned;
mod source;
mod summarize;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use self::carry::CarryOfImage;
use self::layouts::WrittenLayout;
pub(super) use self::source::resolved;
use self::summarize::SummaryMaker;
use super::beginning::{Beginning, begin, say_plan};
use super::ending;
use super::hand_over::RunEnd;
use super::outside::{Outside, line};
use super::release::{ReleaseRun, say_elsewhere, with_consequence};
use super::served_layout::ServedLayout;
use super::verify::{EvidenceJudge, for_reader, named_signer};
use crate::build::merge::claims::SourceImage;
use crate::environment::Environment;
use crate::error::Consequence::NothingTagged;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::github::RunContext;
use crate::image::name::ImageName;
use crate::image::{ImageRef, Repository};
use crate::inputs::{Action, NOWHERE, PromotionSource, RunSettings};
use crate::page::RefusalPage;
use crate::plan::promote::{PromotePlan, Promotion, plan};
use crate::preflight;
use crate::problems::Problems;
use crate::publish::{
    self, Baseline, KeptName, NamingTerms, OnTagConflict, Published, VerifiedLot,
};
use crate::registry::closure::{self, Closure};
use crate::registry::transfer::{DestinationNames, LackingParts, TransferEnd};
use crate::registry::{Registry, RegistryError};
use crate::report::Report;
use crate::sigstore::settled::SettledTrust;
use crate::summary::promoted::{PromotedLayout, PromotedTexts};
use crate::summary::{self, markdown, promoted};
use crate::text::plural;
use crate::verify::VerifiedImage;

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    let Beginning { context, inputs, facts, trust } =
        begin(Action::Promote, env, jiff::Timestamp::now(), NothingTagged, report).await?;
    let plan = plan(&inputs, &context, env, &facts, trust.known()).context(NothingTagged)?;
    let settings = inputs.into_settings();
    say_plan(&plan.words(), &plan.about().notices, report);
    let plan = match plan {
        PromotePlan::Nothing(about) => {
            return ending::nothing_promoted(&about, &context, report).context(
                "nothing was to be promoted, but the outputs for the workflow cannot be \
                    written",
            );
        }
        PromotePlan::Promote(plan) => plan,
    };
    let trust = trust.needed().map_err(with_consequence)?;
    let promotion =
        Promote { env, context: &context, settings: &settings, trust: &trust, plan: &plan, report };
    promotion.run().await.map_err(with_consequence)
}

struct Promote<'a> {
    env: &'a Environment,
    context: &'a RunContext,
    settings: &'a RunSettings,
    trust: &'a SettledTrust,
    plan: &'a Promotion,
    report: &'a Report,
}

/// What the preflight found.
struct PromotionReady {
    verified: VerifiedImage,
    closure: Closure,
    lacking: Vec<(Repository, LackingParts)>,
    baseline: Baseline,
    kept: Vec<KeptName>,
}

impl Promote<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let path = match &self.plan.source {
            PromotionSource::Registry(image) => {
                return self.from(OpenedSource::Registry(image)).await;
            }
            PromotionSource::Layout(path) => path,
        };
        let layout = ServedLayout::open(path).await;
        let layout = layout.with_context(|| format!("source `{}`", self.plan.source))?;
        let outcome = self.from(OpenedSource::Layout(&layout)).await;
        layout.close().await;
        outcome
    }

    async fn from(&self, source: OpenedSource<'_>) -> anyhow::Result<()> {
        let Self { env, context, settings, trust, plan, report } = self;
        let stages = ReleaseRun { env, context, settings, trust, release: &plan.release, report };
        let (outside, credentials) = stages.outside_with(source.repositories()).await?;
        // Of what is only read, a login may have no right but to read.
        let reader = Registry::new(line(&settings.network)?, credentials);
        let allowed = &plan.release.allowed;
        let at = match &plan.source {
            PromotionSource::Registry(image) => image.repository.to_string(),
            PromotionSource::Layout(_) => NOWHERE.to_owned(),
        };
        let policy = named_signer(&plan.policy, allowed, &at, trust, context)?;
        let judge = EvidenceJudge::new(&policy)?;
        let judge = if plan.scan.is_some() { judge.keeping_documents() } else { judge };
        let waiting = source.image(&reader, plan.wait_for_source, report);
        let image = report.stage("source", waiting).await?;
        // One look at the source serves verification and copying.
        let looking = reader.reading_once();
        let checking = self.preflight(&stages, &outside, &looking, &judge, &image);
        let (ready, maker) = report.stage("preflight", checking).await?;
        if plan.dry_run {
            return self.rehearsed(&image, &ready, maker.as_ref());
        }
        let from = TransferEnd { registry: &looking, repository: &image.repository };
        let carry = CarryOfImage { closure: &ready.closure, from, to: &outside.registry, report };
        let is_nowhere = plan.release.images().is_empty();
        let (mut copied, mut verified) = (BTreeMap::new(), Vec::new());
        if !is_nowhere {
            copied = report.stage("copy", carry.all(&ready.lacking)).await?;
        }
        let written = self.written(&looking, &image, &ready.closure).await?;
        if !is_nowhere {
            verified = report.stage("verify", self.arrived(&carry, &judge, &ready)).await?;
        }
        let in_layouts = self.verified_in(&written, &reader, &judge, &image).await?;
        let summaries = match maker {
            Some(maker) => {
                let making = maker.summarize(self, &outside, &image, &verified, &ready.closure);
                report.stage("summarize", making).await?
            }
            None => Vec::new(),
        };
        let layouts: Vec<PromotedLayout> =
            written.into_iter().map(WrittenLayout::place).collect::<anyhow::Result<_>>()?;
        layouts.iter().for_each(|layout| report.say(&format!("wrote {}", layout.shown)));
        let proven = if is_nowhere { in_layouts } else { verified };
        let mut published = report.stage("tag", self.name(&outside, &ready, proven)).await?;
        if is_nowhere {
            // What served the layout is gone.
            published.images.clear();
        }
        let texts = PromotedTexts { layouts: &layouts, copied: &copied, summaries: &summaries };
        self.hand_over(&published, &image, &texts)
    }

    /// The image as OCI layouts, each beside its place.
    async fn written(
        &self,
        reader: &Registry,
        image: &ImageRef,
        closure: &Closure,
    ) -> anyhow::Result<Vec<WrittenLayout>> {
        let mut written = Vec::new();
        for to in &self.plan.layouts {
            let names = &self.plan.layout_names;
            let writing = async {
                let layout = WrittenLayout::write(reader, image, closure, names, to).await?;
                let told = layout.told();
                anyhow::Ok((layout, told))
            };
            written.push(self.report.stage("write", writing).await?);
        }
        Ok(written)
    }

    /// The same looked at as by somebody who has nothing but the layout.
    async fn verified_in(
        &self,
        written: &[WrittenLayout],
        reader: &Registry,
        judge: &EvidenceJudge<'_>,
        image: &ImageRef,
    ) -> anyhow::Result<Vec<VerifiedImage>> {
        let mut verified = Vec::new();
        for layout in written {
            let judged = async {
                let image = layout.verified(reader, judge, &image.repository).await?;
                anyhow::Ok((image, layout.shown()))
            };
            verified.push(self.report.stage("verify", judged).await?);
        }
        Ok(verified)
    }

    /// Everything that can be known to fail before the first byte, as one list.
    async fn preflight(
        &self,
        stages: &ReleaseRun<'_>,
        outside: &Outside,
        reader: &Registry,
        judge: &EvidenceJudge<'_>,
        image: &ImageRef,
    ) -> anyhow::Result<((PromotionReady, Option<SummaryMaker<'_>>), String)> {
        let release = &self.plan.release;
        let (places, names) = (self.places(image), release.names());
        let there = places.iter().map(|repository| {
            DestinationNames::ask(TransferEnd { registry: &outside.registry, repository })
        });
        let (verified, closure, baseline, maker, there) = tokio::join!(
            judge.image(reader, image),
            closure::of_image(reader, image),
            Baseline::observe(&outside.registry, &names),
            SummaryMaker::of(self, stages, outside, judge, image),
            join_all(there),
        );
        say_elsewhere(reader, self.report).await;
        say_elsewhere(&outside.registry, self.report).await;
        let mut problems = Problems::default();
        let verified = problems.take(verified);
        // Of an image that is not verified nobody needs to hear that it cannot be copied either.
        let closure = match (&verified, closure) {
            (Some(_), closure) => problems.take(closure.remedied().map_err(for_reader)),
            (None, closure) => closure.ok(),
        };
        let baseline = problems.take(baseline);
        if let (Some(scan), Some(verified)) = (&self.plan.scan, &verified) {
            problems.take(self.rescanned(scan, reader, verified).await);
        }
        let maker = problems.take(maker).flatten();
        if let (Some(maker), Some(verified), Some(closure)) = (&maker, &verified, &closure) {
            let at = (verified, &image.repository);
            problems.take(maker.drafts(outside, image, at, closure));
        }
        for problem in baseline.iter().flat_map(|baseline| self.taken(&names, baseline, image)) {
            problems.add(problem);
        }
        let there: Vec<(&Repository, Result<DestinationNames, RegistryError>)> =
            places.iter().zip(there).collect();
        let looks = self.lacking(outside, closure.as_ref(), there);
        // Only now, as a repository is made by the first that is pushed to it.
        let probes = release.images();
        let probes = probes.iter().map(|repository| self.may_push(outside, repository));
        let (looked, probes) = tokio::join!(looks, join_all(probes));
        let lacking: Vec<(Repository, LackingParts)> =
            looked.into_iter().filter_map(|looked| problems.take(looked)).collect();
        for to in &self.plan.layouts {
            problems.take(layouts::may_write(to));
        }
        for probe in probes {
            problems.take(probe.remedied());
        }
        problems.into_result()?;
        let (Some(verified), Some(closure), Some(baseline)) = (verified, closure, baseline) else {
            anyhow::bail!("the preflight lost a result")
        };
        let others = baseline.beside(&image.digest);
        let kept = stages.kept(outside, &verified.evidence().signer, &others).await?;
        let kept = kept.into_iter().flatten().collect();
        self.told(&verified, &lacking);
        let mut outcome = self.to_copy(&lacking);
        outcome.extend(maker.iter().map(|maker| format!(", {}", maker.shown())));
        Ok(((PromotionReady { verified, closure, lacking, baseline, kept }, maker), outcome))
    }

    /// The repositories that get a copy.
    fn places(&self, image: &ImageRef) -> Vec<Repository> {
        let all = self.plan.release.images().into_iter();
        all.filter(|repository| *repository != image.repository).collect()
    }

    /// What each repository lacks, in which these names are.
    async fn lacking(
        &self,
        outside: &Outside,
        closure: Option<&Closure>,
        there: Vec<(&Repository, Result<DestinationNames, RegistryError>)>,
    ) -> Vec<anyhow::Result<(Repository, LackingParts)>> {
        let Some(closure) = closure else { return Vec::new() };
        let looks = there.into_iter().map(|(repository, names)| async move {
            let to = TransferEnd { registry: &outside.registry, repository };
            let lacking = async { LackingParts::given(closure, to, names?).await };
            anyhow::Ok((repository.clone(), lacking.await.remedied()?))
        });
        join_all(looks).await
    }

    /// Whether this run may push there; a rehearsal leaves nothing behind.
    async fn may_push(
        &self,
        outside: &Outside,
        repository: &Repository,
    ) -> Result<(), RegistryError> {
        match self.plan.dry_run {
            true => outside.registry.open_upload(repository).await.map(drop),
            false => outside.registry.probe_push(repository).await,
        }
    }

    /// Names of one image for ever that are another's.
    fn taken(
        &self,
        names: &[ImageName],
        baseline: &Baseline,
        image: &ImageRef,
    ) -> Vec<anyhow::Error> {
        if self.plan.release.on_tag_conflict == OnTagConflict::Overwrite {
            return Vec::new();
        }
        let whole = names.iter().filter(|name| preflight::is_immutable(&name.tag));
        let taken = whole.filter_map(|name| {
            let stands = baseline.taken(name).filter(|stands| stands.digest != image.digest)?;
            let why = anyhow::anyhow!(
                "`{name}` already exists: it points to `{}`, not to `{}`, which would be promoted",
                stands.digest,
                image.digest
            );
            Err::<(), _>(why)
                .hint("promote under a new version, or set `on-tag-conflict: overwrite`")
                .see(RefusalPage::VersionExistsAlready)
                .err()
        });
        taken.collect()
    }

    /// What is to be copied and written.
    fn to_copy(&self, lacking: &[(Repository, LackingParts)]) -> String {
        let layouts = plural(self.plan.layouts.len(), "layout");
        match (self.plan.layouts.is_empty(), lacking.is_empty()) {
            (true, _) => to_copy(lacking),
            (false, true) => format!("all of it to {layouts}"),
            (false, false) => format!("{}, all of it to {layouts}", to_copy(lacking)),
        }
    }

    /// What a person should know before anything moves.
    fn told(&self, verified: &VerifiedImage, lacking: &[(Repository, LackingParts)]) {
        self.report.say(&format!(
            "verified {}, signed by {}",
            verified.image(),
            verified.evidence().signer
        ));
        verified.told().iter().for_each(|told| self.report.notice(told));
        for (repository, lacking) in lacking {
            let is_new = if lacking.is_new() { ", which is new there" } else { "" };
            self.report.say(&format!(
                "to {repository}{is_new}: {} of {}, {}",
                plural(lacking.blobs(), "blob"),
                markdown::bytes(lacking.bytes()),
                plural(lacking.manifests(), "manifest"),
            ));
            let host = repository.registry();
            if lacking.is_new() && ["ghcr.io", "quay.io"].contains(&host) {
                self.report.notice(&format!(
                    "`{repository}` is new, and `{host}` makes new repositories private: make it public there if others are to pull it"
                ));
            }
        }
    }

    /// Says what would be done.
    fn rehearsed(
        &self,
        image: &ImageRef,
        ready: &PromotionReady,
        maker: Option<&SummaryMaker<'_>>,
    ) -> anyhow::Result<()> {
        let names: Vec<&ImageName> = self.moving(ready);
        for name in &names {
            self.report.say(&format!("would tag {name}"));
        }
        let mut rows = vec![("image", image.to_string())];
        rows.push(("would copy", self.to_copy(&ready.lacking)));
        for layout in &self.plan.layouts {
            let told = format!("oci-layout:{}", layout.display());
            self.report.say(&format!("would write {told}"));
            rows.push(("would write", told));
        }
        if let Some(maker) = maker {
            let told =
                format!("a verification summary of each part, as verifier {}", maker.verifier());
            self.report.say(&format!("would sign {told}"));
            rows.push(("would sign", told));
        }
        rows.extend(names.iter().map(|name| ("would tag", name.to_string())));
        let done = summary::ended::EndedRun {
            title: "🔎 Promotion rehearsed",
            said: "The image is verified. Nothing was copied or tagged, as `dry-run` is set.",
            rows,
        };
        ending::done(&done, self.context, self.report)
    }

    /// Looks at what arrived as somebody who has nothing but the registry: all of it must be there,
    /// and pass the same policy.
    async fn arrived(
        &self,
        carry: &CarryOfImage<'_>,
        judge: &EvidenceJudge<'_>,
        ready: &PromotionReady,
    ) -> anyhow::Result<(Vec<VerifiedImage>, String)> {
        let from = &ready.verified;
        let mut verified = Vec::new();
        for repository in self.plan.release.images() {
            verified.push(match repository == from.image().repository {
                true => from.clone(),
                false => {
                    let lacked = ready.lacking.iter().find(|(place, _)| *place == repository);
                    let (_, lacked) = lacked.context("a destination was lost on the way")?;
                    arrived_in((&repository, lacked), carry, judge, from).await?
                }
            });
        }
        let places = plural(verified.len(), "repository");
        Ok((verified, format!("{} in {places}", from.image().digest.short())))
    }

    /// The names that do not stay where they are.
    fn moving(&self, ready: &PromotionReady) -> Vec<&ImageName> {
        let names = self.plan.release.targets.iter().flat_map(|target| &target.names);
        names.filter(|name| !ready.kept.iter().any(|kept| kept.name == **name)).collect()
    }

    async fn name(
        &self,
        outside: &Outside,
        ready: &PromotionReady,
        verified: Vec<VerifiedImage>,
    ) -> anyhow::Result<(Published, String)> {
        // Whoever moved a name meanwhile is another run.
        let same_commit = |_: ImageName, _: ImageRef| async { false }.boxed_local();
        let terms = NamingTerms {
            baseline: &ready.baseline,
            rule: self.plan.release.on_tag_conflict,
            same_commit: &same_commit,
            on_put: &|name| self.report.say(&format!("tagged {name}")),
        };
        let names: Vec<ImageName> = self.moving(ready).into_iter().cloned().collect();
        let lot = VerifiedLot { verified, names: &names };
        let published = publish::publish(&outside.registry, vec![lot], &terms).await?;
        let mut published =
            published.into_iter().next().context("the image was lost on the way")?;
        published.kept.clone_from(&ready.kept);
        let outcome = plural(published.names.len(), "tag");
        Ok((published, outcome))
    }

    /// Outputs for later steps, and the job summary.
    fn hand_over(
        &self,
        published: &Published,
        source: &ImageRef,
        texts: &PromotedTexts<'_>,
    ) -> anyhow::Result<()> {
        let (stages, elapsed) = (self.report.stages(), self.report.elapsed());
        let commands =
            summary::commands::commands(published, self.trust.trusted_root.path.as_deref());
        let run = super::hand_over::of(self.context);
        let times = (stages.as_slice(), elapsed);
        RunEnd {
            outputs: promoted::outputs(published, texts, &self.settings.separators),
            summary: Some(promoted::markdown(published, source, texts, &commands, &run, times)),
            ..RunEnd::default()
        }
        .tell(self.context, self.report)
        .context("the image is promoted, but the outputs for the workflow cannot be written")
    }
}

/// A source while it can be read.
enum OpenedSource<'a> {
    Registry(&'a SourceImage),
    Layout(&'a ServedLayout),
}

impl OpenedSource<'_> {
    /// Those that a login may be needed for.
    fn repositories(&self) -> &[Repository] {
        match self {
            Self::Registry(image) => std::slice::from_ref(&image.repository),
            Self::Layout(_) => &[],
        }
    }

    /// The image, once and for all, and how it was found.
    async fn image(
        &self,
        reader: &Registry,
        wait: Duration,
        report: &Report,
    ) -> anyhow::Result<(ImageRef, String)> {
        match self {
            Self::Registry(image) => source::resolved(reader, image, Some(wait), report).await,
            Self::Layout(layout) => {
                let blobs = plural(layout.whole(reader).await?, "blob");
                Ok((layout.image.clone(), format!("{}, {blobs} hashed", layout.image.digest)))
            }
        }
    }
}

/// The image in one repository, read back and verified. What a registry listed and does not have is
/// brought once more.
async fn arrived_in(
    (repository, lacked): (&Repository, &LackingParts),
    carry: &CarryOfImage<'_>,
    judge: &EvidenceJudge<'_>,
    from: &VerifiedImage,
) -> anyhow::Result<VerifiedImage> {
    let image = repository.at(&from.image().digest);
    let mut is_first = true;
    loop {
        // Nothing that was read before counts here.
        let reader = carry.to.reading_once();
        let (lacking, verified) = tokio::join!(
            LackingParts::after(carry.closure, TransferEnd { registry: &reader, repository }),
            judge.copy(&reader, &image, &from.image().repository),
        );
        let lacking = lacking.remedied()?;
        let Some(still) = lacking.still(lacked) else {
            let verified = verified?;
            let lost = from.holding().difference(verified.holding()).count();
            return match lost {
                0 => Ok(verified),
                _ => Err(anyhow::anyhow!(
                    "`{repository}` accepted everything, but {} that verify at the source do not verify there",
                    plural(lost, "statement")
                ))
                .hint("run again; if that fails too, this registry changes what it accepts"),
            };
        };
        if !is_first {
            let message = format!("`{repository}` accepted everything, but now lacks {still}");
            return Err(anyhow::anyhow!("{message}"))
                .hint("run again; if that fails too, this registry drops what it accepts");
        }
        is_first = false;
        carry.one(carry.from, repository, &lacking).await?;
    }
}

/// What is to be copied, over all destinations.
fn to_copy(lacking: &[(Repository, LackingParts)]) -> String {
    let bytes: u64 = lacking.iter().map(|(_, lacking)| lacking.bytes()).sum();
    let manifests: usize = lacking.iter().map(|(_, lacking)| lacking.manifests()).sum();
    if manifests == 0 {
        return format!("everything is there in {}", plural(lacking.len(), "repository"));
    }
    format!("at most {} to {}", markdown::bytes(bytes), plural(lacking.len(), "repository"))
}
