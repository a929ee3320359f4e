//! One list of inputs and outputs: what `action.yml` declares is what the program reads and writes,
//! and what workflows and documents say of them. The modules below hold the pages to it.

mod pages;
mod reference;
mod snippets;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::markdown::{documents, read};

#[derive(Deserialize)]
struct Action {
    inputs: BTreeMap<String, Described>,
    outputs: BTreeMap<String, Described>,
    runs: Runs,
}

#[derive(Deserialize, PartialEq)]
struct Described {
    description: String,
    #[serde(default)]
    default: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    using: String,
    image: String,
    #[serde(default)]
    args: Vec<String>,
}

fn action() -> Action {
    serde_saphyr::from_str(&read("action.yml")).unwrap()
}

fn merge() -> Action {
    serde_saphyr::from_str(&read("merge/action.yml")).unwrap()
}

fn bake() -> Action {
    serde_saphyr::from_str(&read("bake/action.yml")).unwrap()
}

/// The fields of `struct Raw`, spelt as inputs.
fn read_by_the_program() -> Vec<String> {
    let source = read("src/inputs/raw.rs");
    let body = source.split("struct Raw {").nth(1).unwrap().split('}').next().unwrap();
    let mut fields: Vec<String> = body
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(name, _)| name.trim_start_matches("pub(super) ").replace('_', "-"))
        .collect();
    fields.sort();
    fields
}

#[test]
fn the_program_reads_exactly_the_inputs_that_are_declared() {
    let declared: Vec<String> = action().inputs.into_keys().collect();
    assert_eq!(declared, supply_action::inputs::names::NAMES);
    let of_merge: Vec<String> = merge().inputs.into_keys().collect();
    assert_eq!(of_merge, supply_action::inputs::names::MERGE);
    let of_bake: Vec<String> = bake().inputs.into_keys().collect();
    assert_eq!(of_bake, supply_action::inputs::names::BAKE);
    let all: std::collections::BTreeSet<String> =
        declared.into_iter().chain(of_merge).chain(of_bake).collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), read_by_the_program());
}

/// What has one name in both actions means one thing, but for what depends on who builds.
#[test]
fn merge_shares_its_inputs_and_outputs_with_publish() {
    let (publish, merge) = (action(), merge());
    let own: Vec<&String> = merge
        .inputs
        .iter()
        .filter(|(name, row)| publish.inputs.get(*name) != Some(row))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        own,
        [
            "allow-index-entries",
            "annotations",
            "build-source",
            "check-runners",
            "digest-files",
            "digests",
            "github-token",
            "platforms",
            "provenance",
            "push",
            "sbom",
            "source-images"
        ]
    );
    let left_out: Vec<&String> =
        publish.outputs.keys().filter(|name| !merge.outputs.contains_key(*name)).collect();
    assert_eq!(
        left_out,
        ["bake-file", "bake-file-annotations", "bake-file-labels", "bake-file-tags", "digests"]
    );
    assert!(merge.outputs.iter().all(|(name, row)| publish.outputs.get(name) == Some(row)));
    assert_eq!(
        (merge.runs.using.as_str(), merge.runs.image.as_str(), merge.runs.args.as_slice()),
        ("docker", "../Dockerfile", ["merge".to_owned()].as_slice())
    );
}

#[test]
fn bake_shares_its_inputs_with_publish() {
    let (publish, bake) = (action(), bake());
    let own: Vec<&String> = bake
        .inputs
        .iter()
        .filter(|(name, row)| publish.inputs.get(*name) != Some(row))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        own,
        [
            "files",
            "github-token",
            "provenance",
            "push",
            "registry",
            "sbom",
            "set",
            "source",
            "targets",
            "vars"
        ]
    );
    assert_eq!(
        (bake.runs.using.as_str(), bake.runs.image.as_str(), bake.runs.args.as_slice()),
        ("docker", "../Dockerfile", ["bake".to_owned()].as_slice())
    );
    let source = read("src/summary/baked.rs");
    let mut written: Vec<&str> = source
        .split("(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("\", by_target"))
        .map(|(name, _)| name)
        .collect();
    // Once where they were published, once where they were only built.
    written.sort_unstable();
    assert_eq!(written.len(), 2 * bake.outputs.len());
    written.dedup();
    assert_eq!(bake.outputs.into_keys().collect::<Vec<_>>(), written);
}

/// An input that an action takes and does not use would be a promise nobody keeps: a value that
/// cannot be right is told by its name.
#[test]
fn merge_and_bake_read_every_input_they_declare() {
    use supply_action::environment::Environment;
    use supply_action::github::Context;
    use supply_action::inputs::{Action, Inputs};
    let of_merge = merge().inputs.into_keys().map(|name| (Action::Merge, name));
    for (action, name) in of_merge.chain(bake().inputs.into_keys().map(|name| (Action::Bake, name)))
    {
        let read = |value: &str| {
            let env: Environment = [
                if action == Action::Merge {
                    ("INPUT_IMAGES", "r.io/o/a")
                } else {
                    ("INPUT_REGISTRY", "r.io")
                },
                ("INPUT_USERNAME", "octo"),
                ("INPUT_PASSWORD", "secret"),
                ("INPUT_TUF-MIRROR", "https://tuf.example"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain([(format!("INPUT_{}", name.to_uppercase()), value.to_owned())])
            .collect();
            format!("{:?}", Inputs::of(action, &env, &Context::default()))
        };
        assert_ne!(read("9:{%"), read(""), "`{name}` changes nothing");
    }
}

#[test]
fn the_program_writes_exactly_the_outputs_that_are_declared() {
    let source = read("src/summary/mod.rs");
    let body = source.split("pub fn metadata_outputs").nth(1).unwrap();
    // `publish` and a push by digest share some.
    let mut written: std::collections::BTreeSet<String> = body
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
        .map(str::to_owned)
        .collect();
    written.extend(
        supply_action::metadata::Metadata::default()
            .bake_files("target")
            .map(|(name, _)| name.to_owned()),
    );
    assert_eq!(
        action().outputs.into_keys().collect::<Vec<_>>(),
        written.into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn the_container_runs_the_program_with_nothing_between() {
    let action = action();
    assert_eq!((action.runs.using.as_str(), action.runs.image.as_str()), ("docker", "Dockerfile"));
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.trim_end().ends_with("ENTRYPOINT [\"/supply-action\"]"));
    // What the program starts by name must be in the image.
    assert!(
        dockerfile.contains("/usr/local/bin/buildx") && dockerfile.contains("ca-certificates.crt")
    );
}

/// A path or a command in backticks that is gone is how documents rot.
#[test]
fn what_the_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = read("Makefile");
    for document in documents() {
        for word in read(&document).split('`').skip(1).step_by(2) {
            let is_path = ["tests/", "src/", "tools/", "examples/"]
                .iter()
                .any(|folder| word.starts_with(folder));
            assert!(
                !is_path || root.join(word).exists(),
                "{document} names `{word}`, which is not there"
            );
            let is_target = |target: &str| {
                makefile
                    .lines()
                    .any(|line| line.starts_with(&format!("{target}: ")) && line.contains("## "))
            };
            let known = word.strip_prefix("make ").is_none_or(is_target);
            assert!(known, "{document} names `{word}`, which is no target of the Makefile");
        }
    }
}

/// A promise whose test is gone is a promise nobody keeps.
#[test]
fn every_promise_of_the_threat_model_has_its_test() {
    let mut promises = 0;
    for named in read("docs/security.md").split('`').skip(1).step_by(2) {
        let mut words = named.split("::");
        let (Some(binary @ ("it" | "oracles")), Some(module)) = (words.next(), words.next()) else {
            continue;
        };
        promises += 1;
        let source = read(&format!("tests/{binary}/{module}.rs"));
        let test = words.next().map_or_else(|| "#[test]".to_owned(), |name| format!("fn {name}("));
        let is_there =
            source.contains(&test) || (test == "#[test]" && source.contains("#[tokio::test"));
        assert!(is_there, "docs/security.md names `{named}`, which is not there");
    }
    assert!(promises > 20, "{promises}");
}

#[test]
fn the_workflow_pins_its_actions_and_has_no_rights_by_default() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("\npermissions: {}\n"));
    let used: Vec<&str> = workflow
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "))
        .collect();
    assert!(!used.is_empty());
    for action in &used {
        let pinned = action.split_once('@').and_then(|(_, pin)| pin.split_once(" # v"));
        assert!(
            pinned.is_some_and(
                |(sha, _)| sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
            ),
            "{action}"
        );
    }
    assert_eq!(
        workflow.matches("actions/checkout@").count(),
        workflow.matches("persist-credentials: false").count()
    );
}

/// Every step of ours in every workflow sets only inputs that its action declares; an unknown one
/// would be set in vain.
#[test]
fn workflows_set_only_inputs_that_are_declared() {
    let mut steps = 0;
    for folder in [".github/workflows", "examples/workflows", "tests/e2e/workflows"] {
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let file = file.unwrap().path();
            let workflow: serde_json::Value =
                serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            for step in workflow["jobs"]
                .as_object()
                .unwrap()
                .values()
                .filter_map(|job| job["steps"].as_array())
                .flatten()
            {
                let declared =
                    match step["uses"].as_str().map(|uses| uses.split('@').next().unwrap()) {
                        Some("./" | "org/supply-action") => action().inputs,
                        Some("./merge" | "org/supply-action/merge") => merge().inputs,
                        Some("./bake" | "org/supply-action/bake") => bake().inputs,
                        _ => continue,
                    };
                steps += 1;
                for name in step["with"].as_object().into_iter().flat_map(|with| with.keys()) {
                    assert!(
                        declared.contains_key(name),
                        "{}: `{name}` is no input",
                        file.display()
                    );
                }
            }
        }
    }
    assert!(steps > 8, "{steps}");
}

/// The workflows to call: what builds and what merges in each.
const REUSABLE: [&str; 2] = ["publish.yml", "publish-custom.yml"];

fn workflow(name: &str) -> serde_json::Value {
    serde_saphyr::from_str(&read(&format!(".github/workflows/{name}"))).unwrap()
}

/// What can be told to a reusable workflow reaches a step of it.
#[test]
fn the_reusable_workflows_use_every_input_and_secret_they_declare() {
    for name in REUSABLE {
        let (text, workflow) = (read(&format!(".github/workflows/{name}")), workflow(name));
        for kind in ["inputs", "secrets"] {
            for input in workflow["on"]["workflow_call"][kind].as_object().unwrap().keys() {
                assert!(
                    text.contains(&format!("${{{{ {kind}.{input} }}}}")),
                    "{name}: {kind} `{input}` is used by nobody"
                );
            }
        }
        let by_hand = &workflow["on"]["workflow_dispatch"]["inputs"];
        for input in by_hand.as_object().into_iter().flat_map(|inputs| inputs.keys()) {
            assert_eq!(
                by_hand[input], workflow["on"]["workflow_call"]["inputs"][input],
                "{name}: {input}"
            );
        }
    }
}

const NO_FILES: &str =
    "a file: jobs of the workflow check nothing out, so that nothing of the caller's runs in them";
const NO_ENVIRONMENT: &str =
    "a variable: those of the caller do not reach a workflow that it calls";
const OF_A_STEP: &str = "for steps that come after in the job, and there are none";
const OWN_IMAGES: &str = "for images that were built elsewhere, or stand on such; what this workflow publishes, its own jobs built";
const ALWAYS: &str = "it may not be anything else";
const OWN_BUILDER: &str = "the builder is made by the job, for itself alone; one of the caller's could be told what to build by others";
const OF_MERGE: &str = "of what is published, which the job that merges does";
const OF_DIGESTS: &str = "digests are handed on as outputs of the jobs";
const JOBS_TOKEN: &str = "by default the job's own token, with the job's own permissions";
const REACHES_IN: &str = "with it a caller reaches what is built, and the build level would be claimed for what it chose";
const OWN_NETWORK: &str = "these jobs run on runners of GitHub's, between which and a registry stands nothing of one's own; publish-custom.yml takes it";
const NO_CLAIM: &str = "the workflow claims no build level";

/// Inputs of the action which the jobs that build are given by no workflow.
const NOT_OF_BUILDS: &[(&str, &str)] = &[
    ("allow-foreign-layers", OWN_IMAGES),
    ("allow-public-log", OF_MERGE),
    ("append", OWN_BUILDER),
    ("bake-target", OF_A_STEP),
    ("build-env", NO_ENVIRONMENT),
    ("builder", OWN_BUILDER),
    ("builder-endpoint", OWN_BUILDER),
    ("buildkitd-config", NO_FILES),
    ("call", "it builds nothing, so there would be nothing to merge"),
    ("cleanup", OWN_BUILDER),
    ("digest-files", OF_DIGESTS),
    ("driver", OWN_BUILDER),
    ("evidence-dir", OF_MERGE),
    ("github-attestations", OF_MERGE),
    ("github-token", JOBS_TOKEN),
    ("keep-state", OWN_BUILDER),
    ("load", OF_A_STEP),
    ("metadata-context", NO_FILES),
    ("on-tag-conflict", OF_MERGE),
    ("outputs", OF_A_STEP),
    ("provenance-versions", OF_MERGE),
    ("sbom-cache", NO_FILES),
    ("sbom-cache-key", NO_FILES),
    ("secret-envs", NO_ENVIRONMENT),
    ("secret-files", NO_FILES),
    ("sep-annotations", OF_A_STEP),
    ("sep-labels", OF_A_STEP),
    ("sep-tags", OF_A_STEP),
    ("sign", ALWAYS),
    ("sign-subjects", OF_MERGE),
    ("signature-annotations", OF_MERGE),
    ("signature-formats", OF_MERGE),
    ("signing-config", NO_FILES),
    (
        "ssh",
        "a key or the socket of an agent: neither is on the machine of a job without steps of the caller's",
    ),
    ("trusted-root", NO_FILES),
    ("tuf-mirror", OF_MERGE),
    ("tuf-root", NO_FILES),
];

/// Those which the strict workflow does not take either.
const NOT_OF_STRICT_BUILDS: &[(&str, &str)] = &[
    ("add-hosts", REACHES_IN),
    ("allow", REACHES_IN),
    ("attests", REACHES_IN),
    ("build-contexts", REACHES_IN),
    ("buildkitd-config-inline", REACHES_IN),
    ("buildkitd-flags", REACHES_IN),
    ("ca-certificates", OWN_NETWORK),
    ("cache-from", REACHES_IN),
    ("cache-to", REACHES_IN),
    ("cgroup-parent", REACHES_IN),
    ("driver-opts", REACHES_IN),
    ("http-registries", OWN_NETWORK),
    ("network", REACHES_IN),
];

/// Inputs of merge which the jobs that publish are given by no workflow.
const NOT_OF_MERGE: &[(&str, &str)] = &[
    ("allow-foreign-layers", OWN_IMAGES),
    ("allow-index-entries", OWN_IMAGES),
    ("build-source", OWN_IMAGES),
    ("digest-files", OF_DIGESTS),
    ("evidence-dir", NO_FILES),
    ("github-token", JOBS_TOKEN),
    ("metadata-context", NO_FILES),
    ("sbom-cache", NO_FILES),
    ("sbom-cache-key", NO_FILES),
    ("sep-annotations", OF_A_STEP),
    ("sep-tags", "the workflow's own output `tags` has one a line"),
    ("sign", ALWAYS),
    ("signing-config", NO_FILES),
    ("source-images", OWN_IMAGES),
    ("trusted-root", NO_FILES),
    ("tuf-root", NO_FILES),
];

/// Whether a step of the strict workflow's first job lets a run go on; and what it writes for the
/// jobs that build.
fn planned(step: usize, inputs: &[(&str, &str)]) -> Option<String> {
    let workflow = workflow("publish.yml");
    let step = &workflow["jobs"]["plan"]["steps"][step];
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = std::process::Command::new("bash");
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
    for (variable, value) in step["env"].as_object().unwrap() {
        let input =
            value.as_str().unwrap().trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        command.env(
            variable,
            inputs.iter().find(|(name, _)| *name == input).map_or("", |(_, value)| value),
        );
    }
    let ended = command.env("GITHUB_OUTPUT", output.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(
        ended.status.success() || said.starts_with("::error::nothing was built: input `"),
        "{said}"
    );
    // What was refused is not quoted, and no line but ours is written.
    assert!(said.lines().count() <= 1 && !said.contains("evil"), "{said}");
    ended.status.success().then(|| std::fs::read_to_string(output.path()).unwrap())
}

#[test]
fn the_strict_workflow_takes_no_source_and_no_frontend_but_the_commits() {
    for (input, fine, refused) in [
        (
            "context",
            &["", "{{defaultContext}}", "{{defaultContext}}:services/api"][..],
            &[
                "https://github.com/evil/evil.git",
                "docker-image://evil",
                ".",
                "evil",
                "{{defaultContext}}#evil",
                "{{defaultContext}}\nhttps://evil",
                "x{{defaultContext}}",
            ][..],
        ),
        (
            "file",
            &["", "Dockerfile", "docker/api.Dockerfile"],
            &["https://evil.example/Dockerfile", "-", "a\nhttps://evil", "$(evil)"],
        ),
        (
            "build-args",
            &["", "VERSION=1\nA=b", "MY_BUILDKIT=1", "PROXY=x"],
            &[
                "BUILDKIT_SYNTAX=evil",
                "A=1\nBUILDKIT_SYNTAX=evil",
                "A=1,\"BUILDKIT_SYNTAX=evil\"",
                "https_proxy=http://evil",
                "A=1\n ALL_PROXY = evil",
            ],
        ),
        (
            "sbom",
            &["", "auto", "scanner", "registry", "false"],
            &["generator=evil", "registry\ngenerator=evil", "scanner,generator=evil"],
        ),
    ] {
        for text in fine {
            assert!(planned(0, &[(input, text)]).is_some(), "{input}: {text}");
        }
        for text in refused {
            assert!(planned(0, &[(input, text)]).is_none(), "{input}: {text}");
        }
    }
}

#[test]
fn the_strict_workflow_builds_on_runners_of_githubs_alone() {
    let default = workflow("publish.yml")["on"]["workflow_call"]["inputs"]["runners"]["default"]
        .as_str()
        .unwrap()
        .to_owned();
    let written = planned(1, &[("runners", &default)]).unwrap();
    assert!(
        written.contains(
            r#"legs=[{"number":0,"platform":"linux/amd64","runner":"ubuntu-24.04"},{"number":1,"#
        ),
        "{written}"
    );
    assert!(
        written.contains("\nplatforms=linux/amd64,linux/arm64\n") && written.lines().count() == 2,
        "{written}"
    );
    for fine in [r#"{"linux/arm/v7": "ubuntu-22.04-arm"}"#, r#"{"linux/amd64": "ubuntu-latest"}"#] {
        assert!(planned(1, &[("runners", fine)]).is_some(), "{fine}");
    }
    for refused in [
        "",
        "{}",
        "[]",
        "null",
        r#"["ubuntu-24.04"]"#,
        r#"{"linux/amd64": "self-hosted"}"#,
        r#"{"linux/amd64": "evil"}"#,
        r#"{"linux/amd64": ["ubuntu-24.04", "self-hosted"]}"#,
        r#"{"linux/amd64": {"group": "evil"}}"#,
        r#"{"linux/amd64": "ubuntu-24.04-evil"}"#,
        r#"{"linux/amd64": "evil\nubuntu-24.04"}"#,
        r#"{"linux/amd64": "ubuntu-24.04\nevil"}"#,
        r#"{"linux/amd64": "ubuntu-24.04", "linux/arm64": "evil"}"#,
        r#"{"linux/amd64 / x": "ubuntu-24.04"}"#,
        r#"{"linux/amd64,linux/arm64": "ubuntu-24.04"}"#,
        "{\"linux/amd64\": \"ubuntu-24.04\"}{\"linux/arm64\": \"ubuntu-24.04\"}",
        "{\"linux/amd64\": \"ubuntu-24.04\"} evil",
        "::set-output name=evil::x",
        r#"{"a/1":"ubuntu-24.04","a/2":"ubuntu-24.04","a/3":"ubuntu-24.04","a/4":"ubuntu-24.04","a/5":"ubuntu-24.04","a/6":"ubuntu-24.04","a/7":"ubuntu-24.04","a/8":"ubuntu-24.04","a/9":"ubuntu-24.04"}"#,
    ] {
        assert!(planned(1, &[("runners", refused)]).is_none(), "{refused}");
    }
    let strict = workflow("publish.yml");
    assert_eq!(strict["jobs"]["publish"]["steps"][0]["with"]["check-runners"], true);
    let chosen: Vec<&str> = strict["jobs"]
        .as_object()
        .unwrap()
        .values()
        .map(|job| job["runs-on"].as_str().unwrap())
        .collect();
    assert_eq!(
        chosen.iter().filter(|label| **label == "${{ matrix.runner }}").count(),
        1,
        "{chosen:?}"
    );
    assert_eq!(chosen.iter().filter(|label| **label == "ubuntu-24.04").count(), 2, "{chosen:?}");
    // The claim is nowhere else: who lets a caller choose may not make it.
    let custom = read(".github/workflows/publish-custom.yml");
    assert!(!custom.contains("SLSA") && !custom.contains("check-runners"));
}

/// An input that is new is either given to the reusable workflows' steps, or has a reason above.
#[test]
fn the_reusable_workflows_take_every_input_but_those_with_a_reason() {
    let strict_builds = [NOT_OF_BUILDS, NOT_OF_STRICT_BUILDS].concat();
    let networks = [("ca-certificates", OWN_NETWORK), ("http-registries", OWN_NETWORK)];
    let strict_merge = [NOT_OF_MERGE, &networks].concat();
    let custom_merge = [NOT_OF_MERGE, &[("check-runners", NO_CLAIM)]].concat();
    for (name, job, declared, left_out) in [
        ("publish.yml", "build", action().inputs, strict_builds.as_slice()),
        ("publish.yml", "publish", merge().inputs, strict_merge.as_slice()),
        ("publish-custom.yml", "build", action().inputs, NOT_OF_BUILDS),
        ("publish-custom.yml", "publish", merge().inputs, custom_merge.as_slice()),
    ] {
        let workflow = workflow(name);
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        // Nothing of the caller's runs here, and no other action.
        assert_eq!(steps.len(), 1, "{name}: {job}");
        let given = steps[0]["with"].as_object().unwrap();
        for input in declared.keys() {
            let reason = left_out.iter().find(|(left_out, _)| left_out == input);
            assert_ne!(
                given.contains_key(input),
                reason.is_some(),
                "{name}: {job}: input `{input}` must be given to the step, or have its reason in \
                 the lists above ({reason:?})"
            );
        }
        for (input, _) in left_out {
            assert!(declared.contains_key(*input), "{name}: {job}: `{input}` is no input any more");
        }
    }
}

/// A called job that asks for more than its caller may do fails at the start, whatever its `if`:
/// a page says what each file asks for.
#[test]
fn a_page_lists_the_permissions_of_each_reusable_workflow_and_the_examples_grant_them() {
    let page = read("docs/native-runners.md");
    for name in REUSABLE {
        let workflow = workflow(name);
        let mut rights: Vec<String> = workflow["jobs"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|job| job["permissions"].as_object().unwrap())
            .map(|(right, level)| format!("{right}: {}", level.as_str().unwrap()))
            .collect();
        rights.sort();
        rights.dedup();
        assert!(workflow["permissions"].as_object().unwrap().is_empty(), "{name}");
        let listed: Vec<String> = rights.iter().map(|right| format!("`{right}`")).collect();
        assert!(
            page.contains(&format!("| `{name}` | {} |", listed.join(", "))),
            "docs/native-runners.md lacks | `{name}` | {} |",
            listed.join(", ")
        );
        for example in [
            "examples/workflows/reusable.yml",
            "tests/e2e/workflows/reusable-registry.yml",
            "tests/e2e/workflows/reusable-custom.yml",
        ] {
            let caller: serde_json::Value = serde_saphyr::from_str(&read(example)).unwrap();
            let job = &caller["jobs"]["publish"];
            if job["uses"].as_str().unwrap().contains(&format!("/{name}@")) {
                let granted: Vec<String> = job["permissions"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(right, level)| format!("{right}: {}", level.as_str().unwrap()))
                    .collect();
                assert!(
                    rights.iter().all(|right| granted.contains(right)),
                    "{example}: {granted:?}, {rights:?}"
                );
            }
        }
    }
}

/// A called workflow's `github.workflow` is its caller's, and `github.run_id` is never the same:
/// neither lets two runs wait for each other.
#[test]
fn runs_of_the_reusable_workflows_wait_for_those_that_put_the_same_names() {
    for name in REUSABLE {
        let group = &workflow(name)["concurrency"];
        assert_eq!(
            group["group"],
            "supply-action-publish-${{ github.ref }}-${{ inputs.images }}-${{ inputs.target }}",
            "{name}"
        );
        assert_eq!(group["cancel-in-progress"], false, "{name}");
    }
}

/// What nobody looks after goes stale: advisories are asked about at every push, and updates are
/// proposed for each kind of dependency.
#[test]
fn dependencies_are_looked_after() {
    let ci = read(".github/workflows/ci.yml");
    assert!(ci.contains("cargo deny --locked check advisories bans licenses sources"));
    assert!(read("deny.toml").contains("[advisories]"));
    let updates: serde_json::Value =
        serde_saphyr::from_str(&read(".github/dependabot.yml")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut watched: Vec<(String, String)> = Vec::new();
    for update in updates["updates"].as_array().unwrap() {
        assert!(update["groups"].as_object().is_some_and(|groups| !groups.is_empty()), "{update}");
        let ecosystem = update["package-ecosystem"].as_str().unwrap();
        let folders = update["directories"].as_array().unwrap_or_else(|| panic!("{update}"));
        watched.extend(
            folders
                .iter()
                .map(|folder| (ecosystem.to_owned(), folder.as_str().unwrap().to_owned())),
        );
    }
    let mut present = vec![
        ("cargo".to_owned(), "/".to_owned()),
        ("cargo".to_owned(), "/fuzz".to_owned()),
        ("docker".to_owned(), "/".to_owned()),
        ("github-actions".to_owned(), "/".to_owned()),
        ("npm".to_owned(), "/tools/node".to_owned()),
        ("pip".to_owned(), "/tools/python".to_owned()),
    ];
    for tool in std::fs::read_dir(root.join("tools/go")).unwrap() {
        present.push((
            "gomod".to_owned(),
            format!("/tools/go/{}", tool.unwrap().file_name().to_string_lossy()),
        ));
    }
    for (ecosystem, folder) in &present {
        let is_watched = watched.iter().any(|(kind, place)| {
            kind == ecosystem
                && (place == folder
                    || place
                        .strip_suffix("/*")
                        .is_some_and(|above| folder.rsplit_once('/').unwrap().0 == above))
        });
        assert!(is_watched, "nothing proposes updates for {ecosystem} in {folder}");
    }
    for (ecosystem, folder) in &watched {
        assert!(
            root.join(folder.trim_start_matches('/').trim_end_matches("/*")).is_dir(),
            "{ecosystem}: {folder} is not there"
        );
    }
}

#[test]
fn the_image_is_built_with_the_rust_that_cargo_asks_for() {
    let cargo = read("Cargo.toml");
    let wanted = cargo
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .unwrap();
    assert!(
        read("Dockerfile").contains(&format!("ARG RUST_IMAGE=rust:{wanted}.")),
        "Cargo.toml asks for Rust {wanted}"
    );
}
