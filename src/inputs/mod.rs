//! `INPUT_*` → `Inputs`: every input of action.yml, parsed into the words the program uses. It
//! never acts on one.

mod baked;
mod builder;
pub mod digests;
mod logins;
mod named;
pub mod names;
mod network;
mod outputs;
mod problems;
mod raw;
mod references;
mod secrets;
pub mod signing_key;
pub mod source_images;
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
use self::raw::Raw;
pub use self::secrets::secret_texts;
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

/// Whose inputs are read: each action knows its own alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Publish,
    Merge,
    Bake,
}

impl Action {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Publish => names::NAMES,
            Self::Merge => names::MERGE,
            Self::Bake => names::BAKE,
        }
    }
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

/// Variables that stand in for an input that is not set: what `sandbox.env` exports, since a shell
/// cannot set names with dashes.
const STANDING_IN: [(&str, &str); 3] = [
    ("SUPPLY_ACTION_SIGNING_CONFIG", "INPUT_SIGNING-CONFIG"),
    ("SUPPLY_ACTION_TRUSTED_ROOT", "INPUT_TRUSTED-ROOT"),
    ("SUPPLY_ACTION_BUILDER", "INPUT_BUILDER-ENDPOINT"),
];

impl Inputs {
    /// Reads and parses every input of `publish`, and reports all bad ones at once.
    pub fn read(env: &Environment, context: &Context) -> anyhow::Result<Self> {
        Self::of(Action::Publish, env, context)
    }

    /// As `read`, for an action.
    pub fn of(action: Action, env: &Environment, context: &Context) -> anyhow::Result<Self> {
        // The runner passes an input that is not set as "".
        let is_separator = |name: &str| name.starts_with("INPUT_SEP");
        let is_set = |name: &str, value: &str| {
            !value.trim().is_empty() || (is_separator(name) && !value.is_empty())
        };
        let set: Vec<(&String, &String)> =
            env.iter().filter(|(name, value)| is_set(name, value)).collect();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let standing_in = |name: &str| {
            STANDING_IN
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, input)| (*input).to_owned())
        };
        // Later ones win: variables that stand in, then underscores for dashes (a shell can write
        // no dashes), then the exact names.
        given.extend(
            set.iter().filter_map(|(name, value)| Some((standing_in(name)?, (*value).clone()))),
        );
        given.extend(set.iter().filter_map(|(name, value)| {
            Some((
                format!("INPUT_{}", name.strip_prefix("INPUT_")?.replace('_', "-")),
                (*value).clone(),
            ))
        }));
        given.extend(
            set.iter()
                .filter(|(name, _)| name.starts_with("INPUT_"))
                .map(|(name, value)| ((*name).clone(), (*value).clone())),
        );
        // What is an input of another action counts for nothing, and is told.
        given.retain(|name, _| {
            action.names().iter().any(|known| {
                name.strip_prefix("INPUT_").is_some_and(|name| name.eq_ignore_ascii_case(known))
            })
        });
        // `Raw` holds only strings, so that no error of envy's can carry a value.
        let raw: Raw = envy::prefixed("INPUT_").from_iter(given)?;
        parse(action, raw, env, context)
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
fn parse(action: Action, raw: Raw, env: &Environment, context: &Context) -> anyhow::Result<Inputs> {
    let mut problems = Problems::default();
    let mut notices = names::unknown(action, env, &mut problems);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let asked = outputs::asked(&text(&raw.outputs), &mut problems, &mut notices);
    let names = match action {
        Action::Bake => metadata::Texts::default(), // the bake files name the images
        Action::Publish | Action::Merge => {
            names_and_tags(&raw, &asked.names, context, &mut problems, &mut notices)
        }
    };
    let platforms = match &raw.platforms {
        Some(list) => problems.some("platforms", list),
        None if action != Action::Publish => Vec::new(), // those that are there, or that the bake files name
        None => problems.each("platforms", &["linux/amd64".to_owned(), "linux/arm64".to_owned()]),
    };
    spelt(&platforms, &mut problems, &mut notices);
    let build = build_texts(&raw, &platforms, &mut problems);
    let push = push(raw.push.as_deref(), &asked, &mut problems, &mut notices);
    let server = Server::of(&context.server_url);
    let asker = logins::Asker {
        env,
        server: &server,
        publishes: !trigger::only_builds(push, &context.event_name),
    };
    let registry_auth = logins::logins(&raw, &names.images, &asker, &mut problems, &mut notices);
    let mut builder = builder::builder(builder::BuilderTexts::of(&raw), &mut problems);
    let about = network::About {
        env,
        network: &context.network,
        server,
        images: &names.images,
        logins: &registry_auth,
    };
    network::equip(&mut builder, &raw, &about, &mut problems, &mut notices);
    let inputs = Inputs {
        tuf_mirror: mirror(&raw, &mut problems),
        registry_auth,
        metadata: metadata::Texts {
            flavor: text(&raw.flavor),
            labels: text(&raw.labels),
            annotations: text(&raw.annotations),
            build_args: build.build_args.clone(),
            ..names
        },
        metadata_context: metadata_context(raw.metadata_context.as_deref(), &mut problems),
        separators: {
            let separator = |text: &Option<String>| text.clone().unwrap_or_else(|| "\n".to_owned());
            Separators {
                tags: separator(&raw.sep_tags),
                labels: separator(&raw.sep_labels),
                annotations: separator(&raw.sep_annotations),
            }
        },
        bake_target: raw.bake_target.clone(),
        platforms: unique(platforms),
        build,
        push,
        push_by_digest: problems.switch("push-by-digest", raw.push_by_digest.as_deref(), false)
            || asked.push_by_digest,
        merge: if action == Action::Merge {
            merged(&raw, &mut problems)
        } else {
            Merged::default()
        },
        bake: if action == Action::Bake {
            baked::baked(&raw, &mut problems)
        } else {
            Baked::default()
        },
        allowed: allowed(&raw, &mut problems),
        build_env: build_env(raw.build_env.as_deref(), env, &mut notices, &mut problems),
        sbom_cache_key: sbom_cache_key(&raw, &mut problems),
        digest_files: raw.digest_files.as_deref().map(|folder| PathBuf::from(folder.trim())),
        evidence_dir: raw.evidence_dir.as_deref().map(|folder| PathBuf::from(folder.trim())),
        sbom_files: sbom_files(raw.sbom_files.as_deref(), &mut problems),
        sbom_format: sbom_format(raw.sbom_format.as_deref(), &mut problems),
        provenance_versions: provenance_versions(raw.provenance_versions.as_deref(), &mut problems),
        sbom_cache: raw.sbom_cache.as_deref().map(|folder| PathBuf::from(folder.trim())),
        source_args: problems.switch("source-args", raw.source_args.as_deref(), false),
        allow_public_log: problems.switch(
            "allow-public-log",
            raw.allow_public_log.as_deref(),
            false,
        ),
        github_token: raw.github_token.clone(),
        notices,
        signing_key: signing_key::signing_key(env, &mut problems),
        sign: problems.switch("sign", raw.sign.as_deref(), true),
        github_attestations: wish(
            "github-attestations",
            raw.github_attestations.as_deref(),
            &mut problems,
        ),
        sign_subjects: match &raw.sign_subjects {
            Some(list) => problems.some("sign-subjects", list),
            None => vec![Part::Index, Part::Platform, Part::Attestations],
        },
        signature_formats: raw
            .signature_formats
            .as_deref()
            .map(|list| unique(problems.some("signature-formats", list))),
        signature_annotations: annotations(
            raw.signature_annotations.as_deref().unwrap_or_default(),
            &mut problems,
        ),
        on_tag_conflict: on_tag_conflict(raw.on_tag_conflict.as_deref(), &mut problems),
        builder,
        network: context.network.clone(),
        signing_config: raw.signing_config.map(PathBuf::from),
        trusted_root: raw.trusted_root.map(PathBuf::from),
    };
    problems.into_result().map(|()| inputs)
}

#[cfg(test)]
mod tests;
