//! Artifacts that refer to an image: pushing them, and finding them by the referrers API or the
//! fallback tag. The fallback tag `sha256-<hex>` is a digest's name, not one that people pull.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>.

use std::collections::BTreeMap;

use reqwest::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};

use super::manifest::{Descriptor, EMPTY_JSON, OCI_INDEX, OCI_MANIFEST, RegistryManifest};
use super::names::Removal;
use super::transport::Access;
use super::{MANIFEST_LIMIT, Registry, RegistryError, RegistryResult, WriteCondition};
use crate::image::{Digest, Repository, Tag};
use crate::oci::{self, Json};

/// Pages of referrers that are read; beyond it the answer is refused rather than cut.
const PAGES: usize = 50;
/// Referrers of one subject that are read; no page is asked for after them.
const REFERRERS: usize = 1000;
/// How often a list that was put is looked for, where the registry answers with the subject in its
/// place.
const ALIASED: u32 = 3;
/// How often a lost race for a name that several write is run again, and how the pauses between
/// grow.
pub(super) const RACES: u32 = 12;

pub(super) fn after_race(attempt: u32) -> std::time::Duration {
    super::backoff(attempt.min(3)).mul_f64(0.5 + rand::random::<f64>())
}

/// An artifact to be attached to a subject: one layer.
pub struct ReferrerArtifact {
    pub artifact_type: &'static str,
    pub layer: bytes::Bytes,
    pub annotations: BTreeMap<String, String>,
}

impl ReferrerArtifact {
    /// The manifest that ties the layer to its subject.
    fn manifest(&self, subject: &Descriptor) -> RegistryManifest {
        let layer = Descriptor::of(&self.layer, self.artifact_type);
        let json = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": self.artifact_type,
            "config": Descriptor::of(b"{}", EMPTY_JSON),
            "layers": [layer],
            "subject": subject.bare(),
            "annotations": self.annotations,
        });
        RegistryManifest::new(json.to_string().into_bytes(), OCI_MANIFEST)
    }
}

impl Registry {
    /// Pushes the empty config that every artifact has, whether it is there or not: the surest way
    /// to know that this run may push, and cheaper before an hour of building than after.
    pub async fn probe_push(&self, repository: &Repository) -> RegistryResult<()> {
        let (empty, config) = empty_config();
        let turn = self.memory.turn(repository, &config.digest).await;
        let mut ensured = turn.lock().await;
        self.put_blob(repository, &empty, &config).await?;
        *ensured = true;
        Ok(())
    }

    /// Makes sure of the empty config; nothing is asked when it was pushed before in this run.
    pub async fn stage_empty_config(&self, repository: &Repository) -> RegistryResult<()> {
        let (empty, config) = empty_config();
        self.ensure_blob(repository, &empty, &config).await
    }

    /// Puts the manifest of a staged artifact, and lists it under the fallback tag where the
    /// registry keeps no referrers. Returns its digest.
    pub async fn attach_artifact(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        artifact: &ReferrerArtifact,
    ) -> RegistryResult<Digest> {
        let attached = self.attach_unlisted(repository, subject, artifact).await?;
        self.list_attached(repository, &subject.digest).await?;
        Ok(attached)
    }

    /// The same, but where the registry keeps no referrers it is listed by `list_attached` alone,
    /// together with what is attached meanwhile: each list that another takes the place of stays in
    /// the registry without a name.
    pub async fn attach_unlisted(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        artifact: &ReferrerArtifact,
    ) -> RegistryResult<Digest> {
        let manifest = artifact.manifest(subject);
        let kept_by_registry = self.put_manifest(repository, &manifest).await?;
        if !kept_by_registry || self.memory.lacks_referrers(repository).await {
            let entry = Descriptor {
                artifact_type: Some(artifact.artifact_type.to_owned()),
                annotations: artifact.annotations.clone(),
                ..manifest.descriptor.clone()
            };
            let mut unlisted = self.memory.unlisted.lock().await;
            unlisted.entry((repository.clone(), subject.digest.clone())).or_default().push(entry);
        }
        Ok(manifest.descriptor.digest)
    }

    /// Lists what was attached to a subject and is not listed yet; whoever comes second waits for
    /// the first.
    pub async fn list_attached(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> RegistryResult<()> {
        let turn = self.memory.turn(repository, subject).await;
        let _ours = turn.lock().await;
        let key = (repository.clone(), subject.clone());
        let entries = self.memory.unlisted.lock().await.get(&key).cloned().unwrap_or_default();
        if entries.is_empty() {
            return Ok(());
        }
        self.add_in_turn(repository, subject, &entries).await?;
        self.memory.entries.note(repository, &fallback_tag(subject)?, &entries).await;
        let mut unlisted = self.memory.unlisted.lock().await;
        let left: Vec<Descriptor> =
            unlisted.remove(&key).unwrap_or_default().into_iter().skip(entries.len()).collect();
        if !left.is_empty() {
            unlisted.insert(key, left);
        }
        Ok(())
    }

    /// The same for every subject.
    pub async fn list_all_attached(&self) -> RegistryResult<()> {
        let subjects: Vec<(Repository, Digest)> =
            self.memory.unlisted.lock().await.keys().cloned().collect();
        let lists =
            subjects.iter().map(|(repository, subject)| self.list_attached(repository, subject));
        futures_util::future::try_join_all(lists).await.map(drop)
    }

    /// Every artifact that refers to this digest; more than can be evidence are refused.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> RegistryResult<Vec<Descriptor>> {
        match self.referrers_by_api(repository, subject).await? {
            Some(found) => Ok(found),
            None => self.referrers_by_tag(repository, subject).await,
        }
    }

    /// The same, as the registry lists them itself; `None` where it has no such list.
    pub(super) async fn referrers_by_api(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> RegistryResult<Option<Vec<Descriptor>>> {
        let read = self.ask_for_referrers(repository, subject);
        match &self.once {
            Some(once) => once.referrers.get((repository.clone(), subject.clone()), read).await,
            None => read.await,
        }
    }

    async fn ask_for_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> RegistryResult<Option<Vec<Descriptor>>> {
        let first = self
            .transport
            .send(
                Method::GET,
                repository,
                &format!("referrers/{subject}"),
                Access::Pull,
                |request| request.header(ACCEPT, OCI_INDEX),
            )
            .await?;
        if first.status == StatusCode::NOT_FOUND
            || !first.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with(OCI_INDEX))
        {
            self.memory.note_no_referrers(repository).await;
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut page = first;
        for _ in 0..PAGES {
            let next = page.next_page();
            let bytes = page.bytes(MANIFEST_LIMIT).await?;
            found.extend(listed(&bytes, repository)?);
            expect_no_flood(&found, repository, subject)?;
            match next {
                None => return Ok(Some(found)),
                Some(url) => {
                    page = self
                        .transport
                        .send_to(Method::GET, url, repository, Access::Pull, |request| {
                            request.header(ACCEPT, OCI_INDEX)
                        })
                        .await?
                        .success()
                        .await?
                }
            }
        }
        Err(RegistryError::TooLarge {
            what: format!("the list of referrers of `{subject}`"),
            limit: PAGES * MANIFEST_LIMIT,
        })
    }

    /// The same, as they are listed under the fallback tag.
    pub(super) async fn referrers_by_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> RegistryResult<Vec<Descriptor>> {
        let tag = fallback_tag(subject)?;
        for attempt in 1..=RACES {
            let reader = if attempt == 1 { self.clone() } else { self.afresh() };
            let found = match reader.tagged(repository, &tag).await? {
                None => Vec::new(),
                Some(named) => match FallbackList::of(&named, subject, repository)? {
                    FallbackList::List => listed(&named.bytes, repository)?,
                    FallbackList::Subject | FallbackList::Other => Vec::new(),
                },
            };
            expect_no_flood(&found, repository, subject)?;
            let lost = self
                .memory
                .entries
                .lost(repository, &tag, |ours| {
                    found.iter().any(|entry| entry.digest == ours.digest)
                })
                .await;
            if lost.is_empty() {
                return Ok(found);
            }
            // A writer who had not seen ours wrote after we had looked: where no condition is
            // heeded, only a later look can tell.
            self.add_to_fallback_tag(repository, subject, &lost).await?;
            tokio::time::sleep(after_race(attempt)).await;
        }
        Err(outraced(repository, &tag))
    }

    /// Our own writers take turns; other processes are met by the re-read.
    pub(super) async fn add_to_fallback_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
        entries: &[Descriptor],
    ) -> RegistryResult<()> {
        let turn = self.memory.turn(repository, subject).await;
        let _ours = turn.lock().await;
        self.add_in_turn(repository, subject, entries).await
    }

    /// Read, add, write if nothing changed, read again: no registry locks a tag, so a lost race is
    /// noticed and run again.
    async fn add_in_turn(
        &self,
        repository: &Repository,
        subject: &Digest,
        entries: &[Descriptor],
    ) -> RegistryResult<()> {
        let tag = fallback_tag(subject)?;
        let mut aliased = 0;
        for attempt in 1..=RACES {
            let (before, condition) = match aliased {
                0 => self.list_to_replace(repository, subject, &tag).await?,
                _ => self.to_be_replaced(repository, &tag).await?,
            };
            let is_subject =
                before.as_ref().is_some_and(|before| before.descriptor.digest == *subject);
            if aliased > 0 && is_subject {
                aliased += 1;
            } else {
                let Some(index) = with_entries(before.as_ref(), entries, repository)? else {
                    return Ok(());
                };
                let manifest = RegistryManifest::new(index.to_string().into_bytes(), OCI_INDEX);
                if self.replace(repository, &tag, &manifest, &condition).await? {
                    self.memory
                        .lists
                        .lock()
                        .await
                        .insert((repository.clone(), manifest.descriptor.digest.clone()));
                    let read = self.afresh().tagged(repository, &tag).await?;
                    if read.as_ref().is_some_and(|read| read.descriptor.digest == *subject) {
                        aliased += 1;
                    }
                    let kept = read.as_ref().map(|kept| digests(&kept.bytes)).unwrap_or_default();
                    if digests(&manifest.bytes).iter().all(|ours| kept.contains(ours)) {
                        self.remove_superseded(repository, before.as_ref(), read.as_ref()).await;
                        return Ok(());
                    }
                }
            }
            if aliased > ALIASED {
                return Err(unlistable(repository, &tag));
            }
            tokio::time::sleep(after_race(attempt)).await;
        }
        Err(outraced(repository, &tag))
    }

    /// The list that a fallback tag names, and the condition under which it still does; none where
    /// there is none. What else stands there is not ours to overwrite, except the subject itself
    /// where there is no such tag and the registry reads the name as the digest.
    async fn list_to_replace(
        &self,
        repository: &Repository,
        subject: &Digest,
        tag: &Tag,
    ) -> RegistryResult<(Option<RegistryManifest>, WriteCondition)> {
        let (before, condition) = self.to_be_replaced(repository, tag).await?;
        let Some(named) = &before else { return Ok((before, condition)) };
        match FallbackList::of(named, subject, repository)? {
            FallbackList::List => Ok((before, condition)),
            FallbackList::Subject if !self.has_tag(repository, tag).await? => {
                Ok((None, Some((IF_NONE_MATCH, "*".to_owned()))))
            }
            FallbackList::Subject => {
                Err(occupied(repository, tag, "the image itself, as `cosign copy` leaves it"))
            }
            FallbackList::Other => Err(occupied(repository, tag, "something that is not a list")),
        }
    }

    /// Whether the registry lists such a tag, whatever it answers to its name.
    async fn has_tag(&self, repository: &Repository, tag: &Tag) -> RegistryResult<bool> {
        #[derive(serde::Deserialize)]
        struct ReferrersPage {
            tags: Option<Vec<String>>,
        }
        // What sorts just before it is skipped where the registry sorts.
        let (before, _) = tag.as_str().split_at(tag.as_str().len() - 1);
        let path = format!("tags/list?n=1000&last={before}");
        let mut answer = self
            .transport
            .send(Method::GET, repository, &path, Access::Pull, |request| request)
            .await?;
        for _ in 0..PAGES {
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(false);
            }
            let page = answer.success().await?;
            let next = page.next_page();
            let bytes = page.bytes(MANIFEST_LIMIT).await?;
            let listed: ReferrersPage =
                serde_json::from_slice(&bytes).map_err(|error| RegistryError::Protocol {
                    request: format!("GET /v2/{}/tags/list", repository.path()),
                    what: format!("something that is not a list of tags: {error}"),
                })?;
            if listed.tags.iter().flatten().any(|listed| listed == tag.as_str()) {
                return Ok(true);
            }
            let Some(url) = next else { return Ok(false) };
            answer = self
                .transport
                .send_to(Method::GET, url, repository, Access::Pull, |request| request)
                .await?;
        }
        Err(RegistryError::TooLarge {
            what: format!("the list of tags of `{repository}`"),
            limit: PAGES * MANIFEST_LIMIT,
        })
    }

    /// Takes away a list that this process wrote and that no name stands on any more. That it
    /// cannot is no failure: it is in nobody's way.
    async fn remove_superseded(
        &self,
        repository: &Repository,
        before: Option<&RegistryManifest>,
        now: Option<&RegistryManifest>,
    ) {
        let (Some(before), Some(now)) = (before, now) else { return };
        let digest = &before.descriptor.digest;
        let ours = self.memory.lists.lock().await.contains(&(repository.clone(), digest.clone()));
        if !ours
            || now.descriptor.digest == *digest
            || self.memory.keeps_lists.lock().await.contains(repository)
        {
            return;
        }
        match self.remove_manifest(repository, digest).await {
            Ok(Removal::Removed | Removal::Gone) => {}
            outcome => {
                tracing::debug!(%repository, %digest, ?outcome, "a list that another took the place of stays");
                self.memory.keeps_lists.lock().await.insert(repository.clone());
            }
        }
    }

    /// Puts a name that several write; `false` when it is to be read again: because it changed
    /// meanwhile, or because the registry does not know one of the parts yet, and what is written
    /// later must not be older.
    pub(super) async fn replace(
        &self,
        repository: &Repository,
        tag: &Tag,
        manifest: &RegistryManifest,
        condition: &WriteCondition,
    ) -> RegistryResult<bool> {
        match self.put_once(repository, tag.as_str(), manifest, condition).await {
            Ok(_) => Ok(true),
            Err(RegistryError::Refused {
                status: StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What a fallback tag names.
#[derive(Debug, PartialEq, Eq)]
enum FallbackList {
    List,
    /// GitLab reads the name of the tag as the digest:
    /// <https://github.com/oras-project/oras-go/issues/1396>.
    Subject,
    /// An image or an artifact.
    Other,
}

impl FallbackList {
    /// An answer that is a document of no kind is a failure: a list that was cut must not read as
    /// none.
    fn of(
        manifest: &RegistryManifest,
        subject: &Digest,
        repository: &Repository,
    ) -> RegistryResult<Self> {
        if manifest.descriptor.digest == *subject {
            return Ok(Self::Subject);
        }
        let is_manifest = || match Json::parse(&manifest.bytes) {
            Ok(Json::Members(members)) => {
                let has = |wanted: &str| {
                    members.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
                };
                !has("manifests")
                    && ["config", "layers", "fsLayers", "blobs", "mediaType"].into_iter().any(has)
            }
            _ => false,
        };
        match listed(&manifest.bytes, repository) {
            Ok(_) => Ok(Self::List),
            Err(_) if is_manifest() => Ok(Self::Other),
            Err(error) => Err(error),
        }
    }
}

fn occupied(repository: &Repository, tag: &Tag, what: &str) -> RegistryError {
    RegistryError::Content {
        image: format!("{repository}:{tag}"),
        what: format!(
            "points to {what}, and the registry keeps no referrers, so the evidence cannot be listed there"
        ),
        remedy: Some(
            "delete that tag, because the image does not need it; or keep the evidence under \
             cosign's tags only, with `signature-formats: legacy`"
                .to_owned(),
        ),
        accepted_by: None,
    }
}

fn unlistable(repository: &Repository, tag: &Tag) -> RegistryError {
    RegistryError::Content {
        image: format!("{repository}:{tag}"),
        what: "was written as the list of the evidence, but the registry answers with the image of that digest".to_owned(),
        remedy: Some(
            "keep the evidence under cosign's tags, with `signature-formats: legacy`: this \
             registry keeps neither referrers nor their list"
                .to_owned(),
        ),
        accepted_by: None,
    }
}

fn expect_no_flood(
    found: &[Descriptor],
    repository: &Repository,
    subject: &Digest,
) -> RegistryResult<()> {
    if found.len() <= REFERRERS {
        return Ok(());
    }
    Err(RegistryError::Flood { what: format!("`{repository}@{subject}`"), limit: REFERRERS })
}

pub(super) fn outraced(repository: &Repository, tag: &Tag) -> RegistryError {
    RegistryError::Protocol {
        request: format!("PUT /v2/{}/manifests/{tag}", repository.path()),
        what: format!("another writer's list, {RACES} times in a row"),
    }
}

fn empty_config() -> (bytes::Bytes, Descriptor) {
    let empty = bytes::Bytes::from_static(b"{}");
    let config = Descriptor::of(&empty, EMPTY_JSON);
    (empty, config)
}

/// `sha256-<hex>`: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>.
fn fallback_tag(subject: &Digest) -> RegistryResult<Tag> {
    super::closure::digest_tag(subject, "")
}

/// The fallback index with these entries as well; everything that others wrote stays as it is.
/// `None` when all are there.
fn with_entries(
    before: Option<&RegistryManifest>,
    added: &[Descriptor],
    repository: &Repository,
) -> RegistryResult<Option<serde_json::Value>> {
    let unreadable = |what: String| RegistryError::Protocol {
        request: format!("GET /v2/{}/referrers", repository.path()),
        what,
    };
    let mut index = match before {
        None => serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }),
        Some(manifest) => {
            listed(&manifest.bytes, repository)?;
            serde_json::from_slice(&manifest.bytes)
                .map_err(|error| unreadable(format!("a list that cannot be read: {error}")))?
        }
    };
    let Some(entries) = index.get_mut("manifests").and_then(|entries| entries.as_array_mut())
    else {
        return Err(unreadable("something that is not an image index".to_owned()));
    };
    let known = entries.len();
    for entry in added {
        if !entries.iter().any(|known| known["digest"] == entry.digest.as_str()) {
            entries.push(serde_json::json!(entry));
        }
    }
    Ok((entries.len() > known).then_some(index))
}

/// The digests that an index lists, read leniently.
fn digests(index: &[u8]) -> Vec<String> {
    let index: serde_json::Value = serde_json::from_slice(index).unwrap_or_default();
    index["manifests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry["digest"].as_str()?.to_owned()))
        .collect()
}

/// The entries that can be read. Anybody may attach anything, so one that cannot (another digest
/// algorithm, say) hides no other; it is no evidence.
fn listed(bytes: &[u8], repository: &Repository) -> RegistryResult<Vec<Descriptor>> {
    let listed = oci::listed(bytes, "manifests").map_err(|why| RegistryError::Protocol {
        request: format!("GET /v2/{}/referrers", repository.path()),
        what: format!("something that is not an image index: {why}"),
    })?;
    Ok(listed.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
