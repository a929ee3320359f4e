//! Promotion beside the programs that copy images, between the same two registries in the same run:
//! time, processor, memory, requests, and what each leaves behind. It fails when a bar is missed,
//! and never compares with figures of another day.
//!
//! Ours verifies the image at both ends, which no peer does. All take turns, and the median counts.
//! The registries are this process, so what a copier takes is the copier's alone.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench prints, starts its own peers, and fails by panicking"
)]

#[allow(dead_code, reason = "what the evidence bench alone asks for is in it as well")]
#[path = "../evidence/image.rs"]
mod image;
mod limit;
mod losses;
mod peers;
mod process;
mod registry;
mod source;
#[path = "../evidence/step.rs"]
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use losses::{ImageParts, KINDS};
use peers::{BenchTools, Copier, CopyPlaces};
use process::{MeasuredRun, median};
use registry::{BenchRegistry, Counted, Trouble};
use source::SourceImage;
use supply_action::sandbox::{self, Sandbox, SandboxConfig};

/// How often each runs at each latency.
const RUNS: usize = 5;
const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(30)];
/// Megabytes of layers, where `SUPPLY_ACTION_PROMOTE_MB` does not say otherwise; and of the image
/// that is copied under difficulties.
const MEGABYTES: usize = 1050;
const FEW_MEGABYTES: usize = 84;
const LAYERS: usize = 10;

/// A difference under a third is noise on a machine that others use as well.
const NOISE: f64 = 4.0 / 3.0;
const OF_LIMIT: f64 = 1.25;
const CPU: f64 = 1.4;
const MEMORY: u64 = 32 << 20;
const AGAIN: f64 = 0.6;
/// Requests of copying, and of verification at both ends.
const REQUESTS: (usize, usize) = (290 + 2 * 70, 58 + 2 * 70);
const TWICE: u64 = 1_000_000;

/// One run, and what both registries counted.
struct CopyRun {
    took: MeasuredRun,
    source: Counted,
    there: Counted,
}

impl CopyRun {
    fn requests(&self) -> usize {
        self.source.requests + self.there.requests
    }
}

/// All runs of one copier at one latency: into an empty repository, and again.
#[derive(Default)]
struct CopyRuns {
    cold: Vec<CopyRun>,
    again: Vec<CopyRun>,
}

fn wall(runs: &[CopyRun]) -> f64 {
    median(runs.iter().map(|run| run.took.wall).collect())
}

struct Bench {
    tools: BenchTools,
    sandbox: Sandbox,
    issuer: String,
    home: PathBuf,
    source: BenchRegistry,
    there: BenchRegistry,
    image: SourceImage,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, from, to] = words.as_slice()
        && word == "limit"
    {
        limit::run(from, to);
        return ExitCode::SUCCESS;
    }
    let Some(tools) = BenchTools::found() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    std::fs::create_dir(home.join("context")).unwrap();
    let sandbox = sandbox::start(SandboxConfig::new(home.join("sandbox"))).await.unwrap();
    let (source, there) = (BenchRegistry::start(true).await, BenchRegistry::start(true).await);
    let megabytes = std::env::var("SUPPLY_ACTION_PROMOTE_MB");
    let megabytes: usize = megabytes.map_or(MEGABYTES, |text| text.parse().unwrap());
    let size = megabytes * 1_000_000 / LAYERS;
    let image = source::make(&source, "octo/app", size, &sandbox, &home).await;
    let variables: BTreeMap<String, String> = sandbox.environment().into_iter().collect();
    let issuer = variables["SIGSTORE_ISSUER"].clone();
    tools.settle(&[&source.host, &there.host], &home);
    let bench = Bench { tools, sandbox, issuer, home, source, there, image };
    let met = bench.met().await;
    bench.sandbox.stop().await;
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Bench {
    async fn met(&self) -> bool {
        let parts = self.source.repository(&self.image.repository);
        println!(
            "Copies of an image of {} MB for two platforms with evidence in both formats: {} manifests, {} blobs. Medians of {RUNS} runs in turns.\n",
            self.image.bytes / 1_000_000,
            parts.manifests.len(),
            parts.blobs.len(),
        );
        let size = FEW_MEGABYTES * 1_000_000 / LAYERS;
        let few = source::make(&self.source, "octo/few", size, &self.sandbox, &self.home).await;
        let hashing = self.hashing(&few);
        let mut bars = vec![(
            hashing.contains(&Copier::Ours),
            "a layer of which a byte is changed on the way is refused".to_owned(),
        )];
        for latency in LATENCIES {
            let rounds = self.round(latency);
            self.tell(latency, &rounds);
            bars.extend(self.judged(latency, &rounds, &hashing));
        }
        self.tell_losses().await;
        bars.push(self.mounted());
        bars.extend(self.troubled(&few, &hashing));
        println!();
        for (met, text) in &bars {
            println!("{} {text}", if *met { "✓" } else { "✗" });
        }
        bars.iter().all(|(met, _)| *met)
    }

    /// One copy, from the image's repository to one of this name.
    fn copy(
        &self,
        copier: Copier,
        image: &SourceImage,
        (there, name): (&BenchRegistry, &str),
        (latency, at_source, at_other): (Duration, Trouble, Trouble),
    ) -> CopyRun {
        let blobs = self.source.repository(&image.repository).blobs;
        let lines = blobs.iter().map(|(digest, blob)| format!("{digest} {}\n", blob.size()));
        let places = CopyPlaces {
            from: &image.at(&self.source).to_string(),
            to: &format!("{}/{name}", there.host),
            trusted_root: self.sandbox.trusted_root(),
            issuer: &self.issuer,
            blobs: &lines.collect::<String>(),
        };
        self.source.behave(latency, at_source);
        there.behave(latency, at_other);
        let took = self.tools.command(copier, &places).run(&self.tools.python, &self.home);
        CopyRun { took, source: self.source.counted(), there: there.counted() }
    }

    /// Those that do not copy layers of which a byte is changed. The others trust whoever receives
    /// them, and have less to do.
    fn hashing(&self, few: &SourceImage) -> BTreeSet<Copier> {
        let changed = (Duration::ZERO, Trouble::Changes, Trouble::None);
        let refuses = |copier: &Copier| {
            let at = (&self.there, "copies/changed");
            let run = self.copy(*copier, few, at, changed);
            self.there.forget(at.1);
            !run.took.ended_well
        };
        Copier::ALL.into_iter().filter(|copier| *copier != Copier::Limit).filter(refuses).collect()
    }

    fn round(&self, latency: Duration) -> BTreeMap<Copier, CopyRuns> {
        let mut rounds: BTreeMap<Copier, CopyRuns> = BTreeMap::new();
        let calm = (latency, Trouble::None, Trouble::None);
        for _ in 0..RUNS {
            for copier in Copier::ALL {
                let name = format!("copies/{copier:?}").to_lowercase();
                self.there.forget(&name);
                let runs = rounds.entry(copier).or_default();
                let at = (&self.there, name.as_str());
                runs.cold.push(self.copy(copier, &self.image, at, calm));
                if copier != Copier::Limit {
                    runs.again.push(self.copy(copier, &self.image, at, calm));
                }
                for run in runs.cold.last().iter().chain(&runs.again.last()) {
                    assert!(run.took.ended_well, "{copier:?}: {}", run.took.said);
                }
            }
        }
        rounds
    }

    fn tell(&self, latency: Duration, rounds: &BTreeMap<Copier, CopyRuns>) {
        println!(
            "{:<22} {:>8} {:>8} {:>9} {:>9} {:>15} {:>15}",
            format!("{} ms a request", latency.as_millis()),
            "cold",
            "again",
            "CPU s/GB",
            "memory",
            "requests cold",
            "again"
        );
        for (copier, runs) in rounds {
            let requests = |run: Option<&CopyRun>| {
                run.map(|run| format!("{} + {}", run.source.requests, run.there.requests))
            };
            let again = (!runs.again.is_empty()).then(|| format!("{:.2} s", wall(&runs.again)));
            println!(
                "{:<22} {:>8} {:>8} {:>9} {:>9} {:>15} {:>15}",
                copier.name(),
                format!("{:.2} s", wall(&runs.cold)),
                again.unwrap_or_else(|| "–".to_owned()),
                format!("{:.2}", self.cpu(runs)),
                format!("{:.1} MiB", memory(runs) as f64 / 1_048_576.0),
                requests(runs.cold.last()).unwrap_or_default(),
                requests(runs.again.last()).unwrap_or_else(|| "–".to_owned()),
            );
        }
        println!();
    }

    /// Seconds of the processor for a gigabyte.
    fn cpu(&self, runs: &CopyRuns) -> f64 {
        let cpu = median(runs.cold.iter().map(|run| run.took.cpu).collect());
        cpu / (self.image.bytes as f64 / 1e9)
    }

    fn judged(
        &self,
        latency: Duration,
        rounds: &BTreeMap<Copier, CopyRuns>,
        hashing: &BTreeSet<Copier>,
    ) -> Vec<(bool, String)> {
        let (ours, limit) = (&rounds[&Copier::Ours], &rounds[&Copier::Limit]);
        let at = format!("at {} ms a request", latency.as_millis());
        let cold = wall(&ours.cold);
        let peers = rounds.iter().filter(|(copier, _)| copier.is_peer());
        let peers = peers.filter(|(copier, _)| hashing.contains(copier));
        let fastest = peers.map(|(copier, runs)| (wall(&runs.cold), copier.name()));
        let (peer, name) = fastest.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
        let mut bars = vec![(
            cold <= peer * NOISE,
            format!(
                "{at} a cold copy takes {:.2} times as long as with the fastest peer that checks what it copies, {name}; the bar is 1, and a third is noise",
                cold / peer
            ),
        )];
        if latency.is_zero() {
            let of_limit = cold / wall(&limit.cold);
            let cpu = self.cpu(ours);
            bars.push((
                of_limit <= OF_LIMIT,
                format!("{at} a cold copy takes {of_limit:.2} times as long as the limit; the bar is {OF_LIMIT}"),
            ));
            bars.push((
                cpu <= CPU,
                format!("{cpu:.2} s of the processor for a GB; the bar is {CPU}"),
            ));
            let memory = memory(ours);
            let most = MEMORY >> 20;
            bars.push((
                memory <= MEMORY,
                format!("{:.1} MiB at most; the bar is {most}", memory as f64 / 1_048_576.0),
            ));
            let (cold, again) = (ours.cold[0].requests(), ours.again[0].requests());
            bars.push((
                cold <= REQUESTS.0 && again <= REQUESTS.1,
                format!(
                    "{cold} requests cold, {again} again, with verification at both ends; the bars are {} and {}",
                    REQUESTS.0, REQUESTS.1
                ),
            ));
        } else {
            let again = wall(&ours.again);
            bars.push((
                again <= AGAIN,
                format!("{at} both ends are verified again in {again:.2} s where all is there; the bar is {AGAIN} s"),
            ));
        }
        bars
    }

    /// What each leaves behind, at a registry that lists referrers and at one that does not.
    async fn tell_losses(&self) {
        let without = BenchRegistry::start(false).await;
        self.tools.settle(&[&without.host], &self.home);
        let root = self.image.root.as_str();
        let sent = self.source.repository(&self.image.repository);
        let sent = ImageParts::of(&sent, root);
        let calm = (Duration::ZERO, Trouble::None, Trouble::None);
        for (there, what) in [(&self.there, "kept"), (&without, "kept, no referrers API")] {
            let heads = KINDS.map(|kind| format!("{kind:>12}")).join(" ");
            println!("{what:<24} {heads}");
            for copier in Copier::ALL.into_iter().filter(|copier| *copier != Copier::Limit) {
                let name = format!("copies/{copier:?}").to_lowercase();
                if what != "kept" {
                    self.copy(copier, &self.image, (there, &name), calm);
                }
                let kept = sent.kept(&there.repository(&name), root);
                let kept = kept.map(|(kept, of)| format!("{:>12}", format!("{kept}/{of}")));
                println!("{:<24} {}", copier.name(), kept.join(" "));
                there.forget(&name);
            }
            println!();
        }
    }

    /// Inside one registry.
    fn mounted(&self) -> (bool, String) {
        let calm = (Duration::ZERO, Trouble::None, Trouble::None);
        let run = self.copy(Copier::Ours, &self.image, (&self.source, "octo/mirror"), calm);
        assert!(run.took.ended_well, "{}", run.took.said);
        self.source.forget("octo/mirror");
        // Whether the run may push is found out with an empty blob of two bytes.
        let received = run.source.received.saturating_sub(2);
        (
            received == 0,
            format!("inside one registry {received} bytes of blobs are sent; the bar is 0"),
        )
    }

    /// A registry that limits requests, one whose answers break off, and one that changes them.
    fn troubled(&self, image: &SourceImage, hashing: &BTreeSet<Copier>) -> Vec<(bool, String)> {
        let breaks = Trouble::Breaks { times: 3, after: 5_000_000 };
        println!(
            "{:<22} {:>22} {:>22} {:>18}   ({FEW_MEGABYTES} MB)",
            "", "every 7th answer 429", "3 blobs break off", "a changed byte"
        );
        let mut bars = Vec::new();
        for copier in Copier::ALL.into_iter().filter(|copier| *copier != Copier::Limit) {
            let name = format!("few/{copier:?}").to_lowercase();
            let mut told = Vec::new();
            for (at_source, at_other) in
                [(Trouble::None, Trouble::TooMany(7)), (breaks, Trouble::None)]
            {
                self.there.forget(&name);
                let terms = (Duration::ZERO, at_source, at_other);
                let run = self.copy(copier, image, (&self.there, &name), terms);
                let fetched = run.source.sent as f64 / 1e6;
                told.push(match run.took.ended_well {
                    true => format!("{:.1} s, {fetched:.1} MB", run.took.wall),
                    false => format!("fails after {:.1} s", run.took.wall),
                });
                if copier == Copier::Ours {
                    let all = self.source.repository(&image.repository).blobs;
                    let all: u64 = all.values().map(registry::StoredBlob::size).sum();
                    let twice = run.source.sent.max(run.there.received).saturating_sub(all);
                    // A registry that answers 429 to a whole layer gets it whole once more.
                    let (is_met, text) = match at_source {
                        Trouble::None => (true, format!("429: {twice} bytes were sent twice")),
                        _ => (
                            twice <= TWICE,
                            format!(
                                "broken blobs: {twice} bytes were sent twice; the bar is {TWICE}"
                            ),
                        ),
                    };
                    let end = if run.took.ended_well { "ends well" } else { "does not end well" };
                    bars.push((run.took.ended_well && is_met, format!("{text}; it {end}")));
                }
            }
            let changed = if hashing.contains(&copier) { "is refused" } else { "is copied" };
            let name_of = copier.name();
            println!("{name_of:<22} {:>22} {:>22} {changed:>18}", told[0], told[1]);
            self.there.forget(&name);
        }
        bars
    }
}

fn memory(runs: &CopyRuns) -> u64 {
    let all = runs.cold.iter().chain(&runs.again);
    all.map(|run| run.took.memory).max().unwrap_or_default()
}
