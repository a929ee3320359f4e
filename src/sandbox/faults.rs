//! Makes services misbehave on demand and remembers what they were asked; it never invents a
//! misbehaviour nobody programmed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The services of the sandbox, each on its own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SandboxService {
    Registry,
    /// Where some registries send their clients for blobs.
    Storage,
    Oidc,
    Fulcio,
    Rekor,
    Timestamp,
    GitHub,
    /// Advisories.
    Osv,
}

/// What a caller sees instead of, or on top of, the true answer.
#[derive(Clone, Debug)]
pub enum FaultEffect {
    /// This status; the request is not carried out.
    Status(u16),
    /// This status with `Retry-After` in seconds; the request is not carried out.
    StatusRetryAfter(u16, u64),
    /// 200 with these bytes; the request is not carried out.
    Body(Vec<u8>),
    /// The true answer with one byte of its body flipped.
    Corrupt,
    /// Of the request's body only so many bytes arrive, then the connection closes.
    CutBody(usize),
    /// Of the true answer's body only so many bytes arrive, then the connection closes.
    CutAnswer(usize),
    /// The true answer, and then ever more bytes.
    Endless,
    /// The connection closes without an answer; the request is not carried out.
    Drop,
    /// The request is carried out, then the connection closes without an answer.
    LoseAnswer,
    /// The true answer, this much later.
    Delay(Duration),
    /// The true answer without this header.
    WithoutHeader(&'static str),
}

/// One programmed misbehaviour.
#[derive(Clone, Debug)]
pub struct Fault {
    pub service: SandboxService,
    pub method: Option<&'static str>,
    /// Compared with path and query.
    pub path_contains: String,
    /// Let this many matching requests pass first.
    pub skip: usize,
    /// Then misbehave this often; `usize::MAX` is always.
    pub times: usize,
    pub effect: FaultEffect,
}

/// A request that a service has seen; `status` is 0 when the connection was closed without an
/// answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub service: SandboxService,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub status: u16,
}

#[derive(Clone, Default)]
pub struct Faults {
    shared: Arc<SharedFaults>,
}

#[derive(Default)]
struct SharedFaults {
    programmed: Mutex<Vec<Fault>>,
    expired_tokens: AtomicBool,
    foreign_tokens: AtomicBool,
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        held(&self.shared.programmed).push(fault);
    }

    /// Everything behaves again.
    pub fn clear(&self) {
        held(&self.shared.programmed).clear();
        self.expired_tokens(false);
        self.foreign_tokens(false);
    }

    /// OIDC tokens are issued an hour too late to be of use.
    pub fn expired_tokens(&self, on: bool) {
        self.shared.expired_tokens.store(on, Ordering::SeqCst);
    }

    /// OIDC tokens come from another issuer and its key.
    pub fn foreign_tokens(&self, on: bool) {
        self.shared.foreign_tokens.store(on, Ordering::SeqCst);
    }

    pub(super) fn tokens_are_expired(&self) -> bool {
        self.shared.expired_tokens.load(Ordering::SeqCst)
    }

    pub(super) fn tokens_are_foreign(&self) -> bool {
        self.shared.foreign_tokens.load(Ordering::SeqCst)
    }

    /// The effect the first due fault has on this request; every matching fault before it counts
    /// the request.
    pub(super) fn effect(
        &self,
        service: SandboxService,
        method: &str,
        path_and_query: &str,
    ) -> Option<FaultEffect> {
        let mut programmed = held(&self.shared.programmed);
        for fault in programmed.iter_mut() {
            let matches = fault.service == service
                && fault.method.is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path_and_query.contains(&fault.path_contains);
            if !matches || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.times != usize::MAX {
                fault.times -= 1;
            }
            return Some(fault.effect.clone());
        }
        None
    }
}

/// A lock whose data stays usable after another thread panicked: every critical section here leaves
/// it consistent.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(skip: usize, times: usize) -> Fault {
        Fault {
            service: SandboxService::Rekor,
            method: Some("POST"),
            path_contains: "/entries".into(),
            skip,
            times,
            effect: FaultEffect::Status(503),
        }
    }

    #[test]
    fn a_fault_skips_then_fires_then_rests() {
        let faults = Faults::default();
        faults.add(fault(1, 2));
        let fired: Vec<bool> = (0..4)
            .map(|_| faults.effect(SandboxService::Rekor, "POST", "/api/v1/log/entries").is_some())
            .collect();
        assert_eq!(fired, [false, true, true, false]);
    }

    #[test]
    fn a_fault_leaves_other_services_methods_and_paths_alone() {
        let faults = Faults::default();
        faults.add(fault(0, usize::MAX));
        assert!(faults.effect(SandboxService::Fulcio, "POST", "/entries").is_none());
        assert!(faults.effect(SandboxService::Rekor, "GET", "/entries").is_none());
        assert!(faults.effect(SandboxService::Rekor, "POST", "/log").is_none());
        assert!(faults.effect(SandboxService::Rekor, "POST", "/entries").is_some());
    }
}
