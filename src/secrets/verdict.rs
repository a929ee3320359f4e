//! Secrets, terms and what is accepted → a verdict with every reason as data. It hides no secret:
//! what to show is not its question.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::leak::{Confidence, Fingerprint, Leak};

/// What is a reason to refuse an image (`fail-on-secrets`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretsTerms {
    /// Nothing is.
    Never,
    /// What its format proves, where nothing excuses it.
    #[default]
    Verifiable,
    /// Whatever looks like one and has no excuse.
    Any,
}

/// Somebody's word that a secret may stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// A rule's id, or the fingerprint `sha256:…` of one secret.
    pub id: String,
    /// Only below this path or of this file; `None` for anywhere.
    pub path: Option<String>,
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// The file that has it, and where.
    pub place: String,
}

/// What the terms say. Numbers are places in the list of leaks, or in that of waivers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretsVerdict {
    /// One for each secret, wherever it lies; without one the image passes.
    pub reasons: Vec<SecretReason>,
    /// A leak, and the waiver that it stays by.
    pub accepted: Vec<(usize, usize)>,
    /// Waivers of leaks at hand that no longer hold.
    pub expired: Vec<usize>,
    /// Waivers that meet no leak, or have no reason.
    pub unused: Vec<usize>,
}

/// One secret for which an image is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReason {
    pub fingerprint: Fingerprint,
    pub rule: &'static str,
    /// All places that have it.
    pub leaks: Vec<usize>,
}

impl SecretsVerdict {
    pub fn passes(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Waiver {
    /// Whether it counts on a day.
    pub fn holds(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last) && !self.reason.trim().is_empty()
    }

    fn is_about(&self, leak: &Leak) -> bool {
        let is_it = self.id == leak.rule.id || self.id == leak.fingerprint.to_string();
        let own = |path: &str| path.trim_matches('/').to_owned();
        let is_there = self.path.as_deref().is_none_or(|wanted| {
            let (wanted, path) = (own(wanted), leak.path().map(own));
            path.is_some_and(|path| {
                let below = path.strip_prefix(&wanted);
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        });
        is_it && is_there
    }
}

/// `today` decides which waivers still hold.
pub fn judge_leaks(
    leaks: &[Leak],
    terms: SecretsTerms,
    waivers: &[Waiver],
    today: Date,
) -> SecretsVerdict {
    let holds = |waiver: &Waiver| waiver.holds(today);
    let mut verdict = SecretsVerdict::default();
    let mut is_used = vec![false; waivers.len()];
    let mut reasons: BTreeMap<(&'static str, Fingerprint), Vec<usize>> = BTreeMap::new();
    for (at, leak) in leaks.iter().enumerate() {
        let mut by = None;
        for (number, waiver) in waivers.iter().enumerate() {
            if waiver.is_about(leak) {
                if let Some(used) = is_used.get_mut(number) {
                    *used = true;
                }
                by = by.or(holds(waiver).then_some(number));
            }
        }
        match by {
            Some(waiver) => verdict.accepted.push((at, waiver)),
            None if counts(leak, terms) => {
                reasons.entry((leak.rule.id, leak.fingerprint)).or_default().push(at);
            }
            None => {}
        }
    }
    verdict.reasons = reasons
        .into_iter()
        .map(|((rule, fingerprint), leaks)| SecretReason { fingerprint, rule, leaks })
        .collect();
    verdict.reasons.sort_by_key(|reason| reason.leaks.first().copied());
    for (number, (waiver, used)) in waivers.iter().zip(is_used).enumerate() {
        match (used, holds(waiver)) {
            (true, false) => verdict.expired.push(number),
            (false, _) => verdict.unused.push(number),
            (true, true) => {}
        }
    }
    verdict
}

fn counts(leak: &Leak, terms: SecretsTerms) -> bool {
    match terms {
        SecretsTerms::Never => false,
        SecretsTerms::Verifiable => leak.confidence == Confidence::Verifiable,
        SecretsTerms::Any => leak.excuse.is_none(),
    }
}
