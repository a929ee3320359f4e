//! `INPUT_*` → `Inputs`: every input of action.yml, parsed into the words the program uses. It
//! never acts on one.

mod baked;
mod builder;
pub mod digests;
mod logins;
mod named;
mod names;
mod network;
mod outputs;
mod problems;
mod promoted;
mod references;
mod rescanned;
mod sboms;
mod scan;
mod secrets;
mod settings;
mod signing;
pub mod signing_key;
pub mod source_images;
pub mod table;
mod texts;
mod trust;
mod words;

use std::path::PathBuf;

use secrecy::SecretString;

use crate::build::builder::RunBuilder;
use crate::build::flags::BuildTexts;
use crate::environment::Environment;
use crate::github::RunContext;
use crate::github::facts::WantedFacts;
use crate::github::network::Network;
use crate::github::server::Server;
use crate::image::Platform;
use crate::metadata;
use crate::metadata::line::{self, BranchReading};
use crate::metadata::sanitised;
pub use crate::oci::Allowed;
use crate::registry::exchange::Method;
use crate::trigger::{self, WhenToPush};

pub use self::baked::BakeInputs;
use self::named::names_and_tags;
pub use self::named::{MetadataContext, NameInputs, Separators};
use self::problems::InputProblems;
pub use self::promoted::{NOWHERE, PolicyTexts, Promoted, PromotionSource};
pub use self::rescanned::RescanInputs;
pub use self::sboms::SbomInputs;
pub use self::scan::{OnScanFailure, ScanInputs};
pub use self::secrets::secret_texts;
pub use self::settings::RunSettings;
pub use self::signing::SigningInputs;
pub use self::table::Action;
use self::texts::InputTexts;
pub use self::trust::TrustInputs;
use self::words::{allowed, build_env, build_texts, merged, push, spelt, unique};
use crate::build::merge::claims::JobClaim;
use crate::build::merge::claims::SourceImage;

/// What the user asked for, by the groups of the table. Each field of a group has the name of its
/// input with `_` for `-`.
#[derive(Debug)]
pub struct Inputs {
    pub names: NameInputs,
    pub build: BuildInputs,
    pub push: PushInputs,
    pub merge: MergeInputs,
    pub bake: BakeInputs,
    pub promote: Promoted,
    pub rescan: RescanInputs,
    pub builder: BuilderInputs,
    pub sboms: SbomInputs,
    pub scan: ScanInputs,
    pub signing: SigningInputs,
    pub trust: TrustInputs,
    /// A folder for files of what was published: evidence, bundles, SBOMs, provenances.
    pub evidence_dir: Option<PathBuf>,
    pub logins: LoginInputs,
    /// How everything is reached.
    pub network: Network,
    /// What a user should know about the inputs themselves.
    pub notices: Vec<String>,
}

/// What is built.
#[derive(Debug)]
pub struct BuildInputs {
    pub platforms: Vec<Platform>,
    /// The inputs of docker/build-push-action, as texts; `build::flags` reads them.
    pub texts: BuildTexts,
    pub source_args: bool,
    /// What an image may hold that is refused otherwise.
    pub allowed: Allowed,
}

/// Whether what is built is pushed, and for whom.
#[derive(Debug)]
pub struct PushInputs {
    pub push: WhenToPush,
    /// Whether another job publishes what this one builds.
    pub by_digest: bool,
    /// A folder of files named by digests: written by such a job, read by `merge`.
    pub digest_files: Option<PathBuf>,
}

/// What builds.
#[derive(Debug)]
pub struct BuilderInputs {
    pub builder: RunBuilder,
    /// Names of variables that the build gets besides those that it always gets.
    pub build_env: Vec<String>,
}

/// Who the run is, wherever it asks.
#[derive(Debug)]
pub struct LoginInputs {
    pub registry_auth: Vec<Login>,
    /// For questions to GitHub; the login at the server's own registry is among `registry_auth`.
    pub github_token: Option<SecretString>,
}

/// What `merge` alone is told.
#[derive(Debug, Default)]
pub struct MergeInputs {
    pub claims: Vec<JobClaim>,
    /// Images that no job of this run hands on.
    pub sources: Vec<SourceImage>,
    pub sbom: MergedSbom,
    /// Whether each platform must come with a provenance of its build.
    pub provenance: bool,
    pub build_source: BuildSource,
    /// Whether every job of a workflow such as `publish.yml` must have run on a runner of GitHub's,
    /// by the word of its API.
    pub check_runners: bool,
}

/// Where the images that `merge` takes were built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BuildSource {
    /// The commit of this run, where the provenance names a source at all.
    #[default]
    Run,
    /// What this address names; compared as Git addresses are.
    Uri(String),
    Any,
}

/// Whence `merge` has the SBOMs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MergedSbom {
    /// Each platform must come with one.
    #[default]
    Built,
    /// They are made of the layers in the registry.
    Registry,
    Off,
}

/// An input that is `auto`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoSwitch {
    /// Where it is possible.
    Auto,
    Always,
    Never,
}

/// A login at one registry.
#[derive(Debug, Clone)]
pub struct Login {
    pub registry: String,
    pub method: Method,
    /// Whether the user named the registry; the token of the run is for ghcr.io by itself.
    pub is_given: bool,
}

impl Inputs {
    /// Reads and parses every input of `publish`, and reports all bad ones at once.
    pub fn read(env: &Environment, context: &RunContext) -> anyhow::Result<Self> {
        Self::of(Action::Publish, env, context)
    }

    /// As `read`, for an action.
    pub fn of(action: Action, env: &Environment, context: &RunContext) -> anyhow::Result<Self> {
        parse(action, &InputTexts::of(action, env)?, env, context)
    }
}

impl Inputs {
    /// What the metadata needs to be asked for.
    pub fn wanted(&self, now: jiff::Timestamp, git_ref: &str) -> WantedFacts {
        let texts = &self.names.metadata;
        let asking =
            [&texts.tags, &texts.flavor, &texts.labels, &texts.annotations, &texts.build_args];
        let commit_date = asking.iter().any(|text| text.contains("commit_date"));
        let checkout = self.names.metadata_context == MetadataContext::Git;
        let branch = git_ref.strip_prefix("refs/heads/").filter(|_| texts.tags.trim().is_empty());
        let tags_of = branch.and_then(|branch| match line::reading(&sanitised(branch))? {
            BranchReading::Line(line) => Some(line),
            BranchReading::Latest | BranchReading::WholeVersion => None,
        });
        WantedFacts { now, commit_date, checkout, tags_of }
    }
}

/// The same with `images`, for actions that name them otherwise.
fn with_images(
    action: Action,
    given: &InputTexts,
    event: &str,
    problems: &mut InputProblems,
) -> Option<InputTexts> {
    match action {
        Action::Promote => Some(
            given
                .with("images", promoted::destinations(given, problems))
                .with("tags", promoted::tags(given, event)),
        ),
        Action::Scan => Some(given.with("images", rescanned::repositories(given))),
        Action::Publish | Action::Merge | Action::Bake => None,
    }
}

fn parse(
    action: Action,
    given: &InputTexts,
    env: &Environment,
    context: &RunContext,
) -> anyhow::Result<Inputs> {
    let mut problems = InputProblems::default();
    let named = with_images(action, given, &context.event_name, &mut problems);
    let given = named.as_ref().unwrap_or(given);
    let mut notices = names::unknown(action, env, &mut problems);
    let asked = outputs::asked(&given.text("outputs"), &mut problems, &mut notices);
    let names = match action {
        Action::Bake => metadata::Texts::default(), // the bake files name the images
        // Where it is not set, the plan says so by its own name.
        Action::Scan => metadata::Texts { images: given.text("images"), ..Default::default() },
        Action::Publish | Action::Merge | Action::Promote => {
            let input = if action == Action::Promote { "destinations" } else { "images" };
            names_and_tags(input, given, &asked.names, context, &mut problems, &mut notices)
        }
    };
    let platforms = match given.get("platforms") {
        Some(list) => problems.some("platforms", list),
        None => Vec::new(), // those that are there, or that the bake files name
    };
    spelt(&platforms, &mut problems, &mut notices);
    let build = build_texts(given, &platforms, &mut problems);
    let push = push(given, &asked, &mut problems, &mut notices);
    let server = Server::of(&context.server_url);
    let asker = logins::LoginReader {
        env,
        server: &server,
        publishes: !trigger::only_builds(push, &context.event_name),
    };
    let registry_auth = logins::logins(given, &names.images, &asker, &mut problems, &mut notices);
    let mut builder = builder::builder(given, &mut problems);
    let about = network::NetworkOfRun {
        env,
        network: &context.network,
        server,
        images: &names.images,
        logins: &registry_auth,
    };
    network::equip(&mut builder, given, &about, &mut problems, &mut notices);
    let inputs = Inputs {
        names: NameInputs::read(given, names, &build.build_args, &mut problems),
        build: BuildInputs {
            platforms: unique(platforms),
            texts: build,
            source_args: given.switch("source-args", &mut problems),
            allowed: allowed(given, &mut problems),
        },
        push: PushInputs {
            push,
            by_digest: given.switch("push-by-digest", &mut problems) || asked.push_by_digest,
            digest_files: given.path("digest-files"),
        },
        merge: match action {
            Action::Merge => merged(given, &mut problems),
            _ => MergeInputs::default(),
        },
        bake: match action {
            Action::Bake => baked::baked(given, &mut problems),
            _ => BakeInputs::default(),
        },
        promote: match action {
            Action::Promote => promoted::promoted(given, &mut problems),
            _ => Promoted::default(),
        },
        rescan: match action {
            Action::Scan => RescanInputs::read(given, &mut problems),
            _ => RescanInputs::nothing(),
        },
        builder: BuilderInputs {
            builder,
            build_env: build_env(given.get("build-env"), env, &mut notices, &mut problems),
        },
        sboms: SbomInputs::read(given, &mut problems),
        scan: ScanInputs::read(action, given, &mut problems),
        signing: SigningInputs::read(action, given, env, &mut problems),
        trust: TrustInputs::read(given, &mut problems),
        evidence_dir: given.path("evidence-dir"),
        logins: LoginInputs { registry_auth, github_token: given.secret("github-token") },
        network: context.network.clone(),
        notices,
    };
    problems.into_result().map(|()| inputs)
}

#[cfg(test)]
mod tests;
