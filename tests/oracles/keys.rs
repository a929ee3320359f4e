//! cosign on what the pipeline published with a key: every signature and attestation, in both
//! formats, by the public half; and refusals.

use std::path::{Path, PathBuf};

use crate::support::{Run, accepts, cosigns, judge, older_trust, publish, tool, world};

/// Of the tests alone.
pub(crate) fn key(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(file)
}

fn published(name: &str, formats: &str) -> Run {
    published_with(name, formats, "")
}

fn published_with(name: &str, formats: &str, annotations: &str) -> Run {
    let image = format!("{}/{name}", world().sandbox.registry());
    let change = [
        ("COSIGN_PRIVATE_KEY", key("test.key")),
        ("COSIGN_PASSWORD", "a test password".into()),
        ("INPUT_SIGNATURE-FORMATS", formats.into()),
        ("INPUT_SIGNATURE-ANNOTATIONS", annotations.into()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", PathBuf::new()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PathBuf::new()),
    ];
    let change: Vec<(&str, &str)> =
        change.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    let run = publish("hello", &image, &change);
    assert_eq!(run.code, Some(0), "{}", run.log);
    run
}

/// What each kind of subject must carry, as cosign is asked for it.
fn asked(kind: &str) -> Vec<Vec<&'static str>> {
    let mut asked = vec![vec!["verify"]];
    if kind != "attestations" {
        asked.push(vec!["verify-attestation", "--type", "slsaprovenance1"]);
    }
    if kind != "attestations" {
        asked.push(vec!["verify-attestation", "--type", "spdxjson"]);
    }
    asked
}

#[test]
fn cosign_accepts_bundles_that_a_key_signed_and_no_other_key() {
    let run = published("hello-keyed", "bundle,legacy");
    let (public, other) = (key("test.pub"), key("other.pub"));
    let root = world().sandbox.trusted_root().to_str().unwrap();
    for (cosign, extra) in cosigns() {
        for (kind, digest) in run.subjects() {
            let image = format!("{}@{digest}", run.outputs["image"]);
            let words = |verb: &[&'static str], key: &Path| -> Vec<String> {
                let who = [
                    "--key",
                    key.to_str().unwrap(),
                    "--trusted-root",
                    root,
                    "--allow-http-registry",
                    image.as_str(),
                ];
                [verb, extra, &who].concat().iter().map(|word| (*word).to_owned()).collect()
            };
            let as_words = |words: &[String]| -> (bool, String) {
                judge(&cosign, &words.iter().map(String::as_str).collect::<Vec<_>>())
            };
            for verb in asked(&kind) {
                let (success, said) = as_words(&words(&verb, &public));
                assert!(success, "{verb:?}: {said}");
                let (success, said) = as_words(&words(&verb, &other));
                assert!(!success, "{verb:?}: {said}");
            }
        }
    }
}

#[test]
fn cosign_accepts_the_older_format_that_a_key_signed() {
    let run = published("hello-keyed-older", "legacy");
    let (public, other) = (key("test.pub"), key("other.pub"));
    let (root, older) = (world().sandbox.trusted_root().to_str().unwrap(), older_trust());
    for (name, trust) in [("COSIGN3", &["--trusted-root", root][..]), ("COSIGN2", &[])] {
        let cosign = tool(name);
        for (kind, digest) in run.subjects() {
            let image = format!("{}@{digest}", run.outputs["image"]);
            for verb in asked(&kind) {
                let judged = |key: &Path| {
                    let who =
                        ["--key", key.to_str().unwrap(), "--allow-http-registry", image.as_str()];
                    let words = [
                        older.iter().map(String::as_str).collect(),
                        vec![cosign.to_str().unwrap()],
                        verb.clone(),
                        trust.to_vec(),
                        who.to_vec(),
                    ];
                    judge("/usr/bin/env".as_ref(), &words.concat())
                };
                let (success, said) = judged(&public);
                assert!(success, "{name} {verb:?}: {said}");
                let (success, said) = judged(&other);
                assert!(!success, "{name} {verb:?}: {said}");
            }
        }
    }
}

#[test]
fn cosign_finds_what_signatures_say_beside_their_subject() {
    let (public, older) = (key("test.pub"), older_trust());
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let trusted = ["--trusted-root", root];
    // Each program in each format that it reads.
    for (format, name, extra) in [
        ("bundle", "COSIGN3", &trusted[..]),
        ("bundle", "COSIGN2", &["--new-bundle-format", "--trusted-root", root]),
        ("legacy", "COSIGN3", &trusted[..]),
        ("legacy", "COSIGN2", &[]),
    ] {
        let run = published_with(
            &format!("hello-annotated-{format}"),
            format,
            "build=7\nteam=core <y>&z",
        );
        let (cosign, image) = (tool(name), run.outputs["image-ref"].clone());
        let judged = |asked: &[&str]| {
            let who = ["--key", public.to_str().unwrap(), "--allow-http-registry", image.as_str()];
            let older: Vec<&str> =
                older.iter().map(String::as_str).filter(|_| format == "legacy").collect();
            judge(
                "/usr/bin/env".as_ref(),
                &[&older[..], &[cosign.to_str().unwrap(), "verify"], extra, asked, &who].concat(),
            )
        };
        for (asked, found) in [
            (&[][..], true),
            (&["-a", "build=7"], true),
            (&["-a", "build=7", "-a", "team=core <y>&z"], true),
            (&["-a", "build=8"], false),
            (&["-a", "build=7", "-a", "other=1"], false),
        ] {
            // cosign 2 does not look at what is asked for where it reads bundles.
            let found = found || (format, name) == ("bundle", "COSIGN2");
            let (success, said) = judged(asked);
            assert_eq!(success, found, "{format} {name} {asked:?}: {said}");
        }
    }
}

#[test]
fn the_commands_of_a_keys_job_summary_work_as_they_stand() {
    let run = published("hello-keyed-summary", "bundle,legacy");
    let block = run.summary.split("```sh").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(block.lines().filter(|line| line.starts_with("cosign ")).count(), 17, "{block}");
    let folder = tempfile::tempdir().unwrap();
    let cosign = tool("COSIGN3");
    let ours = crate::support::required("SUPPLY_ACTION_BIN");
    let (cosign, ours) = (cosign.parent().unwrap(), ours.parent().unwrap());
    let start = format!(
        "set -eu; PATH={}:{}:$PATH; cd {};",
        cosign.display(),
        ours.display(),
        folder.path().display()
    );
    accepts("/bin/sh".as_ref(), &["-c", &format!("{start}{block}")]);
    assert_eq!(
        std::fs::read(folder.path().join("cosign.pub")).unwrap(),
        std::fs::read(key("test.pub")).unwrap()
    );
}
