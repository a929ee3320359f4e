//! Whole texts that people and machines read, beside what they were: a reviewer reads the
//! difference. `RENEW_DOCS=1` writes them anew. What changes from run to run is replaced.

use std::path::Path;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Run, World};

/// What differs between two runs of one commit, and what stands for it.
const CHANGING: [(&str, &str); 14] = [
    (r"127\.0\.0\.1\\?:\d+", "registry.example"),
    (r"localhost:\d+", "service.example"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"\b[0-9a-f]{40}\b", "<commit>"),
    (r"`[0-9a-f]{12}`", "`<short>`"),
    (r"\b[0-9a-f]{12}  ", "<short>  "),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\bon \d{4}-\d\d-\d\d\b", "on <date>"),
    (r" *(\d+ min \d\d|\d+\.\d\d?) s\b", " <seconds>"),
    (r" *█+ *", " "),
    (r"/[^\s`']*/\.tmp[A-Za-z0-9]+", "<folder>"),
    (r"supply-action-[0-9a-f]{32}", "<token>"),
    // Of signatures that took longer.
    (r"<time> to <time>", "<time>"),
    // What the log of the sandbox counts from.
    (r"\b416\d{4}(, 416\d{4})*", "<entries>"),
];

fn without_changes(text: &str) -> String {
    static PATTERNS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let compiled = CHANGING.iter().map(|(find, stands)| (Regex::new(find).unwrap(), *stands));
        compiled.collect()
    });
    let text = patterns.iter().fold(text.to_owned(), |text, (find, stands)| {
        find.replace_all(&text, *stands).into_owned()
    });
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

/// Holds a text to its file.
fn held(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
    let text = without_changes(text);
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(was == text, "`make docs` renews `{name}`, which is now:\n{text}");
}

/// What a person at a terminal reads of a failure.
fn failure(run: &Run) -> String {
    assert_ne!(run.code, Some(0), "{}", run.log);
    let from = run.log.find("error: ").unwrap_or_else(|| panic!("{}", run.log));
    format!("exit {}\n{}", run.code.unwrap_or_default(), &run.log[from..])
}

async fn local() -> World {
    let mut world = World::new().await;
    world.unset("GITHUB_ACTIONS");
    world
}

#[tokio::test]
async fn plans_are_said_as_they_were() {
    let mut world = local().await;
    world.unset("INPUT_TAGS");
    let sha = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";
    for (name, git_ref, event) in [
        ("tag", "refs/tags/v1.2.3", "push"),
        ("branch", "refs/heads/main", "push"),
        ("pull-request", "refs/pull/7/merge", "pull_request"),
        ("dispatch", "refs/heads/topic", "workflow_dispatch"),
    ] {
        world.at(git_ref, sha).set("GITHUB_EVENT_NAME", event);
        let output = world.command().arg("plan").output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        held(&format!("plan-{name}.txt"), &String::from_utf8_lossy(&output.stdout));
        let output = world.command().args(["plan", "--json"]).output().await.unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        held(&format!("plan-{name}.json"), &serde_json::to_string_pretty(&json).unwrap());
    }
}

#[tokio::test]
async fn every_action_has_its_plan() {
    let mut world = local().await;
    let bakes = json!({ "group": { "default": { "targets": ["api"] } }, "target": {
        "api": { "context": ".", "platforms": ["linux/amd64"], "tags": ["r.io/o/api:1.2.3"] } } });
    let folder = world.folder.path().join("context");
    std::fs::write(folder.join("docker-bake.json"), bakes.to_string()).unwrap();
    let folder = folder.display().to_string();
    let digest = format!("sha256:{}", "1".repeat(64));
    for one_image in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT"] {
        world.unset(one_image);
    }
    let tags = "v1.2.3\nlatest";
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("scan", &[("INPUT_IMAGE", "r.io/o/a:v1\nr.io/o/a:latest")]),
        (
            "merge",
            &[("INPUT_IMAGES", "r.io/o/a"), ("INPUT_TAGS", tags), ("INPUT_DIGESTS", &digest)],
        ),
        ("bake", &[("INPUT_SOURCE", &folder)]),
        (
            "promote",
            &[
                ("INPUT_DESTINATIONS", "r.io/o/a"),
                ("INPUT_TAGS", tags),
                ("INPUT_SOURCE", "r.io/b:1"),
            ],
        ),
    ];
    for (action, inputs) in cases {
        for (arguments, ending) in
            [(&["plan", "--action"][..], "txt"), (&["plan", "--json", "--action"], "json")]
        {
            let mut command = world.command();
            command.args(arguments).arg(action).envs(inputs.iter().copied());
            let output = command.output().await.unwrap();
            assert!(
                output.status.success(),
                "{action}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let text = match ending {
                "json" => {
                    serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap())
                        .unwrap()
                }
                _ => text,
            };
            held(&format!("plan-of-{action}.{ending}"), &text);
        }
    }
    // What only a builder reads is no plan.
    let run = world.run(&["plan", "--action", "bake"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("which only a started builder reads"), "{}", run.log);
    assert!(world.sandbox.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn a_release_says_what_it_said() {
    let world = local().await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    held("publish-summary.md", &run.summary);
    let picture = run.log.find("\n\n  preflight").unwrap_or_else(|| panic!("{}", run.log));
    held("publish-picture.txt", &run.log[picture..]);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    held("evidence.json", &serde_json::to_string_pretty(&evidence).unwrap());
}

#[tokio::test]
async fn failures_say_what_they_said() {
    let world = local().await;
    let gone = world.folder.path().join("gone").display().to_string();
    let nothing: [&str; 0] = [];
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 11] = [
        ("no-oidc-token", &nothing, &[("ACTIONS_ID_TOKEN_REQUEST_URL", "")]),
        ("unknown-input", &nothing, &[("INPUT_PLATFROMS", "linux/amd64")]),
        ("several-inputs", &nothing, &[("INPUT_PUSH", "maybe"), ("INPUT_FAIL-ON", "severe")]),
        ("no-sign", &nothing, &[("INPUT_SIGN", "false")]),
        ("no-dockerfile", &nothing, &[("INPUT_FILE", &gone)]),
        ("build-fails", &nothing, &[("FAKE_BUILDX", "one-platform-fails")]),
        ("missing-platform", &nothing, &[("FAKE_BUILDX", "missing-platform")]),
        (
            "secret-argument",
            &nothing,
            &[("INPUT_BUILD-ARGS", "TOKEN=ghp_0123456789012345678901234567890123ab")],
        ),
        ("no-digests", &["merge"], &[]),
        (
            "no-source",
            &["promote"],
            &[("INPUT_DESTINATIONS", "r.io/o/a"), ("GITHUB_REPOSITORY", "")],
        ),
        ("no-service", &nothing, &[("INPUT_OSV-URL", "http://osv.example")]),
    ];
    for (name, arguments, change) in cases {
        let run = world.run(arguments, change).await;
        held(&format!("errors/{name}.txt"), &failure(&run));
        held(&format!("errors/{name}.md"), &run.summary);
    }
}
