//! Kyverno, as a cluster's admission would run it, on what the pipeline published: its older format
//! is what this policy reads. No cluster runs.

use serde_json::{Value, json};

use crate::markdown;
use crate::results::flawed;
use crate::support::{Run, judge, older_files, published, tool, world};

/// Provenance, whatever it says.
fn provenance() -> Value {
    json!({ "type": "https://slsa.dev/provenance/v1" })
}

/// A scan that is no older than `age` and knows of nothing critical.
fn young_and_none_critical(age: &str) -> Value {
    json!({
        "type": "https://cosign.sigstore.dev/attestation/vuln/v1",
        "conditions": [{ "all": [
            {
                "key": "{{ time_since('', '{{ metadata.scanFinishedOn }}', '') }}",
                "operator": "LessThanOrEquals",
                "value": age,
                "message": "the scan is old",
            },
            {
                "key": "{{ scanner.result.summary.vulnerabilities.counts.critical }}",
                "operator": "Equals",
                "value": 0,
                "message": "something critical is known",
            },
        ] }],
    })
}

/// A policy that wants the image signed, and what else is attested, by `identity`.
fn policy(identity: &str, mut attestation: Value) -> Value {
    let [roots, rekor, ctlog] =
        older_files().map(|(_, file)| std::fs::read_to_string(file).unwrap());
    let environment: std::collections::BTreeMap<String, String> =
        world().sandbox.environment().into_iter().collect();
    let config: Value =
        serde_json::from_slice(&std::fs::read(world().sandbox.signing_config()).unwrap()).unwrap();
    let attestors = json!([{ "entries": [{ "keyless": {
        "subject": identity, "issuer": environment["SIGSTORE_ISSUER"], "roots": roots,
        "rekor": { "url": config["rekorTlogUrls"][0]["url"], "pubkey": rekor }, "ctlog": { "pubkey": ctlog },
    } }] }]);
    attestation["attestors"] = attestors.clone();
    json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": { "name": "signed" },
        "spec": { "webhookTimeoutSeconds": 30, "rules": [{
            "name": "signed",
            "match": { "any": [{ "resources": { "kinds": ["Pod"] } }] },
            "verifyImages": [{
                "imageReferences": ["*"], "failureAction": "Enforce", "mutateDigest": false, "required": true, "attestors": attestors,
                "attestations": [attestation],
            }],
        }] },
    })
}

/// The policy that the page shows, with the signer and the trust of this world.
fn policy_of_the_page(identity: &str) -> Value {
    let blocks = markdown::blocks(&markdown::read("docs/verify.md"));
    let shown = blocks.iter().find(|block| block.text.contains("kind: ClusterPolicy")).unwrap();
    let mut shown: Value = serde_saphyr::from_str(&shown.text).unwrap();
    let here = policy(identity, provenance());
    let trust = here.pointer("/spec/rules/0/verifyImages/0/attestors/0/entries/0").unwrap();
    let images = &mut shown["spec"]["rules"][0]["verifyImages"][0];
    images["imageReferences"] = json!(["*"]);
    // The image is named by its digest already.
    images["mutateDigest"] = json!(false);
    images["attestors"][0]["entries"][0] = trust.clone();
    images["attestations"][0]["attestors"][0]["entries"][0] = trust.clone();
    shown
}

fn kyverno(policy: &Value, image: &str) -> (bool, String) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "app", "namespace": "default" },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    });
    let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
    let [policy_file, pod_file] = [("policy", policy), ("pod", &pod)].map(|(name, value)| {
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, value.to_string()).unwrap();
        file.display().to_string()
    });
    judge(
        &tool("KYVERNO"),
        &[
            "apply",
            &policy_file,
            "--resource",
            &pod_file,
            "--registry",
            "--detailed-results",
            "--remove-color",
        ],
    )
}

#[test]
fn kyverno_admits_what_we_published_and_nothing_by_another_signer() {
    let run = published();
    let evidence = run.json("evidence");
    let identity = evidence["signer"]["identity"].as_str().unwrap();
    let (success, said) = kyverno(&policy(identity, provenance()), &run.outputs["image-ref"]);
    // One result for the signature, one for the attestation.
    assert!(success && said.contains("pass: 2, fail: 0, warn: 0, error: 0, skip: 0"), "{said}");
    let other = identity.replace("release.yml", "other.yml");
    let (success, said) = kyverno(&policy(&other, provenance()), &run.outputs["image-ref"]);
    assert!(
        !success
            && said.contains("pass: 0, fail: 2")
            && said.contains("subject mismatch: expected"),
        "{said}"
    );
}

#[test]
fn kyverno_admits_what_a_young_scan_knows_nothing_critical_of() {
    let run = published();
    let evidence = run.json("evidence");
    let identity = evidence["signer"]["identity"].as_str().unwrap();
    let judged = |age: &str, run: &Run| {
        kyverno(&policy(identity, young_and_none_critical(age)), &run.outputs["image-ref"])
    };
    let (success, said) = judged("1h", run);
    assert!(success && said.contains("pass: 2, fail: 0, warn: 0, error: 0, skip: 0"), "{said}");
    for (age, run, why) in [
        ("1h", flawed(), "something critical is known"),
        // Every scan is older.
        ("1ms", run, "the scan is old"),
    ] {
        let (success, said) = judged(age, run);
        assert!(!success && said.contains(why) && said.contains("pass: 0, fail: 2"), "{said}");
    }
}

#[test]
fn kyverno_takes_the_policy_of_the_page_and_refuses_what_it_says() {
    let run = published();
    let evidence = run.json("evidence");
    let identity = evidence["signer"]["identity"].as_str().unwrap();
    // One pattern for all versions, as the page has it.
    let pattern = identity.replace("@refs/tags/v1.2.3", "@refs/tags/v*");
    assert_ne!(pattern, identity);
    let policy = policy_of_the_page(&pattern);
    let (success, said) = kyverno(&policy, &run.outputs["image-ref"]);
    assert!(success && said.contains("fail: 0, warn: 0, error: 0, skip: 0"), "{said}");
    let (success, said) = kyverno(&policy, &flawed().outputs["image-ref"]);
    assert!(!success && said.contains("something critical is known"), "{said}");
    let other = policy_of_the_page(&pattern.replace("release.yml", "other.yml"));
    let (success, said) = kyverno(&other, &run.outputs["image-ref"]);
    assert!(!success && said.contains("subject mismatch: expected"), "{said}");
}
