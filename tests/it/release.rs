//! The commit that a release is used by, made by `tools/release-commit` in a clone with a remote of
//! its own. It never touches this repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the registries of base images would say.
const BASE: &str = "sha256:1f00da2cc2f3ac1a4a8e5ba4bbd8bd0e4a6ba4d7a2fb53ff9c4c4bc4dd95b1b7";
const IMAGE: &str = "ghcr.io/org/supply-action@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

/// A copy of what a release rewrites, with one commit, and an empty remote.
struct Clone {
    folder: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let clone = Self { folder: tempfile::tempdir().unwrap() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copied = [
            "Cargo.toml",
            "Dockerfile",
            "action.yml",
            "merge/action.yml",
            "bake/action.yml",
            "promote/action.yml",
            "scan/action.yml",
            "tools/base-images",
            "tools/release-commit",
            ".github/workflows",
            "examples/workflows",
            "README.md",
            "docs",
        ];
        for name in copied {
            let to = clone.checkout().join(name);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            assert!(
                Command::new("cp")
                    .arg("-r")
                    .arg(root.join(name))
                    .arg(&to)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        std::fs::create_dir(clone.checkout().join("sub")).unwrap();
        std::fs::write(
            clone.checkout().join("sub/action.yml"),
            "runs:\n  using: docker\n  image: ../Dockerfile # from here\n",
        )
        .unwrap();
        clone.git(&["init", "--quiet", "-b", "main"]);
        clone.git(&["add", "."]);
        clone.git(&["commit", "--quiet", "-m", "all"]);
        clone.git(&["init", "--quiet", "--bare", clone.remote().to_str().unwrap()]);
        clone
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    fn remote(&self) -> PathBuf {
        self.folder.path().join("remote.git")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(program);
        command
            .current_dir(self.checkout())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        for (name, value) in [("NAME", "o"), ("EMAIL", "o@o.o"), ("DATE", "2026-01-02T03:04:05Z")] {
            command
                .env(format!("GIT_AUTHOR_{name}"), value)
                .env(format!("GIT_COMMITTER_{name}"), value);
        }
        let output = command
            .args(arguments)
            .env("BASE_IMAGES", base_images(&self.checkout()))
            .output()
            .unwrap();
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(said).unwrap().trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> String {
        let (success, said) = self.run("git", arguments);
        assert!(success, "git {arguments:?}: {said}");
        said
    }

    /// The commit that the tool makes.
    fn release(&self, version: &str, push: bool) -> String {
        let remote = self.remote();
        let mut arguments = vec![version, IMAGE];
        if push {
            arguments.extend(["--push", remote.to_str().unwrap()]);
        }
        let (success, said) = self.run("tools/release-commit", &arguments);
        assert!(success, "{said}");
        said
    }

    /// What a name of the remote stands for.
    fn pushed(&self, name: &str) -> String {
        self.git(&["--git-dir", self.remote().to_str().unwrap(), "rev-parse", name])
    }
}

/// `NAME=image@digest` for each base image of the Dockerfile.
fn base_images(checkout: &Path) -> String {
    let dockerfile = std::fs::read_to_string(checkout.join("Dockerfile")).unwrap_or_default();
    let images = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("ARG "))
        .filter(|image| !image.contains('$'));
    images.map(|image| format!("{}@{BASE}\n", image.split('@').next().unwrap())).collect()
}

#[test]
fn a_release_is_built_of_base_images_by_digest_and_its_commit_keeps_them() {
    let clone = Clone::new();
    // A docker that knows one digest, and refuses what has no tag.
    let programs = clone.folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let docker = programs.join("docker");
    let inspects = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $5 $6\" = 'buildx imagetools inspect --format {{{{.Manifest.Digest}}}}' ] && echo '{BASE}'\n"
    );
    std::fs::write(&docker, inspects).unwrap();
    std::fs::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let (success, said) = clone.run("env", &[&format!("PATH={path}"), "tools/base-images"]);
    assert!(success, "{said}");
    assert_eq!(said, base_images(&clone.checkout()).trim());
    assert_eq!(said.lines().count(), 2, "{said}");
    let dockerfile =
        clone.git(&["show", &format!("{}:Dockerfile", clone.release("v1.2.3", false))]);
    for line in
        dockerfile.lines().filter(|line| line.starts_with("ARG ") || line.starts_with("FROM "))
    {
        let of_the_file = ["${RUST_IMAGE}", "${GO_IMAGE}", "${CA_IMAGE}", "FROM scratch"]
            .iter()
            .any(|part| line.contains(part));
        assert!(of_the_file || line.ends_with(&format!("@{BASE}")), "{line} is pinned by nobody");
    }
    // No digest is invented, and none of another image is taken.
    std::fs::write(&docker, "#!/bin/sh\necho 'ERROR: not found'\n").unwrap();
    let (success, said) = clone.run("env", &[&format!("PATH={path}"), "tools/base-images"]);
    assert!(!success && said.contains("gives no digest for `rust:"), "{said}");
    for wrong in [
        "",
        "RUST_IMAGE=rust:1@sha256:00",
        &base_images(&clone.checkout()).replace("golang:", "evil:"),
        &base_images(&clone.checkout()).replace(BASE, "latest"),
    ] {
        let (success, said) = clone.run(
            "env",
            &[&format!("BASE_IMAGES={wrong}"), "tools/release-commit", "v1.2.3", IMAGE],
        );
        assert!(
            !success && said.starts_with("error: BASE_IMAGES gives no digest for `"),
            "{wrong}: {said}"
        );
    }
}

#[test]
fn a_release_commit_runs_the_published_image_and_names_itself_in_full() {
    let clone = Clone::new();
    let head = clone.git(&["rev-parse", "HEAD"]);
    let commit = clone.release("v1.2.3", false);
    for action in ["action.yml", "merge/action.yml", "sub/action.yml"] {
        let text = clone.git(&["show", &format!("{commit}:{action}")]);
        assert!(
            text.contains(&format!("\n  image: docker://{IMAGE}"))
                && !text.contains("Dockerfile #"),
            "{action}: {text}"
        );
    }
    // Examples name a commit below, whose actions run the image too.
    let example = clone.git(&["show", &format!("{commit}:examples/workflows/push.yml")]);
    let (_, pinned) = example.split_once("uses: org/supply-action@").unwrap();
    let (named, version) = pinned.lines().next().unwrap().split_once(" # ").unwrap();
    assert_eq!((named.len(), version), (40, "v1.2.3"));
    assert!(clone.git(&["show", &format!("{named}:action.yml")]).contains(IMAGE));
    assert!(clone.git(&["rev-list", &commit]).lines().any(|line| line == named));
    // Pages name the same commit, wherever a step is to be copied, and are else as they were.
    for page in ["README.md", "docs/getting-started.md", "docs/migration.md"] {
        let text = clone.git(&["show", &format!("{commit}:{page}")]);
        assert!(text.contains(&format!("- uses: org/supply-action@{named} # v1.2.3\n")), "{page}");
        assert!(!text.contains("- uses: org/supply-action@v1\n"), "{page}");
        let lines = |text: &str| text.lines().count();
        assert_eq!(lines(&text), lines(&clone.git(&["show", &format!("{head}:{page}")])), "{page}");
    }
    // What runs a verb of the image names it by digest.
    let prune = clone.git(&["show", &format!("{commit}:examples/workflows/prune.yml")]);
    assert!(prune.contains(&format!("      - uses: docker://{IMAGE} # v1.2.3\n")), "{prune}");
    // So does what calls the reusable workflow, whose jobs name their actions in full, too.
    let workflow = clone.git(&["show", &format!("{named}:.github/workflows/publish.yml")]);
    assert!(
        !workflow.contains("@v1") && workflow.matches(" # v1.2.3\n").count() == 2,
        "{workflow}"
    );
    // Nothing else changed, the checkout is as it was, and the same release gives the same commit.
    for file in clone.git(&["diff", "--name-only", &head, &commit]).lines() {
        assert!(
            ["action.yml", "Dockerfile", ".md"].iter().any(|end| file.ends_with(end))
                || file.contains("workflows/"),
            "{file}"
        );
    }
    assert_eq!(
        (clone.git(&["status", "--porcelain"]), clone.git(&["rev-parse", "HEAD"])),
        (String::new(), head)
    );
    assert_eq!(clone.release("v1.2.3", false), commit);
}

#[test]
fn the_major_tag_moves_to_the_newest_release_and_never_back() {
    let clone = Clone::new();
    let first = clone.release("v1.2.3", true);
    assert_eq!(
        (clone.pushed("v1"), clone.pushed("release/v1.2.3")),
        (first.clone(), first.clone())
    );
    assert_eq!(clone.release("v1.2.3", true), first, "a rerun changes nothing");
    let prerelease = clone.release("v1.4.0-rc.1", true);
    assert_eq!((clone.pushed("v1"), clone.pushed("release/v1.4.0-rc.1")), (first, prerelease));
    let newer = clone.release("v1.10.0", true);
    assert_eq!(clone.pushed("v1"), newer);
    let older_line = clone.release("v1.2.4", true);
    assert_eq!((clone.pushed("v1"), clone.pushed("release/v1.2.4")), (newer, older_line));
    let next = clone.release("v2.0.0", true);
    assert_eq!(clone.pushed("v2"), next);
    assert_eq!(clone.git(&["tag"]), "", "no tag is left in the checkout");
}

#[test]
fn a_release_commit_is_refused_for_what_is_no_release() {
    let clone = Clone::new();
    for (version, image) in [
        ("1.2.3", IMAGE),
        ("v1", IMAGE),
        ("v1.2.3$(id)", IMAGE),
        ("v1.2.3", "ghcr.io/org/supply-action:v1.2.3"),
    ] {
        let (success, said) = clone.run("tools/release-commit", &[version, image]);
        assert!(!success && said.starts_with("error: `"), "{version} {image}: {said}");
    }
    std::fs::write(
        clone.checkout().join("sub/action.yml"),
        "runs:\n  using: docker\n  image: docker://elsewhere\n",
    )
    .unwrap();
    clone.git(&["commit", "--quiet", "-am", "other"]);
    let (success, said) = clone.run("tools/release-commit", &["v1.2.3", IMAGE]);
    assert!(!success && said.contains("`sub/action.yml` does not run a Dockerfile"), "{said}");
}
