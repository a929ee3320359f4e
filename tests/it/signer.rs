//! Whose image it is: a workflow that many call signs in one name for all of them, and the run's
//! own repository tells them apart.

use serde_json::Value;
use supply_action::sandbox::Claims;

use crate::support::{Run, World};
use crate::verify::{said, verify};

/// The workflow that everybody calls.
const SHARED: &str = "org/supply-action/.github/workflows/publish.yml@refs/tags/v1";

/// A run of this repository that calls the shared workflow.
fn caller(repository: &str, id: &str, commit: char) -> Claims {
    let mut claims = Claims::of(repository, "refs/heads/main", "push");
    claims.job_workflow_ref = SHARED.to_owned();
    claims.repository_id = id.to_owned();
    claims.sha = commit.to_string().repeat(40);
    claims
}

fn victim() -> Claims {
    caller("victim/app", "11", 'a')
}

/// Publishes an image of its own content under a name of its own.
async fn publish(world: &mut World, claims: Claims, content: &str, tag: &str) -> Run {
    world.act_as(claims);
    let run = world.run(&[], &[("FAKE_BUILDX_SALT", content), ("INPUT_TAGS", tag)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    run
}

/// Whether `verify` accepts the image by the shared workflow's name, and what it says.
async fn judged(world: &World, image: &str, arguments: &[&str]) -> (bool, String) {
    let identity = format!("https://github.com/{SHARED}");
    let output = verify(
        world,
        &[&["--certificate-identity", identity.as_str()], arguments, &[image]].concat(),
    )
    .await;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
    let expected = if output.status.success() { Some(0) } else { Some(1) };
    assert_eq!(output.status.code(), expected, "{told}");
    (output.status.success(), told)
}

#[tokio::test]
async fn refuses_evidence_of_another_caller_of_the_same_workflow() {
    let mut world = World::new().await;
    let good = publish(&mut world, victim(), "good", "v1.0.0").await.outputs["image-ref"].clone();
    let evil = publish(&mut world, caller("mallory/evil", "66", 'b'), "evil", "v2.0.0")
        .await
        .outputs["image-ref"]
        .clone();
    for formats in [&[][..], &["--signature-formats", "bundle"], &["--signature-formats", "legacy"]]
    {
        let by = |arguments: &[&'static str]| [arguments, formats].concat();
        for wanted in
            [&["--source-repository", "victim/app"][..], &["--source-repository-id", "11"]]
        {
            let (accepted, told) = judged(&world, &good, &by(wanted)).await;
            assert!(
                accepted && told.contains("source     https://github.com/victim/app (id 11)"),
                "{told}"
            );
            let (accepted, told) = judged(&world, &evil, &by(wanted)).await;
            assert!(!accepted && told.contains("not `"), "{told}");
        }
        // Nobody has said whose image is expected.
        for image in [&good, &evil] {
            let (accepted, told) = judged(&world, image, &by(&[])).await;
            assert!(
                !accepted && told.contains("as it does for any repository that calls it"),
                "{told}"
            );
            assert!(told.contains("--source-repository OWNER/NAME"), "{told}");
        }
    }
    // By a pattern as by the whole name.
    let pattern = ["--certificate-identity-regexp", "https://github.com/org/supply-action/.*"];
    for (image, source, accepted) in [
        (&good, Some("victim/app"), true),
        (&evil, Some("victim/app"), false),
        (&good, None, false),
        (&evil, None, false),
    ] {
        let source = source.map(|source| ["--source-repository", source]);
        let output = verify(
            &world,
            &[&pattern[..], source.as_ref().map_or(&[], |source| &source[..]), &[image]].concat(),
        )
        .await;
        assert_eq!(output.status.success(), accepted, "{}", said(&output));
    }
}

#[tokio::test]
async fn every_pin_is_held_against_the_certificate_in_both_formats() {
    let mut world = World::new().await;
    let image = publish(&mut world, victim(), "good", "v1.0.0").await.outputs["image-ref"].clone();
    let (commit, other) = ("a".repeat(40), "b".repeat(40));
    let held: [&[&str]; 7] = [
        &["--source-repository", "VICTIM/App"],
        &["--source-repository", "https://GitHub.com/victim/app"],
        &["--source-repository", "https://github.com/victim/app.git"],
        &["--source-repository-id", "11", "--source-ref", "refs/heads/main"],
        &["--source-repository", "victim/app", "--source-commit", &commit],
        &["--source-repository", "victim/app", "--trigger", "push", "--runner", "github-hosted"],
        &["--source-repository", "victim/app", "--source-repository-id", "11"],
    ];
    for arguments in held {
        let (accepted, told) = judged(&world, &image, arguments).await;
        assert!(accepted, "{arguments:?}: {told}");
    }
    let refused: [(&[&str], &str); 12] = [
        (
            &["--source-repository", "victim/other"],
            "its repository is `https://github.com/victim/app`, not",
        ),
        (&["--source-repository", "victim/app2"], "its repository is"),
        (
            &["--source-repository", "https://ghes.example.com/victim/app"],
            "not `https://ghes.example.com/victim/app`",
        ),
        (&["--source-repository", "https://github.com/x/victim/app"], "its repository is"),
        // Deleted and made again by somebody else: the name is the same.
        (
            &["--source-repository", "victim/app", "--source-repository-id", "12"],
            "its repository id is `11`, not `12`",
        ),
        (&["--source-repository-id", "1"], "its repository id is `11`"),
        (
            &["--source-repository", "victim/app", "--source-ref", "refs/tags/v1.0.0"],
            "its ref is `refs/heads/main`",
        ),
        (
            &["--source-repository", "victim/app", "--source-ref", "refs/heads/Main"],
            "its ref is `refs/heads/main`",
        ),
        (&["--source-repository", "victim/app", "--source-commit", &other], "its commit is `aaaa"),
        (&["--source-repository", "victim/app", "--trigger", "schedule"], "its trigger is `push`"),
        (
            &["--source-repository", "victim/app", "--runner", "self-hosted"],
            "its runner is `github-hosted`",
        ),
        // Anybody may build that commit, from a fork for one.
        (&["--source-commit", &commit], "as it does for any repository that calls it"),
    ];
    for (arguments, why) in refused {
        for formats in
            [&[][..], &["--signature-formats", "bundle"], &["--signature-formats", "legacy"]]
        {
            let (accepted, told) = judged(&world, &image, &[arguments, formats].concat()).await;
            assert!(!accepted && told.contains(why), "{arguments:?}: {told}");
        }
    }
}

#[tokio::test]
async fn a_pin_fails_if_the_certificate_lacks_the_value() {
    let mut world = World::new().await;
    let mut claims = victim();
    (claims.repository_id, claims.runner_environment) = (String::new(), String::new());
    let run = publish(&mut world, claims, "good", "v1.0.0").await;
    let image = &run.outputs["image-ref"];
    let (accepted, told) = judged(&world, image, &["--source-repository", "victim/app"]).await;
    assert!(
        accepted
            && !told.contains("runner")
            && told.contains("source     https://github.com/victim/app\n"),
        "{told}"
    );
    for (arguments, why) in [
        (
            ["--runner", "github-hosted"],
            "its certificate names no runner, but `github-hosted` is required",
        ),
        (
            ["--source-repository-id", "11"],
            "its certificate names no repository id, but `11` is required",
        ),
    ] {
        let (accepted, told) = judged(
            &world,
            image,
            &[&["--source-repository", "victim/app"], &arguments[..]].concat(),
        )
        .await;
        assert!(!accepted && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn words_that_could_not_hold_and_sources_of_keys_are_wrong_on_the_command_line() {
    let world = World::new().await;
    let cases: [(&[&str], &str); 9] = [
        (&["--source-repository", "app"], "neither OWNER/NAME nor the URL"),
        (&["--source-repository", "github.com/victim/app"], "neither OWNER/NAME nor the URL"),
        (&["--source-repository", "https://github.com/app"], "neither OWNER/NAME nor the URL"),
        (&["--source-repository", "victim/app@v1"], "neither OWNER/NAME nor the URL"),
        (&["--source-repository-id", "0x11"], "is not a repository's number"),
        (&["--source-ref", "main"], "is not a whole ref"),
        (&["--source-commit", "abc123"], "is not a whole commit"),
        (&["--trigger", "Push!"], "is not an event"),
        (&["--runner", "mine"], "is neither `github-hosted` nor `self-hosted`"),
    ];
    for (arguments, why) in cases {
        let output =
            verify(&world, &[&["--certificate-identity", "x"], arguments, &["r.io/a:v1"]].concat())
                .await;
        assert!(
            output.status.code() == Some(2) && said(&output).contains(why),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    for arguments in [
        ["--source-repository", "victim/app"],
        ["--source-repository-id", "11"],
        ["--source-ref", "refs/heads/main"],
        ["--trigger", "push"],
        ["--runner", "github-hosted"],
    ] {
        let output =
            verify(&world, &[&["--key", "cosign.pub"], &arguments[..], &["r.io/a:v1"]].concat())
                .await;
        assert!(
            output.status.code() == Some(2) && said(&output).contains("cannot be used with"),
            "{}",
            said(&output)
        );
    }
}

#[tokio::test]
async fn a_run_takes_no_other_repositorys_or_commits_evidence_for_its_own() {
    let mut world = World::new().await;
    let first = publish(&mut world, victim(), "same", "v1.0.0").await;
    // The same bytes, in the same place, signed in the same name.
    for (claims, tag) in [
        (caller("mallory/evil", "66", 'a'), "x1"),
        (caller("victim/app", "12", 'a'), "x2"),
        (caller("victim/app", "11", 'b'), "x3"),
    ] {
        let run = publish(&mut world, claims, "same", tag).await;
        assert_eq!(run.outputs["digest"], first.outputs["digest"]);
        assert!(!run.log.contains("are reused"), "{}", run.log);
        let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
        assert_eq!(evidence["sources"].as_array().unwrap().len(), 1, "{evidence}");
    }
    let again = publish(&mut world, victim(), "same", "x5").await;
    assert!(again.log.contains("are reused"), "{}", again.log);
    // A run by another event signs for itself, so that who asks for that event finds it.
    let mut dispatched = victim();
    dispatched.event_name = "workflow_dispatch".to_owned();
    let run = publish(&mut world, dispatched, "same", "x4").await;
    assert!(!run.log.contains("are reused"), "{}", run.log);
    let asked = ["--source-repository", "victim/app", "--trigger", "workflow_dispatch"];
    assert!(judged(&world, &run.outputs["image-ref"], &asked).await.0);
}

#[tokio::test]
async fn shows_a_run_from_a_pull_request_or_on_a_self_hosted_runner() {
    let mut world = World::new().await;
    let mut claims = Claims::of("example/hello", "refs/heads/main", "push");
    claims.runner_environment = "self-hosted".to_owned();
    let run = publish(&mut world, claims.clone(), "own", "v1.0.0").await;
    let identity = claims.identity();
    let seen = async |image: &str, arguments: &[&str]| {
        let output = verify(
            &world,
            &[&["--certificate-identity", identity.as_str()], arguments, &[image]].concat(),
        )
        .await;
        (
            output.status.code(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output)),
        )
    };
    let image = &run.outputs["image-ref"];
    let (code, told) = seen(image, &[]).await;
    assert!(
        code == Some(0)
            && told.contains("runner     self-hosted (its owner could change what it builds)"),
        "{told}"
    );
    assert!(run.summary.contains("| runner | `self-hosted (its owner"), "{}", run.summary);
    let (code, told) = seen(image, &["--runner", "github-hosted"]).await;
    assert!(
        code == Some(1) && told.contains("its runner is `self-hosted`, not `github-hosted`"),
        "{told}"
    );
    let (_, told) = seen(image, &["--json"]).await;
    let told: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    let source = &told["sources"][0];
    assert_eq!(
        (&source["runner"], &source["trigger"], &source["ref"]),
        (&"self-hosted".into(), &"push".into(), &"refs/heads/main".into())
    );
    assert_eq!(told["subjects"][0]["signatures"][0]["run"], source["run"]);
    assert_eq!(
        source["run"],
        "https://github.com/example/hello/actions/runs/9000100200/attempts/1"
    );
    // The token alone says it; the runner was told something else.
    let mut pulled = Claims::of("example/hello", "refs/pull/7/merge", "pull_request");
    pulled.job_workflow_ref = claims.job_workflow_ref.clone();
    world.sandbox.act_as(pulled);
    let run = world.run(&[], &[("FAKE_BUILDX_SALT", "pulled"), ("INPUT_TAGS", "x1")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (code, told) = seen(&run.outputs["image-ref"], &[]).await;
    assert!(
        code == Some(0) && told.contains("trigger    pull_request (a pull request's run"),
        "{told}"
    );
    assert!(run.summary.contains("| trigger | `pull_request (a pull request"), "{}", run.summary);
    let (code, told) = seen(&run.outputs["image-ref"], &["--trigger", "push"]).await;
    assert!(
        code == Some(1) && told.contains("its trigger is `pull_request`, not `push`"),
        "{told}"
    );
}

#[tokio::test]
async fn the_commands_of_the_job_summary_pin_the_repository_and_ours_works_as_it_stands() {
    let mut world = World::new().await;
    let good = publish(&mut world, victim(), "good", "v1.0.0").await;
    let evil = publish(&mut world, caller("mallory/evil", "66", 'b'), "evil", "v2.0.0").await;
    let commands = |summary: &str, program: &str| -> Vec<String> {
        let block = summary.split("```sh").nth(1).unwrap().split("```").next().unwrap().to_owned();
        block.lines().filter(|line| line.starts_with(program)).map(str::to_owned).collect()
    };
    let cosign = commands(&good.summary, "cosign ");
    assert!(
        cosign.len() == 17
            && cosign
                .iter()
                .all(|line| line.contains(" --certificate-github-workflow-repository victim/app "))
    );
    let ours = commands(&good.summary, "supply-action verify ");
    assert_eq!(ours.len(), 1, "{}", good.summary);
    for part in [
        "--source-repository victim/app --source-repository-id 11",
        "--require platforms=signature,sbom,provenance",
    ] {
        assert!(
            ours[0].contains(part)
                || ours[0].contains(&part.replace("sbom,provenance", "provenance,sbom")),
            "{}",
            ours[0]
        );
    }
    let run = async |command: &str| {
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_supply-action")).parent().unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let mut shell = tokio::process::Command::new("/bin/sh");
        let output =
            shell.args(["-c", command]).env_clear().env("PATH", path).output().await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = run(&ours[0]).await;
    assert_eq!(code, Some(0), "{told}");
    // The victim's command on the other's image.
    let (code, told) =
        run(&ours[0].replace(&good.outputs["digest"], &evil.outputs["digest"])).await;
    assert!(
        code == Some(1) && told.contains("its repository is `https://github.com/mallory/evil`"),
        "{told}"
    );
}

/// As many referrers as anybody can list under the fallback tag, for whoever looks for signers and
/// for the check itself.
#[tokio::test]
async fn refuses_a_flood_of_referrers() {
    let mut world = World::with(|config| config.referrers_api = false).await;
    let run = publish(&mut world, victim(), "good", "v1.0.0").await;
    // The registry wants what a list names to be there, and nobody keeps one from naming it again
    // and again.
    let digest = run.outputs["digest"].clone();
    let entry = serde_json::json!({ "mediaType": "application/vnd.oci.image.index.v1+json", "size": 2, "digest": digest });
    let entries = vec![entry; 1001];
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries,
    });
    let tag = run.outputs["digest"].replace(':', "-");
    let folder = world.folder.path().join("sandbox/registry/repositories/app/_tags");
    std::fs::metadata(folder.join(&tag)).unwrap();
    let url = format!("http://{}/v2/app/manifests/{tag}", world.sandbox.registry());
    let put = reqwest::Client::new()
        .put(url)
        .header("content-type", "application/vnd.oci.image.index.v1+json");
    let answer = put.body(index.to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let before = world.sandbox.requests().len();
    for who in [["--certificate-identity-regexp", ".*"], ["--certificate-identity", "x"]] {
        let wanted =
            [&who[..], &["--signature-formats", "bundle", &run.outputs["image-ref"]]].concat();
        let output = verify(&world, &wanted).await;
        assert!(
            output.status.code() == Some(1) && said(&output).contains("this is a flood"),
            "{}",
            said(&output)
        );
    }
    let asked = world.sandbox.requests().split_off(before);
    // What the other parts have is read meanwhile; of the thousand nothing is.
    let of_flood = asked
        .iter()
        .filter(|request| request.path.ends_with(&format!("/manifests/{digest}")))
        .count();
    assert!(of_flood < 5 && asked.len() < 100, "{of_flood} of {} requests", asked.len());
}
