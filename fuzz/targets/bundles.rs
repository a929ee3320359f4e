//! Sigstore bundles and cosign's older layers, checked against a sandbox's trusted root. Whatever
//! is changed, none holds by another signer.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use supply_action::image::Digest;
use supply_action::sigstore::artifact::{SignedArtifact, Trusted};
use supply_action::sigstore::load_trusted_root;
use supply_action::sigstore::verifier::BundleVerifier;
use supply_action::verify::legacy;

/// Who signed the seeds, in a sandbox that is gone.
const IDENTITY: &str =
    "https://github.com/example/hello/.github/workflows/release.yml@refs/heads/main";

static VERIFIER: LazyLock<BundleVerifier> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/trust/trusted_root.json");
    BundleVerifier::new(&load_trusted_root(Some(&root)).unwrap()).unwrap()
});
static ARTIFACT: LazyLock<SignedArtifact> = LazyLock::new(|| {
    let Ok(artifact) = Digest::of(b"artifact").as_str().parse();
    artifact
});

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let _ = legacy::is_about(bytes, &Digest::of(b"artifact"));
    // A layer, a zero byte, and its annotations.
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (layer, annotations) = bytes.split_at(at);
    if let Ok(annotations) =
        serde_json::from_slice::<BTreeMap<String, String>>(annotations.get(1..).unwrap_or_default())
    {
        for by_key in [false, true] {
            if let Ok(bundle) = legacy::bundle(layer, &annotations, by_key) {
                check(&bundle);
            }
        }
    }
});

fn check(bundle: &[u8]) {
    if let Ok(checked) = VERIFIER.check_artifact(bundle, &ARTIFACT, &Trusted::AnyoneUnsafe) {
        assert_eq!(checked.identity.as_deref(), Some(IDENTITY));
    }
}
