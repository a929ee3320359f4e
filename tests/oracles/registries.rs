//! Real registries in place of the sandbox's: one with the referrers API, one without, each for a full run.

use crate::support::{Run, Server, accepts, cosigns, free_port, publish, tool, trust, world};

fn check(run: &Run) {
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence = run.json("evidence");
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer, root) = (signer("identity"), signer("issuer"), world().sandbox.trusted_root().to_str().unwrap());
    for (cosign, extra) in cosigns() {
        for (platform, digest) in run.subjects() {
            let image = format!("{}@{digest}", run.outputs["image"]);
            let trust = trust(root, &identity, &issuer);
            accepts(&cosign, &[&["verify"], extra, &trust, &[image.as_str()]].concat());
            accepts(&cosign, &[&["verify-attestation", "--type", "slsaprovenance1"], extra, &trust, &[image.as_str()]].concat());
            if platform.is_some() {
                accepts(&cosign, &[&["verify-attestation", "--type", "spdxjson"], extra, &trust, &[image.as_str()]].concat());
            }
        }
    }
}

/// Every tag that people pull; the fallback tags of referrers are digests' names.
fn tags(image: &str) -> Vec<String> {
    let crane = tool("CRANE");
    let mut tags: Vec<String> =
        accepts(&crane, &["ls", image]).lines().filter(|tag| !tag.starts_with("sha256-")).map(str::to_owned).collect();
    tags.sort();
    tags
}

#[test]
fn a_registry_without_the_referrers_api() {
    let port = free_port();
    let state = world().folder.join("distribution");
    let config = world().folder.join("distribution.yml");
    std::fs::write(
        &config,
        format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            state.display()
        ),
    )
    .unwrap();
    let _registry =
        Server::start("distribution", &tool("REGISTRY"), &["serve", config.to_str().unwrap()], &[("OTEL_TRACES_EXPORTER", "none")], port);
    let image = format!("127.0.0.1:{port}/hello");
    let run = publish("hello", &image, &[]);
    check(&run);
    assert_eq!(tags(&image), ["latest", "v1.2", "v1.2.3"]);
    // A second run reads, adds to and writes the same fallback tags.
    check(&publish("hello", &image, &[]));
}

#[test]
fn a_registry_with_the_referrers_api() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let _registry = Server::start("crane", &tool("CRANE"), &["registry", "serve", "--address", &address], &[], port);
    let image = format!("{address}/nested/name/hello");
    let run = publish("hello", &image, &[]);
    check(&run);
    assert_eq!(tags(&image), ["latest", "v1.2", "v1.2.3"]);
}
