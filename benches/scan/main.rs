//! The scan of many packages: against an OSV service that is far away, and beside osv-scanner on
//! advisories at hand. It fails when a bar is missed, and never compares with figures of another day.
//!
//! Both are whole processes, from start to exit, that read the same records and the same packages.
//! They take turns. The service is the sandbox's, on this machine, with a latency for each request.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench prints, and fails by panicking"
)]

#[path = "../sbom/process.rs"]
#[expect(dead_code, reason = "it measures more than is told here")]
mod process;
mod subjects;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use process::{Run, median};
use serde_json::Value;
use subjects::{Listed, Record};
use supply_action::sandbox::{self, Sandbox, SandboxConfig, SandboxService};

/// How often each side runs in each place; the median counts.
const RUNS: usize = 5;
const RUNS_OF_SCANNER: usize = 3;
const LATENCY: Duration = Duration::from_millis(50);
/// As many as a large image has, twice over, and the records that are about them.
const PACKAGES: usize = 10_000;
const RECORDS: usize = 1_000;
const LONGEST: f64 = 5.0;
const LARGEST_MEMORY: u64 = 64 << 20;
/// Packages that both sides scan at hand: every one has a record, as those without cost osv-scanner
/// as much time and show nothing.
const BESIDE: usize = 500;
/// Ours takes at most one part in `FASTER` of osv-scanner's time.
const FASTER: f64 = 10.0;

/// What is needed, from `tools/with-tools --scan`.
struct Tools {
    scanner: PathBuf,
    python: PathBuf,
    /// Go's vulnerability database, a file a record.
    records: PathBuf,
}

impl Tools {
    fn found() -> Option<Self> {
        let path = |name: &str| {
            let found = std::env::var_os(name).map(PathBuf::from);
            if found.is_none() {
                println!("{name} is not set: run this with `make bench-scan`");
            }
            found
        };
        Some(Self {
            scanner: path("SUPPLY_ACTION_TOOLS_OSV_SCANNER")?,
            python: path("SUPPLY_ACTION_TOOLS_PYTHON")?,
            records: path("SUPPLY_ACTION_TOOLS_VULNDB")?,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(tools) = Tools::found() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().unwrap();
    let records = Record::all(&tools.records);
    let listed = folder.path().join("listed");
    std::fs::create_dir(&listed).unwrap();
    let lines: String = records.iter().map(|record| format!("{}\n", record.json)).collect();
    std::fs::write(listed.join("go.jsonl"), lines).unwrap();
    let bench = Bench { tools, folder: folder.path().to_owned(), records };
    heading();
    let mut bars = bench.far(&listed).await;
    bars.extend(bench.at_hand(&listed).await);
    println!();
    for (met, text) in &bars {
        println!("{} {text}", if *met { "✓" } else { "✗" });
    }
    if bars.iter().all(|(met, _)| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a bar is met, and what it is.
type Bar = (bool, String);

struct Bench {
    tools: Tools,
    folder: PathBuf,
    records: Vec<Record>,
}

impl Bench {
    async fn sandbox(&self, name: &str, latency: Duration, listed: &Path) -> Sandbox {
        let mut config = SandboxConfig::new(self.folder.join(name));
        config.latency = latency;
        config.advisories = Some(listed.to_owned());
        sandbox::start(config).await.unwrap()
    }

    /// Many packages, of which nothing is known yet.
    async fn far(&self, listed: &Path) -> Vec<Bar> {
        let packages = Listed::with_records(&self.records, RECORDS).filled(PACKAGES);
        let sbom = self.folder.join("far.cdx.json");
        std::fs::write(&sbom, packages.cyclonedx().to_string()).unwrap();
        let world = self.sandbox("far", LATENCY, listed).await;
        let (mut runs, mut asked) = (Vec::new(), 0);
        for _ in 0..RUNS {
            let before = of_osv(&world);
            runs.push(self.ours(&sbom, &["--osv-url", world.osv()]));
            asked = of_osv(&world) - before;
        }
        world.stop().await;
        let run = median(runs);
        let (found, flaws) = (records_of_ours(&run), findings_of_ours(&run));
        let what = format!("ours, service {} ms away", LATENCY.as_millis());
        tell(&what, &run, packages.len(), found.len(), None);
        println!("  {asked} requests, {flaws} findings");
        let memory = run.memory as f64 / 1_048_576.0;
        vec![
            (
                run.wall <= LONGEST,
                format!(
                    "{} packages, cold: {:.2} s; the bar is {LONGEST} s",
                    packages.len(),
                    run.wall
                ),
            ),
            (
                run.memory <= LARGEST_MEMORY,
                format!("{memory:.0} MiB at most; the bar is {}", LARGEST_MEMORY >> 20),
            ),
            (
                found.len() >= RECORDS,
                format!("{} records are met; the bar is {RECORDS}", found.len()),
            ),
        ]
    }

    /// The same packages by both sides, with advisories at hand that both read.
    async fn at_hand(&self, listed: &Path) -> Vec<Bar> {
        let packages = Listed::with_packages(&self.records, BESIDE);
        let [sbom, list] = ["near.cdx.json", "osv-scanner.json"].map(|name| self.folder.join(name));
        std::fs::write(&sbom, packages.cyclonedx().to_string()).unwrap();
        std::fs::write(&list, packages.for_osv_scanner().to_string()).unwrap();
        let at_hand = self.folder.join("osv-scalibr");
        let world = self.sandbox("near", Duration::ZERO, listed).await;
        self.update(world.osv(), &at_hand);
        world.stop().await;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for number in 0..RUNS.max(RUNS_OF_SCANNER) {
            // In turns, so that a busy minute is not one side's alone.
            if number < RUNS {
                ours.push(self.ours(&sbom, &["--advisories", at_hand.to_str().unwrap()]));
            }
            if number < RUNS_OF_SCANNER {
                theirs.push(self.theirs(&list));
            }
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let (own, other) = (records_of_ours(&ours), records_of_theirs(&theirs));
        let faster = theirs.wall / ours.wall;
        tell("ours, at hand", &ours, packages.len(), own.len(), Some(faster));
        tell("  osv-scanner", &theirs, packages.len(), other.len(), None);
        let both = own.intersection(&other).count();
        println!("  {both} records are met by both");
        vec![
            (
                faster >= FASTER,
                format!("at hand: {faster:.1} times as fast as osv-scanner; the bar is {FASTER}"),
            ),
            (
                both * 10 >= other.len() * 9,
                format!(
                    "{both} of the {} records that osv-scanner meets; tests explain the others",
                    other.len()
                ),
            ),
        ]
    }

    /// Fetches the archive that both sides read.
    fn update(&self, service: &str, to: &Path) {
        let status = Command::new(env!("CARGO_BIN_EXE_supply-action"))
            .args(["advisories", "update", "--from", service, "--ecosystem", "Go", "--to"])
            .arg(to)
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        // osv-scanner stops at what it has no archive of, unless there is this one.
        std::fs::create_dir_all(to.join("GIT")).unwrap();
        let empty_zip = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        std::fs::write(to.join("GIT/all.zip"), empty_zip).unwrap();
    }

    fn ours(&self, sbom: &Path, source: &[&str]) -> Run {
        let out = self.folder.join("ours.json");
        let told = ["--fail-on", "none", "--format", "json", "-o", out.to_str().unwrap()];
        let arguments = [&["scan"], source, &told, &[sbom.to_str().unwrap()]].concat();
        let program = Path::new(env!("CARGO_BIN_EXE_supply-action"));
        process::run(&self.tools.python, program, &arguments, &[], &out)
    }

    fn theirs(&self, list: &Path) -> Run {
        let out = self.folder.join("theirs.json");
        let (folder, list) =
            (self.folder.to_str().unwrap(), format!("osv-scanner:{}", list.display()));
        let arguments = [
            "scan",
            "source",
            "--offline",
            "--all-vulns",
            "--format",
            "json",
            "--local-db-path",
            folder,
            "--output-file",
            out.to_str().unwrap(),
            "-L",
            &list,
        ];
        // It ends so where it finds flaws.
        let (code, environment) = (1, [("HOME", folder)]);
        process::run_to(
            code,
            &self.tools.python,
            &self.tools.scanner,
            &arguments,
            &environment,
            &out,
        )
    }
}

fn of_osv(world: &Sandbox) -> usize {
    world.requests().iter().filter(|request| request.service == SandboxService::Osv).count()
}

fn heading() {
    println!(
        "Scans of packages, medians of {RUNS} runs of ours and {RUNS_OF_SCANNER} of osv-scanner's. `memory` is the largest process's.\n"
    );
    println!(
        "{:<30} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8}",
        "", "wall", "CPU", "memory", "packages", "records", "faster"
    );
}

fn tell(what: &str, run: &Run, packages: usize, records: usize, faster: Option<f64>) {
    let faster = faster.map(|faster| format!("{faster:.1} ×")).unwrap_or_default();
    println!(
        "{what:<30} {:>6.2} s {:>6.2} s {:>6.1} MB {packages:>9} {records:>9} {faster:>8}",
        run.wall,
        run.cpu,
        run.memory as f64 / 1e6,
    );
}

/// Records of Go's database that are met.
fn of_go(ids: impl Iterator<Item = String>) -> BTreeSet<String> {
    ids.filter(|id| id.starts_with("GO-")).collect()
}

fn results(run: &Run) -> Vec<Value> {
    let said: Value = serde_json::from_slice(&run.document).unwrap();
    said["results"].as_array().unwrap().clone()
}

fn findings_of_ours(run: &Run) -> usize {
    results(run).len()
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn records_of_ours(run: &Run) -> BTreeSet<String> {
    let ids = results(run).into_iter().flat_map(|result| {
        let own = result["id"].as_str().unwrap().to_owned();
        texts(&result["annotations"][0]["aliases"]).into_iter().chain([own])
    });
    of_go(ids)
}

fn records_of_theirs(run: &Run) -> BTreeSet<String> {
    let packages = results(run).into_iter();
    let packages = packages.flat_map(|result| result["packages"].as_array().unwrap().clone());
    let groups = packages.flat_map(|package| package["groups"].as_array().unwrap().clone());
    of_go(groups.flat_map(|group| texts(&group["ids"])))
}
