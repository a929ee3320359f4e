//! Makes the registry behave as a known public one where that differs from the specification; it
//! never adds a habit without saying where it was seen.

use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::faults::held;

/// Of whom the registry has its manners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// 404 for referrers (<https://github.com/rtvkiz/minimal/issues/7>), no upload in one POST, and
    /// now and then a manifest is refused because a blob that was just pushed is not known yet
    /// (<https://github.com/clemensv/real-time-sources/pull/351>). Manifests are deleted by
    /// GitHub's API alone (<https://docs.github.com/rest/packages/packages>).
    Ghcr,
    /// Basic logins (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>),
    /// tags that stay where they are
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html>), few
    /// media types. `OCI-Subject` is echoed even without a referrers API, as in 2024: sigstore-js
    /// asks for both.
    Ecr,
    /// Referrers in pages with a relative `Link`, the filter left to the client, blobs by 302 from
    /// a CDN (<https://docs.projectquay.io/quay_io.html>).
    Quay,
    /// No deletion but by an API of its own, 429 with `Retry-After` on pulls
    /// (<https://docs.docker.com/docker-hub/usage/>), blobs by 307 from another host, which refuses
    /// a request that carries a login beside its signature, as S3 does.
    DockerHub,
    /// Absolute `Location`s, a filter that is applied and said so, and accessories that go with
    /// their subject (<https://goharbor.io/docs/main/working-with-projects/working-with-oci/>).
    Harbor,
    /// No `OCI-Subject`, no `Location` for a manifest, and heads without length and digest, as
    /// proxies before it leave them
    /// (<https://jfrog.com/help/r/jfrog-artifactory-documentation/docker-registry>).
    Artifactory,
    /// No referrers, and `manifests/sha256-HEX` is answered with the manifest of that digest where
    /// there is no such tag (<https://github.com/oras-project/oras-go/issues/1396>).
    GitLab,
}

impl Habit {
    /// By the names the command line takes.
    pub const ALL: [(&'static str, Self); 7] = [
        ("ghcr", Self::Ghcr),
        ("ecr", Self::Ecr),
        ("quay", Self::Quay),
        ("docker-hub", Self::DockerHub),
        ("harbor", Self::Harbor),
        ("artifactory", Self::Artifactory),
        ("gitlab", Self::GitLab),
    ];
}

impl FromStr for Habit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, habit)| *habit);
        known.ok_or_else(|| format!("none of `{}`", Self::ALL.map(|(name, _)| name).join("`, `")))
    }
}

/// How the blobs of a repository are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlobHabit {
    Here,
    /// By a redirect with this status to the storage behind the registry.
    Elsewhere(u16),
}

/// What the habits come to, point by point. The default is the specification.
pub(super) struct HabitsInEffect {
    pub(super) referrers_api: bool,
    pub(super) says_subject: bool,
    /// Referrers on a page.
    pub(super) page: usize,
    pub(super) filters: bool,
    pub(super) basic_login: bool,
    pub(super) immutable_tags: bool,
    pub(super) only_image_manifests: bool,
    /// `If-Match` and `If-None-Match` of a manifest are looked at.
    pub(super) conditions: bool,
    pub(super) absolute_locations: bool,
    pub(super) manifest_locations: bool,
    pub(super) bare_heads: bool,
    pub(super) upload_in_one_post: bool,
    /// Manifests are deleted by the registry's own protocol.
    pub(super) deletes: bool,
    pub(super) mounts: bool,
    /// A tag that is not there is read as a digest.
    pub(super) dash_is_digest: bool,
    pub(super) accessories_go_with_subject: bool,
    pub(super) blobs: BlobHabit,
    /// Every so many requests of a token it must be renewed.
    pub(super) token_uses: usize,
    /// One manifest of so many is refused at first for a blob that is not known yet.
    pub(super) lag: Option<OnceInSoMany>,
    /// One pull of so many is too much.
    pub(super) limit: Option<Limit>,
}

impl HabitsInEffect {
    pub(super) fn new(habit: Option<Habit>, referrers_api: bool) -> Self {
        let plain = Self {
            referrers_api,
            says_subject: referrers_api,
            page: usize::MAX,
            filters: true,
            basic_login: false,
            immutable_tags: false,
            only_image_manifests: false,
            conditions: true,
            absolute_locations: false,
            manifest_locations: true,
            bare_heads: false,
            upload_in_one_post: true,
            deletes: true,
            mounts: true,
            dash_is_digest: false,
            accessories_go_with_subject: false,
            blobs: BlobHabit::Here,
            token_uses: usize::MAX,
            lag: None,
            limit: None,
        };
        match habit {
            None => plain,
            Some(Habit::Ghcr) => Self {
                referrers_api: false,
                says_subject: false,
                conditions: false,
                upload_in_one_post: false,
                deletes: false,
                token_uses: 60,
                lag: Some(OnceInSoMany::new(7)),
                ..plain
            },
            Some(Habit::Ecr) => Self {
                says_subject: true,
                mounts: false,
                basic_login: true,
                immutable_tags: referrers_api,
                only_image_manifests: true,
                ..plain
            },
            Some(Habit::Quay) => {
                Self { page: 1, filters: false, blobs: BlobHabit::Elsewhere(302), ..plain }
            }
            Some(Habit::DockerHub) => Self {
                blobs: BlobHabit::Elsewhere(307),
                token_uses: 60,
                limit: Some(Limit::new(12)),
                conditions: false,
                deletes: false,
                ..plain
            },
            Some(Habit::Harbor) => Self {
                absolute_locations: true,
                accessories_go_with_subject: true,
                conditions: false,
                ..plain
            },
            Some(Habit::GitLab) => Self {
                referrers_api: false,
                says_subject: false,
                conditions: false,
                dash_is_digest: true,
                ..plain
            },
            Some(Habit::Artifactory) => Self {
                says_subject: false,
                manifest_locations: false,
                bare_heads: true,
                absolute_locations: true,
                ..plain
            },
        }
    }
}

/// True once in so many times.
pub(super) struct OnceInSoMany {
    count: usize,
    seen: Mutex<usize>,
}

impl OnceInSoMany {
    fn new(count: usize) -> Self {
        Self { count, seen: Mutex::default() }
    }

    pub(super) fn due(&self) -> bool {
        let mut seen = held(&self.seen);
        *seen += 1;
        seen.is_multiple_of(self.count)
    }
}

/// What a pull may hear from a registry that limits them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PullVerdict {
    Served,
    TooMany {
        wait: u64,
    },
    /// Who comes back before the time that was named is not served at all.
    Impatient,
}

/// Refuses one pull of so many for a second.
pub(super) struct Limit {
    every: OnceInSoMany,
    waiting: Mutex<Vec<(String, Instant)>>,
}

impl Limit {
    const SECONDS: u64 = 1;

    fn new(count: usize) -> Self {
        Self { every: OnceInSoMany::new(count), waiting: Mutex::default() }
    }

    pub(super) fn judge(&self, path: &str, now: Instant) -> PullVerdict {
        let mut waiting = held(&self.waiting);
        if let Some(at) = waiting.iter().position(|(known, _)| known == path) {
            let until = waiting[at].1;
            // Whoever asks at the same time has not heard of it yet.
            if now + Duration::from_millis(Self::SECONDS * 500) < until {
                return PullVerdict::TooMany { wait: Self::SECONDS };
            }
            waiting.swap_remove(at);
            return if now < until { PullVerdict::Impatient } else { PullVerdict::Served };
        }
        if !self.every.due() {
            return PullVerdict::Served;
        }
        waiting.push((path.to_owned(), now + Duration::from_secs(Self::SECONDS)));
        PullVerdict::TooMany { wait: Self::SECONDS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_served_and_who_does_not_is_not() {
        let limit = Limit::new(2);
        let now = Instant::now();
        assert_eq!(limit.judge("/a", now), PullVerdict::Served);
        assert_eq!(limit.judge("/a", now), PullVerdict::TooMany { wait: 1 });
        assert_eq!(
            limit.judge("/a", now + Duration::from_millis(100)),
            PullVerdict::TooMany { wait: 1 },
            "at the same time"
        );
        assert_eq!(limit.judge("/a", now + Duration::from_millis(900)), PullVerdict::Impatient);
        assert_eq!(
            (limit.judge("/a", now), limit.judge("/a", now)),
            (PullVerdict::Served, PullVerdict::TooMany { wait: 1 })
        );
        assert_eq!(limit.judge("/a", now + Duration::from_secs(1)), PullVerdict::Served);
    }

    #[test]
    fn habits_are_known_by_name() {
        assert_eq!("docker-hub".parse(), Ok(Habit::DockerHub));
        assert!("hub".parse::<Habit>().unwrap_err().contains("`harbor`"));
    }
}
