//! cosign's older scheme: signatures and attestations as layers of an image under the tag
//! `sha256-<hex>.sig` or `.att`. Layers are only ever added; what others wrote stays. Such a tag is
//! a digest's name, not one that people pull.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use reqwest::Url;
use serde_json::{Value, json};

use super::manifest::{Descriptor, OCI_MANIFEST, RegistryManifest};
use super::referrers::{RACES, after_race, outraced};
use super::{Registry, RegistryError, RegistryResult, WriteCondition};
use crate::image::{Digest, Repository, Tag};
use crate::oci;

/// cosign reads no more.
const LAYERS: usize = 1000;
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Which of the two tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Signatures,
    Attestations,
}

impl Attached {
    fn tag(self, subject: &Digest) -> RegistryResult<Tag> {
        let suffix = match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
        };
        let text = format!("sha256-{}.{suffix}", subject.hex());
        text.parse()
            .map_err(|error| RegistryError::Protocol { request: text, what: format!("{error}") })
    }
}

/// A layer to be added: its bytes, and what stands beside them.
#[derive(Debug, Clone)]
pub struct LegacyLayer {
    pub descriptor: Descriptor,
    pub bytes: bytes::Bytes,
}

/// What became of a tag under which another repository has evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MergedTag {
    /// It names what it does there.
    Stands,
    /// It had other layers, and has those as well.
    Added,
    /// It names something to which nothing can be added.
    Kept,
}

/// Where layers are to be added: what the tag named when it was looked at, and places for the
/// blobs.
pub struct OpenedTag {
    seen: (Option<RegistryManifest>, WriteCondition),
    layers: Vec<Url>,
    config: Url,
}

impl Registry {
    /// The layers under a subject's tag, not yet fetched; none where there is no tag.
    pub async fn legacy_layers(
        &self,
        repository: &Repository,
        subject: &Digest,
        attached: Attached,
    ) -> RegistryResult<Vec<Descriptor>> {
        let tag = attached.tag(subject)?;
        for attempt in 1..=RACES {
            let reader = if attempt == 1 { self.clone() } else { self.afresh() };
            let found: Vec<Descriptor> = match reader.tagged(repository, &tag).await? {
                None => Vec::new(),
                Some(manifest) => {
                    layers_of(&manifest, repository)?;
                    oci::listed(&manifest.bytes, "layers")
                        .map_err(|why| unreadable(repository, &why))?
                        .into_iter()
                        .flatten()
                        .collect()
                }
            };
            let lost = self
                .memory
                .layers
                .lost(repository, &tag, |ours| found.contains(&ours.descriptor))
                .await;
            if lost.is_empty() {
                return Ok(found);
            }
            // As with the fallback tag: a writer who had not seen ours wrote after we had looked.
            let opened = self.open_tag(repository, &tag, lost.len()).await?;
            self.add_legacy(repository, &tag, opened, &lost).await?;
            tokio::time::sleep(after_race(attempt)).await;
        }
        Err(outraced(repository, &tag))
    }

    /// Looks at a subject's tag and opens uploads for this many layers: while they are being
    /// signed, so that it takes no time of its own.
    pub async fn open_legacy(
        &self,
        repository: &Repository,
        subject: &Digest,
        attached: Attached,
        layers: usize,
    ) -> RegistryResult<OpenedTag> {
        self.open_tag(repository, &attached.tag(subject)?, layers).await
    }

    async fn open_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        layers: usize,
    ) -> RegistryResult<OpenedTag> {
        let places =
            futures_util::future::try_join_all((0..layers).map(|_| self.open_upload(repository)));
        let (seen, layers, config) = futures_util::try_join!(
            self.to_be_replaced(repository, tag),
            places,
            self.open_upload(repository)
        )?;
        Ok(OpenedTag { seen, layers, config })
    }

    /// Adds layers under a subject's tag, at the places that were opened for them.
    pub async fn append_legacy(
        &self,
        repository: &Repository,
        subject: &Digest,
        attached: Attached,
        opened: OpenedTag,
        layers: &[LegacyLayer],
    ) -> RegistryResult<()> {
        let tag = attached.tag(subject)?;
        self.add_legacy(repository, &tag, opened, layers).await?;
        self.memory.layers.note(repository, &tag, layers).await;
        Ok(())
    }

    /// Uploads, and writes if nothing changed since the tag was looked at. Where the registry heeds
    /// no such condition, the next look (`legacy_layers`) finds what another writer took away.
    async fn add_legacy(
        &self,
        repository: &Repository,
        tag: &Tag,
        opened: OpenedTag,
        layers: &[LegacyLayer],
    ) -> RegistryResult<()> {
        let OpenedTag { seen: mut current, layers: places, config: place } = opened;
        let places = places.into_iter().map(Some).chain(std::iter::repeat(None));
        let uploads = layers
            .iter()
            .zip(places)
            .map(|(layer, place)| self.put_layer(place, repository, layer));
        let mut to_put = with_layers(current.0.as_ref(), layers, repository)?;
        let config = async {
            if let Some((_, config)) = &to_put {
                self.put_layer(Some(place), repository, config).await
            } else {
                Ok(())
            }
        };
        futures_util::try_join!(futures_util::future::try_join_all(uploads), config)?;
        for attempt in 1..=RACES {
            let Some((manifest, _)) = to_put else { return Ok(()) };
            if self.replace(repository, tag, &manifest, &current.1).await? {
                return Ok(());
            }
            tokio::time::sleep(after_race(attempt)).await;
            current = self.to_be_replaced(repository, tag).await?;
            to_put = with_layers(current.0.as_ref(), layers, repository)?;
            if let Some((_, config)) = &to_put {
                self.put_layer(None, repository, config).await?;
            }
        }
        Err(outraced(repository, tag))
    }

    /// Has a tag name what it does in another repository, whose blobs are here as well. Layers that
    /// are here already stay.
    pub(super) async fn merge_attached(
        &self,
        repository: &Repository,
        tag: &Tag,
        theirs: &RegistryManifest,
    ) -> RegistryResult<MergedTag> {
        let has_layers = !tag.as_str().ends_with(".sbom");
        for attempt in 1..=RACES {
            let (before, condition) = self.to_be_replaced(repository, tag).await?;
            let Some(before) = before else {
                if self.replace(repository, tag, theirs, &condition).await? {
                    return Ok(MergedTag::Stands);
                }
                tokio::time::sleep(after_race(attempt)).await;
                continue;
            };
            if before.descriptor.digest == theirs.descriptor.digest {
                return Ok(MergedTag::Stands);
            }
            let (true, Ok(layers), Ok(_)) =
                (has_layers, layers_of(theirs, repository), layers_of(&before, repository))
            else {
                return Ok(MergedTag::Kept);
            };
            let Some((manifest, config)) = with_more(Some(&before), layers, repository)? else {
                return Ok(MergedTag::Stands);
            };
            self.put_layer(None, repository, &config).await?;
            if self.replace(repository, tag, &manifest, &condition).await? {
                return Ok(MergedTag::Added);
            }
            tokio::time::sleep(after_race(attempt)).await;
        }
        Err(outraced(repository, tag))
    }

    async fn put_layer(
        &self,
        place: Option<Url>,
        repository: &Repository,
        layer: &LegacyLayer,
    ) -> RegistryResult<()> {
        match place {
            Some(place) => {
                self.put_blob_at(place, repository, &layer.bytes, &layer.descriptor).await
            }
            None => self.put_blob(repository, &layer.bytes, &layer.descriptor).await,
        }
    }
}

fn unreadable(repository: &Repository, why: &dyn std::fmt::Display) -> RegistryError {
    RegistryError::Protocol {
        request: format!("GET /v2/{}/manifests", repository.path()),
        what: format!("a manifest that cannot be read: {why}"),
    }
}

/// The layers as they were written, of a manifest that everybody reads alike.
fn layers_of(manifest: &RegistryManifest, repository: &Repository) -> RegistryResult<Vec<Value>> {
    oci::listed(&manifest.bytes, "layers").map_err(|why| unreadable(repository, &why))?;
    let mut json: Value =
        serde_json::from_slice(&manifest.bytes).map_err(|why| unreadable(repository, &why))?;
    match json["layers"].take() {
        Value::Array(layers) if layers.len() <= LAYERS => Ok(layers),
        Value::Array(layers) => Err(unreadable(
            repository,
            &format!("it has {} layers of signatures, more than {LAYERS}", layers.len()),
        )),
        _ => Err(unreadable(repository, &"it has no layers")),
    }
}

/// Whether a manifest has all layers of another one, both of which can be read.
pub(super) fn has_all_of(
    found: &RegistryManifest,
    wanted: &RegistryManifest,
    repository: &Repository,
) -> bool {
    match (layers_of(found, repository), layers_of(wanted, repository)) {
        (Ok(found), Ok(wanted)) => wanted.iter().all(|layer| found.contains(layer)),
        _ => false,
    }
}

/// The manifest and config with these layers as well; `None` when all are there.
fn with_layers(
    before: Option<&RegistryManifest>,
    added: &[LegacyLayer],
    repository: &Repository,
) -> RegistryResult<Option<(RegistryManifest, LegacyLayer)>> {
    with_more(before, added.iter().map(|layer| json!(layer.descriptor)), repository)
}

/// The same with layers as they are written elsewhere.
fn with_more(
    before: Option<&RegistryManifest>,
    added: impl IntoIterator<Item = Value>,
    repository: &Repository,
) -> RegistryResult<Option<(RegistryManifest, LegacyLayer)>> {
    let mut layers = before.map_or(Ok(Vec::new()), |manifest| layers_of(manifest, repository))?;
    let known = layers.len();
    for layer in added {
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    if layers.len() == known {
        return Ok(None);
    }
    let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let never = "0001-01-01T00:00:00Z";
    let config = json!({
        "architecture": "", "created": never, "history": vec![json!({ "created": never }); diff_ids.len()], "os": "",
        "rootfs": { "type": "layers", "diff_ids": diff_ids }, "config": {},
    });
    let bytes = bytes::Bytes::from(config.to_string());
    let config = LegacyLayer { descriptor: Descriptor::of(&bytes, CONFIG), bytes };
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor, "layers": layers });
    Ok(Some((RegistryManifest::new(manifest.to_string().into_bytes(), OCI_MANIFEST), config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &'static str) -> LegacyLayer {
        LegacyLayer { descriptor: Descriptor::of(text.as_bytes(), "m"), bytes: text.into() }
    }

    #[test]
    fn layers_are_added_once_and_others_stay_as_they_are() {
        let repository: Repository = "r.io/a".parse().unwrap();
        let theirs = r#"{"layers":[{"mediaType":"x","digest":"sha512:00","size":1,"annotations":{"k":"v"},"y":1.0}]}"#;
        let before = RegistryManifest::new(theirs.into(), OCI_MANIFEST);
        let (after, config) =
            with_layers(Some(&before), &[layer("a"), layer("b"), layer("a")], &repository)
                .unwrap()
                .unwrap();
        let json: Value = serde_json::from_slice(&after.bytes).unwrap();
        assert_eq!(
            (json["layers"].as_array().unwrap().len(), &json["layers"][0]["y"]),
            (3, &json!(1.0))
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&config.bytes).unwrap()["rootfs"]["diff_ids"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        assert!(with_layers(Some(&after), &[layer("b")], &repository).unwrap().is_none());
        with_layers(
            Some(&RegistryManifest::new(b"{}".to_vec(), OCI_MANIFEST)),
            &[layer("a")],
            &repository,
        )
        .unwrap_err();
    }
}
