//! Images on disk: an OCI layout in a folder or a tar archive, and what `docker save` writes. It
//! changes nothing there.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use super::files::{Archive, ImageFiles, LayoutFolder};
use super::{
    CatalogedImage, ImageStore, LayoutPlatform, SearchStart, bad, choose, config, find,
    from_config, hex_of,
};
use crate::oci::{DOCKER_CONFIG, Descriptor, ImageIndex, OCI_CONFIG, OciDocument, SavedImage};
use crate::sbom::SbomError;
use crate::sbom::layers::{Blob, LayerBlobs};

const INDEX: &str = "index.json";
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// An image on disk, with its layers.
pub struct LocalImage {
    pub image: CatalogedImage,
    /// As the image was named when it was saved.
    pub name: Option<String>,
    files: Box<dyn ImageFiles>,
    /// Layers of an archive of Docker, by diffID.
    paths: BTreeMap<String, String>,
}

impl LayerBlobs for LocalImage {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        let path = match (self.paths.get(&blob.diff_id), &blob.digest) {
            (Some(path), _) => path.clone(),
            (None, digest) => {
                blob_path(digest.as_deref().unwrap_or_default()).map_err(io::Error::other)?
            }
        };
        self.files
            .open(&path)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no `{path}`")))
    }
}

struct LocalLayout<'a>(&'a dyn ImageFiles);

impl LayerBlobs for LocalLayout<'_> {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, blob.name().to_owned()))
    }
}

impl ImageStore for LocalLayout<'_> {
    fn manifest(&self, digest: &str) -> Result<(Vec<u8>, Option<String>), SbomError> {
        let path = blob_path(digest)?;
        let bytes = self.0.read(&path)?.map_or_else(|| bad(format!("there is no `{path}`")), Ok)?;
        Ok((bytes, None))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SbomError> {
        self.manifest(descriptor.digest.as_str()).map(|(bytes, _)| bytes)
    }
}

fn blob_path(digest: &str) -> Result<String, SbomError> {
    Ok(format!("blobs/sha256/{}", hex_of(digest)?))
}

/// An OCI layout in a folder; `name` says which image, where there are several.
pub fn layout(
    folder: &Path,
    name: Option<&str>,
    wanted: Option<&LayoutPlatform>,
) -> Result<LocalImage, SbomError> {
    let files = Box::new(LayoutFolder(folder.to_owned()));
    match files.read(INDEX)? {
        Some(index) => from_layout(files, &index, name, wanted),
        None => bad(format!("`{}` is not an OCI layout: it has no `{INDEX}`", folder.display())),
    }
}

/// What `docker save`, `buildx --output type=docker` or `type=oci` wrote.
pub fn archive(
    path: &Path,
    name: Option<&str>,
    wanted: Option<&LayoutPlatform>,
) -> Result<LocalImage, SbomError> {
    let files = Box::new(Archive::open(path)?);
    // Newer archives are both; the layout names digests.
    if let Some(index) = files.read(INDEX)? {
        return from_layout(files, &index, name, wanted);
    }
    match files.read("manifest.json")? {
        Some(manifest) => from_docker(files, &manifest, name, wanted),
        None => bad(format!(
            "`{}` is not a saved image: it has neither `{INDEX}` nor `manifest.json`",
            path.display()
        )),
    }
}

/// An entry of a layout that is an image, and its names.
pub struct LayoutImage {
    pub descriptor: Descriptor,
    pub names: Vec<String>,
}

impl LayoutImage {
    /// What people call it.
    pub fn shown(&self) -> String {
        self.names.first().cloned().unwrap_or_else(|| self.descriptor.digest.to_string())
    }
}

/// The images of a layout in a folder, those of this name or digest if one is given; one image may
/// have several names.
pub fn images_of(folder: &Path, name: Option<&str>) -> Result<Vec<LayoutImage>, SbomError> {
    let files = LayoutFolder(folder.to_owned());
    match files.read(INDEX)? {
        Some(index) => entries(&files, &index, name),
        None => bad(format!("`{}` is not an OCI layout: it has no `{INDEX}`", folder.display())),
    }
}

fn entries(
    files: &dyn ImageFiles,
    index: &[u8],
    name: Option<&str>,
) -> Result<Vec<LayoutImage>, SbomError> {
    let index = ImageIndex::local(index)
        .or_else(|why| bad(format!("`{INDEX}` cannot be understood: {why}")))?;
    let names = |entry: &Descriptor| {
        NAMES.iter().filter_map(|key| entry.annotations.get(*key).cloned()).collect::<Vec<_>>()
    };
    let is_named = |entry: &&Descriptor| {
        name.is_none_or(|name| {
            names(entry).iter().any(|known| known == name) || entry.digest.as_str() == name
        })
    };
    let mut entries: Vec<LayoutImage> = Vec::new();
    for descriptor in index.manifests.iter().filter(is_named) {
        match entries.iter_mut().find(|entry| entry.descriptor.digest == descriptor.digest) {
            Some(known) => known.names.extend(names(descriptor)),
            None => entries
                .push(LayoutImage { descriptor: descriptor.clone(), names: names(descriptor) }),
        }
    }
    if let (true, Some(name)) = (entries.is_empty(), name) {
        let told: Vec<String> =
            index.manifests.iter().flat_map(names).map(|name| format!("`{name}`")).collect();
        return bad(format!(
            "there is no image named `{name}` in the layout; there are {}",
            if told.is_empty() { "no names".to_owned() } else { told.join(", ") }
        ));
    }
    if name.is_none() && entries.len() > 1 {
        // Evidence lies in a layout beside what it is about.
        entries.retain(|entry| match entry.names.as_slice() {
            [] => !is_artifact(files, &entry.descriptor),
            names => !names.iter().all(|name| names_a_digest(name)),
        });
    }
    Ok(entries)
}

fn from_layout(
    files: Box<dyn ImageFiles>,
    index: &[u8],
    name: Option<&str>,
    wanted: Option<&LayoutPlatform>,
) -> Result<LocalImage, SbomError> {
    let entries = entries(&*files, index, name)?;
    let known = entries.first().and_then(|entry| entry.names.first().cloned());
    if entries.len() > 1 && entries.iter().all(|entry| entry.descriptor.platform.is_none()) {
        let told: Vec<String> =
            entries.iter().map(|entry| format!("`{}`", entry.shown())).collect();
        return bad(format!(
            "the layout holds several images; name one of them after its path and a colon: {}",
            told.join(", ")
        ));
    }
    let entries: Vec<Descriptor> = entries.into_iter().map(|entry| entry.descriptor).collect();
    let image =
        find(&LocalLayout(&*files), &SearchStart::Entry(choose(&entries, wanted)?), wanted)?;
    Ok(LocalImage { image, name: known, files, paths: BTreeMap::new() })
}

/// Whether an entry holds no image, as its config is none. What cannot be read may be an image.
fn is_artifact(files: &dyn ImageFiles, entry: &Descriptor) -> bool {
    let bytes = blob_path(entry.digest.as_str()).and_then(|path| files.read(&path)).ok().flatten();
    match bytes.map(|bytes| OciDocument::read(&bytes, &entry.media_type)) {
        Some(Ok(OciDocument::Image(manifest))) => {
            ![OCI_CONFIG, DOCKER_CONFIG].contains(&manifest.config.media_type.as_str())
        }
        _ => false,
    }
}

/// `sha256-<hex>`, as registries without referrers and cosign name what is about a digest; with
/// nothing, `.sig`, `.att` or `.sbom` behind it.
fn names_a_digest(name: &str) -> bool {
    let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
    let Some(rest) = tag.strip_prefix("sha256-") else { return false };
    let (hex, ending) = rest.split_at_checked(64).unwrap_or(("", rest));
    !hex.is_empty()
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && ["", ".sig", ".att", ".sbom"].contains(&ending)
}

fn from_docker(
    files: Box<dyn ImageFiles>,
    manifest: &[u8],
    name: Option<&str>,
    wanted: Option<&LayoutPlatform>,
) -> Result<LocalImage, SbomError> {
    let saved = SavedImage::read(manifest)
        .or_else(|why| bad(format!("`manifest.json` cannot be understood: {why}")))?;
    let tags = |saved: &SavedImage| saved.repo_tags.clone();
    let chosen: Vec<&SavedImage> = saved
        .iter()
        .filter(|saved| name.is_none_or(|name| tags(saved).iter().any(|tag| tag == name)))
        .collect();
    let saved = match chosen.as_slice() {
        [only] => *only,
        [] => {
            return bad(format!(
                "there is no image named `{}` in the archive",
                name.unwrap_or_default()
            ));
        }
        several => {
            let told: Vec<String> = several
                .iter()
                .flat_map(|saved| tags(saved))
                .map(|tag| format!("`{tag}`"))
                .collect();
            return bad(format!(
                "the archive holds several images; name one of them after its path and a colon: {}",
                told.join(", ")
            ));
        }
    };
    let Some(bytes) = files.read(&saved.config)? else {
        return bad(format!("there is no `{}` in the archive", saved.config));
    };
    let config = config(&bytes, &saved.config)?;
    let layers: Vec<Blob> = config
        .diff_ids
        .iter()
        .map(|diff_id| Blob {
            digest: None,
            size: None,
            diff_id: diff_id.to_string(),
            is_foreign: false,
            is_encrypted: false,
        })
        .collect();
    let image = from_config(&config, layers, saved.layers.len(), wanted)?;
    let image = CatalogedImage { config: bytes, ..image };
    let paths = image
        .layers
        .iter()
        .map(|layer| layer.diff_id.clone())
        .zip(saved.layers.iter().cloned())
        .collect();
    Ok(LocalImage { image, name: tags(saved).into_iter().next(), files, paths })
}
