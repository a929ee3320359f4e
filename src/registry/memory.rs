//! What a client remembers of a run: whose turn it is to write, which blobs it made sure of, and
//! what it wrote under names that others write too. It never takes what it wrote for what is there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::legacy::LegacyLayer;
use super::manifest::Descriptor;
use crate::image::{Digest, Repository, Tag};

#[derive(Default)]
pub(super) struct RegistryMemory {
    turns: Mutex<HashMap<(Repository, Digest), WriterTurn>>,
    /// Entries under fallback tags.
    pub(super) entries: WrittenEntries<Descriptor>,
    /// Layers under the tags of the older scheme.
    pub(super) layers: WrittenEntries<LegacyLayer>,
    /// Repositories whose registry was seen to have no referrers API, whatever it says when it is
    /// given a manifest with a subject.
    without_referrers: Mutex<HashSet<Repository>>,
    /// Entries that are still to be listed, by the subject under whose fallback tag they belong.
    pub(super) unlisted: Mutex<BTreeMap<(Repository, Digest), Vec<Descriptor>>>,
    /// Lists that this process wrote, and repositories whose registry took none of them away again.
    pub(super) lists: Mutex<HashSet<(Repository, Digest)>>,
    pub(super) keeps_lists: Mutex<HashSet<Repository>>,
}

/// One for each fallback tag that this process writes, and for each blob that it makes sure of;
/// whether that is done.
type WriterTurn = Arc<Mutex<bool>>;

impl RegistryMemory {
    pub(super) async fn turn(&self, repository: &Repository, subject: &Digest) -> WriterTurn {
        self.turns.lock().await.entry((repository.clone(), subject.clone())).or_default().clone()
    }

    pub(super) async fn note_no_referrers(&self, repository: &Repository) {
        self.without_referrers.lock().await.insert(repository.clone());
    }

    pub(super) async fn lacks_referrers(&self, repository: &Repository) -> bool {
        self.without_referrers.lock().await.contains(repository)
    }
}

/// What this process added under a name, so that it notices when a writer who had not seen it takes
/// it away.
pub(super) struct WrittenEntries<T>(Mutex<HashMap<(Repository, Tag), Vec<T>>>);

impl<T> Default for WrittenEntries<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> WrittenEntries<T> {
    pub(super) async fn note(&self, repository: &Repository, tag: &Tag, added: &[T]) {
        self.0
            .lock()
            .await
            .entry((repository.clone(), tag.clone()))
            .or_default()
            .extend_from_slice(added);
    }

    /// What was written and is not there.
    pub(super) async fn lost(
        &self,
        repository: &Repository,
        tag: &Tag,
        is_there: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        let written = self.0.lock().await;
        let ours = written.get(&(repository.clone(), tag.clone()));
        ours.into_iter().flatten().filter(|ours| !is_there(ours)).cloned().collect()
    }
}
