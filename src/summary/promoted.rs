//! A promoted image → what later steps and people read of it: outputs, and the job summary. Pure. It
//! lets no text of others become Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::commands::Command;
use super::evidence;
use super::markdown::{SummaryRun, bytes, code, plain, section, times};
use crate::evidence::EvidenceFormat;
use crate::image::{Digest, ImageRef, Repository};
use crate::inputs::Separators;
use crate::publish::Published;
use crate::registry::transfer::Copied;
use crate::report::{Stage, seconds};
use crate::text::plural;

/// A verification summary in its place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedSummary {
    pub image: String,
    pub verifier: String,
    pub levels: Vec<String>,
    pub format: EvidenceFormat,
    /// Of the bundle, or the layer of the older format.
    pub bundle: Digest,
    /// Whether an earlier run signed it.
    pub reused: bool,
}

/// An OCI layout in its place on disk.
#[derive(Debug)]
pub struct PromotedLayout {
    /// `oci-layout:PATH`.
    pub shown: String,
    pub digest: Digest,
    /// `oci-layout:PATH:NAME`.
    pub names: Vec<String>,
    pub copied: Copied,
}

/// What a promotion did.
pub struct PromotedTexts<'a> {
    pub layouts: &'a [PromotedLayout],
    pub copied: &'a BTreeMap<Repository, Copied>,
    pub summaries: &'a [PlacedSummary],
}

/// What a promotion tells later steps.
pub fn outputs(
    published: &Published,
    PromotedTexts { layouts, copied, summaries }: &PromotedTexts<'_>,
    separators: &Separators,
) -> Vec<(&'static str, String)> {
    let in_layouts = layouts.iter().flat_map(|layout| layout.names.iter().cloned());
    let names: Vec<String> =
        published.names.iter().map(ToString::to_string).chain(in_layouts).collect();
    let (image, digest) = match (published.images.first(), layouts.first()) {
        (Some(first), _) => (first.repository.to_string(), &first.digest),
        (None, Some(layout)) => (layout.shown.clone(), &layout.digest),
        (None, None) => return Vec::new(),
    };
    let reference = format!("{image}@{digest}");
    let kept: Vec<String> = published.kept.iter().map(|kept| kept.name.to_string()).collect();
    let tagged = names
        .iter()
        .find(|name| name.strip_prefix(image.as_str()).is_some_and(|tag| tag.starts_with(':')));
    let full = tagged.map_or_else(|| reference.clone(), |name| format!("{name}@{digest}"));
    let copied: serde_json::Map<String, Value> = copied
        .iter()
        .map(|(repository, copied)| (repository.to_string(), json!(copied)))
        .chain(layouts.iter().map(|layout| (layout.shown.clone(), json!(layout.copied))))
        .collect();
    vec![
        ("digest", digest.to_string()),
        ("image", image),
        ("image-ref", reference),
        ("dest_image_full", full),
        ("tags", names.join(&separators.tags)),
        ("kept-tags", kept.join(&separators.tags)),
        ("evidence", evidence(published).to_string()),
        ("copied", Value::Object(copied).to_string()),
        ("verification-summaries", json!(summaries).to_string()),
    ]
}

/// The summary that `GITHUB_STEP_SUMMARY` shows.
pub fn markdown(
    published: &Published,
    source: &ImageRef,
    PromotedTexts { layouts, copied, summaries }: &PromotedTexts<'_>,
    commands: &[Command],
    run: &SummaryRun<'_>,
    (stages, elapsed): (&[Stage], Duration),
) -> String {
    let mut text = format!(
        "## 🚚 {}\n\nPromoted with its evidence, which was verified at the source and at each destination, in {}.\n\n",
        code(&source.repository),
        seconds(elapsed)
    );
    if !copied.is_empty() {
        text += "| destination | sent | blobs | manifests | mounted | there already |\n|---|---|---|---|---|---|\n";
    }
    for (repository, copied) in *copied {
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            code(repository),
            bytes(copied.bytes),
            copied.blobs,
            copied.manifests,
            copied.mounted,
            copied.skipped
        );
    }
    for layout in *layouts {
        let _ = writeln!(
            text,
            "\n{}: {} in {} and {}.",
            code(&layout.shown),
            bytes(layout.copied.bytes),
            plural(layout.copied.blobs, "blob"),
            plural(layout.copied.manifests, "manifest")
        );
    }
    if let Some(first) = summaries.first() {
        let mut levels: Vec<&str> =
            summaries.iter().flat_map(|summary| &summary.levels).map(String::as_str).collect();
        levels.sort_unstable();
        levels.dedup();
        let levels: Vec<String> = levels.iter().map(code).collect();
        let _ = writeln!(
            text,
            "\n{} of verifier {} that say {}.",
            plural(summaries.len(), "verification summary"),
            code(&first.verifier),
            levels.join(", ")
        );
    }
    for note in copied.values().flat_map(|copied| &copied.notes) {
        let _ = writeln!(text, "\n{}", plain(note));
    }
    text.push('\n');
    text + &section(published, commands, run) + &times(stages)
}
