//! Advisories from a service that behaves, and from one that does not: no part that went unanswered
//! counts as "nothing is known".

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use supply_action::advisories::archive::Archives;
use supply_action::advisories::epss::{self, Scores};
use supply_action::advisories::service::{Listing, OsvSource, WaitTimes};
use supply_action::advisories::{AdvisoryError, AdvisoryQuestion, RecordId, feed};
use supply_action::error::Remedied as _;
use supply_action::github::network::{Network, Plain};
use supply_action::sandbox::{Fault, FaultEffect, OsvHabit, SandboxService as Kind};
use tempfile::TempDir;

use crate::support::{Run, World, always};

const MODIFIED: &str = "2026-10-01T00:00:00Z";

/// A record about one package: every version below 2 is affected.
fn record(id: &str, ecosystem: &str, name: &str, modified: &str) -> serde_json::Value {
    json!({
        "id": id, "modified": modified,
        "affected": [{
            "package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
        }],
    })
}

fn question(ecosystem: &str, name: &str, version: &str) -> AdvisoryQuestion {
    AdvisoryQuestion { ecosystem: ecosystem.into(), name: name.into(), version: version.into() }
}

/// A sandbox with records, and what a client kept of it.
struct Asking {
    world: World,
    _records: TempDir,
    times: WaitTimes,
}

/// What came of it.
struct Assessed {
    listings: Vec<Listing>,
    records: BTreeMap<String, Vec<u8>>,
}

impl Asking {
    async fn of(records: &[serde_json::Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        std::fs::write(folder.path().join("records.jsonl"), lines.join("\n")).unwrap();
        let path = folder.path().to_owned();
        let world = World::with(|config| config.advisories = Some(path)).await;
        Self { world, _records: folder, times: WaitTimes::default() }
    }

    /// `p0` to `pN`, each with a record of its own.
    async fn about(packages: usize) -> (Self, Vec<AdvisoryQuestion>) {
        let records: Vec<_> = (0..packages)
            .map(|at| record(&format!("T-{at}"), "npm", &format!("p{at}"), MODIFIED))
            .collect();
        let questions = (0..packages).map(|at| question("npm", &format!("p{at}"), "1.0.0"));
        (Self::of(&records).await, questions.collect())
    }

    fn service(&self, cache: Option<&Path>) -> OsvSource {
        let http = Network::default().client().unwrap();
        OsvSource::new(http, self.world.sandbox.osv(), &Plain::default(), cache, self.times)
            .unwrap()
    }

    async fn assess(&self, questions: &[AdvisoryQuestion]) -> Result<Assessed, AdvisoryError> {
        self.assess_with(questions, None).await
    }

    async fn assess_with(
        &self,
        questions: &[AdvisoryQuestion],
        cache: Option<&Path>,
    ) -> Result<Assessed, AdvisoryError> {
        let mut records = BTreeMap::new();
        let keep = |id: &RecordId, bytes| {
            assert!(records.insert(id.to_string(), bytes).is_none(), "{id} came twice");
        };
        let listings = self.service(cache).assess(questions, keep).await?;
        Ok(Assessed { listings, records })
    }

    /// How often it was asked for each path, a record's id left out.
    fn asked(&self) -> (usize, usize) {
        let requests = self.world.sandbox.requests();
        let of =
            |start: &str| requests.iter().filter(|request| request.path.starts_with(start)).count();
        (of("/v1/querybatch"), of("/v1/vulns/"))
    }

    fn behaves(&self, habit: OsvHabit) {
        self.world.sandbox.osv_behaves(Some(habit));
    }

    fn fault(&self, path: &str, effect: FaultEffect) {
        self.world.sandbox.faults().add(always(Kind::Osv, None, path, effect));
    }

    fn fault_once(&self, path: &str, effect: FaultEffect) {
        let path_contains = path.to_owned();
        let fault =
            Fault { service: Kind::Osv, method: None, path_contains, skip: 0, times: 1, effect };
        self.world.sandbox.faults().add(fault);
    }

    /// Checks that nothing is said about so many packages, and why.
    async fn refused(&self, questions: &[AdvisoryQuestion], packages: usize, why: &str) {
        let error = self.assess(questions).await.err().unwrap();
        let AdvisoryError::Unanswered { unanswered, asked, ref cause, .. } = error else {
            panic!("{error}");
        };
        assert!(cause.contains(why), "`{why}` is missing in: {error}");
        assert_eq!((unanswered, asked), (packages, questions.len()), "{error}");
        assert!(error.to_string().contains("are not assessed") && error.remedy().is_some());
    }
}

fn ids(listing: &Listing) -> Vec<&str> {
    match listing {
        Listing::Records(records) => records.keys().map(RecordId::as_str).collect(),
        Listing::NotAssessed(why) => panic!("refused: {why}"),
    }
}

#[tokio::test]
async fn each_question_has_its_own_records_and_each_record_comes_once() {
    let mut withdrawn = record("T-withdrawn", "npm", "a", MODIFIED);
    withdrawn["withdrawn"] = MODIFIED.into();
    let mut both = record("T-both", "npm", "a", MODIFIED);
    let second = record("", "PyPI", "Zope.Interface", MODIFIED)["affected"][0].clone();
    both["affected"].as_array_mut().unwrap().push(second);
    let asking = Asking::of(&[record("T-a", "npm", "a", MODIFIED), withdrawn, both]).await;
    let questions = [
        question("PyPI", "zope-interface", "1.0"),
        question("npm", "nothing", "1.0.0"),
        question("npm", "a", "1.0.0"),
        question("npm", "a", "2.0.0"),
        question("npm", "a", "1.0.0"),
        question("PyPI", "a", "1.0.0"),
    ];
    let assessed = asking.assess(&questions).await.unwrap();
    let listed: Vec<_> = assessed.listings.iter().map(ids).collect();
    assert_eq!(listed, [&["T-both"][..], &[], &["T-a", "T-both"], &[], &["T-a", "T-both"], &[]]);
    assert_eq!(assessed.records.keys().collect::<Vec<_>>(), ["T-a", "T-both"]);
    assert!(assessed.records["T-a"].starts_with(b"{"), "the record's own bytes");
    assert_eq!(asking.asked(), (1, 2));
}

#[tokio::test]
async fn many_questions_are_asked_in_batches_that_the_service_takes() {
    let (asking, questions) = Asking::about(2500).await;
    let assessed = asking.assess(&questions).await.unwrap();
    assert_eq!(asking.asked(), (3, 2500));
    for (at, listing) in assessed.listings.iter().enumerate() {
        assert_eq!(ids(listing), [format!("T-{at}")]);
    }
}

#[tokio::test]
async fn pages_are_followed_for_the_question_that_has_them() {
    let mut records: Vec<_> =
        (0..5).map(|at| record(&format!("T-{at}"), "npm", "long", MODIFIED)).collect();
    records.push(record("T-other", "npm", "short", MODIFIED));
    let asking = Asking::of(&records).await;
    asking.behaves(OsvHabit::Pages(2));
    let questions = [question("npm", "long", "1.0.0"), question("npm", "short", "1.0.0")];
    let assessed = asking.assess(&questions).await.unwrap();
    assert_eq!(ids(&assessed.listings[0]), ["T-0", "T-1", "T-2", "T-3", "T-4"]);
    assert_eq!(ids(&assessed.listings[1]), ["T-other"]);
    assert_eq!(asking.asked(), (3, 6));
}

#[tokio::test]
async fn a_page_that_leads_to_itself_is_no_answer() {
    let records: Vec<_> =
        (0..3).map(|at| record(&format!("T-{at}"), "npm", "a", MODIFIED)).collect();
    let asking = Asking::of(&records).await;
    asking.behaves(OsvHabit::SameToken);
    let questions = [question("npm", "a", "1.0.0"), question("npm", "b", "1.0.0")];
    asking.refused(&questions, 1, "leads to itself").await;
}

#[tokio::test]
async fn a_batch_that_times_out_is_split_and_answered() {
    let (asking, questions) = Asking::about(1000).await;
    asking.behaves(OsvHabit::TimesOutAbove(100));
    let assessed = asking.assess(&questions).await.unwrap();
    assert!(assessed.listings.iter().all(|listing| ids(listing).len() == 1));
    // 1000, 500, 250, 125 are too many, and 63 are not.
    assert_eq!(asking.asked().0, 1 + 2 + 4 + 8 + 16);
}

#[tokio::test]
async fn a_service_that_is_down_or_slow_is_no_answer() {
    let (mut asking, questions) = Asking::about(3).await;
    for (effect, why) in [
        (FaultEffect::Status(503), "HTTP 503: a programmed fault"),
        (FaultEffect::Status(504), "HTTP 504"),
        (FaultEffect::Drop, "connection closed"),
        (FaultEffect::Body(b"<html>welcome</html>".to_vec()), "not what the interface says"),
        (FaultEffect::Body(b"{\"results\":{}}".to_vec()), "not what the interface says"),
        (FaultEffect::Status(403), "HTTP 403"),
    ] {
        asking.world.sandbox.faults().clear();
        asking.fault("/v1/querybatch", effect);
        asking.refused(&questions, 3, why).await;
    }
    asking.world.sandbox.faults().clear();
    asking.fault("/v1/querybatch", FaultEffect::Delay(Duration::from_secs(30)));
    asking.times =
        WaitTimes { request: Duration::from_millis(100), whole: Duration::from_secs(60) };
    asking.refused(&questions, 3, "timed out").await;
    asking.times =
        WaitTimes { request: Duration::from_secs(60), whole: Duration::from_millis(300) };
    let began = Instant::now();
    asking.refused(&questions, 3, "its time was over").await;
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_passing_failure_is_asked_again_when_the_service_says() {
    let (asking, questions) = Asking::about(2).await;
    asking.fault_once("/v1/querybatch", FaultEffect::StatusRetryAfter(429, 1));
    asking.fault_once("/v1/vulns/T-1", FaultEffect::Drop);
    let began = Instant::now();
    let assessed = asking.assess(&questions).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(assessed.records.len(), 2);
    assert_eq!(asking.asked(), (2, 3));
}

#[tokio::test]
async fn an_answer_that_is_short_out_of_order_or_endless_is_no_answer() {
    let (asking, questions) = Asking::about(4).await;
    for (habit, packages, why) in [
        (OsvHabit::HalfAnswered, 4, "it answered 2 of 4 questions"),
        (OsvHabit::OutOfOrder, 4, "which that record does not name"),
        (OsvHabit::OtherRecord, 4, "it gave another record"),
        (OsvHabit::Endless, 4, "an answer is larger than"),
    ] {
        asking.behaves(habit);
        asking.refused(&questions, packages, why).await;
    }
}

#[tokio::test]
async fn a_record_that_is_missing_or_no_record_leaves_its_packages_unassessed() {
    let (asking, questions) = Asking::about(4).await;
    for (effect, why) in [
        (FaultEffect::Status(404), "HTTP 404"),
        (FaultEffect::Status(500), "HTTP 500"),
        (FaultEffect::Body(b"[]".to_vec()), "is not a record"),
        (FaultEffect::Body(b"not json".to_vec()), "is not a record"),
        (FaultEffect::Body(br#"{"id":"T-2","modified":"soon"}"#.to_vec()), "is not a record"),
    ] {
        asking.world.sandbox.faults().clear();
        asking.fault("/v1/vulns/T-2", effect);
        asking.refused(&questions, 1, why).await;
    }
}

#[tokio::test]
async fn an_id_that_is_a_path_is_asked_for_nowhere() {
    let (asking, questions) = Asking::about(1).await;
    for id in ["../../secret", "a/b", "T-1?x=y", ""] {
        let listed = json!({"results": [{"vulns": [{"id": id, "modified": MODIFIED}]}]});
        asking.world.sandbox.faults().clear();
        asking.fault("/v1/querybatch", FaultEffect::Body(listed.to_string().into_bytes()));
        asking.refused(&questions, 1, "an id that none has").await;
    }
    assert_eq!(asking.asked().1, 0);
}

#[tokio::test]
async fn what_the_service_does_not_know_is_told_apart_from_what_it_knows_nothing_of() {
    let (asking, mut questions) = Asking::about(40).await;
    questions.insert(7, question("Bogus", "x", "1"));
    questions.push(question("Bogus:9", "y", "1"));
    let assessed = asking.assess(&questions).await.unwrap();
    let refused: Vec<usize> = assessed
        .listings
        .iter()
        .enumerate()
        .filter(|(_, listing)| {
            matches!(listing, Listing::NotAssessed(why) if why == "HTTP 400: Invalid ecosystem.")
        })
        .map(|(at, _)| at)
        .collect();
    assert_eq!(refused, [7, 41]);
    assert_eq!(assessed.records.len(), 40);
    assert_eq!(asking.asked().0, 3, "the ecosystems are asked apart");
}

#[tokio::test]
async fn a_record_is_fetched_once_for_each_change() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("records");
    let (asking, questions) = Asking::about(5).await;
    let first = asking.assess_with(&questions, Some(&cache)).await.unwrap();
    assert_eq!(asking.asked(), (1, 5));
    let second = asking.assess_with(&questions, Some(&cache)).await.unwrap();
    assert_eq!(asking.asked(), (2, 5), "all came from the cache");
    assert_eq!(first.records, second.records);
    std::fs::write(cache.join("T-1.osv"), "damaged").unwrap();
    assert_eq!(asking.assess_with(&questions, Some(&cache)).await.unwrap().records, first.records);
    assert_eq!(asking.asked(), (3, 6));
    // The same service later, when one record changed.
    let mut records: Vec<_> =
        (0..5).map(|at| record(&format!("T-{at}"), "npm", &format!("p{at}"), MODIFIED)).collect();
    records[3]["modified"] = "2026-11-01T00:00:00Z".into();
    let later = Asking::of(&records).await;
    let third = later.assess_with(&questions, Some(&cache)).await.unwrap();
    assert_eq!(later.asked(), (1, 1));
    assert_ne!(third.records["T-3"], first.records["T-3"]);
    assert_eq!(third.records["T-2"], first.records["T-2"]);
}

#[tokio::test]
async fn records_by_their_ids_may_be_absent_but_not_unanswered() {
    let cache = tempfile::tempdir().unwrap();
    let (asking, _) = Asking::about(2).await;
    let wanted: BTreeSet<RecordId> =
        ["T-0", "CVE-2026-1", "GHSA-x"].into_iter().filter_map(RecordId::of).collect();
    for _ in 0..2 {
        let mut found = Vec::new();
        let keep = |id: &RecordId, _| found.push(id.to_string());
        let absent = asking.service(Some(cache.path())).records(&wanted, keep).await.unwrap();
        assert_eq!(found, ["T-0"]);
        let absent: BTreeSet<_> = absent.iter().map(RecordId::as_str).collect();
        assert_eq!(absent, BTreeSet::from(["CVE-2026-1", "GHSA-x"]));
    }
    assert_eq!(asking.asked().1, 5, "what is there is not fetched again");
    asking.fault("/v1/vulns/GHSA-x", FaultEffect::Status(500));
    let refused = asking.service(None).records(&wanted, |_, _| {}).await.unwrap_err();
    assert!(
        matches!(&refused, AdvisoryError::UnansweredRecords { unanswered: 1, example, .. } if example.as_str() == "GHSA-x"),
        "{refused}"
    );
}

/// `advisories update`, in this world.
async fn update(world: &World, to: &Path, arguments: &[&str]) -> Run {
    let to = to.display().to_string();
    let mut all = vec!["advisories", "update", "--from", world.sandbox.osv(), "--to", &to];
    all.extend(arguments);
    world.run(&all, &[]).await
}

/// How often archives were asked for, and how often one was sent.
fn downloads(world: &World) -> (usize, usize) {
    let requests = world.sandbox.requests();
    let of = |wanted: &dyn Fn(u16) -> bool| {
        let is_archive = |path: &str| path.ends_with("/all.zip");
        requests.iter().filter(|it| is_archive(&it.path) && wanted(it.status)).count()
    };
    (of(&|_| true), of(&|status| status == 200))
}

#[tokio::test]
async fn archives_are_fetched_once_and_then_answer_without_a_service() {
    let records = [
        record("T-1", "npm", "a", MODIFIED),
        record("T-2", "npm", "b", MODIFIED),
        record("T-3", "Red Hat:enterprise_linux:9::baseos", "c", MODIFIED),
    ];
    let asking = Asking::of(&records).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("a/advisories");
    let both = ["--ecosystem", "Red Hat:enterprise_linux:9,npm"];
    let run = update(&asking.world, &to, &both).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    // npm has one of the sandbox's own besides.
    for said in
        ["npm: 3 advisories, newest 2026-10-20T16:08:42Z, fetched, sha256:", "Red Hat: 1 advisory"]
    {
        assert!(run.log.contains(said), "`{said}` is missing in {}", run.log);
    }
    assert_eq!(downloads(&asking.world), (2, 2));
    let run = update(&asking.world, &to, &both).await;
    assert!(
        run.code == Some(0) && run.log.matches(", unchanged, sha256:").count() == 2,
        "{}",
        run.log
    );
    assert_eq!(downloads(&asking.world), (4, 2), "nothing is fetched twice");
    let questions = [
        question("npm", "a", "1.0.0"),
        question("npm", "x", "1.0.0"),
        question("Red Hat:enterprise_linux:9::baseos", "c", "1"),
        question("Red Hat:enterprise_linux:8::baseos", "c", "1"),
        question("PyPI", "a", "1"),
    ];
    let archives = Archives::open(&to, jiff::Timestamp::now()).unwrap();
    let listings = archives.assess(&questions, |_, _| {}).unwrap();
    assert_eq!(ids(&listings[0]), ["T-1"]);
    assert_eq!(ids(&listings[1]), [""; 0]);
    assert_eq!(ids(&listings[2]), ["T-3"]);
    for (listing, ecosystem) in
        [(&listings[3], "Red Hat:enterprise_linux:8::baseos"), (&listings[4], "PyPI")]
    {
        let Listing::NotAssessed(why) = listing else { panic!("{listing:?}") };
        assert_eq!(*why, format!("no advisories of `{ecosystem}` are at hand"));
    }
    // A changed byte: what lies there is not what was fetched.
    let archive = to.join("npm/all.zip");
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let run = update(&asking.world, &to, &both).await;
    assert!(run.code == Some(0) && run.log.contains("npm: 3 advisories"), "{}", run.log);
    assert_eq!(downloads(&asking.world), (6, 3));
}

#[tokio::test]
async fn an_update_says_what_changed_and_takes_nothing_older() {
    let first = [record("T-1", "Hex", "a", MODIFIED), record("T-2", "Hex", "b", MODIFIED)];
    let later = [
        record("T-1", "Hex", "a", "2026-11-01T00:00:00Z"),
        record("T-3", "Hex", "c", MODIFIED),
        record("T-4", "Hex", "d", MODIFIED),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (first, later) = (Asking::of(&first).await, Asking::of(&later).await);
    let arguments = ["--ecosystem", "Hex"];
    assert_eq!(update(&first.world, folder.path(), &arguments).await.code, Some(0));
    let run = update(&later.world, folder.path(), &arguments).await;
    let said = "Hex: 3 advisories, newest 2026-11-01T00:00:00Z, 2 new, 1 changed, 1 gone, sha256:";
    assert!(run.code == Some(0) && run.log.contains(said), "{}", run.log);
    let kept = std::fs::read(folder.path().join("Hex/all.zip")).unwrap();
    let run = update(&first.world, folder.path(), &arguments).await;
    let why = "is not used: its newest advisory is of 2026-10-01T00:00:00Z, but the newest at hand is of 2026-11-01T00:00:00Z";
    assert!(run.code == Some(1) && run.log.contains(why), "{}", run.log);
    assert_eq!(std::fs::read(folder.path().join("Hex/all.zip")).unwrap(), kept);
}

#[tokio::test]
async fn an_archive_that_is_not_whole_or_hostile_leaves_what_was_there() {
    let asking = Asking::of(&[record("T-1", "Hex", "a", MODIFIED)]).await;
    let folder = tempfile::tempdir().unwrap();
    let (world, arguments) = (&asking.world, ["--ecosystem", "Hex"]);
    assert_eq!(update(world, folder.path(), &arguments).await.code, Some(0));
    let kept = std::fs::read(folder.path().join("Hex/all.zip")).unwrap();
    let cut = kept[..kept.len() / 2].to_vec();
    for (effect, said) in [
        (FaultEffect::Body(b"<html>login</html>".to_vec()), "it is not a zip archive"),
        (FaultEffect::Body(cut), "it is not a zip archive"),
        (FaultEffect::Status(403), "HTTP 403"),
        (FaultEffect::Status(503), "HTTP 503"),
        (FaultEffect::Drop, "connection closed"),
    ] {
        world.sandbox.faults().clear();
        asking.fault("/Hex/all.zip", effect);
        let run = update(world, folder.path(), &arguments).await;
        assert_eq!(run.code, Some(1), "{}", run.log);
        for said in ["not all advisories are up to date", said, "hint: "] {
            assert!(run.log.contains(said), "`{said}` is missing in {}", run.log);
        }
        let names: Vec<_> = std::fs::read_dir(folder.path().join("Hex")).unwrap().collect();
        assert_eq!(names.len(), 2, "nothing else is left behind");
        assert_eq!(std::fs::read(folder.path().join("Hex/all.zip")).unwrap(), kept);
    }
    world.sandbox.faults().clear();
    let run = update(world, folder.path(), &["--ecosystem", "Hex,Hackage,Pub"]).await;
    assert!(run.code == Some(1) && run.log.contains("Hex: 1 advisory"), "{}", run.log);
    assert!(
        run.log.contains("(1) advisories of `Hackage`")
            && run.log.contains("(2) advisories of `Pub`")
    );
    for wrong in ["../x", "", "GIT"] {
        assert_eq!(update(world, folder.path(), &["--ecosystem", wrong]).await.code, Some(2));
    }
}

/// The recorded questions and the real records, where they are at hand.
#[test]
fn every_recorded_answer_is_found_among_real_records() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/osv");
    let Ok(recorded) = std::fs::read_to_string(shared.join("api-recorded.jsonl")) else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("Go")).unwrap();
    let records = std::fs::read_to_string(shared.join("advisories/Go.jsonl")).unwrap();
    let mut at_hand = BTreeSet::new();
    for record in records.lines() {
        let id = serde_json::from_str::<serde_json::Value>(record).unwrap()["id"].clone();
        let id = id.as_str().unwrap().to_owned();
        std::fs::write(folder.path().join(format!("Go/{id}.json")), record).unwrap();
        at_hand.insert(id);
    }
    let archives = Archives::open(folder.path(), jiff::Timestamp::now()).unwrap();
    assert_eq!(archives.records_at_hand(), at_hand.len());
    let mut found = 0;
    for line in recorded.lines() {
        let asked: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        if text("ecosystem") != "Go" {
            continue;
        }
        let questions = [question("Go", text("name"), text("version"))];
        let listing = archives.assess(&questions, |_, _| {}).unwrap().remove(0);
        let listed = ids(&listing);
        for id in asked["ids"].as_array().unwrap() {
            let id = id.as_str().unwrap();
            if at_hand.contains(id) {
                assert!(listed.contains(&id), "{id} of {:?}", questions[0]);
                found += 1;
            }
        }
    }
    assert!(found > 300, "{found}");
}

#[tokio::test]
async fn lists_beside_the_advisories_come_from_addresses_too() {
    let asking = Asking::of(&[]).await;
    let address = format!("{}/list", asking.world.sandbox.osv()).parse().unwrap();
    let http = Network::default().client().unwrap();
    let list = "#model_version:v1,score_date:2026-11-28T00:00:00Z\ncve,epss,percentile\nCVE-2021-44228,0.9,0.99\n";
    asking.fault_once("/list", FaultEffect::Status(503));
    asking.fault_once("/list", FaultEffect::Body(list.into()));
    let bytes = feed::bytes(&address, epss::LARGEST, &http, &Plain::default()).await.unwrap();
    let scores = Scores::of(&bytes, &BTreeSet::from(["CVE-2021-44228".to_owned()])).unwrap();
    assert_eq!(scores.by_cve["CVE-2021-44228"].probability, 0.9);
    let absent = feed::bytes(&address, epss::LARGEST, &http, &Plain::default()).await.unwrap_err();
    assert!(absent.to_string().contains("HTTP 404"), "{absent}");
}
