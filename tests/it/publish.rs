//! A publication that succeeds: what is in the registry, in which order it came there, and what
//! later steps read.

use serde_json::Value;
use supply_action::sandbox::{Fault, FaultEffect, SandboxService};

use crate::support::{World, always};

#[tokio::test]
async fn a_verified_image_gets_its_names_and_the_workflow_its_outputs() {
    let world = World::new().await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let digest = run.outputs["digest"].clone();
    let tags = world.tags().await;
    assert_eq!(tags.keys().map(String::as_str).collect::<Vec<_>>(), ["latest", "v1", "v1.2.3"]);
    assert!(tags.values().all(|named| *named == digest), "{tags:?}");
    let image = format!("{}/app", world.sandbox.registry());
    assert_eq!(run.outputs["image"], image);
    assert_eq!(run.outputs["image-ref"], format!("{image}@{digest}"));
    assert_eq!(run.outputs["tags"], format!("{image}:v1.2.3\n{image}:latest\n{image}:v1"));
    let platforms: Value = serde_json::from_str(&run.outputs["platforms"]).unwrap();
    assert_eq!(
        platforms.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    let metadata: Value = serde_json::from_str(&run.outputs["metadata"]).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest.as_str());
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    assert_eq!(evidence["signer"]["identity"], world.identity().0);
    let kinds: Vec<&str> = evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| subject["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["index", "platform", "attestations", "platform", "attestations"]);
    for subject in evidence["subjects"].as_array().unwrap() {
        let formats: Vec<&Value> = subject["signatures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|signature| &signature["format"])
            .collect();
        assert_eq!(formats, ["bundle", "legacy"], "{subject}");
        assert!(
            subject["signatures"][0]["logIndex"].is_number()
                && subject["signatures"][0]["logged"] == true,
            "{subject}"
        );
    }
    for part in [
        digest.as_str(),
        "cosign verify --certificate-identity",
        "verify-attestation --type spdxjson",
        "linux/arm64",
    ] {
        assert!(run.summary.contains(part), "{part} is missing in {}", run.summary);
    }
    world.verify(&digest).await.unwrap();
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn no_name_is_put_before_every_proof_is_read_back() {
    let world = World::new().await;
    assert_eq!(world.publish().await.code, Some(0));
    let requests = world.sandbox.requests();
    let is_tag = |path: &str| path.contains("/manifests/") && !path.contains("/manifests/sha256");
    let first_tag = requests
        .iter()
        .position(|request| request.method == "PUT" && is_tag(&request.path))
        .unwrap();
    let last_proof = requests
        .iter()
        .rposition(|request| request.method == "PUT" && !is_tag(&request.path))
        .unwrap();
    let last_read = requests
        .iter()
        .rposition(|request| request.method == "GET" && request.path.contains("/referrers/"))
        .unwrap();
    assert!(
        last_proof < last_read && last_read < first_tag,
        "{last_proof} {last_read} {first_tag}"
    );
    let count = |service: SandboxService| {
        requests
            .iter()
            .filter(|request| request.service == service && request.method == "POST")
            .count()
    };
    assert_eq!(count(SandboxService::Fulcio), 1, "one certificate a run");
    // 5 signatures, 3 SBOMs, 2 build provenances, 1 workflow provenance, 3 results of the scan as two
    // predicates each; each signature once more in the older format, which has no timestamp
    assert_eq!((count(SandboxService::Rekor), count(SandboxService::Timestamp)), (22, 17));
}

#[tokio::test]
async fn what_is_signed_and_how_it_is_kept_may_be_chosen() {
    let mut world = World::new().await;
    world.set("INPUT_SIGN-SUBJECTS", "index").set("INPUT_SIGNATURE-FORMATS", "legacy");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let signed = |at: usize| evidence["subjects"][at]["signatures"].as_array().unwrap().len();
    assert_eq!((evidence["subjects"].as_array().unwrap().len(), signed(0), signed(1)), (3, 1, 0));
    let referrers = world
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("/referrers/"))
        .count();
    assert_eq!(referrers, 0, "nobody asked for bundles");
}

#[tokio::test]
async fn the_older_format_is_left_out_where_no_log_can_serve_it() {
    let mut world = World::new().await;
    let config = std::fs::read_to_string(world.sandbox.signing_config()).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config.as_object_mut().unwrap().remove("rekorTlogUrls");
    let root = std::fs::read_to_string(world.sandbox.trusted_root()).unwrap();
    let mut root: Value = serde_json::from_str(&root).unwrap();
    root["tlogs"] = Value::Array(Vec::new());
    for (name, input, file) in
        [("config.json", "INPUT_SIGNING-CONFIG", config), ("root.json", "INPUT_TRUSTED-ROOT", root)]
    {
        let path = world.folder.path().join(name);
        std::fs::write(&path, file.to_string()).unwrap();
        world.set(input, path.to_str().unwrap());
    }
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("as bundles alone"), "{}", run.log);
    world.set("INPUT_SIGNATURE-FORMATS", "bundle, legacy");
    let run = world.publish().await;
    assert!(
        run.code == Some(2)
            && run.log.contains("input `signature-formats`: the signing config names no"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn the_signature_of_a_subject_comes_before_its_attestations() {
    let world = World::with(|config| config.referrers_api = false).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.verify(&run.outputs["digest"]).await.unwrap();
    // Under the fallback tag the order of writing is kept.
    let platforms: Value = serde_json::from_str(&run.outputs["platforms"]).unwrap();
    for digest in platforms
        .as_object()
        .unwrap()
        .values()
        .map(|digest| digest.as_str().unwrap())
        .chain([run.outputs["digest"].as_str()])
    {
        let listed = world
            .registry()
            .referrers(&world.repository(), &digest.parse().unwrap())
            .await
            .unwrap();
        let kinds: Vec<&str> = listed
            .iter()
            .filter_map(|entry| entry.annotations.get("dev.sigstore.bundle.predicateType"))
            .map(String::as_str)
            .collect();
        assert_eq!(kinds[0], "https://sigstore.dev/cosign/sign/v1", "{kinds:?}");
        assert!(kinds.len() >= 2, "{kinds:?}");
    }
}

#[tokio::test]
async fn every_repository_gets_image_evidence_and_names() {
    let mut world = World::new().await;
    let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
    let run = world.set("INPUT_IMAGES", &images).publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(run.outputs["tags"].lines().count(), 6);
    let requests = world.sandbox.requests();
    let first_tag = requests
        .iter()
        .position(|request| request.method == "PUT" && request.path.ends_with("/manifests/v1.2.3"))
        .unwrap();
    let last_read = requests
        .iter()
        .rposition(|request| request.path.contains("/v2/mirror/app/referrers/"))
        .unwrap();
    assert!(last_read < first_tag, "all are verified before the first tag is put on any");
    let certificates = requests
        .iter()
        .filter(|request| request.service == SandboxService::Fulcio && request.method == "POST")
        .count();
    assert_eq!(certificates, 1);
}

#[tokio::test]
async fn a_login_is_used_and_never_shown() {
    let world = World::with(|config| {
        config.registry_login = Some(("octo".into(), "hunter2-is-secret".into()))
    })
    .await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let tokens = world
        .sandbox
        .requests()
        .iter()
        .filter(|request| request.path == "/token" && request.service == SandboxService::Registry)
        .count();
    assert_eq!(
        tokens,
        2,
        "one token serves a run, beside that of buildx: {:#?}",
        world.sandbox.requests()
    );
    let unmasked = run
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .any(|line| line.contains("hunter2"));
    assert!(!unmasked, "{}", run.log);
}

#[tokio::test]
async fn without_push_everything_is_built_and_nothing_needs_a_right() {
    let mut world = World::new().await;
    world
        .set("INPUT_PUSH", "false")
        .unset("ACTIONS_ID_TOKEN_REQUEST_URL")
        .unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        .unset("INPUT_TAGS");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("nothing pushed"), "{}", run.log);
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
}

#[tokio::test]
async fn a_single_platform_without_attestations_is_signed_and_attested_on_its_manifest() {
    let mut world = World::new().await;
    world
        .set("INPUT_PLATFORMS", "linux/amd64")
        .set("INPUT_SBOM", "false")
        .set("INPUT_PROVENANCE", "false");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    assert_eq!(evidence["subjects"].as_array().unwrap().len(), 1);
    assert_eq!(
        evidence["subjects"][0]["attestations"][0]["predicateType"],
        "https://slsa.dev/provenance/v1"
    );
}

#[tokio::test]
async fn secrets_reach_the_build_as_files_and_are_gone_afterwards() {
    let mut world = World::new().await;
    let arguments = world.folder.path().join("arguments");
    world
        .set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap())
        .set("INPUT_SECRETS", "token=s3cr3t-value")
        .set("INPUT_BUILD-ARGS", "A=1");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let arguments: Vec<String> =
        serde_json::from_slice(&std::fs::read(arguments).unwrap()).unwrap();
    let secret = arguments.iter().find(|argument| argument.starts_with("id=token,src=")).unwrap();
    assert!(!arguments.iter().any(|argument| argument.contains("s3cr3t")), "{arguments:?}");
    assert!(!std::path::Path::new(secret.trim_start_matches("id=token,src=")).exists());
    assert!(
        !run.log
            .lines()
            .filter(|line| !line.starts_with("::add-mask::"))
            .any(|line| line.contains("s3cr3t")),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn the_build_sees_neither_our_inputs_nor_the_right_to_ask_for_tokens() {
    let mut world = World::new().await;
    let names = world.folder.path().join("environment");
    world
        .set("FAKE_BUILDX_ENVIRONMENT", names.to_str().unwrap())
        .set("INPUT_PASSWORD", "hunter2")
        .set("INPUT_USERNAME", "octo");
    world.publish().await;
    let names = std::fs::read_to_string(names).unwrap();
    assert!(names.lines().any(|name| name.starts_with("GITHUB_SHA=")), "{names}");
    let leaked: Vec<&str> = names
        .lines()
        .filter(|name| name.starts_with("INPUT_") || name.starts_with("ACTIONS_ID_TOKEN_REQUEST_"))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[tokio::test]
async fn a_rerun_on_the_same_image_signs_nothing_twice() {
    let mut world = World::new().await;
    world.set("INPUT_TAGS", "v1\nlatest");
    let first = world.publish().await;
    let logged = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = logged(&world);
    let second = world.publish().await;
    assert_eq!(
        (second.code, &second.outputs["digest"]),
        (Some(0), &first.outputs["digest"]),
        "{}",
        second.log
    );
    assert!(second.log.contains("those that were there are reused"), "{}", second.log);
    assert_eq!((before > 0, logged(&world)), (true, before));
    assert_eq!(second.outputs["evidence"], first.outputs["evidence"]);
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_fetched_from_the_log() {
    let world = World::new().await;
    world.sandbox.faults().add(Fault {
        times: 3,
        ..always(
            SandboxService::Rekor,
            Some("POST"),
            "/api/v1/log/entries",
            FaultEffect::LoseAnswer,
        )
    });
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let requests = world.sandbox.requests();
    let conflicts = requests
        .iter()
        .filter(|request| request.service == SandboxService::Rekor && request.status == 409)
        .count();
    assert_eq!(conflicts, 3, "{requests:#?}");
}

#[tokio::test]
async fn attestations_are_stored_at_github_where_that_is_granted() {
    let mut world = World::new().await;
    let artifacts = world.folder.path().join("artifacts");
    world
        .set("INPUT_GITHUB-TOKEN", "ghs_token")
        .set("GITHUB_ARTIFACTS", artifacts.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("12 attestations stored at GitHub"), "{}", run.log);
    let api = world
        .sandbox
        .environment()
        .into_iter()
        .find(|(name, _)| name == "GITHUB_API_URL")
        .unwrap()
        .1;
    let url = format!("{api}/repos/example/hello/attestations/{}", run.outputs["digest"]);
    let kept: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let mut kinds: Vec<String> = Vec::new();
    for attestation in kept["attestations"].as_array().unwrap() {
        let bundle = attestation["bundle"].to_string();
        let checked = world
            .verifier()
            .check(bundle.as_bytes(), &run.outputs["digest"].parse().unwrap(), &world.signer())
            .unwrap();
        kinds.push(checked.predicate_type);
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "https://cosign.sigstore.dev/attestation/vuln/v1",
            "https://in-toto.io/attestation/vulns/v0.2",
            "https://slsa.dev/provenance/v1",
            "https://spdx.dev/Document"
        ]
    );
    assert_eq!(
        std::fs::read_to_string(artifacts).unwrap(),
        format!("oci://{}\n", run.outputs["image-ref"])
    );
}

#[tokio::test]
async fn github_may_refuse_attestations_unless_they_are_asked_for() {
    let mut world = World::new().await;
    world.sandbox.faults().add(always(
        SandboxService::GitHub,
        Some("POST"),
        "/attestations",
        FaultEffect::Status(403),
    ));
    world.set("INPUT_GITHUB-TOKEN", "ghs_token");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("attestations cannot be stored at GitHub: HTTP 403"), "{}", run.log);
    world.set("INPUT_GITHUB-ATTESTATIONS", "true");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for part in ["input `github-attestations`", "attestations: write"] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
}

#[tokio::test]
async fn what_signatures_say_beside_their_subject_stands_in_both_formats() {
    use base64::Engine as _;
    use supply_action::registry::legacy::Attached;
    let mut world = World::new().await;
    let run =
        world.set("INPUT_SIGNATURE-ANNOTATIONS", "build=7\nteam = platform=core").publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (registry, repository, digest) =
        (world.registry(), world.repository(), run.outputs["digest"].parse().unwrap());
    let wanted = serde_json::json!({ "build": "7", "team": "platform=core" });
    let layers = registry.legacy_layers(&repository, &digest, Attached::Signatures).await.unwrap();
    let payload: Value =
        serde_json::from_slice(&registry.blob(&repository, &layers[0], 10_000).await.unwrap())
            .unwrap();
    assert_eq!((layers.len(), &payload["optional"]), (1, &wanted));
    let mut signatures = 0;
    for referrer in registry.referrers(&repository, &digest).await.unwrap() {
        let manifest = registry.expect_manifest(&repository.at(&referrer.digest)).await.unwrap();
        let bundle = registry
            .blob(&repository, &manifest.image().unwrap().layers[0], 1 << 20)
            .await
            .unwrap();
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let payload = base64::engine::general_purpose::STANDARD
            .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
            .unwrap();
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        let is_signature = statement["predicateType"] == "https://sigstore.dev/cosign/sign/v1";
        signatures += usize::from(is_signature);
        assert_eq!(
            statement["subject"][0].get("annotations"),
            is_signature.then_some(&wanted),
            "{statement}"
        );
    }
    assert_eq!(signatures, 1);
    world.verify(&run.outputs["digest"]).await.unwrap();
    // A rerun signs nothing again, and something else to say is said.
    let signed = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = signed(&world);
    let same = world.publish().await;
    assert!(same.code == Some(0) && signed(&world) == before, "{}", same.log);
    let told = "input `signature-annotations` has no effect";
    assert!(!same.log.contains(told), "{}", same.log);
    for other in ["build=8", ""] {
        let run = world.set("INPUT_SIGNATURE-ANNOTATIONS", other).publish().await;
        assert!(run.code == Some(0) && run.log.contains(told), "{other}: {}", run.log);
        assert_eq!(signed(&world), before, "{other}");
    }
    let run = world
        .set("INPUT_SIGNATURE-ANNOTATIONS", "build=8")
        .set("INPUT_ON-TAG-CONFLICT", "overwrite")
        .publish()
        .await;
    assert!(run.code == Some(0) && signed(&world) > before, "{}", run.log);
    for (wrong, why) in
        [("build", "is not KEY=VALUE"), ("a=1\na=2", "is there twice"), ("=x", "is not KEY=VALUE")]
    {
        let run = world.set("INPUT_SIGNATURE-ANNOTATIONS", wrong).publish().await;
        assert!(run.code == Some(2) && run.log.contains(why), "{wrong}: {}", run.log);
    }
}
