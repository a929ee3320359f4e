//! What a build is told of the job's variables: those that everybody needs, those that its own
//! flags need, and those that the user names.

use serde_json::{Value, json};

use crate::support::{Run, World};

/// What nobody who builds should see.
const SECRETS: [&str; 9] = [
    "ACTIONS_RUNTIME_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "SSH_AUTH_SOCK",
    "KUBECONFIG",
    "DOCKER_PASSWORD",
    "GITHUB_TOKEN",
    "NPM_SECRET",
];

async fn world() -> World {
    let mut world = World::new().await;
    for name in SECRETS {
        world.set(name, &format!("CANARY-{name}"));
    }
    world
        .set("ACTIONS_RESULTS_URL", "https://results.example/")
        .set("HTTPS_PROXY", "http://127.0.0.1:9")
        .set("NO_PROXY", "127.0.0.1")
        .set("PATH", &std::env::var("PATH").unwrap());
    let file = world.folder.path().join("variables").display().to_string();
    world.set("FAKE_BUILDX_ENVIRONMENT", &file);
    world
}

/// Which of the secrets the build saw.
fn seen(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.folder.path().join("variables")).unwrap();
    assert!(text.contains("HTTPS_PROXY=") && text.contains("PATH="), "{text}");
    SECRETS
        .iter()
        .filter(|name| text.contains(&format!("CANARY-{name}")))
        .map(|name| (*name).to_owned())
        .collect()
}

#[tokio::test]
async fn a_build_gets_only_variables_that_are_listed() {
    let mut world = world().await;
    world.set("INPUT_PLATFORMS", "linux/amd64").set("INPUT_PUSH", "false");
    for (input, value, expected) in [
        ("INPUT_TARGET", "x", &[][..]),
        ("INPUT_CACHE-FROM", "type=registry,ref=r.example/x", &[]),
        ("INPUT_CACHE-TO", "type=gha,mode=max", &["ACTIONS_RUNTIME_TOKEN"]),
        ("INPUT_CACHE-TO", "type=s3,bucket=b", &["AWS_SECRET_ACCESS_KEY"]),
        ("INPUT_CACHE-FROM", "type=azblob,name=b", &["AZURE_CLIENT_SECRET"]),
        ("INPUT_CACHE-FROM", "type=gcs,name=b", &["GOOGLE_APPLICATION_CREDENTIALS"]),
        ("INPUT_SSH", "default", &["SSH_AUTH_SOCK"]),
        ("INPUT_SECRET-ENVS", "npm=NPM_SECRET", &["NPM_SECRET"]),
        ("INPUT_BUILD-ARGS", "NPM_SECRET", &["NPM_SECRET"]),
        ("INPUT_BUILD-ENV", "NPM_SECRET, GITHUB_TOKEN", &["GITHUB_TOKEN", "NPM_SECRET"]),
    ] {
        let run = world.run(&[], &[(input, value)]).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert_eq!(seen(&world), expected, "{input}={value}");
    }
    world.unset("INPUT_BUILDER-ENDPOINT").set("INPUT_DRIVER", "kubernetes");
    assert_eq!(world.publish().await.code, Some(0));
    assert_eq!(seen(&world), ["KUBECONFIG"]);
    let run = world.run(&[], &[("INPUT_BUILD-ENV", "NOWHERE")]).await;
    assert!(
        run.log.contains("input `build-env` names `NOWHERE`, which this job does not set"),
        "{}",
        run.log
    );
    for name in ["INPUT_PASSWORD", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "COSIGN_PASSWORD"] {
        let run = world.run(&[], &[("INPUT_BUILD-ENV", name)]).await;
        assert!(
            run.code == Some(2) && run.log.contains(&format!("no build gets `{name}`")),
            "{}",
            run.log
        );
    }
}

/// A bake file of one target.
async fn bake(world: &mut World, variables: Value, target: Value, change: &[(&str, &str)]) -> Run {
    let mut app = json!({ "context": ".", "tags": [format!("{}/app:1.2.3", world.sandbox.registry())], "platforms": ["linux/amd64"] });
    app.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    let folder = world.folder.path().join("context");
    let compose = variables["compose"].clone();
    let definition = json!({ "group": { "default": { "targets": ["app"] } }, "variable": variables, "target": { "app": app }, "compose": compose });
    std::fs::write(folder.join("docker-bake.json"), definition.to_string()).unwrap();
    for one_image in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT", "INPUT_PLATFORMS"] {
        world.unset(one_image);
    }
    world.set("INPUT_SOURCE", folder.to_str().unwrap()).set("INPUT_PUSH", "false");
    let _ = std::fs::remove_file(world.folder.path().join("variables"));
    world.run(&["bake"], change).await
}

fn refused(world: &World, run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(2), "{}", run.log);
    for word in words {
        assert!(run.log.contains(word), "`{word}` is missing in\n{}", run.log);
    }
    assert!(
        !run.log.lines().any(|line| line.contains("CANARY") && !line.starts_with("::add-mask::")),
        "{}",
        run.log
    );
    assert!(!world.folder.path().join("variables").exists(), "nothing is built");
}

#[tokio::test]
async fn no_secret_of_a_bake_file_is_a_variable_of_the_job() {
    let mut world = world().await;
    for secret in [
        json!("type=env,id=leak,env=ACTIONS_RUNTIME_TOKEN"),
        json!({ "id": "leak", "env": "ACTIONS_RUNTIME_TOKEN" }),
        json!({ "type": "env", "id": "ACTIONS_RUNTIME_TOKEN" }),
        json!("type=env,id=leak,src=ACTIONS_RUNTIME_TOKEN"),
        json!({ "id": "ACTIONS_RUNTIME_TOKEN" }),
    ] {
        // That a cache of the same file needs it is no leave.
        let target = json!({ "secret": [secret], "cache-to": [{ "type": "gha" }] });
        let run = bake(&mut world, json!({}), target.clone(), &[]).await;
        refused(
            &world,
            &run,
            &[
                "nothing was built",
                "target `app`",
                "variable `ACTIONS_RUNTIME_TOKEN`",
                "hint: ",
                "build-env",
            ],
        );
        let run =
            bake(&mut world, json!({}), target, &[("INPUT_BUILD-ENV", "ACTIONS_RUNTIME_TOKEN")])
                .await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert_eq!(seen(&world), ["ACTIONS_RUNTIME_TOKEN"]);
    }
    let run = bake(
        &mut world,
        json!({}),
        json!({ "cache-to": [{ "type": "s3", "bucket": "b" }], "secret": [{ "id": "a", "env": "NOT_SET" }] }),
        &[],
    )
    .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(seen(&world), ["AWS_SECRET_ACCESS_KEY"]);
    let run = bake(
        &mut world,
        json!({}),
        json!({ "cache-to": [{ "type": "gha", "url_v2": "https://evil.example/" }] }),
        &[],
    )
    .await;
    refused(&world, &run, &["`https://evil.example/`, to which the token"]);
    let elsewhere = json!({ "cache-to": [{ "type": "gha", "url_v2": "https://evil.example/" }] });
    let run =
        bake(&mut world, json!({}), elsewhere, &[("INPUT_BUILD-ENV", "ACTIONS_RUNTIME_TOKEN")])
            .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(bake(&mut world, json!({}), json!({}), &[]).await.code, Some(0));
    assert_eq!(seen(&world), [""; 0]);
}

#[tokio::test]
async fn a_variable_of_a_bake_file_that_the_job_sets_and_it_does_not_get_is_told() {
    let mut world = world().await;
    world.set("LEVEL", "3").set("SWITCH", "on").set("CHANNEL", "beta");
    let argument = |text: &str| json!({ "args": { "A": text } });
    let text = json!({ "NPM_SECRET": { "default": "none" } });
    let number = json!({ "LEVEL": { "default": "1", "type": "number" } });
    let switch = json!({ "SWITCH": { "default": "off" } });
    let checked = json!({ "CHANNEL": { "default": "stable", "one-of": "stable beta" } });
    for (variables, value, name) in [
        (&text, "x${NPM_SECRET}y", "NPM_SECRET"),
        (&number, "${LEVEL}", "LEVEL"),
        (&switch, "${SWITCH == on}", "SWITCH"),
        (&checked, "${CHANNEL}", "CHANNEL"),
    ] {
        let run = bake(&mut world, variables.clone(), argument(value), &[]).await;
        refused(
            &world,
            &run,
            &[
                "nothing was built",
                &format!("the bake files read `{name}`"),
                &format!("build-env: {name}"),
                &format!("vars: {name}="),
            ],
        );
        for leave in [
            ("INPUT_BUILD-ENV", name.to_owned()),
            ("INPUT_VARS", format!("{name}={}", if name == "CHANNEL" { "stable" } else { "7" })),
        ] {
            let run =
                bake(&mut world, variables.clone(), argument(value), &[(leave.0, &leave.1)]).await;
            assert_eq!(run.code, Some(0), "{name}: {}", run.log);
        }
        // Compose files declare no variables: what becomes of them tells.
        let mut undeclared = variables.clone();
        undeclared["compose"] = json!(true);
        if name != "SWITCH" {
            let run = bake(&mut world, undeclared, argument(value), &[]).await;
            refused(&world, &run, &[&format!("the bake files read `{name}`")]);
        }
    }
    // What every program gets, and what is not set, needs no leave.
    let free = json!({ "GITHUB_SHA": { "default": "none" }, "NOT_SET": { "default": "x" } });
    assert_eq!(
        bake(&mut world, free, argument("${GITHUB_SHA} ${NOT_SET}"), &[]).await.code,
        Some(0)
    );
}

#[tokio::test]
async fn the_token_goes_to_no_build_of_a_repository_that_is_known_to_be_public() {
    let mut world = World::new().await;
    let (arguments, event) =
        (world.folder.path().join("arguments"), world.folder.path().join("told.json"));
    world
        .unset("INPUT_CONTEXT")
        .set("INPUT_PUSH", "false")
        .set("INPUT_GITHUB-TOKEN", "ghs_token")
        .set("GITHUB_API_URL", "http://127.0.0.1:9");
    world
        .set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap())
        .set("GITHUB_EVENT_PATH", event.to_str().unwrap());
    for (told, given) in [
        (json!({ "private": false }), false),
        (json!({ "private": true }), true),
        (json!({ "private": false, "visibility": "internal" }), true),
        (json!({}), true),
    ] {
        let mut repository = json!({ "default_branch": "main" });
        repository.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        std::fs::write(&event, json!({ "repository": repository }).to_string()).unwrap();
        let run = world.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let arguments: Vec<String> =
            serde_json::from_slice(&std::fs::read(&arguments).unwrap()).unwrap();
        let secrets = arguments
            .iter()
            .filter(|argument| argument.starts_with("id=GIT_AUTH_TOKEN.github.com,"))
            .count();
        assert_eq!(secrets == 1, given, "{told}: {arguments:?}");
    }
}
