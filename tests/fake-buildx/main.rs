//! Stands in for `buildx` in the hermetic tests: pushes, by digest, the image that BuildKit would
//! push, and writes the metadata file. It builds nothing. `FAKE_BUILDX` makes it misbehave.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a stand-in for a program, for tests alone"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What every platform's image has in its lowest layer.
const BASE: [(&str, &str); 4] = [
    ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
    (
        "var/lib/dpkg/status",
        "Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
    ),
    ("var/lib/dpkg/info/base.list", "/.\n/etc\n/etc/base.conf\n/usr/share/doc/base\n"),
    ("etc/base.conf", "abc"),
];

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::too_many_lines, reason = "one line a flag")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = std::env::var("FAKE_BUILDX").unwrap_or_default();
    match (arguments.first().map(String::as_str), mode.as_str()) {
        (Some("create"), "no-builder") => fail("ERROR: failed to find driver for endpoint"),
        (Some("create"), _) => {
            if let (Ok(file), [config, ..]) = (
                std::env::var("FAKE_BUILDX_CONFIG"),
                values(&arguments, "--buildkitd-config").as_slice(),
            ) {
                std::fs::copy(config, file).unwrap();
            }
            ExitCode::SUCCESS
        }
        (Some("rm" | "stop"), _) => ExitCode::SUCCESS,
        (Some("inspect"), _) => {
            let platforms = match mode.as_str() {
                "native-only" => "linux/amd64*",
                "every-platform" => "linux/amd64*, linux/arm64, linux/riscv64, linux/s390x",
                "foreign-builder" => "linux/s390x",
                _ => "linux/amd64*, linux/arm64",
            };
            println!(
                "Name: b\nDriver: remote\n\nNodes:\nName: b0\nBuildKit version: v0.33.0\nPlatforms: {platforms}"
            );
            ExitCode::SUCCESS
        }
        (Some("bake"), _)
            if arguments.iter().any(|argument| argument == "--list=type=variables,format=json") =>
        {
            // Of a Compose file it lists none.
            let names = file(&arguments)
                .ok()
                .filter(|definition| definition["compose"] != true)
                .and_then(|definition| {
                    Some(
                        definition["variable"]
                            .as_object()?
                            .keys()
                            .map(|name| json!({ "name": name }))
                            .collect::<Vec<_>>(),
                    )
                });
            println!("{}", json!(names));
            ExitCode::SUCCESS
        }
        (Some("bake"), _) if arguments.iter().any(|argument| argument == "--print") => {
            print_bake(&arguments)
        }
        (Some("build" | "bake"), _) if !values(&arguments, "--call").is_empty() => {
            checked(&arguments)
        }
        (Some("build" | "bake"), "one-platform-fails") => {
            eprint!("{}", include_str!("failed.txt"));
            ExitCode::FAILURE
        }
        (Some("build" | "bake"), "fails") => {
            let lines = std::fs::read(std::env::var("FAKE_BUILDX_LINES").unwrap()).unwrap();
            std::io::Write::write_all(&mut std::io::stderr(), &lines).unwrap();
            ExitCode::FAILURE
        }
        (Some("build" | "bake"), "slow") => {
            eprintln!("#1 building slowly");
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            ExitCode::FAILURE
        }
        (Some(verb @ ("build" | "bake")), _) => {
            if let Ok(file) = std::env::var("FAKE_BUILDX_ARGUMENTS") {
                std::fs::write(file, serde_json::to_vec(&arguments).unwrap()).unwrap();
            }
            if let Ok(file) = std::env::var("FAKE_BUILDX_ENVIRONMENT") {
                let variables: Vec<String> = std::env::vars()
                    .map(|(name, value)| format!("{name}={}", value.replace('\n', " ")))
                    .collect();
                std::fs::write(file, variables.join("\n")).unwrap();
            }
            if let Ok(file) = std::env::var("FAKE_BUILDX_LINES") {
                std::io::Write::write_all(&mut std::io::stderr(), &std::fs::read(file).unwrap())
                    .unwrap();
            }
            if let Some(told) = late_registry() {
                return fail(&told);
            }
            if verb == "bake" {
                return bake(&arguments, &mode).await;
            }
            build(&arguments, &mode).await;
            ExitCode::SUCCESS
        }
        _ => fail("ERROR: unknown command"),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

/// What BuildKit says where the registry does not know a blob yet, as many times more as the file
/// that `FAKE_BUILDX_LATE` names has bytes.
fn late_registry() -> Option<String> {
    let file = std::env::var("FAKE_BUILDX_LATE").ok()?;
    let left = std::fs::read(&file).unwrap_or_default();
    std::fs::write(&file, left.get(1..)?).unwrap();
    Some(format!(
        "ERROR: failed to build: failed to solve: failed to push r.io/app: unknown: blob `sha256:{}` is not known",
        "0".repeat(64)
    ))
}

/// What `FAKE_BUILDX_CHECKS`, a file, says of every Dockerfile, or that all is well; of a bake file,
/// for each target. Without JSON it is why nothing can be said. The arguments are kept for a test.
fn checked(arguments: &[String]) -> ExitCode {
    if let Ok(file) = std::env::var("FAKE_BUILDX_CHECKED") {
        std::fs::write(file, serde_json::to_vec(arguments).unwrap()).unwrap();
    }
    let said =
        std::env::var("FAKE_BUILDX_CHECKS").map(|file| std::fs::read_to_string(file).unwrap());
    let said = said.unwrap_or_else(|_| json!({ "warnings": [], "sources": [] }).to_string());
    let Ok(said) = serde_json::from_str::<Value>(&said) else { return fail(&said) };
    if arguments[0] == "build" {
        println!("{said}");
        return ExitCode::SUCCESS;
    }
    let definition: Value =
        serde_json::from_slice(&std::fs::read(values(arguments, "--file")[0]).unwrap()).unwrap();
    let of_target =
        |(name, build): (&String, &Value)| (name.clone(), json!({ "build": build, "check": said }));
    let targets: serde_json::Map<String, Value> =
        definition["target"].as_object().unwrap().iter().map(of_target).collect();
    println!("{}", json!({ "group": definition["group"], "target": targets }));
    ExitCode::SUCCESS
}

/// The value after each occurrence of an option.
fn values<'a>(arguments: &'a [String], option: &str) -> Vec<&'a str> {
    arguments.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].as_str()).collect()
}

/// The bake file as it is, less what is neither asked for nor needed: the tests write theirs
/// resolved.
fn print_bake(arguments: &[String]) -> ExitCode {
    let Ok(definition) = file(arguments) else {
        return fail("ERROR: couldn't find a bake definition");
    };
    let mut definition: Value = match with_variables(definition, arguments) {
        Ok(definition) => definition,
        Err(told) => return fail(&told),
    };
    let takes_value = |option: &str| ["--builder", "--file", "--set", "--var"].contains(&option);
    let mut asked = Vec::new();
    let mut rest = arguments[2..].iter();
    while let Some(argument) = rest.next() {
        if takes_value(argument) {
            rest.next();
        } else if !argument.starts_with('-') && !is_remote(&argument) {
            asked.push(argument);
        }
    }
    if let Some(unknown) = asked.iter().find(|asked| {
        definition["target"].get(asked).is_none() && definition["group"].get(asked).is_none()
    }) {
        return fail(&format!("ERROR: failed to find target {unknown}"));
    }
    if !asked.is_empty() {
        definition["group"]["default"] = json!({ "targets": asked });
    }
    if let Ok(file) = std::env::var("FAKE_BUILDX_PRINTED") {
        std::fs::write(file, serde_json::to_vec(arguments).unwrap()).unwrap();
    }
    println!("{definition}");
    ExitCode::SUCCESS
}

fn is_remote(argument: &&String) -> bool {
    argument.starts_with("https://")
}

/// The bake file; a repository is a folder that the test names.
fn file(arguments: &[String]) -> std::io::Result<Value> {
    let file = values(arguments, "--file").first().copied().unwrap_or("docker-bake.json");
    let folder = arguments
        .iter()
        .find(is_remote)
        .map(|_| std::env::var("FAKE_BUILDX_REPOSITORY").unwrap())
        .unwrap_or_default();
    Ok(serde_json::from_slice(&std::fs::read(std::path::Path::new(&folder).join(file))?).unwrap())
}

/// Variables as bake has them: of `--var`, else of the environment, else their default; a number
/// must be one.
fn with_variables(mut definition: Value, arguments: &[String]) -> Result<Value, String> {
    let variables = definition.as_object_mut().unwrap().remove("variable").unwrap_or_default();
    definition.as_object_mut().unwrap().remove("compose");
    let mut text = definition.to_string();
    for (name, variable) in variables.as_object().into_iter().flatten() {
        let given = values(arguments, "--var")
            .into_iter()
            .find_map(|given| given.strip_prefix(&format!("{name}=")));
        let value = given.map(str::to_owned).or_else(|| std::env::var(name).ok());
        let value =
            value.unwrap_or_else(|| variable["default"].as_str().unwrap_or_default().to_owned());
        if variable["type"] == "number" && value.parse::<f64>().is_err() {
            return Err(format!("ERROR: failed to parse {name} as number"));
        }
        if variable["one-of"].is_string()
            && !variable["one-of"].as_str().unwrap().split(' ').any(|known| known == value)
        {
            return Err(format!("ERROR: invalid value for {name}"));
        }
        let chosen = if value == "on" { "is-on" } else { "is-off" };
        text = text
            .replace(&format!("${{{name}}}"), &value)
            .replace(&format!("${{{name} == on}}"), chosen);
    }
    Ok(serde_json::from_str(&text).unwrap())
}

/// Builds each target of a resolved file, one of them perhaps in vain.
async fn bake(arguments: &[String], mode: &str) -> ExitCode {
    let definition: Value =
        serde_json::from_slice(&std::fs::read(values(arguments, "--file")[0]).unwrap()).unwrap();
    if let Ok(file) = std::env::var("FAKE_BUILDX_DEFINITION") {
        std::fs::write(file, definition.to_string()).unwrap();
    }
    let mut metadata = serde_json::Map::new();
    for name in definition["group"]["default"]["targets"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let target = &definition["target"][name];
        assert!(target.get("tags").is_none(), "a tag would be put before the evidence");
        if mode.strip_prefix("target-fails:") == Some(name) {
            return fail(&format!("ERROR: target {name}: failed to solve"));
        }
        let texts = |key: &str| -> Vec<&str> {
            target[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        // Of `flawed:NAME` only that target has a package with a known flaw.
        let mode = match mode.strip_prefix("flawed:") {
            Some(flawed) if flawed == name => "flawed",
            Some(_) => "",
            None => mode,
        };
        let platforms = texts("platforms");
        let platforms = if platforms.is_empty() { vec!["linux/amd64"] } else { platforms };
        for output in texts("output").into_iter().filter(|output| output.starts_with("type=image"))
        {
            // Images of different sources differ.
            let salt = target["args"]["SALT"].as_str().unwrap_or(name);
            let from = target["context"].as_str().unwrap_or(".");
            let digest = push(output, &texts("attest"), &platforms, salt, from, mode).await;
            metadata.insert(name.to_owned(), json!({ "containerimage.digest": digest }));
        }
    }
    if let Some(file) = values(arguments, "--metadata-file").first() {
        std::fs::write(file, Value::Object(metadata).to_string()).unwrap();
    }
    ExitCode::SUCCESS
}

async fn build(arguments: &[String], mode: &str) {
    let outputs = values(arguments, "--output");
    let Some(output) = outputs.iter().find(|output| output.contains("type=image")) else { return };
    let platforms: Vec<&str> = values(arguments, "--platform")[0].split(',').collect();
    let from = arguments.last().unwrap();
    let mut digest = push(output, &values(arguments, "--attest"), &platforms, "", from, mode).await;
    if mode == "wrong-digest" {
        digest = format!("sha256:{}", "0".repeat(64));
    }
    let file = values(arguments, "--metadata-file")[0];
    std::fs::write(file, json!({ "containerimage.digest": digest }).to_string()).unwrap();
}

/// Pushes an image by digest to each repository that the output names.
async fn push(
    output: &str,
    attests: &[&str],
    platforms: &[&str],
    salt: &str,
    from: &str,
    mode: &str,
) -> String {
    let attributes: BTreeMap<String, String> = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(output.as_bytes())
        .records()
        .next()
        .unwrap()
        .unwrap()
        .iter()
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    assert_eq!(attributes["push-by-digest"], "true", "a tag would be put before the evidence");
    let sbom = attests
        .iter()
        .any(|attest| attest.starts_with("type=sbom") && !attest.contains("disabled=true"));
    let provenance = attests
        .iter()
        .any(|attest| attest.starts_with("type=provenance,mode="))
        .then(|| provenance(from, mode));
    let mut digest = String::new();
    for name in attributes["name"].split(',') {
        let (host, path) = name.split_once('/').unwrap();
        let authorization = authorization(host, path).await;
        let pusher =
            Pusher { http: http(host), base: format!("http://{host}/v2/{path}"), authorization };
        digest = image(&pusher, platforms, sbom, provenance.as_ref(), salt, mode).await;
    }
    digest
}

async fn image(
    pusher: &Pusher,
    platforms: &[&str],
    sbom: bool,
    provenance: Option<&Value>,
    salt: &str,
    mode: &str,
) -> String {
    // A new build of the same commit differs, as BuildKit's provenance makes it.
    let salt = format!("{salt}{}", std::env::var("FAKE_BUILDX_SALT").unwrap_or_default());
    let mut entries = Vec::new();
    let mut attestations = Vec::new();
    for platform in platforms {
        if mode == "missing-platform" && *platform == "linux/arm64" {
            continue;
        }
        let (os, architecture) = platform.split_once('/').unwrap();
        let name = format!(r#"{{"name":"app-{architecture}","version":"1.0.0"}}"#);
        let own = [("app/package.json", name.as_str()), ("app/salt", salt.as_str())];
        let planted = Planted::read();
        let mut all = vec![tar(&BASE)];
        all.extend(planted.base.iter().map(|files| tar(&borrowed(files))));
        let of_base = all.len();
        all.push(tar(&own));
        all.extend(planted.layers.iter().map(|files| tar(&borrowed(files))));
        let mut config =
            json!({ "os": os, "architecture": architecture, "created": "2026-01-02T03:04:05Z" });
        if !planted.env.is_empty() {
            config["config"] = json!({ "Env": planted.env });
        }
        let mut image = pushed(pusher, &all, &planted, config, None).await;
        let mut provenance = provenance.cloned();
        if let (Some(provenance), false) = (&mut provenance, planted.base.is_empty()) {
            let beside = pusher.base.rsplit_once('/').unwrap().0;
            let pusher = Pusher {
                http: pusher.http.clone(),
                base: format!("{beside}/base"),
                authorization: pusher.authorization.clone(),
            };
            let config = json!({ "os": os, "architecture": architecture });
            let base = pushed(&pusher, &all[..of_base], &planted, config, Some("12")).await;
            provenance["runDetails"]["metadata"]["buildkit_metadata"] = lines(&all, &planted);
            let hex = &base["digest"].as_str().unwrap()["sha256:".len()..];
            let host = beside.split("//").nth(1).unwrap().split('/').next().unwrap();
            provenance["buildDefinition"]["resolvedDependencies"] = json!([{ "uri": format!("pkg:docker/{host}/base@12?platform={os}%2F{architecture}"), "digest": { "sha256": hex } }]);
        }
        if sbom || provenance.is_some() {
            attestations.push(attestation(pusher, &image, sbom, provenance.as_ref(), mode).await);
        }
        image["platform"] = json!({ "os": os, "architecture": architecture });
        entries.push(image);
    }
    if let ([only], []) = (entries.as_slice(), attestations.as_slice()) {
        return only["digest"].as_str().unwrap().to_owned();
    }
    entries.extend(attestations);
    let mut index =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    if let Some(member) = mode.strip_prefix("index-also:") {
        index.insert_str(index.len() - 1, &format!(",{member}"));
    }
    let index = pusher.manifest_of(index.into_bytes(), INDEX).await;
    index["digest"].as_str().unwrap().to_owned()
}

/// What `FAKE_BUILDX_PLANTED`, a file of JSON, adds to each platform's image: layers of the base
/// image and of the image's own, each a list of paths and texts, and the environment.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Planted {
    base: Vec<Vec<(String, String)>>,
    layers: Vec<Vec<(String, String)>>,
    env: Vec<String>,
    /// How layers are compressed: `gzip` or `zstd`.
    compression: String,
    /// Whether the last layer says that it is encrypted.
    encrypted: bool,
}

impl Planted {
    fn read() -> Self {
        let Ok(file) = std::env::var("FAKE_BUILDX_PLANTED") else { return Self::default() };
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    fn compressed(&self, tar: &[u8]) -> (Vec<u8>, &'static str) {
        use std::io::Write as _;
        match self.compression.as_str() {
            "gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(tar).unwrap();
                (encoder.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
            }
            "zstd" => {
                (zstd::encode_all(tar, 1).unwrap(), "application/vnd.oci.image.layer.v1.tar+zstd")
            }
            _ => (tar.to_vec(), "application/vnd.oci.image.layer.v1.tar"),
        }
    }
}

/// As BuildKit tells with `mode=max`: each layer was made by the line of its number.
fn lines(tars: &[Vec<u8>], planted: &Planted) -> Value {
    let mut chain = Vec::new();
    let mut metadata = json!({
        "vcs": { "localdir:dockerfile": "docker" },
        "source": { "infos": [{ "filename": "Dockerfile" }] },
    });
    for (at, tar) in tars.iter().enumerate() {
        let (bytes, media_type) = planted.compressed(tar);
        chain.push(described(&bytes, media_type));
        metadata["layers"][format!("step{at}:0")] = json!([chain]);
        let line = json!({ "line": at + 1 });
        metadata["source"]["locations"][format!("step{at}")] =
            json!({ "locations": [{ "ranges": [{ "start": line, "end": line }] }] });
    }
    metadata
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// The manifest of an image with these layers.
async fn pushed(
    pusher: &Pusher,
    tars: &[Vec<u8>],
    planted: &Planted,
    mut config: Value,
    tag: Option<&str>,
) -> Value {
    let (mut layers, mut ids) = (Vec::new(), Vec::new());
    for (at, tar) in tars.iter().enumerate() {
        let (bytes, media_type) = planted.compressed(tar);
        let mut layer = pusher.blob(&bytes, media_type).await;
        if planted.encrypted && at + 1 == tars.len() {
            layer["mediaType"] = json!(format!("{media_type}+encrypted"));
        }
        layers.push(layer);
        ids.push(format!("sha256:{}", hex::encode(Sha256::digest(tar))));
    }
    config["rootfs"] = json!({ "type": "layers", "diff_ids": ids });
    let config = pusher
        .blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json")
        .await;
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    if let Some(tag) = tag {
        pusher.put(tag, manifest.to_string().into_bytes(), MANIFEST).await;
    }
    pusher.manifest(&manifest, MANIFEST).await
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

async fn attestation(
    pusher: &Pusher,
    image: &Value,
    sbom: bool,
    provenance: Option<&Value>,
    mode: &str,
) -> Value {
    let digest = image["digest"].as_str().unwrap();
    let subject =
        if mode == "foreign-sbom" { "f".repeat(64) } else { digest["sha256:".len()..].to_owned() };
    let mut layers = Vec::new();
    let mut statement = async |kind: &str, predicate: Value| {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "subject": [{ "name": "_", "digest": { "sha256": subject } }], "predicate": predicate });
        let mut layer =
            pusher.blob(statement.to_string().as_bytes(), "application/vnd.in-toto+json").await;
        layer["annotations"] = json!({ "in-toto.io/predicate-type": kind });
        layers.push(layer);
    };
    if sbom {
        statement("https://spdx.dev/Document", spdx(mode)).await;
    }
    if let Some(provenance) = provenance {
        statement("https://slsa.dev/provenance/v1", provenance.clone()).await;
    }
    let config = pusher.blob(b"{}", "application/vnd.oci.empty.v1+json").await;
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.docker.attestation.manifest.v1+json", "config": config, "layers": layers, "subject": image });
    let mut entry = pusher.manifest(&manifest, MANIFEST).await;
    let (os, architecture) = mode
        .strip_prefix("attestations-for:")
        .and_then(|of| of.split_once('/'))
        .unwrap_or(("unknown", "unknown"));
    entry["platform"] = json!({ "os": os, "architecture": architecture });
    entry["annotations"] = json!({ "vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest" });
    entry
}

/// What BuildKit says of a build from there; mode `provenance:JSON` says something else.
fn provenance(from: &str, mode: &str) -> Value {
    if let Some(other) = mode.strip_prefix("provenance:") {
        return serde_json::from_str(other).unwrap();
    }
    let kind = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
    let request = json!({ "frontend": "dockerfile.v0", "args": { "build-arg:A": "1" } });
    let platform = json!({ "builderPlatform": "linux/amd64" });
    let metadata = json!({ "invocationId": "fake", "startedOn": "2026-01-02T03:04:05.5Z", "finishedOn": "2026-01-02T03:04:09Z" });
    let Some((address, fragment)) = from.split_once('#').filter(|_| from.starts_with("https://"))
    else {
        let parameters = json!({ "configSource": { "path": "Dockerfile" }, "request": request });
        return json!({ "buildDefinition": { "buildType": kind, "externalParameters": parameters, "internalParameters": platform }, "runDetails": { "metadata": metadata } });
    };
    let commit = fragment.split(':').next().unwrap();
    let git = json!({ "uri": format!("{address}#{commit}"), "digest": { "sha1": commit } });
    // Of a folder in a repository BuildKit finds no digest.
    let source = if fragment == commit { git.clone() } else { json!({ "uri": from }) };
    json!({
        "buildDefinition": {
            "buildType": kind, "externalParameters": { "configSource": source, "request": request },
            "internalParameters": platform, "resolvedDependencies": [git],
        },
        "runDetails": { "builder": { "id": "" }, "metadata": metadata },
    })
}

/// The least that is a whole document; in mode `broken-sbom`, one that names what is not in it, in
/// `empty-sbom` one without a package, in `image-sbom` one of the image alone; in `flawed` it lists
/// a package with a known critical flaw.
fn spdx(mode: &str) -> Value {
    let image = if mode == "broken-sbom" { "SPDXRef-Nothing" } else { "SPDXRef-Image" };
    let package =
        |id: &str, name: &str| json!({ "SPDXID": id, "name": name, "downloadLocation": "NONE" });
    let mut packages = vec![package("SPDXRef-Image", "sbom"), package("SPDXRef-base", "base")];
    packages.truncate(if mode == "empty-sbom" {
        0
    } else if mode == "image-sbom" {
        1
    } else {
        2
    });
    if mode == "flawed" {
        let purl = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1";
        let mut flawed = package("SPDXRef-flawed", "log4j-core");
        flawed["externalRefs"] = json!([{ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl }]);
        packages.push(flawed);
    }
    let described = if packages.is_empty() { "SPDXRef-File" } else { image };
    json!({
        "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "sbom",
        "documentNamespace": "https://fake-buildx.example/sbom",
        "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: fake-buildx"] },
        "packages": packages,
        "files": if mode == "empty-sbom" { json!([{ "SPDXID": "SPDXRef-File", "fileName": "./x" }]) } else { json!([]) },
        "relationships": [{ "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": described }],
    })
}

/// As Go's programs: nothing on this machine goes through a proxy.
fn http(host: &str) -> reqwest::Client {
    let builder = reqwest::Client::builder();
    if host.starts_with("127.") {
        builder.no_proxy().build().unwrap()
    } else {
        builder.build().unwrap()
    }
}

/// What the registry asks for, from the login in Docker's `config.json`; empty where it asks for
/// nothing.
async fn authorization(host: &str, path: &str) -> String {
    let asked = http(host).get(format!("http://{host}/v2/{path}/tags/list")).send().await.unwrap();
    let Some(challenge) =
        asked.headers().get("www-authenticate").map(|value| value.to_str().unwrap())
    else {
        return String::new();
    };
    let file = format!("{}/config.json", std::env::var("DOCKER_CONFIG").unwrap());
    let config: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let basic = format!("Basic {}", config["auths"][host]["auth"].as_str().unwrap());
    let Some((_, realm)) = challenge.split_once("Bearer realm=\"") else { return basic };
    let url = format!(
        "{}?service={host}&scope=repository:{path}:pull,push",
        realm.split('"').next().unwrap()
    );
    let answer: Value = http(host)
        .get(url)
        .header("authorization", basic)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    format!("Bearer {}", answer["token"].as_str().unwrap())
}

struct Pusher {
    http: reqwest::Client,
    base: String,
    authorization: String,
}

impl Pusher {
    async fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let described = described(bytes, media_type);
        let opened = self
            .http
            .post(format!("{}/blobs/uploads/", self.base))
            .header("authorization", &self.authorization)
            .send()
            .await
            .unwrap();
        let location = opened.headers()["location"].to_str().unwrap();
        let mut place = opened.url().join(location).unwrap();
        place.query_pairs_mut().append_pair("digest", described["digest"].as_str().unwrap());
        let request = self.http.put(place).header("authorization", &self.authorization);
        let answer = request
            .header("content-type", "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        described
    }

    async fn manifest(&self, manifest: &Value, media_type: &str) -> Value {
        self.manifest_of(manifest.to_string().into_bytes(), media_type).await
    }

    async fn manifest_of(&self, bytes: Vec<u8>, media_type: &str) -> Value {
        let described = described(&bytes, media_type);
        self.put(described["digest"].as_str().unwrap(), bytes, media_type).await;
        described
    }

    async fn put(&self, reference: &str, bytes: Vec<u8>, media_type: &str) {
        let url = format!("{}/manifests/{reference}", self.base);
        let answer = self
            .http
            .put(url)
            .header("authorization", &self.authorization)
            .header("content-type", media_type)
            .body(bytes)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
}

fn described(bytes: &[u8], media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{}", hex::encode(Sha256::digest(bytes))), "size": bytes.len() })
}
