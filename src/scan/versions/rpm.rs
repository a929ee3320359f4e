//! Versions of rpm: `epoch:version-release`, in the order of the crate `rpm-version`. It never
//! takes a word before a colon for an epoch.
//!
//! Documentation: <https://rpm-software-management.github.io/rpm/man/rpm-version.7>.

use std::cmp::Ordering;

use rpm_version::Evr;

use super::numbers;

#[derive(Debug, Clone)]
pub(super) struct RpmVersion(Evr<'static>);

impl RpmVersion {
    /// What stands before a colon is an epoch only if it is a number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if numbers::is_number(epoch) => (epoch, rest),
            _ => ("", text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let is_one = !version.is_empty()
            && !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        is_one.then(|| {
            let part = |text: &str| text.to_owned();
            Self(Evr::new(part(epoch), part(version), part(release)))
        })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
