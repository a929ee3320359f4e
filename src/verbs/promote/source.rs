//! A source as a person names it → the image that it is, once and for all: the tag is not asked
//! again. It waits for an image whose publication is still running, where that is wanted.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::for_reader;
use crate::build::merge::claims::SourceImage;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, ImageRef, Tag};
use crate::registry::Registry;
use crate::report::Report;

/// How long until a tag is looked for again: soon at first, and then less often.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// The image, and how it was found. A tag beside a digest must point to that digest. `wait`: how
/// long it may still be on its way; `None` where nobody can say so.
pub(in crate::verbs) async fn resolved(
    registry: &Registry,
    source: &SourceImage,
    wait: Option<Duration>,
    report: &Report,
) -> anyhow::Result<(ImageRef, String)> {
    let digest = match (&source.tag, &source.digest) {
        (None, Some(digest)) => digest.clone(),
        (Some(tag), wanted) => {
            let named = named(registry, source, tag, wait, report).await?;
            match wanted {
                Some(wanted) if *wanted != named => {
                    return Err(anyhow::anyhow!("`{source}`: the tag points to `{named}`")).hint(
                        "name the image that you mean by its digest alone: the tag was moved, or the digest is of another image",
                    );
                }
                _ => named,
            }
        }
        (None, None) => anyhow::bail!("`{source}` has neither a tag nor a digest"),
    };
    let image = source.at(&digest);
    let outcome = image.to_string();
    Ok((image, outcome))
}

async fn named(
    registry: &Registry,
    source: &SourceImage,
    tag: &Tag,
    wait: Option<Duration>,
    report: &Report,
) -> anyhow::Result<Digest> {
    let (began, mut told) = (Instant::now(), false);
    let mut pause = PAUSES.0;
    loop {
        let named = registry.tagged(&source.repository, tag).await.remedied().map_err(for_reader);
        if let Some(named) = named.with_context(|| format!("source `{source}`"))? {
            return Ok(named.descriptor.digest);
        }
        let most = wait.unwrap_or_default();
        let left = most.saturating_sub(began.elapsed());
        if left.is_zero() {
            let waited = if told { ", even after waiting for it" } else { "" };
            let remedy = match wait {
                Some(_) => {
                    "publish it first; if its publication may still be running, set \
                     `wait-for-source: 30m`"
                }
                None => "publish it first, or name an image that is there with `image`",
            };
            return Err(anyhow::anyhow!("there is no `{}:{tag}`{waited}", source.repository))
                .hint(remedy);
        }
        if !told {
            report.say(&format!(
                "there is no {}:{tag} yet; this run waits for it, up to {} min",
                source.repository,
                most.as_secs().div_ceil(60)
            ));
            told = true;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
