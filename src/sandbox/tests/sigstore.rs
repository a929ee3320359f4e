//! Makes signatures with the sigstore crates against the embedded services and judges them with
//! sigstore-verify; it never skips a check.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_bundle::BundleV03;
use sigstore_crypto::KeyPair;
use sigstore_fulcio::FulcioClient;
use sigstore_oidc::IdentityToken;
use sigstore_rekor::{DsseEntry, RekorClient};
use sigstore_trust_root::TrustedRoot;
use sigstore_tsa::TimestampClient;
use sigstore_types::{Bundle, DsseEnvelope, DsseSignature, KeyId, KindVersion, PayloadBytes};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::{FaultEffect, SandboxService, World};
use crate::sandbox::{keys, proposed};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The address of a service, as the written signing config says.
fn address(world: &World, list: &str) -> String {
    let config = std::fs::read(world.sandbox.signing_config()).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    config[list][0]["url"].as_str().unwrap().to_owned()
}

async fn signed(world: &World, artifact: &[u8]) -> anyhow::Result<Bundle> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": hex::encode(keys::sha256(artifact))}}],
        "predicateType": "https://example.com/predicate/v1",
        "predicate": {},
    });
    let payload = statement.to_string().into_bytes();
    let key = KeyPair::generate_ecdsa_p256()?;
    let token = IdentityToken::from_jwt(&world.token().await)?;
    let fulcio = FulcioClient::builder(address(world, "caUrls")).build()?;
    let issued = fulcio.create_signing_certificate(&token, &key).await?;
    let certificate = issued.leaf_certificate().clone();
    let signature = key.sign(&proposed::pre_authentication_encoding(IN_TOTO, &payload))?;
    let envelope = DsseEnvelope::new(
        IN_TOTO.to_owned(),
        PayloadBytes::new(payload),
        DsseSignature::new(signature.clone(), KeyId::default()),
    );
    let rekor = RekorClient::new(address(world, "rekorTlogUrls"))?;
    let entry = rekor.create_dsse_entry(DsseEntry::new(&envelope, &certificate)?).await?;
    let authority = TimestampClient::new(address(world, "tsaUrls"))?;
    let timestamp = authority.timestamp_signature(&signature).await?;
    Ok(BundleV03::with_certificate_and_dsse(certificate, envelope)
        .with_tlog_entry(entry.to_bundle_entry(KindVersion::DsseV001)?)
        .with_rfc3161_timestamp(timestamp)
        .into_bundle())
}

fn verified(world: &World, artifact: &[u8], bundle: &Bundle, identity: &str) -> bool {
    let root = TrustedRoot::from_file(world.sandbox.trusted_root()).unwrap();
    let policy = VerificationPolicy::new(identity, world.variable("SIGSTORE_ISSUER"));
    match Verifier::new(&root).unwrap().verify(artifact, bundle, &policy) {
        Ok(result) => {
            assert!(
                result.sct_verified() && result.tlog_verified() && result.certificate_verified()
            );
            assert!(!result.verified_timestamps().is_empty());
            true
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn what_the_services_issue_verifies_and_nothing_else_does() {
    let world = World::new().await;
    let identity = world.variable("CERTIFICATE_IDENTITY");
    for artifact in [b"one", b"two", b"six"] {
        let bundle = signed(&world, artifact).await.unwrap();
        assert!(verified(&world, artifact, &bundle, &identity));
        assert!(!verified(&world, b"other", &bundle, &identity));
        assert!(!verified(&world, artifact, &bundle, "https://github.com/elsewhere"));
    }
    let stranger = World::new().await;
    let bundle = signed(&world, b"one").await.unwrap();
    assert!(!verified(&stranger, b"one", &bundle, &identity));
}

#[tokio::test]
async fn a_restart_keeps_keys_issuer_and_log() {
    let world = World::new().await;
    signed(&world, b"before").await.unwrap();
    let (root, issuer) =
        (std::fs::read(world.sandbox.trusted_root()).unwrap(), world.variable("SIGSTORE_ISSUER"));
    let world = world.restarted(|_| {}).await;
    assert_eq!(std::fs::read(world.sandbox.trusted_root()).unwrap(), root);
    assert_eq!(world.variable("SIGSTORE_ISSUER"), issuer);
    let bundle = signed(&world, b"after").await.unwrap();
    assert!(verified(&world, b"after", &bundle, &world.variable("CERTIFICATE_IDENTITY")));
    let bundle: Value = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
    let proof = &bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
    assert_eq!((&proof["logIndex"], &proof["treeSize"]), (&json!("1"), &json!("2")));
}

#[tokio::test]
async fn no_certificate_for_expired_or_foreign_tokens() {
    let world = World::new().await;
    world.sandbox.faults().expired_tokens(true);
    assert!(signed(&world, b"x").await.is_err());
    world.sandbox.faults().clear();
    world.sandbox.faults().foreign_tokens(true);
    assert!(signed(&world, b"x").await.is_err());
    world.sandbox.faults().clear();
    assert!(signed(&world, b"x").await.is_ok());
}

#[tokio::test]
async fn every_fault_reaches_the_client_once() {
    let world = World::new().await;
    for service in [SandboxService::Fulcio, SandboxService::Rekor, SandboxService::Timestamp] {
        for effect in [
            FaultEffect::Status(503),
            FaultEffect::StatusRetryAfter(429, 1),
            FaultEffect::Body(b"{}".to_vec()),
            FaultEffect::Drop,
            FaultEffect::LoseAnswer,
        ] {
            world.fault(service, "POST", "/api/", effect.clone());
            assert!(signed(&world, b"x").await.is_err(), "{service:?} {effect:?}");
            assert!(signed(&world, b"x").await.is_ok(), "{service:?} {effect:?}");
        }
    }
}

/// One entry posted twice: the answers of Rekor are told apart by status and `Location`.
#[tokio::test]
async fn the_log_answers_a_repeated_entry_with_its_place() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let key = keys::LogKey::kept_at(&dir.path().join("key.p8")).unwrap();
    let entry = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex::encode(keys::sha256(b"artifact"))}},
        "signature": {
            "content": STANDARD.encode(key.sign(b"artifact").unwrap()),
            "publicKey": {"content": STANDARD.encode(keys::pem("PUBLIC KEY", key.public_der()))},
        },
    }});
    let base = address(&world, "rekorTlogUrls");
    let post = || world.client.post(format!("{base}/api/v1/log/entries")).json(&entry).send();
    let created = post().await.unwrap();
    assert_eq!(created.status(), 201);
    let created: Value = created.json().await.unwrap();
    let repeated = post().await.unwrap();
    assert_eq!(repeated.status(), 409);
    let location = repeated.headers()["location"].to_str().unwrap().to_owned();
    let found: Value =
        world.client.get(format!("{base}{location}")).send().await.unwrap().json().await.unwrap();
    let (uuid, first) = created.as_object().unwrap().iter().next().unwrap();
    assert_eq!(uuid.len(), 80);
    assert_eq!(found[uuid]["body"], first["body"]);
    let index = &first["logIndex"];
    let by_index: Value = world
        .client
        .get(format!("{base}/api/v1/log/entries?logIndex={index}"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(by_index[uuid]["body"], first["body"]);
    let absent = world
        .client
        .get(format!("{base}/api/v1/log/entries/{}", "0".repeat(64)))
        .send()
        .await
        .unwrap();
    assert_eq!(absent.status(), 404);
}
