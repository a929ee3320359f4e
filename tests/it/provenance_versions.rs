//! `provenance-versions`: the same provenance in SLSA 1 and 0.2, of builds and of the workflow,
//! demanded by the gate and found by who asks for the older one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use supply_action::sandbox::SandboxService;

use crate::support::{Run, World};
use crate::verify::{said, verify};

const SLSA_1: &str = "https://slsa.dev/provenance/v1";
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const BOTH: (&str, &str) = ("INPUT_PROVENANCE-VERSIONS", "v1,v0.2");

/// The subjects that `evidence` lists, each with the predicates of one type.
async fn predicates(world: &World, evidence: &Value, path: &str, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for subject in evidence["subjects"].as_array().unwrap() {
        let is_wanted =
            |found: &&Value| found["format"] == "bundle" && found["predicateType"] == kind;
        for statement in subject["attestations"].as_array().unwrap().iter().filter(is_wanted) {
            let blob = statement["bundle"].as_str().unwrap();
            let url = format!("http://{}/v2/{path}/blobs/{blob}", world.sandbox.registry());
            let bundle: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
            let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
            let payload: Value =
                serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
            assert_eq!(payload["predicateType"], kind);
            found.push(payload["predicate"].clone());
        }
    }
    found
}

fn evidence(run: &Run) -> Value {
    serde_json::from_str(&run.outputs["evidence"]).unwrap()
}

#[tokio::test]
async fn both_versions_are_signed_and_say_the_same() {
    let mut world = World::new().await;
    world.set("INPUT_TAGS", "v1\nlatest").set(BOTH.0, BOTH.1);
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("provenances in SLSA 1 and 0.2"), "{}", run.log);
    let found = evidence(&run);
    let newer = predicates(&world, &found, "app", SLSA_1).await;
    let older = predicates(&world, &found, "app", SLSA_02).await;
    assert_eq!((newer.len(), older.len()), (3, 3), "of the index and of two platforms");
    let same = |one: &Value, at_one: &str, other: &Value, at_other: &str| {
        let [one, other] = [one.pointer(at_one), other.pointer(at_other)];
        assert!(one.is_some() && one == other, "{at_one} {at_other}: {one:?} {other:?}");
    };
    for (newer, older) in newer.iter().zip(&older) {
        for (at, older_at) in [
            ("/runDetails/builder/id", "/builder/id"),
            ("/runDetails/metadata/invocationId", "/metadata/buildInvocationID"),
        ] {
            same(newer, at, older, older_at);
        }
    }
    // What guides read of the image that a tag names.
    let (index, commit) = (&older[0], world.env["GITHUB_SHA"].as_str());
    let source = &index["invocation"]["configSource"];
    assert_eq!(
        (&source["digest"], &source["entryPoint"], &source["uri"]),
        (
            &json!({ "sha1": commit }),
            &json!(".github/workflows/release.yml"),
            &newer[0]["buildDefinition"]["resolvedDependencies"][0]["uri"],
        )
    );
    assert_eq!(index["materials"][0]["digest"], json!({ "sha1": commit }));
    same(&newer[0], "/buildDefinition/externalParameters", index, "/invocation/parameters");
    assert_eq!(
        (&index["metadata"]["buildStartedOn"], &index["metadata"]["buildFinishedOn"]),
        (&json!("2026-01-02T03:04:05.5Z"), &json!("2026-01-02T03:04:09Z"))
    );
    for (newer, older) in newer[1..].iter().zip(&older[1..]) {
        for (at, older_at) in [
            ("/buildDefinition/externalParameters/request", "/invocation/parameters"),
            (
                "/buildDefinition/internalParameters/builderPlatform",
                "/invocation/environment/platform",
            ),
            (
                "/buildDefinition/externalParameters/configSource/path",
                "/invocation/configSource/entryPoint",
            ),
            ("/runDetails/metadata/startedOn", "/metadata/buildStartedOn"),
        ] {
            same(newer, at, older, older_at);
        }
        assert_eq!(older["buildType"], "https://mobyproject.org/buildkit@v1");
    }
    // A rerun of the same image signs nothing again.
    let logged = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = logged(&world);
    let again = world.publish().await;
    assert_eq!((again.code, logged(&world)), (Some(0), before), "{}", again.log);
    assert_eq!(evidence(&again), found);
}

#[tokio::test]
async fn the_gate_demands_both_and_who_verifies_can_ask_for_either() {
    let mut world = World::new().await;
    let alone = world.publish().await;
    assert_eq!(alone.code, Some(0), "{}", alone.log);
    let types = evidence(&alone).to_string();
    assert!(types.contains(SLSA_1) && !types.contains(SLSA_02), "{types}");
    let plan = async |world: &World| -> Value {
        let output = world.command().args(["plan", "--json"]).output().await.unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let demands = |plan: &Value, at: usize| {
        plan["subjects"][at]["predicateTypes"].as_array().unwrap().contains(&json!(SLSA_02))
    };
    let without = plan(&world).await;
    assert!(!demands(&without, 0) && !demands(&without, 1), "{without}");
    let with = plan(world.set(BOTH.0, BOTH.1)).await;
    assert!(demands(&with, 0) && demands(&with, 1), "{with}");
    // What another run of this commit left in one version is not what is asked for now.
    let both = world.set("INPUT_TAGS", "both").publish().await;
    assert_eq!(both.code, Some(0), "{}", both.log);
    let (identity, image) = (world.identity().0, both.outputs["image-ref"].as_str());
    let required = format!("platforms={SLSA_02}");
    let index = format!("index={SLSA_02},provenance");
    let who = ["--certificate-identity", &identity, "--require", &required, "--require", &index];
    let output = verify(&world, &[&who[..], &[image]].concat()).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(both.summary.contains("verify-attestation --type slsaprovenance "), "{}", both.summary);
}

#[tokio::test]
async fn merge_and_bake_sign_both_too() {
    let world = World::new().await;
    let leg = [("INPUT_PUSH-BY-DIGEST", "true"), BOTH];
    let job = world.run(&[], &leg).await;
    assert_eq!(job.code, Some(0), "{}", job.log);
    assert!(
        job.log.contains("input `provenance-versions` is not used: `merge` signs"),
        "{}",
        job.log
    );
    let digests = [("INPUT_DIGESTS", job.outputs["digest"].as_str()), BOTH];
    let merged = world.run(&["merge"], &digests).await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);
    assert_eq!(predicates(&world, &evidence(&merged), "app", SLSA_02).await.len(), 3);
    // Where no build says anything, the workflow still does, but not when it was built.
    let bare = [
        ("INPUT_PUSH-BY-DIGEST", "true"),
        ("INPUT_PROVENANCE", "false"),
        ("FAKE_BUILDX_SALT", "bare"),
    ];
    let job = world.run(&[], &bare).await;
    let digests = [
        ("INPUT_DIGESTS", job.outputs["digest"].as_str()),
        ("INPUT_PROVENANCE", "false"),
        ("INPUT_TAGS", "bare"),
        BOTH,
    ];
    let merged = world.run(&["merge"], &digests).await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);
    let older = predicates(&world, &evidence(&merged), "app", SLSA_02).await;
    assert_eq!((older.len(), older[0]["metadata"].get("buildStartedOn")), (1, None));

    let baked = crate::bake::succeeds(&crate::bake::world().await, &[BOTH]).await;
    let types = baked.outputs["evidence"].matches(SLSA_02).count();
    assert_eq!(types, baked.outputs["evidence"].matches(SLSA_1).count(), "{types}");
    assert!(types > 0);
}

#[tokio::test]
async fn version_1_is_always_signed_and_others_are_refused() {
    let world = World::new().await;
    for (versions, why) in [
        ("v0.2", "version 1 is always signed"),
        ("v1,v2", "`v2` is neither `v1` nor `v0.2`"),
        ("v1,0.2", "`0.2` is neither `v1` nor `v0.2`"),
    ] {
        let run = world.run(&[], &[("INPUT_PROVENANCE-VERSIONS", versions)]).await;
        assert!(
            run.code == Some(2)
                && run.log.contains("input `provenance-versions`: ")
                && run.log.contains(why),
            "{versions}: {}",
            run.log
        );
    }
    assert!(world.beyond_questions().is_empty());
}
