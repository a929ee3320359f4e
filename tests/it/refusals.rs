//! Runs that must fail: for the stated reason, with a remedy, and with nothing tagged.

use supply_action::sandbox::{Fault, FaultEffect, SandboxService};

use crate::support::{World, always};

/// Runs, and checks that it failed with these words and tagged nothing.
async fn refused(world: &World, words: &[&str]) -> String {
    let run = world.publish().await;
    assert_ne!(run.code, Some(0), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
    }
    world.sandbox.faults().clear();
    assert_eq!(world.tags().await.len(), 0, "{}", run.log);
    assert!(run.outputs.is_empty(), "{:?}", run.outputs);
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    run.log
}

#[tokio::test]
async fn no_permission_to_ask_for_an_identity() {
    let mut world = World::new().await;
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL").unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    refused(
        &world,
        &[
            "nothing was tagged",
            "has no permission to ask for an OIDC token",
            "hint: add \"permissions: id-token: write\"",
        ],
    )
    .await;
    assert!(
        !world.sandbox.requests().iter().any(|request| request.path.contains("/manifests/sha256")),
        "nothing was built"
    );
}

#[tokio::test]
async fn an_expired_token() {
    let world = World::new().await;
    world.sandbox.faults().expired_tokens(true);
    let log = refused(&world, &["nothing was tagged", "the OIDC token expired"]).await;
    assert!(!log.contains("building"), "{log}");
}

#[tokio::test]
async fn a_token_of_a_foreign_issuer() {
    let world = World::new().await;
    world.sandbox.faults().foreign_tokens(true);
    let why = "the OIDC token is of issuer `https://oidc.elsewhere.example`, not of the issuer of `github.com`";
    refused(&world, &["nothing was tagged", why, "hint: list this issuer in the signing config"])
        .await;
    assert!(
        !world.sandbox.requests().iter().any(|request| request.service == SandboxService::Fulcio)
    );
}

#[tokio::test]
async fn a_token_of_an_issuer_that_only_the_signing_config_believes() {
    let mut world = World::new().await;
    let config = std::fs::read_to_string(world.sandbox.signing_config()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["oidcUrls"][0]["url"] = "https://oidc.elsewhere.example/".into();
    let file = world.folder.path().join("signing-config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    world.set("INPUT_SIGNING-CONFIG", file.to_str().unwrap());
    world.sandbox.faults().foreign_tokens(true);
    refused(
        &world,
        &["nothing was tagged", "Fulcio", "refused", "hint: Fulcio must trust the issuer"],
    )
    .await;
}

#[tokio::test]
async fn a_token_about_another_repository() {
    let mut world = World::new().await;
    world.set("GITHUB_REPOSITORY", "somebody/else");
    refused(&world, &["nothing was tagged", "is about repository", "`somebody/else`"]).await;
}

#[tokio::test]
async fn a_registry_without_a_login() {
    let mut world =
        World::with(|config| config.registry_login = Some(("octo".into(), "pass".into()))).await;
    world.unset("INPUT_USERNAME").unset("INPUT_PASSWORD");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1));
    for word in ["nothing was tagged", "401", "hint: give credentials"] {
        assert!(run.log.contains(word), "{}", run.log);
    }
}

#[tokio::test]
async fn a_registry_that_refuses() {
    for (status, words) in [
        (401, ["401", "hint: give credentials"]),
        (403, ["403", "packages: write"]),
        (429, ["429", "limits requests"]),
        (500, ["500", "the registry's status page"]),
    ] {
        let world = World::new().await;
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("POST"),
            "/blobs/uploads",
            FaultEffect::Status(status),
        ));
        refused(&world, &["nothing was tagged", words[0], words[1]]).await;
    }
}

#[tokio::test]
async fn a_registry_that_refuses_to_list_evidence_is_not_one_without() {
    for status in [401, 403, 429, 500] {
        let world = World::new().await;
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            "/referrers/",
            FaultEffect::Status(status),
        ));
        let log =
            refused(&world, &["nothing was tagged", &status.to_string(), "/referrers/"]).await;
        assert!(!log.contains("has no valid"), "{status} was read as absent: {log}");
    }
}

#[tokio::test]
async fn services_that_cannot_be_reached() {
    for (service, name) in [
        (SandboxService::Fulcio, "Fulcio"),
        (SandboxService::Rekor, "Rekor"),
        (SandboxService::Timestamp, "the timestamp authority"),
        (SandboxService::Oidc, "the OIDC token service"),
    ] {
        let world = World::new().await;
        world.sandbox.faults().add(always(service, None, "", FaultEffect::Drop));
        refused(&world, &["nothing was tagged", name, "did not answer in 4 attempts"]).await;
    }
}

#[tokio::test]
async fn a_passing_fault_of_each_service_is_survived() {
    let world = World::new().await;
    for service in [
        SandboxService::Registry,
        SandboxService::Fulcio,
        SandboxService::Rekor,
        SandboxService::Timestamp,
        SandboxService::Oidc,
    ] {
        world.sandbox.faults().add(Fault {
            times: 1,
            ..always(service, None, "", FaultEffect::StatusRetryAfter(503, 0))
        });
    }
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test]
async fn a_build_that_fails_on_one_platform() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "one-platform-fails");
    refused(
        &world,
        &["nothing was tagged", "the build failed", "did not complete successfully: exit code: 2"],
    )
    .await;
}

#[tokio::test]
async fn a_platform_that_was_not_built() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "missing-platform");
    refused(&world, &["nothing was tagged", "built without `linux/arm64`"]).await;
}

#[tokio::test]
async fn a_digest_that_is_not_in_the_registry() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "wrong-digest");
    refused(&world, &["nothing was tagged", "cannot be confirmed", "is not in the registry"]).await;
}

#[tokio::test]
async fn a_builder_that_is_not_there() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "no-builder");
    refused(
        &world,
        &[
            "nothing was tagged",
            "no builder at input `builder-endpoint`: `unix:///nowhere`",
            "hint:",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_manifest_whose_bytes_do_not_hash_to_its_digest() {
    let world = World::new().await;
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/manifests/sha256:",
        FaultEffect::Corrupt,
    ));
    refused(&world, &["nothing was tagged", "does not hash to its digest", "changes its bytes"])
        .await;
}

#[tokio::test]
async fn evidence_whose_bytes_changed_on_the_way() {
    let mut world = World::new().await;
    // So that the first reads of blobs are the platforms' configs and BuildKit's statements.
    world.set("INPUT_FAIL-ON-SECRETS", "skip");
    world.sandbox.faults().add(Fault {
        skip: 6,
        ..always(SandboxService::Registry, Some("GET"), "/blobs/", FaultEffect::Corrupt)
    });
    refused(&world, &["nothing was tagged", "has no valid", "does not hash to its digest"]).await;
}

#[tokio::test]
async fn a_statement_of_buildkit_about_another_image() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "foreign-sbom");
    refused(&world, &["nothing was tagged", "is about `ffff", "not about `sha256:"]).await;
}

#[tokio::test]
async fn inputs_that_are_wrong_stop_everything_before_it_starts() {
    for (input, value, words) in [
        ("INPUT_TAGS", "-a", ["input `tags`", "`-a` is not a tag"]),
        ("INPUT_TAGS", "type=nope", ["input `tags`", "there is no type `nope`"]),
        ("INPUT_PLATFORMS", "linux", ["input `platforms`", "`linux` is not a platform"]),
        ("INPUT_IMAGES", "ghcr.io/octo/app:v1", ["input `images`", "put the tag into `tags`"]),
        ("INPUT_BUILD-ARGS", "=x", ["input `build-args`", "not a name for an ARG"]),
        ("INPUT_SBOM", "layers", ["input `sbom`", "`layers` is none of `auto`"]),
        ("INPUT_SIGN", "false", ["input `sign`", "without a signature"]),
        ("INPUT_PUSH", "yes", ["input `push`", "none of `auto`"]),
    ] {
        let mut world = World::new().await;
        world.set(input, value);
        let run = world.publish().await;
        assert_eq!(run.code, Some(2), "{}", run.log);
        for word in ["nothing was built", words[0], words[1]] {
            assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
        }
        assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
    }
}

#[tokio::test]
async fn a_context_that_does_not_exist() {
    let mut world = World::new().await;
    world.set("INPUT_CONTEXT", "./not-there");
    refused(
        &world,
        &["nothing was", "input `context`: there is no folder `./not-there`", "actions/checkout"],
    )
    .await;
}

#[tokio::test]
async fn files_of_sigstore_that_are_not_what_they_should_be() {
    for (input, words) in [
        ("INPUT_SIGNING-CONFIG", "is not a signing config"),
        ("INPUT_TRUSTED-ROOT", "is not a trusted root"),
    ] {
        let mut world = World::new().await;
        let file = world.folder.path().join("nonsense.json");
        std::fs::write(&file, "{}").unwrap();
        world.set(input, file.to_str().unwrap());
        refused(&world, &["nothing was tagged", words, "hint:"]).await;
    }
}

#[tokio::test]
async fn a_trusted_root_of_another_instance() {
    let (mut world, other) = (World::new().await, World::new().await);
    world.set("INPUT_TRUSTED-ROOT", other.sandbox.trusted_root().to_str().unwrap());
    refused(&world, &["nothing was tagged", "does not verify", "has no valid"]).await;
}
