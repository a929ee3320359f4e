//! Models of machine learning, from the headers of GGUF and safetensors files and the names that
//! Hugging Face's cache has for them. It reads no weights.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{FileFacts, MalformedDatabase, PieceScanner, has_suffix, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, Supplier};

/// What tells of the model stands before the words that it knows, which are long.
const LARGEST_HEADER: usize = 4 << 20;
/// A header has a few hundred.
const MOST_KEYS: u64 = 100_000;
const GGUF: &[u8] = b"GGUF";
const HUB: &str = "models--";

pub(super) fn is_model(path: &str) -> bool {
    [".gguf", ".safetensors"].iter().any(|it| has_suffix(path, it))
}

/// A file under another name may be another model.
pub(super) fn are_alike(_: &str, _: &str) -> bool {
    false
}

pub(super) fn scanner(path: &str) -> Box<dyn PieceScanner> {
    Box::new(ModelHeader { path: path.to_owned(), bytes: Vec::new() })
}

struct ModelHeader {
    path: String,
    bytes: Vec<u8>,
}

impl ModelHeader {
    /// How many bytes are needed: of safetensors, the first eight say so.
    fn wanted(&self) -> usize {
        let Some(length) = self.bytes.first_chunk::<8>() else { return 8 };
        if self.bytes.starts_with(GGUF) {
            return LARGEST_HEADER;
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        length.saturating_add(8).min(LARGEST_HEADER)
    }
}

impl PieceScanner for ModelHeader {
    fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        // Twice: what is wanted shows when the first bytes are there.
        for _ in 0..2 {
            let missing = self.wanted().saturating_sub(self.bytes.len()).min(rest.len());
            let (taken, later) = rest.split_at(missing);
            self.bytes.extend_from_slice(taken);
            rest = later;
        }
    }

    fn is_done(&self) -> bool {
        self.bytes.len() >= self.wanted()
    }

    fn finish(&mut self) -> FileFacts {
        let is_gguf = self.bytes.starts_with(GGUF);
        let stated = if is_gguf { gguf(&self.bytes) } else { safetensors(&self.bytes) };
        let Some(stated) = stated else { return FileFacts::default() };
        let package = package(&self.path, &stated);
        FileFacts {
            packages: vec![FoundPackage::alone(package, self.path.as_str())],
            ..FileFacts::default()
        }
    }
}

/// Words that a header has under these names.
type ModelWords = BTreeMap<String, String>;

fn package(path: &str, stated: &ModelWords) -> Package {
    let of = |keys: &[&str]| {
        let mut found = keys.iter().filter_map(|key| stated.get(*key));
        found.find(|value| !value.trim().is_empty()).map(|value| value.trim().to_owned())
    };
    let repository =
        of(&["general.repo_url", "general.source.huggingface.repository", "modelspec.repo_url"]);
    let named = of(&["general.name", "modelspec.title", "name"]);
    let (ecosystem, name, is_guess) = match (repository.as_deref().and_then(on_hub), named) {
        (Some(name), _) => (Ecosystem::Huggingface, name, false),
        (None, Some(name)) => (Ecosystem::Generic, name.replace('/', "-"), false),
        (None, None) => (Ecosystem::Generic, of_file(path), true),
    };
    // There, a version is a commit.
    let version =
        of(&["general.version", "modelspec.version"]).filter(|_| ecosystem == Ecosystem::Generic);
    let by = of(&["general.organization", "general.author", "modelspec.author"]);
    let architecture = of(&["general.architecture", "modelspec.architecture"]);
    Package {
        version,
        is_guess,
        supplier: by.as_deref().and_then(Supplier::organization),
        licence: of(&["general.license", "modelspec.license", "license"])
            .map_or(Licence::Unknown, |text| Licence::from_field(&text)),
        notes: architecture
            .map(|it| format!("A model of architecture {it}."))
            .into_iter()
            .collect(),
        ..Package::named(ecosystem, name)
    }
}

/// `owner/name` of an address at Hugging Face, or of a name there.
fn on_hub(text: &str) -> Option<String> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.strip_prefix("huggingface.co/").or((bare == text).then_some(bare))?;
    let (owner, name) = bare.trim_end_matches('/').split_once('/')?;
    let is_plain = |part: &str| {
        !part.is_empty() && part.chars().all(|it| it.is_ascii_alphanumeric() || "-_.".contains(it))
    };
    (is_plain(owner) && is_plain(name)).then(|| format!("{owner}/{name}"))
}

/// The file's name without its number among others, or its directory's where the name says nothing.
fn of_file(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let whole = stem.split("-00").next().unwrap_or(stem);
    let directory = parent(path).trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match whole {
        "model" | "pytorch_model" | "diffusion_pytorch_model" | "adapter_model"
            if !directory.is_empty() =>
        {
            directory.to_owned()
        }
        other => other.to_owned(),
    }
}

/// A length, and then JSON in which `__metadata__` has words.
fn safetensors(bytes: &[u8]) -> Option<ModelWords> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    // A longer header is one of a very large model, and is cut off here.
    let header: Value = serde_json::from_slice(rest.get(..length)?).ok()?;
    let tensors = header.as_object()?;
    let has_tensors = tensors.values().any(|tensor| tensor.get("dtype").is_some());
    let words = tensors.get("__metadata__").and_then(Value::as_object).into_iter().flatten();
    let words = words.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    let stated: ModelWords = words.collect();
    (has_tensors || !stated.is_empty()).then_some(stated)
}

/// See <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
fn gguf(bytes: &[u8]) -> Option<ModelWords> {
    let mut reader = ModelReader { rest: bytes.strip_prefix(GGUF)?, is_wide: true };
    let version = reader.number(4)?;
    reader.is_wide = version >= 2;
    if !(1..=16).contains(&version) {
        return None;
    }
    let _tensors = reader.length()?;
    let keys = reader.length()?.min(MOST_KEYS);
    let mut stated = ModelWords::new();
    for _ in 0..keys {
        // What is cut off tells what came before.
        let Some((key, value)) = reader.pair() else { break };
        stated.extend(value.map(|value| (key, value)));
    }
    Some(stated)
}

struct ModelReader<'a> {
    rest: &'a [u8],
    /// Whether lengths have eight bytes.
    is_wide: bool,
}

impl<'a> ModelReader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: u64) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self) -> Option<u64> {
        self.number(if self.is_wide { 8 } else { 4 })
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn pair(&mut self) -> Option<(String, Option<String>)> {
        const TEXT: u64 = 8;
        const LIST: u64 = 9;
        let key = self.text()?;
        let value = match self.number(4)? {
            TEXT => Some(self.text()?),
            LIST => {
                let kind = self.number(4)?;
                let count = self.length()?;
                if kind == TEXT {
                    for _ in 0..count {
                        self.text()?;
                    }
                } else {
                    self.take(count.checked_mul(width(kind)?)?)?;
                }
                None
            }
            kind => self.take(width(kind)?).map(|_| None)?,
        };
        Some((key, value))
    }
}

/// Of numbers, in bytes.
fn width(kind: u64) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// `models--OWNER--NAME/refs/main` of the hub's cache, which has the commit.
pub(super) fn is_reference(path: &str) -> bool {
    cached(path).is_some()
}

fn cached(path: &str) -> Option<String> {
    let (directory, _) = path.rsplit_once("/refs/")?;
    let (owner, name) = directory.rsplit('/').next()?.strip_prefix(HUB)?.split_once("--")?;
    on_hub(&format!("{owner}/{name}"))
}

pub(super) fn read_reference(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let commit = String::from_utf8_lossy(bytes).trim().to_ascii_lowercase();
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let package = cached(path).filter(|_| is_commit).map(|name| Package {
        version: Some(commit),
        ..Package::named(Ecosystem::Huggingface, name)
    });
    let packages = package.map(|package| FoundPackage::alone(package, parent(path)));
    Ok(FileFacts { packages: packages.into_iter().collect(), ..FileFacts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    fn model(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = [GGUF, &3_u32.to_le_bytes(), &0_u64.to_le_bytes()].concat();
        bytes.extend((pairs.len() as u64 + 2).to_le_bytes());
        // A number and a list before what is looked for.
        bytes.extend([text("a.number"), 4_u32.to_le_bytes().to_vec(), vec![1, 0, 0, 0]].concat());
        bytes.extend(
            [text("a.list"), 9_u32.to_le_bytes().to_vec(), 8_u32.to_le_bytes().to_vec()].concat(),
        );
        bytes.extend([1_u64.to_le_bytes().to_vec(), text("x")].concat());
        for (key, value) in pairs {
            bytes.extend([text(key), 8_u32.to_le_bytes().to_vec(), text(value)].concat());
        }
        bytes
    }

    fn found(path: &str, bytes: &[u8]) -> Option<Package> {
        let mut scanner = scanner(path);
        for piece in bytes.chunks(7) {
            if !scanner.is_done() {
                scanner.feed(piece);
            }
        }
        scanner.finish().packages.pop().map(|found| found.package)
    }

    fn purl(path: &str, bytes: &[u8]) -> Option<String> {
        found(path, bytes).map(|package| crate::sbom::purl::of(&package, None))
    }

    #[test]
    fn headers_of_gguf_tell_models() {
        let pairs = [
            ("general.name", "Tiny Model"),
            ("general.version", "v1.0"),
            ("general.license", "apache-2.0"),
        ];
        let bytes = [model(&pairs), vec![0; 999]].concat();
        assert_eq!(purl("m/a.gguf", &bytes).unwrap(), "pkg:generic/Tiny%20Model@v1.0");
        assert_eq!(
            found("m/a.gguf", &bytes).unwrap().licence,
            Licence::Expression("Apache-2.0".into())
        );
        let hub = model(&[
            ("general.name", "x"),
            ("general.repo_url", "https://huggingface.co/Qwen/Qwen2-0.5B"),
        ]);
        assert_eq!(purl("m/a.gguf", &hub).unwrap(), "pkg:huggingface/Qwen/Qwen2-0.5B");
        assert_eq!(purl("m/a-00001-of-00002.gguf", &model(&[])).unwrap(), "pkg:generic/a");
        assert!(found("m/a.gguf", &model(&[])).unwrap().is_guess);
        assert_eq!(purl("m/a.gguf", b"GGUF\xff\xff\xff\xff"), None);
    }

    #[test]
    fn headers_of_safetensors_tell_models() {
        let of = |header: &str| text(header);
        let named = of(
            r#"{"__metadata__":{"modelspec.title":"T","modelspec.license":"MIT"},"w":{"dtype":"F32"}}"#,
        );
        assert_eq!(purl("m/model.safetensors", &named).unwrap(), "pkg:generic/T");
        let bare = of(
            r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        );
        assert_eq!(purl("opt/bert/model.safetensors", &bare).unwrap(), "pkg:generic/bert");
        assert_eq!(purl("opt/bert/tiny.safetensors", &bare).unwrap(), "pkg:generic/tiny");
        for bytes in [
            b"".as_slice(),
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            &of("{}"),
            &of("[]"),
            &named[..20],
        ] {
            assert_eq!(purl("m/model.safetensors", bytes), None);
        }
    }

    #[test]
    fn the_hubs_cache_tells_models() {
        let path =
            "root/.cache/huggingface/hub/models--distilbert--distilbert-base-uncased/refs/main";
        let commit = "043235d6088ecd3dd5fb5ca3592b6913fd516027";
        assert!(
            is_reference(path)
                && !is_reference("a/refs/main")
                && !is_reference(".git/refs/heads/models--a--b")
        );
        let facts = read_reference(path, format!("{commit}\n").as_bytes()).unwrap();
        assert_eq!(
            crate::sbom::purl::of(&facts.packages[0].package, None),
            format!("pkg:huggingface/distilbert/distilbert-base-uncased@{commit}")
        );
        assert_eq!(read_reference(path, b"x"), Ok(FileFacts::default()));
    }

    #[test]
    fn no_more_than_the_header_is_held() {
        let mut header = ModelHeader { path: "a.gguf".into(), bytes: Vec::new() };
        header.feed(&[GGUF, &vec![0; 9 << 20]].concat());
        assert!(header.is_done() && header.bytes.len() == LARGEST_HEADER);
        let mut header = ModelHeader { path: "a.safetensors".into(), bytes: Vec::new() };
        header.feed(&[text("{}"), vec![7; 999]].concat());
        assert_eq!((header.is_done(), header.bytes.len()), (true, 10));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(changes in proptest::collection::vec((0_usize..120, any::<u8>()), 0..6), end in 0_usize..150) {
            let mut bytes = model(&[("general.name", "x")]);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(end);
            drop(found("a.gguf", &bytes));
        }
    }
}
