//! What a run says where people look: the annotation and the job summary of one that fails, the
//! summary of every other, a log without noise.

use std::path::Path;

use supply_action::page::RefusalPage;
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::support::{Run, World, always};
use crate::text::{HOSTILE, inert};

/// The annotation that ends a failed run, a line each, as the runner shows it.
fn annotation(run: &Run) -> Vec<String> {
    let found = run
        .log
        .lines()
        .rfind(|line| line.starts_with("::error title=supply-action::"))
        .unwrap_or_else(|| panic!("{}", run.log));
    let text = found
        .trim_start_matches("::error title=supply-action::")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
        .replace("%25", "%");
    text.lines().map(str::to_owned).collect()
}

/// The line that leads to a heading of `docs/troubleshooting.md`.
fn see(page: RefusalPage) -> String {
    format!("see: {}", page.address())
}

#[tokio::test]
async fn a_failed_build_is_told_with_platform_line_command_and_output() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "one-platform-fails");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let reason = "process \"/bin/sh -c make\" did not complete successfully: exit code: 2";
    assert_eq!(
        annotation(&run),
        [
            &format!(
                "nothing was tagged: the build failed for `linux/arm64` at `Dockerfile:8`: {reason}"
            ),
            "  RUN make",
            "    cc -o app",
            "    no wheel for aarch64",
            &see(RefusalPage::TheBuildFails),
        ]
    );
    for part in [
        "## ❌ Nothing was tagged\n\nIt failed in stage `build`",
        "linux/arm64",
        "`Dockerfile:8`",
        "```text\nRUN make\n  cc -o app\n  no wheel for aarch64\n```",
        "In the registry no tag was set or moved.",
        &format!("[More about this]({})", RefusalPage::TheBuildFails.address()),
    ] {
        assert!(run.summary.contains(part), "{part} is missing in\n{}", run.summary);
    }
    inert(&run);
}

#[tokio::test]
async fn what_a_failed_build_printed_is_text_and_holds_no_secret() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    let hostile = HOSTILE.replace('\n', "\n0.2 ");
    // A secret that lies where lines are cut is none the less one.
    let long =
        format!("{}https://octo:hunter2hunter2@git.example/ s3cr3t-of-the-build", "x".repeat(270));
    let steps = format!(
        "------\n > [linux/arm64 2/2] RUN s3cr3t-of-the-build ```:\n0.1 {hostile}\n0.3 {long}\n------\n"
    );
    let end = "Dockerfile:3\n--------------------\n   3 | >>> RUN x\n--------------------\nERROR: failed to build: failed to solve: s3cr3t-of-the-build";
    std::fs::write(&lines, format!("{steps}{end}\n")).unwrap();
    world
        .set("FAKE_BUILDX_LINES", lines.to_str().unwrap())
        .set("FAKE_BUILDX", "fails")
        .set("INPUT_SECRETS", "token=s3cr3t-of-the-build");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    inert(&run);
    let told = annotation(&run);
    assert!(
        told[0].ends_with(" at `Dockerfile:3`: ***")
            && told.iter().any(|line| line.starts_with("    x")),
        "{told:#?}"
    );
    let after_masks: String =
        run.log.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    for text in [&after_masks, &run.summary] {
        for part in ["s3cr3t", "hunter2"] {
            assert!(!text.contains(part), "{part} is in {text}");
        }
    }
    assert!(run.summary.contains("````text\nRUN *** ```\n"), "{}", run.summary);
    assert!(
        run.summary.lines().all(|line| !line.starts_with("##[") && !line.contains('\u{202e}')),
        "{}",
        run.summary
    );
}

#[tokio::test]
async fn a_failed_bake_is_told_as_well() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    std::fs::write(&lines, "------\n > [app linux/arm64 2/2] RUN x:\n0.1 y\n------\nERROR: target app: failed to solve: z\n").unwrap();
    let image = format!("{}/app:v1", world.sandbox.registry());
    let file = serde_json::json!({
        "group": { "default": { "targets": ["app"] } },
        "target": { "app": { "context": ".", "tags": [image], "platforms": ["linux/amd64", "linux/arm64"] } },
    });
    std::fs::write(world.folder.path().join("context/docker-bake.json"), file.to_string()).unwrap();
    for input in ["INPUT_IMAGES", "INPUT_TAGS", "INPUT_CONTEXT"] {
        world.unset(input);
    }
    let folder = world.folder.path().join("context").display().to_string();
    world
        .set("FAKE_BUILDX", "fails")
        .set("FAKE_BUILDX_LINES", lines.to_str().unwrap())
        .set("INPUT_SOURCE", &folder);
    let run = world.run(&["bake"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let expected = [
        "nothing was tagged: the build failed for `linux/arm64`: target app: z",
        "  RUN x",
        "    y",
        &see(RefusalPage::TheBuildFails),
    ];
    assert_eq!(annotation(&run), expected);
    assert!(run.summary.starts_with("## ❌ Nothing was tagged\n"), "{}", run.summary);
}

/// A name under which a program must read a Dockerfile.
fn buildx_by_name(world: &mut World) {
    let program = world.folder.path().join("buildx");
    std::os::unix::fs::symlink(&world.env["BUILDX"], &program).unwrap();
    world.set("BUILDX", program.to_str().unwrap());
}

#[tokio::test]
async fn a_dockerfile_that_is_not_there_is_found_before_the_build() {
    for (push, consequence) in [("true", "nothing was tagged: "), ("false", "nothing was built: ")]
    {
        let mut world = World::new().await;
        buildx_by_name(&mut world);
        let context = world.folder.path().join("context");
        let arguments = world.folder.path().join("arguments");
        world.set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap()).set("INPUT_PUSH", push);
        let missing =
            format!("{consequence}there is no `Dockerfile` in the context `{}`", context.display());
        let run = world.publish().await;
        assert_eq!(run.code, Some(1), "{}", run.log);
        assert_eq!(annotation(&run)[0], missing);
        assert!(
            annotation(&run)[1].starts_with("hint: the folder is empty: "),
            "{:?}",
            annotation(&run)
        );
        std::fs::write(context.join("Dockerfile.prod"), "FROM scratch\n").unwrap();
        let run = world.publish().await;
        assert_eq!(
            annotation(&run),
            [
                missing,
                format!(
                    "hint: did you mean `file: {}`?",
                    context.join("Dockerfile.prod").display()
                ),
                see(RefusalPage::NoDockerfile),
            ]
        );
        assert!(!arguments.exists(), "nothing was built");
        std::fs::write(context.join("Dockerfile"), "FROM scratch\n").unwrap();
        assert_eq!(world.publish().await.code, Some(0));
    }
}

#[tokio::test]
async fn one_cause_is_one_problem_and_hints_stand_under_their_own() {
    let mut world =
        World::with(|config| config.registry_login = Some(("octo".into(), "pass".into()))).await;
    world.unset("INPUT_USERNAME").unset("INPUT_PASSWORD");
    let run = world.publish().await;
    let told = annotation(&run);
    assert!(
        told.len() == 3
            && told[0].matches("401 Unauthorized").count() == 1
            && told[1].starts_with("hint: give credentials")
            && told[2] == see(RefusalPage::NoLogin),
        "{told:#?}"
    );
    world.unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("INPUT_CONTEXT", "/nowhere/at/all");
    let told = annotation(&world.publish().await);
    let expected = [
        "nothing was tagged: 3 problems:",
        "  (1) input `context`",
        "      hint: in a workflow the repository",
    ];
    assert!(
        told.len() == 10 && expected.iter().zip(&told).all(|(start, line)| line.starts_with(start)),
        "{told:#?}"
    );
    for problem in told[1..].chunks(3) {
        let begins = ["  (", "      hint: ", "      see: "];
        let is_whole = problem.iter().zip(begins).all(|(line, begin)| line.starts_with(begin));
        assert!(is_whole, "{told:#?}");
    }
    let hint_of = |problem: &str| {
        told.iter().position(|line| line.contains(problem)).map(|at| told[at + 1].clone()).unwrap()
    };
    assert!(
        hint_of("has no permission to ask for an OIDC token").contains("id-token: write")
            && hint_of("401 Unauthorized").contains("give credentials"),
        "{told:#?}"
    );
}

#[tokio::test]
async fn an_sbom_that_the_build_cannot_read_is_told_with_the_way_out() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    let said = "0.9 error: the sbom of `sbom` was not written: it has `58402632` bytes, and BuildKit fails a build over more than `41943040`";
    let scan = "[linux/amd64] generating sbom using r.io/app/scanner@sha256:0";
    let end = "ERROR: failed to build: failed to solve: process \"/supply-action sbom-scanner\" did not complete successfully: exit code: 1";
    std::fs::write(&lines, format!("------\n > {scan}:\n{said}\n------\n{end}\n")).unwrap();
    world.set("FAKE_BUILDX_LINES", lines.to_str().unwrap()).set("FAKE_BUILDX", "fails");
    let told = annotation(&world.publish().await);
    assert!(told.iter().any(|line| line.contains("it has `58402632` bytes")), "{told:#?}");
    assert_eq!(told.last(), Some(&see(RefusalPage::SbomTooLarge)));
    let hint = &told[told.len() - 2];
    assert!(
        hint.starts_with("hint: set `sbom: registry`") && hint.contains("`sbom-files: none`"),
        "{told:#?}"
    );
}

#[tokio::test]
async fn every_run_writes_a_job_summary() {
    let mut world = World::new().await;
    let run = world.publish().await;
    assert!(run.code == Some(0) && run.summary.starts_with("## 📦 "), "{}", run.summary);
    assert!(!run.summary.contains("| | |"), "no table begins with nothing: {}", run.summary);
    let image = run.outputs["image-ref"].clone();
    for (change, title) in [
        (&[("INPUT_PUSH", "false")][..], "## 🔨 Built, not published\n"),
        (
            &[("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_REF", "refs/pull/1/merge")],
            "## 🔨 Built, not published\n",
        ),
        (&[("INPUT_PUSH-BY-DIGEST", "true"), ("INPUT_TAGS", "")], "## 📤 Pushed by digest\n"),
        (&[("INPUT_TAGS", "-a")], "## ❌ Nothing was built\n"),
        (&[("FAKE_BUILDX", "no-builder"), ("INPUT_TAGS", "next")], "## ❌ Nothing was tagged\n"),
    ] {
        let run = world.run(&[], change).await;
        assert!(run.summary.starts_with(title), "{title}\n{}\n{}", run.summary, run.log);
        assert_eq!(run.code == Some(0), !title.contains('❌'), "{}", run.log);
    }
    let (identity, issuer) = world.identity();
    let root = world.sandbox.trusted_root().display().to_string();
    let verify = [
        "verify",
        "--certificate-oidc-issuer",
        &issuer,
        "--trusted-root",
        &root,
        "--certificate-identity",
    ];
    let run = world.run(&[&verify[..], &[&identity, &image]].concat(), &[]).await;
    assert!(
        run.code == Some(0)
            && run.summary.starts_with("## ✅ Verified\n")
            && run.summary.contains("linux/arm64"),
        "{}",
        run.summary
    );
    let run = world
        .run(
            &[
                &verify[..],
                &["https://github.com/evil/evil/.github/workflows/x.yml@refs/heads/main", &image],
            ]
            .concat(),
            &[],
        )
        .await;
    assert!(
        run.code == Some(1)
            && run.summary.starts_with("## ❌ Failed\n")
            && run.summary.contains("is not verified"),
        "{}",
        run.summary
    );
    world.set("GITHUB_EVENT_NAME", "pull_request").set("GITHUB_REF", "refs/pull/1/merge");
    let digests = format!("[\"{}\"]", image.rsplit('@').next().unwrap());
    let run = world
        .run(
            &["merge"],
            &[("INPUT_DIGESTS", &digests), ("INPUT_CONTEXT", ""), ("INPUT_BUILDER-ENDPOINT", "")],
        )
        .await;
    assert!(
        run.code == Some(0) && run.summary.starts_with("## ⏭️ Nothing to merge\n"),
        "{}\n{}",
        run.summary,
        run.log
    );
}

#[tokio::test]
async fn a_summary_that_cannot_be_written_changes_nothing_of_a_failure() {
    let mut world = World::new().await;
    world.set("INPUT_TAGS", "-a");
    let nowhere = world.folder.path().join("no/such/folder/summary");
    let output = world.command().env("GITHUB_STEP_SUMMARY", &nowhere).output().await.unwrap();
    assert!(output.status.code() == Some(2) && !Path::new(&nowhere).exists());
}

#[tokio::test]
async fn a_log_opens_with_six_lines_and_no_group_is_empty() {
    let mut world = World::new().await;
    world.set("INPUT_LABELS", "a=b\nc=d");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let lines: Vec<&str> = run
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::") && !line.contains("supply-action-"))
        .collect();
    let first = lines.iter().position(|line| line.starts_with("Plan: ")).unwrap();
    let words: Vec<&str> =
        lines[first..first + 6].iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(words, ["Plan", "Event", "Images", "Tags", "Platforms", "Needs"]);
    assert_eq!(lines[first + 6], "::group::the rest of the plan");
    for pair in lines.windows(2) {
        assert!(
            !(pair[0].starts_with("::group::") && pair[1] == "::endgroup::"),
            "an empty group: {}",
            run.log
        );
    }
    let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!(count("::group::"), count("::endgroup::"), "{}", run.log);
    for stage in ["preflight", "build", "sign, attest", "verify", "tag"] {
        assert_eq!(count(&format!("✓ {stage} ")), 1, "{stage}: {}", run.log);
    }
    // A pipe is read by who looks for something; groups mean nothing there.
    let plain = world.run(&[], &[("GITHUB_ACTIONS", ""), ("INPUT_TAGS", "next")]).await;
    assert!(
        plain.log.contains("\nLabels:     ") && !plain.log.contains("::group::"),
        "{}",
        plain.log
    );
}

#[tokio::test]
async fn a_run_that_fails_late_says_what_stands_in_the_registry() {
    let world = World::new().await;
    world.sandbox.faults().add(always(SandboxService::Fulcio, None, "", FaultEffect::Status(403)));
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let said = "In the registry no tag was set or moved. The image is there under its digest alone (sha256";
    assert!(
        run.summary.contains("It failed in stage `sign, attest`") && run.summary.contains(said),
        "{}",
        run.summary
    );
    world.sandbox.faults().clear();
    assert_eq!(world.tags().await.len(), 0);
}

#[tokio::test]
async fn a_summary_shows_what_each_platform_is_and_where_to_read_more() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    let steps = "#5 [linux/amd64 1/2] COPY a /\n#5 CACHED\n#6 [linux/arm64 1/2] COPY a /\n#6 DONE 0.5s\n#7 [linux/amd64 2/2] RUN x\n#7 DONE 2.0s\n";
    std::fs::write(&lines, steps).unwrap();
    world.set("FAKE_BUILDX_LINES", lines.to_str().unwrap()).set("INPUT_GITHUB-TOKEN", "t");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let row = |start: &str| {
        run.summary
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}\n{}", run.summary))
    };
    let source = "https://github.com/example/hello";
    assert!(row("| source ").contains(&format!("]({source}) |")), "{}", run.summary);
    assert!(
        row("| commit ").contains(&format!("]({source}/commit/"))
            && row("| run ").contains(&format!("]({source}/actions/runs/"))
    );
    let pages =
        row("| attestations at GitHub ").matches(&format!("]({source}/attestations/")).count();
    assert_eq!(pages, 12, "{}", run.summary);
    // A log of one's own is on no page, and the formats share an entry.
    let index = row("| index | ");
    assert!(
        !run.summary.contains("search.sigstore.dev")
            && index.rsplit('|').nth(1).unwrap().split(',').count() <= 6,
        "{index}"
    );
    let table = run
        .summary
        .split("| platform | size |")
        .nth(1)
        .unwrap_or_else(|| panic!("{}", run.summary));
    for (platform, expected) in
        [("linux/amd64", "| 1 | 1 of 2 | 2.00 s |"), ("linux/arm64", "| 1 | 0 of 1 | 0.50 s |")]
    {
        let line = table
            .lines()
            .find(|line| line.starts_with(&format!("| {platform} | ")))
            .unwrap_or_else(|| panic!("{table}"));
        assert!(line.ends_with(expected) && line.contains(" kB | "), "{line}");
    }
    let rerun = world.publish().await;
    assert!(
        rerun.code == Some(0) && rerun.summary.contains(" kB | 1 | – | – |"),
        "what an earlier run did is not known: {}",
        rerun.summary
    );
}
