//! What users of Docker's actions bring: their inputs through `plan`, and what each wrong one is told.

use std::collections::BTreeMap;
use std::process::Output;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

/// Runs `plan` in an empty folder with exactly this environment.
async fn plan(inputs: &BTreeMap<String, String>, env: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
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
    command.envs(env).envs(inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value)));
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
    let cases: Vec<Wrong> = include_str!("../fixtures/errors.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for case in &cases {
        let output = plan(&case.inputs, &case.env, &["--json"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.trim()), (Some(case.code), case.says.as_str()), "{}", case.name);
        assert!(output.stdout.is_empty(), "{}", case.name);
        assert!(!said.contains("hunter2"), "{}: {said}", case.name);
        assert!(said.contains("nothing would be built"), "{}: {said}", case.name);
    }
    assert!(cases.len() >= 60);
}
