//! The SBOM of images beside syft's, on the same machine in the same run: time, memory, bytes, and
//! what was found. It fails when a bar is missed, and never compares with figures of another day.
//!
//! Both are whole processes, from start to exit, that read the same gzip layers and write the same
//! format, SPDX 2.3. They take turns. `GOMAXPROCS` is to syft what `--threads` is to us.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench prints, and fails by panicking"
)]

mod process;
mod recall;
mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use process::{Run, median};
use recall::{Document, Explained, Truth};
use registry::Registry;

/// How often each side runs in each place; the median counts.
const RUNS: (usize, usize) = (3, 1);
const RUNS_OF_SMALL: (usize, usize) = (5, 3);
/// Ours takes at most one part in `FASTER` of syft's time, with as many threads as `BARRED`, which
/// both take by themselves on two cores. With one it is told, and no bar.
const FASTER: f64 = 10.0;
const BARRED: usize = 2;
const LARGEST_MEMORY: u64 = 128 << 20;
/// Of the versioned purls that syft finds, per ecosystem. What Java archives are called is a guess
/// more often than not.
const RECALL: f64 = 0.995;
const RECALL_OF_MAVEN: f64 = 0.95;
/// Bytes of SPDX for a package.
const LARGEST_SHARE: f64 = 3_000_000.0 / 3_000.0;

/// What is needed, from `tools/with-tools --sbom`.
struct Tools {
    syft: PathBuf,
    registry: PathBuf,
    crane: PathBuf,
    python: PathBuf,
    /// The folder of `tools/fat-corpus`.
    fat: PathBuf,
    /// That of `tools/images`.
    images: PathBuf,
}

impl Tools {
    fn found() -> Option<Self> {
        let path = |name: &str| {
            let found = std::env::var_os(name).map(PathBuf::from);
            if found.is_none() {
                println!("{name} is not set: run this with `make bench-sbom`");
            }
            found
        };
        Some(Self {
            syft: path("SUPPLY_ACTION_TOOLS_SYFT_GO")?,
            registry: path("SUPPLY_ACTION_TOOLS_REGISTRY")?,
            crane: path("SUPPLY_ACTION_TOOLS_CRANE")?,
            python: path("SUPPLY_ACTION_TOOLS_PYTHON")?,
            fat: path("SUPPLY_ACTION_FAT_CORPUS")?,
            images: path("SUPPLY_ACTION_IMAGES")?,
        })
    }
}

/// Both sides' runs in one place with as many threads.
struct Round {
    what: &'static str,
    threads: usize,
    ours: Run,
    syft: Option<Run>,
}

impl Round {
    fn faster(&self) -> Option<f64> {
        self.syft.as_ref().map(|syft| syft.wall / self.ours.wall)
    }

    /// Prints ours beside syft's.
    fn told(self) -> Self {
        for (who, run) in [("ours", Some(&self.ours)), ("syft", self.syft.as_ref())] {
            let Some(run) = run else { continue };
            let label = if who == "ours" { self.label() } else { format!("  {who}") };
            let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
            let faster = self
                .faster()
                .filter(|_| who == "ours")
                .map(|faster| format!("{faster:.1} ×"))
                .unwrap_or_default();
            println!(
                "{label:<30} {:>6.2} s {:>6.2} s {:>9} {:>9} {:>9} {:>9} {:>9} {faster:>8}",
                run.wall,
                run.cpu,
                megabytes(run.memory),
                megabytes(run.read),
                megabytes(run.written),
                Document::of(&run.document).packages,
                megabytes(run.document.len() as u64),
            );
        }
        self
    }

    fn label(&self) -> String {
        format!(
            "{}, {} thread{}",
            self.what,
            self.threads,
            if self.threads == 1 { "" } else { "s" }
        )
    }
}

/// Where an image is, as each side is told.
struct Place {
    what: &'static str,
    ours: String,
    syft: String,
}

fn main() -> ExitCode {
    let Some(tools) = Tools::found() else { return ExitCode::FAILURE };
    // Beside the corpus: syft unpacks it here, and the temporary folder may be in memory.
    let folder = tempfile::tempdir_in(tools.fat.parent().unwrap_or(&tools.fat)).unwrap();
    let bench = Bench { tools, folder: folder.path().to_owned() };
    if bench.met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Bench {
    tools: Tools,
    folder: PathBuf,
}

impl Bench {
    fn met(&self) -> bool {
        let fat = self.tools.fat.join("layout");
        let layout = Place {
            what: "fat, OCI layout",
            ours: format!("oci-layout:{}", fat.display()),
            syft: format!("oci-dir:{}", fat.display()),
        };
        let registry = Registry::start(&self.tools, &self.folder.join("registry"), &fat);
        let remote = Place {
            what: "fat, registry",
            ours: format!("registry:{}", registry.image()),
            syft: format!("registry:{}", registry.image()),
        };
        let debian = self.minbase();
        let small = Place {
            what: "Debian minbase",
            ours: format!("oci-layout:{}", debian.display()),
            syft: format!("oci-dir:{}", debian.display()),
        };
        heading();
        let mut rounds = Vec::new();
        for threads in [1, 2] {
            rounds.push(self.round(&layout, threads, RUNS, None));
        }
        for threads in [1, 2] {
            rounds.push(self.round(&remote, threads, RUNS, Some(&registry)));
        }
        for threads in [1, 2] {
            rounds.push(self.round(&small, threads, RUNS_OF_SMALL, None));
        }
        rounds.push(self.known(&layout));
        drop(registry);
        let fat_bars = self.judged(&rounds[1], &rounds);
        let bars: Vec<(bool, String)> = rounds.iter().flat_map(bars_of).chain(fat_bars).collect();
        println!();
        for (met, text) in &bars {
            println!("{} {text}", if *met { "✓" } else { "✗" });
        }
        bars.iter().all(|(met, _)| *met)
    }

    /// Debian's image for this machine alone: syft wants a layout of one image.
    fn minbase(&self) -> PathBuf {
        let (from, to) = (self.tools.images.join("debian"), self.folder.join("minbase"));
        std::fs::create_dir(&to).unwrap();
        std::os::unix::fs::symlink(from.join("blobs"), to.join("blobs")).unwrap();
        std::fs::copy(from.join("oci-layout"), to.join("oci-layout")).unwrap();
        let read = |file: &Path| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
        };
        let index = read(&from.join("index.json"));
        let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
        let mut platforms = read(&from.join("blobs").join(digest));
        let own = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        platforms["manifests"]
            .as_array_mut()
            .unwrap()
            .retain(|manifest| manifest["platform"]["architecture"] == own);
        std::fs::write(to.join("index.json"), platforms.to_string()).unwrap();
        to
    }

    fn round(
        &self,
        place: &Place,
        threads: usize,
        runs: (usize, usize),
        registry: Option<&Registry>,
    ) -> Round {
        let (mut ours, mut syft) = (Vec::new(), Vec::new());
        let sent = || registry.map(Registry::sent);
        for number in 0..runs.0.max(runs.1) {
            // In turns, so that a busy minute is not one side's alone.
            let before = sent();
            if number < runs.0 {
                ours.push(self.ours(place, threads, &[]).received(before, sent()));
            }
            let before = sent();
            if number < runs.1 {
                syft.push(self.syft(place, threads).received(before, sent()));
            }
        }
        Round { what: place.what, threads, ours: median(ours), syft: Some(median(syft)) }.told()
    }

    /// Ours again, with layers that an earlier run has kept.
    fn known(&self, place: &Place) -> Round {
        let cache = self.folder.join("cache");
        let arguments = ["--cache", cache.to_str().unwrap()];
        let cold = self.ours(place, 2, &arguments);
        let warm = median((0..RUNS.0).map(|_| self.ours(place, 2, &arguments)).collect());
        assert_eq!(cold.document, warm.document, "with and without a cache the bytes differ");
        Round { what: "fat, layers known", threads: 2, ours: warm, syft: None }.told()
    }

    fn ours(&self, place: &Place, threads: usize, more: &[&str]) -> Run {
        let out = self.folder.join("ours.spdx.json");
        let threads = threads.to_string();
        let arguments = [
            &["sbom", "--threads", &threads, "--output", out.to_str().unwrap()],
            more,
            &[place.ours.as_str()],
        ]
        .concat();
        process::run(
            &self.tools.python,
            Path::new(env!("CARGO_BIN_EXE_supply-action")),
            &arguments,
            &[],
            &out,
        )
    }

    fn syft(&self, place: &Place, threads: usize) -> Run {
        let out = self.folder.join("syft.spdx.json");
        let threads = threads.to_string();
        let temporary = self.folder.to_str().unwrap();
        let environment = [
            ("GOMAXPROCS", threads.as_str()),
            ("SYFT_CHECK_FOR_APP_UPDATE", "false"),
            ("SYFT_REGISTRY_INSECURE_USE_HTTP", "true"),
            ("TMPDIR", temporary),
            ("XDG_CACHE_HOME", temporary),
        ];
        let written = format!("spdx-json={}", out.display());
        process::run(
            &self.tools.python,
            &self.tools.syft,
            &["scan", &place.syft, "--quiet", "--output", &written],
            &environment,
            &out,
        )
    }

    /// What was found in the fat corpus, and whether that is enough.
    fn judged(&self, round: &Round, rounds: &[Round]) -> Vec<(bool, String)> {
        let (ours, syft) = (
            Document::of(&round.ours.document),
            Document::of(&round.syft.as_ref().unwrap().document),
        );
        let mut bars = recall::judged(
            &ours,
            &syft,
            (
                &Truth::of(&self.tools.fat.join("truth")),
                &recall::carried(&self.tools.fat.join("layout")),
            ),
            &Explained::table(),
        );
        let share = round.ours.document.len() as f64 / ours.packages as f64;
        bars.push((
            share <= LARGEST_SHARE,
            format!(
                "3,000 packages take {:.2} MB of SPDX; the bar is {:.0} MB",
                share * 3e-3,
                LARGEST_SHARE * 3e-3
            ),
        ));
        // What each place can know of the image differs by its name; the packages must not.
        let purls: BTreeMap<String, _> = rounds
            .iter()
            .filter(|round| round.what.starts_with("fat"))
            .map(|round| (round.label(), Document::of(&round.ours.document).purls))
            .collect();
        bars.push((
            purls.values().all(|found| *found == ours.purls),
            "every way in finds the same packages".to_owned(),
        ));
        bars
    }
}

fn heading() {
    println!(
        "SBOMs beside syft's, medians of {} runs of ours and {} of syft's ({} and {} on minbase). `memory` is the largest process's.\n",
        RUNS.0, RUNS.1, RUNS_OF_SMALL.0, RUNS_OF_SMALL.1
    );
    println!(
        "{:<30} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "", "wall", "CPU", "memory", "read", "written", "packages", "document", "faster"
    );
}

fn bars_of(round: &Round) -> Vec<(bool, String)> {
    let mut bars = Vec::new();
    if let Some(faster) = round.faster().filter(|_| round.threads == BARRED) {
        bars.push((
            faster >= FASTER,
            format!("{}: {faster:.1} times as fast as syft; the bar is {FASTER}", round.label()),
        ));
    }
    let memory = round.ours.memory;
    let text = format!(
        "{}: {:.0} MiB at most; the bar is {}",
        round.label(),
        memory as f64 / 1_048_576.0,
        LARGEST_MEMORY >> 20
    );
    bars.push((memory <= LARGEST_MEMORY, text));
    bars
}
