//! The action's own image, built by BuildKit from our Dockerfile, and run as the root of a file
//! system that holds nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{accepts, required, tool, world};

#[test]
fn our_dockerfile_makes_an_image_that_runs_without_a_shell() {
    let world = world();
    let place = world.folder.join("packaging");
    let (program, base, image) =
        (place.join("program"), place.join("base/root-fs"), place.join("image"));
    for folder in [&program, &base.join("tmp"), &base.join("etc/ssl/certs"), &image] {
        std::fs::create_dir_all(folder).unwrap();
    }
    // What the first stages would build is here already; compiling it again would prove nothing
    // about the image.
    for (from, to) in [(required("SUPPLY_ACTION_BIN"), "supply-action"), (tool("BUILDX"), "buildx")]
    {
        std::fs::copy(from, program.join(to)).unwrap();
        std::fs::set_permissions(program.join(to), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::copy(
        "/etc/ssl/certs/ca-certificates.crt",
        base.join("etc/ssl/certs/ca-certificates.crt"),
    )
    .unwrap();
    let buildx = tool("BUILDX");
    let builder = required("SUPPLY_ACTION_BUILDER");
    accepts(
        &buildx,
        &["create", "--name", "packaging", "--driver", "remote", builder.to_str().unwrap()],
    );
    let root = env!("CARGO_MANIFEST_DIR");
    let context = |name: &str, path: &Path| format!("{name}={}", path.display());
    let (program, base) = (context("program", &program), context("base", base.parent().unwrap()));
    #[rustfmt::skip]
    accepts(&buildx, &[
        "build", "--builder", "packaging", "--provenance=false", "--build-arg", "RUST_IMAGE=busybox:1.35", "--build-arg", "GO_IMAGE=busybox:1.35",
        "--build-context", &program, "--build-context", &base, "--output", &format!("type=local,dest={}", image.display()), root,
    ]);
    let mut files: Vec<String> = std::fs::read_dir(&image)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, ["etc", "supply-action", "tmp", "usr"]);
    let run = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .arg(&image)
            .args(arguments);
        let output = command.output().unwrap();
        (
            output.status.code(),
            format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        )
    };
    assert_eq!(
        run(&["/supply-action", "--version"]),
        (Some(0), format!("supply-action {}\n", env!("CARGO_PKG_VERSION")))
    );
    assert!(run(&["/usr/local/bin/buildx", "version"]).1.contains("github.com/docker/buildx v0."));
    // With no inputs at all it says what is missing, in a world with neither shell nor home.
    let (code, said) = run(&["/supply-action"]);
    assert!(code == Some(2) && said.contains("input `images`"), "{code:?} {said}");
    // HTTPS can be set up: the certificates are found.
    let (code, said) =
        run(&["/supply-action", "publish", "-i", "images=ghcr.io/o/r", "-i", "tags=v1"]);
    assert!(
        code == Some(1) && said.contains("has no permission to ask for an OIDC token"),
        "{code:?} {said}"
    );
}
