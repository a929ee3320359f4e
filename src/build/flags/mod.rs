//! The inputs of docker/build-push-action → the flags of `buildx build`, in its order and with its
//! defaults. Pure: secrets stay apart from the flags, and nothing is read or run.
//!
//! Reference: <https://github.com/docker/build-push-action#inputs>; what is ours is set aside in
//! `arguments.rs`.

use secrecy::SecretString;
use serde_json::Value;

use super::source::is_of;
use crate::environment::Environment;
use crate::report::text;
use crate::text::lists;

/// The inputs as texts, empty when not set; each has the name of its input.
#[derive(Debug, Clone, Default)]
pub struct BuildTexts {
    pub add_hosts: String,
    pub allow: String,
    pub annotations: String,
    pub attests: String,
    pub build_args: String,
    pub build_contexts: String,
    pub cache_from: String,
    pub cache_to: String,
    pub call: String,
    pub cgroup_parent: String,
    pub context: String,
    pub file: String,
    pub github_token: Option<SecretString>,
    pub labels: String,
    pub load: bool,
    pub network: String,
    pub no_cache: bool,
    pub no_cache_filters: String,
    pub outputs: String,
    pub platforms: String,
    pub provenance: String,
    pub pull: bool,
    pub sbom: String,
    pub secret_envs: String,
    pub secret_files: String,
    pub secrets: Option<SecretString>,
    pub shm_size: String,
    pub ssh: String,
    pub target: String,
    pub ulimit: String,
}

/// What the flags depend on beside the inputs.
pub struct FlagFacts<'a> {
    pub env: &'a Environment,
    pub event: &'a Value,
    pub file_exists: &'a dyn Fn(&str) -> bool,
    /// Whether a token is needed to fetch the run's own repository: it is private, or nobody says
    /// that it is not.
    pub private: bool,
}

/// A flag's value: a text, or the file that will hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagValue {
    None,
    Text(String),
    /// Index into `Flags::secrets`.
    Secret(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    pub name: &'static str,
    pub value: FlagValue,
}

/// A secret for `RUN --mount=type=secret,id=…`.
#[derive(Debug, Clone)]
pub struct BuildSecret {
    pub id: String,
    pub value: SecretString,
}

/// What `buildx build` is told, before it is said where the image goes.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub flags: Vec<Flag>,
    pub context: String,
    pub secrets: Vec<BuildSecret>,
    pub notices: Vec<String>,
}

/// A list or an entry that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlagError {
    #[error("input `{0}`: the quotes do not match")]
    Quotes(&'static str),
    /// The entry is not shown: it may be the secret.
    #[error("input `{input}`: entry {number} is not `{form}`")]
    Entry { input: &'static str, number: usize, form: &'static str },
    #[error("input `build-args`: `{0}` is not a name for an ARG; write `NAME=value`, one a line")]
    BuildArg(String),
    #[error("input `{input}`: `{line}` has no `=`; write `KEY=value`, one a line")]
    NoEquals { input: &'static str, line: String },
    #[error("input `secret-files`: there is no file `{0}`")]
    SecretFile(String),
}

impl Flags {
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.flags.push(Flag { name, value: FlagValue::Text(value.into()) });
    }

    fn optional(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    fn switch(&mut self, name: &'static str, on: bool) {
        if on {
            self.flags.push(Flag { name, value: FlagValue::None });
        }
    }

    fn secret(&mut self, id: &str, value: SecretString) {
        self.flags.push(Flag { name: "--secret", value: FlagValue::Secret(self.secrets.len()) });
        self.secrets.push(BuildSecret { id: id.to_owned(), value });
    }

    /// The texts given with one flag.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |flag| flag.name == name).filter_map(|flag| {
            match &flag.value {
                FlagValue::Text(text) => Some(text.as_str()),
                _ => None,
            }
        })
    }
}

/// Flags whose values may be addresses, and their inputs.
const ADDRESSES: [(&str, &str); 5] = [
    ("--build-arg", "build-args"),
    ("--build-context", "build-contexts"),
    ("--cache-from", "cache-from"),
    ("--cache-to", "cache-to"),
    ("--output", "outputs"),
];

impl Flags {
    /// What a user should know of addresses with a password: they are hidden in logs, and nowhere
    /// else.
    pub fn told_passwords(&self) -> Vec<String> {
        let has_one = |value: &str| !text::passwords(value).is_empty();
        let inputs = ADDRESSES
            .iter()
            .filter(|(flag, _)| self.values(flag).any(has_one))
            .map(|(_, input)| *input);
        inputs
            .chain(has_one(&self.context).then_some("context"))
            .map(|input| {
                format!(
                    "input `{input}`: an address with a password reaches buildx on its command line, where other programs of this machine see it; a \
                     build can have it with `secrets`, and a Git context with secret `GIT_AUTH_TOKEN.HOST`"
                )
            })
            .collect()
    }
}

/// Makes the flags, in the order in which docker/build-push-action writes them.
pub fn flags(texts: &BuildTexts, facts: &FlagFacts<'_>) -> Result<Flags, FlagError> {
    let default_context = git_context(facts);
    let mut flags =
        Flags { context: context(&texts.context, &default_context), ..Flags::default() };
    let whole = |input: &'static str, text: &str| {
        lists::records(text, true).map_err(|_| FlagError::Quotes(input))
    };
    let split = |input: &'static str, text: &str| {
        lists::records(text, false).map_err(|_| FlagError::Quotes(input))
    };
    let annotations = key_values("annotations", whole("annotations", &texts.annotations)?)?;
    let lines: [(&'static str, Vec<String>); 9] = [
        ("--add-host", split("add-hosts", &texts.add_hosts)?),
        ("--allow", split("allow", &texts.allow)?),
        ("--annotation", annotations),
        ("--build-arg", build_args(whole("build-args", &texts.build_args)?, &mut flags.notices)?),
        (
            "--build-context",
            whole("build-contexts", &texts.build_contexts)?
                .iter()
                .map(|named| context(named, &default_context))
                .collect(),
        ),
        ("--cache-from", whole("cache-from", &texts.cache_from)?),
        ("--cache-to", whole("cache-to", &texts.cache_to)?),
        ("--call", Some(texts.call.clone()).filter(|call| !call.is_empty()).into_iter().collect()),
        (
            "--cgroup-parent",
            Some(texts.cgroup_parent.clone())
                .filter(|parent| !parent.is_empty())
                .into_iter()
                .collect(),
        ),
    ];
    for (name, values) in lines {
        values.into_iter().for_each(|value| flags.text(name, value));
    }
    secret_envs(&mut flags, split("secret-envs", &texts.secret_envs)?)?;
    flags.optional("--file", &texts.file);
    key_values("labels", whole("labels", &texts.labels)?)?
        .into_iter()
        .for_each(|label| flags.text("--label", label));
    split("no-cache-filters", &texts.no_cache_filters)?
        .into_iter()
        .for_each(|stage| flags.text("--no-cache-filter", stage));
    let outputs = lists::lines_with_quotes(&texts.outputs);
    outputs.iter().for_each(|output| flags.text("--output", output));
    let platforms = split("platforms", &texts.platforms)?;
    flags.optional("--platform", &platforms.join(","));
    attests(&mut flags, texts, &outputs, whole("attests", &texts.attests)?, facts);
    secrets(&mut flags, texts, &default_context, facts)?;
    flags.optional("--shm-size", &texts.shm_size);
    split("ssh", &texts.ssh)?.into_iter().for_each(|agent| flags.text("--ssh", agent));
    flags.optional("--target", &texts.target);
    whole("ulimit", &texts.ulimit)?.into_iter().for_each(|limit| flags.text("--ulimit", limit));
    flags.switch("--load", texts.load);
    flags.optional("--network", &texts.network);
    flags.switch("--no-cache", texts.no_cache);
    flags.switch("--pull", texts.pull);
    Ok(flags)
}

fn key_values(input: &'static str, lines: Vec<String>) -> Result<Vec<String>, FlagError> {
    match lines.iter().find(|line| lists::key_value(line).is_none()) {
        Some(line) => Err(FlagError::NoEquals { input, line: line.clone() }),
        None => Ok(lines),
    }
}

/// `NAME` alone takes its value from the environment, as with `docker build --build-arg NAME`.
fn build_args(lines: Vec<String>, notices: &mut Vec<String>) -> Result<Vec<String>, FlagError> {
    for line in &lines {
        let name = line.split('=').next().unwrap_or_default().trim();
        if name.is_empty() {
            return Err(FlagError::BuildArg(name.to_owned()));
        }
        if name.starts_with('#') {
            notices.push(format!(
                "input `build-args`: `{name}` is no comment, but a build argument of that name"
            ));
        }
    }
    Ok(lines)
}

/// The repository and commit of the run as a Git context:
/// <https://docs.docker.com/build/concepts/context/#git-repositories>.
fn git_context(facts: &FlagFacts<'_>) -> GitContext {
    let get = |name: &str| facts.env.get(name).map(String::as_str).unwrap_or_default();
    if get("GITHUB_REPOSITORY").is_empty() {
        return GitContext { url: ".".to_owned(), query: None, fragment: None };
    }
    let server = if get("GITHUB_SERVER_URL").is_empty() {
        "https://github.com"
    } else {
        get("GITHUB_SERVER_URL")
    };
    let url = format!("{server}/{}.git", get("GITHUB_REPOSITORY"));
    let head = facts.event["pull_request"]["head"]["sha"]
        .as_str()
        .filter(|_| is_true(get("DOCKER_DEFAULT_GIT_CONTEXT_PR_HEAD_REF")));
    let commit = head.unwrap_or(get("GITHUB_SHA")).to_owned();
    if is_true(get("BUILDX_SEND_GIT_QUERY_AS_INPUT")) {
        return GitContext { url, query: Some(commit), fragment: None };
    }
    GitContext { url, query: None, fragment: Some(commit) }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

struct GitContext {
    url: String,
    query: Option<String>,
    fragment: Option<String>,
}

impl GitContext {
    fn host(&self) -> Option<&str> {
        self.url.split("://").nth(1).and_then(|rest| rest.split('/').next())
    }

    /// With a folder inside the repository, in the form that fits.
    fn with_folder(&self, folder: &str) -> String {
        match (&self.query, &self.fragment) {
            (Some(commit), _) if folder.is_empty() => format!("{}?ref={commit}", self.url),
            (Some(commit), _) => format!("{}?ref={commit}&subdir={folder}", self.url),
            (None, Some(commit)) if folder.is_empty() => format!("{}#{commit}", self.url),
            (None, Some(commit)) => format!("{}#{commit}:{folder}", self.url),
            (None, None) => {
                if folder.is_empty() {
                    self.url.clone()
                } else {
                    folder.to_owned()
                }
            }
        }
    }
}

/// A context with `{{defaultContext}}` filled in; nothing given is the default context itself.
fn context(text: &str, default: &GitContext) -> String {
    const TEMPLATE: &str = "{{defaultContext}}";
    match text.split_once(TEMPLATE) {
        None if text.is_empty() => default.with_folder(""),
        None => text.to_owned(),
        Some((before, after)) => match after.strip_prefix(':') {
            Some(folder) => format!("{before}{}", default.with_folder(folder)),
            None => format!("{before}{}{after}", default.with_folder("")),
        },
    }
}

/// An input that names where something is to be built, filled in; and the host of the run's own
/// repository where it names that.
pub fn source(text: &str, facts: &FlagFacts<'_>) -> (String, Option<String>) {
    let default = git_context(facts);
    let source = context(text.trim(), &default);
    let host = default.host().filter(|_| is_of(&source, &default.url)).map(str::to_owned);
    (source, host)
}

/// Provenance, SBOM and other attestations, with the defaults: none beside a Docker export, and by
/// the repository's visibility.
fn attests(
    flags: &mut Flags,
    texts: &BuildTexts,
    outputs: &[String],
    attests: Vec<String>,
    facts: &FlagFacts<'_>,
) {
    let of_type = |attest: &str, kind: &str| {
        fields(attest).iter().any(|field| *field == format!("type={kind}"))
    };
    let to_docker =
        texts.load || outputs.iter().any(|output| fields(output).contains(&"type=docker"));
    let off = facts.env.get("BUILDX_NO_DEFAULT_ATTESTATIONS").is_some_and(|value| is_true(value));
    let private = facts.event["repository"]["private"].as_bool().unwrap_or(false);
    if !texts.provenance.is_empty() {
        flags.text(
            "--attest",
            resolved(&format!("type=provenance,{}", with_builder(&texts.provenance, facts))),
        );
    } else if !to_docker && !off && !attests.iter().any(|attest| of_type(attest, "provenance")) {
        let mode = if private { "mode=min,inline-only=true" } else { "mode=max" };
        flags.text("--attest", format!("type=provenance,{}", with_builder(mode, facts)));
    }
    if !texts.sbom.is_empty() {
        flags.text("--attest", resolved(&format!("type=sbom,{}", texts.sbom)));
    }
    for attest in attests {
        let given_apart = (of_type(&attest, "provenance") && !texts.provenance.is_empty())
            || (of_type(&attest, "sbom") && !texts.sbom.is_empty());
        if !given_apart {
            let attest =
                if of_type(&attest, "provenance") { with_builder(&attest, facts) } else { attest };
            // Only kinds that have no input of their own are spelt out.
            let own = of_type(&attest, "provenance") || of_type(&attest, "sbom");
            flags.text("--attest", if own { attest } else { resolved(&attest) });
        }
    }
}

fn fields(attributes: &str) -> Vec<&str> {
    attributes.split(',').map(str::trim).collect()
}

/// The run as the builder, unless the user names one; `true` says no more than that, and `false`
/// needs none.
fn with_builder(attributes: &str, facts: &FlagFacts<'_>) -> String {
    let named = fields(attributes).iter().any(|field| field.starts_with("builder-id="));
    let get = |name: &str| facts.env.get(name).map(String::as_str).unwrap_or_default();
    if named || get("GITHUB_REPOSITORY").is_empty() || attributes.trim() == "false" {
        return attributes.to_owned();
    }
    let server = if get("GITHUB_SERVER_URL").is_empty() {
        "https://github.com"
    } else {
        get("GITHUB_SERVER_URL")
    };
    let attempt =
        if get("GITHUB_RUN_ATTEMPT").is_empty() { "1" } else { get("GITHUB_RUN_ATTEMPT") };
    let run = format!(
        "{server}/{}/actions/runs/{}/attempts/{attempt}",
        get("GITHUB_REPOSITORY"),
        get("GITHUB_RUN_ID")
    );
    if attributes.trim() == "true" {
        format!("builder-id={run}")
    } else {
        format!("{attributes},builder-id={run}")
    }
}

/// `true` and `false` as buildx spells them in attributes.
fn resolved(attributes: &str) -> String {
    let spelt = fields(attributes).into_iter().map(|field| match field {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => "disabled=false",
        "0" | "f" | "F" | "false" | "False" | "FALSE" => "disabled=true",
        other => other,
    });
    spelt.collect::<Vec<_>>().join(",")
}

fn secret_envs(flags: &mut Flags, entries: Vec<String>) -> Result<(), FlagError> {
    for (at, entry) in entries.iter().enumerate() {
        let wrong = FlagError::Entry { input: "secret-envs", number: at + 1, form: "ID=VARIABLE" };
        let (id, variable) =
            lists::key_value(entry).filter(|(_, variable)| !variable.is_empty()).ok_or(wrong)?;
        flags.text("--secret", format!("id={id},env={variable}"));
    }
    Ok(())
}

/// Secrets by value, by file, and the token for the run's own repository when that is the context.
fn secrets(
    flags: &mut Flags,
    texts: &BuildTexts,
    default: &GitContext,
    facts: &FlagFacts<'_>,
) -> Result<(), FlagError> {
    use secrecy::ExposeSecret as _;
    let listed = texts.secrets.as_ref().map(|text| text.expose_secret()).unwrap_or_default();
    let listed = lists::untrimmed_records(listed).map_err(|_| FlagError::Quotes("secrets"))?;
    for (at, entry) in listed.iter().enumerate() {
        let wrong = FlagError::Entry { input: "secrets", number: at + 1, form: "ID=value" };
        let legal = |id: &str| {
            id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let (id, value) = lists::key_value(entry)
            .filter(|(id, value)| legal(id) && !value.is_empty())
            .ok_or(wrong)?;
        flags.secret(id, value.to_owned().into());
    }
    let files =
        lists::records(&texts.secret_files, true).map_err(|_| FlagError::Quotes("secret-files"))?;
    for (at, entry) in files.iter().enumerate() {
        let wrong = FlagError::Entry { input: "secret-files", number: at + 1, form: "ID=path" };
        let (id, path) =
            lists::key_value(entry).filter(|(_, path)| !path.is_empty()).ok_or(wrong)?;
        if !(facts.file_exists)(path) {
            return Err(FlagError::SecretFile(path.to_owned()));
        }
        flags.text("--secret", format!("id={id},src={path}"));
    }
    let own = flags.secrets.iter().any(|secret| secret.id == "GIT_AUTH_TOKEN");
    // A public repository is fetched without, and what runs in a build could read it.
    if let (Some(token), Some(host), false) = (&texts.github_token, default.host(), own)
        && !token.expose_secret().is_empty()
        && facts.private
        && flags.context.starts_with(&default.with_folder(""))
    {
        flags.secret(&format!("GIT_AUTH_TOKEN.{host}"), token.clone());
    }
    Ok(())
}

#[cfg(test)]
mod conformance;
