//! One list of inputs and outputs: what `action.yml` declares is what the program reads and writes,
//! and what workflows and documents say of them. The modules below hold the pages to it.

mod actions;
mod pages;
mod reference;
mod snippets;

use std::path::Path;

use supply_action::inputs::Action;
use supply_action::inputs::table::Reusable;

use crate::markdown::{documents, read};

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

/// The action of a folder, as `uses` names it.
fn of(folder: &str) -> Option<Action> {
    let verb = folder.trim_start_matches('/');
    let verb = if verb.is_empty() { "publish" } else { verb };
    Action::ALL.into_iter().find(|action| action.verb() == verb)
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
                let uses = step["uses"].as_str().unwrap_or_default().split('@').next().unwrap();
                let Some(action) =
                    uses.strip_prefix("org/supply-action").or(uses.strip_prefix('.'))
                else {
                    continue;
                };
                let Some(action) = of(action) else { continue };
                steps += 1;
                for name in step["with"].as_object().into_iter().flat_map(|with| with.keys()) {
                    assert!(action.has(name), "{}: `{name}` is no input", file.display());
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
    for name in REUSABLE.into_iter().chain(["promote.yml"]) {
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
    assert!(
        !custom.contains("SLSA_")
            && !custom.contains("SLSA Build")
            && !custom.contains("check-runners")
    );
}

/// An input that is new is either given to the reusable workflows' steps, or its row says why not.
#[test]
fn the_reusable_workflows_take_every_input_but_those_with_a_reason() {
    for (name, other, job, action) in [
        ("publish.yml", Reusable::Custom, "build", Action::Publish),
        ("publish.yml", Reusable::Custom, "publish", Action::Merge),
        ("publish-custom.yml", Reusable::Strict, "build", Action::Publish),
        ("publish-custom.yml", Reusable::Strict, "publish", Action::Merge),
        ("promote.yml", Reusable::Strict, "promote", Action::Promote),
    ] {
        let workflow = workflow(name);
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        // Nothing of the caller's runs here, and no other action.
        assert_eq!(steps.len(), 1, "{name}: {job}");
        let given = steps[0]["with"].as_object().unwrap();
        for input in action.inputs() {
            let withheld = input.of(action).unwrap().withheld;
            let reason = withheld.filter(|(workflow, _)| *workflow != other);
            assert_ne!(
                given.contains_key(input.name),
                reason.is_some(),
                "{name}: {job}: input `{}` must be given to the step, or its row in \
                 src/inputs/table must say why it is withheld ({reason:?})",
                input.name
            );
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
