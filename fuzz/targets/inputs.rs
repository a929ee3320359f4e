//! Texts of inputs: lists, CSV, nodes in YAML, platforms, and what `buildx inspect` prints. It
//! starts nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supply_action::build::builder::{appended_nodes, inspected};
use supply_action::build::flags::{BuildTexts, FlagFacts, flags};
use supply_action::environment::Environment;
use supply_action::text::csv::{self, CsvDialect};
use supply_action::text::lists;

fuzz_target!(|text: &str| {
    for loose_quotes in [false, true] {
        for comments in [false, true] {
            let _ = csv::read(text, CsvDialect { loose_quotes, comments });
        }
    }
    let _ = (
        lists::lines(text),
        lists::words(text),
        lists::records(text, false),
        lists::records(text, true),
    );
    let _ = (
        lists::untrimmed_records(text),
        lists::lines_with_quotes(text),
        lists::key_value(text),
        lists::boolean(text),
    );
    let _ = appended_nodes(text);
    let found = inspected(text);
    assert!(found.missing(&found.platforms).is_empty(), "a builder lacks what it has");
    let (env, event) = (Environment::new(), serde_json::Value::Null);
    let facts = FlagFacts {
        env: &env,
        event: &event,
        file_exists: &|_| true,
        private: text.len() % 2 == 0,
    };
    let mut parts = text.split('\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let texts = BuildTexts {
        context: next(),
        outputs: next(),
        attests: next(),
        provenance: next(),
        sbom: next(),
        build_args: next(),
        secrets: Some(next().into()),
        secret_envs: next(),
        cache_from: next(),
        cache_to: next(),
        annotations: next(),
        labels: next(),
        ..BuildTexts::default()
    };
    let _ = flags(&texts, &facts);
});
