//! Asks the OSV service what its clients ask.

use serde_json::{Value, json};

use super::World;
use crate::sandbox::OsvHabit;

async fn batch(world: &World, queries: Value) -> (u16, Value) {
    let url = format!("{}/v1/querybatch", world.sandbox.osv());
    let answer = world.client.post(url).json(&json!({ "queries": queries })).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

fn query(ecosystem: &str, name: &str, version: &str) -> Value {
    json!({"package": {"ecosystem": ecosystem, "name": name}, "version": version})
}

#[tokio::test]
async fn the_embedded_records_answer_in_order_with_ids_and_times() {
    let world = World::new().await;
    let queries = json!([
        query("npm", "minimist", "1.2.8"),
        query("npm", "minimist", "1.2.5"),
        query("Debian:12", "openssl", "3.0.11-1~deb12u1"),
        query("Debian:11", "openssl", "1.1.1w-0+deb11u1"),
    ]);
    let (status, answer) = batch(&world, queries).await;
    let modified = |id: &str, at: &str| json!({"vulns": [{"id": id, "modified": at}]});
    assert_eq!(status, 200);
    assert_eq!(
        answer["results"],
        json!([
            {},
            modified("GHSA-xvch-5gv4-984h", "2026-10-20T16:08:42Z"),
            modified("DEBIAN-CVE-2023-5363", "2026-10-22T10:00:00Z"),
            {},
        ])
    );
    let url = format!("{}/v1/vulns/GHSA-xvch-5gv4-984h", world.sandbox.osv());
    let record: Value = world.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(record["aliases"], json!(["CVE-2021-44906"]));
    let url = format!("{}/v1/vulns/CVE-1", world.sandbox.osv());
    let absent = world.client.get(url).send().await.unwrap();
    assert_eq!(absent.status(), 404);
    assert_eq!(
        absent.json::<Value>().await.unwrap(),
        json!({"code": 5, "message": "Bug not found."})
    );
}

#[tokio::test]
async fn a_batch_is_refused_whole() {
    let world = World::new().await;
    let many = vec![query("npm", "x", "1"); 1001];
    for (queries, message) in [
        (json!(many), "Too many queries."),
        (json!([query("npm", "x", "1"), query("Bogus", "x", "1")]), "Invalid ecosystem."),
        (json!([{"version": "1"}]), "Invalid query."),
    ] {
        let refused = batch(&world, queries).await;
        assert_eq!(refused, (400, json!({"code": 3, "message": message})));
    }
}

#[tokio::test]
async fn a_page_belongs_to_its_query() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..3 {
        let record = json!({"id": format!("T-{at}"), "modified": "2026-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1"]}]});
        std::fs::write(folder.path().join(format!("T-{at}.json")), record.to_string()).unwrap();
    }
    let path = folder.path().to_owned();
    let world = World::configured(|config| config.advisories = Some(path)).await;
    world.sandbox.osv_behaves(Some(OsvHabit::Pages(2)));
    let (_, first) = batch(&world, json!([query("npm", "a", "1")])).await;
    let mut next = query("npm", "a", "1");
    next["page_token"] = first["results"][0]["next_page_token"].clone();
    let (_, second) = batch(&world, json!([next])).await;
    assert_eq!(second["results"][0]["vulns"][0]["id"], "T-2");
    assert!(second["results"][0]["next_page_token"].is_null());
    next["version"] = "2".into();
    assert_eq!(batch(&world, json!([next])).await.1["message"], "Invalid page token.");
}

#[tokio::test]
async fn an_archive_is_sent_once_to_who_knows_its_tag() {
    let world = World::new().await;
    let url = format!("{}/npm/all.zip", world.sandbox.osv());
    let answer = world.client.get(&url).send().await.unwrap();
    let tag = answer.headers()["etag"].clone();
    let archive = answer.bytes().await.unwrap();
    assert!(
        archive.starts_with(b"PK\x03\x04")
            && archive.windows(19).any(|name| name == b"GHSA-xvch-5gv4-984h")
    );
    let again = world.client.get(&url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let absent = world.client.get(format!("{}/Hex/all.zip", world.sandbox.osv())).send().await;
    assert_eq!(absent.unwrap().status(), 404);
}
