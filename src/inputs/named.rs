//! The inputs about names → `NameInputs`; `images` and `tags` in the ways in which workflows write
//! them. Pure; it decides no name.

use super::InputProblems;
use super::references::{ReferenceItem, item};
use super::texts::InputTexts;
use crate::github::RunContext;
use crate::github::server::Server;
use crate::metadata::{self, Remark, TagReference, Texts};
use crate::page::RefusalPage;
use crate::publish::OnTagConflict;

/// The names, labels and annotations of an image, and how they are told.
#[derive(Debug)]
pub struct NameInputs {
    /// The inputs of docker/metadata-action, as texts; `metadata` reads them. `tags` is empty when
    /// the event decides.
    pub metadata: Texts,
    pub metadata_context: MetadataContext,
    pub on_tag_conflict: OnTagConflict,
    pub separators: Separators,
    pub bake_target: Option<String>,
}

/// What tags, labels and annotations are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataContext {
    /// The event of the workflow.
    Workflow,
    /// The repository in the workspace, as it is checked out.
    Git,
}

/// What stands between the entries of an output.
#[derive(Debug, Clone)]
pub struct Separators {
    pub tags: String,
    pub labels: String,
    pub annotations: String,
}

impl NameInputs {
    /// `images` and `tags` as they are known already; `build_args` is read with the build.
    pub(super) fn read(
        given: &InputTexts,
        names: Texts,
        build_args: &str,
        problems: &mut InputProblems,
    ) -> Self {
        let separator = |name: &str| given.get(name).unwrap_or("\n").to_owned();
        Self {
            metadata: Texts {
                flavor: given.text("flavor"),
                labels: given.text("labels"),
                annotations: given.text("annotations"),
                build_args: build_args.to_owned(),
                ..names
            },
            metadata_context: metadata_context(given, problems),
            on_tag_conflict: on_tag_conflict(given, problems),
            separators: Separators {
                tags: separator("sep-tags"),
                labels: separator("sep-labels"),
                annotations: separator("sep-annotations"),
            },
            bake_target: given.owned("bake-target"),
        }
    }
}

fn metadata_context(given: &InputTexts, problems: &mut InputProblems) -> MetadataContext {
    match given.get("metadata-context").map(str::trim) {
        None | Some("workflow") => MetadataContext::Workflow,
        Some("git") => MetadataContext::Git,
        Some(other) => {
            problems
                .say("metadata-context", format_args!("`{other}` is neither `workflow` nor `git`"));
            MetadataContext::Workflow
        }
    }
}

fn on_tag_conflict(given: &InputTexts, problems: &mut InputProblems) -> OnTagConflict {
    match given.get("on-tag-conflict") {
        None | Some("fail") => OnTagConflict::Fail,
        Some("overwrite") => OnTagConflict::Overwrite,
        Some(other) => {
            problems.say(
                "on-tag-conflict",
                format_args!("`{other}` is neither `fail` nor `overwrite`"),
            );
            OnTagConflict::Fail
        }
    }
}

/// `images` with its default, and `tags` as rules; `input` is what the user calls it. Whole references in `tags`, as
/// docker/build-push-action takes them, name the images too.
/// `pushed` are names that `outputs` gives to an image without a tag.
pub(super) fn names_and_tags(
    input: &str,
    given: &InputTexts,
    pushed: &[String],
    context: &RunContext,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) -> Texts {
    let tags = given.text("tags");
    let entries = metadata::entries("tags", &tags).unwrap_or_default(); // what cannot be read is reported with the rest of the metadata
    told(&entries, problems, notices);
    for input in ["labels", "annotations"] {
        let text = given.get(input).unwrap_or_default();
        notices.extend(metadata::strange(text).into_iter().map(|name| {
            format!("input `{input}`: there is no `{{{{{name}}}}}`, so it becomes empty")
        }));
    }
    let items: Vec<(&str, ReferenceItem)> =
        entries.iter().flat_map(|entry| items(entry)).map(|text| (text, item(text))).collect();
    let whole: Vec<&TagReference> = items
        .iter()
        .filter_map(
            |(_, item)| if let ReferenceItem::Reference(whole) = item { Some(whole) } else { None },
        )
        .collect();
    let wrong: Vec<&String> = items
        .iter()
        .filter_map(|(_, item)| if let ReferenceItem::Wrong(why) = item { Some(why) } else { None })
        .collect();
    wrong.iter().for_each(|why| problems.say("tags", why));
    let is_rule = |entry: &&String| entry.contains('=');
    if let Some(entry) = entries
        .iter()
        .find(|entry| whole.is_empty() && !is_rule(entry) && items_of(entry).count() > 1)
    {
        notices.push(format!(
            "input `tags`: `{entry}` is one rule, in which the last name wins; write one tag a line"
        ));
    }
    let images = given
        .owned("images")
        .or_else(|| Some(pushed.join("\n")).filter(|pushed| !pushed.is_empty()));
    match (given.get("images"), whole.first()) {
        (Some(_), Some(TagReference { text, tag, .. })) => {
            problems.say(
                "tags",
                format_args!("`{text}` is a whole reference beside `images`; write `{tag}` alone"),
            );
        }
        (None, Some(_))
            if whole.len() == items.len() && !entries.iter().any(|entry| is_rule(&entry)) =>
        {
            return of_references(&whole);
        }
        (None, Some(_)) if wrong.is_empty() => {
            problems.say("tags", "some are whole references and some are not; write the names into `images` and the tags alone here");
        }
        (None, Some(_)) | (_, None) => {}
    }
    for (text, item) in &items {
        // Beside `images` it can only be a tag.
        match (item, &images) {
            (ReferenceItem::Either { tag, image }, None) => {
                either(text, tag, image.as_deref(), problems)
            }
            (ReferenceItem::Either { tag, .. }, Some(_)) => notices.push(put_as(text, tag)),
            (ReferenceItem::Tag, _)
                if !text.contains("{{") && metadata::sanitised(text) != *text =>
            {
                notices.push(put_as(text, &metadata::sanitised(text)))
            }
            _ => {}
        }
    }
    Texts {
        images: images.unwrap_or_else(|| default_image(input, context, problems)),
        tags: without_empty_items(&entries).unwrap_or(tags),
        ..Texts::default()
    }
}

/// The items of an entry that is no rule, as docker/build-push-action splits them: empty ones are
/// none.
fn items(entry: &str) -> impl Iterator<Item = &str> {
    items_of(entry).filter(|_| !entry.contains('='))
}

fn items_of(entry: &str) -> impl Iterator<Item = &str> {
    entry.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The list again where an entry has empty items beside others: of several, the last counts.
fn without_empty_items(entries: &[String]) -> Option<String> {
    let kept = |entry: &String| match items(entry).collect::<Vec<_>>().join(",") {
        kept if kept.is_empty() => entry.clone(),
        kept => kept,
    };
    let has_empty = |entry: &&String| {
        !entry.contains('=') && entry.split(',').any(|item| item.trim().is_empty())
    };
    entries.iter().any(|entry| has_empty(&entry) && items(entry).next().is_some()).then(|| {
        let quoted =
            entries.iter().map(|entry| format!("\"{}\"", kept(entry).replace('"', "\"\"")));
        quoted.collect::<Vec<_>>().join("\n")
    })
}

fn put_as(text: &str, tag: &str) -> String {
    format!("input `tags`: `{text}` is not a legal tag, and becomes `{tag}`")
}

/// What counts for nothing in the rules.
fn told(entries: &[String], problems: &mut InputProblems, notices: &mut Vec<String>) {
    let of_entry = |entry: &String| match entry.contains('=') {
        true => metadata::remarks(entry),
        false => items(entry).flat_map(metadata::remarks_of_item).collect(),
    };
    for remark in entries.iter().flat_map(of_entry) {
        match remark {
            Remark::Wrong(why) => problems.say("tags", why),
            Remark::Unused(what) => notices.push(format!("input `tags`: {what}")),
        }
    }
}

fn either(text: &str, tag: &str, image: Option<&str>, problems: &mut InputProblems) {
    problems.say("tags", format_args!("`{text}` could be a tag or an image, so it is refused"));
    problems.hint(match image {
        Some(image) => {
            format!("write `{image}:latest` for the image, or `{tag}` for the tag; `type=ref,event=branch` gives the tag of a branch")
        }
        None => format!("write `{tag}` for the tag, or a whole reference such as `ghcr.io/octo/app:latest` for an image"),
    });
    problems.see(RefusalPage::ATagOrAnImage);
}

fn of_references(whole: &[&TagReference]) -> Texts {
    let images = super::unique(whole.iter().map(|whole| whole.image.clone()).collect());
    let tags = super::unique(whole.iter().map(|whole| whole.tag.clone()).collect());
    let references = whole.iter().map(|whole| (*whole).clone()).collect();
    Texts { images: images.join("\n"), tags: tags.join("\n"), references, ..Texts::default() }
}

/// The repository's name at the registry of the server that runs the workflow: `ghcr.io`, or one of
/// its own.
fn default_image(input: &str, context: &RunContext, problems: &mut InputProblems) -> String {
    let server = Server::of(&context.server_url);
    match (&context.repository, server.registry()) {
        (Some(repository), Some(registry)) => format!("{registry}/{}", repository.to_lowercase()),
        (Some(_), None) => {
            let why = format_args!(
                "not set, and the registry of `{server}` is not known; write for example `registry.example.com/octo/app`"
            );
            problems.say(input, why);
            String::new()
        }
        (None, _) => {
            problems
                .say(input, "not set, and there is no `GITHUB_REPOSITORY` to take the name from; write for example `ghcr.io/octo/app`");
            String::new()
        }
    }
}
