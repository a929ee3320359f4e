//! Packages and sources of advisories → what is known about an image, judged by rules: the scan of
//! the command line, and that of a release. It signs nothing, sets no tag, and takes no question
//! that went unanswered for "none known".

pub mod bases;
mod judged;
mod lists;
pub mod origin;
pub mod refused;
pub mod search;
mod sources;
pub mod tools;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::lists::HandedLists;
pub use self::lists::accepted;
use self::search::waivers::is_about_secrets;
use crate::advisories::gather::Sources;
use crate::advisories::place::AdvisoryPlace;
use crate::error::{Remedy as _, WithExit, exit, exit_code};
use crate::github::network::Network;
use crate::image::{Digest, Platform};
use crate::report::text::visible;
use crate::sbom::spdx::oci_purl;
use crate::scan::accepted::Product;
use crate::scan::findings::{Findings, ScanSubject};
use crate::scan::gate::{self, GateRules, GateVerdict};
use crate::scan::known::KnownFindings;
use crate::scan::report::{AdvisorySource, ImageScan};
use crate::scan::rows::summary;
use crate::text;
use crate::text::age::Age;

/// What a scan goes by: options of the command line, or inputs of an action.
#[derive(Debug, Clone, Default)]
pub struct ScanTerms {
    pub asker: TermsAuthor,
    pub rules: GateRules,
    /// Folders, archives and addresses of archives of OSV records. With one of them no service is asked that is not named.
    pub advisories: Vec<AdvisoryPlace>,
    pub osv_url: Option<String>,
    /// Where the service's records are kept.
    pub advisory_cache: Option<PathBuf>,
    pub max_advisory_age: Option<Age>,
    /// Files of accepted risks, and OpenVEX documents.
    pub ignore_files: Vec<PathBuf>,
    pub vex: Vec<AdvisoryPlace>,
    /// Files or addresses.
    pub kev: Option<AdvisoryPlace>,
    pub epss: Option<AdvisoryPlace>,
}

/// Who set the terms: messages name them as they are written there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TermsAuthor {
    #[default]
    CommandLine,
    Action,
}

impl TermsAuthor {
    /// `option `--kev``, or `input `kev``.
    pub fn named(self, name: &str) -> String {
        match self {
            Self::CommandLine => format!("option `--{name}`"),
            Self::Action => format!("input `{name}`"),
        }
    }

    /// `--kev`, or `kev`.
    pub fn word(self, name: &str) -> String {
        match self {
            Self::CommandLine => format!("--{name}"),
            Self::Action => name.to_owned(),
        }
    }
}

impl ScanTerms {
    /// Whether a service is asked.
    pub fn asks_service(&self) -> bool {
        self.osv_url.is_some() || self.advisories.is_empty()
    }
}

/// What is known of an image beside its packages.
#[derive(Debug, Clone)]
pub struct AssessedAbout {
    pub name: String,
    pub digest: Option<Digest>,
    pub platform: Option<Platform>,
}

impl AssessedAbout {
    /// `GOOS` and `GOARCH`.
    fn go_platform(&self) -> Option<(&str, &str)> {
        self.platform
            .as_ref()
            .map(|platform| (platform.os.as_str(), platform.architecture.as_str()))
    }

    /// By what OpenVEX documents know the image.
    fn product(&self) -> Product {
        let purl = |digest: &Digest| oci_purl(&self.name, digest.hex());
        Product { purls: self.digest.iter().map(purl).collect(), names: vec![self.name.clone()] }
    }
}

/// An image and the packages that it has.
#[derive(Debug)]
pub struct ImagePackages {
    pub about: AssessedAbout,
    pub subjects: Vec<ScanSubject>,
}

/// What is known about one image, and what the rules say of it.
#[derive(Debug)]
pub struct Assessed {
    pub scan: ImageScan,
    pub verdict: GateVerdict,
}

/// What became of the scan of one image of a release.
#[derive(Debug)]
pub enum Scanned {
    /// Nothing was asked, and why.
    Not(String),
    /// A question went unanswered, and the release goes on without a result.
    Unanswered(String),
    /// Of each platform.
    Done(Vec<Assessed>),
}

impl Scanned {
    pub fn assessed(&self) -> &[Assessed] {
        match self {
            Self::Done(assessed) => assessed,
            Self::Not(_) | Self::Unanswered(_) => &[],
        }
    }
}

/// What a scan is compared with, so that only what is new refuses.
#[derive(Debug)]
pub enum Earlier<'a> {
    None,
    /// By the signed result of a published image.
    Published(&'a KnownFindings),
    /// The first of the images that are assessed, by its name.
    First(&'a str),
}

impl<'a> Earlier<'a> {
    fn known(&self) -> Option<&'a KnownFindings> {
        match self {
            Self::Published(known) => Some(known),
            Self::None | Self::First(_) => None,
        }
    }
}

impl<'a> From<Option<&'a KnownFindings>> for Earlier<'a> {
    fn from(known: Option<&'a KnownFindings>) -> Self {
        known.map_or(Self::None, Self::Published)
    }
}

/// Sources and lists, opened before anything is made: what is wrong with them is found here.
pub struct Assessor {
    terms: ScanTerms,
    lists: HandedLists,
    sources: Sources,
    newest: Vec<AdvisorySource>,
}

impl Assessor {
    /// Reads what was handed over, and indexes the advisories at hand; those of an address are
    /// fetched into `folder`. It asks nobody about a package.
    ///
    /// # Errors
    /// When a file cannot be followed to the letter, or the advisories at hand are too old.
    pub async fn open(
        terms: &ScanTerms,
        network: &Network,
        now: Timestamp,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let lists = lists::read(terms, network).await?;
        let sources = sources::open(terms, network, folder).await.map_err(unanswered)?;
        let newest = sources::at_hand(&sources, &terms.advisories);
        too_old(terms, &newest, now)?;
        Ok(Self { terms: terms.clone(), lists, sources, newest })
    }

    pub fn rules(&self) -> &GateRules {
        &self.terms.rules
    }

    pub fn asker(&self) -> TermsAuthor {
        self.terms.asker
    }

    /// Asks about the packages of all images at once: what several have is asked once.
    ///
    /// # Errors
    /// When a part went unanswered.
    pub async fn assess(
        &self,
        images: Vec<ImagePackages>,
        started: Timestamp,
    ) -> anyhow::Result<Vec<Assessed>> {
        self.assess_new(images, started, &Earlier::None).await
    }

    /// The same, where what the state before has refuses nothing.
    ///
    /// # Errors
    /// When a part went unanswered.
    pub async fn assess_new(
        &self,
        images: Vec<ImagePackages>,
        started: Timestamp,
        earlier: &Earlier<'_>,
    ) -> anyhow::Result<Vec<Assessed>> {
        let mut of_first = None;
        let (abouts, counts): (Vec<AssessedAbout>, Vec<usize>) =
            images.iter().map(|image| (image.about.clone(), image.subjects.len())).unzip();
        let mut all: Vec<ScanSubject> =
            images.into_iter().flat_map(|image| image.subjects).collect();
        let records = self.sources.records(&mut all).await.map_err(unanswered)?;
        let exploited = self.lists.exploited(&records, self.terms.asker)?;
        let mut assessed = Vec::new();
        for (about, count) in abouts.into_iter().zip(counts) {
            let rest = all.split_off(count);
            let subjects = std::mem::replace(&mut all, rest);
            let found = Findings::of(&subjects, &records, &exploited, about.go_platform());
            let finished = Timestamp::now();
            let mut verdict = gate::judge(
                &found,
                &self.terms.rules,
                &self.lists.accepted,
                &about.product(),
                finished,
            );
            let sources = sources::named(&self.sources, &self.newest, &records, finished);
            if let Some(known) = earlier.known().or(of_first.as_ref()) {
                verdict.spare(&found, known, about.platform.as_ref());
            }
            let scan = judged::scan(found, &verdict, about, sources, (started, finished));
            if let Earlier::First(named) = earlier {
                of_first.get_or_insert_with(|| KnownFindings::of_scan(&scan, named));
            }
            assessed.push(Assessed { scan, verdict });
        }
        Ok(assessed)
    }

    /// What people should know beside what was found, each once: rules that have expired or accept
    /// nothing, and what no rule can meet. `met` are places of rules that accept something else.
    pub fn remarks(&self, assessed: &[&Assessed], met: &BTreeSet<String>) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        let mut say = |text: String| {
            if !told.contains(&text) {
                told.push(text);
            }
        };
        for risk in assessed.iter().flat_map(|assessed| &assessed.verdict.expired) {
            say(format!("`{}` has expired: {}", visible(&risk.place), visible(&risk.reason)));
        }
        // What one image does not have another may.
        let unused = assessed.iter().map(|assessed| &assessed.verdict.unused);
        if let Some(first) = assessed.first() {
            // What is about secrets is judged beside the scan.
            let ours = first.verdict.unused.iter().filter(|risk| !is_about_secrets(risk));
            let ours = ours.filter(|risk| !met.contains(&risk.place));
            for risk in ours {
                if unused.clone().all(|unused| unused.contains(risk)) {
                    say(format!("`{}` accepts nothing that was found", visible(&risk.place)));
                }
            }
        }
        if let Some(unrated) = self.unrated(assessed) {
            say(unrated);
        }
        told
    }

    /// No level is met by what nobody rates, and silence would be taken for "harmless".
    fn unrated(&self, assessed: &[&Assessed]) -> Option<String> {
        let rules = &self.terms.rules;
        let counts = assessed.iter().map(|it| summary(&[&it.scan]).tally.counts.unknown);
        let count = counts.max().filter(|count| *count > 0)?;
        if rules.fail_on_unknown || rules.fail_on.is_none() {
            return None;
        }
        let count = text::plural(usize::try_from(count).unwrap_or(usize::MAX), "vulnerability");
        let [lowest, unknown] =
            ["fail-on", "fail-on-unknown"].map(|name| self.terms.asker.word(name));
        Some(format!(
            "{count} without a severity: no source rates them, so `{lowest}` does not apply to them; `{unknown}` does"
        ))
    }
}

/// An argument that is wrong keeps its exit code.
fn unanswered(error: anyhow::Error) -> anyhow::Error {
    if exit_code(&error) == exit::BAD_INPUT {
        return error;
    }
    let message = "nothing is known about the image, because not every question was answered";
    error.context(WithExit { code: exit::UNKNOWN, message: message.to_owned() })
}

/// Each source must know of something new; a service knows what it is asked.
fn too_old(terms: &ScanTerms, sources: &[AdvisorySource], now: Timestamp) -> anyhow::Result<()> {
    let Some(most) = terms.max_advisory_age else { return Ok(()) };
    let is_old = |source: &&AdvisorySource| now.duration_since(source.newest) > most.duration();
    let Some(source) = sources.iter().find(is_old) else { return Ok(()) };
    let message = format!(
        "nothing is known about the image: the newest advisory in `{}` is of `{}`, more than {most} ago",
        visible(&source.uri),
        source.newest
    );
    Err(anyhow::Error::from(WithExit { code: exit::UNKNOWN, message })).hint(format!(
        "fetch them again with `supply-action advisories update`, or raise `{}`",
        terms.asker.word("max-advisory-age")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_at_hand_must_be_young_enough() {
        let now: Timestamp = "2026-11-29T00:00:00Z".parse().unwrap();
        let source = |uri: &str, newest: &str| AdvisorySource {
            uri: uri.to_owned(),
            newest: newest.parse().unwrap(),
        };
        let sources = [source("a", "2026-11-28T00:00:00Z"), source("b", "2026-11-20T00:00:00Z")];
        let terms = |age: Option<&str>| ScanTerms {
            max_advisory_age: age.map(|age| age.parse().unwrap()),
            ..ScanTerms::default()
        };
        too_old(&terms(None), &sources, now).unwrap();
        too_old(&terms(Some("9d")), &sources, now).unwrap();
        let error = too_old(&terms(Some("7d")), &sources, now).unwrap_err();
        assert_eq!(exit_code(&error), exit::UNKNOWN);
        assert_eq!(
            crate::error::message(&error),
            "nothing is known about the image: the newest advisory in `b` is of `2026-11-20T00:00:00Z`, more than 7d ago"
        );
    }
}
