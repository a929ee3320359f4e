//! The one rule under fire: at whatever request a registry turns away, no name stands on an image
//! without proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use supply_action::evidence::EvidencePart;
use supply_action::sandbox::{Fault, FaultEffect, SandboxService};
use supply_action::sigstore::verifier::Signer;

use crate::keys;
use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_request_fails_no_name_is_without_proof() {
    let total = {
        let world = World::new().await;
        assert_eq!(world.publish().await.code, Some(0));
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Registry)
            .count()
    };
    assert!(total > 40, "{total}");
    let mut partly = 0;
    // The requests around the names, one by one, and every third of the many before.
    for skip in (0..total).filter(|skip| skip % 3 == 0 || skip + 40 > total) {
        let world = World::new().await;
        world.sandbox.faults().add(Fault {
            service: SandboxService::Registry,
            method: None,
            path_contains: String::new(),
            skip,
            times: usize::MAX,
            effect: FaultEffect::Status(403),
        });
        let run = world.publish().await;
        world.sandbox.faults().clear();
        let tags = world.tags().await;
        for digest in tags.values() {
            world.verify(digest).await.unwrap_or_else(|error| {
                panic!(
                    "after {skip} requests `{digest}` has a name and no proof: {error:#}\n{}",
                    run.log
                )
            });
        }
        // The order of concurrent requests differs from run to run, so the last ones may never
        // come.
        match run.code {
            Some(0) => assert_eq!(tags.len(), 3, "{}", run.log),
            Some(3) => partly += 1,
            Some(1) => {
                assert!(tags.is_empty() && run.log.contains("nothing was tagged"), "{}", run.log)
            }
            other => panic!("{other:?}: {}", run.log),
        }
    }
    assert!(partly > 0, "no run stopped between two names, so this test proved too little");
}

/// Each stage left out in turn must be caught by the policy: types give order, evidence gives
/// truth.
#[tokio::test]
async fn an_image_that_lacks_any_part_of_its_evidence_does_not_verify() {
    let world = World::with(|config| config.referrers_api = false).await;
    let run = world.publish().await;
    let digest = run.outputs["digest"].clone();
    let verified = world.verify(&digest).await.unwrap();
    for subject in &verified.evidence().subjects {
        let tag = format!("sha256-{}", subject.digest.hex());
        let url = format!("http://{}/v2/app/manifests/{tag}", world.sandbox.registry());
        let whole = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
        let index: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        let put = async |body: Vec<u8>| {
            let answer = reqwest::Client::new()
                .put(&url)
                .header("content-type", "application/vnd.oci.image.index.v1+json")
                .body(body)
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_success());
        };
        let bundles: Vec<usize> = (0..index["manifests"].as_array().unwrap().len())
            .filter(|at| {
                index["manifests"][at]["artifactType"]
                    .as_str()
                    .is_some_and(|kind| kind.contains("sigstore"))
            })
            .collect();
        assert_eq!(bundles.len() >= 2, subject.kind != EvidencePart::Attestations, "{index}");
        for at in bundles {
            let mut without = index.clone();
            let left_out = without["manifests"].as_array_mut().unwrap().remove(at);
            put(without.to_string().into_bytes()).await;
            let message = format!("{:#}", world.verify(&digest).await.unwrap_err());
            let kind =
                left_out["annotations"]["dev.sigstore.bundle.predicateType"].as_str().unwrap();
            assert!(message.contains("has no valid") && message.contains(kind), "{message}");
        }
        put(whole.to_vec()).await;
    }
    world.verify(&digest).await.unwrap();
}

/// The same for the older format: without a layer, with another's layer, and with any byte of what
/// stands beside it changed.
#[tokio::test]
async fn evidence_in_the_older_format_counts_only_whole() {
    let world = World::new().await;
    let digest = world.publish().await.outputs["digest"].clone();
    let verified = world.verify(&digest).await.unwrap();
    for (subject, suffix) in
        verified.evidence().subjects.iter().flat_map(|subject| [(subject, "sig"), (subject, "att")])
    {
        let url = format!(
            "http://{}/v2/app/manifests/sha256-{}.{suffix}",
            world.sandbox.registry(),
            subject.digest.hex()
        );
        let answer = reqwest::get(&url).await.unwrap();
        if answer.status() == 404 {
            assert!(subject.kind == EvidencePart::Attestations && suffix == "att");
            continue;
        }
        let whole: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let put = async |manifest: &serde_json::Value| {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let answer = reqwest::Client::new()
                .put(&url)
                .header("content-type", kind)
                .body(manifest.to_string())
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_success());
        };
        for at in 0..whole["layers"].as_array().unwrap().len() {
            let mut without = whole.clone();
            without["layers"].as_array_mut().unwrap().remove(at);
            put(&without).await;
            let message = format!("{:#}", world.verify(&digest).await.unwrap_err());
            assert!(
                message.contains("has no valid") && message.contains("(older format)"),
                "{message}"
            );
            for annotation in [
                "dev.sigstore.cosign/certificate",
                "dev.sigstore.cosign/bundle",
                "dev.cosignproject.cosign/signature",
            ] {
                let text = whole["layers"][at]["annotations"][annotation].as_str().unwrap();
                for place in [text.len() / 3, text.len() / 2] {
                    let Some(byte) = text.as_bytes().get(place).copied() else { continue };
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[place] = if byte == b'A' { b'B' } else { b'A' };
                    let mut changed = whole.clone();
                    changed["layers"][at]["annotations"][annotation] =
                        String::from_utf8(bytes).unwrap().into();
                    put(&changed).await;
                    let message = format!("{:#}", world.verify(&digest).await.unwrap_err());
                    assert!(
                        message.contains("(older format)") && message.contains("does not count"),
                        "{annotation} {place}: {message}"
                    );
                }
            }
        }
        put(&whole).await;
    }
    world.verify(&digest).await.unwrap();
}

/// A byte changed anywhere in a bundle makes it worthless.
#[tokio::test]
async fn a_bundle_with_a_changed_byte_does_not_count() {
    let world = World::new().await;
    no_byte_may_change(&world, &world.signer()).await;
    no_byte_may_change(&keys::keyed().await, &keys::by(keys::PUBLIC)).await;
}

async fn no_byte_may_change(world: &World, signer: &Signer) {
    let digest = world.publish().await.outputs["digest"].clone();
    let verified = world.verify_by(&digest, signer.clone()).await.unwrap();
    let subject = &verified.evidence().subjects[0];
    let blob = format!(
        "http://{}/v2/app/blobs/{}",
        world.sandbox.registry(),
        subject.signatures[0].bundle
    );
    let bundle = reqwest::get(blob).await.unwrap().bytes().await.unwrap().to_vec();
    let verifier = world.verifier();
    verifier.check(&bundle, &subject.digest, signer).unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    let mut leaves = Vec::new();
    texts(&whole, String::new(), &mut leaves);
    assert!(leaves.len() > 11, "{leaves:?}");
    for pointer in leaves {
        let text = whole.pointer(&pointer).and_then(serde_json::Value::as_str).unwrap();
        for at in (0..text.len()).step_by(5).chain([text.len().saturating_sub(1)]) {
            let mut changed = whole.clone();
            let mut bytes = text.as_bytes().to_vec();
            let Some(byte) = bytes.get_mut(at).filter(|byte| byte.is_ascii()) else { continue };
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            *changed.pointer_mut(&pointer).unwrap() = String::from_utf8(bytes).unwrap().into();
            let refused =
                verifier.check(changed.to_string().as_bytes(), &subject.digest, signer).is_err();
            // The name beside a checkpoint's signature only says which key to try; the signature is
            // over the lines above it.
            let name = text.find("\u{2014} ").map(|dash| {
                dash..text[dash + 4..].find(' ').map_or(text.len(), |space| dash + 4 + space)
            });
            let key_name = pointer.ends_with("/checkpoint/envelope")
                && name.is_some_and(|name| name.contains(&at));
            // Of a timestamp more is said than signed; what is signed is looked at below.
            assert!(
                refused || key_name || pointer.ends_with("/signedTimestamp"),
                "byte {at} of `{pointer}` may change unnoticed"
            );
        }
    }
    let pointer =
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    let token = STANDARD.decode(whole.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
    for at in signed_parts(&token) {
        let (mut changed, mut bytes) = (whole.clone(), token.clone());
        bytes[at] ^= 1;
        *changed.pointer_mut(pointer).unwrap() = STANDARD.encode(&bytes).into();
        let refused =
            verifier.check(changed.to_string().as_bytes(), &subject.digest, signer).is_err();
        assert!(refused, "byte {at} of the timestamp may change unnoticed");
    }
}

/// Where a timestamp says what it is about and when, and its signature. The certificates it carries
/// are not used: the trusted root's are.
fn signed_parts(token: &[u8]) -> Vec<usize> {
    // id-ct-TSTInfo, 1.2.840.113549.1.9.16.1.4; it stands before the content, and again as a signed
    // attribute.
    let kind = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
    let content = token.windows(kind.len()).position(|window| window == kind).unwrap() + kind.len();
    // Version and policy come first, then the hash of what is stamped; at the end of it all stands
    // the signature.
    (content + 4..content + 100).chain(token.len() - 60..token.len()).collect()
}

/// JSON pointers of every text in a value.
fn texts(value: &serde_json::Value, at: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(_) => found.push(at),
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(number, item)| texts(item, format!("{at}/{number}"), found)),
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| texts(field, format!("{at}/{name}"), found))
        }
        _ => {}
    }
}

#[tokio::test]
async fn evidence_by_somebody_else_never_counts() {
    let world = World::new().await;
    let digest = world.publish().await.outputs["digest"].clone();
    let verified = world.verify(&digest).await.unwrap();
    let subject = &verified.evidence().subjects[0];
    let blob = format!(
        "http://{}/v2/app/blobs/{}",
        world.sandbox.registry(),
        subject.signatures[0].bundle
    );
    let bundle = reqwest::get(blob).await.unwrap().bytes().await.unwrap();
    let verifier = world.verifier();
    let (identity, issuer) = world.identity();
    let stranger = Signer::Keyless { identity: format!("{identity}x"), issuer };
    assert!(
        verifier
            .check(&bundle, &subject.digest, &stranger)
            .unwrap_err()
            .to_string()
            .contains("identity")
    );
    let foreign =
        Signer::Keyless { identity, issuer: "https://token.actions.githubusercontent.com".into() };
    assert!(
        verifier
            .check(&bundle, &subject.digest, &foreign)
            .unwrap_err()
            .to_string()
            .contains("issuer")
    );
    let other = verified.evidence().subjects[1].digest.clone();
    verifier.check(&bundle, &other, &world.signer()).unwrap_err();
}
