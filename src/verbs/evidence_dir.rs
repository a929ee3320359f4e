//! `Published` → files of its evidence, for artifacts, release assets and offline checks:
//! `evidence.json`, every bundle, and the SBOMs and provenances in them. It writes nothing that it
//! has not fetched and hashed, and follows no link of a checkout.

use crate::evidence::EvidenceKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::hand_over::UNWRITTEN;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::evidence;
use crate::evidence::{EvidenceFormat, EvidencePart};
use crate::files::{FileError, OpenFolder};
use crate::github::RunContext;
use crate::image::Digest;
use crate::page::RefusalPage;
use crate::plan::PublishTarget;
use crate::publish::Published;
use crate::registry::Registry;
use crate::summary;
use crate::verify::{BUNDLE_LIMIT, SubjectEvidence, VerifiedStatement};

/// How many blobs are fetched at once.
const CONCURRENCY: usize = 8;

/// A statement that was published, and the file that keeps it.
pub(super) struct EvidenceFile<'a> {
    /// Without an ending: `linux-amd64.sbom`.
    pub(super) stem: String,
    pub(super) subject: &'a Digest,
    pub(super) statement: &'a VerifiedStatement,
}

/// Every statement of a format, each with a name of its own.
pub(super) fn evidence_files(
    published: &Published,
    format: EvidenceFormat,
) -> Vec<EvidenceFile<'_>> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut files = Vec::new();
    for subject in &published.evidence.subjects {
        let statements = subject.signatures.iter().chain(&subject.attestations);
        for statement in statements.filter(|statement| statement.format == format) {
            let stem =
                format!("{}.{}", part(subject), evidence::file_stem(&statement.predicate_type));
            let count = taken.entry(stem.clone()).or_default();
            *count += 1;
            let stem = if *count == 1 { stem } else { format!("{stem}-{count}") };
            files.push(EvidenceFile { stem, subject: &subject.digest, statement });
        }
    }
    files
}

fn part(subject: &SubjectEvidence) -> String {
    let platform = subject
        .platform
        .as_ref()
        .map_or_else(|| "index".to_owned(), |platform| platform.to_string().replace('/', "-"));
    if subject.kind == EvidencePart::Attestations {
        format!("{platform}-attestations")
    } else {
        platform
    }
}

/// The folder of the input `evidence-dir`, which must be empty: what lies there would be taken for
/// evidence of this image.
pub(super) fn folder(dir: &Path, context: &RunContext) -> anyhow::Result<OpenFolder> {
    let named = || format!("input `evidence-dir`: `{}`", dir.display());
    let folder = OpenFolder::make(dir, context.workspace.as_deref().unwrap_or(Path::new("")))
        .remedied()
        .with_context(named)?;
    match folder.names().remedied().with_context(named)?.first() {
        None => Ok(folder),
        Some(found) => Err(anyhow::anyhow!(
            "{} is not empty: it holds `{}`",
            named(),
            found.display()
        ))
        .hint("name a new or empty folder, because readers take every file in it for evidence")
        .see(RefusalPage::EvidenceFolderInUse),
    }
}

/// Writes the evidence of each target: below its name where a bake file gave it one.
pub(super) async fn write(
    registry: &Registry,
    dir: &OpenFolder,
    targets: &[PublishTarget],
    published: &[Published],
) -> anyhow::Result<usize> {
    let mut count = 0;
    for (target, published) in targets.iter().zip(published) {
        let files = files(registry, published).await.context(UNWRITTEN)?;
        let written = || -> Result<(), FileError> {
            let below = if target.target.is_empty() {
                None
            } else {
                Some(dir.below(Path::new(&target.target), true)?)
            };
            let folder = below.as_ref().unwrap_or(dir);
            files.iter().try_for_each(|(name, bytes)| folder.write(name, bytes))
        };
        written().remedied().context("input `evidence-dir`").context(UNWRITTEN)?;
        count += files.len();
    }
    Ok(count)
}

/// What is written of one image, by name.
async fn files(
    registry: &Registry,
    published: &Published,
) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let image = published.images.first().context("nothing was published")?;
    let bundles = evidence_files(published, EvidenceFormat::Bundle);
    let stems: BTreeSet<&str> = bundles.iter().map(|kept| kept.stem.as_str()).collect();
    // The older format has the same statements, which count where there is no bundle.
    let older = evidence_files(published, EvidenceFormat::Legacy)
        .into_iter()
        .filter(|kept| !stems.contains(kept.stem.as_str()));
    let older: Vec<EvidenceFile<'_>> =
        older.filter(|kept| kept.statement.predicate_type != evidence::SIGNATURE).collect();
    let fetched = bundles.iter().chain(&older).map(|kept| async move {
        let bytes = registry
            .blob_of(&image.repository, &kept.statement.bundle, BUNDLE_LIMIT)
            .await
            .remedied()?;
        anyhow::Ok((kept, bytes))
    });
    let fetched: Vec<_> = stream::iter(fetched).buffered(CONCURRENCY).try_collect().await?;
    let mut files = vec![(
        PathBuf::from("evidence.json"),
        serde_json::to_vec_pretty(&summary::evidence(published))?,
    )];
    for (kept, bytes) in fetched {
        let document = document(&kept.stem, &kept.statement.predicate_type, &bytes);
        files.extend(
            document.with_context(|| format!("`{}` cannot be read", kept.statement.bundle))?,
        );
        if kept.statement.format == EvidenceFormat::Bundle {
            files.push((format!("{}.sigstore.json", kept.stem).into(), bytes));
        }
    }
    Ok(files)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedBundle {
    dsse_envelope: Option<BundleEnvelope>,
}

#[derive(Deserialize)]
struct BundleEnvelope {
    payload: String,
}

#[derive(Deserialize)]
struct StatementFiles<'a> {
    #[serde(borrow)]
    predicate: &'a RawValue,
}

/// The document that a signed statement holds, to the byte: an SBOM by itself, a provenance as the
/// statement that it is.
fn document(
    stem: &str,
    predicate_type: &str,
    bytes: &[u8],
) -> anyhow::Result<Option<(PathBuf, Vec<u8>)>> {
    let envelope = match serde_json::from_slice::<SignedBundle>(bytes)?.dsse_envelope {
        Some(envelope) => envelope,
        None => serde_json::from_slice(bytes)?,
    };
    let statement = BASE64.decode(envelope.payload)?;
    if EvidenceKind::Signature.is(predicate_type) {
        return Ok(None);
    }
    let Some(ending) = evidence::document_ending(predicate_type) else {
        return Ok(Some((format!("{stem}.intoto.json").into(), statement)));
    };
    let predicate = serde_json::from_slice::<StatementFiles<'_>>(&statement)?.predicate.get();
    Ok(Some((format!("{stem}.{ending}").into(), predicate.as_bytes().to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{CYCLONEDX, SLSA_1, SPDX};

    #[test]
    fn a_file_is_called_after_what_it_proves() {
        for (predicate_type, word) in [
            ("https://sigstore.dev/cosign/sign/v1", "signature"),
            ("https://spdx.dev/Document", "sbom"),
            ("https://cyclonedx.org/bom", "sbom"),
            ("https://slsa.dev/provenance/v1", "provenance"),
            ("https://slsa.dev/provenance/v0.2", "provenance-v0-2"),
            ("https://slsa.dev/verification_summary/v1", "verification-summary"),
            ("https://in-toto.io/attestation/vulns/v0.2", "vulnerabilities-in-toto"),
            ("../../etc/passwd", "etc-passwd"),
            ("日本", "statement"),
            (&"x".repeat(4000), &"x".repeat(60)),
        ] {
            assert_eq!(evidence::file_stem(predicate_type), word);
        }
    }

    #[test]
    fn a_document_is_what_was_signed_to_the_byte() {
        let statement = br#"{"_type":"t","predicate": {"b": 1,"a":"\u00e9", "n": 1.0} }"#;
        let envelope = format!(
            r#"{{"payload":"{}","payloadType":"p","signatures":[]}}"#,
            BASE64.encode(statement)
        );
        let bundle = format!(r#"{{"mediaType":"m","dsseEnvelope":{envelope}}}"#);
        for bytes in [&envelope, &bundle] {
            let of =
                |predicate_type| document("index.x", predicate_type, bytes.as_bytes()).unwrap();
            assert_eq!(
                of(SPDX).unwrap(),
                ("index.x.spdx.json".into(), br#"{"b": 1,"a":"\u00e9", "n": 1.0}"#.to_vec())
            );
            assert_eq!(of(CYCLONEDX).unwrap().0, Path::new("index.x.cdx.json"));
            assert_eq!(of(SLSA_1).unwrap(), ("index.x.intoto.json".into(), statement.to_vec()));
            assert_eq!(of(evidence::SIGNATURE), None);
        }
        document("x", SPDX, b"{}").unwrap_err();
    }
}
