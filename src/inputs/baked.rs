//! What `bake` alone is told → words for `buildx bake --print`. Pure; it reads no bake file.

use super::InputProblems;
use super::texts::InputTexts;
use crate::text::lists;

/// Which targets of which files.
#[derive(Debug, Default)]
pub struct BakeInputs {
    /// Where the files are; nothing for the commit of this run.
    pub source: String,
    /// The arguments of `buildx bake --print` that say what is asked for.
    pub asked: Vec<String>,
}

pub(super) fn baked(given: &InputTexts, problems: &mut InputProblems) -> BakeInputs {
    let mut asked: Vec<String> = Vec::new();
    let mut push = |name: &str, values: Vec<String>| {
        asked.extend(values.into_iter().flat_map(|value| [name.to_owned(), value]))
    };
    push("--file", lists::words(&given.text("files")));
    push("--set", assignments("set", &given.text("set"), "TARGET.KEY=value", problems));
    push("--var", assignments("vars", &given.text("vars"), "NAME=value", problems));
    for input in ["no-cache", "pull"] {
        if given.switch(input, problems) {
            asked.push(format!("--{input}"));
        }
    }
    let targets = lists::words(&given.text("targets"));
    for target in targets.iter().filter(|target| target.starts_with('-')) {
        problems.say("targets", format_args!("`{target}` is not the name of a target"));
    }
    asked.extend(targets);
    if given.get("username").is_some() && given.get("registry").is_none() {
        problems.say("registry", "not set beside `username`, and bake files may name several; write for example `ghcr.io`");
    }
    let source = given.text("source").trim().to_owned();
    if source.starts_with('-') {
        problems.say("source", format_args!("`{source}` is neither a folder nor a repository"));
    }
    BakeInputs { source, asked }
}

/// One a line, since a value may hold commas.
fn assignments(input: &str, text: &str, form: &str, problems: &mut InputProblems) -> Vec<String> {
    let lines = lists::lines(text);
    for line in lines.iter().filter(|line| lists::key_value(line).is_none()) {
        problems.say(input, format_args!("`{line}` is not `{form}`"));
    }
    lines
}
