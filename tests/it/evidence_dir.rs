//! The files of `evidence-dir`: what is in them is what was signed, they are only written of what
//! was published, and nothing else lies beside them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::support::{World, always};

/// Every file below a folder, by its path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let (path, name) = entry
            .map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()))
            .unwrap();
        if path.is_dir() {
            files.extend(
                self::files(&path)
                    .into_iter()
                    .map(|(below, bytes)| (format!("{name}/{below}"), bytes)),
            );
        } else {
            files.insert(name, std::fs::read(path).unwrap());
        }
    }
    files
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn sha1(bytes: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes))
}

#[tokio::test]
async fn every_bundle_and_what_it_says_lies_in_a_file() {
    let mut world = World::new().await;
    let dir = world.folder.path().join("context/out/evidence");
    world.set("INPUT_EVIDENCE-DIR", dir.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let found = files(&dir);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let of_attestations = |arch| format!("linux-{arch}-attestations.signature.sigstore.json");
    let mut expected = vec!["evidence.json".to_owned()];
    expected.extend(["amd64", "arm64"].map(of_attestations));
    for part in ["index", "linux-amd64", "linux-arm64"] {
        let scans = ["vulnerabilities.intoto", "vulnerabilities-in-toto.intoto"];
        for kind in ["provenance.intoto", "sbom.spdx"].into_iter().chain(scans) {
            expected.push(format!("{part}.{kind}.json"));
        }
        let scans = ["vulnerabilities", "vulnerabilities-in-toto"];
        for kind in ["provenance", "sbom", "signature"].into_iter().chain(scans) {
            expected.push(format!("{part}.{kind}.sigstore.json"));
        }
    }
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(
        json(&found["evidence.json"]),
        serde_json::from_str::<Value>(&run.outputs["evidence"]).unwrap()
    );
    assert_eq!(json(&found["linux-arm64.sbom.spdx.json"])["spdxVersion"], "SPDX-2.3");
    // The document of the index names those of the platforms, as they lie here.
    let of_index = json(&found["index.sbom.spdx.json"]);
    assert_eq!(of_index["packages"][0]["versionInfo"], run.outputs["digest"].as_str());
    let named = &of_index["externalDocumentRefs"][0]["checksum"]["checksumValue"];
    assert_eq!(*named, sha1(&found["linux-amd64.sbom.spdx.json"]).as_str());
    let statement = json(&found["linux-arm64.provenance.intoto.json"]);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subject = serde_json::from_str::<Value>(&run.outputs["platforms"]).unwrap()["linux/arm64"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()),
        subject
    );
    // Each bundle holds by itself, of its own subject.
    let (identity, issuer) = world.identity();
    let root = world.sandbox.trusted_root().display().to_string();
    for (file, digest) in
        [("index.signature", run.outputs["digest"].as_str()), ("linux-arm64.sbom", &subject)]
    {
        let bundle = dir.join(format!("{file}.sigstore.json")).display().to_string();
        let trust = [
            "--trusted-root",
            &root,
            "--certificate-identity",
            &identity,
            "--certificate-oidc-issuer",
            &issuer,
        ];
        let checked = world
            .run(
                &[["verify-bundle", "--bundle", &bundle].as_slice(), &trust, &[digest]].concat(),
                &[],
            )
            .await;
        assert_eq!(checked.code, Some(0), "{file}: {}", checked.log);
    }

    // What lies there would be taken for evidence of the next image; nothing is built.
    let again = world.publish().await;
    assert_eq!(again.code, Some(1), "{}", again.log);
    assert!(
        again.log.contains("evidence` is not empty: it holds `evidence.json`"),
        "{}",
        again.log
    );
    assert_eq!(files(&dir), found);
    // A rerun of the same commit, which builds nothing, writes the same.
    std::fs::remove_dir_all(&dir).unwrap();
    let rerun = world.publish().await;
    assert!(
        rerun.code == Some(0) && rerun.outputs["digest"] == run.outputs["digest"],
        "{}",
        rerun.log
    );
    assert_eq!(files(&dir), found);
}

#[tokio::test]
async fn the_older_format_gives_the_same_documents_and_no_bundles() {
    let mut world = World::new().await;
    let dir = world.folder.path().join("evidence");
    world.set("INPUT_EVIDENCE-DIR", dir.to_str().unwrap()).set("INPUT_SIGNATURE-FORMATS", "legacy");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let found = files(&dir);
    assert_eq!(json(&found["linux-amd64.sbom.spdx.json"])["spdxVersion"], "SPDX-2.3");
    assert!(
        found.contains_key("index.provenance.intoto.json")
            && !found.keys().any(|name| name.contains("sigstore")),
        "{:?}",
        found.keys()
    );
}

#[tokio::test]
async fn nothing_is_written_of_what_is_not_published() {
    let mut world = World::new().await;
    let dir = world.folder.path().join("evidence");
    world.set("INPUT_EVIDENCE-DIR", dir.to_str().unwrap());
    let run = world.run(&[], &[("INPUT_PUSH", "false")]).await;
    assert!(
        run.code == Some(0)
            && run
                .log
                .contains("input `evidence-dir` has no effect, because this run publishes nothing"),
        "{}",
        run.log
    );
    let run = world.run(&[], &[("INPUT_PUSH-BY-DIGEST", "true")]).await;
    assert!(
        run.code == Some(0) && run.log.contains("set it in the action `merge`, which publishes"),
        "{}",
        run.log
    );
    assert!(!dir.exists());
    world.sandbox.faults().add(always(SandboxService::Fulcio, None, "", FaultEffect::Status(403)));
    let run = world.publish().await;
    assert!(run.code == Some(1) && files(&dir).is_empty(), "{}", run.log);
}
