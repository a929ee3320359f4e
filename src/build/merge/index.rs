//! Entries and annotations → the bytes of an index, as BuildKit writes them: Go's JSON, two spaces
//! deep. Pure; it never writes an entry anew that was read.
//!
//! Reference: <https://github.com/moby/buildkit/blob/master/exporter/containerimage/writer.go>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::oci::PlatformTarget;
use crate::registry::manifest::{Descriptor, OCI_INDEX, RegistryManifest};

/// How deep an entry stands in an index.
const ENTRY: usize = 2;
const ANNOTATIONS: usize = 1;

/// An index with its entries to the byte.
#[derive(Deserialize)]
pub(super) struct Entries<'a> {
    #[serde(borrow, default)]
    pub(super) manifests: Vec<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MergedIndex<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [&'a RawValue],
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Box<RawValue>>,
}

/// An index over these entries, in this order.
pub(super) fn written(
    entries: &[&RawValue],
    annotations: &BTreeMap<String, String>,
) -> serde_json::Result<RegistryManifest> {
    let annotations =
        (!annotations.is_empty()).then(|| as_go(annotations, ANNOTATIONS)).transpose()?;
    let index =
        MergedIndex { schema_version: 2, media_type: OCI_INDEX, manifests: entries, annotations };
    Ok(RegistryManifest::new(serde_json::to_vec_pretty(&index)?, OCI_INDEX))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MergedEntry<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    platform: DescribedManifest<'a>,
}

#[derive(Serialize)]
struct DescribedManifest<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(rename = "os.features", skip_serializing_if = "<[String]>::is_empty")]
    os_features: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

/// The entry of an image that was pushed without an index.
pub(super) fn described(
    image: &Descriptor,
    target: &PlatformTarget,
) -> serde_json::Result<Box<RawValue>> {
    let PlatformTarget { platform, os_version, os_features } = target;
    let platform = DescribedManifest {
        architecture: &platform.architecture,
        os: &platform.os,
        os_version: os_version.as_deref(),
        os_features,
        variant: platform.variant.as_deref(),
    };
    as_go(
        &MergedEntry {
            media_type: &image.media_type,
            digest: image.digest.as_str(),
            size: image.size,
            platform,
        },
        ENTRY,
    )
}

/// JSON as Go's encoder writes it `deep` levels down; `<`, `>` and `&` stand in texts alone, and Go
/// escapes them.
fn as_go(value: &impl Serialize, deep: usize) -> serde_json::Result<Box<RawValue>> {
    let mut text =
        serde_json::to_string_pretty(value)?.replace('\n', &format!("\n{}", "  ".repeat(deep)));
    for (letter, escaped) in [
        ('&', "\\u0026"),
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        text = text.replace(letter, escaped);
    }
    RawValue::from_string(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_what_go_would_write() {
        let image = Descriptor::of(b"image", "application/vnd.oci.image.manifest.v1+json");
        let target = |platform: &str| PlatformTarget {
            platform: platform.parse().unwrap(),
            os_version: None,
            os_features: Vec::new(),
        };
        let windows =
            PlatformTarget { os_version: Some("10.0.1".to_owned()), ..target("windows/amd64") };
        assert!(
            described(&image, &windows)
                .unwrap()
                .get()
                .contains("\"os\": \"windows\",\n        \"os.version\": \"10.0.1\"")
        );
        let entry = described(&image, &target("linux/arm/v7")).unwrap();
        let annotations = BTreeMap::from([
            ("b".to_owned(), "<1> & \"2\" ü".to_owned()),
            ("a".to_owned(), "x".to_owned()),
        ]);
        let index = written(&[&entry], &annotations).unwrap();
        let expected = format!(
            r#"{{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {{
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "{}",
      "size": 5,
      "platform": {{
        "architecture": "arm",
        "os": "linux",
        "variant": "v7"
      }}
    }}
  ],
  "annotations": {{
    "a": "x",
    "b": "\u003c1\u003e \u0026 \"2\" ü"
  }}
}}"#,
            image.digest
        );
        assert_eq!(String::from_utf8(index.bytes).unwrap(), expected);
    }
}
