//! What several who look at one image read in common: manifests, lists of referrers and small blobs,
//! each fetched once. It keeps no failure, and nothing of it counts before it is hashed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::manifest::{Descriptor, RegistryManifest};
use super::{Registry, RegistryResult};
use crate::image::{Digest, Repository};

/// Larger blobs are fetched again, and so is what is more than this together: memory is bounded
/// whatever an image carries.
const LARGEST: usize = 512 << 10;
const TOGETHER: usize = 4 << 20;

#[derive(Default)]
pub(super) struct AnswersOnce {
    /// By digest or tag.
    pub(super) manifests: OnceByKey<(Repository, String), Option<RegistryManifest>>,
    /// `None` where the registry lists none itself.
    pub(super) referrers: OnceByKey<(Repository, Digest), Option<Vec<Descriptor>>>,
    blobs: Mutex<KeptBlobs>,
}

#[derive(Default)]
struct KeptBlobs {
    bytes: HashMap<(Repository, Digest), Vec<u8>>,
    together: usize,
}

/// Answers by what was asked. Whoever asks while another does waits for that answer.
pub(super) struct OnceByKey<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for OnceByKey<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> OnceByKey<K, V> {
    /// What is known, or what is read now. After a failure the next one asks again.
    pub(super) async fn get(
        &self,
        key: K,
        read: impl Future<Output = RegistryResult<V>>,
    ) -> RegistryResult<V> {
        let cell = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(key).or_default().clone()
        };
        cell.get_or_try_init(|| read).await.cloned()
    }
}

impl AnswersOnce {
    pub(super) fn blob(&self, repository: &Repository, digest: &Digest) -> Option<Vec<u8>> {
        let kept = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.get(&(repository.clone(), digest.clone())).cloned()
    }

    /// Keeps a blob that hashed to its digest, where it is small.
    pub(super) fn keep_blob(&self, repository: &Repository, digest: &Digest, bytes: &[u8]) {
        let mut kept = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() > LARGEST || kept.together + bytes.len() > TOGETHER {
            return;
        }
        let before = kept.bytes.insert((repository.clone(), digest.clone()), bytes.to_vec());
        if before.is_none() {
            kept.together += bytes.len();
        }
    }
}

impl Registry {
    /// The same client for who looks at one image from several sides. What it read is not asked for
    /// again, so what is written meanwhile is not seen: whoever reads back takes a new one.
    pub fn reading_once(&self) -> Self {
        Self { once: Some(Arc::default()), ..self.clone() }
    }

    /// The same client for who wants to know what is there now.
    pub(super) fn afresh(&self) -> Self {
        Self { once: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::RegistryError;
    use super::*;

    #[tokio::test]
    async fn one_asks_for_all_and_a_failure_is_not_kept() {
        let (answers, asked) = (OnceByKey::<u8, u8>::default(), AtomicUsize::new(0));
        let read = |answer: RegistryResult<u8>| {
            let asked = &asked;
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                answer
            }
        };
        let failed = RegistryError::Absent { what: "it".to_owned() };
        answers.get(1, read(Err(failed))).await.unwrap_err();
        let (one, two) = tokio::join!(answers.get(1, read(Ok(7))), answers.get(1, read(Ok(8))));
        assert_eq!((one.unwrap(), two.unwrap()), (7, 7));
        assert_eq!(answers.get(2, read(Ok(9))).await.unwrap(), 9);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn only_so_much_is_kept_of_blobs() {
        let (answers, repository) = (AnswersOnce::default(), "r.io/a".parse().unwrap());
        let large = vec![0; LARGEST + 1];
        answers.keep_blob(&repository, &Digest::of(&large), &large);
        assert!(answers.blob(&repository, &Digest::of(&large)).is_none());
        for number in 0..20_u8 {
            let bytes = vec![number; LARGEST];
            let digest = Digest::of(&bytes);
            answers.keep_blob(&repository, &digest, &bytes);
            answers.keep_blob(&repository, &digest, &bytes);
            let kept = answers.blob(&repository, &digest);
            assert_eq!(kept.is_some(), usize::from(number) < TOGETHER / LARGEST, "{number}");
        }
        assert!(answers.blob(&"r.io/b".parse().unwrap(), &Digest::of(&vec![0; LARGEST])).is_none());
    }
}
