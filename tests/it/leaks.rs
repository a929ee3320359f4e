//! Secrets in what a release publishes: where a key lies decides whether anything is tagged, and no
//! value is told in any case.

use serde_json::{Value, json};
use supply_action::sandbox::{FaultEffect, SandboxService};

use crate::bake;
use crate::secrets::token;
use crate::support::{Run, World, always};

fn planted() -> String {
    token("aZ3kQ9xB7mW2pL5vR8tY1cN6dF4gHj")
}

/// A world whose image has these layers and this environment beside the usual ones.
async fn world(planted: &Value) -> World {
    let mut world = World::new().await;
    plant(&world, planted);
    let file = world.folder.path().join("planted.json").display().to_string();
    world.set("FAKE_BUILDX_PLANTED", &file);
    world
}

fn plant(world: &World, planted: &Value) {
    std::fs::write(world.folder.path().join("planted.json"), planted.to_string()).unwrap();
}

fn line() -> String {
    format!("# for the server\nT={}\n", planted())
}

/// What a person reads of the run anywhere.
fn all(run: &Run) -> String {
    let outputs: Vec<&str> = run.outputs.values().map(String::as_str).collect();
    format!("{}{}{}", run.log, run.summary, outputs.join(""))
}

async fn refused(world: &World) -> Run {
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(world.tags().await.is_empty(), "{}", run.log);
    assert!(!all(&run).contains(&planted()[8..]), "{}", run.log);
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    run
}

async fn published(world: &World) -> Run {
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(world.tags().await.len(), 3);
    assert!(!all(&run).contains(&planted()[8..]), "{}", run.log);
    run
}

fn tell(run: &Run, told: &[&str]) {
    for told in told {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
}

/// The first layer that the log names.
fn layer(run: &Run) -> String {
    let at = run.log.find("layer sha256:").unwrap_or_else(|| panic!("{}", run.log)) + 6;
    run.log[at..at + 71].to_owned()
}

#[tokio::test]
async fn a_key_in_a_layer_of_its_own_is_no_release_until_it_may_stay() {
    let mut world = world(&json!({ "layers": [[["app/deploy.sh", line()]]] })).await;
    let run = refused(&world).await;
    tell(
        &run,
        &[
            "nothing was tagged: 1 secret in the image's own layers",
            "ghp_… (40 bytes) in app/deploy.sh:2 (github",
            "linux/amd64 and linux/arm64",
            "layer sha256:",
            "hint: revoke it first",
            "--mount=type=secret",
            "file of `ignore-file`",
            "#secrets-in-the-image",
        ],
    );
    assert!(run.summary.contains("app/deploy.sh"), "{}", run.summary);
    let at = run.log.rfind(": sha256:").unwrap() + 2;
    let fingerprint = &run.log[at..at + 71];
    let file = world.folder.path().join("risks.yaml");
    let accept = |more: &str| {
        let text = format!("accepted:\n  - id: {fingerprint}\n    reason: of the tests\n{more}");
        std::fs::write(&file, text).unwrap();
    };
    let path = file.display().to_string();
    world.set("INPUT_IGNORE-FILE", &path);
    accept("    expires: 2020-01-01\n");
    tell(&refused(&world).await, &["it has expired"]);
    accept("  - id: npm-token\n    reason: there was one\n");
    world.set("INPUT_SARIF-FILE", "found.sarif");
    let workspace = world.folder.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    world.set("GITHUB_WORKSPACE", &workspace.display().to_string());
    let run = published(&world).await;
    tell(&run, &["app/deploy.sh:2", ": accepted"]);
    // Said once, and not by the scan as well.
    assert_eq!(run.log.matches("accepts nothing").count(), 1, "{}", run.log);
    assert!(run.summary.contains("0 only listed, 1 accepted"), "{}", run.summary);
    let found: Value = serde_json::from_str(&run.outputs["secrets-found"]).unwrap();
    assert_eq!(found["secrets"], json!({ "refused": 0, "accepted": 1, "told": 0 }));
    let sarif = std::fs::read_to_string(workspace.join("found.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let runs = sarif["runs"].as_array().unwrap();
    let run = runs
        .iter()
        .find(|run| {
            let id = run["automationDetails"]["id"].as_str().unwrap();
            id.starts_with("supply-action/secrets/")
        })
        .unwrap();
    let result = &run["results"][0];
    assert_eq!(result["suppressions"][0]["justification"], "of the tests", "{result}");
}

#[tokio::test]
async fn what_a_later_layer_deletes_and_what_the_config_has_is_published_all_the_same() {
    let deleted = json!({
        "layers": [[["root/.netrc.sh", line()]], [["root/.wh..netrc.sh", ""]]],
        "compression": "zstd",
    });
    let world = world(&deleted).await;
    tell(
        &refused(&world).await,
        &["1 secret in the image's own layers", "in root/.netrc.sh:2", "removes nothing"],
    );
    plant(
        &world,
        &json!({ "env": [format!("GITHUB_TOKEN={}", planted())], "compression": "gzip" }),
    );
    tell(
        &refused(&world).await,
        &["nothing was tagged: 1 secret in the image's config", "environment GITHUB_TOKEN"],
    );
}

#[tokio::test]
async fn lists_secrets_of_the_base_image_and_of_packages() {
    let of_base = json!({
        "base": [[["opt/base/key.sh", line()]]], "layers": [[["app/run", "x"]]],
        "compression": "gzip",
    });
    let mut world = world(&of_base).await;
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite");
    // Whoever makes SBOMs of layers reads all of them.
    world.set("INPUT_SBOM", "registry");
    let run = published(&world).await;
    tell(&run, &["in opt/base/key.sh:2", ": it is in the base image", "2 layers of the base"]);
    let layer = layer(&run);
    let fetched = |world: &World| {
        let requests = world.sandbox.requests().into_iter();
        let of_app = requests.filter(|it| it.path == format!("/v2/app/blobs/{layer}"));
        of_app.filter(|it| it.method == "GET").count()
    };
    assert_eq!(fetched(&world), 1, "for SBOM and search, and for both platforms");
    // Where they come from the build, nobody reads the base image for its own sake.
    world.unset("INPUT_SBOM").set("FAKE_BUILDX_SALT", "2");
    let run = published(&world).await;
    tell(&run, &["2 layers of the base image not read"]);
    assert!(!run.log.contains("opt/base/key.sh"), "{}", run.log);
    assert_eq!(fetched(&world), 1);
    let list = "/.\n/usr\n/usr/share/tool/test.key\n";
    let status = "Package: tool\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n";
    let package = json!({ "layers": [[
        ["usr/share/tool/test.key", line()],
        ["var/lib/dpkg/status", status],
        ["var/lib/dpkg/info/tool.list", list],
    ]] });
    plant(&world, &package);
    tell(&published(&world).await, &["in usr/share/tool/test.key:2", ": package tool owns it"]);
    // What somebody puts there later is nobody's.
    let mut changed = package;
    changed["layers"].as_array_mut().unwrap().push(json!([["usr/share/tool/test.key", line()]]));
    plant(&world, &changed);
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    tell(&run, &["1 secret in the image's own layers", "usr/share/tool/test.key:2"]);
}

#[tokio::test]
async fn a_base_image_that_does_not_answer_makes_every_layer_its_own() {
    let of_base = json!({ "base": [[["opt/base/key.sh", line()]]] });
    let world = world(&of_base).await;
    let faults = world.sandbox.faults();
    faults.add(always(
        SandboxService::Registry,
        Some("GET"),
        "/v2/base/manifests/",
        FaultEffect::Status(403),
    ));
    let run = refused(&world).await;
    tell(&run, &["every layer counts as the image's own", "base:12` cannot be read"]);
}

#[tokio::test]
async fn lists_without_a_gate_and_reads_nothing_without_a_search() {
    let mut world = world(&json!({ "layers": [[["app/deploy.sh", line()]]] })).await;
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite");
    world.set("INPUT_FAIL-ON-SECRETS", "none");
    let run = published(&world).await;
    tell(&run, &["app/deploy.sh:2"]);
    world.set("INPUT_FAIL-ON-SECRETS", "skip");
    let layer = layer(&run);
    let reads = || world.sandbox.requests().into_iter().filter(|it| it.path.ends_with(&layer));
    let before = reads().filter(|it| it.method == "GET").count();
    let run = published(&world).await;
    tell(&run, &["no layer is searched for secrets", "`fail-on-secrets: skip`"]);
    assert!(!run.log.contains("app/deploy.sh"), "{}", run.log);
    assert_eq!(run.outputs["secrets-found"], "null");
    assert!(before > 0);
    assert_eq!(reads().filter(|it| it.method == "GET").count(), before);
    for (input, value) in [("INPUT_FAIL-ON-SECRETS", "often"), ("INPUT_FAIL-ON-MISCONFIG", "any")] {
        let run = world.run(&[], &[(input, value)]).await;
        assert_eq!(run.code, Some(2), "{}", run.log);
    }
}

#[tokio::test]
async fn a_layer_that_is_not_what_its_digest_says_is_no_release_and_an_encrypted_one_is_said() {
    let world = world(&json!({ "layers": [[["app/deploy.sh", line()]]] })).await;
    let layer = layer(&refused(&world).await);
    let faults = world.sandbox.faults();
    faults.add(always(SandboxService::Registry, Some("GET"), &layer, FaultEffect::Corrupt));
    let run = world.publish().await;
    assert_ne!(run.code, Some(0), "{}", run.log);
    tell(&run, &["nothing was tagged: secrets were not looked for", &layer]);
    assert!(world.tags().await.is_empty());
    plant(&world, &json!({ "layers": [[["app/x", "true"]]], "encrypted": true }));
    let run =
        world.run(&[], &[("INPUT_ON-TAG-CONFLICT", "overwrite"), ("FAKE_BUILDX_SALT", "3")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    tell(&run, &["not searched for secrets", "is encrypted"]);
}

#[tokio::test]
async fn misconfiguration_refuses_where_that_is_asked() {
    let mut world = world(&json!({})).await;
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite");
    let run = published(&world).await;
    assert!(run.summary.contains("Misconfiguration: 0 high, 1 medium, 1 low"), "{}", run.summary);
    world.set("INPUT_FAIL-ON-MISCONFIG", "high").set("FAKE_BUILDX_SALT", "2");
    published(&world).await;
    world.set("INPUT_FAIL-ON-MISCONFIG", "medium").set("FAKE_BUILDX_SALT", "3");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    tell(&run, &["nothing was tagged: 1 misconfiguration", "root-user (medium", "runs as root"]);
    let file = world.folder.path().join("risks.yaml");
    std::fs::write(&file, "accepted:\n  - id: root-user\n    reason: it drops its rights\n")
        .unwrap();
    let path = file.display().to_string();
    world.set("INPUT_IGNORE-FILE", &path);
    published(&world).await;
}

/// What BuildKit says of the Dockerfile, as the fake one has it.
fn checks(world: &mut World, said: &str) {
    let file = world.folder.path().join("checks.json");
    std::fs::write(&file, said).unwrap();
    let kept = world.folder.path().join("checked.json").display().to_string();
    world.set("FAKE_BUILDX_CHECKS", &file.display().to_string()).set("FAKE_BUILDX_CHECKED", &kept);
}

fn warned() -> String {
    json!({
        "warnings": [
            { "ruleName": "SecretsUsedInArgOrEnv", "description": "Sensitive data should not be used", "detail": "Do not use ARG (ARG \"KEY\")",
              "url": "https://docs.docker.com/go/dockerfile/rule/x/", "location": { "ranges": [{ "start": { "line": 3 } }] } },
            { "ruleName": "FromAsCasing", "description": "casing", "location": { "sourceIndex": -1 } },
        ],
        "sources": [{ "filename": "Dockerfile" }],
    })
    .to_string()
}

#[tokio::test]
async fn the_checks_of_buildkit_are_among_misconfigurations() {
    let mut world = world(&json!({})).await;
    checks(&mut world, &warned());
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite");
    let run = published(&world).await;
    assert!(run.summary.contains("Misconfiguration: 0 high, 2 medium, 2 low"), "{}", run.summary);
    assert!(run.summary.contains("buildkit/FromAsCasing"), "{}", run.summary);
    let asked = std::fs::read(world.folder.path().join("checked.json")).unwrap();
    let asked: Vec<String> = serde_json::from_slice(&asked).unwrap();
    let says = |option: &str| asked.windows(2).find(|pair| pair[0] == option).map(|pair| &*pair[1]);
    assert_eq!(says("--call"), Some("check,format=json,ignorestatus=true"));
    assert_eq!(says("--platform"), Some("linux/amd64"));
    assert!(!asked.iter().any(|it| it.contains("push") || it == "--output" || it == "--attest"));
    world.set("INPUT_FAIL-ON-MISCONFIG", "medium").set("FAKE_BUILDX_SALT", "2");
    let risks = world.folder.path().join("risks.yaml");
    std::fs::write(&risks, "accepted:\n  - id: root-user\n    reason: of the tests\n").unwrap();
    world.set("INPUT_IGNORE-FILE", &risks.display().to_string());
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let place = "buildkit/SecretsUsedInArgOrEnv (medium";
    tell(
        &run,
        &["nothing was tagged: 1 misconfiguration", place, "in Dockerfile:3: Do not use ARG"],
    );

    let mut world = bake::world().await;
    checks(&mut world, &warned());
    world.set("INPUT_FAIL-ON-MISCONFIG", "medium");
    let risks = risks.display().to_string();
    world.set("INPUT_IGNORE-FILE", &risks);
    let run = world.run(&["bake"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let [first, second] = ["api", "web"].map(|name| format!("/{name}: {place}"));
    tell(&run, &["nothing was tagged: 2 misconfigurations", &first, &second]);
}

/// Nobody takes silence for approval.
#[tokio::test]
async fn checks_that_cannot_run_are_said_and_a_run_without_a_search_asks_for_none() {
    let mut world = world(&json!({})).await;
    checks(&mut world, "unknown flag: --call");
    world.set("INPUT_ON-TAG-CONFLICT", "overwrite").set("INPUT_FAIL-ON-MISCONFIG", "high");
    let told = "not all of BuildKit's checks of the Dockerfile ran: `fake-buildx` ended";
    let run = published(&world).await;
    tell(&run, &[told, "unknown flag: --call"]);
    assert!(run.summary.contains(r"unknown flag\: --call"), "{}", run.summary);
    let broken = json!({ "buildError": { "message": "no such stage", "location": {} } });
    checks(&mut world, &broken.to_string());
    world.set("FAKE_BUILDX_SALT", "2");
    tell(&published(&world).await, &["of the Dockerfile ran: Dockerfile:1: no such stage"]);
    let asked = world.folder.path().join("checked.json");
    std::fs::remove_file(&asked).unwrap();
    world.set("INPUT_FAIL-ON-SECRETS", "skip").set("FAKE_BUILDX_SALT", "3");
    world.unset("INPUT_FAIL-ON-MISCONFIG");
    published(&world).await;
    assert!(!asked.exists());
}

/// Whoever pushes by digest has a later job judge it.
#[tokio::test]
async fn merged_and_baked_images_are_searched_before_the_first_tag() {
    let world = world(&json!({ "layers": [[["app/deploy.sh", line()]]] })).await;
    let own = [("INPUT_PLATFORMS", "linux/amd64"), ("INPUT_PUSH-BY-DIGEST", "true")];
    let pushed = world.run(&[], &own).await;
    assert_eq!(pushed.code, Some(0), "{}", pushed.log);
    let digests = [("INPUT_DIGESTS", pushed.outputs["digests"].as_str())];
    let merged = world.run(&["merge"], &digests).await;
    assert_eq!(merged.code, Some(1), "{}", merged.log);
    tell(&merged, &["nothing was tagged: 1 secret in the image's own layers"]);
    assert!(world.tags().await.is_empty());
    let told = [digests[0], ("INPUT_FAIL-ON-SECRETS", "none")];
    let merged = world.run(&["merge"], &told).await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);

    let mut world = bake::world().await;
    plant(&world, &json!({ "env": [format!("GITHUB_TOKEN={}", planted())] }));
    let file = world.folder.path().join("planted.json").display().to_string();
    world.set("FAKE_BUILDX_PLANTED", &file);
    let run = world.run(&["bake"], &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    tell(&run, &["nothing was tagged: 1 secret in the image's config"]);
    for path in ["api", "web", "mirror/web"] {
        assert!(world.tags_of(path).await.is_empty(), "{path}");
    }
}

/// An image is searched wherever it is, and nobody's layers are excused as a base image's.
#[tokio::test]
async fn an_image_of_a_registry_is_searched_by_hand() {
    let mut world = world(&json!({ "layers": [[["app/deploy.sh", line()]]] })).await;
    world.set("INPUT_FAIL-ON-SECRETS", "none");
    let image = published(&world).await.outputs["image-ref"].clone();
    let secrets = async |more: &[&str], image: &str| {
        let arguments = [&["secrets", "--platform", "linux/amd64"], more, &[image]].concat();
        let output = world.command().args(arguments).output().await.unwrap();
        let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        (output.status.code(), said.concat())
    };
    let (code, said) = secrets(&[], &image).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("app/deploy.sh:2") && said.contains("holds 1 secret"), "{said}");
    assert!(!said.contains(&planted()[8..]), "{said}");
    let (code, said) = secrets(&["--fail-on", "none", "--format", "json"], &image).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"own_layers\":3") && said.contains("root-user"), "{said}");
    let (code, said) = secrets(&["--exclude", "app/**"], &image).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) =
        secrets(&["--exclude", "app/**", "--fail-on-misconfig", "medium"], &image).await;
    assert!(code == Some(1) && said.contains("1 misconfiguration"), "{said}");
    let gone = format!("{}@sha256:{}", image.split('@').next().unwrap(), "0".repeat(64));
    let (code, said) = secrets(&[], &gone).await;
    assert_eq!(code, Some(4), "{said}");
}
