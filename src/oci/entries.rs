//! An index and what its entries name → its images and what is said beside them; every entry is
//! accounted for, or the index is refused. Pure: it fetches nothing and believes no entry that its
//! manifest and config do not bear out.
//!
//! Attestations: <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.

use std::collections::BTreeMap;

use super::{
    Allowed, DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, DescribedPlatform, Descriptor,
    EMPTY_JSON, ImageConfig, ImageIndex, ImageManifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST,
    PlatformTarget, UnreadableDocument, shown,
};
use crate::image::{Digest, Platform};

/// Set by BuildKit on the entry of attestations.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const ATTESTATION: &str = "attestation-manifest";
/// What BuildKit's manifests of unsigned statements are.
pub const BUILDKIT_STATEMENTS: &str = "application/vnd.docker.attestation.manifest.v1+json";
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
const UNKNOWN: &str = "unknown";
/// Each is fetched by whoever verifies; no image is for as many platforms.
const MOST_ENTRIES: usize = 1000;

/// Why an image is not taken for what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("{0}")]
    Unreadable(#[from] UnreadableDocument),
    #[error("holds no image")]
    NoImage,
    #[error("has {0} entries, more than {MOST_ENTRIES}: this is a flood, not an image")]
    Flood(usize),
    #[error("holds another index, `{0}`")]
    Nested(Digest),
    #[error(
        "has an entry of media type `{kind}`, which is neither an image nor attestations: `{entry}`"
    )]
    EntryKind { entry: Digest, kind: String },
    #[error(
        "has an entry of artifact type `{kind}`, which is neither an image nor attestations: `{entry}`"
    )]
    Artifact { entry: Digest, kind: String },
    #[error(
        "has an entry of artifact type `{kind}` that some programs use as the image of `{platform}`, because none is listed before it: `{entry}`"
    )]
    ArtifactFirst { entry: Digest, kind: String, platform: String },
    #[error("has an entry of artifact type `{said}` that is `{found}`: `{entry}`")]
    OtherArtifact { entry: Digest, said: String, found: String },
    #[error("has an entry that is neither an image nor attestations: `{0}`")]
    Neither(Digest),
    #[error("has an entry without a platform: `{0}`")]
    NoPlatform(Digest),
    #[error("has the entry `{entry}`, whose platform is not known: {why}")]
    Platform { entry: Digest, why: String },
    #[error("has two images of `{target}`: `{first}` and `{second}`")]
    SameTarget { target: String, first: Digest, second: Digest },
    #[error("has two entries of `{0}`")]
    SameDigest(Digest),
    #[error("has the entry `{0}`, which is stored elsewhere")]
    EntryElsewhere(Digest),
    #[error("has attestations `{entry}` about `{about}`, which is not one of its images")]
    AboutNothing { entry: Digest, about: String },
    #[error("has several manifests of attestations about `{about}`: `{first}` and `{second}`")]
    SeveralAttestations { about: Digest, first: Digest, second: Digest },
    #[error("says that `{entry}` has {said} bytes, but it has {found}")]
    Size { entry: Digest, said: u64, found: u64 },
    #[error("says that `{entry}` has media type `{said}`, but the registry says `{found}`")]
    MediaType { entry: Digest, said: String, found: String },
    #[error("has attestations `{entry}` that are {what}")]
    Attestations { entry: Digest, what: String },
    #[error("says that `{entry}` is of `{said}`, but its config says `{configured}`")]
    OtherPlatform { entry: Digest, said: String, configured: String },
    #[error("points to `{entry}`, which programs can read in different ways: {why}")]
    Part { entry: Digest, why: UnreadableDocument },
    #[error("has the image `{entry}`, whose {what}")]
    Image { entry: Digest, what: String },
    #[error("has the image `{entry}`, whose layer `{layer}` may be fetched from elsewhere{}", places(.urls))]
    Foreign { entry: Digest, layer: Digest, urls: Vec<String> },
}

fn places(urls: &[String]) -> String {
    if urls.is_empty() {
        String::new()
    } else {
        format!(
            ": {}",
            urls.iter().map(|url| format!("`{}`", shown(url))).collect::<Vec<_>>().join(", ")
        )
    }
}

impl Objection {
    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => {
                Some("set `allow-foreign-layers: true` (in `verify`: --allow-foreign-layers) if that is intended".to_owned())
            }
            Self::Artifact { kind, .. } => {
                Some(format!("set `allow-index-entries: {kind}` (in `verify`: --allow-index-entries {kind}) if it belongs there"))
            }
            Self::SameTarget { .. } => Some("build each platform once, or give them different variants".to_owned()),
            Self::AboutNothing { .. } | Self::SeveralAttestations { .. } | Self::Attestations { .. } => {
                Some("build it again; BuildKit writes one manifest of attestations for each image".to_owned())
            }
            _ => None,
        }
    }

    /// The argument of `verify` by which it is accepted all the same.
    pub fn accepted_by(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => Some("--allow-foreign-layers".to_owned()),
            Self::Artifact { kind, .. } => Some(format!("--allow-index-entries {kind}")),
            _ => None,
        }
    }
}

/// What the entries of an index are.
#[derive(Debug, Clone, PartialEq)]
pub struct Accounted {
    pub images: Vec<ImageEntry>,
    /// Of kinds of their own, which were allowed.
    pub others: Vec<Descriptor>,
}

/// The image for one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEntry {
    pub descriptor: Descriptor,
    pub target: PlatformTarget,
    /// BuildKit's manifest of unsigned attestations about this image.
    pub attestations: Option<Descriptor>,
}

/// Every entry of an index is an image, attestations about one of them, or of a kind that was
/// allowed.
pub fn account(index: &ImageIndex, allowed: &Allowed) -> Result<Accounted, Objection> {
    if index.manifests.len() > MOST_ENTRIES {
        return Err(Objection::Flood(index.manifests.len()));
    }
    let mut images: Vec<ImageEntry> = Vec::new();
    let (mut attestations, mut others): (Vec<&Descriptor>, Vec<Descriptor>) =
        (Vec::new(), Vec::new());
    for entry in &index.manifests {
        match kind(entry, allowed)? {
            EntryKind::Image(target) => {
                images.push(ImageEntry { descriptor: entry.clone(), target, attestations: None })
            }
            EntryKind::Attestations => attestations.push(entry),
            EntryKind::Other(platform) => {
                is_behind_an_image(entry, platform, &images)?;
                others.push(entry.clone());
            }
        }
    }
    for entry in attestations {
        let about = entry.annotations.get(REFERENCE_DIGEST).map(String::as_str).unwrap_or_default();
        let Some(image) = images.iter_mut().find(|image| image.descriptor.digest.as_str() == about)
        else {
            return Err(Objection::AboutNothing {
                entry: entry.digest.clone(),
                about: shown(about),
            });
        };
        if let Some(before) = image.attestations.replace(entry.clone()) {
            let (first, second) = (before.digest, entry.digest.clone());
            return Err(Objection::SeveralAttestations {
                about: image.descriptor.digest.clone(),
                first,
                second,
            });
        }
    }
    if images.is_empty() {
        return Err(Objection::NoImage);
    }
    let mut by_target: BTreeMap<&PlatformTarget, &Digest> = BTreeMap::new();
    for image in &images {
        let second = &image.descriptor.digest;
        if let Some(first) = by_target.insert(&image.target, second) {
            return Err(Objection::SameTarget {
                target: image.target.to_string(),
                first: first.clone(),
                second: second.clone(),
            });
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    match index.manifests.iter().find(|entry| !seen.insert(&entry.digest)) {
        Some(twice) => Err(Objection::SameDigest(twice.digest.clone())),
        None => Ok(Accounted { images, others }),
    }
}

enum EntryKind {
    Image(PlatformTarget),
    Attestations,
    /// For this platform, where it names one.
    Other(TakenForImageOf),
}

/// Whose image some programs would take an entry for.
enum TakenForImageOf {
    Nobody,
    /// Of entries without a platform crane thinks so.
    Usual,
    Target(PlatformTarget),
}

/// The platform of what names none, in programs that have one in mind.
const USUAL: &str = "linux/amd64";

/// Programs take the first entry of their platform, so what is no image stands behind one.
fn is_behind_an_image(
    entry: &Descriptor,
    platform: TakenForImageOf,
    images: &[ImageEntry],
) -> Result<(), Objection> {
    let (is_behind, platform) = match platform {
        TakenForImageOf::Nobody => return Ok(()),
        TakenForImageOf::Usual => (
            images.iter().any(|image| image.target.platform.to_string() == USUAL),
            USUAL.to_owned(),
        ),
        TakenForImageOf::Target(target) => {
            (images.iter().any(|image| image.target == target), target.to_string())
        }
    };
    let kind = shown(entry.artifact_type.as_deref().unwrap_or_default());
    if is_behind {
        Ok(())
    } else {
        Err(Objection::ArtifactFirst { entry: entry.digest.clone(), kind, platform })
    }
}

/// What an entry says that it is.
fn kind(entry: &Descriptor, allowed: &Allowed) -> Result<EntryKind, Objection> {
    let digest = || entry.digest.clone();
    match entry.media_type.as_str() {
        OCI_MANIFEST | DOCKER_MANIFEST => {}
        OCI_INDEX | DOCKER_LIST => return Err(Objection::Nested(digest())),
        other => return Err(Objection::EntryKind { entry: digest(), kind: shown(other) }),
    }
    if !entry.urls.is_empty() {
        return Err(Objection::EntryElsewhere(digest()));
    }
    let own = entry
        .artifact_type
        .as_deref()
        .filter(|kind| ![OCI_CONFIG, DOCKER_CONFIG, ""].contains(kind));
    let nowhere = entry.platform.as_ref().is_some_and(is_nowhere);
    if entry.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == ATTESTATION) {
        let wrong = |what: String| Objection::Attestations { entry: digest(), what };
        if !nowhere {
            let platform = entry
                .platform
                .as_ref()
                .map_or_else(|| "none".to_owned(), |platform| shown(&written(platform)));
            return Err(wrong(format!(
                "not of platform `unknown/unknown`, but `{platform}`, for which programs may run them"
            )));
        }
        if own.is_some_and(|kind| kind != BUILDKIT_STATEMENTS) {
            return Err(wrong(format!("of artifact type `{}`", shown(own.unwrap_or_default()))));
        }
        return Ok(EntryKind::Attestations);
    }
    if let Some(kind) = own {
        if !allowed.index_entries.iter().any(|allowed| allowed == kind) {
            return Err(Objection::Artifact { entry: digest(), kind: shown(kind) });
        }
        return Ok(EntryKind::Other(match &entry.platform {
            Some(_) if nowhere => TakenForImageOf::Nobody,
            None => TakenForImageOf::Usual,
            Some(platform) => TakenForImageOf::Target(
                platform.target().map_err(|why| Objection::Platform { entry: digest(), why })?,
            ),
        }));
    }
    let Some(platform) = &entry.platform else { return Err(Objection::NoPlatform(digest())) };
    if [&platform.os, &platform.architecture].iter().any(|word| word.eq_ignore_ascii_case(UNKNOWN))
    {
        return Err(Objection::Neither(digest()));
    }
    platform
        .target()
        .map(EntryKind::Image)
        .map_err(|why| Objection::Platform { entry: digest(), why })
}

/// `unknown/unknown` and no more, which nobody runs.
fn is_nowhere(platform: &DescribedPlatform) -> bool {
    let unknown = || UNKNOWN.to_owned();
    *platform
        == DescribedPlatform {
            os: unknown(),
            architecture: unknown(),
            ..DescribedPlatform::default()
        }
}

fn written(platform: &DescribedPlatform) -> String {
    Platform {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
    }
    .to_string()
}

/// Whether a manifest that was fetched is what its entry says.
pub fn is_as_listed(entry: &Descriptor, fetched: &Descriptor) -> Result<(), Objection> {
    if fetched.size != entry.size {
        return Err(Objection::Size {
            entry: entry.digest.clone(),
            said: entry.size,
            found: fetched.size,
        });
    }
    if fetched.media_type != entry.media_type {
        let (said, found) = (shown(&entry.media_type), shown(&fetched.media_type));
        return Err(Objection::MediaType { entry: entry.digest.clone(), said, found });
    }
    Ok(())
}

/// Whether a config has to be fetched to know that a manifest is one of attestations.
pub fn has_no_config(manifest: &ImageManifest) -> bool {
    manifest.config.media_type == EMPTY_JSON
        && manifest.config.digest == Digest::of(b"{}")
        && manifest.config.size == 2
}

/// A manifest of attestations holds statements alone, and is about the one image. `config` is its
/// config's bytes, unless it has none.
pub fn attestations(
    entry: &Descriptor,
    manifest: &ImageManifest,
    config: Option<&[u8]>,
    image: &Descriptor,
) -> Result<(), Objection> {
    let wrong = |what: String| Err(Objection::Attestations { entry: entry.digest.clone(), what });
    if let Some(layer) =
        manifest.layers.iter().find(|layer| layer.media_type != IN_TOTO || !layer.urls.is_empty())
    {
        return wrong(format!(
            "not only statements: layer `{}` is of media type `{}`",
            layer.digest,
            shown(&layer.media_type)
        ));
    }
    if manifest.layers.is_empty() {
        return wrong("without any statement".to_owned());
    }
    if let Some(kind) =
        manifest.artifact_type.as_deref().filter(|kind| *kind != BUILDKIT_STATEMENTS)
    {
        return wrong(format!("of artifact type `{}`", shown(kind)));
    }
    if let Some(subject) = manifest
        .subject
        .as_ref()
        .filter(|subject| (&subject.digest, subject.size) != (&image.digest, image.size))
    {
        return wrong(format!(
            "about `{}` of {} bytes by their subject, and about `{}` of {} by the index",
            subject.digest, subject.size, image.digest, image.size
        ));
    }
    if has_no_config(manifest) && manifest.config.urls.is_empty() {
        return Ok(());
    }
    let kind = manifest.config.media_type.as_str();
    if ![OCI_CONFIG, DOCKER_CONFIG].contains(&kind) || !manifest.config.urls.is_empty() {
        return wrong(format!("with a config of media type `{}`", shown(kind)));
    }
    let config = config.unwrap_or_default();
    if config.len() as u64 != manifest.config.size {
        return wrong(format!(
            "with a config of {} bytes; their manifest says {}",
            config.len(),
            manifest.config.size
        ));
    }
    let config = ImageConfig::read(config)
        .map_err(|why| Objection::Part { entry: entry.digest.clone(), why })?;
    if !is_nowhere(&config.platform) {
        return wrong(format!(
            "an image of `{}` by their config",
            shown(&written(&config.platform))
        ));
    }
    if config.diff_ids.len() != manifest.layers.len() {
        return wrong(format!(
            "{} statements by their manifest, and {} by their config",
            manifest.layers.len(),
            config.diff_ids.len()
        ));
    }
    Ok(())
}

/// What stands beside an index's images and was allowed must be of the kind it is said to be, and
/// nothing that a program runs.
pub fn other(entry: &Descriptor, manifest: &ImageManifest) -> Result<(), Objection> {
    let said = entry.artifact_type.as_deref().unwrap_or_default();
    let is_image = [OCI_CONFIG, DOCKER_CONFIG].contains(&manifest.config.media_type.as_str());
    if is_image || manifest.kind() != said {
        let found = if is_image { "an image" } else { manifest.kind() };
        return Err(Objection::OtherArtifact {
            entry: entry.digest.clone(),
            said: shown(said),
            found: shown(found),
        });
    }
    Ok(())
}

/// What an image is for by its own config, where that and its layers hold together with what its
/// entry says. Gives what is to be told of it, too.
pub fn image(
    digest: &Digest,
    manifest: &ImageManifest,
    config: &[u8],
    said: Option<&PlatformTarget>,
    allowed: &Allowed,
) -> Result<(PlatformTarget, Vec<String>), Objection> {
    let wrong = |what: String| Objection::Image { entry: digest.clone(), what };
    has_image_parts(digest, manifest)?;
    let told = nothing_elsewhere(digest, manifest, allowed)?;
    if config.len() as u64 != manifest.config.size {
        return Err(wrong(format!(
            "config has {} bytes; its manifest says {}",
            config.len(),
            manifest.config.size
        )));
    }
    let config =
        ImageConfig::read(config).map_err(|why| Objection::Part { entry: digest.clone(), why })?;
    let configured = config
        .platform
        .target()
        .map_err(|why| wrong(format!("config names no platform: {why}")))?;
    if configured.platform.os == UNKNOWN || configured.platform.architecture == UNKNOWN {
        return Err(wrong("config is for no platform".to_owned()));
    }
    if config.diff_ids.len() != manifest.layers.len() {
        return Err(wrong(format!(
            "manifest lists {} layers, and its config {}",
            manifest.layers.len(),
            config.diff_ids.len()
        )));
    }
    match said.filter(|said| !bears_out(&config, &configured, said)) {
        Some(said) => Err(Objection::OtherPlatform {
            entry: digest.clone(),
            said: said.to_string(),
            configured: configured.to_string(),
        }),
        None => Ok((said.cloned().unwrap_or(configured), told)),
    }
}

/// The kind of an artifact, which is no image because of its config: of another media type, or,
/// where its bytes are given, without a platform.
pub fn artifact(manifest: &ImageManifest, config: Option<&[u8]>) -> Option<String> {
    let is_image = [OCI_CONFIG, DOCKER_CONFIG].contains(&manifest.config.media_type.as_str());
    let says_nothing = config.is_some_and(|config| {
        config.len() as u64 == manifest.config.size && super::names_no_platform(config)
    });
    (!is_image || says_nothing).then(|| shown(manifest.kind()))
}

/// What an artifact may hold no more than an image: parts that lie elsewhere. Gives what was
/// allowed of it.
pub fn nothing_elsewhere(
    digest: &Digest,
    manifest: &ImageManifest,
    allowed: &Allowed,
) -> Result<Vec<String>, Objection> {
    if !manifest.config.urls.is_empty() {
        return Err(Objection::Image {
            entry: digest.clone(),
            what: "config is stored elsewhere".to_owned(),
        });
    }
    let mut told = Vec::new();
    for layer in manifest.layers.iter().filter(|layer| layer.is_foreign()) {
        let foreign = Objection::Foreign {
            entry: digest.clone(),
            layer: layer.digest.clone(),
            urls: layer.urls.clone(),
        };
        if !allowed.foreign_layers {
            return Err(foreign);
        }
        told.push(format!("it {foreign}"));
    }
    Ok(told)
}

/// Layers of file systems and a config of images: whatever has another is no image that programs
/// run alike.
pub fn has_image_parts(digest: &Digest, manifest: &ImageManifest) -> Result<(), Objection> {
    let wrong = |what: String| Err(Objection::Image { entry: digest.clone(), what });
    let config = &manifest.config;
    if ![OCI_CONFIG, DOCKER_CONFIG].contains(&config.media_type.as_str()) {
        return wrong(format!(
            "config is of media type `{}`, which is not that of an image",
            shown(&config.media_type)
        ));
    }
    if !config.urls.is_empty() {
        return wrong("config is stored elsewhere".to_owned());
    }
    let is_layer = |kind: &str| {
        ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."]
            .iter()
            .any(|of| kind.starts_with(of))
    };
    match manifest.layers.iter().find(|layer| !is_layer(&layer.media_type)) {
        Some(layer) => wrong(format!(
            "layer `{}` is of media type `{}`, which is not a file system",
            layer.digest,
            shown(&layer.media_type)
        )),
        None => Ok(()),
    }
}

/// A config without a variant contradicts none; version and features of an operating system must be
/// its own.
fn bears_out(config: &ImageConfig, configured: &PlatformTarget, said: &PlatformTarget) -> bool {
    let (own, said_of) = (&configured.platform, &said.platform);
    let variant = config.platform.variant.is_none() || own.variant == said_of.variant;
    (&own.os, &own.architecture) == (&said_of.os, &said_of.architecture)
        && variant
        && (said.os_version.is_none() || said.os_version == configured.os_version)
        && (said.os_features.is_empty() || said.os_features == configured.os_features)
}
