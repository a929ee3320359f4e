//! What a rehearsal leaves on disk, and real builds that fail.

use std::process::Command;

use crate::support::{accepts, publish, required, tool, world};

#[test]
fn the_rehearsed_release_checks_itself_with_cosign() {
    let world = world();
    let out = world.folder.join("rehearsal");
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let images = required("SUPPLY_ACTION_IMAGES");
    let output = Command::new(required("SUPPLY_ACTION_BIN"))
        .env_clear()
        .env("PATH", required("PATH"))
        .env("BUILDX", tool("BUILDX"))
        .env("SUPPLY_ACTION_BUILDER", required("SUPPLY_ACTION_BUILDER"))
        .args([
            "rehearse",
            example.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
            "--preload",
            images.join("busybox").to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let cosign = tool("COSIGN3");
    let script =
        format!("PATH={}:$PATH sh {}/verify.sh", cosign.parent().unwrap().display(), out.display());
    let said = accepts("/bin/sh".as_ref(), &["-c", &script]);
    assert_eq!(said.matches("Verified OK").count(), 17, "{said}");
    // The image on disk is whole: crane reads and checks every blob of it.
    let port = crate::support::free_port();
    let address = format!("127.0.0.1:{port}");
    let _registry = crate::support::Server::start(
        "crane-layout",
        &tool("CRANE"),
        &["registry", "serve", "--address", &address],
        &[],
        port,
    );
    accepts(
        &tool("CRANE"),
        &["push", "--index", out.join("image").to_str().unwrap(), &format!("{address}/copy:all")],
    );
    // The layout's index also lists cosign's older format, whose layers are no archives and so no
    // image to crane.
    let evidence: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("evidence.json")).unwrap()).unwrap();
    let (_, digest) = evidence["images"][0].as_str().unwrap().split_once('@').unwrap();
    accepts(&tool("CRANE"), &["validate", "--remote", &format!("{address}/copy@{digest}")]);
    // What it printed for those without cosign.
    let said =
        log.lines().find_map(|line| line.strip_prefix("check it:   supply-action ")).unwrap();
    let ours = format!("{} {said}", required("SUPPLY_ACTION_BIN").display());
    assert!(accepts("/bin/sh".as_ref(), &["-c", &ours]).contains("verified   "), "{ours}");
}

/// docs/rehearse.md shows it.
#[test]
fn the_vulnerable_example_is_refused_until_what_has_a_fix_is_updated() {
    let folder = world().folder.join("vulnerable");
    let copied = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vulnerable");
    let (from, to) = (copied.display().to_string(), folder.display().to_string());
    accepts("cp".as_ref(), &["-r", &from, &to]);
    let rehearse = || {
        let output = Command::new(required("SUPPLY_ACTION_BIN"))
            .env_clear()
            .env("PATH", required("PATH"))
            .env("BUILDX", tool("BUILDX"))
            .env("SUPPLY_ACTION_BUILDER", required("SUPPLY_ACTION_BUILDER"))
            .arg("rehearse")
            .arg(&folder)
            .arg("--input")
            .arg(format!("ignore-file={to}/risks.yaml"))
            .arg("--out")
            .arg(folder.with_extension("kept"))
            .arg("--preload")
            .arg(required("SUPPLY_ACTION_IMAGES").join("busybox"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, log) = rehearse();
    assert_eq!(code, Some(1), "{log}");
    let page = include_str!("../../docs/rehearse.md");
    for start in
        ["  critical  CVE-2021-44906", "  medium    CVE-2024-35195", "  accepted: CVE-2021-44228"]
    {
        let shown = page.lines().find(|line| line.starts_with(start)).unwrap();
        let shown = shown.split(" (says ").next().unwrap();
        assert!(log.contains(shown), "{shown}: {log}");
    }
    assert!(log.contains("1 critical vulnerability that has a fix"), "{log}");
    assert!(!log.contains("tagged 127."), "{log}");
    let manifest = folder.join("app/node_modules/minimist/package.json");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("1.2.5", "1.2.6");
    std::fs::write(&manifest, text).unwrap();
    let (code, log) = rehearse();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("/vulnerable:latest"), "{log}");
}

/// What BuildKit's own checks say, by the real ones.
#[test]
fn the_checks_of_a_real_builder_are_among_misconfigurations() {
    let world = world();
    let context = world.folder.join("checked");
    std::fs::create_dir_all(&context).unwrap();
    let text = "FROM busybox:1.35\nARG API_TOKEN=x\nENV KEY value\nUSER 1\n";
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    let image = format!("{}/checked", world.sandbox.registry());
    let variables =
        [("INPUT_CONTEXT", context.to_str().unwrap()), ("INPUT_FAIL-ON-MISCONFIG", "medium")];
    let run = publish("hello", &image, &variables);
    assert_eq!(run.code, Some(1), "{}", run.log);
    for part in ["buildkit/SecretsUsedInArgOrEnv (medium", "in Dockerfile:2: "] {
        assert!(run.log.contains(part), "{part} is missing in {}", run.log);
    }
    assert!(!run.log.contains("not all of BuildKit's checks"), "{}", run.log);
    let run = publish("hello", &image, &[variables[0], ("INPUT_FAIL-ON-MISCONFIG", "high")]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let summary = run.summary;
    assert!(summary.contains(r"buildkit/LegacyKeyValueFormat \(low"), "{summary}");
    // A Dockerfile that cannot be read so far is no image either, and its checks are not passed.
    std::fs::write(context.join("Dockerfile"), "FROM busybox:1.35\nCOPY --from=none / /\n")
        .unwrap();
    let run = publish("hello", &format!("{image}-not"), &variables);
    assert_eq!(run.code, Some(1), "{}", run.log);
}

#[test]
fn a_real_build_that_fails_on_one_platform_tags_nothing() {
    let world = world();
    let context = world.folder.join("fails-on-arm64");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        "FROM busybox:1.35\nRUN [ \"$(uname -m)\" = x86_64 ] || { echo no $(uname -m) here; exit 9; }\n",
    )
    .unwrap();
    let image = format!("{}/fails", world.sandbox.registry());
    let run = publish("hello", &image, &[("INPUT_CONTEXT", context.to_str().unwrap())]);
    assert_eq!(run.code, Some(1), "{}", run.log);
    let annotation = run.log.lines().rfind(|line| line.starts_with("::error ")).unwrap();
    for part in [
        "nothing was tagged: the build failed for `linux/arm64` at `Dockerfile:2`: ",
        "%0A  RUN [ ",
        "%0A    no aarch64 here",
        "exit code: 9",
    ] {
        assert!(annotation.contains(part), "{part} is missing in {annotation}");
    }
    // A program that is called buildx needs a Dockerfile, and is not started without one.
    std::fs::rename(context.join("Dockerfile"), context.join("Dockerfile.prod")).unwrap();
    let run = publish("hello", &image, &[("INPUT_CONTEXT", context.to_str().unwrap())]);
    assert!(
        run.code == Some(1) && run.log.contains("there is no `Dockerfile` in the context"),
        "{}",
        run.log
    );
    assert!(
        run.log.contains("did you mean `file: ") && !run.log.contains("load build definition"),
        "{}",
        run.log
    );
    assert!(!crate::support::judge(&tool("CRANE"), &["ls", &image]).1.contains("latest"));
}

#[test]
fn a_terminated_real_build_tags_nothing_and_leaves_no_file() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let world = world();
    let context = world.folder.join("sleeps");
    let temp = world.folder.join("sleeps-temp");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::create_dir_all(&temp).unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        "FROM busybox:1.35\nRUN --mount=type=secret,id=token echo asleep; sleep 300\n",
    )
    .unwrap();
    let image = format!("{}/sleeps", world.sandbox.registry());
    let mut child = Command::new(required("SUPPLY_ACTION_BIN"))
        .env_clear()
        .envs(world.sandbox.environment())
        .env("PATH", required("PATH"))
        .env("BUILDX", tool("BUILDX"))
        .env("RUNNER_TEMP", &temp)
        .env("INPUT_IMAGES", &image)
        .env("INPUT_TAGS", "latest")
        .env("INPUT_SECRETS", "token=s3cr3t")
        .env("INPUT_CONTEXT", &context)
        .env("INPUT_SIGNING-CONFIG", world.sandbox.signing_config())
        .env("INPUT_TRUSTED-ROOT", world.sandbox.trusted_root())
        .env("INPUT_BUILDER-ENDPOINT", required("SUPPLY_ACTION_BUILDER"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let mut lines = stderr.lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("asleep")), "the build never slept");
    assert!(std::fs::read_dir(&temp).unwrap().next().is_some());
    assert!(
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(std::fs::read_dir(&temp).unwrap().next().is_none());
    assert!(!crate::support::judge(&tool("CRANE"), &["ls", &image]).1.contains("latest"));
}

#[test]
fn a_sandbox_of_its_own_serves_our_publish_and_anybodys_cosign() {
    let world = world(); // its registry is the mirror that base images come from
    let dir = world.folder.join("sandbox-verb");
    let bin = required("SUPPLY_ACTION_BIN");
    let mut server = Command::new(&bin)
        .args(["sandbox", "--dir", dir.to_str().unwrap(), "--latency", "5ms"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap() == "ready"), "the sandbox never was ready");
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let script = format!(
        r#"set -eu
        . {dir}/sandbox.env
        image=$SUPPLY_ACTION_REGISTRY/by-hand
        {bin} publish -i images=$image -i tags=v1 -i context={example}
        digest=$({crane} digest $image:v1)
        {cosign} sign -y --signing-config $SUPPLY_ACTION_SIGNING_CONFIG --trusted-root $SUPPLY_ACTION_TRUSTED_ROOT --allow-http-registry $image@$digest
        {cosign} verify --trusted-root $SUPPLY_ACTION_TRUSTED_ROOT --certificate-identity $CERTIFICATE_IDENTITY --certificate-oidc-issuer $SIGSTORE_ISSUER --allow-http-registry $image:v1
        "#,
        dir = dir.display(),
        bin = bin.display(),
        example = example.display(),
        crane = tool("CRANE").display(),
        cosign = tool("COSIGN3").display(),
    );
    let mut shell = Command::new("/bin/sh");
    shell.env("BUILDX", tool("BUILDX")).env("HOME", &world.folder).args(["-c", &script]);
    let output = shell.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Being asked to end is how a sandbox ends.
    assert!(
        Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_private_repository_gets_a_lean_provenance_that_is_still_there() {
    let world = world();
    let event = world.folder.join("private.json");
    std::fs::write(&event, r#"{"repository":{"default_branch":"main","private":true}}"#).unwrap();
    let run = publish(
        "hello",
        &format!("{}/hello-private", world.sandbox.registry()),
        &[("GITHUB_EVENT_PATH", event.to_str().unwrap())],
    );
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        run.json("evidence")["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|subject| subject["kind"] != "attestations")
            .all(|subject| {
                subject["attestations"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|statement| statement["predicateType"] == "https://slsa.dev/provenance/v1")
            })
    );
}

#[test]
fn a_rehearsal_can_be_left_standing() {
    let world = world();
    let out = world.folder.join("standing");
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let mut child = Command::new(required("SUPPLY_ACTION_BIN"))
        .env_clear()
        .env("PATH", required("PATH"))
        .env("BUILDX", tool("BUILDX"))
        .env("SUPPLY_ACTION_BUILDER", required("SUPPLY_ACTION_BUILDER"))
        .args(["rehearse", example.to_str().unwrap(), "--serve", "--out", out.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let said = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.starts_with("serving until interrupted"))
        .unwrap();
    let registry = said.split("registry ").nth(1).unwrap().split(',').next().unwrap();
    let tags = accepts(&tool("CRANE"), &["ls", &format!("{registry}/hello")]);
    for tag in ["v1.2.3", "v1.2", "v1", "latest"] {
        assert!(tags.lines().any(|found| found == tag), "{tag} is missing in {tags}");
    }
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
