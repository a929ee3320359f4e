//! BuildKit's unsigned statements → drafts: fetched, hashed, their subject checked, rebuilt with
//! one subject. It never signs a statement that BuildKit made about another image.
//!
//! Storage: <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.

use crate::evidence;
use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Draft, DraftParts, statement};
use crate::error::{OrRemedy as _, Remedy as _};
use crate::evidence::{SLSA_1, SPDX};
use crate::image::Repository;
use crate::provenance::{
    BuildLines, BuildStatement, BuildTimes, Provenance, ProvenanceTerms, Resource, Slsa,
    SourceOrigin,
};
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::registry::manifest::Descriptor;
use crate::sbom::foreign::{self, ListedAmount};
use crate::sigstore::IN_TOTO;

/// BuildKit itself refuses larger ones.
const STATEMENT_LIMIT: usize = 40 << 20;

/// What the build stated of one platform's image.
#[derive(Debug, Default)]
pub struct StatedByBuild {
    pub drafts: Vec<Draft>,
    /// When its builds ran.
    pub times: BuildTimes,
    /// Whose source its provenances name, of each.
    pub origins: Vec<SourceOrigin>,
    /// What the emptiest of its SBOMs lists.
    pub listed: Option<ListedAmount>,
    /// All that its builds fetched.
    pub materials: Vec<Resource>,
    /// Which line of its build's own file made what.
    pub lines: BuildLines,
}

/// What one statement comes to.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// Of the types that are signed.
    pub drafts: Vec<Draft>,
    times: BuildTimes,
    origin: Option<SourceOrigin>,
    listed: Option<ListedAmount>,
    materials: Vec<Resource>,
    lines: BuildLines,
}

/// What the build stated of each platform's image, in their order; provenances in these versions.
pub async fn stated(
    registry: &Registry,
    parts: &DraftParts,
    terms: &ProvenanceTerms,
    versions: &[Slsa],
) -> anyhow::Result<Vec<StatedByBuild>> {
    let of_platforms = parts
        .platforms
        .iter()
        .map(|part| of_platform(registry, &parts.repository, part, terms, versions));
    stream::iter(of_platforms).buffered(8).try_collect().await
}

async fn of_platform(
    registry: &Registry,
    repository: &Repository,
    part: &PlatformImage,
    terms: &ProvenanceTerms,
    versions: &[Slsa],
) -> anyhow::Result<StatedByBuild> {
    let mut stated = StatedByBuild::default();
    for rebuilt in rebuilt(registry, repository, part, terms, versions).await? {
        stated.drafts.extend(rebuilt.drafts);
        stated.times = stated.times.with(rebuilt.times);
        stated.origins.extend(rebuilt.origin);
        stated.materials.extend(rebuilt.materials);
        stated.lines.add(rebuilt.lines);
        stated.listed = stated.listed.into_iter().chain(rebuilt.listed).min();
    }
    Ok(stated)
}

async fn rebuilt(
    registry: &Registry,
    repository: &Repository,
    part: &PlatformImage,
    terms: &ProvenanceTerms,
    versions: &[Slsa],
) -> anyhow::Result<Vec<Rebuilt>> {
    let Some(attestations) = &part.attestations else { return Ok(Vec::new()) };
    let manifest =
        registry.expect_manifest(&repository.at(&attestations.digest)).await.remedied()?;
    let fields = manifest
        .image()
        .with_context(|| format!("the attestations of `{}` cannot be read", part.platform))?;
    let layers = fields.layers.iter().filter(|layer| layer.media_type == IN_TOTO);
    let read = layers.map(|layer| async move {
        let bytes = registry.blob(repository, layer, STATEMENT_LIMIT).await.remedied()?;
        rebuild(&bytes, repository, part, terms, versions)
    });
    stream::iter(read).buffered(4).try_collect().await
}

/// Checks that the statement is about this platform's image, that an SBOM is whole and that a
/// provenance says what was asked for, and makes ours of it; other predicate types are left alone.
/// A provenance of version 1 gives one in each of the versions.
pub fn rebuild(
    bytes: &[u8],
    repository: &Repository,
    part: &PlatformImage,
    terms: &ProvenanceTerms,
    versions: &[Slsa],
) -> anyhow::Result<Rebuilt> {
    let unsigned = BuildStatement::read(bytes).with_context(|| {
        format!("a statement that BuildKit made for `{}` cannot be read", part.platform)
    })?;
    let kind = unsigned.predicate_type.as_str();
    if kind != SPDX && !evidence::is_slsa_provenance(kind) {
        return Ok(Rebuilt::default());
    }
    about(&unsigned, part)?;
    if kind == SPDX {
        let document = unsigned.predicate.as_bytes();
        let listed = foreign::check(document)
            .and_then(|_| foreign::listed(document))
            .with_context(|| {
                format!(
                    "the SBOM that the build's generator made for `{}` is not signed",
                    part.platform
                )
            })
            .hint("set `sbom: scanner` for this action's own, or give a file of your own")?;
        let draft = draft(kind, unsigned.predicate, repository, part)?;
        return Ok(Rebuilt { drafts: vec![draft], listed: Some(listed), ..Rebuilt::default() });
    }
    let lines = BuildLines::read(unsigned.predicate);
    let AcceptedProvenance { predicate, origin, times, materials } =
        accepted(kind, unsigned.predicate, terms).with_context(|| refusal(part))?;
    let mut drafts = Vec::new();
    for version in versions.iter().filter(|_| kind == SLSA_1) {
        let older = match version {
            Slsa::V1 => None,
            Slsa::V02 => Some(Provenance::older(&predicate).with_context(|| refusal(part))?),
        };
        let predicate = older.as_deref().unwrap_or(&predicate);
        drafts.push(draft(version.predicate_type(), predicate, repository, part)?);
    }
    Ok(Rebuilt { drafts, origin: Some(origin), times, listed: None, materials, lines })
}

/// What a refused provenance means.
fn refusal(part: &PlatformImage) -> String {
    format!("the provenance that the build made for `{}` is not signed", part.platform)
}

/// A provenance that says what was asked for.
struct AcceptedProvenance {
    /// As it is signed.
    predicate: String,
    /// Whose source it names.
    origin: SourceOrigin,
    times: BuildTimes,
    materials: Vec<Resource>,
}

fn accepted(
    kind: &str,
    predicate: &str,
    terms: &ProvenanceTerms,
) -> anyhow::Result<AcceptedProvenance> {
    let read = Provenance::read(kind, predicate)?;
    let verdict = terms.check(&read)?;
    let predicate = match &verdict.builder {
        Some(builder) => Provenance::completed(kind, predicate, builder)?,
        None => predicate.to_owned(),
    };
    let (times, materials) = (read.times, read.materials);
    Ok(AcceptedProvenance { predicate, origin: verdict.origin, times, materials })
}

fn about(unsigned: &BuildStatement<'_>, part: &PlatformImage) -> anyhow::Result<()> {
    let own = part.descriptor.digest.hex();
    if !unsigned.subjects.is_empty()
        && unsigned.subjects.iter().all(|subject| subject.as_deref() == Some(own))
    {
        return Ok(());
    }
    let named: Vec<String> =
        unsigned.subjects.iter().flatten().map(|digest| format!("`{digest}`")).collect();
    let named = if named.is_empty() { "no image".to_owned() } else { named.join(", ") };
    bail!(
        "BuildKit's `{}` for `{}` is about {named}, not about `{}`",
        unsigned.predicate_type,
        part.platform,
        part.descriptor.digest
    );
}

fn draft(
    kind: &str,
    predicate: &str,
    repository: &Repository,
    part: &PlatformImage,
) -> anyhow::Result<Draft> {
    let subject: Descriptor = part.descriptor.bare();
    let statement = statement(repository, &subject, kind, predicate)?;
    Ok(Draft { subject, predicate_type: kind.to_owned(), statement })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::{BuildAsked, ProvenanceRun};

    const PREDICATE: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","name":"x","documentNamespace":"https://x.example/1",
        "creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]}, "n": 1.0, "packages":[ {"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"}]}"#;

    fn terms() -> ProvenanceTerms {
        let context = crate::github::RunContext {
            server_url: "https://github.com".into(),
            repository: Some("octo/app".into()),
            sha: "a".repeat(40),
            run_id: "7".into(),
            ..Default::default()
        };
        ProvenanceTerms { asked: BuildAsked::OfThisRun, run: ProvenanceRun::of(&context) }
    }

    fn rebuild(
        bytes: &[u8],
        repository: &Repository,
        part: &PlatformImage,
    ) -> anyhow::Result<Option<Draft>> {
        super::rebuild(bytes, repository, part, &terms(), &[Slsa::V1])
            .map(|mut rebuilt| rebuilt.drafts.pop())
    }

    fn part() -> PlatformImage {
        PlatformImage {
            platform: "linux/amd64".parse().unwrap(),
            descriptor: Descriptor::of(b"image", "m"),
            attestations: None,
        }
    }

    fn unsigned(kind: &str, subjects: &[&str]) -> String {
        let subjects: Vec<_> = subjects
            .iter()
            .map(|digest| serde_json::json!({ "name": "_", "digest": { "sha256": digest } }))
            .collect();
        let subjects = serde_json::to_string(&subjects).unwrap();
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"{kind}","subject":{subjects},"predicate":{PREDICATE}}}"#
        )
    }

    #[test]
    fn keeps_the_predicate_to_the_byte_and_has_one_subject() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex();
        let draft =
            rebuild(unsigned(SPDX, &[hex, hex]).as_bytes(), &repository, &part).unwrap().unwrap();
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
            let message = crate::error::message(
                &rebuild(statement.as_bytes(), &repository, &part).unwrap_err(),
            );
            assert!(
                message.contains("made for `linux/amd64` is not signed")
                    && message.contains(reason),
                "{message}"
            );
        }
    }

    #[test]
    fn refuses_a_statement_about_another_image() {
        let (part, repository) = (part(), "r.io/a".parse().unwrap());
        let hex = part.descriptor.digest.hex().to_owned();
        for subjects in [vec![], vec!["00"], vec![hex.as_str(), "00"]] {
            let message = rebuild(unsigned(SPDX, &subjects).as_bytes(), &repository, &part)
                .unwrap_err()
                .to_string();
            assert!(message.contains("not about"), "{message}");
        }
        rebuild(b"{", &repository, &part).unwrap_err();
        for predicate in ["5e0333333333", r#"{"buildDefinition":5e0333333333}"#] {
            let statement = unsigned(SLSA_1, &[&hex]).replace(PREDICATE, predicate);
            let message = crate::error::message(
                &rebuild(statement.as_bytes(), &repository, &part).unwrap_err(),
            );
            assert!(
                message.contains("for `linux/amd64` is not signed: it")
                    && message.ends_with("is not an object"),
                "{message}"
            );
        }
        assert!(
            rebuild(unsigned("https://example.com/x", &[&hex]).as_bytes(), &repository, &part)
                .unwrap()
                .is_none()
        );
    }
}
