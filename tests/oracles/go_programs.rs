//! govulncheck on programs that are built here, beside our scan of the same files and the same
//! database: what it finds in a linked package we find, and what we find it finds in the module.
//! Go's own `nm` says which packages are there. It names no flaw itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use supply_action::sbom::linked::LinkedPackages;

use crate::support::{judge, required, tool, world};

/// A flaw in a module.
type Flaw = (String, String);

/// How near govulncheck sees a flaw: the module's version, a package that is linked, a function.
#[derive(Debug, Default)]
struct Levels {
    module: BTreeSet<Flaw>,
    package: BTreeSet<Flaw>,
    symbol: BTreeSet<Flaw>,
}

/// Go's database as govulncheck reads it and as our scan does, of the same records.
struct Database {
    theirs: PathBuf,
    ours: PathBuf,
    /// The records of each other id.
    known_as: BTreeMap<String, Vec<String>>,
}

static DATABASE: LazyLock<Database> = LazyLock::new(|| {
    let folder = world().folder.join("vulndb");
    let (theirs, listed) = (folder.join("theirs"), folder.join("listed"));
    for name in ["theirs/ID", "theirs/index", "listed"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut modules: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    let (mut all, mut lines) = (Vec::new(), String::new());
    let mut known_as: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in std::fs::read_dir(required("SUPPLY_ACTION_TOOLS_VULNDB")).unwrap() {
        let record: Value =
            serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let (id, modified) = (record["id"].as_str().unwrap(), &record["modified"]);
        std::fs::write(theirs.join("ID").join(format!("{id}.json")), record.to_string()).unwrap();
        all.push(json!({ "id": id, "modified": modified, "aliases": record["aliases"] }));
        for alias in record["aliases"].as_array().into_iter().flatten() {
            known_as.entry(alias.as_str().unwrap().to_owned()).or_default().push(id.to_owned());
        }
        for entry in record["affected"].as_array().unwrap() {
            let module = entry["package"]["name"].as_str().unwrap().to_owned();
            let about = json!({ "id": id, "modified": modified });
            modules.entry(module).or_default().insert(id.to_owned(), about);
        }
        lines.push_str(&format!("{record}\n"));
    }
    let modules: Vec<Value> = modules
        .iter()
        .map(|(path, of)| json!({ "path": path, "vulns": of.values().collect::<Vec<_>>() }))
        .collect();
    for (name, value) in [
        ("db.json", json!({ "modified": "2026-11-05T00:00:00Z" })),
        ("modules.json", json!(modules)),
        ("vulns.json", json!(all)),
    ] {
        std::fs::write(theirs.join("index").join(name), value.to_string()).unwrap();
    }
    std::fs::write(listed.join("all.jsonl"), lines).unwrap();
    let served = crate::support::sandbox_with_advisories(&folder.join("sandbox"), &listed);
    let ours = folder.join("ours");
    let update = ["advisories", "update", "--from", served.osv(), "--ecosystem", "Go", "--to"];
    let (success, said) =
        judge(&required("SUPPLY_ACTION_BIN"), &[&update[..], &[ours.to_str().unwrap()]].concat());
    assert!(success, "{said}");
    Database { theirs, ours, known_as }
});

/// The source of a program with known flaws, as Go takes it.
static SOURCE: LazyLock<PathBuf> = LazyLock::new(|| {
    let (from, to) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scan/flawed"),
        world().folder.join("go-programs/source"),
    );
    std::fs::create_dir_all(&to).unwrap();
    for (original, name) in
        [("main.go", "main.go"), ("go.mod.text", "go.mod"), ("go.sum.text", "go.sum")]
    {
        std::fs::copy(from.join(original), to.join(name)).unwrap();
    }
    to
});

/// Builds the program into a folder of its own, of the modules that tools/setup has fetched.
fn built(name: &str, os: &str, flags: &[&str]) -> PathBuf {
    let program = world().folder.join("go-programs").join(name).join("usr/bin/flawed");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    let output = Command::new("go")
        .current_dir(SOURCE.as_path())
        .env_remove("GOROOT")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOOS", os)
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .args(["build", "-trimpath", "-buildvcs=false"])
        .args(flags)
        .arg("-o")
        .arg(&program)
        .arg(".")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn theirs(program: &Path) -> Levels {
    let output = Command::new(tool("GOVULNCHECK"))
        .args(["-mode=binary", "-format=json", "-db"])
        .arg(format!("file://{}", DATABASE.theirs.display()))
        .arg(program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut levels = Levels::default();
    for message in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
        let message = message.unwrap();
        let finding = &message["finding"];
        let Some(id) = finding["osv"].as_str() else { continue };
        let place = &finding["trace"][0];
        let flaw = (place["module"].as_str().unwrap().to_owned(), id.to_owned());
        let level = match (&place["function"], &place["package"]) {
            (Value::String(_), _) => &mut levels.symbol,
            (_, Value::String(_)) => &mut levels.package,
            _ => &mut levels.module,
        };
        level.insert(flaw);
    }
    levels
}

/// What we find of the program, or of an SBOM of it, and what we say is not in it.
fn ours(what: &Path, os: &str) -> (BTreeSet<Flaw>, BTreeSet<Flaw>) {
    let root = what.to_str().unwrap();
    let output = Path::new(root).with_extension("json");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let platform = format!("{os}/{arch}");
    let arguments = [
        "scan",
        "--platform",
        &platform,
        "--advisories",
        DATABASE.ours.to_str().unwrap(),
        "--fail-on",
        "none",
        "--format",
        "json",
        "-o",
        output.to_str().unwrap(),
        root,
    ];
    let (success, said) = judge(&required("SUPPLY_ACTION_BIN"), &arguments);
    assert!(success, "{said}");
    let found: Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    let module = |purl: &Value| {
        let name = purl.as_str().unwrap().strip_prefix("pkg:golang/").unwrap();
        name.split('@').next().unwrap().to_owned()
    };
    let of_go = |id: &str| id.starts_with("GO-");
    let flaws = found["results"].as_array().unwrap().iter().flat_map(|result| {
        let facts = &result["annotations"][0];
        let ids = facts["aliases"].as_array().unwrap().iter().chain([&result["id"]]);
        let ids = ids.filter_map(Value::as_str).filter(|id| of_go(id));
        ids.map(|id| (module(&facts["package"]), id.to_owned())).collect::<Vec<_>>()
    });
    let absent = found["images"][0]["codeNotPresent"].as_array().unwrap().iter();
    let absent = absent.flat_map(|it| {
        let id = it["id"].as_str().unwrap();
        let known = DATABASE.known_as.get(id).cloned().unwrap_or_else(|| vec![id.to_owned()]);
        known.into_iter().map(|id| (module(&it["package"]), id)).collect::<Vec<_>>()
    });
    (flaws.collect(), absent.collect())
}

/// The folder that a program was built into, as if it were an image.
fn root(program: &Path) -> &Path {
    program.ancestors().nth(3).unwrap()
}

/// Our SBOM of a program, in this format.
fn sbom(program: &Path, format: &str) -> PathBuf {
    let root = root(program);
    let file = root.with_extension(format!("{format}.json"));
    let arguments =
        ["--format", format, "--output", file.to_str().unwrap(), root.to_str().unwrap()];
    let (success, said) =
        judge(&required("SUPPLY_ACTION_BIN"), &[&["sbom"], &arguments[..]].concat());
    assert!(success, "{said}");
    file
}

/// Of the modules in an SBOM of ours, the packages that it says are linked: all below an `internal`
/// as that directory, as the document has them.
fn linked_in(document: &Path) -> BTreeMap<String, LinkedPackages> {
    let document: Value = serde_json::from_slice(&std::fs::read(document).unwrap()).unwrap();
    let packages = document["packages"].as_array().unwrap().iter();
    let linked = packages.filter_map(|package| {
        let comment = package["comment"].as_str()?.strip_prefix("Linked: `")?;
        let name = package["name"].as_str().unwrap();
        let text = comment.split('`').next().unwrap();
        Some((name.to_owned(), LinkedPackages::read(text, name).unwrap()))
    });
    linked.collect()
}

/// The packages whose functions Go's own `nm` names.
fn packages_by_nm(program: &Path) -> BTreeSet<String> {
    let output = Command::new("go")
        .env_remove("GOROOT")
        .env("GOTOOLCHAIN", "local")
        .args(["tool", "nm"])
        .arg(program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let functions = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == "T").then(|| words.next()).flatten()
    });
    let package = |name: &str| {
        let name = name.split(['(', '[']).next().unwrap();
        let from = name.rfind('/').map_or(0, |slash| slash + 1);
        let dot = name[from..].find('.')?;
        Some(name[..from + dot].replace("%2e", "."))
    };
    functions
        .filter(|name| !name.starts_with("type:") && !name.starts_with("go:"))
        .filter_map(package)
        .collect()
}

/// What is linked is told alike by every kind of file and by one without symbols, and at least what
/// Go itself names; the list takes a tenth of a document at most.
#[test]
fn the_packages_of_a_program_are_those_that_go_names() {
    let mut all: Vec<BTreeMap<String, LinkedPackages>> = Vec::new();
    for (name, os, flags) in [
        ("plain", "linux", &[][..]),
        ("stripped", "linux", &["-ldflags=-s -w"]),
        ("pie", "linux", &["-buildmode=pie"]),
        ("windows", "windows", &[]),
        ("windows-stripped", "windows", &["-ldflags=-s -w"]),
        ("macos", "darwin", &[]),
        ("macos-stripped", "darwin", &["-ldflags=-s -w"]),
    ] {
        let program = built(&format!("linked-{name}"), os, flags);
        let linked = linked_in(&sbom(&program, "spdx-json"));
        let modules: Vec<&str> = linked.keys().map(String::as_str).collect();
        let expected = [
            "example.com/flawed",
            "golang.org/x/crypto",
            "golang.org/x/text",
            "gopkg.in/yaml.v2",
            "stdlib",
        ];
        assert_eq!(modules, expected, "{name}");
        if !name.ends_with("stripped") {
            let named = packages_by_nm(&program);
            assert!(named.len() > 30, "{named:?}");
            for package in named.iter().filter(|it| *it != "main" && !it.starts_with('_')) {
                let module =
                    expected.iter().find(|it| package.starts_with(*it)).unwrap_or(&"stdlib");
                assert!(linked[*module].has(package), "{name}: {package} in {module}");
            }
        }
        assert!(!linked["golang.org/x/crypto"].has("golang.org/x/crypto/openpgp"), "{name}");
        all.push(linked);
    }
    assert_eq!(all[0], all[1], "stripped or not");
    assert_eq!(all[3], all[4], "stripped or not, for Windows");
    assert_eq!(all[5], all[6], "stripped or not, for macOS");
}

#[test]
fn govulncheck_finds_what_we_find_in_a_program() {
    let mut linked: BTreeMap<&str, BTreeSet<Flaw>> = BTreeMap::new();
    for (name, os, flags) in [
        ("plain", "linux", &[][..]),
        ("stripped", "linux", &["-ldflags=-s -w"]),
        ("windows", "windows", &[]),
    ] {
        let program = built(name, os, flags);
        let levels = theirs(&program);
        let (ours, absent) = self::ours(root(&program), os);
        for format in ["spdx-json", "cyclonedx-json"] {
            let of_document = self::ours(&sbom(&program, format), os);
            assert_eq!(of_document, (ours.clone(), absent.clone()), "{name}: by its SBOM");
        }
        let own: BTreeSet<Flaw> = levels.package.union(&levels.symbol).cloned().collect();
        // Without a table of symbols it takes all of a module for linked.
        assert_eq!(own.len() < levels.module.len(), name != "stripped", "{levels:?}");
        // The same code is in both programs, whatever one of them tells of it.
        let linked = linked.entry(os).or_insert(own);
        assert!(linked.len() > 10, "{linked:?}");
        let missed: Vec<_> = linked.iter().filter(|it| !ours.contains(*it)).collect();
        assert!(missed.is_empty(), "{name}: linked, and not found by us: {missed:?}");
        assert!(absent.len() > 10, "{name}: of packages that are not linked: {absent:?}");
        let denied: Vec<_> = absent.iter().filter(|it| linked.contains(*it)).collect();
        assert!(denied.is_empty(), "{name}: linked, and absent for us: {denied:?}");
        let alone: Vec<_> = ours.difference(&levels.module).collect();
        assert!(alone.is_empty(), "{name}: found by us alone: {alone:?}");
        let told: BTreeSet<Flaw> = ours.union(&absent).cloned().collect();
        let missed: Vec<_> = levels.module.difference(&told).collect();
        assert!(missed.is_empty(), "{name}: of a module, and not told by us: {missed:?}");
    }
}
