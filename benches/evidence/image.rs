//! The image both sides prove: two platforms, and beside each what BuildKit attests, in the size
//! that real images have. It is pushed and never built.

use bytes::Bytes;
use serde_json::{Value, json};
use supply_action::evidence::{SLSA_1, SPDX};
use supply_action::image::{Digest, Platform, Repository};
use supply_action::registry::Registry;
use supply_action::registry::manifest::{
    Descriptor, EMPTY_JSON, OCI_INDEX, OCI_MANIFEST, RegistryManifest,
};
use supply_action::sbom::foreign::ForeignFormat;
use supply_action::sbom::index::{DocumentedIndex, IndexDetail, IndexPart};
use supply_action::sigstore::IN_TOTO;

pub(crate) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];
/// Of the statements about one platform: an image of some 200 packages, a Dockerfile of some 50
/// steps.
const PACKAGES: usize = 185;
const STEPS: usize = 47;

/// An image in a repository, as digests.
pub(crate) struct Pushed {
    pub(crate) root: Digest,
    /// In the order of `PLATFORMS`.
    pub(crate) platforms: Vec<Digest>,
}

pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Pushes the same bytes whatever the repository: images, BuildKit's attestation manifests, the
/// index; no tag.
pub(crate) async fn push(registry: &Registry, to: &Repository) -> Pushed {
    let mut layers = Vec::new();
    for platform in PLATFORMS {
        layers.push(vec![blob(registry, to, platform.as_bytes(), LAYER).await]);
    }
    push_of(registry, to, &layers).await
}

/// The same of layers that are there: those of each platform.
pub(crate) async fn push_of(
    registry: &Registry,
    to: &Repository,
    layers: &[Vec<Descriptor>],
) -> Pushed {
    let (mut images, mut attestations) = (Vec::new(), Vec::new());
    for (platform, layers) in PLATFORMS.into_iter().zip(layers) {
        let Platform { os, architecture, .. } = platform.parse().unwrap();
        let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let config = json!({ "os": os, "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = blob(
            registry,
            to,
            config.to_string().as_bytes(),
            "application/vnd.oci.image.config.v1+json",
        )
        .await;
        let image = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        let image = manifest(registry, to, &image, OCI_MANIFEST).await;
        let mut entry = json!(attest(registry, to, platform, &image).await);
        entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        entry["annotations"] = json!({ "vnd.docker.reference.digest": image.digest, "vnd.docker.reference.type": "attestation-manifest" });
        attestations.push(entry);
        images.push((
            json!(image),
            json!({ "os": os, "architecture": architecture }),
            image.digest,
        ));
    }
    let named = images.iter().map(|(image, platform, _)| {
        let mut entry = image.clone();
        entry["platform"] = platform.clone();
        entry
    });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named.chain(attestations).collect::<Vec<_>>() });
    let root = manifest(registry, to, &index, OCI_INDEX).await.digest;
    Pushed { root, platforms: images.into_iter().map(|(.., digest)| digest).collect() }
}

async fn attest(
    registry: &Registry,
    to: &Repository,
    platform: &str,
    image: &Descriptor,
) -> Descriptor {
    let mut layers = Vec::new();
    for (kind, predicate) in [(SPDX, sbom(platform)), (SLSA_1, provenance(platform))] {
        let subject = json!([{ "name": "_", "digest": { "sha256": image.digest.hex() } }]);
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "subject": subject, "predicate": predicate });
        let mut layer = blob(registry, to, statement.to_string().as_bytes(), IN_TOTO).await;
        layer.annotations.insert("in-toto.io/predicate-type".to_owned(), kind.to_owned());
        layers.push(layer);
    }
    let config = blob(registry, to, b"{}", EMPTY_JSON).await;
    let kind = "application/vnd.docker.attestation.manifest.v1+json";
    let json = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": config, "layers": layers, "subject": image });
    manifest(registry, to, &json, OCI_MANIFEST).await
}

async fn blob(registry: &Registry, to: &Repository, bytes: &[u8], media_type: &str) -> Descriptor {
    let descriptor = Descriptor::of(bytes, media_type);
    registry.put_blob(to, &Bytes::copy_from_slice(bytes), &descriptor).await.unwrap();
    descriptor
}

async fn manifest(
    registry: &Registry,
    to: &Repository,
    json: &Value,
    media_type: &str,
) -> Descriptor {
    let manifest = RegistryManifest::new(json.to_string().into_bytes(), media_type);
    registry.put_manifest(to, &manifest).await.unwrap();
    manifest.descriptor
}

/// Digests do not compress, which is what makes evidence big.
fn hex(of: &str) -> String {
    Digest::of(of.as_bytes()).hex().to_owned()
}

/// About 100 kB.
pub(crate) fn sbom(platform: &str) -> Value {
    let packages = (0..PACKAGES).map(|number| {
        let name = format!("library-{number}");
        json!({
            "SPDXID": format!("SPDXRef-Package-deb-{name}"),
            "name": name,
            "versionInfo": format!("1.{number}.0-2+deb12u1"),
            "supplier": "Person: Example Maintainers <maintainers@example.org>",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "checksums": [{ "algorithm": "SHA256", "checksumValue": hex(&format!("{platform}/{name}")) }],
            "licenseDeclared": "Apache-2.0 OR MIT",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": format!("pkg:deb/debian/{name}@1.{number}.0-2%2Bdeb12u1?distro=debian-12"),
            }],
        })
    });
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": platform,
        "documentNamespace": format!("https://example.org/{}", hex(platform)),
        "creationInfo": { "created": "2026-01-02T03:04:05Z", "creators": ["Tool: example"] },
        "packages": packages.collect::<Vec<_>>(),
        "relationships": [{
            "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Package-deb-library-0"
        }],
    })
}

/// What is said of the index, made of the documents above.
pub(crate) fn sbom_of_index(repository: &Repository, pushed: &Pushed) -> Value {
    let documents = PLATFORMS.map(|platform| sbom(platform).to_string());
    let parts: Vec<IndexPart<'_>> = (0..PLATFORMS.len())
        .map(|at| IndexPart {
            platform: PLATFORMS[at].to_owned(),
            digest: pushed.platforms[at].to_string(),
            documents: vec![&documents[at]],
        })
        .collect();
    let name = repository.to_string();
    let index =
        DocumentedIndex::read(ForeignFormat::Spdx, &name, pushed.root.as_str(), &parts).unwrap();
    serde_json::from_str(&index.document(IndexDetail::Whole)).unwrap()
}

/// About 30 kB: `mode=max` describes every step of the build.
pub(crate) fn provenance(platform: &str) -> Value {
    let steps = (0..STEPS).map(|number| {
        json!({
            "id": format!("step{number}"),
            "inputs": [format!("step{}:0", number.max(1) - 1)],
            "op": {
                "Op": { "exec": {
                    "meta": { "args": ["/bin/sh", "-c", format!("make part-{number} && make install-{number}")], "cwd": "/src", "env": ["PATH=/usr/local/bin:/usr/bin:/bin"] },
                    "mounts": [{ "dest": "/", "input": 0, "output": 0 }],
                } },
                "platform": { "Architecture": platform, "OS": "linux" },
                "constraints": {},
            },
            "digest": format!("sha256:{}", hex(&format!("{platform} {number}"))),
        })
    });
    let layers = (0..STEPS).map(|number| {
        let digest = format!("sha256:{}", hex(&format!("layer {platform} {number}")));
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1_000_000 + number, "locations": { "step": format!("step{number}"), "ranges": [{ "start": { "line": number }, "end": { "line": number } }] } })
    });
    json!({
        "buildDefinition": {
            "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
            "externalParameters": { "configSource": { "path": "Dockerfile" }, "request": { "frontend": "dockerfile.v0", "args": {} } },
            "internalParameters": { "buildConfig": { "llbDefinition": steps.collect::<Vec<_>>() } },
            "resolvedDependencies": [{ "uri": "pkg:docker/debian@12", "digest": { "sha256": hex("debian") } }],
        },
        "runDetails": {
            "builder": { "id": "https://example.org/builder" },
            "metadata": { "invocationId": "example", "buildkit_metadata": { "layers": layers.collect::<Vec<_>>() } },
        },
    })
}
