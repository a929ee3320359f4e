//! cosign on the results of scans that a release signs, read by what they say: a policy accepts a
//! clean image and refuses one with a critical flaw. The scan decides nothing here.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::evidence::{signer, statement_of};
use crate::support::{Run, accepts, cosigns, judge, publish, published, trust, world};

const IN_TOTO: &str = "https://in-toto.io/attestation/vulns/v0.2";

/// An image that is named although its SBOM lists a critical flaw, beside one that is accepted.
pub(crate) fn flawed() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = world().folder.join("flawed");
        std::fs::create_dir_all(&folder).unwrap();
        let component =
            |name: &str, purl: &str| json!({ "type": "library", "name": name, "purl": purl });
        let document = json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
            component("log4j-core", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"),
            component("requests", "pkg:pypi/requests@2.31.0"),
        ] });
        for architecture in ["amd64", "arm64"] {
            let file = folder.join(format!("sbom.{architecture}.json"));
            std::fs::write(file, document.to_string()).unwrap();
        }
        let (sboms, risks) = (folder.join("sbom.{arch}.json"), folder.join("risks.yaml"));
        let accepted = "accepted:\n  - id: CVE-2024-35195\n    reason: it talks to one host\n";
        std::fs::write(&risks, accepted).unwrap();
        let run = publish(
            "hello",
            &format!("{}/flawed", world().sandbox.registry()),
            &[
                ("INPUT_SBOM", sboms.to_str().unwrap()),
                ("INPUT_IGNORE-FILE", risks.to_str().unwrap()),
                ("INPUT_FAIL-ON", "none"),
            ],
        );
        assert_eq!(run.code, Some(0), "{}", run.log);
        run
    })
}

/// What runs of these verify with this cosign: the index and each platform.
fn scanned(run: &Run) -> Vec<String> {
    let subjects = run.subjects().into_iter().filter(|(kind, _)| kind != "attestations");
    let images: Vec<String> =
        subjects.map(|(_, digest)| format!("{}@{digest}", run.outputs["image"])).collect();
    assert_eq!(images.len(), 3);
    images
}

#[test]
fn cosign_reads_each_result_of_a_scan_as_it_was_signed() {
    let run = flawed();
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    for (cosign, extra) in cosigns() {
        for image in scanned(run) {
            let predicate = |kind: &str| -> Value {
                let who = trust(root, &identity, &issuer);
                let all =
                    [&["verify-attestation", "--type", kind], extra, &who, &[&image]].concat();
                statement_of(&accepts(&cosign, &all))["predicate"].clone()
            };
            let (vuln, in_toto, vex) =
                (predicate("vuln"), predicate(IN_TOTO), predicate("openvex"));
            let counts = &vuln["scanner"]["result"]["summary"]["vulnerabilities"];
            assert_eq!(counts["counts"]["critical"], 1, "{vuln}");
            assert_eq!(counts["accepted"], 1, "{vuln}");
            let ids: Vec<&str> = in_toto["scanner"]["result"]
                .as_array()
                .unwrap()
                .iter()
                .map(|result| result["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids, ["CVE-2021-44228", "CVE-2024-35195"], "{in_toto}");
            assert_eq!(in_toto["metadata"], vuln["metadata"]);
            let statement = &vex["statements"][0];
            assert_eq!(statement["vulnerability"]["name"], "CVE-2024-35195", "{vex}");
            assert!(statement.to_string().contains("it talks to one host"), "{vex}");
        }
    }
}

/// What cosign's own reader of the kind leaves of a result is enough for a policy.
#[test]
fn a_policy_of_cosign_accepts_a_clean_image_and_refuses_a_flawed_one() {
    let policy = |name: &str, text: &str| -> PathBuf {
        let file = world().folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let cue = policy(
        "none-critical.cue",
        "predicate: scanner: result: summary: vulnerabilities: counts: critical: 0\n",
    );
    let rego = policy(
        "none-critical.rego",
        "package signature\n\ndefault allow = false\n\nallow {\n\
         \x20 input.predicate.scanner.result.summary.vulnerabilities.counts.critical == 0\n\
         \x20 time.now_ns() - time.parse_rfc3339_ns(input.predicate.metadata.scanFinishedOn) < 86400000000000\n}\n",
    );
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    for (cosign, extra) in cosigns() {
        for file in [&cue, &rego] {
            let judged = |image: &str| {
                let asked = ["verify-attestation", "--type", "vuln", "--policy"];
                let who = trust(root, &identity, &issuer);
                let file = [file.to_str().unwrap()];
                judge(&cosign, &[&asked[..], &file, extra, &who, &[image]].concat())
            };
            for image in scanned(published()) {
                let (success, said) = judged(&image);
                assert!(success, "{}: {said}", file.display());
            }
            for image in scanned(flawed()) {
                let (success, said) = judged(&image);
                assert!(!success && !said.contains("no matching attestations"), "{said}");
            }
        }
    }
}
