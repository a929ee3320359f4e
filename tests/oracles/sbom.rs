//! The SPDX tools on the SBOMs that came out of BuildKit, out of our own scanner image, and were signed.

use serde_json::Value;

use crate::support::{accepts, get, published, tool, world};

/// The SPDX document inside a bundle in the registry.
pub(crate) fn document(image: &str, bundle: &str) -> Value {
    use base64::Engine as _;
    let (host, path) = image.split_once('/').unwrap();
    let bundle: Value = serde_json::from_slice(&get(&format!("http://{host}/v2/{path}/blobs/{bundle}"))).unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["predicate"].clone()
}

#[test]
fn pyspdxtools_accepts_the_sbom_of_every_platform() {
    let run = published();
    let evidence = run.json("evidence");
    let mut checked = 0;
    for subject in evidence["subjects"].as_array().unwrap() {
        for statement in subject["attestations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document")
        {
            let file = world().folder.join(format!("{checked}.spdx.json"));
            std::fs::write(&file, document(&run.outputs["image"], statement["bundle"].as_str().unwrap()).to_string()).unwrap();
            accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}
