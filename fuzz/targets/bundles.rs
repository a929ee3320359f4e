//! Sigstore bundles and cosign's older layers, up to the check of their signatures against a sandbox's trusted root. It trusts nobody.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use supply_action::image::Digest;
use supply_action::sigstore::artifact::{Artifact, Trusted};
use supply_action::sigstore::verifier::BundleVerifier;
use supply_action::sigstore::load_trusted_root;
use supply_action::verify::legacy;

static VERIFIER: LazyLock<BundleVerifier> = LazyLock::new(|| BundleVerifier::new(&load_trusted_root(None).unwrap()).unwrap());

fuzz_target!(|bytes: &[u8]| {
    let digest = Digest::of(b"artifact");
    let _ = legacy::is_about(bytes, &digest);
    // A layer, a zero byte, and its annotations.
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (layer, annotations) = bytes.split_at(at);
    if let Ok(annotations) = serde_json::from_slice::<BTreeMap<String, String>>(annotations.get(1..).unwrap_or_default()) {
        for by_key in [false, true] {
            if let Ok(bundle) = legacy::bundle(layer, &annotations, by_key) {
                let _ = VERIFIER.check_artifact(&bundle, &artifact(), &Trusted::AnyoneUnsafe);
            }
        }
    }
    let checked = VERIFIER.check_artifact(bytes, &artifact(), &Trusted::AnyoneUnsafe);
    assert!(checked.is_err(), "nobody signed this artifact");
});

fn artifact() -> Artifact {
    match Digest::of(b"artifact").as_str().parse() {
        Ok(artifact) => artifact,
    }
}
