//! An image at its source → the same in each destination, by digest alone, while a person sees how
//! far it is. It sets no tag that people pull.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::error::OrRemedy as _;
use crate::image::Repository;
use crate::registry::Registry;
use crate::registry::closure::Closure;
use crate::registry::copy::Meter;
use crate::registry::transfer::{Copied, LackingParts, TransferEnd};
use crate::report::{Report, seconds};
use crate::summary::markdown::bytes;

/// How often a terminal and a log are told.
const TICK: Duration = Duration::from_millis(500);
const LOGGED: Duration = Duration::from_secs(20);

pub(super) struct CarryOfImage<'a> {
    pub(super) closure: &'a Closure,
    pub(super) from: TransferEnd<'a>,
    pub(super) to: &'a Registry,
    pub(super) report: &'a Report,
}

impl CarryOfImage<'_> {
    /// Copies to one after another: of a registry that has it in one of them, the others get it
    /// without its bytes.
    pub(super) async fn all(
        &self,
        lacking: &[(Repository, LackingParts)],
    ) -> anyhow::Result<(BTreeMap<Repository, Copied>, String)> {
        let mut copied: BTreeMap<Repository, Copied> = BTreeMap::new();
        for (repository, lacking) in lacking {
            let is_beside = |other: &&Repository| other.registry() == repository.registry();
            let from = match copied.keys().find(is_beside) {
                Some(beside) if self.from.repository.registry() != repository.registry() => {
                    TransferEnd { registry: self.to, repository: beside }
                }
                _ => self.from,
            };
            let done = self
                .one(from, repository, lacking)
                .await
                .with_context(|| format!("not all of it arrived in `{repository}`"))?;
            done.notes.iter().for_each(|note| self.report.notice(note));
            copied.insert(repository.clone(), done);
        }
        let sent: u64 = copied.values().map(|copied| copied.bytes).sum();
        let outcome = format!("{} sent", bytes(sent));
        Ok((copied, outcome))
    }

    /// Copies what one repository lacks.
    pub(super) async fn one(
        &self,
        from: TransferEnd<'_>,
        repository: &Repository,
        lacking: &LackingParts,
    ) -> anyhow::Result<Copied> {
        let meter = Meter::default();
        let to = TransferEnd { registry: self.to, repository };
        let bringing = lacking.bring(self.closure, from, to, &meter);
        tokio::pin!(bringing);
        let (began, mut logged) = (Instant::now(), Instant::now());
        let done = loop {
            tokio::select! {
                done = &mut bringing => break done,
                () = tokio::time::sleep(TICK) => {
                    let far = far(meter.sent(), lacking.bytes(), began.elapsed());
                    self.report.progress(&format!("{repository}: {far}"));
                    if logged.elapsed() >= LOGGED && !self.report.is_terminal() {
                        logged = Instant::now();
                        self.report.say(&format!("{repository}: {far}"));
                    }
                }
            }
        };
        self.report.progress("");
        done.remedied()
    }
}

/// `1.2 GB of 3.4 GB, 85 MB a second, 26.0 s left`.
fn far(sent: u64, all: u64, took: Duration) -> String {
    let text = format!("{} of {}", bytes(sent.min(all)), bytes(all));
    let rate = sent as f64 / took.as_secs_f64().max(0.001);
    if rate < 1.0 {
        return text;
    }
    let left = Duration::from_secs_f64(all.saturating_sub(sent) as f64 / rate);
    format!("{text}, {} a second, {} left", bytes(rate as u64), seconds(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_says_rate_and_what_is_left() {
        let said = far(1_000_000, 3_000_000, Duration::from_secs(2));
        assert!(said.ends_with("a second, 4.00 s left"), "{said}");
        assert!(!far(0, 3_000_000, Duration::from_secs(9)).contains("left"));
        assert!(far(9, 3, Duration::ZERO).starts_with(&format!("{} of {}", bytes(3), bytes(3))));
    }
}
