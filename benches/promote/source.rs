//! The image that is copied: two platforms with layers of a real size, signed in both formats as
//! `publish` does it, and a referrer of a referrer. It has no tag.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use supply_action::evidence::EvidenceFormat;
use supply_action::image::{Digest, ImageRef, Repository};
use supply_action::registry::manifest::Descriptor;
use supply_action::registry::{ReferrerArtifact, Registry};
use supply_action::sandbox::Sandbox;

use crate::image::{self, LAYER, PLATFORMS};
use crate::registry::{BenchRegistry, StoredBlob};
use crate::step::{self, StepPlace};

const LAYERS: usize = 5;
/// What is different in layers that have the rest in common.
const HEAD: usize = 64;

/// Where it lies.
pub(crate) struct SourceImage {
    pub(crate) repository: String,
    pub(crate) root: Digest,
    /// Bytes of all layers.
    pub(crate) bytes: u64,
}

impl SourceImage {
    pub(crate) fn at(&self, registry: &BenchRegistry) -> ImageRef {
        let repository: Repository =
            format!("{}/{}", registry.host, self.repository).parse().unwrap();
        repository.at(&self.root)
    }
}

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

fn layers(registry: &BenchRegistry, repository: &str, size: usize) -> Vec<Vec<Descriptor>> {
    let rest = noise(size.saturating_sub(HEAD));
    let layer = |platform: &str, number: usize| {
        let mut head = format!("{platform} {number} ").into_bytes();
        head.resize(HEAD, b'.');
        let digest: Digest = {
            let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            hash.update(&head);
            hash.update(&rest);
            format!("sha256:{}", hex::encode(hash.finish().as_ref())).parse().unwrap()
        };
        let blob = StoredBlob::Made { head: head.into(), rest: rest.clone() };
        let mut descriptor = Descriptor::of(b"", LAYER);
        (descriptor.digest, descriptor.size) = (digest.clone(), blob.size());
        registry.put_blob(repository, &digest, blob);
        descriptor
    };
    let of_platform = |platform| (0..LAYERS).map(|number| layer(platform, number)).collect();
    PLATFORMS.into_iter().map(of_platform).collect()
}

/// Makes it in a repository, of layers with this many bytes each.
pub(crate) async fn make(
    registry: &BenchRegistry,
    name: &str,
    size: usize,
    sandbox: &Sandbox,
    folder: &Path,
) -> SourceImage {
    let layers = layers(registry, name, size);
    let bytes = layers.iter().flatten().map(|layer| layer.size).sum();
    let repository: Repository = format!("{}/{name}", registry.host).parse().unwrap();
    let client = Registry::for_publishing(reqwest::Client::new(), Default::default());
    let pushed = image::push_of(&client, &repository, &layers).await;
    let place = StepPlace {
        sandbox,
        folder,
        signing_config: sandbox.signing_config(),
        trusted_root: sandbox.trusted_root(),
    };
    let step = place.built(&client, &repository, &pushed).await;
    let environment: BTreeMap<String, String> = sandbox.environment().into_iter().collect();
    let (identity, issuer) =
        (environment["CERTIFICATE_IDENTITY"].clone(), environment["SIGSTORE_ISSUER"].clone());
    let formats = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
    step.proven(&step::policy(identity, issuer, &formats)).await;
    let referrers = client.referrers(&repository, &pushed.root).await.unwrap();
    let on = client.expect_manifest(&repository.at(&referrers[0].digest)).await.unwrap();
    let artifact = ReferrerArtifact {
        artifact_type: "application/vnd.example.note",
        layer: Bytes::from_static(b"about a statement"),
        annotations: BTreeMap::new(),
    };
    let upload = client.open_upload(&repository).await.unwrap();
    client.stage_artifact(&repository, upload, &artifact).await.unwrap();
    client.attach_artifact(&repository, &on.descriptor, &artifact).await.unwrap();
    SourceImage { repository: name.to_owned(), root: pushed.root, bytes }
}
