//! The names that stand in a repository, all or none of them; and manifests taken away by their
//! digest. It reads no refusal as "no names".

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::transport::Access;
use super::{Registry, RegistryError, RegistryResult};
use crate::image::{Digest, Repository, Tag};

/// Pages of names that are read; beyond it the answer is refused rather than cut.
const PAGES: usize = 1000;
const LIMIT: usize = 8 << 20;

/// How a manifest went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Removed,
    /// It was not there any more.
    Gone,
    /// The registry takes no manifests away.
    Unsupported,
}

/// What a name that is a digest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestName {
    /// `sha256-<hex>`: the list of referrers.
    Referrers,
    /// `sha256-<hex>.sig`, `.att` or `.sbom`.
    Attached(&'static str),
}

pub const ATTACHED: [&str; 3] = ["sig", "att", "sbom"];

/// The digest that a name is, and what it stands for; `None` for a name that people pull.
pub fn digest_name(tag: &Tag) -> Option<(Digest, DigestName)> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let (hex, suffix) =
        rest.split_once('.').map_or((rest, None), |(hex, suffix)| (hex, Some(suffix)));
    let digest = format!("sha256:{hex}").parse().ok()?;
    match suffix {
        None => Some((digest, DigestName::Referrers)),
        Some(suffix) => ATTACHED
            .iter()
            .find(|known| **known == suffix)
            .map(|known| (digest, DigestName::Attached(known))),
    }
}

impl Registry {
    /// Every name of a repository; `None` when the registry says that there is no such repository.
    pub async fn names(&self, repository: &Repository) -> RegistryResult<Option<BTreeSet<Tag>>> {
        self.names_within(repository, PAGES).await
    }

    /// The same, where there are no more than so many pages of them.
    pub(super) async fn names_within(
        &self,
        repository: &Repository,
        pages: usize,
    ) -> RegistryResult<Option<BTreeSet<Tag>>> {
        let request = format!("GET /v2/{}/tags/list", repository.path());
        let mut page = self
            .transport
            .send(Method::GET, repository, "tags/list?n=1000", Access::Pull, |request| request)
            .await?;
        if page.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut names = BTreeSet::new();
        for _ in 0..pages {
            let answer = page.success().await?;
            let next = answer.next_page();
            let bytes = answer.bytes(LIMIT).await?;
            let unreadable =
                |what: String| RegistryError::Protocol { request: request.clone(), what };
            let listed: Value = serde_json::from_slice(&bytes)
                .map_err(|error| unreadable(format!("no list of tags: {error}")))?;
            let listed: Option<Vec<String>> = match listed.get("tags") {
                Some(tags) => serde_json::from_value(tags.clone())
                    .map_err(|error| unreadable(format!("no list of tags: {error}")))?,
                None => return Err(unreadable("no list of tags".to_owned())),
            };
            // Some write null where there are none.
            for name in listed.unwrap_or_default() {
                names.insert(
                    name.parse()
                        .map_err(|error| unreadable(format!("a name that is none: {error}")))?,
                );
            }
            match next {
                None => return Ok(Some(names)),
                Some(url) => {
                    page = self
                        .transport
                        .send_to(Method::GET, url, repository, Access::Pull, |request| request)
                        .await?
                }
            }
        }
        Err(RegistryError::TooLarge {
            what: format!("the list of tags of `{repository}`"),
            limit: pages * LIMIT,
        })
    }

    /// Takes a manifest away, and with it the names that stand on it.
    pub async fn remove_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> RegistryResult<Removal> {
        let answer = self
            .transport
            .send(
                Method::DELETE,
                repository,
                &format!("manifests/{digest}"),
                Access::Delete,
                |request| request,
            )
            .await;
        match answer {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Ok(Removal::Gone),
            Ok(_) => Ok(Removal::Removed),
            Err(RegistryError::Refused {
                status: StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                ..
            }) => Ok(Removal::Unsupported),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_digests_are_told_from_names() {
        let hex = "0".repeat(64);
        let known = |text: &str| digest_name(&text.parse().unwrap()).map(|(_, what)| what);
        assert_eq!(known(&format!("sha256-{hex}")), Some(DigestName::Referrers));
        for suffix in ATTACHED {
            assert_eq!(
                known(&format!("sha256-{hex}.{suffix}")),
                Some(DigestName::Attached(suffix))
            );
        }
        let more = [
            format!("sha256-{}", &hex[1..]),
            format!("sha256-{hex}.txt"),
            format!("sha256-{hex}.sig.att"),
            format!("x-sha256-{hex}"),
        ];
        for name in
            ["latest", "sha-0123", "sha256-abc", "v1.sig"].map(str::to_owned).iter().chain(&more)
        {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
