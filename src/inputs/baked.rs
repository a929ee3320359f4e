//! What `bake` alone is told → words for `buildx bake --print`. Pure; it reads no bake file.

use super::{Problems, Raw};
use crate::text::lists;

/// Which targets of which files.
#[derive(Debug, Default)]
pub struct Baked {
    /// Where the files are; nothing for the commit of this run.
    pub source: String,
    /// The arguments of `buildx bake --print` that say what is asked for.
    pub asked: Vec<String>,
}

pub(super) fn baked(raw: &Raw, problems: &mut Problems) -> Baked {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut asked: Vec<String> = Vec::new();
    let mut push = |name: &str, values: Vec<String>| {
        asked.extend(values.into_iter().flat_map(|value| [name.to_owned(), value]))
    };
    push("--file", lists::words(&text(&raw.files)));
    push("--set", assignments("set", &text(&raw.set), "TARGET.KEY=value", problems));
    push("--var", assignments("vars", &text(&raw.vars), "NAME=value", problems));
    for (input, value) in [("no-cache", &raw.no_cache), ("pull", &raw.pull)] {
        if problems.switch(input, value.as_deref(), false) {
            asked.push(format!("--{input}"));
        }
    }
    let targets = lists::words(&text(&raw.targets));
    for target in targets.iter().filter(|target| target.starts_with('-')) {
        problems.say("targets", format_args!("`{target}` is no name of a target"));
    }
    asked.extend(targets);
    if raw.username.is_some() && raw.registry.is_none() {
        problems.say("registry", "not set beside `username`, and bake files may name several; write for example `ghcr.io`");
    }
    let source = text(&raw.source).trim().to_owned();
    if source.starts_with('-') {
        problems.say("source", format_args!("`{source}` is neither a folder nor a repository"));
    }
    Baked { source, asked }
}

/// One a line, since a value may hold commas.
fn assignments(input: &str, text: &str, form: &str, problems: &mut Problems) -> Vec<String> {
    let lines = lists::lines(text);
    for line in lines.iter().filter(|line| lists::key_value(line).is_none()) {
        problems.say(input, format_args!("`{line}` is not `{form}`"));
    }
    lines
}
