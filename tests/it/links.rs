//! Links that a checkout holds where this program writes or reads: none is followed, and the
//! message names it. And what killed runs left.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{Run, World};

/// A world with a workspace, in which the program is started, and a folder outside of it that
/// nothing may change.
struct Checkout {
    world: World,
    workspace: PathBuf,
    outside: PathBuf,
}

impl Checkout {
    async fn new() -> Self {
        let mut world = World::new().await;
        let (workspace, outside) =
            (world.folder.path().join("workspace"), world.folder.path().join("outside"));
        std::fs::create_dir_all(workspace.join("sub")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("victim"), "precious").unwrap();
        world
            .set("GITHUB_WORKSPACE", workspace.to_str().unwrap())
            .set("INPUT_PLATFORMS", "linux/amd64");
        Self { world, workspace, outside }
    }

    fn link(&self, name: &str, to: impl AsRef<Path>) {
        symlink(to, self.workspace.join(name)).unwrap();
    }

    async fn run(&self, arguments: &[&str], change: &[(&str, &str)]) -> Run {
        let output = self
            .world
            .command()
            .args(arguments)
            .envs(change.iter().copied())
            .current_dir(&self.workspace)
            .output()
            .await
            .unwrap();
        self.world.run_of(output.status.code(), &output.stderr)
    }

    /// It failed over the link, and nothing outside was made or changed.
    fn refused(&self, run: &Run, link: &str) {
        assert!(!matches!(run.code, Some(0)), "{}", run.log);
        assert!(run.log.contains(&format!("{link}` is a symbolic link")), "{}", run.log);
        let there: Vec<_> = std::fs::read_dir(&self.outside)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(
            (there, std::fs::read_to_string(self.outside.join("victim")).unwrap().as_str()),
            (vec!["victim".into()], "precious")
        );
    }
}

#[tokio::test]
async fn no_bake_file_is_written_through_a_link() {
    for target in ["victim", "new"] {
        let checkout = Checkout::new().await;
        checkout.link("supply-action-bake-file.json", checkout.outside.join(target));
        let run = checkout.run(&[], &[("INPUT_PUSH", "false"), ("INPUT_BAKE-TARGET", "app")]).await;
        checkout.refused(&run, "supply-action-bake-file.json");
    }
    let checkout = Checkout::new().await;
    let run = checkout.run(&[], &[("INPUT_PUSH", "false"), ("INPUT_BAKE-TARGET", "app")]).await;
    assert!(
        run.code == Some(0) && checkout.workspace.join("supply-action-bake-file.json").is_file(),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn digest_files_are_neither_written_nor_read_through_a_link() {
    let checkout = Checkout::new().await;
    checkout.link("digests", &checkout.outside);
    checkout.link("sub/up", "../../outside");
    let absolute = checkout.workspace.join("digests").display().to_string();
    for (folder, link) in [
        ("digests", "digests"),
        ("digests/below", "digests"),
        ("./sub/../digests", "digests"),
        ("sub/up/x", "sub/up"),
        (absolute.as_str(), "digests"),
    ] {
        let run = checkout
            .run(&[], &[("INPUT_PUSH-BY-DIGEST", "true"), ("INPUT_DIGEST-FILES", folder)])
            .await;
        checkout.refused(&run, link);
        let run = checkout.run(&["merge"], &[("INPUT_DIGEST-FILES", folder)]).await;
        checkout.refused(&run, link);
    }
    for (folder, link) in [("digests", "digests"), ("sub/up/x", "sub/up")] {
        let run = checkout.run(&[], &[("INPUT_EVIDENCE-DIR", folder)]).await;
        checkout.refused(&run, link);
    }
    let run = checkout
        .run(&[], &[("INPUT_PUSH-BY-DIGEST", "true"), ("INPUT_DIGEST-FILES", "real/digests")])
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let digest = run.outputs["digest"].trim_start_matches("sha256:").to_owned();
    assert!(checkout.workspace.join("real/digests").join(&digest).is_file());
    // A link among the names.
    checkout.link("real/digests/more", &checkout.outside);
    let run = checkout.run(&["merge"], &[("INPUT_DIGEST-FILES", "real/digests")]).await;
    checkout.refused(&run, "real/digests/more");
    std::fs::remove_file(checkout.workspace.join("real/digests/more")).unwrap();
    let run = checkout
        .run(&["merge"], &[("INPUT_DIGEST-FILES", "real/digests"), ("INPUT_BUILD-SOURCE", "any")])
        .await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cache_is_kept_through_a_link() {
    let checkout = Checkout::new().await;
    checkout.link("cache", &checkout.outside);
    for folder in ["cache", "cache/below"] {
        let cache =
            [("INPUT_SBOM-CACHE", folder), ("INPUT_SBOM-CACHE-KEY", "a secret of this repository")];
        let run = checkout.run(&[], &[&[("INPUT_SBOM", "registry")], &cache[..]].concat()).await;
        checkout.refused(&run, "cache");
        assert!(run.log.contains("input `sbom-cache`"), "{}", run.log);
    }
}

#[tokio::test]
async fn no_sbom_is_written_through_a_link() {
    let checkout = Checkout::new().await;
    std::fs::write(
        checkout.workspace.join("sub/package.json"),
        r#"{"name":"a","version":"1.0.0"}"#,
    )
    .unwrap();
    checkout.link("sbom.json", checkout.outside.join("victim"));
    checkout.link("folder", &checkout.outside);
    for (file, link) in [("sbom.json", "sbom.json"), ("folder/new.json", "folder")] {
        let run = checkout.run(&["sbom", "dir:sub", "--output", file], &[]).await;
        checkout.refused(&run, link);
    }
    let run = checkout.run(&["sbom", "dir:sub", "--output", "real.json"], &[]).await;
    assert!(run.code == Some(0) && checkout.workspace.join("real.json").is_file(), "{}", run.log);
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_by_a_later_one() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "slow").set("INPUT_SECRETS", "token=s3cr3t-value");
    let mut child = world.command().stderr(std::process::Stdio::null()).spawn().unwrap();
    while !world.left_behind().iter().any(|folder| folder.join("secret-0").exists()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child.kill().await.unwrap();
    let left = world.left_behind();
    assert_eq!(left.len(), 1);
    world.unset("FAKE_BUILDX").set("INPUT_PUSH", "false");
    assert_eq!(world.publish().await.code, Some(0));
    assert_eq!(world.left_behind(), left, "it may still be another run's");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 60 * 60);
    std::fs::File::open(&left[0]).unwrap().set_modified(old).unwrap();
    assert_eq!(world.publish().await.code, Some(0));
    assert_eq!(world.left_behind(), Vec::<PathBuf>::new());
}
