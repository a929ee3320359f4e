//! Manifests, indexes, descriptors and names as a registry answers them. It asks nobody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supply_action::image::{Digest, ImageRef, Platform, Repository, Tag};
use supply_action::registry::manifest::{Manifest, OCI_INDEX};

fuzz_target!(|bytes: &[u8]| {
    let manifest = Manifest::new(bytes.to_vec(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
    assert_eq!(manifest.descriptor.digest, Digest::of(bytes));
    if let Ok(fields) = manifest.fields() {
        let described = fields.manifests.into_iter().flatten().chain(fields.layers).chain(fields.config).chain(fields.subject);
        for descriptor in described {
            let written = serde_json::to_string(&descriptor.bare()).unwrap();
            assert_eq!(serde_json::from_str::<supply_action::registry::manifest::Descriptor>(&written).unwrap(), descriptor.bare());
        }
    }
    let _ = Manifest::new(bytes.to_vec(), OCI_INDEX).is_index();
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
