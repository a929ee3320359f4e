//! Jobs that push by digest, and the one that makes an image of what they pushed.

use serde_json::{Value, json};
use supply_action::image::Digest;
use supply_action::sandbox::{Fault, FaultEffect, Habit, SandboxService};

use crate::support::{Run, World, always};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A job that builds these platforms.
async fn job(world: &World, platforms: &str, change: &[(&str, &str)]) -> Run {
    let own = [("INPUT_PLATFORMS", platforms), ("INPUT_PUSH-BY-DIGEST", "true")];
    let run = world.run(&[], &[&own, change].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    run
}

/// The job that merges; what the world says of builds is ignored.
async fn merge(world: &World, digests: &str, change: &[(&str, &str)]) -> Run {
    world.run(&["merge"], &[&[("INPUT_DIGESTS", digests)], change].concat()).await
}

/// Both platforms, each by a job, as `toJSON(needs)` tells of them.
async fn needs(world: &World, change: &[(&str, &str)]) -> String {
    let mut needs = json!({ "test": { "result": "success", "outputs": {} } });
    for (name, platform) in [("amd", "linux/amd64"), ("arm", "linux/arm64")] {
        let run = job(world, platform, change).await;
        needs[name] = json!({ "result": "success", "outputs": { "digests": run.outputs["digests"], "image": run.outputs["image"] } });
    }
    needs.to_string()
}

async fn manifest(world: &World, digest: &str) -> Value {
    serde_json::from_slice(&bytes(world, digest).await).unwrap()
}

async fn bytes(world: &World, digest: &str) -> Vec<u8> {
    let image = world.repository().at(&digest.parse().unwrap());
    world.registry().expect_manifest(&image).await.unwrap().bytes
}

/// Puts an index of the test's own under its digest.
async fn put(world: &World, index: &Value) -> String {
    let bytes = index.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    let url = format!("http://{}/v2/app/manifests/{digest}", world.sandbox.registry());
    let answer = reqwest::Client::new()
        .put(url)
        .header("content-type", INDEX)
        .body(bytes)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    digest.to_string()
}

/// Merges, and checks that it failed with these words and tagged nothing.
async fn refused(world: &World, digests: &str, change: &[(&str, &str)], words: &[&str]) {
    let run = merge(world, digests, change).await;
    assert_ne!(run.code, Some(0), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
    }
    world.sandbox.faults().clear();
    assert_eq!(world.tags().await.len(), 0, "{}", run.log);
    assert!(run.outputs.is_empty(), "{:?}", run.outputs);
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_job_pushes_by_digest_without_a_name_without_evidence_and_without_an_identity() {
    let mut world = World::new().await;
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL").unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let folder = world.folder.path().join("digests/here");
    let run =
        job(&world, "linux/amd64,linux/arm64", &[("INPUT_DIGEST-FILES", folder.to_str().unwrap())])
            .await;
    let digest = run.outputs["digest"].as_str();
    assert_eq!(
        serde_json::from_str::<Value>(&run.outputs["digests"]).unwrap(),
        json!({ "linux/amd64": digest, "linux/arm64": digest })
    );
    assert!(
        run.log.contains("Plan:       push by digest")
            && run.log.contains("Needs:      contents: read, packages: write\n"),
        "{}",
        run.log
    );
    let files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, [digest.trim_start_matches("sha256:")]);
    assert_eq!(world.all_tags().await.len(), 0);
    assert!(world.sandbox.requests().iter().all(|request| {
        [SandboxService::Registry, SandboxService::GitHub].contains(&request.service)
    }));
    assert!(!world.sandbox.requests().iter().any(|request| request.path.contains("/referrers/")));
    let index = manifest(&world, digest).await;
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4, "images and attestations: {index}");
}

#[tokio::test]
async fn a_plan_says_that_a_push_by_digest_names_and_signs_nothing() {
    let world = World::new().await;
    let plan = world
        .command()
        .args(["plan", "--json"])
        .env("INPUT_PUSH-BY-DIGEST", "true")
        .output()
        .await
        .unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!((&plan["decision"], &plan["subjects"]), (&json!("push-by-digest"), &json!([])));
    assert_eq!(plan["permissions"], json!(["contents: read", "packages: write"]));
    let output = plan["buildx"]
        .as_array()
        .unwrap()
        .iter()
        .any(|word| word.as_str().unwrap().contains("push-by-digest=true"));
    assert!(output && world.beyond_questions().is_empty(), "{plan}");
}

#[tokio::test]
async fn what_two_jobs_pushed_becomes_the_image_that_one_would_have_made() {
    let world = World::new().await;
    let needs = needs(&world, &[]).await;
    assert_eq!(world.all_tags().await.len(), 0);
    let run = merge(&world, &needs, &[("INPUT_PLATFORMS", "linux/amd64,linux/arm64")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let digest = run.outputs["digest"].clone();
    for part in [
        "Plan:       merge and publish",
        "for linux/amd64 (job `amd`)",
        "input `context` belongs to the jobs that build",
    ] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
    let tags = world.tags().await;
    assert!(tags.len() == 3 && tags.values().all(|named| *named == digest), "{tags:?}");
    world.verify(&digest).await.unwrap();
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    assert_eq!(evidence["subjects"].as_array().unwrap().len(), 5);
    assert!(
        run.summary.contains(&digest) && run.summary.contains("linux/arm64"),
        "{}",
        run.summary
    );
    let whole = world.run(&[], &[("INPUT_TAGS", "whole")]).await;
    assert_eq!(manifest(&world, &digest).await, manifest(&world, &whole.outputs["digest"]).await);
    let image = |run: &Run| (run.outputs["image"].clone(), run.outputs["platforms"].clone());
    assert_eq!(image(&run), image(&whole));
}

#[tokio::test]
async fn a_rerun_of_merge_signs_nothing_twice() {
    let world = World::new().await;
    let needs = needs(&world, &[]).await;
    let tags = [("INPUT_TAGS", "v1\nlatest")];
    let first = merge(&world, &needs, &tags).await;
    let logged = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = logged(&world);
    let second = merge(&world, &needs, &tags).await;
    assert_eq!(
        (second.code, &second.outputs["evidence"]),
        (Some(0), &first.outputs["evidence"]),
        "{}",
        second.log
    );
    assert_eq!((before > 0, logged(&world)), (true, before));
    assert!(second.log.contains("those that were there are reused"), "{}", second.log);
}

#[tokio::test]
async fn a_rerun_of_all_jobs_keeps_the_version_that_the_first_published() {
    let world = World::new().await;
    let first = merge(&world, &needs(&world, &[]).await, &[]).await;
    let again = needs(&world, &[("FAKE_BUILDX_SALT", "times differ")]).await;
    let second = merge(&world, &again, &[]).await;
    assert_eq!(
        (second.code, &second.outputs["digest"]),
        (Some(0), &first.outputs["digest"]),
        "{}",
        second.log
    );
    assert!(second.log.contains("nothing is built"), "{}", second.log);
    assert!(world.tags().await.values().all(|digest| *digest == first.outputs["digest"]));
}

#[tokio::test]
async fn three_jobs_one_of_them_with_two_platforms_by_files() {
    let world = World::new().await;
    let folder = world.folder.path().join("digests");
    let digests = [("INPUT_DIGEST-FILES", folder.to_str().unwrap())];
    for platforms in ["linux/arm64,linux/amd64", "linux/s390x", "linux/riscv64"] {
        job(
            &world,
            platforms,
            &[digests.as_slice(), &[("FAKE_BUILDX", "every-platform")]].concat(),
        )
        .await;
    }
    let order = "linux/riscv64\nlinux/amd64\nlinux/arm64\nlinux/s390x";
    let run = merge(&world, "", &[digests[0], ("INPUT_PLATFORMS", order)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let index = manifest(&world, &run.outputs["digest"]).await;
    let architectures: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(
        architectures,
        ["riscv64", "amd64", "arm64", "s390x", "unknown", "unknown", "unknown", "unknown"]
    );
    let reference =
        |at: usize| index["manifests"][at]["annotations"]["vnd.docker.reference.digest"].clone();
    assert_eq!(
        [4, 5, 6, 7].map(reference),
        [0, 1, 2, 3].map(|at| index["manifests"][at]["digest"].clone())
    );
}

#[tokio::test]
async fn what_one_job_pushed_whole_stays_as_it_is() {
    let world = World::new().await;
    let pushed = job(&world, "linux/amd64,linux/arm64", &[]).await;
    let run = merge(&world, &pushed.outputs["digests"], &[]).await;
    assert_eq!(
        (run.code, &run.outputs["digest"]),
        (Some(0), &pushed.outputs["digest"]),
        "{}",
        run.log
    );
    assert!(run.log.contains("cannot notice a missing platform"), "{}", run.log);
    world.verify(&run.outputs["digest"]).await.unwrap();
}

#[tokio::test]
async fn images_without_attestations_are_merged_where_that_is_asked_for() {
    let world = World::new().await;
    let without = [("INPUT_SBOM", "false"), ("INPUT_PROVENANCE", "false")];
    let needs = needs(&world, &without).await;
    refused(
        &world,
        &needs,
        &[],
        &[
            "was pushed without `https://spdx.dev/Document` and `https://slsa.dev/provenance/v1`",
            "or set `sbom: registry`, which makes SBOMs here, or `sbom: false`",
        ],
    )
    .await;
    let run = merge(&world, &needs, &without).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let index = String::from_utf8(bytes(&world, &run.outputs["digest"]).await).unwrap();
    assert!(index.starts_with("{\n  \"schemaVersion\": 2,\n  \"mediaType\""), "{index}");
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(
        index["manifests"][1]["platform"],
        json!({ "architecture": "arm64", "os": "linux" })
    );
}

#[tokio::test]
async fn annotations_of_the_jobs_are_kept_and_may_not_disagree() {
    let world = World::new().await;
    let mut annotated = Vec::new();
    for (platform, source) in
        [("linux/amd64", "here"), ("linux/arm64", "here"), ("linux/arm64", "there")]
    {
        let pushed = job(&world, platform, &[]).await;
        let mut index = manifest(&world, &pushed.outputs["digest"]).await;
        index["annotations"] = json!({ "source": source, "of": "all" });
        annotated.push(json!({ platform: put(&world, &index).await }));
    }
    let disagreeing = json!([annotated[0], annotated[2]]).to_string();
    refused(
        &world,
        &disagreeing,
        &[],
        &["annotation `source` is `", "hint: say which it is with `annotations`"],
    )
    .await;
    for (digests, given, expected) in [
        (
            json!([annotated[0], annotated[1]]).to_string(),
            "",
            json!({ "of": "all", "source": "here" }),
        ),
        (
            disagreeing,
            "source=<both>\nbase=x",
            json!({ "base": "x", "of": "all", "source": "<both>" }),
        ),
    ] {
        let run = merge(
            &world,
            &digests,
            &[("INPUT_ANNOTATIONS", given), ("INPUT_ON-TAG-CONFLICT", "overwrite")],
        )
        .await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert_eq!(manifest(&world, &run.outputs["digest"]).await["annotations"], expected);
    }
}

#[tokio::test]
async fn images_that_are_not_what_they_are_said_to_be_are_refused() {
    let world = World::new().await;
    let [amd, arm, both] = [
        job(&world, "linux/amd64", &[]).await.outputs["digest"].clone(),
        job(&world, "linux/arm64", &[]).await.outputs["digest"].clone(),
        job(&world, "linux/amd64,linux/arm64", &[]).await.outputs["digest"].clone(),
    ];
    let other =
        job(&world, "linux/amd64", &[("FAKE_BUILDX_SALT", "other")]).await.outputs["digest"]
            .clone();
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let registry = world.sandbox.registry();
    let wanted = [("INPUT_PLATFORMS", "linux/amd64,linux/arm64")];
    for (digests, change, words) in [
        (
            json!({ "linux/arm64": amd }),
            &[][..],
            &[
                "is the image of `linux/amd64`, but input `digests` says that it is of `linux/arm64`",
            ][..],
        ),
        (
            json!({ "linux/amd64": both }),
            &[],
            &["holds `linux/amd64`, `linux/arm64`, which is more than its job declares"],
        ),
        (json!([amd, other]), &[], &["there are two images of `linux/amd64`"]),
        (json!([amd, both]), &[], &["there are two images of `linux/amd64`"]),
        (
            json!([amd]),
            &wanted,
            &[
                "no job pushed an image of `linux/arm64`",
                "hint: the legs of a matrix overwrite one another's outputs",
            ],
        ),
        (
            json!([both]),
            &[("INPUT_PLATFORMS", "linux/amd64")],
            &["pushed an image of `linux/arm64`, which `platforms` does not list"],
        ),
        (
            json!([amd, nowhere]),
            &[],
            &[
                "is not in the registry",
                "hint: give merge and the jobs that build the same `images`",
            ],
        ),
        (json!([format!("{registry}/other@{amd}")]), &[], &["lies in none of `images`"]),
        (json!({ "linux/amd64": "v1" }), &[], &["input `digests`", "a tag may move"]),
        (json!([format!("{registry}/app:v1")]), &[], &["a tag may move"]),
        (
            json!({ "a": { "result": "failure", "outputs": {} } }),
            &[],
            &["job `a` ended with `failure`"],
        ),
        (
            json!({ "a": { "result": "success", "outputs": {} } }),
            &[],
            &["no job passed on a digest", "toJSON(needs)"],
        ),
    ] {
        refused(&world, &digests.to_string(), change, words).await;
    }
    // Everything that is wrong is told at once.
    let all = json!({ "linux/arm64": amd, "linux/s390x": arm, "linux/386": nowhere }).to_string();
    refused(&world, &all, &[], &["3 problems"]).await;
    let signed =
        world.sandbox.requests().iter().any(|request| request.service == SandboxService::Fulcio);
    assert!(!signed, "nothing was signed");
}

#[tokio::test]
async fn indexes_that_nobody_built_are_refused() {
    let world = World::new().await;
    let pushed = job(&world, "linux/amd64", &[]).await.outputs["digest"].clone();
    let whole = manifest(&world, &pushed).await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut index = whole.clone();
        change(&mut index);
        index
    };
    for (index, why) in [
        (
            changed(&|index| index["manifests"][0]["platform"]["architecture"] = json!("arm64")),
            "its config says `linux/amd64`",
        ),
        (changed(&|index| index["manifests"][0]["size"] = json!(7)), "has 7 bytes"),
        (
            changed(&|index| drop(index["manifests"].as_array_mut().unwrap().remove(0))),
            "which is not one of its images",
        ),
        (
            changed(&|index| {
                index["manifests"][1]["annotations"]["vnd.docker.reference.digest"] =
                    json!("sha256:00")
            }),
            "which is not one of its images",
        ),
        (
            changed(&|index| drop(index["manifests"].as_array_mut().unwrap().remove(1))),
            "was pushed without `https://spdx.dev/Document`",
        ),
        (
            changed(&|index| index["manifests"][1]["annotations"] = json!({})),
            "neither an image nor attestations",
        ),
        (
            changed(&|index| {
                drop(index["manifests"][0].as_object_mut().unwrap().remove("platform"))
            }),
            "an entry without a platform",
        ),
        (changed(&|index| index["manifests"] = json!([])), "holds no image"),
        (
            changed(&|index| {
                let again = index["manifests"][1].clone();
                index["manifests"].as_array_mut().unwrap().push(again);
            }),
            "several manifests of attestations",
        ),
    ] {
        let digest = put(&world, &index).await;
        refused(&world, &digest, &[], &["nothing was tagged", why]).await;
    }
    let bytes = serde_json::to_vec(&whole).unwrap().len();
    let nested = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": INDEX, "digest": put(&world, &whole).await, "size": bytes, "platform": { "os": "linux", "architecture": "amd64" } },
    ] });
    let digest = put(&world, &nested).await;
    refused(&world, &digest, &[], &["another index"]).await;
}

#[tokio::test]
async fn a_registry_that_refuses_or_lies_is_not_taken_for_an_empty_one() {
    let world = World::new().await;
    let needs = needs(&world, &[]).await;
    for (effect, words) in [
        (FaultEffect::Status(403), &["403", "hint: use a login that has permission"][..]),
        (FaultEffect::StatusRetryAfter(429, 0), &["429", "limits requests"]),
        (FaultEffect::Status(401), &["401", "hint: give credentials"]),
        (FaultEffect::Corrupt, &["does not hash to its digest"]),
    ] {
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            "/manifests/sha256:",
            effect,
        ));
        refused(&world, &needs, &[], words).await;
    }
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/blobs/sha256:",
        FaultEffect::Corrupt,
    ));
    refused(&world, &needs, &[], &["does not hash to its digest"]).await;
}

#[tokio::test]
async fn a_second_repository_gets_its_images_by_mounting_them() {
    let world = World::new().await;
    let needs = needs(&world, &[]).await;
    let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
    let run = merge(&world, &needs, &[("INPUT_IMAGES", &images)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(run.outputs["tags"].lines().count(), 6);
    let mounted = world
        .sandbox
        .requests()
        .iter()
        .filter(|request| request.query.as_deref().is_some_and(|query| query.contains("mount=")))
        .count();
    assert!(mounted >= 4, "{mounted}");
}

#[tokio::test]
async fn a_registry_that_mounts_nothing_is_sent_the_bytes() {
    let world = World::with(|config| {
        config.habit = Some(Habit::Ecr);
        config.registry_login = Some(("AWS".into(), "password".into()));
    })
    .await;
    let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
    let everywhere = [("INPUT_IMAGES", images.as_str())];
    let alone = needs(&world, &[]).await;
    let run = merge(&world, &alone, &everywhere).await;
    assert_eq!((run.code, run.outputs["tags"].lines().count()), (Some(0), 6), "{}", run.log);
    assert!(run.log.contains("4 manifests moved; ") && run.log.contains(" sent"), "{}", run.log);
    // Jobs that push everywhere leave nothing to do.
    let needs = needs(&world, &everywhere).await;
    let again = [&everywhere[..], &[("INPUT_TAGS", "again")]].concat();
    let run = merge(&world, &needs, &again).await;
    assert!(run.code == Some(0) && !run.log.contains(" moved"), "{}", run.log);
}

#[tokio::test]
async fn a_pull_request_is_built_and_merges_nothing() {
    let mut world = World::new().await;
    world
        .set("GITHUB_EVENT_NAME", "pull_request")
        .set("GITHUB_REF", "refs/pull/7/merge")
        .unset("INPUT_TAGS");
    let run = world.run(&[], &[("INPUT_PUSH-BY-DIGEST", "true")]).await;
    assert!(run.code == Some(0) && !run.outputs.contains_key("digests"), "{}", run.log);
    let needs = json!({ "build": { "result": "success", "outputs": {} } }).to_string();
    let run = merge(&world, &needs, &[]).await;
    assert!(
        run.code == Some(0) && run.log.contains("Plan:       merge nothing: a pull request"),
        "{}",
        run.log
    );
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_request_fails_no_merged_name_is_without_proof() {
    let total = {
        let world = World::new().await;
        let needs = needs(&world, &[]).await;
        let before = world.sandbox.requests().len();
        assert_eq!(merge(&world, &needs, &[]).await.code, Some(0));
        world.sandbox.requests()[before..]
            .iter()
            .filter(|request| request.service == SandboxService::Registry)
            .count()
    };
    assert!(total > 40, "{total}");
    let mut partly = 0;
    for skip in (0..total).filter(|skip| skip % 13 == 0 || skip + 12 > total) {
        let world = World::new().await;
        let needs = needs(&world, &[]).await;
        let fault =
            Fault { skip, ..always(SandboxService::Registry, None, "", FaultEffect::Status(403)) };
        world.sandbox.faults().add(fault);
        let run = merge(&world, &needs, &[]).await;
        world.sandbox.faults().clear();
        let tags = world.tags().await;
        for digest in tags.values() {
            let proven = world.verify(digest).await;
            proven.unwrap_or_else(|error| {
                panic!(
                    "after {skip} requests `{digest}` has a name and no proof: {error:#}\n{}",
                    run.log
                )
            });
        }
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
