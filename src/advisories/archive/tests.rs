use super::*;
use crate::sbom::matchers::zip::tests::archive as zipped;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const MODIFIED: &str = "2026-10-01T00:00:00Z";

fn now() -> Timestamp {
    "2026-11-29T00:00:00Z".parse().unwrap()
}

fn record(id: &str, packages: &[(&str, &str)]) -> Value {
    let affected: Vec<Value> = packages
        .iter()
        .map(|(ecosystem, name)| json!({"package": {"ecosystem": ecosystem, "name": name}}))
        .collect();
    json!({"id": id, "modified": MODIFIED, "affected": affected})
}

fn modified(mut record: Value, at: &str) -> Value {
    record["modified"] = at.into();
    record
}

fn archive_of(records: &[Value]) -> Vec<u8> {
    let texts: Vec<(String, String)> = records
        .iter()
        .map(|record| (format!("{}.json", record["id"].as_str().unwrap()), record.to_string()))
        .collect();
    let members: Vec<(&str, &[u8])> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zipped(&members)
}

/// A folder of these files.
fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let world = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = world.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    world
}

fn question(ecosystem: &str, name: &str) -> AdvisoryQuestion {
    AdvisoryQuestion { ecosystem: ecosystem.into(), name: name.into(), version: "1".into() }
}

/// What is listed for one package; `None` when nothing is said about it.
fn listed(archives: &Archives, ecosystem: &str, name: &str) -> Option<Vec<String>> {
    let mut kept = BTreeSet::new();
    let keep = |id: &RecordId, bytes: Vec<u8>| {
        assert_eq!(RecordOutline::of(&bytes).unwrap().id, id.as_str());
        assert!(kept.insert(id.clone()), "{id} came twice");
    };
    let listings = archives.assess(&[question(ecosystem, name)], keep).unwrap();
    match &listings[0] {
        Listing::Records(records) => {
            assert_eq!(kept, records.keys().cloned().collect());
            Some(records.keys().map(ToString::to_string).collect())
        }
        Listing::NotAssessed(_) => None,
    }
}

fn refused(files: &[(&str, Vec<u8>)]) -> String {
    let world = folder(files);
    let error = Archives::open(world.path(), now()).err().unwrap();
    assert!(matches!(error, ArchiveError::Refused { .. }), "{error}");
    assert!(error.remedy().is_some());
    error.to_string()
}

#[test]
fn every_layout_is_read() {
    let go =
        archive_of(&[record("GO-1", &[("Go", "a.example/m")]), record("GO-2", &[("Go", "b")])]);
    let loose = record("X-1", &[("npm", "left")]).to_string().into_bytes();
    let world = folder(&[
        ("Go/all.zip", go.clone()),
        ("Go/all.zip.source", b"{}".to_vec()),
        ("osv-scalibr/Hex/all.zip", archive_of(&[record("H-1", &[("Hex", "phoenix")])])),
        ("npm/X-1.json", loose.clone()),
        ("GIT/all.zip", b"PK".to_vec()),
        (".git/x.json", b"no record".to_vec()),
        ("README.md", b"words".to_vec()),
    ]);
    let archives = Archives::open(world.path(), now()).unwrap();
    assert_eq!(archives.records_at_hand(), 4);
    assert_eq!(listed(&archives, "Go", "a.example/m").unwrap(), ["GO-1"]);
    assert_eq!(listed(&archives, "Go", "nothing").unwrap(), [""; 0]);
    assert_eq!(listed(&archives, "Hex", "phoenix").unwrap(), ["H-1"]);
    assert_eq!(listed(&archives, "npm", "left").unwrap(), ["X-1"]);
    assert_eq!(listed(&archives, "PyPI", "left"), None);
    // One archive, under its own name or another, and a folder of records alone.
    for (name, bytes) in [("Go/all.zip", go.clone()), ("x/go-2026.zip", go), ("X-1.json", loose)] {
        let world = folder(&[(name, bytes)]);
        let path =
            if name == "X-1.json" { world.path().to_owned() } else { world.path().join(name) };
        let archives = Archives::open(&path, now()).unwrap();
        let (ecosystem, package) =
            if name == "X-1.json" { ("npm", "left") } else { ("Go", "a.example/m") };
        assert_eq!(listed(&archives, ecosystem, package).unwrap().len(), 1, "{name}");
    }
    assert!(matches!(Archives::open(folder(&[]).path(), now()), Err(ArchiveError::Empty(_))));
    assert!(matches!(
        Archives::open(&world.path().join("none"), now()),
        Err(ArchiveError::File(FileError::Io { .. }))
    ));
}

#[test]
fn what_records_mention_beside_is_not_covered() {
    let both = record("GHSA-1", &[("Go", "a"), ("npm", "a")]);
    let world = folder(&[
        ("Go/all.zip", archive_of(&[both.clone(), record("GO-1", &[("Go", "b")])])),
        (
            "Debian/all.zip",
            archive_of(&[record("D-1", &[("Debian:12", "openssl"), ("Debian:11", "openssl")])]),
        ),
        (
            "Ubuntu/all.zip",
            archive_of(&[record(
                "U-1",
                &[("Ubuntu:Pro:18.04:LTS", "x"), ("Ubuntu:22.04:LTS", "x")],
            )]),
        ),
    ]);
    let archives = Archives::open(world.path(), now()).unwrap();
    assert_eq!(listed(&archives, "Go", "a").unwrap(), ["GHSA-1"]);
    assert_eq!(listed(&archives, "npm", "a"), None);
    assert_eq!(listed(&archives, "Debian:12", "openssl").unwrap(), ["D-1"]);
    for uncovered in ["Debian:13", "Debian", "debian:12", "Ubuntu:24.04"] {
        assert_eq!(listed(&archives, uncovered, "openssl"), None, "{uncovered}");
    }
    assert!(["Ubuntu:22.04", "Ubuntu:18.04"].into_iter().all(|release| archives.covers(release)));
    // Of an archive without a name only that is known which all of its records are about.
    let world = folder(&[("go.zip", archive_of(&[both, record("GO-1", &[("Go", "b")])]))]);
    let archives = Archives::open(&world.path().join("go.zip"), now()).unwrap();
    assert!(archives.covers("Go") && !archives.covers("npm"));
    let why = refused(&[("npm/all.zip", archive_of(&[record("GO-1", &[("Go", "b")])]))]);
    assert!(why.contains("no record in it is about `npm`"), "{why}");
}

#[test]
fn names_are_found_as_services_find_them_and_ids_as_they_are() {
    let world = folder(&[(
        "PyPI/all.zip",
        archive_of(&[
            record("P-1", &[("PyPI", "Zope.Interface"), ("PyPI", "zope-interface")]),
            record("P-2", &[("PyPI", "zope")]),
        ]),
    )]);
    let archives = Archives::open(world.path(), now()).unwrap();
    assert_eq!(listed(&archives, "PyPI", "zope_interface").unwrap(), ["P-1"]);
    let ids = ["P-2", "CVE-1"].into_iter().filter_map(RecordId::of).collect();
    let mut found = Vec::new();
    let absent = archives.records(&ids, |id, _| found.push(id.to_string())).unwrap();
    assert_eq!((found.as_slice(), absent[0].as_str()), (&["P-2".to_owned()][..], "CVE-1"));
}

#[test]
fn a_hostile_archive_is_refused_whole() {
    let good = record("X-1", &[("npm", "a")]).to_string();
    let good = good.as_bytes();
    let long = "a".repeat(300) + ".json";
    for name in [
        "../x.json",
        "/x.json",
        "a/../../x.json",
        "a\\x.json",
        "a//x.json",
        "./x.json",
        "x\n.json",
        &long,
    ] {
        let why = refused(&[("npm/all.zip", zipped(&[("X-1.json", good), (name, good)]))]);
        assert!(why.contains("leads elsewhere"), "{name}: {why}");
    }
    for (bytes, reason) in [
        (&b"not json"[..], "no OSV record"),
        (b"[]", "no OSV record"),
        (b"", "no OSV record"),
        (br#"{"id":"../x","modified":"2026-01-01T00:00:00Z"}"#, "an id that none has"),
        (&vec![b' '; 17 << 20], "too large"),
    ] {
        let why = refused(&[("npm/all.zip", zipped(&[("X-1.json", good), ("X-2.json", bytes)]))]);
        assert!(why.contains("`X-2.json`") && why.contains(reason), "{why}");
        let loose = vec![("npm/X-1.json", good.to_vec()), ("npm/X-2.json", bytes.to_vec())];
        assert!(refused(&loose).contains(reason));
    }
    let whole = zipped(&[("X-1.json", good), ("X-2.json", good)]);
    let of_second = whole.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut overlapping = whole.clone();
    overlapping[of_second + 42..of_second + 46].fill(0);
    assert!(refused(&[("npm/all.zip", overlapping)]).contains("lie in each other"));
    let mut damaged = whole.clone();
    damaged[45] ^= 0x40;
    assert!(refused(&[("npm/all.zip", damaged)]).contains("damaged"));
    for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
        assert!(refused(&[("npm/all.zip", whole[..cut].to_vec())]).contains("not a zip archive"));
    }
}

#[test]
fn too_many_records_and_too_many_bytes_are_refused() {
    let records: Vec<Value> =
        (0..5).map(|at| record(&format!("X-{at}"), &[("npm", "a")])).collect();
    let world = folder(&[("npm/all.zip", archive_of(&records))]);
    for (records, inflated, fits) in [(5, 1 << 20, true), (4, 1 << 20, false), (5, 300, false)] {
        let mut building = building::Building::new(now(), RandomState::new());
        building.limits = building::Limits { records, inflated };
        let outcome = building.of(world.path());
        assert_eq!(outcome.is_ok(), fits, "{records} {inflated}");
        assert!(outcome.err().is_none_or(|error| error.to_string().contains("too large")));
    }
}

#[test]
fn two_records_of_one_id_are_the_same_or_the_newer_counts() {
    let first = record("GHSA-1", &[("Go", "a"), ("npm", "a")]);
    let mut other = first.clone();
    other["summary"] = "otherwise".into();
    let later = modified(other.clone(), "2026-11-01T00:00:00Z");
    let parts = |one: &[&Value], two: &[&Value]| {
        let of = |records: &[&Value]| {
            archive_of(&records.iter().map(|record| (*record).clone()).collect::<Vec<_>>())
        };
        vec![("Go/all.zip", of(one)), ("npm/all.zip", of(two))]
    };
    for (files, summary) in [
        (parts(&[&first], &[&first]), Value::Null),
        (parts(&[&first, &first], &[&first]), Value::Null),
        (parts(&[&later], &[&first]), json!("otherwise")),
        (parts(&[&first], &[&later]), json!("otherwise")),
    ] {
        let world = folder(&files);
        let archives = Archives::open(world.path(), now()).unwrap();
        assert_eq!(archives.records_at_hand(), 1);
        let mut found = Vec::new();
        archives.assess(&[question("npm", "a")], |_, bytes| found.push(bytes)).unwrap();
        let [found] = found.as_slice() else { panic!("{} records", found.len()) };
        assert_eq!(serde_json::from_slice::<Value>(found).unwrap()["summary"], summary);
    }
    for files in [
        parts(&[&first, &other], &[&first]),
        parts(&[&first, &later], &[&first]),
        parts(&[&first], &[&other]),
    ] {
        assert!(refused(&files).contains("two different `GHSA-1`"));
    }
    let many: Vec<Value> = vec![first; 65];
    assert!(refused(&[("Go/all.zip", archive_of(&many))]).contains("again and again"));
}

#[test]
fn the_newest_change_is_of_its_ecosystem_and_not_of_the_future() {
    let world = folder(&[
        (
            "Go/all.zip",
            archive_of(&[
                record("GO-1", &[("Go", "a"), ("npm", "a")]),
                modified(record("GO-2", &[("Go", "a")]), "2999-01-01T00:00:00Z"),
            ]),
        ),
        (
            "Hex/all.zip",
            archive_of(&[modified(record("H-1", &[("Hex", "a")]), "2026-11-29T10:00:00Z")]),
        ),
    ]);
    let archives = Archives::open(world.path(), now()).unwrap();
    let newest: Vec<(String, String)> = archives
        .newest()
        .iter()
        .map(|(ecosystem, newest)| (ecosystem.clone(), newest.to_string()))
        .collect();
    assert_eq!(
        newest,
        [("Go".into(), MODIFIED.to_owned()), ("Hex".into(), "2026-11-29T10:00:00Z".to_owned())]
    );
}

proptest! {
    #[test]
    fn no_archive_makes_it_panic(changes in proptest::collection::vec((0_usize..900, any::<u8>()), 1..5)) {
        let mut bytes = archive_of(&[record("X-1", &[("npm", "a")]), record("X-2", &[("npm", "b")])]);
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        let world = folder(&[("npm/all.zip", bytes)]);
        if let Ok(archives) = Archives::open(world.path(), now()) {
            listed(&archives, "npm", "a");
        }
    }
}
