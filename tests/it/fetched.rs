//! Advisories at an address: fetched once, held to their hash, and no refusal is "nothing known".

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use supply_action::sandbox::{FaultEffect, SandboxService};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::gate::{LOG4J, alike};
use crate::support::{Run, World, always};

/// Answers each request with these bytes; its address.
async fn serving(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 8192]).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("http://{address}")
}

async fn redirecting(to: &str) -> String {
    let head = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nconnection: close\r\nlocation: ";
    serving(format!("{head}{to}\r\n\r\n").into_bytes()).await
}

async fn sbom(world: &World) -> String {
    let document = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "components": [{ "type": "library", "name": "log4j-core", "purl": LOG4J }],
    });
    let file = world.folder.path().join("app.cdx.json");
    std::fs::write(&file, document.to_string()).unwrap();
    file.display().to_string()
}

async fn scan(world: &World, advisories: &str) -> Run {
    let file = sbom(world).await;
    world.run(&["scan", "--advisories", advisories, &file], &[("SUPPLY_ACTION_OSV_URL", "")]).await
}

/// How often the archive was asked for, and whether a service was.
fn asked(world: &World) -> (usize, bool) {
    let requests = world.sandbox.requests().into_iter();
    let osv: Vec<_> = requests.filter(|it| it.service == SandboxService::Osv).collect();
    let is_archive = |path: &str| path.ends_with("/all.zip");
    let archives = osv.iter().filter(|it| is_archive(&it.path)).count();
    (archives, osv.iter().any(|it| !is_archive(&it.path)))
}

#[tokio::test]
async fn an_archive_at_an_address_answers_without_a_service() {
    let world = World::new().await;
    let address = format!("{}/Maven/all.zip", world.sandbox.osv());
    let run = scan(&world, &address).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("fails: 1 critical vulnerability"), "{}", run.log);
    assert_eq!(asked(&world), (1, false));
    assert!(world.left_behind().is_empty());
    // Its hash is what it must be, in whatever case it is written.
    let bytes = reqwest::get(&address).await.unwrap().bytes().await.unwrap();
    let hash = hex::encode(Sha256::digest(&bytes));
    for pin in [hash.clone(), hash.to_uppercase()] {
        let run = scan(&world, &format!("{address}#sha256={pin}")).await;
        assert_eq!(run.code, Some(1), "{}", run.log);
    }
    let wrong = "0".repeat(64);
    let run = scan(&world, &format!("{address}#sha256={wrong}")).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    let told = format!("is not taken: its SHA-256 is `{hash}`, and not `{wrong}`");
    assert!(run.log.contains(&told), "{}", run.log);
    // What speaks for another ecosystem says nothing of this one.
    let run = scan(&world, &format!("{}/npm/all.zip", world.sandbox.osv())).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert!(run.log.contains("none of 1 package is assessed"), "{}", run.log);
}

#[tokio::test]
async fn no_refusal_is_an_archive_without_advisories() {
    let world = World::new().await;
    let address = format!("{}/Maven/all.zip", world.sandbox.osv());
    for (effect, told) in [
        (FaultEffect::Status(403), "HTTP 403"),
        (FaultEffect::Status(404), "HTTP 404"),
        (FaultEffect::Status(429), "HTTP 429"),
        (FaultEffect::Status(500), "HTTP 500"),
        (FaultEffect::Status(503), "HTTP 503"),
        (FaultEffect::Drop, "was not fetched"),
        (FaultEffect::CutAnswer(40), "was not fetched"),
        (FaultEffect::Corrupt, "the advisories in `"),
        (FaultEffect::Body(Vec::new()), "the advisories in `"),
        (FaultEffect::Body(b"<html>".to_vec()), "the advisories in `"),
    ] {
        world.sandbox.faults().clear();
        world.sandbox.faults().add(always(SandboxService::Osv, None, "all.zip", effect.clone()));
        let run = scan(&world, &address).await;
        assert_eq!(run.code, Some(4), "{effect:?}: {}", run.log);
        assert!(run.log.contains(told), "{effect:?}: {}", run.log);
        assert!(run.log.contains("nothing is known about the image"), "{effect:?}: {}", run.log);
        assert!(world.left_behind().is_empty(), "{effect:?}");
    }
}

#[tokio::test]
async fn no_redirect_leads_away_from_https_and_no_login_is_shown() {
    let world = World::new().await;
    for to in ["http://example.com/all.zip", "ftp://127.0.0.1/all.zip", "file:///etc/passwd"] {
        let address = redirecting(to).await;
        let run = scan(&world, &format!("{address}/all.zip?sig=s3cr3t")).await;
        assert_eq!(run.code, Some(4), "{to}: {}", run.log);
        assert!(run.log.contains("was not fetched"), "{to}: {}", run.log);
        assert!(!run.log.contains("s3cr3t"), "{to}: {}", run.log);
    }
    // Within what may be asked it is followed.
    let address = redirecting(&format!("{}/Maven/all.zip", world.sandbox.osv())).await;
    let run = scan(&world, &format!("{address}/Maven/all.zip")).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for (wrong, why) in [
        ("http://example.com/all.zip", "is no address with https://"),
        ("ftp://example.com/all.zip", "neither a path nor an address with https://"),
        ("https://octo:s3cr3t@example.com/all.zip", "the address holds a login"),
        ("https://example.com/all.zip#sha256=12", "is not `sha256=` with 64 digits"),
    ] {
        let run = scan(&world, wrong).await;
        assert_eq!(run.code, Some(2), "{wrong}: {}", run.log);
        assert!(run.log.contains(why), "{wrong}: {}", run.log);
    }
}

#[tokio::test]
async fn a_release_fetches_them_once_for_all_that_it_scans() {
    let mut world = alike(&[LOG4J]).await;
    let address = format!("{}/Maven/all.zip", world.sandbox.osv());
    world.set("INPUT_ADVISORIES", &address).set("SUPPLY_ACTION_OSV_URL", "");
    world.set("INPUT_MAX-ADVISORY-AGE", "9999d");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("1 critical vulnerability that has a fix"), "{}", run.log);
    assert_eq!(asked(&world), (1, false));
    assert!(world.left_behind().is_empty());
    world.set("INPUT_MAX-ADVISORY-AGE", "1h");
    let run = world.publish().await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert!(run.log.contains("more than 1h ago"), "{}", run.log);
    world.set("INPUT_ADVISORIES", "https://octo:s3cr3t@example.com/all.zip");
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("input `advisories`: the address holds a login"), "{}", run.log);
}

/// An OpenVEX document at an address, held to its hash, in the program and in the action.
#[tokio::test]
async fn an_openvex_document_at_an_address_accepts_what_it_says_and_no_other_document_does() {
    let mut world = alike(&[LOG4J]).await;
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vex.example/1",
        "author": "security@example.com", "timestamp": "2026-11-01T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": { "name": "CVE-2021-44228" }, "products": [{ "@id": LOG4J }],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path",
        }],
    });
    let document = document.to_string();
    let length = document.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let address = format!("{}/vex.json?sig=s3cr3t", serving((head + &document).into_bytes()).await);
    let hash = hex::encode(Sha256::digest(&document));
    let (pinned, wrong) =
        (format!("{address}#sha256={hash}"), format!("{address}#sha256={}", "0".repeat(64)));

    let file = sbom(&world).await;
    let osv = world.sandbox.osv().to_owned();
    let scan =
        async |vex: &str| world.run(&["scan", "--osv-url", &osv, "--vex", vex, &file], &[]).await;
    for vex in [&address, &pinned] {
        let run = scan(vex).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
    }
    let refused = scan(&wrong).await;
    assert_eq!(refused.code, Some(2), "{}", refused.log);
    assert!(refused.log.contains("is not taken: its SHA-256 is"), "{}", refused.log);
    let away = redirecting("http://other.example/vex.json").await;
    assert_eq!(scan(&away).await.code, Some(2));
    let run = scan("https://s3cr3t@vex.example/1").await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(!(run.log + &refused.log).contains("s3cr3t"));

    // A release asks before it builds.
    world.set("INPUT_VEX", &wrong);
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("input `vex`: "), "{}", run.log);
    assert!(world.tags().await.is_empty(), "{}", run.log);
    world.set("INPUT_VEX", &pinned);
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}
