//! The evidence stage beside the six cosign commands that do the same, on the same services, in the same run. It prints figures and fails
//! when a bar is missed; it never compares with figures of another day.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench prints, starts programs and fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use supply_action::github::facts::Facts;
use supply_action::github::{Context, Environment};
use supply_action::inputs::Inputs;
use supply_action::plan::{self, Plan};
use supply_action::publish::Published;
use supply_action::report::Report;
use supply_action::sandbox::{self, Config, Request, Sandbox, Service};
use supply_action::verbs;

/// Runs of ours at each latency; the median counts.
const RUNS: usize = 5;
/// Ours may take at most this share of cosign's time at 50 ms a request.
const BAR: f64 = 0.1;
const CHAIN_BAR: f64 = 16.0;

/// What one side needed.
struct Figures {
    wall: Duration,
    requests: usize,
    certificates: usize,
    log_entries: usize,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut walls = Vec::new();
    println!("evidence of a two-platform image: signatures, 2 SBOMs, 3 provenances; ours also reads everything back and verifies it");
    println!("{:<12} {:>9} {:>12} {:>12} {:>9} {:>13} {:>12}", "", "latency", "wall", "ratio", "requests", "certificates", "log entries");
    for latency in [Duration::ZERO, Duration::from_millis(50)] {
        let (ours, cosign) = runtime.block_on(both(latency));
        let ratio = ours.wall.as_secs_f64() / cosign.wall.as_secs_f64();
        for (name, figures, ratio) in [("ours", &ours, format!("1/{:.1}", 1.0 / ratio)), ("cosign 3", &cosign, "1".to_owned())] {
            println!(
                "{name:<12} {:>9} {:>9} ms {ratio:>12} {:>9} {:>13} {:>12}",
                format!("{latency:?}"),
                figures.wall.as_millis(),
                figures.requests,
                figures.certificates,
                figures.log_entries
            );
        }
        assert_eq!(ours.certificates, 1, "one run needs one certificate");
        if !latency.is_zero() {
            assert!(ratio <= BAR, "ours took {ratio:.3} of cosign's time, the bar is {BAR}");
        }
        walls.push(ours.wall);
    }
    let chain = (walls[1].saturating_sub(walls[0])).as_secs_f64() / 0.05;
    println!("longest chain of dependent requests, as (wall at 50 ms - wall at 0) / 50 ms: {chain:.1}");
    assert!(chain <= CHAIN_BAR, "the longest chain is {chain:.1} requests, the bar is {CHAIN_BAR}");
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_supply-action")).unwrap().len();
    println!("this program: {:.1} MB", binary as f64 / 1e6);
}

async fn both(latency: Duration) -> (Figures, Figures) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("sandbox"));
    config.latency = latency;
    let sandbox = sandbox::start(config).await.unwrap();
    let mut runs: Vec<(Figures, Published)> = Vec::new();
    for run in 0..RUNS {
        let before = sandbox.requests().len();
        let (wall, published) = ours(&sandbox, folder.path(), run).await;
        runs.push((figures(wall, &without_build(&sandbox.requests()[before..], &published)), published));
    }
    runs.sort_by_key(|(figures, _)| figures.wall);
    let (ours, published) = runs.swap_remove(RUNS / 2);
    let before = sandbox.requests().len();
    let wall = cosign(&sandbox, &published, folder.path());
    let cosign = figures(wall, &sandbox.requests()[before..]);
    sandbox.stop().await;
    (ours, cosign)
}

fn figures(wall: Duration, requests: &[Request]) -> Figures {
    let posts = |service: Service| requests.iter().filter(|request| request.service == service && request.method == "POST").count();
    Figures { wall, requests: requests.len(), certificates: posts(Service::Fulcio), log_entries: posts(Service::Rekor) }
}

/// The requests less those of the stand-in for the build (from its first monolithic upload to the index it pushes last), and less the names put at the end.
fn without_build(requests: &[Request], published: &Published) -> Vec<Request> {
    let uploads = |request: &Request| request.method == "POST" && request.query.as_deref().is_some_and(|query| query.contains("digest="));
    let first = requests.iter().position(uploads).unwrap();
    let index = format!("/manifests/{}", published.images[0].digest);
    let last = requests.iter().position(|request| request.method == "PUT" && request.path.ends_with(&index)).unwrap();
    let named = |request: &Request| request.path.ends_with("/manifests/v1.2.3");
    requests[..first].iter().chain(&requests[last + 1..]).filter(|request| !named(request)).cloned().collect()
}

/// The whole pipeline with a stand-in for the build; the evidence stage is what `prove` and `verify` took, and `preflight`, which gets the token.
async fn ours(sandbox: &Sandbox, folder: &Path, run: usize) -> (Duration, Published) {
    let mut env: Environment = sandbox.environment().into_iter().collect();
    let context = folder.join("context");
    std::fs::create_dir_all(&context).unwrap();
    for (name, value) in [
        ("BUILDX", fake_buildx().display().to_string()),
        ("FAKE_BUILDX_SALT", format!("run {run}")),
        ("FAKE_BUILDX_PACKAGES", "400".to_owned()),
        ("SUPPLY_ACTION_SCANNER", format!("{}/scanner@sha256:{}", sandbox.registry(), "0".repeat(64))),
        ("INPUT_IMAGES", format!("{}/app{run}", sandbox.registry())),
        ("INPUT_TAGS", "v1.2.3".to_owned()),
        ("INPUT_CONTEXT", context.display().to_string()),
        ("INPUT_BUILDER-ENDPOINT", "unix:///nowhere".to_owned()),
    ] {
        env.insert(name.to_owned(), value);
    }
    let context = Context::new(&env);
    let inputs = Inputs::read(&env, &context).unwrap();
    let Plan::Publish(plan) = plan::plan(&inputs, &context, &Facts::default()).unwrap() else { panic!("a bench publishes") };
    let report = Report::silent();
    let published = verbs::publish::publish(&env, &context, &inputs, &plan, &report).await.unwrap();
    let evidence = report.stages().into_iter().filter(|stage| ["preflight", "prove", "verify"].contains(&stage.name));
    (evidence.map(|stage| stage.took).sum(), published)
}

/// Cargo puts examples beside the folder of benches.
fn fake_buildx() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/fake-buildx")
}

/// `sign -r` on the index, `attest` SPDX on both platforms and SLSA on all three, one after another as a workflow's steps.
fn cosign(sandbox: &Sandbox, published: &Published, folder: &Path) -> Duration {
    let program = std::env::var_os("SUPPLY_ACTION_TOOLS_COSIGN3")
        .unwrap_or_else(|| panic!("SUPPLY_ACTION_TOOLS_COSIGN3 is not set: run `make bench`"));
    let image = &published.images[0];
    let digests: Vec<(bool, String)> =
        published.evidence.subjects.iter().map(|subject| (subject.platform.is_some(), subject.digest.to_string())).collect();
    let predicate = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let packages: Vec<serde_json::Value> = (0..400).map(package).collect();
    let spdx = predicate("spdx.json", serde_json::json!({ "spdxVersion": "SPDX-2.3", "name": "sbom", "packages": packages }).to_string());
    let slsa = predicate(
        "slsa.json",
        serde_json::json!({ "buildDefinition": { "buildType": "https://example.com/b" }, "runDetails": { "builder": { "id": "x" } } })
            .to_string(),
    );
    let mut commands: Vec<Vec<String>> = vec![["sign", "-r"].map(str::to_owned).to_vec()];
    let mut targets = vec![image.digest.to_string()];
    for (platform, digest) in &digests {
        if *platform {
            commands.push(["attest", "--type", "spdxjson", "--predicate", &spdx].map(str::to_owned).to_vec());
            targets.push(digest.clone());
        }
        commands.push(["attest", "--type", "slsaprovenance1", "--predicate", &slsa].map(str::to_owned).to_vec());
        targets.push(digest.clone());
    }
    assert_eq!(commands.len(), 6);
    let env: BTreeMap<String, String> = sandbox.environment().into_iter().collect();
    let began = Instant::now();
    for (mut arguments, digest) in commands.into_iter().zip(targets) {
        arguments.extend(["-y", "--allow-http-registry", "--signing-config"].map(str::to_owned));
        arguments.extend([
            sandbox.signing_config().display().to_string(),
            "--trusted-root".to_owned(),
            sandbox.trusted_root().display().to_string(),
        ]);
        arguments.push(format!("{}@{digest}", image.repository));
        let output = Command::new(&program).args(&arguments).envs(&env).env("HOME", folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    began.elapsed()
}

fn package(number: usize) -> serde_json::Value {
    serde_json::json!({ "SPDXID": format!("SPDXRef-Package-{number}"), "name": format!("package-{number}"), "versionInfo": "1.2.3-4", "downloadLocation": "NOASSERTION",
        "externalRefs": [{ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": format!("pkg:deb/debian/package-{number}@1.2.3-4?arch=amd64&distro=debian-12") }] })
}
