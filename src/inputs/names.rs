//! Every input by its name, and what a misspelt one was meant to be. Pure.

use super::{Action, Problems};
use crate::environment::Environment;
use crate::page::Page;

/// The inputs of `action.yml`; `tests/it/contract/mod.rs` compares the two, and the fields that are
/// read.
pub const NAMES: &[&str] = &[
    "add-hosts",
    "allow",
    "allow-foreign-layers",
    "allow-public-log",
    "annotations",
    "append",
    "attests",
    "bake-target",
    "build-args",
    "build-contexts",
    "build-env",
    "builder",
    "builder-endpoint",
    "buildkitd-config",
    "buildkitd-config-inline",
    "buildkitd-flags",
    "ca-certificates",
    "cache-from",
    "cache-to",
    "call",
    "cgroup-parent",
    "cleanup",
    "context",
    "digest-files",
    "driver",
    "driver-opts",
    "evidence-dir",
    "file",
    "flavor",
    "github-attestations",
    "github-token",
    "http-registries",
    "images",
    "keep-state",
    "labels",
    "load",
    "metadata-context",
    "network",
    "no-cache",
    "no-cache-filters",
    "on-tag-conflict",
    "outputs",
    "password",
    "platforms",
    "provenance",
    "provenance-versions",
    "pull",
    "push",
    "push-by-digest",
    "registry",
    "registry-auth",
    "sbom",
    "sbom-cache",
    "sbom-cache-key",
    "sbom-files",
    "sbom-format",
    "secret-envs",
    "secret-files",
    "secrets",
    "sep-annotations",
    "sep-labels",
    "sep-tags",
    "shm-size",
    "sign",
    "sign-subjects",
    "signature-annotations",
    "signature-formats",
    "signing-config",
    "source-args",
    "ssh",
    "tags",
    "target",
    "trusted-root",
    "tuf-mirror",
    "tuf-root",
    "ulimit",
    "username",
];

/// The inputs of `merge/action.yml`.
pub const MERGE: &[&str] = &[
    "allow-foreign-layers",
    "allow-index-entries",
    "allow-public-log",
    "annotations",
    "build-source",
    "ca-certificates",
    "check-runners",
    "digest-files",
    "digests",
    "evidence-dir",
    "flavor",
    "github-attestations",
    "github-token",
    "http-registries",
    "images",
    "metadata-context",
    "on-tag-conflict",
    "password",
    "platforms",
    "provenance",
    "provenance-versions",
    "push",
    "registry",
    "registry-auth",
    "sbom",
    "sbom-cache",
    "sbom-cache-key",
    "sbom-files",
    "sbom-format",
    "sep-annotations",
    "sep-tags",
    "sign",
    "sign-subjects",
    "signature-annotations",
    "signature-formats",
    "signing-config",
    "source-images",
    "tags",
    "trusted-root",
    "tuf-mirror",
    "tuf-root",
    "username",
];

/// The inputs of `bake/action.yml`.
pub const BAKE: &[&str] = &[
    "allow",
    "allow-foreign-layers",
    "allow-public-log",
    "append",
    "build-env",
    "builder",
    "builder-endpoint",
    "buildkitd-config",
    "buildkitd-config-inline",
    "buildkitd-flags",
    "ca-certificates",
    "cleanup",
    "driver",
    "driver-opts",
    "evidence-dir",
    "files",
    "github-attestations",
    "github-token",
    "http-registries",
    "keep-state",
    "no-cache",
    "on-tag-conflict",
    "password",
    "provenance",
    "provenance-versions",
    "pull",
    "push",
    "registry",
    "registry-auth",
    "sbom",
    "sbom-files",
    "sbom-format",
    "set",
    "sign",
    "sign-subjects",
    "signature-annotations",
    "signature-formats",
    "signing-config",
    "source",
    "targets",
    "trusted-root",
    "tuf-mirror",
    "tuf-root",
    "username",
    "vars",
];

/// Inputs of the actions that this one replaces: what they are called here, or why they are not
/// needed. The table in `docs/migration.md` is checked against it.
const FORMER: [(&str, Former); 20] = [
    ("dockerfile", Former::Meant("file")),
    ("docker-file", Former::Meant("file")),
    ("containerfile", Former::Meant("file")),
    ("endpoint", Former::Renamed("builder-endpoint")),
    ("config", Former::Renamed("buildkitd-config")),
    ("config-inline", Former::Renamed("buildkitd-config-inline")),
    ("name", Former::Renamed("builder")),
    ("workdir", Former::Renamed("source")),
    ("use", Former::Needless("the builder of this action is used by nothing else")),
    ("install", Former::Needless("the builder of this action is used by nothing else")),
    ("version", Former::Needless("buildx is part of this action")),
    ("cache-binary", Former::Needless("buildx is part of this action")),
    ("reset", Former::Needless("emulators are installed when a platform needs one")),
    ("cache-image", Former::Needless("emulators are installed when a platform needs one")),
    (
        "logout",
        Former::Needless("logins live in memory and in a private file that is gone at the end"),
    ),
    ("ecr", Former::Needless("Amazon ECR is recognised by its name")),
    ("push-to-registry", Former::Needless("attestations are always in the registry")),
    ("subject-name", Former::Needless("what is built is what is attested")),
    ("subject-digest", Former::Needless("what is built is what is attested")),
    ("format", Former::Needless("SBOMs are SPDX 2.3 in JSON, or CycloneDX with `sbom-format`")),
];

#[derive(Clone, Copy)]
enum Former {
    /// What people guess.
    Meant(&'static str),
    Renamed(&'static str),
    Needless(&'static str),
}

/// Inputs of `publish` that a bake file says of each target.
const OF_DEFINITION: [&str; 14] = [
    "annotations",
    "build-args",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "dockerfile",
    "images",
    "labels",
    "load",
    "outputs",
    "platforms",
    "secrets",
    "tags",
];

/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.84;

/// Says which given inputs do not exist: a slip of one that does is a problem, because it would be
/// ignored; any other is only told.
pub(super) fn unknown(action: Action, env: &Environment, problems: &mut Problems) -> Vec<String> {
    let given = env
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .filter_map(|(name, _)| name.strip_prefix("INPUT_"));
    let known = action.names();
    let mut notices = Vec::new();
    // A runner makes an input's name upper-case and its spaces underscores, and leaves dashes
    // alone.
    for name in given
        .map(|name| name.to_lowercase().replace('_', "-"))
        .filter(|name| !known.contains(&name.as_str()))
    {
        match FORMER.iter().find(|(former, _)| *former == name).map(|(_, former)| *former) {
            Some(Former::Renamed(now)) if known.contains(&now) => {
                problems.say(&name, format_args!("it is called `{now}` here"));
                continue;
            }
            Some(Former::Meant(now)) if known.contains(&now) => {
                problems.say(&name, format_args!("there is no such input; did you mean `{now}`?"));
                continue;
            }
            Some(Former::Needless(why)) => {
                notices.push(format!("input `{name}` is not needed and is ignored: {why}"));
                continue;
            }
            _ => {}
        }
        if action == Action::Merge && NAMES.contains(&name.as_str()) {
            notices
                .push(format!("input `{name}` is one of the jobs that build, and is ignored here"));
            continue;
        }
        let nearest = known
            .iter()
            .map(|known| (strsim::jaro_winkler(&name, known), known))
            .max_by(|one, other| one.0.total_cmp(&other.0));
        match nearest {
            _ if action == Action::Bake && OF_DEFINITION.contains(&name.as_str()) => {
                problems.say(
                    &name,
                    "a bake file says this of each target; write it there, or with `set`",
                );
            }
            Some((alike, known)) if alike >= ALIKE => {
                problems
                    .say(&name, format_args!("there is no such input; did you mean `{known}`?"));
                problems.see(Page::UnknownInput);
            }
            _ => notices.push(format!("input `{name}` is not one of this action's and is ignored")),
        }
    }
    notices
}
