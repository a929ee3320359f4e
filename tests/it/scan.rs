//! `supply-action scan`: what is found, what is accepted, what is refused, and that what nobody
//! answered is never "none".

use std::path::Path;

use serde_json::{Value, json};
use supply_action::sandbox::{FaultEffect, OsvHabit, SandboxService};
use tempfile::TempDir;

use crate::support::{Run, World, always};

/// log4j is critical and repaired, requests medium; nobody knows advisories of `quaint`.
const PURLS: [&str; 4] = [
    "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
    "pkg:pypi/requests@2.31.0",
    "pkg:deb/debian/openssl@3.0.11-1~deb12u1?distro=debian-12",
    "pkg:generic/quaint@1.0",
];

struct Scanning {
    world: World,
    folder: TempDir,
}

impl Scanning {
    async fn of(purls: &[&str]) -> Self {
        let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
        let component = |purl: &&str| {
            let name = purl.rsplit('/').next().unwrap().split('@').next().unwrap();
            json!({ "type": "library", "name": name, "purl": purl })
        };
        let components: Vec<Value> = purls.iter().map(component).collect();
        let document =
            json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components });
        std::fs::write(folder.path().join("app.cdx.json"), document.to_string()).unwrap();
        Self { world, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    async fn scan(&self, arguments: &[&str]) -> Run {
        let target = self.path("app.cdx.json");
        let mut all = vec!["scan", "--osv-url", self.world.sandbox.osv()];
        all.extend(arguments);
        all.push(&target);
        self.world.run(&all, &[]).await
    }

    /// The same, with the result as JSON.
    async fn found(&self, arguments: &[&str]) -> (Run, Value) {
        let output = self.path("result.json");
        let mut all = vec!["--format", "json", "-o", &output];
        all.extend(arguments);
        let run = self.scan(&all).await;
        (run, read(Path::new(&output)))
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// docs/rehearse.md shows what it says.
#[tokio::test]
async fn the_vulnerable_example_has_a_refusal_an_accepted_flaw_and_one_that_is_listed() {
    let world = World::new().await;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vulnerable");
    let (risks, folder) = (example.join("risks.yaml"), example.display().to_string());
    let risks = risks.display().to_string();
    let table = world.folder.path().join("table").display().to_string();
    let own = ["scan", "--osv-url", world.sandbox.osv(), "--ignore-file", &risks, "-o", &table];
    let run = world.run(&[&own[..], &[folder.as_str()]].concat(), &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("fails: 1 critical vulnerability that has a fix"), "{}", run.log);
    let page = include_str!("../../docs/rehearse.md");
    let lines =
        ["critical  CVE-2021-44906", "medium    CVE-2024-35195", "accepted: CVE-2021-44228"];
    for start in lines {
        let shown = page.lines().find(|line| line.trim_start().starts_with(start)).unwrap().trim();
        // The place of the file of risks is that of this checkout.
        let shown = shown.split(" (says ").next().unwrap();
        let table = std::fs::read_to_string(&table).unwrap();
        assert!(table.contains(shown), "{shown}: {table}");
    }
}

/// Lock files of two checkouts: the state before has minimist, the change adds pyyaml.
#[tokio::test]
async fn only_what_a_change_brings_fails_it() {
    let scanning = Scanning::of(&[]).await;
    let lock = |packages: &[(&str, &str)]| {
        let of = |(name, version): &(&str, &str)| {
            (format!("node_modules/{name}"), json!({ "version": version }))
        };
        let packages: serde_json::Map<String, Value> = packages.iter().map(of).collect();
        json!({ "name": "app", "lockfileVersion": 3, "packages": packages }).to_string()
    };
    for folder in ["base", "head"] {
        std::fs::create_dir(scanning.path(folder)).unwrap();
    }
    let [base, head] = ["base", "head"].map(|folder| scanning.path(folder));
    scanning.write("base/package-lock.json", &lock(&[("minimist", "1.2.5")]));
    scanning.write("head/package-lock.json", &lock(&[("minimist", "1.2.4")]));
    let osv = scanning.world.sandbox.osv();
    let own = ["scan", "--osv-url", osv, "--fail-on", "low", "--new-since"];
    let scan = async |earlier: &str, more: &[&str]| {
        scanning.world.run(&[&own[..], &[earlier], more, &[&head]].concat(), &[]).await
    };
    let run = scan(&base, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(run.log.contains(&format!("known since `{base}`: no reason to fail")), "{}", run.log);

    // Another package is new, and so is everything beside an empty directory.
    std::fs::write(scanning.path("head/requirements.txt"), "requests==2.31.0\n").unwrap();
    let result = scanning.path("result.json");
    let run = scan(&base, &["--format", "json", "-o", &result]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("fails: 1 medium vulnerability"), "{}", run.log);
    let found = read(Path::new(&result)).to_string();
    assert!(found.contains(&format!(r#""knownSince":"{base}""#)), "{found}");
    std::fs::create_dir(scanning.path("empty")).unwrap();
    let run = scan(&scanning.path("empty"), &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("1 critical vulnerability"), "{}", run.log);

    // What cannot be read is not "nothing was there", nor is the same compared with itself.
    let run = scan(&scanning.path("nowhere"), &[]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    let run = scan(&format!("dir:{head}"), &[]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    assert!(run.log.contains("`--new-since` names what is scanned"), "{}", run.log);
    let run = scan(&base, &["--fail-on", "none"]).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
}

#[tokio::test]
async fn an_sbom_of_before_serves_as_well() {
    let scanning = Scanning::of(&PURLS).await;
    let before = scanning.path("before.cdx.json");
    let component = json!({ "type": "library", "name": "log4j-core", "purl": PURLS[0] });
    let document =
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component] });
    std::fs::write(&before, document.to_string()).unwrap();
    let run = scanning.scan(&["--new-since", &before]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let run = scanning.scan(&["--new-since", &before, "--fail-on", "low"]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(!run.log.contains("critical vulnerability"), "{}", run.log);
}

#[tokio::test]
async fn what_is_critical_and_repaired_fails_and_the_rest_is_told() {
    let scanning = Scanning::of(&PURLS).await;
    let (run, found) = scanning.found(&[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    assert!(run.log.contains("fails: 1 critical vulnerability"), "{}", run.log);
    let text = found.to_string();
    for told in ["CVE-2021-44228", "CVE-2024-35195", "CVE-2023-5363", "quaint"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let (run, _) = scanning.found(&["--fail-on", "none"]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    // Rated by the CVE that the distribution's record is about.
    let (run, _) = scanning.found(&["--fail-on", "high"]).await;
    assert!(run.log.contains("1 critical vulnerability that has a fix, 1 high"), "{}", run.log);
    // Alpine's record has no severity, and the CVE that it is about is not at hand.
    let alpine = "pkg:apk/alpine/apk-tools@2.10.6-r0?distro=alpine-3.10.9";
    let unrated = Scanning::of(&[alpine, PURLS[1]]).await;
    let (run, _) = unrated.found(&["--fail-on", "critical"]).await;
    assert!(
        run.code == Some(0) && run.log.contains("1 vulnerability without a severity"),
        "{}",
        run.log
    );
    let (run, _) = unrated.found(&["--fail-on-unknown"]).await;
    assert!(run.code == Some(1) && run.log.contains("that no source rates"), "{}", run.log);
    let (run, _) = scanning.found(&["--fail-on", "none", "--fail-on-unassessed"]).await;
    assert!(run.code == Some(1) && run.log.contains("1 package not assessed"), "{}", run.log);
}

#[tokio::test]
async fn an_accepted_risk_passes_until_its_day_and_by_whichever_of_its_ids() {
    let scanning = Scanning::of(&PURLS[..1]).await;
    let risks = |expires: &str| {
        let text = format!(
            "accepted:\n  - id: GHSA-jfh8-c2jp-5v3q\n    reason: the lookup is off\n    expires: {expires}\n  - id: CVE-1999-0001\n    reason: nothing has it\n"
        );
        scanning.write("risks.yaml", &text)
    };
    let file = risks("2999-01-01");
    let (run, found) = scanning.found(&["--ignore", &file]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(found.to_string().contains("the lookup is off"), "{found}");
    assert!(run.log.contains("accepts nothing that was found"), "{}", run.log);
    let file = risks("2020-01-01");
    let (run, _) = scanning.found(&["--ignore", &file]).await;
    assert_eq!(run.code, Some(1));
    assert!(run.log.contains("has expired: the lookup is off"), "{}", run.log);
    for (text, why) in [
        ("accepted:\n  - id: CVE-2021-44228\n", "reason"),
        ("accepted:\n  - id: CVE-2021-44228\n    reason: x\n    expirse: 2999-01-01\n", "expirse"),
        ("accepted:\n  - id: CVE-2021-44228\n    reason: x\n    expires: soon\n", "soon"),
    ] {
        let file = scanning.write("wrong.yaml", text);
        let run = scanning.scan(&["--ignore", &file]).await;
        assert!(run.code == Some(2) && run.log.contains(why), "{why}: {}", run.log);
    }
}

#[tokio::test]
async fn what_is_exploited_fails_whatever_its_severity() {
    let scanning = Scanning::of(&PURLS[1..2]).await;
    let catalogue = json!({
        "catalogVersion": "2026.11.28", "dateReleased": "2026-11-28T00:00:00Z", "count": 1,
        "vulnerabilities": [{ "cveID": "CVE-2024-35195", "dueDate": "2026-12-01" }],
    });
    let kev = scanning.write("kev.json", &catalogue.to_string());
    let scores = "#model_version:v2025.03.14,score_date:2026-11-28T00:00:00Z\ncve,epss,percentile\nCVE-2024-35195,0.25,0.9\n";
    let epss = scanning.write("epss.csv", scores);
    let lists = ["--kev", &kev, "--epss", &epss];
    let (run, found) = scanning.found(&lists).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(found.to_string().contains("0.25"), "{found}");
    let (run, _) = scanning.found(&[&lists[..], &["--fail-on-kev"]].concat()).await;
    assert!(run.code == Some(1) && run.log.contains("that is exploited"), "{}", run.log);
    let cut =
        scanning.write("cut.json", &catalogue.to_string().replace("\"count\":1", "\"count\":2"));
    let run = scanning.scan(&["--kev", &cut]).await;
    assert!(run.code == Some(2) && run.log.contains("has 1 entries and says 2"), "{}", run.log);
}

#[tokio::test]
async fn what_goes_unanswered_is_not_none() {
    let scanning = Scanning::of(&PURLS).await;
    let unknown = async |why: &str| {
        let output = scanning.path("never.json");
        let run = scanning.scan(&["--format", "json", "-o", &output]).await;
        assert_eq!(run.code, Some(4), "{why}: {}", run.log);
        assert!(run.log.contains("nothing is known about the image"), "{why}: {}", run.log);
        assert!(!Path::new(&output).exists(), "{why}");
    };
    for habit in [OsvHabit::HalfAnswered, OsvHabit::OutOfOrder, OsvHabit::Endless] {
        scanning.world.sandbox.osv_behaves(Some(habit));
        unknown(&format!("{habit:?}")).await;
    }
    scanning.world.sandbox.osv_behaves(None);
    scanning.world.sandbox.faults().add(always(
        SandboxService::Osv,
        None,
        "/v1/vulns/",
        FaultEffect::Body("{".into()),
    ));
    unknown("a record that is no JSON").await;
}

#[tokio::test]
async fn advisories_at_hand_ask_nobody_and_say_how_old_they_are() {
    let scanning = Scanning::of(&PURLS[..1]).await;
    let folder = scanning.path("advisories");
    let update = ["advisories", "update", "--ecosystem", "Maven", "--to", &folder, "--from"];
    let mut update = update.to_vec();
    update.push(scanning.world.sandbox.osv());
    assert_eq!(scanning.world.run(&update, &[]).await.code, Some(0));
    let asked = || {
        let requests = scanning.world.sandbox.requests();
        requests.iter().filter(|request| request.path.starts_with("/v1/")).count()
    };
    let before = asked();
    let (target, output) = (scanning.path("app.cdx.json"), scanning.path("at-hand.sarif"));
    let mut scan = vec!["scan", "--advisories", &folder, "--format", "sarif", "-o", &output];
    scan.push(&target);
    let run = scanning.world.run(&scan, &[]).await;
    assert_eq!((run.code, asked()), (Some(1), before), "{}", run.log);
    let sarif = read(Path::new(&output));
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 1, "{sarif}");
    scan.extend(["--max-advisory-age", "1h"]);
    let run = scanning.world.run(&scan, &[]).await;
    assert!(run.code == Some(4) && run.log.contains("more than 1h ago"), "{}", run.log);
}

#[tokio::test]
async fn an_image_of_which_nobody_knows_anything_does_not_pass() {
    let scanning = Scanning::of(&PURLS[3..]).await;
    let (run, found) = scanning.found(&["--fail-on", "none"]).await;
    assert_eq!(run.code, Some(4), "{}", run.log);
    assert!(run.log.contains("none of 1 package is assessed"), "{}", run.log);
    assert!(found.to_string().contains("quaint"), "what is not assessed is listed: {found}");
}

#[tokio::test]
async fn bad_arguments_are_told_before_anything_is_asked() {
    let scanning = Scanning::of(&PURLS[..1]).await;
    for (arguments, why) in [
        (&["--fail-on-kev"][..], "--kev"),
        (&["--fail-on", "bad"], "bad"),
        (&["--max-advisory-age", "7w"], "is not an age"),
        (&["--kev", "/nowhere"], "option `--kev`"),
        (&["--epss", "/nowhere"], "option `--epss`"),
        (&["--ignore", "/nowhere"], "cannot be read"),
    ] {
        let run = scanning.scan(arguments).await;
        assert!(run.code == Some(2) && run.log.contains(why), "{why}: {:?} {}", run.code, run.log);
        assert!(!run.log.contains("actions/checkout"), "{why}: {}", run.log);
    }
    let target = scanning.path("app.cdx.json");
    let run = scanning.world.run(&["scan", "--osv-url", "ftp://example.com", &target], &[]).await;
    assert!(run.code == Some(2) && run.log.contains("is not a valid address"), "{}", run.log);
    assert!(!scanning.world.sandbox.requests().iter().any(|it| it.path.starts_with("/v1/")));
}
