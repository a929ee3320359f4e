//! The builder that a step makes by itself, in Docker, out of BuildKit's image; that it builds, and
//! that nothing of it is left.

use std::path::Path;
use std::process::Command;

use crate::examples::published;
use crate::workflow::Workflow;
use crate::world::{build, copy, docker, output, root, tool, turn, world};

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

/// The engine's socket, and the engine's own name.
fn engine() -> (String, String) {
    let host = std::env::var("DOCKER_HOST").unwrap();
    let socket = host.trim_start_matches("unix://").to_owned();
    let folder = Path::new(&socket).parent().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    (socket, name)
}

/// The command that `docs/rehearse.md` gives, in a project that needs no base image. Only where
/// Docker's socket and BuildKit's image are is of here.
#[test]
fn a_project_is_rehearsed_by_our_image_and_docker_alone() {
    let (image, (socket, engine)) = (buildkit_image(), engine());
    let _turn = turn();
    let folder = tempfile::tempdir_in(&world().folder).unwrap();
    let project = folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("Dockerfile"), "FROM scratch\nCOPY hello /\n").unwrap();
    std::fs::write(project.join("hello"), "hello\n").unwrap();
    let page = std::fs::read_to_string(root().join("docs/rehearse.md")).unwrap();
    let command = page.split("```sh\ndocker run ").nth(1).unwrap().split("```").next().unwrap();
    let given = command
        .replace("/var/run/docker.sock:/", &format!("{socket}:/"))
        .replace(" supply-action rehearse", &format!(" {} rehearse", world().image));
    let options = format!("image={image}\ncgroup-parent=/{engine}");
    let said = output(
        Command::new("sh")
            .current_dir(&project)
            .env("PWD", &project)
            .env("OPTIONS", format!("driver-opts={options}"))
            .args(["-c", &format!("docker run {} --input \"$OPTIONS\" 2>&1", given.trim())]),
    );
    assert!(said.contains("/project:v1.2.3"), "{said}");
    assert!(folder.path().join("project-rehearsal/evidence.json").is_file(), "{said}");
    assert_eq!(docker(&["ps", "--all", "--quiet"]).trim(), "", "a builder is left: {said}");
}

#[test]
fn a_builder_of_its_own_in_docker_builds_and_is_removed() {
    let (_, engine) = engine();
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
