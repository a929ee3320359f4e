//! Makes worlds for tests and asks them what real clients ask; it never reaches beyond loopback.

mod osv;
mod registry;
mod sigstore;

use serde_json::Value;

use super::{Fault, FaultEffect, Sandbox, SandboxConfig, SandboxService, start};

struct World {
    sandbox: Sandbox,
    client: reqwest::Client,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::configured(|_| {}).await
    }

    async fn configured(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), change).await
    }

    async fn in_dir(dir: tempfile::TempDir, change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let mut config = SandboxConfig::new(dir.path().to_owned());
        change(&mut config);
        let sandbox = start(config).await.unwrap();
        Self { sandbox, client: reqwest::Client::new(), dir }
    }

    /// The same world after a stop and a start.
    async fn restarted(self, change: impl FnOnce(&mut SandboxConfig)) -> Self {
        self.sandbox.stop().await;
        Self::in_dir(self.dir, change).await
    }

    fn variable(&self, wanted: &str) -> String {
        let found = self.sandbox.environment().into_iter().find(|(name, _)| name == wanted);
        found.unwrap().1
    }

    async fn token(&self) -> String {
        let url = format!("{}&audience=sigstore", self.variable("ACTIONS_ID_TOKEN_REQUEST_URL"));
        let authorization = format!("bearer {}", self.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
        let answer = self.client.get(url).header("Authorization", authorization).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        answer["value"].as_str().unwrap().to_owned()
    }

    fn fault(
        &self,
        service: SandboxService,
        method: &'static str,
        path_contains: &str,
        effect: FaultEffect,
    ) {
        let path_contains = path_contains.to_owned();
        self.sandbox.faults().add(Fault {
            service,
            method: Some(method),
            path_contains,
            skip: 0,
            times: 1,
            effect,
        });
    }
}

#[tokio::test]
async fn the_written_environment_is_the_one_returned() {
    let world = World::new().await;
    let text = std::fs::read_to_string(world.dir.path().join("sandbox.env")).unwrap();
    for (name, value) in world.sandbox.environment() {
        assert!(text.contains(&format!("export {name}='{value}'\n")), "{name}");
    }
    let issuer = world.variable("SIGSTORE_ISSUER");
    assert!(
        world.variable("ACTIONS_ID_TOKEN_REQUEST_URL").starts_with(&format!("{issuer}/token?"))
    );
    assert_eq!(world.variable("SUPPLY_ACTION_REGISTRY"), world.sandbox.registry());
}

#[tokio::test]
async fn every_request_is_remembered_without_headers() {
    let world = World::new().await;
    world.token().await;
    let seen = world.sandbox.requests();
    let [request] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(
        (request.service, request.method.as_str(), request.path.as_str()),
        (SandboxService::Oidc, "GET", "/token")
    );
    assert_eq!(
        (request.query.as_deref(), request.status),
        (Some("api-version=2.0&audience=sigstore"), 200)
    );
}

#[tokio::test]
async fn a_token_needs_the_request_token() {
    let world = World::new().await;
    let url = world.variable("ACTIONS_ID_TOKEN_REQUEST_URL");
    for authorization in ["", "bearer wrong", "basic x"] {
        let answer =
            world.client.get(&url).header("Authorization", authorization).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{authorization}");
    }
}

#[tokio::test]
async fn latency_is_added_to_every_answer() {
    let world =
        World::configured(|config| config.latency = std::time::Duration::from_millis(60)).await;
    let before = std::time::Instant::now();
    world.token().await;
    assert!(before.elapsed().as_millis() >= 60);
}

#[tokio::test]
async fn the_github_api_keeps_attestations_by_subject() {
    let world = World::new().await;
    let api = world.variable("GITHUB_API_URL");
    let payload = r#"{"subject":[{"digest":{"sha256":"ab"}}]}"#;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, payload);
    let url = format!("{api}/repos/example/hello/attestations");
    let body = serde_json::json!({"bundle": {"dsseEnvelope": {"payload": encoded}}});
    assert_eq!(world.client.post(&url).json(&body).send().await.unwrap().status(), 201);
    assert_eq!(
        world
            .client
            .post(&url)
            .json(&serde_json::json!({"bundle": {}}))
            .send()
            .await
            .unwrap()
            .status(),
        422
    );
    for (digest, expected) in [("sha256:ab", 1), ("sha256:cd", 0)] {
        let found: Value =
            world.client.get(format!("{url}/{digest}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(found["attestations"].as_array().unwrap().len(), expected, "{digest}");
    }
}
