//! Makes signatures with the sigstore crates against the embedded services and judges them with sigstore-verify; it never skips a check.

use serde_json::{Value, json};
use sigstore_oidc::IdentityToken;
use sigstore_sign::{SigningContext, SigningServices};
use sigstore_trust_root::{SigningConfig, TrustedRoot};
use sigstore_types::Bundle;
use sigstore_verify::{VerificationPolicy, Verifier};

use super::{Effect, Service, World};
use crate::sandbox::keys;

async fn signed(world: &World, artifact: &[u8]) -> Result<Bundle, sigstore_sign::Error> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": hex::encode(keys::sha256(artifact))}}],
        "predicateType": "https://example.com/predicate/v1",
        "predicate": {},
    });
    let config = SigningConfig::from_file(world.sandbox.signing_config()).unwrap();
    let services = SigningServices::from_signing_config(&config).unwrap();
    let token = IdentityToken::from_jwt(&world.token().await).unwrap();
    SigningContext::new(services)
        .signer(token)
        .sign_raw_statement(statement.to_string().as_bytes())
        .await
}

fn verified(world: &World, artifact: &[u8], bundle: &Bundle, identity: &str) -> bool {
    let root = TrustedRoot::from_file(world.sandbox.trusted_root()).unwrap();
    let policy = VerificationPolicy::new(identity, world.variable("SIGSTORE_ISSUER"));
    match Verifier::new(&root)
        .unwrap()
        .verify(artifact, bundle, &policy)
    {
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
        assert!(!verified(
            &world,
            artifact,
            &bundle,
            "https://github.com/elsewhere"
        ));
    }
    let stranger = World::new().await;
    let bundle = signed(&world, b"one").await.unwrap();
    assert!(!verified(&stranger, b"one", &bundle, &identity));
}

#[tokio::test]
async fn a_restart_keeps_keys_issuer_and_log() {
    let world = World::new().await;
    signed(&world, b"before").await.unwrap();
    let (root, issuer) = (
        std::fs::read(world.sandbox.trusted_root()).unwrap(),
        world.variable("SIGSTORE_ISSUER"),
    );
    let world = world.restarted(|_| {}).await;
    assert_eq!(std::fs::read(world.sandbox.trusted_root()).unwrap(), root);
    assert_eq!(world.variable("SIGSTORE_ISSUER"), issuer);
    let bundle = signed(&world, b"after").await.unwrap();
    assert!(verified(
        &world,
        b"after",
        &bundle,
        &world.variable("CERTIFICATE_IDENTITY")
    ));
    let bundle: Value = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
    let proof = &bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
    assert_eq!(
        (&proof["logIndex"], &proof["treeSize"]),
        (&json!("1"), &json!("2"))
    );
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
    for service in [Service::Fulcio, Service::Rekor, Service::Timestamp] {
        for effect in [
            Effect::Status(503),
            Effect::StatusRetryAfter(429, 1),
            Effect::Body(b"{}".to_vec()),
            Effect::Drop,
            Effect::LoseAnswer,
        ] {
            world.fault(service, "POST", "/api/", effect.clone());
            assert!(
                signed(&world, b"x").await.is_err(),
                "{service:?} {effect:?}"
            );
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
    let encode =
        |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let entry = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex::encode(keys::sha256(b"artifact"))}},
        "signature": {
            "content": encode(&key.sign(b"artifact").unwrap()),
            "publicKey": {"content": encode(keys::pem("PUBLIC KEY", key.public_der()).as_bytes())},
        },
    }});
    let config: Value =
        serde_json::from_slice(&std::fs::read(world.sandbox.signing_config()).unwrap()).unwrap();
    let base = config["rekorTlogUrls"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let post = || {
        world
            .client
            .post(format!("{base}/api/v1/log/entries"))
            .json(&entry)
            .send()
    };
    let created = post().await.unwrap();
    assert_eq!(created.status(), 201);
    let created: Value = created.json().await.unwrap();
    let repeated = post().await.unwrap();
    assert_eq!(repeated.status(), 409);
    let location = repeated.headers()["location"].to_str().unwrap().to_owned();
    let found: Value = world
        .client
        .get(format!("{base}{location}"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
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
