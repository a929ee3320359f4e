//! Events: what `plan` says and `publish` then does, the same for both.

use serde_json::{Value, json};
use supply_action::sandbox::Claims;

use crate::support::World;

/// Asks `supply-action plan --json`.
async fn plan(world: &World, arguments: &[&str]) -> Value {
    let output = world.command().arg("plan").arg("--json").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_pull_request_builds_every_platform_and_needs_no_right() {
    let mut world = World::new().await;
    world
        .set("GITHUB_EVENT_NAME", "pull_request")
        .set("GITHUB_REF", "refs/pull/7/merge")
        .unset("INPUT_TAGS");
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL").unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let planned = plan(&world, &[]).await;
    assert_eq!(
        (planned["decision"].as_str(), planned["subjects"].as_array().map(Vec::len)),
        (Some("build-only"), Some(0))
    );
    assert_eq!(planned["version"], "pr-7");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for line in ["Event:      pull_request", "Provenance: skipped (PR build)", "nothing pushed"] {
        assert!(run.log.contains(line), "`{line}` is missing in {}", run.log);
    }
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
    assert_eq!(run.outputs["version"], "pr-7");
}

#[tokio::test]
async fn a_version_tag_publishes_what_was_planned() {
    let mut world = World::with(|config| {
        config.claims = Claims::of("example/hello", "refs/tags/v1.2.3", "push")
    })
    .await;
    world
        .unset("INPUT_TAGS")
        .set("INPUT_REGISTRY-AUTH", "[{registry: r.io, username: u, password: hunter2}]");
    let planned = plan(&world, &[]).await;
    assert_eq!(planned["logins"], json!([{ "registry": "r.io", "method": "password" }]));
    let sha = format!("sha-{}", Claims::default().sha);
    assert_eq!(planned["tag_names"], json!(["v1.2.3", "v1.2", "v1", sha, "latest"]));
    assert_eq!(
        planned["permissions"],
        json!(["contents: read", "packages: write", "id-token: write"])
    );
    assert_eq!(planned["subjects"].as_array().unwrap().len(), 5);
    assert_eq!(
        (planned["version"].as_str(), planned["builder"]["driver"].as_str()),
        (Some("v1.2.3"), Some("remote"))
    );
    assert!(
        planned["buildx"]
            .as_array()
            .unwrap()
            .iter()
            .any(|argument| argument.as_str().unwrap().contains("push-by-digest=true"))
    );
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(
        run.outputs["tags"].lines().map(|name| json!(name)).collect::<Vec<_>>(),
        *planned["tags"].as_array().unwrap()
    );
}

/// `packages: write` is for the workflow's own token, at the registry of its own server, however
/// that token gets there.
#[tokio::test]
async fn the_job_needs_packages_only_where_its_own_token_pushes() {
    let mut world = World::new().await;
    let login = "[{registry: ghcr.io, username: u, password: hunter2}]";
    for (images, logins, expected) in [
        ("ghcr.io/octo/app", "", true),
        ("docker.io/octo/app", "", false),
        ("docker.io/octo/app\nghcr.io/octo/app", "", true),
        // Its password may be `secrets.GITHUB_TOKEN`.
        ("ghcr.io/octo/app", login, true),
        ("containers.example.com/octo/app", "", false),
        // A rehearsal says what the release needs.
        ("localhost:5000/octo/app", "", true),
    ] {
        world.set("INPUT_IMAGES", images).set("INPUT_REGISTRY-AUTH", logins);
        for by_digest in ["false", "true"] {
            world.set("INPUT_PUSH-BY-DIGEST", by_digest);
            world.set("INPUT_TAGS", if by_digest == "true" { "" } else { "v1" });
            let planned = plan(&world, &[]).await;
            let permissions = planned["permissions"].as_array().unwrap();
            let has = permissions.contains(&json!("packages: write"));
            assert_eq!(has, expected, "{images} {logins} {permissions:?}");
        }
    }
}

#[tokio::test]
async fn another_event_can_be_asked_about_without_being_in_it() {
    let mut world = World::new().await;
    world.unset("INPUT_TAGS");
    let planned = plan(&world, &["--event-name", "push", "--ref", "refs/tags/v2.0.0-rc.1"]).await;
    assert_eq!(
        planned["tag_names"],
        json!(["v2.0.0-rc.1", format!("sha-{}", Claims::default().sha)])
    );
    assert!(planned["notices"][0].as_str().unwrap().contains("prerelease"));
    let event = world.folder.path().join("release.json");
    std::fs::write(
        &event,
        r#"{"action":"edited","repository":{"default_branch":"main","private":false}}"#,
    )
    .unwrap();
    let planned = plan(
        &world,
        &["--event-name", "release", "--event", event.to_str().unwrap(), "-i", "push=auto"],
    )
    .await;
    assert_eq!(planned["decision"], "build-only");
}

#[tokio::test]
async fn a_refused_plan_says_what_publish_would_say() {
    let mut world = World::new().await;
    world.set("INPUT_TAGS", "-a");
    let output = world.command().args(["plan", "--json"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let run = world.publish().await;
    let reason = |text: &str| text.split("input `tags`").nth(1).unwrap().to_owned();
    assert_eq!(reason(&String::from_utf8_lossy(&output.stderr)), reason(&run.log));
}

#[tokio::test]
async fn everything_that_stands_in_the_way_is_said_at_once() {
    let mut world = World::new().await;
    let event = world.folder.path().join("event.json");
    std::fs::write(&event, r#"{"repository":{"default_branch":"main","private":true}}"#).unwrap();
    world.set("INPUT_PROVENANCE", "mode=max");
    world
        .unset("ACTIONS_ID_TOKEN_REQUEST_URL")
        .set("FAKE_BUILDX", "no-builder")
        .set("INPUT_BUILD-ARGS", "NPM_TOKEN=npm_0123456789abcdef");
    // The public instance's services: the log would be public.
    world.unset("INPUT_SIGNING-CONFIG").unset("SUPPLY_ACTION_SIGNING_CONFIG");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for part in [
        "nothing was tagged",
        "4 problems",
        "is private",
        "`NPM_TOKEN` looks like a secret",
        "has no permission to ask for an OIDC token",
        "no builder at input `builder-endpoint`",
        "allow-public-log",
        "id-token: write",
    ] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
    assert!(!run.log.contains("npm_0123456789abcdef"));
}

#[tokio::test]
async fn a_version_that_another_commit_took_is_not_overwritten() {
    let mut world = World::new().await;
    assert_eq!(world.publish().await.code, Some(0));
    let before = world.tags().await;
    // The same repository, with a trusted root that knows nothing of the first publication: a
    // stranger's image.
    let next =
        World::with(|config| config.dir = world.folder.path().join("sandbox-of-another-instance"))
            .await;
    world
        .set("INPUT_TRUSTED-ROOT", next.sandbox.trusted_root().to_str().unwrap())
        .set("FAKE_BUILDX_SALT", "second");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for part in ["nothing was tagged", "v1.2.3` already exists", "on-tag-conflict: overwrite"] {
        assert!(run.log.contains(part), "`{part}` is missing in {}", run.log);
    }
    assert_eq!(world.tags().await, before);
}

#[tokio::test]
async fn the_build_may_be_told_where_the_source_is_from() {
    let mut world = World::new().await;
    let arguments = world.folder.path().join("arguments");
    world
        .set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap())
        .set("INPUT_SOURCE-ARGS", "true")
        .set("INPUT_BUILD-ARGS", "SOURCE_COMMIT=mine");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let arguments: Vec<String> =
        serde_json::from_slice(&std::fs::read(arguments).unwrap()).unwrap();
    assert!(
        arguments.contains(&"SOURCE_REPOSITORY=https://github.com/example/hello".to_owned()),
        "{arguments:?}"
    );
    assert!(
        arguments.contains(&"SOURCE_COMMIT=mine".to_owned())
            && arguments.iter().filter(|argument| argument.starts_with("SOURCE_COMMIT=")).count()
                == 1
    );
}

#[tokio::test]
async fn build_arguments_name_the_version_and_other_braces_stay() {
    let mut world = World::with(|config| {
        config.claims = Claims::of("example/hello", "refs/tags/v1.2.3", "push")
    })
    .await;
    let arguments = "VERSION={{version}}\nTEMPLATE={{.Version}} {{ major }}\nSHA={{sha}}\nPLAIN=x,y\nDAY={{date 'YYYY'}}";
    world
        .set("INPUT_TAGS", "type=semver,pattern={{version}}")
        .set("INPUT_BUILD-ARGS", arguments)
        .set("INPUT_LABELS", "v={{version}}");
    let planned = plan(&world, &[]).await;
    let words: Vec<&str> =
        planned["buildx"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let short = &Claims::default().sha[..7];
    for value in
        ["VERSION=1.2.3", "TEMPLATE={{.Version}} {{ major }}", &format!("SHA={short}"), "PLAIN=x,y"]
    {
        assert!(words.contains(&value), "{value} is missing in {words:?}");
    }
    assert!(words.iter().any(|word| word.starts_with("DAY=20")), "{words:?}");
    assert!(planned["labels"].to_string().contains("\"v=1.2.3\""), "{}", planned["labels"]);
    assert!(
        planned["notices"].to_string().contains("`{{major}}` stays as it is"),
        "{}",
        planned["notices"]
    );
    let run = world.run(&["plan"], &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}
