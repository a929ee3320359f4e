//! Inputs, run and facts → `PublishPlan`: every decision before anything is done. Pure, but that a user's
//! own SBOM is read and checked; stages contain no "if push".

mod attributes;
pub mod bake;
mod building;
pub mod forward;
mod loaded;
pub mod merge;
pub mod names;
pub mod promote;
pub mod rescan;
pub mod scanning;
pub mod searching;
pub mod shown;
mod texts;
mod told;
mod tools;
mod trusted;
mod views;

use crate::build::recipe::Build;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::assess::tools::ToolTerms;
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::evidence::EvidenceFormat;
use crate::github::RunContext;
use crate::github::facts::{GitHubFacts, Visibility};
use crate::github::server::Server;
use crate::image::name::ImageName;
use crate::image::{Digest, ImageError, Platform, Repository, Tag};
use crate::inputs::{AutoSwitch, Inputs};
use crate::metadata::{self, ImageMetadata};
use crate::oci::Allowed;
use crate::page::RefusalPage;
use crate::provenance::BuildAsked;
use crate::publish::OnTagConflict;
use crate::sigstore::key::SigningKey;
use crate::sigstore::settled::SettledTrust;
use crate::trigger::{self, TriggerAnswer, TriggerDecision, TriggerEvent};
use crate::verify::policy::Requirements;

use self::building::{build, supplier};
use self::names::LinesByTag;
use self::scanning::ScanPlan;
use self::searching::SearchPlan;
use self::told::{Goal, told};
use self::trusted::PlannedTrust;

/// What this run will do.
#[derive(Debug)]
pub enum PublishPlan {
    /// Build every platform and push nothing.
    BuildOnly(BuildOnly),
    /// Build and push by digest, for `merge` to publish.
    Push(DigestPush),
    Publish(Publish),
}

/// Why the plan is as it is.
#[derive(Debug, Clone)]
pub struct PlanReasons {
    /// The event's name and ref, as GitHub writes them.
    pub event: String,
    pub git_ref: String,
    pub reason: String,
    pub notices: Vec<String>,
    /// What the image is called and says of itself; a name is put only by a plan that publishes.
    pub metadata: ImageMetadata,
    /// How the builder is made, or its name.
    pub builder: Value,
    /// Where the run logs in, and how; no secret.
    pub logins: Value,
    /// The registry to which the workflow's own token logs in, with the job's permissions. A login
    /// that is given for it may be that token as well, so it changes nothing.
    pub own_registry: Option<String>,
}

#[derive(Debug)]
pub struct BuildOnly {
    pub about: PlanReasons,
    pub build: Build,
    /// What a registry's caches and base images may need a login for.
    pub images: Vec<Repository>,
}

/// What is built for another job to publish.
#[derive(Debug)]
pub struct DigestPush {
    pub about: PlanReasons,
    pub build: Build,
    pub images: Vec<Repository>,
    /// A folder for files that are named by the digest.
    pub digest_files: Option<PathBuf>,
}

/// What is built and published.
#[derive(Debug)]
pub struct Publish {
    pub release: PlannedRelease,
    pub build: Build,
}

/// What is published, wherever it comes from, and what must be proven before.
#[derive(Debug)]
pub struct PlannedRelease {
    pub about: PlanReasons,
    /// Never empty; one but for `bake`.
    pub targets: Vec<PublishTarget>,
    /// Whether the attestations must be stored at GitHub as well.
    pub stores_at_github: bool,
    pub on_tag_conflict: OnTagConflict,
    /// Who may see the repository, as far as it is known before a token is asked for.
    pub visibility: Visibility,
    pub allow_public_log: bool,
    /// The name of the key that signs; `None`: the workflow signs, by a certificate.
    pub key: Option<Digest>,
    /// Whether known vulnerabilities are looked up before a tag is set.
    pub scan: ScanPlan,
    /// Whether layers and configs are searched for secrets before that.
    pub search: SearchPlan,
    /// What becomes of SARIF files of other tools.
    pub tools: Option<ToolTerms>,
    /// What images may hold that is refused otherwise.
    pub allowed: Allowed,
    /// Whom the run believes, and where it signs; `None`: nobody could say yet.
    trust: Option<PlannedTrust>,
    /// Whether a login is made from an OIDC token.
    logs_in_by_oidc: bool,
    /// Whether the names are those of a branch that nobody asked for, and that is not the default
    /// branch.
    pub branch_by_default: bool,
}

/// One image that is published: where it goes, what it is called there, and what must be proven of
/// it before.
#[derive(Debug, Clone)]
pub struct PublishTarget {
    /// What a bake file calls it; empty where there is no such file.
    pub target: String,
    pub images: Vec<Repository>,
    /// Names of one version first, floating ones last.
    pub names: Vec<ImageName>,
    /// What they stand for.
    pub lines: LinesByTag,
    pub requirements: Requirements,
    /// What the provenance of its build must bear out.
    pub asked: BuildAsked,
    /// Whether BuildKit attaches statements to each platform, in a manifest of their own.
    made_in_build: bool,
}

/// What is known before it is known where the image comes from.
struct PlanOutline {
    decision: TriggerDecision,
    about: PlanReasons,
    images: Vec<Repository>,
    tags_are_ours: bool,
    tags: Result<Vec<Tag>, ImageError>,
    lines: LinesByTag,
}

/// What is attested of each platform.
struct PlatformStatements {
    /// Predicate types.
    sboms: Vec<&'static str>,
    /// BuildKit's.
    provenance: bool,
    /// Whether BuildKit attaches any of them.
    made_in_build: bool,
}

impl PlatformStatements {
    fn of(build: &Build) -> Self {
        let provenance = build.provenance().is_some();
        Self {
            sboms: build.sbom.predicate_types(),
            provenance,
            made_in_build: build.sbom.is_made_in_the_build() || provenance,
        }
    }
}

/// A release, or why there is none.
enum Released {
    Release(Box<PlannedRelease>),
    Nothing(Box<PlanReasons>),
}

/// Decides.
pub fn plan(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    trust: Option<&SettledTrust>,
) -> anyhow::Result<PublishPlan> {
    let mut outline = outline(inputs, context, env, facts)?;
    let (mut build, mut notices) = build(inputs, context, env, facts, &outline.about.metadata)?;
    outline.about.notices.append(&mut notices);
    let images = outline.images.clone();
    let calls = build.flags.values("--call").any(|call| call != "build");
    let goal = match (outline.decision, inputs.push.by_digest) {
        (TriggerDecision::BuildOnly, _) => Goal::Check,
        _ if calls => Goal::Check,
        (_, true) => Goal::PushByDigest,
        (_, false) => Goal::Publish,
    };
    if goal == Goal::Check && !calls {
        outline.about.notices.extend(loaded::name(
            &mut build,
            &outline.about.metadata,
            outline.tags.is_ok(),
        ));
    }
    outline.about.notices.extend(told(inputs, &build, &outline.about.metadata, &images, goal)?);
    let build_only = |about, build| {
        Ok(PublishPlan::BuildOnly(BuildOnly { about, build, images: images.clone() }))
    };
    if outline.decision == TriggerDecision::BuildOnly {
        return build_only(outline.nothing(), build);
    }
    if calls {
        outline.about.reason =
            format!("`call: {}` checks the build and makes no image", inputs.build.texts.call);
        return build_only(outline.about, build);
    }
    if inputs.push.by_digest {
        some_image(&images)?;
        return Ok(PublishPlan::Push(DigestPush {
            about: outline.about,
            build,
            images,
            digest_files: inputs.push.digest_files.clone(),
        }));
    }
    let asked = BuildAsked::of_context(&build.flags.context);
    Ok(
        match outline.release(
            inputs,
            facts,
            &build.platforms,
            PlatformStatements::of(&build),
            asked,
        )? {
            Released::Release(release) => {
                let mut release =
                    release.settled(inputs, trust)?.searched(inputs).scanned(inputs)?;
                release
                    .about
                    .notices
                    .extend(unauthenticated_cache(inputs, build.sbom.may_be_of_layers()));
                PublishPlan::Publish(Publish { release, build })
            }
            Released::Nothing(about) => return build_only(*about, build),
        },
    )
}

/// Decides what does not depend on where the image comes from.
fn outline(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
) -> anyhow::Result<PlanOutline> {
    let mut answer = answer(inputs, context, facts);
    let tags_are_ours = metadata::entries("tags", &inputs.names.metadata.tags)
        .is_ok_and(|entries| entries.is_empty());
    let of_tags =
        tags_are_ours && answer.decision == TriggerDecision::Publish && !inputs.push.by_digest;
    let ours = tags_are_ours.then_some(&answer);
    let metadata = named(inputs, context, env, facts, ours)?;
    let lines = LinesByTag::by_rules(&metadata, ours);
    let of_tags = std::mem::take(&mut answer.notices).into_iter().filter(|_| of_tags);
    let mut about = about(inputs, context, &answer, metadata);
    about.notices.extend(of_tags);
    let (images, tags) = (images(&about.metadata)?, tags(&about.metadata));
    Ok(PlanOutline { decision: answer.decision, about, images, tags_are_ours, tags, lines })
}

/// What the event and the user's `push` say of this run.
fn answer(inputs: &Inputs, context: &RunContext, facts: &GitHubFacts) -> TriggerAnswer {
    let checkout = facts.checkout.as_ref();
    let event = TriggerEvent {
        name: &context.event_name,
        git_ref: checkout.map_or(&context.git_ref, |checkout| &checkout.git_ref),
        sha: checkout.map_or(&context.sha, |checkout| &checkout.sha),
        payload: &facts.event,
        default_branch: facts.default_branch.as_deref(),
        on_default_branch: facts.on_default_branch,
        line_has_tags: facts.line_has_tags,
    };
    trigger::decide(inputs.push.push, &event)
}

fn about(
    inputs: &Inputs,
    context: &RunContext,
    answer: &TriggerAnswer,
    metadata: ImageMetadata,
) -> PlanReasons {
    let own = Server::of(&context.server_url).registry();
    PlanReasons {
        own_registry: own,
        builder: inputs.builder.builder.json(),
        logins: inputs
            .logins
            .registry_auth
            .iter()
            .map(|login| json!({ "registry": login.registry, "method": login.method.name() }))
            .collect(),
        event: context.event_name.clone(),
        git_ref: context.git_ref.clone(),
        reason: answer.reason.clone(),
        notices: inputs.notices.iter().chain(&metadata.warnings).cloned().collect(),
        metadata,
    }
}

impl PlanOutline {
    /// What is said where nothing is published.
    fn nothing(mut self) -> PlanReasons {
        self.about.notices.extend(
            self.tags.err().map(|error| format!("to publish this would be refused: {error}")),
        );
        self.about
    }

    /// The release of an image that has, or will have, these platforms, each with these statements.
    fn release(
        self,
        inputs: &Inputs,
        facts: &GitHubFacts,
        platforms: &[Platform],
        statements: PlatformStatements,
        asked: BuildAsked,
    ) -> anyhow::Result<Released> {
        let Self { mut about, images, tags_are_ours, tags, lines, .. } = self;
        must_sign(inputs)?;
        let tags = tags
            .map_err(|error| WithExit {
                code: exit::BAD_INPUT,
                message: format!("input `tags`: {error}"),
            })
            .hint(if tags_are_ours {
                "write the tags into the input `tags`"
            } else {
                "a prefix or a pattern in `tags` can make it legal"
            })?;
        some_image(&images)?;
        if tags.is_empty() && inputs.push.push == trigger::WhenToPush::Auto && !tags_are_ours {
            about.reason =
                "no rule of `tags` gives this ref a tag; `push: true` would make that an error"
                    .to_owned();
            return Ok(Released::Nothing(Box::new(about)));
        }
        if tags.is_empty() {
            return refuse("input `tags`: there is no tag for this ref")
                .hint("write for example `tags: v1.2.3`")
                .see(RefusalPage::NoTagForThisRef);
        }
        let requirements = requirements(inputs, platforms, &statements);
        let mut names = ImageName::all(&images, &in_order(tags));
        names.retain(|name| about.metadata.names(&name.repository.to_string(), name.tag.as_str()));
        let branch = about.git_ref.strip_prefix("refs/heads/");
        let branch_by_default =
            tags_are_ours && branch.is_some() && branch != facts.default_branch.as_deref();
        let target = PublishTarget {
            target: String::new(),
            names,
            lines,
            images,
            requirements,
            asked,
            made_in_build: statements.made_in_build,
        };
        Ok(Released::Release(Box::new(PlannedRelease {
            branch_by_default,
            ..PlannedRelease::of(about, vec![target], inputs, facts)
        })))
    }
}

impl PlannedRelease {
    fn of(
        about: PlanReasons,
        targets: Vec<PublishTarget>,
        inputs: &Inputs,
        facts: &GitHubFacts,
    ) -> Self {
        Self {
            about,
            targets,
            stores_at_github: inputs.signing.github_attestations == AutoSwitch::Always,
            on_tag_conflict: inputs.names.on_tag_conflict,
            visibility: facts.visibility,
            allow_public_log: inputs.signing.allow_public_log,
            key: inputs.signing.signing_key.as_ref().map(SigningKey::name),
            logs_in_by_oidc: inputs
                .logins
                .registry_auth
                .iter()
                .any(|login| login.method.needs_oidc()),
            branch_by_default: false,
            scan: ScanPlan::Not(String::new()),
            search: SearchPlan::Not(String::new()),
            tools: None,
            trust: None,
            allowed: inputs.build.allowed.clone(),
        }
    }
}

/// What is said of a cache that a run which signs does not believe.
fn unauthenticated_cache(inputs: &Inputs, sboms_of_layers: bool) -> Option<String> {
    let is_not_used = sboms_of_layers
        && inputs.sboms.sbom_cache.is_some()
        && inputs.sboms.sbom_cache_key.is_none();
    is_not_used.then(|| {
        "input `sbom-cache` has no effect: other jobs may write it, so a run that signs reads every layer again; set `sbom-cache-key` to a secret".to_owned()
    })
}

/// What must be proven of an image with these platforms, each with these statements.
fn requirements(
    inputs: &Inputs,
    platforms: &[Platform],
    statements: &PlatformStatements,
) -> Requirements {
    let formats = inputs
        .signing
        .signature_formats
        .as_deref()
        .unwrap_or(&[EvidenceFormat::Bundle, EvidenceFormat::Legacy]);
    Requirements::new(
        platforms,
        &statements.sboms,
        statements.provenance,
        &inputs.signing.sign_subjects,
        formats,
    )
    .proving(&inputs.sboms.provenance_versions)
    .allowing(&inputs.build.allowed)
}

/// What is published is signed, and where it is stored it can be verified.
fn must_sign(inputs: &Inputs) -> anyhow::Result<()> {
    if !inputs.signing.sign {
        return refuse("input `sign`: `false` would tag an image without a signature")
            .hint("leave `sign` out, or set `push: false` to build without publishing");
    }
    if inputs.signing.signing_key.is_some()
        && inputs.signing.github_attestations == AutoSwitch::Always
    {
        return refuse("input `github-attestations`: `true` beside `COSIGN_PRIVATE_KEY`: GitHub verifies no attestation that a key signed")
            .hint("leave `github-attestations` out, or sign without a key");
    }
    Ok(())
}

fn some_image(images: &[Repository]) -> anyhow::Result<()> {
    if images.is_empty() {
        return refuse("input `images`: none is enabled, so nothing could be tagged")
            .hint("set `push: false` to build without publishing");
    }
    Ok(())
}

/// What the image is called: by the user's rules, or by the event's.
fn named(
    inputs: &Inputs,
    context: &RunContext,
    env: &Environment,
    facts: &GitHubFacts,
    ours: Option<&TriggerAnswer>,
) -> Result<ImageMetadata, WithExit> {
    let mut texts = inputs.names.metadata.clone();
    if let Some(answer) = ours {
        texts.tags =
            answer.rules.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>().join("\n");
        // The user's own flavor comes later and wins.
        texts.flavor = format!("latest={}\n{}", answer.latest, texts.flavor);
    }
    if ours.is_some_and(|answer| answer.rules.is_empty()) {
        texts.tags = "type=ref,event=tag".to_owned(); // outside a workflow nothing gives a name
    }
    let (git_ref, sha) = match &facts.checkout {
        Some(checkout) => (checkout.git_ref.clone(), checkout.sha.clone()),
        None => (context.git_ref.clone(), context.sha.clone()),
    };
    let run = metadata::MetadataRun {
        event_name: &context.event_name,
        git_ref,
        sha,
        payload: &facts.event,
        repository: &facts.repository,
        commit_date: facts.commit_date.unwrap_or(facts.now),
        now: facts.now,
        env,
    };
    metadata::metadata(&texts, &run)
        .map_err(|error| WithExit { code: exit::BAD_INPUT, message: error.to_string() })
}

fn images(metadata: &ImageMetadata) -> Result<Vec<Repository>, WithExit> {
    let mut images: Vec<Repository> = Vec::new();
    for name in &metadata.images {
        let image = name.parse().map_err(|error| WithExit {
            code: exit::BAD_INPUT,
            message: format!("input `images`: {error}"),
        })?;
        if !images.contains(&image) {
            images.push(image);
        }
    }
    Ok(images)
}

fn tags(metadata: &ImageMetadata) -> Result<Vec<Tag>, ImageError> {
    metadata.tag_names.iter().map(|name| name.parse()).collect()
}

fn refuse<T>(message: &str) -> Result<T, WithExit> {
    Err(WithExit { code: exit::BAD_INPUT, message: message.to_owned() })
}

fn in_order(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_by_key(Tag::floats);
    tags
}

#[cfg(test)]
mod tests;
