//! A real Rekor 2 for one round: a log that answers when it has published a checkpoint, once a
//! second. It listens on loopback and ends with its value.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use supply_action::image::{Digest, Repository};
use supply_action::registry::Registry;
use supply_action::sandbox::Sandbox;
use supply_action::sigstore::BUNDLE;

pub(crate) struct Rekor2 {
    child: Child,
    /// As the sandbox's, with this log.
    pub(crate) signing_config: PathBuf,
    pub(crate) trusted_root: PathBuf,
}

impl Rekor2 {
    pub(crate) fn start(program: &Path, cosign: &Path, sandbox: &Sandbox, folder: &Path) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let pem = |der: &[u8], kind: &str| {
            format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
        };
        // The fixed head of an Ed25519 key: <https://www.rfc-editor.org/rfc/rfc8410#section-4>.
        let spki = [&hex::decode("302a300506032b6570032100").unwrap(), pair.public_key().as_ref()]
            .concat();
        let [private, public, tiles] =
            ["rekor2.pem", "rekor2.pub", "tiles"].map(|name| folder.join(name));
        std::fs::write(&private, pem(pair.to_pkcs8v1().unwrap().as_ref(), "PRIVATE KEY")).unwrap();
        std::fs::write(&public, pem(&spki, "PUBLIC KEY")).unwrap();
        std::fs::create_dir(&tiles).unwrap();
        let port = free_port();
        let [http, grpc, metrics] = [port, free_port(), free_port()].map(|port| port.to_string());
        #[rustfmt::skip]
        let arguments = [
            "serve", "--http-address", "127.0.0.1", "--http-port", &http, "--grpc-address", "127.0.0.1", "--grpc-port", &grpc,
            "--http-metrics-port", &metrics, "--hostname", "rekor.local", "--signer-filepath", private.to_str().unwrap(),
            "--storage-dir", tiles.to_str().unwrap(), "--checkpoint-interval", "1s", "--batch-max-age", "100ms",
        ];
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                child.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "Rekor 2 did not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let read = |file: &Path| -> Value {
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
        };
        let [signing_config, trusted_root] =
            ["rekor2-config.json", "rekor2-root.json"].map(|name| folder.join(name));
        let mut config = read(sandbox.signing_config());
        let service = &mut config["rekorTlogUrls"][0];
        (service["url"], service["majorApiVersion"]) =
            (json!(format!("http://127.0.0.1:{port}")), json!(2));
        std::fs::write(&signing_config, config.to_string()).unwrap();
        // cosign knows how such a log's key is named.
        let described = format!(
            "url=http://rekor.local,public-key={},origin=rekor.local,start-time=2020-01-01T00:00:00Z",
            public.display()
        );
        let none =
            ["--no-default-fulcio", "--no-default-ctfe", "--no-default-rekor", "--no-default-tsa"];
        let created = Command::new(cosign)
            .args(["trusted-root", "create"])
            .args(none)
            .args(["--rekor", &described, "--out"])
            .arg(&trusted_root)
            .status();
        assert!(created.unwrap().success(), "cosign made no trusted root");
        let mut root = read(sandbox.trusted_root());
        root["tlogs"] = read(&trusted_root)["tlogs"].take();
        std::fs::write(&trusted_root, root.to_string()).unwrap();
        Self { child, signing_config, trusted_root }
    }
}

impl Drop for Rekor2 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// How many bundles these subjects have, and the log's checkpoints in them: one each time that the
/// log was waited for.
pub(crate) async fn checkpoints(
    registry: &Registry,
    repository: &Repository,
    subjects: &[Digest],
) -> (usize, BTreeSet<String>) {
    let (mut bundles, mut found) = (0, BTreeSet::new());
    for subject in subjects {
        for referrer in registry.referrers(repository, subject).await.unwrap() {
            let manifest =
                registry.expect_manifest(&repository.at(&referrer.digest)).await.unwrap();
            let layer = &manifest.image().unwrap().layers[0];
            if layer.media_type != BUNDLE {
                continue; // BuildKit's own statements refer to their image as well
            }
            let bytes = registry.blob(repository, layer, 1 << 24).await.unwrap();
            let bundle: Value = serde_json::from_slice(&bytes).unwrap();
            let entry =
                bundle.pointer("/verificationMaterial/tlogEntries/0").unwrap_or(&Value::Null);
            let checkpoint =
                entry.pointer("/inclusionProof/checkpoint/envelope").and_then(Value::as_str);
            bundles += 1;
            found.insert(
                checkpoint.unwrap_or_else(|| panic!("no checkpoint in {bundle}")).to_owned(),
            );
        }
    }
    (bundles, found)
}
