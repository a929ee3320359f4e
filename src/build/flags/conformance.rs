//! What docker/build-push-action v7.3.0 answered: to 47 shared inputs, where that folder is
//! present, and to ours, everywhere. What is ours is set aside by name.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct FlagsCase {
    name: String,
    inputs: BTreeMap<String, String>,
    #[serde(default)]
    env: Environment,
    #[serde(default)]
    event: Option<Value>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    builder: Option<RecordedBuilder>,
    expect: ExpectedFlags,
}

#[derive(Deserialize)]
struct RecordedBuilder {
    buildx: String,
    driver: String,
}

#[derive(Deserialize)]
struct ExpectedFlags {
    argv: Option<Vec<String>>,
    secret_files: Option<Vec<SecretFile>>,
    #[serde(default)]
    accident: bool,
}

#[derive(Deserialize, Debug, PartialEq)]
struct SecretFile {
    id: String,
    content: String,
}

/// Set aside: where the image goes and what is reported of it is ours, the builder is set up by us,
/// and tags are set by `publish` alone.
const OURS: [&str; 5] = ["--iidfile", "--metadata-file", "--tag", "--push", "--builder"];
/// Ours differ on purpose: a build whose secret is missing is a wrong build (the incumbent only
/// warns); our buildx is never that old; a builder with driver `docker` is refused; in query form a
/// folder is garbled there (`?ref&#x3D;`); booleans are read by `Inputs`.
const ON_PURPOSE: [&str; 8] = [
    "context/query form",
    "secrets/environment not valid",
    "secrets/file missing",
    "context/git query form, old buildx",
    "lists/annotations, old buildx",
    "attest/docker driver",
    "flags/boolean yes",
    "flags/boolean 1",
];

fn texts(inputs: &BTreeMap<String, String>) -> BuildTexts {
    let get = |name: &str| inputs.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    let on = |name: &str| get(name).eq_ignore_ascii_case("true");
    let secret = |name: &str| inputs.get(name).map(|text| SecretString::from(text.clone()));
    BuildTexts {
        add_hosts: get("add-hosts"),
        allow: get("allow"),
        annotations: get("annotations"),
        attests: get("attests"),
        build_args: get("build-args"),
        build_contexts: get("build-contexts"),
        cache_from: get("cache-from"),
        cache_to: get("cache-to"),
        call: get("call"),
        cgroup_parent: get("cgroup-parent"),
        context: get("context"),
        file: get("file"),
        github_token: secret("github-token"),
        labels: get("labels"),
        load: on("load"),
        network: get("network"),
        no_cache: on("no-cache"),
        no_cache_filters: get("no-cache-filters"),
        outputs: get("outputs"),
        platforms: get("platforms"),
        provenance: get("provenance"),
        pull: on("pull"),
        sbom: get("sbom"),
        secret_envs: get("secret-envs"),
        secret_files: get("secret-files"),
        secrets: secret("secrets"),
        shm_size: get("shm-size"),
        ssh: get("ssh"),
        target: get("target"),
        ulimit: get("ulimit"),
    }
}

/// The expected arguments without what is ours.
fn theirs(argv: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = argv.iter().skip(1);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--push" => {}
            name if OURS.contains(&name) => drop(rest.next()),
            _ => kept.push(argument.clone()),
        }
    }
    kept
}

fn rendered(flags: &Flags) -> Vec<String> {
    let mut argv = Vec::new();
    for flag in &flags.flags {
        argv.push(flag.name.to_owned());
        match &flag.value {
            FlagValue::None => {}
            FlagValue::Text(text) => argv.push(text.clone()),
            FlagValue::Secret(at) => argv.push(format!("id={},src=<file>", flags.secrets[*at].id)),
        }
    }
    argv.push(flags.context.clone());
    argv
}

/// What cases of ours leave out, because it is the same for most.
#[derive(Deserialize, Default)]
struct FlagsDefaults {
    env: Environment,
    event: Value,
}

/// The number of cases that were compared.
fn check(cases: Vec<FlagsCase>, defaults: &FlagsDefaults) -> usize {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for case in cases {
        if case.expect.accident || ON_PURPOSE.contains(&case.name.as_str()) {
            continue;
        }
        let usual = |builder: &RecordedBuilder| {
            builder.buildx.starts_with("v0.29") && builder.driver != "docker"
        };
        assert!(case.builder.as_ref().is_none_or(usual), "{} is to be set aside", case.name);
        let exists = |path: &str| {
            case.files
                .keys()
                .any(|known| known.trim_start_matches("./") == path.trim_start_matches("./"))
        };
        let mut env = defaults.env.clone();
        env.extend(case.env);
        let facts = FlagFacts {
            env: &env,
            event: case.event.as_ref().unwrap_or(&defaults.event),
            file_exists: &exists,
            private: true,
        };
        let ours = flags(&texts(&case.inputs), &facts)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let expected = theirs(case.expect.argv.as_deref().unwrap_or_default());
        if rendered(&ours) != expected {
            wrong.push(format!(
                "{}:\n  theirs {expected:?}\n  ours   {:?}",
                case.name,
                rendered(&ours)
            ));
        }
        let secrets: Vec<SecretFile> = ours
            .secrets
            .iter()
            .map(|secret| SecretFile {
                id: secret.id.clone(),
                content: secret.value.expose_secret().to_owned(),
            })
            .collect();
        assert_eq!(secrets, case.expect.secret_files.unwrap_or_default(), "{}", case.name);
        checked += 1;
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    checked
}

#[test]
#[expect(clippy::print_stderr, reason = "that cases are missing should be seen")]
fn the_same_inputs_give_the_same_flags() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/build-push/cases.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("the shared cases are not here; only our own are checked");
        return;
    };
    let checked = check(
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        &FlagsDefaults::default(),
    );
    assert!(checked >= 39, "only {checked} cases were checked");
}

/// The first line is what the others leave out.
#[test]
fn our_own_inputs_give_the_flags_docker_gave() {
    let mut lines = include_str!("../../../tests/fixtures/build.jsonl").lines();
    let defaults: FlagsDefaults = serde_json::from_str(lines.next().unwrap()).unwrap();
    let checked = check(lines.map(|line| serde_json::from_str(line).unwrap()).collect(), &defaults);
    assert!(checked >= 60, "only {checked} cases were checked");
}

#[test]
fn what_is_not_written_right_is_an_error_that_shows_no_secret() {
    let env = Environment::new();
    let facts =
        FlagFacts { env: &env, event: &Value::Null, file_exists: &|_| false, private: true };
    let secret =
        |text: &str| BuildTexts { secrets: Some(text.to_owned().into()), ..BuildTexts::default() };
    for (texts, message) in [
        (secret("./hunter2.txt"), "input `secrets`: entry 1 is not `ID=value`"),
        (secret("\"A=hunter2"), "input `secrets`: the quotes do not match"),
        (
            BuildTexts { secret_files: "K=./nope".into(), ..BuildTexts::default() },
            "input `secret-files`: there is no file `./nope`",
        ),
        (
            BuildTexts { secret_envs: "A".into(), ..BuildTexts::default() },
            "input `secret-envs`: entry 1 is not `ID=VARIABLE`",
        ),
        (
            BuildTexts { build_args: "=y".into(), ..BuildTexts::default() },
            "input `build-args`: `` is not a name for an ARG; write `NAME=value`, one a line",
        ),
        (
            BuildTexts { labels: "novalue".into(), ..BuildTexts::default() },
            "input `labels`: `novalue` has no `=`; write `KEY=value`, one a line",
        ),
    ] {
        assert_eq!(flags(&texts, &facts).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_folder_of_the_default_context_fits_both_forms() {
    for (query, expected) in [
        ("", "https://github.com/o/r.git#abc:app"),
        ("true", "https://github.com/o/r.git?ref=abc&subdir=app"),
    ] {
        let env: Environment = [
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_SHA", "abc"),
            ("BUILDX_SEND_GIT_QUERY_AS_INPUT", query),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let facts =
            FlagFacts { env: &env, event: &Value::Null, file_exists: &|_| false, private: true };
        let texts =
            BuildTexts { context: "{{defaultContext}}:app".into(), ..BuildTexts::default() };
        assert_eq!(flags(&texts, &facts).unwrap().context, expected);
    }
}
