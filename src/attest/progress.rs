//! What a person sees while layers are read: one line that moves on a terminal, one line a layer in
//! a log, and one now and then while a large layer lasts. It never slows the reading down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::report::Report;
use crate::sbom::layers::{Blob, Watcher};

const TICK: Duration = Duration::from_millis(100);
/// Of silence in a log.
const LONGEST: Duration = Duration::from_secs(10);

/// How far the reading has come.
#[derive(Debug, Default)]
pub struct ReadingProgress {
    read: AtomicU64,
    /// Compressed bytes of all layers, where they are known.
    expected: AtomicU64,
    /// Entries of a cache that do not count.
    distrusted: AtomicU64,
    layers: Mutex<LayersRead>,
}

#[derive(Debug, Default)]
struct LayersRead {
    /// From 1 on.
    places: BTreeMap<Blob, usize>,
    /// Those still to be read, of all images that are told of.
    waiting: usize,
    done: usize,
    /// Lines that were not said yet.
    lines: Vec<String>,
}

impl ReadingProgress {
    /// Is told of layers that will be read together, each once.
    pub fn expect<'a>(&self, layers: impl IntoIterator<Item = &'a Blob>) {
        let mut known = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = BTreeSet::new();
        for layer in layers.into_iter().filter(|layer| seen.insert(*layer)) {
            self.expected.fetch_add(layer.size.unwrap_or_default(), Ordering::Relaxed);
            known.waiting += 1;
            let place = known.places.len() + 1;
            known.places.entry(layer.clone()).or_insert(place);
        }
    }

    /// Empty while there is nothing to wait for.
    fn line(&self) -> String {
        let (read, expected) =
            (self.read.load(Ordering::Relaxed), self.expected.load(Ordering::Relaxed));
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if layers.waiting == layers.done {
            return String::new();
        }
        let of = if expected > 0 { format!(" of {}", megabytes(expected)) } else { String::new() };
        let bar = if expected > 0 {
            format!("{} ", bar(read.min(expected), expected))
        } else {
            String::new()
        };
        format!("{bar}{}{of}, {} of {} layers", megabytes(read), layers.done, layers.waiting)
    }

    /// How many entries of a cache were passed over.
    fn distrusted(&self) -> u64 {
        self.distrusted.load(Ordering::Relaxed)
    }

    fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.layers.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }
}

impl Watcher for ReadingProgress {
    fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    fn distrusted(&self, _blob: &Blob) {
        self.distrusted.fetch_add(1, Ordering::Relaxed);
    }

    fn done(&self, blob: &Blob, was_known: bool) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.done += 1;
        let place = layers.places.get(blob).copied().unwrap_or_default();
        if was_known {
            self.expected.fetch_sub(blob.size.unwrap_or_default(), Ordering::Relaxed);
        }
        let size = blob.size.map(|size| format!(", {}", megabytes(size))).unwrap_or_default();
        let how = if was_known { "known from the cache" } else { "read" };
        let line = format!("layer {place} of {} {how}: {}{size}", layers.places.len(), blob.name());
        layers.lines.push(line);
    }
}

fn bar(read: u64, expected: u64) -> String {
    const WIDTH: u64 = 24;
    let filled = read.saturating_mul(WIDTH).checked_div(expected).unwrap_or_default();
    (0..WIDTH).map(|place| if place < filled { '█' } else { '░' }).collect()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Does the work, and shows meanwhile how far the reading is.
pub async fn shown<T>(
    report: &Report,
    progress: &ReadingProgress,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut running = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    let mut said = tokio::time::Instant::now();
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            _ = ticks.tick() => {
                let (line, lines) = (progress.line(), if report.is_terminal() { Vec::new() } else { progress.take_lines() });
                if report.is_terminal() && !line.is_empty() {
                    report.progress(&line);
                } else if said.elapsed() > LONGEST && lines.is_empty() && !line.is_empty() {
                    report.say(&format!("reading layers: {line}"));
                    said = tokio::time::Instant::now();
                }
                if !lines.is_empty() {
                    said = tokio::time::Instant::now();
                }
                lines.iter().for_each(|line| report.say(line));
            }
        }
    };
    report.progress("");
    if !report.is_terminal() {
        progress.take_lines().iter().for_each(|line| report.say(line));
    }
    match progress.distrusted() {
        0 => {}
        count => report.notice(&format!(
            "`sbom-cache`: {count} of its entries were not written with `sbom-cache-key`, or were changed; those layers are read again"
        )),
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_there_only_while_layers_are_read_and_counts_each_once() {
        let blob = |digit: &str, size| Blob {
            digest: None,
            size: Some(size),
            diff_id: format!("sha256:{digit}"),
            is_foreign: false,
            is_encrypted: false,
        };
        let (progress, one, two) =
            (ReadingProgress::default(), blob("1", 1_000_000), blob("2", 3_000_000));
        assert_eq!(progress.line(), "");
        progress.expect([&one, &two, &one]);
        progress.read(1_000_000);
        assert!(
            progress.line().ends_with("░ 1.0 MB of 4.0 MB, 0 of 2 layers"),
            "{}",
            progress.line()
        );
        progress.done(&one, false);
        progress.done(&two, true);
        assert_eq!(
            progress.take_lines(),
            [
                "layer 1 of 2 read: sha256:1, 1.0 MB",
                "layer 2 of 2 known from the cache: sha256:2, 3.0 MB"
            ]
        );
        assert_eq!(progress.line(), "");
    }
}
