//! Rules for tags, labels and annotations with their expressions, on a made-up run. It asks nobody
//! and knows no clock.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use supply_action::environment::Environment;
use supply_action::metadata::{MetadataRun, Texts, metadata};

fuzz_target!(|text: &str| {
    let mut parts = text.split('\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let texts = Texts {
        tags: next(),
        flavor: next(),
        labels: next(),
        annotations: next(),
        images: next(),
        ..Texts::default()
    };
    let (git_ref, event_name) = (next(), next());
    let payload = json!({ "repository": { "default_branch": "main" }, "number": 5, "pull_request": { "head": { "sha": "c0ffee" } } });
    let repository = json!({ "name": "app", "description": "a \"b\"", "html_url": "https://github.com/o/app", "license": { "spdx_id": "MIT" } });
    let env = Environment::new();
    let run = MetadataRun {
        event_name: if event_name.is_empty() { "push" } else { &event_name },
        git_ref: if git_ref.is_empty() { "refs/tags/v1.2.3".to_owned() } else { git_ref },
        sha: "860c1904a1ce19322e91ac35af1ab07466440c37".to_owned(),
        payload: &payload,
        repository: &repository,
        commit_date: jiff::Timestamp::UNIX_EPOCH,
        now: jiff::Timestamp::UNIX_EPOCH,
        env: &env,
    };
    let (once, again) = (metadata(&texts, &run), metadata(&texts, &run));
    assert_eq!(once, again);
    if let Ok(made) = once {
        let _ = (made.tags(), made.label_lines(), made.json(), made.bake_files("default"));
    }
});
