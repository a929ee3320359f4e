//! cosign and buildx on what the pipeline published with real builds: every signature and
//! attestation of every subject, and refusals.

use serde_json::Value;

use crate::support::{
    accepts, cosigns, get, judge, older_trust, publish, published, tool, trust, world,
};

/// How cosign is told whose run must have signed, as the printed commands do.
const OF_REPOSITORY: &str = "--certificate-github-workflow-repository";
const REPOSITORIES: [(&str, bool); 2] = [("example/hello", true), ("mallory/evil", false)];

pub(crate) fn signer() -> (String, String) {
    let evidence = published().json("evidence");
    let text = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    (text("identity"), text("issuer"))
}

#[test]
fn cosign_accepts_every_signature_and_attestation() {
    let run = published();
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    for (cosign, extra) in cosigns() {
        for (kind, digest) in run.subjects() {
            let image = format!("{}@{digest}", run.outputs["image"]);
            let check = |verb: &[&str]| {
                accepts(
                    &cosign,
                    &[verb, extra, &trust(root, &identity, &issuer), &[image.as_str()]].concat(),
                )
            };
            check(&["verify"]);
            if kind == "attestations" {
                continue;
            }
            let provenance = check(&["verify-attestation", "--type", "slsaprovenance1"]);
            match kind.as_str() {
                "index" => assert!(
                    statement_of(&provenance)["predicate"]["buildDefinition"]["buildType"]
                        .as_str()
                        .unwrap()
                        .contains("actions.github.io")
                ),
                _ => assert!(
                    statement_of(&provenance)["predicate"]["buildDefinition"]["buildType"]
                        .as_str()
                        .unwrap()
                        .contains("moby/buildkit")
                ),
            }
            let sbom = statement_of(&check(&["verify-attestation", "--type", "spdxjson"]));
            assert_eq!(sbom["predicate"]["spdxVersion"], "SPDX-2.3");
            assert!(sbom.to_string().contains("pkg:deb/debian/libc6@"), "{kind}: {sbom}");
        }
    }
}

/// The statement in the envelope that `verify-attestation` prints.
pub(crate) fn statement_of(said: &str) -> Value {
    use base64::Engine as _;
    let envelope: Value = said
        .lines()
        .find_map(|line| {
            serde_json::from_str(line).ok().filter(|value: &Value| value["payload"].is_string())
        })
        .unwrap();
    let payload = base64::engine::general_purpose::STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn cosign_accepts_the_older_format_where_there_is_no_other() {
    let image = format!("{}/hello-older", world().sandbox.registry());
    let run = publish("hello", &image, &[("INPUT_SIGNATURE-FORMATS", "legacy")]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence = run.json("evidence");
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer, root) =
        (signer("identity"), signer("issuer"), world().sandbox.trusted_root().to_str().unwrap());
    let older = older_trust();
    for (name, with_root) in [("COSIGN3", true), ("COSIGN2", false)] {
        let cosign = tool(name);
        for (kind, digest) in run.subjects() {
            let image = format!("{image}@{digest}");
            let all = trust(root, &identity, &issuer);
            // cosign 2 takes a trusted root for bundles alone, and keys in files for this.
            let who = if with_root { all.as_slice() } else { &all[2..] };
            let judged = |verb: &[&str], who: &[&str]| {
                let words = [
                    older.iter().map(String::as_str).collect(),
                    vec![cosign.to_str().unwrap()],
                    verb.to_vec(),
                    who.to_vec(),
                    vec![image.as_str()],
                ];
                judge("/usr/bin/env".as_ref(), &words.concat())
            };
            let check = |verb: &[&str]| {
                let (success, said) = judged(verb, who);
                assert!(success, "{name} {verb:?}: {said}");
            };
            check(&["verify"]);
            let stranger = identity.replace("release.yml", "other.yml");
            let another: Vec<&str> = who
                .iter()
                .map(|word| if *word == identity { stranger.as_str() } else { word })
                .collect();
            let (success, said) = judged(&["verify"], &another);
            assert!(
                !success && said.contains("none of the expected identities matched"),
                "{name}: {said}"
            );
            for (repository, is_ours) in REPOSITORIES {
                let (success, said) = judged(&["verify", OF_REPOSITORY, repository], who);
                assert_eq!(success, is_ours, "{name}: {said}");
            }
            if kind != "attestations" {
                check(&["verify-attestation", "--type", "slsaprovenance1"]);
            }
            if kind != "attestations" {
                check(&["verify-attestation", "--type", "spdxjson"]);
            }
        }
        let tree = accepts(&cosign, &["tree", &format!("{image}:v1.2.3"), "--allow-http-registry"]);
        assert!(
            tree.contains("Signatures for an image tag")
                && tree.contains("Attestations for an image tag"),
            "{tree}"
        );
    }
}

#[test]
fn cosign_refuses_another_identity_another_issuer_and_another_kind() {
    let run = published();
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let image = run.outputs["image-ref"].as_str();
    let other = identity.replace("release.yml", "other.yml");
    for (cosign, extra) in cosigns() {
        let refuses = |verb: &[&str], identity: &str, issuer: &str, why: &str| {
            let (success, said) =
                judge(&cosign, &[verb, extra, &trust(root, identity, issuer), &[image]].concat());
            assert!(!success && said.contains(why), "{said}");
        };
        for (repository, is_ours) in REPOSITORIES {
            let of = [OF_REPOSITORY, repository];
            let (success, said) = judge(
                &cosign,
                &[&["verify"], extra, &trust(root, &identity, &issuer), &of, &[image]].concat(),
            );
            assert_eq!(success, is_ours, "{said}");
        }
        refuses(&["verify"], &other, &issuer, "expected SAN value");
        refuses(
            &["verify"],
            &identity,
            "https://token.actions.githubusercontent.com",
            "expected issuer value",
        );
        // What was built by its defaults has its SBOMs in one format.
        refuses(
            &["verify-attestation", "--type", "cyclonedx"],
            &identity,
            &issuer,
            "none of the attestations matched",
        );
    }
}

#[test]
fn the_commands_of_the_job_summary_work_as_they_stand() {
    let run = published();
    let block = run.summary.split("```sh").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<&str> = block.lines().filter(|line| line.starts_with("cosign ")).collect();
    // A signature each, and per image and platform two kinds of scans, provenance and an SBOM.
    assert_eq!(commands.len(), 5 + 3 * 4, "{block}");
    let folder = tool("COSIGN3");
    let path = format!("PATH={}:$PATH; ", folder.parent().unwrap().display());
    for command in commands {
        accepts("/bin/sh".as_ref(), &["-c", &format!("{path}{command}")]);
    }
}

#[test]
fn buildx_lists_both_platforms_with_sbom_and_provenance() {
    let run = published();
    let image = run.outputs["tags"].lines().next().unwrap();
    let shown = |what: &str| -> Value {
        let format = format!("{{{{json .{what}}}}}");
        serde_json::from_str(&accepts(
            &tool("BUILDX"),
            &["imagetools", "inspect", image, "--format", &format],
        ))
        .unwrap()
    };
    let (sbom, provenance, manifest) = (shown("SBOM"), shown("Provenance"), shown("Manifest"));
    for platform in ["linux/amd64", "linux/arm64"] {
        let packages = sbom[platform]["SPDX"]["packages"]
            .as_array()
            .unwrap_or_else(|| panic!("{platform}: {sbom}"));
        assert!(packages.len() > 60, "{platform} has {} packages", packages.len());
        assert!(
            provenance[platform]["SLSA"]["buildDefinition"].is_object(),
            "{platform}: {provenance}"
        );
    }
    assert_eq!(manifest["digest"], run.outputs["digest"].as_str());
}

#[test]
fn the_built_program_was_run_on_both_platforms_and_its_go_modules_are_in_the_sbom() {
    let run = published();
    assert!(
        run.log.contains("::group::build") && run.log.contains("[linux/arm64"),
        "progress is shown live in a group: {}",
        run.log
    );
    let evidence = run.json("evidence");
    for subject in evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|subject| subject["kind"] == "platform")
    {
        let sbom = subject["attestations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|found| {
                found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document"
            })
            .unwrap();
        let text = crate::sbom::document(&run.outputs["image"], sbom["bundle"].as_str().unwrap())
            .to_string();
        for part in ["pkg:golang/stdlib@", "pkg:deb/debian/libc6@"] {
            assert!(text.contains(part), "{part} is missing for {}", subject["platform"]);
        }
    }
}

/// Whom to believe, as sigstore-python takes it.
fn trust_config() -> std::path::PathBuf {
    let read = |path: &std::path::Path| {
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()
    };
    let config = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": read(world().sandbox.trusted_root()),
        "signingConfig": read(world().sandbox.signing_config()),
    });
    let file = world().folder.join("trust_config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[test]
fn sigstore_python_go_and_js_accept_every_bundle_and_refuse_another_signer() {
    let run = published();
    let (identity, issuer) = signer();
    let (evidence, config) = (run.json("evidence"), trust_config());
    let (host, path) = run.outputs["image"].split_once('/').unwrap();
    let mut checked = 0;
    for subject in evidence["subjects"].as_array().unwrap() {
        let statements = subject["signatures"]
            .as_array()
            .unwrap()
            .iter()
            .chain(subject["attestations"].as_array().unwrap());
        for statement in statements.filter(|statement| statement["format"] == "bundle") {
            let file = world().folder.join("bundle.sigstore.json");
            std::fs::write(
                &file,
                get(&format!(
                    "http://{host}/v2/{path}/blobs/{}",
                    statement["bundle"].as_str().unwrap()
                )),
            )
            .unwrap();
            let python = |identity: &str, digest: &str| {
                #[rustfmt::skip]
                let arguments = [
                    "--trust-config", config.to_str().unwrap(), "verify", "identity", "--bundle", file.to_str().unwrap(),
                    "--cert-identity", identity, "--cert-oidc-issuer", &issuer, "--offline", digest,
                ];
                judge(&tool("SIGSTORE_PYTHON"), &arguments)
            };
            let digest = subject["digest"].as_str().unwrap();
            // What `gh attestation verify` and cosign use inside.
            let go = |identity: &str, digest: &str| {
                #[rustfmt::skip]
                let arguments = [
                    "-trustedrootJSONpath", world().sandbox.trusted_root().to_str().unwrap(), "-expectedSAN", identity, "-expectedIssuer", &issuer,
                    "-artifact-digest", digest.trim_start_matches("sha256:"), file.to_str().unwrap(),
                ];
                judge(&tool("SIGSTORE_GO"), &arguments)
            };
            // It is told no digest: it checks the envelope's signature, and who signed.
            let js = |identity: &str| {
                let root = world().sandbox.trusted_root().to_str().unwrap();
                judge(
                    &tool("NODE"),
                    &[
                        tool("SIGSTORE_JS").to_str().unwrap(),
                        root,
                        file.to_str().unwrap(),
                        identity,
                        &issuer,
                    ],
                )
            };
            for (success, said) in [python(&identity, digest), go(&identity, digest), js(&identity)]
            {
                assert!(success, "{said}");
            }
            if checked == 0 {
                let (other, nothing) = (
                    identity.replace("release.yml", "other.yml"),
                    format!("sha256:{}", "0".repeat(64)),
                );
                assert!(!python(&other, digest).0 && !python(&identity, &nothing).0);
                assert!(!go(&other, digest).0 && !go(&identity, &nothing).0);
                let (success, said) = js(&other);
                assert!(!success && said.contains("certificate identity"), "{said}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 5 + 3 * 4);
}
