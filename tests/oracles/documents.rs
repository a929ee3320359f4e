//! What Go's programs read of documents, and which image they pull: the same as we verified, or
//! nothing that we name.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};
use supply_action::image::Digest;
use supply_action::oci::{
    DescribedPlatform, Descriptor, ImageConfig, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OciDocument,
};

use crate::support::{get, judge, put, required, run, tool, world};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One kind of document, and how our reader and Go's are asked for it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Index,
    Image,
    Config,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Image => "image",
            Self::Config => "config",
        }
    }

    /// What we read, in the judge's words; nothing where we refuse.
    fn ours(self, text: &[u8]) -> Option<Value> {
        let subject =
            |subject: &Option<Descriptor>| subject.as_ref().map_or(Value::Null, descriptor);
        let kind = if self == Self::Index { OCI_INDEX } else { OCI_MANIFEST };
        match (self, OciDocument::read(text, kind)) {
            (Self::Config, _) => ImageConfig::read(text)
                .ok()
                .map(|config| json!({ "platform": platform(&config.platform), "diff_ids": config.diff_ids, "labels": config.labels })),
            (_, Ok(OciDocument::Index(index))) => Some(json!({
                "manifests": index.manifests.iter().map(descriptor).collect::<Vec<_>>(), "subject": subject(&index.subject),
                "annotations": index.annotations,
            })),
            (_, Ok(OciDocument::Image(image))) => Some(json!({
                "config": descriptor(&image.config), "layers": image.layers.iter().map(descriptor).collect::<Vec<_>>(),
                "subject": subject(&image.subject.map(|subject| *subject)), "annotations": image.annotations,
            })),
            (_, Err(_)) => None,
        }
    }
}

fn descriptor(of: &Descriptor) -> Value {
    json!({
        "mediaType": of.media_type, "digest": of.digest, "size": of.size, "artifactType": of.artifact_type.clone().unwrap_or_default(),
        "urls": of.urls, "annotations": of.annotations, "platform": of.platform.as_ref().map_or(Value::Null, platform),
    })
}

fn platform(of: &DescribedPlatform) -> Value {
    json!({
        "os": of.os, "architecture": of.architecture, "variant": of.variant.clone().unwrap_or_default(),
        "os.version": of.os_version.clone().unwrap_or_default(), "os.features": of.os_features,
    })
}

/// What Go's readers read of each document.
fn theirs(documents: &[(Kind, Vec<u8>)]) -> Vec<Value> {
    let lines: Vec<String> = documents
        .iter()
        .map(|(kind, text)| {
            format!("{} {}\n", kind.name(), base64::engine::general_purpose::STANDARD.encode(text))
        })
        .collect();
    let program: PathBuf = tool("DOCUMENTS");
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn described(letter: char, kind: &str) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", letter.to_string().repeat(64)), "size": 7 })
}

/// Whole documents, with all that programs read of them.
fn seeds() -> Vec<(Kind, String)> {
    let with = |mut value: Value, members: Value| {
        value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        value
    };
    let empty = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2, "data": "e30=" });
    let windows = json!({ "architecture": "amd64", "os": "windows", "os.version": "10.0.1", "os.features": ["win32k"] });
    let arm = json!({ "architecture": "arm", "os": "linux", "variant": "v7", "features": ["x"] });
    let entries = [
        with(
            described('a', OCI_MANIFEST),
            json!({ "platform": windows, "annotations": { "a": "1", "A": "2" } }),
        ),
        with(
            described('b', OCI_MANIFEST),
            json!({ "platform": arm, "artifactType": "a/b", "urls": ["http://x.example/"] }),
        ),
    ];
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "annotations": { "k": "v" }, "subject": described('f', OCI_INDEX) });
    let image = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described('c', OCI_CONFIG), "annotations": { "k": "v" },
        "layers": [described('d', LAYER), with(described('e', LAYER), json!({ "urls": ["http://x.example/"] }))] });
    let artifact = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b", "config": empty, "layers": [empty], "subject": described('f', OCI_MANIFEST) });
    let config = json!({ "architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1", "os.features": ["x"], "author": "somebody",
        "created": "2026-01-02T03:04:05Z", "rootfs": { "type": "layers", "diff_ids": [described('d', "")["digest"], described('e', "")["digest"]] },
        "config": { "Labels": { "a": "1", "A": "2" }, "Env": ["A=1"], "Cmd": null, "Entrypoint": ["x"], "ExposedPorts": { "80/tcp": {} }, "User": "x" },
        "history": [{ "created": "2026-01-02T03:04:05.5+01:00", "created_by": "x", "empty_layer": true }] });
    let all = [
        (Kind::Index, index),
        (Kind::Image, image),
        (Kind::Image, artifact),
        (Kind::Config, config),
    ];
    all.into_iter().map(|(kind, value)| (kind, value.to_string())).collect()
}

/// A member's name as somebody may write it who means another's.
fn respelled(name: &str) -> Vec<String> {
    let upper = name.to_uppercase();
    let mut first = name.to_owned();
    first[..1].make_ascii_uppercase();
    let long = |text: &str| text.replace('s', "ſ").replace('k', "\u{212a}");
    vec![
        upper,
        first,
        long(name),
        name.replace('s', "\\u017f"),
        name.replace('a', "\\u0061"),
        format!("{name} "),
        format!("{name}\\u0000"),
    ]
}

/// Documents that differ from an honest one in one place: a member more, before or after, spelled
/// otherwise, or another value.
fn mutated(kind: Kind, text: &str) -> Vec<(Kind, Vec<u8>)> {
    const VALUES: [&str; 16] = [
        "null",
        "[]",
        "{}",
        "\"\"",
        "\"x\"",
        "0",
        "2",
        "7.0",
        "7e0",
        "-7",
        "1e400",
        "18446744073709551616",
        "true",
        "[null]",
        "[{}]",
        "\"\\ud800\"",
    ];
    let mut made = vec![(kind, text.as_bytes().to_vec())];
    let mut add = |changed: String| made.push((kind, changed.into_bytes()));
    let names: Vec<(usize, usize)> = text
        .match_indices("\":")
        .filter_map(|(end, _)| Some((text[..end].rfind('"')? + 1, end)))
        .collect();
    for (start, end) in names {
        let name = &text[start..end];
        let (before, after) = (&text[..start - 1], &text[end + 1..]);
        for other in respelled(name).into_iter().chain([name.to_owned()]) {
            for value in VALUES {
                add(format!("{before}\"{other}\":{value},\"{name}\"{after}"));
            }
            add(format!("{before}\"{other}\"{after}"));
        }
        // The same name after it: at the end of the object that it stands in.
        let close = closing(text, start);
        for other in respelled(name).into_iter().chain([name.to_owned()]) {
            for value in VALUES {
                add(format!("{},\"{other}\":{value}{}", &text[..close], &text[close..]));
            }
        }
        let value = value_at(text, end + 2);
        for other in VALUES {
            add(format!("{}{other}{}", &text[..end + 2], &text[value..]));
        }
    }
    for (mark, changed) in [
        ("\u{feff}", text.to_owned()),
        ("", format!("{text} {text}")),
        ("", format!("{text}x")),
        (" ", text.to_owned()),
    ] {
        add(format!("{mark}{changed}"));
    }
    made.push((kind, [text.as_bytes(), b"\xff"].concat()));
    made.push((
        kind,
        text.replace("\"v\"", "\"\u{1}\"").replacen("\"x\"", "\"<&>\"", 1).into_bytes(),
    ));
    made
}

/// Where the object that holds this place ends.
fn closing(text: &str, from: usize) -> usize {
    let mut depth = 0;
    let mut quoted = true; // it begins within a name
    for (at, letter) in text[from..].char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted && depth == 0 => return from + at,
            '}' | ']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Where the value that begins here ends.
fn value_at(text: &str, from: usize) -> usize {
    let mut read = serde_json::Deserializer::from_str(&text[from..]).into_iter::<Value>();
    read.next().unwrap().unwrap();
    from + read.byte_offset()
}

#[test]
fn go_reads_what_we_read_of_every_changed_document_or_we_refuse_it() {
    let seeds = seeds();
    let documents: Vec<(Kind, Vec<u8>)> =
        seeds.iter().flat_map(|(kind, text)| mutated(*kind, text)).collect();
    assert!(documents.len() > 10_000, "{}", documents.len());
    let (mut read, mut misread) = (0, Vec::new());
    for ((kind, text), theirs) in documents.iter().zip(theirs(&documents)) {
        let Some(ours) = kind.ours(text) else { continue };
        read += 1;
        if ours != theirs["ggcr"] || ours != theirs["spec"] {
            misread
                .push(format!("{}\n ours {ours}\n theirs {theirs}", String::from_utf8_lossy(text)));
        }
    }
    assert!(
        misread.is_empty(),
        "{} of {read}:\n{}",
        misread.len(),
        misread[..misread.len().min(20)].join("\n")
    );
    let honest = seeds.iter().all(|(kind, text)| kind.ours(text.as_bytes()).is_some());
    assert!(honest && read > 500, "{read} of {} are read", documents.len());
}

/// Which of two images a client pulled, by a file that only one of them has.
fn pulled(image: &str) -> Vec<(&'static str, bool, String)> {
    let crane =
        judge(&tool("CRANE"), &["config", "--insecure", "--platform", "linux/amd64", image]);
    let regctl = [
        "--host",
        &format!("reg={},tls=disabled", image.split('/').next().unwrap()),
        "image",
        "config",
        "--platform",
        "linux/amd64",
        image,
    ]
    .map(str::to_owned);
    let regctl = judge(&tool("REGCTL"), &regctl.each_ref().map(String::as_str));
    vec![
        ("crane", crane.0, crane.1),
        ("regctl", regctl.0, regctl.1),
        ("buildkit", true, from_in_buildkit(image)),
    ]
}

/// The labels that BuildKit sees in what `FROM` names.
fn from_in_buildkit(image: &str) -> String {
    let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
    let (context, out) = (folder.path().join("context"), folder.path().join("out"));
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), format!("FROM {image}\n")).unwrap();
    let endpoint = required("SUPPLY_ACTION_BUILDER");
    judge(
        &tool("BUILDX"),
        &["create", "--driver", "remote", "--name", "documents", endpoint.to_str().unwrap()],
    );
    let output = format!("type=local,dest={}", out.display());
    let build = [
        "build",
        "--builder",
        "documents",
        "--platform",
        "linux/amd64",
        "--no-cache",
        "--output",
        &output,
        context.to_str().unwrap(),
    ];
    let (built, said) = judge(&tool("BUILDX"), &build);
    let file = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_default();
    if built { format!("{}{}", file("good"), file("evil")) } else { said }
}

/// An image with one file, which tells what it is; its manifest's text.
fn image(base: &str, word: &str) -> String {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(word.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, word, word.as_bytes()).unwrap();
    let layer = tar.into_inner().unwrap();
    let config =
        json!({ "os": "linux", "architecture": "amd64", "author": word, "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] } })
            .to_string();
    let (layer, config) = (
        blob(base, &layer, "application/vnd.oci.image.layer.v1.tar"),
        blob(base, config.as_bytes(), OCI_CONFIG),
    );
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer] })
        .to_string()
}

fn blob(base: &str, bytes: &[u8], kind: &str) -> Value {
    let digest = Digest::of(bytes);
    crate::support::put_blob(base, &digest, bytes);
    json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
}

fn manifest(base: &str, text: &str, kind: &str) -> Value {
    let digest = Digest::of(text.as_bytes());
    put(&format!("{base}/manifests/{digest}"), kind, text.as_bytes());
    json!({ "mediaType": kind, "digest": digest, "size": text.len() })
}

#[test]
fn clients_pull_what_was_verified_or_there_is_no_name() {
    let name = format!("{}/documents", world().sandbox.registry());
    let base = format!("http://{}/v2/documents", world().sandbox.registry());
    let (good_text, evil_text) = (image(&base, "good"), image(&base, "evil"));
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    let entry = |text: &str| {
        let mut entry = manifest(&base, text, OCI_MANIFEST);
        entry["platform"] = platform.clone();
        entry
    };
    let (good, evil) = (entry(&good_text), entry(&evil_text));
    let parts: Value = serde_json::from_str(&evil_text).unwrap();
    let index = |entries: &[&Value]| {
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }).to_string()
    };
    let also = |text: &str, member: &str| format!("{},{member}}}", text.strip_suffix('}').unwrap());
    let mut marked = evil.clone();
    marked["annotations"] = json!({ "vnd.docker.reference.digest": good["digest"], "vnd.docker.reference.type": "attestation-manifest" });
    let layers = entry(&also(
        &good_text,
        &format!(r#""Layers":{},"Config":{}"#, parts["layers"], parts["config"]),
    ));
    let without = [
        ("INPUT_SBOM", "false"),
        ("INPUT_PROVENANCE", "false"),
        ("INPUT_PLATFORMS", "linux/amd64"),
        ("INPUT_ON-TAG-CONFLICT", "overwrite"),
    ];
    let mut named = 0;
    for (what, text) in [
        ("honest", index(&[&good])),
        ("Manifests", also(&index(&[&good]), &format!(r#""Manifests":[{evil}]"#))),
        ("long s", also(&index(&[&good]), &format!(r#""manifestſ":[{evil}]"#))),
        ("twice", also(&index(&[&good]), &format!(r#""manifests":[{evil}]"#))),
        ("Layers", index(&[&layers])),
        ("marked first", index(&[&marked, &good])),
        ("two", index(&[&evil, &good])),
        (
            "data",
            index(&[&good]).replacen(
                r#""digest""#,
                &format!(
                    r#""data":"{}","digest""#,
                    base64::engine::general_purpose::STANDARD.encode(&evil_text)
                ),
                1,
            ),
        ),
    ] {
        let digest = manifest(&base, &text, OCI_INDEX)["digest"].as_str().unwrap().to_owned();
        let digests = json!({ "linux/amd64": digest }).to_string();
        let merged = run(
            &["merge"],
            "hello",
            &name,
            &[without.as_slice(), &[("INPUT_DIGESTS", &digests)]].concat(),
        );
        if merged.code != Some(0) {
            assert!(
                what != "honest" && merged.log.contains("nothing was tagged"),
                "{what}: {}",
                merged.log
            );
            continue;
        }
        named += 1;
        for (client, pulled, said) in pulled(&format!("{name}:v1.2.3")) {
            assert!(
                pulled && said.contains("good") && !said.contains("evil"),
                "{what}: {client} pulls something else: {said}"
            );
        }
    }
    assert_eq!(named, 1, "the honest one, and no other");
    // What was named is to the byte what was verified.
    let found = get(&format!("{base}/manifests/v1.2.3"));
    assert_eq!(Digest::of(&found), Digest::of(index(&[&good]).as_bytes()));
}
