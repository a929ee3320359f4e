//! What was asked to be built, and in which run → whether a provenance bears that out. Pure; where
//! it is not known, it does not.

use std::collections::BTreeMap;

use anyhow::anyhow;

use super::{Git, Provenance, Resource};
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::page::RefusalPage;

/// What a build was asked to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildAsked {
    /// A repository, as `context` names it.
    Git(Git),
    /// What is at this address, which is no repository.
    Url(String),
    /// Files of this job.
    Files,
    /// Other jobs of this run built it: its commit, or files of theirs.
    OfThisRun,
    /// What this address names, wherever it was built.
    Declared(String),
    /// Anything, built anywhere.
    Anything,
}

/// This run, as far as a provenance names it.
#[derive(Debug, Clone)]
pub struct ProvenanceRun {
    /// `None` outside of a workflow.
    repository: Option<Git>,
    host: String,
    commit: String,
    /// As the builder's name.
    url: String,
}

/// What a provenance that is accepted comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceVerdict {
    /// The builder to be put in where none is named.
    pub builder: Option<String>,
    pub origin: SourceOrigin,
}

/// Whose source it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceOrigin {
    /// This run's commit, by name.
    Run,
    /// Files that a job of this run sent.
    Files,
    Foreign(Resource),
    /// Nobody says.
    Unknown,
}

impl BuildAsked {
    /// What the input `context` asks for.
    pub fn of_context(context: &str) -> Self {
        let context = context.trim();
        let begins = |starts: &[&str]| starts.iter().any(|start| context.starts_with(start));
        let address = context.split(['#', '?']).next().unwrap_or_default();
        let is_http = begins(&["https://", "http://"]);
        let is_elsewhere = context.contains("://") && !begins(&["cwd://"]);
        // What BuildKit takes for a repository.
        let is_git = begins(&["git@", "git://", "ssh://", "github.com/"])
            || (is_http && address.ends_with(".git"));
        match Git::of(context).filter(|_| is_git) {
            Some(git) => Self::Git(git),
            None if is_git || is_elsewhere => Self::Url(context.to_owned()),
            None => Self::Files,
        }
    }

    /// Whether somebody said that what is signed may be another's.
    fn is_declared(&self) -> bool {
        matches!(self, Self::Declared(_) | Self::Anything)
    }
}

impl ProvenanceRun {
    pub fn of(context: &RunContext) -> Self {
        let home =
            format!("{}/{}", context.server_url, context.repository.as_deref().unwrap_or_default());
        let repository = context.repository.as_ref().and_then(|_| Git::of(&home));
        let attempt = if context.run_attempt.is_empty() { "1" } else { &context.run_attempt };
        Self {
            host: repository.as_ref().map(|git| git.host().to_owned()).unwrap_or_default(),
            repository,
            commit: context.sha.clone(),
            url: format!("{home}/actions/runs/{}/attempts/{attempt}", context.run_id),
        }
    }

    fn is_repository(&self, git: &Git) -> bool {
        self.repository.as_ref().is_some_and(|own| own.is_same_repository(git, &self.host))
    }

    /// Whether a resource is this run's repository at its commit, by every word of it.
    fn is_commit(&self, resource: &Resource) -> bool {
        let commits = resource.commits();
        !self.commit.is_empty()
            && !commits.is_empty()
            && commits.iter().all(|commit| commit.eq_ignore_ascii_case(&self.commit))
            && Git::of(&resource.uri).is_some_and(|git| self.is_repository(&git))
    }

    fn shown(&self) -> String {
        match &self.repository {
            Some(git) => format!("`https://{}/{}` at `{}`", git.host(), git.path(), self.commit),
            None => "no repository".to_owned(),
        }
    }
}

/// What a provenance is held against.
#[derive(Debug, Clone)]
pub struct ProvenanceTerms {
    pub asked: BuildAsked,
    pub run: ProvenanceRun,
}

impl ProvenanceTerms {
    pub fn check(&self, provenance: &Provenance) -> anyhow::Result<ProvenanceVerdict> {
        check(provenance, &self.asked, &self.run)
    }
}

fn check(
    provenance: &Provenance,
    asked: &BuildAsked,
    run: &ProvenanceRun,
) -> anyhow::Result<ProvenanceVerdict> {
    let source = completed_source(provenance, run)?;
    let origin = match &source {
        None if matches!(asked, BuildAsked::Anything) => SourceOrigin::Unknown,
        None => SourceOrigin::Files,
        Some(source) if run.is_commit(source) => SourceOrigin::Run,
        Some(source) => SourceOrigin::Foreign(source.clone()),
    };
    bears_out(source.as_ref(), &origin, asked, run)?;
    let origin = checked_out(provenance, origin, asked, run)?;
    Ok(ProvenanceVerdict { builder: builder(provenance, &origin, asked, run)?, origin })
}

/// The source, with the commit that the materials name of it where it names none itself; all that
/// names one must agree.
fn completed_source(
    provenance: &Provenance,
    run: &ProvenanceRun,
) -> anyhow::Result<Option<Resource>> {
    let Some(source) = &provenance.source else { return Ok(None) };
    let Some(git) = Git::of(&source.uri) else { return Ok(Some(source.clone())) };
    let mut source = source.clone();
    let of_repository: Vec<(&Resource, Git)> = provenance
        .materials
        .iter()
        .filter_map(|material| Some((material, Git::of(&material.uri)?)))
        .filter(|(_, other)| other.is_same_repository(&git, &run.host))
        .collect();
    let fetched = of_repository.iter().filter(|(_, other)| other.reference() == git.reference());
    let fetched: Vec<String> = fetched.flat_map(|(material, _)| material.commits()).collect();
    let named: Vec<String> = source.commits().into_iter().chain(fetched.iter().cloned()).collect();
    let is_first = |commit: &String| commit.eq_ignore_ascii_case(named.first().unwrap_or(commit));
    if let Some(other) = named.iter().find(|commit| !is_first(commit)) {
        return Err(anyhow!(
            "it contradicts itself: its source `{}` is at `{}` and at `{other}`",
            bare(&source.uri),
            named[0]
        ));
    }
    // Other commits of the same repository may be fetched besides, but not instead.
    let others: Vec<String> =
        of_repository.iter().flat_map(|(material, _)| material.commits()).collect();
    if !others.is_empty() && !others.iter().any(is_first) {
        return Err(anyhow!(
            "it contradicts itself: its source `{}` is at `{}`, and it fetched `{}`",
            bare(&source.uri),
            named[0],
            others[0]
        ));
    }
    if let (true, Some(commit)) = (source.commits().is_empty(), fetched.first()) {
        source.digest.insert("sha1".to_owned(), commit.clone());
    }
    Ok(Some(source))
}

/// The heading of the page about what another source says.
const PROVENANCE: RefusalPage = RefusalPage::ProvenanceOfAnotherSource;

fn bears_out(
    source: Option<&Resource>,
    origin: &SourceOrigin,
    asked: &BuildAsked,
    run: &ProvenanceRun,
) -> anyhow::Result<()> {
    const BUILDER: &str = "use a builder that only this job reaches: this one built something else";
    const ELSEWHERE: &str = "name that source with `build-source` if it was built from there on \
        purpose";
    let named = source.map_or("no source".to_owned(), shown);
    let git = source.and_then(|source| Git::of(&source.uri));
    match asked {
        BuildAsked::Anything => Ok(()),
        BuildAsked::OfThisRun if matches!(origin, SourceOrigin::Run | SourceOrigin::Files) => {
            Ok(())
        }
        BuildAsked::OfThisRun => {
            Err(anyhow!("it names {named}, but this run builds {}", run.shown()))
                .hint(ELSEWHERE)
                .see(PROVENANCE)
        }
        BuildAsked::Files if matches!(origin, SourceOrigin::Run | SourceOrigin::Files) => Ok(()),
        BuildAsked::Files => {
            Err(anyhow!("it names {named}, but the context is files of this job")).hint(BUILDER)
        }
        BuildAsked::Git(wanted) => {
            let is_there = git.is_some_and(|git| git.is_same_repository(wanted, &run.host));
            let commits = source.map(Resource::commits).unwrap_or_default();
            let is_commit = wanted.commit().is_none_or(|wanted| {
                !commits.is_empty()
                    && commits.iter().all(|commit| commit.eq_ignore_ascii_case(wanted))
            });
            if is_there && is_commit {
                return Ok(());
            }
            Err(anyhow!("it names {named}, but the context is {}", wanted.shown())).hint(BUILDER)
        }
        BuildAsked::Url(wanted)
            if source.is_some_and(|source| bare(&source.uri) == bare(wanted)) =>
        {
            Ok(())
        }
        BuildAsked::Url(wanted) => {
            Err(anyhow!("it names {named}, but the context is `{}`", bare(wanted))).hint(BUILDER)
        }
        BuildAsked::Declared(wanted) => {
            let told = Git::of(wanted);
            let is_there = match (&git, &told) {
                (Some(git), Some(told)) => git.is_same_repository(told, &run.host),
                _ => source.is_some_and(|source| bare(&source.uri) == bare(wanted)),
            };
            let commits = source.map(Resource::commits).unwrap_or_default();
            let is_commit = told.as_ref().and_then(Git::commit).is_none_or(|wanted| {
                !commits.is_empty()
                    && commits.iter().all(|commit| commit.eq_ignore_ascii_case(wanted))
            });
            if is_there && is_commit {
                return Ok(());
            }
            Err(anyhow!("it names {named}, but `build-source` is `{}`", bare(wanted)))
                .hint("name its source, or leave `build-source` out")
        }
    }
}

/// Files that a client sent may be another repository's, as the client says itself. This job knows
/// what it sends; of other jobs nobody does.
fn checked_out(
    provenance: &Provenance,
    origin: SourceOrigin,
    asked: &BuildAsked,
    run: &ProvenanceRun,
) -> anyhow::Result<SourceOrigin> {
    let Some(checkout) = provenance.checkout.as_deref().filter(|_| origin == SourceOrigin::Files)
    else {
        return Ok(origin);
    };
    if Git::of(checkout).is_some_and(|git| run.is_repository(&git)) {
        return Ok(origin);
    }
    if *asked == BuildAsked::OfThisRun {
        return Err(anyhow!(
            "it names a checkout of `{}`, but this run builds {}",
            bare(checkout),
            run.shown()
        ))
        .hint("name that source with `build-source` if it was built from there on purpose")
        .see(PROVENANCE);
    }
    Ok(SourceOrigin::Foreign(Resource { uri: bare(checkout), digest: BTreeMap::new() }))
}

/// The builder to be put in. SLSA demands one, and BuildKit names none that it was not told.
fn builder(
    provenance: &Provenance,
    origin: &SourceOrigin,
    asked: &BuildAsked,
    run: &ProvenanceRun,
) -> anyhow::Result<Option<String>> {
    if let Some(id) = &provenance.builder {
        let of_another = repository_of_run(id).filter(|git| {
            (git.host(), git.port()) == (&run.host, run.port()) && !run.is_repository(git)
        });
        return match of_another.filter(|_| !asked.is_declared()) {
            Some(_) => {
                Err(anyhow!("it names the builder `{id}`, which is a run of another repository"))
                    .hint("name its source with `build-source` if it was built there on purpose")
                    .see(PROVENANCE)
            }
            None => Ok(None),
        };
    }
    match (asked, origin) {
        (BuildAsked::Anything, SourceOrigin::Foreign(_) | SourceOrigin::Unknown) => Ok(None),
        (BuildAsked::Declared(_), SourceOrigin::Foreign(_)) => Err(anyhow!("it names no builder"))
            .hint("build with `provenance: mode=max,builder-id=URL`; or set `build-source: any`, which takes anybody's"),
        _ if run.repository.is_none() => Err(anyhow!("it names no builder, and this run has no name to put in"))
            .hint("run it in a workflow, or build with `provenance: mode=max,builder-id=URL`"),
        _ => Ok(Some(run.url.clone())),
    }
}

impl ProvenanceRun {
    fn port(&self) -> Option<u16> {
        self.repository.as_ref().and_then(Git::port)
    }
}

/// `https://host/owner/name/actions/runs/1` → the repository.
fn repository_of_run(id: &str) -> Option<Git> {
    let git = Git::of(id)?;
    let parts: Vec<&str> = git.path().split('/').collect();
    let [owner, name, actions, runs, ..] = parts.as_slice() else { return None };
    let is_run = actions.eq_ignore_ascii_case("actions") && runs.eq_ignore_ascii_case("runs");
    is_run.then(|| git.at(&format!("{owner}/{name}")))
}

/// A resource with its commit, for people.
fn shown(resource: &Resource) -> String {
    match resource.commits().last() {
        Some(commit) if !resource.uri.contains(commit.as_str()) => {
            format!("`{}` at `{commit}`", bare(&resource.uri))
        }
        _ => format!("`{}`", bare(&resource.uri)),
    }
}

/// An address without the login that may be in it.
fn bare(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (place, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    format!("{scheme}://{}{path}", place.rsplit_once('@').map_or(place, |(_, place)| place))
}
