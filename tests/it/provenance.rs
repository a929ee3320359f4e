//! What builds say of themselves, true and false, and whether it is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use supply_action::sandbox::SandboxService;

use crate::support::{Run, World};

const KIND: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

fn predicate(source: &Value, builder: &Value) -> Value {
    json!({ "buildDefinition": { "buildType": KIND, "externalParameters": { "configSource": source } }, "runDetails": { "builder": builder } })
}

fn git(address: &str, commit: &str) -> Value {
    json!({ "uri": address, "digest": { "sha1": commit } })
}

fn commit(world: &World) -> String {
    world.env["GITHUB_SHA"].clone()
}

/// Nothing was signed, nothing was named, and this was said.
async fn refused(world: &World, run: &Run, words: &[&str]) {
    assert_ne!(run.code, Some(0), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
    }
    let signed = world
        .sandbox
        .requests()
        .iter()
        .filter(|request| request.service == SandboxService::Rekor)
        .count();
    assert_eq!((signed, world.tags().await.len()), (0, 0), "{}", run.log);
}

/// What one job pushed with this provenance, merged.
async fn merged(world: &World, provenance: &Value, change: &[(&str, &str)]) -> Run {
    let mode = format!("provenance:{provenance}");
    let job = world
        .run(
            &[],
            &[
                ("INPUT_PLATFORMS", "linux/amd64"),
                ("INPUT_PUSH-BY-DIGEST", "true"),
                ("FAKE_BUILDX", &mode),
            ],
        )
        .await;
    assert_eq!(job.code, Some(0), "{}", job.log);
    world
        .run(
            &["merge"],
            &[
                &[
                    ("INPUT_DIGESTS", job.outputs["digest"].as_str()),
                    ("INPUT_PLATFORMS", "linux/amd64"),
                ],
                change,
            ]
            .concat(),
        )
        .await
}

/// The predicates of the provenances that are signed about a digest.
async fn signed(world: &World, digest: &str) -> Vec<Value> {
    let repository = world.repository();
    let mut found = Vec::new();
    for referrer in world.registry().referrers(&repository, &digest.parse().unwrap()).await.unwrap()
    {
        let manifest = world
            .registry()
            .expect_manifest(&repository.at(&referrer.digest))
            .await
            .unwrap()
            .image()
            .unwrap();
        let bundle =
            world.registry().blob(&repository, &manifest.layers[0], 1 << 24).await.unwrap();
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let Some(payload) = bundle["dsseEnvelope"]["payload"].as_str() else { continue };
        let statement: Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
        if statement["predicateType"] == "https://slsa.dev/provenance/v1" {
            found.push(statement["predicate"].clone());
        }
    }
    found
}

#[tokio::test]
async fn refuses_provenance_without_a_source_or_of_another_source_before_signing() {
    let world = World::new().await;
    let elsewhere = git("https://github.com/mallory/evil.git#refs/heads/main", &"f".repeat(40));
    let this = format!("https://github.com/{}.git", world.env["GITHUB_REPOSITORY"]);
    for (provenance, reason) in [
        (json!({}), "its `buildDefinition` is missing"),
        (json!({ "anything": "goes" }), "its `buildDefinition` is missing"),
        (
            json!({ "buildDefinition": { "buildType": "https://mallory.example/make@v1" } }),
            "its build type is `https://mallory.example/make@v1`",
        ),
        (
            predicate(&elsewhere, &json!({ "id": "https://mallory.example/laptop" })),
            "it names `https://github.com/mallory/evil.git#refs/heads/main`",
        ),
        (predicate(&git(&this, &"f".repeat(40)), &json!({})), "but this run builds"),
        (predicate(&json!({ "uri": this }), &json!({})), "but this run builds"),
        (
            predicate(&json!({ "URI": this }), &json!({})),
            "has `URI`, which other programs take for `uri`",
        ),
        (predicate(&json!("x"), &json!({})), "is not an object"),
        (
            predicate(
                &json!({}),
                &json!({ "id": "https://github.com/mallory/evil/actions/runs/1/attempts/1" }),
            ),
            "a run of another repository",
        ),
    ] {
        let run = merged(&world, &provenance, &[]).await;
        refused(&world, &run, &["nothing was tagged", "is not accepted", reason]).await;
    }
    let run = merged(&world, &predicate(&elsewhere, &json!({})), &[]).await;
    refused(
        &world,
        &run,
        &["name that source with `build-source` if it was built from there on \
        purpose"],
    )
    .await;
}

#[tokio::test]
async fn publishes_a_foreign_build_only_with_build_source_and_names_it_as_foreign() {
    let world = World::new().await;
    let theirs = "https://github.com/mallory/evil.git#refs/heads/main";
    let provenance = predicate(
        &git(theirs, &"f".repeat(40)),
        &json!({ "id": "https://mallory.example/laptop" }),
    );
    let other =
        merged(&world, &provenance, &[("INPUT_BUILD-SOURCE", "https://github.com/mallory/good")])
            .await;
    refused(&world, &other, &["but `build-source` is `https://github.com/mallory/good`"]).await;
    let nobody = merged(
        &world,
        &predicate(&git(theirs, &"f".repeat(40)), &json!({})),
        &[("INPUT_BUILD-SOURCE", theirs)],
    )
    .await;
    refused(&world, &nobody, &["it names no builder"]).await;
    // Of one version the second run would keep what the first published.
    for (declared, tag) in [("https://github.com/Mallory/Evil", "one"), ("any", "two")] {
        let run =
            merged(&world, &provenance, &[("INPUT_BUILD-SOURCE", declared), ("INPUT_TAGS", tag)])
                .await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert!(
            run.log.contains("is built from `https://github.com/mallory/evil.git#refs/heads/main`, not from this run's commit"),
            "{}",
            run.log
        );
        assert!(
            run.summary.contains(
                "built from elsewhere | `https://github.com/mallory/evil.git#refs/heads/main`"
            ),
            "{}",
            run.summary
        );
        let workflow = signed(&world, &run.outputs["digest"]).await;
        let foreign = &workflow[0]["buildDefinition"]["resolvedDependencies"][1];
        assert_eq!(
            (&foreign["uri"], &foreign["digest"]["sha1"]),
            (&json!(theirs), &json!("f".repeat(40))),
            "{workflow:?}"
        );
    }
}

#[tokio::test]
async fn accepts_its_own_source_adds_a_builder_and_reports_a_needless_build_source() {
    let world = World::new().await;
    let address = format!(
        "https://github.com/{}.git#{}",
        world.env["GITHUB_REPOSITORY"].to_uppercase(),
        commit(&world)
    );
    let provenance =
        predicate(&git(&address, &commit(&world)), &json!({ "id": "", "version": {} }));
    let run = merged(&world, &provenance, &[("INPUT_BUILD-SOURCE", "any")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("input `build-source` has no effect"), "{}", run.log);
    assert!(!run.summary.contains("built from elsewhere"), "{}", run.summary);
    let platforms: Value = serde_json::from_str(&run.outputs["platforms"]).unwrap();
    let found = signed(&world, platforms["linux/amd64"].as_str().unwrap()).await;
    let id = found[0]["runDetails"]["builder"]["id"].as_str().unwrap();
    assert!(
        id.starts_with(&format!(
            "https://github.com/{}/actions/runs/",
            world.env["GITHUB_REPOSITORY"]
        )),
        "{id}"
    );
    let mut rest = found[0].clone();
    rest["runDetails"]["builder"]["id"] = json!("");
    assert_eq!(rest, provenance);
}

#[tokio::test]
async fn a_build_of_this_run_must_have_built_what_its_context_names() {
    let mut world = World::new().await;
    let with = |provenance: &Value| format!("provenance:{provenance}");
    let evil = git("https://github.com/mallory/evil.git#main", &"f".repeat(40));
    // A folder of the job has no source.
    let run = world.run(&[], &[("FAKE_BUILDX", &with(&predicate(&evil, &json!({}))))]).await;
    refused(
        &world,
        &run,
        &[
            "the provenance that the build made for `linux/amd64` is not signed",
            "the context is files of this job",
        ],
    )
    .await;
    let run = world.run(&[], &[("FAKE_BUILDX", &with(&json!({})))]).await;
    refused(&world, &run, &["its `buildDefinition` is missing"]).await;
    // The default is the commit of the run, here a folder of it.
    world.set("INPUT_CONTEXT", "");
    for source in [json!({}), evil.clone()] {
        let run = world.run(&[], &[("FAKE_BUILDX", &with(&predicate(&source, &json!({}))))]).await;
        refused(&world, &run, &["but the context is `https://github.com/"]).await;
    }
    for context in ["", "{{defaultContext}}:images/app", "https://github.com/octo/other.git#v1"] {
        let run = world.run(&[], &[("INPUT_CONTEXT", context), ("INPUT_TAGS", "v1")]).await;
        assert_eq!(run.code, Some(0), "{context}: {}", run.log);
        assert_eq!(
            run.summary.contains("built from elsewhere"),
            context.contains("octo/other"),
            "{context}: {}",
            run.summary
        );
    }
}

#[tokio::test]
async fn an_sbom_without_packages_is_held_against_the_image() {
    let world = World::new().await;
    for (mode, words) in [
        ("empty-sbom", "it lists 0 packages, and the image holds 2 packages, such as `base`"),
        (
            "image-sbom",
            "the databases of the image's operating system list 1 package, such as `base`",
        ),
    ] {
        let run = world.run(&[], &[("FAKE_BUILDX", mode)]).await;
        refused(
            &world,
            &run,
            &["the SBOM that came with `linux/amd64` is not signed", words, "set `sbom: registry`"],
        )
        .await;
    }
    let file = world.folder.path().join("own.json");
    let own = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [], "metadata": { "component": { "type": "container", "name": "x" } } });
    std::fs::write(&file, own.to_string()).unwrap();
    let run = world.run(&[], &[("INPUT_SBOM", file.to_str().unwrap())]).await;
    refused(&world, &run, &["is not attested to `linux/amd64`", "it lists 0 packages"]).await;
}
