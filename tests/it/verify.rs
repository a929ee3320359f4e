//! The command `verify`: what it accepts, what it refuses and why, and what it tells machines.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use supply_action::registry::ReferrerArtifact;
use supply_action::sandbox::{FaultEffect, SandboxService};
use supply_action::sigstore::load_trusted_root;
use supply_action::sigstore::verifier::{BundleVerifier, Signer};
use supply_action::verify::legacy;

use crate::support::{World, always};

pub(crate) async fn verify(world: &World, arguments: &[&str]) -> Output {
    let root = world.sandbox.trusted_root().display().to_string();
    let issuer = world
        .sandbox
        .environment()
        .into_iter()
        .find(|(name, _)| name == "SIGSTORE_ISSUER")
        .unwrap()
        .1;
    let mut command = world.command();
    command
        .args(["verify", "--trusted-root", &root, "--certificate-oidc-issuer", &issuer])
        .args(arguments);
    command.output().await.unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn an_image_is_verified_by_tag_and_by_digest_by_name_and_by_pattern() {
    let world = World::new().await;
    let run = world.publish().await;
    let (image, identity) = (format!("{}/app", world.sandbox.registry()), world.identity().0);
    let pattern = ["--certificate-identity-regexp", r"https://github\.com/example/hello/.*"];
    let exact = ["--certificate-identity", identity.as_str()];
    for signer in [exact, pattern] {
        for name in [format!("{image}:v1.2.3"), image.clone(), run.outputs["image-ref"].clone()] {
            let output = verify(&world, &[&signer[..], &[&name]].concat()).await;
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            let text = String::from_utf8(output.stdout).unwrap();
            for part in [
                &format!("verified   {}", run.outputs["image-ref"]),
                "linux/arm64",
                "bundles    verified",
                "legacy     verified",
            ] {
                assert!(text.contains(part), "`{part}` is missing in {text}");
            }
        }
    }
    let all = [
        "--require",
        "index=signature,sbom,provenance",
        "--require",
        "platforms=signature,sbom,provenance",
        "--require",
        "attestations=signature",
    ];
    let output = verify(
        &world,
        &[&exact[..], &all, &["--platform", "linux/arm64", "--json", &image]].concat(),
    )
    .await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["verified"], &told["formats"]["legacy"]),
        (&Value::Bool(true), &Value::from("verified"))
    );
    assert_eq!(
        (told["subjects"].as_array().unwrap().len(), told["signer"]["identity"].as_str()),
        (5, Some(identity.as_str()))
    );
}

#[tokio::test]
async fn what_is_not_verified_is_refused_for_its_reason() {
    let world = World::new().await;
    world.publish().await;
    let (image, identity) =
        (format!("{}/app:v1.2.3", world.sandbox.registry()), world.identity().0);
    let exact = ["--certificate-identity", identity.as_str()];
    let cases: [(&[&str], &str); 8] = [
        (
            &[
                "--certificate-identity",
                "https://github.com/example/hello/.github/workflows/other.yml@refs/heads/main",
            ],
            "has no valid",
        ),
        (
            &["--certificate-identity-regexp", "https://github.com/example"],
            "the image claims to be signed by `https://github.com/example/hello/",
        ),
        (&["--certificate-identity-regexp", "("], "is not a pattern"),
        (&[exact[0], exact[1], "--platform", "linux/s390x"], "the image has no `linux/s390x`"),
        (
            &[exact[0], exact[1], "--require", "index=https://cyclonedx.org/bom"],
            "has no valid `https://cyclonedx.org/bom`",
        ),
        (
            &[exact[0], exact[1], "--require", "platforms=https://example.com/scan/v1"],
            "has no valid `https://example.com/scan/v1`",
        ),
        (&[exact[0], exact[1], "--require", "platforms=nonsense"], "`nonsense` is none of"),
        (&[exact[0], exact[1], "--signature-formats", "paper"], "is neither `bundle` nor `legacy`"),
    ];
    for (arguments, why) in cases {
        let output = verify(&world, &[arguments, &[&image]].concat()).await;
        assert!(
            !output.status.success() && said(&output).contains(why),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    let output =
        verify(&world, &[&exact[..], &["--json", &image.replace("v1.2.3", "v9")]].concat()).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1)
            && told["verified"] == false
            && told["reason"].as_str().unwrap().contains("there is no"),
        "{told}"
    );
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_not_an_image_without_evidence() {
    let world = World::new().await;
    let run = world.publish().await;
    let identity = world.identity().0;
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/referrers/",
        FaultEffect::Status(403),
    ));
    let output = verify(
        &world,
        &[
            "--certificate-identity",
            &identity,
            "--signature-formats",
            "bundle",
            &run.outputs["image-ref"],
        ],
    )
    .await;
    assert!(output.status.code() == Some(4) && said(&output).contains("403"), "{}", said(&output));
}

#[tokio::test]
async fn one_format_is_enough_unless_both_are_asked_for() {
    let mut world = World::new().await;
    world.set("INPUT_SIGNATURE-FORMATS", "legacy");
    let run = world.publish().await;
    let (image, identity) = (run.outputs["image-ref"].as_str(), world.identity().0);
    let output = verify(&world, &["--certificate-identity", &identity, image]).await;
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success()
            && text.contains("legacy     verified")
            && text.contains("bundles    the index"),
        "{text}{}",
        said(&output)
    );
    let output = verify(
        &world,
        &["--certificate-identity", &identity, "--signature-formats", "bundle,legacy", image],
    )
    .await;
    assert!(
        output.status.code() == Some(1)
            && said(&output).contains("has no valid `https://sigstore.dev/cosign/sign/v1`"),
        "{}",
        said(&output)
    );
}

/// A layer of an OCI layout on disk, with what stands beside it.
fn layer(folder: &Path, at: &str) -> (Vec<u8>, BTreeMap<String, String>) {
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join(at)).unwrap()).unwrap();
    let layer = &manifest["layers"][0];
    let blob = layer["digest"].as_str().unwrap().replace(':', "/");
    let layout = folder.join(at.split('/').next().unwrap());
    (
        std::fs::read(layout.join("blobs").join(blob)).unwrap(),
        serde_json::from_value(layer["annotations"].clone()).unwrap(),
    )
}

/// Evidence in the older format by other people's signers, where the folder is present: it holds as
/// it is told, and no other way.
#[test]
#[expect(clippy::print_stderr, reason = "that evidence is missing should be seen")]
fn real_evidence_in_the_older_format_holds_and_nothing_else_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/real");
    let Ok(text) = std::fs::read(folder.join("index.json")) else {
        eprintln!("the shared evidence is not here");
        return;
    };
    let entries: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let verifier =
        |root: &Path| BundleVerifier::new(&load_trusted_root(Some(root)).unwrap()).unwrap();
    let mut checked = 0;
    for entry in
        entries.iter().filter(|entry| entry["name"].as_str().unwrap().starts_with("oci-legacy"))
    {
        let field = |name: &str| entry[name].as_str().unwrap().to_owned();
        let (bytes, annotations) = layer(&folder, &field("manifest"));
        let bundle = legacy::bundle(&bytes, &annotations, false).unwrap();
        let holds = |root: &Path, identity: &str, issuer: &str, digest: &str| {
            let (signer, digest) = (
                Signer::Keyless { identity: identity.to_owned(), issuer: issuer.to_owned() },
                digest.parse().unwrap(),
            );
            if field("content") == "dsse" {
                verifier(root).check(&bundle, &digest, &signer).is_ok()
            } else {
                verifier(root).check_payload(&bundle, &bytes, &signer).is_ok()
                    && legacy::is_about(&bytes, &digest)
            }
        };
        let (root, identity, issuer, digest) = (
            folder.join(field("trusted_root")),
            field("identity"),
            field("issuer"),
            field("subject_digest"),
        );
        assert!(holds(&root, &identity, &issuer, &digest), "{}", entry["name"]);
        let other_digest =
            format!("sha256:{}{}", if &digest[7..8] == "0" { "1" } else { "0" }, &digest[8..]);
        for (identity, issuer, digest) in [
            (identity.clone(), issuer.clone(), other_digest),
            (format!("{identity}x"), issuer.clone(), digest.clone()),
            (identity.clone(), format!("{issuer}/x"), digest.clone()),
        ] {
            assert!(
                !holds(&root, &identity, &issuer, &digest),
                "{} {identity} {issuer} {digest}",
                entry["name"]
            );
        }
        for other in
            ["trusted_root_github.json", "trusted_root_staging.json", "trusted_root_private.json"]
        {
            assert!(
                !holds(&folder.join(other), &identity, &issuer, &digest),
                "{} {other}",
                entry["name"]
            );
        }
        checked += 1;
    }
    assert_eq!(checked, 2);
}

#[tokio::test]
async fn an_image_that_a_key_signed_is_verified_by_the_key() {
    let world = crate::keys::keyed().await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (image, key) = (run.outputs["image-ref"].as_str(), world.folder.path().join("cosign.pub"));
    std::fs::write(&key, crate::keys::PUBLIC).unwrap();
    let output = verify(&world, &["--key", key.to_str().unwrap(), image]).await;
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success() && text.contains("signed by  key `sha256:"),
        "{text}{}",
        said(&output)
    );
    let output = verify(&world, &["--certificate-identity-regexp", ".*", image]).await;
    assert!(
        output.status.code() == Some(1) && said(&output).contains("no signature is by"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn what_is_of_an_unknown_kind_is_told_and_is_neither_evidence_nor_its_absence() {
    let world = World::new().await;
    let run = world.publish().await;
    let (registry, repository) = (world.registry(), world.repository());
    let image = repository.at(&run.outputs["digest"].parse().unwrap());
    let subject = registry.expect_manifest(&image).await.unwrap().descriptor;
    let kinds = [
        "application/spdx+json",
        "application/vnd.dev.sigstore.bundle.v9.9+json",
        "application/spdx+json",
    ];
    for (number, artifact_type) in kinds.into_iter().enumerate() {
        let layer = format!(r#"{{"mediaType":"{artifact_type}","number":{number}}}"#);
        let artifact =
            ReferrerArtifact { artifact_type, layer: layer.into(), annotations: BTreeMap::new() };
        let place = registry.open_upload(&repository).await.unwrap();
        registry.stage_artifact(&repository, place, &artifact).await.unwrap();
        registry.attach_artifact(&repository, &subject, &artifact).await.unwrap();
    }
    // Ours is found beside them.
    world.verify(&run.outputs["digest"]).await.unwrap();
    let identity = world.identity().0;
    let wanted = [
        "--certificate-identity",
        &identity,
        "--require",
        "index=https://example.com/scan/v1",
        &image.to_string(),
    ]
    .map(str::to_owned);
    let output = verify(&world, &wanted.each_ref().map(String::as_str)).await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ignored, as this program does not support it: 2 of `application/spdx+json`"),
        "{said}"
    );
    assert!(said.contains("bundles of media type `application/vnd.dev.sigstore.bundle.v9.9+json` are not supported"), "{said}");
}

#[tokio::test]
async fn a_registry_that_lets_nobody_read_is_told_of_as_one_to_be_read() {
    let world = World::new().await;
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "manifests/",
        FaultEffect::Status(403),
    ));
    let (image, identity) = (format!("{}/app:v1", world.sandbox.registry()), world.identity().0);
    let output = verify(&world, &["--certificate-identity", &identity, &image]).await;
    let said = said(&output);
    assert!(
        said.contains("was refused: 403")
            && said.contains("permission to read here")
            && !said.contains("push"),
        "{said}"
    );
}

/// What other people's certificates say of their runs, where the evidence is present: as another
/// reader has read it.
#[test]
#[expect(clippy::print_stderr, reason = "that evidence is missing should be seen")]
fn real_certificates_say_where_they_come_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/real");
    let Ok(text) = std::fs::read(folder.join("index.json")) else {
        eprintln!("the shared evidence is not here");
        return;
    };
    let entries: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let is_readable = |entry: &&Value| {
        entry["content"] == "dsse"
            && entry["identity"].is_string()
            && entry["bundle"].is_string()
            && entry["subject_digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
    };
    let mut of_runs = 0;
    for entry in entries.iter().filter(is_readable) {
        let read = |name: &str| std::fs::read(folder.join(entry[name].as_str().unwrap())).unwrap();
        let root = folder.join(entry["trusted_root"].as_str().unwrap());
        let verifier = BundleVerifier::new(&load_trusted_root(Some(&root)).unwrap()).unwrap();
        let digest = entry["subject_digest"].as_str().unwrap().parse().unwrap();
        let bundle = read("bundle");
        let checked = verifier
            .statement(&bundle, &digest, None)
            .unwrap_or_else(|why| panic!("{}: {why}", entry["name"]));
        let told = serde_json::to_value(checked.signed.source.unwrap()).unwrap();
        let fields = [
            ("repository", "source_repository"),
            ("ref", "source_ref"),
            ("commit", "source_digest"),
            ("workflow", "build_config"),
            ("trigger", "trigger"),
            ("visibility", "visibility"),
            ("runner", "runner"),
        ];
        for (ours, theirs) in fields {
            assert_eq!(told[ours], entry["extensions"][theirs], "{} {ours}", entry["name"]);
        }
        of_runs += usize::from(told["repository"].is_string());
    }
    assert!(of_runs >= 6, "{of_runs}");
}
