//! Inputs, run and facts → what `merge` will do: the same decisions as for `publish`, about images
//! that other jobs pushed. Pure; it asks no registry whether a claim holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::scanning::unused_scan;
use super::shown::{Words, joined, listed};
use super::told::{Goal, unserved, unused_evidence_dir};
use super::{
    PlanOutline, PlanReasons, PlannedRelease, PlatformStatements, Released, outline, refuse,
    some_image, supplier, unauthenticated_cache,
};
use crate::build::merge::claims::JobClaim;
use crate::build::merge::claims::SourceImage;
use crate::build::sbom::WrittenSboms;
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::evidence::{SLSA_1, SPDX};
use crate::github::RunContext;
use crate::github::facts::GitHubFacts;
use crate::image::Repository;
use crate::inputs::{BuildSource, Inputs, MergeInputs, MergedSbom};
use crate::metadata;
use crate::page::RefusalPage;
use crate::provenance::BuildAsked;
use crate::sigstore::settled::SettledTrust;
use crate::trigger::TriggerDecision;

/// What this run will do.
#[derive(Debug)]
pub enum MergePlan {
    Nothing(Box<PlanReasons>),
    Merge(Box<Merge>),
}

/// What is merged into one image, and published.
#[derive(Debug)]
pub struct Merge {
    pub release: PlannedRelease,
    pub claims: Vec<JobClaim>,
    /// Images that no job of this run hands on.
    pub sources: Vec<SourceImage>,
    /// What each image must come with: predicate types of BuildKit's statements.
    pub statements: Vec<&'static str>,
    /// Whether the SBOMs are made here, of the layers.
    pub sboms_of_layers: bool,
    /// What those say.
    pub written: WrittenSboms,
    /// What the index itself says, beside what it keeps of the jobs' own.
    pub annotations: BTreeMap<String, String>,
    /// Whether each job that hands on an image must have run on a runner of GitHub's.
    pub check_runners: bool,
    /// Whether the images may be built from another source than this run's.
    pub names_build_source: bool,
}

/// Decides.
pub fn plan(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    trust: Option<&SettledTrust>,
) -> anyhow::Result<MergePlan> {
    let mut outline = outline(inputs, context, env, facts)?;
    if outline.decision == TriggerDecision::BuildOnly {
        outline.about.notices.extend(unused_evidence_dir(inputs, Goal::Check));
        outline.about.notices.extend(unused_scan(inputs, Goal::Check));
        return Ok(MergePlan::Nothing(Box::new(outline.nothing())));
    }
    let (claims, sources) = (inputs.merge.claims.clone(), inputs.merge.sources.clone());
    named(&claims, &sources, &outline.images)?;
    outline.about.notices.extend(remarks(inputs, &sources, &outline.images));
    let annotations = annotations(inputs, env, &outline)?;
    let MergeInputs { sbom, provenance, .. } = inputs.merge;
    let made_before = [(sbom == MergedSbom::Built, SPDX), (provenance, SLSA_1)];
    let statements: Vec<&str> =
        made_before.into_iter().filter_map(|(is_wanted, kind)| is_wanted.then_some(kind)).collect();
    let attested = PlatformStatements {
        sboms: (sbom != MergedSbom::Off)
            .then(|| inputs.sboms.sbom_format.unwrap_or_default().predicate_type())
            .into_iter()
            .collect(),
        provenance,
        made_in_build: !statements.is_empty(),
    };
    let sboms_of_layers = sbom == MergedSbom::Registry;
    if inputs.sboms.sbom_cache.is_some() && !sboms_of_layers {
        outline.about.notices.push(
            "input `sbom-cache` is not used: SBOMs are made of layers only with `sbom: registry`"
                .to_owned(),
        );
    }
    outline.about.notices.extend(unauthenticated_cache(inputs, sboms_of_layers));
    let asked = match &inputs.merge.build_source {
        BuildSource::Run => BuildAsked::OfThisRun,
        BuildSource::Uri(address) => BuildAsked::Declared(address.clone()),
        BuildSource::Any => BuildAsked::Anything,
    };
    Ok(match outline.release(inputs, facts, &inputs.build.platforms, attested, asked)? {
        Released::Release(release) => {
            let release = release.settled(inputs, trust)?.searched(inputs).scanned(inputs)?;
            let supplier = supplier(&release.about.metadata.labels, context);
            let written = WrittenSboms {
                format: inputs.sboms.sbom_format.unwrap_or_default(),
                files: inputs.sboms.sbom_files,
                supplier,
            };
            MergePlan::Merge(Box::new(Merge {
                release,
                claims,
                sources,
                statements,
                sboms_of_layers,
                written,
                annotations,
                check_runners: inputs.merge.check_runners,
                names_build_source: inputs.merge.build_source != BuildSource::Run,
            }))
        }
        Released::Nothing(about) => MergePlan::Nothing(about),
    })
}

/// Refuses what names nothing, or what lies where no job pushed.
fn named(
    claims: &[JobClaim],
    sources: &[SourceImage],
    images: &[Repository],
) -> anyhow::Result<()> {
    if claims.is_empty() && sources.is_empty() {
        return refuse("inputs `digests` and `digest-files`: no job passed on a digest, so there is nothing to merge")
            .hint("write `digests: ${{ toJSON(needs) }}`, and give each job that builds an output `digests` from its step")
            .hint("name images of other builds, or images with tags, in `source-images`")
            .see(RefusalPage::NoDigests);
    }
    some_image(images)?;
    for claim in claims {
        if let Some(foreign) = claim.repository.as_ref().filter(|named| !images.contains(named)) {
            return refuse(&format!(
                "input `digests`: `{foreign}@{}` ({}) lies in none of `images`: {}",
                claim.digest,
                claim.by,
                joined(images)
            ))
            .hint("give merge and the jobs that build the same `images`; name an image of another repository with `source-images`");
        }
    }
    Ok(())
}

/// What a user should know of the platforms and of the logins.
fn remarks(inputs: &Inputs, sources: &[SourceImage], images: &[Repository]) -> Vec<String> {
    let unset = inputs.build.platforms.is_empty().then(|| {
        "input `platforms` is not set, so this run cannot notice a missing platform".to_owned()
    });
    let read = sources.iter().map(|source| &source.repository);
    let reached: Vec<Repository> = images.iter().chain(read).cloned().collect();
    unset.into_iter().chain(unserved(&inputs.logins.registry_auth, &reached, &[])).collect()
}

/// What goes on the index: all annotations of level `index` where the levels are named; otherwise
/// the user's own, since an index is all that is made here.
fn annotations(
    inputs: &Inputs,
    env: &Environment,
    outline: &PlanOutline,
) -> anyhow::Result<BTreeMap<String, String>> {
    let made = &outline.about.metadata.annotations;
    let pair =
        |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    if env.get("DOCKER_METADATA_ANNOTATIONS_LEVELS").is_some_and(|levels| !levels.is_empty()) {
        return Ok(made
            .iter()
            .filter_map(|line| line.strip_prefix("index:"))
            .filter_map(pair)
            .collect());
    }
    let own = metadata::entries("annotations", &inputs.names.metadata.annotations)?;
    let is_own = |key: &str| own.iter().any(|entry| entry.split('=').next() == Some(key));
    Ok(made
        .iter()
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(_, line)| pair(line))
        .filter(|(key, _)| is_own(key))
        .collect())
}

impl MergePlan {
    pub fn about(&self) -> &PlanReasons {
        match self {
            Self::Nothing(about) => about,
            Self::Merge(plan) => &plan.release.about,
        }
    }

    /// The plan for machines.
    pub fn json(&self) -> Value {
        let plan = match self {
            Self::Nothing(about) => return about.json_of_nothing(),
            Self::Merge(plan) => plan,
        };
        let mut json = plan.release.json();
        let claims = plan.claims.iter().map(|claim| claim.digest.to_string());
        json["parts"] = claims.chain(plan.sources.iter().map(ToString::to_string)).collect();
        json
    }

    /// The plan for people.
    pub fn words(&self) -> Words {
        let plan = match self {
            Self::Nothing(about) => {
                return Words { short: about.lines("merge nothing"), rest: Vec::new() };
            }
            Self::Merge(plan) => plan,
        };
        let mut short = plan.release.about.lines("merge and publish");
        let platforms: Vec<_> =
            plan.release.targets.iter().flat_map(|target| &target.requirements.platforms).collect();
        short.extend(plan.release.names_lines());
        short.push(format!(
            "Platforms:  {}",
            if platforms.is_empty() {
                "all of the images to merge".to_owned()
            } else {
                joined(&platforms)
            }
        ));
        short.push(format!("Needs:      {}", joined(&plan.release.permissions())));
        let sources = plan.sources.iter().map(|source| match source.digest {
            Some(_) => source.to_string(),
            None => format!("{source}, by what it points to when the run begins"),
        });
        let parts: Vec<String> = plan
            .claims
            .iter()
            .map(|claim| match &claim.platform {
                Some(platform) => format!("{} for {platform} ({})", claim.digest, claim.by),
                None => format!("{} ({})", claim.digest, claim.by),
            })
            .chain(sources)
            .collect();
        let mut rest = Vec::new();
        listed(&mut rest, "Parts:", &parts);
        rest.extend(plan.release.lines());
        let annotations: Vec<String> =
            plan.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
        listed(&mut rest, "Annotated:", &annotations);
        listed(&mut rest, "Logins:", &plan.release.about.login_lines());
        Words { short, rest }
    }
}
