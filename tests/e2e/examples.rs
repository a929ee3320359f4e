//! Every example, run as its event runs it: cosign verifies, exactly the expected names exist, and
//! what the workflow was told reached later jobs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use supply_action::image::Digest;
use supply_action::sandbox::{Sandbox, SandboxService};

use crate::workflow::{Ended, Workflow};
use crate::world::{copy, git, planned, root, world};

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A run that published `tags`, all naming one index that cosign believes, and wrote its summary.
pub(crate) fn published(ended: &Ended, below: &str, tags: &[&str]) -> String {
    assert!(ended.success, "{}", ended.log);
    assert_eq!(ended.tags(below), tags, "{}", ended.log);
    let image = ended.image(below);
    let digests: BTreeSet<String> = tags
        .iter()
        .map(|tag| ended.digest(&format!("{image}:{}", tag.replace("COMMIT", &ended.sha()))))
        .collect();
    assert_eq!(digests.len(), 1);
    let digest = digests.into_iter().next().unwrap();
    ended.verified_by_cosign(&image, &digest, &BOTH);
    for part in [
        format!("## 📦 `{image}`"),
        format!("| digest | `{digest}` |"),
        "cosign verify ".to_owned(),
    ] {
        assert!(ended.summary.contains(&part), "{part} is not in the summary: {}", ended.summary);
    }
    digest
}

#[test]
fn the_first_workflow_publishes_a_push_and_a_version_and_builds_a_pull_request() {
    let ended = Workflow::example("start", "push", "refs/heads/main").run();
    published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    let ended = Workflow::example("start", "push", "refs/tags/v1.2.3").run();
    published(&ended, "", &["latest", "sha-COMMIT", "v1", "v1.2", "v1.2.3"]);
    let ended = Workflow::example("start", "pull_request", "refs/pull/7/merge")
        .payload("number", json!(7))
        .run();
    assert!(ended.success && ended.tags("").is_empty(), "{}", ended.log);
    assert!(ended.log.contains("2 platforms built, nothing pushed"), "{}", ended.log);
}

#[test]
fn a_push_to_main_is_published_and_deployed_by_digest() {
    let ended = Workflow::example("push", "push", "refs/heads/main").run();
    let digest = published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(
        ended.log.contains(&format!("deploying {}@{digest}", ended.image(""))),
        "{}",
        ended.log
    );
}

#[test]
fn a_version_tag_is_published_with_its_ranges() {
    let ended = Workflow::example("tag", "push", "refs/tags/v1.2.3").run();
    let digest = published(&ended, "", &["latest", "sha-COMMIT", "v1", "v1.2", "v1.2.3"]);
    assert!(ended.log.contains(&format!("released v1.2.3 as {digest}")), "{}", ended.log);
}

#[test]
fn a_prerelease_gets_no_floating_name() {
    let ended = Workflow::example("tag", "push", "refs/tags/v1.3.0-rc.1").run();
    let digest = published(&ended, "", &["sha-COMMIT", "v1.3.0-rc.1"]);
    assert!(ended.log.contains(&format!("released v1.3.0-rc.1 as {digest}")), "{}", ended.log);
}

#[test]
fn a_pull_request_from_a_fork_is_built_and_publishes_nothing() {
    let fork = json!({ "number": 7, "head": { "ref": "feature", "repo": { "full_name": "somebody/hello", "fork": true } }, "base": { "ref": "main" } });
    let run = Workflow::example("pull-request", "pull_request", "refs/pull/7/merge")
        .payload("pull_request", fork)
        .payload("number", json!(7));
    let ended = run.run();
    assert!(ended.success, "{}", ended.log);
    assert!(ended.log.contains("2 platforms built, nothing pushed"), "{}", ended.log);
    let asked: Vec<_> =
        ended.sandbox.requests().into_iter().filter(|request| request.method != "GET").collect();
    assert!(asked.is_empty(), "{asked:?}");
    assert!(ended.tags("").is_empty());
}

#[test]
fn a_dispatch_without_cache_builds_everything_again() {
    let dispatched = |no_cache: &str| {
        let ended = Workflow::example("dispatch", "workflow_dispatch", "refs/heads/main")
            .payload("inputs", json!({ "no-cache": no_cache }))
            .run();
        published(&ended, "", &["latest", "main", "sha-COMMIT"]);
        ran_cached(&ended.log)
    };
    assert_eq!((dispatched("true"), dispatched("false")), (vec![false, false], vec![true, true]));
}

/// For each platform whether its `RUN` came from the cache, as BuildKit's log says; steps are
/// counted in each job.
fn ran_cached(log: &str) -> Vec<bool> {
    let step = |line: &str| {
        let (job, said) = line.split_once('#')?;
        Some(format!("{job}#{}", said.split(' ').next()?))
    };
    let steps: BTreeSet<String> =
        log.lines().filter(|line| line.contains("] RUN ")).filter_map(step).collect();
    steps.iter().map(|step| log.lines().any(|line| line == format!("{step} CACHED"))).collect()
}

#[test]
fn a_monorepo_publishes_each_service_under_its_own_name() {
    let ended = Workflow::example("monorepo", "push", "refs/heads/main").run();
    for service in ["/api", "/web"] {
        published(&ended, service, &["latest", "main", "sha-COMMIT"]);
    }
    assert!(ended.tags("").is_empty());
}

/// The example for bake files, in a repository with one at its root.
pub(crate) fn monorepo(event: &'static str, git_ref: &'static str) -> Workflow {
    Workflow::example("bake", event, git_ref).with(bake_files)
}

fn bake_files(checkout: &Path) {
    copy(&root().join("examples/monorepo/."), checkout);
}

/// Checked out this time, so that nothing is fetched.
#[test]
fn a_pull_request_bakes_every_target_and_publishes_none() {
    let file = root().join("tests/e2e/workflows/bake-request.yml");
    let ended = Workflow::of_file(file, "pull_request", "refs/pull/7/merge")
        .payload("number", json!(7))
        .with(bake_files)
        .run();
    assert!(ended.success, "{}", ended.log);
    for part in [
        "2 targets built, nothing pushed",
        r#"has the names [] and the digest [], of {"greeter-de":{},"greeter-en":{}}"#,
    ] {
        assert!(ended.log.contains(part), "{part} is missing in {}", ended.log);
    }
    assert!(!ended.log.contains("Source: "), "{}", ended.log);
    let asked: Vec<_> =
        ended.sandbox.requests().into_iter().filter(|request| request.method != "GET").collect();
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn the_targets_of_a_bake_file_are_published_together() {
    let ended = monorepo("push", "refs/heads/main").run();
    assert!(ended.success, "{}", ended.log);
    let targets: [(&str, &[&str], &[&str]); 3] = [
        ("/greeter-en", &["latest", "sha-COMMIT"], &BOTH),
        ("/greeter-de", &["latest", "sha-COMMIT"], &BOTH),
        ("/clock", &["sha-COMMIT"], &BOTH[..1]),
    ];
    // Nothing was checked out.
    assert!(
        ended
            .log
            .contains(&format!("Source:     https://github.com/example/hello.git#{}", ended.sha())),
        "{}",
        ended.log
    );
    let deployed = ended
        .log
        .lines()
        .find(|line| line.contains("deploying {"))
        .unwrap_or_else(|| panic!("{}", ended.log));
    for (below, tags, platforms) in targets {
        assert_eq!(ended.tags(below), tags, "{}", ended.log);
        let image = ended.image(below);
        let digest = ended.digest(&format!("{image}:sha-{}", ended.sha()));
        ended.verified_by_cosign(&image, &digest, platforms);
        assert!(deployed.contains(&format!("{image}@{digest}")), "{deployed}");
        assert!(
            ended.summary.contains(&image) && ended.summary.contains(&digest),
            "{}",
            ended.summary
        );
    }
    assert!(ended.tags("").is_empty());
}

#[test]
fn jobs_on_native_runners_push_by_digest_and_one_more_publishes() {
    let ended = Workflow::example("matrix-merge", "push", "refs/heads/main").run();
    let digest = published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(
        ended.log.contains(&format!("deploying {}@{digest}", ended.image(""))),
        "{}",
        ended.log
    );
}

#[test]
fn the_reusable_workflow_publishes_in_its_own_name() {
    let ended =
        Workflow::example("reusable", "push", "refs/heads/main").called("publish.yml").run();
    let digest = published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(
        ended.log.contains(&format!("deploying {}@{digest}", ended.image(""))),
        "{}",
        ended.log
    );
    assert!(ended.log.contains(&format!("legs={}", planned())), "{}", ended.log);
    // The sandbox's API tells nothing of runners.
    assert!(
        ended.summary.contains("No build level is claimed: ")
            && !ended.summary.contains("SLSA Build L3"),
        "{}",
        ended.summary
    );
    // Who called it is in the certificate as well, and cosign can ask for both.
    let caller = format!("refs/heads/main {} example/hello", ended.sha());
    let fields: Vec<&str> = caller.split(' ').collect();
    ended.verified_by_cosign_for_caller(&format!("{}@{digest}", ended.image("")), &fields);
}

/// By hand, where it lies: then it is nobody's but its repository's own, and so is the identity.
#[test]
fn the_reusable_workflow_started_by_hand_builds_without_the_cache_if_asked() {
    // As the release has it, with the steps' actions named in full.
    let file = world().folder.join("by-hand/publish.yml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, git(&world().release, &["show", "HEAD:.github/workflows/publish.yml"]))
        .unwrap();
    let dispatched = |no_cache: &str| {
        let inputs = json!({ "no-cache": no_cache, "images": "ghcr.io/example/hello", "tags": "type=ref,event=branch\nby-hand" });
        let ended = Workflow::of_file(file.clone(), "workflow_dispatch", "refs/heads/main")
            .payload("inputs", inputs)
            .run();
        published(&ended, "", &["by-hand", "main"]);
        assert!(ended.log.contains(&format!("legs={}", planned())), "{}", ended.log);
        ran_cached(&ended.log)
    };
    assert_eq!((dispatched("true"), dispatched("false")), (vec![false, false], vec![true, true]));
}

/// What the jobs that build are told of evidence, the one that merges is told as it needs it.
#[test]
fn the_reusable_workflow_makes_sboms_of_layers_if_asked() {
    let file = root().join("tests/e2e/workflows/reusable-registry.yml");
    let ended = Workflow::of_file(file, "push", "refs/heads/main").called("publish.yml").run();
    let digest = published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(ended.log.contains("type=provenance,mode=min"), "{}", ended.log);
    let stated = ended.stated_by_buildkit(&ended.image(""), &digest);
    assert_eq!(stated.into_iter().collect::<Vec<_>>(), ["https://slsa.dev/provenance/v1"]);
}

#[test]
fn the_workflow_that_lets_its_caller_choose_publishes_and_claims_nothing() {
    let file = root().join("tests/e2e/workflows/reusable-custom.yml");
    let ended =
        Workflow::of_file(file, "push", "refs/heads/main").called("publish-custom.yml").run();
    published(&ended, "", &["latest", "main", "sha-COMMIT"]);
    assert!(ended.log.contains("mirror.example:127.0.0.1"), "{}", ended.log);
    // Both jobs that build and the one that publishes.
    let told = ended.log.matches("`registry.example:5000` is reached over plain HTTP").count();
    assert!(told >= 3, "{told}: {}", ended.log);
    assert!(
        !ended.summary.contains("build level") && !ended.summary.contains("SLSA"),
        "{}",
        ended.summary
    );
}

/// Where the sandbox keeps the manifests of the example's repository.
fn manifests(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.trusted_root().parent().unwrap();
    folder.join("registry/repositories/example/hello/_manifests")
}

/// 25 images of more than a day, an hour apart; a name stands on the oldest alone.
fn old_images(sandbox: &Sandbox) {
    let folder = manifests(sandbox);
    let tags = folder.parent().unwrap().join("_tags");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(&tags).unwrap();
    let kind = "application/vnd.oci.image.index.v1+json";
    for number in 0..25 {
        let text = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [], "annotations": { "number": number.to_string() } });
        let text = text.to_string();
        let digest = Digest::of(text.as_bytes());
        let file = folder.join(digest.hex());
        std::fs::write(file.with_extension("type"), kind).unwrap();
        std::fs::write(&file, text).unwrap();
        let age = Duration::from_secs((30 + number) * 3600);
        let file = std::fs::File::options().write(true).open(&file).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        std::fs::write(tags.join("latest"), digest.as_str()).unwrap();
    }
}

#[test]
fn what_no_name_leads_to_is_pruned_on_schedule_and_only_told_by_hand() {
    for (event, inputs, left, said) in [
        ("workflow_dispatch", json!({ "delete": "false" }), 25, "4 manifests would be deleted"),
        ("workflow_dispatch", json!({ "delete": "true" }), 21, "4 manifests deleted"),
        ("schedule", json!(null), 21, "4 manifests deleted"),
    ] {
        let ended = Workflow::example("prune", event, "refs/heads/main")
            .payload("inputs", inputs)
            .after(old_images)
            // The name of GitHub's registry says where its packages are listed and deleted.
            .replacing("args: prune", "args: prune --github-packages")
            .run();
        assert!(ended.success && ended.log.contains(said), "{event}: {}", ended.log);
        let files = std::fs::read_dir(manifests(&ended.sandbox)).unwrap();
        let held = files.filter(|file| file.as_ref().unwrap().path().extension().is_none()).count();
        assert_eq!((held, ended.tags("")), (left, vec!["latest".to_owned()]), "{}", ended.log);
        let requests = ended.sandbox.requests();
        let deleted = requests.iter().filter(|request| request.method == "DELETE");
        assert!(deleted.clone().all(|request| request.service == SandboxService::GitHub));
        assert_eq!(deleted.count(), 25 - left, "{event}");
    }
}

/// The environment's reviewers are GitHub's; what comes after them is ours.
#[test]
fn a_version_is_staged_and_that_very_image_promoted() {
    let ended = Workflow::example("promote", "push", "refs/tags/v1.2.3")
        .replacing("quay.io/${{ github.repository }}", "ghcr.io/example/hello/production")
        .replacing("registry: quay.io", "certificate-oidc-issuer: https://issuer.example")
        .run();
    let digest = published(&ended, "/stage", &["latest", "sha-COMMIT", "v1", "v1.2", "v1.2.3"]);
    assert_eq!(ended.tags("/production"), ["latest", "v1", "v1.2", "v1.2.3"], "{}", ended.log);
    let image = ended.image("/production");
    assert_eq!(ended.digest(&format!("{image}:v1.2.3")), digest);
    ended.verified_by_cosign(&image, &digest, &BOTH);
    assert!(ended.summary.contains("## 🚚 "), "{}", ended.summary);
}

/// None is only for show.
#[test]
fn every_example_is_run_here() {
    let source = include_str!("examples.rs");
    for entry in std::fs::read_dir(root().join("examples/workflows")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().replace(".yml", "");
        assert!(
            source.contains(&format!("Workflow::example(\"{name}\"")),
            "nothing runs example {name}"
        );
    }
}

#[test]
fn what_is_published_is_scanned_again_where_it_is() {
    let file = root().join("tests/e2e/workflows/published-and-scanned.yml");
    let ended = Workflow::of_file(file, "push", "refs/heads/main").run();
    assert!(ended.success, "{}", ended.log);
    assert_eq!(ended.tags("").len(), 3, "{}", ended.log);
    for part in [
        "passed true, attached false, in scan.sarif",
        "1 file in code scanning",
        "its layers are read",
    ] {
        assert!(ended.log.contains(part), "{part} is missing in {}", ended.log);
    }
    assert!(ended.log.contains("Not verified, as"), "{}", ended.log);
}

/// The example as it stands: what it scans must be published, and nothing else is said of it.
#[test]
fn the_nightly_scan_says_that_nothing_is_published_yet() {
    let ended = Workflow::example("scan", "schedule", "refs/heads/main").run();
    assert!(!ended.success, "{}", ended.log);
    for part in ["Plan:       scan published images", "nothing was scanned: there is no `"] {
        assert!(ended.log.contains(part), "{part} is missing in {}", ended.log);
    }
    assert!(ended.tags("").is_empty(), "{}", ended.log);
}
