//! What users of the incumbents reported: the right answers, first as plans of the shared cases
//! where those are at hand, then in what is published.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Run, World};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cases/build");

#[derive(Deserialize)]
struct Case {
    name: String,
    event_name: String,
    #[serde(rename = "ref")]
    git_ref: String,
    event: String,
    env: BTreeMap<String, String>,
    inputs: BTreeMap<String, String>,
}

async fn plan(case: &Case) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_supply-action"));
    command.args(["plan", "--json"]).current_dir(folder.path()).env_clear();
    command.envs([
        ("GITHUB_REPOSITORY", "octo/app"),
        ("GITHUB_REF", case.git_ref.as_str()),
        ("GITHUB_SHA", "90dd6032fac8bda1b6c4436a2e65de27961ed071"),
        ("GITHUB_EVENT_NAME", &case.event_name),
        ("GITHUB_EVENT_PATH", &format!("{SHARED}/{}", case.event)),
        // Nobody listens there: what is not in the event stays unknown.
        ("GITHUB_API_URL", "http://127.0.0.1:9"),
    ]);
    command.envs(&case.env).envs(
        case.inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value)),
    );
    command.output().await.unwrap()
}

const SHA: &str = "sha-90dd6032fac8bda1b6c4436a2e65de27961ed071";

fn is_built_only(plan: &Value, why: &str) -> bool {
    plan["decision"] == "build-only" && plan["reason"].as_str().unwrap().contains(why)
}

/// Whether the plan is right; `None` for a case that another test is about.
fn is_right(name: &str, code: Option<i32>, said: &str, plan: &Value) -> Option<bool> {
    let is_refused = |with: &[&str]| code == Some(2) && with.iter().all(|part| said.contains(part));
    let notices = plan["notices"].to_string();
    let tags = plan["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<&str> = tags.filter_map(|tag| Some(tag.rsplit_once(':')?.1)).collect();
    Some(match name {
        "outputs/push-by-digest-of-a-leg" => {
            plan["decision"] == "push-by-digest" && notices.contains("push-by-digest: true")
        }
        "outputs/compression-lost" => {
            let pushed = "compression=zstd,force-compression=true,rewrite-timestamp=true";
            plan["buildx"].to_string().contains(pushed)
        }
        "tags/reference-without-tag-port" => {
            plan["tags"] == json!(["registry.example.com:8443/team/app:latest"])
        }
        "tags/uppercase-owner" => plan["tags"] == json!(["ghcr.io/octo/app:latest"]),
        "tags/name-without-slash" => {
            is_refused(&["`agones-client:latest` names no registry", "octo.azurecr.io"])
        }
        "tags/empty-items" => {
            plan["tags"] == json!(["quay.io/octo/app:latest", "ghcr.io/octo/app:latest"])
        }
        "tags/different-per-registry" => {
            plan["tags"] == json!(["quay.io/octo/app:latest", "ghcr.io/octo/app:1.2-90dd603"])
        }
        "tags/misspelt-attribute" => {
            is_refused(&["no attribute `enabled`", "did you mean `enable`?"])
        }
        "login/hub-pair-goes-to-ghcr" => {
            plan["logins"] == json!([{ "registry": "docker.io", "method": "password" }])
        }
        "login/registry-of-no-image" => {
            notices.contains("the login at `quay.io` is for none of this run's images")
        }
        "login/fork-pr-registry-auth" => {
            code == Some(0)
                && plan["decision"] == "build-only"
                && notices.contains("the login at `docker.io` is left out")
        }
        "event/workflow-run-failed" => is_built_only(plan, "has the conclusion `failure`"),
        "event/workflow-run-requested" => is_built_only(plan, "has not ended"),
        "event/pull-request-target-named-main" => names == ["pr-7", SHA],
        "ref/changesets-tag" => names == ["octo-app-1.2.3", SHA],
        "ref/branch-with-leading-dot" => names == ["github-fix", SHA],
        "ref/branch-longer-than-128" => names == [SHA] && notices.contains("a tag has 128 at most"),
        "enterprise/image-host" => plan["tags"][0]
            .as_str()
            .is_some_and(|tag| tag.starts_with("containers.git.example.com/octo/app:")),
        "load/no-name" => {
            let buildx: Vec<&str> =
                plan["buildx"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            buildx.windows(2).any(|pair| pair == ["--tag", "docker.io/octo/app:test"])
                && buildx.contains(&"--load")
        }
        "cache/ref-without-tag" => is_refused(&["ghcr.io/octo/app:latest", "buildcache"]),
        _ => return None,
    })
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "that cases are missing should be seen")]
async fn the_reported_inputs_give_the_right_plans() {
    let Ok(text) = std::fs::read_to_string(Path::new(SHARED).join("cases.jsonl")) else {
        eprintln!("the shared cases are not here");
        return;
    };
    let mut checked = 0;
    for case in text.lines().map(|line| serde_json::from_str::<Case>(line).unwrap()) {
        let output = plan(&case).await;
        let (said, plan) = (
            String::from_utf8_lossy(&output.stderr),
            serde_json::from_slice(&output.stdout).unwrap_or_default(),
        );
        if let Some(is_right) = is_right(&case.name, output.status.code(), &said, &plan) {
            assert!(is_right, "{}: {said}\n{plan:#}", case.name);
            checked += 1;
        }
    }
    assert_eq!(checked, 20);
}

fn succeeded(run: &Run) {
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test]
async fn a_leg_that_outputs_by_digest_puts_no_name() {
    let mut world = World::new().await;
    let output = format!(
        "type=image,\"name={}/app\",push-by-digest=true,name-canonical=true,push=true",
        world.sandbox.registry()
    );
    let run =
        world.set("INPUT_OUTPUTS", &output).set("INPUT_PLATFORMS", "linux/arm64").publish().await;
    succeeded(&run);
    assert!(world.all_tags().await.is_empty(), "{:?}", world.all_tags().await);
    assert!(
        run.outputs["digests"].contains("linux/arm64")
            && run.log.contains("`push-by-digest: true`"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn an_images_output_says_how_it_is_compressed() {
    let mut world = World::new().await;
    let arguments = world.folder.path().join("arguments");
    world.set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap());
    let run = world
        .set("INPUT_OUTPUTS", "type=image,compression=zstd,compression-level=9,push=true")
        .publish()
        .await;
    succeeded(&run);
    let arguments: Vec<String> =
        serde_json::from_slice(&std::fs::read(arguments).unwrap()).unwrap();
    let outputs: Vec<&String> =
        arguments.iter().filter(|argument| argument.starts_with("type=image")).collect();
    assert!(
        outputs.len() == 1 && outputs[0].ends_with(",compression=zstd,compression-level=9"),
        "{outputs:?}"
    );
}

#[tokio::test]
async fn each_repository_gets_its_own_tags_and_all_the_evidence() {
    let mut world = World::new().await;
    let host = world.sandbox.registry().to_owned();
    world
        .unset("INPUT_IMAGES")
        .set("INPUT_TAGS", &format!("{host}/app:latest,,{host}/Mirror/App:1.2-90dd603,"));
    let run = world.publish().await;
    succeeded(&run);
    assert_eq!(run.outputs["tags"], format!("{host}/app:latest\n{host}/mirror/app:1.2-90dd603"));
    let digest = run.outputs["digest"].clone();
    assert_eq!(world.tags().await, BTreeMap::from([("latest".to_owned(), digest.clone())]));
    assert_eq!(
        world.tags_of("mirror/app").await,
        BTreeMap::from([("1.2-90dd603".to_owned(), digest.clone())])
    );
    for repository in ["app", "mirror/app"] {
        let image = format!("{host}/{repository}@{digest}").parse().unwrap();
        world.verify_image(&image, &["linux/amd64", "linux/arm64"], world.signer()).await.unwrap();
    }
}

#[tokio::test]
async fn a_platform_that_the_builder_does_not_claim_is_built_all_the_same() {
    let mut world = World::new().await;
    let run = world.set("FAKE_BUILDX", "native-only").publish().await;
    succeeded(&run);
    assert!(
        run.log.contains("can run linux/arm64 neither natively nor by emulation"),
        "{}",
        run.log
    );
    world.verify(&run.outputs["digest"]).await.unwrap();
    let mut world = World::new().await;
    let run = world.set("INPUT_PLATFORMS", "windows/amd64").publish().await;
    succeeded(&run);
    assert!(!run.log.contains("installing QEMU"), "{}", run.log);
}

#[tokio::test]
async fn a_bake_target_that_inherits_no_names_is_told() {
    let mut world = World::new().await;
    let host = world.sandbox.registry().to_owned();
    let app = json!({ "context": ".", "platforms": ["linux/amd64"], "tags": [format!("{host}/app:latest")] });
    let meta = json!({ "tags": [format!("{host}/app:v1.2.3")], "args": { "DOCKER_META_VERSION": "v1.2.3" } });
    let folder = world.folder.path().join("context");
    for (file, target) in [
        ("docker-bake.json", json!({ "app": app })),
        ("meta.json", json!({ "docker-metadata-action": meta })),
    ] {
        std::fs::write(folder.join(file), json!({ "target": target }).to_string()).unwrap();
    }
    for one_image in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT"] {
        world.unset(one_image);
    }
    world
        .set("INPUT_SOURCE", folder.to_str().unwrap())
        .set("INPUT_FILES", "docker-bake.json,meta.json")
        .set("INPUT_TARGETS", "app");
    let run = world.run(&["bake"], &[]).await;
    succeeded(&run);
    for part in [
        "no target that is built inherits `docker-metadata-action` (`meta.json`)",
        "its `tags`, `args` have no effect",
    ] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
    assert_eq!(world.tags().await.into_keys().collect::<Vec<_>>(), ["latest"]);
}

#[tokio::test]
async fn a_cache_under_a_name_of_the_image_is_refused_on_a_pull_request_too() {
    let mut world = World::new().await;
    let image = format!("{}/app", world.sandbox.registry());
    world.set("INPUT_CACHE-TO", &format!("type=registry,ref={image},mode=max"));
    for event in ["push", "pull_request"] {
        let run = world
            .run(&[], &[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", "refs/pull/7/merge")])
            .await;
        assert_eq!(run.code, Some(2), "{}", run.log);
        for part in ["nothing was built", &format!("writes the cache under `{image}:latest`")] {
            assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
        }
    }
}

/// Events that lie beside the cases: what each publishes by itself.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "that cases are missing should be seen")]
async fn the_reported_events_publish_what_they_should() {
    if !Path::new(SHARED).is_dir() {
        return eprintln!("the shared cases are not here");
    }
    for (event_name, git_ref, event, decision, names) in [
        ("workflow_run", "refs/heads/main", "wr-pr.json", "build-only", None),
        ("release", "refs/tags/v1.2.3", "release-pre.json", "publish", Some(vec!["v1.2.3", SHA])),
        ("schedule", "refs/heads/main", "schedule-bare.json", "publish", Some(vec!["main", SHA])),
    ] {
        let case = Case {
            name: event.to_owned(),
            event_name: event_name.to_owned(),
            git_ref: git_ref.to_owned(),
            event: format!("events/{event}"),
            env: BTreeMap::new(),
            inputs: BTreeMap::new(),
        };
        let output = plan(&case).await;
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(plan["decision"], decision, "{event}: {plan:#}");
        let tags = plan["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let found: Vec<&str> = tags.filter_map(|tag| Some(tag.rsplit_once(':')?.1)).collect();
        assert!(names.is_none_or(|names| names == found), "{event}: {plan:#}");
    }
}

/// Test before push: what is built for a look at it has a name, and one platform.
#[tokio::test]
async fn what_is_loaded_and_not_published_has_its_names() {
    let mut world = World::new().await;
    let arguments = world.folder.path().join("arguments");
    world
        .set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap())
        .set("INPUT_PUSH", "false")
        .set("INPUT_TAGS", "test\ncandidate");
    for (input, value) in [("INPUT_LOAD", "true"), ("INPUT_OUTPUTS", "type=docker")] {
        let run = world.run(&[], &[(input, value)]).await;
        succeeded(&run);
        let arguments: Vec<String> =
            serde_json::from_slice(&std::fs::read(&arguments).unwrap()).unwrap();
        let given = |name: &str| {
            arguments
                .windows(2)
                .filter(|pair| pair[0] == name)
                .map(|pair| pair[1].clone())
                .collect::<Vec<_>>()
        };
        let image = format!("{}/app", world.sandbox.registry());
        assert_eq!(given("--tag"), [format!("{image}:test"), format!("{image}:candidate")]);
        assert!(
            given("--platform").len() == 1 && !given("--platform")[0].contains(','),
            "{arguments:?}"
        );
        assert!(run.log.contains("alone is built and loaded"), "{}", run.log);
    }
    // What goes nowhere, or is published, is tagged by nobody but us.
    for change in [vec![], vec![("INPUT_PUSH", "true"), ("INPUT_LOAD", "true")]] {
        succeeded(&world.run(&[], &change).await);
        assert!(!String::from_utf8(std::fs::read(&arguments).unwrap()).unwrap().contains("--tag"));
    }
    assert_eq!(world.tags().await.len(), 2);
}

#[tokio::test]
async fn names_come_from_the_checkout_where_it_is_asked() {
    let mut world = World::new().await;
    let folder = world.folder.path().join("context");
    let git = async |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(&folder)
            .args(["-c", "user.name=o", "-c", "user.email=o@example.com"])
            .args(arguments);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q", "-b", "topic"]).await;
    git(&["commit", "-q", "--allow-empty", "-m", "one"]).await;
    let sha = git(&["rev-parse", "HEAD"]).await;
    world
        .unset("INPUT_TAGS")
        .set("INPUT_METADATA-CONTEXT", "git")
        .set("GITHUB_WORKSPACE", folder.to_str().unwrap());
    let output = world.command().args(["plan", "--json"]).output().await.unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let image = format!("{}/app", world.sandbox.registry());
    assert_eq!(
        plan["tags"],
        json!([format!("{image}:topic"), format!("{image}:sha-{sha}")]),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
