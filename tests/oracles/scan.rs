//! osv-scanner on the advisories and packages that our scan gets: each flaw that one of them finds and
//! the other does not is explained in a table, or the test fails. SARIF is held against its schema.
//! It holds no answer of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{judge, required, sandbox_with_advisories, tool, world};

/// Ecosystems of languages, as OSV and as package URLs name them.
const LANGUAGES: [(&str, &str); 8] = [
    ("Go", "golang"),
    ("Maven", "maven"),
    ("NuGet", "nuget"),
    ("Packagist", "composer"),
    ("PyPI", "pypi"),
    ("RubyGems", "gem"),
    ("crates.io", "cargo"),
    ("npm", "npm"),
];

/// Every so many records of Go's database are asked about; all of them are at hand.
const SAMPLE: usize = 24;

/// Records at hand, and the folder that both programs read.
struct Advisories {
    records: Vec<Value>,
    folder: PathBuf,
}

impl Advisories {
    fn of(name: &str, records: Vec<Value>) -> Self {
        let folder = world().folder.join(name);
        let listed = folder.join("listed");
        std::fs::create_dir_all(&listed).unwrap();
        let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        std::fs::write(listed.join("all.jsonl"), lines.concat()).unwrap();
        let served = sandbox_with_advisories(&folder.join("sandbox"), &listed);
        // The layout that docs/advisories.md says osv-scanner reads.
        let at_hand = folder.join("osv-scalibr");
        let there: BTreeSet<&str> = records.iter().flat_map(entries).map(ecosystem).collect();
        let mut update = vec!["advisories", "update", "--from", served.osv()];
        for (name, _) in LANGUAGES.iter().filter(|(name, _)| there.contains(name)) {
            update.extend(["--ecosystem", name]);
        }
        update.extend(["--to", at_hand.to_str().unwrap()]);
        let (success, said) = judge(&required("SUPPLY_ACTION_BIN"), &update);
        assert!(success, "{said}");
        // It stops at a package of no ecosystem that it knows, unless there is this one.
        std::fs::create_dir_all(at_hand.join("GIT")).unwrap();
        let empty_zip = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        std::fs::write(at_hand.join("GIT/all.zip"), empty_zip).unwrap();
        Self { records, folder }
    }
}

static ADVISORIES: LazyLock<Advisories> = LazyLock::new(|| Advisories::of("advisories", records()));

fn entries(record: &Value) -> impl Iterator<Item = &Value> {
    record["affected"].as_array().into_iter().flatten()
}

fn ecosystem(entry: &Value) -> &str {
    entry["package"]["ecosystem"].as_str().unwrap_or_default()
}

/// Records of the repository, of Go's database, and of the conformance data where it is at hand, by
/// their ids; the sandbox serves the first ones anyway.
fn records() -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<String> = vec![
        include_str!("../../src/sandbox/osv/records.jsonl").to_owned(),
        include_str!("../fixtures/scan/advisories.jsonl").to_owned(),
    ];
    let shared = root.join("../shared/conformance/osv/advisories");
    for ecosystem in ["PyPI", "crates.io", "github"] {
        texts.extend(std::fs::read_to_string(shared.join(format!("{ecosystem}.jsonl"))));
    }
    let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |text: &str| {
        let record: Value = serde_json::from_str(text).unwrap();
        by_id.entry(record["id"].as_str().unwrap().to_owned()).or_insert(record);
    };
    texts.iter().flat_map(|text| text.lines()).for_each(&mut add);
    orders().iter().for_each(|record| add(&record.to_string()));
    for file in std::fs::read_dir(required("SUPPLY_ACTION_TOOLS_VULNDB")).unwrap() {
        add(&std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    by_id.into_values().collect()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    ecosystem: String,
    name: String,
    version: String,
}

impl fmt::Display for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.ecosystem, self.name, self.version)
    }
}

impl Package {
    fn purl(&self) -> String {
        let encoded = |text: &str| -> String {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let one = |byte: u8| match plain(byte) {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            };
            text.bytes().map(one).collect()
        };
        let (_, kind) = LANGUAGES.iter().find(|(name, _)| *name == self.ecosystem).unwrap();
        let name = match *kind {
            "maven" => self.name.replace(':', "/"),
            _ => self.name.clone(),
        };
        let name: Vec<String> = name.split('/').map(encoded).collect();
        let is_module = *kind == "golang" && !matches!(&*self.name, "stdlib" | "toolchain");
        let sign = if is_module { "v" } else { "" };
        format!("pkg:{kind}/{}@{sign}{}", name.join("/"), encoded(&self.version))
    }
}

/// Numbers and what may follow them, in ecosystems that have an order of their own.
#[rustfmt::skip]
const PARTS: [(&str, &[&str], &[&str]); 8] = [
    ("Go", SEMANTIC.0, SEMANTIC.1),
    ("npm", SEMANTIC.0, SEMANTIC.1),
    ("crates.io", SEMANTIC.0, SEMANTIC.1),
    ("PyPI", &["0.9", "1", "1.0", "1.0.1", "1.10", "2!0.1"],
        &["", ".dev1", "a1", "b2", "rc1", ".post1", "rc1.dev2", "a1.post2", "+local.1", "+local.abc"]),
    ("RubyGems", &["0.9", "1", "1.0", "1.0.1", "1.10", "2.0.0.0"],
        &["", ".a", ".a1", ".beta.2", ".rc1", ".pre", ".pre.1", ".1.rc2"]),
    ("Packagist", &["0.9", "1", "1.0", "1.0.1", "1.10.0", "2.0.0.0"],
        &["", "-alpha", "-alpha2", "-beta1", "-RC1", "-p1", "-dev", "-patch2"]),
    ("NuGet", &["0.9", "1.0", "1.0.0", "1.0.1", "1.0.0.1", "1.10.0"],
        &["", "-alpha", "-alpha.1", "-Alpha.2", "-beta-1", "-rc.10", "-rc.9", "-1", "+meta"]),
    ("Maven", &["0.9", "1", "1.0", "1.0.1", "1.10", "2.0.0"],
        &["", "-alpha-1", "-a1", "-beta2", "-milestone-1", "-rc1", "-cr2", "-SNAPSHOT", "-ga", ".Final",
            ".RELEASE", "-sp", "-sp-1", "-1", "-jre", "-android", ".1-rc1", "-foo", "-1-foo"]),
];
const SEMANTIC: (&[&str], &[&str]) = (
    &["0.9.9", "1.0.0", "1.0.1", "1.0.10", "1.2.0", "10.0.0"],
    &["", "-alpha", "-alpha.1", "-alpha.beta", "-beta.2", "-beta.11", "-rc.1", "-0", "-1", "-A"],
);

/// For each version a record that it and all later ones are affected: together they tell how each
/// two of them are ordered.
fn orders() -> Vec<Value> {
    let mut records = Vec::new();
    for (ecosystem, numbers, endings) in PARTS {
        let name = match ecosystem {
            "Go" | "Packagist" => "in/order",
            "Maven" => "in:order",
            _ => "in-order",
        };
        let endings = |number| endings.iter().map(move |ending| format!("{number}{ending}"));
        for (at, version) in numbers.iter().flat_map(endings).enumerate() {
            records.push(json!({
                "id": format!("ORDER-{ecosystem}-{at}"), "modified": "2026-11-01T00:00:00Z",
                "affected": [{
                    "package": { "ecosystem": ecosystem, "name": name },
                    "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": version }] }],
                }],
            }));
        }
    }
    records
}

/// The packages that records name, each in the versions that they name and in some beside them.
fn packages<'a>(records: impl Iterator<Item = &'a Value>) -> BTreeSet<Package> {
    let mut packages = BTreeSet::new();
    for entry in records.flat_map(entries) {
        let (ecosystem, name) = (ecosystem(entry), entry["package"]["name"].as_str());
        if !LANGUAGES.iter().any(|(language, _)| *language == ecosystem) {
            continue;
        }
        packages.extend(versions(entry, ecosystem).into_iter().map(|version| Package {
            ecosystem: ecosystem.to_owned(),
            name: name.unwrap().to_owned(),
            version,
        }));
    }
    packages
}

/// All records but those of Go's database, and some of these.
fn sample(records: &[Value]) -> impl Iterator<Item = &Value> {
    let is_of_go = |record: &Value| record["id"].as_str().unwrap().starts_with("GO-");
    let of_go = records.iter().filter(move |record| is_of_go(record)).step_by(SAMPLE);
    records.iter().filter(move |record| !is_of_go(record)).chain(of_go)
}

fn versions(affected: &Value, ecosystem: &str) -> BTreeSet<String> {
    let ranges = affected["ranges"].as_array().into_iter().flatten();
    let ranges = ranges.filter(|range| range["type"] != "GIT");
    let events = ranges.flat_map(|range| range["events"].as_array().into_iter().flatten());
    let of_events = events.flat_map(|event| event.as_object().unwrap().values());
    let listed: Vec<&Value> = affected["versions"].as_array().into_iter().flatten().collect();
    let of_list = listed.iter().take(2).chain(listed.last()).copied();
    let named: BTreeSet<&str> = of_events
        .chain(of_list)
        .filter_map(Value::as_str)
        .filter(|version| !["0", "*"].contains(version))
        .collect();
    let mut versions: BTreeSet<String> = named.iter().map(|it| (*it).to_owned()).collect();
    for version in named {
        if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            versions.extend(beside(version, ecosystem));
        }
    }
    versions
}

/// Versions right before and after a release, or the same one in other words.
fn beside(version: &str, ecosystem: &str) -> Vec<String> {
    let (start, last) = version.rsplit_once('.').unwrap_or(("0", version));
    let next = format!("{start}.{}", last.parse::<u64>().unwrap() + 1);
    let suffixes: &[&str] = match ecosystem {
        "PyPI" => &["rc9", ".post9", ".0", ".dev1"],
        "RubyGems" => &[".rc9", ".1", ".0"],
        "Packagist" => &["-RC9", "-p1", "-beta2"],
        // A version has four numbers at most.
        "NuGet" if version.matches('.').count() > 2 => &["-rc.9", "-RC.10"],
        "NuGet" => &["-rc.9", ".0", "-RC.10"],
        "Maven" => &["-SNAPSHOT", "-1", "-rc-9", ".Final", "-alpha-1"],
        "Go" => &["-rc.9"],
        _ => &["-rc.9", "+build.1"],
    };
    suffixes.iter().map(|suffix| format!("{version}{suffix}")).chain([next]).collect()
}

/// The flaws of each package, each by its ids.
type Found = BTreeMap<Package, Vec<BTreeSet<String>>>;

fn texts(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned())
}

fn theirs(packages: &BTreeSet<Package>, advisories: &Advisories) -> Found {
    let folder = &advisories.folder;
    let entries: Vec<Value> = packages
        .iter()
        .map(|it| json!({ "package": { "ecosystem": it.ecosystem, "name": it.name, "version": it.version } }))
        .collect();
    let (list, output) = (folder.join("osv-scanner.json"), folder.join("theirs.json"));
    let document = json!({ "results": [{ "packages": entries }] });
    std::fs::write(&list, document.to_string()).unwrap();
    let status = Command::new(tool("OSV_SCANNER"))
        .args(["scan", "source", "--offline", "--all-vulns", "--format", "json"])
        .arg("--local-db-path")
        .arg(folder)
        .arg("--output-file")
        .arg(&output)
        .arg("-L")
        .arg(format!("osv-scanner:{}", list.display()))
        .env("HOME", folder)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1), "it finds flaws, and all questions have answers");
    let said: Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    let mut found = Found::new();
    let results = said["results"].as_array().unwrap().iter();
    for entry in results.flat_map(|result| result["packages"].as_array().unwrap()) {
        let text = |field: &str| entry["package"][field].as_str().unwrap().to_owned();
        let package =
            Package { ecosystem: text("ecosystem"), name: text("name"), version: text("version") };
        let groups = entry["groups"].as_array().unwrap().iter();
        let groups = groups.map(|group| texts(&group["ids"]).chain(texts(&group["aliases"])));
        found.entry(package).or_default().extend(groups.map(Iterator::collect));
    }
    found
}

/// What we find, and the packages that we do not judge, with the reason.
fn ours(
    packages: &BTreeSet<Package>,
    advisories: &Advisories,
) -> (Found, BTreeMap<Package, String>) {
    let by_purl: BTreeMap<String, &Package> =
        packages.iter().map(|package| (package.purl(), package)).collect();
    assert_eq!(by_purl.len(), packages.len());
    let said: Value = serde_json::from_str(&scan(by_purl.keys(), advisories, "json")).unwrap();
    let of = |purl: &Value| (*by_purl[purl.as_str().unwrap()]).clone();
    let mut found = Found::new();
    for result in said["results"].as_array().unwrap() {
        let facts = &result["annotations"][0];
        let own = [result["id"].as_str().unwrap().to_owned()];
        let ids = own.into_iter().chain(texts(&facts["aliases"])).collect();
        found.entry(of(&facts["package"])).or_default().push(ids);
    }
    let unassessed = said["images"][0]["notAssessed"].as_array().unwrap().iter();
    let unassessed =
        unassessed.map(|it| (of(&it["package"]), it["why"].as_str().unwrap().to_owned()));
    (found, unassessed.collect())
}

/// What our scan writes of an SBOM that lists these.
fn scan<'a>(
    purls: impl Iterator<Item = &'a String>,
    advisories: &Advisories,
    format: &str,
) -> String {
    let component = |purl: &String| json!({ "type": "library", "name": "x", "purl": purl });
    let components: Vec<Value> = purls.map(component).collect();
    let document =
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components });
    let path = |name: &str| advisories.folder.join(name).display().to_string();
    let (sbom, output) = (path("all.cdx.json"), path(&format!("ours.{format}")));
    std::fs::write(&sbom, document.to_string()).unwrap();
    let (success, said) = judge(
        &required("SUPPLY_ACTION_BIN"),
        &[
            "scan",
            "--advisories",
            &path("osv-scalibr"),
            "--fail-on",
            "none",
            "--format",
            format,
            "-o",
            &output,
            &sbom,
        ],
    );
    assert!(success, "{said}");
    std::fs::read_to_string(output).unwrap()
}

/// A flaw of a package that only one side finds, or that the sides group otherwise.
struct Difference<'a> {
    side: &'static str,
    package: &'a Package,
    ids: &'a BTreeSet<String>,
}

fn differences<'a>(ours: &'a Found, theirs: &'a Found) -> Vec<Difference<'a>> {
    let mut differences = Vec::new();
    let mut compare = |found: &'a Found, other: &'a Found, alone: &'static str, many| {
        for (package, groups) in found {
            let others = other.get(package).map(Vec::as_slice).unwrap_or_default();
            for ids in groups {
                let side = match others.iter().filter(|it| !it.is_disjoint(ids)).count() {
                    0 => alone,
                    1 => continue,
                    _ => many,
                };
                differences.push(Difference { side, package, ids });
            }
        }
    };
    compare(ours, theirs, "ours", "joined");
    compare(theirs, ours, "theirs", "split");
    differences
}

/// One line of the table: which differences it explains, and why.
struct Explained {
    side: String,
    ecosystem: String,
    package: String,
    record: String,
    property: String,
}

fn explained() -> Vec<Explained> {
    let lines = include_str!("../fixtures/scan/explained.tsv").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let [side, ecosystem, package, record, property, reason]: [String; 6] =
            cells.try_into().unwrap_or_else(|_| panic!("six cells: {line}"));
        assert!(!reason.is_empty(), "{line}");
        Explained { side, ecosystem, package, record, property }
    };
    lines.map(read).collect()
}

/// `*` at the end stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

impl Explained {
    /// The difference is of a record that has the property that the line is about.
    fn explains(&self, of: &Difference<'_>, entries: &[(&str, &Value)], why: Option<&str>) -> bool {
        let holds = |entry: &Value| match self.property.as_str() {
            "-" => true,
            "git-first" => entry["ranges"][0]["type"] == "GIT",
            "limit" => entry["ranges"].to_string().contains("\"limit\""),
            "custom-ranges" => entry["ecosystem_specific"]["custom_ranges"].is_array(),
            "listed" => {
                let mut listed = texts(&entry["versions"]).peekable();
                listed.peek().is_some() && listed.all(|version| version != of.package.version)
            }
            "not-assessed" => why.is_some(),
            other => panic!("no property is called {other}"),
        };
        self.side == of.side
            && fits(&self.ecosystem, &of.package.ecosystem)
            && fits(&self.package, &of.package.name)
            && entries.iter().any(|(id, entry)| fits(&self.record, id) && holds(entry))
    }
}

/// Compares two scans and fails where the table does not tell why they differ; gives how many
/// differences each line of the table explains.
fn explain(
    (ours, unassessed): &(Found, BTreeMap<Package, String>),
    theirs: &Found,
    records: &[Value],
    table: &[Explained],
) -> Vec<usize> {
    let mut by_package: BTreeMap<(&str, &str), Vec<(&str, &Value)>> = BTreeMap::new();
    for record in records {
        for entry in entries(record) {
            let key = (ecosystem(entry), entry["package"]["name"].as_str().unwrap_or_default());
            by_package.entry(key).or_default().push((record["id"].as_str().unwrap(), entry));
        }
    }
    let mut used = vec![0; table.len()];
    let mut unexplained = Vec::new();
    for difference in differences(ours, theirs) {
        let package = difference.package;
        let about = by_package[&(package.ecosystem.as_str(), package.name.as_str())].iter();
        let about: Vec<(&str, &Value)> =
            about.copied().filter(|(id, _)| difference.ids.contains(*id)).collect();
        let why = unassessed.get(package).map(String::as_str);
        match table.iter().position(|line| line.explains(&difference, &about, why)) {
            Some(line) => used[line] += 1,
            None => unexplained
                .push(format!("{}\t{package}\t{:?}\t{why:?}", difference.side, difference.ids)),
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} unexplained:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    let count = |found: &Found| found.values().map(Vec::len).sum::<usize>();
    assert!(count(ours) > 500 && count(theirs) > 500);
    used
}

#[test]
fn osv_scanner_finds_what_we_find_and_every_difference_is_explained() {
    let packages = packages(sample(&ADVISORIES.records));
    for (ecosystem, _) in LANGUAGES {
        let asked = packages.iter().filter(|package| package.ecosystem == ecosystem).count();
        assert!(asked >= 8, "{asked} packages of {ecosystem}");
    }
    let table = explained();
    let (ours, theirs) = (ours(&packages, &ADVISORIES), theirs(&packages, &ADVISORIES));
    let used = explain(&ours, &theirs, &ADVISORIES.records, &table);
    let unused = table.iter().zip(&used).filter(|(_, used)| **used == 0);
    let unused: Vec<&str> = unused.map(|(line, _)| line.property.as_str()).collect();
    assert!(unused.is_empty(), "lines of the table that explain nothing: {unused:?}");
}

/// Go's database tells what it knows of versions that are no tags of Go in ranges of their own.
/// osv-scanner is told them as the others.
#[test]
fn osv_scanner_finds_what_we_find_by_the_ranges_of_other_versions() {
    let is_every_version = |entry: &Value| {
        entry["ranges"].as_array().is_some_and(|ranges| {
            ranges.iter().all(|range| range["events"] == json!([{ "introduced": "0" }]))
        })
    };
    let custom = |entry: &Value| entry["ecosystem_specific"]["custom_ranges"].clone();
    let is_custom = |entry: &Value| is_every_version(entry) && custom(entry).is_array();
    let records: Vec<Value> =
        ADVISORIES.records.iter().filter(|it| entries(it).any(is_custom)).cloned().collect();
    assert!(records.len() > 300, "{}", records.len());
    let mut told = records.clone();
    for record in &mut told {
        for entry in record["affected"].as_array_mut().unwrap() {
            if is_custom(entry) {
                entry["ranges"] = custom(entry);
            }
        }
    }
    let (original, told) = (Advisories::of("custom", records), Advisories::of("told", told));
    let packages = packages(told.records.iter());
    let table: Vec<Explained> =
        explained().into_iter().filter(|line| line.property == "not-assessed").collect();
    let (ours, theirs) = (ours(&packages, &original), theirs(&packages, &told));
    explain(&ours, &theirs, &original.records, &table);
}

#[test]
fn what_we_write_as_sarif_is_valid_by_its_schema() {
    let packages = packages(sample(&ADVISORIES.records));
    let purls: Vec<String> = packages.iter().map(Package::purl).collect();
    let text = scan(purls.iter(), &ADVISORIES, "sarif");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [program, schema] =
        ["tools/python/judge.py", "tests/fixtures/schemas/sarif-2.1.0-rtm.5.json"]
            .map(|path| root.join(path).display().to_string());
    let judged = |name: &str, text: &str| {
        let file = ADVISORIES.folder.join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        judge(&tool("PYTHON"), &[&program, "sarif", &schema, &file])
    };
    let (success, said) = judged("valid.sarif", &text);
    assert!(success, "{said}");
    let results: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(results > 500, "{said}");
    // The judge reads what it is given.
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["runs"][0]["results"][0]["level"] = json!("severe");
    let (success, said) = judged("invalid.sarif", &document.to_string());
    assert!(!success && said.contains("severe"), "{said}");
}
