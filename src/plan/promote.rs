//! Inputs, run and facts → what `promote` will do: which image, where it goes, and what it is called
//! there, by the decisions of `publish`. Pure; it asks no registry what a tag names.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::scanning::ScanPlan;
use super::shown::Words;
use super::told::unserved;
use super::trusted::PlannedTrust;
use super::{PlanReasons, PlannedRelease, PlatformStatements, Released, outline, refuse};
use crate::attest::summary::TrustedBuilder;
use crate::build::merge::claims::SourceImage;
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::github::facts::GitHubFacts;
use crate::github::server::Server;
use crate::image::Repository;
use crate::inputs::{Inputs, NOWHERE, PolicyTexts, PromotionSource, ScanInputs};
use crate::provenance::BuildAsked;
use crate::sigstore::settled::SettledTrust;
use crate::trigger::TriggerDecision;

/// What this run will do.
#[derive(Debug)]
pub enum PromotePlan {
    Nothing(Box<PlanReasons>),
    Promote(Box<Promotion>),
}

/// An image, and the names that it gets where it is copied to.
#[derive(Debug)]
pub struct Promotion {
    pub source: PromotionSource,
    /// OCI layouts on disk, and the names of the image in each.
    pub layouts: Vec<PathBuf>,
    pub layout_names: Vec<String>,
    pub release: PlannedRelease,
    /// What must be proven of it, at the source and at each destination.
    pub policy: PolicyTexts,
    /// By which rules it is scanned again before it is copied; `None`: it is not.
    pub scan: Option<ScanInputs>,
    /// How long the image may still be on its way.
    pub wait_for_source: Duration,
    pub dry_run: bool,
    /// `None` where none is wanted.
    pub summary: Option<PlannedSummary>,
}

/// Verification summaries that are signed before the tags are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSummary {
    /// Whose provenance counts as SLSA Build Level 3.
    pub builders: Vec<TrustedBuilder>,
}

/// Decides.
pub fn plan(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    trust: Option<&SettledTrust>,
) -> anyhow::Result<PromotePlan> {
    let mut outline = outline(inputs, context, env, facts)?;
    if outline.decision == TriggerDecision::BuildOnly {
        return Ok(PromotePlan::Nothing(Box::new(outline.nothing())));
    }
    on_default_branch(inputs, context, facts)?;
    let source = source(inputs, context)?;
    let read = match &source {
        PromotionSource::Registry(image) => Some(&image.repository),
        PromotionSource::Layout(_) => None,
    };
    let is_somewhere = |image: &&Repository| image.to_string() != NOWHERE;
    let reached: Vec<Repository> =
        outline.images.iter().filter(is_somewhere).chain(read).cloned().collect();
    outline.about.notices.extend(unserved(&inputs.logins.registry_auth, &reached, &[]));
    let tags_are_ours = outline.tags_are_ours;
    let nothing = PlatformStatements { sboms: Vec::new(), provenance: false, made_in_build: false };
    Ok(
        match outline.release(
            inputs,
            facts,
            &inputs.build.platforms,
            nothing,
            BuildAsked::Anything,
        )? {
            Released::Nothing(about) => PromotePlan::Nothing(about),
            Released::Release(mut release) => {
                // The name of the commit is how the image was found, and no name of a release.
                let commit = format!("sha-{}", context.sha);
                for target in &mut release.targets {
                    if tags_are_ours && target.names.iter().any(|name| name.tag.as_str() != commit)
                    {
                        target.names.retain(|name| name.tag.as_str() != commit);
                    }
                }
                let layout_names = split_off(&mut release);
                if inputs.promote.verification_summary && release.images().is_empty() {
                    return refuse("input `verification-summary`: a summary names the registry of an image, but the only destination is a layout on disk")
                        .hint("leave it out here, and set it where the layout goes to a registry");
                }
                release.trust = trust.map(PlannedTrust::of);
                let scan = inputs.promote.rescan.then(|| inputs.scan.clone());
                let inputs = &inputs.promote;
                PromotePlan::Promote(Box::new(Promotion {
                    source,
                    layouts: inputs.layouts.clone(),
                    layout_names,
                    release: *release,
                    policy: inputs.policy.clone(),
                    scan,
                    wait_for_source: inputs.wait_for_source,
                    dry_run: inputs.dry_run,
                    summary: inputs
                        .verification_summary
                        .then(|| PlannedSummary { builders: inputs.trusted_builders.clone() }),
                }))
            }
        },
    )
}

/// Takes the image that lies nowhere out of a release: gives the names that the image has in a
/// layout.
fn split_off(release: &mut PlannedRelease) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for target in &mut release.targets {
        names.extend(target.names.iter().map(|name| name.tag.to_string()));
        target.images.retain(|image| image.to_string() != NOWHERE);
        target.names.retain(|name| name.repository.to_string() != NOWHERE);
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A release is of what was reviewed: refuses the tag of a commit that is elsewhere, or of which
/// nobody knows.
fn on_default_branch(
    inputs: &Inputs,
    context: &RunContext,
    facts: &GitHubFacts,
) -> anyhow::Result<()> {
    let Some(tag) = context.git_ref.strip_prefix("refs/tags/") else { return Ok(()) };
    let branch = facts.default_branch.as_deref().unwrap_or("the default branch");
    let why = match facts.on_default_branch {
        _ if inputs.promote.allow_any_branch => return Ok(()),
        Some(true) => return Ok(()),
        Some(false) => format!("the commit of tag `{tag}` is not on `{branch}`"),
        None => format!("it is not known whether the commit of tag `{tag}` is on `{branch}`"),
    };
    refuse(&why).hint("tag a commit of the default branch, or set `allow-any-branch: true`")
}

/// The image that is named, or the one that `publish` made of this commit.
fn source(inputs: &Inputs, context: &RunContext) -> anyhow::Result<PromotionSource> {
    if let Some(source) = &inputs.promote.source {
        return Ok(source.clone());
    }
    let registry = Server::of(&context.server_url).registry();
    let (Some(repository), Some(registry)) = (&context.repository, registry) else {
        return refuse("input `source`: not set, and no workflow run says which repository it is")
            .hint("write for example `source: ghcr.io/octo/app:v1.2.3`");
    };
    if context.sha.is_empty() {
        return refuse(
            "input `source`: not set, and this run names no commit whose image it could \
            be",
        )
        .hint("write for example `source: ghcr.io/octo/app:v1.2.3`");
    }
    let repository = format!("{registry}/{}", repository.to_lowercase()).parse()?;
    let tag = format!("sha-{}", context.sha).parse()?;
    Ok(PromotionSource::Registry(SourceImage { repository, tag: Some(tag), digest: None }))
}

impl PromotePlan {
    pub fn about(&self) -> &PlanReasons {
        match self {
            Self::Nothing(about) => about,
            Self::Promote(plan) => &plan.release.about,
        }
    }

    /// The plan for machines.
    pub fn json(&self) -> Value {
        let plan = match self {
            Self::Nothing(about) => return about.json_of_nothing(),
            Self::Promote(plan) => plan,
        };
        let mut json = plan.release.json();
        json["source"] = plan.source.to_string().into();
        json["layouts"] = plan.layouts.iter().map(|layout| layout.display().to_string()).collect();
        json["verificationSummary"] = plan.summary.is_some().into();
        json["permissions"] = plan.permissions().into();
        json
    }

    /// The plan for people.
    pub fn words(&self) -> Words {
        let plan = match self {
            Self::Nothing(about) => {
                return Words { short: about.lines("promote nothing"), rest: Vec::new() };
            }
            Self::Promote(plan) => plan,
        };
        let mut short = plan.release.about.lines("promote");
        short.push(format!("Source:     {}", plan.source));
        short.extend(plan.release.names_lines());
        if !plan.layouts.is_empty() {
            let paths: Vec<String> =
                plan.layouts.iter().map(|layout| layout.display().to_string()).collect();
            short.retain(|line| line.trim() != "Images:" && line.trim() != "Tags:");
            short.push(format!("Layouts:    {}", paths.join(", ")));
        }
        short.extend(
            plan.scan.iter().map(|scan| {
                format!("Scan:       {}", ScanPlan::Scan(Box::new(scan.clone())).words())
            }),
        );
        let mut rest = vec![
            format!("Summary:    {}", plan.summary_told()),
            format!("Needs:      {}", plan.permissions().join(", ")),
        ];
        rest.extend(plan.release.trust_lines());
        Words { short, rest }
    }
}

impl Promotion {
    fn summary_told(&self) -> &'static str {
        match self.summary {
            Some(_) => "a signed verification summary of each part, before the tags",
            None => "none, as `verification-summary` is not set",
        }
    }

    /// What the workflow must grant.
    fn permissions(&self) -> Vec<&'static str> {
        let signs = self.summary.is_some() && self.release.key.is_none();
        let by_oidc = signs || self.release.logs_in_by_oidc;
        let mut permissions = vec!["contents: read"];
        permissions.extend(by_oidc.then_some("id-token: write"));
        permissions
    }
}
