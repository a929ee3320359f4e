//! The way out: proxies, registries without TLS, CAs of one's own. What is on this machine is on
//! loopback, and so is what stands in for the world.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use crate::support::{Run, World};

const REGISTRY: &str = "registry.lan:5000";

/// A proxy for plain HTTP that knows one registry, by a name that no resolver knows; what it was
/// asked for, without the body.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn before(registry: &str) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (notes, registry, http) = (asked.clone(), registry.to_owned(), reqwest::Client::new());
        let app = axum::Router::new().fallback(move |request: Request| {
            notes.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            forward(request, registry.clone(), http.clone())
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn forward(request: Request, registry: String, http: reqwest::Client) -> Response {
    if *request.method() == Method::CONNECT
        || request.uri().authority().map(ToString::to_string).as_deref() != Some(REGISTRY)
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("http://{registry}{}", parts.uri.path_and_query().unwrap());
    let mut sent = http.request(parts.method, url).body(bytes);
    for (name, value) in parts.headers.iter().filter(|(name, _)| {
        !["host", "proxy-authorization", "content-length"].contains(&name.as_str())
    }) {
        sent = sent.header(name, value);
    }
    let answer = sent.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

fn succeeded(run: &Run) {
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test]
async fn nothing_that_is_on_this_machine_goes_through_a_proxy() {
    let mut world = World::new().await;
    for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
        world.set(name, "http://127.0.0.1:9");
    }
    let run = world.publish().await;
    succeeded(&run);
    world.verify(&run.outputs["digest"]).await.unwrap();
}

async fn plan(world: &World) -> (Value, String) {
    let output = world.command().args(["plan", "--json"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// Questions to GitHub take the way of all others.
#[tokio::test]
async fn github_is_asked_through_the_proxy_unless_no_proxy_names_it() {
    let mut world = World::new().await;
    let proxy = Proxy::before(world.sandbox.registry()).await;
    world
        .set("GITHUB_SERVER_URL", "https://git.example.invalid")
        .set("GITHUB_API_URL", "https://git.example.invalid/api/v3");
    for (variable, no_proxy, asked) in [
        ("HTTPS_PROXY", "", true),
        ("https_proxy", "other.invalid", true),
        ("ALL_PROXY", "", true),
        ("HTTP_PROXY", "", false),
        ("HTTPS_PROXY", "example.invalid", false),
        ("HTTPS_PROXY", "git.example.invalid:443", false),
    ] {
        world.set(variable, &proxy.address).set("NO_PROXY", no_proxy);
        let (planned, said) = plan(&world).await;
        assert!(planned["decision"].is_string(), "{said}");
        let connected =
            proxy.asked().iter().any(|request| request == "CONNECT git.example.invalid:443");
        assert_eq!(connected, asked, "{variable} {no_proxy}");
        world.unset(variable);
    }
    world.set("HTTPS_PROXY", "socks5://octo:hunter2@proxy.example:1080");
    let (_, said) = plan(&world).await;
    let said: String = said.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    assert!(
        said.contains("`HTTPS_PROXY` (or `ALL_PROXY`) is not an address of a proxy")
            && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn a_registry_is_reached_over_plain_http_only_where_it_is_named() {
    let mut world = World::new().await;
    let proxy = Proxy::before(world.sandbox.registry()).await;
    world.set("HTTP_PROXY", &proxy.address).set("HTTPS_PROXY", &proxy.address);
    world.set("INPUT_IMAGES", &format!("{REGISTRY}/app")).set("INPUT_SIGNATURE-FORMATS", "bundle");
    for other in ["", "registry.lan", "registry.lan:5001", "lan:5000"] {
        let run = world.run(&[], &[("INPUT_HTTP-REGISTRIES", other)]).await;
        assert!(
            run.code == Some(1) && run.log.contains("nothing was tagged"),
            "`{other}`: {}",
            run.log
        );
        let plain: Vec<String> =
            proxy.asked().into_iter().filter(|request| !request.starts_with("CONNECT")).collect();
        assert!(plain.is_empty(), "`{other}`: {plain:?}");
    }
    let run = world.run(&[], &[("INPUT_HTTP-REGISTRIES", REGISTRY)]).await;
    succeeded(&run);
    assert!(run.log.contains("`registry.lan:5000` is reached over plain HTTP"), "{}", run.log);
    assert_eq!(world.tags().await.len(), 3);
    // A stranger asks for it too.
    let (identity, issuer) = world.identity();
    let image = format!("{REGISTRY}/app:v1.2.3");
    let root = world.env["INPUT_TRUSTED-ROOT"].clone();
    let asked = [
        "verify",
        "--trusted-root",
        &root,
        "--certificate-identity",
        &identity,
        "--certificate-oidc-issuer",
        &issuer,
        &image,
    ];
    let refused = world.run(&asked, &[]).await;
    // Nobody answers, so nothing is found out.
    assert_eq!(refused.code, Some(4), "{}", refused.log);
    let verified =
        world.run(&[&asked[..7], &["--allow-http-registry", &image]].concat(), &[]).await;
    succeeded(&verified);
    // The workflow's own server, and Docker Hub, are never asked so.
    for never in ["ghcr.io", "docker.io", "http://registry.lan:5000"] {
        let run = world.run(&[], &[("INPUT_HTTP-REGISTRIES", never)]).await;
        assert!(
            run.code == Some(2) && run.log.contains("input `http-registries`: "),
            "{}",
            run.log
        );
    }
}

/// A CA and its certificate, as `openssl req -x509` writes them; nobody has the key.
const CA: &str = "-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUQFake
-----END CERTIFICATE-----
";

#[tokio::test]
async fn the_builder_is_told_of_registries_where_it_is_made_here() {
    let mut world = World::new().await;
    let told = world.folder.path().join("told.toml");
    world.set("FAKE_BUILDX_CONFIG", told.to_str().unwrap()).set("INPUT_PUSH", "false");
    world.set("INPUT_HTTP-REGISTRIES", REGISTRY);
    let run =
        world.run(&[], &[("INPUT_BUILDER-ENDPOINT", ""), ("SUPPLY_ACTION_BUILDER", "")]).await;
    succeeded(&run);
    assert_eq!(
        std::fs::read_to_string(&told).unwrap(),
        format!("[registry.\"{REGISTRY}\"]\n  http = true\n")
    );
    std::fs::remove_file(&told).unwrap();
    // One that listens already has a configuration of its own.
    let run = world.publish().await;
    succeeded(&run);
    assert!(
        run.log.contains("the builder does not get `http-registries`") && !told.exists(),
        "{}",
        run.log
    );
    // What is no certificate is told before anything is asked.
    world.set("INPUT_CA-CERTIFICATES", CA);
    let run = world.publish().await;
    assert!(run.code == Some(2) && run.log.contains("input `ca-certificates`"), "{}", run.log);
}
