//! BuildKit's unsigned statements → drafts: fetched, hashed, their subject checked, rebuilt with one subject. It never signs
//! a statement that BuildKit made about another image.
//!
//! Storage: <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Draft, statement};
use crate::error::OrRemedy as _;
use crate::image::Repository;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::manifest::Descriptor;
use crate::sigstore::IN_TOTO;
use crate::verify::policy::{SLSA_PROVENANCE, SPDX};

/// BuildKit itself refuses larger ones.
const STATEMENT_LIMIT: usize = 40 << 20;

/// BuildKit's statement, the predicate as text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unsigned<'a> {
    predicate_type: String,
    #[serde(default)]
    subject: Vec<Subject>,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// One draft for each SBOM and provenance of each platform.
pub async fn drafts(registry: &Registry, repository: &Repository, platforms: &[PlatformImage]) -> anyhow::Result<Vec<Draft>> {
    let of_platforms = platforms.iter().map(|part| of_platform(registry, repository, part));
    let drafts: Vec<Vec<Draft>> = stream::iter(of_platforms).buffered(8).try_collect().await?;
    Ok(drafts.into_iter().flatten().collect())
}

async fn of_platform(registry: &Registry, repository: &Repository, part: &PlatformImage) -> anyhow::Result<Vec<Draft>> {
    let Some(attestations) = &part.attestations else { return Ok(Vec::new()) };
    let manifest = registry.expect_manifest(&repository.at(&attestations.digest)).await.remedied()?;
    let fields = manifest.fields().with_context(|| format!("the attestations of `{}` cannot be read", part.platform))?;
    let layers = fields.layers.iter().filter(|layer| layer.media_type == IN_TOTO);
    let drafts = layers.map(|layer| async move {
        let bytes = registry.blob(repository, layer, STATEMENT_LIMIT).await.remedied()?;
        rebuild(&bytes, repository, part)
    });
    let drafts: Vec<Option<Draft>> = stream::iter(drafts).buffered(4).try_collect().await?;
    Ok(drafts.into_iter().flatten().collect())
}

/// Checks that the statement is about this platform's image, and makes ours of it; other predicate types are left alone.
fn rebuild(bytes: &[u8], repository: &Repository, part: &PlatformImage) -> anyhow::Result<Option<Draft>> {
    let unsigned: Unsigned<'_> =
        serde_json::from_slice(bytes).with_context(|| format!("a statement that BuildKit made for `{}` cannot be read", part.platform))?;
    let kind = unsigned.predicate_type.as_str();
    if ![SPDX, SLSA_PROVENANCE].contains(&kind) {
        return Ok(None);
    }
    let about = |subject: &Subject| subject.digest.get("sha256").map(String::as_str) == Some(part.descriptor.digest.hex());
    if unsigned.subject.is_empty() || !unsigned.subject.iter().all(about) {
        let named: Vec<String> =
            unsigned.subject.iter().flat_map(|subject| subject.digest.values()).map(|digest| format!("`{digest}`")).collect();
        let named = if named.is_empty() { "no image".to_owned() } else { named.join(", ") };
        bail!("BuildKit's `{kind}` for `{}` is about {named}, not about `{}`", part.platform, part.descriptor.digest);
    }
    let subject: Descriptor = part.descriptor.bare();
    let statement = statement(repository, &subject, kind, unsigned.predicate.get())?;
    Ok(Some(Draft { subject, predicate_type: kind.to_owned(), statement }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> PlatformImage {
        PlatformImage { platform: "linux/amd64".parse().unwrap(), descriptor: Descriptor::of(b"image", "m"), attestations: None }
    }

    fn unsigned(kind: &str, subjects: &[&str]) -> String {
        let subjects: Vec<_> = subjects.iter().map(|digest| serde_json::json!({ "name": "_", "digest": { "sha256": digest } })).collect();
        let subjects = serde_json::to_string(&subjects).unwrap();
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"{kind}","subject":{subjects},"predicate":{{"n": 1.0, "b":[ ]}}}}"#
        )
    }

    #[test]
    fn keeps_the_predicate_to_the_byte_and_has_one_subject() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex();
        let draft = rebuild(unsigned(SPDX, &[hex, hex]).as_bytes(), &repository, &part).unwrap().unwrap();
        let text = String::from_utf8(draft.statement).unwrap();
        assert!(text.contains(r#""predicate":{"n": 1.0, "b":[ ]}"#), "{text}");
        assert_eq!(text.matches("sha256").count(), 1);
    }

    #[test]
    fn refuses_a_statement_about_another_image() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex().to_owned();
        for subjects in [vec![], vec!["00"], vec![hex.as_str(), "00"]] {
            let message = rebuild(unsigned(SPDX, &subjects).as_bytes(), &repository, &part).unwrap_err().to_string();
            assert!(message.contains("not about"), "{message}");
        }
        rebuild(b"{", &repository, &part).unwrap_err();
        assert!(rebuild(unsigned("https://example.com/x", &[&hex]).as_bytes(), &repository, &part).unwrap().is_none());
    }
}
