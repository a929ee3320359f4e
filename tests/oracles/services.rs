//! A real Fulcio, timestamp authority, Rekor 1 and Rekor 2 in place of the sandbox's, trusted by a
//! root that cosign made.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::keys::key;
use crate::support::{Server, accepts, free_port, get, publish, tool, trust, world};

/// What a Fulcio instance is told about workflow tokens, with the names of its own documentation.
const FULCIO: &str = r#"
oidc-issuers:
  ISSUER:
    issuer-url: ISSUER
    client-id: sigstore
    type: ci-provider
    ci-provider: github-workflow
ci-issuer-metadata:
  github-workflow:
    default-template-values: { url: "https://github.com" }
    extension-templates:
      github-workflow-trigger: "event_name"
      github-workflow-sha: "sha"
      github-workflow-name: "workflow"
      github-workflow-repository: "repository"
      github-workflow-ref: "ref"
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
      build-signer-digest: "job_workflow_sha"
      runner-environment: "runner_environment"
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      source-repository-digest: "sha"
      source-repository-ref: "ref"
      source-repository-identifier: "repository_id"
      source-repository-owner-uri: "{{ .url }}/{{ .repository_owner }}"
      source-repository-owner-identifier: "repository_owner_id"
      build-config-uri: "{{ .url }}/{{ .workflow_ref }}"
      build-config-digest: "workflow_sha"
      build-trigger: "event_name"
      run-invocation-uri: "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}"
      source-repository-visibility-at-signing: "repository_visibility"
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
"#;

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let file = world().folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

fn fulcio(issuer: &str, ports: [u16; 3]) -> Server {
    let config = write("fulcio.yaml", FULCIO.replace("ISSUER", issuer).as_bytes());
    let [http, grpc, metrics] = ports.map(|port| port.to_string());
    #[rustfmt::skip]
    let arguments = [
        "serve", "--host", "127.0.0.1", "--port", &http, "--grpc-host", "127.0.0.1", "--grpc-port", &grpc, "--metrics-port", &metrics,
        "--ca", "ephemeralca", "--ct-log-url", "", "--config-path", config.to_str().unwrap(), "--legacy-unix-domain-socket", &format!("@supply-action-{http}"),
    ];
    Server::start("fulcio", &tool("FULCIO"), &arguments, &[], ports[0])
}

fn timestamp_server(port: u16) -> Server {
    let text = port.to_string();
    #[rustfmt::skip]
    let arguments = ["serve", "--host", "127.0.0.1", "--port", &text, "--timestamp-signer", "memory", "--disable-ntp-monitoring"];
    Server::start("timestamp-server", &tool("TIMESTAMP_SERVER"), &arguments, &[], port)
}

/// A transparency log as cosign's commands describe it.
struct Log {
    url: String,
    version: u32,
    /// What its entries are checked with, as `trusted-root create` takes it.
    trust: String,
}

impl Log {
    fn of_the_sandbox() -> Self {
        let config: Value =
            serde_json::from_slice(&std::fs::read(world().sandbox.signing_config()).unwrap())
                .unwrap();
        let url = config["rekorTlogUrls"][0]["url"].as_str().unwrap().to_owned();
        let key = write("rekor.pub", &get(&format!("{url}/api/v1/log/publicKey")));
        Self { trust: format!("url={url},public-key={}", key.display()), url, version: 1 }
    }
}

/// A Rekor 2 that keeps its tiles in a folder.
fn rekor2(port: u16) -> (Server, Log) {
    use aws_lc_rs::signature::KeyPair as _;
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let pem = |der: &[u8], kind: &str| {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
    };
    let private =
        write("rekor2.pem", pem(pair.to_pkcs8v1().unwrap().as_ref(), "PRIVATE KEY").as_bytes());
    // The fixed head of an Ed25519 key: <https://www.rfc-editor.org/rfc/rfc8410#section-4>.
    let spki =
        [&hex::decode("302a300506032b6570032100").unwrap(), pair.public_key().as_ref()].concat();
    let public = write("rekor2.pub", pem(&spki, "PUBLIC KEY").as_bytes());
    let tiles = world().folder.join("rekor2");
    std::fs::create_dir_all(&tiles).unwrap();
    let [http, grpc, metrics] = [port, free_port(), free_port()].map(|port| port.to_string());
    #[rustfmt::skip]
    let arguments = [
        "serve", "--http-address", "127.0.0.1", "--http-port", &http, "--grpc-address", "127.0.0.1", "--grpc-port", &grpc,
        "--http-metrics-port", &metrics, "--hostname", "rekor.local", "--signer-filepath", private.to_str().unwrap(),
        "--storage-dir", tiles.to_str().unwrap(), "--checkpoint-interval", "1s", "--batch-max-age", "100ms",
    ];
    let server = Server::start("rekor2", &tool("REKOR2"), &arguments, &[], port);
    let trust =
        format!("url=http://rekor.local,public-key={},origin=rekor.local", public.display());
    (server, Log { url: format!("http://127.0.0.1:{port}"), version: 2, trust })
}

/// Trust in these services and no others.
fn trusted_root(name: &str, fulcio: &str, tsa: &str, log: &Log) -> PathBuf {
    let bundle: Value =
        serde_json::from_slice(&get(&format!("{fulcio}/api/v2/trustBundle"))).unwrap();
    let chain: Vec<&str> = bundle["chains"][0]["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pem| pem.as_str().unwrap())
        .collect();
    let ca = write(&format!("{name}-fulcio.pem"), chain.join("\n").as_bytes());
    let tsa_chain =
        write(&format!("{name}-tsa.pem"), &get(&format!("{tsa}/api/v1/timestamp/certchain")));
    let out = world().folder.join(format!("{name}-root.json"));
    let described = |url: &str, key: &str, file: &Path| {
        format!("url={url},{key}={},start-time=2020-01-01T00:00:00Z", file.display())
    };
    #[rustfmt::skip]
    accepts(&tool("COSIGN3"), &[
        "trusted-root", "create", "--no-default-fulcio", "--no-default-ctfe", "--no-default-rekor", "--no-default-tsa",
        "--fulcio", &described(fulcio, "certificate-chain", &ca), "--tsa", &described(tsa, "certificate-chain", &tsa_chain),
        "--rekor", &format!("{},start-time=2020-01-01T00:00:00Z", log.trust), "--out", out.to_str().unwrap(),
    ]);
    out
}

fn signing_config(name: &str, fulcio: &str, tsa: &str, log: &Log) -> PathBuf {
    let out = world().folder.join(format!("{name}-config.json"));
    let service = |url: &str, version: u32| {
        format!("url={url},api-version={version},start-time=2020-01-01T00:00:00Z,operator=test")
    };
    #[rustfmt::skip]
    accepts(&tool("COSIGN3"), &[
        "signing-config", "create", "--no-default-fulcio", "--no-default-oidc", "--no-default-rekor", "--no-default-tsa",
        "--fulcio", &service(fulcio, 1), "--tsa", &service(&format!("{tsa}/api/v1/timestamp"), 1), "--tsa-config", "ANY",
        "--rekor", &service(&log.url, log.version), "--rekor-config", "ANY", "--out", out.to_str().unwrap(),
    ]);
    out
}

/// What cosign says to a part of an image; this Fulcio has no CT log, so there is no SCT.
fn cosign_accepts(root: &Path, image: &str, verb: &[&str]) {
    let environment: std::collections::BTreeMap<String, String> =
        world().sandbox.environment().into_iter().collect();
    let identity = format!("https://github.com/{}", environment["GITHUB_WORKFLOW_REF"]);
    let trust = trust(root.to_str().unwrap(), &identity, &environment["SIGSTORE_ISSUER"]);
    accepts(
        &tool("COSIGN3"),
        &[verb, &["--insecure-ignore-sct", "--use-signed-timestamps"], &trust, &[image]].concat(),
    );
}

#[test]
fn a_real_fulcio_and_a_real_timestamp_authority_serve_a_full_run() {
    let world = world();
    let issuer = world
        .sandbox
        .environment()
        .into_iter()
        .find(|(name, _)| name == "SIGSTORE_ISSUER")
        .unwrap()
        .1;
    let ports = [free_port(), free_port(), free_port()];
    let tsa_port = free_port();
    let (_fulcio, _tsa) = (fulcio(&issuer, ports), timestamp_server(tsa_port));
    let (fulcio, tsa) =
        (format!("http://127.0.0.1:{}", ports[0]), format!("http://127.0.0.1:{tsa_port}"));
    let log = Log::of_the_sandbox();
    let (root, config) =
        (trusted_root("real", &fulcio, &tsa, &log), signing_config("real", &fulcio, &tsa, &log));
    let services = [
        ("INPUT_SIGNING-CONFIG", config.to_str().unwrap()),
        ("INPUT_TRUSTED-ROOT", root.to_str().unwrap()),
    ];
    let image = format!("{}/hello-real", world.sandbox.registry());
    let run = publish("hello", &image, &services);
    assert_eq!(run.code, Some(0), "{}", run.log);
    for (_, digest) in run.subjects() {
        cosign_accepts(&root, &format!("{image}@{digest}"), &["verify"]);
    }
    // The sandbox's own root does not know these certificates.
    let refused = publish("hello", &image, &[services[0], ("INPUT_TAGS", "never")]);
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(
        refused.log.contains("nothing was tagged") && refused.log.contains("has no valid"),
        "{}",
        refused.log
    );
    assert!(!accepts(&tool("CRANE"), &["ls", &image]).lines().any(|tag| tag == "never"));
    a_real_rekor_2_serves_a_full_run(&fulcio, &tsa);
    a_real_rekor_1_serves_a_full_run(&fulcio, &tsa);
}

/// A Rekor 1 with its Merkle log (Trillian) and database; everything ends with the values.
fn rekor1() -> (Vec<Server>, Log) {
    let folder = world().folder.join("mariadb");
    let data = folder.display().to_string();
    let user =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned();
    let [database, rpc, http, rekor] = [free_port(), free_port(), free_port(), free_port()];
    let (data_flag, user_flag, socket) =
        (format!("--datadir={data}"), format!("--user={user}"), format!("--socket={data}/socket"));
    #[rustfmt::skip]
    accepts(&tool("MARIADB_INSTALL"), &["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data_flag, &user_flag]);
    let (port, pid) = (format!("--port={database}"), format!("--pid-file={data}/pid"));
    let arguments =
        ["--no-defaults", &data_flag, &user_flag, &socket, "--bind-address=127.0.0.1", &port, &pid];
    let mut servers = vec![Server::start("mariadbd", &tool("MARIADBD"), &arguments, &[], database)];
    let schema = tool("TRILLIAN_SERVER").with_file_name("storage.sql");
    let fill = format!(
        "CREATE DATABASE trillian; CREATE DATABASE rekor; USE trillian; SOURCE {};",
        schema.display()
    );
    accepts(&tool("MARIADB"), &["--no-defaults", &socket, "-u", "root", "-e", &fill]);
    let uri = |name: &str| format!("root@tcp(127.0.0.1:{database})/{name}");
    let (storage, endpoint) =
        (format!("--mysql_uri={}", uri("trillian")), |port: u16| format!("127.0.0.1:{port}"));
    let common = [storage.as_str(), "--storage_system=mysql", "--quota_system=noop"];
    let [at_rpc, at_http] = [endpoint(rpc), endpoint(http)];
    let log_server =
        [&common[..], &["--rpc_endpoint", &at_rpc, "--http_endpoint", &at_http]].concat();
    servers.push(Server::start("trillian-server", &tool("TRILLIAN_SERVER"), &log_server, &[], rpc));
    let signer_port = free_port();
    let [at_rpc, at_http] = [endpoint(free_port()), endpoint(signer_port)];
    let sequencer = [
        "--force_master",
        "--sequencer_interval=100ms",
        "--rpc_endpoint",
        &at_rpc,
        "--http_endpoint",
        &at_http,
    ];
    let signer = [&common[..], &sequencer].concat();
    servers.push(Server::start(
        "trillian-signer",
        &tool("TRILLIAN_SIGNER"),
        &signer,
        &[],
        signer_port,
    ));
    let [port, rpc, index] = [rekor.to_string(), rpc.to_string(), uri("rekor")];
    #[rustfmt::skip]
    let arguments = [
        "serve", "--host", "127.0.0.1", "--port", &port, "--trillian_log_server.address", "127.0.0.1", "--trillian_log_server.port", &rpc,
        "--rekor_server.signer", "memory", "--search_index.storage_provider", "mysql", "--search_index.mysql.dsn", &index,
    ];
    servers.push(Server::start("rekor1", &tool("REKOR1"), &arguments, &[], rekor));
    let url = format!("http://127.0.0.1:{rekor}");
    let key = write("rekor1.pub", &get(&format!("{url}/api/v1/log/publicKey")));
    (servers, Log { trust: format!("url={url},public-key={}", key.display()), url, version: 1 })
}

/// With the services above, in both formats: the promises that the older one needs are the real
/// log's.
fn a_real_rekor_1_serves_a_full_run(fulcio: &str, tsa: &str) {
    let (_servers, log) = rekor1();
    let (root, config) =
        (trusted_root("rekor1", fulcio, tsa, &log), signing_config("rekor1", fulcio, tsa, &log));
    let services = [
        ("INPUT_SIGNING-CONFIG", config.to_str().unwrap()),
        ("INPUT_TRUSTED-ROOT", root.to_str().unwrap()),
    ];
    let image = format!("{}/hello-rekor1", world().sandbox.registry());
    let run = publish("hello", &image, &services);
    assert_eq!(run.code, Some(0), "{}", run.log);
    for (kind, digest) in run.subjects() {
        let part = format!("{image}@{digest}");
        cosign_accepts(&root, &part, &["verify"]);
        if kind != "attestations" {
            cosign_accepts(&root, &part, &["verify-attestation", "--type", "spdxjson"]);
        }
    }
    let evidence = run.json("evidence");
    let of_index = evidence["subjects"][0]["signatures"].as_array().unwrap();
    assert_eq!(
        of_index.iter().map(|signature| signature["format"].as_str().unwrap()).collect::<Vec<_>>(),
        ["bundle", "legacy"]
    );
}

/// With the services above: the log keeps no envelopes, and gives no promise that the older format
/// could hold.
fn a_real_rekor_2_serves_a_full_run(fulcio: &str, tsa: &str) {
    let (_rekor, log) = rekor2(free_port());
    let (root, config) =
        (trusted_root("rekor2", fulcio, tsa, &log), signing_config("rekor2", fulcio, tsa, &log));
    let services = [
        ("INPUT_SIGNING-CONFIG", config.to_str().unwrap()),
        ("INPUT_TRUSTED-ROOT", root.to_str().unwrap()),
    ];
    let image = format!("{}/hello-rekor2", world().sandbox.registry());
    let run = publish("hello", &image, &services);
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("as bundles alone"), "{}", run.log);
    let evidence = run.json("evidence");
    let statements = evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|subject| subject["signatures"].as_array().unwrap());
    assert!(statements.into_iter().all(|statement| statement["logged"] == true), "{evidence}");
    for (kind, digest) in run.subjects() {
        let part = format!("{image}@{digest}");
        cosign_accepts(&root, &part, &["verify"]);
        if kind != "attestations" {
            cosign_accepts(&root, &part, &["verify-attestation", "--type", "spdxjson"]);
        }
    }
    // With a key in place of a certificate.
    let image = format!("{image}-keyed");
    let (private, public) = (key("test.key"), key("test.pub"));
    let keyed =
        [("COSIGN_PRIVATE_KEY", private.to_str().unwrap()), ("COSIGN_PASSWORD", "a test password")];
    let run = publish("hello", &image, &[&services[..], &keyed].concat());
    assert_eq!(run.code, Some(0), "{}", run.log);
    for (_, digest) in run.subjects() {
        let part = format!("{image}@{digest}");
        let judged = |key: &Path| {
            let who = [
                "--key",
                key.to_str().unwrap(),
                "--trusted-root",
                root.to_str().unwrap(),
                "--use-signed-timestamps",
            ];
            crate::support::judge(
                &tool("COSIGN3"),
                &[&["verify"], &who[..], &["--allow-http-registry", &part]].concat(),
            )
        };
        let (success, said) = judged(&public);
        assert!(success, "{said}");
        assert!(!judged(&key("other.pub")).0);
    }
}
