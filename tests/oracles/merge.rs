//! Jobs with real builds, merged: cosign, buildx and crane on the result, and the bytes of the
//! index beside those that BuildKit writes.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use supply_action::image::Digest;

use crate::support::{
    Run, accepts, checkout, cosigns, get, publish, put, required, run, tool, trust, world,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What a build would otherwise take from the clock.
const STILL: [(&str, &str); 2] = [
    ("INPUT_LABELS", "org.opencontainers.image.created=2026-01-01T00:00:00Z"),
    (
        "INPUT_ANNOTATIONS",
        "org.opencontainers.image.created=2026-01-01T00:00:00Z\norg.opencontainers.image.description=<a> & b",
    ),
];
const PLAIN: [(&str, &str); 2] = [("INPUT_SBOM", "false"), ("INPUT_PROVENANCE", "false")];

fn succeeded(run: Run) -> Run {
    assert_eq!(run.code, Some(0), "{}", run.log);
    run
}

/// One job a platform, as `toJSON(needs)` tells of them.
fn needs(image: &str, change: &[(&str, &str)]) -> String {
    let mut needs = json!({});
    for (job, platform) in [("arm", "linux/arm64"), ("amd", "linux/amd64")] {
        let own = [("INPUT_PLATFORMS", platform), ("INPUT_PUSH-BY-DIGEST", "true")];
        let pushed = succeeded(publish("hello", image, &[&own, change].concat()));
        needs[job] =
            json!({ "result": "success", "outputs": { "digests": pushed.outputs["digests"] } });
    }
    needs.to_string()
}

fn merge(image: &str, digests: &str, change: &[(&str, &str)]) -> Run {
    succeeded(run(&["merge"], "hello", image, &[&[("INPUT_DIGESTS", digests)], change].concat()))
}

fn manifest(image: &str, digest: &str) -> Vec<u8> {
    let (host, path) = image.split_once('/').unwrap();
    get(&format!("http://{host}/v2/{path}/manifests/{digest}"))
}

#[test]
fn every_judge_accepts_what_two_jobs_built() {
    let image = format!("{}/hello-merged", world().sandbox.registry());
    let merged = merge(&image, &needs(&image, &[]), &[]);
    let evidence = merged.json("evidence");
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer, root) =
        (signer("identity"), signer("issuer"), world().sandbox.trusted_root().to_str().unwrap());
    let subjects = merged.subjects();
    assert_eq!(
        subjects.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
        ["index", "platform", "attestations", "platform", "attestations"]
    );
    for (cosign, extra) in cosigns() {
        for (kind, digest) in &subjects {
            let subject = format!("{image}@{digest}");
            let check = |verb: &[&str]| {
                accepts(
                    &cosign,
                    &[verb, extra, &trust(root, &identity, &issuer), &[subject.as_str()]].concat(),
                )
            };
            check(&["verify"]);
            if kind != "attestations" {
                check(&["verify-attestation", "--type", "slsaprovenance1"]);
                check(&["verify-attestation", "--type", "spdxjson"]);
            }
        }
    }
    let name = format!("{image}:v1.2.3");
    for what in ["SBOM", "Provenance"] {
        let format = format!("{{{{json .{what}}}}}");
        let shown: Value = serde_json::from_str(&accepts(
            &tool("BUILDX"),
            &["imagetools", "inspect", &name, "--format", &format],
        ))
        .unwrap();
        assert_eq!(
            shown.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["linux/amd64", "linux/arm64"],
            "{what}"
        );
    }
    assert_eq!(accepts(&tool("CRANE"), &["digest", &name]).trim(), merged.outputs["digest"]);
    accepts(&tool("CRANE"), &["validate", "--remote", &name]);
}

#[test]
fn the_index_of_two_jobs_is_to_the_byte_that_of_one() {
    let image = format!("{}/hello-bytes", world().sandbox.registry());
    let still = [STILL.as_slice(), &PLAIN].concat();
    let whole = succeeded(publish(
        "hello",
        &image,
        &[still.as_slice(), &[("INPUT_PUSH-BY-DIGEST", "true")]].concat(),
    ));
    let merged = merge(&image, &needs(&image, &still), &PLAIN);
    let [whole, merged] = [whole, merged]
        .map(|run| String::from_utf8(manifest(&image, &run.outputs["digest"])).unwrap());
    assert_eq!(merged, whole);
}

/// An index's entries to the byte, as BuildKit wrote them.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Box<RawValue>>,
    #[serde(default)]
    annotations: Option<Box<RawValue>>,
}

/// Attestations tell the time of their build, so two builds differ; therefore what one build pushed
/// is split as two would have pushed it.
#[test]
fn an_index_with_attestations_and_annotations_is_to_the_byte_what_buildkit_wrote() {
    let image = format!("{}/hello-split", world().sandbox.registry());
    let levels = [("DOCKER_METADATA_ANNOTATIONS_LEVELS", "manifest,index,manifest-descriptor")];
    let own = [("INPUT_PUSH-BY-DIGEST", "true")];
    let whole = succeeded(publish("hello", &image, &[STILL.as_slice(), &levels, &own].concat()));
    let written = String::from_utf8(manifest(&image, &whole.outputs["digest"])).unwrap();
    let index: Index = serde_json::from_str(&written).unwrap();
    assert_eq!(index.manifests.len(), 4, "{written}");
    let annotations = index.annotations.unwrap();
    assert!(annotations.get().contains("\\u003ca\\u003e \\u0026 b"), "{annotations}");
    let mut digests = Vec::new();
    for (part, attestation) in [(1, 3), (0, 2)] {
        let entries = [part, attestation].map(|at| index.manifests[at].get()).join(",\n    ");
        let split = format!(
            "{{\n  \"schemaVersion\": 2,\n  \"mediaType\": \"{INDEX}\",\n  \"manifests\": [\n    {entries}\n  ],\n  \"annotations\": {annotations}\n}}"
        );
        let digest = Digest::of(split.as_bytes()).to_string();
        let (host, path) = image.split_once('/').unwrap();
        put(&format!("http://{host}/v2/{path}/manifests/{digest}"), INDEX, split.as_bytes());
        digests.push(digest);
    }
    let merged = merge(&image, &digests.join("\n"), &[]);
    assert_eq!(String::from_utf8(manifest(&image, &merged.outputs["digest"])).unwrap(), written);
    assert_eq!(merged.outputs["digest"], whole.outputs["digest"]);
}

/// The jobs that workflows have today: buildx by itself, a file named by the digest, an artifact.
#[test]
fn what_plain_buildx_pushed_is_merged_from_the_files_of_todays_workflows() {
    let image = format!("{}/hello-plain", world().sandbox.registry());
    let context = checkout("hello");
    let endpoint = required("SUPPLY_ACTION_BUILDER");
    accepts(
        &tool("BUILDX"),
        &["create", "--driver", "remote", "--name", "plain", endpoint.to_str().unwrap()],
    );
    let digests = world().folder.join("digests");
    let (metadata, output) = (
        world().folder.join("plain.json"),
        format!("type=image,name={image},push-by-digest=true,name-canonical=true,push=true"),
    );
    for platform in ["linux/amd64", "linux/arm64"] {
        let files = ["--metadata-file", metadata.to_str().unwrap(), context.to_str().unwrap()];
        let build = [
            "build",
            "--builder",
            "plain",
            "--platform",
            platform,
            "--provenance",
            "mode=max,version=v1",
            "--output",
            &output,
        ];
        accepts(&tool("BUILDX"), &[build.as_slice(), &files].concat());
        let written: Value = serde_json::from_slice(&std::fs::read(&metadata).unwrap()).unwrap();
        let digest = written["containerimage.digest"].as_str().unwrap();
        // As actions/download-artifact leaves them, without `merge-multiple`.
        let folder = digests.join(format!("digests-{}", platform.replace('/', "-")));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(digest.trim_start_matches("sha256:")), "").unwrap();
    }
    let files = [("INPUT_DIGEST-FILES", digests.to_str().unwrap())];
    let refused = run(&["merge"], "hello", &image, &files);
    assert!(
        refused.code == Some(1)
            && refused.log.contains("was pushed without `https://spdx.dev/Document`"),
        "{}",
        refused.log
    );
    let merged = merge(&image, "", &[files[0], ("INPUT_SBOM", "false")]);
    let kinds: Vec<String> = merged.subjects().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["index", "platform", "attestations", "platform", "attestations"]);
    accepts(&tool("CRANE"), &["validate", "--remote", &format!("{image}:v1.2.3")]);
}
