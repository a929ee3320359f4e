//! A rehearsal with buildx faked: whose release it plays, what it is told, and where it keeps what came out.

use crate::support::World;

#[tokio::test]
async fn a_rehearsal_plays_the_release_it_is_asked_for_and_keeps_it_outside_of_the_context() {
    let world = World::new().await;
    let context = world.folder.path().join("context");
    let (context_text, state) = (context.display().to_string(), world.folder.path().join("state"));
    let home = [("XDG_STATE_HOME", state.to_str().unwrap())];
    let out = world.folder.path().join("kept");
    let run = world
        .run(&["rehearse", &context_text, "--ref", "refs/heads/main", "--input", "flavor=suffix=-x", "--out", out.to_str().unwrap()], &home)
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("rehearsing a push of `refs/heads/main` to `example/context`"), "{}", run.log);
    assert!(run.log.contains("/context:main-x"), "{}", run.log);
    assert!(out.join("evidence.json").is_file() && out.join("image/index.json").is_file() && out.join("verify.sh").is_file());

    let inside = context.join("rehearsal");
    let run = world.run(&["rehearse", &context_text, "--out", inside.to_str().unwrap()], &home).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("nothing was rehearsed") && run.log.contains(".dockerignore"), "{}", run.log);
    assert!(!inside.exists());
}

/// A clone of a repository at GitHub, with one commit on `main`.
fn clone(folder: &std::path::Path) -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "-b", "main"]);
    git(&["remote", "add", "origin", "git@github.com:octo/app.git"]);
    git(&["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "one"]);
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    git(&["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_plan_without_a_workflow_is_that_of_the_clone() {
    let mut world = World::new().await;
    let folder = world.folder.path().join("clone");
    std::fs::create_dir(&folder).unwrap();
    let sha = clone(&folder);
    let names: Vec<String> = ["GITHUB_", "INPUT_", "ACTIONS_"]
        .iter()
        .flat_map(|prefix| world.names().filter(move |name| name.starts_with(prefix)).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for name in names.iter().filter(|name| *name != "GITHUB_API_URL") {
        world.unset(name);
    }
    let plan = async |change: &[(&str, &str)], arguments: &[&str]| {
        let command = world.command().args(arguments).envs(change.iter().copied()).current_dir(&folder).output().await.unwrap();
        (command.status.code(), String::from_utf8_lossy(&command.stdout).into_owned(), String::from_utf8_lossy(&command.stderr).into_owned())
    };
    let (code, said, told) = plan(&[], &["plan"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("no workflow runs here: planned for `push` of `refs/heads/main` in `octo/app`"), "{told}");
    for expected in ["ghcr.io/octo/app", "main", "latest", &format!("sha-{sha}")] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (code, said, told) = plan(&[], &["plan", "--ref", "refs/tags/v1.2.3"]).await;
    assert!(code == Some(0) && said.contains("v1.2.3"), "{said}{told}");
    // What a workflow may bring later must be there by now.
    let (code, _, told) = plan(&[("INPUT_CONTEXT", "./nowhere")], &["plan"]).await;
    assert!(code == Some(1) && told.contains("there is no folder `./nowhere`"), "{told}");
    // A workflow is asked about itself alone.
    let (code, _, told) = plan(&[("GITHUB_ACTIONS", "true"), ("INPUT_IMAGES", "ghcr.io/a/b")], &["plan"]).await;
    assert!(!told.contains("octo/app"), "{code:?} {told}");
}
