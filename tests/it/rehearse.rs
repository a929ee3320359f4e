//! A rehearsal with buildx faked: whose release it plays, what it is told, and where it keeps what
//! came out.

use crate::support::World;

#[tokio::test]
async fn a_rehearsal_plays_the_release_it_is_asked_for_and_keeps_it_outside_of_the_context() {
    let world = World::new().await;
    let context = world.folder.path().join("context");
    let (context_text, state) = (context.display().to_string(), world.folder.path().join("state"));
    let home = [("XDG_STATE_HOME", state.to_str().unwrap())];
    let out = world.folder.path().join("kept");
    let run = world
        .run(
            &[
                "rehearse",
                &context_text,
                "--ref",
                "refs/heads/main",
                "--input",
                "flavor=suffix=-x",
                "--out",
                out.to_str().unwrap(),
            ],
            &home,
        )
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        run.log.contains("rehearsing a push of `refs/heads/main` in `example/context`"),
        "{}",
        run.log
    );
    assert!(run.log.contains("/context:main-x"), "{}", run.log);
    assert!(
        out.join("evidence.json").is_file()
            && out.join("image/index.json").is_file()
            && out.join("verify.sh").is_file()
    );
    let summary = std::fs::read_to_string(out.join("summary.md")).unwrap();
    for part in [
        "## 📦 `127.0.0.1:",
        "| ref | `refs/heads/main` |",
        "| linux/arm64 |",
        "sh verify.sh\n",
        "supply-action verify ",
        " --trusted-root trusted_root.json --layout image\n",
    ] {
        assert!(summary.contains(part), "{part} is missing in {summary}");
    }
    assert!(!summary.contains("supply-action-sandbox-"), "that folder is gone: {summary}");

    let inside = context.join("rehearsal");
    let run =
        world.run(&["rehearse", &context_text, "--out", inside.to_str().unwrap()], &home).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(
        run.log.contains("nothing was rehearsed") && run.log.contains(".dockerignore"),
        "{}",
        run.log
    );
    assert!(!inside.exists());
}

/// A clone of a repository at GitHub, with one commit on `main`.
pub(crate) fn clone(folder: &std::path::Path) -> String {
    let git = |arguments: &[&str]| {
        let output =
            std::process::Command::new("git").current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "-b", "main"]);
    git(&["remote", "add", "origin", "git@github.com:octo/app.git"]);
    git(&[
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.com",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "one",
    ]);
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
        .flat_map(|prefix| {
            world
                .names()
                .filter(move |name| name.starts_with(prefix))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    for name in names.iter().filter(|name| *name != "GITHUB_API_URL") {
        world.unset(name);
    }
    let plan = async |change: &[(&str, &str)], arguments: &[&str]| {
        let command = world
            .command()
            .args(arguments)
            .envs(change.iter().copied())
            .current_dir(&folder)
            .output()
            .await
            .unwrap();
        (
            command.status.code(),
            String::from_utf8_lossy(&command.stdout).into_owned(),
            String::from_utf8_lossy(&command.stderr).into_owned(),
        )
    };
    let (code, said, told) = plan(&[], &["plan"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(
            "no workflow runs here: planned for `push` of `refs/heads/main` in `octo/app`"
        ),
        "{told}"
    );
    for expected in ["ghcr.io/octo/app", "main", "latest", &format!("sha-{sha}")] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (code, said, told) = plan(&[], &["plan", "--ref", "refs/tags/v1.2.3"]).await;
    assert!(code == Some(0) && said.contains("v1.2.3"), "{said}{told}");
    // What a workflow may bring later must be there by now.
    let (code, _, told) = plan(&[("INPUT_CONTEXT", "./nowhere")], &["plan"]).await;
    assert!(code == Some(1) && told.contains("there is no folder `./nowhere`"), "{told}");
    // A workflow is asked about itself alone.
    let (code, _, told) =
        plan(&[("GITHUB_ACTIONS", "true"), ("INPUT_IMAGES", "ghcr.io/a/b")], &["plan"]).await;
    assert!(!told.contains("octo/app"), "{code:?} {told}");
}

/// As a workflow of docker's actions, rewritten for this one, says it.
const WORKFLOW: &str = r"
on: { push: { tags: ['v*'] } }
env: { IMAGE: 'ghcr.io/${{ github.repository }}' }
jobs:
  publish:
    steps:
      - uses: org/supply-action@v1
        id: image
        with:
          images: |
            ${{ env.IMAGE }}
            name=docker.io/octo/app,enable=${{ startsWith(github.ref, 'refs/tags/') }}
          tags: type=semver,pattern={{version}}
          platforms: linux/amd64
          cache-to: type=registry,ref=ghcr.io/octo/cache,mode=max
          registry-auth: '[{ registry: ghcr.io, username: x, password: ${{ secrets.TOKEN }} }]'
          signing-config: ./production.json
      - uses: org/supply-action@v1
        id: legs
        with: { images: '${{ env.IMAGE }}', push-by-digest: true }
";

#[tokio::test]
async fn the_step_of_a_workflow_is_rehearsed_and_reaches_nothing_else() {
    let world = World::new().await;
    let (context, file, out) = (
        world.folder.path().join("context"),
        world.folder.path().join("ship.yml"),
        world.folder.path().join("kept"),
    );
    std::fs::write(&file, WORKFLOW).unwrap();
    let paths = [&context, &file, &out].map(|path| path.to_str().unwrap().to_owned());
    let [context, file, out] = [0, 1, 2].map(|at| paths[at].as_str());
    let rehearse = async |more: &[&str]| {
        world.run(&[["rehearse", context, "--out", out].as_slice(), more].concat(), &[]).await
    };
    let run =
        rehearse(&["--workflow", file, "--step", "publish/image", "--ref", "refs/tags/v2.1.0"])
            .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for expected in [
        "` replaces `ghcr.io/example/context` in this rehearsal",
        "` replaces `docker.io/octo/app` in this rehearsal",
        "input `cache-to` is left out: a rehearsal reaches nothing beyond this machine",
        "input `registry-auth` is left out: `secrets.TOKEN` is not known here",
        "input `signing-config` is left out",
        "the scan uses the few records of the sandbox",
        "/octo/app:2.1.0",
        "may sign as `example/context/.github/workflows/ship.yml@refs/tags/v2.1.0`",
    ] {
        assert!(run.log.contains(expected), "{expected}: {}", run.log);
    }
    let evidence = std::fs::read_to_string(world.folder.path().join("kept/evidence.json")).unwrap();
    assert!(
        !evidence.contains("ghcr.io")
            && !evidence.contains("docker.io")
            && !evidence.contains("linux/arm64"),
        "{evidence}"
    );

    let run = rehearse(&["--workflow", file, "--step", "legs"]).await;
    assert!(
        run.code == Some(0) && run.log.contains("for the action `merge` to publish"),
        "{}",
        run.log
    );
    let run = rehearse(&["--workflow", file]).await;
    assert!(
        run.code != Some(0) && run.log.contains("name one with `--step JOB/ID`"),
        "{}",
        run.log
    );
    let run = rehearse(&["--event-name", "pull_request"]).await;
    assert!(
        run.code == Some(0) && run.log.contains("the run would publish nothing"),
        "{}",
        run.log
    );
    // An input cannot lead out either, and whole references stay what they are.
    let run = rehearse(&["--input", "images=quay.io/octo/app", "--input", "tags=v9"]).await;
    assert!(
        run.code == Some(0) && run.log.contains("` replaces `quay.io/octo/app` in this rehearsal"),
        "{}",
        run.log
    );
    let run = rehearse(&["--input", "tags=quay.io/octo/app:v9"]).await;
    assert!(
        run.code == Some(0)
            && run.log.contains("/octo/app:v9")
            && !run.log.contains("tagged quay.io"),
        "{}",
        run.log
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn what_a_rehearsal_left_on_disk_is_verified_as_one_in_a_registry() {
    let world = World::new().await;
    let (context, out) = (world.folder.path().join("context"), world.folder.path().join("kept"));
    let run = world
        .run(&["rehearse", context.to_str().unwrap(), "--out", out.to_str().unwrap()], &[])
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (layout, root) = (
        out.join("image").display().to_string(),
        out.join("trusted_root.json").display().to_string(),
    );
    assert!(run.log.contains("supply-action verify --certificate-identity "), "{}", run.log);
    // The printed command, as it stands.
    let command = run
        .log
        .lines()
        .find_map(|line| line.strip_prefix("check it:   supply-action "))
        .unwrap()
        .to_owned();
    let words = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {command}")])
        .output()
        .unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let verify = async |words: &[&str]| {
        let output = world.command().args(words).output().await.unwrap();
        (
            output.status.code(),
            format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        )
    };
    let (code, said) = verify(&words.lines().collect::<Vec<_>>()).await;
    assert!(
        code == Some(0)
            && said.contains(&format!("verified   {layout}@sha256:"))
            && said.contains("blobs hashes to its digest"),
        "{said}"
    );
    let anybody = [
        "--trusted-root",
        &root,
        "--certificate-identity-regexp",
        ".*",
        "--certificate-oidc-issuer",
    ];
    let evidence: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("evidence.json")).unwrap()).unwrap();
    let issuer = evidence["signer"]["issuer"].as_str().unwrap();
    let check = async |more: &[&str]| {
        verify(&[["verify"].as_slice(), &anybody, &[issuer], more].concat()).await
    };
    // Both formats are there, and each alone is enough; a name or a digest chooses.
    for more in [["--signature-formats", "bundle,legacy"], ["--json", "--allow-foreign-layers"]] {
        let (code, said) = check(&[["--layout", &layout].as_slice(), &more].concat()).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = check(&["--layout", &format!("{layout}:v1.2.3")]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(&["--layout", &format!("{layout}:v9")]).await;
    assert!(code != Some(0) && said.contains("there is no image named `v9`"), "{said}");
    let (code, said) = check(&["--layout", "nowhere"]).await;
    assert!(code == Some(2) && said.contains("`nowhere` is not there"), "{said}");
    let root = ["verify", "--repo", "o/r", "--layout", &layout, "--trusted-root", "/nowhere.json"];
    let (code, said) = verify(&root).await;
    let told = "nothing was verified: input `trusted-root`: `/nowhere.json` cannot be read";
    assert!(code == Some(2) && said.contains(told), "{said}");
    let (code, _) = check(&[]).await;
    assert_eq!(code, Some(2));
    // `sbom` names the image, not its evidence.
    let (code, said) =
        verify(&["sbom", "--platform", "linux/arm64", "--format", "table", &layout]).await;
    assert!(code == Some(0), "{said}");

    // A layer of other bytes, and one that is not there.
    let layers: Vec<_> = std::fs::read_dir(out.join("image/blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap()).is_err()
        })
        .collect();
    let layer = layers.first().expect("an image has a layer");
    let bytes = std::fs::read(layer).unwrap();
    for broken in [Some([bytes.as_slice(), b"x"].concat()), None] {
        match &broken {
            Some(bytes) => std::fs::write(layer, bytes).unwrap(),
            None => std::fs::remove_file(layer).unwrap(),
        }
        let (code, said) = check(&["--layout", &layout]).await;
        assert!(code != Some(0) && !said.contains("verified   "), "{said}");
    }
}

/// The examples and, where they are at hand, workflows of others that were rewritten for this
/// action.
#[tokio::test]
async fn every_step_that_publishes_in_an_example_can_be_rehearsed() {
    let world = World::new().await;
    let context = world.folder.path().join("context").display().to_string();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in [root.join("examples/workflows"), root.join("../shared/cases/build/workflows")] {
        for file in
            std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path())
        {
            let text = std::fs::read_to_string(&file).unwrap();
            if !text.contains("supply-action@") || text.contains("supply-action/bake@") {
                continue;
            }
            count += 1;
            let folder = world.folder.path().join(format!("kept-{count}"));
            let step = text.contains("supply-action/merge@").then_some("build/build");
            let mut arguments = vec![
                "rehearse",
                &context,
                "--workflow",
                file.to_str().unwrap(),
                "--out",
                folder.to_str().unwrap(),
            ];
            arguments.extend(step.into_iter().flat_map(|step| ["--step", step]));
            // What an organisation's callers say.
            arguments.extend([
                "--input",
                "images=ghcr.io/octo/app",
                "--input",
                "file=",
                "--input",
                "context=.",
            ]);
            if !text.contains("platforms: linux/") {
                arguments.extend(["--platforms", "linux/amd64"]);
            }
            let run = world.run(&arguments, &[]).await;
            assert_eq!(run.code, Some(0), "{}: {}", file.display(), run.log);
        }
    }
    assert!(count > 3);
}

#[tokio::test]
async fn jobs_that_build_and_the_one_that_merges_are_rehearsed_together() {
    let world = World::new().await;
    let (context, out) = (world.folder.path().join("context"), world.folder.path().join("kept"));
    let (context, out) = (context.to_str().unwrap(), out.to_str().unwrap());
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/workflows/matrix-merge.yml");
    let workflow = [
        "--workflow",
        example.to_str().unwrap(),
        "--step",
        "publish/publish",
        "--ref",
        "refs/heads/main",
    ];
    for arguments in [["--action", "merge", "--tags", "v3"].as_slice(), &workflow] {
        let run = world
            .run(&[["rehearse", context, "--out", out].as_slice(), arguments].concat(), &[])
            .await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let evidence: serde_json::Value = serde_json::from_slice(
            &std::fs::read(world.folder.path().join("kept/evidence.json")).unwrap(),
        )
        .unwrap();
        let parts: Vec<&str> = evidence["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|part| part["platform"].as_str())
            .collect();
        assert!(parts.contains(&"linux/amd64") && parts.contains(&"linux/arm64"), "{parts:?}");
    }
}

#[tokio::test]
async fn every_target_of_bake_files_is_rehearsed_and_kept() {
    let world = World::new().await;
    let (context, out) = (world.folder.path().join("context"), world.folder.path().join("kept"));
    let target = |name: &str| {
        let tags = [format!("ghcr.io/octo/{name}:v1"), format!("octo/{name}:latest")];
        serde_json::json!({ "context": ".", "platforms": ["linux/amd64"], "tags": tags, "cache-to": [{ "type": "gha" }] })
    };
    let file = serde_json::json!({ "group": { "default": { "targets": ["api", "web"] } }, "target": { "api": target("api"), "web": target("web") } });
    std::fs::write(context.join("docker-bake.json"), file.to_string()).unwrap();
    let (context, out) = (context.to_str().unwrap(), out.to_str().unwrap());
    let run = world.run(&["rehearse", context, "--out", out, "--action", "bake"], &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for expected in [
        "` replaces `ghcr.io/octo/api:v1` in this rehearsal",
        "the caches of target `web` are left out",
    ] {
        assert!(run.log.contains(expected), "{expected}: {}", run.log);
    }
    for target in ["api", "web"] {
        assert!(
            world.folder.path().join("kept").join(target).join("image/index.json").is_file(),
            "{target}"
        );
    }
    let run = world
        .run(&["rehearse", context, "--out", out, "--action", "bake", "--tags", "v1"], &[])
        .await;
    assert!(run.code != Some(0) && run.log.contains("but a bake file has targets"), "{}", run.log);
}
