//! Bytes and what they are said to be → an index or the manifest of an image, or why neither. It
//! believes no media type that another one contradicts.

use std::collections::BTreeMap;

use super::json::StrictObject;
use super::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Json, OCI_INDEX, OCI_MANIFEST, UnreadableDocument,
};

/// A document that a registry serves under `manifests/`.
#[derive(Debug, Clone, PartialEq)]
pub enum OciDocument {
    Index(ImageIndex),
    Image(ImageManifest),
}

/// What names the images of several platforms, and what stands beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageIndex {
    pub artifact_type: Option<String>,
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

/// What names a config and layers: an image for one platform, or an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageManifest {
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
    /// Boxed: few have one, and it is large.
    pub subject: Option<Box<Descriptor>>,
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// What kind of thing it is, if it is an artifact: its own word, or its config's media type.
    pub fn kind(&self) -> &str {
        self.artifact_type.as_deref().unwrap_or(&self.config.media_type)
    }
}

const INDEX: [&str; 6] =
    ["schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"];
const IMAGE: [&str; 7] =
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"];
/// Of an image's manifest, of Docker's first schema, and of the artifact manifest that was given
/// up.
const NOT_OF_AN_INDEX: [&str; 7] =
    ["config", "layers", "fsLayers", "history", "signatures", "blobs", "blobSum"];
const NOT_OF_AN_IMAGE: [&str; 6] =
    ["manifests", "fsLayers", "history", "signatures", "blobs", "blobSum"];

impl OciDocument {
    /// `said` is the media type by which the bytes were found: a registry's header or an entry of
    /// an index.
    pub fn read(bytes: &[u8], said: &str) -> Result<Self, UnreadableDocument> {
        match said {
            OCI_INDEX | DOCKER_LIST => ImageIndex::parse(bytes, Some(said)).map(Self::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => ImageManifest::parse(bytes, said).map(Self::Image),
            other => Err(UnreadableDocument::UnknownKind(super::shown(other))),
        }
    }

    pub fn index(self) -> Result<ImageIndex, UnreadableDocument> {
        match self {
            Self::Index(index) => Ok(index),
            Self::Image(_) => {
                Err(UnreadableDocument::Kind { found: "an image's manifest", wanted: "an index" })
            }
        }
    }

    pub fn image(self) -> Result<ImageManifest, UnreadableDocument> {
        match self {
            Self::Image(image) => Ok(image),
            Self::Index(_) => {
                Err(UnreadableDocument::Kind { found: "an index", wanted: "an image's manifest" })
            }
        }
    }
}

/// What all documents have.
struct Common<'a> {
    object: StrictObject<'a>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

fn common<'a>(
    json: &'a Json,
    said: Option<&str>,
    known: &[&str],
    foreign: &[&str],
) -> Result<Common<'a>, UnreadableDocument> {
    let object = StrictObject::open(json, "", known, foreign)?;
    match object.whole("schemaVersion")? {
        Some(2) => {}
        Some(other) => {
            return Err(UnreadableDocument::Value {
                name: "schemaVersion".to_owned(),
                value: other.to_string(),
                expected: "2",
            });
        }
        None => return Err(UnreadableDocument::Missing { name: "schemaVersion".to_owned() }),
    }
    let says = object.text("mediaType")?;
    match (said, says) {
        (Some(said), Some(says)) if says != said => {
            return Err(UnreadableDocument::MediaType {
                said: super::shown(said),
                says: super::shown(&says),
            });
        }
        (None, Some(says)) if ![OCI_INDEX, DOCKER_LIST].contains(&says.as_str()) => {
            return Err(UnreadableDocument::MediaType {
                said: OCI_INDEX.to_owned(),
                says: super::shown(&says),
            });
        }
        _ => {}
    }
    Ok(Common {
        artifact_type: object.text("artifactType")?.filter(|kind| !kind.is_empty()),
        subject: object
            .get("subject")
            .map(|subject| Descriptor::read(subject, "subject"))
            .transpose()?,
        annotations: object.map("annotations")?,
        object,
    })
}

fn descriptors(values: &[Json], name: &str) -> Result<Vec<Descriptor>, UnreadableDocument> {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| Descriptor::read(value, &format!("{name}[{at}]")))
        .collect()
}

impl ImageIndex {
    /// An index that nobody said the media type of, as `index.json` of a layout.
    pub fn local(bytes: &[u8]) -> Result<Self, UnreadableDocument> {
        Self::parse(bytes, None)
    }

    fn parse(bytes: &[u8], said: Option<&str>) -> Result<Self, UnreadableDocument> {
        let json = Json::parse(bytes)?;
        let Common { object, artifact_type, subject, annotations } =
            common(&json, said, &INDEX, &NOT_OF_AN_INDEX)?;
        object.expect("manifests")?;
        let manifests = descriptors(object.list("manifests")?.unwrap_or_default(), "manifests")?;
        Ok(Self { artifact_type, manifests, subject, annotations })
    }
}

impl ImageManifest {
    fn parse(bytes: &[u8], said: &str) -> Result<Self, UnreadableDocument> {
        let json = Json::parse(bytes)?;
        let Common { object, artifact_type, subject, annotations } =
            common(&json, Some(said), &IMAGE, &NOT_OF_AN_IMAGE)?;
        let config = Descriptor::read(object.expect("config")?, "config")?;
        object.expect("layers")?;
        let layers = descriptors(object.list("layers")?.unwrap_or_default(), "layers")?;
        Ok(Self { artifact_type, config, layers, subject: subject.map(Box::new), annotations })
    }
}

/// The entries of a list that anybody may add to: of `manifests` under a fallback tag, or of
/// `layers` under cosign's tags. One that cannot be read (another digest algorithm, say) hides no
/// other; nothing in such a list is believed. A list that programs read otherwise is refused whole.
pub fn listed(
    bytes: &[u8],
    list: &'static str,
) -> Result<Vec<Option<Descriptor>>, UnreadableDocument> {
    let json = Json::parse(bytes)?;
    let (known, foreign): (&[&str], &[&str]) =
        if list == "manifests" { (&INDEX, &NOT_OF_AN_INDEX) } else { (&IMAGE, &NOT_OF_AN_IMAGE) };
    let object = StrictObject::open(&json, "", known, foreign)?;
    object.expect(list)?;
    let entries = object.list(list)?.unwrap_or_default();
    Ok(entries.iter().map(|entry| Descriptor::read(&without_nulls(entry), list).ok()).collect())
}

/// Some registries write what they do not know as null.
fn without_nulls(entry: &Json) -> Json {
    match entry {
        Json::Members(members) => Json::Members(
            members.iter().filter(|(_, value)| *value != Json::Null).cloned().collect(),
        ),
        other => other.clone(),
    }
}
