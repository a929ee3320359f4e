//! What users of Docker's actions bring: their inputs through `plan`, and what each wrong one is
//! told.

use std::collections::BTreeMap;
use std::process::Output;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

/// Runs `plan` in an empty folder with exactly this environment.
async fn plan(
    inputs: &BTreeMap<String, String>,
    env: &BTreeMap<String, String>,
    arguments: &[&str],
) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_supply-action"));
    command.arg("plan").args(arguments).current_dir(folder.path()).env_clear();
    command.envs([
        ("GITHUB_REPOSITORY", "octo/app"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_SHA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GITHUB_EVENT_NAME", "push"),
        // Nobody listens there: what is not in the event stays unknown.
        ("GITHUB_API_URL", "http://127.0.0.1:9"),
    ]);
    command
        .envs(env)
        .envs(inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value)));
    command.output().await.unwrap()
}

#[derive(Deserialize)]
struct Wrong {
    name: String,
    inputs: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    code: i32,
    says: String,
}

#[tokio::test]
async fn every_wrong_input_is_told_what_is_wrong_and_shows_no_secret() {
    let cases: Vec<Wrong> = include_str!("../fixtures/errors.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for case in &cases {
        let output = plan(&case.inputs, &case.env, &["--json"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.trim()),
            (Some(case.code), case.says.as_str()),
            "{}",
            case.name
        );
        assert!(output.stdout.is_empty(), "{}", case.name);
        assert!(!said.contains("hunter2"), "{}: {said}", case.name);
        assert!(said.contains("nothing would be built"), "{}: {said}", case.name);
    }
    assert!(cases.len() >= 60);
}

/// `name: value` pairs that stand in backticks in a cell.
fn inputs_of(cell: &str) -> BTreeMap<String, String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The plan without what only says how it came about.
fn planned(output: &Output) -> Value {
    let mut plan: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    plan.as_object_mut().unwrap().remove("notices");
    plan
}

#[tokio::test]
async fn every_migration_step_gives_the_same_plan() {
    let table = crate::markdown::section("docs/migration.md", "migration");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .skip(2)
        .map(|row| row.trim_matches(['|', ' ']).split_once(" | ").unwrap())
        .collect();
    let env = BTreeMap::from([
        ("GITHUB_EVENT_NAME".to_owned(), "push".to_owned()),
        ("GITHUB_REF".to_owned(), "refs/tags/v1.2.3".to_owned()),
    ]);
    let arguments = ["--json", "--now", "2026-01-31T04:00:00Z"];
    for (before, after) in &rows {
        let (theirs, mut ours) = (inputs_of(before), inputs_of(after));
        // What "nothing" stands for is the default, which may be spelt out beside it.
        if after.starts_with("nothing") {
            ours.clear();
        }
        // A workspace without Git cannot answer, and the other tests have one.
        if ours.contains_key("metadata-context") {
            continue;
        }
        let after = planned(&plan(&ours, &env, &arguments).await);
        let mut theirs = theirs;
        // Different actions may give one name different meanings; what is written for QEMU is not
        // what is built.
        if before.starts_with("docker/setup-qemu-action") {
            theirs.remove("platforms");
        }
        theirs.retain(|_, value| !value.contains("${{"));
        let output = plan(&theirs, &env, &arguments).await;
        if output.status.success() {
            let mut before_plan = planned(&output);
            let mut after = after;
            // A login at ghcr.io is the token's, unless a user gives one.
            if before.contains("registry: ghcr.io") {
                before_plan["logins"].take();
                after["logins"].take();
            }
            // Several login steps are one list.
            if !before.contains("once a registry") {
                assert_eq!(before_plan, after, "{before}");
            }
        } else {
            let said = String::from_utf8(output.stderr).unwrap();
            let renamed: Vec<&String> =
                ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
            assert!(
                !renamed.is_empty()
                    && renamed.iter().all(|name| said.contains(&format!("`{name}`"))),
                "{before}: {said}"
            );
        }
    }
    let steps = [
        "setup-qemu",
        "setup-buildx",
        "login-action",
        "metadata-action",
        "build-push",
        "cosign",
        "sbom-action",
        "attest",
    ];
    assert!(
        steps.iter().all(|step| rows.iter().any(|(before, _)| before.contains(step))),
        "{rows:?}"
    );
}
