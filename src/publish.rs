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

impl Name {
    /// Every tag in every repository.
    pub fn all(repositories: &[Repository], tags: &[Tag]) -> Vec<Self> {
        tags.iter()
            .flat_map(|tag| repositories.iter().map(|repository| Self { repository: repository.clone(), tag: tag.clone() }))
            .collect()
    }
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
    pub async fn observe(registry: &Registry, names: &[Name]) -> anyhow::Result<Self> {
        let looked_up = names.iter().map(|name| async { Ok::<_, RegistryError>((name.clone(), current(registry, name).await?)) });
        Ok(Self(try_join_all(looked_up).await.remedied()?.into_iter().collect()))
    }
}

impl Baseline {
    /// The image that a name stood on when the plan was made.
    pub fn taken(&self, name: &Name) -> Option<ImageRef> {
        Some(name.repository.at(self.0.get(name)?.as_ref()?))
    }
}

async fn current(registry: &Registry, name: &Name) -> Result<Option<Digest>, RegistryError> {
    Ok(registry.tagged(&name.repository, &name.tag).await?.map(|manifest| manifest.descriptor.digest))
}

/// One image, verified in each of its repositories, and the names that it gets.
#[derive(Debug)]
pub struct Lot<'a> {
    pub verified: Vec<VerifiedImage>,
    pub names: &'a [Name],
}

/// One image with its names on.
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
    /// Whether a run of this very commit published the image that a name stands on; then it is no conflict.
    pub same_commit: &'a (dyn Fn(Name, ImageRef) -> LocalBoxFuture<'a, bool> + 'a),
    /// Told of each name as soon as it is put, so that a log says how far an interrupted run came.
    pub on_put: &'a dyn Fn(&Name),
}

/// A name to be, and the verified image that gets it.
type Place<'a> = (&'a VerifiedImage, &'a Name);

/// Puts every name on its verified image: conflicts first, then names of one version, floating ones last, each read back. No name of any lot
/// is put before all lots are known to be free of conflicts.
///
/// # Errors
/// With exit code 3 when some names were put and others not; the message lists both.
pub async fn publish(registry: &Registry, lots: Vec<Lot<'_>>, terms: &Terms<'_>) -> anyhow::Result<Vec<Published>> {
    let places = places(&lots)?;
    find_conflicts(registry, &places, terms).await?;
    let mut put: Vec<Name> = Vec::new();
    for rank in 0..=4 {
        let attempts = places.iter().filter(|(_, name)| name.tag.floats() == rank).map(|(image, name)| async move {
            let outcome = put_name(registry, image, name).await;
            if outcome.is_ok() {
                (terms.on_put)(name);
            }
            ((*name).clone(), outcome)
        });
        let mut failed: Vec<(Name, NotPut)> = Vec::new();
        for (name, outcome) in join_all(attempts).await {
            match outcome {
                Ok(()) => put.push(name),
                Err(why) => failed.push((name, why)),
            }
        }
        if !failed.is_empty() {
            return Err(partly(&put, &failed, &places));
        }
    }
    let published = lots.iter().filter_map(|lot| {
        Some(Published {
            images: lot.verified.iter().map(|image| image.image().clone()).collect(),
            names: put.iter().filter(|name| lot.names.contains(name)).cloned().collect(),
            evidence: lot.verified.first()?.evidence().clone(),
        })
    });
    Ok(published.collect())
}

fn places<'a>(lots: &'a [Lot<'_>]) -> anyhow::Result<Vec<Place<'a>>> {
    if lots.is_empty() || lots.iter().any(|lot| lot.verified.is_empty()) {
        anyhow::bail!("nothing was verified, so nothing is published");
    }
    let all = lots.iter().flat_map(|lot| lot.names.iter().map(move |name| (lot, name)));
    let places = all.map(|(lot, name)| match lot.verified.iter().find(|image| image.image().repository == name.repository) {
        Some(image) => Ok((image, name)),
        None => anyhow::bail!("`{name}` is put on nothing: no image was verified in its repository"),
    });
    places.collect()
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
async fn find_conflicts(registry: &Registry, places: &[Place<'_>], terms: &Terms<'_>) -> anyhow::Result<()> {
    if terms.rule == OnTagConflict::Overwrite {
        return Ok(());
    }
    let now = try_join_all(places.iter().map(|(_, name)| current(registry, name))).await.remedied()?;
    let mut moved = Vec::new();
    for ((image, name), now) in places.iter().zip(now) {
        let before = terms.baseline.0.get(name).cloned().flatten();
        match now {
            Some(now)
                if Some(&now) != before.as_ref()
                    && now != image.image().digest
                    && !(terms.same_commit)((*name).clone(), name.repository.at(&now)).await =>
            {
                let before = before.map_or_else(|| "nothing".to_owned(), |before| format!("`{before}`"));
                moved.push(format!("`{name}` named {before} when this run began and names `{now}` now"));
            }
            _ => {}
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("nothing was tagged: {}", moved.join("; ")))
        .hint("another run published meanwhile; run this workflow again if it should win, set `on-tag-conflict: overwrite`, or serialise runs with `concurrency`")
}

fn partly(put: &[Name], failed: &[(Name, NotPut)], places: &[Place<'_>]) -> anyhow::Error {
    let quoted = |names: &[&Name]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let unconfirmed: Vec<&Name> = failed.iter().filter(|(_, why)| matches!(why, NotPut::Unconfirmed(_))).map(|(name, _)| name).collect();
    let all = places.iter().map(|(_, name)| *name);
    let missing: Vec<&Name> = all.filter(|name| !put.contains(name) && !unconfirmed.contains(name)).collect();
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
