//! Where the SBOMs come from: this action's scanner, layers in the registry, BuildKit's generator,
//! or the user's own files. None is signed that does not hold together.

use serde_json::{Value, json};
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::support::{Run, World, always};

const SPDX: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","name":"mine","documentNamespace":"https://x.example/1",
    "creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"},
    {"SPDXID":"SPDXRef-b","name":"b","downloadLocation":"NONE"}],"documentDescribes":["SPDXRef-a"]}"#;
const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a"}]}"#;

const CYCLONEDX_BOM: &str = "https://cyclonedx.org/bom";

/// The arguments buildx was started with.
fn arguments(world: &World) -> Vec<String> {
    serde_json::from_slice(&std::fs::read(world.folder.path().join("arguments")).unwrap()).unwrap()
}

fn kinds_of_platforms(run: &Run) -> Vec<Vec<String>> {
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let platforms = evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|subject| subject["kind"] == "platform");
    let kinds = |subject: &Value| {
        let attested = subject["attestations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["format"] == "bundle");
        attested.map(|found| found["predicateType"].as_str().unwrap().to_owned()).collect()
    };
    platforms.map(kinds).collect()
}

async fn world() -> World {
    let mut world = World::new().await;
    let file = world.folder.path().join("arguments").display().to_string();
    world.set("FAKE_BUILDX_ARGUMENTS", &file);
    world
}

#[tokio::test]
async fn a_file_of_ones_own_is_attested_to_every_platform_and_buildkit_makes_none() {
    let mut world = world().await;
    let file = world.folder.path().join("own.cdx.json");
    std::fs::write(&file, CYCLONEDX).unwrap();
    world.set("INPUT_SBOM", file.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        arguments(&world).contains(&"type=sbom,disabled=true".to_owned()),
        "{:?}",
        arguments(&world)
    );
    let kinds = kinds_of_platforms(&run);
    assert_eq!(kinds.len(), 2);
    for kinds in kinds {
        assert!(
            kinds.contains(&"https://cyclonedx.org/bom".to_owned())
                && !kinds.iter().any(|kind| kind.contains("spdx")),
            "{kinds:?}"
        );
    }
}

#[tokio::test]
async fn a_file_for_each_platform_is_attested_to_its_own() {
    let mut world = world().await;
    let folder = world.folder.path().to_owned();
    for platform in ["linux-amd64", "linux-arm64"] {
        std::fs::write(folder.join(format!("{platform}.json")), SPDX.replace("mine", platform))
            .unwrap();
    }
    world.set("INPUT_SBOM", folder.join("{platform}.json").to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for (platform, documents) in documents(&world, &run).await {
        assert_eq!(
            documents.iter().map(|document| document["name"].clone()).collect::<Vec<_>>(),
            [platform.replace('/', "-")]
        );
    }
}

/// The SPDX documents of each platform, out of their bundles.
async fn documents(world: &World, run: &Run) -> Vec<(String, Vec<Value>)> {
    documents_of(world, run, "https://spdx.dev/Document").await
}

async fn documents_of(world: &World, run: &Run, kind: &str) -> Vec<(String, Vec<Value>)> {
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let mut found = Vec::new();
    for subject in evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|subject| subject["kind"] == "platform")
    {
        let mut documents = Vec::new();
        let is_sbom =
            |found: &&Value| found["format"] == "bundle" && found["predicateType"] == kind;
        for sbom in subject["attestations"].as_array().unwrap().iter().filter(is_sbom) {
            let url = format!(
                "http://{}/v2/app/blobs/{}",
                world.sandbox.registry(),
                sbom["bundle"].as_str().unwrap()
            );
            let bundle: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
            let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
            let payload =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload)
                    .unwrap();
            let statement: Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(
                statement["subject"][0]["digest"]["sha256"],
                subject["digest"].as_str().unwrap()["sha256:".len()..]
            );
            documents.push(statement["predicate"].clone());
        }
        found.push((subject["platform"].as_str().unwrap().to_owned(), documents));
    }
    found
}

#[tokio::test]
async fn a_file_that_does_not_hold_together_stops_the_run_before_it_starts() {
    let mut world = world().await;
    let file = world.folder.path().join("own.json");
    std::fs::write(&file, SPDX.replace(r#""name":"a","#, "")).unwrap();
    world.set("INPUT_SBOM", file.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(
        run.log.contains("nothing was built") && run.log.contains("its `packages.name` is missing"),
        "{}",
        run.log
    );
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
}

#[tokio::test]
async fn buildkits_generator_is_imported_and_checked_before_it_is_signed() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "buildkit");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        arguments(&world).contains(&"type=sbom,disabled=false".to_owned()),
        "{:?}",
        arguments(&world)
    );
    assert!(
        kinds_of_platforms(&run)
            .iter()
            .all(|kinds| kinds.contains(&"https://spdx.dev/Document".to_owned()))
    );
    world.set("FAKE_BUILDX", "broken-sbom").set("INPUT_TAGS", "v2.0.0");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for words in
        ["nothing was tagged", "is not signed", "names `SPDXRef-Nothing`, which is not in it"]
    {
        assert!(run.log.contains(words), "{words} is missing in:\n{}", run.log);
    }
    assert!(!world.tags().await.contains_key("v2.0.0"));
}

#[tokio::test]
async fn where_the_builder_cannot_run_our_scanner_layers_are_read_unless_it_is_insisted_on() {
    let mut world = world().await;
    world
        .unset("SUPPLY_ACTION_SCANNER")
        .set("FAKE_BUILDX", "foreign-builder")
        .set("INPUT_PLATFORMS", "linux/s390x");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        !arguments(&world).iter().any(|argument| argument.contains("type=sbom")),
        "{:?}",
        arguments(&world)
    );
    assert!(run.log.contains("so the SBOMs are made of the layers in the registry"), "{}", run.log);
    let documents = documents(&world, &run).await;
    assert_eq!(
        purls(&documents[0].1[0]),
        ["pkg:deb/debian/base@1?arch=all&distro=debian-12", "pkg:npm/app-s390x@1.0.0"]
    );
    let run = world.run(&[], &[("INPUT_PUSH-BY-DIGEST", "true")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        arguments(&world).contains(&"type=sbom".to_owned()),
        "merge wants one: {:?}",
        arguments(&world)
    );
    assert!(run.log.contains("so BuildKit's generator makes the SBOMs"), "{}", run.log);
    world.set("INPUT_SBOM", "scanner").set("INPUT_TAGS", "v2.0.0");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(
        run.log.contains("nothing was tagged")
            && run.log.contains("which this action's scanner is made for"),
        "{}",
        run.log
    );
}

fn purls(document: &Value) -> Vec<String> {
    let packages = document["packages"].as_array().unwrap().iter().skip(1);
    packages
        .map(|package| package["externalRefs"][0]["referenceLocator"].as_str().unwrap().to_owned())
        .collect()
}

/// How often each layer of the image was fetched so far; the one that all platforms share is first.
async fn fetched(world: &World, run: &Run) -> Vec<usize> {
    let manifest = async |digest: &str| -> Value {
        let image = world.repository().at(&digest.parse().unwrap());
        serde_json::from_slice(&world.registry().expect_manifest(&image).await.unwrap().bytes)
            .unwrap()
    };
    let mut layers: Vec<String> = Vec::new();
    for entry in manifest(&run.outputs["digest"]).await["manifests"].as_array().unwrap() {
        if entry["platform"]["os"] == "linux" {
            for layer in
                manifest(entry["digest"].as_str().unwrap()).await["layers"].as_array().unwrap()
            {
                let digest = layer["digest"].as_str().unwrap().to_owned();
                layers.extend((!layers.contains(&digest)).then_some(digest));
            }
        }
    }
    let requests = world.sandbox.requests();
    let of = |layer: &String| {
        requests
            .iter()
            .filter(|request| request.method == "GET" && request.path.contains(layer.as_str()))
            .count()
    };
    layers.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sboms_are_made_of_the_layers_in_the_registry_each_of_which_is_fetched_once() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "registry");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        arguments(&world).contains(&"type=sbom,disabled=true".to_owned()),
        "{:?}",
        arguments(&world)
    );
    assert_eq!(fetched(&world, &run).await, [1, 1, 1], "one layer is shared");
    assert_eq!(run.log.matches(" of 3 read: sha256:").count(), 3, "{}", run.log);
    let documents = documents(&world, &run).await;
    assert_eq!(documents.len(), 2);
    for (platform, found) in documents {
        let [document] = found.as_slice() else { panic!("{platform} has {} SBOMs", found.len()) };
        let architecture = platform.split_once('/').unwrap().1;
        let expected = [
            "pkg:deb/debian/base@1?arch=all&distro=debian-12".to_owned(),
            format!("pkg:npm/app-{architecture}@1.0.0"),
        ];
        assert_eq!(purls(document), expected);
        let about = (&document["name"], &document["creationInfo"]["created"]);
        assert_eq!(about, (&json!(world.repository().to_string()), &json!("2026-01-02T03:04:05Z")));
        assert_eq!(document["packages"][0]["supplier"], "Organization: example");
        assert!(
            document["packages"][0]["versionInfo"].as_str().unwrap().starts_with("sha256:"),
            "{document}"
        );
    }
    world.set("SOURCE_DATE_EPOCH", "86400").set("INPUT_TAGS", "v2.0.0");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let dated = self::documents(&world, &run).await;
    let dates = dated
        .iter()
        .flat_map(|(_, documents)| documents)
        .map(|document| document["creationInfo"]["created"].as_str().unwrap());
    assert!(
        dates.clone().any(|date| date == "1970-01-02T00:00:00Z"),
        "{:?}",
        dates.collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_cache_known_layers_are_not_fetched_and_the_sboms_are_the_same() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "registry").set("INPUT_TAGS", "v1\nlatest");
    // Who looks for secrets reads layers that the cache knows.
    world.set("INPUT_FAIL-ON-SECRETS", "skip");
    let plain = world.publish().await;
    assert_eq!(plain.code, Some(0), "{}", plain.log);
    let logged = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = logged(&world);
    let cache = world.folder.path().join("a/cache").display().to_string();
    world
        .set("INPUT_SBOM-CACHE", &cache)
        .set("INPUT_SBOM-CACHE-KEY", "a secret of this repository");
    for (which, expected) in [("cold", [2, 2, 2]), ("warm", [2, 2, 2])] {
        let run = world.publish().await;
        assert_eq!(run.code, Some(0), "{which}: {}", run.log);
        assert_eq!(fetched(&world, &run).await, expected, "{which}");
        // Whatever differed by a byte would have been signed anew.
        let known = run.log.matches(" of 3 known from the cache: sha256:").count();
        assert_eq!(known, if which == "warm" { 3 } else { 0 }, "{which}: {}", run.log);
        assert!(
            run.log.contains("those that were there are reused") && logged(&world) == before,
            "{which}: {}",
            run.log
        );
        assert_eq!(run.outputs["evidence"], plain.outputs["evidence"], "{which}");
    }
    // What was not written with the key does not count, and is no error.
    let change = |text: &str| text.replace("base", "best");
    for entry in std::fs::read_dir(&cache).unwrap() {
        let path = entry.unwrap().path();
        std::fs::write(&path, change(&std::fs::read_to_string(&path).unwrap())).unwrap();
    }
    let without = world.run(&[], &[("INPUT_SBOM-CACHE-KEY", "")]).await;
    let poisoned = world.publish().await;
    for (run, told) in [
        (&without, "input `sbom-cache` has no effect: other jobs may write it"),
        (
            &poisoned,
            "were not written with `sbom-cache-key`, or were changed; those layers are read again",
        ),
    ] {
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert!(
            run.log.contains(told) && run.log.matches("known from the cache").count() < 3,
            "{}",
            run.log
        );
        assert!(
            logged(&world) == before && run.outputs["evidence"] == plain.outputs["evidence"],
            "{}",
            run.log
        );
    }
    let other = world.run(&[], &[("INPUT_SBOM-CACHE-KEY", "the secret of another one")]).await;
    assert!(
        other.log.contains("read again") && !other.log.contains("known from the cache"),
        "{}",
        other.log
    );
    world.set("INPUT_SBOM", "scanner");
    let run = world.publish().await;
    assert!(run.log.contains("input `sbom-cache` is not used"), "{}", run.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_what_its_digest_says_stops_the_run_before_a_name_is_put() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "registry");
    let run = world.run(&[], &[("INPUT_PUSH-BY-DIGEST", "true")]).await;
    let image = world.repository().at(&run.outputs["digest"].parse().unwrap());
    let index: Value =
        serde_json::from_slice(&world.registry().expect_manifest(&image).await.unwrap().bytes)
            .unwrap();
    let image =
        world.repository().at(&index["manifests"][0]["digest"].as_str().unwrap().parse().unwrap());
    let manifest: Value =
        serde_json::from_slice(&world.registry().expect_manifest(&image).await.unwrap().bytes)
            .unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    for (effect, words) in [
        (FaultEffect::Corrupt, "does not hash to its digest"),
        (FaultEffect::Status(403), "use a login that has permission to read here"),
    ] {
        world.sandbox.faults().add(always(
            SandboxService::Registry,
            Some("GET"),
            &format!("blobs/{layer}"),
            effect,
        ));
        let run = world.publish().await;
        assert_eq!(run.code, Some(1), "{words}: {}", run.log);
        assert!(
            run.log.contains("nothing was tagged") && run.log.contains(words),
            "{words} is missing in:\n{}",
            run.log
        );
        world.sandbox.faults().clear();
    }
    assert_eq!(world.tags().await.len(), 0);
}

#[tokio::test]
async fn what_would_keep_a_finished_build_from_its_sboms_is_told_before_it() {
    let mut world = world().await;
    let file = world.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    world.set("INPUT_SBOM", "registry").set("INPUT_SBOM-CACHE", file.to_str().unwrap());
    world.set("INPUT_SBOM-CACHE-KEY", "a secret of this repository");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(
        run.log.contains("nothing was tagged: input `sbom-cache`: nothing can be written to"),
        "{}",
        run.log
    );
    world.unset("INPUT_SBOM-CACHE").unset("INPUT_SBOM-CACHE-KEY").set("SOURCE_DATE_EPOCH", "soon");
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(
        run.log.contains("`SOURCE_DATE_EPOCH` is `soon`, not a number of seconds"),
        "{}",
        run.log
    );
    assert!(!world.folder.path().join("arguments").exists(), "it was built");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_push_for_merge_make_none_and_merge_makes_them_of_their_layers() {
    let mut world = world().await;
    world.set("INPUT_SBOM", "registry");
    let mut digests = json!({});
    for platform in ["linux/amd64", "linux/arm64"] {
        let run = world
            .run(&[], &[("INPUT_PUSH-BY-DIGEST", "true"), ("INPUT_PLATFORMS", platform)])
            .await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert!(
            arguments(&world).contains(&"type=sbom,disabled=true".to_owned()),
            "{:?}",
            arguments(&world)
        );
        digests[platform] = run.outputs["digest"].clone().into();
    }
    let digests = digests.to_string();
    let strict =
        world.run(&["merge"], &[("INPUT_DIGESTS", &digests), ("INPUT_SBOM", "true")]).await;
    assert!(
        strict.code == Some(1)
            && strict.log.contains("was pushed without `https://spdx.dev/Document`"),
        "{}",
        strict.log
    );
    let merged = world.run(&["merge"], &[("INPUT_DIGESTS", &digests)]).await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);
    let found = documents(&world, &merged).await;
    let purls: Vec<Vec<String>> =
        found.iter().flat_map(|(_, documents)| documents).map(purls).collect();
    assert_eq!(purls.len(), 2, "one for each platform");
    assert!(
        purls[0][1] == "pkg:npm/app-amd64@1.0.0" && purls[1][1] == "pkg:npm/app-arm64@1.0.0",
        "{purls:?}"
    );
    assert_eq!(fetched(&world, &merged).await, [1, 1, 1]);
    world.verify(&merged.outputs["digest"]).await.unwrap();
    let bad = world.run(&["merge"], &[("INPUT_DIGESTS", &digests), ("INPUT_SBOM", "layers")]).await;
    assert!(
        bad.code == Some(2) && bad.log.contains("`layers` is none of `true`, `registry`, `false`"),
        "{}",
        bad.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_request_what_is_signed_is_cyclonedx_and_the_gate_wants_it_on_every_platform() {
    let mut world = world().await;
    world.set("INPUT_SBOM-FORMAT", "cyclonedx");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let found = documents_of(&world, &run, CYCLONEDX_BOM).await;
    assert_eq!(found.len(), 2);
    for (platform, documents) in &found {
        let [document] = documents.as_slice() else {
            panic!("{platform} has {} SBOMs", documents.len())
        };
        let architecture = platform.split_once('/').unwrap().1;
        let purls = |document: &Value| -> Vec<String> {
            let components = document["components"].as_array().unwrap().iter();
            components
                .filter_map(|component| Some(component["purl"].as_str()?.to_owned()))
                .collect()
        };
        assert_eq!(
            purls(document),
            [
                "pkg:deb/debian/base@1?arch=all&distro=debian-12".to_owned(),
                format!("pkg:npm/app-{architecture}@1.0.0")
            ]
        );
        assert_eq!(document["specVersion"], "1.6");
    }
    let no_spdx =
        |run: &Run| !kinds_of_platforms(run).iter().flatten().any(|kind| kind.contains("spdx"));
    assert!(
        no_spdx(&run)
            && run.log.contains("SBOM and provenance of each platform, SBOM of the index"),
        "{}",
        run.log
    );
    assert!(run.summary.contains("verify-attestation --type cyclonedx"), "{}", run.summary);
    assert_eq!(run.summary.matches("| ✅ | ✅ | ✅ |").count(), 3, "{}", run.summary);
    let logged = |world: &World| {
        world
            .sandbox
            .requests()
            .iter()
            .filter(|request| request.service == SandboxService::Rekor)
            .count()
    };
    let before = logged(&world);
    let again = world.publish().await;
    assert_eq!(
        (again.code, &again.outputs["evidence"], logged(&world)),
        (Some(0), &run.outputs["evidence"], before),
        "{}",
        again.log
    );
    // A build that made SPDX for BuildKit is merged with CycloneDX alone.
    let mut digests = json!({});
    for platform in ["linux/amd64", "linux/arm64"] {
        let change = [
            ("INPUT_PUSH-BY-DIGEST", "true"),
            ("INPUT_PLATFORMS", platform),
            ("INPUT_SBOM-FORMAT", "spdx"),
        ];
        let run = world.run(&[], &change).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        assert!(run.log.contains("`sbom-format` says what `merge` writes"), "{}", run.log);
        digests[platform] = run.outputs["digest"].clone().into();
    }
    let merged = world
        .run(&["merge"], &[("INPUT_DIGESTS", &digests.to_string()), ("INPUT_SBOM", "true")])
        .await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);
    assert!(no_spdx(&merged), "{}", merged.outputs["evidence"]);
    let found = documents_of(&world, &merged, CYCLONEDX_BOM).await;
    assert!(
        found.len() == 2 && found.iter().all(|(_, documents)| documents.len() == 1),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_format_that_nothing_writes_is_refused_before_anything_is_built() {
    let mut world = world().await;
    for (sbom, format, words) in [
        ("", "spdx-json", "`spdx-json` is neither `spdx` nor `cyclonedx`"),
        ("scanner", "cyclonedx", "generators in the build write SPDX for BuildKit"),
        ("buildkit", "cyclonedx", "generators in the build write SPDX for BuildKit"),
    ] {
        world.set("INPUT_SBOM", sbom).set("INPUT_SBOM-FORMAT", format);
        let run = world.publish().await;
        assert!(
            run.code == Some(2) && run.log.contains(&format!("input `sbom-format`: {words}")),
            "{format}: {}",
            run.log
        );
    }
    assert!(world.beyond_questions().is_empty(), "{:?}", world.beyond_questions());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_asked_of_the_scanner_and_listed_where_layers_are_read() {
    let mut world = world().await;
    world.set("INPUT_SBOM-FILES", "owned");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let arguments = arguments(&world);
    assert!(
        arguments.iter().any(|one| one.starts_with("type=sbom,generator=")
            && one.ends_with(",SUPPLIER=example,FILES=owned")),
        "{arguments:?}"
    );
    world
        .set("INPUT_SBOM", "registry")
        .set("INPUT_TAGS", "v2.0.0")
        .set("FAKE_BUILDX_SALT", "another image");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for (platform, documents) in documents(&world, &run).await {
        let [document] = documents.as_slice() else {
            panic!("{platform} has {} SBOMs", documents.len())
        };
        let files = document["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| (&file["fileName"], &file["checksums"][0]["checksumValue"]));
        let expected =
            (&json!("./etc/base.conf"), &json!("a9993e364706816aba3e25717850c26c9cd0d89d"));
        assert_eq!(files.collect::<Vec<_>>(), [expected], "{platform}");
    }
    world.set("INPUT_SBOM", "buildkit").set("INPUT_TAGS", "v3.0.0");
    let run = world.publish().await;
    assert!(run.log.contains("input `sbom-files` is not used"), "{}", run.log);
    world.set("INPUT_SBOM-FILES", "all");
    let run = world.publish().await;
    assert!(
        run.code == Some(2)
            && run.log.contains("input `sbom-files`: `all` is neither `none` nor `owned`"),
        "{}",
        run.log
    );
}
