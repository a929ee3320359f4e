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
