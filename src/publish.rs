//! `VerifiedImage` → `Published`: the only writer of names that people pull. It never overwrites a
//! name that somebody moved meanwhile.

use std::collections::HashMap;

use anyhow::Context as _;
use futures_util::future::{LocalBoxFuture, join_all, try_join_all};
use serde::Serialize;

use crate::assess::Scanned;
use crate::assess::search::summary::SearchSummary;
use crate::build::progress::PlatformWork;
use crate::error::{
    Consequence, OrRemedy as _, Remedy as _, WithExit, exit, remedied, with_hint, with_see,
};
use crate::image::name::ImageName;
use crate::image::{Digest, ImageRef};
use crate::page::RefusalPage;
use crate::registry::{Registry, RegistryError, SeenTag};
use crate::scan::tools::gate::ToolTally;
use crate::verify::{VerifiedEvidence, VerifiedImage};

/// What each name meant when the plan was made.
#[derive(Debug)]
pub struct Baseline(HashMap<ImageName, Option<Digest>>);

impl Baseline {
    /// Looks every name up.
    pub async fn observe(registry: &Registry, names: &[ImageName]) -> anyhow::Result<Self> {
        let looked_up = names.iter().map(|name| async {
            Ok::<_, RegistryError>((name.clone(), current(registry, name).await?))
        });
        Ok(Self(try_join_all(looked_up).await.remedied()?.into_iter().collect()))
    }
}

impl Baseline {
    /// The same, where a name that stands on this image counts as free: nobody needs to be asked
    /// what it is.
    pub fn beside(&self, digest: &Digest) -> Self {
        let other = |found: &Option<Digest>| found.clone().filter(|found| found != digest);
        Self(self.0.iter().map(|(name, found)| (name.clone(), other(found))).collect())
    }

    /// The image that a name stood on when the plan was made.
    pub fn taken(&self, name: &ImageName) -> Option<ImageRef> {
        Some(name.repository.at(self.0.get(name)?.as_ref()?))
    }
}

async fn current(registry: &Registry, name: &ImageName) -> Result<Option<Digest>, RegistryError> {
    Ok(registry
        .tagged(&name.repository, &name.tag)
        .await?
        .map(|manifest| manifest.descriptor.digest))
}

/// One image, verified in each of its repositories, and the names that it gets.
#[derive(Debug)]
pub struct VerifiedLot<'a> {
    pub verified: Vec<VerifiedImage>,
    pub names: &'a [ImageName],
}

/// A name that stays where it is.
#[derive(Debug, Clone, Serialize)]
pub struct KeptName {
    pub name: ImageName,
    /// What it stands on.
    pub digest: Digest,
    pub why: String,
}

/// One image with its names on.
#[derive(Debug)]
pub struct Published {
    pub images: Vec<ImageRef>,
    pub names: Vec<ImageName>,
    /// Names that stay on another image, because this one would not be a step forward.
    pub kept: Vec<KeptName>,
    /// Whether the image is that of an earlier run of this commit.
    pub reused: bool,
    pub evidence: VerifiedEvidence,
    /// How large the layers of each image are, as they are fetched.
    pub sizes: Vec<(Digest, u64)>,
    /// How each platform was built, as far as it is known.
    pub work: Vec<PlatformWork>,
    /// The numbers of the attestations that GitHub keeps.
    pub stored: Vec<u64>,
    pub scanned: Scanned,
    /// Where its layers and config were searched for secrets.
    pub searched: Option<SearchSummary>,
    /// What other tools found, by their files; of a run it is with its first image.
    pub tools: Vec<ToolTally>,
}

/// What happens when somebody moved a tag between plan and publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTagConflict {
    Fail,
    Overwrite,
}

/// On which terms tags are set.
pub struct NamingTerms<'a> {
    pub baseline: &'a Baseline,
    pub rule: OnTagConflict,
    /// Whether a run of this very commit published the image that a name stands on; then it is no
    /// conflict.
    pub same_commit: &'a (dyn Fn(ImageName, ImageRef) -> LocalBoxFuture<'a, bool> + 'a),
    /// Told of each name as soon as it is put, so that a log says how far an interrupted run came.
    pub on_put: &'a dyn Fn(&ImageName),
}

/// A name to be, and the verified image that gets it.
type NamePlace<'a> = (&'a VerifiedImage, &'a ImageName);

/// Puts every name on its verified image: conflicts first, then names of one version, floating ones
/// last, each on condition that it is as it was seen, and read back; all are looked at once more
/// after the last. No name of any lot is put before all lots are known to be free of conflicts.
///
/// # Errors
/// With exit code 3 when some tags are set and others not; the message lists both.
pub async fn publish(
    registry: &Registry,
    lots: Vec<VerifiedLot<'_>>,
    terms: &NamingTerms<'_>,
) -> anyhow::Result<Vec<Published>> {
    let places = places(&lots)?;
    let mut seen = find_conflicts(registry, &places, terms).await?;
    let mut put: Vec<NamePlace<'_>> = Vec::new();
    let ranks: Vec<Vec<usize>> = (0..=4)
        .map(|rank| {
            (0..places.len()).filter(|at| places[*at].1.tag.floats() == rank).collect::<Vec<_>>()
        })
        .filter(|rank| !rank.is_empty())
        .collect();
    for (at, rank) in ranks.iter().enumerate() {
        let attempts = rank.iter().map(|at| put_name(registry, places[*at], seen[*at].as_ref()));
        let outcomes = join_all(attempts).await;
        let tried: Vec<(NamePlace<'_>, Result<(), NotPut>)> =
            rank.iter().map(|at| places[*at]).zip(outcomes).collect();
        let next = ranks.get(at + 1);
        let (failed, looked) = tokio::join!(
            // After the last all are read back, those put before once more: another run may have
            // taken one.
            read_back(
                registry,
                if next.is_none() { put.as_slice() } else { &[] },
                tried,
                terms.on_put
            ),
            look_again(registry, &places, next.map_or(&[], Vec::as_slice), &seen, terms.rule),
        );
        let ReadBack { standing, mut failed } = failed;
        if next.is_none() {
            put.clear();
        }
        put.extend(standing);
        for (place, looked) in looked {
            match looked {
                Ok(looked) => seen[place] = looked,
                Err(why) => failed.push((places[place].1, why)),
            }
        }
        if !failed.is_empty() {
            return Err(partly(&in_order(&put, &places), &failed, &places));
        }
    }
    let put = in_order(&put, &places);
    let published = lots.iter().filter_map(|lot| {
        Some(Published {
            images: lot.verified.iter().map(|image| image.image().clone()).collect(),
            names: put
                .iter()
                .filter(|name| lot.names.contains(name))
                .map(|name| (*name).clone())
                .collect(),
            kept: Vec::new(),
            reused: false,
            evidence: lot.verified.first()?.evidence().clone(),
            sizes: lot.verified.first()?.sizes().to_vec(),
            work: Vec::new(),
            stored: Vec::new(),
            scanned: Scanned::Not(String::new()),
            searched: None,
            tools: Vec::new(),
        })
    });
    Ok(published.collect())
}

/// The names of these places, in the order of all.
fn in_order<'a>(put: &[NamePlace<'a>], all: &[NamePlace<'a>]) -> Vec<&'a ImageName> {
    let names: Vec<&ImageName> = put.iter().map(|(_, name)| *name).collect();
    all.iter().map(|(_, name)| *name).filter(|name| names.contains(name)).collect()
}

fn places<'a>(lots: &'a [VerifiedLot<'_>]) -> anyhow::Result<Vec<NamePlace<'a>>> {
    if lots.is_empty() || lots.iter().any(|lot| lot.verified.is_empty()) {
        anyhow::bail!("nothing was verified, so nothing is published");
    }
    let all = lots.iter().flat_map(|lot| lot.names.iter().map(move |name| (lot, name)));
    let places = all.map(|(lot, name)| {
        match lot.verified.iter().find(|image| image.image().repository == name.repository) {
            Some(image) => Ok((image, name)),
            None => {
                anyhow::bail!("`{name}` gets no image: none was verified in its repository")
            }
        }
    });
    places.collect()
}

/// Why a name is not known to be put.
enum NotPut {
    /// The registry said no.
    Refused(anyhow::Error),
    /// It may be there all the same: the answer was lost, or it could not be read back.
    Unconfirmed(anyhow::Error),
    /// Somebody else moved it after it was looked at: what it names now.
    Lost(Option<Digest>),
}

/// Puts one name on the verified bytes, on condition that it is as it was seen.
async fn put_name(
    registry: &Registry,
    (verified, name): NamePlace<'_>,
    seen: Option<&SeenTag>,
) -> Result<(), NotPut> {
    let digest = &verified.image().digest;
    let refused = match attempt(registry, verified, name, seen).await {
        Ok(()) => return Ok(()),
        Err(error @ RegistryError::Refused { .. }) => error,
        Err(error) => return Err(NotPut::Unconfirmed(remedied(error))),
    };
    let is_lost =
        matches!(refused, RegistryError::Refused { status, .. } if status.as_u16() == 412);
    match current(registry, name).await {
        // Where tags do not move, one is refused even if it names this very image. And an answer
        // may have been lost.
        Ok(Some(found)) if found == *digest => Ok(()),
        // The registry refuses the condition itself.
        Ok(found) if is_lost && seen.is_some_and(|seen| seen.digest == found) => {
            attempt(registry, verified, name, None).await.map_err(|error| match error {
                error @ RegistryError::Refused { .. } => NotPut::Refused(remedied(error)),
                error => NotPut::Unconfirmed(remedied(error)),
            })
        }
        Ok(found) if is_lost => Err(NotPut::Lost(found)),
        _ => Err(NotPut::Refused(remedied(refused))),
    }
}

async fn attempt(
    registry: &Registry,
    verified: &VerifiedImage,
    name: &ImageName,
    seen: Option<&SeenTag>,
) -> Result<(), RegistryError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that tags an image; it holds the proof"
    )]
    registry.put_tag(&name.repository, &name.tag, verified.manifest(), seen).await
}

/// Names that stand where they were put, and why others do not.
struct ReadBack<'a> {
    standing: Vec<NamePlace<'a>>,
    failed: Vec<(&'a ImageName, NotPut)>,
}

/// Reads back what was `put` before, and what was just `tried`.
async fn read_back<'a>(
    registry: &Registry,
    put: &[NamePlace<'a>],
    tried: Vec<(NamePlace<'a>, Result<(), NotPut>)>,
    on_put: &dyn Fn(&ImageName),
) -> ReadBack<'a> {
    let (accepted, refused): (Vec<_>, Vec<_>) =
        tried.into_iter().partition(|(_, outcome)| outcome.is_ok());
    let mut failed: Vec<(&ImageName, NotPut)> = refused
        .into_iter()
        .filter_map(|(place, outcome)| Some((place.1, outcome.err()?)))
        .collect();
    let fresh = accepted.len();
    let all: Vec<NamePlace<'a>> =
        accepted.into_iter().map(|(place, _)| place).chain(put.iter().copied()).collect();
    let found = join_all(all.iter().map(|(_, name)| current(registry, name))).await;
    let mut standing = Vec::new();
    for (at, (place, found)) in all.into_iter().zip(found).enumerate() {
        match found {
            Ok(Some(found)) if found == place.0.image().digest => {
                if at < fresh {
                    on_put(place.1);
                }
                standing.push(place);
            }
            Ok(found) => failed.push((place.1, NotPut::Lost(found))),
            Err(error) => failed.push((place.1, NotPut::Unconfirmed(remedied(error)))),
        }
    }
    ReadBack { standing, failed }
}

/// Looks at tags that are set next: one that moved since it was found free of conflicts is another
/// run's.
async fn look_again<'a>(
    registry: &Registry,
    places: &[NamePlace<'a>],
    next: &[usize],
    seen: &[Option<SeenTag>],
    rule: OnTagConflict,
) -> Vec<(usize, Result<Option<SeenTag>, NotPut>)> {
    if rule == OnTagConflict::Overwrite {
        return Vec::new();
    }
    let looks = next.iter().map(|at| async move {
        let (image, name) = places[*at];
        let before = seen[*at].as_ref().and_then(|seen| seen.digest.as_ref());
        let looked = match registry.look(&name.repository, &name.tag).await {
            Ok(now)
                if now.digest.as_ref() == before
                    || now.digest.as_ref() == Some(&image.image().digest) =>
            {
                Ok(Some(now))
            }
            Ok(now) => Err(NotPut::Lost(now.digest)),
            Err(error) => Err(NotPut::Refused(remedied(error))),
        };
        (*at, looked)
    });
    join_all(looks).await
}

/// Refuses, before anything is put, when a name moved since the plan was made.
async fn find_conflicts(
    registry: &Registry,
    places: &[NamePlace<'_>],
    terms: &NamingTerms<'_>,
) -> anyhow::Result<Vec<Option<SeenTag>>> {
    if terms.rule == OnTagConflict::Overwrite {
        return Ok(vec![None; places.len()]);
    }
    let seen =
        try_join_all(places.iter().map(|(_, name)| registry.look(&name.repository, &name.tag)))
            .await
            .remedied()?;
    let mut moved = Vec::new();
    for ((image, name), seen) in places.iter().zip(&seen) {
        let before = terms.baseline.0.get(name).cloned().flatten();
        match seen.digest.clone() {
            Some(now)
                if Some(&now) != before.as_ref()
                    && now != image.image().digest
                    && !(terms.same_commit)((*name).clone(), name.repository.at(&now)).await =>
            {
                let before =
                    before.map_or_else(|| "nothing".to_owned(), |before| format!("`{before}`"));
                moved.push(format!("`{name}` moved during this run, from {before} to `{now}`"));
            }
            _ => {}
        }
    }
    if moved.is_empty() {
        return Ok(seen.into_iter().map(Some).collect());
    }
    Err(anyhow::anyhow!(moved.join("; ")))
        .context(Consequence::NothingTagged)
        .hint("another run published meanwhile; run this workflow again if it should win, set `on-tag-conflict: overwrite`, or serialise runs with `concurrency`")
        .see(RefusalPage::TagMovedDuringTheRun)
}

fn partly(
    put: &[&ImageName],
    failed: &[(&ImageName, NotPut)],
    places: &[NamePlace<'_>],
) -> anyhow::Error {
    let quoted = |names: &[&ImageName]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let of = |wanted: fn(&NotPut) -> bool| -> Vec<&ImageName> {
        failed.iter().filter(|(_, why)| wanted(why)).map(|(name, _)| *name).collect()
    };
    let unconfirmed = of(|why| matches!(why, NotPut::Unconfirmed(_)));
    let lost = of(|why| matches!(why, NotPut::Lost(_)));
    let all = places.iter().map(|(_, name)| *name);
    let missing: Vec<&ImageName> = all
        .filter(|name| ![put, &unconfirmed, &lost].iter().any(|known| known.contains(name)))
        .collect();
    let told = |(name, why): &(&ImageName, NotPut)| match why {
        NotPut::Refused(error) | NotPut::Unconfirmed(error) => {
            format!("`{name}`: {}", crate::error::message(error))
        }
        NotPut::Lost(Some(digest)) => format!("`{name}` points to `{digest}` now"),
        NotPut::Lost(None) => format!("`{name}` is gone"),
    };
    let reasons = failed.iter().map(told).collect::<Vec<_>>().join("; ");
    let (code, message) = if put.is_empty() && unconfirmed.is_empty() {
        let why = if lost.is_empty() { "" } else { "somebody else moved its tags meanwhile: " };
        (exit::FAILED, format!("{why}{reasons}"))
    } else {
        let mut parts = Vec::new();
        for (what, names) in [
            ("set", put.to_vec()),
            ("perhaps set, it could not be read back", unconfirmed),
            ("moved by somebody else meanwhile", lost.clone()),
            ("not set", missing),
        ] {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", quoted(&names)));
            }
        }
        (
            exit::PARTLY_PUBLISHED,
            format!("only some tags were set; {}; {reasons}", parts.join("; ")),
        )
    };
    let hint = if lost.is_empty() {
        "the image and its evidence are complete; run the workflow again to set the remaining tags"
    } else {
        "another run published at the same time and this one lost those tags; run this workflow again if it should win, or serialise runs with `concurrency`"
    };
    let error = with_hint(WithExit { code, message }.into(), hint);
    let is_partly = code == exit::PARTLY_PUBLISHED;
    let error = if is_partly { error } else { error.context(Consequence::NothingTagged) };
    let error = with_see(
        error,
        if is_partly { RefusalPage::OnlySomeTagsExist } else { RefusalPage::TagMovedDuringTheRun },
    );
    let errors = failed.iter().filter_map(|(_, why)| match why {
        NotPut::Refused(error) | NotPut::Unconfirmed(error) => Some(error),
        NotPut::Lost(_) => None,
    });
    errors.flat_map(crate::error::hints).fold(error, with_hint)
}
