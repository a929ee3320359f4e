//! The user's lists for the build, completed by what the run knows: labels, annotations, build
//! arguments. It takes nothing of theirs away.

use crate::build::flags::BuildTexts;
use crate::github::RunContext;
use crate::inputs::Inputs;
use crate::metadata::ImageMetadata;

/// The texts from which the flags are made.
pub(super) fn completed(
    inputs: &Inputs,
    metadata: &ImageMetadata,
    context: &RunContext,
) -> BuildTexts {
    let mut texts = inputs.build.texts.clone();
    texts.labels = quoted(&metadata.label_lines());
    texts.annotations = quoted(&metadata.annotations);
    if !metadata.build_args.entries.is_empty() {
        texts.build_args = quoted(&metadata.build_args.entries);
    }
    if inputs.build.source_args {
        texts.build_args = with_source(&texts.build_args, context);
    }
    texts
}

/// What of the build arguments looks like an expression and is left as it is, or gave nothing.
pub(super) fn expressions(metadata: &ImageMetadata) -> Vec<String> {
    let unknown = metadata.build_args.unknown.iter().map(|word| {
        format!(
            "input `build-args`: `{{{{{word}}}}}` stays as it is; filled in are `{{{{version}}}}`, `{{{{branch}}}}`, `{{{{tag}}}}`, `{{{{sha}}}}`, \
             `{{{{base_ref}}}}`, `{{{{is_default_branch}}}}`, `{{{{date 'FORMAT'}}}}` and `{{{{commit_date 'FORMAT'}}}}`"
        )
    });
    unknown.collect()
}

/// A list whose entries stay as they are when the list is read again.
fn quoted(entries: &[String]) -> String {
    entries.iter().map(|entry| format!("\"{}\"\n", entry.replace('"', "\"\""))).collect()
}

/// Where the source is from, as build arguments; the user's own values win.
fn with_source(given: &str, context: &RunContext) -> String {
    let repository = context
        .repository
        .as_ref()
        .map(|repository| format!("{}/{repository}", context.server_url))
        .unwrap_or_default();
    let mut text = given.trim_end().to_owned();
    for (name, value) in [
        ("SOURCE_REPOSITORY", &repository),
        ("SOURCE_COMMIT", &context.sha),
        ("BUILD_WORKFLOW", &context.workflow_ref),
    ] {
        let set = given
            .lines()
            .any(|line| line.trim().trim_start_matches('"').split('=').next() == Some(name));
        if !set && !value.is_empty() {
            text.push_str(&format!("\n{name}={value}"));
        }
    }
    text
}
