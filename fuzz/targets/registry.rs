//! Manifests, indexes, descriptors and names as a registry answers them. It asks nobody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supply_action::image::{Digest, ImageRef, Platform, Repository, Tag};
use supply_action::oci::{
    Allowed, ImageConfig, OCI_INDEX, OCI_MANIFEST, OciDocument, SavedImage, entries, listed,
};
use supply_action::registry::manifest::RegistryManifest;

fuzz_target!(|bytes: &[u8]| {
    let manifest = RegistryManifest::new(
        bytes.to_vec(),
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    );
    assert_eq!(manifest.descriptor.digest, Digest::of(bytes));
    for kind in [OCI_INDEX, OCI_MANIFEST] {
        let described = match OciDocument::read(bytes, kind) {
            Ok(OciDocument::Index(index)) => {
                let _ = entries::account(&index, &Allowed::default());
                index.manifests.into_iter().chain(index.subject).collect::<Vec<_>>()
            }
            Ok(OciDocument::Image(image)) => [image.config]
                .into_iter()
                .chain(image.layers)
                .chain(image.subject.map(|subject| *subject))
                .collect(),
            Err(_) => Vec::new(),
        };
        // What was read of a descriptor is written so that it is read as the same.
        let list = serde_json::json!({ "schemaVersion": 2, "manifests": described }).to_string();
        assert_eq!(
            OciDocument::read(list.as_bytes(), OCI_INDEX).unwrap().index().unwrap().manifests,
            described
        );
    }
    let _ = (
        ImageConfig::read(bytes),
        SavedImage::read(bytes),
        listed(bytes, "layers"),
        listed(bytes, "manifests"),
    );
    let _ = RegistryManifest::new(bytes.to_vec(), OCI_INDEX).is_index();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // What can be read is written so that it is read as the same.
    if let Ok(image) = text.parse::<ImageRef>() {
        assert_eq!(image.to_string().parse::<ImageRef>().unwrap().to_string(), image.to_string());
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse::<Repository>().unwrap(), repository);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform);
    }
    let _ = (text.parse::<Tag>(), text.parse::<Digest>());
});
