//! One input's text → its value: switches, words of a list, keys and annotations. What is wrong
//! goes to the problems.

use std::path::Path;

use super::digests;
use super::outputs;
use super::problems::InputProblems;
use super::source_images::source_images;
use super::texts::InputTexts;
use super::{AutoSwitch, BuildSource, MergeInputs, MergedSbom};
use crate::build::flags::BuildTexts;
use crate::command;
use crate::environment::Environment;
use crate::image::Platform;
use crate::image::spelling::PlatformSpelling;
use crate::oci::Allowed;
use crate::text::lists;
use crate::trigger::WhenToPush;

pub(super) fn merged(given: &InputTexts, problems: &mut InputProblems) -> MergeInputs {
    let files = given.get("digest-files").map(|folder| Path::new(folder.trim()));
    MergeInputs {
        claims: digests::claims(given.get("digests"), files, problems),
        sources: source_images(
            "source-images",
            given.get("source-images").unwrap_or_default(),
            problems,
        ),
        sbom: merged_sbom(given, problems),
        provenance: given.switch("provenance", problems),
        check_runners: given.switch("check-runners", problems),
        build_source: match given.get("build-source").map(str::trim) {
            None => BuildSource::Run,
            Some("any") => BuildSource::Any,
            Some(uri) if uri.contains("://") => BuildSource::Uri(uri.to_owned()),
            Some(other) => {
                problems
                    .say("build-source", format_args!("`{other}` is neither `any` nor an address such as `https://github.com/octo/app`"));
                BuildSource::Run
            }
        },
    }
}

pub(super) fn allowed(given: &InputTexts, problems: &mut InputProblems) -> Allowed {
    let index_entries = lists::words(given.get("allow-index-entries").unwrap_or_default());
    for kind in index_entries.iter().filter(|kind| !kind.contains('/')) {
        problems.say(
            "allow-index-entries",
            format_args!("`{kind}` is not an artifact type such as `application/vnd.amazon.soci.index.v1+json`"),
        );
    }
    let foreign_layers = given.switch("allow-foreign-layers", problems);
    Allowed { foreign_layers, index_entries, artifacts: false }
}

pub(super) fn build_env(
    text: Option<&str>,
    env: &Environment,
    notices: &mut Vec<String>,
    problems: &mut InputProblems,
) -> Vec<String> {
    let names = lists::words(text.unwrap_or_default());
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    for name in names.iter().filter(|name| !is_name(name)) {
        problems.say("build-env", format_args!("`{name}` is not the name of a variable"));
    }
    for name in names.iter().filter(|name| command::is_ours(name)) {
        problems.say("build-env", format_args!("no build gets `{name}`: it would sign, log in or ask for tokens in the name of this job"));
    }
    let unset = names.iter().filter(|name| !env.contains_key(*name));
    notices.extend(
        unset.map(|name| format!("input `build-env` names `{name}`, which this job does not set")),
    );
    names
}

pub(super) fn merged_sbom(given: &InputTexts, problems: &mut InputProblems) -> MergedSbom {
    let is_cyclonedx = given.get("sbom-format").map(str::trim) == Some("cyclonedx");
    let sbom = match given.get("sbom").map(str::trim) {
        Some(text) if text.eq_ignore_ascii_case("registry") => MergedSbom::Registry,
        Some(text) => match lists::boolean(text) {
            Some(true) => MergedSbom::Built,
            Some(false) => MergedSbom::Off,
            None => {
                problems
                    .say("sbom", format_args!("`{text}` is none of `true`, `registry`, `false`"));
                MergedSbom::Built
            }
        },
        None => MergedSbom::Built,
    };
    // What a build makes is SPDX.
    if is_cyclonedx && sbom == MergedSbom::Built { MergedSbom::Registry } else { sbom }
}

pub(super) fn build_texts(
    given: &InputTexts,
    platforms: &[Platform],
    problems: &mut InputProblems,
) -> BuildTexts {
    let text = |name: &str| given.get(name).unwrap_or_default().trim().to_owned();
    let listed: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    BuildTexts {
        add_hosts: text("add-hosts"),
        allow: text("allow"),
        attests: text("attests"),
        build_args: text("build-args"),
        build_contexts: text("build-contexts"),
        cache_from: text("cache-from"),
        cache_to: text("cache-to"),
        call: text("call"),
        cgroup_parent: text("cgroup-parent"),
        context: text("context"),
        file: text("file"),
        github_token: given.secret("github-token"),
        load: given.switch("load", problems),
        network: text("network"),
        no_cache: given.switch("no-cache", problems),
        no_cache_filters: text("no-cache-filters"),
        outputs: text("outputs"),
        platforms: listed.join(","),
        provenance: text("provenance"),
        pull: given.switch("pull", problems),
        sbom: text("sbom"),
        secret_envs: text("secret-envs"),
        secret_files: text("secret-files"),
        secrets: given.secret("secrets"),
        shm_size: text("shm-size"),
        ssh: text("ssh"),
        target: text("target"),
        ulimit: text("ulimit"),
        // Both are completed by the plan.
        labels: String::new(),
        annotations: String::new(),
    }
}

/// `push=false` of an image's output is no less than `push: false`.
pub(super) fn push(
    given: &InputTexts,
    asked: &outputs::OutputsAsked,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) -> WhenToPush {
    match (wish("push", given, problems), asked.holds_back) {
        (AutoSwitch::Always, true) => {
            problems.say("outputs", "`push=false` contradicts `push: true`; leave one of them out");
            WhenToPush::Never
        }
        (AutoSwitch::Auto, true) => {
            notices.push("input `outputs`: `push=false` is understood as `push: false`".to_owned());
            WhenToPush::Never
        }
        (AutoSwitch::Never, _) => WhenToPush::Never,
        (AutoSwitch::Auto, false) => WhenToPush::Auto,
        (AutoSwitch::Always, false) => WhenToPush::Always,
    }
}

/// A platform that nothing is called is a slip; one that only we do not know is the builder's to
/// decide.
pub(super) fn spelt(
    platforms: &[Platform],
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) {
    for platform in platforms {
        match platform.spelling() {
            PlatformSpelling::Known => {}
            PlatformSpelling::Slip(meant) => problems.say(
                "platforms",
                format_args!("no platform is called `{platform}`; did you mean `{meant}`?"),
            ),
            PlatformSpelling::Unknown => notices.push(format!(
                "input `platforms`: `{platform}` is not a known platform; the builder decides"
            )),
        }
    }
}

/// `auto`, or a switch.
pub(super) fn wish(input: &str, given: &InputTexts, problems: &mut InputProblems) -> AutoSwitch {
    match given.get(input).map(str::trim) {
        None | Some("auto") => AutoSwitch::Auto,
        Some(text) => match lists::boolean(text) {
            Some(true) => AutoSwitch::Always,
            Some(false) => AutoSwitch::Never,
            None => {
                problems.say(input, format_args!("`{text}` is none of `auto`, `true`, `false`"));
                AutoSwitch::Auto
            }
        },
    }
}

pub(super) fn unique<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
