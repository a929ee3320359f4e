//! Who gets which credential: tests with loopback registries and token services.

use super::*;
use crate::answer::bad;

async fn serve(app: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    host
}

/// A token service that notes who logged in; and what it noted.
async fn service() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = seen.clone();
    let answer = move |headers: axum::http::HeaderMap| {
        let login = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        notes.lock().unwrap().push(login);
        async { axum::Json(serde_json::json!({ "token": "granted" })) }
    };
    (serve(axum::Router::new().fallback(answer)).await, seen)
}

fn password(text: &str) -> LoginSecret {
    LoginSecret::Password(text.to_owned().into())
}

async fn obtained(tokens: &Tokens, registry: &str, realm: &str) -> RegistryResult<bool> {
    let repository: Repository = format!("{registry}/app").parse().unwrap();
    tokens.obtain(&format!("Bearer realm=\"{realm}\""), &repository, &Access::Push, None).await
}

#[test]
fn challenges_are_read_with_commas_in_quotes() {
    let read = parameters(
        r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push",error=x"#,
    );
    assert_eq!(read["realm"], "https://auth.docker.io/token");
    assert_eq!(read["scope"], "repository:a:pull,push");
    assert_eq!(read["error"], "x");
}

#[test]
fn docker_hub_is_one_registry_under_all_its_names() {
    let mut credentials = Credentials::default();
    credentials.add(
        "https://index.docker.io/v1/",
        "u",
        LoginSecret::Password("p".to_owned().into()),
    );
    assert!(credentials.get("docker.io").is_some() && credentials.get("ghcr.io").is_none());
    assert_eq!(credentials.docker_config()["auths"]["https://index.docker.io/v1/"]["auth"], "dTpw");
}

#[test]
fn a_callers_config_is_kept_with_our_logins_in_it() {
    let mut credentials = Credentials::default();
    credentials.keep_docker_config(
        r#"{"auths":{"other.io":{"auth":"eA=="},"r.io":{"auth":"b2xk"}},"HttpHeaders":{"a":"b"}}"#,
    );
    credentials.add("r.io", "u", LoginSecret::Password("p".to_owned().into()));
    let config = credentials.docker_config();
    assert_eq!(
        (config["auths"]["other.io"]["auth"].as_str(), config["auths"]["r.io"]["auth"].as_str()),
        (Some("eA=="), Some("dTpw"))
    );
    assert_eq!(config["HttpHeaders"]["a"], "b");
}

#[tokio::test]
async fn an_identity_token_follows_no_redirect() {
    let stolen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = stolen.clone();
    let thief =
        serve(axum::Router::new().fallback(move || async move {
            seen.store(true, std::sync::atomic::Ordering::SeqCst)
        }))
        .await;
    let away = axum::response::Redirect::temporary(&format!("http://{thief}/token"));
    let host = serve(axum::Router::new().fallback(move || async move { away })).await;
    let mut credentials = Credentials::default();
    credentials.add(&host, "<token>", LoginSecret::IdentityToken("idt".to_owned().into()));
    let tokens = Tokens::new(reqwest::Client::new(), credentials);
    let repository: Repository = format!("{host}/app").parse().unwrap();
    let challenge = format!("Bearer realm=\"http://{host}/token\"");
    let error = tokens.obtain(&challenge, &repository, &Access::Push, None).await.unwrap_err();
    assert!(error.to_string().contains("307"), "{error}");
    assert!(!stolen.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn an_identity_token_is_sent_as_a_refresh_token_and_never_as_a_password() {
    use axum::extract::Form;
    let app = axum::Router::new().route(
        "/token",
        axum::routing::post(|Form(form): Form<BTreeMap<String, String>>| async move {
            assert_eq!(
                (
                    form["grant_type"].as_str(),
                    form["refresh_token"].as_str(),
                    form["scope"].as_str()
                ),
                ("refresh_token", "idt", "repository:app:pull,push")
            );
            axum::Json(serde_json::json!({ "access_token": "granted" }))
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut credentials = Credentials::default();
    credentials.add(&host, "<token>", LoginSecret::IdentityToken("idt".to_owned().into()));
    let tokens = Tokens::new(reqwest::Client::new(), credentials);
    let repository: Repository = format!("{host}/app").parse().unwrap();
    assert!(
        tokens
            .obtain(
                &format!("Bearer realm=\"http://{host}/token\",service=\"r\""),
                &repository,
                &Access::Push,
                None
            )
            .await
            .unwrap()
    );
    assert_eq!(
        tokens.known(&repository, &Access::Push).await.unwrap().to_str().unwrap(),
        "Bearer granted"
    );
}

#[tokio::test]
async fn credentials_that_a_registry_sends_elsewhere_are_told_and_only_those() {
    let (service, seen) = service().await;
    let mut credentials = Credentials::default();
    credentials.add("127.0.0.1:1", "u", password("p"));
    credentials.add(&service, "u", password("p"));
    let tokens = Tokens::new(reqwest::Client::new(), credentials);
    let realm = format!("http://{service}/token");
    obtained(&tokens, &service, &realm).await.unwrap();
    obtained(&tokens, "127.0.0.1:2", &realm).await.unwrap();
    assert_eq!(tokens.elsewhere().await, [], "its own host, and a registry without credentials");
    obtained(&tokens, "127.0.0.1:1", &realm).await.unwrap();
    assert_eq!(tokens.elsewhere().await, [("127.0.0.1:1".to_owned(), service)]);
    assert_eq!(*seen.lock().unwrap(), ["Basic dTpw", "", "Basic dTpw"]);
}

#[tokio::test]
async fn the_workflows_own_token_goes_to_no_host_that_a_registry_names() {
    let (service, seen) = service().await;
    for secret in [password("t0ken"), LoginSecret::IdentityToken("t0ken".to_owned().into())] {
        let mut credentials = Credentials::default();
        credentials.add("127.0.0.1:1", "x-access-token", secret);
        credentials.bind("t0ken".to_owned().into(), Server::of("https://github.com"));
        let tokens = Tokens::new(reqwest::Client::new(), credentials);
        let error =
            obtained(&tokens, "127.0.0.1:1", &format!("http://{service}/token")).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the workflow's own token is sent to hosts of `github.com` only"),
            "{error}"
        );
    }
    assert!(seen.lock().unwrap().is_empty());
    // To the registry's own host it goes, and the password of somebody else goes where the registry
    // says.
    let mut credentials = Credentials::default();
    credentials.add(&service, "x-access-token", password("t0ken"));
    credentials.add("127.0.0.1:1", "u", password("p"));
    credentials.bind("t0ken".to_owned().into(), Server::of("https://github.com"));
    let tokens = Tokens::new(reqwest::Client::new(), credentials);
    for registry in [service.as_str(), "127.0.0.1:1"] {
        obtained(&tokens, registry, &format!("http://{service}/token")).await.unwrap();
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn a_registry_of_another_server_is_no_place_for_the_workflows_own_token() {
    for (server, registry, fine) in [
        ("https://github.com", "ghcr.io", true),
        ("https://github.com", "127.0.0.1:5000", true),
        ("https://github.com", "evil.example", false),
        ("https://git.example.com", "ghcr.io", false),
        ("https://git.example.com", "containers.git.example.com", true),
        ("https://octo.ghe.com", "containers.octo.ghe.com", true),
        ("https://octo.ghe.com", "containers.other.ghe.com", false),
        ("https://octo.ghe.com", "ghcr.io", false),
        ("", "ghcr.io", false),
    ] {
        let mut credentials = Credentials::default();
        credentials.add(registry, "x-access-token", password("t0ken"));
        credentials.add("docker.io", "u", password("p"));
        credentials.bind("t0ken".to_owned().into(), Server::of(server));
        assert_eq!(credentials.misplaced().is_none(), fine, "{server}: {registry}");
    }
}

#[test]
fn credentials_go_to_no_address_that_is_not_safe() {
    for (registry, realm, host) in [
        ("ghcr.io", "https://ghcr.io/token", Some("ghcr.io")),
        ("docker.io", "https://auth.docker.io/token", Some("auth.docker.io")),
        ("r.example", "https://r.example:8443/token", Some("r.example:8443")),
        ("127.0.0.1:5000", "http://127.0.0.1:5001/token", Some("127.0.0.1:5001")),
        ("ghcr.io", "http://ghcr.io/token", None),
        ("ghcr.io", "http://127.0.0.1:5000/token", None),
        ("ghcr.io", "https://ghcr.io@evil.example/token", None),
        ("ghcr.io", "https://u:p@ghcr.io/token", None),
        ("127.0.0.1:5000", "http://evil.example/token", None),
        ("ghcr.io", "ftp://ghcr.io/token", None),
        ("ghcr.io", "data:text/plain,x", None),
    ] {
        let url = Url::parse(realm).unwrap();
        assert_eq!(
            service_host(&url, registry, &Plain::of(["r.lan:5000".to_owned()])).ok().as_deref(),
            host,
            "{registry}: {realm}"
        );
    }
}

#[tokio::test]
async fn a_token_service_that_drips_or_never_ends_is_left() {
    for (realm, why) in
        [(bad::dripping().await, "broke off"), (bad::endless().await, "larger than 1048576 bytes")]
    {
        for secret in
            [None, Some(password("p")), Some(LoginSecret::IdentityToken("i".to_owned().into()))]
        {
            let mut credentials = Credentials::default();
            if let Some(secret) = secret {
                credentials.add("127.0.0.1:1", "u", secret);
            }
            let mut tokens = Tokens::new(reqwest::Client::new(), credentials);
            if why == "broke off" {
                tokens.within = Duration::from_millis(300);
            }
            let error = obtained(&tokens, "127.0.0.1:1", &realm).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            // Whoever asks next does not wait again.
            tokens.within = Duration::ZERO;
            let again = obtained(&tokens, "127.0.0.1:1", &realm).await.unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
        }
    }
}

/// How often a registry is asked that refuses every token but the last of `refused`, and whether it
/// let the request through in the end.
async fn asked_until(refused: usize, error: &'static str) -> (usize, bool) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (granted, asked) =
        (std::sync::Arc::new(AtomicUsize::new(0)), std::sync::Arc::new(AtomicUsize::new(0)));
    let (granting, asking) = (granted.clone(), asked.clone());
    let answer = move |uri: axum::http::Uri, headers: axum::http::HeaderMap| {
        let (granting, asking) = (granting.clone(), asking.clone());
        async move {
            let host = headers["host"].to_str().unwrap().to_owned();
            if uri.path() == "/token" {
                let number = granting.fetch_add(1, Ordering::SeqCst);
                let token = serde_json::json!({ "token": format!("t{number}") });
                return axum::response::Response::new(axum::body::Body::from(token.to_string()));
            }
            let number = asking.fetch_add(1, Ordering::SeqCst);
            let response = axum::response::Response::builder();
            let response = match number < refused {
                true => response.status(401).header(
                    "www-authenticate",
                    format!("Bearer realm=\"http://{host}/token\",service=\"x\",error=\"{error}\""),
                ),
                false => response.status(202).header("location", "/v2/app/blobs/uploads/1"),
            };
            response.body(axum::body::Body::empty()).unwrap()
        }
    };
    let host = serve(axum::Router::new().fallback(answer)).await;
    let mut credentials = Credentials::default();
    credentials.add(&host, "u", password("p"));
    let registry = crate::registry::Registry::new(reqwest::Client::new(), credentials);
    let opened = registry.open_upload(&format!("{host}/app").parse().unwrap()).await;
    (asked.load(Ordering::SeqCst), opened.is_ok())
}

#[tokio::test]
async fn a_token_that_ended_meanwhile_is_replaced_and_one_that_covers_too_little_is_not() {
    assert_eq!(asked_until(1, "invalid_token").await, (2, true));
    assert_eq!(asked_until(3, "invalid_token").await, (4, true));
    let (asked, passed) = asked_until(usize::MAX, "invalid_token").await;
    assert!(asked < 10 && !passed, "{asked}");
    assert_eq!(asked_until(usize::MAX, "insufficient_scope").await, (2, false));
}
