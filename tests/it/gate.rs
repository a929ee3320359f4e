//! The scan of a release: what is known about the packages decides before a tag is set, for every
//! platform, and the result is signed whether the image is named or not.

use serde_json::{Value, json};
use supply_action::evidence::{COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES, OPENVEX};
use supply_action::sandbox::{FaultEffect, OsvHabit, SandboxService};

use crate::bake;
use crate::support::{Run, World, always, cyclonedx};

pub(crate) const LOG4J: &str = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1";
const REQUESTS: &str = "pkg:pypi/requests@2.31.0";
pub(crate) const REPAIRED: &str = "pkg:maven/org.apache.logging.log4j/log4j-core@2.25.0";

/// A world whose image has these packages on each platform, by SBOMs of its own.
async fn world(packages: &[(&str, &[&str])]) -> World {
    let mut world = World::new().await;
    for (architecture, purls) in packages {
        let file = world.folder.path().join(format!("sbom.{architecture}.json"));
        std::fs::write(file, cyclonedx(purls).to_string()).unwrap();
    }
    let sboms = world.folder.path().join("sbom.{arch}.json").display().to_string();
    world.set("INPUT_SBOM", &sboms).set("INPUT_SCAN", "true");
    world
}

pub(crate) async fn alike(purls: &[&str]) -> World {
    world(&[("amd64", purls), ("arm64", purls)]).await
}

/// The predicate types of what is attached to the image that was built, by its parts' names.
fn attested(run: &Run) -> Vec<(String, Vec<String>)> {
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let kinds = |subject: &Value| {
        let attested = subject["attestations"].as_array().unwrap().iter();
        let bundles = attested.filter(|found| found["format"] == "bundle");
        let mut kinds: Vec<String> =
            bundles.map(|found| found["predicateType"].as_str().unwrap().to_owned()).collect();
        kinds.sort_unstable();
        kinds
    };
    let subjects = evidence["subjects"].as_array().unwrap().iter();
    subjects.map(|it| (it["kind"].as_str().unwrap().to_owned(), kinds(it))).collect()
}

/// Of the image that lies in the registry under its digest alone.
fn digest(run: &Run) -> String {
    let at = run.log.find("sha256:").unwrap_or_else(|| panic!("{}", run.log));
    run.log[at..at + 71].to_owned()
}

#[tokio::test]
async fn a_critical_flaw_with_a_fix_is_no_release_and_its_result_is_signed() {
    let world = world(&[("amd64", &[LOG4J, REQUESTS]), ("arm64", &[REPAIRED])]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in [
        "nothing was tagged: 1 critical vulnerability that has a fix",
        "CVE-2021-44228 (critical) in org.apache.logging.log4j:log4j-core 2.14.1, fixed in 2.15.0 (linux/amd64)",
        "hint: update what has a fix, or accept a risk with a reason in a file of `ignore-file`",
        "hint: the result is signed and attached to `",
        "#known-vulnerabilities",
    ] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
    assert!(run.summary.contains("CVE-2021-44228"), "{}", run.summary);
    assert!(world.tags().await.is_empty());
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    // A stranger finds the result by the digest, and it speaks against the image.
    let image = format!("{}/app@{}", world.sandbox.registry(), digest(&run));
    let (identity, issuer) = world.identity();
    let root = world.sandbox.trusted_root().display().to_string();
    let verify = async |more: &[&str]| {
        let mut all = vec![
            "verify",
            "--certificate-identity",
            &identity,
            "--certificate-oidc-issuer",
            &issuer,
            "--trusted-root",
            &root,
        ];
        all.extend(more);
        all.push(&image);
        world.run(&all, &[]).await
    };
    let plain = verify(&["--require", "index=signature,vuln", "--require", "platforms=vuln"]).await;
    assert_eq!(plain.code, Some(0), "{}", plain.log);
    let refused = verify(&["--fail-on", "critical"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(refused.log.contains("found 1 vulnerability of severity critical"), "{}", refused.log);
    // The other platform has none, and the index speaks for both.
    assert!(refused.log.contains("the index (") && refused.log.contains("`linux/amd64` ("));
    assert!(!refused.log.contains("`linux/arm64` ("), "{}", refused.log);
    let fresh = verify(&["--max-scan-age", "1h"]).await;
    assert_eq!(fresh.code, Some(0), "{}", fresh.log);
}

#[tokio::test]
async fn what_is_accepted_with_a_reason_is_published_and_said() {
    let mut world = alike(&[LOG4J, REQUESTS]).await;
    let file = world.folder.path().join("risks.yaml");
    let risks = |expires: &str| {
        std::fs::write(
            &file,
            format!("accepted:\n  - id: CVE-2021-44228\n    reason: the lookup is off\n    expires: {expires}\n  - id: CVE-1999-0001\n    reason: nothing has it\n"),
        )
        .unwrap();
    };
    let path = file.display().to_string();
    world.set("INPUT_IGNORE-FILE", &path);
    risks("2020-01-01");
    let expired = world.publish().await;
    assert_eq!(expired.code, Some(1), "{}", expired.log);
    assert!(expired.log.contains("has expired: the lookup is off"), "{}", expired.log);
    assert!(world.tags().await.is_empty());

    risks("2999-01-01");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(run.log.matches("accepts nothing that was found").count(), 1, "{}", run.log);
    assert_eq!(world.tags().await.len(), 3);
    let attested = attested(&run);
    assert_eq!(attested.len(), 5, "index, two platforms, their attestations: {attested:?}");
    for (kind, types) in attested.iter().filter(|(kind, _)| kind != "attestations") {
        for wanted in [COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES] {
            assert!(types.iter().any(|it| it == wanted), "{kind}: {types:?}");
        }
        assert!(types.iter().any(|it| it.starts_with(OPENVEX)), "{kind}: {types:?}");
    }
    let counts: Value = serde_json::from_str(&run.outputs["vulnerabilities"]).unwrap();
    assert_eq!(counts["vulnerabilities"]["counts"]["medium"], 1, "{counts}");
    assert_eq!(counts["vulnerabilities"]["accepted"], 1, "{counts}");
    for told in ["Known vulnerabilities", "CVE-2024-35195", "the lookup is off"] {
        assert!(run.summary.contains(told), "{told}: {}", run.summary);
    }
}

#[tokio::test]
async fn an_unanswered_question_is_never_clean() {
    let mut world = alike(&[LOG4J, REQUESTS]).await;
    world.set("INPUT_FAIL-ON", "none");
    for habit in [OsvHabit::HalfAnswered, OsvHabit::OutOfOrder, OsvHabit::OtherRecord] {
        world.sandbox.osv_behaves(Some(habit));
        let run = world.publish().await;
        assert_ne!(run.code, Some(0), "{habit:?}: {}", run.log);
        assert!(run.log.contains("nothing was tagged: nothing is known about"), "{}", run.log);
        assert!(run.log.contains("`on-scan-failure: warn`"), "{}", run.log);
        assert!(world.tags().await.is_empty(), "{habit:?}");
    }
    world.sandbox.osv_behaves(None);
    world.sandbox.faults().add(always(SandboxService::Osv, None, "", FaultEffect::Status(403)));
    let run = world.publish().await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert!(world.tags().await.is_empty());

    world.set("INPUT_ON-SCAN-FAILURE", "warn");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(
        run.log.contains("was not scanned, and is published without the result"),
        "{}",
        run.log
    );
    assert!(run.summary.contains("not scanned"), "{}", run.summary);
    let vulnerabilities = |types: &Vec<String>| types.iter().any(|it| it == COSIGN_VULNERABILITIES);
    assert!(!attested(&run).iter().any(|(_, types)| vulnerabilities(types)));
    assert_eq!(run.outputs["vulnerabilities"], "null");
}

#[tokio::test]
async fn what_is_wrong_with_the_terms_is_told_before_anything_is_built() {
    let mut world = alike(&[REPAIRED]).await;
    let write = |name: &str, text: &str| {
        let path = world.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let no_reason = write("no-reason.yaml", "accepted:\n  - id: CVE-2021-44228\n");
    let record = json!({ "id": "GHSA-1", "modified": "2020-01-01T00:00:00Z", "affected": [
        { "package": { "ecosystem": "Maven", "name": "a:b" }, "versions": ["1"] }] });
    write("advisories/Maven/GHSA-1.json", &record.to_string());
    let old = world.folder.path().join("advisories").display().to_string();
    for (input, value, why) in [
        ("INPUT_IGNORE-FILE", no_reason.as_str(), "accepts nothing"),
        ("INPUT_IGNORE-FILE", "/nowhere/risks.yaml", "`/nowhere/risks.yaml` cannot be read"),
        ("INPUT_VEX", "/nowhere/app.json", "input `vex`: `/nowhere/app.json`"),
        ("INPUT_KEV", "/nowhere/kev.json", "input `kev`: `/nowhere/kev.json`"),
        ("INPUT_EPSS", "/nowhere/epss.csv", "input `epss`: `/nowhere/epss.csv`"),
        ("INPUT_ADVISORIES", old.as_str(), "more than 7d ago"),
        ("INPUT_ADVISORIES", "/nowhere", "/nowhere"),
        ("INPUT_OSV-URL", "http://osv.example", "the service for advisories cannot be used"),
        ("INPUT_FAIL-ON", "severe", "input `fail-on`: `severe` is none of"),
        ("INPUT_FAIL-ON-KEV", "true", "name that with `kev`"),
    ] {
        // What stands in for an input would name a service beside the folder.
        let run = world.run(&[], &[("SUPPLY_ACTION_OSV_URL", ""), (input, value)]).await;
        assert_ne!(run.code, Some(0), "{input}: {}", run.log);
        assert!(run.log.contains(why), "{input}: {}", run.log);
        // A step without a checkout has no file of the repository.
        let is_hinted = run.log.contains("run `actions/checkout` before this step");
        assert_eq!(is_hinted, value.starts_with("/nowhere"), "{input}: {}", run.log);
        let built = world.sandbox.requests().into_iter().any(|request| {
            request.service == SandboxService::Registry
                && request.path.contains("/manifests/sha256")
                && request.method == "PUT"
        });
        assert!(!built, "{input}: something was pushed");
    }
    world.set("INPUT_ADVISORIES", &old).set("INPUT_MAX-ADVISORY-AGE", "9999d");
    let run = world.run(&[], &[("SUPPLY_ACTION_OSV_URL", "")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(!world.sandbox.requests().iter().any(|request| request.service == SandboxService::Osv));
}

#[tokio::test]
async fn without_a_scan_that_is_said_and_nobody_is_asked() {
    let mut world = alike(&[LOG4J]).await;
    world.set("INPUT_SCAN", "false").set("INPUT_FAIL-ON", "high");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    for told in [
        "no known vulnerability is looked up, so none can refuse the image: `scan: false`",
        "input `fail-on` has no effect",
    ] {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
    assert!(
        run.summary.contains("not scanned: `scan: false`") || run.summary.contains("not scanned"),
        "{}",
        run.summary
    );
    assert!(!world.sandbox.requests().iter().any(|request| request.service == SandboxService::Osv));
    // There is nothing to scan without an SBOM.
    world.set("INPUT_SBOM", "false").set("INPUT_SCAN", "true");
    let run = world.publish().await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(
        run.log.contains("input `scan`: `true` scans SBOMs, and the image has none"),
        "{}",
        run.log
    );
    let run =
        world.run(&[], &[("INPUT_SCAN", "auto"), ("INPUT_ON-TAG-CONFLICT", "overwrite")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("none can refuse the image: there is no SBOM"), "{}", run.log);
}

#[tokio::test]
async fn packages_that_nobody_covers_are_said_and_refuse_where_that_is_asked() {
    let mut world = alike(&[REPAIRED, "pkg:generic/quaint@1.0"]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains("1 package not assessed"), "{}", run.log);
    world.set("INPUT_FAIL-ON-UNASSESSED", "true").set("INPUT_ON-TAG-CONFLICT", "overwrite");
    world.set("FAKE_BUILDX_SALT", "2");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    for told in
        ["nothing was tagged: 1 package not assessed", "quaint", "`advisories` or `osv-url`"]
    {
        assert!(run.log.contains(told), "{told}: {}", run.log);
    }
}

#[tokio::test]
async fn a_file_of_sarif_is_written_for_a_refused_image_too() {
    let mut world = alike(&[LOG4J]).await;
    let workspace = world.folder.path().join("context").display().to_string();
    world.set("GITHUB_WORKSPACE", &workspace).set("INPUT_SARIF-FILE", "scan.sarif");
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    let text = std::fs::read_to_string(world.folder.path().join("context/scan.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let runs = sarif["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "a scan of each platform, and what the layers hold: {text}");
    let categories: std::collections::BTreeSet<&str> =
        runs.iter().map(|run| run["automationDetails"]["id"].as_str().unwrap()).collect();
    assert_eq!(categories.len(), 3, "{text}");
}

#[tokio::test]
async fn names_of_packages_are_no_commands() {
    let hostile = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?x=%0A::warning::pwned%0A";
    let world = alike(&[hostile]).await;
    let run = world.publish().await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(!run.log.lines().any(|line| line.trim_start().starts_with("::warning::pwned")));
    assert!(!run.summary.lines().any(|line| line.trim_start().starts_with("::warning::pwned")));
}

/// What a build says of itself is scanned as well, wherever it is merged or tagged.
#[tokio::test]
async fn merged_and_baked_images_are_scanned_before_the_first_tag() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "flawed");
    let own = [("INPUT_PLATFORMS", "linux/amd64"), ("INPUT_PUSH-BY-DIGEST", "true")];
    let pushed = world.run(&[], &own).await;
    assert_eq!(pushed.code, Some(0), "nothing is named, so nothing is scanned: {}", pushed.log);
    assert!(!world.sandbox.requests().iter().any(|request| request.service == SandboxService::Osv));
    let digests = [("INPUT_DIGESTS", pushed.outputs["digests"].as_str())];
    let merged = world.run(&["merge"], &digests).await;
    assert_eq!(merged.code, Some(1), "{}", merged.log);
    assert!(merged.log.contains("1 critical vulnerability that has a fix"), "{}", merged.log);
    assert!(world.tags().await.is_empty());
    let accepted = [digests[0], ("INPUT_FAIL-ON", "none")];
    let merged = world.run(&["merge"], &accepted).await;
    assert_eq!(merged.code, Some(0), "{}", merged.log);

    // One target of a bake file is refused, and none of them gets a tag.
    let world = bake::world().await;
    let run = world.run(&["bake"], &[("FAKE_BUILDX", "flawed:web")]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("1 critical vulnerability that has a fix"), "{}", run.log);
    for path in ["api", "web", "mirror/web"] {
        assert!(world.tags_of(path).await.is_empty(), "{path}");
    }
    let run =
        world.run(&["bake"], &[("FAKE_BUILDX", "flawed:web"), ("INPUT_FAIL-ON", "none")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let targets: Value = serde_json::from_str(&run.outputs["targets"]).unwrap();
    let critical = |target: &str| {
        targets[target]["vulnerabilities"]["vulnerabilities"]["counts"]["critical"].as_u64()
    };
    assert_eq!((critical("api"), critical("web")), (Some(0), Some(1)), "{targets}");
}
