//! The drafts of an image's platforms → with them an SBOM of its index, for who asks by a tag. It
//! is made of what is signed about the platforms, and reads nothing else; an image without an index
//! has none.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lean::{envelope_size, fitting, refusal};
use super::{Draft, DraftParts, statement};
use crate::sbom::foreign::{self, ForeignFormat};
use crate::sbom::index::{DocumentedIndex, IndexDetail, IndexPart};

/// Readers of attestations stop at 10 MiB and more, and this one could grow with every platform.
const LARGEST: usize = 8 << 20;

#[derive(Deserialize)]
struct IndexStatement<'a> {
    #[serde(borrow)]
    predicate: &'a RawValue,
}

/// All that is signed, none of it in an envelope of more than `limit` bytes; and what was left out
/// for that.
pub fn completed(
    parts: &DraftParts,
    drafts: Vec<Draft>,
    limit: usize,
) -> anyhow::Result<(Vec<Draft>, Vec<String>)> {
    let (mut drafts, mut left_out) = fitting(drafts, limit)?;
    if parts.platforms.iter().any(|part| part.descriptor.digest == parts.root.digest) {
        return Ok((drafts, left_out));
    }
    for format in [ForeignFormat::Spdx, ForeignFormat::CycloneDx] {
        let of_index = of_format(parts, &drafts, format, limit.min(LARGEST))
            .context("the SBOM of the index cannot be made of those of its platforms")?;
        if let Some((draft, lacking)) = of_index {
            drafts.push(draft);
            left_out.extend(lacking);
        }
    }
    Ok((drafts, left_out))
}

/// Made of the SBOMs in one format, if there are any, with as much in it as fits.
fn of_format(
    parts: &DraftParts,
    drafts: &[Draft],
    format: ForeignFormat,
    limit: usize,
) -> anyhow::Result<Option<(Draft, Option<String>)>> {
    let kind = format.predicate_type();
    let sboms: Vec<&Draft> = drafts.iter().filter(|draft| draft.predicate_type == kind).collect();
    if sboms.is_empty() {
        return Ok(None);
    }
    let mut images = Vec::new();
    for part in &parts.platforms {
        let about = |draft: &&&Draft| draft.subject.digest == part.descriptor.digest;
        let texts = sboms.iter().filter(about).map(|draft| predicate(&draft.statement));
        images.push(IndexPart {
            platform: part.platform.to_string(),
            digest: part.descriptor.digest.to_string(),
            documents: texts.collect::<Result<_, _>>()?,
        });
    }
    let (root, name) = (&parts.root, parts.repository.to_string());
    let index = DocumentedIndex::read(format, &name, root.digest.as_str(), &images)?;
    let mut sizes = Vec::new();
    for detail in IndexDetail::ALL {
        let document = index.document(detail);
        let statement = statement(&parts.repository, root, kind, &document)?;
        let size = envelope_size(&statement);
        sizes.push(size);
        if size <= limit {
            foreign::check(document.as_bytes())?;
            let draft = Draft { subject: root.clone(), predicate_type: kind.to_owned(), statement };
            return Ok(Some((draft, lacking(detail, &sizes))));
        }
    }
    let size = sizes.last().copied().unwrap_or_default();
    Err(refusal(kind, &root.digest, size, limit))
}

pub(super) fn predicate(statement: &[u8]) -> Result<&str, serde_json::Error> {
    Ok(serde_json::from_slice::<IndexStatement<'_>>(statement)?.predicate.get())
}

/// What is not in it.
fn lacking(detail: IndexDetail, sizes: &[usize]) -> Option<String> {
    let what = match detail {
        IndexDetail::Whole => return None,
        IndexDetail::Names => "it lists names, versions and purls of packages alone",
        IndexDetail::References => "it names the SBOMs of the platforms, which list the packages",
    };
    let whole = sizes.first().copied().unwrap_or_default();
    Some(format!("the SBOM of the index would be too large ({} KiB): {what}", whole >> 10))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::contents::PlatformImage;
    use crate::registry::manifest::Descriptor;
    use crate::sbom::foreign::ForeignFormat;

    fn parts(platforms: &[&str]) -> DraftParts {
        let platform = |name: &&str| PlatformImage {
            platform: name.parse().unwrap(),
            descriptor: Descriptor::of(name.as_bytes(), "m"),
            attestations: None,
        };
        DraftParts {
            repository: "r.io/a".parse().unwrap(),
            root: Descriptor::of(b"index", "i"),
            platforms: platforms.iter().map(platform).collect(),
            taken: Vec::new(),
        }
    }

    fn sbom(parts: &DraftParts, platform: usize, packages: usize) -> Draft {
        let package = |number: usize| {
            json!({ "SPDXID": format!("SPDXRef-{number}"), "name": format!("package-{number}"),
                "downloadLocation": "NONE", "supplier": format!("Organization: {}", "s".repeat(60)) })
        };
        let document = json!({
            "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "sbom",
            "documentNamespace": format!("https://x.example/{platform}"),
            "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"] },
            "packages": (0..packages).map(package).collect::<Vec<_>>(),
        });
        let (kind, subject) =
            (ForeignFormat::Spdx.predicate_type(), parts.platforms[platform].descriptor.bare());
        let statement =
            statement(&parts.repository, &subject, kind, &document.to_string()).unwrap();
        Draft { subject, predicate_type: kind.to_owned(), statement }
    }

    fn document(draft: &Draft) -> Value {
        serde_json::from_str(predicate(&draft.statement).unwrap()).unwrap()
    }

    #[test]
    fn the_index_has_one_where_its_platforms_have_and_there_is_an_index() {
        let two = parts(&["linux/amd64", "linux/arm64"]);
        let drafts = vec![sbom(&two, 0, 2), sbom(&two, 1, 3)];
        let (drafts, left_out) = completed(&two, drafts, usize::MAX).unwrap();
        assert!(drafts.len() == 3 && left_out.is_empty(), "{left_out:?}");
        assert_eq!(drafts[2].subject.digest, two.root.digest);
        // The index, two images, three packages.
        assert_eq!(document(&drafts[2])["packages"].as_array().unwrap().len(), 6);

        let (none, _) = completed(&two, Vec::new(), usize::MAX).unwrap();
        assert!(none.is_empty());
        let mut alone = parts(&["linux/amd64"]);
        alone.root = alone.platforms[0].descriptor.clone();
        let only = vec![sbom(&alone, 0, 2)];
        assert_eq!(completed(&alone, only, usize::MAX).unwrap().0.len(), 1);
    }

    #[test]
    fn what_is_too_large_says_less_and_says_so() {
        let two = parts(&["linux/amd64", "linux/arm64"]);
        let made = |limit: usize| {
            let drafts = vec![sbom(&two, 0, 40), sbom(&two, 1, 40)];
            let (mut drafts, left_out) = completed(&two, drafts, limit)?;
            let of_index = drafts.pop().unwrap();
            let size = envelope_size(&of_index.statement);
            anyhow::Ok((document(&of_index), left_out.join("\n"), size))
        };
        let (whole, told, size) = made(usize::MAX).unwrap();
        assert!(whole.to_string().contains("ssss") && told.is_empty(), "{told}");
        let (names, told, smaller) = made(size - 1).unwrap();
        let text = names.to_string();
        assert!(!text.contains("ssss") && text.contains("package-39") && smaller < size, "{text}");
        assert!(told.contains("names, versions and purls of packages alone"), "{told}");
        // Those of the platforms fit, which is what the limit is for.
        let (references, told, smallest) = made(smaller - 1).unwrap();
        let listed = references["packages"].as_array().unwrap();
        assert!(listed.len() == 3 && references["externalDocumentRefs"][1].is_object());
        assert!(told.contains("names the SBOMs of the platforms") && smallest < smaller, "{told}");
        let of_platform = vec![sbom(&two, 0, 0)];
        let too_large =
            of_format(&two, &of_platform, ForeignFormat::Spdx, smallest / 2).unwrap_err();
        let message = crate::error::message(&too_large);
        assert!(message.contains("KiB, but a log of version 1 accepts"), "{message}");
    }
}
