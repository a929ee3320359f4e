//! An image with all that belongs to it → the same in another repository, byte for byte: what is
//! there is not sent again, lists that others write too are added to, and no name is put but those
//! that are digests. What it brings is for `verify` to judge.

mod attached;
mod lists;
mod order;
mod present;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

pub use self::lists::entry_of;
pub use self::order::TransferOrder;
pub use self::present::DestinationNames;
use self::present::{PresenceProof, PresentParts};
use super::closure::Closure;
use super::copy::{BlobArrival, BlobSource, Meter};
use super::manifest::{Descriptor, RegistryManifest};
use super::{Registry, RegistryError, RegistryResult};
use crate::image::{Digest, ImageRef, Repository, Tag};
use crate::text::plural;

/// Requests for small things that are under way at once, and large blobs.
const SMALL_AT_ONCE: usize = 16;
const LARGE_AT_ONCE: usize = 4;
/// A smaller blob is sent again as soon as it is asked for.
const WORTH_ASKING: u64 = 64 << 10;
/// From this size on a blob is large.
const LARGE: u64 = 4 << 20;

/// A repository, and the client that reaches it.
#[derive(Clone, Copy)]
pub struct TransferEnd<'a> {
    pub registry: &'a Registry,
    pub repository: &'a Repository,
}

impl TransferEnd<'_> {
    fn at(&self, digest: &Digest) -> ImageRef {
        self.repository.at(digest)
    }
}

/// What a repository lacks of an image and its evidence.
#[derive(Debug)]
pub struct LackingParts {
    order: TransferOrder,
    manifests: BTreeSet<Digest>,
    /// The largest first.
    blobs: Vec<Descriptor>,
    /// How many are there already.
    known: usize,
    present: PresentParts,
    names: DestinationNames,
}

/// What a transfer did.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Manifests and blobs that the repository did not have.
    pub manifests: usize,
    pub blobs: usize,
    /// What was sent for them.
    pub bytes: u64,
    /// Manifests and blobs that were there.
    pub skipped: usize,
    /// Blobs that the registry had in another repository.
    pub mounted: usize,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LackingParts {
    /// Asks what a repository lacks: a manifest that is there vouches for its blobs. A repository
    /// without a name is taken for new, and asked for what is worth it: another run may have begun
    /// there.
    pub async fn of(closure: &Closure, to: TransferEnd<'_>) -> RegistryResult<Self> {
        Self::given(closure, to, DestinationNames::ask(to).await?).await
    }

    /// The same, where its names are known.
    pub async fn given(
        closure: &Closure,
        to: TransferEnd<'_>,
        names: DestinationNames,
    ) -> RegistryResult<Self> {
        let order = order_of(closure)?;
        let present = match names.is_new {
            true => PresentParts::default(),
            false => PresentParts::found(closure, &order, to, &names, PresenceProof::Told).await?,
        };
        Self::beside(present, order, to, names).await
    }

    /// What it still lacks after all was brought: each manifest is fetched and hashed, each list and
    /// tag is read. Of `to`, nothing may be known from before.
    pub async fn after(closure: &Closure, to: TransferEnd<'_>) -> RegistryResult<Self> {
        let (order, names) = (order_of(closure)?, DestinationNames::unknown());
        let present =
            PresentParts::found(closure, &order, to, &names, PresenceProof::Fetched).await?;
        Self::beside(present, order, to, names).await
    }

    /// What is lacking beside what is there.
    async fn beside(
        present: PresentParts,
        order: TransferOrder,
        to: TransferEnd<'_>,
        names: DestinationNames,
    ) -> RegistryResult<Self> {
        let TransferEnd { registry, repository } = to;
        let all = order.groups.iter().flatten();
        let manifests: BTreeSet<Digest> =
            all.filter(|digest| !present.manifests.contains(*digest)).cloned().collect();
        let mut vouched: BTreeMap<&Digest, &Descriptor> = BTreeMap::new();
        let mut wanted: BTreeMap<&Digest, &Descriptor> = BTreeMap::new();
        for (manifest, blobs) in &order.blobs {
            let of = if manifests.contains(manifest) { &mut wanted } else { &mut vouched };
            of.extend(blobs.iter().map(|blob| (&blob.digest, blob)));
        }
        wanted.retain(|digest, _| !vouched.contains_key(digest));
        let is_new = names.is_new;
        let asked = wanted.into_values().map(|blob| async move {
            let is_asked = !is_new || blob.size > WORTH_ASKING;
            Ok((blob, is_asked && registry.has_blob(repository, blob).await?))
        });
        let asked: Vec<(&Descriptor, bool)> =
            stream::iter(asked).buffer_unordered(SMALL_AT_ONCE).try_collect().await?;
        let (there, lacking): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(_, there)| *there);
        let mut blobs: Vec<Descriptor> =
            lacking.into_iter().map(|(blob, _)| blob.clone()).collect();
        blobs.sort_by(|one, other| {
            other.size.cmp(&one.size).then_with(|| one.digest.cmp(&other.digest))
        });
        let known = vouched.len() + there.len();
        Ok(Self { order, manifests, blobs, known, present, names })
    }

    /// What is lacking still, in words; nothing where all is there, listed with its subject and under
    /// its tag. `before` the copy some tags pointed to something else, and may do so.
    pub fn still(&self, before: &Self) -> Option<String> {
        let lists = self.order.referrers.keys();
        let lists = lists.filter(|subject| !self.present.listed.contains(*subject)).count();
        let tags = self.order.attached.keys();
        let tags = tags.filter(|tag| !self.present.attached.contains(*tag));
        let tags = tags.filter(|tag| !before.present.otherwise.contains(*tag)).count();
        let counts = [
            (self.manifests.len(), "manifest"),
            (self.blobs.len(), "blob"),
            (lists, "whole referrer list"),
            (tags, "tag"),
        ];
        let lacking = counts.iter().filter(|(count, _)| *count > 0);
        let lacking: Vec<String> = lacking.map(|(count, what)| plural(*count, what)).collect();
        (!lacking.is_empty()).then(|| lacking.join(", "))
    }

    /// What would be sent at most: the registry may have some of it in another repository.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    pub fn blobs(&self) -> usize {
        self.blobs.len()
    }

    pub fn manifests(&self) -> usize {
        self.manifests.len()
    }

    /// Whether the registry knows no such repository.
    pub fn is_new(&self) -> bool {
        self.names.is_new
    }

    /// Brings what is lacking: blobs, then manifests, each after what it consists of, then what
    /// lists and names evidence.
    ///
    /// # Errors
    /// What was brought until then stays, and another transfer does not send it again.
    pub async fn bring(
        &self,
        closure: &Closure,
        from: TransferEnd<'_>,
        to: TransferEnd<'_>,
        meter: &Meter,
    ) -> RegistryResult<Copied> {
        let mut copied = self.bring_blobs(from, to, meter).await?;
        copied.skipped += self.known;
        let mut named = BTreeSet::new();
        for group in &self.order.groups {
            let lacking = group.iter().filter(|digest| self.manifests.contains(*digest));
            let puts = lacking.map(|digest| self.put(closure, digest, to));
            let put: Vec<Option<&Tag>> =
                stream::iter(puts).buffer_unordered(SMALL_AT_ONCE).try_collect().await?;
            copied.manifests += put.len();
            copied.skipped += group.len() - put.len();
            named.extend(put.into_iter().flatten());
        }
        self.list(closure, to).await?;
        copied.notes.extend(self.attach(closure, to, &named).await?);
        Ok(copied)
    }

    async fn bring_blobs(
        &self,
        from: TransferEnd<'_>,
        to: TransferEnd<'_>,
        meter: &Meter,
    ) -> RegistryResult<Copied> {
        let bring = |blob| async move {
            let lying = BlobSource { registry: from.registry, repository: from.repository, blob };
            match to.registry.bring_blob(&lying, to.repository, meter).await {
                // Whoever pulls fetches it from elsewhere.
                Err(RegistryError::Absent { .. }) if blob.is_foreign() => Ok((blob, None)),
                arrival => arrival.map(|arrival| (blob, Some(arrival))),
            }
        };
        let large = self.blobs.iter().take_while(|blob| blob.size >= LARGE).map(bring);
        let small = self.blobs.iter().skip_while(|blob| blob.size >= LARGE).map(bring);
        let large = stream::iter(large).buffer_unordered(LARGE_AT_ONCE).try_collect::<Vec<_>>();
        let small = stream::iter(small).buffer_unordered(SMALL_AT_ONCE).try_collect::<Vec<_>>();
        let (large, small) = futures_util::try_join!(large, small)?;
        let mut copied = Copied::default();
        for (blob, arrival) in large.into_iter().chain(small) {
            match arrival {
                Some(BlobArrival::Sent) => {
                    copied.blobs += 1;
                    copied.bytes += blob.size;
                }
                Some(BlobArrival::Mounted) => {
                    copied.blobs += 1;
                    copied.mounted += 1;
                }
                None => copied.notes.push(format!(
                    "layer `{}` is not in `{}` but at other addresses, so it is not copied",
                    blob.digest, from.repository
                )),
            }
        }
        Ok(copied)
    }

    /// Makes sure that whoever asks for evidence is told of all of it.
    async fn list(&self, closure: &Closure, to: TransferEnd<'_>) -> RegistryResult<()> {
        let unlisted = self.order.referrers.iter();
        let unlisted = unlisted.filter(|(subject, _)| !self.present.listed.contains(*subject));
        let lists = unlisted.map(|(subject, referrers)| async move {
            let manifests = referrers.iter().map(|digest| of(closure, digest));
            let manifests: Vec<&RegistryManifest> = manifests.collect::<RegistryResult<_>>()?;
            to.registry.ensure_listed(to.repository, subject, &manifests).await
        });
        stream::iter(lists).buffer_unordered(SMALL_AT_ONCE).try_collect().await
    }
}

fn order_of(closure: &Closure) -> RegistryResult<TransferOrder> {
    TransferOrder::of(closure).map_err(|digest| RegistryError::Absent {
        what: format!("manifest `{digest}`, which the image or its evidence points to,"),
    })
}

fn of<'a>(closure: &'a Closure, digest: &Digest) -> RegistryResult<&'a RegistryManifest> {
    closure
        .manifests
        .get(digest)
        .ok_or_else(|| RegistryError::Absent { what: format!("manifest `{digest}`") })
}
