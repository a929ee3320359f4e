//! `INPUT_*` → `Inputs`: every input of action.yml, parsed into the words the program uses. It never acts on one.

mod builder;
pub mod lists;
mod logins;
pub mod names;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::build::builder::Builder;
use crate::error::{WithExit, exit};
use crate::github::{Context, Environment};
use crate::image::{Platform, Repository, Tag};
use crate::registry::exchange::Method;
use crate::trigger::Push;

pub use self::secrets::secret_texts;

/// What the user asked for. Each field has the name of its input with `_` for `-`.
#[derive(Debug)]
pub struct Inputs {
    pub images: Vec<Repository>,
    pub tags: Vec<Tag>,
    pub labels: Vec<String>,
    pub annotations: Vec<String>,
    pub platforms: Vec<Platform>,
    pub context: String,
    pub file: Option<String>,
    pub target: Option<String>,
    pub build_args: Vec<String>,
    pub secrets: Vec<BuildSecret>,
    pub push: Push,
    pub sbom: bool,
    pub provenance: Provenance,
    pub sign: bool,
    pub registry_auth: Vec<Login>,
    pub builder: Builder,
    pub signing_config: Option<PathBuf>,
    pub trusted_root: Option<PathBuf>,
    pub on_tag_conflict: OnTagConflict,
    pub source_args: bool,
    pub allow_public_log: bool,
    /// For questions to GitHub; the login at ghcr.io is among `registry_auth`.
    pub github_token: Option<SecretString>,
    /// What a user should know about the inputs themselves.
    pub notices: Vec<String>,
}

/// A secret for `RUN --mount=type=secret,id=…`.
#[derive(Debug)]
pub struct BuildSecret {
    pub id: String,
    pub value: SecretString,
}

/// How much BuildKit writes into its provenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    Off,
    Min,
    Max,
}

/// What happens when somebody moved a tag between plan and publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTagConflict {
    Fail,
    Overwrite,
}

/// A login at one registry.
#[derive(Debug, Clone)]
pub struct Login {
    pub registry: String,
    pub method: Method,
}

/// The inputs as they stand in the environment; what `envy` reads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Raw {
    images: Option<String>,
    tags: Option<String>,
    labels: Option<String>,
    annotations: Option<String>,
    platforms: Option<String>,
    context: Option<String>,
    file: Option<String>,
    target: Option<String>,
    build_args: Option<String>,
    secrets: Option<SecretString>,
    push: Option<String>,
    sbom: Option<String>,
    provenance: Option<String>,
    sign: Option<String>,
    registry_auth: Option<SecretString>,
    registry: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    github_token: Option<SecretString>,
    builder: Option<String>,
    builder_endpoint: Option<String>,
    driver: Option<String>,
    driver_opts: Option<String>,
    buildkitd_flags: Option<String>,
    buildkitd_config: Option<String>,
    buildkitd_config_inline: Option<String>,
    append: Option<String>,
    cleanup: Option<String>,
    keep_state: Option<String>,
    signing_config: Option<String>,
    trusted_root: Option<String>,
    on_tag_conflict: Option<String>,
    source_args: Option<String>,
    allow_public_log: Option<String>,
}

/// Variables that stand in for an input that is not set: what `sandbox.env` exports, since a shell cannot set names with dashes.
const STANDING_IN: [(&str, &str); 3] = [
    ("SUPPLY_ACTION_SIGNING_CONFIG", "INPUT_SIGNING-CONFIG"),
    ("SUPPLY_ACTION_TRUSTED_ROOT", "INPUT_TRUSTED-ROOT"),
    ("SUPPLY_ACTION_BUILDER", "INPUT_BUILDER-ENDPOINT"),
];

impl Inputs {
    /// Reads and parses every input, and reports all bad ones at once.
    pub fn read(env: &Environment, context: &Context) -> anyhow::Result<Self> {
        // The runner passes an input that is not set as "".
        let set: Vec<(&String, &String)> = env.iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let standing_in = |name: &str| STANDING_IN.iter().find(|(variable, _)| *variable == name).map(|(_, input)| (*input).to_owned());
        // Later ones win: variables that stand in, then underscores for dashes (a shell can write no dashes), then the exact names.
        given.extend(set.iter().filter_map(|(name, value)| Some((standing_in(name)?, (*value).clone()))));
        given.extend(
            set.iter()
                .filter_map(|(name, value)| Some((format!("INPUT_{}", name.strip_prefix("INPUT_")?.replace('_', "-")), (*value).clone()))),
        );
        given.extend(set.iter().filter(|(name, _)| name.starts_with("INPUT_")).map(|(name, value)| ((*name).clone(), (*value).clone())));
        // `Raw` holds only strings, so that no error of envy's can carry a value.
        let raw: Raw = envy::prefixed("INPUT_").from_iter(given)?;
        parse(raw, env, context)
    }
}

/// Collects what is wrong, so that a user mends everything in one go.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn say(&mut self, input: &str, what: impl std::fmt::Display) {
        self.0.push(format!("input `{input}`: {what}"));
    }

    fn each<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, input: &str, texts: &[String]) -> Vec<T> {
        let mut values = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(error) => self.say(input, error),
            }
        }
        values
    }

    fn switch(&mut self, input: &str, text: Option<&str>, default: bool) -> bool {
        text.map_or(default, |text| {
            lists::boolean(text).unwrap_or_else(|| {
                self.say(input, format_args!("`{text}` is neither `true` nor `false`"));
                default
            })
        })
    }

    fn key_values(&mut self, input: &str, text: Option<&str>) -> Vec<String> {
        let lines = lists::lines(text.unwrap_or_default());
        for line in &lines {
            if lists::key_value(line).is_none() {
                self.say(input, format_args!("`{line}` has no `=`; write `KEY=value`, one a line"));
            }
        }
        lines
    }
}

fn parse(raw: Raw, env: &Environment, context: &Context) -> anyhow::Result<Inputs> {
    let mut problems = Problems::default();
    let notices = names::unknown(env, &mut problems);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let images = match &raw.images {
        Some(names) => problems.each("images", &lists::words(names)),
        None => default_image(context, &mut problems),
    };
    let platforms = match &raw.platforms {
        Some(list) => problems.each("platforms", &lists::words(list)),
        None => problems.each("platforms", &["linux/amd64".to_owned(), "linux/arm64".to_owned()]),
    };
    let inputs = Inputs {
        tags: unique(problems.each("tags", &lists::words(&text(&raw.tags)))),
        labels: problems.key_values("labels", raw.labels.as_deref()),
        annotations: problems.key_values("annotations", raw.annotations.as_deref()),
        platforms: unique(platforms),
        images: unique(images),
        context: raw.context.clone().unwrap_or_else(|| ".".to_owned()),
        build_args: build_args(&text(&raw.build_args), &mut problems),
        secrets: secrets(raw.secrets.as_ref(), &mut problems),
        push: push(raw.push.as_deref(), &mut problems),
        source_args: problems.switch("source-args", raw.source_args.as_deref(), false),
        allow_public_log: problems.switch("allow-public-log", raw.allow_public_log.as_deref(), false),
        github_token: raw.github_token.clone(),
        notices,
        sbom: problems.switch("sbom", raw.sbom.as_deref(), true),
        provenance: provenance(raw.provenance.as_deref(), &mut problems),
        sign: problems.switch("sign", raw.sign.as_deref(), true),
        registry_auth: logins::logins(&raw, env, &mut problems),
        on_tag_conflict: match raw.on_tag_conflict.as_deref() {
            None | Some("fail") => OnTagConflict::Fail,
            Some("overwrite") => OnTagConflict::Overwrite,
            Some(other) => {
                problems.say("on-tag-conflict", format_args!("`{other}` is neither `fail` nor `overwrite`"));
                OnTagConflict::Fail
            }
        },
        file: raw.file,
        target: raw.target,
        builder: builder::builder(
            builder::BuilderTexts {
                builder: raw.builder,
                driver: raw.driver,
                driver_opts: raw.driver_opts,
                endpoint: raw.builder_endpoint,
                buildkitd_flags: raw.buildkitd_flags,
                buildkitd_config: raw.buildkitd_config,
                buildkitd_config_inline: raw.buildkitd_config_inline,
                append: raw.append,
                cleanup: raw.cleanup,
                keep_state: raw.keep_state,
            },
            &mut problems,
        ),
        signing_config: raw.signing_config.map(PathBuf::from),
        trusted_root: raw.trusted_root.map(PathBuf::from),
    };
    match problems.0.as_slice() {
        [] => Ok(inputs),
        problems => Err(WithExit { code: exit::BAD_INPUT, message: problems.join("; ") }.into()),
    }
}

/// `auto`, or a switch.
fn push(text: Option<&str>, problems: &mut Problems) -> Push {
    match text.map(str::trim) {
        None | Some("auto") => Push::Auto,
        Some(text) => match lists::boolean(text) {
            Some(true) => Push::Always,
            Some(false) => Push::Never,
            None => {
                problems.say("push", format_args!("`{text}` is none of `auto`, `true`, `false`"));
                Push::Auto
            }
        },
    }
}

fn unique<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

/// `ghcr.io/<repository>`: where most workflows publish, in the lower case registries demand.
fn default_image(context: &Context, problems: &mut Problems) -> Vec<Repository> {
    match &context.repository {
        Some(repository) => problems.each("images", &[format!("ghcr.io/{}", repository.to_lowercase())]),
        None => {
            problems
                .say("images", "not set, and there is no `GITHUB_REPOSITORY` to take the name from; write for example `ghcr.io/octo/app`");
            Vec::new()
        }
    }
}

fn build_args(text: &str, problems: &mut Problems) -> Vec<String> {
    let lines = lists::lines(text);
    for line in &lines {
        // `NAME` alone takes its value from the environment, as with `docker build --build-arg NAME`.
        let name = line.split('=').next().unwrap_or_default();
        let legal = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
        if !legal {
            problems.say("build-args", format_args!("`{name}` is not a name for an ARG; write `NAME=value`, one a line"));
        }
    }
    lines
}

fn secrets(text: Option<&SecretString>, problems: &mut Problems) -> Vec<BuildSecret> {
    let Some(text) = text else { return Vec::new() };
    let lines = match lists::untrimmed_records(text.expose_secret()) {
        Ok(lines) => lines,
        Err(_) => {
            problems.say("secrets", "the quotes do not match; write `ID=value`, one a line, values of several lines in double quotes");
            return Vec::new();
        }
    };
    let mut found: BTreeMap<String, SecretString> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        match lists::key_value(line) {
            Some((id, value)) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) => {
                found.insert(id.to_owned(), value.to_owned().into());
            }
            // The line is not shown: it may be the secret.
            _ => problems.say("secrets", format_args!("entry {} is not `ID=value`", number + 1)),
        }
    }
    found.into_iter().map(|(id, value)| BuildSecret { id, value }).collect()
}

fn provenance(text: Option<&str>, problems: &mut Problems) -> Provenance {
    match text.map(str::trim) {
        None | Some("true" | "mode=max" | "max") => Provenance::Max,
        Some("mode=min" | "min") => Provenance::Min,
        Some("false") => Provenance::Off,
        Some(other) => {
            problems.say("provenance", format_args!("`{other}` is none of `mode=max`, `mode=min`, `true`, `false`"));
            Provenance::Max
        }
    }
}

#[cfg(test)]
mod tests;
