//! The action `scan`: images that are published, looked up again: verified, scanned by their signed
//! SBOMs, and the new result signed. It sets no tag, and signs nothing about what is not verified.

mod issue;
mod packages;
mod upload;

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use jiff::Timestamp;

pub(super) use self::packages::{PublishedImage, listed};
use super::beginning::{Beginning, begin, say_plan};
use super::hand_over::RunEnd;
use super::outside::{Outside, line};
use super::private::temporary;
use super::prove::envelope_limit;
use super::release::{SigningAuthority, say_elsewhere};
use super::scanning::{self, known_at_all, refused, write_sarif};
use super::tools;
use super::verify::{EvidenceJudge, for_reader, named_signer};
use crate::assess::bases::BaseInquiry;
use crate::assess::refused::refusal;
use crate::assess::tools::{ToolFindings, ToolsOutcome};
use crate::assess::{Assessed, Assessor};
use crate::attest;
use crate::attest::vulnerabilities::{self, SignedResult};
use crate::environment::Environment;
use crate::error::{self, OrRemedy as _, Remedy as _};
use crate::evidence::EvidenceFormat;
use crate::github::RunContext;
use crate::image::{ImageRef, Repository};
use crate::inputs::{Action, RunSettings};
use crate::login::{self, LoginsAsked};
use crate::plan::rescan::{RescanPlan, ResultAttestation, plan};
use crate::plan::scanning::ScanPlan;
use crate::preflight;
use crate::problems::Problems;
use crate::registry::Registry;
use crate::registry::exchange::Endpoints;
use crate::report::Report;
use crate::scan::report::ImageScan;
use crate::scan::shown;
use crate::sigstore::settled::SettledTrust;
use crate::summary::rescanned::{self, RescannedImage};
use crate::text::plural;
use crate::verify::existing::ExistingStatements;

/// What it comes to where something is wrong.
const UNSCANNED: &str = "nothing was scanned";

/// The action: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    let Beginning { context, inputs, facts, trust } =
        begin(Action::Scan, env, Timestamp::now(), UNSCANNED, report).await?;
    let plan = plan(&inputs, &context, &facts, trust.known()).context(UNSCANNED)?;
    let settings = inputs.into_settings();
    say_plan(&plan.words(), &plan.notices, report);
    let trust = trust.needed().context(UNSCANNED)?;
    Rescan { env, context: &context, settings: &settings, trust: &trust, plan: &plan, report }
        .run()
        .await
}

struct Rescan<'a> {
    env: &'a Environment,
    context: &'a RunContext,
    settings: &'a RunSettings,
    trust: &'a SettledTrust,
    plan: &'a RescanPlan,
    report: &'a Report,
}

/// What is opened before the first image is read.
struct RescanReady {
    outside: Outside,
    /// Of what is only read, a login may have no right but to read.
    reader: Registry,
    assessor: Assessor,
    tools: ToolFindings,
}

/// Who signs, and as what.
struct SigningReady {
    authority: SigningAuthority,
    signed: SignedResult,
    fresh: jiff::SignedDuration,
}

/// An image and what is known about it now.
struct ImageRescan {
    image: PublishedImage,
    assessed: Vec<Assessed>,
}

impl Rescan<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let report = self.report;
        let (ready, signing) =
            report.stage("preflight", self.preflight()).await.context(UNSCANNED)?;
        let images = report.stage("verify", self.images(&ready)).await.context(UNSCANNED)?;
        let scanned = report.stage("scan", self.scanned(&ready, images)).await?;
        let all: Vec<&Assessed> = scanned.iter().flat_map(|image| &image.assessed).collect();
        let of_tools = tools::judged(&ready.tools, true, &all, report);
        let remarks = ready.assessor.remarks(&all, &of_tools.met);
        remarks.iter().for_each(|remark| report.notice(remark));
        let scans: Vec<&ImageScan> = all.iter().map(|assessed| &assessed.scan).collect();
        let width = report.width().unwrap_or(usize::MAX);
        let table = shown::table(&scans, width, report.has_colour());
        let lines: Vec<String> = table.trim_end().lines().map(str::to_owned).collect();
        if report.is_terminal() {
            report.answer(&lines);
        } else {
            report.details("findings", &lines);
        }
        let files = match &self.settings.sarif_file {
            Some(file) => {
                let (scans, runs) = (told_apart(&scanned), ready.tools.runs());
                write_sarif(&scans, Vec::new(), runs, file, self.context)?
            }
            None => Vec::new(),
        };
        let attached = match signing {
            None => Vec::new(),
            Some(signing) => {
                report.stage("attest", self.attested(&ready, signing, &scanned)).await?
            }
        };
        // Later steps know the result, whatever GitHub does not take.
        self.tell(&scanned, &attached, &files, &of_tools)?;
        let mut problems = Problems::default();
        let found = (told_apart(&scanned), ready.tools.runs());
        let upload = upload::upload(self.plan.upload, found, self.context, self.settings, report);
        problems.take(upload.await);
        if self.plan.keeps_issue {
            let images = told(&scanned, &attached);
            let keeping = issue::keep(&images, self.context, self.settings);
            let kept = report.stage("issue", keeping).await.context("input `open-issue`: `true`");
            problems.take(kept);
        }
        let refusal = refusal(&all);
        let tells_of_unknown = refusal.as_ref().is_some_and(|refusal| !refusal.names_findings);
        if let Some(refusal) = refusal {
            let images: Vec<String> =
                scanned.iter().map(|it| format!("`{}`", it.image.image)).collect();
            let told = format!("the scan of {} fails", images.join(", "));
            let attached: Vec<&ImageRef> = attached.iter().collect();
            problems.add(refused(&refusal, &attached).context(told));
        }
        if let Some(refusal) = &of_tools.refusal {
            problems.add(tools::refused(refusal).context("the scan fails"));
        }
        if !tells_of_unknown {
            problems.take(known_at_all(&scans, "`advisories` or `osv-url`"));
        }
        problems.into_result()
    }

    /// Logins, sources of advisories and the right to sign: what can fail before an image is read.
    async fn preflight(&self) -> anyhow::Result<((RescanReady, Option<SigningReady>), String)> {
        let Self { env, context, settings, trust, plan, report } = self;
        let images: Vec<Repository> =
            plan.images.iter().map(|image| image.repository.clone()).collect();
        let asked = LoginsAsked {
            logins: &settings.logins.registry_auth,
            images: &images,
            env,
            context,
            token: settings.logins.github_token.as_ref(),
        };
        let credentials =
            login::credentials(&asked, &Endpoints::default(), report).await.context("no login")?;
        let RunSettings { network, signature_annotations, .. } = settings;
        let reader = Registry::new(line(network)?, credentials.clone());
        let outside = Outside::new(network, trust, signature_annotations, &credentials)?;
        let ScanPlan::Scan(inputs) = &plan.scan else { anyhow::bail!("the plan scans nothing") };
        let folder = temporary(context);
        let (network, now) = (&context.network, Timestamp::now());
        let assessor = Assessor::open(&inputs.terms, network, now, &folder);
        let (assessor, signing) = tokio::join!(assessor, self.signing(&outside, &images));
        let mut problems = Problems::default();
        let assessor = problems.take(assessor);
        let is_told = assessor.is_none();
        let tools = tools::open(plan.tools.as_ref(), &images, context, is_told, &mut problems);
        let signing = problems.take(signing);
        problems.into_result()?;
        let (Some(assessor), Some(tools), Some(signing)) = (assessor, tools, signing) else {
            anyhow::bail!("the preflight lost a result")
        };
        let outcome = match &signing {
            Some(signing) => signing.authority.shown(),
            None => "the result is not signed".to_owned(),
        };
        Ok(((RescanReady { outside, reader, assessor, tools }, signing), outcome))
    }

    /// Who signs, if somebody does: that it may, that nothing becomes public unasked, and that the
    /// registry takes what is attached.
    async fn signing(
        &self,
        outside: &Outside,
        images: &[Repository],
    ) -> anyhow::Result<Option<SigningReady>> {
        let Self { context, settings, plan, .. } = self;
        let ResultAttestation::Attest(fresh) = plan.attestation else { return Ok(None) };
        let ScanPlan::Scan(inputs) = &plan.scan else { return Ok(None) };
        let services = &outside.services;
        let key = settings.signing_key.as_ref();
        let authority = SigningAuthority::of_run(&outside.http, context, key, services).await?;
        preflight::told_by_signing(
            context.repository.as_deref().unwrap_or_default(),
            services,
            plan.visibility.and(authority.visibility()),
            key.is_some(),
            plan.allow_public_log,
        )?;
        let probes = images.iter().map(|repository| outside.registry.probe_push(repository));
        for probe in futures_util::future::join_all(probes).await {
            probe.remedied().hint("set `attest: false` to scan without signing the result")?;
        }
        let signed = scanning::signed(inputs, context);
        Ok(Some(SigningReady { authority, signed, fresh }))
    }

    /// What the tags point to, verified where that is wanted.
    async fn images(&self, ready: &RescanReady) -> anyhow::Result<(Vec<PublishedImage>, String)> {
        let Self { context, trust, plan, report, .. } = self;
        let arguments = match (&plan.policy, plan.images.first()) {
            (Some(policy), Some(first)) => {
                let at = first.repository.to_string();
                Some(named_signer(policy, &plan.allowed, &at, trust, context)?)
            }
            _ => None,
        };
        let judge = arguments.as_ref().map(EvidenceJudge::new).transpose()?;
        let judge = judge.map(EvidenceJudge::keeping_documents);
        let found = plan.images.iter().map(async |source| {
            let (image, _) = super::promote::resolved(&ready.reader, source, None, report).await?;
            let published = match &judge {
                Some(judge) => {
                    let verified = judge.image(&ready.reader, &image).await?;
                    PublishedImage::verified(&verified, &plan.allowed)
                }
                None => PublishedImage::unverified(&ready.reader, image, &plan.allowed)
                    .await
                    .map_err(for_reader),
            };
            published.map(|it| it.called(source.to_string()))
        });
        let mut images: Vec<PublishedImage> = Vec::new();
        for image in try_join_all(found).await? {
            // Two tags of one image are scanned once.
            if !images.iter().any(|known| known.image == image.image) {
                images.push(image);
            }
        }
        say_elsewhere(&ready.reader, report).await;
        for image in &images {
            match image.signer() {
                Some(signer) => {
                    report.say(&format!("verified {}, signed by {signer}", image.image))
                }
                None => {
                    report.say(&format!("{} is not verified, as `verify` is false", image.image))
                }
            }
        }
        let outcome = plural(images.len(), "image");
        Ok((images, outcome))
    }

    /// Everything that the images have, asked about at once.
    async fn scanned(
        &self,
        ready: &RescanReady,
        images: Vec<PublishedImage>,
    ) -> anyhow::Result<(Vec<ImageRescan>, String)> {
        let started = Timestamp::now();
        let mut packages = Vec::new();
        let mut counts = Vec::new();
        for image in &images {
            let listed = listed(&ready.reader, image, started, self.report)
                .await
                .with_context(|| format!("`{}` cannot be scanned", image.image))?;
            counts.push(listed.len());
            packages.extend(listed);
        }
        let mut assessed = ready.assessor.assess(packages, started).await?;
        let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
        let outcome = shown::told(&scans);
        let mut scanned = Vec::new();
        for (image, count) in images.into_iter().zip(counts) {
            let rest = assessed.split_off(count);
            let mut assessed = std::mem::replace(&mut assessed, rest);
            self.origins(ready, &image, &mut assessed).await;
            scanned.push(ImageRescan { image, assessed });
        }
        Ok((scanned, outcome))
    }

    /// Names who brought what was found, where something was and the provenance is verified.
    async fn origins(&self, ready: &RescanReady, image: &PublishedImage, found: &mut [Assessed]) {
        if image.signer().is_none() || found.iter().all(|it| it.scan.findings.is_empty()) {
            return;
        }
        let RescanReady { reader: registry, assessor, .. } = ready;
        let open = match packages::based_image(registry, image).await {
            Ok(images) => {
                let repository = &image.image.repository;
                let inquiry = BaseInquiry { registry, repository, assessor };
                inquiry.tell(found, &Arc::new(images)).await
            }
            Err(error) => vec![error::message(&error)],
        };
        open.iter().for_each(|open| self.report.notice(&format!("`{}`: {open}", image.image)));
    }

    /// Signs the results that say something new, or that replace an old one; those images.
    async fn attested(
        &self,
        ready: &RescanReady,
        SigningReady { authority, signed, fresh }: SigningReady,
        scanned: &[ImageRescan],
    ) -> anyhow::Result<(Vec<ImageRef>, String)> {
        let RescanReady { outside, .. } = ready;
        let now = Timestamp::now();
        // The result of a run at another commit is as good: the image is the same.
        let mut signer = authority.signer(self.context)?;
        signer.source.commit = None;
        let limit = envelope_limit(&outside.services);
        let mut lacking = Vec::new();
        for ImageRescan { image, assessed } in scanned {
            let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
            let drafts = vulnerabilities::drafts(&image.parts, &scans, &signed, limit)?;
            let formats = self.formats(image);
            let repositories = std::slice::from_ref(&image.image.repository);
            let existing = ExistingStatements::read(
                &outside.registry,
                &outside.verifier,
                repositories,
                &image.parts.subjects(),
                &signer,
                &formats,
            )
            .await?
            .with_fresh(fresh);
            let drafts = attest::lacking(drafts, repositories, &formats, &existing);
            if !drafts.is_empty() {
                lacking.push((&image.image, formats, drafts));
            }
        }
        if lacking.is_empty() {
            return Ok((Vec::new(), "the signed results say the same, and are recent".to_owned()));
        }
        // A certificate is asked for only where something is signed.
        let session = authority.session(&outside.http, self.context, &outside.services).await?;
        let count: usize = lacking.iter().map(|(.., drafts)| drafts.len()).sum();
        let mut attached = Vec::new();
        for (image, formats, drafts) in lacking {
            let repository = &image.repository;
            attest::add(&outside.registry, &session, repository, &formats, now, drafts).await?;
            attached.push(image.clone());
        }
        let outcome =
            format!("{} about {}", plural(count, "statement"), plural(attached.len(), "image"));
        Ok((attached, outcome))
    }

    /// As the image's own evidence is kept.
    fn formats(&self, image: &PublishedImage) -> Vec<EvidenceFormat> {
        let all = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
        let makes = |format: &EvidenceFormat| match format {
            EvidenceFormat::Bundle => true,
            EvidenceFormat::Legacy => {
                self.trust.makes_legacy() && image.has(EvidenceFormat::Legacy)
            }
        };
        all.into_iter().filter(makes).collect()
    }

    /// Outputs for later steps, and the job summary.
    fn tell(
        &self,
        scanned: &[ImageRescan],
        attached: &[ImageRef],
        files: &[String],
        of_tools: &ToolsOutcome,
    ) -> anyhow::Result<()> {
        let images = told(scanned, attached);
        let times = (self.report.stages(), self.report.elapsed());
        let why = match &self.plan.attestation {
            ResultAttestation::Attest(_) => None,
            ResultAttestation::Not(why) => Some(why.as_str()),
        };
        let (tallies, passes) = (&of_tools.tallies, of_tools.refusal.is_none());
        RunEnd {
            outputs: rescanned::outputs(&images, files, passes),
            summary: Some(rescanned::markdown(&images, why, tallies, (&times.0, times.1))),
            ..RunEnd::default()
        }
        .tell(self.context, self.report)
        .context("the scan is done, but the outputs for the workflow cannot be written")
    }
}

/// Findings as code scanning keeps them: of two images of one repository each has a name of its own,
/// since the alerts of one would close those of the other.
fn told_apart(scanned: &[ImageRescan]) -> Vec<ImageScan> {
    let is_alone = |image: &PublishedImage| {
        let repository = &image.image.repository;
        scanned.iter().filter(|it| it.image.image.repository == *repository).count() == 1
    };
    let of_image = |rescan: &ImageRescan| {
        let name = (!is_alone(&rescan.image)).then(|| rescan.image.name.clone());
        rescan
            .assessed
            .iter()
            .map(|assessed| assessed.scan.clone())
            .map(|scan| match &name {
                Some(name) => ImageScan { image: name.clone(), ..scan },
                None => scan,
            })
            .collect::<Vec<_>>()
    };
    scanned.iter().flat_map(of_image).collect()
}

/// The images as people are told of them.
fn told<'a>(scanned: &'a [ImageRescan], attached: &[ImageRef]) -> Vec<RescannedImage<'a>> {
    let of_image = |ImageRescan { image, assessed }: &'a ImageRescan| RescannedImage {
        image: &image.image,
        signer: image.signer().map(ToString::to_string),
        assessed,
        is_attested: attached.contains(&image.image),
    };
    scanned.iter().map(of_image).collect()
}

/// GitHub's refusal, with what to do about it.
fn with_remedy(refusal: &dyn std::fmt::Display, remedy: Option<&str>) -> anyhow::Error {
    let error = anyhow::anyhow!("{refusal}");
    match remedy {
        Some(remedy) => crate::error::with_hint(error, remedy.to_owned()),
        None => error,
    }
}
