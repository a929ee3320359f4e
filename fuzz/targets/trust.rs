//! Trusted roots, signing configs, public keys and the claims of tokens. It trusts nothing that it
//! reads.
#![no_main]

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use supply_action::sigstore::verifier::BundleVerifier;
use supply_action::sigstore::{Services, identity, load_trusted_root};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    if let Ok(root) = load_trusted_root(Some(file.path())) {
        let _ = BundleVerifier::new(&root);
    }
    let _ = (Services::load(Some(file.path())), Services::load_for_key(Some(file.path())));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = identity::claims(text);
    }
});
