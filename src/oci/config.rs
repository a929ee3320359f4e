//! The config of an image, and the list of images in an archive that Docker saved. It takes no wish
//! of the container for anything but data.

use std::collections::BTreeMap;

use super::json::{Json, StrictObject, keys, text, wrong};
use super::{DescribedPlatform, UnreadableDocument};
use crate::image::Digest;

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    pub platform: DescribedPlatform,
    pub created: Option<String>,
    /// Of each layer uncompressed, lowest first.
    pub diff_ids: Vec<Digest>,
    pub labels: BTreeMap<String, String>,
}

/// Those of the specification, and those that Docker adds.
const CONFIG: [&str; 16] = [
    "architecture",
    "author",
    "comment",
    "config",
    "container",
    "container_config",
    "created",
    "docker_version",
    "history",
    "id",
    "os",
    "os.features",
    "os.version",
    "parent",
    "rootfs",
    "variant",
];
const ROOTFS: [&str; 3] = ["type", "diff_ids", "base_layer"];
const HISTORY: [&str; 5] = ["created", "created_by", "author", "comment", "empty_layer"];
const HEALTH: [&str; 6] =
    ["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"];

/// Members of `config`, by what they hold.
const TEXTS: [&str; 7] =
    ["Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal"];
const LISTS: [&str; 5] = ["Env", "Cmd", "Entrypoint", "OnBuild", "Shell"];
const SETS: [&str; 2] = ["ExposedPorts", "Volumes"];
const SWITCHES: [&str; 8] = [
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "ArgsEscaped",
    "NetworkDisabled",
];
const NUMBERS: [&str; 4] = ["StopTimeout", "Memory", "MemorySwap", "CpuShares"];

impl ImageConfig {
    pub fn read(bytes: &[u8]) -> Result<Self, UnreadableDocument> {
        let json = Json::parse(bytes)?;
        // A config with a manifest's members is no config.
        let object = StrictObject::open(
            &json,
            "",
            &CONFIG,
            &["layers", "manifests", "schemaVersion", "mediaType"],
        )?;
        let platform = DescribedPlatform::of(&object)?;
        for name in ["author", "comment", "container", "docker_version", "id", "parent"] {
            object.text(name)?;
        }
        let diff_ids = rootfs(&object)?;
        history(&object)?;
        let of_containers = ["config", "container_config"].map(|name| container(&object, name));
        let [labels, others] = of_containers;
        others?;
        Ok(Self { platform, created: date(&object, "created")?, diff_ids, labels: labels? })
    }
}

/// Whether a config says nothing of what it would run on, as that of an artifact whose media type
/// is an image's: every reader must see so.
pub fn names_no_platform(bytes: &[u8]) -> bool {
    let Ok(json) = Json::parse(bytes) else { return false };
    let Ok(object) = StrictObject::open(
        &json,
        "",
        &CONFIG,
        &["layers", "manifests", "schemaVersion", "mediaType"],
    ) else {
        return false;
    };
    let is_empty =
        |name: &str| object.text(name).is_ok_and(|text| text.unwrap_or_default().is_empty());
    is_empty("os") && is_empty("architecture")
}

fn rootfs(config: &StrictObject<'_>) -> Result<Vec<Digest>, UnreadableDocument> {
    let Some(rootfs) = config.get("rootfs") else { return Ok(Vec::new()) };
    let rootfs = StrictObject::open(rootfs, "rootfs", &ROOTFS, &[])?;
    if let Some(kind) = rootfs.text("type")?.filter(|kind| kind != "layers") {
        return Err(UnreadableDocument::Value {
            name: "rootfs.type".to_owned(),
            value: super::shown(&kind),
            expected: "`layers`",
        });
    }
    let digest = |text: String| {
        text.parse().map_err(|_| UnreadableDocument::Value {
            name: "rootfs.diff_ids".to_owned(),
            value: super::shown(&text),
            expected: "`sha256:` and 64 lower-case hexadecimal digits",
        })
    };
    rootfs.texts("diff_ids")?.into_iter().map(digest).collect()
}

fn history(config: &StrictObject<'_>) -> Result<(), UnreadableDocument> {
    for (at, step) in config.list("history")?.unwrap_or_default().iter().enumerate() {
        let step = StrictObject::open(step, &format!("history[{at}]"), &HISTORY, &[])?;
        date(&step, "created")?;
        for name in ["created_by", "author", "comment"] {
            step.text(name)?;
        }
        switch(&step, "empty_layer")?;
    }
    Ok(())
}

/// The wishes for containers, in which null is as good as nothing: Docker has always written it.
/// Gives the labels.
fn container(
    config: &StrictObject<'_>,
    name: &str,
) -> Result<BTreeMap<String, String>, UnreadableDocument> {
    let Some(Json::Members(members)) = config.get(name) else {
        return match config.get(name) {
            None | Some(Json::Null) => Ok(BTreeMap::new()),
            Some(other) => Err(wrong(name, "an object", other)),
        };
    };
    let known: Vec<&str> =
        [TEXTS.as_slice(), &LISTS, &SETS, &SWITCHES, &NUMBERS, &["Labels", "Healthcheck"]].concat();
    StrictObject::open(&Json::Members(members.clone()), name, &known, &[])?;
    let filled =
        Json::Members(members.iter().filter(|(_, value)| *value != Json::Null).cloned().collect());
    let container = StrictObject::open(&filled, name, &known, &[])?;
    for text in TEXTS {
        container.text(text)?;
    }
    for list in LISTS {
        container.texts(list)?;
    }
    for set in SETS {
        for (key, value) in container
            .get(set)
            .map_or(Ok([].as_slice()), |set| keys(set, &container.place("Volumes")))?
        {
            keys(value, &container.place(&format!("{set}.{key}")))?;
        }
    }
    for name in SWITCHES {
        switch(&container, name)?;
    }
    if let Some(health) = container.get("Healthcheck") {
        let health = StrictObject::open(health, &container.place("Healthcheck"), &HEALTH, &[])?;
        health.texts("Test")?;
    }
    container.map("Labels")
}

fn switch(object: &StrictObject<'_>, name: &str) -> Result<(), UnreadableDocument> {
    match object.get(name) {
        None | Some(Json::Bool(_)) => Ok(()),
        Some(other) => Err(wrong(&object.place(name), "true or false", other)),
    }
}

fn date(object: &StrictObject<'_>, name: &str) -> Result<Option<String>, UnreadableDocument> {
    let Some(text) = object.text(name)? else { return Ok(None) };
    match created(&text) {
        Some(_) => Ok(Some(text)),
        None => Err(UnreadableDocument::Value {
            name: object.place(name),
            value: super::shown(&text),
            expected: "a date of RFC 3339",
        }),
    }
}

/// A date as RFC 3339 writes it and Go reads it: `2026-01-02T03:04:05.6Z`, or with an offset.
pub fn created(text: &str) -> Option<jiff::Timestamp> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00";
    let has_shape = bytes.len() > shape.len()
        && bytes.iter().zip(shape).all(|(byte, shape)| {
            if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape }
        });
    let rest = text.get(shape.len()..).filter(|_| has_shape)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => rest,
    };
    let is_offset = |zone: &str| {
        let zone = zone.as_bytes();
        zone.len() == 6
            && b"+-".contains(&zone[0])
            && zone[3] == b':'
            && [1, 2, 4, 5].iter().all(|at| zone[*at].is_ascii_digit())
    };
    if zone != "Z" && !is_offset(zone) {
        return None;
    }
    text.parse().ok()
}

/// One image of an archive that Docker saved in its older form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedImage {
    pub config: String,
    pub repo_tags: Vec<String>,
    pub layers: Vec<String>,
}

impl SavedImage {
    /// All images that `manifest.json` lists.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, UnreadableDocument> {
        let json = Json::parse(bytes)?;
        let Json::List(images) = &json else { return Err(wrong("", "a list", &json)) };
        images.iter().enumerate().map(|(at, image)| Self::of(image, &format!("[{at}]"))).collect()
    }

    fn of(image: &Json, at: &str) -> Result<Self, UnreadableDocument> {
        let image = StrictObject::open(
            image,
            at,
            &["Config", "RepoTags", "Layers", "Parent", "LayerSources"],
            &[],
        )?;
        // An image without a name has null here.
        let repo_tags = match image.get("RepoTags") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::List(tags)) => tags
                .iter()
                .map(|tag| text(tag, &image.place("RepoTags")))
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(wrong(&image.place("RepoTags"), "a list", other)),
        };
        image.expect("Layers")?;
        Ok(Self { config: image.expect_text("Config")?, repo_tags, layers: image.texts("Layers")? })
    }
}
