//! Real registries in place of the sandbox's: one with the referrers API, one without, each for a
//! full run.

use crate::support::{
    Run, Server, accepts, cosigns, free_port, publish, published, run, tool, trust, world,
};

fn check(run: &Run) {
    assert_eq!(run.code, Some(0), "{}", run.log);
    check_at(run, &run.outputs["image"]);
}

/// cosign accepts every part of what was published, wherever it lies now.
fn check_at(run: &Run, repository: &str) {
    let evidence = run.json("evidence");
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer, root) =
        (signer("identity"), signer("issuer"), world().sandbox.trusted_root().to_str().unwrap());
    for (cosign, extra) in cosigns() {
        for (kind, digest) in run.subjects() {
            let image = format!("{repository}@{digest}");
            let trust = trust(root, &identity, &issuer);
            accepts(&cosign, &[&["verify"], extra, &trust, &[image.as_str()]].concat());
            if kind == "attestations" {
                continue;
            }
            for predicate in ["slsaprovenance1", "spdxjson"] {
                let verb = ["verify-attestation", "--type", predicate];
                accepts(&cosign, &[&verb, extra, &trust[..], &[image.as_str()]].concat());
            }
        }
    }
}

/// Every tag that people pull; the fallback tags of referrers are digests' names.
fn tags(image: &str) -> Vec<String> {
    let crane = tool("CRANE");
    let mut tags: Vec<String> = accepts(&crane, &["ls", image])
        .lines()
        .filter(|tag| !tag.starts_with("sha256-"))
        .map(str::to_owned)
        .collect();
    tags.sort();
    tags
}

/// It knows no referrers API.
fn distribution(name: &str) -> (Server, String) {
    let port = free_port();
    let state = world().folder.join(name);
    let config = world().folder.join(format!("{name}.yml"));
    std::fs::write(
        &config,
        format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            state.display()
        ),
    )
    .unwrap();
    let registry = Server::start(
        name,
        &tool("REGISTRY"),
        &["serve", config.to_str().unwrap()],
        &[("OTEL_TRACES_EXPORTER", "none")],
        port,
    );
    (registry, format!("127.0.0.1:{port}"))
}

/// It knows the referrers API.
fn crane(name: &str) -> (Server, String) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let serve = ["registry", "serve", "--address", &address];
    (Server::start(name, &tool("CRANE"), &serve, &[], port), address)
}

/// From a registry with the referrers API to one with and one without, and from there on.
#[test]
fn a_promotion_brings_image_and_evidence_to_real_registries() {
    let source = published();
    let ((_without, first), (_with, second)) =
        (distribution("promoted-without"), crane("promoted-with"));
    let (_identity, issuer) = crate::evidence::signer();
    let promote = |from: &str, to: &[String]| {
        let change = [
            ("INPUT_SOURCE", from),
            ("INPUT_DESTINATIONS", &to.join("\n")),
            ("INPUT_CERTIFICATE-OIDC-ISSUER", &issuer),
            ("INPUT_ALLOW-ANY-BRANCH", "true"),
        ];
        let promoted = run(&["promote"], "greeter", "", &change);
        assert_eq!(promoted.code, Some(0), "{}", promoted.log);
        for repository in to {
            check_at(source, repository);
            assert_eq!(tags(repository), ["latest", "v1.2", "v1.2.3"]);
            let named = format!("{repository}:v1.2.3");
            let digest = accepts(&tool("CRANE"), &["digest", &named]);
            assert_eq!(digest.trim(), source.outputs["digest"], "{repository}");
        }
    };
    let places = [format!("{first}/mirror/greeter"), format!("{second}/mirror/greeter")];
    promote(&format!("{}:v1.2.3", source.outputs["image"]), &places);
    promote(&format!("{}:v1.2.3", places[0]), &[format!("{second}/further/greeter")]);
    // regctl finds as many referrers of the index at each.
    let regctl = tool("REGCTL");
    let referrers = |registry: &str, repository: &str| {
        accepts(&regctl, &["registry", "set", registry, "--tls", "disabled"]);
        let image = format!("{repository}@{}", source.outputs["digest"]);
        let listed = accepts(&regctl, &["artifact", "list", "--format", "raw-body", &image]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        listed["manifests"].as_array().unwrap().len()
    };
    let there = referrers(world().sandbox.registry(), &source.outputs["image"]);
    assert!(there >= 3, "{there}");
    assert_eq!(referrers(&first, &places[0]), there);
    assert_eq!(referrers(&second, &places[1]), there);
    assert_eq!(referrers(&second, &format!("{second}/further/greeter")), there);
}

#[test]
fn a_registry_without_the_referrers_api() {
    let (_registry, address) = distribution("distribution");
    let image = format!("{address}/hello");
    let run = publish("hello", &image, &[]);
    check(&run);
    assert_eq!(tags(&image), ["latest", "v1.2", "v1.2.3"]);
    // A second run reads, adds to and writes the same fallback tags.
    check(&publish("hello", &image, &[]));
}

#[test]
fn a_registry_with_the_referrers_api() {
    let (_registry, address) = crane("crane");
    let image = format!("{address}/nested/name/hello");
    let run = publish("hello", &image, &[]);
    check(&run);
    assert_eq!(tags(&image), ["latest", "v1.2", "v1.2.3"]);
}

/// Made with `crypt.crypt` for this test alone: user `octo`, password `hunter2-of-a-test`.
const HTPASSWD: &str = "octo:$2b$05$Z3osLfpZScLV/i6VcdRPgekqEpFgGtr4VhD6zm5B.gwcoMIW.2qAa\n";

#[test]
fn a_registry_that_wants_a_login_gets_it_from_us_and_from_buildx() {
    let port = free_port();
    let place = world().folder.join("with-login");
    std::fs::create_dir_all(&place).unwrap();
    let (config, users) = (place.join("config.yml"), place.join("htpasswd"));
    std::fs::write(&users, HTPASSWD).unwrap();
    let text = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        place.join("data").display(),
        users.display()
    );
    std::fs::write(&config, text).unwrap();
    let _registry = Server::start(
        "with-login",
        &tool("REGISTRY"),
        &["serve", config.to_str().unwrap()],
        &[("OTEL_TRACES_EXPORTER", "none")],
        port,
    );
    let image = format!("127.0.0.1:{port}/hello");
    let refused = publish("hello", &image, &[]);
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(
        refused.log.contains("401") && refused.log.contains("hint: give credentials")
            || refused.log.contains("give credentials"),
        "{}",
        refused.log
    );
    let auth =
        format!("- registry: 127.0.0.1:{port}\n  username: octo\n  password: hunter2-of-a-test\n");
    let run = publish("hello", &image, &[("INPUT_REGISTRY-AUTH", &auth)]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let shown = run
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .any(|line| line.contains("hunter2"));
    assert!(!shown, "{}", run.log);
}

#[test]
fn a_registry_that_wants_tokens_gets_them_from_us_and_from_buildx() {
    let folder = world().folder.join("with-tokens");
    let sandbox = crate::support::another_sandbox(&folder, ("octo", "hunter2-of-a-test"));
    let image = format!("{}/hello", sandbox.registry());
    let run = publish(
        "hello",
        &image,
        &[("INPUT_USERNAME", "octo"), ("INPUT_PASSWORD", "hunter2-of-a-test")],
    );
    assert_eq!(run.code, Some(0), "{}", run.log);
}
