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
mod secrets;
pub mod signing_key;
pub mod source_images;
pub mod table;
mod texts;
mod words;

use crate::publish::OnTagConflict;
use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::build::builder::Builder;
use crate::build::flags::BuildTexts;
use crate::environment::Environment;
use crate::evidence::{Format, Part};
use crate::github::Context;
use crate::github::facts::Wanted;
use crate::github::network::Network;
use crate::github::server::Server;
use crate::image::Platform;
use crate::metadata;
use crate::metadata::line::{self, Reading};
use crate::metadata::sanitised;
pub use crate::oci::Allowed;
use crate::provenance::Slsa;
use crate::registry::exchange::Method;
use crate::sbom::foreign;
use crate::sigstore::key::SigningKey;
use crate::sigstore::tuf::Mirror;
use crate::trigger::{self, Push};

pub use self::baked::Baked;
use self::named::names_and_tags;
use self::problems::Problems;
pub use self::promoted::Promoted;
pub use self::secrets::secret_texts;
pub use self::table::Action;
use self::texts::InputTexts;
use self::words::{
    allowed, annotations, build_env, build_texts, merged, metadata_context, mirror,
    on_tag_conflict, provenance_versions, push, sbom_cache_key, sbom_files, sbom_format, spelt,
    unique, wish,
};
use crate::build::merge::claims::Claim;
use crate::build::merge::claims::SourceImage;

/// What the user asked for. Each field has the name of its input with `_` for `-`.
#[derive(Debug)]
pub struct Inputs {
    /// The inputs of docker/metadata-action, as texts; `metadata` reads them. `tags` is empty when
    /// the event decides.
    pub metadata: metadata::Texts,
    pub metadata_context: MetadataContext,
    pub separators: Separators,
    pub bake_target: Option<String>,
    pub platforms: Vec<Platform>,
    /// The inputs of docker/build-push-action, as texts; `build::flags` reads them.
    pub build: BuildTexts,
    pub push: Push,
    /// Whether another job publishes what this one builds.
    pub push_by_digest: bool,
    /// A folder of files named by digests: written by such a job, read by `merge`.
    pub digest_files: Option<PathBuf>,
    /// A folder for files of what was published: evidence, bundles, SBOMs, provenances.
    pub evidence_dir: Option<PathBuf>,
    pub merge: Merged,
    /// What an image may hold that is refused otherwise.
    pub allowed: Allowed,
    /// Names of variables that the build gets besides those that it always gets.
    pub build_env: Vec<String>,
    /// Authenticates the entries of `sbom_cache`; without it a run that signs believes none.
    pub sbom_cache_key: Option<SecretString>,
    /// A folder for what layers held, for later runs.
    pub sbom_cache: Option<PathBuf>,
    /// What the SBOMs that are signed are written in, where it was asked for.
    pub sbom_format: Option<foreign::Format>,
    /// The versions of SLSA in which provenances are signed; version 1 is always among them.
    pub provenance_versions: Vec<Slsa>,
    /// Whether SBOMs list the files that packages brought.
    pub sbom_files: bool,
    pub bake: Baked,
    pub promote: Promoted,
    pub sign: bool,
    /// The key that signs in place of one that Fulcio certifies; from the environment, as cosign's.
    pub signing_key: Option<SigningKey>,
    pub registry_auth: Vec<Login>,
    pub builder: Builder,
    pub signing_config: Option<PathBuf>,
    pub trusted_root: Option<PathBuf>,
    /// Where either of these is fetched from that is not given.
    pub tuf_mirror: Option<Mirror>,
    pub github_attestations: Wish,
    pub sign_subjects: Vec<Part>,
    /// `None`: every format that the services allow.
    pub signature_formats: Option<Vec<Format>>,
    /// What signatures say beside their subject.
    pub signature_annotations: BTreeMap<String, String>,
    pub on_tag_conflict: OnTagConflict,
    pub source_args: bool,
    pub allow_public_log: bool,
    /// For questions to GitHub; the login at the server's own registry is among `registry_auth`.
    pub github_token: Option<SecretString>,
    /// How everything is reached.
    pub network: Network,
    /// What a user should know about the inputs themselves.
    pub notices: Vec<String>,
}

/// What `merge` alone is told.
#[derive(Debug, Default)]
pub struct Merged {
    pub claims: Vec<Claim>,
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

/// What tags, labels and annotations are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataContext {
    /// The event of the workflow.
    Workflow,
    /// The repository in the workspace, as it is checked out.
    Git,
}

/// What stands between the entries of an output.
#[derive(Debug, Clone)]
pub struct Separators {
    pub tags: String,
    pub labels: String,
    pub annotations: String,
}

/// An input that is `auto`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
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
    pub fn read(env: &Environment, context: &Context) -> anyhow::Result<Self> {
        Self::of(Action::Publish, env, context)
    }

    /// As `read`, for an action.
    pub fn of(action: Action, env: &Environment, context: &Context) -> anyhow::Result<Self> {
        parse(action, &InputTexts::of(action, env)?, env, context)
    }
}

impl Inputs {
    /// What the metadata needs to be asked for.
    pub fn wanted(&self, now: jiff::Timestamp, git_ref: &str) -> Wanted {
        let texts = &self.metadata;
        let asking =
            [&texts.tags, &texts.flavor, &texts.labels, &texts.annotations, &texts.build_args];
        let commit_date = asking.iter().any(|text| text.contains("commit_date"));
        let checkout = self.metadata_context == MetadataContext::Git;
        let branch = git_ref.strip_prefix("refs/heads/").filter(|_| texts.tags.trim().is_empty());
        let tags_of = branch.and_then(|branch| match line::reading(&sanitised(branch))? {
            Reading::Line(line) => Some(line),
            Reading::Latest | Reading::WholeVersion => None,
        });
        Wanted { now, commit_date, checkout, tags_of }
    }
}

#[expect(clippy::too_many_lines, reason = "one line an input")]
fn parse(
    action: Action,
    given: &InputTexts,
    env: &Environment,
    context: &Context,
) -> anyhow::Result<Inputs> {
    let mut problems = Problems::default();
    let named;
    let given = if action == Action::Promote {
        named = given.with("images", promoted::destinations(given, &mut problems));
        &named
    } else {
        given
    };
    let mut notices = names::unknown(action, env, &mut problems);
    let asked = outputs::asked(&given.text("outputs"), &mut problems, &mut notices);
    let names = match action {
        Action::Bake => metadata::Texts::default(), // the bake files name the images
        Action::Publish | Action::Merge | Action::Promote => {
            names_and_tags(given, &asked.names, context, &mut problems, &mut notices)
        }
    };
    let platforms = match given.get("platforms") {
        Some(list) => problems.some("platforms", list),
        None => Vec::new(), // those that are there, or that the bake files name
    };
    spelt(&platforms, &mut problems, &mut notices);
    let build = build_texts(given, &platforms, &mut problems);
    let push = push(given.get("push"), &asked, &mut problems, &mut notices);
    let server = Server::of(&context.server_url);
    let asker = logins::Asker {
        env,
        server: &server,
        publishes: !trigger::only_builds(push, &context.event_name),
    };
    let registry_auth = logins::logins(given, &names.images, &asker, &mut problems, &mut notices);
    let mut builder = builder::builder(given, &mut problems);
    let about = network::About {
        env,
        network: &context.network,
        server,
        images: &names.images,
        logins: &registry_auth,
    };
    network::equip(&mut builder, given, &about, &mut problems, &mut notices);
    let inputs = Inputs {
        tuf_mirror: mirror(given, &mut problems),
        registry_auth,
        metadata: metadata::Texts {
            flavor: given.text("flavor"),
            labels: given.text("labels"),
            annotations: given.text("annotations"),
            build_args: build.build_args.clone(),
            ..names
        },
        metadata_context: metadata_context(given.get("metadata-context"), &mut problems),
        separators: {
            let separator = |name: &str| given.get(name).unwrap_or("\n").to_owned();
            Separators {
                tags: separator("sep-tags"),
                labels: separator("sep-labels"),
                annotations: separator("sep-annotations"),
            }
        },
        bake_target: given.owned("bake-target"),
        platforms: unique(platforms),
        build,
        push,
        push_by_digest: given.switch("push-by-digest", &mut problems) || asked.push_by_digest,
        merge: if action == Action::Merge {
            merged(given, &mut problems)
        } else {
            Merged::default()
        },
        bake: if action == Action::Bake {
            baked::baked(given, &mut problems)
        } else {
            Baked::default()
        },
        promote: if action == Action::Promote {
            promoted::promoted(given, &mut problems)
        } else {
            Promoted::default()
        },
        allowed: allowed(given, &mut problems),
        build_env: build_env(given.get("build-env"), env, &mut notices, &mut problems),
        sbom_cache_key: sbom_cache_key(given, &mut problems),
        digest_files: given.path("digest-files"),
        evidence_dir: given.path("evidence-dir"),
        sbom_files: sbom_files(given.get("sbom-files"), &mut problems),
        sbom_format: sbom_format(given.get("sbom-format"), &mut problems),
        provenance_versions: provenance_versions(given.get("provenance-versions"), &mut problems),
        sbom_cache: given.path("sbom-cache"),
        source_args: given.switch("source-args", &mut problems),
        allow_public_log: given.switch("allow-public-log", &mut problems),
        github_token: given.secret("github-token"),
        notices,
        signing_key: signing_key::signing_key(env, &mut problems),
        // What `promote` copies was signed by others.
        sign: action == Action::Promote || given.switch("sign", &mut problems),
        github_attestations: wish(
            "github-attestations",
            given.get("github-attestations"),
            &mut problems,
        ),
        sign_subjects: given
            .get("sign-subjects")
            .map_or_else(Vec::new, |list| problems.some("sign-subjects", list)),
        signature_formats: given
            .get("signature-formats")
            .map(|list| unique(problems.some("signature-formats", list))),
        signature_annotations: annotations(
            given.get("signature-annotations").unwrap_or_default(),
            &mut problems,
        ),
        on_tag_conflict: on_tag_conflict(given.get("on-tag-conflict"), &mut problems),
        builder,
        network: context.network.clone(),
        signing_config: given.path("signing-config"),
        trusted_root: given.path("trusted-root"),
    };
    problems.into_result().map(|()| inputs)
}

#[cfg(test)]
mod tests;
