//! `verify` for who consumes: whatever formats the evidence is in, what is said of what is there,
//! and what could not be found out.

use std::collections::BTreeMap;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use supply_action::evidence;
use supply_action::image::Digest;
use supply_action::registry::ReferrerArtifact;
use supply_action::registry::legacy::{Attached, LegacyLayer};
use supply_action::registry::manifest::{Descriptor, EMPTY_JSON, OCI_MANIFEST};
use supply_action::sandbox::{Claims, FaultEffect, SandboxService};
use supply_action::verify::legacy;

use crate::support::{Run, World, always};
use crate::verify::{said, verify};

/// Everything that was said, on both streams.
fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), said(output))
}

async fn published(world: &World, change: &[(&str, &str)]) -> Run {
    let run = world.run(&[], change).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    run
}

fn url(world: &World, what: &str) -> String {
    format!("http://{}/v2/app/{what}", world.sandbox.registry())
}

async fn delete(world: &World, reference: &str) {
    let answer = reqwest::Client::new()
        .delete(url(world, &format!("manifests/{reference}")))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{reference}: {}", answer.status());
}

/// Takes the bundles away that `which` names by their predicate types.
async fn without_bundles(world: &World, run: &Run, which: impl Fn(&str) -> bool) {
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let lists = |subject: &Value| -> Vec<Value> {
        ["signatures", "attestations"]
            .iter()
            .flat_map(|list| subject[*list].as_array().unwrap().clone())
            .collect()
    };
    for statement in evidence["subjects"].as_array().unwrap().iter().flat_map(lists) {
        if statement["format"] == "bundle" && which(statement["predicateType"].as_str().unwrap()) {
            delete(world, statement["manifest"].as_str().unwrap()).await;
        }
    }
}

/// Takes the layers of the older format away: `sig` or `att`.
async fn without_layers(world: &World, kind: &str) {
    for tag in world.all_tags().await.iter().filter(|tag| tag.ends_with(&format!(".{kind}"))) {
        delete(world, tag).await;
    }
}

/// Takes the SBOM of the index away, in both formats, as earlier versions of the program left it.
pub(crate) async fn without_sbom_of_index(world: &World, run: &Run) {
    let is_sbom = |kind: &Value| {
        ["https://spdx.dev/Document", "https://cyclonedx.org/bom"].iter().any(|sbom| kind == sbom)
    };
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let of_index = evidence["subjects"][0]["attestations"].as_array().unwrap();
    let sboms = of_index.iter().filter(|statement| is_sbom(&statement["predicateType"]));
    for bundle in sboms.filter(|statement| statement["format"] == "bundle") {
        delete(world, bundle["manifest"].as_str().unwrap()).await;
    }
    let url = url(world, &format!("manifests/{}.att", run.outputs["digest"].replace(':', "-")));
    let older = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
    let mut older: Value = serde_json::from_slice(&older).unwrap();
    let layers = older["layers"].as_array_mut().unwrap();
    let before = layers.len();
    layers.retain(|layer| !is_sbom(&layer["annotations"]["predicateType"]));
    assert_eq!(layers.len() + 1, before, "one SBOM is taken away");
    let put = reqwest::Client::new().put(&url).header("content-type", OCI_MANIFEST);
    assert!(put.body(older.to_string()).send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_signature_of_the_older_format_and_a_provenance_bundle_count_together() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    without_bundles(&world, &run, |kind| kind == evidence::SIGNATURE).await;
    without_layers(&world, "att").await;
    let (identity, image) = (world.identity().0, run.outputs["image-ref"].as_str());
    let check = async |arguments: &[&str]| verify(&world, &[arguments, &[image]].concat()).await;
    for who in [
        ["--certificate-identity", &identity],
        ["--certificate-identity-regexp", "https://github.com/example/.*"],
    ] {
        let output = check(&who).await;
        let text = told(&output);
        assert!(output.status.success() && text.contains("together   verified"), "{text}");
        assert!(
            text.contains("bundles    the index (") && text.contains("legacy     the index ("),
            "{text}"
        );
        let json: Value =
            serde_json::from_slice(&check(&[who[0], who[1], "--json"]).await.stdout).unwrap();
        assert_eq!(
            (&json["verified"], &json["outcome"], &json["together"]),
            (&json!(true), &json!("verified"), &json!(true))
        );
        // Those that are named are meant, and each of them.
        for formats in ["bundle", "legacy", "bundle,legacy"] {
            let output = check(&[who[0], who[1], "--signature-formats", formats]).await;
            assert!(
                output.status.code() == Some(1) && said(&output).contains("has no valid"),
                "{formats}: {}",
                said(&output)
            );
        }
        // A kind that is in neither is missing.
        without_kind(
            &check(&[who[0], who[1], "--require", "platforms=https://example.com/scan/v1"]).await,
            "https://example.com/scan/v1",
        );
    }
}

fn without_kind(output: &Output, kind: &str) {
    assert!(
        output.status.code() == Some(1) && said(output).contains(&format!("has no valid `{kind}`")),
        "{}",
        said(output)
    );
}

#[tokio::test]
async fn attestations_of_the_older_format_alone_are_found_by_pattern_and_by_repository() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    without_bundles(&world, &run, |_| true).await;
    without_layers(&world, "sig").await;
    let image = run.outputs["image-ref"].as_str();
    let asked = [
        "--require",
        "index=https://slsa.dev/provenance/v1",
        "--require",
        "platforms=provenance,sbom",
    ];
    for who in [
        ["--certificate-identity-regexp", "https://github.com/example/hello/.*"],
        ["--repo", "example/hello"],
    ] {
        let output = verify(&world, &[&who[..], &asked, &[image]].concat()).await;
        assert!(output.status.success(), "{}", said(&output));
        // Nothing that is asked for by default is there but the provenance, and that is said with
        // what to ask for.
        let output = verify(&world, &[&who[..], &[image]].concat()).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in [
            "it has no signature at all; it has a provenance, an SBOM and a vulnerability scan by `https://github.com/example/hello/",
            "BuildKit's unsigned provenance",
            "BuildKit's unsigned SBOM",
            "hint: require only what the image has, if that is enough for you: --require index=provenance,sbom,vuln --require platforms=provenance,sbom,vuln",
        ] {
            assert!(text.contains(part), "`{part}` is missing in {text}");
        }
        assert!(
            !text.contains("run the workflow again") && !text.contains("signing-config"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_nobody_signed_is_said_with_what_buildkit_left() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    without_bundles(&world, &run, |_| true).await;
    without_layers(&world, "sig").await;
    without_layers(&world, "att").await;
    let (identity, image) = (world.identity().0, run.outputs["image-ref"].as_str());
    for who in [
        ["--certificate-identity", identity.as_str()],
        ["--certificate-identity-regexp", ".*"],
        ["--repo", "example/hello"],
    ] {
        let output = verify(&world, &[&who[..], &["--json", image]].concat()).await;
        let text = said(&output);
        assert!(text.contains("it has no signature at all; it has BuildKit's unsigned provenance and BuildKit's unsigned SBOM"), "{text}");
        assert!(
            text.contains("hint: ask the publisher for a signature")
                && !text.contains("run the workflow again"),
            "{text}"
        );
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &json["outcome"]), (Some(1), &json!("not-verified")));
        assert_eq!(json["hints"].as_array().unwrap().len(), 1, "{json}");
    }
}

#[tokio::test]
async fn an_sbom_is_asked_for_in_whichever_format() {
    let world = World::new().await;
    let run = published(&world, &[("INPUT_SBOM-FORMAT", "cyclonedx")]).await;
    let (identity, image) = (world.identity().0, run.outputs["image-ref"].as_str());
    let check = async |required: &str| {
        verify(&world, &["--certificate-identity", &identity, "--require", required, image]).await
    };
    for required in ["platforms=signature,sbom", "index=signature,sbom"] {
        let output = check(required).await;
        assert!(output.status.success(), "{}", said(&output));
    }
    // A predicate type is that type and no other.
    without_kind(&check("platforms=https://spdx.dev/Document").await, "https://spdx.dev/Document");
    // As earlier versions left it.
    without_sbom_of_index(&world, &run).await;
    let output = verify(&world, &["--certificate-identity", &identity, image]).await;
    assert!(output.status.success(), "nobody who does not ask needs one: {}", said(&output));
    let output = check("index=sbom").await;
    without_kind(&output, "https://spdx.dev/Document` or `https://cyclonedx.org/bom");
    let text = said(&output);
    assert!(
        text.contains("though every platform has one")
            && text.contains("--require platforms=signature,"),
        "{text}"
    );
}

#[tokio::test]
async fn the_issuer_that_vouched_is_named_with_how_to_ask_for_it() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    let (identity, issuer) = world.identity();
    let image = run.outputs["image-ref"].as_str();
    let root = world.sandbox.trusted_root().display().to_string();
    for who in [
        ["--certificate-identity", identity.as_str()],
        ["--certificate-identity-regexp", ".*"],
        ["--repo", "example/hello"],
    ] {
        let check = async |more: &[&str]| {
            world
                .command()
                .args(["verify", "--trusted-root", &root])
                .args(who)
                .args(more)
                .arg(image)
                .output()
                .await
                .unwrap()
        };
        let output = check(&[]).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let hint = format!(
            "hint: pass `--certificate-oidc-issuer {issuer}` if you trust that issuer: it vouched for the signer"
        );
        assert!(text.contains(&hint), "{text}");
        assert!(!text.contains("run the workflow again"), "{text}");
        // As it says.
        assert!(check(&["--certificate-oidc-issuer", &issuer]).await.status.success());
    }
}

/// The workflow that everybody calls.
const SHARED: &str = "org/supply-action/.github/workflows/publish.yml@refs/tags/v1";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn a_repository_is_its_own_workflow_in_its_own_run_unless_another_signer_is_named() {
    let mut world = World::new().await;
    let mut image = async |repository: &str, workflow: Option<&str>, content: &str, tag: &str| {
        let mut claims = Claims::of(repository, "refs/heads/main", "push");
        claims.job_workflow_ref = workflow.map_or(claims.job_workflow_ref, str::to_owned);
        world.act_as(claims);
        let run = published(&world, &[("FAKE_BUILDX_SALT", content), ("INPUT_TAGS", tag)]).await;
        run.outputs["image-ref"].clone()
    };
    let own = image("victim/app", None, "own", "v1.0.0").await;
    let shared = image("victim/app", Some(SHARED), "shared", "v2.0.0").await;
    let evil = image("mallory/evil", Some(SHARED), "evil", "v3.0.0").await;
    let evils_own = image("mallory/evil", None, "evils", "v4.0.0").await;
    // Mallory's run that calls a workflow of the victim's, which then signs: the workflow is the
    // victim's, the run is not.
    let theirs = "victim/app/.github/workflows/release.yml@refs/heads/main";
    let called = image("mallory/evil", Some(theirs), "called", "v5.0.0").await;
    let signer = format!("https://github.com/{SHARED}");
    let check = async |image: &str, arguments: &[&str]| {
        let output = verify(&world, &[arguments, &[image]].concat()).await;
        (output.status.code(), told(&output))
    };
    for repo in [
        "victim/app",
        "Victim/App",
        "https://github.com/victim/app",
        "https://github.com/victim/app.git",
    ] {
        let (code, text) = check(&own, &["--repo", repo]).await;
        assert!(
            code == Some(0) && text.contains("source     https://github.com/victim/app"),
            "{text}"
        );
    }
    assert_eq!(
        check(&own, &["-R", "victim/app", "--source-ref", "refs/heads/main"]).await.0,
        Some(0)
    );
    for (image, arguments, why) in [
        (
            &own,
            &["--repo", "victim/app2"][..],
            "no signature is by a workflow of `https://github.com/victim/app2`",
        ),
        (
            &own,
            &["--repo", "victim/app", "--source-ref", "refs/tags/v1"],
            "its ref is `refs/heads/main`",
        ),
        (&shared, &["--repo", "victim/app"], "no signature is by a workflow of"),
        (&evil, &["--repo", "victim/app"], "no signature is by a workflow of"),
        (&evils_own, &["--repo", "victim/app"], "no signature is by a workflow of"),
        (
            &called,
            &["--repo", "victim/app"],
            "its repository is `https://github.com/mallory/evil`, not",
        ),
        (
            &evil,
            &["--repo", "victim/app", "--certificate-identity", &signer],
            "its repository is `https://github.com/mallory/evil`",
        ),
        (
            &evil,
            &["--repo", "victim/app", "--certificate-identity-regexp", ".*"],
            "its repository is `https://github.com/mallory/evil`",
        ),
    ] {
        let (code, text) = check(image, arguments).await;
        assert!(code == Some(1) && text.contains(why), "{arguments:?}: {text}");
    }
    for who in [
        ["--certificate-identity", &signer],
        ["--certificate-identity-regexp", "https://github.com/org/.*"],
    ] {
        let (code, text) = check(&shared, &["--repo", "victim/app", who[0], who[1]]).await;
        assert_eq!(code, Some(0), "{text}");
    }
    for arguments in [
        &["--repo", "victim/app", "--source-repository", "victim/app"][..],
        &["--repo", "victim/app", "--key", "cosign.pub"],
        &["--repo", "app"],
        &[],
    ] {
        let (code, text) = check("r.io/a:v1", arguments).await;
        assert!(code == Some(2), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn what_could_not_be_found_out_has_an_exit_code_of_its_own() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    let (identity, image) = (world.identity().0, run.outputs["image-ref"].clone());
    let tag = format!("{}/app:v1.2.3", world.sandbox.registry());
    let check = async |arguments: &[&str]| {
        let output =
            verify(&world, &[&["--certificate-identity", &identity, "--json"], arguments].concat())
                .await;
        (
            output.status.code(),
            serde_json::from_slice::<Value>(&output.stdout).unwrap(),
            said(&output),
        )
    };
    for (status, hint) in [
        (401, "log in with `docker login`"),
        (403, "permission to read here"),
        (429, "the registry limits requests"),
        (503, "look at the registry's status page"),
    ] {
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            "manifests/",
            FaultEffect::Status(status),
        ));
        for image in [&image, &tag] {
            let (code, json, text) = check(&[image]).await;
            assert_eq!(
                (code, &json["verified"], &json["outcome"]),
                (Some(4), &json!(false), &json!("unknown")),
                "{status}: {text}"
            );
            assert!(text.contains("it could not be found out") && text.contains(hint), "{text}");
            for publishers in ["registry-auth", "rerun", "run the workflow again", "reused"] {
                assert!(!text.contains(publishers), "{publishers}: {text}");
            }
        }
        world.sandbox.faults().clear();
    }
    // Nobody listens there.
    let (code, json, text) = check(&["127.0.0.1:1/a/b:v1"]).await;
    assert!(
        code == Some(4)
            && json["outcome"] == "unknown"
            && text.contains("this machine can reach it"),
        "{text}"
    );
    // What is known is no question: a name that is not there, and bytes that are others.
    let (code, json, _) = check(&[&tag.replace("v1.2.3", "v9")]).await;
    assert_eq!((code, &json["outcome"]), (Some(1), &json!("not-verified")));
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "manifests/sha256:",
        FaultEffect::Corrupt,
    ));
    let (code, json, text) = check(&[&image]).await;
    assert_eq!((code, &json["outcome"]), (Some(1), &json!("not-verified")), "{text}");
    world.sandbox.faults().clear();
    let (code, json, text) =
        check(&["--require", "platforms=https://example.com/scan/v1", &image]).await;
    assert_eq!((code, &json["outcome"]), (Some(1), &json!("not-verified")), "{text}");
}

#[tokio::test]
async fn one_format_that_cannot_be_read_hides_nothing_and_proves_nothing() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    let (identity, image) = (world.identity().0, run.outputs["image-ref"].as_str());
    let check = async |arguments: &[&str]| {
        verify(&world, &[&["--certificate-identity", &identity], arguments, &[image]].concat())
            .await
    };
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/referrers/",
        FaultEffect::Status(403),
    ));
    let output = check(&[]).await;
    let text = told(&output);
    assert!(
        output.status.success()
            && text.contains("bundles    could not be read: ")
            && text.contains("legacy     verified"),
        "{text}"
    );
    // What the readable format lacks may be in the other.
    for (arguments, why) in [
        (&["--require", "index=https://example.com/scan/v1"][..], "its bundles could not be read"),
        (&["--signature-formats", "bundle"], "was refused: 403"),
    ] {
        let output = check(arguments).await;
        assert!(
            output.status.code() == Some(4) && said(&output).contains(why),
            "{}",
            said(&output)
        );
    }
    let digest: Digest = run.outputs["digest"].parse().unwrap();
    assert!(world.verify(digest.as_str()).await.is_err());
}

/// A key that a test signs with, outside of every log.
struct Key {
    pair: sigstore_crypto::KeyPair,
    file: String,
}

impl Key {
    fn new(world: &World, name: &str) -> Self {
        let pair = sigstore_crypto::KeyPair::generate_ecdsa_p256().unwrap();
        let file = world.folder.path().join(name).display().to_string();
        std::fs::write(&file, pair.public_key_der().unwrap().to_pem()).unwrap();
        Self { pair, file }
    }

    fn sign(&self, bytes: &[u8]) -> String {
        BASE64.encode(self.pair.sign(bytes).unwrap().as_bytes())
    }

    fn envelope(&self, statement: &str) -> Value {
        const KIND: &str = "application/vnd.in-toto+json";
        let encoded = format!("DSSEv1 {} {KIND} {} {statement}", KIND.len(), statement.len());
        let signature = self.sign(encoded.as_bytes());
        json!({ "payload": BASE64.encode(statement), "payloadType": KIND, "signatures": [{ "sig": signature }] })
    }

    /// As `cosign sign --key --tlog-upload=false` writes it in the newer format.
    fn bundle(&self, statement: &str) -> String {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": self.envelope(statement),
        })
        .to_string()
    }
}

fn statement(kind: &str, subject: &Digest) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "name": "", "digest": { "sha256": subject.hex() } }],
        "predicateType": kind, "predicate": {},
    })
    .to_string()
}

async fn attach(world: &World, subject: &Descriptor, bundle: &str) {
    let (registry, repository) = (world.registry(), world.repository());
    let artifact_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let artifact = ReferrerArtifact {
        artifact_type,
        layer: bundle.to_owned().into(),
        annotations: BTreeMap::new(),
    };
    let place = registry.open_upload(&repository).await.unwrap();
    registry.stage_artifact(&repository, place, &artifact).await.unwrap();
    registry.attach_artifact(&repository, subject, &artifact).await.unwrap();
}

async fn append(
    world: &World,
    subject: &Digest,
    attached: Attached,
    media_type: &str,
    bytes: &str,
    annotations: &[(&str, &str)],
) {
    let (registry, repository) = (world.registry(), world.repository());
    let mut descriptor = Descriptor::of(bytes.as_bytes(), media_type);
    descriptor.annotations =
        annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let layer = LegacyLayer { descriptor, bytes: bytes.to_owned().into() };
    let opened = registry.open_legacy(&repository, subject, attached, 1).await.unwrap();
    registry.append_legacy(&repository, subject, attached, opened, &[layer]).await.unwrap();
}

/// Puts a manifest with its parts, and names it.
async fn put(world: &World, manifest: &Value, blobs: &[&str], tag: &str) -> Descriptor {
    let (registry, repository) = (world.registry(), world.repository());
    for blob in blobs {
        let bytes = bytes::Bytes::from((*blob).to_owned());
        registry.put_blob(&repository, &bytes, &Descriptor::of(&bytes, "x")).await.unwrap();
    }
    let put = reqwest::Client::new()
        .put(url(world, &format!("manifests/{tag}")))
        .header("content-type", OCI_MANIFEST);
    let answer = put.body(manifest.to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    Descriptor::of(manifest.to_string().as_bytes(), OCI_MANIFEST)
}

/// A chart's manifest or the like, with a config of this kind.
fn artifact(kind: &str, config: &str, more: &Value) -> Value {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": Descriptor::of(config.as_bytes(), kind),
        "layers": [Descriptor::of(b"content", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

/// Signs a statement in the name of this world's workflow.
async fn keyless(world: &World, statement: &str) -> String {
    let request = reqwest::Client::new()
        .get(format!("{}&audience=sigstore", world.env["ACTIONS_ID_TOKEN_REQUEST_URL"]));
    let answer =
        request.bearer_auth(&world.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]).send().await.unwrap();
    let token: Value = answer.json().await.unwrap();
    let (file, out) = (world.folder.path().join("statement"), world.folder.path().join("signed"));
    std::fs::write(&file, statement).unwrap();
    let mut command = world.command();
    command
        .env("SIGSTORE_ID_TOKEN", token["value"].as_str().unwrap())
        .args(["sign-bundle", "--in-toto"]);
    command
        .arg("--signing-config")
        .arg(world.sandbox.signing_config())
        .arg("--bundle")
        .arg(&out)
        .arg(&file);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    std::fs::read_to_string(out).unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn what_a_key_signed_without_a_log_holds_when_that_is_asked_for_and_never_else() {
    let world = World::new().await;
    let run = published(&world, &[]).await;
    without_bundles(&world, &run, |_| true).await;
    without_layers(&world, "sig").await;
    without_layers(&world, "att").await;
    let (key, other) = (Key::new(&world, "cosign.pub"), Key::new(&world, "other.pub"));
    let image = world.repository().at(&run.outputs["digest"].parse().unwrap());
    let index = world.registry().expect_manifest(&image).await.unwrap().descriptor;
    let (subject, name) = (&index.digest, image.to_string());
    let check = async |key: &str, more: &[&str], required: &str| {
        verify(&world, &[&["--key", key, "--require", required], more, &[&name]].concat()).await
    };
    let refused = async |required: &str| {
        let output = check(&key.file, &[], required).await;
        let text = said(&output);
        assert!(
            output.status.code() == Some(1) && text.contains("pass `--insecure-ignore-tlog`"),
            "{text}"
        );
        let output = check(&other.file, &["--insecure-ignore-tlog"], required).await;
        let text = said(&output);
        assert!(
            output.status.code() == Some(1) && !text.contains("`--insecure-ignore-tlog`"),
            "{text}"
        );
        let output = check(&key.file, &["--insecure-ignore-tlog"], required).await;
        let text = told(&output);
        assert!(
            output.status.success()
                && text.contains("without a log entry, as `--insecure-ignore-tlog` allows"),
            "{text}"
        );
    };
    // The newer format.
    attach(&world, &index, &key.bundle(&statement("https://example.com/a", subject))).await;
    refused("index=https://example.com/a").await;
    // The older one: an envelope, and a signature of a payload.
    let envelope = key.envelope(&statement("https://example.com/b", subject)).to_string();
    append(
        &world,
        subject,
        Attached::Attestations,
        legacy::DSSE,
        &envelope,
        &[(legacy::SIGNATURE, "")],
    )
    .await;
    refused("index=https://example.com/b").await;
    let payload = String::from_utf8(legacy::payload("r.io/a", subject, &BTreeMap::new())).unwrap();
    let signature = key.sign(payload.as_bytes());
    append(
        &world,
        subject,
        Attached::Signatures,
        legacy::SIMPLE_SIGNING,
        &payload,
        &[(legacy::SIGNATURE, &signature)],
    )
    .await;
    refused("index=signature").await;
    // What is about another image, signed by another, or changed, never holds.
    let elsewhere = Digest::of(b"another image");
    attach(&world, &index, &key.bundle(&statement("https://example.com/c", &elsewhere))).await;
    attach(&world, &index, &other.bundle(&statement("https://example.com/d", subject))).await;
    let changed = key
        .bundle(&statement("https://example.com/e", subject))
        .replace("dsseEnvelope\":{\"payload\":\"ey", "dsseEnvelope\":{\"payload\":\"fy");
    attach(&world, &index, &changed).await;
    let about_another =
        String::from_utf8(legacy::payload("r.io/a", &elsewhere, &BTreeMap::new())).unwrap();
    let platform = run.outputs["platforms"].clone();
    let platforms: Value = serde_json::from_str(&platform).unwrap();
    let amd64: Digest = platforms["linux/amd64"].as_str().unwrap().parse().unwrap();
    let signature = key.sign(about_another.as_bytes());
    append(
        &world,
        &amd64,
        Attached::Signatures,
        legacy::SIMPLE_SIGNING,
        &about_another,
        &[(legacy::SIGNATURE, &signature)],
    )
    .await;
    for required in [
        "index=https://example.com/c",
        "index=https://example.com/d",
        "index=https://example.com/e",
        "platforms=signature",
    ] {
        let output = check(&key.file, &["--insecure-ignore-tlog"], required).await;
        assert!(
            output.status.code() == Some(1) && said(&output).contains("has no valid"),
            "{required}: {}",
            told(&output)
        );
    }
    // Without the key, it is said that one signed; and a name needs its log.
    let output = verify(&world, &["--certificate-identity", "x", &name]).await;
    assert!(
        output.status.code() == Some(1) && said(&output).contains("--key cosign.pub"),
        "{}",
        said(&output)
    );
    let output =
        verify(&world, &["--certificate-identity", "x", "--insecure-ignore-tlog", &name]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn artifacts_that_are_no_images_are_verified() {
    let world = World::new().await;
    let (identity, _) = world.identity();
    let check = async |image: &Descriptor, more: &[&str]| {
        let name = world.repository().at(&image.digest).to_string();
        verify(&world, &[&["--certificate-identity", &identity], more, &[&name]].concat()).await
    };
    let (image_config, docker) = (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    );
    for (number, (kind, config, more, shown)) in [
        (
            "application/vnd.cncf.helm.config.v1+json",
            r#"{"name":"app","version":"1.0.0"}"#,
            json!({}),
            "application/vnd.cncf.helm.config.v1+json",
        ),
        (
            "application/vnd.cncf.flux.config.v1+json",
            "{}",
            json!({}),
            "application/vnd.cncf.flux.config.v1+json",
        ),
        (
            "application/vnd.wasm.config.v0+json",
            r#"{"architecture":"wasm","os":"wasip2"}"#,
            json!({}),
            "application/vnd.wasm.config.v0+json",
        ),
        (
            EMPTY_JSON,
            "{}",
            json!({ "artifactType": "application/vnd.example" }),
            "application/vnd.example",
        ),
        // What oras wrote before it had artifact types.
        (EMPTY_JSON, "{}", json!({}), EMPTY_JSON),
        (image_config, "{}", json!({}), image_config),
        (docker, r#"{"os":"","architecture":""}"#, json!({}), docker),
    ]
    .into_iter()
    .enumerate()
    {
        let manifest = artifact(kind, config, &more);
        let found =
            put(&world, &manifest, &[config, "content"], &format!("artifact-{number}")).await;
        let output = check(&found, &[]).await;
        let text = said(&output);
        assert!(
            output.status.code() == Some(1)
                && text.contains("the artifact (`")
                && text.contains("no signature at all"),
            "{text}"
        );
        // It needs what an index needs and what a platform does.
        attach(
            &world,
            &found,
            &keyless(&world, &statement(evidence::SIGNATURE, &found.digest)).await,
        )
        .await;
        let output = check(&found, &[]).await;
        let text = said(&output);
        assert!(
            output.status.code() == Some(1)
                && text.contains("has no valid `https://slsa.dev/provenance/v1`"),
            "{text}"
        );
        let output = check(&found, &["--require", "index=signature"]).await;
        let text = told(&output);
        assert!(
            output.status.success() && text.contains(&format!("artifact   {shown}, not an image")),
            "{text}"
        );
        for (required, code) in [("platforms=signature", 0), ("platforms=sbom", 1)] {
            assert_eq!(
                check(&found, &["--require", "index=signature", "--require", required])
                    .await
                    .status
                    .code(),
                Some(code),
                "{required}"
            );
        }
        let output =
            check(&found, &["--require", "index=signature", "--platform", "linux/amd64"]).await;
        assert!(
            output.status.code() == Some(1)
                && said(&output).contains("not an image of `linux/amd64`"),
            "{}",
            said(&output)
        );
    }
}

#[tokio::test]
async fn no_image_passes_for_an_artifact_nor_parts_that_lie_elsewhere() {
    let world = World::new().await;
    let (identity, _) = world.identity();
    let image_config = "application/vnd.oci.image.config.v1+json";
    let elsewhere = json!([{
        "mediaType": "application/vnd.example", "digest": Digest::of(b"content"), "size": 7, "urls": ["https://elsewhere.example/x"],
    }]);
    for (number, (kind, config, more, why)) in [
        (image_config, r#"{"os":"linux"}"#, json!({}), "is not a file system"),
        (
            image_config,
            r#"{"os":"linux","architecture":"amd64"}"#,
            json!({}),
            "is not a file system",
        ),
        (image_config, r#"{"os":"","OS":"linux"}"#, json!({}), "is not a file system"),
        (
            "application/vnd.example",
            "{}",
            json!({ "layers": elsewhere }),
            "may be fetched from elsewhere",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let manifest = artifact(kind, config, &more);
        let found =
            put(&world, &manifest, &[config, "content"], &format!("artifact-{number}")).await;
        attach(
            &world,
            &found,
            &keyless(&world, &statement(evidence::SIGNATURE, &found.digest)).await,
        )
        .await;
        let name = world.repository().at(&found.digest).to_string();
        let output = verify(
            &world,
            &["--certificate-identity", &identity, "--require", "index=signature", &name],
        )
        .await;
        assert!(
            output.status.code() == Some(1) && said(&output).contains(why),
            "{config}: {}",
            told(&output)
        );
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "that there is no such address should be seen")]
async fn a_registry_at_an_address_of_version_6_is_read() {
    let world = World::new().await;
    published(&world, &[]).await;
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        eprintln!("this machine has no `::1`");
        return;
    };
    let (port, registry) =
        (listener.local_addr().unwrap().port(), world.sandbox.registry().to_owned());
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut there = tokio::net::TcpStream::connect(registry).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
            });
        }
    });
    let identity = world.identity().0;
    for name in [
        format!("[::1]:{port}/app:v1.2.3"),
        format!("[::1]:{port}/app"),
        format!("[0:0:0:0:0:0:0:1]:{port}/app:v1"),
    ] {
        let output = verify(&world, &["--certificate-identity", &identity, &name]).await;
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}
