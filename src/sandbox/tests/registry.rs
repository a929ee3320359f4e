//! Makes requests that the distribution specification answers; it never relies on a client
//! library's opinion of it.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{FaultEffect, SandboxConfig, SandboxService, World, start};
use crate::sandbox::keys;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(keys::sha256(bytes)))
}

impl World {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let url = format!("http://{}{path}", self.sandbox.registry());
        let request = self.client.request(method, url).body(body.to_owned());
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .send()
            .await
            .unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn push_blob(&self, repository: &str, content: &str) -> String {
        let digest = digest(content.as_bytes());
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(self.ask(Method::POST, &path, &[], content).await.status(), 201);
        digest
    }

    async fn put_manifest(&self, repository: &str, reference: &str, manifest: &str) -> Response {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.ask(Method::PUT, &path, &[("content-type", IMAGE)], manifest).await
    }

    /// An image in `repository`, written so that no serialiser would write it again.
    async fn image(&self, repository: &str) -> String {
        let config = self.push_blob(repository, "{}").await;
        let layer = self.push_blob(repository, "helloworld").await;
        format!(
            "{:#}\n",
            json!({
                "schemaVersion": 2, "mediaType": IMAGE,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
                "layers": [{"mediaType": "text/plain", "digest": layer, "size": 10}],
            })
        )
    }
}

fn referring(image: &str, artifact_type: &str) -> String {
    let mut document: Value = serde_json::from_str(image).unwrap();
    document["subject"] =
        json!({"mediaType": IMAGE, "digest": digest(image.as_bytes()), "size": image.len()});
    document["artifactType"] = artifact_type.into();
    document["annotations"] = json!({"note": "copied"});
    document.to_string()
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn uploads_continue_where_they_are_and_end_with_their_digest() {
    let world = World::new().await;
    let begun = world.ask(Method::POST, "/v2/a/b/blobs/uploads/", &[], "").await;
    let location = header(&begun, "location");
    assert!(begun.status() == 202 && location.contains('?'), "{location}");
    let part = world.ask(Method::PATCH, &location, &[("content-range", "0-4")], "hello").await;
    assert_eq!((part.status().as_u16(), header(&part, "range")), (202, "0-4".to_owned()));
    let gap = world.ask(Method::PATCH, &location, &[("content-range", "9-13")], "world").await;
    assert_eq!(gap.status(), 416);
    let state = world.get(&location).await;
    assert_eq!((state.status().as_u16(), header(&state, "range")), (204, "0-4".to_owned()));
    let elsewhere = location.replace("/a/b/", "/a/c/");
    assert_eq!(world.get(&elsewhere).await.status(), 404);
    let path = format!("{location}&digest={}", digest(b"helloworld"));
    assert_eq!(world.ask(Method::PUT, &path, &[], "world").await.status(), 201);
    let blob = format!("/v2/a/b/blobs/{}", digest(b"helloworld"));
    let tail = world.ask(Method::GET, &blob, &[("range", "bytes=5-")], "").await;
    assert_eq!(
        (tail.status().as_u16(), header(&tail, "content-range")),
        (206, "bytes 5-9/10".to_owned())
    );
    assert_eq!(tail.text().await.unwrap(), "world");
    assert_eq!(header(&world.ask(Method::HEAD, &blob, &[], "").await, "content-length"), "10");
}

#[tokio::test]
async fn a_wrong_digest_stores_nothing() {
    let world = World::new().await;
    let path = format!("/v2/a/b/blobs/uploads/?digest={}", digest(b"right"));
    let refused = world.ask(Method::POST, &path, &[], "wrong").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("DIGEST_INVALID"));
    assert_eq!(world.get(&format!("/v2/a/b/blobs/{}", digest(b"right"))).await.status(), 404);
}

#[tokio::test]
async fn blobs_belong_to_repositories_and_can_be_mounted() {
    let world = World::new().await;
    let blob = world.push_blob("a/b", "content").await;
    assert_eq!(world.get(&format!("/v2/a/c/blobs/{blob}")).await.status(), 404);
    for (from, expected) in [("a/nowhere", 202), ("a/b", 201)] {
        let path = format!("/v2/a/c/blobs/uploads/?mount={blob}&from={from}");
        assert_eq!(world.ask(Method::POST, &path, &[], "").await.status(), expected, "{from}");
    }
    assert_eq!(world.get(&format!("/v2/a/c/blobs/{blob}")).await.text().await.unwrap(), "content");
}

#[tokio::test]
async fn manifests_keep_their_bytes_and_need_their_parts() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    let lacking = world.put_manifest("a/other", "v1", &image).await;
    assert_eq!(lacking.status(), 404);
    assert!(lacking.text().await.unwrap().contains("MANIFEST_BLOB_UNKNOWN"));
    let put = world.put_manifest("a/b", "v1", &image).await;
    assert_eq!(
        (put.status().as_u16(), header(&put, "docker-content-digest")),
        (201, digest(image.as_bytes()))
    );
    for reference in ["v1", &digest(image.as_bytes())] {
        let got = world.get(&format!("/v2/a/b/manifests/{reference}")).await;
        assert_eq!(header(&got, "content-type"), IMAGE);
        assert_eq!(got.text().await.unwrap(), image);
    }
    assert_eq!(world.put_manifest("a/b", &digest(b"other"), &image).await.status(), 400);
    assert_eq!(world.put_manifest("a/b", "v1", "[]").await.status(), 400);
    assert_eq!(world.put_manifest("a/b", "v1", &" ".repeat((4 << 20) + 1)).await.status(), 413);
}

#[tokio::test]
async fn a_stale_if_match_does_not_move_a_tag() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    world.put_manifest("a/b", "v1", &image).await;
    for (etag, expected) in
        [("\"sha256:stale\"", 412), (&*format!("\"{}\"", digest(image.as_bytes())), 201)]
    {
        let headers = [("content-type", IMAGE), ("if-match", etag)];
        let put = world.ask(Method::PUT, "/v2/a/b/manifests/v1", &headers, &image).await;
        assert_eq!(put.status(), expected, "{etag}");
    }
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_removed() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    let path = format!("/v2/a/b/referrers/{}", digest(image.as_bytes()));
    let evidence = referring(&image, "application/x");
    let reference = digest(evidence.as_bytes());
    let put = world.put_manifest("a/b", &reference, &evidence).await;
    assert_eq!(header(&put, "oci-subject"), digest(image.as_bytes()));
    for (filter, expected) in
        [("", 1), ("?artifactType=application/x", 1), ("?artifactType=other", 0)]
    {
        let listed = world.get(&format!("{path}{filter}")).await;
        assert_eq!(header(&listed, "oci-filters-applied").is_empty(), filter.is_empty());
        let listed: Value = listed.json().await.unwrap();
        assert_eq!(listed["manifests"].as_array().unwrap().len(), expected, "{filter}");
    }
    let listed: Value = world.get(&path).await.json().await.unwrap();
    let expected = json!({
        "mediaType": IMAGE, "digest": reference, "size": evidence.len(),
        "artifactType": "application/x", "annotations": {"note": "copied"},
    });
    assert_eq!(listed["manifests"][0], expected);
    let removed =
        world.ask(Method::DELETE, &format!("/v2/a/b/manifests/{reference}"), &[], "").await;
    assert_eq!(removed.status(), 202);
    let listed: Value = world.get(&path).await.json().await.unwrap();
    assert_eq!(listed["manifests"], json!([]));
}

#[tokio::test]
async fn without_the_referrers_api_there_is_no_subject_header() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    world.put_manifest("a/b", "v1", &image).await;
    let world = world.restarted(|config| config.referrers_api = false).await;
    assert_eq!(world.get("/v2/a/b/manifests/v1").await.text().await.unwrap(), image);
    let evidence = referring(&image, "application/x");
    let put = world.put_manifest("a/b", &digest(evidence.as_bytes()), &evidence).await;
    assert_eq!((put.status().as_u16(), header(&put, "oci-subject")), (201, String::new()));
    let path = format!("/v2/a/b/referrers/{}", digest(image.as_bytes()));
    assert_eq!(world.get(&path).await.status(), 404);
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    for tag in ["v2", "v0", "v1"] {
        world.put_manifest("a/b", tag, &image).await;
    }
    let page = world.get("/v2/a/b/tags/list?n=2").await;
    assert_eq!(header(&page, "link"), "</v2/a/b/tags/list?last=v1&n=2>; rel=\"next\"");
    assert_eq!(page.json::<Value>().await.unwrap()["tags"], json!(["v0", "v1"]));
    let last = world.get("/v2/a/b/tags/list?last=v1&n=2").await;
    assert!(header(&last, "link").is_empty());
    assert_eq!(last.json::<Value>().await.unwrap()["tags"], json!(["v2"]));
    assert_eq!(world.ask(Method::DELETE, "/v2/a/b/manifests/v2", &[], "").await.status(), 202);
    assert_eq!(world.get("/v2/a/b/manifests/v2").await.status(), 404);
    assert_eq!(world.get("/v2/unknown/tags/list").await.status(), 404);
}

#[tokio::test]
async fn paths_never_leave_the_registry() {
    let world = World::new().await;
    for path in [
        "/v2/a%2f..%2f..%2fb/manifests/x",
        "/v2/A/manifests/x",
        "/v2/a/manifests/.hidden",
        "/v2/a/blobs/sha256:..",
        "/v2/a/b",
    ] {
        let status = world.get(path).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn a_login_is_a_challenge_a_token_and_its_scope() {
    let world =
        World::configured(|config| config.registry_login = Some(("robot".into(), "secret".into())))
            .await;
    let host = world.sandbox.registry().to_owned();
    for method in [Method::POST, Method::HEAD] {
        let path =
            if method == Method::POST { "/v2/o/r/blobs/uploads/" } else { "/v2/o/r/manifests/x" };
        let refused = world.ask(method.clone(), path, &[], "").await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let actions = if method == Method::POST { "pull,push" } else { "pull" };
        let scope = format!("repository:o/r:{actions}");
        let expected =
            format!("Bearer realm=\"http://{host}/token\",service=\"{host}\",scope=\"{scope}\"");
        assert_eq!(header(&refused, "www-authenticate"), expected);
    }
    let path = "/token?service=x&scope=repository:o/r:pull,push";
    assert_eq!(world.get(path).await.status(), 401);
    let basic = [("authorization", "Basic cm9ib3Q6c2VjcmV0")];
    let given: Value = world.ask(Method::GET, path, &basic, "").await.json().await.unwrap();
    let form = "grant_type=password&username=robot&password=secret&scope=repository%3Ao%2Fr%3Apull";
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let exchanged: Value =
        world.ask(Method::POST, "/token", &form_type, form).await.json().await.unwrap();
    for (token, repository, expected) in [
        (&given["token"], "o/r", 202),
        (&given["token"], "o/other", 401),
        (&exchanged["access_token"], "o/r", 401),
    ] {
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        let path = format!("/v2/{repository}/blobs/uploads/");
        let status =
            world.ask(Method::POST, &path, &[("authorization", &bearer)], "").await.status();
        assert_eq!(status, expected, "{repository}");
    }
}

#[tokio::test]
async fn corruption_is_one_byte_and_a_header_can_go_missing() {
    let world = World::new().await;
    let image = world.image("a/b").await;
    world.put_manifest("a/b", "v1", &image).await;
    world.fault(SandboxService::Registry, "GET", "/manifests/v1", FaultEffect::Corrupt);
    let got = world.get("/v2/a/b/manifests/v1").await.bytes().await.unwrap();
    let differing = got.iter().zip(image.as_bytes()).filter(|(left, right)| left != right).count();
    assert_eq!((got.len(), differing), (image.len(), 1));
    world.fault(
        SandboxService::Registry,
        "PUT",
        "/manifests/",
        FaultEffect::WithoutHeader("location"),
    );
    let put = world.put_manifest("a/b", "v1", &image).await;
    assert_eq!((put.status().as_u16(), header(&put, "location")), (201, String::new()));
}

#[tokio::test]
async fn a_layout_is_preloaded_under_its_name() {
    let layout = tempfile::tempdir().unwrap();
    let blobs = layout.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let keep = |content: &str| {
        let digest = digest(content.as_bytes());
        std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), content).unwrap();
        digest
    };
    let image = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": {"digest": keep("{}")}, "layers": [{"digest": keep("layer")}]});
    let image = image.to_string();
    let named = json!({"org.opencontainers.image.ref.name": "library/busybox:latest"});
    let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": IMAGE, "digest": keep(&image), "annotations": named}]});
    std::fs::write(layout.path().join("index.json"), index.to_string()).unwrap();
    let world = World::configured(|config| config.preload.push(layout.path().to_owned())).await;
    assert_eq!(
        world.get("/v2/library/busybox/manifests/latest").await.text().await.unwrap(),
        image
    );
    let layer = format!("/v2/library/busybox/blobs/{}", digest(b"layer"));
    assert_eq!(world.get(&layer).await.text().await.unwrap(), "layer");
}

/// A layout on disk of these documents; gives the blobs' folder and the index' digest.
fn layout_of(
    folder: &std::path::Path,
    more: impl FnOnce(&dyn Fn(&[u8]) -> String) -> Vec<Value>,
) -> std::path::PathBuf {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let keep = |content: &[u8]| {
        let digest = digest(content);
        std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), content).unwrap();
        digest
    };
    let entries = more(&keep);
    std::fs::write(
        folder.join("index.json"),
        json!({ "schemaVersion": 2, "manifests": entries }).to_string(),
    )
    .unwrap();
    blobs
}

async fn refusal(folder: &std::path::Path) -> String {
    let state = tempfile::tempdir().unwrap();
    let mut config = SandboxConfig::new(state.path().to_owned());
    config.layouts.push((folder.to_owned(), "layout/image".to_owned()));
    match start(config).await {
        Ok(_) => "served".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_strangers_layout_names_no_other_file_and_costs_no_more_than_it_holds() {
    let image = |keep: &dyn Fn(&[u8]) -> String, layer: &str| {
        json!({"schemaVersion": 2, "mediaType": IMAGE, "config": {"digest": keep(b"{}")}, "layers": [{"digest": layer}]}).to_string()
    };
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("secret"), "secret").unwrap();
    let at = |blobs: &std::path::Path, content: &[u8]| {
        blobs.join(digest(content).strip_prefix("sha256:").unwrap())
    };
    // A layer that is a link to somebody else's file.
    let folder = tempfile::tempdir().unwrap();
    let layer = digest(b"secret");
    let blobs = layout_of(folder.path(), |keep| {
        vec![json!({"mediaType": IMAGE, "digest": keep(image(keep, &layer).as_bytes())})]
    });
    std::os::unix::fs::symlink(secret.path().join("secret"), at(&blobs, b"secret")).unwrap();
    let said = refusal(folder.path()).await;
    assert!(said.contains("is a symbolic link"), "{said}");
    // A pipe that nobody writes to.
    std::fs::remove_file(at(&blobs, b"secret")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at(&blobs, b"secret"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let said = refusal(folder.path()).await;
    assert!(said.contains("neither a file nor a folder"), "{said}");
    // What is not there.
    std::fs::remove_file(at(&blobs, b"secret")).unwrap();
    let said = refusal(folder.path()).await;
    assert!(said.contains("is not there"), "{said}");
    // The folder of blobs is elsewhere.
    std::fs::write(at(&blobs, b"secret"), "secret").unwrap();
    assert_eq!(refusal(folder.path()).await, "served");
    std::fs::rename(folder.path().join("blobs"), secret.path().join("blobs")).unwrap();
    std::os::unix::fs::symlink(secret.path().join("blobs"), folder.path().join("blobs")).unwrap();
    let said = refusal(folder.path()).await;
    assert!(said.contains("is a symbolic link"), "{said}");
    // An index that names itself often would be read 100^8 times.
    let folder = tempfile::tempdir().unwrap();
    layout_of(folder.path(), |keep| {
        let layer = keep(b"layer");
        let mut entry = json!({"mediaType": IMAGE, "digest": keep(image(keep, &layer).as_bytes())});
        for _ in 0..8 {
            let index = json!({"schemaVersion": 2, "manifests": vec![entry; 100]}).to_string();
            entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": keep(index.as_bytes())});
        }
        vec![entry]
    });
    assert_eq!(refusal(folder.path()).await, "served");
    // A document without an end.
    std::fs::write(folder.path().join("index.json"), vec![b' '; (8 << 20) + 1]).unwrap();
    let said = refusal(folder.path()).await;
    assert!(said.contains("is larger than 8388608 bytes"), "{said}");
}
