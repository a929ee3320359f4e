//! `VerifiedImage` → `Published`: the only writer of names that people pull. It never overwrites a name that somebody moved meanwhile.

use std::collections::HashMap;
use std::fmt;

use futures_util::future::{LocalBoxFuture, join_all, try_join_all};
use serde::Serialize;

use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit, remedied, with_hint};
use crate::image::{Digest, ImageRef, Repository, Tag};
use crate::inputs::OnTagConflict;
use crate::registry::{Registry, RegistryError};
use crate::verify::{Evidence, VerifiedImage};

/// One name: a tag in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Name {
    pub repository: Repository,
    pub tag: Tag,
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.repository, self.tag)
    }
}

/// What each name meant when the plan was made.
#[derive(Debug)]
pub struct Baseline(HashMap<Name, Option<Digest>>);

impl Baseline {
    /// Looks every name up.
    pub async fn observe(registry: &Registry, repositories: &[Repository], tags: &[Tag]) -> anyhow::Result<Self> {
        let names = names(repositories, tags);
        let looked_up = names.iter().map(|name| async { Ok::<_, RegistryError>((name.clone(), current(registry, name).await?)) });
        Ok(Self(try_join_all(looked_up).await.remedied()?.into_iter().collect()))
    }
}

impl Baseline {
    /// The names that stood on an image when the plan was made.
    pub fn taken(&self) -> impl Iterator<Item = (&Name, ImageRef)> {
        self.0.iter().filter_map(|(name, digest)| Some((name, name.repository.at(digest.as_ref()?))))
    }
}

fn names(repositories: &[Repository], tags: &[Tag]) -> Vec<Name> {
    tags.iter().flat_map(|tag| repositories.iter().map(|repository| Name { repository: repository.clone(), tag: tag.clone() })).collect()
}

async fn current(registry: &Registry, name: &Name) -> Result<Option<Digest>, RegistryError> {
    Ok(registry.tagged(&name.repository, &name.tag).await?.map(|manifest| manifest.descriptor.digest))
}

/// Images with their names on.
#[derive(Debug)]
pub struct Published {
    pub images: Vec<ImageRef>,
    pub names: Vec<Name>,
    pub evidence: Evidence,
}

/// On which terms names are put.
pub struct Terms<'a> {
    pub baseline: &'a Baseline,
    pub rule: OnTagConflict,
    /// Whether a run of this very commit published this image; then its names are no conflict.
    pub same_commit: &'a (dyn Fn(ImageRef) -> LocalBoxFuture<'a, bool> + 'a),
    /// Told of each name as soon as it is put, so that a log says how far an interrupted run came.
    pub on_put: &'a dyn Fn(&Name),
}

/// Puts every tag on every verified image: conflicts first, then names of one version, floating ones last, each read back.
///
/// # Errors
/// With exit code 3 when some names were put and others not; the message lists both.
pub async fn publish(registry: &Registry, verified: Vec<VerifiedImage>, tags: &[Tag], terms: &Terms<'_>) -> anyhow::Result<Published> {
    let Some(first) = verified.first() else { anyhow::bail!("nothing was verified, so nothing is published") };
    let evidence = first.evidence().clone();
    find_conflicts(registry, &verified, tags, terms).await?;
    let mut put: Vec<Name> = Vec::new();
    for rank in 0..=4 {
        let ranked = tags.iter().filter(|tag| tag.floats() == rank);
        let attempts = ranked.flat_map(|tag| {
            verified.iter().map(move |image| {
                let name = Name { repository: image.image().repository.clone(), tag: tag.clone() };
                async move {
                    let outcome = put_name(registry, image, &name).await;
                    if outcome.is_ok() {
                        (terms.on_put)(&name);
                    }
                    (name, outcome)
                }
            })
        });
        let mut failed: Vec<(Name, NotPut)> = Vec::new();
        for (name, outcome) in join_all(attempts).await {
            match outcome {
                Ok(()) => put.push(name),
                Err(why) => failed.push((name, why)),
            }
        }
        if !failed.is_empty() {
            return Err(partly(&put, &failed, &verified, tags));
        }
    }
    Ok(Published { images: verified.iter().map(|image| image.image().clone()).collect(), names: put, evidence })
}

/// Why a name is not known to be put.
enum NotPut {
    /// The registry said no.
    Refused(anyhow::Error),
    /// It may be there all the same: the answer was lost, or it could not be read back.
    Unconfirmed(anyhow::Error),
}

impl NotPut {
    fn error(&self) -> &anyhow::Error {
        match self {
            Self::Refused(error) | Self::Unconfirmed(error) => error,
        }
    }
}

/// Puts one name on the verified bytes and reads it back.
async fn put_name(registry: &Registry, verified: &VerifiedImage, name: &Name) -> Result<(), NotPut> {
    let digest = &verified.image().digest;
    #[expect(clippy::disallowed_methods, reason = "the one place that names an image; it holds the proof")]
    match registry.put_tag(&name.repository, &name.tag, verified.manifest()).await {
        Ok(()) => {}
        Err(error @ RegistryError::Refused { .. }) => {
            // Where tags do not move, one is refused even if it names this very image.
            return match current(registry, name).await {
                Ok(Some(found)) if found == *digest => Ok(()),
                _ => Err(NotPut::Refused(remedied(error))),
            };
        }
        Err(error) => return Err(NotPut::Unconfirmed(remedied(error))),
    }
    match current(registry, name).await {
        Ok(Some(found)) if found == *digest => Ok(()),
        Ok(Some(found)) => {
            Err(NotPut::Unconfirmed(anyhow::anyhow!("it names `{found}` right after it was put on `{digest}`: somebody else moves it")))
        }
        Ok(None) => Err(NotPut::Unconfirmed(anyhow::anyhow!("it is not there right after it was put"))),
        Err(error) => Err(NotPut::Unconfirmed(remedied(error))),
    }
}

/// Refuses, before anything is put, when a name moved since the plan was made.
async fn find_conflicts(registry: &Registry, verified: &[VerifiedImage], tags: &[Tag], terms: &Terms<'_>) -> anyhow::Result<()> {
    if terms.rule == OnTagConflict::Overwrite {
        return Ok(());
    }
    let mut moved = Vec::new();
    for image in verified {
        let names = names(std::slice::from_ref(&image.image().repository), tags);
        let now = try_join_all(names.iter().map(|name| current(registry, name))).await.remedied()?;
        for (name, now) in names.into_iter().zip(now) {
            let before = terms.baseline.0.get(&name).cloned().flatten();
            match now {
                Some(now)
                    if Some(&now) != before.as_ref()
                        && now != image.image().digest
                        && !(terms.same_commit)(name.repository.at(&now)).await =>
                {
                    let before = before.map_or_else(|| "nothing".to_owned(), |before| format!("`{before}`"));
                    moved.push(format!("`{name}` named {before} when this run began and names `{now}` now"));
                }
                _ => {}
            }
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("nothing was tagged: {}", moved.join("; ")))
        .hint("another run published meanwhile; run this workflow again if it should win, set `on-tag-conflict: overwrite`, or serialise runs with `concurrency`")
}

fn partly(put: &[Name], failed: &[(Name, NotPut)], verified: &[VerifiedImage], tags: &[Tag]) -> anyhow::Error {
    let quoted = |names: &[&Name]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let repositories: Vec<Repository> = verified.iter().map(|image| image.image().repository.clone()).collect();
    let all = names(&repositories, tags);
    let unconfirmed: Vec<&Name> = failed.iter().filter(|(_, why)| matches!(why, NotPut::Unconfirmed(_))).map(|(name, _)| name).collect();
    let missing: Vec<&Name> = all.iter().filter(|name| !put.contains(name) && !unconfirmed.contains(name)).collect();
    let reasons: Vec<String> = failed.iter().map(|(name, why)| format!("`{name}`: {}", crate::error::message(why.error()))).collect();
    let reasons = reasons.join("; ");
    let (code, message) = if put.is_empty() && unconfirmed.is_empty() {
        (exit::FAILED, format!("nothing was tagged: {reasons}"))
    } else {
        let mut parts = Vec::new();
        for (what, names) in [("put", put.iter().collect()), ("perhaps put, it could not be read back", unconfirmed), ("not put", missing)]
        {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", quoted(&names)));
            }
        }
        (exit::PARTLY_PUBLISHED, format!("only some names were put; {}; {reasons}", parts.join("; ")))
    };
    let error = with_hint(
        WithExit { code, message }.into(),
        "the image and its evidence are complete; run the workflow again to put the remaining names",
    );
    failed.iter().flat_map(|(_, why)| crate::error::hints(why.error())).fold(error, with_hint)
}
