//! Inputs, run, facts and resolved bake files → what `bake` will do: the same decisions as for
//! `publish`, about several images. Pure; it asks neither buildx nor a registry.

use serde_json::{Value, json};

use super::PlatformStatements;
use super::names::LinesByTag;
use super::scanning::unused_scan;
use super::shown::{SHORT, Words, joined, listed, words};
use super::told::{Goal, unserved, unused_evidence_dir};
use super::{
    PlanReasons, PlannedRelease, PublishTarget, about, answer, build, must_sign, refuse,
    requirements,
};
use crate::build::bake::{BakedImage, Definition};
use crate::build::recipe::Build;
use crate::build::sbom::Sbom;
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::github::facts::GitHubFacts;
use crate::image::Repository;
use crate::inputs::Inputs;
use crate::metadata::ImageMetadata;
use crate::page::RefusalPage;
use crate::preflight;
use crate::provenance::BuildAsked;
use crate::sigstore::settled::SettledTrust;
use crate::trigger::TriggerDecision;

/// What this run will do.
#[derive(Debug)]
pub enum BakePlan {
    BuildOnly(Box<BakeBuildOnly>),
    Publish(Box<Bake>),
}

/// Every target is built, and nothing is pushed.
#[derive(Debug)]
pub struct BakeBuildOnly {
    pub about: PlanReasons,
    pub build: Build,
    pub definition: Definition,
    /// What a registry's caches and base images may need a login for.
    pub images: Vec<Repository>,
}

/// What is built together, and published only together.
#[derive(Debug)]
pub struct Bake {
    pub release: PlannedRelease,
    /// The platforms of all targets, and the evidence that BuildKit makes of each.
    pub build: Build,
    pub definition: Definition,
    pub goods: Vec<BakedImage>,
}

/// Decides.
pub fn plan(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    trust: Option<&SettledTrust>,
    definition: Definition,
) -> anyhow::Result<BakePlan> {
    let answer = answer(inputs, context, facts);
    // What the images are called and say of themselves is the bake files' to tell, so the event's
    // tags are of no use.
    let mut about = about(inputs, context, &answer, ImageMetadata::default());
    let (mut build, mut notices) = build(inputs, context, env, facts, &about.metadata)?;
    about.notices.append(&mut notices);
    about.notices.extend(definition.uneven());
    about.notices.extend(definition.unheeded());
    let goods = definition.goods();
    if answer.decision == TriggerDecision::BuildOnly {
        let told = goods
            .as_ref()
            .err()
            .into_iter()
            .flatten()
            .map(|wrong| format!("to publish this would be refused: {wrong}"));
        about.notices.extend(told);
        about.notices.extend(unused_evidence_dir(inputs, Goal::Check));
        about.notices.extend(unused_scan(inputs, Goal::Check));
        build.platforms = definition.platforms().or_else(|wrong| refuse(&listed_wrong(&wrong)))?;
        let goods = goods.unwrap_or_default();
        let images: Vec<Repository> =
            goods.iter().flat_map(|goods| goods.images.iter().cloned()).collect();
        let names: Vec<String> =
            goods.iter().flat_map(|goods| &goods.names).map(ToString::to_string).collect();
        preflight::cache_under_a_name(&definition.caches(), &images, &names)?;
        return Ok(BakePlan::BuildOnly(Box::new(BakeBuildOnly {
            about,
            build,
            definition,
            images,
        })));
    }
    must_sign(inputs)?;
    if matches!(build.sbom, Sbom::Files(_)) {
        return refuse("input `sbom`: a file is about one image, and a bake file may make several")
            .hint("leave `sbom` out, which makes one for each platform of each target");
    }
    let goods = goods
        .or_else(|wrong| refuse(&listed_wrong(&wrong)))
        .hint("give each target its own `tags` as full references, such as `ghcr.io/octo/app:v1`, or leave it out of `targets`")
        .see(RefusalPage::BakeTargetWithoutTags)?;
    build.platforms = definition.platforms().or_else(|wrong| refuse(&listed_wrong(&wrong)))?;
    let statements = PlatformStatements::of(&build);
    let targets = goods.iter().map(|goods| PublishTarget {
        target: goods.target.clone(),
        images: goods.images.clone(),
        names: goods.names.clone(),
        lines: LinesByTag::by_reading(&goods.names, &context.git_ref),
        requirements: requirements(inputs, &goods.platforms, &statements),
        asked: BuildAsked::of_context(&goods.context),
        made_in_build: statements.made_in_build,
    });
    let images: Vec<Repository> =
        goods.iter().flat_map(|goods| goods.images.iter().cloned()).collect();
    let elsewhere = definition.elsewhere();
    about.notices.extend(unserved(
        &inputs.logins.registry_auth,
        &images,
        &elsewhere.iter().map(String::as_str).collect::<Vec<_>>(),
    ));
    let release = PlannedRelease::of(about, targets.collect(), inputs, facts)
        .settled(inputs, trust)?
        .searched(inputs)
        .scanned(inputs)?;
    Ok(BakePlan::Publish(Box::new(Bake { release, build, definition, goods })))
}

fn listed_wrong(wrong: &[String]) -> String {
    match wrong {
        [only] => format!("bake files: {only}"),
        several => {
            format!("bake files: {} things are wrong:\n  {}", several.len(), several.join("\n  "))
        }
    }
}

impl BakePlan {
    pub fn about(&self) -> &PlanReasons {
        match self {
            Self::BuildOnly(plan) => &plan.about,
            Self::Publish(plan) => &plan.release.about,
        }
    }

    fn definition(&self) -> &Definition {
        match self {
            Self::BuildOnly(plan) => &plan.definition,
            Self::Publish(plan) => &plan.definition,
        }
    }

    /// The plan for machines.
    pub fn json(&self) -> Value {
        let plan = match self {
            Self::BuildOnly(plan) => {
                let mut json = plan.about.json_of_nothing();
                json["targets"] = json!(plan.definition.targets());
                return json;
            }
            Self::Publish(plan) => plan,
        };
        let mut json = plan.release.json();
        let targets = plan.goods.iter().map(|goods| {
            let tags: Vec<String> = goods.names.iter().map(ToString::to_string).collect();
            json!({ "target": goods.target, "images": goods.images, "tags": tags, "platforms": goods.platforms })
        });
        json["targets"] = targets.collect();
        json
    }

    /// The plan for people.
    pub fn words(&self) -> Words {
        let about = self.about();
        let mut rest: Vec<String> = self
            .definition()
            .source()
            .map(|source| format!("Source:     {source}"))
            .into_iter()
            .collect();
        let (mut short, targets, needs) = match self {
            Self::BuildOnly(plan) => {
                let mut lines = about.lines("bake only");
                lines.push("Pushed:     nothing".to_owned());
                (lines, plan.definition.targets().to_vec(), vec!["contents: read"])
            }
            Self::Publish(plan) => {
                rest.extend(plan.release.evidence_lines());
                (
                    about.lines("bake and publish"),
                    plan.goods.iter().map(line).collect(),
                    plan.release.permissions(),
                )
            }
        };
        let room = SHORT - short.len() - 1;
        if targets.len() <= room {
            listed(&mut short, "Targets:", &targets);
        } else {
            listed(&mut short, "Targets:", &targets[..room - 1]);
            short.push(format!("            and {} more", targets.len() - (room - 1)));
            listed(&mut rest, "Targets:", &targets);
        }
        short.push(format!("Needs:      {}", joined(&needs)));
        rest.extend(words(&about.builder).map(|builder| format!("Builder:    {builder}")));
        listed(&mut rest, "Logins:", &about.login_lines());
        Words { short, rest }
    }
}

/// `api for linux/amd64, linux/arm64 as ghcr.io/octo/api:v1`.
fn line(goods: &BakedImage) -> String {
    let platforms = if goods.platforms.is_empty() {
        "the builder's platform".to_owned()
    } else {
        joined(&goods.platforms)
    };
    format!("{} for {platforms} as {}", goods.target, joined(&goods.names))
}
