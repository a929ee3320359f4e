//! The search of a release for secrets, and for what is set in an unwise way: the layers and configs
//! that it pushed → whether the images may be tagged. It asks no service, and tells no value.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::assess::bases::BasedImage;
use crate::assess::search::refused::{SearchRefusal, SearchRules, SearchVerdict, judge};
use crate::assess::search::summary::SearchSummary;
use crate::assess::search::{PlatformSearch, Searched, SearchedLayers, of_release, waivers};
use crate::assess::{TermsAuthor, accepted};
use crate::error::Remedy as _;
use crate::image::{ImageRef, Repository};
use crate::page::RefusalPage;
use crate::plan::searching::SearchPlan;
use crate::registry::Registry;
use crate::report::Report;
use crate::scan::sarif::OtherRun;
use crate::secrets::leak::Leak;
use crate::secrets::sarif;
use crate::secrets::weakness::Weakness;
use crate::text::seen::visible;
use crate::text::{plural, with_lines};

/// What a release is searched by, or why it is not.
pub enum Searching {
    Search(SearchRules),
    Not(String),
}

/// What the search of each image came to.
#[derive(Debug, Default)]
pub struct SearchOutcome {
    /// Of each image; nothing where none was searched.
    pub summaries: Vec<Option<SearchSummary>>,
    /// For the document of findings.
    pub runs: Vec<OtherRun>,
}

impl Searching {
    /// Reads what may stay; what is wrong with it is told before anything is built.
    pub(super) fn open(plan: &SearchPlan) -> anyhow::Result<Self> {
        match plan {
            SearchPlan::Not(why) => Ok(Self::Not(why.clone())),
            SearchPlan::Search { terms, misconfig, ignore_files } => {
                let accepted = accepted(ignore_files, TermsAuthor::Action)?;
                Ok(Self::Search(SearchRules {
                    terms: *terms,
                    misconfig: *misconfig,
                    waivers: waivers::of(&accepted),
                }))
            }
        }
    }

    /// Searches an image of the release.
    pub(super) async fn search(
        &self,
        registry: &Registry,
        repository: &Repository,
        images: &Arc<Vec<BasedImage>>,
        layers: &Arc<SearchedLayers>,
    ) -> anyhow::Result<Searched> {
        match self {
            Self::Not(why) => Ok(Searched::Not(why.clone())),
            Self::Search(_) => {
                of_release(registry, repository, images, layers).await.map(Searched::Done)
            }
        }
    }

    /// Says what people should know of what was found, and refuses where the rules do.
    pub(super) fn judged(
        &self,
        images: &[(ImageRef, &Searched)],
        report: &Report,
    ) -> (SearchOutcome, anyhow::Result<()>) {
        let rules = match self {
            Self::Search(rules) => rules,
            Self::Not(_) => {
                let summaries = images.iter().map(|_| None).collect();
                return (SearchOutcome { summaries, runs: Vec::new() }, Ok(()));
            }
        };
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let mut outcome = SearchOutcome::default();
        let mut lines = Vec::new();
        for (image, searched) in images {
            let platforms: Vec<&PlatformSearch> = searched.platforms().iter().collect();
            let verdict = judge(&platforms, rules, today);
            let summary = SearchSummary::of(searched.platforms(), &verdict);
            tell(image, &summary, report);
            let refusing = verdict.refusal().map(|refusal| refusal.lines).unwrap_or_default();
            lines.extend(refusing.into_iter().map(|line| match images.len() {
                1 => line,
                _ => format!("{}: {line}", image.repository),
            }));
            outcome.runs.push(run(image, &verdict, rules, &summary));
            outcome.summaries.push(Some(summary));
        }
        let all: Vec<&PlatformSearch> =
            images.iter().flat_map(|(_, searched)| searched.platforms()).collect();
        let verdict = judge(&all, rules, today);
        verdict.remarks(rules).iter().for_each(|remark| report.notice(remark));
        // One list of what refuses, in which each line says of which image it is.
        let refusal = verdict.refusal().map(|refusal| SearchRefusal { lines, ..refusal });
        let refusal = refusal.map_or(Ok(()), |refusal| refused(&refusal, images));
        (outcome, refusal)
    }
}

/// What was looked at, what is told alone, and what nobody knows.
fn tell(image: &ImageRef, summary: &SearchSummary, report: &Report) {
    const MOST: usize = 10;
    let count = summary.secrets.told + summary.secrets.accepted;
    let told = match count {
        0 => String::new(),
        _ => format!(", {} only listed", plural(count, "secret")),
    };
    report.say(&format!("secrets: {} in `{}`{told}", summary.sentence, image.repository));
    for line in summary.told.iter().take(MOST) {
        report.say(&format!("  {line}"));
    }
    if summary.told.len() > MOST {
        report.say(&format!("  and {} more", summary.told.len() - MOST));
    }
    summary.gaps.iter().for_each(|gap| report.notice(&format!("`{}`: {gap}", image.repository)));
}

/// Why no image is tagged, secret by secret.
fn refused(refusal: &SearchRefusal, images: &[(ImageRef, &Searched)]) -> anyhow::Result<()> {
    let text = with_lines(&refusal.sentence, &refusal.lines);
    let images: Vec<String> = images.iter().map(|(image, _)| format!("`{image}`")).collect();
    let refused: anyhow::Result<()> = Err(anyhow::anyhow!(text));
    if !refusal.names_secrets {
        return refused
            .hint("change it, or list its id with a reason in a file of `ignore-file`")
            .see(RefusalPage::SecretsInTheImage);
    }
    refused
        .hint(format!(
            "revoke it first: the image is already in {} under its digest, for everyone who can \
             pull there",
            images.join(", ")
        ))
        .hint("build without it: `RUN --mount=type=secret` leaves nothing in a layer, and files of earlier stages stay out of the image; a later `RUN rm` removes nothing")
        .hint("list what may stay in a file of `ignore-file`, by its `sha256:…` and with a reason")
        .see(RefusalPage::SecretsInTheImage)
}

/// What GitHub shows, under a category of its own.
fn run(
    image: &ImageRef,
    verdict: &SearchVerdict,
    rules: &SearchRules,
    summary: &SearchSummary,
) -> OtherRun {
    let leaks: Vec<Leak> = verdict.leaks.iter().map(|it| it.found.clone()).collect();
    let weak: Vec<Weakness> = verdict.weaknesses.iter().map(|it| it.found.clone()).collect();
    let mut rows = sarif::rows(&leaks, &verdict.secrets, &rules.waivers, 0);
    let more = sarif::weak_rows(&weak, &verdict.accepted, &rules.waivers, rows.rules.len());
    rows.rules.extend(more.rules);
    rows.results.extend(more.results);
    let name = visible(&image.repository.to_string());
    let mut notes = vec![format!("{}.", summary.sentence)];
    notes.extend(summary.gaps.iter().cloned());
    OtherRun {
        category: format!("supply-action/secrets/{}/", name.trim_matches('/')),
        rules: rows.rules,
        results: rows.results,
        notes,
        image: name,
    }
}
