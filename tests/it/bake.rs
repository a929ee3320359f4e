//! Several targets of a bake file: built together, proven with one certificate, named only when all
//! of them are verified.

use serde_json::{Value, json};
use supply_action::image::ImageRef;
use supply_action::sandbox::{Fault, FaultEffect, SandboxService};

use crate::support::{Run, World, always};

/// Two targets that publish, and one that the first is built from.
fn targets(world: &World) -> Value {
    let host = world.sandbox.registry();
    json!({
        "base": { "context": ".", "output": [{ "type": "cacheonly" }], "attest": [{ "type": "sbom", "generator": "theirs" }] },
        "api": {
            "context": ".",
            "contexts": { "base": "target:base" },
            "platforms": ["linux/amd64", "linux/arm64"],
            "tags": [format!("{host}/api:latest"), format!("{host}/api:1.2.3")],
        },
        "web": { "context": ".", "platforms": ["linux/amd64"], "tags": [format!("{host}/web:1.2.3"), format!("{host}/web:1"), format!("{host}/mirror/web:1.2.3")] },
    })
}

/// A world with a bake file in place of one image's names.
async fn world_with(change: impl FnOnce(&mut Value, &World)) -> World {
    let mut world = World::new().await;
    let mut definition = json!({ "group": { "default": { "targets": ["all"] }, "all": { "targets": ["api", "web"] } }, "target": targets(&world) });
    change(&mut definition, &world);
    let folder = world.folder.path().join("context");
    std::fs::write(folder.join("docker-bake.json"), definition.to_string()).unwrap();
    for one_image in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT"] {
        world.unset(one_image);
    }
    world.set("INPUT_SOURCE", folder.to_str().unwrap());
    world
}

pub(crate) async fn world() -> World {
    world_with(|_, _| {}).await
}

async fn bake(world: &World, change: &[(&str, &str)]) -> Run {
    world.run(&["bake"], change).await
}

pub(crate) async fn succeeds(world: &World, change: &[(&str, &str)]) -> Run {
    let run = bake(world, change).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    run
}

#[tokio::test]
async fn each_target_has_a_folder_of_its_own_for_its_evidence() {
    let world = world().await;
    let dir = world.folder.path().join("evidence");
    succeeds(&world, &[("INPUT_EVIDENCE-DIR", dir.to_str().unwrap())]).await;
    let names = |folder: &std::path::Path| {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&dir), ["api", "web"]);
    assert!(names(&dir.join("api")).contains(&"linux-arm64.sbom.spdx.json".to_owned()));
    assert!(!names(&dir.join("web")).iter().any(|name| name.contains("arm64")));
}

/// Every name there is, in any of the repositories.
async fn names(world: &World) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for path in ["api", "web", "mirror/web"] {
        names.extend(
            world
                .tags_of(path)
                .await
                .into_iter()
                .map(|(tag, digest)| (format!("{path}:{tag}"), format!("{path}@{digest}"))),
        );
    }
    names
}

/// Bakes, and checks that it failed with these words, told nothing to later steps, and named
/// nothing.
async fn refused(world: &World, change: &[(&str, &str)], words: &[&str]) -> Run {
    let run = bake(world, change).await;
    assert_ne!(run.code, Some(0), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in:\n{}", run.log);
    }
    world.sandbox.faults().clear();
    assert_eq!(names(world).await, [], "{}", run.log);
    assert!(
        run.outputs.is_empty() && run.summary.starts_with("## ❌ Nothing was "),
        "{:?} {}",
        run.outputs,
        run.summary
    );
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    run
}

async fn verify(world: &World, image: &str, platforms: &[&str]) {
    let image: ImageRef = format!("{}/{image}", world.sandbox.registry()).parse().unwrap();
    world
        .verify_image(&image, platforms, world.signer())
        .await
        .unwrap_or_else(|error| panic!("{image}: {error:#}"));
}

fn asked(world: &World, service: SandboxService) -> usize {
    world.sandbox.requests().iter().filter(|request| request.service == service).count()
}

#[tokio::test]
async fn all_targets_are_published_with_one_certificate_and_told_by_their_names() {
    let world = world().await;
    let run = succeeds(&world, &[]).await;
    let told: Value = serde_json::from_str(&run.outputs["targets"]).unwrap();
    let digest = |target: &str| told[target]["digest"].as_str().unwrap().to_owned();
    let (api, web) = (digest("api"), digest("web"));
    let expected = [
        ("api:1.2.3", format!("api@{api}")),
        ("api:latest", format!("api@{api}")),
        ("web:1", format!("web@{web}")),
        ("web:1.2.3", format!("web@{web}")),
        ("mirror/web:1.2.3", format!("mirror/web@{web}")),
    ];
    assert_eq!(names(&world).await, expected.map(|(name, digest)| (name.to_owned(), digest)));
    verify(&world, &format!("api@{api}"), &["linux/amd64", "linux/arm64"]).await;
    verify(&world, &format!("web@{web}"), &["linux/amd64"]).await;
    verify(&world, &format!("mirror/web@{web}"), &["linux/amd64"]).await;
    assert_eq!(asked(&world, SandboxService::Fulcio), 1);
    let host = world.sandbox.registry();
    assert_eq!(told["api"]["image-ref"], format!("{host}/api@{api}"));
    assert_eq!(
        told["api"]["tags"],
        json!([format!("{host}/api:1.2.3"), format!("{host}/api:latest")])
    );
    assert_eq!(
        told["web"]["platforms"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["linux/amd64"]
    );
    let metadata: Value = serde_json::from_str(&run.outputs["metadata"]).unwrap();
    assert_eq!(metadata["web"]["containerimage.digest"], web);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let subjects = |target: &str| evidence[target]["subjects"].as_array().unwrap().len();
    assert_eq!((subjects("api"), subjects("web")), (5, 3));
    assert_eq!(run.summary.matches("\n### ").count(), 2, "{}", run.summary);
    assert!(
        run.summary.contains(&api)
            && run.summary.contains(&web)
            && run.summary.matches("<summary>Stages").count() == 1
    );
    for part in [
        "Plan:       bake and publish",
        "Targets:    api for linux/amd64, linux/arm64 as",
        "one certificate",
        "build",
        "2 targets",
    ] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
}

#[tokio::test]
async fn buildx_is_given_no_name_and_our_evidence_on_what_is_published_alone() {
    let world = world().await;
    let file = world.folder.path().join("definition.json");
    succeeds(&world, &[("FAKE_BUILDX_DEFINITION", file.to_str().unwrap())]).await;
    let built: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let host = world.sandbox.registry();
    assert_eq!(built["group"], json!({ "default": { "targets": ["api", "web"] } }));
    assert_eq!(built["target"]["base"], json!({ "context": ".", "output": ["type=cacheonly"] }));
    let output = format!(
        "type=image,\"name={host}/web,{host}/mirror/web\",push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true"
    );
    assert_eq!(built["target"]["web"]["output"], json!([output]));
    let attests: Vec<&str> = built["target"]["api"]["attest"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        attests[0].starts_with("type=provenance,mode=max") && attests[0].ends_with("version=v1"),
        "{attests:?}"
    );
    assert!(attests[1].starts_with(&format!("type=sbom,generator={host}/scanner@")), "{attests:?}");
}

#[tokio::test]
async fn the_inputs_of_bake_action_reach_buildx() {
    let world = world().await;
    let (printed, built) =
        (world.folder.path().join("printed.json"), world.folder.path().join("built.json"));
    let change = [
        ("FAKE_BUILDX_PRINTED", printed.to_str().unwrap()),
        ("FAKE_BUILDX_ARGUMENTS", built.to_str().unwrap()),
        ("INPUT_FILES", "docker-bake.json"),
        ("INPUT_TARGETS", "web"),
        ("INPUT_SET", "*.args.A=1,2\nweb.no-cache=true"),
        ("INPUT_VARS", "TAG=1.2.3\nLIST=a,b"),
        ("INPUT_NO-CACHE", "true"),
        ("INPUT_PULL", "true"),
        ("INPUT_ALLOW", "network.host"),
    ];
    let run = succeeds(&world, &change).await;
    let read = |file: &std::path::Path| -> Vec<String> {
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    #[rustfmt::skip]
    assert_eq!(read(&printed), [
        "bake", "--print", "--file", "docker-bake.json", "--set", "*.args.A=1,2", "--set", "web.no-cache=true", "--var", "TAG=1.2.3", "--var", "LIST=a,b",
        "--no-cache", "--pull", "web",
    ]);
    assert!(read(&built).windows(2).any(|pair| pair == ["--allow", "network.host"]));
    let told: Value = serde_json::from_str(&run.outputs["targets"]).unwrap();
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
    assert!(names(&world).await.iter().all(|(name, _)| !name.starts_with("api")));
}

#[tokio::test]
async fn a_target_that_fails_leaves_no_name_on_any() {
    let world = world().await;
    refused(
        &world,
        &[("FAKE_BUILDX", "target-fails:web")],
        &["nothing was tagged", "the build failed", "target web: failed to solve"],
    )
    .await;
    assert_eq!(asked(&world, SandboxService::Fulcio), 0);
    refused(
        &world,
        &[("FAKE_BUILDX", "missing-platform")],
        &["nothing was tagged", "target `api`", "was built without `linux/arm64`"],
    )
    .await;
    refused(&world, &[("FAKE_BUILDX", "foreign-sbom")], &["nothing was tagged"]).await;
}

/// The image of one target can be proven and that of another not; then neither is named.
#[tokio::test]
async fn a_target_that_does_not_verify_leaves_no_name_on_the_others() {
    let world = world().await;
    for path in ["/v2/web/", "/v2/mirror/web/", "/v2/api/"] {
        world.sandbox.faults().add(Fault {
            skip: 12,
            ..always(SandboxService::Registry, None, path, FaultEffect::Status(403))
        });
        refused(&world, &[], &["nothing was tagged"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_request_fails_no_name_of_any_target_is_without_proof() {
    let total = {
        let world = world().await;
        succeeds(&world, &[]).await;
        asked(&world, SandboxService::Registry)
    };
    let mut partly = 0;
    // A sample of the many before the names, and every third of those around them.
    for skip in (0..total).filter(|skip| skip % 37 == 0 || (skip + 24 > total && skip % 3 == 0)) {
        let world = world().await;
        world.sandbox.faults().add(Fault {
            skip,
            ..always(SandboxService::Registry, None, "", FaultEffect::Status(403))
        });
        let run = bake(&world, &[]).await;
        world.sandbox.faults().clear();
        let names = names(&world).await;
        if !names.is_empty() {
            // With the first name on any, all targets have their evidence.
            let digests: Vec<String> = names.iter().map(|(_, image)| image.clone()).collect();
            for image in digests {
                let platforms: &[&str] = if image.starts_with("api") {
                    &["linux/amd64", "linux/arm64"]
                } else {
                    &["linux/amd64"]
                };
                verify(&world, &image, platforms).await;
            }
        }
        match run.code {
            Some(0) => assert_eq!(names.len(), 5, "{}", run.log),
            Some(3) => partly += 1,
            Some(1) => {
                assert!(names.is_empty() && run.log.contains("nothing was tagged"), "{}", run.log)
            }
            other => panic!("{other:?}: {}", run.log),
        }
    }
    assert!(partly > 0, "no run stopped between two names, so this test proved too little");
}

#[tokio::test]
async fn a_rerun_signs_nothing_twice() {
    let world = world().await;
    let first = succeeds(&world, &[]).await;
    let before = asked(&world, SandboxService::Rekor);
    let second = succeeds(&world, &[]).await;
    assert_eq!(second.outputs["evidence"], first.outputs["evidence"]);
    assert_eq!((before > 0, asked(&world, SandboxService::Rekor)), (true, before));
    assert!(second.log.contains("nothing is built"), "{}", second.log);
    // Where it is to be built anew, what is there is found.
    let third = succeeds(&world, &[("INPUT_ON-TAG-CONFLICT", "overwrite")]).await;
    assert!(third.log.contains("those that were there are reused"), "{}", third.log);
    assert_eq!(asked(&world, SandboxService::Rekor), before);
}

/// Targets of equal sources have equal images; what one proved, the other finds.
#[tokio::test]
async fn two_targets_with_one_image_are_signed_once() {
    let twins = world_with(|definition, world| {
        let host = world.sandbox.registry();
        let twin = |tag: &str| json!({ "platforms": ["linux/amd64"], "tags": [format!("{host}/api:{tag}")], "args": { "SALT": "same" } });
        definition["target"] = json!({ "api": twin("1.2.3"), "web": twin("9.9.9") });
    })
    .await;
    let run = succeeds(&twins, &[]).await;
    let told: Value = serde_json::from_str(&run.outputs["targets"]).unwrap();
    assert_eq!(told["api"]["digest"], told["web"]["digest"]);
    assert_eq!(twins.tags_of("api").await.len(), 2);
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    for subject in evidence["api"]["subjects"].as_array().unwrap() {
        let bundles = subject["signatures"].as_array().unwrap();
        // One for each format.
        assert_eq!(bundles.len(), 2, "{subject}");
    }
    assert_eq!(evidence["api"], evidence["web"]);
}

#[tokio::test]
async fn a_pull_request_builds_every_target_and_pushes_nothing() {
    let world = world_with(|definition, _| definition["target"]["web"]["tags"] = json!([])).await;
    let file = world.folder.path().join("definition.json");
    let change = [
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("FAKE_BUILDX_DEFINITION", file.to_str().unwrap()),
    ];
    let run = succeeds(&world, &change).await;
    for part in [
        "Plan:       bake only",
        "2 targets built, nothing pushed",
        "to publish this would be refused: target `web` has no `tags`",
    ] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
    assert_eq!(world.beyond_questions().len(), 0, "{:?}", world.beyond_questions());
    let built: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(built["target"]["api"]["output"], json!(["type=cacheonly"]));
    assert!(built["target"]["api"].get("attest").is_none());
    // Later steps read JSON whatever happened.
    let output = |name: &str| serde_json::from_str::<Value>(&run.outputs[name]).unwrap();
    let only_built = json!({ "tags": [], "kept-tags": [], "platforms": {} });
    assert_eq!(output("targets"), json!({ "api": only_built, "web": only_built }));
    for name in ["metadata", "evidence"] {
        assert_eq!(output(name), json!({ "api": {}, "web": {} }));
    }
    assert!(
        run.outputs.len() == 3 && run.summary.starts_with("## 🔨 Built, not published"),
        "{:?} {}",
        run.outputs,
        run.summary
    );
}

/// Without a checkout: the builder fetches the bake files, and what they are relative to.
#[tokio::test]
async fn the_commit_of_the_run_is_what_is_baked_by_default() {
    let mut world = world_with(|definition, _| {
        definition["target"]["api"]["context"] = json!("./services/api");
        definition["target"]["api"]["contexts"]["shared"] = json!("cwd://shared");
    })
    .await;
    let file = |name: &str| world.folder.path().join(name).display().to_string();
    let files = ["printed.json", "built.json", "names"].map(file);
    let repository = file("context");
    let event = file("private.json");
    std::fs::write(&event, r#"{"repository":{"default_branch":"main","private":true}}"#).unwrap();
    world.unset("INPUT_SOURCE").set("INPUT_GITHUB-TOKEN", "t0ken").set("GITHUB_EVENT_PATH", &event);
    let change = [
        ("FAKE_BUILDX_REPOSITORY", repository.as_str()),
        ("FAKE_BUILDX_PRINTED", &files[0]),
        ("FAKE_BUILDX_DEFINITION", &files[1]),
        ("FAKE_BUILDX_ENVIRONMENT", &files[2]),
        ("INPUT_TARGETS", "api"),
    ];
    let run = succeeds(&world, &change).await;
    let read = |file: &str| serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()).unwrap();
    let variables = world.sandbox.environment();
    let of_run =
        |name: &str| variables.iter().find(|(variable, _)| variable == name).unwrap().1.clone();
    let commit =
        format!("https://github.com/{}.git#{}", of_run("GITHUB_REPOSITORY"), of_run("GITHUB_SHA"));
    let printed = read(&files[0]);
    assert_eq!(printed[2], "--builder");
    assert_eq!(printed.as_array().unwrap()[4..], [json!(commit), json!("api")]);
    let built = read(&files[1]);
    let secret =
        json!([{ "id": "GIT_AUTH_TOKEN.github.com", "env": "BUILDX_BAKE_GIT_AUTH_TOKEN" }]);
    assert_eq!(built["target"]["api"]["context"], format!("{commit}:services/api"));
    assert_eq!(
        built["target"]["api"]["contexts"],
        json!({ "base": "target:base", "shared": "cwd://shared" })
    );
    assert_eq!(
        (&built["target"]["base"]["context"], &built["target"]["api"]["secret"]),
        (&json!(commit), &secret)
    );
    assert!(
        std::fs::read_to_string(&files[2])
            .unwrap()
            .lines()
            .any(|line| line == "BUILDX_BAKE_GIT_AUTH_TOKEN=t0ken")
    );
    let said: Vec<&str> = run.log.lines().filter(|line| line.contains("t0ken")).collect();
    assert_eq!(said, ["::add-mask::t0ken"]);
    assert!(run.log.contains(&format!("Source:     {commit}")), "{}", run.log);
    let names = names(&world).await;
    assert_eq!(names.len(), 2, "{names:?}");
    let missing = [("INPUT_FILES", "gone.hcl"), ("FAKE_BUILDX_REPOSITORY", repository.as_str())];
    let run = bake(&world, &missing).await;
    for part in [
        "nothing was built",
        "the bake files of `https://github.com/",
        "`cwd://NAME` is a file of the workspace",
    ] {
        assert!(
            run.code == Some(1) && run.log.contains(part),
            "`{part}` is missing in {}",
            run.log
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_targets_is_said_before_anything_is_built() {
    let wrong = world_with(|definition, world| {
        let host = world.sandbox.registry();
        definition["target"]["web"]["tags"] = json!([format!("{host}/api:latest"), "web:1"]);
        definition["target"]["other"] = json!({ "tags": [format!("{host}/api:latest")] });
        definition["target"]["bare"] = json!({});
        definition["target"]["files"] = json!({ "tags": [format!("{host}/files:1")], "output": [{ "type": "local", "dest": "out" }] });
        definition["group"]["all"] = json!({ "targets": ["api", "web", "other", "bare", "files"] });
    })
    .await;
    let words = [
        "nothing was built: bake files: 4 things are wrong",
        "target `web` has `web:1` among its `tags`, which is not a full reference",
        "target `bare` has no `tags`",
        "target `files` makes no image for a registry",
        "/api:latest` is a tag of both target `api` and target `other`",
    ];
    let run = refused(&wrong, &[], &words).await;
    assert_eq!(run.code, Some(2));
    assert_eq!(wrong.beyond_questions().len(), 0);
}

#[tokio::test]
async fn inputs_that_a_bake_file_makes_needless_or_that_are_slips_are_told() {
    let world = world().await;
    for (input, value, words) in [
        ("INPUT_TAGS", "v1", "a bake file sets this for each target"),
        ("INPUT_FILE", "x.hcl", "did you mean `files`?"),
        ("INPUT_VARS", "A", "`A` is not `NAME=value`"),
        ("INPUT_TARGETS", "--push", "`--push` is not the name of a target"),
        ("INPUT_TARGETS", "nobody", "failed to find target nobody"),
        ("INPUT_SOURCE", "/nowhere", "input `source`: there is no folder `/nowhere`"),
        ("INPUT_SOURCE", "--push", "input `source`: `--push` is neither a folder nor a repository"),
        (
            "INPUT_SOURCE",
            "https://example.com/docker-bake.hcl",
            "`https://example.com/docker-bake.hcl` is neither a folder nor a Git repository",
        ),
        ("INPUT_WORKDIR", "services", "it is called `source` here"),
        ("INPUT_CALL", "check", "a bake file sets this for each target"),
        ("INPUT_FILES", "gone.hcl", "the bake files cannot be read"),
        ("INPUT_SIGN", "false", "would tag an image without a signature"),
    ] {
        refused(&world, &[(input, value)], &["nothing was built", words]).await;
    }
    let login = [("INPUT_USERNAME", "octo"), ("INPUT_PASSWORD", "secret")];
    refused(&world, &login, &["input `registry`: not set beside `username`"]).await;
}

#[tokio::test]
async fn secrets_among_the_arguments_and_caches_under_a_name_stand_in_the_way() {
    let world = world_with(|definition, world| {
        definition["target"]["base"]["args"] = json!({ "NPM_TOKEN": "abcdefgh1234" });
        definition["target"]["web"]["cache-to"] =
            json!([{ "type": "registry", "ref": format!("{}/api:latest", world.sandbox.registry()) }]);
    })
    .await;
    let run = refused(
        &world,
        &[],
        &["2 problems", "`args` of target `base`: `NPM_TOKEN` looks like a secret", "`cache-to`"],
    )
    .await;
    assert!(!run.log.contains("abcdefgh1234"), "{}", run.log);
}

#[tokio::test]
async fn a_full_version_of_one_target_that_another_commit_took_stops_all() {
    let world = world().await;
    succeeds(&world, &[("INPUT_TARGETS", "web")]).await;
    let before = names(&world).await;
    // A trusted root that knows nothing of the first publication: a stranger's image.
    let other = World::new().await;
    let run = bake(
        &world,
        &[
            ("INPUT_TRUSTED-ROOT", other.sandbox.trusted_root().to_str().unwrap()),
            ("FAKE_BUILDX_SALT", "new"),
        ],
    )
    .await;
    assert!(
        run.code == Some(1)
            && run.log.contains("web:1.2.3` already exists")
            && run.log.contains("nothing was tagged"),
        "{}",
        run.log
    );
    assert_eq!(names(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_has_cyclonedx_where_that_is_asked_for() {
    let world = world().await;
    let run = succeeds(&world, &[("INPUT_SBOM-FORMAT", "cyclonedx")]).await;
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let mut platforms = 0;
    for target in ["api", "web"] {
        for subject in evidence[target]["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|subject| subject["kind"] == "platform")
        {
            let kinds = |kind: &str| {
                subject["attestations"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|found| found["predicateType"] == kind)
            };
            assert!(
                kinds("https://cyclonedx.org/bom") && !kinds("https://spdx.dev/Document"),
                "{subject:#}"
            );
            platforms += 1;
        }
    }
    assert_eq!(platforms, 3);
}
