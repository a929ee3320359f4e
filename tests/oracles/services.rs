//! A real Fulcio and a real timestamp authority in place of the sandbox's, trusted by a root that cosign made.

use std::path::{Path, PathBuf};

use serde_json::Value;

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
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      source-repository-digest: "sha"
      source-repository-ref: "ref"
      build-trigger: "event_name"
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

/// The sandbox's log stays; certificates and times come from the real ones.
fn trusted_root(fulcio: &str, tsa: &str, rekor: &str) -> PathBuf {
    let bundle: Value = serde_json::from_slice(&get(&format!("{fulcio}/api/v2/trustBundle"))).unwrap();
    let chain: Vec<&str> = bundle["chains"][0]["certificates"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap()).collect();
    let ca = write("fulcio.pem", chain.join("\n").as_bytes());
    let tsa_chain = write("tsa.pem", &get(&format!("{tsa}/api/v1/timestamp/certchain")));
    let log_key = write("rekor.pub", &get(&format!("{rekor}/api/v1/log/publicKey")));
    let out = world().folder.join("real_trusted_root.json");
    let described = |url: &str, key: &str, file: &Path| format!("url={url},{key}={},start-time=2020-01-01T00:00:00Z", file.display());
    #[rustfmt::skip]
    accepts(&tool("COSIGN3"), &[
        "trusted-root", "create", "--no-default-fulcio", "--no-default-ctfe", "--no-default-rekor", "--no-default-tsa",
        "--fulcio", &described(fulcio, "certificate-chain", &ca), "--tsa", &described(tsa, "certificate-chain", &tsa_chain),
        "--rekor", &described(rekor, "public-key", &log_key), "--out", out.to_str().unwrap(),
    ]);
    out
}

fn signing_config(fulcio: &str, tsa: &str, rekor: &str) -> PathBuf {
    let out = world().folder.join("real_signing_config.json");
    let service = |url: &str| format!("url={url},api-version=1,start-time=2020-01-01T00:00:00Z,operator=test");
    #[rustfmt::skip]
    accepts(&tool("COSIGN3"), &[
        "signing-config", "create", "--no-default-fulcio", "--no-default-oidc", "--no-default-rekor", "--no-default-tsa",
        "--fulcio", &service(fulcio), "--tsa", &service(&format!("{tsa}/api/v1/timestamp")), "--tsa-config", "ANY",
        "--rekor", &service(rekor), "--rekor-config", "ANY", "--out", out.to_str().unwrap(),
    ]);
    out
}

#[test]
fn a_real_fulcio_and_a_real_timestamp_authority_serve_a_full_run() {
    let world = world();
    let environment: std::collections::BTreeMap<String, String> = world.sandbox.environment().into_iter().collect();
    let issuer = &environment["SIGSTORE_ISSUER"];
    let sandbox_config: Value = serde_json::from_slice(&std::fs::read(world.sandbox.signing_config()).unwrap()).unwrap();
    let rekor = sandbox_config["rekorTlogUrls"][0]["url"].as_str().unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let tsa_port = free_port();
    let (_fulcio, _tsa) = (fulcio(issuer, ports), timestamp_server(tsa_port));
    let (fulcio, tsa) = (format!("http://127.0.0.1:{}", ports[0]), format!("http://127.0.0.1:{tsa_port}"));
    let (root, config) = (trusted_root(&fulcio, &tsa, rekor), signing_config(&fulcio, &tsa, rekor));
    let (root, config) = (root.to_str().unwrap(), config.to_str().unwrap());
    let image = format!("{}/hello-real", world.sandbox.registry());
    let run = publish("hello", &image, &[("INPUT_SIGNING-CONFIG", config), ("INPUT_TRUSTED-ROOT", root)]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let identity = format!("https://github.com/{}", environment["GITHUB_WORKFLOW_REF"]);
    for (_, digest) in run.subjects() {
        let image = format!("{image}@{digest}");
        // This Fulcio has no CT log, so there is no SCT.
        accepts(
            &tool("COSIGN3"),
            &[
                &["verify", "--insecure-ignore-sct", "--use-signed-timestamps"],
                trust(root, &identity, issuer).as_slice(),
                &[image.as_str()],
            ]
            .concat(),
        );
    }
    // The sandbox's own root does not know these certificates.
    let refused = publish("hello", &image, &[("INPUT_SIGNING-CONFIG", config), ("INPUT_TAGS", "never")]);
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(refused.log.contains("nothing was tagged") && refused.log.contains("has no valid"), "{}", refused.log);
    assert!(!accepts(&tool("CRANE"), &["ls", &image]).lines().any(|tag| tag == "never"));
}
