//! Pushes to a sandbox what no builder would: images, attestations and indexes, piece by piece. It
//! asserts only that the registry takes them.

use serde_json::{Value, json};
use supply_action::image::Digest;

use crate::support::World;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const STATEMENTS: &str = "application/vnd.docker.attestation.manifest.v1+json";
pub(crate) const SOCI: &str = "application/vnd.amazon.soci.index.v2+json";

/// Pushes what no builder would.
pub(crate) struct Pusher {
    http: reqwest::Client,
    base: String,
    /// Where the sandbox keeps manifests.
    kept: std::path::PathBuf,
}

impl Pusher {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            http: reqwest::Client::new(),
            base: format!("http://{}/v2/app", world.sandbox.registry()),
            kept: world.folder.path().join("sandbox/registry/repositories/app/_manifests"),
        }
    }

    pub(crate) async fn blob(&self, bytes: &[u8], kind: &str) -> Value {
        let described = described(bytes, kind);
        let opened = self.http.post(format!("{}/blobs/uploads/", self.base)).send().await.unwrap();
        let mut place = opened.url().join(opened.headers()["location"].to_str().unwrap()).unwrap();
        place.query_pairs_mut().append_pair("digest", described["digest"].as_str().unwrap());
        let answer = self
            .http
            .put(place)
            .header("content-type", "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
        described
    }

    pub(crate) async fn manifest(&self, text: &str, kind: &str) -> Value {
        let described = described(text.as_bytes(), kind);
        let url = format!("{}/manifests/{}", self.base, described["digest"].as_str().unwrap());
        let answer = self
            .http
            .put(url)
            .header("content-type", kind)
            .body(text.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        described
    }

    /// Puts a document where it is found, as a registry does that looks into none: ours would
    /// refuse some.
    pub(crate) fn keep(&self, text: &str, kind: &str) -> String {
        let digest = Digest::of(text.as_bytes());
        std::fs::write(self.kept.join(format!("{}.type", digest.hex())), kind).unwrap();
        std::fs::write(self.kept.join(digest.hex()), text).unwrap();
        digest.to_string()
    }

    /// The text of an image's manifest: one layer with one file.
    pub(crate) async fn image_text(&self, platform: &str, salt: &str, more: &Value) -> String {
        let (os, architecture) = platform.split_once('/').unwrap();
        let layer = tar(&format!("{platform}{salt}"));
        let mut config = json!({ "os": os, "architecture": architecture, "created": "2026-01-02T03:04:05Z",
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (layer, config) = (
            self.blob(&layer, LAYER).await,
            self.blob(config.to_string().as_bytes(), CONFIG).await,
        );
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] })
            .to_string()
    }

    pub(crate) async fn image(&self, platform: &str, salt: &str, more: &Value) -> Value {
        let text = self.image_text(platform, salt, more).await;
        self.image_of(platform, &text).await
    }

    pub(crate) async fn image_of(&self, platform: &str, text: &str) -> Value {
        let (os, architecture) = platform.split_once('/').unwrap();
        with(
            self.manifest(text, MANIFEST).await,
            "platform",
            json!({ "os": os, "architecture": architecture }),
        )
    }

    /// SBOM and provenance of an image, as BuildKit keeps them.
    pub(crate) async fn statements(&self, of: &Value) -> Vec<Value> {
        let mut layers = Vec::new();
        let spdx = json!({ "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "x",
            "documentNamespace": "https://x.example/x", "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"] },
            "packages": [{ "SPDXID": "SPDXRef-Image", "name": "image", "downloadLocation": "NONE" }],
            "relationships": [{ "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image" }] });
        let kind =
            "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
        let provenance = json!({ "buildDefinition": { "buildType": kind }, "runDetails": {} });
        for (kind, predicate) in
            [("https://spdx.dev/Document", spdx), ("https://slsa.dev/provenance/v1", provenance)]
        {
            let digest = &of["digest"].as_str().unwrap()[7..];
            let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind,
                "subject": [{ "name": "_", "digest": { "sha256": digest } }], "predicate": predicate });
            let layer = self.blob(statement.to_string().as_bytes(), IN_TOTO).await;
            layers.push(with(layer, "annotations", json!({ "in-toto.io/predicate-type": kind })));
        }
        layers
    }

    /// The manifest of attestations as BuildKit writes it since 0.32, with other members or layers
    /// if a test wants them.
    pub(crate) async fn attestations(&self, of: &Value, more: Value, layers: &[Value]) -> Value {
        let config = self.blob(b"{}", EMPTY).await;
        let layers = [self.statements(of).await, layers.to_vec()].concat();
        let subject =
            json!({ "mediaType": of["mediaType"], "digest": of["digest"], "size": of["size"] });
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": STATEMENTS, "config": config, "layers": layers, "subject": subject });
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.attesting(of, &manifest).await
    }

    /// As it was written before.
    pub(crate) async fn older_attestations(&self, of: &Value) -> Value {
        let layers = self.statements(of).await;
        let ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": { "type": "layers", "diff_ids": ids } });
        let config = self.blob(config.to_string().as_bytes(), CONFIG).await;
        self.attesting(of, &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })).await
    }

    pub(crate) async fn attesting(&self, of: &Value, manifest: &Value) -> Value {
        let entry = self.manifest(&manifest.to_string(), MANIFEST).await;
        let entry = with(entry, "platform", json!({ "architecture": "unknown", "os": "unknown" }));
        with(
            entry,
            "annotations",
            json!({ "vnd.docker.reference.digest": of["digest"], "vnd.docker.reference.type": "attestation-manifest" }),
        )
    }

    /// Puts an index under its digest.
    pub(crate) async fn index(&self, entries: &[Value]) -> String {
        let text = index(entries).to_string();
        self.manifest(&text, INDEX).await["digest"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn described(bytes: &[u8], kind: &str) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() })
}

pub(crate) fn index(entries: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries })
}

pub(crate) fn with(mut value: Value, member: &str, of: Value) -> Value {
    value[member] = of;
    value
}

pub(crate) fn without(mut value: Value, member: &str) -> Value {
    value.as_object_mut().unwrap().remove(member);
    value
}

/// A document with one more member at its end.
pub(crate) fn also(document: &str, member: &str) -> String {
    format!("{},{member}}}", document.strip_suffix('}').unwrap())
}

pub(crate) fn tar(text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, "file", text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}
