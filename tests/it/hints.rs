//! Whom a hint is for: who deletes, reads or rehearses is told what they can do, and nothing that
//! only who publishes could.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::pusher::{INDEX, index};
use crate::support::{World, always};

/// What the publisher alone can do.
const PUBLISHERS: [&str; 4] =
    ["a later run reuses", "run the workflow again", "registry-auth", "packages: write"];

/// How a verb that publishes nothing ended.
async fn asked(world: &World, arguments: &[&str]) -> String {
    let output = world.command().args(arguments).output().await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {log}");
    log
}

#[tokio::test]
async fn prune_and_verify_give_no_hints_for_publishers() {
    let mut world = World::new().await;
    world.unset("GITHUB_ACTIONS");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for (effect, words) in [
        (FaultEffect::Status(401), "hint: log in with `docker login`"),
        (FaultEffect::Status(403), "hint: use a login that has permission to read here"),
        (FaultEffect::StatusRetryAfter(429, 0), "hint: try later, or log in to raise the limit"),
        (FaultEffect::StatusRetryAfter(503, 0), "hint: look at the registry's status page"),
    ] {
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            "/v2/app/",
            effect,
        ));
        let image = format!("{}/app", world.sandbox.registry());
        for arguments in
            [vec!["prune", &image], vec!["sbom", &image], vec!["sbom", "diff", &image, &image]]
        {
            let log = asked(&world, &arguments).await;
            assert!(log.contains(words), "{arguments:?}: `{words}` is missing in {log}");
            for foreign in PUBLISHERS {
                assert!(!log.contains(foreign), "{arguments:?}: `{foreign}` stands in {log}");
            }
        }
        world.sandbox.faults().clear();
    }
    let image = format!("{closed}/app");
    for arguments in [["prune", &image], ["sbom", &image]] {
        let log = asked(&world, &arguments).await;
        assert!(
            log.contains("hint: check the registry's name, and that this machine can reach it\n"),
            "{log}"
        );
    }
}

/// Puts a name on an empty index.
async fn named(world: &World, tag: &str) {
    let url = format!("http://{}/v2/app/manifests/{tag}", world.sandbox.registry());
    let put = reqwest::Client::new().put(url).header("content-type", INDEX);
    let answer = put.body(index(&[]).to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test]
async fn a_prune_that_is_ended_says_what_it_may_have_left() {
    let mut world = World::new().await;
    world.unset("GITHUB_ACTIONS");
    named(&world, "v1").await;
    let slow = FaultEffect::Delay(Duration::from_secs(60));
    world.sandbox.faults().add(always(
        SandboxService::Registry,
        Some("GET"),
        "/manifests/v1",
        slow,
    ));
    let image = format!("{}/app", world.sandbox.registry());
    for (arguments, says) in [(&["--delete"][..], true), (&[], false)] {
        let mut command = world.command();
        command.arg("prune").args(arguments).arg(&image).stderr(Stdio::piped());
        let before = world.sandbox.requests().len();
        let child = command.spawn().unwrap();
        // What follows this answer waits.
        while world.sandbox.requests().len() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let pid = child.id().unwrap().to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(killed.success() && output.status.code() == Some(143), "{log}");
        assert_eq!(log.contains("run again with `--orphans`"), says, "{log}");
    }
}

/// `docker` without its plugin, as it is on a machine where only the engine was installed.
fn docker_without_buildx(world: &mut World) {
    let folder = world.folder.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let docker = folder.join("docker");
    let script = "#!/bin/sh\necho \"docker: unknown command: docker $1\" >&2\nexit 1\n";
    std::fs::write(&docker, script).unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.unset("BUILDX").set("PATH", folder.to_str().unwrap());
}

/// The inputs of a step that bakes what lies in a folder.
fn of_bake(folder: &str) -> [(&'static str, &str); 4] {
    [("INPUT_SOURCE", folder), ("INPUT_IMAGES", ""), ("INPUT_TAGS", ""), ("INPUT_CONTEXT", "")]
}

#[tokio::test]
async fn docker_without_the_plugin_is_told_as_what_it_is() {
    let mut world = World::new().await;
    docker_without_buildx(&mut world);
    let folder = world.env["INPUT_CONTEXT"].clone();
    std::fs::write(format!("{folder}/Dockerfile"), "FROM scratch\n").unwrap();
    let published = world.publish().await;
    let bake = of_bake(&folder);
    let baked = world.run(&["bake"], &bake).await;
    for run in [published, baked] {
        for words in ["Docker has no plugin `buildx`", "hint: install docker buildx"] {
            assert!(run.log.contains(words), "`{words}` is missing in {}", run.log);
        }
        for wrong in ["check the repository out", "actions/checkout", "address of a running"] {
            assert!(!run.log.contains(wrong), "`{wrong}` stands in {}", run.log);
        }
        assert_eq!(run.code, Some(1), "{}", run.log);
    }
}

#[tokio::test]
async fn reports_a_missing_bake_file_with_its_folder() {
    let world = World::new().await;
    let folder = world.env["INPUT_CONTEXT"].clone();
    let bake = of_bake(&folder);
    let run = world.run(&["bake"], &bake).await;
    let hint = format!("hint: list bake files with other names in `files`, relative to `{folder}`");
    assert!(run.code == Some(1) && run.log.contains(&hint), "{}", run.log);
    // What is wrong in it, buildx says itself.
    let target = [&bake[..], &[("INPUT_TARGETS", "nobody")]].concat();
    std::fs::write(format!("{folder}/docker-bake.json"), r#"{"target":{}}"#).unwrap();
    let run = world.run(&["bake"], &target).await;
    assert!(
        run.log.contains("failed to find target nobody") && !run.log.contains("hint:"),
        "{}",
        run.log
    );
}
