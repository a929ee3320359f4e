//! BuildKit's statements → what would be signed: the first byte chooses a predicate or a whole
//! statement. What is rebuilt must have its one subject.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use supply_action::attest::buildkit::{self, Rebuilt};
use supply_action::attest::lean;
use supply_action::github::Context;
use supply_action::image::Repository;
use supply_action::provenance::{Asked, Run, Terms};
use supply_action::registry::contents::PlatformImage;
use supply_action::registry::manifest::Descriptor;

static REPOSITORY: LazyLock<Repository> = LazyLock::new(|| "r.example/a".parse().unwrap());
static PART: LazyLock<PlatformImage> = LazyLock::new(|| PlatformImage {
    platform: "linux/amd64".parse().unwrap(),
    descriptor: Descriptor::of(b"image", "application/vnd.oci.image.manifest.v1+json"),
    attestations: None,
});

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let hex = PART.descriptor.digest.hex();
    let around = |kind: &str| {
        let before = format!(
            r#"{{"predicateType":"{kind}","subject":[{{"digest":{{"sha256":"{hex}"}}}}],"predicate":"#
        );
        [before.as_bytes(), bytes, b"}"].concat()
    };
    let statement = match choice {
        b'S' => around("https://spdx.dev/Document"),
        b'P' => around("https://slsa.dev/provenance/v1"),
        _ => bytes.to_vec(),
    };
    let terms = Terms { asked: Asked::Anything, run: Run::of(&Context::default()) };
    let Ok(Rebuilt { draft: Some(draft), .. }) =
        buildkit::rebuild(&statement, &REPOSITORY, &PART, &terms)
    else {
        return;
    };
    let rebuilt: Value = serde_json::from_slice(draft.statement()).unwrap();
    assert_eq!(rebuilt["subject"][0]["digest"]["sha256"], hex);
    assert_eq!(rebuilt["subject"].as_array().unwrap().len(), 1);
    const LIMIT: usize = 2048;
    if let Ok((fitted, _)) = lean::fitting(vec![draft], LIMIT) {
        assert!(fitted.iter().all(|draft| draft.statement().len() <= LIMIT));
    }
});
