//! `images` and `tags`, in the ways in which workflows write them → texts for `metadata`. Pure; it decides no name.

use super::{Problems, Raw};
use crate::github::Context;
use crate::image::{Repository, Tag};
use crate::metadata::{self, Texts};

/// `images` with its default, and `tags` as rules. Whole references in `tags`, as docker/build-push-action takes them, name the images too.
pub(super) fn names_and_tags(raw: &Raw, context: &Context, problems: &mut Problems, notices: &mut Vec<String>) -> Texts {
    let tags = raw.tags.clone().unwrap_or_default();
    let entries = metadata::entries("tags", &tags).unwrap_or_default(); // what cannot be read is reported with the rest of the metadata
    let whole: Vec<(Repository, Tag)> = entries.iter().flat_map(|entry| entry.split(',')).filter_map(reference).collect();
    let several = entries.iter().filter(|entry| entry.contains(',') && !entry.contains('=')).find(|_| whole.is_empty());
    if let Some(entry) = several {
        notices.push(format!("input `tags`: `{entry}` is one rule, in which the last name wins; write one tag a line"));
    }
    match (&raw.images, whole.is_empty()) {
        (_, true) => {}
        (None, false) if entries.iter().flat_map(|entry| entry.split(',')).all(|entry| reference(entry).is_some()) => {
            return of_references(&whole, problems);
        }
        (None, false) => {
            problems.say("tags", "some are whole references and some are not; write the names into `images` and the tags alone here")
        }
        (Some(_), false) => {
            let (repository, tag) = &whole[0];
            problems.say("tags", format_args!("`{repository}:{tag}` is a whole reference beside `images`; write `{tag}` alone"));
        }
    }
    Texts { images: raw.images.clone().unwrap_or_else(|| default_image(context, problems)), tags, ..Texts::default() }
}

/// `registry/name:tag`, written alone.
fn reference(entry: &str) -> Option<(Repository, Tag)> {
    let (name, tag) = entry.trim().rsplit_once(':').filter(|(name, _)| name.contains('/'))?;
    Some((name.parse().ok()?, tag.parse().ok()?))
}

/// Every image must get every tag, because evidence is one for all.
fn of_references(whole: &[(Repository, Tag)], problems: &mut Problems) -> Texts {
    let images = super::unique(whole.iter().map(|(repository, _)| repository.to_string()).collect());
    let tags = super::unique(whole.iter().map(|(_, tag)| tag.to_string()).collect());
    for image in &images {
        for tag in &tags {
            if !whole.iter().any(|(repository, its)| repository.to_string() == *image && its.as_str() == tag) {
                problems.say(
                    "tags",
                    format_args!("`{image}` would get no tag `{tag}`; every image gets every tag, or is published in a step of its own"),
                );
            }
        }
    }
    Texts { images: images.join("\n"), tags: tags.join("\n"), ..Texts::default() }
}

/// `ghcr.io/<repository>`: where most workflows publish.
fn default_image(context: &Context, problems: &mut Problems) -> String {
    match &context.repository {
        Some(repository) => format!("ghcr.io/{}", repository.to_lowercase()),
        None => {
            problems
                .say("images", "not set, and there is no `GITHUB_REPOSITORY` to take the name from; write for example `ghcr.io/octo/app`");
            String::new()
        }
    }
}
