//! A repository → which parts of an image and its evidence it has: as it says so itself, or read
//! back with every manifest hashed. It writes nothing, and takes no failure for "not there".

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream, try_join};

use super::super::closure::{Closure, digest_tag};
use super::super::legacy::has_all_of;
use super::super::{RegistryError, RegistryResult};
use super::order::TransferOrder;
use super::{SMALL_AT_ONCE, TransferEnd, of};
use crate::image::{Digest, Tag};

/// What is taken for an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PresenceProof {
    /// The registry's word, in as few requests as it needs: what it lists itself is there.
    Told,
    /// The bytes of each manifest, in each place where it is found.
    Fetched,
}

/// The tags of a repository, as far as it tells them.
#[derive(Debug, Clone)]
pub struct DestinationNames {
    /// Whether the registry knows no such repository.
    pub(super) is_new: bool,
    /// `None` where nobody tells them: each is asked for.
    pub(super) names: Option<BTreeSet<Tag>>,
}

impl DestinationNames {
    pub async fn ask(to: TransferEnd<'_>) -> RegistryResult<Self> {
        match to.registry.names(to.repository).await {
            // Some say so of every repository in which nothing has a name.
            Ok(None) => Ok(Self { is_new: true, names: Some(BTreeSet::new()) }),
            Ok(names) => Ok(Self { is_new: false, names }),
            // Nobody may list them, or they are too many: they may be there all the same.
            Err(RegistryError::Refused { .. } | RegistryError::TooLarge { .. }) => {
                Ok(Self::unknown())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn unknown() -> Self {
        Self { is_new: false, names: None }
    }

    fn may_have(&self, tag: &Tag) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(tag))
    }
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct PresentParts {
    pub(super) manifests: BTreeSet<Digest>,
    /// Subjects with whom all of their referrers are listed.
    pub(super) listed: BTreeSet<Digest>,
    /// Tags that are digests with a suffix, and have all that they have at the source.
    pub(super) attached: BTreeSet<Tag>,
    /// Such tags that point to something else.
    pub(super) otherwise: BTreeSet<Tag>,
}

impl PresentParts {
    /// Asks for what each list and each tag names, and then for what none of them tells of.
    pub(super) async fn found(
        closure: &Closure,
        order: &TransferOrder,
        to: TransferEnd<'_>,
        names: &DestinationNames,
        proof: PresenceProof,
    ) -> RegistryResult<Self> {
        let lists = order.referrers.iter().map(|(subject, referrers)| async move {
            Ok::<_, RegistryError>((subject, referrers, listed(to, subject, names).await?))
        });
        let tags = order.attached.iter().filter(|(tag, _)| names.may_have(tag));
        let tags = tags.map(|(tag, digest)| async move {
            Ok::<_, RegistryError>((tag, digest, to.registry.tagged(to.repository, tag).await?))
        });
        let mut told: BTreeSet<&Digest> = order.attached.values().collect();
        if proof == PresenceProof::Told {
            told.extend(order.referrers.values().flatten());
        }
        let all: BTreeSet<&Digest> = order.groups.iter().flatten().collect();
        let (lists, tags, first) = try_join!(
            stream::iter(lists).buffer_unordered(SMALL_AT_ONCE).try_collect::<Vec<_>>(),
            stream::iter(tags).buffer_unordered(SMALL_AT_ONCE).try_collect::<Vec<_>>(),
            there(to, all.difference(&told).copied(), proof)
        )?;
        let mut present = Self { manifests: first, ..Self::default() };
        for (subject, referrers, list) in lists {
            let is_listed = |referrer: &&Digest| list.digests.contains(*referrer);
            if list.is_registrys && proof == PresenceProof::Told {
                present.manifests.extend(referrers.iter().filter(is_listed).cloned());
            }
            if referrers.iter().all(|referrer| is_listed(&referrer)) {
                present.listed.insert(subject.clone());
            }
        }
        for (tag, digest, named) in tags {
            let Some(named) = named else { continue };
            if named.descriptor.digest == *digest {
                present.manifests.insert(digest.clone());
                present.attached.insert(tag.clone());
            } else if has_all_of(&named, of(closure, digest)?, to.repository) {
                present.attached.insert(tag.clone());
            } else {
                present.otherwise.insert(tag.clone());
            }
        }
        let left: Vec<&Digest> =
            told.into_iter().filter(|digest| !present.manifests.contains(*digest)).collect();
        present.manifests.extend(there(to, left, proof).await?);
        Ok(present)
    }
}

/// Which of these manifests a repository has.
async fn there(
    to: TransferEnd<'_>,
    digests: impl IntoIterator<Item = &Digest>,
    proof: PresenceProof,
) -> RegistryResult<BTreeSet<Digest>> {
    let asked = digests.into_iter().map(|digest| async move {
        let image = to.at(digest);
        let is_there = match proof {
            PresenceProof::Told => to.registry.has_manifest(&image).await?,
            PresenceProof::Fetched => to.registry.manifest(&image).await?.is_some(),
        };
        Ok::<_, RegistryError>(is_there.then(|| digest.clone()))
    });
    let there: Vec<Option<Digest>> =
        stream::iter(asked).buffer_unordered(SMALL_AT_ONCE).try_collect().await?;
    Ok(there.into_iter().flatten().collect())
}

/// What is listed with a subject.
struct ListedReferrers {
    digests: BTreeSet<Digest>,
    /// Whether the registry keeps the list itself, and so has what it lists.
    is_registrys: bool,
}

async fn listed(
    to: TransferEnd<'_>,
    subject: &Digest,
    names: &DestinationNames,
) -> RegistryResult<ListedReferrers> {
    let TransferEnd { registry, repository } = to;
    let by_registry = registry.referrers_by_api(repository, subject).await?;
    let is_registrys = by_registry.is_some();
    let entries = match by_registry {
        Some(entries) => entries,
        None if names.may_have(&digest_tag(subject, "")?) => {
            registry.referrers_by_tag(repository, subject).await?
        }
        None => Vec::new(),
    };
    let digests = entries.into_iter().map(|entry| entry.digest).collect();
    Ok(ListedReferrers { digests, is_registrys })
}
