//! The scan of a release: what its SBOMs list → drafts of the result, and whether the images may be
//! named. It signs nothing, and the result of a refused image is signed all the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;

use super::private::temporary;
use crate::assess::bases::{BaseInquiry, BasedImage};
use crate::assess::refused::{ScanRefusal, refusal};
use crate::assess::{Assessed, Assessor, Scanned};
use crate::attest::vulnerabilities::{self, SignedResult};
use crate::attest::{Draft, DraftParts};
use crate::error::{self, OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files;
use crate::github::RunContext;
use crate::image::{ImageRef, Repository};
use crate::inputs::{OnScanFailure, ScanInputs};
use crate::page::RefusalPage;
use crate::plan::scanning::ScanPlan;
use crate::registry::Registry;
use crate::report::Report;
use crate::scan::attestation::ScanInvocation;
use crate::scan::known::KnownFindings;
use crate::scan::report::ImageScan;
use crate::scan::sarif::OtherRun;
use crate::scan::tools::ToolRun;
use crate::scan::{sarif, shown};
use crate::text::seen::visible;
use crate::text::{plural, with_lines};

/// What a release is scanned with, or why it is not.
pub enum Scanning {
    Scan(Box<ScanStage>),
    Not(String),
}

/// The sources, and as what results are signed.
pub struct ScanStage {
    assessor: Assessor,
    signed: SignedResult,
    on_failure: OnScanFailure,
}

impl Scanning {
    /// Opens the sources; what is wrong with them is told before anything is built.
    pub(super) async fn open(plan: &ScanPlan, context: &RunContext) -> anyhow::Result<Self> {
        let inputs = match plan {
            ScanPlan::Not(why) => return Ok(Self::Not(why.clone())),
            ScanPlan::Scan(inputs) => inputs,
        };
        let (network, folder) = (&context.network, temporary(context));
        let assessor = Assessor::open(&inputs.terms, network, Timestamp::now(), &folder).await?;
        Ok(Self::Scan(Box::new(ScanStage {
            assessor,
            signed: signed(inputs, context),
            on_failure: inputs.on_scan_failure,
        })))
    }

    /// Scans what the drafts list, and drafts the result. What is `known` refuses nothing.
    pub(super) async fn drafts(
        &self,
        parts: &DraftParts,
        drafts: &[Draft],
        limit: usize,
        known: Option<&KnownFindings>,
    ) -> anyhow::Result<(Scanned, Vec<Draft>)> {
        let scan = match self {
            Self::Not(why) => return Ok((Scanned::Not(why.clone()), Vec::new())),
            Self::Scan(scan) => scan,
        };
        let started = Timestamp::now();
        let listed =
            tokio::task::block_in_place(|| vulnerabilities::listed(parts, drafts, started))?;
        match scan.assessor.assess_new(listed, started, &known.into()).await {
            Ok(assessed) => {
                let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
                let drafts = vulnerabilities::drafts(parts, &scans, &scan.signed, limit)?;
                Ok((Scanned::Done(assessed), drafts))
            }
            Err(error) if scan.on_failure == OnScanFailure::Warn => {
                Ok((Scanned::Unanswered(error::message(&error)), Vec::new()))
            }
            Err(error) => Err(error)
                .hint("set `on-scan-failure: warn` to publish without a scan result, or give `advisories`"),
        }
    }

    /// Names who brought what was found in each image.
    pub(super) async fn origins(
        &self,
        registry: &Registry,
        repository: &Repository,
        scanned: &mut Scanned,
        images: &Arc<Vec<BasedImage>>,
        report: &Report,
    ) {
        let (Self::Scan(scan), Scanned::Done(assessed)) = (self, scanned) else { return };
        let inquiry = BaseInquiry { registry, repository, assessor: &scan.assessor };
        for open in inquiry.tell(assessed, images).await {
            report.notice(&format!("`{repository}`: {open}"));
        }
    }

    /// Says what people should know of the scans; refuses where the rules do. `met` are places of
    /// rules that accept what another tool found.
    pub(super) fn judged(
        &self,
        images: &[(ImageRef, &Scanned)],
        met: &BTreeSet<String>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let Self::Scan(scan) = self else { return Ok(()) };
        let all: Vec<&Assessed> =
            images.iter().flat_map(|(_, scanned)| scanned.assessed()).collect();
        for (image, scanned) in images {
            match scanned {
                Scanned::Unanswered(why) => report.notice(&format!(
                    "`{image}` was not scanned, and is published without the result: {why}"
                )),
                Scanned::Done(assessed) => {
                    let assessed: Vec<&Assessed> = assessed.iter().collect();
                    for remark in scan.assessor.remarks(&assessed, met) {
                        report.notice(&remark);
                    }
                    for assessed in &assessed {
                        report.say(&format!("scan: {}", shown::labelled(&assessed.scan)));
                        if let Some((count, since)) = shown::known(&assessed.scan) {
                            let count = plural(count, "finding");
                            report.say(&format!(
                                "  {count} known since `{since}`: no reason to refuse it"
                            ));
                        }
                    }
                    let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
                    let width = report.width().unwrap_or(usize::MAX).saturating_sub(INDENT.len());
                    for line in shown::first_lines(&scans, MOST_FINDINGS, width) {
                        report.say(&format!("{INDENT}{line}"));
                    }
                }
                Scanned::Not(_) => {}
            }
        }
        match refusal(&all) {
            None => Ok(()),
            Some(refusal) => {
                let images: Vec<&ImageRef> = images.iter().map(|(image, _)| image).collect();
                Err(refused(&refusal, &images))
            }
        }
    }
}

/// Of an image's findings, as many are in the log.
const MOST_FINDINGS: usize = 20;
const INDENT: &str = "  ";

/// Why an image is refused, finding by finding; the images whose results are attached to them.
pub(super) fn refused(refusal: &ScanRefusal, attached: &[&ImageRef]) -> anyhow::Error {
    let text = with_lines(&refusal.sentence, &refusal.lines);
    let remedy = match refusal.names_findings {
        true => "update what has a fix, or accept a risk with a reason in a file of `ignore-file`",
        false => "name a source that covers these packages by `advisories` or `osv-url`",
    };
    let images: Vec<String> = attached.iter().map(|image| format!("`{image}`")).collect();
    let mut refused = Err::<(), _>(anyhow::anyhow!(text)).hint(remedy);
    for line in &refusal.of_base {
        refused = refused.hint(line.clone());
    }
    if !images.is_empty() {
        refused =
            refused.hint(format!("the result is signed and attached to {}", images.join(", ")));
    }
    let refused = refused.see(RefusalPage::KnownVulnerabilities);
    refused.err().unwrap_or_else(|| anyhow::anyhow!("the scan refuses the image"))
}

/// Where no package of an image is assessed, it passes nowhere. `named_by`: how a source is named.
pub(super) fn known_at_all(scans: &[&ImageScan], named_by: &str) -> anyhow::Result<()> {
    let unknown: BTreeSet<String> = scans
        .iter()
        .filter(|scan| !scan.is_known())
        .map(|scan| {
            let platform = scan.platform.as_ref().filter(|_| scans.len() > 1);
            let platform = platform.map(|it| format!(" ({it})")).unwrap_or_default();
            let packages = plural(scan.unassessed.len(), "package");
            format!("`{}`{platform}: none of {packages} is assessed", visible(&scan.image))
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown: Vec<String> = unknown.into_iter().collect();
    let message = format!("nothing is known about {}", unknown.join("; "));
    Err(anyhow::Error::from(WithExit { code: exit::UNKNOWN, message }))
        .hint(format!("the reasons are listed above; name a source that covers them by {named_by}"))
}

/// One document with a run for each platform of each image, and those of others: the files that it
/// took.
pub(super) fn write_sarif(
    scans: &[ImageScan],
    others: Vec<OtherRun>,
    tools: &[ToolRun],
    file: &Path,
    context: &RunContext,
) -> anyhow::Result<Vec<String>> {
    let unwritten = || format!("input `sarif-file`: `{}` was not written", file.display());
    let documents = sarif::documents(scans, others, tools).with_context(unwritten)?;
    let folder = context.workspace.clone().unwrap_or_default();
    let mut written = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        // GitHub takes twenty runs a file.
        let path = match at {
            0 => file.to_owned(),
            more => file.with_extension(format!("{}.sarif", more + 1)),
        };
        let text = serde_json::to_string_pretty(document)?;
        files::write(&folder.join(&path), &folder, text.as_bytes())
            .remedied()
            .with_context(unwritten)?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

/// As what a result is signed, by this run.
pub(super) fn signed(inputs: &ScanInputs, context: &RunContext) -> SignedResult {
    let rules = &inputs.terms.rules;
    let repository = context.repository.as_deref().unwrap_or_default();
    let home = format!("{}/{repository}", context.server_url);
    let parameters = [
        ("fail-on", rules.fail_on.map_or("none", |level| level.as_str()).to_owned()),
        ("only-fixed", rules.only_fixed.to_string()),
        ("fail-on-unassessed", rules.fail_on_unassessed.to_string()),
        ("fail-on-unknown", rules.fail_on_unknown.to_string()),
        ("fail-on-kev", rules.fail_on_kev.to_string()),
        ("new-since-release", inputs.new_since_release.to_string()),
    ];
    SignedResult {
        types: inputs.vuln_attestation.clone(),
        invocation: ScanInvocation {
            uri: format!("{home}/actions/runs/{}/attempts/{}", context.run_id, context.run_attempt),
            event_id: context.run_id.clone(),
            builder: format!("{}/{}", context.server_url, context.workflow_ref),
            parameters: parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        },
        author: home,
    }
}
