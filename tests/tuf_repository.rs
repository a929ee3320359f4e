//! A small TUF repository on loopback, signed by hand; `tests/it` serves it to us, `tests/oracles`
//! to cosign as well. It asserts nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use sigstore_crypto::KeyPair;
use tokio::net::TcpSocket;

pub(crate) const FAR: &str = "2999-01-01T00:00:00Z";
pub(crate) const TRUSTED_ROOT: &str = "trusted_root.json";
pub(crate) const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

pub(crate) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A repository with one key for every role, and snapshots that are consistent, as the public
/// one's.
pub(crate) struct Repository {
    key: KeyPair,
    pub(crate) files: Files,
    pub(crate) url: String,
    server: tokio::task::JoinHandle<()>,
    address: SocketAddr,
    place: Option<TcpSocket>,
}

fn sha256(bytes: &[u8]) -> String {
    sigstore_crypto::sha256(bytes).to_hex()
}

impl Repository {
    pub(crate) async fn start() -> Self {
        let files = Files::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/tuf");
        let router = Router::new().fallback(served).with_state(Arc::clone(&files));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let key = KeyPair::generate_ecdsa_p256().unwrap();
        Self { key, files, url, server, address, place: None }
    }

    /// From now on nobody answers there: the port stays taken, so that no other test's server does.
    pub(crate) async fn leave(&mut self) {
        self.server.abort();
        let _ended = (&mut self.server).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.place = Some(socket);
    }

    fn signed(&self, signed: &Value) -> Vec<u8> {
        let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(signed).unwrap();
        let signature = hex::encode(self.key.sign(&canonical).unwrap().as_bytes());
        serde_json::to_vec(
            &json!({ "signed": signed, "signatures": [{ "keyid": "one", "sig": signature }] }),
        )
        .unwrap()
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        let role = json!({ "keyids": ["one"], "threshold": 1 });
        let public = self.key.public_key_der().unwrap().to_pem();
        self.signed(&json!({
            "_type": "root", "spec_version": "1.0.0", "version": 1, "expires": FAR, "consistent_snapshot": true,
            "keys": { "one": { "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": public } } },
            "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
        }))
    }

    /// Serves these targets under metadata of this version, whose timestamp expires then.
    pub(crate) fn serve(&self, version: u64, expires: &str, targets: &[(&str, Vec<u8>)]) {
        let mut files = BTreeMap::from([("1.root.json".to_owned(), self.root())]);
        let pin = |bytes: &[u8]| json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } });
        let listed: serde_json::Map<String, Value> = targets
            .iter()
            .map(|(name, bytes)| {
                (
                    (*name).to_owned(),
                    json!({ "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } }),
                )
            })
            .collect();
        let role = |kind: &str, expires: &str, more: (&str, Value)| {
            self.signed(&json!({ "_type": kind, "spec_version": "1.0.0", "version": version, "expires": expires, more.0: more.1 }))
        };
        let list = role("targets", FAR, ("targets", listed.into()));
        let snapshot = role("snapshot", FAR, ("meta", json!({ "targets.json": pin(&list) })));
        let timestamp =
            role("timestamp", expires, ("meta", json!({ "snapshot.json": pin(&snapshot) })));
        files.extend([
            ("timestamp.json".to_owned(), timestamp),
            (format!("{version}.snapshot.json"), snapshot),
            (format!("{version}.targets.json"), list),
        ]);
        files.extend(
            targets
                .iter()
                .map(|(name, bytes)| (format!("targets/{}.{name}", sha256(bytes)), bytes.clone())),
        );
        *self.files.lock().unwrap() = files;
    }
}

async fn served(State(files): State<Files>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    let name = uri.path().strip_prefix("/tuf/").ok_or(StatusCode::NOT_FOUND)?;
    if files.lock().unwrap().is_empty() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    files.lock().unwrap().get(name).cloned().ok_or(StatusCode::NOT_FOUND)
}
