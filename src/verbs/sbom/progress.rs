//! What a person sees while layers are read: one line that moves on a terminal, one line a layer in a log. It never slows the reading down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::report::Report;
use crate::sbom::layers::{Blob, Watcher};

const TICK: Duration = Duration::from_millis(100);

/// How far the reading has come.
#[derive(Default)]
pub(super) struct Progress {
    read: AtomicU64,
    /// Compressed bytes of all layers, where they are known.
    expected: AtomicU64,
    layers: Mutex<Layers>,
}

#[derive(Default)]
struct Layers {
    /// By diffID: the place from 1 on, and the size.
    places: BTreeMap<String, (usize, Option<u64>)>,
    done: usize,
    /// Lines that were not said yet.
    lines: Vec<String>,
}

impl Progress {
    pub(super) fn expect(&self, layers: &[Blob]) {
        self.expected.store(layers.iter().filter_map(|layer| layer.size).sum(), Ordering::Relaxed);
        let places = layers.iter().enumerate().map(|(index, layer)| (layer.diff_id.clone(), (index + 1, layer.size)));
        self.layers.lock().unwrap_or_else(PoisonError::into_inner).places = places.collect();
    }

    fn line(&self) -> String {
        let (read, expected) = (self.read.load(Ordering::Relaxed), self.expected.load(Ordering::Relaxed));
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let of = if expected > 0 { format!(" of {}", megabytes(expected)) } else { String::new() };
        let bar = if expected > 0 { format!("{} ", bar(read.min(expected), expected)) } else { String::new() };
        format!("{bar}{}{of}, {} of {} layers", megabytes(read), layers.done, layers.places.len())
    }

    fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.layers.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }
}

impl Watcher for Progress {
    fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    fn done(&self, blob: &Blob, was_known: bool) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.done += 1;
        let (place, size) = layers.places.get(&blob.diff_id).copied().unwrap_or_default();
        if was_known {
            self.expected.fetch_sub(size.unwrap_or_default(), Ordering::Relaxed);
        }
        let size = size.map(|size| format!(", {}", megabytes(size))).unwrap_or_default();
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

/// Waits for work, and shows how far it is.
pub(super) async fn shown<T, F: Future<Output = anyhow::Result<T>>>(
    report: &Report,
    work: impl FnOnce(Arc<Progress>) -> F,
) -> anyhow::Result<T> {
    let progress = Arc::new(Progress::default());
    let mut running = std::pin::pin!(work(progress.clone()));
    let mut ticks = tokio::time::interval(TICK);
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            _ = ticks.tick() => {
                if report.is_terminal() {
                    report.progress(&progress.line());
                } else {
                    progress.take_lines().iter().for_each(|line| report.say(line));
                }
            }
        }
    };
    report.progress("");
    if !report.is_terminal() {
        progress.take_lines().iter().for_each(|line| report.say(line));
    }
    outcome
}
