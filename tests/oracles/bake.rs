//! A bake file with groups, a matrix and a target that others are built from: real buildx and
//! BuildKit, and cosign on all that was published.

use serde_json::Value;

use crate::support::{Run, accepts, checkout, cosigns, run, tool, trust, world};

fn monorepo(change: &[(&str, &str)]) -> Run {
    let folder = checkout("monorepo");
    // What names one image is a bake file's to say.
    let none =
        [("INPUT_IMAGES", ""), ("INPUT_TAGS", ""), ("INPUT_PLATFORMS", ""), ("INPUT_CONTEXT", "")];
    run(
        &["bake"],
        "monorepo",
        "",
        &[none.as_slice(), &[("INPUT_SOURCE", folder.to_str().unwrap())], change].concat(),
    )
}

#[test]
fn every_judge_accepts_every_target_of_a_monorepo() {
    let registry = format!("{}/monorepo", world().sandbox.registry());
    let vars = format!("REGISTRY={registry}");
    // The environment has another value, over which `vars` wins.
    let baked = monorepo(&[
        ("INPUT_VARS", &vars),
        ("VERSION", "v2.0.0"),
        ("REGISTRY", "ghcr.io/nobody"),
        ("INPUT_BUILD-ENV", "VERSION"),
    ]);
    assert_eq!(baked.code, Some(0), "{}", baked.log);
    assert!(baked.log.contains("one certificate"), "{}", baked.log);
    let (targets, evidence) = (baked.json("targets"), baked.json("evidence"));
    assert_eq!(
        targets.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["clock", "greeter-de", "greeter-en"]
    );
    for (target, platforms, tags) in [
        ("clock", vec!["linux/amd64"], vec!["v2.0.0"]),
        ("greeter-de", vec!["linux/amd64", "linux/arm64"], vec!["latest", "v2.0.0"]),
        ("greeter-en", vec!["linux/amd64", "linux/arm64"], vec!["latest", "v2.0.0"]),
    ] {
        let image = format!("{registry}/{target}");
        let digest = targets[target]["digest"].as_str().unwrap();
        assert_eq!(
            targets[target]["platforms"].as_object().unwrap().keys().collect::<Vec<_>>(),
            platforms.iter().collect::<Vec<_>>()
        );
        for tag in &tags {
            assert_eq!(
                accepts(&tool("CRANE"), &["digest", &format!("{image}:{tag}")]).trim(),
                digest
            );
        }
        let listed = accepts(&tool("CRANE"), &["ls", &image]);
        let listed: Vec<&str> = listed.lines().filter(|tag| !tag.starts_with("sha256-")).collect();
        assert_eq!(listed, tags, "{target}");
        accepts(&tool("CRANE"), &["validate", "--remote", &format!("{image}@{digest}")]);
        judged(&image, &evidence[target], 1 + 2 * platforms.len());
        for what in ["SBOM", "Provenance"] {
            let format = format!("{{{{json .{what}}}}}");
            let shown = accepts(
                &tool("BUILDX"),
                &["imagetools", "inspect", &format!("{image}:v2.0.0"), "--format", &format],
            );
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let shown: Vec<&String> =
                shown.as_object().unwrap().keys().filter(|key| key.starts_with("linux/")).collect();
            assert!(
                platforms.len() == 1 || shown == platforms.iter().collect::<Vec<_>>(),
                "{what}: {shown:?}"
            );
        }
    }
    for (target, greeting) in
        [("greeter-de", "hallo from aarch64"), ("greeter-en", "hello from aarch64")]
    {
        let tar = accepts(
            &tool("CRANE"),
            &["export", "--platform", "linux/arm64", &format!("{registry}/{target}:latest"), "-"],
        );
        let said: Vec<&str> =
            tar.lines().filter(|line| line.contains(" from ") && line.len() < 1000).collect();
        assert!(
            tar.contains(greeting),
            "each image of the matrix has its own word, and ran on its platform: {said:?}"
        );
    }
}

/// cosign, of both generations, on each subject.
fn judged(image: &str, evidence: &Value, count: usize) {
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer, root) =
        (signer("identity"), signer("issuer"), world().sandbox.trusted_root().to_str().unwrap());
    let subjects = evidence["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), count, "{subjects:#?}");
    for (cosign, extra) in cosigns() {
        for subject in subjects {
            let (kind, digest) =
                (subject["kind"].as_str().unwrap(), subject["digest"].as_str().unwrap());
            let subject = format!("{image}@{digest}");
            let check = |verb: &[&str]| {
                accepts(
                    &cosign,
                    &[verb, extra, &trust(root, &identity, &issuer), &[subject.as_str()]].concat(),
                )
            };
            check(&["verify"]);
            if kind != "attestations" {
                check(&["verify-attestation", "--type", "slsaprovenance1"]);
                check(&["verify-attestation", "--type", "spdxjson"]);
            }
        }
    }
}

#[test]
fn a_target_that_cannot_be_built_leaves_no_name_on_the_others() {
    let registry = format!("{}/monorepo-broken", world().sandbox.registry());
    let vars = format!("REGISTRY={registry}");
    let broken = monorepo(&[("INPUT_VARS", &vars), ("INPUT_SET", "clock.target=gone")]);
    assert!(
        broken.code == Some(1) && broken.log.contains("nothing was tagged: the build failed"),
        "{}",
        broken.log
    );
    for target in ["clock", "greeter-de", "greeter-en"] {
        let (found, said) =
            crate::support::judge(&tool("CRANE"), &["ls", &format!("{registry}/{target}")]);
        assert!(!found || said.trim().is_empty(), "{target}: {said}");
    }
}

/// buildx reads what it printed as templates again.
#[test]
fn texts_that_look_like_templates_reach_the_build_as_they_are() {
    let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
    let definition = r#"
        target "default" {
          description = "$${description}"
          dockerfile-inline = <<EOT
FROM busybox:1.35
ARG WORD
RUN test "$WORD" = '$${a}%%{b}'
RUN --mount=type=secret,id=word test "$(cat /run/secrets/word)" = "$${WORD:-none}"
EOT
          args = { WORD = "$${a}%%{b}" }
          secret = ["type=file,id=word,src=$${a}%%{b}"]
          platforms = ["linux/amd64"]
        }"#;
    std::fs::write(folder.path().join("docker-bake.hcl"), definition).unwrap();
    std::fs::write(folder.path().join("${a}%{b}"), "${a}%{b}").unwrap();
    let built = monorepo(&[
        ("INPUT_SOURCE", folder.path().to_str().unwrap()),
        ("INPUT_PUSH", "false"),
        ("INPUT_NO-CACHE", "true"),
    ]);
    assert_eq!(built.code, Some(0), "{}", built.log);
}

#[test]
fn a_pull_request_builds_the_monorepo_and_pushes_nothing() {
    let registry = format!("{}/monorepo-request", world().sandbox.registry());
    let vars = format!("REGISTRY={registry}");
    let built = monorepo(&[
        ("INPUT_VARS", &vars),
        ("INPUT_TARGETS", "clock"),
        ("GITHUB_EVENT_NAME", "pull_request"),
    ]);
    assert!(
        built.code == Some(0) && built.log.contains("1 target built, nothing pushed"),
        "{}",
        built.log
    );
    let (found, said) =
        crate::support::judge(&tool("CRANE"), &["ls", &format!("{registry}/clock")]);
    assert!(!found || said.trim().is_empty(), "{said}");
}

/// buildx lists what HCL declares; of Compose files it tells by what becomes of them.
#[test]
fn a_variable_that_the_job_sets_and_bake_files_do_not_get_is_told() {
    let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
    let dockerfile = "FROM busybox:1.35\nARG WORD\nRUN test -n \"$WORD\"\n";
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
    let hcl = "variable \"LAMP_WORD\" { default = \"none\" }\ntarget \"default\" {\n  args = { WORD = LAMP_WORD == \"lit\" ? \"on\" : \"off\" }\n}\n";
    let secret = "target \"default\" {\n  secret = [\"type=env,id=leak,env=LAMP_WORD\"]\n  args = { WORD = \"x\" }\n}\n";
    let compose = "services:\n  app:\n    build:\n      context: .\n      args:\n        WORD: ${LAMP_WORD:-off}\n";
    for (file, text) in
        [("docker-bake.hcl", hcl), ("docker-bake.hcl", secret), ("compose.yaml", compose)]
    {
        for old in ["docker-bake.hcl", "compose.yaml"] {
            let _ = std::fs::remove_file(folder.path().join(old));
        }
        std::fs::write(folder.path().join(file), text).unwrap();
        let change = [
            ("INPUT_SOURCE", folder.path().to_str().unwrap()),
            ("INPUT_PUSH", "false"),
            ("LAMP_WORD", "lit"),
        ];
        let refused = monorepo(&change);
        assert!(
            refused.code == Some(2)
                && refused.log.contains("`LAMP_WORD`")
                && refused.log.contains("build-env"),
            "{}",
            refused.log
        );
        let built = monorepo(&[change.as_slice(), &[("INPUT_BUILD-ENV", "LAMP_WORD")]].concat());
        assert_eq!(built.code, Some(0), "{}", built.log);
    }
}
