//! BuildKit's statements → what would be signed: the first byte chooses a predicate or a whole
//! statement. What is rebuilt must have its one subject, and an SBOM of an index that is made of a
//! whole one is whole.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use supply_action::attest::buildkit::{self, Rebuilt};
use supply_action::attest::lean;
use supply_action::github::RunContext;
use supply_action::image::Repository;
use supply_action::provenance::{BuildAsked, ProvenanceRun, ProvenanceTerms, Slsa};
use supply_action::registry::contents::PlatformImage;
use supply_action::registry::manifest::Descriptor;
use supply_action::sbom::foreign;
use supply_action::sbom::index::{DocumentedIndex, IndexDetail, IndexPart};

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
    let terms = ProvenanceTerms {
        asked: BuildAsked::Anything,
        run: ProvenanceRun::of(&RunContext::default()),
    };
    of_index(bytes);
    let Ok(Rebuilt { drafts, .. }) =
        buildkit::rebuild(&statement, &REPOSITORY, &PART, &terms, &[Slsa::V1, Slsa::V02])
    else {
        return;
    };
    for draft in &drafts {
        let rebuilt: Value = serde_json::from_slice(draft.statement()).unwrap();
        assert_eq!(rebuilt["subject"][0]["digest"]["sha256"], hex);
        assert_eq!(rebuilt["subject"].as_array().unwrap().len(), 1);
    }
    const LIMIT: usize = 2048;
    if let Ok((fitted, _)) = lean::fitting(drafts, LIMIT) {
        assert!(fitted.iter().all(|draft| draft.statement().len() <= LIMIT));
    }
});

fn of_index(document: &[u8]) {
    let (Ok(text), Ok(format)) = (std::str::from_utf8(document), foreign::check(document)) else {
        return;
    };
    let digest = PART.descriptor.digest.as_str();
    let part = |platform: &str| IndexPart {
        platform: platform.to_owned(),
        digest: digest.to_owned(),
        documents: vec![text],
    };
    let parts = [part("linux/amd64"), part("linux/arm64")];
    let index = DocumentedIndex::read(format, "r.example/a", digest, &parts).unwrap();
    for detail in IndexDetail::ALL {
        assert_eq!(foreign::check(index.document(detail).as_bytes()), Ok(format));
    }
}
