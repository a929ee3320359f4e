//! The builder that a step makes by itself, in Docker, out of BuildKit's image; that it builds, and
//! that nothing of it is left.

use std::path::Path;
use std::process::Command;

use crate::examples::published;
use crate::workflow::Workflow;
use crate::world::{build, copy, output, root, tool, world};

/// BuildKit's image, out of the programs that are here: what `moby/buildkit` holds, on Debian.
fn buildkit_image() -> String {
    let world = world();
    let context = world.folder.join("buildkit-image");
    let tree = context.join("root");
    let runc = output(Command::new("sh").args(["-c", "command -v runc"]));
    let runc = Path::new(runc.trim());
    for (from, to) in [
        (tool("BUILDKIT").as_path(), "usr/bin/buildkitd"),
        (&tool("BUILDCTL"), "usr/bin/buildctl"),
        (runc, "usr/sbin/runc"),
    ] {
        copy(from, &tree.join(to));
    }
    // Debian's runc is linked to a library that a small Debian lacks.
    let libraries = output(Command::new("ldd").arg(runc));
    let library = libraries
        .lines()
        .find_map(|line| line.trim().strip_prefix("libseccomp.so.2 => ")?.split(' ').next())
        .unwrap();
    copy(&std::fs::canonicalize(library).unwrap(), &tree.join("usr/lib/libseccomp.so.2"));
    std::fs::write(
        context.join("Dockerfile"),
        "FROM debian:bookworm-slim\nCOPY root /\nENTRYPOINT [\"buildkitd\"]\n",
    )
    .unwrap();
    build(
        &world.folder,
        &format!("{}/moby/buildkit", world.mirror.registry()),
        &[context.to_str().unwrap()],
    )
}

#[test]
fn a_builder_of_its_own_in_docker_builds_and_is_removed() {
    let host = std::env::var("DOCKER_HOST").unwrap();
    let engine = Path::new(host.trim_start_matches("unix://"))
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let run = Workflow::of_file(
        root().join("tests/e2e/workflows/docker-container.yml"),
        "push",
        "refs/heads/main",
    )
    .without_builder()
    .var("BUILDKIT_IMAGE", &buildkit_image())
    .var("CGROUP_PARENT", &format!("/{engine}"))
    .var("MIRROR", world().mirror.registry());
    let ended = run.run();
    published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(ended.log.contains("instance using docker-container driver"), "{}", ended.log);
    assert!(ended.left.is_empty(), "{:?}", ended.left);
}
