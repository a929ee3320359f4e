//! `Published` → what people and later steps read: outputs, evidence.json, Markdown, the commands
//! that check it all. Pure.

pub mod baked;
pub mod commands;
pub mod declared;
pub mod ended;
pub mod level;
pub mod links;
pub mod markdown;
pub mod picture;
pub mod promoted;
pub mod source;

use serde_json::{Value, json};

use crate::build::BuiltImage;
use crate::evidence::EvidencePart;
use crate::image::{Digest, Repository};
use crate::inputs::Separators;
use crate::metadata::ImageMetadata;
use crate::publish::Published;
use crate::registry::contents::PlatformImage;
use crate::scan::report::ImageScan;
use crate::scan::rows;
use crate::verify::{SubjectEvidence, VerifiedEvidence};

/// What a subject is called for people.
fn part_name(subject: &SubjectEvidence) -> String {
    match (&subject.platform, subject.kind) {
        (None, EvidencePart::Artifact) => "artifact".to_owned(),
        (None, _) => "index".to_owned(),
        (Some(platform), EvidencePart::Attestations) => format!("{platform}, attestations"),
        (Some(platform), _) => platform.to_string(),
    }
}

/// `evidence.json`: each subject with its signatures and attestations, log indexes, the signer, and
/// the runs that signed.
pub fn evidence(published: &Published) -> Value {
    let images: Vec<String> = published.images.iter().map(ToString::to_string).collect();
    let VerifiedEvidence { signer, sources, subjects } = &published.evidence;
    json!({
        "images": images, "signer": signer, "sources": sources, "subjects": subjects,
        "kept": published.kept,
    })
}

/// What the metadata tells later steps, published or not: names and words as docker/metadata-action
/// gives them.
pub fn metadata_outputs(
    metadata: &ImageMetadata,
    separators: &Separators,
) -> Vec<(&'static str, String)> {
    vec![
        ("version", metadata.version.clone().unwrap_or_default()),
        ("tag-names", metadata.tag_names.join(&separators.tags)),
        ("labels", metadata.label_lines().join(&separators.labels)),
        ("annotations", metadata.annotations.join(&separators.annotations)),
        ("json", metadata.json().to_string()),
    ]
}

/// What an image that was only pushed tells `merge`: for each platform the digest of all that its
/// job pushed, so that BuildKit's attestations are found beside the image.
pub fn pushed_outputs(built: &BuiltImage) -> Vec<(&'static str, String)> {
    let Some(first) = built.images().next() else { return Vec::new() };
    let by_platform = |digest: &dyn Fn(&PlatformImage) -> Digest| {
        let pairs =
            built.platforms().iter().map(|part| (part.platform.to_string(), json!(digest(part))));
        Value::Object(pairs.collect()).to_string()
    };
    vec![
        ("digest", first.digest.to_string()),
        ("image", first.repository.to_string()),
        ("image-ref", first.to_string()),
        ("digests", by_platform(&|_| first.digest.clone())),
        ("platforms", by_platform(&|part| part.descriptor.digest.clone())),
    ]
}

/// The names that were put, in the order of the rules, and as they wrote them.
pub fn put(published: &Published, metadata: &ImageMetadata) -> Vec<String> {
    let is_kept = |name: &str| {
        let Some((repository, tag)) = name.rsplit_once(':') else { return false };
        let repository = repository.parse::<Repository>().ok();
        published.kept.iter().any(|kept| {
            repository.as_ref() == Some(&kept.name.repository) && kept.name.tag.as_str() == tag
        })
    };
    metadata.tags().into_iter().filter(|name| !is_kept(name)).collect()
}

/// What a published image tells later steps; every name stands in the order of the rules.
pub fn outputs(
    published: &Published,
    metadata: &ImageMetadata,
    separators: &Separators,
) -> Vec<(&'static str, String)> {
    let Some(first) = published.images.first() else { return Vec::new() };
    let names = put(published, metadata);
    let kept: Vec<String> = published.kept.iter().map(|kept| kept.name.to_string()).collect();
    let platforms: serde_json::Map<String, Value> = published
        .evidence
        .subjects
        .iter()
        .filter(|subject| subject.kind == EvidencePart::Platform)
        .filter_map(|subject| Some((subject.platform.as_ref()?.to_string(), json!(subject.digest))))
        .collect();
    let metadata = json!({
        "image.name": published.images.iter().map(|image| image.repository.to_string()).collect::<Vec<_>>().join(","),
        "containerimage.digest": first.digest,
        "tags": names,
        "platforms": platforms,
    });
    vec![
        ("digest", first.digest.to_string()),
        ("image", first.repository.to_string()),
        ("image-ref", first.to_string()),
        ("tags", names.join(&separators.tags)),
        ("kept-tags", kept.join(&separators.tags)),
        ("platforms", Value::Object(platforms).to_string()),
        ("metadata", metadata.to_string()),
        ("evidence", evidence(published).to_string()),
        ("vulnerabilities", vulnerabilities(published).to_string()),
        ("secrets-found", json!(published.searched).to_string()),
    ]
}

/// What the scan of all platforms comes to; `null` where there was none.
fn vulnerabilities(published: &Published) -> Value {
    let scans: Vec<&ImageScan> =
        published.scanned.assessed().iter().map(|assessed| &assessed.scan).collect();
    if scans.is_empty() { Value::Null } else { json!(rows::summary(&scans)) }
}
