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
use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::Repository;
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::manifest::Descriptor;
use crate::sbom::foreign;
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
    let fields = manifest.image().with_context(|| format!("the attestations of `{}` cannot be read", part.platform))?;
    let layers = fields.layers.iter().filter(|layer| layer.media_type == IN_TOTO);
    let drafts = layers.map(|layer| async move {
        let bytes = registry.blob(repository, layer, STATEMENT_LIMIT).await.remedied()?;
        rebuild(&bytes, repository, part)
    });
    let drafts: Vec<Option<Draft>> = stream::iter(drafts).buffered(4).try_collect().await?;
    Ok(drafts.into_iter().flatten().collect())
}

/// Checks that the statement is about this platform's image and that an SBOM is whole, and makes ours of it; other predicate types are left alone.
pub fn rebuild(bytes: &[u8], repository: &Repository, part: &PlatformImage) -> anyhow::Result<Option<Draft>> {
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
    if kind == SPDX {
        foreign::check(unsigned.predicate.get().as_bytes())
            .with_context(|| format!("the SBOM that the build's generator made for `{}` is not signed", part.platform))
            .hint("set `sbom: scanner` for this action's own, or give a file of your own")?;
    }
    let subject: Descriptor = part.descriptor.bare();
    let statement = statement(repository, &subject, kind, unsigned.predicate.get())?;
    Ok(Some(Draft { subject, predicate_type: kind.to_owned(), statement }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREDICATE: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","name":"x","documentNamespace":"https://x.example/1",
        "creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]}, "n": 1.0, "packages":[ {"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"}]}"#;

    fn part() -> PlatformImage {
        PlatformImage { platform: "linux/amd64".parse().unwrap(), descriptor: Descriptor::of(b"image", "m"), attestations: None }
    }

    fn unsigned(kind: &str, subjects: &[&str]) -> String {
        let subjects: Vec<_> = subjects.iter().map(|digest| serde_json::json!({ "name": "_", "digest": { "sha256": digest } })).collect();
        let subjects = serde_json::to_string(&subjects).unwrap();
        format!(r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"{kind}","subject":{subjects},"predicate":{PREDICATE}}}"#)
    }

    #[test]
    fn keeps_the_predicate_to_the_byte_and_has_one_subject() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex();
        let draft = rebuild(unsigned(SPDX, &[hex, hex]).as_bytes(), &repository, &part).unwrap().unwrap();
        let text = String::from_utf8(draft.statement).unwrap();
        assert!(text.contains(&format!(r#""predicate":{PREDICATE}"#)), "{text}");
        assert_eq!(text.matches("sha256").count(), 1);
    }

    #[test]
    fn refuses_an_sbom_that_does_not_hold_together() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex();
        for (change, reason) in [
            ((r#""SPDX-2.3""#, r#""SPDX-3.0""#), "its `spdxVersion` is `SPDX-3.0`"),
            ((r#""name":"a","#, ""), "its `packages.name` is missing"),
            ((r#""SPDXID":"SPDXRef-a""#, r#""SPDXID":"a""#), "its `SPDXID` is `a`"),
        ] {
            let statement = unsigned(SPDX, &[hex]).replace(change.0, change.1);
            let message = crate::error::message(&rebuild(statement.as_bytes(), &repository, &part).unwrap_err());
            assert!(message.contains("made for `linux/amd64` is not signed") && message.contains(reason), "{message}");
        }
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
        for predicate in ["5e0333333333", r#"{"buildDefinition":5e0333333333}"#] {
            let statement = unsigned(SLSA_PROVENANCE, &[&hex]).replace(PREDICATE, predicate);
            let message = crate::error::message(&rebuild(statement.as_bytes(), &repository, &part).unwrap_err());
            assert!(message.contains("cannot be read as a JSON object"), "{message}");
        }
        assert!(rebuild(unsigned("https://example.com/x", &[&hex]).as_bytes(), &repository, &part).unwrap().is_none());
    }
}
