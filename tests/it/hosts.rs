//! Whom a run trusts with what: hosts that get a token, issuers that give one, logs that are
//! public, runners that are GitHub's.

use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use supply_action::sandbox::{FaultEffect, SandboxConfig, SandboxService};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Run, World, always};

const ENTERPRISE: &str = "https://git.example.com";

async fn plan(world: &World) -> (Option<i32>, Value, String) {
    let output = world.command().args(["plan", "--json"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// Where the plan would log in.
fn logins(plan: &Value) -> Vec<&str> {
    plan["logins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|login| login["registry"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_token_and_the_default_image_are_of_the_server_that_runs_the_workflow() {
    for (server, registry) in [
        ("https://github.com", "ghcr.io"),
        (ENTERPRISE, "containers.git.example.com"),
        ("https://octo.ghe.com", "containers.octo.ghe.com"),
    ] {
        let mut world = World::new().await;
        world
            .set("GITHUB_SERVER_URL", server)
            .set("INPUT_GITHUB-TOKEN", "t0ken")
            .unset("INPUT_IMAGES");
        let (code, plan, said) = plan(&world).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(
            (logins(&plan), plan["images"].to_string()),
            (vec![registry], format!("[\"{registry}/example/hello\"]")),
            "{plan}"
        );
    }
    // A registry of one's own is asked for where the server can have none, and what is pushed
    // elsewhere gets no token.
    for server in ["https://git.example.com:8443", "https://10.0.0.7", "not an address"] {
        let mut world = World::new().await;
        world
            .set("GITHUB_SERVER_URL", server)
            .set("INPUT_GITHUB-TOKEN", "t0ken")
            .set("INPUT_IMAGES", "ghcr.io/octo/app");
        let (code, found, said) = plan(&world).await;
        assert_eq!((code, logins(&found)), (Some(0), vec![]), "{said}");
        world.unset("INPUT_IMAGES");
        let (code, _, said) = plan(&world).await;
        assert!(
            code == Some(2)
                && said.contains("input `images`: not set")
                && said.contains("is not known"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_token_is_no_password_for_the_registry_of_somebody_else() {
    let config = tempfile::tempdir().unwrap();
    // `octo:t0ken`
    std::fs::write(
        config.path().join("config.json"),
        r#"{"auths":{"evil.example":{"auth":"b2N0bzp0MGtlbg=="}}}"#,
    )
    .unwrap();
    let config = config.path().to_str().unwrap();
    for change in [
        vec![
            ("INPUT_REGISTRY", "evil.example"),
            ("INPUT_USERNAME", "octo"),
            ("INPUT_PASSWORD", "t0ken"),
        ],
        vec![(
            "INPUT_REGISTRY-AUTH",
            "[{registry: evil.example, username: octo, password: t0ken}]",
        )],
        vec![("DOCKER_CONFIG", config), ("INPUT_IMAGES", "evil.example/octo/app")],
        vec![
            ("INPUT_REGISTRY", "ghcr.io"),
            ("INPUT_USERNAME", "octo"),
            ("INPUT_PASSWORD", "t0ken"),
            ("GITHUB_SERVER_URL", ENTERPRISE),
        ],
    ] {
        let mut world = World::new().await;
        world.set("INPUT_GITHUB-TOKEN", "t0ken");
        let run = world.run(&[], &change).await;
        assert_eq!(run.code, Some(1), "{change:?}: {}", run.log);
        assert!(
            run.log.contains("is the workflow's own token, which is sent to hosts of")
                && run.log.contains("nothing was tagged"),
            "{}",
            run.log
        );
        let said: Vec<&str> =
            run.log.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        assert!(!said.join("\n").contains("t0ken") && world.tags().await.is_empty(), "{}", run.log);
    }
}

/// A registry that names another host as its token service; and that host, with what was sent to
/// it.
async fn sent_elsewhere() -> (String, String, Arc<Mutex<Vec<String>>>) {
    let serve = async |app: axum::Router| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        host
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let service = serve(axum::Router::new().fallback(move |headers: HeaderMap| {
        let login = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        notes.lock().unwrap().extend(login);
        async { axum::Json(json!({ "token": "granted" })) }
    }))
    .await;
    let challenge = format!("Bearer realm=\"http://{service}/token\"");
    let registry = serve(axum::Router::new().fallback(move || {
        let challenge = challenge.clone();
        async move {
            (axum::http::StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)])
                .into_response()
        }
    }))
    .await;
    (registry, service, seen)
}

#[tokio::test]
async fn a_token_service_on_another_host_is_reported_and_never_gets_the_token() {
    let (registry, service, seen) = sent_elsewhere().await;
    let image = format!("{registry}/app");
    let mut world = World::new().await;
    world
        .set("INPUT_IMAGES", &image)
        .set("INPUT_GITHUB-TOKEN", "t0ken")
        .set("INPUT_USERNAME", "octo")
        .set("INPUT_PASSWORD", "pass");
    let digests = format!("sha256:{}", "0".repeat(64));
    for (arguments, told) in
        [(&[][..], &[][..]), (&["merge"][..], &[("INPUT_DIGESTS", digests.as_str())][..])]
    {
        let run = world.run(arguments, told).await;
        let notice = format!(
            "`{registry}` names `{service}` as its token service, so the login for `{registry}` is sent there"
        );
        assert!(
            run.code == Some(1) && run.log.matches(&notice).count() == 1,
            "{notice}: {}",
            run.log
        );
    }
    // `octo:pass`
    assert!(
        !seen.lock().unwrap().is_empty()
            && seen.lock().unwrap().iter().all(|login| login == "Basic b2N0bzpwYXNz"),
        "{seen:?}"
    );
    seen.lock().unwrap().clear();
    world.set("INPUT_PASSWORD", "t0ken");
    let run = world.publish().await;
    assert!(
        run.code == Some(1)
            && run.log.contains("the workflow's own token is sent to hosts of `github.com` only"),
        "{}",
        run.log
    );
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn an_endless_token_answer_does_not_block_a_run() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token?x=y", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut sent = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"value\":\"")
                    .await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 1 << 16]).await;
                }
            });
        }
    });
    let mut world = World::new().await;
    let run = world.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url).publish().await;
    assert!(
        run.code == Some(1) && run.log.contains("its answer is larger than 1048576 bytes"),
        "{}",
        run.log
    );
    let run =
        world.set("ACTIONS_ID_TOKEN_REQUEST_URL", "http://oidc.example/token").publish().await;
    assert!(
        run.code == Some(1)
            && run.log.contains("does not use https, so the run sends no request to it"),
        "{}",
        run.log
    );
}

/// A world whose repository is, by event, API and token, what these say; `None`: it says nothing.
async fn repository(
    event: Option<bool>,
    api: Option<bool>,
    claim: &'static str,
    log: &str,
) -> World {
    let mut world = World::with(|config: &mut SandboxConfig| {
        config.claims.repository_visibility = claim.to_owned()
    })
    .await;
    let described = |private: Option<bool>| match private {
        Some(private) => {
            json!({ "default_branch": "main", "private": private, "full_name": "example/hello" })
        }
        None => json!({ "default_branch": "main" }),
    };
    std::fs::write(
        world.folder.path().join("event.json"),
        json!({ "repository": described(event) }).to_string(),
    )
    .unwrap();
    let effect = FaultEffect::Body(described(api).to_string().into_bytes());
    world.sandbox.faults().add(always(
        SandboxService::GitHub,
        Some("GET"),
        "/repos/example/hello",
        effect,
    ));
    let config = std::fs::read_to_string(world.sandbox.signing_config()).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    if !log.is_empty() {
        config["rekorTlogUrls"][0]["url"] = log.into();
    }
    let file = world.folder.path().join("signing-config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    world.set("INPUT_SIGNING-CONFIG", file.to_str().unwrap());
    world
}

#[tokio::test]
async fn an_issuer_that_the_public_authority_does_not_take_is_told_before_anything_is_built() {
    let mut world = World::new().await;
    let config = std::fs::read_to_string(world.sandbox.signing_config()).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["caUrls"][0]["url"] = "https://fulcio.sigstore.dev".into();
    let (file, arguments) =
        (world.folder.path().join("signing-config.json"), world.folder.path().join("arguments"));
    std::fs::write(&file, config.to_string()).unwrap();
    world
        .set("INPUT_SIGNING-CONFIG", file.to_str().unwrap())
        .set("FAKE_BUILDX_ARGUMENTS", arguments.to_str().unwrap());
    let run = world.publish().await;
    let told = format!(
        "`fulcio.sigstore.dev` accepts no tokens of issuer `{}`",
        world.env["SIGSTORE_ISSUER"]
    );
    assert!(
        run.code == Some(1)
            && run.log.contains(&told)
            && run.log.contains("hint: name the services"),
        "{}",
        run.log
    );
    assert!(!arguments.exists() && world.tags().await.is_empty());
}

#[tokio::test]
async fn a_repository_that_is_private_or_unknown_never_uses_a_public_log() {
    let (public, private) = (Some(false), Some(true));
    for (event, api, claim, why) in [
        (private, public, "public", "is private"),
        (public, private, "public", "is private"),
        (public, public, "private", "is private"),
        (public, public, "internal", "is private"),
        (
            None,
            None,
            "",
            "neither the event nor GitHub says whether repository `example/hello` is private",
        ),
    ] {
        let world = repository(event, api, claim, "https://rekor.sigstore.dev").await;
        let run = world.publish().await;
        assert!(
            run.code == Some(1)
                && run.log.contains(why)
                && run.log.contains("hint: set `allow-public-log: true`"),
            "{}",
            run.log
        );
        assert!(
            !world
                .sandbox
                .requests()
                .iter()
                .any(|request| request.service == SandboxService::Fulcio),
            "{event:?} {api:?} {claim}"
        );
        assert!(world.tags().await.is_empty());
    }
    // A log of one's own may know, and one public word is enough where nobody says otherwise.
    for (event, api, claim) in
        [(None, None, ""), (private, public, "public"), (None, None, "public")]
    {
        let run = repository(event, api, claim, "").await.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
    }
    let run = repository(None, None, "public", "https://rekor.sigstore.dev")
        .await
        .run(&[], &[("FAKE_BUILDX", "native-only")])
        .await;
    assert!(run.code == Some(1) && !run.log.contains("is private"), "{}", run.log);
}

const STRICT: &str =
    "org/supply-action/.github/workflows/publish.yml@0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";

/// Two platforms that jobs pushed, merged by a job that looks at what GitHub says of their runners.
async fn merged(
    workflow: &'static str,
    runner: &'static str,
    change: impl Fn(&mut Vec<Value>),
) -> (World, Run) {
    let world = World::with(|config: &mut SandboxConfig| {
        config.claims.job_workflow_ref = workflow.to_owned();
        config.claims.runner_environment = runner.to_owned();
    })
    .await;
    let mut jobs: Vec<Value> = ["plan", "build linux/amd64", "build linux/arm64", "publish"]
        .iter()
        .map(|name| {
            json!({
                "name": format!("images / {name}"), "status": "completed", "conclusion": "success", "labels": ["ubuntu-24.04"],
                "runner_name": "GitHub Actions 7", "runner_group_name": "GitHub Actions",
            })
        })
        .collect();
    jobs[3]["status"] = "in_progress".into();
    change(&mut jobs);
    if !jobs.is_empty() {
        let answer = json!({ "total_count": jobs.len(), "jobs": jobs }).to_string().into_bytes();
        world.sandbox.faults().add(always(
            SandboxService::GitHub,
            Some("GET"),
            "/attempts/1/jobs",
            FaultEffect::Body(answer),
        ));
    }
    let pushed = world
        .run(
            &[],
            &[("INPUT_PLATFORMS", "linux/amd64,linux/arm64"), ("INPUT_PUSH-BY-DIGEST", "true")],
        )
        .await;
    assert_eq!(pushed.code, Some(0), "{}", pushed.log);
    let told = [
        ("INPUT_DIGESTS", pushed.outputs["digests"].as_str()),
        ("INPUT_PLATFORMS", "linux/amd64,linux/arm64"),
        ("INPUT_CHECK-RUNNERS", "true"),
        ("INPUT_GITHUB-TOKEN", "t0ken"),
    ];
    let run = world.run(&["merge"], &told).await;
    (world, run)
}

#[tokio::test]
async fn the_build_level_is_claimed_where_githubs_api_says_that_all_runners_are_its_own() {
    let (world, run) = merged(STRICT, "github-hosted", |_| {}).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        run.summary.contains("**SLSA Build L3: GitHub's API says that every job"),
        "{}",
        run.summary
    );
    let asked = world
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("/actions/runs/9000100200/attempts/1/jobs"));
    assert_eq!(asked.count(), 1);
    let claims_nothing = async |workflow, change: &dyn Fn(&mut Vec<Value>), why: &str| {
        let (_, run) = merged(workflow, "github-hosted", change).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let said = format!("No build level is claimed: {why}");
        assert!(
            run.summary.contains(&said) && !run.summary.contains("SLSA Build L3"),
            "{said}: {}",
            run.summary
        );
    };
    claims_nothing(
        STRICT,
        &Vec::clear,
        "GitHub did not list the jobs of this attempt: HTTP 404: Not Found",
    )
    .await;
    claims_nothing(
        STRICT,
        &|jobs| drop(jobs.remove(1)),
        "GitHub's answer does not contain job build linux/amd64",
    )
    .await;
    claims_nothing(
        "example/hello/.github/workflows/publish.yml@refs/heads/main",
        &|_| {},
        "the certificate is not for",
    )
    .await;
}

#[tokio::test]
async fn a_leg_on_a_runner_of_somebodys_own_is_not_merged() {
    for at in 0..4 {
        let (world, run) = merged(STRICT, "github-hosted", move |jobs| {
            jobs[at]["runner_group_name"] = "Default".into()
        })
        .await;
        assert!(
            run.code == Some(1)
                && run.log.contains("did not run on a GitHub-hosted runner, whatever its label"),
            "{}",
            run.log
        );
        assert!(
            run.log.contains("hint: use `publish-custom.yml`") && world.tags().await.is_empty(),
            "{}",
            run.log
        );
    }
    let (world, run) = merged(STRICT, "self-hosted", |_| {}).await;
    assert!(
        run.code == Some(1)
            && run.log.contains("the job that signs does not run on a GitHub-hosted runner"),
        "{}",
        run.log
    );
    assert!(world.tags().await.is_empty());
}
